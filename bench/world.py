"""A daemon on a throw-away home, for measuring.

Promises: nothing of the person's own home or settings is touched; the daemon is ended afterwards.
Does not cover: what is measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from homefire.paths import ModelName, Paths


@dataclass(frozen=True, slots=True)
class World:
    """A running daemon."""

    paths: Paths
    port: int
    key: str
    pid: int
    began: float


@contextlib.contextmanager
def running_daemon(**settings: int | str) -> Iterator[World]:
    """Starts a daemon with these settings; `began` is the moment before it was spawned (time.perf_counter)."""
    with tempfile.TemporaryDirectory(prefix="homefire-bench-") as folder:
        paths = Paths(Path(folder))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMEFIRE_")}
        given = {f"HOMEFIRE_{name.upper()}": str(value) for name, value in settings.items()}
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "homefire.daemon"],
            env={**kept, **given, "HOMEFIRE_HOME": folder, "HOMEFIRE_PORT": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            word = json.loads(process.stdout.readline())
            port = int(word["ready"]["url"].rpartition(":")[2])
            key = json.loads(paths.keys.read_text("utf-8"))["local"]
            yield World(paths, port, key, process.pid, began)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def engine_address(world: World, model: str) -> str:
    """Where the child of a model that is loaded listens: its socket, in a folder of its own where it stands behind walls."""
    plain = world.paths.engine_socket(ModelName(model))
    assert plain is not None, "no unix sockets here"
    boxed = plain.with_suffix(".box") / "s.sock"
    return str(boxed if boxed.exists() else plain)
