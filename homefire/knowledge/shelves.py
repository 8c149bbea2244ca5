"""Where searching finds what ingesting made: the open indexes and volumes of all collections, one object for each.

Promises: an index is opened when it is first asked for and sees each commit; a damaged one raises IndexDamaged and is not kept;
nothing here writes.
Does not cover: making indexes (`ingest_child.py`, `meaning.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from homefire.errors import IndexDamaged
from homefire.knowledge.volumes import Volumes
from homefire.paths import Paths
from homefire.store import KnowledgeRows, SpaceRow


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
        return self._paths.collection_index(collection) / "words"

    def vectors_folder(self, collection: int, space: SpaceRow) -> Path:
        """The vectors of one embedder; its tag may be any text."""
        name = f"{hashlib.sha256(space.tag.encode()).hexdigest()[:16]}-{space.generation}"
        return self._paths.collection_index(collection) / "vectors" / name

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
