"""OpenAI's routes. The token path: what the engine says passes through as bytes.

Promises: an error before the first byte is an HTTP error; after it, the last event of the stream, and `[DONE]` is missing; a
model of the wrong kind is refused before anything is loaded.
Does not cover: reading the wire form (`dialects/openai.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from starlette.types import Receive, Scope, Send

from homefire.dialects import openai
from homefire.engines.engine import Answer
from homefire.errors import HomefireError, InvalidRequest, NoEmbeddingModel
from homefire.messages import ChatRequest, CompletionRequest, EmbeddingRequest
from homefire.server.answering import Answering, Asking
from homefire.server.overflow import open_fitting, wants_drop
from homefire.server.request import begin_events, caller, end_events, read_body, send_bytes, until_gone


def _nobody() -> str:
    return ""


class OpenAIRoutes:
    """Handlers of `/v1`. `default_model` gives the name of the model that answers requests which name none, `default_embedder`
    that of the one which makes their embeddings ("" or None: the only one there is)."""

    def __init__(
        self,
        answering: Answering,
        default_model: Callable[[], str],
        body_limit: int,
        started: float,
        *,
        default_embedder: Callable[[], str | None] = _nobody,
    ) -> None:
        self._answering = answering
        self._library = answering.library
        self._default_model = default_model
        self._limit = body_limit
        self._started = started
        self._default_embedder = default_embedder

    async def chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/chat/completions"""
        request = openai.read_chat(await read_body(scope, receive, self._limit), self._default_model())
        await until_gone(self._answer(request, wants_drop(scope), caller(scope), send), receive)

    async def completion(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/completions"""
        request = openai.read_completion(await read_body(scope, receive, self._limit), self._default_model())
        await until_gone(self._answer(request, False, caller(scope), send), receive)

    async def embeddings(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/embeddings"""
        request = openai.read_embedding(await read_body(scope, receive, self._limit))
        request = replace(request, model=request.model or self._default_embedder() or self._only_embedder())
        await until_gone(self._embed(request, caller(scope), send), receive)

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models"""
        rows = [
            (str(model.name), self._started, model.facts.context_length)
            for model in self._library.all()
            if model.facts.kind != "adapter"  # it is asked for with its base
        ]
        rows += [(name, self._started, window) for name, window in self._answering.offered()]
        await send_bytes(send, openai.render_models(rows), b"application/json")

    async def model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models/{model}"""
        name = scope["path_params"]["model"]
        window = dict(self._answering.offered()).get(name)
        if window is None:
            window = self._library.get(name).facts.context_length
        body = openai.render_model(name, self._started, window)
        await send_bytes(send, body, b"application/json")

    async def _answer(self, request: ChatRequest | CompletionRequest, drop: bool, key: str, send: Send) -> None:
        async with open_fitting(self._answering, request, drop, Asking(key, request.keep_alive, as_bytes=True)) as (
            answer,
            headers,
        ):
            if request.stream:
                await _stream(answer, send, headers)
            else:
                body = b"".join([piece async for piece in answer.pieces()])
                await send_bytes(send, body, b"application/json", extra=headers)

    async def _embed(self, request: EmbeddingRequest, key: str, send: Send) -> None:
        found = await self._answering.embedded(request, Asking(key, request.keep_alive))
        pieces = []
        for piece in openai.render_embeddings(request, found.value):
            pieces.append(piece)
            await asyncio.sleep(0)  # a large answer must not keep the tokens of others waiting
        await send_bytes(send, b"".join(pieces), b"application/json", extra=found.headers)

    def _only_embedder(self) -> str:
        """The embedding model, if there is one and no other."""
        found = [model.name for model in self._library.all() if model.facts.kind == "embedding"]
        if not found:
            raise NoEmbeddingModel("No embedding model is installed.", param="model")
        if len(found) > 1:
            raise InvalidRequest(
                f"The request names no model, and several make embeddings: {', '.join(found)[:500]}.",
                "Name one in 'model', or give one the role 'embed'.",
                param="model",
            )
        return found[0]


async def _stream(answer: Answer, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    await begin_events(send, extra=headers)
    try:
        async for piece in answer.pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except HomefireError as problem:
        await send({"type": "http.response.body", "body": openai.render_error_event(problem), "more_body": True})
    await end_events(send)
