"""Timers that agents set for a person.

    waiting -> rung (its time came, also while no daemon ran: then at the next start) -> gone (a person has seen it)

Promises: a timer is on the disk before it is said to be set, and rings once, after a restart too; the run that set it gets a step
if it is still under way.
Does not cover: a sound, or a sign on the screen: who watches asks `rows.timers` (GET /homefire/v1/agent/timers).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from homefire.errors import HomefireError
from homefire.store import RunRows, TimerRow

log = logging.getLogger("homefire.agent")
# A clock that is put forward is seen after so many seconds.
LONGEST_SLEEP = 30.0
Rung = Callable[[TimerRow], Awaitable[None]]


class Timers:
    """All timers of all keys. `rung` is told of each that rings; the owner sets it before `open`."""

    def __init__(self, rows: RunRows, now: Callable[[], float] = time.time) -> None:
        self.rung: Rung | None = None
        self._rows = rows
        self._now = now
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Rings what came due meanwhile, and waits for the others."""
        self._task = asyncio.ensure_future(self._wait())

    async def close(self) -> None:
        """Ends the waiting; timers stay."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def add(self, row: TimerRow) -> TimerRow:
        """Sets a timer, or gives the one that this call set before."""
        kept = await self._rows.add_timer(row)
        self._changed.set()
        return kept

    async def all(self, key: str) -> list[TimerRow]:
        """A key's timers that a person has not put away, the next one first."""
        return [row for row in await self._rows.timers(key) if row.state != "gone"]

    async def put_away(self, key: str, id_: str) -> bool:
        """A person has seen it, or does not want it any more; False if there is no such timer."""
        done = [await self._rows.set_timer(id_, key, state, "gone") for state in ("rung", "waiting")]
        return any(done)

    async def ring(self) -> float:
        """Rings what is due; the seconds until the next one."""
        waiting = await self._rows.timers(None, "waiting")
        for row in waiting:
            if row.due_at <= self._now() and await self._rows.set_timer(row.id, row.key, "waiting", "rung"):
                log.info("a timer of %s rings: %s", row.run, row.label)
                if self.rung is not None:
                    await self.rung(row)
        return min((row.due_at - self._now() for row in waiting if row.due_at > self._now()), default=LONGEST_SLEEP)

    async def _wait(self) -> None:
        while True:
            self._changed.clear()
            try:
                seconds = await self.ring()
            except HomefireError as problem:  # a full disk: the timer stays and is tried again
                log.warning("timers: %s", problem.message)
                seconds = LONGEST_SLEEP
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(seconds, LONGEST_SLEEP))):
                    await self._changed.wait()
