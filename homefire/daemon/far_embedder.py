"""An embedding model of an engine elsewhere, for this house's own use: only the one that a person named in the settings.

Promises: nothing is sent before the engine is granted, as with every engine elsewhere; where it cannot be asked, or its model has
changed, there is none, and it is tried again after a while; its vectors are never mixed with another's.
Does not cover: cutting a text that is too long for it where its interface has no field for that (its error is the problem shown).
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence

from homefire.engines.capabilities import HONOURS
from homefire.errors import HomefireError
from homefire.knowledge.meaning import Provider
from homefire.messages import EmbeddingRequest
from homefire.residency.far import FarEngines

log = logging.getLogger("homefire.embedders")
RETRY_SECONDS = 60.0


class FarEmbedder:
    """`name` is ENGINE/model, "" for none; `prefixes` what a model of a name wants before a question and before a text."""

    def __init__(
        self,
        far: FarEngines,
        name: str,
        prefixes: Callable[[str], tuple[str, str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._far, self._name, self._prefixes, self._clock = far, name, prefixes, clock
        self._widths: dict[str, int] = {}
        self._next = 0.0

    async def providers(self) -> list[Provider]:
        """The model, if it can be asked."""
        if not self._far.owns(self._name):
            return []
        view = self._far.view(self._name.partition("/")[0])
        if not view.usable:
            return []
        tag = hashlib.sha256(" ".join([view.url, self._name, *self._prefixes(self._name)]).encode()).hexdigest()[:16]
        if tag not in self._widths:
            if self._clock() < self._next:
                return []
            try:
                self._widths[tag] = len((await self._asked(["width"]))[0]) // 4
            except HomefireError as problem:
                self._next = self._clock() + RETRY_SECONDS
                log.warning("'%s' makes no vectors: %s", self._name, problem.message)
                return []
        return [Provider(tag, self._name, self._widths[tag])]

    async def vectors(self, texts: Sequence[str], urgent: bool) -> Sequence[bytes]:
        """As `Embed.vectors`. Raises what `FarEngines.embed` raises."""
        before = self._prefixes(self._name)[0 if urgent else 1]
        return await self._asked([before + text for text in texts])

    async def _asked(self, texts: Sequence[str]) -> Sequence[bytes]:
        cuts = "truncate" in HONOURS[self._far.view(self._name.partition("/")[0]).kind]
        return (await self._far.embed(self._name, EmbeddingRequest(self._name, tuple(texts), truncate=cuts))).vectors
