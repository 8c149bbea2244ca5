"""When a crashed child may be started again: a pure object, tested without sleeping.

Crashes count after the child was ready too: five within a minute open the circuit, and it rests for the longest pause. The
pauses: 0.2 s twice, then doubling to 60 s, of which chance takes away up to a quarter: children that one cause ended together (a
driver that fell over, a memory that ran out) shall not all come back in the same moment. A child that ran for ten minutes starts
with a clean record.
Promises: with a child that dies at once, at most 25 starts in ten minutes, whatever chance gives.
Does not cover: who waits (`residency/` for engines, `upkeep.py` for the daemon).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST = 0.2
LONGEST = 60.0
CRASHES_TO_BREAK = 5
WINDOW = 60.0
CLEAN_AFTER = 600.0
JITTER = 0.25


@dataclass(slots=True)
class Backoff:
    """The record of one child. Times are seconds on any monotonic clock; `draw` gives chance, from 0 to 1."""

    crashes: list[float] = field(default_factory=list)
    in_a_row: int = 0
    draw: Callable[[], float] = random.random
    _drawn: float = 0.0

    def crashed(self, now: float, ran_for: float) -> None:
        """Notes a crash after `ran_for` seconds of life."""
        if ran_for >= CLEAN_AFTER:
            self.in_a_row = 0
            self.crashes.clear()
        self.in_a_row += 1
        self._drawn = self.draw()
        self.crashes = [t for t in self.crashes if now - t < WINDOW] + [now]

    def pause(self) -> float:
        """Seconds between the last crash and the next start."""
        if self.in_a_row == 0:
            return 0.0
        if self.broken():
            return LONGEST
        whole = min(LONGEST, FIRST * 2.0 ** min(max(0, self.in_a_row - 2), 16))
        return whole * (1 - JITTER * self._drawn)

    def wait(self, now: float) -> float:
        """Seconds from `now` until the next start is allowed; 0 if it is allowed now."""
        if not self.crashes:
            return 0.0
        return max(0.0, self.crashes[-1] + self.pause() - now)

    def broken(self) -> bool:
        """Whether the circuit is open: too many crashes in too short a time."""
        return len(self.crashes) >= CRASHES_TO_BREAK
