"""Fixtures that every kind of test shares: homes, real daemons, real engines.

Nothing near is faked: a `daemon` is `homefire up --detach` on a home of its own with the pilot, and is ended by pid.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homefire.client import Homefire
from homefire.engines.engine import EngineSpec
from homefire.models.library import PILOT_FILE
from homefire.paths import ModelName, Paths

ROOT = Path(__file__).parent.parent


# What needs least runs first. The browser runs last: playwright leaves a running event loop in this thread.
ORDER = ("test_house.py", "test_tiny.py", "null", "contract", "process", "chaos", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts the tests by what they need, each file as it stands."""

    def place(item: pytest.Item) -> int:
        first = item.path.relative_to(ROOT / "tests").parts[0]
        return ORDER.index(first) if first in ORDER else len(ORDER)

    items.sort(key=place)


class RunningDaemon:
    """A real daemon on a home of its own."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.paths = Paths(home)
        # Nothing of the person's own settings gets in.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMEFIRE_")}
        # A daemon that a test kills stays dead, unless the test is about its coming back.
        own = {"HOMEFIRE_HOME": str(home), "HOMEFIRE_PORT": "0", "HOMEFIRE_SUPERVISE": "0"}
        self.environment = {**kept, **own, **environment}
        self.url = ""
        self.key = ""
        self.pid = 0

    def cli(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs the command line on this home."""
        return subprocess.run(
            [sys.executable, "-m", "homefire.cli", *arguments],
            env=self.environment,
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self) -> RunningDaemon:
        """`homefire up --detach`; fails the test if it does not come up."""
        done = self.cli("up", "--detach", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        facts = json.loads(done.stdout)
        self.url, self.pid = facts["url"], facts["pid"]
        self.key = json.loads(self.paths.keys.read_text("utf-8"))["local"]
        return self

    def client(self) -> Homefire:
        """The project's own client, with the command line's key."""
        return Homefire.connect(url=self.url, key=self.key)

    def link(self) -> str:
        """A fresh one-time link to the page."""
        with self.client() as home:
            return str(home.post("/homefire/v1/links")["url"])

    def engine_pids(self) -> list[int]:
        """Process ids of this daemon's model children, by their command lines."""
        ours = [(pid, line) for pid, line in command_lines() if "llamacpp_child" in line and str(self.home) in line]
        return [pid for pid, line in ours if not line.startswith(("bwrap ", "/bin/sh "))]

    def kill(self) -> None:
        """SIGKILL to the daemon, and waits until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: not alive(self.pid))

    def stop(self) -> None:
        """`homefire down`; then whatever is left is killed, so that a failing test leaves nothing behind."""
        if self.pid and alive(self.pid):
            os.kill(self.pid, signal.SIGTERM)
            try:
                wait_until(lambda: not alive(self.pid), 15)
            except AssertionError:
                os.kill(self.pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command_lines() -> list[tuple[int, str]]:
    """Every process with its command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if line and alive(int(entry.name)):
                found.append((int(entry.name), line))
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Waits for a condition; returns how long it took. Fails the test when it does not come."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"did not happen within {seconds} s"
        time.sleep(0.01)
    return time.monotonic() - began


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """One daemon for all tests that do not harm it."""
    running = RunningDaemon(tmp_path_factory.mktemp("home")).start()
    yield running
    running.stop()


@pytest.fixture
def new_daemon(tmp_path: Path) -> Iterator[Callable[..., RunningDaemon]]:
    """Makes daemons for one test, on `home` (default: a folder of the test) with environment variables of its own."""
    made: list[RunningDaemon] = []

    def make(home: Path | None = None, **environment: str) -> RunningDaemon:
        made.append(RunningDaemon(home or tmp_path / "home", **environment))
        return made[-1]

    yield make
    for running in made:
        running.stop()


@pytest.fixture
def pilot_spec(tmp_path: Path) -> EngineSpec:
    """How to run the pilot in an engine of one's own."""
    return EngineSpec(ModelName("pilot"), PILOT_FILE, 512, 2, 1, 0, 60.0, tmp_path / "engine.log", tmp_path / "e.sock")
