"""A keeper on a bench: engines that start slowly or fail when told, a small memory, a clock that the test moves, a look inside.

Promises: `run` fails if an engine is left at the end or a task failed unseen.
Does not cover: what is tested with it (`test_keeper.py`, `test_keeper_crashes.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from homefire.engines.null import Null
from homefire.errors import (
    EngineFailed,
    HomefireError,
    UnknownModel,
)
from homefire.residency import Keeper, KeeperRules
from homefire.residency.kept import Book
from homefire.residency.plan import HOST, Held, Plan
from homefire.residency.scheduler import Room


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


class Memory:
    """A machine with room for `room` bytes, where a model takes `sizes[name]`, or one."""

    def __init__(self, room: int, slots: int = 0) -> None:
        self.total = room
        self.slots = slots
        self.sizes: dict[str, int] = {}
        self.measured: dict[int, int] = {}
        self.asked: list[tuple[str, bool]] = []
        self.files: tuple[Path, ...] = ()

    async def plan(self, model: str, smaller: bool) -> Plan:
        self.asked.append((model, smaller))
        size = self.sizes.get(model, 1)
        return Plan(
            {HOST: size // 2 if smaller else size}, self.slots, 1.0, self.files, "half the context" if smaller else ""
        )

    async def room(self, held: Iterable[Held]) -> Room:
        return Room({HOST: self.total}, why={HOST: "this is a bench"})

    async def taken(self, pid: int) -> int:
        return self.measured.get(pid, 0)

    def ran_out(self, model: str, problem: HomefireError) -> bool:
        return "out of memory" in problem.message


class Bench:
    """A keeper and the engines it made and started. `room` counts models of usual size; `now` is the clock; 0: the real one."""

    def __init__(
        self,
        wait_seconds: float = 5.0,
        queue: int = 100,
        room: int = 1,
        slots: int = 0,
        book: Book | None = None,
        **rules: Any,
    ) -> None:
        self.started: list[Engine] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: dict[str, Exception] = {}
        self.unknown = {"none"}
        self.memory = Memory(room, slots)
        self.now = 1000.0
        self.keeper = Keeper(
            self.make,
            KeeperRules(wait_seconds, queue, **rules),
            self.memory,
            make_smaller=self.make_smaller,
            book=book,
            clock=lambda: self.now if self.now else asyncio.get_running_loop().time(),
        )

    def make(self, name: str) -> Engine:
        if name in self.unknown:
            raise UnknownModel(f"There is no {name}.")
        return Engine(self, name)

    def make_smaller(self, name: str) -> Engine:
        self.failures.pop(name, None)
        return self.make(name)

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """The decision log, oldest first."""
        return [(entry.kind, entry.model) for entry in reversed(self.keeper.decisions.last())]

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
