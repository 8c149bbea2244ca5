"""What was measured of models as agents (`agent/probe.py`), in one small file of the cache: it can be deleted and is made anew.

Promises: facts are a file's, by its digest, not a name's; a file that cannot be read counts as empty.
Does not cover: measuring.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from homefire.agent.loop import ModelFacts


class KeptFacts:
    """`Facts` of the probe. `identity` gives what tells a model's file from others, "" for one that is not here."""

    def __init__(self, file: Path, identity: Callable[[str], str]) -> None:
        self._file, self._identity = file, identity

    async def of(self, model: str) -> ModelFacts | None:
        """What is known of the model of this name."""
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            found = json.loads(self._file.read_text("utf-8")).get(self._identity(model) or model)
            return None if found is None else ModelFacts(**found)
        return None

    async def keep(self, model: str, facts: ModelFacts) -> None:
        """Keeps them; where the disk refuses, they are measured again."""
        known: dict[str, object] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(self._file.read_text("utf-8"))
        part = self._file.with_suffix(".new")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps({**known, self._identity(model) or model: asdict(facts)}), "utf-8")
            part.replace(self._file)
