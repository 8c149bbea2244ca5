"""A tiny LoRA adapter for the pilot: random, of low rank, strong enough that a greedy answer changes.

Promises: the same seed gives the same file; it is sound, and fits the pilot.
Does not cover: an adapter that was learned (`learning/` will make those).
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from homefire.models import gguf_writer
from homefire.models.gguf import read_header
from homefire.models.gguf_writer import Tensor, Value, f32, text
from homefire.models.library import PILOT_FILE

RANK = 4


def make(
    target: Path, seed: int = 1, strength: float = 0.5, *, keys: Mapping[str, Value] | None = None,
    base: Path = PILOT_FILE, rename: str = "", stretch: int = 0,
) -> Path:  # fmt: skip
    """Writes the adapter. `keys` replace or add keys; `rename` puts a prefix before the tensors' names, `stretch` makes the rows
    of the first part longer: for adapters that fit nothing."""
    header = read_header(base)
    head = {
        "general.type": text("adapter"), "general.architecture": text(header.architecture),
        "general.name": text(f"seed {seed}"), "adapter.type": text("lora"), "adapter.lora.alpha": f32(RANK),
    }  # fmt: skip
    tensors = []
    for tensor in header.table:
        if tensor.name.endswith(("attn_q.weight", "ffn_down.weight")):
            tensors.append(Tensor(f"{rename}{tensor.name}.lora_a", (tensor.shape[0] + stretch, RANK), "F32"))
            tensors.append(Tensor(f"{rename}{tensor.name}.lora_b", (RANK, tensor.shape[1]), "F32"))
    draw = random.Random(seed)

    def pieces(tensor: Tensor) -> Iterator[bytes]:
        yield struct.pack(f"<{tensor.elements}f", *(draw.gauss(0, strength) for _ in range(tensor.elements)))

    gguf_writer.write(target, {**head, **(keys or {})}, tensors, pieces)
    return target
