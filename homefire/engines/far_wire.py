"""HTTP to a far engine: a server that is not our child, on this machine or beyond it.

    loopback: plain or TLS, never through a proxy
    beyond:   TLS only, through the proxy that the environment names, if it names one

Promises: certificates are checked (SSL_CERT_FILE names further authorities, as everywhere); no redirect is followed, so a key
goes to the address it was given for and nowhere else; a plain connection never leaves this machine, whatever a name resolves to;
no line, body or stream grows beyond its limit; what the far side does becomes one of three failures: `Unreached` (no connection),
`Lost` (it broke), `Unreadable` (too much, or of the wrong kind).
Does not cover: how long to wait for an answer (`far.py`), what it says (`dialects/`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from homefire.dialects.far import Unreadable

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 10.0
# Connections beyond those for requests: to look whether the server is there while all others are busy.
SPARE = 4
SEND_SECONDS = 60.0
MOST_LINE = 2**20
MOST_BODY = 64 * 2**20
MOST_STREAM = 512 * 2**20
MOST_ERROR = 64 * 1024


class Unreached(Exception):
    """No connection could be made."""


class Lost(Exception):
    """The connection broke before the answer was whole."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a far engine is: its base URL, how many requests it gets at once, and the key that goes with each."""

    url: str
    at_once: int = 64
    key: str = field(default="", repr=False)

    @property
    def local(self) -> bool:
        """Whether the address, as written, can only be this machine."""
        return is_loopback(urlsplit(self.url).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host, as written, can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class FarWire:
    """Connections to one far engine. Close it when done. Making one may read files."""

    def __init__(self, address: Address) -> None:
        import httpx2

        headers = {"user-agent": "homefire", "accept-encoding": "identity"}
        if address.key:
            headers["authorization"] = f"Bearer {address.key}"
        self._address = address
        # The time an answer may take is not the wire's to judge; a connection that is not made in time is.
        timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS, write=SEND_SECONDS, pool=None)
        limits = httpx2.Limits(
            max_connections=address.at_once + SPARE, max_keepalive_connections=16, keepalive_expiry=4.0
        )
        self._client = httpx2.AsyncClient(
            base_url=address.url,
            headers=headers,
            timeout=timeout,
            limits=limits,
            # For a plain address one that trusts nobody: reading all authorities takes long and would be for nothing.
            verify=(
                httpx2.create_ssl_context()
                if address.url.startswith("https:")
                else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            ),
            follow_redirects=False,
            # A proxy would carry what is meant for this machine away from it.
            trust_env=not address.local,
        )

    async def close(self) -> None:
        """Closes all connections; answers under way break."""
        await self._client.aclose()

    async def check_local(self) -> None:
        """Raises Unreached if a name that must be this machine's own is not."""
        host = urlsplit(self._address.url).hostname or ""
        if not self._address.local:
            return
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as problem:
            raise Unreached(f"{host} has no address: {problem.strerror or problem}") from None
        for entry in found:
            if not ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback:
                raise Unreached(f"{host} is {entry[4][0]} here, which is not this machine")

    @contextlib.asynccontextmanager
    async def ask(self, path: str, body: bytes | None, accept: str) -> AsyncIterator[FarResponse]:
        """Sends a request (None: a GET); what it gives has its head. Leaving closes the connection unless it was read to its end.

        Raises Unreached, Lost.
        """
        response = await self.send(path, body, accept)
        try:
            yield response
        finally:
            await response.close()

    async def send(self, path: str, body: bytes | None, accept: str) -> FarResponse:
        """As `ask`; the caller closes it. A kept connection that the far side dropped is replaced once, a new one never: what
        broke that may be the request."""
        seen: list[str] = []
        try:
            return await self._send(path, body, accept, seen)
        except Lost:
            if any(event.startswith("connection.connect") for event in seen):
                raise
        return await self._send(path, body, accept, [])

    async def _send(self, path: str, body: bytes | None, accept: str, seen: list[str]) -> FarResponse:
        import httpx2

        async def trace(event: str, facts: object) -> None:
            seen.append(event)

        headers: Mapping[str, str] = {"accept": accept} | ({"content-type": "application/json"} if body else {})
        try:
            # Only the path below the base: nothing that a request says can name another host.
            method, more = "GET" if body is None else "POST", {"trace": trace}
            request = self._client.build_request(method, path, content=body, headers=headers, extensions=more)
            self._client.cookies.clear()
            return FarResponse(await self._client.send(request, stream=True))
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError, httpx2.UnsupportedProtocol) as problem:
            raise Unreached(_reason(problem)) from None
        except (
            httpx2.HTTPError,
            RuntimeError,
        ) as problem:  # RuntimeError: closed while the request waited for a connection
            raise Lost(_reason(problem)) from None


class FarResponse:
    """An answer whose head is there."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.type = response.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def close(self) -> None:
        """Breaks it off, unless it was read to its end."""
        await self._response.aclose()

    async def read(self, most: int = MOST_BODY) -> bytes:
        """The whole body. Raises Lost, Unreadable."""
        body = bytearray()
        async for piece in self._pieces(most):
            body += piece
        return bytes(body)

    async def read_some(self, most: int = MOST_ERROR) -> bytes:
        """The beginning of a body that may be anything: for an error's text."""
        body = bytearray()
        with contextlib.suppress(Lost, Unreadable):
            async for piece in self._pieces(most):
                body += piece
        return bytes(body[:most])

    async def lines(self) -> AsyncIterator[bytes]:
        """The body line by line, without line ends; the last one too if it has none. Raises Lost, Unreadable."""
        rest = b""
        async for piece in self._pieces(MOST_STREAM):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line.rstrip(b"\r")
            if len(rest) > MOST_LINE:
                raise Unreadable(f"a line of more than {MOST_LINE >> 20} MiB")
        if rest:
            yield rest

    async def _pieces(self, most: int) -> AsyncIterator[bytes]:
        import httpx2

        encoding = self._response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", ""):
            raise Unreadable(f"compressed bytes ({encoding[:20]}), which nobody asked for")
        size = 0
        try:
            async for piece in self._response.aiter_raw():
                size += len(piece)
                if size > most:
                    raise Unreadable(f"more than {most >> 20} MiB")
                yield piece
        except (httpx2.HTTPError, httpx2.StreamError, RuntimeError) as problem:
            raise Lost(_reason(problem)) from None


def _reason(problem: Exception) -> str:
    return str(problem).strip().rstrip(".") or type(problem).__name__
