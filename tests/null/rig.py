"""The real ASGI application in this process: a real store in a folder, null engines, and a caller that sees every message.

Promises: nothing near is faked but the engines; a `Call` can leave in the middle, as a browser does.
Does not cover: sockets, uvicorn, a real model (`tests/process`).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from homefire.engines.builds import Builds
from homefire.engines.engine import Engine
from homefire.engines.null import Null
from homefire.errors import SourceUnreachable
from homefire.hardware import Machine
from homefire.hardware.toolchain import Look
from homefire.knowledge.knowledge import Knowledge
from homefire.memory.memory import Memory
from homefire.models import catalogue
from homefire.models.adapters import Adapters
from homefire.models.advice import Advice, KeptInStore
from homefire.models.library import Library, Roles
from homefire.models.origin import Credential, Http, Page, Stream
from homefire.models.pulls import Pulls
from homefire.models.sources import Places
from homefire.models.wheels import Indexes
from homefire.models.workshop import Workshop
from homefire.paths import Paths, base_of
from homefire.prompts import Prompts
from homefire.residency import Keeper, KeeperRules
from homefire.residency.builder import Around, Builder, Tried
from homefire.residency.far import FarEngines
from homefire.residency.kept import Book
from homefire.residency.kept_in_store import KeptInStore as KeeperKept
from homefire.residency.tuned import Tuned
from homefire.residency.tuner import Tuner
from homefire.safety import Guard, Policy, load_rules
from homefire.server import Authority, Rooms, build_app
from homefire.server.agent_routes import Agents
from homefire.server.asking_routes import Reading
from homefire.server.gate import Gate
from homefire.server.holds import Holds
from homefire.server.metrics_routes import Watched
from homefire.server.model_routes import ModelRooms
from homefire.server.reach import Reach
from homefire.server.system_routes import Identity
from homefire.server.tool_routes import ToolRooms
from homefire.server.tuning_routes import TuningRooms
from homefire.store import Audit, Blobs, Conversations, Engines, Keys, PromptRows, Store

T = TypeVar("T")
HOST = "127.0.0.1:7373"
AT = "/homefire/v1"
Headers = list[tuple[str, str]]


# Fixed, so that what fits does not depend on where the tests run.
MACHINE = Machine("Linux 6", "a processor", 4, 16 << 30, 12 << 30)


class Unplugged:
    """An `Http` that reaches nothing."""

    def open(
        self, url: str, headers: Mapping[str, str], credential: Credential | None = None
    ) -> AbstractAsyncContextManager[Stream]:
        raise SourceUnreachable("There is no network.")

    async def get(self, url: str, accept: str, credential: Credential | None = None) -> Page:
        raise SourceUnreachable("There is no network.")


@dataclass
class Reply:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code; holds the form of the envelope as well."""
        found = self.json()
        assert list(found) == ["error"]
        assert set(found["error"]) == {"message", "type", "code", "param", "next_step", "source"}
        assert found["error"]["next_step"]
        return str(found["error"]["code"])

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The named events of a stream."""
        return [event_of(block) for block in self.body.decode().split("\n\n") if block]

    def last(self, name: str) -> Any:
        """The data of the last event, which has this name."""
        assert self.events[-1][0] == name, self.events[-1]
        return self.events[-1][1]


def event_of(block: str) -> tuple[str, Any]:
    """One server-sent event of Homefire's own streams."""
    first, second = block.split("\n")
    assert first.startswith("event: ") and second.startswith("data: ")
    return first[7:], json.loads(second[6:])


class Call:
    """One request under way. `leave` closes the connection; `until` waits for something to be in the body."""

    def __init__(
        self, app: ASGIApp, method: str, target: str, headers: Headers, *, body: Iterable[bytes], open_body: bool
    ) -> None:
        path, _, query = target.partition("?")
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        pieces = list(body) or [b""]
        for at, piece in enumerate(pieces):
            more = open_body or at < len(pieces) - 1
            self._incoming.put_nowait({"type": "http.request", "body": piece, "more_body": more})
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.complete = False
        self.ended = False
        self._news = asyncio.Condition()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 7373),
        }
        self.task = asyncio.ensure_future(self._run(app, scope))

    async def _run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._incoming.get, self._send)
        finally:
            async with self._news:
                self.ended = True
                self._news.notify_all()

    async def _send(self, message: Message) -> None:
        async with self._news:
            if message["type"] == "http.response.start":
                assert not self.status, "an answer begins once"
                self.status = message["status"]
                self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                assert self.status and not self.complete
                self.body += message.get("body", b"")
                self.complete = not message.get("more_body", False)
            self._news.notify_all()
        await asyncio.sleep(0)

    async def until(self, text: bytes) -> None:
        """Waits until the body so far holds `text`."""
        async with asyncio.timeout(5), self._news:
            await self._news.wait_for(lambda: text in self.body or self.ended)
        assert text in self.body, self.body

    async def until_count(self, text: bytes, count: int) -> None:
        """Waits until the body so far holds `text` so many times."""
        async with asyncio.timeout(5), self._news:
            await self._news.wait_for(lambda: self.body.count(text) >= count or self.ended)
        assert self.body.count(text) >= count, self.body

    async def begun(self) -> None:
        """Waits until the answer has begun, or there will be none."""
        async with asyncio.timeout(5), self._news:
            await self._news.wait_for(lambda: bool(self.status) or self.ended)

    def leave(self) -> None:
        """The client closes the connection."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def task_done(self) -> None:
        """Waits until the application has returned."""
        async with asyncio.timeout(5):
            await asyncio.wait((self.task,))

    async def reply(self) -> Reply:
        """Waits for the end."""
        async with asyncio.timeout(10):
            await self.task
        return Reply(self.status, self.headers, self.body)


@dataclass
class House:
    """The rooms, and how to call them. `engines` are all that were started, oldest first."""

    home: Path
    app: ASGIApp
    rooms: Rooms
    store: Store
    conversations: Conversations
    keeper: Keeper
    authority: Authority
    key: str
    engines: list[Null] = field(default_factory=list)

    def start(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: Headers | None = None,
        *,
        key: bool = True,
        open_body: bool = False,
    ) -> Call:
        """Begins a request with the Host and the key that belong to it, unless they are given."""
        sent = list(headers or [])
        names = {name.lower() for name, _ in sent}
        if "host" not in names:
            sent.insert(0, ("host", HOST))
        if key and "authorization" not in names:
            sent.append(("authorization", f"Bearer {self.key}"))
        if isinstance(body, list) and all(isinstance(piece, bytes) for piece in body):
            pieces = body
        else:
            pieces = [] if body is None else [body if isinstance(body, bytes) else json.dumps(body).encode()]
        return Call(self.app, method, target, sent, body=pieces, open_body=open_body)

    async def call(
        self, method: str, target: str, body: Any = None, headers: Headers | None = None, *, key: bool = True
    ) -> Reply:
        """A request and its whole answer."""
        return await self.start(method, target, body, headers, key=key).reply()

    async def conversation(self, **fields: Any) -> str:
        """A new conversation's id."""
        made = await self.call("POST", f"{AT}/conversations", fields)
        assert made.status == 201, made.body
        return str(made.json()["id"])


@asynccontextmanager
async def house(
    home: Path,
    *,
    delay: float = 0.0,
    fail_after: int | None = None,
    body_limit: int = 1 << 20,
    queue: int = 8,
    http: Http | None = None,
    reach: Reach = Reach(tried=True),  # noqa: B008
    look: Look = Look(lambda program: None),  # noqa: B008
    machine: Machine = MACHINE,
    knowledge: Callable[[Store, Paths], Knowledge] | None = None,
    reading: Reading | None = None,
    agents: Callable[[Store, Conversations, Authority], tuple[Agents, ToolRooms]] | None = None,
) -> AsyncIterator[House]:
    """The application on `home`. `delay` and `fail_after` are the null engine's, `http` is the network for pulls (none), `reach`
    what is found of it; `look` finds the tools for builds (none), `machine` is the one that routes tell of;
    `knowledge` makes the room of that name (none), `reading` the model that answers questions about it; `agents` makes runs and
    tools (none)."""
    paths = Paths(home)
    paths.prepare()
    store = Store(paths.database)
    store.open()
    engines: list[Null] = []

    class Noted(Null):
        async def start(self) -> None:
            await super().start()
            engines.append(self)

    def make_engine(name: str) -> Engine:
        base = base_of(name)
        holds.check(base)
        kind = models.get(base).facts.kind
        return Noted(name, delay, fail_after, kind, [str(each.digest) for each in Adapters(models).of_engine(name)])

    blobs = Blobs(paths)
    models = Library(store, paths, blobs)
    await models.open()
    authority = Authority(Keys(store), paths, "homefire_7373", Audit(store))
    await authority.open()
    key = json.loads(paths.keys.read_text("utf-8"))["local"]
    await (roles := Roles(store, models)).open()
    known = catalogue.load()
    pulls = Pulls(models, known, http or Unplugged(), Places(ollama=()), Indexes(()))
    await pulls.open()
    await (advice := Advice(models, known, KeptInStore(store), lambda: MACHINE)).open()
    holds = Holds()

    async def try_reach() -> Reach:
        return reach

    shelf = ModelRooms(models, roles, pulls, Workshop(models, paths, blobs), advice, holds, try_reach, lambda: machine)
    keeper = Keeper(make_engine, KeeperRules(5.0, queue), book=Book(KeeperKept(store)))
    await keeper.open()
    conversations = Conversations(store)
    identity = Identity(f"http://{HOST}", home, lambda: roles.roles()["main"], time.time(), list)
    hosts = tuple(f"{name}:7373" for name in ("127.0.0.1", "localhost", "[::1]"))
    await (far := FarEngines(Engines(store), paths.secrets)).open()
    await (tuned := Tuned(store, models, lambda: "a build", lambda: MACHINE)).open()
    tuning = TuningRooms(Tuner(keeper, models, tuned, usual=lambda: 3, cores=lambda: 4), tuned)
    builder = _builder(paths, make_engine, look)
    room = knowledge(store, paths) if knowledge is not None else None
    if room is not None:
        await room.open()
    acts, tools = agents(store, conversations, authority) if agents is not None else (None, None)
    if acts is not None:
        await acts.acting.open()
    watched = Watched()
    gate = Gate(Guard(Policy(load_rules(None))), watched.metrics.count)
    prompts = Prompts(PromptRows(store))
    await prompts.open()
    rooms = Rooms(
        identity,
        authority,
        keeper,
        shelf,
        conversations,
        hosts,
        body_limit,
        far=far,
        tuning=tuning,
        watched=watched,
        gate=gate,
        builder=builder,
        knowledge=room,
        prompts=prompts,
        memory=Memory(store),
        reading=reading,
        agents=acts,
        tools=tools,
    )
    try:
        yield House(home, build_app(rooms), rooms, store, conversations, keeper, authority, key, engines)
    finally:
        if acts is not None:
            await acts.acting.close()
        if room is not None:
            await room.close()
        await builder.close()
        await pulls.close()
        await far.close()
        await keeper.close()
        store.close()


class NoPackages:
    """A `Fetch` without a network."""

    async def source(self, name: str, version: str, sha256: str, folder: Path, progress: Callable[[Any], None]) -> Path:
        raise SourceUnreachable("There is no network.")

    async def tool(self, name: str, folder: Path, progress: Callable[[Any], None]) -> Path:
        raise SourceUnreachable("There is no network.")


def _builder(paths: Paths, make_engine: Callable[[str], Engine], look: Look) -> Builder:
    async def room(need: int) -> bool:
        return True

    async def switched(why: str) -> None:
        pass

    def to_try() -> list[Tried]:
        return [Tried("pilot", "chat", 1)]

    around = Around(NoPackages(), lambda name, program: make_engine(name), to_try, room, switched, paths.build_log)
    return Builder(Builds(paths.engine_builds, "this processor"), around, look)


def at_home(home: Path, work: Callable[[House], Coroutine[Any, Any, T]], **options: Any) -> T:
    """Runs `work` in a house of its own."""

    async def main() -> T:
        async with house(home, **options) as found:
            return await work(found)

    return asyncio.run(main())
