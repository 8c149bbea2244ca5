"""MCP servers that a person added, as rows.

Promises: no secret reaches this module: a server's environment and key stand where the setting `secrets` says.
Does not cover: running them (`agent/mcp/`), what of them may be used (`safety.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import apsw

from homefire.errors import McpServerExists
from homefire.store.database import Row, Store


@dataclass(frozen=True, slots=True)
class McpServerRow:
    """A stored server: `command` (program and arguments, no shell) or `url`, the other one empty. `passed`: names of the
    environment's variables that are handed on to it. `added_at` in Unix seconds."""

    name: str
    command: tuple[str, ...]
    url: str
    passed: tuple[str, ...]
    added_at: float


class McpServers:
    """The table `mcp_servers`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> list[McpServerRow]:
        """Every server, by name."""
        query = "SELECT name, command, url, passed, added_at FROM mcp_servers ORDER BY name"
        rows: list[Row] = await self._store.read(lambda c: c.execute(query).fetchall())
        return [
            McpServerRow(name, tuple(json.loads(command)), url, tuple(json.loads(passed)), at)
            for name, command, url, passed, at in rows
        ]

    async def add(self, row: McpServerRow) -> None:
        """Stores one. Raises McpServerExists."""

        def change(c: apsw.Connection) -> None:
            if c.execute("SELECT 1 FROM mcp_servers WHERE name = ?", (row.name,)).fetchone():
                raise McpServerExists(f"There is an MCP server named '{row.name}' already.", param="name")
            values = (row.name, json.dumps(row.command), row.url, json.dumps(row.passed), row.added_at)
            c.execute("INSERT INTO mcp_servers VALUES (?, ?, ?, ?, ?)", values)

        await self._store.write(change)

    async def remove(self, name: str) -> None:
        """Forgets one."""
        await self._store.write(lambda c: c.execute("DELETE FROM mcp_servers WHERE name = ?", (name,)))
