"""The keeper with null engines: who gets a lease when, and what crashes, time-outs and the end do.

Promises: every waiter gets a lease or one clear error, nothing is left behind by those who leave, a crashed model comes back
after its pause and not before. The clock and the pauses are patched, nothing sleeps for them.
Does not cover: the order of decisions (`test_scheduler.py`), real children (`tests/process`).
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homefire.errors import (
    Overloaded,
    ShuttingDown,
    UnknownModel,
)
from homefire.supervision.backoff import CRASHES_TO_BREAK
from tests.null.keeper_bench import Bench, problem_of, run, settle, waiting


def test_loaded_once_and_leased_many_times() -> None:
    async def work(bench: Bench) -> None:
        first = await bench.keeper.ensure("a")
        second = await bench.keeper.ensure("a")
        assert first.engine is second.engine is bench.started[0]
        assert bench.state == ({"a": ("ready", 2)}, 0)
        assert bench.keeper.is_resident("a") and not bench.keeper.is_resident("b")
        second.release()
        second.release()
        assert bench.state == ({"a": ("ready", 1)}, 0), "giving back twice counts once"
        async with first:
            pass
        assert bench.state == ({"a": ("ready", 0)}, 0), "it stays in memory"
        assert bench.names == ["a"]

    run(work)


def test_where_one_fits_nobody_loses_a_lease() -> None:
    async def work(bench: Bench) -> None:
        held = await bench.keeper.ensure("a")
        (other,) = waiting(bench, "b")
        await settle()
        assert bench.state == ({"a": ("ready", 1)}, 1) and not bench.started[0].ended
        held.release()
        lease = await other
        assert bench.names == ["a", "b"] and bench.started[0].ended
        assert bench.state == ({"b": ("ready", 1)}, 0)
        lease.release()

    run(work)


def test_those_of_one_model_go_together() -> None:
    async def work(bench: Bench) -> None:
        order: list[str] = []

        async def use(name: str, model: str) -> None:
            async with await bench.keeper.ensure(model) as lease:
                order.append(name)
                assert not lease.engine.ended  # type: ignore[attr-defined]
                await settle()
                assert not lease.engine.ended  # type: ignore[attr-defined]

        held = await bench.keeper.ensure("a")
        wanted = [("1", "b"), ("2", "a"), ("3", "c"), ("4", "b"), ("5", "a"), ("6", "c")]
        tasks = [asyncio.ensure_future(use(name, model)) for name, model in wanted]
        await settle()
        assert order == ["2", "5"], "what wants the model in memory does not wait behind who wants another"
        held.release()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
        assert order == ["2", "5", "1", "4", "3", "6"]
        assert bench.names == ["a", "b", "c"]

    run(work)


def test_two_that_wait_while_it_loads_for_different_models() -> None:
    """The first lease must not be taken back by the second's wish in the same breath."""

    async def work(bench: Bench) -> None:
        bench.gate.clear()
        one, two = waiting(bench, "a", "b")
        await settle()
        assert bench.state == ({"a": ("starting", 0)}, 2)
        bench.gate.set()
        lease = await one
        await settle()
        assert not bench.started[0].ended and not two.done()
        lease.release()
        (await two).release()

    run(work)


def test_who_leaves_leaves_nothing() -> None:
    async def work(bench: Bench) -> None:
        bench.gate.clear()
        one, two, three = waiting(bench, "a", "b", "a")
        await settle()
        two.cancel()
        await asyncio.wait((two,))
        assert bench.state[1] == 2
        bench.gate.set()
        assert (await one).engine is (await three).engine
        assert bench.state == ({"a": ("ready", 2)}, 0) and bench.names == ["a"]
        # Cancelled in the very turn of the loop in which its lease is granted.
        for lease in (await one, await three):
            lease.release()
        (held,) = waiting(bench, "b")
        bench.gate.clear()
        await bench.until(lambda: bench.names == ["a", "b"])
        bench.gate.set()
        await bench.until(lambda: bench.keeper.is_resident("b"))
        held.cancel()
        await asyncio.wait((held,))
        await settle()
        leases = 0 if held.cancelled() else 1
        assert bench.state == ({"b": ("ready", leases)}, 0)

    run(work)


def test_who_leaves_in_the_turn_of_the_grant_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(bench: Bench) -> None:
        bench.gate.clear()
        (task,) = waiting(bench, "a")
        await settle()
        real = bench.keeper._lease

        def lease(*given: Any) -> Any:
            asyncio.get_running_loop().call_soon(task.cancel)  # before the waiter wakes up, after it was granted
            return real(*given)

        monkeypatch.setattr(bench.keeper, "_lease", lease)
        bench.gate.set()
        await asyncio.wait((task,), timeout=5)
        assert task.cancelled(), "the cancellation is not lost"
        assert bench.state == ({"a": ("ready", 0)}, 0)

    run(work)


def test_unknown_at_once_even_behind_others() -> None:
    async def work(bench: Bench) -> None:
        lease = await bench.keeper.ensure("a")
        (other,) = waiting(bench, "b")
        await settle()
        with pytest.raises(UnknownModel):
            await bench.keeper.ensure("none")
        bench.unknown.add("b")  # removed while somebody waits for it
        lease.release()
        assert isinstance(await problem_of(other), UnknownModel)
        assert bench.state[1] == 0

    run(work)


def test_waiting_has_an_end_and_the_queue_too() -> None:
    async def work(bench: Bench) -> None:
        lease = await bench.keeper.ensure("a")
        tasks = waiting(bench, "b", "c", "b")
        await settle()
        assert bench.state[1] == 3
        with pytest.raises(Overloaded, match="3 requests wait"):
            await bench.keeper.ensure("c")
        for task in tasks:
            assert isinstance(await problem_of(task), Overloaded)
        assert bench.state == ({"a": ("ready", 1)}, 0)
        (await bench.keeper.ensure("a")).release()
        lease.release()

    run(work, wait_seconds=0.05, queue=3)


def test_an_end_that_was_asked_for_is_no_crash() -> None:
    async def work(bench: Bench) -> None:
        for _ in range(CRASHES_TO_BREAK + 1):
            (await bench.keeper.ensure("a")).release()
            await bench.keeper.evict("a")
            assert bench.state == ({}, 0)
        await bench.keeper.evict("a")
        await bench.keeper.evict("never there")

    run(work)


def test_evicting_what_is_in_use_and_what_loads() -> None:
    async def work(bench: Bench) -> None:
        lease = await bench.keeper.ensure("a")
        (other,) = waiting(bench, "b")
        await bench.keeper.evict("a")
        assert bench.started[0].ended and not bench.keeper.is_resident("a")
        (await other).release()
        lease.release()  # the lease of an engine that has gone changes nothing
        assert bench.state == ({"b": ("ready", 0)}, 0)
        bench.gate.clear()
        (loading,) = waiting(bench, "c")
        await bench.until(lambda: bench.names[-1] == "c")
        evicting = asyncio.ensure_future(bench.keeper.evict("c"))
        await settle()
        bench.gate.set()
        await asyncio.wait_for(evicting, 5)
        (await asyncio.wait_for(loading, 5)).release()
        assert bench.names == ["a", "b", "c", "c"], "who waits gets a new one"

    run(work)


def test_closing_refuses_who_waits_and_who_comes() -> None:
    async def work(bench: Bench) -> None:
        await bench.keeper.ensure("a")
        tasks = waiting(bench, "b", "c")
        await settle()
        await asyncio.wait_for(bench.keeper.close(), 5)
        for task in tasks:
            assert isinstance(await problem_of(task), ShuttingDown)
        with pytest.raises(ShuttingDown):
            await bench.keeper.ensure("a")
        assert bench.started[0].ended and bench.state == ({}, 0)

    run(work)


def test_many_at_random_all_are_served() -> None:
    async def work(bench: Bench) -> None:
        inside: list[str] = []
        served = 0

        async def use(number: int) -> None:
            nonlocal served
            model = "abc"[number * 7 % 3 if number % 5 else 0]
            await asyncio.sleep(number % 7 * 0.0005)
            async with await bench.keeper.ensure(model):
                inside.append(model)
                try:
                    assert set(inside) == {model}
                    await asyncio.sleep(number % 3 * 0.0005)
                finally:
                    inside.remove(model)
            served += 1

        tasks = [asyncio.ensure_future(use(number)) for number in range(90)]
        for task in tasks[::9]:
            await asyncio.sleep(0.0005)
            task.cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        assert [task.exception() for task in tasks if not task.cancelled() and task.exception()] == []
        assert served + sum(task.cancelled() for task in tasks) == 90 and served >= 80
        assert bench.state[1] == 0

    run(work)
