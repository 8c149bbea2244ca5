"""gRPC of a real daemon on uvloop, with and without TLS: a chat, a deadline, a key that ends, what is off is off.

Promises: the pilot answers as over HTTP; ends are seen by the client within a second.
Does not cover: each method and right (`tests/null/test_rpc.py`).
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from homefire.server.proto import assistant_pb2 as pb
from tests.conftest import RunningDaemon, wait_until
from tests.contract import raw

AT = "/homefire/v1"
LONG = pb.ChatRequest(messages=[pb.ChatMessage(role="user", content="go on")], max_tokens=7000, ignore_eos=True)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningDaemon, grpc.Channel]]:
    port = free_port()
    running = RunningDaemon(tmp_path_factory.mktemp("home"), HOMEFIRE_GRPC_PORT=str(port)).start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield running, channel
    running.stop()


def chat(channel: grpc.Channel, key: str, request: pb.ChatRequest, **options: float) -> Iterator[pb.ChatEvent]:
    call = channel.unary_stream("/homefire.v1.Chat/Complete", pb.ChatRequest.SerializeToString, pb.ChatEvent.FromString)
    found: Iterator[pb.ChatEvent] = call(request, metadata=(("authorization", f"Bearer {key}"),), **options)
    return found


def leases(daemon: RunningDaemon) -> int:
    return sum(model["leases"] for model in raw.call(daemon, "GET", f"{AT}/status").json["models"])


def test_a_chat_says_what_the_route_says(serving: tuple[RunningDaemon, grpc.Channel]) -> None:
    daemon, channel = serving
    body = {
        "messages": [{"role": "user", "content": "What can you do?"}],
        "max_tokens": 12,
        "temperature": 0,
        "seed": 7,
    }
    plain = raw.call(daemon, "POST", "/v1/chat/completions", json.dumps(body).encode()).json
    asked = pb.ChatRequest(
        messages=[pb.ChatMessage(role="user", content="What can you do?")], max_tokens=12, temperature=0, seed=7
    )
    events = list(chat(channel, daemon.key, asked))
    assert "".join(event.text for event in events) == plain["choices"][0]["message"]["content"]
    assert events[-1].done.usage.completion_tokens == plain["usage"]["completion_tokens"]


def test_a_deadline_frees_the_slot(serving: tuple[RunningDaemon, grpc.Channel]) -> None:
    daemon, channel = serving
    with pytest.raises(grpc.RpcError) as caught:
        list(chat(channel, daemon.key, LONG, timeout=0.3))
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: not leases(daemon), 3)


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_key_that_ends_takes_its_calls_with_it(serving: tuple[RunningDaemon, grpc.Channel], how: str) -> None:
    daemon, channel = serving
    body = {"name": f"rpc {how}", "scopes": ["chat"], **({"expires_in": 2} if how == "expired" else {})}
    made = raw.call(daemon, "POST", f"{AT}/keys", json.dumps(body).encode()).json
    call = chat(channel, made["key"], LONG)
    assert next(call).text
    if how == "revoked":
        assert raw.call(daemon, "DELETE", f"{AT}/keys/rpc%20revoked").status == 204
    else:
        time.sleep(max(0.0, made["expires_at"] - time.time()))
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    assert time.monotonic() - began < 1.0
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    wait_until(lambda: not leases(daemon), 3)


def test_over_tls_and_with_the_daemons_end(new_daemon: Callable[..., RunningDaemon]) -> None:
    port = free_port()
    running = new_daemon(HOMEFIRE_TLS="1", HOMEFIRE_GRPC_PORT=str(port))
    assert running.cli("tls", "init", "--json").returncode == 0
    running.start()
    # The certificate itself: BoringSSL, gRPC's own TLS, knows no authority that may sign for certain addresses only.
    trust = grpc.ssl_channel_credentials(Path(running.paths.tls_certificate).read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{port}", trust) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        call = chat(channel, running.key, LONG)
        assert next(call).text
        assert running.cli("down", "--json").returncode == 0
        with pytest.raises(grpc.RpcError):
            list(call)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError):
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=3)


def test_a_port_that_is_taken(new_daemon: Callable[..., RunningDaemon]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        running = new_daemon(HOMEFIRE_GRPC_PORT=str(taken.getsockname()[1]))
        done = running.cli("up", "--detach", "--json")
    assert done.returncode != 0
    assert json.loads(done.stdout)["error"]["code"] == "port_in_use"
