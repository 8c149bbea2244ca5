"""A streaming writer of GGUF files, version 3, little endian (ggml, docs/gguf.md).

    keys = {"general.architecture": text("llama"), "llama.block_count": u32(2)}
    tensors = [Tensor("token_embd.weight", (64, 512), "F16")]     # the length of a row first, as ggml counts
    write(target, keys, tensors, pieces)                          # pieces(tensor) yields its bytes, in order

Promises: the same input gives the same bytes (no date, no path, no order but the one given); no more than one piece is held in
memory; the file is written beside its place, flushed to the disk and then renamed, so that `target` is whole or not there.
Does not cover: what keys and tensors mean, split files, big-endian machines.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from homefire.models.gguf import TENSOR_TYPES
from homefire.paths import from_os, sync_folder

ALIGNMENT = 32
SYNC_EVERY = 32 << 20
# Name of a tensor's type -> (its number, elements a block, bytes a block).
TYPES = {name: (number, block, size) for number, (name, block, size) in TENSOR_TYPES.items()}
# Numbers of the value types.
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9

Buffer = bytes | bytearray | memoryview
# A value as it stands in the file: four bytes that name its type, then the value. Copied keys stay as they are.
Value = bytes


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's row in the table. `shape` counts as ggml does: the length of a row first."""

    name: str
    shape: tuple[int, ...]
    kind: str

    @property
    def elements(self) -> int:
        """How many values it holds."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Its bytes. Raises ValueError if its rows do not divide into the blocks of its type."""
        return row_bytes(self.kind, self.shape[0]) * (self.elements // self.shape[0])


def row_bytes(kind: str, elements: int) -> int:
    """Bytes of a row of `elements` values in the type `kind`. Raises ValueError if they do not divide into its blocks."""
    _, block, size = TYPES[kind]
    if elements % block:
        raise ValueError(f"{elements} values do not divide into blocks of {block} ({kind})")
    return elements // block * size


def u32(value: int) -> Value:
    """An unsigned whole number. Raises struct.error if it does not fit."""
    return struct.pack("<II", _U32, value)


def f32(value: float) -> Value:
    """A number of 32 bits."""
    return struct.pack("<If", _F32, value)


def boolean(value: bool) -> Value:
    """True or false."""
    return struct.pack("<I?", _BOOL, value)


def text(value: str) -> Value:
    """A string in UTF-8."""
    return struct.pack("<I", _STRING) + _string(value)


def texts(values: Sequence[str]) -> Value:
    """An array of strings."""
    return struct.pack("<IIQ", _ARRAY, _STRING, len(values)) + b"".join(map(_string, values))


def i32s(values: Sequence[int]) -> Value:
    """An array of signed whole numbers."""
    return struct.pack(f"<IIQ{len(values)}i", _ARRAY, _I32, len(values), *values)


def write(
    target: Path,
    keys: Mapping[str, Value],
    tensors: Sequence[Tensor],
    pieces: Callable[[Tensor], Iterable[Buffer]],
    beside: Path | None = None,
) -> int:
    """Writes the file `target` and returns its size in bytes.

    `pieces(tensor)` yields the bytes of one tensor in any cut; `beside` is where the file grows (default: a random name beside
    `target`). Raises DiskFull, HomeNotWritable or MachineError, ValueError if a tensor gets more or fewer bytes than its row in
    the table says, and whatever `pieces` raises; in all of these cases no file is left.
    """
    beside = beside or target.with_name(f"part-{secrets.token_hex(8)}")
    head = header(keys, tensors)
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with _Syncing(file) as syncing:
                file.write(head)
                for tensor in tensors:
                    _fill(file, tensor, pieces(tensor), syncing)
            size = file.tell()
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
        sync_folder(target.parent)
    except OSError as problem:
        raise from_os(problem, target.parent) from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    return size


def header(keys: Mapping[str, Value], tensors: Sequence[Tensor]) -> bytes:
    """All that stands before the data: counts, keys, the table of tensors, padding."""
    parts = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(keys))]
    for name, value in keys.items():
        parts += [_string(name), value]
    offset = 0
    for tensor in tensors:
        number = TYPES[tensor.kind][0]
        dimensions = len(tensor.shape)
        parts += [_string(tensor.name), struct.pack(f"<I{dimensions}QIQ", dimensions, *tensor.shape, number, offset)]
        offset += padded(tensor.size)
    whole = b"".join(parts)
    return whole + bytes(-len(whole) % ALIGNMENT)


def total_size(keys: Mapping[str, Value], tensors: Sequence[Tensor]) -> int:
    """The size in bytes of the file that `write` will make."""
    return len(header(keys, tensors)) + sum(padded(tensor.size) for tensor in tensors)


def padded(size: int) -> int:
    """`size` rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class _Syncing:
    """Lets the disk work while the next pieces are made, so that the fsync at the end finds little left. Its own errors do not
    count: what could not be written shows again at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1, "gguf-sync")
        self._running: Future[None] | None = None
        self._since = 0

    def __enter__(self) -> _Syncing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)

    def wrote(self, count: int) -> None:
        """Counts what was written, and starts a sync when enough has come together and none is under way."""
        self._since += count
        if self._since >= SYNC_EVERY and (self._running is None or self._running.done()):
            self._since = 0
            self._running = self._thread.submit(getattr(os, "fdatasync", os.fsync), self._file.fileno())


def _fill(file: BinaryIO, tensor: Tensor, pieces: Iterable[Buffer], syncing: _Syncing) -> None:
    written = 0
    for piece in pieces:
        written += memoryview(piece).nbytes
        if written > tensor.size:
            break
        file.write(piece)
        syncing.wrote(memoryview(piece).nbytes)
    if written != tensor.size:
        raise ValueError(f"'{tensor.name}' has {tensor.size:,} bytes and was given {written:,}")
    file.write(bytes(padded(written) - written))


def _string(value: str) -> bytes:
    raw = value.encode("utf-8")
    return struct.pack("<Q", len(raw)) + raw
