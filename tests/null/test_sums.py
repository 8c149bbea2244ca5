"""Checksums of rows: kept whatever changes a row, and every bit that flips in what they cover is seen.

Promises: SQLite's own check is run beside ours on the same flips, so that the test shows what it adds.
Does not cover: speed (`homefire bench store`).

HOMEFIRE_PROOF=full plants 1,000 flips in content.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from homefire.errors import StoreDamaged
from homefire.paths import Paths
from homefire.store import database, sums
from homefire.store.check import check_blobs, check_database, check_home
from homefire.store.database import connect, migrate
from homefire.store.migrations import MIGRATIONS
from tests.null.stored import add_blob, dump, home_with, on

FLIPS = 1000 if os.environ.get("HOMEFIRE_PROOF") == "full" else 100


@pytest.fixture
def c(tmp_path: Path) -> Iterator[apsw.Connection]:
    """A writing connection to a new database."""
    connection = connect(tmp_path / "homefire.db")
    migrate(connection)
    yield connection
    connection.close()


def faults(c: apsw.Connection) -> list[tuple[str, int | None, str]]:
    return [(each.table, each.row, each.what) for each in sums.faults(c)]


def count(c: apsw.Connection) -> int:
    return len(c.execute("SELECT * FROM row_sums WHERE place != ''").fetchall())


TALK = "INSERT INTO conversations (id, title, created_at, updated_at) VALUES (?, 'x', 1, 2)"
MESSAGE = (
    "INSERT INTO messages (id, conversation, role, content, state, created_at) VALUES (?, ?, 'user', ?, 'complete', 3)"
)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE messages SET content = 'other', seq = 77 WHERE id = 'm1'",
        "UPDATE conversations SET id = 'c9', deleted_at = 5 WHERE id = 'c2'",
        "DELETE FROM messages WHERE id = 'm0'",
        "DELETE FROM conversations WHERE id = 'c1'",  # and its messages by their reference
        "INSERT OR REPLACE INTO messages (seq, id, conversation, role, content, state, created_at)"
        " VALUES (900, 'm1', 'c1', 'user', 'instead', 'complete', 4)",  # takes another row away by its UNIQUE id
        "INSERT OR IGNORE INTO notices VALUES ('pilot', 1), ('pilot', 2)",
        "INSERT INTO notices VALUES ('a', 1) ON CONFLICT DO NOTHING",
        "INSERT INTO roles VALUES ('main', 'x') ON CONFLICT (role) DO UPDATE SET model = 'y'",
        "UPDATE roles SET model = 'z'",
        "INSERT INTO tunings VALUES ('d', 'e', 'm', '{}', 1), ('d', 'e', 'n', '{}', 1.5)",
        "INSERT INTO audit (at, what, who, about, detail) VALUES (1, 'a', 'b', 'c', '{}')",
        "INSERT INTO keys (name, hash, created_at) VALUES ('Zoë \U0001f511', x'00ff', 1)",
    ],
)
def test_whatever_changes_a_row_changes_its_sum(c: apsw.Connection, change: str) -> None:
    for number in range(3):
        c.execute(TALK, (f"c{number}",))
    for number in range(3):
        c.execute(MESSAGE, (f"m{number}", "c1", "text"))
    c.execute("INSERT INTO roles VALUES ('main', 'x')")
    c.execute(change)
    assert faults(c) == []
    rows = sum(len(c.execute(f'SELECT 1 FROM "{table.name}"').fetchall()) for table in sums.tables(c))  # nosec B608
    assert count(c) == rows > 0


def test_what_fails_leaves_no_sum(c: apsw.Connection) -> None:
    c.execute(TALK, ("c1",))
    with pytest.raises(apsw.ConstraintError):
        c.execute(MESSAGE, ("m1", "no such", "text"))
    with pytest.raises(apsw.ConstraintError), c:
        c.execute(TALK, ("c2",))
        c.execute(TALK, ("c1",))
    assert faults(c) == []
    assert count(c) == 1


def test_a_mutant_that_keeps_no_sums_is_seen(c: apsw.Connection, tmp_path: Path) -> None:
    """Each trigger in turn taken away: what it would have kept is missed."""
    for kind, change, what in (
        ("a", "INSERT INTO roles VALUES ('new', 'x')", "unknown"),
        ("u", "UPDATE roles SET model = 'other'", "changed"),
        ("d", "DELETE FROM roles", "missing"),
    ):
        c.execute("INSERT OR REPLACE INTO roles VALUES ('main', 'x')")
        c.execute(f"DROP TRIGGER temp.sum_{kind}_roles")
        c.execute(change)
        assert {fault[2] for fault in faults(c)} == {what}
        sums.watch(c)
        with c:
            sums.seal(c)
        assert faults(c) == []


def test_a_plain_writer_is_seen(tmp_path: Path) -> None:
    paths = home_with(tmp_path / "home", 2, 2)
    on(paths.database, lambda c: c.execute("UPDATE messages SET content = content || 'x' WHERE seq = 3"))
    found = check_database(paths.database)
    faulty = [(each.table, each.row, each.what) for each in found.faults]
    assert [each for each in faulty if each[0] == "messages"] == [("messages", 3, "changed")]
    assert {each[0] for each in faulty} == {"messages", "memory_entries"}  # what recalls a message follows it
    assert not found.whole


def test_an_older_database_is_sealed_and_its_damage_stays_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = home_with(tmp_path / "home", 2, 2)
    on(paths.database, lambda c: c.execute("UPDATE messages SET content = 'rot' WHERE seq = 3"))
    newer = (
        "ALTER TABLE messages ADD COLUMN mood TEXT NOT NULL DEFAULT 'fine'; CREATE TABLE more (n INTEGER PRIMARY KEY)"
    )
    later = (*MIGRATIONS, newer)
    monkeypatch.setattr(database, "MIGRATIONS", later)
    connection = connect(paths.database)
    migrate(connection)
    connection.execute("INSERT INTO more VALUES (5)")
    assert faults(connection) == [("messages", 3, "changed")]
    assert connection.execute("SELECT row FROM row_sums WHERE place = 'more'").fetchall() == [(5,)]
    connection.close()


def test_every_flip_in_content_is_seen(tmp_path: Path) -> None:
    """One bit each: half in what messages say, half anywhere in the file."""
    paths = home_with(tmp_path / "home")
    good = paths.database.read_bytes()
    wanted = dump(paths.database)
    begins = [good.find(str(row[5]).encode()[:40]) for row in wanted["messages"]]
    spots = [at for begin in begins if begin >= 0 for at in range(begin, begin + 40)]
    assert len(spots) > 4000
    dice = random.Random(7)
    planted = missed_by_sqlite = 0
    tried = 0
    while planted < FLIPS:
        tried += 1
        at = dice.choice(spots) if tried % 2 else dice.randrange(len(good))
        bad = bytearray(good)
        bad[at] ^= 1 << dice.randrange(8)
        paths.database.write_bytes(bad)
        try:
            if dump(paths.database) == wanted:
                continue  # free space, an index, the words: no content
        except (apsw.Error, UnicodeDecodeError):
            pass
        planted += 1
        missed_by_sqlite += sqlite_says_ok(paths.database)
        assert seen(paths.database), f"byte {at}, the flip {tried}"
    assert missed_by_sqlite > FLIPS // 2, "the control: without sums most would go unseen"


def seen(path: Path) -> bool:
    try:
        return not check_database(path).whole
    except StoreDamaged:
        return True


def sqlite_says_ok(path: Path) -> bool:
    try:
        c = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return c.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        finally:
            c.close(True)
    except (apsw.Error, UnicodeDecodeError):
        return False


@pytest.mark.parametrize(
    "change",
    ["UPDATE sqlite_schema SET name = 'rolet', tbl_name = 'rolet', sql = replace(sql, 'roles', 'rolet') WHERE name = 'roles'",
     "UPDATE sqlite_schema SET sql = replace(sql, 'audit log', 'audio log') WHERE name = 'audit_keeps'",
     "PRAGMA user_version=3"],
)  # fmt: skip
def test_a_schema_that_changed_is_seen(change: str, tmp_path: Path) -> None:
    """No row changes with it: a table without one has another name, a rule another word."""
    paths = home_with(tmp_path / "home", 1, 1)

    def work(c: apsw.Connection) -> None:
        c.execute("PRAGMA writable_schema=ON")
        c.execute(change).fetchall()

    on(paths.database, work)
    found = check_database(paths.database)
    assert found.structure or [(each.table, each.what) for each in found.faults] == [("sqlite_schema", "changed")]
    assert not found.whole


def test_lost_and_strange_rows_are_seen(tmp_path: Path) -> None:
    paths = home_with(tmp_path / "home", 2, 2)
    for change, what in (
        ("DELETE FROM messages WHERE seq = 2", ("messages", 2, "missing")),
        ("DELETE FROM notices", None),
        ("INSERT INTO roles VALUES ('main', 'stranger')", ("roles", 1, "unknown")),
        ("UPDATE row_sums SET sum = sum + 1 WHERE place = 'audit' AND row = 1", ("audit", 1, "changed")),
    ):
        on(paths.database, lambda c, change=change: c.execute(change))  # type: ignore[misc]
        found = check_database(paths.database)
        assert what is None or what in [(each.table, each.row, each.what) for each in found.faults]


def test_blobs_are_held_against_their_names(tmp_path: Path) -> None:
    paths = home_with(tmp_path / "home", 1, 1)
    assert check_home(paths).whole
    rotten = add_blob(paths, b"x" * 100_000)
    paths.blob(rotten).write_bytes(b"x" * 50_000 + b"y" + b"x" * 49_999)
    number, size, bad = check_blobs(paths)
    assert bad == (rotten,)
    assert number == 4 and size == sum(each.stat().st_size for each in paths.all_blobs())
    found = check_home(paths)
    assert not found.whole and found.blobs == (rotten,)
    assert check_home(paths, blobs=False).whole


def test_a_check_tells_how_far_it_is(tmp_path: Path) -> None:
    paths: Paths = home_with(tmp_path / "home", 2, 2)
    heard: list[tuple[int, int]] = []
    check_home(paths, lambda done, total: heard.append((done, total)))
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert heard[-1][0] == heard[-1][1] > 0
