"""A circuit breaker: when a far engine that keeps failing is asked again. A pure object, tested without sleeping.

    closed ──FAILURES within WINDOW──> open ──rest is over──> half open ──the trial succeeds──> closed
                                        ^                        │
                                        └──── the trial fails ───┘   (and rests twice as long, at most LONGEST)

| state     | may_ask()      | failed()                       | succeeded()          | abandoned()    |
|-----------|----------------|--------------------------------|----------------------|----------------|
| closed    | yes            | counts; opens at FAILURES      | forgets the failures | nothing        |
| open      | no             | nothing (asked before it opened)| nothing             | nothing        |
| half open | once, then no  | opens again, for twice as long | closes               | another may try|

Promises: an engine that is down costs one request a rest, not one a client; a single success forgives what was before it.
Does not cover: what counts as a failure (`residency/far.py` decides: the engine's faults, never the request's).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

State = Literal["closed", "open", "half_open"]
FAILURES = 5
WINDOW = 60.0
REST = 10.0
LONGEST = 300.0


@dataclass(slots=True)
class Breaker:
    """The record of one far engine. Times are seconds on any monotonic clock."""

    failures: list[float] = field(default_factory=list)
    rest: float = 0.0
    opened: float = 0.0
    trial: bool = False

    def state(self, now: float) -> State:
        """Where it stands at `now`."""
        if not self.rest:
            return "closed"
        return "open" if now < self.opened + self.rest else "half_open"

    def may_ask(self, now: float) -> bool:
        """Whether a request may go there; while half open, this takes the one trial."""
        state = self.state(now)
        if state == "half_open" and not self.trial:
            self.trial = True
            return True
        return state == "closed"

    def wait(self, now: float) -> float:
        """Seconds until it may be asked again; 0 if that is now."""
        return max(0.0, self.opened + self.rest - now) if self.rest else 0.0

    def succeeded(self, now: float) -> None:
        """A request was answered."""
        if self.state(now) != "open":
            self.failures.clear()
            self.rest, self.trial = 0.0, False

    def failed(self, now: float) -> None:
        """A request failed, and it was the engine's fault."""
        state = self.state(now)
        if state == "half_open":
            self.opened, self.rest, self.trial = now, min(LONGEST, self.rest * 2), False
        elif state == "closed":
            self.failures = [moment for moment in self.failures if now - moment < WINDOW] + [now]
            if len(self.failures) >= FAILURES:
                self.opened, self.rest, self.trial = now, REST, False

    def abandoned(self, now: float) -> None:
        """A request ended without a verdict: its client left, or it was the request that was wrong."""
        if self.state(now) == "half_open":
            self.trial = False

    def reset(self) -> None:
        """A person says that it is well again."""
        self.failures.clear()
        self.rest, self.trial = 0.0, False
