"""OpenAI's wire form: chat completions, completions, models, embeddings; requests read strictly, answers rendered.

Source: OpenAI API reference, November 2026. Fields of that API fall into three kinds: honoured; accepted without effect
(`WITHOUT_EFFECT`: they tell OpenAI's own service something); and refused with `unsupported_parameter` when they are set, because
ignoring them would change what the caller gets. Every other field is refused with `invalid_request`. Five fields of local
engines are added: `top_k`, `min_p`, `repeat_penalty`, `ignore_eos`, `keep_alive`; to embeddings `truncate` and `keep_alive`.
Promises: `read_*` gives a value or raises InvalidJson, InvalidRequest or UnsupportedParameter that names the field.
Does not cover: whether the model exists, and images or audio in messages.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from homefire.dialects.duration import KeepAlive, seconds
from homefire.dialects.strict import Closed, check_depth, decode
from homefire.errors import HomefireError, InvalidRequest, UnsupportedParameter
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    Event,
    Finish,
    Form,
    Message,
    ReasoningDelta,
    Role,
    Sampling,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    UsageReport,
)

Text = str
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Tokens = Annotated[int, Meta(ge=1, le=10_000_000)]
TokenId = Annotated[int, Meta(ge=0, lt=2**31)]
# As many as OpenAI's own service takes.
MAX_INPUTS = 2048
# Vectors that are rendered in one go.
ROWS = 64


class FunctionCall(Closed):
    name: Name
    arguments: Text


class ToolCallIn(Closed):
    id: Text
    function: FunctionCall
    type: Literal["function"] = "function"
    index: int | None = None


class ContentPart(Closed):
    type: Text
    text: Text | None = None
    refusal: Text | None = None
    image_url: Any = None
    input_audio: Any = None
    file: Any = None


class ChatMessage(Closed):
    """`refusal`, `annotations`, `audio`, `function_call`, `reasoning_content` come when a client sends an answer back as it
    got it; they carry nothing that a model reads."""

    role: Role
    content: Text | list[ContentPart] | None = None
    tool_calls: list[ToolCallIn] | None = None
    tool_call_id: Text | None = None
    name: Text | None = None
    refusal: Any = None
    annotations: Any = None
    audio: Any = None
    function_call: Any = None
    reasoning_content: Any = None


class FunctionTool(Closed):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    description: Text | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolIn(Closed):
    function: FunctionTool
    type: Literal["function"] = "function"


class NamedFunction(Closed):
    name: Name


class NamedTool(Closed):
    function: NamedFunction
    type: Literal["function"] = "function"


class JsonSchema(Closed):
    name: Name
    schema: dict[str, Any] | None = None
    description: Text | None = None
    strict: bool | None = None


class ResponseFormat(Closed):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(Closed):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class _Common(Closed, kw_only=True):
    model: Name | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    min_p: Share | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Text | Annotated[list[Text], Meta(max_length=16)] | None = None
    max_tokens: Tokens | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    ignore_eos: bool | None = None
    keep_alive: KeepAlive = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    user: Text | None = None
    metadata: dict[str, Any] | None = None


class ChatBody(_Common, kw_only=True):
    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=100_000)]
    max_completion_tokens: Tokens | None = None
    tools: Annotated[list[ToolIn], Meta(max_length=1024)] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    modalities: list[Text] | None = None
    store: bool | None = None
    service_tier: Text | None = None
    prompt_cache_key: Text | None = None
    prompt_cache_retention: Text | None = None
    safety_identifier: Text | None = None
    reasoning_effort: Text | None = None
    verbosity: Text | None = None
    audio: Any = None
    prediction: Any = None
    web_search_options: Any = None
    functions: Any = None
    function_call: Any = None


class CompletionBody(_Common, kw_only=True):
    prompt: Text | list[Text]
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    echo: bool | None = None
    suffix: Text | None = None
    best_of: Annotated[int, Meta(ge=1, le=20)] | None = None


class EmbeddingBody(Closed, kw_only=True):
    model: Name | None = None
    input: Text | list[Text | TokenId | list[TokenId]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    truncate: bool | None = None
    keep_alive: KeepAlive = None
    user: Text | None = None


WITHOUT_EFFECT = frozenset(
    {"user", "metadata", "store", "service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier",
     "reasoning_effort", "verbosity"}
)  # fmt: skip
_REFUSED = ("audio", "prediction", "web_search_options", "functions", "function_call")

_chat = msgspec.json.Decoder(ChatBody)
_completion = msgspec.json.Decoder(CompletionBody)
_embedding = msgspec.json.Decoder(EmbeddingBody)
_encode = msgspec.json.Encoder().encode


def read_chat(body: bytes, default_model: str) -> ChatRequest:
    """A chat completion request."""
    found = decode(_chat, body)
    for name in _REFUSED:
        if getattr(found, name) is not None:
            raise UnsupportedParameter(f"'{name}' is not supported here.", f"Leave '{name}' out.", param=name)
    if found.modalities not in (None, ["text"]):
        raise UnsupportedParameter("Only the modality 'text' is supported here.", param="modalities")
    if found.top_logprobs is not None and not found.logprobs:
        raise InvalidRequest("'top_logprobs' needs 'logprobs': true.", param="top_logprobs")
    tools = tuple(_tool(tool, at) for at, tool in enumerate(found.tools or ()))
    return ChatRequest(
        model=found.model or default_model,
        messages=tuple(_message(message, at) for at, message in enumerate(found.messages)),
        sampling=_sampling(found, found.max_completion_tokens or found.max_tokens),
        tools=tools,
        tool_choice=_tool_choice(found.tool_choice, tools),
        parallel_tool_calls=found.parallel_tool_calls is not False,
        form=_form(found.response_format),
        logprobs=(found.top_logprobs or 0) if found.logprobs else None,
        stream=bool(found.stream),
        include_usage=_include_usage(found),
        keep_alive=seconds(found.keep_alive),
    )


def read_completion(body: bytes, default_model: str) -> CompletionRequest:
    """A plain completion request."""
    found = decode(_completion, body)
    if found.suffix:
        raise UnsupportedParameter("'suffix' is not supported here.", "Leave 'suffix' out.", param="suffix")
    if found.best_of not in (None, 1):
        raise UnsupportedParameter("'best_of' above 1 is not supported here.", param="best_of")
    prompt = found.prompt
    if isinstance(prompt, list):
        if len(prompt) != 1:
            raise UnsupportedParameter(
                "Several prompts in one request are not supported here.", "Send one request a prompt.", param="prompt"
            )
        prompt = prompt[0]
    return CompletionRequest(
        model=found.model or default_model,
        prompt=prompt,
        sampling=_sampling(found, found.max_tokens),
        logprobs=found.logprobs,
        echo=bool(found.echo),
        stream=bool(found.stream),
        include_usage=_include_usage(found),
        keep_alive=seconds(found.keep_alive),
    )


def read_embedding(body: bytes) -> EmbeddingRequest:
    """An embedding request; its `model` is "" if it names none."""
    found = decode(_embedding, body)
    packed = found.encoding_format == "base64"
    keep_alive = seconds(found.keep_alive)
    inputs, cut = _inputs(found.input), bool(found.truncate)
    return EmbeddingRequest(found.model or "", inputs, found.dimensions, cut, packed, keep_alive)


def _inputs(given: str | list[Any]) -> tuple[str | tuple[int, ...], ...]:
    """One text, one text as token ids, or a list of either."""
    alone = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
    listed: list[Any] = [given] if alone else list(given)
    if not listed:
        raise InvalidRequest("'input' is an empty list.", param="input")
    if len(listed) > MAX_INPUTS:
        raise InvalidRequest(
            f"'input' holds {len(listed):,} texts; one request takes {MAX_INPUTS:,}.",
            "Send several requests.",
            param="input",
        )
    found: list[str | tuple[int, ...]] = []
    for at, each in enumerate(listed):
        where = "input" if alone else f"input[{at}]"
        if isinstance(each, int) or (isinstance(each, list) and not all(isinstance(token, int) for token in each)):
            raise InvalidRequest("'input' holds texts and token numbers side by side.", param=where)
        if not each:
            raise InvalidRequest(f"'{where}' is empty: an empty text has no meaning to embed.", param=where)
        found.append(each if isinstance(each, str) else tuple(each))
    return tuple(found)


def render_embeddings(request: EmbeddingRequest, found: Embeddings) -> Iterator[bytes]:
    """The answer in pieces, so that whoever joins them can let others run between them."""
    yield b'{"object":"list","data":['
    for start in range(0, len(found.vectors), ROWS):
        rows = []
        for at, vector in enumerate(found.vectors[start : start + ROWS], start):
            # msgspec writes bytes as base64.
            values: Any = vector if request.packed else struct.unpack(f"<{len(vector) // 4}f", vector)
            rows.append(_encode({"object": "embedding", "index": at, "embedding": values}))
        yield (b"," if start else b"") + b",".join(rows)
    usage = {"prompt_tokens": found.tokens, "total_tokens": found.tokens}
    yield b'],"model":' + _encode(str(request.model)) + b',"usage":' + _encode(usage) + b"}"


def _include_usage(found: _Common) -> bool:
    if found.stream_options is not None and not found.stream:
        raise InvalidRequest("'stream_options' needs 'stream': true.", param="stream_options")
    return bool(found.stream_options and found.stream_options.include_usage)


def _sampling(found: _Common, max_tokens: int | None) -> Sampling:
    if found.n not in (None, 1):
        raise UnsupportedParameter("'n' above 1 is not supported here.", "Send the request several times.", param="n")
    stop = (found.stop,) if isinstance(found.stop, str) else tuple(found.stop or ())
    try:
        bias = tuple((int(token), value) for token, value in (found.logit_bias or {}).items())
        if any(not 0 <= token < 2**31 for token, _ in bias):
            raise ValueError
    except ValueError:
        raise InvalidRequest("The keys of 'logit_bias' must be token numbers.", param="logit_bias") from None
    return Sampling(
        temperature=found.temperature,
        top_p=found.top_p,
        top_k=found.top_k,
        min_p=found.min_p,
        seed=found.seed,
        max_tokens=max_tokens,
        stop=tuple(text for text in stop if text),
        frequency_penalty=found.frequency_penalty,
        presence_penalty=found.presence_penalty,
        repeat_penalty=found.repeat_penalty,
        logit_bias=bias,
        ignore_eos=bool(found.ignore_eos),
    )


def _message(found: ChatMessage, at: int) -> Message:
    where = f"messages[{at}]"
    content = found.content
    if isinstance(content, list):
        for part in content:
            if part.type not in ("text", "refusal"):
                raise UnsupportedParameter(
                    f"Content of the type '{part.type[:40]}' is not supported here.", "Send text.", param=where
                )
        content = "\n".join(part.text or part.refusal or "" for part in content)
    calls = tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in found.tool_calls or ())
    if calls and found.role != "assistant":
        raise InvalidRequest("Only a message of the assistant has 'tool_calls'.", param=f"{where}.tool_calls")
    if content is None and not calls:
        raise InvalidRequest("The message has no 'content'.", param=f"{where}.content")
    if found.role == "tool" and not found.tool_call_id:
        raise InvalidRequest("A message of a tool needs 'tool_call_id'.", param=f"{where}.tool_call_id")
    return Message(found.role, content, calls, found.tool_call_id, found.name)


def _tool(found: ToolIn, at: int) -> Tool:
    parameters = found.function.parameters or {"type": "object", "properties": {}}
    check_depth(parameters, f"tools[{at}].function.parameters")
    return Tool(found.function.name, found.function.description or "", parameters)


def _tool_choice(found: str | NamedTool | None, tools: Sequence[Tool]) -> str:
    if found is None or found == "auto":
        return "auto"
    if isinstance(found, str):
        if found == "required" and not tools:
            raise InvalidRequest("'tool_choice' is 'required' and there are no 'tools'.", param="tool_choice")
        return found
    name = found.function.name
    if all(tool.name != name for tool in tools):
        raise InvalidRequest(f"'tool_choice' names '{name}', which is not among the 'tools'.", param="tool_choice")
    return f"function:{name}"


def _form(found: ResponseFormat | None) -> Form:
    if found is None or found.type == "text":
        return Form()
    if found.type == "json_object":
        return Form("json_object")
    if found.json_schema is None or found.json_schema.schema is None:
        raise InvalidRequest("'response_format' has no 'json_schema.schema'.", param="response_format.json_schema")
    check_depth(found.json_schema.schema, "response_format.json_schema.schema")
    return Form("json_schema", found.json_schema.schema)


def render_models(models: Iterable[tuple[str, float, int]]) -> bytes:
    """The list of models from (name, created as Unix seconds, context length)."""
    return _encode({"object": "list", "data": [_model(*model) for model in models]})


def render_model(name: str, created: float, context_length: int) -> bytes:
    """One model."""
    return _encode(_model(name, created, context_length))


def _model(name: str, created: float, context_length: int) -> dict[str, Any]:
    return {
        "id": str(name),
        "object": "model",
        "created": int(created),
        "owned_by": "homefire",
        "context_length": context_length,
    }


def render_error_event(problem: HomefireError) -> bytes:
    """An error in a stream that has begun. No `[DONE]` follows: clients tell a broken stream from a finished one by it."""
    return b"data: " + _encode(problem.envelope()) + b"\n\n"


class ChatStream:
    """Renders events as a chat completion's chunks, one server-sent event each."""

    def __init__(self, request: ChatRequest, answer_id: str) -> None:
        self._head = {
            "id": answer_id,
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": request.model,
        }
        self._include_usage = request.include_usage

    def begin(self) -> bytes:
        """The first chunk, which names the role."""
        return self._chunk({"role": "assistant", "content": ""})

    def event(self, event: Event) -> bytes:
        """What one event looks like; usage only if it was asked for."""
        match event:
            case TextDelta(text):
                return self._chunk({"content": text})
            case ReasoningDelta(text):
                return self._chunk({"reasoning_content": text})
            case ToolCallDelta():
                return self._chunk({"tool_calls": [_call_delta(event)]})
            case Finish(reason):
                return self._chunk({}, reason)
            case UsageReport():
                if not self._include_usage:
                    return b""
                return b"data: " + _encode({**self._head, "choices": [], "usage": _usage(event)}) + b"\n\n"

    def end(self) -> bytes:
        """The stream's last line."""
        return b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return b"data: " + _encode({**self._head, "choices": [choice]}) + b"\n\n"


class CompletionStream:
    """Renders events as a plain completion's chunks."""

    def __init__(self, request: CompletionRequest, answer_id: str) -> None:
        self._head = {"id": answer_id, "object": "text_completion", "created": int(time.time()), "model": request.model}
        self._include_usage = request.include_usage

    def begin(self) -> bytes:
        """Nothing: a completion has no role to name."""
        return b""

    def event(self, event: Event) -> bytes:
        """What one event looks like; usage only if it was asked for."""
        match event:
            case TextDelta(text):
                return self._chunk(text, None)
            case Finish(reason):
                return self._chunk("", reason)
            case UsageReport() if self._include_usage:
                return b"data: " + _encode({**self._head, "choices": [], "usage": _usage(event)}) + b"\n\n"
            case _:
                return b""

    def end(self) -> bytes:
        """The stream's last line."""
        return b"data: [DONE]\n\n"

    def _chunk(self, text: str, reason: str | None) -> bytes:
        choice = {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}
        return b"data: " + _encode({**self._head, "choices": [choice]}) + b"\n\n"


def render_chat(request: ChatRequest, events: Iterable[Event], answer_id: str) -> bytes:
    """A whole chat completion from its events."""
    text: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    reason, usage = "stop", None
    for event in events:
        match event:
            case TextDelta(piece):
                text.append(piece)
            case ToolCallDelta():
                call = calls.setdefault(
                    event.index, {"id": event.id, "type": "function", "function": {"name": event.name, "arguments": ""}}
                )
                call["function"]["arguments"] += event.arguments
            case Finish():
                reason = event.reason
            case UsageReport():
                usage = _usage(event)
            case ReasoningDelta():
                pass
    message: dict[str, Any] = {"role": "assistant", "content": "".join(text) if text or not calls else None}
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return _encode(
        {
            "id": answer_id,
            "object": "chat.completion",
            "created": int(time.time()),
            "model": request.model,
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": usage,
        }
    )


def render_completion(request: CompletionRequest, events: Iterable[Event], answer_id: str) -> bytes:
    """A whole plain completion from its events."""
    kept = list(events)
    reason = next((event.reason for event in kept if isinstance(event, Finish)), "stop")
    usage = next((_usage(event) for event in kept if isinstance(event, UsageReport)), None)
    text = "".join(event.text for event in kept if isinstance(event, TextDelta))
    return _encode(
        {
            "id": answer_id,
            "object": "text_completion",
            "created": int(time.time()),
            "model": request.model,
            "choices": [{"index": 0, "text": text, "finish_reason": reason, "logprobs": None}],
            "usage": usage,
        }
    )


def _call_delta(event: ToolCallDelta) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": event.arguments}
    if event.name is None:
        return {"index": event.index, "function": function}
    return {"index": event.index, "id": event.id, "type": "function", "function": {"name": event.name, **function}}


def _usage(report: UsageReport) -> dict[str, Any]:
    usage = report.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
