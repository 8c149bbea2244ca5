"""Spans of a real daemon, through the real exporter, at a collector that decodes them (OTLP over HTTP).

Promises: tokens are the ones that the answer told its client; nothing of a prompt or an answer is in any byte that is sent.
Does not cover: a collector beyond this machine, TLS.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from homefire.errors import HomefireError
from tests.conftest import RunningDaemon

CANARY = "the canary sings at midnight"


class Collector(BaseHTTPRequestHandler):
    """Keeps what comes, by path."""

    got: ClassVar[list[tuple[str, bytes]]] = []

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        """Takes it."""
        body = self.rfile.read(int(self.headers["content-length"]))
        zipped = self.headers.get("content-encoding") == "gzip"
        self.got.append((self.path, gzip.decompress(body) if zipped else body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()


@contextmanager
def collector() -> Iterator[str]:
    Collector.got.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def spans() -> list[dict[str, Any]]:
    """Name, kind, error or not, and attributes of each span, in the order of their beginning."""
    found = []
    for path, body in Collector.got:
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {each.key: each.value.string_value for each in resource.resource.attributes}
                assert names["service.name"] == "homefire"
                found += [span for scope in resource.scope_spans for span in scope.spans]
    found.sort(key=lambda span: span.start_time_unix_nano)
    return [
        {"name": s.name, "kind": s.kind, "error": s.status.code == 2, **{a.key: _value(a.value) for a in s.attributes}}
        for s in found
    ]


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)


def measures() -> dict[str, float]:
    """Sum of each histogram, by name and kind of token, as the last export has it."""
    found: dict[str, float] = {}
    for path, body in Collector.got:
        if path == "/v1/metrics":
            found.clear()
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
                    for point in metric.histogram.data_points:
                        labels = {each.key: each.value.string_value for each in point.attributes}
                        name = f"{metric.name} {labels.get('gen_ai.token.type', '')}".strip()
                        found[name] = found.get(name, 0) + point.sum
    return found


def test_a_span_for_each_request(new_daemon: Callable[..., RunningDaemon]) -> None:
    with collector() as address:
        running = new_daemon(HOMEFIRE_OTEL_ENDPOINT=address, HOMEFIRE_THREADS="1", HOMEFIRE_MODEL="pilot").start()
        said = [{"role": "user", "content": CANARY}]
        with running.client() as home:
            whole = home.post("/v1/chat/completions", {"messages": said, "max_tokens": 5, "seed": 3, "stop": [CANARY]})
            talk = home.post("/homefire/v1/conversations", {"title": CANARY})["id"]
            told = list(home.ask(talk, CANARY, sampling={"max_tokens": 3}))[-1].data
            anthropic = {"model": "pilot", "messages": said, "max_tokens": 2}
            used = home.post("/v1/messages", anthropic)["usage"]
            for wrong in (
                {"model": "no-such-model", "messages": said},
                {"messages": [{"role": "user", "content": CANARY * 9999}]},
            ):
                with suppress(HomefireError):
                    home.post("/v1/chat/completions", wrong)
        running.stop()
        first, second, third, unknown, long = spans()
        assert (first["name"], first["kind"], first["error"]) == ("chat pilot", 3, False)
        assert first["gen_ai.operation.name"] == "chat"
        assert first["gen_ai.provider.name"] == "homefire"
        assert first["gen_ai.request.model"] == first["gen_ai.response.model"] == "pilot"
        assert (first["gen_ai.request.max_tokens"], first["gen_ai.request.seed"]) == (5, 3)
        assert first["gen_ai.usage.input_tokens"] == whole["usage"]["prompt_tokens"]
        assert first["gen_ai.usage.output_tokens"] == whole["usage"]["completion_tokens"]
        assert first["gen_ai.response.finish_reasons"] == [whole["choices"][0]["finish_reason"]]
        assert first["gen_ai.response.time_to_first_chunk"] > 0
        assert second["gen_ai.usage.output_tokens"] == told["usage"]["completion_tokens"]
        assert third["gen_ai.usage.output_tokens"] == used["output_tokens"]
        assert (unknown["error"], unknown["error.type"]) == (True, "unknown_model")
        assert (long["error"], long["error.type"]) == (True, "context_length_exceeded")
        summed = measures()
        written = sum(span["gen_ai.usage.output_tokens"] for span in (first, second, third))
        assert summed["gen_ai.client.token.usage output"] == written
        assert summed["gen_ai.client.operation.duration"] > 0
        assert unknown["gen_ai.request.model"] == "no-such-model"
        assert {path for path, _ in Collector.got} == {"/v1/traces", "/v1/metrics"}
        answers = (CANARY, whole["choices"][0]["message"]["content"], told["content"])
        assert [text for text in answers for _, body in Collector.got if text.strip() and text.encode() in body] == []
        assert not any(b"no-such-model" in body for path, body in Collector.got if path == "/v1/metrics")
