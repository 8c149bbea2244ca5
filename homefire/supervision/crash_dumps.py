"""What a Python process was doing when it died of a signal: one file for each crash, beside its log.

The interpreter's `faulthandler` writes it, on SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT: the functions that each thread was in,
by name and line. No variable's value is in it, so no prompt and no key.
Promises: standard library only; a process that ends well leaves no file; never more than `KEPT` files with something in them lie
in a folder; nothing here raises because of the disk.
Does not cover: native frames (a core dump has them; the system decides whether there is one), SIGKILL, which nobody hears.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import time
from pathlib import Path
from typing import BinaryIO

KEPT = 10
PREFIX = "crash-"
# Where a child's dump goes; `lifeline.attach` reads it, so that every child that is supervised has one.
VARIABLE = "HOMEFIRE_CRASH_FILE"

_open: BinaryIO | None = None


def beside(log: Path) -> Path:
    """A new name for the dump of the process that writes this log."""
    now = time.time()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    return log.with_name(f"{PREFIX}{log.stem}-{stamp}-{int(now % 1 * 1e6):06}.txt")


def enable(file: Path) -> None:
    """From now on this process leaves its dump in `file`."""
    global _open
    with contextlib.suppress(OSError):
        _open = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", 0)
        faulthandler.enable(_open, all_threads=True)


def ended(dump: Path, file: Path | None = None) -> None:
    """After the process with this dump has ended: an empty one goes, another comes to its place, `file` (None: it lies there),
    and the oldest beyond `KEPT` go."""
    file = file or dump
    with contextlib.suppress(OSError):
        if not dump.stat().st_size:
            dump.unlink()
        elif dump != file:
            dump.replace(file)
    for old in written(file.parent)[KEPT:]:
        with contextlib.suppress(OSError):
            old.unlink()


def sweep(folder: Path) -> None:
    """Before any process with a dump in `folder` runs: the empty ones go, which those left that were killed."""
    with contextlib.suppress(OSError):
        for file in folder.glob(f"{PREFIX}*.txt"):
            if not file.stat().st_size:
                file.unlink()


def written(folder: Path) -> list[Path]:
    """The dumps in `folder` that hold something, the newest first."""
    found = []
    with contextlib.suppress(OSError):
        for file in folder.glob(f"{PREFIX}*.txt"):
            with contextlib.suppress(OSError):
                about = file.stat()
                if about.st_size:
                    found.append((about.st_mtime, file))
    return [file for _, file in sorted(found, reverse=True)]
