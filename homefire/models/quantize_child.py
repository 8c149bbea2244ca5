"""The child that quantizes: reads pieces of rows, changes them in threads, writes them in order.

Run as `python -m homefire.models.quantize_child JSON` (see `task`).
Promises: the cut into pieces depends on the tensor alone, and rows are independent of each other, so the number of threads
changes nothing; at most two pieces a thread are held; every piece is validated by the engine's own check, before and after.
Does not cover: choosing types (`recipes`).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
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
_own = threading.local()


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
            change = Change(opened, placed, tensor)
            for read, piece in in_order(pool, arguments["threads"], change):
                done[0] += read
                progress(done[0], total)
                yield piece
                if isinstance(piece, bytearray):  # it is written: memory that is warm already, for the next one
                    change.spare.append(piece)

        size = gguf_writer.write(
            Path(arguments["target"]), new_keys(opened.keys, recipe, digest), planned, pieces, Path(arguments["beside"])
        )
    return {"size": size, "source_size": source.stat().st_size, "source_sha256": digest, "types": count(planned)}


@dataclass(frozen=True, slots=True)
class Change:
    """One tensor's way: where it is read, what it becomes, and buffers that are written already and may be filled again."""

    source: GgufSource
    placed: Placed
    wanted: Tensor
    spare: list[bytearray] = field(default_factory=list)


def in_order(pool: ThreadPoolExecutor, threads: int, change: Change) -> Iterator[tuple[int, bytes | bytearray]]:
    """The pieces of a tensor in its new type, each with the bytes it had; threads work ahead by two pieces each."""
    old, wanted = change.placed.tensor, change.wanted
    row = wanted.shape[0]
    step = 4 * PIECE  # copied as it stands: any cut will do
    if old.kind != wanted.kind:
        step = gguf_writer.row_bytes(old.kind, row) * max(1, PIECE // row)
    waiting: deque[tuple[int, Future[bytes | bytearray]]] = deque()
    for at in range(0, old.size, step):
        read = min(step, old.size - at)
        waiting.append((read, pool.submit(_piece, change, at, read)))
        if len(waiting) >= 2 * threads:
            first, future = waiting.popleft()
            yield first, future.result()
    while waiting:
        first, future = waiting.popleft()
        yield first, future.result()


def _piece(change: Change, at: int, size: int) -> bytes | bytearray:
    source, placed, wanted = change.source, change.placed, change.wanted
    old, row = placed.tensor.kind, wanted.shape[0]
    if old == wanted.kind:
        data = source.read(placed.offset + at, size)
        if old in kernels.FLOATS and not kernels.valid(old, data):
            raise not_finite(wanted.name)
        return data
    lane = _lane(old, wanted.kind, row)
    before, after = gguf_writer.row_bytes(old, row), gguf_writer.row_bytes(wanted.kind, row)
    count = size // before
    made = _buffer(after * count, change.spare)
    for first in range(0, count, lane.rows):
        rows = min(lane.rows, count - first)
        source.read_into(placed.offset + at + first * before, lane.view[: rows * before])
        if not lane.change(rows, made, first * after):
            raise not_finite(wanted.name)
    if not kernels.valid(wanted.kind, made):
        raise not_finite(wanted.name)
    return made


def _buffer(size: int, spare: list[bytearray]) -> bytearray:
    """A buffer of this size, a used one if there is one: fresh memory costs a page fault every 4 KiB."""
    try:
        used = spare.pop()
    except IndexError:
        return bytearray(size)
    return used if len(used) == size else bytearray(size)


def _lane(old: str, new: str, row: int) -> kernels.Lane:
    """This thread's lane for this change; the last one is kept, since neighbours are mostly alike."""
    if getattr(_own, "of", None) != (old, new, row):
        _own.of, _own.lane = (old, new, row), kernels.Lane(old, new, row)
    lane: kernels.Lane = _own.lane
    return lane


if __name__ == "__main__":
    child(work)
