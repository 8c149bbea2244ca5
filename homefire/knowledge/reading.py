"""The parent's side of reading: some children behind walls, files handed to them, answers in the order they come.

A file is opened here and its descriptor handed over, so a child sees the file it reads and no other. Each child has some
files ahead of it; the first without an answer is the one it works on, and the one that its death costs.
Promises: one last `Read` for each file, whatever it is or does to a child; a dead or hung child costs one file, its other
files go to the next child; memory for some megabytes of answers, because a child waits when nobody takes them; children end
with this thread (make and use a pool on the main thread: the kernel ends them when the thread that spawned them ends).
Does not cover: which files there are (`walk.py`), what becomes of texts (`ingest_child.py`). Windows: descriptors cannot be
handed over there, and there are no walls.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from homefire.errors import MachineError, PackageMissing
from homefire.knowledge.reader import MIB, Bounds, Signed
from homefire.knowledge.reader_wire import Answer, Ask, Done, Frames, Part, Ready, Rules, answers, send_ask
from homefire.knowledge.walk import Found
from homefire.sandbox.wrap import confined
from homefire.supervision.record import INHERITED, exit_code

# Files and bytes that a child has ahead of it; one file may be larger than that alone.
AHEAD, AHEAD_BYTES = 8, 16 * MIB
# Bytes of texts that are gathered for one `Read`.
GATHERED = 8 * MIB
START_SECONDS = 60.0

# Codes of what is passed over on purpose; every other is a failure.
SKIPPED = frozenset(
    {"not_text", "needs_sight", "secret_skipped", "document_empty", "not_a_file", "document_gone", "ignored"}
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one child: address space, processor time for a file (a base and more for each MiB of it), seconds without an
    answer."""

    memory_bytes: int = 1024 * MIB
    cpu_seconds: int = 30
    cpu_seconds_mib: float = 2.0
    wall_seconds: float = 120.0
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, slots=True)
class Read:
    """An answer. `status`: "part" (texts of a file that goes on), "read", "skipped", "failed": the last three end a file. A
    file whose last word is not "read" counts as not read, whatever texts came before. `first`: nothing that came of this file
    before counts (it changed and is read anew). `digest`: blake2b-256 of the file's bytes. `size`, `mtime_ns`: of the file
    that was read."""

    path: bytes
    status: str
    code: str = ""
    message: str = ""
    size: int = 0
    mtime_ns: int = 0
    digest: bytes = b""
    kind: str = ""
    language: str = ""
    texts: tuple[Signed, ...] = ()
    first: bool = True


class _Job:
    """One file under way."""

    def __init__(self, found: Found, descriptor: int) -> None:
        self.found, self.descriptor, self.tries = found, descriptor, 1
        self.status = os.fstat(descriptor)
        self.first, self.texts, self.gathered, self.given = True, list[Signed](), 0, 0

    def changed(self) -> bool:
        """Whether the file is another than when it was opened."""
        now, then = os.fstat(self.descriptor), self.status
        return (now.st_size, now.st_mtime_ns, now.st_ctime_ns) != (then.st_size, then.st_mtime_ns, then.st_ctime_ns)

    def again(self) -> None:
        """Forgets what was read."""
        self.status, self.first, self.texts, self.gathered, self.given = os.fstat(self.descriptor), True, [], 0, 0

    def answer(self, status: str, code: str = "", message: str = "", done: Done | None = None) -> Read:
        texts = tuple(self.texts) if status in ("read", "part") else ()
        made = Read(
            self.found.path, status, code, message, self.status.st_size, self.status.st_mtime_ns, done.digest if done else b"",
            done.kind if done else "", done.language if done else "", texts, self.first,
        )  # fmt: skip
        self.first, self.texts, self.gathered = False, [], 0
        return made


class _Child:
    """One process and the files it has ahead."""

    def __init__(self, rules: Rules, walled: bool) -> None:
        self.jobs: deque[_Job] = deque()
        self.frames: Frames[Answer] = Frames(answers)
        self.ready, self.dead, self.fault, self.waited = False, False, "", 0.0
        self.channel, far = socket.socketpair()
        self._said = tempfile.TemporaryFile()
        given = msgspec.json.encode(
            msgspec.structs.replace(rules, channel=far.fileno(), plain_only=not walled)
        ).decode()
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
            "OPENBLAS_NUM_THREADS": "1"
        }
        argv: tuple[str, ...] = (sys.executable, "-m", "homefire.knowledge.reader_child", given)
        kept: tuple[int, ...] = (far.fileno(),)
        try:
            with contextlib.ExitStack() as block:
                if walled:
                    argv, more = block.enter_context(confined(argv, ()))
                    kept += more["pass_fds"]
                self.process = subprocess.Popen(
                    argv, stdin=subprocess.PIPE, stdout=self._said, stderr=self._said, env=environment, pass_fds=kept,
                    start_new_session=True,
                )  # fmt: skip
        except OSError:
            self.channel.close()
            self._said.close()
            raise
        finally:
            far.close()
        self.channel.setblocking(False)

    @property
    def ahead(self) -> int:
        return sum(job.status.st_size for job in self.jobs)

    def takes(self, size: int) -> bool:
        """Whether one more file may be handed to it."""
        return not self.dead and (not self.jobs or (len(self.jobs) < AHEAD and self.ahead + size <= AHEAD_BYTES))

    def hand(self, number: int, job: _Job) -> bool:
        """False: it is dead, and its end will be seen when it is listened to."""
        name = job.found.path.rpartition(b"/")[2].decode("utf-8", "replace")
        if self.process.poll() is not None:
            self.dead = True
            return False
        try:
            send_ask(self.channel, Ask(number, name), job.descriptor)
        except OSError:
            self.dead = True
            return False
        self.jobs.append(job)
        return True

    def end(self) -> int:
        """Ends it and tells its exit code. Closing its input reaches what the signal does not."""
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        code = exit_code(self.process.wait())
        self.channel.close()
        self._said.close()
        return code

    def died(self) -> tuple[int, str]:
        """Its exit code, after its socket ended by itself, and what it said last."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        size = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size - 2000))
        said = self._said.read().decode("utf-8", "replace").strip()
        return self.end(), said


class Pool:
    """Some children. Use it as a context, on the main thread."""

    def __init__(
        self,
        root: Path,
        *,
        children: int = 2,
        limits: Limits | None = None,
        walls: bool = True,
        plain_without: bool = False,
    ) -> None:
        """`walls` False: this machine has none; then nothing is read, or with `plain_without` what needs no foreign parser."""
        limits = limits or Limits()
        self._limits, self._count = limits, children
        self._walled = walls and sys.platform == "linux" and shutil.which("bwrap") is not None
        self._plain_without = plain_without and sys.platform != "win32"
        self._rules = Rules(-1, limits.bounds, limits.memory_bytes, limits.cpu_seconds, limits.cpu_seconds_mib)
        self._root = root if root.is_dir() else root.parent
        self._children: list[_Child] = []
        self._number = 0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the children and lets go of their files."""
        for child in self._children:
            child.end()
            for job in child.jobs:
                os.close(job.descriptor)
        self._children.clear()

    @property
    def pids(self) -> list[int]:
        """The processes that are there now."""
        return [child.process.pid for child in self._children]

    def read(self, files: Iterable[Found]) -> Iterator[Read]:
        """Reads them; answers come in no certain order, at least one a file. Breaking it off ends the children.

        Raises MachineError when no child can be started, PackageMissing when what children need is not installed."""
        if not self._walled and not self._plain_without:
            yield from (_refused(found, "sandbox_unavailable") for found in files)
            return
        source, over, done = iter(files), False, False
        waiting: deque[_Job] = deque()
        try:
            while True:
                while not over and (not waiting) and self._room():
                    found = next(source, None)
                    if found is None:
                        over = True
                        break
                    opened = self._opened(found)
                    if isinstance(opened, Read):
                        yield opened
                        continue
                    waiting.append(opened)
                    self._hand(waiting)
                self._hand(waiting)
                busy = [child for child in self._children if child.jobs or child.dead]
                if not busy and not waiting and over:
                    done = True
                    return
                yield from self._listen(busy, waiting)
        finally:
            for job in waiting:
                os.close(job.descriptor)
            if not done:  # nobody will hear what is under way
                self.close()

    def _room(self) -> bool:
        return len(self._children) < self._count or any(child.takes(0) for child in self._children)

    def _hand(self, waiting: deque[_Job]) -> None:
        """Gives waiting files to children that take them, the least busy first; starts a child where one is missing."""
        while waiting:
            size = waiting[0].status.st_size
            takers = [child for child in self._children if child.takes(size)]
            idle = any(not child.jobs for child in takers)
            if not idle and len(self._children) < self._count:
                takers.append(self._start())
            if not takers:
                return
            child = min(takers, key=lambda each: (each.ahead, len(each.jobs)))
            self._number += 1
            if child.hand(self._number, waiting[0]):
                waiting.popleft()

    def _start(self) -> _Child:
        try:
            child = _Child(self._rules, self._walled)
        except OSError as problem:
            raise MachineError(f"A child that reads could not be started: {problem}.") from None
        self._children.append(child)
        return child

    def _opened(self, found: Found) -> _Job | Read:
        place = os.path.join(os.fsencode(self._root), found.path)  # noqa: PTH118 # bytes, which Path does not take
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return _refused(found, "document_gone")
        except OSError as problem:
            return _refused(found, "document_unreadable", problem.strerror or "")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return _refused(found, "not_a_file")
        return _Job(found, descriptor)

    def _listen(self, busy: list[_Child], waiting: deque[_Job]) -> Iterator[Read]:
        """What came within a second, or as soon as something came."""
        before = time.monotonic()
        poll = select.poll()
        for child in busy:
            poll.register(child.channel, select.POLLIN)
        there = {descriptor for descriptor, _ in poll.poll(1000)}
        passed = time.monotonic() - before
        for child in busy:
            if child.channel.fileno() in there:
                yield from self._hear(child, waiting)
                continue
            child.waited += passed
            limit = self._limits.wall_seconds if child.ready else max(START_SECONDS, self._limits.wall_seconds)
            if child.waited > limit:
                yield from self._lost(child, waiting, ("document_too_slow", f"No answer came for {limit:.0f} s."))

    def _hear(self, child: _Child, waiting: deque[_Job]) -> Iterator[Read]:
        try:
            some = child.channel.recv(MIB)
        except BlockingIOError:
            return
        except OSError:
            some = b""
        if not some:
            yield from self._lost(child, waiting, None)
            return
        child.waited = 0.0
        try:
            said: list[Answer] = child.frames.add(some)
        except ValueError:  # what no reader of ours says: the child is no longer what was started
            yield from self._lost(child, waiting, ("document_broken", "Its reader answered nonsense and was ended."))
            return
        for answer in said:
            if isinstance(answer, Ready):
                child.ready, child.fault = True, answer.fault
            elif not child.jobs:
                continue
            elif isinstance(answer, Part):
                job = child.jobs[0]
                job.texts.append(answer.text)
                size = len(answer.text.text.data)
                job.gathered, job.given = job.gathered + size, job.given + size
                if job.gathered >= GATHERED:
                    yield job.answer("part")
            else:
                yield from self._finished(child.jobs.popleft(), answer, waiting)

    def _finished(self, job: _Job, done: Done, waiting: deque[_Job]) -> Iterator[Read]:
        if job.changed() and job.tries < 2:
            job.tries += 1
            job.again()
            waiting.append(job)
            return
        if job.changed():
            yield job.answer("failed", "document_changed", "It changed while it was read, twice.", done)
        elif done.code:
            yield job.answer("skipped" if done.code in SKIPPED else "failed", done.code, done.message, done)
        else:
            yield job.answer("read", done=done)
        os.close(job.descriptor)

    def _lost(self, child: _Child, waiting: deque[_Job], why: tuple[str, str] | None) -> Iterator[Read]:
        """The end of a child: charged to the file it had, or to the machine if it never stood."""
        self._children.remove(child)
        code, said = child.died() if why is None else (child.end(), "")
        jobs = list(child.jobs)
        if not child.ready and why is None:
            for job in jobs:
                os.close(job.descriptor)
            raise MachineError(f"A child that reads did not start (status {code}). {said[-500:]}")
        if child.fault:
            for job in jobs:
                os.close(job.descriptor)
            raise PackageMissing(child.fault)
        if jobs:
            job = jobs.pop(0)
            yield job.answer("failed", *(why or _cause(code, said)))
            os.close(job.descriptor)
        waiting.extendleft(reversed(jobs))


def _cause(code: int, said: str) -> tuple[str, str]:
    """What a child's end says about its file."""
    if code == -signal.SIGXCPU:
        return "document_too_slow", "Reading it took more processor time than one document may."
    if code == -signal.SIGKILL or "MemoryError" in said or "out of memory" in said.lower():
        return "document_too_large", "Its reader was ended: it took too much memory, or somebody ended it."
    how = f"was killed by {signal.Signals(-code).name}" if -65 < code < 0 else f"ended with status {code}"
    return "document_broken", f"Its reader {how}."


def _refused(found: Found, code: str, message: str = "") -> Read:
    status = "skipped" if code in SKIPPED else "failed"
    return Read(found.path, status, code, message, found.size, found.mtime_ns)
