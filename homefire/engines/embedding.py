"""Vectors from llama.cpp's server: batches, texts that are too long, a tokenizer that parts from its original, shorter vectors.

llama.cpp's WordPiece takes accents away with tables that cannot part Hangul into its letters, as BERT's own tokenizer does; so a
text for a model that takes accents away is sent in Unicode's decomposed form (NFD). Not mended by that: with such models
llama.cpp also drops spacing marks (the vowel signs of Devanagari, Bengali and their relatives), and reads words of more than 100
letters, which BERT gives up as unknown.
Promises: vectors in the order of the inputs, each of length one; an input that is too long is found and named, or cut if the
request says so, never in silence; no batch holds a slot for longer than `BATCH` texts take.
Does not cover: how the server is reached (`llamacpp.py` hands in what asks it).
"""

from __future__ import annotations

import math
import struct
import unicodedata
from collections.abc import Awaitable, Callable, Sequence

from homefire.dialects import llamacpp
from homefire.errors import ContextOverflow, EngineFailed, InvalidRequest
from homefire.messages import EmbeddingRequest, Embeddings

# Inputs in one request to the child: enough to fill it, few enough that others get their turn.
BATCH = 32
# More tokens than bytes comes only from the tokens that a tokenizer puts around a text.
AROUND = 8
Input = str | tuple[int, ...]
# Path and body (None: a GET) to the whole answer. Raises what the engine's errors mean.
Ask = Callable[[str, bytes | None], Awaitable[bytes]]


class Embedder:
    """What asks one server. `learn` first; then `embed` any number of times, also at once."""

    def __init__(self, name: str, ask: Ask) -> None:
        self._name = name
        self._ask = ask
        self._limit = 0
        self._width = 0
        self._around: list[int] = []
        self._folds = False

    async def learn(self) -> None:
        """Asks the server what it needs to know of the model. Raises EngineFailed if it makes no vectors."""
        self._limit = llamacpp.read_context(await self._ask(llamacpp.PROPERTIES_PATH, None))
        self._around = await self._tokens("")
        self._folds = await self._tokens("e") == await self._tokens("\u00e9")
        try:
            (vector,) = (await self._vectors(["x"])).vectors
        except InvalidRequest as problem:
            raise EngineFailed(
                f"'{self._name}' makes no embeddings: {problem.message}",
                "Get another file of this model, one whose header names its pooling.",
            ) from None
        self._width = len(vector) // 4

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """As `Engine.embed`."""
        wanted = request.dimensions or self._width
        check_dimensions(self._name, self._width, wanted)
        vectors: list[bytes] = []
        tokens = 0
        for start in range(0, len(request.inputs), BATCH):
            batch = [self._decomposed(each) for each in request.inputs[start : start + BATCH]]
            try:
                found = await self._vectors(batch)
            except (
                ContextOverflow,
                EngineFailed,
            ) as problem:  # which of the two is said of a long text depends on its length
                fitting = [await self._fitting(each, start + at, request.truncate) for at, each in enumerate(batch)]
                if fitting == batch:
                    raise problem from None
                found = await self._vectors(fitting)
            vectors += [shortened(vector, wanted) for vector in found.vectors]
            tokens += found.tokens
        return Embeddings(tuple(vectors), tokens)

    def _decomposed(self, text: Input) -> Input:
        if isinstance(text, str) and self._folds and not text.isascii():
            return unicodedata.normalize("NFD", text)
        return text

    async def _fitting(self, text: Input, at: int, truncate: bool) -> Input:
        """The input if it is short enough, else cut, if that is allowed."""
        if isinstance(text, str) and len(text.encode()) + AROUND <= self._limit:
            return text
        tokens = await self._tokens(text) if isinstance(text, str) else list(text)
        if len(tokens) <= self._limit:
            return text
        if not truncate:
            raise too_long(self._name, at, len(tokens), self._limit)
        return tuple(cut(tokens, self._around, self._limit))

    async def _vectors(self, inputs: Sequence[Input]) -> Embeddings:
        try:
            body = await self._ask(llamacpp.EMBEDDING_PATH, llamacpp.render_embedding(inputs))
        except InvalidRequest as problem:
            raise InvalidRequest(problem.message, param="input") from None
        found = llamacpp.read_embeddings(body)
        if len(found.vectors) != len(inputs):
            raise EngineFailed(
                f"The engine of '{self._name}' gave {len(found.vectors)} vectors for {len(inputs)} texts."
            )
        return found

    async def _tokens(self, text: str) -> list[int]:
        return llamacpp.read_tokens(await self._ask(llamacpp.TOKENIZE_PATH, llamacpp.render_tokenize(text)))


def check_dimensions(name: str, width: int, wanted: int) -> None:
    """Raises InvalidRequest if more values are wanted than the model's vectors have."""
    if wanted > width:
        raise InvalidRequest(
            f"'{name}' makes vectors of {width:,} values; {wanted:,} were asked for.",
            "Leave 'dimensions' out, or ask for fewer.",
            param="dimensions",
        )


def too_long(name: str, at: int, tokens: int, limit: int) -> ContextOverflow:
    """The error for input number `at`, which has more tokens than the model reads at once."""
    return ContextOverflow(
        f"Text {at} of 'input' (the first is 0) has {tokens:,} tokens; '{name}' reads at most {limit:,} at once.",
        'Cut it into shorter texts, or send "truncate": true to have its end left out.',
        param=f"input[{at}]",
    )


def cut(tokens: Sequence[int], around: Sequence[int], limit: int) -> list[int]:
    """The first `limit` tokens. Where the tokenizer ends every text with a token of its own, so does what is left. `around`: the
    tokens of an empty text."""
    ends = list(around[-1:]) if list(tokens[-1:]) == list(around[-1:]) else []
    return [*tokens[: limit - len(ends)], *ends]


def shortened(vector: bytes, dimensions: int) -> bytes:
    """The first `dimensions` values of a vector, with length one again."""
    if len(vector) == 4 * dimensions:
        return vector
    values = struct.unpack(f"<{dimensions}f", vector[: 4 * dimensions])
    norm = math.sqrt(sum(value * value for value in values)) or 1.0
    return struct.pack(f"<{dimensions}f", *(value / norm for value in values))
