"""The policy over HTTP: what is in force, what it says of a text, and a sender's yes to a question of it.

Promises: trying a text counts nothing and lets nothing in.
Does not cover: changing rules: a person writes them (`policy.toml` in the home), no route does.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.dialects.strict import Closed
from homefire.server.gate import Gate
from homefire.server.request import read_json, send_json, send_nothing


class CheckBody(Closed, kw_only=True):
    text: str
    where: Literal["user", "tool_result", "file", "web"] = "user"


class ApproveBody(Closed, kw_only=True):
    token: Annotated[str, Meta(min_length=64, max_length=64)]


_check, _approve = msgspec.json.Decoder(CheckBody), msgspec.json.Decoder(ApproveBody)


class PolicyRoutes:
    """Handlers of `/homefire/v1/policy`."""

    def __init__(self, gate: Gate, body_limit: int) -> None:
        self._gate = gate
        self._limit = body_limit

    async def show(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/policy"""
        await send_json(send, self._gate.view())

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/policy/check"""
        body = await read_json(scope, receive, self._limit, _check)
        await send_json(send, {"decision": asdict(await self._gate.guard.look(body.text, body.where))})

    async def approve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/policy/approve"""
        self._gate.approve((await read_json(scope, receive, 4096, _approve)).token)
        await send_nothing(send)
