"""What a text means, beside what it says: on which side it lies of labelled examples of attacks and of what people may well ask.

    examples -> vectors (handed in) -> the direction that tells the two kinds apart (logistic regression) -> a threshold
    text -> pieces -> vectors -> how far each lies along that direction -> the farthest: over the threshold it is suspicious

Promises: pure but for the vectors; the threshold comes from examples set apart for it, so that at most FALSE_REFUSALS of the
permitted ones among them lie over it; what was made of the examples is kept under what tells the model and the set, and made anew
if either changes.
Does not cover: which model makes vectors (`daemon/`), and what follows (`policy.py`). It finds some of what the rules miss,
never all; a small model knows little German (docs/security.md has the figures).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from operator import mul
from pathlib import Path
from typing import Literal, Protocol

from homefire.paths import from_os, make_private_folder

FALSE_REFUSALS = 0.015
# Logistic regression by plain descent; chosen by cross-validation on the examples (docs/log.md).
STEPS, RATE, DECAY = 100, 4.0, 0.03
# Characters that a small model reads whole; more pieces than that are not looked at, and the finding says so.
PIECE, MOST_PIECES, BATCH = 600, 16, 32


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled text. `split`: learned from, used for the threshold, or kept back for the figures; `hard`: permitted, and
    looks like an attack."""

    text: str
    kind: Literal["attack", "permitted"]
    split: Literal["example", "threshold", "test"]
    hard: bool = False


class Embed(Protocol):
    """Makes vectors of length one. `model` tells the model from every other; "": there is none now."""

    async def model(self) -> str: ...

    async def vectors(self, texts: Sequence[str]) -> list[array[float]]: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a text lies. `score`: how far along the direction of attacks, `nearest` the attack it is nearest to; `partly`:
    only the first pieces were looked at."""

    score: float
    suspicious: bool
    nearest: str
    partly: bool = False


def load_examples() -> tuple[Example, ...]:
    """The labelled set that comes with Homefire."""
    rows = json.loads((resources.files("homefire.safety") / "examples.json").read_text("utf-8"))["texts"]
    return tuple(Example(row["text"], row["kind"], row["split"], row.get("hard", False)) for row in rows)


class Semantic:
    """What was learned of the examples with one model. `percent` sets the threshold by hand, in hundredths of the score."""

    def __init__(
        self,
        examples: Sequence[Example],
        vectors: Sequence[Sequence[float]],
        direction: Sequence[float],
        percent: int | None = None,
    ) -> None:
        self.direction = direction
        pairs = list(zip(examples, vectors, strict=True))
        self._attacks = [(each, vector) for each, vector in pairs if (each.kind, each.split) == ("attack", "example")]
        apart = [self.score(v) for each, v in pairs if (each.kind, each.split) == ("permitted", "threshold")]
        self.threshold = threshold(apart) if percent is None else percent / 100

    @staticmethod
    async def of(embed: Embed, folder: Path, percent: int | None = None) -> Semantic:
        """With what is kept in `folder`, or made now. Raises what `embed` raises; DiskFull and the like."""
        examples = load_examples()
        model = await embed.model()
        name = hashlib.sha256("\n".join([model, *(each.text for each in examples)]).encode()).hexdigest()
        file = folder / f"{name}.vectors"
        rows = _read(file, len(examples) + 1)
        if rows is None:
            rows = []
            for start in range(0, len(examples), BATCH):  # so that others get their turn at the model
                rows += await embed.vectors([each.text for each in examples[start : start + BATCH]])
            rows.append(await asyncio.to_thread(learn, examples, rows))
            _write(file, rows)
        return Semantic(examples, rows[:-1], rows[-1], percent)

    def score(self, vector: Sequence[float]) -> float:
        """How far a vector lies along the direction of attacks."""
        return float(sum(map(mul, vector, self.direction)))

    async def check(self, text: str, embed: Embed) -> Finding:
        """Where a text lies. Raises what `embed` raises."""
        cut = pieces(text)
        vectors = await embed.vectors(cut[:MOST_PIECES])
        scores = [self.score(vector) for vector in vectors]
        if not scores:
            return Finding(-math.inf, False, "")
        score = max(scores)
        suspicious, worst = score > self.threshold, vectors[scores.index(score)]
        nearest = max(self._attacks, key=lambda each: sum(map(mul, worst, each[1])))[0].text if suspicious else ""
        return Finding(score, suspicious, nearest, len(cut) > MOST_PIECES)


def pieces(text: str) -> list[str]:
    """A text in pieces that a small model reads whole, cut where a sentence or at least a word ends."""
    text = " ".join(text.split())
    cut: list[str] = []
    while len(text) > PIECE:
        end = max(text.rfind(mark, PIECE // 2, PIECE) + 1 for mark in (". ", "! ", "? "))
        end = end or text.rfind(" ", PIECE // 2, PIECE) + 1 or PIECE
        cut.append(text[:end].strip())
        text = text[end:]
    return [each for each in (*cut, text.strip()) if each]


def learn(examples: Sequence[Example], vectors: Sequence[Sequence[float]]) -> array[float]:
    """The direction from what is permitted to attacks, of the examples to learn from."""
    chosen = [
        (vector, 1.0 if each.kind == "attack" else 0.0)
        for each, vector in zip(examples, vectors, strict=True)
        if each.split == "example"
    ]
    weights, offset = [0.0] * len(chosen[0][0]), 0.0
    for _ in range(STEPS):
        slope, shift = [0.0] * len(weights), 0.0
        for vector, wanted in chosen:
            miss = 1 / (1 + math.exp(-sum(map(mul, vector, weights)) - offset)) - wanted
            slope = [have + miss * value for have, value in zip(slope, vector, strict=True)]
            shift += miss
        weights = [w - RATE * (s / len(chosen) + DECAY * w) for w, s in zip(weights, slope, strict=True)]
        offset -= RATE * shift / len(chosen)
    return array("f", weights)


def threshold(permitted: Sequence[float]) -> float:
    """The score that at most FALSE_REFUSALS of these exceed."""
    ordered = sorted(permitted, reverse=True)
    return ordered[min(int(FALSE_REFUSALS * len(ordered)), len(ordered) - 1)] + 1e-6 if ordered else math.inf


def _read(file: Path, count: int) -> list[array[float]] | None:
    """Rows as `_write` left them; None if they are not there, or not whole."""
    try:
        body = file.read_bytes()
    except OSError:
        return None
    digest, packed = body[:32], body[32:]
    if hashlib.sha256(packed).digest() != digest or len(packed) % (4 * count) or not packed:
        return None
    flat = array("f")
    flat.frombytes(packed)
    width = len(flat) // count
    return [flat[at : at + width] for at in range(0, len(flat), width)]


def _write(file: Path, rows: Sequence[array[float]]) -> None:
    packed = b"".join(row.tobytes() for row in rows)
    part = file.with_suffix(".new")
    try:
        make_private_folder(file.parent)
        for old in file.parent.glob("*.vectors"):  # of another model, or of another set
            old.unlink()
        part.write_bytes(hashlib.sha256(packed).digest() + packed)
        part.replace(file)
    except OSError as problem:
        raise from_os(problem, file) from None
