"""A far engine: one model of a server that is not our child, as an Engine. What differs between kinds of server is a `Tongue`.

    new -> start(): the server lists its models, ours is among them -> ready -> stop(), or the server is gone -> ended

It does not watch the server while nobody asks: that it is gone is found out by the next request. A server that only lost one
connection stays ready; one that answers no more ends this object, and `residency/far.py` makes a new one at the next request.
Promises: until the first event at most `first_seconds` pass, between two events `stall_seconds`, or the answer ends in
EngineTimedOut; every other thing that a server can do wrong is one error of the tree, without the key in it; another model behind
the name is EngineChanged, looked for at the start, once a minute while requests come, and in each answer.
Does not cover: whether the server may be asked at all (`residency/far.py`); log probabilities; counting tokens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from homefire.dialects.far import Failure, Listed, Reader, Said, Unreadable, printable
from homefire.engines import capabilities
from homefire.engines.embedding import BATCH, check_dimensions, shortened
from homefire.engines.engine import Answer, require_kind
from homefire.engines.far_wire import Address, FarResponse, FarWire, Lost, Unreached
from homefire.engines.rendered import render_pieces
from homefire.errors import (
    ContextOverflow,
    EngineBusy,
    EngineChanged,
    EngineDied,
    EngineFailed,
    EngineGarbled,
    EngineLacksModel,
    EngineRejected,
    EngineTimedOut,
    EngineUnreachable,
    HomefireError,
    InvalidRequest,
)
from homefire.messages import ChatRequest, CompletionRequest, EmbeddingRequest, Embeddings, Event

# What health checks and lists of models may take.
LISTING_SECONDS = 15.0
RECHECK_SECONDS = 60.0
JSON = "application/json"
# What a connection that breaks says of the server, before it is asked again.
PROBE_SECONDS = 5.0
GONE = "is not reachable any more"


class Tongue(Protocol):
    """How one kind of server is spoken to: a module of `dialects/`."""

    CHAT_PATH: str
    COMPLETION_PATH: str
    EMBEDDING_PATH: str
    LISTING_PATH: str
    STREAM_TYPE: str

    def StreamReader(self) -> Reader: ...
    def render_chat(self, request: ChatRequest, model: str, kind: str, /) -> bytes: ...
    def render_completion(self, request: CompletionRequest, model: str, kind: str, /) -> bytes: ...
    def render_embedding(self, inputs: Sequence[str | Sequence[int]], model: str, truncate: bool, /) -> bytes: ...
    def read_embeddings(self, body: bytes, wanted: int, /) -> tuple[Embeddings, str]: ...
    def read_listing(self, body: bytes, /) -> list[Listed]: ...
    def said_by(self, body: bytes, /) -> Said: ...


@dataclass(frozen=True, slots=True)
class FarSpec:
    """Which model of which server. `name` is what it is called here, `model` there; `kind` a row of `capabilities.HONOURS`;
    `mark` is what stood behind the name when it was last accepted ("": anything); `serves` is "chat", "embedding" or "" (any)."""

    name: str
    model: str
    kind: str
    address: Address
    mark: str = ""
    serves: str = ""
    first_seconds: float = 120.0
    stall_seconds: float = 60.0


@dataclass(slots=True)
class Known:
    """What the server said of its models, and when."""

    listed: dict[str, Listed] = field(default_factory=dict)
    at: float = 0.0


class Far:
    """An Engine. `engines/remote.py` and `engines/ollama.py` make it."""

    def __init__(self, spec: FarSpec, tongue: Tongue) -> None:
        self.name = spec.name
        self.spec = spec
        self.tongue = tongue
        self.known = Known()
        self.mark = spec.mark
        self._wire: FarWire | None = None
        self._started = False
        self._ended = asyncio.Event()
        self._cause = ""
        self._width = 0
        self._reached = False
        self._room = asyncio.Semaphore(spec.address.at_once)

    @property
    def pid(self) -> int | None:
        return None

    @property
    def ended(self) -> bool:
        """Whether it was stopped, or its server is gone."""
        return self._ended.is_set()

    async def start(self) -> None:
        if self._started:
            raise RuntimeError(f"the engine of '{self.name}' was started already")
        self._started = True
        self._wire = await asyncio.to_thread(FarWire, self.spec.address)
        try:
            if self.ended:
                raise EngineDied(f"The engine of '{self.name}' was stopped.")
            await self._learn()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        if self._started:
            await self._end("")

    async def wait(self) -> str:
        if not self._started:
            raise RuntimeError(f"the engine of '{self.name}' was never started")
        await self._ended.wait()
        return self._cause

    async def chat(self, request: ChatRequest) -> Answer:
        require_kind(self.name, self.spec.serves or "chat", "chat")
        capabilities.require(self.name, self.spec.kind, request)
        body = self.tongue.render_chat(request, self.spec.model, self.spec.kind)
        return await self._answer(self.tongue.CHAT_PATH, body, request)

    async def complete(self, request: CompletionRequest) -> Answer:
        require_kind(self.name, self.spec.serves or "chat", "chat")
        capabilities.require(self.name, self.spec.kind, request)
        body = self.tongue.render_completion(request, self.spec.model, self.spec.kind)
        return await self._answer(self.tongue.COMPLETION_PATH, body, request)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        require_kind(self.name, self.spec.serves or "embedding", "embedding")
        capabilities.require(self.name, self.spec.kind, request)
        if request.dimensions and self._width:
            check_dimensions(self.name, self._width, request.dimensions)
        found: list[bytes] = []
        tokens = 0
        for start in range(0, len(request.inputs), BATCH):
            vectors = await self._vectors(request.inputs[start : start + BATCH], start, request.truncate)
            self._width = len(vectors.vectors[0]) // 4
            check_dimensions(self.name, self._width, request.dimensions or self._width)
            found += [shortened(vector, request.dimensions or self._width) for vector in vectors.vectors]
            tokens += vectors.tokens
        return Embeddings(tuple(found), tokens)

    async def models(self) -> list[Listed]:
        """What the server has now. Raises as `start`."""
        await self._learn()
        return list(self.known.listed.values())

    # -- asking

    async def _answer(self, path: str, body: bytes, request: ChatRequest | CompletionRequest) -> FarAnswer:
        # The clock runs from here on: that others of ours are before it is not the server's fault.
        await self._room.acquire()
        try:
            wire = await self._ready()
            until = time.monotonic() + self.spec.first_seconds
            async with asyncio.timeout(self.spec.first_seconds):
                response = await self._ask(wire, path, body, self.tongue.STREAM_TYPE)
        except TimeoutError:
            self._room.release()
            raise self._late("took the request and gave nothing", self.spec.first_seconds) from None
        except BaseException:
            self._room.release()
            raise
        return FarAnswer(self, request, response, until)

    def release(self) -> None:
        """Gives one place back; an Answer calls it when it is closed."""
        self._room.release()

    async def _ready(self) -> FarWire:
        if self._wire is None or self.ended:
            raise EngineDied(f"The engine of '{self.name}' is not running.")
        if time.monotonic() - self.known.at > RECHECK_SECONDS:
            await self._learn()
        return self._wire

    async def _ask(self, wire: FarWire, path: str, body: bytes | None, accept: str) -> FarResponse:
        """A response with status 200 and the right type. Raises what everything else means."""
        try:
            response = await wire.send(path, body, accept)
        except Unreached as problem:
            if not self._reached:
                raise self.unreachable(problem) from None
            await self._end(GONE)
            raise EngineDied(f"The server of '{self.name}' {GONE}: {self._clean(str(problem))}.") from None
        except Lost:
            raise await self.explain("broke off before it answered") from None
        self._reached = True
        try:
            if response.status != 200:
                raise self.meant(response.status, self.tongue.said_by(await response.read_some()))
            if response.type != accept:
                raise self.garbled(f"it came as {printable(response.type) or 'nothing'}, not as {accept}")
        except BaseException:
            await response.close()
            raise
        return response

    async def _whole(self, path: str, body: bytes | None, seconds: float) -> bytes:
        assert self._wire is not None
        try:
            async with asyncio.timeout(seconds):
                response = await self._ask(self._wire, path, body, JSON)
                try:
                    return await response.read()
                finally:
                    await response.close()
        except Lost:
            raise await self.explain("broke off in the middle of its answer") from None
        except Unreadable as problem:
            raise self.garbled(problem) from None
        except TimeoutError:
            raise self._late("did not answer", seconds) from None

    async def _learn(self) -> None:
        """Asks for the list of models and looks at ours. Raises EngineLacksModel, EngineChanged, what `_ask` raises."""
        assert self._wire is not None
        try:
            await self._wire.check_local()
        except Unreached as problem:
            raise self.unreachable(problem) from None
        try:
            listed = self.tongue.read_listing(await self._whole(self.tongue.LISTING_PATH, None, LISTING_SECONDS))
        except (
            EngineLacksModel
        ):  # a 404: some servers have no list, and then the answers alone say which model they come from
            self.known = Known(at=time.monotonic())
            return
        except Unreadable as problem:
            raise self.garbled(problem) from None
        self.known = Known({each.id: each for each in listed})
        if self.spec.model:
            self._compare()
        self.known.at = time.monotonic()

    def _compare(self) -> None:
        ours = self._ours()
        if ours is None and self.mark:
            raise EngineChanged(f"'{self.name}' is gone from its server, which has now: {self._names()}.")
        if ours is None:
            raise EngineLacksModel(f"The server of '{self.name}' has no model '{self.spec.model}'.", self._offer())
        if self.mark and ours.mark != self.mark:
            raise EngineChanged(f"Another model than before stands behind '{self.name}' on its server.")
        self.mark = ours.mark

    def _ours(self) -> Listed | None:
        return next((each for each in self.known.listed.values() if self.spec.model in each.names), None)

    def check_model(self, said: str) -> None:
        """Raises EngineChanged if an answer came from another model than was asked for. Dated names count as the same one."""
        wanted = self.spec.model
        ours = self._ours()
        if not said or said == wanted or (ours and said in ours.names) or said.startswith(wanted + "-"):
            return
        raise EngineChanged(f"'{self.name}' was asked and '{printable(said)[:80]}' answered.")

    async def _vectors(self, inputs: Sequence[str | tuple[int, ...]], start: int, truncate: bool) -> Embeddings:
        try:
            return await self._batch(inputs, truncate)
        except ContextOverflow as problem:
            for at, text in enumerate(inputs):  # the server does not say which one it was
                try:
                    await self._batch([text], truncate)
                except ContextOverflow as one:
                    raise self._too_long(start + at, one) from None
            raise problem from None

    def _too_long(self, at: int, problem: ContextOverflow) -> ContextOverflow:
        step = "Cut it into shorter texts"
        if "truncate" in capabilities.HONOURS[self.spec.kind]:
            step += ', or send "truncate": true to have its end left out'
        ours = self._ours()
        most = f" ({ours.window:,} tokens)" if ours and ours.window else ""
        text = (
            f"Text {at} of 'input' (the first is 0) is longer than '{self.name}' reads at once{most}: {problem.message}"
        )
        return ContextOverflow(text, step + ".", param=f"input[{at}]")

    async def _batch(self, inputs: Sequence[str | tuple[int, ...]], truncate: bool) -> Embeddings:
        body = self.tongue.render_embedding(inputs, self.spec.model, truncate)
        async with self._room:
            await self._ready()
            answer = await self._whole(self.tongue.EMBEDDING_PATH, body, self.spec.first_seconds)
        try:
            found, said = self.tongue.read_embeddings(answer, len(inputs))
        except Unreadable as problem:
            raise self.garbled(problem) from None
        self.check_model(said)
        return found

    # -- what went wrong

    async def explain(self, what: str) -> HomefireError:
        """The error for a connection that broke: is the server still there?"""
        if not self._reached:
            return EngineFailed(f"The server of '{self.name}' {what}.", "Check its address and its kind.")
        if not self.ended and self._wire is not None:
            try:
                async with asyncio.timeout(PROBE_SECONDS), self._wire.ask(self.tongue.LISTING_PATH, None, JSON):
                    pass
            except (Unreached, Lost, TimeoutError):
                await self._end(GONE)
            else:
                return EngineFailed(f"The server of '{self.name}' {what}.", "Send the request again.")
        return EngineDied(f"The server of '{self.name}' {what} and is gone.", "Start it again, then send it again.")

    async def _end(self, cause: str) -> None:
        if not self._ended.is_set():
            self._cause = cause
            self._ended.set()
        if self._wire is not None:
            await self._wire.close()

    def unreachable(self, problem: Unreached) -> EngineUnreachable:
        """Nobody answers there."""
        return EngineUnreachable(f"The server of '{self.name}' is not reachable: {self._clean(str(problem))}.")

    def garbled(self, why: object) -> EngineGarbled:
        """What came cannot be read."""
        return EngineGarbled(f"The answer of '{self.name}' cannot be read: {self._clean(str(why))}.")

    def late(self) -> EngineTimedOut:
        """Nothing came between two events for too long."""
        return self._late("stopped in the middle of its answer and gave nothing more", self.spec.stall_seconds)

    def _late(self, what: str, seconds: float) -> EngineTimedOut:
        return EngineTimedOut(f"The server of '{self.name}' {what} for {seconds:g} s.")

    def meant(self, status: int, said: Said) -> HomefireError:
        """What an error answer means."""
        # The key never stands in an error, even if the server sends it back.
        text = self._clean(said.text) or f"status {status}"
        if status in (401, 403):
            return EngineRejected(f"The server of '{self.name}' refuses us (status {status}).")
        if status == 404:
            return EngineLacksModel(f"The server of '{self.name}' does not have this (404): {text}", self._offer())
        if status in (408, 429, 503):
            return EngineBusy(f"The server of '{self.name}' takes nothing now ({status}): {text}")
        if said.too_long:
            return ContextOverflow(f"The text does not fit '{self.name}': {text}", param="messages")
        if 400 <= status < 500:
            return InvalidRequest(f"The server of '{self.name}' refused the request: {text}")
        if status < 400:
            return self.garbled(f"status {status} where 200 was due")
        return EngineFailed(f"The server of '{self.name}' failed ({status}): {text}", "Send the request again.")

    def _clean(self, text: str) -> str:
        key = self.spec.address.key
        return printable(text.replace(key, "***") if key else text)

    def _names(self) -> str:
        return printable(", ".join(sorted(self.known.listed)[:10])) or "none"

    def _offer(self) -> str:
        return f"It has: {self._names()}."


class FarAnswer:
    """An Answer of a far engine."""

    def __init__(
        self, engine: Far, request: ChatRequest | CompletionRequest, response: FarResponse, until: float
    ) -> None:
        self._engine = engine
        self._request = request
        self._response = response
        self._until = until
        self._begun = False
        self._open = True

    async def events(self) -> AsyncIterator[Event]:
        reader = self._engine.tongue.StreamReader()
        lines = self._response.lines()
        while True:
            try:
                found = await self._more(reader, lines)
            except Failure as problem:
                raise self._engine.meant(problem.status, problem.said) from None
            except Unreadable as problem:
                raise self._engine.garbled(problem) from None
            except Lost:
                raise await self._engine.explain("broke off in the middle of an answer") from None
            except TimeoutError:
                raise self._late() from None
            if found is None:
                break
            self._begun = True
            for event in found:
                yield event
        if not reader.whole:
            raise self._engine.garbled("it ended before it was whole")

    async def _more(self, reader: Reader, lines: AsyncIterator[bytes]) -> list[Event] | None:
        """The next events; None at the end. What is no event (a comment, an empty chunk) does not count as progress."""
        # A reader who is slow to take what came is not the server's fault: the clock runs while we wait, and only then.
        left = self._engine.spec.stall_seconds if self._begun else self._until - time.monotonic()
        async with asyncio.timeout(left):
            async for line in lines:
                events = reader.feed(line)
                if reader.model:
                    self._engine.check_model(reader.model)
                if events:
                    return events
        return None

    def _late(self) -> EngineTimedOut:
        if self._begun:
            return self._engine.late()
        return self._engine._late("took the request and gave nothing", self._engine.spec.first_seconds)

    def pieces(self) -> AsyncIterator[bytes]:
        return render_pieces(self._request, self.events())

    async def close(self) -> None:
        if self._open:
            self._open = False
            self._engine.release()
            await self._response.close()
