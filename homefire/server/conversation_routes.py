"""Conversations over HTTP, and the answers that stream into them.

Promises: the question is on disk before the model sees it; what was said so far is stored twice a second, and once more when
the client leaves, the engine dies or the answer ends; an event stream always ends with `done` or `error`.
Does not cover: branching rules (`store/conversations.py`), rendering (the page).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.types import Receive, Scope, Send

from homefire.dialects.duration import KeepAlive, seconds
from homefire.dialects.strict import Closed
from homefire.engines.kv_shelf import KvShelf
from homefire.errors import HomefireError, InternalError
from homefire.messages import ChatRequest, Message, Sampling, TextDelta, Usage, UsageReport
from homefire.server.answering import Answering, Asking
from homefire.server.request import (
    begin_events,
    caller,
    end_events,
    principal_of,
    read_json,
    read_number,
    read_query,
    send_event,
    send_json,
    send_nothing,
    until_gone,
)
from homefire.store import Conversation, Conversations, StoredMessage

log = logging.getLogger(__name__)
SAVE_SECONDS = 0.5
NOTICE = (
    "You are talking to pilot, the small model that comes with Homefire. It is a pilot light, not an assistant: it can greet "
    "you and explain Homefire, and little else. For a real model, run: homefire setup. It looks at this machine, proposes one "
    "and fetches it. With a GGUF file that you have, run: homefire models import FILE.gguf"
)

Title = Annotated[str, Meta(max_length=200)]
ModelText = Annotated[str, Meta(min_length=1, max_length=300)]
System = Annotated[str, Meta(max_length=1_000_000)]


class SamplingBody(Closed, kw_only=True):
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=1000)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None


class NewConversation(Closed, kw_only=True):
    title: Title | None = None
    model: ModelText | None = None
    system: System | None = None


class ConversationChange(Closed, kw_only=True):
    title: Title | UnsetType = UNSET
    model: ModelText | UnsetType | None = UNSET
    system: System | UnsetType | None = UNSET


class Question(Closed, kw_only=True):
    content: Annotated[str, Meta(min_length=1)]
    model: ModelText | None = None
    parent_id: str | UnsetType | None = UNSET
    sampling: SamplingBody | None = None
    keep_alive: KeepAlive = None


class Again(Closed, kw_only=True):
    model: ModelText | None = None
    sampling: SamplingBody | None = None
    keep_alive: KeepAlive = None


@dataclass(slots=True)
class _Progress:
    """What is known of an answer under way."""

    began: float
    text: list[str] = field(default_factory=list)
    first: float | None = None
    report: UsageReport | None = None
    answered_by: dict[str, Any] | None = None

    def as_message(self, answer: StoredMessage, state: str, error: dict[str, Any] | None = None) -> StoredMessage:
        usage = timings = None
        if self.report is not None:
            counted = self.report.usage
            usage = {
                "prompt_tokens": counted.prompt_tokens,
                "completion_tokens": counted.completion_tokens,
                "total_tokens": counted.prompt_tokens + counted.completion_tokens,
            }
        if self.first is not None:
            rate = self.report.tokens_per_second if self.report is not None else None
            timings = {
                "time_to_first_token_s": round(self.first - self.began, 4),
                "tokens_per_second": round(rate, 1) if rate is not None else None,
            }
        text = "".join(self.text)
        found = replace(answer, content=text, state=state, error=error, usage=usage, timings=timings)
        return replace(found, answered_by=self.answered_by)


@dataclass(frozen=True, slots=True)
class _Turn:
    """An answer to be made: where it is stored, what is asked, and the events that go before it."""

    conversation_id: str
    answer: StoredMessage
    request: ChatRequest
    preface: list[tuple[str, Any]]
    began: float
    key: str


# Told of each answer: model, tokens, tokens a second. On the event loop; must not block.
Written = Callable[[str, Usage, float], None]


def unheard(model: str, usage: Usage, rate: float) -> None:
    """Nobody wants to know."""


class ConversationRoutes:
    """Handlers of `/homefire/v1/conversations`."""

    def __init__(
        self,
        conversations: Conversations,
        answering: Answering,
        default_model: Callable[[], str],
        body_limit: int,
        *,
        written: Written = unheard,
        kv: KvShelf | None = None,
    ) -> None:
        self._conversations = conversations
        self._answering = answering
        self._default_model = default_model
        self._limit = body_limit
        self._written = written
        self._kv = kv

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/conversations"""
        query = read_query(scope, {"q", "limit", "before"})
        limit = read_number(query, "limit", 50.0, 1, 200)
        before = read_number(query, "before", 0.0, 0, 1e12) if "before" in query else None
        found, more = await self._conversations.list(query.get("q", "")[:1000], int(limit), before, _owner(scope))
        await send_json(send, {"conversations": [_summary(conversation) for conversation in found], "more": more})

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/conversations"""
        body = await read_json(scope, receive, self._limit, _new)
        if body.model is not None:
            self._answering.require_known(body.model)
        made = await self._conversations.create(body.title or "", body.model, body.system, _owner(scope))
        await send_json(send, made, 201)

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/conversations/{id}"""
        await send_json(send, await self._conversations.get(scope["path_params"]["id"], _owner(scope)))

    async def change(self, scope: Scope, receive: Receive, send: Send) -> None:
        """PATCH /homefire/v1/conversations/{id}"""
        body = await read_json(scope, receive, self._limit, _change)
        given = {name: getattr(body, name) for name in ("title", "model", "system")}
        changes = {name: value for name, value in given.items() if value is not UNSET}
        if changes.get("model") is not None:
            self._answering.require_known(changes["model"])
        await send_json(send, await self._conversations.update(scope["path_params"]["id"], changes, _owner(scope)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/conversations/{id}"""
        conversation_id = scope["path_params"]["id"]
        await self._conversations.delete(conversation_id, _owner(scope))
        if self._kv is not None:
            self._kv.forget(conversation_id)
        await send_nothing(send)

    async def restore(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/conversations/{id}/restore"""
        found = await self._conversations.restore(scope["path_params"]["id"], _owner(scope))
        if self._kv is not None:
            self._kv.welcome(found.id)
        await send_json(send, found)

    async def ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/conversations/{id}/messages"""
        began = time.perf_counter()
        body = await read_json(scope, receive, self._limit, _question)
        keep_alive = seconds(body.keep_alive)
        conversation = await self._conversations.get(scope["path_params"]["id"], _owner(scope))
        model = body.model or conversation.model or self._default_model()
        self._answering.require_known(model)
        await self._answering.admit(body.content, caller(scope))
        parent = _newest_leaf(conversation) if body.parent_id is UNSET else body.parent_id
        path = conversation.path_to(parent)
        notice = NOTICE if self._answering.is_built_in(model) else None
        question, answer, shown = await self._conversations.ask(
            conversation.id, body.content, parent, model, notice, owner=_owner(scope)
        )
        request = replace(_request(conversation, [*path, question], model, body.sampling), keep_alive=keep_alive)
        preface: list[tuple[str, Any]] = [("message", question), ("message", answer)]
        if shown is not None:
            preface.append(("notice", {"text": shown}))
        await until_gone(
            self._answer(_Turn(conversation.id, answer, request, preface, began, caller(scope)), send), receive
        )

    async def again(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/conversations/{id}/messages/{message_id}/regenerate"""
        began = time.perf_counter()
        body = await read_json(scope, receive, self._limit, _again)
        keep_alive = seconds(body.keep_alive)
        conversation = await self._conversations.get(scope["path_params"]["id"], _owner(scope))
        model = body.model or conversation.model or self._default_model()
        self._answering.require_known(model)
        await self._answering.admit("", caller(scope))
        answer = await self._conversations.answer_again(
            conversation.id, scope["path_params"]["message_id"], model, _owner(scope)
        )
        path = conversation.path_to(answer.parent_id)
        request = replace(_request(conversation, path, model, body.sampling), keep_alive=keep_alive)
        turn = _Turn(conversation.id, answer, request, [("message", answer)], began, caller(scope))
        await until_gone(self._answer(turn, send), receive)

    async def _answer(self, turn: _Turn, send: Send) -> None:
        """Streams the answer and stores it, whatever happens: from here on it stands in the store as `streaming`."""
        progress = _Progress(turn.began)
        saver = asyncio.ensure_future(self._save_as_it_grows(turn.answer.id, progress))
        state = "stopped"
        problem: HomefireError | None = None
        try:
            await begin_events(send)
            for name, value in turn.preface:
                await send_event(send, name, value)
            await self._stream(turn, progress, send)
            state = "complete"
        except HomefireError as failure:
            state, problem = "failed", failure
        except Exception as defect:  # it stands in the store as `streaming` and must end there and here, whatever broke
            log.exception("defect in the answer %s", turn.answer.id)
            state, problem = "failed", InternalError(f"A defect in Homefire: {type(defect).__name__}.")
        finally:
            saver.cancel()
            error = problem.envelope()["error"] if problem is not None else None
            last = progress.as_message(turn.answer, state, error)
            # Shielded: when the client has gone this task is cancelled, and what was said must still be stored.
            await asyncio.shield(asyncio.ensure_future(self._finish(turn.conversation_id, last)))
        if problem is not None:
            await send_event(send, "error", problem.envelope())
        else:
            await send_event(send, "done", last)
        await end_events(send)

    async def _finish(self, conversation_id: str, last: StoredMessage) -> None:
        try:
            await self._conversations.finish(conversation_id, last)
        except HomefireError as problem:
            # The reader has the whole answer on the screen; losing the connection over it would lose that too.
            log.warning("the answer %s was not stored: %s", last.id, problem.message)

    async def _stream(self, turn: _Turn, progress: _Progress, send: Send) -> None:
        places: asyncio.Queue[tuple[int, float]] = asyncio.Queue()
        telling = asyncio.ensure_future(_tell(places, send))
        async with contextlib.AsyncExitStack() as stack:
            try:
                asking = Asking(
                    turn.key,
                    turn.request.keep_alive,
                    told=lambda place, eta: places.put_nowait((place, eta)),
                    admitted=True,
                )
                answer = await stack.enter_async_context(self._answering.open(turn.request, asking))
            finally:
                telling.cancel()
                await asyncio.wait((telling,))  # no two may send at one time
            failed = [{"name": each.name, "code": each.problem.code} for each in answer.failed]
            progress.answered_by = {"name": answer.name, "failed": failed}
            if failed:
                await send_event(send, "answered_by", progress.answered_by)
            async for event in answer.events():
                match event:
                    case TextDelta(text):
                        if progress.first is None:
                            progress.first = time.perf_counter()
                        progress.text.append(text)
                        await send_event(send, "delta", {"text": text})
                    case UsageReport():
                        progress.report = event
                        if event.tokens_per_second is not None:
                            self._written(answer.name, event.usage, event.tokens_per_second)
                    case _:
                        pass

    async def _save_as_it_grows(self, message_id: str, progress: _Progress) -> None:
        saved = 0
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            if len(progress.text) > saved:
                saved = len(progress.text)
                try:
                    await self._conversations.save_partial(message_id, "".join(progress.text), progress.answered_by)
                except HomefireError:
                    continue  # a full disk: the last store reports it, and may find space again


async def _tell(places: asyncio.Queue[tuple[int, float]], send: Send) -> None:
    """Tells a waiting client its place in the queue, until this is cancelled."""
    while True:
        place, eta = await places.get()
        await send_event(send, "queue", {"position": place, "eta_s": eta})


_new = msgspec.json.Decoder(NewConversation)
_change = msgspec.json.Decoder(ConversationChange)
_question = msgspec.json.Decoder(Question)
_again = msgspec.json.Decoder(Again)


def _request(
    conversation: Conversation, path: list[StoredMessage], model: str, sampling: SamplingBody | None
) -> ChatRequest:
    messages = [Message("system", conversation.system)] if conversation.system else []
    for stored in path:
        if stored.role == "user" or stored.content:
            messages.append(Message("user" if stored.role == "user" else "assistant", stored.content))
    drawn = Sampling() if sampling is None else Sampling(**msgspec.structs.asdict(sampling))
    return ChatRequest(model, tuple(messages), drawn, stream=True, include_usage=True, cache_key=conversation.id)


def _owner(scope: Scope) -> str | None:
    """Whose conversations the request sees; None: all."""
    return principal_of(scope).owner


def _newest_leaf(conversation: Conversation) -> str | None:
    return conversation.messages[-1].id if conversation.messages else None


def _summary(conversation: Conversation) -> dict[str, Any]:
    return {
        name: getattr(conversation, name)
        for name in ("id", "title", "model", "system", "created_at", "updated_at", "notice")
    }
