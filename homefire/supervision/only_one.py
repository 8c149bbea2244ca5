"""One daemon a home: a lock on a file that the kernel releases, whatever happens to who holds it.

Promises: whoever holds it knows that no daemon writes this home, and no other program of ours that replaces its files.
Does not cover: homes on a network, where locks of files may not reach the other machine.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from homefire.errors import HomeInUse
from homefire.paths import Paths, from_os


@contextlib.contextmanager
def only_one(paths: Paths) -> Iterator[None]:
    """Holds the home's lock. Raises HomeInUse, which names the daemon that has it."""
    try:
        file = paths.lock.open("a+b")
    except OSError as problem:
        raise from_os(problem, paths.lock) from None
    with file:
        if not _lock(file.fileno()):
            raise HomeInUse(f"A daemon runs on {paths.home} already{_who(paths.address)}.")
        yield


def _lock(descriptor: int) -> bool:
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


def _who(address: Path) -> str:
    try:
        facts = json.loads(address.read_text("utf-8"))
        return f" (pid {facts['pid']}, {facts['url']})"
    except (OSError, ValueError, KeyError):
        return ""
