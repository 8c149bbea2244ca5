"""Tuning over HTTP: measure how a model runs best here, see it, forget it, and say who drafts for it.

Promises: a tuning ends when its listener leaves, and its engine with it; the model stays while it is tuned; who drafts is checked
before it is kept.
Does not cover: measuring (`residency/tuner.py`), the choice of a draft that may do (`models/drafts.py`).
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.dialects.strict import Closed
from homefire.models.drafts import require_draft
from homefire.models.library import Library
from homefire.residency.tuned import DRAFT, Tuned, plain
from homefire.residency.tuner import Step, Tuner
from homefire.server.holds import Holds
from homefire.server.request import read_json, send_json, send_nothing, until_gone
from homefire.server.work_stream import stream_states

SMALL_BODY = 64 * 1024


class TuneBody(Closed, kw_only=True):
    """`quick`: threads and drafts only, with shorter texts; `only` "draft": who drafts, and a person's word on it is taken
    back."""

    quick: bool = False
    only: Literal["draft"] | None = None


class DraftBody(Closed, kw_only=True):
    """`mode`: none, one of the n-grams, or draft with the name of a model in `draft`; null takes the word back."""

    mode: Annotated[str, Meta(max_length=40)] | None = None
    draft: Annotated[str, Meta(max_length=200)] | None = None


_tune = msgspec.json.Decoder(TuneBody)
_draft = msgspec.json.Decoder(DraftBody)


@dataclass(frozen=True, slots=True)
class TuningRooms:
    """What these routes need."""

    tuner: Tuner
    tuned: Tuned


class TuningRoutes:
    """Handlers."""

    def __init__(self, rooms: TuningRooms, library: Library, holds: Holds) -> None:
        self._tuner, self._tuned = rooms.tuner, rooms.tuned
        self._library, self._holds = library, holds

    async def see(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/models/{name}/tuning"""
        await send_json(send, self._shown(scope["path_params"]["name"]))

    async def forget(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/models/{name}/tuning"""
        await self._tuned.forget(scope["path_params"]["name"])
        await send_nothing(send)

    async def draft(self, scope: Scope, receive: Receive, send: Send) -> None:
        """PUT /homefire/v1/models/{name}/draft"""
        name = scope["path_params"]["name"]
        body = await read_json(scope, receive, SMALL_BODY, _draft)
        model, draft = self._library.get(name), self._library.get(body.draft) if body.draft else None
        if draft is not None:
            await asyncio.to_thread(require_draft, model, draft)
        await self._tuned.set_plan(name, body.mode or (DRAFT if draft is not None else ""), draft)
        await send_json(send, self._shown(name))

    async def tune(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/models/{name}/tune"""
        name = scope["path_params"]["name"]
        body = await read_json(scope, receive, SMALL_BODY, _tune)
        self._library.get(name)
        with self._holds.hold(name, "tuned"):
            await until_gone(self._stream(name, body, send), receive)

    async def _stream(self, name: str, body: TuneBody, send: Send) -> None:
        async def end() -> dict[str, Any]:
            if body.only:
                await self._tuned.set_plan(name, "")
            return self._shown(name)

        async with aclosing(self._tuner.run(name, quick=body.quick, only=body.only or "")) as steps:
            await stream_states(send, steps, _progress, end)

    def _shown(self, name: str) -> dict[str, Any]:
        measured, plan = self._tuned.measured(name), self._tuned.plan(name)
        drafting = self._tuned.drafting(self._tuned.way(name))
        return {
            "model": name,
            "measured": None if measured is None else plain(measured),
            "draft_plan": None if plan is None else {"mode": plan.mode, "draft": plan.draft or None},
            "drafts": {"mode": drafting.mode or "none", "draft": drafting.model or None},
            "way": asdict(self._tuned.way(name)),
        }


def _progress(step: Step) -> dict[str, Any]:
    return {"done": step.done, "total": step.total, "knob": step.knob, "trying": step.trying}
