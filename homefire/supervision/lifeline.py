"""The child's side of supervision: say that it is ready, and end when the parent ends.

Two ropes: a thread that reads standard input, which the parent holds open and never writes to (its end means the parent is
gone, on every system); and on Linux a signal from the kernel, which also reaches a child that is stuck in native code.
Promises: standard library only; after `attach()` nothing that native code prints can reach the channel to the parent, and what a
crash leaves goes where the parent looks for it (`crash_dumps.py`).
A child that starts programs itself attaches with `tree=True`: a third rope, a small process in its group that waits for the
same end and then kills the whole group, because the kernel's signal reaches the child alone.
Does not cover: grandchildren that leave the group (setsid); on Windows, grandchildren.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from homefire.supervision import crash_dumps

_PR_SET_PDEATHSIG = 1


class Lifeline:
    """The channel to the parent, on what was standard output."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ready(self, **facts: Any) -> None:
        """Tells the parent that this child is ready, with what it has to know (such as an address)."""
        self._say({"ready": facts})

    def failed(self, message: str) -> None:
        """Tells the parent why this child cannot become ready."""
        self._say({"failed": message})

    def _say(self, value: dict[str, Any]) -> None:
        os.write(self._descriptor, json.dumps(value).encode() + b"\n")


def attach(tree: bool = False) -> Lifeline:
    """Takes over standard output for the parent and watches for the parent's end. Call it first. `tree`: it starts programs."""
    if crash_file := os.environ.pop(crash_dumps.VARIABLE, ""):
        crash_dumps.enable(Path(crash_file))
    if tree and sys.platform != "win32":
        _guard()
    die_with_parent()
    channel = os.dup(1)
    os.set_inheritable(channel, False)
    os.dup2(2, 1)
    threading.Thread(target=_watch, name="lifeline", daemon=True).start()
    return Lifeline(channel)


def die_with_parent() -> None:
    """On Linux: the kernel kills this process when the thread that started it ends. Elsewhere nothing."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died between the two calls
            os._exit(0)


def _guard() -> None:
    """Forks the process that ends the group. Before any thread is there, or the fork could inherit a lock that nobody frees."""
    if os.getpgrp() != os.getpid():  # not started by `Child`: the group is somebody else's
        return
    if os.fork():
        return
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)  # the parent waits for the end of this pipe
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    finally:
        os.killpg(0, signal.SIGKILL)


def _watch() -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    os._exit(0)
