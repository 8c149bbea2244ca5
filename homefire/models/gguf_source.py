"""A GGUF file that is read to be written again: every key as it stands, every tensor with its place.

Promises: the header passes `read_header` first, so counts and places lie within the file; keys come out byte for byte; reading
a part of a tensor is safe from many threads at once.
Does not cover: split files (refused), what the keys mean but for the few that a recipe asks for.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from homefire.errors import BadModelFile, InvalidRequest
from homefire.models.gguf import TENSOR_TYPES, read_header
from homefire.models.gguf_writer import Tensor, Value

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor and where its bytes begin, from the start of the file."""

    tensor: Tensor
    offset: int


class GgufSource:
    """An open file; a context manager. Raises BadModelFile, InvalidRequest if it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.header = read_header(path)
        if _whole(self.header.keys.get("split.count")) > 1:
            raise InvalidRequest(
                f"{path.name} is one part of a split model.", "Give the model as one file.", param="source"
            )
        self._file = path.open("rb")
        self._lock = threading.Lock()
        self.name = path.name
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            try:
                self.keys, self.tensors = _table(view)
            except (struct.error, IndexError, KeyError, UnicodeDecodeError):
                self._file.close()
                raise BadModelFile(f"{path.name} changed while it was read.") from None

    def __enter__(self) -> GgufSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def number(self, key: str, default: int = 0) -> int:
        """A whole number of the header; of an array the largest; `default` if it is not there."""
        return _whole(self.header.keys.get(key), default)

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fills `view` from `offset` of the file. Raises BadModelFile if it has become shorter."""
        if hasattr(os, "preadv"):
            count = os.preadv(self._file.fileno(), [view], offset)
            if count != len(view):  # a signal, or the end; `read` tells which
                view[count:] = self.read(offset + count, len(view) - count)
        else:
            view[:] = self.read(offset, len(view))

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` of the file. Raises BadModelFile if it has become shorter."""
        if hasattr(os, "pread"):
            data = os.pread(self._file.fileno(), size, offset)
        else:
            with self._lock:
                self._file.seek(offset)
                data = self._file.read(size)
        if len(data) != size:
            raise BadModelFile(f"{self.name} became shorter while it was read.")
        return data


def _whole(value: Any, default: int = 0) -> int:
    if isinstance(value, list) and value:
        value = max((item for item in value if isinstance(item, int)), default=default)
    return value if isinstance(value, int) else default


def _table(view: mmap.mmap) -> tuple[dict[str, Value], list[Placed]]:
    tensor_count, key_count = struct.unpack_from("<QQ", view, 8)
    at = 24
    keys: dict[str, Value] = {}
    for _ in range(key_count):
        name, start = _text(view, at)
        at = _after_value(view, start)
        keys[name] = view[start:at]
    rows: list[tuple[Tensor, int]] = []
    for _ in range(tensor_count):
        name, at = _text(view, at)
        (dimensions,) = struct.unpack_from("<I", view, at)
        *shape, kind, offset = struct.unpack_from(f"<{dimensions}QIQ", view, at + 4)
        at += 4 + 8 * dimensions + 12
        rows.append((Tensor(name, tuple(shape), TENSOR_TYPES[kind][0]), offset))
    alignment = struct.unpack_from("<I", keys["general.alignment"], 4)[0] if "general.alignment" in keys else 32
    data = -(-at // alignment) * alignment
    return keys, [Placed(tensor, data + offset) for tensor, offset in rows]


def _text(view: mmap.mmap, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", view, at)
    end = at + 8 + length
    return view[at + 8 : end].decode("utf-8"), end


def _after_value(view: mmap.mmap, at: int) -> int:
    """Where the value that begins at `at` (with its type) ends."""
    (kind,) = struct.unpack_from("<I", view, at)
    at += 4
    if kind == _STRING:
        return at + 8 + int(struct.unpack_from("<Q", view, at)[0])
    if kind != _ARRAY:
        return at + _SIZES[kind]
    element, count = struct.unpack_from("<IQ", view, at)
    at += 12
    if element != _STRING:
        return at + int(count) * _SIZES[element]
    length = struct.Struct("<Q").unpack_from
    for _ in range(count):
        at += 8 + length(view, at)[0]
    return at
