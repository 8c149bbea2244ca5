"""llama.cpp's server: what it is asked and what it answers.

Its chat and completion routes take and give OpenAI's form with additions (`timings`, `tokens_cached`, sampling fields of its
own), so its answers can pass to an OpenAI client byte by byte; this module reads them where somebody wants events instead.
Source: tools/server/README.md of llama.cpp, and the answers of the build that xllamacpp 2026.10 carries.
Promises: `read_event` accepts every chunk this build sends; an error body becomes a leaf of the error tree.
Does not cover: the metrics and adapter routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from homefire.errors import ContextOverflow, EngineFailed, EngineGarbled, HomefireError, InvalidRequest, Overloaded
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    Embeddings,
    Event,
    Finish,
    Message,
    Ranking,
    ReasoningDelta,
    RerankRequest,
    Sampling,
    TextDelta,
    Tool,
    ToolCallDelta,
    Usage,
    UsageReport,
)

HEALTH_PATH = "/health"
CHAT_PATH = "/v1/chat/completions"
COMPLETION_PATH = "/v1/completions"
EMBEDDING_PATH = "/v1/embeddings"
RERANK_PATH = "/v1/rerank"
APPLY_TEMPLATE_PATH = "/apply-template"
TOKENIZE_PATH = "/tokenize"
PROPERTIES_PATH = "/props"
# The value that means "draw a seed"; a person's seed must not hit it by chance.
RANDOM_SEED = 0xFFFFFFFF

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def render_chat(request: ChatRequest, scales: Sequence[float] = ()) -> bytes:
    """The body for `CHAT_PATH`; `scales` as `add_scales` takes them."""
    return _encode(add_scales(_chat_body(request), scales))


def add_scales(body: dict[str, Any], scales: Sequence[float]) -> dict[str, Any]:
    """The body with the scale of every adapter that the server has, in their order.

    All of them, always: the server keeps what a slot has computed if a list names none, whatever adapter computed it.
    """
    if scales:
        body["lora"] = [{"id": at, "scale": scale} for at, scale in enumerate(scales)]
    return body


def _chat_body(request: ChatRequest) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": [render_message(message) for message in request.messages]}
    _add_common(body, request.sampling, request.stream, request.include_usage)
    if request.tools:
        body["tools"] = tools_json(request.tools)
        body["tool_choice"] = request.tool_choice
        body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.form.kind == "json_object":
        body["response_format"] = {"type": "json_object"}
    elif request.form.kind == "json_schema":
        body["response_format"] = {"type": "json_schema", "json_schema": {"schema": request.form.schema}}
    if request.logprobs is not None:
        body["logprobs"], body["top_logprobs"] = True, request.logprobs
    if request.think is not None:
        body["chat_template_kwargs"] = {"enable_thinking": request.think}
    return body


def read_prompt(body: bytes) -> str:
    """The prompt that `APPLY_TEMPLATE_PATH` made of a chat's body."""
    return str(_decode(body)["prompt"])


def tools_json(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    """Tools in OpenAI's form."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def render_completion(request: CompletionRequest, scales: Sequence[float] = ()) -> bytes:
    """The body for `COMPLETION_PATH`; `scales` as `add_scales` takes them."""
    body: dict[str, Any] = {"prompt": request.prompt, "echo": request.echo}
    _add_common(body, request.sampling, request.stream, request.include_usage)
    if request.logprobs is not None:
        body["logprobs"] = request.logprobs
    return _encode(add_scales(body, scales))


def _add_common(body: dict[str, Any], sampling: Sampling, stream: bool, include_usage: bool) -> None:
    for name in ("temperature", "top_p", "top_k", "min_p", "max_tokens", "frequency_penalty", "presence_penalty"):
        if (value := getattr(sampling, name)) is not None:
            body[name] = value
    if sampling.repeat_penalty is not None:
        body["repeat_penalty"] = sampling.repeat_penalty
    if sampling.seed is not None:
        body["seed"] = sampling.seed % RANDOM_SEED
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.logit_bias:
        body["logit_bias"] = [[token, value] for token, value in sampling.logit_bias]
    if sampling.ignore_eos:
        body["ignore_eos"] = True
    body["stream"] = stream
    if include_usage:
        body["stream_options"] = {"include_usage": True}


def render_message(message: Message) -> dict[str, Any]:
    """A message in OpenAI's form, which llama.cpp's server and far servers read alike."""
    # Templates know "system" only; "developer" is OpenAI's newer word for it.
    role = "system" if message.role == "developer" else message.role
    found: dict[str, Any] = {"role": role, "content": message.content}
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        found["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        found["name"] = message.name
    return found


def in_slot(body: bytes, slot: int) -> bytes:
    """A chat's or a completion's body, with the slot that it is to run in."""
    return body[:-1] + b',"id_slot":%d}' % slot


def slot_path(slot: int, action: str) -> str:
    """Where a slot's KV cache is written ("save"), read back ("restore") or emptied ("erase")."""
    return f"/slots/{slot}?action={action}"


def render_slot(file: str) -> bytes:
    """The body for saving and restoring; `file` is a name in the folder that the server was started with."""
    return _encode({"filename": file})


@dataclass(frozen=True, slots=True)
class SlotAnswer:
    """What was moved: tokens, bytes, seconds."""

    tokens: int
    size: int
    seconds: float


def read_slot(body: bytes) -> SlotAnswer:
    """The answer to saving or restoring. Raises EngineFailed if it is not one."""
    try:
        found = _decode(body)
        if "n_saved" in found:
            return SlotAnswer(found["n_saved"], found["n_written"], found["timings"]["save_ms"] / 1000)
        return SlotAnswer(found["n_restored"], found["n_read"], found["timings"]["restore_ms"] / 1000)
    except (msgspec.DecodeError, KeyError, TypeError) as problem:
        raise EngineFailed(f"The engine did not say what it did with a slot: {problem!r}.") from None


class _Vector(msgspec.Struct):
    index: int
    embedding: bytes  # base64 in the JSON


class _EmbeddingUsage(msgspec.Struct):
    prompt_tokens: int


class _Vectors(msgspec.Struct):
    data: list[_Vector]
    usage: _EmbeddingUsage


_vectors = msgspec.json.Decoder(_Vectors)


def render_embedding(inputs: Sequence[str | Sequence[int]]) -> bytes:
    """The body for `EMBEDDING_PATH`."""
    return _encode({"input": list(inputs), "encoding_format": "base64"})


def read_embeddings(body: bytes) -> Embeddings:
    """The vectors in the order of the inputs. Raises EngineFailed if they are not what was asked for."""
    try:
        found = _vectors.decode(body)
    except msgspec.DecodeError as problem:
        raise EngineFailed(f"The engine gave no vectors: {problem}.") from None
    rows = sorted(found.data, key=lambda row: row.index)
    return Embeddings(tuple(row.embedding for row in rows), found.usage.prompt_tokens)


class _Rank(msgspec.Struct):
    index: int
    relevance_score: float


class _Ranks(msgspec.Struct):
    results: list[_Rank]
    usage: _EmbeddingUsage


_ranks = msgspec.json.Decoder(_Ranks)


def render_rerank(request: RerankRequest) -> bytes:
    """The body for `RERANK_PATH`."""
    return _encode({"query": request.query, "documents": list(request.documents)})


def read_ranking(body: bytes) -> Ranking:
    """The scores in the order of the documents. Raises EngineFailed if they are not what was asked for."""
    try:
        found = _ranks.decode(body)
    except msgspec.DecodeError as problem:
        raise EngineFailed(f"The engine gave no scores: {problem}.") from None
    rows = sorted(found.results, key=lambda row: row.index)
    return Ranking(tuple(row.relevance_score for row in rows), found.usage.prompt_tokens)


def render_tokenize(text: str) -> bytes:
    """The body for `TOKENIZE_PATH`: the text as the chat and embedding routes read it, with the special tokens around it."""
    return _encode({"content": text, "add_special": True, "parse_special": True})


def read_tokens(body: bytes) -> list[int]:
    """The token ids of a text."""
    found: list[int] = _decode(body)["tokens"]
    return found


def read_context(body: bytes) -> int:
    """How many tokens one answer, or one text to embed, may have, by what `PROPERTIES_PATH` says."""
    return int(_decode(body)["default_generation_settings"]["n_ctx"])


class ChunkReader:
    """Turns the bytes of a stream into events, however they are cut."""

    def __init__(self) -> None:
        self._rest = b""
        self.done = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete now. Raises what `read_error` gives when the engine reports one in the stream."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        events: list[Event] = []
        for line in lines:
            if line.startswith(b"data: "):
                events.extend(self._data(line[6:]))
            elif line.startswith(b"error: "):
                raise read_error(500, line[7:])
        return events

    def _data(self, data: bytes) -> list[Event]:
        if data.strip() == b"[DONE]":
            self.done = True
            return []
        chunk = _object(data)
        if "error" in chunk:
            raise read_error(500, data)
        return _events(chunk)


def read_event(chunk: dict[str, Any]) -> list[Event]:
    """The events in one chunk, or in one whole answer (whose `message` reads like one large delta)."""
    events: list[Event] = []
    for choice in chunk.get("choices", ()):
        delta = choice.get("delta") or choice.get("message") or {}
        if text := delta.get("content") or choice.get("text"):
            events.append(TextDelta(text))
        if text := delta.get("reasoning_content"):
            events.append(ReasoningDelta(text))
        for at, call in enumerate(delta.get("tool_calls") or ()):
            function = call.get("function", {})
            index = call.get("index", at)
            events.append(ToolCallDelta(index, function.get("arguments") or "", call.get("id"), function.get("name")))
        if reason := choice.get("finish_reason"):
            events.append(Finish(reason))
    if usage := chunk.get("usage"):
        events.append(_usage(usage, chunk.get("timings") or {}))
    return events


def read_answer(body: bytes) -> list[Event]:
    """The events of a whole answer. Raises EngineGarbled if it is none."""
    return _events(_object(body))


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict):
        raise _garbled()
    return found


def _events(chunk: dict[str, Any]) -> list[Event]:
    try:
        return read_event(chunk)
    except (AttributeError, KeyError, TypeError):
        raise _garbled() from None


def _garbled() -> EngineGarbled:
    return EngineGarbled(
        "The engine said what is no answer.", "Send the request again; if it fails again: homefire doctor"
    )


def _usage(usage: dict[str, Any], timings: dict[str, Any]) -> UsageReport:
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    rate = timings.get("predicted_per_second")
    return UsageReport(
        Usage(usage["prompt_tokens"], usage["completion_tokens"], cached),
        rate,
        timings.get("draft_n"),
        timings.get("draft_n_accepted"),
    )


# What the server says of every answer under way when one token more does not fit into the cache that its slots share.
SHARED_FULL = "Context size has been exceeded"
# At the beginning of an event; inside a text its quotes would be escaped.
_ERROR_EVENT = b'data: {"error"'


def split_error(piece: bytes) -> tuple[bytes, HomefireError | None]:
    """Of bytes of a stream that are passed on unread: what comes before an error that the engine reports in it, and the error."""
    if _ERROR_EVENT not in piece:
        return piece, None
    before, _, after = piece.partition(_ERROR_EVENT)
    return before, read_error(500, b'{"error"' + after.split(b"\n", 1)[0])


def read_error(status: int, body: bytes) -> HomefireError:
    """What an error answer of the server means."""
    try:
        found = _decode(body)
        inner = found.get("error", found)  # an older form puts the bare object after "error: "
        message, kind = str(inner.get("message", "")), inner.get("type", "")
        status = int(inner.get("code", status))
    except (msgspec.DecodeError, AttributeError, TypeError, ValueError):
        message, kind, inner = body.decode("utf-8", "replace")[:500], "", {}
    if kind == "exceed_context_size_error":
        overflow = ContextOverflow(
            f"The prompt has {inner.get('n_prompt_tokens', '?')} tokens, the context window {inner.get('n_ctx', '?')}.",
            param="messages",
        )
        overflow.limit = int(inner.get("n_ctx", 0))
        return overflow
    if message.startswith(SHARED_FULL):
        return Overloaded(
            "The answers under way filled the context window that they share, so all of them ended.",
            "Send it again; if that happens often, set fewer 'slots' or a larger 'context' (docs/settings.md).",
        )
    if status == 503:
        return Overloaded(f"The engine is not ready: {message}")
    if 400 <= status < 500:
        return InvalidRequest(f"The engine refused the request: {message}")
    return EngineFailed(f"The engine failed: {message}", "Send the request again; if it fails again: homefire doctor")
