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
from homefire.dialects.openai import ChatBody, CompletionBody
from homefire.errors import (
    InvalidJson,
    InvalidRequest,
    UnsupportedParameter,
)
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    Form,
    Message,
    Sampling,
    Tool,
    ToolCall,
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
honoured("keep_alive", 30, keep_alive=30)
honoured("keep_alive", "5m", keep_alive=300.0)
honoured("keep_alive", -1, keep_alive=-1)
honoured("keep_alive", 0, keep_alive=0)
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
    ({"keep_alive": "soon"}, "keep_alive"),
    ({"keep_alive": True}, "keep_alive"),
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
