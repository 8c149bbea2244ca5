"""The scheduler: `decide` as a pure function.

Promises: no decision breaks a lease, a pin or the bounds of memory; each rule of the scheduler has a line of the table that is
red without it (`test_each_rule_is_needed` takes the rules out one by one).
Does not cover: doing what was decided (`test_keeper.py`), whole schedules (`test_scheduler_storms.py`).
"""

from __future__ import annotations

import math
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homefire.residency import scheduler
from homefire.residency.fairness import Shares
from homefire.residency.scheduler import (
    FOREVER,
    Decision,
    Drain,
    Grant,
    Later,
    Pause,
    Refuse,
    Resident,
    Room,
    Start,
    Stop,
    Waiter,
    World,
    decide,
    taken,
)

NOW, PATIENCE, QUANTUM = 1000.0, 30.0, 7.5
MODELS = st.sampled_from(["a", "b", "c", "d"])
BYTES = st.dictionaries(st.sampled_from(["host", "gpu"]), st.integers(1, 10), min_size=1, max_size=2)
RESIDENTS = st.dictionaries(
    MODELS,
    st.builds(
        Resident,
        state=st.sampled_from(["starting", "ready", "ready", "stopping"]),
        leases=st.integers(0, 3),
        bytes=BYTES,
        slots=st.integers(0, 3),
        value=st.floats(0, 5),
        since=st.floats(900, NOW),
        ready_at=st.floats(900, NOW),
        keep_alive=st.sampled_from([0.0, 50.0, FOREVER]),
        pinned=st.booleans(),
        leaving=st.booleans(),
        draining=st.booleans(),
    ),
    max_size=4,
)
WAITING = st.lists(
    st.tuples(MODELS, st.floats(940, NOW), st.sampled_from(["x", "y"]), st.integers(1, 9)), max_size=8
).map(lambda rows: [Waiter(number, *row) for number, row in enumerate(rows, 10)])
WORLDS = st.builds(
    World,
    now=st.just(NOW),
    residents=RESIDENTS,
    waiting=WAITING,
    needs=st.dictionaries(MODELS, BYTES),
    room=st.dictionaries(st.sampled_from(["host", "gpu"]), st.integers(1, 20)).map(Room),
    pauses=st.dictionaries(MODELS, st.builds(Pause, st.sampled_from([0.0, 0.2, 60.0]), st.booleans())),
    patience=st.just(PATIENCE),
    quantum=st.just(QUANTUM),
)


def check(world: World, decisions: list[Decision]) -> None:
    """Fails unless each of these decisions is allowed in this world."""
    waiting = {waiter.number: waiter for waiter in world.waiting}
    decided = [d.waiter for d in decisions if isinstance(d, Grant | Refuse)]
    assert len(decided) == len(set(decided)) and set(decided) <= set(waiting)
    granted = Counter(waiting[d.waiter].model for d in decisions if isinstance(d, Grant))
    left = [d.model for d in decisions if isinstance(d, Stop | Drain)]
    started = [d.model for d in decisions if isinstance(d, Start)]
    assert len(left + started) == len(set(left + started)), "each model once"
    late = any(NOW - waiter.since >= PATIENCE for waiter in world.waiting)
    for model, count in granted.items():
        resident = world.residents[model]
        assert resident.state == "ready" and not resident.leaving and model not in left
        assert not resident.slots or resident.leases + count <= resident.slots
    for model in started:
        assert model not in world.residents and model in {waiter.model for waiter in world.waiting}
        assert model not in world.pauses or world.pauses[model].seconds == 0
    promised = taken(world.residents.values())
    for model in started:
        promised.update(world.needs[model])
        for device in world.needs[model]:
            assert promised[device] <= world.room.bytes.get(device, math.inf), "more is promised than there is"
    for decision in decisions:
        match decision:
            case Stop(model, why, _):
                resident = world.residents[model]
                assert resident.state == "ready" and resident.leases == 0
                assert not resident.pinned or why == "asked"
            case Drain(model, wanted):
                resident = world.residents[model]
                assert late and resident.leases and not resident.pinned and wanted not in world.residents
            case Refuse(number, why):
                model = waiting[number].model
                assert model not in world.residents
                if why == "broken":
                    assert world.pauses[model].broken and world.pauses[model].seconds > 0
                else:
                    assert any(size > world.room.bytes.get(d, math.inf) for d, size in world.needs[model].items()) or (
                        why == "pinned" and any(resident.pinned for resident in world.residents.values())
                    )
            case Later(seconds):
                assert 0 <= seconds < FOREVER


@settings(max_examples=150, deadline=None, database=None)
@given(WORLDS)
def test_every_decision_is_allowed(world: World) -> None:
    before = deepcopy(world)
    decisions = decide(world)
    assert world == before, "deciding changes nothing"
    assert decisions == decide(world)
    check(world, decisions)


@settings(max_examples=100, deadline=None, database=None)
@given(WORLDS)
def test_whoever_waits_waits_for_something(world: World) -> None:
    """Without a decision something must be under way that ends: a load, an end, a lease, a look at the sizes; or time passes."""
    world = replace(
        world, waiting=world.waiting[:1], residents={n: replace(r, pinned=False) for n, r in world.residents.items()}
    )
    known = all(waiter.model in world.needs for waiter in world.waiting)
    moving = any(r.state != "ready" or r.leases for r in world.residents.values())
    assert decide(world) or not world.waiting or not known or moving


def world(
    residents: dict[str, Resident] | None = None, wants: str = "", room: int | Room = 10, need: int = 5, **given: Any
) -> World:
    """A world with one device; `wants` names a model for each request, upper case for one that is past its patience."""
    tickets = [
        Waiter(number, model.lower(), NOW - (PATIENCE + 10 - number if model.isupper() else 1.0))
        for number, model in enumerate(wants, 1)
    ]
    needs = given.pop("needs", {model: {"host": need} for model in "abcdef"})
    found = World(
        NOW,
        residents or {},
        tickets,
        needs,
        room if isinstance(room, Room) else Room({"host": room}, slack=1),
        patience=PATIENCE,
        quantum=QUANTUM,
    )
    return replace(found, **given)


def ready(**given: Any) -> Resident:
    usual: dict[str, Any] = {"state": "ready", "bytes": {"host": 5}, "since": NOW - 100, "ready_at": NOW - 100}
    return Resident(**usual | given)


IDLE, BUSY, FRESH = ready(), ready(leases=2), ready(leases=2, ready_at=NOW - 1)
STARTING = ready(state="starting")
STOPPING = ready(state="stopping")
TWO_KEYS = [Waiter(1, "a", NOW, "x", 10), Waiter(2, "a", NOW, "x", 10), Waiter(3, "a", NOW, "y", 10)]
PAUSED, BROKEN = {"a": Pause(0.4, False)}, {"a": Pause(9.0, True)}

TABLE: dict[str, tuple[World, list[Decision]]] = {
    "empty memory": (world({}, "ab"), [Start("a"), Start("b")]),
    "room for one only": (world({}, "ab", need=6), [Start("a"), Later(PATIENCE - 1)]),
    "ready": (world({"a": BUSY}, "aa"), [Grant(1), Grant(2)]),
    "its slots are taken": (world({"a": ready(leases=1, slots=2)}, "aa"), [Grant(1)]),
    "beside another": (world({"a": BUSY}, "b"), [Start("b")]),
    "another, idle": (world({"a": IDLE}, "b", room=9), [Stop("a", "room", "b"), Later(PATIENCE - 1)]),
    "another, in use": (world({"a": BUSY}, "ba", room=9), [Grant(2), Later(PATIENCE - 1)]),
    "another, wanted and not served yet": (world({"a": IDLE}, "ba", room=9), [Grant(2), Later(PATIENCE - 1)]),
    "what stops holds its memory": (world({"a": STOPPING}, "b", room=9), []),
    "what starts holds its memory": (world({"a": STARTING}, "b", room=9), [Later(PATIENCE - 1)]),
    "what leaves is for the first": (world({"a": STOPPING, "b": IDLE}, "c"), []),
    "the cheapest leaves": (
        world({"a": ready(value=3.0), "b": ready(value=1.0)}, "c"),
        [Stop("b", "room", "c"), Later(PATIENCE - 1)],
    ),
    "by value for each byte": (
        world({"a": ready(value=1.0, bytes={"host": 2}), "b": ready(value=2.0, bytes={"host": 8})}, "c", need=6),
        [Stop("b", "room", "c"), Later(PATIENCE - 1)],
    ),
    "nothing leaves needlessly": (
        world({"a": ready(value=0.1, bytes={"host": 2}), "b": ready(value=5.0, bytes={"host": 8})}, "c", need=7),
        [Stop("b", "room", "c"), Later(PATIENCE - 1)],
    ),
    "nothing leaves if it does not suffice": (
        world({"a": ready(bytes={"host": 2}), "b": ready(leases=1, bytes={"host": 8})}, "c"), [Later(PATIENCE - 1)],
    ),
    "of two alike the one idle for longer": (
        world({"a": IDLE, "b": ready(since=NOW - 200)}, "c"), [Stop("b", "room", "c"), Later(PATIENCE - 1)],
    ),
    "pins stay": (
        world({"a": ready(pinned=True, value=0.0), "b": ready(value=9.0)}, "c"),
        [Stop("b", "room", "c"), Later(PATIENCE - 1)],
    ),
    "pins in the way": (world({"a": ready(pinned=True)}, "b", room=9), [Refuse(1, "pinned")]),
    "too large": (world({"a": IDLE}, "bc", needs={"b": {"host": 11}, "c": {"host": 5}}), [Refuse(1, "does_not_fit"), Start("c")]),
    "too large for its other device": (
        world({}, "a", needs={"a": {"host": 1, "gpu": 9}}, room=Room({"host": 10, "gpu": 8})), [Refuse(1, "does_not_fit")],
    ),
    "not sized yet": (world({}, "ab", needs={"b": {"host": 5}}), [Start("b")]),
    "late: drains who had its turn": (world({"a": BUSY}, "Ba", room=9), [Drain("a", "b")]),
    "late: not who has just begun": (
        world({"a": FRESH}, "Ba", room=9), [Grant(2), Later(QUANTUM - 1)],
    ),
    "late: who has begun and is wanted by nobody": (world({"a": FRESH}, "B", room=9), [Drain("a", "b")]),
    "late: idle ones first": (
        world({"a": ready(leases=2, value=0.0), "b": ready(value=9.0)}, "C"), [Stop("b", "room", "c")],
    ),
    "late: goes on with whom it began to drain": (
        world({"a": ready(leases=1, value=2.0, draining=True), "b": ready(leases=1, value=1.0)}, "C"), [Drain("a", "c")],
    ),
    "late: drained to the end": (
        world({"a": ready(draining=True), "b": BUSY}, "Ca", room=10), [Stop("a", "room", "c")],
    ),
    "late: takes what is free before others": (
        world({"a": ready(leases=1, pinned=True, bytes={"host": 2}), "d": replace(STARTING, bytes={"host": 4})}, "Bc", needs={
            "b": {"host": 6}, "c": {"host": 3}}), [Later(PATIENCE - 1)],
    ),
    "not late: others may pass": (
        world({"a": ready(leases=1, bytes={"host": 2}), "d": replace(STARTING, bytes={"host": 4})}, "bc", needs={
            "b": {"host": 6}, "c": {"host": 3}}), [Start("c"), Later(PATIENCE - 1)],
    ),
    "late ones by age": (world({}, "bA", need=6), [Start("a"), Later(PATIENCE - 1)]),
    "keys in turn": (
        world({"a": ready(slots=2)}, waiting=TWO_KEYS), [Grant(1), Grant(3)],
    ),
    "a key that had much waits": (
        world({"a": ready(slots=1)}, waiting=TWO_KEYS, shares=Shares(0.0, {"x": 50.0})), [Grant(3)],
    ),
    "keep-alive over": (world({"a": ready(keep_alive=99.0)}), [Stop("a", "keep_alive")]),
    "keep-alive not over": (world({"a": ready(keep_alive=101.0)}), [Later(1.0)]),
    "keep-alive of one in use": (world({"a": ready(keep_alive=0.0, leases=1)}), []),
    "keep-alive of a pinned one": (world({"a": ready(keep_alive=0.0, pinned=True)}), []),
    "keep-alive of one that is wanted": (world({"a": ready(keep_alive=0.0)}, "a"), [Grant(1)]),
    "scarce": (world({"a": IDLE, "b": ready(value=3.0)}, room=5), [Stop("a", "scarce")]),
    "scarce, but not by much": (world({"a": IDLE, "b": IDLE}, room=9), []),
    "scarce, and all in use": (world({"a": BUSY, "b": BUSY}, room=1), []),
    "asked to leave": (world({"a": ready(leaving=True)}, "a"), [Stop("a", "asked")]),
    "asked to leave, in use": (world({"a": ready(leaving=True, leases=1)}, "a"), []),
    "asked to leave, pinned": (world({"a": ready(leaving=True, pinned=True)}), [Stop("a", "asked")]),
    "backing off": (world({}, "a", pauses=PAUSED), [Later(0.4)]),
    "backed off": (world({}, "a", pauses={"a": Pause(0.0, False)}), [Start("a")]),
    "broken": (world({}, "ab", pauses=BROKEN), [Refuse(1, "broken"), Start("b")]),
    "rested": (world({}, "a", pauses={"a": Pause(0.0, True)}), [Start("a")]),
    "broken before, ready now": (world({"a": IDLE}, "a", pauses=BROKEN), [Grant(1)]),
    "nobody waits": (world({"a": IDLE}), []),
}  # fmt: skip


def outcome(name: str) -> bool:
    given_world, wanted = TABLE[name]
    return decide(given_world) == wanted


@pytest.mark.parametrize("name", TABLE)
def test_table(name: str) -> None:
    given_world, wanted = TABLE[name]
    assert decide(given_world) == wanted
    check(given_world, wanted)


R = scheduler._Round
# A rule that is taken out -> a line of the table that must then be red.
MUTANTS: dict[str, tuple[Any, str, Any, str]] = {
    "what stops is free at once": (
        scheduler, "taken", lambda residents: taken(r for r in residents if r.state != "stopping"),
        "what stops holds its memory",
    ),
    "nobody is ever late": (R, "_late", lambda self, waiter: False, "late: drains who had its turn"),
    "no quantum": (R, "_had_its_turn", lambda self, name, resident: True, "late: not who has just begun"),
    "needless ones leave": (R, "_without_needless", lambda self, chosen, short: chosen, "nothing leaves needlessly"),
    "no keep-alive": (R, "_expire", lambda self: None, "keep-alive over"),
    "no relief": (R, "_relieve", lambda self: None, "scarce"),
    "no claims": (R, "_claim", lambda self, need: None, "late: takes what is free before others"),
    "no fairness": (Shares, "in_turn", lambda self, waiting: list(waiting), "keys in turn"),
}  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_rule_is_needed(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, fault, line = MUTANTS[mutant]
    assert outcome(line)
    monkeypatch.setattr(where, name, fault)
    assert not outcome(line)


def test_two_keys_get_the_same_tokens() -> None:
    """One sends 300 requests at once, the other short ones now and then: tokens are shared evenly while both wait."""
    shares, served = Shares(), Counter[str]()
    waiting = [Waiter(number, "a", NOW, "many", 700) for number in range(300)]
    waiting += [Waiter(number, "a", NOW, "few", 90) for number in range(300, 340)]
    for _ in range(40):
        first = shares.in_turn(waiting)[0]
        waiting.remove(first)
        shares.charge(first.key, first.cost)
        served[first.key] += first.cost
    assert abs(served["many"] - served["few"]) <= 700
    late = Waiter(999, "a", NOW, "new", 5000)
    assert shares.in_turn([*waiting, late]).index(late) <= 2, (
        "a key that comes anew does not wait behind what others sent"
    )
    own = [waiter.number for waiter in shares.in_turn(waiting) if waiter.key == "many"]
    assert own == sorted(own), "a key's own requests keep their order"
