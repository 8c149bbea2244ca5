"""What a span says of a request, and how the end of an answer is read.

Promises: every name is one of the conventions' own package; no content is in a span.
Does not cover: the exporter and a collector (`tests/process/test_spans.py`).
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from homefire.dialects.spent import End, read_end
from homefire.errors import BadSetting
from homefire.messages import ChatRequest, CompletionRequest, EmbeddingRequest, Form, Message, Sampling, Tool
from homefire.server.spans import NoSpans, Watch, attributes, require_endpoint
from tests.null.rig import House, at_home

SECRET = "nobody may read this"
SAMPLING = Sampling(0.5, 0.9, 40, 0.1, 7, 12, (SECRET,), 0.1, 0.2)
REQUESTS: list[ChatRequest | CompletionRequest | EmbeddingRequest] = [
    ChatRequest(
        "m", (Message("user", SECRET),), SAMPLING, tools=(Tool(SECRET),), form=Form("json_object"), stream=True
    ),
    ChatRequest("m", (Message("system", SECRET),), cache_key=SECRET),
    CompletionRequest("m", SECRET, SAMPLING),
    EmbeddingRequest("m", (SECRET,), dimensions=3, packed=True),
]


def test_names_are_the_conventions_own() -> None:
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

    known = {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}
    for request in REQUESTS:
        found = attributes(request)
        assert set(found) <= known, set(found) - known
        assert SECRET not in str(found)
    page = (Path(__file__).parents[2] / "docs" / "diagnostics.md").read_text("utf-8")
    for name in {name for request in REQUESTS for name in attributes(request)}:
        assert f"`{name}`" in page or f"`.{name.rpartition('.')[2]}`" in page, name


def test_what_is_said() -> None:
    assert attributes(REQUESTS[0]) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "homefire",
        "gen_ai.request.model": "m",
        "gen_ai.request.max_tokens": 12,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.seed": 7,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.request.stream": True,
        "gen_ai.output.type": "json",
    }
    assert attributes(REQUESTS[3])["gen_ai.embeddings.dimension.count"] == 3


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (b"", End()),
        (b'{"finish_reason":null}', End()),
        (b'{"finish_reason":"stop"}', End("stop")),
        (
            b'"finish_reason":"length","index":0}],"timings":{"cache_n":4,"prompt_n":8,"prompt_ms":1.5,"predicted_n":16}',
            End("length", 12, 16, 4),
        ),
        (b'"finish_reason": "tool_calls"}],"usage":{"completion_tokens":3,"prompt_tokens":9}', End("tool_calls", 9, 3)),
        (b'"content":"\\"finish_reason\\":\\"stop\\" \\"prompt_tokens\\":1"', End()),
    ],
)
def test_the_end_of_an_answer(tail: bytes, expected: End) -> None:
    assert read_end(tail) == expected


@pytest.mark.parametrize("address", ["x", "ftp://a", "http://", "http://a:x", "http://a/?b", "http://a/#b"])
def test_endpoints_that_are_none(address: str) -> None:
    with pytest.raises(BadSetting):
        require_endpoint(address)


def test_without_the_setting_nothing_is_wrapped(tmp_path: Path) -> None:
    with NoSpans().watching(REQUESTS[0]) as watch:
        assert type(watch) is Watch
        answer = object()
        assert watch.hear(answer, "m") is answer  # type: ignore[arg-type]

    async def work(house: House) -> None:
        reply = await house.call("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]})
        assert reply.status == 200

    at_home(tmp_path, work)


def test_nothing_is_imported_before_it_is_needed() -> None:
    program = (
        "import sys, homefire.daemon; print([m for m in sys.modules if m.startswith(('opentelemetry', 'requests'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_the_setting_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from homefire.server.spans import OtelSpans

    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.metric_exporter", None)
    with pytest.raises(BadSetting, match="not installed") as caught:
        OtelSpans("http://127.0.0.1:9")
    assert "homefire[otel]" in caught.value.next_step


def test_an_answer_that_is_left_is_a_span_too() -> None:
    """Without a collector: the exporter's thread fails by itself, the request does not."""
    from homefire.server.spans import OtelSpans

    spans = OtelSpans("http://127.0.0.1:9")
    try:
        with pytest.raises(asyncio.CancelledError), spans.watching(REQUESTS[0]):
            raise asyncio.CancelledError
        with spans.watching(REQUESTS[3]) as watch:
            watch.embedded("m", 5)
    finally:
        spans.close()
