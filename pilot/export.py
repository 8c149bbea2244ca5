"""From a checkpoint to the GGUF file the engine loads.

Promises: matrices in Q8_0, gains in F32, every byte in the vocabulary, the chat template and
the recommended sampling in the header, and the same honest description as the model card. The
file appears whole or not at all. Does not cover: other quantizations.
"""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer

from pilot import tokens
from pilot.dialogue import END, MARKS, NOTHING, START, TEMPLATE
from pilot.settings import Shape

DESCRIPTION = (
    "A pilot light, not an assistant: a few million parameters, made from scratch on generated "
    "English text so that Homefire has something to answer with before a real model is "
    "installed. It greets, says what it is, explains Homefire's commands, fills small JSON "
    "objects and calls simple tools. It knows almost nothing about the world, makes mistakes, "
    "and must not be relied on."
)
NAMES = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
    "norm_attention": "attn_norm",
    "norm_hidden": "ffn_norm",
}


def tensor_name(name: str) -> str:
    """The name llama.cpp gives to one of our parameters."""
    if name == "embedding.weight":
        return "token_embd.weight"
    if name == "norm.weight":
        return "output_norm.weight"
    _, layer, part, _ = name.split(".")
    return f"blk.{layer}.{NAMES[part]}.weight"


def export(checkpoint: Path, tokenizer_file: Path, target: Path) -> dict[str, Any]:
    """Write `target`; gives its size and number of parameters."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    shape = Shape(**state["plan"]["shape"])
    beside = target.with_suffix(".new")
    target.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(str(beside), "llama")
    describe(writer, shape, state["run"])
    add_tokenizer(writer, tokens.load(tokenizer_file), shape.vocabulary)
    count = 0
    for name, value in state["model"].items():
        count += value.numel()
        add_tensor(writer, tensor_name(name), value.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    beside.replace(target)
    return {"bytes": target.stat().st_size, "parameters": count}


def describe(writer: gguf.GGUFWriter, shape: Shape, run: dict[str, Any]) -> None:
    """General facts, architecture, recommended sampling."""
    writer.add_name("pilot")
    writer.add_version("0")
    writer.add_author("The Homefire project")
    writer.add_organization("Homefire")
    writer.add_description(DESCRIPTION)
    writer.add_license("apache-2.0")
    writer.add_languages(["en"])
    writer.add_type("model")
    writer.add_size_label("3M")
    writer.add_string("pilot.training", json.dumps(run))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_sampling_temp(0.3)
    writer.add_sampling_top_k(20)
    writer.add_sampling_top_p(0.9)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_vocab_size(shape.vocabulary)


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer, size: int) -> None:
    """Vocabulary, merges, kinds of tokens, template."""
    vocabulary = {place: name for name, place in tokenizer.get_vocab().items()}
    kinds = {
        END: gguf.TokenType.CONTROL,
        NOTHING: gguf.TokenType.CONTROL,
        START: gguf.TokenType.CONTROL,
        **dict.fromkeys(MARKS, gguf.TokenType.USER_DEFINED),
    }
    names, types = [], []
    for place in range(size):
        name = vocabulary.get(place, f"<|unused_{place}|>")
        names.append(name)
        absent = gguf.TokenType.UNUSED if place not in vocabulary else gguf.TokenType.NORMAL
        types.append(int(kinds.get(name, absent)))
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tokens.PRE)
    writer.add_token_list(names)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in merges])
    place_of = tokenizer.token_to_id
    writer.add_bos_token_id(place_of(NOTHING) or 0)
    writer.add_eos_token_id(place_of(END) or 0)
    writer.add_pad_token_id(place_of(NOTHING) or 0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def add_tensor(writer: gguf.GGUFWriter, name: str, value: np.ndarray[Any, Any]) -> None:
    """Q8_0 for matrices; the engine aborts on a quantized norm, so those stay F32."""
    if value.ndim == 1:
        writer.add_tensor(name, value.astype(np.float32))
        return
    kind = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor(name, gguf.quants.quantize(value.astype(np.float32), kind), raw_dtype=kind)
