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
    rb'(?:[^{}]*?"draft_n":(\d{1,9}),"draft_n_accepted":(\d{1,9}))?'
)

_REASON = re.compile(rb'"finish_reason": ?"([a-z_]{1,40})"')
_PROMPT = re.compile(rb'"prompt_tokens": ?(\d{1,9})')
_COMPLETION = re.compile(rb'"completion_tokens": ?(\d{1,9})')


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens: of the prompt that were kept from before, of the prompt that were read, and written; proposed by a draft, and of
    those the ones that were taken (0 where nothing drafts). `read_ms` is what reading took."""

    cached: int
    read: int
    written: int
    drafted: int = 0
    accepted: int = 0
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
    cached, read, read_ms, written, drafted, accepted = found[-1]
    return Spent(int(cached), int(read), int(written), int(drafted or 0), int(accepted or 0), float(read_ms))


# At the end of a whole answer in OpenAI's form, and in the last chunk of a stream that reports its usage.
_TOTAL = re.compile(rb'"total_tokens":\s?(\d{1,9})')


def read_total(tail: bytes) -> int | None:
    """Tokens of prompt and answer together, from the last bytes of an answer; None where they do not say it."""
    if (spent := read_spent(tail)) is not None:
        return spent.cached + spent.read + spent.written
    found = _TOTAL.findall(tail)
    return int(found[-1]) if found else None
