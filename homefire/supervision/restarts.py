"""The log of restarts as the daemon keeps it, and the hook that a person may set.

The hook runs after a restart, without a shell, with the facts as JSON on its standard input.
Promises: nothing here raises, whatever the disk or the hook does; a hook ends within its limit, with all that it started.
Does not cover: the file (`record.py`), when a child is started again (`backoff.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from homefire.supervision.record import INHERITED, KEPT, Exit, Restart, append, read, rotate

log = logging.getLogger(__name__)

HOOK_SECONDS = 30.0


class Restarts:
    """The daemon's view of the file, and an Observer of its children. Used on one event loop."""

    def __init__(self, file: Path, hook: Hook | None = None, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._hook = hook
        self._clock = clock
        self._rows: list[Restart] = []
        self._away: dict[str, Restart] = {}
        self._counts: Counter[str] = Counter()

    def open(self) -> None:
        """Reads what earlier daemons wrote; if the last one crashed and this one takes its place, it is back now."""
        self._rows = read(self._file)
        for row in self._rows:
            if row.child == "daemon" and row.back_at is None:
                self._away["daemon"] = row
        if "daemon" in self._away:
            self.ready("daemon")

    def crashed(self, label: str, ended: Exit) -> None:
        """Observer."""
        row = Restart(label, self._clock(), ended.describe(), round(ended.ran_seconds, 3), ended.was_ready)
        self._away[label] = row
        self._counts[label] += 1
        self._rows = [*self._rows[1 - KEPT :], row]
        append(self._file, row)

    def ready(self, label: str) -> None:
        """Observer."""
        row = self._away.pop(label, None)
        if row is None:
            return
        back = replace(row, back_at=self._clock())
        self._rows = [back if each == row else each for each in self._rows]
        append(self._file, back)
        log.warning("'%s' is back after a crash: it %s", label, row.cause)
        if self._hook is not None:
            self._hook.run(back)

    def rows(self) -> list[Restart]:
        """The last crashes, the newest first."""
        return self._rows[::-1]

    def counts(self) -> dict[str, int]:
        """Crashes of each child since this daemon started."""
        return dict(self._counts)


class Hook:
    """A person's command. `log` receives what it prints."""

    def __init__(self, command: str, log: Path, seconds: float = HOOK_SECONDS) -> None:
        self._argv = shlex.split(command)
        self._log = log
        self._seconds = seconds
        self._running: set[asyncio.Task[None]] = set()

    def run(self, row: Restart) -> None:
        """Starts it and returns."""
        task = asyncio.ensure_future(self._one(row))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Ends what runs."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _one(self, row: Restart) -> None:
        try:
            rotate(self._log)
            with self._log.open("ab") as output:
                process = await asyncio.create_subprocess_exec(
                    *self._argv,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    env={name: os.environ[name] for name in INHERITED if name in os.environ},
                    start_new_session=sys.platform != "win32",
                )
        except (OSError, ValueError) as problem:
            log.warning("the restart hook could not be started: %s", problem)
            return
        try:
            async with asyncio.timeout(self._seconds):
                await process.communicate(json.dumps(asdict(row)).encode() + b"\n")
            if process.returncode:
                log.warning("the restart hook ended with status %d; see %s", process.returncode, self._log)
        except TimeoutError:
            log.warning("the restart hook took longer than %g s and was ended", self._seconds)
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """With all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
