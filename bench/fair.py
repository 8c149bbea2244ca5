"""`bench fair`: the scheduler's decisions, storms and random schedules, on a simulated machine (`simulation.py`).

A storm is 200 requests for 6 models within half a minute, with memory for 2; the same one is played in order of arrival. A swap
is a load beyond the first two. The decision's time is real: of `scheduler.decide` in those storms, and of one with 512 requests
waiting.
Promises: the keeper and the scheduler are the real ones; seeds are fixed, so that only times differ between runs.
Does not cover: real models and real memory (`bench swap`).
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time

from bench.report import Report
from bench.simulation import (
    GIB,
    Machine,
    TooMuch,
    first_come,
    run,
    schedule,
    storm,
    timed_decisions,
    with_keeper,
)
from homefire.residency import KeeperRules
from homefire.residency.scheduler import Resident, Room, Waiter, World, decide

GOALS: dict[str, tuple[str, float]] = {
    "residency_decision_p99_ms": ("<=", 1),
    "storm_failures": ("<=", 0),
    "storm_longest_wait_s": ("<=", 60),
    "storm_swaps_ratio": (">=", 3),
    "schedules_over_memory": ("<=", 0),
}
STORMS, SCHEDULES, FULL = 9, 1000, 500
ROOM = 10 * GIB
FITTING = 2


async def measure() -> Report:
    """Runs it; in a thread, because it needs event loops of its own."""
    return await asyncio.to_thread(_measure)


def _measure() -> Report:
    report = Report("fair", GOALS)
    rules = KeeperRules()
    times: list[float] = []
    ours, theirs, longest, failures = [], [], [], 0
    for seed in range(STORMS):
        kinds, requests = storm(seed)
        machine = Machine(ROOM, kinds, seed)
        gc.collect()  # or a collection of the last storm falls into a decision of this one
        end = timed_decisions(times)
        try:
            found = run(with_keeper(machine, requests, rules))
        finally:
            end()
        ours.append(machine.loads.total() - FITTING)
        longest.append(found.longest)
        failures += len(requests) - len(found.waits)
        machine = Machine(ROOM, kinds, seed)
        run(first_come(machine, requests))
        theirs.append(machine.loads.total() - FITTING)
    full = [_full_queue() for _ in range(FULL)]
    report.figures |= {
        "residency_decision_p50_ms": 1000 * statistics.median(times),
        "residency_decision_p99_ms": 1000 * statistics.quantiles(times, n=100)[98],
        "residency_decision_512_waiting_p50_ms": 1000 * statistics.median(full),
        "residency_decision_512_waiting_p99_ms": 1000 * statistics.quantiles(full, n=100)[98],
        "storm_failures": failures,
        "storm_longest_wait_s": max(longest),
        "storm_swaps": statistics.median(ours),
        "storm_swaps_in_order_of_arrival": statistics.median(theirs),
        "storm_swaps_ratio": statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
    }
    _schedules(report, rules)
    return report


def _schedules(report: Report, rules: KeeperRules) -> None:
    over, requests_in_all, fullest = 0, 0, 0.0
    for seed in range(SCHEDULES):
        total, kinds, requests = schedule(seed)
        machine = Machine(total, kinds, seed)
        try:
            run(with_keeper(machine, requests, rules))
        except TooMuch:
            over += 1
        requests_in_all += len(requests)
        fullest = max(fullest, machine.device.most / total)
    report.figures |= {
        "schedules": SCHEDULES,
        "schedules_requests": requests_in_all,
        "schedules_over_memory": over,
        "schedules_fullest_ratio": fullest,
    }


def _full_queue() -> float:
    """Seconds of one decision with as many waiting as may wait, from 16 keys, for 6 models of which 2 are there."""
    waiting = [Waiter(number, f"m{number % 6}", 0.0, f"key{number % 16}", 500) for number in range(512)]
    residents = {name: Resident("ready", 4, {"host": 5}, 4, ready_at=0.0) for name in ("m0", "m1")}
    needs = {f"m{number}": {"host": 5} for number in range(6)}
    world = World(40.0, residents, waiting, needs, Room({"host": 10}), patience=30.0, quantum=7.5)
    began = time.perf_counter()
    decide(world)
    return time.perf_counter() - began
