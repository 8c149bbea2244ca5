"""Every GPU of this machine: NVIDIA's through NVML, AMD's and Intel's through sysfs, Apple's as a share of the main memory.

Promises: never raises, loads no package, needs no permission; what cannot be found out is 0; no GPU is an empty tuple. Every way
to the machine is an argument (`Probes`), so that each kind can be tried where there is none.
Does not cover: parts of a GPU (MIG), Windows other than NVIDIA, live sensors (`sensors.py`), whether the engine here was built
for that GPU.
"""

from __future__ import annotations

import ctypes
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homefire.hardware.nvml import Memory, open_library

GIB = 1 << 30
_VENDORS = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
# An AMD chip inside the processor keeps a small part of the main memory as its own (the firmware's setting, 512 MiB as a rule).
AMD_INTEGRATED = 2 * GIB
# A discrete Intel card shows its memory as one large window; chips inside the processor show 256 or 512 MiB.
INTEL_WINDOW = 2 * GIB
_NVML_MEMORY_CLOCK = 2
# Gigabytes a second by Apple's specifications; where a name was sold with several, the lowest.
_APPLE = {
    "M1": 68, "M1 Pro": 200, "M1 Max": 400, "M1 Ultra": 800, "M2": 100, "M2 Pro": 200, "M2 Max": 400, "M2 Ultra": 800,
    "M3": 100, "M3 Pro": 150, "M3 Max": 300, "M3 Ultra": 819, "M4": 120, "M4 Pro": 273, "M4 Max": 410,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. Memory in bytes, `bandwidth` in bytes a second by its clock and width; 0: not known. `shared`: it has no memory of
    its own but uses the main memory, `memory_bytes` of it at most."""

    vendor: str
    name: str
    memory_bytes: int
    free_bytes: int
    bandwidth: float = 0.0
    driver: str = ""
    shared: bool = False


def _sysctl(name: str) -> bytes:
    """The raw value of a setting of the macOS kernel, b"" where there is none."""
    if sys.platform != "darwin":
        return b""
    system, size = ctypes.CDLL(None), ctypes.c_size_t(0)
    if system.sysctlbyname(name.encode(), None, ctypes.byref(size), None, ctypes.c_size_t(0)):
        return b""
    value = ctypes.create_string_buffer(size.value)
    if system.sysctlbyname(name.encode(), value, ctypes.byref(size), None, ctypes.c_size_t(0)):
        return b""
    return value.raw[: size.value]


@dataclass(frozen=True, slots=True)
class Probes:
    """The ways to the machine: NVML, the folder of graphics devices, the macOS kernel's settings, system and processor."""

    nvml: Callable[[], Any] = open_library
    devices: Path = Path("/sys/class/drm")
    sysctl: Callable[[str], bytes] = _sysctl
    system: str = sys.platform
    processor: str = platform.machine()


def gpus(probes: Probes | None = None) -> tuple[Gpu, ...]:
    """All GPUs, the one with most free memory first. Milliseconds without NVIDIA; NVML may take some hundred to wake a GPU."""
    ways = probes or Probes()
    if ways.system == "darwin":
        return _apple(ways)
    found = _nvidia(ways)
    if ways.system == "linux":
        found += _sysfs(ways.devices, with_nvidia=not found)
    return tuple(sorted(found, key=lambda gpu: (gpu.shared, -gpu.free_bytes)))


# -- NVIDIA


def _nvidia(probes: Probes) -> list[Gpu]:
    try:
        nvml = probes.nvml()
        if nvml.nvmlInit_v2():
            return []
    except (OSError, AttributeError):  # no driver, or one too old to have the name
        return []
    try:
        count = ctypes.c_uint(0)
        if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
            return []
        driver = _text(nvml, "nvmlSystemGetDriverVersion")
        handles = []
        for index in range(min(count.value, 64)):
            handle = ctypes.c_void_p()
            if not nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)):
                handles.append(handle)
        return [_nvidia_one(nvml, handle, driver) for handle in handles]
    except AttributeError:
        return []
    finally:
        nvml.nvmlShutdown()


def _nvidia_one(nvml: Any, handle: ctypes.c_void_p, driver: str) -> Gpu:
    memory = Memory()
    if nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)):
        memory = Memory()  # not supported where the GPU shares the main memory, nor permitted on one cut in parts
    # Data moves at both edges of the clock that NVML shows: 5505 MHz x 2 x 352 bits = 484 GB/s, as the GTX 1080 Ti's data sheet.
    clock = _number(nvml, "nvmlDeviceGetMaxClockInfo", handle, ctypes.c_uint(_NVML_MEMORY_CLOCK))
    width = _number(nvml, "nvmlDeviceGetMemoryBusWidth", handle)
    name = _text(nvml, "nvmlDeviceGetName", handle) or "NVIDIA GPU"
    return Gpu("nvidia", name, memory.total, memory.free, 2e6 * clock * width / 8, driver)


def _text(nvml: Any, function: str, *given: Any) -> str:
    value = ctypes.create_string_buffer(96)
    call = getattr(nvml, function, None)
    if call is None or call(*given, value, ctypes.c_uint(len(value))):
        return ""
    return value.value.decode("utf-8", "replace")


def _number(nvml: Any, function: str, *given: Any) -> int:
    value = ctypes.c_uint(0)
    call = getattr(nvml, function, None)
    return 0 if call is None or call(*given, ctypes.byref(value)) else value.value


# -- AMD and Intel


def _sysfs(root: Path, with_nvidia: bool) -> list[Gpu]:
    try:
        cards = sorted(path for path in root.iterdir() if re.fullmatch(r"card\d+", path.name))
    except OSError:
        return []
    found = []
    for card in cards:
        device = card / "device"
        vendor = _VENDORS.get(_line(device / "vendor"))
        if vendor == "amd":
            found.append(_amd(device))
        elif vendor == "intel":
            found.append(_intel(card, device))
        elif vendor == "nvidia" and with_nvidia:
            name = f"NVIDIA GPU {_line(device / 'device')} (its driver's library does not answer)".replace("  ", " ")
            found.append(Gpu("nvidia", name, 0, 0))
    return found


def _amd(device: Path) -> Gpu:
    """amdgpu's files, in bytes (kernel documentation, "AMDGPU driver: memory info")."""
    total, used = _count(device / "mem_info_vram_total"), _count(device / "mem_info_vram_used")
    name = _line(device / "product_name") or f"AMD GPU {_line(device / 'device')}".strip()
    shared = total < AMD_INTEGRATED
    if shared:  # beyond its own part it may use as much of the main memory as the kernel's table maps
        total += _count(device / "mem_info_gtt_total")
        used += _count(device / "mem_info_gtt_used")
    return Gpu("amd", name, total, max(0, total - used), shared=shared)


def _intel(card: Path, device: Path) -> Gpu:
    """i915 and xe say how much a discrete card has in one of these files; else its largest window says it (resizable BAR)."""
    files = (card / "lmem_total_bytes", device / "tile0" / "physical_vram_size_bytes")
    total = next((size for file in files if (size := _count(file))), 0) or _largest_window(device / "resource")
    name = f"Intel GPU {_line(device / 'device')}".strip()
    # What is in use stands in no file that everybody may read: all of it counts as free.
    return Gpu("intel", name, total, total, shared=not total)


def _largest_window(resource: Path) -> int:
    """The largest memory window of a PCI device, 0 if it is smaller than a discrete card's. Lines: start, end, flags."""
    sizes = [0]
    for line in _text_of(resource).splitlines():
        with_flags = re.fullmatch(r"0x([0-9a-f]+) 0x([0-9a-f]+) 0x[0-9a-f]+", line.strip())
        if with_flags and (end := int(with_flags[2], 16)):
            sizes.append(end - int(with_flags[1], 16) + 1)
    return max(sizes) if max(sizes) >= INTEL_WINDOW else 0


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")[:65536]
    except OSError:
        return ""


def _line(path: Path) -> str:
    return _text_of(path).strip()[:120]


def _count(path: Path) -> int:
    text = _line(path)
    return int(text, 0) if re.fullmatch(r"0x[0-9a-fA-F]{1,15}|0|[1-9][0-9]{0,17}", text) else 0


# -- Apple


def _apple(probes: Probes) -> tuple[Gpu, ...]:
    """Apple's chips share one memory; Metal takes two thirds of it, three quarters above 36 GiB, unless a person set a limit
    (recommendedMaxWorkingSetSize as llama.cpp's log shows it; `iogpu.wired_limit_mb`)."""
    if probes.processor != "arm64":
        return ()
    memory = int.from_bytes(probes.sysctl("hw.memsize")[:8], "little")
    if not memory:
        return ()
    limit = int.from_bytes(probes.sysctl("iogpu.wired_limit_mb")[:8], "little") << 20
    usable = min(memory, limit) if limit else memory * 3 // 4 if memory > 36 * GIB else memory * 2 // 3
    name = probes.sysctl("machdep.cpu.brand_string").rstrip(b"\0").decode("utf-8", "replace") or "Apple GPU"
    return (Gpu("apple", name, usable, usable, _APPLE.get(name.removeprefix("Apple "), 0) * 1e9, shared=True),)
