"""Tool calls that must come, and plain completions in the older form.

Promises: the schema allows exactly the tools asked for, references still resolve after definitions move, a cut call is told
from a whole one; a stream is rewritten alike however it is cut.
Does not cover: what llama.cpp's grammar makes of the schema (`tests/contract`).
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homefire.dialects import forced_call
from homefire.dialects.old_completion import OldCompletion
from homefire.messages import ChatRequest, Event, Finish, Message, TextDelta, Tool, ToolCallDelta, Usage, UsageReport

POINT = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
DRAW = Tool("draw", "d", {"type": "object", "properties": {"at": {"$ref": "#/$defs/Point"}}, "$defs": {"Point": POINT}})
ERASE = Tool(
    "erase", "", {"properties": {"at": {"$ref": "#/definitions/Point"}}, "definitions": {"Point": {"type": "null"}}}
)
REPORT = UsageReport(Usage(3, 4))


def request(choice: str, *tools: Tool) -> ChatRequest:
    return ChatRequest("m", (Message("user", "hi"),), tools=tools, tool_choice=choice, stream=True, logprobs=1)


def rendered(choice: str, shows: bool = True) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(forced_call.render(request(choice, DRAW, ERASE), shows))
    return body


@pytest.mark.parametrize(
    ("choice", "forced"), [("auto", False), ("none", False), ("required", True), ("function:draw", True)]
)
def test_what_is_forced(choice: str, forced: bool) -> None:
    assert forced_call.is_forced(request(choice, DRAW)) is forced
    assert not forced_call.is_forced(request(choice))


def test_the_prompt_shows_all_tools_and_the_grammar_allows_the_named_one() -> None:
    body = rendered("function:erase")
    assert [tool["function"]["name"] for tool in body["chat_template_kwargs"]["tools"]] == ["draw", "erase"]
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["name"] == {"const": "erase"}
    assert "tools" not in body and body["stream"] is False and "logprobs" not in body


def test_definitions_move_to_the_root_and_references_follow() -> None:
    schema = rendered("required")["response_format"]["json_schema"]["schema"]
    assert schema["$defs"] == {"tool0_Point": POINT, "tool1_Point": {"type": "null"}}
    draw, erase = (call["properties"]["arguments"] for call in schema["anyOf"])
    assert draw["properties"]["at"] == {"$ref": "#/$defs/tool0_Point"}
    assert erase["properties"]["at"] == {"$ref": "#/$defs/tool1_Point"}
    assert draw["type"] == erase["type"] == "object"


def test_a_template_that_shows_no_tools_gets_them_in_a_message() -> None:
    shown, hidden = rendered("required"), rendered("required", shows=False)
    assert len(shown["messages"]) == 1
    assert hidden["messages"][0]["role"] == "system"
    assert '"draw"' in hidden["messages"][0]["content"]
    assert forced_call.read_probe(forced_call.render_probe())
    assert not forced_call.read_probe(b'{"prompt": "x"}')


def test_a_whole_call() -> None:
    said: list[Event] = [
        TextDelta('{ "name": "draw", '),
        TextDelta('"arguments": {"at": {"x": 1}}}'),
        Finish("stop"),
        REPORT,
    ]
    call, end, report = forced_call.read(said)
    assert isinstance(call, ToolCallDelta)
    assert (call.name, json.loads(call.arguments), call.index) == ("draw", {"at": {"x": 1}}, 0)
    assert call.id is not None and call.id.startswith("call_")
    assert (end, report) == (Finish("tool_calls"), REPORT)


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [('{"name": "draw", "arguments": {"at": {"x"', "draw", '{"at": {"x"'), ('{"name": "dr', None, ""), ("", None, "")],
)
def test_a_cut_call(text: str, name: str | None, arguments: str) -> None:
    found = forced_call.read([TextDelta(text), Finish("length")])
    assert found[-1] == Finish("length")
    calls = [event for event in found if isinstance(event, ToolCallDelta)]
    assert [(call.name, call.arguments) for call in calls] == ([(name, arguments)] if name else [])


TOKENS = [
    {"token": "Ho", "logprob": -0.5, "top_logprobs": [{"token": "Ho", "logprob": -0.5}]},
    {"token": "me", "logprob": -1},
]
CHUNKS: list[dict[str, Any]] = [
    {"choices": [{"text": "Ho", "logprobs": {"content": TOKENS[:1]}, "finish_reason": None}]},
    {"choices": [{"text": "me", "logprobs": {"content": TOKENS[1:]}, "finish_reason": None}]},
    {"choices": [{"text": "", "logprobs": None, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}},
]
STREAM = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in CHUNKS) + b"data: [DONE]\n\n"


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_a_stream_however_it_is_cut(cuts: list[int]) -> None:
    rewrite = OldCompletion(stream=True)
    edges = [0, *sorted(cuts), len(STREAM)]
    out = b"".join(rewrite.feed(STREAM[a:b]) for a, b in itertools.pairwise(edges)) + rewrite.end()
    lines = [line[6:] for line in out.split(b"\n") if line]
    assert lines[-1] == b"[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    assert [chunk["choices"][0]["logprobs"]["text_offset"] for chunk in chunks[:2]] == [[0], [2]]
    assert chunks[0]["choices"][0]["logprobs"]["top_logprobs"] == [{"Ho": -0.5}]
    assert "usage" not in chunks[2]
    assert chunks[3]["choices"] == [] and chunks[3]["usage"] == {"prompt_tokens": 1}


def test_a_whole_answer() -> None:
    rewrite = OldCompletion(stream=False)
    answer = {"choices": [{"text": "Home", "logprobs": {"content": TOKENS}}]}
    assert rewrite.feed(json.dumps(answer).encode()) == b""
    found = json.loads(rewrite.end())["choices"][0]["logprobs"]
    assert found["tokens"] == ["Ho", "me"]
    assert found["token_logprobs"] == [-0.5, -1]
    assert found["text_offset"] == [0, 2]
