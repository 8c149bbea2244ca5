"""The null engine: answers by rule, at once, without a model. For tests of everything that is not a model.

It repeats the last message of the user word by word; a tool that is required gets called with empty arguments. Of kind
"embedding" it makes vectors out of the words of a text, each word counted as a token, whatever their order; of kind "rerank" it
counts the words that a document shares with the query.
Promises: the same request always gives the same answer; it passes the Engine contract.
Does not cover: sampling, log probabilities and JSON forms: it ignores them.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import struct
from collections.abc import AsyncIterator, Iterable

from homefire.engines.embedding import check_dimensions, shortened, too_long
from homefire.engines.engine import require_kind
from homefire.engines.rendered import render_pieces
from homefire.errors import ContextOverflow, EngineDied, EngineFailed, EngineGone
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    Event,
    Finish,
    FinishReason,
    Ranking,
    RerankRequest,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReport,
)

# Words that it reads of one text, and values of a vector: one for each byte of a digest.
CONTEXT, WIDTH = 64, 32


class Null:
    """An Engine. `delay` is the seconds between two words, `fail_after` kills it after that many words of one answer; a chat of
    more than `window` words does not fit (0: any fits). It has the `adapters`, by their sha256, and notes in `adapted` which each
    request asked for."""

    def __init__(
        self,
        name: str,
        delay: float = 0.0,
        fail_after: int | None = None,
        kind: str = "chat",
        adapters: Iterable[str] = (),
    ) -> None:
        self.name = name
        self.kind = kind
        self.delay = delay
        self.fail_after = fail_after
        self.window = 0
        self.adapters = frozenset(adapters)
        self.adapted: list[tuple[tuple[str, float], ...]] = []
        self.running = 0
        self._ended = asyncio.Event()
        self._cause = ""
        self._started = False

    @property
    def pid(self) -> int | None:
        return None

    async def start(self) -> None:
        if self._started:
            raise RuntimeError(f"the engine of '{self.name}' was started already")
        self._started = True

    async def stop(self) -> None:
        if self._started:
            self._ended.set()

    async def wait(self) -> str:
        if not self._started:
            raise RuntimeError(f"the engine of '{self.name}' was never started")
        await self._ended.wait()
        return self._cause

    def crash(self, cause: str = "was told to crash") -> None:
        """Ends it as a crash would."""
        self._cause = cause
        self._ended.set()

    async def chat(self, request: ChatRequest) -> NullAnswer:
        words = await self.count(request)
        if self.window and words > self.window:
            problem = ContextOverflow(
                f"The prompt has {words} tokens, the context window {self.window}.", param="messages"
            )
            problem.limit = self.window
            raise problem
        self._adapt(request)
        return NullAnswer(self, request, _events(request))

    def has_adapters(self, digests: Iterable[str]) -> bool:
        """As `Adapts.has_adapters`."""
        return set(digests) <= self.adapters

    def _adapt(self, request: ChatRequest | CompletionRequest) -> None:
        if not self.has_adapters(digest for digest, _ in request.adapters):
            raise EngineFailed(f"The engine of '{self.name}' was started without the adapter that is asked for.")
        self.adapted.append(request.adapters)

    async def count(self, request: ChatRequest) -> int:
        """As `Counts.count`: words."""
        self._require("chat")
        return len(_prompt(request).split())

    async def rerank(self, request: RerankRequest) -> Ranking:
        """As `Reranks.rerank`."""
        self._require("rerank")
        query = set(request.query.split())
        tokens = sum(len(text.split()) + len(query) for text in request.documents)
        return Ranking(tuple(float(len(query & set(text.split()))) for text in request.documents), tokens)

    async def complete(self, request: CompletionRequest) -> NullAnswer:
        self._require("chat")
        self._adapt(request)
        return NullAnswer(self, request, _said(request.prompt, request.prompt, request.sampling.max_tokens))

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        self._require("embedding")
        wanted = request.dimensions or WIDTH
        check_dimensions(self.name, WIDTH, wanted)
        texts = [text.split() if isinstance(text, str) else [str(token) for token in text] for text in request.inputs]
        for at, words in enumerate(texts):
            if len(words) > CONTEXT and not request.truncate:
                raise too_long(self.name, at, len(words), CONTEXT)
        vectors = tuple(shortened(_vector(words[:CONTEXT]), wanted) for words in texts)
        for _ in texts:
            await asyncio.sleep(self.delay)
            if self.ended:
                raise EngineDied(f"The engine of '{self.name}' ended before it answered.")
        return Embeddings(vectors, sum(len(words[:CONTEXT]) for words in texts))

    def _require(self, kind: str) -> None:
        require_kind(self.name, self.kind, kind)
        if self._ended.is_set() or not self._started:
            raise EngineGone(f"The engine of '{self.name}' is not running.")

    @property
    def ended(self) -> bool:
        return self._ended.is_set()


class NullAnswer:
    """An Answer made of prepared events."""

    def __init__(self, engine: Null, request: ChatRequest | CompletionRequest, events: list[Event]) -> None:
        self._engine = engine
        self._request = request
        self._events = events
        self._open = True
        engine.running += 1

    async def events(self) -> AsyncIterator[Event]:
        for count, event in enumerate(self._events):
            if self._engine.fail_after is not None and count >= self._engine.fail_after:
                self._engine.crash("failed on request")
            if self._engine.ended:
                raise EngineDied(f"The engine of '{self._engine.name}' ended in the middle of the answer.")
            if self._engine.delay:
                await asyncio.sleep(self._engine.delay)
            yield event

    def pieces(self) -> AsyncIterator[bytes]:
        return render_pieces(self._request, self.events())

    async def close(self) -> None:
        if self._open:
            self._open = False
            self._engine.running -= 1


def _prompt(request: ChatRequest) -> str:
    return " ".join(message.content or "" for message in request.messages)


def _events(request: ChatRequest) -> list[Event]:
    last = next((m.content or "" for m in reversed(request.messages) if m.role == "user"), "")
    prompt = _prompt(request)
    choice = request.tool_choice
    if request.tools and choice not in ("auto", "none"):
        name = choice.removeprefix("function:") if ":" in choice else request.tools[0].name
        call = ToolCallDelta(0, "{}", "call_" + secrets.token_hex(8), name)
        return [call, Finish("tool_calls"), UsageReport(Usage(len(prompt.split()), 1))]
    return _said(last, prompt, request.sampling.max_tokens)


def _vector(words: list[str]) -> bytes:
    """The mean of the digests of the words, one byte a value, with length one."""
    digests = [hashlib.sha256(word.encode()).digest() for word in words] or [bytes(range(WIDTH))]
    sums = [float(sum(column)) - 127.5 * len(digests) for column in zip(*digests, strict=True)]
    return shortened(struct.pack(f"<{WIDTH + 1}f", *sums, 0.0), WIDTH)


def _said(text: str, prompt: str, limit: int | None) -> list[Event]:
    words = re.findall(r"\s*\S+\s*$|\s*\S+", text)
    kept = words if limit is None else words[:limit]
    reason: FinishReason = "stop" if len(kept) == len(words) else "length"
    said: list[Event] = [TextDelta(word) for word in kept]
    return [*said, Finish(reason), UsageReport(Usage(len(prompt.split()), len(kept)))]
