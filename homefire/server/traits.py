"""What a model's own file says it can do, beyond its facts: the keys of its header, read once.

Promises: a file is read in a thread, once for each path; a model that is not of this machine has no keys.
Does not cover: what the engine can do with it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from homefire.dialects.ollama import thinks
from homefire.errors import UnknownModel, UnsupportedParameter
from homefire.models import Library
from homefire.models.gguf import read_header


class Traits:
    """Of all models of a library."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._known: dict[Path, dict[str, Any]] = {}

    async def keys(self, name: str) -> dict[str, Any]:
        """The header's keys of an installed model; long arrays are not among them. Raises UnknownModel, BadModelFile."""
        model = self._library.get(name.partition("+")[0])  # an adapter changes nothing of it
        if model.facts.kind == "speech":  # no GGUF file
            return {}
        if model.path not in self._known:
            self._known[model.path] = (await asyncio.to_thread(read_header, model.path)).keys
        return self._known[model.path]

    async def require_reasoning(self, name: str, param: str) -> None:
        """Raises UnsupportedParameter if the model, one of this machine, does not reason."""
        try:
            template = str((await self.keys(name)).get("tokenizer.chat_template") or "")
        except UnknownModel:  # of a far engine, or nowhere: who answers says so
            return
        if not thinks(template):
            raise UnsupportedParameter(
                f"'{name}' does not reason before it answers.",
                f"Leave '{param}' out, or use another model.",
                param=param,
            )
