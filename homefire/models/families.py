"""Architectures that can be converted, as data: the names and shapes of their tensors, and the keys that describe them.

Names on the left are those of the transformers library, on the right those of llama.cpp (gguf-py, tensor_mapping.py).
Promises: every tensor of the source is either mapped, known to be superfluous, or the reason for a refusal; none that the model
needs is missing; every shape is what config.json implies. A setting that changes the arithmetic in a way that the GGUF form
cannot say is refused.
Does not cover: mixtures of experts, vision and audio parts, weights that are quantized already (GPTQ, AWQ, FP8).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homefire.errors import BadModelFile, UnsupportedModel
from homefire.models.gguf_writer import Value, boolean, f32, text, u32

_DECODER = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
_BERT = {
    "embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Family:
    """How one architecture is written. `turned`: whether rotary positions turn neighbours in llama.cpp where the source turns
    halves; `needed`/`optional`: biases and norms of a layer beside its matrices."""

    name: str
    names: Mapping[str, str]
    layer: re.Pattern[str]
    turned: bool = False
    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_BIASES = ("attn_q.bias", "attn_k.bias", "attn_v.bias")
_IN_LAYERS = re.compile(r"model\.layers\.(\d+)\.(.+)")
_BERT_NEEDED = (
    *_BIASES,
    "attn_output.bias",
    "ffn_up.bias",
    "ffn_down.bias",
    "attn_output_norm.bias",
    "layer_output_norm.bias",
)
FAMILIES = {
    "LlamaForCausalLM": Family("llama", _DECODER, _IN_LAYERS, True, optional=(*_BIASES, "attn_output.bias", "ffn_gate.bias",
                                                                             "ffn_up.bias", "ffn_down.bias")),
    "Qwen2ForCausalLM": Family("qwen2", _DECODER, _IN_LAYERS, needed=_BIASES),
    "Qwen3ForCausalLM": Family("qwen3", _DECODER, _IN_LAYERS, needed=("attn_q_norm.weight", "attn_k_norm.weight")),
    "BertModel": Family("bert", _BERT, re.compile(r"encoder\.layer\.(\d+)\.(.+)"), needed=_BERT_NEEDED),
}  # fmt: skip
FAMILIES["BertForMaskedLM"] = FAMILIES["BertModel"]
_SUPERFLUOUS = re.compile(r".*rotary_emb\.inv_freq|embeddings\.position_ids|pooler\..*|cls\..*")


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of config.json that tensors and keys depend on."""

    layers: int
    width: int
    hidden: int
    heads: int
    key_heads: int
    head: int
    tokens: int
    context: int
    kinds: int = 0


def family_of(config: Mapping[str, Any]) -> Family:
    """The architecture that config.json names. Raises UnsupportedModel."""
    named = config.get("architectures")
    name = named[0] if isinstance(named, list) and named else None
    found = FAMILIES.get(str(name))
    if found is None:
        raise UnsupportedModel(
            f"The architecture '{str(name)[:80]}' cannot be converted; known: {', '.join(FAMILIES)}."
        )
    if config.get("quantization_config"):
        raise UnsupportedModel("Its weights are quantized already.", "Take the model's original weights.")
    allowed = ("gelu",) if found.name == "bert" else ("silu", "swish")
    if config.get("hidden_act", allowed[0]) not in allowed:
        raise UnsupportedModel(f"Its activation '{str(config['hidden_act'])[:40]}' is not the one of its architecture.")
    if config.get("position_embedding_type", "absolute") != "absolute" or config.get("use_sliding_window"):
        raise UnsupportedModel("Its positions, or its sliding window, cannot be written for this architecture.")
    return found


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The numbers of config.json. Raises BadModelFile if one is missing or out of range."""

    def whole(name: str, default: Any = None) -> int:
        value = config.get(name)
        value = default if value is None else value
        if not isinstance(value, int) or not 0 < value < 1 << 31:
            raise BadModelFile(f"config.json has no sound '{name}'.")
        return value

    heads, width = whole("num_attention_heads"), whole("hidden_size")
    return Shape(
        layers=whole("num_hidden_layers"),
        width=width,
        hidden=whole("intermediate_size"),
        heads=heads,
        key_heads=whole("num_key_value_heads", heads),
        head=whole("head_dim", width // heads),
        tokens=whole("vocab_size"),
        context=whole("max_position_embeddings"),
        kinds=whole("type_vocab_size", 2),
    )


def new_name(family: Family, name: str) -> str | None:
    """llama.cpp's name of a tensor; None if it is superfluous. Raises UnsupportedModel if it is neither."""
    name = name.removeprefix("bert.") if family.name == "bert" else name
    name = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))
    if _SUPERFLUOUS.fullmatch(name):
        return None
    inside = family.layer.fullmatch(name)
    stem, _, kind = (inside[2] if inside else name).rpartition(".")
    found = family.names.get(stem)
    if found is None or kind not in ("weight", "bias"):
        raise UnsupportedModel(f"It has a tensor that its architecture does not have: '{name[:80]}'.")
    return f"blk.{int(inside[1])}.{found}.{kind}" if inside else f"{found}.{kind}"


def shapes(family: Family, shape: Shape, tied: bool) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Tensors that must be there and tensors that may be, with their shapes (as the source has them: rows first)."""
    queries, keys = shape.heads * shape.head, shape.key_heads * shape.head
    outputs = {
        "attn_q": queries, "attn_k": keys, "attn_v": keys, "attn_output": shape.width, "ffn_gate": shape.hidden,
        "ffn_up": shape.hidden, "ffn_down": shape.width, "attn_q_norm": shape.head, "attn_k_norm": shape.head,
        "attn_output_norm": shape.width, "layer_output_norm": shape.width,
    }  # fmt: skip
    inputs = {"attn_output": queries, "ffn_down": shape.hidden}
    needed: dict[str, tuple[int, ...]] = {"token_embd.weight": (shape.tokens, shape.width)}
    optional: dict[str, tuple[int, ...]] = {}
    matrices = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down"]
    if family.name == "bert":
        norms = ["attn_output_norm", "layer_output_norm"]
        needed |= {
            "position_embd.weight": (shape.context, shape.width),
            "token_types.weight": (shape.kinds, shape.width),
            "token_embd_norm.weight": (shape.width,),
            "token_embd_norm.bias": (shape.width,),
        }
    else:
        norms = ["attn_norm", "ffn_norm"]
        matrices.append("ffn_gate")
        needed["output_norm.weight"] = (shape.width,)
        (optional if tied else needed)["output.weight"] = (shape.tokens, shape.width)
    for layer in range(shape.layers):
        needed |= {f"blk.{layer}.{name}.weight": (outputs[name], inputs.get(name, shape.width)) for name in matrices}
        needed |= {f"blk.{layer}.{name}.weight": (shape.width,) for name in norms}
        needed |= {f"blk.{layer}.{name}": (outputs[name.rpartition(".")[0]],) for name in family.needed}
        optional |= {f"blk.{layer}.{name}": (outputs[name.rpartition(".")[0]],) for name in family.optional}
    return needed, optional


def keys(family: Family, shape: Shape, config: Mapping[str, Any]) -> dict[str, Value]:
    """The architecture's keys. Raises UnsupportedModel for a scaling of the positions that is not known here."""
    named: dict[str, Value] = {
        "context_length": u32(shape.context),
        "embedding_length": u32(shape.width),
        "block_count": u32(shape.layers),
        "feed_forward_length": u32(shape.hidden),
        "attention.head_count": u32(shape.heads),
        "vocab_size": u32(shape.tokens),
    }
    if family.name == "bert":
        named["attention.layer_norm_epsilon"] = f32(float(config.get("layer_norm_eps", 1e-12)))
        named["attention.causal"] = boolean(False)
    else:
        named |= {
            "attention.head_count_kv": u32(shape.key_heads),
            "attention.key_length": u32(shape.head),
            "attention.value_length": u32(shape.head),
            "attention.layer_norm_rms_epsilon": f32(float(config.get("rms_norm_eps", 1e-6))),
            "rope.dimension_count": u32(shape.head),
            "rope.freq_base": f32(float(_rope(config).get("rope_theta", 10000.0))),
            **_scaling(config),
        }
    return {f"{family.name}.{name}": value for name, value in named.items()}


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of rotary positions, which older files spread over two places."""
    base = {"rope_theta": config["rope_theta"]} if config.get("rope_theta") else {}
    return {**base, **(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}


def _scaling(config: Mapping[str, Any]) -> dict[str, Value]:
    rope = _rope(config)
    kind = str(rope.get("rope_type") or rope.get("type") or "default")
    if kind in ("default", "llama3"):  # llama3 becomes a tensor: `rope_factors`
        return {}
    if kind not in ("linear", "yarn") or not rope.get("factor"):
        raise UnsupportedModel(f"Its positions are scaled in a way that is not known here: '{kind[:40]}'.")
    found = {"rope.scaling.type": text(kind), "rope.scaling.factor": f32(float(rope["factor"]))}
    if kind == "yarn" and rope.get("original_max_position_embeddings"):
        found["rope.scaling.original_context_length"] = u32(int(rope["original_max_position_embeddings"]))
    return found


def rope_factors(shape: Shape, config: Mapping[str, Any]) -> bytes | None:
    """The F32 values of `rope_freqs.weight` (head / 2 of them) for Llama 3's scaling of positions, None for any other.

    A wave longer than the original context divided by `low_freq_factor` is slowed by `factor`, one shorter than it divided by
    `high_freq_factor` is left, and between the two it is blended (transformers, modeling_rope_utils.py).
    """
    rope = _rope(config)
    if (rope.get("rope_type") or rope.get("type")) != "llama3":
        return None
    base, factor = float(rope.get("rope_theta", 10000.0)), float(rope["factor"])
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    old = float(rope["original_max_position_embeddings"])
    factors = []
    for even in range(0, shape.head, 2):
        wave = 2 * math.pi * base ** (even / shape.head)
        blend = min(1.0, max(0.0, (old / wave - low) / (high - low)))
        factors.append(1 / ((1 - blend) / factor + blend))
    return struct.pack(f"<{len(factors)}f", *factors)
