"""Embeddings on the wire: what OpenAI's clients send, what llama.cpp is asked and answers, what goes back.

Promises: each form of `input` and each field of the request has a row here; both forms of a vector hold the same 32-bit floats.
Does not cover: OpenAI's own client and a real llama.cpp (`tests/contract`), random input (`test_fuzz.py`).
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from homefire.dialects import llamacpp, openai
from homefire.dialects.openai import EmbeddingBody
from homefire.errors import EngineFailed, InvalidRequest
from homefire.messages import EmbeddingRequest, Embeddings


def read(**fields: Any) -> EmbeddingRequest:
    return openai.read_embedding(json.dumps({"input": "x", **fields}).encode())


READ: list[tuple[dict[str, Any], EmbeddingRequest]] = [
    ({}, EmbeddingRequest("", ("x",))),
    ({"input": ["a", "b"]}, EmbeddingRequest("", ("a", "b"))),
    ({"input": [5, 6]}, EmbeddingRequest("", ((5, 6),))),
    ({"input": [[5, 6], [7]]}, EmbeddingRequest("", ((5, 6), (7,)))),
    ({"input": ["a", [7]]}, EmbeddingRequest("", ("a", (7,)))),
    ({"input": ["x"] * 2048}, EmbeddingRequest("", ("x",) * 2048)),
    ({"input": list(range(3000))}, EmbeddingRequest("", (tuple(range(3000)),))),
    ({"input": " "}, EmbeddingRequest("", (" ",))),
    ({"model": "m"}, EmbeddingRequest("m", ("x",))),
    ({"dimensions": 3}, EmbeddingRequest("", ("x",), dimensions=3)),
    ({"truncate": True}, EmbeddingRequest("", ("x",), truncate=True)),
    ({"truncate": False}, EmbeddingRequest("", ("x",))),
    ({"encoding_format": "base64"}, EmbeddingRequest("", ("x",), packed=True)),
    ({"encoding_format": "float"}, EmbeddingRequest("", ("x",))),
    ({"keep_alive": "1h"}, EmbeddingRequest("", ("x",), keep_alive=3600.0)),
    ({"user": "u"}, EmbeddingRequest("", ("x",))),
]


@pytest.mark.parametrize(("fields", "wanted"), READ, ids=lambda value: str(value)[:50])
def test_read(fields: dict[str, Any], wanted: EmbeddingRequest) -> None:
    assert read(**fields) == wanted


def test_every_field_has_a_row() -> None:
    named = {name for fields, _ in READ for name in fields}
    assert named == set(EmbeddingBody.__struct_fields__)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"input": ""}, "input"),
    ({"input": []}, "input"),
    ({"input": ["a", ""]}, "input[1]"),
    ({"input": [[]]}, "input[0]"),
    ({"input": [[5], []]}, "input[1]"),
    ({"input": ["x"] * 2049}, "input"),
    ({"input": ["a", 5]}, "input[1]"),
    ({"input": [5, "a"]}, "input"),
    ({"input": [5, [6]]}, "input"),
    ({"input": [-1]}, "input[0]"),
    ({"input": [2**31]}, "input[0]"),
    ({"input": [[-1]]}, "input[0][0]"),
    ({"input": [1.5]}, "input[0]"),
    ({"input": [True]}, "input[0]"),
    ({"input": [["a"]]}, "input[0][0]"),
    ({"input": None}, "input"),
    ({"input": {"text": "x"}}, "input"),
    ({"model": ""}, "model"),
    ({"dimensions": 0}, "dimensions"),
    ({"dimensions": 2.5}, "dimensions"),
    ({"truncate": "END"}, "truncate"),
    ({"keep_alive": "soon"}, "keep_alive"),
    ({"encoding_format": "hex"}, "encoding_format"),
    ({"colour": 1}, "colour"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_values_name_their_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    assert caught.value.param == param
    assert caught.value.next_step and len(caught.value.message) < 300


def test_asked_of_llamacpp() -> None:
    body = json.loads(llamacpp.render_embedding(["a", (5, 6)]))
    assert body == {"input": ["a", [5, 6]], "encoding_format": "base64"}
    assert json.loads(llamacpp.render_tokenize("a")) == {"content": "a", "add_special": True, "parse_special": True}


def packed(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def answer(*rows: tuple[int, bytes]) -> bytes:
    """What llama.cpp answers, with some of the fields that are not read."""
    data = [{"index": at, "object": "embedding", "embedding": base64.b64encode(v).decode()} for at, v in rows]
    return json.dumps({"model": "m", "usage": {"prompt_tokens": 7, "total_tokens": 7}, "data": data}).encode()


def test_read_from_llamacpp() -> None:
    one, other = packed(0.6, 0.8), packed(1, 0)
    assert llamacpp.read_embeddings(answer((1, other), (0, one))) == Embeddings((one, other), 7)
    assert llamacpp.read_tokens(b'{"tokens": [101, 102]}') == [101, 102]
    assert llamacpp.read_context(b'{"default_generation_settings": {"n_ctx": 512, "x": 1}}') == 512


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"data": []}', b'{"data": [{"index": 0}], "usage": {"prompt_tokens": 1}}']
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(EngineFailed, match="no vectors"):
        llamacpp.read_embeddings(body)


@pytest.mark.parametrize("count", [1, 2, 64, 65, 200])
def test_rendered(count: int) -> None:
    vectors = tuple(packed(at, 0.1, -1e-9) for at in range(count))
    found = Embeddings(vectors, 9)
    for as_bytes in (False, True):
        request = EmbeddingRequest("m", ("x",) * count, packed=as_bytes)
        body = json.loads(b"".join(openai.render_embeddings(request, found)))
        assert (body["object"], body["model"]) == ("list", "m")
        assert body["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
        assert [row["index"] for row in body["data"]] == list(range(count))
        assert {row["object"] for row in body["data"]} == {"embedding"}
        rows = [row["embedding"] for row in body["data"]]
        assert [base64.b64decode(row) if as_bytes else packed(*row) for row in rows] == list(vectors)
