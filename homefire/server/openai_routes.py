"""OpenAI's routes. The token path: what the engine says passes through as bytes.

Promises: an error before the first byte is an HTTP error; after it, the last event of the stream, and `[DONE]` is missing.
Does not cover: reading the wire form (`dialects/openai.py`).
"""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from homefire.dialects import openai
from homefire.engines.engine import Answer
from homefire.errors import HomefireError, NoEmbeddingModel
from homefire.messages import ChatRequest, CompletionRequest
from homefire.models import Library
from homefire.residency import Keeper
from homefire.server.request import begin_events, end_events, read_body, send_bytes, until_gone


class OpenAIRoutes:
    """Handlers of `/v1`. `default_model` answers requests that name none."""

    def __init__(self, keeper: Keeper, library: Library, default_model: str, body_limit: int, started: float) -> None:
        self._keeper = keeper
        self._library = library
        self._default_model = default_model
        self._limit = body_limit
        self._started = started

    async def chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/chat/completions"""
        request = openai.read_chat(await read_body(scope, receive, self._limit), self._default_model)
        await until_gone(self._answer(request, send), receive)

    async def completion(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/completions"""
        request = openai.read_completion(await read_body(scope, receive, self._limit), self._default_model)
        await until_gone(self._answer(request, send), receive)

    async def embeddings(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/embeddings"""
        request = openai.read_embedding(await read_body(scope, receive, self._limit))
        if request.model is not None:
            self._library.get(request.model)
        raise NoEmbeddingModel("No embedding model is installed.", param="model")

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models"""
        rows = [(model.name, self._started, model.facts.context_length) for model in self._library.all()]
        await send_bytes(send, openai.render_models(rows), b"application/json")

    async def model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models/{model}"""
        found = self._library.get(scope["path_params"]["model"])
        body = openai.render_model(found.name, self._started, found.facts.context_length)
        await send_bytes(send, body, b"application/json")

    async def _answer(self, request: ChatRequest | CompletionRequest, send: Send) -> None:
        async with await self._keeper.ensure(request.model) as lease:
            if isinstance(request, ChatRequest):
                answer: Answer = await lease.engine.chat(request)
            else:
                answer = await lease.engine.complete(request)
            try:
                if request.stream:
                    await _stream(answer, send)
                else:
                    body = b"".join([piece async for piece in answer.pieces()])
                    await send_bytes(send, body, b"application/json")
            finally:
                await answer.close()


async def _stream(answer: Answer, send: Send) -> None:
    await begin_events(send)
    try:
        async for piece in answer.pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except HomefireError as problem:
        await send({"type": "http.response.body", "body": openai.render_error_event(problem), "more_body": True})
    await end_events(send)
