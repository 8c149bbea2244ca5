"""Sensors from made-up folders and libraries, and the one who reads for everybody.

Promises: what is there is read in its unit, what is not there is None; a driver that hangs keeps nobody waiting; the C library
and the Python one look the same.
Does not cover: real chips.
"""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from homefire.hardware.nvml import Nvml
from homefire.hardware.sensors import CpuReading, Live, Places, Reading, Sensors
from tests.null import nvml_library as fake


def no_nvml() -> Any:
    raise OSError("no driver")


def lay(root: Path, **files: str) -> None:
    """Writes files whose path has | for /."""
    for name, text in files.items():
        path = root / name.replace("|", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def places(root: Path, nvml: Any = no_nvml) -> Places:
    return Places(nvml, root / "sys", root / "proc", "linux")


def test_a_bare_machine_shows_none_not_zero(tmp_path: Path) -> None:
    reading = Sensors(places(tmp_path)).read()
    assert reading.gpus == ()
    assert reading.pressure is None
    cpu = reading.cpu
    assert (cpu.temperature_c, cpu.clock_mhz, cpu.highest_clock_mhz, cpu.slowed) == (None, None, None, None)
    assert cpu.cores_percent is not None, "the first look waits for a second one"
    assert all(0 <= load <= 100 for load in cpu.cores_percent)
    assert reading.memory_total_bytes and reading.memory_available_bytes
    assert reading.memory_available_bytes <= reading.memory_total_bytes


def test_processor(tmp_path: Path) -> None:
    cpu = "devices|system|cpu|"
    lay(
        tmp_path / "sys",
        **{
            "class|hwmon|hwmon0|name": "acpitz\n",
            "class|hwmon|hwmon0|temp1_input": "20000\n",
            "class|hwmon|hwmon1|name": "coretemp\n",
            "class|hwmon|hwmon1|temp1_input": "71500\n",
            f"{cpu}cpufreq|policy0|scaling_cur_freq": "3000000\n",
            f"{cpu}cpufreq|policy1|scaling_cur_freq": "2000000\n",
            f"{cpu}cpufreq|policy0|cpuinfo_max_freq": "4000000\n",
            f"{cpu}cpu0|thermal_throttle|core_throttle_count": "5\n",
        },
    )
    lay(tmp_path / "proc", **{"pressure|memory": "some avg10=1.50 avg60=0 avg300=0 total=1\nfull avg10=0.5\n"})
    sensors = Sensors(places(tmp_path))
    first = sensors.read()
    assert (first.cpu.temperature_c, first.cpu.clock_mhz, first.cpu.highest_clock_mhz) == (71.5, 2500, 4000)
    assert first.cpu.slowed is None, "a count says nothing until it is seen twice"
    assert sensors.read().cpu.slowed is False
    lay(tmp_path / "sys", **{f"{cpu}cpu0|thermal_throttle|core_throttle_count": "6\n"})
    assert sensors.read().cpu.slowed is True
    assert first.pressure == {"memory": 1.5}


def test_thermal_zone_where_no_chip_has_a_name(tmp_path: Path) -> None:
    zones = {"class|thermal|thermal_zone0|type": "wifi", "class|thermal|thermal_zone0|temp": "90000"}
    zones |= {"class|thermal|thermal_zone1|type": "cpu-thermal", "class|thermal|thermal_zone1|temp": "48000"}
    lay(tmp_path / "sys", **zones)
    assert Sensors(places(tmp_path)).read().cpu.temperature_c == 48


def test_broken_files(tmp_path: Path) -> None:
    lay(
        tmp_path / "sys",
        **{
            "class|hwmon|hwmon0|name": "coretemp",
            "class|hwmon|hwmon0|temp1_input": "hot",
            "devices|system|cpu|cpufreq|policy0|scaling_cur_freq": "",
            "class|drm|card0|device|vendor": "0x1002",
            "class|drm|card0|device|gpu_busy_percent": "9" * 400,
            "class|drm|card1|device|vendor": "\0\0",
        },
    )
    lay(tmp_path / "proc", **{"pressure|cpu": "some avg10=many\n"})
    reading = Sensors(places(tmp_path)).read()
    assert (reading.cpu.temperature_c, reading.cpu.clock_mhz, reading.pressure) == (None, None, None)
    assert [(gpu.vendor, gpu.busy_percent) for gpu in reading.gpus] == [("amd", None)]


def test_amd(tmp_path: Path) -> None:
    device, chip = "class|drm|card0|device|", "class|drm|card0|device|hwmon|hwmon3|"
    lay(
        tmp_path / "sys",
        **{
            f"{device}vendor": "0x1002\n",
            f"{device}product_name": "Radeon\n",
            f"{device}mem_info_vram_used": "1000\n",
            f"{device}mem_info_vram_total": "4000\n",
            f"{device}gpu_busy_percent": "33\n",
            f"{device}pp_dpm_sclk": "0: 500Mhz\n1: 1340Mhz *\n2: 2000Mhz\n",
            f"{chip}temp1_input": "66000\n",
            f"{chip}power1_average": "120000000\n",
            f"{chip}power1_cap": "200000000\n",
            f"{chip}pwm1": "51\n",
            f"{chip}pwm1_max": "255\n",
        },
    )
    (gpu,) = Sensors(places(tmp_path)).read().gpus
    assert (gpu.name, gpu.memory_used_bytes, gpu.memory_total_bytes, gpu.busy_percent) == ("Radeon", 1000, 4000, 33)
    assert (gpu.temperature_c, gpu.power_w, gpu.power_limit_w, gpu.fan_percent) == (66, 120, 200, 20)
    assert (gpu.clock_mhz, gpu.highest_clock_mhz, gpu.memory_clock_mhz, gpu.slowed) == (1340, 2000, None, None)


def test_nvidia(tmp_path: Path) -> None:
    state = tmp_path / "state"
    fake.write(state, slowed=0x20)
    library = fake.Library(state)
    sensors = Sensors(places(tmp_path, lambda: library))
    (gpu,) = sensors.read().gpus
    assert (gpu.memory_used_bytes, gpu.memory_total_bytes, gpu.busy_percent) == (3 << 20, 24 << 30, 40)
    assert (gpu.temperature_c, gpu.power_w, gpu.power_limit_w, gpu.fan_percent) == (50, 150.0, 300.0, 30)
    assert (gpu.clock_mhz, gpu.highest_clock_mhz, gpu.memory_clock_mhz, gpu.slowed) == (1500, 2000, 5505, True)
    fake.change(state, slowed=0x4)
    assert sensors.read().gpus[0].slowed is False, "a power cap is how every card works under load"
    assert library.opened == 1, "opened once for all readings"
    sensors.close()
    assert library.opened == 0


def test_nvidia_without_some_functions(tmp_path: Path) -> None:
    state = tmp_path / "state"
    fake.write(state)
    gone = ("nvmlDeviceGetFanSpeed", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetTemperature", "nvmlDeviceGetPowerUsage")
    library = fake.Library(state, (*gone, "nvmlDeviceGetCurrentClocksThrottleReasons", "nvmlDeviceGetUtilizationRates"))
    (gpu,) = Sensors(places(tmp_path, lambda: library)).read().gpus
    assert (gpu.fan_percent, gpu.memory_used_bytes, gpu.memory_total_bytes) == (None, None, None)
    assert (gpu.temperature_c, gpu.power_w, gpu.slowed, gpu.busy_percent) == (None, None, None, None)
    assert gpu.clock_mhz == 1500


def test_the_library_in_c_shows_the_same(tmp_path: Path) -> None:
    state = tmp_path / "state"
    fake.write(state)
    built = fake.build(tmp_path, state)
    if built is None:
        pytest.skip("needs a C compiler")
    in_c = Sensors(places(tmp_path, lambda: ctypes.CDLL(str(built)))).read().gpus
    assert in_c == Sensors(places(tmp_path, lambda: fake.Library(state))).read().gpus
    nvml = Nvml(lambda: ctypes.CDLL(str(built)))
    (device,) = nvml.devices()
    device.set_power_limit(222000)
    device.lock_clocks(900)
    assert (fake.read(state)["limit"], fake.read(state)["locked"]) == (222000, 900)


# -- Live


class Slow(Sensors):
    """Each reading waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.reads = 0

    def read(self) -> Reading:
        self.reads += 1
        self.go.wait(30)
        return Reading(float(self.reads), CpuReading(), ())


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


def test_who_asks_meanwhile_shares_the_reading() -> None:
    async def scenario() -> None:
        slow, now = Slow(), [0.0]
        live = Live(slow, lambda: now[0], patience=30)
        asking = [asyncio.ensure_future(live.reading()) for _ in range(5)]
        await asyncio.sleep(0)
        slow.go.set()
        assert {found.at for found in await asyncio.gather(*asking) if found} == {1.0}
        assert slow.reads == 1
        assert await live.reading() is asking[0].result(), "still fresh"
        now[0] = 1.0
        later = await live.reading()
        assert later is not None and later.at == 2.0

    run(scenario())


def test_a_driver_that_hangs_leaves_the_last_reading() -> None:
    async def scenario() -> None:
        slow, now = Slow(), [0.0]
        live = Live(slow, lambda: now[0], patience=0.05)
        assert await live.reading() is None, "nothing yet, and nobody waits for ever"
        slow.go.set()
        live.patience = 30
        first = await live.reading()
        assert first is not None
        slow.go.clear()
        now[0], live.patience = 1.0, 0.05
        for _ in range(3):
            assert await live.reading() is first
        assert slow.reads == 2, "one thread hangs, not one for each who asks"
        slow.go.set()

    run(scenario())
