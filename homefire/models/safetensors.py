"""A bounded reader of safetensors headers, and the refusal of everything that is a pickle.

Format (the safetensors project's README): 8 bytes with the header's length, little endian; the header, a JSON object from a
tensor's name to its dtype, shape and [begin, end) in the data; then the data, which the tensors fill without gap and overlap.
Promises: reads the header only; every length, shape and offset is checked against the file's size before anything is believed;
raises BadModelFile with the reason, PickleRefused for a pickle under whatever name, and nothing else, whatever the bytes are.
Does not cover: the weights' values, sharded models as a whole (each part is a file like any other).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from homefire.errors import BadModelFile, InvalidRequest, PickleRefused

# The format allows 100 MB. Real headers of 2026 stay below 2 MB (a part of some thousand tensors); parsed JSON takes ten times
# the memory of its text, so more than this is not worth believing.
FORMAT_HEADER_BYTES = 100_000_000
MAX_HEADER_BYTES = 8 << 20
MAX_TENSORS = 65_536
MAX_NAME_BYTES = 4096
MAX_DIMENSIONS = 8

# dtype -> bits an element, from the safetensors crate (`tensor.rs`, Dtype::bitsize).
BITS: dict[str, int] = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill"})
# How other kinds begin that are no pickle though they may be called .bin: GGUF, and whisper.cpp's older ggml.
_NO_PICKLE = (b"GGUF", b"lmgg")


@dataclass(frozen=True, slots=True)
class Span:
    """A tensor: its dtype, its shape (the slowest dimension first), and where its bytes are in the file, [begin, end)."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    """The tensors by their place in the file, and what the writer noted."""

    tensors: tuple[Span, ...]
    notes: dict[str, str] = field(repr=False)
    data_at: int
    size_bytes: int

    @property
    def parameters(self) -> int:
        """Elements of all tensors."""
        return sum(tensor.elements for tensor in self.tensors)


def refuse_pickle(name: str, start: bytes = b"") -> None:
    """Raises PickleRefused if a file of this name, or one that begins with `start` (its first 8 bytes, if known), is a pickle.

    A name is enough to refuse: what cannot be read safely is not fetched at all. `start` clears a `.bin` that is a GGUF or ggml
    file, and finds a pickle under another name: 0x80 and the protocol, or a zip archive, as torch.save writes it.
    """
    suffix = Path(name).suffix.lower()
    if start.startswith(_NO_PICKLE):
        return
    if suffix in PICKLES:
        what = f"files that end in '{suffix}' are Python pickles"
    elif _looks_pickled(start):
        what = "what is in it looks like a Python pickle"
    else:
        return
    raise PickleRefused(f"{Path(name).name[:120]} is refused: {what}, and reading a pickle runs the program inside it.")


def _looks_pickled(start: bytes) -> bool:
    # A safetensors header of 640 bytes begins with 80 02 too, but then come zeros: the rest of its length.
    protocol = start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and any(start[3:8])
    return protocol or start.startswith(b"PK\x03\x04")


def read_safetensors(path: Path) -> SafetensorsHeader:
    """The checked header of the file at `path`.

    Raises BadModelFile with what is wrong, PickleRefused, and InvalidRequest if the file cannot be read at all.
    """
    if not path.is_file():  # a pipe would make `open` wait for ever
        raise InvalidRequest(f"{path} cannot be read: there is no such file.", param="path")
    try:
        with path.open("rb") as file:
            start = file.read(8)
            refuse_pickle(path.name, start)
            size = file.seek(0, 2)
            file.seek(8)
            return _read(file, start, size, path.name)
    except OSError as problem:
        raise InvalidRequest(f"{path} cannot be read: {problem.strerror}.", param="path") from None


class _Parser:
    """The checks; `refuse` names the file."""

    def __init__(self, name: str) -> None:
        self._name = name

    def refuse(self, why: str) -> NoReturn:
        raise BadModelFile(f"{self._name} is not a sound safetensors file: {why}.")

    def once(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """A JSON object whose keys are all different: other readers take the first of two, or the last."""
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1) if len(names) <= 1000 else "(one of many)"
            self.refuse(f"'{twice[:80]}' stands in it twice")
        return found

    def json(self, raw: bytes) -> dict[str, Any]:
        if raw[:1] != b"{":
            self.refuse("its header does not begin with '{'")
        try:
            found = json.loads(raw.decode("utf-8"), object_pairs_hook=self.once)
        except (ValueError, RecursionError) as problem:
            self.refuse(f"its header is not JSON ({str(problem)[:80]})")
        if not isinstance(found, dict):
            self.refuse("its header is no JSON object")
        return found

    def notes(self, found: Any) -> dict[str, str]:
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            self.refuse("its '__metadata__' is not a table of texts")
        return found

    def span(self, name: str, row: Any, data_at: int, size: int) -> Span:
        """One tensor, checked by itself."""
        shown = name[:80]
        if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
            self.refuse(f"the name '{shown}' is longer than {MAX_NAME_BYTES} bytes")
        if not isinstance(row, dict) or set(row) != {"dtype", "shape", "data_offsets"}:
            self.refuse(f"the tensor '{shown}' lacks dtype, shape or data_offsets, or has more")
        dtype, shape, offsets = row["dtype"], row["shape"], row["data_offsets"]
        if not isinstance(dtype, str) or dtype not in BITS:
            self.refuse(f"the tensor '{shown}' has the unknown dtype {str(dtype)[:40]!r}")
        if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not all(_natural(length) for length in shape):
            self.refuse(f"the tensor '{shown}' has an impossible shape")
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(_natural(offset) for offset in offsets):
            self.refuse(f"the tensor '{shown}' has impossible offsets")
        begin, end = offsets
        if begin > end or end > size - data_at:
            self.refuse(f"the tensor '{shown}' ends at byte {data_at + end:,} and the file at {size:,} (truncated?)")
        bits = math.prod(shape) * BITS[dtype]
        if bits % 8 or bits // 8 != end - begin:
            self.refuse(f"the tensor '{shown}' takes {end - begin:,} bytes where its shape wants {bits / 8:,.0f}")
        return Span(name, dtype, tuple(shape), data_at + begin, data_at + end)


def _natural(found: Any) -> bool:
    return type(found) is int and 0 <= found < 1 << 63  # a bool is an int in Python


def _read(file: BinaryIO, start: bytes, size: int, name: str) -> SafetensorsHeader:
    parser = _Parser(name)
    if size < 10:
        parser.refuse(f"it has only {size} bytes")
    length = int.from_bytes(start, "little")
    if length > FORMAT_HEADER_BYTES:
        parser.refuse(f"it claims a header of {length:,} bytes, more than the format allows")
    if length > MAX_HEADER_BYTES:
        parser.refuse(f"it claims a header of {length:,} bytes, more than {MAX_HEADER_BYTES:,}")
    if 8 + length > size:
        parser.refuse(f"it ends at byte {size:,} where its header goes on to {8 + length:,} (truncated?)")
    raw = file.read(length)
    if len(raw) != length:
        parser.refuse("it became shorter while it was read")
    found = parser.json(raw)
    notes = parser.notes(found.pop("__metadata__", {}))
    if not 0 < len(found) <= MAX_TENSORS:
        parser.refuse(f"it holds {len(found):,} tensors")
    data_at = 8 + length
    spans = [parser.span(tensor, row, data_at, size) for tensor, row in found.items()]
    spans.sort(key=lambda span: (span.begin, span.end))
    _gapless(parser, spans, data_at, size)
    return SafetensorsHeader(tuple(spans), notes, data_at, size)


def _gapless(parser: _Parser, spans: list[Span], at: int, size: int) -> None:
    """The tensors follow each other to the last byte: nothing is hidden between them, and no two share a byte."""
    for span in spans:
        if span.begin != at:
            what = "overlaps" if span.begin < at else f"leaves {span.begin - at:,} bytes free after"
            parser.refuse(f"the tensor '{span.name[:80]}' {what} the one before it")
        at = span.end
    if at != size:
        parser.refuse(f"{size - at:,} bytes follow its last tensor")
