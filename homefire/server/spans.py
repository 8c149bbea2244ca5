"""OpenTelemetry: a span and two measures for each chat, completion and embedding, by the GenAI semantic conventions.

Off unless the setting `otel_endpoint` names a collector; the packages come with the extra `otel` and are imported only then.
Promises: no prompt, no answer, no stop sequence, no name of a key is in a span; without the setting nothing is imported and
nothing wrapped; a collector that is away costs a request nothing: a thread of the exporter's own sends, and drops
what it cannot hold.
Does not cover: WebSockets and gRPC, reranking (the conventions have no operation for it), and taking part in a client's trace.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol
from urllib.parse import urlsplit

import homefire
from homefire.dialects.spent import TAIL, read_end
from homefire.engines.engine import Answer
from homefire.errors import BadSetting, HomefireError
from homefire.messages import ChatRequest, CompletionRequest, EmbeddingRequest, Event, Finish, UsageReport

PROVIDER = "homefire"
# Seconds and tokens at which the conventions want the measures' buckets.
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
EXPORT_SECONDS = 5.0
MEASURES_SECONDS = 30.0
_Request = ChatRequest | CompletionRequest | EmbeddingRequest


class Watch:
    """One request that nobody watches; `_Span` is the one that is."""

    def hear(self, answer: Answer, name: str) -> Answer:
        """The answer, given by the model or engine `name`."""
        return answer

    def embedded(self, name: str, tokens: int) -> None:
        """The vectors are there."""


class Spans(Protocol):
    """What `Answering` wants."""

    def watching(self, request: _Request) -> contextlib.AbstractContextManager[Watch]:
        """From the request to the end of its answer."""
        ...


class NoSpans:
    """Watches nothing."""

    def watching(self, request: _Request) -> contextlib.AbstractContextManager[Watch]:
        """As `Spans`."""
        return contextlib.nullcontext(_UNWATCHED)


_UNWATCHED = Watch()


class OtelSpans:
    """Sends to the OTLP/HTTP collector at `endpoint`, such as http://127.0.0.1:4318. Raises BadSetting if that is no address, or
    the extra is not installed."""

    def __init__(self, endpoint: str) -> None:
        require_endpoint(endpoint)
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.metrics import MeterProvider
            from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as problem:
            step = "Install it: pip install 'homefire[otel]', or take the setting out."
            message = f"'otel_endpoint' is set, but the extra is not installed ({problem.name})."
            raise BadSetting(message, step, param="otel_endpoint") from None
        logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # it would write a line for every try
        base, resource = (
            endpoint.rstrip("/"),
            Resource.create({"service.name": "homefire", "service.version": homefire.__version__}),
        )
        session = {"timeout": EXPORT_SECONDS, "session": _session(endpoint)}
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(f"{base}/v1/traces", **session), schedule_delay_millis=1000)
        )
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(f"{base}/v1/metrics", **session), MEASURES_SECONDS * 1000
        )
        self._measures = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._tracer = self._traces.get_tracer("homefire", homefire.__version__)
        meter = self._measures.get_meter("homefire", homefire.__version__)
        self.duration = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "How long it took.", explicit_bucket_boundaries_advisory=SECONDS
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens read and written.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )

    @contextlib.contextmanager
    def watching(self, request: _Request) -> Iterator[Watch]:
        """As `Spans`."""
        from opentelemetry.trace import SpanKind, StatusCode

        asked = attributes(request)
        name = f"{asked['gen_ai.operation.name']} {request.model}"
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=asked)
        watch = _Span(span)
        began = time.perf_counter()
        error = ""
        try:
            yield watch
        except BaseException as problem:
            error = problem.code if isinstance(problem, HomefireError) else type(problem).__name__
            span.set_attribute("error.type", error)
            span.set_status(StatusCode.ERROR)  # without a text: a message may quote the request
            raise
        finally:
            span.end()
            self._measure(asked, watch, time.perf_counter() - began, error)

    def close(self) -> None:
        """Sends what is left and ends the threads. Blocks for seconds if the collector is away."""
        self._traces.shutdown()
        self._measures.shutdown(timeout_millis=EXPORT_SECONDS * 1000)

    def _measure(self, asked: dict[str, Any], watch: _Span, seconds: float, error: str) -> None:
        labels = {name: asked[name] for name in ("gen_ai.operation.name", "gen_ai.provider.name")}
        if watch.model:  # else nothing has the name that was asked for: clients must not make new series
            labels |= {"gen_ai.request.model": asked["gen_ai.request.model"], "gen_ai.response.model": watch.model}
        self.duration.record(seconds, {**labels, "error.type": error} if error else labels)
        for kind, count in (("input", watch.read), ("output", watch.written)):
            if count is not None:
                self.tokens.record(count, {**labels, "gen_ai.token.type": kind})


class _Span(Watch):
    """One request that is watched."""

    def __init__(self, span: Any) -> None:
        self._span = span
        self._began = time.perf_counter()
        self.model = ""
        self.read: int | None = None
        self.written: int | None = None

    def hear(self, answer: Answer, name: str) -> Answer:
        self._named(name)
        return _Heard(answer, self)

    def embedded(self, name: str, tokens: int) -> None:
        self._named(name)
        self.spent(tokens, None, None)

    def first(self) -> None:
        """The first bytes of the answer have come."""
        self._span.set_attribute("gen_ai.response.time_to_first_chunk", time.perf_counter() - self._began)

    def finished(self, reason: str) -> None:
        """Why the answer ended."""
        self._span.set_attribute("gen_ai.response.finish_reasons", (reason,))

    def spent(self, read: int, written: int | None, cached: int | None) -> None:
        """Tokens of the prompt, of the answer, and of the prompt those that were kept from before."""
        self.read, self.written = read, written
        for name, count in (("input_tokens", read), ("output_tokens", written), ("cache_read.input_tokens", cached)):
            if count is not None:
                self._span.set_attribute(f"gen_ai.usage.{name}", count)

    def _named(self, name: str) -> None:
        self.model = name
        self._span.set_attribute("gen_ai.response.model", name)


class _Heard:
    """An Answer that tells a span what it took; what it says passes through unread, but for its end."""

    def __init__(self, answer: Answer, span: _Span) -> None:
        self._answer = answer
        self._span = span

    async def events(self) -> AsyncIterator[Event]:
        """As `Answer.events`."""
        begun = False
        async for event in self._answer.events():
            if not begun:
                begun = True
                self._span.first()
            if isinstance(event, Finish):
                self._span.finished(event.reason)
            elif isinstance(event, UsageReport):
                used = event.usage
                self._span.spent(used.prompt_tokens, used.completion_tokens, used.cached_tokens)
            yield event

    async def pieces(self) -> AsyncIterator[bytes]:
        """As `Answer.pieces`."""
        tail, begun = b"", False
        async for piece in self._answer.pieces():
            if not begun:
                begun = True
                self._span.first()
            tail = (tail + piece)[-TAIL:]
            yield piece
        end = read_end(tail)
        if end.reason:
            self._span.finished(end.reason)
        if end.read is not None:
            self._span.spent(end.read, end.written, end.cached)

    async def close(self) -> None:
        """As `Answer.close`."""
        await self._answer.close()


def attributes(request: _Request) -> dict[str, Any]:
    """What a span says of a request: its parameters, never its contents. Pure."""
    operation = {ChatRequest: "chat", CompletionRequest: "text_completion", EmbeddingRequest: "embeddings"}[
        type(request)
    ]
    found: dict[str, Any] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": request.model,
    }
    if isinstance(request, EmbeddingRequest):
        found["gen_ai.embeddings.dimension.count"] = request.dimensions
        found["gen_ai.request.encoding_formats"] = ("base64",) if request.packed else ("float",)
    else:
        drawn = request.sampling
        for name in ("max_tokens", "temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty"):
            found[f"gen_ai.request.{name}"] = getattr(drawn, name)
        found["gen_ai.request.stream"] = request.stream
    if isinstance(request, ChatRequest):
        found["gen_ai.output.type"] = "text" if request.form.kind == "text" else "json"
    return {name: value for name, value in found.items() if value is not None}


def require_endpoint(address: str) -> None:
    """Raises BadSetting unless it is the address of an http server."""
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        raise BadSetting(
            "'otel_endpoint' is no address of a collector.",
            "Write http://127.0.0.1:4318, for instance.",
            param="otel_endpoint",
        )


def _session(endpoint: str) -> Any:
    """A proxy of the environment is not asked for this machine's own addresses."""
    import requests

    session = requests.Session()
    session.trust_env = urlsplit(endpoint).hostname not in ("127.0.0.1", "::1", "localhost")
    return session
