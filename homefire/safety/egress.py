"""The only way out of a sandbox (`sandbox.Egress`): a proxy on a unix socket that dials the hosts a job was given, and nothing
else.

    head -> Target (one parse) -> on the list? -> resolved once -> every address public? -> that address is dialled

Promises: what was checked is what is dialled: a name is resolved once for each connection and its first address is used;
addresses that are not of the public internet are refused however they are written, and a name that has one of them as well; a
host that is not written in the plainest form is refused instead of repaired. A redirect is one more request, judged anew.
Does not cover: what is said over a connection (CONNECT carries TLS), and hosts that share an address with an allowed one.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from homefire.errors import AddressRefused, HomefireError
from homefire.safety.addresses import is_public, read_place, read_url

MOST_HEAD = 16 * 1024
HEAD_SECONDS, DIAL_SECONDS = 10.0, 10.0
_HEAD = re.compile(rb"([A-Z]{3,10}) ([\x21-\x7e]{1,4096}) HTTP/1\.[01]")

Resolve = Callable[[str, int], Awaitable[list[str]]]
Dial = Callable[[str, int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request wants to go: a name in lower case, or an address in its one canonical form; and a port."""

    host: str
    port: int

    @staticmethod
    def parse(text: str, port: int | None = None) -> Target:
        """From `host:port`, or `host` where `port` is given. Raises AddressRefused."""
        return Target(*read_place(text, port))


class Egress:
    """The proxy of one job."""

    def __init__(self, hosts: Iterable[str], resolve: Resolve | None = None, dial: Dial | None = None) -> None:
        self._allowed = {Target.parse(host) for host in hosts}
        self._resolve = resolve or _look_up
        self._dial = dial or asyncio.open_connection
        self._busy: set[asyncio.Task[None]] = set()

    @staticmethod
    @contextlib.asynccontextmanager
    async def open(
        hosts: tuple[str, ...], door: Path, resolve: Resolve | None = None, dial: Dial | None = None
    ) -> AsyncIterator[Path]:
        """Listens on `door` while the block runs. Raises AddressRefused for a host that may never be asked."""
        egress = Egress(hosts, resolve, dial)
        server = await asyncio.start_unix_server(egress.serve, str(door), limit=MOST_HEAD)
        door.chmod(0o600)
        try:
            yield door
        finally:
            server.close()
            egress.close()

    def close(self) -> None:
        """Breaks off what is under way."""
        for task in self._busy:
            task.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a head, then bytes both ways until one side ends."""
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            target, first = read_head(head)
            far_reader, far_writer = await self.connect(target)
        except HomefireError as problem:
            await _say(writer, f"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n{problem.message}\n")
            return
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await _say(writer, "HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n")
            return
        finally:
            self._busy.discard(task)
        self._busy.add(task)
        try:
            if first:
                far_writer.write(first)
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            self._busy.discard(task)
            far_writer.close()
            writer.close()

    async def connect(self, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Dials an allowed target at an address that was checked. Raises AddressRefused, OSError."""
        if target not in self._allowed:
            raise AddressRefused(f"{target.host}:{target.port} is not one of this job's hosts.")
        async with asyncio.timeout(DIAL_SECONDS):
            addresses = await self._resolve(target.host, target.port)
        if not addresses or not all(map(is_public, addresses)):
            raise AddressRefused(f"{target.host} does not lead to the public internet.")
        async with asyncio.timeout(DIAL_SECONDS):
            return await self._dial(addresses[0], target.port)


def read_head(head: bytes) -> tuple[Target, bytes]:
    """Where a request goes, and what is sent there first ("" for CONNECT). Raises AddressRefused."""
    first, _, rest = head.partition(b"\r\n")
    line = _HEAD.fullmatch(first)
    if line is None or b"\0" in head:
        raise AddressRefused("Not a request to a proxy.")
    method, where = line[1], line[2].decode("ascii")
    if method == b"CONNECT":
        return Target.parse(where), b""
    url = read_url(where)
    if url.scheme != "http" or "#" in where:
        raise AddressRefused("Only http:// addresses, or CONNECT, are passed on.")
    target = Target(url.host, url.port)
    kept = [
        name
        for name in rest.split(b"\r\n")
        if name and not name.lower().startswith((b"host:", b"proxy-", b"connection:"))
    ]
    path = (url.rest if url.rest.startswith("/") else f"/{url.rest}").encode()
    host = f"[{target.host}]" if ":" in target.host else target.host
    lines = [method + b" " + path + b" HTTP/1.1", f"Host: {host}:{target.port}".encode(), b"Connection: close", *kept]
    return target, b"\r\n".join(lines) + b"\r\n\r\n"


async def _look_up(host: str, port: int) -> list[str]:
    rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(row[4][0]) for row in rows]


async def _say(writer: asyncio.StreamWriter, text: str) -> None:
    with contextlib.suppress(OSError):
        writer.write(text.encode())
        await writer.drain()
    writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
