"""Grants of tools, approvals of single effects, and a critic's verdicts, as rows.

Promises: an approval is used up in the same transaction that finds it, so that it counts once whatever happens; what was used,
denied or revoked never comes back.
Does not cover: what a grant or an approval allows (`safety/boundary.py`).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Literal, cast

import apsw

from homefire.store.database import Row, Store

State = Literal["pending", "approved", "used", "denied", "revoked"]
KEPT_SECONDS = 30 * 86_400.0
MOST_PENDING = 32


@dataclass(frozen=True, slots=True)
class GrantRow:
    """What one key may do with one tool. `pin` is the tool's digest when it was granted; `roots` are real paths; `hosts` and
    `recipients` who may be reached; `largest` the most bytes of arguments; `ask`: every single use has to be approved."""

    key: str
    tool: str
    pin: str
    roots: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    largest: int = 65_536
    ask: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One effect that a person is asked about. `digest` binds it to the exact arguments; `shown` is what the person sees of
    it; times in Unix seconds."""

    id: str
    key: str
    run: str
    tool: str
    digest: str
    shown: str
    reason: str
    state: State
    created_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """What a critic said of a plan. `outcome` is approved, rejected, garbled, failed or below."""

    plan: str
    outcome: str
    reason: str
    risk: int
    critic: str
    at: float


_APPROVAL = "id, key, run, tool, digest, shown, reason, state, created_at, expires_at"


class Safety:
    """The tables `grants`, `approvals` and `verdicts`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def grants(self) -> list[GrantRow]:
        """Every grant."""
        rows: list[Row] = await self._store.read(
            lambda c: c.execute("SELECT key, tool, pin, bounds FROM grants ORDER BY key, tool").fetchall()
        )
        return [_grant(*row) for row in rows]

    async def grant(self, row: GrantRow) -> None:
        """Stores a grant in the place of an earlier one of this key and tool."""
        bounds = {"roots": row.roots, "hosts": row.hosts, "recipients": row.recipients}
        values = row.key, row.tool, row.pin, json.dumps({**bounds, "largest": row.largest, "ask": row.ask})
        await self._store.write(lambda c: c.execute("INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?)", values))

    async def revoke_grant(self, key: str, tool: str) -> None:
        """Forgets a grant; approvals that wait or were given for it go too."""

        def change(c: apsw.Connection) -> None:
            c.execute("DELETE FROM grants WHERE key = ? AND tool = ?", (key, tool))
            query = (
                "UPDATE approvals SET state = 'revoked' WHERE key = ? AND tool = ? AND state IN ('pending', 'approved')"
            )
            c.execute(query, (key, tool))

        await self._store.write(change)

    async def ask(self, row: ApprovalRow) -> ApprovalRow | None:
        """Stores a question, or gives the one that waits already for the same effect of the same run; None if MOST_PENDING of
        this run wait. Old rows go."""

        def change(c: apsw.Connection) -> Row | None:
            c.execute("DELETE FROM approvals WHERE expires_at < ?", (row.created_at - KEPT_SECONDS,))
            query = (
                f"SELECT {_APPROVAL} FROM approvals WHERE key = ? AND run = ? AND digest = ? AND state = 'pending' "  # nosec B608 # our own columns
                "AND expires_at > ?"
            )
            found = c.execute(query, (row.key, row.run, row.digest, row.created_at)).fetchone()
            if found is not None:
                return cast("Row", found)
            waiting = (
                "SELECT count(*) FROM approvals WHERE key = ? AND run = ? AND state = 'pending' AND expires_at > ?"
            )
            count = c.execute(waiting, (row.key, row.run, row.created_at)).fetchall()[0][0]
            if isinstance(count, int) and count >= MOST_PENDING:
                return None
            made = (
                row.id or secrets.token_urlsafe(12), row.key, row.run, row.tool, row.digest, row.shown, row.reason, "pending",
                row.created_at, row.expires_at,
            )  # fmt: skip
            c.execute(f"INSERT INTO approvals ({_APPROVAL}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", made)  # nosec B608 # our own columns
            return made

        stored = await self._store.write(change)
        return None if stored is None else ApprovalRow(*stored)

    async def approvals(self, state: State = "pending") -> list[ApprovalRow]:
        """Those in a state, oldest first."""
        query = f"SELECT {_APPROVAL} FROM approvals WHERE state = ? ORDER BY created_at, id"  # nosec B608 # our own columns
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (state,)).fetchall())
        return [ApprovalRow(*row) for row in rows]

    async def decide(self, id_: str, approved: bool, now: float) -> bool:
        """Approves or denies a question that waits; False if there is none, or its time is over."""
        query = "UPDATE approvals SET state = ? WHERE id = ? AND state = 'pending' AND expires_at > ?"
        return await self._changed(query, ("approved" if approved else "denied", id_, now))

    async def revoke(self, id_: str) -> bool:
        """Takes an approval back that was not used; False if there is none."""
        return await self._changed("UPDATE approvals SET state = 'revoked' WHERE id = ? AND state = 'approved'", (id_,))

    async def use(self, key: str, run: str, digest: str, now: float) -> bool:
        """Uses up one approval of exactly this effect; False if there is none."""
        query = (
            "UPDATE approvals SET state = 'used' WHERE id = (SELECT id FROM approvals WHERE key = ? AND run = ? AND digest = ? "
            "AND state = 'approved' AND expires_at > ? ORDER BY expires_at LIMIT 1)"
        )
        some = "SELECT 1 FROM approvals WHERE key = ? AND run = ? AND digest = ? AND state = 'approved'"
        if await self._store.read(lambda c: c.execute(some, (key, run, digest)).fetchone()) is None:
            return False  # the usual case needs no write
        return await self._changed(query, (key, run, digest, now))

    async def note_verdict(self, row: VerdictRow) -> None:
        """Stores what a critic said."""
        values = row.plan, row.outcome, row.reason, row.risk, row.critic, row.at
        query = "INSERT INTO verdicts (plan, outcome, reason, risk, critic, at) VALUES (?, ?, ?, ?, ?, ?)"
        await self._store.write(lambda c: c.execute(query, values))

    async def verdicts(self, limit: int = 100) -> list[VerdictRow]:
        """The last ones, newest first."""
        query = "SELECT plan, outcome, reason, risk, critic, at FROM verdicts ORDER BY seq DESC LIMIT ?"
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (limit,)).fetchall())
        return [VerdictRow(*row) for row in rows]

    async def _changed(self, query: str, values: tuple[str | float, ...]) -> bool:
        def change(c: apsw.Connection) -> bool:
            c.execute(query, values)
            return c.changes() > 0

        return await self._store.write(change)


def _grant(key: str, tool: str, pin: str, bounds: str) -> GrantRow:
    found = json.loads(bounds)
    lists = {name: tuple(found[name]) for name in ("roots", "hosts", "recipients")}
    return GrantRow(key, tool, pin, **lists, largest=found["largest"], ask=found["ask"])
