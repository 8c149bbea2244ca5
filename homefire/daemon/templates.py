"""Which models' chat templates may be rendered: each is tried once, in a child with hard limits, before llama.cpp loads it.

Promises: no engine of a model starts, and no imported model is entered, whose template takes too much time or memory; a template
is tried once while the daemon runs, however many ask and whichever file holds it; a trial that could not be made is no verdict.
Does not cover: the trial (`template_child.py`); what a template does with one certain request (`engines/llamacpp.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

from homefire.daemon.template_child import templates
from homefire.errors import BadTemplate
from homefire.models.gguf import read_header
from homefire.models.library import PILOT_FILE
from homefire.models.task import input_error, run

log = logging.getLogger(__name__)
# For a system without limits of its own; the child ends itself before.
LONGEST_SECONDS = 90.0
MODULE = "homefire.daemon.template_child"


class Templates:
    """The verdicts. One event loop uses it. `walls`: whether children run behind the sandbox's."""

    def __init__(self, walls: Callable[[], bool]) -> None:
        self._walls = walls
        self._digests: dict[tuple[str, int, int], str] = {}
        self._verdicts: dict[str, str] = {}
        self._trying = asyncio.Lock()

    async def require(self, path: Path) -> None:
        """Returns if the templates of this GGUF file may be rendered. Costs a third of a second the first time.

        Raises BadTemplate; BadModelFile and InvalidRequest as `read_header`; TaskDied, EngineFailed, MachineError if it could not
        be tried.
        """
        if path == PILOT_FILE:  # ours
            return
        try:
            status = await asyncio.to_thread(path.stat)
        except OSError as problem:
            raise input_error(problem, path) from None
        mark = (str(path), status.st_size, status.st_mtime_ns)
        if mark not in self._digests:
            self._digests[mark] = await asyncio.to_thread(_digest, path)
        digest = self._digests[mark]
        async with self._trying:
            if digest and digest not in self._verdicts:
                self._verdicts[digest] = await self._try(path)
        if why := self._verdicts.get(digest):
            raise BadTemplate(f"The chat template of {path.name} is refused: {why}.", param="model")

    async def _try(self, path: Path) -> str:
        readable = [path] if self._walls() else None
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                found = await run(MODULE, {"model": str(path), "pilot": str(PILOT_FILE)}, None, readable=readable)
        except TimeoutError:
            return f"it did not end within {LONGEST_SECONDS:g} s"
        if found["refused"]:
            log.warning(
                "the chat template of %s %s (at most %d MiB)", path, found["refused"], found["peak_bytes"] >> 20
            )
        return str(found["refused"])


def _digest(path: Path) -> str:
    """The sha256 of all that would be rendered; "" if there is nothing. Blocks."""
    found = templates(read_header(path).keys)
    whole = "\0".join(f"{key}\0{text}" for key, text in found.items())
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest() if found else ""
