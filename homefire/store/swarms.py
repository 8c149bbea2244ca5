"""Swarms of agents, and the board of each: a small table of named texts with versions.

Promises: a swarm belongs to a key; a post has the id of the call that made it, so that a call that is done again posts nothing
new; a version is never overwritten.
Does not cover: who may post (`agent/swarm.py`), the runs of a swarm's agents (`runs.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import apsw

from homefire.store.database import Row, Store


@dataclass(frozen=True, slots=True)
class SwarmRow:
    """One swarm. `spec` is its JSON; `ending` and `answer` are "" until it has ended, `tokens` and `seconds` (spent) 0;
    times in Unix seconds."""

    id: str
    key: str
    task: str
    spec: str
    state: Literal["running", "ended"]
    ending: str
    answer: str
    created_at: float
    updated_at: float
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PostRow:
    """A text on a board. `version` counts from 1 for each name; `label` is where the text comes from; `by` is an agent's name."""

    swarm: str
    name: str
    version: int
    text: str
    label: str
    by: str
    call: str
    at: float


_SWARM = "id, key, task, spec, state, ending, answer, created_at, updated_at, tokens, seconds"
_POST = "swarm, name, version, text, label, by, call, at"


class SwarmRows:
    """The tables `swarms` and `boards`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, row: SwarmRow) -> None:
        """Writes a swarm's row in the place of an earlier one."""
        values = tuple(getattr(row, name) for name in _SWARM.split(", "))
        query = f"INSERT OR REPLACE INTO swarms ({_SWARM}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # nosec B608 # our own columns
        await self._store.write(lambda c: c.execute(query, values))

    async def get(self, swarm: str) -> SwarmRow | None:
        """One row, whoever's it is."""
        query = f"SELECT {_SWARM} FROM swarms WHERE id = ?"  # nosec B608 # our own columns
        row: Row | None = await self._store.read(lambda c: c.execute(query, (swarm,)).fetchone())
        return None if row is None else SwarmRow(*row)

    async def newest(self, key: str, limit: int = 50) -> list[SwarmRow]:
        """A key's swarms, newest first."""
        query = f"SELECT {_SWARM} FROM swarms WHERE key = ? ORDER BY created_at DESC LIMIT ?"  # nosec B608 # our own columns
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (key, limit)).fetchall())
        return [SwarmRow(*row) for row in rows]

    async def unended(self) -> list[SwarmRow]:
        """Every swarm that has not ended, oldest first."""
        query = f"SELECT {_SWARM} FROM swarms WHERE state != 'ended' ORDER BY created_at"  # nosec B608 # our own columns
        rows: list[Row] = await self._store.read(lambda c: c.execute(query).fetchall())
        return [SwarmRow(*row) for row in rows]

    async def delete(self, swarm: str) -> None:
        """Forgets a swarm and its board."""

        def change(c: apsw.Connection) -> None:
            c.execute("DELETE FROM boards WHERE swarm = ?", (swarm,))
            c.execute("DELETE FROM swarms WHERE id = ?", (swarm,))

        await self._store.write(change)

    async def post(self, row: PostRow, most: int) -> PostRow | None:
        """Puts a text under its name, as the next version (`row.version` is not read); the post of this call if there is one.
        None: the board has `most` posts already."""

        def change(c: apsw.Connection) -> Row | None:
            query = f"SELECT {_POST} FROM boards WHERE swarm = ? AND call = ?"  # nosec B608 # our own columns
            found = c.execute(query, (row.swarm, row.call)).fetchone()
            if found is not None:
                return tuple(found)
            count = c.execute("SELECT count(*) FROM boards WHERE swarm = ?", (row.swarm,)).fetchall()[0][0]
            if int(str(count)) >= most:
                return None
            c.execute(
                f"INSERT INTO boards ({_POST}) SELECT ?1, ?2, coalesce(max(version), 0) + 1, ?3, ?4, ?5, ?6, ?7 "  # nosec B608 # our own columns
                "FROM boards WHERE swarm = ?1 AND name = ?2",
                (row.swarm, row.name, row.text, row.label, row.by, row.call, row.at),
            )
            return tuple(c.execute(query, (row.swarm, row.call)).fetchall()[0])

        made = await self._store.write(change)
        return None if made is None else PostRow(*made)

    async def board(self, swarm: str, name: str = "", version: int = 0) -> list[PostRow]:
        """The newest version of each name, by name; or of one name, or one version of it."""
        query = (
            f"SELECT {_POST} FROM boards b WHERE swarm = ?1 AND (?2 = '' OR name = ?2) AND version = CASE WHEN ?3 > 0 THEN ?3 "  # nosec B608 # our own columns
            "ELSE (SELECT max(version) FROM boards WHERE swarm = b.swarm AND name = b.name) END ORDER BY name"
        )
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (swarm, name, version)).fetchall())
        return [PostRow(*row) for row in rows]
