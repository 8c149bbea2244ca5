"""What the agent needs of rooms above it; the daemon hands it in.

Promises: Protocols and their values only. Does not cover: who stands behind them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from homefire.agent.step import Called, Entry, Returned, Step
from homefire.messages import ChatRequest, Event
from homefire.safety.taint import Label


class Model(Protocol):
    """One model as a run asks it. `name` as it was resolved; `window` in tokens, prompt and answer together."""

    @property
    def name(self) -> str: ...

    @property
    def window(self) -> int: ...

    def ask(self, request: ChatRequest) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """An answer under way; leaving closes it. Raises what the engines raise."""
        ...

    async def count(self, request: ChatRequest) -> int:
        """Tokens of the request's prompt, its tools included, by the model's own tokenizer and template."""
        ...

    async def is_built_in(self) -> bool:
        """Whether it is the pilot, which knows the tools of fixtures/tools.json in one form only."""
        ...


class Embed(Protocol):
    """Vectors of length one, as 32-bit floats; None where no embedding model is there."""

    async def __call__(self, texts: Sequence[str]) -> Sequence[bytes] | None: ...


class Hands(Protocol):
    """Carries a call out: boundary, approval, journal, effect (`effects.py`)."""

    async def do(self, call: Called, label: Label) -> Returned:
        """What came of it, always; waits for a person where one has to decide. Steps in between (Asked, Decided, Begun) it
        records itself; the Returned is recorded by who calls. Raises nothing but cancellation, and errors of the disk."""
        ...


class Record(Protocol):
    """Where a run's steps go."""

    @property
    def entries(self) -> Sequence[Entry]:
        """All steps so far, oldest first."""
        ...

    async def add(self, step: Step, tokens_in: int = 0, tokens_out: int = 0) -> Entry:
        """Returns when the step is on the disk. Raises StoreDamaged, DiskFull."""
        ...
