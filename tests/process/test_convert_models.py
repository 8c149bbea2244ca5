"""Converted models in the real engine, against forward passes in plain Python.

Promises: for each architecture the engine's probabilities after conversion are those of the reference (so names, rotary order,
norms, biases and keys are right), token ids are the ones worked out by hand, and F16, BF16 and F32 say the same; MiniLM's own
files are not needed.
Does not cover: large models, quantization (`test_quantize.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import BadModelFile, HomefireError, UnsupportedModel
from homefire.models.convert import convert
from homefire.models.gguf import read_header
from tests.null import safetensors_folder as tiny
from tests.process.forward import Model, decode, embed
from tests.process.loaded import Loaded, loaded

SIZE = tiny.Size()
LLAMA3_ROPE = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
# architecture, how words are cut, the type of the source, parts of it, how often its first token is begun
DECODERS = {
    "llama": ("LlamaForCausalLM", "llama-bpe", "BF16", 1),
    "qwen2": ("Qwen2ForCausalLM", "qwen2", "F16", 3),
    "qwen3": ("Qwen3ForCausalLM", "qwen2", "F32", 1),
    "pilot": ("LlamaForCausalLM", "smollm", "F16", 1),
}
IDS = [104, 260, 30, 271, 199, 44]


def made(folder: Path, target: str, kind: str = "F16") -> Path:
    """Converts."""
    asyncio.run(convert(folder, folder.parent / target, kind))
    return folder.parent / target


def closest(found: dict[int, float], reference: list[float]) -> float:
    """The largest difference among the ten likeliest tokens."""
    likely = sorted(range(len(reference)), key=lambda token: -reference[token])[:10]
    return max(abs(found[token] - reference[token]) for token in likely)


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_says_what_its_source_says(name: str, tmp_path: Path) -> None:
    architecture, pre, kind, parts = DECODERS[name]
    weights, config = tiny.decoder_weights(architecture, SIZE), tiny.decoder_config(architecture, SIZE)
    folder = tiny.write_folder(tmp_path / name, config, tiny.bpe(pre, name == "llama"), weights, kind, parts=parts)
    reference = decode(Model(weights, config), IDS)
    for target in ("F16", "BF16", "F32"):
        with loaded(made(folder, f"{target}.gguf", target)) as engine:
            assert closest(engine.next(IDS), reference) < 0.02, target
            if target == "F16":
                check_tokens(engine, pre, name == "llama")


def check_tokens(engine: Loaded, pre: str, begins: bool) -> None:
    """Ids worked out by hand: bytes come first, then the merges in their order, then the special tokens."""
    letters = {letter: place for place, letter in enumerate(tiny.byte_letters())}
    hello, w = 256 + 3, 256 + 4
    assert engine.tokens("hello world") == [hello, w, *(letters[letter] for letter in "orld")]
    twelve = (
        [256 + 5] if pre == "llama-bpe" else [letters["1"], letters["2"]]
    )  # only Llama 3 keeps three digits together
    assert engine.tokens("12") == twelve
    assert engine.tokens("é") == [letters["Ã"], letters["©"]]
    assert engine.tokens("hello<|im_end|><tool_call>") == [hello, 263, 264]
    assert engine.tokens("hello", special=True) == [*([262] if begins else []), hello]


def test_llama_3_scales_its_positions(tmp_path: Path) -> None:
    weights = tiny.decoder_weights("LlamaForCausalLM", SIZE)
    config = tiny.decoder_config("LlamaForCausalLM", SIZE, rope_scaling=LLAMA3_ROPE)
    folder = tiny.write_folder(tmp_path / "m", config, tiny.bpe("llama-bpe"), weights, "F32")
    with loaded(made(folder, "x.gguf", "F32")) as engine:
        scaled = engine.next(IDS * 6)
    assert closest(scaled, decode(Scaled(weights, config), IDS * 6)) < 0.02
    assert closest(scaled, decode(Model(weights, config), IDS * 6)) > 0.02, "the test would not see the scaling"


class Scaled(Model):
    """Llama 3's positions, as transformers' `_compute_llama3_parameters` has them."""

    def turn(self, x: list[float], place: int) -> list[float]:
        half, out = self.head // 2, [0.0] * self.head
        for i in range(half):
            speed = self.config["rope_theta"] ** (-2 * i / self.head)
            wave = 2 * math.pi / speed
            if wave > 64:
                speed /= 8
            elif wave > 64 / 4:
                smooth = (64 / wave - 1) / 3
                speed = (1 - smooth) * speed / 8 + smooth * speed
            cos, sin = math.cos(place * speed), math.sin(place * speed)
            out[i], out[i + half] = x[i] * cos - x[i + half] * sin, x[i + half] * cos + x[i] * sin
        return out


def test_a_bert_embeds_as_its_source_does(tmp_path: Path) -> None:
    weights, config = tiny.bert_weights(SIZE), tiny.bert_config(SIZE)
    folder = tiny.write_folder(tmp_path / "m", config, tiny.wordpiece(), weights, "F32")
    with loaded(made(folder, "x.gguf"), embedding=True) as engine:
        for text, inner in (("Hello worlds, unable!", [5, 6, 7, 11, 8, 9, 12]), ("Café", [10]), ("nothing", [1])):
            ids = [2, *inner, 3]
            assert engine.tokens(text, special=True) == ids
            reference = embed(Model(weights, config), ids)
            found = engine.vector(text)
            assert sum(a * b for a, b in zip(found, reference, strict=True)) > 0.9999, text


def test_the_same_folder_gives_the_same_bytes_and_its_provenance(tmp_path: Path) -> None:
    weights = tiny.decoder_weights("LlamaForCausalLM", SIZE)
    config, tokenizer = tiny.decoder_config("LlamaForCausalLM", SIZE), tiny.bpe("qwen2")
    folder = tiny.write_folder(tmp_path / "m", config, tokenizer, weights, "F16")
    turned = tiny.write_folder(
        tmp_path / "turned" / "m", config, tokenizer, dict(reversed(weights.items())), "F16", parts=2
    )
    first = made(folder, "a.gguf").read_bytes()
    assert first == made(folder, "b.gguf").read_bytes()
    other = made(turned, "c.gguf")
    assert len(other.read_bytes()) == len(first), "the order of the source changes nothing but its digest"
    keys = read_header(tmp_path / "a.gguf").keys
    assert keys["homefire.recipe"] == "convert F16"
    assert keys["homefire.source_sha256"] == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert [each.name for each in tmp_path.glob("part-*")] == []


def change(weights: tiny.Weights, name: str, place: int, value: float) -> tiny.Weights:
    """One value changed."""
    shape, values = weights[name]
    return weights | {name: (shape, [*values[:place], value, *values[place + 1 :]])}


WEIGHTS = tiny.decoder_weights("LlamaForCausalLM", tiny.Size(layers=1))
CONFIG = tiny.decoder_config("LlamaForCausalLM", tiny.Size(layers=1))
REFUSED: dict[str, tuple[dict[str, Any], tiny.Weights, type[HomefireError], str]] = {
    "too large for F16": (CONFIG, change(WEIGHTS, "lm_head.weight", 3, 1e6), BadModelFile, "lm_head"),
    "not a number": (CONFIG, change(WEIGHTS, "lm_head.weight", 3, float("nan")), BadModelFile, "lm_head"),
    "missing": (CONFIG, {k: v for k, v in WEIGHTS.items() if "q_proj" not in k}, BadModelFile, "attn_q"),
    "other layers": (CONFIG | {"num_hidden_layers": 2}, WEIGHTS, BadModelFile, "missing"),
    "other width": (CONFIG | {"hidden_size": 32}, WEIGHTS, BadModelFile, "shape"),
    "more vocabulary than rows": (CONFIG | {"vocab_size": 200}, WEIGHTS, BadModelFile, "shape"),
    "other architecture": (CONFIG | {"architectures": ["MambaForCausalLM"]}, WEIGHTS, UnsupportedModel, "Mamba"),
    "quantized": (CONFIG | {"quantization_config": {"bits": 4}}, WEIGHTS, UnsupportedModel, "quantized"),
    "a tensor too many": (CONFIG, WEIGHTS | {"model.extra.weight": ((1,), [1.0])}, UnsupportedModel, "extra"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_refused_and_leaves_no_file(name: str, tmp_path: Path) -> None:
    config, weights, error, why = REFUSED[name]
    folder = tiny.write_folder(tmp_path / "m", config, tiny.bpe("qwen2"), weights, "F32")
    with pytest.raises(error, match=why):
        made(folder, "x.gguf")
    assert [each.name for each in tmp_path.iterdir()] == ["m"]
