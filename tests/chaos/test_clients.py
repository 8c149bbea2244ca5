"""Clients that go away, read slowly, or never finish what they say.

Promises: whoever leaves, in the middle of an answer or while waiting for a model, frees what was held for them within a second;
whoever is slow makes nobody else wait.
Does not cover: heads that never end (`tests/contract/test_bad_input.py`).
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes.models import endless
from homefire.models.library import PILOT_FILE
from tests.conftest import RunningDaemon, wait_until
from tests.contract import raw

FULL = os.environ.get("HOMEFIRE_PROOF") == "full"
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon with one slot, the pilot, and two models whose answers do not end by themselves."""
    folder = tmp_path_factory.mktemp("clients")
    running = RunningDaemon(folder / "home", HOMEFIRE_SLOTS="1").start()
    file = endless(PILOT_FILE, folder / "endless.gguf")
    for name in ("endless", "endless2"):
        assert running.cli("models", "import", str(file), "--name", name).returncode == 0
    yield running
    running.stop()


def ask(daemon: RunningDaemon, model: str, tokens: int = 100_000, buffer: int = 0) -> socket.socket:
    """Sends a request for a streamed answer and leaves the answer unread."""
    body = {
        "model": model,
        "stream": True,
        "max_tokens": tokens,
        "ignore_eos": True,
        "messages": [{"role": "user", "content": "go on"}],
    }
    data = json.dumps(body).encode()
    connection = raw.connect(daemon, 60)
    if buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.sendall(raw.head(daemon, "POST", CHAT, Content_Length=str(len(data))) + data)
    return connection


def hear(connection: socket.socket) -> None:
    """Waits until the answer has begun."""
    heard = b""
    while b'"content":"' not in heard:
        piece = connection.recv(65536)
        assert piece, heard
        heard += piece


def leases(daemon: RunningDaemon) -> int:
    """How many requests hold a model."""
    return sum(model["leases"] for model in raw.call(daemon, "GET", "/homefire/v1/status").json["models"])


def waiting(daemon: RunningDaemon) -> int:
    """How many requests wait for a model."""
    return int(raw.call(daemon, "GET", "/homefire/v1/status").json["waiting"])


def short_answer(daemon: RunningDaemon, model: str, seconds: float) -> None:
    """A short answer comes whole within the time: the only slot was free."""
    body = json.dumps({"model": model, "max_tokens": 3, "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = raw.head(daemon, "POST", CHAT, Content_Length=str(len(body))) + body
    assert raw.exchange(daemon, request, seconds).status == 200


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_client_leaves_in_the_middle_of_an_answer(home: RunningDaemon, how: str) -> None:
    for _ in range(3):
        connection = ask(home, "endless")
        hear(connection)
        assert leases(home) == 1
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()
        wait_until(lambda: leases(home) == 0, 1.0)
    short_answer(home, "endless", 5)


def test_client_leaves_a_conversation(home: RunningDaemon) -> None:
    with home.client() as client:
        made = client.post("/homefire/v1/conversations", {"model": "endless"})["id"]
        for event in client.ask(made, "go on"):
            if event.name == "delta":
                break
    wait_until(lambda: leases(home) == 0, 1.0)

    def state() -> str:
        found = raw.call(home, "GET", f"/homefire/v1/conversations/{made}").json["messages"][-1]
        return str(found["state"])

    wait_until(lambda: state() == "stopped", 2.0)
    short_answer(home, "endless", 5)


def test_client_leaves_an_answer_that_is_not_streamed(home: RunningDaemon) -> None:
    body = b'{"model": "endless", "ignore_eos": true, "messages": [{"role": "user", "content": "go on"}]}'
    connection = raw.connect(home)
    connection.sendall(raw.head(home, "POST", CHAT, Content_Length=str(len(body))) + body)
    wait_until(lambda: leases(home) == 1)
    connection.close()
    wait_until(lambda: leases(home) == 0, 1.0)
    short_answer(home, "endless", 5)


def test_client_leaves_while_it_waits_for_a_model(home: RunningDaemon) -> None:
    with ask(home, "endless") as talking:
        hear(talking)
        others = [ask(home, "endless") for _ in range(6)]  # more than one model takes at once: the rest wait for it
        wait_until(lambda: waiting(home) > 0 and leases(home) + waiting(home) == 7)
        for other in others:
            other.close()
        wait_until(lambda: (waiting(home), leases(home)) == (0, 1), 1.0)
        hear(talking)
    wait_until(lambda: leases(home) == 0, 1.0)
    short_answer(home, "pilot", 30)
    short_answer(home, "endless", 30)


def test_client_leaves_while_it_waits_for_a_slot(home: RunningDaemon) -> None:
    with ask(home, "endless") as talking:
        hear(talking)
        others = [ask(home, "endless") for _ in range(2)]
        wait_until(lambda: leases(home) == 3)
        for other in others:
            other.close()
        wait_until(lambda: leases(home) == 1, 1.0)
        hear(talking)
    wait_until(lambda: leases(home) == 0, 1.0)
    short_answer(home, "endless", 5)


def test_many_clients_leave_at_once(home: RunningDaemon) -> None:
    crowd = [ask(home, ("endless", "endless2")[number % 2]) for number in range(60)]
    wait_until(lambda: leases(home) + waiting(home) == 60)
    for connection in crowd:
        connection.close()
    wait_until(lambda: leases(home) == waiting(home) == 0, 5.0)
    short_answer(home, "pilot", 30)


def test_slow_reader_holds_up_nobody(new_daemon: Callable[..., RunningDaemon], tmp_path: Path) -> None:
    daemon = new_daemon(HOMEFIRE_SLOTS="2").start()
    with ask(daemon, "pilot", tokens=1500, buffer=4096) as slow:
        hear(slow)
        began = time.monotonic()
        for _ in range(5):
            short_answer(daemon, "pilot", 10)
        assert time.monotonic() - began < 10
        assert raw.call(daemon, "GET", "/healthz", key="").status == 200
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        heard = b""  # and in the end it gets everything
        while b"data: [DONE]" not in heard[-4000:]:
            piece = slow.recv(65536)
            assert piece, heard[-200:]
            heard += piece
        assert heard.count(b'"finish_reason":"length"') == 1
    wait_until(lambda: leases(daemon) == 0, 2.0)


@pytest.mark.skipif(not FULL, reason="takes 30 s; make proof runs it")
def test_body_that_never_ends(home: RunningDaemon) -> None:
    with raw.connect(home, 40) as connection:
        connection.sendall(raw.head(home, "POST", CHAT, Content_Length="1000") + b'{"model": "pil')
        began = time.monotonic()
        reply = raw.receive(connection)
        assert (reply.status, reply.code) == (408, "request_timeout")
        assert 25 < time.monotonic() - began < 35
    short_answer(home, "pilot", 30)
