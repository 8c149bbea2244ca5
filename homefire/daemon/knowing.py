"""What the daemon hands to knowledge: who makes its vectors, and by which rules files are read.

Promises: vectors are made by embedding models of this machine, never by an engine elsewhere: texts of a person's files do not
leave it; a question does not wait behind the texts of a whole folder; without the extra `knowledge` there is none of it.
Does not cover: what is done with vectors (`knowledge/meaning.py`), models that answer (`server/`).
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence

from homefire.daemon.handed import identity
from homefire.errors import EngineFailed, HomefireError, UnknownModel
from homefire.hardware import detect
from homefire.knowledge.ingest import IngestRules
from homefire.knowledge.knowledge import Knowledge
from homefire.knowledge.meaning import Provider
from homefire.messages import EmbeddingRequest
from homefire.models.gguf import read_header
from homefire.models.installed import Model
from homefire.models.library import Library, Roles
from homefire.paths import Paths
from homefire.server.answering import Answering, Asking
from homefire.settings import Settings
from homefire.store import Store

# Without these nothing can be indexed or searched; what else the extra brings is for single kinds of documents, or faster.
NEEDED = ("numpy", "tantivy")
# As the queue for models tells callers apart: questions share its turns with people, texts in the background wait for both.
QUESTION, BACKGROUND = Asking("knowledge"), Asking("knowledge in the background")
# Families that were trained with words before each text: in the model's name -> before a question, before a text.
PREFIXES: tuple[tuple[str, str, str], ...] = (
    (r"\be5-(small|base|large)", "query: ", "passage: "),
    (r"\bbge-(small|base|large)-en", "Represent this sentence for searching relevant passages: ", ""),
    (r"\bnomic-embed-text", "search_query: ", "search_document: "),
)


class KnowledgeVectors:
    """An `Embed`: the local model with the role embed first, then the other embedding models, the oldest here first."""

    def __init__(self, answering: Answering, library: Library, roles: Roles) -> None:
        self._answering = answering
        self._library = library
        self._roles = roles
        self._widths: dict[tuple[str, ...], int] = {}
        self._models: dict[str, str] = {}

    async def providers(self) -> Sequence[Provider]:
        """As `Embed.providers`. A model whose file cannot be read is left out."""
        here = [model for model in self._library.all() if model.facts.kind == "embedding"]
        chosen = self._roles.roles()["embed"]
        here.sort(key=lambda model: (str(model.name) != chosen, model.added_at, str(model.name)))
        found = []
        for model in here:
            if width := await self._width(model):
                provider = Provider(tag_of(model), str(model.name), width)
                self._models[provider.tag] = provider.name
                found.append(provider)
        return found

    async def vectors(self, tag: str, texts: Sequence[str], urgent: bool) -> Sequence[bytes]:
        """As `Embed.vectors`."""
        if tag not in self._models:
            await self.providers()
        name = self._models.get(tag)
        if name is None or tag_of(self._library.get(name)) != tag:
            raise UnknownModel("The model that made these vectors is not here any more.", "See: homefire models list")
        before = prefixes_of(name)[0 if urgent else 1]
        asked = EmbeddingRequest(name, tuple(before + text for text in texts), truncate=True)
        made = (await self._answering.embed(asked, QUESTION if urgent else BACKGROUND)).vectors
        width = await self._width(self._library.get(name))
        if any(len(vector) != 4 * width for vector in made):
            raise EngineFailed(f"'{name}' makes vectors of another length than its file says ({width} numbers).")
        return made

    async def _width(self, model: Model) -> int:
        key = tuple(identity(model))
        if key not in self._widths:
            try:
                header = await asyncio.to_thread(read_header, model.path)
                found = header.keys.get(f"{header.architecture}.embedding_length", 0)
            except HomefireError:
                return 0  # it may be there again, on another disk
            self._widths[key] = found if isinstance(found, int) else 0
        return self._widths[key]


def prefixes_of(name: str) -> tuple[str, str]:
    """What a model of this name wants before a question, and before a text."""
    for pattern, question, text in PREFIXES:
        if re.search(pattern, name.lower()):
            return question, text
    return "", ""


def tag_of(model: Model) -> str:
    """Tells this model, with what is put before a text, from every other; vectors of two tags cannot be compared."""
    facts = [identity(model), prefixes_of(str(model.name)), "cut by the model", "length one"]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def make_knowledge(
    store: Store, paths: Paths, settings: Settings, embed: KnowledgeVectors, walls: bool
) -> Knowledge | None:
    """The room, not yet open; None without its packages. `walls`: the sandbox's hold on this machine."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return None
    return Knowledge(store, paths, lambda: ingest_rules(settings, walls), embed)


def ingest_rules(settings: Settings, walls: bool) -> IngestRules:
    """How files are read: behind walls or, if a person said so, what needs no foreign parser without them."""
    wanted = bool(settings.ingest_walls)
    readers = settings.ingest_readers or max(1, detect().cores)
    return IngestRules(settings.ingest_file_mib * 2**20, readers, walls=walls and wanted, plain_without=not wanted)
