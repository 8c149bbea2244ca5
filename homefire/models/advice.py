"""Advice: what this machine can run, how large and how fast it will be, and what to choose.

It asks the catalogue and the library for headers, the machine for its free memory, and the measurements of earlier loads for how
far an estimate may be wrong.
Promises: no network; nothing of a model is read but its header; the arithmetic is `fit`, `speed` and `proposal`;
what was measured here is kept (the newest `KEPT` records) and changes the next answer.
Does not cover: measuring (whoever loads models does), fetching, several models in memory at one time (free memory is what the
machine says now).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import apsw

from homefire.errors import HomefireError, InvalidRequest
from homefire.hardware.machine import Machine
from homefire.models.calibration import Calibration, Record
from homefire.models.catalogue import Catalogue, Entry, Offer
from homefire.models.fit import HOST_MARGIN, Fit, Load, Part, Room, fit, largest_context
from homefire.models.fit_layers import anatomy
from homefire.models.gguf import Header, read_header
from homefire.models.installed import Model
from homefire.models.library import Library
from homefire.models.proposal import (
    MAIN,
    QUANTIZATIONS,
    Choice,
    Proposal,
    bandwidths,
    device_of,
    judge_for,
    propose,
    room_of,
)
from homefire.models.speed import Speed, speed_between
from homefire.store import Store
from homefire.store.database import Row

Fits = Literal["gpu", "partly", "cpu", "tight", "no"]
KEPT = 500
USUAL_CONTEXT = MAIN.context
# Best first; of two offers the one that fits better is shown, then the one with more bits.
RANKS: tuple[Fits, ...] = ("gpu", "partly", "cpu", "tight", "no")


@dataclass(frozen=True, slots=True)
class Measurement:
    """A record with what it is of: `kind` is "load" (bytes) or "speed" (tokens a second); `at` in seconds since 1970."""

    kind: Literal["load", "speed"]
    model: str
    architecture: str
    device: str
    estimate: float
    measured: float
    at: float


class Kept(Protocol):
    """Where measurements are kept over the end of the daemon."""

    async def load(self) -> list[Measurement]:
        """All that are kept, oldest first."""

    async def add(self, measurement: Measurement) -> None:
        """Keeps one more, and of all the newest `KEPT`."""


class KeptInStore:
    """The table `measurements`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> list[Measurement]:
        """See `Kept`."""
        query = "SELECT kind, model, architecture, device, estimate, measured, at FROM measurements ORDER BY seq"
        rows: list[Row] = await self._store.read(lambda c: c.execute(query).fetchall())
        return [Measurement(*row) for row in rows]

    async def add(self, measurement: Measurement) -> None:
        """See `Kept`."""
        one = measurement
        row = (one.kind, one.model, one.architecture, one.device, float(one.estimate), float(one.measured), one.at)

        def change(c: apsw.Connection) -> None:
            c.execute("INSERT INTO measurements VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", row)
            c.execute("DELETE FROM measurements WHERE seq <= (SELECT max(seq) FROM measurements) - ?", (KEPT,))

        await self._store.write(change)


@dataclass(frozen=True, slots=True)
class Offered:
    """One quantization of a model in the catalogue. `size_bytes` to fetch, `total_bytes` in memory with a usual context."""

    quantization: str
    source: str
    size_bytes: int
    total_bytes: int
    fits: Fits
    why: str
    refused: str
    unchecked: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A row of the catalogue as this machine sees it: `quantization`, `fits`, `bytes` (in memory) and `why` are those of the
    offer that fits best; `installed_as`: names in the library."""

    name: str
    family: str
    parameters: int
    active: int
    licence: str
    languages: tuple[str, ...]
    capabilities: tuple[str, ...]
    context: int
    note: str
    proposed: bool
    unchecked: bool
    installed: bool
    installed_as: tuple[str, ...]
    quantization: str
    fits: Fits
    bytes: int
    why: str
    offers: tuple[Offered, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Whether and how one model fits. Bytes, layers and tokens; `context` is that of all slots together; `interval` holds the
    total and `because` says why it is so wide; `margin_bytes` is left where it is scarcest (negative: missing);
    `largest_context`: the most tokens with which it fits, 0 if none do; `speed` None where it cannot be told."""

    model: str
    installed: bool
    quantization: str
    context: int
    slots: int
    kv: str
    fits: Fits
    why: str
    total_bytes: int
    host_bytes: int
    gpu_bytes: int
    margin_bytes: int
    interval: tuple[int, int]
    because: str
    gpu_layers: int
    layers: int
    parts: tuple[Part, ...]
    largest_context: int
    speed: Speed | None
    device: str


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is asked about: the headers of all its files, its projector's, and what it is called."""

    name: str
    installed: bool
    quantization: str
    headers: tuple[Header, ...]
    projector: Header | None = None


class Advice:
    """Open it before use. `search`, `fit` and `proposal` block for some milliseconds and as long as `machine` takes (to
    wake a GPU, some hundred): run them in a thread. `machine`: what this machine is now."""

    def __init__(self, library: Library, catalogue: Catalogue, kept: Kept, machine: Callable[[], Machine]) -> None:
        self._library, self._catalogue, self._kept, self.machine = library, catalogue, kept, machine
        self._loads = Calibration()
        self._speeds = Calibration(wide=(0.5, 1.5))

    async def open(self) -> None:
        """Reads the measurements."""
        for each in await self._kept.load():
            self._learn(each)

    def search(self, text: str = "", capability: str = "") -> list[Found]:
        """The catalogue's rows for these words, best match first. Raises InvalidRequest for an unknown capability."""
        installed, room = self._library.all(), room_of(self.machine())
        rows = self._catalogue.search(text, capability)
        return [_found(entry, [model for model in installed if _is(entry, model)], room) for entry in rows]

    def fit(
        self,
        name: str,
        context: int = 0,
        slots: int = 1,
        kv: str = "F16",
        quantization: str = "",
        *,
        machine: Machine | None = None,
        micro_batch: int = 0,
        flash_attention: bool = True,
    ) -> Report:
        """How a model fits, installed or of the catalogue; `context` 0: a usual one; on this machine now, or on `machine`;
        `micro_batch` 0: the engine's own.

        Raises UnknownModel, InvalidRequest (no such quantization, a context beyond the model's, no dimensions known),
        BadModelFile.
        """
        model = self._installed(name, quantization)
        asked = _of_file(model) if model is not None else _of_row(self._catalogue.get(name), quantization)
        most = max(header.context_length for header in asked.headers)
        asked_load = Load(context, slots, type_k=kv, type_v=kv, flash_attention=flash_attention)
        if micro_batch:
            asked_load = replace(asked_load, micro_batch=micro_batch)
        load, machine = _settled(asked_load, most), machine or self.machine()
        device, room = device_of(machine), room_of(machine)
        architecture = asked.headers[0].architecture
        found = fit(asked.headers, load, room, projector=asked.projector, bar=self._loads.bar(architecture, device))
        return Report(
            asked.name, asked.installed, asked.quantization, load.context, load.slots, load.type_k, place_of(found),
            found.why, found.total, found.host, found.gpu, found.margin, found.interval, found.because, found.gpu_layers,
            found.layers, found.parts, _largest(asked, load, found, room, most or load.context),
            self._speed(found, load, machine, architecture), device,
        )  # fmt: skip

    def proposal(self, hub: bool = True) -> Proposal:
        """What to use for each role. `hub` False: no model hub can be reached."""
        machine, models = self.machine(), self._library.all()
        device = device_of(machine)
        judge = judge_for(machine, bar=lambda architecture: self._speeds.bar(architecture, device))
        here = {entry.name: [model for model in models if _is(entry, model)] for entry in self._catalogue.entries}
        kinds = {name: tuple(model.facts.quantization for model in found) for name, found in here.items() if found}
        found = propose(machine, self._catalogue, judge=judge, installed=kinds, hub=hub)

        def named(choice: Choice) -> Choice:
            those = [m for m in here[choice.model] if same_quantization(choice.quantization, m.facts.quantization)]
            name = next((str(model.name) for model in those or here[choice.model]), "")
            return replace(choice, installed_as=name)

        return replace(found, choices=tuple(map(named, found.choices)), embedder=named(found.embedder))

    async def measured_load(
        self, name: str, context: int, slots: int, estimate_bytes: int, measured_bytes: int
    ) -> None:
        """Notes what a load took, main memory and GPU together, where `estimate_bytes` had been expected without any bar.

        Raises UnknownModel and what the store raises. Figures that make no sense are not kept. `context` and `slots` are not
        kept: the ratio is what counts.
        """
        await self._note("load", name, estimate_bytes, measured_bytes)

    async def measured_speed(self, name: str, measured: float, filled: int = 1024, gpu_layers: int = 0) -> None:
        """Notes the tokens a second that were written with about `filled` tokens in the cache and so many layers on the GPU.

        Raises UnknownModel, BadModelFile and what the store raises.
        """
        asked = await asyncio.to_thread(_of_file, self._library.get(name))
        load = Load(max(1, filled))
        try:
            between = bandwidths(await asyncio.to_thread(self.machine))
            expected = speed_between(anatomy(asked.headers), load, gpu_layers, between, filled=filled).expected
        except InvalidRequest:  # layers in a memory whose bandwidth nobody knows
            return
        await self._note("speed", name, expected, measured)

    async def _note(self, kind: Literal["load", "speed"], name: str, estimate: float, measured: float) -> None:
        architecture = self._library.get(name).facts.architecture
        device = device_of(await asyncio.to_thread(self.machine))
        one = Measurement(kind, name, architecture, device, estimate, measured, time.time())
        if self._learn(one):
            await self._kept.add(one)

    def _learn(self, one: Measurement) -> bool:
        into = self._loads if one.kind == "load" else self._speeds
        return into.add(Record(one.architecture, one.device, one.estimate, one.measured))

    def _installed(self, name: str, quantization: str) -> Model | None:
        """The installed model that is meant; None: ask the catalogue. Raises UnknownModel if neither knows the name."""
        models = self._library.all()
        entry = next((entry for entry in self._catalogue.entries if entry.name == name), None)
        found = next((model for model in models if model.name == name), None)
        if found is None:
            known = entry or self._catalogue.get(name)
            found = next((model for model in models if _is(known, model)), None)
        if found is None or not quantization or same_quantization(quantization, found.facts.quantization):
            return found
        if entry is None:
            raise InvalidRequest(
                f"{name} is here as {found.facts.quantization}, and the catalogue does not know it.",
                "Leave the quantization out.", param="quantization",
            )  # fmt: skip
        return None

    def _speed(self, found: Fit, load: Load, machine: Machine, architecture: str) -> Speed | None:
        bar = self._speeds.bar(architecture, device_of(machine))
        try:
            return speed_between(found.anatomy, load, found.gpu_layers, bandwidths(machine), bar=bar)
        except InvalidRequest:
            return None


# -- pure


def place_of(found: Fit) -> Fits:
    """Where a model would run, in one word."""
    if found.verdict != "fits":
        return "tight" if found.verdict == "tight" else "no"
    return "gpu" if found.gpu_layers >= found.layers else "partly" if found.gpu_layers else "cpu"


def same_quantization(asked: str, found: str) -> bool:
    """Whether a file whose tensors mostly have the type `found` ("Q4_K") may be what is asked for ("Q4_K_M")."""
    return bool(found) and asked.upper().startswith(found.upper())


def _is(entry: Entry, model: Model) -> bool:
    """Whether an installed model is one of this row, by its name or by where it comes from."""
    origins = {str(offer.source) for offer in entry.offers}
    return entry.name in (model.name, model.provenance.get("catalogue")) or model.origin in origins


def _found(entry: Entry, models: Sequence[Model], room: Room) -> Found:
    offers = tuple(_offered(entry, offer, room) for offer in entry.offers)
    best = min(
        (offer for offer in offers if not offer.refused),
        key=lambda offer: (RANKS.index(offer.fits), _order(offer.quantization)),
        default=None,
    )
    if best is not None:
        shown = best.quantization, best.fits, best.total_bytes, best.why
    elif offers:
        shown = offers[0].quantization, offers[0].fits, offers[0].total_bytes, offers[0].refused
    else:
        placed = fit([read_header(models[0].path)], Load(entry.context), room)  # the built-in model
        shown = models[0].facts.quantization, place_of(placed), placed.total, placed.why
    return Found(
        entry.name, entry.family, entry.parameters, entry.active, entry.licence, entry.languages, entry.capabilities,
        entry.context, entry.note, entry.proposed, entry.unchecked, bool(models), tuple(model.name for model in models),
        *shown, offers,
    )  # fmt: skip


def _order(quantization: str) -> int:
    return QUANTIZATIONS.index(quantization) if quantization in QUANTIZATIONS else len(QUANTIZATIONS)


def _offered(entry: Entry, offer: Offer, room: Room) -> Offered:
    size = offer.size_bytes or entry.size(offer.quantization)
    try:
        load = Load(min(USUAL_CONTEXT, entry.context or USUAL_CONTEXT))
        placed = fit([entry.header(offer.quantization)], load, room)
        fits, total, why = place_of(placed), placed.total, placed.why
    except HomefireError:  # no dimensions: a voice, a recognizer, a type of weights that no recipe here makes
        fits, total, why = _by_size(size, room)
    if offer.refused:
        fits, why = "no", offer.refused
    return Offered(offer.quantization, str(offer.source), size, total, fits, why, offer.refused, offer.unchecked)


def _by_size(size: int, room: Room) -> tuple[Fits, int, str]:
    """Where nothing but the size of the weights is known."""
    left = room.host_free - size
    fits: Fits = "cpu" if left >= HOST_MARGIN else "tight" if left >= 0 else "no"
    verdict = {"cpu": "Fits", "tight": "Tight", "no": "Does not fit"}[fits]
    return fits, size, f"{verdict} by the size of its weights alone ({size / 1e9:.2f} GB); more is not known of it."


def _of_file(model: Model) -> _Subject:
    headers = tuple(read_header(file.path) for file in model.files if file.role == "model")
    projector = next((read_header(file.path) for file in model.files if file.role == "mmproj"), None)
    return _Subject(model.name, True, model.facts.quantization, headers, projector)


def _of_row(entry: Entry, quantization: str) -> _Subject:
    wanted = quantization.upper() or entry.offer().quantization
    return _Subject(entry.name, False, wanted, (entry.header(wanted),))


def _settled(load: Load, most: int) -> Load:
    """The load with a context and with the names of types as the engine writes them."""
    context = load.context or min(USUAL_CONTEXT, most or USUAL_CONTEXT)
    if most and context > most * load.slots:
        raise InvalidRequest(
            f"The model was trained on {most:,} tokens of context; {context:,} are beyond it.",
            f"Ask for at most {most} for each slot.", param="context",
        )  # fmt: skip
    return replace(load, context=context, type_k=load.type_k.upper(), type_v=load.type_v.upper())


def _largest(asked: _Subject, load: Load, found: Fit, room: Room, most: int) -> int:
    vision = [part for part in found.parts if part.name == "vision"]
    host, gpu = sum(part.host for part in vision), sum(part.gpu for part in vision)
    beside = replace(room, host_free=room.host_free - host, gpu_free=max(0, room.gpu_free - gpu))
    return largest_context(asked.headers, load, beside, most * load.slots)
