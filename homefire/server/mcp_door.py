"""Our own MCP server: streamable HTTP at `/mcp`, without sessions, in the official package's own words.

Promises: it stands behind the door that every route stands behind (key, scopes, Host, Origin); a body is read within its limit
before the package sees it; a client that goes away ends its call; what is offered depends on the key alone, in one order.
Does not cover: what a call does (`agent/mcp/own.py`); words of a change (a client asks again), prompts and resources.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from dataclasses import dataclass
from typing import Any

from starlette.types import Message, Receive, Scope, Send

import homefire
from homefire.agent.mcp.own import Own
from homefire.agent.mcp.servers import Servers, need_package
from homefire.safety import Boundary
from homefire.safety.boundary import ToolSpec
from homefire.server.acting import PERSON
from homefire.server.request import principal_of, read_body, until_gone
from homefire.server.scopes import Principal
from homefire.store import Safety

LARGEST_BODY = 4 * 2**20
# What reads documents needs the scope for them, as its route does.
NEEDS_KNOWLEDGE = frozenset({"search_knowledge", "ingest"})


@dataclass(frozen=True, slots=True)
class McpRooms:
    """What the routes need: servers a person added, and our own tools for other programs."""

    servers: Servers
    own: Own
    boundary: Boundary
    stored: Safety

    async def open(self) -> None:
        """Begins to start the servers."""
        await self.servers.open()

    async def close(self) -> None:
        """Ends them all."""
        await self.servers.close()


class McpDoor:
    """The handler of `/mcp`."""

    def __init__(self, own: Own, body_limit: int) -> None:
        self._own = own
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /mcp"""
        need_package()
        body = await read_body(scope, receive, min(self._body_limit, LARGEST_BODY))
        await asyncio.to_thread(importlib.import_module, "mcp.server.streamable_http_manager")
        logging.getLogger("mcp").setLevel(logging.WARNING)  # it tells of every request
        await until_gone(self._serve(scope, body, send), receive)

    async def _serve(self, scope: Scope, body: bytes, send: Send) -> None:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        given = False

        async def replay() -> Message:
            nonlocal given
            if given:  # that the client went away is seen outside
                await asyncio.Event().wait()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        manager = StreamableHTTPSessionManager(self._server(principal_of(scope)), stateless=True, json_response=True)
        async with manager.run():
            await manager.handle_request(scope, replay, send)

    def _server(self, principal: Principal) -> Any:
        """The package's server for one caller."""
        from mcp.server.lowlevel import Server
        from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool, ToolAnnotations

        key = principal.owner or PERSON
        but = frozenset[str]() if principal.scopes & {"knowledge", "admin"} else NEEDS_KNOWLEDGE

        def shown(spec: ToolSpec) -> Tool:
            hints = ToolAnnotations(read_only_hint=spec.risk == "read", open_world_hint=spec.leads_out)
            return Tool(
                name=spec.name, description=spec.description, input_schema=dict(spec.parameters), annotations=hints
            )

        async def list_tools(context: Any, params: Any) -> ListToolsResult:
            return ListToolsResult(tools=[shown(spec) for spec in await self._own.offered(key, but)])

        async def call_tool(context: Any, params: Any) -> CallToolResult:
            arguments = json.dumps(params.arguments or {}, ensure_ascii=False)
            found = await self._own.call(key, params.name, arguments, but)
            good = found.status in ("ok", "empty", "cached")
            text = found.text if good else f"{found.text} [{found.code}]"
            return CallToolResult(content=[TextContent(text=text)], is_error=not good)

        return Server("homefire", version=homefire.__version__, on_list_tools=list_tools, on_call_tool=call_tool)
