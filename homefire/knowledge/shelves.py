"""Where searching finds what ingesting made: the open indexes and volumes of all collections, one object for each.

The embedded plug of `kept.py`. Promises: an index is opened when it is first asked for and sees each commit; a damaged one
raises IndexDamaged and is not kept; nothing here writes.
Does not cover: making indexes (`ingest_child.py`, `meaning.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from homefire.errors import IndexDamaged
from homefire.knowledge.volumes import Volumes, lines_file, text_file
from homefire.paths import Digest, Paths
from homefire.store import KnowledgeRows, SpaceRow, TextRow

# Dead vectors below this number are not worth writing the rest anew; so many rows are written at once.
FEWEST_DEAD, COPIED_ROWS = 2000, 1000


class Shelves:
    """Open indexes by collection."""

    def __init__(self, paths: Paths, rows: KnowledgeRows) -> None:
        self._paths = paths
        self._rows = rows
        self.volumes = Volumes(paths.volumes)
        self._words: dict[int, Any] = {}
        self._vectors: dict[tuple[int, str], tuple[SpaceRow, Any]] = {}
        self._stale: set[int] = set()

    def words_folder(self, collection: int) -> Path:
        """The index of words."""
        return self._paths.word_index(collection)

    def vectors_folder(self, collection: int, space: SpaceRow) -> Path:
        """The vectors of one embedder; its tag may be any text."""
        embedder = Digest(hashlib.sha256(space.tag.encode()).hexdigest())
        return self._paths.vector_index(collection, embedder, space.generation)

    async def words(self, collection: int) -> Any:
        """The index of words (`index.words.Words`), with the last commit in sight. Raises IndexDamaged, PackageMissing."""
        stale = collection in self._stale
        self._stale.discard(collection)
        return await asyncio.to_thread(self._open_words, collection, stale)

    async def vectors(self, collection: int, space: SpaceRow) -> Any:
        """The vectors (`index.vectors.Vectors`) as far as they count. Raises IndexDamaged, PackageMissing."""
        known = self._vectors.get((collection, space.tag))
        if known is not None and known[0] == space:
            return known[1]
        dead = await self._rows.dead(collection)
        folder = self.vectors_folder(collection, space)

        def opened() -> Any:
            import numpy as np

            from homefire.index.vectors import Vectors

            return Vectors(folder, space.width, space.rows, np.array(dead, np.uint64))

        found = await asyncio.to_thread(opened)
        self._vectors[collection, space.tag] = (space, found)
        return found

    async def vectors_writer(self, collection: int, space: SpaceRow) -> Any:
        """What adds to the vectors behind `space.rows` (`index.vectors.VectorsWriter`). Raises IndexDamaged, IndexBusy."""
        from homefire.index.vectors import VectorsWriter

        folder = self.vectors_folder(collection, space)
        return await asyncio.to_thread(VectorsWriter, folder, space.width, space.rows)

    async def scan(self, texts: Sequence[TextRow], pattern: Any, limit: int) -> Any:
        """Where a pattern (`index.scan.Pattern`) matches in these texts, in their order (`index.scan.Scanned`; offsets from each
        text's start). Raises BadPattern, PatternTooSlow."""
        from homefire.index.scan import scan

        segments = sorted({row.segment for row in texts})
        files = [text_file(self.volumes.folder, segment) for segment in segments]
        spans = [(segments.index(row.segment), row.start, row.start + row.size) for row in texts]
        return await asyncio.to_thread(scan, files, spans, pattern, limit)

    async def drop_words(self, collection: int) -> None:
        """Removes a damaged index of words; the next run makes it anew."""
        self.drop(collection)
        await asyncio.to_thread(shutil.rmtree, self.words_folder(collection), ignore_errors=True)

    async def thinned(self, collection: int, space: SpaceRow) -> SpaceRow | None:
        """The vectors anew without the dead ones, once those are the larger part: the space that says so. None: not yet."""
        before = await self.vectors(collection, space)
        if before.dead < max(FEWEST_DEAD, before.rows // 2):
            return None
        new = replace(space, generation=space.generation + 1)
        return replace(new, rows=await asyncio.to_thread(_copied, self.vectors_folder(collection, new), before))

    async def drop_vectors(self, collection: int, space: SpaceRow) -> None:
        """Removes one embedder's vectors."""
        self._vectors.pop((collection, space.tag), None)
        await asyncio.to_thread(shutil.rmtree, self.vectors_folder(collection, space), ignore_errors=True)

    def emptied(self, segments: Sequence[int]) -> None:
        """Volumes that hold nothing any more."""
        for segment in segments:
            self.volumes.drop(segment)
            for file in (text_file(self._paths.volumes, segment), lines_file(self._paths.volumes, segment)):
                file.unlink(missing_ok=True)

    async def remove(self, collection: int, segments: Sequence[int]) -> None:
        """Removes what a collection that is no more had, and segments of volumes that hold no text any more."""
        self.drop(collection)
        await asyncio.to_thread(shutil.rmtree, self._paths.collection_index(collection), ignore_errors=True)
        self.emptied(segments)

    async def sweep(self) -> None:
        """Removes the folders of collections that are no more: a crash left them."""
        known = {str(row.id) for row in await self._rows.all()}
        await asyncio.to_thread(_sweep, self._paths.indexes, known)

    def changed(self, collection: int) -> None:
        """Something was committed: the index of words is looked at anew before the next search."""
        self._stale.add(collection)

    def died(self, collection: int) -> None:
        """Texts died: vectors are opened anew, without them."""
        for key in [key for key in self._vectors if key[0] == collection]:
            del self._vectors[key]

    def drop(self, collection: int) -> None:
        """Forgets a collection that is no more."""
        self._words.pop(collection, None)
        self._stale.discard(collection)
        self.died(collection)

    def close(self) -> None:
        """Lets all go."""
        self._words.clear()
        self._vectors.clear()
        self.volumes.close()

    def _open_words(self, collection: int, stale: bool) -> Any:
        from homefire.index.words import Words

        found = self._words.get(collection)
        if found is None:
            found = self._words[collection] = Words(self.words_folder(collection))
        elif stale:
            try:
                found.reload()
            except IndexDamaged:
                del self._words[collection]
                raise
        return found


def _sweep(indexes: Path, known: set[str]) -> None:
    if indexes.is_dir():
        for folder in indexes.iterdir():
            if folder.name.isdecimal() and folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


def _copied(folder: Path, before: Any) -> int:
    """The living rows in a folder of their own, whatever a death had left there; returns how many."""
    from homefire.index.vectors import VectorsWriter

    shutil.rmtree(folder, ignore_errors=True)
    writer = VectorsWriter(folder, before.width, 0)
    try:
        alive = before.alive_rows()
        for first in range(0, len(alive), COPIED_ROWS):
            rows = alive[first : first + COPIED_ROWS]
            windows = before.windows[rows]
            spans = list(zip(windows["start"], windows["length"], strict=True))
            writer.copy(before, rows, windows["id"], spans, windows["whole"])
            writer.sync()
        return int(writer.rows)
    finally:
        writer.close()
