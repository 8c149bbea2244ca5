"""`bench crash`: how soon a killed child is seen and another is ready, a hang is ended, and how often a crash loop starts again.

Promises: the child is `fakes/child.py`, a Python program that is ready at once, so the times are supervision's and Python's own;
the loop is the record of starts that `supervision/backoff.py` allows a child that dies after 0, 1.3 and 30 seconds, on a clock of
its own.
Does not cover: loading a model (`bench swap`), the daemon's own restarts (`tests/process/test_supervision_daemon.py`).
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.report import Report
from homefire.supervision.backoff import Backoff
from homefire.supervision.child import Child, ChildSpec
from homefire.supervision.watchdog import Rhythm, watch

GOALS: dict[str, tuple[str, float]] = {
    "seen_p95_ms": ("<=", 50),
    "back_p95_ms": ("<=", 500),
    "hang_ended_s": ("<=", 5),
    "restarts_in_10_min": ("<=", 25),
}
KILLS = 30
# As the setting `hang_seconds`, whose default is longer: a model that swaps is not hung.
HANG_SECONDS = 3.0
FAKE = Path(__file__).parent.parent / "fakes" / "child.py"


async def measure() -> Report:
    """Runs it."""
    report = Report("crash", GOALS)
    seen, back = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        child = await _started(Path(folder))
        for _ in range(KILLS):
            assert child.pid is not None
            began = time.perf_counter()
            os.kill(child.pid, signal.SIGKILL)
            await child.wait()
            seen.append(1000 * (time.perf_counter() - began))
            began = time.perf_counter()
            child = await _started(Path(folder))
            back.append(1000 * (time.perf_counter() - began))
        report.figures["hang_ended_s"] = await _hang(child)
    for name, times in (("seen", seen), ("back", back)):
        report.figures[f"{name}_p50_ms"] = statistics.median(times)
        report.figures[f"{name}_p95_ms"] = sorted(times)[int(len(times) * 0.95)]
    report.figures["restarts_in_10_min"] = float(max(_loop(lives) for lives in (0.0, 1.3, 30.0)))
    return report


async def _started(folder: Path) -> Child:
    child = Child(ChildSpec("fake", (sys.executable, str(FAKE)), folder / "log", grace_seconds=1.0))
    await child.start()
    return child


async def _hang(child: Child) -> float:
    """Seconds from the moment at which a child stops answering to its end, with the rhythm of HANG_SECONDS."""
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)

    async def never() -> bool:
        return False

    began = time.perf_counter()
    await watch(child, never, lambda: 0, Rhythm.of(HANG_SECONDS))
    await child.wait()
    return time.perf_counter() - began


def _loop(lives: float) -> int:
    """Starts within ten minutes of a child that dies `lives` seconds after each."""
    worst = 0
    for seed in range(20):
        now, starts, record = 0.0, 0, Backoff(draw=random.Random(seed).random)
        while now < 600:
            starts += 1
            now += lives
            record.crashed(now, lives)
            now += max(record.wait(now), 1e-3)
        worst = max(worst, starts)
    return worst
