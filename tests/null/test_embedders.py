"""Who makes vectors for the house's own use: what is offered before, during and after a measurement, and under which tags.

Promises: nothing is offered before it is known who is faster; a measurement that fails leaves the model's own file, one that
cannot be made here is remembered, one that merely failed is tried again by the next daemon; two engines have two tags.
Does not cover: making and running a graph (`tests/contract/test_engine.py`, `tests/process/test_embedder_graph.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from homefire.daemon import embedders as module
from homefire.daemon.embedders import GRAPH, Embedders, Verdict
from homefire.engines.null import Null
from homefire.errors import DoesNotFit, PackageMissing, UnknownModel
from homefire.messages import EmbeddingRequest
from tests.null.gguf_file import DATA, TENSORS, gguf, string_key, u32_key


@dataclass
class Keeper:
    """Null engines, all ready."""

    asked: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    started: dict[str, Null] = field(default_factory=dict)

    async def ensure(self, name: str, *, key: str = "", cost: int = 1) -> Any:
        self.asked.append(name)
        if name not in self.started:
            self.started[name] = Null(name, kind="embedding")
            await self.started[name].start()
        engine = self.started[name]

        @asynccontextmanager
        async def lease() -> Any:
            yield SimpleNamespace(engine=engine)

        return lease()

    async def unload(self, name: str) -> bool:
        self.left.append(name)
        return True


def model(file: Path, name: str, digest: str) -> Any:
    return SimpleNamespace(name=name, path=file, digests=(digest,), facts=SimpleNamespace(kind="embedding"))


def make(folder: Path, names: tuple[str, ...] = ("small", "other"), chosen: str = "small") -> tuple[Embedders, Keeper]:
    file = folder / "bert.gguf"
    file.write_bytes(
        gguf([string_key("general.architecture", "bert"), u32_key("bert.embedding_length", 384)], TENSORS, DATA)
    )
    models = [model(file, name, name * 8) for name in names]
    library: Any = SimpleNamespace(all=lambda: models, get=lambda name: next(m for m in models if m.name == name))
    roles: Any = SimpleNamespace(roles=lambda: {"embed": chosen})
    keeper: Any = Keeper()
    return Embedders(keeper, library, roles, folder / "graphs", build=lambda: "b", walls=lambda: False), keeper


def measured(monkeypatch: pytest.MonkeyPatch, verdict: Verdict | Exception) -> None:
    """The measurement comes to this."""

    async def compare(self: Embedders, which: Any) -> Verdict:
        if isinstance(verdict, Exception):
            raise verdict
        self._file(which, "onnx").write_bytes(b"graph")
        return verdict

    monkeypatch.setattr(Embedders, "_compare", compare)


async def offered(one: Embedders) -> list[str]:
    assert await one.providers() == []
    await one.settled()
    found = await one.providers()
    assert len({each.tag for each in found}) == len(found) and all(each.width == 384 for each in found)
    return [each.name for each in found]


def test_the_faster_one_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        measured(monkeypatch, Verdict("onnx", "faster", 1000, 200, 0.99))
        one, keeper = make(tmp_path, chosen="other")
        assert await offered(one) == ["other" + GRAPH, "other", "small" + GRAPH, "small"], "the role's model first"
        first, own, *_ = await one.providers()
        assert len(await one.vectors(first.tag, ["a", "b"], urgent=False)) == 2
        await one.vectors(own.tag, ["a"], urgent=True)
        assert keeper.asked == ["other" + GRAPH, "other"]
        again, _ = make(tmp_path, chosen="other")
        assert await again.providers() == await one.providers(), "it is measured once, whatever daemon asks"
        assert one.graph("small") is None and one.graph("small" + GRAPH) is not None

    asyncio.run(scenario())


def test_a_slower_graph_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        measured(monkeypatch, Verdict("llama.cpp", "slower", 100, 200, 0.99))
        one, keeper = make(tmp_path, ("small",))
        assert await offered(one) == ["small"] and keeper.left == ["small" + GRAPH]
        assert list((tmp_path / "graphs").glob("*.onnx")) == []
        with pytest.raises(UnknownModel):
            one.graph("small" + GRAPH)

    asyncio.run(scenario())


@pytest.mark.parametrize(("problem", "kept"), [(PackageMissing("no onnx"), 1), (DoesNotFit("no memory"), 0)])
def test_a_failed_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception, kept: int) -> None:
    async def scenario() -> None:
        measured(monkeypatch, problem)
        one, _ = make(tmp_path, ("small",))
        assert await offered(one) == ["small"]
        assert len(list((tmp_path / "graphs").glob("*.json"))) == kept

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "spoil", [lambda file: file.write_text("{"), lambda file: file.write_text('{"engine": 1, "x": 2}')]
)
def test_a_spoilt_verdict_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], Any]
) -> None:
    async def scenario() -> None:
        measured(monkeypatch, Verdict("onnx", "faster"))
        one, _ = make(tmp_path, ("small",))
        await offered(one)
        (file,) = (tmp_path / "graphs").glob("*.json")
        assert json.loads(file.read_text()) == asdict(Verdict("onnx", "faster"))
        spoil(file)
        again, _ = make(tmp_path, ("small",))
        assert await offered(again) == ["small" + GRAPH, "small"]

    asyncio.run(scenario())


def test_a_file_that_is_gone_makes_no_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        measured(monkeypatch, Verdict("onnx", "faster"))
        one, _ = make(tmp_path, ("small",))
        (tmp_path / "bert.gguf").unlink()
        assert await offered(one) == []

    asyncio.run(scenario())


def test_no_model_and_no_tag(tmp_path: Path) -> None:
    async def scenario() -> None:
        one, _ = make(tmp_path, ())
        assert await one.providers() == []
        with pytest.raises(UnknownModel):
            await one.vectors("0123456789abcdef", ["a"], urgent=True)

    asyncio.run(scenario())


@pytest.mark.parametrize(("other", "better"), [(False, True), (True, False)])
def test_the_comparison(tmp_path: Path, other: bool, better: bool) -> None:
    """Two engines that make the same vectors have a cosine of one; vectors of other texts have not."""

    class Wrong(Null):
        async def embed(self, request: Any) -> Any:
            return await super().embed(EmbeddingRequest("x", tuple(f"other {n}" for n, _ in enumerate(request.inputs))))

    async def scenario() -> None:
        own, graph = Null("own", kind="embedding"), (Wrong if other else Null)("graph", kind="embedding")
        await own.start()
        await graph.start()
        slow, fast, cosine = await module.compare(own, graph, ["one text", "two texts here", "and a third"])
        assert slow > 0 and fast > 0
        assert (cosine >= module.LEAST_COSINE) is better

    asyncio.run(scenario())


def test_a_family_hears_the_words_it_was_trained_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[Any, ...]] = []
    embed = Null.embed

    async def listening(self: Null, request: Any) -> Any:
        heard.append(request.inputs)
        return await embed(self, request)

    monkeypatch.setattr(Null, "embed", listening)

    async def scenario() -> None:
        measured(monkeypatch, Verdict("llama.cpp", "slower"))
        one, _ = make(tmp_path, ("bge-small-en-v1.5", "e5-small-v2", "all-minilm-l6-v2"), chosen="")
        await one.providers()
        await one.settled()
        for provider in await one.providers():
            await one.vectors(provider.tag, ["why"], urgent=True)
            await one.vectors(provider.tag, ["so"], urgent=False)

    asyncio.run(scenario())
    long = "Represent this sentence for searching relevant passages: why"
    assert heard == [(long,), ("so",), ("query: why",), ("passage: so",), ("why",), ("so",)]
