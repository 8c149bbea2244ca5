"""API keys and the page's sessions as rows: names, hashes of secrets, times.

Promises: a secret itself never reaches this module, only its sha256.
Does not cover: making and checking secrets, and what a key may do (`server/authority.py`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import apsw

from homefire.errors import KeyExists, UnknownKey
from homefire.store.database import Store


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A stored key. Times are Unix seconds."""

    name: str
    hash: bytes
    created_at: float
    last_used_at: float | None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A browser that logged in through a one-time link."""

    hash: bytes
    expires_at: float


class Keys:
    """The tables `keys` and `sessions`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> list[KeyRow]:
        """Every key, oldest first."""
        return await self._store.read(
            lambda c: [
                KeyRow(*row)
                for row in c.execute("SELECT name, hash, created_at, last_used_at FROM keys ORDER BY created_at, name")
            ]
        )

    async def add(self, name: str, digest: bytes, replace: bool = False) -> KeyRow:
        """Stores a key. Raises KeyExists unless `replace`."""
        now = time.time()

        def change(c: apsw.Connection) -> KeyRow:
            if replace:
                c.execute("DELETE FROM keys WHERE name = ?", (name,))
            elif c.execute("SELECT 1 FROM keys WHERE name = ?", (name,)).fetchone():
                raise KeyExists(f"There is a key named '{name}' already.", param="name")
            c.execute("INSERT INTO keys VALUES (?, ?, ?, NULL)", (name, digest, now))
            return KeyRow(name, digest, now, None)

        return await self._store.write(change)

    async def revoke(self, name: str) -> None:
        """Forgets a key. Raises UnknownKey."""

        def change(c: apsw.Connection) -> None:
            c.execute("DELETE FROM keys WHERE name = ?", (name,))
            if c.changes() == 0:
                raise UnknownKey(f"There is no key named '{name}'.", param="name")

        await self._store.write(change)

    async def used(self, times: dict[str, float]) -> None:
        """Notes when keys were last used."""
        await self._store.write(
            lambda c: c.executemany(
                "UPDATE keys SET last_used_at = ? WHERE name = ?", [(t, n) for n, t in times.items()]
            )
        )

    async def sessions(self) -> list[SessionRow]:
        """The sessions that have not expired."""
        now = time.time()
        return await self._store.read(
            lambda c: [
                SessionRow(*row)
                for row in c.execute("SELECT hash, expires_at FROM sessions WHERE expires_at > ?", (now,))
            ]
        )

    async def add_session(self, digest: bytes, expires_at: float) -> None:
        """Stores a session and drops the expired ones."""
        now = time.time()

        def change(c: apsw.Connection) -> None:
            c.execute("DELETE FROM sessions WHERE expires_at <= ?", (now,))
            c.execute("INSERT INTO sessions VALUES (?, ?, ?)", (digest, now, expires_at))

        await self._store.write(change)

    async def end_session(self, digest: bytes) -> None:
        """Forgets a session."""
        await self._store.write(lambda c: c.execute("DELETE FROM sessions WHERE hash = ?", (digest,)))
