"""A bounded reader of GGUF headers: the check that stands before llama.cpp's parser.

Format: GGUF version 2 and 3, little endian (ggml, docs/gguf.md). llama.cpp aborts the whole process on some malformed files
and has read out of bounds on others (CVE-2024-21802, CVE-2026-7482); so every count, length, offset and size is checked here
against the file's size first, in Python's unbounded integers.
Promises: reads the header only, in pieces; no loop runs longer than the bytes that are really there allow; raises BadModelFile
with the reason, and nothing else, whatever the bytes are.
Does not cover: the weights' values, and whether llama.cpp knows the architecture; a child finds that out.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from homefire.errors import BadModelFile, InvalidRequest

# Caps. Real files of 2026 stay far below: 1,500 tensors, 60 keys, 300,000 tokens, 15 MB of header.
MAX_KEYS = 65_536
MAX_TENSORS = 65_536
MAX_KEY_BYTES = 65_535
MAX_STRING_BYTES = 1 << 20
MAX_ARRAY = 1 << 22
MAX_DIMENSIONS = 4
MAX_ELEMENTS = 1 << 48
MAX_HEADER_BYTES = 128 << 20
PIECE = 1 << 20
KEPT_ARRAY = 16
KEPT_LAYERS = 4096  # arrays with a number for each layer are kept whole; a vocabulary's never are

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9

# ggml type number -> (name, elements a block, bytes a block), from ggml.c's table of type traits.
TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip
_UNQUANTIZED = frozenset({0, 1, 24, 25, 26, 27, 28, 30})


@dataclass(frozen=True, slots=True)
class Tensor:
    """One row of the table of tensors: elements along each dimension, the shortest step first, and bytes in the file."""

    name: str
    shape: tuple[int, ...]
    kind: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says. `parameters` counts elements of all tensors; `quantization` is the type most of them have;
    `keys` holds the metadata, long arrays as their length only; `table` every tensor in the file's order; `vocabulary` the sha256
    of its list of tokens, "" if there is none."""

    version: int
    architecture: str
    parameters: int
    quantization: str
    context_length: int
    tensors: int
    keys: dict[str, Any] = field(repr=False)
    table: tuple[Tensor, ...] = field(repr=False, default=())
    vocabulary: str = ""

    @property
    def description(self) -> str:
        """What the file says about itself."""
        return str(self.keys.get("general.description") or self.keys.get("general.name") or "")


def read_header(path: Path) -> Header:
    """The checked header of the GGUF file at `path`.

    Raises BadModelFile with what is wrong, InvalidRequest if the file cannot be read at all.
    """
    if not path.is_file():  # a pipe would make `open` wait for ever
        raise InvalidRequest(f"{path} cannot be read: there is no such file.", param="path")
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _parse(_Window(file, size, path.name))
    except OSError as problem:
        raise InvalidRequest(f"{path} cannot be read: {problem.strerror}.", param="path") from None


class _Window:
    """The header's bytes, fetched in pieces as far as they are needed; `at` is the reading position."""

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self._file = file
        self.size = size
        self._name = name
        self._bytes = bytearray()
        self.at = 0
        self.vocabulary = ""

    def refuse(self, why: str) -> NoReturn:
        raise BadModelFile(f"{self._name} is not a sound GGUF file: {why}.")

    def need(self, count: int) -> None:
        """Makes sure that `count` bytes from `at` are here."""
        end = self.at + count
        if end <= len(self._bytes):
            return
        if end > self.size:
            self.refuse(f"it ends at byte {self.size:,} where its header goes on to {end:,} (truncated?)")
        if end > MAX_HEADER_BYTES:
            self.refuse(f"its header is longer than {MAX_HEADER_BYTES >> 20} MiB")
        wanted = min(self.size, max(end, len(self._bytes) + PIECE)) - len(self._bytes)
        piece = self._file.read(wanted)
        self._bytes += piece
        if end > len(self._bytes):
            self.refuse("it became shorter while it was read")

    def number(self, form: str) -> Any:
        size = struct.calcsize(form)
        self.need(size)
        (value,) = struct.unpack_from(form, self._bytes, self.at)
        self.at += size
        return value

    def text(self, limit: int, what: str) -> str:
        length: int = self.number("<Q")
        if length > limit:
            self.refuse(f"{what} has {length:,} bytes, more than {limit:,}")
        self.need(length)
        raw = bytes(self._bytes[self.at : self.at + length])
        self.at += length
        return raw.decode("utf-8", "replace")

    def skip_texts(self, count: int, what: str) -> None:
        """Passes over `count` strings. A vocabulary has hundreds of thousands, so the loop does the least it can."""
        unpack = struct.Struct("<Q").unpack_from
        data, at, left = self._bytes, self.at, count
        while left:
            try:
                while left:
                    (length,) = unpack(data, at)
                    if length > MAX_STRING_BYTES:
                        self.refuse(f"{what} has a string of {length:,} bytes")
                    at += 8 + length
                    left -= 1
            except struct.error:
                self.at = at
                self.need(8)
        self.at = at
        self.need(0)

    def digest_from(self, start: int) -> str:
        """The sha256 of what was passed over since `start`."""
        with memoryview(self._bytes) as seen:
            return hashlib.sha256(seen[start : self.at]).hexdigest()

    def skip(self, count: int) -> None:
        if self.at + count > self.size:
            self.need(count)
        end = self.at + count
        while len(self._bytes) < end:
            self.at = min(end, len(self._bytes) + PIECE)
            self.need(0)
        self.at = end


def _parse(window: _Window) -> Header:
    if window.size < 24:
        window.refuse(f"it has only {window.size} bytes")
    window.need(4)
    if (magic := window.number("<I")) != 0x46554747:
        window.refuse(f"it does not begin with 'GGUF' (0x{magic:08x})")
    version = window.number("<I")
    if version not in (2, 3):
        big = " (a big-endian file?)" if version >= 1 << 24 else ""
        window.refuse(f"its format version is {version}{big}; 2 and 3 are known")
    tensor_count, key_count = window.number("<Q"), window.number("<Q")
    if tensor_count > MAX_TENSORS or key_count > MAX_KEYS:
        window.refuse(f"it claims {tensor_count:,} tensors and {key_count:,} keys")
    keys: dict[str, Any] = {}
    for _ in range(key_count):
        name = window.text(MAX_KEY_BYTES, "a key's name")
        if name in keys:
            window.refuse(f"the key '{name[:80]}' stands in it twice")
        kind = window.number("<I")
        if name == "general.alignment" and kind != 4:
            window.refuse(f"its alignment has the type {kind}")  # llama.cpp asserts uint32 and ends the process
        keys[name] = _value(window, kind, name)
    parameters, quantization, table = _tensors(window, tensor_count, keys)
    architecture = keys.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        window.refuse("it names no architecture")
    context = keys.get(f"{architecture}.context_length", 0)
    return Header(
        version=version,
        architecture=architecture,
        parameters=parameters,
        quantization=quantization,
        context_length=context if isinstance(context, int) and 0 < context < 1 << 31 else 0,
        tensors=tensor_count,
        keys=keys,
        table=table,
        vocabulary=window.vocabulary,
    )


def _value(window: _Window, kind: int, name: str) -> Any:
    if kind in _SCALARS:
        return window.number(_SCALARS[kind])
    if kind == _STRING:
        return window.text(MAX_STRING_BYTES, f"the value of '{name[:80]}'")
    if kind != _ARRAY:
        window.refuse(f"the key '{name[:80]}' has the unknown type {kind}")
    element, count = window.number("<I"), window.number("<Q")
    if count > MAX_ARRAY:
        window.refuse(f"the array '{name[:80]}' claims {count:,} elements")
    if element == _STRING:
        start = window.at
        window.skip_texts(count, f"the array '{name[:80]}'")
        if name == "tokenizer.ggml.tokens":
            window.vocabulary = window.digest_from(start)
        return count
    if element not in _SCALARS:
        window.refuse(f"the array '{name[:80]}' has elements of the type {element}")
    if count <= (KEPT_ARRAY if name.startswith("tokenizer.") else KEPT_LAYERS):
        return [window.number(_SCALARS[element]) for _ in range(count)]
    window.skip(count * struct.calcsize(_SCALARS[element]))
    return count


def _tensors(window: _Window, count: int, keys: dict[str, Any]) -> tuple[int, str, tuple[Tensor, ...]]:
    """Checks the table of tensors against the file's size; returns the number of elements, the commonest type, the table."""
    alignment = keys.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment > 1 << 20 or alignment & (alignment - 1):
        window.refuse(f"its alignment is {alignment!r}")
    if count == 0:
        window.refuse("it holds no tensors")
    spans: list[tuple[int, int, str]] = []
    names: set[str] = set()
    elements_of: dict[str, int] = {}
    table: list[Tensor] = []
    for _ in range(count):
        name, shape, kind, elements, offset, size = _tensor(window)
        if name in names:
            window.refuse(f"the tensor '{name[:80]}' stands in it twice")
        if offset % alignment:
            window.refuse(f"the tensor '{name[:80]}' is not aligned")
        names.add(name)
        spans.append((offset, size, name))
        table.append(Tensor(name, shape, kind, size))
        elements_of[kind] = elements_of.get(kind, 0) + elements
    data = -(-window.at // alignment) * alignment
    for offset, size, name in spans:
        if data + offset + size > window.size:
            window.refuse(
                f"the tensor '{name[:80]}' ends at byte {data + offset + size:,} and the file at {window.size:,} (truncated?)"
            )
    return sum(elements_of.values()), max(elements_of, key=lambda kind: elements_of[kind]), tuple(table)


def _tensor(window: _Window) -> tuple[str, tuple[int, ...], str, int, int, int]:
    name = window.text(MAX_KEY_BYTES, "a tensor's name")
    dimensions = window.number("<I")
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        window.refuse(f"the tensor '{name[:80]}' has {dimensions} dimensions")
    shape = [window.number("<Q") for _ in range(dimensions)]
    kind, offset = window.number("<I"), window.number("<Q")
    if kind not in TENSOR_TYPES:
        window.refuse(f"the tensor '{name[:80]}' has the unknown type {kind}")
    label, block, block_bytes = TENSOR_TYPES[kind]
    elements = 1
    for length in shape:
        elements *= length
    if not 0 < elements <= MAX_ELEMENTS:
        window.refuse(f"the tensor '{name[:80]}' has {elements:,} elements")
    if shape[0] % block:
        window.refuse(f"the rows of the tensor '{name[:80]}' do not divide into blocks of {block}")
    if dimensions == 1 and kind not in _UNQUANTIZED:
        # llama.cpp asserts that it never meets this and ends the process.
        window.refuse(f"the one-dimensional tensor '{name[:80]}' is quantized ({label})")
    return name, tuple(shape), label, elements, offset, elements // block * block_bytes
