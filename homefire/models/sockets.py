"""A transport for httpx2 that reads bodies in threads, a mebibyte at a time: HTTP/1.1 GET over blocking sockets.

httpx2's own hands 64 KiB at a time through four layers on the event loop, some 400 MB/s of a whole core (docs/log.md); a kernel
that copies into a large buffer while the interpreter's lock is free does several times that, and TLS is decrypted in the thread.

    connection:   idle ─take─> asked ─head─> body ─all read─> idle      (kept 15 s, for its own origin only)
                                 └──────────────┴─ anything else ─> closed

Promises: every failure is an httpx2.TransportError; no read blocks longer than `stall_seconds`; a cancelled read has ended, its
thread too, before the cancellation goes on; a piece is the caller's until it asks for the next one.
Does not cover: proxies and redirects (`origin.py`), other methods than GET, bodies of requests, HTTP/2.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx2

T = TypeVar("T")
PIECE = 1024 * 1024
# A piece is handed on when it is full, or this long after its first byte: progress and bandwidth caps want it.
SOON = 0.05
KEPT_SECONDS = 15.0
KEPT = 16
Origin = tuple[str, str, int]


class _Wire:
    """One connection. Everything here blocks, but `cut`."""

    def __init__(self, origin: Origin, timeout: float, context: ssl.SSLContext) -> None:
        scheme, host, port = origin
        plain = socket.create_connection((host, port), min(15.0, timeout))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = context.wrap_socket(plain, server_hostname=host) if scheme == "https" else plain
        except BaseException:
            plain.close()
            raise
        self.sock.settimeout(timeout)
        self.origin = origin
        self.peer: Any = self.sock.getpeername()
        self.kept_at = 0.0
        self._connection = http.client.HTTPConnection(host, port)
        self._connection.auto_open = 0  # a lost connection is an error here, not a reason to dial elsewhere
        self._connection.sock = self.sock

    def ask(self, target: str, headers: list[tuple[str, str]]) -> http.client.HTTPResponse:
        """Sends a GET and reads the answer's head."""
        self._connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            self._connection.putheader(name, value)
        self._connection.endheaders()
        return self._connection.getresponse()

    def cut(self) -> None:
        """Ends whatever a thread is doing with the connection. Does not block."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes it; no thread may use it any more."""
        with contextlib.suppress(OSError):
            self.sock.close()
        self._connection.close()


class _Body(httpx2.AsyncByteStream):
    """The body of an answer, and the way to its connection (httpx2's extension `network_stream`)."""

    def __init__(self, transport: ThreadTransport, wire: _Wire, answer: http.client.HTTPResponse) -> None:
        self._transport, self._wire, self._answer = transport, wire, answer
        self._left = None if answer.chunked else answer.length
        self._buffer: memoryview | None = None
        self._open = True

    def get_extra_info(self, name: str) -> Any:
        """The address at the other end as "server_addr"; nothing else is known."""
        return self._wire.peer if name == "server_addr" else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._buffer = memoryview(bytearray(PIECE))
        while self._open and (count := await self._transport.do(self._wire, self._fill, self._buffer)):
            # A view, not a copy: whoever reads it is done with it before the next one is asked for.
            yield self._buffer[:count]  # type: ignore[misc]

    async def aclose(self) -> None:
        """Keeps the connection if all was read, else closes it."""
        if self._open:
            self._open = False
            whole = self._left == 0 or (self._left is None and self._answer.isclosed())
            self._answer.close()  # the connection takes no other question before; this does not close its socket
            self._transport.give_back(self._wire, whole and not self._answer.will_close)

    def _fill(self, into: memoryview) -> int:
        """Reads until the piece is full, some time has passed, or the body ends. Blocks. Returns 0 at the end."""
        filled, until = 0, 0.0
        while filled < len(into):
            try:
                count = self._some(into[filled:])
            except TimeoutError:
                if filled:
                    return filled
                raise
            if not count:
                break
            filled += count
            now = time.monotonic()
            until = until or now + SOON
            if now >= until:
                break
        return filled

    def _some(self, into: memoryview) -> int:
        if self._left is None:  # sent in chunks, or until the connection ends
            return self._answer.readinto1(into)
        if not self._left:
            return 0
        count = self._answer.fp.readinto1(into[: self._left])
        if not count:
            raise http.client.IncompleteRead(b"", self._left)
        self._left -= count
        return count


class ThreadTransport(httpx2.AsyncBaseTransport):
    """The transport. One event loop owns it; close it with its client."""

    def __init__(self, context: ssl.SSLContext, stall_seconds: float) -> None:
        self._context, self._stall = context, stall_seconds
        self._idle: list[_Wire] = []
        self._threads = ThreadPoolExecutor(64, "homefire-socket")

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Asks, on a kept connection of this origin if there is one, and answers with a body that is still to be read."""
        url = request.url
        origin = (url.scheme, url.host, url.port or {"https": 443}.get(url.scheme, 80))
        target = url.raw_path.decode("ascii")
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        wire = self._take(origin)
        if wire is not None:
            try:
                return await self._answered(wire, target, headers)
            except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
                pass  # the server closed it while it was idle; a GET may be asked again
        return await self._answered(await self._dial(origin), target, headers)

    async def aclose(self) -> None:
        """Closes every kept connection; those in use end with their answers."""
        while self._idle:
            self._idle.pop().close()
        self._threads.shutdown(wait=False)

    async def do(self, wire: _Wire, work: Callable[..., T], *arguments: Any) -> T:
        """Runs blocking work on a connection; a caller who is cancelled cuts it and waits until the thread is out."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            wire.cut()
            await asyncio.wait([future])
            future.exception()
            raise
        except (OSError, http.client.HTTPException) as problem:
            raise _named(problem) from None

    def give_back(self, wire: _Wire, keep: bool) -> None:
        """Ends the use of a connection."""
        if keep and len(self._idle) < KEPT:
            wire.kept_at = time.monotonic()
            self._idle.append(wire)
        else:
            wire.close()

    def _take(self, origin: Origin) -> _Wire | None:
        """A kept connection of this origin, the newest; those that are too old are closed."""
        now = time.monotonic()
        for old in [wire for wire in self._idle if now - wire.kept_at > KEPT_SECONDS]:
            self._idle.remove(old)
            old.close()
        for wire in reversed(self._idle):
            if wire.origin == origin:
                self._idle.remove(wire)
                return wire
        return None

    async def _dial(self, origin: Origin) -> _Wire:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads, _Wire, origin, self._stall, self._context)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # Nobody waits for it any more; what it opens is closed.
            future.add_done_callback(
                lambda made: None if made.cancelled() or made.exception() else made.result().close()
            )
            raise
        except TimeoutError:
            raise httpx2.ConnectTimeout("no answer to the attempt to connect") from None
        except OSError as problem:
            raise httpx2.ConnectError(_said(problem)) from None

    async def _answered(self, wire: _Wire, target: str, headers: list[tuple[str, str]]) -> httpx2.Response:
        try:
            answer = await self.do(wire, wire.ask, target, headers)
        except BaseException:
            wire.close()
            raise
        body = _Body(self, wire, answer)
        return httpx2.Response(
            answer.status, headers=answer.getheaders(), stream=body, extensions={"network_stream": body}
        )


def _named(problem: Exception) -> httpx2.TransportError:
    """httpx2's name for a failure of a connection."""
    if isinstance(problem, TimeoutError):
        return httpx2.ReadTimeout("no byte came for too long")
    if isinstance(problem, http.client.IncompleteRead):
        return httpx2.RemoteProtocolError("the connection ended before the body did")
    if isinstance(problem, http.client.RemoteDisconnected):
        return httpx2.RemoteProtocolError("the connection ended without an answer")
    if isinstance(problem, http.client.HTTPException):
        return httpx2.RemoteProtocolError(f"what came is not HTTP/1.1 ({type(problem).__name__})")
    return httpx2.ReadError(_said(problem))


def _said(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
