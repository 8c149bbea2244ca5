"""What is under way for each caller, so that it can be ended when its key is revoked, expires, or its login ends.

Promises: `end` reaches every request, stream, socket and call that was registered and has not left, at once; so does the
moment at which the principal expires. Only the task that ends its own right (a key that revokes itself) comes to its end.
Does not cover: who may come in, and how a transport ends what is its own (it gives a function that does).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from homefire.errors import BadKey, HomefireError
from homefire.server.scopes import Principal

# Told why. On the event loop; must not block and must not raise.
End = Callable[[HomefireError], None]
# A clock that is set back would make a timer late: it looks again after this long.
LOOK_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class _Open:
    """Something under way: in which task, until when at most (Unix seconds), and how it is ended."""

    task: asyncio.Task[Any] | None
    expires_at: float | None
    end: End


class OpenWork:
    """Used on one event loop. A caller whose right expires has one timer, set when it first comes and kept: to set and take
    one for each request would cost more than all the rest."""

    def __init__(self) -> None:
        self._open: defaultdict[str, dict[object, _Open]] = defaultdict(dict)
        self._timers: dict[tuple[str, float], asyncio.TimerHandle] = {}

    @contextlib.contextmanager
    def during(self, principal: Principal, end: End) -> Iterator[None]:
        """Keeps `end` at hand while the context lasts."""
        mark, caller = object(), principal.caller
        self._open[caller][mark] = _Open(asyncio.current_task(), principal.expires_at, end)
        if principal.expires_at is not None and (caller, principal.expires_at) not in self._timers:
            self._look(caller, principal.expires_at)
        try:
            yield
        finally:
            left = self._open[caller]
            left.pop(mark, None)
            if not left:
                self._open.pop(caller, None)

    def end(self, caller: str, problem: HomefireError) -> int:
        """Ends what this caller has under way; returns how much that was."""
        own = asyncio.current_task()
        return self._end(caller, lambda each: own is None or each.task is not own, problem)

    def count(self, caller: str) -> int:
        """How much this caller has under way."""
        return len(self._open.get(caller, ()))

    def _end(self, caller: str, which: Callable[[_Open], bool], problem: HomefireError) -> int:
        found = [each for each in self._open.get(caller, {}).values() if which(each)]
        for each in found:
            each.end(problem)
        return len(found)

    def _look(self, caller: str, expires_at: float) -> None:
        self._timers.pop((caller, expires_at), None)
        left = expires_at - time.time()
        if left <= 0:
            self._end(
                caller, lambda each: each.expires_at == expires_at, BadKey("This key, or this login, has expired.")
            )
        elif caller in self._open:
            wait = min(left + 0.001, LOOK_SECONDS)
            self._timers[caller, expires_at] = asyncio.get_running_loop().call_later(
                wait, self._look, caller, expires_at
            )
