"""uvicorn's HTTP protocol with a time limit for the head of a request.

uvicorn waits for ever for headers that never end (measured: 300 half-sent ones still open after 12 s).
Promises: a connection whose request head is not complete 10 s after its first byte, or that sends nothing for 10 s after it was
opened, gets 408 and is closed.
Does not cover: slow bodies (`request.py`).
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from homefire.errors import InvalidRequest, RequestTimeout
from homefire.server.door import SECURITY_HEADERS

HEAD_SECONDS = 10.0


class TimedProtocol(HttpToolsProtocol):
    """See the module's text."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._start_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """The answer to what is not HTTP, in the one envelope."""
        self._refuse(b"400 Bad Request", InvalidRequest("This is not a valid HTTP request."))

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        problem = RequestTimeout(f"The head of the request was not complete within {HEAD_SECONDS:g} s.")
        self._refuse(b"408 Request Timeout", problem)

    def _refuse(self, status: bytes, problem: InvalidRequest | RequestTimeout) -> None:
        self._stop_timer()
        if self.transport is None or self.transport.is_closing():
            return
        body = json.dumps(problem.envelope()).encode()
        head = b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "
        security = b"".join(b"\r\n" + name + b": " + value for name, value in SECURITY_HEADERS)
        self.transport.write(head + str(len(body)).encode() + security + b"\r\n\r\n" + body)
        self.transport.close()
