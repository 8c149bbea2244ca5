"""Fit against llama.cpp: its dry run over files of true dimensions, and small models that are really loaded.

Promises: caches and states agree with the engine's to a hundredth of a MiB, the total within 3 % or 150 MiB, over all
architectures whose row says `known`; a real load takes what the dry run said; a model that the engine refuses is an error.
Does not cover: GPUs (no engine with one here).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bench.sparse_models import MODELS, Key, Shape, write
from homefire.errors import EngineFailed, InvalidRequest
from homefire.models.dry_run import Measured, dry_run, measured
from homefire.models.fit import MIB, Load, parts_of
from homefire.models.fit_layers import FAMILIES, anatomy
from homefire.models.gguf import read_header
from homefire.models.library import PILOT_FILE

LOADS = (
    Load(4096), Load(32_768, 4), Load(4096, 4, False, "Q8_0", "Q8_0"), Load(5000, 3, False), Load(300, 1, True, "Q4_0", "F16"),
    Load(131_072, 1), Load(16_384, 2, micro_batch=1024),
)  # fmt: skip
# llama.cpp's own limit of nodes: it aborts on this model's quantized cache in separate streams.
ABORTS = {("phi-4", LOADS[2])}


def refused(path: Path, load: Load) -> bool:
    """Whether `fit` refuses the load too."""
    try:
        parts_of(anatomy([read_header(path)]), load)
    except InvalidRequest:
        return True
    return False


def compare(path: Path, load: Load, truth: Measured) -> None:
    parts = {part.name: part.host for part in parts_of(anatomy([read_header(path)]), load)}
    assert abs(parts["kv_cache"] - truth.kv_cache) < 0.02 * MIB
    assert abs(parts["states"] - truth.states) < 0.02 * MIB
    assert abs(parts["output"] - truth.output) < 0.02 * MIB or not truth.kv_cache
    assert -0.01 * MIB <= parts["weights"] - truth.weights < MIB, "the dry run tells whole MiB"
    width = 4 * min(load.micro_batch, load.context) * anatomy([read_header(path)]).width
    spare = 1.1 if load.flash_attention else 3  # hidden states that the allocator may keep more
    assert abs(parts["compute"] - truth.compute) < spare * width + MIB
    error = abs(sum(parts.values()) - truth.total)
    assert error <= max(0.03 * truth.total, 16 * MIB), f"{error / MIB:.1f} MiB of {truth.total / MIB:.0f}"


@pytest.mark.parametrize("name", MODELS)
def test_the_dry_run_agrees(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", MODELS[name])
    assert path.stat().st_blocks * 512 < 1 << 20, "a hole takes no disk"
    for load, truth in zip(LOADS, dry_run(path, LOADS), strict=True):
        if truth is None:
            assert (name, load) in ABORTS or refused(path, load)
            continue
        compare(path, load, truth)


def test_every_row_that_says_known_is_compared() -> None:
    assert {shape.architecture for shape in MODELS.values()} >= {name for name, row in FAMILIES.items() if row.known}


# Vocabularies so small that what lives inside a layer decides the compute buffer, not the logits.
SMALL: dict[str, dict[str, Key]] = {
    "llama-3.1-8b": {"block_count": 3, "embedding_length": 512, "feed_forward_length": 1536, "vocab_size": 1000,
                     "attention.head_count": 8, "attention.head_count_kv": 2},
    "qwen3-30b-a3b": {"block_count": 2, "embedding_length": 512, "expert_count": 16, "expert_used_count": 8, "vocab_size": 1000,
                      "expert_feed_forward_length": 256},
    "gemma-3-4b": {"block_count": 7, "embedding_length": 512, "feed_forward_length": 2048, "vocab_size": 1000},
    "phi-3-mini": {"block_count": 2, "embedding_length": 768, "feed_forward_length": 3072, "vocab_size": 1000,
                   "attention.head_count": 8, "attention.head_count_kv": 8},
    "deepseek-v2-lite": {"block_count": 27, "embedding_length": 256, "feed_forward_length": 512, "expert_count": 8,
                         "expert_feed_forward_length": 256, "vocab_size": 1000},
    "mamba-2.8b": {"block_count": 4, "embedding_length": 512, "ssm.inner_size": 1024, "vocab_size": 1000},
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_a_small_model_really_loaded(name: str, tmp_path: Path) -> None:
    shape = MODELS[name]
    keys = {**shape.keys, **SMALL[name]}
    if "rope_freqs" in {row[0].split(".")[0] for row in shape.tensors(keys)}:
        keys["rope.dimension_count"] = 128
        keys["attention.key_length"] = keys["attention.value_length"] = 128
    path = write(tmp_path / "small.gguf", Shape(shape.architecture, keys, shape.tensors))
    assert path.stat().st_size < 300 * MIB
    loads = (Load(4096), Load(2048, 2, False, "Q8_0", "Q8_0"))
    for load, dry, real in zip(loads, dry_run(path, loads), dry_run(path, loads, really=True), strict=True):
        assert dry is not None and real is not None
        compare(path, load, replace(real, weights=dry.weights))
        assert abs(real.weights - dry.weights) < 2 * MIB
        assert (real.kv_cache, real.states, real.compute) == (dry.kv_cache, dry.states, dry.compute)


def test_the_built_in_model_really_loaded() -> None:
    for load in (Load(4096), Load(8192, 4)):
        real = dry_run(PILOT_FILE, [load], really=True)[0]
        assert real is not None
        parts = {part.name: part.host for part in parts_of(anatomy([read_header(PILOT_FILE)]), load)}
        assert abs(sum(parts.values()) - real.total) < 4 * MIB


def test_without_flash_attention_the_scores_are_there(tmp_path: Path) -> None:
    loads = [Load(context, flash_attention=False) for context in (4096, 32_768)]
    for name in ("llama-3.1-8b", "gemma-3-4b"):
        path = write(tmp_path / "x.gguf", MODELS[name])
        for load, truth in zip(loads, dry_run(path, loads), strict=True):
            assert truth is not None
            compare(path, load, truth)


def test_what_the_engine_cannot_read_is_an_error(tmp_path: Path) -> None:
    novel = write(tmp_path / "x.gguf", replace(MODELS["tinyllama-1.1b"], architecture="novel"))
    with pytest.raises(EngineFailed, match="cannot read"):
        dry_run(novel, [Load()])
    with pytest.raises(EngineFailed, match="cannot read"):
        dry_run(tmp_path / "missing.gguf", [Load(), Load(8192)])


def test_an_engine_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", MODELS["tinyllama-1.1b"])
    with pytest.raises(EngineFailed, match="longer than 0 s"):
        dry_run(path, [Load()], seconds=0.01)


def test_another_layout_of_parameters_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A build without the library, as a layout that does not match, ends in a refusal, not a crash."""
    (tmp_path / "xllamacpp").mkdir()
    (tmp_path / "xllamacpp" / "__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path.cwd()}")
    with pytest.raises(EngineFailed, match="shared library was not found"):
        dry_run(PILOT_FILE, [Load()])


def test_a_log_without_figures_is_no_answer() -> None:
    with pytest.raises(ValueError, match="no figures"):
        measured("nothing", "")
    found = measured("x: size = 80.00 MiB (4096 cells, 5 layers, 1/1 seqs), K (f16): 40.00 MiB\n"
                     "x: compute buffer size = 12.50 MiB\n output buffer size = 1.00 MiB", "Host 100 80 12 ")  # fmt: skip
    assert found == Measured(100 * MIB, 80 * MIB, 0, 12 * MIB + MIB // 2, MIB)
