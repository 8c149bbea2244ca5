"""The model of the role main as knowledge asks it: its window, its tokenizer, one answer in pieces.

Promises: counts are of the model's own tokenizer, through the engine that will read; what a far engine cannot count is reckoned
too high rather than too low (a token for two bytes).
Does not cover: whether the question may be asked: who calls has let it in, and each passage was looked at.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence

from homefire.engines.engine import Counts
from homefire.messages import ChatRequest, Message, Sampling, TextDelta
from homefire.residency import Keeper
from homefire.server.answering import Answering, Asking


class MainModel:
    """A `Complete`. `model` names it; `window_of` gives its context window in tokens. `key` is whose request it is."""

    def __init__(
        self,
        answering: Answering,
        keeper: Keeper,
        model: Callable[[], str],
        window_of: Callable[[str], int],
        key: str = "",
    ) -> None:
        self._answering, self._keeper = answering, keeper
        self._model, self._window_of, self._key = model, window_of, key

    async def window(self) -> int:
        """As `Complete.window`."""
        return self._window_of(self._model())

    async def is_built_in(self) -> bool:
        """As `Complete.is_built_in`."""
        return self._answering.is_built_in(self._model())

    async def count(self, texts: Sequence[str]) -> list[int]:
        """As `Count.count`."""
        name = self._answering.resolve(self._model())
        if self._answering.far is not None and self._answering.far.owns(name):
            return [1 + len(text.encode()) // 2 for text in texts]
        async with await self._keeper.ensure(name, key=self._key) as lease:
            if not isinstance(lease.engine, Counts):
                return [1 + len(text.encode()) // 2 for text in texts]
            empty, *found = [await lease.engine.count(_asking(name, text)) for text in ("", *texts)]
        return [max(0, each - empty) for each in found]

    async def stream(self, system: str, text: str, max_tokens: int) -> AsyncGenerator[str, None]:
        """As `Complete.stream`: without chance."""
        messages = Message("system", system), Message("user", text)
        request = ChatRequest(self._model(), messages, Sampling(temperature=0, max_tokens=max_tokens), stream=True)
        async with self._answering.open(request, Asking(self._key, admitted=True)) as answer:
            async for event in answer.events():
                if isinstance(event, TextDelta):
                    yield event.text


def _asking(name: str, text: str) -> ChatRequest:
    return ChatRequest(name, (Message("user", text),))
