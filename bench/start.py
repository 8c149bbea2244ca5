"""`bench start`: how long until something is there, and how much memory the daemon takes while it does nothing.

Promises: a cold start is a new daemon on a new home, and the file cache warm, as on any machine that runs it a second time.
Does not cover: the first start after booting, and large models.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.report import Report
from bench.world import World, running_daemon
from homefire.engines.wire import Wire
from homefire.hardware import process_memory

GOALS: dict[str, tuple[str, float]] = {
    "help_ms": ("<=", 150),
    "ready_s": ("<=", 1.5),
    "first_token_cold_s": ("<=", 3),
    "first_token_warm_ms": ("<=", 50),
    "idle_daemon_mb": ("<=", 120),
}
HELPS, STARTS, WARM = 11, 5, 40


async def measure() -> Report:
    """Runs it."""
    report = Report("start", GOALS)
    report.figures["help_ms"] = 1000 * statistics.median(_help() for _ in range(HELPS))
    ready, cold, warm, idle, used = [], [], [], [], []
    for _ in range(STARTS):
        with running_daemon() as world:
            ready.append(await _ready(world))
            idle.append(process_memory(world.pid) / 1e6)
            cold.append(await _first_token(world, world.began))
            warm.extend([await _first_token(world, time.perf_counter()) for _ in range(WARM)])
            await asyncio.sleep(0.5)
            used.append(process_memory(world.pid) / 1e6)
    report.figures["ready_s"] = statistics.median(ready)
    report.figures["first_token_cold_s"] = statistics.median(cold)
    report.figures["first_token_warm_ms"] = 1000 * statistics.median(warm)
    report.figures["idle_daemon_mb"] = max(statistics.median(idle), statistics.median(used))
    return report


def _help() -> float:
    began = time.perf_counter()
    subprocess.run([Path(sys.executable).parent / "homefire", "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


async def _ready(world: World) -> float:
    wire = Wire(("127.0.0.1", world.port), world.key, f"127.0.0.1:{world.port}")
    response = await wire.get("/readyz")
    assert response.status == 200, await response.read()
    found = time.perf_counter() - world.began
    await response.read()
    wire.close()
    return found


async def _first_token(world: World, began: float) -> float:
    wire = Wire(("127.0.0.1", world.port), world.key, f"127.0.0.1:{world.port}")
    body = {"messages": [{"role": "user", "content": "What are you?"}], "max_tokens": 2, "stream": True}
    response = await wire.post("/v1/chat/completions", json.dumps(body).encode())
    assert response.status == 200, await response.read()
    seen = b""
    found = 0.0
    async for piece in response.pieces():
        seen += piece
        if not found and b'"content":"' in seen.replace(b'"content":""', b""):
            found = time.perf_counter() - began
    assert found, seen
    wire.close()
    return found
