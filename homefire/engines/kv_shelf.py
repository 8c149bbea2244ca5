"""The shelf: KV caches of conversations on the disk, for the time when their model is not in memory.

One folder a *family*: all that must be the same for a KV cache to be usable (model, engine, context, cache types). In it two
files an entry: `ID.kv`, which llama.cpp wrote, and `ID.json`, which says what it is and the checksum of the other.

    written by the child -> put (checked, described) -> found -> fetched (checked again) -> used, or dropped

Promises: all of it can be deleted at any time and only costs time; a file that is torn, changed or of another family is never
handed out; all together stay below the quota, those unused for longest going first; what carries a conversation's label goes with
the conversation; what carries none, after a day. The files are this user's alone (0600): they hold what was said, as numbers.
Lives on the event loop; hashing is in threads.
Does not cover: when it is worth it (`worth.py`), asking the engine (`kv_cache.py`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from homefire.engines.prefix import HASH_BYTES, Chain, shared
from homefire.errors import MachineError
from homefire.paths import make_private_folder

log = logging.getLogger(__name__)

FORMAT = 1
MIB = 1 << 20
# Unused for so long, an entry goes: without a conversation's label, and with one.
UNNAMED_SECONDS, NAMED_SECONDS = 86_400.0, 30 * 86_400.0
# What must stay free of the disk beside it.
FREE_BYTES = 1 << 30
PIECE = 4 * MIB


@dataclass(frozen=True, slots=True)
class Entry:
    """One KV cache. `size` in bytes of the .kv file, `crc` its CRC-32, `used` seconds since 1970."""

    id: str
    family: str
    chain: Chain
    tokens: int
    size: int
    crc: int
    label: str
    used: float

    @property
    def file(self) -> str:
        """The name of the file inside the family's folder."""
        return f"{self.id}.kv"


class KvShelf:
    """See the module's text. `quota` in bytes; `clock` gives seconds since 1970."""

    def __init__(self, folder: Path, quota: int, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.quota = quota
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._gone: set[str] = set()

    def open(self, families: Callable[[str], bool] = lambda family: True) -> None:
        """Reads what is there; files that nothing describes, and families that `families` does not know, are deleted. Blocks."""
        if not self.folder.is_dir():
            return
        for place in self.folder.iterdir():
            if not place.is_dir() or not families(place.name):
                _remove(place)
                continue
            whole = [entry for file in place.glob("*.json") if (entry := _read(file, place.name)) is not None]
            self._entries.update({entry.id: entry for entry in whole})
            known = {f"{entry.id}{ending}" for entry in whole for ending in (".kv", ".json")}
            for file in place.iterdir():
                if file.name not in known:
                    _remove(file)
        self.tidy()

    def place(self, family: str) -> Path:
        """The family's folder, made if it is not there. Raises HomeNotWritable, DiskFull."""
        make_private_folder(self.folder)
        found = self.folder / family
        make_private_folder(found)
        return found

    def all(self) -> list[Entry]:
        """Everything that lies here."""
        return list(self._entries.values())

    def new_id(self) -> str:
        """A name for a file to come."""
        return secrets.token_hex(8)

    def has_room(self, size: int) -> bool:
        """Whether a file of this size may be written: it is no more than half of the quota, and the disk has room."""
        if size > self.quota // 2:
            return False
        try:
            return shutil.disk_usage(self.folder.parent).free - size > FREE_BYTES
        except OSError:
            return False

    def find(self, family: str, chain: Chain) -> tuple[Entry, int] | None:
        """The entry with which a request shares most blocks, and how many; the shortest of those."""
        best: tuple[Entry, int] | None = None
        for entry in self._entries.values():
            if entry.family != family or not (blocks := shared(chain, entry.chain)):
                continue
            if best is None or (blocks, -entry.size) > (best[1], -best[0].size):
                best = entry, blocks
        return best

    async def put(self, entry_id: str, family: str, chain: Chain, tokens: int, label: str) -> Entry | None:
        """Takes in the file that the engine wrote under this id; None if it is not wanted (its conversation is gone, it is too
        large). Entries of which it is the continuation go. Raises MachineError if the file cannot be read or described."""
        place = self.folder / family
        file = place / f"{entry_id}.kv"
        try:
            crc, size = await asyncio.to_thread(_checksum, file)
            entry = Entry(entry_id, family, chain, tokens, size, crc, label, self._clock())
            if label in self._gone or size > self.quota:
                file.unlink(missing_ok=True)
                return None
            await asyncio.to_thread(_write, place, entry)
        except OSError as problem:
            _remove(file)
            raise MachineError(f"A KV cache could not be kept: {problem.strerror or problem}.") from None
        for other in self.all():
            if other.family == family and other.label == label and shared(other.chain, chain) == len(other.chain):
                self.drop(other)
        self._entries[entry.id] = entry
        self._shrink()
        return entry

    async def fetch(self, entry: Entry) -> bool:
        """Whether the file is still what was written; if so it is in the page cache now. One that is not is dropped."""
        try:
            same = await asyncio.to_thread(_checksum, self.folder / entry.family / entry.file) == (
                entry.crc,
                entry.size,
            )
        except OSError:
            same = False
        if not same:
            log.warning("a kept KV cache of %s is damaged and was dropped", entry.family)
            self.drop(entry)
        return same

    def touch(self, entry: Entry) -> None:
        """It was used now."""
        if entry.id in self._entries:
            now = self._clock()
            self._entries[entry.id] = Entry(
                entry.id, entry.family, entry.chain, entry.tokens, entry.size, entry.crc, entry.label, now
            )
            try:
                os.utime(self._description(entry), (now, now))
            except OSError:
                log.info("the time of use of a KV cache was not noted")

    def drop(self, entry: Entry) -> None:
        """Deletes it."""
        self._entries.pop(entry.id, None)
        _remove(self._description(entry))
        _remove(self.folder / entry.family / entry.file)

    def clear(self) -> None:
        """Deletes everything."""
        for entry in self.all():
            self.drop(entry)

    def welcome(self, label: str) -> None:
        """The conversation of this label is there again."""
        self._gone.discard(label)

    def forget(self, label: str) -> None:
        """The conversation of this label is gone: its caches go, and none is taken in for it any more."""
        if label:
            self._gone.add(label)
            for entry in self.all():
                if entry.label == label:
                    self.drop(entry)

    def tidy(self) -> None:
        """Drops what nobody used for long, and what is over the quota."""
        now = self._clock()
        for entry in self.all():
            if now - entry.used > (NAMED_SECONDS if entry.label else UNNAMED_SECONDS):
                self.drop(entry)
        self._shrink()

    def _shrink(self) -> None:
        for entry in over_quota(self._entries.values(), self.quota):
            self.drop(entry)

    def _description(self, entry: Entry) -> Path:
        return self.folder / entry.family / f"{entry.id}.json"


def over_quota(entries: Iterable[Entry], quota: int) -> list[Entry]:
    """What has to go so that the rest fits: those unused for longest."""
    kept, found = 0, []
    for entry in sorted(entries, key=lambda each: each.used, reverse=True):
        if kept + entry.size > quota:
            found.append(entry)
        else:
            kept += entry.size
    return found


def _checksum(file: Path) -> tuple[int, int]:
    crc = size = 0
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            crc = zlib.crc32(piece, crc)
            size += len(piece)
    return crc, size


def _write(place: Path, entry: Entry) -> None:
    """Beside, then renamed: a description is whole or not there. No fsync: the checksum finds what a power cut lost."""
    facts = {
        "format": FORMAT,
        "tokens": entry.tokens,
        "size": entry.size,
        "crc": entry.crc,
        "label": entry.label,
        "chain": [each.hex() for each in entry.chain],
    }
    part = place / f"{entry.id}.new"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(facts, file)
    part.replace(place / f"{entry.id}.json")


def _read(file: Path, family: str) -> Entry | None:
    """What a description says, None unless it is whole and the file that it describes has its size."""
    try:
        facts = json.loads(file.read_text("utf-8"))
        chain = tuple(bytes.fromhex(each) for each in facts["chain"])
        if facts["format"] != FORMAT or any(len(each) != HASH_BYTES for each in chain):
            return None
        numbers = int(facts["tokens"]), int(facts["size"]), int(facts["crc"])
        if file.with_suffix(".kv").stat().st_size != numbers[1]:
            return None
        return Entry(file.stem, family, chain, *numbers, str(facts["label"]), file.stat().st_mtime)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove(place: Path) -> None:
    try:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    except OSError as problem:
        log.info("%s was not removed: %s", place.name, problem)
