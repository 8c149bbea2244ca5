"""llama.cpp as an engine: one model, one child process, reached over a unix socket (a loopback port with a key of its own on
systems without them).

Promises: the daemon loads no native model code; requests beyond the child's slots wait here, in order; an answer that is
closed frees its slot, because its connection is closed and the server then cancels the task.
Does not cover: images (not in this version); what embeddings need beyond asking (`embedding.py`); which slot a request
gets, and KV caches over the engine's end (`kv_cache.py`).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

from homefire.dialects import forced_call, llamacpp
from homefire.dialects.old_completion import OldCompletion
from homefire.dialects.spent import TAIL, Spent, read_spent
from homefire.engines import walls
from homefire.engines.embedding import Embedder
from homefire.engines.engine import Answer, EngineSpec, require_kind
from homefire.engines.kv_cache import Keeping, KeptCache
from homefire.engines.rendered import render_pieces
from homefire.engines.slots import Slot
from homefire.engines.wire import ConnectionLost, NobodyThere, Response, Wire
from homefire.errors import ContextOverflow, EngineDied, EngineError, EngineFailed, EngineGone
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    Event,
    Ranking,
    RerankRequest,
)
from homefire.supervision.child import Child, ChildSpec, Observer
from homefire.supervision.record import Exit
from homefire.supervision.watchdog import Rhythm, watch

# Here the child renders a chat template.
RENDERS = (llamacpp.CHAT_PATH, llamacpp.APPLY_TEMPLATE_PATH)
# Beyond the slots, so that the next request's prompt is already there when a slot becomes free.
AHEAD = 2


class LlamaCpp:
    """An Engine."""

    def __init__(
        self,
        spec: EngineSpec,
        observer: Observer | None = None,
        spent: Callable[[str, Spent], None] | None = None,
        keeping: Keeping | None = None,
        approve: Callable[[Path], Awaitable[None]] | None = None,
    ) -> None:
        """`approve` is asked for the model's file before anything is started; what it raises, `start` raises."""
        spec = walls.own_folder(spec)
        self.name = spec.name
        self.spec = spec
        self.spent = spent
        self.progress = 0
        self._watching: asyncio.Task[None] | None = None
        key = secrets.token_urlsafe(32) if spec.socket is None else ""
        self._key = key
        self._child = Child(
            ChildSpec(
                name=f"The engine of '{spec.name}'",
                argv=walls.command(spec, (sys.executable, "-m", child_module(spec), json.dumps(child_arguments(spec)))),
                log=spec.log,
                environment={"HOMEFIRE_ENGINE_KEY": key} if key else {},
                ready_seconds=spec.load_seconds,
                label=spec.name,
                observer=observer,
                dumps=walls.dumps_of(spec),
            )
        )
        self._wire: Wire | None = None
        self._room = asyncio.Semaphore(spec.slots + AHEAD)
        self._shows_tools: bool | None = None
        self._embedder = Embedder(spec.name, self._whole)
        self._cache = KeptCache(spec.name, spec.slots, keeping if spec.kept is not None else None, self._whole)
        self._leaving = self._stopped = False
        self._approve = approve
        self._checks: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int | None:
        return walls.pid_of(self.spec, self._child.pid)

    async def start(self) -> None:
        self._stopped = False
        if self._approve is not None:
            await self._approve(self.spec.path)
        if self._stopped:  # while that was asked, when there was nothing to stop yet
            raise EngineFailed(f"The engine of '{self.name}' was stopped before it was started.")
        self._cache.open()
        facts = await self._child.start()
        address = facts["address"]
        self._wire = Wire(address if isinstance(address, str) else (address[0], address[1]), self._key)
        if self.spec.kind == "embedding":
            try:
                await self._embedder.learn()
            except BaseException:
                await self.stop()
                raise
        if self.spec.hang_seconds:
            rhythm = Rhythm.of(self.spec.hang_seconds)
            self._watching = asyncio.ensure_future(watch(self._child, self._answers, lambda: self.progress, rhythm))

    async def _answers(self) -> bool:
        """Whether its server still takes a request and answers it. Not whether it computes: see `watchdog.py`."""
        assert self._wire is not None
        try:
            response = await self._wire.get(llamacpp.HEALTH_PATH)
            await response.read()
        except ConnectionLost:
            return False
        return response.status == 200

    async def stop(self) -> None:
        self._stopped = True
        for check in self._checks:
            check.cancel()
        if self._child.state == "ready" and not self._leaving:
            self._leaving = True
            await self._cache.leave()
        await self._child.stop()
        if self._wire is not None:
            self._wire.close()
        if self.spec.socket is not None:
            self.spec.socket.unlink(missing_ok=True)

    async def wait(self) -> str:
        ended = await self._child.wait()
        return "" if ended.expected else ended.describe()

    async def chat(self, request: ChatRequest) -> Answer:
        require_kind(self.name, self.spec.kind, "chat")
        if forced_call.is_forced(request):
            body = forced_call.render(request, await self._template_shows_tools(), self._scales(request))
            return ForcedCallAnswer(await self._ask(llamacpp.CHAT_PATH, body, False, request), request)
        body = llamacpp.render_chat(request, self._scales(request))
        return await self._ask(llamacpp.CHAT_PATH, body, request.stream, request)

    async def complete(self, request: CompletionRequest) -> Answer:
        require_kind(self.name, self.spec.kind, "chat")
        body = llamacpp.render_completion(request, self._scales(request))
        answer = await self._ask(llamacpp.COMPLETION_PATH, body, request.stream, request)
        if request.logprobs is not None or request.include_usage:
            answer.rewrite = OldCompletion(request.stream)
        return answer

    def has_adapters(self, digests: Iterable[str]) -> bool:
        """As `Adapts.has_adapters`."""
        return set(digests) <= {each.digest for each in self.spec.adapters}

    def _scales(self, request: ChatRequest | CompletionRequest) -> list[float]:
        """The scale of each adapter that the child has."""
        asked = dict(request.adapters)
        if not self.has_adapters(asked):
            raise EngineFailed(f"The engine of '{self.name}' was started without the adapter that is asked for.")
        return [asked.get(each.digest, 0.0) for each in self.spec.adapters]

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        require_kind(self.name, self.spec.kind, "embedding")
        return await self._embedder.embed(request)

    async def count(self, request: ChatRequest) -> int:
        """As `Counts.count`: the child renders the prompt as it would for an answer, and cuts it into tokens."""
        require_kind(self.name, self.spec.kind, "chat")
        if forced_call.is_forced(request):
            body = forced_call.render(request, await self._template_shows_tools())
        else:
            body = llamacpp.render_chat(request)
        prompt = llamacpp.read_prompt(await self._whole(llamacpp.APPLY_TEMPLATE_PATH, body))
        return len(llamacpp.read_tokens(await self._whole(llamacpp.TOKENIZE_PATH, llamacpp.render_tokenize(prompt))))

    async def rerank(self, request: RerankRequest) -> Ranking:
        """As `Reranks.rerank`."""
        require_kind(self.name, self.spec.kind, "rerank")
        try:
            body = await self._whole(llamacpp.RERANK_PATH, llamacpp.render_rerank(request))
        except ContextOverflow as problem:
            raise ContextOverflow(
                f"The query and one of the documents are too long together: {problem.message}",
                "Cut the documents into shorter texts.",
                param="documents",
            ) from None
        found = llamacpp.read_ranking(body)
        if len(found.scores) != len(request.documents):
            raise EngineFailed(
                f"The engine of '{self.name}' gave {len(found.scores)} scores for {len(request.documents)} texts."
            )
        return found

    async def _template_shows_tools(self) -> bool:
        if self._shows_tools is None and self._wire is not None:
            try:
                response = await self._post(self._wire, forced_call.APPLY_TEMPLATE_PATH, forced_call.render_probe())
                self._shows_tools = forced_call.read_probe(await response.read())
            except ConnectionLost:
                raise await self.explain("ended before it answered") from None
        return bool(self._shows_tools)

    async def _whole(self, path: str, body: bytes | None) -> bytes:
        """A whole answer, not in OpenAI's form."""
        answer = await self._ask(path, body, False)
        try:
            return b"".join([piece async for piece in answer.pieces()])
        finally:
            await answer.close()

    async def _ask(
        self, path: str, body: bytes | None, stream: bool, request: ChatRequest | CompletionRequest | None = None
    ) -> LlamaCppAnswer:
        """An answer under way; one to a `request` runs in a slot."""
        if self._wire is None or self._child.state != "ready":
            raise await self.explain("is not running", begun=False)
        await self._room.acquire()
        slot: Slot | None = None
        try:
            if request is not None and body is not None:
                slot = await self._cache.take(request)
                body = llamacpp.in_slot(body, slot.number)
            response = await (self._wire.get(path) if body is None else self._post(self._wire, path, body))
            if response.status != 200:
                raise llamacpp.read_error(response.status, await response.read())
        except BaseException as problem:
            if slot is not None:
                self._cache.refused(slot)
            self._room.release()
            if isinstance(problem, ConnectionLost):
                begun = not isinstance(problem, NobodyThere)
                raise await self.explain("ended before it answered", begun) from None
            raise
        return LlamaCppAnswer(self, response, stream, slot)

    async def _post(self, wire: Wire, path: str, body: bytes) -> Response:
        """The head of an answer. One that does not come is looked after, also when who waits for it leaves: a template may run
        for ever on this very request, in a thread that answers nobody while the others answer `_answers`."""
        if path not in RENDERS or not self.spec.hang_seconds:
            return await wire.post(path, body)
        check = asyncio.ensure_future(self._check_rendering(wire, body))
        self._checks.add(check)
        check.add_done_callback(self._checks.discard)
        try:
            response = await wire.post(path, body)
        except ConnectionLost:
            check.cancel()
            raise
        check.cancel()
        return response

    async def _check_rendering(self, wire: Wire, body: bytes) -> None:
        """After a while renders the same prompt again, which takes milliseconds, and ends the child if that does not end."""
        seconds = self.spec.hang_seconds
        await asyncio.sleep(seconds)
        try:
            async with asyncio.timeout(seconds):
                await (await wire.post(llamacpp.APPLY_TEMPLATE_PATH, body)).read()
        except ConnectionLost:
            return
        except TimeoutError:
            await self._child.abort(f"hung: its chat template did not end on a request within {seconds:.0f} s")

    def release(self, slot: Slot | None, spent: Spent | None) -> None:
        """Gives one place back; an Answer calls it when it is closed. `spent` is what it took, if it came to its end."""
        if slot is not None:
            self._cache.give_back(slot, spent)
        self._room.release()

    async def explain(self, what: str, begun: bool = True) -> EngineError:
        """The error for a lost connection: how the child ended, if it did. `begun`: it may have had the request, which is then
        not to blame only if the child was killed from outside."""
        try:
            async with asyncio.timeout(1.0):
                ended: Exit | None = await self._child.wait()
        except (TimeoutError, RuntimeError):
            ended = None
        if ended is None:
            return EngineFailed(f"The engine of '{self.name}' closed the connection.", "Send the request again.")
        died = EngineDied if begun and not ended.from_outside else EngineGone
        return died(f"The engine of '{self.name}' {what}: it {ended.describe()}.")


class LlamaCppAnswer:
    """An Answer that passes the child's bytes on."""

    def __init__(self, engine: LlamaCpp, response: Response, stream: bool, slot: Slot | None) -> None:
        self._engine = engine
        self._response = response
        self._stream = stream
        self._slot = slot
        self._spent: Spent | None = None
        self._open = True
        self.rewrite: OldCompletion | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        if self.rewrite is not None:
            async for piece in self._bytes():
                yield self.rewrite.feed(piece)
            yield self.rewrite.end()
            return
        async for piece in self._bytes():
            yield piece

    async def _bytes(self) -> AsyncIterator[bytes]:
        tail = b""
        try:
            async for piece in self._response.pieces():
                self._engine.progress += 1
                tail = (tail + piece)[-TAIL:]
                passed, problem = llamacpp.split_error(piece)
                if passed:
                    yield passed
                if problem is not None:
                    raise problem
        except ConnectionLost:
            raise await self._engine.explain("ended in the middle of the answer") from None
        self._spent = read_spent(tail)
        if self._engine.spent is not None and self._spent is not None:
            self._engine.spent(self._engine.name, self._spent)

    async def events(self) -> AsyncIterator[Event]:
        if not self._stream:
            body = b"".join([piece async for piece in self._bytes()])
            for event in llamacpp.read_answer(body):
                yield event
            return
        reader = llamacpp.ChunkReader()
        async for piece in self._bytes():
            for event in reader.feed(piece):
                yield event

    async def close(self) -> None:
        if self._open:
            self._open = False
            self._response.close()
            self._engine.release(self._slot, self._spent)


class ForcedCallAnswer:
    """An Answer that is one tool call: the child spells it as JSON, and it is handed on when it is whole."""

    def __init__(self, spelled: LlamaCppAnswer, request: ChatRequest) -> None:
        self._spelled = spelled
        self._request = request

    async def events(self) -> AsyncIterator[Event]:
        for event in forced_call.read([event async for event in self._spelled.events()]):
            yield event

    def pieces(self) -> AsyncIterator[bytes]:
        return render_pieces(self._request, self.events())

    async def close(self) -> None:
        await self._spelled.close()


def child_module(spec: EngineSpec) -> str:
    """The child that runs it: with the wheel, with a native build, or an embedding model as a graph in ONNX Runtime."""
    if spec.graph is not None:
        return "homefire.engines.onnx_child"
    return "homefire.engines.llamacpp_child" if spec.program is None else "homefire.engines.native_child"


def child_arguments(spec: EngineSpec) -> dict[str, object]:
    """What the child is told, as JSON on its command line; see `parameters.parameters`."""
    return {
        **({} if spec.program is None else {"program": str(spec.program)}),
        **({} if spec.graph is None else {"graph": str(spec.graph)}),
        "model": str(spec.path),
        "alias": spec.name,
        "socket": None if spec.socket is None else str(spec.socket),
        "context": spec.context,
        "slots": spec.slots,
        "threads": spec.threads,
        "gpu_layers": spec.gpu_layers,
        "kind": spec.kind,
        "batch": spec.batch,
        "slot_save_path": "" if spec.kept is None else str(spec.kept),
        "logical_batch": spec.logical_batch,
        "adapters": [str(each.path) for each in spec.adapters],
        # As llama-server spells them.
        "spec_type": "draft-simple" if spec.drafting.mode == "draft" else spec.drafting.mode,
        "draft": None if spec.drafting.path is None else str(spec.drafting.path),
        "draft_max": spec.drafting.tokens,
        "cache_type_k": spec.kv_type.lower(),
        "cache_type_v": spec.kv_type.lower(),
        "flash_attention": _flash_attention(spec),
    }


def _flash_attention(spec: EngineSpec) -> str:
    """ "on", "off", or "" for the engine's own choice, which may be off: that cannot read quantized values."""
    if spec.flash_attention is None:
        return "" if spec.kv_type == "F16" else "on"
    return "on" if spec.flash_attention else "off"
