"""OpenAI's wire form as a client speaks it: requests for a far server, and its answers read strictly.

Source: OpenAI API reference, November 2026; what vLLM, llama.cpp's server and others add is in `EXTRAS` and in fields that may be
missing. An answer is always asked for as a stream: so it is known when its first token came, whatever our own client wants.
Promises: what is not in this form raises Unreadable, an error in the stream raises Failure; usage is never made up.
Does not cover: log probabilities; several choices (the first counts).
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import struct
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from homefire.dialects.far import Failure, Listed, Said, Unreadable, decode, mark_of, printable, vectors
from homefire.dialects.llamacpp import render_message, tools_json
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    Embeddings,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    Sampling,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReport,
)

CHAT_PATH = "/v1/chat/completions"
COMPLETION_PATH = "/v1/completions"
EMBEDDING_PATH = "/v1/embeddings"
LISTING_PATH = "/v1/models"
STREAM_TYPE = "text/event-stream"
# Fields beyond OpenAI's own, by kind of server: ours -> theirs.
EXTRAS: dict[str, dict[str, str]] = {
    "openai": {},
    "llama-server": {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repeat_penalty"},
    "vllm": {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repetition_penalty"},
}
REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
# Facts of a listed model that stay while the model stays. `created` is not one: some servers give the time of the request.
LASTING = ("id", "root", "parent", "max_model_len")
LASTING_META = ("vocab_type", "n_vocab", "n_ctx_train", "n_embd", "n_params", "size")

_encode = msgspec.json.Encoder().encode


def render_chat(request: ChatRequest, model: str, kind: str) -> bytes:
    """The body for `CHAT_PATH`."""
    body: dict[str, Any] = {"model": model, "messages": [render_message(message) for message in request.messages]}
    _add_common(body, request.sampling, kind)
    if request.tools:
        body["tools"] = tools_json(request.tools)
        choice = request.tool_choice
        name = choice.removeprefix("function:")
        body["tool_choice"] = choice if name == choice else {"type": "function", "function": {"name": name}}
        if not request.parallel_tool_calls:
            body["parallel_tool_calls"] = False
    if request.think is not None:
        body["chat_template_kwargs"] = {"enable_thinking": request.think}
    if request.form.kind == "json_object":
        body["response_format"] = {"type": "json_object"}
    elif request.form.kind == "json_schema":
        schema = {"name": "answer", "schema": request.form.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return _encode(body)


def render_completion(request: CompletionRequest, model: str, kind: str) -> bytes:
    """The body for `COMPLETION_PATH`."""
    body: dict[str, Any] = {"model": model, "prompt": request.prompt}
    if request.echo:
        body["echo"] = True
    _add_common(body, request.sampling, kind)
    return _encode(body)


def render_embedding(inputs: Sequence[str | Sequence[int]], model: str, truncate: bool = False) -> bytes:
    """The body for `EMBEDDING_PATH`; this interface has no field for `truncate`."""
    return _encode({"model": model, "input": list(inputs), "encoding_format": "float"})


def _add_common(body: dict[str, Any], sampling: Sampling, kind: str) -> None:
    for name in ("temperature", "top_p", "max_tokens", "seed", "frequency_penalty", "presence_penalty"):
        if (value := getattr(sampling, name)) is not None:
            body[name] = value
    for ours, theirs in EXTRAS[kind].items():
        if (value := getattr(sampling, ours)) is not None:
            body[theirs] = value
    if sampling.ignore_eos:
        body["ignore_eos"] = True
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): value for token, value in sampling.logit_bias}
    body["stream"] = True
    body["stream_options"] = {"include_usage": True}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(msgspec.Struct):
    index: Annotated[int, Meta(ge=0, le=1023)] | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


Count = Annotated[int, Meta(ge=0, le=2**53)]


class _Cached(msgspec.Struct):
    cached_tokens: Count | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: Count = 0
    completion_tokens: Count | None = None
    prompt_tokens_details: _Cached | None = None


class _Timings(msgspec.Struct):
    predicted_per_second: float | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice]
    model: str | None = None
    usage: _Usage | None = None
    timings: _Timings | None = None


class _Broken(msgspec.Struct):
    error: Any


class _Row(msgspec.Struct):
    index: int
    embedding: list[float] | str


class _Vectors(msgspec.Struct):
    data: list[_Row]
    model: str | None = None
    usage: _Usage | None = None


class _Models(msgspec.Struct):
    data: list[dict[str, Any]]


_chunk = msgspec.json.Decoder(_Chunk)
_broken = msgspec.json.Decoder(_Broken)
_rows = msgspec.json.Decoder(_Vectors)
_models = msgspec.json.Decoder(_Models)
_anything = msgspec.json.Decoder(Any)


class StreamReader:
    """See `far.Reader`."""

    def __init__(self) -> None:
        self.model = ""
        self.whole = False
        self._reported = False
        self._calls: set[int] = set()

    def feed(self, line: bytes) -> list[Event]:
        """See `far.Reader`. Comments, empty lines and fields other than `data` are passed over."""
        if line.startswith(b"error:"):  # llama.cpp's older form
            raise Failure(500, said_by(line[6:]))
        if not line.startswith(b"data:"):
            if line and not line.startswith((b":", b"event:", b"id:", b"retry:")):
                raise Unreadable("a line that is no server-sent event")
            return []
        data = line[5:].strip()
        if not data or data == b"[DONE]":
            return []
        try:
            chunk = decode(_chunk, data, "chunk of an answer")
        except Unreadable as problem:
            raise _failure(data) or problem from None
        self.model = self.model or chunk.model or ""
        return self._events(chunk)

    def _events(self, chunk: _Chunk) -> list[Event]:
        events: list[Event] = []
        for choice in chunk.choices[:1]:
            if self.whole:
                break
            delta = choice.delta or _Delta()
            if text := delta.reasoning_content or delta.reasoning:
                events.append(ReasoningDelta(text))
            if text := delta.content or choice.text:
                events.append(TextDelta(text))
            events += [self._call(call, at) for at, call in enumerate(delta.tool_calls or ())]
            if choice.finish_reason:
                self.whole = True
                events.append(Finish(REASONS.get(choice.finish_reason, "stop")))
        if self.whole and not self._reported and chunk.usage and chunk.usage.completion_tokens is not None:
            self._reported = True
            details, timings = chunk.usage.prompt_tokens_details or _Cached(), chunk.timings or _Timings()
            counted = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens, details.cached_tokens or 0)
            events.append(UsageReport(counted, timings.predicted_per_second))
        return events

    def _call(self, call: _Call, at: int) -> ToolCallDelta:
        index = at if call.index is None else call.index
        function = call.function or _Function()
        given = function.arguments
        arguments = given or "" if isinstance(given, str | None) else json.dumps(given)
        if index in self._calls:
            return ToolCallDelta(index, arguments)
        if not function.name:
            raise Unreadable("a tool call without a name")
        self._calls.add(index)
        return ToolCallDelta(index, arguments, call.id or "call_" + secrets.token_hex(12), function.name)


def read_embeddings(body: bytes, wanted: int) -> tuple[Embeddings, str]:
    """The vectors in the order of the inputs, and the model that the server names. Raises Unreadable."""
    found = decode(_rows, body, "vectors")
    try:
        rows = sorted(found.data, key=lambda row: row.index)
        if [row.index for row in rows] != list(range(wanted)):
            raise Unreadable(f"vectors that do not belong to the {wanted} texts")
        numbers = [_packed(row.embedding) if isinstance(row.embedding, str) else row.embedding for row in rows]
    except (binascii.Error, struct.error) as problem:
        raise Unreadable(f"no vectors: {problem}") from None
    return vectors(numbers, wanted, found.usage.prompt_tokens if found.usage else 0), found.model or ""


def _packed(text: str) -> Sequence[float]:
    data = base64.b64decode(text, validate=True)
    return struct.unpack(f"<{len(data) // 4}f", data)


def read_listing(body: bytes) -> list[Listed]:
    """The models of a server. Raises Unreadable."""
    found = []
    for row in decode(_models, body, "list of models").data:
        name = row.get("id")
        if not isinstance(name, str) or not name:
            raise Unreadable("a model without an id")
        given = row.get("meta")
        meta: dict[str, Any] = given if isinstance(given, dict) else {}
        facts = {key: row[key] for key in LASTING if row.get(key) is not None}
        facts |= {key: meta[key] for key in LASTING_META if meta.get(key) is not None}
        other = [row.get("root"), *(row["aliases"] if isinstance(row.get("aliases"), list) else [])]
        window = row.get("max_model_len") or meta.get("n_ctx") or meta.get("n_ctx_train")
        names = frozenset({name, *(each for each in other if isinstance(each, str))})
        found.append(Listed(name, names, mark_of(facts), window if isinstance(window, int) else 0))
    return found


def said_by(body: bytes) -> Said:
    """What the body of an error answer says."""
    try:
        found = decode(_anything, body, "JSON")
    except Unreadable:
        return Said(printable(body.decode("utf-8", "replace")))
    inner = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(inner, dict):
        return Said(printable(inner))
    text = inner.get("message") or inner.get("detail") or inner.get("error") or ""
    code = next((each for each in (inner.get("code"), inner.get("type")) if isinstance(each, str)), "")
    limit = inner.get("n_ctx")
    if isinstance(limit, int) and str(limit) not in str(text):
        text = f"{text} (at most {limit} tokens)"
    return Said(printable(text), printable(code))


def _failure(data: bytes) -> Failure | None:
    """The error that stands in place of a chunk, if one does."""
    try:
        broken = decode(_broken, data, "error").error
    except Unreadable:
        return None
    status = broken.get("code") if isinstance(broken, dict) else None
    return Failure(status if isinstance(status, int) and 400 <= status < 600 else 500, said_by(data))
