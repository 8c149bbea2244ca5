"""What the keeper knows beyond its own end: pins, keep-alives that a person set, the decision log, what loads really took, and
crashes, so that the end of the daemon forgives no crash loop.

    keeper ──note──> Book ──half a second later, all in one write──> Kept (the store)
           <──open── Book <──────────────────── load ───────────────

Promises: no method that notes awaits or writes; what a person wished is on disk when `flush` has returned; what else is lost by
kill -9 is at most the last half a second; a store that refuses costs nothing but that: what was noted is kept, bounded, and sent
again.
Lives on the event loop's thread.
Does not cover: what follows from it (`keeper.py`), the tables (`kept_in_store.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from homefire.errors import HomefireError
from homefire.residency.decisions import KEPT, Decisions, Entry
from homefire.supervision.backoff import CLEAN_AFTER, Backoff

log = logging.getLogger(__name__)

BEHIND_SECONDS, AGAIN_SECONDS = 0.5, 10.0
# Loads that are remembered; the oldest go first.
MOST_LOADS = 500


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is kept of one model. `keep_alive` in seconds as a person gave it (None: none did), `crashes` in seconds since 1970,
    `in_a_row` as in `Backoff`."""

    pinned: bool = False
    keep_alive: float | None = None
    crashes: tuple[float, ...] = ()
    in_a_row: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What loads of one model in one form took: most bytes of main memory, seconds until it was ready (None: not known)."""

    bytes: int = 0
    seconds: float | None = None


@dataclass(slots=True)
class Changes:
    """What is new since the last write; of a model or a load the whole row. A model without any wish goes."""

    models: dict[str, Wishes] = field(default_factory=dict)
    loads: dict[str, Measured] = field(default_factory=dict)
    decisions: dict[int, Entry] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.models or self.loads or self.decisions)


@dataclass(frozen=True, slots=True)
class Known:
    """All that was kept; decisions oldest first."""

    models: dict[str, Wishes] = field(default_factory=dict)
    loads: dict[str, Measured] = field(default_factory=dict)
    decisions: tuple[Entry, ...] = ()


class Kept(Protocol):
    """Where it is kept."""

    async def load(self) -> Known:
        """Everything."""
        ...

    async def save(self, changes: Changes) -> None:
        """Writes all of them or none. Raises DiskFull and the like."""
        ...


class Book:
    """See the module's text. `open()` before use, `close()` after it. Without a `kept` it knows until it ends. `clock` is the
    wall's, in seconds since 1970."""

    def __init__(self, kept: Kept | None = None, clock: Callable[[], float] = time.time) -> None:
        self._kept = kept
        self._clock = clock
        self._models: dict[str, Wishes] = {}
        self._loads: dict[str, Measured] = {}
        self._new = Changes()
        self._writing = asyncio.Lock()
        self._later: asyncio.Task[None] | None = None
        self.decisions = Decisions(clock, self._decided)

    async def open(self) -> None:
        """Reads what was kept. Raises what the store raises."""
        if self._kept is None:
            return
        known = await self._kept.load()
        now = self._clock()
        self._models = {name: _without_old(wishes, now) for name, wishes in known.models.items()}
        self._loads = dict(known.loads)
        self.decisions.restore(known.decisions)

    async def close(self) -> None:
        """Writes what is left; what cannot be written is lost."""
        if self._later is not None:
            self._later.cancel()
            await asyncio.wait((self._later,))
        with contextlib.suppress(HomefireError):
            await self.flush()

    async def flush(self) -> None:
        """Writes what is new now. Raises what the store raises; then it is tried again later."""
        async with self._writing:
            changes, self._new = self._new, Changes()
            if self._kept is None or not changes:
                return
            try:
                await self._kept.save(changes)
            except BaseException:
                self._new = Changes(
                    {**changes.models, **self._new.models},
                    {**changes.loads, **self._new.loads},
                    {**changes.decisions, **self._new.decisions},
                )
                self._bound()
                raise

    # -- what is known

    def pins(self) -> set[str]:
        """The pinned models."""
        return {name for name, wishes in self._models.items() if wishes.pinned}

    def keep_alive(self, model: str) -> float | None:
        """What a person set for it."""
        return self._wishes(model).keep_alive

    def measured(self, load: str) -> Measured:
        """What loads of this form took."""
        return self._loads.get(load, Measured())

    def backoffs(self, now: float) -> dict[str, Backoff]:
        """The records of models that crashed lately; `now` is the time of the clock that they are to count by."""
        since = self._clock() - now
        return {
            name: Backoff([min(at - since, now) for at in wishes.crashes], wishes.in_a_row)
            for name, wishes in self._models.items()
            if wishes.crashes
        }

    # -- what is new

    def pin(self, model: str, pinned: bool) -> None:
        """Notes a pin, or that there is none."""
        self._note(model, replace(self._wishes(model), pinned=pinned))

    def keep(self, model: str, seconds: float | None) -> None:
        """Notes a person's keep-alive, or that there is none."""
        self._note(model, replace(self._wishes(model), keep_alive=seconds))

    def crashed(self, model: str, backoff: Backoff, now: float) -> None:
        """Notes a record that has changed at `now` of its clock."""
        since = self._clock() - now
        crashes = tuple(round(at + since, 3) for at in backoff.crashes)
        self._note(model, replace(self._wishes(model), crashes=crashes, in_a_row=backoff.in_a_row))

    def forget(self, model: str) -> None:
        """The model is gone: another of this name owes nothing to it."""
        self._note(model, Wishes())

    def loaded(self, load: str, seconds: float) -> None:
        """Notes how long a load took."""
        self._note_load(load, replace(self.measured(load), seconds=round(seconds, 3)))

    def took(self, load: str, size: int) -> None:
        """Notes how much memory it was seen to take; only more than before counts."""
        found = self.measured(load)
        if size > found.bytes:
            self._note_load(load, replace(found, bytes=size))

    def _note(self, model: str, wishes: Wishes) -> None:
        if wishes != self._wishes(model):
            self._models[model] = self._new.models[model] = wishes
            self._soon()

    def _note_load(self, load: str, measured: Measured) -> None:
        self._loads.pop(load, None)  # the newest is the last
        self._loads[load] = self._new.loads[load] = measured
        self._soon()

    def _decided(self, entry: Entry) -> None:
        self._new.decisions[entry.number] = entry
        self._soon()

    def _wishes(self, model: str) -> Wishes:
        return self._models.get(model, Wishes())

    # -- writing

    def _soon(self) -> None:
        self._bound()
        if self._kept is not None and (self._later is None or self._later.done()):
            self._later = asyncio.get_running_loop().create_task(self._write_later())

    async def _write_later(self) -> None:
        pause = BEHIND_SECONDS
        while self._new:
            await asyncio.sleep(pause)
            try:
                await self.flush()
                pause = BEHIND_SECONDS
            except HomefireError as problem:
                if pause == BEHIND_SECONDS:
                    log.warning("what the keeper knows was not written: %s", problem.message)
                pause = AGAIN_SECONDS

    def _bound(self) -> None:
        while len(self._new.decisions) > KEPT:
            del self._new.decisions[min(self._new.decisions)]
        for loads in (self._new.loads, self._loads):
            while len(loads) > MOST_LOADS:
                del loads[next(iter(loads))]


def _without_old(wishes: Wishes, now: float) -> Wishes:
    """Crashes of which the last lies so far back that a child would have had a clean record by now do not count."""
    if wishes.crashes and abs(now - wishes.crashes[-1]) > CLEAN_AFTER:
        return replace(wishes, crashes=(), in_a_row=0)
    return wishes
