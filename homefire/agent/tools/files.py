"""Files: list, read, write, search, inside the run's own folder and the folders that a person granted.

    verdict (real path, within the grant) -> each part of it is opened below the one before, never through a link -> used

Promises: what the boundary checked is what is opened: a part that became a link meanwhile is `path_changed`, and nothing is
read or written. A write puts a whole new file in the place of the old one, or leaves the old one; done again it ends in the same
file. Names that other programs obey (`sandbox.PROTECTED`) are not written. Sizes and counts are bounded, and what was left out is
said.
Does not cover: which folders (`safety/boundary.py`); systems without openat (Windows): `not_available` there.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from homefire.agent.result import MOST_KEPT, binary_kind
from homefire.agent.tool import Context, Outcome
from homefire.agent.tools.plain import PlainTool, Work, declared, failed, told
from homefire.paths import from_os
from homefire.sandbox.sandbox import PROTECTED

MOST_NAMES, MOST_FILES, MOST_SEARCHED, MOST_MATCHES, SEARCH_SECONDS = 1_000, 20_000, 200 * 2**20, 50, 20.0
MOST_FILE_SEARCHED, MOST_LINE = 4 * 2**20, 200
_SKIPPED = {".git", ".hg", "node_modules", "__pycache__", ".venv"}
_PROTECTED = frozenset(name.removesuffix("/").lower() for name in PROTECTED)
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class FileProblem(Exception):
    """What came of a path that cannot be used: `code` and text are for the model."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@contextlib.contextmanager
def opened_folder(path: Path, make: bool = False) -> Iterator[int]:
    """A descriptor of a folder, reached part by part without following a link. `make`: parts that are missing are made. Raises
    FileProblem."""
    if sys.platform == "win32":
        raise FileProblem("not_available", "Files are not reached by descriptor on this system.")
    here = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in path.parts[1:]:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=here)
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=here)
            os.close(here)
            here = below
        yield here
    except OSError as problem:
        raise _problem(problem, path) from None
    finally:
        os.close(here)


def read_bytes(path: Path) -> bytes:
    """A file's bytes, at most `MOST_KEPT` and one. Raises FileProblem."""
    with opened_folder(path.parent) as folder, _opened(path, os.O_RDONLY | os.O_NONBLOCK, folder) as file:
        parts, left = list[bytes](), MOST_KEPT + 1
        while left > 0 and (piece := os.read(file, min(left, 2**20))):
            parts.append(piece)
            left -= len(piece)
        return b"".join(parts)


def write_bytes(path: Path, data: bytes, mark: str) -> bool:
    """Puts a file of these bytes at `path`; whether one was there. `mark` is the same for a write that is done again. Raises
    FileProblem, DiskFull."""
    if any(part.lower() in _PROTECTED for part in path.parts):
        raise FileProblem("path_protected", f"Programs obey '{path.name}'; agents do not write it.")
    part = f".homefire-{hashlib.sha256(mark.encode()).hexdigest()[:16]}.part"
    with opened_folder(path.parent, make=True) as folder:
        mode = 0o644
        before = _status(path.name, folder)
        if before is not None:
            if not stat.S_ISREG(before.st_mode):
                raise FileProblem("not_a_file", f"'{path.name}' is a folder, a link or a device.")
            mode = stat.S_IMODE(before.st_mode) & 0o777
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part, dir_fd=folder)  # of a write that a crash broke off
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, mode, dir_fd=folder)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(file, view) :]
                os.fsync(file)
            finally:
                os.close(file)
            os.replace(part, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        except OSError as problem:
            with contextlib.suppress(OSError):
                os.unlink(part, dir_fd=folder)
            raise from_os(problem, path) from None
        return before is not None


def file_tools() -> list[PlainTool]:
    """list_files, read_file, write_file, search_files."""
    private: dict[str, Any] = {"source": "file", "private": True}
    return [
        PlainTool(declared("list_files", "read", paths=("folder",), **private), _told(_list)),
        PlainTool(declared("read_file", "read", paths=("path",), **private), _told(_read)),
        PlainTool(declared("write_file", "write", paths=("path",)), _told(_write)),
        PlainTool(declared("search_files", "read", paths=("folder",), **private), _told(_search)),
    ]


def _told(work: Work) -> Work:
    async def told_too(arguments: Mapping[str, Any], context: Context) -> Outcome:
        try:
            return await work(arguments, context)
        except FileProblem as problem:
            return failed(problem.code, str(problem))

    return told_too


async def _list(arguments: Mapping[str, Any], context: Context) -> Outcome:
    def names() -> list[str]:
        with opened_folder(Path(arguments["folder"])) as folder, os.scandir(folder) as rows:
            return sorted(row.name + "/" * row.is_dir(follow_symlinks=False) for row in rows)

    found = [_printable(name) for name in await asyncio.to_thread(names)]
    if not found:
        return Outcome("empty", "The folder is empty.")
    more = [f"... and {len(found) - MOST_NAMES} more"] if len(found) > MOST_NAMES else []
    return Outcome("ok", told([*found[:MOST_NAMES], *more]))


async def _read(arguments: Mapping[str, Any], context: Context) -> Outcome:
    data = await asyncio.to_thread(read_bytes, Path(arguments["path"]))
    if not data.strip():
        return Outcome("empty", "The file is empty.")
    return Outcome("ok", data if binary_kind(data) else data.decode("utf-8", "replace"))


async def _write(arguments: Mapping[str, Any], context: Context) -> Outcome:
    data, path = arguments["text"].encode(), Path(arguments["path"])
    was = await asyncio.to_thread(write_bytes, path, data, f"{context.run}:{context.call}")
    return Outcome("ok", told({"ok": True, "bytes": len(data), "replaced": was}))


async def _search(arguments: Mapping[str, Any], context: Context) -> Outcome:
    words = arguments["query"].casefold().split()
    if not words:
        return failed("bad_query", "There is no word to search for.")
    folder = Path(arguments["folder"])
    found, left = await asyncio.to_thread(search, folder, words, time.monotonic() + SEARCH_SECONDS)
    if not found:
        return Outcome("empty", "No file has these words." + left)
    own = Path(os.path.realpath(context.folder))
    shown = [(str(each.relative_to(own)) if each.is_relative_to(own) else str(each), line) for each, line in found]
    body: dict[str, Any] = {"matches": [name for name, _ in shown], "lines": [line for _, line in shown]}
    return Outcome("ok", told(body | ({"note": left.strip()} if left else {})))


def search(top: Path, words: list[str], ends: float) -> tuple[list[tuple[Path, str]], str]:
    """Files below `top` that hold all words, in name or text, each with its best line; and what was left out, in words."""
    found, files, spent, left = list[tuple[Path, str]](), 0, 0, ""
    with opened_folder(top) as start:
        for where, folders, names, folder in os.fwalk(".", dir_fd=start, follow_symlinks=False):
            folders[:] = sorted(name for name in folders if name not in _SKIPPED)
            for name in sorted(names):
                files += 1
                if files > MOST_FILES or spent > MOST_SEARCHED or time.monotonic() > ends or len(found) >= MOST_MATCHES:
                    return found, f" The search ended early, after {files:,} files."
                text = _text_of(name, folder)
                spent += len(text)
                line = _best_line(text, name, words)
                if line is not None:
                    found.append((top / where / name, line))
    return found, left


def _text_of(name: str, folder: int) -> str:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _FLAGS, dir_fd=folder)
    except OSError:
        return ""
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_FILE_SEARCHED:
            return ""
        data = os.read(file, MOST_FILE_SEARCHED)
    except OSError:
        return ""
    finally:
        os.close(file)
    return "" if binary_kind(data) else data.decode("utf-8", "replace")


def _best_line(text: str, name: str, words: list[str]) -> str | None:
    plain = text.casefold() + "\n" + name.casefold()
    if not all(word in plain for word in words):
        return None
    best, most = "", 0
    for line in text.splitlines():
        count = sum(word in line.casefold() for word in words)
        if count > most:
            best, most = line, count
    return best.strip()[:MOST_LINE]


@contextlib.contextmanager
def _opened(path: Path, flags: int, folder: int) -> Iterator[int]:
    try:
        file = os.open(path.name, flags | _FLAGS, dir_fd=folder)
    except OSError as problem:
        raise _problem(problem, path) from None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise FileProblem("not_a_file", f"'{path.name}' is no file.")
        yield file
    except OSError as problem:
        raise _problem(problem, path) from None
    finally:
        os.close(file)


def _status(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _problem(problem: OSError, path: Path) -> Exception:
    name = _printable(path.name)
    if problem.errno == errno.ENOENT:
        return FileProblem("not_found", f"There is no '{name}'.")
    if problem.errno in (errno.ELOOP, errno.EMLINK):
        return FileProblem("path_changed", f"'{name}' became a link after it was looked at; nothing was done.")
    if problem.errno == errno.ENOTDIR:  # a link in the place of a folder reads so too
        return FileProblem("not_a_folder", f"A part of the way to '{name}' is no folder.")
    if problem.errno in (errno.EACCES, errno.EPERM):
        return FileProblem("no_permission", f"'{name}' may not be opened by this user.")
    if problem.errno in (errno.EISDIR, errno.ENXIO):
        return FileProblem("not_a_file", f"'{name}' is no file.")
    return from_os(problem, path)


def _printable(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8")
