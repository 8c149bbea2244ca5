"""Tier 2: Landlock, a filter of system calls and limits, where no name space may be made.

    opened for reading   the system's parts, the interpreter, what the job names
    opened for writing   its folder, a temporary folder, /dev/null
    refused              every socket, signals, changes of modes, owners and times (Landlock knows no rule for them)

The rules open whole folders and cannot close again below. So with protected names, the folder's own first level is fixed: a
job changes what is in its other folders and files, and makes new ones in those folders or in TMPDIR, but adds no name beside
`.git`.
Promises: put on by `launcher.py` just before the job's first instruction; a guard outside the walls ends whatever the job leaves.
Does not cover: looking: names, sizes and times of files elsewhere can be seen; processes of the same user can be counted. No
network.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
from pathlib import Path

from homefire.errors import SandboxUnavailable
from homefire.sandbox import seccomp
from homefire.sandbox.bubblewrap import job_environment
from homefire.sandbox.cgroup import Kind
from homefire.sandbox.probe import inside
from homefire.sandbox.protect import Walls, protect
from homefire.sandbox.run import Plan, Scratch, execute, give, lent, resource_limits
from homefire.sandbox.sandbox import WATCHED, Facts, Job, Outcome

_LEAST = 3  # below, a file elsewhere could be cut to nothing
_READ = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/etc/ssl/certs",
         "/etc/localtime", "/dev/urandom", "/dev/random", "/dev/zero")  # fmt: skip
_WRITE_FILES = ("/dev/null",)


def version() -> int:
    """Landlock's version in this kernel, 0 if there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)))


def handled(known: int) -> list[int]:
    """What is refused unless a rule opens it, as bits: of files, of TCP ports, of reaching other processes."""
    files = (
        (1 << 13) - 1 | (1 << 13 if known >= 2 else 0) | (1 << 14 if known >= 3 else 0) | (1 << 15 if known >= 5 else 0)
    )
    return [files, 0b11 if known >= 4 else 0, 0b11 if known >= 6 else 0]


class Landlock:
    """A Sandbox."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def facts(self) -> Facts:
        missing = ["names, sizes and times of files elsewhere can be seen", "no network, and no list of hosts",
                   "no new names beside protected ones"]  # fmt: skip
        missing += [WATCHED] if self._kind == "none" else []
        return Facts("landlock", 2, tuple(missing))

    async def check(self) -> tuple[str, ...]:
        return await inside(self)

    async def run(self, job: Job) -> Outcome:
        if version() < _LEAST or platform.machine() not in seccomp.MACHINES:
            raise SandboxUnavailable("This kernel has no Landlock, or too old a one (3 is needed, of Linux 6.2).")
        if job.hosts:
            raise SandboxUnavailable("Without name spaces a job has no network: bubblewrap does not work here.")
        given = job.folder.resolve(strict=True) if job.folder is not None else None
        with protect(given, job.protected) as walls, lent(given) as uid, Scratch(uid) as scratch:
            folder, temporary = given or scratch.folder(job.files), scratch.path / "tmp"
            temporary.mkdir(mode=0o700)
            for place in (temporary, *([] if given else [folder])) if uid is not None else ():
                give(place, uid or 0)
            return await execute(self.render(job, walls, folder, temporary, uid), job, self._kind)

    def render(self, job: Job, walls: Walls, folder: Path, temporary: Path, uid: int | None) -> Plan:
        """The plan of a run."""
        folders, files = walls.writable(folder)
        if any(os.lstat(folder / name).st_nlink > 1 for name in walls.closed if not (folder / name).is_dir()):
            raise SandboxUnavailable("A protected file has a second name, which Landlock cannot keep closed.")
        reading = [place for place in (*_READ, *map(str, job.readable)) if Path(place).exists()]
        slack = 1 if self._kind == "none" else 9  # the guard; and a cgroup shall refuse first: it tells
        return Plan(
            ("/usr/bin/env", "--", *job.argv) if "/" not in job.argv[0] else job.argv,
            environment=job_environment(job, str(folder), str(temporary), False),
            folder=str(folder),
            limits=resource_limits(job.limits) | {"RLIMIT_NPROC": processes_of(uid) + job.limits.processes + slack},
            uid=uid,
            landlock={"read": [*reading, str(folder)], "write": [*map(str, folders), str(temporary)],
                      "files": [*map(str, files), *_WRITE_FILES], "bits": handled(version())},
            filter=seccomp.program(2),
            guard=True,
            watched=(temporary.parent,) if job.folder is None else (temporary, folder),
        )  # fmt: skip


def processes_of(uid: int | None) -> int:
    """How many processes and threads a user has: the kernel's limit counts those too. None of a user made for the run."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*") if uid is None else ():
        with contextlib.suppress(OSError):
            found += len(list((entry / "task").iterdir())) if entry.stat().st_uid == os.getuid() else 0
    return found
