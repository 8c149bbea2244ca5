"""HTTP over a bare socket, for requests that no client library would send.

Promises: what is given goes out byte by byte; the answer is read whole, within a limit of time.
Does not cover: anything a client library does for its user.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import RunningDaemon

LIMIT_SECONDS = 5.0


@dataclass(frozen=True)
class Reply:
    """An answer; `headers` by their lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        """The code in the envelope of whichever dialect, None if there is none."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found = json.loads(self.body)
            return str((found["error"] if isinstance(found["error"], dict) else found)["code"])
        return None

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def connect(daemon: RunningDaemon, seconds: float = LIMIT_SECONDS) -> socket.socket:
    """A connection on which nothing may take longer than `seconds`."""
    where = urlsplit(daemon.url)
    assert where.hostname is not None
    assert where.port is not None
    return socket.create_connection((where.hostname, where.port), timeout=seconds)


def host(daemon: RunningDaemon) -> str:
    """The Host that the daemon accepts."""
    return urlsplit(daemon.url).netloc


def head(daemon: RunningDaemon, method: str, path: str, key: str | None = None, **headers: str) -> bytes:
    """A request's head with the right Host, the local key (or `key`; "" for none), and headers named with underscores."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host(daemon)}"]
    if secret := daemon.key if key is None else key:
        lines.append(f"Authorization: Bearer {secret}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def receive(connection: socket.socket) -> Reply:
    """Reads one answer."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, response.read())


def exchange(daemon: RunningDaemon, request: bytes, seconds: float = LIMIT_SECONDS) -> Reply:
    """Sends the bytes and reads one answer."""
    with connect(daemon, seconds) as connection:
        connection.sendall(request)
        return receive(connection)


def call(
    daemon: RunningDaemon,
    method: str,
    path: str,
    body: bytes | None = None,
    key: str | None = None,
    **headers: str,
) -> Reply:
    """A whole request, with its length if it has a body."""
    if body is not None:
        headers.setdefault("Content_Length", str(len(body)))
    return exchange(daemon, head(daemon, method, path, key, **headers) + (body or b""))


def routes(daemon: RunningDaemon) -> list[tuple[str, str, dict[str, Any]]]:
    """Every route as (method, path with its {parameters}, operation), from the daemon's own description."""
    described = call(daemon, "GET", "/openapi.json").json["paths"]
    return [(method.upper(), path, one) for path, by in described.items() for method, one in by.items()]
