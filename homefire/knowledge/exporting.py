"""Writing a collection into one file and making a collection of one (`archive.py`).

Promises: the collection can be searched meanwhile; what is exported is what the database names at the beginning of each page.
Does not cover: the form of the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from homefire.errors import BadArchive, InvalidRequest
from homefire.knowledge import archive
from homefire.knowledge.ingest import Ingestion, Job
from homefire.knowledge.kept import Kept
from homefire.knowledge.talk import Document
from homefire.knowledge.volumes import place_of
from homefire.store import CollectionRow, DocumentRow, Filter, KnowledgeRows

PAGE = 200


class Exporting:
    """Both ways."""

    def __init__(self, rows: KnowledgeRows, shelves: Kept, ingestion: Ingestion) -> None:
        self._rows = rows
        self._shelves = shelves
        self._ingestion = ingestion

    async def write(
        self, collection: CollectionRow, target: Path, progress: Callable[[int, int], None] | None = None
    ) -> int:
        """Writes `target` (a new file; its folder must be there); returns its bytes. `progress(done, all)` counts bytes of text.
        Raises InvalidRequest, DiskFull, StoreDamaged and the like."""
        if not target.is_absolute() or not target.parent.is_dir() or target.exists():
            raise InvalidRequest(f"{target} must be a new file in a folder that is there.", param="target")
        facts = collection.facts
        head = archive.Head(
            archive.VERSION, collection.name, collection.root, int(facts.get("texts", 0)),
            sum(facts.get("documents", {}).values()),
        )  # fmt: skip
        writer = await asyncio.to_thread(archive.ArchiveWriter, target, head)
        try:
            await self._texts(collection, writer, progress or (lambda done, total: None))
            await self._loose(collection, writer)
            return await asyncio.to_thread(writer.finish)
        except BaseException:
            await asyncio.to_thread(writer.drop)
            raise

    async def read(self, source: Path, name: str | None) -> Job:
        """A run that makes a collection of an export, named as it was there unless `name` says otherwise. Raises BadArchive,
        CollectionExists, InvalidRequest."""
        if not source.is_absolute() or not source.is_file():
            raise InvalidRequest(f"{source} is no file with a full path.", param="source")

        def first() -> archive.Head:
            frames = archive.read(source)
            try:
                head = next(frames)
            finally:
                frames.close()  # type: ignore[attr-defined]
            if not isinstance(head, archive.Head):
                raise BadArchive(f"{source.name} has no head.")
            return head

        head = await asyncio.to_thread(first)
        return await self._ingestion.submit_archive(source, name or head.name, head.root)

    async def _texts(
        self, collection: CollectionRow, writer: archive.ArchiveWriter, progress: Callable[[int, int], None]
    ) -> None:
        after, done, total = 0, 0, int(collection.facts.get("bytes", 0))
        while page := await self._rows.live(collection.id, after, PAGE):
            after = page[-1][0]
            held = await self._rows.holders([collection.id], [text.id for _, text in page], Filter())
            for _, text in page:
                data = await asyncio.to_thread(self._shelves.volumes.read, place_of(text))
                documents = [_document(row) for _, row in held.get(text.id, [])]
                frame = archive.Kept(
                    text.digest, data, text.simhash, text.minhash, text.labels, text.pieces, text.windows, documents
                )
                await asyncio.to_thread(writer.add, frame)
                done += text.size
                progress(done, max(total, done))

    async def _loose(self, collection: CollectionRow, writer: archive.ArchiveWriter) -> None:
        after, entry = b"", ""
        while page := await self._rows.documents(collection.id, after, archive.DOCUMENTS, entry=entry):
            loose = [_document(row) for row in page if row.text is None]
            if loose:
                await asyncio.to_thread(writer.add, archive.Loose(loose))
            after, entry = page[-1].path, page[-1].entry


def _document(row: DocumentRow) -> Document:
    return Document(
        row.path, row.entry, row.shown, row.kind, row.language, row.title, row.size, row.trusted_ns, row.modified_ns,
        row.source, -1, row.line, row.state, row.code, row.reason,
    )  # fmt: skip
