"""OpenAI's Responses API: requests read strictly, answers rendered, streamed or not.

Source: OpenAI API reference, November 2026. Nothing is stored here, so what needs a stored response (`previous_response_id`,
`conversation`, `store`: true, `background`, `prompt`, an item reference) is refused; the answer says `"store": false`. Items that
hold a model's reasoning are accepted and dropped.
Promises: `read_response` gives a value or raises InvalidJson, InvalidRequest or UnsupportedParameter that names the field; the
events of a stream are numbered from 0 without a gap, and each item begins, grows and ends before the next one.
Does not cover: whether the model exists; images, files, the tools that OpenAI itself runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from homefire.dialects.gathered import gather
from homefire.dialects.strict import Closed, check_depth, decode
from homefire.errors import HomefireError, InvalidRequest, UnsupportedParameter
from homefire.messages import (
    ChatRequest,
    Event,
    Finish,
    FinishReason,
    Form,
    Message,
    ReasoningDelta,
    Role,
    Sampling,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
    UsageReport,
)

Name = Annotated[str, Meta(min_length=1, max_length=256)]
ToolName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]


class Part(Closed, kw_only=True):
    """A part of an item's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    annotations: Any = None
    logprobs: Any = None
    image_url: Any = None
    file_id: Any = None
    file_data: Any = None
    file_url: Any = None
    filename: Any = None
    detail: Any = None


class Item(Closed, kw_only=True):
    """One item of the input; which fields it has depends on its type."""

    type: str = "message"
    id: str | None = None
    status: str | None = None
    role: Role | None = None
    content: str | list[Part] | None = None
    phase: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[Part] | None = None
    namespace: Any = None
    caller: Any = None
    summary: Any = None
    encrypted_content: Any = None


class ResponseTool(Closed, kw_only=True):
    type: str
    name: ToolName | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    output_schema: Any = None
    defer_loading: Any = None
    allowed_callers: Any = None


class NamedChoice(Closed):
    type: Literal["function"]
    name: Name


class TextFormat(Closed, kw_only=True):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class TextConfig(Closed, kw_only=True):
    format: TextFormat | None = None
    verbosity: str | None = None


class ReasoningConfig(Closed, kw_only=True):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: Any = None


class ResponseStreamOptions(Closed, kw_only=True):
    include_obfuscation: bool | None = None


class ResponseBody(Closed, kw_only=True):
    model: Name | None = None
    input: str | Annotated[list[Item], Meta(min_length=1, max_length=100_000)]
    instructions: str | None = None
    tools: Annotated[list[ResponseTool], Meta(max_length=1024)] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    max_output_tokens: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    truncation: Literal["auto", "disabled"] | None = None
    reasoning: ReasoningConfig | None = None
    include: list[str] | None = None
    metadata: dict[str, Any] | None = None
    user: str | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: Any = None
    max_tool_calls: int | None = None
    top_logprobs: int | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None
    context_management: Any = None
    moderation: Any = None


WITHOUT_EFFECT = frozenset(
    {"metadata", "user", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
     "prompt_cache_options", "max_tool_calls"}
)  # fmt: skip
_STORED = ("previous_response_id", "conversation", "prompt")
_REFUSED = ("context_management", "moderation", "background", "top_logprobs")

_body = msgspec.json.Decoder(ResponseBody)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was asked. `drop`: the oldest turns may go if the conversation does not fit; `echo` is what the answer
    repeats of the request."""

    chat: ChatRequest
    drop: bool
    echo: dict[str, Any]


def read_response(body: bytes, default_model: str) -> Asked:
    """A request of `POST /v1/responses`."""
    found = decode(_body, body)
    _refuse(found)
    tools = tuple(_tool(tool, f"tools[{at}]") for at, tool in enumerate(found.tools or ()))
    messages = [Message("system", found.instructions)] if found.instructions else []
    if isinstance(found.input, str):
        messages.append(Message("user", found.input))
    else:
        messages.extend(_conversation(found.input))
    stream = bool(found.stream)
    effort = found.reasoning.effort if found.reasoning else None
    chat = ChatRequest(
        model=found.model or default_model,
        messages=tuple(messages),
        sampling=Sampling(found.temperature, found.top_p, max_tokens=found.max_output_tokens),
        tools=tools,
        tool_choice=_tool_choice(found.tool_choice, tools),
        parallel_tool_calls=found.parallel_tool_calls is not False,
        form=_form(found.text),
        stream=stream,
        include_usage=stream,
        think=None if effort is None else effort not in ("none", "minimal"),
    )
    return Asked(chat, found.truncation == "auto", _echo(found, chat))


def _refuse(found: ResponseBody) -> None:
    step = "Send the whole conversation in 'input': nothing is stored here."
    for name in _STORED:
        if getattr(found, name) is not None:
            raise UnsupportedParameter(f"'{name}' is not supported here: responses are not stored.", step, param=name)
    if found.store:
        raise UnsupportedParameter(
            "'store': true is not supported here: responses are not stored.", "Send 'store': false.", param="store"
        )
    for name in _REFUSED:
        if getattr(found, name):
            raise UnsupportedParameter(f"'{name}' is not supported here.", f"Leave '{name}' out.", param=name)
    if any("logprobs" in name for name in found.include or ()):
        raise UnsupportedParameter(
            "Log probabilities are not supported here.", "Use /v1/chat/completions.", param="include"
        )


def _conversation(items: Sequence[Item]) -> list[Message]:
    """The items as turns: calls that follow each other, or what the assistant said, are one turn."""
    turns: list[Message] = []
    for at, item in enumerate(items):
        where = f"input[{at}]"
        last = turns[-1] if turns else None
        if item.type == "message":
            if item.role is None or item.role == "tool":
                raise InvalidRequest(
                    "A message needs a 'role': user, assistant, system or developer.", param=f"{where}.role"
                )
            turns.append(Message(item.role, _text(item.content, f"{where}.content")))
        elif item.type == "function_call":
            call = ToolCall(
                _given(item.call_id, f"{where}.call_id"),
                _given(item.name, f"{where}.name"),
                _given(item.arguments, f"{where}.arguments"),
            )
            if last is not None and last.role == "assistant":
                turns[-1] = Message("assistant", last.content, (*last.tool_calls, call))
            else:
                turns.append(Message("assistant", None, (call,)))
        elif item.type == "function_call_output":
            call_id = _given(item.call_id, f"{where}.call_id")
            turns.append(Message("tool", _text(item.output, f"{where}.output"), tool_call_id=call_id))
        elif item.type != "reasoning":
            raise UnsupportedParameter(
                f"Items of the type '{item.type[:40]}' are not supported here.",
                "Send messages, function calls and their outputs.",
                param=f"{where}.type",
            )
    if not turns:
        raise InvalidRequest("'input' holds nothing to answer.", param="input")
    return turns


def _text(content: str | list[Part] | None, where: str) -> str:
    if isinstance(content, str):
        return content
    if content is None:
        raise InvalidRequest(f"The field '{where}' is missing.", param=where)
    for number, part in enumerate(content):
        if part.type not in ("input_text", "output_text", "text", "refusal"):
            raise UnsupportedParameter(
                f"Content of the type '{part.type[:40]}' is not supported here.",
                "Send text.",
                param=f"{where}[{number}].type",
            )
    return "\n".join(part.text or part.refusal or "" for part in content)


def _given(value: str | None, where: str) -> str:
    if value is None:
        raise InvalidRequest(f"The field '{where}' is missing.", param=where)
    return value


def _tool(found: ResponseTool, where: str) -> Tool:
    if found.type != "function":
        raise UnsupportedParameter(
            f"The tool type '{found.type[:40]}' is not supported here: it is run by OpenAI's own service.",
            "Use tools of the type 'function'.",
            param=f"{where}.type",
        )
    if found.name is None:
        raise InvalidRequest(f"The field '{where}.name' is missing.", param=f"{where}.name")
    parameters = found.parameters or {"type": "object", "properties": {}}
    check_depth(parameters, f"{where}.parameters")
    return Tool(found.name, found.description or "", parameters)


def _tool_choice(found: str | NamedChoice | None, tools: Sequence[Tool]) -> str:
    if found is None or found in ("auto", "none"):
        return str(found or "auto")
    if isinstance(found, str):
        if not tools:
            raise InvalidRequest("'tool_choice' is 'required' and there are no 'tools'.", param="tool_choice")
        return found
    if all(tool.name != found.name for tool in tools):
        raise InvalidRequest(
            f"'tool_choice' names '{found.name}', which is not among the 'tools'.", param="tool_choice"
        )
    return f"function:{found.name}"


def _form(found: TextConfig | None) -> Form:
    if found is None or found.format is None or found.format.type == "text":
        return Form()
    if found.format.type == "json_object":
        return Form("json_object")
    if found.format.schema is None:
        raise InvalidRequest("'text.format' has no 'schema'.", param="text.format.schema")
    check_depth(found.format.schema, "text.format.schema")
    return Form("json_schema", found.format.schema)


def _echo(found: ResponseBody, chat: ChatRequest) -> dict[str, Any]:
    form = found.text.format if found.text and found.text.format else None
    shown: dict[str, Any] = {"type": "text"} if form is None else {"type": form.type}
    if form is not None and form.type == "json_schema":
        shown |= {
            "name": form.name or "",
            "schema": form.schema,
            "strict": form.strict,
            "description": form.description,
        }
    choice = found.tool_choice
    return {
        "instructions": found.instructions,
        "max_output_tokens": found.max_output_tokens,
        "metadata": found.metadata or {},
        "parallel_tool_calls": chat.parallel_tool_calls,
        "temperature": found.temperature,
        "text": {"format": shown},
        "tool_choice": {"type": "function", "name": choice.name} if isinstance(choice, NamedChoice) else choice or "auto",
        "tools": [
            {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters,
             "strict": False}
            for tool in chat.tools
        ],
        "top_p": found.top_p,
        "truncation": found.truncation or "disabled",
        "user": found.user,
    }  # fmt: skip


def render_response(asked: Asked, events: Iterable[Event], answer_id: str) -> bytes:
    """A whole answer."""
    stream = ResponseStream(asked, answer_id)
    found = gather(events)
    if found.reasoning:
        stream.event(ReasoningDelta(found.reasoning))
    if found.text or not found.calls:
        stream.event(TextDelta(found.text))
    for index, call in enumerate(found.calls):
        stream.event(ToolCallDelta(index, call.arguments, call.id, call.name))
    stream.event(Finish(found.reason))
    stream.event(UsageReport(found.usage))
    stream.end()
    return _encode(stream.response())


class ResponseStream:
    """Renders events as the typed events of one response. The items that have ended are kept: the last event repeats them."""

    def __init__(self, asked: Asked, answer_id: str) -> None:
        self._asked = asked
        self._id = "resp_" + answer_id
        self._hex = answer_id
        self._created = int(time.time())
        self._number = 0
        self._items: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None
        self._call = -1
        self._reason: FinishReason = "stop"
        self._usage: Usage | None = None
        self._status = "in_progress"
        self._error: dict[str, str] | None = None

    def begin(self) -> bytes:
        """response.created and response.in_progress."""
        return self._event("response.created", response=self.response()) + self._event(
            "response.in_progress", response=self.response()
        )

    def event(self, event: Event) -> bytes:
        """What one event looks like."""
        match event:
            case TextDelta(text):
                return self._grow("message", text)
            case ReasoningDelta(text):
                return self._grow("reasoning", text)
            case ToolCallDelta():
                return self._grow_call(event)
            case Finish(reason):
                self._reason = reason
            case UsageReport(usage):
                self._usage = usage
        return b""

    def end(self) -> bytes:
        """The last item's end, and response.completed or response.incomplete."""
        begun = b"" if self._items or self._open else self._begin("message")
        cut = self._reason in ("length", "content_filter")
        closed = self._close("incomplete" if cut else "completed")
        self._status = "incomplete" if cut else "completed"
        return begun + closed + self._event(f"response.{self._status}", response=self.response())

    def failed(self, problem: HomefireError) -> bytes:
        """response.failed: an error in a stream that has begun."""
        closed = self._close("incomplete")
        self._status = "failed"
        self._error = {"code": "server_error", "message": f"{problem.message} {problem.next_step}".strip()}
        return closed + self._event("response.failed", response=self.response())

    def response(self) -> dict[str, Any]:
        """The response as it is now."""
        cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(self._reason)
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": self._status,
            "background": False,
            "error": self._error,
            "incomplete_details": {"reason": cut} if self._status == "incomplete" else None,
            "model": str(self._asked.chat.model),
            "output": list(self._items),
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "store": False,
            "usage": None if self._usage is None else _usage(self._usage),
            **self._asked.echo,
        }

    # -- items

    def _grow(self, kind: str, text: str) -> bytes:
        begun = b"" if self._open is not None and self._open["type"] == kind else self._close() + self._begin(kind)
        assert self._open is not None
        self._open["content"][0]["text"] += text
        more: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
        return begun + self._event(
            f"response.{_TEXT[kind]}.delta", **self._where(), content_index=0, delta=text, **more
        )

    def _grow_call(self, event: ToolCallDelta) -> bytes:
        begun = b""
        if self._open is None or self._open["type"] != "function_call" or self._call != event.index:
            begun = self._close() + self._begin("function_call", event)
            self._call = event.index
        assert self._open is not None
        if not event.arguments:
            return begun
        self._open["arguments"] += event.arguments
        delta = event.arguments
        return begun + self._event("response.function_call_arguments.delta", **self._where(), delta=delta)

    def _begin(self, kind: str, call: ToolCallDelta | None = None) -> bytes:
        number = len(self._items)
        item: dict[str, Any] = {"id": f"{_PREFIX[kind]}_{self._hex}{number}", "type": kind, "status": "in_progress"}
        if call is not None:
            item |= {"call_id": call.id or f"call_{self._hex}{number}", "name": call.name or "", "arguments": ""}
            self._open = item
            return self._event("response.output_item.added", output_index=number, item=dict(item))
        more: dict[str, Any] = {"role": "assistant"} if kind == "message" else {"summary": []}
        item |= more
        self._open = {**item, "content": [_part(kind)]}
        added = self._event("response.output_item.added", output_index=number, item={**item, "content": []})
        return added + self._event("response.content_part.added", **self._where(), content_index=0, part=_part(kind))

    def _close(self, status: str = "completed") -> bytes:
        item = self._open
        if item is None:
            return b""
        item["status"] = status
        where, kind = self._where(), item["type"]
        if kind == "function_call":
            said = {"name": item["name"], "arguments": item["arguments"]}
            done = self._event("response.function_call_arguments.done", **where, **said)
        else:
            part = item["content"][0]
            more: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
            done = self._event(f"response.{_TEXT[kind]}.done", **where, content_index=0, text=part["text"], **more)
            done += self._event("response.content_part.done", **where, content_index=0, part=part)
        ended = self._event("response.output_item.done", output_index=where["output_index"], item=item)
        self._items.append(item)
        self._open = None
        return done + ended

    def _where(self) -> dict[str, Any]:
        assert self._open is not None
        return {"item_id": self._open["id"], "output_index": len(self._items)}

    def _event(self, name: str, /, **fields: Any) -> bytes:
        data = _encode({"type": name, "sequence_number": self._number, **fields})
        self._number += 1
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


_TEXT = {"message": "output_text", "reasoning": "reasoning_text"}
_PREFIX = {"message": "msg", "reasoning": "rs", "function_call": "fc"}


def _part(kind: str) -> dict[str, Any]:
    if kind == "reasoning":
        return {"type": "reasoning_text", "text": ""}
    return {"type": "output_text", "text": "", "annotations": [], "logprobs": []}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
