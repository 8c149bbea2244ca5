"""A model of a true size with random weights: llama's architecture, Q8_0, the pilot's tokenizer and chat template.

Some 0.4 billion parameters (width 1024, 24 layers, 16 heads of which 4 have keys and values of their own, hidden 4096): as slow
to read and to write as a trained one of its size, and what it says means nothing.
Promises: the same seed gives the same file; weights are drawn evenly, with a deviation of about 0.02, so that numbers neither
vanish nor grow over the layers.
Does not cover: quality of any kind.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

from homefire.models.gguf_source import GgufSource
from homefire.models.gguf_writer import Tensor, f32, text, u32, write
from homefire.models.library import PILOT_FILE

NAME = "random-0.4b"
WIDTH, LAYERS, HEADS, KEY_HEADS, HIDDEN, CONTEXT = 1024, 24, 16, 4, 4096, 8192
BLOCK_BYTES, BLOCKS_A_PIECE = 34, 30_000
# A Q8_0 block is a 16-bit scale and 32 signed bytes, whose deviation is 74 when they are drawn evenly.
SCALE = struct.pack("<e", 0.02 / 74)


def write_random(path: Path, seed: int = 1) -> Path:
    """Writes the file (about 400 MB) and returns its path."""
    with GgufSource(PILOT_FILE) as pilot:
        kept = {name: value for name, value in pilot.keys.items() if name.startswith("tokenizer.")}
        tokens = pilot.number("llama.vocab_size")
    keys = {
        "general.architecture": text("llama"),
        "general.name": text(NAME),
        "llama.context_length": u32(CONTEXT),
        "llama.embedding_length": u32(WIDTH),
        "llama.block_count": u32(LAYERS),
        "llama.feed_forward_length": u32(HIDDEN),
        "llama.attention.head_count": u32(HEADS),
        "llama.attention.head_count_kv": u32(KEY_HEADS),
        "llama.attention.layer_norm_rms_epsilon": f32(1e-5),
        "llama.rope.freq_base": f32(10_000.0),
        "llama.rope.dimension_count": u32(WIDTH // HEADS),
        "llama.vocab_size": u32(tokens),
        "general.file_type": u32(7),
        "general.quantization_version": u32(2),
        **kept,
    }
    drawn = random.Random(seed)
    write(path, keys, list(_tensors(tokens)), lambda tensor: _bytes(tensor, drawn))
    return path


def _tensors(tokens: int) -> Iterator[Tensor]:
    beside = WIDTH * KEY_HEADS // HEADS
    yield Tensor("token_embd.weight", (WIDTH, tokens), "Q8_0")
    yield Tensor("output.weight", (WIDTH, tokens), "Q8_0")
    yield Tensor("output_norm.weight", (WIDTH,), "F32")
    for layer in range(LAYERS):
        at = f"blk.{layer}"
        yield Tensor(f"{at}.attn_norm.weight", (WIDTH,), "F32")
        yield Tensor(f"{at}.ffn_norm.weight", (WIDTH,), "F32")
        for name, shape in (
            ("attn_q", (WIDTH, WIDTH)),
            ("attn_k", (WIDTH, beside)),
            ("attn_v", (WIDTH, beside)),
            ("attn_output", (WIDTH, WIDTH)),
            ("ffn_gate", (WIDTH, HIDDEN)),
            ("ffn_up", (WIDTH, HIDDEN)),
            ("ffn_down", (HIDDEN, WIDTH)),
        ):
            yield Tensor(f"{at}.{name}.weight", shape, "Q8_0")


def _bytes(tensor: Tensor, drawn: random.Random) -> Iterator[bytes]:
    if tensor.kind == "F32":
        yield struct.pack("<f", 1.0) * tensor.elements
        return
    blocks = tensor.size // BLOCK_BYTES
    for begun in range(0, blocks, BLOCKS_A_PIECE):
        count = min(BLOCKS_A_PIECE, blocks - begun)
        piece = bytearray(drawn.randbytes(count * BLOCK_BYTES))
        piece[0::BLOCK_BYTES] = SCALE[:1] * count
        piece[1::BLOCK_BYTES] = SCALE[1:] * count
        yield bytes(piece)
