"""`bench slots`: eight clients on one model of about 0.4 billion parameters, through the daemon and on its child alone.

The model is made on the spot: a llama of 32 layers with random weights in Q8_0 and the pilot's tokenizer; what it says means
nothing, and costs what a real one of this size costs. Both ways are measured by the same client on the same warm child with eight
slots, in turn: over the child's unix socket, and through the daemon over loopback with a key. A rate is tokens of all streams
over the time from the first token of any to the last of all.
Promises: the order alternates; the figure is the median of the pairs' ratios.
Does not cover: small models, whose own overhead is larger (`bench router`), GPUs.
"""

from __future__ import annotations

import json
import os
import statistics
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.report import Report
from bench.router import rate
from bench.world import running_daemon
from homefire.engines.wire import Wire
from homefire.models.gguf_source import GgufSource
from homefire.models.gguf_writer import Tensor, f32, text, u32, write
from homefire.models.library import PILOT_FILE
from homefire.paths import ModelName

GOALS: dict[str, tuple[str, float]] = {"clients8_ratio": (">=", 0.97)}
CLIENTS, ROUNDS, TOKENS = 8, 5, 64
NAME = "random-0.4b"
WIDTH, HIDDEN, LAYERS, HEADS, GROUPS = 1024, 2816, 32, 16, 4
# Of a Q8_0 block: random weights then have a deviation of about 0.02.
SCALE = struct.pack("<e", 0.00027)
PIECE = 1 << 15  # blocks


async def measure() -> Report:
    """Runs it."""
    report = Report("slots", GOALS)
    with (
        tempfile.TemporaryDirectory(prefix="homefire-slots-") as folder,
        running_daemon(slots=CLIENTS, context=2048, model=NAME) as world,
    ):
        file = Path(folder) / f"{NAME}.gguf"
        report.figures["parameters_billions"] = make(file) / 1e9
        through = Wire(("127.0.0.1", world.port), world.key, f"127.0.0.1:{world.port}")
        imported = await through.post("/homefire/v1/models/import", json.dumps({"path": str(file)}).encode())
        said = await imported.read()
        assert b"event: done" in said, said
        await rate(through, CLIENTS, 4)  # loads it
        direct = Wire(str(world.paths.engine_socket(ModelName(NAME))))
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


def make(path: Path) -> int:
    """Writes the model; returns how many parameters it has."""
    with GgufSource(PILOT_FILE) as pilot:
        keys = {name: value for name, value in pilot.keys.items() if name.startswith("tokenizer.")}
        vocabulary = next(each.tensor.shape[1] for each in pilot.tensors if each.tensor.name == "token_embd.weight")
    head = WIDTH // HEADS
    keys |= {
        "general.architecture": text("llama"), "general.name": text(NAME), "llama.context_length": u32(8192),
        "llama.block_count": u32(LAYERS), "llama.embedding_length": u32(WIDTH), "llama.feed_forward_length": u32(HIDDEN),
        "llama.attention.head_count": u32(HEADS), "llama.attention.head_count_kv": u32(GROUPS),
        "llama.attention.layer_norm_rms_epsilon": f32(1e-5), "llama.rope.dimension_count": u32(head),
        "llama.vocab_size": u32(vocabulary),
    }  # fmt: skip
    tensors = [Tensor(f"{name}.weight", (WIDTH, vocabulary), "Q8_0") for name in ("token_embd", "output")]
    tensors.append(Tensor("output_norm.weight", (WIDTH,), "F32"))
    for layer in range(LAYERS):
        shapes = {"attn_q": (WIDTH, WIDTH), "attn_k": (WIDTH, GROUPS * head), "attn_v": (WIDTH, GROUPS * head),
                  "attn_output": (WIDTH, WIDTH), "ffn_gate": (WIDTH, HIDDEN), "ffn_up": (WIDTH, HIDDEN),
                  "ffn_down": (HIDDEN, WIDTH)}  # fmt: skip
        tensors += [Tensor(f"blk.{layer}.{name}.weight", shape, "Q8_0") for name, shape in shapes.items()]
        tensors += [Tensor(f"blk.{layer}.{name}.weight", (WIDTH,), "F32") for name in ("attn_norm", "ffn_norm")]
    noise = os.urandom(32 * PIECE)
    piece = b"".join(SCALE + noise[at : at + 32] for at in range(0, len(noise), 32))
    write(path, keys, tensors, lambda tensor: _weights(tensor, piece))
    return sum(tensor.elements for tensor in tensors)


def _weights(tensor: Tensor, piece: bytes) -> Iterator[bytes]:
    """The same noise again and again: the speed does not depend on it."""
    if tensor.kind == "F32":
        yield struct.pack("<f", 1.0) * tensor.elements
        return
    for at in range(0, tensor.size, len(piece)):
        yield piece[: tensor.size - at]
