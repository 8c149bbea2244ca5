"""Runs of agents that were begun in a conversation: the question, and the answer that the run's end becomes.

    question stored -> answer `streaming` -> run started, answer bound to it -> run ends: `complete`, `stopped` or `failed`
                                                 daemon dies: `interrupted` -> run goes on: `streaming` again

Promises: a run of a key ends when the key is revoked or expires; the question is on disk before the run begins; whatever way a
run ends, its answer says so; a run that goes on after the daemon came back finds its answer again; runs that belong to no
conversation are started and left alone.
Does not cover: running (`agent/`), who may (`agent_routes.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from homefire.agent.order import Order
from homefire.agent.step import Ended, Entry
from homefire.errors import HomefireError, UnknownMessage, UnknownRun
from homefire.server.authority import Authority
from homefire.server.scopes import Principal
from homefire.store import Conversation, Conversations, RunRow, StoredMessage

log = logging.getLogger(__name__)
# Whose runs and grants those of the page and of keys with `admin` are: the person of this home, as of conversations.
PERSON = ""
MOST_RUNS = 200


class Work(Protocol):
    """What can be held to a key's right: runs, and swarms."""

    def watch(self, key: str, id_: str, /) -> AsyncIterator[Any]: ...
    async def stop(self, key: str, id_: str, /) -> Any: ...


class Runs(Protocol):
    """Runs of agents as the doors ask them (`agent/runs.py`); each raises UnknownRun for another key's."""

    async def start(self, order: Order, key: str) -> RunRow: ...
    async def list(self, key: str, limit: int = 50, before: float | None = None) -> Sequence[RunRow]: ...
    async def get(self, key: str, run: str) -> RunRow: ...
    async def entries(self, key: str, run: str, first: int = 0) -> Sequence[Entry]: ...
    def watch(self, key: str, run: str, first: int = 0) -> AsyncIterator[Entry | str]: ...
    async def decide(self, key: str, run: str, call: str, yes: bool, text: str = "") -> Entry: ...
    async def say(self, key: str, run: str, text: str) -> Entry: ...
    async def stop(self, key: str, run: str) -> RunRow: ...
    async def resume(self, key: str, run: str) -> RunRow: ...
    async def delete(self, key: str, run: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a conversation a run is begun: after `parent` (None: as its beginning), or beside the answer `again`."""

    conversation: str
    parent: str | None
    again: str = ""
    latest: bool = False


class Acting:
    """Used on one event loop; `open()` after the runs and the keys were opened and the conversations' leftovers marked."""

    def __init__(
        self, runs: Runs, conversations: Conversations, authority: Authority, default_model: Callable[[], str]
    ) -> None:
        self._runs = runs
        self._conversations = conversations
        self._authority = authority
        self._default_model = default_model
        self._following: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Finds the answers of runs that went on, or ended, while nobody kept them."""
        for owner, run in await self._conversations.acting():
            with contextlib.suppress(UnknownRun):
                row = await self._runs.get(owner or PERSON, run)
                if row.state != "interrupted":
                    await self.follow(owner or PERSON, run)
        for key in await self._authority.list_keys():
            scopes = frozenset(key.rights.scopes)
            principal = Principal("key", key.name, scopes, id=key.id, expires_at=key.rights.expires_at)
            if principal.owner is not None:
                for each in await self._runs.list(key.id, MOST_RUNS, None):
                    if each.state in ("running", "waiting"):
                        self.hold(principal, each.id)

    async def close(self) -> None:
        """Lets go of the runs; what they said so far is stored."""
        tasks = [*self._following.values(), *self._held.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def hold(self, principal: Principal, run: str, work: Work | None = None) -> None:
        """From now on the run (or what else `work` carries out) ends when this key's right does.
        What belongs to the person goes on: no key is behind it."""
        if principal.owner is None or run in self._held:
            return
        task = self._held[run] = asyncio.ensure_future(self._hold(principal, principal.owner, run, work or self._runs))
        task.add_done_callback(lambda _: self._held.pop(run, None))

    async def _hold(self, principal: Principal, key: str, run: str, work: Work) -> None:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def end(problem: HomefireError) -> None:
            if not ended.done():
                ended.set_result(None)

        async def to_its_end() -> None:
            async for _ in work.watch(key, run):
                pass

        with contextlib.suppress(HomefireError), self._authority.open_work.during(principal, end):
            watching = asyncio.ensure_future(to_its_end())
            try:
                await asyncio.wait((watching, ended), return_when=asyncio.FIRST_COMPLETED)
            finally:
                watching.cancel()
                await asyncio.wait((watching,))
            if ended.done():
                await work.stop(key, run)

    async def begin(self, order: Order, key: str) -> RunRow:
        """Starts a run that belongs to no conversation."""
        return await self._runs.start(replace(order, model=order.model or self._default_model()), key)

    async def start(
        self, order: Order, key: str, owner: str | None, place: Place
    ) -> tuple[RunRow, list[StoredMessage]]:
        """Stores question and answer, starts the run, binds the two. Raises UnknownConversation, UnknownMessage, and what
        starting raises; the answer says so then too."""
        conversation = await self._conversations.get(place.conversation, owner)
        model = order.model or conversation.model or self._default_model()
        if place.again:
            question = _question_of(conversation, place.again)
            answer = await self._conversations.answer_again(conversation.id, place.again, model, owner)
            order, said = replace(order, task=question.content), [answer]
        else:
            parent = conversation.messages[-1].id if place.latest and conversation.messages else place.parent
            asked, answer, _ = await self._conversations.ask(
                conversation.id, order.task, parent, model, None, owner=owner
            )
            said = [asked, answer]
        try:
            row = await self._runs.start(replace(order, model=model, conversation=conversation.id), key)
        except HomefireError as problem:
            failed = replace(answer, state="failed", error=problem.envelope()["error"])
            await self._conversations.finish(conversation.id, failed)
            raise
        await self._conversations.bind(answer.id, row.id)
        await self.follow(key, row.id)
        return row, [replace(each, run=row.id) if each.id == answer.id else each for each in said]

    async def follow(self, key: str, run: str) -> None:
        """Keeps the answer of a run until it ends; nothing for one that has none, or that is followed already."""
        if run in self._following:
            return
        if (found := await self._conversations.resume(run)) is None:
            return
        task = self._following[run] = asyncio.ensure_future(self._kept(key, run, *found))
        task.add_done_callback(lambda _: self._following.pop(run, None))

    async def _kept(self, key: str, run: str, conversation: str, answer: StoredMessage) -> None:
        spent, last = [0, 0], None
        try:
            async for entry in self._runs.watch(key, run, 0):
                if isinstance(entry, Entry):
                    spent[0] += entry.tokens_in
                    spent[1] += entry.tokens_out
                    last = entry.step if isinstance(entry.step, Ended) else last
            row = await self._runs.get(key, run)
        except HomefireError as problem:
            failed = replace(answer, state="failed", error=problem.envelope()["error"])
            await self._finish(conversation, failed)
            return
        if row.state == "ended":
            await self._finish(conversation, ended_message(answer, row, last, spent))

    async def _finish(self, conversation: str, answer: StoredMessage) -> None:
        try:
            await self._conversations.finish(conversation, answer)
        except HomefireError as problem:
            log.warning("the answer of the run %s was not stored: %s", answer.run, problem.message)


def ended_message(answer: StoredMessage, row: RunRow, last: Ended | None, spent: list[int]) -> StoredMessage:
    """An answer as its run's end leaves it."""
    state = {"answered": "complete", "stopped": "stopped"}.get(row.ending, "failed")
    error: dict[str, Any] | None = None
    if state == "failed":
        text = last.text if last is not None and last.text else f"The run ended without an answer: {row.ending}."
        code = (last.code if last is not None else "") or row.ending
        step = f"Look at its steps, or say it in another way: homefire agent show {row.id}"
        error = {
            "message": text,
            "type": "agent_error",
            "code": code,
            "param": None,
            "next_step": step,
            "source": "homefire",
        }
    usage = {"prompt_tokens": spent[0], "completion_tokens": spent[1], "total_tokens": sum(spent)}
    by: dict[str, Any] = {"name": row.model or answer.model, "failed": []}
    content = row.answer if state == "complete" else ""  # else it is what the error says
    return replace(answer, content=content, state=state, error=error, usage=usage, answered_by=by)


def _question_of(conversation: Conversation, answer_id: str) -> StoredMessage:
    by_id = {message.id: message for message in conversation.messages}
    parent = by_id[answer_id].parent_id if answer_id in by_id else None
    if parent is None or parent not in by_id:
        raise UnknownMessage(f"The conversation has no answer '{answer_id[:80]}'.", param="again")
    return by_id[parent]
