"""The child of `scan.py`: looks for a pattern in spans of files and is killed when it takes too long.

Runs as a file of its own, with Python's standard library alone. In: a line of JSON (what to look for, in which files), then three
u64 for each span (file, start, end; ascending). Out: one JSON object, `{"matches": [[span, start, end]...], "complete": bool}` or
`{"error": "pattern" | "memory", "message": ...}`.

Promises: memory stays bounded whatever the file's size: a span is searched in pieces of PIECE bytes, cut at ends of lines; a
match's places are bytes of its span, also in text that is no UTF-8. A pattern with a word that must be there is tried only in
spans that hold the word.
Does not cover: matches across two pieces (of a text beyond PIECE bytes); empty matches; ending itself in time (`scan.py` does).
"""

from __future__ import annotations

import array
import bisect
import json
import mmap
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

PIECE = 8 << 20
MEMORY = 1 << 30
# Parts of a parsed pattern through which every match must go once.
_GROUPS, _REPEATS = ("SUBPATTERN", "ATOMIC_GROUP"), ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


def required(pattern: str, flags: int) -> str:
    """The longest text that every match holds, "" if none is known."""
    parser = getattr(re, "_parser", None)
    if parser is None or flags & re.IGNORECASE:
        return ""
    parsed = parser.parse(pattern, flags)
    return "" if parsed.state.flags & re.IGNORECASE else max(_literals(parsed), key=len, default="")


def _literals(parsed: Any) -> Iterator[str]:
    run = ""
    for kind, value in parsed:
        if str(kind) == "LITERAL":
            run += chr(value)
            continue
        yield run
        run = ""
        # (?i:...) sets flags for its inside: what is in it may be written otherwise.
        if str(kind) in _GROUPS and (str(kind) != "SUBPATTERN" or not value[1]):
            yield from _literals(value[-1] if str(kind) == "SUBPATTERN" else value)
        elif str(kind) in _REPEATS and value[0] > 0:
            yield from _literals(value[2])
    yield run


class Scan:
    """One pattern over the spans."""

    def __init__(self, order: dict[str, Any], spans: Any) -> None:
        self._spans = spans
        self._limit: int = order["limit"]
        self._maps = [_mapped(path) for path in order["files"]]
        self.matches: list[tuple[int, int, int]] = []
        flags = re.MULTILINE | (re.IGNORECASE if order["ignore_case"] else 0)
        self._plain = b"" if order["regex"] or order["ignore_case"] else _encoded(order["pattern"])
        pattern = order["pattern"] if order["regex"] else re.escape(order["pattern"])
        self._regex = re.compile(pattern, flags)
        self._required = self._plain or _encoded(required(pattern, flags))

    def run(self) -> bool:
        """Fills `matches`; True if these are all."""
        held = self._holding() if self._required else range(len(self._spans) // 3)
        for span in held:
            for start, end in self._in_span(span):
                if len(self.matches) == self._limit:
                    return False
                self.matches.append((span, start, end))
        return True

    def _in_span(self, span: int) -> Iterator[tuple[int, int]]:
        file, first, last = self._spans[3 * span : 3 * span + 3]
        data = self._maps[file]
        for start, end in _pieces(data, first, last):
            piece = data[start:end]
            for found_start, found_end in self._plainly(piece) if self._plain else self._by_pattern(piece):
                yield start - first + found_start, start - first + found_end

    def _plainly(self, piece: bytes) -> Iterator[tuple[int, int]]:
        place = piece.find(self._plain)
        while place >= 0:
            yield place, place + len(self._plain)
            place = piece.find(self._plain, place + len(self._plain))

    def _by_pattern(self, piece: bytes) -> Iterator[tuple[int, int]]:
        text = piece.decode("utf-8", "surrogateescape")
        same = len(text) == len(piece)  # only then is a character a byte
        letters = at = 0
        for match in self._regex.finditer(text):
            if match.start() == match.end():
                continue
            if same:
                yield match.span()
                continue
            at += len(_encoded(text[letters : match.start()]))
            letters = match.start()
            yield at, at + len(_encoded(match.group()))

    def _holding(self) -> Iterator[int]:
        """Spans that hold the required text, by a sweep over whatever stands together in a file."""
        starts = self._spans[1::3]
        first, count = 0, len(starts)
        while first < count:
            file, begin, end = self._spans[3 * first : 3 * first + 3]
            beyond = first + 1
            while beyond < count and self._spans[3 * beyond] == file and self._spans[3 * beyond + 1] == end:
                end = self._spans[3 * beyond + 2]
                beyond += 1
            data = self._maps[file]
            place = data.find(self._required, begin, end)
            while place >= 0:
                span = bisect.bisect_right(starts, place, first, beyond) - 1
                last = self._spans[3 * span + 2]
                inside = place + len(self._required) <= last
                if inside:
                    yield span
                place = data.find(self._required, last if inside else place + 1, end)
            first = beyond


def _pieces(data: Any, first: int, last: int) -> Iterator[tuple[int, int]]:
    while last - first > PIECE:
        cut = data.rfind(b"\n", first, first + PIECE) + 1
        cut = cut if cut > first else first + PIECE
        yield first, cut
        first = cut
    yield first, last


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _mapped(path: str) -> Any:
    with open(path, "rb") as file:
        if not file.seek(0, 2):
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _bounded(seconds: int) -> None:
    """A child whose parent was killed ends too; a pattern cannot take all memory."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def main() -> None:
    """Reads an order, answers it."""
    order = json.loads(sys.stdin.buffer.readline())
    spans = array.array("Q")
    spans.frombytes(sys.stdin.buffer.read())
    _bounded(order["seconds"])
    warnings.simplefilter("ignore")
    answer: dict[str, Any]
    try:
        scan = Scan(order, spans)
        answer = {"complete": scan.run(), "matches": scan.matches}
    except (re.error, RecursionError, OverflowError, UnicodeError) as problem:
        answer = {"error": "pattern", "message": str(problem)}
    except MemoryError:
        answer = {"error": "memory", "message": f"more than {MEMORY >> 20} MiB of memory"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
