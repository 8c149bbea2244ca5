"""What the daemon hands to knowledge: the room itself, and the rules by which files are read.

Promises: without the packages of the extra `knowledge` there is no room, and no route but says so; files are read behind walls
or not at all, unless a person said otherwise.
Does not cover: who makes vectors (`embedders.py`), who answers (`server/reading_model.py`).
"""

from __future__ import annotations

import importlib.util
import secrets

from homefire.hardware import detect
from homefire.knowledge.ingest import IngestRules
from homefire.knowledge.kept import Kept
from homefire.knowledge.knowledge import Knowledge
from homefire.knowledge.meaning import Embed
from homefire.knowledge.search import Judge
from homefire.paths import Paths, from_os
from homefire.settings import Settings, open_secrets
from homefire.store import KnowledgeRows, Store

# Without these nothing can be indexed or searched; what else the extra brings is for single kinds of documents, or faster.
NEEDED = ("numpy", "tantivy")
# Where the password of the server stands in secrets.toml or the keyring; no engine can be called so.
SECRET = "knowledge:store"


def make_knowledge(
    store: Store, paths: Paths, settings: Settings, *, embed: Embed, judge: Judge, walls: bool
) -> Knowledge | None:
    """The room, not yet open; None without its packages. `walls`: the sandbox's hold on this machine."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return None
    return Knowledge(
        store, paths, lambda: ingest_rules(settings, walls), embed, judge, elsewhere=elsewhere(settings, paths)
    )


def elsewhere(settings: Settings, paths: Paths) -> tuple[KnowledgeRows, Kept] | None:
    """What keeps knowledge in place of the home, if a person named it; not connected yet. Raises BadSetting, PackageMissing."""
    if not settings.knowledge_store:
        return None
    from homefire.knowledge.postgres import on_server
    from homefire.store.postgres import Postgres

    password = open_secrets(settings.secrets, paths.secrets).read(SECRET)
    return on_server(Postgres(settings.knowledge_store, password, owner_of(paths)))


def owner_of(paths: Paths) -> str:
    """This home's own word on a server that several share. Raises HomeNotWritable."""
    file = paths.knowledge_owner
    try:
        if file.is_file() and (found := file.read_text("utf-8").strip()).isalnum():
            return found
        made = secrets.token_hex(8)
        file.write_text(made + "\n", "utf-8")
        return made
    except OSError as problem:
        raise from_os(problem, file) from None


def ingest_rules(settings: Settings, walls: bool) -> IngestRules:
    """How files are read: behind walls or, if a person said so, what needs no foreign parser without them."""
    wanted = bool(settings.ingest_walls)
    readers = settings.ingest_readers or max(1, detect().cores)
    return IngestRules(
        settings.ingest_file_mib * 2**20, readers, walls=walls and wanted, plain_without=not wanted,
        cluster=settings.ingest_cluster,
    )  # fmt: skip
