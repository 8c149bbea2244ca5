"""Embedding beyond asking: batches, long texts, decomposed texts, shorter vectors; against a server that is a function.

Promises: what the server is asked is held word by word.
Does not cover: a real llama.cpp (`tests/contract/test_engine.py`, `tests/process/test_minilm.py`).
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import unicodedata
from typing import Any

import pytest

from homefire.engines import embedding
from homefire.engines.embedding import BATCH, Embedder, cut, shortened
from homefire.errors import ContextOverflow, EngineFailed, HomefireError, InvalidRequest
from homefire.messages import EmbeddingRequest

LIMIT = 20
Inputs = list[str | list[int]]


class Server:
    """Tokens are letters, between 1 and 2; a vector is the first and the last of them. `folds`: accents go."""

    def __init__(self, folds: bool = False, overflow: type[HomefireError] = EngineFailed) -> None:
        self.folds = folds
        self.overflow = overflow
        self.asked: list[Inputs] = []
        self.tokenized: list[str] = []
        self.lost = 0
        self.fails = False
        self.calls = 0

    def ids(self, text: str | list[int]) -> list[int]:
        if isinstance(text, list):
            return text
        plain = text.replace("\u00e9", "e") if self.folds else text
        return [1, *map(ord, plain), 2]

    async def ask(self, path: str, body: bytes | None) -> bytes:
        if path == "/props":
            return json.dumps({"default_generation_settings": {"n_ctx": LIMIT}}).encode()
        asked = json.loads(body or b"")
        if path == "/tokenize":
            self.tokenized.append(asked["content"])
            return json.dumps({"tokens": self.ids(asked["content"])}).encode()
        self.calls += 1
        if self.fails:
            raise EngineFailed("boom")
        self.asked.append(asked["input"])
        ids = [self.ids(text) for text in asked["input"]]
        if any(len(each) > LIMIT for each in ids):
            raise self.overflow("too large")
        rows: list[Any] = [
            {"index": at, "embedding": base64.b64encode(struct.pack("<3f", each[0], each[-1], len(each))).decode()}
            for at, each in enumerate(ids)
        ]
        answer = {"data": rows[: len(rows) - self.lost], "usage": {"prompt_tokens": sum(map(len, ids))}}
        return json.dumps(answer).encode()


async def learned(server: Server) -> Embedder:
    made = Embedder("m", server.ask)
    await made.learn()
    server.asked.clear()
    server.tokenized.clear()
    return made


def embed(server: Server, *inputs: str | tuple[int, ...], **fields: Any) -> Any:
    async def work() -> Any:
        return await (await learned(server)).embed(EmbeddingRequest("m", inputs, **fields))

    return asyncio.run(work())


def test_many_texts_go_in_batches() -> None:
    server = Server()
    found = embed(server, *(f"t{at}" for at in range(2 * BATCH + 1)))
    assert [len(each) for each in server.asked] == [BATCH, BATCH, 1]
    assert [text for each in server.asked for text in each] == [f"t{at}" for at in range(2 * BATCH + 1)]
    assert found.tokens == sum(len(f"t{at}") + 2 for at in range(2 * BATCH + 1))
    assert server.tokenized == [], "nothing is counted as long as it fits"


@pytest.mark.parametrize("overflow", [EngineFailed, ContextOverflow])
def test_a_long_text_is_found_and_named(overflow: type[HomefireError]) -> None:
    server = Server(overflow=overflow)
    texts = ["short"] * BATCH + ["x" * (LIMIT - 2), "y" * (LIMIT - 1), "z" * 99]
    with pytest.raises(ContextOverflow, match=f"{LIMIT + 1} tokens.*'m'.*at most {LIMIT}") as caught:
        embed(server, *texts)
    assert caught.value.param == f"input[{BATCH + 1}]"
    assert server.tokenized == ["x" * (LIMIT - 2), "y" * (LIMIT - 1)], "what is surely short is not counted"


def test_a_long_text_is_cut_if_the_request_says_so() -> None:
    server = Server()
    embed(server, "short", "y" * 30, tuple(range(50, 80)), (*range(50, 80), 2), truncate=True)
    y = ord("y")
    assert server.asked[-1] == [
        "short", [1, *[y] * (LIMIT - 2), 2], [*range(50, 50 + LIMIT)], [*range(50, 50 + LIMIT - 1), 2],
    ]  # fmt: skip


def test_another_failure_stays_what_it_is() -> None:
    server = Server()

    async def work() -> None:
        made = await learned(server)
        server.fails, server.calls = True, 0
        with pytest.raises(EngineFailed, match="boom"):
            await made.embed(EmbeddingRequest("m", ("x", "y" * 18)))
        assert server.calls == 1, "nothing was too long, so nothing is sent again"

    asyncio.run(work())


def test_a_vector_too_few_is_a_failure() -> None:
    server = Server()

    async def work() -> None:
        made = await learned(server)
        server.lost = 1
        with pytest.raises(EngineFailed, match="1 vectors for 2 texts"):
            await made.embed(EmbeddingRequest("m", ("x", "y")))

    asyncio.run(work())


@pytest.mark.parametrize("folds", [True, False])
def test_texts_are_decomposed_where_accents_go(folds: bool) -> None:
    server = Server(folds)
    embed(server, "한국 é", "plain", (5, 6))
    wanted = unicodedata.normalize("NFD", "한국 é") if folds else "한국 é"
    assert server.asked == [[wanted, "plain", [5, 6]]]
    assert (len(wanted) == 9) == folds


def test_more_values_than_there_are() -> None:
    server = Server()
    with pytest.raises(InvalidRequest, match="3 values; 4 were") as caught:
        embed(server, "x", dimensions=4)
    assert caught.value.param == "dimensions"
    assert server.asked == [], "refused before anything is computed"


def test_shortened() -> None:
    vector = struct.pack("<3f", 3, 4, 12)
    assert shortened(vector, 3) is vector
    assert struct.unpack("<2f", shortened(vector, 2)) == pytest.approx((0.6, 0.8))
    assert shortened(struct.pack("<2f", 0, 1), 1) == struct.pack("<f", 0), "nothing to make longer"


@pytest.mark.parametrize(
    ("tokens", "around", "kept"),
    [
        ([1, 5, 6, 7, 8, 2], [1, 2], [1, 5, 6, 2]),
        ([1, 5, 6, 7, 8], [1], [1, 5, 6, 7]),
        ([5, 6, 7, 8, 2], [2], [5, 6, 7, 2]),
        ([5, 6, 7, 8, 9], [], [5, 6, 7, 8]),
        ([5, 6, 7, 8, 9], [1, 2], [5, 6, 7, 8]),
    ],
    ids=["both", "begins", "ends", "neither", "tokens as given"],
)
def test_cut(tokens: list[int], around: list[int], kept: list[int]) -> None:
    assert cut(tokens, around, 4) == kept


def test_an_error_of_the_engine_names_the_input() -> None:
    assert embedding.too_long("m", 3, 1234, 512).param == "input[3]"
    assert "1,234" in embedding.too_long("m", 3, 1234, 512).message
