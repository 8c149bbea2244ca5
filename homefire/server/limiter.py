"""How much each key may ask for: requests and tokens in any sixty seconds, and requests at one time.

    enter(caller, limits) ── passes ──> counted as begun, until leave(caller)
            │
            └── a limit is reached ──> RateLimited, with the seconds until it would pass

Promises: pure, on a clock that is given; in no window of sixty seconds more requests pass than the limit says; a key without
limits costs nothing; what is kept of a key is at most 61 numbers for each limit.
Does not cover: tokens of an answer under way, which count when it ends: a key passes its limit of tokens by what it has under
way, and waits afterwards.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from homefire.errors import RateLimited
from homefire.server.scopes import UNLIMITED, Limits

WINDOW_SECONDS = 60


class Window:
    """A sum over the last sixty seconds, kept in whole seconds; what falls into one leaves when all of it is older."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque()
        self.total = 0

    def add(self, now: float, amount: int) -> None:
        """Counts `amount` at `now`."""
        self.total += amount
        if self._seconds and self._seconds[-1][0] == int(now):
            amount += self._seconds.pop()[1]
        self._seconds.append((int(now), amount))

    def forget(self, now: float) -> None:
        """Drops what is older than the window."""
        while self._seconds and _leaves(self._seconds[0][0]) <= now:
            self.total -= self._seconds.popleft()[1]

    def wait(self, now: float, limit: int) -> float:
        """Seconds until less than `limit` is left in it; 0 if that is so now."""
        self.forget(now)
        left = self.total
        wait = 0.0
        for second, amount in self._seconds:
            if left < limit:
                break
            left -= amount
            wait = _leaves(second) - now
        return wait


def _leaves(second: int) -> float:
    return second + 1.0 + WINDOW_SECONDS


@dataclass(slots=True)
class _Used:
    """Of one caller."""

    requests: Window = field(default_factory=Window)
    tokens: Window = field(default_factory=Window)
    open: int = 0


class Limiter:
    """The counts of all callers. `clock` gives seconds that never run backwards."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._used: dict[str, _Used] = {}

    def enter(self, caller: str, limits: Limits) -> None:
        """Counts a request as begun. Raises RateLimited, and counts nothing then."""
        if limits == UNLIMITED:
            return
        now = self._clock()
        used = self._used.setdefault(caller, _Used())
        if limits.concurrent and used.open >= limits.concurrent:
            raise _limited(f"{limits.concurrent} requests at one time", 1.0)
        if limits.requests and (wait := used.requests.wait(now, limits.requests)):
            raise _limited(f"{limits.requests} requests a minute", wait)
        if limits.tokens and (wait := used.tokens.wait(now, limits.tokens)):
            raise _limited(f"{limits.tokens} tokens a minute", wait)
        used.open += 1
        used.requests.add(now, 1)

    def leave(self, caller: str) -> None:
        """A request that `enter` counted is over."""
        if (used := self._used.get(caller)) is not None:
            used.open = max(0, used.open - 1)

    def spent(self, caller: str, tokens: int) -> None:
        """Counts the tokens of an answer."""
        used = self._used.setdefault(caller, _Used())
        now = self._clock()
        used.tokens.forget(now)
        used.tokens.add(now, tokens)

    def left(self, caller: str, limits: Limits) -> dict[str, tuple[int, int]]:
        """Of each limit that is set, its size and what is left of it now."""
        used, now = self._used.get(caller) or _Used(), self._clock()
        found = {}
        for name, limit, window in (
            ("requests", limits.requests, used.requests),
            ("tokens", limits.tokens, used.tokens),
        ):
            if limit:
                window.forget(now)
                found[name] = limit, max(0, limit - window.total)
        return found

    def drop(self, caller: str) -> None:
        """Forgets a caller that is gone."""
        self._used.pop(caller, None)


def _limited(what: str, wait: float) -> RateLimited:
    seconds = max(1, math.ceil(wait))
    problem = RateLimited(f"This key may make {what}." if "requests" in what else f"This key may use {what}.")
    problem.retry_after = seconds
    problem.next_step = f"Wait {seconds} s, or give the key a higher limit: homefire key add --help"
    return problem
