"""The governor on a clock that is a number, the regulator with levers that only note, and GPU limits on a made-up library.

Promises: each rule has readings that set it off and readings that end it; levels neither flap nor leave their range, whatever
comes; a limit is written down before it is set and taken back after every way of ending.
Does not cover: a killed daemon (`tests/process/test_supervision_daemon.py`), real GPUs.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homefire.daemon.handed import Levers
from homefire.errors import EngineFailed
from homefire.hardware.governor import CALM_SECONDS, DWELL_SECONDS, GIB, RULES, Bounds, Decision, Governor, Wish
from homefire.hardware.gpu_limits import GpuLimits
from homefire.hardware.regulator import Regulator
from homefire.hardware.sensors import CpuReading, GpuReading, Live, Reading, Sensors
from tests.null import nvml_library as fake


def reading(**given: Any) -> Reading:
    """A machine that is well, but for what is given (cpu_c, cpu_slowed, gpu_c, gpu_slowed, gpu_used, free)."""
    cpu = CpuReading(temperature_c=given.get("cpu_c", 50.0), slowed=given.get("cpu_slowed", False))
    gpu = GpuReading(
        "nvidia",
        "the GPU",
        memory_used_bytes=given.get("gpu_used", GIB),
        memory_total_bytes=24 * GIB,
        temperature_c=given.get("gpu_c", 50.0),
        slowed=given.get("gpu_slowed", False),
    )
    return Reading(1000.0, cpu, (gpu,), 16 * GIB, given.get("free", 8 * GIB))


def drive(
    governor: Governor, found: Reading, begin: float, seconds: float, every: float = 5.0
) -> list[tuple[float, Decision]]:
    """The same reading for a while; decisions with their times."""
    decided, now = [], begin
    while now < begin + seconds:
        decided += [(now, each) for each in governor.look(found, now)]
        now += every
    return decided


def test_all_is_well() -> None:
    governor = Governor()
    assert drive(governor, reading(), 0.0, 600.0) == []
    assert governor.wish() == Wish()


BAD = [
    ("cpu heat", {"cpu_c": 80.0}, {"cpu_c": 79.9}, {"cpu_c": 72.0}),
    ("cpu clocks", {"cpu_slowed": True}, None, {"cpu_slowed": False}),
    ("gpu heat", {"gpu_c": 95.0}, {"gpu_c": 73.0}, {"gpu_c": 60.0}),
    ("gpu clocks", {"gpu_slowed": True}, None, {"gpu_slowed": False}),
    ("memory", {"free": GIB - 1}, {"free": GIB}, {"free": 3 * GIB // 2}),
    ("gpu memory", {"gpu_used": 24 * GIB - GIB + 1}, {"gpu_used": 23 * GIB}, {"gpu_used": 22 * GIB}),
]


@pytest.mark.parametrize(("rule", "bad", "between", "good"), BAD, ids=[row[0] for row in BAD])
def test_each_rule_rises_holds_and_falls(
    rule: str, bad: dict[str, Any], between: dict[str, Any] | None, good: dict[str, Any]
) -> None:
    governor = Governor()
    assert governor.look(reading(**bad), 0.0) == [], "one look is not enough"
    (first,) = governor.look(reading(**bad), 5.0)
    assert (first.rule, first.level_before, first.level, first.at) == (rule, 0, 1, 1000.0)
    assert first.reading in first.words()
    rises = drive(governor, reading(**bad), 10.0, 300.0)
    assert {each.rule for _, each in rises} == {rule}
    assert [each.level for _, each in rises][:2] == [2, 3]
    assert governor.levels()[rule] == 3
    wishes = next(each.wishes for each in RULES if each.name == rule)
    assert governor.wish() == wishes[2]
    begin = 400.0
    if between is not None:
        assert drive(governor, reading(**between), begin, 300.0) == [], "between bad and good nothing changes"
        begin += 300.0
    falls = drive(governor, reading(**good), begin, 600.0)
    assert [each.level for _, each in falls] == [2, 1, 0]
    times = [begin, *(time for time, _ in falls)]
    assert all(later - earlier >= CALM_SECONDS for earlier, later in pairwise(times))
    assert governor.wish() == Wish()


def test_one_bad_look_among_good_ones_changes_nothing() -> None:
    governor = Governor()
    for now in range(0, 1000, 10):
        hot = now % 20 == 0
        assert governor.look(reading(cpu_c=99.0 if hot else 50.0), float(now)) == []


def test_one_good_look_does_not_end_it() -> None:
    governor = Governor()
    drive(governor, reading(cpu_c=90.0), 0.0, 10.0)
    for now in range(10, 1000, 5):  # just when the calm would be over it is warm again, below the ceiling
        governor.look(reading(cpu_c=76.0 if now % 50 == 0 else 60.0), float(now))
    assert governor.levels()["cpu heat"] == 1


@settings(max_examples=60, deadline=None, database=None)
@given(st.lists(st.tuples(st.floats(0.2, 30.0), st.floats(20.0, 110.0), st.integers(0, 16 * GIB)), max_size=200))
def test_it_never_flaps(looks: list[tuple[float, float, int]]) -> None:
    governor, now = Governor(), 0.0
    changes: dict[str, float] = {}
    for passed, celsius, free in looks:
        now += passed
        for decision in governor.look(reading(cpu_c=celsius, gpu_c=celsius, free=free), now):
            assert now - changes.get(decision.rule, -1e9) >= DWELL_SECONDS
            changes[decision.rule] = now
            assert abs(decision.level - decision.level_before) <= 1
        assert all(0 <= level <= 3 for level in governor.levels().values())


def test_a_sensor_that_falls_silent_does_not_hold_the_machine_down() -> None:
    governor = Governor()
    drive(governor, reading(cpu_c=90.0), 0.0, 10.0)
    assert governor.levels()["cpu heat"] == 1
    (fall,) = [each for _, each in drive(governor, reading(cpu_c=None), 10.0, 100.0)]
    assert (fall.level, fall.reading) == (0, "is not shown any more")


def test_the_strictest_wish_counts() -> None:
    governor = Governor()
    drive(governor, reading(cpu_c=90.0, free=0), 0.0, 60.0)
    wish = governor.wish()
    assert wish.threads == 0.25
    assert wish.context == 0.25
    assert wish.batch == 0.25


def test_a_small_memory_keeps_an_eighth() -> None:
    assert Bounds().floor(16 * GIB) == GIB
    assert Bounds().floor(2 * GIB) == GIB // 4


def test_unload_for_heat_comes_once() -> None:
    """A model that is idle makes no heat: to drop it again and again would only make it load again and again."""
    for hot in (reading(cpu_c=99.0), reading(gpu_c=99.0), reading(cpu_slowed=True)):
        assert sum(each.wish.unload for _, each in drive(Governor(), hot, 0.0, 600.0)) == 1


def test_unload_is_repeated_while_the_memory_is_short() -> None:
    times = [time for time, each in drive(Governor(), reading(free=0), 0.0, 200.0) if each.wish.unload]
    assert len(times) >= 10
    assert min(b - a for a, b in pairwise(times)) >= DWELL_SECONDS


# -- the regulator


class Noting:
    """Levers that write down what was pulled."""

    def __init__(self, broken: bool = False) -> None:
        self.pulled: list[tuple[str, Any]] = []
        self.broken = broken

    def set_threads(self, share: float) -> None:
        self.pulled.append(("threads", share))

    def set_batch(self, share: float) -> None:
        self.pulled.append(("batch", share))

    def set_context(self, share: float) -> None:
        self.pulled.append(("context", share))

    async def set_gpu_power(self, share: float) -> None:
        if self.broken:
            raise OSError("no driver")
        self.pulled.append(("gpu_power", share))

    async def unload_idle(self, reason: str) -> None:
        if self.broken:
            raise EngineFailed("it does not go")
        self.pulled.append(("unload", reason))


class Given(Sensors):
    """Shows what it is told."""

    def __init__(self, found: Reading) -> None:
        super().__init__()
        self.found = found

    def read(self) -> Reading:
        import dataclasses
        import time

        return dataclasses.replace(self.found, at=time.time())


def regulator(sensors: Sensors, levers: Noting, **given: Any) -> Regulator:
    return Regulator(Live(sensors, clock=iter(range(10_000)).__next__), Governor(), levers, 0.01, **given)


def test_decisions_are_logged_kept_told_and_done(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        levers = Noting()
        heard: list[Decision] = []
        made = regulator(Given(reading(free=0)), levers, heard=heard.append)
        await made.look()
        (decision,) = await made.look()
        assert levers.pulled == [("unload", decision.words())]
        assert heard == [decision] == list(made.decisions)
        assert made.view()["decisions"][0]["words"] == decision.words()
        assert made.view()["levels"]["memory"] == 1

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert "0.00 GiB free in the main memory, floor 1.00" in caplog.text


def test_at_its_end_every_lever_is_back() -> None:
    async def scenario() -> None:
        levers = Noting()
        made = regulator(Given(reading(gpu_c=99.0)), levers)
        task = asyncio.ensure_future(made.run())
        while not levers.pulled:  # noqa: ASYNC110  nothing tells when the lever is pulled
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert levers.pulled == [("gpu_power", 0.8), ("gpu_power", 1.0)]

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_lever_that_fails_does_not_end_the_looking(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        made = regulator(Given(reading(gpu_c=99.0, free=0)), Noting(broken=True))
        await made.look()
        await made.look()
        await made.look()

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert "a lever failed: no driver" in caplog.text
    assert "a lever failed: it does not go" in caplog.text


def test_it_looks_only_when_needed() -> None:
    class Counting(Given):
        looks = 0

        def read(self) -> Reading:
            self.looks += 1
            return super().read()

    async def scenario() -> None:
        wanted, sensors = [False], Counting(reading())
        made = regulator(sensors, Noting(), needed=lambda: wanted[0])
        task = asyncio.ensure_future(made.run())
        await asyncio.sleep(0.2)
        assert sensors.looks == 0
        wanted[0] = True
        while not sensors.looks:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(asyncio.wait_for(scenario(), 60))


# -- the daemon's levers


def test_what_the_levers_move(state: Path) -> None:
    async def scenario() -> None:
        left: list[str] = []

        class Keeper:
            async def let_idle_go(self, reason: str) -> None:
                left.append(reason)

        for may_limit in (False, True):
            levers = Levers(cast(Any, Keeper()), limits(state), may_limit)
            assert (levers.threads, levers.batch_size, levers.context_of(8192)) == (1.0, 0, 8192)
            levers.set_threads(0.5)
            levers.set_batch(0.25)
            levers.set_context(0.5)
            assert (levers.threads, levers.batch_size) == (0.5, 128)
            assert [levers.context_of(tokens) for tokens in (8192, 600, 300)] == [4096, 512, 300]
            await levers.set_gpu_power(0.8)
            assert fake.read(state)["limit"] == (240000 if may_limit else 300000), "off unless a person switched it on"
            await levers.unload_idle("why")
            levers.set_batch(1.0)
            levers.set_context(1.0)
            await levers.set_gpu_power(1.0)
            assert (levers.batch_size, levers.context_of(8192)) == (0, 8192)
            assert fake.read(state) == fake.STATE
        assert left == ["why", "why"]

    asyncio.run(scenario())


# -- GPU limits


@pytest.fixture
def state(tmp_path: Path) -> Path:
    fake.write(tmp_path / "state")
    (tmp_path / "boot").write_text("this one")
    return tmp_path / "state"


def limits(state: Path, **given: Any) -> GpuLimits:
    library = given.pop("library", None) or fake.Library(state)
    return GpuLimits(state.parent / "gpu-limits.json", lambda: library, state.parent / "boot")


def test_lowered_and_taken_back(state: Path) -> None:
    made = limits(state)
    made.lower(0.8)
    assert (fake.read(state)["limit"], fake.read(state)["locked"]) == (240000, 1600)
    made.lower(0.5)
    assert (fake.read(state)["limit"], fake.read(state)["locked"]) == (150000, 1000), (
        "of what was before the first change"
    )
    made.lower(0.1)
    assert fake.read(state)["limit"] == 100000, "not below what the GPU takes"
    made.lower(1.0)
    assert fake.read(state) == fake.STATE
    assert not (state.parent / "gpu-limits.json").exists()
    assert made.revert() is False


def test_the_wish_is_on_disk_before_anything_is_set(state: Path) -> None:
    class Watching(fake.Library):
        def _answer(self, name: str, *given: Any) -> int:
            if "Set" in name:
                assert "planned" in (state.parent / "gpu-limits.json").read_text()
            return super()._answer(name, *given)

    limits(state, library=Watching(state)).lower(0.8)
    assert fake.read(state)["limit"] == 240000


def test_a_leftover_is_taken_back_by_the_next_one(state: Path) -> None:
    limits(state).lower(0.8)
    assert limits(state).revert() is True
    assert fake.read(state) == fake.STATE


def test_a_crash_between_writing_and_setting(state: Path) -> None:
    made = limits(state)
    made.lower(0.8)
    fake.change(state, refuse=1)  # the next one is written and not set
    made.lower(0.6)
    fake.change(state, refuse=0)
    assert fake.read(state)["limit"] == 240000
    limits(state).revert()
    assert fake.read(state) == fake.STATE


def test_what_somebody_else_set_meanwhile_stays(state: Path) -> None:
    limits(state).lower(0.8)
    fake.change(state, limit=200000)
    limits(state).revert()
    assert fake.read(state)["limit"] == 200000
    assert fake.read(state)["locked"] == 0


def test_after_a_reboot_nothing_is_put_back(state: Path) -> None:
    limits(state).lower(0.8)
    (state.parent / "boot").write_text("the next one")
    fake.write(state, limit=240000)  # set by a person, who happens to like the same
    assert limits(state).revert() is False
    assert fake.read(state)["limit"] == 240000
    assert not (state.parent / "gpu-limits.json").exists()


def test_no_permission(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    fake.change(state, refuse=1)
    made = limits(state)
    with caplog.at_level(logging.WARNING):
        made.lower(0.8)
        made.lower(0.6)
    assert caplog.text.count("refuses lower limits") == 1, "asked once, not for ever"
    fake.change(state, refuse=0)
    made.revert()
    assert fake.read(state) == fake.STATE


def test_broken_wish_and_no_driver(state: Path) -> None:
    wish = state.parent / "gpu-limits.json"
    for text in ("", "{", "[]", '{"boot": "this one"}'):
        wish.write_text(text)
        assert limits(state).revert() is False
        assert not wish.exists()
    limits(state).lower(0.8)

    def gone() -> Any:
        raise OSError("no driver")

    assert GpuLimits(wish, gone, state.parent / "boot").revert() is True
    assert wish.exists(), "kept for a start with the driver"
