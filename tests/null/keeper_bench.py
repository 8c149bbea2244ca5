"""A keeper on a bench: engines that start slowly or fail when told, and a look at its state.

Promises: `run` fails if an engine is left at the end or a task failed unseen.
Does not cover: what is tested with it (`test_keeper.py`, `test_keeper_crashes.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from homefire.engines.null import Null
from homefire.errors import (
    EngineFailed,
    UnknownModel,
)
from homefire.residency import Keeper


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
            while not condition():  # noqa: ASYNC110  there is no event for what the keeper does inside
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
