"""What a process and all below it take: processor time, and memory as its peak while something runs.

Promises: processor time of children that have ended counts too, once their parents have waited for them; memory is the sum of
the proportional shares (PSS), so that what processes share is counted once, mapped files among it.
Does not cover: systems without /proc.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
EVERY_SECONDS = 0.1


def tree(pid: int) -> list[int]:
    """The process and all below it that are there now."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time of the tree so far."""
    total = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(field) for field in fields[11:15])  # own time and that of children waited for
    return total / TICKS


def memory_mb(pid: int) -> tuple[float, float]:
    """(all, private) of the tree now: proportional shares, and what no file stands behind."""
    whole = private = 0
    for one in tree(pid):
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    whole += int(line.split()[1])
                elif line.startswith("Pss_Anon:"):
                    private += int(line.split()[1])
    return whole / 1024, private / 1024


class Peak:
    """The largest memory seen while the block ran, in MiB."""

    def __init__(self) -> None:
        self.whole = self.private = 0.0


@contextlib.contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Looks at the tree every tenth of a second."""
    peak, over = Peak(), threading.Event()

    def look() -> None:
        while not over.is_set():
            whole, private = memory_mb(pid)
            peak.whole, peak.private = max(peak.whole, whole), max(peak.private, private)
            over.wait(EVERY_SECONDS)

    watcher = threading.Thread(target=look, name="memory")
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


class Clock:
    """Wall and processor time of a tree since it was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu, self._began = cpu_seconds(pid), time.perf_counter()

    def wall(self) -> float:
        return time.perf_counter() - self._began

    def cpu(self) -> float:
        return cpu_seconds(self._pid) - self._cpu
