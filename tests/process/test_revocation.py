"""A key that is revoked or expires, over real sockets: what it has open ends at once.

Promises: streams of three kinds are open and have begun when the key ends; another key's go on.
Does not cover: each route (`tests/null/test_keys.py` shows that the door ends whatever runs behind it).
"""

from __future__ import annotations

import json
import socket
import time

import pytest

from tests.conftest import RunningDaemon
from tests.contract import raw

AT = "/homefire/v1"
# On a quiet machine it takes milliseconds; where all processors are taken by others, the daemon may have to wait for its turn.
SECONDS = 8.0
LONG = {"messages": [{"role": "user", "content": "go on"}], "max_tokens": 7000, "ignore_eos": True, "stream": True}


def open_stream(daemon: RunningDaemon, method: str, path: str, key: str, body: object = None) -> socket.socket:
    """A stream that has begun."""
    data = b"" if body is None else json.dumps(body).encode()
    connection = raw.connect(daemon, 20)
    connection.sendall(raw.head(daemon, method, path, key, Content_Length=str(len(data))) + data)
    heard = b""
    while b"data: " not in heard:
        heard += (piece := connection.recv(65536))
        assert piece, heard
    return connection


def ends_within(connection: socket.socket, seconds: float) -> float:
    """Reads until the other side closes; how long that took, at most a little more than `seconds`."""
    began = time.monotonic()
    connection.settimeout(seconds)
    try:
        while connection.recv(65536) and time.monotonic() - began < seconds:
            pass
    except (ConnectionError, TimeoutError):
        pass
    return time.monotonic() - began


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_open_streams_end_at_once(daemon: RunningDaemon, how: str) -> None:
    body = {"name": f"short {how}", "scopes": ["chat", "models"], **({"expires_in": 3} if how == "expired" else {})}
    made = raw.call(daemon, "POST", f"{AT}/keys", json.dumps(body).encode()).json
    streams = {
        "events": open_stream(daemon, "GET", f"{AT}/events", made["key"]),
        "sensors": open_stream(daemon, "GET", f"{AT}/sensors/watch?seconds=0.5", made["key"]),
        "chat": open_stream(daemon, "POST", "/v1/chat/completions", made["key"], LONG),
    }
    stays = open_stream(daemon, "GET", f"{AT}/events", daemon.key)
    if how == "revoked":
        assert raw.call(daemon, "DELETE", f"{AT}/keys/short%20revoked").status == 204
    else:
        time.sleep(max(0.0, made["expires_at"] - time.time()))
    for name, stream in streams.items():
        with stream:
            assert ends_within(stream, SECONDS) < SECONDS, (
                f"{name}: {daemon.paths.daemon_log.read_text('utf-8')[-2000:]}"
            )
    assert raw.call(daemon, "GET", "/v1/models", key=made["key"]).code == "bad_key"
    with stays:
        stays.settimeout(0.2)
        with pytest.raises(TimeoutError):
            while stays.recv(65536):
                pass
