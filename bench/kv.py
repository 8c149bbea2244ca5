"""`bench kv`: switching back to a conversation of 2,000 tokens, with its KV cache from the disk and without.

A model of some 0.4 billion random weights (`random_model.py`) that a daemon runs; a conversation of 2,000 tokens is read, the
model leaves the memory and comes back (in memory again, before the clock starts), and the conversation is asked to go on: once
with the KV caches kept, once after they were deleted. Both in turn, medians; the figure is the ratio of the times to the first
token.
Promises: what was read and what came from the cache is checked by the usage of each answer, so a run that kept nothing fails.
Does not cover: models on a GPU, which read faster (there the rule of `engines/worth.py` may say that it is not worth it).
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.random_model import LAYERS, NAME, WIDTH, make
from bench.report import Report
from bench.world import World, running_daemon
from homefire.client import Homefire
from homefire.engines.wire import Wire

GOALS: dict[str, tuple[str, float]] = {"back_ratio": (">=", 5)}
ROUNDS = 5
AT = "/homefire/v1"
# The pilot's tokenizer makes about 5.4 tokens of each of these.
ITEMS = 370


async def measure() -> Report:
    """Runs it."""
    report = Report("kv", GOALS)
    kept: list[float] = []
    again: list[float] = []
    with tempfile.TemporaryDirectory(prefix="homefire-kv-") as folder, running_daemon() as world:
        file = Path(folder) / f"{NAME}.gguf"
        make(file, LAYERS, WIDTH)
        wire = Wire(("127.0.0.1", world.port), world.key, f"127.0.0.1:{world.port}")
        await _call(wire, f"{AT}/models/import", {"path": str(file)})
        turns = [{"role": "user", "content": " ".join(f"item {number}" for number in range(ITEMS))}]
        first, _ = await _ask(wire, turns)
        tokens = first["prompt_tokens"]
        turns += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Go on."}]
        for number in range(2 * ROUNDS):
            await _call(wire, f"{AT}/models/{NAME}/unload", {})
            if number % 2:
                await asyncio.to_thread(_delete, world)
            await _call(wire, f"{AT}/models/{NAME}/load", {})
            usage, seconds = await _ask(wire, turns)
            cached = usage["prompt_tokens_details"]["cached_tokens"]
            assert (cached >= tokens - 8) == (number % 2 == 0), (number, usage)
            (again if number % 2 else kept).append(seconds)
        decisions = json.loads(await (await wire.get(f"{AT}/decisions?limit=200")).read())["decisions"]
        wire.close()
    report.figures |= {
        "conversation_tokens": tokens,
        "first_token_kept_s": statistics.median(kept),
        "first_token_read_again_s": statistics.median(again),
        "back_ratio": statistics.median(again) / statistics.median(kept),
        "times_written": sum("written" in entry["reason"] for entry in decisions if entry["kind"] == "kept"),
    }
    return report


async def _call(wire: Wire, path: str, body: dict[str, Any]) -> bytes:
    response = await wire.post(path, json.dumps(body).encode())
    found = await response.read()
    assert response.status == 200 and b"event: error" not in found, found
    return found


def _delete(world: World) -> None:
    with Homefire.connect(url=f"http://127.0.0.1:{world.port}", key=world.key) as home:
        assert home.get(f"{AT}/kept")["kept"], "nothing was kept"
        home.delete(f"{AT}/kept")


async def _ask(wire: Wire, turns: list[dict[str, str]]) -> tuple[dict[str, Any], float]:
    """The usage of an answer of one token, and the seconds to its end."""
    began = time.perf_counter()
    body = {"model": NAME, "messages": turns, "max_tokens": 1, "temperature": 0}
    found = json.loads(await _call(wire, "/v1/chat/completions", body))
    return found["usage"], time.perf_counter() - began
