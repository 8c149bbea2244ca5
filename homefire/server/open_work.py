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
from typing import Any

from homefire.errors import BadKey, HomefireError
from homefire.server.scopes import Principal

# Told why. On the event loop; must not block and must not raise.
End = Callable[[HomefireError], None]
# A clock that is set back would make a timer late: it looks again after this long.
LOOK_SECONDS = 3600.0


class OpenWork:
    """Used on one event loop."""

    def __init__(self) -> None:
        self._open: defaultdict[str, dict[object, tuple[asyncio.Task[Any] | None, End]]] = defaultdict(dict)

    @contextlib.contextmanager
    def during(self, principal: Principal, end: End) -> Iterator[None]:
        """Keeps `end` at hand while the context lasts."""
        mark = object()
        self._open[principal.caller][mark] = asyncio.current_task(), end
        timer: list[asyncio.TimerHandle] = []
        if principal.expires_at is not None:
            self._watch(principal.expires_at, end, timer)
        try:
            yield
        finally:
            for each in timer:
                each.cancel()
            left = self._open[principal.caller]
            left.pop(mark, None)
            if not left:
                self._open.pop(principal.caller, None)

    def end(self, caller: str, problem: HomefireError) -> int:
        """Ends what this caller has under way; returns how much that was."""
        own = asyncio.current_task()
        ends = [end for task, end in self._open.get(caller, {}).values() if task is not own]
        for end in ends:
            end(problem)
        return len(ends)

    def count(self, caller: str) -> int:
        """How much this caller has under way."""
        return len(self._open.get(caller, ()))

    def _watch(self, expires_at: float, end: End, timer: list[asyncio.TimerHandle]) -> None:
        left = expires_at - time.time()
        if left <= 0:
            end(BadKey("This key, or this login, has expired."))
            return
        loop = asyncio.get_running_loop()
        timer[:] = [loop.call_later(min(left + 0.001, LOOK_SECONDS), self._watch, expires_at, end, timer)]
