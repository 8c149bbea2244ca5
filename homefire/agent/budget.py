"""What a run may spend: steps, tokens, seconds. Spent is what its steps say, so that a resumed run does not begin anew.

Promises: pure. Seconds are those it was at work: the time in which it waited for a person, or in which no daemon ran, counts not.
Does not cover: what other limits there are (a key's, the engine's).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from homefire.agent.step import Asked, Called, Entry, Repaired

# Between two entries of a run at work nothing takes longer; a longer gap is a daemon that was away.
LONGEST_GAP = 600.0


@dataclass(frozen=True, slots=True)
class Budget:
    """`steps` are calls and answers that could not be used; `tokens` read and written; `seconds` at work."""

    steps: int = 60
    tokens: int = 400_000
    seconds: float = 1800.0


@dataclass(frozen=True, slots=True)
class Spent:
    """The same, spent."""

    steps: int
    tokens: int
    seconds: float

    def over(self, budget: Budget) -> str:
        """What is used up, in words; "" if nothing is."""
        if self.steps >= budget.steps:
            return f"its {budget.steps} steps"
        if self.tokens >= budget.tokens:
            return f"its {budget.tokens:,} tokens"
        return f"its {budget.seconds:g} seconds" if self.seconds >= budget.seconds else ""


def spent(entries: Sequence[Entry], now: float) -> Spent:
    """What a run has spent. `now` in Unix seconds."""
    steps = sum(isinstance(entry.step, Called | Repaired) for entry in entries)
    tokens = sum(entry.tokens_in + entry.tokens_out for entry in entries)
    seconds, times = 0.0, [*(entry.at for entry in entries), now]
    for entry, after in zip(entries, times[1:], strict=True):
        if not isinstance(entry.step, Asked):
            seconds += min(max(0.0, after - entry.at), LONGEST_GAP)
    return Spent(steps, tokens, seconds)
