"""Sandboxes that are taken by name, never by themselves: firejail on Linux, seatbelt on macOS, a Job Object on Windows.

A Job Object limits what a job takes and ends it with us, but isolates nothing: files, network and keys stay open. So it is no
tier.
Promises: what is rendered is pure and tested; structures are those of the Windows headers (a test holds their sizes against
them).
Does not cover: having been run: firejail is a setuid program that we do not install, and no Mac and no Windows machine was there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homefire.errors import SandboxUnavailable
from homefire.sandbox.sandbox import Facts, Job, Limits, Outcome

_BASE_PROFILE = """(version 1) (deny default) (allow process-fork) (allow process-exec) (allow signal (target self)) (allow
sysctl-read) (allow file-write* (literal "/dev/null")) (allow file-read* (subpath "/usr") (subpath "/bin") (subpath "/System")
(subpath "/Library") (literal "/dev/urandom"))
"""
_MISSING = ("memory of the whole", "disk", "no list of hosts", "protected names", "processes that leave the session")


def firejail(job: Job, folder: Path) -> list[str]:
    """Firejail's command line."""
    limits = job.limits
    return ["firejail", "--quiet", "--noprofile", f"--private={folder}", "--private-dev", "--private-tmp", "--net=none",
            "--caps.drop=all", "--nonewprivs", "--noroot", "--seccomp", "--ipc-namespace", "--disable-mnt", "--shell=none",
            *[f"--{rule}={place}" for place in job.readable for rule in ("whitelist", "read-only")],
            f"--rlimit-as={2 * limits.memory_bytes}", f"--rlimit-cpu={limits.cpu_seconds}", f"--rlimit-fsize={limits.file_bytes}",
            f"--rlimit-nofile={limits.open_files}", f"--rlimit-nproc={limits.processes}", "--", *job.argv]  # fmt: skip


def seatbelt(job: Job, folder: Path) -> list[str]:
    """sandbox-exec's command line, with its profile. Raises SandboxUnavailable for a path that a profile cannot hold."""
    lines = [f"(allow file-read* (subpath {_quoted(place)}))" for place in job.readable]
    lines.append(f"(allow file-read* file-write* (subpath {_quoted(folder)}))")
    limits = job.limits
    script = (f"ulimit -t {limits.cpu_seconds}; ulimit -f {limits.file_bytes // 512}; ulimit -n {limits.open_files}; "
              f'ulimit -u {limits.processes}; ulimit -c 0; exec "$@"')  # fmt: skip
    return ["/usr/bin/sandbox-exec", "-p", _BASE_PROFILE + "\n".join(lines), "/bin/sh", "-c", script, "sh", *job.argv]


class BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION"""

    _fields_ = [("process_time", ctypes.c_int64), ("job_time", ctypes.c_int64), ("flags", ctypes.c_uint32),
                ("least_set", ctypes.c_size_t), ("most_set", ctypes.c_size_t), ("processes", ctypes.c_uint32),
                ("affinity", ctypes.c_size_t), ("priority", ctypes.c_uint32), ("scheduling", ctypes.c_uint32)]  # fmt: skip


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION"""

    _fields_ = [("basic", BasicLimits), ("io", ctypes.c_uint64 * 6), ("process_memory", ctypes.c_size_t),
                ("job_memory", ctypes.c_size_t), ("peak_process", ctypes.c_size_t), ("peak_job", ctypes.c_size_t)]  # fmt: skip


def job_object(limits: Limits) -> ExtendedLimits:
    """The limits as Windows wants them: time in 100 ns; the tree ends when the handle closes (0x2000), with no dialog (0x400)."""
    basic = BasicLimits(
        job_time=limits.cpu_seconds * 10_000_000, flags=0x4 | 0x8 | 0x200 | 0x400 | 0x2000, processes=limits.processes
    )
    return ExtendedLimits(basic=basic, job_memory=limits.memory_bytes)


class Adapter:
    """A Sandbox of the system's own: "firejail" or "seatbelt"."""

    def __init__(self, name: str) -> None:
        self._name, self._render = name, {"firejail": firejail, "seatbelt": seatbelt}[name]

    def facts(self) -> Facts:
        return Facts(self._name, 2, _MISSING, tried=False)

    async def check(self) -> tuple[str, ...]:
        there = shutil.which(self._name) if self._name == "firejail" else sys.platform == "darwin"
        return () if there else ("start",)

    async def run(self, job: Job) -> Outcome:
        if await self.check() or job.hosts:
            raise SandboxUnavailable(f"{self._name} is not here, or cannot give a job a list of hosts.")
        with tempfile.TemporaryDirectory(prefix="homefire-") as made:
            folder = job.folder or Path(made).resolve()
            for name, content in job.files.items():
                (folder / name).write_bytes(content)
            return await run_plain(self._render(job, folder), folder, job)


async def run_in_job_object(job: Job, folder: Path) -> Outcome:
    """Runs a job under a Job Object alone; the caller has a person's grant. Raises SandboxUnavailable elsewhere than on
    Windows."""
    if sys.platform != "win32":
        raise SandboxUnavailable("Job Objects are part of Windows.")
    kernel: Any = ctypes.WinDLL("kernel32", use_last_error=True)
    held, limits = kernel.CreateJobObjectW(None, None), job_object(job.limits)
    if not kernel.SetInformationJobObject(held, 9, ctypes.byref(limits), ctypes.sizeof(limits)):
        raise SandboxUnavailable("Windows refused the limits.")
    try:
        return await run_plain(
            list(job.argv),
            folder,
            job,
            lambda pid: kernel.AssignProcessToJobObject(held, kernel.OpenProcess(0x101, False, pid)),
        )
    finally:
        kernel.CloseHandle(held)


async def run_plain(
    argv: list[str], folder: Path, job: Job, started: Callable[[int], object] = lambda pid: None
) -> Outcome:
    """Runs a command with a wall clock, and cuts its output afterwards; `started` is told the process id."""
    began, pipe, most = time.monotonic(), asyncio.subprocess.PIPE, job.limits.output_bytes
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **job.environment}
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, cwd=folder,
                                                   start_new_session=True)  # fmt: skip
    started(process.pid)
    try:
        async with asyncio.timeout(job.limits.wall_seconds):
            out, err = await process.communicate(job.stdin)
    except TimeoutError:
        return Outcome(None, 9, b"", b"", ended_by="wall", seconds=time.monotonic() - began)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    code, cut = process.returncode or 0, (len(out) > most, len(err) > most)
    ended, number = (None, -code) if code < 0 else (code, None)
    return Outcome(ended, number, out[:most], err[:most], cut[0], cut[1], seconds=time.monotonic() - began)


def _quoted(place: Path) -> str:
    text = str(place)
    if '"' in text or "\\" in text or not text.isprintable():
        raise SandboxUnavailable(f"A profile cannot hold this path: {text!r}")
    return f'"{text}"'
