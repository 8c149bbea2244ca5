"""Names in a job's folder that it may neither change nor make: what tools outside obey (`.git/hooks`, editors' settings).

A name that is there is mounted read-only; one that is not is kept taken by a placeholder, which is removed after the run; the
folders above it are mounted onto themselves, because a mount point cannot be renamed; another name of the same file (a hard
link) is read-only too. A name that is a symbolic link is refused: what it points to may change.
Promises: pure but for the placeholders; two jobs in one folder at once share them; what is left by a daemon that died is taken
for absent.
Does not cover: names that differ in case on file systems that do not care; changes made by others while the job runs.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from homefire.errors import InvalidRequest

MARK = b"Homefire's sandbox keeps this name taken while a job runs. If none runs, remove this file.\n"
_held: Counter[Path] = Counter()


@dataclass(frozen=True, slots=True)
class Walls:
    """Names relative to the folder: `closed` are read-only with all below, `fixed` cannot be renamed."""

    closed: tuple[str, ...]
    fixed: tuple[str, ...]

    def writable(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """The folders and files that are open as a whole: for Landlock, which can open but not close again below."""
        if not self.closed:
            return [folder], []
        folders: list[Path] = []
        files: list[Path] = []
        for inner in ("", *self.fixed):
            for entry in os.scandir(folder / inner):
                name = f"{inner}/{entry.name}".lstrip("/")
                mixed = any(c == name or c.startswith(name + "/") for c in (*self.closed, *self.fixed))
                if not mixed and not entry.is_symlink():
                    (folders if entry.is_dir() else files).append(Path(entry.path))
        return folders, files


@contextlib.contextmanager
def protect(folder: Path | None, names: tuple[str, ...]) -> Iterator[Walls]:
    """Takes the names while the job runs; none without a folder. Raises InvalidRequest, OSError."""
    closed, fixed, made = set[str](), set[str](), set[Path]()
    try:
        for name in names if folder else ():
            _take(folder or Path(), name, closed, fixed, made)
        closed |= set(_other_names(folder or Path(), closed))
        yield Walls(tuple(sorted(closed)), tuple(sorted(fixed - closed)))
    finally:
        for place in made:
            _held[place] -= 1
            if _held[place] <= 0:
                del _held[place]
                with contextlib.suppress(OSError):  # something was put there from outside: it stays
                    place.rmdir() if place.is_dir() else place.unlink()


def _take(folder: Path, name: str, closed: set[str], fixed: set[str], made: set[Path]) -> None:
    parts = name.removesuffix("/").split("/")
    for depth in range(1, len(parts) + 1):
        place, inner = folder.joinpath(*parts[:depth]), "/".join(parts[:depth])
        if place.is_symlink():
            raise InvalidRequest(f"{place} is a symbolic link, which a job could change.", param="protected")
        if place in _held or not place.exists() or _is_left_over(place):
            if place not in made:
                _held[place] += 1
                made.add(place)
            if depth < len(parts) or name.endswith("/"):
                place.mkdir(exist_ok=True)
            else:
                place.write_bytes(MARK)
            closed.add(inner)
            return
        if depth == len(parts) or not place.is_dir():
            closed.add(inner)
            return
        fixed.add(inner)


def _is_left_over(place: Path) -> bool:
    return place.is_file() and place.stat().st_size == len(MARK) and place.read_bytes() == MARK


# Names outside the closed ones of files that also stand inside them.
def _other_names(folder: Path, closed: set[str]) -> Iterator[str]:
    found = set()
    for name in closed:
        for file in (folder / name, *(Path(top) / n for top, _, names in os.walk(folder / name) for n in names)):
            status = file.lstat()
            if status.st_nlink > 1 and file.is_file():
                found.add((status.st_dev, status.st_ino))
    for top, _, names in os.walk(folder) if found else ():
        for file in (Path(top) / name for name in names):
            status, inner = file.lstat(), file.relative_to(folder).as_posix()
            inside = any(inner == c or inner.startswith(c + "/") for c in closed)
            if (status.st_dev, status.st_ino) in found and not inside:
                yield inner
