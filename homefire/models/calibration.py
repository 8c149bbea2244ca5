"""Calibration: what loads and runs really took, and how far the next estimate may be wrong.

A record is (family, device, estimate, measured); the figure kept is the ratio measured / estimate. The bar for a family on a
device is the median ratio with its spread; fewer than three records of the pair borrow from the device's other families.
Promises: pure; the answer depends on the records alone, not on their order beyond the newest `KEPT` of a pair; one wild record
among many moves neither the median nor the spread much.
Does not cover: storing the records (the caller does), and telling buffers from noise in what was measured.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

KEPT = 32
FEW = 3
# A spread is never taken for smaller than this: a few equal records do not make a law.
LEAST_SPREAD = 0.02


@dataclass(frozen=True, slots=True)
class Record:
    """One estimate and what came of it, in the same unit (bytes, or tokens a second)."""

    architecture: str
    device: str
    estimate: float
    measured: float


@dataclass(frozen=True, slots=True)
class ErrorBar:
    """measured / estimate is expected at `ratio`, between `low` and `high`; `measured`: told by enough records."""

    ratio: float
    low: float
    high: float
    samples: int
    measured: bool
    reason: str


class Calibration:
    """The records, and the bar they give. Records that make no sense (nothing, negative, not finite) are left out."""

    def __init__(self, records: Iterable[Record] = (), *, wide: tuple[float, float] = (0.9, 1.15)) -> None:
        """`wide` is the bar (low, high) where nothing was measured."""
        self._wide = wide
        self._ratios: dict[tuple[str, str], list[float]] = {}
        for record in records:
            self.add(record)

    def add(self, record: Record) -> bool:
        """Takes a record in; False if it makes no sense."""
        if not (record.estimate > 0 and record.measured > 0):
            return False
        ratio = record.measured / record.estimate
        if not math.isfinite(ratio) or ratio == 0:
            return False
        kept = self._ratios.setdefault((record.architecture, record.device), [])
        kept.append(ratio)
        del kept[:-KEPT]
        return True

    def bar(self, architecture: str, device: str) -> ErrorBar:
        """The bar of this pair: its own records; of too few, all of the device's, with twice the spread; else the wide one."""
        own = self._ratios.get((architecture, device), [])
        if len(own) >= FEW:
            return self._bar(own, 1.0, f"measured on {len(own)} loads of {architecture} here")
        near = [ratio for (_, where), found in self._ratios.items() if where == device for ratio in found]
        if len(near) >= FEW:
            return self._bar(near, 2.0, f"measured on {len(near)} loads of other models here")
        low, high = self._wide
        return ErrorBar(1.0, low, high, len(own), False, "not measured here yet")

    def _bar(self, ratios: list[float], factor: float, what: str) -> ErrorBar:
        """Median, and 3 robust deviations (1.4826 x the median of distances, which is sigma for a normal distribution), wider
        by 1 + 2 / n for few records."""
        middle = statistics.median(ratios)
        distance = statistics.median(abs(ratio - middle) for ratio in ratios)
        spread = factor * (1 + 2 / len(ratios)) * max(3 * 1.4826 * distance, LEAST_SPREAD * middle)
        low, high = max(middle / 10, middle - spread), middle + spread
        return ErrorBar(middle, low, high, len(ratios), True, f"{what}: {middle:.2f} times the estimate")
