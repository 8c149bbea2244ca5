"""Knowledge as rows: collections, documents, texts and where they lie, how far indexes have come.

    ingest: create -> start -> (unchanged | known | commit)* -> finish
    search: allowed (filters) -> [index] -> pieces (of the numbers found) -> documents (that have the text)

Promises: a batch counts whole or not at all, together with the ends of the files that it made longer; a text that no document has
is dead in its collection from the same transaction on, and forgotten when no collection has it; numbers of texts are never
used again.
The SQL here is read by SQLite and by PostgreSQL (`postgres.py`), so it keeps to what both understand.
Does not cover: the files themselves (`knowledge/volumes.py`, `index/`), what is packed in `pieces` and `windows`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import apsw

from homefire.errors import CollectionExists, UnknownCollection
from homefire.store.database import Row, Store

_COLLECTION = "id, name, root, state, watch, run, batch, note, facts, created_at, updated_at"
_END = "INSERT INTO volume_ends VALUES (?, ?, ?) ON CONFLICT (segment) DO UPDATE SET text = excluded.text, lines = excluded.lines"
# As many values as SQLite takes of one statement with ease.
_AT_ONCE = 500
_TEXT = "id, digest, segment, start, size, lines, marks, simhash, minhash, labels, pieces, windows"
_DOCUMENT = (
    "path, entry, shown, kind, language, title, size, trusted_ns, modified_ns, source, text, line, state, code, reason, "
    "reader"
)


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """`root`: the folder's path as the system's bytes. `run` counts ingestions, `batch` commits; `state`: "new", "ingesting" or
    "ready"; `note` says why the last ingestion ended early. Times in Unix seconds. `mine`: this Homefire ingests it; where
    several share a server, the others search it."""

    id: int
    name: str
    root: bytes
    state: str
    watch: bool
    run: int
    batch: int
    note: str
    facts: dict[str, Any]
    created_at: float
    updated_at: float
    mine: bool = True


@dataclass(frozen=True, slots=True)
class TextRow:
    """A text: bytes `start` to `start + size` of a segment of the volumes. `data` and `name` (of one of its documents) are there
    only on the way into a store that holds texts itself."""

    id: int
    digest: bytes
    segment: int
    start: int
    size: int
    lines: int
    marks: int
    simhash: int
    minhash: bytes
    labels: str
    pieces: bytes
    windows: bytes
    data: bytes = b""
    name: str = ""


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A file, or with `entry` a part of one. `shown` is path and entry as people read them; `trusted_ns` is the file's time to
    compare with, 0 if it was too fresh to show a change that came soon after; `text` None: nothing of it was taken in, `code` and
    `reason` say why; `line` is the file's line that the text begins with; `reader` is the version of what read it."""

    path: bytes
    entry: str
    shown: str
    kind: str
    language: str
    title: str
    size: int
    trusted_ns: int
    modified_ns: int
    source: bytes
    text: int | None
    line: int
    state: str
    code: str
    reason: str
    reader: int


@dataclass(frozen=True, slots=True)
class PieceRow:
    """One piece of a text: the packed piece itself, its label, and where its text lies."""

    id: int
    piece: bytes
    label: str
    text: TextRow


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """Vectors of one collection by one embedder: `rows` of them count; texts up to `upto` (their `seq`) are in; `generation`
    counts how often they were written anew without the dead ones."""

    tag: str
    name: str
    width: int
    rows: int
    upto: int
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """What a search is narrowed to; empty: all. `path` is a glob (`*` also over slashes); times in Unix seconds."""

    path: str = ""
    kind: str = ""
    language: str = ""
    since: float = 0.0
    until: float = 0.0

    def __bool__(self) -> bool:
        return self != Filter()


class KnowledgeRows:
    """The tables of migration 11."""

    holds_texts = False
    """Whether texts and their words come here too, instead of into files."""
    _columns = _COLLECTION

    def __init__(self, store: Store) -> None:
        self._store = store

    # -- collections

    async def all(self) -> list[CollectionRow]:
        """Every collection, by name."""
        query = f"SELECT {self._columns} FROM collections ORDER BY name"  # nosec B608 # our own columns
        rows: list[Row] = await self._store.read(lambda c: c.execute(query).fetchall())
        return [_collection(row) for row in rows]

    async def get(self, name: str) -> CollectionRow:
        """One. Raises UnknownCollection."""
        query = f"SELECT {self._columns} FROM collections WHERE name = ?"  # nosec B608 # our own columns
        row = await self._store.read(lambda c: c.execute(query, (name,)).fetchone())
        if row is None:
            raise UnknownCollection(f"There is no collection '{name}'.", param="name")
        return _collection(row)

    async def create(self, name: str, root: bytes, watch: bool = False) -> CollectionRow:
        """A new, empty one. Raises CollectionExists."""

        def change(c: apsw.Connection) -> None:
            if c.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
                raise CollectionExists(f"There is a collection '{name}' already, of another folder.", param="name")
            now = time.time()
            c.execute(
                "INSERT INTO collections (name, root, state, watch, run, batch, note, facts, created_at, updated_at)"
                " VALUES (?, ?, 'new', ?, 0, 0, '', '{}', ?, ?)",
                (name, root, int(watch), now, now),
            )

        await self._store.write(change)
        return await self.get(name)

    async def set_watch(self, collection: int, watch: bool) -> None:
        """Whether the folder is watched."""
        query = "UPDATE collections SET watch = ? WHERE id = ?"
        await self._store.write(lambda c: c.execute(query, (int(watch), collection)))

    async def remove(self, collection: int) -> list[int]:
        """Forgets it and every text that no other has. Returns the segments of the volumes that hold no text any more."""

        def change(c: apsw.Connection) -> list[int]:
            mine = "SELECT text FROM collection_texts WHERE collection = ?"
            texts = [row[0] for row in c.execute(mine, (collection,))]
            c.execute("DELETE FROM documents WHERE collection = ?", (collection,))
            c.execute("DELETE FROM collections WHERE id = ?", (collection,))
            _forget(c, texts)
            return _emptied(c)

        return await self._store.write(change)

    # -- ingesting

    async def start(self, collection: int) -> CollectionRow:
        """A new run begins."""

        def change(c: apsw.Connection) -> Any:
            c.execute(
                "UPDATE collections SET run = run + 1, state = 'ingesting', note = '' WHERE id = ?", (collection,)
            )
            query = f"SELECT {self._columns} FROM collections WHERE id = ?"  # nosec B608 # our own columns
            return c.execute(query, (collection,)).fetchone()

        row = await self._store.write(change)
        if row is None:
            raise UnknownCollection("The collection was removed.")
        return _collection(row)

    async def ends(self) -> dict[int, tuple[int, int]]:
        """How many bytes of text and of line offsets are valid, by segment."""
        rows: list[Row] = await self._store.read(
            lambda c: c.execute("SELECT segment, text, lines FROM volume_ends").fetchall()
        )
        return {segment: (text, lines) for segment, text, lines in rows}

    async def next_text(self) -> int:
        """A number that no text has had."""
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'texts'"
        row = await self._store.read(lambda c: c.execute(query).fetchone())
        return (row[0] if row else 0) + 1

    async def unchanged(
        self, collection: CollectionRow, reader: int, files: Sequence[tuple[bytes, int, int]]
    ) -> list[bool]:
        """Which files (path, bytes, mtime in ns) are as they were when this reader looked at them; notes that they are there."""

        def change(c: apsw.Connection) -> list[bool]:
            query = (
                "UPDATE documents SET seen = ? WHERE collection = ? AND path = ? AND entry = '' AND size = ?"
                " AND trusted_ns = ? AND reader = ?"
            )
            found = []
            for path, size, mtime in files:
                c.execute(query, (collection.run, collection.id, path, size, mtime, reader))
                found.append(c.changes() == 1)
            return found

        return await self._store.write(change)

    async def known(self, collection: int, digests: Sequence[bytes]) -> dict[bytes, tuple[int, bool]]:
        """Of texts that are here already: their number, and whether this collection has them (alive)."""

        def query(c: apsw.Connection) -> dict[bytes, tuple[int, bool]]:
            found = {}
            for digest in digests:
                row = c.execute(
                    "SELECT t.id, o.dead FROM texts t LEFT JOIN collection_texts o ON o.text = t.id AND o.collection = ?"
                    " WHERE t.digest = ?",
                    (collection, digest),
                ).fetchone()
                if row is not None:
                    found[digest] = (row[0], row[1] == 0)
            return found

        return await self._store.read(query)

    async def commit(
        self,
        collection: CollectionRow,
        batch: int,
        ends: dict[int, tuple[int, int]],
        texts: Sequence[TextRow],
        documents: Sequence[DocumentRow],
        *,
        continued: frozenset[bytes] = frozenset(),
    ) -> list[int]:
        """What a batch brought. All entries of a document's path are replaced, but for those of `continued`. Returns the texts
        that died of it."""
        return await self._store.write(
            lambda c: self._commit(c, collection, batch, ends, texts, documents=documents, continued=continued)
        )

    def _commit(
        self,
        c: apsw.Connection,
        collection: CollectionRow,
        batch: int,
        ends: dict[int, tuple[int, int]],
        texts: Sequence[TextRow],
        *,
        documents: Sequence[DocumentRow],
        continued: frozenset[bytes],
    ) -> list[int]:
        c.execute("UPDATE collections SET batch = ? WHERE id = ?", (batch, collection.id))
        if c.changes() == 0:
            raise UnknownCollection(f"The collection '{collection.name}' was removed.")
        for segment, (text, lines) in ends.items():
            c.execute(_END, (segment, text, lines))
        c.executemany(
            f"INSERT INTO texts ({_TEXT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # nosec B608 # our own columns
            [_values(row) for row in texts],
        )
        before = _replaced(c, collection.id, {row.path for row in documents} - continued)
        c.executemany(
            f"INSERT INTO documents (collection, seen, {_DOCUMENT})"  # nosec B608 # our own columns
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(collection.id, collection.run, *_document_values(row)) for row in documents],
        )
        _revive(c, collection.id, [row.text for row in documents if row.text is not None])
        return _bury(c, collection.id, before)

    async def distrust(self, collection: int, shown: Sequence[str]) -> list[int]:
        """What was taken in of these documents is not what it was: the next run reads them anew. Returns the texts that died of
        it; where another collection has one too, its documents are distrusted as well."""

        def change(c: apsw.Connection) -> list[int]:
            mine = "SELECT DISTINCT text FROM documents WHERE collection = ? AND shown = ? AND text IS NOT NULL"
            texts = {row[0] for each in shown for row in c.execute(mine, (collection, each))}
            for text in texts:
                holders = c.execute(
                    "SELECT DISTINCT collection, path FROM documents WHERE text = ?", (text,)
                ).fetchall()
                for holder, path in cast("list[tuple[int, bytes]]", holders):
                    _unread(c, holder, path)
            _forget(c, sorted(texts))
            return sorted(texts)

        return await self._store.write(change)

    async def finish(self, collection: CollectionRow, complete: bool, note: str = "") -> list[int]:
        """A run's end. After a complete one, what was not seen in it is gone. Returns the texts that died of that."""

        def change(c: apsw.Connection) -> list[int]:
            gone: list[int] = []
            if complete:
                unseen = (
                    "FROM documents WHERE collection = ? AND seen < ? AND path NOT IN"
                    " (SELECT path FROM documents WHERE collection = ? AND seen >= ? AND entry = '')"
                )
                given = (collection.id, collection.run, collection.id, collection.run)
                before = sorted(r[0] for r in c.execute(f"SELECT DISTINCT text {unseen}", given) if r[0] is not None)  # nosec B608 # our own words
                c.execute(f"DELETE {unseen}", given)  # nosec B608 # our own words
                gone = _bury(c, collection.id, before)
            c.execute(
                "UPDATE collections SET state = ?, note = ?, facts = ?, updated_at = ? WHERE id = ?",
                (
                    "ready" if complete else "stopped",
                    note,
                    json.dumps(_facts(c, collection.id)),
                    time.time(),
                    collection.id,
                ),
            )
            return gone

        return await self._store.write(change)

    async def dead(self, collection: int) -> list[int]:
        """The texts that indexes still hold and no document has, in order."""
        query = "SELECT text FROM collection_texts WHERE collection = ? AND dead = 1 ORDER BY text"
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (collection,)).fetchall())
        return [row[0] for row in rows]

    async def live(self, collection: int, after: int, limit: int) -> list[tuple[int, TextRow]]:
        """Texts in the order they came, behind `seq` `after`, each with its `seq`."""
        query = (
            f"SELECT o.seq, {', '.join('t.' + each for each in _TEXT.split(', '))} FROM collection_texts o"  # nosec B608 # our own columns
            " JOIN texts t ON t.id = o.text WHERE o.collection = ? AND o.seq > ? AND o.dead = 0 ORDER BY o.seq LIMIT ?"
        )
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (collection, after, limit)).fetchall())
        return [(row[0], TextRow(*row[1:])) for row in rows]

    async def signatures(self, collection: int) -> list[TextRow]:
        """SimHash and MinHash of every living text, without what is packed."""
        query = (
            "SELECT t.id, t.digest, t.segment, t.start, t.size, t.lines, t.marks, t.simhash, t.minhash FROM collection_texts o"
            " JOIN texts t ON t.id = o.text WHERE o.collection = ? AND o.dead = 0 ORDER BY t.id"
        )
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (collection,)).fetchall())
        return [TextRow(*(*row, "", b"", b"")) for row in rows]

    async def forget_dead(self, collection: int, texts: Sequence[int]) -> None:
        """No index of the collection holds these dead texts any more: one that comes back is new to it."""

        def change(c: apsw.Connection) -> None:
            for text in texts:
                c.execute(
                    "DELETE FROM collection_texts WHERE collection = ? AND text = ? AND dead = 1", (collection, text)
                )

        await self._store.write(change)

    async def sparse(self, share: float, limit: int) -> list[TextRow]:
        """Texts in full segments of the volumes of which less than `share` is alive, `limit` bytes of them at most (one at
        least); without what is packed."""

        def query(c: apsw.Connection) -> list[TextRow]:
            (newest,) = c.execute("SELECT coalesce(max(segment), 0) FROM volume_ends").fetchone() or (0,)
            segments = [
                row[0]
                for row in c.execute(
                    "SELECT e.segment FROM volume_ends e LEFT JOIN texts t ON t.segment = e.segment WHERE e.segment < ?"
                    " GROUP BY e.segment HAVING coalesce(sum(t.size), 0) < ? * e.text",
                    (newest, share),
                )
            ]
            found: list[TextRow] = []
            taken = 0
            for row in c.execute(
                "SELECT id, digest, segment, start, size, lines, marks FROM texts"
                f" WHERE segment IN ({_marks(segments)}) ORDER BY segment, start",  # nosec B608 # marks
                tuple(segments),
            ):
                text = TextRow(*(*row, 0, b"", "", b"", b""))
                if found and taken + text.size > limit:
                    break
                found.append(text)
                taken += text.size
            return found

        return await self._store.read(query)

    async def moved(
        self, ends: dict[int, tuple[int, int]], places: Sequence[tuple[int, int, int, int, int, int]]
    ) -> list[int]:
        """Texts lie elsewhere now: (number, segment, start, size, lines, marks) of each. Returns the segments that hold no text
        any more; their ends are forgotten."""

        def change(c: apsw.Connection) -> list[int]:
            for segment, (text, lines) in ends.items():
                c.execute(_END, (segment, text, lines))
            for number, segment, start, _, lines, marks in places:
                c.execute(
                    "UPDATE texts SET segment = ?, start = ?, lines = ?, marks = ? WHERE id = ?",
                    (segment, start, lines, marks, number),
                )
            return _emptied(c)

        return await self._store.write(change)

    async def last_seq(self, collection: int) -> int:
        """The newest text's `seq`; 0: there is none."""
        query = "SELECT coalesce(max(seq), 0) FROM collection_texts WHERE collection = ?"
        row = await self._store.read(lambda c: c.execute(query, (collection,)).fetchone())
        return int(row[0]) if row else 0

    # -- searching

    def _where(self, wanted: Filter) -> tuple[str, tuple[Any, ...]]:
        """The conditions of a filter and their values."""
        parts = (
            (" AND shown GLOB ?", wanted.path),
            (" AND kind = ?", wanted.kind),
            (" AND language = ?", wanted.language),
            (" AND modified_ns >= ?", int(wanted.since * 1e9)),
            (" AND modified_ns < ?", int(wanted.until * 1e9)),
        )
        return "".join(sql for sql, value in parts if value), tuple(value for _, value in parts if value)

    async def allowed(self, collection: int, wanted: Filter) -> list[int]:
        """The texts of documents that a filter lets through, in order."""
        where, given = self._where(wanted)
        query = f"SELECT DISTINCT text FROM documents WHERE collection = ? AND text IS NOT NULL{where} ORDER BY text"  # nosec B608 # our own words
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (collection, *given)).fetchall())
        return [row[0] for row in rows]

    async def pieces(self, ids: Iterable[int], shift: int, width: int) -> dict[int, PieceRow]:
        """Pieces by their numbers (the text's, shifted, and the piece's own), each `width` bytes. Unknown ones are left out."""

        def query(c: apsw.Connection) -> dict[int, PieceRow]:
            found: dict[int, PieceRow] = {}
            for number in ids:
                text, piece = number >> shift, number & ((1 << shift) - 1)
                row = c.execute(
                    "SELECT id, digest, segment, start, size, lines, marks, substr(pieces, ?, ?) FROM texts WHERE id = ?",
                    (piece * width + 1, width, text),
                ).fetchone()
                if row is None or len(row[7]) != width:
                    continue
                label = int.from_bytes(row[7][12:16], "little")
                named = c.execute("SELECT labels ->> ? FROM texts WHERE id = ?", (label, text))
                (name,) = named.fetchone() or (None,)
                found[number] = PieceRow(number, row[7], name or "", TextRow(*(*row[:7], 0, b"", "", b"", b"")))
            return found

        return await self._store.read(query)

    async def places(self, collections: Sequence[int]) -> list[TextRow]:
        """Where every living text of these collections lies, in the order of the volumes; without what is packed."""
        query = (
            "SELECT DISTINCT t.id, t.digest, t.segment, t.start, t.size, t.lines, t.marks FROM collection_texts o"
            f" JOIN texts t ON t.id = o.text WHERE o.collection IN ({_marks(collections)}) AND o.dead = 0"  # nosec B608 # marks
            " ORDER BY t.segment, t.start"
        )
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, tuple(collections)).fetchall())
        return [TextRow(*(*row, 0, b"", "", b"", b"")) for row in rows]

    async def piece_at(self, text: int, offset: int, width: int) -> int:
        """The last piece of a text that begins at or before a byte; pieces are packed in `width` bytes, their start first."""

        def query(c: apsw.Connection) -> int:
            row = c.execute("SELECT pieces FROM texts WHERE id = ?", (text,)).fetchone()
            packed = cast("bytes", row[0]) if row is not None else b""
            low, high = 0, max(0, len(packed) // width - 1)
            while low < high:
                middle = (low + high + 1) // 2
                if int.from_bytes(packed[middle * width : middle * width + 4], "little") <= offset:
                    low = middle
                else:
                    high = middle - 1
            return low

        return await self._store.read(query)

    async def holders(
        self, collections: Sequence[int], texts: Sequence[int], wanted: Filter
    ) -> dict[int, list[tuple[int, DocumentRow]]]:
        """The documents (each with its collection) that have these texts and pass the filter, by text, in the order of their
        paths."""
        where, given = self._where(wanted)

        def query(c: apsw.Connection) -> dict[int, list[tuple[int, DocumentRow]]]:
            found: dict[int, list[tuple[int, DocumentRow]]] = {}
            sql = (
                f"SELECT collection, {_DOCUMENT} FROM documents WHERE text = ?"  # nosec B608 # our own words
                f" AND collection IN ({_marks(collections)}){where}"
            )
            for text in texts:
                rows = [(row[0], DocumentRow(*row[1:])) for row in c.execute(sql, (text, *collections, *given))]
                if rows:  # sorted here: for an ORDER BY path SQLite walks the whole collection by its index of paths
                    found[text] = sorted(rows, key=lambda held: (held[1].path, held[1].entry))
            return found

        return await self._store.read(query)

    async def documents(
        self, collection: int, after: bytes = b"", limit: int = 1000, state: str = "", *, entry: str = "\U0010ffff"
    ) -> list[DocumentRow]:
        """A page of the documents, by path and entry, behind the path `after` (with `entry`: behind that entry of it); `state`
        narrows it."""
        query = (
            f"SELECT {_DOCUMENT} FROM documents WHERE collection = ? AND (path, entry) > (?, ?) AND (? = '' OR state = ?)"  # nosec B608 # our own columns
            " ORDER BY path, entry LIMIT ?"
        )
        rows: list[Row] = await self._store.read(
            lambda c: c.execute(query, (collection, after, entry, state, state, limit)).fetchall()
        )
        return [DocumentRow(*row) for row in rows]

    async def document(self, collection: int, shown: str) -> DocumentRow | None:
        """The document that people read as `shown`, if it is there."""
        query = f"SELECT {_DOCUMENT} FROM documents WHERE collection = ? AND shown = ?"  # nosec B608 # our own columns
        row = await self._store.read(lambda c: c.execute(query, (collection, shown)).fetchone())
        return None if row is None else DocumentRow(*row)

    async def text(self, number: int) -> TextRow | None:
        """A text by its number."""
        query = f"SELECT {_TEXT} FROM texts WHERE id = ?"  # nosec B608 # our own columns
        row = await self._store.read(lambda c: c.execute(query, (number,)).fetchone())
        return None if row is None else TextRow(*row)

    # -- vectors

    async def spaces(self, collection: int) -> list[SpaceRow]:
        """The sets of vectors of a collection."""
        query = "SELECT tag, name, width, rows, upto, generation FROM vector_spaces WHERE collection = ? ORDER BY tag"
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (collection,)).fetchall())
        return [SpaceRow(*row) for row in rows]

    async def set_space(self, collection: int, space: SpaceRow) -> None:
        """Notes how far a set of vectors has come. A collection that was removed meanwhile is left alone."""
        query = (
            "INSERT INTO vector_spaces (collection, tag, name, width, rows, upto, generation)"
            " SELECT id, ?, ?, ?, ?, ?, ? FROM collections WHERE id = ? ON CONFLICT (collection, tag) DO UPDATE"
            " SET name = excluded.name, width = excluded.width, rows = excluded.rows, upto = excluded.upto,"
            " generation = excluded.generation"
        )
        given = (space.tag, space.name, space.width, space.rows, space.upto, space.generation, collection)
        await self._store.write(lambda c: c.execute(query, given))

    async def drop_space(self, collection: int, tag: str) -> None:
        """Forgets a set of vectors."""
        query = "DELETE FROM vector_spaces WHERE collection = ? AND tag = ?"
        await self._store.write(lambda c: c.execute(query, (collection, tag)))


def _collection(row: Row) -> CollectionRow:
    number, name, root, state, watch, run, batch, note, facts, created, updated, *mine = row
    return CollectionRow(
        number, name, root, state, bool(watch), run, batch, note, json.loads(facts), created, updated, *mine
    )


def _marks(values: Sequence[object]) -> str:
    """A place for each of these; NULL, which is equal to nothing, for none."""
    return ", ".join("?" * len(values)) or "NULL"


def _values(row: TextRow) -> tuple[Any, ...]:
    return (row.id, row.digest, row.segment, row.start, row.size, row.lines, row.marks, row.simhash, row.minhash,
            row.labels, row.pieces, row.windows)  # fmt: skip


def _document_values(row: DocumentRow) -> tuple[Any, ...]:
    return (row.path, row.entry, row.shown, row.kind, row.language, row.title, row.size, row.trusted_ns, row.modified_ns,
            row.source, row.text, row.line, row.state, row.code, row.reason, row.reader)  # fmt: skip


def _replaced(c: apsw.Connection, collection: int, paths: set[bytes]) -> list[int]:
    """Removes the rows of these paths; returns the texts that they had."""
    before: set[int] = set()
    for path in paths:
        rows = c.execute("DELETE FROM documents WHERE collection = ? AND path = ? RETURNING text", (collection, path))
        before.update(row[0] for row in rows if row[0] is not None)
    return sorted(before)


def _unread(c: apsw.Connection, collection: int, path: bytes) -> None:
    """In place of what was taken in of a file stands that it is to be read anew."""
    kept = c.execute(
        "SELECT size, modified_ns, reader, seen FROM documents WHERE collection = ? AND path = ? LIMIT 1",
        (collection, path),
    ).fetchone()
    assert kept is not None
    before = _replaced(c, collection, {path})
    shown, damaged = path.decode("utf-8", "backslashreplace"), "what was stored of it was damaged"
    c.execute(
        f"INSERT INTO documents (collection, seen, {_DOCUMENT})"  # nosec B608 # our own columns
        " VALUES (?, ?, ?, '', ?, '', '', '', ?, 0, ?, ?, NULL, 1, 'failed', 'document_damaged', ?, ?)",
        (collection, kept[3], path, shown, kept[0], kept[1], b"", damaged, kept[2]),
    )
    _bury(c, collection, before)


def _revive(c: apsw.Connection, collection: int, texts: Sequence[int]) -> None:
    """The collection has these texts now; one that was dead keeps its place in the order."""
    (seq,) = c.execute(
        "SELECT coalesce(max(seq), 0) FROM collection_texts WHERE collection = ?", (collection,)
    ).fetchone() or (0,)
    for number, text in enumerate(dict.fromkeys(texts), int(seq) + 1):
        c.execute(
            "INSERT INTO collection_texts VALUES (?, ?, ?, 0) ON CONFLICT (collection, text) DO UPDATE SET dead = 0",
            (collection, text, number),
        )


def _bury(c: apsw.Connection, collection: int, texts: Sequence[int]) -> list[int]:
    """Of these texts, those that no document of the collection has are dead now; returns them."""
    dead = [
        text
        for text in texts
        if c.execute("SELECT 1 FROM documents WHERE text = ? AND collection = ?", (text, collection)).fetchone() is None
    ]
    for text in dead:
        c.execute("UPDATE collection_texts SET dead = 1 WHERE collection = ? AND text = ?", (collection, text))
    _forget(c, dead)
    return dead


def _forget(c: apsw.Connection, texts: Sequence[int]) -> None:
    """Removes those of these texts that no document of any collection has."""
    for first in range(0, len(texts), _AT_ONCE):
        some = texts[first : first + _AT_ONCE]
        c.execute(
            f"DELETE FROM texts WHERE id IN ({_marks(some)})"  # nosec B608 # marks
            " AND NOT EXISTS (SELECT 1 FROM documents WHERE documents.text = texts.id)",
            tuple(some),
        )


def _emptied(c: apsw.Connection) -> list[int]:
    """Segments below the newest without any text; their ends are forgotten."""
    rows = c.execute(
        "DELETE FROM volume_ends WHERE segment NOT IN (SELECT DISTINCT segment FROM texts)"
        " AND segment < (SELECT max(segment) FROM volume_ends) RETURNING segment"
    )
    return [row[0] for row in rows]


def _facts(c: apsw.Connection, collection: int) -> dict[str, Any]:
    """What a list of collections shows."""
    rows = c.execute(
        "SELECT state, count(*) FROM documents WHERE collection = ? AND entry = '' GROUP BY state", (collection,)
    )
    states = {state: count for state, count in rows}
    texts, size, pieces, windows = c.execute(
        "SELECT count(*), CAST(coalesce(sum(t.size), 0) AS bigint), coalesce(sum(length(t.pieces)), 0),"
        " coalesce(sum(length(t.windows)), 0)"
        " FROM collection_texts o JOIN texts t ON t.id = o.text WHERE o.collection = ? AND o.dead = 0",
        (collection,),
    ).fetchone() or (0, 0, 0, 0)
    return {"documents": states, "texts": texts, "bytes": size, "piece_bytes": pieces, "window_bytes": windows}
