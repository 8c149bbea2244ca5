"""Cutting prose: a text into pieces that end where its author ended something: a section, a paragraph, a sentence, a line.

`pack` is the one rule, for every kind: from where a piece begins, the next place of the strongest sort that lies neither too
near nor too far. What differs from kind to kind is which places there are.
Promises: the pieces lie one after the other and cover every byte; no piece is larger than `CAP`; none begins inside a
character; work grows with the size alone, whatever is in it.
Does not cover: code (`cut_code.py`), rows and JSON (`cut_rows.py`), sentences that get vectors (`windows.py`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from homefire.knowledge.decode import boundary
from homefire.knowledge.reader import Piece

AIM, CAP = 800, 1600
# A section smaller than this does not stand alone.
LEAST = 200
# Characters of a heading that a label keeps; a label as a whole.
HEADING, LABEL = 80, 160

Places = Sequence[int]


def lines_of(data: bytes) -> Any:
    """Where each line but the first begins: the byte after each newline."""
    return np.flatnonzero(np.frombuffer(data, np.uint8) == 10) + 1


def pack(data: bytes, start: int, end: int, sorts: Sequence[Places], *, aim: int = AIM, cap: int = CAP) -> list[int]:
    """The ends of the pieces of data[start:end], the last being `end`. `sorts`: ascending places, the strongest sort first. A
    place is taken of the strongest sort that has one between half of `aim` and `cap`, and of these the one nearest to `aim`."""
    found: list[int] = []
    add = found.append
    while end - start > cap:
        low, best, high = start + aim // 2, start + aim, start + cap
        for places in sorts:
            index = bisect_left(places, best)
            after = places[index] if index < len(places) else end + cap
            before = places[index - 1] if index else -1
            if before >= low and best - before <= after - best:
                start = before
                break
            if after <= high:
                start = after
                break
        else:
            start = boundary(data, high)
        if start >= end:
            break
        add(start)
    if not found or found[-1] != end:
        add(end)
    return found


def prose(data: bytes, markdown: bool = False, label: str = "") -> tuple[Piece, ...]:
    """Pieces of a text or Markdown text, labelled with `label` and the path of headings above them."""
    if not data:
        return ()
    lines = lines_of(data)
    heads = _headings(data, lines) if markdown else _underlined(data, lines)
    sorts = places_of(data, lines)
    pieces: list[Piece] = []
    path: list[tuple[int, str]] = []
    start = 0
    cuts = [*heads, (len(data), 0, "")]
    for place, level, title in cuts:
        # A heading ends what is above it, unless that is too little to stand alone.
        if place - start >= LEAST or (place == len(data) and place > start):
            name = _label(label, path)
            for end in pack(data, start, place, sorts):
                pieces.append(Piece(start, end, 0, name))
                start = end
        if level:
            path = [each for each in path if each[0] < level]
            path.append((level, title))
    return numbered(pieces, lines)


def places_of(data: bytes, lines: np.ndarray[Any, Any]) -> list[list[int]]:
    """Where prose may be cut: after paragraphs, after sentences, after lines, between words."""
    array = np.frombuffer(data, np.uint8)
    nxt: Any = np.zeros(len(array), np.uint8)
    nxt[:-1] = array[1:]
    inner = lines[lines < len(data)]
    first = array[inner] if len(inner) else array[:0]
    gap = np.diff(inner, prepend=0)
    blank = (gap == 1) | ((gap == 2) & (array[np.maximum(inner - 2, 0)] == 13))
    paragraphs = inner[blank & (first != 10) & (first != 13)]
    stop = ((array == 46) | (array == 33) | (array == 63)) & ((nxt == 32) | (nxt == 10))
    sentences: Any = np.flatnonzero(stop) + 2
    spaces: list[int] = []
    # Words are needed only where a line is longer than a piece may be.
    if len(data) > CAP and (
        not len(inner) or int(gap.max(initial=0)) > CAP // 2 or len(data) - int(inner[-1]) > CAP // 2
    ):
        spaces = (np.flatnonzero((array == 32) | (array == 9)) + 1).tolist()
    return [paragraphs.tolist(), sentences.tolist(), inner.tolist(), spaces]


def numbered(pieces: Sequence[Piece], lines: np.ndarray[Any, Any], first: int = 1) -> tuple[Piece, ...]:
    """The same with the lines they begin on."""
    starts = np.fromiter((piece.start for piece in pieces), np.int64, len(pieces))
    numbers: Any = (np.searchsorted(lines, starts, side="right") + first).tolist()
    return tuple(Piece(p.start, p.end, n, p.label) for p, n in zip(pieces, numbers, strict=True))


def _label(label: str, path: list[tuple[int, str]]) -> str:
    whole = " > ".join([label, *(title for _, title in path)] if label else [title for _, title in path])
    return whole if len(whole) <= LABEL else "... " + whole[-LABEL + 4 :]


def _title(data: bytes, start: int, end: int) -> str:
    text = data[start : min(end, start + 4 * HEADING)].decode("utf-8", "ignore")
    return text.strip().strip("#*_= \t").strip()[:HEADING]


def _headings(data: bytes, lines: np.ndarray[Any, Any]) -> list[tuple[int, int, str]]:
    """Markdown's headings (place, level, title), those inside fenced code not among them."""
    array = np.frombuffer(data, np.uint8)
    starts = np.concatenate(([0], lines[lines < len(data)]))
    first = array[starts]
    found: list[tuple[int, int, str]] = []
    fence = b""
    for start in starts[(first == 35) | (first == 96) | (first == 126)].tolist():
        if data[start] != 35:
            sign = data[start : start + 3]
            if sign in (b"```", b"~~~"):
                fence = b"" if sign == fence else fence or sign
            continue
        level = 1
        while level < 7 and data[start + level : start + level + 1] == b"#":
            level += 1
        if not fence and level < 7 and data[start + level : start + level + 1] in (b" ", b"\t"):
            end = data.find(b"\n", start)
            found.append((start, level, _title(data, start + level, end if end >= 0 else len(data))))
    return found


_RULERS = {ord("="): 1, ord("-"): 2, ord("~"): 3}


def _underlined(data: bytes, lines: np.ndarray[Any, Any]) -> list[tuple[int, int, str]]:
    """Headings of plain text: a short line with a line of signs below it that is as long."""
    array = np.frombuffer(data, np.uint8)
    starts = np.concatenate(([0], lines[lines < len(data)]))
    ends: Any = np.append(starts[1:], len(data))
    if len(starts) < 2:
        return []
    first = array[starts[1:]]
    lengths = ends - starts
    likely = np.isin(first, list(_RULERS)) & (lengths[1:] >= 4) & (lengths[:-1] <= HEADING + 1)
    likely &= (lengths[1:] + 1 >= lengths[:-1]) & (lengths[:-1] >= 4) & (lengths[1:] <= 3 * HEADING)
    found = []
    for index in np.flatnonzero(likely).tolist():
        ruler = data[int(starts[index + 1]) : int(ends[index + 1])].strip()
        start, end = int(starts[index]), int(ends[index])
        line = data[start:end].strip()
        if len(ruler) >= 3 and ruler.count(ruler[:1]) == len(ruler) and line and line[:1] not in b"=-~+|":
            found.append((start, _RULERS[ruler[0]], _title(data, start, end)))
    return found


Cutter = Callable[[bytes], tuple[Piece, ...]]


def below(places: Places, start: int, end: int) -> Places:
    """The places strictly between two others."""
    return places[bisect_right(places, start) : bisect_left(places, end)]
