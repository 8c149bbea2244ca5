"""The plug of `kept.py` on a PostgreSQL server with pgvector: what several Homefires share.

    words    -> rare words' chunks by a GIN index, ranked by how rare each word is times `ts_rank`'s weight of it in the chunk
    vectors  -> a table for each collection and embedder, HNSW (m 16, ef_construction 64, cosine); with a filter exactly
    pattern  -> PostgreSQL's own regular expressions, line by line, under a time limit
    texts    -> slices of one column

Promises: a text that is dead in a collection is never found in it; vectors that a crash left beyond the truth are cut off by the
next writer; a server that is gone is KnowledgeStoreUnreachable.
Does not cover: the tables and what counts (`store/postgres.py`). A pattern sees one line at a time here, and no text that holds
a NUL. Words that begin alike (`prefix*`) are not followed through their stems.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from homefire.errors import BadPattern, IndexDamaged, InternalError, StoreDamaged
from homefire.knowledge.packing import MOST_PIECES, PIECE, SHIFT, unpack_labelled
from homefire.knowledge.volumes import EVERY, Place
from homefire.store import SpaceRow, TextRow
from homefire.store.postgres import Postgres, PostgresRows

# A word that stands in this many chunks is common: only chunks with a rarer one are ranked, if the query has one.
COMMON = 3000
# Windows that the graph is asked for; pgvector's bound is 1000.
LEAST_EF, MOST_EF = 40, 1000
# How many chunks there are: the server's own guess, or while it has made none, as many as are worth counting.
SIZE = (
    "SELECT greatest(reltuples, (SELECT count(*) FROM (SELECT 1 FROM chunks LIMIT %s) s)) FROM pg_class"
    " WHERE oid = 'chunks'::regclass"
)
PATTERN_SECONDS = 10.0
WORDS_AT_ONCE = 200
READ_AT_ONCE = 4 * 2**20
ALIVE = "EXISTS (SELECT 1 FROM collection_texts o WHERE o.collection = %s AND o.text = {} AND o.dead = 0)"


def on_server(server: Postgres) -> tuple[PostgresRows, PostgresShelves]:
    """What `Knowledge` takes as `elsewhere`."""
    rows = PostgresRows(server, words_of, SHIFT)
    return rows, PostgresShelves(server, rows)


def words_of(text: TextRow) -> list[tuple[int, str]]:
    """Each piece's place and its words as a tsvector."""
    from homefire.index.lexemes import vectors_of
    from homefire.index.words import WordRow

    pieces = unpack_labelled(text.pieces, text.labels)[:MOST_PIECES]
    rows = [WordRow(0, 0, text.data[start:end], f"{text.name} {label}".rstrip()) for start, end, _, label in pieces]
    return list(enumerate(vectors_of(rows)))


class PostgresShelves:
    """As `kept.Kept`."""

    def __init__(self, server: Postgres, rows: PostgresRows) -> None:
        self._server = server
        self._rows = rows
        self.volumes = PostgresTexts(server)

    async def words(self, collection: int) -> PostgresWords:
        """As `Kept.words`."""
        return PostgresWords(self._server, collection)

    async def vectors(self, collection: int, space: SpaceRow) -> PostgresVectors:
        """As `Kept.vectors`."""
        return PostgresVectors(self._server, collection, space)

    async def vectors_writer(self, collection: int, space: SpaceRow) -> PostgresVectorsWriter:
        """As `Kept.vectors_writer`."""
        return await asyncio.to_thread(PostgresVectorsWriter, self._server, collection, space)

    async def scan(self, texts: Sequence[TextRow], pattern: Any, limit: int) -> Any:
        """As `Kept.scan`."""
        return await asyncio.to_thread(_scan, self._server, texts, pattern, limit)

    async def drop_words(self, collection: int) -> None:
        """Makes the words of a collection's texts anew."""
        after = 0
        while page := await self._rows.live(collection, after, WORDS_AT_ONCE):
            after = page[-1][0]
            await asyncio.to_thread(self._words_anew, collection, [text for _, text in page])

    async def thinned(self, collection: int, space: SpaceRow) -> SpaceRow | None:
        """As `Kept.thinned`; rows of dead texts go where they stand. Those of forgotten texts went with them."""
        dead = "FROM collection_texts WHERE collection = %s AND dead = 1"
        gone = f"DELETE FROM {_table(collection, space.tag)} WHERE text IN (SELECT text {dead})"  # nosec B608 # our own words

        def change(c: Any) -> bool:
            if c.raw.execute(f"SELECT 1 {dead} LIMIT 1", (collection,)).fetchone() is None:  # nosec B608 # our own words
                return False
            c.raw.execute(gone, (collection,))
            return True

        return space if space.rows and await self._server.write(change) else None

    async def drop_vectors(self, collection: int, space: SpaceRow) -> None:
        """As `Kept.drop_vectors`."""
        table = _table(collection, space.tag)
        await self._server.write(lambda c: c.raw.execute(f"DROP TABLE IF EXISTS {table}"))  # nosec B608 # our own name

    def emptied(self, segments: Sequence[int]) -> None:
        """There are no volumes."""

    async def remove(self, collection: int, segments: Sequence[int]) -> None:
        """As `Kept.remove`."""

        def change(c: Any) -> None:
            like = f"vectors\\_{collection}\\_%"
            named = "SELECT tablename FROM pg_tables WHERE schemaname = 'homefire' AND tablename LIKE %s"
            for (table,) in c.raw.execute(named, (like,)).fetchall():
                c.raw.execute(f'DROP TABLE IF EXISTS "{table}"')  # nosec B608 # its name is ours

        await self._server.write(change)

    async def sweep(self) -> None:
        """Removes vectors of collections that are no more."""
        found = await self._server.read(
            lambda c: c.raw.execute(
                "SELECT DISTINCT split_part(tablename, '_', 2)::bigint FROM pg_tables WHERE schemaname = 'homefire'"
                " AND tablename ~ '^vectors_\\d+_' AND split_part(tablename, '_', 2)::bigint NOT IN (SELECT id FROM collections)"
            ).fetchall()
        )
        for (collection,) in found:
            await self.remove(collection, ())

    def changed(self, collection: int) -> None:
        """The server sees each commit at once."""

    def died(self, collection: int) -> None:
        """The server sees each commit at once."""

    def close(self) -> None:
        """Ends the connections."""
        self._server.close()

    def _words_anew(self, collection: int, texts: Sequence[TextRow]) -> None:
        def change(c: Any) -> None:
            for text in texts:
                query = (
                    "SELECT t.data, t.labels, d.shown FROM texts t JOIN documents d ON d.text = t.id"
                    " WHERE t.id = %s ORDER BY d.id LIMIT 1"
                )
                row = c.raw.execute(query, (text.id,)).fetchone()
                if row is None:
                    continue
                whole = TextRow(*(*_plain(text), row[0], row[2]))
                c.raw.execute("DELETE FROM chunks WHERE text = %s", (text.id,))
                with c.raw.cursor().copy("COPY chunks (id, text, words) FROM STDIN") as copy:
                    for piece, said in words_of(whole):
                        copy.write_row((text.id << SHIFT | piece, text.id, said))

        self._server.run(change)


class PostgresTexts:
    """As `kept.Texts`; a place's segment is the text's number."""

    def __init__(self, server: Postgres) -> None:
        self._server = server

    def view(self, place: Place) -> memoryview:
        """As `Texts.view`."""
        return memoryview(self.read(place))

    def read(self, place: Place, start: int = 0, end: int | None = None) -> bytes:
        """As `Texts.read`."""
        stop = place.size if end is None else min(end, place.size)
        return self._slice("data", place, max(0, start), max(0, stop - max(0, start)))

    def line_start(self, place: Place, line: int) -> int:
        """As `Texts.line_start`."""
        if line <= 1:
            return 0
        if line > place.lines:
            return place.size
        at = self._mark(place, (line - 1) // EVERY)
        return self._behind_lines(place, at, (line - 1) % EVERY)

    def line_of(self, place: Place, offset: int) -> int:
        """As `Texts.line_of`."""
        low, high = 0, (place.lines - 1) // EVERY
        while low < high:
            middle = (low + high + 1) // 2
            if self._mark(place, middle) <= offset:
                low = middle
            else:
                high = middle - 1
        return low * EVERY + 1 + self.read(place, self._mark(place, low), min(offset, place.size)).count(b"\n")

    def _behind_lines(self, place: Place, at: int, lines: int) -> int:
        """Where so many more lines behind `at` have ended."""
        while lines and at < place.size:
            part = self.read(place, at, min(at + READ_AT_ONCE, place.size))
            found = -1
            while lines and (next_ := part.find(b"\n", found + 1)) >= 0:
                found, lines = next_, lines - 1
            at += found + 1 if not lines else len(part)
        return at

    def _mark(self, place: Place, number: int) -> int:
        return int.from_bytes(self._slice("line_starts", place, number * 4, 4), "little")

    def _slice(self, column: str, place: Place, start: int, length: int) -> bytes:
        query = f"SELECT substring({column} FROM %s::int FOR %s::int) FROM texts WHERE id = %s"  # nosec B608 # our own column
        row = self._server.run(lambda c: c.raw.execute(query, (start + 1, length, place.segment)).fetchone())
        if row is None or len(row[0]) != length:
            raise StoreDamaged("A text is not on the server any more, or not whole.", "Ingest its collection again.")
        return bytes(row[0])


class PostgresWords:
    """As `index.words.Words`, for one collection."""

    def __init__(self, server: Postgres, collection: int) -> None:
        self._server, self._collection = server, collection

    def reload(self) -> int:
        """A mark that is never behind: words are in the transaction of their text."""
        return 1 << 62

    def search(self, query: str, limit: int, allowed: Any = None) -> list[Any]:
        """As `Words.search`."""
        from homefire.index.hits import Hit
        from homefire.index.lexemes import wanted

        asked = wanted(query)
        if (not asked.wishes and not asked.must) or limit < 1 or (allowed is not None and not len(allowed)):
            return []
        rows = self._server.run(lambda c: self._ranked(c.raw, asked, limit, allowed))
        return [Hit(number, score) for number, score in rows]

    def check(self) -> list[str]:
        """Whether each living text has the words of all its pieces."""
        query = (
            "SELECT count(*) FROM collection_texts o JOIN texts t ON t.id = o.text WHERE o.collection = %s AND o.dead = 0"
            " AND (SELECT count(*) FROM chunks c WHERE c.text = t.id) <> length(t.pieces) / %s"
        )
        (bad,) = self._server.run(lambda c: c.raw.execute(query, (self._collection, PIECE.size)).fetchone())
        return [f"{bad} texts lack words"] if bad else []

    def _ranked(self, c: Any, asked: Any, limit: int, allowed: Any) -> list[tuple[int, float]]:
        count = (
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM chunks WHERE words @@ q LIMIT %s) s)"
            " FROM unnest(%s::tsquery[]) WITH ORDINALITY AS u (q, n) ORDER BY n"
        )
        counts = [n for (n,) in c.execute(count, (COMMON, [q for q, _ in asked.wishes])).fetchall()]
        (size,) = c.execute(SIZE, (COMMON,)).fetchone()
        wishes = [
            (q, weight * math.log(1 + max(size, n) / n))
            for (q, weight), n in zip(asked.wishes, counts, strict=True) if n
        ]  # fmt: skip
        if not wishes and not asked.must:
            return []
        rare = [q for (q, _), n in zip(asked.wishes, counts, strict=True) if 0 < n < COMMON]
        tries = [" | ".join(f"({q})" for q in rare)] if rare else []
        if not asked.must and not rare:
            tries.append(" & ".join(f"({q})" for q, _ in wishes))
        if asked.must:
            tries = [asked.must]
        elif not rare:
            tries.append(" | ".join(f"({q})" for q, _ in wishes))
        found: list[tuple[int, float]] = []
        for which in dict.fromkeys(tries):
            found = self._best(c, which, wishes, asked, limit=limit, allowed=allowed)
            if len(found) >= limit:
                break
        return found

    def _best(
        self, c: Any, which: str, wishes: list[tuple[str, float]], asked: Any, *, limit: int, allowed: Any
    ) -> list[tuple[int, float]]:
        rank = "%s * ts_rank('{0.8, 0.8, 0.8, 1}', c.words, %s::tsquery, 1)"
        score = " + ".join([rank] * len(wishes)) or "0"
        where, given = f"c.words @@ %s::tsquery AND {ALIVE.format('c.text')}", [which, self._collection]
        if asked.must_not:
            where, given = f"{where} AND NOT c.words @@ %s::tsquery", [*given, asked.must_not]
        if allowed is not None:
            where, given = f"{where} AND c.text = ANY(%s)", [*given, [int(each) for each in allowed]]
        query = f"SELECT c.id, {score} AS score FROM chunks c WHERE {where} ORDER BY score DESC, c.id LIMIT %s"  # nosec B608 # our own words
        values = [value for q, weight in wishes for value in (weight, q)]
        found: list[tuple[int, float]] = c.execute(query, (*values, *given, limit)).fetchall()
        return found


class PostgresVectors:
    """As `index.vectors.Vectors`. Raises IndexDamaged where there are fewer rows than were committed."""

    def __init__(self, server: Postgres, collection: int, space: SpaceRow) -> None:
        self._server, self._collection, self._space = server, collection, space
        self._table = _table(collection, space.tag)

    def search(self, query: Any, limit: int, allowed: Any = None, windows_scanned: int = 0) -> list[Any]:
        """As `Vectors.search`."""
        from homefire.index.hits import WindowHit
        from homefire.index.vectors import WHOLE_BONUS

        scanned = windows_scanned or min(MOST_EF, max(LEAST_EF, 3 * limit))
        asked = _vector(query)
        inner = f"SELECT id, start, length, whole, 1 - (v <=> %s::vector) AS score FROM {self._table} WHERE row < %s"  # nosec B608 # our own name
        given: list[Any] = [asked, self._space.rows]
        if allowed is not None:
            inner, given = inner + " AND text = ANY(%s)", [*given, [int(each) for each in allowed]]
        order = f"{inner} ORDER BY v <=> %s::vector LIMIT %s"
        bonus = f"{WHOLE_BONUS} * whole::int"
        alive = ALIVE.format(f"id >> {SHIFT}")
        outer = (
            f"SELECT id, score + {bonus}, start, length FROM (SELECT DISTINCT ON (id) * FROM ({order}) near WHERE {alive}"  # nosec B608
            f" ORDER BY id, score + {bonus} DESC) best ORDER BY score + {bonus} DESC, id LIMIT %s"
        )

        def found(c: Any) -> Any:
            with _named(self._table):
                c.raw.execute(f"SET LOCAL hnsw.ef_search = {scanned}")
                if allowed is not None:  # the graph would find what the filter then takes away
                    c.raw.execute("SET LOCAL enable_indexscan = off")
                return c.raw.execute(outer, (*given, asked, scanned, self._collection, limit)).fetchall()

        return [WindowHit(*row) for row in self._server.run(found)]

    def known(self, hashes: Sequence[int]) -> Any:
        """As `Vectors.known`."""
        import numpy as np

        query = f"SELECT hash, min(row) FROM {self._table} WHERE hash = ANY(%s) AND row < %s GROUP BY hash"  # nosec B608 # our own name
        signed = [_signed(each) for each in hashes]
        rows = dict(self._server.run(lambda c: c.raw.execute(query, (signed, self._space.rows)).fetchall()))
        return np.array([rows.get(each, -1) for each in signed], np.int64)

    def check(self) -> list[tuple[int, int]]:
        """Whether every committed row that is not forgotten is there: [(0, rows)] if not."""
        query = (
            f"SELECT count(*), (SELECT count(*) FROM {self._table} WHERE row >= %s OR vector_dims(v) <> %s)"  # nosec B608 # our own name
            f" FROM {self._table}"
        )

        def counted(c: Any) -> Any:
            with _named(self._table):
                return c.raw.execute(query, (self._space.rows, self._space.width)).fetchone()

        rows, strange = self._server.run(counted)
        return [(0, self._space.rows)] if strange or rows > self._space.rows else []


class PostgresVectorsWriter:
    """As `index.vectors.VectorsWriter`: rows are gathered, and there from `sync` on."""

    def __init__(self, server: Postgres, collection: int, space: SpaceRow) -> None:
        self._server, self._table = server, _table(collection, space.tag)
        self._next = space.rows
        self._made: list[tuple[Any, ...]] = []
        self._copied: list[tuple[Any, ...]] = []
        server.run(lambda c: self._make(c.raw, space))

    def append(
        self,
        ids: Sequence[int],
        spans: Sequence[tuple[int, int]],
        hashes: Sequence[int],
        vectors: Any,
        whole: Sequence[bool] = (),
    ) -> None:
        """As `VectorsWriter.append`."""
        for row, sign, vector in zip(self._rows(ids, spans, whole), hashes, vectors, strict=True):
            self._made.append((*row, _signed(sign), _vector(vector)))

    def copy(
        self,
        source: Any,
        rows: Sequence[int],
        ids: Sequence[int],
        spans: Sequence[tuple[int, int]],
        whole: Sequence[bool] = (),
    ) -> None:
        """As `VectorsWriter.copy`."""
        for row, before in zip(self._rows(ids, spans, whole), rows, strict=True):
            self._copied.append((*row, int(before)))

    def _rows(
        self, ids: Sequence[int], spans: Sequence[tuple[int, int]], whole: Sequence[bool]
    ) -> Iterator[tuple[int, int, int, int, int, bool]]:
        for number, (start, length), stands in zip(ids, spans, whole or [False] * len(ids), strict=True):
            yield self._next, number, number >> SHIFT, start, length, stands
            self._next += 1

    def sync(self) -> int:
        """Writes what was gathered; returns the rows that there are."""
        made, copied = self._made, self._copied
        columns = "row, id, text, start, length, whole, hash, v"
        again = f"INSERT INTO {self._table} ({columns}) SELECT %s, %s, %s, %s, %s, %s, hash, v FROM {self._table} WHERE row = %s"  # nosec B608 # our own name

        def change(c: Any) -> None:
            texts = [row[2] for row in (*made, *copied)]
            query = "SELECT id FROM texts WHERE id = ANY(%s) FOR KEY SHARE"
            here = {number for (number,) in c.raw.execute(query, (texts,)).fetchall()}
            with c.raw.cursor().copy(f"COPY {self._table} ({columns}) FROM STDIN") as copy:
                for row in made:
                    if row[2] in here:  # others are forgotten meanwhile
                        copy.write_row(row)
            with c.raw.cursor() as cursor:
                cursor.executemany(again, [row for row in copied if row[2] in here])

        if made or copied:
            self._server.run(change)
        self._made, self._copied = [], []
        return self._next

    def close(self) -> None:
        """Forgets what was not synced."""
        self._made, self._copied = [], []

    def _make(self, c: Any, space: SpaceRow) -> None:
        c.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} (row bigint PRIMARY KEY, id bigint NOT NULL, text bigint NOT NULL"
            " REFERENCES texts (id) ON DELETE CASCADE, start bigint NOT NULL, length bigint NOT NULL, whole boolean NOT NULL,"
            " hash bigint NOT NULL,"
            f" v vector({space.width}) NOT NULL)"
        )
        c.execute(f"CREATE INDEX IF NOT EXISTS {self._table}_text ON {self._table} (text)")
        c.execute(f"CREATE INDEX IF NOT EXISTS {self._table}_hash ON {self._table} (hash)")
        c.execute(
            f"CREATE INDEX IF NOT EXISTS {self._table}_near ON {self._table} USING hnsw (v vector_cosine_ops)"
            " WITH (m = 16, ef_construction = 64)"
        )
        c.execute(f"DELETE FROM {self._table} WHERE row >= %s", (space.rows,))  # nosec B608 # our own name


def _scan(server: Postgres, texts: Sequence[TextRow], pattern: Any, limit: int) -> Any:
    """As `index.scan.scan`."""
    from homefire.index.scan import LONGEST_PATTERN, Match, Scanned

    if not pattern.text or len(pattern.text) > LONGEST_PATTERN:
        raise BadPattern(f"A pattern has 1 to {LONGEST_PATTERN} characters; this has {len(pattern.text)}.")
    said = translated(pattern.text) if pattern.regex else "***=" + pattern.text
    said = said.replace("\0", "\ufffd")
    flags = "ni" if pattern.ignore_case else "n"
    # First whole texts, which is quick where the pattern is nowhere; then the lines of those that have it. What convert_from
    # gives has the collation C, in which there is no upper and lower case beyond ASCII.
    body = "convert_from(data, 'UTF8') COLLATE \"default\" AS body"
    query = (
        "SELECT t.n - 1, l.start + octet_length(left(l.line, regexp_instr(l.line, %(p)s, 1, 1, 0, %(f)s) - 1)) AS at,"
        " l.start + octet_length(left(l.line, regexp_instr(l.line, %(p)s, 1, 1, 1, %(f)s) - 1))"
        f" FROM (SELECT g.n, {body} FROM unnest(%(t)s::bigint[]) WITH ORDINALITY AS g (id, n)"
        " JOIN texts USING (id) WHERE plain OFFSET 0) t,"  # nosec B608 # our own words
        " LATERAL (SELECT line, sum(octet_length(line) + 1) OVER (ORDER BY k) - octet_length(line) - 1 AS start"
        " FROM string_to_table(t.body, E'\\n') WITH ORDINALITY AS s (line, k)) l"
        " WHERE regexp_like(t.body, %(p)s, %(f)s) AND regexp_like(l.line, %(p)s, %(f)s) ORDER BY 1, 2 LIMIT %(l)s"
    )
    given = {"p": said, "f": flags, "t": [row.id for row in texts], "l": limit + 1}
    try:
        rows = server.run(lambda c: c.raw.execute(query, given).fetchall(), PATTERN_SECONDS)
    except InternalError as problem:
        if "regular expression" in problem.message:
            raise BadPattern(f"The regular expression cannot be read: {problem.message.split(': ')[-1]}") from None
        raise
    matches = tuple(Match(span, int(start), int(end)) for span, start, end in rows[:limit])
    return Scanned(matches, len(rows) <= limit)


def translated(pattern: str) -> str:
    r"""A pattern in Python's syntax as PostgreSQL reads it: word boundaries are `\y` and `\Y` there, the ends `\A` and `\Z`."""
    names, made, place = {"b": "\\y", "B": "\\Y"}, [], 0
    inside = False
    while place < len(pattern):
        letter = pattern[place]
        if letter == "\\" and place + 1 < len(pattern):
            next_ = pattern[place + 1]
            made.append(letter + next_ if inside else names.get(next_, letter + next_))
            place += 2
            continue
        inside = letter == "[" or (inside and letter != "]")
        made.append(letter)
        place += 1
    return "".join(made)


@contextmanager
def _named(table: str) -> Iterator[None]:
    """A table that is not there is an index that is to be made anew."""
    from psycopg.errors import UndefinedTable

    try:
        yield
    except UndefinedTable:
        raise IndexDamaged(f"The vectors {table} are not on the server.") from None


def _table(collection: int, tag: str) -> str:
    return f"vectors_{int(collection)}_{hashlib.sha256(tag.encode()).hexdigest()[:16]}"


def _vector(values: Any) -> str:
    return json.dumps([float(each) for each in values])


def _signed(value: int) -> int:
    """The same 64 bits as the server's integers have them."""
    return int(value) - (1 << 64) if int(value) >= 1 << 63 else int(value)


def _plain(text: TextRow) -> tuple[Any, ...]:
    return (text.id, text.digest, text.segment, text.start, text.size, text.lines, text.marks, text.simhash, text.minhash,
            text.labels, text.pieces, text.windows)  # fmt: skip
