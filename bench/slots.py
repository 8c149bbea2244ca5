"""`bench slots`: eight clients on one model of about 0.4 billion parameters, through the daemon and on its child alone.

The model is made on the spot: a llama of 30 layers with random weights in Q8_0 and the pilot's tokenizer; what it says means
nothing, and costs what a real one of this size costs. Both ways are measured by the same client on the same warm child with eight
slots, in turn: over the child's unix socket, and through the daemon over loopback with a key. A rate is tokens of all streams
over the time from the first token of any to the last of all.
Promises: the order alternates; the figure is the median of the pairs' ratios.
Does not cover: small models, whose own overhead is larger (`bench router`), GPUs.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

from bench.random_model import LAYERS, NAME, WIDTH, make
from bench.report import Report
from bench.router import rate
from bench.world import engine_address, running_daemon
from homefire.engines.wire import Wire

GOALS: dict[str, tuple[str, float]] = {"clients8_ratio": (">=", 0.97)}
CLIENTS, ROUNDS, TOKENS = 8, 5, 64


async def measure() -> Report:
    """Runs it."""
    report = Report("slots", GOALS)
    with (
        tempfile.TemporaryDirectory(prefix="homefire-slots-") as folder,
        running_daemon(slots=CLIENTS, context=2048, model=NAME) as world,
    ):
        file = Path(folder) / f"{NAME}.gguf"
        report.figures["parameters_billions"] = make(file, LAYERS, WIDTH) * 32 / 34 / 1e9
        through = Wire(("127.0.0.1", world.port), world.key, f"127.0.0.1:{world.port}")
        imported = await through.post("/homefire/v1/models/import", json.dumps({"path": str(file)}).encode())
        said = await imported.read()
        assert b"event: done" in said, said
        await rate(through, CLIENTS, 4)  # loads it
        direct = Wire(engine_address(world, NAME))
        rates: dict[bool, list[float]] = {False: [], True: []}
        for number in range(ROUNDS):
            for way in (False, True) if number % 2 else (True, False):
                rates[way].append(await rate(through if way else direct, CLIENTS, TOKENS))
        through.close()
        direct.close()
    report.figures |= {
        "clients8_direct_tokens_per_s": statistics.median(rates[False]),
        "clients8_through_tokens_per_s": statistics.median(rates[True]),
        "clients8_ratio": statistics.median(b / a for a, b in zip(rates[False], rates[True], strict=True)),
    }
    return report
