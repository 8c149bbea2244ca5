"""The socket `Reader` (what knows a kind of document), and the values that reading gives.

A `Source` is one open file. A reader turns it into `Text`s: one for most files, one an entry for a mailbox or a web archive,
several in order for a file larger than `PART`. Texts are UTF-8; all offsets are bytes of their `data`.
Promises: the pieces of a text are in order and every byte is in at least one; a window lies inside its piece; what a reader
does not take is one `BadDocument` with a code out of `REASONS`, never another exception for bad input.
Does not cover: walls, limits and processes (`reading.py`, `reader_child.py`), where texts are kept (`volumes.py`).
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import msgspec

MIB = 1 << 20
# Most bytes of one text: what cutting holds in memory at a time is some twenty bytes for each.
PART = 4 * MIB

# Why a file was not read. `docs/reading.md` lists them with the same words (a test holds it to that).
REASONS = {
    "document_broken": "it is damaged, or not what its name says",
    "document_encrypted": "it is locked with a password",
    "document_too_large": "it is larger than the limit, unpacks to more than the limit, or takes too much memory",
    "document_too_slow": "reading it took too long",
    "document_changed": "it changed while it was read, twice",
    "document_gone": "it was there when the folder was listed and is not now",
    "document_unreadable": "its permissions do not allow it, or the disk failed",
    "document_empty": "there is no text in it",
    "not_text": "it is binary, of a kind that no reader knows",
    "not_a_file": "it is a link, a socket, a device or a pipe",
    "needs_sight": "it is an image; text in images is not read yet",
    "secret_skipped": "it holds keys, passwords or tokens, by its name or by what stands in it",
    "ignored": "a .gitignore names it, or it is what programs leave behind",
    "sandbox_unavailable": "its kind is read behind walls only, and this machine has none",
    "reader_missing": "a package that reads it is not installed",
}


class BadDocument(Exception):
    """A document that cannot be read. `code` is one of `REASONS`; `message` one sentence about this file."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or REASONS[code])
        self.code = code
        self.message = message or REASONS[code]


class Piece(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A span of a text that is found and shown as one. `line` counts the text's lines from 1; `label` is its place in words:
    the path of headings ("Install > Linux"), the symbol ("Store.write"), "row 200-240", "page 3"."""

    start: int
    end: int
    line: int
    label: str = ""


class Window(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A span that gets a vector: a sentence, or with `whole` the beginning of a piece of code, which stands for all of it.
    `piece` is the index of its piece."""

    start: int
    end: int
    piece: int
    whole: bool = False


class Text(msgspec.Struct, frozen=True):
    """One text of a document. `entry` names it inside of its file ("" when it is the whole, "part 2", "3" in a mailbox, an
    address in a web archive). `line` is the line of the file that it begins with; `language` that of code."""

    data: bytes
    kind: str
    language: str = ""
    title: str = ""
    entry: str = ""
    line: int = 1
    pieces: tuple[Piece, ...] = ()
    windows: tuple[Window, ...] = ()
    notes: tuple[str, ...] = ()


class Signed(msgspec.Struct, frozen=True):
    """A text with what tells it from others: blake2b-256 of its bytes, SimHash and MinHash of the whole."""

    text: Text
    digest: bytes
    simhash: int
    minhash: bytes


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one document may take. `source_bytes`: plain text, rows and archives of entries, which are read in parts;
    `document_bytes`: a document that has to be held whole; `unpacked_bytes`: all the text in it; `ratio`: unpacked to
    packed."""

    source_bytes: int = 4096 * MIB
    document_bytes: int = 128 * MIB
    unpacked_bytes: int = 128 * MIB
    ratio: int = 200
    entries: int = 1_000_000
    depth: int = 200


class Source:
    """One open file, or bytes: its name, kind, language, size, and bounds. Its descriptor's position is never used."""

    def __init__(
        self, name: str, kind: str, language: str = "", *, content: int | bytes, bounds: Bounds | None = None
    ) -> None:
        self.name, self.kind, self.language = name, kind, language
        self.bounds = bounds or Bounds()
        self._content = content
        self.size = len(content) if isinstance(content, bytes) else os.fstat(content).st_size

    def at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`: fewer only at the end. Raises OSError."""
        if isinstance(self._content, bytes):
            return self._content[offset : offset + size]
        found = []
        while size > 0 and (some := os.pread(self._content, min(size, 8 * MIB), offset)):
            found.append(some)
            offset, size = offset + len(some), size - len(some)
        return found[0] if len(found) == 1 else b"".join(found)

    def whole(self) -> bytes:
        """All of it. Raises BadDocument (document_too_large)."""
        if self.size > self.bounds.document_bytes:
            most = self.bounds.document_bytes // MIB
            raise BadDocument("document_too_large", f"It has {self.size} bytes; {most} MiB is the most for this kind.")
        return self.at(0, self.size)

    def file(self) -> BinaryIO:
        """A file of its own to seek in."""
        return io.BufferedReader(_Raw(self), 256 * 1024)


class _Raw(io.RawIOBase):
    """Reads a source from a position of its own."""

    def __init__(self, source: Source) -> None:
        self._source, self._place = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = max(0, offset + (0, self._place, self._source.size)[whence])
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        found = self._source.at(self._place, len(target))
        target[: len(found)] = found
        self._place += len(found)
        return len(found)


class Reader(Protocol):
    """What knows a family of kinds. It runs in a child behind walls and is asked for one document at a time."""

    kinds: tuple[str, ...]

    def read(self, source: Source) -> Iterator[Text]:
        """The texts of the document, in its order. Raises BadDocument, also after some texts were given; OSError of the
        disk."""
        ...


class NullReader:
    """The null plug: takes every kind, reads nothing."""

    kinds: tuple[str, ...] = ()

    def read(self, source: Source) -> Iterator[Text]:
        """No text."""
        yield from ()
