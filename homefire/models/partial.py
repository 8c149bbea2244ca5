"""A file that is still arriving, on the disk: its bytes, its journal, its lock. Everything here blocks: run it in threads.

    NAME.part      as long as the whole file from the start (space is reserved), with holes of zeros where chunks are missing
    NAME.part.log  the journal: which chunks are written, with the crc32 of each, and which are synced
    NAME.chunks    the same journal beside the finished file: `verify` finds by it which chunks changed

Promises: a chunk is named as written only after its bytes were handed over, as synced only after fdatasync; the file gets its
final name only after fsync, and the folder is synced after that; two processes never write one partial file.
Does not cover: which chunks to fetch (`fetch_plan.py`), the network (`fetch.py`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path

from homefire.errors import DiskFull, FetchBusy
from homefire.models.fetch_plan import Journal, Plan, read_journal, synced_line, whole_journal, written_line
from homefire.paths import from_os, make_private_folder, sync_folder

# Room that must be left on the disk, so that the database can still write.
RESERVE = 64 * 1024 * 1024
PIECE = 1024 * 1024
# A journal line has some 20 bytes; this is enough for terabytes.
LONGEST_JOURNAL = 64 * 1024 * 1024


class Partial:
    """One partial file. Open it, use it, then `finish`, `discard` or `close` it."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.part = target.with_name(target.name + ".part")
        self.log = target.with_name(target.name + ".part.log")
        self.chunks = target.with_name(target.name + ".chunks")
        self._file = -1
        self._journal = -1
        self._hasher = hashlib.sha256()
        self._hashed = 0
        # Journal lines come from several threads, and the journal is replaced at times.
        self._gate = threading.Lock()
        self.noted: dict[int, int] = {}

    def open(self) -> Journal:
        """Opens or makes the file, locks it, and returns what an earlier attempt left. Raises FetchBusy, errors of the disk."""
        make_private_folder(self.target.parent)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            opened = os.open(self.part, flags, 0o600)
            _lock(opened, self.part)
            self._file = opened  # only what is locked is ours, to discard too
            raw = self.log.read_bytes() if self.log.is_file() and self.log.stat().st_size < LONGEST_JOURNAL else b""
        except OSError as problem:
            raise from_os(problem, self.part) from None
        return read_journal(raw)

    @property
    def length(self) -> int:
        """Bytes the partial file has (reserved ones count)."""
        return os.fstat(self._file).st_size

    def reserve(self, size: int) -> None:
        """Makes the file `size` bytes long with all its blocks. Raises DiskFull before a byte is fetched."""
        state = os.fstat(self._file)
        missing = size - getattr(state, "st_blocks", 0) * 512
        free = shutil.disk_usage(self.part.parent).free
        if missing > 0 and missing + RESERVE > free:
            self._drop_if_new(state.st_size)
            raise DiskFull(
                f"{self.target.name} needs {missing / 1e9:.2f} GB and {self.part.parent} has {free / 1e9:.2f} GB left."
            )
        try:
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file, 0, size)
            os.ftruncate(self._file, size)
        except OSError as problem:
            self._drop_if_new(state.st_size)
            raise from_os(problem, self.part.parent) from None

    def _drop_if_new(self, length: int) -> None:
        # What is half reserved is of no use; what was fetched before is.
        if length == 0:
            self.part.unlink(missing_ok=True)

    def begin_log(self, plan: Plan, identity: str) -> None:
        """Replaces the journal by one that says what `plan` knows: a torn end of the old one can then harm no new line."""
        fresh = self.log.with_name(self.log.name + ".new")
        try:
            with fresh.open("wb") as file:
                file.write(whole_journal(plan, identity))
                file.flush()
                os.fsync(file.fileno())
            with self._gate:
                if self._journal >= 0:
                    os.close(self._journal)
                fresh.replace(self.log)
                self._journal = os.open(self.log, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
            sync_folder(self.log.parent)
        except OSError as problem:
            raise from_os(problem, self.log) from None

    def write(self, index: int, offset: int, data: memoryview, digest: int = 0, whole: bool = True) -> int:
        """Writes the next bytes of a chunk; `digest` is the crc32 of those before them, what is returned that with them. With the
        last ones (`whole`) the chunk is named in the journal, and in `noted` for a caller who is cancelled meanwhile."""
        digest = zlib.crc32(data, digest)
        try:
            _write_at(self._file, data, offset)
            if whole:
                with self._gate:
                    os.write(self._journal, written_line(index, digest))
                self.noted[index] = digest
        except OSError as problem:
            raise from_os(problem, self.part) from None
        return digest

    def sync(self, indexes: Iterable[int]) -> None:
        """Waits until all that was written is on the disk, then says so of the chunks in the journal."""
        try:
            getattr(os, "fdatasync", os.fsync)(self._file)
            with self._gate:
                os.write(self._journal, synced_line(indexes))
                getattr(os, "fdatasync", os.fsync)(self._journal)
        except OSError as problem:
            raise from_os(problem, self.part) from None

    def hash_to(self, end: int) -> None:
        """Takes the bytes up to `end` into the whole file's sha256, in order. They come from the page cache, mostly."""
        buffer = bytearray(PIECE)
        try:
            while self._hashed < end:
                count = _read_at(self._file, memoryview(buffer)[: min(PIECE, end - self._hashed)], self._hashed)
                if not count:
                    return  # someone made the file shorter; the digest will not agree
                self._hasher.update(memoryview(buffer)[:count])
                self._hashed += count
        except OSError as problem:
            raise from_os(problem, self.part) from None

    def begin_hash(self) -> None:
        """Starts the whole file's digest anew."""
        self._hasher, self._hashed = hashlib.sha256(), 0

    @property
    def sha256(self) -> str:
        """The digest of all that was hashed, in hexadecimal."""
        return self._hasher.hexdigest()

    def bad_chunks(self, plan: Plan, indexes: Iterable[int]) -> list[int]:
        """The chunks among `indexes` whose bytes on the disk do not have the crc32 that was noted."""
        try:
            return [i for i in indexes if _crc(self._file, *plan.span(i)) != plan.digests[i]]
        except OSError as problem:
            raise from_os(problem, self.part) from None

    def finish(self) -> None:
        """Syncs, gives the file its final name and the journal its place beside it, syncs the folder."""
        try:
            os.fsync(self._file)
            self.part.replace(self.target)
            self.log.replace(self.chunks)
            sync_folder(self.target.parent)
        except OSError as problem:
            raise from_os(problem, self.target) from None
        self.close()

    def discard(self) -> None:
        """Removes the partial file and its journal; does nothing once it is closed or finished."""
        if self._file < 0:
            return
        self.log.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Closes the files and lets go of the lock. May be called twice."""
        for descriptor in (self._journal, self._file):
            if descriptor >= 0:
                os.close(descriptor)
        self._journal = self._file = -1


def kept_journal(target: Path) -> Journal:
    """The journal beside a finished file; without `head` if there is none."""
    try:
        return read_journal(target.with_name(target.name + ".chunks").read_bytes())
    except OSError:
        return Journal()


def changed_chunks(target: Path) -> list[int] | None:
    """Numbers of the chunks of a finished file that are not as they came; None if no journal says how they came. Blocks."""
    journal = kept_journal(target)
    size, chunk = journal.head.get("size"), journal.head.get("chunk")
    if not isinstance(size, int) or not isinstance(chunk, int) or chunk < 1:
        return None
    try:
        with target.open("rb") as file:
            digests = {i: _crc(file.fileno(), i * chunk, min(size, (i + 1) * chunk)) for i in range(-(-size // chunk))}
    except OSError as problem:
        raise from_os(problem, target) from None
    return [i for i, digest in digests.items() if i not in journal.chunks or journal.chunks[i][0] != digest]


def _crc(descriptor: int, start: int, end: int) -> int:
    buffer, digest = bytearray(PIECE), 0
    while start < end:
        count = _read_at(descriptor, memoryview(buffer)[: min(PIECE, end - start)], start)
        if not count:
            return -1
        digest = zlib.crc32(memoryview(buffer)[:count], digest)
        start += count
    return digest


def _read_at(descriptor: int, into: memoryview, offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [into], offset)
    data = os.pread(descriptor, len(into), offset)  # macOS before 11
    into[: len(data)] = data
    return len(data)


def _write_at(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        count = os.pwrite(descriptor, data, offset)
        data, offset = data[count:], offset + count


def _lock(descriptor: int, path: Path) -> None:
    """Locks an open file, or closes it and raises FetchBusy: locked by another, or renamed by one who finished meanwhile."""
    try:
        import fcntl
    except ImportError:  # Windows refuses to rename a file that another process has open, which is what matters
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            return
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    raise FetchBusy(f"Another process fetches {path.name.removesuffix('.part')}.")
