"""What a key may do with the tools that come with Homefire, before a person said anything.

| tools                                                                                  | at first use       |
|----------------------------------------------------------------------------------------|--------------------|
| those that read nothing private and touch nothing, the memory, notes, timers, knowledge, a swarm's board | granted |
| files, in the run's own folder                                                          | granted            |
| run_code, run_shell, load_model, start_process, spawn_agent                             | granted, asks each time |
| web_fetch, web_search, tools of MCP servers                                             | not granted        |

Promises: what is granted by default is granted once: what a person revoked or changed stays so; when a tool of ours changes with
a new version, a grant that was only ever the default follows it.
Does not cover: what a grant allows (`safety/boundary.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from homefire.agent.tool import Tool
from homefire.safety.boundary import Boundary
from homefire.store import GrantRow, RunRows, Safety

FREE = frozenset((
    "respond", "calculate", "convert_units", "add_days", "current_time", "ask_person", "system_status", "remember", "recall",
    "forget", "add_note", "set_timer", "search_knowledge", "process_status", "list_files", "read_file", "write_file",
    "search_files", "ingest", "board_post", "board_read",
))  # fmt: skip
ASKS = frozenset(("run_code", "run_shell", "load_model", "start_process", "spawn_agent"))
# Shown to the agents of a swarm only.
IN_SWARM = frozenset(("board_post", "board_read"))
# Arguments as large as the largest file that is written.
LARGEST = 256 * 1024


class Grants:
    """The table above, for all keys."""

    def __init__(self, boundary: Boundary, stored: Safety, rows: RunRows) -> None:
        self._boundary = boundary
        self._stored = stored
        self._rows = rows

    async def ready(self, key: str, tools: Mapping[str, Tool]) -> frozenset[str]:
        """Makes the default grants that are missing; the names of the tools that are granted to this key as they are now."""
        once = await self._rows.granted_once(key)
        rows = await self.of(key)
        made: dict[str, str] = {}
        for name, tool in tools.items():
            row, pin = rows.get(name), tool.spec.pin
            if name not in FREE | ASKS or once.get(name) == pin:
                continue
            followed = row is not None and once.get(name) == row.pin
            if name in once and not followed:
                continue  # a person took it away, or granted it in their own way
            if row is None or followed:
                bounds = row or GrantRow(key, name, pin, largest=LARGEST, ask=name in ASKS)
                await self._boundary.grant(
                    GrantRow(key, name, pin, bounds.roots, bounds.hosts, bounds.recipients, bounds.largest, bounds.ask)
                )
            made[name] = pin
        if made:
            await self._rows.note_granted(key, made)
            rows = await self.of(key)
        return frozenset(name for name, row in rows.items() if name in tools and tools[name].spec.pin == row.pin)

    async def of(self, key: str) -> dict[str, GrantRow]:
        """A key's grants, by tool."""
        return {row.tool: row for row in await self._stored.grants() if row.key == key}

    async def roots(self, key: str) -> tuple[str, ...]:
        """Folders in which this key's runs may write."""
        row = (await self.of(key)).get("write_file")
        return row.roots if row is not None else ()
