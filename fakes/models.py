"""Model files made from the pilot by changing bytes: one that never ends an answer, and damaged ones.

Promises: the originals are never touched; `endless` is a whole, loadable model whose answers go on until a limit ends them,
so that a test can be in the middle of an answer for seconds.
Does not cover: files that our own header reader refuses (`tests/null/` has those).
"""

from __future__ import annotations

import struct
from pathlib import Path

_EOS_KEY = b"tokenizer.ggml.eos_token_id"
_CONTEXT_KEY = b"llama.context_length"
_LONG = 8192
# Token 3 is a lone byte that text almost never holds; as the end of an answer it is as good as none.
_NEVER = 3


def endless(pilot: Path, target: Path) -> Path:
    """A copy of the pilot that does not know how to end an answer."""
    data = bytearray(pilot.read_bytes())
    for word in (b"<|im_end|>", b"<|endoftext|>"):
        # Same length, so that no length in the file changes; llama.cpp knows the originals by their text.
        data = data.replace(word, word.replace(b"e", b"q"))
    _set(data, _EOS_KEY, _NEVER)
    _set(data, _CONTEXT_KEY, _LONG)
    target.write_bytes(data)
    return target


def without_tokenizer(pilot: Path, target: Path) -> Path:
    """A copy whose tokenizer's key is misspelt: the header is sound, llama.cpp cannot load it."""
    target.write_bytes(pilot.read_bytes().replace(b"tokenizer.ggml.model", b"tokenizer.ggml.mudel"))
    return target


def truncated(pilot: Path, target: Path) -> Path:
    """A copy that ends in the middle of its tensors."""
    data = pilot.read_bytes()
    target.write_bytes(data[: len(data) // 2])
    return target


def _set(data: bytearray, key: bytes, value: int) -> None:
    at = data.index(key) + len(key)
    (kind,) = struct.unpack_from("<I", data, at)
    assert kind == 4, "the key holds a 32-bit number"
    struct.pack_into("<I", data, at + 4, value)
