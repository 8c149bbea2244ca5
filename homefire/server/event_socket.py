"""The WebSocket at /homefire/v1/events: typed events of this daemon, and chats whose pieces come as events.

    client                                     daemon
    (a key in a header, the page's cookie, or) ──> "ready"
    {"authorise": KEY} within 5 s
    {"subscribe": ["decisions", ...]}          ──> "subscribed", then {"event": ..., "data": ...} as they happen
    {"chat": BODY, "id": "x"}                  ──> "delta"... "done", each with that id
    {"cancel": "x"}                            ──> "cancelled"; the slot is free

Promises: the door's guard stands before it; each message is authorised anew, by the row of the route that means the same; what is
wrong with a message is one `error` event with a stable code, and the socket stays, unless the key is no good; a key that ends
takes its sockets with it (4401) within a second; a client that does not read loses events, with a notice, never tokens, and
holds up nobody else.
Does not cover: framing, pings and sizes of what is not whole yet (`upgrade.py`), what the events mean (their routes).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.types import Message, Receive, Scope, Send

from homefire.dialects.strict import Closed, decode
from homefire.errors import (
    BodyTooLarge,
    HomefireError,
    InternalError,
    InvalidRequest,
    MissingKey,
    Overloaded,
    RateLimited,
)
from homefire.messages import Event, Finish, ReasoningDelta, TextDelta, ToolCallDelta, UsageReport
from homefire.server.authority import Authority
from homefire.server.chatting import Chatting
from homefire.server.inside import Inside
from homefire.server.outbox import Outbox
from homefire.server.scopes import ANYBODY, Principal, right_of_message

log = logging.getLogger(__name__)

PATH = "/homefire/v1/events"
SMALL_MESSAGE = 64 * 1024
# Until a key must have come, and until a client that is told to go must have heard it.
KEY_SECONDS, LAST_WORD_SECONDS = 5.0, 0.5
MOST_CHATS = 16
PROGRESS_SECONDS = 1.0
NO_RIGHT, TOO_MUCH, DEFECT, GOING = 4401, 4429, 1011, 1001
ENDED = ("done", "failed", "cancelled", "ended", "interrupted")

Feed = Literal["decisions", "residency", "sensors", "progress", "ingest", "runs", "tokens"]
Id = Annotated[str, Meta(max_length=200)]


class Said(Closed, kw_only=True):
    """What a client says: exactly one of the first five."""

    authorise: Annotated[str, Meta(max_length=500)] | msgspec.UnsetType = msgspec.UNSET
    subscribe: Annotated[list[Feed], Meta(max_length=20)] | msgspec.UnsetType = msgspec.UNSET
    unsubscribe: Annotated[list[Feed], Meta(max_length=20)] | msgspec.UnsetType = msgspec.UNSET
    chat: msgspec.Raw = msgspec.Raw(b"")
    cancel: Id | msgspec.UnsetType = msgspec.UNSET
    id: Id = ""

    @property
    def verb(self) -> str:
        """Which one it is. Raises InvalidRequest for none and for several."""
        unset = msgspec.UNSET
        found = [
            each for each in ("authorise", "subscribe", "unsubscribe", "cancel") if getattr(self, each) is not unset
        ]
        found += ["chat"] if bytes(self.chat) else []
        if len(found) != 1:
            raise InvalidRequest("A message has one of authorise, subscribe, unsubscribe, chat and cancel.")
        return found[0]


_said = msgspec.json.Decoder(Said)
_encode = msgspec.json.Encoder(enc_hook=str).encode


class _Gone(Exception):
    """The client closed the socket."""


@dataclass(frozen=True, slots=True)
class _Close:
    """Why a socket ends from this side."""

    code: int
    problem: HomefireError


class EventSocket:
    """The endpoint. `path` is how it is counted."""

    path = PATH

    def __init__(self, authority: Authority, inside: Inside, chatting: Chatting) -> None:
        self.authority = authority
        self.inside = inside
        self.chatting = chatting

    async def __call__(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        """From the handshake, which the guard has let pass, to the end. Raises BadKey and RateLimited before it accepts."""
        scope["endpoint"] = self
        try:
            principal: Principal | None = self.authority.authorise(headers, ANYBODY)
        except MissingKey:
            principal = None
        client = _Client(self, scope, receive, send, headers)
        if principal is not None:
            await client.run(principal, accepted=False)
            return
        await send({"type": "websocket.accept"})
        try:
            principal = await client.introduced()
            await client.run(principal, accepted=True)
        except _Gone:
            return
        except HomefireError as problem:
            self.refused(problem, scope)
            await client.last_word(_Close(TOO_MUCH if isinstance(problem, RateLimited) else NO_RIGHT, problem))

    def refused(self, problem: HomefireError, scope: Scope) -> None:
        """Counts a refusal, as the door does."""
        if problem.status in (401, 403, 429):
            self.authority.refused(problem.code, (scope.get("client") or ("",))[0])


class _Client:
    """One open socket."""

    def __init__(
        self, socket: EventSocket, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]
    ) -> None:
        self._socket = socket
        self._scope = scope
        self._receive = receive
        self._send = send
        self._headers = headers
        self._outbox = Outbox()
        self._feeds: dict[str, asyncio.Task[None]] = {}
        self._chats: dict[str, asyncio.Task[None]] = {}
        self._tokens = False

    async def introduced(self) -> Principal:
        """Who it is, by its first message. Raises MissingKey, BadKey, InvalidRequest or _Gone."""
        try:
            async with asyncio.timeout(KEY_SECONDS):
                said = self._read(await self._receive_text())
        except TimeoutError:
            raise MissingKey(f"No key came within {KEY_SECONDS:g} s.") from None
        if said.verb != "authorise":
            raise MissingKey("The first message must bring a key.", 'Send {"authorise": KEY} first.')
        self._headers = {"authorization": f"Bearer {said.authorise}"}
        return self._socket.authority.authorise(self._headers, ANYBODY)

    async def run(self, principal: Principal, *, accepted: bool) -> None:
        """Serves it until either side has had enough. Raises RateLimited before anything is accepted."""
        ended: asyncio.Future[HomefireError] = asyncio.get_running_loop().create_future()

        def end(problem: HomefireError) -> None:
            if not ended.done():
                ended.set_result(problem)

        close: _Close | None = None
        with self._socket.authority.admitted(principal, end):
            if not accepted:
                await self._send({"type": "websocket.accept"})
            if "homefire.limit" in self._scope.get("extensions", {}):
                await self._send({"type": "homefire.limit", "bytes": self._socket.chatting.limit + SMALL_MESSAGE})
            self._reply("ready", {"name": principal.name, "scopes": sorted(principal.scopes)})
            both: list[asyncio.Task[_Close | None]] = [
                asyncio.ensure_future(self._listen()),
                asyncio.ensure_future(self._speak()),
            ]
            try:
                waited: list[asyncio.Future[Any]] = [*both, ended]
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                close = _Close(NO_RIGHT, ended.result()) if ended.done() else _why(both)
            finally:
                await _end_all([*both, *self._feeds.values(), *self._chats.values()])
        if close is not None:
            await self.last_word(close)

    async def last_word(self, close: _Close) -> None:
        """Says why, and closes; a client that does not read is not waited for."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(LAST_WORD_SECONDS):
                await self._send({"type": "websocket.send", "text": _event("error", close.problem.envelope())})
                await self._send({"type": "websocket.close", "code": close.code, "reason": close.problem.code})

    # -- what comes in

    async def _listen(self) -> _Close | None:
        while True:
            try:
                await self._outbox.room()
                text = await self._receive_text()
            except _Gone:
                return None
            except InvalidRequest as problem:
                self._complain(problem)
                continue
            given = ""
            try:
                said = self._read(text)
                given = said.id
                await self._handle(said)
            except HomefireError as problem:
                self._socket.refused(problem, self._scope)
                if problem.status == 401:
                    return _Close(NO_RIGHT, problem)
                self._complain(problem, given)

    def _read(self, text: str) -> Said:
        said = decode(_said, text.encode())
        if len(text) > SMALL_MESSAGE and said.verb != "chat":
            raise BodyTooLarge("A message that is no chat may have 64 KiB.", "Send less.")
        return said

    async def _handle(self, said: Said) -> None:
        """Does what one message asks. Raises HomefireError."""
        verb = said.verb
        wanted: list[str] = list(said.subscribe) if verb == "subscribe" else [verb]  # type: ignore[arg-type]
        for each in wanted or [verb]:
            principal = self._socket.authority.authorise(self._headers, right_of_message(each).needs)
        if verb == "authorise":
            raise InvalidRequest("This socket has its key already.", "Open another one for another key.")
        if verb == "subscribe":
            for name in wanted:
                await self._subscribe(name, principal)
            self._reply("subscribed", {"to": self._subscribed()})
        elif verb == "unsubscribe":
            for name in said.unsubscribe:  # type: ignore[union-attr]
                self._tokens = self._tokens and name != "tokens"
                if (task := self._feeds.pop(name, None)) is not None:
                    task.cancel()
            self._reply("subscribed", {"to": self._subscribed()})
        elif verb == "chat":
            self._begin_chat(said, principal)
        elif (chat := self._chats.get(str(said.cancel))) is not None:
            chat.cancel()
        else:
            raise InvalidRequest(f"No chat '{str(said.cancel)[:80]}' is under way here.", param="cancel")

    def _subscribed(self) -> list[str]:
        return sorted([*self._feeds, *(["tokens"] if self._tokens else [])])

    # -- what goes out

    async def _speak(self) -> _Close | None:
        with contextlib.suppress(OSError):  # how ASGI says that the client is gone
            while True:
                text, dropped = await self._outbox.take()
                if dropped:
                    notice = {
                        "dropped": dropped,
                        "text": "This client reads too slowly; the oldest events were left out.",
                    }
                    await self._send({"type": "websocket.send", "text": _event("notice", notice)})
                await self._send({"type": "websocket.send", "text": text})
        return None

    def _reply(self, name: str, data: Any, id: str = "") -> None:
        self._outbox.say(_event(name, data, id))

    def _complain(self, problem: HomefireError, id: str = "") -> None:
        self._reply("error", problem.envelope(), id)

    async def _subscribe(self, name: str, principal: Principal) -> None:
        """Returns once nothing that happens from now on is missed."""
        if name == "tokens":
            self._tokens = True
        elif name not in self._feeds:
            begun = asyncio.Event()
            polled = POLLED.get(name)
            work = self._polled(name, polled, principal) if polled else self._stream(name, principal, begun.set)
            task = self._feeds[name] = asyncio.ensure_future(self._fed(name, work))
            task.add_done_callback(lambda done: self._forget(name, done, begun))
            if polled is None:
                await begun.wait()

    def _forget(self, name: str, done: asyncio.Task[None], begun: asyncio.Event) -> None:
        if self._feeds.get(name) is done:
            self._feeds.pop(name)
        begun.set()  # one that failed is not waited for

    async def _fed(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except HomefireError as problem:
            self._complain(problem)
        except Exception:  # a defect of one feed must not take the others with it
            log.exception("defect in the feed '%s' of a WebSocket", name)
            self._complain(InternalError(f"The events '{name}' ended because of a defect."))

    async def _stream(self, name: str, principal: Principal, begun: Callable[[], None]) -> None:
        """Hands on what the route's own stream says."""
        path, wanted = STREAMS[name]
        async with contextlib.aclosing(self._socket.inside.events(principal, "GET", path, begun=begun)) as events:
            async for event, data in events:
                if event == wanted:
                    self._outbox.tell(f'{{"event":"{event}","data":{data.decode()}}}')

    async def _polled(self, event: str, polled: tuple[str, str, str], principal: Principal) -> None:
        """Each piece of work of a list that runs, and whatever changes."""
        path, rows_at, key = polled
        seen: dict[Any, Any] | None = None
        while True:
            found = await self._socket.inside.call(principal, "GET", path)
            rows = {row[key]: row for row in found[rows_at]}
            for number, row in rows.items():
                if (row["state"] not in ENDED) if seen is None else (seen.get(number) != row):
                    self._outbox.tell(_event(event, row))
            seen = rows
            await asyncio.sleep(PROGRESS_SECONDS)

    # -- chats

    def _begin_chat(self, said: Said, principal: Principal) -> None:
        if said.id in self._chats:
            raise InvalidRequest(f"A chat '{said.id[:80]}' is under way here already.", param="id")
        if len(self._chats) >= MOST_CHATS:
            raise Overloaded(f"This socket has {MOST_CHATS} chats under way.", "Wait for one, or cancel one.")
        task = self._chats[said.id] = asyncio.ensure_future(self._chat(said.id, bytes(said.chat), principal))
        task.add_done_callback(lambda _: self._chats.pop(said.id, None))

    async def _chat(self, id: str, body: bytes, principal: Principal) -> None:
        own = asyncio.current_task()
        assert own is not None
        try:
            with self._socket.authority.admitted(principal, lambda problem: _cancel(own)):
                async with self._socket.chatting.answer(principal, body) as (events, headers):
                    gathered = Gathered()
                    async for event in events:
                        gathered.add(event)
                        if self._tokens and (shape := shape_of(event)) is not None:
                            await self._outbox.room()
                            self._reply(*shape, id)
            self._reply("done", {**gathered.whole(), "headers": headers}, id)
        except asyncio.CancelledError:
            self._reply("cancelled", {}, id)
            raise
        except HomefireError as problem:
            self._socket.refused(problem, self._scope)
            self._complain(problem, id)
        except Exception:  # a defect in one answer must not take the socket with it
            log.exception("defect in a chat of a WebSocket")
            self._complain(InternalError("A defect in Homefire."), id)

    async def _receive_text(self) -> str:
        message: Message = await self._receive()
        while message["type"] == "websocket.connect":
            message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise _Gone
        if (text := message.get("text")) is None:
            raise InvalidRequest("This WebSocket takes text.", "Send JSON in text messages.")
        return str(text)


# Subscription -> the route whose stream it is, and the name of its events there.
STREAMS = {
    "decisions": ("/homefire/v1/events", "decision"),
    "residency": ("/homefire/v1/events", "residency"),
    "sensors": ("/homefire/v1/sensors/watch", "sensors"),
}


# Subscription -> the route whose list is looked at every second, the list in it, and what tells its rows apart.
POLLED = {
    "progress": ("/homefire/v1/downloads", "downloads", "id"),
    "ingest": ("/homefire/v1/knowledge/jobs", "jobs", "collection"),
    "runs": ("/homefire/v1/agent/runs", "runs", "id"),
}


class Gathered:
    """A whole answer, from its events."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._reason: str | None = None
        self._usage: dict[str, Any] | None = None

    def add(self, event: Event) -> None:
        """The next event."""
        match event:
            case TextDelta():
                self._text.append(event.text)
            case ReasoningDelta():
                self._reasoning.append(event.text)
            case ToolCallDelta():
                call = self._calls.setdefault(event.index, {"id": event.id, "name": event.name, "arguments": ""})
                call["arguments"] += event.arguments
            case Finish():
                self._reason = event.reason
            case UsageReport():
                self._usage = asdict(event.usage)

    def whole(self) -> dict[str, Any]:
        """The data of `done`."""
        return {
            "text": "".join(self._text),
            "reasoning": "".join(self._reasoning),
            "tool_calls": [call for _, call in sorted(self._calls.items())],
            "finish_reason": self._reason,
            "usage": self._usage,
        }


def shape_of(event: Event) -> tuple[str, dict[str, Any]] | None:
    """A piece of an answer as an event; None for what only `done` tells."""
    match event:
        case TextDelta():
            return "delta", {"text": event.text}
        case ReasoningDelta():
            return "reasoning", {"text": event.text}
        case ToolCallDelta():
            return "tool_call", asdict(event)
    return None


def _event(name: str, data: Any, id: str = "") -> str:
    named = {"event": name, "id": id, "data": data} if id else {"event": name, "data": data}
    return _encode(named).decode()


def _why(both: list[asyncio.Task[_Close | None]]) -> _Close | None:
    """How the two tasks of a socket ended; None if its client left."""
    for task in both:
        if task.done():
            if (defect := task.exception()) is not None:
                log.error("defect in a WebSocket", exc_info=defect)
                return _Close(DEFECT, InternalError(f"A defect in Homefire: {type(defect).__name__}."))
            return task.result()
    return None


def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()


async def _end_all(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
