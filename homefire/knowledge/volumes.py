"""Volumes: the text of all documents, each once, in files that are only added to, with where the lines begin beside it.

    NNNNNN.text    UTF-8, text after text
    NNNNNN.lines   for each text, where its lines 1, 17, 33, ... begin: offsets from its start (u32, little-endian)

Which stretch is which text, and how long each file is valid, stands in the database; a tail beyond that is what a crash left, and
the next writer cuts it off.
Promises: a stretch that was reported by `sync` survives a power cut; any line of a text is found by a bisection and at most 15
searches for the end of a line; texts are read out of mapped files, not copied into memory.
Does not cover: what a text means, who refers to it (`store/knowledge.py`), who may write: the ingest child alone.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from homefire.errors import StoreDamaged
from homefire.paths import from_os, make_private_folder, sync_folder

# A segment that holds this much is full; a text is never split.
SEGMENT_BYTES = 256 * 2**20
# Each so many lines have their offset written down.
EVERY = 16
ENTRY = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text lies: bytes `start` to `start + size` of a segment; `lines` of them, whose offsets begin at entry `marks`."""

    segment: int
    start: int
    size: int
    lines: int
    marks: int


@dataclass(frozen=True, slots=True)
class End:
    """How long the two files of a segment are valid, in bytes."""

    text: int
    lines: int


class VolumeWriter:
    """Appends. `ends`: how long each segment is valid. Raises HomeNotWritable, DiskFull, StoreDamaged (a file is too short)."""

    def __init__(self, folder: Path, ends: Mapping[int, End], segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._full = segment_bytes
        self._segment = max(ends, default=0)
        self._end = ends.get(self._segment, End(0, 0))
        self._changed: dict[int, End] = {}
        self._files: tuple[BinaryIO, BinaryIO] | None = None
        make_private_folder(folder)
        self._cut_tails(ends)

    def append(self, data: bytes) -> Place:
        """Writes a text behind the last; it is there for certain after `sync`. Raises DiskFull, HomeNotWritable."""
        import numpy as np

        if self._end.text and self._end.text + len(data) > self._full:
            self._close()
            self._segment, self._end = self._segment + 1, End(0, 0)
        starts: np.ndarray[tuple[int], np.dtype[np.intp]] = np.flatnonzero(np.frombuffer(data, np.uint8) == 10) + 1
        if len(starts) and starts[-1] == len(data):  # the last line end begins no line
            starts = starts[:-1]
        lines = len(starts) + 1
        marks = np.concatenate(([0], starts))[::EVERY].astype("<u4").tobytes()
        place = Place(self._segment, self._end.text, len(data), lines, self._end.lines // ENTRY)
        try:
            text, offsets = self._open()
            text.write(data)
            offsets.write(marks)
        except OSError as problem:
            raise from_os(problem, self._folder) from None
        self._end = End(self._end.text + len(data), self._end.lines + len(marks))
        self._changed[self._segment] = self._end
        return place

    def sync(self) -> dict[int, End]:
        """Makes what was appended survive a power cut; returns the ends of the segments that grew since the last time."""
        try:
            for file in self._files or ():
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self._folder)
        except OSError as problem:
            raise from_os(problem, self._folder) from None
        changed, self._changed = self._changed, {}
        return changed

    def close(self) -> None:
        """Lets the files go; what was not synced may be lost."""
        with contextlib.suppress(OSError):
            self._close()

    def _open(self) -> tuple[BinaryIO, BinaryIO]:
        if self._files is None:
            names = text_file(self._folder, self._segment), lines_file(self._folder, self._segment)
            self._files = names[0].open("ab"), names[1].open("ab")
            for name in names:
                name.chmod(0o600)
        return self._files

    def _close(self) -> None:
        files, self._files = self._files, None
        for file in files or ():
            try:
                file.flush()
                os.fsync(file.fileno())
            finally:
                file.close()

    def _cut_tails(self, ends: Mapping[int, End]) -> None:
        try:
            for file in [*self._folder.glob("*.text"), *self._folder.glob("*.lines")]:
                if not file.stem.isdecimal():
                    continue
                end = ends.get(int(file.stem), End(0, 0))
                valid = end.text if file.suffix == ".text" else end.lines
                found = file.stat().st_size
                if found < valid:
                    raise StoreDamaged(
                        f"{file} has {found} bytes; {valid} were written.",
                        "Restore it from a backup, or: homefire knowledge verify",
                    )
                if valid == 0:
                    file.unlink()
                elif found > valid:
                    os.truncate(file, valid)
            for segment, end in ends.items():
                if end.text and not text_file(self._folder, segment).is_file():
                    raise StoreDamaged(
                        f"{text_file(self._folder, segment)} is missing.", "Restore it from a backup, or ingest again."
                    )
        except OSError as problem:
            raise from_os(problem, self._folder) from None


class Volumes:
    """Reads. Safe from several threads; a file that grew is mapped anew when a text beyond the map is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._maps: dict[tuple[int, str], mmap.mmap] = {}
        self._mapping = threading.Lock()

    def view(self, place: Place) -> memoryview:
        """The bytes of a text, not copied. Raises StoreDamaged if they are not there."""
        return memoryview(self._map(place.segment, "text", place.start + place.size))[
            place.start : place.start + place.size
        ]

    def read(self, place: Place, start: int = 0, end: int | None = None) -> bytes:
        """Bytes `start` to `end` of a text. Raises StoreDamaged."""
        stop = place.size if end is None else min(end, place.size)
        found = self._map(place.segment, "text", place.start + place.size)
        return found[place.start + max(0, start) : place.start + max(start, stop)]

    def line_start(self, place: Place, line: int) -> int:
        """Where line `line` (from 1) begins, as an offset in the text; beyond the last line its end. Raises StoreDamaged."""
        if line <= 1:
            return 0
        if line > place.lines:
            return place.size
        at = place.start + self._mark(place, (line - 1) // EVERY)
        found = self._map(place.segment, "text", place.start + place.size)
        for _ in range((line - 1) % EVERY):
            at = found.find(b"\n", at, place.start + place.size) + 1
        return at - place.start

    def line_of(self, place: Place, offset: int) -> int:
        """The line (from 1) in which byte `offset` of a text lies. Raises StoreDamaged."""
        low, high = 0, (place.lines - 1) // EVERY
        while low < high:  # the last mark at or before it
            middle = (low + high + 1) // 2
            if self._mark(place, middle) <= offset:
                low = middle
            else:
                high = middle - 1
        begin = place.start + self._mark(place, low)
        found = self._map(place.segment, "text", place.start + place.size)
        return low * EVERY + 1 + found[begin : place.start + min(offset, place.size)].count(b"\n")

    def drop(self, segment: int) -> None:
        """Forgets the maps of a segment that is no more."""
        with self._mapping:
            for key in [key for key in self._maps if key[0] == segment]:
                del self._maps[key]  # closed when the last view of it is gone

    def close(self) -> None:
        """Lets all maps go."""
        with self._mapping:
            self._maps.clear()

    def _mark(self, place: Place, number: int) -> int:
        at = (place.marks + number) * ENTRY
        return int.from_bytes(self._map(place.segment, "lines", at + ENTRY)[at : at + ENTRY], "little")

    def _map(self, segment: int, suffix: str, needed: int) -> mmap.mmap:
        known = self._maps.get((segment, suffix))
        if known is not None and len(known) >= needed:
            return known
        file = self.folder / f"{segment:06}.{suffix}"
        with self._mapping:
            try:
                with file.open("rb") as opened:
                    size = os.fstat(opened.fileno()).st_size
                    if size < needed or size == 0:
                        raise StoreDamaged(
                            f"{file} has {size} bytes; {needed} were written.",
                            "Restore it from a backup, or ingest again.",
                        )
                    mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
            except FileNotFoundError:
                raise StoreDamaged(f"{file} is missing.", "Restore it from a backup, or ingest again.") from None
            except OSError as problem:
                raise from_os(problem, file) from None
            self._maps[segment, suffix] = mapped
            return mapped


class Stored(Protocol):
    """A row that says where a text lies (`store.TextRow`)."""

    @property
    def segment(self) -> int: ...
    @property
    def start(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def lines(self) -> int: ...
    @property
    def marks(self) -> int: ...


def place_of(row: Stored) -> Place:
    """Where it lies."""
    return Place(row.segment, row.start, row.size, row.lines, row.marks)


def text_file(folder: Path, segment: int) -> Path:
    """The file of a segment's text."""
    return folder / f"{segment:06}.text"


def lines_file(folder: Path, segment: int) -> Path:
    """The file of where a segment's lines begin."""
    return folder / f"{segment:06}.lines"
