"""Models over HTTP: what is here, what there is, what fits, how it comes, what is done with it, and who plays which role.

Promises: long work streams its progress; a download goes on when its listener leaves, other work ends; whatever names a file of
this machine needs a key, the page's login is not enough; nothing is removed under work on it.
Does not cover: doing any of it (`models/`), whether a hub answers (`reach.py`).
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.dialects.strict import Closed
from homefire.errors import HomefireError, InvalidRequest, ModelBusy, ShuttingDown, UnknownModel
from homefire.hardware import Machine
from homefire.models.adapters import workers_of
from homefire.models.advice import Advice
from homefire.models.downloads import ENDED, Download
from homefire.models.installed import Model, Verified
from homefire.models.library import Library, Roles
from homefire.models.pulls import Pulls
from homefire.models.sources import parse, shown
from homefire.models.workshop import Workshop
from homefire.paths import ModelName
from homefire.residency import Keeper
from homefire.server.holds import Holds
from homefire.server.reach import Reach
from homefire.server.request import read_json, read_query, require_key, send_json, send_nothing, until_gone
from homefire.server.work_stream import stream_states, stream_work

SMALL_BODY = 64 * 1024
# These stand in the place of a name in a route; a model so called could not be reached.

Name = Annotated[str, Meta(max_length=200)]
FilePath = Annotated[str, Meta(min_length=1, max_length=4096)]
Type = Annotated[str, Meta(max_length=40)]


class ImportBody(Closed):
    """`base`: of an adapter, the model that it is for; null: the only one that it fits."""

    path: FilePath
    name: Name | None = None
    base: Name | None = None


class PullBody(Closed, kw_only=True):
    source: Annotated[str, Meta(min_length=1, max_length=4096)]
    name: Name | None = None
    quantization: Type | None = None
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    watch: bool = True


class ExportBody(Closed):
    path: FilePath


class QuantizeBody(Closed, kw_only=True):
    type: Annotated[str, Meta(min_length=1, max_length=40)]
    name: Name | None = None
    quality: bool = True


class VerifyBody(Closed, kw_only=True):
    repair: bool = False


class ConvertBody(Closed, kw_only=True):
    path: FilePath
    name: Name | None = None
    type: Type | None = None


class PinBody(Closed):
    pinned: bool


class RolesBody(Closed, kw_only=True):
    """A model's name, or null: the role's own stand-in."""

    main: Name | msgspec.UnsetType | None = msgspec.UNSET
    rlm: Name | msgspec.UnsetType | None = msgspec.UNSET
    memory: Name | msgspec.UnsetType | None = msgspec.UNSET
    embed: Name | msgspec.UnsetType | None = msgspec.UNSET
    vision: Name | msgspec.UnsetType | None = msgspec.UNSET


_import = msgspec.json.Decoder(ImportBody)
_pull = msgspec.json.Decoder(PullBody)
_export = msgspec.json.Decoder(ExportBody)
_quantize = msgspec.json.Decoder(QuantizeBody)
_convert = msgspec.json.Decoder(ConvertBody)
_pin = msgspec.json.Decoder(PinBody)
_roles = msgspec.json.Decoder(RolesBody)


@dataclass(frozen=True, slots=True)
class ModelRooms:
    """What these routes need of the rooms below. `reach` asks whether a hub and a package index answer,
    `machine` what this machine is with its GPUs (it may block for some hundred milliseconds)."""

    library: Library
    roles: Roles
    pulls: Pulls
    workshop: Workshop
    advice: Advice
    holds: Holds
    reach: Callable[[], Awaitable[Reach]]
    machine: Callable[[], Machine]


class ModelRoutes:
    """Handlers of models, catalogue, downloads, proposal and roles. `default_model` answers requests that name none; `cache`
    is the type of KV cache that a model is run with."""

    def __init__(
        self,
        rooms: ModelRooms,
        keeper: Keeper,
        default_model: Callable[[], str],
        home: Path,
        cache: Callable[[str], str] = lambda name: "F16",
    ) -> None:
        self._library = rooms.library
        self._roles = rooms.roles
        self._pulls = rooms.pulls
        self._workshop = rooms.workshop
        self._advice = rooms.advice
        self._holds = rooms.holds
        self._reach = rooms.reach
        self._machine = rooms.machine
        self._keeper = keeper
        self._default_model = default_model
        self._home = home
        self._cache = cache

    # -- what is here, what there is, what fits

    async def installed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/models"""
        with_fit = read_query(scope, {"fit"}).get("fit", "") not in ("", "0", "false")
        rows = [self._model(model) for model in self._library.all()]
        if with_fit:
            for row in rows:
                row["fits"] = await self._verdict(row["name"])
        body = {"default": self._default_model(), "models": rows, "disk": self._disk(), "roles": self._named_roles()}
        await send_json(send, body)

    async def one(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/models/{name}"""
        name = scope["path_params"]["name"]
        known = next((found for found in await self._search(name, "") if found["name"] == name), None)
        try:
            model = self._library.get(name)
        except UnknownModel:
            if known is None:
                raise
            await send_json(send, {"installed": False, "model": None, "catalogue": known})
            return
        shown = {**self._model(model), "provenance": dict(model.provenance)}
        await send_json(send, {"installed": True, "model": shown, "catalogue": known})

    async def catalogue(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/catalogue"""
        query = read_query(scope, {"q", "capability"})
        await send_json(send, {"models": await self._search(query.get("q", ""), query.get("capability", ""))})

    async def fit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/models/{name}/fit"""
        name = scope["path_params"]["name"]
        query = read_query(scope, {"context", "slots", "kv", "quantization"})
        context = _whole(query, "context", 0)
        slots, kv = _whole(query, "slots", 1), query.get("kv") or self._cache(name)
        quantization = query.get("quantization", "")
        await send_json(send, await asyncio.to_thread(self._advice.fit, name, context, slots, kv, quantization))

    async def proposal(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/proposal"""
        offline = read_query(scope, {"offline"}).get("offline", "") not in ("", "0", "false")
        reach = Reach() if offline else await self._reach()
        found = await asyncio.to_thread(self._advice.proposal, reach.hub)
        can_embed = reach.index or reach.hub or found.embedder.installed
        embedder = found.embedder if can_embed else None
        wanted = {
            (c.model, c.quantization): c.download_bytes for c in (*found.choices, *([embedder] if embedder else []))
        }
        body = {
            "machine": await asyncio.to_thread(self._machine),
            "reach": reach,
            "tier": found.tier,
            "choices": found.choices,
            "embedder": embedder,
            "download_bytes": sum(wanted.values()),
        }
        await send_json(send, body)

    # -- roles

    async def roles(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/roles"""
        await send_json(send, {"roles": self._named_roles()})

    async def set_roles(self, scope: Scope, receive: Receive, send: Send) -> None:
        """PUT /homefire/v1/roles"""
        body = await read_json(scope, receive, SMALL_BODY, _roles)
        given = {role: name for role, name in msgspec.structs.asdict(body).items() if name is not msgspec.UNSET}
        await self._roles.set_roles({role: name or "" for role, name in given.items()})
        await send_json(send, {"roles": self._named_roles()})

    # -- downloads

    async def pull(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/models/pull"""
        body = await read_json(scope, receive, SMALL_BODY, _pull)
        if ":" in body.source and parse(body.source).kind == "file":
            require_key(scope)
        name = ModelName(body.name) if body.name else ""
        download = await self._pulls.pull(
            body.source, name=name, quantization=body.quantization or "", priority=body.priority
        )
        if not body.watch:
            await send_json(send, download_json(download), 202)
            return
        await until_gone(self._watch(download.id, send), receive)

    async def downloads(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/downloads"""
        await send_json(send, {"downloads": [download_json(found) for found in self._pulls.downloads.all()]})

    async def pause(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/downloads/{id}/pause"""
        await send_json(send, download_json(await self._pulls.downloads.pause(_id(scope))))

    async def resume(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/downloads/{id}/resume"""
        await send_json(send, download_json(await self._pulls.downloads.resume(_id(scope))))

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/downloads/{id}/cancel"""
        await send_json(send, download_json(await self._pulls.downloads.cancel(_id(scope))))

    async def watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/downloads/{id}/watch"""
        id = self._pulls.downloads.get(_id(scope)).id
        await read_json(scope, receive, SMALL_BODY, _nothing)
        await until_gone(self._watch(id, send), receive)

    async def _watch(self, id: int, send: Send) -> None:
        async def end() -> dict[str, Any]:
            if self._pulls.downloads.get(id).state not in ENDED:
                raise ShuttingDown("The daemon is stopping.", "The download goes on when it runs again.")
            ended = await self._pulls.downloads.wait(id)
            return {"download": download_json(ended), "model": self._model(self._library.get(ended.target))}

        await stream_states(send, self._pulls.watch(id), download_json, end)

    # -- work on models

    async def import_model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/models/import"""
        require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _import)
        path = _absolute(body.path)
        name = ModelName(body.name) if body.name else ""
        base = body.base or ""
        work = stream_work(send, lambda report: self._workshop.bring(path, name, report, base), self._model)
        await until_gone(work, receive)

    async def convert(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/models/convert"""
        require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _convert)
        path = _absolute(body.path)
        name = ModelName(body.name) if body.name else ""
        kind = body.type or "F16"
        work = stream_work(send, lambda report: self._workshop.convert(path, name, kind, report), self._model)
        await until_gone(work, receive)

    async def export(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/models/{name}/export"""
        require_key(scope)
        name = scope["path_params"]["name"]
        body = await read_json(scope, receive, SMALL_BODY, _export)
        path = _absolute(body.path)
        work = partial(stream_work, send, lambda report: self._workshop.export(name, path, report), asdict)
        await self._hold(name, "exported", work, receive)

    async def verify(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/models/{name}/verify"""
        name = scope["path_params"]["name"]
        repair = (await read_json(scope, receive, SMALL_BODY, _verify)).repair
        work = partial(
            stream_work,
            send,
            lambda report: (self._pulls.repair if repair else self._library.verify)(name, report),
            _verified,
        )
        await self._hold(name, "verified", work, receive)

    async def quantize(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/models/{name}/quantize"""
        name = scope["path_params"]["name"]
        body = await read_json(scope, receive, SMALL_BODY, _quantize)
        made = ModelName(body.name) if body.name else ""
        work = partial(
            stream_work,
            send,
            lambda report: self._workshop.quantize(name, body.type, made, report, measure=body.quality),
            lambda model: {**self._model(model), "quality": model.provenance.get("quality")},
        )
        await self._hold(name, "quantized", work, receive)

    async def pin(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/models/{name}/pin"""
        body = await read_json(scope, receive, SMALL_BODY, _pin)
        await send_json(send, self._model(await self._library.pin(scope["path_params"]["name"], body.pinned)))

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/models/{name}"""
        await self.drop(scope["path_params"]["name"])
        await send_nothing(send)

    async def drop(self, name: str) -> None:
        """Removes a model; it leaves the memory first. Raises UnknownModel, ModelBusy, ModelPinned, BuiltInModel."""
        pulled = next((d for d in self._pulls.downloads.all() if d.target == name and d.state not in ENDED), None)
        if pulled is not None:
            step = f"Cancel that first: homefire models downloads cancel {pulled.id}"
            raise ModelBusy(f"'{name[:128]}' is being pulled.", step, param="name")
        model = self._library.get(name)
        with self._holds.leave(name):
            if model.digest is not None and not model.pinned:
                await self._keeper.evict(name)
                for worker in workers_of([each.name for each in self._keeper.view()[0]], name):
                    await self._keeper.evict(worker)
            await self._library.remove(name)
            self._keeper.disown(name)

    async def _hold(
        self, name: str, what: str, work: Callable[[], Coroutine[Any, Any, None]], receive: Receive
    ) -> None:
        """Long work on an installed model, which stays while it goes on."""
        self._library.get(name)
        with self._holds.hold(name, what):
            await until_gone(work(), receive)

    # -- forms

    def _model(self, model: Model) -> dict[str, Any]:
        return {
            "name": model.name,
            "source": model.source,
            "size_bytes": model.size_bytes,
            "architecture": model.facts.architecture,
            "parameters": model.facts.parameters,
            "quantization": model.facts.quantization,
            "context_length": model.facts.context_length,
            "description": model.facts.description,
            "kind": model.facts.kind,
            "digest": model.digest,
            "files": [
                {"role": file.role, "name": file.name, "digest": file.digest, "size_bytes": file.size_bytes}
                for file in model.files
            ],
            "origin": model.origin,
            "base": model.provenance.get("base"),
            "pinned": model.pinned,
            "external": model.external,
            "added_at": model.added_at,
            "resident": self._keeper.is_resident(model.name),
        }

    def _named_roles(self) -> dict[str, str | None]:
        return {role: name or None for role, name in self._roles.roles().items()}

    def _disk(self) -> dict[str, int]:
        used = self._library.disk()
        try:
            free = shutil.disk_usage(self._home).free
        except OSError:
            free = 0
        return {"used_bytes": used.used_bytes, "quota_bytes": used.quota_bytes, "free_bytes": free}

    async def _search(self, text: str, capability: str) -> list[dict[str, Any]]:
        found = await asyncio.to_thread(self._advice.search, text[:200], capability[:40])
        return [asdict(row) for row in found]

    async def _verdict(self, name: str) -> str:
        try:
            return (await asyncio.to_thread(self._advice.fit, name, 0)).fits
        except HomefireError:
            return "unknown"


_verify = msgspec.json.Decoder(VerifyBody)


class _Nothing(Closed):
    pass


_nothing = msgspec.json.Decoder(_Nothing)


def download_json(download: Download) -> dict[str, Any]:
    """A download as the routes give it. Bytes, bytes a second, seconds."""
    failed = download.state == "failed"
    return {
        "id": download.id,
        "source": shown(download.source),
        "target": download.target,
        "priority": download.priority,
        "asked_at": download.asked_at,
        "state": download.state,
        "phase": download.phase,
        "done_bytes": download.done,
        "total_bytes": download.total,
        "rate": round(download.rate),
        "eta_s": None if download.eta is None else round(download.eta, 1),
        "error": {"code": download.code, "message": download.message, "next_step": download.next_step}
        if failed
        else None,
    }


def _verified(found: Verified) -> dict[str, Any]:
    return {"ok": found.ok, "bad": list(found.bad), "bytes": found.bytes}


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise InvalidRequest("'path' must be absolute.", param="path")
    return path


def _id(scope: Scope) -> int:
    text = scope["path_params"]["id"]
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidRequest("A download's id is a whole number.", param="id")
    return int(text)


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidRequest(f"'{name}' must be a whole number.", param=name)
    return int(text)
