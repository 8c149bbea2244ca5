"""Whole schedules: the real keeper on a simulated machine, where nothing sleeps.

Promises: random schedules never take more memory than there is, and leave nothing behind; a storm ends with no failure, within
the bound, with a third of the loads that order of arrival needs; a rare model gets its turn beside a busy one. Each of these is
red when the rule behind it is taken out.
Does not cover: a single decision (`test_scheduler.py`), the time that deciding takes (`homefire bench fair`, which also plays all
1,000 schedules; here are the first `SCHEDULES`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from bench.simulation import (
    GIB,
    Kind,
    Machine,
    Outcome,
    Request,
    TooMuch,
    first_come,
    run,
    schedule,
    storm,
    with_keeper,
)
from homefire.errors import DoesNotFit, EngineBroken, EngineFailed, Overloaded
from homefire.residency import Keeper, KeeperRules, scheduler
from homefire.residency.scheduler import Resident

SCHEDULES = 60
RULES = KeeperRules()


def played(seed: int) -> tuple[Machine, Outcome]:
    """One random schedule; fails if memory is passed or anything is left behind."""
    total, kinds, requests = schedule(seed)
    machine = Machine(total, kinds, seed)

    def check(keeper: Keeper) -> None:
        views, waiting = keeper.view()
        assert not waiting and all(view.leases == 0 for view in views), "nothing is left behind"

    found = run(with_keeper(machine, requests, RULES, check))
    assert len(found.waits) + len(found.errors) + len(found.left - set(found.waits)) == len(requests)
    for number, problem in found.errors.items():
        kind = kinds[requests[number].model]
        if kind.size > total:
            assert isinstance(problem, DoesNotFit)
        else:
            assert kind.fails and isinstance(problem, EngineFailed | EngineBroken), problem
    return machine, found


def test_random_schedules_never_pass_the_memory() -> None:
    fullest = 0.0
    for seed in range(SCHEDULES):
        machine, _ = played(seed)
        fullest = max(fullest, machine.device.most / machine.device.total)
    assert 0.9 < fullest <= 1, "memory was used, or this shows nothing"


def _without_those_that_stop(residents: Any) -> Any:
    return Counter(
        {
            d: sum(r.bytes.get(d, 0) for r in each if r.state != "stopping")
            for each in [list(residents)]
            for d in ("host",)
        }
    )


def test_the_schedules_see_memory_given_away_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "taken", _without_those_that_stop)
    with pytest.raises(TooMuch):
        for seed in range(SCHEDULES):
            played(seed)


def weathered(seed: int, rules: KeeperRules = RULES) -> tuple[int, Outcome]:
    """The loads of a storm, and what became of it."""
    kinds, requests = storm(seed)
    machine = Machine(10 * GIB, kinds, seed)
    found = run(with_keeper(machine, requests, rules))
    return machine.loads.total(), found


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm(seed: int) -> None:
    loads, found = weathered(seed)
    kinds, requests = storm(seed)
    assert not found.errors and len(found.waits) == len(requests) == 200
    assert found.longest <= RULES.starvation
    machine = Machine(10 * GIB, kinds, seed)
    in_order = run(first_come(machine, requests))
    assert len(in_order.waits) == 200 and in_order.order == sorted(range(200), key=lambda n: requests[n].at)
    assert 3 * loads <= machine.loads.total(), (loads, machine.loads.total())


def test_a_storm_without_a_quantum_or_patience_swaps_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where everybody is late at once and nobody keeps a turn, collation ends."""
    loads, _ = weathered(1)
    monkeypatch.setattr(KeeperRules, "patience", 0.0)
    monkeypatch.setattr(KeeperRules, "quantum", 0.0)
    hasty, _ = weathered(1)
    assert hasty > 2 * loads, (loads, hasty)


BUSY = [Request(0.4 * number, "busy", 1.0, "many") for number in range(500)]


def rare_wait(rules: KeeperRules) -> float:
    """How long one request waits for its model beside another that is never idle: 200 s of requests, 2.5 at a time."""
    kinds = {"busy": Kind(8 * GIB, slots=8), "rare": Kind(8 * GIB)}
    requests = [*BUSY, Request(20.0, "rare", 1.0, "few")]
    found = run(with_keeper(Machine(10 * GIB, kinds), requests, rules))
    assert not found.errors
    return found.waits[len(BUSY)]


def test_the_rare_one_gets_its_turn() -> None:
    assert RULES.patience <= rare_wait(RULES) <= RULES.starvation
    assert rare_wait(KeeperRules(starvation=20.0)) <= 20.0


def test_without_a_bound_the_rare_one_starves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeeperRules, "patience", 1e9)
    assert rare_wait(RULES) > 2 * RULES.starvation


def shared(requests: list[Request], rules: KeeperRules = RULES) -> tuple[Outcome, list[Request]]:
    found = run(with_keeper(Machine(10 * GIB, {"a": Kind(8 * GIB, slots=4)}), requests, rules))
    return found, requests


MANY = [Request(0.0, "a", 1.0, "many") for _ in range(300)]


def test_three_hundred_streams_of_one_client() -> None:
    """They get errors beyond their part of the queue; another client is served as if there were few."""
    others = [Request(5.0 + number, "a", 1.0, "other") for number in range(10)]
    found, requests = shared([*MANY, *others])
    refused = [number for number in found.errors if requests[number].key == "many"]
    assert len(refused) == len(found.errors) == 300 - RULES.queue_per_key
    assert all(isinstance(problem, Overloaded) for problem in found.errors.values())
    waits = [found.waits[number] for number in range(300, 310)]
    assert max(waits) < 5.0, "another key does not wait behind 250 requests"


def test_without_fairness_the_other_client_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homefire.residency.fairness.Shares.in_turn", lambda self, waiting: list(waiting))
    found, _ = shared([*MANY, Request(5.0, "a", 1.0, "other")])
    assert found.waits[300] > 30.0


def test_those_who_leave_leave_nothing() -> None:
    """Every second one leaves while it waits; the others are served as if those had never been."""
    requests = [Request(0.0, "ab"[n // 2 % 2], 1.0, f"k{n % 3}", leaves=1.0 if n % 2 else None) for n in range(80)]
    kinds = {name: Kind(8 * GIB, load=2.0, slots=2) for name in "ab"}

    def check(keeper: Keeper) -> None:
        assert keeper.view()[1] == 0 and keeper._plans == {} and keeper._sizing == set()

    found = run(with_keeper(Machine(10 * GIB, kinds), requests, RULES, check))
    assert len(found.left) == 40 and len(found.waits) == 40 and not found.errors


def test_loads_run_beside_serving() -> None:
    """Two models that both fit load at the same time, while a third is in use."""
    kinds = {"a": Kind(GIB, load=1.0), "b": Kind(GIB, load=9.0), "c": Kind(GIB, load=9.0)}
    requests = [Request(0.0, "a", 30.0), Request(2.0, "b", 1.0), Request(2.0, "c", 1.0), Request(5.0, "a", 1.0)]
    found = run(with_keeper(Machine(10 * GIB, kinds), requests, RULES))
    assert found.waits[3] == 0 and max(found.waits[1], found.waits[2]) < 9.0 * 1.3 + 0.1


def test_the_place_in_the_queue_and_the_time_left() -> None:
    heard: list[tuple[int, float]] = []

    async def work() -> None:
        machine = Machine(10 * GIB, {"a": Kind(8 * GIB, slots=1)})
        keeper = Keeper(machine.make, RULES, machine, clock=asyncio.get_running_loop().time)

        async def use(told: Callable[[int, float], None] | None = None) -> None:
            async with await keeper.ensure("a", told=told):
                await asyncio.sleep(10.0)

        first = [asyncio.ensure_future(use()) for _ in range(3)]
        await asyncio.sleep(5.0)
        await use(lambda place, eta: heard.append((place, eta)))
        await asyncio.gather(*first)
        await keeper.close()

    run(work())
    assert [place for place, _ in heard] == [3, 2, 1]
    assert all(5 < eta < 60 for _, eta in heard[:2]), heard


def test_a_resident_is_what_the_scheduler_takes_it_for() -> None:
    assert Resident("ready").keep_alive == scheduler.FOREVER, "without a word nothing leaves for its idleness"
