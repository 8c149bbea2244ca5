"""`bench sandbox`: what a run in the sandbox costs, and how fast its tree is gone.

Promises: a start is a Python program that prints a word, from `run` to its outcome; beside it the same program without walls,
in turn, and tier 2. A tree is 12 processes, two of which have left their session; it is timed from the cancelling to the last
one's end.
Does not cover: whether the walls hold (`tests/chaos/test_sandbox_probes.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import statistics
import time
from pathlib import Path

from bench.report import Report
from homefire.sandbox.bubblewrap import Bubblewrap, python
from homefire.sandbox.cgroup import find_kind
from homefire.sandbox.landlock import Landlock
from homefire.sandbox.sandbox import MIB, Job, Limits

GOALS: dict[str, tuple[str, float]] = {"start_p95_ms": ("<=", 150), "tree_gone_p95_ms": ("<=", 100)}
STARTS, TREES = 60, 20
HELLO = ("-I", "-S", "-c", "print('hello')")
TREE = """
import os, subprocess, sys
for n in range(11):
    subprocess.Popen(["sleep", sys.argv[1]], start_new_session=n < 2)
print(flush=True)
os.execvp("sleep", ["sleep", sys.argv[1]])
"""
FLOOD = "import sys\nfor _ in range(4096):\n    sys.stdout.write('x' * 2**16)\n"


async def measure() -> Report:
    """Runs it."""
    report = Report("sandbox", GOALS)
    kind = find_kind()
    first, second = Bubblewrap(kind), Landlock(kind)
    report.figures["cgroups"] = float(kind != "none")
    tier_one, tier_two, bare = list[float](), list[float](), list[float]()
    for _ in range(STARTS):
        tier_one.append(await _start(first))
        bare.append(await _bare())
        tier_two.append(await _start(second))
    began = time.perf_counter()
    await first.check()
    report.figures["self_test_ms"] = 1000 * (time.perf_counter() - began)
    for name, times in (("start", tier_one), ("tier2_start", tier_two), ("without", bare)):
        report.figures[f"{name}_p50_ms"] = statistics.median(times)
        report.figures[f"{name}_p95_ms"] = _p95(times)
    gone = [await _tree(first) for _ in range(TREES)]
    gone_two = [await _tree(second) for _ in range(TREES)]
    report.figures["tree_gone_p50_ms"], report.figures["tree_gone_p95_ms"] = statistics.median(gone), _p95(gone)
    report.figures["tier2_tree_gone_p95_ms"] = _p95(gone_two)
    program, home = python()
    job = Job((program, "-I", "-S", "-c", FLOOD), readable=home, limits=Limits(output_bytes=MIB))
    outcome = await first.run(job)
    assert outcome.ended_by == "output", outcome
    report.figures["flood_kept_mib"] = len(outcome.stdout) / MIB
    return report


async def _start(box: Bubblewrap | Landlock) -> float:
    program, home = python(box.facts().tier)
    began = time.perf_counter()
    outcome = await box.run(Job((program, *HELLO), readable=home))
    assert outcome.stdout == b"hello\n", outcome
    return 1000 * (time.perf_counter() - began)


async def _bare() -> float:
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(python()[0], *HELLO, stdout=asyncio.subprocess.PIPE)
    await process.communicate()
    return 1000 * (time.perf_counter() - began)


async def _tree(box: Bubblewrap | Landlock) -> float:
    """Milliseconds from the cancelling of a job to the end of its last process."""
    token = f"{600 + secrets.randbelow(300)}.{secrets.randbelow(10**12):012}"
    program, home = python(box.facts().tier)
    job = Job((program, "-I", "-S", "-c", TREE, token), readable=home, limits=Limits(wall_seconds=60))
    running = asyncio.ensure_future(box.run(job))
    while _alive(token) < 12:
        await asyncio.sleep(0.01)
        assert not running.done(), running.result()
    began = time.perf_counter()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    taken = 1000 * (time.perf_counter() - began)
    assert _alive(token) == 0, "run returned before the tree was gone"
    return taken


def _alive(token: str) -> int:
    """How many sleepers of this job there are."""
    found = 0
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += place.read_bytes() == f"sleep\0{token}\0".encode()
    return found


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[18]
