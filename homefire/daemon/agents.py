"""What the daemon hands to agents: tools of the rooms that are there, the boundary's declarations, and the runs.

Promises: one call builds all of it; a room that is missing makes its tools say so. `add_tools` puts tools of later rooms (memory,
MCP servers) beside these, at any time.
Does not cover: the loop (`make`, handed in), routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from homefire.agent.runs import MakeLoop, Runs, RunsRules
from homefire.agent.swarm import Swarms
from homefire.agent.timers import Timers
from homefire.agent.tool import Tool
from homefire.agent.tools import Around, all_tools
from homefire.agent.tools.board import board_tools
from homefire.agent.tools.programs import Walls
from homefire.hardware import detect
from homefire.knowledge.knowledge import Knowledge
from homefire.knowledge.search import Question
from homefire.paths import Paths
from homefire.residency import Keeper
from homefire.safety import Boundary
from homefire.sandbox.sandbox import Limits
from homefire.settings import Settings
from homefire.store import RunRows, Safety, Store, SwarmRows, TimerRow

# Questions are put anew a little before the approval they wait for ends.
BEFORE_END = 10.0


class Agents:
    """Tools, timers and runs of one daemon. `open` after the boundary and the keeper; `close` before them."""

    def __init__(
        self,
        store: Store,
        paths: Paths,
        settings: Settings,
        boundary: Boundary,
        *,
        around: Callable[[Around], None],
        make: MakeLoop,
    ) -> None:
        self.rows = RunRows(store)
        self.timers = Timers(self.rows)
        self.around = Around(self.rows, self.timers, limits=Limits.of(settings), search_url=settings.agent_search_url)
        around(self.around)
        self.tools: dict[str, Tool] = {}
        self._boundary = boundary
        asks_again = max(1.0, settings.approval_seconds - BEFORE_END)
        rules = RunsRules(bool(settings.agent_resume), float(settings.agent_tool_seconds), asks_again)
        self.runs = Runs(self.rows, paths, boundary, Safety(store), tools=lambda: self.tools, make=make, rules=rules)
        self.around.agents = self.runs
        self.swarms = Swarms(SwarmRows(store), self.runs)
        self._resume = bool(settings.agent_resume)
        self.timers.rung = self._rung
        self.add_tools([*all_tools(self.around), *board_tools(self.swarms)])

    def add_tools(self, tools: Iterable[Tool]) -> None:
        """Puts tools beside the others, or in the place of earlier ones of their names, and declares them."""
        for tool in tools:
            self.tools[tool.spec.name] = tool
            self._boundary.declare(tool.spec)

    def remove_tools(self, names: Iterable[str]) -> None:
        """Takes tools away that are gone; a run that has one still is refused it."""
        for name in names:
            self.tools.pop(name, None)
            self._boundary.withdraw(name)

    async def open(self) -> None:
        """Takes up what the last daemon left."""
        await self.swarms.prepare()
        await self.runs.open()
        await self.timers.open()
        self.swarms.open(self._resume)

    async def close(self) -> None:
        """Runs under way are taken up at the next start."""
        await self.timers.close()
        await self.swarms.close()
        await self.runs.close()

    async def _rung(self, row: TimerRow) -> None:
        await self.runs.tell(row.run, f"The timer '{row.label}' of {row.minutes:g} minutes has run out.", "timer")


def with_rooms(keeper: Keeper, knowledge: Callable[[], Knowledge | None], walls: Walls) -> Callable[[Around], None]:
    """What of the daemon's rooms the tools use: `Agents(..., around=with_rooms(...))`."""

    def fill(around: Around) -> None:
        around.walls = walls
        around.knowledge = lambda: None if (room := knowledge()) is None else _Documents(room)
        around.status = _status(keeper)
        around.load_model = _loading(keeper)

    return fill


class _Documents:
    """`KnowledgeDoor` over all collections."""

    def __init__(self, room: Knowledge) -> None:
        self._room = room

    async def search(self, query: str) -> list[dict[str, Any]]:
        found = await self._room.find(Question(query, limit=5))
        return [{"source": hit.path, "text": hit.text} for hit in found.found]

    async def ingest(self, path: Path) -> dict[str, Any]:
        job = await self._room.ingest(path)
        return {"ok": True, "collection": job.collection}


def _status(keeper: Keeper) -> Callable[[], Awaitable[dict[str, Any]]]:
    async def status() -> dict[str, Any]:
        machine = await asyncio.to_thread(detect)
        models = [{"name": view.name, "state": view.state} for view in keeper.view()[0]]
        return {"cores": machine.cores, "memory_gib": round(machine.memory_bytes / 2**30, 1), "models": models}

    return status


def _loading(keeper: Keeper) -> Callable[[str], Awaitable[None]]:
    async def load(name: str) -> None:
        (await keeper.ensure(name)).release()

    return load
