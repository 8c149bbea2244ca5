"""The socket `Sandbox`: run one job under limits, and say how it ended.

    job -> refused (SandboxUnavailable, InvalidRequest)          nothing was started
        -> running -> ended by itself                             exit code or signal
                   -> ended by a limit                            `ended_by` names it
                   -> cancelled                                   CancelledError, after the tree is gone

| call    | blocks                       | never                                                            |
|---------|------------------------------|------------------------------------------------------------------|
| facts() | no                           | starts a process                                                 |
| check() | about 0.2 s                  | raises because a wall is missing: it names the walls that are    |
| run()   | as long as the job, at most its wall clock and 2 s | leaves a process, or more than the limits in memory |

Promises: values are checked when they are made; a plug that cannot keep a limit says so in `facts().missing`.
Does not cover: what the job means (`agent/`), and whether somebody allowed it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, Protocol

from homefire.errors import InvalidRequest
from homefire.settings import Settings

MIB = 2**20
EndedBy = Literal["", "memory", "processes", "cpu", "wall", "output", "disk"]
# What programs outside obey, or hand to others: a job does not change it, nor makes it. "/" at the end: a folder.
PROTECTED = (".git/", ".hg/", ".vscode/", ".idea/", ".envrc", ".mcp.json", ".homefire/")
WATCHED = "memory and processors: watched each 50 ms, not held by the kernel (no cgroup may be made)"
# The way out that a job's hosts are reached by: it listens on a unix socket while the block runs (`safety/egress.py`).
Egress = Callable[[tuple[str, ...], Path], AbstractAsyncContextManager[Path]]
MOST_FILES, MOST_FILE_BYTES = 64, 8 * MIB
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_PART = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_VARIABLE = re.compile(r"(?!LD_|PYTHON|GLIBC_|GCONV_|BASH_ENV|ENV$)[A-Za-z_][A-Za-z0-9_]{0,127}")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}:[0-9]{1,5}|\[[0-9A-Fa-f:.]{2,45}\]:[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job may take, all its processes together but for `file_bytes` and `open_files` (each). Raises InvalidRequest."""

    memory_bytes: int = 256 * MIB
    processes: int = 64
    cpu_seconds: int = 5
    wall_seconds: float = 10.0
    output_bytes: int = MIB
    disk_bytes: int = 32 * MIB
    file_bytes: int = 16 * MIB
    open_files: int = 256

    def __post_init__(self) -> None:
        ranges = {"memory_bytes": (16 * MIB, 2**50), "processes": (1, 100_000), "cpu_seconds": (1, 604_800),
                  "wall_seconds": (0.05, 604_800), "output_bytes": (0, 2**32), "disk_bytes": (64 * 1024, 2**50),
                  "file_bytes": (4096, 2**50), "open_files": (16, 1_000_000)}  # fmt: skip
        for row in fields(self):
            value, (low, high) = getattr(self, row.name), ranges[row.name]
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise InvalidRequest(f"{row.name} must be from {low} to {high}, not {value!r}.", param=row.name)

    @staticmethod
    def of(settings: Settings) -> Limits:
        """The limits that the settings `sandbox_*` give."""
        return Limits(
            settings.sandbox_memory_mib * MIB, settings.sandbox_processes, settings.sandbox_cpu_seconds,
            settings.sandbox_wall_seconds, settings.sandbox_output_kib * 1024, settings.sandbox_disk_mib * MIB,
            settings.sandbox_file_mib * MIB, settings.sandbox_open_files,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """What to run. Raises InvalidRequest.

    `argv` without a shell, its first a full path or a name in /usr/bin; `folder` is the one that it may write (inside tier 1
    it is /work), or None for an empty one that is thrown away; `files` go into that empty one; `environment` is all it gets,
    beside PATH, HOME, TMPDIR and LANG; `hosts` as name:port are all it may reach; `readable` it sees at their own places;
    `protected` are names in `folder` that it can neither change nor make.
    """

    argv: tuple[str, ...]
    folder: Path | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    hosts: tuple[str, ...] = ()
    readable: tuple[Path, ...] = ()
    protected: tuple[str, ...] = PROTECTED

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0] or any("\0" in part for part in self.argv):
            raise InvalidRequest("A job needs a program, and no zero bytes in its arguments.", param="argv")
        if self.files and self.folder is not None:
            raise InvalidRequest("Files go into a folder of the job's own, not into one that is given.", param="files")
        if len(self.files) > MOST_FILES or sum(map(len, self.files.values())) > MOST_FILE_BYTES:
            raise InvalidRequest(f"At most {MOST_FILES} files, {MOST_FILE_BYTES // MIB} MiB together.", param="files")
        for name in self.files:
            _require(_NAME, name, "files")
        for name, value in self.environment.items():
            _require(_VARIABLE, name, "environment")
            if "\0" in value:
                raise InvalidRequest(f"The value of {name} holds a zero byte.", param="environment")
        for host in self.hosts:
            _require(_HOST, host, "hosts")
        for name in self.protected:
            for part in name.removesuffix("/").split("/"):
                _require(_PART, "" if part in (".", "..") else part, "protected")
        for place in (*self.readable, *([self.folder] if self.folder else [])):
            if not place.is_absolute() or ".." in place.parts or place == Path("/"):
                raise InvalidRequest(f"Not the full path of a folder to share: {place}", param="folder")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: by `exit_code`, or by `signal`, which also stands for an exit code above 128, as in a shell. `ended_by`
    is the limit that ended it, or that it ran into before it failed. Memory is 0 where the machine does not tell."""

    exit_code: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    ended_by: EndedBy = ""
    seconds: float = 0.0
    peak_memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What a plug is: its name, its tier (1 best, 0: none), and the limits it cannot keep on this machine, in words."""

    name: str
    tier: int
    missing: tuple[str, ...] = ()
    tried: bool = True  # False: written from its system's documentation, never run by us


class Sandbox(Protocol):
    """See the table above."""

    def facts(self) -> Facts:
        """What it is and what it lacks here."""

    async def check(self) -> tuple[str, ...]:
        """Tries the walls from inside; the names of those that do not hold, () if all do."""

    async def run(self, job: Job) -> Outcome:
        """Runs a job to its end. Raises SandboxUnavailable, InvalidRequest, MachineError."""


def _require(form: re.Pattern[str], text: str, param: str) -> None:
    if not form.fullmatch(text):
        raise InvalidRequest(f"Not allowed as one of a job's {param}: {text[:80]!r}", param=param)
