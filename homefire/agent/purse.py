"""What runs spend together: those of a swarm, and a run with all that it begins.

Promises: a run is counted by what its steps say, so that after a crash nothing is counted twice or forgotten; what is spent
counts in each purse above too. Seconds are those at work of runs that a person or a swarm began; a run that another began works
while that one waits, and its seconds are counted there already.
Does not cover: who ends when it is empty (each loop, before its next step), so it may be overdrawn by one step of each run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from homefire.agent.budget import spent
from homefire.agent.step import Entry

ENDLESS = float("inf")


@dataclass(slots=True, eq=False)
class Purse:
    """`whose` in words; `tokens` and `seconds` that may be spent; `above` is the purse that this one is filled from."""

    whose: str
    tokens: float = ENDLESS
    seconds: float = ENDLESS
    above: Purse | None = None
    _spent: dict[str, tuple[int, float]] = field(default_factory=dict)

    def put(self, run: str, tokens: int, seconds: float) -> None:
        """What a run has spent so far, in all."""
        self._spent[run] = (tokens, seconds)
        if self.above is not None:
            self.above.put(run, tokens, seconds)

    def count(self, run: str, entries: Sequence[Entry], now: float, child: bool) -> None:
        """The same, of its steps. `child`: another run waits for it."""
        found = spent(entries, now)
        self.put(run, found.tokens, 0.0 if child else found.seconds)

    @property
    def spent(self) -> tuple[int, float]:
        """Tokens and seconds."""
        return sum(each[0] for each in self._spent.values()), sum(each[1] for each in self._spent.values())

    def over(self) -> str:
        """What is used up, here or above, in words; "" if nothing is."""
        tokens, seconds = self.spent
        if tokens >= self.tokens:
            return f"the {self.tokens:,.0f} tokens of {self.whose}"
        if seconds >= self.seconds:
            return f"the {self.seconds:g} seconds of {self.whose}"
        return self.above.over() if self.above is not None else ""
