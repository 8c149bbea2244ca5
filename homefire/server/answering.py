"""From a request to an answer under way: the one door to the engines for every dialect and for the conversations.

Promises: a model of the wrong kind is refused before anything is loaded; leaving the context closes the answer and gives the
lease back, whatever happened. Does not cover: wire forms (`dialects/`), who else may answer when this model fails.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from homefire.engines.engine import Answer, require_kind
from homefire.messages import ChatRequest, CompletionRequest, EmbeddingRequest, Embeddings
from homefire.models import Library
from homefire.residency import Keeper


class Answering:
    """Finds the model, waits for it, asks it."""

    def __init__(self, keeper: Keeper, library: Library) -> None:
        self.keeper = keeper
        self.library = library

    @contextlib.asynccontextmanager
    async def open(self, request: ChatRequest | CompletionRequest) -> AsyncIterator[Answer]:
        """An answer under way. Raises UnknownModel, WrongModelKind, and what `Keeper.ensure` and `Engine.chat` raise."""
        require_kind(request.model, self.library.get(request.model).facts.kind, "chat")
        async with await self.keeper.ensure(request.model) as lease:
            if isinstance(request, ChatRequest):
                answer: Answer = await lease.engine.chat(request)
            else:
                answer = await lease.engine.complete(request)
            try:
                yield answer
            finally:
                await answer.close()

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """The vectors of a request. Raises as `open`."""
        require_kind(request.model, self.library.get(request.model).facts.kind, "embedding")
        async with await self.keeper.ensure(request.model) as lease:
            return await lease.engine.embed(request)
