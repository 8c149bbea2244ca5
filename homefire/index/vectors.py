"""The index of vectors: append-only files of sign bits, 8-bit rows with a scale each, and what each row is a window of.

    bits.W       width / 8 bytes a row: the sign of each number
    rows.W       width bytes a row: round(v / scale), scale = largest |v| / 127
    windows      32 bytes a row: chunk u64, hash of the text u64, start u32, length u32, scale f32, whole u32 (0 or 1)
    sums         12 bytes an extent: its last row + 1 (u64) and the CRC-32 of its rows in the three files (u32)

A question is answered by the Hamming distance of all sign bits, and the nearest hundreds are scored again from the 8-bit rows.
The owner keeps the number of valid rows (SQLite) and the removed groups (tombstones); nothing is ever changed in place.

Promises: what `sync` has returned survives a crash once the owner has committed it; rows beyond that length are cut when the
writer opens, unread. A changed byte in a valid row is found by `check`. A filter and tombstones are exact: what is removed or
not allowed is never found, and never takes the place of what is.
Does not cover: making vectors; approximate indexes for more than some five million rows (a question reads all sign bits: 16 ms
there); freeing the room of removed rows (`copy` the living ones into a new folder); a change of width or model (a new folder).
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from homefire.errors import IndexBusy, IndexDamaged, InvalidRequest
from homefire.index import nearest
from homefire.index.hits import GROUP_BITS, Groups, WindowHit
from homefire.index.packages import needed
from homefire.paths import from_os, sync_folder

np = needed("numpy")

WINDOW = np.dtype(
    [("id", "<u8"), ("hash", "<u8"), ("start", "<u4"), ("length", "<u4"), ("scale", "<f4"), ("whole", "<u4")]
)
SUM = np.dtype([("end", "<u8"), ("crc", "<u4")], align=False)
EXTENT_ROWS = 16_384
"""Rows of the longest extent: so much is lost, and made again, with one changed byte."""
WHOLE_BONUS = 0.12
"""Part of the score of a window that stands for its chunk: a sentence is nearer to a question than code is that answers it.
Measured on 600 docstrings (docs/log.md): the right function among ten .69 without, .76 with; from .2 on, code stands before
sentences that answer."""
# Rescored rows: measured recall@10 .993 at 100,000 rows with 300, .985 at a million with 1,000.
SCANNED, SCANNED_MANY, MANY_ROWS = 300, 1000, 200_000
# Allowed rows that are scored one by one instead of scanned, and the share beyond which all are scanned.
FEW_ROWS, MOST = 2_000, 0.3


def _columns(width: int) -> dict[str, int]:
    """File name to bytes a row."""
    return {f"bits.{width}": (width + 7) // 8, f"rows.{width}": width, "windows": WINDOW.itemsize}


def _sums(folder: Path, rows: int) -> Any:
    """The extents that make up `rows` rows. Raises IndexDamaged if none ends there."""
    try:
        data = (folder / "sums").read_bytes()
    except FileNotFoundError:
        data = b""
    found = np.frombuffer(data[: len(data) // SUM.itemsize * SUM.itemsize], SUM)
    kept = found[: np.searchsorted(found["end"], rows, side="right")]
    if (int(kept["end"][-1]) if len(kept) else 0) != rows or np.any(np.diff(kept["end"].astype(np.int64)) <= 0):
        raise IndexDamaged(f"The vectors in {folder} are shorter than the {rows} rows that were committed.")
    return kept


class VectorsWriter:
    """The one writer. Opening cuts off what is beyond `rows`. Raises IndexBusy, IndexDamaged, DiskFull."""

    def __init__(self, folder: Path, width: int, rows: int) -> None:
        self._folder, self._width = folder, width
        self.rows = rows
        self._files: dict[str, io.BufferedRandom] = {}
        with _seen(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder / "lock")
            try:
                self._open(rows)
            except BaseException:
                self.close()
                raise

    def _open(self, rows: int) -> None:
        kept = _sums(self._folder, rows)
        self._extents = len(kept)
        for name, size in {**_columns(self._width), "sums": 0}.items():
            file = open(self._folder / name, "r+b" if (self._folder / name).exists() else "w+b")
            self._files[name] = file
            valid = rows * size if size else len(kept) * SUM.itemsize
            if file.seek(0, os.SEEK_END) < valid:
                raise IndexDamaged(f"{self._folder / name} is shorter than the {rows} rows that were committed.")
            file.truncate(valid)
        self._pending: dict[str, list[bytes]] = {name: [] for name in _columns(self._width)}
        sync_folder(self._folder)

    def append(
        self, ids: Sequence[int], spans: Any, hashes: Sequence[int], vectors: Any, whole: Sequence[bool] = ()
    ) -> None:
        """Adds windows: chunk numbers, (start, length) in bytes of the text, hashes of their texts, f32 vectors of length one,
        `n x width`, and which of them stand for their whole chunk (none: none does). Raises InvalidRequest for vectors of another
        width or with numbers that are none."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        if vectors.ndim != 2 or vectors.shape != (len(ids), self._width) or not np.isfinite(vectors).all():
            raise InvalidRequest(f"Vectors of {vectors.shape} for {len(ids)} windows of width {self._width}.")
        largest = np.abs(vectors).max(axis=1, initial=0) / 127
        scales = np.where(largest > 0, largest, 1).astype(np.float32)
        rounded = np.rint(vectors / scales[:, None]).astype(np.int8)
        self._add(_windows(ids, spans, hashes, scales, whole), np.packbits(vectors > 0, axis=1), rounded)

    def copy(
        self, source: Vectors, rows: Sequence[int], ids: Sequence[int], spans: Any, whole: Sequence[bool] = ()
    ) -> None:
        """Adds rows of `source` (this index or another of its width) again, for windows of the same text elsewhere."""
        taken = np.asarray(rows, np.int64)
        windows = source.windows[taken]
        new = _windows(ids, spans, windows["hash"], windows["scale"], whole)
        self._add(new, source.bits[taken], source.values[taken])

    def _add(self, windows: Any, bits: Any, values: Any) -> None:
        for name, data in zip(_columns(self._width), (bits, values, windows), strict=True):
            self._pending[name].append(np.ascontiguousarray(data).tobytes())

    def sync(self) -> int:
        """Writes and fsyncs what was added and returns the number of rows, for the owner to commit."""
        columns = _columns(self._width)
        data = {name: b"".join(self._pending[name]) for name in columns}
        added = len(data["windows"]) // WINDOW.itemsize
        if not added:
            return self.rows
        sums = np.zeros((added + EXTENT_ROWS - 1) // EXTENT_ROWS, SUM)
        for place, first in enumerate(range(0, added, EXTENT_ROWS)):
            last = min(first + EXTENT_ROWS, added)
            sums[place] = (
                self.rows + last,
                _crc(memoryview(data[n])[first * s : last * s] for n, s in columns.items()),
            )
        with _seen(self._folder):
            for name, file in self._files.items():
                # After a full disk the same rows are written to the same place again.
                file.seek(self.rows * columns[name] if name in columns else self._extents * SUM.itemsize)
                file.write(data[name] if name in data else sums.tobytes())
                file.flush()
                os.fsync(file.fileno())
        self._extents += len(sums)
        self._pending = {name: [] for name in columns}
        self.rows += added
        return self.rows

    def close(self) -> None:
        """Ends the writer; what was not synced is gone."""
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.close()
        os.close(self._lock)


class Vectors:
    """The first `rows` rows, mapped, without the groups in `tombstones`. Never changes: open another after each commit.

    Safe from several threads; each search uses one. Raises IndexDamaged where a file is shorter than it must be."""

    def __init__(self, folder: Path, width: int, rows: int, tombstones: Groups = ()) -> None:
        self._folder, self.width, self.rows = folder, width, rows
        self._tombstones = np.asarray(tombstones, np.uint64)
        self._filter: tuple[Any, Any] | None = None
        kinds = (np.dtype(np.uint8), np.dtype(np.int8), WINDOW)
        with _seen(folder):
            self._extents = _sums(folder, rows)
            maps = []
            for (name, size), kind in zip(_columns(width).items(), kinds, strict=True):
                if rows and (folder / name).stat().st_size < rows * size:
                    raise IndexDamaged(f"{folder / name} is shorter than the {rows} rows that were committed.")
                shape = (rows,) if kind is WINDOW else (rows, size)
                maps.append(np.memmap(folder / name, kind, "r", shape=shape) if rows else np.zeros(shape, kind))
        self.bits, self.values, self.windows = (array.view(np.ndarray) for array in maps)

    @cached_property
    def _runs(self) -> tuple[Any, Any]:
        """Rows of one text that stand together: the first row of each run (and the end), and its group."""
        groups = self.windows["id"] >> np.uint64(GROUP_BITS)
        firsts = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1]))) if self.rows else np.zeros(0, int)
        return np.append(firsts, self.rows), groups[firsts]

    @cached_property
    def _alive(self) -> Any:
        """Rows that are not removed, as a mask; None if none is removed."""
        if not len(self._tombstones) or not self.rows:
            return None
        firsts, groups = self._runs
        return np.repeat(~np.isin(groups, self._tombstones), np.diff(firsts))

    def alive_rows(self) -> Any:
        """Numbers of the rows that are not removed."""
        return np.arange(self.rows) if self._alive is None else np.flatnonzero(self._alive)

    @property
    def dead(self) -> int:
        """Removed rows that are still in the files."""
        return 0 if self._alive is None else self.rows - int(np.count_nonzero(self._alive))

    def search(
        self, query: Any, limit: int, allowed: Groups | None = None, windows_scanned: int = 0
    ) -> list[WindowHit]:
        """The best window of each of the `limit` best chunks. `query` is f32 of this width and of length one; `allowed` are
        the groups that may be found (an array that never changes: it is known again by being the same); `windows_scanned` are
        scored exactly (0: by the number of rows). Raises InvalidRequest."""
        query = np.asarray(query, np.float32).reshape(-1)
        if query.shape != (self.width,) or not np.isfinite(query).all():
            raise InvalidRequest(f"A question of {query.shape[0]} numbers for vectors of width {self.width}.")
        scanned = max(windows_scanned or (SCANNED if self.rows <= MANY_ROWS else SCANNED_MANY), limit)
        rows = self._candidates(np.packbits(query > 0), scanned, allowed) if limit > 0 and self.rows else []
        if not len(rows):
            return []
        windows = self.windows[rows]
        scores = (self.values[rows].astype(np.float32) @ query) * windows["scale"]
        scores = scores + np.float32(WHOLE_BONUS) * windows["whole"].astype(np.float32)
        order = np.lexsort((windows["id"], -scores))
        _, first = np.unique(windows["id"][order], return_index=True)
        best = order[np.sort(first)[:limit]]
        found = zip(windows[best].tolist(), scores[best].tolist(), strict=True)
        return [WindowHit(w[0], score, w[2], w[3]) for w, score in found]

    def known(self, hashes: Sequence[int]) -> Any:
        """For each hash a row whose window has it, -1 where there is none: a text is embedded once."""
        wanted = np.asarray(hashes, np.uint64)
        order, ordered = self._by_hash
        if not self.rows:
            return np.full(len(wanted), -1, np.int64)
        places = np.minimum(np.searchsorted(ordered, wanted), self.rows - 1)
        return np.where(ordered[places] == wanted, order[places], -1)

    @cached_property
    def _by_hash(self) -> tuple[Any, Any]:
        order = np.argsort(self.windows["hash"])
        return order, self.windows["hash"][order]

    def check(self) -> list[tuple[int, int]]:
        """Row ranges [first, end) whose bytes are not those that were written. Reads everything."""
        damaged, first = [], 0
        for end, crc in self._extents.tolist():
            parts = (
                np.ascontiguousarray(part[first:end]).view(np.uint8) for part in (self.bits, self.values, self.windows)
            )
            if _crc(memoryview(part.reshape(-1)) for part in parts) != crc:
                damaged.append((first, end))
            first = end
        return damaged

    def _candidates(self, bits: Any, scanned: int, allowed: Groups | None) -> Any:
        """Numbers of the rows worth scoring: the nearest by sign bits, among those that may be found."""
        mask = self._alive
        if allowed is not None:
            mask, rows = self._allowed(allowed)
            if len(rows) <= max(FEW_ROWS, scanned):
                return rows
            if len(rows) <= MOST * self.rows:
                return rows[nearest.rows(bits, self.bits[rows], scanned)]
        if mask is None:
            return nearest.rows(bits, self.bits, scanned)
        alive = int(np.count_nonzero(mask))
        asked = scanned * self.rows // max(alive, 1) + scanned
        while True:
            found = nearest.rows(bits, self.bits, asked)
            kept = found[mask[found]]
            # Removed rows often stand together: the versions of one text are each other's neighbours.
            if len(kept) >= min(scanned, alive) or asked >= self.rows:
                return kept[:scanned]
            asked *= 4

    def _allowed(self, allowed: Groups) -> tuple[Any, Any]:
        """The rows that a filter allows and that are not removed, as a mask and as numbers. The last filter is kept."""
        kept = self._filter
        if kept is not None and kept[0] is allowed:
            mask, rows = kept[1]
            return mask, rows
        firsts, groups = self._runs
        mask = np.repeat(np.isin(groups, np.asarray(allowed, np.uint64)), np.diff(firsts))
        mask = mask if self._alive is None else mask & self._alive
        self._filter = (allowed, (mask, np.flatnonzero(mask)))
        return self._filter[1]


def _windows(ids: Any, spans: Any, hashes: Any, scales: Any, whole: Sequence[bool]) -> Any:
    made = np.zeros(len(ids), WINDOW)
    made["id"], made["hash"], made["scale"] = np.asarray(ids, np.uint64), np.asarray(hashes, np.uint64), scales
    places = np.asarray(spans, np.uint32).reshape(len(ids), 2)
    made["start"], made["length"] = places[:, 0], places[:, 1]
    if len(whole):
        made["whole"] = whole
    return made


def _crc(parts: Iterator[memoryview]) -> int:
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value


@contextlib.contextmanager
def _seen(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as problem:
        raise IndexDamaged(f"A file of the vectors in {folder} is missing: {problem}.") from problem
    except OSError as problem:
        raise from_os(problem, folder) from problem


def _locked(file: Path) -> int:
    """A descriptor that holds the lock of the one writer; the kernel frees it with the process."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        os.close(descriptor)
        raise IndexBusy(f"Another process writes the vectors in {file.parent}.") from problem
    return descriptor
