"""Hardware: what this machine is, and how many threads a model should compute with.

Promises: `detect()` takes milliseconds and never fails; what cannot be found out is 0 or an empty text.
Does not cover: GPUs, live sensors and tiers (not in this version).
"""

from homefire.hardware.machine import Machine, compute_threads, detect, process_memory

__all__ = ["Machine", "compute_threads", "detect", "process_memory"]
