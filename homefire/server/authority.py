"""Who may come in: keys, the page's sessions, one-time login codes.

    identify(headers) ──> Principal ──require(needs)──> admitted(principal, end): counted, and ended when its right ends
    └────────── authorise(headers, needs) ──────────┘

A secret has 256 random bits, so its sha256 is enough: there is nothing to guess. Only hashes are stored; the lookup is by a
part of the hash, the comparison takes the same time whatever was sent.
HTTP asks in two steps, because the door stands before the router and the table of routes says what is needed; gRPC and each
message of a WebSocket ask `authorise` with the credential that came, under the same header names.
Promises: checking reads memory only; a key that was revoked or has expired is refused from that moment on, and what it has
under way is told to end; a rotated key's old secret opens until its time of grace is over; what was refused is counted in the
audit log, in one entry for a minute.
Does not cover: what a scope opens (`scopes.py`), how much a key may ask for (`limiter.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from homefire.errors import BadKey, BadLoginCode, InvalidRequest, MissingKey, UnknownKey
from homefire.paths import KeyName, Paths, from_os
from homefire.server.limiter import Limiter
from homefire.server.open_work import End, OpenWork
from homefire.server.scopes import ALL, NOBODY, PAGE, UNLIMITED, Limits, Needs, Principal
from homefire.store import Audit, AuditRow, KeyRights, KeyRow, Keys

LOCAL = KeyName("local")
PREFIX = "homefire-"
CODE_SECONDS = 600.0
SESSION_SECONDS = 30 * 86_400.0
GRACE_SECONDS = 86_400.0
MAX_CODES = 64
# Kinds of refusal that one entry of the audit log tells apart.
MOST_REFUSED = 40
# So much of a hash finds the entry; all of it is compared.
FINDS = 8
EVERYTHING = KeyRights(("admin",))


@dataclass(frozen=True, slots=True)
class _Entry:
    """A secret that opens, until then (Unix seconds)."""

    hash: bytes
    principal: Principal
    until: float


class Authority:
    """Keys, sessions and codes. `open()` before use. `off`: who sends no key is let in as the page is (setting `auth`)."""

    def __init__(self, keys: Keys, paths: Paths, cookie: str, audit: Audit, *, off: bool = False) -> None:
        self._keys = keys
        self._paths = paths
        self.audit = audit
        self.cookie = cookie
        self.off = off
        self.limiter = Limiter()
        self.open_work = OpenWork()
        self._found: dict[bytes, _Entry] = {}
        self._sessions: dict[bytes, _Entry] = {}
        self._codes: dict[bytes, float] = {}
        self._used: dict[str, float] = {}
        self._refused: Counter[str] = Counter()
        self._metered: set[str] = set()

    async def open(self) -> None:
        """Loads what is stored and makes sure that the command line's own key works."""
        for row in await self._keys.all():
            self._enter(row)
        self._sessions = {row.hash[:FINDS]: _session(row.hash, row.expires_at) for row in await self._keys.sessions()}
        local = _match(self._found, digest(self._read_local()))
        if local is None or local.principal.name != LOCAL:
            await self._make_local("daemon")
        if self.off:
            await self.audit.note("keys turned off", "daemon", "auth")

    def authorise(self, headers: Mapping[str, str], needs: Needs) -> Principal:
        """Who sends these headers (lower-case names), if that principal has one of the scopes `needs`.

        Raises MissingKey, BadKey, MissingScope or KeyNeeded. The same call for HTTP, gRPC's metadata and each message of a
        WebSocket; those that raise are for the caller to tell `refused`.
        """
        principal = self.identify(headers)
        principal.require(needs)
        return principal

    def identify(self, headers: Mapping[str, str]) -> Principal:
        """The first half of `authorise`.

        A key comes as `Authorization: Bearer KEY`, or as `x-api-key: KEY` from Anthropic's clients. One that is sent counts, even
        beside a valid cookie or a valid key: a wrong key is never overlooked.
        """
        if secrets_sent := _keys(headers):
            entries = [_match(self._found, digest(secret)) for secret in secrets_sent]
            if (entry := entries[0]) is None or None in entries:
                raise BadKey("This key is not valid here.")
            if any(each is not None and each.until <= time.time() for each in entries):
                raise BadKey("This key has expired, or was rotated a while ago.")
            principal = entry.principal
            self._used[principal.name] = time.time()
            return principal
        token = _cookie(headers.get("cookie", ""), self.cookie)
        if not token:
            if self.off:
                return NOBODY
            raise MissingKey("This needs a key.")
        entry = _match(self._sessions, digest(token))
        if entry is None or entry.until <= time.time():
            raise BadKey("This browser's login has ended.")
        return entry.principal

    @contextlib.contextmanager
    def admitted(self, principal: Principal, end: End) -> Iterator[None]:
        """While it lasts, a request, stream or call counts against the key's limits, and `end` is told why when the right to it
        ends. Raises RateLimited."""
        self.limiter.enter(principal.caller, principal.limits)
        try:
            with self.open_work.during(principal, end):
                yield
        finally:
            self.limiter.leave(principal.caller)

    def meter(self, caller: str) -> Callable[[int], None] | None:
        """What is to hear the tokens of an answer to this caller; None if nobody counts them."""
        if caller not in self._metered:
            return None
        return partial(self.limiter.spent, caller)

    def refused(self, code: str, address: str = "") -> None:
        """Counts a refusal for the audit log; `address` names who asked, if it was another machine."""
        if address and not address.startswith(("127.", "::1")):
            named = f"{code} from {address[:60]}"
            if named in self._refused or len(self._refused) < MOST_REFUSED:
                code = named
        self._refused[code] += 1

    async def add_key(self, name: KeyName, rights: KeyRights, who: str) -> tuple[KeyRow, str]:
        """Makes a key; returns its row and the secret, which is never shown again. Raises KeyExists."""
        secret = PREFIX + secrets.token_urlsafe(32)
        row = await self._keys.add(name, digest(secret), rights, who)
        self._enter(row)
        return row, secret

    async def rotate_key(self, name: str, grace: float, who: str) -> tuple[KeyRow, str]:
        """Gives a key a new secret; the old one opens for `grace` seconds more. Raises UnknownKey, InvalidRequest for the local
        one."""
        if name == LOCAL:
            raise InvalidRequest(
                "The command line's own key is not rotated but made anew.", "homefire key revoke local", param="name"
            )
        secret = PREFIX + secrets.token_urlsafe(32)
        row = await self._keys.rotate(name, digest(secret), time.time() + grace, who)
        self._forget(name)
        self._enter(row)
        if not grace:
            self.open_work.end(f"key:{name}", BadKey("This key was rotated."))
        return row, secret

    async def revoke_key(self, name: str, who: str) -> None:
        """Ends a key and what it has under way. The local key is made anew at once, so that the command line goes on. Raises
        UnknownKey."""
        await self._keys.revoke(name, who)
        self._forget(name)
        self.open_work.end(f"key:{name}", BadKey("This key was revoked."))
        self.limiter.drop(f"key:{name}")
        if name == LOCAL:
            await self._make_local(who)

    async def list_keys(self) -> list[KeyRow]:
        """The keys, with the last use as far as it is stored; `flush` stores it."""
        await self.flush()
        return await self._keys.all()

    async def acts_as(self, name: str) -> str:
        """The id under which a key has runs and grants of its own; "" for one with admin, which acts as the person of this
        home. Raises UnknownKey."""
        row = next((row for row in await self._keys.all() if row.name == name), None)
        if row is None:
            raise UnknownKey(f"There is no key named '{name[:80]}'.", param="key")
        return "" if "admin" in row.rights.scopes else row.id

    async def audited(self, limit: int, before: int | None) -> list[AuditRow]:
        """The last entries of the audit log, newest first, what was refused until now among them."""
        await self.flush()
        return await self.audit.rows(limit, before)

    async def flush(self) -> None:
        """Stores when keys were last used, and what was refused since the last time."""
        if self._used:
            used, self._used = self._used, {}
            await self._keys.used(used)
        if self._refused:
            refused, self._refused = self._refused, Counter()
            await self.audit.note("refused", "daemon", "", dict(sorted(refused.items())))

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
        entry = _session(digest(token), now + SESSION_SECONDS)
        self._sessions[entry.hash[:FINDS]] = entry
        await self.audit.note("page logged in", entry.principal.caller)
        return token

    async def logout(self, headers: Mapping[str, str]) -> None:
        """Ends the session that these headers carry, if any, and what it has under way."""
        if token := _cookie(headers.get("cookie", ""), self.cookie):
            entry = self._sessions.pop(digest(token)[:FINDS], None)
            await self._keys.end_session(digest(token))
            if entry is not None:
                self.open_work.end(entry.principal.caller, BadKey("This browser's login has ended."))

    def _enter(self, row: KeyRow) -> None:
        given = row.rights
        until = given.expires_at if given.expires_at is not None else float("inf")
        scopes = ALL if "admin" in given.scopes else frozenset(given.scopes) & ALL
        limits = Limits(given.requests, given.tokens, given.concurrent)
        principal = Principal("key", row.name, scopes, limits, row.id, given.expires_at)
        self._metered.discard(principal.caller)
        if limits.tokens:
            self._metered.add(principal.caller)
        self._found[row.hash[:FINDS]] = _Entry(row.hash, principal, until)
        if row.old_hash is not None and row.old_until is not None:
            ends = min(until, row.old_until)
            old = Principal("key", row.name, scopes, limits, row.id, ends)
            self._found[row.old_hash[:FINDS]] = _Entry(row.old_hash, old, ends)

    def _forget(self, name: str) -> None:
        self._found = {part: entry for part, entry in self._found.items() if entry.principal.name != name}

    def _read_local(self) -> str:
        try:
            return str(json.loads(self._paths.keys.read_text("utf-8"))["local"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    async def _make_local(self, who: str) -> None:
        secret = PREFIX + secrets.token_urlsafe(32)
        part = self._paths.keys.with_suffix(".new")
        try:
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump({"local": secret}, file)
            # The row first: a key file whose key is unknown would lock the command line out until the next start.
            row = await self._keys.add(LOCAL, digest(secret), EVERYTHING, who, replace=True)
            part.replace(self._paths.keys)
        except OSError as problem:
            raise from_os(problem, self._paths.keys) from None
        self._forget(LOCAL)
        self._enter(row)


def digest(secret: str) -> bytes:
    """sha256 of a secret; the bytes that do not fit UTF-8 are kept apart, not refused."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _session(hash_: bytes, expires_at: float) -> _Entry:
    """A login of the page; each is a caller of its own."""
    principal = Principal("session", f"page {hash_.hex()[:8]}", PAGE, UNLIMITED, "", expires_at)
    return _Entry(hash_, principal, expires_at)


def _match(entries: Mapping[bytes, _Entry], found: bytes) -> _Entry | None:
    entry = entries.get(found[:FINDS])
    return entry if entry is not None and hmac.compare_digest(entry.hash, found) else None


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
