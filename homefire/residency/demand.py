"""How much each model is wanted, and what it costs to bring it: the memory of the scheduler.

The rate of requests decays exponentially: a request counts fully now and half of it `HALF_LIFE` later, so the figure is an
estimate of requests a second without keeping any list of them. Loads and services are averaged, the newest counting most.
Promises: pure, the clock is handed in; forgets a model that nobody asked for in many half-lives.
Does not cover: what is decided with it (`scheduler.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

HALF_LIFE = 600.0
# What the newest of a series counts in its average.
NEWEST = 0.3
# Where nothing was measured yet: seconds a request holds its model.
USUAL_SERVICE = 2.0
FORGOTTEN = 12


@dataclass(slots=True)
class Wish:
    """What is known of one model. `weight` is the decayed number of requests as of `at`."""

    weight: float = 0.0
    at: float = 0.0
    requests: int = 0
    load_seconds: float | None = None
    service_seconds: float = USUAL_SERVICE


@dataclass(slots=True)
class Demand:
    """Of all models that were asked for."""

    wishes: dict[str, Wish] = field(default_factory=dict)

    def of(self, model: str) -> Wish:
        """What is known of a model; a new one is remembered."""
        return self.wishes.setdefault(model, Wish())

    def asked(self, model: str, now: float) -> None:
        """A request for the model came."""
        wish = self.of(model)
        wish.weight = wish.weight * _left(now - wish.at) + 1
        wish.at = now
        wish.requests += 1

    def rate(self, model: str, now: float) -> float:
        """Requests a second that are to be expected."""
        wish = self.wishes.get(model)
        return 0.0 if wish is None else wish.weight * _left(now - wish.at) * math.log(2) / HALF_LIFE

    def loaded(self, model: str, seconds: float) -> None:
        """A load took so long."""
        wish = self.of(model)
        wish.load_seconds = seconds if wish.load_seconds is None else _mean(wish.load_seconds, seconds)

    def served(self, model: str, seconds: float) -> None:
        """A request held the model so long."""
        wish = self.of(model)
        wish.service_seconds = _mean(wish.service_seconds, seconds)

    def forget(self, now: float) -> None:
        """Drops what is too old to matter."""
        for model in [m for m, wish in self.wishes.items() if now - wish.at > FORGOTTEN * HALF_LIFE]:
            del self.wishes[model]


def _left(seconds: float) -> float:
    return float(2.0 ** (-max(0.0, seconds) / HALF_LIFE))


def _mean(old: float, new: float) -> float:
    return old + NEWEST * (new - old)
