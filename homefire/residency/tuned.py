"""How each model is run: what was measured, and who drafts for it by a person's word, kept over the end of the daemon.

A measurement counts for one content of a model, one build of the engine and one machine; a person's draft plan for one content
of the model and of its draft. Whatever does not hold any more is as if it were not there. A person's plan goes before a
measured one.
Promises: reading neither blocks nor fails: the rows are in memory after `open`; every change is on the disk before it counts.
Does not cover: measuring (`tuner.py`), which model may draft (`models/drafts.py`), a person's settings (`daemon` has them first).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from homefire.engines.engine import NGRAMS, Drafting
from homefire.errors import InvalidRequest
from homefire.hardware.machine import Machine
from homefire.models.installed import Model
from homefire.models.library import Library
from homefire.residency.tuning import Tried, Tuning
from homefire.store import Store
from homefire.store.database import Row

DRAFT = "draft"
MODES = ("none", *NGRAMS, DRAFT)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a tuning found: the way, all that was tried, when (seconds since 1970), and whether only the quick part was."""

    way: Tuning
    tried: tuple[Tried, ...]
    at: float
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A person's word on who drafts."""

    mode: str
    draft: str = ""
    draft_sha256: str = ""
    model_sha256: str = ""


_measured = msgspec.json.Decoder(Measured)
_plan = msgspec.json.Decoder(Plan)


class Tuned:
    """The tables `tunings` and `draft_plans`. `engine` names the build that runs models here now, `machine` says what it runs
    on."""

    def __init__(
        self, store: Store, library: Library, engine: Callable[[], str], machine: Callable[[], Machine]
    ) -> None:
        self._store, self._library = store, library
        self._engine, self._ask = engine, machine
        self._machine = ""
        self._measured: dict[tuple[str, str], Measured] = {}
        self._plans: dict[str, Plan] = {}

    async def open(self) -> None:
        """Reads both tables. After `Library.open`."""
        query = "SELECT model, engine, body, machine FROM tunings"
        rows: list[Row] = await self._store.read(lambda c: c.execute(query).fetchall())
        machine = await self._here() if rows else ""  # to wake a GPU takes time, and most starts need none
        plans: list[Row] = await self._store.read(lambda c: c.execute("SELECT model, body FROM draft_plans").fetchall())
        for model, engine, body, on in rows:
            with contextlib.suppress(msgspec.DecodeError):  # of another version: as if it were not there
                if on == machine:
                    self._measured[model, engine] = _measured.decode(body)
        for model, body in plans:
            with contextlib.suppress(msgspec.DecodeError):
                self._plans[model] = _plan.decode(body)

    async def _here(self) -> str:
        self._machine = self._machine or fingerprint(await asyncio.to_thread(self._ask))
        return self._machine

    def measured(self, name: str) -> Measured | None:
        """What was measured of the model here. Raises UnknownModel."""
        return self._measured.get((identity(self._library.get(name)), self._engine()))

    def plan(self, name: str) -> Plan | None:
        """A person's word on who drafts for it, if it still holds. Raises UnknownModel."""
        found = self._plans.get(name)
        return found if found is not None and found.model_sha256 == identity(self._library.get(name)) else None

    def way(self, name: str) -> Tuning:
        """How to run the model: measured, with the person's word on drafts. Raises UnknownModel."""
        measured, plan = self.measured(name), self.plan(name)
        way = Tuning() if measured is None else measured.way
        if plan is not None:
            way = replace(way, draft_mode=plan.mode, draft=plan.draft, draft_sha256=plan.draft_sha256)
        return way

    def cache_of(self, name: str) -> str:
        """The type of KV cache that a model is run with; that of one which is not here is the usual one."""
        here = any(model.name == name for model in self._library.all())
        return self.way(name).kv_type if here else Tuning().kv_type

    def drafting(self, way: Tuning) -> Drafting:
        """Who drafts, as an engine takes it; nobody where the model that should is gone, or another has its name now."""
        if way.draft_mode != DRAFT:
            return Drafting("" if way.draft_mode == "none" else way.draft_mode)
        model = next((each for each in self._library.all() if each.name == way.draft), None)
        if model is None or identity(model) != way.draft_sha256:
            return Drafting()
        return Drafting(DRAFT, str(model.name), model.path)

    async def keep(self, name: str, found: Measured) -> None:
        """Keeps a measurement in place of the last. Raises UnknownModel and what the store raises."""
        model = identity(self._library.get(name))
        engine = self._engine()
        row = (model, engine, await self._here(), msgspec.json.encode(found).decode(), time.time())
        await self._store.write(lambda c: c.execute("INSERT OR REPLACE INTO tunings VALUES (?, ?, ?, ?, ?)", row))
        self._measured[model, engine] = found

    async def forget(self, name: str) -> bool:
        """Forgets what was measured of it, on any machine and build; whether there was something here. Raises UnknownModel."""
        model = identity(self._library.get(name))
        await self._store.write(lambda c: c.execute("DELETE FROM tunings WHERE model = ?", (model,)))
        gone = [each for each in self._measured if each[0] == model]
        return bool([self._measured.pop(each) for each in gone])

    async def set_plan(self, name: str, mode: str, draft: Model | None = None) -> None:
        """Keeps a person's word on who drafts; `mode` "" takes it back. Raises UnknownModel, InvalidRequest."""
        model = self._library.get(name)
        if mode and (mode not in MODES or (mode == DRAFT) != (draft is not None)):
            raise InvalidRequest(f"'{mode[:40]}' is no way to draft.", f"Ways: {', '.join(MODES)}.", param="mode")
        its = (str(draft.name), identity(draft)) if draft is not None else ("", "")
        plan = Plan(mode, *its, identity(model))
        body = msgspec.json.encode(plan).decode()

        def change(c: Any) -> None:
            c.execute("DELETE FROM draft_plans WHERE model = ?", (name,))
            if mode:
                c.execute("INSERT INTO draft_plans VALUES (?, ?)", (name, body))

        await self._store.write(change)
        self._plans.pop(name, None)
        if mode:
            self._plans[name] = plan


def identity(model: Model) -> str:
    """What stands for a model's content. The built-in one has no digest: it changes with its size and its architecture only."""
    return str(model.digest or f"built-in-{model.size_bytes}")


def fingerprint(machine: Machine) -> str:
    """What stands for a machine: processor, cores, GiB of memory, GPUs. 16 hexadecimal digits."""
    gpus = [(gpu.name, gpu.memory_bytes) for gpu in machine.gpus]
    known = [machine.processor, machine.cores, round(machine.memory_bytes / 2**30), gpus]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]


def plain(found: Measured) -> dict[str, Any]:
    """A measurement as routes give it: seconds, and each way by the part that was turned."""
    rows = [{**asdict(row), "way": row.way.described(row.knob)} for row in found.tried]
    return {"way": asdict(found.way), "tried": rows, "at": found.at, "quick": found.quick}
