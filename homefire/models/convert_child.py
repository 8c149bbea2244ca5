"""The child that converts: reads tensors out of safetensors files, changes their number format, writes them in order.

Run as `python -m homefire.models.convert_child JSON` (see `task`).
Promises: pieces of some megabytes pass through; a value that the new type cannot hold (a BF16 beyond 65,504 in F16) is an error.
Does not cover: what is written under which name (`convert`, `families`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from homefire.models import gguf_writer, kernels
from homefire.models.convert import Job, TensorFile, plan, weight_files
from homefire.models.gguf_writer import Tensor, text
from homefire.models.quantize_child import sha256, tool
from homefire.models.task import Progress, child, not_finite
from homefire.models.tensor_files import TensorFiles

# Values in a piece.
PIECE = 1 << 20


def work(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Does it; returns size, architecture, number of tensors and digest."""
    folder, kind = Path(arguments["folder"]), arguments["kind"]
    files = weight_files(folder)
    with TensorFiles(files) as weights:
        made = plan(folder, weights, kind, arguments["name"])
        digest = digest_of(files)
        jobs = {job.tensor.name: job for job in made.jobs}
        total = sum(job.tensor.size for job in made.jobs)
        done = [0]

        def pieces(tensor: Tensor) -> Iterator[bytes | bytearray]:
            for piece in converted(weights, jobs[tensor.name]):
                done[0] += len(piece)
                progress(done[0], total)
                yield piece

        keys = made.keys | {
            "homefire.source_sha256": text(digest),
            "homefire.tool": text(tool()),
            "homefire.recipe": text(f"convert {kind}"),
        }
        size = gguf_writer.write(
            Path(arguments["target"]), keys, [job.tensor for job in made.jobs], pieces, Path(arguments["beside"])
        )
    return {"size": size, "architecture": made.architecture, "tensors": len(made.jobs), "source_sha256": digest}


def digest_of(files: list[Path]) -> str:
    """The sha256 of the one file; of several, the sha256 of the lines that sha256sum would print for them."""
    if len(files) == 1:
        return sha256(files[0])
    return hashlib.sha256("".join(f"{sha256(file)}  {file.name}\n" for file in files).encode()).hexdigest()


def converted(weights: TensorFile, job: Job) -> Iterator[bytes | bytearray]:
    """The bytes of one tensor in its new type."""
    if job.source is None:
        yield job.given
        return
    old = weights.info(job.source)[0]
    row = job.tensor.shape[0]
    for piece in _in_pieces(weights, job.source, job):
        made: bytes | bytearray = piece
        if old != job.tensor.kind:
            made = kernels.from_f32(job.tensor.kind, kernels.to_f32(old, piece), row)
        if not kernels.valid(job.tensor.kind, made):
            raise not_finite(job.source)
        yield made


def _in_pieces(weights: TensorFile, source: str, job: Job) -> Iterator[bytes]:
    """Whole rows, some at a time; those of a rotary matrix one head at a time, in llama.cpp's order."""
    width = 1 if len(job.tensor.shape) == 1 else job.tensor.shape[0]
    row = gguf_writer.row_bytes(weights.info(source)[0], width)
    size = row * (job.tensor.elements // width)
    step = size // job.heads if job.heads else row * max(1, PIECE // width)
    for at in range(0, size, step):
        piece = weights.read(source, at, min(step, size - at))
        yield turned(piece, row) if job.heads else piece


def turned(head: bytes, row: int) -> bytes:
    """The rows of one head, of `row` bytes each: half-split positions turn row i with row i + d/2, neighbours 2i with 2i + 1."""
    half = len(head) // 2
    return b"".join(head[at + side : at + side + row] for at in range(0, half, row) for side in (0, half))


if __name__ == "__main__":
    child(work)
