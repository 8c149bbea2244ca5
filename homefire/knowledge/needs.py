"""What knowledge needs of rooms on its own floor or above it; the daemon hands it in.

Promises: Protocols and their values only. Does not cover: who stands behind them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Provider:
    """What makes vectors now. `tag` tells model, arithmetic and normalisation from every other; vectors of two tags are never
    compared. `width`: values in a vector."""

    tag: str
    width: int
    name: str


class Embed(Protocol):
    """Makes vectors."""

    async def provider(self) -> Provider | None:
        """Who makes them now; None: nobody."""
        ...

    async def vectors(self, texts: Sequence[str], urgent: bool) -> Sequence[bytes]:
        """Float32, little endian, of length one, in order; a text that is too long is cut. `urgent`: a person waits."""
        ...


class Count(Protocol):
    """The tokenizer of the model that will read."""

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without what a template puts around it."""
        ...


class Complete(Count, Protocol):
    """The model of the role `main`."""

    async def window(self) -> int:
        """Tokens that prompt and answer may have together."""
        ...

    async def is_built_in(self) -> bool:
        """Whether it is the built-in model, which reads in one form only."""
        ...

    def stream(self, system: str, text: str, max_tokens: int) -> AsyncIterator[str]:
        """The answer in pieces, as it is written. Raises HomefireError."""
        ...


class Screen(Protocol):
    """What may go in (`safety/`): a passage of a file is no order."""

    async def passage(self, text: str) -> str | None:
        """The text as it may be shown to a model; None: not at all."""
        ...
