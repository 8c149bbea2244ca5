"""A real Knowledge whose runs need no child: a scripted run commits rows through the real tables.

Promises: queue, joining, cancelling, rows and checks are the real ones; only what a child would do, and finding, is scripted.
Does not cover: reading, indexes (`tests/process/test_knowledge.py`).
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from homefire.errors import TaskDied
from homefire.knowledge import talk
from homefire.knowledge.found import Found
from homefire.knowledge.ingest import IngestRules, Job
from homefire.knowledge.knowledge import Knowledge
from homefire.knowledge.meaning import NoEmbed
from homefire.knowledge.search import Question, Results
from homefire.paths import Paths
from homefire.store import DocumentRow, Store

TEXT = "\ndef write(self):\n    return 1\n"
FOUND = Found("notes", "a b/x.py", "code", "python", 7, 6, 9, 100, 180, "Store.write", TEXT, 0.5, 1e9,
              "kb:notes:0123456789abcdef:100-180", ("copy.py",), {"lists": {"words": {"place": 1}}})  # fmt: skip


def row(path: bytes, entry: str = "", state: str = "skipped") -> DocumentRow:
    name = os.fsdecode(path).encode("utf-8", "replace").decode()
    shown = f"{name}!{entry}" if entry else name
    return DocumentRow(path, entry, shown, "mail", "", "", 10, 1, 2_500_000_000, b"s", None, 1, state, "secret_skipped",
                       "it holds keys", 1)  # fmt: skip


class ScriptedRoom(Knowledge):
    """`hold` cleared: a run waits in the middle; `dies`: it ends with TaskDied."""

    def __init__(self, store: Store, paths: Paths) -> None:
        super().__init__(store, paths, IngestRules, NoEmbed())
        self.hold = asyncio.Event()
        self.hold.set()
        self.dies = False
        self.runs = 0
        self.asked: list[Question] = []
        self.notes: tuple[str, ...] = ()
        self.found: tuple[Found, ...] = (FOUND,)
        self.ingestion._one = self._one  # type: ignore[method-assign]

    async def _one(self, job: Job) -> None:
        self.runs += 1
        started = await self.rows.start((await self.rows.get(job.collection)).id)
        job.state, job.started_at = "running", job.asked_at
        job.progress = talk.Progress(files=2, bytes=20, skipped=2, total_files=3, total_bytes=30, counted=True, now="m")
        job.tell()
        await self.hold.wait()
        if self.dies:
            raise TaskDied("The child that ingests was killed by signal 9.")
        documents = [row(b"a"), row(b"m", "1"), row(b"m", "2"), row(b"n\xff"), row(b"z", state="failed")]
        await self.rows.commit(started, started.batch + 1, {}, [], documents)
        await self.rows.finish(started, True, "")

    async def find(self, asked: Question) -> Results:
        self.asked.append(asked)
        for name in asked.collections:
            await self.rows.get(name)
        if len(asked.text) > 10_000 or not asked.text.strip():
            return await super().find(asked)
        return Results(self.found, self.notes, {"all": 1.5})


def scripted(rooms: list[Any]) -> Any:
    """What `rig.house` takes; the room made is put into `rooms`."""

    def make(store: Store, paths: Paths) -> ScriptedRoom:
        rooms.append(room := ScriptedRoom(store, paths))
        return room

    return make
