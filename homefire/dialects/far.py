"""What every far server's dialect gives: its models as rows, what an error answer says, a reader of a stream's lines.

Promises: nothing that a far server sends is taken for what it claims: types are checked, and text of an error is made short and
printable before a person sees it.
Does not cover: the wire forms (`far_openai.py`, `far_ollama.py`), how the bytes come (`engines/far_wire.py`).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec

from homefire.messages import Embeddings, Event

T = TypeVar("T")
MOST_SAID = 300
WIDEST_VECTOR = 65_536
# How servers say that a prompt is too long, where they have no code for it.
TOO_LONG = re.compile(
    r"context (length|window|size)|maximum context|too large to process|input length exceeds|longer than the maximum|"
    r"prompt is too long",
    re.IGNORECASE,
)


class Unreadable(ValueError):
    """The far side sent something that its interface does not have."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model that a far server lists. `names` are all under which it may answer; `mark` changes when another model stands
    behind the name; `window` is its context window in tokens, 0 if it does not say."""

    id: str
    names: frozenset[str]
    mark: str
    window: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """What an error answer says: text, and the server's own code if it has one."""

    text: str
    code: str = ""

    @property
    def too_long(self) -> bool:
        """Whether it says that the prompt does not fit the model's context window."""
        return self.code in ("context_length_exceeded", "exceed_context_size_error") or bool(TOO_LONG.search(self.text))


class Failure(Exception):
    """An error that came inside a stream."""

    def __init__(self, status: int, said: Said) -> None:
        super().__init__(said.text)
        self.status = status
        self.said = said


class Reader(Protocol):
    """Reads one stream, line by line. `model` is the name under which the far side answers, once it has said so; `whole` once
    the answer has ended as it should."""

    model: str
    whole: bool

    def feed(self, line: bytes) -> list[Event]:
        """The events of one line. Raises Unreadable, Failure."""
        ...


def decode(decoder: msgspec.json.Decoder[T], data: bytes, what: str) -> T:
    """`data` as the decoder's type. Raises Unreadable, which says that it is no `what`."""
    try:
        return decoder.decode(data)
    # Bytes that are no UTF-8 and nesting without end are no DecodeError.
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise Unreadable(f"no {what}: {printable(problem)}") from None


def printable(text: object) -> str:
    """Text of a far side as a person may see it."""
    shown = "".join(c if c.isprintable() else " " for c in str(text)[: 4 * MOST_SAID])
    return " ".join(shown.split())[:MOST_SAID]


def mark_of(facts: dict[str, Any]) -> str:
    """A short digest of the facts that stay the same while the same model stands behind a name."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def vectors(rows: Sequence[Iterable[float]], wanted: int, tokens: int) -> Embeddings:
    """Rows of numbers as vectors of length one. Raises Unreadable unless there are `wanted` of one width, all finite."""
    if len(rows) != wanted:
        raise Unreadable(f"{len(rows)} vectors for {wanted} texts")
    found: list[bytes] = []
    for row in rows:
        values = tuple(row)
        norm = math.sqrt(math.fsum(value * value for value in values)) if values else 0.0
        if not 0 < len(values) <= WIDEST_VECTOR or not math.isfinite(norm) or not norm:
            raise Unreadable("a vector without values, or with values that are no numbers")
        found.append(struct.pack(f"<{len(values)}f", *(value / norm for value in values)))
    if len({len(vector) for vector in found}) > 1:
        raise Unreadable("vectors of different widths")
    return Embeddings(tuple(found), max(0, tokens))
