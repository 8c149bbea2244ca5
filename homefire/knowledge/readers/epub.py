"""Books (EPUB) to Markdown: the chapters in the order of the book.

Promises: as the socket; a chapter that is missing or broken is left out with a note.
Does not cover: books that are locked (DRM): `document_encrypted`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from urllib.parse import unquote

from homefire.knowledge.reader import BadDocument, Source, Text
from homefire.knowledge.readers.packed import Packed
from homefire.knowledge.readers.page import decoded, markdown_of
from homefire.knowledge.readers.plain import texts_of


class Epub:
    """EPUB 2 and 3."""

    kinds = ("epub",)

    def read(self, source: Source) -> Iterator[Text]:
        """Its words as Markdown."""
        packed = Packed(source)
        title, chapters = _order(packed)
        found, notes = list[str](), list[str]()
        locked = "META-INF/encryption.xml" in packed and b"adept" in packed.whole("META-INF/encryption.xml")
        if locked or "META-INF/rights.xml" in packed:
            raise BadDocument("document_encrypted", "The book is locked for one reading program.")
        for name in chapters:
            if name not in packed:
                notes.append(f"{name} is missing")
                continue
            try:
                found.append(markdown_of(decoded(packed.whole(name)))[0])
            except BadDocument as problem:
                if problem.code == "document_too_large":
                    raise
                notes.append(problem.message)
        text = "\n".join(found)
        if not text.strip():
            raise BadDocument("document_empty", "; ".join(notes)[:200])
        yield from texts_of(text, source.kind, title=title, notes=tuple(notes[:20]))


def _order(packed: Packed) -> tuple[str, list[str]]:
    """The book's title, and the names of its chapters' entries."""
    roots: list[str] = []
    packed.xml(
        "META-INF/container.xml", lambda tag, a: roots.append(a.get("full-path", "")) if tag == "rootfile" else None
    )
    if not roots:
        raise BadDocument("document_broken", "Its container names no book.")
    items: dict[str, str] = {}
    spine: list[str] = []
    titles: list[str] = []
    inside = [False]

    def start(tag: str, attributes: dict[str, str]) -> None:
        inside[0] = tag == "title"
        if tag == "item" and "html" in attributes.get("media-type", ""):
            items[attributes.get("id", "")] = attributes.get("href", "")
        elif tag == "itemref":
            spine.append(attributes.get("idref", ""))

    def words(text: str) -> None:
        if inside[0] and len(titles) < 10:
            titles.append(text)

    packed.xml(roots[0], start, lambda _: inside.__setitem__(0, False), words)
    folder = posixpath.dirname(roots[0])
    names = dict.fromkeys(
        posixpath.normpath(posixpath.join(folder, unquote(items[each]))) for each in spine if each in items
    )
    return "".join(titles).strip()[:300], list(names)
