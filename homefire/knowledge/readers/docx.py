"""Word documents (DOCX) to Markdown: headings by their styles, paragraphs, lists, tables, footnotes.

Promises: as the socket.
Does not cover: text in drawings, comments, what was deleted while changes were tracked, the format of before 2007.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from homefire.knowledge.reader import BadDocument, Source, Text
from homefire.knowledge.readers.packed import Packed
from homefire.knowledge.readers.plain import texts_of

_HEADING = re.compile(r"(?:heading|berschrift|titre|ttulo|title)\s*(\d?)", re.IGNORECASE)


class _Body:
    """Gathers a part's paragraphs."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._words: list[str] = []
        self._level, self._item, self._inside, self._cells = 0, False, 0, -1

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "p":
            self._words, self._level, self._item = ([] if self._cells < 0 else self._words), 0, False
        elif tag == "pStyle":
            found = _HEADING.search(attributes.get("val", ""))
            self._level = int(found[1] or 1) if found else 0
        elif tag == "numPr":
            self._item = True
        elif tag == "t":
            self._inside += 1
        elif tag == "tab":
            self._words.append("\t")
        elif tag in ("br", "cr"):
            self._words.append("\n")
        elif tag == "tr":
            self._cells, self._words = 0, []
        elif tag == "tc" and self._cells >= 0:
            self._words.append(" | " if self._cells else "")
            self._cells += 1

    def end(self, tag: str) -> None:
        if tag == "t":
            self._inside -= 1
        elif tag == "p" and self._cells < 0:
            if text := "".join(self._words).strip():
                self.lines.append("#" * min(self._level, 6) + " " * bool(self._level) + "- " * self._item + text + "\n")
        elif tag == "p":
            self._words.append(" ")
        elif tag == "tr":
            self.lines.append("".join(self._words).strip())
            self._cells = -1

    def words(self, text: str) -> None:
        if self._inside:
            self._words.append(text)


class Docx:
    """DOCX files."""

    kinds = ("docx",)

    def read(self, source: Source) -> Iterator[Text]:
        """Its words as Markdown."""
        packed, body = Packed(source), _Body()
        for name in ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml"):
            if name == "word/document.xml" or name in packed:
                packed.xml(name, body.start, body.end, body.words)
        text = "\n".join(body.lines)
        if not text.strip():
            raise BadDocument("document_empty")
        title = next((line.lstrip("# ").strip() for line in body.lines if line.startswith("#")), "")
        yield from texts_of(text + "\n", source.kind, title=title)
