"""A text put together from blocks: pages of a PDF, cells of a notebook.

Promises: as the socket; each block's pieces carry its label; a document of any length becomes texts of `PART` bytes at most.
Does not cover: where blocks come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from homefire.knowledge.cut import lines_of, numbered
from homefire.knowledge.decode import end_of_part
from homefire.knowledge.reader import PART, BadDocument, Piece, Text
from homefire.knowledge.secret import secret_inside
from homefire.knowledge.windows import windows

Cutter = Callable[[bytes], tuple[Piece, ...]]


class Blocks:
    """Collects blocks of one document."""

    def __init__(self, kind: str, title: str = "", *, code: bool = False) -> None:
        self._kind, self._title, self._code = kind, title, code
        self._data, self._pieces = bytearray(), list[Piece]()
        self._line, self._parts = 1, 0

    def add(self, block: str, cutter: Cutter) -> Iterator[Text]:
        """Adds one; gives a text when enough is there."""
        data = block.encode("utf-8", "replace")
        while data:
            size = len(data) if len(data) <= PART else end_of_part(data[:PART])
            some, data = data[:size], data[size:]
            if len(self._data) + size > PART:
                yield self._made(f"part {self._parts + 1}")
            base = len(self._data)
            self._data += some
            self._pieces += [Piece(p.start + base, p.end + base, 0, p.label) for p in cutter(some)]

    def end(self) -> Iterator[Text]:
        """The rest."""
        if self._data:
            yield self._made(f"part {self._parts + 1}" if self._parts else "")

    def _made(self, entry: str) -> Text:
        data = bytes(self._data)
        if why := secret_inside(data):
            raise BadDocument("secret_skipped", f"In it, {why}.")
        pieces = numbered(self._pieces, lines_of(data))
        made = Text(
            data, self._kind, "", self._title, entry, self._line, pieces, windows(data, pieces, self._code)
        )  # fmt: skip
        self._line, self._parts = self._line + data.count(b"\n"), self._parts + 1
        self._data.clear()
        self._pieces = []
        return made
