"""Hang detection: a child that lives and does not answer.

Asked every few seconds whether it answers, but only while nothing else shows that it works (an answer that made progress since
the last look). Three misses in a row: it hangs, and is ended as a crash. `Liveness` decides, `watch` does.
Promises: a child that answers, or makes progress, is never ended; `watch` returns when the child has ended, however that came.
Does not cover: work that never ends although the child answers; loading (`ready_seconds`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from homefire.supervision.child import Child

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds between two looks, seconds that an answer may take, misses that make a hang."""

    every: float = 5.0
    patience: float = 5.0
    misses: int = 3

    @classmethod
    def of(cls, seconds: float) -> Rhythm:
        """One that calls a child hung after about this long without an answer."""
        return cls(seconds / 6, seconds / 6, 3)

    @property
    def seconds(self) -> float:
        """Until a child that stopped is called hung."""
        return self.misses * (self.every + self.patience)


@dataclass(slots=True)
class Liveness:
    """The record of one child: pure."""

    limit: int = 3
    misses: int = 0
    _seen: int = field(default=-1)

    def must_ask(self, progress: int) -> bool:
        """Whether it has to be asked; not if what it has done (any count that grows) has grown since the last look."""
        moved, self._seen = progress != self._seen, progress
        if moved:
            self.misses = 0
        return not moved

    def answered(self, yes: bool) -> bool:
        """Notes an answer or a miss; whether it hangs."""
        self.misses = 0 if yes else self.misses + 1
        return self.misses >= self.limit


async def watch(
    child: Child, probe: Callable[[], Awaitable[bool]], progress: Callable[[], int], rhythm: Rhythm
) -> None:
    """Looks until the child has ended, and ends it if it hangs. `probe` asks it; what it raises counts as no answer."""
    liveness = Liveness(rhythm.misses)
    ended = asyncio.ensure_future(child.wait())
    try:
        while not (await asyncio.wait({ended}, timeout=rhythm.every))[0]:
            if liveness.must_ask(progress()) and liveness.answered(await _ask(probe, rhythm.patience)):
                log.warning("%s hangs: %d probes in a row were not answered", child.spec.name, liveness.misses)
                await child.abort(f"hung: it gave no answer for {rhythm.seconds:.0f} s")
    finally:
        ended.cancel()


async def _ask(probe: Callable[[], Awaitable[bool]], patience: float) -> bool:
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(patience):
            return await probe()
    return False
