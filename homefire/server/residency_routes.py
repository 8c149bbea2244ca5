"""What is in memory and why, over HTTP: the table, the decision log, its events, load and unload, the kept KV caches.

Promises: a role may stand in a model's place; a load answers when the model is ready, or with the one reason why not; the events
tell each change of the table within half a second, and end when the client leaves.
Does not cover: far engines, which need no memory here (`engine_routes.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from homefire.dialects.duration import KeepAlive, seconds
from homefire.dialects.strict import Closed
from homefire.engines.kv_shelf import KvShelf
from homefire.errors import InvalidRequest
from homefire.residency import Keeper
from homefire.residency.decisions import KEPT, Entry
from homefire.server.request import (
    begin_events,
    caller,
    read_body,
    read_json,
    read_query,
    send_event,
    send_json,
    send_nothing,
    until_gone,
)

SMALL_BODY = 64 * 1024
QUIET_SECONDS = 10.0
# How often the table is held against what was sent last: a lease that begins or ends is no decision, but a change.
LOOK_SECONDS = 0.5
# What runs on by itself, and is no change.
CLOCKS = frozenset({"idle_s", "leaves_in_s", "oldest_s", "eta_s", "in_s", "requests_per_minute"})


class LoadBody(Closed, kw_only=True):
    """`keep_alive` in seconds, or such as "5m": 0 leaves at once, negative stays until its memory is needed; `pin` keeps it
    whoever needs memory. Both stand until they are changed or the model is unloaded by hand, whatever becomes of the daemon."""

    keep_alive: KeepAlive = None
    pin: bool | None = None


class UnloadBody(Closed, kw_only=True):
    """`now`: answers under way break; else they end first."""

    now: bool = False


_load = msgspec.json.Decoder(LoadBody)
_unload = msgspec.json.Decoder(UnloadBody)


class ResidencyRoutes:
    """Handlers. `resolve` turns a role into the name of its model and raises UnknownModel; `kv` has the kept KV caches."""

    def __init__(self, keeper: Keeper, resolve: Callable[[str], str], kv: KvShelf | None = None) -> None:
        self._keeper = keeper
        self._resolve = resolve
        self._kv = kv

    async def table(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/residency"""
        await send_json(send, self._keeper.table())

    async def decisions(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/decisions"""
        query = read_query(scope, {"model", "limit"})
        try:
            limit = int(query.get("limit", KEPT))
        except ValueError:
            limit = 0
        if not 1 <= limit <= KEPT:
            raise InvalidRequest(f"'limit' must be a whole number from 1 to {KEPT}.", param="limit")
        found = self._keeper.decisions.last(query.get("model", ""), limit)
        await send_json(send, {"decisions": [_shape(entry) for entry in found]})

    async def events(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/events"""
        await read_body(scope, receive, SMALL_BODY)
        await until_gone(self._stream(send), receive)

    async def load(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/models/{name}/load"""
        body = await read_json(scope, receive, SMALL_BODY, _load)
        name = self._resolve(scope["path_params"]["name"])
        await until_gone(self._bring(name, seconds(body.keep_alive), body.pin, caller(scope), send), receive)

    async def unload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/models/{name}/unload"""
        body = await read_json(scope, receive, SMALL_BODY, _unload)
        name = self._resolve(scope["path_params"]["name"])
        self._keeper.pin(name, False)
        self._keeper.keep(name, None)
        await self._keeper.flush()
        await until_gone(self._let_go(name, body.now, send), receive)

    async def kept(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/kept"""
        entries = [] if self._kv is None else sorted(self._kv.all(), key=lambda each: each.used, reverse=True)
        rows = [
            {"conversation": each.label or None, "tokens": each.tokens, "bytes": each.size, "used_at": each.used}
            for each in entries
        ]
        quota = 0 if self._kv is None else self._kv.quota
        total = sum(each.size for each in entries)
        await send_json(send, {"kept": rows, "bytes": total, "quota_bytes": quota})

    async def clear_kept(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/kept"""
        if self._kv is not None:
            self._kv.clear()
        await send_nothing(send)

    async def _bring(self, name: str, keep_alive: float | None, pin: bool | None, key: str, send: Send) -> None:
        async with await self._keeper.ensure(name, key=key):
            if keep_alive is not None:
                self._keeper.keep(name, keep_alive)
            if pin is not None:
                self._keeper.pin(name, pin)
            row = next(each for each in self._keeper.table().models if each.name == name)
        # Without the lease: nobody is to see an answer under way where there is none.
        await self._keeper.flush()
        await send_json(send, {"model": row})

    async def _let_go(self, name: str, now: bool, send: Send) -> None:
        await send_json(send, {"name": name, "unloaded": await self._keeper.unload(name, now)})

    async def _stream(self, send: Send) -> None:
        """Never silent for long: a side that is gone shows only when something is sent."""
        with self._keeper.decisions.listening() as queue:
            await begin_events(send)
            told, quiet = None, 0.0
            while True:
                table = self._keeper.table()
                if (facts := _facts(asdict(table))) != told or quiet >= QUIET_SECONDS:
                    await send_event(send, "residency", table)
                    told, quiet = facts, 0.0
                quiet += LOOK_SECONDS
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        entry = await queue.get()
                    await send_event(send, "decision", _shape(entry))


def _facts(value: Any) -> Any:
    """A table without what only time changes."""
    if isinstance(value, dict):
        return {name: _facts(each) for name, each in value.items() if name not in CLOCKS}
    return [_facts(each) for each in value] if isinstance(value, list) else value


def _shape(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at": entry.at,
        "kind": entry.kind,
        "model": entry.model,
        "reason": entry.reason,
        "facts": dict(entry.facts),
        "times": entry.times,
    }
