"""The common language of the rooms: frozen values for chat requests and for what an engine answers.

Promises: no I/O, no vendor's field names, no behaviour beyond trivial accessors. Dialects translate wire formats into these
values and back; engines take requests and give events.
Does not cover: how a model is found or loaded (`models/`, `residency/`), nor validation of outside input (`dialects/`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "developer", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call a model asks for. `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `content` is plain text; `tool_call_id` says which call a `tool` message answers."""

    role: Role
    content: str | None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; `parameters` is a JSON schema."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn; None leaves the engine's default. `stop` ends the answer before any of its strings."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repeat_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """What form the answer must have: free text, any JSON object, or JSON that fits `schema`."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat to continue. `tool_choice` is auto, none, required, or the name of one tool; `logprobs` is how many
    alternatives to give for each token (None: no log probabilities); `think` switches the reasoning of a model that can
    do without it (None: as its template has it); `adapters` are LoRA adapters, each the sha256 of its file and its scale;
    `keep_alive`: seconds that the model stays in memory afterwards (negative: for good; None: as it is set); `cache_key` names
    the conversation it belongs to ("": none), whose KV cache goes with it."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True
    form: Form = Form()
    logprobs: int | None = None
    stream: bool = False
    include_usage: bool = False
    think: bool | None = None
    keep_alive: float | None = None
    cache_key: str = ""
    adapters: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A text to continue, without a chat template; `adapters` as in `ChatRequest`."""

    model: str
    prompt: str
    sampling: Sampling = Sampling()
    logprobs: int | None = None
    echo: bool = False
    stream: bool = False
    include_usage: bool = False
    keep_alive: float | None = None
    cache_key: str = ""
    adapters: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Texts, or the token ids of texts, of which an embedding model makes one vector each. `dimensions` keeps so many first
    values of each vector; `truncate` cuts what is longer than the model reads, which is an error otherwise; `packed`: the caller
    reads base64 of 32-bit floats, not numbers."""

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    truncate: bool = False
    packed: bool = False
    keep_alive: float | None = None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A vector of length one for each input, in their order, as 32-bit floats with the least significant byte first; `tokens` is
    how many were read for all of them."""

    vectors: tuple[bytes, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """Texts to be judged by how well each answers `query`."""

    model: str
    query: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """A score for each document, in their order, higher for a better one; `tokens` is how many were read for all of them."""

    scores: tuple[float, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens counted by the engine; `cached_tokens` of the prompt were still in the KV cache."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning, which is not part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call; `id` and `name` come with its first piece only."""

    index: int
    arguments: str
    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The answer is complete."""

    reason: FinishReason


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What the answer cost. `tokens_per_second` is the engine's own decoding rate, None where it does not say;
    `drafted` tokens were proposed by a draft and `drafted_accepted` of them taken, None where nothing drafts."""

    usage: Usage
    tokens_per_second: float | None = None
    drafted: int | None = None
    drafted_accepted: int | None = None


Event = TextDelta | ReasoningDelta | ToolCallDelta | Finish | UsageReport
