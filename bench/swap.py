"""`bench swap`: what the daemon adds to a change of models, beside stopping one child and loading the other.

The pilot and a copy of it as two models, and memory for one. Through the daemon: a request of one token for the model that is not
in memory, again and again, each time the other one. Directly: an engine is stopped, the other one started and asked for one
token, in this process, with the same settings. Both ways in turn; the figure is the difference of the medians.
Promises: the order alternates; what the daemon did is read from its log of decisions, so that a run without swaps fails.
Does not cover: how long large models load (their disk decides), the KV cache of a conversation.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.report import Report
from bench.world import World, running_daemon
from homefire.engines.engine import EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.engines.wire import Wire
from homefire.hardware import compute_threads
from homefire.messages import ChatRequest, Message, Sampling
from homefire.models.library import PILOT_FILE

GOALS: dict[str, tuple[str, float]] = {"swap_added_ms": ("<=", 250)}
ROUNDS = 11
COPY = "copy"
# Each of the two is promised about 160 MiB.
CAP_MIB = 240
AT = "/homefire/v1"


async def measure() -> Report:
    """Runs it."""
    report = Report("swap", GOALS)
    through: list[float] = []
    direct: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="homefire-swap-") as folder,
        running_daemon(memory_cap_mib=CAP_MIB) as world,
    ):
        file = Path(folder) / f"{COPY}.gguf"
        shutil.copyfile(PILOT_FILE, file)
        wire = Wire(("127.0.0.1", world.port), world.key, f"127.0.0.1:{world.port}")
        await _post(wire, f"{AT}/models/import", {"path": str(file), "name": COPY})
        await _ask(wire, "pilot")
        engine = await _started(world, Path(folder), "pilot", PILOT_FILE)
        for number in range(ROUNDS):
            wanted = "pilot" if number % 2 else COPY
            for way in (False, True) if number % 2 else (True, False):
                began = time.perf_counter()
                if way:
                    await _ask(wire, wanted)
                    through.append(time.perf_counter() - began)
                else:
                    await engine.stop()
                    engine = await _started(world, Path(folder), wanted, file)
                    direct.append(time.perf_counter() - began)
        await engine.stop()
        decisions = json.loads(await (await wire.get(f"{AT}/decisions?limit=200")).read())["decisions"]
        wire.close()
    swaps = sum(entry["kind"] == "evicted" for entry in decisions)
    assert swaps == ROUNDS, f"{swaps} swaps instead of {ROUNDS}"
    report.figures |= {
        "swap_through_s": statistics.median(through),
        "swap_direct_s": statistics.median(direct),
        "swap_added_ms": 1000 * (statistics.median(through) - statistics.median(direct)),
    }
    return report


async def _post(wire: Wire, path: str, body: dict[str, Any]) -> bytes:
    response = await wire.post(path, json.dumps(body).encode())
    found = await response.read()
    assert response.status == 200 and b"event: error" not in found, found
    return found


async def _ask(wire: Wire, model: str) -> None:
    words = [{"role": "user", "content": "What are you?"}]
    await _post(wire, "/v1/chat/completions", {"model": model, "messages": words, "max_tokens": 1})


async def _started(world: World, folder: Path, name: str, file: Path) -> LlamaCpp:
    """An engine as the daemon would start it, after its first token."""
    spec = EngineSpec(
        name, file, 2048, 8, compute_threads(), -1, 60.0, folder / f"{name}.log", folder / f"{name[:1]}.sock"
    )
    engine = LlamaCpp(spec)
    await engine.start()
    answer = await engine.chat(ChatRequest(name, (Message("user", "What are you?"),), Sampling(max_tokens=1)))
    async for _ in answer.pieces():
        pass
    await answer.close()
    return engine
