"""The queue of downloads: which runs now, which waits, what was paused, and what survives the end of the daemon.

    queued ─start─> running ─> done
      ^  ^            │ │ └──> failed ──retry──> queued
      │  └──resume────┘ └────> cancelled
      └── paused <──pause (what came is kept)

Promises: at most `limit` transfers at once, the highest priority first and the oldest of equals; a second request for the same
target joins the first; a change is saved before it is told; after a restart what ran is queued again and goes on where it was;
nothing waits for a transfer that cannot start.
Does not cover: how a file is brought (`fetch.py`): a transfer is whatever `bring` does, resumable by itself; where the state is
kept (a `Keep` is handed in).
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from homefire.errors import DownloadCancelled, HomefireError, InternalError, UnknownDownload
from homefire.models.fetch_plan import Progress

State = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
Phase = Literal["resolving", "fetching", "checking", "converting", "quantizing", "done"]
ENDED: frozenset[State] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Download:
    """One download as it is now. `source` is what was asked for, `target` what it becomes (the key by which two requests are
    one), `quantization` the one asked for, `priority` higher first, `asked_at` in seconds since 1970, `done` and `total` in bytes
    of the present `phase`, `rate` in bytes a second, `eta` in seconds."""

    id: int
    source: str
    target: str
    priority: int = 0
    asked_at: float = 0.0
    state: State = "queued"
    done: int = 0
    total: int | None = None
    rate: float = 0.0
    eta: float | None = None
    code: str = ""
    message: str = ""
    next_step: str = ""
    quantization: str = ""
    phase: Phase = "resolving"


class Keep(Protocol):
    """Where downloads are kept over the end of the daemon."""

    async def load(self) -> list[Download]:
        """All that were saved."""

    async def save(self, download: Download) -> None:
        """Saves one, by its id."""

    async def forget(self, id: int) -> None:
        """Removes one."""


class Nowhere:
    """A `Keep` that keeps nothing."""

    async def load(self) -> list[Download]:
        """Nothing."""
        return []

    async def save(self, download: Download) -> None:
        """Nothing."""

    async def forget(self, id: int) -> None:
        """Nothing."""


def next_to_start(downloads: Iterable[Download], limit: int) -> Download | None:
    """The queued download that may start now, or None. Pure."""
    found = list(downloads)
    if sum(d.state == "running" for d in found) >= limit:
        return None
    waiting = [d for d in found if d.state == "queued"]
    return min(waiting, key=lambda d: (-d.priority, d.asked_at, d.id), default=None)


class Tell(Protocol):
    """How a transfer says how far it is."""

    def __call__(self, seen: Progress, phase: Phase = "fetching") -> None:
        """Notes bytes of a phase."""


Bring = Callable[[Download, Tell], Awaitable[None]]
Discard = Callable[[Download], Awaitable[None]]


class Downloads:
    """The queue. One event loop owns it.

    `bring(download, tell)` does the work, may be cancelled at any time and called again; `discard(download)` removes what an
    unfinished one left; `changed(download)` is told of every change, progress included. `limit`: transfers at once.
    """

    def __init__(
        self,
        bring: Bring,
        discard: Discard,
        keep: Keep | None = None,
        limit: int = 1,
        changed: Callable[[Download], None] = lambda _: None,
    ) -> None:
        self._bring = bring
        self._discard = discard
        self._keep = keep or Nowhere()
        self._changed = changed
        self.limit = limit
        self._all: dict[int, Download] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ends: dict[int, asyncio.Event] = {}
        self._closed = False

    async def open(self) -> None:
        """Reads what was kept and starts what may run."""
        for kept in await self._keep.load():
            again: State = "queued" if kept.state == "running" else kept.state
            self._all[kept.id] = replace(kept, state=again, rate=0.0, eta=None)
        self._start()

    async def close(self) -> None:
        """Stops what runs, as a kill would: it is saved as running and goes on after the next start."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def all(self) -> list[Download]:
        """Every download: running ones first, then in the order in which they will start, then those that ended."""
        order = {"running": 0, "queued": 1, "paused": 2}
        return sorted(self._all.values(), key=lambda d: (order.get(d.state, 3), -d.priority, d.asked_at, d.id))

    def get(self, id: int) -> Download:
        """Raises UnknownDownload."""
        if id not in self._all:
            raise UnknownDownload(f"There is no download {id}.")
        return self._all[id]

    async def add(self, source: str, target: str, priority: int = 0, quantization: str = "") -> Download:
        """Asks for a download. One for the same target that has not ended is joined instead: it gets the higher priority, and
        goes on if it was paused."""
        same = next((d for d in self._all.values() if d.target == target and d.state not in ENDED), None)
        if same is not None:
            state: State = "queued" if same.state == "paused" else same.state
            joined = await self._set(same.id, priority=max(priority, same.priority), state=state)
            self._start()
            return joined
        id = max(self._all, default=0) + 1
        download = Download(id, source, target, priority, time.time(), quantization=quantization)
        # Entered before it is saved: a second request meanwhile must find it.
        self._all[id] = download
        await self._set(id)
        self._start()
        return self._all[id]

    async def wait(self, id: int) -> Download:
        """Waits until a download has ended well. Raises what it failed with, DownloadCancelled, UnknownDownload."""
        while self.get(id).state not in ENDED:
            await self._ends.setdefault(id, asyncio.Event()).wait()
        ended = self.get(id)
        if ended.state == "cancelled":
            raise DownloadCancelled(f"The download of {ended.source} was cancelled.")
        if ended.state == "failed":
            raise _error_of(ended)
        return ended

    async def pause(self, id: int) -> Download:
        """Stops a download; what came is kept. No change if it has ended or is paused."""
        if self.get(id).state in ("queued", "running"):
            await self._halt(id, "paused")
        return self.get(id)

    async def resume(self, id: int) -> Download:
        """Queues a paused or failed download again."""
        if self.get(id).state in ("paused", "failed"):
            await self._set(id, state="queued", phase="resolving", code="", message="", next_step="")
            self._start()
        return self.get(id)

    async def cancel(self, id: int) -> Download:
        """Stops a download and removes what came. No change if it is done."""
        if self.get(id).state not in ("done", "cancelled"):
            await self._halt(id, "cancelled")
            await self._discard(self.get(id))
        return self.get(id)

    async def set_priority(self, id: int, priority: int) -> Download:
        """Moves a download in the queue. One that runs is not stopped for it."""
        self.get(id)
        return await self._set(id, priority=priority)

    async def forget(self, id: int) -> None:
        """Takes a download that has ended off the list. Raises UnknownDownload; cancels one that has not ended."""
        if self.get(id).state not in ENDED:
            await self.cancel(id)
        self._all.pop(id, None)
        await self._keep.forget(id)

    # -- inside

    async def _set(self, id: int, **fields: object) -> Download:
        """Changes a download, saves it, tells it."""
        self._all[id] = found = replace(self._all[id], **fields)  # type: ignore[arg-type]
        await self._keep.save(found)
        self._changed(found)
        if found.state in ENDED and (event := self._ends.pop(id, None)):
            event.set()
        return found

    def _start(self) -> None:
        """Starts what may run. Only marks and makes tasks, so that nothing comes between."""
        while not self._closed and (download := next_to_start(self._all.values(), self.limit)) is not None:
            id = download.id
            self._all[id] = replace(download, state="running")
            before = self._tasks.get(id)
            self._tasks[id] = task = asyncio.create_task(self._run(id, before))
            task.add_done_callback(functools.partial(self._ended, id))

    async def _run(self, id: int, before: asyncio.Task[None] | None) -> None:
        # What stands if a defect ends it: a download must never look as if it ran when nothing runs.
        fields = _failed(InternalError("The download ended for a reason that nothing describes."))
        try:
            if before is not None:  # paused and resumed at once: the old transfer still lets go of its file
                await _until_ended(before)
            await self._set(id)
            await self._bring(self._all[id], functools.partial(self._progressed, id))
            fields = {"state": "done", "phase": "done", "rate": 0.0, "eta": 0.0}
        except HomefireError as problem:
            fields = _failed(problem)
        except OSError as problem:
            fields = _failed(InternalError(f"The download ended: {problem}."))
        finally:
            # Whoever paused or cancelled it has written its state already, and it may run again in another task.
            mine = self._tasks.get(id) is asyncio.current_task() and self._all[id].state == "running"
            if mine and not self._closed:
                await self._set(id, **fields)
            self._start()

    def _ended(self, id: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(id) is task:
            del self._tasks[id]

    def _progressed(self, id: int, seen: Progress, phase: Phase = "fetching") -> None:
        found = self._all.get(id)
        if found is not None and found.state == "running":
            # Not saved: the partial file's own journal says how far it is.
            self._all[id] = replace(found, phase=phase, done=seen.done, total=seen.total, rate=seen.rate, eta=seen.eta)
            self._changed(self._all[id])

    async def _halt(self, id: int, state: State) -> None:
        """Ends the task of a download that is not to run any more, and lets the next one start."""
        # Cancelled before anything is awaited: a resume meanwhile makes a task of its own, which must not be hit.
        if (task := self._tasks.get(id)) is not None:
            task.cancel()
        await self._set(id, state=state, rate=0.0, eta=None)
        if task is not None:
            await asyncio.wait([task])
        self._start()


async def _until_ended(task: asyncio.Task[None]) -> None:
    """Waits for a task to end, also when cancelled; is cancelled then."""
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _failed(problem: HomefireError) -> dict[str, object]:
    return {
        "state": "failed", "rate": 0.0, "eta": None,
        "code": problem.code, "message": problem.message, "next_step": problem.next_step,
    }  # fmt: skip


def _error_of(ended: Download) -> HomefireError:
    """The error a download failed with, as it was."""
    from homefire.errors import from_envelope

    return from_envelope({"error": {"code": ended.code, "message": ended.message, "next_step": ended.next_step}})
