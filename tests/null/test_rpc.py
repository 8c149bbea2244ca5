"""gRPC with its own client over loopback, in one process with null engines: rights, errors, ends, health, reflection.

Promises: every method of the table is called without a key, with a wrong one, with one that lacks its scope and with one that has
it.
Does not cover: the daemon, uvloop, TLS, a real model (`tests/process/test_rpc.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, message_factory
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from homefire.server import build_both, chatting
from homefire.server.listen import Listening
from homefire.server.proto import assistant_pb2 as pb
from homefire.server.rpc import Rpc
from homefire.server.rpc_rights import LIVENESS, RIGHTS_GRPC, needs_of
from homefire.server.rpc_services import Services
from tests.null.rig import AT, House, at_home
from tests.null.test_gate import gated
from tests.null.test_proto import methods

ASK = pb.ChatRequest(messages=[pb.ChatMessage(role="user", content="one two three")])
LONG = pb.ChatRequest(messages=[pb.ChatMessage(role="user", content="word " * 5000)], max_tokens=5000)
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
HEALTH = "/grpc.health.v1.Health"


class Client:
    """Calls by full names."""

    def __init__(self, channel: Any, house: House) -> None:
        self.channel = channel
        self.house = house

    def start(self, method: str, request: Any = None, key: str | None = None, **options: Any) -> Any:
        """A call under way; `key` "" sends none."""
        metadata = [*options.pop("metadata", [])]
        if secret := self.house.key if key is None else key:
            metadata.append(("authorization", f"Bearer {secret}"))
        if (found := methods().get(method)) is not None:
            given, reply = (message_factory.GetMessageClass(each) for each in (found.input_type, found.output_type))
            streams = found.server_streaming
        elif method == REFLECT:
            given, reply = reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
            call = self.channel.stream_stream(method, given.SerializeToString, reply.FromString)
            return call(iter([request or given(list_services="")]), metadata=metadata, **options)
        else:
            given, reply = health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
            streams = method.endswith("Watch")
        make = self.channel.unary_stream if streams else self.channel.unary_unary
        call = make(method, given.SerializeToString, reply.FromString)
        return call(given() if request is None else request, metadata=metadata, **options)

    async def first(self, call: Any) -> Any:
        """The reply, or the first of a stream."""
        async with asyncio.timeout(5):
            if hasattr(call, "read"):
                found = await call.read()
                call.cancel()
                if found is grpc.aio.EOF:
                    await call  # raises what ended it
                return found
            return await call

    async def refused(self, call: Any) -> tuple[str, str]:
        """gRPC's status and our code."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async with asyncio.timeout(5):
                if hasattr(call, "read"):
                    while await call.read() is not grpc.aio.EOF:
                        pass
                    raise AssertionError("it ended well")
                await call
        problem = caught.value
        code = dict(problem.trailing_metadata() or ()).get("homefire-code", "")
        assert (problem.details() or "").startswith(f"{code}: ")
        return problem.code().name, str(code)


@contextlib.asynccontextmanager
async def served(house: House, unready: Callable[[], list[str]] = list) -> AsyncIterator[Client]:
    _, inside = build_both(house.rooms)
    rpc = Rpc(Services(inside, chatting(house.rooms)), house.authority, unready, house.rooms.body_limit)
    with socket.socket() as unused:
        port = await rpc.start("127.0.0.1", 0, Listening(unused, None, None, "", (), ()))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield Client(channel, house)
        finally:
            await rpc.stop(0)


def run(home: Path, work: Callable[[Client], Awaitable[None]], **options: Any) -> None:
    async def whole(house: House) -> None:
        async with served(house) as client:
            await work(client)

    at_home(home, whole, **options)


async def new_key(house: House, name: str, scopes: tuple[str, ...], **limits: int) -> str:
    made = await house.call("POST", f"{AT}/keys", {"name": name, "scopes": list(scopes), **limits})
    return str(made.json()["key"])


REQUESTS: dict[str, Any] = {
    "/homefire.v1.Chat/Complete": ASK,
    "/homefire.v1.Models/Load": pb.LoadRequest(name="pilot"),
    "/homefire.v1.Models/Unload": pb.UnloadRequest(name="pilot"),
    f"{HEALTH}/Check": health_pb2.HealthCheckRequest(service="homefire.v1.Chat"),
}


def test_every_method_needs_a_key_and_its_scope(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        keys = {scope: await new_key(client.house, scope, (scope,)) for scope in ("chat", "models", "tools")}
        for method in RIGHTS_GRPC:
            request = REQUESTS.get(method)
            assert await client.refused(client.start(method, request, "")) == ("UNAUTHENTICATED", "missing_key"), method
            assert await client.refused(client.start(method, request, "wrong")) == ("UNAUTHENTICATED", "bad_key")
            for scope, key in keys.items():
                call = client.start(method, request, key)
                if scope in needs_of(method):
                    assert await client.first(call) is not None, (method, scope)
                else:
                    assert await client.refused(call) == ("PERMISSION_DENIED", "missing_scope"), (method, scope)

    run(tmp_path, work)


def test_liveness_opens_without_a_key_and_nothing_else_does(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        assert (await client.first(client.start(LIVENESS, None, ""))).status == health_pb2.HealthCheckResponse.SERVING
        named = health_pb2.HealthCheckRequest(service="homefire.v1.Chat")
        assert (await client.refused(client.start(LIVENESS, named, "")))[1] == "missing_key"
        unknown = client.start(LIVENESS, health_pb2.HealthCheckRequest(service="nobody"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unknown
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND

    run(tmp_path, work)


def test_health_says_whether_it_can_serve(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        async with served(house, lambda: ["a full disk"]) as client:
            named = client.start(LIVENESS, health_pb2.HealthCheckRequest(service="homefire.v1.Chat"))
            assert (await client.first(named)).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert (await client.first(client.start(LIVENESS))).status == health_pb2.HealthCheckResponse.SERVING

    at_home(tmp_path, work)


def test_reflection_shows_every_service(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        found = await client.first(client.start(REFLECT))
        names = {service.name for service in found.list_services_response.service}
        assert names == {method[1:].rpartition("/")[0] for method in RIGHTS_GRPC}
        asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol="homefire.v1.Chat")
        answer = (await client.first(client.start(REFLECT, asked))).file_descriptor_response
        assert answer.file_descriptor_proto[0] == pb.DESCRIPTOR.serialized_pb

    run(tmp_path, work)


@pytest.mark.parametrize("method", ["/homefire.v1.Chat/Other", "/homefire.v2.Chat/Complete", "/x/y"])
def test_what_is_not_in_the_table_is_refused(tmp_path: Path, method: str) -> None:
    async def work(client: Client) -> None:
        call = client.channel.unary_unary(method)
        assert await client.refused(call(b"")) == ("UNAUTHENTICATED", "missing_key")
        key = (("authorization", f"Bearer {client.house.key}"),)
        assert await client.refused(call(b"", metadata=key)) == ("UNIMPLEMENTED", "unknown_route")

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ([("origin", "http://evil.example")], "origin_refused"),
        ([("sec-fetch-site", "cross-site")], "origin_refused"),
        ([("authorization", "Bearer x")], "bad_key"),
        ([("x-api-key", "homefire-wrong")], "bad_key"),
    ],
)
def test_browsers_and_doubtful_keys_are_refused(tmp_path: Path, metadata: list[tuple[str, str]], code: str) -> None:
    async def work(client: Client) -> None:
        call = client.start("/homefire.v1.System/Status", metadata=metadata)
        assert (await client.refused(call))[1] == code

    run(tmp_path, work)


def test_no_cookie_opens_it(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        token = await client.house.authority.login(client.house.authority.make_code()[0])
        call = client.start("/homefire.v1.System/Status", key="", metadata=[("cookie", f"homefire_7373={token}")])
        assert (await client.refused(call))[1] == "missing_key"

    run(tmp_path, work)


def test_a_method_answers_what_its_route_answers(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        pieces = [event async for event in client.start("/homefire.v1.Chat/Complete", ASK)]
        assert {event.WhichOneof("event") for event in pieces[:-1]} == {"text"}
        assert pieces[-1].done.finish_reason == "stop"
        assert pieces[-1].done.usage.prompt_tokens > 0
        assert pieces[-1].done.headers["x-homefire-answered-by"] == "pilot"
        body = {"messages": [{"role": "user", "content": "one two three"}]}
        plain = (await client.house.call("POST", "/v1/chat/completions", body)).json()
        assert "".join(event.text for event in pieces) == plain["choices"][0]["message"]["content"]
        load = pb.LoadRequest(name="main", keep_alive=60, pin=True)
        row = (await client.first(client.start("/homefire.v1.Models/Load", load))).model
        assert (row.name, row.pinned, row.keep_alive_s) == ("pilot", True, 60)
        for method, path in (
            ("Models/List", "/models"),
            ("Models/Residency", "/residency"),
            ("System/Decisions", "/decisions"),
        ):
            reply = await client.first(client.start(f"/homefire.v1.{method}"))
            shown = json_format.MessageToDict(reply, preserving_proto_field_name=True)
            assert shown.keys() <= (await client.house.call("GET", AT + path)).json().keys()
        limited = await client.first(client.start("/homefire.v1.System/Decisions", pb.DecisionsRequest(limit=1)))
        assert len(limited.decisions) == 1
        gone = await client.first(client.start("/homefire.v1.Models/Unload", pb.UnloadRequest(name="pilot")))
        assert gone.unloaded

    run(tmp_path, work)


def test_the_policy_stands_in_front_of_chats_here_too(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        gated(house)
        async with served(house) as client:
            asked = pb.ChatRequest(messages=[pb.ChatMessage(role="user", content="please place a bet")])
            found = await client.refused(client.start("/homefire.v1.Chat/Complete", asked))
            assert found == ("PERMISSION_DENIED", "policy_refused")
            assert house.engines == []

    at_home(tmp_path, work)


def test_streams_of_the_machine(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        sensors = client.start("/homefire.v1.System/WatchSensors", pb.WatchSensorsRequest(seconds=0.5))
        assert (await sensors.read()).cpu is not None
        assert (await sensors.read()).cpu is not None
        events = client.start("/homefire.v1.System/WatchEvents")
        assert (await events.read()).WhichOneof("event") == "residency"
        client.house.keeper.decisions.note("kept", "m", "a reason", {"tokens": 3})
        decision = (await events.read()).decision
        assert (decision.kind, decision.reason, decision.facts["tokens"]) == ("kept", "a reason", 3)

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("method", "request_", "status", "code"),
    [
        ("Chat/Complete", pb.ChatRequest(), "INVALID_ARGUMENT", "invalid_request"),
        ("Chat/Complete", pb.ChatRequest(messages=ASK.messages, temperature=9), "INVALID_ARGUMENT", "invalid_request"),
        ("Chat/Complete", pb.ChatRequest(messages=ASK.messages, model="nobody"), "NOT_FOUND", "unknown_model"),
        ("Models/Load", pb.LoadRequest(name="nobody/at all?x=1"), "NOT_FOUND", "unknown_"),
        ("Models/Load", pb.LoadRequest(), "NOT_FOUND", "unknown_route"),
        ("System/Decisions", pb.DecisionsRequest(limit=0), "INVALID_ARGUMENT", "invalid_request"),
        ("System/WatchSensors", pb.WatchSensorsRequest(seconds=0), "INVALID_ARGUMENT", "invalid_request"),
    ],
)
def test_bad_input(tmp_path: Path, method: str, request_: Any, status: str, code: str) -> None:
    async def work(client: Client) -> None:
        found = await client.refused(client.start(f"/homefire.v1.{method}", request_))
        assert found[0] == status
        assert found[1].startswith(code)
        assert await client.first(client.start("/homefire.v1.System/Status"))

    run(tmp_path, work)


def test_bytes_that_are_no_message(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        call = client.channel.unary_unary("/homefire.v1.Models/Load")
        with pytest.raises(grpc.aio.AioRpcError):
            await call(b"\xff" * 50, metadata=(("authorization", f"Bearer {client.house.key}"),))
        assert await client.first(client.start("/homefire.v1.System/Status"))

    run(tmp_path, work)


async def free(house: House) -> None:
    async with asyncio.timeout(5):
        while any(row.leases for row in house.keeper.view()[0]):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def test_a_cancel_and_a_deadline_free_the_slot(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        call = client.start("/homefire.v1.Chat/Complete", LONG)
        assert (await call.read()).text
        call.cancel()
        await free(client.house)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in client.start("/homefire.v1.Chat/Complete", LONG, timeout=0.1):
                pass
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await free(client.house)

    run(tmp_path, work, delay=0.002)


def test_a_revoked_key_ends_its_calls_and_no_other(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        key = await new_key(client.house, "short", ("chat", "models"))
        chat = client.start("/homefire.v1.Chat/Complete", LONG, key)
        events = client.start("/homefire.v1.System/WatchEvents", None, key)
        health = client.start(f"{HEALTH}/Watch", None, key)
        others = client.start("/homefire.v1.System/WatchEvents")
        for call in (chat, events, health, others):
            assert await call.read() is not grpc.aio.EOF
        assert (await client.house.call("DELETE", f"{AT}/keys/short")).status == 204
        for call in (chat, events, health):
            assert await client.refused(call) == ("UNAUTHENTICATED", "bad_key")
        await free(client.house)
        client.house.keeper.decisions.note("kept", "m", "a reason")
        async with asyncio.timeout(5):
            while (await others.read()).decision.reason != "a reason":
                pass

    run(tmp_path, work, delay=0.002)


def test_the_limits_of_a_key(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        key = await new_key(client.house, "one", ("models",), concurrent=1)
        first = client.start("/homefire.v1.System/WatchEvents", None, key)
        assert await first.read()
        status = client.start("/homefire.v1.System/Status", None, key)
        assert await client.refused(status) == ("RESOURCE_EXHAUSTED", "rate_limited")
        first.cancel()
        async with asyncio.timeout(5):
            while client.house.authority.open_work.count("key:one"):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert await client.first(client.start("/homefire.v1.System/Status", None, key))

    run(tmp_path, work)


def test_a_message_that_is_too_large(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        large = pb.ChatRequest(
            messages=[pb.ChatMessage(role="user", content="x" * (client.house.rooms.body_limit + 1))]
        )
        assert (await client.refused(client.start("/homefire.v1.Chat/Complete", large)))[1] == "body_too_large"
        larger = pb.ChatRequest(messages=[pb.ChatMessage(role="user", content="x" * 2 * client.house.rooms.body_limit)])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.first(client.start("/homefire.v1.Chat/Complete", larger))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    run(tmp_path, work)
