"""The keeper: does what the scheduler decides, and is the only owner of the engines.

Everything here runs on the event loop's thread, and no method awaits between reading and changing the state; so the state
needs no lock, and a lease on a model that is ready costs no detour through a queue.
Promises: `ensure` gives a lease or one clear error within `wait_seconds`; a cancelled `ensure` leaves nothing behind; after
`close` no child is left.
Does not cover: what an answer does when its engine dies (it gets EngineDied from the engine).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from homefire.engines.engine import Engine
from homefire.errors import EngineBroken, HomefireError, InternalError, Overloaded, ShuttingDown
from homefire.residency import scheduler
from homefire.residency.scheduler import Grant, Later, Pause, Refuse, Start, Stop
from homefire.supervision.backoff import Backoff

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Resident:
    engine: Engine
    state: scheduler.State
    leases: int = 0
    started: float = 0.0
    life: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class _Waiter:
    model: str
    future: asyncio.Future[Lease]


@dataclass(frozen=True, slots=True)
class ResidentView:
    """A model as `homefire status` shows it."""

    name: str
    state: str
    leases: int
    pid: int | None
    restarts: int


class Lease:
    """The right to use an engine; `async with` gives it back. The engine may still die: then its answers say so."""

    def __init__(self, model: str, engine: Engine, give_back: Callable[[], None]) -> None:
        self.model = model
        self.engine = engine
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        """Gives it back; safe to call twice."""
        if self._give_back is not None:
            give_back, self._give_back = self._give_back, None
            give_back()

    async def __aenter__(self) -> Lease:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Keeper:
    """See the module's text. `make_engine(name)` makes a new, unstarted engine or raises UnknownModel; `loaded(name, engine)` is
    told of each one that has become ready, on the event loop, and must not block."""

    def __init__(
        self,
        make_engine: Callable[[str], Engine],
        wait_seconds: float,
        queue: int,
        loaded: Callable[[str, Engine], None] = lambda name, engine: None,
    ) -> None:
        self._make_engine = make_engine
        self._loaded = loaded
        self._wait_seconds = wait_seconds
        self._queue = queue
        self._residents: dict[str, _Resident] = {}
        self._waiting: dict[int, _Waiter] = {}
        self._numbers = itertools.count()
        self._backoffs: dict[str, Backoff] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def ensure(self, model: str) -> Lease:
        """A lease on the model, loading it if need be.

        Raises UnknownModel at once, EngineFailed if it does not load, EngineBroken while it rests after crashes, Overloaded
        when too many wait or this one waited too long, ShuttingDown.
        """
        if self._closed:
            raise ShuttingDown("The daemon is stopping.")
        resident = self._residents.get(model)
        if resident is not None and resident.state == "ready" and not self._waiting:
            return self._lease(model, resident)
        if resident is None:
            self._make_engine(model)  # an unknown model is refused before it waits behind others
        if len(self._waiting) >= self._queue:
            raise Overloaded(f"{len(self._waiting)} requests wait for a model already.")
        return await self._wait_for(model)

    def view(self) -> tuple[list[ResidentView], int]:
        """The models in memory or resting after crashes, and how many requests wait."""
        views = [
            ResidentView(name, r.state, r.leases, r.engine.pid, self._restarts(name))
            for name, r in self._residents.items()
        ]
        now = time.monotonic()
        for name, backoff in self._backoffs.items():
            if name not in self._residents and backoff.wait(now) > 0:
                state = "broken" if backoff.broken() else "backing_off"
                views.append(ResidentView(name, state, 0, None, self._restarts(name)))
        return views, len(self._waiting)

    def is_resident(self, model: str) -> bool:
        """Whether the model is in memory and ready."""
        resident = self._residents.get(model)
        return resident is not None and resident.state == "ready"

    async def evict(self, model: str) -> None:
        """Unloads the model and waits until it is gone; answers under way on it break."""
        resident = self._residents.get(model)
        if resident is not None and resident.life is not None:
            resident.state = "stopping"
            await resident.engine.stop()
            await asyncio.wait((resident.life,))

    async def close(self) -> None:
        """Refuses who waits and ends every child."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for waiter in list(self._waiting.values()):
            if not waiter.future.done():
                waiter.future.set_exception(ShuttingDown("The daemon is stopping."))
        await asyncio.gather(*(resident.engine.stop() for resident in self._residents.values()))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _wait_for(self, model: str) -> Lease:
        number = next(self._numbers)
        waiter = _Waiter(model, asyncio.get_running_loop().create_future())
        self._waiting[number] = waiter
        self._step()
        try:
            # Not wait_for: before Python 3.12 it swallows a cancellation that comes in the turn of the grant.
            async with asyncio.timeout(self._wait_seconds):
                return await waiter.future
        except TimeoutError:
            _give_up(waiter)
            raise Overloaded(f"The request waited {self._wait_seconds:g} s for '{model}'.") from None
        except asyncio.CancelledError:
            _give_up(waiter)
            raise
        finally:
            self._waiting.pop(number, None)
            self._step()

    def _step(self) -> None:
        """Decides and does, until there is nothing more to do now."""
        if self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = time.monotonic()
        residents = {name: scheduler.Resident(r.state, r.leases) for name, r in self._residents.items()}
        waiting = [(number, waiter.model) for number, waiter in self._waiting.items() if not waiter.future.done()]
        pauses = {name: Pause(b.wait(now), b.broken()) for name, b in self._backoffs.items()}
        for decision in scheduler.decide(residents, waiting, pauses):
            match decision:
                case Grant(number):
                    waiter = self._waiting[number]
                    waiter.future.set_result(self._lease(waiter.model, self._residents[waiter.model]))
                case Refuse(number):
                    waiter = self._waiting[number]
                    waiter.future.set_exception(self._broken(waiter.model, pauses[waiter.model].seconds))
                case Start(model):
                    self._start(model)
                case Stop(model):
                    log.info("'%s' leaves the memory", model)
                    self._residents[model].state = "stopping"
                    self._spawn(self._residents[model].engine.stop())
                case Later(seconds):
                    self._timer = asyncio.get_running_loop().call_later(seconds, self._step)

    def _start(self, model: str) -> None:
        try:
            engine = self._make_engine(model)
        except HomefireError as problem:  # removed while it waited
            self._refuse_all(model, problem)
            return
        resident = _Resident(engine, "starting", started=time.monotonic())
        self._residents[model] = resident
        resident.life = self._spawn(self._live(model, resident))

    async def _live(self, model: str, resident: _Resident) -> None:
        """One engine's life, from start to end. Only here is a resident forgotten: whoever wants it gone stops its engine."""
        try:
            await resident.engine.start()
        except HomefireError as problem:
            if resident.state != "stopping":
                log.warning("'%s' did not start: %s", model, problem.message)
                self._note_crash(model, resident)
                self._refuse_all(model, problem)
            self._forget(model, resident)
            return
        if resident.state == "starting":
            resident.state = "ready"
            log.info("'%s' is ready after %.2f s", model, time.monotonic() - resident.started)
            self._loaded(model, resident.engine)
        self._step()
        cause = await resident.engine.wait()
        if cause and resident.state != "stopping":
            log.warning("the engine of '%s' %s", model, cause)
            self._note_crash(model, resident)
        await resident.engine.stop()
        self._forget(model, resident)

    def _forget(self, model: str, resident: _Resident) -> None:
        if self._residents.get(model) is resident:
            del self._residents[model]
        self._step()

    def _lease(self, model: str, resident: _Resident) -> Lease:
        resident.leases += 1

        def give_back() -> None:
            resident.leases -= 1
            if self._waiting:
                self._step()

        return Lease(model, resident.engine, give_back)

    def _refuse_all(self, model: str, problem: HomefireError) -> None:
        for waiter in self._waiting.values():
            if waiter.model == model and not waiter.future.done():
                waiter.future.set_exception(problem)

    def _note_crash(self, model: str, resident: _Resident) -> None:
        now = time.monotonic()
        self._backoffs.setdefault(model, Backoff()).crashed(now, now - resident.started)

    def _restarts(self, model: str) -> int:
        backoff = self._backoffs.get(model)
        return backoff.in_a_row if backoff is not None else 0

    def _broken(self, model: str, seconds: float) -> EngineBroken:
        return EngineBroken(f"The engine of '{model}' crashed several times; the next try is in {seconds:.0f} s.")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("a model's task failed", exc_info=problem)
            for waiter in self._waiting.values():
                if not waiter.future.done():
                    waiter.future.set_exception(InternalError(f"A model's task failed: {problem!r}."))
            for name, resident in list(self._residents.items()):
                if resident.life is task:
                    self._note_crash(name, resident)
                    self._forget(name, resident)


def _give_up(waiter: _Waiter) -> None:
    """A lease that was granted in the same turn of the loop in which its waiter left goes back."""
    if waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
        waiter.future.result().release()
