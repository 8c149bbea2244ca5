"""One run, from the plan that a plug drew up to its outcome: spawn, feed, read, watch, end.

    starting -> running -> ended by itself
                       \\-> ending (a limit, or cancelled) -> ended

Promises: at most `output_bytes` of each stream are kept, and a job that writes 64 times as much is ended; a job is ended with
its whole tree, and `execute` returns when the tree is gone; what the job writes is never obeyed. If the daemon dies, the
kernel ends bubblewrap with all in it, or the guard of tier 2 (`launcher.py`) ends what it adopted.
Does not cover: what stands in the plan (`bubblewrap.py`, `landlock.py`). Call it on the loop of a thread that lives as long as
the daemon: the kernel ends the job when the spawning *thread* ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import marshal
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from homefire.errors import InvalidRequest, SandboxUnavailable
from homefire.sandbox.cgroup import Group, Kind
from homefire.sandbox.sandbox import EndedBy, Job, Limits, Outcome

LAUNCHER = Path(__file__).with_name("launcher.py")
POLL_SECONDS, GONE_SECONDS, FLOOD = 0.05, 2.0, 64
MOST_ENTRIES = 50_000  # files in a job's folder
_lent: dict[Path, tuple[int, int]] = {}  # folders in use by runs of a root daemon: the user, how many runs
_STRANGERS = 1_900_000_000  # user ids from here on belong to nobody: each run of a root daemon gets one of its own


@dataclass(frozen=True, slots=True)
class Plan:
    """What `launcher.py` carries out. `argv` may hold values that become descriptors there; `staged` are (what, where) mounts;
    what `watched` folders grow counts as disk; `guard` is tier 2's."""

    argv: tuple[Any, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = "/"
    limits: Mapping[str, int] = field(default_factory=dict)
    uid: int | None = None
    staged: tuple[tuple[str, str], ...] = ()
    landlock: Mapping[str, Any] | None = None
    filter: bytes = b""
    guard: bool = False
    tied: bool = True
    watched: tuple[Path, ...] = ()

    def packed(self, cgroups: Sequence[str], status: int, line: int) -> bytes:
        """The plan as the launcher reads it."""
        own = {"watched": None, "parent": os.getpid(), "cgroups": list(cgroups), "status": status, "line": line}
        return marshal.dumps(asdict(self) | own)


class Scratch:
    """A run's own folder, outside of the job's reach but for what is in `work`; and, for a daemon that is root, the places where
    another user reaches what the job may see. Removed when its block ends."""

    def __init__(self, uid: int | None) -> None:
        self.uid, self.staged = uid, list[tuple[str, str]]()
        place = "/run" if uid is not None and os.access("/run", os.W_OK) else None
        self.path = Path(tempfile.mkdtemp(prefix="homefire-", dir=place))
        self.path.chmod(0o711 if uid is not None else 0o700)

    def folder(self, files: Mapping[str, bytes]) -> Path:
        """An empty folder with these files, the job's own."""
        made = self.path / "work"
        made.mkdir(mode=0o700)
        for name, content in files.items():
            (made / name).write_bytes(content)
        return made

    def reach(self, what: Path) -> str:
        """Where the job's user finds `what`. Raises OSError if it is not there."""
        what = what.resolve(strict=True)
        if self.uid is None:
            return str(what)
        where = self.path / f"at-{len(self.staged)}"
        where.mkdir() if what.is_dir() else where.touch()
        self.staged.append((str(what), str(where)))
        return str(where)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(
            self.path, ignore_errors=True
        )  # the mounts were in the job's own view of files, and are gone with it


@contextlib.contextmanager
def lent(folder: Path | None) -> Iterator[int | None]:
    """A user id for one run, if we are root, whom the kernel lets do too much; else None: our own will do. The folder is that
    user's
    as long as the block lasts; a second run in it meanwhile gets the same user."""
    if os.geteuid() != 0 or folder is None:
        yield _STRANGERS + secrets.randbelow(90_000_000) if os.geteuid() == 0 else None
        return
    if any(folder in other.parents or other in folder.parents for other in _lent):
        raise InvalidRequest(f"Another run works above or below {folder}.", "Wait for its end.", param="folder")
    uid, runs = _lent.get(folder, (_STRANGERS + secrets.randbelow(90_000_000), 0))
    _lent[folder] = uid, runs + 1
    try:
        if not runs:  # never while a job is in there: it could put a link in the way of what is given
            give(folder, uid)
        yield uid
    finally:
        uid, runs = _lent.pop(folder)
        if runs > 1:
            _lent[folder] = uid, runs - 1
        else:
            give(folder, 0)


def give(folder: Path, uid: int) -> None:
    """Makes a folder and what is in it a user's, but for other names of files elsewhere (hard links)."""
    for top, folders, files in os.walk(folder):
        for place in (Path(top), *(Path(top) / name for name in (*folders, *files))):
            status = place.lstat()
            if place.is_dir() or status.st_nlink == 1:
                os.chown(place, uid, uid, follow_symlinks=False)


def resource_limits(limits: Limits) -> dict[str, int]:
    """As the kernel keeps them for each process: the last line where nothing counts the whole."""
    return {"RLIMIT_AS": 2 * limits.memory_bytes, "RLIMIT_CPU": limits.cpu_seconds + 1, "RLIMIT_FSIZE": limits.file_bytes,
            "RLIMIT_NOFILE": limits.open_files, "RLIMIT_CORE": 0, "RLIMIT_MEMLOCK": 65536}  # fmt: skip


async def execute(plan: Plan, job: Job, kind: Kind) -> Outcome:
    """Carries a plan out. Raises SandboxUnavailable if the walls could not be put up; then nothing ran."""
    group = Group(kind, job.limits)
    try:
        return await _Run(plan, job, group).whole()
    finally:
        await asyncio.to_thread(group.close)


class _Run:
    def __init__(self, plan: Plan, job: Job, group: Group) -> None:
        self._plan, self._job, self._group = plan, job, group
        self._ended_by: EndedBy = ""
        self._full = False
        self._kept = {"stdout": bytearray(), "stderr": bytearray()}
        self._seen = {"stdout": 0, "stderr": 0}
        self._status: dict[str, Any] = {}
        self._ending: asyncio.Task[None] | None = None

    async def whole(self) -> Outcome:
        began = time.monotonic()
        self._process = await self._spawn()
        tasks = [asyncio.ensure_future(self._read(name)) for name in self._kept]
        tasks += [asyncio.ensure_future(self._feed()), asyncio.ensure_future(self._watch())]
        try:
            try:
                async with asyncio.timeout(self._job.limits.wall_seconds):
                    await asyncio.shield(self._process.wait())
            except TimeoutError:
                self._end("wall")
            if self._ending is not None:
                await asyncio.shield(self._ending)
            await asyncio.wait(tasks[:2], timeout=1)
            self._note(await asyncio.to_thread(self._group.usage, self._process.pid))
        except BaseException:  # cancelled: the tree goes first
            self._end("")
            assert self._ending is not None
            await asyncio.shield(self._ending)
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._hear()
            os.close(self._ear)
            self._close_line()
        return self._outcome(time.monotonic() - began)

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._ear, mouth = os.pipe()
        line, self._line = os.pipe()
        os.set_blocking(self._ear, False)
        held = os.memfd_create("homefire-plan")
        try:
            os.pwritev(held, [self._plan.packed(self._group.doors, mouth, line)], 0)
            pipe = asyncio.subprocess.PIPE
            return await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(LAUNCHER), str(held), stdin=pipe, stdout=pipe, stderr=pipe, env={}, cwd="/",
                pass_fds=(held, mouth, line), start_new_session=True,
            )  # fmt: skip
        finally:
            for descriptor in (held, mouth, line):
                os.close(descriptor)

    async def _feed(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(self._job.stdin)
            await self._process.stdin.drain()
        self._process.stdin.close()

    async def _read(self, name: str) -> None:
        pipe = self._process.stdout if name == "stdout" else self._process.stderr
        assert pipe is not None
        most = self._job.limits.output_bytes
        while piece := await pipe.read(65536):
            self._seen[name] += len(piece)
            self._kept[name] += piece[: max(0, most - len(self._kept[name]))]
            if self._seen[name] > FLOOD * max(most, 4096):
                self._end("output")

    async def _watch(self) -> None:
        before = await asyncio.to_thread(_size, self._plan.watched)
        while True:
            await asyncio.sleep(POLL_SECONDS)
            self._note(await asyncio.to_thread(self._group.usage, self._process.pid))
            if await asyncio.to_thread(_size, self._plan.watched) - before > self._job.limits.disk_bytes:
                self._end("disk")

    # Judges what the job takes.
    def _note(self, found: Any) -> None:
        limits, ours = self._job.limits, 1 if self._plan.guard else 2
        self._full = self._full or found.out_of_processes or found.processes - ours >= limits.processes
        if found.out_of_memory or (self._group.kind == "none" and found.memory > limits.memory_bytes):
            self._end("memory")
        elif found.cpu_seconds > limits.cpu_seconds:
            self._end("cpu")
        elif found.processes - ours > limits.processes:
            self._end("processes")

    def _end(self, why: EndedBy) -> None:
        if self._ending is None:
            self._ended_by = why
            self._ending = asyncio.ensure_future(self._end_tree())
        elif not self._ended_by:
            self._ended_by = why

    async def _end_tree(self) -> None:
        self._close_line()
        self._group.kill()
        if self._plan.guard:  # it ends the tree; only if it does not is it ended itself
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GONE_SECONDS):
                    await asyncio.shield(self._process.wait())
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        self._hear()
        deadline = time.monotonic() + GONE_SECONDS
        while _lives(self._status.get("child-pid")) and time.monotonic() < deadline:  # noqa: ASYNC110  the kernel sets no event
            await asyncio.sleep(0.002)

    def _close_line(self) -> None:
        if self._line >= 0:
            os.close(self._line)
            self._line = -1

    # What bubblewrap, or the guard, said. The job itself cannot write there.
    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError, ValueError):
            for line in os.read(self._ear, 65536).splitlines():
                self._status |= json.loads(line)

    def _outcome(self, seconds: float) -> Outcome:
        code, number = self._status.get("exit-code"), self._status.get("signal")
        out, err = (bytes(self._kept[name]) for name in ("stdout", "stderr"))
        if (code is None and number is None) or "failed" in self._status:
            if self._ending is None or "failed" in self._status:
                why = self._status.get("failed") or err.decode("utf-8", "replace").strip()[-300:] or "it ended early"
                raise SandboxUnavailable(f"The sandbox could not be put up: {why}")
            number = int(signal.SIGKILL)
        if code is not None and 128 < code <= 192:
            number, code = code - 128, None
        ended_by = self._ended_by
        if not ended_by and code != 0:
            ended_by = "cpu" if number == signal.SIGXCPU else "disk" if number == signal.SIGXFSZ else ""
            ended_by = ended_by or ("processes" if self._full else "")
        cut = {name: self._seen[name] > len(self._kept[name]) for name in self._kept}
        return Outcome(code, number, out, err, cut["stdout"], cut["stderr"], ended_by, seconds, self._group.peak)


# Whether the first process of bubblewrap's tree is there: the kernel lets it end only after all others of its name space.
def _lives(pid: int | None) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# What folders take on the disk; more than any limit if it holds too many files to count.
def _size(folders: Sequence[Path]) -> int:
    total, count, waiting = 0, 0, list(folders)
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                count += 1
                with contextlib.suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
        if count > MOST_ENTRIES:
            return 2**60
    return total
