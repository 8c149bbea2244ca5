"""What an earlier daemon left: children that no rope reached. One that is stopped (SIGSTOP) before it attached to its lifeline
neither reads its standard input nor has asked the kernel for its signal, so it outlives a daemon that is killed then.

Promises: only children of Homefire whose command line names this home are ended, and never those of this process; who calls it
holds the home's lock, so no other daemon owns any of them.
Does not cover: children whose command line names nothing of the home (a loopback port and a model of the package); what they
started themselves.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

KINDS = ("homefire.engines.", "homefire.models.")


def is_ours(command: Sequence[str], home: Path) -> bool:
    """Whether this is the command line of a child that a daemon on `home` started."""
    module = command[command.index("-m") + 1 :][:1] if "-m" in command else []
    return bool(module) and module[0].startswith(KINDS) and any(f"{home}{os.sep}" in each for each in command)


def end_leftovers(home: Path) -> list[int]:
    """Ends them; returns their process ids. May block for some ten milliseconds."""
    import psutil

    ended = []
    for process in psutil.process_iter(["cmdline", "ppid"]):
        command = process.info["cmdline"] or []
        if process.info["ppid"] == os.getpid() or not is_ours(command, home):
            continue
        try:
            process.kill()
        except psutil.Error:  # it has just ended
            continue
        ended.append(process.pid)
    return ended
