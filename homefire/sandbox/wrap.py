"""Tier 1 around a program that lives long: a model's child. Its file is read-only; no network, no key, no home, no other process.

Promises: pure but for the filter's file; streams and signals pass through; the kernel ends it with the daemon, as without walls.
Does not cover: limits (`residency/` has them). Under a daemon that is root it keeps user id 0, without rights: its files are
root's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from homefire.sandbox import seccomp
from homefire.sandbox.bubblewrap import READ_ONLY, isolation, system

GPU_NODES = ("nvidia*", "dri", "kfd")


def wrapped(
    argv: Sequence[str], readable: Sequence[Path], writable: Sequence[Path], filter_file: Path
) -> tuple[str, ...]:
    """The command line that runs `argv` inside. `filter_file` is written; keep it outside of `writable`. Raises OSError."""
    filter_file.write_bytes(seccomp.program(1))
    options = [*isolation(os.getuid()), "--cap-drop", "ALL", *system(), "--setenv", "HOME", "/tmp"]
    for place in (Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parents[1], *readable):
        options += ["--ro-bind", str(place.resolve(strict=True)), str(place)]
    nodes = [node for pattern in GPU_NODES for node in Path("/dev").glob(pattern)]
    for place in (*writable, *nodes, *([Path("/sys")] if nodes else [])):
        options += ["--bind" if place in writable else "--dev-bind", str(place), str(place)]
    script = 'exec bwrap --seccomp 9 "$@" 9<"$0"'
    return ("/bin/sh", "-c", script, str(filter_file), *options, *READ_ONLY, "--chdir", "/tmp", "--", *argv)


def inner_pid(outer: int) -> int:
    """The process id, as seen from here, of the program inside: below bubblewrap and its first process. Raises OSError."""
    for _ in range(2):
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text("ascii").split()
        outer = int(children[0]) if children else outer
    return outer
