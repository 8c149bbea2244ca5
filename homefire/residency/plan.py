"""What a load would take, and who can tell: what the keeper has to know about models and the machine.

Promises: a `Plan` and a `Room` are plain values; `Unlimited` is a machine on which everything fits.
Does not cover: finding out (`sizing.py` does for real models on this machine).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from homefire.errors import HomefireError
from homefire.residency.scheduler import Room

HOST = "host"
MIB, GIB = 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Plan:
    """One load. `bytes` of each device, `slots` answers at once (0: any number), `seconds` that it may take where it was never
    measured, `files` that are read, `what` says how it is loaded, such as "context 8192, 4 slots"; `load` names the file and all
    that its memory depends on, so that what one load took tells of the next ("": the model's name does)."""

    bytes: Mapping[str, int] = field(default_factory=dict)
    slots: int = 0
    seconds: float = 1.0
    files: tuple[Path, ...] = ()
    what: str = ""
    load: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A model that is in memory: its process, the bytes promised to it, and whether it has taken them (it does not load any
    more)."""

    pid: int | None
    bytes: Mapping[str, int]
    settled: bool


class Sizes(Protocol):
    """Knows models and memory. None of it blocks the event loop."""

    async def plan(self, model: str, smaller: bool) -> Plan:
        """What a load takes; `smaller`: of the second try after one that ran out of memory. Raises UnknownModel."""
        ...

    async def room(self, held: Iterable[Held]) -> Room:
        """What models may take in all, now, where these are there already."""
        ...

    async def taken(self, pid: int) -> int:
        """Bytes of main memory that a process takes, 0 if it is gone."""
        ...

    def ran_out(self, model: str, problem: HomefireError) -> bool:
        """Whether a load failed for want of memory."""
        ...


class Unlimited:
    """Sizes that never say no."""

    async def plan(self, model: str, smaller: bool) -> Plan:
        return Plan()

    async def room(self, held: Iterable[Held]) -> Room:
        return Room()

    async def taken(self, pid: int) -> int:
        return 0

    def ran_out(self, model: str, problem: HomefireError) -> bool:
        return False


def gib(size: int) -> str:
    """Bytes for people."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{max(0, size) / MIB:.0f} MiB"
