"""MCP, by its official package: servers that a person adds become tools, and our tools are served to other programs.

Promises: the package is loaded when a server is started or `/mcp` is asked, not before.
Does not cover: routes (`server/mcp_routes.py`), what may be done (`safety/boundary.py`).
"""

from homefire.agent.mcp.described import Found, described
from homefire.agent.mcp.servers import Servers, ServerView
from homefire.agent.mcp.session import Target

__all__ = ["Found", "ServerView", "Servers", "Target", "described"]
