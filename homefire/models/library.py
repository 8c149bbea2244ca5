"""The library: the built-in model and those that were imported, pulled, made here, or linked in another program's store.

Promises: a model that is listed has its whole files behind it (headers checked, blobs named by their sha256); a blob is removed
when no model and nothing under way needs it, and never while one does; parts of a split model lie beside each other; files of
another program are never touched; a pinned model is not removed.
Does not cover: how files come (`pulls.py`, `workshop.py`), what is in memory (`residency/`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw

from homefire.errors import (
    BadModelFile,
    BuiltInModel,
    HomefireError,
    InvalidRequest,
    ModelExists,
    ModelPinned,
    QuotaExceeded,
    UnknownModel,
)
from homefire.models.gguf import Header, read_header
from homefire.models.installed import (
    COLUMNS,
    NOTHING,
    DiskUse,
    Facts,
    FileRole,
    Model,
    ModelFile,
    Verified,
    facts_of,
    from_row,
    new_name,
    part_names,
    to_row,
)
from homefire.paths import Digest, ModelName, Paths, from_os, make_private_folder
from homefire.store import Blobs, Store
from homefire.store.database import Row

__all__ = [
    "PILOT",
    "PILOT_FILE",
    "ROLES",
    "DiskUse",
    "Facts",
    "FileRole",
    "Library",
    "Model",
    "ModelFile",
    "Roles",
    "Verified",
]
PILOT = ModelName("pilot")
PILOT_FILE = Path(__file__).parent / "pilot.gguf"
# Families whose files are parts of another model, not models by themselves.
PARTS = frozenset({"clip", "mmproj"})
PIECE = 4 * 1024 * 1024
Progress = Callable[[int, int], None]
log = logging.getLogger(__name__)


class Library:
    """All installed models. One event loop changes it; listings are served from memory. `quota_bytes`: of all blobs, or 0;
    `approve` is asked for each GGUF file that is added, once its header was checked, and what it raises, `add` raises."""

    def __init__(
        self, store: Store, paths: Paths, blobs: Blobs, quota_bytes: int = 0,
        approve: Callable[[Path], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        self.store = store
        self.paths = paths
        self.blobs = blobs
        self.quota_bytes = quota_bytes
        self._models: dict[str, Model] = {}
        self._approve = approve
        self._held: Counter[Digest] = Counter()
        self._entering = asyncio.Lock()

    async def open(self) -> None:
        """Reads the table of models. Raises BadModelFile if the built-in model's own file is damaged. A linked model whose files
        are gone is not listed, and is again once they are back."""
        header = await asyncio.to_thread(read_header, PILOT_FILE)
        size = PILOT_FILE.stat().st_size
        own = ModelFile("model", PILOT_FILE.name, None, PILOT_FILE, size)
        self._models = {PILOT: Model(PILOT, "built-in", PILOT_FILE, size, facts_of([header]), files=(own,))}
        query = f"SELECT {COLUMNS} FROM models ORDER BY added_at"  # nosec B608 # our own columns
        rows: list[Row] = await self.store.read(lambda c: c.execute(query).fetchall())
        for row in rows:
            model = from_row(row, self.paths)
            if model.external and not all(f.path.is_file() for f in model.files):
                log.warning("the files of the linked model %s are gone: %s", model.name, model.path)
                continue
            self._models[model.name] = await asyncio.to_thread(self._laid_out, model)

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
                f"Installed: {installed}. See them with: homefire models list",
                param="model",
            )
        return found

    def used_bytes(self) -> int:
        """Bytes of all blobs that models use, each counted once."""
        sizes = {f.digest: f.size_bytes for m in self._models.values() for f in m.files if f.digest in m.digests}
        return sum(sizes.values())

    def disk(self) -> DiskUse:
        """What the models take on the disk."""
        return DiskUse(self.used_bytes(), sum(bool(m.digests) for m in self._models.values()), self.quota_bytes)

    def require_quota(self, size: int, reserved: int = 0) -> None:
        """Raises QuotaExceeded if `size` bytes more, beside `reserved` ones that are on their way, would be over the quota."""
        used = self.used_bytes() + reserved
        if self.quota_bytes and used + size > self.quota_bytes:
            raise QuotaExceeded(
                f"That takes {size / 1e9:.2f} GB; models use {used / 1e9:.2f} of {self.quota_bytes / 1e9:.2f} GB."
            )

    # -- coming

    def blob_file(self, role: FileRole, name: str, digest: Digest, size: int) -> ModelFile:
        """A file that lies among the blobs."""
        return ModelFile(role, name, digest, self.paths.blob(digest), size)

    @contextlib.contextmanager
    def holding(self, digests: Iterable[Digest]) -> Iterator[None]:
        """While it is open these blobs stay, whoever removes a model; at its end those that no model needs go."""
        held = Counter(digests)
        self._held += held
        try:
            yield
        finally:
            self._held -= held
            for digest in held:
                self._drop(digest)

    async def add(
        self,
        name: ModelName,
        files: Sequence[ModelFile],
        *,
        source: str,
        origin: str = "",
        provenance: Mapping[str, Any] = NOTHING,
        external: bool = False,
        facts: Facts | None = None,
    ) -> Model:
        """Enters a model whose files are in place already (hold their blobs meanwhile). The first file, and with it all of role
        "model", are checked GGUF files, unless `facts` are given, which says they are of another kind. A model of this name with
        the same digests is left as it is and returned.

        Raises ModelExists, BadModelFile, InvalidRequest (a file that is not there, a name that is reserved), DiskFull.
        """
        name = new_name(name)
        if facts is None:
            facts = await asyncio.to_thread(_facts_of_files, files)
            if self._approve is not None:
                await self._approve(files[0].path)
        size = sum(f.size_bytes for f in files)
        model = Model(
            name, source, files[0].path, size, facts, files[0].digest, tuple(files), origin, dict(provenance),
            external=external, added_at=time.time(),
        )  # fmt: skip
        # Shielded: half of what follows would leave a row that memory does not know.
        return await asyncio.shield(asyncio.ensure_future(self._enter_alone(model)))

    async def _enter_alone(self, model: Model) -> Model:
        async with self._entering:
            return await self._enter(model)

    async def _enter(self, model: Model) -> Model:
        there = self._models.get(model.name)
        if there is not None and there.digest and _same(there, model):
            return there
        if there is not None:
            raise _exists(model.name)
        model = await asyncio.to_thread(self._laid_out, model)
        with self.holding(model.digests):
            try:
                await self._insert(model)
            except HomefireError:
                self._unlink(model)
                raise
            self._models[model.name] = model
        return model

    async def _insert(self, model: Model) -> None:
        row = to_row(model)

        def change(c: apsw.Connection) -> None:
            # A linked model whose files are gone has a row and is not listed; it makes room.
            c.execute(
                "DELETE FROM models WHERE name = ? AND external AND ?", (model.name, model.name not in self._models)
            )
            if c.execute("SELECT 1 FROM models WHERE name = ?", (model.name,)).fetchone():
                raise _exists(model.name)
            c.execute(f"INSERT INTO models ({COLUMNS}) VALUES ({', '.join('?' * len(row))})", row)  # nosec B608 # our own columns, and marks

        await self.store.write(change)

    def _laid_out(self, model: Model) -> Model:
        """The model with the path of its first part in a folder where all parts lie beside each other. Blocks."""
        parts = part_names(model.files)
        if not parts:
            return model
        folder = self.paths.split(Digest(hashlib.sha256("".join(sorted(model.digests)).encode()).hexdigest()))
        try:
            make_private_folder(folder)
            for name, file in parts.items():
                if not (folder / name).exists():
                    _link(file.path, folder / name)
        except OSError as problem:
            raise from_os(problem, folder) from None
        return replace(model, path=folder / min(parts))

    # -- staying and going

    async def pin(self, name: str, pinned: bool) -> Model:
        """Keeps a model from being removed, or lets it go again. Raises UnknownModel, BuiltInModel."""
        model = self._own(name)
        await self.store.write(lambda c: c.execute("UPDATE models SET pinned = ? WHERE name = ?", (int(pinned), name)))
        # Another may have changed it meanwhile, or removed it.
        self._models[name] = replace(self.get(name), pinned=pinned)
        return replace(model, pinned=pinned)

    async def verify(self, name: str, progress: Progress) -> Verified:
        """Reads every file of a model again and compares its sha256 with the one that it had. `progress(done_bytes, total_bytes)`
        is called from another thread; what it raises ends the work. Raises UnknownModel."""
        model = self.get(name)
        return await asyncio.to_thread(_verify, model, progress)

    async def remove(self, name: str) -> None:
        """Forgets a model and removes its files, as far as no other model uses them. Raises UnknownModel, BuiltInModel,
        ModelPinned."""
        model = self._own(name)
        if model.pinned:
            raise ModelPinned(f"'{name}' is pinned.", f"Unpin it first: homefire models unpin {name}")
        await self.store.write(lambda c: c.execute("DELETE FROM models WHERE name = ?", (name,)))
        self._models.pop(name, None)
        self._unlink(model)
        for digest in model.digests:
            self._drop(digest)

    def _own(self, name: str) -> Model:
        model = self.get(name)
        if model.digest is None:
            raise BuiltInModel(f"'{name}' is built in and stays.", "It takes a few megabytes of disk.")
        return model

    def _drop(self, digest: Digest) -> None:
        """Removes a blob that no model uses."""
        if not self._held[digest] and not any(digest in model.digests for model in self._models.values()):
            self.blobs.remove(digest)

    def _unlink(self, model: Model) -> None:
        """Removes the links of a split model: as long as they are there, its blobs take their room on the disk."""
        if model.path != model.files[0].path and not any(m.path == model.path for m in self._models.values()):
            shutil.rmtree(model.path.parent, ignore_errors=True)


ROLES = ("main", "rlm", "memory", "embed", "vision")
# What the pilot cannot stand in for.
WITHOUT_STAND_IN = ("embed", "vision")
# Their work is the model's of the role main where they have none of their own.
LIKE_MAIN = ("rlm", "memory")


class Roles:
    """Which model does what: `main` answers, `rlm` reads recursively, `memory` keeps, `embed` makes vectors,
    `vision` looks at images."""

    def __init__(self, store: Store, library: Library) -> None:
        self._store = store
        self._library = library
        self._set: dict[str, str] = {}

    async def open(self) -> None:
        """Reads the table. After `Library.open`."""
        rows: list[Row] = await self._store.read(lambda c: c.execute("SELECT role, model FROM roles").fetchall())
        self._set = dict(rows)

    def roles(self) -> dict[str, str]:
        """The model of each role. One that is not set, or whose model is gone, is the pilot's, but for `rlm` and `memory`, which
        are then main's; `embed` and `vision` then have none ("")."""
        here = {model.name for model in self._library.all()}
        own = {role: name for role, name in self._set.items() if name in here}
        main = own.get("main", str(PILOT))
        others = {**dict.fromkeys(LIKE_MAIN, main), **dict.fromkeys(WITHOUT_STAND_IN, "")}
        return {role: own.get(role, others.get(role, main)) for role in ROLES}

    async def set_roles(self, given: Mapping[str, str]) -> None:
        """Gives roles to installed models, all or none of them; "" takes one back. Raises InvalidRequest, UnknownModel."""
        for role, model in given.items():
            self._check(role, model)
        rows = list(given.items())

        def change(c: apsw.Connection) -> None:
            c.executemany("DELETE FROM roles WHERE role = ?", [(role,) for role, _ in rows])
            c.executemany("INSERT INTO roles VALUES (?, ?)", [row for row in rows if row[1]])

        await self._store.write(change)
        self._set.update(rows)

    def _check(self, role: str, model: str) -> None:
        if role not in ROLES:
            raise InvalidRequest(f"'{role[:40]}' is no role.", f"Roles are: {', '.join(ROLES)}.", param="role")
        if not model:
            return
        found = self._library.get(model)
        kind, wanted = found.facts.kind, "embedding" if role == "embed" else "chat"
        if kind != wanted:
            raise InvalidRequest(
                f"'{model}' is a model of the kind '{kind}'; the role '{role}' needs one of the kind '{wanted}'.",
                "See kinds with: homefire models list",
                param="model",
            )
        if role == "vision" and found.file("mmproj") is None:
            raise InvalidRequest(
                f"'{model}' has no vision part (a file mmproj beside the model), so it cannot look at images.",
                "Find one that can with: homefire models search --capability vision",
                param="model",
            )


def _exists(name: str) -> ModelExists:
    return ModelExists(f"There is a model named '{name}' already.", param="name")


def _same(one: Model, other: Model) -> bool:
    return [(f.role, f.digest) for f in one.files] == [(f.role, f.digest) for f in other.files]


def _check(path: Path) -> Header:
    header = read_header(path)
    if header.architecture in PARTS:
        raise BadModelFile(
            f"{path.name} is a part of another model (architecture '{header.architecture}'), not a model by itself.",
            "Import the main file of the model instead.",
        )
    return header


def _facts_of_files(files: Sequence[ModelFile]) -> Facts:
    """Reads the headers of all files of role "model", checks those of projectors. Blocks."""
    facts = facts_of([_check(f.path) for f in files if f.role == "model"])
    for file in files:
        if file.role == "mmproj":
            read_header(file.path)
    return facts


def _link(blob: Path, name: Path) -> None:
    try:
        os.link(blob, name)
    except OSError:  # a file system without hard links
        name.unlink(missing_ok=True)
        name.symlink_to(blob)


def _pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes; what cannot be read is left out, and the digest will tell."""
    with contextlib.suppress(OSError), path.open("rb") as reading:
        while piece := reading.read(PIECE):
            yield piece


def _verify(model: Model, progress: Progress) -> Verified:
    bad: list[str] = []
    done = 0
    for file in model.files:
        hasher = hashlib.sha256()
        for piece in _pieces(file.path):
            hasher.update(piece)
            done += len(piece)
            progress(done, max(model.size_bytes, done))
        if file.digest != hasher.hexdigest() if file.digest else not _has_header(file.path):
            bad.append(file.name)
    return Verified(tuple(bad), done)


def _has_header(path: Path) -> bool:
    try:
        return bool(read_header(path))
    except HomefireError:
        return False
