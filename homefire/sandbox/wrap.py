"""Tier 1 around a program of ours that reads a model. Its file is read-only; no network, no key, no home, no other process.

Promises: pure but for the filter's file; streams and signals pass through; the kernel ends it with the daemon, as without walls.
Does not cover: limits (`residency/` has them). Under a daemon that is root it keeps user id 0, without rights: its files are
root's.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from homefire.sandbox import seccomp
from homefire.sandbox.bubblewrap import READ_ONLY, isolation, system

GPU_NODES = ("nvidia*", "dri", "kfd")


def wrapped(
    argv: Sequence[str], readable: Sequence[Path], writable: Sequence[Path], filter_file: Path
) -> tuple[str, ...]:
    """The command line that runs `argv` inside. `filter_file` is written; keep it outside of `writable`. Raises OSError."""
    filter_file.write_bytes(seccomp.program(1))
    script = 'exec bwrap --seccomp 9 "$@" 9<"$0"'
    return ("/bin/sh", "-c", script, str(filter_file), *_options(readable, writable, GPU_NODES), "--", *argv)


@contextmanager
def confined(
    argv: Sequence[str], readable: Sequence[Path], writable: Sequence[Path] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The same for a program that needs no GPU, to be started within the block: its command line, and the flags to spawn it with.
    Nothing is written: the filter lies in memory. Raises OSError."""
    descriptor = os.memfd_create("filter")
    try:
        os.write(descriptor, seccomp.program(1))
        os.lseek(descriptor, 0, os.SEEK_SET)
        program = (shutil.which("bwrap") or "bwrap", "--seccomp", str(descriptor))
        yield (*program, *_options(readable, writable, ()), "--", *argv), {"pass_fds": (descriptor,)}
    finally:
        os.close(descriptor)


def _options(readable: Sequence[Path], writable: Sequence[Path], devices: Sequence[str]) -> tuple[str, ...]:
    options = [*isolation(os.getuid()), "--cap-drop", "ALL", *system(), "--setenv", "HOME", "/tmp"]  # nosec B108 # a place inside the walls, on a file system of its own
    for place in (Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parents[1], *readable):
        options += ["--ro-bind", str(place.resolve(strict=True)), str(place)]
    nodes = [node for pattern in devices for node in Path("/dev").glob(pattern)]
    for place in (*writable, *nodes, *([Path("/sys")] if nodes else [])):
        options += ["--bind" if place in writable else "--dev-bind", str(place), str(place)]
    return (*options, *READ_ONLY, "--chdir", "/tmp")  # nosec B108 # a place inside the walls, on a file system of its own


def inner_pid(outer: int) -> int:
    """The process id, as seen from here, of the program inside: below bubblewrap and its first process. Raises OSError."""
    for _ in range(2):
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text("ascii").split()
        outer = int(children[0]) if children else outer
    return outer
