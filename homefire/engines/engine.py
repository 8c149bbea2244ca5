"""The Engine socket: what everything that runs a model offers. `tests/contract/test_engine.py` is run by every plug.

    new -> start() -> ready -> stop() or a crash -> ended

| call       | new    | ready                                   | ended       |
|------------|--------|-----------------------------------------|-------------|
| start()    | loads  | error                                   | error       |
| chat()     | error  | gives an Answer once the engine accepted| EngineDied  |
| complete() | error  | likewise                                | EngineDied  |
| embed()    | error  | gives the vectors when all are there    | EngineDied  |
| stop()     | nothing| ends it; answers under way break        | nothing     |
| wait()     | error  | waits for the end, says how it came     | at once     |

An engine serves one kind of model: of kind "chat" it answers chat() and complete(), of kind "embedding" embed(); the others
raise WrongModelKind.
Promises: an engine takes any number of requests at once and makes them wait in order of arrival; closing an Answer (or
cancelling who waits for it) frees its slot within a second.
Does not cover: starting again after a crash. An engine object lives once; `residency/` makes a new one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from homefire.errors import WrongModelKind
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    Event,
    Ranking,
    RerankRequest,
)

# Smaller files answer many at once for little memory: more slots, and a window of its own for each; larger ones share one.
SMALL_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """A LoRA adapter that an engine has beside its model: the sha256 of its file, and where that lies."""

    digest: str
    path: Path


@dataclass(frozen=True, slots=True)
class Drafting:
    """Speculative decoding. `mode` is "" (none), one of `NGRAMS`, or "draft": the model at `path`, called `model`, proposes up to
    `tokens` at once (0: the engine's own number)."""

    mode: str = ""
    model: str = ""
    path: Path | None = None
    tokens: int = 0


# Proposals out of the text so far, as llama.cpp names them; they need no second model.
NGRAMS = ("ngram-simple", "ngram-map-k", "ngram-map-k4v", "ngram-mod", "ngram-cache")


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What to run and how. `context` is in tokens for each answer, `slots` answers at once; `socket` is a
    path that ends in .sock (llama.cpp tells it from a host name by that); None means a loopback port; `kind` is "chat",
    "embedding" or "rerank"; `batch` is how many tokens are read at once, 0 for the engine's own, `logical_batch` how many are
    handed over at once (0: as many, or the engine's own); after `hang_seconds` without an answer it counts as hung (0: never);
    `adapters` are loaded with scale 0; `kv_type` is the type of the KV cache; `flash_attention` None: as the engine chooses;
    `kept` is the folder where it may write KV caches; `walls`: behind the sandbox's (`walls.py`); `program` is the
    llama-server of a native build (None: the wheel's); `graph`: an embedding model as an ONNX graph, which runs in the place of
    the file at `path`."""

    name: str
    path: Path
    context: int
    slots: int
    threads: int
    gpu_layers: int
    load_seconds: float
    log: Path
    socket: Path | None
    kind: str = "chat"
    batch: int = 0
    hang_seconds: float = 30.0
    kept: Path | None = None
    adapters: tuple[AdapterFile, ...] = ()
    drafting: Drafting = Drafting()
    kv_type: str = "F16"
    flash_attention: bool | None = None
    logical_batch: int = 0
    walls: bool = False
    program: Path | None = None
    graph: Path | None = None


def require_kind(name: str, kind: str, wanted: str) -> None:
    """Raises WrongModelKind unless the model `name` is of the kind that the request needs."""
    if kind == wanted:
        return
    if wanted == "embedding":
        step = "Name an embedding model, or get one with: homefire models pull all-minilm-l6-v2"
        raise WrongModelKind(f"'{name}' is a model of the kind '{kind}' and makes no embeddings.", step, param="model")
    if wanted == "rerank":
        step = "Name a reranker, or get one with: homefire models pull bge-reranker-v2-m3"
        raise WrongModelKind(f"'{name}' is a model of the kind '{kind}' and ranks no texts.", step, param="model")
    step = {
        "embedding": "Use it at /v1/embeddings, or name another model.",
        "rerank": "Use it at /v1/rerank, or name another model.",
        "adapter": f"Name it with its base: BASE+{name}. See: homefire models show {name}",
    }.get(kind, "")
    raise WrongModelKind(f"'{name}' is a model of the kind '{kind}' and cannot chat.", step, param="model")


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
        """Continues a chat. Raises InvalidRequest, ContextOverflow, WrongModelKind, EngineDied, EngineFailed."""
        ...

    async def complete(self, request: CompletionRequest) -> Answer:
        """Continues a text. Raises as `chat`."""
        ...

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """One vector of length one for each input, in their order.

        Raises ContextOverflow, which names the first input that is too long and the limit in tokens (unless `truncate`),
        InvalidRequest for an unknown token or more `dimensions` than the model has, EngineDied, EngineFailed.
        """
        ...


@runtime_checkable
class Counts(Protocol):
    """What an engine adds to the socket if it can say how long a prompt is before it reads it."""

    async def count(self, request: ChatRequest) -> int:
        """The tokens of the whole prompt: what `Usage.prompt_tokens` says when the request is answered. Raises as `chat`, but
        for ContextOverflow: a prompt of any length is counted."""
        ...


@runtime_checkable
class Adapts(Protocol):
    """What an engine adds to the socket if a request may name LoRA adapters (`ChatRequest.adapters`)."""

    def has_adapters(self, digests: Iterable[str]) -> bool:
        """Whether it was started with all of these. A request for another raises EngineFailed."""
        ...


@runtime_checkable
class Reranks(Protocol):
    """What an engine adds to the socket if it can serve a model of the kind "rerank"."""

    async def rerank(self, request: RerankRequest) -> Ranking:
        """A score for each document. Raises ContextOverflow, WrongModelKind, EngineDied, EngineFailed."""
        ...
