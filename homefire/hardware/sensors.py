"""Live sensors: how warm, how busy and how full this machine is now.

Promises: what a machine does not show is None, never 0; a broken file or driver never raises; `Sensors.read` takes milliseconds
and belongs in a thread, `Live.reading` never blocks the event loop: one thread of its own reads, those who ask meanwhile share
the result, and a driver that hangs leaves the last reading, which says how old it is.
Does not cover: Apple's and Intel's GPUs beyond their clocks and power, sensors of disks, what to do about it (`governor.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homefire.hardware.nvml import Device, Nvml, open_library

# Names of hwmon chips that are the processor's own, the best first.
CPU_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal", "acpitz")
PRESSURES = ("cpu", "memory", "io")
# Between the two looks that the load of the cores needs, when nobody looked before.
FIRST_LOOK_SECONDS = 0.1
# A driver that answers no sooner is taken for stuck; the last reading is shown instead.
PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU: bytes, percent, degrees Celsius, watts, MHz. `slowed`: heat or its power supply holds the clocks down."""

    vendor: str
    name: str
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    busy_percent: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    clock_mhz: float | None = None
    highest_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    fan_percent: float | None = None
    slowed: bool | None = None


@dataclass(frozen=True, slots=True)
class CpuReading:
    """The processor. `cores_percent`: each logical core's load since the last look. `slowed`: heat held its clocks down since
    then."""

    cores_percent: tuple[float, ...] | None = None
    clock_mhz: float | None = None
    highest_clock_mhz: float | None = None
    temperature_c: float | None = None
    slowed: bool | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the machine. `pressure`: percent of the last ten seconds in which some work waited for it."""

    at: float
    cpu: CpuReading
    gpus: tuple[GpuReading, ...]
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    pressure: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """Where a machine shows itself; tests give folders and libraries of their own."""

    nvml: Callable[[], Any] = open_library
    kernel: Path = Path("/sys")
    proc: Path = Path("/proc")
    system: str = sys.platform


class Sensors:
    """Reads. Not for two threads at once; `close` lets go of the driver's library."""

    def __init__(self, places: Places | None = None) -> None:
        self._places = places or Places()
        self._nvml: Nvml | None = None
        self._devices: list[Device] = []
        self._opened = False
        self._last_times: list[tuple[float, float]] | None = None
        self._last_slowed: int | None = None
        self._cpu_heat: Path | None = None

    def read(self) -> Reading:
        """A reading. Milliseconds; the first one a tenth of a second longer."""
        if not self._opened:
            self._open()
        import psutil

        memory, swap = psutil.virtual_memory(), _swap()
        return Reading(
            at=time.time(),
            cpu=self._cpu(),
            gpus=tuple([_nvidia(device) for device in self._devices] + self._cards()),
            memory_total_bytes=memory.total,
            memory_available_bytes=memory.available,
            swap_total_bytes=swap[0],
            swap_used_bytes=swap[1],
            pressure=self._pressure(),
        )

    def close(self) -> None:
        """Lets go of the library; the next reading opens it again."""
        if self._nvml is not None:
            self._nvml.close()
        self._nvml, self._devices, self._opened = None, [], False

    def _open(self) -> None:
        self._opened = True
        try:
            self._nvml = Nvml(self._places.nvml)
            self._devices = self._nvml.devices()
        except OSError:
            self._nvml, self._devices = None, []
        self._cpu_heat = _cpu_heat(self._places.kernel)
        if self._last_times is None:
            self._last_times = _core_times()
            time.sleep(FIRST_LOOK_SECONDS)

    def _cpu(self) -> CpuReading:
        times, before = _core_times(), self._last_times
        self._last_times = times
        heat = _number(self._cpu_heat) if self._cpu_heat is not None else None
        return CpuReading(
            cores_percent=_loads(before, times),
            clock_mhz=self._clock("scaling_cur_freq"),
            highest_clock_mhz=self._clock("cpuinfo_max_freq"),
            temperature_c=None if heat is None else heat / 1000,
            slowed=self._slowed(),
        )

    def _clock(self, file: str) -> float | None:
        """The mean over the processor's clock domains, in MHz."""
        found = [_number(path) for path in (self._places.kernel / "devices/system/cpu/cpufreq").glob(f"policy*/{file}")]
        known = [each for each in found if each is not None]
        return sum(known) / len(known) / 1000 if known else None

    def _slowed(self) -> bool | None:
        """Intel's count of events in which heat held the clocks down; whether it grew."""
        files = (self._places.kernel / "devices/system/cpu").glob("cpu*/thermal_throttle/core_throttle_count")
        known = [each for each in (_number(path) for path in files) if each is not None]
        if not known:
            return None
        before, self._last_slowed = self._last_slowed, int(sum(known))
        return None if before is None else self._last_slowed > before

    def _pressure(self) -> dict[str, float] | None:
        found = {}
        for name in PRESSURES:
            match = re.search(r"^some avg10=(\d+\.?\d*)", _text(self._places.proc / "pressure" / name), re.MULTILINE)
            if match:
                found[name] = float(match[1])
        return found or None

    def _cards(self) -> list[GpuReading]:
        """AMD's and Intel's, from sysfs."""
        if self._places.system != "linux":
            return []
        cards = [c for c in _listed(self._places.kernel / "class/drm") if re.fullmatch(r"card\d+", c.name)]
        read = {"0x1002": _amd, "0x8086": _intel}
        found = []
        for card in cards:
            if (how := read.get(_text(card / "device/vendor").strip())) is not None:
                found.append(how(card))
        return found


@dataclass(slots=True)
class Live:
    """The one who reads for everybody else. Made anywhere, used on one event loop."""

    sensors: Sensors = field(default_factory=Sensors)
    clock: Callable[[], float] = time.monotonic
    patience: float = PATIENCE_SECONDS
    _last: Reading | None = None
    _last_at: float = 0.0
    _under_way: Future[Reading] | None = None

    async def reading(self, max_age: float = 0.5) -> Reading | None:
        """A reading at most `max_age` seconds old; if the machine does not answer in time, the last one; None before the
        first."""
        if self._last is not None and self.clock() - self._last_at <= max_age:
            return self._last
        if self._under_way is None or self._under_way.done():
            self._under_way = self._begin()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.patience):
                self._last = await asyncio.shield(asyncio.wrap_future(self._under_way))
            self._last_at = self.clock()
        return self._last

    def _begin(self) -> Future[Reading]:
        # A daemon thread: a driver that never answers must not keep the process from ending, as an executor's thread would.
        future: Future[Reading] = Future()

        def work() -> None:
            try:
                future.set_result(self.sensors.read())
            except BaseException as problem:  # whoever waits gets it
                future.set_exception(problem)
                if not isinstance(problem, Exception):
                    raise

        threading.Thread(target=work, name="sensors", daemon=True).start()
        return future


# -- GPUs


def _nvidia(device: Device) -> GpuReading:
    used, total = device.memory()
    limit = device.power_limit()
    return GpuReading(
        vendor="nvidia",
        name=device.name,
        memory_used_bytes=used,
        memory_total_bytes=total,
        busy_percent=device.busy(),
        temperature_c=device.temperature(),
        power_w=device.power(),
        power_limit_w=None if limit is None else limit / 1000,
        clock_mhz=device.clock(),
        highest_clock_mhz=device.highest_clock(),
        memory_clock_mhz=device.memory_clock(),
        fan_percent=device.fan(),
        slowed=device.slowed(),
    )


def _amd(card: Path) -> GpuReading:
    """amdgpu's files (kernel documentation, "GPU power/thermal controls and monitoring"): millidegrees, microwatts, hertz."""
    device, chip = card / "device", _chip(card / "device")
    fan, full = _number(chip / "pwm1"), _number(chip / "pwm1_max") or 255.0
    return GpuReading(
        vendor="amd",
        name=_text(device / "product_name").strip() or f"AMD GPU {_text(device / 'device').strip()}".strip(),
        memory_used_bytes=_whole(device / "mem_info_vram_used"),
        memory_total_bytes=_whole(device / "mem_info_vram_total"),
        busy_percent=_number(device / "gpu_busy_percent"),
        temperature_c=_scaled(chip / "temp1_input", 1e3),
        power_w=_first(_scaled(chip / "power1_average", 1e6), _scaled(chip / "power1_input", 1e6)),
        power_limit_w=_scaled(chip / "power1_cap", 1e6),
        clock_mhz=_first(_scaled(chip / "freq1_input", 1e6), _chosen(device / "pp_dpm_sclk")),
        highest_clock_mhz=_last_clock(device / "pp_dpm_sclk"),
        memory_clock_mhz=_first(_scaled(chip / "freq2_input", 1e6), _chosen(device / "pp_dpm_mclk")),
        fan_percent=None if fan is None else 100 * fan / full,
    )


def _intel(card: Path) -> GpuReading:
    chip = _chip(card / "device")
    return GpuReading(
        vendor="intel",
        name=f"Intel GPU {_text(card / 'device/device').strip()}".strip(),
        temperature_c=_scaled(chip / "temp1_input", 1e3),
        power_limit_w=_scaled(chip / "power1_max", 1e6),
        clock_mhz=_number(card / "gt_act_freq_mhz"),
        highest_clock_mhz=_number(card / "gt_max_freq_mhz"),
    )


def _chip(device: Path) -> Path:
    """The folder of a card's own sensors."""
    return next(iter(_listed(device / "hwmon")), device / "hwmon" / "none")


def _clocks(path: Path) -> list[tuple[float, bool]]:
    """Lines such as "1: 1340Mhz *"; the star stands at the present one."""
    found = re.findall(r"^\d+:\s*(\d+)\s*Mhz\s*(\*?)", _text(path), re.MULTILINE | re.IGNORECASE)
    return [(float(clock), bool(star)) for clock, star in found]


def _chosen(path: Path) -> float | None:
    return next((clock for clock, star in _clocks(path) if star), None)


def _last_clock(path: Path) -> float | None:
    return max((clock for clock, _ in _clocks(path)), default=None)


# -- the processor


def _cpu_heat(root: Path) -> Path | None:
    """The file that shows the processor's temperature in millidegrees: its own chip's, else a thermal zone that names it."""
    chips = {_text(chip / "name").strip(): chip / "temp1_input" for chip in _listed(root / "class/hwmon")}
    for name in CPU_CHIPS:
        if name in chips and _number(chips[name]) is not None:
            return chips[name]
    for zone in _listed(root / "class/thermal"):
        if re.search(r"cpu|x86_pkg|soc", _text(zone / "type"), re.IGNORECASE) and _number(zone / "temp") is not None:
            return zone / "temp"
    return None


def _core_times() -> list[tuple[float, float]]:
    """Each logical core's seconds in all and at rest."""
    import psutil

    found = []
    for times in psutil.cpu_times(percpu=True):
        # Linux counts a guest's seconds in `user` too.
        whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        found.append((whole, times.idle + getattr(times, "iowait", 0.0)))
    return found


def _loads(before: list[tuple[float, float]] | None, now: list[tuple[float, float]]) -> tuple[float, ...] | None:
    if before is None or len(before) != len(now):  # a core came or went
        return None
    loads = []
    for (whole, rest), (whole_now, rest_now) in zip(before, now, strict=True):
        passed = whole_now - whole
        if passed <= 0:  # two looks within one tick of the kernel's clock
            return None
        busy = passed - (rest_now - rest)
        loads.append(round(min(100.0, max(0.0, 100 * busy / passed)), 1))
    return tuple(loads)


def _swap() -> tuple[int | None, int | None]:
    import psutil

    try:
        swap = psutil.swap_memory()
    except (OSError, RuntimeError):  # no /proc/vmstat in some containers
        return None, None
    return swap.total, swap.used


# -- files


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(65536).decode("utf-8", "replace")
    except OSError:
        return ""


def _number(path: Path) -> float | None:
    text = _text(path).strip()
    return float(text) if re.fullmatch(r"-?\d{1,18}", text) else None


def _whole(path: Path) -> int | None:
    value = _number(path)
    return None if value is None else int(value)


def _scaled(path: Path, by: float) -> float | None:
    value = _number(path)
    return None if value is None else value / by


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
