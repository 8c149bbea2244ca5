"""The keeper with null engines: who gets a lease when, and what crashes, time-outs and the end do.

Promises: every waiter gets a lease or one clear error, nothing is left behind by those who leave, a crashed model comes back
after its pause and not before. The clock and the pauses are patched, nothing sleeps for them.
Does not cover: the order of decisions (`test_scheduler.py`), real children (`tests/process`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from homefire.engines.null import Null
from homefire.errors import (
    EngineBroken,
    EngineFailed,
    HomefireError,
    InternalError,
    Overloaded,
    ShuttingDown,
    UnknownModel,
)
from homefire.residency import Keeper, keeper
from homefire.supervision import backoff
from homefire.supervision.backoff import CRASHES_TO_BREAK


class Engine(Null):
    """A null engine that can be slow to start, or fail to."""

    def __init__(self, bench: Bench, name: str) -> None:
        super().__init__(name)
        self._bench = bench

    async def start(self) -> None:
        await super().start()
        self._bench.started.append(self)
        events = [asyncio.ensure_future(event.wait()) for event in (self._bench.gate, self._ended)]
        await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        for event in events:
            event.cancel()
        if self.ended:
            raise EngineFailed("It was stopped while it loaded.")
        if (failure := self._bench.failures.get(self.name)) is not None:
            self.crash()
            raise failure


class Bench:
    """A keeper and the engines it made and started."""

    def __init__(self, wait_seconds: float = 5.0, queue: int = 100) -> None:
        self.started: list[Engine] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: dict[str, Exception] = {}
        self.unknown = {"none"}
        self.keeper = Keeper(self.make, wait_seconds, queue)

    def make(self, name: str) -> Engine:
        if name in self.unknown:
            raise UnknownModel(f"There is no {name}.")
        return Engine(self, name)

    @property
    def names(self) -> list[str]:
        return [engine.name for engine in self.started]

    @property
    def state(self) -> tuple[dict[str, tuple[str, int]], int]:
        views, waiting = self.keeper.view()
        return {view.name: (view.state, view.leases) for view in views}, waiting

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0)


def run(work: Callable[[Bench], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        problems: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
        bench = Bench(**options)
        await work(bench)
        async with asyncio.timeout(5):
            await bench.keeper.close()
        assert all(engine.ended for engine in bench.started), "no engine is left"
        assert problems == []

    asyncio.run(main())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def waiting(bench: Bench, *models: str) -> list[asyncio.Task[Any]]:
    return [asyncio.ensure_future(bench.keeper.ensure(model)) for model in models]


async def problem_of(task: asyncio.Future[Any]) -> BaseException | None:
    await asyncio.wait((task,), timeout=5)
    return task.exception()


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


def test_one_model_at_a_time_and_nobody_loses_a_lease() -> None:
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


def test_in_order_of_arrival() -> None:
    async def work(bench: Bench) -> None:
        order: list[str] = []

        async def use(name: str, model: str) -> None:
            async with await bench.keeper.ensure(model) as lease:
                order.append(name)
                assert not lease.engine.ended  # type: ignore[attr-defined]
                await settle()
                assert not lease.engine.ended  # type: ignore[attr-defined]

        held = await bench.keeper.ensure("a")
        wanted = [("1", "b"), ("2", "a"), ("3", "b"), ("4", "b"), ("5", "a"), ("6", "c")]
        tasks = [asyncio.ensure_future(use(name, model)) for name, model in wanted]
        await settle()
        assert order == [], "2 wants the model in memory and still waits behind 1"
        held.release()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
        assert order == ["1", "2", "3", "4", "5", "6"]
        assert bench.names == ["a", "b", "a", "b", "a", "c"]

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
        tasks = waiting(bench, "b", "a", "b")
        await settle()
        assert bench.state[1] == 3
        with pytest.raises(Overloaded, match="3 requests wait"):
            await bench.keeper.ensure("a")
        for task in tasks:
            assert isinstance(await problem_of(task), Overloaded)
        assert bench.state == ({"a": ("ready", 1)}, 0)
        (await bench.keeper.ensure("a")).release()
        lease.release()

    run(work, wait_seconds=0.05, queue=3)


@pytest.mark.parametrize(
    "failure", [EngineFailed("It did not start."), RuntimeError("a defect")], ids=["failed", "defect"]
)
def test_a_start_that_fails_reaches_everybody(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST", 0.0)

    async def work(bench: Bench) -> None:
        bench.gate.clear()
        bench.failures["a"] = failure
        tasks = waiting(bench, "a", "a", "a")
        await settle()
        bench.gate.set()
        wanted = EngineFailed if isinstance(failure, HomefireError) else InternalError
        for task in tasks:
            assert isinstance(await problem_of(task), wanted)
        await settle()
        assert bench.names == ["a"], "nothing starts it again that nobody asked for"
        bench.failures.clear()
        async with asyncio.timeout(2):
            (await bench.keeper.ensure("a")).release()

    run(work)


def test_others_are_served_after_a_start_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(bench: Bench) -> None:
        bench.gate.clear()
        bench.failures["a"] = EngineFailed("no")
        one, two = waiting(bench, "a", "b")
        await settle()
        bench.gate.set()
        assert isinstance(await problem_of(one), EngineFailed)
        (await two).release()
        assert bench.names == ["a", "b"]

    run(work)


class Clock:
    """The keeper's clock: it stands still unless it is moved, and so do its timers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(keeper.time, "monotonic", lambda: self.now)


async def crash(bench: Bench) -> None:
    engine = bench.started[-1]
    engine.crash()
    await bench.until(lambda: not bench.keeper.is_resident(engine.name))
    await settle()


def test_a_crash_and_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST", 0.03)

    async def work(bench: Bench) -> None:
        lease = await bench.keeper.ensure("a")
        await crash(bench)
        lease.release()
        assert bench.state == ({"a": ("backing_off", 0)}, 0)
        loop = asyncio.get_running_loop()
        began = loop.time()
        again = await bench.keeper.ensure("a")
        assert loop.time() - began > 0.01, "it waited for the pause"
        assert again.engine is not lease.engine
        assert bench.keeper.view()[0][0].restarts == 1
        again.release()

    run(work)


def test_a_pause_does_not_pass_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(bench: Bench) -> None:
        await bench.keeper.ensure("a")
        clock = Clock(monkeypatch)
        await crash(bench)
        (task,) = waiting(bench, "a")
        await settle()
        assert bench.names == ["a"] and bench.state[1] == 1
        clock.now += 0.3
        # Whoever comes next makes it look again.
        (other,) = waiting(bench, "a")
        (await task).release()
        (await other).release()
        assert bench.names == ["a", "a"]
        monkeypatch.undo()

    run(work)


def test_five_crashes_break_it_and_a_minute_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(bench: Bench) -> None:
        clock = Clock(monkeypatch)
        for count in range(CRASHES_TO_BREAK):
            (await bench.keeper.ensure("a")).release()
            clock.now += 1.0
            await crash(bench)
            if count < CRASHES_TO_BREAK - 1:
                assert bench.state[0]["a"][0] == "backing_off"
                clock.now += 5.0
        assert bench.state == ({"a": ("broken", 0)}, 0)
        for _ in range(3):
            with pytest.raises(EngineBroken, match="60 s"):
                await bench.keeper.ensure("a")
        assert len(bench.started) == CRASHES_TO_BREAK, "asking does not start it"
        (await bench.keeper.ensure("b")).release()  # others work meanwhile
        clock.now += 59.0
        with pytest.raises(EngineBroken, match="1 s"):
            await bench.keeper.ensure("a")
        clock.now += 1.5
        (await bench.keeper.ensure("a")).release()
        assert bench.names[-1] == "a" and bench.state == ({"a": ("ready", 0)}, 0)
        monkeypatch.undo()

    run(work)


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
        tasks = waiting(bench, "b", "a")
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
                assert set(inside) == {model}
                await asyncio.sleep(number % 3 * 0.0005)
                inside.remove(model)
            served += 1

        tasks = [asyncio.ensure_future(use(number)) for number in range(90)]
        for task in tasks[::9]:
            await asyncio.sleep(0.0005)
            task.cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        assert served + sum(task.cancelled() for task in tasks) == 90 and served >= 80
        assert bench.state[1] == 0

    run(work)
