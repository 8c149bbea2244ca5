"""Prompts over HTTP: listed, shown, changed, compared, taken back, rendered, packed and made shorter.

Promises: a change that was made on another version is refused; rendering changes nothing.
Does not cover: the language and its bounds (`prompts/render.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.dialects.strict import Closed
from homefire.errors import InvalidRequest
from homefire.paths import Paths
from homefire.prompts import Prompts
from homefire.prompts.compress import compress
from homefire.prompts.packs import MOST_IN_PACK, Wanted, fingerprint, pack, unpack
from homefire.server.asking_routes import Reading
from homefire.server.request import caller, principal_of, read_json, read_number, read_query, send_json, send_nothing

Version = Annotated[int, Meta(ge=0, le=1_000_000)]


class EditBody(Closed, kw_only=True):
    """`on`: the version that was changed, so that nobody's change is lost; without it, whatever is in force."""

    text: str
    why: Annotated[str, Meta(max_length=500)] = ""
    on: Version | None = None


class RollbackBody(Closed, kw_only=True):
    version: Version | None = None


class RenderBody(Closed, kw_only=True):
    """`words`: all values are texts, as a command line has them, and are read as their types want."""

    values: dict[str, Any] = msgspec.field(default_factory=dict)
    version: Version | None = None
    words: bool = False


class PackBody(Closed, kw_only=True):
    pack: Annotated[str, Meta(min_length=1, max_length=80)]
    names: Annotated[list[str], Meta(min_length=1, max_length=MOST_IN_PACK)]
    sign: bool = True


class UnpackBody(Closed, kw_only=True):
    """`data`: the pack's file as text."""

    data: str
    trust: bool = False
    unsigned: bool = False
    replace: bool = False


class CompressBody(Closed, kw_only=True):
    """`model`: whose tokens are counted; "": of the role main."""

    text: str
    level: Literal["light", "usual", "hard"] = "usual"
    model: str = ""


_edit, _rollback = msgspec.json.Decoder(EditBody), msgspec.json.Decoder(RollbackBody)
_render, _compress = msgspec.json.Decoder(RenderBody), msgspec.json.Decoder(CompressBody)
_pack, _unpack = msgspec.json.Decoder(PackBody), msgspec.json.Decoder(UnpackBody)


class PromptRoutes:
    """Handlers of `/homefire/v1/prompts`. `reading` gives the model whose tokens are counted; None: there is none."""

    def __init__(self, prompts: Prompts, reading: Reading | None, home: Path, body_limit: int) -> None:
        self._prompts, self._reading, self._limit = prompts, reading, body_limit
        self._home = home

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/prompts"""
        await send_json(send, {"prompts": await self._prompts.list()})

    async def show(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/prompts/{name}"""
        version = _number(read_query(scope, {"version"}), "version")
        await send_json(send, await self._prompts.show(_name(scope), version))

    async def edit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """PUT /homefire/v1/prompts/{name}"""
        body = await read_json(scope, receive, self._limit, _edit)
        version = await self._prompts.edit(_name(scope), body.text, body.why, principal_of(scope).name, body.on)
        await send_json(send, {"name": _name(scope), "version": version})

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/prompts/{name}"""
        await self._prompts.remove(_name(scope))
        await send_nothing(send)

    async def diff(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/prompts/{name}/diff"""
        query = read_query(scope, {"from", "to"})
        await send_json(send, await self._prompts.diff(_name(scope), _number(query, "from"), _number(query, "to")))

    async def rollback(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/prompts/{name}/rollback"""
        body = await read_json(scope, receive, 4096, _rollback)
        version = await self._prompts.rollback(_name(scope), body.version)
        await send_json(send, {"name": _name(scope), "version": version})

    async def render(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/prompts/{name}/render"""
        body = await read_json(scope, receive, self._limit, _render)
        if body.words and not all(isinstance(each, str) for each in body.values.values()):
            raise InvalidRequest("With 'words' every value is a text.", param="values")
        text = await self._prompts.render(_name(scope), body.values, body.version, body.words)
        await send_json(send, {"name": _name(scope), "text": text})

    async def pack(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/prompts/pack"""
        body = await read_json(scope, receive, self._limit, _pack)
        key = Paths(self._home).pack_key if body.sign else None
        scope["homefire.about"] = body.pack
        made = await pack(self._prompts, body.pack, body.names, key)
        await send_json(send, {"pack": made, **_signer(made["signature"]["key"] if made["signature"] else "")})

    async def unpack(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/prompts/unpack"""
        body = await read_json(scope, receive, self._limit, _unpack)
        wanted = Wanted(body.trust, body.unsigned, body.replace)
        found = await unpack(
            self._prompts, body.data.encode("utf-8", "surrogatepass"), wanted, principal_of(scope).name
        )
        scope["homefire.about"] = found.pack
        await send_json(send, {**asdict(found), **_signer(found.key)})

    async def compress(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/prompts/compress"""
        body = await read_json(scope, receive, self._limit, _compress)
        if self._reading is None:
            raise InvalidRequest("There is no model whose tokens could be counted.")
        found = await compress(body.text, self._reading(caller(scope), body.model), body.level)
        await send_json(send, {"level": body.level, **found.as_data()})


def _name(scope: Scope) -> str:
    return str(scope["path_params"]["name"])


def _number(query: dict[str, str], name: str) -> int | None:
    return int(read_number(query, name, 0, 0, 1_000_000)) if name in query else None


def _signer(key: str) -> dict[str, str]:
    return {"fingerprint": fingerprint(key) if key else ""}
