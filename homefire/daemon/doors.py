"""The doors of agents, made of their rooms: what routes need of runs, timers, tools and grants.

Promises: opens nothing; `Agents.acting` is opened after runs, keys and conversations, and closed before the runs.
Does not cover: the runs themselves, the routes (`server/agent_routes.py`, `server/tool_routes.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from homefire.agent.runs import Runs
from homefire.agent.timers import Timers
from homefire.agent.tool import Tool
from homefire.safety import Boundary
from homefire.server.acting import Acting
from homefire.server.agent_routes import Agents
from homefire.server.authority import Authority
from homefire.server.tool_routes import ToolRooms
from homefire.store import Conversations

# Tools that run programs nobody has read.
PROGRAMS = frozenset({"run_code", "run_shell"})


def make_doors(
    runs: Runs,
    timers: Timers,
    boundary: Boundary,
    tools: Callable[[], Mapping[str, Tool]],
    *,
    conversations: Conversations,
    authority: Authority,
    default_model: Callable[[], str],
    no_walls: Callable[[], str],
) -> tuple[Agents, ToolRooms]:
    """What `Rooms` takes as `agents` and `tools`. `no_walls` says why no walls hold here, "" where they do."""

    async def settle(key: str) -> None:
        await runs.grants.ready(key, tools())

    def refused(name: str) -> str:
        why = no_walls() if name in PROGRAMS else ""
        return f"Programs are not run here: {why}" if why else ""

    agents = Agents(runs, Acting(runs, conversations, authority, default_model), timers)
    return agents, ToolRooms(boundary, settle, refused)
