"""Sensors, metrics and the log of restarts over HTTP.

Promises: reading the sensors never blocks the event loop; a stream of them ends with its client.
Does not cover: what is measured (`hardware/sensors.py`), what is counted (`metrics.py`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send

import homefire
from homefire.errors import InvalidRequest
from homefire.hardware import process_memory
from homefire.hardware.sensors import Live
from homefire.residency import Keeper
from homefire.server.metrics import Family, Metrics, counters, gauges, of_reading, render
from homefire.server.request import begin_events, read_body, read_query, send_bytes, send_event, send_json, until_gone
from homefire.supervision.record import Restart

PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
FASTEST, SLOWEST = 0.5, 60.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched. `governor` gives its view, None where it is off; `restarts` the last crashes, the newest first, and how
    often each child crashed since the start; `pulls` how downloads ended since then."""

    live: Live = field(default_factory=Live)
    metrics: Metrics = field(default_factory=Metrics)
    governor: Callable[[], dict[str, Any] | None] = lambda: None
    restarts: Callable[[], list[Restart]] = list
    crashes: Callable[[], dict[str, int]] = dict
    pulls: Callable[[], Mapping[str, int]] = dict


class WatchRoutes:
    """Handlers of what is watched."""

    def __init__(self, watched: Watched, keeper: Keeper, started: float) -> None:
        self._watched = watched
        self._keeper = keeper
        self._started = started

    async def sensors(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/sensors"""
        await send_json(send, await self._now())

    async def watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/sensors/watch"""
        seconds = _seconds(read_query(scope, {"seconds"}).get("seconds", "1"))
        await read_body(scope, receive, 0)

        async def work() -> None:
            await begin_events(send)
            while True:
                await send_event(send, "sensors", await self._now())
                await asyncio.sleep(seconds)

        await until_gone(work(), receive)

    async def restarts(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/restarts"""
        rows = [asdict(row) for row in self._watched.restarts()]
        await send_json(send, {"restarts": rows, "since_start": self._watched.crashes()})

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /metrics"""
        reading = await self._watched.live.reading()
        families = [
            gauges("build_info", "This Homefire.", "version", [(homefire.__version__, 1)]),
            Family("homefire_start_time_seconds", "gauge", "When the daemon started.", (({}, self._started),)),
            Family(
                "homefire_daemon_memory_bytes", "gauge", "Memory of the daemon.", (({}, process_memory(os.getpid())),)
            ),
            *self._watched.metrics.families(),
            *self._residents(),
            counters("restarts_total", "Crashes of each child.", "child", sorted(self._watched.crashes().items())),
            counters(
                "pulls_total", "Downloads of models that ended.", "outcome", sorted(self._watched.pulls().items())
            ),
            counters("evictions_total", "Models that left the memory, by the reason.", "reason", self._evictions()),
            *(of_reading(reading) if reading is not None else ()),
        ]
        if (governor := self._watched.governor()) is not None:
            families.append(gauges("governor_level", "0: all is well.", "rule", governor["levels"].items()))
        await send_bytes(send, render(families), PROMETHEUS)

    def _evictions(self) -> list[tuple[str, float]]:
        found: Counter[str] = Counter()
        for (kind, why), times in self._keeper.decisions.counts.items():
            if kind in ("evicted", "unloaded"):
                found[why or "other"] += times
        return sorted(found.items())

    def _residents(self) -> list[Family]:
        residents, waiting = self._keeper.view()
        states = Counter(resident.state for resident in residents)
        memory = [(r.name, float(process_memory(r.pid))) for r in residents if r.pid is not None]
        return [
            gauges("models", "Models in memory or resting after crashes.", "state", sorted(states.items())),
            gauges("model_memory_bytes", "Resident memory of each model's process.", "model", memory),
            gauges("model_leases", "Requests that use it.", "model", [(r.name, r.leases) for r in residents]),
            Family("homefire_requests_waiting", "gauge", "Requests that wait for a model.", (({}, waiting),)),
        ]

    async def _now(self) -> dict[str, Any]:
        reading = await self._watched.live.reading()
        found: dict[str, Any] = {} if reading is None else asdict(reading)
        age = None if reading is None else round(max(0.0, time.time() - reading.at), 3)
        return {**found, "age_s": age, "governor": self._watched.governor()}


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not FASTEST <= seconds <= SLOWEST:
        raise InvalidRequest(f"'seconds' must be from {FASTEST} to {SLOWEST:g}.", param="seconds")
    return seconds
