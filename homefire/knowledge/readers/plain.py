"""Files that are their own text: prose, Markdown, code, rows, JSON. Read in parts, so their size does not matter.

Promises: as the socket. What makes a text out of another kind cuts it with `cut_as` too, so that all pieces follow the same
rules.
Does not cover: kinds that have to be taken apart first.
"""

from __future__ import annotations

from collections.abc import Iterator

from homefire.knowledge import cut, cut_code, cut_rows
from homefire.knowledge.decode import end_of_part, parts_of
from homefire.knowledge.reader import PART, BadDocument, Piece, Source, Text
from homefire.knowledge.secret import secret_inside
from homefire.knowledge.windows import windows


class _Plain:
    kinds: tuple[str, ...] = ()

    def read(self, source: Source) -> Iterator[Text]:
        """The text in parts. Raises BadDocument."""
        line, row, several = 1, 1, source.size > PART
        for number, (data, note) in enumerate(parts_of(source), 1):
            if why := secret_inside(data):
                raise BadDocument("secret_skipped", f"In it, {why}.")
            pieces, more = self.cut(data, source, row)
            yield Text(
                data, source.kind, source.language, _title(source, pieces), f"part {number}" if several else "", line,
                pieces, windows(data, pieces, source.kind == "code"), tuple(filter(None, (note, more))),
            )  # fmt: skip
            line += data.count(b"\n")
            if source.kind == "csv" and pieces:
                row = int(pieces[-1].label.rpartition("-")[2]) + 1

    def cut(self, data: bytes, source: Source, row: int) -> tuple[tuple[Piece, ...], str]:
        """The pieces, and a note."""
        raise NotImplementedError


def _title(source: Source, pieces: tuple[Piece, ...]) -> str:
    return pieces[0].label.partition(" > ")[0] if source.kind == "markdown" and pieces else ""


class Prose(_Plain):
    """Text and Markdown."""

    kinds = ("text", "markdown")

    def cut(self, data: bytes, source: Source, row: int) -> tuple[tuple[Piece, ...], str]:
        return cut.prose(data, source.kind == "markdown"), ""


class Code(_Plain):
    """Code, configuration, markup that is edited by hand."""

    kinds = ("code",)

    def cut(self, data: bytes, source: Source, row: int) -> tuple[tuple[Piece, ...], str]:
        return cut_code.code(data, source.language)


class Rows(_Plain):
    """CSV and TSV."""

    kinds = ("csv",)

    def cut(self, data: bytes, source: Source, row: int) -> tuple[tuple[Piece, ...], str]:
        return cut_rows.rows(data, row), ""


class Json(_Plain):
    """JSON, and files of a JSON value a line."""

    kinds = ("json",)

    def cut(self, data: bytes, source: Source, row: int) -> tuple[tuple[Piece, ...], str]:
        return cut_rows.members(data), ""


def texts_of(text: str, kind: str, *, title: str = "", entry: str = "", notes: tuple[str, ...] = ()) -> Iterator[Text]:
    """The texts of a document whose words were taken out as Markdown: one, or several parts if it is very long."""
    data = text.encode("utf-8", "replace")
    several, number, line = len(data) > PART, 0, 1
    while data:
        number += 1
        size = len(data) if len(data) <= PART else end_of_part(data[:PART])
        part, data = data[:size], data[size:]
        if why := secret_inside(part):
            raise BadDocument("secret_skipped", f"In it, {why}.")
        name = (f"{entry} part {number}" if entry else f"part {number}") if several else entry
        pieces = cut.prose(part, True)
        yield Text(part, kind, "", title, name, line, pieces, windows(part, pieces), notes)
        line += part.count(b"\n")
