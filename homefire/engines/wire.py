"""HTTP/1.1 to a model's child over a unix socket or a loopback port: the token path, so every microsecond counts.

Why our own: between the child and the client stand one parse and one render of each chunk, and a general client would add its
own layers to both. httptools does the parsing; what is left is one protocol class and a pool.
Promises: bytes are handed on as they come, what is not yet fetched grows to 256 KiB and then the far side has to wait;
a connection lost in the middle of an answer raises ConnectionLost; closing a response closes its connection unless it was
read to the end; a connection that the far side dropped while it was idle is replaced without the caller noticing.
Does not cover: redirects, proxies, compression, TLS: the far side is our own child.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import cast

import httptools

# llama.cpp's server closes an idle connection after 5 s; one older than this is not trusted.
IDLE_SECONDS = 3.0
MAX_IDLE = 16
HIGH_WATER = 256 * 1024


class ConnectionLost(Exception):
    """The connection ended before the response did, or could not be made."""


class NobodyThere(ConnectionLost):
    """The connection could not be made: nothing of the request was sent."""


class Wire:
    """A pool of connections to one far side. `address` is a socket's path, or ("127.0.0.1", port); `host` is what the
    Host header says."""

    def __init__(self, address: str | tuple[str, int], key: str = "", host: str = "engine") -> None:
        self._address = address
        self._idle: list[_Connection] = []
        self._head = f"Host: {host}\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "")

    async def post(self, path: str, body: bytes) -> Response:
        """Sends a JSON body; returns when the response's head is there. Raises ConnectionLost."""
        head = (
            f"POST {path} HTTP/1.1\r\n{self._head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return await self._send(head.encode() + body)

    async def get(self, path: str) -> Response:
        """As `post`, for a GET."""
        return await self._send(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().close()

    async def _send(self, request: bytes) -> Response:
        sent = False
        while connection := self._take():
            try:
                return await self._exchange(connection, request)
            except ConnectionLost:
                if connection.answered:
                    raise
                sent = True
        try:
            connection = await self._connect()
        except NobodyThere as problem:
            if sent:  # it may have been the request that ended the far side
                raise ConnectionLost(str(problem)) from None
            raise
        return await self._exchange(connection, request)

    async def _exchange(self, connection: _Connection, request: bytes) -> Response:
        try:
            await connection.send(request)
        except BaseException:
            connection.close()
            raise
        return Response(self, connection)

    def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                return connection
            connection.close()
        return None

    def give_back(self, connection: _Connection) -> None:
        """Takes a connection whose response was read to the end."""
        if len(self._idle) < MAX_IDLE and connection.keep():
            self._idle.append(connection)
        else:
            connection.close()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            if isinstance(self._address, str):
                _, connection = await loop.create_unix_connection(_Connection, self._address)
            else:
                _, connection = await loop.create_connection(_Connection, *self._address)
        except OSError as problem:
            raise NobodyThere(str(problem)) from None
        return connection


class Response:
    """A response whose head is there. `status` is the HTTP status."""

    def __init__(self, wire: Wire, connection: _Connection) -> None:
        self._wire = wire
        self._connection: _Connection | None = connection
        self.status = connection.status

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives; what has piled up comes in one piece. Raises ConnectionLost."""
        connection = self._connection
        if connection is None:
            return
        while piece := await connection.next_piece():
            yield piece
        self._connection = None
        self._wire.give_back(connection)

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self.pieces()])

    def close(self) -> None:
        """Breaks the connection off if the body was not read to its end."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Connection(asyncio.Protocol):
    """One connection; the httptools callbacks and the transport's run on the loop, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._head = False
        self._complete = False
        self._reusable = False
        self._lost = False
        self._idle_since = 0.0
        self.answered = False
        self.status = 0

    # -- asyncio.Protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not inherit from asyncio's

    def data_received(self, data: bytes) -> None:
        self.answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._lost = True
            self.close()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._wake()

    # -- httptools
    def on_headers_complete(self) -> None:
        self._head = True
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._buffer += body
        if len(self._buffer) > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        self._complete = True
        self._reusable = self._parser.should_keep_alive()  # the parser forgets it after this call

    # -- for Wire and Response
    async def send(self, request: bytes) -> None:
        """Writes a request and waits for the response's head."""
        assert self._transport is not None
        self._transport.write(request)
        while not self._head:
            await self._wait()

    async def next_piece(self) -> bytes:
        """What has arrived, at least one byte; nothing at the end."""
        while not self._buffer:
            if self._complete:
                return b""
            await self._wait()
        piece = bytes(self._buffer)
        self._buffer.clear()
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return piece

    def keep(self) -> bool:
        """Makes it ready for the next request; false if it cannot be kept."""
        if self._lost or not self._complete or not self._reusable:
            return False
        self._parser = httptools.HttpResponseParser(self)
        self._head = self._complete = self.answered = False
        self._idle_since = time.monotonic()
        return True

    def usable(self) -> bool:
        return not self._lost and time.monotonic() - self._idle_since < IDLE_SECONDS

    def close(self) -> None:
        self._lost = True
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        if self._lost:
            raise ConnectionLost("the connection was closed")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
