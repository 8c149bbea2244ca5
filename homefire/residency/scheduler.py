"""Which model to start, which to stop, whom to serve: decided by a pure function, tested without sleeping.

Rules, in this order:
1. A request past `patience` whose model is not in memory goes first, the oldest of them first. It may drain models that are in
   use: they get no new requests and leave when the last answer is done. A model keeps its turn for `quantum` before it can be
   drained.
2. A model that is wanted is loaded if it fits beside what is there, counting what is on its way in and what has not left yet;
   else idle models make room: those whose return would cost least, by (seconds of a reload x requests expected) for each byte.
3. Requests for a model in memory are served in turn by key (`fairness.py`), as many as it has slots, also while others wait for
   another model: what wants the same model is collated, until rule 1 ends that.
4. A pinned model never makes room. An idle one leaves when its keep-alive is over, or when memory becomes scarce.
5. What cannot fit, whatever leaves, and what is broken, is refused at once.
Promises: `decide` changes nothing; the same world gives the same decisions; the bytes of all residents never pass the room by a
decision of its own; every waiting request is granted or refused in the end, as long as leases are given back.
Does not cover: doing it (`keeper.py`), splitting a model over devices (its plan says what it takes of each).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from homefire.residency.fairness import Shares

State = Literal["starting", "ready", "stopping"]
Why = Literal["room", "keep_alive", "scarce", "asked"]
Refusal = Literal["broken", "does_not_fit", "pinned"]
NOTHING: Mapping[str, int] = {}
FOREVER = math.inf
# Asked again sooner than this, a clock may not have moved far enough to decide otherwise.
SOON = 0.001


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory. `bytes` that it takes or may take of each device; `slots` answers at once (0: any number); `value`:
    seconds a second that its absence would cost (reload x rate); `since` its last change (started, ready, last lease given back);
    `ready_at` when it became ready; `keep_alive` in seconds of idleness; `leaving`: somebody asked for that."""

    state: State
    leases: int = 0
    bytes: Mapping[str, int] = field(default_factory=dict)
    slots: int = 0
    value: float = 0.0
    since: float = 0.0
    ready_at: float = 0.0
    keep_alive: float = FOREVER
    pinned: bool = False
    leaving: bool = False
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Waiter:
    """A request that waits, since `since`."""

    number: int
    model: str
    since: float = 0.0
    key: str = ""
    cost: int = 1


@dataclass(frozen=True, slots=True)
class Pause:
    """A model that crashed: `seconds` until it may be started; `broken` if it crashed too often."""

    seconds: float
    broken: bool


@dataclass(frozen=True, slots=True)
class Room:
    """What all models together may take of each device, in bytes; a device that is not named has no limit. `slack`: how far they
    may pass it before idle ones leave for that; `why` says for people what limits a device; `total` is all that there is of it,
    `headroom` what of that stays free, where these are known."""

    bytes: Mapping[str, int] = field(default_factory=dict)
    slack: int = 0
    why: Mapping[str, str] = field(default_factory=dict)
    total: Mapping[str, int] = field(default_factory=dict)
    headroom: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class World:
    """All that a decision depends on. `waiting` in order of arrival; `needs`: bytes that a model which is not in memory would
    take (one that is missing is not known yet, and waits)."""

    now: float
    residents: Mapping[str, Resident]
    waiting: Sequence[Waiter]
    needs: Mapping[str, Mapping[str, int]]
    room: Room = Room()
    pauses: Mapping[str, Pause] = field(default_factory=dict)
    shares: Shares = field(default_factory=Shares)
    patience: float = FOREVER
    quantum: float = 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """Serve the waiting request of this number."""

    waiter: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """This waiting request cannot be served now."""

    waiter: int
    why: Refusal


@dataclass(frozen=True, slots=True)
class Start:
    """Load this model."""

    model: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Unload this model, which nobody uses. `wanted`: the model it makes room for."""

    model: str
    why: Why
    wanted: str = ""


@dataclass(frozen=True, slots=True)
class Drain:
    """Give this model no new requests: it makes room for another that waited too long."""

    model: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Later:
    """Ask again after this many seconds."""

    seconds: float


Decision = Grant | Refuse | Start | Stop | Drain | Later


def decide(world: World) -> list[Decision]:
    """What to do now."""
    return _Round(world).decide()


def missing(need: Mapping[str, int], free: Mapping[str, int]) -> dict[str, int]:
    """Bytes that are short of each device; empty if it fits. A device that is not in `free` has no limit."""
    return {device: size - free[device] for device, size in need.items() if device in free and size > free[device]}


def taken(residents: Iterable[Resident]) -> Counter[str]:
    """Bytes that all of these take of each device, whatever their state: one that stops gives its memory back when it is gone."""
    found: Counter[str] = Counter()
    for resident in residents:
        found.update(resident.bytes)
    return found


class _Round:
    """One decision. `free` is what is left of the room now, `soon` with what leaves already."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.order = world.shares.in_turn(world.waiting)
        self.wanted = Counter(waiter.model for waiter in world.waiting)
        self.out: list[Decision] = []
        self.gone: set[str] = set()  # models that this round stops, drains or has seen leave
        self.wake = FOREVER
        used = taken(world.residents.values())
        self.free = {device: size - used[device] for device, size in world.room.bytes.items()}
        self.soon = dict(self.free)
        for name, resident in world.residents.items():
            if resident.state == "stopping":
                self._add(resident)
            elif resident.leaving and resident.state == "ready":
                self._leave(name, "asked")

    def decide(self) -> list[Decision]:
        """See the module's text."""
        for waiter in self._to_load():
            self._load(waiter)
        self._grant()
        self._expire()
        self._relieve()
        if self.wake < FOREVER:
            self.out.append(Later(max(SOON, self.wake)))
        return self.out

    def _to_load(self) -> Iterator[Waiter]:
        """For each wanted model that is not in memory the waiter that asks most urgently: past their patience by age, then in
        turn."""
        world = self.world
        absent = [waiter for waiter in self.order if waiter.model not in world.residents]
        late = [waiter for waiter in world.waiting if waiter.model not in world.residents and self._late(waiter)]
        seen: set[str] = set()
        for waiter in (*sorted(late, key=lambda w: w.since), *absent):
            if waiter.model not in seen:
                seen.add(waiter.model)
                yield waiter

    def _late(self, waiter: Waiter) -> bool:
        return self.world.now - waiter.since >= self.world.patience

    def _load(self, waiter: Waiter) -> None:
        world, model = self.world, waiter.model
        pause, need = world.pauses.get(model), world.needs.get(model)
        if pause is not None and pause.seconds > 0:
            if pause.broken:
                self._refuse(model, "broken")
            else:
                self._again(pause.seconds)
            return
        if need is None:
            return
        if missing(need, world.room.bytes):
            self._refuse(model, "does_not_fit")
            return
        pinned = taken(r for r in world.residents.values() if r.pinned)
        if missing(need, {device: size - pinned[device] for device, size in world.room.bytes.items()}):
            self._refuse(model, "pinned")
            return
        if not missing(need, self.free):
            self.out.append(Start(model))
            self._claim(need)
        elif not missing(need, self.soon):
            self._claim(need)  # what leaves already is for this one
        else:
            self._make_room(waiter, need)

    def _make_room(self, waiter: Waiter, need: Mapping[str, int]) -> None:
        late = self._late(waiter)
        short = missing(need, self.soon)
        victims = self._victims(short, late)
        if victims is not None:
            for name in victims:
                self._leave(name, "room", waiter.model)
            self._claim(need)
        elif late:
            self._claim(need)  # nobody else may take what becomes free
        if not late:
            self._again(waiter.since + self.world.patience - self.world.now)

    def _victims(self, short: Mapping[str, int], late: bool) -> list[str] | None:
        """The models that cost least to lose and free what is short; None if all together do not."""
        found: list[tuple[tuple[bool, bool, float, float], str]] = []
        for name, resident in self.world.residents.items():
            freed = sum(min(resident.bytes.get(device, 0), size) for device, size in short.items())
            if not freed or resident.pinned or resident.state != "ready" or name in self.gone:
                continue
            busy = resident.leases > 0 or self.wanted[name] > 0
            if busy and not (late and self._had_its_turn(name, resident)):
                continue
            found.append(((busy, not resident.draining, resident.value / freed, resident.since), name))
        found.sort()
        chosen: list[str] = []
        left = dict(short)
        for _, name in found:
            if not left:
                break
            chosen.append(name)
            freed_by = self.world.residents[name].bytes
            left = {device: rest for device, size in left.items() if (rest := size - freed_by.get(device, 0)) > 0}
        if left:
            return None
        return self._without_needless(chosen, short)

    def _without_needless(self, chosen: list[str], short: Mapping[str, int]) -> list[str]:
        """A small one that was taken first may be needless beside a large one that had to be taken after it."""
        for name in reversed(chosen[:-1]):
            others = taken(self.world.residents[other] for other in chosen if other != name)
            if all(others[device] >= size for device, size in short.items()):
                chosen.remove(name)
        return chosen

    def _had_its_turn(self, name: str, resident: Resident) -> bool:
        left = resident.ready_at + self.world.quantum - self.world.now
        if left > 0 and self.wanted[name]:
            self._again(left)
            return False
        return True

    def _leave(self, name: str, why: Why, wanted: str = "") -> None:
        """Stops a model that nobody uses; drains one that is in use."""
        resident = self.world.residents[name]
        self.gone.add(name)
        self._add(resident)
        if resident.leases == 0:
            self.out.append(Stop(name, why, wanted))
        elif why == "room":
            self.out.append(Drain(name, wanted))

    def _grant(self) -> None:
        given: Counter[str] = Counter()
        for waiter in self.order:
            resident = self.world.residents.get(waiter.model)
            if resident is None or resident.state != "ready" or waiter.model in self.gone:
                continue
            if resident.slots and resident.leases + given[waiter.model] >= resident.slots:
                continue
            given[waiter.model] += 1
            self.out.append(Grant(waiter.number))

    def _expire(self) -> None:
        for name, resident in self._idle():
            left = resident.since + resident.keep_alive - self.world.now
            if left <= 0:
                self._leave(name, "keep_alive")
            else:
                self._again(left)

    def _relieve(self) -> None:
        """Others need memory: idle models leave, those that cost least first."""
        staying = {n: r for n, r in self.world.residents.items() if r.state != "stopping" and n not in self.gone}
        over = taken(staying.values())
        over.subtract(self.world.room.bytes)
        for name, resident in sorted(self._idle(), key=lambda each: (each[1].value, each[1].since)):
            if any(over[device] > self.world.room.slack and size for device, size in resident.bytes.items()):
                self._leave(name, "scarce")
                over.subtract(resident.bytes)

    def _idle(self) -> list[tuple[str, Resident]]:
        return [
            (name, resident)
            for name, resident in self.world.residents.items()
            if resident.state == "ready"
            and not (resident.leases or resident.pinned or self.wanted[name] or name in self.gone)
        ]

    def _refuse(self, model: str, why: Refusal) -> None:
        self.out.extend(Refuse(waiter.number, why) for waiter in self.order if waiter.model == model)

    def _claim(self, need: Mapping[str, int]) -> None:
        for device, size in need.items():
            if device in self.free:
                self.free[device] -= size
                self.soon[device] -= size

    def _add(self, resident: Resident) -> None:
        for device, size in resident.bytes.items():
            if device in self.soon:
                self.soon[device] += size

    def _again(self, seconds: float) -> None:
        self.wake = min(self.wake, seconds)
