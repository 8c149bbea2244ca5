"""`bench store`: what durability costs: commits beside the disk's own sync, checksums of rows, backup, check, reopening.

Promises: medians of at least five; a commit and a sync of 4 KiB to a file on the same disk are measured in turn; the database of
the backup holds 300 MB of messages; what is reopened has a WAL that nobody folded, as a killed daemon leaves it.
Does not cover: a cold page cache; a disk of another kind than the one that the temporary folder lies on.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import apsw

from bench.report import Report
from homefire.paths import Paths
from homefire.store import Conversations, Store, sums
from homefire.store.backup import Wishes, back_up
from homefire.store.check import check_database
from homefire.store.database import connect, migrate

GOALS: dict[str, tuple[str, float]] = {
    "commit_to_sync_ratio": ("<=", 2),
    "backup_300mb_s": ("<=", 3),
    "check_rows_per_s": (">=", 200_000),
    "reopen_ms": ("<=", 50),
}
ROUNDS = 5
COMMITS = 200
ROWS, CHARACTERS = 240_000, 800
GROUP = 50


async def measure() -> Report:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = await _commits(folder)
        figures |= await asyncio.to_thread(_sums, folder)
        figures |= await asyncio.to_thread(_large, folder)
    return Report("store", GOALS, figures)


async def _commits(folder: Path) -> dict[str, float]:
    store = Store(folder / "commits.db")
    store.open()
    conversations = Conversations(store)
    commits, syncs, groups = [], [], []
    with (folder / "file").open("wb", buffering=0) as file:
        file.write(bytes(4096 * COMMITS))
        for number in range(COMMITS):
            began = time.perf_counter()
            await conversations.create(f"talk {number}")
            commits.append((time.perf_counter() - began) * 1000)
            file.seek(4096 * number)
            began = time.perf_counter()
            file.write(os.urandom(4096))
            os.fdatasync(file.fileno()) if hasattr(os, "fdatasync") else os.fsync(file.fileno())
            syncs.append((time.perf_counter() - began) * 1000)
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(10):
            await asyncio.gather(*(conversations.create("in a group") for _ in range(GROUP)))
        groups.append(10 * GROUP / (time.perf_counter() - began))
    store.close()
    commit, sync = statistics.median(commits), statistics.median(syncs)
    return {
        "commit_ms": commit,
        "fdatasync_4k_ms": sync,
        "commit_to_sync_ratio": commit / sync,
        "rows_per_s_in_groups_of_50": statistics.median(groups),
    }


def _sums(folder: Path) -> dict[str, float]:
    """What the sums add to writing a thousand rows, in memory alone."""
    c = connect(folder / "sums.db")
    migrate(c)
    c.execute("PRAGMA synchronous=OFF").fetchall()
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(ROUNDS * 2):
        kept = number % 2 == 0
        (sums.watch if kept else sums.unwatch)(c)
        began = time.perf_counter()
        with c:
            _messages(c, f"{number}", 5000, 200)
        took[kept].append((time.perf_counter() - began) / 5000 * 1e6)
    c.close()
    both = {kept: statistics.median(each) for kept, each in took.items()}
    return {"row_us": both[True], "row_without_sum_us": both[False]}


def _messages(c: apsw.Connection, talk: str, count: int, size: int) -> None:
    dice = random.Random(talk)
    c.execute("INSERT INTO conversations (id, title, created_at, updated_at) VALUES (?, '', 1, 1)", (talk,))
    query = "INSERT INTO messages (id, conversation, role, content, state, created_at) VALUES (?, ?, 'user', ?, 'complete', 1)"
    text = "".join(chr(dice.randrange(97, 123)) for _ in range(size))
    c.executemany(query, ((f"{talk} {number}", talk, f"{number} {text}") for number in range(count)))


def _large(folder: Path) -> dict[str, float]:
    paths = Paths(folder / "home")
    paths.prepare()
    c = connect(paths.database)
    migrate(c)
    with c:
        _messages(c, "large", ROWS, CHARACTERS)
    c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    size = paths.database.stat().st_size / 1e6
    backups, checks, reopened, spent = [], [], [], []
    for number in range(ROUNDS):
        began = time.perf_counter()
        back_up(paths, folder / f"copy{number}", Wishes(copies=True))
        backups.append((time.perf_counter() - began) * 300 / size)
        shutil.rmtree(folder / f"copy{number}")
        reader = apsw.Connection(str(paths.database), flags=apsw.SQLITE_OPEN_READONLY)
        began, busy = time.perf_counter(), time.process_time()
        assert list(sums.faults(reader)) == []
        checks.append(ROWS / (time.perf_counter() - began))
        spent.append(ROWS / (time.process_time() - busy))
        reader.close()
    began = time.perf_counter()
    assert check_database(paths.database).whole
    whole = time.perf_counter() - began
    for number in range(ROUNDS):  # with what a killed daemon leaves
        with c:
            _messages(c, f"left {number}", 2000, CHARACTERS)
        left = folder / "left.db"
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{paths.database}{suffix}", f"{left}{suffix}")
        store = Store(left)
        began = time.perf_counter()
        store.open()
        reopened.append((time.perf_counter() - began) * 1000)
        store.close()
    c.close()
    return {
        "database_mb": size,
        "backup_300mb_s": statistics.median(backups),
        "check_rows_per_s": statistics.median(checks),
        "check_rows_per_processor_s": statistics.median(spent),
        "check_all_s": whole,
        "reopen_ms": statistics.median(reopened),
    }
