"""The child that makes an ONNX graph of an embedding model's GGUF file: neither numpy nor onnx runs in the daemon.

Run as `python -m homefire.daemon.graph_child JSON` (see `models/task.py`): {"source": path, "bits": 7 or 8}.
Promises: the graph appears whole or not at all; a file that cannot be one raises UnsupportedModel with the reason.
Does not cover: what stands in the graph (`engines/onnx_graph.py`), split files.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

from homefire.engines import onnx_graph
from homefire.errors import PackageMissing, UnsupportedModel
from homefire.models.gguf_source import GgufSource
from homefire.models.task import Progress, child
from homefire.paths import sync_folder


def work(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Does it; returns width and context."""
    target, part = Path(arguments["target"]), Path(arguments["beside"])
    with GgufSource(Path(arguments["source"])) as source:
        if why := onnx_graph.refusal(source.header.keys):
            raise UnsupportedModel(f"{source.name} cannot run in ONNX Runtime: {why}.", param="model")
        bert = onnx_graph.Bert(source.header.keys, texts(source.keys["tokenizer.ggml.tokens"]), Weights(source))
        try:
            made = onnx_graph.write(bert, part, arguments["bits"])
        except ImportError as problem:
            raise PackageMissing(f"A graph cannot be made: {problem}.", "pip install 'homefire[onnx]'") from None
        except ValueError as problem:
            raise UnsupportedModel(f"{source.name} cannot run in ONNX Runtime: {problem}.", param="model") from None
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
    sync_folder(target.parent)
    return made


class Weights:
    """The tensors of one file by name, as numpy arrays in 32 bits."""

    def __init__(self, source: GgufSource) -> None:
        self._source = source
        self._placed = {each.tensor.name: each for each in source.tensors}

    def __call__(self, name: str) -> Any:
        """Rows as the file has them. Raises UnsupportedModel for a type of weights that is not read here."""
        import numpy

        if (placed := self._placed.get(name)) is None:
            raise UnsupportedModel(f"The model has no tensor '{name}'.", param="model")
        tensor = placed.tensor
        data, shape = self._source.read(placed.offset, tensor.size), tuple(reversed(tensor.shape))
        match tensor.kind:
            case "F32" | "F16":
                return numpy.frombuffer(data, "<f4" if tensor.kind == "F32" else "<f2").astype("f4").reshape(shape)
            case "BF16":  # the upper half of 32 bits
                return (numpy.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
            case "Q8_0":  # blocks of 32: a scale in 16 bits, then 32 bytes
                blocks = numpy.frombuffer(data, [("scale", "<f2"), ("values", "i1", 32)])
                return (blocks["scale"].astype("f4")[:, None] * blocks["values"]).reshape(shape)
        raise UnsupportedModel(f"Weights of the type {tensor.kind} are not made into a graph.", param="model")


def texts(value: bytes) -> list[str]:
    """A list of texts as it stands in the file: two numbers of type, the count, then each with its length before it."""
    (count,) = struct.unpack_from("<Q", value, 8)
    found, at = [], 16
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", value, at)
        found.append(value[at + 8 : at + 8 + length].decode("utf-8", "replace"))
        at += 8 + length
    return found


if __name__ == "__main__":
    child(work)
