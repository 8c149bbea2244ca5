"""Recursive reading over HTTP: a question over a whole collection, one text of it by its handle, or a file of this machine.

Promises: the question passes the policy as a chat does, each part as text of a file; a file needs admin, a collection the scopes
`knowledge` and `chat`; the role `rlm` reads, else `main`; a client that leaves stops the model.
Does not cover: the reading (`agent/rlm.py`).
"""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.agent.rlm import Leaf, Limits, Reader, Said, Task
from homefire.agent.rlm_leaves import TOKENS, ModelLeaf
from homefire.agent.rlm_plan import LARGEST, SMALLEST, Kind, kind_of, plan_for
from homefire.dialects.strict import Closed
from homefire.errors import CannotIngest, InvalidRequest, PackageMissing
from homefire.knowledge.handles import Handle
from homefire.knowledge.knowledge import Knowledge
from homefire.knowledge.needs import Screen
from homefire.knowledge.opening import CollectionSources
from homefire.server.answering import Answering
from homefire.server.asking_routes import Reading, Screened
from homefire.server.gate import Gate
from homefire.server.request import caller, principal_of, read_json, require_key, send_json, until_gone
from homefire.server.scopes import CHAT

STAND_IN = "pilot"


class ReadBody(Closed, kw_only=True):
    """Where to read: one of `collection`, `handle` (kb:...), `path`. `kind`: by the question's words if it is missing. `error`:
    the share of wrong leaves that was measured of the model, for votes. `chunk` in bytes. `all`: no early end."""

    question: Annotated[str, Meta(min_length=1, max_length=4000)]
    collection: str = ""
    handle: str = ""
    path: str = ""
    kind: Kind | None = None
    model: str = ""
    calls: Annotated[int, Meta(ge=1, le=1_000_000)] = 2000
    tokens: Annotated[int, Meta(ge=0)] = 0
    seconds: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    slots: Annotated[int, Meta(ge=1, le=64)] = 2
    error: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    chunk: Annotated[int, Meta(ge=SMALLEST, le=LARGEST)] = LARGEST
    all: bool = False


_read = msgspec.json.Decoder(ReadBody)


class ReadRoutes:
    """The handler of `/homefire/v1/read`. `words` gives Homefire's prompts, `roles` which model has which role."""

    def __init__(
        self,
        room: Knowledge | None,
        reading: Reading | None,
        answering: Answering,
        *,
        words: Callable[[str], str],
        roles: Callable[[], Mapping[str, str]],
        gate: Gate | None,
    ) -> None:
        self._room, self._reading, self._answering = room, reading, answering
        self._words, self._roles = words, roles
        self._screen = None if gate is None else Screened(gate.guard)

    async def read(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/read"""
        principal_of(scope).require(CHAT)
        if self._reading is None:
            raise PackageMissing("There is no model that reads.")
        body = await read_json(scope, receive, 65_536, _read)
        if body.path:
            require_key(scope)
        if body.model:
            self._answering.require_known(body.model)
        who = caller(scope)
        await self._answering.admit(body.question, who)
        complete = self._reading(who, body.model or self._reader())

        async def work() -> None:
            texts = await self._texts(body)
            kind = body.kind or kind_of(body.question)
            window, size = await complete.window(), sum(len(data) for _, data in texts)
            plan = plan_for(kind, window, TOKENS[kind], 1 + size // body.chunk, error=body.error, most=body.chunk)
            leaf = _Guarded(ModelLeaf(complete, self._words), self._screen)
            limits = Limits(body.calls, body.tokens, body.seconds, body.slots)
            found = await Reader(leaf, limits, stop_early=not body.all).read(body.question, texts, plan)
            about = {"bytes": size, "chunk": plan.chunk, "lead": plan.lead, "withheld": leaf.withheld}
            await send_json(send, {**found.as_data(), **about})

        await until_gone(work(), receive)

    def _reader(self) -> str:
        """The model of the role rlm, if it has one of its own; "": of the role main."""
        found = self._roles().get("rlm", "")
        return "" if found == STAND_IN else found

    async def _texts(self, body: ReadBody) -> list[tuple[str, bytes | memoryview]]:
        if sum(map(bool, (body.collection, body.handle, body.path))) != 1:
            raise InvalidRequest("Name one of: collection, handle, path.", "Say where to read.", param="collection")
        if body.path:
            return [(body.path, await asyncio.to_thread(_mapped, Path(body.path)))]
        if self._room is None:
            raise PackageMissing("Collections need the packages of the extra 'knowledge'.")
        sources, handle = CollectionSources(self._room), Handle.of(body.handle) if body.handle else None
        texts = await sources.gather(body.collection or (handle.room if handle else "").removeprefix("kb:"))
        if handle is None:
            return list(texts)
        data = memoryview(sources.open(handle).data)
        return [(body.handle, data[handle.start : handle.end or len(data)])]


class _Guarded:
    """A leaf that sees what the policy lets through."""

    def __init__(self, leaf: Leaf, screen: Screen | None) -> None:
        self._leaf, self._screen = leaf, screen
        self.withheld = 0

    async def __call__(self, task: Task, question: str, text: str, attempt: int) -> Said:
        shown = text if self._screen is None else await self._screen.passage(text)
        if shown is None:
            self.withheld += 1
            return Said(())
        return await self._leaf(task, question, shown, attempt)


def _mapped(file: Path) -> bytes | memoryview:
    """A file's bytes, through the system's page cache. Raises CannotIngest."""
    try:
        if not file.is_absolute() or not file.is_file():
            raise CannotIngest(f"'{file}' is not a file, or not an absolute path.", param="path")
        with file.open("rb") as opened:
            if not opened.seek(0, 2):
                return b""
            found = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as problem:
        raise CannotIngest(f"'{file}' cannot be read: {problem}.", param="path") from None
    if b"\0" in bytes(found[:65_536]):
        raise CannotIngest(f"'{file}' is no text.", "Ingest it: homefire ingest FILE, then read the collection.")
    return found
