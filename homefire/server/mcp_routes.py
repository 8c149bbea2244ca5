"""MCP servers over HTTP: added, looked at, approved, removed by a key with admin; the page sees none of it.

Promises: nothing here shows a secret; a server is added without a grant; an approval grants what was shown when it was asked for:
what changed meanwhile stays off.
Does not cover: running them (`agent/mcp/`), our own server at `/mcp` (`mcp_door.py`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.agent.mcp.described import Found
from homefire.agent.mcp.servers import Servers, ServerView
from homefire.dialects.strict import Closed
from homefire.errors import InvalidRequest, NotAsked
from homefire.safety import Boundary
from homefire.server.acting import PERSON
from homefire.server.agent_routes import whose
from homefire.server.authority import Authority
from homefire.server.request import read_json, read_query, require_key, send_json, send_nothing
from homefire.store import GrantRow, Safety

SMALL_BODY = 64 * 1024
# How long adding one waits for what it has.
LOOK_SECONDS = 15.0
LARGEST_ARGUMENTS = 65_536
Text = Annotated[str, Meta(max_length=4096)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class McpServerBody(Closed, kw_only=True):
    """A program with its arguments, or an address; `environment` and `key` are kept as secrets."""

    name: Name
    command: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()
    url: Text = ""
    environment: Annotated[dict[str, Text], Meta(max_length=50)] = msgspec.field(default_factory=dict)
    key: Text = ""


class McpApproveBody(Closed, kw_only=True):
    """`tools`: their own names, empty for all that are offered; `key`: a key's name, null for the person; `ask`: every time."""

    tools: Annotated[tuple[Name, ...], Meta(max_length=200)] = ()
    key: Name | None = None
    ask: bool = False


class McpCallBody(Closed, kw_only=True):
    """A yes or no to a question that a call over `/mcp` left."""

    yes: bool = True


_server = msgspec.json.Decoder(McpServerBody)
_approve = msgspec.json.Decoder(McpApproveBody)
_call = msgspec.json.Decoder(McpCallBody)


class McpRoutes:
    """Handlers of `/homefire/v1/mcp`."""

    def __init__(self, servers: Servers, boundary: Boundary, stored: Safety, authority: Authority) -> None:
        self._servers = servers
        self._boundary = boundary
        self._stored = stored
        self._authority = authority

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/mcp/servers"""
        key = await whose(self._authority, scope, read_query(scope, {"key"}).get("key"))
        await send_json(send, {"servers": [self._view(view, key) for view in self._servers.views()]})

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/mcp/servers/{name}"""
        key = await whose(self._authority, scope, read_query(scope, {"key"}).get("key"))
        await send_json(send, self._view(self._servers.view(_name(scope)), key))

    async def add(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/mcp/servers"""
        require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _server)
        scope["homefire.about"] = body.name
        await self._servers.add(body.name, body.command, body.url, environment=body.environment, key=body.key)
        view = await self._servers.settled(body.name, LOOK_SECONDS)
        await send_json(send, self._view(view, PERSON), 201)

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/mcp/servers/{name}"""
        require_key(scope)
        await self._servers.remove(_name(scope))
        await send_nothing(send)

    async def approve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/mcp/servers/{name}/approve"""
        require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _approve)
        view, key = self._servers.view(_name(scope)), await whose(self._authority, scope, body.key)
        offered = {each.name: each for each in view.tools if each.spec is not None}
        if unknown := sorted(set(body.tools) - set(offered)):
            raise InvalidRequest(f"'{view.name}' offers no tool '{unknown[0][:80]}'.", param="tools")
        if not offered:
            raise InvalidRequest(f"'{view.name}' offers no tool now. {view.why}".strip(), param="tools")
        scope["homefire.about"] = f"{view.name}: {', '.join(body.tools or offered)} to {body.key or 'the person'}"
        for name in body.tools or offered:
            spec = offered[name].spec
            assert spec is not None
            await self._boundary.grant(GrantRow(key, spec.name, spec.pin, largest=LARGEST_ARGUMENTS, ask=body.ask))
        await send_json(send, self._view(self._servers.view(view.name), key))

    async def decide(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/mcp/calls/{id}"""
        require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _call)
        id_ = str(scope["path_params"]["id"])
        if not await self._stored.decide(id_, body.yes, time.time()):
            raise NotAsked(f"Nobody is asked about '{id_[:40]}' now.", "Have it called again: that asks anew.")
        await send_json(send, {"id": id_, "approved": body.yes})

    def _view(self, view: ServerView, key: str) -> dict[str, Any]:
        shown = {name: value for name, value in asdict(view).items() if name != "tools"}
        return {**shown, "tools": [self._tool(each, key) for each in view.tools]}

    def _tool(self, found: Found, key: str) -> Mapping[str, Any]:
        spec = found.spec
        grant = self._boundary.held(key, spec.name) if spec is not None else None
        state = "refused" if spec is None else "new" if grant is None else "changed"
        if spec is not None and grant is not None and grant.pin == spec.pin:
            state = "granted"
        return {
            "name": found.name, "tool": spec.name if spec is not None else "", "state": state, "why": found.refused,
            "description": found.description, "risk": spec.risk if spec is not None else "",
        }  # fmt: skip


def _name(scope: Scope) -> str:
    return str(scope["path_params"]["name"])
