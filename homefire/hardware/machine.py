"""The machine's processor and memory.

Promises: counts the cores this process may use (containers and `taskset` give fewer than the machine has).
Does not cover: how GPUs are found (`gpu.py`).
"""

from __future__ import annotations

import functools
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from homefire.hardware.gpu import Gpu, gpus


@dataclass(frozen=True, slots=True)
class Machine:
    """Memory in bytes; `cores` are physical ones this process may use; `gpus` only if they were asked for; `instructions` as the
    system names the processor's (Linux)."""

    system: str
    processor: str
    cores: int
    memory_bytes: int
    memory_available_bytes: int
    gpus: tuple[Gpu, ...] = ()
    instructions: tuple[str, ...] = ()


def detect(*, with_gpus: bool = False) -> Machine:
    """What this machine is, now. Milliseconds; with GPUs some hundred where a driver has to wake one."""
    import psutil

    memory = psutil.virtual_memory()
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        cores=_cores(),
        memory_bytes=memory.total,
        memory_available_bytes=memory.available,
        gpus=gpus() if with_gpus else (),
        instructions=instructions(),
    )


def compute_threads(setting: int = 0) -> int:
    """Threads for a model: the setting, or physical cores less one, at least one.

    With every core busy the engine's threads wait for each other at each layer: on a machine that does anything else,
    decoding then becomes several times slower.
    """
    return setting or max(1, _cores() - 1)


def process_memory(pid: int) -> int:
    """Resident bytes of a process, 0 if it is gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def private_memory(pid: int) -> int:
    """Resident bytes that belong to a process alone, as far as the system tells: without mapped files. 0 if it is gone."""
    import psutil

    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return max(0, int(memory.rss) - int(getattr(memory, "shared", 0)))


@functools.cache
def instructions() -> tuple[str, ...]:
    """The processor's instructions as its system names them, sorted; () where it does not say (other than Linux)."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ()
    words = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return tuple(sorted(set(words.partition(":")[2].split())))


def _cores() -> int:
    import psutil

    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else physical
    return max(1, min(physical, allowed))


def _processor() -> str:
    if sys.platform == "linux":
        try:
            for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
        except OSError:
            pass
    return platform.processor() or platform.machine()
