"""One child process: spawn, ready, ended.

    new -> starting -> ready -> ended
                 \\-> ended (failed to become ready)

| call    | new            | starting         | ready            | ended            |
|---------|----------------|------------------|------------------|------------------|
| start() | spawns, waits  | error            | error            | error            |
| stop()  | nothing        | ends it          | ends it          | nothing          |
| abort() | error          | ends it          | ends it, a crash | nothing          |
| wait()  | error          | waits for the end| waits for the end| returns at once  |

Promises: `start` returns when the child has said it is ready, or raises EngineFailed with the last lines of its log within
`ready_seconds`; after `stop`, and after any other end, there is no process of its group left (on Windows: of it); secrets go
through the environment given, never the command line; the observer hears of each time it is ready and each end that nobody
asked for.
Does not cover: starting again (`Backoff` says when, the owner does it), when it hangs (`watchdog.py`), processes that leave its
group.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from homefire.errors import EngineFailed, MachineError
from homefire.supervision import crash_dumps
from homefire.supervision.record import INHERITED, Exit, exit_code, rotate

State = Literal["new", "starting", "ready", "ended"]
LOG_TAIL = 2000
_KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL


class Observer(Protocol):
    """Hears of children, by their labels, on the event loop; it must not block."""

    def ready(self, label: str) -> None:
        """It is ready."""
        ...

    def crashed(self, label: str, ended: Exit) -> None:
        """It ended and nobody asked for that."""
        ...


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run. `argv` without a shell; `log` receives all that it prints; `label` is what the observer knows it by; in
    `dumps` it may leave the dump of a crash, which then goes beside the log (None: there at once)."""

    name: str
    argv: tuple[str, ...]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    ready_seconds: float = 60.0
    grace_seconds: float = 5.0
    label: str = ""
    observer: Observer | None = None
    dumps: Path | None = None


class Child:
    """See the table above. Made and used on one event loop, which must be the main thread's: the kernel's parent-death
    signal fires when the spawning *thread* ends."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.state: State = "new"
        self.facts: dict[str, Any] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._waiter: asyncio.Task[Exit] | None = None
        self._stopping = False
        self._why = ""
        self._was_ready = False
        self._started = 0.0
        self._crash_file = crash_dumps.beside(spec.log)
        self._dump = self._crash_file if spec.dumps is None else spec.dumps / self._crash_file.name

    @property
    def pid(self) -> int | None:
        """The process id while there is one."""
        return self._process.pid if self._process is not None and self.state != "ended" else None

    async def start(self) -> dict[str, Any]:
        """Spawns the child and waits until it is ready; returns the facts it gave. Raises EngineFailed."""
        if self.state != "new":
            raise RuntimeError(f"{self.spec.name} was started already")
        self.state = "starting"
        self._started = time.monotonic()
        self._process = await self._spawn()
        self._waiter = asyncio.create_task(self._reap(self._process))
        if self._stopping:  # asked for while it was being spawned, when there was nothing to stop yet
            await self.stop()
            raise self._failure("was stopped before it was ready")
        try:
            async with asyncio.timeout(self.spec.ready_seconds):
                self.facts = await self._first_word(self._process)
        except TimeoutError:
            failure = self._failure(f"was not ready within {self.spec.ready_seconds:g} s")
            await self.stop()
            raise failure from None
        except BaseException:
            await self.stop()
            raise
        self.state = "ready"
        self._was_ready = True
        if self.spec.observer is not None:
            self.spec.observer.ready(self.spec.label)
        return self.facts

    async def wait(self) -> Exit:
        """Waits for the end, however it comes."""
        if self._waiter is None:
            raise RuntimeError(f"{self.spec.name} was never started")
        return await asyncio.shield(self._waiter)

    async def stop(self) -> None:
        """Ends the child: SIGTERM, after the grace SIGKILL. Returns when the process is gone."""
        self._stopping = self._stopping or self.state != "new"
        await self._end(signal.SIGTERM)

    async def abort(self, why: str) -> None:
        """Ends a child that no longer works, so that it may leave a trace: SIGABRT, after the grace SIGKILL. It counts as a
        crash, told in the words `why`."""
        if self._waiter is None:
            raise RuntimeError(f"{self.spec.name} was never started")
        if not self._stopping:
            self._why = self._why or why
        await self._end(signal.SIGABRT)

    async def _end(self, politely: signal.Signals) -> None:
        if self._process is None or self._waiter is None:
            return
        self._signal(politely)
        done, _ = await asyncio.wait({self._waiter}, timeout=self.spec.grace_seconds)
        if not done:
            self._signal(_KILL)
            await asyncio.wait({self._waiter})

    def _signal(self, number: signal.Signals) -> None:
        """To its whole group, which nobody else is in: it leads a session of its own."""
        assert self._process is not None
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._process.terminate()
            else:
                os.killpg(self._process.pid, number)

    async def _spawn(self) -> asyncio.subprocess.Process:
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | self.spec.environment
        environment[crash_dumps.VARIABLE] = str(self._dump)
        flags: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if sys.platform == "win32"
            else {"start_new_session": True}  # Ctrl-C in the terminal is for the daemon; it ends its children itself
        )
        try:
            rotate(self.spec.log)
            with self.spec.log.open("ab") as log:
                return await asyncio.create_subprocess_exec(
                    *self.spec.argv,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    **flags,
                )
        except OSError as problem:
            self.state = "ended"
            raise MachineError(f"{self.spec.name} could not be started: {problem}.") from None

    async def _reap(self, process: asyncio.subprocess.Process) -> Exit:
        code = exit_code(await process.wait())
        self.state = "ended"
        crash_dumps.ended(self._dump, self._crash_file)
        if sys.platform != "win32":  # what it started, if it died before it could end that itself
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        expected = self._stopping and not self._why
        ended = Exit(code, expected, time.monotonic() - self._started, self._was_ready, self._why)
        if not expected and self.spec.observer is not None:
            self.spec.observer.crashed(self.spec.label, ended)
        return ended

    async def _first_word(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        assert process.stdout is not None
        try:
            line = await process.stdout.readline()
            word = json.loads(line) if line else None
        except ValueError:  # not JSON, not UTF-8, or a line without end
            raise self._failure("did not speak the protocol when it started") from None
        if word is None:
            ended = await self.wait()
            raise self._failure(ended.describe() + " before it was ready")
        match word:
            case {"failed": why}:
                raise self._failure(f"could not start: {why}")
            case {"ready": dict() as facts}:
                return facts
        raise self._failure("did not speak the protocol when it started")

    def _failure(self, what: str) -> EngineFailed:
        if not self._stopping:
            self._why = self._why or what
        tail = log_tail(self.spec.log)
        said = f" It last said: {tail.splitlines()[-1]}" if tail else ""
        return EngineFailed(f"{self.spec.name} {what}.{said}", f"Its log is {self.spec.log}")


def log_tail(path: Path, size: int = LOG_TAIL) -> str:
    """The last `size` bytes of a log as text, or nothing."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
