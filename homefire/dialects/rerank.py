"""The rerank form that Jina, Cohere and local servers share: a query, documents, a score for each.

Source: the API references of Jina (v1/rerank) and Cohere (v2/rerank), November 2026.
Promises: `read_rerank` gives a value or raises InvalidJson or InvalidRequest that names the field; results come best first, equal
scores in the order of the documents.
Does not cover: which model ranks; documents of other kinds than text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from homefire.dialects.strict import Closed, decode
from homefire.errors import InvalidRequest
from homefire.messages import Ranking, RerankRequest

MAX_DOCUMENTS = 2048
Text = Annotated[str, Meta(min_length=1)]


class Document(Closed):
    text: Text


class RerankBody(Closed, kw_only=True):
    model: Annotated[str, Meta(min_length=1, max_length=256)]
    query: Text
    documents: Annotated[list[Text | Document], Meta(min_length=1)]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool | None = None
    user: str | None = None


_body = msgspec.json.Decoder(RerankBody)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was asked. `most`: how many results are wanted; `shows`: with their texts."""

    request: RerankRequest
    most: int
    shows: bool


def read_rerank(body: bytes) -> Asked:
    """A request of `POST /v1/rerank`."""
    found = decode(_body, body)
    texts = tuple(each if isinstance(each, str) else each.text for each in found.documents)
    if len(texts) > MAX_DOCUMENTS:
        raise InvalidRequest(
            f"'documents' holds {len(texts):,} texts; one request takes {MAX_DOCUMENTS:,}.",
            "Send several requests.",
            param="documents",
        )
    request = RerankRequest(found.model, found.query, texts)
    return Asked(request, found.top_n or len(texts), bool(found.return_documents))


def render_ranking(asked: Asked, found: Ranking) -> bytes:
    """The answer."""
    texts = asked.request.documents
    order = sorted(range(len(texts)), key=lambda at: -found.scores[at])[: asked.most]
    results = [
        {
            "index": at,
            "relevance_score": found.scores[at],
            **({"document": {"text": texts[at]}} if asked.shows else {}),
        }
        for at in order
    ]
    usage = {"prompt_tokens": found.tokens, "total_tokens": found.tokens}
    return _encode({"object": "list", "model": asked.request.model, "results": results, "usage": usage})
