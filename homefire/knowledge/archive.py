"""A collection as one file, to carry to another machine: every text once, then the documents that have it.

    frames, each a length (u32, least significant byte first) and MessagePack: Head, then for each text Kept, then Loose
    (documents without a text), then End with the blake2b-256 of all bytes before it

Promises: streams both ways, one text in memory; a file that is cut, changed or longer than it says is refused (`bad_archive`)
before its last batch counts; a text whose bytes are not those of its digest, or that is cut outside of itself, is refused. No
paths are made of what it says.
Does not cover: indexes and vectors, which are made anew where it arrives; files that were never taken in.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from homefire.errors import BadArchive
from homefire.knowledge.packing import MOST_PIECES, unpack_labelled, unpack_windows
from homefire.knowledge.talk import Document
from homefire.paths import from_os, sync_folder

VERSION = 1
LONGEST = 512 * 2**20
DOCUMENTS = 10_000


class Head(msgspec.Struct, tag="homefire-knowledge"):
    """The first frame."""

    version: int
    name: str
    root: bytes
    texts: int
    documents: int


class Kept(msgspec.Struct, tag="text"):
    """A text, how it is cut, and the documents that have it (their `text` says nothing here)."""

    digest: bytes
    data: bytes
    simhash: int
    minhash: bytes
    labels: str
    pieces: bytes
    windows: bytes
    documents: list[Document]


class Loose(msgspec.Struct, tag="documents"):
    """Documents of which nothing was taken in."""

    documents: list[Document]


class End(msgspec.Struct, tag="end"):
    """The last frame."""

    texts: int
    digest: bytes


Frame = Head | Kept | Loose | End


class ArchiveWriter:
    """Writes beside the target and renames at the end. Raises DiskFull, HomeNotWritable and the like."""

    def __init__(self, target: Path, head: Head) -> None:
        self._target, self._part = target, target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
        self._hash = hashlib.blake2b(digest_size=32)
        self._texts = 0
        try:
            self._file: BinaryIO = self._part.open("xb")
            self._part.chmod(0o600)
        except OSError as problem:
            raise from_os(problem, target) from None
        self.add(head)

    def add(self, frame: Frame) -> None:
        """One frame more."""
        data = msgspec.msgpack.encode(frame)
        head = len(data).to_bytes(4, "little")
        self._hash.update(head + data)
        self._texts += isinstance(frame, Kept)
        try:
            self._file.write(head + data)
        except OSError as problem:
            raise from_os(problem, self._target) from None

    def finish(self) -> int:
        """Writes the end, syncs, and gives the file its name; returns its size in bytes."""
        self.add(End(self._texts, self._hash.digest()))
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            size = self._file.tell()
            self._file.close()
            self._part.replace(self._target)
            sync_folder(self._target.parent)
        except OSError as problem:
            raise from_os(problem, self._target) from None
        return size

    def drop(self) -> None:
        """Removes what was written."""
        self._file.close()
        self._part.unlink(missing_ok=True)


def read(source: Path) -> Iterator[Frame]:
    """The frames, the head first, the end last. Raises BadArchive; from_os's errors."""
    decoder = msgspec.msgpack.Decoder(Frame)
    digest, texts, first = hashlib.blake2b(digest_size=32), 0, True
    try:
        with source.open("rb") as file:
            while True:
                head = file.read(4)
                length = int.from_bytes(head, "little")
                if len(head) < 4 or length > LONGEST:
                    raise BadArchive(f"{source.name} is cut off or no export of a collection.")
                data = file.read(length)
                if len(data) < length:
                    raise BadArchive(f"{source.name} is cut off.")
                frame = _decoded(decoder, data, source)
                if first != isinstance(frame, Head) or (isinstance(frame, Head) and frame.version != VERSION):
                    raise BadArchive(f"{source.name} is no export of a collection that this version reads.")
                first = False
                if isinstance(frame, End):
                    if frame.digest != digest.digest() or frame.texts != texts or file.read(1):
                        raise BadArchive(f"{source.name} is not as it was written.")
                    yield frame
                    return
                digest.update(head + data)
                if isinstance(frame, Kept):
                    texts += 1
                    if hashlib.blake2b(frame.data, digest_size=32).digest() != frame.digest:
                        raise BadArchive(f"A text in {source.name} is not what its digest says.")
                    if not _cut_well(frame):
                        raise BadArchive(f"A text in {source.name} is cut where it has no bytes.")
                yield frame
    except OSError as problem:
        raise from_os(problem, source) from None


def _cut_well(kept: Kept) -> bool:
    """Whether pieces, windows and labels fit the text."""
    try:
        pieces = unpack_labelled(kept.pieces, kept.labels)
        windows = unpack_windows(kept.windows)
    except (ValueError, struct.error):
        return False
    size = len(kept.data)
    inside = all(start <= end <= size for start, end, _, _ in pieces) and len(pieces) <= MOST_PIECES
    return inside and all(start <= end <= size and piece < len(pieces) for start, end, piece, _ in windows)


def _decoded(decoder: msgspec.msgpack.Decoder[Frame], data: bytes, source: Path) -> Frame:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise BadArchive(f"{source.name} is no export of a collection, or damaged.") from None
