"""Reading requests and writing answers: bodies within limits of size and time, JSON out, and clients that go away.

Promises: no body larger than the limit is ever held; no client can make a route wait longer than 30 s for its next byte; work
for a client that has gone is cancelled at once.
Does not cover: headers that never end (`protocol.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec
from starlette.types import Message, Receive, Scope, Send

from homefire.dialects.strict import decode
from homefire.errors import BodyTooLarge, InvalidRequest, RequestTimeout
from homefire.server.scopes import ADMIN, Principal

T = TypeVar("T")
BODY_IDLE_SECONDS = 30.0
# str(): names are subclasses of str, which msgspec does not take for one.
_encode = msgspec.json.Encoder(enc_hook=str).encode


class ClientGone(Exception):
    """The client closed the connection; nobody reads an answer any more."""


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises BodyTooLarge, RequestTimeout or ClientGone."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await _next_message(receive)
        if message["type"] == "http.disconnect":
            raise ClientGone
        if piece := message.get("body", b""):
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def read_json(scope: Scope, receive: Receive, limit: int, decoder: msgspec.json.Decoder[T]) -> T:
    """The body as the decoder's type; an empty body reads as an empty object."""
    return decode(decoder, await read_body(scope, receive, limit) or b"{}")


def caller(scope: Scope) -> str:
    """Who makes the request, as the queue for models tells its clients apart: each key is one, each login of the page too."""
    return principal_of(scope).caller


def principal_of(scope: Scope) -> Principal:
    """Who makes the request."""
    found: Principal = scope["homefire.principal"]
    return found


def require_key(scope: Scope) -> None:
    """Raises KeyNeeded for a request without a key, and MissingScope for a key without admin."""
    principal_of(scope).require(ADMIN)


def read_query(scope: Scope, known: set[str]) -> dict[str, str]:
    """The query's parameters; of a name that comes twice, the last. Raises InvalidRequest for a name not in `known`."""
    found = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    for name in found:
        if name not in known:
            raise InvalidRequest(f"There is no query parameter '{name[:80]}'.", param=name[:80])
    return {name: values[-1] for name, values in found.items()}


def read_number(query: dict[str, str], name: str, default: float, low: float, high: float) -> float:
    """A parameter as a number. Raises InvalidRequest outside `low` to `high` (both inclusive)."""
    try:
        value = float(query.get(name, default))
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise InvalidRequest(f"'{name}' must be a number from {low:g} to {high:g}.", param=name)
    return value


def wants_events(scope: Scope) -> bool:
    """Whether the client asks for a stream of events rather than for JSON, of a route that has both."""
    found = b",".join(value for name, value in scope["headers"] if name == b"accept").lower()
    return b"text/event-stream" in found and b"application/json" not in found


async def _next_message(receive: Receive) -> Message:
    try:
        # Not wait_for: until Python 3.12 it loses a cancellation that comes together with the message.
        async with asyncio.timeout(BODY_IDLE_SECONDS):
            return await receive()
    except TimeoutError:
        raise RequestTimeout(f"No byte of the body came for {BODY_IDLE_SECONDS:g} s.") from None


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than {limit / 2**20:g} MiB.",
        "Send less, or raise the setting 'body_mib' (docs/settings.md).",
    )


async def until_gone(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Does the work; cancels it when the client goes away, and waits for its clean-up.

    Call it after the body was read: then the next message can only be the disconnect.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(receive())
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
    if not task.cancelled():
        task.result()


async def send_json(send: Send, value: Any, status: int = 200) -> None:
    """Sends `value` (plain data, msgspec structs or dataclasses) as JSON."""
    await send_bytes(send, _encode(value), b"application/json", status)


async def send_bytes(
    send: Send, body: bytes, kind: bytes, status: int = 200, extra: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Sends a whole body; `extra` headers beside the usual ones."""
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_nothing(send: Send, extra: list[tuple[bytes, bytes]] | None = None) -> None:
    """Sends 204."""
    await send({"type": "http.response.start", "status": 204, "headers": extra or []})
    await send({"type": "http.response.body", "body": b""})


EVENTS = b"text/event-stream; charset=utf-8"


async def begin_events(send: Send, kind: bytes = EVENTS, extra: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Begins a stream of server-sent events, or one of another `kind`; `extra` headers beside the usual ones."""
    headers = [(b"content-type", kind), (b"cache-control", b"no-store"), *extra]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def send_event(send: Send, name: str, value: Any, mark: int | None = None) -> None:
    """Sends one named event; `mark`: what a reader that comes again sends as Last-Event-ID."""
    at = b"" if mark is None else b"id: %d\n" % mark
    line = b"event: " + name.encode() + b"\n" + at + b"data: " + _encode(value) + b"\n\n"
    await send({"type": "http.response.body", "body": line, "more_body": True})


async def send_alive(send: Send) -> None:
    """Sends a comment, which every reader passes over, so that no side takes the other for dead."""
    await send({"type": "http.response.body", "body": b": alive\n\n", "more_body": True})


async def end_events(send: Send) -> None:
    """Ends the stream."""
    await send({"type": "http.response.body", "body": b""})
