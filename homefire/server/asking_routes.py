"""Questions about what was taken in, over HTTP: found, read by a model, answered with citations that were checked.

Promises: the question passes the policy as a chat does, and each passage passes it as what it is, text of a file; the key needs
both scopes, `knowledge` and `chat`; leaving the stream stops the model.
Does not cover: finding (`knowledge/search.py`), what may be cited (`knowledge/citations.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, cast

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.errors import HomefireError, InvalidRequest, PackageMissing
from homefire.knowledge.answer import Answerer, Event, Words
from homefire.knowledge.knowledge import Knowledge
from homefire.knowledge.needs import Complete
from homefire.knowledge.search import Question
from homefire.prompts import Prompts, own_text
from homefire.safety import Guard
from homefire.server.answering import Answering
from homefire.server.knowledge_routes import Name, NarrowBody, narrowed, room_of
from homefire.server.request import begin_events, caller, end_events, principal_of, read_json, send_event, until_gone
from homefire.server.scopes import CHAT

# Passages that are looked for, and most that may be asked for.
PASSAGES, MOST_PASSAGES = 8, 30
# The caller, and a model's name ("": the one of the role main) -> who reads and answers.
Reading = Callable[[str, str], Complete]


class AskBody(NarrowBody, kw_only=True):
    """`limit`: passages that are looked for; how many of them are read depends on the model's window."""

    question: str
    limit: Annotated[int, Meta(ge=1, le=MOST_PASSAGES)] = PASSAGES
    model: Name | None = None


_ask = msgspec.json.Decoder(AskBody)


@dataclass(frozen=True, slots=True)
class Screened:
    """A `Screen`: what the policy says of a passage. Without one, everything passes."""

    guard: Guard

    async def passage(self, text: str) -> str | None:
        """As `Screen.passage`."""
        decision = await self.guard.look(text, "file")
        if decision.action in ("refuse", "ask"):
            return None
        return text if decision.text is None else decision.text


class AskingRoutes:
    """The handler of `/homefire/v1/knowledge/ask`. `room` or `reading` None: the packages are missing."""

    def __init__(
        self,
        room: Knowledge | None,
        reading: Reading | None,
        answering: Answering,
        guard: Guard | None,
        body_limit: int,
        *,
        prompts: Prompts | None = None,
    ) -> None:
        self._words = own_text if prompts is None else prompts.text
        self._room = room
        self._reading = reading
        self._answering = answering
        self._screen = None if guard is None else Screened(guard)
        self._limit = body_limit

    async def ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/knowledge/ask"""
        principal_of(scope).require(CHAT)
        room, reading = room_of(self._room), self._reading
        if reading is None:
            raise PackageMissing("There is no model that reads.")
        body = await read_json(scope, receive, self._limit, _ask)
        if not body.question.strip():
            raise InvalidRequest("There is no question.", param="question")
        who = caller(scope)
        if body.model:
            self._answering.require_known(body.model)
        asked = Question(body.question, body.collections, "all", body.limit, narrowed(body))

        await self._answering.admit(body.question, who)

        async def work() -> None:
            found = await room.find(asked)
            words = Words(self._words("homefire.answer"), self._words("homefire.answer.pilot"))
            answer = Answerer(reading(who, body.model or ""), words, self._screen).answer(body.question, found.found)
            await _stream(send, answer, found.notes)

        await until_gone(work(), receive)


async def _stream(send: Send, answer: AsyncIterator[Event], notes: Sequence[str]) -> None:
    await begin_events(send)
    try:
        async with contextlib.aclosing(cast("AsyncGenerator[Event, None]", answer)) as events:
            async for event in events:
                more = {"notes": notes} if event.name == "passages" else {}
                await send_event(send, event.name, {**event.data, **more})
    except HomefireError as problem:
        await send_event(send, "error", problem.envelope())
    await end_events(send)
