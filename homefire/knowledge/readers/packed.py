"""Zip archives that hold a document, and XML in them, within bounds.

Promises: what is unpacked is counted as it comes, against a size and against the archive's own; XML with a document type (where
entities are declared) is refused, and so is one that is nested too deep; nothing is fetched and nothing is written.
Does not cover: what the parts mean (`docx.py`, `epub.py`).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from xml.parsers import expat  # nosec B407 # no entities: a document type is refused

from homefire.knowledge.reader import MIB, BadDocument, Source

# Entries an archive may have, and what may be unpacked before the ratio counts.
ENTRIES, FREE = 20_000, 4 * MIB
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Packed:
    """An archive in a source. Raises BadDocument."""

    def __init__(self, source: Source) -> None:
        head = source.at(0, 4)
        if source.at(0, 8) == _OLE:
            raise BadDocument("document_encrypted", "It is locked with a password, or in the format of before 2007.")
        if head[:2] != b"PK":
            raise BadDocument("document_broken", "It is no zip archive, as a document of this kind is.")
        if source.size > source.bounds.document_bytes:
            raise BadDocument("document_too_large")
        self._source, self._unpacked = source, 0
        try:
            self._zip = zipfile.ZipFile(source.file())
        except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError, EOFError) as problem:
            raise BadDocument("document_broken", f"Its zip archive is damaged: {problem}.") from None
        if len(self._zip.infolist()) > ENTRIES:
            raise BadDocument("document_too_large", f"Its archive has more than {ENTRIES} entries.")

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def pieces(self, name: str) -> Iterator[bytes]:
        """One entry's bytes, as they are unpacked."""
        info = self._zip.NameToInfo.get(name)
        if info is None:
            raise BadDocument("document_broken", f"Its archive lacks {name}.")
        if info.flag_bits & 1:
            raise BadDocument("document_encrypted")
        bounds = self._source.bounds
        try:
            with self._zip.open(info) as entry:
                while some := entry.read(64 * 1024):
                    self._unpacked += len(some)
                    if self._unpacked > bounds.unpacked_bytes or self._unpacked > max(
                        FREE, bounds.ratio * self._source.size
                    ):
                        raise BadDocument("document_too_large", "It unpacks to far more than it is: a bomb.")
                    yield some
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as problem:
            raise BadDocument("document_broken", f"{name} in its archive is damaged: {problem}.") from None

    def whole(self, name: str) -> bytes:
        """The same at once."""
        return b"".join(self.pieces(name))

    def xml(self, name: str, start: Start, end: End | None = None, words: Words | None = None) -> None:
        """Goes through an entry of XML: `start(name, attributes)`, `end(name)`, `words(text)`; names without name space."""
        parser = expat.ParserCreate(namespace_separator="\n")
        parser.buffer_text = True
        depth = [0]

        def begin(tag: str, attributes: dict[str, str]) -> None:
            depth[0] += 1
            if depth[0] > self._source.bounds.depth:
                raise BadDocument("document_broken", "Its XML is nested too deep.")
            start(_local(tag), {_local(key): value for key, value in attributes.items()})

        def finish(tag: str) -> None:
            depth[0] -= 1
            if end is not None:
                end(_local(tag))

        def refuse(*_: object) -> None:
            raise BadDocument("document_broken", "Its XML declares a document type, which none of its kind does.")

        parser.StartElementHandler, parser.EndElementHandler = begin, finish
        parser.StartDoctypeDeclHandler = refuse
        if words is not None:
            parser.CharacterDataHandler = words
        try:
            for some in self.pieces(name):
                parser.Parse(some, False)
            parser.Parse(b"", True)
        except expat.ExpatError as problem:
            raise BadDocument("document_broken", f"{name} in it is no sound XML: {problem}.") from None


Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]
Words = Callable[[str], None]


def _local(name: str) -> str:
    return name.rpartition("\n")[2]
