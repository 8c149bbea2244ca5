"""Health, login, status, models and keys over HTTP.

Promises: a secret is in an answer only where it is made; importing a model streams its progress.
Does not cover: conversations and OpenAI's routes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

import homefire
from homefire.dialects.strict import Closed
from homefire.errors import HomefireError, InvalidRequest, KeyNeeded
from homefire.hardware import detect, process_memory
from homefire.models import Library, Model
from homefire.paths import KeyName, ModelName
from homefire.residency import Keeper
from homefire.server.authority import SESSION_SECONDS, Authority, Principal
from homefire.server.request import (
    ClientGone,
    begin_events,
    end_events,
    read_json,
    send_event,
    send_json,
    send_nothing,
    until_gone,
)

SMALL_BODY = 64 * 1024
PROGRESS_SECONDS = 0.1


class LoginBody(Closed):
    code: Annotated[str, Meta(max_length=200)]


class KeyBody(Closed):
    name: Annotated[str, Meta(max_length=200)]


class ImportBody(Closed):
    path: Annotated[str, Meta(min_length=1, max_length=4096)]
    name: Annotated[str, Meta(max_length=200)] | None = None


_login = msgspec.json.Decoder(LoginBody)
_key = msgspec.json.Decoder(KeyBody)
_import = msgspec.json.Decoder(ImportBody)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this daemon is. `unready` gives the reasons why it cannot serve, none if it can."""

    url: str
    home: Path
    default_model: str
    started: float
    unready: Callable[[], list[str]]


class SystemRoutes:
    """Handlers of everything about the daemon itself."""

    def __init__(self, identity: Identity, authority: Authority, keeper: Keeper, library: Library) -> None:
        self._identity = identity
        self._authority = authority
        self._keeper = keeper
        self._library = library

    async def health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /healthz"""
        await send_json(send, {"alive": True})

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /readyz"""
        reasons = self._identity.unready()
        await send_json(send, {"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def login(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/login"""
        body = await read_json(scope, receive, SMALL_BODY, _login)
        token = await self._authority.login(body.code)
        age = int(SESSION_SECONDS)
        cookie = f"{self._authority.cookie}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}"
        await send_nothing(send, [(b"set-cookie", cookie.encode())])

    async def logout(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/logout"""
        await self._authority.logout({"cookie": _header(scope, b"cookie")})
        cookie = f"{self._authority.cookie}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"
        await send_nothing(send, [(b"set-cookie", cookie.encode())])

    async def link(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/links"""
        _require_key(scope)
        code, expires_at = self._authority.make_code()
        await send_json(send, {"url": f"{self._identity.url}/#login={code}", "expires_at": expires_at})

    async def status(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/status"""
        residents, waiting = self._keeper.view()
        machine = detect()
        models = [
            {
                "name": resident.name,
                "state": resident.state,
                "leases": resident.leases,
                "memory_bytes": process_memory(resident.pid) if resident.pid is not None else 0,
                "restarts": resident.restarts,
            }
            for resident in residents
        ]
        now = time.time()
        await send_json(
            send,
            {
                "version": homefire.__version__,
                "pid": os.getpid(),
                "started_at": self._identity.started,
                "uptime_s": round(now - self._identity.started, 1),
                "url": self._identity.url,
                "home": str(self._identity.home),
                "machine": machine,
                "memory_bytes": process_memory(os.getpid()),
                "models": models,
                "waiting": waiting,
            },
        )

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/models"""
        rows = [self._model(model) for model in self._library.all()]
        await send_json(send, {"default": self._identity.default_model, "models": rows})

    async def import_model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/models/import"""
        _require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _import)
        source = Path(body.path)
        if not source.is_absolute():
            raise InvalidRequest("'path' must be absolute.", param="path")
        name = ModelName(body.name) if body.name else _name_for(source)
        await until_gone(self._import(source, name, send), receive)

    async def remove_model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/models/{name}"""
        name = scope["path_params"]["name"]
        model = self._library.get(name)
        if model.digest is not None:
            await self._keeper.evict(name)
        await self._library.remove(name)
        await send_nothing(send)

    async def keys(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/keys"""
        rows = [
            {"name": row.name, "created_at": row.created_at, "last_used_at": row.last_used_at}
            for row in await self._authority.list_keys()
        ]
        await send_json(send, {"keys": rows})

    async def add_key(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/keys"""
        _require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _key)
        row, secret = await self._authority.add_key(KeyName(body.name))
        await send_json(send, {"name": row.name, "key": secret, "created_at": row.created_at}, 201)

    async def revoke_key(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/keys/{name}"""
        _require_key(scope)
        await self._authority.revoke_key(scope["path_params"]["name"])
        await send_nothing(send)

    async def _import(self, source: Path, name: ModelName, send: Send) -> None:
        """Streams `progress` while the copy goes on, then `done` or `error`."""
        state = {"done_bytes": 0, "total_bytes": 0}
        left = False

        def progress(done: int, total: int) -> None:
            if left:
                raise ClientGone  # ends the copying thread, which cannot be cancelled, and removes its part
            state["done_bytes"], state["total_bytes"] = done, total

        work = asyncio.ensure_future(self._library.import_file(source, name, progress))
        try:
            await begin_events(send)
            while not work.done():
                await asyncio.wait((work,), timeout=PROGRESS_SECONDS)
                await send_event(send, "progress", state)
            await send_event(send, "done", self._model(work.result()))
        except HomefireError as problem:
            await send_event(send, "error", problem.envelope())
        finally:
            left = True
            work.cancel()
        await end_events(send)

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
            "resident": self._keeper.is_resident(model.name),
        }


def _require_key(scope: Scope) -> None:
    principal: Principal = scope["homefire.principal"]
    if principal.kind != "key":
        raise KeyNeeded("This needs a key; the page's login is not enough.", "Do it on the command line.")


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _name_for(source: Path) -> ModelName:
    """A model's name from its file's name."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in source.stem).strip("._-")
    return ModelName(kept.replace("..", ".")[:128])
