"""Tiers: one word for what a machine can run, from potato upward.

Promises: pure; every machine has a tier; more memory never gives a lower one. A tier is a name for people: what really fits is
computed by `models/fit.py`, model by model.
Does not cover: speed of the processor, several GPUs together (the largest one counts), room on the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from homefire.hardware.gpu import Gpu

GIB = 1 << 30
# Firmware, integrated graphics and the driver keep some: an "8 GB" laptop shows 7.5, a "24 GB" GPU 23.7 GiB.
SHOWN = 0.9


@dataclass(frozen=True, slots=True)
class Tier:
    """`memory_gib` or `gpu_gib` (nominal sizes; one of the two is enough) leads to it. `runs` is a sentence for a person."""

    name: str
    memory_gib: int
    gpu_gib: int
    runs: str


# Lowest first. With 4 to 5 bits a weight a model takes about 0.6 GB a billion parameters, and its context comes on top.
TIERS = (
    Tier("potato", 0, 0, "models up to 4 billion parameters at 4 bits, in short conversations"),
    Tier("laptop", 16, 6, "models up to 8 billion parameters at 4 bits"),
    Tier("desktop", 32, 12, "models up to 14 billion parameters at 4 bits, or mixtures of 30 billion with few active"),
    Tier("workstation", 64, 24, "models up to 32 billion parameters at 4 bits"),
    Tier("server", 128, 48, "models of 70 billion parameters at 4 bits; without a GPU of 48 GB slowly"),
    Tier("cluster-node", 512, 80, "every model of the catalogue at 4 bits or better"),
)


def tier(memory_bytes: int, gpus: Sequence[Gpu] = ()) -> Tier:
    """The highest tier that the main memory or the largest GPU leads to. Memory that a GPU shares counts as main memory, and as
    the GPU's as far as the GPU may use it."""
    largest = max((gpu.memory_bytes for gpu in gpus), default=0)
    found = TIERS[0]
    for each in TIERS[1:]:
        if memory_bytes >= SHOWN * each.memory_gib * GIB or largest >= SHOWN * each.gpu_gib * GIB:
            found = each
    return found
