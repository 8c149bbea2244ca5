"""Deciding what a conversion and a recipe write: names, shapes, keys, tokenizers, types, refusals. No engine, no child.

Promises: the recipes give the types that llama-quantize gives (worked out from its source), each kind of tokenizer is recognised
by its structure, and what would come out wrong is refused.
Does not cover: the bytes of weights and what the engine makes of them (`tests/process`).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import BadModelFile, HomefireError, InvalidRequest, PickleRefused, UnsupportedModel
from homefire.models import families, quality, recipes, vocabulary
from homefire.models.convert import MAX_JSON, plan, read_json, weight_files
from homefire.models.convert_child import turned
from homefire.models.gguf_writer import Tensor, boolean, text, texts, u32
from homefire.models.recipes import Facts
from homefire.models.tensor_files import TensorFiles
from homefire.models.vocabulary import LLAMA3, Files
from tests.null import safetensors_folder as tiny

SIZE = tiny.Size(layers=1, width=32, heads=2, key_heads=1, head=16, hidden=32)
CONFIG = tiny.decoder_config("LlamaForCausalLM", SIZE)


def folder_of(tmp_path: Path, config: dict[str, Any] = CONFIG, tokenizer: dict[str, Any] | None = None) -> Path:
    """A tiny llama in one file."""
    weights = tiny.decoder_weights("LlamaForCausalLM", SIZE)
    return tiny.write_folder(tmp_path / "m", config, tokenizer or tiny.bpe("qwen2"), weights, "F16")


def keys_of(folder: Path) -> dict[str, bytes]:
    """The keys that a conversion would write."""
    with TensorFiles(weight_files(folder)) as weights:
        return plan(folder, weights, "F16", "tiny").keys


def test_the_plan_of_a_llama(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    with TensorFiles(weight_files(folder)) as weights:
        made = plan(folder, weights, "BF16", "tiny")
    kinds = {job.tensor.name: (job.tensor.kind, job.tensor.shape, job.heads) for job in made.jobs}
    assert kinds["blk.0.attn_q.weight"] == ("BF16", (32, 32), 2)
    assert kinds["blk.0.attn_k.weight"] == ("BF16", (32, 16), 1)
    assert kinds["blk.0.attn_v.weight"] == ("BF16", (32, 16), 0)
    assert kinds["blk.0.attn_norm.weight"] == ("F32", (32,), 0)
    assert kinds["token_embd.weight"] == ("BF16", (32, 272), 0)
    assert [name for name in kinds][:2] == ["output.weight", "output_norm.weight"]
    assert made.keys["llama.attention.head_count_kv"] == u32(1)
    assert made.keys["tokenizer.ggml.bos_token_id"] == u32(262)
    assert made.keys["tokenizer.ggml.eos_token_id"] == u32(263)
    assert made.keys["tokenizer.chat_template"] == text(tiny.TEMPLATE)
    assert made.keys["tokenizer.ggml.add_bos_token"] == boolean(False)


def test_a_tied_output_is_not_written_twice(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, CONFIG | {"tie_word_embeddings": True})
    with TensorFiles(weight_files(folder)) as weights:
        assert "output.weight" not in {job.tensor.name for job in plan(folder, weights, "F16", "tiny").jobs}


def test_rows_that_turn_halves_become_neighbours() -> None:
    rows = [bytes([number]) * 2 for number in range(8)]
    assert turned(b"".join(rows), 2) == b"".join(rows[number] for number in (0, 4, 1, 5, 2, 6, 3, 7))


@pytest.mark.parametrize("pre", tiny.CUTS)
def test_a_tokenizer_is_recognised_by_its_structure(pre: str) -> None:
    assert vocabulary.pre_tokenizer(tiny.bpe(pre)) == pre


def test_single_digits_by_their_own_stage_are_the_same_cut() -> None:
    digits = {"type": "Digits", "individual_digits": True}
    stages = {"type": "Sequence", "pretokenizers": [digits, tiny.BYTES | {"use_regex": True}]}
    assert vocabulary.pre_tokenizer(tiny.bpe("qwen2") | {"pre_tokenizer": stages}) == "smollm"


def test_llama_3s_cut_without_whole_words_has_another_name() -> None:
    tokenizer = tiny.bpe("llama-bpe")
    tokenizer["model"]["ignore_merges"] = False
    assert vocabulary.pre_tokenizer(tokenizer) == "smaug-bpe"


def sequence(*stages: dict[str, Any]) -> dict[str, Any]:
    """A pre-tokenizer of several stages."""
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(stages)}}


QWEN = tiny.bpe("qwen2")
UNKNOWN: dict[str, tuple[dict[str, Any], str]] = {
    "another expression": (sequence(tiny.split(LLAMA3 + "|x"), tiny.BYTES), "not known"),
    "digits in threes": (sequence({"type": "Digits", "individual_digits": False}, tiny.BYTES), "Digits"),
    "removed, not parted": (sequence(tiny.split(LLAMA3) | {"behavior": "Removed"}, tiny.BYTES), "Split"),
    "a space before all": (sequence(tiny.BYTES | {"add_prefix_space": True}), "ByteLevel"),
    "metaspace": ({"pre_tokenizer": {"type": "Metaspace"}}, "Metaspace"),
    "no pre-tokenizer": ({"pre_tokenizer": None}, "None"),
    "no bytes": (sequence(tiny.split(LLAMA3)), "byte-level"),
    "bytes as a fallback": ({"model": QWEN["model"] | {"byte_fallback": True}}, "byte-level"),
    "lower case": ({"normalizer": {"type": "Lowercase"}}, "byte-level"),
    "whole words with qwen's cut": ({"model": QWEN["model"] | {"ignore_merges": True}}, "not known"),
    "unigram": ({"model": {"type": "Unigram", "vocab": []}}, "Unigram"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_another_tokenizer_is_refused(name: str) -> None:
    changed, why = UNKNOWN[name]
    with pytest.raises(UnsupportedModel, match=why):
        vocabulary.keys(Files(QWEN | changed, {}, {}), 272)


def test_tokens_and_their_types() -> None:
    found = vocabulary.keys(Files(tiny.bpe("qwen2"), {}, {"eos_token_id": [263, 1]}), 270)
    words = [*tiny.byte_letters(), *map("".join, tiny.MERGES), *tiny.SPECIAL, "<tool_call>"]
    assert found["tokenizer.ggml.tokens"] == texts([*words, *(f"[PAD{place}]" for place in range(265, 270))])
    types = struct.unpack("<270i", found["tokenizer.ggml.token_type"][16:])
    assert (types[0], types[262:265], types[265:]) == (1, (3, 3, 4), (5,) * 5)
    assert found["tokenizer.ggml.eos_token_id"] == u32(263)
    assert found["tokenizer.ggml.merges"] == texts([" ".join(pair) for pair in tiny.MERGES])
    as_pairs = tiny.bpe("qwen2")
    as_pairs["model"]["merges"] = [list(pair) for pair in tiny.MERGES]
    assert vocabulary.keys(Files(as_pairs, {}, {}), 270)["tokenizer.ggml.merges"] == found["tokenizer.ggml.merges"]


def test_tokenizer_config_overrules_which_token_is_special() -> None:
    settings = {"added_tokens_decoder": {"263": {"content": "<|im_end|>", "special": False}}}
    found = vocabulary.keys(Files(tiny.bpe("qwen2"), settings, {}), 265)
    assert struct.unpack("<265i", found["tokenizer.ggml.token_type"][16:])[262:] == (3, 4, 4)


def test_a_bert_vocabulary_marks_beginnings() -> None:
    found = vocabulary.keys(Files(tiny.wordpiece(), {}, {}), len(tiny.BERT_WORDS))
    marked = [*tiny.BERT_WORDS[:5], "▁hello", "▁world", "s", "▁un", "able", "▁cafe", "▁,", "▁!"]
    assert found["tokenizer.ggml.tokens"] == texts(marked)
    assert found["tokenizer.ggml.bos_token_id"] == u32(2)
    assert found["tokenizer.ggml.seperator_token_id"] == found["tokenizer.ggml.eos_token_id"] == u32(3)
    assert found["tokenizer.ggml.normalizer.strip_accents"] == boolean(True)
    cased = tiny.wordpiece() | {"normalizer": {"type": "BertNormalizer", "lowercase": False}}
    assert vocabulary.keys(Files(cased, {}, {}), 13)["tokenizer.ggml.normalizer.lowercase"] == boolean(False)


UNSOUND: dict[str, dict[str, Any]] = {
    "a token beyond the rows": {"added_tokens": [{"id": 400, "content": "x"}]},
    "a token twice": {"added_tokens": [{"id": 264, "content": "h"}]},
    "no vocabulary": {"model": QWEN["model"] | {"vocab": {}}},
    "a list for a vocabulary": {"model": QWEN["model"] | {"vocab": [1]}},
    "a token without a number": {"added_tokens": [{"content": "x"}]},
    "a word for a number": {"model": QWEN["model"] | {"vocab": {"a": "b"}}},
}


@pytest.mark.parametrize("name", UNSOUND)
def test_an_unsound_tokenizer_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadModelFile):
        keys_of(folder_of(tmp_path, tokenizer=QWEN | UNSOUND[name]))


CONFIGS: dict[str, tuple[dict[str, Any], type[HomefireError], str]] = {
    "a float for a number": ({"hidden_size": 32.0}, BadModelFile, "hidden_size"),
    "no layers": ({"num_hidden_layers": 0}, BadModelFile, "num_hidden_layers"),
    "another activation": ({"hidden_act": "gelu"}, UnsupportedModel, "activation"),
    "a sliding window": ({"use_sliding_window": True}, UnsupportedModel, "window"),
    "positions scaled otherwise": ({"rope_scaling": {"rope_type": "longrope"}}, UnsupportedModel, "longrope"),
    "no architecture": ({"architectures": []}, UnsupportedModel, "None"),
    "half of llama 3's scaling": ({"rope_scaling": {"rope_type": "llama3", "factor": 8}}, BadModelFile, "low_freq"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_that_cannot_be_written_is_refused(name: str, tmp_path: Path) -> None:
    changed, error, why = CONFIGS[name]
    with pytest.raises(error, match=why):
        keys_of(folder_of(tmp_path, CONFIG | changed))


def test_scaled_positions(tmp_path: Path) -> None:
    linear = keys_of(folder_of(tmp_path, CONFIG | {"rope_scaling": {"type": "linear", "factor": 2.0}}))
    assert linear["llama.rope.scaling.type"] == text("linear")
    new_form = CONFIG | {"rope_theta": None, "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}
    assert keys_of(folder_of(tmp_path, new_form))["llama.rope.freq_base"][4:] == struct.pack("<f", 5e5)


def test_llama_3s_factors_of_positions() -> None:
    """Llama 3.1 8B: the first 29 waves are shorter than 2,048 tokens, those from 35 on longer than 8,192."""
    rope = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192}  # fmt: skip
    config = {"rope_theta": 500000.0, "rope_scaling": rope}
    shape = families.Shape(32, 4096, 14336, 32, 8, 128, 128256, 131072)
    found = struct.unpack("<64f", families.rope_factors(shape, config) or b"")
    waves = [2 * math.pi * 500000.0 ** (2 * i / 128) for i in range(64)]
    assert all(factor == 1 for factor, wave in zip(found, waves, strict=True) if wave < 2048)
    assert all(factor == 8 for factor, wave in zip(found, waves, strict=True) if wave > 8192)
    between = [factor for factor, wave in zip(found, waves, strict=True) if 2048 <= wave <= 8192]
    assert len(between) >= 5 and between == sorted(set(between)) and 1 <= between[0] <= between[-1] <= 8
    assert families.rope_factors(shape, {"rope_theta": 1e4}) is None


def test_pooling(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    assert "llama.pooling_type" not in keys_of(folder)
    (folder / "1_Pooling").mkdir()
    for flag, number in (("mean_tokens", 1), ("cls_token", 2), ("lasttoken", 3)):
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{flag}": True}))
        assert keys_of(folder)["llama.pooling_type"] == u32(number)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(UnsupportedModel, match="max_tokens"):
        keys_of(folder)


def test_pickles_and_escapes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(PickleRefused):
        weight_files(tmp_path)
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(InvalidRequest, match="safetensors"):
        weight_files(tmp_path)
    for part in ("../model.safetensors", "/model.safetensors", "model.bin"):
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": part}}))
        with pytest.raises(BadModelFile, match="outside"):
            weight_files(tmp_path)


def test_unsound_json_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    for content in (b"[1]", b"{", b"\xff\xfe", b"[" * 100_000):
        file.write_bytes(content)
        with pytest.raises(BadModelFile):
            read_json(file)
    with file.open("wb") as sparse:
        sparse.truncate(MAX_JSON + 1)
    with pytest.raises(BadModelFile, match="larger"):
        read_json(file)


def safetensors(rows: Any, data: bytes = bytes(8)) -> bytes:
    """A file with this header."""
    head = json.dumps(rows).encode()
    return struct.pack("<Q", len(head)) + head + data


ROW = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def test_unsound_safetensors_are_refused_and_none_stays_open(tmp_path: Path) -> None:
    """All that is wrong with one file is in `test_safetensors.py`."""
    (tmp_path / "a").write_bytes(safetensors({"a": ROW}))
    (tmp_path / "b").write_bytes(safetensors({"a": ROW}))
    (tmp_path / "c").write_bytes(safetensors({"c": ROW | {"data_offsets": [8, 16]}}))
    with pytest.raises(BadModelFile, match="Two"):
        TensorFiles([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(BadModelFile):
        TensorFiles([tmp_path / "a", tmp_path / "c"])
    with pytest.raises(InvalidRequest):
        TensorFiles([tmp_path / "d"])


def test_a_file_that_becomes_shorter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(safetensors({"a": ROW}))
    with TensorFiles([tmp_path / "a"]) as files:
        (tmp_path / "a").write_bytes(b"")
        with pytest.raises(BadModelFile, match="shorter"):
            files.read("a", 0, 8)


def test_sound_safetensors_are_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(safetensors({"a": ROW, "__metadata__": {"x": "y"}}, b"abcdefgh"))
    with TensorFiles([tmp_path / "x"]) as files:
        assert (files.names(), files.info("a"), files.read("a", 2, 3)) == (["a"], ("F32", (2,)), b"cde")


# ---- recipes


def decoder(layers: int, width: int = 256, tied: bool = False, hidden: int = 512) -> list[Tensor]:
    """The matrices of a decoder, and one norm."""
    found = [Tensor("token_embd.weight", (width, 300), "F16"), Tensor("output_norm.weight", (width,), "F32")]
    found += [] if tied else [Tensor("output.weight", (width, 300), "F16")]
    for layer in range(layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up"):
            found.append(Tensor(f"blk.{layer}.{name}.weight", (width, 64), "F16"))
        found.append(Tensor(f"blk.{layer}.ffn_down.weight", (hidden, width), "F16"))
        found.append(Tensor(f"blk.{layer}.attn_norm.weight", (width,), "F32"))
    return found


def planned(recipe: str, tensors: Sequence[Tensor], facts: Facts) -> dict[str, str]:
    """Name -> type."""
    return {tensor.name: tensor.kind for tensor in recipes.plan(recipes.find(recipe), facts, tensors)}


def layers_of(types: dict[str, str], part: str, kind: str) -> list[int]:
    """The layers in which a part has a type."""
    return [int(name.split(".")[1]) for name, found in types.items() if f".{part}." in name and found == kind]


def test_q4_k_m_of_32_layers() -> None:
    types = planned("q4_k_m", decoder(32), Facts(32, 32, 8, 0))
    # The first eighth, the last, and every third between: llama.cpp's use_more_bits(i, 32).
    often = [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]
    assert layers_of(types, "ffn_down", "Q6_K") == layers_of(types, "attn_v", "Q6_K") == often
    assert len(layers_of(types, "ffn_down", "Q4_K")) == 16
    assert set(layers_of(types, "ffn_up", "Q4_K")) == set(range(32))
    assert (types["output.weight"], types["token_embd.weight"], types["output_norm.weight"]) == ("Q6_K", "Q4_K", "F32")


def test_the_shares_of_other_recipes() -> None:
    facts = Facts(32, 32, 8, 0)
    assert set(planned("Q8_0", decoder(4), facts).values()) == {"F32", "Q8_0"}
    assert planned("Q8_0", decoder(4), facts)["output.weight"] == "Q8_0"
    assert planned("Q4_0", decoder(4), facts)["output.weight"] == "Q6_K"
    xs = planned("IQ4_XS", decoder(32), facts)
    assert layers_of(xs, "attn_v", "Q5_K") == list(range(32)), "four queries share a value"
    assert layers_of(xs, "ffn_down", "Q5_K") == [0, 1, 2, 3]
    assert layers_of(planned("IQ4_XS", decoder(32), Facts(32, 32, 32, 0)), "attn_v", "Q5_K") == []
    ternary = planned("TQ2_0", decoder(2), facts)
    assert (ternary["token_embd.weight"], ternary["output.weight"]) == ("Q4_K", "Q6_K")
    assert planned("TQ2_0", decoder(2, tied=True), facts)["token_embd.weight"] == "Q6_K", "it is the output too"
    assert planned("Q5_K_M", decoder(8), facts)["blk.4.attn_v.weight"] == "Q5_K"


def test_special_models() -> None:
    seventy = Facts(80, 64, 8, 0, "llama")
    assert layers_of(planned("Q4_K_M", decoder(80), seventy), "attn_v", "Q4_K") == []
    mixtral = planned("Q4_K_M", decoder(32), Facts(32, 32, 8, 8))
    assert layers_of(mixtral, "attn_v", "Q8_0") == layers_of(mixtral, "attn_k", "Q8_0") == list(range(32))
    assert layers_of(mixtral, "attn_output", "Q5_K") == list(range(32))


def test_a_hybrid_counts_its_attention_layers() -> None:
    """Eight value matrices in 32 layers: the rule counts those eight, as llama.cpp does."""
    tensors = [Tensor(f"blk.{layer}.attn_v.weight", (256, 64), "F16") for layer in range(3, 32, 4)]
    types = planned("Q4_K_M", tensors, Facts(32, 32, 8, 0))
    assert layers_of(types, "attn_v", "Q6_K") == [3, 15, 27, 31]


@pytest.mark.parametrize(
    ("recipe", "width", "expected"),
    [("Q4_K_M", 384, "Q5_0"), ("Q5_K_M", 384, "Q5_1"), ("Q6_K", 384, "Q8_0"), ("IQ4_XS", 384, "IQ4_NL"),
     ("TQ1_0", 384, "Q4_0"), ("Q4_0", 384, "Q4_0"), ("Q4_K_M", 40, "F16"), ("Q8_0", 40, "F16")],
)  # fmt: skip
def test_rows_that_do_not_divide(recipe: str, width: int, expected: str) -> None:
    types = planned(recipe, decoder(8, width), Facts(8, 8, 8, 0))
    assert types["blk.3.ffn_up.weight"] == expected
    assert types["output.weight"] == ("F16" if width == 40 else "Q8_0")


@pytest.mark.parametrize(
    ("name", "shape"),
    [("blk.0.attn_q.bias", (256,)), ("blk.0.attn_norm.weight", (256, 2)), ("position_embd.weight", (256, 64)),
     ("token_types.weight", (256, 2)), ("blk.0.ffn_gate_inp.weight", (256, 8)), ("blk.0.ssm_conv1d.weight", (256, 4)),
     ("blk.0.attn_q.weight", (256, 1))],
)  # fmt: skip
def test_small_tensors_stay_as_they_are(name: str, shape: tuple[int, ...]) -> None:
    assert planned("Q4_0", [Tensor(name, shape, "F16")], Facts(1, 1, 1, 0)) == {name: "F16"}


def test_a_recipe_that_is_not_there() -> None:
    with pytest.raises(InvalidRequest, match="Q9"):
        recipes.find("Q9")


# ---- quality


def test_quality() -> None:
    assert quality.cosine([1, 0], [1, 1]) == pytest.approx(2**-0.5)
    assert quality.perplexity([[math.log(0.5)] * 3, [math.log(0.125)]]) == pytest.approx(2**1.5)
    found = quality.spread([0.9 + 0.001 * number for number in range(100)])
    assert (found.worst, found.count) == (0.9, 100)
    assert found.fifth == pytest.approx(0.905)
    even, tilted = {1: math.log(0.5), 2: math.log(0.5)}, {1: math.log(0.25), 2: math.log(0.75)}
    assert quality.agreement([even], [even]) == quality.Agreement(1, 0, 1)
    agreed = quality.agreement([{1: math.log(0.6), 2: math.log(0.4)}, even], [tilted, even])
    assert agreed.same == 0.5
    assert agreed.divergence == pytest.approx((0.6 * math.log(0.6 / 0.25) + 0.4 * math.log(0.4 / 0.75)) / 2)
    for wrong in (lambda: quality.cosine([0], [1]), lambda: quality.cosine([1], [1, 2]), lambda: quality.perplexity([[]]),
                  lambda: quality.spread([]), lambda: quality.agreement([], [])):  # fmt: skip
        with pytest.raises(ValueError):
            wrong()
