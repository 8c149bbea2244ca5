"""Runs of agents, and what they leave for a person: rows to list and to find. The steps themselves stand in journals.

Promises: everything belongs to a key; another key's row is as if it were not there. A timer and a note have the id of the call
that made them, so that a call that is done again makes nothing new.
Does not cover: what a run did (`agent/record.py`), who rings (`agent/timers.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import apsw

from homefire.store.database import Row, Store

RunState = Literal["running", "waiting", "interrupted", "ended"]


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. `ending` and `answer` are "" until it has ended; `order` is the JSON it was begun with; `resumes` counts how often
    it was taken up since it last came forward; times in Unix seconds."""

    id: str
    key: str
    task: str
    state: RunState
    ending: str
    answer: str
    model: str
    mode: str
    created_at: float
    updated_at: float
    steps: int = 0
    tokens: int = 0
    conversation: str = ""
    parent: str = ""
    order: str = "{}"
    resumes: int = 0


@dataclass(frozen=True, slots=True)
class TimerRow:
    """A timer. `state` is `waiting`, `rung` or `gone` (a person has seen it)."""

    id: str
    key: str
    run: str
    label: str
    minutes: float
    due_at: float
    state: str
    created_at: float


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A note that an agent wrote for the person."""

    id: str
    key: str
    run: str
    title: str
    text: str
    label: str
    created_at: float


_RUN = (
    'id, key, task, state, ending, answer, model, mode, created_at, updated_at, steps, tokens, conversation, parent, "order", '
    "resumes"
)
_TIMER = "id, key, run, label, minutes, due_at, state, created_at"
_NOTE = "id, key, run, title, text, label, created_at"


class RunRows:
    """The tables `runs`, `timers`, `notes` and `granted_once`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, row: RunRow) -> None:
        """Writes a run's row in the place of an earlier one."""
        values = tuple(getattr(row, name.strip().strip('"')) for name in _RUN.split(","))
        marks = ", ".join("?" * len(values))
        await self._store.write(lambda c: c.execute(f"INSERT OR REPLACE INTO runs ({_RUN}) VALUES ({marks})", values))  # nosec B608 # our own columns

    async def get(self, run: str) -> RunRow | None:
        """One row, whoever's it is."""
        query = f"SELECT {_RUN} FROM runs WHERE id = ?"  # nosec B608 # our own columns
        row: Row | None = await self._store.read(lambda c: c.execute(query, (run,)).fetchone())
        return None if row is None else RunRow(*row)

    async def newest(self, key: str, limit: int = 50, before: float | None = None) -> list[RunRow]:
        """A key's runs, newest first. `before`: created before that."""
        query = f"SELECT {_RUN} FROM runs WHERE key = ? AND created_at < ? ORDER BY created_at DESC LIMIT ?"  # nosec B608 # our own columns
        values = key, before if before is not None else 1e18, limit
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, values).fetchall())
        return [RunRow(*row) for row in rows]

    async def unended(self) -> list[RunRow]:
        """Every run that has not ended, oldest first."""
        query = f"SELECT {_RUN} FROM runs WHERE state != 'ended' ORDER BY created_at"  # nosec B608 # our own columns
        rows: list[Row] = await self._store.read(lambda c: c.execute(query).fetchall())
        return [RunRow(*row) for row in rows]

    async def below(self, run: str) -> list[RunRow]:
        """All runs that this one began, and those that they began."""
        query = (
            "WITH RECURSIVE under (id) AS (SELECT id FROM runs WHERE parent = ?1 UNION SELECT r.id FROM runs r "
            f"JOIN under u ON r.parent = u.id) SELECT {_RUN} FROM runs WHERE id IN (SELECT id FROM under)"  # nosec B608 # our own columns
        )
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (run,)).fetchall())
        return [RunRow(*row) for row in rows]

    async def delete(self, run: str) -> None:
        """Forgets a run's row."""
        await self._store.write(lambda c: c.execute("DELETE FROM runs WHERE id = ?", (run,)))

    async def add_timer(self, row: TimerRow) -> TimerRow:
        """The timer of this id: the one that is there already, else this one."""

        def change(c: apsw.Connection) -> Row:
            values = tuple(getattr(row, name.strip()) for name in _TIMER.split(","))
            c.execute(f"INSERT OR IGNORE INTO timers ({_TIMER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)  # nosec B608 # our own columns
            return tuple(c.execute(f"SELECT {_TIMER} FROM timers WHERE id = ?", (row.id,)).fetchall()[0])  # nosec B608 # our own columns

        return TimerRow(*await self._store.write(change))

    async def timers(self, key: str | None = None, state: str = "") -> list[TimerRow]:
        """A key's timers (None: everybody's), the next one first."""
        query = f"SELECT {_TIMER} FROM timers WHERE (?1 IS NULL OR key = ?1) AND (?2 = '' OR state = ?2) ORDER BY due_at, id"  # nosec B608 # our own columns
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (key, state)).fetchall())
        return [TimerRow(*row) for row in rows]

    async def set_timer(self, id_: str, key: str, before: str, after: str) -> bool:
        """Moves a timer from one state to the next, once; False if it was not in that state."""

        def change(c: apsw.Connection) -> bool:
            query = "UPDATE timers SET state = ? WHERE id = ? AND key = ? AND state = ?"
            c.execute(query, (after, id_, key, before))
            return c.changes() > 0

        return await self._store.write(change)

    async def add_note(self, row: NoteRow) -> None:
        """Keeps a note; one of the same id stays as it is."""
        values = tuple(getattr(row, name.strip()) for name in _NOTE.split(","))
        query = f"INSERT OR IGNORE INTO notes ({_NOTE}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # nosec B608 # our own columns
        await self._store.write(lambda c: c.execute(query, values))

    async def notes(self, key: str, limit: int = 200) -> list[NoteRow]:
        """A key's notes, newest first."""
        query = f"SELECT {_NOTE} FROM notes WHERE key = ? ORDER BY created_at DESC, id LIMIT ?"  # nosec B608 # our own columns
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (key, limit)).fetchall())
        return [NoteRow(*row) for row in rows]

    async def granted_once(self, key: str) -> dict[str, str]:
        """Tool to pin of what this key was granted by default, once."""
        query = "SELECT tool, pin FROM granted_once WHERE key = ?"
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (key,)).fetchall())
        return {str(tool): str(pin) for tool, pin in rows}

    async def note_granted(self, key: str, pins: dict[str, str]) -> None:
        """Remembers that these were granted by default, so that what is revoked stays so."""
        values = [(key, tool, pin) for tool, pin in pins.items()]
        await self._store.write(lambda c: c.executemany("INSERT OR REPLACE INTO granted_once VALUES (?, ?, ?)", values))


def ended(row: RunRow, why: str, answer: str, now: float) -> RunRow:
    """The row of a run that is over."""
    return replace(row, state="ended", ending=why, answer=answer, updated_at=now)
