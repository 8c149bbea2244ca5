"""`bench router`: what the daemon adds to a request, beside talking to the model's child directly.

Both ways are measured by the same client from one other process, in turn, on the same warm model: directly over the child's
unix socket, and through the daemon over loopback with a key. A latency is a whole request of one token; the figure is the
difference of the two medians (p99: of the two 99th percentiles). A rate is tokens over the time from the first to the last.
Promises: the order alternates, so that neither way always comes first.
Does not cover: real network cards, other clients' own costs.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any

from bench.report import Report
from bench.world import engine_address, running_daemon
from homefire.engines.wire import Wire

GOALS: dict[str, tuple[str, float]] = {
    "router_p50_ms": ("<=", 1),
    "router_p99_ms": ("<=", 5),
    "stream_1_ratio": (">=", 0.97),
    "stream_8_ratio": (">=", 0.97),
}
REQUESTS = 1500
# clients -> (rounds, tokens of each stream): a round takes a second or two, or the machine's own noise of some per cent drowns it
STREAMS = {1: (21, 1500), 8: (11, 400)}
PATH = "/v1/chat/completions"


async def measure() -> Report:
    """Runs it."""
    report = Report("router", GOALS)
    with running_daemon() as world:
        through = Wire(("127.0.0.1", world.port), world.key, f"127.0.0.1:{world.port}")
        await (await through.post(PATH, _body(1, False))).read()  # loads the model
        direct = Wire(engine_address(world, "pilot"))
        await _latencies(report, direct, through)
        for clients in STREAMS:
            await _rates(report, direct, through, clients)
        through.close()
        direct.close()
    return report


async def _latencies(report: Report, direct: Wire, through: Wire) -> None:
    times: dict[bool, list[float]] = {False: [], True: []}
    for number in range(REQUESTS):
        for way in (False, True) if number % 2 else (True, False):
            wire = through if way else direct
            began = time.perf_counter()
            response = await wire.post(PATH, _body(1, False))
            body = await response.read()
            times[way].append(1000 * (time.perf_counter() - began))
            assert response.status == 200, body
    direct_p50, through_p50 = (statistics.median(times[way]) for way in (False, True))
    direct_p99, through_p99 = (statistics.quantiles(times[way], n=100)[98] for way in (False, True))
    report.figures |= {
        "direct_p50_ms": direct_p50,
        "through_p50_ms": through_p50,
        "router_p50_ms": through_p50 - direct_p50,
        "direct_p99_ms": direct_p99,
        "through_p99_ms": through_p99,
        "router_p99_ms": through_p99 - direct_p99,
    }


async def _rates(report: Report, direct: Wire, through: Wire, clients: int) -> None:
    rounds, tokens = STREAMS[clients]
    rates: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        for way in (False, True) if number % 2 else (True, False):
            rates[way].append(await rate(through if way else direct, clients, tokens))
    report.figures[f"stream_{clients}_direct_tokens_per_s"] = statistics.median(rates[False])
    report.figures[f"stream_{clients}_through_tokens_per_s"] = statistics.median(rates[True])
    pairs = [b / a for a, b in zip(rates[False], rates[True], strict=True)]
    report.figures[f"stream_{clients}_ratio"] = statistics.median(pairs)


async def rate(wire: Wire, clients: int, tokens: int) -> float:
    """Tokens per second of all clients together, from the first token of any to the last of all."""
    spans = await asyncio.gather(*(_stream(wire, tokens) for _ in range(clients)))
    began, ended = min(first for first, _ in spans), max(last for _, last in spans)
    return clients * tokens / (ended - began)


async def _stream(wire: Wire, tokens: int) -> tuple[float, float]:
    response = await wire.post(PATH, _body(tokens, True))
    assert response.status == 200, await response.read()
    first = last = 0.0
    tail = b""
    async for piece in response.pieces():
        last = time.perf_counter()
        first = first or last
        tail = piece[-40:]
    assert tail.endswith(b"data: [DONE]\n\n"), tail
    return first, last


def _body(tokens: int, stream: bool) -> bytes:
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": "Count with me: one, two, three."}],
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": stream,
    }
    return json.dumps(body).encode()
