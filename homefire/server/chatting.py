"""A chat for transports that carry typed events, not bytes: one body in OpenAI's form, one stream of events.

Promises: the same reading, queue, limits and errors as `POST /v1/chat/completions`; leaving the stream frees the slot.
Does not cover: how an event looks on a transport (`event_socket.py`, `rpc_services.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from homefire.dialects import openai
from homefire.errors import BodyTooLarge
from homefire.messages import Event
from homefire.server.answering import Answering, Asking
from homefire.server.overflow import open_fitting
from homefire.server.scopes import Principal


class Chatting:
    """`default_model` names the model that answers where a body names none; `limit` is the largest body in bytes."""

    def __init__(self, answering: Answering, default_model: Callable[[], str], limit: int) -> None:
        self._answering = answering
        self._default_model = default_model
        self.limit = limit

    @contextlib.asynccontextmanager
    async def answer(
        self, principal: Principal, body: bytes
    ) -> AsyncIterator[tuple[AsyncIterator[Event], dict[str, str]]]:
        """The events of an answer, while the context lasts, and what HTTP would say in headers of our own: who answers, what the
        policy did. Raises as the route does."""
        if len(body) > self.limit:
            raise BodyTooLarge(f"The chat is larger than {self.limit / 2**20:g} MiB.", "Send less.")
        request = replace(openai.read_chat(body, self._default_model()), stream=True, include_usage=True)
        asking = Asking(principal.caller, request.keep_alive)
        async with open_fitting(self._answering, request, False, asking) as (answer, headers):
            yield answer.events(), {name.decode().lower(): value.decode("latin-1") for name, value in headers}
