"""What a page of another site can try, row by row, on every listener; beside each row what must work, so that a daemon which
refuses everything is red too.

Promises: bare sockets: what is sent is what stands here; every refusal has the status and the code of its row, carries the
security headers, and lets no other origin read it.
Does not cover: whether a browser enforces what the headers say (`tests/browser/`).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.conftest import RunningDaemon
from tests.contract import raw
from tests.contract.test_door import HEADERS

LISTENERS = ("http", "https", "unix")
WEBSOCKET = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One attack: `lines` after the request line, with {host}, {port}, {scheme} and {key} filled in."""

    first: str
    lines: tuple[str, ...]
    status: int
    code: str


GOOD = ("Host: {host}", "Authorization: Bearer {key}")
ATTACKS: dict[str, Row] = {
    "1 DNS rebinding: another name": Row(
        "GET /v1/models", ("Host: evil.example:{port}", GOOD[1]), 403, "host_refused"
    ),
    "2 DNS rebinding: a trailing dot": Row("GET /v1/models", ("Host: localhost.:{port}", GOOD[1]), 403, "host_refused"),
    "3 two hosts": Row("GET /v1/models", (GOOD[0], "Host: evil.example", GOOD[1]), 403, "host_refused"),
    "4 a forwarded host": Row(
        "GET /v1/models", ("Host: evil.example", "X-Forwarded-Host: {host}", GOOD[1]), 403, "host_refused"
    ),
    "5 cross-site POST of a form": Row(
        "POST /homefire/v1/conversations",
        (*GOOD, "Origin: http://evil.example", "Content-Type: text/plain", "Content-Length: 0"), 403, "origin_refused",
    ),
    "6 cross-site GET without Origin": Row(
        "GET /v1/models", (*GOOD, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"), 403, "origin_refused"
    ),
    "7 same site, another port": Row("GET /v1/models", (*GOOD, "Sec-Fetch-Site: same-site"), 403, "origin_refused"),
    "8 Origin null (a sandboxed frame)": Row("GET /v1/models", (*GOOD, "Origin: null"), 403, "origin_refused"),
    "9 the other scheme of the same host": Row(
        "GET /v1/models", (*GOOD, "Origin: {other}://{host}"), 403, "origin_refused"
    ),
    "10 CORS preflight": Row(
        "OPTIONS /v1/models",
        ("Host: {host}", "Origin: http://evil.example", "Access-Control-Request-Method: GET"), 403, "origin_refused",
    ),
    "11 cross-origin WebSocket": Row(
        "GET /homefire/v1/socket", (*GOOD, *WEBSOCKET, "Origin: http://evil.example"), 403, "origin_refused"
    ),
    "12 rebound WebSocket": Row(
        "GET /homefire/v1/socket", ("Host: evil.example:{port}", GOOD[1], *WEBSOCKET), 403, "host_refused"
    ),
    "13 WebSocket without a key": Row("GET /homefire/v1/socket", ("Host: {host}", *WEBSOCKET), 401, "missing_key"),
    "14 a frame around the page (clickjacking)": Row(
        "GET /", ("Host: {host}", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"),
        403, "origin_refused",
    ),
    "15 an image from another site": Row(
        "GET /favicon.svg", ("Host: {host}", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"),
        403, "origin_refused",
    ),
    "16 the key in the address": Row("GET /v1/models?key={key}", ("Host: {host}",), 401, "missing_key"),
    "17 two keys, one wrong": Row("GET /v1/models", (*GOOD, "x-api-key: homefire-wrong"), 401, "bad_key"),
    "18 login from another site": Row(
        "POST /homefire/v1/login", ("Host: {host}", "Origin: http://evil.example", "Content-Length: 0"),
        403, "origin_refused",
    ),
}  # fmt: skip
CONTROLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "a program with its key": ("GET /v1/models", GOOD),
    "the page's own fetch": ("GET /v1/models", (*GOOD, "Origin: {scheme}://{host}", "Sec-Fetch-Site: same-origin")),
    "localhost in capitals": ("GET /v1/models", ("Host: LOCALHOST:{port}", GOOD[1])),
    "IPv6's name": ("GET /v1/models", ("Host: [::1]:{port}", GOOD[1])),
    "a link that opens the page": (
        "GET /",
        ("Host: {host}", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"),
    ),
    "an address typed by a person": ("GET /", ("Host: {host}", "Sec-Fetch-Site: none")),
}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon with TLS and a unix socket."""
    running = RunningDaemon(tmp_path_factory.mktemp("home"), HOMEFIRE_TLS="1", HOMEFIRE_UNIX_SOCKET="1")
    assert running.cli("tls", "init", "--json").returncode == 0
    yield running.start()
    running.stop()


Listener = Callable[[str, tuple[str, ...]], raw.Reply]


@pytest.fixture(params=LISTENERS)
def listener(request: pytest.FixtureRequest, daemon: RunningDaemon, secured: RunningDaemon) -> Listener:
    """Sends a request to one listener and reads the answer."""
    running = daemon if request.param == "http" else secured
    scheme = running.url.partition(":")[0]
    host = running.url.partition("//")[2]
    words = {"host": host, "port": host.rpartition(":")[2], "key": running.key, "scheme": scheme,
             "other": "http" if scheme == "https" else "https"}  # fmt: skip

    def send(first: str, lines: tuple[str, ...]) -> raw.Reply:
        text = "\r\n".join([f"{first} HTTP/1.1", *lines, "", ""]).format(**words)
        with _open(request.param, running) as connection:
            connection.sendall(text.encode())
            return raw.receive(connection)

    return send


@contextmanager
def _open(kind: str, running: RunningDaemon) -> Iterator[socket.socket]:
    if kind == "unix":
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(raw.LIMIT_SECONDS)
            connection.connect(str(running.paths.daemon_socket()))
            yield connection
    elif kind == "https":
        trust = ssl.create_default_context(cafile=str(running.paths.tls_authority))
        with raw.connect(running) as plain, trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            yield connection
    else:
        with raw.connect(running) as connection:
            yield connection


@pytest.mark.parametrize("name", ATTACKS)
def test_refused(listener: Listener, name: str) -> None:
    row = ATTACKS[name]
    reply = listener(row.first, row.lines)
    assert (reply.status, reply.code) == (row.status, row.code), reply.body[:300]
    assert HEADERS.items() <= reply.headers.items()
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
    assert not [header for header in reply.headers if header.startswith("access-control-")]
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("name", CONTROLS)
def test_not_refused(listener: Listener, name: str) -> None:
    reply = listener(*CONTROLS[name])
    assert reply.status == 200, reply.body[:300]
    assert HEADERS.items() <= reply.headers.items()
