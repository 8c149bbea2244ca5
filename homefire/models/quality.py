"""What a change of a model's weights did to its answers: perplexity, agreement of predictions, cosine of embeddings.

Promises: all but `compare` are pure statistics over numbers that the engine gave before and after, and raise ValueError where
there is nothing to compare. Does not cover: asking the engine (`quality_child.py`), what loss is acceptable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homefire.hardware import compute_threads, detect
from homefire.models import task
from homefire.models.task import Progress

Vector = Sequence[float]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over many texts: the worst, the one that 5 % fall below, the mean, and how many."""

    worst: float
    fifth: float
    mean: float
    count: int


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


async def compare(
    before: Path,
    after: Path,
    kind: str,
    progress: Progress,
    caches: tuple[str, str] = ("F16", "F16"),
    *,
    walls: bool = False,
) -> dict[str, Any]:
    """What the change from one file to the other costs; both are asked by the engine in a child (`quality_child`). `caches`: the
    types of their KV caches; `walls`: behind the sandbox's.

    Of a chat model {"perplexity": {"before", "after"}, "same_token_pct", "tokens"}, of an embedder {"cosine": {"worst", "fifth",
    "mean", "count"}}; {"skipped": why} where the memory does not hold the larger file. Raises EngineFailed, TaskDied.
    """
    need, room = max(before.stat().st_size, after.stat().st_size), detect().memory_available_bytes
    if need > room:  # it would be read from the disk again and again, for hours
        return {"skipped": f"the larger file has {need / 1e9:.1f} GB, the memory {room / 1e9:.1f} GB free"}
    before, after = before.absolute(), after.absolute()
    given = {"before": str(before), "after": str(after), "kind": kind, "threads": compute_threads(), "caches": caches}
    return await task.run(
        "homefire.models.quality_child", given, None, progress, readable=(before, after) if walls else None
    )
