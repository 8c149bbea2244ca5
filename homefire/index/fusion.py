"""One list out of several: reciprocal rank fusion, places kept for words, and a light re-ranker. Pure.

A chunk's score is the sum of weight / (k + its place) over the lists it stands in. With k = 10 the first places count; the usual
60 lets a middling place in two lists beat a first place in one (measured: paraphrases found first, .10 instead of .73). Meaning
weighs 1.5: for a question without a word of the text the words return noise, which would tie with the right answer.

A place in the list of words counts for less, the fewer of the question's words the chunk has: a question in other words than
the text's finds noise there. A chunk with all of them rises, most where they stand together: BM25 takes a short chunk with most
of them before a long one with all, and then a key that differs in one word or digit is not found first.

Promises: the best of the words stay among the first ten, whatever the other lists say: an exact key must not drown in a weak
list of meaning. Every result carries why it is where it is. The same input gives the same order.
Does not cover: scores of one list against another (they cannot be compared); cross-encoders.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from homefire.index.hits import Hit
from homefire.index.query import STOP_WORDS

K = 10
WEIGHTS: Mapping[str, float] = {"words": 1.0, "meaning": 1.5}
# A question that names something exactly (an identifier, a number, a quotation): what stands there in letters counts more.
EXACT_WEIGHTS: Mapping[str, float] = {"words": 1.0, "meaning": 0.7}
_EXACT = re.compile(
    r"\w*\d[\w.]{2,}|[A-Za-z]{2,}\d\w*|\w+_\w+|[a-z]+[A-Z]\w*|\w+\(\)|\w+::\w+|\"[^\"]+\"|`[^`]+`|\+\w+"
)
WORDS = "words"
FIRST, RESERVE = 10, 3
# What the re-ranker may add at most; from one place to the next in a list it is about 0.01, at the first 0.14 with weight 1.5.
# It decides between neighbours and no more: five times as much lost functions in a test of docstrings (.30 first became .24).
PROXIMITY, NAME, RECENCY = 0.012, 0.012, 0.004
# Of a place in the list of words this much stays without any word of the question; nearly all weights of words are all of them;
# and what a chunk with all of them gains where they stand together. Measured over needles and docstrings (docs/log.md).
LEAST_WORDS, ALL, ALL_TOGETHER = 0.3, 0.9, 0.1
# Share of the query's words from which on a place is kept.
KEPT = 0.33
_DAY = 86_400.0
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
_TEXT_READ = 4000  # characters of a chunk that are looked at for the distance of words
_WANTED = 12  # words of a query that are looked for
_WORD = 6  # characters from the beginning of a word to the next, about


@dataclass(frozen=True, slots=True)
class Fused:
    """A chunk's number, its score, its (place from 1, score) in each list, and what the re-ranker added to the score."""

    id: int
    score: float
    places: Mapping[str, tuple[int, float]]
    added: Mapping[str, float] = field(default_factory=dict)
    kept: bool = False

    @property
    def why(self) -> dict[str, object]:
        """For `--explain`: lists with place and score, terms by name, and whether a kept place moved it."""
        lists = {name: {"place": place, "score": round(score, 4)} for name, (place, score) in self.places.items()}
        terms = {name: round(value, 4) for name, value in self.added.items()}
        return {"score": round(self.score, 4), "lists": lists, "added": terms, "kept_for_words": self.kept}


@dataclass(frozen=True, slots=True)
class Features:
    """What the re-ranker looks at: the chunk's text, its name (path, heading, symbol), its age in seconds if known."""

    text: str
    name: str = ""
    age: float | None = None


def weights_for(query: str) -> Mapping[str, float]:
    """The weights of the lists for a question."""
    return EXACT_WEIGHTS if _EXACT.search(query) else WEIGHTS


def fuse(
    lists: Mapping[str, Sequence[Hit]],
    weights: Mapping[str, float] = WEIGHTS,
    *,
    k: int = K,
    reserve: int = RESERVE,
) -> list[Fused]:
    """All chunks of the lists (each best first), best first; a list without a weight counts 1. The first `reserve` of the list
    "words" stand among the first ten."""
    places: dict[int, dict[str, tuple[int, float]]] = {}
    scores: dict[int, float] = {}
    for name, hits in lists.items():
        for place, hit in enumerate(hits, 1):
            if name in places.setdefault(hit.id, {}):
                continue
            places[hit.id][name] = (place, hit.score)
            scores[hit.id] = scores.get(hit.id, 0.0) + weights.get(name, 1.0) / (k + place)
    fused = [Fused(number, scores[number], found) for number, found in places.items()]
    return keep_words(_ordered(fused), reserve)


def rerank(fused: Sequence[Fused], features: Mapping[int, Features], query: str, reserve: int = RESERVE) -> list[Fused]:
    """The same chunks in a new order: by how much of the query they have, and where; words in the name and new texts rise a
    little. Chunks without features keep their score."""
    wanted = [token for token in dict.fromkeys(tokens(query)) if token not in STOP_WORDS][:_WANTED]
    places = {number: sorted(places_of(wanted, known.text[:_TEXT_READ])) for number, known in features.items()}
    shares = _covered(wanted, places, features)
    better = []
    for one in fused:
        known = features.get(one.id)
        if known is None:
            better.append(replace(one, kept=False))
            continue
        near, share = proximity(wanted, places[one.id], len(known.text)), shares[one.id]
        place = one.places.get(WORDS)
        added = {
            "coverage": 0.0 if place is None else (1 - LEAST_WORDS) * (share - 1) * WEIGHTS[WORDS] / (K + place[0]),
            "all_words": ALL_TOGETHER * near if share >= ALL else 0.0,
            "proximity": PROXIMITY * near,
            "name": NAME * _share(wanted, tokens(known.name)),
            "recency": 0.0 if known.age is None else RECENCY * math.exp(-max(known.age, 0) / (30 * _DAY)),
        }
        added = {name: value for name, value in added.items() if value}
        better.append(replace(one, score=one.score + sum(added.values()), added=added, kept=False))
    # A place is kept for a key, not for the few words that a question in other words shares with everything.
    return keep_words(_ordered(better), reserve, {number for number, share in shares.items() if share < KEPT})


def _covered(
    wanted: Sequence[str], places: Mapping[int, list[tuple[int, str]]], features: Mapping[int, Features]
) -> dict[int, float]:
    """How much of the query each chunk has, in its text or its name: 0 to 1. A word weighs more, the fewer of these chunks have
    it."""
    have = {
        number: {word for _, word in found} | (set(wanted) & set(tokens(features[number].name)))
        for number, found in places.items()
    }
    weights = {word: math.log(1 + len(have) / max(1, sum(word in words for words in have.values()))) for word in wanted}
    total = sum(weights.values())
    return {number: sum(weights[word] for word in words) / total if total else 1.0 for number, words in have.items()}


def keep_words(ordered: Sequence[Fused], reserve: int = RESERVE, but: Collection[int] = ()) -> list[Fused]:
    """The first `reserve` of the list of words, all `but` these, moved up to the end of the first ten, if they stand below."""
    reserve = min(reserve, FIRST // 2)
    first, rest = list(ordered[:FIRST]), list(ordered[FIRST:])
    guarded = [one for one in ordered if one.places.get(WORDS, (FIRST + reserve,))[0] <= reserve and one.id not in but]
    low = [one for one in guarded if one in rest]
    for one in low:
        rest.remove(one)
        out = max(place for place, each in enumerate(first) if each not in guarded)
        rest.insert(0, first.pop(out))
        first.append(replace(one, kept=True))
        guarded.append(first[-1])
    return first + sorted(rest, key=lambda one: (-one.score, one.id))


def tokens(text: str) -> list[str]:
    """Lower-case words, identifiers in parts, with English endings roughly off: for comparing, not for an index."""
    return [_rough(token.lower()) for token in _TOKEN.findall(text)]


def proximity(wanted: Sequence[str], places: Sequence[tuple[int, str]], length: int) -> float:
    """1 if all wanted words stand side by side, less the further apart and the fewer of them; 0 for fewer than two. `places` are
    where they stand, in order; `length` is the text's, in characters."""
    present = len({word for _, word in places})
    if present < 2:
        return 0.0
    counts: dict[str, int] = {}
    shortest, low = length, 0
    for place, word in places:
        counts[word] = counts.get(word, 0) + 1
        while counts[places[low][1]] > 1:
            counts[places[low][1]] -= 1
            low += 1
        if len(counts) == present:
            shortest = min(shortest, place - places[low][0])
    between = shortest / _WORD - (present - 1)
    return present / len(wanted) * present / (present + max(between, 0))


def places_of(wanted: Sequence[str], text: str) -> Iterator[tuple[int, str]]:
    """Where words of the text begin with a wanted one, also behind a hump or an underscore. By `find`, which is quick."""
    low = text.lower()
    humps = len(low) == len(
        text
    )  # a few letters become two in lower case: then places of one are not those of the other
    for word in wanted:
        at = low.find(word)
        while at >= 0:
            if not at or not low[at - 1].isalnum() or (humps and text[at].isupper() and not text[at - 1].isupper()):
                yield at, word
            at = low.find(word, at + 1)


def _share(wanted: Sequence[str], found: Sequence[str]) -> float:
    return len(set(wanted) & set(found)) / len(set(wanted)) if wanted else 0.0


def _rough(token: str) -> str:
    for ending in ("ings", "ing", "ies", "ied", "es", "ed", "ly", "s", "e"):
        if token.endswith(ending) and len(token) - len(ending) >= 3:
            return token[: -len(ending)]
    return token


def _ordered(fused: Sequence[Fused]) -> list[Fused]:
    return sorted(fused, key=lambda one: (-one.score, one.id))
