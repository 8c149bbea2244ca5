"""A model of random weights of any size that speaks the pilot's vocabulary: for speeds, where the answers do not matter.

    python -m bench.random_model FILE [--layers 20] [--width 1024]

Promises: the same arguments give the same file; llama.cpp loads it and writes text; matrices are Q8_0. The defaults give 256
million parameters in 272 MB.
Does not cover: weights that mean anything. Its greedy answers soon go round in circles, which flatters drafts by n-gram.
"""

from __future__ import annotations

import argparse
import random
import struct
from collections.abc import Iterator
from pathlib import Path

from homefire.models.gguf_source import GgufSource
from homefire.models.gguf_writer import Tensor, text, u32, write
from homefire.models.library import PILOT_FILE

# What the benchmarks call 0.4B: 382 million parameters.
NAME, LAYERS, WIDTH = "random-0.4b", 30, 1024
CONTEXT, HEAD = 8192, 64
_SCALE = struct.pack("<e", 0.0004)
PIECE = 1 << 18  # blocks at once


def make(target: Path, layers: int, width: int, seed: int = 1) -> int:
    """Writes the file; its size in bytes. `width` is a multiple of 128."""
    with GgufSource(PILOT_FILE) as pilot:
        kept = {name: value for name, value in pilot.keys.items() if name.startswith(("tokenizer.", "llama."))}
        vocabulary = pilot.number("llama.vocab_size")
    heads, hidden = width // HEAD, 3 * width
    keys = {"general.architecture": text("llama"), "general.name": text(f"random, {layers} x {width}"), **kept}
    keys |= {
        "llama.embedding_length": u32(width), "llama.block_count": u32(layers), "llama.feed_forward_length": u32(hidden),
        "llama.attention.head_count": u32(heads), "llama.attention.head_count_kv": u32(heads // 2),
        "llama.rope.dimension_count": u32(HEAD), "llama.context_length": u32(CONTEXT),
    }  # fmt: skip
    tensors = [Tensor("token_embd.weight", (width, vocabulary), "Q8_0"), Tensor("output_norm.weight", (width,), "F32")]
    for at in range(layers):
        rows = {
            "attn_q": (width, width), "attn_k": (width, width // 2), "attn_v": (width, width // 2),
            "attn_output": (width, width), "ffn_gate": (width, hidden), "ffn_up": (width, hidden), "ffn_down": (hidden, width),
        }  # fmt: skip
        tensors += [Tensor(f"blk.{at}.{name}.weight", shape, "Q8_0") for name, shape in rows.items()]
        tensors += [Tensor(f"blk.{at}.{name}.weight", (width,), "F32") for name in ("attn_norm", "ffn_norm")]
    draw = random.Random(seed)

    def pieces(tensor: Tensor) -> Iterator[bytes | bytearray]:
        if tensor.kind == "F32":
            yield struct.pack("<f", 1.0) * tensor.elements
            return
        blocks = tensor.elements // 32
        while blocks:
            count = min(blocks, PIECE)
            piece = bytearray(draw.randbytes(34 * count))
            piece[0::34], piece[1::34] = _SCALE[:1] * count, _SCALE[1:] * count
            yield piece
            blocks -= count

    return write(target, keys, tensors, pieces)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--width", type=int, default=1024)
    options = parser.parse_args()
    size = make(options.file, options.layers, options.width)
    print(f"{options.file}: {size:,} bytes")


if __name__ == "__main__":
    main()
