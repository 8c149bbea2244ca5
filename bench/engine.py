"""`bench engine`: the native build of llama.cpp beside the wheel, on a model of 0.4 billion random weights in Q8_0.

The model is made by `random_model.py`: it says nothing that means anything and costs what a model of its size costs. Both
engines run at once and are asked in turn (`homefire/engines/trial.py`), with the threads that the daemon would give them (a core
is left free: with all of them at work beside other programs the threads wait for each other), medians of five.
Goals: the issue gives one measurement, 1.22 times the decoding and 1.43 times the prefill on a processor with AVX-512 (two
threads). From that the goals are derived, so that a slower machine or a noisy run does not miss them without a reason: 1.1 and
1.2. Agreement is the issue's own condition, 99 % of greedy next tokens, on a trained model: the pilot. Random weights give near
ties, in which the last bits decide: there the wheel agrees with itself, its attention computed another way, in 93 % of places
(docs/log.md, 2026-11-30), so that figure is shown and has no goal.
Promises: measures the build that the home has (the one in use, else the newest); without one, one error says how to get it.
Does not cover: building; models of other sizes (`homefire engine bench MODEL` measures the user's own).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.random_model import LAYERS, NAME, WIDTH
from bench.random_model import make as make_model
from bench.report import Report
from homefire.engines import trial
from homefire.engines.builds import Builds, processor_mark
from homefire.engines.engine import Engine, EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.errors import BuildRefused
from homefire.hardware import compute_threads
from homefire.models.library import PILOT_FILE
from homefire.paths import ModelName, Paths, default_home

GOALS: dict[str, tuple[str, float]] = {
    "decode_ratio": (">=", 1.1),
    "prefill_ratio": (">=", 1.2),
    "greedy_agreement": (">=", 0.99),
}
CONTEXT = 2048


async def measure() -> Report:
    """Runs it."""
    report = Report("engine", GOALS)
    program = _program()
    with tempfile.TemporaryDirectory(prefix="homefire-engine-") as place:
        folder = Path(place)
        large = folder / f"{NAME}.gguf"
        size = make_model(large, LAYERS, WIDTH)
        for model, file, timed in (("pilot", PILOT_FILE, False), (NAME, large, True)):
            found = trial.Findings()

            def make(native: bool, model: str = model, file: Path = file) -> Engine:
                return LlamaCpp(_spec(folder, model, file, program if native else None))

            await trial.compare(make, found, lambda *step: None, timed=timed)
            name = "greedy_agreement_random" if timed else "greedy_agreement"
            report.figures |= {name: found.same[model], f"{name}_places": found.places[model]}
    assert found.rates is not None
    report.figures |= {
        "parameters_millions": size * 32 / 34 / 1e6,
        "threads": compute_threads(),
        "decode_wheel_tokens_s": found.rates.decode_wheel,
        "decode_native_tokens_s": found.rates.decode_native,
        "prefill_wheel_tokens_s": found.rates.prefill_wheel,
        "prefill_native_tokens_s": found.rates.prefill_native,
        "decode_ratio": found.rates.decode_ratio,
        "prefill_ratio": found.rates.prefill_ratio,
    }
    return report


def _program() -> Path:
    builds = Builds(Paths(default_home()).engine_builds, processor_mark())
    there = [each for each in builds.all() if builds.runs_here(each)]
    newest = max(there, key=lambda each: each.made_at, default=None)
    found = builds.program() or (None if newest is None else builds.place(newest.name))
    if found is None:
        raise BuildRefused("There is no native build to measure in this home.", "Make one with: homefire engine build")
    return found


def _spec(folder: Path, model: str, file: Path, program: Path | None) -> EngineSpec:
    tag = "native" if program else "wheel"
    return EngineSpec(
        ModelName(model), file, CONTEXT, 1, compute_threads(), 0, 120.0, folder / f"{tag}.log", folder / f"{tag}.sock",
        hang_seconds=0, program=program,
    )  # fmt: skip
