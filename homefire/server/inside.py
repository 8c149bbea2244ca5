"""Asking a route from inside the daemon: how WebSocket and gRPC reach the rooms, by the same handlers, rights and audit log as
HTTP, so that the three cannot disagree.

Promises: the caller's right is held against the route's own row once more; what goes wrong is raised, as the route raised it; who
leaves a stream ends the route's work and waits for it.
Does not cover: who the caller is, and what ends when its key is revoked: that is the business of whoever asks (`door.py`,
`event_socket.py`, `rpc.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope

from homefire.server.scopes import Principal

# Events of a stream that may wait for their reader; the route's work waits then.
AHEAD = 4
# What a client sends that wants events of a route that can answer in two ways.
STREAM = ((b"accept", b"text/event-stream"),)


class Inside:
    """The routes behind the door."""

    def __init__(self, router: ASGIApp) -> None:
        self._router = router

    async def call(self, principal: Principal, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. Raises what the route raises."""
        pieces: list[bytes] = []

        async def send(message: Message) -> None:
            pieces.append(message.get("body", b""))

        await self._router(_scope(principal, method, path), _receiver(body), send)
        whole = b"".join(pieces)
        return msgspec.json.decode(whole) if whole else None

    async def events(
        self,
        principal: Principal,
        method: str,
        path: str,
        body: Any = None,
        begun: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[tuple[str, bytes], None]:
        """The named events of a stream, each with its JSON; `begun` is called once the route listens, before the first of them.
        Close it (`contextlib.aclosing`). Raises what the route raises."""
        ahead: asyncio.Queue[bytes | None] = asyncio.Queue(AHEAD)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun()
            if piece := message.get("body", b""):
                await ahead.put(piece)

        async def work() -> None:
            try:
                await self._router(_scope(principal, method, path, STREAM), _receiver(body), send)
            finally:
                with contextlib.suppress(asyncio.QueueFull):
                    ahead.put_nowait(None)

        task = asyncio.ensure_future(work())
        try:
            while True:
                if task.done() and ahead.empty():
                    break
                if (piece := await ahead.get()) is None:
                    break
                fields = dict(line.partition(b": ")[::2] for line in piece.split(b"\n") if not line.startswith(b":"))
                if b"data" in fields:  # else it only says that it lives
                    yield fields[b"event"].decode(), fields[b"data"]
            await task
        finally:
            task.cancel()
            await asyncio.wait((task,))


def part(name: str) -> str:
    """A name as a part of a path."""
    return quote(name, safe="")


def _receiver(body: Any) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.get_running_loop().create_future()  # nobody leaves here but by cancelling
        sent = True
        return {"type": "http.request", "body": b"" if body is None else msgspec.json.encode(body)}

    return receive


def _scope(principal: Principal, method: str, path: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> Scope:
    route, _, query = path.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": unquote(route),
        "root_path": "",
        "query_string": query.encode(),
        "headers": headers,
        "path_params": {},
        "homefire.principal": principal,
    }
