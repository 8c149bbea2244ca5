"""An embedding model of a few kilobytes: a BERT with random weights, thirteen words and 64 positions, made by our own converter.

Promises: a GGUF file that llama.cpp loads and that makes vectors of `WIDTH` values, each time the same bytes.
Does not cover: vectors that mean anything (`tests/process/test_minilm.py` has the real model).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from homefire.models.convert import convert
from tests.null import safetensors_folder as tiny

SIZE = tiny.Size()
WIDTH, POSITIONS = SIZE.width, 64


def make(folder: Path, pooling: bool = True) -> Path:
    """Writes the folder of safetensors and converts it; returns the GGUF file. Without `pooling` its header does not say how
    the vectors of a text's tokens become one."""
    source = tiny.write_folder(
        folder / "tiny-bert", tiny.bert_config(SIZE), tiny.wordpiece(), tiny.bert_weights(SIZE), "F32"
    )
    file = folder / "tiny-bert.gguf"
    asyncio.run(convert(source, file, "F32"))
    if not pooling:
        data = file.read_bytes()
        assert data.count(b"pooling_type") == 1
        file.write_bytes(data.replace(b"pooling_type", b"pooling_tipe"))
    return file
