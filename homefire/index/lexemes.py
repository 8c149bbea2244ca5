"""Texts and queries in the form of PostgreSQL's text search, made of the same words as the index in the home (`words.py`).

The server parses nothing: a tsvector and a tsquery are written out here, so an identifier has the same parts in both.
Promises: pure; whatever stands in a text or a query, what comes out is valid.
Does not cover: how the server ranks (`knowledge/postgres.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from homefire.errors import InvalidRequest
from homefire.index.identifiers import split_identifiers
from homefire.index.query import MAX_QUERY, STOP_WORDS, Atom, parse
from homefire.index.words import PHRASE_WEIGHT, WordRow, _analyzer

# PostgreSQL's bounds: the place of a word in its text, and places that are kept of one word.
LAST_PLACE, MOST_PLACES = 16383, 255
# Between a name and the text behind it, so that no phrase runs over both.
GAP = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """A query: `wishes` (a tsquery and its weight), what must and what must not be there (tsqueries; "" for nothing)."""

    wishes: tuple[tuple[str, float], ...]
    must: str
    must_not: str


def vectors_of(rows: Sequence[WordRow]) -> list[str]:
    """A tsvector for each chunk; words of its name have the weight A."""
    analyze = _analyzer().analyze
    names = split_identifiers([row.name.encode("utf-8", "replace") for row in rows])
    texts = split_identifiers([row.text for row in rows])
    found = []
    for name, text in zip(names, texts, strict=True):
        places: dict[str, list[str]] = {}
        words = analyze(name)
        for place, word in enumerate(words[:LAST_PLACE], 1):
            places.setdefault(word, []).append(f"{place}A")
        for place, word in enumerate(analyze(text)[: LAST_PLACE - GAP - len(words)], len(words) + GAP):
            places.setdefault(word, []).append(str(place))
        found.append(" ".join(f"'{word}':{','.join(at[:MOST_PLACES])}" for word, at in places.items()))
    return found


def wanted(query: str) -> Wanted:
    """What a person typed. Raises InvalidRequest for more than MAX_QUERY characters."""
    if len(query) > MAX_QUERY:
        raise InvalidRequest(f"The query has {len(query)} characters; {MAX_QUERY} are allowed.", "Shorten it.")
    analyze = _analyzer().analyze
    wishes: dict[str, float] = {}
    must: list[str] = []
    must_not: list[str] = []
    for atom in parse(query):
        tokens = analyze(split_identifiers([atom.text.encode("utf-8", "replace")])[0])
        if not tokens:
            continue
        whole = _whole(atom, tokens)
        if atom.sign:
            (must if atom.sign == "+" else must_not).append(f"({whole})")
            continue
        if len(tokens) > 1 or atom.kind == "prefix":
            wishes[whole] = PHRASE_WEIGHT if len(tokens) > 1 else 1.0
        if atom.kind == "word":
            for token in [token for token in tokens if token not in STOP_WORDS] or tokens:
                wishes[f"'{token}'"] = 1.0
    return Wanted(tuple(wishes.items()), " & ".join(must), " | ".join(must_not))


def _whole(atom: Atom, tokens: Sequence[str]) -> str:
    """An atom's words in a row; a prefix ends in the word as it was typed, for the stems that it begins, and in its own stem."""
    row = [f"'{token}'" for token in tokens]
    if atom.kind == "prefix":
        plain = split_identifiers([atom.text.encode("utf-8", "replace")])[0].lower().split()
        typed = "".join(letter for letter in plain[-1] if letter.isalnum()) if plain else ""
        row[-1] = f"('{typed or tokens[-1]}':* | {row[-1]})"
    return " <-> ".join(row)
