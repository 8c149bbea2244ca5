"""llama.cpp's wire form: what it is asked, what its errors mean, and that our own rendering reads back.

Promises: what we render, our own reader reads back to the same events.
Does not cover: the fields of OpenAI's requests (`test_dialects.py`), a real llama.cpp (`tests/contract`).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from homefire.dialects import forced_call, llamacpp, openai
from homefire.dialects.openai import ChatStream, CompletionStream
from homefire.errors import (
    ContextOverflow,
    EngineFailed,
    HomefireError,
    InvalidRequest,
    Overloaded,
)
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    Event,
    Finish,
    Message,
    ReasoningDelta,
    TextDelta,
    Tool,
    ToolCallDelta,
    Usage,
    UsageReport,
)

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def read(**fields: Any) -> ChatRequest:
    return openai.read_chat(json.dumps({"messages": [USER], **fields}).encode(), "pilot")


def rendered(**fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(llamacpp.render_chat(read(**fields)))
    return body


RENDERED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"seed": 7}, {"seed": 7}),
    ({"seed": 0xFFFFFFFF}, {"seed": 0}),
    ({"seed": -1}, {"seed": 0xFFFFFFFE}),
    ({"seed": 2**63 - 1}, {"seed": (2**63 - 1) % 0xFFFFFFFF}),
    ({"logit_bias": {"7": -1.5}}, {"logit_bias": [[7, -1.5]]}),
    ({"stop": "x"}, {"stop": ["x"]}),
    ({"temperature": 0}, {"temperature": 0}),
    ({"ignore_eos": True}, {"ignore_eos": True}),
    ({"repeat_penalty": 1.5}, {"repeat_penalty": 1.5}),
    (
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": {"include_usage": True}},
    ),
    ({"logprobs": True, "top_logprobs": 4}, {"logprobs": True, "top_logprobs": 4}),
    ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
    ({"tools": [TOOL]}, {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": True}),
    ({"tools": [TOOL], "tool_choice": "none"}, {"tools": [TOOL], "tool_choice": "none", "parallel_tool_calls": True}),
]


@pytest.mark.parametrize(("fields", "wanted"), RENDERED, ids=lambda value: str(value)[:50])
def test_rendered_for_llamacpp(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert rendered(**fields) == {"messages": [USER], "stream": False, **wanted}


def test_json_schema_for_llamacpp() -> None:
    body = rendered(
        response_format={"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"a": 1}}}
    )
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"schema": {"a": 1}}}


ERRORS: list[tuple[int, bytes, type[HomefireError], str]] = [
    (400, b'{"error": {"code": 400, "message": "bad", "type": "invalid_request_error"}}', InvalidRequest, "bad"),
    (400, b'{"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 8}}',
     ContextOverflow, "9 tokens, the context window 8"),
    (500, b'{"error": {"code": 503, "message": "loading", "type": "unavailable_error"}}', Overloaded, "loading"),
    (500, b'{"error": {"code": 500, "message": "boom", "type": "server_error"}}', EngineFailed, "boom"),
    (404, b"File Not Found", InvalidRequest, "File Not Found"),
    (500, b"\xff" * 5000, EngineFailed, "failed"),
    (500, b"", EngineFailed, "failed"),
    (503, b"[]", Overloaded, "not ready"),
    (500, b'{"error": "text"}', EngineFailed, "text"),
    (500, b'{"error": {"code": "many", "message": "x"}}', EngineFailed, "x"),
    (500, b'{"error": null}', EngineFailed, "failed"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "leaf", "said"), ERRORS, ids=lambda value: str(value)[:40])
def test_errors_of_llamacpp(status: int, body: bytes, leaf: type[HomefireError], said: str) -> None:
    found = llamacpp.read_error(status, body)
    assert type(found) is leaf and said in found.message and len(found.message) < 700


@pytest.mark.parametrize(
    "line", [b'data: {"error": {"code": 500, "message": "boom"}}\n', b'error: {"error": {"message": "boom"}}\n']
)
def test_an_error_in_the_stream(line: bytes) -> None:
    with pytest.raises(EngineFailed, match="boom"):
        llamacpp.ChunkReader().feed(line)


def test_an_error_in_a_stream_that_nobody_reads() -> None:
    """Its own code, 500, would be no code of ours."""
    said = b'data: {"choices":[{"delta":{"content":"data: {\\"error\\": 1}"}}]}\n\n'
    assert llamacpp.split_error(said) == (said, None), "a text that speaks of one is no error"
    before, problem = llamacpp.split_error(
        said + b'data: {"error":{"code":500,"message":"boom","type":"server_error"}}\n\n'
    )
    assert before == said and isinstance(problem, EngineFailed) and "boom" in problem.message


def test_a_window_that_answers_share_is_full() -> None:
    body = b'{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}'
    with pytest.raises(Overloaded, match="context window that they share"):
        raise llamacpp.read_error(500, body)


USAGE = UsageReport(Usage(5, 3, 2))
CHATS: dict[str, list[Event]] = {
    "text": [TextDelta("one"), TextDelta(' "two"\n\nü'), Finish("stop"), USAGE],
    "reasoning": [ReasoningDelta("hm"), TextDelta("so"), Finish("length"), USAGE],
    "calls": [ToolCallDelta(0, "", "c1", "f"), ToolCallDelta(0, '{"a"'), ToolCallDelta(0, ": 1}"),
              ToolCallDelta(1, "{}", "c2", "g"), Finish("tool_calls"), USAGE],
}  # fmt: skip


@pytest.mark.parametrize("name", CHATS)
def test_what_we_stream_we_can_read(name: str) -> None:
    stream = ChatStream(ChatRequest("m", (), include_usage=True), "id")
    data = stream.begin() + b"".join(stream.event(event) for event in CHATS[name]) + stream.end()
    reader = llamacpp.ChunkReader()
    assert reader.feed(data) == CHATS[name]
    assert reader.done
    silent = ChatStream(ChatRequest("m", ()), "id")
    assert llamacpp.ChunkReader().feed(b"".join(silent.event(e) for e in CHATS[name])) == CHATS[name][:-1]


@pytest.mark.parametrize("name", CHATS)
def test_what_we_answer_whole_we_can_read(name: str) -> None:
    found = llamacpp.read_answer(openai.render_chat(ChatRequest("m", ()), CHATS[name], "id"))

    def joined(events: list[Event]) -> tuple[Any, ...]:
        calls: dict[int, tuple[Any, Any, str]] = {}
        for event in events:
            if isinstance(event, ToolCallDelta):
                first = calls.get(event.index, (event.id, event.name, ""))
                calls[event.index] = (first[0], first[1], first[2] + event.arguments)
        return "".join(e.text for e in events if isinstance(e, TextDelta)), calls, *events[-2:]

    assert joined(found) == joined(CHATS[name])


def test_completions_we_can_read() -> None:
    events = CHATS["text"]
    request = CompletionRequest("m", "x", include_usage=True)
    stream = CompletionStream(request, "id")
    data = stream.begin() + b"".join(stream.event(event) for event in events) + stream.end()
    assert llamacpp.ChunkReader().feed(data) == events
    whole = [event for event in llamacpp.read_answer(openai.render_completion(request, events, "id"))]
    assert whole == [TextDelta('one "two"\n\nü'), Finish("stop"), USAGE]


def test_the_rate_of_llamacpp_is_read() -> None:
    chunk = {
        "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        "timings": {"predicted_per_second": 9.5},
    }
    assert llamacpp.read_event(chunk) == [UsageReport(Usage(1, 2), 9.5)]


def test_scales_of_adapters_stand_in_every_body() -> None:
    """All of them or none: a list that leaves one out, or an empty one, would let llama.cpp keep what the last one computed."""
    chat = ChatRequest("pilot", (Message("user", "hi"),))
    tool = Tool("look", "", {"type": "object", "properties": {}})
    forced = ChatRequest("pilot", (Message("user", "hi"),), tools=(tool,), tool_choice="required")
    text = CompletionRequest("pilot", "hi")
    wanted = [{"id": 0, "scale": 0.0}, {"id": 1, "scale": -0.5}]
    for body in (
        llamacpp.render_chat(chat, [0.0, -0.5]),
        llamacpp.render_completion(text, [0.0, -0.5]),
        forced_call.render(forced, True, [0.0, -0.5]),
    ):
        assert json.loads(body)["lora"] == wanted
    assert [each["scale"] for each in json.loads(llamacpp.render_chat(chat, [0.0]))["lora"]] == [0.0]
    for body in (llamacpp.render_chat(chat), llamacpp.render_completion(text), forced_call.render(forced, True)):
        assert "lora" not in json.loads(body)
