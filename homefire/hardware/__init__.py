"""Hardware: what this machine is, its GPUs and its tier, and how many threads a model should compute with.

Promises: `detect()` takes milliseconds (with GPUs some hundred) and never fails; what cannot be found out is 0 or empty.
Does not cover: live sensors (not in this version).
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
