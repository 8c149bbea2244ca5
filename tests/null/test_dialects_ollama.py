"""Ollama's wire form: what is read, what is refused, and the lines of a stream.

Promises: each option is honoured, without effect or refused by name; durations come from the clock that is handed in.
Does not cover: the routes (`test_dialect_routes.py`), the real client (`tests/process/test_clients.py`).
"""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from homefire.dialects import ollama
from homefire.dialects.ollama import AnswerStream, Asked, Options, Shown, Times
from homefire.errors import EngineDied, InvalidJson, InvalidRequest, UnsupportedParameter
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
    Sampling,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
    UsageReport,
)

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}


def chat(**fields: Any) -> Asked:
    return ollama.read_chat(json.dumps({"model": "pilot", "messages": HELLO, **fields}).encode())


def asked_chat(**fields: Any) -> ChatRequest:
    request = chat(**fields).request
    assert isinstance(request, ChatRequest)
    return request


def generate(**fields: Any) -> Asked:
    return ollama.read_generate(json.dumps({"model": "pilot", **fields}).encode())


def test_a_plain_chat_streams() -> None:
    asked = chat()
    assert asked == Asked(
        "pilot", ChatRequest("pilot", (Message("user", "hello"),), stream=True, include_usage=True), True, True
    )
    assert not asked_chat(stream=False).stream
    assert chat(messages=[]).request is None, "only loads"


def test_options() -> None:
    given = {
        "num_predict": 7, "temperature": 0.5, "top_k": 3, "top_p": 0.9, "min_p": 0.1, "seed": 42, "stop": ["a", ""],
        "repeat_penalty": 1.1, "presence_penalty": 0.2, "frequency_penalty": 0.3,
    }  # fmt: skip
    assert asked_chat(options=given).sampling == Sampling(
        0.5, 0.9, 3, 0.1, 42, 7, ("a",), frequency_penalty=0.3, presence_penalty=0.2, repeat_penalty=1.1
    )
    assert asked_chat(options={"stop": "x"}).sampling.stop == ("x",)
    assert [asked_chat(options={"num_predict": count}).sampling.max_tokens for count in (-1, -2)] == [None, None]
    assert chat(options={"num_ctx": 4096}).window == 4096
    usual = {name: values[0] for name, values in ollama._USUAL.items()}
    assert asked_chat(options={**usual, "num_gpu": 99, "num_thread": 4, "use_mmap": True}).sampling == Sampling()
    for name in ollama._USUAL:
        with pytest.raises(UnsupportedParameter) as caught:
            chat(options={name: 2})
        assert caught.value.param == f"options.{name}"
    for options in ({"num_predict": 0}, {"temperature": 9}, {"wish": 1}, {"top_p": 2}, {"stop": ["x"] * 17}):
        with pytest.raises(InvalidRequest):
            chat(options=options)


def test_every_option_is_of_one_kind() -> None:
    honoured = {
        "num_predict", "num_ctx", "temperature", "top_k", "top_p", "min_p", "seed", "stop", "repeat_penalty",
        "presence_penalty", "frequency_penalty",
    }  # fmt: skip
    kinds = [honoured, ollama.WITHOUT_EFFECT, set(ollama._USUAL)]
    assert set().union(*kinds) == set(Options.__struct_fields__)
    assert sum(map(len, kinds)) == len(Options.__struct_fields__)


def test_calls_without_ids_find_their_results() -> None:
    call = {"function": {"name": "f", "arguments": {"x": 1}}}
    other = {"function": {"name": "g", "arguments": {}}}
    request = asked_chat(
        messages=[
            {"role": "system", "content": "Be."},
            *HELLO,
            {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [call, other]},
            {"role": "tool", "content": "of g", "tool_name": "g"},
            {"role": "tool", "content": "of f"},
            {"role": "assistant", "content": "ok"},
        ],
        tools=[TOOL],
    )
    assert request.messages == (
        Message("system", "Be."),
        Message("user", "hello"),
        Message("assistant", None, (ToolCall("call_2_0", "f", '{"x":1}'), ToolCall("call_2_1", "g", "{}"))),
        Message("tool", "of g", tool_call_id="call_2_1"),
        Message("tool", "of f", tool_call_id="call_2_0"),
        Message("assistant", "ok"),
    )
    assert request.tools == (Tool("f", "d", {"type": "object"}),)
    with_id = [
        *HELLO,
        {"role": "assistant", "tool_calls": [{"id": "c9", **call}]},
        {"role": "tool", "content": "x", "tool_call_id": "c9"},
    ]
    assert asked_chat(messages=with_id).messages[2].tool_call_id == "c9"
    with pytest.raises(InvalidRequest):
        chat(messages=[*HELLO, {"role": "tool", "content": "of nothing"}])
    with pytest.raises(InvalidRequest):
        chat(messages=[{"role": "user", "content": "x", "tool_calls": [call]}])


def test_forms_and_thinking() -> None:
    assert asked_chat(format="json").form == Form("json_object")
    assert asked_chat(format="").form == Form()
    assert asked_chat(format={"type": "object"}).form == Form("json_schema", {"type": "object"})
    with pytest.raises(InvalidRequest):
        chat(format="xml")
    assert [(chat(think=think).shows, asked_chat(think=think).think) for think in (None, False, True, "low")] == [
        (False, None), (False, False), (True, True), (True, True),
    ]  # fmt: skip


def test_generate() -> None:
    assert generate(prompt="x", system="Be.").request == ChatRequest(
        "pilot", (Message("system", "Be."), Message("user", "x")), stream=True, include_usage=True
    )
    assert generate(prompt="x", raw=True, stream=False, options={"num_predict": 2}).request == CompletionRequest(
        "pilot", "x", Sampling(max_tokens=2)
    )
    assert generate().request is None and generate(prompt="").request is None
    for field, value in (("suffix", "s"), ("template", "t"), ("context", [1]), ("images", ["x"]), ("width", 9)):
        with pytest.raises(UnsupportedParameter) as caught:
            generate(prompt="x", **{field: value})
        assert caught.value.param == field
    with pytest.raises(InvalidRequest):
        generate(prompt="x", raw=True, system="Be.")


def test_refused() -> None:
    deep: Any = {}
    for _ in range(80):
        deep = {"a": deep}
    for fields, error in (
        ({"logprobs": True}, UnsupportedParameter),
        ({"messages": [{"role": "user", "content": "x", "images": ["aGk="]}]}, UnsupportedParameter),
        ({"wish": 1}, InvalidRequest),
        ({"format": deep}, InvalidJson),
        ({"tools": [{"function": {"name": "f", "parameters": deep}}]}, InvalidJson),
        ({"tools": [{"function": {"name": "no spaces"}}]}, InvalidRequest),
        ({"keep_alive": "soon"}, InvalidRequest),
    ):
        with pytest.raises(error):
            chat(**fields)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(None, None), (0, 0), (-1, -1), (2.5, 2.5), ("300", 300), ("5m", 300), ("1h30m", 5400), ("-1s", -1), ("500ms", 0.5),
     ("24h", 86400)],
)  # fmt: skip
def test_keep_alive(given: Any, seconds: float | None) -> None:
    assert chat(keep_alive=given).keep_alive == seconds


def test_embed() -> None:
    def read(**fields: Any) -> EmbeddingRequest:
        return ollama.read_embed(json.dumps({"model": "m", **fields}).encode())[0]

    assert read(input="a") == EmbeddingRequest("m", ("a",))
    assert read(input=["a", "b"], truncate=True, dimensions=8) == EmbeddingRequest("m", ("a", "b"), 8, True)
    assert read(prompt="a").inputs == ("a",)
    wrong: list[dict[str, Any]] = [{}, {"input": []}, {"input": ""}, {"input": ["a", ""]}, {"input": ["x"] * 2049}]
    for fields in wrong:
        with pytest.raises(InvalidRequest):
            read(**fields)
    found = Embeddings((struct.pack("<2f", 1.0, 0.5), struct.pack("<2f", 0.0, 1.0)), 3)
    answer = json.loads(ollama.render_embed(read(input=["a", "b"]), found, 77, False))
    assert (answer["embeddings"], answer["prompt_eval_count"], answer["total_duration"]) == ([[1, 0.5], [0, 1]], 3, 77)
    assert json.loads(ollama.render_embed(read(input="a"), found, 77, True)) == {"embedding": [1, 0.5]}


def test_named() -> None:
    assert ollama.read_named(b'{"model": "a"}').model == "a"
    assert ollama.read_named(b'{"name": "a", "stream": false}').name == "a"
    with pytest.raises(InvalidRequest):
        ollama.read_named(b"{}")


# ----------------------------------------------------------------------------------------------------------- answers

EVENTS: list[Event] = [
    ReasoningDelta("hm"),
    TextDelta("a"),
    TextDelta("b"),
    ToolCallDelta(0, '{"x":', "c0", "f"),
    ToolCallDelta(0, "1}"),
    ToolCallDelta(1, "", "c1", "g"),
    Finish("tool_calls"),
    UsageReport(Usage(10, 4), 8.0),
]
TIMES = Times(1_000, 3_000, 7_000)


def lines(asked: Asked, events: list[Event]) -> list[dict[str, Any]]:
    stream = AnswerStream(asked, TIMES, lambda: 20_000)
    raw = stream.begin() + b"".join(map(stream.event, events)) + stream.end()
    assert raw.endswith(b"\n")
    return [json.loads(line) for line in raw.splitlines()]


def test_the_lines_of_a_stream() -> None:
    found = lines(chat(think=True), EVENTS)
    assert [line["message"] for line in found] == [
        {"role": "assistant", "content": "", "thinking": "hm"},
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c0", "function": {"index": 0, "name": "f", "arguments": {"x": 1}}},
                {"id": "c1", "function": {"index": 1, "name": "g", "arguments": {}}},
            ],
        },
        {"role": "assistant", "content": ""},
    ]
    assert [line["done"] for line in found] == [False, False, False, False, True]
    assert all(line["model"] == "pilot" and line["created_at"].endswith("Z") for line in found)
    last = found[-1]
    assert (last["done_reason"], last["prompt_eval_count"], last["eval_count"]) == ("stop", 10, 4)
    assert (last["total_duration"], last["load_duration"], last["prompt_eval_duration"]) == (19_000, 2_000, 4_000)
    assert last["eval_duration"] == 500_000_000, "4 tokens at 8 a second"
    assert "thinking" not in lines(chat(), EVENTS)[0]["message"]


def test_without_a_rate_the_clock_says_how_long_it_wrote() -> None:
    assert lines(chat(), [TextDelta("a"), Finish("length"), UsageReport(Usage(1, 1))])[-1]["eval_duration"] == 13_000


def test_whole_answers() -> None:
    asked = chat(stream=False, think=True)
    found = json.loads(ollama.render_answer(asked, EVENTS, TIMES, lambda: 20_000))
    assert (found["message"]["content"], found["message"]["thinking"], found["done"]) == ("ab", "hm", True)
    assert len(found["message"]["tool_calls"]) == 2
    said = json.loads(ollama.render_answer(generate(prompt="x"), EVENTS[:3] + EVENTS[6:], TIMES, lambda: 20_000))
    assert said["response"] == "ab" and "message" not in said


def test_a_call_cut_short_is_left_out_and_said_so() -> None:
    cut: list[Event] = [ToolCallDelta(0, '{"x', "c", "f"), Finish("length"), UsageReport(Usage(1, 1))]
    found = lines(chat(), cut)
    assert len(found) == 1 and found[0]["done_reason"] == "length" and "tool_calls" not in found[0]["message"]


def test_errors_and_loading() -> None:
    problem = EngineDied("It died.", "Again.")
    assert ollama.envelope(problem) == {"error": "It died. Again.", "code": "engine_died"}
    assert json.loads(AnswerStream(chat(), TIMES, lambda: 0).failed(problem)) == ollama.envelope(problem)
    loaded = json.loads(ollama.render_loaded(generate(), True))
    assert (loaded["response"], loaded["done"], loaded["done_reason"]) == ("", True, "load")
    assert json.loads(ollama.render_loaded(chat(messages=[]), False))["done_reason"] == "unload"


def test_the_shelf() -> None:
    shown = Shown("m", 5, "abc", 0.0, "qwen3", 1_700_000_000, "Q4_K_M", 4096)
    row = ollama.tag(shown)
    assert (row["name"], row["model"], row["modified_at"]) == ("m", "m", "1970-01-01T00:00:00Z")
    assert (row["details"]["parameter_size"], row["details"]["family"]) == ("1.7B", "qwen3")
    assert ollama.details(Shown("m", 5, "", 0, "b", 3_400_000, "F32", 64))["parameter_size"] == "3.4M"
    idle, busy = ollama.running(shown, 60.0, 9, 4), ollama.running(shown, None, 0, 0)
    assert (idle["expires_at"], idle["size"], idle["size_vram"]) == ("1970-01-01T00:01:00Z", 9, 4)
    assert (busy["expires_at"], busy["size"], busy["context_length"]) == (None, 5, 4096)
    keys = {
        "tokenizer.chat_template": "{% if tools %}{% if enable_thinking %}",
        "general.license": "mit",
        "long": ["x"],
    }
    found = json.loads(ollama.render_show(shown, keys, "chat"))
    assert found["capabilities"] == ["completion", "tools", "thinking"]
    assert found["model_info"] == {"tokenizer.chat_template": keys["tokenizer.chat_template"], "general.license": "mit"}
    assert json.loads(ollama.render_show(shown, {}, "embedding"))["capabilities"] == ["embedding"]
    assert json.loads(ollama.render_show(shown, {}, "chat"))["capabilities"] == ["completion"]


def test_progress() -> None:
    assert json.loads(ollama.pulled("success")) == {"status": "success"}
    assert json.loads(ollama.pulled("pulling m", "m", 9, 4)) == {
        "status": "pulling m",
        "digest": "m",
        "total": 9,
        "completed": 4,
    }
