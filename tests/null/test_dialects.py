"""The wire forms of OpenAI and llama.cpp: every field, both directions.

Promises: each field of OpenAI's chat schema is honoured, without effect or refused, and the tables here name all of them; what
we render, our own reader reads back to the same events.
Does not cover: random input (`test_fuzz.py`), OpenAI's own client (`tests/contract`), a real llama.cpp.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from homefire.dialects import llamacpp, openai
from homefire.dialects.openai import ChatBody, ChatStream, CompletionBody, CompletionStream
from homefire.errors import (
    ContextOverflow,
    EngineFailed,
    HomefireError,
    InvalidJson,
    InvalidRequest,
    Overloaded,
    UnsupportedParameter,
)
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
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

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def read(**fields: Any) -> ChatRequest:
    return openai.read_chat(json.dumps({"messages": [USER], **fields}).encode(), "pilot")


def rendered(**fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(llamacpp.render_chat(read(**fields)))
    return body


PLAIN = read()

# field -> (value, what the request holds then)
HONOURED: dict[str, list[tuple[Any, ChatRequest]]] = {}


def honoured(field: str, value: Any, **changes: Any) -> None:
    sampling = Sampling(**changes.pop("sampling", {}))
    request = ChatRequest(**{"model": "pilot", "messages": PLAIN.messages, "sampling": sampling, **changes})
    HONOURED.setdefault(field, []).append((value, request))


honoured("model", "other", model="other")
honoured("messages", [USER], messages=(Message("user", "hi"),))
honoured("stream", True, stream=True)
honoured("stream", False)
honoured("temperature", 0, sampling={"temperature": 0})
honoured("temperature", 2.0, sampling={"temperature": 2.0})
honoured("top_p", 0.5, sampling={"top_p": 0.5})
honoured("top_k", 40, sampling={"top_k": 40})
honoured("min_p", 0.1, sampling={"min_p": 0.1})
honoured("repeat_penalty", 1.1, sampling={"repeat_penalty": 1.1})
honoured("frequency_penalty", -2, sampling={"frequency_penalty": -2})
honoured("presence_penalty", 2, sampling={"presence_penalty": 2})
honoured("seed", -(2**63), sampling={"seed": -(2**63)})
honoured("stop", "END", sampling={"stop": ("END",)})
honoured("stop", ["a", "", "b"], sampling={"stop": ("a", "b")})
honoured("max_tokens", 5, sampling={"max_tokens": 5})
honoured("max_completion_tokens", 6, sampling={"max_tokens": 6})
honoured("logit_bias", {"5": -100, "0": 1.5}, sampling={"logit_bias": ((5, -100), (0, 1.5))})
honoured("ignore_eos", True, sampling={"ignore_eos": True})
honoured("n", 1)
honoured("tools", [TOOL], tools=(Tool("f", "d", {"type": "object"}),))
honoured("parallel_tool_calls", False, parallel_tool_calls=False)
honoured("response_format", {"type": "text"})
honoured("response_format", {"type": "json_object"}, form=Form("json_object"))
honoured("response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": {"a": 1}}},
         form=Form("json_schema", {"a": 1}))  # fmt: skip
honoured("logprobs", True, logprobs=0)
honoured("logprobs", False)
honoured("tool_choice", "auto")
honoured("tool_choice", "none", tool_choice="none")
honoured("modalities", ["text"])

TOGETHER: dict[str, dict[str, Any]] = {
    "stream_options": {"stream": True, "stream_options": {"include_usage": True}},
    "top_logprobs": {"logprobs": True, "top_logprobs": 3},
}

REFUSED: dict[str, list[Any]] = {
    "n": [2],
    "modalities": [["audio"], ["text", "audio"], []],
    "audio": [{"voice": "x"}],
    "prediction": [{"type": "content"}],
    "web_search_options": [{}],
    "functions": [[{"name": "f"}]],
    "function_call": ["auto"],
}

WITHOUT: dict[str, Any] = {
    "user": "u",
    "metadata": {"a": "b"},
    "store": True,
    "service_tier": "auto",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "safety_identifier": "s",
    "reasoning_effort": "low",
    "verbosity": "high",
}


def test_the_tables_name_every_field() -> None:
    assert set(HONOURED) | set(TOGETHER) | set(REFUSED) | set(WITHOUT) == set(ChatBody.__struct_fields__)
    assert set(WITHOUT) == openai.WITHOUT_EFFECT


@pytest.mark.parametrize(
    ("field", "value", "request_"), [(f, v, r) for f, rows in HONOURED.items() for v, r in rows], ids=str
)
def test_honoured(field: str, value: Any, request_: ChatRequest) -> None:
    assert read(**{field: value}) == request_


def test_fields_that_need_another() -> None:
    assert read(**TOGETHER["stream_options"]).include_usage
    assert not read(stream=True, stream_options={}).include_usage
    assert read(**TOGETHER["top_logprobs"]).logprobs == 3
    assert read(tools=[TOOL], tool_choice="required").tool_choice == "required"
    assert read(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}}).tool_choice == "function:f"
    assert read(max_tokens=5, max_completion_tokens=6).sampling.max_tokens == 6


@pytest.mark.parametrize("field", sorted(ChatBody.__struct_fields__))
def test_null_is_as_good_as_nothing(field: str) -> None:
    if field != "messages":
        assert read(**{field: None}) == PLAIN


@pytest.mark.parametrize("field", sorted(WITHOUT))
def test_without_effect(field: str) -> None:
    assert read(**{field: WITHOUT[field]}) == PLAIN


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in REFUSED.items() for v in values], ids=str)
def test_refused_because_it_would_change_the_answer(field: str, value: Any) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        read(**{field: value})
    assert caught.value.param == field and "supported here" in caught.value.message


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"colour": 1}, "colour"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": "1"}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"top_p": 1.1}, "top_p"),
    ({"top_k": -1}, "top_k"),
    ({"min_p": 2}, "min_p"),
    ({"repeat_penalty": 0}, "repeat_penalty"),
    ({"frequency_penalty": 2.5}, "frequency_penalty"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"n": 0}, "n"),
    ({"seed": 2**63}, "seed"),
    ({"stop": 5}, "stop"),
    ({"stop": ["x"] * 17}, "stop"),
    ({"logit_bias": {"x": 1}}, "logit_bias"),
    ({"logit_bias": {"-1": 1}}, "logit_bias"),
    ({"logit_bias": {"9" * 30: 1}}, "logit_bias"),
    ({"logit_bias": {"5": 101}}, "logit_bias[...]"),
    ({"stream": 1}, "stream"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": True, "stream_options": {"x": 1}}, "stream_options.x"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"model": ""}, "model"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": "sometimes"}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"function": {"name": "g"}}}, "tool_choice"),
    ({"tools": [{"type": "code"}]}, "tools[0].type"),
    ({"tools": [{"function": {"name": "a b"}}]}, "tools[0].function.name"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"messages": []}, "messages"),
    ({"messages": None}, "messages"),
    ({"messages": [{"content": "x"}]}, "messages[0].role"),
    ({"messages": [USER, {"role": "robot", "content": "x"}]}, "messages[1].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{**USER, "x": 1}]}, "messages[0].x"),
    ({"messages": [{**USER, "tool_calls": [CALL]}]}, "messages[0].tool_calls"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages[0]"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=lambda value: str(value)[:60])
def test_wrong_values_name_their_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises((InvalidRequest, UnsupportedParameter)) as caught:
        read(**fields)
    assert caught.value.param == param
    assert caught.value.next_step


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"messages": NaN}',
        b'{"model": "\\ud800"}',
        b'{"messages":[{"role":"user","content":"x"}]} x',
        b"\0",
    ],
)
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        openai.read_chat(body, "pilot")


@pytest.mark.parametrize("depth", [10, 60, 65, 500, 100_000])
def test_schemas_have_a_depth(depth: int) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    for start, end in (('"tools":[{"function":{"name":"f","parameters":', "}}]"),
                       ('"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":', "}}")):  # fmt: skip
        body = f'{{"messages":[{{"role":"user","content":"x"}}],{start}{nested}{end}}}'.encode()
        if depth <= 64:
            llamacpp.render_chat(openai.read_chat(body, "pilot"))
            continue
        with pytest.raises(InvalidJson):
            openai.read_chat(body, "pilot")


def test_messages_as_clients_send_them_back() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}]
    answer = {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None, "annotations": []}
    tool = {"role": "tool", "content": "5", "tool_call_id": "c1"}
    found = read(
        messages=[
            {"role": "developer", "content": "Be."},
            {"role": "user", "content": parts, "name": "n"},
            answer,
            tool,
        ]
    )
    assert found.messages == (
        Message("developer", "Be."),
        Message("user", "a\nb", name="n"),
        Message("assistant", None, (ToolCall("c1", "f", "{}"),)),
        Message("tool", "5", tool_call_id="c1"),
    )
    assert [message["role"] for message in json.loads(llamacpp.render_chat(found))["messages"]] == [
        "system", "user", "assistant", "tool",
    ]  # fmt: skip


def test_completions() -> None:
    def plain(**fields: Any) -> CompletionRequest:
        return openai.read_completion(json.dumps({"prompt": "x", **fields}).encode(), "pilot")

    assert plain() == CompletionRequest("pilot", "x")
    assert plain(prompt=["y"]).prompt == "y"
    full = plain(
        echo=True, logprobs=2, max_tokens=3, stream=True, stream_options={"include_usage": True}, suffix="", best_of=1
    )
    assert full == CompletionRequest("pilot", "x", Sampling(max_tokens=3), 2, True, True, True)
    for field, value in (("prompt", ["a", "b"]), ("prompt", []), ("suffix", "s"), ("best_of", 2), ("n", 2)):
        with pytest.raises(UnsupportedParameter) as caught:
            plain(**{field: value})
        assert caught.value.param == field
    assert set(CompletionBody.__struct_fields__) >= {"prompt", "echo", "suffix", "best_of"}
    body = json.loads(llamacpp.render_completion(full))
    assert (body["prompt"], body["echo"], body["logprobs"], body["max_tokens"]) == ("x", True, 2, 3)


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


def test_a_named_tool_is_the_only_one_and_required() -> None:
    other = {
        "type": "function",
        "function": {"name": "g", "description": "", "parameters": {"type": "object", "properties": {}}},
    }
    body = rendered(tools=[TOOL, {"function": {"name": "g"}}], tool_choice={"function": {"name": "g"}})
    assert (body["tools"], body["tool_choice"]) == ([other], "required")


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
