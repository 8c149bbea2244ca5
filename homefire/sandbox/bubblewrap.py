"""Tier 1: bubblewrap. The job has its own view of files, processes, network, host name and shared memory, and no way back.

It sees /usr, a few files of /etc that hold no secret, what the job names, and /work, which it may write; all that is writable has
a size. With `hosts`, the way out is a socket in /run that ends at a proxy of the daemon's, and a forwarder inside that makes it
look like a proxy on the loopback.
Promises: bubblewrap is never run as root: a daemon that is root gives each job a user id of its own. The arguments are made by
`render`, which is pure but for looking at which files there are.
Does not cover: processors' time and whole memory where no cgroup can be made (`run.py` watches them).
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from homefire.errors import SandboxUnavailable
from homefire.sandbox import seccomp
from homefire.sandbox.cgroup import Kind
from homefire.sandbox.probe import inside
from homefire.sandbox.protect import Walls, protect
from homefire.sandbox.run import Plan, Scratch, execute, lent, resource_limits
from homefire.sandbox.sandbox import MIB, WATCHED, Egress, Facts, Job, Outcome

WORK, DOOR, FORWARDER = "/work", "/run/egress.sock", "/run/forward.py"
SHARED_MEMORY_BYTES, TEMPORARY_BYTES = 8 * MIB, 32 * MIB
PROXY_PORT = 3128
READ_ONLY = ("--remount-ro", "/dev", "--remount-ro", "/")  # both are memory without a size
# Of /etc: what programs need to find libraries, certificates and the hour.
_FROM_ETC = ("ld.so.cache", "alternatives", "ssl/certs", "ssl/openssl.cnf", "pki/tls/certs", "localtime", "mime.types")
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# Inside, because the kernel counts processes of a user by name space; `-u` is bash's, `-p` dash's.
_CAP_PROCESSES = 'ulimit -u "$0" 2>/dev/null || ulimit -p "$0"; exec "$@"'


class Bubblewrap:
    """A Sandbox."""

    def __init__(self, kind: Kind, egress: Egress | None = None) -> None:
        self._kind, self._egress, self._program = kind, egress, shutil.which("bwrap") or ""

    def facts(self) -> Facts:
        missing = [WATCHED] if self._kind == "none" else []
        missing += [] if caps_processes() else ["processes: watched each 50 ms (the kernel is older than 5.14)"]
        missing += [] if platform.machine() in seccomp.MACHINES else ["no filter of system calls for this processor"]
        return Facts("bubblewrap", 1, tuple(missing))

    async def check(self) -> tuple[str, ...]:
        return await inside(self)

    async def run(self, job: Job) -> Outcome:
        if not self._program or (job.hosts and self._egress is None):
            raise SandboxUnavailable("bubblewrap is not installed, or a job wants hosts and there is no way out.")
        folder = job.folder.resolve(strict=True) if job.folder is not None else None
        with protect(folder, job.protected) as walls, lent(folder) as uid, Scratch(uid) as scratch:
            way_out = (
                self._egress(job.hosts, scratch.path / "egress.sock") if self._egress and job.hosts else nullcontext()
            )
            async with way_out as door:
                if door is not None and uid is not None:
                    os.chown(door, uid, uid)
                return await execute(self.render(job, walls, scratch, door), job, self._kind)

    def render(self, job: Job, walls: Walls, scratch: Scratch, door: Path | None) -> Plan:
        """The plan of a run."""
        options: list[Any] = [*isolation(scratch.uid or os.getuid()), *system()]
        for place in job.readable:
            options += ["--ro-bind", scratch.reach(place), str(place)]
        options += _writable(job, walls, scratch)
        command: Sequence[str] = job.argv
        if door is not None:
            options += ["--ro-bind", scratch.reach(door), DOOR]
            options += ["--ro-bind-data", Path(__file__).with_name("forward.py").read_bytes(), FORWARDER]
            program, home = python()
            for place in home:
                options += ["--ro-bind", scratch.reach(place), str(place)]
            command = (program, "-I", "-S", FORWARDER, str(PROXY_PORT), DOOR, *command)
        options += [*READ_ONLY, "--chdir", WORK]
        for name, value in (job_environment(job, WORK, "/tmp", door is not None)).items():  # nosec B108 # a place inside the walls, on a file system of its own
            options += ["--setenv", name, value]
        if caps_processes():
            # Where a cgroup holds it, the cgroup shall be what refuses: it tells. This counts bubblewrap's inner process too.
            most = job.limits.processes + (1 if self._kind == "none" else 9)
            command = ("/bin/sh", "-c", _CAP_PROCESSES, str(most), *command)
        code = seccomp.program(1) if platform.machine() in seccomp.MACHINES else b""
        options += ["--seccomp", code] if code else []
        return Plan(
            (self._program, "--json-status-fd", None, "--args", options, "--", *command),
            limits=resource_limits(job.limits),
            uid=scratch.uid,
            staged=tuple(scratch.staged),
            watched=(job.folder,) if job.folder else (),
        )


def isolation(uid: int) -> list[str]:
    """The options that give a job its own view of everything."""
    return ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
            "--disable-userns", "--die-with-parent", "--new-session", "--hostname", "sandbox", "--uid", str(uid),
            "--gid", str(uid)]  # fmt: skip


def system() -> list[str]:
    """The options for the parts of the system that every job sees."""
    found = ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        place = Path("/", name)
        if place.is_symlink():
            found += ["--symlink", str(place.readlink()), str(place)]
        elif place.is_dir():
            found += ["--ro-bind", str(place), str(place)]
    for name in _FROM_ETC:
        found += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    found += ["--proc", "/proc", "--dev", "/dev", "--size", str(SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm"]  # nosec B108 # a place inside the walls, on a file system of its own
    return [*found, "--size", str(TEMPORARY_BYTES), "--tmpfs", "/tmp"]  # nosec B108 # a place inside the walls, on a file system of its own


# The folder /work: the job's own with its protected names closed, or an empty one in memory with a size.
def _writable(job: Job, walls: Walls, scratch: Scratch) -> list[Any]:
    if job.folder is None:
        found: list[Any] = ["--size", str(job.limits.disk_bytes), "--tmpfs", WORK]
        for name, content in job.files.items():
            found += ["--file", content, f"{WORK}/{name}"]
        return found
    place = scratch.reach(job.folder)
    found = ["--bind", place, WORK]
    for name in walls.fixed:
        found += ["--bind", f"{place}/{name}", f"{WORK}/{name}"]
    for name in walls.closed:
        found += ["--ro-bind", f"{place}/{name}", f"{WORK}/{name}"]
    return found


def job_environment(job: Job, folder: str, temporary: str, proxied: bool) -> dict[str, str]:
    """All that a job finds in its environment."""
    found = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder, "TMPDIR": temporary, "LANG": "C.UTF-8"}
    if proxied:
        address = f"http://127.0.0.1:{PROXY_PORT}"
        found |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), address)
    return found | dict(job.environment)


def python(tier: int = 1) -> tuple[str, tuple[Path, ...]]:
    """A Python to run inside, and what a job must be able to read for it: our own, without its environment's packages;
    in tier 2 the system's if the job's user does not reach ours."""
    home = Path(sys.base_prefix).resolve()
    if tier == 2 and os.geteuid() == 0 and not all(place.stat().st_mode & 1 for place in (home, *home.parents)):
        return shutil.which("python3", path="/usr/bin:/usr/local/bin") or "/usr/bin/python3", ()
    program = home / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return str(program), () if home.is_relative_to("/usr") else (home,)


def caps_processes() -> bool:
    """Whether this kernel counts processes by name space (5.14 and newer)."""
    release = platform.release().split(".")
    return sys.platform == "linux" and (int(release[0]), int(release[1].split("-")[0])) >= (5, 14)
