"""The WebSocket over ASGI, with null engines: keys, rights, subscriptions, chats, bad input, and what ends it.

Promises: every message that the table knows is tried with a key that has its right and with one that has not.
Does not cover: real sockets, sizes, pings (`tests/process/test_event_socket.py`), other origins (`tests/contract`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from homefire.server import event_socket
from homefire.server.scopes import MESSAGES, RIGHTS, right_of_message
from tests.null.rig import AT, HOST, House, at_home
from tests.null.test_gate import chat, gated

PATH = f"{AT}/events"
ASK = {"messages": [{"role": "user", "content": "one two three"}]}
LONG = {"messages": [{"role": "user", "content": "word " * 5000}], "max_tokens": 5000}


class Socket:
    """A WebSocket's client, message by message."""

    def __init__(self, house: House, headers: dict[str, str] | None = None, path: str = PATH) -> None:
        given = {"host": HOST, **(headers or {})}
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._outgoing: asyncio.Queue[Message] = asyncio.Queue()
        self.limits: list[int] = []
        scope = {
            "type": "websocket", "path": path, "query_string": b"", "client": ("127.0.0.1", 50000), "subprotocols": [],
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
            "extensions": {"websocket.http.response": {}, "homefire.limit": {}},
        }  # fmt: skip
        self.task = asyncio.ensure_future(house.app(scope, self._incoming.get, self._send))

    async def _send(self, message: Message) -> None:
        if message["type"] == "homefire.limit":
            self.limits.append(message["bytes"])
            return
        self._outgoing.put_nowait(message)

    async def message(self) -> Message:
        """The next ASGI message."""
        async with asyncio.timeout(5):
            return await self._outgoing.get()

    async def accepted(self) -> Socket:
        """Holds the handshake."""
        assert (await self.message())["type"] == "websocket.accept"
        return self

    async def event(self, name: str = "") -> dict[str, Any]:
        """The next event, or the next one of this name."""
        while True:
            message = await self.message()
            assert message["type"] == "websocket.send", message
            found: dict[str, Any] = json.loads(message["text"])
            if name in ("", found["event"]):
                return found

    def say(self, **said: Any) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(said)})

    def raw(self, **message: Any) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", **message})

    async def ask(self, **said: Any) -> dict[str, Any]:
        """Says something and hears the next event."""
        self.say(**said)
        return await self.event()

    async def code(self, **said: Any) -> str:
        """The code of the error that this message earns."""
        found = await self.ask(**said)
        assert found["event"] == "error", found
        return str(found["data"]["error"]["code"])

    async def closed(self) -> int:
        """The code with which it is closed; what came before is passed over."""
        while (message := await self.message())["type"] != "websocket.close":
            pass
        await self.task
        return int(message["code"])

    async def leave(self) -> None:
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        async with asyncio.timeout(5):
            await self.task


async def opened(house: House, key: str | None = None) -> Socket:
    """One with a key, after its `ready`."""
    socket = await Socket(house, {"authorization": f"Bearer {key or house.key}"}).accepted()
    assert (await socket.event())["event"] == "ready"
    return socket


async def new_key(house: House, name: str, *scopes: str, **limits: int) -> str:
    made = await house.call("POST", f"{AT}/keys", {"name": name, "scopes": list(scopes), **limits})
    return str(made.json()["key"])


def run(home: Path, work: Any, **options: Any) -> None:
    async def whole(house: House) -> None:
        before = asyncio.all_tasks()
        inner: Coroutine[Any, Any, None] = work(house)
        await inner
        left = [task for task in asyncio.all_tasks() - before if "event_socket" in repr(task) or "inside" in repr(task)]
        assert not left, left

    at_home(home, whole, **options)


def test_a_key_may_come_by_header_by_cookie_and_as_the_first_message(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        token = await house.authority.login(house.authority.make_code()[0])
        page = {"cookie": f"homefire_7373={token}", "origin": f"http://{HOST}"}
        for headers in ({"authorization": f"Bearer {house.key}"}, {"x-api-key": house.key}, page):
            socket = await Socket(house, headers).accepted()
            assert (await socket.event())["event"] == "ready"
            await socket.leave()
        socket = await Socket(house).accepted()
        assert not socket.limits  # until it is known who speaks, a message stays small
        ready = await socket.ask(authorise=house.key)
        assert ready["event"] == "ready"
        assert "admin" in ready["data"]["scopes"]
        assert socket.limits == [house.rooms.body_limit + 64 * 1024]
        await socket.leave()

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"origin": "http://evil.example"}, 403, "origin_refused"),
        ({"origin": f"https://{HOST}"}, 403, "origin_refused"),
        ({"origin": "null"}, 403, "origin_refused"),
        ({"host": "evil.example"}, 403, "host_refused"),
        ({"sec-fetch-site": "cross-site"}, 403, "origin_refused"),
        ({"authorization": "Bearer homefire-wrong"}, 401, "bad_key"),
        ({"cookie": "homefire_7373=wrong", "origin": f"http://{HOST}"}, 401, "bad_key"),
        ({"cookie": "homefire_7373=anything"}, 403, "origin_refused"),
    ],
)
def test_refused_before_it_is_accepted(tmp_path: Path, headers: dict[str, str], status: int, code: str) -> None:
    async def work(house: House) -> None:
        socket = Socket(house, headers)
        first, body = await socket.message(), await socket.message()
        assert (first["type"], first["status"]) == ("websocket.http.response.start", status)
        assert b"content-security-policy" in dict(first["headers"])
        assert json.loads(body["body"])["error"]["code"] == code
        await socket.task

    run(tmp_path, work)


@pytest.mark.parametrize(("key", "status"), [(True, 404), (False, 401)])
def test_no_other_path_is_a_websocket(tmp_path: Path, key: bool, status: int) -> None:
    async def work(house: House) -> None:
        socket = Socket(house, {"authorization": f"Bearer {house.key}"} if key else {}, f"{AT}/sensors")
        assert (await socket.message())["status"] == status
        await socket.task

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"authorise": "homefire-wrong"}, "bad_key"),
        ({"subscribe": ["decisions"]}, "missing_key"),
        ({}, "invalid_request"),
    ],
)
def test_a_first_message_without_a_good_key_closes(tmp_path: Path, first: dict[str, Any], code: str) -> None:
    async def work(house: House) -> None:
        socket = await Socket(house).accepted()
        assert await socket.code(**first) == code
        assert await socket.closed() == event_socket.NO_RIGHT

    run(tmp_path, work)


def test_no_first_message_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_socket, "KEY_SECONDS", 0.01)

    async def work(house: House) -> None:
        socket = await Socket(house).accepted()
        assert (await socket.event())["data"]["error"]["code"] == "missing_key"
        assert await socket.closed() == event_socket.NO_RIGHT

    run(tmp_path, work)


def test_a_chat_comes_in_pieces_to_who_wants_them_and_whole_to_all(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        socket = await opened(house)
        whole = await socket.ask(chat=ASK, id="x")
        assert (whole["event"], whole["id"]) == ("done", "x")
        assert whole["data"]["finish_reason"] == "stop"
        assert whole["data"]["usage"]["prompt_tokens"] > 0
        assert whole["data"]["headers"]["x-homefire-answered-by"] == "pilot"
        assert (await socket.ask(subscribe=["tokens"]))["data"] == {"to": ["tokens"]}
        socket.say(chat=ASK, id="y")
        pieces = []
        while (event := await socket.event())["event"] == "delta":
            assert event["id"] == "y"
            pieces.append(event["data"]["text"])
        assert len(pieces) > 1
        assert "".join(pieces) == event["data"]["text"] == whole["data"]["text"]
        await socket.leave()

    run(tmp_path, work)


def test_what_is_asked_for_comes_and_no_more(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        socket = await opened(house)
        assert (await socket.ask(subscribe=["decisions", "residency"]))["data"] == {"to": ["decisions", "residency"]}
        assert (await socket.event("residency"))["data"]["models"] == []
        house.keeper.decisions.note("kept", "a model", "a reason")
        found = (await socket.event("decision"))["data"]
        assert (found["kind"], found["model"], found["reason"]) == ("kept", "a model", "a reason")
        socket.say(unsubscribe=["decisions", "residency"])
        assert (await socket.event("subscribed"))["data"] == {"to": []}
        house.keeper.decisions.note("kept", "a model", "another reason")
        assert (await socket.ask(subscribe=["sensors"]))["data"] == {"to": ["sensors"]}
        assert (await socket.event())["event"] == "sensors"
        await socket.leave()

    run(tmp_path, work)


def test_the_progress_of_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_socket, "PROGRESS_SECONDS", 0.01)

    async def work(house: House) -> None:
        socket = await opened(house)
        await socket.ask(subscribe=["progress"])
        asked = await house.call("POST", f"{AT}/models/pull", {"source": "hf:a/b", "watch": False})
        assert asked.status == 202, asked.body
        found = await socket.event("progress")
        assert found["data"]["id"] == asked.json()["id"]
        await socket.leave()

    run(tmp_path, work)


@pytest.mark.parametrize("name", [name for name, route in MESSAGES.items() if route])
def test_each_message_needs_the_right_of_its_route(tmp_path: Path, name: str) -> None:
    needs = right_of_message(name).needs
    assert needs == RIGHTS[MESSAGES[name]].needs
    other = "models" if needs == ("chat",) else "chat"

    async def work(house: House) -> None:
        may, lacks = await new_key(house, "may", needs[0]), await new_key(house, "lacks", other)
        said: dict[str, Any] = {"chat": ASK} if name == "chat" else {"subscribe": [name]}
        allowed = await opened(house, may)
        assert (await allowed.ask(**said))["event"] in ("subscribed", "done")
        await allowed.leave()
        refused = await opened(house, lacks)
        assert await refused.code(**said) == "missing_scope"
        assert (await refused.ask(subscribe=[]))["data"] == {"to": []}  # it stays open
        await refused.leave()

    run(tmp_path, work)


def test_a_message_that_nobody_entered_needs_admin() -> None:
    assert right_of_message("something new").needs == ()
    known = {"authorise", "cancel", "chat", "subscribe", "unsubscribe"}
    feeds = {"tokens", *event_socket.POLLED, *event_socket.STREAMS}
    assert set(MESSAGES) == known | feeds


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, "invalid_request"),
        ({"subscribe": ["everything"]}, "invalid_request"),
        ({"subscribe": "decisions"}, "invalid_request"),
        ({"shout": 1}, "invalid_request"),
        ({"subscribe": [], "cancel": "x"}, "invalid_request"),
        ({"authorise": "another"}, "invalid_request"),
        ({"cancel": "nothing"}, "invalid_request"),
        ({"chat": {"messages": []}}, "invalid_request"),
        ({"chat": {**ASK, "temperature": 9}}, "invalid_request"),
        ({"chat": {**ASK, "model": "nobody"}}, "unknown_model"),
        ({"chat": 1}, "invalid_request"),
        ({"cancel": "x" * 300}, "invalid_request"),
    ],
)
def test_bad_input_is_one_error_and_the_socket_stays(tmp_path: Path, said: dict[str, Any], code: str) -> None:
    async def work(house: House) -> None:
        socket = await opened(house)
        assert await socket.code(**said) == code
        assert (await socket.ask(chat=ASK))["event"] == "done"
        await socket.leave()

    run(tmp_path, work)


def test_what_is_no_json_no_text_or_too_large(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        socket = await opened(house)
        for message, code in (
            ({"text": "{"}, "invalid_json"),
            ({"text": '{"chat": ' + "[" * 100_000}, "invalid_json"),
            ({"text": '{"chat": NaN}'}, "invalid_json"),
            ({"bytes": b"{}"}, "invalid_request"),
            ({"text": json.dumps({"subscribe": [], "id": "x"}) + " " * 70_000}, "body_too_large"),
            (
                {"text": json.dumps({"chat": {"messages": [{"role": "user", "content": "x" * 2_000_000}]}})},
                "body_too_large",
            ),
        ):
            socket.raw(**message)
            assert (await socket.event())["data"]["error"]["code"] == code
        await socket.leave()

    run(tmp_path, work)


def test_cancel_frees_the_slot_and_so_does_leaving(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        socket = await opened(house)
        await socket.ask(subscribe=["tokens"])
        for how in ("cancel", "leave"):
            socket.say(chat=LONG, id=how)
            await socket.event("delta")
            if how == "cancel":
                socket.say(cancel=how)
                assert (await socket.event("cancelled"))["id"] == how
            else:
                await socket.leave()
            async with asyncio.timeout(5):
                while any(resident.leases for resident in house.keeper.view()[0]):  # noqa: ASYNC110
                    await asyncio.sleep(0)

    run(tmp_path, work, delay=0.001)


@pytest.mark.parametrize("how", ["revoked", "rotated", "logged out"])
def test_a_right_that_ends_closes_its_sockets_and_no_other(tmp_path: Path, how: str) -> None:
    async def work(house: House) -> None:
        if how == "logged out":
            token = await house.authority.login(house.authority.make_code()[0])
            page = {"cookie": f"homefire_7373={token}", "origin": f"http://{HOST}"}
            socket = await Socket(house, page).accepted()
        else:
            socket = await opened(house, await new_key(house, "short", "chat", "models"))
        stays = await opened(house)
        socket.say(subscribe=["tokens", "sensors"])
        socket.say(chat=LONG)
        await socket.event("delta")
        if how == "revoked":
            await house.call("DELETE", f"{AT}/keys/short")
        elif how == "rotated":
            await house.call("POST", f"{AT}/keys/short/rotate", {"grace_seconds": 0})
        else:
            await house.authority.logout(page)
        assert await socket.closed() == event_socket.NO_RIGHT
        assert not any(resident.leases for resident in house.keeper.view()[0])
        assert (await stays.ask(subscribe=[]))["event"] == "subscribed"
        await stays.leave()

    run(tmp_path, work, delay=0.001)


def test_limits_of_a_key_count_sockets_and_chats(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        key = await new_key(house, "slow", "chat", concurrent=2)
        one = await opened(house, key)
        two = await opened(house, key)
        third = Socket(house, {"x-api-key": key})
        assert (await third.message())["status"] == 429
        await third.task
        assert await one.code(chat=ASK) == "rate_limited"
        late = await Socket(house).accepted()
        assert await late.code(authorise=key) == "rate_limited"
        assert await late.closed() == event_socket.TOO_MUCH
        await two.leave()
        assert (await one.ask(chat=ASK))["event"] == "done"
        await one.leave()

    run(tmp_path, work)


def test_the_policy_stands_in_front_of_chats_here_too(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        gated(house)
        socket = await opened(house)
        assert await socket.code(chat=chat("please place a bet")) == "policy_refused"
        assert house.engines == []
        assert (await socket.ask(chat=ASK))["event"] == "done"
        await socket.leave()

    run(tmp_path, work)


def test_so_many_chats_and_no_more(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        socket = await opened(house)
        for number in range(event_socket.MOST_CHATS):
            socket.say(chat=LONG, id=str(number))
        assert await socket.code(chat=LONG, id="one more") == "overloaded"
        assert await socket.code(chat=LONG, id="0") == "invalid_request"
        await socket.leave()

    run(tmp_path, work, delay=0.01, queue=64)


def test_sockets_are_counted(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await (await opened(house)).leave()
        await Socket(house, {"origin": "http://evil.example"}).task
        counted = house.rooms.watched.metrics
        assert counted.requests["GET", PATH, 101] == 1
        assert counted.requests["GET", "refused", 403] == 1
        assert counted.in_flight == 0

    run(tmp_path, work)
