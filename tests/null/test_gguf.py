"""The reader of GGUF headers: what a sound file says, and that no unsound one gets through.

Promises: every malformation of the table is refused with a reason within 50 ms, a file cut anywhere is refused, and the header
of a large vocabulary is read within 500 ms (best of three each: the machine may be busy).
Does not cover: random bytes (`test_fuzz.py`), what llama.cpp makes of a file.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from homefire.errors import BadModelFile, InvalidRequest
from homefire.models import gguf as reader
from homefire.models.gguf import read_header
from homefire.models.library import PILOT_FILE
from tests.null.gguf_file import (
    ARCHITECTURE,
    ARRAY,
    BOOL,
    DATA,
    KEYS,
    Q4_K,
    Q8_0,
    STRING,
    TENSORS,
    U32,
    U64,
    array_key,
    gguf,
    key,
    small,
    string_key,
    tensor,
    text,
    u32_key,
)


def test_a_sound_file(tmp_path: Path) -> None:
    file = tmp_path / "small.gguf"
    file.write_bytes(small())
    header = read_header(file)
    assert (header.version, header.architecture, header.tensors) == (3, "llama", 2)
    assert (header.parameters, header.quantization, header.context_length) == (136, "Q8_0", 2048)
    assert header.description == "A small file for tests."
    assert header.keys["llama.rope.freq_base"] == 10000.0
    assert header.keys["llama.flag"] is True
    assert header.keys["tokenizer.ggml.tokens"] == 3, "of long arrays only the length is kept"
    assert header.keys["tokenizer.ggml.scores"] == 20
    assert header.keys["llama.shape"] == [1, 2, 3]


SOUND = {
    "version 2": gguf(KEYS, TENSORS, DATA, start=b"GGUF\x02\0\0\0"),
    "own alignment": gguf([*KEYS, u32_key("general.alignment", 64)], [tensor("t", (8,), 0, 0)], bytes(128)),
    "every dimension": gguf(KEYS, [tensor("t", (1, 2, 3, 4), 0, 0)], bytes(96)),
    "no description": gguf([ARCHITECTURE], [tensor("t", (1,), 0, 0)], bytes(32)),
    "bytes after the end": small() + b"more",
    "invalid utf-8": gguf([*KEYS, key("x", STRING, text(b"\xff\xfe"))], TENSORS, DATA),
    "empty array": gguf([*KEYS, array_key("x", STRING, 0, b"")], TENSORS, DATA),
    "one-dimensional and plain": gguf(KEYS, [tensor("t", (16,), 30, 0)], bytes(32)),
}


@pytest.mark.parametrize("name", SOUND)
def test_other_sound_files(name: str, tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(SOUND[name])
    assert read_header(file).architecture == "llama"


@pytest.mark.parametrize(
    ("kind", "value", "read"), [(U32, struct.pack("<I", 1 << 31), 0), (U64, struct.pack("<Q", 1 << 63), 0),
                                (5, struct.pack("<i", -1), 0), (STRING, text("many"), 0), (2, struct.pack("<H", 512), 512)]
)  # fmt: skip
def test_a_silly_context_length_reads_as_unknown(kind: int, value: bytes, read: int, tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(gguf([ARCHITECTURE, key("llama.context_length", kind, value)], TENSORS, DATA))
    assert read_header(file).context_length == read


def one(row: bytes, data: bytes = DATA) -> bytes:
    """A file with this one tensor."""
    return gguf(KEYS, [row], data)


def with_key(row: bytes) -> bytes:
    """A sound file but for this key."""
    return gguf([*KEYS, row], TENSORS, DATA)


def aligned(value: bytes, kind: int = U32) -> bytes:
    return gguf([*KEYS, key("general.alignment", kind, value)], TENSORS, DATA)


HUGE = 1 << 62
BAD = {
    "empty": b"",
    "magic only": b"GGUF",
    "23 bytes": small()[:23],
    "wrong magic": b"GGML" + small()[4:],
    "reversed magic": b"FUGG" + small()[4:],
    "a zip": b"PK\x03\x04" + bytes(100),
    "big endian": b"GGUF" + struct.pack(">IQQ", 3, 2, 9) + small()[24:],
    "version 0": gguf(KEYS, TENSORS, DATA, start=b"GGUF\0\0\0\0"),
    "version 1": gguf(KEYS, TENSORS, DATA, start=b"GGUF\x01\0\0\0"),
    "version 4": gguf(KEYS, TENSORS, DATA, start=b"GGUF\x04\0\0\0"),
    "huge key count": gguf(KEYS, TENSORS, DATA, key_count=HUGE),
    "huge tensor count": gguf(KEYS, TENSORS, DATA, tensor_count=HUGE),
    "negative counts": gguf(KEYS, TENSORS, DATA, key_count=(1 << 64) - 1, tensor_count=(1 << 64) - 1),
    "most keys allowed": gguf(KEYS, TENSORS, DATA, key_count=reader.MAX_KEYS),
    "most tensors allowed": gguf(KEYS, TENSORS, DATA, tensor_count=reader.MAX_TENSORS),
    "a key too many": gguf(KEYS, TENSORS, DATA, key_count=len(KEYS) + 1),
    "a tensor too many": gguf(KEYS, TENSORS, DATA, tensor_count=3),
    "no tensors": gguf(KEYS, [], DATA),
    "no keys": gguf([], TENSORS, DATA),
    "no architecture": gguf(KEYS[1:], TENSORS, DATA),
    "empty architecture": gguf([string_key("general.architecture", "")], TENSORS, DATA),
    "number for architecture": gguf([u32_key("general.architecture", 1)], TENSORS, DATA),
    "key's name huge": with_key(struct.pack("<Q", HUGE) + b"x"),
    "key's name past 64 KiB": with_key(text("k" * 65_536) + struct.pack("<IB", 0, 1)),
    "key's name past the end": with_key(struct.pack("<Q", 60_000) + b"x"),
    "text huge": with_key(key("x", STRING, struct.pack("<Q", HUGE))),
    "text past the end": with_key(key("x", STRING, struct.pack("<Q", 1 << 19))),
    "text that wraps 64 bits": with_key(key("x", STRING, struct.pack("<Q", (1 << 64) - 8))),
    "array huge": with_key(array_key("x", 0, HUGE, b"")),
    "array past the end": with_key(array_key("x", 0, 1 << 21, b"")),
    "array that wraps 64 bits": with_key(array_key("x", U64, 1 << 61, b"")),
    "texts past the end": with_key(array_key("x", STRING, 1 << 21, text("a"))),
    "text in an array huge": with_key(array_key("x", STRING, 2, struct.pack("<QQ", HUGE, HUGE))),
    "text in an array past the end": with_key(array_key("x", STRING, 2, text("a") + struct.pack("<Q", 1 << 19))),
    "array of arrays": with_key(array_key("x", ARRAY, 1, struct.pack("<IQ", 0, 0))),
    "array of unknown": with_key(array_key("x", 13, 1, b"\0")),
    "unknown type": with_key(key("x", 13, b"\0")),
    "type huge": with_key(key("x", 0xFFFFFFFF, b"\0")),
    "key twice": with_key(u32_key("llama.context_length", 1)),
    "tensor twice": gguf(KEYS, [TENSORS[0], tensor("blk.weight", (8,), 0, 160)], DATA),
    "alignment 0": aligned(struct.pack("<I", 0)),
    "alignment 3": aligned(struct.pack("<I", 3)),
    "alignment 2^31": aligned(struct.pack("<I", 1 << 31)),
    "alignment 2^63": aligned(struct.pack("<Q", 1 << 63), U64),
    "alignment true": aligned(b"\1", BOOL),
    "alignment 32 in 64 bits": aligned(struct.pack("<Q", 32), U64),
    "alignment as text": aligned(text("32"), STRING),
    "no dimensions": one(tensor("t", (), 0, 0)),
    "5 dimensions": one(tensor("t", (1, 1, 1, 1, 1), 0, 0)),
    "dimensions huge": one(tensor("t", (1,), 0, 0, dimensions=0xFFFFFFFF)),
    "dimension of 0": one(tensor("t", (4, 0), 0, 0)),
    "elements overflow": one(tensor("t", (1 << 32, 1 << 32), 0, 0)),
    "elements wrap to 0": one(tensor("t", (1 << 62, 4), 0, 0)),
    "elements of 256 bits": one(tensor("t", ((1 << 64) - 1,) * 4, 0, 0)),
    "negative dimension": one(tensor("t", ((1 << 64) - 1,), 0, 0)),
    "bytes overflow": one(tensor("t", (1 << 48,), 27, 0)),
    "unknown tensor type": one(tensor("t", (8,), 99, 0)),
    "removed tensor type": one(tensor("t", (32,), 4, 0)),
    "tensor's name huge": one(struct.pack("<Q", HUGE)),
    "one-dimensional and quantized": one(tensor("t", (256,), Q4_K, 0)),
    "rows that do not divide": one(tensor("t", (33, 32), Q8_0, 0)),
    "offset unaligned": one(tensor("t", (8,), 0, 4)),
    "offset past the end": one(tensor("t", (8,), 0, 1 << 40)),
    "offset wraps 64 bits": one(tensor("t", (8,), 0, (1 << 64) - 32)),
    "size past the end": one(tensor("t", (49,), 0, 0)),
    "end past the end": one(tensor("t", (8,), 0, 192)),
    "no data": gguf(KEYS, TENSORS),
    "data short by a byte": small()[:-1],
    "last vector short by a byte": gguf(KEYS, TENSORS, DATA[:191]),
}


@pytest.mark.parametrize("name", BAD)
def test_an_unsound_file_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(BAD[name])

    with pytest.raises(BadModelFile) as caught:
        read_header(file)
    assert caught.value.message.startswith("x.gguf is not a sound GGUF file: ")
    assert len(caught.value.message) < 600


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = small()
    file = tmp_path / "cut.gguf"
    for length in range(len(whole) - len(DATA) + 160 + 32):
        file.write_bytes(whole[:length])
        with pytest.raises(BadModelFile):
            read_header(file)
    file.write_bytes(whole)
    assert read_header(file).tensors == 2


def test_a_cut_file_is_called_cut(tmp_path: Path) -> None:
    file = tmp_path / "cut.gguf"
    for length in (60, len(small()) - 200, len(small()) - 1):
        file.write_bytes(small()[:length])
        with pytest.raises(BadModelFile, match=r"\(truncated\?\)"):
            read_header(file)


def test_the_header_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_HEADER_BYTES", 1 << 16)
    monkeypatch.setattr(reader, "PIECE", 1 << 12)
    file = tmp_path / "x.gguf"
    file.write_bytes(with_key(array_key("x", 0, 1 << 16, bytes(1 << 16))))
    with pytest.raises(BadModelFile, match="longer than"):
        read_header(file)


def test_a_file_of_several_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(small())
    whole = read_header(file)
    for piece in (1, 7, 64):
        monkeypatch.setattr(reader, "PIECE", piece)
        assert read_header(file) == whole


def test_a_large_vocabulary_is_read(tmp_path: Path) -> None:
    tokens = b"".join(text(f"token{number}") for number in range(300_000))
    merges = b"".join(text(f"tok{number} en{number}") for number in range(300_000))
    vocabulary = [
        array_key("tokenizer.ggml.tokens", STRING, 300_000, tokens),
        array_key("tokenizer.ggml.merges", STRING, 300_000, merges),
        array_key("tokenizer.ggml.scores", 6, 300_000, bytes(1_200_000)),
    ]
    file = tmp_path / "large.gguf"
    file.write_bytes(gguf([*KEYS[:3], *vocabulary], TENSORS, DATA))
    assert read_header(file).keys["tokenizer.ggml.merges"] == 300_000


@pytest.mark.parametrize("what", ["missing", "folder", "pipe", "\0"])
def test_what_is_no_file_is_refused_at_once(what: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidRequest, match="cannot be read") as caught:
        read_header(tmp_path / what)
    assert caught.value.param == "path"


def test_the_built_in_model_is_sound() -> None:
    header = read_header(PILOT_FILE)
    assert header.architecture and header.tensors and header.context_length
