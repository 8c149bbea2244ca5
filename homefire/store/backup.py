"""A whole home as one folder: made while the daemon writes, checked before it has its name, and brought back.

A backup is `homefire.db` (one consistent moment), `blobs/`, the folders of KEPT_FOLDERS, what a person wrote (KEPT_FILES) and
`manifest.json` with the sha256 of each. What can be rebuilt (`cache/`, `indexes/`, `logs/`) is not in it, and no secret unless it
is asked for.
Promises: a folder with the name of a backup is whole and on the disk: the copy of the database was checked row by row, every file
is synced, the manifest comes last, then the name. `restore` checks everything before it changes anything, and the home that it
replaces is kept aside and can come back.
Does not cover: blobs that are linked rather than copied (on the same disk, unless copies are asked for): they share their bytes
with the home, and a disk that dies takes both.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import apsw

import homefire
from homefire.errors import BackupDamaged, DiskFull, HomeNotEmpty, InvalidRequest
from homefire.paths import KEPT_FILES, KEPT_FOLDERS, SECRET, Digest, Paths, from_os, make_private_folder, sync_folder
from homefire.store.blobs import RESERVE
from homefire.store.check import CHUNK, Report, check_database, digest_of, require_whole, unheard
from homefire.store.database import translate

MANIFEST = "manifest.json"
FORMAT = 1
LARGEST_MANIFEST = 64 * 2**20
_DATABASE = "homefire.db"
_SEE = "See which with: homefire verify. A copy of it as it is: homefire backup --anyway"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a backup: its path below it with `/`, its size, its sha256, and whether it shares its bytes with the home."""

    path: str
    bytes: int
    sha256: str
    linked: bool = False


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that is there. `made_at` in Unix seconds; `faulty`: rows of the database that were damaged already."""

    path: str
    made_at: float
    version: str
    secrets: bool
    rows: int
    faulty: int
    entries: tuple[Entry, ...]

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(each.bytes for each in self.entries)

    def shown(self) -> dict[str, Any]:
        """As JSON, with the files counted."""
        return {
            "path": self.path,
            "made_at": self.made_at,
            "version": self.version,
            "secrets": self.secrets,
            "rows": self.rows,
            "faulty_rows": self.faulty,
            "files": len(self.entries),
            "linked": sum(each.linked for each in self.entries),
            "bytes": self.bytes,
        }


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a backup is made: with secrets, with copies of blobs where links would do, in spite of damaged rows."""

    secrets: bool = False
    copies: bool = False
    anyway: bool = False


def back_up(paths: Paths, target: Path | None = None, wishes: Wishes = Wishes(), report: Report = unheard) -> Backup:
    """Makes a backup in the new folder `target` (default: one of its own in the home's `backups`). Blocks.

    Raises InvalidRequest for a target that is there, DiskFull, HomeNotWritable, MachineError, and StoreDamaged for a database
    that is not what was written."""
    target = target or paths.backups / time.strftime("homefire-%Y%m%d-%H%M%S")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidRequest(f"{target} is there already.", "Name a new folder.", param="target")
    if (
        target.resolve().is_relative_to(paths.home.resolve())
        and paths.backups.resolve() not in target.resolve().parents
    ):
        raise InvalidRequest(f"{target} lies in the home.", "Name a folder beside it, or none.", param="target")
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        if target.parent == paths.backups:
            make_private_folder(paths.backups)
        make_private_folder(part)
        made = _fill(paths, part, wishes, report)
        for folder in sorted((each for each in part.rglob("*") if each.is_dir()), reverse=True):
            sync_folder(folder)
        _write_manifest(part, made)
        if target.exists():
            target.rmdir()
        part.rename(target)
        sync_folder(target.parent)
    except OSError as problem:
        raise from_os(problem, target) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return replace(made, path=str(target))


def _fill(paths: Paths, part: Path, wishes: Wishes, report: Report) -> Backup:
    blobs, others = list(paths.all_blobs()), _files_of(paths, wishes.secrets)
    size = paths.database.stat().st_size if paths.database.is_file() else 0
    total = size + sum(each.stat().st_size for each in (*blobs, *others))
    free = shutil.disk_usage(part).free
    same_disk = part.stat().st_dev == paths.blobs.stat().st_dev and not wishes.copies
    need = size + (0 if same_disk else total - size)
    if need + RESERVE > free:
        raise DiskFull(
            f"The backup takes {need / 1e9:.1f} GB and the disk of {part.parent} has {free / 1e9:.1f} GB left."
        )
    entries: dict[str, Entry] = {}
    done = 0

    def take(some: list[Path]) -> None:
        nonlocal done
        for source in some:
            name = source.relative_to(paths.home).as_posix()
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                entries[name] = _take(source, part / name, name, link=same_disk and paths.blobs in source.parents)
                done += entries[name].bytes
            report(min(done, total), total)

    take(blobs)
    entries[_DATABASE], rows, faulty = _copy_database(paths.database, part / _DATABASE, wishes.anyway)
    done += size
    # Blobs before the rows that name them, and again now: one that came meanwhile is in it, one that went does no harm.
    take([blob for blob in paths.all_blobs() if blob.relative_to(paths.home).as_posix() not in entries])
    # What only grows comes after the rows that say how much of it counts.
    take(_files_of(paths, wishes.secrets))
    report(total, total)
    listed = tuple(sorted(entries.values(), key=lambda entry: entry.path))
    return Backup("", time.time(), homefire.__version__, wishes.secrets, rows, faulty, listed)


def _files_of(paths: Paths, secret: bool) -> list[Path]:
    """What is copied beside the database and the blobs."""
    wanted = [*KEPT_FOLDERS, *KEPT_FILES, *(SECRET if secret else ())]
    found: list[Path] = []
    for name in wanted:
        place = paths.home / name
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        found += [each for each in inside if each.is_file() and not each.is_symlink()]
    return found


def _take(source: Path, target: Path, name: str, *, link: bool) -> Entry:
    """Links a blob, or copies a file as far as it goes now, hashing it. A blob that is not what its name says is refused."""
    make_private_folder(target.parent)
    blob = source.name if source.parent.parent.name == "sha256" else ""
    if link and len(blob) == 64:
        with contextlib.suppress(OSError):  # a file system without links
            os.link(source, target)
            return Entry(name, target.stat().st_size, blob, linked=True)
    hasher, done = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with source.open("rb") as reading, os.fdopen(descriptor, "wb") as writing:
        while chunk := reading.read(CHUNK):
            hasher.update(chunk)
            writing.write(chunk)
            done += len(chunk)
        writing.flush()
        os.fsync(writing.fileno())
    if len(blob) == 64 and hasher.hexdigest() != blob:
        raise BackupDamaged(f"The blob {blob[:12]} is not what its name says.", "See: homefire verify")
    return Entry(name, done, hasher.hexdigest())


def _copy_database(source: Path, target: Path, anyway: bool) -> tuple[Entry, int, int]:
    """A copy of one moment, without what is free in it; checked and on the disk. Gives rows and damaged rows too."""
    copy_database(source, target)
    with ThreadPoolExecutor(2) as beside:  # both leave the processor to others while they read and hash
        synced, digest = beside.submit(sync_file, target), beside.submit(digest_of, target)
        found = check_database(target, quick=True)
        synced.result()
    if not anyway or found.structure:
        require_whole(found, source, _SEE)
    return Entry(_DATABASE, target.stat().st_size, digest.result()), found.rows, found.faulty


def copy_database(source: Path, target: Path) -> None:
    """Writes what `source` holds at this moment into the new file `target`; syncing it is left. Others may write meanwhile.

    Raises StoreDamaged, DiskFull, HomeNotWritable."""
    try:
        c = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as problem:
        raise translate(problem, source) from None
    try:
        c.set_busy_timeout(5000)
        c.execute("PRAGMA trusted_schema=OFF")
        # In one step: a copy in steps begins anew at each commit of the writer (it never ended in 20 s of writing).
        c.execute("VACUUM INTO ?", (str(target),))
    except apsw.Error as problem:
        raise translate(problem, target if isinstance(problem, apsw.FullError) else source) from None
    finally:
        c.close(True)
    target.chmod(0o600)


def sync_file(path: Path) -> None:
    """Makes what was written into a file survive a power cut."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _write_manifest(part: Path, made: Backup) -> None:
    shown = {**asdict(made), "format": FORMAT}
    del shown["path"]
    descriptor = os.open(part / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(shown, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(part)


# -- bringing back


def read_backup(source: Path) -> Backup:
    """What the manifest of a backup says. Raises BackupDamaged."""
    try:
        with _open_plain(source / MANIFEST) as file:
            found = json.loads(os.read(file, LARGEST_MANIFEST))
        if found.pop("format") != FORMAT:
            raise BackupDamaged(f"{source} is a backup of a newer Homefire.", "Update Homefire.")
        entries = tuple(Entry(**each) for each in found.pop("entries"))
        made = Backup(path=str(source), entries=entries, **found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BackupDamaged(f"{source} is no backup: its {MANIFEST} cannot be read.") from None
    for entry in made.entries:
        _require_place(entry.path, source)
    return made


def check_backup(source: Path, report: Report = unheard) -> Backup:
    """Reads every file of a backup and compares. Blocks. Raises BackupDamaged, which names the first that is not as it was."""
    made = read_backup(source)
    done = 0
    for entry in made.entries:
        try:
            with _open_plain(source / entry.path) as file:
                size = os.fstat(file).st_size
            right = size == entry.bytes and digest_of(source / entry.path) == entry.sha256
        except OSError:
            right = False
        if not right:
            raise BackupDamaged(f"{source}: {entry.path} is missing or not what it was.")
        done += entry.bytes
        report(done, made.bytes)
    if any(entry.path == _DATABASE for entry in made.entries):
        found = check_database(source / _DATABASE)
        if found.structure or found.faulty > made.faulty:
            require_whole(found, source / _DATABASE, "Take another backup.")
    return made


@contextlib.contextmanager
def _open_plain(path: Path) -> Iterator[int]:
    """A regular file, not a link to one somewhere else. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no file")
        yield descriptor
    finally:
        os.close(descriptor)


def _require_place(name: str, source: Path) -> None:
    """Raises BackupDamaged unless a file of this name has a place in a home."""
    parts = PurePosixPath(name).parts
    plain = "\\" not in name and "\0" not in name and name == "/".join(parts) and not {"..", "."} & set(parts)
    if plain and parts and parts[0] == "blobs":
        digest = parts[3].removesuffix(".chunks") if len(parts) == 4 else ""
        plain = parts[1:2] == ("sha256",) and digest[:2] == parts[2] and len(digest) == 64
        with contextlib.suppress(InvalidRequest):
            if plain and Digest(digest):
                return
    elif plain and parts and (name in (_DATABASE, *KEPT_FILES) or parts[0] in (*KEPT_FOLDERS, *SECRET)):
        return
    raise BackupDamaged(f"{source}: {name[:200]!r} has no place in a home.")


def restore(paths: Paths, source: Path, *, force: bool = False, report: Report = unheard) -> tuple[Backup, Path | None]:
    """Puts a backup in the home's place; the caller holds the home's lock. Gives the backup and where the old home lies, None if
    there was nothing in it. Secrets that the backup does not hold are taken over from the old home. Blocks.

    Raises BackupDamaged before anything is changed, HomeNotEmpty without `force`, DiskFull, HomeNotWritable."""
    made = check_backup(source, report)
    full = paths.database.exists() or any(paths.all_blobs())
    if full and not force:
        raise HomeNotEmpty(f"There is a Homefire in {paths.home}.")
    new = paths.aside("restoring")
    try:
        make_private_folder(new)
        for entry in made.entries:
            if _take(source / entry.path, new / entry.path, entry.path, link=True).sha256 != entry.sha256:
                raise BackupDamaged(f"{source}: {entry.path} changed while it was read.")
        for name in () if made.secrets else SECRET:
            old = paths.home / name
            if old.is_dir():
                shutil.copytree(old, new / name)
            elif old.is_file():
                shutil.copy2(old, new / name)
        for folder in (*(each for each in new.rglob("*") if each.is_dir()), new):
            sync_folder(folder)
        kept = _swap(paths, new)
    except OSError as problem:
        raise from_os(problem, paths.home) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    if kept is not None and not full:
        shutil.rmtree(kept, ignore_errors=True)  # an empty home, or one that was never used
        kept = None
    return made, kept


def undo_restore(paths: Paths) -> Path:
    """Brings the home back that the last restore kept aside; gives where the other one lies now. The caller holds the lock.

    Raises InvalidRequest if there is none."""
    aside = paths.all_aside("before-restore")
    if not aside:
        raise InvalidRequest(f"No home lies aside for {paths.home}.", "Only a restore over a home keeps it aside.")
    try:
        kept = _swap(paths, aside[-1], "undone")
    except OSError as problem:
        raise from_os(problem, paths.home) from None
    assert kept is not None
    return kept


def _swap(paths: Paths, new: Path, word: str = "before-restore") -> Path | None:
    """Renames the home aside and `new` into its place. Raises OSError; then the home is where it was."""
    kept = paths.aside(word)
    paths.home.rename(kept)
    try:
        new.rename(paths.home)
    except OSError:
        kept.rename(paths.home)
        raise
    sync_folder(paths.home.parent)
    return kept
