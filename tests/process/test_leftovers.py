"""A child that no rope reached: stopped in its first moments, and its daemon killed. The next daemon ends it.

Promises: the child is a real one, of a daemon's own command line; what belongs to another home is left alone.
Does not cover: the ropes (`test_supervision_hang.py`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from homefire.supervision.leftovers import end_leftovers, is_ours
from tests.conftest import ROOT, RunningDaemon, alive, wait_until


def stopped(socket: Path) -> subprocess.Popen[bytes]:
    """A model's child that was stopped before it did anything, with this socket in its arguments."""
    argv = [sys.executable, "-m", "homefire.engines.llamacpp_child", json.dumps({"socket": str(socket)})]
    child = subprocess.Popen(
        argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.kill(child.pid, signal.SIGSTOP)
    return child


def test_the_next_daemon_ends_it(new_daemon: Callable[..., RunningDaemon], tmp_path: Path) -> None:
    daemon = new_daemon()
    own, other = stopped(daemon.paths.run / "x.sock"), stopped(tmp_path / "home2" / "run" / "x.sock")
    try:
        assert end_leftovers(daemon.paths.home) == [], "children of this process are its own"
        daemon.start()
        wait_until(lambda: not alive(own.pid), 5)
        assert own.wait(5) == -signal.SIGKILL and other.poll() is None
        assert "had outlived it" in daemon.paths.daemon_log.read_text("utf-8")
    finally:
        for child in (own, other):
            child.kill()
            child.communicate()


def test_whose_child_it_is() -> None:
    home = Path("/h/home")
    inside = '{"socket": "/h/home/run/x.sock"}'
    assert is_ours(["python", "-m", "homefire.engines.llamacpp_child", inside], home)
    assert not is_ours(["python", "-m", "homefire.engines.llamacpp_child", inside.replace("home/", "home2/")], home)
    assert not is_ours(["python", "-m", "homefire.cli", "models", "import", "/h/home/x"], home)
    assert not is_ours(["vi", "/h/home/config.toml"], home)
    assert not is_ours([], home) and not is_ours(["python", "-m"], home)
