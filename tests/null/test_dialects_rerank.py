"""The rerank form: what is read, and the order of the results.

Promises: best first, equal scores as they came; texts come back only if they are wanted.
Does not cover: the route (`test_dialect_routes.py`), a real reranker (`tests/contract/test_engine_extras.py`).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from homefire.dialects import rerank
from homefire.dialects.rerank import Asked
from homefire.errors import InvalidRequest
from homefire.messages import Ranking, RerankRequest

FOUND = Ranking((0.1, 0.9, 0.1, -2.0), 12)


def read(**fields: Any) -> Asked:
    body = {"model": "m", "query": "q", "documents": ["a", {"text": "b"}, "c", "d"], **fields}
    return rerank.read_rerank(json.dumps(body).encode())


def test_read() -> None:
    assert read() == Asked(RerankRequest("m", "q", ("a", "b", "c", "d")), 4, False)
    assert (read(top_n=2).most, read(return_documents=True).shows) == (2, True)
    wrong: list[dict[str, Any]] = [
        {"query": ""}, {"documents": []}, {"documents": ["a", ""]}, {"documents": [{"text": "a", "x": 1}]}, {"top_n": 0},
        {"documents": ["x"] * 2049}, {"wish": 1}, {"model": None},
    ]  # fmt: skip
    for fields in wrong:
        with pytest.raises(InvalidRequest):
            read(**fields)


def test_render() -> None:
    found = json.loads(rerank.render_ranking(read(return_documents=True), FOUND))
    assert [(row["index"], row["relevance_score"], row["document"]["text"]) for row in found["results"]] == [
        (1, 0.9, "b"), (0, 0.1, "a"), (2, 0.1, "c"), (3, -2.0, "d"),
    ]  # fmt: skip
    assert found["usage"] == {"prompt_tokens": 12, "total_tokens": 12}
    few = json.loads(rerank.render_ranking(read(top_n=1), FOUND))["results"]
    assert few == [{"index": 1, "relevance_score": 0.9}]
