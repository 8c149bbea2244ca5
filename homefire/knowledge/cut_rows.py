"""Cutting tables and JSON: whole rows, whole members, as far as they fit.

Promises: as `cut.py`; a newline in a quoted field does not end a row; a JSON text on one line is cut between members of the
outermost level that gives pieces of the right size.
Does not cover: what stands in the fields.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from homefire.knowledge.cut import lines_of, numbered, pack
from homefire.knowledge.reader import Piece

# Deeper members are not told apart.
_LEVELS = 6


def rows(data: bytes, first_row: int = 1) -> tuple[Piece, ...]:
    """Pieces of a CSV or TSV text; their labels count rows from `first_row`."""
    if not data:
        return ()
    lines = lines_of(data)
    ends = lines
    if b'"' in data:
        quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == 34)
        outside = np.searchsorted(quotes, lines) % 2 == 0
        # An odd quote would swallow the rest of the file: then quotes say nothing here.
        ends = lines[outside] if len(quotes) % 2 == 0 else lines
    places = ends.tolist()
    pieces = []
    start = 0
    cuts = pack(data, 0, len(data), [places, lines.tolist()])
    numbers: Any = (np.searchsorted(ends, np.array([0, *cuts]), side="right") + first_row).tolist()
    for index, end in enumerate(cuts):
        last = max(numbers[index], numbers[index + 1] - (end in _Ends(ends)))
        pieces.append(Piece(start, end, 0, f"row {numbers[index]}-{last}"))
        start = end
    return numbered(pieces, lines)


class _Ends:
    """Whether a place is the end of a row."""

    def __init__(self, ends: np.ndarray[Any, Any]) -> None:
        self._ends = ends

    def __contains__(self, place: int) -> bool:
        index = int(np.searchsorted(self._ends, place))
        return index < len(self._ends) and int(self._ends[index]) == place


def members(data: bytes) -> tuple[Piece, ...]:
    """Pieces of a JSON text, or of one with a JSON value a line; labelled with the outermost name before them, if there is
    one."""
    if not data:
        return ()
    lines = lines_of(data)
    after, depth = _commas(data)
    levels = [after[depth == level].tolist() for level in range(_LEVELS)]
    pieces: list[Piece] = []
    start = 0
    for end in pack(data, 0, len(data), [*levels, lines.tolist(), (after[depth >= _LEVELS]).tolist()]):
        pieces.append(Piece(start, end, 0, _name(data, start, end)))
        start = end
    return numbered(pieces, lines)


def _commas(data: bytes) -> tuple[Any, Any]:
    """The places after commas and after whole values on a line of their own, and how deep they lie; strings are jumped over."""
    array = np.frombuffer(data, np.uint8)
    quote = array == 34
    if b"\\" in data:
        quote &= ~_escaped(array)
    inside: Any = np.zeros(len(array), np.uint8)
    np.cumsum(quote, out=inside, dtype=np.uint8)
    outside = (inside & 1) == 0
    opened = (outside & ((array == 123) | (array == 91))).astype(np.int8)
    opened -= (outside & ((array == 125) | (array == 93))).astype(np.int8)
    depth = np.cumsum(opened, dtype=np.int32)
    places = np.flatnonzero(outside & ((array == 44) | (array == 10)))
    # A newline counts as an end between values only: inside of them the comma before it does.
    places = places[(array[places] == 44) | (depth[places] == 0)]
    follows = places + 1
    follows = follows + ((follows < len(array)) & (array[np.minimum(follows, len(array) - 1)] == 10))
    return follows, np.maximum(depth[places], 0)


def _escaped(array: Any) -> Any:
    """Which bytes stand after an odd number of backslashes."""
    slash = array == 92
    places = np.flatnonzero(slash)
    result: Any = np.zeros(len(array), bool)
    if len(places):
        new = np.concatenate(([True], np.diff(places) > 1))
        first = places[np.maximum.accumulate(np.where(new, np.arange(len(places)), 0))]
        odd = places[(places - first) % 2 == 0] + 1
        result[odd[odd < len(array)]] = True
    return result


def _name(data: bytes, start: int, end: int) -> str:
    colon = data.find(b'":', start, min(end, start + 200))
    quote = data.rfind(b'"', start, colon) if colon > start else -1
    return data[quote + 1 : colon].decode("utf-8", "ignore")[:80] if quote >= 0 else ""
