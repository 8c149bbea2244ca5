"""Hardware: GPUs from made-up libraries and folders, and the tiers.

Promises: each kind of GPU is read from what its driver shows, and broken files never raise.
Does not cover: real drivers.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homefire.hardware import TIERS, Gpu, Probes, detect, gpus, tier

GIB = 1 << 30


def no_nvml() -> Any:
    raise OSError("libnvidia-ml.so.1: cannot open shared object file")


def no_sysctl(name: str) -> bytes:
    return b""


def probes(devices: Path, nvml: Callable[[], Any] = no_nvml) -> Probes:
    return Probes(nvml, devices, no_sysctl, "linux", "x86_64")


class Nvml:
    """A library of two GPUs, the second of which tells nothing but its name."""

    def __init__(self, init: int = 0) -> None:
        self.init = init
        self.open = 0

    def nvmlInit_v2(self) -> int:
        self.open += not self.init
        return self.init

    def nvmlShutdown(self) -> int:
        self.open -= 1
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        handle._obj.value = 100 + index.value
        return 0

    def nvmlSystemGetDriverVersion(self, text: Any, size: Any) -> int:
        text.value = b"560.35"
        return 0

    def nvmlDeviceGetName(self, handle: Any, text: Any, size: Any) -> int:
        assert size.value == ctypes.sizeof(text)
        text.value = b"NVIDIA GeForce GTX 1080 Ti" if handle.value == 100 else b"NVIDIA GB10"
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:
        memory._obj.total, memory._obj.free = 11 * GIB, 10 * GIB
        return 0 if handle.value == 100 else 3

    def nvmlDeviceGetMaxClockInfo(self, handle: Any, kind: Any, value: Any) -> int:
        value._obj.value = 5505
        return 0 if kind.value == 2 and handle.value == 100 else 3

    def nvmlDeviceGetMemoryBusWidth(self, handle: Any, value: Any) -> int:
        value._obj.value = 352
        return 0


def card(root: Path, name: str, **files: str) -> Path:
    device = root / name / "device"
    device.mkdir(parents=True)
    for file, text in files.items():
        (device / file).write_text(text + "\n")
    return device


def test_no_gpu_is_an_empty_list(tmp_path: Path) -> None:
    assert gpus(probes(tmp_path / "absent")) == ()
    (tmp_path / "version").write_text("drm 1.1.0")
    assert gpus(probes(tmp_path)) == ()


def test_nvidia_through_nvml(tmp_path: Path) -> None:
    library = Nvml()
    first, second = gpus(probes(tmp_path, lambda: library))
    assert (first.name, first.memory_bytes, first.free_bytes) == ("NVIDIA GeForce GTX 1080 Ti", 11 * GIB, 10 * GIB)
    assert first.driver == "560.35" and first.bandwidth == pytest.approx(484e9, rel=0.002)  # its data sheet
    assert (second.name, second.memory_bytes, second.bandwidth) == ("NVIDIA GB10", 0, 0)
    assert library.open == 0


@pytest.mark.parametrize("nvml", [no_nvml, lambda: Nvml(init=9), object], ids=["absent", "refuses", "too old"])
def test_without_nvml_the_card_is_still_named(tmp_path: Path, nvml: Callable[[], Any]) -> None:
    card(tmp_path, "card0", vendor="0x10de", device="0x2684")
    (found,) = gpus(probes(tmp_path, nvml))
    assert found.vendor == "nvidia" and "0x2684" in found.name and found.memory_bytes == 0
    if nvml is not no_nvml:
        return
    assert len(gpus(probes(tmp_path, Nvml))) == 2  # what NVML lists is not listed again


def test_amd(tmp_path: Path) -> None:
    card(
        tmp_path,
        "card0",
        vendor="0x1002",
        device="0x1638",
        mem_info_vram_total=str(GIB // 2),
        mem_info_vram_used=str(GIB // 4),
        mem_info_gtt_total=str(8 * GIB),
        mem_info_gtt_used="0",
    )
    card(tmp_path, "card1", vendor="0x1002", mem_info_vram_total=str(24 * GIB), mem_info_vram_used=str(GIB),
         mem_info_gtt_total=str(16 * GIB), product_name="Radeon RX 7900 XTX")  # fmt: skip
    card(tmp_path, "card1-HDMI-A-1", vendor="0x1002")
    discrete, integrated = gpus(probes(tmp_path))
    assert discrete == Gpu("amd", "Radeon RX 7900 XTX", 24 * GIB, 23 * GIB)
    assert integrated == Gpu("amd", "AMD GPU 0x1638", 8 * GIB + GIB // 2, 8 * GIB + GIB // 4, shared=True)


def test_intel(tmp_path: Path) -> None:
    window = "0x0000004000000000 0x00000043ffffffff 0x000000000014220c"  # 16 GiB
    small = "0x0000004000000000 0x000000400fffffff 0x000000000014220c"  # 256 MiB
    card(tmp_path, "card0", vendor="0x8086", device="0x56a0", resource=f"0x0 0x0 0x0\n{window}")
    card(tmp_path, "card1", vendor="0x8086", device="0x46a6", resource=small)
    tile = card(tmp_path, "card2", vendor="0x8086", device="0xe20b", resource=small) / "tile0"
    tile.mkdir()
    (tile / "physical_vram_size_bytes").write_text("0x2f0000000\n")
    arc, battle, integrated = gpus(probes(tmp_path))
    assert (arc.name, arc.memory_bytes, arc.shared) == ("Intel GPU 0x56a0", 16 * GIB, False)
    assert (battle.memory_bytes, battle.shared) == (0x2F0000000, False)
    assert (integrated.name, integrated.memory_bytes, integrated.shared) == ("Intel GPU 0x46a6", 0, True)


@pytest.mark.parametrize("text", ["", "many", "-5", "1" * 40, "0x", "\x00\xff", "1e9", "07"])
def test_broken_files_never_raise(tmp_path: Path, text: str) -> None:
    card(tmp_path, "card0", vendor="0x1002", mem_info_vram_total=text, mem_info_gtt_total=text)
    card(tmp_path, "card1", vendor="0x8086", resource=text)
    card(tmp_path, "card2", vendor=text)
    assert [gpu.memory_bytes for gpu in gpus(probes(tmp_path))] == [0, 0]


def apple(memory: int, limit_mb: int = 0, processor: str = "arm64", name: bytes = b"Apple M1 Max\0") -> tuple[Gpu, ...]:
    told = {"hw.memsize": memory.to_bytes(8, "little"), "machdep.cpu.brand_string": name}
    told["iogpu.wired_limit_mb"] = limit_mb.to_bytes(4, "little")
    return gpus(Probes(no_nvml, Path("/nowhere"), lambda key: told.get(key, b""), "darwin", processor))


def test_apple_shares_its_memory() -> None:
    assert apple(64 * GIB) == (Gpu("apple", "Apple M1 Max", 48 * GIB, 48 * GIB, 400e9, shared=True),)
    assert apple(18 * GIB)[0].memory_bytes == 12 * GIB
    assert apple(64 * GIB, limit_mb=57344)[0].memory_bytes == 56 * GIB
    assert apple(64 * GIB, name=b"Apple M9\0")[0].bandwidth == 0
    assert apple(0) == () and apple(16 * GIB, processor="x86_64") == ()


def test_this_machine() -> None:
    machine = detect(with_gpus=True)
    assert machine.memory_bytes > 0 and machine.cores >= 1 and detect().gpus == ()
    assert all(gpu.vendor in ("nvidia", "amd", "intel", "apple") for gpu in machine.gpus)
    if sys.platform == "linux" and not any(Path("/sys/class/drm").glob("card*")) and not Path("/dev/nvidia0").exists():
        assert machine.gpus == ()


@pytest.mark.parametrize(
    ("memory", "gpu", "name"),
    [
        (4, 0, "potato"),
        (7.6, 0, "potato"),
        (15.4, 0, "laptop"),
        (7.6, 5.9, "laptop"),
        (31.2, 0, "desktop"),
        (15.4, 11.0, "desktop"),
        (31.2, 23.7, "workstation"),
        (64, 48, "server"),
        (1000, 0, "cluster-node"),
    ],
)
def test_tiers(memory: float, gpu: float, name: str) -> None:
    size = int(gpu * GIB)
    assert tier(int(memory * GIB), [Gpu("nvidia", "x", size, 0)] if gpu else []).name == name


def test_more_memory_never_gives_a_lower_tier() -> None:
    ranks = [TIERS.index(tier(size * GIB)) for size in range(0, 1024, 2)]
    assert ranks == sorted(ranks) and {*ranks} == {*range(len(TIERS))}
    # The largest GPU counts, not their sum.
    four = [Gpu("nvidia", "x", 12 * GIB, 0)] * 4
    assert tier(8 * GIB, four).name == "desktop"
