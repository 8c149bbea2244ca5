"""Long work as an event stream: `progress`, then one `done` or one `error`.

Promises: work ends when its client leaves (its thread at its next report); a download does not: it goes on without a listener; a
stream says something at least every ten seconds, so that no side takes it for dead.
Does not cover: what the work is (`models/`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from starlette.types import Send

from homefire.errors import HomefireError
from homefire.server.request import ClientGone, begin_events, end_events, send_event

T = TypeVar("T")
# Told (done, total) in bytes, from whatever thread works. What it raises ends the work.
Report = Callable[[int, int], None]
PROGRESS_SECONDS = 0.1
QUIET_SECONDS = 10.0


async def stream_work(send: Send, begin: Callable[[Report], Awaitable[T]], shape: Callable[[T], Any]) -> None:
    """Runs `begin(report)` and streams how far it is; `done` carries `shape` of what came out."""
    state = {"done_bytes": 0, "total_bytes": 0}
    left = False

    def report(done: int, total: int) -> None:
        if left:
            raise ClientGone  # a thread cannot be cancelled: this ends it, and it removes its part
        state["done_bytes"], state["total_bytes"] = done, total

    await begin_events(
        send
    )  # what fails here, such as the entry of the audit log, is an answer of its own; nothing has begun
    work = asyncio.ensure_future(begin(report))
    told, silent = None, 0.0
    try:
        while not work.done():
            await asyncio.wait((work,), timeout=PROGRESS_SECONDS)
            silent += PROGRESS_SECONDS
            if state != told or silent >= QUIET_SECONDS or work.done():
                told, silent = dict(state), 0.0
                await send_event(send, "progress", told)
        await send_event(send, "done", shape(work.result()))
    except HomefireError as problem:
        await send_event(send, "error", problem.envelope())
    finally:
        left = True
        if not work.done():
            work.cancel()
            await asyncio.wait((work,))  # a child that converts ends before the next work on the same model begins
    await end_events(send)


async def stream_states(
    send: Send, states: AsyncIterator[T], shape: Callable[[T], Any], end: Callable[[], Awaitable[Any]]
) -> None:
    """Streams each of `states` as `progress`; when they are over, what `end` gives as `done` or raises as `error`."""
    last: T | None = None
    upcoming: asyncio.Future[T | None] | None = None
    await begin_events(send)
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(anext(states, None))
            await asyncio.wait((upcoming,), timeout=QUIET_SECONDS)
            if upcoming.done():
                if (found := upcoming.result()) is None:
                    break
                last, upcoming = found, None
            if last is not None:
                await send_event(send, "progress", shape(last))
        await send_event(send, "done", await end())
    except HomefireError as problem:
        await send_event(send, "error", problem.envelope())
    finally:
        if upcoming is not None and not upcoming.done():
            upcoming.cancel()
            await asyncio.wait((upcoming,))
    await end_events(send)
