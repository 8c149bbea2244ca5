"""Far engines: which there are, whether they may be asked, and asking them. One door to everything that is not our own child.

    added ──loopback──────────────> usable ──asked for by NAME/model, or named in an order of fallback──> a connection
      └────elsewhere──> off ──grant──^  └──revoke──> off: answers under way break

Promises: no byte goes to an engine that is not on this machine unless a person granted it *and* a request or an order of fallback
names it; plain http beyond this machine is refused; the key stands where the setting `secrets` says and in the header to its own
engine, nowhere else; an engine that keeps failing is left alone for a while (`engines/breaker.py`).
Lives on the event loop's thread.
Does not cover: trying one after the other (`fallback.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homefire.dialects.far import Listed
from homefire.engines import capabilities
from homefire.engines.breaker import Breaker
from homefire.engines.far import Far, FarSpec
from homefire.engines.far_wire import Address
from homefire.engines.ollama import Ollama
from homefire.engines.remote import Remote
from homefire.errors import (
    AddressRefused,
    BadSource,
    EngineDied,
    EngineExists,
    EngineFailed,
    EngineGarbled,
    EngineLacksModel,
    EngineNotGranted,
    EngineResting,
    EngineTimedOut,
    EngineUnreachable,
    HomefireError,
    InvalidRequest,
    UnknownEngine,
    UnknownModel,
    from_envelope,
)
from homefire.messages import ChatRequest, CompletionRequest, EmbeddingRequest, Embeddings
from homefire.models.origin import check_url
from homefire.paths import EngineName, from_os
from homefire.residency.fallback import Begun, closing
from homefire.settings import FileSecrets, Secrets
from homefire.store import EngineRow, Engines

KINDS: dict[str, Callable[[FarSpec], Far]] = {
    "openai": Remote,
    "vllm": Remote,
    "llama-server": Remote,
    "ollama": Ollama,
}
# Text that may stand in a header and in a list.
MODEL_THERE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,255}")
MOST_ENGINES, LONGEST_CHAIN = 64, 8
# What counts against an engine. A refusal, a missing model, a 429 are plain answers of an engine that lives.
ITS_FAULT = (EngineFailed, EngineDied, EngineUnreachable, EngineTimedOut, EngineGarbled)


@dataclass(frozen=True, slots=True)
class FarLimits:
    """See the settings `far_*`."""

    connections: int = 64
    first_seconds: float = 120.0
    stall_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class FarView:
    """A far engine as `homefire engine list` shows it. `found`: what it had when it was last asked."""

    name: str
    url: str
    kind: str
    models: tuple[str, ...]
    local: bool
    granted: bool
    usable: bool
    has_key: bool
    state: str
    rest_s: float
    found: tuple[str, ...]
    added_at: float
    honours: tuple[str, ...]


class FarEngines:
    """See the module's text. `open()` before use. `secrets` keeps the keys: a file, if it is a path."""

    def __init__(
        self,
        table: Engines,
        secrets: Path | Secrets,
        limits: FarLimits = FarLimits(),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._secrets = FileSecrets(secrets) if isinstance(secrets, Path) else secrets
        self._limits = limits
        self._clock = clock
        self._rows: dict[str, EngineRow] = {}
        self._chains: dict[str, tuple[str, ...]] = {}
        self._marks: dict[tuple[str, str], str] = {}
        self._live: dict[tuple[str, str], asyncio.Task[Far]] = {}
        self._breakers: dict[str, Breaker] = {}
        self._found: dict[str, tuple[Listed, ...]] = {}

    async def open(self) -> None:
        """Reads the tables. Connects to nothing."""
        self._rows = {row.name: row for row in await self._table.all()}
        self._marks = await self._table.marks()
        self._chains = await self._table.chains()

    async def close(self) -> None:
        """Ends all connections; answers under way break."""
        for name in list(self._rows):
            await self._let_go(name)

    # -- what there is

    def views(self) -> list[FarView]:
        """All far engines. Asks none of them."""
        return [self.view(name) for name in self._rows]

    def view(self, name: str) -> FarView:
        """One of them. Raises UnknownEngine."""
        row = self._row(name)
        breaker, now = self._breaker(name), self._clock()
        try:
            has_key = bool(self._secrets.read(name))
        except HomefireError:  # the file is bad: asking the engine says so, a list must not fail over it
            has_key = False
        return FarView(
            row.name, row.url, row.kind, row.models, _local(row), row.granted, _usable(row), has_key,
            breaker.state(now), round(breaker.wait(now), 1), tuple(each.id for each in self._found.get(name, ())),
            row.added_at, tuple(sorted(capabilities.HONOURS[row.kind])),
        )  # fmt: skip

    def offered(self) -> list[tuple[str, int]]:
        """The models that can be asked for now, as `NAME/model` with their context window (0: not known); orders of fallback."""
        rows = []
        for row in self._rows.values():
            windows = {each.id: each.window for each in self._found.get(row.name, ())}
            if _usable(row):
                rows += [(f"{row.name}/{model}", windows.get(model, 0)) for model in row.models or windows]
        return rows

    @property
    def chains(self) -> dict[str, tuple[str, ...]]:
        """The orders of fallback by the name that is asked for."""
        return dict(self._chains)

    def order(self, model: str) -> tuple[str, ...]:
        """Who is asked for this name, in turn: an order of fallback, or the name itself."""
        return self._chains.get(model) or (model,)

    def owns(self, model: str) -> bool:
        """Whether a name is one of a far engine: `NAME/model`."""
        name, slash, _ = model.partition("/")
        return bool(slash) and name in self._rows

    # -- changing it

    async def add(self, name: str, url: str, kind: str, models: tuple[str, ...] = (), key: str = "") -> FarView:
        """Adds an engine; one that is not on this machine is off. Raises InvalidRequest, AddressRefused, EngineExists."""
        row = EngineRow(EngineName(name), read_url(url), kind, models, False, time.time())
        if kind not in KINDS:
            raise InvalidRequest(f"'{kind[:40]}' is no kind of engine.", f"Kinds: {', '.join(KINDS)}.", param="kind")
        for model in models:
            _check_model(model)
        if key and (len(key) > 4096 or not key.isascii() or not key.isprintable() or key != key.strip()):
            raise InvalidRequest("A key is one line of printable ASCII.", param="key")
        if len(self._rows) >= MOST_ENGINES:
            raise InvalidRequest(f"There are {MOST_ENGINES} engines already.", "Remove one first.")
        if name in self._rows:
            raise EngineExists(f"There is an engine named '{name}' already.", param="name")
        if key:  # without one, what a person wrote into the file stays
            await self._write_key(name, key)
        await self._table.add(row)
        self._rows[row.name] = row
        return self.view(row.name)

    async def remove(self, name: str) -> None:
        """Forgets an engine and its key; answers under way break. Raises UnknownEngine."""
        row = self._row(name)
        await self._table.remove(name)
        self._rows.pop(row.name, None)
        await self._let_go(name)
        self._breakers.pop(name, None)
        self._found.pop(name, None)
        self._marks = {key: mark for key, mark in self._marks.items() if key[0] != name}
        await self._write_key(name, "")

    async def grant(self, name: str) -> FarView:
        """Lets requests go to it, and accepts the models that stand there now. Raises UnknownEngine."""
        return await self._grant(self._row(name), True)

    async def revoke(self, name: str) -> FarView:
        """Turns it off; answers under way break. Raises UnknownEngine, InvalidRequest for one on this machine."""
        row = self._row(name)
        if _local(row):
            raise InvalidRequest(
                f"'{name}' is on this machine and needs no grant.", f"Remove it: homefire engine remove {name}"
            )
        return await self._grant(row, False)

    async def set_chain(self, model: str, entries: tuple[str, ...]) -> None:
        """Sets an order of fallback, none if it is empty. Whether its names exist the caller checks. Raises InvalidRequest."""
        _check_model(model)
        if len(entries) > LONGEST_CHAIN or len(set(entries)) < len(entries):
            raise InvalidRequest(f"An order has at most {LONGEST_CHAIN} engines, each once.", param="order")
        await self._table.set_chain(model, entries)
        self._chains.pop(model, None)
        if entries:
            self._chains[model] = entries

    def listed(self, name: str) -> tuple[Listed, ...]:
        """What an engine had when it was last asked."""
        return self._found.get(name, ())

    async def check(self, name: str) -> None:
        """Asks an engine what it has. Raises UnknownEngine, EngineNotGranted, what `Far.start` raises."""
        row = self._row(name)
        engine = await self._make(self._granted(row), "")
        try:
            await engine.start()
            self._note_found(row, engine)
        finally:
            await engine.stop()
        self._breaker(name).reset()

    # -- asking

    async def begin(self, model: str, request: ChatRequest | CompletionRequest) -> Begun:
        """An answer that has begun (see `fallback.py`). Raises EngineNotGranted, EngineResting, UnsupportedParameter, what the
        engine raises."""
        async with self._asking(model, request) as engine:
            answer = await (engine.chat(request) if isinstance(request, ChatRequest) else engine.complete(request))
            async with closing(Begun(answer, request, broke=lambda problem: self._count(model, problem))) as begun:
                await begun.begin(as_bytes=False)
            return begun

    async def embed(self, model: str, request: EmbeddingRequest) -> Embeddings:
        """The vectors of a request. Raises as `begin`."""
        async with self._asking(model, request) as engine:
            return await engine.embed(request)

    @contextlib.asynccontextmanager
    async def _asking(self, model: str, request: capabilities.Request) -> AsyncIterator[Far]:
        """The engine, ready; what comes of the block counts for or against it."""
        name, _, there = model.partition("/")
        row = self._granted(self._row(name))
        _check_model(there)
        if row.models and there not in row.models:
            raise UnknownModel(f"'{name}' may be asked for {', '.join(row.models)} only.", param="model")
        capabilities.require(model, row.kind, request)
        breaker = self._breaker(name)
        if not breaker.may_ask(self._clock()):
            wait = breaker.wait(self._clock())
            raise EngineResting(f"'{name}' failed several times; it is asked again in {wait:.0f} s.")
        try:
            yield await self._ready(row, there)
        except HomefireError as problem:
            self._count(model, problem)
            raise
        except BaseException:
            breaker.abandoned(self._clock())
            raise
        breaker.succeeded(self._clock())

    def _count(self, model: str, problem: HomefireError) -> None:
        name, _, there = model.partition("/")
        breaker, now = self._breaker(name), self._clock()
        if isinstance(problem, ITS_FAULT):
            breaker.failed(now)
        else:
            breaker.abandoned(now)
        if isinstance(problem, EngineLacksModel):
            self._live.pop((name, there), None)

    async def _ready(self, row: EngineRow, there: str) -> Far:
        """The engine of a model, started if need be: once, however many wait for it."""
        task = self._live.get((row.name, there))
        if task is None or (task.done() and (task.cancelled() or task.exception() or task.result().ended)):
            task = self._live[row.name, there] = asyncio.ensure_future(self._start(row, there))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may have no waiter left
        # Shielded: one who leaves must not end it for the others. A revocation cancels it.
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise _not_granted(row) from None
            raise
        except HomefireError as problem:
            raise from_envelope(problem.envelope()) from None  # each waiter gets its own: a traceback is not shared

    async def _start(self, row: EngineRow, there: str) -> Far:
        engine = await self._make(row, there)
        try:
            await engine.start()
            if self._rows.get(row.name) is not row:
                raise _not_granted(row)
        except BaseException:
            await engine.stop()
            raise
        self._note_found(row, engine)
        if engine.mark and engine.mark != self._marks.get((row.name, there)):
            self._marks[row.name, there] = engine.mark
            await self._table.note_mark(row.name, there, engine.mark)
        return engine

    async def _make(self, row: EngineRow, there: str) -> Far:
        key = await asyncio.to_thread(self._secrets.read, row.name)
        return KINDS[row.kind](
            FarSpec(
                name=f"{row.name}/{there}" if there else row.name,
                model=there,
                kind=row.kind,
                address=Address(row.url, self._limits.connections, key),
                mark=self._marks.get((row.name, there), ""),
                first_seconds=self._limits.first_seconds,
                stall_seconds=self._limits.stall_seconds,
            )
        )

    def _note_found(self, row: EngineRow, engine: Far) -> None:
        listed = (each for each in engine.known.listed.values() if MODEL_THERE.fullmatch(each.id))
        self._found[row.name] = tuple(sorted(listed, key=lambda each: each.id))[:1000]

    async def _grant(self, row: EngineRow, granted: bool) -> FarView:
        await self._table.grant(row.name, granted)
        changed = EngineRow(row.name, row.url, row.kind, row.models, granted, row.added_at)
        self._rows[row.name] = changed
        if granted:
            self._marks = {key: mark for key, mark in self._marks.items() if key[0] != row.name}
            self._breaker(row.name).reset()
        await self._let_go(row.name)
        return self.view(row.name)

    async def _let_go(self, name: str) -> None:
        """Ends what is connected to an engine."""
        for key in [key for key in self._live if key[0] == name]:
            task = self._live.pop(key)
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
            elif not task.cancelled() and not task.exception():
                await task.result().stop()

    async def _write_key(self, name: str, key: str) -> None:
        try:
            await asyncio.to_thread(self._secrets.write, name, key)
        except OSError as problem:
            raise from_os(problem, self._secrets.where) from None

    def _row(self, name: str) -> EngineRow:
        if name not in self._rows:
            raise UnknownEngine(f"There is no engine named '{name[:80]}'.", param="name")
        return self._rows[name]

    def _granted(self, row: EngineRow) -> EngineRow:
        if not _usable(row):
            raise _not_granted(row)
        return row

    def _breaker(self, name: str) -> Breaker:
        return self._breakers.setdefault(name, Breaker())


def read_url(text: str) -> str:
    """A base URL without what every interface puts below it. Raises InvalidRequest, AddressRefused."""
    try:
        url = check_url(text)
    except BadSource:
        raise InvalidRequest(
            "That is no web address.", "Give one such as http://127.0.0.1:8000 or https://host.example", param="url"
        ) from None
    except AddressRefused as problem:
        raise _plain(problem.message) from None
    if "?" in url:
        raise InvalidRequest("The address of an engine has no query.", param="url")
    url = url.rstrip("/").removesuffix("/v1").removesuffix("/api").rstrip("/")
    if url.startswith("http:") and not Address(url).local:
        raise _plain("Beyond this machine only https is used.")
    return url


def _plain(text: str) -> AddressRefused:
    return AddressRefused(
        text, "Use https, or an ssh tunnel to this machine: ssh -L 8000:127.0.0.1:8000 HOST", param="url"
    )


def _check_model(model: str) -> None:
    if not MODEL_THERE.fullmatch(model):
        raise InvalidRequest(f"Not a model's name: {model[:80]!r}", param="model")


def _local(row: EngineRow) -> bool:
    return Address(row.url).local


def _usable(row: EngineRow) -> bool:
    return row.granted or _local(row)


def _not_granted(row: EngineRow) -> EngineNotGranted:
    return EngineNotGranted(
        f"'{row.name}' is at {row.url}, which is not this machine, and nobody allowed it.",
        f"If your texts may go there: homefire engine grant {row.name}",
        param="model",
    )


def describe(listed: Listed) -> dict[str, Any]:
    """A model of an engine as it is shown."""
    return {"id": listed.id, "context_length": listed.window}
