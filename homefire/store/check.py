"""Is what is stored still what was written? The database, row by row, and every blob against its name.

Promises: changes nothing and needs no writing connection, so it runs beside a writer; every fault is named: a row by table and
number, a blob by its digest.
Does not cover: mending (`salvage.py`, `backup.py`), and whether a model's blob is there at all (`models/library.py`). In the
daemon's process `homefire.db` is never opened but by SQLite: closing any other descriptor of it would drop SQLite's locks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from homefire.errors import StoreDamaged
from homefire.paths import Digest, Paths, from_os
from homefire.store import sums
from homefire.store.database import require_ours, translate

# How many faults are told one by one; the rest are counted.
MOST_TOLD = 100
CHUNK = 4 * 1024 * 1024
# Told (done, total) in bytes.
Report = Callable[[int, int], None]


def unheard(done: int, total: int) -> None:
    """A report that nobody wants."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found. `structure`: what SQLite says of its trees; `faults`: rows, at most MOST_TOLD of `faulty`; `blobs`:
    names of those that are not what their name says, of `blobs_seen`; `rows` and `bytes` were looked at."""

    rows: int
    faulty: int
    faults: tuple[sums.Fault, ...]
    structure: tuple[str, ...]
    bytes: int = 0
    blobs_seen: int = 0
    blobs: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all of it is as it was written."""
        return not (self.faulty or self.structure or self.blobs)

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "whole": self.whole,
            "rows": self.rows,
            "faulty_rows": self.faulty,
            "faults": [{"table": each.table, "row": each.row, "what": each.what} for each in self.faults],
            "structure": list(self.structure),
            "blobs": self.blobs_seen,
            "bad_blobs": list(self.blobs),
            "bytes": self.bytes,
        }


def check_database(path: Path, report: Report = unheard, quick: bool = False) -> Found:
    """Structure, references and rows. `quick`: leaves out the comparison of indexes with their tables. Blocks.

    Raises StoreDamaged for a file that is no database of ours."""
    size = path.stat().st_size if path.is_file() else 0
    try:
        c = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as problem:
        raise translate(problem, path) from None
    try:
        c.set_busy_timeout(5000)
        require_ours(c)
        c.execute("PRAGMA trusted_schema=OFF; PRAGMA query_only=ON; PRAGMA cell_size_check=ON")
        structure = list(_structure(c, quick))
        rows = [0]

        def progress(done: int, total: int) -> None:
            rows[0] = max(rows[0], done)
            report(size * done // max(total, 1), size)

        told: list[sums.Fault] = []
        faulty = 0
        if sums.has_sums(c):
            for fault in sums.faults(c, progress):
                faulty += 1
                told += [fault] if len(told) < MOST_TOLD else []
        return Found(rows[0], faulty, tuple(told), tuple(structure[:MOST_TOLD]), size)
    except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, UnicodeDecodeError) as problem:
        return Found(0, 0, (), (str(problem),), size)
    except apsw.Error as problem:
        raise translate(problem, path) from None
    finally:
        c.close(True)


def _structure(c: apsw.Connection, quick: bool) -> Iterator[str]:
    check = f"PRAGMA {'quick_check' if quick else 'integrity_check'}({MOST_TOLD})"
    yield from (str(row[0]) for row in c.execute(check) if row[0] != "ok")
    for table, row, parent, _ in c.execute("PRAGMA foreign_key_check"):
        yield f"{table} row {row} refers to a row of {parent} that is not there"


def check_blobs(paths: Paths, report: Report = unheard) -> tuple[int, int, tuple[str, ...]]:
    """Reads every blob; gives how many, how many bytes, and the names of those that are not what their name says. Blocks.

    Raises MachineError for a disk that does not read."""
    found = [each for each in paths.all_blobs() if not each.suffix]
    bad: list[str] = []
    total, done = sum(each.stat().st_size for each in found), 0
    for blob in found:
        began = done
        for done in _read_through(blob, began, bad):
            report(done, total)
    return len(found), total, tuple(bad)


def _read_through(blob: Path, before: int, bad: list[str]) -> Iterator[int]:
    """Bytes done so far; the name goes into `bad` if its content is another."""
    hasher, done = hashlib.sha256(), before
    try:
        with blob.open("rb") as file:
            while chunk := file.read(CHUNK):
                hasher.update(chunk)
                done += len(chunk)
                yield done
    except FileNotFoundError:  # removed meanwhile
        return
    except OSError as problem:
        raise from_os(problem, blob) from None
    if hasher.hexdigest() != blob.name:
        bad.append(blob.name)


def check_home(paths: Paths, report: Report = unheard, blobs: bool = True) -> Found:
    """The database and, unless `blobs` is False, every blob. Blocks. Raises StoreDamaged, MachineError."""
    found = check_database(paths.database, report)
    if not blobs:
        return found
    count, size, bad = check_blobs(paths, lambda done, total: report(found.bytes + done, found.bytes + total))
    return Found(found.rows, found.faulty, found.faults, found.structure, found.bytes + size, count, bad)


def require_whole(found: Found, path: Path, step: str = "") -> None:
    """Raises StoreDamaged, which counts the faults, unless there are none."""
    if not found.whole:
        said = [f"{found.faulty} rows are not what was written" if found.faulty else "", *found.structure[:2]]
        said += [f"{len(found.blobs)} blobs are not what their name says" if found.blobs else ""]
        raise StoreDamaged(f"{path}: {'; '.join(filter(None, said))}.", step)


def digest_of(path: Path) -> Digest:
    """The sha256 of a file. Raises MachineError."""
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                hasher.update(chunk)
    except OSError as problem:
        raise from_os(problem, path) from None
    return Digest(hasher.hexdigest())
