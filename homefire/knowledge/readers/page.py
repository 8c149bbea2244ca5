"""HTML to Markdown: headings, lists, tables and preformatted text stay what they are; scripts, styles and menus of forms go.

Promises: any bytes give some text or BadDocument; the parser is the standard library's, which takes what browsers take.
Does not cover: what scripts would have written, how a page looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from homefire.knowledge.decode import sound
from homefire.knowledge.kinds import HEAD
from homefire.knowledge.reader import BadDocument, Source, Text
from homefire.knowledge.readers.plain import texts_of

_BLOCKS = frozenset([
    "p", "div", "section", "article", "main", "header", "footer", "aside", "nav", "ul", "ol", "dl", "dt", "dd",
    "table", "thead", "tbody", "tfoot", "caption", "blockquote", "figure", "figcaption", "form", "fieldset",
    "address", "details", "summary", "hr", "body", "html", "center",
])  # fmt: skip
_DROPPED = frozenset({"script", "style", "template", "svg", "select", "iframe", "object", "math"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SPACE = re.compile(r"\s+")
_LINES = re.compile(r"\n{3,}")
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)


class Markdown(HTMLParser):
    """Takes a page and gives its words."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._parts: list[str] = []
        self._dropped = self._pre = 0
        self._in_title = False

    def text(self) -> str:
        """What it has found."""
        joined = "".join(self._parts)
        return _LINES.sub("\n\n", "\n".join(line.rstrip() for line in joined.split("\n"))).strip() + "\n"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Part of HTMLParser."""
        if tag in _DROPPED:
            self._dropped += 1
        elif tag in _HEADINGS:
            self._parts.append("\n\n" + "#" * _HEADINGS[tag] + " ")
        elif tag in _BLOCKS:
            self._break("\n\n")
        elif tag == "pre":
            self._pre += 1
            self._break("\n\n")
        elif tag == "br":
            self._parts.append("\n")
        elif tag == "li":
            self._parts.append("\n- ")
        elif tag == "tr":
            self._break("\n")
        elif tag in ("td", "th"):
            self._parts.append(" | ")
        elif tag == "title":
            self._in_title = True
        elif tag == "img":
            self.handle_data(dict(attrs).get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        """Part of HTMLParser."""
        if tag in _DROPPED:
            self._dropped = max(0, self._dropped - 1)
        elif tag in _HEADINGS or tag in _BLOCKS:
            self._break("\n\n")
        elif tag == "pre":
            self._pre = max(0, self._pre - 1)
            self._break("\n\n")
        elif tag == "title":
            self._in_title = False

    def handle_data(self, data: str) -> None:
        """Part of HTMLParser."""
        if self._in_title:
            self.title = (self.title + data)[:300]
        elif self._dropped:
            return
        elif self._pre:
            self._parts.append(data)
        elif words := _SPACE.sub(" ", data):
            if words[0] == " " and (not self._parts or self._parts[-1].endswith(("\n", " "))):
                words = words[1:]
            if words:
                self._parts.append(words)

    def _break(self, sign: str) -> None:
        if self._parts and not self._parts[-1].endswith(sign):
            self._parts.append(sign)


def markdown_of(html: str) -> tuple[str, str]:
    """Text and title of a page."""
    parser = Markdown()
    parser.feed(html)
    parser.close()
    return parser.text(), _SPACE.sub(" ", parser.title).strip()


def decoded(data: bytes, charset: str = "") -> str:
    """A page's text, by the encoding that it or its sender names."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    named = _CHARSET.search(data[:HEAD])
    for name in filter(None, (charset, named[1].decode() if named else "")):
        try:
            return data.decode(name, "replace")
        except (LookupError, ValueError):
            continue
    return sound(data)[0].decode()


class Page:
    """HTML and XHTML files."""

    kinds = ("html",)

    def read(self, source: Source) -> Iterator[Text]:
        """Its words as Markdown."""
        text, title = markdown_of(decoded(source.whole()))
        if not text.strip():
            raise BadDocument("document_empty")
        yield from texts_of(text, source.kind, title=title)
