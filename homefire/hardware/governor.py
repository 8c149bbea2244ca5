"""The governor: readings in, decisions out. Pure rules with hysteresis, tried without sleeping and without a machine.

Each rule looks at one thing of a reading (`RULES`), has a level that is 0 as long as all is well, and a wish for each level
above. A level rises by one when the thing was bad for `CONFIRM` looks in a row, and falls by one when it was good for all of
`CALM_SECONDS`; between bad and good lies a band in which nothing changes. No level changes sooner than `DWELL_SECONDS` after
its last change, so that it cannot flap. What counts is the strictest wish of all rules.

| thing      | bad                  | good              | what is wished, level by level                           |
|------------|----------------------|-------------------|----------------------------------------------------------|
| cpu heat   | at the ceiling       | 8 degrees below   | threads 3/4; threads, batch 1/2; threads 1/4, unload     |
| cpu clocks | heat held them down  | nothing did       | the same                                                 |
| gpu heat   | at the ceiling       | 8 degrees below   | GPU power 4/5; power 3/5, batch 1/2; power 1/2, unload   |
| gpu clocks | heat or supply did   | nothing did       | the same                                                 |
| memory     | below the floor      | 1.5 times it      | unload; context 1/2 for new loads; context, batch 1/4    |
| gpu memory | below the floor      | 1.5 times it      | the same                                                 |

A thing that is not shown (None) counts as good: a sensor that fell silent must not hold the machine down for ever, and its own
hardware protects it. "Unload" means models that nobody uses: for heat once, so that they come back with fewer threads; for memory
again at each dwell while it stays short.
Promises: `look` changes nothing but the governor; the same readings give the same decisions; a level never leaves 0 to 3.
Does not cover: doing it (`regulator.py`), which models are idle (`residency/`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from homefire.hardware.sensors import GpuReading, Reading

GIB = 1 << 30
CONFIRM = 2
CALM_SECONDS = 60.0
DWELL_SECONDS = 15.0
BAND_C = 8.0
ENOUGH = 1.5


@dataclass(frozen=True, slots=True)
class Bounds:
    """Degrees Celsius, and bytes that stay free in the main memory and on each GPU."""

    ceiling_c: float = 80.0
    floor_bytes: int = GIB

    def floor(self, total: int) -> float:
        """Of a small memory an eighth is enough: a gigabyte would be all of it."""
        return min(self.floor_bytes, total / 8)


@dataclass(frozen=True, slots=True)
class Wish:
    """Shares of what is usual: 1 is all of it. Threads and context are those of models loaded from now on. `unload`: models that
    nobody uses leave."""

    threads: float = 1.0
    batch: float = 1.0
    context: float = 1.0
    gpu_power: float = 1.0
    unload: bool = False


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing as a rule sees it: +1 bad, 0 between, -1 good, and the reading in words."""

    state: int
    words: str


@dataclass(frozen=True, slots=True)
class Rule:
    """`sign` gives None for a thing that the machine does not show; `again`: an unloading is repeated while the thing is bad."""

    name: str
    sign: Callable[[Reading, Bounds], Sign | None]
    wishes: tuple[Wish, Wish, Wish]
    again: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A level that changed, or models that should leave once more. `reading` is what it was decided by."""

    at: float
    rule: str
    level_before: int
    level: int
    reading: str
    wish: Wish

    def words(self) -> str:
        """For the log and for people."""
        wished = [
            f"{name} {share:.0%}"
            for name in ("threads", "batch", "context", "gpu_power")
            if (share := getattr(self.wish, name)) < 1
        ]
        if self.wish.unload:
            wished.append("unload idle models")
        return f"{self.rule}: {self.reading}; level {self.level_before} -> {self.level}: {', '.join(wished) or 'all as usual'}"


@dataclass(slots=True)
class _Level:
    value: int = 0
    changed_at: float = float("-inf")
    bad_looks: int = 0
    good_since: float | None = None


@dataclass(slots=True)
class Governor:
    """See the module's text."""

    limits: Bounds = field(default_factory=Bounds)
    _levels: dict[str, _Level] = field(default_factory=lambda: {rule.name: _Level() for rule in RULES})

    def look(self, reading: Reading, now: float) -> list[Decision]:
        """What this reading changes. `now` is any monotonic clock, `reading.at` only goes into the decision."""
        decisions = []
        for rule in RULES:
            sign = rule.sign(reading, self.limits) or Sign(-1, "is not shown any more")
            level = self._levels[rule.name]
            before = level.value
            if self._turn(level, sign.state, now) or self._again(level, rule, sign.state, now):
                decisions.append(Decision(reading.at, rule.name, before, level.value, sign.words, _wish(rule, level)))
        return decisions

    def wish(self) -> Wish:
        """The strictest of all rules."""
        wishes = [_wish(rule, self._levels[rule.name]) for rule in RULES]
        return Wish(
            threads=min(w.threads for w in wishes),
            batch=min(w.batch for w in wishes),
            context=min(w.context for w in wishes),
            gpu_power=min(w.gpu_power for w in wishes),
            unload=any(w.unload for w in wishes),
        )

    def levels(self) -> dict[str, int]:
        """Each rule's level, 0 if all is well."""
        return {name: level.value for name, level in self._levels.items()}

    def _turn(self, level: _Level, state: int, now: float) -> bool:
        level.bad_looks = level.bad_looks + 1 if state > 0 else 0
        level.good_since = (now if level.good_since is None else level.good_since) if state < 0 else None
        if now - level.changed_at < DWELL_SECONDS:
            return False
        if level.bad_looks >= CONFIRM and level.value < 3:
            level.value += 1
        elif level.good_since is not None and level.value and now - level.good_since >= CALM_SECONDS:
            level.value -= 1
            level.good_since = now  # the next step down has to be earned anew
        else:
            return False
        level.changed_at, level.bad_looks = now, 0
        return True

    def _again(self, level: _Level, rule: Rule, state: int, now: float) -> bool:
        """A model that was in use when it should have left may be idle now."""
        due = rule.again and state > 0 and _wish(rule, level).unload and now - level.changed_at >= DWELL_SECONDS
        if due:
            level.changed_at = now
        return due


def _wish(rule: Rule, level: _Level) -> Wish:
    return rule.wishes[level.value - 1] if level.value else Wish()


# -- signs


def _heat(celsius: float | None, limits: Bounds, whose: str) -> Sign | None:
    if celsius is None:
        return None
    state = 1 if celsius >= limits.ceiling_c else -1 if celsius <= limits.ceiling_c - BAND_C else 0
    return Sign(state, f"{whose} at {celsius:.0f} degrees, ceiling {limits.ceiling_c:.0f}")


def _cpu_heat(reading: Reading, limits: Bounds) -> Sign | None:
    return _heat(reading.cpu.temperature_c, limits, "processor")


def _gpu_heat(reading: Reading, limits: Bounds) -> Sign | None:
    hot = max((g for g in reading.gpus if g.temperature_c is not None), key=_celsius, default=None)
    return None if hot is None else _heat(hot.temperature_c, limits, hot.name)


def _celsius(gpu: GpuReading) -> float:
    return gpu.temperature_c or 0.0


def _slowed(slowed: bool | None, whose: str, clock: float | None) -> Sign | None:
    if slowed is None:
        return None
    at = f" ({clock:.0f} MHz)" if clock is not None else ""
    return Sign(1 if slowed else -1, f"clocks of {whose} {'held down' if slowed else 'free'}{at}")


def _cpu_clocks(reading: Reading, limits: Bounds) -> Sign | None:
    return _slowed(reading.cpu.slowed, "the processor", reading.cpu.clock_mhz)


def _gpu_clocks(reading: Reading, limits: Bounds) -> Sign | None:
    known = [gpu for gpu in reading.gpus if gpu.slowed is not None]
    worst = next((gpu for gpu in known if gpu.slowed), known[0] if known else None)
    return None if worst is None else _slowed(worst.slowed, worst.name, worst.clock_mhz)


def _free(free: int, total: int, limits: Bounds, whose: str) -> Sign:
    floor = limits.floor(total)
    state = 1 if free < floor else -1 if free >= ENOUGH * floor else 0
    return Sign(state, f"{free / GIB:.2f} GiB free {whose}, floor {floor / GIB:.2f}")


def _memory(reading: Reading, limits: Bounds) -> Sign | None:
    free, total = reading.memory_available_bytes, reading.memory_total_bytes
    return None if free is None or not total else _free(free, total, limits, "in the main memory")


def _gpu_memory(reading: Reading, limits: Bounds) -> Sign | None:
    signs = [
        _free(gpu.memory_total_bytes - gpu.memory_used_bytes, gpu.memory_total_bytes, limits, f"on {gpu.name}")
        for gpu in reading.gpus
        if gpu.memory_total_bytes and gpu.memory_used_bytes is not None
    ]
    return max(signs, key=lambda sign: sign.state, default=None)


_COOL_CPU = (Wish(threads=0.75), Wish(threads=0.5, batch=0.5), Wish(threads=0.25, batch=0.5, unload=True))
_COOL_GPU = (Wish(gpu_power=0.8), Wish(gpu_power=0.6, batch=0.5), Wish(gpu_power=0.5, batch=0.5, unload=True))
_MAKE_ROOM = (Wish(unload=True), Wish(unload=True, context=0.5), Wish(unload=True, context=0.25, batch=0.25))
RULES: tuple[Rule, ...] = (
    Rule("cpu heat", _cpu_heat, _COOL_CPU),
    Rule("cpu clocks", _cpu_clocks, _COOL_CPU),
    Rule("gpu heat", _gpu_heat, _COOL_GPU),
    Rule("gpu clocks", _gpu_clocks, _COOL_GPU),
    Rule("memory", _memory, _MAKE_ROOM, again=True),
    Rule("gpu memory", _gpu_memory, _MAKE_ROOM, again=True),
)
