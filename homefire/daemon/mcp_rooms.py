"""MCP in the daemon: the servers a person added, and what our own server at `/mcp` acts with.

Promises: opens nothing before `open`; the package `mcp` is loaded when a server is started or `/mcp` is asked.
Does not cover: routes (`server/mcp_routes.py`, `server/mcp_door.py`).
"""

from __future__ import annotations

from homefire.agent.mcp.own import Own
from homefire.agent.mcp.servers import Servers
from homefire.daemon.agents import Agents
from homefire.paths import Paths
from homefire.safety import Boundary
from homefire.server.mcp_door import McpRooms
from homefire.settings import Settings, open_secrets
from homefire.store import McpServers, Safety, Store


def make_mcp(store: Store, paths: Paths, settings: Settings, boundary: Boundary, agents: Agents) -> McpRooms:
    """What `Rooms` takes as `mcp`. Its `servers` are opened after the boundary, before the runs, and closed after them."""
    servers = Servers(McpServers(store), open_secrets(settings.secrets, paths.secrets), paths.mcp, agents)
    own = Own(
        boundary, lambda: agents.tools, lambda key: agents.runs.grants.ready(key, agents.tools), paths.mcp,
        seconds=float(settings.agent_tool_seconds),
    )  # fmt: skip
    return McpRooms(servers, own, boundary, Safety(store))
