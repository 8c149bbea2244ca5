"""Rows read from a database file's pages themselves, where no tree leads to them (sqlite.org/fileformat2.html).

Promises: bounded by the file; a page or a cell that makes no sense gives nothing and ends nothing; what it gives is a guess that
the caller holds against a sum.
Does not cover: which table a row is of; text in another form than UTF-8, which Homefire never writes; a WAL.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from homefire.store.sums import Table

USUAL_PAGE = 4096
_TABLE_LEAF, _INDEX_LEAF, _INDEX_INNER = 0x0D, 0x0A, 0x02
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_KINDS = {"INTEGER": int, "REAL": float, "TEXT": str, "BLOB": bytes}
LARGEST_ROW = 64 * 2**20


class Pages:
    """The file at `path`. `columns`: for each table, what its columns have by default, their types, and whether they are never
    NULL."""

    def __init__(self, path: Path, columns: Mapping[str, tuple[tuple[Any, str, bool], ...]]) -> None:
        self._data = path.read_bytes()
        self._columns = columns
        size = int.from_bytes(self._data[16:18], "big") if self._data[:15] == b"SQLite format 3" else USUAL_PAGE
        size = 65_536 if size == 1 else size
        self._size = size if size >= 512 and size & (size - 1) == 0 else USUAL_PAGE
        self._usable = self._size  # Homefire reserves nothing

    def rows(self) -> Iterator[tuple[int, list[Any]]]:
        """Rowid and values of everything that looks like a row of a table."""
        for start, cell in self._cells(_TABLE_LEAF, 8):
            try:
                length, at = _varint(self._data, cell)
                rowid, at = _varint(self._data, at)
                yield rowid - 2**64 if rowid >= 2**63 else rowid, self._record(start, at, length, index=False)
            except (IndexError, ValueError, struct.error):
                continue

    def sums(self, places: set[str]) -> Iterator[tuple[str, int, int]]:
        """Table, key and sum of everything that looks like a row of sums."""
        # The inner pages of an index hold entries too, each behind the number of a page.
        leaves, inner = self._cells(_INDEX_LEAF, 8), self._cells(_INDEX_INNER, 12)
        for start, cell in (*leaves, *((start, at + 4) for start, at in inner)):
            try:
                length, at = _varint(self._data, cell)
                found = self._record(start, at, length, index=True)
            except (IndexError, ValueError, struct.error):
                continue
            if len(found) == 3 and found[0] in places and isinstance(found[1], int) and isinstance(found[2], int):
                yield found[0], found[1], found[2]

    def shaped(self, table: Table, rowid: int, values: list[Any]) -> tuple[Any, ...] | None:
        """The values as a row of the table, None if they cannot be one."""
        columns = self._columns[table.name]
        if len(values) > len(table.columns):
            return None
        row = values + [default for default, _, _ in columns[len(values) :]]
        if table.whole:
            row[table.columns.index(table.primary[0])] = rowid
        return tuple(
            float(value) if kind == "REAL" and isinstance(value, int) else value
            for value, (_, kind, _) in zip(row, columns, strict=True)
        )

    def fits(self, table: Table, values: list[Any], row: tuple[Any, ...]) -> bool:
        """Whether a row has every column that the table has today, each of its type."""
        columns = self._columns[table.name]
        return len(values) == len(columns) and all(
            not never if value is None else isinstance(value, _KINDS.get(kind, ()))
            for value, (_, kind, never) in zip(row, columns, strict=True)
        )

    def _cells(self, kind: int, header: int) -> Iterator[tuple[int, int]]:
        """Where each page of a kind begins, and each of its cells, which are listed behind `header` bytes."""
        for start in range(0, len(self._data) - self._size + 1, self._size):
            head = start + (100 if start == 0 else 0)
            if self._data[head] != kind:
                continue
            count = int.from_bytes(self._data[head + 3 : head + 5], "big")
            for number in range(min(count, self._size // 4)):
                place = head + header + 2 * number
                offset = int.from_bytes(self._data[place : place + 2], "big")
                if 8 <= offset < self._size:
                    yield start, start + offset

    def _record(self, start: int, at: int, length: int, *, index: bool) -> list[Any]:
        """The values of a record of `length` bytes whose first lie at `at`. Raises IndexError or ValueError."""
        payload = self._payload(start, at, length, index=index)
        size, at = _varint(payload, 0)
        if not at <= size <= len(payload):
            raise ValueError("no record")
        kinds = []
        while at < size:
            kind, at = _varint(payload, at)
            kinds.append(kind)
        values: list[Any] = []
        for kind in kinds:
            value, at = _value(payload, at, kind)
            values.append(value)
        if at != len(payload):
            raise ValueError("no record")
        return values

    def _payload(self, start: int, at: int, length: int, *, index: bool) -> bytes:
        if not 0 < length <= min(LARGEST_ROW, len(self._data)):
            raise ValueError("no length")
        usable = self._usable
        most = (usable - 12) * 64 // 255 - 23 if index else usable - 35
        least = (usable - 12) * 32 // 255 - 23
        local = length
        if length > most:
            local = least + (length - least) % (usable - 4)
            local = local if local <= most else least
        if at + local > start + self._size:
            raise ValueError("beyond its page")
        pieces = [self._data[at : at + local]]
        left = length - local
        following = int.from_bytes(self._data[at + local : at + local + 4], "big") if left else 0
        while left:
            page = (following - 1) * self._size
            if following < 2 or page + self._size > len(self._data):
                raise ValueError("no such page")
            piece = self._data[page + 4 : page + 4 + min(left, usable - 4)]
            following = int.from_bytes(self._data[page : page + 4], "big")
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    return value << 8 | data[at], at + 1


def _value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        _require(data, end)
        return int.from_bytes(data[at:end], "big", signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", data, at)[0], at + 8
    if kind in (0, 8, 9):
        return (None, 0, 1)[max(0, kind - 7)], at
    if kind < 12:
        raise ValueError("no such kind")
    end = at + (kind - 12) // 2
    _require(data, end)
    return (data[at:end].decode() if kind % 2 else data[at:end]), end


def _require(data: bytes, end: int) -> None:
    if end > len(data):
        raise ValueError("beyond its record")
