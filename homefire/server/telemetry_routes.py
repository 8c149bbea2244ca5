"""Telemetry over HTTP: look, turn, send.

Promises: turning it and sending need a key, the page's cookie does not do; nothing is sent by any other route.
Does not cover: what a record is and how it is kept (`telemetry.py`).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.dialects.strict import Closed
from homefire.errors import UnknownRoute
from homefire.server.request import read_json, require_key, send_json
from homefire.telemetry import Telemetry

SMALL_BODY = 64 * 1024


class TelemetryBody(Closed):
    on: bool


class SendBody(Closed):
    to: Annotated[str, Meta(max_length=2000)]


_turn = msgspec.json.Decoder(TelemetryBody)
_send = msgspec.json.Decoder(SendBody)


class TelemetryRoutes:
    """Handlers of `/homefire/v1/telemetry`."""

    def __init__(self, telemetry: Telemetry | None) -> None:
        self._given = telemetry

    async def view(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/telemetry"""
        await send_json(send, self._telemetry.view())

    async def turn(self, scope: Scope, receive: Receive, send: Send) -> None:
        """PUT /homefire/v1/telemetry"""
        require_key(scope)
        self._telemetry.turn((await read_json(scope, receive, SMALL_BODY, _turn)).on)
        await send_json(send, self._telemetry.view())

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/telemetry/send"""
        require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _send)
        await send_json(send, await self._telemetry.send(body.to))

    @property
    def _telemetry(self) -> Telemetry:
        if self._given is None:
            raise UnknownRoute("This daemon has no telemetry.")
        return self._given
