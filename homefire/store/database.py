"""One SQLite database: a single writer thread with group commit, and a few reader threads.

States of the writer: open -> (error) -> reopening -> open ... -> closed.
Promises: `write(change)` returns after the commit is on disk (synchronous=FULL); changes that arrive together share one
commit and stand or fall alone (a savepoint each); after a failed commit the connection is closed and opened anew, because a
failed fsync leaves the page cache in a state that no retry can trust. `read(query)` sees the last commit and never waits for
the writer. Every row is written with its checksum (`sums.py`).
Does not cover: retrying. A caller whose change failed gets the error; every change here is safe to send again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

from homefire.errors import DiskFull, HomefireError, HomeNotWritable, InternalError, OldSqlite, StoreDamaged
from homefire.store import sums
from homefire.store.migrations import MIGRATIONS

T = TypeVar("T")
Row = tuple[Any, ...]

# 3.7.0 to 3.51.2 can corrupt a database when a WAL reset races with a checkpoint (sqlite.org, release notes of 3.51.3).
OLDEST_SQLITE = (3, 51, 3)
APPLICATION_ID = 0x484D4652  # "HMFR"
# A group holds the commit back from its first member, so it is bounded.
GROUP = 256
READERS = 2
log = logging.getLogger(__name__)


class Store:
    """The database at `path`. `open()` before use; `close()` waits for what was sent."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._changes: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._open = threading.Lock()  # held for an instant: a change is sent before the writer's end, or refused
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._reader_connections: list[apsw.Connection] = []

    def open(self) -> None:
        """Opens and migrates. Raises OldSqlite, StoreDamaged, HomeNotWritable or DiskFull."""
        require_sqlite(apsw.sqlite_lib_version())
        connection = self._connect()
        try:
            migrate(connection)
        except (apsw.Error, UnicodeDecodeError) as problem:
            connection.close(True)
            raise translate(problem, self.path) from None
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._writer = threading.Thread(target=self._write_loop, args=(connection,), name="store-write", daemon=True)
        self._writer.start()

    async def write(self, change: Callable[[apsw.Connection], T], fold: bool = False) -> T:
        """Runs `change` in the writer's transaction and returns its result once that is committed.

        `fold` then moves the WAL into the database and empties it, so that overwritten text is gone from the disk.

        Raises DiskFull, HomeNotWritable or StoreDamaged when the machine refuses, and whatever `change` raises; then nothing
        of this change is kept.
        """
        loop = asyncio.get_running_loop()
        item = _Change(change, loop, loop.create_future(), fold)
        with self._open:
            if self._writer is None:
                raise InternalError("The store is closed.")
            self._changes.put(item)
        result: T = await item.future
        return result

    async def read(self, query: Callable[[apsw.Connection], T]) -> T:
        """Runs `query` on a read-only connection in a reader thread."""
        if self._readers is None:
            raise InternalError("The store is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, query)

    def close(self) -> None:
        """Ends writer and readers; everything sent before is committed first."""
        with self._open:
            writer, self._writer = self._writer, None
            readers, self._readers = self._readers, None
        if readers is not None:
            readers.shutdown(wait=True)
            for connection in self._reader_connections:
                connection.close()
            self._reader_connections.clear()
        if writer is not None:  # last: only a writing connection that is alone folds the WAL into the database
            self._changes.put(None)
            writer.join()

    def _connect(self) -> apsw.Connection:
        try:
            return connect(self.path)
        except apsw.Error as problem:
            raise translate(problem, self.path) from None

    def _read(self, query: Callable[[apsw.Connection], T]) -> T:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        try:
            if connection is None:
                connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
                connection.set_busy_timeout(5000)
                connection.execute("PRAGMA trusted_schema=OFF; PRAGMA query_only=ON")
                self._local.connection = connection
                self._reader_connections.append(connection)
            return query(connection)
        except (apsw.Error, UnicodeDecodeError) as problem:
            raise translate(problem, self.path) from None

    def _write_loop(self, connection: apsw.Connection | None) -> None:
        ending = False
        while not ending:
            group: list[_Change] = []
            item = self._changes.get()
            while item is not None:
                group.append(item)
                if len(group) == GROUP or self._changes.empty():
                    break
                item = self._changes.get()
            ending = item is None
            if group:
                connection = self._commit(connection, group)
        if connection is not None:
            connection.close()

    def _commit(self, connection: apsw.Connection | None, group: list[_Change]) -> apsw.Connection | None:
        try:
            if connection is None:
                connection = self._connect()
            connection.execute("BEGIN IMMEDIATE")
            for item in group:
                item.run(connection)
                if isinstance(item.problem, (apsw.Error, UnicodeDecodeError)):
                    item.problem = translate(item.problem, self.path)
                if connection.get_autocommit():
                    # SQLite itself rolled the whole transaction back (disk full does that): nobody in this group is kept.
                    raise item.problem or InternalError("The transaction ended early.")
            connection.execute("COMMIT")
            if any(item.fold for item in group):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except (apsw.Error, HomefireError) as problem:
            shown = translate(problem, self.path) if isinstance(problem, apsw.Error) else problem
            log.warning("a commit of %d changes failed: %s", len(group), problem)
            for item in group:
                item.fail(shown)
            if connection is not None:
                with contextlib.suppress(apsw.Error):
                    connection.close(True)
            return None
        for item in group:
            item.settle()
        return connection


class _Change:
    """A change on its way through the writer, and where its result goes."""

    def __init__(
        self,
        work: Callable[[apsw.Connection], Any],
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
        fold: bool,
    ) -> None:
        self.fold = fold
        self._work = work
        self._loop = loop
        self.future = future
        self._result: Any = None
        self.problem: BaseException | None = None

    def run(self, connection: apsw.Connection) -> None:
        try:
            with connection:  # a savepoint: this change stands or falls alone
                try:
                    self._result = self._work(connection)
                except apsw.Error as problem:  # a full disk ends the savepoint too; what came first is what counts
                    self.problem = problem
                    raise
        except Exception as problem:  # what a caller's function raises is the caller's; the writer must live on
            self.problem = self.problem or problem

    def fail(self, problem: BaseException) -> None:
        self.problem = problem
        self.settle()

    def settle(self) -> None:
        def deliver() -> None:
            if self.future.cancelled():
                return
            if self.problem is not None:
                self.future.set_exception(self.problem)
            else:
                self.future.set_result(self._result)

        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(deliver)


def connect(path: Path) -> apsw.Connection:
    """A writing connection with the settings that hold what this module promises."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(5000)
    require_ours(connection)  # before the first pragma that would change the file
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "fullfsync=ON",  # macOS: fsync alone does not reach the disk there
        "foreign_keys=ON",
        "trusted_schema=OFF",
        "cell_size_check=ON",
        "secure_delete=ON",  # a deleted conversation is overwritten, not merely unlinked
        "journal_size_limit=67108864",
        "temp_store=MEMORY",  # the triggers that keep sums are there: no full disk reaches them
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    sums.watch(connection)
    return connection


def migrate(connection: apsw.Connection, upto: int | None = None) -> None:
    """Brings the schema up to date (or to `upto`), in one transaction. Raises StoreDamaged if the file is not Homefire's or is
    newer than this program."""
    version = require_ours(connection)
    if version == len(MIGRATIONS):
        return
    spoiled = sums.spoiled(connection)
    sums.unwatch(connection)
    with connection:
        for number, script in enumerate(MIGRATIONS[version:upto], version + 1):
            connection.execute(script)
            connection.execute(f"PRAGMA user_version={number}; PRAGMA application_id={APPLICATION_ID}")
        sums.seal(connection, spoiled)
    sums.watch(connection)


def require_ours(connection: apsw.Connection) -> int:
    """The schema's version, 0 for a new file. Raises StoreDamaged for another program's file and for a newer schema."""
    found, version = int(connection.pragma("application_id")), int(connection.pragma("user_version"))
    if found not in (0, APPLICATION_ID) or (found == 0 and version != 0):
        raise StoreDamaged(
            "homefire.db is a database of another program.",
            "Keep the file, and choose another home with HOMEFIRE_HOME.",
        )
    if version > len(MIGRATIONS):
        raise StoreDamaged(
            f"homefire.db was written by a newer Homefire (schema {version}, this one knows {len(MIGRATIONS)}).",
            "Update Homefire, or choose another home with HOMEFIRE_HOME.",
        )
    return version


def require_sqlite(version: str) -> None:
    """Raises OldSqlite below 3.51.3."""
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_SQLITE:
        raise OldSqlite(f"SQLite {version} has known corruption bugs; 3.51.3 or newer is needed.")


def translate(problem: apsw.Error | UnicodeDecodeError, path: Path) -> HomefireError:
    """The leaf of the error tree that an SQLite error means, or text that is no text any more."""
    if isinstance(problem, apsw.FullError):
        return DiskFull(f"The disk of {path.parent} is full; the change was not stored.")
    if isinstance(problem, (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError)):
        return HomeNotWritable(f"{path} cannot be written: {problem}.")
    if isinstance(problem, (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError)):
        return StoreDamaged(f"{path} is damaged: {problem}.")
    if isinstance(problem, apsw.IOError):
        return DiskFull(f"The disk of {path.parent} does not take writes ({problem}); the change was not stored.")
    return InternalError(f"The database refused: {problem}.")
