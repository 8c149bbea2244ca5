"""Several safetensors files as one set of named tensors, read piece by piece.

Promises: the headers pass `read_safetensors` first, so every piece lies within its file; nothing is read before it is asked for,
and nothing is kept.
Does not cover: which files make up a model (`convert.weight_files`).
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from homefire.errors import BadModelFile, InvalidRequest
from homefire.models.safetensors import Span, read_safetensors


class TensorFiles:
    """A context manager; see `convert.TensorFile`. Raises BadModelFile, PickleRefused, InvalidRequest."""

    def __init__(self, files: list[Path]) -> None:
        self._spans: dict[str, tuple[BinaryIO, Span]] = {}
        with ExitStack() as opening:
            for path in files:
                self._add(path, opening)
            self._stack = opening.pop_all()

    def __enter__(self) -> TensorFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def names(self) -> list[str]:
        """Every tensor's name, sorted."""
        return sorted(self._spans)

    def info(self, name: str) -> tuple[str, tuple[int, ...]]:
        """Type and shape, the number of rows first."""
        span = self._spans[name][1]
        return span.dtype, span.shape

    def read(self, name: str, start: int, size: int) -> bytes:
        """`size` bytes of the tensor from its byte `start`. Raises BadModelFile if the file has become shorter."""
        file, span = self._spans[name]
        file.seek(span.begin + start)
        data = file.read(size)
        if len(data) != size:
            raise BadModelFile(f"'{name[:80]}' became shorter while it was read.")
        return data

    def _add(self, path: Path, opening: ExitStack) -> None:
        header = read_safetensors(path)
        try:
            file = opening.enter_context(path.open("rb"))
        except OSError as problem:
            raise InvalidRequest(f"{path} cannot be read: {problem.strerror}.", param="folder") from None
        for span in header.tensors:
            if span.name in self._spans:
                raise BadModelFile(f"Two of the model's files have the tensor '{span.name[:80]}'.")
            self._spans[span.name] = file, span
