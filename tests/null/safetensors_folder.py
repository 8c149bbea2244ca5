"""Makes folders as the transformers library lays them out: tiny models with random weights, and their tokenizers.

Promises: the same arguments give the same bytes; every weight is exact in BF16, so that F16, BF16 and F32 hold the same values.
Does not cover: models that say anything sensible.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homefire.models.vocabulary import GPT2, LLAMA3, QWEN2

Weights = dict[str, tuple[tuple[int, ...], list[float]]]

MERGES = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "w"), ("1", "2")]
SPECIAL = ["<|begin|>", "<|im_end|>"]
TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"
BERT_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world", "##s", "un", "##able", "cafe", ",", "!"]


def split(expression: str) -> dict[str, Any]:
    """A stage of a pre-tokenizer."""
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
CUTS: dict[str, Any] = {
    "gpt-2": BYTES | {"use_regex": True},
    "smollm": {"type": "Sequence", "pretokenizers": [split(r"\p{N}"), split(GPT2), BYTES]},
    "llama-bpe": {"type": "Sequence", "pretokenizers": [split(LLAMA3), BYTES]},
    "qwen2": {"type": "Sequence", "pretokenizers": [split(QWEN2), BYTES]},
}


@dataclass(frozen=True)
class Size:
    """The dimensions of a tiny model."""

    width: int = 64
    layers: int = 2
    heads: int = 4
    key_heads: int = 2
    head: int = 16
    hidden: int = 96
    tokens: int = 272


def byte_letters() -> list[str]:
    """GPT-2's letter for each byte."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    return [chr(byte) if byte in shown else chr(next(hidden)) for byte in range(256)]


def bpe(pre: str, begins: bool = False) -> dict[str, Any]:
    """A byte-level tokenizer.json: 256 bytes, six merges, two special tokens and one for tool calls."""
    words = [*byte_letters(), *("".join(pair) for pair in MERGES)]
    added = [*((word, True) for word in SPECIAL), ("<tool_call>", False)]
    single = [{"SpecialToken": {"id": SPECIAL[0], "type_id": 0}}] if begins else []
    return {
        "added_tokens": [
            {"id": len(words) + at, "content": word, "special": special} for at, (word, special) in enumerate(added)
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": CUTS[pre],
        "post_processor": {"type": "TemplateProcessing", "single": [*single, {"Sequence": {"id": "A", "type_id": 0}}]},
        "model": {
            "type": "BPE",
            "ignore_merges": pre == "llama-bpe",
            "vocab": {word: place for place, word in enumerate(words)},
            "merges": [" ".join(pair) for pair in MERGES],
        },
    }


def wordpiece() -> dict[str, Any]:
    """BERT's kind of tokenizer.json with a few words."""
    return {
        "added_tokens": [{"id": at, "content": word, "special": True} for at, word in enumerate(BERT_WORDS[:5])],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                       "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "vocab": {word: at for at, word in enumerate(BERT_WORDS)}},
    }  # fmt: skip


def numbers(source: random.Random, count: int, low: float, high: float) -> list[float]:
    """Random numbers of either sign whose size lies between two bounds, exact in BF16 and in F16."""

    def cut(value: float) -> float:
        raw: float = struct.unpack("<f", b"\0\0" + struct.pack("<f", value)[2:])[0]
        return raw

    return [cut(source.uniform(low, high)) * source.choice((-1, 1)) for _ in range(count)]


def decoder_weights(architecture: str, size: Size, largest: float = 0.2) -> Weights:
    """Random weights of a llama, qwen2 or qwen3, by the names of the transformers library."""
    source = random.Random(1)
    queries, keys = size.heads * size.head, size.key_heads * size.head
    found: Weights = {}

    def add(name: str, *shape: int) -> None:
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        norm = name.endswith("norm.weight")
        values = numbers(source, count, 0.5, 1.5) if norm else numbers(source, count, largest / 10, largest)
        found[name] = shape, [abs(value) for value in values] if norm else values

    add("model.embed_tokens.weight", size.tokens, size.width)
    for layer in range(size.layers):
        at = f"model.layers.{layer}."
        for name, rows in (("q", queries), ("k", keys), ("v", keys)):
            add(f"{at}self_attn.{name}_proj.weight", rows, size.width)
            if architecture == "Qwen2ForCausalLM":
                add(f"{at}self_attn.{name}_proj.bias", rows)
            if architecture == "Qwen3ForCausalLM" and name != "v":
                add(f"{at}self_attn.{name}_norm.weight", size.head)
        add(f"{at}self_attn.o_proj.weight", size.width, queries)
        add(f"{at}mlp.gate_proj.weight", size.hidden, size.width)
        add(f"{at}mlp.up_proj.weight", size.hidden, size.width)
        add(f"{at}mlp.down_proj.weight", size.width, size.hidden)
        add(f"{at}input_layernorm.weight", size.width)
        add(f"{at}post_attention_layernorm.weight", size.width)
    add("model.norm.weight", size.width)
    add("lm_head.weight", size.tokens, size.width)
    shape, values = found["lm_head.weight"]
    # The likeliest token is never half a letter nor a special one: the engine would end without a word, and without figures.
    quiet = [*range(128, 256), *range(256 + len(MERGES), size.tokens)]
    for token in quiet:
        values[token * size.width : (token + 1) * size.width] = [0.0] * size.width
    found["lm_head.weight"] = shape, values
    return found


def bert_weights(size: Size) -> Weights:
    """Random weights of a BERT with 64 positions."""
    source = random.Random(1)
    found: Weights = {}

    def add(name: str, *shape: int) -> None:
        norm = name.endswith("LayerNorm.weight")
        values = numbers(
            source, shape[0] * (shape[1] if len(shape) == 2 else 1), *((0.5, 1.5) if norm else (0.02, 0.2))
        )
        found[name] = shape, [abs(value) for value in values] if norm else values

    def dense(name: str, *shape: int) -> None:
        add(f"{name}.weight", *shape)
        add(f"{name}.bias", shape[0])

    add("embeddings.word_embeddings.weight", len(BERT_WORDS), size.width)
    add("embeddings.position_embeddings.weight", 64, size.width)
    add("embeddings.token_type_embeddings.weight", 2, size.width)
    dense("embeddings.LayerNorm", size.width)
    for layer in range(size.layers):
        at = f"encoder.layer.{layer}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            dense(f"{at}attention.{name}", size.width, size.width)
        dense(f"{at}attention.output.LayerNorm", size.width)
        dense(f"{at}intermediate.dense", size.hidden, size.width)
        dense(f"{at}output.dense", size.width, size.hidden)
        dense(f"{at}output.LayerNorm", size.width)
    add("pooler.dense.weight", size.width, size.width)  # superfluous, as in the real file
    return found


def packed(values: Sequence[float], kind: str) -> bytes:
    """Values in F32, F16 or BF16."""
    if kind == "F16":
        return struct.pack(f"<{len(values)}e", *values)
    whole = struct.pack(f"<{len(values)}f", *values)
    return whole if kind == "F32" else b"".join(whole[at + 2 : at + 4] for at in range(0, len(whole), 4))


def save(path: Path, weights: Mapping[str, tuple[tuple[int, ...], list[float]]], kind: str) -> None:
    """A safetensors file."""
    rows: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = bytearray()
    for name, (shape, values) in weights.items():
        raw = packed(values, kind)
        rows[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(rows).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)


def decoder_config(architecture: str, size: Size, **more: Any) -> dict[str, Any]:
    """The config.json of a decoder."""
    return {
        "architectures": [architecture], "hidden_size": size.width, "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads, "num_key_value_heads": size.key_heads, "head_dim": size.head,
        "intermediate_size": size.hidden, "vocab_size": size.tokens, "max_position_embeddings": 128,
        "rope_theta": 10000.0, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": False, **more,
    }  # fmt: skip


def bert_config(size: Size, **more: Any) -> dict[str, Any]:
    """The config.json of a BERT."""
    return {
        "architectures": ["BertModel"], "hidden_size": size.width, "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads, "intermediate_size": size.hidden, "vocab_size": len(BERT_WORDS),
        "max_position_embeddings": 64, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu", **more,
    }  # fmt: skip


def write_folder(
    folder: Path, config: dict[str, Any], tokenizer: dict[str, Any], weights: Weights, kind: str, *, parts: int = 1
) -> Path:
    """The whole folder, its weights in one file or in parts."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"bos_token": SPECIAL[0], "eos_token": {"content": SPECIAL[1]}, "chat_template": TEMPLATE}
    for name, content in (
        ("config", config), ("tokenizer", tokenizer), ("tokenizer_config", {} if "bert" in str(config).lower() else settings)
    ):  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(content), "utf-8")
    if parts == 1:
        save(folder / "model.safetensors", weights, kind)
        return folder
    index: dict[str, str] = {}
    for part in range(parts):
        name = f"model-{part + 1:05}-of-{parts:05}.safetensors"
        chosen = {key: value for at, (key, value) in enumerate(weights.items()) if at % parts == part}
        save(folder / name, chosen, kind)
        index |= dict.fromkeys(chosen, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}), "utf-8")
    return folder
