"""Where knowledge is kept, as searching, checking and embedding see it: the socket that two plugs fit.

| plug       | texts                | words                | vectors                   | file          |
|------------|----------------------|----------------------|---------------------------|---------------|
| embedded   | volumes in the home  | tantivy in the home  | sign bits and 8-bit rows  | `shelves.py`  |
| PostgreSQL | `texts`              | `chunks`, GIN        | a table each, HNSW        | `postgres.py` |

What documents there are says `store.KnowledgeRows`, or its heir on the server; what the ingest child writes is in `sinks.py`.
Promises: names and shapes only.
Does not cover: what an embedder is (`meaning.Embed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from homefire.knowledge.volumes import Place
from homefire.store import SpaceRow, TextRow


class Texts(Protocol):
    """Reading texts. Each may block, and raises StoreDamaged for a text that is not there."""

    def view(self, place: Place) -> memoryview:
        """All of it."""
        ...

    def read(self, place: Place, start: int = 0, end: int | None = None) -> bytes:
        """Bytes `start` to `end`."""
        ...

    def line_start(self, place: Place, line: int) -> int:
        """Where line `line` (from 1) begins; beyond the last line the text's end."""
        ...

    def line_of(self, place: Place, offset: int) -> int:
        """The line (from 1) of a byte."""
        ...


class Kept(Protocol):
    """What is kept of all collections. Methods raise KnowledgeStoreUnreachable where it is kept elsewhere."""

    @property
    def volumes(self) -> Texts:
        """The texts."""
        ...

    async def words(self, collection: int) -> Any:
        """`search(query, limit, allowed)`, `reload()` and `check()` as `index.words.Words` has them. Raises IndexDamaged."""
        ...

    async def vectors(self, collection: int, space: SpaceRow) -> Any:
        """`search(vector, limit, allowed)`, `known(hashes)` and `check()` as `index.vectors.Vectors`. Raises IndexDamaged."""
        ...

    async def vectors_writer(self, collection: int, space: SpaceRow) -> Any:
        """`append`, `copy`, `sync` and `close` as `index.vectors.VectorsWriter`. Raises IndexDamaged, IndexBusy."""
        ...

    async def scan(self, texts: Sequence[TextRow], pattern: Any, limit: int) -> Any:
        """As `index.scan.scan`, over these texts. Raises BadPattern, PatternTooSlow."""
        ...

    async def drop_words(self, collection: int) -> None:
        """Words that `check` found damaged go; they are made anew."""
        ...

    async def thinned(self, collection: int, space: SpaceRow) -> SpaceRow | None:
        """The vectors without the dead ones, once those are the larger part: the space that says so. None: not yet."""
        ...

    async def drop_vectors(self, collection: int, space: SpaceRow) -> None:
        """One embedder's vectors go."""
        ...

    def emptied(self, segments: Sequence[int]) -> None:
        """These segments of the volumes hold nothing any more, and go."""
        ...

    async def remove(self, collection: int, segments: Sequence[int]) -> None:
        """What a removed collection had goes, and these segments of the volumes."""
        ...

    async def sweep(self) -> None:
        """What a crash left of removed collections goes."""
        ...

    def changed(self, collection: int) -> None:
        """Something was committed."""
        ...

    def died(self, collection: int) -> None:
        """Texts died."""
        ...

    def close(self) -> None:
        """Lets everything go."""
        ...
