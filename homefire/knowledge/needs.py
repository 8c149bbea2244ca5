"""What knowledge needs of rooms on its own floor or above it; the daemon hands it in.

Promises: Protocols and their values only. Does not cover: who stands behind them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol


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

    def stream(self, system: str, text: str, max_tokens: int) -> AsyncGenerator[str, None]:
        """The answer in pieces, as it is written. Raises HomefireError."""
        ...


class Screen(Protocol):
    """What may go in (`safety/`): a passage of a file is no order."""

    async def passage(self, text: str) -> str | None:
        """The text as it may be shown to a model; None: not at all."""
        ...
