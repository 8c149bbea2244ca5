"""The scheduler: `decide` as a pure function, and as the heart of a simulated daemon.

Promises: no decision breaks a lease or the rule of one model at a time, nobody overtakes, nobody starves.
Does not cover: doing what was decided (`test_keeper.py`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homefire.residency.scheduler import (
    Decision,
    Grant,
    Later,
    Pause,
    Refuse,
    Resident,
    Start,
    State,
    Stop,
    decide,
)

MODELS = st.sampled_from(["a", "b", "c"])
RESIDENTS = st.dictionaries(
    MODELS, st.builds(Resident, st.sampled_from(["starting", "ready", "stopping"]), st.integers(0, 3)), max_size=3
)
WAITING = st.lists(MODELS, max_size=8).map(lambda models: list(enumerate(models, 10)))
PAUSES = st.dictionaries(MODELS, st.builds(Pause, st.sampled_from([0.0, 0.2, 60.0]), st.booleans()), max_size=3)


@settings(max_examples=250, deadline=None, database=None)
@given(RESIDENTS, WAITING, PAUSES)
def test_every_decision_is_allowed(
    residents: dict[str, Resident], waiting: list[tuple[int, str]], pauses: dict[str, Pause]
) -> None:
    before = deepcopy((residents, waiting, pauses))
    decisions = decide(residents, waiting, pauses)
    assert (residents, waiting, pauses) == before, "deciding changes nothing"
    assert decisions == decide(residents, waiting, pauses)
    wanted = dict(waiting)
    served = [d.waiter for d in decisions if isinstance(d, Grant | Refuse)]
    assert served == [number for number, _ in waiting][: len(served)], "in order of arrival, nobody left out"
    assert sum(isinstance(d, Start | Later) for d in decisions) <= 1
    for decision in decisions:
        match decision:
            case Grant(number):
                assert residents[wanted[number]].state == "ready"
            case Refuse(number):
                pause = pauses[wanted[number]]
                assert pause.broken and pause.seconds > 0 and wanted[number] not in residents
            case Start(model):
                assert not residents
                assert model == waiting[len(served)][1]
                assert model not in pauses or pauses[model].seconds == 0
            case Stop(model):
                assert residents[model] == Resident("ready", 0)
                assert model != waiting[len(served)][1]
                assert model not in {wanted[d.waiter] for d in decisions if isinstance(d, Grant)}, "a new lease counts"
            case Later(seconds):
                assert seconds == pauses[waiting[len(served)][1]].seconds > 0


@settings(max_examples=150, deadline=None, database=None)
@given(MODELS, RESIDENTS, PAUSES)
def test_whoever_waits_waits_for_something(
    model: str, residents: dict[str, Resident], pauses: dict[str, Pause]
) -> None:
    decisions = decide(residents, [(1, model)], pauses)
    # With nothing decided, something must be under way that will end: a start, a stop, or a lease.
    assert decisions or any(r.state != "ready" or r.leases for r in residents.values())


def test_nobody_waits_nothing_happens() -> None:
    assert decide({"a": Resident("ready", 0)}, [], {"a": Pause(1.0, True)}) == []


READY, BUSY = Resident("ready", 0), Resident("ready", 2)
TABLE: list[tuple[str, dict[str, Resident], list[tuple[int, str]], dict[str, Pause], list[Decision]]] = [
    ("empty memory", {}, [(1, "a"), (2, "b")], {}, [Start("a")]),
    ("ready", {"a": BUSY}, [(1, "a"), (2, "a")], {}, [Grant(1), Grant(2)]),
    ("another, idle", {"a": READY}, [(1, "b")], {}, [Stop("a")]),
    ("another, just granted", {"a": READY}, [(1, "a"), (2, "b")], {}, [Grant(1)]),
    ("another, leased", {"a": BUSY}, [(1, "b"), (2, "a")], {}, []),
    ("served before the other", {"a": BUSY}, [(1, "a"), (2, "b"), (3, "a")], {}, [Grant(1)]),
    ("starting", {"a": Resident("starting", 0)}, [(1, "a"), (2, "a")], {}, []),
    ("stopping", {"a": Resident("stopping", 0)}, [(1, "a")], {}, []),
    ("backing off", {}, [(1, "a")], {"a": Pause(0.4, False)}, [Later(0.4)]),
    ("backed off", {}, [(1, "a")], {"a": Pause(0.0, False)}, [Start("a")]),
    ("broken", {}, [(1, "a"), (2, "b")], {"a": Pause(9.0, True)}, [Refuse(1), Start("b")]),
    ("rested", {}, [(1, "a")], {"a": Pause(0.0, True)}, [Start("a")]),
    ("broken before, ready now", {"a": READY}, [(1, "a")], {"a": Pause(9.0, True)}, [Grant(1)]),
]


@pytest.mark.parametrize(
    ("residents", "waiting", "pauses", "decisions"), [r[1:] for r in TABLE], ids=[r[0] for r in TABLE]
)
def test_table(
    residents: dict[str, Resident],
    waiting: list[tuple[int, str]],
    pauses: dict[str, Pause],
    decisions: list[Decision],
) -> None:
    assert decide(residents, waiting, pauses) == decisions


class Simulation:
    """A daemon in which loading, unloading and answering take random time, in whole ticks."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.state: dict[str, State] = {}
        self.busy: dict[str, int] = {}
        self.leases: list[tuple[int, str]] = []  # (until, model)
        self.waiting: list[tuple[int, str]] = []
        self.arrived: dict[int, int] = {}
        self.order: list[int] = []
        self.longest = 0

    def tick(self, now: int, arrivals: int) -> None:
        for _ in range(arrivals):
            number = len(self.arrived)
            self.arrived[number] = now
            self.waiting.append((number, self.random.choice("aaaaaab")))
        self.leases = [lease for lease in self.leases if lease[0] > now]
        for model in [m for m, until in self.busy.items() if until <= now]:
            del self.busy[model]
            if self.state[model] == "starting":
                self.state[model] = "ready"
            else:
                del self.state[model]
        self.decide(now)

    def residents(self) -> Mapping[str, Resident]:
        return {m: Resident(s, sum(model == m for _, model in self.leases)) for m, s in self.state.items()}

    def decide(self, now: int) -> None:
        for decision in decide(self.residents(), self.waiting, {}):
            match decision:
                case Grant(number):
                    model = dict(self.waiting)[number]
                    self.waiting = [w for w in self.waiting if w[0] != number]
                    self.leases.append((now + self.random.randint(1, 8), model))
                    self.order.append(number)
                    self.longest = max(self.longest, now - self.arrived[number])
                case Start(model):
                    self.state[model], self.busy[model] = "starting", now + self.random.randint(1, 5)
                case Stop(model):
                    self.state[model], self.busy[model] = "stopping", now + self.random.randint(1, 3)
                case other:
                    raise AssertionError(other)
        assert len(self.state) <= 1


@pytest.mark.parametrize("seed", range(8))
def test_nobody_starves(seed: int) -> None:
    run, source = Simulation(seed), random.Random(seed + 1000)
    now = 0
    for now in range(600):
        run.tick(now, source.choice([0, 0, 1, 1, 2]))
    for now in range(600, 8000):
        if not run.waiting:
            break
        run.tick(now, 0)
    assert not run.waiting, "everybody was served in the end"
    assert run.order == sorted(run.order), "in order of arrival"
    assert len(run.order) == len(run.arrived) > 300
