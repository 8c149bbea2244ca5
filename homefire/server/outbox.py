"""What waits to be sent to one client of a WebSocket: bounded, and never an excuse to hold up anybody else.

    tell(news)      a state or a decision ──> the oldest of them goes where there is no room, and a notice says how many went
    await room()    before a token ──> a slow reader slows its own answer down; no token is ever dropped

Promises: no more than `limit` messages wait; what is left keeps its order; a notice of what was dropped comes before what follows
the gap.
Lives on the event loop's thread.
Does not cover: sending (`event_socket.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

LIMIT = 256


@dataclass(frozen=True, slots=True)
class _Waiting:
    text: str
    may_go: bool


class Outbox:
    """See the module's text."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._waiting: deque[_Waiting] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.dropped = 0

    def tell(self, text: str) -> None:
        """Puts in what may be dropped if the client does not read."""
        self._put(text, may_go=True)

    def say(self, text: str) -> None:
        """Puts in what must arrive: a piece of an answer (after `room`), or the reply to what the client sent."""
        self._put(text, may_go=False)

    async def room(self) -> None:
        """Waits until less waits than may."""
        while len(self._waiting) >= self._limit:
            self._room.clear()
            await self._room.wait()

    async def take(self) -> tuple[str, int]:
        """The next message, and how many were dropped before it. Waits for one."""
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        found = self._waiting.popleft()
        if len(self._waiting) < self._limit:
            self._room.set()
        dropped, self.dropped = self.dropped, 0
        return found.text, dropped

    def _put(self, text: str, may_go: bool) -> None:
        if len(self._waiting) >= self._limit:
            oldest = next((each for each in self._waiting if each.may_go), None)
            if oldest is not None:
                self._waiting.remove(oldest)
                self.dropped += 1
            elif may_go:  # nothing but tokens and replies: this one goes itself
                self.dropped += 1
                return
        self._waiting.append(_Waiting(text, may_go))
        self._news.set()
