"""The room's door: collections made, listed, searched, looked into, checked, exported, removed.

    ingest -> ingest.py     search -> search.py     vectors -> meaning.py     checks -> checking.py     export -> exporting.py

Promises: nothing that takes processor time runs on the event loop; a collection is removed whole: rows first, then files, and
what a crash leaves of those is removed at the next start.
Does not cover: routes and rights (`server/`), the model that answers (`answer.py` is handed one).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homefire.errors import KnowledgeStoreUnreachable, UnknownDocument
from homefire.knowledge.checking import Checking
from homefire.knowledge.duplicates import ALIKE, near_duplicates
from homefire.knowledge.exporting import Exporting
from homefire.knowledge.ingest import Ingestion, IngestRules, Job
from homefire.knowledge.kept import Kept
from homefire.knowledge.meaning import Embed, Meaning
from homefire.knowledge.packing import PIECE, WINDOW
from homefire.knowledge.search import Judge, Question, Results, Search
from homefire.knowledge.shelves import Shelves
from homefire.knowledge.volumes import place_of
from homefire.knowledge.watch import Watch
from homefire.paths import Paths
from homefire.store import CollectionRow, DocumentRow, Filter, KnowledgeRows, Store

# Lines and bytes of a document that are shown at once.
MOST_LINES, MOST_BYTES = 2000, 512 * 1024
MOST_PAIRS = 1000
# How often a server that did not answer at the start is asked again.
WAIT_SECONDS = 15.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some lines of a document: `first` to `last` of `lines`; `cut`: there is more of them than may be shown at once."""

    path: str
    kind: str
    language: str
    first: int
    last: int
    lines: int
    text: str
    cut: bool


def embedded(store: Store, paths: Paths) -> tuple[KnowledgeRows, Kept]:
    """What is kept in the home itself."""
    rows = KnowledgeRows(store)
    return rows, Shelves(paths, rows)


class Knowledge:
    """All collections. `open` before use, `close` at the end. `elsewhere`: they are kept there, not in the home."""

    def __init__(
        self,
        store: Store,
        paths: Paths,
        rules: Callable[[], IngestRules],
        embed: Embed,
        judge: Judge | None = None,
        *,
        elsewhere: tuple[KnowledgeRows, Kept] | None = None,
    ) -> None:
        self.rows, self.shelves = elsewhere or embedded(store, paths)
        self._waiting: asyncio.Task[None] | None = None
        self.ingestion = Ingestion(self.rows, paths, rules, self._committed, self.shelves.emptied)
        self.meaning = Meaning(self.rows, self.shelves, embed)
        self.searching = Search(self.rows, self.shelves, embed, judge)
        self.checking = Checking(self.rows, self.shelves)
        self.exporting = Exporting(self.rows, self.shelves, self.ingestion)
        self.watch = Watch(self.rows, self.ingestion, paths.home)

    async def open(self) -> None:
        """Removes what was left of removed collections, then goes on with what was under way."""
        try:
            await self._take_up()
        except KnowledgeStoreUnreachable as problem:  # everything else of the daemon goes on
            log.warning("%s What was under way is taken up when it answers.", problem.message)
            self._waiting = asyncio.ensure_future(self._wait())
        self.meaning.open()
        self.watch.open()

    async def close(self) -> None:
        """Ends what is under way; it goes on with the next daemon."""
        if self._waiting is not None:
            self._waiting.cancel()
        await self.watch.close()
        await self.ingestion.close()
        await self.meaning.close()
        self.shelves.close()

    async def ingest(
        self, root: Path, name: str | None = None, *, watch: bool | None = None, full: bool = False
    ) -> Job:
        """Asks for a run over `root`. Raises CannotIngest, CollectionExists, InvalidRequest."""
        job = await self.ingestion.submit(root, name, watch=watch, full=full)
        self.watch.nudge()
        return job

    async def all(self) -> list[dict[str, Any]]:
        """Every collection as it is shown."""
        return [await self._view(row) for row in await self.rows.all()]

    async def show(self, name: str) -> dict[str, Any]:
        """One. Raises UnknownCollection."""
        return await self._view(await self.rows.get(name))

    async def documents(
        self, name: str, after: bytes = b"", limit: int = 200, state: str = "", entry: str = ""
    ) -> list[DocumentRow]:
        """A page of its documents, behind the path `after` and the entry in it. Raises UnknownCollection."""
        return await self.rows.documents((await self.rows.get(name)).id, after, limit, state, entry=entry)

    async def find(self, asked: Question) -> Results:
        """As `Search.find`."""
        return await self.searching.find(asked)

    async def excerpt(self, name: str, path: str, first: int = 1, count: int = 200) -> Excerpt:
        """Lines of a document, from `first` on. Raises UnknownCollection, UnknownDocument."""
        collection = await self.rows.get(name)
        document = await self.rows.document(collection.id, path)
        text = await self.rows.text(document.text) if document is not None and document.text is not None else None
        if document is None or text is None:
            raise UnknownDocument(f"Nothing was taken in of '{path}' in '{name}'.", param="path")
        place = place_of(text)
        first = max(1, min(first, place.lines))
        last = min(place.lines, first + max(1, min(count, MOST_LINES)) - 1)

        def read() -> bytes:
            volumes = self.shelves.volumes
            return volumes.read(place, volumes.line_start(place, first), volumes.line_start(place, last + 1))

        data = await asyncio.to_thread(read)
        return Excerpt(
            document.shown, document.kind, document.language, first, last, place.lines,
            data[:MOST_BYTES].decode("utf-8", "replace"), len(data) > MOST_BYTES,
        )  # fmt: skip

    async def verify(
        self, name: str, mend: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> dict[str, Any]:
        """Reads every byte of a collection; with `mend` what is damaged is made anew. Raises UnknownCollection."""
        collection = await self.rows.get(name)
        report = await self.checking.check(collection, progress)
        if mend and not report.whole:
            await self.checking.mend(collection, report)
            await self.ingestion.submit(Path(os.fsdecode(collection.root)), name)
            self.meaning.nudge()
        return report.view()

    async def duplicates(self, name: str, least: float = ALIKE) -> list[dict[str, Any]]:
        """Documents that are nearly the same, the most alike first. Raises UnknownCollection."""
        collection = await self.rows.get(name)
        pairs = (await asyncio.to_thread(near_duplicates, await self.rows.signatures(collection.id), least))[
            :MOST_PAIRS
        ]
        texts = sorted({text for pair in pairs for text in (pair.one, pair.other)})
        held = await self.rows.holders([collection.id], texts, Filter())
        shown = {text: [row.shown for _, row in rows] for text, rows in held.items()}
        return [
            {"one": shown[pair.one], "other": shown[pair.other], "similarity": pair.similarity, "bits": pair.bits}
            for pair in pairs
            if pair.one in shown and pair.other in shown
        ]

    async def export(self, name: str, target: Path, progress: Callable[[int, int], None] | None = None) -> int:
        """Writes a collection into one file; returns its bytes. Raises UnknownCollection, InvalidRequest, DiskFull."""
        return await self.exporting.write(await self.rows.get(name), target, progress)

    async def import_(self, source: Path, name: str | None = None) -> Job:
        """A run that makes a collection of an export. Raises BadArchive, CollectionExists, InvalidRequest."""
        return await self.exporting.read(source, name)

    async def remove(self, name: str) -> None:
        """Forgets a collection and its files; the folder that it came from is not touched. Raises UnknownCollection."""
        collection = await self.rows.get(name)
        job = self.ingestion.job(name)
        if job is not None and not job.ended:
            await self.ingestion.cancel(name)
        emptied = await self.rows.remove(collection.id)
        await self.shelves.remove(collection.id, emptied)
        self.watch.nudge()

    async def set_watch(self, name: str, watch: bool) -> None:
        """Whether the folder is watched. Raises UnknownCollection."""
        await self.rows.set_watch((await self.rows.get(name)).id, watch)
        self.watch.nudge()

    async def _take_up(self) -> None:
        await self.shelves.sweep()
        await self.ingestion.open()

    async def _wait(self) -> None:
        """Until the server answers."""
        while True:
            await asyncio.sleep(WAIT_SECONDS)
            with contextlib.suppress(KnowledgeStoreUnreachable):
                await self._take_up()
                self.watch.nudge()
                return

    async def _committed(self, collection: CollectionRow, ended: bool) -> None:
        self.shelves.changed(collection.id)
        if ended:
            self.shelves.died(collection.id)
        self.meaning.nudge(collection.name if ended else "")

    async def _view(self, row: CollectionRow) -> dict[str, Any]:
        job, facts = self.ingestion.job(row.name), row.facts
        states = facts.get("documents", {})
        return {
            "name": row.name,
            "root": os.fsdecode(row.root).encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
            "state": row.state,
            "watch": row.watch,
            "note": row.note,
            "documents": states.get("read", 0),
            "skipped": states.get("skipped", 0),
            "failed": states.get("failed", 0),
            "texts": facts.get("texts", 0),
            "bytes": facts.get("bytes", 0),
            "tokens": facts.get("bytes", 0) // 4,
            "chunks": facts.get("piece_bytes", 0) // PIECE.size,
            "windows": facts.get("window_bytes", 0) // WINDOW.size,
            "meaning": await self.meaning.state(row),
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "job": job.view() if job is not None else None,
        }
