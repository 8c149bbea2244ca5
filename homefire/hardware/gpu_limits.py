"""Lower power and clock limits of NVIDIA's GPUs, always taken back: the only place that changes a machine's hardware.

Off unless a person switched it on; needs the right to it (root, as a rule). What a limit was is written to a file, durably,
before it is changed; `revert` at the end, or at the next start after a crash, puts it back and removes the file.
Promises: a limit that somebody else changed meanwhile stays as they left it; after a reboot nothing is put back, because the
driver did; a GPU that refuses is left alone and named in the log.
Does not cover: raising limits, AMD's GPUs, clocks that a person had locked before (the driver does not tell them: they are
freed).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homefire.hardware.nvml import Device, Nvml, NvmlRefused, open_library

log = logging.getLogger(__name__)

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class GpuLimits:
    """`wish` is the file; it is there exactly while something may be changed. Blocking: call it in a thread, one call at a
    time."""

    def __init__(self, wish: Path, load: Callable[[], Any] = open_library, boot: Path = _BOOT) -> None:
        self._wish = wish
        self._load = load
        self._boot = boot
        self._refused: set[str] = set()

    def lower(self, share: float) -> None:
        """Power and clocks at most `share` of what they were before the first change; 1 takes everything back. Raises OSError."""
        if share >= 1:
            self.revert()
            return
        nvml = Nvml(self._load)
        try:
            devices = [device for device in nvml.devices() if device.uuid and device.uuid not in self._refused]
            rows = {row["uuid"]: row for row in self._read()}
            for device in devices:
                rows[device.uuid] = _planned(device, rows.get(device.uuid), share)
            self._write(list(rows.values()))
            for device in devices:
                self._set(device, rows[device.uuid])
        finally:
            nvml.close()

    def revert(self) -> bool:
        """Takes back what the file names, then removes it; whether there was anything. Raises OSError."""
        if not self._wish.exists():
            return False
        rows = self._read()
        if rows:
            try:
                nvml = Nvml(self._load)
            except OSError as problem:
                log.warning("the GPU limits of %s cannot be taken back: %s", self._wish, problem)
                return True  # the file stays: the next start tries again
            try:
                devices = {device.uuid: device for device in nvml.devices()}
                for row in rows:
                    if row["uuid"] in devices:
                        _take_back(devices[row["uuid"]], row)
            finally:
                nvml.close()
        self._wish.unlink(missing_ok=True)
        return bool(rows)

    def _set(self, device: Device, row: dict[str, Any]) -> None:
        try:
            if row["power"] is not None:
                device.set_power_limit(row["power"])
            if row["clock"] is not None:
                device.lock_clocks(row["clock"])
        except NvmlRefused as problem:
            self._refused.add(device.uuid)
            log.warning("%s refuses lower limits: %s", device.name, problem)

    def _read(self) -> list[dict[str, Any]]:
        """The rows of a file of this boot; none if it is of another, broken or not there."""
        try:
            found = json.loads(self._wish.read_text("utf-8"))
            return list(found["gpus"]) if found["boot"] == self._this_boot() else []
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _write(self, rows: list[dict[str, Any]]) -> None:
        part = self._wish.with_suffix(".new")
        with part.open("w", encoding="utf-8") as file:
            json.dump({"boot": self._this_boot(), "gpus": rows}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._wish)

    def _this_boot(self) -> str:
        try:
            return self._boot.read_text("utf-8").strip()
        except OSError:
            return ""


def _planned(device: Device, before: dict[str, Any] | None, share: float) -> dict[str, Any]:
    """What to set, beside what was before the first change."""
    power_before = before["power_before"] if before else device.power_limit()
    highest = device.highest_clock()
    bounds = device.power_bounds()
    power = None
    if power_before is not None and bounds is not None:
        power = min(power_before, max(bounds[0], int(power_before * share) // 1000 * 1000))
    # All that was ever planned: a crash between writing and setting leaves the GPU at the plan before the last.
    planned = [*(before["planned"] if before else ()), power]
    return {
        "uuid": device.uuid,
        "power_before": power_before,
        "power": power,
        "planned": sorted({each for each in planned if each is not None}),
        "clock": None if highest is None else int(highest * share),
    }


def _take_back(device: Device, row: dict[str, Any]) -> None:
    try:
        now = device.power_limit()
        # A driver may round what was set; beyond a watt somebody else set it.
        if now is not None and any(abs(now - planned) <= 1000 for planned in row["planned"]):
            device.set_power_limit(row["power_before"])
        if row["clock"] is not None:
            device.unlock_clocks()
    except NvmlRefused as problem:
        log.warning("%s refuses its old limits: %s", device.name, problem)
