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
    rb'"timings":\{"cache_n":(\d{1,9}),"prompt_n":(\d{1,9}),"prompt_ms":(\d{1,12}(?:\.\d{1,12})?)[^{}]*?"predicted_n":(\d{1,9})'
)

_REASON = re.compile(rb'"finish_reason": ?"([a-z_]{1,40})"')
_PROMPT = re.compile(rb'"prompt_tokens": ?(\d{1,9})')
_COMPLETION = re.compile(rb'"completion_tokens": ?(\d{1,9})')


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens: of the prompt that were kept from before, of the prompt that were read, and written; `read_ms` is what reading
    took."""

    cached: int
    read: int
    written: int
    read_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class End:
    """How an answer in OpenAI's form ended: why, tokens of the prompt, of the answer, and of the prompt those that were kept.
    None and "" where its end does not say it."""

    reason: str = ""
    read: int | None = None
    written: int | None = None
    cached: int | None = None


def read_end(tail: bytes) -> End:
    """From the last bytes of an answer, of llama.cpp's server or rendered from a far engine's events."""
    reasons = _REASON.findall(tail)
    reason = reasons[-1].decode() if reasons else ""
    if spent := read_spent(tail):
        return End(reason, spent.cached + spent.read, spent.written, spent.cached)
    prompts, completions = _PROMPT.findall(tail), _COMPLETION.findall(tail)
    if not (prompts and completions):
        return End(reason)
    return End(reason, int(prompts[-1]), int(completions[-1]))


def read_spent(tail: bytes) -> Spent | None:
    """From the last bytes of an answer. What a model writes cannot look like it: inside JSON its quotes are escaped."""
    found = _TIMINGS.findall(tail)
    if not found:
        return None
    cached, read, read_ms, written = found[-1]
    return Spent(int(cached), int(read), int(written), float(read_ms))
