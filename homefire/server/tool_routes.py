"""Tools over HTTP: what agents can do here, what of it a key may, and why not; grants given and taken back.

Promises: a grant is given and taken back by a key with admin only, and its entry in the audit log is on the disk first; roots are
absolute, real folders of this machine; a grant holds the tool as it is now, and any change of the tool ends it.
Does not cover: what a grant allows (`safety/boundary.py`), carrying anything out (`agent/`).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.dialects.strict import Closed
from homefire.errors import InvalidRequest, UnknownTool
from homefire.safety import Boundary
from homefire.safety.boundary import ToolSpec
from homefire.server.agent_routes import whose
from homefire.server.authority import Authority
from homefire.server.request import read_json, read_query, require_key, send_json, send_nothing
from homefire.store import GrantRow

SMALL_BODY = 256 * 1024
LARGEST_ARGUMENTS = 65_536

Bounds = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=4096)], ...], Meta(max_length=200)]


class GrantBody(Closed, kw_only=True):
    """What a key may do with a tool; `key`: a key's name, null for the person of this home; `largest`: bytes of arguments."""

    key: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    folders: Bounds = ()
    hosts: Bounds = ()
    recipients: Bounds = ()
    ask: bool = False
    largest: Annotated[int, Meta(ge=1, le=1 << 24)] = LARGEST_ARGUMENTS


_grant = msgspec.json.Decoder(GrantBody)


@dataclass(frozen=True, slots=True)
class ToolRooms:
    """What the routes need. `settle` makes the grants that every key has from the start, before a key's are looked at; `refused`
    says why a tool cannot run here at all ("": it can)."""

    boundary: Boundary
    settle: Callable[[str], Awaitable[None]]
    refused: Callable[[str], str]


class ToolRoutes:
    """Handlers of `/homefire/v1/tools`."""

    def __init__(self, rooms: ToolRooms, authority: Authority) -> None:
        self._rooms = rooms
        self._authority = authority

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/tools"""
        key = await whose(self._authority, scope, read_query(scope, {"key"}).get("key"))
        await self._rooms.settle(key)
        await send_json(send, {"tools": [self._view(tool, key) for tool in self._rooms.boundary.tools]})

    async def grant(self, scope: Scope, receive: Receive, send: Send) -> None:
        """PUT /homefire/v1/tools/{name}/grant"""
        require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _grant)
        tool = self._tool(scope)
        key = await whose(self._authority, scope, body.key)
        await self._rooms.settle(key)
        bounds = bounds_of(tool, body)
        scope["homefire.about"] = f"{tool.name} to {body.key or 'the person'}{_said(bounds, body.ask)}"
        await self._rooms.boundary.grant(
            GrantRow(key, tool.name, tool.pin, **bounds, largest=body.largest, ask=body.ask)
        )
        await send_json(send, self._view(tool, key))

    async def revoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/tools/{name}/grant"""
        require_key(scope)
        tool, name = self._tool(scope), read_query(scope, {"key"}).get("key")
        key = await whose(self._authority, scope, name)
        await self._rooms.settle(key)  # or the first look would bring it back
        scope["homefire.about"] = f"{tool.name} from {name or 'the person'}"
        await self._rooms.boundary.revoke(key, tool.name)
        await send_nothing(send)

    def _tool(self, scope: Scope) -> ToolSpec:
        name = str(scope["path_params"]["name"])
        found = next((tool for tool in self._rooms.boundary.tools if tool.name == name), None)
        if found is None:
            raise UnknownTool(f"There is no tool '{name[:80]}'.", param="name")
        return found

    def _view(self, tool: ToolSpec, key: str) -> dict[str, Any]:
        return tool_json(tool, self._rooms.boundary.held(key, tool.name), self._rooms.refused(tool.name))


def tool_json(tool: ToolSpec, grant: GrantRow | None, refused: str) -> dict[str, Any]:
    """A tool as one key sees it: `asks` is always, sometimes or never; `why_not` says why it is not there, "" where it is."""
    asks, why = asks_of(tool, grant)
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "risk": tool.risk,
        "private": tool.private,
        "leads_out": tool.leads_out,
        "source": tool.source,
        "bounds": {"folders": bool(tool.paths), "hosts": bool(tool.addresses), "recipients": bool(tool.recipients)},
        "granted": grant is not None and grant.pin == tool.pin,
        "grant": None
        if grant is None
        else {
            "folders": grant.roots,
            "hosts": grant.hosts,
            "recipients": grant.recipients,
            "largest": grant.largest,
            "ask": grant.ask,
            "changed": grant.pin != tool.pin,
        },
        "asks": asks,
        "asks_why": why,
        "why_not": _why_not(tool, grant, refused),
    }


def asks_of(tool: ToolSpec, grant: GrantRow | None) -> tuple[str, str]:
    """When a person is asked before it is used, and why; what `safety.boundary.judge` decides call by call."""
    if tool.risk in ("spend", "admin"):
        return "always", f"A tool that can {tool.risk} asks every time."
    if grant is not None and grant.ask:
        return "always", "The grant asks every time."
    if tool.recipients:
        return "sometimes", "It asks about recipients that the grant does not name, and where untrusted text was read."
    if tool.risk in ("send", "run"):
        return "sometimes", "It asks where untrusted text was read before."
    if tool.risk == "write" and tool.paths:
        return "sometimes", "It asks where untrusted text was read before and a path is outside of the run's folder."
    return "never", ""


def bounds_of(tool: ToolSpec, body: GrantBody) -> dict[str, tuple[str, ...]]:
    """The grant's bounds, with folders as they are on the disk. Raises InvalidRequest for one that means nothing for the tool."""
    given = (
        ("folders", body.folders, tool.paths),
        ("hosts", body.hosts, tool.addresses),
        ("recipients", body.recipients, tool.recipients),
    )
    for name, values, meant in given:
        if values and not meant:
            raise InvalidRequest(f"The tool '{tool.name}' takes no {name}.", f"Leave '{name}' out.", param=name)
    return {"roots": tuple(_folder(each) for each in body.folders), "hosts": body.hosts, "recipients": body.recipients}


def _folder(text: str) -> str:
    path = Path(text)
    if not path.is_absolute() or "\0" in text:
        raise InvalidRequest(f"'{text[:80]}' is not an absolute path.", "Send the whole path.", param="folders")
    real = Path(os.path.realpath(path))
    if not real.is_dir():
        raise InvalidRequest(f"'{text[:80]}' is no folder.", "Make it first, or name another.", param="folders")
    return str(real)


def _why_not(tool: ToolSpec, grant: GrantRow | None, refused: str) -> str:
    if refused:
        return refused
    if grant is None:
        return f"It is not granted. A person grants it with: homefire tools allow {tool.name}"
    if grant.pin != tool.pin:
        return f"It has changed since it was granted. Look at it, then: homefire tools allow {tool.name}"
    return ""


def _said(bounds: Mapping[str, Iterable[str]], ask: bool) -> str:
    found = [f"{name} {', '.join(values)}" for name, values in bounds.items() if values]
    return "".join(f"; {each}" for each in (*found, *(["asks"] if ask else [])))
