"""A simulated machine for the real keeper: engines that only take time and memory, on an event loop whose clock jumps.

Nothing sleeps: when every task waits, the loop's time moves to the next timer. So hours of requests take seconds, and the same
seed gives the same run. A run raises if models ever took more memory than there is.
Promises: the keeper and the scheduler are the real ones; `FirstCome` serves the same requests in order of arrival, least recently
used out first, with the same engines.
Does not cover: threads, processes, the measuring of real memory.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from homefire.engines.engine import Engine
from homefire.errors import EngineFailed, HomefireError
from homefire.residency import Keeper, KeeperRules, scheduler
from homefire.residency.plan import HOST, Held, Plan
from homefire.residency.scheduler import Room

T = TypeVar("T")


class _Jump(selectors.BaseSelector):
    """Instead of waiting it moves the clock on."""

    def __init__(self) -> None:
        self.now = 0.0
        self._inner = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = self._inner.select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("every task waits for something that never comes")
            self.now += max(0.0, timeout)
        return ready

    def register(self, *given: Any, **named: Any) -> Any:
        return self._inner.register(*given, **named)

    def unregister(self, *given: Any) -> Any:
        return self._inner.unregister(*given)

    def get_map(self) -> Any:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in which time is free."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def run(work: Awaitable[T]) -> T:
    """Runs a coroutine in simulated time."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(work)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Kind:
    """A model: bytes, seconds of its load and of its end; `fails`: how likely a load fails."""

    size: int
    load: float = 3.0
    stop: float = 0.3
    slots: int = 4
    fails: float = 0.0


class TooMuch(AssertionError):
    """More memory was taken than there is."""


@dataclass
class Device:
    """Memory. `passed` tells of the first time that more of it was taken than there is."""

    total: int
    used: Counter[str] = field(default_factory=Counter)
    most: int = 0
    passed: str = ""

    def take(self, name: str, size: int) -> None:
        self.used[name] += size
        now = sum(self.used.values())
        self.most = max(self.most, now)
        if now > self.total and not self.passed:
            self.passed = f"{now} of {self.total} bytes are taken: {dict(self.used)}"

    def give(self, name: str, size: int) -> None:
        self.used[name] -= size


class SimulatedEngine:
    """As much of an Engine as the keeper uses."""

    pid = None

    def __init__(self, name: str, machine: Machine) -> None:
        self.name = name
        self._machine, self._kind = machine, machine.kinds[name]
        self._took = 0
        self._ended = asyncio.Event()
        self._stopping = False

    async def start(self) -> None:
        machine, kind = self._machine, self._kind
        # All that was promised to it, or somewhat less: estimates are on the safe side.
        self._took = int(kind.size * machine.random.uniform(0.8, 1.0))
        machine.device.take(self.name, self._took)
        machine.loads[self.name] += 1
        try:
            await asyncio.wait_for(self._ended.wait(), kind.load * machine.random.uniform(0.7, 1.3))
        except TimeoutError:
            if machine.random.random() >= kind.fails:
                return
            await self.stop()
            raise EngineFailed("It was told to fail.") from None
        raise EngineFailed("It was stopped while it loaded.")

    async def stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            await asyncio.sleep(self._kind.stop)
            self._machine.device.give(self.name, self._took)
            self._took = 0
            self._ended.set()
        await self._ended.wait()

    async def wait(self) -> str:
        await self._ended.wait()
        return "" if self._stopping else "crashed"


class Machine:
    """The device and the models; also the `Sizes` of the keeper."""

    def __init__(self, total: int, kinds: Mapping[str, Kind], seed: int = 0) -> None:
        self.device = Device(total)
        self.kinds = kinds
        self.random = random.Random(seed)
        self.loads: Counter[str] = Counter()

    def make(self, name: str) -> Engine:
        return SimulatedEngine(name, self)  # type: ignore[return-value]

    async def plan(self, model: str, smaller: bool) -> Plan:
        kind = self.kinds[model]
        await asyncio.sleep(0.001)
        return Plan({HOST: kind.size}, kind.slots, kind.load)

    async def room(self, held: Iterable[Held]) -> Room:
        return Room({HOST: self.device.total})

    async def taken(self, pid: int) -> int:
        return 0

    def ran_out(self, model: str, problem: HomefireError) -> bool:
        return False


class Leased(Protocol):
    """What `ensure` gives."""

    def release(self) -> None: ...


Ensure = Callable[..., Awaitable[Leased]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it comes, what it wants, how long it takes, when its sender gives up (None: never)."""

    at: float
    model: str
    seconds: float
    key: str = ""
    cost: int = 500
    leaves: float | None = None


@dataclass
class Outcome:
    """What became of the requests: seconds each waited, by number; errors; who left; in which order they were served."""

    waits: dict[int, float] = field(default_factory=dict)
    errors: dict[int, HomefireError] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
    order: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def longest(self) -> float:
        return max(self.waits.values(), default=0.0)


async def play(requests: Iterable[Request], ensure: Ensure) -> Outcome:
    """Sends the requests at their times and waits until each has ended."""
    found = Outcome()
    loop = asyncio.get_running_loop()

    async def send(number: int, request: Request) -> None:
        await asyncio.sleep(request.at)
        began = loop.time()
        try:
            lease = await ensure(request.model, key=request.key, cost=request.cost)
        except HomefireError as problem:
            found.errors[number] = problem
            return
        found.waits[number] = loop.time() - began
        found.order.append(number)
        try:
            await asyncio.sleep(request.seconds)
        finally:
            lease.release()

    async def send_or_leave(number: int, request: Request) -> None:
        task = asyncio.ensure_future(send(number, request))
        limit = None if request.leaves is None else request.at + request.leaves
        _, late = await asyncio.wait((task,), timeout=limit)
        if late:
            task.cancel()
            await asyncio.wait((task,))
            found.left.add(number)
        else:
            task.result()

    await asyncio.gather(*(send_or_leave(number, request) for number, request in enumerate(requests)))
    found.seconds = loop.time()
    return found


async def with_keeper(
    machine: Machine, requests: Iterable[Request], rules: KeeperRules, check: Callable[[Keeper], None] = lambda _: None
) -> Outcome:
    """Plays the requests against the real keeper; `check` looks at it afterwards, before it is closed."""
    keeper = Keeper(machine.make, rules, machine, clock=asyncio.get_running_loop().time)
    try:
        found = await play(requests, keeper.ensure)
        check(keeper)
    finally:
        await keeper.close()
    if machine.device.passed:
        raise TooMuch(machine.device.passed)
    if any(machine.device.used.values()):
        raise AssertionError(f"memory is left behind: {dict(machine.device.used)}")
    return found


class FirstCome:
    """The rule to compare with: strictly in order of arrival; the least recently used idle models make room."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._engines: dict[str, Engine] = {}
        self._leases: Counter[str] = Counter()
        self._turn = asyncio.Lock()  # fair: waiters are woken in order
        self._freed = asyncio.Event()

    async def ensure(self, model: str, *, key: str = "", cost: int = 1) -> Leased:
        """A lease, after everybody who came before has one."""
        async with self._turn:
            kind = self._machine.kinds[model]
            if model not in self._engines:
                while (
                    kind.size + sum(self._machine.kinds[name].size for name in self._engines)
                    > self._machine.device.total
                ):
                    idle = next((name for name in self._engines if not self._leases[name]), None)
                    if idle is None:
                        await self._wait()
                    else:
                        await self._engines.pop(idle).stop()
                engine = self._machine.make(model)
                await engine.start()
                self._engines[model] = engine
            while self._leases[model] >= kind.slots:
                await self._wait()
            self._engines[model] = self._engines.pop(model)  # the most recently used stands last
            self._leases[model] += 1
            return _FirstComeLease(self, model)

    async def _wait(self) -> None:
        self._freed.clear()
        await self._freed.wait()

    def give_back(self, model: str) -> None:
        self._leases[model] -= 1
        self._freed.set()

    async def close(self) -> None:
        for engine in self._engines.values():
            await engine.stop()


class _FirstComeLease:
    def __init__(self, owner: FirstCome, model: str) -> None:
        self._owner, self._model = owner, model

    def release(self) -> None:
        self._owner.give_back(self._model)


async def first_come(machine: Machine, requests: Iterable[Request]) -> Outcome:
    """Plays the requests in order of arrival."""
    queue = FirstCome(machine)
    try:
        return await play(requests, queue.ensure)
    finally:
        await queue.close()


GIB = 1 << 30
STORM_REQUESTS, STORM_MODELS, STORM_SECONDS = 200, 6, 30.0


def storm(seed: int) -> tuple[dict[str, Kind], list[Request]]:
    """200 requests for 6 models within half a minute, from 8 keys; two models fit at a time (on a device of 10 GiB)."""
    source = random.Random(seed)
    kinds = {f"m{number}": Kind(5 * GIB, load=2.0) for number in range(STORM_MODELS)}
    requests = [
        Request(
            source.uniform(0, STORM_SECONDS),
            source.choice(list(kinds)),
            source.uniform(0.2, 1.5),
            f"key{source.randrange(8)}",
            source.randrange(50, 2000),
        )
        for _ in range(STORM_REQUESTS)
    ]
    return kinds, requests


def schedule(seed: int) -> tuple[int, dict[str, Kind], list[Request]]:
    """A random machine with random models and requests: total bytes, models, requests. Some leave, some models never fit."""
    source = random.Random(seed)
    total = source.randrange(4, 64) * GIB
    kinds = {
        f"m{number}": Kind(
            int(total * source.uniform(0.05, 1.1)),
            source.uniform(0.1, 8),
            source.uniform(0.01, 2),
            source.choice([1, 2, 4, 8]),
            source.choice([0.0, 0.0, 0.0, 0.2]),
        )
        for number in range(source.randrange(1, 8))
    }
    requests = [
        Request(
            source.uniform(0, 60),
            source.choice(list(kinds)),
            source.expovariate(1.0),
            f"key{source.randrange(4)}",
            source.randrange(1, 4000),
            source.choice([None, None, None, source.uniform(0, 20)]),
        )
        for _ in range(source.randrange(5, 60))
    ]
    return total, kinds, requests


def timed_decisions(into: list[float]) -> Callable[[], None]:
    """Notes the seconds of real time that each decision takes, until the function that this gives is called."""
    real = scheduler.decide

    def timed(world: scheduler.World) -> list[scheduler.Decision]:
        began = time.perf_counter()
        try:
            return real(world)
        finally:
            into.append(time.perf_counter() - began)

    scheduler.decide = timed

    def end() -> None:
        scheduler.decide = real

    return end
