"""The evaluation: every skill's held-out trials, asked of the shipped file through the daemon.

Promises: the table of the skills from the file as it is shipped, in the real engine; goals set before the first figure was
known; one JSON object in the house form, with a 95 % Clopper-Pearson interval for every figure. Equal seeds give equal trials.
Does not cover: what a trial is (`pilot/corpus/`), speed (`homefire bench` does).
"""

import datetime
import math
import os
import platform
import random
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from pilot import talk
from pilot.corpus.mixture import SKILLS
from pilot.corpus.skill import Ask, Mark
from pilot.shipped import Shipped

ASKERS = 8  # as many as the daemon works on at once for a small model


class Tally:
    """Counts by figure, and the failures of each for a person to read."""

    def __init__(self) -> None:
        self.good: dict[str, int] = defaultdict(int)
        self.all: dict[str, int] = defaultdict(int)
        self.failures: dict[str, list[str]] = defaultdict(list)

    def take(self, marks: Iterable[Mark]) -> None:
        for mark in marks:
            self.all[mark.figure] += 1
            self.good[mark.figure] += mark.good
            if not mark.good:
                self.failures[mark.figure].append(mark.note)

    def figures(self) -> dict[str, float]:
        return {name: round(100 * self.good[name] / self.all[name], 2) for name in self.all}

    def bounds(self) -> dict[str, list[float]]:
        """Lowest and highest percentage that 95 % confidence leaves, and the number of cases."""
        return {name: [*interval(self.good[name], self.all[name]), self.all[name]] for name in self.all}


def at_most(k: int, count: int, p: float) -> float:
    """P(X <= k) for X binomial(count, p), summed over the shorter side in logarithms."""
    if k < 0 or k >= count:
        return float(k >= 0)
    if k > count // 2:
        return 1.0 - at_most(count - k - 1, count, 1.0 - p)
    if p <= 0.0 or p >= 1.0:
        return float(p <= 0.0)
    ways = math.lgamma(count + 1)
    return sum(
        math.exp(
            ways - math.lgamma(i + 1) - math.lgamma(count - i + 1) + i * math.log(p) + (count - i) * math.log1p(-p)
        )
        for i in range(k + 1)
    )


def interval(good: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share, in per cent (Clopper and Pearson 1934), by bisection: both tails keep 2.5 %."""

    def largest(holds: Callable[[float], bool]) -> float:
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if holds(middle) else (low, middle)
        return low

    least = largest(lambda p: 1.0 - at_most(good - 1, count, p) <= 0.025) if good else 0.0
    most = largest(lambda p: at_most(good, count, p) >= 0.025) if good < count else 1.0
    return round(100 * least, 2), round(100 * most, 2)


def trial_marks(skill: Any, name: str, ask: Ask, seed: int, number: int) -> list[Mark]:
    """One trial of a skill, with a generator of its own."""
    return list(skill.trial(ask, random.Random(f"{seed}:{name}:{number}")))


def talk_marks(ask: Ask, seed: int, group: Callable[[Ask, random.Random], Iterable[Mark]]) -> list[Mark]:
    """One group of the figures of version 0."""
    return list(group(ask, random.Random(f"{seed}:{group.__name__}")))


def machine() -> dict[str, Any]:
    """Cores, memory, processor."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        name = found.group(1) if found else name
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cores": os.cpu_count(), "memory": f"{memory / 2**30:.0f} GiB", "processor": name}


def evaluate(model: Path, seed: int, share: float = 1.0, only: str = "") -> dict[str, Any]:
    """Run everything, or the skills named in `only`; the house form. Failures go to stderr, three a figure.

    `share`: how many of the trials to run, for a quick look (the shipped table is of 1.0).
    """
    tally = Tally()
    goals: dict[str, tuple[str, float]] = {}
    with Shipped(model) as shipped, ThreadPoolExecutor(ASKERS) as askers:
        for name, skill in SKILLS.items():
            if only and name not in only.split(","):
                continue
            goals |= skill.GOALS
            numbers = range(max(1, round(skill.TRIALS * share)))
            for marks in askers.map(partial(trial_marks, skill, name, shipped.ask, seed), numbers):
                tally.take(marks)
            print(f"  {name}: {tally.figures()}", file=sys.stderr, flush=True)
        if not only or "talk" in only:
            goals |= talk.GOALS
            for marks in askers.map(partial(talk_marks, shipped.ask, seed), talk.GROUPS):
                tally.take(marks)
    shown = int(os.environ.get("PILOT_FAILURES", "3"))
    for figure, notes in tally.failures.items():
        for note in notes[:shown]:
            print(f"{figure}: {note}", file=sys.stderr)
    figures = tally.figures()
    missed = [name for name, (_, goal) in goals.items() if figures.get(name, 0.0) < goal]
    return {
        "bench": "pilot",
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "figures": {**figures, "file_bytes": model.stat().st_size},
        "bounds": tally.bounds(),
        "goals": {name: list(goal) for name, goal in goals.items()},
        "missed": missed,
    }
