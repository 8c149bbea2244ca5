"""Anthropic's wire form: the Messages API; requests read strictly, answers rendered.

Source: Anthropic API reference, November 2026. Fields fall into the same three kinds as in `openai.py`: honoured; accepted
without effect (`WITHOUT_EFFECT`); refused when they are set. Blocks of the model's reasoning that a client sends back are
dropped.
Two things are told otherwise than by Anthropic's own service: a stop sequence that was met reads as "end_turn", because engines
do not say which of the two it was; the arguments of a call that was cut short read as an empty object in an answer that is not
streamed (its `stop_reason` is "max_tokens" then).
Promises: `read_*` gives a value or raises InvalidJson, InvalidRequest or UnsupportedParameter that names the field; a stream is
message_start, whole blocks one after the other, message_delta, message_stop.
Does not cover: whether the model exists or reasons; images, documents, the tools that Anthropic itself runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from homefire.dialects.gathered import arguments_of, gather
from homefire.dialects.strict import Closed, check_depth, decode
from homefire.errors import ContextOverflow, HomefireError, InvalidRequest, UnsupportedParameter
from homefire.messages import (
    ChatRequest,
    Event,
    Finish,
    FinishReason,
    Form,
    Message,
    ReasoningDelta,
    Sampling,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
    UsageReport,
)

Name = Annotated[str, Meta(min_length=1, max_length=256)]


class Block(Closed, kw_only=True):
    """One part of a message's content; which fields it has depends on its type."""

    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    content: str | list[Block] | None = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    source: Any = None
    title: Any = None
    context: Any = None
    citations: Any = None
    caller: Any = None
    cache_control: Any = None


class AnthropicMessage(Closed):
    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class AnthropicTool(Closed, kw_only=True):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    input_schema: dict[str, Any] | None = None
    description: str | None = None
    type: str | None = None
    strict: bool | None = None
    cache_control: Any = None
    allowed_callers: Any = None
    defer_loading: Any = None
    eager_input_streaming: Any = None
    input_examples: Any = None


class ToolChoice(Closed, kw_only=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(Closed, kw_only=True):
    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Annotated[int, Meta(ge=1)] | None = None
    display: str | None = None


class OutputFormat(Closed):
    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(Closed, kw_only=True):
    format: OutputFormat | None = None
    effort: str | None = None


class CountBody(Closed, kw_only=True):
    model: Name | None = None
    messages: Annotated[list[AnthropicMessage], Meta(min_length=1, max_length=100_000)]
    system: str | list[Block] | None = None
    tools: Annotated[list[AnthropicTool], Meta(max_length=1024)] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    cache_control: Any = None
    speed: Any = None
    user_profile_id: Any = None
    workspace_id: Any = None
    context_management: Any = None
    mcp_servers: Any = None


class MessagesBody(CountBody, kw_only=True):
    max_tokens: Annotated[int, Meta(ge=1, le=10_000_000)]
    stop_sequences: Annotated[list[str], Meta(max_length=16)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    stream: bool | None = None
    metadata: dict[str, Any] | None = None
    service_tier: Any = None
    inference_geo: Any = None
    diagnostics: Any = None
    container: Any = None


WITHOUT_EFFECT = frozenset(
    {
        "metadata",
        "service_tier",
        "inference_geo",
        "diagnostics",
        "cache_control",
        "speed",
        "user_profile_id",
        "workspace_id",
    }
)
_REFUSED = ("container", "context_management", "mcp_servers")
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    408: "timeout_error", 413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error",
}  # fmt: skip
_STOP_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}

_messages = msgspec.json.Decoder(MessagesBody)
_count = msgspec.json.Decoder(CountBody)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was asked. `reasons`: it wants to see the model's reasoning and fails if there is none; `shows`: it sees
    what there is."""

    chat: ChatRequest
    reasons: bool
    shows: bool


def read_messages(body: bytes, default_model: str) -> Asked:
    """A request of `POST /v1/messages`."""
    found = decode(_messages, body)
    sampling = Sampling(
        temperature=found.temperature,
        top_p=found.top_p,
        top_k=found.top_k,
        max_tokens=found.max_tokens,
        stop=tuple(text for text in found.stop_sequences or () if text),
    )
    return _asked(found, default_model, sampling, bool(found.stream))


def read_count(body: bytes, default_model: str) -> Asked:
    """A request of `POST /v1/messages/count_tokens`."""
    return _asked(decode(_count, body), default_model, Sampling(), False)


def _asked(found: CountBody, default_model: str, sampling: Sampling, stream: bool) -> Asked:
    for name in _REFUSED:
        if getattr(found, name, None) is not None:
            raise UnsupportedParameter(f"'{name}' is not supported here.", f"Leave '{name}' out.", param=name)
    tools = tuple(_tool(tool, f"tools[{at}]") for at, tool in enumerate(found.tools or ()))
    messages = [] if found.system is None else [Message("system", _text(found.system, "system"))]
    for at, message in enumerate(found.messages):
        messages.extend(_turns(message, f"messages[{at}]"))
    thinking = found.thinking.type if found.thinking else "disabled"
    choice = found.tool_choice
    chat = ChatRequest(
        model=found.model or default_model,
        messages=tuple(messages),
        sampling=sampling,
        tools=tools,
        tool_choice=_tool_choice(choice, tools),
        parallel_tool_calls=not (choice and choice.disable_parallel_tool_use),
        form=_form(found.output_config),
        stream=stream,
        include_usage=stream,
        think=None if thinking == "adaptive" else thinking == "enabled",
    )
    return Asked(chat, thinking == "enabled", thinking != "disabled")


def _tool(found: AnthropicTool, where: str) -> Tool:
    if found.type not in (None, "custom"):
        raise UnsupportedParameter(
            f"The tool type '{found.type[:60]}' is not supported here: it is run by Anthropic's own service.",
            "Describe the tool by an 'input_schema'.",
            param=f"{where}.type",
        )
    if found.input_schema is None:
        raise InvalidRequest("The tool has no 'input_schema'.", param=f"{where}.input_schema")
    check_depth(found.input_schema, f"{where}.input_schema")
    return Tool(found.name, found.description or "", found.input_schema)


def _tool_choice(found: ToolChoice | None, tools: Sequence[Tool]) -> str:
    if found is None or found.type in ("auto", "none"):
        return found.type if found else "auto"
    if not tools:
        raise InvalidRequest(f"'tool_choice' is '{found.type}' and there are no 'tools'.", param="tool_choice")
    if found.type == "any":
        return "required"
    if all(tool.name != found.name for tool in tools):
        raise InvalidRequest(
            f"'tool_choice' names '{found.name}', which is not among the 'tools'.", param="tool_choice"
        )
    return f"function:{found.name}"


def _form(found: OutputConfig | None) -> Form:
    if found is None or found.format is None:
        return Form()
    check_depth(found.format.schema, "output_config.format.schema")
    return Form("json_schema", found.format.schema)


def _turns(found: AnthropicMessage, where: str) -> list[Message]:
    """The turns of one message: results of tools are turns of their own here, before what the user says beside them."""
    if isinstance(found.content, str):
        return [Message(found.role, found.content)]
    turns: list[Message] = []
    said: list[str] = []
    calls: list[ToolCall] = []
    for number, block in enumerate(found.content):
        at = f"{where}.content[{number}]"
        if block.type == "text":
            said.append(_given(block.text, f"{at}.text"))
        elif block.type in ("thinking", "redacted_thinking") and found.role == "assistant":
            continue
        elif block.type == "tool_use" and found.role == "assistant":
            check_depth(block.input, f"{at}.input")
            arguments = _encode(block.input or {}).decode()
            calls.append(ToolCall(_given(block.id, f"{at}.id"), _given(block.name, f"{at}.name"), arguments))
        elif block.type == "tool_result" and found.role == "user":
            turns.append(_result(block, at))
        else:
            raise UnsupportedParameter(
                f"Content of the type '{block.type[:40]}' is not supported here in a message of the {found.role}.",
                "Send text.",
                param=f"{at}.type",
            )
    if said or calls or not turns:
        turns.append(Message(found.role, "\n".join(said) if said or not calls else None, tuple(calls)))
    return turns


def _result(block: Block, where: str) -> Message:
    content = _text(block.content or "", f"{where}.content")
    # Templates have no field for it, and a model should know that its call failed.
    return Message(
        "tool",
        f"Error: {content}" if block.is_error else content,
        tool_call_id=_given(block.tool_use_id, f"{where}.tool_use_id"),
    )


def _text(content: str | list[Block], where: str) -> str:
    if isinstance(content, str):
        return content
    for number, block in enumerate(content):
        if block.type != "text":
            raise UnsupportedParameter(
                f"Content of the type '{block.type[:40]}' is not supported here.",
                "Send text.",
                param=f"{where}[{number}].type",
            )
    return "\n".join(block.text or "" for block in content)


def _given(value: str | None, where: str) -> str:
    if value is None:
        raise InvalidRequest(f"The field '{where}' is missing.", param=where)
    return value


def envelope(problem: HomefireError) -> dict[str, Any]:
    """An error in Anthropic's form; our own fields stand beside theirs."""
    kind = _TYPES.get(problem.status, "invalid_request_error" if problem.status < 500 else "api_error")
    # Clients that shorten a conversation by themselves look for these words.
    prefix = "prompt is too long: " if isinstance(problem, ContextOverflow) else ""
    inner = {**problem.envelope()["error"], "type": kind, "message": prefix + problem.message}
    return {"type": "error", "error": inner, "request_id": None}


def render_count(tokens: int) -> bytes:
    """The answer of `POST /v1/messages/count_tokens`."""
    return _encode({"input_tokens": tokens})


def render_message(asked: Asked, events: Iterable[Event], answer_id: str) -> bytes:
    """A whole answer."""
    found = gather(events)
    content: list[dict[str, Any]] = []
    if found.reasoning and asked.shows:
        content.append({"type": "thinking", "thinking": found.reasoning, "signature": ""})
    if found.text or not found.calls:
        content.append({"type": "text", "text": found.text, "citations": None})
    for call in found.calls:
        content.append(
            {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments_of(call.arguments) or {}}
        )
    message = _message(asked, answer_id, content, _STOP_REASONS[found.reason], _usage(found.usage))
    return _encode(message)


def _message(
    asked: Asked, answer_id: str, content: list[dict[str, Any]], reason: str | None, usage: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": answer_id,
        "type": "message",
        "role": "assistant",
        "model": str(asked.chat.model),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    """Anthropic counts what was in the cache apart from what was read."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }


class MessageStream:
    """Renders events as the events of one message. `prompt_tokens` is what message_start says; the last event has the rest."""

    def __init__(self, asked: Asked, answer_id: str, prompt_tokens: int = 0) -> None:
        self._asked = asked
        self._id = answer_id
        self._usage = Usage(prompt_tokens, 0)
        self._reason: FinishReason = "stop"
        self._blocks = 0
        self._open = ""
        self._calls: dict[int, int] = {}

    def begin(self) -> bytes:
        """message_start."""
        message = _message(self._asked, self._id, [], None, _usage(self._usage))
        return _event("message_start", {"message": message})

    def event(self, event: Event) -> bytes:
        """What one event looks like."""
        match event:
            case TextDelta(text):
                return self._within("text", {"type": "text", "text": ""}) + self._delta("text_delta", "text", text)
            case ReasoningDelta(text) if self._asked.shows:
                begun = self._within("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                return begun + self._delta("thinking_delta", "thinking", text)
            case ToolCallDelta():
                return self._call(event)
            case Finish(reason):
                self._reason = reason
            case UsageReport(usage):
                self._usage = usage
        return b""

    def end(self) -> bytes:
        """The last block's end, message_delta and message_stop."""
        if not self._blocks:  # an empty answer is one empty block of text, as it is when it is not streamed
            return self._within("text", {"type": "text", "text": ""}) + self.end()
        delta = {"stop_reason": _STOP_REASONS[self._reason], "stop_sequence": None}
        last = _event("message_delta", {"delta": delta, "usage": _usage(self._usage)})
        return self._close() + last + _event("message_stop", {})

    def failed(self, problem: HomefireError) -> bytes:
        """An error in a stream that has begun. No message_stop follows."""
        return _event("error", envelope(problem))

    def _call(self, event: ToolCallDelta) -> bytes:
        begun = b""
        if event.index not in self._calls:
            block = {"type": "tool_use", "id": event.id or f"call_{event.index}", "name": event.name or "", "input": {}}
            begun = self._within(f"call {event.index}", block)
            self._calls[event.index] = self._blocks - 1
        if not event.arguments:
            return begun
        return begun + self._delta("input_json_delta", "partial_json", event.arguments, self._calls[event.index])

    def _within(self, name: str, block: dict[str, Any]) -> bytes:
        """Makes sure that the open block is the one called `name`."""
        if self._open == name:
            return b""
        closed = self._close()
        self._open = name
        self._blocks += 1
        return closed + _event("content_block_start", {"index": self._blocks - 1, "content_block": block})

    def _close(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return _event("content_block_stop", {"index": self._blocks - 1})

    def _delta(self, kind: str, field: str, text: str, index: int | None = None) -> bytes:
        at = self._blocks - 1 if index is None else index
        return _event("content_block_delta", {"index": at, "delta": {"type": kind, field: text}})


def _event(name: str, fields: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _encode({"type": name, **fields}) + b"\n\n"
