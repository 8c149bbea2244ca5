"""Anthropic's wire form: what is read, what is refused, and the exact order of a stream's events.

Promises: each field is honoured, without effect or refused by name; a stream is whole blocks one after the other.
Does not cover: the routes (`test_dialect_routes.py`), the real client (`tests/process/test_clients.py`).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from homefire.dialects import anthropic
from homefire.dialects.anthropic import Asked, MessagesBody, MessageStream
from homefire.errors import (
    ContextOverflow,
    EngineDied,
    HomefireError,
    InvalidJson,
    InvalidRequest,
    MissingKey,
    Overloaded,
    UnknownModel,
    UnsupportedParameter,
)
from homefire.messages import (
    Event,
    Finish,
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

HELLO = [{"role": "user", "content": "hello"}]
WEATHER = {"name": "weather", "description": "d", "input_schema": {"type": "object", "properties": {}}}


def read(**fields: Any) -> Asked:
    return anthropic.read_messages(
        json.dumps({"model": "pilot", "max_tokens": 5, "messages": HELLO, **fields}).encode(), "main"
    )


def test_a_plain_request() -> None:
    asked = read()
    assert asked.chat.model == "pilot"
    assert asked.chat.messages == (Message("user", "hello"),)
    assert asked.chat.sampling == Sampling(max_tokens=5)
    assert (asked.chat.stream, asked.chat.include_usage, asked.chat.think) == (False, False, False)
    assert (
        anthropic.read_messages(b'{"max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}', "main").chat.model
        == "main"
    )
    with pytest.raises(InvalidRequest) as caught:
        anthropic.read_messages(json.dumps({"model": "pilot", "messages": HELLO}).encode(), "main")
    assert caught.value.param == "max_tokens"


def test_sampling() -> None:
    chat = read(temperature=0.5, top_p=0.9, top_k=3, stop_sequences=["a", ""], stream=True).chat
    assert chat.sampling == Sampling(0.5, 0.9, 3, max_tokens=5, stop=("a",))
    assert chat.stream and chat.include_usage
    for field, value in (("temperature", 1.5), ("top_p", -1), ("max_tokens", 0), ("stop_sequences", [""] * 17)):
        with pytest.raises(InvalidRequest) as caught:
            read(**{field: value})
        assert caught.value.param == field


def test_a_conversation_with_tools() -> None:
    asked = read(
        system=[
            {"type": "text", "text": "Be.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Brief."},
        ],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Bern"}},
                    {"type": "tool_use", "id": "t2", "name": "weather", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "sun"}]},
                    {"type": "tool_result", "tool_use_id": "t2", "content": "no such city", "is_error": True},
                    {"type": "text", "text": "so?"},
                ],
            },
        ],
        tools=[WEATHER, {"name": "bare", "input_schema": {"type": "object"}, "type": "custom"}],
    )
    assert asked.chat.messages == (
        Message("system", "Be.\nBrief."),
        Message("user", "a\nb"),
        Message(
            "assistant", "I look.", (ToolCall("t1", "weather", '{"city":"Bern"}'), ToolCall("t2", "weather", "{}"))
        ),
        Message("tool", "sun", tool_call_id="t1"),
        Message("tool", "Error: no such city", tool_call_id="t2"),
        Message("user", "so?"),
    )
    assert asked.chat.tools == (
        Tool("weather", "d", {"type": "object", "properties": {}}),
        Tool("bare", "", {"type": "object"}),
    )


def test_a_call_alone_has_no_text() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    messages = [*HELLO, {"role": "assistant", "content": [call]}, {"role": "user", "content": []}]
    assert read(messages=messages).chat.messages[1:] == (
        Message("assistant", None, (ToolCall("t", "f", "{}"),)),
        Message("user", ""),
    )


@pytest.mark.parametrize(
    ("choice", "read_as", "parallel"),
    [
        ({"type": "auto"}, "auto", True),
        ({"type": "any"}, "required", True),
        ({"type": "none"}, "none", True),
        ({"type": "tool", "name": "weather"}, "function:weather", True),
        ({"type": "any", "disable_parallel_tool_use": True}, "required", False),
    ],
)
def test_tool_choice(choice: dict[str, Any], read_as: str, parallel: bool) -> None:
    chat = read(tools=[WEATHER], tool_choice=choice).chat
    assert (chat.tool_choice, chat.parallel_tool_calls) == (read_as, parallel)


def test_tool_choice_that_cannot_be() -> None:
    for fields in (
        {"tool_choice": {"type": "any"}},
        {"tool_choice": {"type": "tool", "name": "other"}, "tools": [WEATHER]},
        {"tool_choice": {"type": "tool"}, "tools": [WEATHER]},
    ):
        with pytest.raises(InvalidRequest) as caught:
            read(**fields)
        assert caught.value.param == "tool_choice"


def test_thinking() -> None:
    enabled = read(thinking={"type": "enabled", "budget_tokens": 1024})
    assert (enabled.reasons, enabled.shows, enabled.chat.think) == (True, True, True)
    adaptive = read(thinking={"type": "adaptive"})
    assert (adaptive.reasons, adaptive.shows, adaptive.chat.think) == (False, True, None)
    disabled = read(thinking={"type": "disabled"})
    assert (disabled.reasons, disabled.shows, disabled.chat.think) == (False, False, False)


def test_a_schema_for_the_answer() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    asked = read(output_config={"format": {"type": "json_schema", "schema": schema}, "effort": "low"})
    assert asked.chat.form == Form("json_schema", schema)
    assert read(output_config={"effort": "low"}).chat.form == Form()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"container": "c"}, "container"),
    ({"mcp_servers": [{}]}, "mcp_servers"),
    ({"context_management": {}}, "context_management"),
    ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]},
     "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "t", "name": "f"}]}]},
     "messages[0].content[0].type"),
    ({"system": [{"type": "image"}]}, "system[0].type"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param"), REFUSED, ids=[param for _, param in REFUSED])
def test_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        read(**fields)
    assert caught.value.param == param


def test_bad_input() -> None:
    deep: Any = {}
    for _ in range(80):
        deep = {"a": deep}
    for fields, error in (
        ({"wish": 1}, InvalidRequest),
        ({"messages": []}, InvalidRequest),
        ({"messages": [{"role": "tool", "content": "x"}]}, InvalidRequest),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, InvalidRequest),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "x"}]}]}, InvalidRequest),
        ({"tools": [{"name": "f"}]}, InvalidRequest),
        ({"tools": [{"name": "f", "input_schema": deep}]}, InvalidJson),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": deep}]}]},
         InvalidJson),
        ({"output_config": {"format": {"type": "json_schema", "schema": deep}}}, InvalidJson),
    ):  # fmt: skip
        with pytest.raises(error):
            read(**fields)


def test_every_field_is_of_one_kind() -> None:
    honoured = {
        "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "max_tokens", "stop_sequences",
        "temperature", "top_p", "top_k", "stream",
    }  # fmt: skip
    refused = set(anthropic._REFUSED)
    kinds = [honoured, anthropic.WITHOUT_EFFECT, refused]
    assert set().union(*kinds) == set(MessagesBody.__struct_fields__)
    assert sum(map(len, kinds)) == len(MessagesBody.__struct_fields__)
    everything = read(**{name: {} for name in anthropic.WITHOUT_EFFECT})
    assert everything == read()


# ----------------------------------------------------------------------------------------------------------- answers


def streamed(asked: Asked, events: list[Event], prompt: int = 0) -> list[tuple[str, dict[str, Any]]]:
    stream = MessageStream(asked, "msg_1", prompt)
    raw = stream.begin() + b"".join(map(stream.event, events)) + stream.end()
    return parsed(raw)


def parsed(raw: bytes) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in raw.decode().strip().split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append((event.pop("type"), event))
    return found


CALLS: list[Event] = [
    ReasoningDelta("hm"),
    TextDelta("a"),
    TextDelta("b"),
    ToolCallDelta(0, "", "c0", "f"),
    ToolCallDelta(0, '{"x":'),
    ToolCallDelta(0, "1}"),
    ToolCallDelta(1, '{"y":2}', "c1", "g"),
    Finish("tool_calls"),
    UsageReport(Usage(10, 4, 3)),
]


def test_the_exact_events_of_a_stream() -> None:
    asked = read(stream=True, thinking={"type": "adaptive"})
    events = streamed(asked, CALLS, 10)
    assert [name for name, _ in events] == [
        "message_start",
        "content_block_start", "content_block_delta", "content_block_stop",
        "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
        "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
        "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    message = events[0][1]["message"]
    assert (message["id"], message["role"], message["content"], message["stop_reason"]) == (
        "msg_1",
        "assistant",
        [],
        None,
    )
    assert message["usage"]["input_tokens"] == 10
    starts = [fields for name, fields in events if name == "content_block_start"]
    assert [(each["index"], each["content_block"]["type"]) for each in starts] == [
        (0, "thinking"), (1, "text"), (2, "tool_use"), (3, "tool_use"),
    ]  # fmt: skip
    assert starts[2]["content_block"] == {"type": "tool_use", "id": "c0", "name": "f", "input": {}}
    deltas = [(fields["index"], fields["delta"]) for name, fields in events if name == "content_block_delta"]
    assert deltas == [
        (0, {"type": "thinking_delta", "thinking": "hm"}),
        (1, {"type": "text_delta", "text": "a"}),
        (1, {"type": "text_delta", "text": "b"}),
        (2, {"type": "input_json_delta", "partial_json": '{"x":'}),
        (2, {"type": "input_json_delta", "partial_json": "1}"}),
        (3, {"type": "input_json_delta", "partial_json": '{"y":2}'}),
    ]
    stops = [fields["index"] for name, fields in events if name == "content_block_stop"]
    assert stops == [0, 1, 2, 3]
    assert events[-2][1]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert events[-2][1]["usage"] == {
        "input_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 3, "output_tokens": 4,
    }  # fmt: skip


def test_reasoning_is_shown_only_if_it_was_asked_for() -> None:
    events = streamed(read(stream=True), CALLS)
    blocks = [fields["content_block"]["type"] for name, fields in events if name == "content_block_start"]
    assert blocks == ["text", "tool_use", "tool_use"]
    whole = json.loads(anthropic.render_message(read(), CALLS, "m"))
    assert [block["type"] for block in whole["content"]] == ["text", "tool_use", "tool_use"]


def test_a_whole_answer() -> None:
    found = json.loads(anthropic.render_message(read(thinking={"type": "adaptive"}), CALLS, "msg_1"))
    assert found["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "ab", "citations": None},
        {"type": "tool_use", "id": "c0", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "c1", "name": "g", "input": {"y": 2}},
    ]
    assert (found["stop_reason"], found["usage"]["output_tokens"]) == ("tool_use", 4)


def test_a_call_cut_short() -> None:
    cut: list[Event] = [ToolCallDelta(0, '{"x', "c", "f"), Finish("length"), UsageReport(Usage(1, 1))]
    found = json.loads(anthropic.render_message(read(), cut, "m"))
    assert found["stop_reason"] == "max_tokens"
    assert found["content"] == [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]
    parts = [fields["delta"]["partial_json"] for name, fields in streamed(read(), cut) if name == "content_block_delta"]
    assert parts == ['{"x'], "a stream hides nothing"


def test_an_empty_answer_is_one_empty_block() -> None:
    events = streamed(read(stream=True), [Finish("stop"), UsageReport(Usage(1, 0))])
    assert [name for name, _ in events] == [
        "message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    assert json.loads(anthropic.render_message(read(), [Finish("stop")], "m"))["content"][0]["text"] == ""


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (InvalidRequest("x"), "invalid_request_error"),
        (MissingKey("x"), "authentication_error"),
        (UnknownModel("x"), "not_found_error"),
        (Overloaded("x"), "overloaded_error"),
        (EngineDied("x"), "api_error"),
    ],
)
def test_errors(problem: HomefireError, kind: str) -> None:
    found = anthropic.envelope(problem)
    assert (found["type"], found["error"]["type"], found["error"]["code"]) == ("error", kind, problem.code)
    assert found["error"]["next_step"] == problem.next_step
    (name, fields), *rest = parsed(MessageStream(read(), "m").failed(problem))
    assert name == "error" and fields["error"]["type"] == kind and not rest


def test_an_overflow_says_the_words_that_clients_look_for() -> None:
    assert anthropic.envelope(ContextOverflow("9 > 8"))["error"]["message"] == "prompt is too long: 9 > 8"
