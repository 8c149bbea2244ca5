"""The plan of a recursive reading: which chain of steps a question takes, how a text is cut, how many votes a leaf gets.

    find     SPLIT, FILTER (nearest chunks first), MAP, until an answer is certain
    count    SPLIT, MAP to a number, REDUCE by adding
    list     SPLIT, MAP to lines, REDUCE by union
    cross    as list, then CROSS: blocks of the items with each other, REDUCE by union
    summary  SPLIT, SUMMARISE, and again over what came of it, until it is one

Promises: pure and deterministic; chunks have every byte of the text once and end at a line where there is one; more than
`MOST_CHUNKS` of them are refused.
Does not cover: carrying it out (`rlm.py`), the model (`rlm_leaves.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from homefire.errors import InvalidRequest

Kind = Literal["find", "count", "list", "cross", "summary"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST_CHUNKS = 100_000
# Bytes of a chunk for each token there is room for: few enough for text that tokenizers cut finely.
BYTES_PER_TOKEN = 2.5
SMALLEST, LARGEST = 200, 100_000
MOST_VOTES, MOST_DEPTH = 15, 8
_WORDS = (
    ("count", r"\b(?:how many|how often|count (?:the|all|how)|number of)\b"),
    ("cross", r"\b(?:pairs? of|which (?:two|of them) (?:share|agree|contradict)|contradict(?:s|ions?)?\b)"),
    ("summary", r"\b(?:summari[sz]e|summary|overview|what is (?:it|this) about)\b"),
    ("list", r"\b(?:list|name all|which ones|find all|every one|all the)\b"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """`chunk` in bytes. `lead`: a leaf's answer is taken when it is that many votes ahead; 1: no vote. `error`: the share of
    wrong leaves that the calibration found."""

    kind: Kind
    chunk: int
    lead: int = 1
    depth: int = 4
    error: float = 0.0


def kind_of(question: str) -> Kind:
    """The chain for a question, by its words; `find` where none says otherwise."""
    for kind, pattern in _WORDS:
        if re.search(pattern, question, re.IGNORECASE):
            return kind  # type: ignore[return-value]
    return "find"


def plan_for(kind: Kind, window: int, answer: int, leaves: int, *, error: float = 0.0, most: int = LARGEST) -> Plan:
    """`window` and `answer` in tokens; `leaves`: how many there will be about; `most` bytes a model reads well at once."""
    room = int((window - answer - 200) * BYTES_PER_TOKEN)
    return Plan(kind, max(SMALLEST, min(room, most, LARGEST)), lead_for(error, leaves), error=error)


def lead_for(error: float, leaves: int, target: float = 0.95) -> int:
    """By how many votes an answer has to lead, so that all leaves are right with the probability `target`, if votes err
    independently: the smallest k with (1 + (error / (1 - error)) ** k) ** -leaves >= target. 1 where nothing was measured."""
    if error <= 0 or leaves < 1:
        return 1
    if error >= 0.5:
        return (MOST_VOTES + 1) // 2
    ratio = error / (1 - error)
    needed = math.log(math.expm1(-math.log(target) / leaves)) / math.log(ratio)
    return max(1, min(math.ceil(needed), (MOST_VOTES + 1) // 2))


def split(data: bytes | memoryview, chunk: int) -> list[tuple[int, int]]:
    """Spans of at most `chunk` bytes: they end at a line, else at a space, else at a whole character. Raises InvalidRequest."""
    size, at, found = len(data), 0, list[tuple[int, int]]()
    if size > chunk * MOST_CHUNKS // 2:
        raise InvalidRequest(f"{size:,} bytes are more than can be read in parts of {chunk:,}.", "Read less at once.")
    while at < size:
        end = min(size, at + chunk)
        if end < size:
            tail = bytes(data[at + chunk // 2 : end])
            cut = max(tail.rfind(b"\n"), -1)
            cut = cut if cut >= 0 else tail.rfind(b" ")
            end = at + chunk // 2 + cut + 1 if cut >= 0 else end
            while cut < 0 and end > at + 1 and 0x80 <= data[end] <= 0xBF:
                end -= 1
        found.append((at, end))
        at = end
    return found


def words_of(question: str) -> frozenset[str]:
    """The words of weight of a question: numbers, and words of four letters and more or in capitals."""
    every = re.findall(r"\w+", question)
    return frozenset(w.casefold() for w in every if len(w) > 3 or w.isupper() or w[:1].isupper() or w.isdigit())


def ranked(question: str, texts: Iterable[str]) -> list[int]:
    """FILTER: places of the texts, those with the rarest of the question's words first, then as they stand. None is left out."""
    wanted = words_of(question)
    held = [wanted & {w.casefold() for w in re.findall(r"\w+", text)} for text in texts]
    spread = {word: sum(word in each for each in held) for word in wanted}
    score = [sum(math.log((len(held) + 1) / spread[word]) for word in each) for each in held]
    return sorted(range(len(held)), key=lambda at: (-score[at], at))
