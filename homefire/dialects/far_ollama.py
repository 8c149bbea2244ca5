"""Ollama's own wire form as a client speaks it: requests for an Ollama server, and its answers read strictly.

Source: docs/api.md of Ollama 0.33. Its OpenAI form passes over `tool_choice` and the context window in silence, so its own form
is used. `truncate` and `shift` are sent as false: by default Ollama cuts a prompt that is too long and says nothing.
Promises: what is not in this form raises Unreadable, an error in the stream raises Failure.
Does not cover: pulling and removing models there; images.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from homefire.dialects.far import Failure, Listed, Said, Unreadable, decode, mark_of, printable, vectors
from homefire.dialects.llamacpp import tools_json
from homefire.errors import InvalidRequest
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    Embeddings,
    Event,
    Finish,
    Message,
    ReasoningDelta,
    Sampling,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReport,
)

CHAT_PATH = "/api/chat"
COMPLETION_PATH = "/api/generate"
EMBEDDING_PATH = "/api/embed"
LISTING_PATH = "/api/tags"
STREAM_TYPE = "application/x-ndjson"
LATEST = ":latest"
OPTIONS = {
    "temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "min_p": "min_p", "seed": "seed",
    "max_tokens": "num_predict", "repeat_penalty": "repeat_penalty", "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}  # fmt: skip

_encode = msgspec.json.Encoder().encode


def render_chat(request: ChatRequest, model: str, kind: str) -> bytes:
    """The body for `CHAT_PATH`. Raises InvalidRequest for a tool call in the history whose arguments are no object."""
    names = {call.id: call.name for message in request.messages for call in message.tool_calls}
    body = _common(model, request.sampling)
    body["messages"] = [_message(message, names, at) for at, message in enumerate(request.messages)]
    if request.tools and request.tool_choice != "none":
        body["tools"] = tools_json(request.tools)
    if request.think is not None:
        body["think"] = request.think
    if request.form.kind == "json_object":
        body["format"] = "json"
    elif request.form.kind == "json_schema":
        body["format"] = request.form.schema
    return _encode(body)


def render_completion(request: CompletionRequest, model: str, kind: str) -> bytes:
    """The body for `COMPLETION_PATH`; raw: no template is put around the prompt."""
    return _encode({**_common(model, request.sampling), "prompt": request.prompt, "raw": True})


def render_embedding(inputs: Sequence[str | Sequence[int]], model: str, truncate: bool = False) -> bytes:
    """The body for `EMBEDDING_PATH`."""
    return _encode({"model": model, "input": list(inputs), "truncate": truncate})


def _common(model: str, sampling: Sampling) -> dict[str, Any]:
    options = {theirs: value for ours, theirs in OPTIONS.items() if (value := getattr(sampling, ours)) is not None}
    if sampling.stop:
        options["stop"] = list(sampling.stop)
    return {"model": model, "stream": True, "truncate": False, "shift": False, "options": options}


def _message(message: Message, names: dict[str, str], at: int) -> dict[str, Any]:
    role = "system" if message.role == "developer" else message.role
    found: dict[str, Any] = {"role": role, "content": message.content or ""}
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "function": {"name": call.name, "arguments": _arguments(call.arguments, at)}}
            for call in message.tool_calls
        ]
    if message.role == "tool":
        found["tool_call_id"] = message.tool_call_id
        found["tool_name"] = message.name or names.get(message.tool_call_id or "", "")
    return found


def _arguments(text: str, at: int) -> dict[str, Any]:
    try:
        found = decode(_anything, (text or "{}").encode(), "arguments")
    except Unreadable:
        found = None
    if not isinstance(found, dict):
        raise InvalidRequest("The arguments of this tool call are no JSON object.", param=f"messages[{at}].tool_calls")
    return found


class _Function(msgspec.Struct):
    name: str
    arguments: dict[str, Any] = {}
    index: Annotated[int, Meta(ge=0, le=1023)] | None = None


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


Count = Annotated[int, Meta(ge=0, le=2**53)]


class _Chunk(msgspec.Struct):
    done: bool
    model: str | None = None
    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None
    done_reason: str | None = None
    prompt_eval_count: Count = 0
    eval_count: Count | None = None
    eval_duration: Count = 0


class _Broken(msgspec.Struct):
    error: Any


class _Vectors(msgspec.Struct):
    embeddings: list[list[float]]
    model: str | None = None
    prompt_eval_count: Count = 0


class _Tag(msgspec.Struct):
    name: Annotated[str, Meta(min_length=1)]
    digest: str = ""


class _Tags(msgspec.Struct):
    models: list[_Tag]


_chunk = msgspec.json.Decoder(_Chunk)
_broken = msgspec.json.Decoder(_Broken)
_rows = msgspec.json.Decoder(_Vectors)
_tags = msgspec.json.Decoder(_Tags)
_anything = msgspec.json.Decoder(Any)


class StreamReader:
    """See `far.Reader`."""

    def __init__(self) -> None:
        self.model = ""
        self.whole = False
        self._calls = 0

    def feed(self, line: bytes) -> list[Event]:
        """See `far.Reader`."""
        if not line.strip() or self.whole:
            return []
        try:
            chunk = decode(_chunk, line, "chunk of an answer")
        except Unreadable as problem:
            raise _failure(line) or problem from None
        self.model = self.model or chunk.model or ""
        message = chunk.message or _Message(chunk.response, chunk.thinking)
        events: list[Event] = []
        if message.thinking:
            events.append(ReasoningDelta(message.thinking))
        if message.content:
            events.append(TextDelta(message.content))
        for call in message.tool_calls or ():
            arguments = json.dumps(call.function.arguments, ensure_ascii=False)
            name = call.function.name
            events.append(ToolCallDelta(self._calls, arguments, call.id or "call_" + secrets.token_hex(12), name))
            self._calls += 1
        if chunk.done:
            self.whole = True
            events.append(
                Finish("tool_calls" if self._calls else "length" if chunk.done_reason == "length" else "stop")
            )
            if chunk.eval_count is not None:
                rate = chunk.eval_count / (chunk.eval_duration / 1e9) if chunk.eval_duration else None
                events.append(UsageReport(Usage(chunk.prompt_eval_count, chunk.eval_count), rate))
        return events


def read_embeddings(body: bytes, wanted: int) -> tuple[Embeddings, str]:
    """The vectors in the order of the inputs, and the model that the server names. Raises Unreadable."""
    found = decode(_rows, body, "vectors")
    return vectors(found.embeddings, wanted, found.prompt_eval_count), found.model or ""


def read_listing(body: bytes) -> list[Listed]:
    """The models of a server. Raises Unreadable."""
    rows = decode(_tags, body, "list of models").models
    return [Listed(row.name, names_of(row.name), mark_of({"name": row.name, "digest": row.digest})) for row in rows]


def names_of(name: str) -> frozenset[str]:
    """A name with and without the tag that may be left out."""
    short = name.removesuffix(LATEST)
    return frozenset({name, short, short if ":" in short else short + LATEST})


def said_by(body: bytes) -> Said:
    """What the body of an error answer says."""
    try:
        return Said(printable(decode(_broken, body, "error").error))
    except Unreadable:
        return Said(printable(body.decode("utf-8", "replace")))


def _failure(line: bytes) -> Failure | None:
    try:
        return Failure(500, Said(printable(decode(_broken, line, "error").error)))
    except Unreadable:
        return None
