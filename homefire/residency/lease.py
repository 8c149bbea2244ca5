"""What the keeper gives, and the rules it gives it by.

Promises: a lease that was given back changes nothing when it is given back again.
Does not cover: who gets one when (`keeper.py`, `scheduler.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from homefire.engines.engine import Engine
from homefire.errors import EngineGone

# Told, while a request waits, of its place in the queue (1: next) and the seconds until its turn, as far as they can be told. On
# the event loop; must not block.
Told = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class KeeperRules:
    """How the keeper behaves; seconds. `keep_alive`: of idleness until a model leaves, negative: never for that; `starvation`:
    how long a request may wait behind others' models; `watch`: between two looks at the machine's memory."""

    wait_seconds: float = 300.0
    queue: int = 512
    queue_per_key: int = 256
    keep_alive: float = 1800.0
    starvation: float = 60.0
    watch: float = 10.0

    @property
    def patience(self) -> float:
        """Half of the bound: the other half is for those who must finish first, and for the load."""
        return self.starvation / 2

    @property
    def quantum(self) -> float:
        """How long a model stays at least while requests for it wait."""
        return self.starvation / 8


class Lease:
    """The right to use an engine; `async with` gives it back. The engine may still die: then its answers say so."""

    def __init__(self, model: str, engine: Engine, give_back: Callable[[bool], None]) -> None:
        self.model = model
        self.engine = engine
        self._give_back: Callable[[bool], None] | None = give_back

    def release(self, problem: BaseException | None = None) -> None:
        """Gives it back; safe to call twice. `problem` is what it ended with: of an engine that is gone nobody gets another
        lease, also where its keeper has not yet seen its end."""
        if self._give_back is not None:
            give_back, self._give_back = self._give_back, None
            give_back(isinstance(problem, EngineGone))

    async def __aenter__(self) -> Lease:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release(problem)
