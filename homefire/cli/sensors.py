"""`homefire sensors`: how warm, how busy and how full this machine is.

Promises: what the machine does not show is a dash, and null with --json; with --watch one look a second, with --json a line each,
until Ctrl-C.
Does not cover: curves over time (`GET /metrics` for Prometheus).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire

ROUTE = "/homefire/v1/sensors"


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire sensors`."""
    parser = parser_for("sensors")
    parser.add_argument("--watch", action="store_true", help="one look a second, until Ctrl-C")
    options = parser.parse_args(argv)
    with Homefire.connect() as home:
        if not options.watch:
            _show(home.get(ROUTE), options.json)
            return 0
        try:
            for event in home.stream(f"{ROUTE}/watch", method="GET"):
                if not options.json and sys.stdout.isatty():
                    print("\x1b[H\x1b[2J", end="")
                _show(event.data, options.json)
        except KeyboardInterrupt:
            return 0
    return 0


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for line in lines(found):
        print(line)
    sys.stdout.flush()


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The reading for people."""
    if found.get("cpu") is None:
        yield "The sensors do not answer."
        return
    cpu = found["cpu"]
    loads = cpu["cores_percent"]
    mean = None if not loads else sum(loads) / len(loads)
    slowed = "  held down by heat" if cpu["slowed"] else ""
    now = f"{_unit(cpu['clock_mhz'], ' MHz')}, {_unit(cpu['temperature_c'], ' degrees')}"
    yield f"processor  load {_unit(mean, '%')}, {now}{slowed}"
    if loads:
        yield f"  cores    {' '.join(f'{load:.0f}' for load in loads)}"
    free, total = found["memory_available_bytes"], found["memory_total_bytes"]
    yield f"memory     {_gib(free)} of {_gib(total)} free, swap {_gib(found['swap_used_bytes'])} used"
    if found["pressure"]:
        waits = ", ".join(f"{name} {share:.1f}%" for name, share in found["pressure"].items())
        yield f"pressure   {waits}"
    for gpu in found["gpus"]:
        yield from _gpu(gpu)
    if not found["gpus"]:
        yield "GPU        none that shows itself"
    governor = found["governor"]
    raised = [name for name, level in governor["levels"].items() if level] if governor else []
    if raised:
        yield f"governor   acts: {', '.join(raised)}; {governor['decisions'][0]['words']}"
    if (found["age_s"] or 0) > 5:
        yield f"This is {found['age_s']:.0f} s old: a driver does not answer."


def _gpu(gpu: dict[str, Any]) -> Iterator[str]:
    yield f"GPU        {gpu['name']}: {_gib(gpu['memory_used_bytes'])} of {_gib(gpu['memory_total_bytes'])} used"
    power = f"{_unit(gpu['power_w'], ' W')} of {_unit(gpu['power_limit_w'], ' W')}"
    held = "  held down by heat or supply" if gpu["slowed"] else ""
    yield (
        f"  now      load {_unit(gpu['busy_percent'], '%')}, {_unit(gpu['temperature_c'], ' degrees')}, {power}, "
        f"{_unit(gpu['clock_mhz'], ' MHz')}, fan {_unit(gpu['fan_percent'], '%')}{held}"
    )


def _unit(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.0f}{unit}"


def _gib(value: float | None) -> str:
    return "-" if value is None else f"{value / 2**30:.1f} GiB"
