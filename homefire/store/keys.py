"""API keys and the page's sessions as rows: names, hashes of secrets, what a key may do, times.

Promises: a secret itself never reaches this module, only its sha256; each change of a key writes its entry of the audit log in
the same transaction.
Does not cover: making and checking secrets, and what a scope opens (`server/`).
"""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any

import apsw

from homefire.errors import KeyExists, UnknownKey
from homefire.store import audit
from homefire.store.database import Store

_KEY = "name, hash, created_at, last_used_at, id, scopes, expires_at, requests, tokens, concurrent, old_hash, old_until"


@dataclass(frozen=True, slots=True)
class KeyRights:
    """What a key may do. `requests` and `tokens` in a minute, `concurrent` at one time, 0: no limit; `expires_at` in Unix
    seconds, None: never."""

    scopes: tuple[str, ...]
    expires_at: float | None = None
    requests: int = 0
    tokens: int = 0
    concurrent: int = 0


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A stored key. Times are Unix seconds. `id` is never given twice; `old_hash` opens too until `old_until`."""

    name: str
    hash: bytes
    created_at: float
    last_used_at: float | None
    id: str
    rights: KeyRights
    old_hash: bytes | None = None
    old_until: float | None = None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A browser that logged in through a one-time link."""

    hash: bytes
    expires_at: float


class Keys:
    """The tables `keys` and `sessions`. `who` in its calls is the caller that the audit log names."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> list[KeyRow]:
        """Every key, oldest first."""
        return await self._store.read(
            lambda c: [_row(row) for row in c.execute(f"SELECT {_KEY} FROM keys ORDER BY created_at, name")]  # nosec B608 # our own columns
        )

    async def add(self, name: str, digest: bytes, rights: KeyRights, who: str, replace: bool = False) -> KeyRow:
        """Stores a key. Raises KeyExists unless `replace`."""
        now = time.time()
        made = KeyRow(name, digest, now, None, "k" + secrets.token_hex(8), rights)

        def change(c: apsw.Connection) -> KeyRow:
            if replace:
                c.execute("DELETE FROM keys WHERE name = ?", (name,))
            elif c.execute("SELECT 1 FROM keys WHERE name = ?", (name,)).fetchone():
                raise KeyExists(f"There is a key named '{name}' already.", param="name")
            scopes = ",".join(rights.scopes)
            c.execute(
                f"INSERT INTO keys ({_KEY}) VALUES (?, ?, ?, NULL, ?, ?, ?, ?, ?, ?, NULL, NULL)",  # nosec B608 # our own columns
                (name, digest, now, made.id, scopes, rights.expires_at, rights.requests, rights.tokens,
                 rights.concurrent),
            )  # fmt: skip
            audit.write(c, "key made", who, name, {"id": made.id, **asdict(rights)})
            return made

        return await self._store.write(change)

    async def rotate(self, name: str, digest: bytes, old_until: float, who: str) -> KeyRow:
        """Gives a key a new secret; the one it had opens until `old_until`, one from before no more. Raises UnknownKey."""

        def change(c: apsw.Connection) -> KeyRow:
            _require(c, name)
            c.execute(
                "UPDATE keys SET old_hash = hash, old_until = ?, hash = ? WHERE name = ?", (old_until, digest, name)
            )
            row = c.execute(f"SELECT {_KEY} FROM keys WHERE name = ?", (name,)).fetchone()  # nosec B608 # our own columns
            assert row is not None
            audit.write(c, "key rotated", who, name, {"id": row[4], "old_until": old_until})
            return _row(row)

        return await self._store.write(change)

    async def revoke(self, name: str, who: str) -> None:
        """Forgets a key. Raises UnknownKey."""

        def change(c: apsw.Connection) -> None:
            key_id = _require(c, name)
            c.execute("DELETE FROM keys WHERE name = ?", (name,))
            audit.write(c, "key revoked", who, name, {"id": key_id})

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


def _require(c: apsw.Connection, name: str) -> str:
    row = c.execute("SELECT id FROM keys WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise UnknownKey(f"There is no key named '{name}'.", param="name")
    return str(row[0])


def _row(row: tuple[Any, ...]) -> KeyRow:
    name, digest, created_at, last_used_at, key_id, scopes, expires_at, *limits, old_hash, old_until = row
    rights = KeyRights(tuple(scopes.split(",")), expires_at, *limits)
    return KeyRow(name, digest, created_at, last_used_at, key_id, rights, old_hash, old_until)
