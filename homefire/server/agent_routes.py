"""Runs of agents over HTTP: begun, looked at, followed step by step, told, decided about, stopped, gone on with, removed.

Promises: a run belongs to the key that began it (the page and keys with admin are one person) and is unknown to every other one;
what is asked of an agent passes the policy as a chat does; a stream of steps can be left and taken up again where it was, says
something at least every ten seconds, and ends with `done` or `error`; it never ends the run. A yes to a call needs the scope
`tools` beside `agent`.
Does not cover: running (`agent/`), whose answer a run is (`acting.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.types import Receive, Scope, Send

from homefire.agent.order import Order
from homefire.agent.step import Asked, Called, Decided, Entry, Returned, to_json
from homefire.agent.swarm import Swarms
from homefire.dialects.strict import Closed
from homefire.errors import HomefireError, InvalidRequest, NotAsked
from homefire.server.acting import MOST_RUNS, PERSON, Acting, Place, Runs
from homefire.server.answering import Answering
from homefire.server.authority import Authority
from homefire.server.request import (
    begin_events,
    caller,
    end_events,
    principal_of,
    read_body,
    read_json,
    read_number,
    read_query,
    require_key,
    send_alive,
    send_event,
    send_json,
    send_nothing,
    until_gone,
    wants_events,
)
from homefire.server.scopes import CHAT, TOOLS
from homefire.server.work_stream import QUIET_SECONDS
from homefire.store import RunRow, StoredMessage, TimerRow

T = TypeVar("T")
SMALL_BODY = 64 * 1024
MOST_STEPS = 1000
# What of a run's row its owner sees.
SHOWN = (
    "id", "task", "state", "ending", "answer", "model", "mode", "created_at", "updated_at", "steps", "tokens", "conversation",
    "parent",
)  # fmt: skip
# Stands for a question that is stored already, until it is read (`acting.py`).
_AGAIN = "again"

Text = Annotated[str, Meta(min_length=1, max_length=1_000_000)]
Id = Annotated[str, Meta(max_length=200)]
Word = Annotated[str, Meta(min_length=1, max_length=200)]


class RunBody(Closed, kw_only=True):
    """`tools`: only these of those that are granted; `without_guards`: guards of the loop that are off; `folder`: an absolute
    path, in the place of the run's own; `parent_id` and `again` say where in the conversation."""

    task: Text | None = None
    model: Annotated[str, Meta(min_length=1, max_length=300)] | None = None
    mode: Literal["rules", "hybrid", "full"] = "full"
    tools: Annotated[tuple[Word, ...], Meta(max_length=200)] = ()
    steps: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    tokens: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    seconds: Annotated[float, Meta(gt=0, le=1e7)] | None = None
    without_guards: Annotated[tuple[Word, ...], Meta(max_length=50)] = ()
    folder: Annotated[str, Meta(max_length=4096)] = ""
    conversation: Id = ""
    parent_id: Id | UnsetType | None = UNSET
    again: Id = ""


class SayBody(Closed):
    text: Text


class DecideBody(Closed, kw_only=True):
    """About one call: yes or no, or the answer to a question of the agent."""

    call: Word
    yes: bool = True
    text: Annotated[str, Meta(max_length=100_000)] = ""


class _Nothing(Closed):
    pass


_run, _say = msgspec.json.Decoder(RunBody), msgspec.json.Decoder(SayBody)
_decide, _nothing = msgspec.json.Decoder(DecideBody), msgspec.json.Decoder(_Nothing)


class Timers(Protocol):
    """Timers that agents have set."""

    async def all(self, key: str) -> Sequence[TimerRow]:
        """A key's, the next one first."""
        ...

    async def put_away(self, key: str, id_: str) -> bool:
        """False if there is no such timer."""
        ...


@dataclass(frozen=True, slots=True)
class Agents:
    """What the routes need: the runs, their answers in conversations, the timers that agents of a key have set, soonest first."""

    runs: Runs
    acting: Acting
    timers: Timers
    swarms: Swarms | None = None


class AgentRoutes:
    """Handlers of `/homefire/v1/agent`."""

    def __init__(self, agents: Agents, authority: Authority, answering: Answering, body_limit: int) -> None:
        self._runs = agents.runs
        self._acting = agents.acting
        self._timers = agents.timers
        self._authority = authority
        self._answering = answering
        self._limit = body_limit

    async def start(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/agent/runs"""
        body = await read_json(scope, receive, self._limit, _run)
        if body.model is not None:
            self._answering.require_known(body.model)
        if body.folder:
            require_key(scope)  # it names a folder of this machine
            if not Path(body.folder).is_absolute():
                raise InvalidRequest("'folder' is not an absolute path.", "Send the whole path.", param="folder")
        place = _place(body)
        if place is not None:
            principal_of(scope).require(CHAT)
        await self._answering.admit(body.task or "", caller(scope))
        key, order = await self._whose(scope, {}), order_of(body)
        said: Sequence[StoredMessage] = ()
        if place is None:
            row = await self._acting.begin(order, key)
        else:
            row, said = await self._acting.start(order, key, principal_of(scope).owner, place)
        self._acting.hold(principal_of(scope), row.id)
        await send_json(send, {**run_json(row), "messages": said}, 201)

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/agent/runs"""
        query = read_query(scope, {"limit", "before", "key"})
        limit = int(read_number(query, "limit", 50.0, 1, MOST_RUNS))
        before = read_number(query, "before", 0.0, 0, 1e12) if "before" in query else None
        rows = await self._runs.list(await self._whose(scope, query), limit + 1, before)
        await send_json(send, {"runs": [run_json(row) for row in rows[:limit]], "more": len(rows) > limit})

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/agent/runs/{id}"""
        key = await self._whose(scope, read_query(scope, {"key"}))
        await self._send(send, key, _id(scope))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/agent/runs/{id}"""
        key = await self._whose(scope, read_query(scope, {"key"}))
        await self._runs.delete(key, _id(scope))
        await send_nothing(send)

    async def steps(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/agent/runs/{id}/steps"""
        query = read_query(scope, {"from", "limit", "key"})
        key, run = await self._whose(scope, query), _id(scope)
        first = int(read_number(query, "from", 0.0, 0, 1e15))
        limit = int(read_number(query, "limit", MOST_STEPS, 1, MOST_STEPS))
        row = await self._runs.get(key, run)
        if wants_events(scope):
            await read_body(scope, receive, SMALL_BODY)
            seen = _last_event(scope)
            first = first if seen is None else seen + 1
            await until_gone(self._follow(send, key, run, first), receive)
            return
        found = await self._runs.entries(key, run, first)
        shown = [to_json(entry) for entry in found[:limit]]
        more = {"next": shown[-1]["n"] + 1 if shown else first, "more": len(found) > limit}
        await send_json(send, {"run": run_json(row), "steps": shown, **more})

    async def say(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/agent/runs/{id}/say"""
        key, run = await self._whose(scope, read_query(scope, {"key"})), _id(scope)
        text = (await read_json(scope, receive, self._limit, _say)).text
        await self._runs.get(key, run)
        await self._answering.admit(text, caller(scope))
        await self._runs.say(key, run, text)
        await self._acting.follow(key, run)
        await self._send(send, key, run)

    async def decide(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/agent/runs/{id}/decide"""
        key, run = await self._whose(scope, read_query(scope, {"key"})), _id(scope)
        body = await read_json(scope, receive, SMALL_BODY * 8, _decide)
        asked = {each["call"]: each for each in questions(await self._runs.entries(key, run, 0))}
        if (question := asked.get(body.call)) is None:
            raise NotAsked(f"Nobody is asked about the call '{body.call[:80]}' of this run.", param="call")
        if question["approval"] and body.yes:
            principal_of(scope).require(TOOLS)
        scope["homefire.about"] = f"{run} {body.call}: {'yes' if body.yes else 'no'}"
        await self._runs.decide(key, run, body.call, body.yes, body.text)
        await self._send(send, key, run)

    async def stop(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/agent/runs/{id}/stop"""
        key, run = await self._whose(scope, read_query(scope, {"key"})), _id(scope)
        await read_json(scope, receive, SMALL_BODY, _nothing)
        await self._runs.stop(key, run)
        await self._send(send, key, run)

    async def resume(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/agent/runs/{id}/resume"""
        key, run = await self._whose(scope, read_query(scope, {"key"})), _id(scope)
        await read_json(scope, receive, SMALL_BODY, _nothing)
        await self._runs.resume(key, run)
        self._acting.hold(principal_of(scope), run)
        await self._acting.follow(key, run)
        await self._send(send, key, run)

    async def timers(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/agent/timers"""
        key = await self._whose(scope, read_query(scope, {"key"}))
        await send_json(send, {"timers": [timer_json(row) for row in await self._timers.all(key)]})

    async def put_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/agent/timers/{id}"""
        key = await self._whose(scope, read_query(scope, {"key"}))
        if not await self._timers.put_away(key, _id(scope)):
            raise InvalidRequest("There is no such timer.", "See: homefire agent timers", param="id")
        await send_nothing(send)

    async def _whose(self, scope: Scope, query: dict[str, str]) -> str:
        return await whose(self._authority, scope, query.get("key"))

    async def _send(self, send: Send, key: str, run: str) -> None:
        row = await self._runs.get(key, run)
        waiting = questions(await self._runs.entries(key, run, 0)) if row.state != "ended" else []
        await send_json(send, {**run_json(row), "questions": waiting})

    async def _follow(self, send: Send, key: str, run: str, first: int) -> None:
        await begin_events(send)
        try:
            async with contextlib.aclosing(alive(self._runs.watch(key, run, first))) as news:
                async for each in news:
                    if each is None:
                        await send_alive(send)
                    elif isinstance(each, str):
                        await send_event(send, "piece", {"text": each})
                    else:
                        await send_event(send, "step", to_json(each), each.n)
            await send_event(send, "done", run_json(await self._runs.get(key, run)))
        except HomefireError as problem:
            await send_event(send, "error", problem.envelope())
        await end_events(send)


async def alive(news: AsyncIterator[T]) -> AsyncGenerator[T | None, None]:
    """The same, with None wherever nothing came for ten seconds."""
    upcoming: asyncio.Future[T | None] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(anext(news, None))
            await asyncio.wait((upcoming,), timeout=QUIET_SECONDS)
            if not upcoming.done():
                yield None
                continue
            if (found := upcoming.result()) is None:
                return
            upcoming = None
            yield found
    finally:
        if upcoming is not None and not upcoming.done():
            upcoming.cancel()
            await asyncio.wait((upcoming,))


async def whose(authority: Authority, scope: Scope, name: str | None) -> str:
    """Whose runs or grants a request is about: its own, or those of a key that it names, which needs admin. Raises UnknownKey."""
    if name is None:
        return principal_of(scope).owner or PERSON
    require_key(scope)
    return await authority.acts_as(name) or PERSON


def order_of(body: RunBody) -> Order:
    """What a body orders."""
    given = {"steps": body.steps, "tokens": body.tokens, "seconds": body.seconds}
    budget = {name: float(value) for name, value in given.items() if value is not None}
    guards = dict.fromkeys(body.without_guards, False)
    return Order(
        body.task or _AGAIN, body.model or "", body.mode, body.tools, budget, guards, body.folder, body.conversation
    )


def run_json(row: RunRow) -> dict[str, Any]:
    """A run as it goes over the wire."""
    return {name: getattr(row, name) for name in SHOWN}


def timer_json(row: TimerRow) -> dict[str, Any]:
    """A timer as it goes over the wire."""
    return {"id": row.id, "text": row.label, "at": row.due_at, "state": row.state, "run": row.run}


def questions(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """What a run waits for a person with: effects to say yes or no to, and questions of the agent (`approval` is "")."""
    called: dict[str, Called] = {}
    waiting: dict[str, dict[str, Any]] = {}
    for entry in entries:
        match entry.step:
            case Called():
                called[entry.step.call] = entry.step
            case Asked() as asked:
                call = called.get(asked.call, Called(asked.call, "", ""))
                waiting[asked.call] = {**asdict(asked), "tool": call.tool, "arguments": call.arguments, "at": entry.at}
            case Decided() | Returned():
                waiting.pop(entry.step.call, None)
            case _:
                pass
    return list(waiting.values())


def _place(body: RunBody) -> Place | None:
    if not body.conversation and (body.again or body.parent_id is not UNSET):
        raise InvalidRequest("'again' and 'parent_id' need a 'conversation'.", param="conversation")
    if (body.task is None) != bool(body.again):
        raise InvalidRequest("Send a 'task', or 'again' with an answer of the conversation.", param="task")
    if not body.conversation:
        return None
    parent = None if body.parent_id is UNSET else body.parent_id
    return Place(body.conversation, parent, body.again, latest=body.parent_id is UNSET)


def _last_event(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"last-event-id" and value.isdigit() and len(value) < 16:
            return int(value)
    return None


def _id(scope: Scope) -> str:
    return str(scope["path_params"]["id"])
