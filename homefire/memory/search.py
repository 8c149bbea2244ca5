"""Finding in memory: words, vectors, time and names, fused; or nothing, where nothing fits.

    question -> its time (`when.py`) -> words: FTS5, the rarest first -> vectors, if there is an embedder
             -> score -> hop: the names in the best, asked for beside the question -> floor

Promises: works without any model; a fact that was replaced stands behind the one that replaced it; below the floor nothing is
found, which is the answer "absent". No list of candidates grows with the memory.
Does not cover: writing (`facts.py`), making vectors (`memory.py` hands them in).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import apsw

from homefire.index.fusion import places_of, proximity, tokens
from homefire.index.query import STOP_WORDS
from homefire.memory import slots
from homefire.memory.when import Span

# Entries that the words of a question may bring; a word that more entries have says little and costs much.
MOST_ROWS, CANDIDATES = 1_500, 100
# What a question says about asking, not about the answer.
ASKING = frozenset(
    [
        "tell",
        "remind",
        "recall",
        "remember",
        "say",
        "said",
        "mention",
        "mentioned",
        "told",
        "talk",
        "talked",
        "discuss",
        "know",
        "again",
        "name",
        "exactly",
        "happen",
        "ever",
        "currently",
        "now",
        "today",
        "these",
        "days",
        "latest",
        "recent",
        "recently",
        "anything",
        "something",
        "thing",
        "please",
        "just",
        "about",
    ]
)
_ASKING = frozenset(word for each in ASKING for word in tokens(each))
# An answer has to have this share of what the question asks for, weighted by rarity; a vector this near; see docs/log.md.
FLOOR, NEAR = 0.55, 0.55
NAME, UNKNOWN = 1.0, 0.1
LOOKED_AT, BEFORE, LED_BY, LED_NEAR = 30, 6, 2, 0.9
# A time that fits is a part of the question that is answered.
TIMED = 0.3
MEANING, NAMED, TOGETHER, FACT, HOP = 0.9, 0.15, 0.1, 0.05, 0.98
REPLACED = 0.5
_DAY = 86_400.0
NO_TIME = Span()


@dataclass(frozen=True, slots=True)
class Recalled:
    """One result. `kind`: turn, step, summary or fact; `place` a message's id, "RUN:N" or "fact:N"; `score` 0 to about 2."""

    entry: int
    kind: str
    place: str
    thread: str
    role: str
    text: str
    at: float
    score: float
    why: Mapping[str, float] = field(default_factory=dict)
    replaced: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: `text` without the words of its time, `key` whose memory, `near` entries with their cosine (vectors),
    `counts` how many entries have a word, kept from one question to the next."""

    text: str
    key: str
    k: int
    now: float
    span: Span = NO_TIME
    near: Mapping[int, float] = field(default_factory=dict)
    floor: float = FLOOR
    counts: dict[str, int] = field(default_factory=dict)


def search(c: apsw.Connection, asked: Asked) -> list[Recalled]:
    """The best, best first; empty: memory does not know."""
    wanted = content_words(asked.text)
    if not wanted and not asked.near and not asked.span:
        return []
    weights = _weights(c, asked, wanted)
    found = _scored(c, asked, weights)
    names = [name.lower() for name in slots.names(asked.text)]
    best = [one for one in found if one.why.get("words", 0) >= asked.floor or asked.near.get(one.entry, 0) >= NEAR]
    best = [one for one in best[:LOOKED_AT] if _about(c, one, names)]
    if not best:
        return []
    return _with_hop(c, asked, best, weights)[: asked.k]


def _about(c: apsw.Connection, one: Recalled, names: Sequence[str]) -> bool:
    """Whether every name of the question stands in it or shortly before it: a sentence about somebody else is no answer."""
    missing = [name for name in names if name not in one.text.lower()]
    if not missing or one.kind == "fact":
        return not missing
    query = "SELECT text FROM memory_entries WHERE thread = ? AND id BETWEEN ? AND ?"
    before = " ".join(row[0] for row in _all(c, query, (one.thread, one.entry - BEFORE, one.entry - 1))).lower()
    return all(name in before for name in missing)


def content_words(text: str) -> list[str]:
    """The words of a question that an answer could have, rough stems, each once."""
    found = [
        word for word in dict.fromkeys(tokens(text)) if word not in STOP_WORDS and word not in _ASKING and len(word) > 1
    ]
    return found[:24]


def _weights(c: apsw.Connection, asked: Asked, wanted: Sequence[str]) -> dict[str, float]:
    """How much each word says: the logarithm of how few entries have it; of a name more, for it says whose. A word that no entry
    has cannot tell one from another and says little about whether there is an answer: people ask in other words. A name that no
    entry has says that there is none."""
    total = max(1, _one(c, "SELECT coalesce(max(id), 0) FROM memory_entries"))
    named = {word for name in slots.names(asked.text) for word in tokens(name)}
    found = {}
    for word in wanted:
        count = _count(c, asked, word)
        weight = math.log(1 + total / (1 + count))
        found[word] = weight * (NAME if word in named else UNKNOWN if not count else 1.0)
    return found


def _count(c: apsw.Connection, asked: Asked, word: str) -> int:
    if word not in asked.counts:
        query = "SELECT count(*) FROM (SELECT 1 FROM memory_words WHERE memory_words MATCH ? LIMIT 20000)"
        asked.counts[word] = _one(c, query, (_quoted(word),))
    return asked.counts[word]


def _scored(c: apsw.Connection, asked: Asked, weights: Mapping[str, float]) -> list[Recalled]:
    ids = list(dict.fromkeys([*_by_words(c, asked, weights), *asked.near]))
    if not weights and asked.span:
        ids += _newest(c, asked)
    rows = [row for row in _rows(c, asked.key, ids) if asked.span.holds(row[7])]
    named = {name.lower() for name in slots.names(asked.text)}
    states = _states(c, [int(row[3].removeprefix("fact:")) for row in rows if row[2] == "fact"])
    found = [_score(row, asked, weights, named, states=states) for row in rows]
    return sorted((one for one in found if one is not None), key=lambda one: (-one.score, -one.at, one.entry))


def _by_words(c: apsw.Connection, asked: Asked, weights: Mapping[str, float]) -> list[int]:
    """Entries with words of the question, the rarest words first, until there are enough."""
    chosen: list[str] = []
    rows = 0
    for word in sorted(weights, key=lambda each: -weights[each]):
        count = _count(c, asked, word)
        if chosen and rows + count > MOST_ROWS:
            break
        rows += count
        chosen.append(word)
    if not chosen:
        return []
    query = (
        "SELECT w.rowid FROM memory_words w WHERE memory_words MATCH ? ORDER BY w.rank LIMIT ?"
        if not asked.span
        else "SELECT w.rowid FROM memory_words w JOIN memory_entries e ON e.id = w.rowid WHERE memory_words MATCH ? "
        "AND e.at >= ? AND e.at < ? ORDER BY w.rank LIMIT ?"
    )
    match = " OR ".join(map(_quoted, chosen))
    bounds = (asked.span.since or 0.0, asked.span.until or 9e18) if asked.span else ()
    return [row[0] for row in _all(c, query, (match, *bounds, CANDIDATES))]


def _newest(c: apsw.Connection, asked: Asked) -> list[int]:
    query = "SELECT id FROM memory_entries WHERE key = ? AND at >= ? AND at < ? ORDER BY at DESC LIMIT ?"
    bounds = asked.span.since or 0.0, asked.span.until or 9e18
    return [row[0] for row in _all(c, query, (asked.key, *bounds, CANDIDATES))]


def _rows(c: apsw.Connection, key: str, ids: Sequence[int]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for first in range(0, len(ids), 500):
        some = ids[first : first + 500]
        query = (
            "SELECT id, key, kind, place, thread, role, text, at FROM memory_entries "  # nosec B608 # only question marks
            f"WHERE key = ? AND id IN ({', '.join('?' * len(some))})"
        )
        found += _all(c, query, (key, *some))
    return found


def _states(c: apsw.Connection, facts: Sequence[int]) -> dict[str, tuple[Any, ...]]:
    query = "SELECT 'fact:' || id, replaced_by, expires_at, label, confidence FROM memory_facts WHERE id = ?"
    return {row[0]: row[1:] for number in facts for row in _all(c, query, (number,))}


def _score(
    row: tuple[Any, ...], asked: Asked, weights: Mapping[str, float], named: set[str], *, states: Mapping[str, Any]
) -> Recalled | None:
    entry, _, kind, place, thread, role, text, at = row
    replaced, label = False, ""
    if kind == "fact":
        by, expires, label, confidence = states[place]
        replaced = by is not None
        if expires is not None and expires <= asked.now:
            return None
    total = sum(weights.values())
    found = sorted(places_of(list(weights), text[:4000]))
    share = sum(weights[word] for word in {word for _, word in found}) / total if total else 0.0
    share = TIMED + (1 - TIMED) * share if asked.span else share
    why = {"words": share, "meaning": MEANING * max(0.0, asked.near.get(entry, 0.0))}
    why["together"] = TOGETHER * proximity(list(weights), found, len(text)) if weights else 0.0
    why["named"] = NAMED * (len([name for name in named if name in text.lower()]) / len(named)) if named else 0.0
    # A question repeats its own words better than any answer: what asks is no answer.
    why["asks"] = -0.25 if text.rstrip().endswith("?") else 0.0
    why["fact"] = FACT * confidence if kind == "fact" else 0.0
    # Of two that fit equally the newer one: at most what one common word is worth.
    why["recent"] = 0.08 * math.exp(-max(0.0, asked.now - at) / (180 * _DAY))
    score = sum(why.values()) * (REPLACED if replaced else 1.0)
    shown = {name: round(value, 4) for name, value in why.items() if value}
    return Recalled(entry, kind, place, thread, role, text, at, round(score, 6), shown, replaced, label)


def _with_hop(c: apsw.Connection, asked: Asked, best: list[Recalled], weights: Mapping[str, float]) -> list[Recalled]:
    """Names in the best that the question lacks, asked for with the words that the best did not have: a second place that the
    first one leads to."""
    first = [one for one in best[:LED_BY] if one.score >= LED_NEAR * best[0].score]
    merged = {one.entry: one for one in best}
    for start in first:
        have = {word for _, word in places_of(list(weights), start.text)}
        open_words = [word for word in weights if word not in have]
        new = [name for name in slots.names(start.text) if name.lower() not in asked.text.lower()][:3]
        if not open_words or not new:
            continue
        hop = replace(asked, text=" ".join([*open_words, *new]), span=Span(), near={})
        more = _scored(c, hop, _weights(c, hop, content_words(hop.text)))
        named = [one for one in more if any(name in one.text for name in new) and one.why.get("words", 0) >= FLOOR]
        for one in named[:2]:
            lifted = replace(one, score=round(HOP * start.score, 6), why={**one.why, "hop": HOP})
            if one.entry not in merged:
                merged[one.entry] = lifted
    return sorted(merged.values(), key=lambda one: (-one.score, -one.at, one.entry))


def _quoted(word: str) -> str:
    # A rough stem is a beginning of the word: FTS5's own stem may be shorter or longer, a prefix finds both.
    return '"' + re.sub(r'"', "", word) + '"' + ("*" if len(word) > 3 else "")


def _all(c: apsw.Connection, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = c.execute(query, values).fetchall()
    return found


def _one(c: apsw.Connection, query: str, values: tuple[Any, ...] = ()) -> int:
    return int(_all(c, query, values)[0][0])
