"""A model as a run of an agent asks it: through the same door as every other request, by its own tokenizer.

Promises: a far model that cannot count is reckoned too high rather than too low; the run's key pays for what it asks.
Does not cover: whether the order may be given: who starts a run lets it in; what tools give is data, and labelled.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from homefire.errors import UnsupportedParameter
from homefire.messages import ChatRequest, Event
from homefire.server.answering import Answering, Asking


class AgentModel:
    """A `Model`. `window_of` gives a model's context window in tokens; `key` is whose run it is."""

    def __init__(self, answering: Answering, name: str, window_of: Callable[[str], int], key: str = "") -> None:
        self._answering = answering
        self._name = answering.resolve(name)
        self._window = window_of(self._name)
        self._asking = Asking(key, admitted=True)

    @property
    def name(self) -> str:
        return self._name

    @property
    def window(self) -> int:
        return self._window

    @asynccontextmanager
    async def ask(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[Event]]:
        """As `Model.ask`."""
        async with self._answering.open(request, self._asking) as answer:
            yield answer.events()

    async def count(self, request: ChatRequest) -> int:
        """As `Model.count`."""
        try:
            return await self._answering.count(request, self._asking)
        except UnsupportedParameter:
            said = [message.content or "" for message in request.messages]
            called = [call.arguments for message in request.messages for call in message.tool_calls]
            tools = [tool.name + tool.description + json.dumps(tool.parameters) for tool in request.tools]
            return sum(8 + len(text.encode()) // 2 for text in (*said, *called, *tools))

    async def is_built_in(self) -> bool:
        """As `Model.is_built_in`."""
        return self._answering.is_built_in(self._name)
