"""A bundle: one model with what is known of it, in a folder or a tar file, to be carried where there is no network.

    manifest.json   {"format": "homefire-model", "version": 1, "name", "source", "origin", "provenance",
                     "facts", "files": [{"role", "name", "sha256", "size_bytes"}, ...]}
    0a1b2c...       a file each, named by the sha256 of its content; nothing else

Promises: no name of a bundle becomes a path: a member is the manifest or a digest, or the bundle is refused; links, folders,
devices, tar's extensions, members that are missing, twice there or not listed, and sizes that the bundle does not hold are
refused before a byte is written; each file is hashed while it is copied, either way. The same model gives the same tar.
Does not cover: who made it (a digest is no signature), compressed tars, and where the files go (`workshop`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from homefire.errors import BadModelFile, DigestMismatch, HomefireError, InvalidRequest
from homefire.models.installed import Facts, FileRole
from homefire.models.quantize import require_room
from homefire.models.sources import safe_name
from homefire.paths import Digest, ModelName, from_os, sync_folder

MANIFEST, FORMAT, VERSION = "manifest.json", "homefire-model", 1
MAX_MANIFEST = 1 << 20
MAX_FILES = 1024
MAX_SIZE = 1 << 50
BLOCK, PIECE = 512, 4 << 20
_AGAIN = "Export the model again where it came from, and compare the copy."
_TEXT = 4096


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the model: its role, the name it had, the sha256 of its content, bytes."""

    role: FileRole
    name: str
    sha256: Digest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself."""

    name: ModelName
    source: str
    origin: str
    provenance: Mapping[str, Any]
    facts: Facts
    files: tuple[Member, ...]

    @property
    def sizes(self) -> dict[Digest, int]:
        """Bytes of each different content."""
        return {file.sha256: file.size_bytes for file in self.files}

    def encode(self) -> bytes:
        """As it is written; the same manifest gives the same bytes."""
        known = {"format": FORMAT, "version": VERSION, **asdict(replace(self, provenance=dict(self.provenance)))}
        return json.dumps(known, indent=1, sort_keys=True).encode() + b"\n"


def decode(raw: bytes) -> Manifest:
    """The manifest in these bytes. Pure. Raises BadModelFile."""
    try:
        found = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair could be stored nowhere
    except (ValueError, RecursionError):
        raise _bad("its manifest is not JSON") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise _bad("its manifest is not that of a model")
    if found.get("version") != VERSION:
        raise _bad(f"it has version {str(found.get('version'))[:20]} and {VERSION} is known", "Update Homefire.")
    match found:
        case {"name": str(name), "source": str(source), "origin": str(origin), "provenance": dict(provenance),
              "facts": dict(facts), "files": list(rows)} if (
            0 < len(rows) <= MAX_FILES and max(len(source), len(origin)) <= _TEXT
        ):  # fmt: skip
            pass
        case _:
            raise _bad("its manifest lacks a field, or has one that makes no sense")
    try:
        members = tuple(sorted(map(_member, rows), key=lambda file: file.role != "model"))  # an engine opens the first
        manifest = Manifest(ModelName(name), source, origin, provenance, _facts(facts), members)
    except HomefireError as problem:
        raise _bad(problem.message) from None
    if len({file.name.casefold() for file in manifest.files}) < len(rows):
        raise _bad("its manifest names a file twice")
    if any(manifest.sizes[file.sha256] != file.size_bytes for file in manifest.files):
        raise _bad("its manifest gives one file two sizes")
    if all(file.role != "model" for file in manifest.files):
        raise _bad("it holds no model")
    return manifest


def _member(row: Any) -> Member:
    match row:
        case {
            "role": ("model" | "mmproj" | "tokenizer") as role,
            "name": str(name),
            "sha256": str(digest),
            "size_bytes": int(size),
        } if not isinstance(size, bool) and 0 < size < MAX_SIZE:
            return Member(role, safe_name(name), Digest(digest), size)
    raise _bad(f"its manifest has a row that makes no sense: {str(row)[:120]}")


def _facts(found: dict[str, Any]) -> Facts:
    match found:
        case {"architecture": str(architecture), "parameters": int(parameters), "quantization": str(quantization),
              "context_length": int(context), "description": str(description), "kind": str(kind)} if (
            0 <= parameters < MAX_SIZE and 0 <= context < 1 << 31
        ):  # fmt: skip
            return Facts(architecture[:80], parameters, quantization[:80], context, description[:500], kind[:80])
    raise _bad("its manifest has facts that make no sense")


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _bad(why: str, step: str = _AGAIN) -> BadModelFile:
    return BadModelFile(f"This is not a sound bundle: {why}.", step)


# -- reading


@dataclass(frozen=True, slots=True)
class Span:
    """Where a member's bytes are."""

    path: Path
    begin: int
    size: int


class Bundle:
    """A bundle to take files out of. Nothing is kept open."""

    def __init__(self, path: Path) -> None:
        """Checks all of it but the content of the files. Blocks. Raises BadModelFile, InvalidRequest."""
        try:
            path = path.resolve()  # a link to a bundle is a person's own; links inside are not
            self._spans = _folder(path) if path.is_dir() else _tar(path)
            if (head := self._spans.pop(MANIFEST, None)) is None:
                raise _bad("it has no manifest")
            if head.size > MAX_MANIFEST:
                raise _bad(f"its manifest has {head.size:,} bytes")
            with _open(head.path) as file:
                file.seek(head.begin)
                self.manifest = decode(file.read(head.size))
        except OSError as problem:
            raise InvalidRequest(f"{path} cannot be read: {problem.strerror}.", param="path") from None
        listed = self.manifest.sizes
        if strange := sorted({*self._spans} - {*listed}):
            raise _bad(f"it holds a file that its manifest does not list: {strange[0]}")
        for digest, size in listed.items():
            if digest not in self._spans:
                raise _bad(f"the file {digest} is missing")
            if self._spans[digest].size != size:
                raise _bad(f"the file {digest} has {self._spans[digest].size:,} bytes and should have {size:,}")

    def copy(self, digest: Digest, target: Path, progress: Callable[[int], None]) -> None:
        """Copies one file to `target`, which must not be there; `progress(bytes)` after each piece. Blocks.

        Raises DigestMismatch, BadModelFile, DiskFull and the like; what is left at `target` then is the caller's to remove.
        """
        span = self._spans[digest]
        with _open(span.path) as reading:
            reading.seek(span.begin)
            try:
                with target.open("xb") as writing:
                    pour(reading, writing, span.size, digest, progress)
            except OSError as problem:
                raise from_os(problem, target.parent) from None


def _folder(path: Path) -> dict[str, Span]:
    """The files of a folder; hidden ones, which file managers leave behind, do not count."""
    spans: dict[str, Span] = {}
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            found = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                raise _bad(f"'{entry.name[:80]}' is a link, a folder or a device")
            spans[_member_name(entry.name)] = Span(path / entry.name, 0, found.st_size)
            if len(spans) > MAX_FILES + 1:
                raise _bad("it holds too many files")
    return spans


def _tar(path: Path) -> dict[str, Span]:
    """The members of a tar file, by its headers alone."""
    spans: dict[str, Span] = {}
    with _open(path) as file:
        end, at = os.fstat(file.fileno()).st_size, 0
        while True:
            file.seek(at)
            block = file.read(BLOCK)
            if len(block) < BLOCK:
                raise _bad("it ends where a header should be (truncated?)")
            if (head := read_header(block)) is None:
                return spans
            name, size = head
            begin = at + BLOCK
            if begin + size > end:
                raise _bad(
                    f"the member {name} claims {size:,} bytes and {max(0, end - begin):,} are there (truncated?)"
                )
            if name in spans:
                raise _bad(f"the member {name} stands in it twice")
            if len(spans) > MAX_FILES:
                raise _bad("it holds too many files")
            spans[name] = Span(path, begin, size)
            at = begin + size + -size % BLOCK


def read_header(block: bytes) -> tuple[str, int] | None:
    """Name and size of the member that a tar header of 512 bytes announces; None at the archive's end. Pure.

    Raises BadModelFile for all but plain files of flat names.
    """
    if not any(block):
        return None
    total = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if block[257:262] != b"ustar" or _octal(block[148:156]) != total:
        raise _bad("it is no tar file, or is damaged")
    name = _member_name(block[:100].rstrip(b"\0").decode("utf-8", "replace"))
    if block[156:157] not in (b"0", b"\0"):
        raise _bad(f"'{name}' in it is a link, a folder, a device or an extension of tar")
    if any(block[345:500]):
        raise _bad(f"'{name}' in it lies in a folder")
    # Sizes from 8 GiB on do not fit eleven octal digits: the high bit says that the rest is binary.
    field = block[124:136]
    return name, int.from_bytes(field[1:], "big") if field[0] == 0x80 else _octal(field)


def _octal(field: bytes) -> int:
    digits = field.rstrip(b" \0")
    if not digits or not {*digits} <= {*b"01234567"}:
        raise _bad("a number in it is damaged")
    return int(digits, 8)


def _member_name(name: str) -> str:
    if name != MANIFEST:
        try:
            Digest(name)
        except InvalidRequest:
            raise _bad(
                f"it holds something that is called neither {MANIFEST} nor by a digest: {name[:120]!r}"
            ) from None
    return name


def _open(path: Path) -> BinaryIO:
    """A regular file to read; no link, and no pipe, whose opening could wait for ever."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _bad(f"{path.name} is not a plain file")
    return file


# -- writing


def write(manifest: Manifest, files: Mapping[Digest, Path], target: Path, progress: Callable[[int, int], None]) -> int:
    """Writes a bundle: a tar file if `target` ends in .tar, else a folder. Returns its bytes. Blocks.

    It appears whole or not at all. Raises InvalidRequest if the target is there already, DigestMismatch for a file that is not
    what the manifest says, DiskFull and the like.
    """
    if target.exists() or target.is_symlink() or not target.parent.is_dir():
        state = "is there already" if target.parent.is_dir() else "lies in no folder that is there"
        raise InvalidRequest(f"{target} {state}.", "Name a new file or folder.", param="path")
    total, done = sum(manifest.sizes.values()), 0
    require_room(target.parent, total)

    def tick(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    head = manifest.encode()
    members = [(MANIFEST, len(head)), *manifest.sizes.items()]
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")

    def content(name: str, size: int, writing: BinaryIO) -> None:
        if name == MANIFEST:
            writing.write(head)
            return
        with files[Digest(name)].open("rb") as reading:  # a link is right here: another program's store may hold one
            pour(reading, writing, size, Digest(name), tick)

    try:
        if target.suffix == ".tar":
            with part.open("xb") as writing:
                for name, size in members:
                    writing.write(tar_header(name, size))
                    content(name, size, writing)
                    writing.write(bytes(-size % BLOCK))
                writing.write(bytes(2 * BLOCK))
                _sync(writing)
        else:
            part.mkdir()
            for name, size in members:
                with (part / name).open("xb") as writing:
                    content(name, size, writing)
                    _sync(writing)
            sync_folder(part)
        part.rename(target)
        sync_folder(target.parent)
    except OSError as problem:
        raise from_os(problem, target.parent) from None
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
    return total


def _sync(writing: BinaryIO) -> None:
    writing.flush()
    os.fsync(writing.fileno())


def tar_header(name: str, size: int) -> bytes:
    """A ustar header of a plain file without owner and time, so that the same content gives the same archive. Pure."""
    packed = f"{size:011o}\0".encode() if size < 1 << 33 else b"\x80" + size.to_bytes(11, "big")
    head = b"".join((
        name.encode().ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0", packed, b"00000000000\0", b" " * 8, b"0",
        bytes(100), b"ustar\x0000",
    )).ljust(BLOCK, b"\0")  # fmt: skip
    return head[:148] + f"{sum(head):06o}\0 ".encode() + head[156:]


def pour(reading: BinaryIO, writing: BinaryIO, size: int, digest: Digest, tick: Callable[[int], None]) -> None:
    """Copies exactly `size` bytes and compares their sha256. Raises BadModelFile if they end early, DigestMismatch."""
    hasher, left = hashlib.sha256(), size
    while left:
        if not (piece := reading.read(min(PIECE, left))):
            raise _bad(f"the file {digest} ends {left:,} bytes early")
        hasher.update(piece)
        writing.write(piece)
        left -= len(piece)
        tick(len(piece))
    if hasher.hexdigest() != digest:
        raise DigestMismatch(f"The file {digest} holds something else (sha256 {hasher.hexdigest()}).", _AGAIN)
