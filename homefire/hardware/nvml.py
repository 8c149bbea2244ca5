"""NVIDIA's management library, by ctypes: what is read from a GPU while it works, and the few things that can be set.

Promises: a function that the driver lacks, refuses or fails at gives None, never 0 and never an exception; setting raises
NvmlRefused with the library's own number. One `Nvml` holds the library open: opening may take some hundred milliseconds.
Does not cover: finding GPUs at start (`gpu.py`), parts of a GPU (MIG), processes on a GPU.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

_GRAPHICS, _MEMORY = 0, 2
_TEMPERATURE_GPU = 0
# nvmlClocksThrottleReason*: hardware slowdown, software and hardware thermal slowdown, power brake. A cap by power alone
# (0x4) is how every card under load works, and no sign of trouble.
SLOWED = 0x8 | 0x20 | 0x40 | 0x80
_UUID_SIZE = 96


class NvmlRefused(Exception):
    """The library refused a change; `number` is its own (4: no permission, 3: not supported)."""

    def __init__(self, function: str, number: int) -> None:
        super().__init__(f"{function} gave {number}")
        self.number = number


class Memory(ctypes.Structure):
    """nvmlMemory_t."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class Utilisation(ctypes.Structure):
    """nvmlUtilization_t, in percent."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


def open_library() -> Any:
    """NVIDIA's own library, which comes with the driver. Raises OSError where there is none."""
    return ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")


class Nvml:
    """The library, open. Raises OSError where there is none or it does not start."""

    def __init__(self, load: Callable[[], Any] = open_library) -> None:
        self.library = load()
        if self._call("nvmlInit_v2") != 0:
            raise OSError("NVIDIA's management library does not start")

    def close(self) -> None:
        """Lets go of it."""
        self._call("nvmlShutdown")

    def devices(self) -> list[Device]:
        """Every GPU that answers."""
        count = self.number("nvmlDeviceGetCount_v2") or 0
        found = []
        for index in range(min(count, 64)):
            handle = ctypes.c_void_p()
            if self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle)) == 0:
                found.append(Device(self, handle))
        return found

    def number(self, function: str, *given: Any) -> int | None:
        """What a function writes into the unsigned number behind its last argument."""
        value = ctypes.c_uint(0)
        return None if self._call(function, *given, ctypes.byref(value)) else value.value

    def text(self, function: str, *given: Any) -> str:
        """What a function writes into a buffer."""
        value = ctypes.create_string_buffer(_UUID_SIZE)
        if self._call(function, *given, value, ctypes.c_uint(len(value))):
            return ""
        return value.value.decode("utf-8", "replace")

    def change(self, function: str, *given: Any) -> None:
        """Calls what changes something. Raises NvmlRefused."""
        if number := self._call(function, *given):
            raise NvmlRefused(function, number)

    def fill(self, function: str, handle: ctypes.c_void_p, form: Any) -> bool:
        """Whether a function filled a structure."""
        return self._call(function, handle, ctypes.byref(form)) == 0

    def _call(self, function: str, *given: Any) -> int:
        call = getattr(self.library, function, None)
        return 13 if call is None else int(call(*given))  # NVML_ERROR_FUNCTION_NOT_FOUND


class Device:
    """One GPU. Everything is asked anew at each call."""

    def __init__(self, nvml: Nvml, handle: ctypes.c_void_p) -> None:
        self._nvml = nvml
        self._handle = handle
        self.uuid = nvml.text("nvmlDeviceGetUUID", handle)
        self.name = nvml.text("nvmlDeviceGetName", handle) or "NVIDIA GPU"

    def memory(self) -> tuple[int | None, int | None]:
        """Bytes used and there; None where the GPU shares the main memory."""
        memory = Memory()
        return (memory.used, memory.total) if self._fills("nvmlDeviceGetMemoryInfo", memory) else (None, None)

    def busy(self) -> int | None:
        """Percent of the last moment in which it computed."""
        share = Utilisation()
        return share.gpu if self._fills("nvmlDeviceGetUtilizationRates", share) else None

    def temperature(self) -> int | None:
        """Degrees Celsius of the chip."""
        return self._number("nvmlDeviceGetTemperature", ctypes.c_uint(_TEMPERATURE_GPU))

    def power(self) -> float | None:
        """Watts that it takes."""
        return _thousandth(self._number("nvmlDeviceGetPowerUsage"))

    def power_limit(self) -> int | None:
        """Milliwatts that it may take, as set."""
        return self._number("nvmlDeviceGetPowerManagementLimit")

    def power_bounds(self) -> tuple[int, int] | None:
        """The lowest and the highest limit in milliwatts that can be set."""
        low, high = ctypes.c_uint(0), ctypes.c_uint(0)
        low_high = (ctypes.byref(low), ctypes.byref(high))
        failed = self._nvml._call("nvmlDeviceGetPowerManagementLimitConstraints", self._handle, *low_high)
        return None if failed else (low.value, high.value)

    def set_power_limit(self, milliwatts: int) -> None:
        """Raises NvmlRefused."""
        self._nvml.change("nvmlDeviceSetPowerManagementLimit", self._handle, ctypes.c_uint(milliwatts))

    def clock(self) -> int | None:
        """MHz at which it computes now."""
        return self._number("nvmlDeviceGetClockInfo", ctypes.c_uint(_GRAPHICS))

    def memory_clock(self) -> int | None:
        """MHz of its memory now."""
        return self._number("nvmlDeviceGetClockInfo", ctypes.c_uint(_MEMORY))

    def highest_clock(self) -> int | None:
        """MHz that it could reach."""
        return self._number("nvmlDeviceGetMaxClockInfo", ctypes.c_uint(_GRAPHICS))

    def lock_clocks(self, highest: int) -> None:
        """Keeps it at `highest` MHz at most. Raises NvmlRefused."""
        self._nvml.change("nvmlDeviceSetGpuLockedClocks", self._handle, ctypes.c_uint(0), ctypes.c_uint(highest))

    def unlock_clocks(self) -> None:
        """Lets the driver choose again. Raises NvmlRefused."""
        self._nvml.change("nvmlDeviceResetGpuLockedClocks", self._handle)

    def fan(self) -> int | None:
        """Percent of the fan's highest speed; None where it has none, as in servers."""
        return self._number("nvmlDeviceGetFanSpeed")

    def slowed(self) -> bool | None:
        """Whether heat or the power supply holds its clocks down."""
        reasons = ctypes.c_ulonglong(0)
        done = self._fills("nvmlDeviceGetCurrentClocksThrottleReasons", reasons)
        return bool(reasons.value & SLOWED) if done else None

    def _number(self, function: str, *given: Any) -> int | None:
        return self._nvml.number(function, self._handle, *given)

    def _fills(self, function: str, form: Any) -> bool:
        return self._nvml.fill(function, self._handle, form)


def _thousandth(value: int | None) -> float | None:
    return None if value is None else value / 1000
