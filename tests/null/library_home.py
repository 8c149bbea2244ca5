"""A home with a real store, real blobs and a real library, opened for one story.

Promises: the store is closed whatever the story does; `add` enters the pilot's file under another name.
Does not cover: the daemon and its routes (`rig.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from homefire.models.library import PILOT_FILE, Library
from homefire.paths import ModelName, Paths
from homefire.store import Blobs, Store

T = TypeVar("T")


class Home:
    """The rooms. `quota` in bytes, 0 for none."""

    def __init__(self, folder: Path, quota: int = 0) -> None:
        self.paths = Paths(folder)
        self.paths.prepare()
        self.store = Store(self.paths.database)
        self.store.open()
        self.blobs = Blobs(self.paths)
        self.library = Library(self.store, self.paths, self.blobs, quota)

    async def add(self, name: str, origin: str = "", raw: bytes = b"") -> None:
        """Enters a model."""
        part = self.paths.blobs / "part-x"
        part.write_bytes(raw or PILOT_FILE.read_bytes())
        size = part.stat().st_size
        file = self.library.blob_file("model", "x.gguf", self.blobs.adopt(part), size)
        await self.library.add(ModelName(name), [file], source="pulled", origin=origin)


def with_home(folder: Path, story: Callable[[Home], Awaitable[T]], quota: int = 0) -> T:
    """Opens the home, runs the story, closes."""
    home = Home(folder, quota)

    async def run() -> T:
        await home.library.open()
        return await story(home)

    try:
        return asyncio.run(run())
    finally:
        home.store.close()
