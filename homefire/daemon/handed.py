"""What the daemon hands its rooms: small answers to what each declares that it needs.

Promises: nothing here decides; each class fits one Protocol of a room to another room.
Does not cover: when they are used.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.metadata
import json
import math
import os
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import homefire
from homefire.errors import BadSetting
from homefire.hardware import Machine, detect
from homefire.hardware.governor import Bounds, Governor
from homefire.hardware.gpu_limits import GpuLimits
from homefire.hardware.regulator import Regulator
from homefire.hardware.sensors import Live
from homefire.messages import ChatRequest, EmbeddingRequest, Form, Message, RerankRequest, Sampling, TextDelta
from homefire.models.installed import Model
from homefire.models.library import Library, Roles
from homefire.paths import Paths
from homefire.residency import Keeper
from homefire.server.answering import Answering, Asking
from homefire.settings import Settings
from homefire.supervision.restarts import Hook

# What the governor leaves of a context window at least, and llama.cpp's own batch, of which it takes a share.
SMALLEST_CONTEXT = 512
USUAL_BATCH = 512
CRITIC_TOKENS = 300


class PolicyVectors:
    """Vectors for the check by meaning: those of the local model with the role embed, else of the only one there is."""

    def __init__(self, answering: Answering, library: Library, roles: Roles) -> None:
        self._answering = answering
        self._library = library
        self._roles = roles

    async def model(self) -> str:
        name = self._name()
        return " ".join([name, *identity(self._library.get(name))]) if name else ""

    async def vectors(self, texts: Sequence[str]) -> list[array[float]]:
        found = await self._answering.embed(
            EmbeddingRequest(self._name(), tuple(texts), truncate=True), Asking("safety")
        )
        vectors = [array("f", vector) for vector in found.vectors]
        if sys.byteorder == "big":
            for vector in vectors:
                vector.byteswap()
        return vectors

    def _name(self) -> str:
        here = [str(model.name) for model in self._library.all() if model.facts.kind == "embedding"]
        chosen = self._roles.roles()["embed"]
        return chosen if chosen in here else here[0] if len(here) == 1 else ""


class Judged:
    """A reranker as searching asks it: the first that is installed."""

    def __init__(self, answering: Answering, library: Library) -> None:
        self._answering = answering
        self._library = library

    async def __call__(self, question: str, texts: Sequence[str]) -> Sequence[float] | None:
        name = next((str(model.name) for model in self._library.all() if model.facts.kind == "rerank"), None)
        if name is None:
            return None
        return (await self._answering.rerank(RerankRequest(name, question, tuple(texts)), Asking("knowledge"))).scores


class Completed:
    """A model as the critic asks it: one answer in JSON, drawn without chance."""

    def __init__(self, answering: Answering, model: Callable[[], str]) -> None:
        self._answering = answering
        self._model = model

    @property
    def name(self) -> str:
        return self._model()

    async def __call__(self, system: str, text: str, schema: Mapping[str, Any]) -> str:
        messages = Message("system", system), Message("user", text)
        form = Form("json_schema", dict(schema))
        request = ChatRequest(self._model(), messages, Sampling(temperature=0, max_tokens=CRITIC_TOKENS), form=form)
        async with self._answering.open(request, Asking("safety")) as answer:
            return "".join([event.text async for event in answer.events() if isinstance(event, TextDelta)])


class Levers:
    """What the governor moves. Threads, batch and context count from a model's next load on."""

    def __init__(self, keeper: Keeper, gpus: GpuLimits, may_limit: bool) -> None:
        self._keeper = keeper
        self._may_limit = may_limit
        self.gpus = gpus
        self.threads = 1.0
        self.context = 1.0
        self.batch_size = 0

    def context_of(self, tokens: int) -> int:
        """A context window as it is to be now."""
        return tokens if self.context >= 1 else max(min(tokens, SMALLEST_CONTEXT), int(tokens * self.context))

    def batches(self, batch: int, logical: int) -> tuple[int, int]:
        """The batches of a load, as tuned, but no larger than the governor allows."""
        if self.batch_size and self.batch_size < (batch or USUAL_BATCH):
            return self.batch_size, 0
        return batch, logical

    def set_threads(self, share: float) -> None:
        self.threads = share

    def set_batch(self, share: float) -> None:
        self.batch_size = 0 if share >= 1 else int(USUAL_BATCH * share)

    def set_context(self, share: float) -> None:
        self.context = share

    async def set_gpu_power(self, share: float) -> None:
        if self._may_limit:
            await asyncio.to_thread(self.gpus.lower, share)

    async def unload_idle(self, reason: str) -> None:
        await self._keeper.let_idle_go(reason)


def regulator(settings: Settings, levers: Levers, needed: Callable[[], bool]) -> Regulator:
    bounds = Bounds(float(settings.ceiling_c or math.inf), settings.floor_mib * 2**20)
    return Regulator(Live(), Governor(bounds), levers, float(settings.governor_seconds or 1), needed)


def restart_hook(command: str, paths: Paths) -> Hook | None:
    try:
        return Hook(command, paths.hook_log) if command.strip() else None
    except ValueError as problem:
        raise BadSetting(f"'restart_hook' is no command: {problem}.", param="restart_hook") from None


def identity(model: Model) -> list[str]:
    """What tells a model's files from all others."""
    return list(model.digests) or [f"{homefire.__version__}:{model.name}:{model.size_bytes}"]


def user_folder(paths: Paths) -> Path:
    """Where other programs of this user keep what is theirs."""
    try:
        return Path.home()
    except RuntimeError:  # a system's account without one
        return paths.home


@functools.cache
def engine_build() -> str:
    """Names the build that runs models here. What was measured with another says nothing of this one."""
    try:
        return f"xllamacpp {importlib.metadata.version('xllamacpp')}"
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def machine_with_gpus() -> Machine:
    return detect(with_gpus=True)


def first_line(value: dict[str, Any]) -> None:
    """Tells whoever started the daemon, then lets go of its pipe: writing to it later could block or fail."""
    with contextlib.suppress(OSError):
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
