"""Memory as the daemon runs it: the room, an agent's tools over it, vectors and facts made in the background.

    Remembering(store, keeper, embed, roles, answering, learn) -> open -> `memory` for routes, `tools` for agents -> close

Promises: the background loads no model: vectors are made, and a model is asked for statements, only while it is in memory for
another reason; without one words and rules do (role memory, else main, else rules: the built-in model is too small for it).
Facts, summaries and vectors never hold up an answer.
Does not cover: what is kept and found (`memory/`); summaries of conversations, which nobody writes yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence

from homefire.agent.tool import Tool
from homefire.agent.tools.memory import memory_tools
from homefire.errors import HomefireError
from homefire.knowledge.meaning import Embed
from homefire.memory.background import Learning, by_rules
from homefire.memory.memory import Memory
from homefire.messages import ChatRequest, Form, Message, Sampling, TextDelta
from homefire.residency import Keeper
from homefire.server.answering import Answering, Asking
from homefire.store import Store

log = logging.getLogger("homefire.memory")
LOOK_SECONDS, EXTRACT_TOKENS, EXTRACT_SECONDS = 20.0, 500, 60.0
KEY = "memory"
TASK = (
    "Copy out of the text each sentence in which the person states a lasting fact about themselves, their people or their "
    "things. Copy exactly, word for word. Questions, wishes and orders are none. If there is none, give an empty list."
)
SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {"facts": {"type": "array", "items": {"type": "string"}, "maxItems": 20}},
    "required": ["facts"],
    "additionalProperties": False,
}


class Remembering:
    """One daemon's. `roles` gives the model of each role, `learn` says whether facts are taken from what a person says."""

    def __init__(
        self,
        store: Store,
        keeper: Keeper,
        embed: Embed,
        roles: Callable[[], Mapping[str, str]],
        answering: Callable[[], Answering],
        *,
        learn: bool,
    ) -> None:
        self._keeper, self._embed, self._roles, self._answering = keeper, embed, roles, answering
        self.memory = Memory(store, self._vectors)
        self.tools: list[Tool] = memory_tools(lambda: self.memory)
        self._learning = Learning(store, self.memory, self._statements) if learn else None
        self._work: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begins the background. After the store and the keeper."""
        self._work = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Ends it; the next daemon goes on."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work

    async def catch_up(self) -> None:
        """Does what there is to do now."""
        while self._learning is not None and await self._learning.step():
            pass
        while await self.memory.embed_some():
            pass

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.catch_up()
            except HomefireError as problem:
                log.warning("memory's background: %s", problem.message)

    def _loaded(self, name: str) -> bool:
        return any(each.name == name and each.pid is not None for each in self._keeper.view()[0])

    async def _vectors(self, texts: Sequence[str], question: bool) -> tuple[str, Sequence[bytes]] | None:
        """As memory's `Embed`: of the first embedder that is in memory."""
        for provider in await self._embed.providers():
            if self._loaded(provider.name):
                try:
                    return provider.tag, await self._embed.vectors(provider.tag, texts, urgent=question)
                except HomefireError as problem:  # words still find
                    log.info("no vectors for memory: %s", problem.message)
                    return None
        return None

    async def _statements(self, text: str) -> Sequence[str]:
        """As `Extract`: what rules see, and what a model that is in memory sees beside."""
        found = list(await by_rules(text))
        name = self._roles()["memory"]
        if not self._loaded(name) or self._answering().is_built_in(name):
            return found
        messages = Message("system", TASK), Message("user", text)
        sampling = Sampling(temperature=0, max_tokens=EXTRACT_TOKENS)
        request = ChatRequest(name, messages, sampling, form=Form("json_schema", dict(SCHEMA)))
        try:
            async with asyncio.timeout(EXTRACT_SECONDS), self._answering().open(request, Asking(KEY)) as answer:
                said = "".join([event.text async for event in answer.events() if isinstance(event, TextDelta)])
        except TimeoutError:
            return found
        return list(dict.fromkeys([*found, *statements_of(said)]))


def statements_of(said: str) -> list[str]:
    """What a model gave; what is cut off or of another form gives nothing."""
    try:
        found = json.loads(said)["facts"]
    except (ValueError, TypeError, KeyError):
        return []
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
