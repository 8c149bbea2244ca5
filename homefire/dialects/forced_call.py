"""A tool call that must come: `tool_choice` required or named, on llama.cpp.

llama.cpp's own grammar for "required" lets text of any length come before the call, and a small model then never gets to it
(measured: 7 of 20 answers of an early pilot). So the prompt is rendered with the tools, as for a free choice, but what the
model may say is one JSON object, {"name": one of the tools, "arguments": what that tool's schema allows}, and nothing else.
Promises: an answer that is not cut short is exactly one call of an allowed tool whose arguments fit its schema.
Does not cover: several calls at once, and log probabilities.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from homefire.dialects import llamacpp
from homefire.messages import ChatRequest, Event, Finish, Form, Message, TextDelta, Tool, ToolCallDelta, UsageReport

APPLY_TEMPLATE_PATH = llamacpp.APPLY_TEMPLATE_PATH
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_PROBE = Tool("homefire_probe", "", {"type": "object", "properties": {}})


def is_forced(request: ChatRequest) -> bool:
    """Whether the request leaves the model no choice but to call."""
    return bool(request.tools) and request.tool_choice not in ("auto", "none")


def render_probe() -> bytes:
    """A body for `APPLY_TEMPLATE_PATH` whose answer tells whether the model's template shows tools."""
    tools = llamacpp.tools_json((_PROBE,))
    return _encode({"messages": [{"role": "user", "content": "x"}], "chat_template_kwargs": {"tools": tools}})


def read_probe(body: bytes) -> bool:
    """Whether the template showed the probe's tool."""
    return _PROBE.name.encode() in body


def render(request: ChatRequest, template_shows_tools: bool, scales: Sequence[float] = ()) -> bytes:
    """The body for llama.cpp's chat route. A template that shows no tools gets them in a system message; `scales` as
    `llamacpp.add_scales` takes them."""
    named = request.tool_choice.removeprefix("function:") if ":" in request.tool_choice else None
    allowed = [tool for tool in request.tools if named in (None, tool.name)]
    messages = request.messages
    if not template_shows_tools:
        listed = "\n".join(_encode(tool).decode() for tool in llamacpp.tools_json(allowed))
        order = 'Call one of these tools: answer with one JSON object {"name": ..., "arguments": {...}}.\n'
        messages = (Message("system", order + listed), *messages)
    plain = replace(
        request,
        messages=messages,
        tools=(),
        stream=False,
        include_usage=False,
        logprobs=None,
        form=Form("json_schema", _schema(allowed)),
    )
    body = msgspec.json.decode(llamacpp.render_chat(plain, scales))
    body.setdefault("chat_template_kwargs", {})["tools"] = llamacpp.tools_json(request.tools)
    return _encode(body)


def read(events: list[Event]) -> list[Event]:
    """The call that an answer's events spell out. One that was cut short comes as far as it goes, with reason "length"."""
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    rest: list[Event] = [event for event in events if isinstance(event, UsageReport)]
    call_id = "call_" + secrets.token_hex(12)
    try:
        call = _decode(text)
        return [
            ToolCallDelta(0, _encode(call["arguments"]).decode(), call_id, call["name"]),
            Finish("tool_calls"),
            *rest,
        ]
    except (msgspec.DecodeError, KeyError, TypeError):
        begun = re.match(r'\s*\{\s*"name"\s*:\s*"([^"]+)"\s*,\s*"arguments"\s*:\s*(.*)', text, re.DOTALL)
        cut: list[Event] = [ToolCallDelta(0, begun[2], call_id, begun[1])] if begun else []
        return [*cut, Finish("length"), *rest]


def _schema(tools: list[Tool]) -> dict[str, Any]:
    """One schema for a call of any of the tools. Definitions move to the root, where references are looked up."""
    definitions: dict[str, Any] = {}
    calls = []
    for number, tool in enumerate(tools):
        arguments = _hoisted(tool.parameters, f"tool{number}_", definitions)
        calls.append(
            {
                "type": "object",
                "properties": {"name": {"const": tool.name}, "arguments": {"type": "object", **arguments}},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    schema: dict[str, Any] = {"anyOf": calls} if len(calls) > 1 else calls[0]
    return {**schema, "$defs": definitions} if definitions else schema


def _hoisted(value: Any, prefix: str, definitions: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_hoisted(item, prefix, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, item in value.items():
        if key in ("$defs", "definitions") and isinstance(item, dict):
            for name, definition in item.items():
                definitions[prefix + name] = _hoisted(definition, prefix, definitions)
        elif key == "$ref" and isinstance(item, str):
            found[key] = re.sub(r"^#/(?:\$defs|definitions)/", f"#/$defs/{prefix}", item)
        else:
            found[key] = _hoisted(item, prefix, definitions)
    return found
