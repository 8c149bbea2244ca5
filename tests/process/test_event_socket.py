"""The WebSocket of a real daemon, with a widely used client: a chat, keys that end, sizes, clients that say or read nothing.

Promises: real sockets, uvicorn, the pilot; what ends a socket is the code that the client sees.
Does not cover: each message and right (`tests/null/test_event_socket.py`), other origins (`tests/contract`).
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.conftest import RunningDaemon, wait_until
from tests.contract import raw

AT = "/homefire/v1"
ASK = {"messages": [{"role": "user", "content": "What can you do?"}], "max_tokens": 12, "temperature": 0}
LONG = {"messages": [{"role": "user", "content": "go on"}], "max_tokens": 7000, "ignore_eos": True}


@contextmanager
def opened(daemon: RunningDaemon, key: str | None = None, **options: Any) -> Iterator[ClientConnection]:
    """A socket with a key by its header, after `ready`."""
    headers = {"authorization": f"Bearer {key or daemon.key}"}
    where = daemon.url.replace("http", "ws", 1) + f"{AT}/events"
    with connect(where, additional_headers=headers, **options) as found:
        assert event(found)["event"] == "ready"
        yield found


def event(connection: ClientConnection, name: str = "") -> dict[str, Any]:
    """The next event, or the next one of this name."""
    while True:
        found: dict[str, Any] = json.loads(connection.recv(timeout=20))
        if name in ("", found["event"]):
            return found


def new_key(daemon: RunningDaemon, name: str, **more: Any) -> dict[str, Any]:
    body = {"name": name, "scopes": ["chat", "models"], **more}
    made: dict[str, Any] = raw.call(daemon, "POST", f"{AT}/keys", json.dumps(body).encode()).json
    return made


def closing(connection: ClientConnection) -> int:
    """Reads until it is closed; the code."""
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            connection.recv(timeout=20)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def test_a_chat_says_what_the_route_says(daemon: RunningDaemon) -> None:
    plain = raw.call(daemon, "POST", "/v1/chat/completions", json.dumps(ASK).encode()).json
    with opened(daemon) as connection:
        connection.send(json.dumps({"subscribe": ["tokens", "decisions", "residency", "sensors", "progress"]}))
        event(connection, "subscribed")
        connection.send(json.dumps({"chat": ASK, "id": "x"}))
        pieces, seen = [], set()
        while (found := event(connection))["event"] != "done":
            seen.add(found["event"])
            pieces += [found["data"]["text"]] if found["event"] == "delta" else []
        assert "".join(pieces) == found["data"]["text"] == plain["choices"][0]["message"]["content"]
        assert found["data"]["usage"]["completion_tokens"] == plain["usage"]["completion_tokens"]
        while not {"residency", "sensors"} <= seen:
            seen.add(event(connection)["event"])


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_key_that_ends_takes_its_sockets_with_it(daemon: RunningDaemon, how: str) -> None:
    made = new_key(daemon, f"socket {how}", **({"expires_in": 2} if how == "expired" else {}))
    with opened(daemon, made["key"]) as busy, opened(daemon, made["key"]) as idle, opened(daemon) as other:
        busy.send(json.dumps({"subscribe": ["tokens"]}))
        busy.send(json.dumps({"chat": LONG}))
        event(busy, "delta")
        if how == "revoked":
            assert raw.call(daemon, "DELETE", f"{AT}/keys/socket%20revoked").status == 204
        else:
            time.sleep(max(0.0, made["expires_at"] - time.time()))
        began = time.monotonic()
        assert [closing(busy), closing(idle)] == [4401, 4401]
        assert time.monotonic() - began < 1.0
        other.send(json.dumps({"subscribe": []}))
        assert event(other)["event"] == "subscribed"


def test_a_revoked_key_ends_a_socket_that_reads_nothing(daemon: RunningDaemon) -> None:
    """What it does not read holds no slot."""
    made = new_key(daemon, "deaf")
    where = raw.connect(daemon)
    where.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with where:
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
                   "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
        where.sendall(raw.head(daemon, "GET", f"{AT}/events", made["key"], **upgrade))
        heard = b""
        while b'"ready"' not in heard:  # what comes before the handshake is answered is lost
            heard += where.recv(4096)
        for said in ({"subscribe": ["tokens", "sensors", "residency"]}, {"chat": LONG}):
            data = json.dumps(said).encode()
            where.sendall(bytes([0x81, 0x80 | len(data) if len(data) < 126 else 0xFE]) +
                          (b"" if len(data) < 126 else len(data).to_bytes(2, "big")) + bytes(4) + data)  # fmt: skip
        wait_until(lambda: _open(daemon, "deaf") == 2)
        assert raw.call(daemon, "DELETE", f"{AT}/keys/deaf").status == 204
        wait_until(lambda: not any(m["leases"] for m in raw.call(daemon, "GET", f"{AT}/status").json["models"]), 3)


def _open(daemon: RunningDaemon, name: str) -> int:
    keys = raw.call(daemon, "GET", f"{AT}/keys").json["keys"]
    return int(next(key["open"] for key in keys if key["name"] == name))


def test_three_hundred_that_say_nothing_harm_nobody(daemon: RunningDaemon) -> None:
    made = new_key(daemon, "idle")
    before = raw.call(daemon, "GET", f"{AT}/status").json["memory_bytes"]
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(opened(daemon, made["key"], ping_interval=None, close_timeout=0.1))
        assert _open(daemon, "idle") == 300
        with opened(daemon) as connection:
            connection.send(json.dumps({"chat": ASK}))
            assert event(connection, "done")["data"]["text"]
        after = raw.call(daemon, "GET", f"{AT}/status").json["memory_bytes"]
        assert after - before < 64 * 2**20
        assert raw.call(daemon, "DELETE", f"{AT}/keys/idle").status == 204  # ends them all


@pytest.mark.parametrize("known", [False, True])
def test_sizes(daemon: RunningDaemon, known: bool) -> None:
    large = json.dumps({"chat": {**ASK, "messages": [{"role": "user", "content": "x" * 100_000}]}})
    if known:
        with opened(daemon) as connection:
            connection.send(large)
            assert event(connection)["data"]["error"]["code"] == "context_length_exceeded"
            connection.send(json.dumps({"subscribe": []}) + " " * 100_000)
            assert event(connection)["data"]["error"]["code"] == "body_too_large"
    else:
        with connect(daemon.url.replace("http", "ws", 1) + f"{AT}/events") as connection:
            connection.send(large)
            assert closing(connection) == 1009


def test_over_tls(new_daemon: Callable[..., RunningDaemon]) -> None:
    running = new_daemon(HOMEFIRE_TLS="1")
    assert running.cli("tls", "init", "--json").returncode == 0
    running.start()
    trust = ssl.create_default_context(cafile=str(running.paths.tls_authority))
    with opened(running, ssl=trust) as connection:
        connection.send(json.dumps({"subscribe": ["residency"]}))
        assert event(connection, "residency")["data"]["models"] == []


def test_an_address_with_a_key_in_it_stays_out_of_the_log(daemon: RunningDaemon) -> None:
    headers = {"authorization": f"Bearer {daemon.key}"}
    where = daemon.url.replace("http", "ws", 1) + f"{AT}/events?key=canary-in-the-address"
    with connect(where, additional_headers=headers) as connection:
        assert event(connection)["event"] == "ready"
    assert "canary-in-the-address" not in daemon.paths.daemon_log.read_text("utf-8")
