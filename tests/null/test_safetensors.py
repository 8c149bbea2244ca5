"""The reader of safetensors headers: what a sound file says, that no unsound one gets through, and that no pickle does.

Promises: every malformation of the table is refused with a reason within 50 ms, a file cut anywhere is refused, 10,000 damaged
files give the header or a refusal and nothing else, and the header of 20,000 tensors is read within 500 ms (best of three).
Does not cover: the weights' values.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import BadModelFile, InvalidRequest, PickleRefused
from homefire.models import safetensors as reader
from homefire.models.safetensors import read_safetensors, refuse_pickle

Rows = dict[str, Any]


def row(dtype: str, shape: list[Any], begin: Any, end: Any) -> Rows:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


ROWS: Rows = {"__metadata__": {"format": "pt"}, "b": row("F16", [3], 16, 22), "a": row("F32", [2, 2], 0, 16)}


def file_of(header: Rows | bytes, data: int = 22, length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + bytes(data)


def with_row(**changed: Any) -> bytes:
    """A file of one tensor of 4 floats with something of it changed."""
    return file_of({"t": {**row("F32", [4], 0, 16), **changed}}, 16)


def test_a_sound_file(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(file_of(ROWS))
    header = read_safetensors(file)
    assert [(span.name, span.dtype, span.shape) for span in header.tensors] == [
        ("a", "F32", (2, 2)),
        ("b", "F16", (3,)),
    ]
    at = header.data_at
    assert [(span.begin - at, span.end - at) for span in header.tensors] == [(0, 16), (16, 22)]
    assert header.tensors[-1].end == header.size_bytes == file.stat().st_size
    assert (header.parameters, header.notes) == (7, {"format": "pt"})


SOUND = {
    "padded header": file_of(json.dumps(ROWS).encode() + b"   "),
    "no notes": file_of({"t": row("I64", [1], 0, 8)}, 8),
    "a scalar": file_of({"t": row("F64", [], 0, 8)}, 8),
    "an empty tensor": file_of({"t": row("F32", [0, 5], 0, 0), "u": row("U8", [1], 0, 1)}, 1),
    "header of 640 bytes, which begins as a pickle does": file_of(json.dumps(ROWS).encode().ljust(640)),
    "header of 1,152 bytes": file_of(json.dumps(ROWS).encode().ljust(1152)),
    "half bytes": file_of({"t": row("F4", [4], 0, 2)}, 2),
    "three quarters": file_of({"t": row("F6_E2M3", [4], 0, 3)}, 3),
}


@pytest.mark.parametrize("name", SOUND)
def test_other_sound_files(name: str, tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(SOUND[name])
    assert read_safetensors(file).tensors


BAD = {
    "empty": b"",
    "nine bytes": bytes(9),
    "header of nothing": file_of(b"", 10),
    "length past the end": file_of(ROWS, 0, length=10_000),
    "length past the cap": file_of(ROWS, 22, length=reader.MAX_HEADER_BYTES + 1),
    "length past the format's cap": file_of(ROWS, 22, length=reader.FORMAT_HEADER_BYTES + 1),
    "length of 64 bits": file_of(ROWS, 22, length=(1 << 64) - 1),
    "no JSON": file_of(b"{no", 22),
    "a list": file_of(b"[1, 2, 3]", 22),
    "space before": file_of(b" " + json.dumps(ROWS).encode(), 22),
    "invalid utf-8": file_of(b'{"\xff": 1}', 22),
    "deep": file_of(b'{"a":' + b"[" * 100_000, 22),
    "deep and closed": file_of(b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 22),
    "a number of 10,000 digits": file_of(b'{"a":' + b"9" * 10_000 + b"}", 22),
    "not a number": file_of(b'{"t": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 16]}}', 16),
    "more after the JSON": file_of(json.dumps(ROWS).encode() + b"{}", 22),
    "no tensors": file_of({"__metadata__": {}}, 0),
    "notes that are no texts": file_of({**ROWS, "__metadata__": {"a": 1}}),
    "notes that are a text": file_of({**ROWS, "__metadata__": "pt"}),
    "a tensor twice": file_of(b'{"t": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},'
                              b' "t": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]}}', 1),
    "a field twice": file_of(b'{"t": {"dtype": "U8", "dtype": "I8", "shape": [1], "data_offsets": [0, 1]}}', 1),
    "a tensor that is a text": file_of({"t": "F32"}, 16),
    "no dtype": file_of({"t": {"shape": [4], "data_offsets": [0, 16]}}, 16),
    "another field": with_row(extra=1),
    "unknown dtype": with_row(dtype="F128"),
    "a dtype that is a number": with_row(dtype=32),
    "shape that is a number": with_row(shape=4),
    "negative dimension": with_row(shape=[-4]),
    "two negative dimensions": with_row(shape=[-2, -2]),
    "a fraction of a dimension": with_row(shape=[4.0]),
    "a dimension that is true": with_row(shape=[True, 4]),
    "nine dimensions": with_row(shape=[1] * 8 + [4]),
    "elements overflow": with_row(shape=[1 << 40, 1 << 40]),
    "elements wrap to 4": with_row(shape=[(1 << 62) + 1, 4]),
    "three offsets": with_row(data_offsets=[0, 8, 16]),
    "negative offset": with_row(data_offsets=[-16, 0]),
    "offsets reversed": with_row(data_offsets=[16, 0]),
    "offset past the end": with_row(data_offsets=[16, 32]),
    "offset of 64 bits": with_row(data_offsets=[(1 << 64) - 16, 1 << 64]),
    "fewer bytes than the shape wants": with_row(shape=[5]),
    "more bytes than the shape wants": with_row(shape=[3]),
    "half a byte": file_of({"t": row("F4", [3], 0, 1)}, 1),
    "gap before the first": file_of({"t": row("F32", [4], 4, 20)}, 20),
    "gap between": file_of({"t": row("F32", [4], 0, 16), "u": row("U8", [1], 17, 18)}, 18),
    "overlap": file_of({"t": row("F32", [4], 0, 16), "u": row("U8", [4], 14, 18)}, 18),
    "the same bytes twice": file_of({"t": row("F32", [4], 0, 16), "u": row("F32", [4], 0, 16)}, 16),
    "bytes after the last": file_of(ROWS, 23),
    "a name of 5,000 bytes": file_of({"n" * 5000: row("F32", [4], 0, 16)}, 16),
    "data short by a byte": file_of(ROWS, 21),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_an_unsound_file_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(BAD[name])

    with pytest.raises(BadModelFile) as caught:
        read_safetensors(file)
    assert caught.value.message.startswith("x.safetensors is not a sound safetensors file: ")
    assert len(caught.value.message) < 400


def test_the_reason_is_the_right_one(tmp_path: Path) -> None:
    reasons = {
        "gap between": "leaves 1 bytes free", "overlap": "overlaps", "a tensor twice": "stands in it twice",
        "data short by a byte": "truncated", "bytes after the last": "1 bytes follow", "unknown dtype": "F128",
        "length past the format's cap": "more than the format allows", "deep": "not JSON",
        "length past the cap": f"more than {reader.MAX_HEADER_BYTES:,}", "length past the end": "goes on to 10,008",
    }  # fmt: skip
    for name, reason in reasons.items():
        file = tmp_path / "x.safetensors"
        file.write_bytes(BAD[name])
        with pytest.raises(BadModelFile, match=reason):
            read_safetensors(file)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = file_of(ROWS)
    file = tmp_path / "cut.safetensors"
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(BadModelFile):
            read_safetensors(file)


def test_ten_thousand_damaged_files(tmp_path: Path) -> None:
    """Bytes flipped, cut out, doubled and put in: each file is read or refused, and what is read lies inside the file."""
    dice = random.Random(4)
    file = tmp_path / "x.safetensors"
    whole, tokens = (
        file_of(ROWS),
        [b"[", b"{", b"}", b"-", b"9" * 30, b'"', b"null", b"1e9", b"\\ud800", b"\x80\x02", b","],
    )
    read = 0
    for _ in range(10_000):
        raw = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(raw) or 1)
            match dice.randrange(5):
                case 0 if raw:
                    raw[at] = dice.randrange(256)
                case 1:
                    del raw[at : at + dice.randint(1, 9)]
                case 2:
                    raw[at:at] = raw[at : at + dice.randint(1, 20)]
                case 3:
                    raw[at:at] = dice.choice(tokens)
                case _:
                    digits = [i for i, byte in enumerate(raw) if 48 <= byte <= 57]
                    raw[dice.choice(digits)] = dice.randint(48, 57) if digits else 0
        file.write_bytes(raw)
        try:
            header = read_safetensors(file)
        except BadModelFile:
            continue
        read += 1
        assert header.tensors[0].begin == header.data_at and header.tensors[-1].end == len(raw)
    assert 50 < read < 5000, "some damage is harmless (a letter of a name), most is not"


def test_a_header_of_20_000_tensors_is_read(tmp_path: Path) -> None:
    rows = {f"model.layers.{i}.self_attn.q_proj.weight": row("BF16", [8], 16 * i, 16 * i + 16) for i in range(20_000)}
    file = tmp_path / "large.safetensors"
    file.write_bytes(file_of(rows, 320_000))
    assert len(read_safetensors(file).tensors) == 20_000


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "x.PTH", "v1-5.ckpt", "model.pkl"])
def test_a_pickle_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(PickleRefused, match="runs the program inside it") as caught:
        refuse_pickle(name)
    assert caught.value.code == "pickle_refused" and ".safetensors" in caught.value.next_step
    (tmp_path / name).write_bytes(file_of(ROWS))
    with pytest.raises(PickleRefused):
        read_safetensors(tmp_path / name)


def test_a_pickle_is_refused_under_another_name_and_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    for protocol in (2, 3, 4, 5):
        file = tmp_path / "model.safetensors"
        file.write_bytes(pickle.dumps(Trap(), protocol) + bytes(64))
        with pytest.raises(PickleRefused, match="looks like a Python pickle"):
            read_safetensors(file)
    with zipfile.ZipFile(tmp_path / "zip.safetensors", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Trap()))
    with pytest.raises(PickleRefused):
        read_safetensors(tmp_path / "zip.safetensors")
    assert not (tmp_path / "sprung").exists()


def test_what_is_no_pickle_passes() -> None:
    for name, start in (
        ("model.safetensors", b""),
        ("model.gguf", b"GGUF"),
        ("whisper.bin", b"lmgg"),
        ("odd.bin", b"GGUF\x03"),
    ):
        refuse_pickle(name, start)


@pytest.mark.parametrize("what", ["missing", "folder", "pipe", "\0"])
def test_what_is_no_file_is_refused_at_once(what: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_safetensors(tmp_path / what)
