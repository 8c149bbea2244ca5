"""The keeper and memory: several models, what makes room, pins, keep-alive, measured sizes, loads that run out, the decision log.

Promises: the clock is the test's; what a person is told (numbers, reasons) is held too.
Does not cover: single decisions (`test_scheduler.py`), random schedules (`test_scheduler_storms.py`), real memory.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import DoesNotFit, EngineFailed, Overloaded
from homefire.residency.decisions import BEHIND, KEPT, Decisions
from homefire.residency.keeper import LONGEST_KEEP_ALIVE
from homefire.residency.plan import HOST
from homefire.residency.read_ahead import read_ahead
from tests.null.keeper_bench import Bench, problem_of, run, settle, waiting


async def use(bench: Bench, *models: str, **given: Any) -> None:
    for model in models:
        (await bench.keeper.ensure(model, **given)).release()


def test_as_many_as_fit() -> None:
    async def work(bench: Bench) -> None:
        await use(bench, "a", "b", "c")
        assert set(bench.state[0]) == {"a", "b", "c"} and bench.names == ["a", "b", "c"]
        bench.now += 1
        await use(bench, "b", "c", "b", "c", "d")
        await settle()
        assert set(bench.state[0]) == {"b", "c", "d"}, "the one that is wanted least made room"
        assert bench.kinds[-2:] == [("evicted", "a"), ("loaded", "d")]
        assert "makes room for 'd'" in bench.keeper.decisions.last("a")[0].reason

    run(work, room=3)


def test_a_load_does_not_hold_up_who_is_served() -> None:
    async def work(bench: Bench) -> None:
        await use(bench, "a")
        bench.gate.clear()
        (slow,) = waiting(bench, "b")
        await settle()
        await asyncio.wait_for(use(bench, "a"), 5)
        assert not slow.done()
        bench.gate.set()
        (await slow).release()

    run(work, room=2)


def test_two_loads_cannot_take_the_same_memory() -> None:
    async def work(bench: Bench) -> None:
        bench.memory.sizes = {"a": 6, "b": 6}
        bench.gate.clear()
        one, two = waiting(bench, "a", "b")
        await settle()
        assert bench.names == ["a"], "what loads has its memory already"
        bench.gate.set()
        (await one).release()
        (await two).release()
        assert bench.names == ["a", "b"] and bench.started[0].ended

    run(work, room=10)


def test_what_fits_nowhere_is_refused_at_once_with_numbers() -> None:
    async def work(bench: Bench) -> None:
        bench.memory.sizes = {"big": 11 << 30}
        held = await bench.keeper.ensure("a")
        with pytest.raises(DoesNotFit, match=r"'big' needs 11.0 GiB of main memory.*10.0 GiB.*this is a bench"):
            await bench.keeper.ensure("big")
        assert bench.state == ({"a": ("ready", 1)}, 0), "nothing had to leave for it"
        assert bench.kinds[-1] == ("refused", "big")
        bench.memory.total = 12 << 30  # another program has ended
        held.release()
        await use(bench, "big")

    run(work, room=10 << 30)


def test_a_pinned_model_stays() -> None:
    async def work(bench: Bench) -> None:
        await use(bench, "a")
        bench.keeper.pin("a", True)
        await use(bench, "b", "c")
        assert set(bench.state[0]) == {"a", "c"}
        bench.memory.sizes = {"d": 2}
        with pytest.raises(DoesNotFit, match="beside the pinned ones"):
            await bench.keeper.ensure("d")
        bench.now += 1e6
        bench.keeper.look()
        await settle()
        assert set(bench.state[0]) == {"a"}, "a keep-alive does not end it"
        bench.keeper.pin("a", False)
        await use(bench, "d")
        assert set(bench.state[0]) == {"d"}

    run(work, room=2)


def test_keep_alive() -> None:
    async def work(bench: Bench) -> None:
        await use(bench, "a")
        await use(bench, "b", keep_alive=-1.0)
        await use(bench, "c", keep_alive=50.0)
        await use(bench, "d", keep_alive=0.0)
        await settle()
        assert set(bench.state[0]) == {"a", "b", "c"}, "0 leaves at once"
        held = await bench.keeper.ensure("a")
        for after, left in ((49.0, {"a", "b", "c"}), (2.0, {"a", "b"}), (100.0, {"a", "b"})):
            bench.now += after
            bench.keeper.look()
            await settle()
            assert set(bench.state[0]) == left
        held.release()  # idle from now on
        bench.now += 99.0
        bench.keeper.look()
        await settle()
        assert set(bench.state[0]) == {"a", "b"}
        bench.now += 1e9
        bench.keeper.look()
        await settle()
        assert set(bench.state[0]) == {"b"}, "a negative one stays"
        assert bench.kinds[-1] == ("evicted", "a")
        assert "Nobody asked for it for 100 s" in bench.keeper.decisions.last("a")[0].reason
        await use(bench, "b", keep_alive=31_536_000.0)
        assert bench.keeper.table().models[0].keep_alive_s == LONGEST_KEEP_ALIVE
        assert bench.kinds[-1] == ("shortened", "b"), "a year is shortened, and said"

    run(work, room=10, keep_alive=100.0)


def test_the_timer_of_a_keep_alive_rings() -> None:
    async def work(bench: Bench) -> None:
        bench.now = 0.0  # the real clock
        await use(bench, "a", keep_alive=0.05)
        await bench.until(lambda: bench.state == ({}, 0))

    run(work)


def test_unload_lets_answers_end() -> None:
    async def work(bench: Bench) -> None:
        assert not await bench.keeper.unload("a")
        held = await bench.keeper.ensure("a")
        leaving = asyncio.ensure_future(bench.keeper.unload("a"))
        (later,) = waiting(bench, "a")
        await settle()
        assert bench.state == ({"a": ("draining", 1)}, 1) and not bench.started[0].ended
        held.release()
        assert await asyncio.wait_for(leaving, 5)
        assert bench.started[0].ended
        (await asyncio.wait_for(later, 5)).release()
        assert bench.names == ["a", "a"], "who asked meanwhile got a new one"
        again = await bench.keeper.ensure("a")
        assert await asyncio.wait_for(bench.keeper.unload("a", now=True), 5), "`now` waits for nobody"
        again.release()

    run(work)


def test_what_is_idle_goes_when_the_governor_says_so() -> None:
    async def work(bench: Bench) -> None:
        await use(bench, "idle", "pinned")
        bench.keeper.pin("pinned", True)
        held = await bench.keeper.ensure("busy")
        await bench.keeper.let_idle_go("It is too hot.")
        assert set(bench.state[0]) == {"pinned", "busy"} and bench.kinds[-1] == ("evicted", "idle")
        held.release()

    run(work, room=3)


def test_a_load_that_runs_out_of_memory_is_tried_smaller_once() -> None:
    async def work(bench: Bench) -> None:
        bench.memory.sizes = {"a": 8}
        bench.failures["a"] = EngineFailed("It was not ready: out of memory.")
        await use(bench, "a")
        assert bench.names == ["a", "a"] and bench.memory.asked == [("a", False), ("a", True)]
        assert bench.kinds == [("retried_smaller", "a"), ("loaded", "a")]
        assert "half the context" in bench.keeper.decisions.last()[1].reason
        (row,) = bench.keeper.table().models
        assert row.smaller and row.reserved_bytes == {HOST: 4} and row.as_loaded == "half the context"

    run(work, room=10)


def test_a_load_that_fails_for_another_reason_is_not_tried_again() -> None:
    async def work(bench: Bench) -> None:
        bench.failures["a"] = EngineFailed("The file is broken.")
        (task,) = waiting(bench, "a")
        assert isinstance(await problem_of(task), EngineFailed)
        assert bench.names == ["a"] and bench.kinds == [("failed", "a")]

    run(work)


def test_what_a_load_really_took_counts_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(bench: Bench) -> None:
        monkeypatch.setattr("homefire.engines.null.Null.pid", property(lambda self: 77))
        bench.memory.measured[77] = 7
        await use(bench, "a")
        await settle()
        (row,) = bench.keeper.table().models
        assert (row.estimated_bytes, row.reserved_bytes, row.measured_bytes) == ({HOST: 1}, {HOST: 7}, 7)
        bench.memory.measured.clear()
        await bench.keeper.evict("a")
        await use(bench, "a")
        assert bench.keeper.table().models[0].reserved_bytes == {HOST: 7}, "also at the next load"

    run(work, room=10)


def test_each_key_has_its_part_of_the_queue() -> None:
    async def work(bench: Bench) -> None:
        held = await bench.keeper.ensure("a")
        many = [asyncio.ensure_future(bench.keeper.ensure("b", key="many")) for _ in range(3)]
        await settle()
        with pytest.raises(Overloaded, match="3 requests of this key"):
            await bench.keeper.ensure("b", key="many")
        other = asyncio.ensure_future(bench.keeper.ensure("b", key="other"))
        await settle()
        assert bench.state[1] == 4
        held.release()
        for task in (*many, other):
            (await asyncio.wait_for(task, 5)).release()

    run(work, queue_per_key=3)


def test_more_than_its_slots_wait_in_turn() -> None:
    async def work(bench: Bench) -> None:
        heard: list[tuple[int, float]] = []
        first, second = await bench.keeper.ensure("a"), await bench.keeper.ensure("a")
        third = asyncio.ensure_future(bench.keeper.ensure("a", told=lambda place, eta: heard.append((place, eta))))
        (fourth,) = waiting(bench, "a")
        await settle()
        assert bench.state == ({"a": ("ready", 2)}, 2) and [place for place, _ in heard] == [1]
        assert bench.kinds[-1] == ("queued", "a") and "All its 2 places" in bench.keeper.decisions.last("a")[0].reason
        first.release()
        (await asyncio.wait_for(third, 5)).release()
        (await asyncio.wait_for(fourth, 5)).release()
        second.release()

    run(work, slots=2)


def test_the_table_says_what_waits_and_what_leaves_next() -> None:
    async def work(bench: Bench) -> None:
        held = await bench.keeper.ensure("a")
        bench.now += 5
        await use(bench, "b")
        one, two = waiting(bench, "c", "c")
        bench.memory.sizes = {"c": 2}
        await settle()
        bench.now += 2
        found = bench.keeper.table()
        assert {row.name: (row.leases, row.idle_s) for row in found.models} == {"a": (1, None), "b": (0, 2.0)}
        (row,) = found.waiting
        assert (row.model, row.requests, row.oldest_s) == ("c", 2, 2.0) and row.eta_s > 0
        assert [(device.name, device.room_bytes, device.reserved_bytes) for device in found.devices] == [(HOST, 2, 2)]
        assert found.next_to_leave == {"model": "b", "in_s": 98.0, "why": "its keep-alive ends, if nobody asks for it"}
        queued = bench.keeper.decisions.last("c")[0]
        assert queued.kind == "queued" and "'a' (ready, 1 in use)" in queued.reason
        held.release()
        for task in (one, two):
            (await asyncio.wait_for(task, 5)).release()

    run(work, room=2, keep_alive=100.0)


def test_the_log_keeps_the_newest_and_counts_repeats() -> None:
    log = Decisions(clock=lambda: 5.0)
    for number in range(KEPT + 10):
        log.note("loaded", f"m{number}", "It was wanted.")
    assert [entry.model for entry in log.last(limit=2)] == [f"m{KEPT + 9}", f"m{KEPT + 8}"] and len(log.last()) == KEPT
    for _ in range(3):
        log.note("refused", "x", "Too many wait.")
    assert (log.last("x")[0].times, len(log.last("x"))) == (3, 1)
    log.note("refused", "x", "It is broken.")
    assert [entry.times for entry in log.last("x")] == [1, 3]


def test_a_listener_hears_and_a_slow_one_holds_up_nobody() -> None:
    async def work() -> None:
        log = Decisions()
        with log.listening() as queue:
            for number in range(1000):
                log.note("loaded", "m", f"reason {number}")
            assert queue.get_nowait().reason == f"reason {1000 - BEHIND}"
        assert not log._listeners

    asyncio.run(work())


def test_reading_ahead_is_bounded(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_bytes(b"x" * 5000)
    second.write_bytes(b"x" * 5000)
    found = read_ahead([first, tmp_path / "none", second], 7000)
    assert found == 7000 or not hasattr(__import__("os"), "posix_fadvise")
    assert read_ahead([first], 0) == read_ahead([first], -5) == 0


def test_what_waits_is_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[list[str], int]] = []
    monkeypatch.setattr(
        "homefire.residency.keeper.read_ahead", lambda files, most: read.append(([f.name for f in files], most))
    )

    async def work(bench: Bench) -> None:
        bench.memory.files = (Path("b.gguf"),)
        bench.memory.sizes = {"a": 3, "b": 8}
        held = await bench.keeper.ensure("a")
        (task,) = waiting(bench, "b")
        await bench.until(lambda: bool(read))
        held.release()
        (await task).release()
        assert read == [(["b.gguf"], 7)], "as much as lies free beside what is in memory, once"

    run(work, room=10)
