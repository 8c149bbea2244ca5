"""A BERT as an ONNX graph with int8 weights: what ONNX Runtime runs several times as fast as llama.cpp on a CPU.

Each product of the model's own weights quantizes its input when it runs (one scale a tensor) and has a scale for each column of
its weights; products inside attention, sums and norms stay in 32 bits. Some operators are ONNX Runtime's own (com.microsoft).
It reads one text at a time: with several the scale would be theirs together, and a text's vector would depend on its neighbours
(measured: cosine down to 0.975), for a tenth more of speed. In the graph's metadata lie the tokenizer (as the tokenizers library
writes it) and the longest text, so that one file is enough.
Promises: what this cannot express (another architecture, pooling, vocabulary) is named by `refusal` and never guessed; the same
model and bits give the same graph.
Does not cover: reading the model's file (`daemon/graph_child.py`), running the graph (`onnx_child.py`), when it is used
(`daemon/embedders.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MICROSOFT = "com.microsoft"
POOLING = {1: "mean", 2: "cls"}


@dataclass(frozen=True, slots=True)
class Bert:
    """One model: the keys of its file's header, its pieces of words, and what gives a tensor by name as a numpy array in 32
    bits, rows first."""

    keys: Mapping[str, Any]
    pieces: Sequence[str]
    weights: Callable[[str], Any]

    def number(self, key: str, default: int = 0) -> int:
        return int(self.keys.get(key, default))


def refusal(keys: Mapping[str, Any]) -> str:
    """Why a model with this header cannot be a graph; "" if it can."""
    if keys.get("general.architecture") != "bert" or keys.get("tokenizer.ggml.model") != "bert":
        return "only BERT with WordPiece is made into a graph"
    if keys.get("bert.pooling_type") not in POOLING or keys.get("bert.attention.causal"):
        return "its pooling is none of mean and cls"
    return "" if keys.get("tokenizer.ggml.normalizer.lowercase", True) else "its vocabulary tells capitals apart"


class Graph:
    """Nodes and constants as they come; each `node` returns the name of its output."""

    def __init__(self, bits: int) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self._most = 2 ** (bits - 1) - 1

    def node(self, kind: str, *inputs: str, domain: str = "", out: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = out or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, name: str, value: Any) -> str:
        import numpy
        from onnx import numpy_helper

        self.constants[name] = numpy_helper.from_array(numpy.ascontiguousarray(value), name)
        return name

    def product(self, x: str, name: str, weight: Any, bias: Any) -> str:
        """x times the transposed weight, plus the bias: in int8, each column with a scale of its own."""
        import numpy

        columns = numpy.ascontiguousarray(weight.T)
        scale = numpy.maximum(numpy.abs(columns).max(axis=0), 1e-12) / self._most
        whole = numpy.clip(numpy.rint(columns / scale), -self._most, self._most).astype("i1")
        return self.node(
            "DynamicQuantizeMatMul", x, self.constant(name + ".w", whole), self.constant(name + ".s", scale.astype("f4")),
            self.constant(name + ".z", numpy.zeros(len(scale), "i1")), self.constant(name + ".b", bias), domain=MICROSOFT,
        )  # fmt: skip


def write(bert: Bert, target: Path, bits: int) -> dict[str, int]:
    """Makes `target`; `bits` is 8, or 7 where sums of products of 8 bits could overflow (processors without VNNI). Returns width
    and context. Raises ImportError without numpy and onnx, ValueError for a vocabulary with a piece twice."""
    from onnx import TensorProto, helper, save_model

    graph, width = Graph(bits), bert.number("bert.embedding_length")
    context = min(bert.number("bert.context_length"), len(bert.weights("position_embd.weight")))
    _pool(graph, _body(graph, bert), POOLING[bert.number("bert.pooling_type")])
    made = helper.make_graph(
        graph.nodes,
        "embedder",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "tokens"])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1, width])],
        list(graph.constants.values()),
    )
    versions = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(made, opset_imports=versions, ir_version=9, producer_name="homefire")
    helper.set_model_props(model, {"tokenizer": json.dumps(tokenizer(bert)), "context": str(context)})
    save_model(model, str(target))
    return {"width": width, "context": context}


def _body(graph: Graph, bert: Bert) -> str:
    """From numbers of tokens to the last layer's rows."""
    import numpy

    w, heads = bert.weights, bert.number("bert.attention.head_count")
    one, two, zero = (graph.constant(f"at{n}", numpy.array([n], "i8")) for n in (1, 2, 0))
    length = graph.node("Slice", graph.node("Shape", "ids"), one, two, zero)
    places = graph.constant("places", w("position_embd.weight") + w("token_types.weight")[0])
    words = graph.node("Gather", graph.constant("words", w("token_embd.weight")), "ids")
    x = _norm(graph, bert, "token_embd_norm", graph.node("Add", words, graph.node("Slice", places, zero, length, zero)))
    for number in range(bert.number("bert.block_count")):
        at = f"blk.{number}."

        def product(of: str, name: str, at: str = at) -> str:
            return graph.product(of, at + name, w(f"{at}{name}.weight"), w(f"{at}{name}.bias"))

        parts = [product(x, f"attn_{each}") for each in "qkv"]
        seen = graph.node("MultiHeadAttention", *parts, domain=MICROSOFT, num_heads=heads)
        x = _norm(graph, bert, at + "attn_output_norm", graph.node("Add", product(seen, "attn_output"), x))
        up = graph.node("Gelu", product(x, "ffn_up"), domain=MICROSOFT)
        x = _norm(graph, bert, at + "layer_output_norm", graph.node("Add", product(up, "ffn_down"), x))
    return x


def _norm(graph: Graph, bert: Bert, name: str, x: str) -> str:
    gain, bias = (graph.constant(f"{name}.{each}", bert.weights(f"{name}.{each}")) for each in ("weight", "bias"))
    epsilon = float(bert.keys.get("bert.attention.layer_norm_epsilon", 1e-12))
    return graph.node("LayerNormalization", x, gain, bias, axis=-1, epsilon=epsilon)


def _pool(graph: Graph, x: str, how: str) -> None:
    """One vector of length one for each text."""
    import numpy

    if how == "cls":
        pooled = graph.node("Gather", x, graph.constant("first", numpy.array(0, "i8")), axis=1)
    else:
        pooled = graph.node("ReduceMean", x, "at1", keepdims=0)
    length = graph.node("ReduceL2", pooled, "at1", keepdims=1)
    floor = graph.constant("floor", numpy.array(1e-12, "f4"))
    graph.node("Div", pooled, graph.node("Max", length, floor), out="vectors")


def tokenizer(bert: Bert) -> dict[str, Any]:
    """The vocabulary as the tokenizers library reads it. In the file a word's beginning is marked; there its continuation is."""
    names = [each[1:] if each[:1] == "\u2581" else each if _special(each) else "##" + each for each in bert.pieces]
    vocabulary = {name: number for number, name in enumerate(names)}
    if len(vocabulary) != len(names):
        raise ValueError("two pieces of the vocabulary are the same")
    unknown = names[bert.number("tokenizer.ggml.unknown_token_id", 100)]
    first = bert.number("tokenizer.ggml.cls_token_id", bert.number("tokenizer.ggml.bos_token_id", 101))
    last = bert.number("tokenizer.ggml.seperator_token_id", bert.number("tokenizer.ggml.eos_token_id", 102))
    around = {name: {"id": name, "ids": [number], "tokens": [name]} for number, name in
              ((first, names[first]), (last, names[last]))}  # fmt: skip
    one = [{"SpecialToken": {"id": names[first], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
           {"SpecialToken": {"id": names[last], "type_id": 0}}]  # fmt: skip
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": True, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": one, "pair": [*one, {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": around},
        "decoder": None,
        "model": {"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    }  # fmt: skip


def _special(piece: str) -> bool:
    return piece[:1] == "[" and piece[-1:] == "]" and len(piece) > 2
