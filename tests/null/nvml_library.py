"""A made-up NVML library with one GPU, whose state is a file of numbers, so that it outlives a process as a real GPU's does.

In C for whoever loads `libnvidia-ml.so.1` (`build`), and in Python for tests in one process (`Library`).
Promises: both read and write the same file, one `name value` a line; a name that is not in the file is not supported.
Does not cover: more than one GPU; the C compiler: `build` gives None where there is none.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

UUID = "GPU-0123"
# Degrees, milliwatts, MHz, percent.
STATE = {
    "temperature": 50, "power": 150000, "limit": 300000, "low": 100000, "high": 350000, "clock": 1500, "memory_clock": 5505,
    "highest": 2000, "busy": 40, "fan": 30, "slowed": 0, "used": 3 << 20, "total": 24 << 30, "locked": 0, "refuse": 0,
}  # fmt: skip


def write(state: Path, **changed: int) -> None:
    """Writes the whole state: the usual one with changes."""
    part = state.with_suffix(".part")
    part.write_text("".join(f"{name} {value}\n" for name, value in {**STATE, **changed}.items()))
    part.replace(state)


def read(state: Path) -> dict[str, int]:
    """The state as it is."""
    return {name: int(value) for name, value in (line.split() for line in state.read_text().splitlines())}


def change(state: Path, **changed: int) -> None:
    """Changes some of it."""
    write(state, **{**read(state), **changed})


class Library:
    """The library as ctypes shows it: every pointer comes from `ctypes.byref`. `left_out` are functions that it lacks."""

    def __init__(self, state: Path, left_out: tuple[str, ...] = ()) -> None:
        self._state = state
        self._left_out = left_out
        self.opened = 0
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvml") or name in self._left_out:
            raise AttributeError(name)

        def call(*given: Any) -> int:
            self.calls.append(name)
            return self._answer(name, *given)

        return call

    def _answer(self, name: str, *given: Any) -> int:
        state = read(self._state)
        match name:
            case "nvmlInit_v2":
                self.opened += 1
            case "nvmlShutdown":
                self.opened -= 1
            case "nvmlDeviceGetCount_v2":
                given[0]._obj.value = 1
            case "nvmlDeviceGetHandleByIndex_v2":
                given[1]._obj.value = 7
            case "nvmlDeviceGetUUID":
                given[1].value = UUID.encode()
            case "nvmlDeviceGetName":
                given[1].value = b"Made-up GPU"
            case "nvmlDeviceGetMemoryInfo":
                memory = given[1]._obj
                memory.total, memory.used, memory.free = state["total"], state["used"], state["total"] - state["used"]
            case "nvmlDeviceGetUtilizationRates":
                given[1]._obj.gpu = state["busy"]
            case "nvmlDeviceGetCurrentClocksThrottleReasons":
                given[1]._obj.value = state["slowed"]
            case "nvmlDeviceGetPowerManagementLimitConstraints":
                given[1]._obj.value, given[2]._obj.value = state["low"], state["high"]
            case "nvmlDeviceSetPowerManagementLimit":
                return self._set(state, limit=given[1].value)
            case "nvmlDeviceSetGpuLockedClocks":
                return self._set(state, locked=given[2].value)
            case "nvmlDeviceResetGpuLockedClocks":
                return self._set(state, locked=0)
            case _:
                return self._number(state, name, *given)
        return 0

    def _number(self, state: dict[str, int], name: str, *given: Any) -> int:
        memory = len(given) == 3 and given[1].value == 2
        key = {
            "nvmlDeviceGetTemperature": "temperature",
            "nvmlDeviceGetPowerUsage": "power",
            "nvmlDeviceGetPowerManagementLimit": "limit",
            "nvmlDeviceGetClockInfo": "memory_clock" if memory else "clock",
            "nvmlDeviceGetMaxClockInfo": "highest",
            "nvmlDeviceGetFanSpeed": "fan",
        }.get(name, "")
        if key not in state:
            return 3
        given[-1]._obj.value = state[key]
        return 0

    def _set(self, state: dict[str, int], **changed: int) -> int:
        if state["refuse"]:
            return 4
        change(self._state, **changed)
        return 0


def build(folder: Path, state: Path) -> Path | None:
    """Compiles the same in C as `libnvidia-ml.so.1` in `folder`, bound to `state`; None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    source, library = folder / "nvml.c", folder / "libnvidia-ml.so.1"
    source.write_text(SOURCE.replace("STATE_FILE", str(state)).replace("THE_UUID", UUID))
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True, timeout=120)
    return library


SOURCE = r"""
#include <stdio.h>
#include <string.h>
#define FILE_NAME "STATE_FILE"
typedef unsigned int u;
typedef unsigned long long ull;

static int get(const char *wanted, ull *value) {
    char name[64]; ull found;
    FILE *file = fopen(FILE_NAME, "r");
    if (!file) return 999;
    int answer = 3;
    while (fscanf(file, "%63s %llu", name, &found) == 2)
        if (!strcmp(name, wanted)) { *value = found; answer = 0; }
    fclose(file);
    return answer;
}
static int put(const char *wanted, ull value) {
    char names[32][64]; ull values[32], refuse = 0; int count = 0;
    if (!get("refuse", &refuse) && refuse) return 4;
    FILE *file = fopen(FILE_NAME, "r");
    if (!file) return 999;
    while (count < 32 && fscanf(file, "%63s %llu", names[count], &values[count]) == 2) {
        if (!strcmp(names[count], wanted)) values[count] = value;
        count++;
    }
    fclose(file);
    file = fopen(FILE_NAME ".c", "w");
    if (!file) return 999;
    for (int i = 0; i < count; i++) fprintf(file, "%s %llu\n", names[i], values[i]);
    fclose(file);
    return rename(FILE_NAME ".c", FILE_NAME) ? 999 : 0;
}
static int number(const char *wanted, u *value) { ull found; int e = get(wanted, &found); if (!e) *value = (u)found; return e; }
static int text(const char *given, char *buffer, u size) { snprintf(buffer, size, "%s", given); return 0; }

int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *b, u n) { return text("1.0", b, n); }
int nvmlDeviceGetCount_v2(u *n) { *n = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(u i, void **h) { *h = (void *)7; return 0; }
int nvmlDeviceGetUUID(void *h, char *b, u n) { return text("THE_UUID", b, n); }
int nvmlDeviceGetName(void *h, char *b, u n) { return text("Made-up GPU", b, n); }
int nvmlDeviceGetMemoryInfo(void *h, ull *m) {
    if (get("total", &m[0]) || get("used", &m[2])) return 3;
    m[1] = m[0] - m[2]; return 0;
}
int nvmlDeviceGetUtilizationRates(void *h, u *v) { return number("busy", v); }
int nvmlDeviceGetTemperature(void *h, int kind, u *v) { return number("temperature", v); }
int nvmlDeviceGetPowerUsage(void *h, u *v) { return number("power", v); }
int nvmlDeviceGetPowerManagementLimit(void *h, u *v) { return number("limit", v); }
int nvmlDeviceGetPowerManagementLimitConstraints(void *h, u *l, u *g) { return number("low", l) || number("high", g); }
int nvmlDeviceSetPowerManagementLimit(void *h, u v) { return put("limit", v); }
int nvmlDeviceSetGpuLockedClocks(void *h, u l, u v) { return put("locked", v); }
int nvmlDeviceResetGpuLockedClocks(void *h) { return put("locked", 0); }
int nvmlDeviceGetClockInfo(void *h, int kind, u *v) { return number(kind == 2 ? "memory_clock" : "clock", v); }
int nvmlDeviceGetMaxClockInfo(void *h, int kind, u *v) { return number("highest", v); }
int nvmlDeviceGetFanSpeed(void *h, u *v) { return number("fan", v); }
int nvmlDeviceGetCurrentClocksThrottleReasons(void *h, ull *v) { return get("slowed", v); }
"""
