"""What an index answers with.

Promises: values only; nothing here loads a package.
Does not cover: what a number means to who asked (`knowledge/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

GROUP_BITS = 20
"""A chunk's number is its text's number shifted by this, plus its place in the text."""

Groups: TypeAlias = Any
"""A sorted numpy array of u64: the texts that a filter allows."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk's number and how well it fits; scores of different indexes cannot be compared."""

    id: int
    score: float


@dataclass(frozen=True, slots=True)
class WindowHit:
    """The best window of a chunk: `start` and `length` in bytes of its text; `score` is the dot product with the question."""

    id: int
    score: float
    start: int
    length: int
