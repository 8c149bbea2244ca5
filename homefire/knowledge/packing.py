"""Pieces and windows of a text as bytes, as they stand in the database and beside vectors.

    piece    start, end, line, label: four u32, least significant byte first; `label` is a place in the text's list of labels
    window   start, end, piece: three u32; of a piece's beginning that stands for the piece, WHOLE is added to its number

A piece's number: the text's number shifted left by SHIFT, with its place among the text's pieces.
Promises: pure; what was packed comes back.
Does not cover: how a text is cut (`cut.py` and its neighbours).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from typing import Protocol

SHIFT = 20
MOST_PIECES = 1 << SHIFT
WHOLE = 1 << 31
PIECE, WINDOW = struct.Struct("<4I"), struct.Struct("<3I")


class PieceLike(Protocol):
    """A span of a text, in bytes; `line` from 1."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def line(self) -> int: ...
    @property
    def label(self) -> str: ...


def pack_pieces(pieces: Sequence[PieceLike]) -> tuple[bytes, str]:
    """The packed pieces, and their labels as a JSON list."""
    labels: dict[str, int] = {}
    packed = b"".join(
        PIECE.pack(each.start, each.end, each.line, labels.setdefault(each.label, len(labels))) for each in pieces
    )
    return packed, json.dumps(list(labels), ensure_ascii=False)


def unpack_pieces(packed: bytes) -> list[tuple[int, int, int, int]]:
    """(start, end, line, label) of each."""
    return list(PIECE.iter_unpack(packed))


def unpack_labelled(packed: bytes, labels: str) -> list[tuple[int, int, int, str]]:
    """(start, end, line, label) of each, the label in words. Raises ValueError for what `pack_pieces` never made."""
    names = json.loads(labels)
    if not isinstance(names, list) or len(packed) % PIECE.size:
        raise ValueError("no packed pieces")
    try:
        return [(start, end, line, str(names[label])) for start, end, line, label in PIECE.iter_unpack(packed)]
    except IndexError:
        raise ValueError("a piece without a label") from None


def pack_windows(windows: Iterable[tuple[int, int, int, bool]]) -> bytes:
    """(start, end, piece, whether it stands for the piece) of each, packed."""
    return b"".join(
        [WINDOW.pack(start, end, piece | WHOLE if whole else piece) for start, end, piece, whole in windows]
    )


def unpack_windows(packed: bytes) -> list[tuple[int, int, int, bool]]:
    """(start, end, piece, whether it stands for the piece) of each."""
    return [(start, end, piece & ~WHOLE, piece >= WHOLE) for start, end, piece in WINDOW.iter_unpack(packed)]


def number_of(text: int, piece: int) -> int:
    """A piece's number."""
    return text << SHIFT | piece
