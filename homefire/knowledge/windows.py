"""Windows: the spans that get a vector. One sentence, or one line that reads like one; of code also the beginning of each
piece.

A single foreign sentence in a piece of other things vanishes in the piece's one vector (docs/log.md); so prose is known by
its sentences and shown as the piece around them. Sentences are looked for in every kind: comments and strings of code hold
them too.
Promises: a window lies inside its piece; it has 24 to 400 bytes of mostly letters with five words or more (scripts without
blanks: ten characters); a sentence that was there before in the text gives none. Nothing runs once a line but what passed the
filter in numpy.
Does not cover: what a vector is (`embedding.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from homefire.knowledge.decode import boundary
from homefire.knowledge.reader import Piece, Window

SHORTEST, LONGEST, WORDS, LETTERS = 24, 400, 5, 0.86
# Lines are taken to be wrapped if so many of them are longer than this, half of these are nearly as long as they get, and after
# half of them a small letter goes on.
WRAPPED, LONG, RAGGED = 8, 50, 12
# Of a piece of code: its name, its parameters, its first lines. Some 150 tokens.
CODE = 512

_CODE_SIGNS = re.compile(rb"[_=()\[\]{}]")
_SIGNS = b" \t\r\n#*/<>!-\"'|;"
_LETTER, _BLANK, _LOWER, _TRIM, _STOP, _UPPER = 1, 2, 4, 8, 16, 32


def _table() -> Any:
    table: Any = np.zeros(256, np.uint8)
    for signs, bit in (
        (bytes(range(65, 91)), _LETTER | _UPPER),
        (bytes(range(97, 123)), _LETTER | _LOWER),
        (bytes(range(128, 256)), _LETTER | _LOWER | _UPPER),
        (b"'", _LOWER),
        (b" ", _BLANK),
        (_SIGNS, _TRIM),
        (b".!?", _STOP),
        (b"0123456789\"'(", _UPPER),
    ):
        table[np.frombuffer(signs, np.uint8)] |= bit
    return table


_TABLE = _table()


def windows(data: bytes, pieces: Sequence[Piece], code: bool = False) -> tuple[Window, ...]:
    """The windows of a text, in its order; those of `code` have the beginning of each piece too."""
    found: list[Window] = []
    if code:
        for number, piece in enumerate(pieces):
            end = piece.end if piece.end - piece.start <= CODE else boundary(data, piece.start + CODE)
            if data[piece.start : end].strip():
                found.append(Window(piece.start, end, number, True))
    walls = np.fromiter((piece.start for piece in pieces), np.int64, len(pieces))
    spans = sentences(data, walls)
    owners: Any = (np.searchsorted(walls, [start for start, _ in spans], side="right") - 1).tolist()
    seen: set[bytes] = set()
    for (start, end), owner in zip(spans, owners, strict=True):
        if (span := data[start:end]) not in seen and not (code and _statement(data, start, span)):
            seen.add(span)
            found.append(Window(start, end, owner))
    if code:
        found.sort(key=lambda window: window.start)
    return tuple(found)


def _statement(data: bytes, start: int, span: bytes) -> bool:
    """Whether what reads like a sentence in code is code: nothing but blanks before it on its line, and signs of code in it. The
    words of statements only look like those of a question."""
    return not data[data.rfind(b"\n", 0, start) + 1 : start].strip() and _CODE_SIGNS.search(span) is not None


def sentences(data: bytes, walls: Any = ()) -> list[tuple[int, int]]:
    """Spans that read like a sentence. None crosses a place in `walls`."""
    if len(data) < SHORTEST:
        return []
    array = np.frombuffer(data, np.uint8)
    flags = _TABLE[array]
    starts = _starts(array, flags, walls)
    ends: Any = np.append(starts[1:], len(array))
    long = ends - starts >= SHORTEST
    starts, ends = starts[long], ends[long]
    keep = _worded(
        array, flags, starts, ends
    )  # before the ends are trimmed: no word is lost by that, and most spans go here
    starts, ends = _trimmed(flags, starts[keep], ends[keep])
    ends = np.minimum(ends, starts + LONGEST)
    keep = ends - starts >= SHORTEST
    starts, ends = starts[keep], ends[keep]
    if not len(starts):
        return []
    keep = _lettered(array, flags, starts, ends)
    pairs = zip(starts[keep].tolist(), ends[keep].tolist(), strict=True)
    return [(s, boundary(data, e) if e - s == LONGEST else e) for s, e in pairs]


def _starts(array: Any, flags: Any, walls: Any) -> Any:
    """Where sentences may begin: after a stop and a blank before what begins one; after a newline that does not only wrap a
    line."""
    size = len(array)
    begins: Any = np.zeros(size + 1, bool)
    blanks: Any = np.flatnonzero(array[1:-1] == 32) + 1
    blanks = blanks[((flags[blanks - 1] & _STOP) > 0) & ((flags[blanks + 1] & _UPPER) > 0)]
    newline = np.flatnonzero(array == 10)
    before = array[np.maximum(newline - 1 - (array[np.maximum(newline - 1, 0)] == 13), 0)]
    after = array[np.minimum(newline + 1, size - 1)]
    # It only wraps: a small letter or a comma, and then a small letter; at the end of a full line a capital too (a name).
    open_end = (before >= 97) & (before <= 122) | (before == 44)
    wraps = open_end & (after >= 97) & (after <= 122)
    if (full := _full(np.diff(newline, prepend=-1) - 1, wraps)) is not None:
        wraps |= open_end & full & (after >= 65) & (after <= 90)
    begins[0] = True
    begins[blanks + 1] = True
    begins[newline[~wraps] + 1] = True
    begins[np.asarray(walls, np.int64)] = True
    if (array >= 128).any():
        full = (array[:-2] == 0xE3) & (array[1:-1] == 0x80) & (array[2:] == 0x82)  # the stop of Chinese and Japanese
        begins[np.flatnonzero(full) + 3] = True
    return np.flatnonzero(begins[:size])


def _full(lengths: Any, wraps: Any) -> Any:
    """Which lines of a wrapped text have no room for another word; None: nothing says that it is wrapped."""
    long = lengths > LONG
    count = np.count_nonzero(long)
    if count < WRAPPED or np.count_nonzero(wraps & long) < count // 2:
        return None
    ordered = np.sort(lengths[long])
    least = ordered[count * 9 // 10] - RAGGED  # the longest tenth may be tables and addresses
    return lengths >= least if ordered[count // 2] >= least else None


def _trimmed(flags: Any, starts: Any, ends: Any) -> tuple[Any, Any]:
    """The spans without blanks, newlines, and signs of comments, lists and quotes at their ends; what is nothing else ends before
    it begins."""
    kept: Any = np.flatnonzero((flags & _TRIM) == 0)
    if not len(kept):
        return starts, starts
    first = np.searchsorted(kept, starts)
    starts = np.where(first < len(kept), kept[np.minimum(first, len(kept) - 1)], len(flags))
    last = np.searchsorted(kept, ends) - 1
    return starts, np.where(last >= 0, kept[np.maximum(last, 0)] + 1, 0)


def _lettered(array: Any, flags: Any, starts: Any, ends: Any) -> Any:
    letters = (flags & (_LETTER | _BLANK)) > 0
    letters |= array == 10  # a wrapped line goes on after it
    return _counted(letters, starts, ends) >= LETTERS * (ends - starts)


def _worded(array: Any, flags: Any, starts: Any, ends: Any) -> Any:
    # A word: a letter after none, and a small letter or an apostrophe after it.
    letter = (flags & _LETTER) > 0
    begins = letter.copy()
    begins[1:] &= (flags[:-1] & (_LETTER | _LOWER)) == 0
    begins[:-1] &= (flags[1:] & _LOWER) > 0
    keep = _counted(begins, starts, ends) >= WORDS
    high = array >= 128
    if high.any():
        keep |= _counted(high, starts, ends) >= 30
    return keep


def _counted(marks: Any, starts: Any, ends: Any) -> Any:
    """How many marks lie in each span."""
    total: Any = np.zeros(len(marks) + 1, np.int32)
    np.cumsum(marks, out=total[1:])
    return total[ends] - total[starts]
