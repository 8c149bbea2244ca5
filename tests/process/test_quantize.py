"""Quantization by the engine's kernels in a child process: the bytes, the engine's answers, and what a failure leaves.

Promises: every recipe's file loads and says nearly what the F16 file says, one thread and two give the same bytes, provenance
stands in the header, and a child that dies in any way gives one error and leaves no file.
Does not cover: which tensor gets which type (`tests/null/test_convert.py`), speed (`bench quantize`).
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import struct
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import BadModelFile, EngineError, HomefireError, InvalidRequest, MachineError, TaskDied
from homefire.hardware import detect
from homefire.models import quality, quantize_child
from homefire.models.convert import convert
from homefire.models.gguf import read_header
from homefire.models.gguf_source import GgufSource
from homefire.models.gguf_writer import Tensor, text, u32, write
from homefire.models.quantize import RECIPES, preview, quantize
from homefire.models.task import run
from tests.chaos.test_sandbox_probes import pytestmark as needs_walls
from tests.conftest import command_lines
from tests.null import safetensors_folder as tiny
from tests.process.loaded import ROOT, loaded

NEEDS_WALLS = needs_walls  # what they need, as marks
SIZE = tiny.Size(width=256, layers=2, heads=4, key_heads=2, head=64, hidden=256)
PROMPTS = [[104, 260, 30], [271, 199, 44, 45], [7, 7, 8, 9, 10], [100, 200, 33]]
# The divergence in nats that each recipe may cause in this model (random weights suffer more than learned ones).
LOSS = {
    "Q8_0": 0.0005,
    "Q6_K": 0.003,
    "Q5_K_M": 0.01,
    "Q4_K_M": 0.05,
    "Q4_0": 0.06,
    "IQ4_XS": 0.05,
    "TQ1_0": 1,
    "TQ2_0": 1,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama whose rows divide into blocks of 256, in F16."""
    folder = tmp_path_factory.mktemp("quantize")
    weights = tiny.decoder_weights("LlamaForCausalLM", SIZE, 0.1)
    config = tiny.decoder_config("LlamaForCausalLM", SIZE)
    asyncio.run(
        convert(tiny.write_folder(folder / "m", config, tiny.bpe("qwen2"), weights, "F16"), folder / "f16.gguf")
    )
    return folder / "f16.gguf"


@pytest.fixture(scope="module")
def predictions(source: Path) -> list[dict[int, float]]:
    """What the F16 file says."""
    with loaded(source) as engine:
        return [engine.next(prompt) for prompt in PROMPTS]


def test_every_recipe_has_its_bound() -> None:
    assert set(LOSS) == set(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe(recipe: str, source: Path, predictions: list[dict[int, float]], tmp_path: Path) -> None:
    one, two = tmp_path / "one.gguf", tmp_path / "two.gguf"
    steps: list[tuple[int, int]] = []
    result = asyncio.run(quantize(source, one, recipe.lower(), threads=1, progress=lambda *step: steps.append(step)))
    asyncio.run(quantize(source, two, recipe, threads=2, source_sha256=result.source_sha256))
    assert one.read_bytes() == two.read_bytes()
    assert result.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    expected = preview(source, recipe)
    assert result.types == expected.types
    assert 0 <= result.size - expected.size <= 512 and result.size == one.stat().st_size
    assert steps == sorted(steps) and steps[-1][0] == steps[-1][1]
    keys = read_header(one).keys
    assert (keys["homefire.recipe"], keys["homefire.source_sha256"]) == (recipe, result.source_sha256)
    assert keys["general.file_type"] == RECIPES[recipe].file_type
    assert keys["homefire.origin_sha256"] == read_header(source).keys["homefire.source_sha256"]
    assert "xllamacpp" in keys["homefire.tool"]
    with loaded(one) as engine:
        after = [engine.next(prompt) for prompt in PROMPTS]
    measured = quality.agreement(predictions, after)
    assert measured.divergence < LOSS[recipe], measured
    assert measured.same >= (1 if recipe == "Q8_0" else 0.5 if LOSS[recipe] < 1 else 0), measured


def test_what_was_lost_is_measured(source: Path, tmp_path: Path) -> None:
    told: list[int] = []

    async def loss(recipe: str) -> dict[str, Any]:
        await quantize(source, tmp_path / recipe, recipe)
        return await quality.compare(source, tmp_path / recipe, "chat", lambda done, total: told.append(done))

    async def work() -> tuple[dict[str, Any], ...]:
        return await quality.compare(source, source, "chat", ignore), await loss("Q8_0"), await loss("Q4_0")

    none, little, more = asyncio.run(work())
    assert none["perplexity"]["before"] == none["perplexity"]["after"] and none["same_token_pct"] == 100
    assert none["tokens"] > 400 and told == sorted(told[:24]) * 2
    rise = [abs(one["perplexity"]["after"] / one["perplexity"]["before"] - 1) for one in (little, more)]
    assert 0 < rise[0] < 0.05 and little["same_token_pct"] > 95
    assert more["same_token_pct"] < little["same_token_pct"]


def test_a_file_that_the_memory_does_not_hold_is_not_measured(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = replace(detect(), memory_available_bytes=1000)
    monkeypatch.setattr(quality, "detect", lambda: machine)
    assert "memory" in asyncio.run(quality.compare(source, source, "chat", ignore))["skipped"]


def ignore(done: int, total: int) -> None:
    """No progress is wanted."""


def test_the_cut_into_pieces_changes_nothing(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(quantize(source, tmp_path / "whole", "Q4_K_M", threads=1))
    monkeypatch.setattr(quantize_child, "PIECE", 1024)
    told: list[int] = []
    arguments = {"source": source, "recipe": "Q4_K_M", "sha256": None, "threads": 3, "target": tmp_path / "cut",
                 "beside": tmp_path / "beside"}  # fmt: skip
    quantize_child.work(arguments, lambda done, total: told.append(done))
    assert (tmp_path / "cut").read_bytes() == (tmp_path / "whole").read_bytes()
    assert len(told) > 500, "the test did not cut"


def test_q8_0_is_what_its_definition_says(source: Path, tmp_path: Path) -> None:
    """A block of 32: the largest size / 127 in F16, then each value divided by it and rounded (ggml-quants.c)."""
    asyncio.run(quantize(source, tmp_path / "q8", "Q8_0"))
    with GgufSource(source) as before, GgufSource(tmp_path / "q8") as after:
        old = next(each for each in before.tensors if each.tensor.name == "blk.1.ffn_up.weight")
        new = next(each for each in after.tensors if each.tensor.name == "blk.1.ffn_up.weight")
        values = struct.unpack("<512e", before.read(old.offset, 1024))
        blocks = after.read(new.offset, 34 * 16)
    for number in range(16):
        block = values[32 * number : 32 * number + 32]
        scale = max(map(abs, block)) / 127
        stored, *quants = struct.unpack_from("<e32b", blocks, 34 * number)
        assert stored == struct.unpack("<e", struct.pack("<e", scale))[0]
        assert all(abs(q - value / scale) <= 0.5001 for q, value in zip(quants, block, strict=True))


def plain(path: Path, kind: str = "F32", value: float = 0.5, keys: dict[str, bytes] | None = None) -> Path:
    """A file with one matrix of 256 x 2."""
    row = struct.pack("<256f", *[value] * 256) if kind == "F32" else bytes(272)
    known = {"general.architecture": text("llama"), "llama.block_count": u32(1)}
    write(path, known | (keys or {}), [Tensor("blk.0.ffn_up.weight", (256, 2), kind)], lambda tensor: [row, row])
    return path


REFUSED: dict[str, tuple[Any, str, type[HomefireError], str]] = {
    "an unknown recipe": (plain, "Q3_XXL", InvalidRequest, "Q3_XXL"),
    "infinities": (lambda path: plain(path, value=math.inf), "Q8_0", BadModelFile, "ffn_up"),
    "not numbers": (lambda path: plain(path, value=math.nan), "Q4_0", BadModelFile, "ffn_up"),
    "beyond a scale": (lambda path: plain(path, value=3e38), "Q8_0", BadModelFile, "ffn_up"),
    "quantized already": (lambda path: plain(path, "Q8_0"), "Q4_0", InvalidRequest, "already"),
    "a part": (lambda path: plain(path, keys={"split.count": u32(2)}), "Q8_0", InvalidRequest, "part"),
    "cut short": (lambda path: path.write_bytes(plain(path).read_bytes()[:-64]), "Q8_0", BadModelFile, "truncated"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_without_a_file(name: str, tmp_path: Path) -> None:
    make, recipe, error, why = REFUSED[name]
    (tmp_path / "out").mkdir()
    make(tmp_path / "x.gguf")
    with pytest.raises(error, match=why):
        asyncio.run(quantize(tmp_path / "x.gguf", tmp_path / "out" / "y.gguf", recipe))
    assert list((tmp_path / "out").iterdir()) == []


def test_quantizing_to_what_it_is_already_copies(tmp_path: Path) -> None:
    plain(tmp_path / "x", "Q8_0")
    assert asyncio.run(quantize(tmp_path / "x", tmp_path / "y", "Q8_0")).types == {"Q8_0": 1}


HOW = {"assertion": (TaskDied, "signal 6"), "signal": (TaskDied, "signal 11"), "silence": (TaskDied, "status 0"),
       "memory": (MachineError, "memory")}  # fmt: skip


@pytest.fixture(params=[False, pytest.param(True, marks=NEEDS_WALLS)], ids=["plain", "walls"])
def seen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Path] | None:
    """What a child of the tests' own is shown; None: it runs without walls."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return [ROOT / "tests"] if request.param else None


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("how", HOW)
def test_a_child_that_dies_gives_one_error_and_leaves_no_file(
    how: str, tmp_path: Path, seen: list[Path] | None
) -> None:
    error, why = HOW[how]
    steps: list[tuple[int, int]] = []
    with pytest.raises(error, match=why) as caught:
        asyncio.run(
            run("tests.process.dying_child", {"how": how}, tmp_path / "x", lambda *s: steps.append(s), readable=seen)
        )
    assert steps == [(1, 2)], "it died before it wrote"
    assert list(tmp_path.iterdir()) == []
    if how == "assertion":
        assert "GGML_ASSERT" in caught.value.message and isinstance(caught.value, EngineError)


def test_cancelling_ends_the_child(tmp_path: Path, seen: list[Path] | None) -> None:
    async def story() -> None:
        began = asyncio.Event()
        work = run("tests.process.dying_child", {"how": "sleep"}, tmp_path / "x", lambda *_: began.set(), readable=seen)
        task = asyncio.ensure_future(work)
        await asyncio.wait_for(began.wait(), 20)
        assert len(list(tmp_path.iterdir())) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)

    asyncio.run(story())
    assert list(tmp_path.iterdir()) == []
    assert [line for _, line in command_lines() if str(tmp_path) in line] == []
