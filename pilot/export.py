"""From a checkpoint to the files that are shipped: two GGUF files, and the unquantized weights in safetensors.

Promises: matrices in Q8_0 (the daemon's file) or Q4_0 (the browser's), gains in F32, every byte in the vocabulary, the chat
template and the recommended sampling in the header, and the same honest description as the model card. The safetensors folder is
laid out as converters expect a llama (`config.json`, `tokenizer.json`, half-split rotary positions). A file appears whole or not.
Does not cover: other quantizations (`homefire models quantize` makes them from the unquantized weights).
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from pilot import tokens
from pilot.dialogue import END, MARKS, NOTHING, START, TEMPLATE
from pilot.model import Pilot
from pilot.settings import Shape

DESCRIPTION = (
    "The pilot: Homefire's built-in model, a few million parameters, made from scratch on generated English text, so that "
    "everything works in the first minute and offline. It tells intents apart, chooses and chains tools, reads short passages, "
    "labels lines, does digit steps and single moves of simple processes, and explains Homefire. It knows almost nothing about "
    "the world, makes mistakes, and must not be relied on."
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


QUANTIZATIONS = {
    "Q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    "Q4_0": (gguf.GGMLQuantizationType.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0),
}


def export(checkpoint: Path, tokenizer_file: Path, target: Path, weights: Path) -> dict[str, Any]:
    """Write `target` (Q8_0), its sibling in Q4_0 and the folder `weights`; gives sizes and the number of parameters."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    shape = Shape(**state["plan"]["shape"])
    tokenizer = tokens.load(tokenizer_file)
    values = {name: value.float().numpy() for name, value in state["model"].items()}
    small = target.with_name(f"{target.stem}-q4_0.gguf")
    for file, kind in ((target, "Q8_0"), (small, "Q4_0")):
        write_gguf(file, kind, state, tokenizer, values)
    write_safetensors(weights, shape, tokenizer_file, values)
    return {
        "parameters": sum(value.size for value in values.values()),
        "bytes": target.stat().st_size,
        "q4_0_bytes": small.stat().st_size,
        "safetensors_bytes": (weights / "model.safetensors").stat().st_size,
    }


def write_gguf(target: Path, kind: str, state: dict[str, Any], tokenizer: Tokenizer, values: dict[str, Any]) -> None:
    """One GGUF file, written beside and renamed."""
    shape = Shape(**state["plan"]["shape"])
    beside = target.with_suffix(".new")
    target.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(str(beside), "llama")
    describe(writer, shape, state["run"], sum(value.size for value in values.values()))
    writer.add_file_type(QUANTIZATIONS[kind][1])
    add_tokenizer(writer, tokenizer, shape.vocabulary)
    for name, value in values.items():
        add_tensor(writer, tensor_name(name), value, QUANTIZATIONS[kind][0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    beside.replace(target)


def write_safetensors(folder: Path, shape: Shape, tokenizer_file: Path, values: dict[str, Any]) -> None:
    """The weights in 16 bits, with the configuration a llama of the transformers library has."""
    folder.mkdir(parents=True, exist_ok=True)
    renamed: dict[str, np.ndarray[Any, Any]] = {
        hugging_name(name): half_split(name, value, shape).astype(np.float16) for name, value in values.items()
    }
    beside = folder / "model.new"
    save_file(renamed, beside, {"format": "pt"})
    beside.replace(folder / "model.safetensors")
    vocabulary = tokens.load(tokenizer_file)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_width,
        "intermediate_size": shape.hidden,
        "max_position_embeddings": shape.context,
        "rope_theta": shape.rope_base,
        "rms_norm_eps": shape.norm_eps,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "torch_dtype": "float16",
        "bos_token_id": vocabulary.token_to_id(NOTHING),
        "eos_token_id": vocabulary.token_to_id(END),
        "pad_token_id": vocabulary.token_to_id(NOTHING),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    (folder / "tokenizer.json").write_text(tokenizer_file.read_text("utf-8"), "utf-8")
    # Marks of tool calls are text that a client must see; only the ends of messages are control tokens.
    added = {vocabulary.token_to_id(name): {"content": name, "special": name not in MARKS} for name in tokens.SPECIAL}
    template = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": NOTHING,
        "added_tokens_decoder": added,
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(template, indent=1) + "\n", "utf-8")


HUGGING_NAMES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
    "norm_attention": "input_layernorm",
    "norm_hidden": "post_attention_layernorm",
}


def hugging_name(name: str) -> str:
    """The name the transformers library gives to one of our parameters."""
    if name == "embedding.weight":
        return "model.embed_tokens.weight"
    if name == "norm.weight":
        return "model.norm.weight"
    _, layer, part, _ = name.split(".")
    return f"model.layers.{layer}.{HUGGING_NAMES[part]}.weight"


def read_safetensors(folder: Path, shape: Shape) -> dict[str, Any]:
    """The weights of `folder` under our names and in our order, in 32 bits: what a further run starts from.

    `shape` is that of the folder but for its layers, which are counted here.
    """
    layers = json.loads((folder / "config.json").read_text("utf-8"))["num_hidden_layers"]
    shape = replace(shape, layers=layers)
    found = load_file(folder / "model.safetensors")
    values = {}
    for name in Pilot(shape).state_dict():
        value = found[hugging_name(name)].astype(np.float32)
        part = name.split(".")[-2]
        if part in ("q", "k"):
            heads = shape.heads if part == "q" else shape.kv_heads
            value = value.reshape(heads, 2, shape.head_width // 2, -1).swapaxes(1, 2).reshape(value.shape)
        values[name] = torch.from_numpy(np.ascontiguousarray(value))
    return values


def half_split(name: str, value: np.ndarray[Any, Any], shape: Shape) -> np.ndarray[Any, Any]:
    """Our rotary positions turn neighbours (0,1), (2,3); that library turns (0, d/2), (1, d/2+1): reorder the rows of q and k."""
    part = name.split(".")[-2]
    if part not in ("q", "k"):
        return value
    heads = shape.heads if part == "q" else shape.kv_heads
    turned = value.reshape(heads, shape.head_width // 2, 2, -1).swapaxes(1, 2)
    out: np.ndarray[Any, Any] = np.ascontiguousarray(turned.reshape(value.shape))
    return out


def describe(writer: gguf.GGUFWriter, shape: Shape, run: dict[str, Any], parameters: int) -> None:
    """General facts, architecture, recommended sampling."""
    writer.add_name("pilot")
    writer.add_version("1")
    writer.add_author("The Homefire project")
    writer.add_organization("Homefire")
    writer.add_description(DESCRIPTION)
    writer.add_license("apache-2.0")
    writer.add_languages(["en"])
    writer.add_type("model")
    writer.add_size_label(f"{parameters / 1e6:.0f}M")
    writer.add_string("pilot.training", json.dumps(run))
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


def add_tensor(
    writer: gguf.GGUFWriter, name: str, value: np.ndarray[Any, Any], kind: gguf.GGMLQuantizationType
) -> None:
    """Matrices quantized; the engine aborts on a quantized norm, so those stay F32. The embedding, also the head, has 8 bits."""
    if value.ndim == 1:
        writer.add_tensor(name, value.astype(np.float32))
        return
    kind = gguf.GGMLQuantizationType.Q8_0 if name.startswith("token_embd") else kind
    writer.add_tensor(name, gguf.quants.quantize(value.astype(np.float32), kind), raw_dtype=kind)
