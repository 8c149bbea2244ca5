"""What a change of a model's weights did to its answers: perplexity, agreement of predictions, cosine of embeddings.

Promises: pure statistics over numbers that the engine gave before and after; raises ValueError where there is nothing to compare.
Does not cover: running the engine (the caller hands in what asks it), and what loss is acceptable.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

Vector = Sequence[float]
# Texts in, one vector each out.
Embed = Callable[[Sequence[str]], Awaitable[Sequence[Vector]]]
# Texts in; for each the natural logarithms of the probabilities of its tokens, given those before them.
Score = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over many texts: the worst, the one that 5 % fall below, the mean, and how many."""

    worst: float
    fifth: float
    mean: float
    count: int


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Before and after, and their ratio (1 is no loss, 1.02 is 2 % worse)."""

    before: float
    after: float

    @property
    def ratio(self) -> float:
        """After divided by before."""
        return self.after / self.before


@dataclass(frozen=True, slots=True)
class Agreement:
    """`same`: the share of places where both would choose the same token; `divergence`: the mean Kullback-Leibler divergence in
    nats from before to after, over the tokens that both gave."""

    same: float
    divergence: float
    count: int


def cosine(one: Vector, other: Vector) -> float:
    """The cosine of the angle between two vectors of one length. Raises ValueError for others, or for a vector of zeros."""
    norms = math.sqrt(sum(x * x for x in one) * sum(x * x for x in other))
    if len(one) != len(other) or not norms:
        raise ValueError("vectors of different lengths, or without direction")
    return sum(x * y for x, y in zip(one, other, strict=True)) / norms


def perplexity(logarithms: Sequence[Sequence[float]]) -> float:
    """exp of the mean negative logarithm of the probability of a token, over all tokens of all texts."""
    count = sum(map(len, logarithms))
    if not count:
        raise ValueError("no tokens")
    return math.exp(-sum(map(sum, logarithms)) / count)


def spread(values: Sequence[float]) -> Spread:
    """Worst (lowest), fifth percentile, mean."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return Spread(ordered[0], ordered[len(ordered) // 20], sum(ordered) / len(ordered), len(ordered))


def agreement(before: Sequence[Mapping[int, float]], after: Sequence[Mapping[int, float]]) -> Agreement:
    """Compares predictions of the next token, each given as token -> natural logarithm of its probability."""
    if not before or len(before) != len(after):
        raise ValueError("nothing to compare")
    same, divergence = 0, 0.0
    for one, other in zip(before, after, strict=True):
        same += max(one, key=lambda token: one[token]) == max(other, key=lambda token: other[token])
        divergence += sum(math.exp(one[token]) * (one[token] - other[token]) for token in one.keys() & other.keys())
    return Agreement(same / len(before), divergence / len(before), len(before))


async def compare_embeddings(before: Embed, after: Embed, texts: Sequence[str]) -> Spread:
    """The cosines between the vectors of the same text, before and after."""
    pairs = zip(await before(texts), await after(texts), strict=True)
    return spread([cosine(one, other) for one, other in pairs])


async def compare_perplexity(before: Score, after: Score, texts: Sequence[str]) -> Perplexity:
    """The perplexities over the same texts, before and after."""
    return Perplexity(perplexity(await before(texts)), perplexity(await after(texts)))
