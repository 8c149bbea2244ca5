"""What handles of collections open: `kb:notes:9f2c...` is a text of the collection "notes", read out of the volumes.

Promises: a text by the first half of its digest, whole; one that two texts have raises UnknownDocument, as one that none has.
Does not cover: keeping (what is in a collection came by ingestion), who may read (`server/scopes.py`).
"""

from __future__ import annotations

import asyncio

from homefire.errors import InvalidRequest, UnknownDocument
from homefire.knowledge.handles import Handle, Source
from homefire.knowledge.knowledge import Knowledge
from homefire.knowledge.volumes import place_of


class CollectionSources:
    """A `Sources` over the texts of collections that `gather` has looked up; opening blocks, so use a thread."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._known: dict[tuple[str, str], list[Source]] = {}

    async def gather(self, collection: str) -> list[tuple[str, bytes]]:
        """All texts of a collection with their handles; afterwards `open` finds them. Raises UnknownCollection."""
        row = await self._knowledge.rows.get(collection)
        texts = await self._knowledge.rows.places([row.id])

        def read() -> list[tuple[str, bytes]]:
            found = []
            for each in texts:
                digest = each.digest[:8].hex()
                data = self._knowledge.shelves.volumes.read(place_of(each))
                self._known.setdefault((collection, digest), []).append(Source(data, name=f"kb:{collection}:{digest}"))
                found.append((f"kb:{collection}:{digest}", data))
            return found

        return await asyncio.to_thread(read)

    def keep(self, source: Source) -> Handle:
        """Nothing is kept here. Raises InvalidRequest."""
        raise InvalidRequest("A collection takes texts in by ingestion alone.", "homefire ingest FOLDER")

    def open(self, handle: Handle) -> Source:
        """As `Sources.open`."""
        found = self._known.get((handle.room.removeprefix("kb:"), handle.digest[:16]), [])
        if len(found) != 1:
            raise UnknownDocument(f"'{handle}' names no text of a collection.")
        return found[0]

    def forget(self, handle: Handle) -> None:
        """Lets go of what was looked up; the collection stays as it is."""
        self._known.pop((handle.room.removeprefix("kb:"), handle.digest[:16]), None)
