"""Swarms of agents over HTTP: begun from the files of a spec, looked at, followed, stopped, gone on with, removed.

Promises: as of runs (`agent_routes.py`): a swarm belongs to the key that began it, all that its agents are told passes
the policy, a swarm of a key ends with that key's right. What an agent asks a person is decided about by its run.
Does not cover: carrying it out (`agent/swarm.py`).
"""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.agent import spec
from homefire.agent.step import to_json
from homefire.agent.swarm import Swarms, View
from homefire.dialects.strict import Closed
from homefire.errors import HomefireError, InvalidRequest, UnknownSwarm
from homefire.server.acting import Acting
from homefire.server.agent_routes import SMALL_BODY, Agents, alive, run_json, whose
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
    send_alive,
    send_event,
    send_json,
    send_nothing,
    until_gone,
)

MOST_LISTED = 200


class SwarmBody(Closed, kw_only=True):
    """`files`: the spec, a file's name to its text; `task`: what all agents are given."""

    files: dict[Annotated[str, Meta(min_length=1, max_length=200)], Annotated[str, Meta(max_length=100_000)]]
    task: Annotated[str, Meta(max_length=100_000)] = ""


class _Nothing(Closed):
    pass


_body, _nothing = msgspec.json.Decoder(SwarmBody), msgspec.json.Decoder(_Nothing)


class SwarmRoutes:
    """Handlers of `/homefire/v1/agent/swarms`."""

    def __init__(self, agents: Agents, authority: Authority, answering: Answering, body_limit: int) -> None:
        self._room = agents.swarms
        self._acting: Acting = agents.acting
        self._authority = authority
        self._answering = answering
        self._limit = body_limit

    async def start(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/agent/swarms"""
        body = await read_json(scope, receive, self._limit, _body)
        found = spec.read(body.files)
        for member in found.members:
            if member.model:
                self._answering.require_known(member.model)
        await self._answering.admit("\n\n".join((body.task, *body.files.values())), caller(scope))
        view = await self._swarms.start(found, body.task, await self._whose(scope, {}))
        self._acting.hold(principal_of(scope), view.row.id, self._swarms)
        await send_json(send, swarm_json(view), 201)

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/agent/swarms"""
        query = read_query(scope, {"limit", "key"})
        limit = int(read_number(query, "limit", 50.0, 1, MOST_LISTED))
        views = await self._swarms.list(await self._whose(scope, query), limit)
        await send_json(send, {"swarms": [swarm_json(view) for view in views]})

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/agent/swarms/{id}"""
        key, swarm = await self._whose(scope, read_query(scope, {"key"})), _id(scope)
        posts = await self._swarms.board(key, swarm)
        board = [
            {"name": row.name, "version": row.version, "by": row.by, "text": row.text, "label": row.label, "at": row.at}
            for row in posts
        ]
        await send_json(send, {**swarm_json(await self._swarms.get(key, swarm)), "board": board})

    async def follow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/agent/swarms/{id}/steps"""
        key, swarm = await self._whose(scope, read_query(scope, {"key"})), _id(scope)
        await self._swarms.get(key, swarm)
        await read_body(scope, receive, SMALL_BODY)
        await until_gone(self._events(send, key, swarm), receive)

    async def stop(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/agent/swarms/{id}/stop"""
        key, swarm = await self._whose(scope, read_query(scope, {"key"})), _id(scope)
        await read_json(scope, receive, SMALL_BODY, _nothing)
        await send_json(send, swarm_json(await self._swarms.stop(key, swarm)))

    async def resume(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/agent/swarms/{id}/resume"""
        key, swarm = await self._whose(scope, read_query(scope, {"key"})), _id(scope)
        await read_json(scope, receive, SMALL_BODY, _nothing)
        view = await self._swarms.resume(key, swarm)
        self._acting.hold(principal_of(scope), swarm, self._swarms)
        await send_json(send, swarm_json(view))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/agent/swarms/{id}"""
        await self._swarms.delete(await self._whose(scope, read_query(scope, {"key"})), _id(scope))
        await send_nothing(send)

    @property
    def _swarms(self) -> Swarms:
        if self._room is None:
            raise InvalidRequest("There are no swarms in this house.")
        return self._room

    async def _whose(self, scope: Scope, query: dict[str, str]) -> str:
        return await whose(self._authority, scope, query.get("key"))

    async def _events(self, send: Send, key: str, swarm: str) -> None:
        await begin_events(send)
        try:
            async with contextlib.aclosing(alive(self._swarms.watch(key, swarm))) as news:
                async for found in news:
                    if found is None:
                        await send_alive(send)
                        continue
                    name, each = found
                    if isinstance(each, str):
                        await send_event(send, "piece", {"agent": name, "text": each})
                    else:
                        await send_event(send, "step", {"agent": name, **to_json(each)})
            await send_event(send, "done", swarm_json(await self._swarms.get(key, swarm)))
        except HomefireError as problem:
            await send_event(send, "error", problem.envelope())
        await end_events(send)


def swarm_json(view: View) -> dict[str, Any]:
    """A swarm as it goes over the wire."""
    row, spec_ = view.row, view.spec
    agents = [
        {"name": member.name, "model": member.model, "after": member.after,
         "run": None if (run := view.runs[member.name]) is None else run_json(run)}
        for member in spec_.members
    ]  # fmt: skip
    return {
        "id": row.id, "task": row.task, "state": view.state, "ending": row.ending, "answer": row.answer,
        "created_at": row.created_at, "updated_at": row.updated_at, "agents": agents,
        "spent": {"tokens": view.spent[0], "seconds": view.spent[1]},
        "budget": {"tokens": spec_.tokens, "seconds": spec_.seconds},
    }  # fmt: skip


def _id(scope: Scope) -> str:
    found = str(scope["path_params"]["id"])
    if len(found) > 100:
        raise UnknownSwarm("There is no such swarm.")
    return found
