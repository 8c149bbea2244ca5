"""What a process and all below it take: processor time, and memory as its peak while something runs.

Promises: processor time of children that end while a clock runs counts up to their last twentieth of a second; memory is the
sum of the proportional shares (PSS), so that what processes share is counted once, mapped files among it.
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
EVERY_SECONDS, LOOK_SECONDS = 0.1, 0.05


def tree(pid: int) -> list[int]:
    """The process and all below it that are there now."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time that one process has taken itself; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


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
    """Wall and processor time of a tree while the block runs. It looks every twentieth of a second: what a child behind walls has
    taken nobody is told at its end, because the one who would wait for it is killed with it."""

    def __init__(self, pid: int) -> None:
        self._pid, self._over = pid, threading.Event()
        self._seen: dict[int, float] = {}
        self._looking = threading.Lock()

    def __enter__(self) -> Clock:
        self._look()
        self._before, self._began = sum(self._seen.values()), time.perf_counter()
        self._watcher = threading.Thread(target=self._watch, name="clock")
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def wall(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._began

    def cpu(self) -> float:
        """Seconds so far."""
        self._look()
        return sum(self._seen.values()) - self._before

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        with self._looking:
            for one in tree(self._pid):
                self._seen[one] = max(self._seen.get(one, 0.0), cpu_seconds(one))
