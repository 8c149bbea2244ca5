"""Folders that are kept fresh: changes in them lead to a run of their collection, some seconds after the last one.

Promises: a burst of changes is one run; where the system cannot tell of changes (too many folders, a network's disk), the folder
is walked every LOOK_SECONDS instead, which finds them too. Homefire's own files do not count.
Does not cover: what changed: the run compares for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path

from homefire.errors import HomefireError
from homefire.knowledge.ingest import Ingestion
from homefire.store import KnowledgeRows

log = logging.getLogger(__name__)

QUIET_MILLISECONDS = 1500
LOOK_SECONDS = 60.0


class Watch:
    """One task for each watched folder."""

    def __init__(self, rows: KnowledgeRows, ingestion: Ingestion, home: Path) -> None:
        self._home = f"{home.absolute()}{os.sep}"
        self._rows = rows
        self._ingestion = ingestion
        self._wake = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def open(self) -> None:
        """Begins; folders that changed while no daemon ran are looked at."""
        self._work = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Ends."""
        for task in [*self._tasks.values(), *filter(None, [self._work])]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def nudge(self) -> None:
        """Which folders are watched may have changed."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            with contextlib.suppress(HomefireError):
                wanted = {
                    row.name: Path(os.fsdecode(row.root)) for row in await self._rows.all() if row.watch and row.mine
                }
                for name in [name for name in self._tasks if name not in wanted]:
                    self._tasks.pop(name).cancel()
                for name, root in wanted.items():
                    if name not in self._tasks:
                        self._tasks[name] = asyncio.ensure_future(self._one(name, root))
            await self._wake.wait()

    async def _one(self, name: str, root: Path) -> None:
        try:
            while True:
                with contextlib.suppress(HomefireError):  # the folder may come back
                    await self._ingestion.submit(root, name)
                await self._changed(root)
        finally:
            self._tasks.pop(name, None)

    async def _changed(self, root: Path) -> None:
        """Returns when something changed and then nothing for a while, or after LOOK_SECONDS without means to see."""
        try:
            from watchfiles import DefaultFilter, awatch

            usual = DefaultFilter()
            async for _ in awatch(
                root,
                watch_filter=lambda change, path: not path.startswith(self._home) and usual(change, path),
                debounce=QUIET_MILLISECONDS,
                step=QUIET_MILLISECONDS // 3,
            ):
                return
        except (ImportError, OSError, RuntimeError) as problem:
            log.info("%s is looked at every %d s: %s", root, LOOK_SECONDS, problem)
        await asyncio.sleep(LOOK_SECONDS)
