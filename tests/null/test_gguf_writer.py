"""The writer of GGUF files: what it lays out, and that a failure leaves nothing.

Promises: its bytes equal those written by hand from the format's description, the reader of headers takes them, two runs are
equal, and a tensor with too few or too many bytes is an error that leaves no file.
Does not cover: what llama.cpp makes of a file (`tests/process/test_convert_models.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from homefire.models.gguf import read_header
from homefire.models.gguf_source import GgufSource
from homefire.models.gguf_writer import (
    Tensor,
    Value,
    boolean,
    f32,
    header,
    i32s,
    padded,
    row_bytes,
    text,
    texts,
    total_size,
    u32,
    write,
)
from tests.null import gguf_file as by_hand

KEYS: dict[str, Value] = {
    "general.architecture": text("llama"),
    "general.name": text("schön"),
    "llama.context_length": u32(2048),
    "llama.rope.freq_base": f32(10000.0),
    "llama.flag": boolean(True),
    "tokenizer.ggml.tokens": texts(["a", "bc", ""]),
    "tokenizer.ggml.token_type": i32s([1, -3, 6]),
}
TENSORS = [Tensor("blk.0.weight", (64, 2), "Q8_0"), Tensor("norm.weight", (8,), "F32")]


def zeros(tensor: Tensor) -> Iterator[bytes]:
    """Its bytes in two pieces."""
    yield bytes(5)
    yield bytes(tensor.size - 5)


def test_it_is_what_the_format_says(tmp_path: Path) -> None:
    expected = by_hand.gguf(
        [
            by_hand.string_key("general.architecture", "llama"),
            by_hand.string_key("general.name", "schön"),
            by_hand.u32_key("llama.context_length", 2048),
            by_hand.key("llama.rope.freq_base", by_hand.F32, struct.pack("<f", 10000.0)),
            by_hand.key("llama.flag", by_hand.BOOL, b"\1"),
            by_hand.array_key("tokenizer.ggml.tokens", by_hand.STRING, 3, b"".join(map(by_hand.text, ("a", "bc", "")))),
            by_hand.array_key("tokenizer.ggml.token_type", 5, 3, struct.pack("<3i", 1, -3, 6)),
        ],
        [by_hand.tensor("blk.0.weight", (64, 2), by_hand.Q8_0, 0), by_hand.tensor("norm.weight", (8,), 0, 160)],
        bytes(160 + 32),
    )
    file = tmp_path / "x.gguf"
    assert write(file, KEYS, TENSORS, zeros) == len(expected) == total_size(KEYS, TENSORS)
    assert file.read_bytes() == expected
    assert [each.name for each in tmp_path.iterdir()] == ["x.gguf"]


def test_the_reader_takes_it_and_gives_every_key_back(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    write(file, KEYS, TENSORS, zeros)
    assert read_header(file).keys["general.name"] == "schön"
    with GgufSource(file) as source:
        assert source.keys == KEYS
        assert [placed.tensor for placed in source.tensors] == TENSORS
        start = len(header(KEYS, TENSORS))
        assert [placed.offset for placed in source.tensors] == [start, start + 160]


def test_two_runs_are_equal(tmp_path: Path) -> None:
    write(tmp_path / "a", KEYS, TENSORS, zeros)
    write(tmp_path / "b", KEYS, TENSORS, zeros)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("off", [-1, 1, 32])
def test_a_tensor_with_wrong_bytes_leaves_no_file(off: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"norm\.weight"):
        write(tmp_path / "x", KEYS, TENSORS, lambda t: [bytes(t.size + (off if t.name == "norm.weight" else 0))])
    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")

    def fails(tensor: Tensor) -> Iterator[bytes]:
        yield bytes(1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write(tmp_path / "x", KEYS, TENSORS, fails)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("x", b"old")]


def test_sizes() -> None:
    assert Tensor("t", (256, 3, 2), "Q4_K").size == 144 * 6
    assert row_bytes("Q6_K", 512) == 420
    assert [padded(size) for size in (0, 1, 32, 33)] == [0, 32, 32, 64]
    with pytest.raises(ValueError, match="Q4_K"):
        row_bytes("Q4_K", 128)
