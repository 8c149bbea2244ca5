"""Anthropic's routes: messages, and how many tokens they are.

Promises: errors come in Anthropic's envelope; a request for reasoning is refused where the model does not reason.
Does not cover: the wire form (`dialects/anthropic.py`), how an answer is sent (`rendering.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from homefire.dialects import anthropic
from homefire.errors import HomefireError
from homefire.server.answering import Answering, Asking
from homefire.server.overflow import open_fitting, wants_drop
from homefire.server.rendering import JSON, Form, send_answer
from homefire.server.request import caller, read_body, send_bytes, until_gone
from homefire.server.traits import Traits


class AnthropicRoutes:
    """Handlers of `/v1/messages`. `default_model` gives the name of the model that answers requests which name none."""

    def __init__(self, answering: Answering, traits: Traits, default_model: Callable[[], str], body_limit: int) -> None:
        self._answering = answering
        self._traits = traits
        self._default_model = default_model
        self._limit = body_limit

    async def messages(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/messages"""
        asked = anthropic.read_messages(await read_body(scope, receive, self._limit), self._default_model())
        if asked.reasons:
            await self._traits.require_reasoning(self._answering.resolve(asked.chat.model), "thinking")
        work = self._answer(asked, wants_drop(scope), Asking(key=caller(scope)), send)
        await until_gone(work, receive)

    async def count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/messages/count_tokens"""
        asked = anthropic.read_count(await read_body(scope, receive, self._limit), self._default_model())

        async def work() -> None:
            tokens = await self._answering.count(asked.chat, Asking(key=caller(scope)))
            await send_bytes(send, anthropic.render_count(tokens), JSON)

        await until_gone(work(), receive)

    async def _answer(self, asked: anthropic.Asked, drop: bool, asking: Asking, send: Send) -> None:
        prompt = await self._prompt(asked, asking)
        async with open_fitting(self._answering, asked.chat, drop, asking) as (answer, headers):
            answer_id = "msg_" + secrets.token_hex(12)
            # What was dropped is not in the count; the last event has the true one.
            form = Form(
                lambda: anthropic.MessageStream(asked, answer_id, 0 if headers else prompt),
                lambda events: anthropic.render_message(asked, events, answer_id),
            )
            await send_answer(answer, asked.chat.stream, form, send, headers)

    async def _prompt(self, asked: anthropic.Asked, asking: Asking) -> int:
        """The tokens of the prompt, which a stream tells before the engine does; 0 where nobody can."""
        if not asked.chat.stream:
            return 0
        try:
            return await self._answering.count(asked.chat, asking)
        except HomefireError:  # whatever it is, the answer itself will say it, or not need it
            return 0
