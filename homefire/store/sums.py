"""A checksum beside every row, so that a bit that flips in what is stored is seen.

SQLite's own `integrity_check` looks at the structure of its trees, not at what stands in the rows: it missed 381 of 400 flips.
Promises: the sum of a row is written in the transaction that writes the row, by triggers of the writing connection, so no code
that changes a table has to think of it and a table that a later migration adds is covered from its first row; `faults` finds rows
that changed, that came or that went without it.
Does not cover: somebody with the file in hand, who can compute sums too; virtual tables, tables without a primary key or a rowid;
indexes, which `integrity_check` compares with their tables.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

PLACE = "row_sums"
# Rows read in one go: a reader that stays long keeps the WAL from being folded.
BATCH = 20_000
# One form for one value, now and in later versions, and types apart: a standard's.
_encode = msgspec.msgpack.Encoder().encode
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows have sums: its columns, and the expressions of a row's key for the table itself, NEW and OLD."""

    name: str
    columns: tuple[str, ...]
    primary: tuple[str, ...]
    whole: bool  # the primary key is one integer, the rowid itself

    def listed(self, prefix: str = "") -> str:
        """The columns as SQL."""
        return ", ".join(prefix + quoted(column) for column in self.columns)

    def key(self, prefix: str = "") -> str:
        """The key under which a row's sum is kept, as SQL: the rowid, or 64 bits of the primary key's hash, since a rowid that is
        nobody's column may change when the file is written anew."""
        if self.whole:
            return prefix + quoted(self.primary[0])
        return f"row_sum({', '.join(prefix + quoted(column) for column in self.primary)})"

    def key_of(self, row: tuple[Any, ...]) -> int:
        """The same for a row's values."""
        values = tuple(row[self.columns.index(column)] for column in self.primary)
        return int(values[0]) if self.whole else _sum_of(values)


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that is not what was written. `row` is its rowid, None where that is not known; `what` is `changed`, `unknown` (it
    has no sum), `missing` (its sum has no row) or `unreadable` (with what SQLite says)."""

    table: str
    row: int | None
    what: str


def plain_tables(c: apsw.Connection) -> list[str]:
    """Tables without a rowid: they have no sums, but for the one that holds them they are rare and made of others."""
    query = (
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND wr AND name != ? ORDER BY name"
    )
    return [str(row[0]) for row in _rows(c, query, (PLACE,))]


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def row_sum(*values: Any) -> int:
    """64 bits over a row's values, their types and their order."""
    return _sum_of(values)


def _sum_of(values: tuple[Any, ...]) -> int:
    return int.from_bytes(hashlib.blake2b(_encode(values), digest_size=8).digest(), "big", signed=True)


def tables(c: apsw.Connection) -> list[Table]:
    """The tables that are covered, by name."""
    query = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT wr ORDER BY name"
    found = []
    for (name,) in c.execute(query).fetchall():
        rows = c.execute("SELECT name, type, pk FROM pragma_table_info(?)", (name,)).fetchall()
        primary = [(row[2], row[0], row[1]) for row in rows if row[2]]
        if str(name).startswith("sqlite_") or not primary:
            continue
        whole = len(primary) == 1 and str(primary[0][2]).upper() == "INTEGER"
        columns = tuple(str(row[0]) for row in rows)
        found.append(Table(str(name), columns, tuple(str(each[1]) for each in sorted(primary)), whole))
    return found


def columns(c: apsw.Connection, some: list[Table]) -> dict[str, tuple[tuple[Any, str, bool], ...]]:
    """For each table what its columns have by default, their types, and whether they are never NULL."""
    found = {}
    for table in some:
        rows = _rows(c, 'SELECT dflt_value, type, "notnull" FROM pragma_table_info(?)', (table.name,))
        given = ((_rows(c, f"SELECT {row[0]}")[0][0] if row[0] else None, row[1], bool(row[2])) for row in rows)  # nosec B608 # from our schema
        found[table.name] = tuple(given)
    return found


def has_sums(c: apsw.Connection) -> bool:
    """Whether this database keeps sums already."""
    return c.execute("SELECT 1 FROM main.sqlite_schema WHERE name = ?", (PLACE,)).fetchone() is not None


def define(c: apsw.Connection) -> None:
    """Lets this connection compute sums."""
    c.create_scalar_function("row_sum", row_sum, deterministic=True, flags=apsw.SQLITE_INNOCUOUS)


def watch(c: apsw.Connection) -> None:
    """Makes this writing connection keep the sums of every covered table. Costs nothing where there are none yet."""
    define(c)
    if not has_sums(c):
        return
    c.execute("PRAGMA recursive_triggers=ON").fetchall()  # or a row that REPLACE takes away would leave its sum behind
    with c:
        for table in tables(c):
            for script in _triggers(table):
                c.execute(script)


def unwatch(c: apsw.Connection) -> None:
    """Ends it: before the schema changes."""
    query = "SELECT name FROM temp.sqlite_schema WHERE type = 'trigger' AND name LIKE 'sum\\__\\_%' ESCAPE '\\'"
    for (name,) in _rows(c, query):
        c.execute(f"DROP TRIGGER temp.{quoted(name)}")


def seal(c: apsw.Connection, spoiled: frozenset[tuple[str, int]] = frozenset()) -> None:
    """Computes every sum anew, inside a change of the caller's: after the schema has changed. Rows in `spoiled` (table, rowid)
    were damaged before and stay so."""
    if not has_sums(c):
        return
    define(c)
    c.execute(f"DELETE FROM {PLACE}")  # nosec B608 # our own name
    for table in tables(c):
        c.execute(
            f"INSERT INTO {PLACE} SELECT {_text(table.name)}, {table.key()}, row_sum({table.listed()}) "  # nosec B608 # from the schema
            f"FROM {quoted(table.name)}"
        )
    c.execute(f"INSERT INTO {PLACE} VALUES ('', 0, ?)", (_schema_sum(c),))  # nosec B608 # our own name
    for name, row in spoiled:
        for table in tables(c):
            if table.name == name:
                key = f"(SELECT {table.key()} FROM {quoted(name)} WHERE rowid = ?)"  # nosec B608 # from the schema
                c.execute(f"UPDATE {PLACE} SET sum = ~sum WHERE place = ? AND row = {key}", (name, row))  # nosec B608


def spoiled(c: apsw.Connection) -> frozenset[tuple[str, int]]:
    """The rows that `seal` must not make good: what a new schema is brought to, with its faults."""
    if not has_sums(c):
        return frozenset()
    return frozenset((each.table, each.row) for each in faults(c) if each.row is not None and each.what == "changed")


def faults(c: apsw.Connection, progress: Progress = lambda done, total: None) -> Iterator[Fault]:
    """Every row that is not what was written. `progress(done, total)` counts rows. Needs no writing connection."""
    define(c)
    found = tables(c)
    total = _count(c, f"SELECT count(*) FROM {PLACE}")  # nosec B608 # our own name
    done = 0
    progress(0, total)
    for table in found:
        for faulty, seen in _scan(c, table):
            yield from faulty
            done += seen
            progress(min(done, total), total)
        yield from _missing(c, table)
    kept = _rows(c, f"SELECT sum FROM {PLACE} WHERE place = '' AND row = 0")  # nosec B608 # our own name
    if [row[0] for row in kept] != [_schema_sum(c)]:
        yield Fault("sqlite_schema", None, "changed")
    known = ", ".join(("''", *(_text(table.name) for table in found)))
    strays = f"SELECT count(*) FROM {PLACE} WHERE place NOT IN ({known})"  # nosec B608 # from the schema
    yield from (Fault(PLACE, None, "missing") for _ in range(_count(c, strays)))
    progress(total, total)


def _schema_sum(c: apsw.Connection) -> int:
    """Over what says which tables there are: a flip in it changes no row, and a table's name or one of its rules."""
    query = (
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_stat*' "
        "ORDER BY type, name"
    )
    return _sum_of((int(c.pragma("user_version")), *_rows(c, query)))


def _scan(c: apsw.Connection, table: Table) -> Iterator[tuple[list[Fault], int]]:
    """The faults of a table a batch of rows at a time, with how many rows were looked at."""
    last: int | None = None
    query = (
        f"SELECT t.rowid, s.sum, {table.listed('t.')} FROM {quoted(table.name)} t LEFT JOIN {PLACE} s "  # nosec B608 # from the schema
        f"ON s.place = {_text(table.name)} AND s.row = {table.key('t.')} WHERE t.rowid > ? ORDER BY t.rowid LIMIT {BATCH}"
    )
    first = _least(c, table)
    if isinstance(first, Fault):
        yield [first], 0
        return
    last = first
    while last is not None:
        try:
            rows = _rows(c, query, (last,))
        except (apsw.CorruptError, UnicodeDecodeError) as problem:
            yield from _one_by_one(c, table, query, last, problem)
            return
        wrong = [(row[0], row[1]) for row in rows if row[1] != _sum_of(row[2:])]
        yield [Fault(table.name, rowid, "unknown" if kept is None else "changed") for rowid, kept in wrong], len(rows)
        last = rows[-1][0] if len(rows) == BATCH else None


def _least(c: apsw.Connection, table: Table) -> int | Fault | None:
    try:
        found = _rows(c, f"SELECT min(rowid) FROM {quoted(table.name)}")[0][0]  # nosec B608 # from the schema
    except apsw.CorruptError as problem:
        return Fault(table.name, None, f"unreadable: {problem}")
    return None if found is None else int(found) - 1


def _one_by_one(
    c: apsw.Connection, table: Table, query: str, last: int, problem: Exception
) -> Iterator[tuple[list[Fault], int]]:
    """The same where a batch cannot be read: text that is no text any more, or a damaged page, which ends it."""
    if isinstance(problem, apsw.CorruptError):
        yield [Fault(table.name, None, f"unreadable: {problem}")], 0
        return
    numbers = f"SELECT rowid FROM {quoted(table.name)} WHERE rowid > ? ORDER BY rowid"  # nosec B608 # from the schema
    ids = [int(row[0]) for row in _rows(c, numbers, (last,))]
    single = query.replace("t.rowid > ? ", "t.rowid = ? ").replace(f"LIMIT {BATCH}", "LIMIT 1")
    for rowid in ids:
        try:
            row = c.execute(single, (rowid,)).fetchone()
        except (apsw.CorruptError, UnicodeDecodeError):
            row = None
        if row is None or row[1] != _sum_of(row[2:]):
            yield [Fault(table.name, rowid, "unknown" if row is not None and row[1] is None else "changed")], 1


def _missing(c: apsw.Connection, table: Table) -> Iterator[Fault]:
    """Sums that have no row: as many as there are more sums than rows with one."""
    name = _text(table.name)
    if table.whole:
        query = (
            f"SELECT row FROM {PLACE} s WHERE place = {name} AND NOT EXISTS "  # nosec B608 # from the schema
            f"(SELECT 1 FROM {quoted(table.name)} t WHERE t.rowid = s.row)"
        )
    else:
        query = (
            f"SELECT NULL FROM {PLACE} WHERE place = {name} AND row NOT IN "  # nosec B608 # from the schema
            f"(SELECT {table.key()} FROM {quoted(table.name)})"
        )
    # What cannot be read was told of by `_scan`.
    with contextlib.suppress(apsw.CorruptError, UnicodeDecodeError):
        for row in _rows(c, query):
            yield Fault(table.name, row[0], "missing")


def _triggers(table: Table) -> Iterator[str]:
    name, place = quoted(table.name), _text(table.name)
    # Deleted first, and not REPLACE: the outer statement's ON CONFLICT would win over it.
    forget = f"DELETE FROM {PLACE} WHERE place = {place} AND row = "  # nosec B608 # from the schema
    # Read back from the table: what is stored is what counts, not what was given.
    add = (
        f"{forget}{table.key('NEW.')}; INSERT INTO {PLACE} SELECT {place}, {table.key()}, row_sum({table.listed()}) "  # nosec B608
        f"FROM {name} WHERE rowid = NEW.rowid;"
    )
    for event, kind, work in (
        ("a", "INSERT", add),
        ("u", "UPDATE", f"{forget}{table.key('OLD.')}; {add}"),
        ("d", "DELETE", f"{forget}{table.key('OLD.')};"),
    ):
        trigger = quoted(f"sum_{event}_{table.name}")
        yield f"CREATE TEMP TRIGGER IF NOT EXISTS {trigger} AFTER {kind} ON main.{name} BEGIN {work} END"


def _rows(c: apsw.Connection, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = c.execute(query, values).fetchall()
    return found


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _count(c: apsw.Connection, query: str) -> int:
    return int(_rows(c, query)[0][0])
