"""OpenAI's Responses route, and the rerank route.

Promises: nothing is stored; a model of the wrong kind is refused before anything is loaded.
Does not cover: the wire forms (`dialects/responses.py`, `dialects/rerank.py`), how an answer is sent (`rendering.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from homefire.dialects import rerank, responses
from homefire.server.answering import Answering, Asking
from homefire.server.overflow import open_fitting, wants_drop
from homefire.server.rendering import JSON, Form, send_answer
from homefire.server.request import caller, read_body, send_bytes, until_gone


class ResponsesRoutes:
    """Handlers. `default_model` gives the name of the model that answers requests which name none."""

    def __init__(self, answering: Answering, default_model: Callable[[], str], body_limit: int) -> None:
        self._answering = answering
        self._default_model = default_model
        self._limit = body_limit

    async def respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/responses"""
        asked = responses.read_response(await read_body(scope, receive, self._limit), self._default_model())
        drop = wants_drop(scope) or asked.drop
        await until_gone(self._answer(asked, drop, Asking(key=caller(scope)), send), receive)

    async def rerank(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/rerank"""
        asked = rerank.read_rerank(await read_body(scope, receive, self._limit))

        async def work() -> None:
            found = await self._answering.rerank(asked.request, Asking(key=caller(scope)))
            await send_bytes(send, rerank.render_ranking(asked, found), JSON)

        await until_gone(work(), receive)

    async def _answer(self, asked: responses.Asked, drop: bool, asking: Asking, send: Send) -> None:
        async with open_fitting(self._answering, asked.chat, drop, asking) as (answer, headers):
            answer_id = secrets.token_hex(12)
            form = Form(
                lambda: responses.ResponseStream(asked, answer_id),
                lambda events: responses.render_response(asked, events, answer_id),
            )
            await send_answer(answer, asked.chat.stream, form, send, headers)
