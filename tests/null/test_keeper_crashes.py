"""The keeper when engines fail: starts that fail, crashes, the pause, the open circuit.

Promises: a failure reaches everybody who waits for that model and nobody else; a crashed model comes back after its pause and
not before. The clock and the pauses are patched, nothing sleeps for them.
Does not cover: the pauses themselves (`test_supervision_backoff.py`), real children (`tests/process`).
"""

from __future__ import annotations

import asyncio

import pytest

from homefire.errors import (
    EngineBroken,
    EngineFailed,
    EngineGone,
    HomefireError,
    InternalError,
)
from homefire.messages import ChatRequest, Message
from homefire.supervision import backoff
from homefire.supervision.backoff import CRASHES_TO_BREAK
from tests.null.keeper_bench import Bench, problem_of, run, settle, waiting


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


def test_others_are_served_after_a_start_that_failed() -> None:
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


def test_who_finds_an_engine_gone_gets_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the keeper has seen its end: nobody else is given it meanwhile, and its end still counts as a crash."""
    monkeypatch.setattr(backoff, "FIRST", 0.0)

    async def work(bench: Bench) -> None:
        bench.memory.total = 3
        lease = await bench.keeper.ensure("a")
        bench.started[-1].crash()
        with pytest.raises(EngineGone):
            await lease.engine.chat(ChatRequest("a", (Message("user", "hello"),)))
        lease.release(EngineGone("It is gone."))
        async with asyncio.timeout(2), await bench.keeper.ensure("a") as other:
            assert other.engine is bench.started[1] and not bench.started[1].ended
        assert ("crashed", "a") in bench.kinds

    run(work)


async def crash(bench: Bench) -> None:
    engine = bench.started[-1]
    engine.crash()
    await bench.until(lambda: not bench.keeper.is_resident(engine.name))
    await settle()


def test_a_crash_and_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST", 0.03)

    async def work(bench: Bench) -> None:
        bench.now = 0.0
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


def test_a_pause_does_not_pass_by_itself() -> None:
    async def work(bench: Bench) -> None:
        await bench.keeper.ensure("a")
        await crash(bench)
        (task,) = waiting(bench, "a")
        await settle()
        assert bench.names == ["a"] and bench.state[1] == 1
        bench.now += 0.3
        # Whoever comes next makes it look again.
        (other,) = waiting(bench, "a")
        (await task).release()
        (await other).release()
        assert bench.names == ["a", "a"]

    run(work)


def test_five_crashes_break_it_and_a_minute_mends_it() -> None:
    async def work(bench: Bench) -> None:
        for count in range(CRASHES_TO_BREAK):
            (await bench.keeper.ensure("a")).release()
            bench.now += 1.0
            await crash(bench)
            if count < CRASHES_TO_BREAK - 1:
                assert bench.state[0]["a"][0] == "backing_off"
                bench.now += 5.0
        assert bench.state == ({"a": ("broken", 0)}, 0)
        for _ in range(3):
            with pytest.raises(EngineBroken, match="60 s"):
                await bench.keeper.ensure("a")
        assert len(bench.started) == CRASHES_TO_BREAK, "asking does not start it"
        (await bench.keeper.ensure("b")).release()  # others work meanwhile
        bench.now += 59.0
        with pytest.raises(EngineBroken, match="1 s"):
            await bench.keeper.ensure("a")
        bench.now += 1.5
        (await bench.keeper.ensure("a")).release()
        assert bench.names[-1] == "a" and bench.state == ({"a": ("ready", 0)}, 0)

    run(work)
