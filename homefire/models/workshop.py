"""The workshop: models that are made here from others, and models that are carried from machine to machine.

Promises: a model is in the library whole or not at all, whatever fails and whenever the one who waits leaves; what is made says
from what, by which program and recipe, and the same work gives the same bytes; one conversion or quantization at a time. What a
bundle claims is compared with the disk and the quota before anything is written, and with its content while it is copied.
`progress(done, total)` counts bytes, comes from any thread, and ends the work by raising.
Does not cover: fetching (`pulls`), who may do it, how what was lost is measured (`quality`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from homefire.errors import BadSource, EngineFailed, InvalidRequest, ModelExists, TaskDied, UnsupportedModel
from homefire.models import adapters, bundle, quality
from homefire.models.adapters import Adapters
from homefire.models.bundle import Bundle, Manifest, Member
from homefire.models.convert import convert, weight_files
from homefire.models.gguf import read_header
from homefire.models.installed import NOTHING, Facts, Model, ModelFile, new_name
from homefire.models.library import Library
from homefire.models.quantize import preview, quantize, require_room
from homefire.models.safetensors import refuse_pickle
from homefire.models.sources import Source, resolve_file, safe_name
from homefire.models.task import Progress
from homefire.paths import Digest, ModelName, Paths
from homefire.store import Blobs

T = TypeVar("T")
# What a bundle may say of how the model came to be; all else is "imported".
KEPT_SOURCES = ("pulled", "converted", "quantized")


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle that was written: where, whether it is a tar file or a folder, how many files and bytes."""

    path: str
    form: str
    files: int
    bytes: int


class Workshop:
    """One event loop owns it. `walls`: what reads models runs behind the sandbox's."""

    def __init__(self, library: Library, paths: Paths, blobs: Blobs, *, walls: bool = False) -> None:
        self._library, self._paths, self._blobs, self._walls = library, paths, blobs, walls
        self._bench = asyncio.Lock()

    async def convert(self, folder: Path, name: str, kind: str, progress: Progress) -> Model:
        """Makes a model from a folder of safetensors; `kind` is F16, BF16 or F32. `name` "": the folder's.

        Raises ModelExists, QuotaExceeded, and what `convert.convert` raises.
        """
        wanted = self._free(name or folder.name)
        files = await asyncio.to_thread(weight_files, folder)
        size = sum(file.stat().st_size for file in files)
        self._library.require_quota(size)
        making, reading = stages(progress, size, size)
        async with self._bench:
            with self._part() as part:
                await convert(folder, part, kind, name=folder.name, progress=making, walls=self._walls)
                return await _whole(self._enter(wanted, part, "converted", progress=reading))

    async def quantize(
        self, name: str, recipe: str, new_name: str, progress: Progress, *, measure: bool = False
    ) -> Model:
        """Makes a smaller model from an installed one, which stays. `new_name` "": its own and the recipe's. `measure`: its
        provenance says under "quality" what was lost (`quality.compare`).

        Raises UnknownModel, ModelExists, QuotaExceeded, UnsupportedModel, and what `quantize.quantize` raises.
        """
        model = self._library.get(name)
        if model.facts.kind == adapters.KIND:
            raise UnsupportedModel(f"'{name}' is an adapter; it is a few megabytes and stays as it is.", param="name")
        wanted = self._free(new_name or f"{name}-{recipe.lower()}")
        size = (await asyncio.to_thread(preview, model.path, recipe)).size
        self._library.require_quota(size)
        making, measuring, reading = stages(progress, model.size_bytes, size if measure else 0, size)
        beside = tuple(file for file in model.files if file.role != "model")
        known: dict[str, Any] = {"from": str(name)}
        async with self._bench:
            with self._part() as part, self._library.holding(model.digests):
                await quantize(model.path, part, recipe, source_sha256=model.digest, progress=making, walls=self._walls)
                if measure:
                    known["quality"] = await _quality(model, part, measuring, self._walls)
                made = self._enter(wanted, part, "quantized", beside=beside, known=known, progress=reading)
                return await _whole(made)

    async def export(self, name: str, target: Path, progress: Progress) -> Exported:
        """Writes a model as a bundle: a tar file if `target` ends in .tar, else a folder. It must not be there yet.

        Raises UnknownModel, InvalidRequest, DigestMismatch (the model's own file is damaged), DiskFull.
        """
        model = self._library.get(name)
        with self._library.holding(model.digests):
            return await _whole(asyncio.to_thread(_export, model, target, progress))

    async def bring(
        self, path: Path, name: str, progress: Progress, base: str = "", known: Mapping[str, Any] = NOTHING
    ) -> Model:
        """Takes in a GGUF file (of a split one the first part, the others beside it), a bundle (folder or tar), or a folder of
        safetensors, which is converted to F16. `name` "": the bundle's own, else the file's. Of an adapter, `base` is the model
        that it is for ("": the only one that it fits), and `known` is added to its provenance, such as how it was made.

        Raises ModelExists, BadModelFile, DigestMismatch, PickleRefused, InvalidRequest, DiskFull, QuotaExceeded, and for an
        adapter UnknownModel, AdapterMismatch, UnsupportedModel.
        """
        kind = await asyncio.to_thread(kind_of, path)
        if kind == "safetensors":
            return await self.convert(path if path.is_dir() else path.parent, name, "F16", progress)
        if kind == "bundle":
            return await _whole(self._unpack(await asyncio.to_thread(Bundle, path), name, progress, base))
        parts = await asyncio.to_thread(resolve_file, Source("file", str(path)))
        wanted = self._free(name or path.stem)
        paths = [part.path for part in parts if part.path is not None]
        belongs = await asyncio.to_thread(self._base, paths[0], base)
        told = {**known, **belongs} if belongs else NOTHING
        return await _whole(self._gather(paths, wanted, progress, told))

    # -- doing

    async def _enter(
        self, name: ModelName, part: Path, source: str, *, beside: Sequence[ModelFile] = (),
        known: Mapping[str, Any] = NOTHING, progress: Progress,
    ) -> Model:  # fmt: skip
        """A file that was made becomes a model. Its header says from what and how it was made."""
        keys = (await asyncio.to_thread(read_header, part)).keys
        size = part.stat().st_size
        told = {
            word: keys[f"homefire.{word}"]
            for word in ("source_sha256", "origin_sha256", "tool", "recipe")
            if f"homefire.{word}" in keys
        }
        digest = await asyncio.to_thread(self._blobs.adopt, part, None, progress)
        files = [self._library.blob_file("model", f"{name}.gguf", digest, size), *beside]
        with self._library.holding([digest]):
            return await self._library.add(
                name, files, source=source, provenance={**known, **told, "reproducible": True}
            )

    def _base(self, path: Path, base: str, otherwise: str = "") -> dict[str, Any]:
        """What is to be known of an adapter's base; nothing of another model. `otherwise`: one that may be named and gone.
        Blocks."""
        header = read_header(path)
        if not adapters.is_adapter(header.keys):
            if base:
                raise InvalidRequest(f"{path.name} is no adapter; it has no base.", param="base")
            return {}
        if not base and any(model.name == otherwise for model in self._library.all()):
            base = otherwise
        return adapters.belonging(Adapters(self._library).find_base(header, base))

    async def _gather(
        self, paths: Sequence[Path], name: ModelName, progress: Progress, known: Mapping[str, Any]
    ) -> Model:
        """A GGUF, or the parts of a split one. The headers are checked first; the library checks those of the copies."""
        for path in paths:
            await asyncio.to_thread(read_header, path)
        sizes = [path.stat().st_size for path in paths]
        self._require(sum(sizes))
        files: list[ModelFile] = []
        with contextlib.ExitStack() as held:
            for path, report in zip(paths, stages(progress, *sizes), strict=True):
                digest, size = await asyncio.to_thread(self._blobs.copy_in, path, report)
                held.enter_context(self._library.holding([digest]))
                files.append(self._library.blob_file("model", path.name, digest, size))
            return await self._library.add(name, files, source="imported", provenance=known)

    async def _unpack(self, found: Bundle, name: str, progress: Progress, base: str) -> Model:
        manifest = found.manifest
        wanted = self._free(name or manifest.name)
        missing = {digest: size for digest, size in manifest.sizes.items() if not self._blobs.has(digest, size)}
        self._require(sum(missing.values()))
        with self._library.holding(manifest.sizes):
            await asyncio.to_thread(self._copy, found, missing, progress)
            files = [
                self._library.blob_file(file.role, file.name, file.sha256, file.size_bytes) for file in manifest.files
            ]
            facts = await asyncio.to_thread(_facts, manifest, files)
            source = manifest.source if manifest.source in KEPT_SOURCES else "imported"
            told = dict(manifest.provenance)
            if facts is None:
                named = str(told.get("base", ""))
                told |= await asyncio.to_thread(self._base, files[0].path, base, named)
            return await self._library.add(
                wanted, files, source=source, origin=manifest.origin, provenance=told, facts=facts
            )

    def _copy(self, found: Bundle, missing: dict[Digest, int], progress: Progress) -> None:
        done, total = 0, sum(missing.values())

        def tick(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total)

        for digest in missing:
            with self._part() as part:
                found.copy(digest, part, tick)
                self._blobs.adopt(part, digest)

    def _free(self, name: str) -> ModelName:
        """A name for a new model, made of `name`. Raises ModelExists, InvalidRequest."""
        wanted = new_name(name_from(name))
        if any(model.name == wanted for model in self._library.all()):
            raise ModelExists(f"There is a model named '{wanted}' already.", param="name")
        return wanted

    def _require(self, size: int) -> None:
        """Raises QuotaExceeded, DiskFull."""
        self._library.require_quota(size)
        require_room(self._paths.blobs, size)

    @contextlib.contextmanager
    def _part(self) -> Iterator[Path]:
        """A place for a file that is growing; what is left there goes, at the next start too (`Blobs.sweep`)."""
        part = self._paths.new_part()
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)


async def _quality(model: Model, made: Path, progress: Progress, walls: bool) -> dict[str, Any]:
    """A comparison that fails is no reason to throw away what was made."""
    try:
        return await quality.compare(model.path, made, model.facts.kind, progress, walls=walls)
    except (EngineFailed, TaskDied) as problem:
        return {"skipped": problem.message}


async def _whole(work: Awaitable[T]) -> T:
    """Waits for the end of the work even if the waiting task is cancelled, so that nothing goes on after it behind its back."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        task.exception()  # what `progress` raised is of no interest any more
        raise


# -- pure, or nearly


def stages(progress: Progress, *sizes: int) -> list[Progress]:
    """A progress for each of several works that follow each other, as one whole of `sizes` bytes."""
    total = sum(sizes)

    def stage(begin: int, size: int) -> Progress:
        return lambda done, of: progress(begin + (size * done // of if of else size), total)

    return [stage(sum(sizes[:at]), size) for at, size in enumerate(sizes)]


def name_from(text: str) -> ModelName:
    """The model's name that a file's or folder's name suggests. Raises InvalidRequest if nothing is left of it."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-:") else "-" for c in text)
    while ".." in kept:
        kept = kept.replace("..", ".")
    return ModelName(kept[:128].strip("._-:"))


def kind_of(path: Path) -> str:
    """What there is to bring in: "gguf", "bundle" or "safetensors". Raises PickleRefused, InvalidRequest, BadModelFile."""
    if path.is_dir():
        if (path / bundle.MANIFEST).is_file():
            return "bundle"
        if any(path.glob("*.safetensors")):
            return "safetensors"
        for other in sorted(path.iterdir()):
            refuse_pickle(other.name)
        raise InvalidRequest(
            f"{path} holds neither a bundle nor safetensors.", "For a GGUF, give the file itself.", param="path"
        )
    if not path.is_file():  # a pipe would make `open` wait for ever
        raise InvalidRequest(f"{path} cannot be read: there is no such file.", param="path")
    try:
        with path.open("rb") as file:
            start = file.read(bundle.BLOCK)
    except OSError as problem:
        raise InvalidRequest(f"{path} cannot be read: {problem.strerror}.", param="path") from None
    if path.suffix.lower() == ".safetensors":
        return "safetensors"
    if start[:4] != b"GGUF" and (path.suffix.lower() == ".tar" or start[257:262] == b"ustar"):
        return "bundle"
    refuse_pickle(path.name, start[:8])
    return "gguf"


def _export(model: Model, target: Path, progress: Progress) -> Exported:
    found = {
        file: file.digest or Digest(hashlib.sha256(file.path.read_bytes()).hexdigest()) for file in model.files
    }  # only the built-in model, which is small, has no digest
    manifest = Manifest(model.name, model.source, model.origin, dict(model.provenance), model.facts, _members(found))
    size = bundle.write(manifest, {digest: file.path for file, digest in found.items()}, target, progress)
    return Exported(str(target), "tar" if target.suffix == ".tar" else "folder", len(manifest.sizes), size)


def _members(found: dict[ModelFile, Digest]) -> tuple[Member, ...]:
    """The rows of a manifest; a name that is not one on every system, or comes twice, becomes one that is."""
    seen: set[str] = set()
    rows: list[Member] = []
    for file, digest in found.items():
        try:
            name = safe_name(file.name)
        except BadSource:
            name = f"{digest[:16]}.gguf"
        if name.casefold() in seen:
            name = f"{len(rows)}-{name}"
        seen.add(name.casefold())
        rows.append(Member(file.role, name, digest, file.size_bytes))
    return tuple(rows)


def _facts(manifest: Manifest, files: Sequence[ModelFile]) -> Facts | None:
    """None: a GGUF, whose header is read. Only what no engine would take for a GGUF is believed what its manifest says."""
    plain = True
    for file in files:
        with file.path.open("rb") as reading:
            start = reading.read(8)
        refuse_pickle(file.name, start)
        plain = plain and start[:4] != b"GGUF"
    return manifest.facts if plain and manifest.facts.kind == "speech" else None
