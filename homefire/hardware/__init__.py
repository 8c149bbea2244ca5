"""Hardware: what this machine is, its GPUs and its tier, and how many threads a model should compute with.

Doors: `detect` (what is here), `sensors.Live` (how it is doing now), `governor.Governor` (what follows of that),
`regulator.Regulator` (does it).
Promises: `detect()` takes milliseconds (with GPUs some hundred) and never fails; what cannot be found out is 0 or empty there,
and None in a reading.
Does not cover: models, and how much of them fits (`models/fit.py`).
"""

from homefire.hardware.gpu import Gpu, Probes, gpus
from homefire.hardware.machine import Machine, compute_threads, detect, process_memory
from homefire.hardware.tier import TIERS, Tier, tier

__all__ = [
    "TIERS",
    "Gpu",
    "Machine",
    "Probes",
    "Tier",
    "compute_threads",
    "detect",
    "gpus",
    "process_memory",
    "tier",
]
