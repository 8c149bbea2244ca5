"""Saves what can be read of a damaged database into a new one.

Every row that a page still holds is saved: first by asking SQLite for ranges of keys, halved where it fails; then, for rows whose
sum is known but that no tree leads to any more, by reading the pages themselves (`pages.py`) and taking what has just that sum;
last, of tables that could not be read whole, rows without a sum that by number and types of their columns can be of no other.
Promises: the damaged file is only read, and kept by whoever replaces it; nothing is invented: a row is saved as it was read, and
whether its sum agrees is told; what is saved is a sound database of today's schema.
Does not cover: rows on a page that is gone, and what only a WAL held whose database has lost its first page.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import apsw

from homefire.errors import StoreDamaged
from homefire.store import sums
from homefire.store.check import Report, check_database, require_whole, unheard
from homefire.store.conversations import reindex
from homefire.store.database import APPLICATION_ID, connect, migrate
from homefire.store.memory_schema import rebuild
from homefire.store.migrations import MIGRATIONS
from homefire.store.pages import Pages
from homefire.store.sums import Table, quoted

TITLE = "Salvaged"
# How far beyond the last row that was read a table is looked through where nothing says where it ends.
BEYOND = 65_536
FEWEST_COLUMNS = 4
_BROKEN = (apsw.CorruptError, apsw.NotADBError, apsw.IOError, UnicodeDecodeError)
Row = tuple[Any, ...]


@dataclass
class Saved:
    """What came of one table: rows saved, of these `changed` (read, but their sum is another) and `unproven` (found on a page,
    with no sum to hold against), and `lost` (their sum is known and no page holds them). `broken`: SQLite could not read all."""

    rows: int = 0
    changed: int = 0
    unproven: int = 0
    lost: int = 0
    broken: bool = False


@dataclass
class Salvage:
    """What came of it all. `orphans`: rows that referred to lost ones; messages among them got a conversation of their own."""

    tables: dict[str, Saved] = field(default_factory=dict)
    orphans: int = 0

    @property
    def rows(self) -> int:
        """Saved in all."""
        return sum(each.rows for each in self.tables.values())


def salvage(damaged: Path, target: Path, report: Report = unheard) -> Salvage:
    """Reads the database `damaged`, with its WAL, and writes what it holds into the new file `target`. Nobody may write it.

    Raises StoreDamaged if nothing at all can be read."""
    work = target.with_name(f"{target.name}.reading")
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(f"{damaged}{suffix}", f"{work}{suffix}")
    try:
        return _into(work, target, report)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{work}{suffix}").unlink(missing_ok=True)


def _into(work: Path, target: Path, report: Report) -> Salvage:
    source, version = _open(work)
    new = connect(target)
    done = Salvage()
    try:
        migrate(new, version)
        found = sums.tables(new)
        new.execute("PRAGMA foreign_keys=OFF").fetchall()
        rules = _without_rules(new)
        known = _known_sums(source) if source is not None else {}
        if source is not None:
            with contextlib.suppress(*_BROKEN):  # so that the pages hold all of it
                source.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        pages = Pages(work, sums.columns(new, found))
        for place, row, value in pages.sums({table.name for table in found}):
            known.setdefault(place, {}).setdefault(row, value)
        for number, table in enumerate(found):
            report(number, len(found))
            saved = done.tables[table.name] = Saved()
            with new:
                _save(new, table, _readable(source, table, known.get(table.name, {}), saved), known, saved)
        with new:
            for name in sums.plain_tables(new) if source is not None else ():
                _copy_plain(source, new, name, done.tables.setdefault(name, Saved()))
        with new:
            _carve(new, found, pages, known, done)
            done.orphans = _mend(new)
            for rule in rules:
                new.execute(rule)
        migrate(new)
        with new:
            reindex(new)
            rebuild(new)
        new.execute("PRAGMA foreign_keys=ON; PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        new.close(True)
        if source is not None:
            source.close(True)
    if not done.rows:
        raise StoreDamaged("Nothing of the database can be read.", "Bring a backup back: homefire restore SOURCE")
    require_whole(check_database(target), target)
    report(1, 1)
    return done


def _open(work: Path) -> tuple[apsw.Connection | None, int]:
    """The copy, if SQLite can read it at all, and its schema's version (today's, if nobody can tell)."""
    source = apsw.Connection(str(work))
    try:
        source.execute("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON").fetchall()
        version, mark = int(source.pragma("user_version")), int(source.pragma("application_id"))
        tables = source.execute("SELECT count(*) FROM sqlite_schema").fetchall()[0][0]
    except _BROKEN:
        source.close(True)
        return None, len(MIGRATIONS)
    if mark not in (0, APPLICATION_ID) or version > len(MIGRATIONS):
        source.close(True)
        raise StoreDamaged("homefire.db is a database of another program, or of a newer Homefire.", "Update Homefire.")
    return (source, version) if tables and version else (source, len(MIGRATIONS))


def _known_sums(source: apsw.Connection) -> dict[str, dict[int, int]]:
    """The sums that can be read, by table and key, from both ends."""
    known: dict[str, dict[int, int]] = {}
    for order in ("ASC", "DESC"):
        with contextlib.suppress(*_BROKEN, apsw.SQLError):  # a schema from before there were sums
            query = f"SELECT place, row, sum FROM {sums.PLACE} ORDER BY place {order}, row {order}"  # nosec B608 # our own names
            for place, row, value in source.execute(query):
                known.setdefault(str(place), {})[row] = value
    return known


def _save(
    new: apsw.Connection, table: Table, rows: Iterator[Row], known: dict[str, dict[int, int]], saved: Saved
) -> None:
    """Inserts rows, and ticks their sums off."""
    marks = ", ".join("?" * len(table.columns))
    insert = f"INSERT OR IGNORE INTO {quoted(table.name)} ({table.listed()}) VALUES ({marks})"  # nosec B608 # from our schema
    place = known.get(table.name, {})
    for row in rows:
        try:
            new.execute(insert, row)
        except apsw.ConstraintError:  # what stands in it is of the wrong kind: no row of ours
            continue
        if new.changes():
            saved.rows += 1
            value = place.pop(table.key_of(row), None)
            saved.changed += value is not None and value != sums.row_sum(*row)
    saved.lost = len(place)


def _readable(source: apsw.Connection | None, table: Table, known: dict[int, int], saved: Saved) -> Iterator[Row]:
    """The rows that SQLite finds: all at once if it can, else by ranges of rowids, halved where one fails."""
    saved.broken = source is None
    if source is None:
        return
    query = f"SELECT {table.listed()} FROM {quoted(table.name)} WHERE rowid BETWEEN ? AND ?"  # nosec B608 # from our schema
    ranges = [_range(source, table, known)]
    while ranges:
        low, high = ranges.pop()
        try:
            rows = source.execute(query, (low, high)).fetchall()
        except _BROKEN:
            saved.broken = True
            middle = (low + high) // 2
            ranges += [(middle + 1, high), (low, middle)] if low < high else []
        except apsw.SQLError:  # the table is not in the schema that was read
            return
        else:
            yield from rows


def _copy_plain(source: apsw.Connection | None, new: apsw.Connection, name: str, saved: Saved) -> None:
    """A table without a rowid, from both ends as far as it can be read."""
    rows = new.execute("SELECT name, pk FROM pragma_table_info(?)", (name,)).fetchall()
    listed = ", ".join(quoted(str(row[0])) for row in rows)
    key = [quoted(str(row[0])) for row in rows if row[1]]
    insert = f"INSERT OR IGNORE INTO {quoted(name)} ({listed}) VALUES ({', '.join('?' * len(rows))})"  # nosec B608 # from our schema
    for order in ("ASC", "DESC"):
        by = ", ".join(f"{column} {order}" for column in key)
        try:
            assert source is not None
            for row in source.execute(f"SELECT {listed} FROM {quoted(name)} ORDER BY {by}"):  # nosec B608 # from our schema
                new.execute(insert, row)
                saved.rows += new.changes()
            return
        except (*_BROKEN, apsw.SQLError):
            saved.broken = True


def _range(source: apsw.Connection, table: Table, known: dict[int, int]) -> tuple[int, int]:
    """Rowids between which all rows lie, as well as can be told."""
    ends = list(known) if table.whole else []
    by_key = ", ".join(quoted(column) for column in table.primary)
    name = quoted(table.name)
    whole = bool(ends)  # whether something has told where the table ends
    for query in (f"{name} ORDER BY rowid", f"{name} ORDER BY rowid DESC", f"{name} ORDER BY {by_key}"):
        try:
            for row in source.execute(f"SELECT rowid FROM {query}"):  # nosec B608 # from our schema
                ends.append(cast("int", row[0]))
            whole = True
        except _BROKEN:
            continue
        except apsw.SQLError:
            return 0, 0
    if not whole:
        ends += [max(ends, default=0) + BEYOND, 0]
    return (min(ends), max(ends)) if ends else (0, 0)


def _carve(
    new: apsw.Connection, found: list[Table], pages: Pages, known: dict[str, dict[int, int]], done: Salvage
) -> None:
    """Rows that SQLite did not find, from the pages themselves."""
    wanted = [table for table in found if known.get(table.name) or done.tables[table.name].broken]
    if not wanted:
        return
    unproven: list[tuple[Table, Row]] = []
    for rowid, values in pages.rows():
        shaped = [(table, row) for table in found if (row := pages.shaped(table, rowid, values)) is not None]
        for table, row in shaped:
            if known.get(table.name, {}).get(table.key_of(row)) == sums.row_sum(*row):
                _save(new, table, iter([row]), known, done.tables[table.name])
                break
        else:
            fitting = [(table, row) for table, row in shaped if pages.fits(table, values, row)]
            unproven += fitting if len(fitting) == 1 and _tellable(fitting[0][0], done) else []
    for table, row in unproven:  # last: what is proven comes first where two have one key
        saved = done.tables[table.name]
        before = saved.rows
        _save(new, table, iter([row]), known, saved)
        saved.unproven += saved.rows - before


def _tellable(table: Table, done: Salvage) -> bool:
    """Whether a row of its form says enough: not where SQLite's own tables have the same."""
    return done.tables[table.name].broken and len(table.columns) >= FEWEST_COLUMNS


def _without_rules(new: apsw.Connection) -> list[str]:
    """Takes the schema's own triggers away and gives them: what they would write of a row is saved itself, under its number."""
    query = "SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger' ORDER BY rowid"
    rules = [(str(row[0]), str(row[1])) for row in new.execute(query).fetchall()]
    for name, _ in rules:
        new.execute(f"DROP TRIGGER main.{quoted(name)}")
    return [rule for _, rule in rules]


def _mend(new: apsw.Connection) -> int:
    """Gives messages without a conversation one, and drops other rows that refer to lost ones. Gives how many there were."""
    lost = (
        "SELECT conversation, min(created_at), max(created_at), count(*) FROM messages WHERE conversation NOT IN "
        "(SELECT id FROM conversations) GROUP BY conversation"
    )
    count = 0
    for conversation, first, last, messages in new.execute(lost).fetchall():
        values = conversation, TITLE, first, last
        new.execute("INSERT INTO conversations (id, title, created_at, updated_at) VALUES (?, ?, ?, ?)", values)
        count += cast("int", messages)
    for name, row, *_ in new.execute("PRAGMA foreign_key_check").fetchall():
        new.execute(f"DELETE FROM {quoted(str(name))} WHERE rowid = ?", (row,))  # nosec B608 # from our schema
        count += 1
    return count
