"""A disk that loses power: what SQLite does to its files is written down, and states in which a cut may leave them made of it.

The model: what was written before a file's last completed sync is there; of later writes each sector of 512 bytes is there or
not, alone and in any order, and the size of the file is any that it had since. The shared memory of a WAL is not there at all.
Promises: the recorder passes every call on to the real disk, so the program that is recorded is the real one.
Does not cover: the loss of a name in a folder (`test_power.py` cuts a real file system for that), disks that lie about a flush.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512
REAL = apsw.vfs_names()[0]
NAME = "homefire-torn"


@dataclass(frozen=True, slots=True)
class Call:
    """One call: `write` (at, data), `truncate` (size in at), `sync`, of the file with this name."""

    kind: str
    file: str
    at: int = 0
    data: bytes = b""


@dataclass
class Recorder:
    """What was done, in its order. `fail` is asked before each call and may raise in its place."""

    calls: list[Call] = field(default_factory=list)
    fail: Callable[[str, str], None] = lambda kind, file: None

    def note(self, call: Call) -> None:
        """Raises what `fail` raises; else writes it down."""
        self.fail(call.kind, call.file)
        self.calls.append(call)


class _Disk(apsw.VFS):
    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        super().__init__(NAME, REAL, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _File(self.recorder, name, flags)


class _File(apsw.VFSFile):
    """WAL without shared memory: its connection has to lock exclusively."""

    def __init__(self, recorder: Recorder, name: Any, flags: list[int]) -> None:
        super().__init__(REAL, name, flags)
        self._recorder = recorder
        self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else str(name)).name

    def xWrite(self, data: bytes, offset: int) -> None:
        self._recorder.note(Call("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._recorder.note(Call("truncate", self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._recorder.note(Call("sync", self._name))
        super().xSync(flags)


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Every database that is opened meanwhile, by whatever code, is on the recorded disk."""
    recorder = Recorder()
    disk = _Disk(recorder)

    def exclusive(connection: apsw.Connection) -> None:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()

    apsw.connection_hooks.append(exclusive)
    try:
        yield recorder
    finally:
        apsw.connection_hooks.remove(exclusive)
        disk.unregister()


class States:
    """States after a cut. `before`: the files when recording began, all on the disk. Moments only ever go on: what a file has for
    certain is not made anew for each."""

    def __init__(self, before: dict[str, bytes], calls: list[Call]) -> None:
        self._certain = {name: bytearray(content) for name, content in before.items()}
        self._later: dict[str, list[Call]] = {name: [] for name in before}
        self._calls = calls
        self._moment = 0

    def after(self, moment: int, dice: random.Random) -> dict[str, bytes]:
        """One of the states in which a cut after `moment` calls may leave the files; no moment before the last one's."""
        assert moment >= self._moment
        for call in self._calls[self._moment : moment]:
            content = self._certain.setdefault(call.file, bytearray())
            later = self._later.setdefault(call.file, [])
            if call.kind == "sync":
                for each in later:
                    _apply(content, each, None)
                later.clear()
            else:
                later.append(call)
        self._moment = moment
        way = dice.choice(("none", "all", "some", "torn", "torn"))
        return {name: self._file(name, way, dice) for name in self._certain}

    def _file(self, name: str, way: str, dice: random.Random) -> bytes:
        later = self._later[name]
        if way == "none" or not later:
            return bytes(self._certain[name])
        content = bytearray(self._certain[name])
        if way in ("some", "torn"):  # some of them, in another order
            later = [call for call in later if dice.random() < 0.7]
            dice.shuffle(later)
        for call in later:
            _apply(content, call, dice if way == "torn" else None)
        return bytes(content)


def _apply(content: bytearray, call: Call, dice: random.Random | None) -> None:
    """Does a call to a file's content; with dice, each sector of a write only by chance."""
    if call.kind == "truncate":
        del content[call.at :]
        content.extend(bytes(max(0, call.at - len(content))))
    elif call.kind == "write":
        content.extend(bytes(max(0, call.at + len(call.data) - len(content))))
        for begin, end in itertools.pairwise(_cuts(call)):
            if dice is None or dice.random() < 0.5:
                content[begin:end] = call.data[begin - call.at : end - call.at]


def _cuts(call: Call) -> list[int]:
    """Where a write begins, ends and crosses into another sector."""
    end = call.at + len(call.data)
    return [call.at, *range((call.at // SECTOR + 1) * SECTOR, end, SECTOR), end]
