"""How many tokens an answer of llama.cpp's server took, read from the end of its bytes.

Promises: pure; looks at a few kilobytes whatever the answer's length; None where the end does not say it.
Does not cover: answers that were broken off: their end never comes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# The server puts `timings` at the end of a whole answer, and into the last chunk but one of a stream.
TAIL = 2048
_TIMINGS = re.compile(
    rb'"timings":\{"cache_n":(\d{1,9}),"prompt_n":(\d{1,9}),[^{}]*?"predicted_n":(\d{1,9})'
    rb'(?:[^{}]*?"draft_n":(\d{1,9}),"draft_n_accepted":(\d{1,9}))?'
)


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens: of the prompt that were kept from before, of the prompt that were read, and written; proposed by a draft, and of
    those the ones that were taken (0 where nothing drafts)."""

    cached: int
    read: int
    written: int
    drafted: int = 0
    accepted: int = 0


def read_spent(tail: bytes) -> Spent | None:
    """From the last bytes of an answer. What a model writes cannot look like it: inside JSON its quotes are escaped."""
    found = _TIMINGS.findall(tail)
    return Spent(*(int(each or 0) for each in found[-1])) if found else None
