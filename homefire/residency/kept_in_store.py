"""What the keeper knows, as rows: the tables `kept_models`, `kept_loads` and `decisions`.

Promises: `save` is one transaction; the tables stay as small as what is kept in memory (200 decisions, 500 loads).
Does not cover: when something is written, and what it means (`kept.py`).
"""

from __future__ import annotations

import json
import time

import apsw

from homefire.residency.decisions import KEPT, Entry
from homefire.residency.kept import MOST_LOADS, Changes, Known, Measured, Wishes
from homefire.store import Store


class KeptInStore:
    """A `Kept` in the one database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> Known:
        """See `Kept`."""
        return await self._store.read(_load)

    async def save(self, changes: Changes) -> None:
        """See `Kept`."""
        now = time.time()
        gone = [(name,) for name, wishes in changes.models.items() if wishes == Wishes()]
        models = [
            (name, int(w.pinned), w.keep_alive, json.dumps(w.crashes), w.in_a_row)
            for name, w in changes.models.items()
            if w != Wishes()
        ]
        loads = [(load, found.bytes, found.seconds, now) for load, found in changes.loads.items()]
        decisions = [
            (e.number, e.at, e.kind, e.model, e.reason, json.dumps(dict(e.facts)), e.times)
            for e in changes.decisions.values()
        ]

        def change(c: apsw.Connection) -> None:
            c.executemany("DELETE FROM kept_models WHERE model = ?", gone)
            c.executemany("INSERT OR REPLACE INTO kept_models VALUES (?, ?, ?, ?, ?)", models)
            c.executemany("INSERT OR REPLACE INTO kept_loads VALUES (?, ?, ?, ?)", loads)
            c.executemany("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?)", decisions)
            c.execute("DELETE FROM decisions WHERE number <= (SELECT max(number) FROM decisions) - ?", (KEPT,))
            order = "SELECT load FROM kept_loads ORDER BY at DESC, load LIMIT -1 OFFSET ?"
            c.execute(f"DELETE FROM kept_loads WHERE load IN ({order})", (MOST_LOADS,))  # nosec B608 # names of our own tables

        await self._store.write(change)


def _load(c: apsw.Connection) -> Known:
    return Known(
        {
            name: Wishes(bool(pinned), keep_alive, tuple(json.loads(crashes)), in_a_row)
            for name, pinned, keep_alive, crashes, in_a_row in c.execute(
                "SELECT model, pinned, keep_alive, crashes, in_a_row FROM kept_models"
            )
        },
        {
            load: Measured(size, seconds)
            for load, size, seconds in c.execute("SELECT load, bytes, seconds FROM kept_loads ORDER BY at, load")
        },
        tuple(
            Entry(number, at, kind, model, reason, json.loads(facts), times)
            for number, at, kind, model, reason, facts, times in c.execute(
                "SELECT number, at, kind, model, reason, facts, times FROM decisions ORDER BY number"
            )
        ),
    )
