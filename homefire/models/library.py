"""The library: the built-in model and the ones a person imported.

Promises: a model that is listed has a whole file behind it (checked header, copied and hashed into a blob); removing one
removes its blob unless another name uses it.
Does not cover: what is in memory (`residency/`).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import apsw

from homefire.errors import BadModelFile, BuiltInModel, HomefireError, ModelExists, UnknownModel
from homefire.models.gguf import Header, read_header
from homefire.paths import Digest, ModelName, Paths
from homefire.store import Blobs, Store
from homefire.store.database import Row

PILOT = ModelName("pilot")
PILOT_FILE = Path(__file__).parent / "pilot.gguf"
# Families whose files are parts of another model, not models by themselves.
PARTS = frozenset({"clip", "mmproj"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a header is worth keeping."""

    architecture: str
    parameters: int
    quantization: str
    context_length: int
    description: str


@dataclass(frozen=True, slots=True)
class Model:
    """An installed model. `source` is "built-in" or "imported"."""

    name: ModelName
    source: str
    path: Path
    size_bytes: int
    facts: Facts
    digest: Digest | None = None


class Library:
    """All installed models. One task changes it at a time; listings are served from memory."""

    def __init__(self, store: Store, paths: Paths, blobs: Blobs) -> None:
        self._store = store
        self._paths = paths
        self._blobs = blobs
        self._models: dict[str, Model] = {}

    async def open(self) -> None:
        """Reads the table of models. Raises BadModelFile if the built-in model's own file is damaged."""
        header = await asyncio.to_thread(read_header, PILOT_FILE)
        self._models = {PILOT: Model(PILOT, "built-in", PILOT_FILE, PILOT_FILE.stat().st_size, _facts(header))}
        query = "SELECT name, digest, size_bytes, facts FROM models ORDER BY added_at"
        rows: list[Row] = await self._store.read(lambda c: c.execute(query).fetchall())
        for name, digest, size, facts in rows:
            path = self._paths.blob(Digest(digest))
            self._models[name] = Model(
                ModelName(name), "imported", path, size, Facts(**json.loads(facts)), Digest(digest)
            )

    def all(self) -> list[Model]:
        """The installed models, the built-in one first."""
        return list(self._models.values())

    def get(self, name: str) -> Model:
        """The model of this name. Raises UnknownModel, which names the installed ones."""
        found = self._models.get(name)
        if found is None:
            installed = ", ".join(sorted(self._models))
            raise UnknownModel(
                f"There is no model named '{name[:128]}' here.",
                f"Installed: {installed}. See them with: homefire models",
                param="model",
            )
        return found

    async def import_file(self, source: Path, name: ModelName, progress: Callable[[int, int], None]) -> Model:
        """Checks the GGUF file and copies it in. `progress(done_bytes, total_bytes)` is called from another thread.

        Raises BadModelFile, ModelExists, DiskFull, InvalidRequest.
        """
        if name in self._models:
            raise ModelExists(f"There is a model named '{name}' already.", param="name")
        await asyncio.to_thread(_check, source)
        digest, size = await asyncio.to_thread(self._blobs.copy_in, source, progress)
        # Shielded: half of what follows would leave a row without a file, or a file that no row names.
        return await asyncio.shield(asyncio.ensure_future(self._enter(name, digest, size)))

    async def _enter(self, name: ModelName, digest: Digest, size: int) -> Model:
        """Enters a copied file into the table; on failure the copy goes."""
        try:
            # The copy is what will be run, so it is the copy whose header counts.
            header = await asyncio.to_thread(_check, self._paths.blob(digest))
            model = Model(name, "imported", self._paths.blob(digest), size, _facts(header), digest)
            await self._insert(model)
        except HomefireError:
            self._drop(digest)
            raise
        self._models[name] = model
        return model

    async def _insert(self, model: Model) -> None:
        name = model.name

        def change(c: apsw.Connection) -> None:
            if c.execute("SELECT 1 FROM models WHERE name = ?", (name,)).fetchone():
                raise ModelExists(f"There is a model named '{name}' already.", param="name")
            row = (name, model.digest, model.size_bytes, json.dumps(asdict(model.facts)), time.time())
            c.execute("INSERT INTO models VALUES (?, ?, ?, ?, ?)", row)

        await self._store.write(change)

    def _drop(self, digest: Digest) -> None:
        """Removes a blob that no model uses."""
        if all(model.digest != digest for model in self._models.values()):
            self._blobs.remove(digest)

    async def remove(self, name: str) -> None:
        """Forgets a model and removes its file. Raises UnknownModel or BuiltInModel."""
        model = self.get(name)
        if model.digest is None:
            raise BuiltInModel(f"'{name}' is built in and stays.", "It takes a few megabytes of disk.")
        await self._store.write(lambda c: c.execute("DELETE FROM models WHERE name = ?", (name,)))
        del self._models[name]
        self._drop(model.digest)


def _check(path: Path) -> Header:
    header = read_header(path)
    if header.architecture in PARTS:
        raise BadModelFile(
            f"{path.name} is a part of another model (architecture '{header.architecture}'), not a model by itself.",
            "Import the main file of the model instead.",
        )
    return header


def _facts(header: Header) -> Facts:
    return Facts(
        header.architecture, header.parameters, header.quantization, header.context_length, header.description[:500]
    )
