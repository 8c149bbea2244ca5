"""What is in memory, why, what waits and what leaves next: as `homefire ps` and the routes show it.

Promises: pure; figures that are guesses are named so (`eta_s`, `estimated_bytes`).
Does not cover: the forms of HTTP and terminal.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homefire.errors import DoesNotFit
from homefire.residency.demand import Demand
from homefire.residency.host_shelf import OnShelf
from homefire.residency.plan import HOST, gib
from homefire.residency.scheduler import Pause, World, missing, taken


@dataclass(frozen=True, slots=True)
class ResidentView:
    """A model as `homefire status` shows it."""

    name: str
    state: str
    leases: int
    pid: int | None
    restarts: int


@dataclass(frozen=True, slots=True)
class ResidentRow:
    """A model in memory, in full. Bytes of each device, seconds; None where it never ends or is not known."""

    name: str
    state: str
    why: str
    leases: int
    slots: int
    reserved_bytes: Mapping[str, int]
    estimated_bytes: Mapping[str, int]
    measured_bytes: int
    pid: int | None
    restarts: int
    pinned: bool
    keep_alive_s: float | None
    idle_s: float | None
    leaves_in_s: float | None
    load_s: float | None
    requests: int
    requests_per_minute: float
    as_loaded: str
    smaller: bool


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """The requests that wait for one model."""

    model: str
    requests: int
    keys: int
    oldest_s: float
    eta_s: float


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """Memory of one device that models share: all they may take, what is promised to them, and what limits it; all that there is
    and what stays free of it (None: not known)."""

    name: str
    room_bytes: int
    reserved_bytes: int
    why: str
    total_bytes: int | None = None
    headroom_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Residency:
    """The whole table. `next_to_leave`: the model that leaves first when memory is needed, or when its keep-alive ends;
    `in_host_memory`: models that left, whose files are kept in the page cache."""

    models: list[ResidentRow]
    waiting: list[WaitingRow]
    devices: list[DeviceRow]
    pinned: list[str]
    next_to_leave: dict[str, Any] | None = field(default=None)
    in_host_memory: list[OnShelf] = field(default_factory=list)


def outlook(world: World, demand: Demand, loads: Mapping[str, float]) -> dict[int, tuple[int, float]]:
    """For each waiting request its place in the queue, from 1, and about how many seconds until its turn. `loads`: seconds that a
    load of a model takes."""
    found: dict[int, tuple[int, float]] = {}
    before: Counter[str] = Counter()
    free = {device: size - taken(world.residents.values())[device] for device, size in world.room.bytes.items()}
    behind = 0.0  # seconds until the loads of those before are over
    begins: dict[str, float] = {}
    for place, waiter in enumerate(world.shares.in_turn(world.waiting), 1):
        model = waiter.model
        service = demand.wishes[model].service_seconds if model in demand.wishes else 0.0
        resident = world.residents.get(model)
        if model not in begins:
            load = loads.get(model, 1.0)
            if resident is not None and resident.state == "ready":
                begins[model] = 0.0
            elif resident is not None:
                begins[model] = max(0.0, load - (world.now - resident.since))
            else:
                if missing(world.needs.get(model, {}), free):
                    behind += service  # somebody has to finish first
                behind += load
                begins[model] = behind
        slots = resident.slots if resident is not None else 0
        rounds = (
            before[model] // slots + (1 if resident is not None and resident.leases >= slots else 0) if slots else 0
        )
        before[model] += 1
        found[waiter.number] = (place, round(begins[model] + rounds * service, 1))
    return found


def next_to_leave(world: World) -> dict[str, Any] | None:
    """The idle model that would leave first, when, and why."""
    idle = [
        (name, r)
        for name, r in world.residents.items()
        if r.state == "ready" and not (r.leases or r.pinned or r.draining)
    ]
    if not idle:
        return None
    name, first = min(idle, key=lambda each: each[1].since + each[1].keep_alive)
    ends = first.since + first.keep_alive - world.now
    if ends < math.inf:
        return {"model": name, "in_s": round(max(0.0, ends), 1), "why": "its keep-alive ends, if nobody asks for it"}
    name, _ = min(idle, key=lambda each: (each[1].value / max(1, sum(each[1].bytes.values())), each[1].since))
    return {"model": name, "in_s": None, "why": "when another model needs its memory: its return would cost least"}


def waiting_rows(world: World, ahead: Mapping[int, tuple[int, float]]) -> list[WaitingRow]:
    """One row for each model that is waited for, the longest wait first."""
    groups: dict[str, list[Any]] = {}
    for waiter in world.waiting:
        groups.setdefault(waiter.model, []).append(waiter)
    rows = [
        WaitingRow(
            model,
            len(each),
            len({waiter.key for waiter in each}),
            round(world.now - min(waiter.since for waiter in each), 1),
            min(ahead[waiter.number][1] for waiter in each),
        )
        for model, each in groups.items()
    ]
    return sorted(rows, key=lambda row: -row.oldest_s)


def device_rows(world: World) -> list[DeviceRow]:
    """The devices whose memory is known."""
    used, room = taken(world.residents.values()), world.room
    return [
        DeviceRow(name, size, used[name], room.why.get(name, ""), room.total.get(name), room.headroom.get(name))
        for name, size in room.bytes.items()
    ]


def resting_state(pause: Pause) -> str:
    """The word for a model that rests after crashes."""
    return "broken" if pause.broken else "backing_off"


def too_large(model: str, world: World, for_pins: bool) -> DoesNotFit:
    """Names the device on which most is missing."""
    need, pinned = world.needs[model], taken(r for r in world.residents.values() if r.pinned)
    rooms = {d: size - (pinned[d] if for_pins else 0) for d, size in world.room.bytes.items()}
    device = max(missing(need, rooms).items(), key=lambda each: each[1])[0]
    where = "main memory" if device == HOST else f"memory of the GPU ({device})"
    said = f"'{model}' needs {gib(need[device])} of {where}; models may take {gib(rooms[device])} of it here"
    why = world.room.why.get(device, "")
    if for_pins:
        return DoesNotFit(f"{said} beside the pinned ones.", "Unpin one with: homefire load NAME --unpin")
    return DoesNotFit(f"{said}{f' ({why})' if why else ''}.")
