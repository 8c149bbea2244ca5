"""Far engines and orders of fallback over HTTP. All that changes or asks one needs a key: the page's login does not do.

Promises: no answer holds the key of a far engine, and whoever lacks the scope admin (the page too) sees not its address either;
nothing here sends anything to an engine that is not granted.
Does not cover: asking engines for answers (`answering.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.dialects.strict import Closed
from homefire.errors import EngineNotGranted, HomefireError, InvalidRequest, UnknownEngine
from homefire.models.library import ROLES
from homefire.residency.far import FarEngines, describe
from homefire.server.request import read_json, require_key, send_json, send_nothing

SMALL_BODY = 64 * 1024
# Of a far engine, what only the scope admin shows.
KEY_ONLY = frozenset({"url", "has_key"})
Name = Annotated[str, Meta(min_length=1, max_length=300)]


class EngineBody(Closed, kw_only=True):
    name: Name
    url: Annotated[str, Meta(min_length=1, max_length=2000)]
    kind: Name = "openai"
    models: Annotated[tuple[Name, ...], Meta(max_length=200)] = ()
    key: Annotated[str, Meta(max_length=4096)] = ""


class ChainBody(Closed, kw_only=True):
    model: Name
    order: Annotated[list[Name], Meta(max_length=8)]


_engine = msgspec.json.Decoder(EngineBody)
_chain = msgspec.json.Decoder(ChainBody)


class EngineRoutes:
    """Handlers of `/homefire/v1/engines` and `/homefire/v1/chains`. `installed(name)` raises UnknownModel
    unless it is a model here or a role."""

    def __init__(self, far: FarEngines | None, installed: Callable[[str], object]) -> None:
        self._given = far
        self._installed = installed

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/engines"""
        far = self._given
        assert far is not None
        rows = [asdict(view) for view in far.views()]
        if "admin" not in scope["homefire.principal"].scopes:
            rows = [{name: value for name, value in row.items() if name not in KEY_ONLY} for row in rows]
        await send_json(send, {"engines": rows, "chains": far.chains})

    async def add(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/engines"""
        far = self._far(scope)
        body = await read_json(scope, receive, SMALL_BODY, _engine)
        scope["homefire.about"] = body.name
        await send_json(send, await far.add(body.name, body.url, body.kind, body.models, body.key), 201)

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/engines/{name}"""
        await self._far(scope).remove(_name(scope))
        await send_nothing(send)

    async def grant(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/engines/{name}/grant"""
        await send_json(send, await self._far(scope).grant(_name(scope)))

    async def revoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/engines/{name}/revoke"""
        await send_json(send, await self._far(scope).revoke(_name(scope)))

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/engines/{name}/check"""
        far, name = self._far(scope), _name(scope)
        began = time.perf_counter()
        error = None
        try:
            await far.check(name)
        except (UnknownEngine, EngineNotGranted):
            raise
        except HomefireError as problem:
            error = problem.envelope()["error"]
        found = [] if error else [describe(each) for each in far.listed(name)]
        seconds = round(time.perf_counter() - began, 4)
        await send_json(
            send,
            {"name": name, "ok": error is None, "seconds": seconds, "models": found, "error": error},
        )

    async def set_chain(self, scope: Scope, receive: Receive, send: Send) -> None:
        """PUT /homefire/v1/chains"""
        far = self._far(scope)
        body = await read_json(scope, receive, SMALL_BODY, _chain)
        scope["homefire.about"] = body.model
        for name in body.order:
            if name in far.chains and name != body.model and name not in ROLES:
                raise InvalidRequest(f"'{name}' has an order of its own; orders do not nest.", param="order")
            if not far.owns(name):
                self._installed(name)
        await far.set_chain(body.model, tuple(body.order))
        await send_json(send, {"chains": far.chains})

    def _far(self, scope: Scope) -> FarEngines:
        require_key(scope)
        assert self._given is not None
        return self._given


def _name(scope: Scope) -> str:
    return str(scope["path_params"]["name"])
