"""The regulator: looks every few seconds, asks the governor, pulls the levers. The doing beside `governor.py`'s deciding.

Promises: it looks only while `needed` says so (a sleeping GPU is not woken for nothing) or while a level is up; each decision is
logged with its reading and kept (the last 100); a lever that fails is logged and does not end the looking; at its end every
lever is back.
Does not cover: what the levers move (`daemon/`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from homefire.errors import HomefireError
from homefire.hardware.governor import Decision, Governor, Wish
from homefire.hardware.sensors import Live

log = logging.getLogger(__name__)

KEPT = 100


class Levers(Protocol):
    """What can be moved. Shares of what is usual; 1 puts it back."""

    def set_threads(self, share: float) -> None:
        """Threads of models loaded from now on."""
        ...

    def set_batch(self, share: float) -> None:
        """Tokens read at once by models loaded from now on."""
        ...

    def set_context(self, share: float) -> None:
        """Context window of models loaded from now on."""
        ...

    async def set_gpu_power(self, share: float) -> None:
        """Power limit of the GPUs, where a person switched that on."""
        ...

    async def unload_idle(self, reason: str) -> None:
        """Lets go of models that nobody uses."""
        ...


@dataclass(slots=True)
class Regulator:
    """`run` until cancelled. `seconds` between two looks; `heard` is told of each decision."""

    live: Live
    governor: Governor
    levers: Levers
    seconds: float
    needed: Callable[[], bool] = lambda: True
    heard: Callable[[Decision], None] = lambda decision: None
    decisions: deque[Decision] = field(default_factory=lambda: deque(maxlen=KEPT))
    wish: Wish = field(default_factory=Wish)

    async def run(self) -> None:
        """Looks and acts until it is cancelled; then everything is put back."""
        try:
            while True:
                if self.needed() or any(self.governor.levels().values()):
                    await self.look()
                await asyncio.sleep(self.seconds)
        finally:
            await self._pull(Wish())

    async def look(self) -> list[Decision]:
        """One look and what follows of it."""
        try:
            reading = await self.live.reading(max_age=self.seconds / 2)
        except OSError as problem:
            log.warning("the sensors could not be read: %s", problem)
            return []
        if reading is None or time.time() - reading.at > 10 * self.seconds:  # the driver hangs: nothing to decide by
            return []
        decided = self.governor.look(reading, time.monotonic())
        for decision in decided:
            log.warning("governor: %s", decision.words())
            self.decisions.append(decision)
            self.heard(decision)
        await self._pull(self.governor.wish())
        for decision in decided:
            if decision.wish.unload and decision.level >= decision.level_before:
                await self._try(self.levers.unload_idle, decision.words())
        return decided

    def view(self) -> dict[str, Any]:
        """Levels, what is wished now, and the decisions, the newest first."""
        return {
            "levels": self.governor.levels(),
            "wish": self.wish,
            "ceiling_c": self.governor.limits.ceiling_c,
            "floor_bytes": self.governor.limits.floor_bytes,
            "decisions": [
                {"at": d.at, "rule": d.rule, "level_before": d.level_before, "level": d.level, "words": d.words()}
                for d in reversed(self.decisions)
            ],
        }

    async def _pull(self, wish: Wish) -> None:
        before, self.wish = self.wish, wish
        if wish.threads != before.threads:
            self.levers.set_threads(wish.threads)
        if wish.batch != before.batch:
            self.levers.set_batch(wish.batch)
        if wish.context != before.context:
            self.levers.set_context(wish.context)
        if wish.gpu_power != before.gpu_power:
            await self._try(self.levers.set_gpu_power, wish.gpu_power)

    async def _try(self, lever: Callable[[Any], Any], value: object) -> None:
        try:
            await lever(value)
        except (HomefireError, OSError) as problem:
            log.warning("governor: a lever failed: %s", problem)
