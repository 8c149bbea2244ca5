"""A journal: records that are only ever added, in files of a folder, by one writer.

| state  | add()                                              | becomes                                             |
|--------|----------------------------------------------------|-----------------------------------------------------|
| open   | waits for the group that its record is written with | open; `broken` if the disk refuses                  |
| broken | cuts back to what was safe, then as open            | open; stays broken while the disk refuses           |
| closed | StoreDamaged                                        | closed                                              |

| call    | blocks                                   | never                                                      |
|---------|------------------------------------------|------------------------------------------------------------|
| open()  | reads the last file only                 | opens a journal that another writer has (HomeInUse)        |
| add()   | until the record is on the disk          | answers before that; leaves half a record that counts      |
| read()  | a file at a time                         | gives a record whose checksum or chain is wrong            |
| check() | reads everything                         | repairs                                                    |

Promises: records that come together share one write and one fdatasync; after a crash a torn tail is cut, and what was answered
is there; `head` is the chain over all records, the same for the same records however they were grouped. Damage in what had been
safe is StoreDamaged, and nothing is cut then.
Does not cover: what records mean; a flip in the last group before a crash, which looks like a tear (who keeps a count elsewhere
sees it).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from homefire.durable.segment import (
    HEAD_BYTES,
    MOST_BYTES,
    START,
    Head,
    head_bytes,
    is_damage,
    next_chain,
    read_head,
    record_bytes,
    scan,
)
from homefire.errors import HomeInUse, InvalidRequest, StoreDamaged
from homefire.paths import from_os, make_private_folder, sync_folder

SEGMENT_BYTES = 64 * 2**20


class Journal:
    """See the tables above. Used on one event loop; `Journal.open` and `close` may be called in a thread."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.cut_bytes = 0  # what the last crash had torn
        self._most = segment_bytes
        self._lock = -1
        self._file = -1
        self._path = folder
        self._safe = 0  # bytes of the file that are on the disk for certain
        self._count = 0
        self._chain = START
        self._broken = False
        self._waiting: list[tuple[bytes, asyncio.Future[int]]] = []
        self._writer: asyncio.Task[None] | None = None

    @staticmethod
    def open(folder: Path, segment_bytes: int = SEGMENT_BYTES) -> Journal:
        """The journal in this folder, made if it is not there. Raises HomeInUse, StoreDamaged, DiskFull, HomeNotWritable."""
        journal = Journal(folder, segment_bytes)
        make_private_folder(folder)
        try:
            journal._lock = _locked(folder)
            journal._recover()
        except OSError as problem:
            journal.release()
            raise from_os(problem, folder) from None
        except BaseException:
            journal.release()
            raise
        return journal

    def __len__(self) -> int:
        """Records that are on the disk."""
        return self._count

    @property
    def head(self) -> bytes:
        """The chain over all records, 32 bytes."""
        return self._chain

    async def add(self, record: bytes) -> int:
        """The record's number, once it is on the disk. Raises DiskFull, HomeNotWritable, MachineError: then it is not there.

        A caller that is cancelled meanwhile does not know; the record is whole or not there."""
        if self._lock < 0:
            raise StoreDamaged(f"The journal {self.folder} is closed.")
        if len(record) > MOST_BYTES:
            raise InvalidRequest(f"A record of a journal holds at most {MOST_BYTES // 2**20} MiB.")
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((record, future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.ensure_future(self._write_all())
        number: int = await future
        return number

    def read(self, first: int = 0) -> Iterator[bytes]:
        """Records from `first` on, as they were when it was called. Raises StoreDamaged where one is not what was written."""
        files, count = _files(self.folder), self._count
        for place, path in enumerate(files):
            behind = _first(files[place + 1]) if place + 1 < len(files) else count
            if behind <= first:
                continue
            data, head = self._whole(path)
            number = head.first
            for _, record in scan(data, number):
                if first <= number < count:
                    yield record
                number += 1
            if number < min(behind, count):
                raise StoreDamaged(f"Record {number} of {path} is not what was written.")

    def check(self) -> None:
        """Reads everything and follows the chain. Raises StoreDamaged."""
        chain, number = START, 0
        for path in _files(self.folder):
            data, head = self._whole(path)
            if head != Head(number, chain):
                raise StoreDamaged(f"{path} does not go on where the file before it ends.")
            for _, record in scan(data, number):
                chain, number = next_chain(chain, record), number + 1
        if (number, chain) != (self._count, self._chain):
            raise StoreDamaged(f"{self.folder} has {number} whole records of {self._count}.")

    async def close(self) -> None:
        """Waits for what is under way, and lets others write."""
        if self._writer is not None:
            await asyncio.wait({self._writer})
        self.release()

    async def _write_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            begun = self._count
            try:
                await asyncio.to_thread(self._write, [record for record, _ in group])
            except OSError as problem:
                self._broken = True
                shown = from_os(problem, self.folder)
                for _, future in group:
                    if not future.done():
                        future.set_exception(shown)
                continue
            for place, (_, future) in enumerate(group):
                if not future.done():
                    future.set_result(begun + place)

    def _write(self, records: list[bytes]) -> None:
        if self._broken:  # a failed fsync leaves the page cache in a state that no retry can trust
            os.close(self._file)
            self._file = os.open(self._path, os.O_RDWR | getattr(os, "O_BINARY", 0))
            os.ftruncate(self._file, self._safe)
            os.fsync(self._file)
            self._broken = False
        if self._safe >= self._most:
            self._begin_file(Head(self._count, self._chain))
        parts, chain = [], self._chain
        for place, record in enumerate(records):
            parts.append(record_bytes(self._count + place, self._safe, record))
            chain = next_chain(chain, record)
        data = memoryview(b"".join(parts))
        os.lseek(self._file, self._safe, os.SEEK_SET)
        written = 0
        while written < len(data):
            written += os.write(self._file, data[written:])
        _flush(self._file)
        self._safe += len(data)
        self._count += len(records)
        self._chain = chain

    def _begin_file(self, head: Head) -> None:
        path = self.folder / f"{head.first:016d}.log"
        part = path.with_suffix(".new")
        file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        try:
            os.write(file, head_bytes(head))
            os.fsync(file)
            part.replace(path)  # a file under its own name has a whole head
            sync_folder(self.folder)
        except OSError:
            os.close(file)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file, self._path, self._safe = file, path, HEAD_BYTES

    def _recover(self) -> None:
        for part in self.folder.glob("*.new"):
            part.unlink()
        files = _files(self.folder)
        if not files:
            self._begin_file(Head(0, START))
            sync_folder(self.folder.parent)
            return
        path = files[-1]
        data, head = self._whole(path)
        offset, number, chain = HEAD_BYTES, head.first, head.chain
        for offset, record in scan(data, number):  # noqa: B007 # where the last good one ends
            chain, number = next_chain(chain, record), number + 1
        if offset < len(data) and is_damage(data, offset, number):
            raise StoreDamaged(f"Record {number} of {path} is not what was written, and later ones are.")
        self._file = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        self._path, self._safe, self._count, self._chain = path, offset, number, chain
        if offset < len(data):
            self.cut_bytes = len(data) - offset
            os.ftruncate(self._file, offset)
        os.fsync(self._file)  # what a dead writer had written and not flushed is answered for from here on

    def _whole(self, path: Path) -> tuple[bytes, Head]:
        try:
            data = path.read_bytes()
        except OSError as problem:
            raise from_os(problem, path) from None
        head = read_head(data)
        if head is None or head.first != _first(path):
            raise StoreDamaged(f"{path} does not begin as a journal's file does.")
        return data, head

    def release(self) -> None:
        """Lets others write, at once; `close` waits for what is under way first."""
        for each in (self._file, self._lock):
            if each >= 0:
                with contextlib.suppress(OSError):
                    os.close(each)
        self._file = self._lock = -1


def _flush(file: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(file, fcntl.F_FULLFSYNC)  # fsync alone does not reach the disk there
    elif hasattr(os, "fdatasync"):
        os.fdatasync(file)
    else:
        os.fsync(file)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.log"))


def _first(path: Path) -> int:
    return int(path.stem) if path.stem.isdigit() else -1


def _locked(folder: Path) -> int:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise HomeInUse(f"Another writer has the journal {folder}.") from None
    return descriptor
