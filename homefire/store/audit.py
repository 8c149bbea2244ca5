"""The audit log: who changed what may happen here, and who was refused. Rows are added, never changed, never removed.

Promises: the table refuses UPDATE and DELETE by triggers of its own; a row names keys, engines and models, never a secret, a
prompt or an answer; `write` inside another change stands or falls with it.
Does not cover: somebody with the file in hand: it is the person's own, and not signed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import apsw

from homefire.store.database import Store

MOST_TEXT = 300


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry. `at` is Unix seconds, `who` a caller such as `key:local`, `about` what it was done to ("": nothing named)."""

    seq: int
    at: float
    what: str
    who: str
    about: str
    detail: dict[str, Any]


class Audit:
    """The table `audit`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def note(self, what: str, who: str, about: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """Adds an entry; returns when it is on the disk."""
        await self._store.write(lambda c: write(c, what, who, about, detail))

    async def rows(self, limit: int = 200, before: int | None = None) -> list[AuditRow]:
        """The last entries, newest first; `before`: older than the entry of this number."""

        def query(c: apsw.Connection) -> list[AuditRow]:
            found = c.execute(
                "SELECT seq, at, what, who, about, detail FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?",
                (before if before is not None else 2**62, limit),
            )
            return [AuditRow(row[0], row[1], row[2], row[3], row[4], json.loads(row[5])) for row in found]

        return await self._store.read(query)


def write(c: apsw.Connection, what: str, who: str, about: str = "", detail: Mapping[str, Any] | None = None) -> None:
    """Adds an entry inside a change of the caller's."""
    c.execute(
        "INSERT INTO audit (at, what, who, about, detail) VALUES (?, ?, ?, ?, ?)",
        (time.time(), what, who[:MOST_TEXT], about[:MOST_TEXT], json.dumps(dict(detail or {}), ensure_ascii=False)),
    )
