"""What the daemon hands to knowledge: the room itself, and the rules by which files are read.

Promises: without the packages of the extra `knowledge` there is no room, and no route but says so; files are read behind walls
or not at all, unless a person said otherwise.
Does not cover: who makes vectors (`embedders.py`), who answers (`server/reading_model.py`).
"""

from __future__ import annotations

import importlib.util

from homefire.hardware import detect
from homefire.knowledge.ingest import IngestRules
from homefire.knowledge.knowledge import Knowledge
from homefire.knowledge.meaning import Embed
from homefire.knowledge.search import Judge
from homefire.paths import Paths
from homefire.settings import Settings
from homefire.store import Store

# Without these nothing can be indexed or searched; what else the extra brings is for single kinds of documents, or faster.
NEEDED = ("numpy", "tantivy")


def make_knowledge(
    store: Store, paths: Paths, settings: Settings, *, embed: Embed, judge: Judge, walls: bool
) -> Knowledge | None:
    """The room, not yet open; None without its packages. `walls`: the sandbox's hold on this machine."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return None
    return Knowledge(store, paths, lambda: ingest_rules(settings, walls), embed, judge)


def ingest_rules(settings: Settings, walls: bool) -> IngestRules:
    """How files are read: behind walls or, if a person said so, what needs no foreign parser without them."""
    wanted = bool(settings.ingest_walls)
    readers = settings.ingest_readers or max(1, detect().cores)
    return IngestRules(settings.ingest_file_mib * 2**20, readers, walls=walls and wanted, plain_without=not wanted)
