"""Far engines as rows: where they are, whether they may be asked, what stood behind their models' names; and orders of fallback.

Promises: no key of a far engine reaches this module.
Does not cover: whether an address may be used, and asking (`residency/far.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

import apsw

from homefire.errors import EngineExists
from homefire.store.database import Row, Store


@dataclass(frozen=True, slots=True)
class EngineRow:
    """A stored far engine. `models`: the only ones that may be asked for; none: any. `added_at` in Unix seconds."""

    name: str
    url: str
    kind: str
    models: tuple[str, ...]
    granted: bool
    added_at: float


class Engines:
    """The tables `engines`, `engine_marks` and `chains`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> list[EngineRow]:
        """Every far engine, oldest first."""
        query = "SELECT name, url, kind, models, granted, added_at FROM engines ORDER BY added_at, name"
        rows: list[Row] = await self._store.read(lambda c: c.execute(query).fetchall())
        return [
            EngineRow(name, url, kind, tuple(json.loads(models)), bool(granted), at)
            for name, url, kind, models, granted, at in rows
        ]

    async def marks(self) -> dict[tuple[str, str], str]:
        """What stood behind each model's name, by engine and model."""
        query = "SELECT engine, model, mark FROM engine_marks"
        rows: list[Row] = await self._store.read(lambda c: c.execute(query).fetchall())
        return {(engine, model): mark for engine, model, mark in rows}

    async def chains(self) -> dict[str, tuple[str, ...]]:
        """The orders of fallback."""
        rows: list[Row] = await self._store.read(lambda c: c.execute("SELECT model, entries FROM chains").fetchall())
        return {model: tuple(cast("list[str]", json.loads(entries))) for model, entries in rows}

    async def add(self, row: EngineRow) -> None:
        """Stores one. Raises EngineExists."""

        def change(c: apsw.Connection) -> None:
            if c.execute("SELECT 1 FROM engines WHERE name = ?", (row.name,)).fetchone():
                raise EngineExists(f"There is an engine named '{row.name}' already.", param="name")
            values = (row.name, row.url, row.kind, json.dumps(row.models), int(row.granted), row.added_at)
            c.execute("INSERT INTO engines VALUES (?, ?, ?, ?, ?, ?)", values)

        await self._store.write(change)

    async def remove(self, name: str) -> None:
        """Forgets one, its marks too."""

        def change(c: apsw.Connection) -> None:
            c.execute("DELETE FROM engine_marks WHERE engine = ?", (name,))
            c.execute("DELETE FROM engines WHERE name = ?", (name,))

        await self._store.write(change)

    async def grant(self, name: str, granted: bool) -> None:
        """Notes whether it may be asked; a grant accepts whatever models stand there now."""

        def change(c: apsw.Connection) -> None:
            c.execute("UPDATE engines SET granted = ? WHERE name = ?", (int(granted), name))
            if granted:
                c.execute("DELETE FROM engine_marks WHERE engine = ?", (name,))

        await self._store.write(change)

    async def note_mark(self, engine: str, model: str, mark: str) -> None:
        """Notes what stands behind a model's name. An engine that was removed meanwhile is left alone."""
        query = "INSERT OR REPLACE INTO engine_marks SELECT name, ?2, ?3 FROM engines WHERE name = ?1"
        await self._store.write(lambda c: c.execute(query, (engine, model, mark)))

    async def set_chain(self, model: str, entries: tuple[str, ...]) -> None:
        """Stores an order of fallback; an empty one is removed."""

        def change(c: apsw.Connection) -> None:
            if entries:
                c.execute("INSERT OR REPLACE INTO chains VALUES (?, ?)", (model, json.dumps(entries)))
            else:
                c.execute("DELETE FROM chains WHERE model = ?", (model,))

        await self._store.write(change)
