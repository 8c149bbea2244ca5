"""Tests that are coroutines.

Promises: each runs on an event loop of its own, and its fixtures are those of its arguments. Does not cover: time limits.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any


def looped(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """The test as pytest runs it."""

    @functools.wraps(test)
    def run(*args: Any, **named: Any) -> None:
        async def whole() -> None:
            await test(*args, **named)

        asyncio.run(whole())

    return run
