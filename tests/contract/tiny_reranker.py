"""A reranker of a few kilobytes: the tiny BERT with a head of random weights that gives a pair of texts one score.

Promises: a GGUF file of the kind "rerank" that llama.cpp loads; the same pair always has the same score.
Does not cover: scores that mean anything.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from homefire.models import gguf_writer
from homefire.models.convert import plan
from homefire.models.convert_child import converted
from homefire.models.gguf_writer import Tensor, u32
from homefire.models.installed import RANK
from homefire.models.tensor_files import TensorFiles
from tests.null import safetensors_folder as tiny

SIZE = tiny.Size()
HEAD = (
    Tensor("cls.weight", (SIZE.width, SIZE.width), "F32"),
    Tensor("cls.bias", (SIZE.width,), "F32"),
    Tensor("cls.output.weight", (SIZE.width, 1), "F32"),
    Tensor("cls.output.bias", (1,), "F32"),
)


def make(folder: Path) -> Path:
    """Writes the folder of safetensors and the GGUF file; returns the latter."""
    source = tiny.write_folder(
        folder / "tiny-reranker", tiny.bert_config(SIZE), tiny.wordpiece(), tiny.bert_weights(SIZE), "F32"
    )
    file = folder / "tiny-reranker.gguf"
    with TensorFiles(sorted(source.glob("*.safetensors"))) as weights:
        made = plan(source, weights, "F32", "tiny-reranker")
        jobs = {job.tensor.name: job for job in made.jobs}
        numbers = random.Random(2)

        def pieces(tensor: Tensor) -> Iterator[bytes | bytearray]:
            if tensor.name in jobs:
                yield from converted(weights, jobs[tensor.name])
            else:
                yield tiny.packed([numbers.uniform(-1, 1) for _ in range(tensor.elements)], "F32")

        keys = made.keys | {"bert.pooling_type": u32(RANK)}
        gguf_writer.write(file, keys, [*(job.tensor for job in made.jobs), *HEAD], pieces)
    return file
