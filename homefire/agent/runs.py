"""The daemon's door to agents (the signatures; the class comes with its room).

Promises: everything belongs to a key: another key gets UnknownRun.
Does not cover: doing any of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from homefire.agent.step import Ending, Entry

State = Literal["running", "waiting", "interrupted", "ended"]


@dataclass(frozen=True, slots=True)
class Budget:
    steps: int = 40
    tokens: int = 200_000
    seconds: float = 1800.0


@dataclass(frozen=True, slots=True)
class Order:
    task: str
    model: str = ""
    mode: str = "full"
    tools: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)
    guards: Sequence[str] = ()
    folder: str = ""
    conversation: str = ""


@dataclass(frozen=True, slots=True)
class RunRow:
    id: str
    key: str
    task: str
    state: State
    ending: Ending | Literal[""]
    answer: str
    model: str
    mode: str
    created_at: float
    updated_at: float
    steps: int
    tokens: int
    conversation: str


class Runs(Protocol):
    async def start(self, order: Order, key: str) -> RunRow: ...
    async def list(self, key: str, limit: int, before: float | None) -> Sequence[RunRow]: ...
    async def get(self, key: str, run: str) -> RunRow: ...
    async def entries(self, key: str, run: str, first: int) -> Sequence[Entry]: ...
    def watch(self, key: str, run: str, first: int) -> AsyncIterator[Entry | str]: ...
    async def decide(self, key: str, run: str, call: str, yes: bool, text: str = "") -> None: ...
    async def say(self, key: str, run: str, text: str) -> None: ...
    async def stop(self, key: str, run: str) -> None: ...
    async def resume(self, key: str, run: str) -> None: ...
    async def delete(self, key: str, run: str) -> None: ...
