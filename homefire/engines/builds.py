"""Native builds of the engine: what is on the disk, which one is in use, and when it stops being.

    FOLDER/NAME/build.json      the facts, written last: a folder without them is no build
    FOLDER/NAME/llama-server    the program
    FOLDER/work/                the build under way
    FOLDER/state.json           which one is in use, why, what trials found

Promises: every file is written beside its place and renamed; a missing, cut or foreign file means "the wheel", never an error at
start; a build made for another processor (a home that moved) is shown and not used; crashes of a build above `CRASHES` within
`WINDOW` seconds end its use, and the state says so. All of it lies in the cache: what is removed can be built again.
Does not cover: building (`residency/builder.py`, `build_child.py`), whether a build is good (`trial.py`), running it
(`native_child.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from homefire.errors import HomefireError, InvalidRequest, UnknownBuild
from homefire.hardware import detect
from homefire.paths import EngineName, from_os, make_private_folder, sync_folder
from homefire.supervision.record import Exit

WHEEL = "wheel"
WORK = "work"
PROGRAM = "llama-server"
FACTS, STATE = "build.json", "state.json"
# The third crash within ten minutes sends the models back to the wheel: before `Backoff` lets a model rest (five in a minute).
CRASHES, WINDOW = 3, 600.0
_COMPUTING = re.compile(
    r"avx|sse|ssse|pni|fma|f16c|bmi|amx|popcnt|gfni|vaes|vpclmul|asimd|sve|sme|i8mm|bf16|fphp|neon|vfp|v$"
)


@dataclass(frozen=True, slots=True)
class Build:
    """Facts of a build. `source` and `sha256` name the archive that it was made from, `switches` are cmake's, `processor` is the
    mark of the one it was made for, `program` what the server says of itself; `seconds` of the
    last try, bytes, seconds since 1970."""

    name: str
    backend: str
    source: str
    sha256: str
    switches: tuple[str, ...]
    processor: str
    compiler: str
    program: str
    size: int
    seconds: float
    made_at: float


@dataclass(slots=True)
class State:
    """`in_use`: a build's name, or "wheel". `since` and `why` it is so; `rolled_back`: the build that crashed too often, ""
    if none did since a person chose; `trials`: the last report of each build's trial."""

    in_use: str = WHEEL
    since: float = 0.0
    why: str = ""
    rolled_back: str = ""
    trials: dict[str, Any] = field(default_factory=dict)


def processor_mark() -> str:
    """What a native build depends on, as a short digest: the architecture, the processor's name and the instructions for
    computing. (The system lists more, and other ones after an update.)"""
    machine = detect()
    words = (word for word in machine.instructions if _COMPUTING.match(word))
    text = " ".join((platform.machine(), machine.processor, *words))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_name(text: str) -> EngineName:
    """A build's name. Raises InvalidRequest."""
    name = EngineName(text)
    if name in (WHEEL, WORK):
        raise InvalidRequest(f"'{name}' is not the name of a build.", "See the builds with: homefire engine list")
    return name


class Builds:
    """The builds in `folder`; `processor` is the mark of this machine. One event loop owns it; nothing here waits for long."""

    def __init__(self, folder: Path, processor: str, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.processor = processor
        self._clock = clock
        self.state = _read_state(folder / STATE)
        self._crashes: list[float] = []

    def all(self) -> list[Build]:
        """Every build on the disk, by name."""
        found = (_read_build(file.parent) for file in self.folder.glob(f"*/{FACTS}"))
        return sorted((each for each in found if each is not None), key=lambda each: each.name)

    def get(self, name: str) -> Build:
        """Raises UnknownBuild."""
        found = _read_build(self.folder / read_name(name))
        if found is None:
            raise UnknownBuild(f"There is no build named '{name}'.", param="name")
        return found

    def runs_here(self, build: Build) -> bool:
        """Whether it was made for this processor, and its program is there."""
        return build.processor == self.processor and os.access(self.place(build.name), os.X_OK)

    def place(self, name: str) -> Path:
        """The program of a build, whether or not it is there."""
        return self.folder / read_name(name) / PROGRAM

    def program(self) -> Path | None:
        """The program in use; None: the wheel."""
        if self.state.in_use == WHEEL:
            return None
        try:
            build = self.get(self.state.in_use)
        except HomefireError:  # it was removed by hand: the cache may be emptied at any time
            return None
        return self.place(build.name) if self.runs_here(build) else None

    def use(self, name: str, why: str) -> None:
        """From now on models load with this build, or with the wheel. Raises UnknownBuild, DiskFull, HomeNotWritable."""
        if name != WHEEL and not self.runs_here(build := self.get(name)):
            raise UnknownBuild(
                f"'{build.name}' was made for another processor.", "Build it here: homefire engine build", param="name"
            )
        self._crashes.clear()
        self._settle(in_use=name, since=self._clock(), why=why, rolled_back="")

    def tried(self, name: str, report: dict[str, Any]) -> None:
        """Keeps the report of a build's last trial."""
        self._settle(trials={**self.state.trials, name: report})

    def remove(self, name: str) -> None:
        """Removes a build; if it was in use, the wheel is. Blocks. Raises UnknownBuild."""
        build = self.get(name)
        if self.state.in_use == build.name:
            self.use(WHEEL, f"The build '{build.name}' was removed.")
        self._settle(trials={key: value for key, value in self.state.trials.items() if key != build.name})
        with contextlib.suppress(OSError):  # the facts first: what is left is no build then
            (self.folder / build.name / FACTS).unlink()
        shutil.rmtree(self.folder / build.name, ignore_errors=True)

    def crashed(self, program: Path | None) -> str:
        """Notes that an engine that ran `program` ended unasked. The sentence to log if that was once too often and the wheel is
        in use from now on, else ""."""
        if program is None or program != self.program():
            return ""
        now, name = self._clock(), self.state.in_use
        self._crashes = [at for at in self._crashes if now - at < WINDOW] + [now]
        if len(self._crashes) < CRASHES:
            return ""
        self._crashes.clear()
        why = f"The native build '{name}' crashed {CRASHES} times within {WINDOW / 60:.0f} minutes; the wheel is in use again."
        # A full disk must not keep a build that crashes in use: the state in memory counts, the file follows when it can.
        with contextlib.suppress(HomefireError):
            self._settle(in_use=WHEEL, since=now, why=why, rolled_back=name)
        return why

    def _settle(self, **changed: Any) -> None:
        for name, value in changed.items():
            setattr(self.state, name, value)
        write_beside(self.folder / STATE, asdict(self.state))


class Watch:
    """An Observer of children that passes everything on to `behind`; a crash of an engine that ran a native build counts against
    it, and `rolled_back(label, why)` is told when the wheel takes over."""

    def __init__(
        self, builds: Builds, program: Path | None, behind: Any, rolled_back: Callable[[str, str], None]
    ) -> None:
        self._builds, self._program, self._behind, self._rolled_back = builds, program, behind, rolled_back

    def ready(self, label: str) -> None:
        self._behind.ready(label)

    def crashed(self, label: str, ended: Exit) -> None:
        self._behind.crashed(label, ended)
        if why := self._builds.crashed(self._program):
            self._rolled_back(label, why)


def finish(folder: Path, build: Build, program: Path) -> None:
    """Puts a finished build into its place: the program first, then the facts that make it one. Blocks."""
    target = folder / read_name(build.name)
    part = folder / WORK / "finished"
    shutil.rmtree(part, ignore_errors=True)
    make_private_folder(part)
    try:
        shutil.copyfile(program, part / PROGRAM)
        (part / PROGRAM).chmod(0o700)
        write_beside(part / FACTS, asdict(build))
        shutil.rmtree(target, ignore_errors=True)  # a second build of the same source and kind: the same program
        part.replace(target)
        sync_folder(folder)
    except OSError as problem:
        raise from_os(problem, target) from None


def write_beside(file: Path, value: dict[str, Any]) -> None:
    """JSON, written beside its place and renamed. Blocks for a moment. Raises DiskFull, HomeNotWritable."""
    make_private_folder(file.parent)
    part = file.with_name(file.name + ".new")
    try:
        with part.open("w", encoding="utf-8") as writing:
            json.dump(value, writing)
            writing.flush()
            os.fsync(writing.fileno())
        part.replace(file)
    except OSError as problem:
        raise from_os(problem, file) from None


def _read_state(file: Path) -> State:
    found = read_object(file)
    state = State()
    for each in fields(State):
        if type(found.get(each.name)) is type(getattr(state, each.name)):
            setattr(state, each.name, found[each.name])
    return state


def _read_build(folder: Path) -> Build | None:
    found = read_object(folder / FACTS)
    try:
        values = {each.name: found[each.name] for each in fields(Build)}
        build = Build(**{**values, "switches": tuple(values["switches"])})
        return build if read_name(build.name) == folder.name else None
    except (KeyError, TypeError, InvalidRequest):
        return None


def read_object(file: Path) -> dict[str, Any]:
    """A JSON object, {} if there is none that can be read."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
