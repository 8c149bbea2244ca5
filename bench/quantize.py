"""`bench quantize`: how fast and in how much memory a model is converted and quantized.

llama-quantize is not in the engine's wheel, so the comparison is with the kernels that it calls, alone: the same blocks of the
same plan, from F16 to F32 (ggml_fp16_to_fp32_row) and from that to the recipe's types (ggml_quantize_chunk), by as many threads,
in warm buffers, without reading, checking and writing. They alternate with ours; a ratio is kernels' time over ours. We take
ggml-cpu's faster way to F32; the ratio to the kernels with that is given too. Ours is the whole task: the child's start, the
check of every value, the file on the disk with fsync. The source's digest is given, as the library knows it. The model has 590
million weights: with fewer, the start of a child would be what is measured.
Promises: random weights (the kernels' speed depends on them), the medians of five rounds.
Does not cover: sources on a disk slower than the page cache, kernels of other builds.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.report import Report
from homefire.models import kernels, recipes
from homefire.models.convert import convert
from homefire.models.gguf_source import GgufSource
from homefire.models.gguf_writer import TYPES, Tensor, text, u32, write
from homefire.models.quantize import plan, quantize
from homefire.models.quantize_child import PIECE
from homefire.paths import Digest

RECIPES = ("Q8_0", "Q4_0", "Q6_K", "Q4_K_M")
GOALS: dict[str, tuple[str, float]] = {
    **{f"{recipe.lower()}_ratio": (">=", 0.8) for recipe in RECIPES},
    "quantize_memory_ratio": ("<=", 2),
    "convert_memory_ratio": ("<=", 2),
}
ROUNDS = 5
TOKENS, WIDTH, HIDDEN, LAYERS = 24_000, 2048, 5632, 12


def weights(count: int) -> Iterator[bytes]:
    """Random F16 between 2^-8 and 2^-4, of either sign, in pieces."""
    high = bytes(0x1C + (byte & 0x0F) | (byte & 0x80) for byte in range(256))
    for at in range(0, count, PIECE):
        piece = bytearray(os.urandom(2 * min(PIECE, count - at)))
        piece[1::2] = piece[1::2].translate(high)
        yield bytes(piece)


def model(path: Path) -> list[Tensor]:
    """A llama's matrices, without a tokenizer: nothing loads it."""
    tensors = [Tensor("token_embd.weight", (WIDTH, TOKENS), "F16")]
    for layer in range(LAYERS):
        rows = {"attn_q": WIDTH, "attn_k": WIDTH // 4, "attn_v": WIDTH // 4, "attn_output": WIDTH, "ffn_up": HIDDEN}
        tensors += [Tensor(f"blk.{layer}.{name}.weight", (WIDTH, count), "F16") for name, count in rows.items()]
        tensors.append(Tensor(f"blk.{layer}.ffn_down.weight", (HIDDEN, WIDTH), "F16"))
    keys = {"general.architecture": text("llama"), "llama.block_count": u32(LAYERS)}
    write(path, keys, tensors, lambda tensor: weights(tensor.elements))
    return tensors


def alone(source: GgufSource, recipe: str, threads: int, fast: bool = False) -> float:
    """Seconds that the kernels need for this plan: those that llama-quantize calls, or with ggml-cpu's way from F16 to F32."""
    own = threading.local()
    sample = next(weights(kernels.BLOCK))
    jobs: list[tuple[str, int, int]] = []
    for placed, wanted in zip(source.tensors, plan(source, recipes.find(recipe)), strict=True):
        row = wanted.shape[0]
        step = row * (PIECE // row)
        jobs += [
            (wanted.kind, min(step, placed.tensor.elements - at) // row, row)
            for at in range(0, placed.tensor.elements, step)
        ]
        kernels.prepare(wanted.kind)
    library = kernels._library()
    widen = library.to_f32_F16 if fast else library.ggml_fp16_to_fp32_row

    def one(job: tuple[str, int, int]) -> None:
        """The two kernels over warm buffers, block by block."""
        kind, rows, row = job
        if not hasattr(own, "given"):
            own.given = kernels._address(bytearray(sample))
            own.wide, own.made = (kernels._address(bytearray(4 * kernels.BLOCK)) for _ in range(2))
        most = kernels.BLOCK // row
        for first in range(0, rows, most):
            count = min(most, rows - first)
            widen(own.given, own.wide, count * row)
            library.ggml_quantize_chunk(TYPES[kind][0], own.wide, own.made, 0, count, row, None)

    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        for _ in pool.map(one, jobs):
            pass
        return time.perf_counter() - began


def peak_bytes() -> int:
    """The largest resident memory that any child has had so far."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def safetensors(folder: Path) -> int:
    """A folder with a llama of one layer in BF16 and a small tokenizer; returns its largest tensor's size in F16."""
    rows, offset = {}, 0
    shapes = {"model.embed_tokens.weight": (TOKENS, WIDTH), "model.norm.weight": (WIDTH,)}
    names = {"self_attn.q_proj": (WIDTH, WIDTH), "self_attn.k_proj": (512, WIDTH), "self_attn.v_proj": (512, WIDTH),
             "self_attn.o_proj": (WIDTH, WIDTH), "mlp.gate_proj": (HIDDEN, WIDTH), "mlp.up_proj": (HIDDEN, WIDTH),
             "mlp.down_proj": (WIDTH, HIDDEN), "input_layernorm": (WIDTH,), "post_attention_layernorm": (WIDTH,)}  # fmt: skip
    shapes |= {f"model.layers.0.{name}.weight": shape for name, shape in names.items()}
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) == 2 else 1)
        rows[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    head = json.dumps(rows).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        # F16 patterns read as BF16 are small numbers too: exponents near 2^-68, which F16 rounds to zero at full cost.
        for piece in weights(offset // 2):
            file.write(piece)
    config = {"architectures": ["LlamaForCausalLM"], "hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 32,
              "num_key_value_heads": 8, "intermediate_size": HIDDEN, "vocab_size": TOKENS, "max_position_embeddings": 2048,
              "tie_word_embeddings": True}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "pre_tokenizer": {"type": "ByteLevel",
                 "add_prefix_space": False, "use_regex": True}}  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return 2 * TOKENS * WIDTH


async def measure() -> Report:
    """Runs it."""
    report = Report("quantize", GOALS)
    threads = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        largest = safetensors(folder)
        size = (folder / "model.safetensors").stat().st_size
        began = time.perf_counter()
        await convert(folder, folder / "converted.gguf")
        report.figures["convert_mb_per_s"] = size / 1e6 / (time.perf_counter() - began)
        report.figures["convert_memory_ratio"] = peak_bytes() / largest
        (folder / "model.safetensors").unlink()
        (folder / "converted.gguf").unlink()
        tensors = model(folder / "f16.gguf")
        elements = sum(tensor.elements for tensor in tensors)
        digest = Digest(hashlib.sha256(b"known already").hexdigest())
        for recipe in RECIPES:
            ours, kernel, fastest = [], [], []
            for _ in range(ROUNDS):
                with GgufSource(folder / "f16.gguf") as source:
                    kernel.append(alone(source, recipe, threads))
                    fastest.append(alone(source, recipe, threads, fast=True))
                began = time.perf_counter()
                await quantize(folder / "f16.gguf", folder / "out.gguf", recipe, source_sha256=digest, threads=threads)
                ours.append(time.perf_counter() - began)
            name = recipe.lower()
            report.figures[f"{name}_million_weights_per_s"] = elements / 1e6 / statistics.median(ours)
            report.figures[f"{name}_kernels_alone"] = elements / 1e6 / statistics.median(kernel)
            report.figures[f"{name}_ratio"] = statistics.median(k / o for k, o in zip(kernel, ours, strict=True))
            pairs = zip(fastest, ours, strict=True)
            report.figures[f"{name}_to_fastest_kernels_ratio"] = statistics.median(k / o for k, o in pairs)
        report.figures["quantize_memory_mb"] = peak_bytes() / 1e6
        report.figures["quantize_memory_ratio"] = peak_bytes() / max(tensor.size for tensor in tensors)
    return report
