"""Ollama's routes: chat, generate, embed, and the shelf of models as Ollama shows it.

A name with `:latest` at its end means the model without it, unless a model is called so with it. What Ollama's clients pull is a
name of our catalogue, a source in our form, or else a name of Ollama's own library.
Promises: errors come in Ollama's form; nothing is cut in silence; a pull goes on when its client leaves.
Does not cover: the wire form (`dialects/ollama.py`); making, copying and pushing models.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from starlette.types import Receive, Scope, Send

import homefire
from homefire.dialects import ollama
from homefire.errors import HomefireError, InvalidRequest, ShuttingDown, UnknownModel
from homefire.messages import EmbeddingRequest, Event
from homefire.models import Library
from homefire.models.adapters import Adapters
from homefire.models.downloads import ENDED
from homefire.models.installed import Model
from homefire.models.pulls import Pulls
from homefire.paths import WorkerName, base_of
from homefire.residency.plan import HOST
from homefire.server.answering import Answering, Asking
from homefire.server.overflow import open_fitting, wants_drop
from homefire.server.rendering import JSON, LINES, Form, send_answer
from homefire.server.request import (
    begin_events,
    caller,
    end_events,
    read_body,
    require_key,
    send_bytes,
    send_json,
    until_gone,
)
from homefire.server.traits import Traits

SMALL_BODY = 64 * 1024
LATEST = ":latest"
SCHEMES = re.compile(r"(hf|https?|file|ollama|pypi):")
HUBS = ("hf.co/", "huggingface.co/")


@dataclass(frozen=True, slots=True)
class Shelf:
    """What these routes need of the rooms below. `remove` removes a model; `window` is the context window in tokens in which a
    model is run here, 0 if it is its own."""

    library: Library
    pulls: Pulls
    traits: Traits
    remove: Callable[[str], Awaitable[None]]
    window: Callable[[str], int]


class OllamaRoutes:
    """Handlers of `/api`."""

    def __init__(self, answering: Answering, shelf: Shelf, body_limit: int) -> None:
        self._answering = answering
        self._shelf = shelf
        self._limit = body_limit

    # -- answers

    async def chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /api/chat"""
        asked = ollama.read_chat(await read_body(scope, receive, self._limit))
        await self._ask(asked, scope, receive, send)

    async def generate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /api/generate"""
        asked = ollama.read_generate(await read_body(scope, receive, self._limit))
        await self._ask(asked, scope, receive, send)

    async def embed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /api/embed"""
        await self._embed(scope, receive, send, False)

    async def embeddings(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /api/embeddings"""
        await self._embed(scope, receive, send, True)

    async def _ask(self, asked: ollama.Asked, scope: Scope, receive: Receive, send: Send) -> None:
        name = self._answering.resolve(self._plain(asked.model))
        if asked.request is not None:
            asked = replace(asked, request=replace(asked.request, model=name))
        self._require_window(name, asked.window)
        if asked.shows:
            await self._shelf.traits.require_reasoning(name, "think")
        asking = Asking(key=caller(scope), keep_alive=asked.keep_alive)
        work = self._load(asked, name, asking, send)
        if asked.request is not None:
            work.close()
            work = self._answer(asked, wants_drop(scope), asking, send)
        await until_gone(work, receive)

    async def _answer(self, asked: ollama.Asked, drop: bool, asking: Asking, send: Send) -> None:
        assert asked.request is not None
        began = time.perf_counter_ns()
        async with open_fitting(self._answering, asked.request, drop, asking) as (answer, headers):
            opened = time.perf_counter_ns()

            def stream() -> ollama.AnswerStream:
                times = ollama.Times(began, opened, time.perf_counter_ns())
                return ollama.AnswerStream(asked, times, time.perf_counter_ns)

            def whole(events: list[Event]) -> bytes:
                # When the first token came is not known of an answer that came whole.
                return ollama.render_answer(asked, events, ollama.Times(began, opened, opened), time.perf_counter_ns)

            await send_answer(answer, asked.stream, Form(stream, whole, LINES), send, headers)

    async def _load(self, asked: ollama.Asked, name: str, asking: Asking, send: Send) -> None:
        """Loads the model and says nothing, as Ollama does without a prompt; a keep-alive of 0 unloads it."""
        name = self._answering.place(name)
        leaves = asking.keep_alive == 0
        if leaves:
            await self._answering.keeper.unload(name)
        else:
            lease = await self._answering.keeper.ensure(name, key=asking.key, keep_alive=asking.keep_alive)
            lease.release()
        await send_bytes(send, ollama.render_loaded(asked, not leaves), LINES if asked.stream else JSON)

    async def _embed(self, scope: Scope, receive: Receive, send: Send, old: bool) -> None:
        request, keep_alive = ollama.read_embed(await read_body(scope, receive, self._limit))
        shown = request.model
        request = replace(request, model=self._plain(request.model))
        asking = Asking(key=caller(scope), keep_alive=keep_alive)

        async def work(request: EmbeddingRequest = request) -> None:
            began = time.perf_counter_ns()
            found = await self._answering.embedded(request, asking)
            taken = time.perf_counter_ns() - began
            body = ollama.render_embed(replace(request, model=shown), found.value, taken, old)
            await send_bytes(send, body, JSON, extra=found.headers)

        await until_gone(work(), receive)

    # -- the shelf

    async def tags(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /api/tags"""
        known = [model for model in self._shelf.library.all() if model.facts.kind != "adapter"]
        bases = {str(model.name): model for model in known}
        known += [
            replace(bases[base_of(name)], name=WorkerName(name)) for name, _ in Adapters(self._shelf.library).names()
        ]
        rows = [ollama.tag(self._shown(model)) for model in known]
        await send_json(send, {"models": rows})

    async def running(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /api/ps"""
        here = {str(model.name): model for model in self._shelf.library.all()}
        rows = []
        for resident in self._answering.keeper.table().models:
            if resident.state == "ready" and resident.name in here:
                leaves_at = None if resident.leaves_in_s is None else time.time() + resident.leaves_in_s
                on_gpu = sum(size for device, size in resident.reserved_bytes.items() if device != HOST)
                taken = sum(resident.reserved_bytes.values())
                rows.append(ollama.running(self._shown(here[resident.name]), leaves_at, taken, on_gpu))
        await send_json(send, {"models": rows})

    async def show(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /api/show"""
        found = ollama.read_named(await read_body(scope, receive, SMALL_BODY))
        model = self._answering.model(self._answering.resolve(self._plain(found.model or found.name or "")))
        keys = await self._shelf.traits.keys(model.name)
        await send_bytes(send, ollama.render_show(self._shown(model), keys, model.facts.kind), JSON)

    async def version(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /api/version"""
        await send_json(send, {"version": ollama.API_VERSION, "homefire": homefire.__version__})

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /api/delete"""
        found = ollama.read_named(await read_body(scope, receive, SMALL_BODY))
        await self._shelf.remove(self._plain(found.model or found.name or ""))
        await send_json(send, {})

    async def pull(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /api/pull"""
        found = ollama.read_named(await read_body(scope, receive, SMALL_BODY))
        if found.insecure:
            raise InvalidRequest("'insecure' is not done here: files come over TLS, and are checked.", param="insecure")
        source = self._source(found.model or found.name or "")
        if source.startswith("file:"):
            require_key(scope)
        if any(model.name == source for model in self._shelf.library.all()):
            await send_bytes(send, ollama.pulled("success"), JSON if found.stream is False else LINES)
            return
        download = await self._shelf.pulls.pull(source)
        work = self._wait(download.id, send) if found.stream is False else self._watch(download.id, send)
        await until_gone(work, receive)

    async def _wait(self, id: int, send: Send) -> None:
        async for _ in self._shelf.pulls.watch(id):
            pass
        await self._require_done(id)
        await send_bytes(send, ollama.pulled("success"), JSON)

    async def _watch(self, id: int, send: Send) -> None:
        await begin_events(send, LINES)

        async def say(line: bytes) -> None:
            await send({"type": "http.response.body", "body": line, "more_body": True})

        await say(ollama.pulled("pulling manifest"))
        try:
            async for found in self._shelf.pulls.watch(id):
                if found.state == "running" and found.total:
                    # Clients draw one bar for each digest; ours is one for the model.
                    verb = "pulling" if found.phase == "fetching" else str(found.phase)
                    await say(ollama.pulled(f"{verb} {found.target}", found.target, found.total, found.done))
            await self._require_done(id)
            for status in ("verifying sha256 digest", "writing manifest", "success"):
                await say(ollama.pulled(status))
        except HomefireError as problem:
            await say(ollama.line(ollama.envelope(problem)))
        await end_events(send)

    async def _require_done(self, id: int) -> None:
        """Raises what a download that is no longer watched ended with, if it did not end well."""
        if self._shelf.pulls.downloads.get(id).state not in ENDED:
            raise ShuttingDown("The daemon is stopping.", "The download goes on when it runs again.")
        await self._shelf.pulls.downloads.wait(id)

    # -- names

    def _plain(self, name: str) -> str:
        """The name as it is called here."""
        installed = {model.name for model in self._shelf.library.all()}
        return name if name in installed else name.removesuffix(LATEST)

    def _source(self, name: str) -> str:
        """What a name to pull means."""
        plain = self._plain(name)
        for hub in HUBS:
            if plain.startswith(hub):
                return "hf:" + plain.removeprefix(hub)
        if SCHEMES.match(plain) or (":" not in plain and self._known(plain)):
            return plain
        return f"ollama:{plain}"

    def _known(self, name: str) -> bool:
        try:
            return bool(self._shelf.pulls.catalogue.get(name))
        except UnknownModel:
            return False

    def _require_window(self, name: str, wanted: int) -> None:
        """Raises InvalidRequest if more context is wanted than the model is run with: Ollama cuts the prompt then, we do not."""
        base = base_of(name)
        model = next((model for model in self._shelf.library.all() if model.name == base), None)
        window = (self._shelf.window(name) or model.facts.context_length) if model is not None else 0
        if window and wanted > window:
            raise InvalidRequest(
                f"'num_ctx' is {wanted:,}; '{name}' is run here with a context window of {window:,} tokens.",
                "Ask for less or leave it out, or raise the setting 'context' (docs/settings.md).",
                param="options.num_ctx",
            )

    def _shown(self, model: Model) -> ollama.Shown:
        facts = model.facts
        return ollama.Shown(
            str(model.name),
            model.size_bytes,
            str(model.digest or ""),
            model.added_at,
            facts.architecture,
            facts.parameters,
            facts.quantization,
            self._shelf.window(model.name) or facts.context_length,
        )
