"""Who may come in: keys, the page's sessions, one-time login codes.

A secret has 256 random bits, so its sha256 is enough: there is nothing to guess. Only hashes are stored.
Promises: checking reads memory only; a revoked key is refused from the next request on; comparing takes the same time whatever
the secret is, because the lookup is by hash.
Does not cover: scopes and limits for each key (not in this version): every key may do everything.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from homefire.errors import BadKey, BadLoginCode, MissingKey
from homefire.paths import KeyName, Paths, from_os
from homefire.store import KeyRow, Keys

LOCAL = KeyName("local")
PREFIX = "homefire-"
CODE_SECONDS = 600.0
SESSION_SECONDS = 30 * 86_400.0
MAX_CODES = 64


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request."""

    kind: Literal["key", "session"]
    name: str


class Authority:
    """Keys, sessions and codes. `open()` before use."""

    def __init__(self, keys: Keys, paths: Paths, cookie: str) -> None:
        self._keys = keys
        self._paths = paths
        self.cookie = cookie
        self._by_hash: dict[bytes, str] = {}
        self._sessions: dict[bytes, float] = {}
        self._codes: dict[bytes, float] = {}
        self._used: dict[str, float] = {}

    async def open(self) -> None:
        """Loads what is stored and makes sure that the command line's own key works."""
        self._by_hash = {row.hash: row.name for row in await self._keys.all()}
        self._sessions = {row.hash: row.expires_at for row in await self._keys.sessions()}
        if self._by_hash.get(digest(self._read_local())) != LOCAL:
            await self._make_local()

    def authorise(self, headers: Mapping[str, str]) -> Principal:
        """Who sends these headers (lower-case names). Raises MissingKey or BadKey.

        A key comes as `Authorization: Bearer KEY`, or as `x-api-key: KEY` from Anthropic's clients. One that is sent counts, even
        beside a valid cookie or a valid key: a wrong key is never overlooked.
        """
        if secrets_sent := _keys(headers):
            names = [self._by_hash.get(digest(secret)) for secret in secrets_sent]
            if (name := names[0]) is None or None in names:
                raise BadKey("This key is not valid here.")
            self._used[name] = time.time()
            return Principal("key", name)
        token = _cookie(headers.get("cookie", ""), self.cookie)
        if not token:
            raise MissingKey("This needs a key.")
        expires = self._sessions.get(digest(token), 0.0)
        if expires <= time.time():
            raise BadKey("This browser's login has ended.")
        return Principal("session", "page")

    async def add_key(self, name: KeyName) -> tuple[KeyRow, str]:
        """Makes a key; returns its row and the secret, which is never shown again. Raises KeyExists."""
        secret = PREFIX + secrets.token_urlsafe(32)
        row = await self._keys.add(name, digest(secret))
        self._by_hash[row.hash] = name
        return row, secret

    async def revoke_key(self, name: str) -> None:
        """Ends a key. The local key is made anew at once, so that the command line goes on. Raises UnknownKey."""
        await self._keys.revoke(name)
        self._by_hash = {hash_: other for hash_, other in self._by_hash.items() if other != name}
        if name == LOCAL:
            await self._make_local()

    async def list_keys(self) -> list[KeyRow]:
        """The keys, with the last use as far as it is stored; `flush` stores it."""
        await self.flush()
        return await self._keys.all()

    async def flush(self) -> None:
        """Stores when keys were last used."""
        if self._used:
            used, self._used = self._used, {}
            await self._keys.used(used)

    def make_code(self) -> tuple[str, float]:
        """A one-time login code and when it expires (Unix seconds)."""
        now = time.time()
        self._codes = {code: expires for code, expires in self._codes.items() if expires > now}
        while len(self._codes) >= MAX_CODES:
            self._codes.pop(next(iter(self._codes)))
        code = secrets.token_urlsafe(24)
        self._codes[digest(code)] = now + CODE_SECONDS
        return code, now + CODE_SECONDS

    async def login(self, code: str) -> str:
        """Trades a code for a session's token. Raises BadLoginCode; a code works once, whatever comes after."""
        expires = self._codes.pop(digest(code), 0.0)
        now = time.time()
        if expires <= now:
            raise BadLoginCode("This link was used already, or it is older than ten minutes.")
        token = secrets.token_urlsafe(32)
        await self._keys.add_session(digest(token), now + SESSION_SECONDS)
        self._sessions[digest(token)] = now + SESSION_SECONDS
        return token

    async def logout(self, headers: Mapping[str, str]) -> None:
        """Ends the session that these headers carry, if any."""
        if token := _cookie(headers.get("cookie", ""), self.cookie):
            self._sessions.pop(digest(token), None)
            await self._keys.end_session(digest(token))

    def _read_local(self) -> str:
        try:
            return str(json.loads(self._paths.keys.read_text("utf-8"))["local"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    async def _make_local(self) -> None:
        secret = PREFIX + secrets.token_urlsafe(32)
        part = self._paths.keys.with_suffix(".new")
        try:
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump({"local": secret}, file)
            # The row first: a key file whose key is unknown would lock the command line out until the next start.
            row = await self._keys.add(LOCAL, digest(secret), replace=True)
            part.replace(self._paths.keys)
        except OSError as problem:
            raise from_os(problem, self._paths.keys) from None
        self._by_hash = {hash_: name for hash_, name in self._by_hash.items() if name != LOCAL}
        self._by_hash[row.hash] = LOCAL


def digest(secret: str) -> bytes:
    """sha256 of a secret; the bytes that do not fit UTF-8 are kept apart, not refused."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _keys(headers: Mapping[str, str]) -> list[str]:
    """The keys that came; "" stands for an Authorization of another scheme, which no key is."""
    found = []
    if given := headers.get("authorization", ""):
        scheme, _, secret = given.partition(" ")
        found.append(secret.strip() if scheme.lower() == "bearer" else "")
    if given := headers.get("x-api-key", ""):
        found.append(given.strip())
    return found


def _cookie(header: str, name: str) -> str:
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""
