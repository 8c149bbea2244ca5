"""The proposal: which model this machine should use for what, said before anything is downloaded.

Roles: `main` talks and works; `rlm` reads long texts piece by piece and calls itself, so it must be quick and hold 32,768 tokens;
`memory` sums up and sorts what is to be remembered, in small pieces. An embedder stands beside them.
Promises: pure; every role has an answer on every machine: where nothing else fits, or nothing else is to be had, the pilot; one
model serves several roles where it can, for each change of model costs a load; memory that main takes is not given away twice.
Does not cover: asking, fetching, several GPUs, disk space, rlm and memory at one time (each is judged beside main alone), how
well a model answers: among rows marked `proposed` the larger one counts as the better, a mixture of experts as the geometric mean
of all and active parameters (a rule of thumb).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from homefire.errors import HomefireError
from homefire.hardware.gpu import Gpu
from homefire.hardware.machine import Machine
from homefire.hardware.tier import Tier, tier
from homefire.models.calibration import ErrorBar
from homefire.models.catalogue import Catalogue, Entry
from homefire.models.fit import Load, Room, fit
from homefire.models.speed import Bandwidth, speed_between

PILOT, EMBEDDER = "pilot", "all-minilm-l6-v2"
# Best first. Below four bits small models lose too much to be proposed unasked; more than four are worth it only where speed is
# plenty: so many times what the role asks.
QUANTIZATIONS = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M")
PLENTY = 3
# Main memory's bandwidth in bytes a second where nobody measured it: two channels of DDR4-2666 have 42.7e9, one channel half of
# it, two of DDR5-6400 102e9. The interval of the speed is widened to both.
HOST_BANDWIDTH = (21e9, 42e9, 102e9)
GPU_BANDWIDTH = (100e9, 300e9, 1000e9)


@dataclass(frozen=True, slots=True)
class Role:
    """What a role asks: tokens of context (less where the model has less is not enough), tokens a second that are expected at
    least, and parameters at most (0: any)."""

    name: str
    context: int
    rate: float
    most: float = 0


MAIN = Role("main", 8192, 6)  # 6 tokens a second is about as fast as one reads
RLM = Role("rlm", 32_768, 15)
MEMORY = Role("memory", 8192, 10, 5e9)
ROLES = (MAIN, RLM, MEMORY)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one model would take and do: bytes in main memory and on the GPU, tokens a second (low, expected, high)."""

    fits: bool
    host: int
    gpu: int
    rates: tuple[float, float, float]
    why: str


# (model, quantization, context, bytes of (main memory, GPU) that are taken already) -> estimate; None: it cannot be told.
Judge = Callable[[Entry, str, int, tuple[int, int]], Estimate | None]


@dataclass(frozen=True, slots=True)
class Choice:
    """One role's answer. `download_bytes` 0 if it is here; `total_bytes` with cache and buffers; `rates`: tokens a second
    (low, expected, high), zeros if they cannot be told; `swapped`: it does not fit beside main, so main makes way for it;
    `installed_as`: its name in the library, "" if that was not told."""

    role: str
    model: str
    quantization: str
    download_bytes: int
    total_bytes: int
    rates: tuple[float, float, float]
    why: str
    installed: bool
    swapped: bool = False
    installed_as: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The whole: the machine's tier, a choice for each of main, rlm and memory, and the embedder."""

    tier: Tier
    choices: tuple[Choice, ...]
    embedder: Choice

    def choice(self, role: str) -> Choice:
        """The choice for one of the three roles."""
        return next(choice for choice in self.choices if choice.role == role)

    @property
    def download_bytes(self) -> int:
        """Bytes to fetch in all, each model once."""
        wanted = {(c.model, c.quantization): c.download_bytes for c in (*self.choices, self.embedder)}
        return sum(wanted.values())


def propose(
    machine: Machine,
    catalogue: Catalogue,
    *,
    judge: Judge | None = None,
    installed: Collection[str] | Mapping[str, tuple[str, ...]] = (),
    hub: bool = True,
) -> Proposal:
    """The proposal for a machine. `installed`: names that are here already, as a mapping also the quantizations in which each is,
    as headers say it; `hub` False: no model hub can be reached, so only those and what needs none are proposed."""
    ask = judge or judge_for(machine)
    known = dict(installed) if isinstance(installed, Mapping) else {name: ("",) for name in installed}
    found = _Search(catalogue, ask, {PILOT: ("",), **known}, hub)
    main, estimate = found.best(MAIN, (0, 0)) or (found.pilot(MAIN), None)
    taken = (estimate.host, estimate.gpu) if estimate else (0, 0)
    choices = [main]
    for role in (RLM, MEMORY):
        choices.append(_beside(found, role, main, taken))
    return Proposal(tier(machine.memory_bytes, machine.gpus), tuple(choices), found.embedder())


def _beside(found: _Search, role: Role, main: Choice, taken: tuple[int, int]) -> Choice:
    """The same model as main if it is quick enough; else the best that fits beside it; else the best that fits alone."""
    same = found.same(role, main)
    if same is not None:
        return same
    if near := found.best(role, taken):
        return near[0]
    if main.model != PILOT and (alone := found.best(role, (0, 0))):
        return _with_swap(alone[0])
    return found.pilot(role)


def _with_swap(choice: Choice) -> Choice:
    why = f"{choice.why} It does not fit beside the main model: the one makes way for the other."
    return replace(choice, why=why, swapped=True)


class _Search:
    """The rows that can be had, and what the judge says of them."""

    def __init__(self, catalogue: Catalogue, judge: Judge, here: Mapping[str, tuple[str, ...]], hub: bool) -> None:
        self._catalogue, self._judge, self._here, self._hub = catalogue, judge, here, hub

    def best(self, role: Role, taken: tuple[int, int]) -> tuple[Choice, Estimate] | None:
        """The largest model that fits and is quick enough, in the best quantization in which it is."""
        for entry in sorted(self._candidates(role), key=_worth, reverse=True):
            offered = self._quantizations(entry)
            for quantization in offered:
                estimate = self._judge(entry, quantization, role.context, taken)
                rate = role.rate * (PLENTY if quantization != offered[-1] else 1)
                if estimate is not None and estimate.fits and estimate.rates[1] >= rate:
                    return self._choice(role, entry, quantization, estimate), estimate
        return None

    def same(self, role: Role, main: Choice) -> Choice | None:
        """Main's own model, if it serves this role too (its memory is not counted again, its larger context is)."""
        entry = self._catalogue.get(main.model)
        if entry.built_in or entry not in self._candidates(role):
            return None
        estimate = self._judge(entry, main.quantization, max(role.context, MAIN.context), (0, 0))
        if estimate is None or not estimate.fits or estimate.rates[1] < role.rate:
            return None
        return self._choice(role, entry, main.quantization, estimate)

    def pilot(self, role: Role) -> Choice:
        """The built-in model, which is always there."""
        why = "The built-in pilot: it always runs, and knows almost nothing. Nothing larger that can be had fits this role here."
        size = self._catalogue.get(PILOT).size("Q8_0")
        return Choice(role.name, PILOT, "Q8_0", 0, size, (0.0, 0.0, 0.0), why, True)

    def embedder(self) -> Choice:
        """The small embedder: it fits wherever Homefire does, and needs a package index only."""
        entry = self._catalogue.get(EMBEDDER)
        here = EMBEDDER in self._here
        why = "Turns texts into vectors for search; it needs a package index, no model hub."
        size = entry.size("F32")
        return Choice("embedding", EMBEDDER, "F32", 0 if here else size, size, (0.0, 0.0, 0.0), why, here)

    def _candidates(self, role: Role) -> list[Entry]:
        return [
            entry
            for entry in self._catalogue.entries
            if "chat" in entry.capabilities
            and not entry.built_in
            and entry.context >= role.context
            and (not role.most or entry.parameters <= role.most)
            and (entry.name in self._here or (entry.proposed and (self._hub or not entry.needs_hub)))
        ]

    def _quantizations(self, entry: Entry) -> list[str]:
        offered = {offer.quantization for offer in entry.offers if not offer.refused and not offer.unchecked}
        # What is here is proposed as it is here; a header says which type most tensors have, but not S, M or L.
        here = tuple(kind for kind in self._here.get(entry.name, ()) if kind)
        return [kind for kind in QUANTIZATIONS if (kind.startswith(here) if here else kind in offered)]

    def _choice(self, role: Role, entry: Entry, quantization: str, estimate: Estimate) -> Choice:
        here = entry.name in self._here
        return Choice(
            role.name, entry.name, quantization, 0 if here else entry.size(quantization), estimate.host + estimate.gpu,
            estimate.rates, estimate.why, here,
        )  # fmt: skip


def _worth(entry: Entry) -> float:
    return math.sqrt(entry.parameters * entry.active)


def judge_for(machine: Machine, bandwidth: float = 0.0, *, bar: Callable[[str], ErrorBar] | None = None) -> Judge:
    """The judge of `fit` and `speed` for a machine: its free main memory, its GPU with most free memory, `bandwidth` of main
    memory in bytes a second if it was measured (0: the usual, with an interval that says so), and `bar`: what was measured of the
    speed of an architecture's models here."""
    between = bandwidths(machine, bandwidth)

    def judge(entry: Entry, quantization: str, context: int, taken: tuple[int, int]) -> Estimate | None:
        if entry.dimensions is None or context > entry.context:
            return None
        try:
            load = Load(context)
            found = fit([entry.header(quantization)], load, room_of(machine, taken))
            known = bar(entry.dimensions.architecture) if bar else None
            told = speed_between(found.anatomy, load, found.gpu_layers, between, bar=known)
        except HomefireError:
            return None
        state = "measured here" if known and known.measured else "not measured here"
        why = f"{found.why} Expected: {told.expected:.0f} tokens a second ({told.low:.0f} to {told.high:.0f}), {state}."
        rates = (told.low, told.expected, told.high)
        return Estimate(found.verdict == "fits", found.host, found.gpu, rates, why)

    return judge


def room_of(machine: Machine, taken: tuple[int, int] = (0, 0)) -> Room:
    """The memory that is free for a model, on the GPU with most of it; `taken`: bytes of (main memory, GPU) that are promised."""
    gpu, (host, on_gpu) = _largest(machine), taken
    shared = gpu is not None and gpu.shared
    return Room(
        machine.memory_available_bytes - host - (on_gpu if shared else 0),
        max(0, gpu.free_bytes - on_gpu) if gpu else 0,
        driver=0 if shared else Room(0).driver,
        shared=shared,
    )


def device_of(machine: Machine) -> str:
    """What measurements are kept under: the GPU that models go to, else the processor."""
    gpu = _largest(machine)
    return gpu.name if gpu and gpu.free_bytes else machine.processor


def bandwidths(machine: Machine, measured: float = 0.0) -> tuple[Bandwidth, Bandwidth, Bandwidth]:
    """Lowest, usual and highest that are possible; `measured`: that of main memory. On shared memory processor and GPU read the
    same one."""
    gpu = _largest(machine)
    known = gpu.bandwidth if gpu else 0.0
    on_gpu = (known, known, known) if known else GPU_BANDWIDTH
    host = (measured, measured, measured) if measured else HOST_BANDWIDTH
    if gpu and gpu.shared:
        host = (known, known, known) if known else host
        on_gpu = host
    low, usual, high = (Bandwidth(one, two) for one, two in zip(host, on_gpu, strict=True))
    return low, usual, high


def _largest(machine: Machine) -> Gpu | None:
    return max(machine.gpus, key=lambda one: one.free_bytes, default=None)
