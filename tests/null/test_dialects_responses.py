"""OpenAI's Responses API: what is read, what is refused, and the exact events of a stream.

Promises: each field is honoured, without effect or refused by name; events are numbered without a gap, and what a stream says
is what the whole answer says.
Does not cover: the route (`test_dialect_routes.py`), the real client (`tests/process/test_clients.py`).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from homefire.dialects import responses
from homefire.dialects.responses import Asked, ResponseBody, ResponseStream
from homefire.errors import EngineDied, InvalidJson, InvalidRequest, UnsupportedParameter
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

TOOL = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}


def read(**fields: Any) -> Asked:
    return responses.read_response(json.dumps({"model": "pilot", "input": "hello", **fields}).encode(), "main")


def test_a_plain_request() -> None:
    asked = read()
    assert (asked.chat.model, asked.chat.messages, asked.drop) == ("pilot", (Message("user", "hello"),), False)
    assert responses.read_response(b'{"input": "x"}', "main").chat.model == "main"
    full = read(
        instructions="Be.", max_output_tokens=4, temperature=0.5, top_p=0.9, stream=True, truncation="auto", store=False
    )
    assert full.chat.messages == (Message("system", "Be."), Message("user", "hello"))
    assert full.chat.sampling == Sampling(0.5, 0.9, max_tokens=4)
    assert full.chat.stream and full.chat.include_usage and full.drop


def test_items() -> None:
    asked = read(
        input=[
            {"role": "developer", "content": "Be."},
            {"type": "message", "role": "user",
             "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
            {"type": "message", "id": "m", "status": "completed", "role": "assistant",
             "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}]},
            {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
            {"type": "function_call", "call_id": "c2", "name": "g", "arguments": '{"x":1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
            {"type": "function_call", "call_id": "c3", "name": "f", "arguments": ""},
            {"type": "function_call_output", "call_id": "c3", "output": ""},
        ]
    )  # fmt: skip
    assert asked.chat.messages == (
        Message("developer", "Be."),
        Message("user", "a\nb"),
        Message("assistant", "I look.", (ToolCall("c1", "f", "{}"), ToolCall("c2", "g", '{"x":1}'))),
        Message("tool", "one", tool_call_id="c1"),
        Message("tool", "two", tool_call_id="c2"),
        Message("assistant", None, (ToolCall("c3", "f", ""),)),
        Message("tool", "", tool_call_id="c3"),
    )


def test_tools_and_choice() -> None:
    assert read(tools=[TOOL]).chat.tools == (Tool("f", "d", {"type": "object"}),)
    assert read(tools=[TOOL], tool_choice="required", parallel_tool_calls=False).chat.tool_choice == "required"
    assert read(tools=[TOOL], tool_choice={"type": "function", "name": "f"}).chat.tool_choice == "function:f"
    for fields in ({"tool_choice": "required"}, {"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}}):
        with pytest.raises(InvalidRequest) as caught:
            read(**fields)
        assert caught.value.param == "tool_choice"


def test_forms_and_reasoning() -> None:
    schema = {"type": "object"}
    form = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    assert read(text={"format": form, "verbosity": "low"}).chat.form == Form("json_schema", schema)
    assert read(text={"format": {"type": "json_object"}}).chat.form == Form("json_object")
    assert read(text={"format": {"type": "text"}}).chat.form == Form()
    with pytest.raises(InvalidRequest):
        read(text={"format": {"type": "json_schema", "name": "n"}})
    assert [read(reasoning={"effort": effort}).chat.think for effort in (None, "none", "minimal", "low", "high")] == [
        None, False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "c"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"background": True}, "background"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input[0].content[0].type",
        ),
    ],
)
def test_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        read(**fields)
    assert caught.value.param == param
    assert caught.value.next_step


def test_bad_input() -> None:
    deep: Any = {}
    for _ in range(80):
        deep = {"a": deep}
    for fields, error in (
        ({"wish": 1}, InvalidRequest),
        ({"input": []}, InvalidRequest),
        ({"input": [{"type": "reasoning"}]}, InvalidRequest),
        ({"input": [{"content": "x"}]}, InvalidRequest),
        ({"input": [{"role": "user"}]}, InvalidRequest),
        ({"input": [{"type": "function_call", "name": "f"}]}, InvalidRequest),
        ({"tools": [{"type": "function"}]}, InvalidRequest),
        ({"temperature": 3}, InvalidRequest),
        ({"truncation": "some"}, InvalidRequest),
        ({"tools": [{**TOOL, "parameters": deep}]}, InvalidJson),
    ):
        with pytest.raises(error):
            read(**fields)


def test_every_field_is_of_one_kind() -> None:
    honoured = {
        "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "max_output_tokens",
        "temperature", "top_p", "stream", "stream_options", "truncation", "reasoning", "include", "store",
    }  # fmt: skip
    refused = {*responses._STORED, *responses._REFUSED}
    kinds = [honoured, responses.WITHOUT_EFFECT, refused]
    assert set().union(*kinds) == set(ResponseBody.__struct_fields__)
    assert sum(map(len, kinds)) == len(ResponseBody.__struct_fields__)
    assert read(metadata={"a": "b"}, user="u", include=["reasoning.encrypted_content"]).chat == read().chat


# ----------------------------------------------------------------------------------------------------------- answers

EVENTS: list[Event] = [
    ReasoningDelta("hm"),
    TextDelta("a"),
    TextDelta("b"),
    ToolCallDelta(0, '{"x":', "c0", "f"),
    ToolCallDelta(0, "1}"),
    ToolCallDelta(1, "{}", "c1", "g"),
    Finish("tool_calls"),
    UsageReport(Usage(10, 4, 3)),
]


def streamed(events: list[Event], **fields: Any) -> list[dict[str, Any]]:
    stream = ResponseStream(read(stream=True, **fields), "1")
    return parsed(stream.begin() + b"".join(map(stream.event, events)) + stream.end())


def parsed(raw: bytes) -> list[dict[str, Any]]:
    found = []
    for block in raw.decode().strip().split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


def test_the_exact_events_of_a_stream() -> None:
    events = streamed(EVENTS, tools=[TOOL])
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created", "in_progress",
        "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done",
        "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta", "output_text.done",
        "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    assert [event["output_index"] for event in events if event["type"].endswith("item.done")] == [0, 1, 2, 3]
    for event in events[2:-1]:
        item = event.get("item_id") or event["item"]["id"]
        assert item == {0: "rs_10", 1: "msg_11", 2: "fc_12", 3: "fc_13"}[event["output_index"]]
    last = events[-1]["response"]
    assert last["output"] == [event["item"] for event in events if event["type"].endswith("item.done")]
    assert last["output"][2] == {
        "id": "fc_12", "type": "function_call", "status": "completed", "call_id": "c0", "name": "f", "arguments": '{"x":1}',
    }  # fmt: skip
    assert last["usage"]["input_tokens_details"]["cached_tokens"] == 3
    assert (last["status"], last["store"], last["usage"]["total_tokens"]) == ("completed", False, 14)
    assert events[0]["response"]["status"] == "in_progress" and events[0]["response"]["output"] == []


def test_the_whole_answer_is_what_the_stream_ends_with() -> None:
    whole = json.loads(responses.render_response(read(tools=[TOOL]), EVENTS, "1"))
    last = streamed(EVENTS, tools=[TOOL])[-1]["response"]
    assert {**whole, "created_at": 0} == {**last, "created_at": 0}


def test_an_answer_cut_short_and_an_empty_one() -> None:
    cut = streamed([TextDelta("a"), Finish("length"), UsageReport(Usage(1, 1))])[-1]
    assert cut["type"] == "response.incomplete"
    assert cut["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert cut["response"]["output"][0]["status"] == "incomplete"
    empty = json.loads(responses.render_response(read(), [Finish("stop")], "1"))
    assert [item["type"] for item in empty["output"]] == ["message"]
    assert streamed([Finish("stop")])[-1]["response"]["output"] == empty["output"]


def test_a_stream_that_breaks() -> None:
    stream = ResponseStream(read(stream=True), "1")
    raw = stream.begin() + stream.event(TextDelta("a")) + stream.failed(EngineDied("It died.", "Again."))
    events = parsed(raw)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    last = events[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "It died. Again."}
    assert last["response"]["output"][0]["content"][0]["text"] == "a"


def test_the_answer_repeats_the_request() -> None:
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    asked = read(
        tools=[TOOL], tool_choice={"type": "function", "name": "f"}, text={"format": form}, instructions="Be.",
        metadata={"a": "b"}, truncation="auto",
    )  # fmt: skip
    found = json.loads(responses.render_response(asked, EVENTS, "1"))
    assert found["tool_choice"] == {"type": "function", "name": "f"}
    assert (found["text"]["format"]["name"], found["instructions"], found["metadata"], found["truncation"]) == (
        "n", "Be.", {"a": "b"}, "auto",
    )  # fmt: skip
    assert found["tools"][0]["name"] == "f"
