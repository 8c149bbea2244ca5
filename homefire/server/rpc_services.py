"""The methods of `proto/assistant.proto`: each asks the route of its row from inside, and chat its own door.

Promises: a request becomes the JSON that the route reads, and its answer's JSON the reply, field by field under the same names; a
message of the proto without a method here, or a method without a message, fails at the start.
Does not cover: who may call (`rpc.py`), what the routes do.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

from google.protobuf import json_format, message_factory

from homefire.errors import from_envelope
from homefire.messages import Event, Finish, ReasoningDelta, TextDelta, ToolCallDelta, UsageReport
from homefire.server.chatting import Chatting
from homefire.server.inside import Inside, part
from homefire.server.proto import assistant_pb2
from homefire.server.scopes import Principal

PACKAGE = "homefire.v1"
_AT = "/homefire/v1"
# What a request asks of its route: method, path with its query, body.
Asked = tuple[str, str, Any]
Unary = Callable[[Principal, Any], Any]
Stream = Callable[[Principal, Any], AsyncGenerator[Any, None]]

ASKED: dict[str, Callable[[Any], Asked]] = {
    "Models/List": lambda r: ("GET", f"{_AT}/models{'?fit=1' if r.fit else ''}", None),
    "Models/Load": lambda r: ("POST", f"{_AT}/models/{part(r.name)}/load", _fields(r, "keep_alive", "pin")),
    "Models/Unload": lambda r: ("POST", f"{_AT}/models/{part(r.name)}/unload", {"now": r.now}),
    "Models/Residency": lambda r: ("GET", f"{_AT}/residency", None),
    "System/Status": lambda r: ("GET", f"{_AT}/status", None),
    "System/Decisions": lambda r: ("GET", f"{_AT}/decisions{_query(r, 'model', 'limit')}", None),
    "System/WatchSensors": lambda r: ("GET", f"{_AT}/sensors/watch{_query(r, 'seconds')}", None),
    "System/WatchEvents": lambda r: ("GET", f"{_AT}/events", None),
    "Knowledge/List": lambda r: ("GET", f"{_AT}/knowledge", None),
    "Knowledge/Show": lambda r: ("GET", f"{_AT}/knowledge/{part(r.name)}", None),
    "Knowledge/Ingest": lambda r: ("POST", f"{_AT}/knowledge/ingest", _given(r)),
    "Knowledge/Search": lambda r: ("POST", f"{_AT}/knowledge/search", _given(r)),
    "Knowledge/Ask": lambda r: ("POST", f"{_AT}/knowledge/ask", _given(r)),
    "Knowledge/Remove": lambda r: ("DELETE", f"{_AT}/knowledge/{part(r.name)}", None),
    "Agents/Start": lambda r: ("POST", f"{_AT}/agent/runs", _given(r)),
    "Agents/List": lambda r: ("GET", f"{_AT}/agent/runs{_query(r, 'limit', 'before')}", None),
    "Agents/Show": lambda r: ("GET", _run(r), None),
    "Agents/Follow": lambda r: ("GET", f"{_run(r, '/steps')}{_query(r, 'from')}", None),
    "Agents/Say": lambda r: ("POST", _run(r, "/say"), {"text": r.text}),
    "Agents/Decide": lambda r: ("POST", _run(r, "/decide"), {"call": r.call, "yes": r.yes, "text": r.text}),
    "Agents/Stop": lambda r: ("POST", _run(r, "/stop"), {}),
    "Agents/Resume": lambda r: ("POST", _run(r, "/resume"), {}),
    "Agents/Remove": lambda r: ("DELETE", _run(r), None),
}


def _run(request: Any, rest: str = "") -> str:
    return f"{_AT}/agent/runs/{part(request.id)}{rest}"


class Services:
    """Every method as a function of principal and request, by its full name."""

    def __init__(self, inside: Inside, chatting: Chatting) -> None:
        self._inside = inside
        self._chatting = chatting

    def methods(self) -> Iterator[tuple[str, str, Any, Unary | Stream]]:
        """Service, method, its descriptor, and what does it."""
        for service in assistant_pb2.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                name = f"{service.name}/{method.name}"
                if name == "Chat/Complete":
                    yield service.full_name, method.name, method, self._complete
                elif method.server_streaming:
                    yield service.full_name, method.name, method, self._streamed(name, method)
                else:
                    yield service.full_name, method.name, method, self._called(name, method)

    def _called(self, name: str, method: Any) -> Unary:
        ask, reply = ASKED[name], message_factory.GetMessageClass(method.output_type)

        async def call(principal: Principal, request: Any) -> Any:
            return read(await self._inside.call(principal, *ask(request)) or {}, reply())

        return call

    def _streamed(self, name: str, method: Any) -> Stream:
        ask, reply = ASKED[name], message_factory.GetMessageClass(method.output_type)

        async def stream(principal: Principal, request: Any) -> AsyncGenerator[Any, None]:
            async with contextlib.aclosing(self._inside.events(principal, *ask(request))) as events:
                async for event, data in events:
                    found = json.loads(data)
                    if event == "error":
                        raise from_envelope(found)
                    # Where a stream has events of several kinds, each is a field of its own.
                    yield read({event: found} if event in reply.DESCRIPTOR.fields_by_name else found, reply())

        return stream

    async def _complete(self, principal: Principal, request: Any) -> AsyncGenerator[Any, None]:
        body = json_format.MessageToDict(request, preserving_proto_field_name=True)
        if "seed" in body:
            body["seed"] = int(body["seed"])  # proto's JSON writes 64 bits as text
        done = assistant_pb2.Done()
        async with self._chatting.answer(principal, json.dumps(body).encode()) as (events, headers):
            done.headers.update(headers)
            async for event in events:
                if (piece := _piece(event, done)) is not None:
                    yield piece
        yield assistant_pb2.ChatEvent(done=done)


def read(found: Any, reply: Any) -> Any:
    """JSON of a route as a message; what is null there is not set here."""
    return json_format.ParseDict(_without_null(found), reply, ignore_unknown_fields=True)


def _piece(event: Event, done: Any) -> Any:
    match event:
        case TextDelta():
            return assistant_pb2.ChatEvent(text=event.text)
        case ReasoningDelta():
            return assistant_pb2.ChatEvent(reasoning=event.text)
        case ToolCallDelta():
            call = {"index": event.index, "arguments": event.arguments, "id": event.id, "name": event.name}
            return assistant_pb2.ChatEvent(tool_call=assistant_pb2.ToolCallPiece(**_without_null(call)))
        case Finish():
            done.finish_reason = event.reason
        case UsageReport():
            usage = event.usage
            done.usage.prompt_tokens, done.usage.completion_tokens = usage.prompt_tokens, usage.completion_tokens
            done.usage.cached_tokens = usage.cached_tokens
    return None


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_null(inner) for inner in value]
    return value


def _given(request: Any) -> dict[str, Any]:
    """What of a request is set, as JSON; its numbers are none that proto's JSON writes as text."""
    found: dict[str, Any] = json_format.MessageToDict(request, preserving_proto_field_name=True)
    return found


def _fields(request: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(request, name) for name in names if request.HasField(name)}


def _query(request: Any, *names: str) -> str:
    found = [f"{name}={part(str(value))}" for name, value in _fields(request, *names).items()]
    return f"?{'&'.join(found)}" if found else ""
