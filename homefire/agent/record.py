"""A run's steps, on the disk and in memory: `Record` over a journal.

Promises: a step is on the disk before anybody sees it; steps have one order, whoever adds them; a caller that is cancelled while
it adds does not tear the order; a step that cannot be read is StoreDamaged, and nothing is changed then.
Does not cover: what a step means to a model (`window.py`), which runs there are (`runs.py`).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from homefire.agent.step import Asked, Begun, Called, Decided, Entry, Returned, Step, of_json, to_json
from homefire.durable import Journal
from homefire.errors import StoreDamaged

Heard = Callable[[Entry], None]


class RunRecord:
    """The steps of one run. Made by `open`; one at a time in all processes (HomeInUse)."""

    def __init__(self, journal: Journal, entries: list[Entry], now: Callable[[], float] = time.time) -> None:
        self.journal = journal
        self._entries = entries
        self._now = now
        self._turn = asyncio.Lock()
        self._hearing: list[Heard] = []

    @staticmethod
    async def open(folder: Path, now: Callable[[], float] = time.time, least: int = 0) -> RunRecord:
        """Reads what is there. `least`: how many steps had been there for certain. Raises StoreDamaged, HomeInUse, DiskFull."""

        def read() -> tuple[Journal, list[Entry]]:
            journal = Journal.open(folder)
            try:
                entries = [_entry(raw, n) for n, raw in enumerate(journal.read())]
                if len(entries) < least:
                    raise StoreDamaged(f"{folder} has {len(entries)} steps and had {least}.")
            except StoreDamaged:
                journal.release()
                raise
            return journal, entries

        return RunRecord(*await asyncio.to_thread(read), now)

    @property
    def entries(self) -> Sequence[Entry]:
        """All steps so far, oldest first."""
        return self._entries

    async def add(self, step: Step, tokens_in: int = 0, tokens_out: int = 0) -> Entry:
        """Returns when the step is on the disk. Raises StoreDamaged, DiskFull, HomeNotWritable: then it is not there."""
        return await asyncio.shield(asyncio.ensure_future(self._add(step, tokens_in, tokens_out)))

    def listen(self, heard: Heard) -> Callable[[], None]:
        """`heard` gets each new entry from now on; what is returned ends that."""
        self._hearing.append(heard)
        return lambda: self._hearing.remove(heard)

    async def close(self) -> None:
        """Waits for what is under way."""
        async with self._turn:
            await self.journal.close()

    async def _add(self, step: Step, tokens_in: int, tokens_out: int) -> Entry:
        async with self._turn:
            entry = Entry(len(self._entries), self._now(), step, tokens_in, tokens_out)
            # A lone surrogate in what a model wrote is kept as an escape.
            raw = json.dumps(to_json(entry), ensure_ascii=True, separators=(",", ":")).encode("ascii")
            await self.journal.add(raw)
            self._entries.append(entry)
        for heard in list(self._hearing):
            heard(entry)
        return entry


def read_entries(folder: Path) -> Iterator[Entry]:
    """The steps of a run that nobody runs now. Raises StoreDamaged, HomeInUse."""
    journal = Journal.open(folder)
    try:
        for n, raw in enumerate(journal.read()):
            yield _entry(raw, n)
    finally:
        journal.release()


def of_call(entries: Sequence[Entry], call: str) -> tuple[Entry | None, list[Step]]:
    """The last Called with this id, and what stands behind it about that call, oldest first."""
    at = next((e.n for e in reversed(entries) if isinstance(e.step, Called) and e.step.call == call), None)
    if at is None:
        return None, []
    behind = [e.step for e in entries[at + 1 :] if isinstance(e.step, Asked | Decided | Begun | Returned)]
    return entries[at], [step for step in behind if step.call == call]


def waiting_for(entries: Sequence[Entry]) -> list[Asked]:
    """Questions that a person has not decided yet; of a question that was asked again, the last one."""
    open_: dict[str, Asked] = {}
    for entry in entries:
        if isinstance(entry.step, Asked):
            open_[entry.step.call] = entry.step
        elif isinstance(entry.step, Decided | Returned):
            open_.pop(entry.step.call, None)
    return list(open_.values())


def begun_and_lost(entries: Sequence[Entry]) -> list[Begun]:
    """Effects that began and of which no result is kept."""
    open_: dict[str, Begun] = {}
    for entry in entries:
        if isinstance(entry.step, Begun):
            open_[entry.step.call] = entry.step
        elif isinstance(entry.step, Returned):
            open_.pop(entry.step.call, None)
    return list(open_.values())


def _entry(raw: bytes, n: int) -> Entry:
    try:
        entry = of_json(json.loads(raw))
    except ValueError:
        raise StoreDamaged(f"Step {n} of a run is no JSON.") from None
    if entry.n != n:
        raise StoreDamaged(f"Step {n} of a run says that it is step {entry.n}.")
    return entry
