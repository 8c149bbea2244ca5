"""What is counted, and how Prometheus reads it.

Promises: pure counting, a microsecond a request; labels come from the table of routes, from status codes and from installed
models, so that no client can make new ones; no prompt, no key and no name of a key is ever in it; a gauge that the machine does
not show is left out, not 0.
Does not cover: keeping counts over the end of the daemon: Prometheus knows that counters begin anew.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homefire.dialects.spent import Spent
from homefire.hardware.sensors import Reading

# What other rooms count through `Metrics.count`: name -> what it is, and its labels. Their values are of a fixed set each, never
# anything that a request carries.
COUNTED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "errors_total": ("Requests that ended in an error, by its code.", ("code",)),
    "sandbox_kills_total": ("Runs that the sandbox ended, by the limit they met.", ("reason",)),
    "policy_decisions_total": ("Decisions of the policy that something followed from.", ("action", "rule")),
}
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its values."""

    name: str
    kind: str
    help: str
    values: tuple[tuple[Labels, float], ...]


class Metrics:
    """The counters. Used on one event loop."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.in_flight = 0
        self.tokens: Counter[tuple[str, str]] = Counter()
        self._counted: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in COUNTED}

    def count(self, name: str, labels: Mapping[str, str], times: int = 1) -> None:
        """Counts something of the table `COUNTED`. Raises KeyError for a name or a label that is not in it."""
        self._counted[name][tuple(labels[label] for label in COUNTED[name][1])] += times

    def counted(self, name: str) -> Mapping[tuple[str, ...], int]:
        """What was counted so far under a name of the table."""
        return self._counted[name]

    def spent(self, model: str, tokens: Spent) -> None:
        """Counts an answer that ran to its end."""
        self.tokens[model, "prompt_read"] += tokens.read
        self.tokens[model, "prompt_cached"] += tokens.cached
        self.tokens[model, "written"] += tokens.written
        if tokens.drafted:
            self.tokens[model, "drafted"] += tokens.drafted
            self.tokens[model, "drafts_accepted"] += tokens.accepted

    def families(self) -> list[Family]:
        """The counters as metrics."""
        asked = [({"method": m, "route": r, "status": str(s)}, n) for (m, r, s), n in sorted(self.requests.items())]
        took = [({"route": route}, seconds) for route, seconds in sorted(self.seconds.items())]
        tokens = [({"model": model, "kind": kind}, n) for (model, kind), n in sorted(self.tokens.items())]
        return [
            _family("requests_total", "counter", "Requests by route and status.", asked),
            _family("request_seconds_total", "counter", "Seconds that requests took, to the last byte.", took),
            _family("requests_in_flight", "gauge", "Requests under way.", [({}, self.in_flight)]),
            _family("tokens_total", "counter", "Tokens of answers that ran to their end.", tokens),
            *(self._family_of(name) for name in COUNTED),
        ]

    def _family_of(self, name: str) -> Family:
        help, labels = COUNTED[name]
        values = [(dict(zip(labels, each, strict=True)), n) for each, n in sorted(self._counted[name].items())]
        return _family(name, "counter", help, values)


class Counted:
    """The outermost ASGI layer: counts what passes, also what the door refuses."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        status = 499  # the client left before there was an answer

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"].endswith("http.response.start"):
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        began = time.perf_counter()
        self._metrics.in_flight += 1
        try:
            await self._app(scope, receive, noting)
        finally:
            self._metrics.in_flight -= 1
            # What the router found stays in the scope; a request that the door refused never came so far.
            route = getattr(scope.get("endpoint"), "path", "page" if "endpoint" in scope else "refused")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.requests[method, route, status] += 1
            self._metrics.seconds[route] += time.perf_counter() - began
            if code := scope.get("homefire.error"):
                self._metrics.count("errors_total", {"code": code})


def of_reading(reading: Reading) -> list[Family]:
    """The sensors as gauges."""
    cpu = reading.cpu
    cores = [({"core": str(at)}, load) for at, load in enumerate(cpu.cores_percent or ())]
    gauges = [
        _family("cpu_load_percent", "gauge", "Load of each logical core.", cores),
        _gauge("cpu_temperature_celsius", "The processor's temperature.", cpu.temperature_c),
        _gauge("cpu_clock_megahertz", "The processor's mean clock.", cpu.clock_mhz),
        _gauge("machine_memory_bytes", "Main memory.", reading.memory_total_bytes),
        _gauge("machine_memory_available_bytes", "Main memory that can be had.", reading.memory_available_bytes),
        _gauge("machine_swap_used_bytes", "Swap in use.", reading.swap_used_bytes),
    ]
    for field, name, help in _GPU:
        values = [
            ({"gpu": str(at), "name": gpu.name}, float(value))
            for at, gpu in enumerate(reading.gpus)
            if (value := getattr(gpu, field)) is not None
        ]
        gauges.append(_family(f"gpu_{name}", "gauge", help, values))
    return gauges


_GPU = (
    ("memory_used_bytes", "memory_used_bytes", "Memory in use."),
    ("memory_total_bytes", "memory_bytes", "Memory that is there."),
    ("busy_percent", "busy_percent", "Share of the time in which it computed."),
    ("temperature_c", "temperature_celsius", "Temperature."),
    ("power_w", "power_watts", "Power that it takes."),
    ("power_limit_w", "power_limit_watts", "Power that it may take."),
    ("clock_mhz", "clock_megahertz", "Clock."),
    ("fan_percent", "fan_percent", "Fan, of its highest speed."),
)


def gauges(name: str, help: str, label: str, values: Iterable[tuple[str, float]]) -> Family:
    """A gauge with one label."""
    return _family(name, "gauge", help, [({label: key}, value) for key, value in values])


def counters(name: str, help: str, label: str, values: Iterable[tuple[str, float]]) -> Family:
    """A counter with one label."""
    return _family(name, "counter", help, [({label: key}, value) for key, value in values])


def render(families: Iterable[Family]) -> bytes:
    """Prometheus' text form, version 0.0.4; a metric without a value is left out."""
    return "".join(f"{line}\n" for family in families if family.values for line in _lines(family)).encode()


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, value in family.values:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{family.name}{{{inside}}} {value!r}" if inside else f"{family.name} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _family(name: str, kind: str, help: str, values: Iterable[tuple[Labels, float]]) -> Family:
    return Family(f"homefire_{name}", kind, help, tuple(values))


def _gauge(name: str, help: str, value: float | None) -> Family:
    return _family(name, "gauge", help, [] if value is None else [({}, value)])
