"""One place that a search found.

Promises: values only.
Does not cover: how it was found (`search.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Found:
    """Bytes `start` to `end` of a document's text, which are `text`, in lines `first_line` to `end_line`; of these, `line` fits
    the question best. `path` is the document as people read it; `label` the place in words (headings, a symbol); `handle` names
    the bytes for good; `also` are other documents with the same text; `modified` in Unix seconds; `why` says which lists and
    terms the `score` comes from."""

    collection: str
    path: str
    kind: str
    language: str
    line: int
    first_line: int
    end_line: int
    start: int
    end: int
    label: str
    text: str
    score: float
    modified: float
    handle: str
    also: tuple[str, ...] = ()
    why: dict[str, Any] = field(default_factory=dict)
