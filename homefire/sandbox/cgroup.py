"""What a job takes, measured and capped: by cgroups where we may make them, else by looking at its processes.

    v1, as root        memory, pids, cpuacct: the kernel keeps memory and processes, this file reads the rest
    v2, delegated      memory, pids: the same, and `cgroup.kill`
    neither            /proc, every 50 ms: a job can pass its memory by what it takes within that time

Promises: a cgroup that was made is removed again; reading costs no process.
Does not cover: ending a job for what it takes (`run.py` does).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from homefire.sandbox.sandbox import Limits

ROOT = Path("/sys/fs/cgroup")
Kind = Literal["v1", "v2", "none"]
_V1 = ("memory", "pids", "cpuacct")
_NAMES = {"v1": ("memory.usage_in_bytes", "memory.oom_control", "memory.max_usage_in_bytes"),
          "v2": ("memory.current", "memory.events", "memory.peak")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job takes now: bytes, processes, seconds of processors so far; and whether the kernel refused or ended some of
    it."""

    memory: int
    processes: int
    cpu_seconds: float
    out_of_memory: bool = False
    out_of_processes: bool = False


class Group:
    """One job's cgroups, or none. Made before the job starts; `close` after it ended."""

    def __init__(self, kind: Kind, limits: Limits, root: Path = ROOT) -> None:
        self.kind, self._folders, self.peak = kind, dict[str, Path](), 0
        name = f"homefire-{os.getpid()}-{secrets.token_hex(4)}"
        if kind == "v1":
            self._folders = {part: root / part / own(part) / name for part in _V1}
        elif kind == "v2":
            self._folders = dict.fromkeys(("memory", "pids"), _v2_home(root) / name)
        try:
            self._make(limits)
        except OSError:
            self.close()
            raise

    def _make(self, limits: Limits) -> None:
        for folder in set(self._folders.values()):
            folder.mkdir()
        if self.kind == "v1":
            self._write("memory", "memory.limit_in_bytes", limits.memory_bytes)
            with contextlib.suppress(OSError):  # kernels without accounting of swap
                self._write("memory", "memory.memsw.limit_in_bytes", limits.memory_bytes)
        elif self.kind == "v2":
            self._write("memory", "memory.max", limits.memory_bytes)
            with contextlib.suppress(OSError):
                self._write("memory", "memory.swap.max", 0)
        if self.kind != "none":  # and bubblewrap's two, or the guard
            self._write("pids", "pids.max", limits.processes + 2)

    @property
    def doors(self) -> list[str]:
        """The files that a process writes itself into."""
        return sorted({str(folder / "cgroup.procs") for folder in self._folders.values()})

    def usage(self, pid: int) -> Usage:
        """What the job whose first process is `pid` takes now."""
        if self.kind == "none":
            found = _of_processes(pid)
        else:
            memory, events, peak = _NAMES[self.kind]
            seconds = self._fields("memory", "cpu.stat").get("usage_usec", 0) / 1e6
            if self.kind == "v1":
                seconds = self._number("cpuacct", "cpuacct.usage") / 1e9
            found = Usage(self._number("memory", memory), self._number("pids", "pids.current"), seconds,
                          self._fields("memory", events).get("oom_kill", 0) > 0,
                          self._fields("pids", "pids.events").get("max", 0) > 0)  # fmt: skip
            self.peak = max(self.peak, self._number("memory", peak))
        self.peak = max(self.peak, found.memory)
        return found

    def kill(self) -> None:
        """Ends all that is in it, where the kernel does that in one step."""
        if self.kind == "v2":
            with contextlib.suppress(OSError):
                self._write("memory", "cgroup.kill", 1)

    def close(self) -> None:
        """Removes it. Its processes are gone, but the kernel may still be putting their memory away."""
        for folder in set(self._folders.values()):
            for _ in range(100 if folder.is_dir() else 0):
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.001)

    def _write(self, part: str, name: str, value: int) -> None:
        (self._folders[part] / name).write_text(str(value), "ascii")

    def _number(self, part: str, name: str) -> int:
        try:
            return int((self._folders[part] / name).read_text("ascii"))
        except (OSError, ValueError):
            return 0

    def _fields(self, part: str, name: str) -> dict[str, int]:
        try:
            rows = [row.split() for row in (self._folders[part] / name).read_text("ascii").splitlines()]
        except OSError:
            return {}
        return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def find_kind(root: Path = ROOT) -> Kind:
    """Which cgroups we may make here, found by making one."""
    kinds: tuple[Kind, ...] = ("v2", "v1")
    for kind in kinds if sys.platform == "linux" else ():
        try:
            group = Group(kind, Limits(), root)
        except OSError:
            continue
        group.close()
        return kind
    return "none"


def own(part: str, text: str | None = None) -> str:
    """Our own cgroup's path in a hierarchy of v1, or in v2's for "", without the leading slash."""
    text = Path("/proc/self/cgroup").read_text("ascii") if text is None else text
    for line in text.splitlines():
        _, parts, place = line.split(":", 2)
        if part in parts.split(","):
            return place.lstrip("/")
    raise FileNotFoundError(f"no cgroup of {part}")


# The cgroup below which jobs get theirs: our own, if it was handed to us and nobody else is in it. The kernel wants a cgroup
# that has limits below it to hold no process, so we move into a leaf first.
def _v2_home(root: Path) -> Path:
    ours = root / own("")
    if ours.name == "homefire-daemon":
        ours = ours.parent
    elif (ours / "cgroup.procs").read_text("ascii").split() != [str(os.getpid())]:
        raise PermissionError(f"{ours} is shared with other programs")
    if not {"memory", "pids"} <= set((ours / "cgroup.controllers").read_text("ascii").split()):
        raise FileNotFoundError(f"{ours} was not given memory and pids")
    leaf = ours / "homefire-daemon"
    leaf.mkdir(exist_ok=True)
    (leaf / "cgroup.procs").write_text(str(os.getpid()), "ascii")
    (ours / "cgroup.subtree_control").write_text("+memory +pids", "ascii")
    return ours


# The sum over a process and all below it. Memory is what is theirs alone or shared between them, without mapped files.
def _of_processes(first: int) -> Usage:
    pids, memory, ticks = [first], 0, 0
    for pid in pids:
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
                pids += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text("ascii").split())
            for line in Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines():
                if line.startswith(("RssAnon:", "RssShmem:")):
                    memory += 1024 * int(line.split()[1])
            stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
            ticks += sum(map(int, stat[11:15]))  # its own, and those of children that ended
        except (OSError, ValueError, IndexError):
            continue
    return Usage(memory, len(pids), ticks / os.sysconf("SC_CLK_TCK"))
