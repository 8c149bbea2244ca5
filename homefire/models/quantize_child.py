"""The child that quantizes: reads pieces of rows, changes them in threads, writes them in order.

Run as `python -m homefire.models.quantize_child JSON` (see `task`).
Promises: the cut into pieces depends on the tensor alone, and rows are independent of each other, so the number of threads
changes nothing; at most two pieces a thread are held; every piece is validated by the engine's own check, before and after.
Does not cover: choosing types (`recipes`).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from homefire import __version__
from homefire.models import gguf_writer, kernels, recipes
from homefire.models.gguf_source import GgufSource, Placed
from homefire.models.gguf_writer import Tensor, Value, text, u32
from homefire.models.quantize import count, plan
from homefire.models.task import Progress, child, input_error, not_finite

# Values in a piece: 4 MiB of F32, small beside any large tensor and large beside the cost of a call.
PIECE = 1 << 20
QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION
_SPLIT = ("split.no", "split.count", "split.tensors.count")


def tool() -> str:
    """This program and its engine, as provenance."""
    try:
        engine = importlib.metadata.version("xllamacpp")
    except importlib.metadata.PackageNotFoundError:
        engine = "unknown"
    return f"homefire {__version__}, xllamacpp {engine}"


def sha256(path: Path) -> str:
    """The digest of a file. Raises InvalidRequest if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise input_error(problem, path) from None


def new_keys(old: dict[str, Value], recipe: recipes.Recipe, digest: str) -> dict[str, Value]:
    """The keys of the result: those of the source, what it has become, and where it comes from."""
    keys = {name: value for name, value in old.items() if name not in _SPLIT and name != "general.alignment"}
    if "homefire.source_sha256" in keys:  # of the weights that the source was converted from
        keys["homefire.origin_sha256"] = keys["homefire.source_sha256"]
    keys["general.file_type"] = u32(recipe.file_type)
    keys["general.quantization_version"] = u32(QUANTIZATION_VERSION)
    keys["homefire.source_sha256"] = text(digest)
    keys["homefire.tool"] = text(tool())
    keys["homefire.recipe"] = text(recipe.name)
    return keys


def work(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Does it; returns sizes, digest and types."""
    source, recipe = Path(arguments["source"]), recipes.find(arguments["recipe"])
    digest = arguments["sha256"] or sha256(source)
    with GgufSource(source) as opened, ThreadPoolExecutor(arguments["threads"]) as pool:
        planned = plan(opened, recipe)
        for kind in {tensor.kind for tensor in planned}:
            kernels.prepare(kind)
        places = {placed.tensor.name: placed for placed in opened.tensors}
        total = sum(placed.tensor.size for placed in opened.tensors)
        done = [0]

        def pieces(tensor: Tensor) -> Iterator[bytes | bytearray]:
            placed = places[tensor.name]
            for read, piece in in_order(pool, arguments["threads"], opened, placed, tensor):
                done[0] += read
                progress(done[0], total)
                yield piece

        size = gguf_writer.write(
            Path(arguments["target"]), new_keys(opened.keys, recipe, digest), planned, pieces, Path(arguments["beside"])
        )
    return {"size": size, "source_size": source.stat().st_size, "source_sha256": digest, "types": count(planned)}


def in_order(
    pool: ThreadPoolExecutor, threads: int, source: GgufSource, placed: Placed, wanted: Tensor
) -> Iterator[tuple[int, bytes | bytearray]]:
    """The pieces of a tensor in its new type, each with the bytes it had; threads work ahead by two pieces each."""
    old, row = placed.tensor, wanted.shape[0]
    step = 4 * PIECE  # copied as it stands: any cut will do
    if old.kind != wanted.kind:
        step = gguf_writer.row_bytes(old.kind, row) * max(1, PIECE // row)
    waiting: deque[tuple[int, Future[bytes | bytearray]]] = deque()
    for at in range(0, old.size, step):
        read = min(step, old.size - at)
        waiting.append((read, pool.submit(_piece, source, placed, at, read, wanted)))
        if len(waiting) >= 2 * threads:
            first, future = waiting.popleft()
            yield first, future.result()
    while waiting:
        first, future = waiting.popleft()
        yield first, future.result()


def _piece(source: GgufSource, placed: Placed, at: int, size: int, wanted: Tensor) -> bytes | bytearray:
    data = source.read(placed.offset + at, size)
    # Of what is not a number some kernels make a sound block of zeros, so the source is checked too.
    if placed.tensor.kind in kernels.FLOATS and not kernels.valid(placed.tensor.kind, data):
        raise not_finite(wanted.name)
    if placed.tensor.kind == wanted.kind:
        return data
    made = kernels.from_f32(wanted.kind, kernels.to_f32(placed.tensor.kind, data), wanted.shape[0])
    if not kernels.valid(wanted.kind, made):
        raise not_finite(wanted.name)
    return made


if __name__ == "__main__":
    child(work)
