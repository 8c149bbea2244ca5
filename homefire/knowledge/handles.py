"""Blobs that the gate maps and drills into: bytes by their content, whatever they came from, and the names they are asked for by.

    "blob:9f2c...:1024-4096"   bytes 1024 to 4096 of the blob with this digest (blake2b, 128 bits, hexadecimal)
    "blob:9f2c..."             all of it

    "kb:notes:9f2c...:1-5"     the same of a text in the collection "notes", by the first half of its digest

Promises: a handle names the same bytes for ever; one that names nothing raises UnknownDocument, it never gives other bytes.
Does not cover: opening what lies in a collection: knowledge itself does that, as another `Sources`.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from homefire.errors import InvalidRequest, UnknownDocument
from homefire.paths import from_os, make_private_folder

_FORM = re.compile(r"(blob|kb:[^:\s]{1,128}):([0-9a-f]{16,64})(?::(\d{1,15})-(\d{1,15}))?")


@dataclass(frozen=True, slots=True)
class Source:
    """What wants to enter a model's window. `kind`: text, markdown, code, html, json, csv, log; `name`: what a person would call
    it (a path, a tool); `language` of code."""

    data: bytes | mmap.mmap
    kind: str = "text"
    name: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Handle:
    """A blob, or a span of it in bytes; `end` 0 is its end. `room`: "blob", or "kb:" and a collection's name."""

    digest: str
    start: int = 0
    end: int = 0
    room: str = "blob"

    @staticmethod
    def of(text: str) -> Handle:
        """Raises InvalidRequest for what is no handle."""
        if not (found := _FORM.fullmatch(text)):
            raise InvalidRequest(
                f"Not a handle: {text[:80]!r}", "Use a handle as the gate wrote it, such as blob:... .", param="handle"
            )
        start, end = int(found[3] or 0), int(found[4] or 0)
        if found[3] and start >= end:
            raise InvalidRequest(f"The span of {text[:80]!r} is empty.", "Give its start first.", param="handle")
        return Handle(found[2], start, end, found[1])

    def __str__(self) -> str:
        return f"{self.room}:{self.digest}" + (f":{self.start}-{self.end}" if self.end else "")


class Sources(Protocol):
    """Where blobs are kept while a handle to them may still be used."""

    def keep(self, source: Source) -> Handle:
        """Keeps it and names it. Raises DiskFull and the like."""
        ...

    def open(self, handle: Handle) -> Source:
        """All of the blob that the handle names. Raises UnknownDocument."""
        ...

    def forget(self, handle: Handle) -> None:
        """Lets it go."""
        ...


def digest_of(data: bytes | mmap.mmap) -> str:
    """The name of these bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class FolderSources:
    """Blobs as files of one private folder, read through the system's page cache. One event loop owns it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Source] = {}

    def keep(self, source: Source) -> Handle:
        """As `Sources.keep`."""
        digest = digest_of(source.data)
        file = self._folder / digest
        try:
            make_private_folder(self._folder)
            if not file.is_file():
                part = file.with_suffix(".new")
                part.write_bytes(source.data)
                part.replace(file)
        except OSError as problem:
            raise from_os(problem, file) from None
        self._known[digest] = Source(b"", source.kind, source.name, source.language)
        return Handle(digest)

    def open(self, handle: Handle) -> Source:
        """As `Sources.open`."""
        facts = self._known.get(handle.digest, Source(b""))
        try:
            with (self._folder / handle.digest).open("rb") as file:
                size = file.seek(0, 2)
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except OSError:
            raise UnknownDocument(f"Nothing is kept under '{handle}' any more.") from None
        return Source(data, facts.kind, facts.name, facts.language)

    def forget(self, handle: Handle) -> None:
        """As `Sources.forget`."""
        self._known.pop(handle.digest, None)
        (self._folder / handle.digest).unlink(missing_ok=True)
