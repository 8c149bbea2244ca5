"""The Engine socket: what everything that runs a model offers. `tests/contract/test_engine.py` is run by every plug.

    new -> start() -> ready -> stop() or a crash -> ended

| call       | new    | ready                                   | ended       |
|------------|--------|-----------------------------------------|-------------|
| start()    | loads  | error                                   | error       |
| chat()     | error  | gives an Answer once the engine accepted| EngineDied  |
| complete() | error  | likewise                                | EngineDied  |
| stop()     | nothing| ends it; answers under way break        | nothing     |
| wait()     | error  | waits for the end, says how it came     | at once     |

Promises: an engine takes any number of requests at once and makes them wait in order of arrival; closing an Answer (or
cancelling who waits for it) frees its slot within a second.
Does not cover: starting again after a crash. An engine object lives once; `residency/` makes a new one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from homefire.messages import ChatRequest, CompletionRequest, Event

# Smaller files answer many at once for little memory: more slots, and a window of its own for each; larger ones share one.
SMALL_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What to run and how. `context` is in tokens for each answer, `slots` answers at once; `socket` is a
    path that ends in .sock (llama.cpp tells it from a host name by that); None means a loopback port."""

    name: str
    path: Path
    context: int
    slots: int
    threads: int
    gpu_layers: int
    load_seconds: float
    log: Path
    socket: Path | None


class Answer(Protocol):
    """One answer under way. Use exactly one of `events` and `pieces`, once; `close` always."""

    def events(self) -> AsyncIterator[Event]:
        """Typed events until Finish and UsageReport. Raises EngineDied if the engine ends first."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """The answer in OpenAI's form: server-sent events if the request streams, else one JSON object in pieces."""
        ...

    async def close(self) -> None:
        """Gives the slot back; safe to call at any time and twice."""
        ...


class Engine(Protocol):
    """See the table above."""

    name: str

    @property
    def pid(self) -> int | None:
        """The process that holds the model, if it is one of ours."""
        ...

    async def start(self) -> None:
        """Loads the model. Raises EngineFailed."""
        ...

    async def stop(self) -> None:
        """Ends it and returns when it is gone."""
        ...

    async def wait(self) -> str:
        """Waits for the end; returns how it came, in words, or "" if `stop` asked for it."""
        ...

    async def chat(self, request: ChatRequest) -> Answer:
        """Continues a chat. Raises InvalidRequest, ContextOverflow, EngineDied, EngineFailed."""
        ...

    async def complete(self, request: CompletionRequest) -> Answer:
        """Continues a text. Raises as `chat`."""
        ...
