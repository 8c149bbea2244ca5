"""The keeper: does what the scheduler decides, and is the only owner of the engines.

Everything here runs on the event loop's thread, and no method awaits between reading and changing the state; so the state
needs no lock, and a lease on a model that is ready costs no detour through a queue.
Promises: `ensure` gives a lease or one clear error within `wait_seconds`; a cancelled `ensure` leaves nothing behind; a model's
bytes are promised to it before its load begins and until its process is gone; after `close` no child is left.
Does not cover: what an answer does when its engine dies (it gets EngineDied from the engine).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from homefire.engines.engine import Engine
from homefire.errors import (
    ClientError,
    EngineBroken,
    HomefireError,
    InternalError,
    Overloaded,
    ShuttingDown,
    UnknownModel,
)
from homefire.residency import scheduler, view
from homefire.residency.demand import Demand
from homefire.residency.fairness import Shares
from homefire.residency.host_shelf import HostShelf
from homefire.residency.kept import Book
from homefire.residency.lease import KeeperRules, Lease, Told
from homefire.residency.plan import HOST, Held, Plan, Sizes, Unlimited
from homefire.residency.read_ahead import read_ahead
from homefire.residency.scheduler import Drain, Grant, Later, Pause, Refuse, Room, Start, Stop, Waiter, World
from homefire.residency.view import Residency, ResidentRow, ResidentView
from homefire.supervision.backoff import Backoff

log = logging.getLogger(__name__)

# A longer keep-alive is shortened to this: a forgotten one must not hold memory for a year.
LONGEST_KEEP_ALIVE = 7 * 86_400.0


@dataclass(slots=True, eq=False)
class _Resident:
    engine: Engine
    plan: Plan
    state: scheduler.State
    since: float
    keep_alive: float
    bytes: dict[str, int]
    why: str = ""
    started: float = 0.0
    ready_at: float = 0.0
    leases: int = 0
    measured: int = 0
    smaller: bool = False
    leaving: bool = False
    gone: bool = False  # its engine has ended, and its life has yet to notice
    draining: bool = False
    life: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class _Waiting:
    ticket: Waiter
    future: asyncio.Future[Lease]
    keep_alive: float | None = None
    told: Told | None = None
    last: tuple[int, float] | None = field(default=None)


class Keeper:
    """See the module's text. `make_engine(name)` makes a new, unstarted engine or raises UnknownModel; `make_smaller` one that
    takes less memory (None: there is none); `loaded(name, engine)` is told of each one that has become ready, on the event loop,
    and must not block; `book` is what is known from earlier; `clock` gives seconds that never go back."""

    def __init__(
        self,
        make_engine: Callable[[str], Engine],
        rules: KeeperRules | None = None,
        sizes: Sizes | None = None,
        *,
        make_smaller: Callable[[str], Engine] | None = None,
        loaded: Callable[[str, Engine], None] = lambda name, engine: None,
        book: Book | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_engine, self._make_smaller, self._loaded = make_engine, make_smaller, loaded
        self.rules = rules or KeeperRules()
        self._book = book or Book()
        self.decisions = self._book.decisions
        self._sizes = sizes or Unlimited()
        self._clock = clock
        self._residents: dict[str, _Resident] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._numbers = itertools.count()
        self._backoffs: dict[str, Backoff] = {}
        self._plans: dict[str, Plan] = {}
        self._sizing: set[str] = set()
        self._read: set[str] = set()
        self._room = Room()
        self._shares, self._demand, self._shelf = Shares(), Demand(), HostShelf()
        self._pins: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self._tending: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """Takes up what was known when the last keeper ended. Raises what the store raises."""
        await self._book.open()
        self._pins = self._book.pins()
        self._backoffs = self._book.backoffs(self._clock())

    async def bring_back(self) -> None:
        """Loads what is pinned, one after the other; what cannot be loaded is in the decision log."""
        for model in sorted(self._pins):
            try:
                (await self.ensure(model)).release()
            except UnknownModel:  # removed by hand
                self.disown(model)
            except HomefireError as problem:
                log.warning("'%s' is pinned and was not loaded: %s", model, problem.message)

    async def flush(self) -> None:
        """Returns when what a person wished is on disk. Raises what the store raises."""
        await self._book.flush()

    async def ensure(
        self, model: str, *, key: str = "", keep_alive: float | None = None, told: Told | None = None, cost: int = 1
    ) -> Lease:
        """A lease on the model, loading it if need be. `key` shares the queue with others, `cost` (tokens) is what it is charged
        with.

        Raises UnknownModel at once, DoesNotFit if this machine's memory is too small, EngineFailed if it does not load,
        EngineBroken while it rests after crashes, Overloaded when too many wait or this one waited too long, ShuttingDown.
        """
        if self._closed:
            raise ShuttingDown("The daemon is stopping.")
        resident = self._residents.get(model)
        if resident is None:
            self._make_engine(model)  # an unknown model is refused before it waits behind others
        self._demand.asked(model, self._clock())
        if resident is not None and self._is_free(model, resident):
            return self._lease(model, resident, keep_alive)
        self._check_queue(model, key)
        ticket = Waiter(next(self._numbers), model, self._clock(), key, cost)
        return await self._wait(_Waiting(ticket, asyncio.get_running_loop().create_future(), keep_alive, told))

    def view(self) -> tuple[list[ResidentView], int]:
        """The models in memory or resting after crashes, and how many requests wait."""
        views = [
            ResidentView(name, _state(r), r.leases, r.engine.pid, self._restarts(name))
            for name, r in self._residents.items()
        ]
        for name, pause in self._pauses().items():
            if name not in self._residents and pause.seconds > 0:
                views.append(ResidentView(name, view.resting_state(pause), 0, None, self._restarts(name)))
        return views, len(self._waiting)

    def table(self) -> Residency:
        """Everything about what is in memory, what waits and what leaves next."""
        world = self._world()
        ahead = view.outlook(world, self._demand, self._load_seconds())
        return Residency(
            [self._row(name, resident) for name, resident in self._residents.items()],
            view.waiting_rows(world, ahead),
            view.device_rows(world),
            sorted(self._pins),
            view.next_to_leave(world),
            self._shelf.rows(),
        )

    def is_resident(self, model: str) -> bool:
        """Whether the model is in memory and ready."""
        resident = self._residents.get(model)
        return resident is not None and resident.state == "ready"

    def engine_of(self, model: str) -> Engine | None:
        """The engine of a model that is in memory and ready, to ask what it can do. To use it takes a lease."""
        return self._residents[model].engine if self.is_resident(model) else None

    def pin(self, model: str, pinned: bool) -> None:
        """A pinned model never leaves for another's sake, nor for its idleness."""
        if pinned != (model in self._pins):
            self._pins.symmetric_difference_update({model})
            self._book.pin(model, pinned)
            self.decisions.note("pinned", model, "It stays in memory." if pinned else "It may leave the memory again.")
            self.look()

    def keep(self, model: str, keep_alive: float | None) -> None:
        """A person's keep-alive in seconds: it stands for this load and later ones; None: the rules' own again."""
        self._book.keep(model, None if keep_alive is None else min(keep_alive, LONGEST_KEEP_ALIVE))
        if (resident := self._residents.get(model)) is not None:
            resident.keep_alive = self._seconds(model, keep_alive)
            self.look()

    def disown(self, model: str) -> None:
        """The model is gone from this machine: its pin, its keep-alive and its crashes go too."""
        self._pins.discard(model)
        self._backoffs.pop(model, None)
        self._book.forget(model)
        self._shelf.came(model)
        self._demand.wishes.pop(model, None)

    async def evict(self, model: str) -> None:
        """Unloads the model and waits until it is gone; answers under way on it break."""
        resident = self._residents.get(model)
        if resident is not None and resident.life is not None:
            resident.state = "stopping"
            await resident.engine.stop()
            await asyncio.wait((resident.life,))

    async def unload(self, model: str, now: bool = False) -> bool:
        """Unloads the model when the answers under way on it are done, or `now`; returns when it is gone. False if it was not
        there. Who asks for it meanwhile waits and loads it again."""
        resident = self._residents.get(model)
        if resident is None or resident.life is None:
            return False
        if now or resident.state == "starting":
            self.decisions.note("unloaded", model, "A person asked for it, at once.", {"why": "asked"})
            await self.evict(model)
        else:
            resident.leaving = True
            self.look()
            await asyncio.wait((resident.life,))
        return True

    async def let_idle_go(self, reason: str) -> None:
        """Unloads every model that nobody uses or waits for, pinned ones excepted."""
        wanted = {waiting.ticket.model for waiting in self._waiting.values()}
        for name, resident in list(self._residents.items()):
            if resident.state == "ready" and not resident.leases and name not in wanted | self._pins:
                log.warning("'%s' leaves the memory: %s", name, reason)
                self.decisions.note("evicted", name, reason, {"why": "governor"})
                await self.evict(name)

    def look(self) -> None:
        """Decides anew: something outside has changed, such as the clock."""
        self._step()

    async def close(self) -> None:
        """Refuses who waits and ends every child."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        for waiting in list(self._waiting.values()):
            _refuse(waiting, ShuttingDown("The daemon is stopping."))
        await asyncio.gather(*(resident.engine.stop() for resident in self._residents.values()))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._book.close()

    # -- waiting

    def _is_free(self, model: str, resident: _Resident) -> bool:
        """Whether a request for it may begin now: nobody else waits for it, and it is not on its way out."""
        if resident.state != "ready" or resident.leaving or resident.draining or resident.gone:
            return False
        if resident.plan.slots and resident.leases >= resident.plan.slots:
            return False
        return not any(waiting.ticket.model == model for waiting in self._waiting.values())

    def _check_queue(self, model: str, key: str) -> None:
        count, own = len(self._waiting), sum(w.ticket.key == key for w in self._waiting.values()) if key else 0
        if count < self.rules.queue and own < self.rules.queue_per_key:
            return
        if own >= self.rules.queue_per_key:
            problem = Overloaded(f"{own} requests of this key wait for a model already.")
        else:
            problem = Overloaded(f"{count} requests wait for a model already.")
        self.decisions.note("refused", model, problem.message)
        raise problem

    async def _wait(self, waiting: _Waiting) -> Lease:
        model, number = waiting.ticket.model, waiting.ticket.number
        first = all(other.ticket.model != model for other in self._waiting.values())
        self._waiting[number] = waiting
        self._step()
        if first and not waiting.future.done():
            self._note_queued(model)
        try:
            # Not wait_for: before Python 3.12 it swallows a cancellation that comes in the turn of the grant.
            async with asyncio.timeout(self.rules.wait_seconds):
                return await waiting.future
        except TimeoutError:
            _give_up(waiting)
            raise Overloaded(f"The request waited {self.rules.wait_seconds:g} s for '{model}'.") from None
        except asyncio.CancelledError:
            _give_up(waiting)
            raise
        finally:
            self._waiting.pop(number, None)
            if all(other.ticket.model != model for other in self._waiting.values()):
                self._plans.pop(model, None)  # by the next time the machine, or the model, may be another
                self._read.discard(model)
            self._step()

    def _note_queued(self, model: str) -> None:
        resident = self._residents.get(model)
        if resident is None:
            return  # told when its size is known, if it has to wait then
        if resident.state == "ready" and not resident.leaving and not resident.draining:
            self.decisions.note("queued", model, f"All its {resident.plan.slots} places are taken.")
        elif resident.state != "starting":
            self.decisions.note("queued", model, "It is just leaving the memory and comes back.")

    def _note_blocked(self, model: str) -> None:
        there = ", ".join(f"'{name}' ({_state(each)}, {each.leases} in use)" for name, each in self._residents.items())
        facts = {"bytes": dict(self._plans[model].bytes), "room": dict(self._room.bytes)}
        self.decisions.note("queued", model, f"It waits for memory that others hold: {there}.", facts)

    # -- deciding

    def _world(self) -> World:
        now = self._clock()
        residents = {
            name: scheduler.Resident(
                "stopping" if r.gone else r.state, r.leases, r.bytes, r.plan.slots, self._value(name, r, now), r.since,
                r.ready_at, r.keep_alive, name in self._pins, r.leaving, r.draining,
            )
            for name, r in self._residents.items()
        }  # fmt: skip
        waiting = [each.ticket for each in self._waiting.values() if not each.future.done()]
        needs = {name: plan.bytes for name, plan in self._plans.items()}
        rules = self.rules
        return World(
            now, residents, waiting, needs, self._room, self._pauses(), self._shares, rules.patience, rules.quantum
        )

    def _step(self) -> None:
        """Decides and does, until there is nothing more to do now."""
        if self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        world = self._world()
        for resident in self._residents.values():
            resident.draining = False
        for decision in scheduler.decide(world):
            match decision:
                case Grant(number):
                    self._grant(self._waiting.pop(number))
                case Refuse(number, why):
                    self._turn_away(self._waiting.pop(number), why, world)
                case Start(model):
                    self._start(model)
                case Stop(model, why, wanted):
                    self._stop(model, why, wanted)
                case Drain(model, _):
                    self._residents[model].draining = True
                case Later(seconds):
                    self._timer = asyncio.get_running_loop().call_later(seconds, self._step)
        self._size_what_is_wanted()
        self._tell()

    def _grant(self, waiting: _Waiting) -> None:
        model = waiting.ticket.model
        self._shares.charge(waiting.ticket.key, waiting.ticket.cost)
        waiting.future.set_result(self._lease(model, self._residents[model], waiting.keep_alive))

    def _turn_away(self, waiting: _Waiting, why: scheduler.Refusal, world: World) -> None:
        model = waiting.ticket.model
        problem: HomefireError
        if why == "broken":
            problem = self._broken(model, world.pauses[model].seconds)
        else:
            problem = view.too_large(model, world, why == "pinned")
        self.decisions.note("refused", model, problem.message)
        _refuse(waiting, problem)

    def _stop(self, model: str, why: scheduler.Why, wanted: str) -> None:
        resident = self._residents[model]
        words = {
            "room": f"It makes room for '{wanted}': of what was idle or had its turn, its return costs least.",
            "keep_alive": f"Nobody asked for it for {resident.keep_alive:g} s.",
            "scarce": "Other programs need the memory, and it was idle.",
            "asked": "A person asked for it.",
        }
        rate = round(60 * self._demand.rate(model, self._clock()), 2)
        facts = {"why": why, "bytes": dict(resident.bytes), "per_minute": rate}
        self.decisions.note("unloaded" if why == "asked" else "evicted", model, words[why], facts)
        log.info("'%s' leaves the memory: %s", model, words[why])
        resident.state = "stopping"
        self._spawn(resident.engine.stop())

    def _tell(self) -> None:
        listening = [each for each in self._waiting.values() if each.told is not None and not each.future.done()]
        if not listening:
            return
        ahead = view.outlook(self._world(), self._demand, self._load_seconds())
        for waiting in listening:
            place, eta = ahead[waiting.ticket.number]
            if waiting.last is None or waiting.last[0] != place or abs(waiting.last[1] - eta) >= 1:
                waiting.last = (place, eta)
                assert waiting.told is not None
                waiting.told(place, eta)

    # -- sizes

    def _size_what_is_wanted(self) -> None:
        for waiting in self._waiting.values():
            model = waiting.ticket.model
            if model in self._residents or model in self._sizing:
                continue
            if model not in self._plans:
                self._sizing.add(model)
                self._spawn(self._size(model))
            elif model not in self._read and self._residents:
                self._read.add(model)
                if all(resident.state != "stopping" for resident in self._residents.values()):
                    self._note_blocked(model)
                self._spawn(self._read_ahead(self._plans[model]))

    async def _size(self, model: str) -> None:
        try:
            plan = await self._sizes.plan(model, False)
            self._room = await self._sizes.room(self._held())
        except HomefireError as problem:
            self._refuse_all(model, problem)
            return
        finally:
            self._sizing.discard(model)
        seen, wish = self._book.measured(plan.load or model), self._demand.of(model)
        if wish.load_seconds is None:
            wish.load_seconds = seen.seconds
        self._plans[model] = replace(plan, bytes=_corrected(plan.bytes, seen.bytes))
        self._step()

    def _held(self) -> list[Held]:
        return [Held(r.engine.pid, dict(r.bytes), r.state != "starting") for r in self._residents.values()]

    async def _read_ahead(self, plan: Plan) -> None:
        """As much as lies free: what more would come would push out what the others read."""
        if HOST in self._room.bytes and plan.files:
            await asyncio.to_thread(read_ahead, plan.files, self._free_host())

    def _free_host(self) -> int:
        """Main memory beside what is promised to models; as little as there is where nobody knows."""
        return self._room.bytes.get(HOST, 0) - sum(r.bytes.get(HOST, 0) for r in self._residents.values())

    async def _tend_shelf(self) -> None:
        """What left and is wanted is kept in the page cache."""
        now, loads = self._clock(), {name: self._demand.of(name).load_seconds or 1.0 for name in self._shelf.names()}
        values = {name: seconds * self._demand.rate(name, now) for name, seconds in loads.items()}
        await self._shelf.tend(values, self._free_host(), now)

    async def _look_after_memory(self) -> None:
        """Measures what the models take and what there is, as long as there are any."""
        while self._residents:
            await asyncio.sleep(self.rules.watch)
            for name, resident in list(self._residents.items()):
                await self._measure(name, resident)
            self._room = await self._sizes.room(self._held())
            self._demand.forget(self._clock())
            self._step()
            if self._tending is None or self._tending.done():  # reading may take long; looking must not wait for it
                self._tending = self._spawn(self._tend_shelf())

    async def _measure(self, model: str, resident: _Resident) -> None:
        """A model never gets back what it once took: a cache that is empty now fills again."""
        pid = resident.engine.pid
        if pid is None or resident.state != "ready":
            return
        measured = await self._sizes.taken(pid)
        resident.measured = max(resident.measured, measured)
        resident.bytes = _corrected(resident.bytes, resident.measured)
        if not resident.smaller:
            self._book.took(resident.plan.load or model, measured)

    # -- lives

    def _start(self, model: str) -> None:
        try:
            engine = self._make_engine(model)
        except HomefireError as problem:  # removed while it waited
            self._refuse_all(model, problem)
            return
        now, plan = self._clock(), self._plans.pop(model)
        self._read.discard(model)
        waiting = sum(each.ticket.model == model for each in self._waiting.values())
        why = f"{waiting} request{'s' if waiting != 1 else ''} wanted it"
        resident = _Resident(engine, plan, "starting", now, self._seconds(model, None), dict(plan.bytes), why, now)
        self._residents[model] = resident
        self._shelf.came(model)
        resident.life = self._spawn(self._live(model, resident))
        if self._watch is None or self._watch.done():
            self._watch = self._spawn(self._look_after_memory())

    async def _live(self, model: str, resident: _Resident) -> None:
        """One engine's life, from start to end. Only here is a resident forgotten: whoever wants it gone stops its engine."""
        try:
            await self._load(model, resident)
        except HomefireError as problem:
            if resident.state != "stopping":
                log.warning("'%s' did not start: %s", model, problem.message)
                self.decisions.note("failed", model, problem.message)
                if not isinstance(problem, ClientError):  # the file is at fault: no engine was started
                    self._note_crash(model, resident)
                self._refuse_all(model, problem)
            self._forget(model, resident)
            return
        if resident.state == "starting":
            self._became_ready(model, resident)
        self._step()
        await self._measure(model, resident)
        cause = await resident.engine.wait()
        if cause and resident.state != "stopping":
            log.warning("the engine of '%s' %s", model, cause)
            self.decisions.note("crashed", model, f"Its engine {cause}.")
            self._note_crash(model, resident)
        resident.state = "stopping"  # nobody gets a lease on it while what is left of it is cleared away
        await resident.engine.stop()
        self._forget(model, resident)

    async def _load(self, model: str, resident: _Resident) -> None:
        """Starts the engine; once more with less where the memory ran out."""
        try:
            await resident.engine.start()
        except HomefireError as problem:
            again = resident.state == "starting" and not isinstance(problem, ClientError)
            if not again or self._make_smaller is None or not self._sizes.ran_out(model, problem):
                raise
            await resident.engine.stop()
            plan = await self._sizes.plan(model, True)
            reason = f"It ran out of memory while it loaded ({problem.message}); tried again with {plan.what}."
            self.decisions.note("retried_smaller", model, reason)
            log.warning("'%s': %s", model, reason)
            if resident.state != "starting":
                raise
            resident.engine, resident.smaller = self._make_smaller(model), True
            resident.plan, resident.bytes = plan, dict(plan.bytes)
            await resident.engine.start()

    def _became_ready(self, model: str, resident: _Resident) -> None:
        now = self._clock()
        resident.state, resident.since, resident.ready_at = "ready", now, now
        seconds = now - resident.started
        if not resident.smaller:
            self._demand.loaded(model, seconds)
            self._book.loaded(resident.plan.load or model, seconds)
        log.info("'%s' is ready after %.2f s", model, seconds)
        what = f" with {resident.plan.what}" if resident.plan.what else ""
        facts = {"seconds": round(seconds, 3), "bytes": dict(resident.bytes)}
        self.decisions.note("loaded", model, f"{resident.why[0].upper()}{resident.why[1:]}; ready{what}.", facts)
        self._loaded(model, resident.engine)

    def _forget(self, model: str, resident: _Resident) -> None:
        if self._residents.get(model) is resident:
            del self._residents[model]
            self._shelf.left(model, resident.plan.files)
        self._step()

    def _lease(self, model: str, resident: _Resident, keep_alive: float | None) -> Lease:
        resident.leases += 1
        began = self._clock()
        if keep_alive is not None:
            resident.keep_alive = self._seconds(model, keep_alive)

        def give_back(gone: bool) -> None:
            resident.gone = resident.gone or gone
            resident.leases -= 1
            resident.since = self._clock()
            self._demand.served(model, resident.since - began)
            if self._waiting or resident.leases == 0:
                self._step()

        return Lease(model, resident.engine, give_back)

    def _seconds(self, model: str, keep_alive: float | None) -> float:
        """A keep-alive as the scheduler takes it: what was asked, else what a person set for the model, else the rules'."""
        asked = self._book.keep_alive(model) if keep_alive is None else keep_alive
        asked = self.rules.keep_alive if asked is None else asked
        if asked < 0:
            return math.inf
        if not asked <= LONGEST_KEEP_ALIVE:
            days = f"{LONGEST_KEEP_ALIVE / 86_400:g} days"
            self.decisions.note("shortened", model, f"A keep-alive of {asked:g} s was shortened to {days}.")
            return LONGEST_KEEP_ALIVE
        return asked

    # -- what is known of models

    def _value(self, model: str, resident: _Resident, now: float) -> float:
        """Seconds a second that its absence would cost: what a reload takes times the requests expected."""
        return self._load_time(model, resident.plan) * self._demand.rate(model, now)

    def _load_time(self, model: str, plan: Plan) -> float:
        wish = self._demand.wishes.get(model)
        return plan.seconds if wish is None or wish.load_seconds is None else wish.load_seconds

    def _load_seconds(self) -> dict[str, float]:
        plans = {**self._plans, **{name: resident.plan for name, resident in self._residents.items()}}
        return {name: self._load_time(name, plan) for name, plan in plans.items()}

    def _row(self, name: str, resident: _Resident) -> ResidentRow:
        now, wish = self._clock(), self._demand.of(name)
        idle = now - resident.since if resident.state == "ready" and not resident.leases else None
        ends = resident.keep_alive < math.inf and name not in self._pins
        leaves = max(0.0, resident.keep_alive - idle) if ends and idle is not None else None
        return ResidentRow(
            name, _state(resident), resident.why, resident.leases, resident.plan.slots, resident.bytes,
            resident.plan.bytes, resident.measured, resident.engine.pid, self._restarts(name), name in self._pins,
            resident.keep_alive if resident.keep_alive < math.inf else None, idle, leaves, wish.load_seconds,
            wish.requests, round(60 * self._demand.rate(name, now), 2), resident.plan.what, resident.smaller,
        )  # fmt: skip

    def _pauses(self) -> dict[str, Pause]:
        now = self._clock()
        return {name: Pause(b.wait(now), b.broken()) for name, b in self._backoffs.items()}

    def _refuse_all(self, model: str, problem: HomefireError) -> None:
        for waiting in self._waiting.values():
            if waiting.ticket.model == model:
                _refuse(waiting, problem)

    def _note_crash(self, model: str, resident: _Resident) -> None:
        now = self._clock()
        backoff = self._backoffs.setdefault(model, Backoff())
        backoff.crashed(now, now - resident.started)
        self._book.crashed(model, backoff, now)

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
            for waiting in self._waiting.values():
                _refuse(waiting, InternalError(f"A model's task failed: {problem!r}."))
            for name, resident in list(self._residents.items()):
                if resident.life is task:
                    self._note_crash(name, resident)
                    self._forget(name, resident)


def _give_up(waiting: _Waiting) -> None:
    """A lease that was granted in the same turn of the loop in which its waiter left goes back."""
    future = waiting.future
    if future.done() and not future.cancelled() and future.exception() is None:
        future.result().release()


def _refuse(waiting: _Waiting, problem: HomefireError) -> None:
    if not waiting.future.done():
        waiting.future.set_exception(problem)


def _state(resident: _Resident) -> str:
    return "draining" if resident.state == "ready" and (resident.draining or resident.leaving) else resident.state


def _corrected(estimated: Mapping[str, int], measured: int) -> dict[str, int]:
    """The estimate, or what the process was seen to take where that is more. Never less: what a cache has not touched yet does
    not show, and comes later."""
    return {**estimated, HOST: max(estimated[HOST], measured)} if HOST in estimated else dict(estimated)
