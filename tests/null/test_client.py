"""The Python client over a transport that calls the application in this process.

Promises: what the daemon refuses arrives as the same leaf, streams end properly or raise, leaving a stream stops the answer.
Does not cover: real connections (`tests/process`).
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from homefire.client import Homefire, ServerEvent, find_daemon, read_local_key
from homefire.errors import (
    BadKey,
    DaemonNotRunning,
    EngineDied,
    HomefireError,
    KeyExists,
    RequestTimeout,
    ShuttingDown,
    UnknownConversation,
)
from homefire.paths import Paths
from tests.null.rig import AT, HOST, Call, House, house

URL = f"http://{HOST}"
WORDS = "one two three four five"


class InProcess(httpx2.BaseTransport):
    """Runs each request on the application's own loop and hands the body on as it comes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, found: House) -> None:
        self._loop = loop
        self._house = found

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        body = request.read()
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        pieces: queue.Queue[bytes | None] = queue.Queue()
        pumps: list[asyncio.Future[None]] = []  # held, so that it is not collected

        async def begin() -> Call:
            call = self._house.start(request.method, request.url.raw_path.decode(), body, headers, key=False)
            pumps.append(asyncio.ensure_future(self._pump(call, pieces)))
            await call.begun()
            return call

        call = asyncio.run_coroutine_threadsafe(begin(), self._loop).result(10)
        return httpx2.Response(call.status, headers=call.headers, stream=Body(self._loop, call, pieces))

    @staticmethod
    async def _pump(call: Call, pieces: queue.Queue[bytes | None]) -> None:
        handed = 0
        while True:
            ended = call.task.done()
            if len(call.body) > handed:
                pieces.put(call.body[handed:])
                handed = len(call.body)
            if ended:
                pieces.put(None)
                return
            await asyncio.sleep(0.001)


class Body(httpx2.SyncByteStream):
    """The answer's body; closing it early is a disconnect."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Call, pieces: queue.Queue[bytes | None]) -> None:
        self._loop = loop
        self._call = call
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._pieces.get(timeout=10)) is not None:
            yield piece

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._call.leave)


class At:
    """A running house on a thread of its own."""

    def __init__(self, found: House, loop: asyncio.AbstractEventLoop) -> None:
        self.house = found
        self.loop = loop

    def client(self, key: str | None = None) -> Homefire:
        return Homefire.over(InProcess(self.loop, self.house), URL, self.house.key if key is None else key)


@contextmanager
def running(home: Path, **options: Any) -> Iterator[At]:
    ready: queue.Queue[At] = queue.Queue()

    async def main() -> None:
        async with house(home, **options) as found:
            end = asyncio.Event()
            at = At(found, asyncio.get_running_loop())
            ends.append(lambda: at.loop.call_soon_threadsafe(end.set))
            ready.put(at)
            await end.wait()

    ends: list[Callable[[], object]] = []
    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    try:
        yield ready.get(timeout=10)
    finally:
        ends[0]()
        thread.join(10)


def test_calls_and_errors(tmp_path: Path) -> None:
    with running(tmp_path) as at, at.client() as home:
        assert home.models()["default"] == "pilot"
        assert home.status()["url"] == URL
        made = home.post(f"{AT}/conversations", {"title": "one"})
        assert home.get(f"{AT}/conversations", q="one", limit=1)["conversations"][0]["id"] == made["id"]
        assert home.patch(f"{AT}/conversations/{made['id']}", {"title": "two"})["title"] == "two"
        home.delete(f"{AT}/conversations/{made['id']}")
        assert home.post(f"{AT}/logout") == {}
        with pytest.raises(UnknownConversation) as caught:
            home.get(f"{AT}/conversations/{made['id']}")
        assert made["id"] in caught.value.message and "GET /homefire" in caught.value.next_step
        home.post(f"{AT}/keys", {"name": "n"})
        with pytest.raises(KeyExists) as exists:
            home.post(f"{AT}/keys", {"name": "n"})
        assert (exists.value.param, exists.value.status) == ("name", 409)
        with pytest.raises(BadKey), at.client("homefire-wrong") as stranger:
            stranger.status()


def test_a_stream_to_its_end(tmp_path: Path) -> None:
    with running(tmp_path) as at, at.client() as home:
        made = home.post(f"{AT}/conversations")
        events = list(home.ask(made["id"], WORDS, sampling={"max_tokens": 3}))
        assert [event.name for event in events] == [
            "message", "message", "notice", "queue", "delta", "delta", "delta", "done",
        ]  # fmt: skip
        assert isinstance(events[0], ServerEvent) and events[-1].data["content"] == "one two three"
        with pytest.raises(UnknownConversation):
            list(home.ask("c0", WORDS))


def test_leaving_a_stream_stops_the_answer(tmp_path: Path) -> None:
    with running(tmp_path, delay=0.03) as at, at.client() as home:
        made = home.post(f"{AT}/conversations")
        for event in home.ask(made["id"], WORDS):
            if event.name == "delta":
                break
        for _ in range(200):
            state = home.get(f"{AT}/conversations/{made['id']}")["messages"][-1]["state"]
            if state != "streaming":
                break
            time.sleep(0.005)
        assert state == "stopped"


def test_an_engine_that_dies_is_raised_after_what_it_said(tmp_path: Path) -> None:
    with running(tmp_path, fail_after=2) as at, at.client() as home:
        made = home.post(f"{AT}/conversations")
        seen: list[str] = []
        with pytest.raises(EngineDied) as caught:
            for event in home.ask(made["id"], WORDS):
                seen += [event.data["text"]] if event.name == "delta" else []
        assert "".join(seen) == "one two"
        assert caught.value.source == "engine"


def canned(answer: Callable[[httpx2.Request], httpx2.Response]) -> Homefire:
    return Homefire.over(httpx2.MockTransport(answer), URL, "k")


DELTA = b'event: delta\ndata: {"text": "a"}\n\n'
BROKEN = {
    "nothing": b"",
    "no end": DELTA,
    "done and then more": b"event: done\ndata: {}\n\n" + DELTA,
    "half an event": DELTA + b"event: done\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_stream_that_breaks_raises(name: str) -> None:
    with canned(lambda _: httpx2.Response(200, content=BROKEN[name])) as home, pytest.raises(ShuttingDown):
        list(home.ask("c1", "x"))


def test_an_error_event_is_raised_with_its_code() -> None:
    problem = EngineDied("It died.", "Again.")
    body = DELTA + b"event: error\ndata: " + json.dumps(problem.envelope()).encode() + b"\n\n"
    with canned(lambda _: httpx2.Response(200, content=body)) as home, pytest.raises(EngineDied) as caught:
        list(home.ask("c1", "x"))
    assert caught.value.envelope() == problem.envelope()


@pytest.mark.parametrize("body", [b"<html>502</html>", b"[]", b'"text"', b"null", b"", b'{"detail": "x"}', b"\xff"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_without_an_envelope(body: bytes, stream: bool) -> None:
    with canned(lambda _: httpx2.Response(502, content=body)) as home, pytest.raises(HomefireError) as caught:
        list(home.ask("c1", "x")) if stream else home.status()
    assert caught.value.code == "internal_error"


FAILURES: list[tuple[type[httpx2.TransportError], type[HomefireError] | str]] = [
    (httpx2.ConnectError, DaemonNotRunning),
    (httpx2.ReadTimeout, RequestTimeout),
    (httpx2.ConnectTimeout, RequestTimeout),
    (httpx2.ReadError, "daemon_not_running"),
    (httpx2.RemoteProtocolError, "daemon_not_running"),
]


@pytest.mark.parametrize(("failure", "leaf"), FAILURES, ids=lambda value: getattr(value, "__name__", str(value)))
@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_that_fails(failure: type[httpx2.TransportError], leaf: Any, stream: bool) -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise failure("broken")

    with canned(fail) as home, pytest.raises(HomefireError) as caught:
        list(home.ask("c1", "x")) if stream else home.status()
    assert caught.value.code == (leaf if isinstance(leaf, str) else leaf.code)
    assert caught.value.next_step


@pytest.mark.parametrize("text", [None, "", "{", "[]", "5", "null", '"url"', "{}"])
def test_no_daemon_has_announced_itself(text: str | None, tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.prepare()
    if text is not None:
        paths.address.write_text(text)
        paths.keys.write_text(text)
    with pytest.raises(DaemonNotRunning):
        find_daemon(paths)
    with pytest.raises(DaemonNotRunning):
        read_local_key(paths)
    with pytest.raises(DaemonNotRunning):
        Homefire.connect(tmp_path)


def test_connecting_finds_address_and_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(tmp_path)
    paths.prepare()
    paths.address.write_text('{"url": "http://127.0.0.1:1"}')
    paths.keys.write_text('{"local": "homefire-k"}')
    monkeypatch.setenv("HOMEFIRE_HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert (find_daemon(paths), read_local_key(paths)) == ("http://127.0.0.1:1", "homefire-k")
    with Homefire.connect() as home, pytest.raises(DaemonNotRunning):
        home.status()
