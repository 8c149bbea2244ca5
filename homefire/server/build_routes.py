"""Native builds of the engine over HTTP: what there is, the job under way, and what is asked of it. All of it needs a key: the
page's login does not do.

Promises: a job streams its progress to whoever watches and goes on when they leave; two who ask for one build watch one job.
Does not cover: doing any of it (`residency/builder.py`), far engines (`engine_routes.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.dialects.strict import Closed
from homefire.errors import ShuttingDown, UnknownBuild
from homefire.hardware import Machine, toolchain
from homefire.hardware.toolchain import Proposal
from homefire.residency.builder import ENDED, Builder, Job
from homefire.server.request import read_json, require_key, send_json, send_nothing, until_gone
from homefire.server.work_stream import stream_states

SMALL_BODY = 64 * 1024
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class BuildBody(Closed, kw_only=True):
    """`backend` null: the one that suits this machine."""

    backend: Name | None = None
    use: bool = False
    force: bool = False
    watch: bool = True


class UseBody(Closed, kw_only=True):
    name: Name
    force: bool = False
    watch: bool = True


class BenchBody(Closed, kw_only=True):
    """`model` null: the main model."""

    model: Name | None = None
    watch: bool = True


class _Nothing(Closed):
    pass


_build = msgspec.json.Decoder(BuildBody)
_use = msgspec.json.Decoder(UseBody)
_bench = msgspec.json.Decoder(BenchBody)
_nothing = msgspec.json.Decoder(_Nothing)


class BuildRoutes:
    """Handlers of `/homefire/v1/builds`. `machine` says what this machine is with its GPUs; it may block for some hundred
    milliseconds."""

    def __init__(self, builder: Builder | None, machine: Callable[[], Machine]) -> None:
        self._given = builder
        self._machine = machine

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/builds"""
        builder = self._builder(scope)
        builds, state = builder.builds, builder.builds.state
        rows = [
            {**asdict(each), "runs_here": builds.runs_here(each), "trial": state.trials.get(each.name)}
            for each in await asyncio.to_thread(builds.all)
        ]
        proposal = await self._proposal(builder)
        await send_json(
            send,
            {
                "in_use": state.in_use if builds.program() is not None else "wheel",
                "since": state.since,
                "why": state.why,
                "rolled_back": state.rolled_back,
                "builds": rows,
                "unfinished": builder.unfinished(),
                "job": None if builder.job is None else job_json(builder.job),
                "proposal": None if proposal is None else {**asdict(proposal), "ready": proposal.ready},
            },
        )

    async def build(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/builds"""
        builder = self._builder(scope)
        body = await read_json(scope, receive, SMALL_BODY, _build)
        proposal = None if body.backend else await self._proposal(builder)
        backend = body.backend or (proposal.backend if proposal is not None else "cpu")
        await self._follow(builder, builder.build(backend, use=body.use, force=body.force), body.watch, receive, send)

    async def use(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/builds/use"""
        builder = self._builder(scope)
        body = await read_json(scope, receive, SMALL_BODY, _use)
        await self._follow(builder, builder.use(body.name, force=body.force), body.watch, receive, send)

    async def bench(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/builds/bench"""
        builder = self._builder(scope)
        body = await read_json(scope, receive, SMALL_BODY, _bench)
        await self._follow(builder, builder.bench(body.model or ""), body.watch, receive, send)

    async def watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/builds/watch"""
        builder = self._builder(scope)
        await read_json(scope, receive, SMALL_BODY, _nothing)
        if builder.job is None:
            raise UnknownBuild("Nothing is built, tried or measured.", "Begin with: homefire engine build")
        await self._follow(builder, builder.job, True, receive, send)

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/builds/cancel"""
        builder = self._builder(scope)
        await read_json(scope, receive, SMALL_BODY, _nothing)
        cancelled = builder.cancel()
        await send_json(send, {"cancelled": cancelled, "job": None if builder.job is None else job_json(builder.job)})

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/builds/{name}"""
        await self._builder(scope).remove(str(scope["path_params"]["name"]))
        await send_nothing(send)

    async def _follow(self, builder: Builder, job: Job, watch: bool, receive: Receive, send: Send) -> None:
        if not watch:
            await send_json(send, job_json(job), 202)
            return

        async def end() -> dict[str, Any]:
            if builder.job is not None and builder.job.id == job.id and builder.job.state not in ENDED:
                raise ShuttingDown("The daemon is stopping.", "A build goes on when it runs again.")
            return job_json(builder.end_of(job.id))

        await until_gone(stream_states(send, builder.watch(job.id), job_json, end), receive)

    async def _proposal(self, builder: Builder) -> Proposal | None:
        machine = await asyncio.to_thread(self._machine)
        return toolchain.propose([gpu.vendor for gpu in machine.gpus], machine.instructions, builder.look)

    def _builder(self, scope: Scope) -> Builder:
        require_key(scope)
        assert self._given is not None
        return self._given


def job_json(job: Job) -> dict[str, Any]:
    """A job as it is shown."""
    return asdict(job)
