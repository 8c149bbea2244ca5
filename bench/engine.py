"""`bench engine`: the native build of llama.cpp beside the wheel, on a model of 0.4 billion random weights in Q8_0.

The model is made here: the Llama architecture with the pilot's tokenizer, 24 layers of width 1,024, weights drawn at random from
a fixed seed. It says nothing that means anything; it costs what a model of its size costs. Both engines run at once and are asked
in turn (`homefire/engines/trial.py`), with the threads that the daemon would give them (a core is left free: with all of them at
work beside other programs the threads wait for each other), medians of five.
Goals: the issue gives one measurement, 1.22 times the decoding and 1.43 times the prefill on a processor with AVX-512 (two
threads). From that the goals are derived, so that a slower machine or a noisy run does not miss them without a reason: 1.1 and
1.2. Agreement is the issue's own condition, 99 % of greedy next tokens, on a trained model: the pilot. Random weights give near
ties, in which the last bits decide: there the wheel agrees with itself, its attention computed another way, in 93 % of places
(docs/log.md, 2026-11-30), so that figure is shown and has no goal.
Promises: measures the build that the home has (the one in use, else the newest); without one, one error says how to get it.
Does not cover: building; models of other sizes (`homefire engine bench MODEL` measures the user's own).
"""

from __future__ import annotations

import random
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.report import Report
from homefire.engines import trial
from homefire.engines.builds import Builds, processor_mark
from homefire.engines.engine import Engine, EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.errors import BuildRefused
from homefire.hardware import compute_threads
from homefire.models.gguf_source import GgufSource
from homefire.models.gguf_writer import Tensor, Value, f32, row_bytes, text, u32, write
from homefire.models.library import PILOT_FILE
from homefire.paths import ModelName, Paths, default_home

GOALS: dict[str, tuple[str, float]] = {
    "decode_ratio": (">=", 1.1),
    "prefill_ratio": (">=", 1.2),
    "greedy_agreement": (">=", 0.99),
}
CONTEXT = 2048
WIDTH, LAYERS, INNER, HEADS, SEED = 1024, 24, 4096, 16, 20261130
# A weight is a whole number from -128 to 127 times this: a standard deviation of 0.02, as a fresh model has.
SCALE = struct.pack("<e", 0.02 / 73.9)


async def measure() -> Report:
    """Runs it."""
    report = Report("engine", GOALS)
    program = _program()
    with tempfile.TemporaryDirectory(prefix="homefire-engine-") as place:
        folder = Path(place)
        large = folder / "random-0.4b-q8_0.gguf"
        parameters = random_model(large)
        for model, file, timed in (("pilot", PILOT_FILE, False), ("random-0.4b", large, True)):
            found = trial.Findings()

            def make(native: bool, model: str = model, file: Path = file) -> Engine:
                return LlamaCpp(_spec(folder, model, file, program if native else None))

            await trial.compare(make, found, lambda *step: None, timed=timed)
            name = "greedy_agreement_random" if timed else "greedy_agreement"
            report.figures |= {name: found.same[model], f"{name}_places": found.places[model]}
    assert found.rates is not None
    report.figures |= {
        "parameters_millions": parameters / 1e6,
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


def random_model(target: Path) -> int:
    """Writes the model; how many weights it has."""
    with GgufSource(PILOT_FILE) as pilot:
        keys: dict[str, Value] = {name: value for name, value in pilot.keys.items() if name.startswith("tokenizer.")}
        vocabulary = pilot.number("llama.vocab_size")
    keys = {
        "general.architecture": text("llama"),
        "general.name": text("random weights, 0.4 billion"),
        "llama.context_length": u32(CONTEXT),
        "llama.embedding_length": u32(WIDTH),
        "llama.block_count": u32(LAYERS),
        "llama.feed_forward_length": u32(INNER),
        "llama.attention.head_count": u32(HEADS),
        "llama.attention.head_count_kv": u32(HEADS),
        "llama.attention.layer_norm_rms_epsilon": f32(1e-5),
        "llama.rope.dimension_count": u32(WIDTH // HEADS),
        "llama.vocab_size": u32(vocabulary),
        **keys,
    }
    tensors = list(_tensors(vocabulary))
    draw = random.Random(SEED)
    write(target, keys, tensors, lambda tensor: _weights(tensor, draw))
    return sum(tensor.elements for tensor in tensors)


def _tensors(vocabulary: int) -> Iterator[Tensor]:
    yield Tensor("token_embd.weight", (WIDTH, vocabulary), "Q8_0")
    yield Tensor("output_norm.weight", (WIDTH,), "F32")
    yield Tensor("output.weight", (WIDTH, vocabulary), "Q8_0")
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        yield Tensor(f"{at}attn_norm.weight", (WIDTH,), "F32")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield Tensor(f"{at}{part}.weight", (WIDTH, WIDTH), "Q8_0")
        yield Tensor(f"{at}ffn_norm.weight", (WIDTH,), "F32")
        yield Tensor(f"{at}ffn_gate.weight", (WIDTH, INNER), "Q8_0")
        yield Tensor(f"{at}ffn_up.weight", (WIDTH, INNER), "Q8_0")
        yield Tensor(f"{at}ffn_down.weight", (INNER, WIDTH), "Q8_0")


def _weights(tensor: Tensor, draw: random.Random) -> Iterator[bytes | bytearray]:
    if tensor.kind == "F32":
        yield struct.pack("<f", 1.0) * tensor.elements
        return
    block = row_bytes("Q8_0", 32)
    count = tensor.size // block
    values, blocks = draw.randbytes(32 * count), bytearray(tensor.size)
    blocks[0::block], blocks[1::block] = SCALE[:1] * count, SCALE[1:] * count
    for column in range(32):
        blocks[2 + column :: block] = values[column * count : (column + 1) * count]
    yield blocks
