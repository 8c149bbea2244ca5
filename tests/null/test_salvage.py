"""Salvage: every row that is not on a damaged page is saved, whatever page is damaged.

Promises: a test knows which rows lie on which page by reading the file's own page table (`dbstat`), and holds the saved ones
against the others; the file that is salvaged stays as it is.
Does not cover: disks that read other bytes each time.

HOMEFIRE_PROOF=full tries twelve sets of three pages of each kind.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

from homefire.errors import StoreDamaged
from homefire.paths import Paths
from homefire.store.check import check_database
from homefire.store.database import connect, migrate
from homefire.store.pages import Pages
from homefire.store.salvage import TITLE, salvage
from homefire.store.sums import columns, tables
from tests.null.stored import dump, home_with, on

FULL = os.environ.get("HOMEFIRE_PROOF") == "full"
SETS = 12 if FULL else 1
PAGE = 4096
# What is made anew, or only ever counts.
REBUILT = ("words_content", "words_data", "words_docsize", "words_config",
           "memory_words_data", "memory_words_docsize", "memory_words_config")  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return home_with(tmp_path_factory.mktemp("salvage") / "home", talks=30, asked=12, blobs=0)


def pages_of(path: Path) -> dict[int, tuple[str, str]]:
    """Page -> the tree it belongs to and what kind of page it is (leaf, internal, overflow)."""
    found: dict[int, tuple[str, str]] = {}
    on(
        path,
        lambda c: found.update({r[0]: (r[1], r[2]) for r in c.execute("SELECT pageno, name, pagetype FROM dbstat")}),
    )
    return found


def rows_on(path: Path, bad: set[int]) -> dict[str, set[str]]:
    """The rows of which a byte lies on these pages, by table, as text."""
    c = apsw.Connection(":memory:")
    try:
        found = tables(_schema(path))
        reading = Pages(path, columns(_schema(path), found))
        data = path.read_bytes()
        hit: dict[str, set[str]] = {}
        owner = {page: name for page, (name, kind) in pages_of(path).items() if kind == "leaf"}
        by_name = {table.name: table for table in found}
        for page, name in owner.items():
            if name in by_name:
                for touched, row in _rows_of_page(reading, data, page, by_name[name]):
                    if touched & bad:
                        hit.setdefault(name, set()).add(repr(row))
        return hit
    finally:
        c.close()


def _schema(path: Path) -> apsw.Connection:
    return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)


def _rows_of_page(reading: Pages, data: bytes, page: int, table: Any) -> list[tuple[set[int], tuple[Any, ...]]]:
    """The rows that begin on a page, each with the pages it lies on: found by blanking out every other page that may belong."""
    found = []
    start = (page - 1) * PAGE
    for at, cell in reading._cells(0x0D, 8):
        if at != start:
            continue
        length, behind = _varint(data, cell)
        rowid, behind = _varint(data, behind)
        values = reading._record(start, behind, length, index=False)
        row = reading.shaped(table, rowid, values)
        assert row is not None
        touched = {page}
        local = length if length <= PAGE - 35 else _local(length)
        following = int.from_bytes(data[behind + local : behind + local + 4], "big") if local < length else 0
        while following:
            touched.add(following)
            following = int.from_bytes(data[(following - 1) * PAGE : (following - 1) * PAGE + 4], "big")
        found.append((touched, row))
    return found


def _local(length: int) -> int:
    least = (PAGE - 12) * 32 // 255 - 23
    local = least + (length - least) % (PAGE - 4)
    return local if local <= PAGE - 35 else least


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    while True:
        value = value << 7 | data[at] & 0x7F
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def damage(home: Paths, folder: Path, bad: set[int], fill: bytes = b"\0") -> Path:
    """A copy with these pages overwritten."""
    data = bytearray(home.database.read_bytes())
    for page in bad:
        data[(page - 1) * PAGE : page * PAGE] = fill * PAGE
    copy = folder / "damaged.db"
    copy.write_bytes(data)
    return copy


def check_saved(home: Paths, damaged: Path, bad: set[int], folder: Path) -> int:
    """Salvages and compares; gives how many rows were lost, all of them on a bad page."""
    before = damaged.read_bytes()
    new = folder / "new.db"
    done = salvage(damaged, new)
    assert damaged.read_bytes() == before, "the damaged file is only read"
    assert check_database(new).whole
    gone, lost = rows_on(home.database, bad), 0
    saved, wanted = dump(new), dump(home.database)
    dropped_for_lost_parents = done.orphans
    for name, rows in wanted.items():
        if name in REBUILT:
            continue
        have = {repr(row) for row in saved[name]}
        missing = {repr(row) for row in rows} - have
        lost += len(missing)
        assert missing <= gone.get(name, set()), (
            f"{name}: {len(missing)} missing, {len(gone.get(name, set()))} on bad pages"
        )
        first = int(name == "memory_entries")  # of a message that was saved it is made anew, under another number
        have, known = ({repr(row[first:]) for row in some} for some in (saved[name], rows))
        invented = {row for row in have - known if TITLE not in row}
        assert invented == set(), name
    assert dropped_for_lost_parents >= 0
    assert sum(each.lost for each in done.tables.values()) <= lost, "and those of which nothing is known any more"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{new}{suffix}").unlink(missing_ok=True)
    return lost


def trees(home: Paths) -> dict[str, list[int]]:
    """Kind of page -> pages, for the trees of messages, of their sums, and the rest."""
    found: dict[str, list[int]] = {}
    for page, (name, kind) in pages_of(home.database).items():
        whose = name if name in ("messages", "row_sums", "audit", "conversations") else "other"
        found.setdefault(f"{whose} {kind}", []).append(page)
    return found


def test_an_undamaged_file_is_saved_whole(home: Paths, tmp_path: Path) -> None:
    assert check_saved(home, damage(home, tmp_path, set()), set(), tmp_path) == 0


@pytest.mark.parametrize(
    "kind",
    ["messages leaf", "messages internal", "messages overflow", "row_sums leaf", "row_sums internal", "audit leaf",
     "conversations leaf", "other leaf"],
)  # fmt: skip
def test_zeroed_pages_of_each_kind(kind: str, home: Paths, tmp_path: Path) -> None:
    pages = trees(home).get(kind, [])
    assert pages or kind in ("messages overflow",), kind
    dice = random.Random(kind)
    for _ in range(SETS if pages else 0):
        bad = set(dice.sample(pages, min(len(pages), 3))) - {1}
        check_saved(home, damage(home, tmp_path, bad), bad, tmp_path)


def test_sets_of_three_pages(home: Paths, tmp_path: Path) -> None:
    every = [page for page in pages_of(home.database) if page != 1]
    dice, lost = random.Random(3), 0
    for number in range(SETS):
        bad = {dice.choice(trees(home)["messages leaf"]), *dice.sample(every, 2)}
        lost += check_saved(home, damage(home, tmp_path, bad, b"\xff" if number % 2 else b"\0"), bad, tmp_path)
    assert lost > 0, "the control: something was damaged"


def test_the_first_page_is_gone(home: Paths, tmp_path: Path) -> None:
    """The page with the header and the schema: SQLite reads nothing any more, the pages themselves do."""
    damaged = damage(home, tmp_path, {1})
    with pytest.raises(apsw.Error):
        on(damaged, lambda c: c.execute("SELECT count(*) FROM messages").fetchall())
    assert check_saved(home, damaged, {1}, tmp_path) == 0


def test_a_tree_and_the_sums_of_its_rows_are_gone(home: Paths, tmp_path: Path) -> None:
    """Rows that no tree leads to and no sum speaks for: what can be of no other table is saved, and told to be unproven."""
    of = trees(home)
    bad = {*of["messages internal"], *of["row_sums leaf"], *of.get("row_sums internal", [])}
    damaged = damage(home, tmp_path, bad)
    assert check_saved(home, damaged, bad, tmp_path) == 0
    assert salvage(damaged, tmp_path / "again.db").tables["messages"].unproven == 720


def test_messages_whose_conversation_is_lost_get_one(home: Paths, tmp_path: Path) -> None:
    damaged = damage(home, tmp_path, set())

    def lose(c: apsw.Connection) -> None:
        c.execute("PRAGMA foreign_keys=OFF")
        c.execute("DELETE FROM conversations WHERE title = 'talk 3'")

    on(damaged, lose)
    done = salvage(damaged, tmp_path / "new.db")
    assert done.orphans == 24
    found: list[Any] = []
    query = "SELECT count(*) FROM messages m JOIN conversations c ON c.id = m.conversation WHERE c.title = ?"
    on(tmp_path / "new.db", lambda c: found.extend(c.execute(query, (TITLE,)).fetchall()))
    assert found == [(24,)]


def test_a_changed_row_is_saved_and_told(home: Paths, tmp_path: Path) -> None:
    damaged = damage(home, tmp_path, set())
    on(damaged, lambda c: c.execute("UPDATE messages SET content = 'rot' WHERE seq = 3"))
    done = salvage(damaged, tmp_path / "new.db")
    assert (done.tables["messages"].changed, done.tables["messages"].lost) == (1, 0)


def test_what_only_the_wal_holds_is_saved(tmp_path: Path) -> None:
    home = home_with(tmp_path / "home", 2, 2, blobs=0)
    c = connect(home.database)
    c.execute("INSERT INTO roles VALUES ('main', 'in the wal')")
    copy = tmp_path / "damaged.db"
    for suffix in ("", "-wal"):
        Path(f"{copy}{suffix}").write_bytes(Path(f"{home.database}{suffix}").read_bytes())
    c.close()
    salvage(copy, tmp_path / "new.db")
    assert dump(tmp_path / "new.db")["roles"] == [("main", "in the wal")]


def test_an_older_schema_is_salvaged_into_todays(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    c = connect(old)
    migrate(c, 6)
    c.execute("INSERT INTO roles VALUES ('main', 'x')")
    c.close()
    salvage(old, tmp_path / "new.db")
    c = connect(tmp_path / "new.db")
    migrate(c)  # nothing to do
    assert c.execute("SELECT * FROM roles").fetchall() == [("main", "x")]
    c.close()
    assert check_database(tmp_path / "new.db").whole


def test_nothing_to_save(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_bytes(b"This is a letter, not a database. " * 1000)
    with pytest.raises(StoreDamaged):
        salvage(tmp_path / "letter.db", tmp_path / "new.db")


def test_the_verb_keeps_the_damaged_file_and_notes_it(tmp_path: Path) -> None:
    home = home_with(tmp_path / "home", 3, 3, blobs=0)
    victims = [page for page, (name, kind) in pages_of(home.database).items() if (name, kind) == ("messages", "leaf")]
    home.database.write_bytes(damage(home, tmp_path, set(victims[:1])).read_bytes())
    bad = home.database.read_bytes()
    done = rescue(home, "salvage")["result"]
    assert done["lost"] > 0 and done["rows"] > 0
    assert Path(done["kept"]).read_bytes() == bad
    assert check_database(home.database).whole
    assert dump(home.database)["audit"][-1][2:4] == ("database salvaged", "command line")
    assert rescue(home, "verify")["result"]["whole"]


def rescue(home: Paths, verb: str, **options: Any) -> dict[str, Any]:
    """Runs the offline program; gives its last line."""
    done = subprocess.run(
        [sys.executable, "-m", "homefire.rescue", verb, json.dumps(options)],
        env={**os.environ, "HOMEFIRE_HOME": str(home.home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return last
