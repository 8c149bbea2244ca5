"""Whether what is stored of a collection is what was written: texts against their digests, indexes against their checksums.

Promises: every byte is read; what is damaged is named by document; `mend` gives up only what can be made again: a damaged text's
documents are read anew by the next ingestion, a damaged index is removed and made anew of the volumes.
Does not cover: the database itself (`homefire verify`), documents whose file is gone since: their text is lost, and said to be.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from homefire.errors import HomefireError, IndexDamaged, StoreDamaged
from homefire.knowledge.kept import Kept
from homefire.knowledge.volumes import place_of
from homefire.store import CollectionRow, Filter, KnowledgeRows, TextRow

PAGE = 500


@dataclass(slots=True)
class Report:
    """What was looked at and what was found: `damaged` are documents, `words` files of the index, `vectors` sets of vectors."""

    texts: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    vectors: list[str] = field(default_factory=list)
    mended: bool = False

    @property
    def whole(self) -> bool:
        return not (self.damaged or self.words or self.vectors)

    def view(self) -> dict[str, Any]:
        """As it is shown."""
        return {
            "texts": self.texts, "bytes": self.bytes, "damaged_documents": self.damaged, "damaged_words": self.words,
            "damaged_vectors": self.vectors, "whole": self.whole, "mended": self.mended,
        }  # fmt: skip


class Checking:
    """Checks one collection at a time."""

    def __init__(self, rows: KnowledgeRows, shelves: Kept) -> None:
        self._rows = rows
        self._shelves = shelves

    async def check(self, collection: CollectionRow, progress: Callable[[int, int], None] | None = None) -> Report:
        """Reads every byte of it. `progress(done, all)` counts bytes."""
        report, after = Report(), 0
        total = int(collection.facts.get("bytes", 0))
        while page := await self._rows.live(collection.id, after, PAGE):
            after = page[-1][0]
            for _, text in page:
                if not await asyncio.to_thread(self._good, text):
                    held = await self._rows.holders([collection.id], [text.id], Filter())
                    report.damaged += [each.shown for _, each in held.get(text.id, [])]
                report.texts, report.bytes = report.texts + 1, report.bytes + text.size
            if progress is not None:
                progress(report.bytes, max(total, report.bytes))
        report.words = await self._check_words(collection)
        report.vectors = await self._check_vectors(collection)
        return report

    async def mend(self, collection: CollectionRow, report: Report) -> None:
        """Removes what is damaged, for the next ingestion and the next vectors to make it anew."""
        await self._rows.distrust(collection.id, report.damaged)
        if report.words:
            await self._shelves.drop_words(collection.id)
        for space in await self._rows.spaces(collection.id):
            if space.name in report.vectors:
                await self._rows.drop_space(collection.id, space.tag)
                await self._shelves.drop_vectors(collection.id, space)
        self._shelves.died(collection.id)
        report.mended = True

    def _good(self, text: TextRow) -> bool:
        place = place_of(text)
        try:
            return hashlib.blake2b(self._shelves.volumes.view(place), digest_size=32).digest() == text.digest
        except StoreDamaged:
            return False

    async def _check_words(self, collection: CollectionRow) -> list[str]:
        try:
            words = await self._shelves.words(collection.id)
            bad: list[str] = await asyncio.to_thread(words.check)
            mark = await asyncio.to_thread(words.reload)
        except IndexDamaged as problem:
            return [problem.message]
        if mark < collection.batch and not bad:
            return ["the index is behind the database"]
        return bad

    async def _check_vectors(self, collection: CollectionRow) -> list[str]:
        bad = []
        for space in await self._rows.spaces(collection.id):
            try:
                vectors = await self._shelves.vectors(collection.id, space)
                if await asyncio.to_thread(vectors.check):
                    bad.append(space.name)
            except IndexDamaged:
                bad.append(space.name)
            except HomefireError as problem:
                bad.append(f"{space.name}: {problem.message}")
        return bad
