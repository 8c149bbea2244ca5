"""Who makes vectors for this house's own use: an embedding model in llama.cpp, or its ONNX graph, whichever is faster here.

    wanted -> measured in the background, once for a file, a processor and a build of both engines
           -> NAME~graph, an engine beside the model's own, which the keeper admits and owns like any other
           -> or NAME, if the graph cannot be made, is not faster, or makes other vectors

What a person asks for by the model's name is always the model's own file: a vector that somebody stored stays comparable.
Promises: the choice is kept beside the graph with its figures; both can be deleted and are made anew; nothing here waits for a
measurement.
Does not cover: the graph (`engines/onnx_graph.py`), batches and when they are sent (`knowledge/`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import importlib.metadata
import json
import logging
import math
import re
import statistics
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from homefire.daemon.far_embedder import FarEmbedder
from homefire.daemon.handed import identity
from homefire.engines.builds import processor_mark
from homefire.engines.engine import Engine
from homefire.errors import HomefireError, PackageMissing, UnknownModel, UnsupportedModel
from homefire.hardware import detect
from homefire.knowledge.meaning import Provider
from homefire.messages import EmbeddingRequest
from homefire.models import task
from homefire.models.gguf import read_header
from homefire.models.installed import Model
from homefire.models.library import Library, Roles
from homefire.models.quality_child import TEXTS
from homefire.paths import make_private_folder
from homefire.residency import Keeper

log = logging.getLogger("homefire.embedders")
GRAPH = "~graph"
KEY = "knowledge"
LEAST_GAIN, LEAST_COSINE, ROUNDS = 1.2, 0.97, 5
# With these the products of int8 are summed in 32 bits at once; without, in 16, which 8 bits overflow.
VNNI = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})
# Families by their model cards, in the model's name -> the words before a question, and before a text. bge-m3 wants none.
PREFIXES = (
    (re.compile(r"\bbge-(small|base|large)-en"), "Represent this sentence for searching relevant passages: ", ""),
    (re.compile(r"\be5-(small|base|large)"), "query: ", "passage: "),
    (re.compile(r"\bnomic-embed-text"), "search_query: ", "search_document: "),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`engine`: "onnx" or "llama.cpp"; texts a second of both, and the mean cosine of their vectors (0: not measured); `why` in
    words."""

    engine: str
    why: str
    onnx: float = 0.0
    llamacpp: float = 0.0
    cosine: float = 0.0


class Embedders:
    """An `Embed` for knowledge. One event loop owns it. `folder` keeps graphs and verdicts; `build` names the build of
    llama.cpp; `walls`: whether the child that makes a graph runs behind them; `far`: a model elsewhere that a person prefers."""

    def __init__(
        self,
        keeper: Keeper,
        library: Library,
        roles: Roles,
        folder: Path,
        *,
        build: Callable[[], str],
        walls: Callable[[], bool],
        far: FarEmbedder | None = None,
    ) -> None:
        self._far = far
        self._keeper, self._library, self._roles = keeper, library, roles
        self._folder, self._build, self._walls = folder, build, walls
        self._measuring: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, Verdict] = {}
        self._widths: dict[str, int] = {}
        self._known: dict[Path, Verdict] = {}
        self.settled_one: Callable[[], None] = lambda: None  # told when a model can be asked that could not before

    def graph(self, name: str) -> Path | None:
        """The graph that an engine of this name runs; None if it runs the model's own file. Raises UnknownModel."""
        if not name.endswith(GRAPH):
            return None
        file = self._file(self._library.get(name.removesuffix(GRAPH)), "onnx")
        if not file.is_file():
            raise UnknownModel(f"'{name}' is not here: its graph has not been made.", param="model")
        return file

    def verdict(self, model: Model) -> Verdict | None:
        """What was measured; None: not yet."""
        file = self._file(model, "json")
        if file not in self._known:
            try:
                self._known[file] = Verdict(**json.loads(file.read_text("utf-8")))
            except (OSError, ValueError, TypeError):
                return None
        return self._known[file]

    async def providers(self) -> Sequence[Provider]:
        """As `Embed.providers`. A model that was not measured yet is measured now, and is none until that is done: what it would
        make before might have to be made again."""
        found: list[Provider] = [] if self._far is None else await self._far.providers()
        for model in self._models():
            verdict = self._failed.get(model.name) or self.verdict(model)
            if verdict is None:
                self._measure_beside(model)
                continue
            if not (width := await self._width(model)):
                continue
            names = [model.name + GRAPH] if self._has_graph(model, verdict) else []
            found += [Provider(self._tag(model, name), name, width) for name in (*names, model.name)]
        return found

    async def vectors(self, tag: str, texts: Sequence[str], urgent: bool) -> Sequence[bytes]:
        """As `Embed.vectors`. Raises UnknownModel for a tag that no model here has, and what `Keeper.ensure` raises."""
        if self._far is not None and any(each.tag == tag for each in await self._far.providers()):
            return await self._far.vectors(texts, urgent)
        names = ((name, model) for model in self._models() for name in (model.name + GRAPH, model.name))
        name = next((name for name, model in names if self._tag(model, name) == tag), None)
        if name is None:
            raise UnknownModel(
                "The embedding model is not here any more.", "Get it again, or choose another for the role embed."
            )
        before = prefixes(name)[0 if urgent else 1]
        given = tuple(before + text for text in texts)
        async with await self._keeper.ensure(name, key="" if urgent else KEY, cost=len(texts)) as lease:
            return (await lease.engine.embed(EmbeddingRequest(name, given, truncate=True))).vectors

    async def settled(self) -> None:
        """Returns when nothing is being measured."""
        while self._measuring:
            await asyncio.wait(tuple(self._measuring.values()))

    async def close(self) -> None:
        """Ends what is being measured."""
        for each in (tasks := tuple(self._measuring.values())):
            each.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _width(self, model: Model) -> int:
        """Numbers in a vector of the model; 0 if its file is gone or says nothing of it."""
        known = " ".join(identity(model))
        if known not in self._widths:
            try:
                self._widths[known] = await asyncio.to_thread(width_of, model.path)
            except HomefireError as problem:
                log.warning("'%s' makes no vectors: %s", model.name, problem.message)
                return 0
        return self._widths[known]

    def _models(self) -> list[Model]:
        """The embedding models here, first the one with the role embed."""
        here = [model for model in self._library.all() if model.facts.kind == "embedding"]
        chosen = self._roles.roles()["embed"]
        return sorted(here, key=lambda model: model.name != chosen)

    def _file(self, model: Model, ending: str) -> Path:
        words = " ".join([*identity(model), self._build(), *_here()])
        return self._folder / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.{ending}"

    def _has_graph(self, model: Model, verdict: Verdict) -> bool:
        return verdict.engine == "onnx" and self._file(model, "onnx").is_file()

    def _tag(self, model: Model, name: str) -> str:
        how = f"graph {_bits()}" if name.endswith(GRAPH) else "own"
        words = [*identity(model), how, *filter(None, prefixes(name))]
        return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]

    def _measure_beside(self, model: Model) -> None:
        if model.name not in self._measuring:
            work = asyncio.ensure_future(self._measure(model))
            self._measuring[model.name] = work
            work.add_done_callback(lambda _: self._measured(str(model.name)))

    def _measured(self, name: str) -> None:
        self._measuring.pop(name, None)
        self.settled_one()

    async def _measure(self, model: Model) -> None:
        try:
            make_private_folder(self._folder)
            found = await self._compare(model)
        except (PackageMissing, UnsupportedModel) as problem:
            found = Verdict("llama.cpp", problem.message)
        except HomefireError as problem:  # no memory, no disk: another daemon may have more luck
            found = self._failed[model.name] = Verdict("llama.cpp", problem.message)
        log.info("'%s' makes vectors in %s: %s", model.name, found.engine, found.why)
        if found.engine != "onnx":
            await self._keeper.unload(model.name + GRAPH)
            self._file(model, "onnx").unlink(missing_ok=True)
        if model.name in self._failed:
            return
        with contextlib.suppress(OSError):  # measured once more then
            part = self._file(model, "json").with_suffix(".new")
            part.write_text(json.dumps(asdict(found)), "utf-8")
            part.replace(self._file(model, "json"))

    async def _compare(self, model: Model) -> Verdict:
        """Makes the graph and runs both. Raises PackageMissing, UnsupportedModel and what loading raises."""
        target, walls = self._file(model, "onnx"), (model.path,) if self._walls() else None
        arguments = {"source": str(model.path), "bits": _bits()}
        await task.run("homefire.daemon.graph_child", arguments, target, readable=walls)
        texts = [each for text in TEXTS for each in re.split(r"(?<=[.!?])\s+", text)]
        async with (
            await self._keeper.ensure(model.name, key=KEY) as own,
            await self._keeper.ensure(model.name + GRAPH, key=KEY) as graph,
        ):
            slow, fast, cosine = await compare(own.engine, graph.engine, texts)
        said = f"{fast:,.0f} texts a second as a graph, {slow:,.0f} in llama.cpp, mean cosine {cosine:.4f}"
        better = fast >= LEAST_GAIN * slow and cosine >= LEAST_COSINE
        return Verdict("onnx" if better else "llama.cpp", said, round(fast), round(slow), round(cosine, 4))


def prefixes(name: str) -> tuple[str, str]:
    """What a model of this name was trained to see before a question, and before a text that answers one."""
    return next(((question, text) for family, question, text in PREFIXES if family.search(name.lower())), ("", ""))


async def compare(own: Engine, graph: Engine, texts: Sequence[str]) -> tuple[float, float, float]:
    """Texts a second of both, medians of rounds in turn, and the mean cosine of their vectors."""
    seconds: dict[str, list[float]] = {"own": [], "graph": []}
    vectors: dict[str, Sequence[bytes]] = {}
    for _ in range(ROUNDS):
        for name, engine in (("own", own), ("graph", graph)):
            start = time.perf_counter()
            vectors[name] = (await engine.embed(EmbeddingRequest(engine.name, tuple(texts), truncate=True))).vectors
            seconds[name].append(time.perf_counter() - start)
    cosines = [_product(one, other) for one, other in zip(vectors["own"], vectors["graph"], strict=True)]
    slow, fast = (len(texts) / statistics.median(seconds[name]) for name in ("own", "graph"))
    return slow, fast, math.fsum(cosines) / len(cosines)


def _product(one: bytes, other: bytes) -> float:
    form = f"<{len(one) // 4}f"
    return math.fsum(a * b for a, b in zip(struct.unpack(form, one), struct.unpack(form, other), strict=True))


@functools.cache
def _here() -> tuple[str, str]:
    """What a measurement depends on beside the model and llama.cpp: ONNX Runtime and the processor."""
    try:
        return importlib.metadata.version("onnxruntime"), processor_mark()
    except importlib.metadata.PackageNotFoundError:
        return "none", processor_mark()


@functools.cache
def _bits() -> int:
    return 8 if VNNI & {*detect().instructions} else 7


def width_of(path: Path) -> int:
    """Numbers in a vector, as the model's file says. Raises BadModelFile, InvalidRequest."""
    header = read_header(path)
    return int(header.keys.get(f"{header.architecture}.embedding_length", 0))
