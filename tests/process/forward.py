"""The forward passes of a llama, a qwen and a BERT in plain Python, written from the transformers library's definitions.

Promises: nothing of llama.cpp and nothing of the converter: half-split rotary positions, weights as the source has them.
Does not cover: speed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tests.null.safetensors_folder import Weights

Vector = list[float]


class Model:
    """Weights by the names of the transformers library, and their configuration."""

    def __init__(self, weights: Weights, config: dict[str, Any]) -> None:
        self.weights = weights
        self.config = config
        self.width: int = config["hidden_size"]
        self.heads: int = config["num_attention_heads"]
        self.key_heads: int = config.get("num_key_value_heads", self.heads)
        self.head: int = config.get("head_dim", self.width // self.heads)

    def linear(self, name: str, x: Vector) -> Vector:
        """Rows times x, plus the bias where there is one."""
        shape, values = self.weights[f"{name}.weight"]
        row = shape[1]
        out = [sum(map(float.__mul__, values[at : at + row], x)) for at in range(0, len(values), row)]
        if f"{name}.bias" in self.weights:
            out = [a + b for a, b in zip(out, self.weights[f"{name}.bias"][1], strict=True)]
        return out

    def row(self, name: str, at: int) -> Vector:
        """A row of an embedding."""
        return self.weights[f"{name}.weight"][1][at * self.width : (at + 1) * self.width]

    def rms(self, name: str, x: Vector) -> Vector:
        """Root-mean-square normalisation."""
        scale = 1 / math.sqrt(sum(v * v for v in x) / len(x) + self.config["rms_norm_eps"])
        return [v * scale * g for v, g in zip(x, self.weights[f"{name}.weight"][1], strict=True)]

    def layer_norm(self, name: str, x: Vector) -> Vector:
        """Mean and variance normalisation with gain and bias."""
        mean = sum(x) / len(x)
        scale = 1 / math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + self.config["layer_norm_eps"])
        gain, bias = (self.weights[f"{name}.{part}"][1] for part in ("weight", "bias"))
        return [(v - mean) * scale * g + b for v, g, b in zip(x, gain, bias, strict=True)]

    def turn(self, x: Vector, place: int) -> Vector:
        """Rotary positions: the first half of a head against the second."""
        half = self.head // 2
        out = [0.0] * self.head
        for i in range(half):
            angle = place * self.config["rope_theta"] ** (-2 * i / self.head)
            cos, sin = math.cos(angle), math.sin(angle)
            out[i], out[i + half] = x[i] * cos - x[i + half] * sin, x[i + half] * cos + x[i] * sin
        return out

    def cut(self, x: Vector) -> list[Vector]:
        """Into heads."""
        return [x[at : at + self.head] for at in range(0, len(x), self.head)]

    def attend(
        self, queries: list[list[Vector]], keys: list[list[Vector]], values: list[list[Vector]], causal: bool
    ) -> list[Vector]:
        """Per place the heads' answers, joined."""
        group = self.heads // self.key_heads
        out = []
        for place, query in enumerate(queries):
            seen = range(place + 1 if causal else len(queries))
            joined: Vector = []
            for head in range(self.heads):
                scores = [
                    sum(map(float.__mul__, query[head], keys[at][head // group])) / math.sqrt(self.head) for at in seen
                ]
                top = max(scores)
                parts = [math.exp(score - top) for score in scores]
                whole = sum(parts)
                joined += [
                    sum(part * values[at][head // group][i] for part, at in zip(parts, seen, strict=True)) / whole
                    for i in range(self.head)
                ]
            out.append(joined)
        return out


def added(one: Vector, other: Vector) -> Vector:
    """The sum of two vectors."""
    return [a + b for a, b in zip(one, other, strict=True)]


def decode(model: Model, ids: Sequence[int]) -> Vector:
    """Natural logarithms of the probabilities of the token after `ids`."""
    rows = [model.row("model.embed_tokens", token) for token in ids]
    for layer in range(model.config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        inner = [model.rms(f"{at}input_layernorm", x) for x in rows]
        parts = {part: [model.cut(model.linear(f"{at}self_attn.{part}_proj", x)) for x in inner] for part in "qkv"}
        for part in "qk":
            if f"{at}self_attn.{part}_norm.weight" in model.weights:
                parts[part] = [[model.rms(f"{at}self_attn.{part}_norm", h) for h in heads] for heads in parts[part]]
            parts[part] = [[model.turn(h, place) for h in heads] for place, heads in enumerate(parts[part])]
        seen = model.attend(parts["q"], parts["k"], parts["v"], True)
        rows = [added(x, model.linear(f"{at}self_attn.o_proj", y)) for x, y in zip(rows, seen, strict=True)]
        for place, x in enumerate(rows):
            inner_row = model.rms(f"{at}post_attention_layernorm", x)
            gate, up = model.linear(f"{at}mlp.gate_proj", inner_row), model.linear(f"{at}mlp.up_proj", inner_row)
            mixed = [g / (1 + math.exp(-g)) * u for g, u in zip(gate, up, strict=True)]
            rows[place] = added(x, model.linear(f"{at}mlp.down_proj", mixed))
    logits = model.linear("lm_head", model.rms("model.norm", rows[-1]))
    top = max(logits)
    whole = top + math.log(sum(math.exp(value - top) for value in logits))
    return [value - whole for value in logits]


def embed(model: Model, ids: Sequence[int]) -> Vector:
    """The mean of BERT's last layer over all tokens, with length one."""
    rows = []
    for place, token in enumerate(ids):
        x = added(model.row("embeddings.word_embeddings", token), model.row("embeddings.position_embeddings", place))
        rows.append(
            model.layer_norm("embeddings.LayerNorm", added(x, model.row("embeddings.token_type_embeddings", 0)))
        )
    for layer in range(model.config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        q, k, v = (
            [model.cut(model.linear(f"{at}attention.self.{name}", x)) for x in rows]
            for name in ("query", "key", "value")
        )
        seen = model.attend(q, k, v, False)
        for place, x in enumerate(rows):
            y = added(x, model.linear(f"{at}attention.output.dense", seen[place]))
            y = model.layer_norm(f"{at}attention.output.LayerNorm", y)
            inner = [h * (1 + math.erf(h / math.sqrt(2))) / 2 for h in model.linear(f"{at}intermediate.dense", y)]
            rows[place] = model.layer_norm(f"{at}output.LayerNorm", added(y, model.linear(f"{at}output.dense", inner)))
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    length = math.sqrt(sum(value * value for value in mean))
    return [value / length for value in mean]
