"""Fallback: an order of engines for a model's name; when one fails before its first token, the next takes over.

    order ──first──> begin: the first event is there ──> it answers, to the end or to its error
               │
               └─ it failed in a way that another may not ──> next ──> ... ──> ChainEnded, which lists each

A streamed answer is begun when its first event is there; one that is not streamed when it is whole, since until then its reader
has seen nothing of it.
Promises: after a token that a reader may have seen nothing falls back; what is wrong with the request itself is told at once and
not tried elsewhere; who leaves while an engine is tried leaves nothing behind.
Does not cover: which order a name has, and whether an engine may be asked (`far.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from homefire.dialects.llamacpp import ChunkReader
from homefire.engines.engine import Answer
from homefire.engines.rendered import render_pieces
from homefire.errors import ChainEnded, EngineError, HomefireError
from homefire.messages import ChatRequest, CompletionRequest, Event

T = TypeVar("T")
# Failures of an engine, not of the request: another may do better. What an engine cannot honour another may, too.
FALLS_BACK = frozenset(
    {"engine_failed", "engine_died", "engine_broken", "engine_unreachable", "engine_timed_out", "engine_garbled",
     "engine_rejected", "engine_lacks_model", "engine_busy", "engine_changed", "engine_resting", "engine_not_granted",
     "does_not_fit", "overloaded", "unsupported_parameter", "unknown_model"}
)  # fmt: skip
ANSWERED_BY, FELL_BACK = b"x-homefire-answered-by", b"x-homefire-fell-back"


@dataclass(frozen=True, slots=True)
class Failed:
    """An engine of the order that did not answer, and why."""

    name: str
    problem: HomefireError


@dataclass(frozen=True, slots=True)
class Won(Generic[T]):
    """What the first engine that answered gave, and those before it."""

    value: T
    name: str
    failed: tuple[Failed, ...] = ()

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Who answered, as headers of the response."""
        found = [(ANSWERED_BY, self.name.encode())]
        if self.failed:
            rows = ", ".join(f"{each.name}={each.problem.code}" for each in self.failed)
            found.append((FELL_BACK, rows.encode()))
        return found


async def first_that_answers(order: Sequence[str], attempt: Callable[[str], Awaitable[T]]) -> Won[T]:
    """Tries each in turn. Raises ChainEnded if all fail; of an order of one, its own error."""
    failed: list[Failed] = []
    for name in order:
        try:
            return Won(await attempt(name), name, tuple(failed))
        except HomefireError as problem:
            if len(order) == 1 or problem.code not in FALLS_BACK:
                raise
            failed.append(Failed(name, problem))
    told = " ".join(f"{each.name}: {each.problem.message} [{each.problem.code}]" for each in failed)
    raise ChainEnded(f"None of {len(failed)} engines answered. {told}", failed[-1].problem.next_step)


class Begun:
    """An Answer that may have begun: what was taken from it to see that comes first. `close` also calls `release`; `broke` hears
    of an engine that fails after it began."""

    def __init__(
        self,
        answer: Answer,
        request: ChatRequest | CompletionRequest,
        release: Callable[[], None] = lambda: None,
        broke: Callable[[EngineError], None] = lambda problem: None,
    ) -> None:
        self._answer = answer
        self._request = request
        self._release = release
        self._broke = broke
        self._events: AsyncIterator[Event] | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._first: list[Event] = []
        self._kept: list[bytes] = []

    async def begin(self, as_bytes: bool) -> None:
        """Waits until the answer has begun (see the module's text). `as_bytes`: `pieces` will be asked for, and passed on unread.
        Raises what the engine raises; close it then."""
        if not as_bytes:
            self._events = self._answer.events()
            if not self._request.stream:
                self._first = [event async for event in self._events]
            else:
                async for event in self._events:
                    self._first.append(event)
                    break
            return
        self._pieces = self._answer.pieces()
        reader = ChunkReader()
        async for piece in self._pieces:
            self._kept.append(piece)
            if self._request.stream and reader.feed(piece):
                break

    def events(self) -> AsyncIterator[Event]:
        """As `Answer.events`."""
        if self._events is None:
            return self._answer.events()
        return self._on(self._first, self._events)

    def pieces(self) -> AsyncIterator[bytes]:
        """As `Answer.pieces`."""
        if self._events is not None:
            return render_pieces(self._request, self.events())
        if self._pieces is None:
            return self._answer.pieces()
        return self._on(self._kept, self._pieces)

    async def _on(self, kept: list[T], rest: AsyncIterator[T]) -> AsyncIterator[T]:
        for each in kept:
            yield each
        try:
            async for each in rest:
                yield each
        except EngineError as problem:
            self._broke(problem)
            raise

    async def close(self) -> None:
        """As `Answer.close`; gives back what `release` gives back."""
        try:
            await self._answer.close()
        finally:
            release, self._release = self._release, lambda: None
            release()


@contextlib.asynccontextmanager
async def closing(begun: Begun) -> AsyncIterator[Begun]:
    """Closes it if the block fails; if not, it is the caller's."""
    try:
        yield begun
    except BaseException:
        await begun.close()
        raise
