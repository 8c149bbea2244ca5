"""From a request to an answer under way: the one door to the engines for every dialect and for the conversations.

Promises: a model of the wrong kind is refused before anything is loaded; leaving the context closes the answer and gives the
lease back, whatever happened; a far engine is asked only if the request, or the order of fallback of the name in it, names it; an
adapter that a name asks for is asked of an engine that has it.
Does not cover: wire forms (`dialects/`).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from homefire.dialects.spent import TAIL, read_total
from homefire.engines.engine import Adapts, Answer, Counts, Engine, Reranks, require_kind
from homefire.errors import EngineGone, UnknownModel, UnsupportedParameter
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    Event,
    Ranking,
    RerankRequest,
    TextDelta,
    UsageReport,
)
from homefire.models import Library
from homefire.models.adapters import Adapted, Adapters
from homefire.models.installed import Model
from homefire.residency import Keeper, Lease, Told
from homefire.residency.fallback import Begun, Failed, Won, closing, first_that_answers
from homefire.residency.far import FarEngines
from homefire.server.gate import Gate
from homefire.server.spans import NoSpans, Spans

# What an answer may cost beyond its prompt where the request sets no limit, in tokens; and characters a token, roughly.
USUAL_ANSWER, CHARACTERS = 512, 4
ROLES_ROUTE = "PUT /homefire/v1/roles"


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and how the model is to be kept: `key` shares the queue fairly with others, `keep_alive` in seconds (0: the model
    leaves at once, negative: it stays; None: as it is set), `told` hears the place in the queue while the request waits."""

    key: str = ""
    keep_alive: float | None = None
    told: Told | None = None
    # Whether the policy let it in already: it is then only rewritten as it was.
    admitted: bool = False
    # Whether `Answer.pieces` will be asked for: a local engine's bytes then pass through unread.
    as_bytes: bool = False


NOBODY = Asking()
NO_SPANS = NoSpans()
# Who hears how many tokens an answer of this caller took; None: nobody.
Meter = Callable[[str], Callable[[int], None] | None]
_Given = TypeVar("_Given")
_Request = ChatRequest | CompletionRequest | EmbeddingRequest | RerankRequest


class Metered:
    """The tokens of one answer: what its end says, else what was seen of it (one a piece) and a guess at its prompt."""

    def __init__(self, prompt: int) -> None:
        self._prompt = prompt
        self._seen = 0
        self._said: int | None = None

    async def events(self, inner: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """Hands on what it counts."""
        async for event in inner:
            if isinstance(event, UsageReport):
                self._said = event.usage.prompt_tokens + event.usage.completion_tokens
            elif isinstance(event, TextDelta):
                self._seen += 1
            yield event

    async def pieces(self, inner: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same for bytes."""
        tail = b""
        async for piece in inner:
            self._seen += 1
            tail = (tail + piece)[-TAIL:]
            yield piece
        self._said = read_total(tail)

    @property
    def tokens(self) -> int:
        """So far."""
        return self._said if self._said is not None else self._prompt + self._seen


@dataclass(frozen=True, slots=True)
class Answered:
    """An Answer under way, and who gives it; `failed` are those that were asked before."""

    answer: Answer
    name: str
    failed: tuple[Failed, ...]
    headers: list[tuple[bytes, bytes]]
    metered: Metered | None = None

    def events(self) -> AsyncIterator[Event]:
        """As `Answer.events`."""
        return self.answer.events() if self.metered is None else self.metered.events(self.answer.events())

    def pieces(self) -> AsyncIterator[bytes]:
        """As `Answer.pieces`."""
        return self.answer.pieces() if self.metered is None else self.metered.pieces(self.answer.pieces())

    async def close(self) -> None:
        """As `Answer.close`."""
        await self.answer.close()


class Answering:
    """Finds the model, waits for it, asks it. `far`: engines elsewhere, and orders of fallback; `roles`: the model of each role
    ("": none), for requests that name a role instead of a model; `gate`: the policy in front of chats and completions."""

    def __init__(
        self,
        keeper: Keeper,
        library: Library,
        far: FarEngines | None = None,
        roles: Callable[[], Mapping[str, str]] = dict,
        *,
        spans: Spans = NO_SPANS,
        meter: Meter = lambda caller: None,
        gate: Gate | None = None,
    ) -> None:
        self.keeper = keeper
        self.library = library
        self.far = far
        self._roles = roles
        self._gate = gate
        self._spans = spans
        self._meter = meter
        self._adapters = Adapters(library)

    def resolve(self, name: str) -> str:
        """The name itself if something has it, else the model that plays the role of this name, with the adapters that follow it.
        Raises UnknownModel."""
        known = self.far is not None and (self.far.owns(name) or name in self.far.chains)
        if known:
            return name
        if "+" in name:
            base, _, rest = name.partition("+")
            return f"{self.resolve(base)}+{rest}"
        return self._entry(name)

    def _entry(self, name: str) -> str:
        """The same of an entry of an order, where a name of an order means no order: orders do not nest."""
        roles, far = self._roles(), self.far is not None and self.far.owns(name)
        if far or name not in roles or any(model.name == name for model in self.library.all()):
            return name
        if not roles[name]:
            raise UnknownModel(
                f"No model has the role '{name}'.",
                f"Give it to one; see: homefire models list, {ROLES_ROUTE}",
                param="model",
            )
        return roles[name]

    def model(self, name: str) -> Model:
        """The installed model behind a name: of one with adapters, its base. Raises as `Adapters.read`."""
        adapted = self._adapters.read(name)
        return self.library.get(adapted.base if adapted else name)

    def place(self, name: str) -> str:
        """The name of the engine that serves `name`: the model's own, or a side worker beside it where that one was started
        before the adapter came. Raises as `Adapters.read`."""
        adapted = self._adapters.read(name)
        if adapted is None:
            return str(self.library.get(name).name)
        engine = self.keeper.engine_of(adapted.base)
        has = engine is not None and _has(engine, adapted)
        beside = engine is not None or self.keeper.is_resident(adapted.worker)
        return adapted.worker if beside and not has else adapted.base

    @contextlib.asynccontextmanager
    async def open(self, request: ChatRequest | CompletionRequest, asking: Asking = NOBODY) -> AsyncIterator[Answered]:
        """An answer under way, and who gives it. Raises PolicyRefused, PolicyAsks, UnknownModel, WrongModelKind, what
        `Keeper.ensure`, `Engine.chat` and `FarEngines.begin` raise, ChainEnded."""
        said: list[tuple[bytes, bytes]] = []
        if self._gate is not None:
            request, said = await self._gate.admit(request, asking.key, asking.admitted)
        order = self._order(request.model)

        async def attempt(entry: str) -> Begun:
            name = self._entry(entry)
            asked = replace(request, model=name) if name != request.model else request
            if self.far is not None and self.far.owns(name):
                return await self.far.begin(name, asked)
            return await _once_more(lambda: self._begin(asked, asking, wait=len(order) > 1))

        spend = self._meter(asking.key)
        metered = None if spend is None else Metered(_cost(request) - (request.sampling.max_tokens or USUAL_ANSWER))
        with self._spans.watching(request) as watch:
            won = await first_that_answers(order, attempt)
            try:
                self._note(request.model, won)
                yield Answered(watch.hear(won.value, won.name), won.name, won.failed, [*won.headers, *said], metered)
            finally:
                if spend is not None and metered is not None:
                    spend(metered.tokens)
                await won.value.close()

    async def admit(self, text: str, key: str) -> None:
        """One more request of a key, and a text of it, before anything is stored. Raises PolicyRefused, PolicyAsks."""
        if self._gate is not None:
            await self._gate.admit_text(text, key)

    async def _begin(self, request: ChatRequest | CompletionRequest, asking: Asking, wait: bool) -> Begun:
        """A model that runs here. `wait` until the answer has begun: another may take over if it does not."""
        require_kind(request.model, self.model(request.model).facts.kind, "chat")
        lease, request = await self._adapted(request, asking)
        try:
            engine = lease.engine
            answer = await (engine.chat(request) if isinstance(request, ChatRequest) else engine.complete(request))
        except BaseException as problem:
            lease.release(problem)
            raise
        async with closing(Begun(answer, request, lease.release)) as begun:
            if wait:
                await begun.begin(asking.as_bytes)
        return begun

    async def _adapted(
        self, request: ChatRequest | CompletionRequest, asking: Asking
    ) -> tuple[Lease, ChatRequest | CompletionRequest]:
        """A lease on an engine that has the adapters, and the request as it takes it."""
        adapted = self._adapters.read(request.model)
        if adapted is None:
            return await self._ensure(request, asking), request
        asked = replace(request, model=adapted.base, adapters=adapted.asked)
        lease = await self._ensure(replace(request, model=self.place(request.model)), asking)
        if not _has(lease.engine, adapted):  # it was loaded, without them, while this request waited
            lease.release()
            lease = await self._ensure(replace(request, model=adapted.worker), asking)
        return lease, asked

    async def embed(self, request: EmbeddingRequest, asking: Asking = NOBODY) -> Embeddings:
        """The vectors of a request. Raises as `open`."""
        return (await self.embedded(request, asking)).value

    async def embedded(self, request: EmbeddingRequest, asking: Asking = NOBODY) -> Won[Embeddings]:
        """The same, and who made them."""

        async def attempt(entry: str) -> Embeddings:
            name = self._entry(entry)
            asked = replace(request, model=name)
            if self.far is not None and self.far.owns(name):
                return await self.far.embed(name, asked)
            require_kind(name, self.model(name).facts.kind, "embedding")

            async def once() -> Embeddings:
                async with await self._ensure(asked, asking) as lease:
                    return await lease.engine.embed(asked)

            return await _once_more(once)

        with self._spans.watching(request) as watch:
            won = await first_that_answers(self._order(request.model), attempt)
            watch.embedded(won.name, won.value.tokens)
        self._note(request.model, won)
        if (spend := self._meter(asking.key)) is not None:
            spend(won.value.tokens)
        return won

    def offered(self) -> list[tuple[str, int]]:
        """What can be asked for beside the models here: those with an adapter, models of far engines and orders of fallback, with
        their context windows (0: not known)."""
        found = dict(self._adapters.names())
        if self.far is None:
            return list(found.items())
        here = {str(model.name) for model in self.library.all()}
        found |= self.far.offered()
        return [*found.items(), *((name, 0) for name in self.far.chains if name not in here and name not in found)]

    def require_known(self, name: str) -> None:
        """Raises UnknownModel unless something has this name: a model here, one of a far engine, an order of fallback."""
        if self.far is None or not (self.far.owns(name) or name in self.far.chains):
            self.model(self.resolve(name))

    def is_built_in(self, name: str) -> bool:
        """Whether the model of this name is the one that comes with Homefire."""
        order = self._order(name)
        return (
            len(order) == 1 and not (self.far and self.far.owns(order[0])) and self.model(order[0]).source == "built-in"
        )

    def require_entry(self, name: str) -> None:
        """Raises UnknownModel unless the name may stand in an order of fallback: a model here, or a role, whoever has it then."""
        if name not in self._roles():
            self.library.get(name)

    def _order(self, model: str) -> tuple[str, ...]:
        """Who is asked, in turn. A role stands for its model, which is asked once; one without a model is told in its turn."""
        model = self.resolve(model)
        if self.far is None or model not in self.far.chains:
            return (model,)
        found = []
        for entry in self.far.order(model):
            name = entry
            with contextlib.suppress(UnknownModel):
                name = self._entry(entry)
            found.append(name)
        return tuple(dict.fromkeys(found))

    def _note(self, model: str, won: Won[Any]) -> None:
        if won.failed:
            why = ", ".join(f"'{each.name}' failed ({each.problem.code})" for each in won.failed)
            self.keeper.decisions.note("fell_back", model, f"{why}; '{won.name}' answered.")

    async def count(self, request: ChatRequest, asking: Asking = NOBODY) -> int:
        """The tokens of a chat's prompt, by the engine that would answer it. Raises as `open`, UnsupportedParameter if it cannot
        say."""
        model = self._order(request.model)[0]
        if self.far is not None and self.far.owns(model):
            raise UnsupportedParameter(f"'{model}' does not count tokens: it is not a model here.", param="model")
        require_kind(model, self.model(model).facts.kind, "chat")
        request = replace(request, model=self.place(model))  # an adapter changes no token of the prompt

        async def once() -> int:
            async with await self._ensure(request, asking) as lease:
                if not isinstance(lease.engine, Counts):
                    raise UnsupportedParameter(f"The engine of '{request.model}' does not count tokens.", param="model")
                return await lease.engine.count(request)

        return await _once_more(once)

    async def rerank(self, request: RerankRequest, asking: Asking = NOBODY) -> Ranking:
        """The scores of a request's documents. Raises as `open`."""
        request = replace(request, model=self.resolve(request.model))
        require_kind(request.model, self.model(request.model).facts.kind, "rerank")

        async def once() -> Ranking:
            async with await self._ensure(request, asking) as lease:
                if not isinstance(lease.engine, Reranks):
                    raise UnsupportedParameter(f"The engine of '{request.model}' ranks no texts.", param="model")
                return await lease.engine.rerank(request)

        ranking = await _once_more(once)
        if (spend := self._meter(asking.key)) is not None:
            spend(ranking.tokens)
        return ranking

    async def _ensure(self, request: _Request, asking: Asking) -> Lease:
        return await self.keeper.ensure(
            request.model, key=asking.key, keep_alive=asking.keep_alive, told=asking.told, cost=_cost(request)
        )


async def _once_more(attempt: Callable[[], Awaitable[_Given]]) -> _Given:
    """An engine that ended while nobody asked is found out by the first request, which is asked once more, of a new one."""
    try:
        return await attempt()
    except EngineGone:
        return await attempt()


def _has(engine: Engine, adapted: Adapted) -> bool:
    return isinstance(engine, Adapts) and engine.has_adapters(digest for digest, _ in adapted.asked)


def _cost(request: _Request) -> int:
    """Tokens that a request may take, roughly: what its sender's share of the queue is charged with."""
    match request:
        case ChatRequest():
            length = sum(len(message.content or "") for message in request.messages)
        case CompletionRequest():
            length = len(request.prompt)
        case RerankRequest():
            return (len(request.query) * len(request.documents) + sum(map(len, request.documents))) // CHARACTERS
        case EmbeddingRequest():
            return sum(len(each) // CHARACTERS if isinstance(each, str) else len(each) for each in request.inputs)
    return length // CHARACTERS + (request.sampling.max_tokens or USUAL_ANSWER)
