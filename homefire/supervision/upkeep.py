"""Keeps the daemon up: a small process between `homefire up` and the daemon, which starts it again when it crashes.

Run as `python -m homefire.supervision.upkeep`. Its first line on standard output is the daemon's own (`ready` or `failed`).

    starting -> serving -> asked to stop (or the daemon was)  -> ends with 0
                   |-> crashed -> pause -> starting ...
                                    \\-> five crashes in a minute -> gave up: ends with GAVE_UP
    starting, the first time, and it fails -> ends with the daemon's status: a person is there to read why

Asked to stop means: SIGTERM or SIGINT here, or a daemon that ended with 0, or by such a signal. One upkeep a home: it holds a
lock that the kernel releases. Whoever takes no lock hands the daemon's status on and restarts nothing.
Promises: never starts a daemon after it was asked to stop, and ends, with the daemon, within seconds; what it does is in the
log of restarts and its state in `run/`; light: it loads none of the daemon.
Does not cover: a daemon that hangs; starting at log-in.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from homefire.paths import Paths, default_home
from homefire.supervision.backoff import Backoff
from homefire.supervision.record import Exit, Restart, append

GAVE_UP = 70
LOCK_TRIES = 20
# How long a daemon may take to end when it was asked to; less than `homefire down` waits.
KILL_SECONDS = 15
ASKED = {-signal.SIGTERM, -signal.SIGINT} | ({-signal.SIGHUP} if sys.platform != "win32" else set())


class Upkeep:
    """See the module's text. `program` is the daemon's command line; a daemon that was asked to end and does not is killed after
    `kill_after` seconds."""

    def __init__(self, paths: Paths, program: tuple[str, ...], kill_after: int = KILL_SECONDS) -> None:
        self._kill_after = kill_after
        self._paths = paths
        self._program = program
        self._stop = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._backoff = Backoff()
        self._environment = dict(os.environ)

    def listen(self) -> None:
        """Lets signals ask it to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        if sys.platform != "win32":
            signal.signal(signal.SIGALRM, lambda *_: self._tell(signal.SIGKILL))

    def stop(self) -> None:
        """Asks it to stop; from a signal handler."""
        self._stop.set()
        self._tell(signal.SIGTERM)
        if sys.platform != "win32":  # an alarm, because the wait for the daemon has no time limit that costs nothing
            signal.alarm(self._kill_after)

    def _tell(self, number: signal.Signals) -> None:
        if (process := self._process) is not None and process.poll() is None:
            with contextlib.suppress(OSError):
                process.send_signal(number)

    def run(self) -> int:
        """Until the end; returns the exit status."""
        word = self._start()
        _say(word)
        if word is None or "failed" in word:
            return self._wait()
        with self._lock() as held:
            while True:
                began = time.monotonic()
                if held and word is not None and "ready" in word:
                    self._write(pid=os.getpid(), ready=word["ready"])
                status = self._wait()
                if self._stop.is_set() or status == 0 or status in ASKED:
                    return 0
                if not held:
                    return status
                if not self._pause(Exit(status, False, time.monotonic() - began, self._ready(word)), word):
                    return 0 if self._stop.is_set() else GAVE_UP
                word = self._start()

    def _start(self) -> dict[str, Any] | None:
        """The daemon's first line; None if it ended without one."""
        self._process = subprocess.Popen(
            self._program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=self._environment
        )
        if self._stop.is_set():  # asked while it was being started, when there was nothing to tell yet
            self.stop()
        assert self._process.stdout is not None
        try:
            word = json.loads(self._process.stdout.readline())
        except ValueError:
            return None
        if isinstance(word, dict) and isinstance(ready := word.get("ready"), dict):
            # Where it was: a page that is open, and clients, come back to the same address.
            self._environment["HOMEFIRE_PORT"] = str(ready["url"]).rpartition(":")[2]
        return word if isinstance(word, dict) else None

    def _wait(self) -> int:
        assert self._process is not None
        return self._process.wait()

    @staticmethod
    def _ready(word: dict[str, Any] | None) -> bool:
        return word is not None and "ready" in word

    def _pause(self, ended: Exit, word: dict[str, Any] | None) -> bool:
        """Notes the crash and waits until the next start; False if there is none."""
        cause = ended.describe()
        if word is not None and "failed" in word:
            cause = f"could not start: {word['failed']['error']['message']}"
        append(
            self._paths.restarts, Restart("daemon", time.time(), cause, round(ended.ran_seconds, 3), ended.was_ready)
        )
        self._backoff.crashed(time.monotonic(), ended.ran_seconds)
        if self._backoff.broken():
            self._give_up(cause)
            return False
        self._write(pid=os.getpid(), pausing=cause)
        print(f"homefire: the daemon {cause}; it is started again.", file=sys.stderr, flush=True)
        return not self._stop.wait(self._backoff.pause())

    def _give_up(self, cause: str) -> None:
        crashes = len(self._backoff.crashes)
        message = (
            f"The daemon crashed {crashes} times within a minute and was not started again. The last time it {cause}."
        )
        self._write(gave_up=message)
        with contextlib.suppress(OSError), self._paths.daemon_log.open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')},000 CRITICAL {__name__} {message}\n")

    def _write(self, **facts: Any) -> None:
        part = self._paths.upkeep.with_suffix(".new")
        with contextlib.suppress(OSError):
            part.write_text(json.dumps(facts), "utf-8")
            part.replace(self._paths.upkeep)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[bool]:
        """Holds the lock of this home's upkeep; whether it could be had."""
        try:
            file = self._paths.upkeep_lock.open("a+b")
        except OSError:
            yield False
            return
        with file:
            # Who looks whether somebody holds it holds it for a moment, too.
            held = any(_try_lock(file.fileno()) or self._stop.wait(0.1) for _ in range(LOCK_TRIES))
            held = held and not self._stop.is_set()
            yield held
            if held and not self._gave_up():
                with contextlib.suppress(OSError):
                    self._paths.upkeep.unlink(missing_ok=True)

    def _gave_up(self) -> bool:
        return self._backoff.broken() and not self._stop.is_set()


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _say(word: dict[str, Any] | None) -> None:
    """Hands the first line on, then lets go of the pipe, which nobody reads any more."""
    with contextlib.suppress(OSError):
        if word is not None:
            sys.stdout.write(json.dumps(word) + "\n")
            sys.stdout.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def main() -> int:
    """Entry point."""
    upkeep = Upkeep(Paths(default_home()), (sys.executable, "-m", "homefire.daemon"))
    upkeep.listen()
    return upkeep.run()


if __name__ == "__main__":
    sys.exit(main())
