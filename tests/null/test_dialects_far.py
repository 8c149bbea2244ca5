"""The dialects that Homefire speaks as a client: what far servers send, sound and unsound.

Promises: no bytes of a far server raise anything but Unreadable and Failure; what sound servers do differently reads the same.
Does not cover: connections (`tests/process/test_far_engines.py`).
"""

from __future__ import annotations

import json
import math
import struct
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homefire.dialects import far_ollama, far_openai
from homefire.dialects.far import Failure, Said, Unreadable, printable, vectors
from homefire.messages import Event, Finish, ReasoningDelta, TextDelta, ToolCallDelta, Usage, UsageReport

DIALECTS = (far_openai, far_ollama)


def chunk(*choices: Any, **more: Any) -> bytes:
    """A line of OpenAI's stream."""
    return b"data: " + json.dumps({"id": "x", "model": "m", "choices": list(choices), **more}).encode()


def delta(reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """A choice."""
    return {"index": 0, "delta": fields, "finish_reason": reason}


def line(done: bool = False, **fields: Any) -> bytes:
    """A line of Ollama's stream."""
    return json.dumps({"model": "m", "done": done, **fields}).encode()


def read(dialect: ModuleType, *lines: bytes) -> list[Event]:
    """The events of lines."""
    reader = dialect.StreamReader()
    return [event for each in lines for event in reader.feed(each)]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["choices", "delta", "message", "content", "tool_calls", "function", "name", "arguments", "index", "finish_reason", "usage",
     "completion_tokens", "done", "model", "error", "embeddings", "embedding", "data", "models", "id", "meta", "response"]
)  # fmt: skip
SHAPED = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=20
)


@given(
    st.binary(max_size=200)
    | SHAPED.map(lambda v: json.dumps(v).encode())
    | VALUES.map(lambda v: json.dumps(v).encode())
)
def test_no_bytes_break_a_reader(data: bytes) -> None:
    for dialect in DIALECTS:
        for given_line in (data, b"data: " + data):
            try:
                found = dialect.StreamReader().feed(given_line)
            except (Unreadable, Failure):
                continue
            assert isinstance(found, list)
        for reads in (dialect.read_listing, lambda body: dialect.read_embeddings(body, 1)):  # noqa: B023
            try:
                reads(data)
            except Unreadable:
                continue
        said = dialect.said_by(data)
        assert isinstance(said, Said) and said.text.isprintable() and len(said.text) <= 300


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nesting_without_end(dialect: ModuleType) -> None:
    deep = b"[" * 100_000
    with pytest.raises(Unreadable):
        dialect.StreamReader().feed(b"data: " + deep if dialect is far_openai else deep)
    assert dialect.said_by(deep).text


def test_a_stream_of_openais() -> None:
    events = read(
        far_openai,
        b": a comment",
        b"",
        b"event: message",
        chunk(delta(role="assistant", content="")),
        chunk(delta(reasoning_content="hm")),
        chunk(delta(reasoning="hm")),
        chunk(delta(content="one")),
        chunk(delta("stop")),
        chunk(delta(content="after the end")),
        chunk(usage={"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}),
        b"data: [DONE]",
    )
    assert events == [
        ReasoningDelta("hm"),
        ReasoningDelta("hm"),
        TextDelta("one"),
        Finish("stop"),
        UsageReport(Usage(3, 2, 1)),
    ]


def test_usage_that_grows_in_every_chunk_is_read_once() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    events = read(
        far_openai, chunk(delta(content="x"), usage=usage), chunk(delta("length"), usage=usage), chunk(usage=usage)
    )
    assert events == [TextDelta("x"), Finish("length"), UsageReport(Usage(3, 1))]


def test_no_usage_is_none() -> None:
    assert read(far_openai, chunk(delta(content="x")), chunk(delta("stop"))) == [TextDelta("x"), Finish("stop")]


def test_tool_calls_as_servers_send_them() -> None:
    def call(**fields: Any) -> bytes:
        return chunk(delta(tool_calls=[fields]))

    events = read(
        far_openai,
        call(index=0, id="a", function={"name": "look", "arguments": ""}),
        call(index=0, id="a", function={"name": "look", "arguments": '{"at"'}),  # some say it all again
        call(index=0, function={"arguments": ": 1}"}),
        call(index=1, id=None, function={"name": "go", "arguments": {"to": 2}}),
        chunk(delta("tool_calls")),
    )
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(c.index, c.name, c.arguments) for c in calls] == [
        (0, "look", ""),
        (0, None, '{"at"'),
        (0, None, ": 1}"),
        (1, "go", '{"to": 2}'),
    ]
    assert calls[0].id == "a" and calls[3].id and calls[1].id is None
    with pytest.raises(Unreadable, match="without a name"):
        read(far_openai, call(index=0, function={"arguments": "{}"}))


@pytest.mark.parametrize(
    ("sent", "status", "text"),
    [
        (b'data: {"error": {"message": "It broke.", "code": 429}}', 429, "It broke."),
        (b'data: {"error": "It broke."}', 500, "It broke."),
        (b'error: {"code": 500, "message": "It broke."}', 500, "It broke."),
    ],
)
def test_errors_inside_openais_stream(sent: bytes, status: int, text: str) -> None:
    with pytest.raises(Failure) as caught:
        read(far_openai, sent)
    assert (caught.value.status, caught.value.said.text) == (status, text)


def test_a_stream_of_ollamas() -> None:
    call = {"function": {"name": "look", "arguments": {"at": "\u00e4"}}}
    events = read(
        far_ollama,
        line(message={"role": "assistant", "content": "", "thinking": "hm"}),
        line(message={"content": "one"}),
        line(message={"content": "", "tool_calls": [call, call]}),
        b"",
        line(True, done_reason="stop", prompt_eval_count=3, eval_count=4, eval_duration=2_000_000_000),
    )
    assert events[:2] == [ReasoningDelta("hm"), TextDelta("one")]
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [c.index for c in calls] == [0, 1] and json.loads(calls[0].arguments) == {"at": "\u00e4"}
    assert calls[0].id != calls[1].id
    assert events[-2:] == [Finish("tool_calls"), UsageReport(Usage(3, 4), 2.0)]
    assert read(far_ollama, line(response="a"), line(True, done_reason="length")) == [TextDelta("a"), Finish("length")]
    with pytest.raises(Failure, match="It broke"):
        read(far_ollama, b'{"error": "It broke."}')


def test_the_mark_stays_while_the_model_stays() -> None:
    def listing(**fields: Any) -> Any:
        (found,) = far_openai.read_listing(json.dumps({"data": [{"id": "m", "created": 1, **fields}]}).encode())
        return found

    assert listing().mark == listing(created=2, permission=[{"id": "new"}]).mark
    assert listing().mark != listing(root="/models/other").mark != listing(meta={"n_params": 5}).mark
    assert listing(root="org/m").names == {"m", "org/m"} and listing(max_model_len=4096).window == 4096
    tags = [{"name": "a:latest", "digest": digest} for digest in ("1", "2")]
    one, other = (far_ollama.read_listing(json.dumps({"models": [tag]}).encode())[0] for tag in tags)
    assert one.names == {"a", "a:latest"} and one.mark != other.mark


def test_vectors_have_length_one() -> None:
    found = vectors([[3.0, 4.0]], 1, 5)
    assert struct.unpack("<2f", found.vectors[0]) == pytest.approx((0.6, 0.8)) and found.tokens == 5
    bad: list[list[list[float]]] = [[], [[]], [[0.0, 0.0]], [[math.inf]], [[1.0], [1.0, 2.0]], [[1e308, 1e308]]]
    for rows in bad:
        with pytest.raises(Unreadable):
            vectors(rows, max(1, len(rows)), 1)


def test_embeddings_in_any_order_and_form() -> None:
    rows: list[Any] = [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": "AACAPwAAAAA="}]
    found, model = far_openai.read_embeddings(json.dumps({"data": rows, "model": "m"}).encode(), 2)
    assert [struct.unpack("<2f", vector) for vector in found.vectors] == [(1.0, 0.0), (0.0, 1.0)] and model == "m"
    bad: list[Any] = [{"index": 0, "embedding": "AAA="}, {"index": 0, "embedding": "?"}]
    for wrong in (rows[:1], [rows[0], rows[0]], *([each, rows[0]] for each in bad)):
        with pytest.raises(Unreadable):
            far_openai.read_embeddings(json.dumps({"data": wrong}).encode(), 2)


def test_what_a_person_sees_of_a_far_side() -> None:
    assert printable("a\x1b[31m\n\tb\u202ec" + "x" * 1000) == ("a [31m b c" + "x" * 1000)[:300]
    assert far_openai.said_by(b'{"error": {"message": "m", "code": "context_length_exceeded"}}').too_long
    assert far_openai.said_by(b'{"detail": "nope"}').text == "nope"
    assert Said("This model's maximum context length is 8 tokens").too_long and not Said("no").too_long
