"""Quantizing a GGUF file by a recipe, in a child process.

Promises: the file appears whole or not at all; the same source, recipe and engine give the same bytes with any number of threads;
the header says where it comes from (`homefire.source_sha256`, `homefire.tool`, `homefire.recipe`); memory does not grow with the
model: pieces of some megabytes pass through.
Does not cover: importance matrices, split files, and who may use the result (`library`).
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from homefire.errors import DiskFull
from homefire.models import gguf_writer, recipes
from homefire.models.gguf_source import GgufSource
from homefire.models.gguf_writer import Tensor
from homefire.models.recipes import RECIPES as RECIPES
from homefire.models.task import Progress, run
from homefire.paths import Digest

# Left free on the disk, so that the database can still write.
RESERVE = 64 << 20


@dataclass(frozen=True, slots=True)
class Quantized:
    """What came out: sizes in bytes, the sha256 of the source, and how many tensors have which type."""

    size: int
    source_size: int
    source_sha256: Digest
    types: dict[str, int]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would come out, without doing it. `bits` is bits a weight over the whole file."""

    size: int
    bits: float
    types: dict[str, int]


def preview(source: Path, recipe: str) -> Preview:
    """Reads the header and says how large the result will be. Blocks for some milliseconds.

    Raises BadModelFile, InvalidRequest (unknown recipe, or quantized already).
    """
    chosen = recipes.find(recipe)
    with GgufSource(source) as opened:
        planned = plan(opened, chosen)
        size = gguf_writer.total_size(opened.keys, planned)
        weights = sum(tensor.elements for tensor in planned)
    return Preview(size, 8 * size / weights, count(planned))


async def quantize(
    source: Path,
    target: Path,
    recipe: str,
    *,
    source_sha256: Digest | None = None,
    threads: int = 0,
    progress: Progress | None = None,
    walls: bool = False,
) -> Quantized:
    """Makes `target` from `source`; `threads` 0 means one a core; `progress(done, total)` counts bytes of the source.

    `source_sha256` saves reading the source once more where it is known already; `walls`: behind the sandbox's. Raises
    BadModelFile, InvalidRequest, DiskFull, HomeNotWritable, KernelsMissing, TaskDied. Cancelling it ends the child; no file is
    left then, nor after an error.
    """
    import asyncio

    expected = await asyncio.to_thread(preview, source, recipe)
    require_room(target.parent, expected.size)
    arguments = {
        "source": str(source.absolute()),
        "recipe": recipe,
        "sha256": source_sha256,
        "threads": threads or os.cpu_count() or 1,
    }
    found = await run(
        "homefire.models.quantize_child", arguments, target, progress, readable=(source.absolute(),) if walls else None
    )
    return Quantized(found["size"], found["source_size"], Digest(found["source_sha256"]), found["types"])


def plan(source: GgufSource, recipe: recipes.Recipe) -> list[Tensor]:
    """The tensors of `source` with the types that the recipe gives them."""
    architecture = source.header.architecture
    heads = source.number(f"{architecture}.attention.head_count")
    facts = recipes.Facts(
        source.number(f"{architecture}.block_count"),
        heads,
        source.number(f"{architecture}.attention.head_count_kv", heads),
        source.number(f"{architecture}.expert_count"),
        architecture,
    )
    return recipes.plan(recipe, facts, [placed.tensor for placed in source.tensors])


def count(tensors: list[Tensor]) -> dict[str, int]:
    """How many tensors have which type."""
    found: dict[str, int] = {}
    for tensor in tensors:
        found[tensor.kind] = found.get(tensor.kind, 0) + 1
    return found


def require_room(folder: Path, size: int) -> None:
    """Raises DiskFull if a file of `size` bytes would not leave room for the rest of the house."""
    free = shutil.disk_usage(folder).free
    if size + RESERVE > free:
        raise DiskFull(
            f"The model will have {size / 1e9:.1f} GB and the disk of {folder} has {free / 1e9:.1f} GB left."
        )
