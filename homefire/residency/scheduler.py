"""Which model to start, which to stop, whom to serve: decided by a pure function, tested without sleeping.

The rule of this version: one model in memory at a time, requests in order of arrival. A request for the model in memory is
served at once unless an earlier one waits for another model: then it waits behind it, so that a busy model cannot keep
another out for ever.
Promises: `decide` changes nothing; the same state gives the same decisions; every waiting request is granted or refused after
finitely many decisions, as long as leases are given back.
Does not cover: doing it (`keeper.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

State = Literal["starting", "ready", "stopping"]


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory, as the scheduler sees it."""

    state: State
    leases: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A model that crashed: `seconds` until it may be started; `broken` if it crashed too often."""

    seconds: float
    broken: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """Serve the waiting request of this number."""

    waiter: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """The model of this waiting request is broken for now."""

    waiter: int


@dataclass(frozen=True, slots=True)
class Start:
    """Load this model."""

    model: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Unload this model."""

    model: str


@dataclass(frozen=True, slots=True)
class Later:
    """Ask again after this many seconds."""

    seconds: float


Decision = Grant | Refuse | Start | Stop | Later


def decide(
    residents: Mapping[str, Resident], waiting: Sequence[tuple[int, str]], pauses: Mapping[str, Pause]
) -> list[Decision]:
    """What to do now. `waiting` holds (number, model) in order of arrival."""
    decisions: list[Decision] = []
    granted: set[str] = set()
    for number, model in waiting:
        resident = residents.get(model)
        if resident is not None and resident.state == "ready":
            decisions.append(Grant(number))
            granted.add(model)
            continue
        pause = pauses.get(model)
        if resident is None and pause is not None and pause.broken and pause.seconds > 0:
            decisions.append(Refuse(number))
            continue
        decisions.extend(_make_room(residents, model, pause, granted) if resident is None else [])
        break
    return decisions


def _make_room(residents: Mapping[str, Resident], model: str, pause: Pause | None, granted: Set[str]) -> list[Decision]:
    if not residents:
        if pause is not None and pause.seconds > 0:
            return [Later(pause.seconds)]
        return [Start(model)]
    # A lease granted a moment ago is not counted in `residents` yet.
    return [
        Stop(name)
        for name, other in residents.items()
        if other.state == "ready" and other.leases == 0 and name not in granted
    ]
