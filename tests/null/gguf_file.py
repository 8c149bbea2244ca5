"""Writes GGUF files, sound and unsound, byte by byte.

Promises: `gguf` lays out exactly what it is given, also where that is wrong; `small` is a sound file of about 700 bytes.
Does not cover: weights that mean anything.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

U32, F32, BOOL, STRING, ARRAY, U64 = 4, 6, 7, 8, 9, 10
Q8_0, Q4_K = 8, 12


def text(value: str | bytes) -> bytes:
    """A string as GGUF has it."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def key(name: str | bytes, kind: int, value: bytes) -> bytes:
    """One metadata key of any kind."""
    return text(name) + struct.pack("<I", kind) + value


def string_key(name: str, value: str) -> bytes:
    """A key that holds text."""
    return key(name, STRING, text(value))


def u32_key(name: str, value: int) -> bytes:
    """A key that holds a number."""
    return key(name, U32, struct.pack("<I", value))


def array_key(name: str, element: int, count: int, data: bytes) -> bytes:
    """A key that holds an array, whose count may lie."""
    return key(name, ARRAY, struct.pack("<IQ", element, count) + data)


def tensor(name: str, shape: Sequence[int], kind: int, offset: int, dimensions: int | None = None) -> bytes:
    """One row of the table of tensors."""
    count = len(shape) if dimensions is None else dimensions
    return text(name) + struct.pack("<I", count) + struct.pack(f"<{len(shape)}QIQ", *shape, kind, offset)


def gguf(
    keys: Sequence[bytes],
    tensors: Sequence[bytes],
    data: bytes = b"",
    *,
    start: bytes = b"GGUF\x03\0\0\0",
    tensor_count: int | None = None,
    key_count: int | None = None,
) -> bytes:
    """A whole file; the data begins at the next multiple of 32."""
    counts = struct.pack(
        "<QQ", len(tensors) if tensor_count is None else tensor_count, len(keys) if key_count is None else key_count
    )
    head = start + counts + b"".join(keys) + b"".join(tensors)
    return head + b"\0" * (-len(head) % 32) + data


ARCHITECTURE = string_key("general.architecture", "llama")
KEYS = (
    ARCHITECTURE,
    string_key("general.name", "small"),
    string_key("general.description", "A small file for tests."),
    u32_key("llama.context_length", 2048),
    key("llama.rope.freq_base", F32, struct.pack("<f", 10000.0)),
    key("llama.flag", BOOL, b"\1"),
    array_key("tokenizer.ggml.tokens", STRING, 3, text("a") + text("bc") + text("")),
    array_key("tokenizer.ggml.scores", F32, 20, struct.pack("<20f", *range(20))),
    array_key("llama.shape", U32, 3, struct.pack("<3I", 1, 2, 3)),
)
# 64 x 2 in blocks of 32 (34 bytes each), padded to 160; then a vector of 8 floats.
TENSORS = (tensor("blk.weight", (64, 2), Q8_0, 0), tensor("norm.weight", (8,), 0, 160))
DATA = bytes(160 + 32)


def small() -> bytes:
    """A sound file."""
    return gguf(KEYS, TENSORS, DATA)
