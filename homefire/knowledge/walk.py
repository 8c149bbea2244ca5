"""The files of a folder, in order, and what is passed over, each with its reason.

Promises: links are not followed, so a loop of them has no end to find; a folder bound into itself is seen once; only plain
files are given. Names are bytes and need not be UTF-8. Memory for the names of one folder at a time on the way down. Nothing
is opened but `.gitignore` files.
Does not cover: what stands in the files (`kinds.py`, `secret.py` on content), files that come and go while it runs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from homefire.knowledge.ignoring import MOST, Ignore
from homefire.knowledge.secret import secret_name

# Folders that programs leave behind; what is in them is made from what is beside them, or fetched again.
JUNK_FOLDERS = frozenset(
    b".git .hg .svn .bzr .jj node_modules bower_components __pycache__ .venv .tox .nox .mypy_cache .ruff_cache .pytest_cache "
    b".hypothesis .eggs .gradle .next .nuxt .svelte-kit .parcel-cache .terraform .idea .vs .cache .Trash .direnv"
    b" .ipynb_checkpoints".split()
)  # fmt: skip
JUNK_FILES = frozenset({b".DS_Store", b"Thumbs.db", b"desktop.ini"})
JUNK_SUFFIXES = (b".pyc", b".pyo", b".o", b".a", b".so", b".class", b".swp", b"~")
# Deeper folders are not entered.
DEPTH = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read. `path` is relative to the root, with "/" between names."""

    path: bytes
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Passed:
    """What is not read, and why: `code` is one of `reader.REASONS`. A folder's path ends with "/"."""

    path: bytes
    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is left out. `most_bytes`: of one file; `left_out`: absolute folders, such as Homefire's own."""

    ignore_files: bool = True
    junk: bool = True
    most_bytes: int = 4096 << 20
    left_out: Collection[Path] = ()


def shown(path: bytes) -> str:
    """A path as it is shown: bytes that are no UTF-8, and signs that would move the cursor, as %XX."""
    text = path.decode("utf-8", "surrogateescape")
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "surrogateescape"))
        for sign in text
    )


def walk(root: Path, rules: Rules | None = None) -> Iterator[Found | Passed]:
    """All below `root` (a folder, or one file), by name, each folder's files before its folders. Raises OSError for the root
    alone."""
    rules = rules or Rules()
    status = root.stat()
    if not stat.S_ISDIR(status.st_mode):
        name = os.fsencode(root.name)
        yield _judged(name, status, rules) if stat.S_ISREG(status.st_mode) else Passed(name, "not_a_file")
        return
    os.listdir(root)  # noqa: PTH208 # the root's own fault is the caller's to tell
    left_out = {os.fsencode(place) for place in rules.left_out}
    above = _above(root) if rules.ignore_files else []
    yield from _folder(os.fsencode(root), b"", ((status.st_dev, status.st_ino),), above, (rules, left_out))


_Ignores = list[tuple[bytes, Ignore]]


def _folder(
    place: bytes,
    path: bytes,
    ancestors: tuple[tuple[int, int], ...],
    ignores: _Ignores,
    given: tuple[Rules, set[bytes]],
) -> Iterator[Found | Passed]:
    rules, left_out = given
    try:
        with os.scandir(place) as listing:
            names = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in listing)
    except OSError as problem:
        yield Passed(path + b"/", "document_unreadable", problem.strerror or "")
        return
    if rules.ignore_files and (b".gitignore", False) in names and (own := _read_ignore(place + b"/.gitignore")):
        ignores = [*ignores, (path + b"/" if path else b"", own)]
    for name, is_folder in names:
        if not is_folder and (each := _file(place + b"/" + name, path + b"/" + name if path else name, ignores, rules)):
            yield each
    for name, is_folder in names:
        if not is_folder:
            continue
        inner, whole = path + b"/" + name if path else name, place + b"/" + name
        if (rules.junk and name in JUNK_FOLDERS) or _ignored(inner, True, ignores):
            yield Passed(inner + b"/", "ignored")
            continue
        if whole in left_out or (rules.junk and os.path.lexists(whole + b"/pyvenv.cfg")):
            yield Passed(inner + b"/", "ignored")
            continue
        try:
            status = os.lstat(whole)
        except OSError as problem:
            yield Passed(inner + b"/", "document_unreadable", problem.strerror or "")
            continue
        here = (status.st_dev, status.st_ino)
        if here in ancestors or len(ancestors) >= DEPTH:
            yield Passed(inner + b"/", "not_a_file", "a folder inside of itself, or too deep")
            continue
        yield from _folder(whole, inner, (*ancestors, here), ignores, given)


def _file(place: bytes, path: bytes, ignores: _Ignores, rules: Rules) -> Found | Passed | None:
    """None: junk that is not worth a line."""
    name = path.rpartition(b"/")[2]
    if rules.junk and (name in JUNK_FILES or name.endswith(JUNK_SUFFIXES)):
        return None
    try:
        status = os.lstat(place)
    except FileNotFoundError:
        return Passed(path, "document_gone")
    except OSError as problem:
        return Passed(path, "document_unreadable", problem.strerror or "")
    if not stat.S_ISREG(status.st_mode):
        return Passed(path, "not_a_file", "a link" if stat.S_ISLNK(status.st_mode) else "")
    if _ignored(path, False, ignores):
        return Passed(path, "ignored")
    return _judged(path, status, rules)


def _judged(path: bytes, status: os.stat_result, rules: Rules) -> Found | Passed:
    if why := secret_name(path.decode("utf-8", "replace")):
        return Passed(path, "secret_skipped", why)
    if status.st_size > rules.most_bytes:
        return Passed(path, "document_too_large", f"it has {status.st_size} bytes; the limit is {rules.most_bytes}")
    return Found(path, status.st_size, status.st_mtime_ns)


def _ignored(path: bytes, folder: bool, ignores: _Ignores) -> bool:
    for prefix, ignore in reversed(ignores):
        # Patterns of folders above the root see the root's path before ours.
        inner = prefix[1:] + path if prefix.startswith(b"\0") else path.removeprefix(prefix)
        if (said := ignore.says(inner, folder)) is not None:
            return said
    return False


def _above(root: Path) -> _Ignores:
    """The ignore files of the repository that the root lies in."""
    found: _Ignores = []
    folder = root.absolute()
    below: list[bytes] = []
    while not (folder / ".git").exists():
        if folder.parent == folder:
            return []
        below.insert(0, os.fsencode(folder.name))
        folder = folder.parent
        if (own := _read_ignore(os.fsencode(folder / ".gitignore"))) is not None:
            found.insert(0, (b"\0" + b"/".join(below) + b"/", own))
    if (own := _read_ignore(os.fsencode(folder / ".git" / "info" / "exclude"))) is not None:
        found.insert(0, (b"\0" + b"".join(name + b"/" for name in below), own))
    return found


def _read_ignore(place: bytes) -> Ignore | None:
    try:
        descriptor = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        return Ignore(os.read(descriptor, MOST)) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(descriptor)
