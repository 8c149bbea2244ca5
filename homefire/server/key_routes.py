"""Keys and the audit log over HTTP. All of it needs admin: the page's login does not do.

Promises: a secret is in an answer only where it is made; what a key may do stands in its row, never in a request that uses
it.
Does not cover: what a scope opens (`scopes.py`).
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.dialects.strict import Closed
from homefire.paths import KeyName
from homefire.server.authority import GRACE_SECONDS, Authority
from homefire.server.request import caller, read_json, read_number, read_query, require_key, send_json, send_nothing
from homefire.server.scopes import read_scopes
from homefire.store import KeyRights, KeyRow

SMALL_BODY = 64 * 1024
LONGEST_SECONDS = 10 * 366 * 86_400.0
ScopeName = Annotated[str, Meta(max_length=40)]
Limit = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class KeyBody(Closed, kw_only=True):
    name: Annotated[str, Meta(max_length=200)]
    scopes: Annotated[list[ScopeName], Meta(max_length=20)] = msgspec.field(default_factory=lambda: ["chat"])
    expires_in: Annotated[float, Meta(gt=0, le=LONGEST_SECONDS)] | None = None
    requests_per_minute: Limit = 0
    tokens_per_minute: Limit = 0
    concurrent: Limit = 0


class RotateBody(Closed, kw_only=True):
    grace_seconds: Annotated[float, Meta(ge=0, le=LONGEST_SECONDS)] = GRACE_SECONDS


_key = msgspec.json.Decoder(KeyBody)
_rotate = msgspec.json.Decoder(RotateBody)


class KeyRoutes:
    """Handlers of `/homefire/v1/keys` and `/homefire/v1/audit`."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/keys"""
        require_key(scope)
        rows = [key_json(row) | {"open": self._open(row)} for row in await self._authority.list_keys()]
        await send_json(send, {"keys": rows})

    async def add(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/keys"""
        require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _key)
        expires_at = None if body.expires_in is None else time.time() + body.expires_in
        rights = KeyRights(
            read_scopes(body.scopes), expires_at, body.requests_per_minute, body.tokens_per_minute, body.concurrent
        )
        row, secret = await self._authority.add_key(KeyName(body.name), rights, caller(scope))
        await send_json(send, key_json(row) | {"key": secret}, 201)

    async def rotate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/keys/{name}/rotate"""
        require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _rotate)
        row, secret = await self._authority.rotate_key(_name(scope), body.grace_seconds, caller(scope))
        await send_json(send, key_json(row) | {"key": secret})

    async def revoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/keys/{name}"""
        require_key(scope)
        await self._authority.revoke_key(_name(scope), caller(scope))
        await send_nothing(send)

    async def audit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/audit"""
        require_key(scope)
        query = read_query(scope, {"limit", "before"})
        limit = int(read_number(query, "limit", 200.0, 1, 1000))
        before = int(read_number(query, "before", 0.0, 0, 1e15)) if "before" in query else None
        await send_json(send, {"entries": await self._authority.audited(limit, before)})

    def _open(self, row: KeyRow) -> int:
        return self._authority.open_work.count(f"key:{row.name}")


def key_json(row: KeyRow) -> dict[str, Any]:
    """A key as it goes over the wire, without its secret."""
    rights = asdict(row.rights)
    return {
        "name": row.name,
        "id": row.id,
        "scopes": rights["scopes"],
        "created_at": row.created_at,
        "last_used_at": row.last_used_at,
        "expires_at": rights["expires_at"],
        "limits": {
            "requests_per_minute": row.rights.requests,
            "tokens_per_minute": row.rights.tokens,
            "concurrent": row.rights.concurrent,
        },
        "old_until": row.old_until,
    }


def _name(scope: Scope) -> str:
    return str(scope["path_params"]["name"])
