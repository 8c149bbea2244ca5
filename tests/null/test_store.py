"""The database: group commit, errors that stay alone, migrations, a full disk, the end.

Promises: what was answered is there and what failed is not, whatever happens around it; the settings that survive a power cut
are in force.
Does not cover: kill -9 and power cuts themselves (`tests/chaos`).
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest

from homefire.errors import DiskFull, HomefireError, HomeNotWritable, InternalError, OldSqlite, StoreDamaged
from homefire.store import Store, database
from homefire.store.database import APPLICATION_ID, connect, migrate, require_sqlite, translate
from homefire.store.migrations import MIGRATIONS

T = TypeVar("T")


def on_store(path: Path, work: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` with an open store and a table of its own."""

    async def main() -> T:
        store = Store(path)
        store.open()
        try:
            await store.write(lambda c: c.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, x BLOB)"))
            return await work(store)
        finally:
            store.close()

    return asyncio.run(main())


def insert(number: int, size: int = 1) -> Callable[[apsw.Connection], int]:
    def change(c: apsw.Connection) -> int:
        c.execute("INSERT INTO t VALUES (?, zeroblob(?))", (number, size))
        return number

    return change


def numbers(c: apsw.Connection) -> list[int]:
    return [row[0] for row in c.execute("SELECT n FROM t ORDER BY n")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "homefire.db"


def test_what_was_written_can_be_read_here_and_later(path: Path) -> None:
    async def work(store: Store) -> list[int]:
        assert await store.write(insert(1)) == 1
        return await store.read(numbers)

    assert on_store(path, work) == [1]
    assert list(path.parent.iterdir()) == [path], "a clean end leaves no WAL"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as other:
        assert other.execute("SELECT n FROM t").fetchall() == [(1,)]


def test_the_durability_settings(path: Path) -> None:
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "fullfsync": 1,
    }

    async def work(store: Store) -> dict[str, Any]:
        return await store.write(lambda c: {name: c.pragma(name) for name in wanted})

    assert on_store(path, work) == wanted


def test_readers_cannot_write(path: Path) -> None:
    def run(sql: str, c: apsw.Connection) -> None:
        c.execute(sql).fetchall()

    async def work(store: Store) -> None:
        for sql in ("INSERT INTO t VALUES (1, NULL)", "PRAGMA user_version=9", "CREATE TABLE u (n)"):
            with pytest.raises(HomefireError):
                await store.read(partial(run, sql))
        assert await store.read(lambda c: (c.pragma("query_only"), c.pragma("trusted_schema"))) == (1, 0)
        assert await store.read(numbers) == []

    on_store(path, work)


def test_many_writes_share_few_commits_and_a_failing_one_fails_alone(path: Path) -> None:
    async def work(store: Store) -> None:
        commits: list[bool] = []
        hold = threading.Event()

        def counted(c: apsw.Connection) -> None:
            def committed() -> bool:
                commits.append(True)
                return False

            c.set_commit_hook(committed)
            hold.wait(10)

        first = asyncio.ensure_future(store.write(counted))
        await asyncio.sleep(0)
        # 7 twice (a constraint), 50 by the change itself; all in the queue while the first one holds the writer.

        def half(c: apsw.Connection) -> None:
            insert(1050)(c)
            raise KeyError("changed its mind")

        changes: list[Callable[[apsw.Connection], Any]] = [insert(number) for number in range(100)]
        changes[20], changes[50] = insert(7), half
        writes = [asyncio.ensure_future(store.write(change)) for change in changes]
        await asyncio.sleep(0.02)
        hold.set()
        results = await asyncio.gather(*writes, return_exceptions=True)
        await first
        failed = {at: result for at, result in enumerate(results) if isinstance(result, BaseException)}
        assert set(failed) == {20, 50}
        assert isinstance(failed[20], InternalError) and isinstance(failed[50], KeyError)
        assert await store.read(numbers) == [number for number in range(100) if number not in (20, 50)]
        assert 1 <= len(commits) <= 3, "a hundred changes that arrive together share a commit"

    on_store(path, work)


def test_a_group_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "GROUP", 10)
    sizes: list[int] = []
    real = Store._commit

    def counted(self: Store, connection: apsw.Connection | None, group: list[Any]) -> apsw.Connection | None:
        sizes.append(len(group))
        return real(self, connection, group)

    monkeypatch.setattr(Store, "_commit", counted)

    async def work(store: Store) -> None:
        await asyncio.gather(*(store.write(insert(number)) for number in range(100)))
        assert len(await store.read(numbers)) == 100

    on_store(path, work)
    assert max(sizes) <= 10 and sum(sizes) == 101


@pytest.mark.parametrize("size", [200, 5000, 200_000])
def test_a_full_disk_is_one_clear_error_and_passes(size: int, path: Path) -> None:
    async def work(store: Store) -> None:
        assert await store.write(insert(0)) == 0
        # The limit belongs to the connection: it stands for the disk, and is gone when the store opens a new one.
        await store.write(lambda c: c.execute(f"PRAGMA max_page_count={c.pragma('page_count') + 6}").fetchall())
        answered, refused = [0], []
        for number in range(1, 400):
            group = [store.write(insert(number * 10 + at, size)) for at in range(3)]
            for result in await asyncio.gather(*group, return_exceptions=True):
                if isinstance(result, int):
                    answered.append(result)
                else:
                    assert isinstance(result, DiskFull), result
                    assert "nothing has to be restarted" in result.next_step
                    refused.append(result)
            if refused:
                break
        assert refused
        assert await store.read(numbers) == sorted(answered), "what was refused is not there, what was answered is"
        assert await store.write(insert(9999, size)) == 9999, "there is space again"
        assert await store.read(numbers) == sorted([*answered, 9999])
        assert await store.read(lambda c: c.pragma("integrity_check")) == "ok"

    on_store(path, work)


def test_a_commit_that_fails_fails_for_all_and_the_connection_is_opened_anew(path: Path) -> None:
    async def work(store: Store) -> None:
        seen: list[apsw.Connection] = []

        def poison(c: apsw.Connection) -> None:
            seen.append(c)
            c.set_commit_hook(lambda: True)  # turns the COMMIT into a rollback

        with pytest.raises(HomefireError):
            await store.write(poison)
        assert await store.write(insert(1)) == 1
        await store.write(seen.append)
        assert seen[0] is not seen[1]
        assert await store.read(numbers) == [1]

    on_store(path, work)


def test_a_cancelled_writer_leaves_the_store_working(path: Path) -> None:
    async def work(store: Store) -> None:
        hold = threading.Event()
        held = asyncio.ensure_future(store.write(lambda c: hold.wait(10)))
        left = [asyncio.ensure_future(store.write(insert(number))) for number in range(20)]
        await asyncio.sleep(0.01)
        for task in left:
            task.cancel()
        hold.set()
        await asyncio.gather(*left, return_exceptions=True)
        await held
        assert all(task.cancelled() for task in left)
        assert await store.write(insert(100)) == 100
        assert await store.read(numbers) == [*range(20), 100], "leaving does not take back what was sent"

    problems: list[dict[str, Any]] = []

    async def watched(store: Store) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
        await work(store)

    on_store(path, watched)
    assert problems == []


def test_close_waits_for_what_was_sent_and_refuses_what_comes_after(path: Path) -> None:
    async def main() -> None:
        store = Store(path)
        store.open()
        await store.write(lambda c: c.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, x BLOB)"))
        hold = threading.Event()
        sent: list[asyncio.Future[Any]] = [asyncio.ensure_future(store.write(lambda c: hold.wait(10)))]
        sent += [asyncio.ensure_future(store.write(insert(number))) for number in range(500)]
        await asyncio.sleep(0.01)
        closing = asyncio.ensure_future(asyncio.to_thread(store.close))
        await asyncio.sleep(0.02)
        late = [asyncio.ensure_future(store.write(insert(1000))), asyncio.ensure_future(store.read(numbers))]
        hold.set()
        await closing
        assert len(await asyncio.gather(*sent)) == 501
        # Nobody waits for ever: a change that came too late says so.
        for result in await asyncio.wait_for(asyncio.gather(*late, return_exceptions=True), 5):
            assert isinstance(result, InternalError), result
        store.close()

    asyncio.run(main())
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT count(*) FROM t").fetchone() == (500,)


def test_a_loop_that_ended_does_not_stop_the_writer(path: Path) -> None:
    store = Store(path)
    store.open()
    hold = threading.Event()

    async def leave() -> None:
        write = asyncio.ensure_future(store.write(lambda c: hold.wait(10)))
        await asyncio.sleep(0.01)
        write.cancel()

    asyncio.run(leave())
    hold.set()
    assert asyncio.run(store.write(lambda c: 5)) == 5
    store.close()


def test_migrations_from_empty_and_again(path: Path) -> None:
    connection = connect(path)
    migrate(connection)
    schema = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
    assert connection.pragma("user_version") == len(MIGRATIONS)
    assert connection.pragma("application_id") == APPLICATION_ID
    migrate(connection)
    assert connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall() == schema
    connection.close()


@pytest.mark.parametrize("done", range(len(MIGRATIONS) + 1))
def test_migrations_from_every_older_schema(done: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect(path)
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", MIGRATIONS[:done])
        migrate(connection)
        assert connection.pragma("user_version") == done
    migrate(connection)
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert {"keys", "sessions", "notices", "conversations", "messages", "models", "words"} <= names
    connection.close()


def test_a_migration_that_fails_leaves_the_schema_before_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE half (n); CREATE TABLE keys (n);"))
    with pytest.raises(HomefireError):
        Store(path).open()
    monkeypatch.undo()
    store = Store(path)
    store.open()
    store.close()
    with sqlite3.connect(path) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert other.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={len(MIGRATIONS) + 1}", "newer Homefire"),
        ("PRAGMA application_id=252006673", "another program"),  # Fossil
        ("PRAGMA user_version=3", "another program"),
    ],
)
def test_a_foreign_or_newer_database_is_refused_and_kept(prepare: str, said: str, path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.executescript(f"CREATE TABLE precious (n); INSERT INTO precious VALUES (7); {prepare}")
    with pytest.raises(StoreDamaged, match=said):
        Store(path).open()
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("precious",)]
        assert other.execute("SELECT n FROM precious").fetchall() == [(7,)]


def test_what_is_no_database(path: Path) -> None:
    path.write_bytes(b"This is a letter, not a database. " * 100)
    with pytest.raises(StoreDamaged) as caught:
        Store(path).open()
    assert "Keep the file" in caught.value.next_step
    assert path.read_bytes().startswith(b"This is a letter")


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    for place in (tmp_path / "folder.db", tmp_path / "missing" / "homefire.db"):
        with pytest.raises(HomeNotWritable):
            Store(place).open()


@pytest.mark.parametrize(("version", "taken"), [("3.51.3", True), ("3.51.2", False), ("3.52.0", True), ("4.0.0", True),
                                                ("3.9.99", False), ("3.51.3.1", True), ("2.99.99", False)])  # fmt: skip
def test_an_old_sqlite_is_refused(version: str, taken: bool) -> None:
    if taken:
        require_sqlite(version)
        return
    with pytest.raises(OldSqlite, match=version):
        require_sqlite(version)


def test_opening_asks_for_the_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.45.1")
    with pytest.raises(OldSqlite):
        Store(path).open()
    assert not path.exists()


@pytest.mark.parametrize(
    ("problem", "leaf"),
    [
        (apsw.FullError, DiskFull),
        (apsw.IOError, DiskFull),
        (apsw.ReadOnlyError, HomeNotWritable),
        (apsw.CantOpenError, HomeNotWritable),
        (apsw.PermissionsError, HomeNotWritable),
        (apsw.CorruptError, StoreDamaged),
        (apsw.NotADBError, StoreDamaged),
        (apsw.ConstraintError, InternalError),
        (apsw.BusyError, InternalError),
    ],
    ids=lambda value: value.__name__,
)
def test_what_sqlite_says(problem: type[apsw.Error], leaf: type[HomefireError], path: Path) -> None:
    assert type(translate(problem("said"), path)) is leaf
