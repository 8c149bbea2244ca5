"""Which tensor gets which type: the recipes of llama-quantize as data, and one pure function that applies them.

The rules are those of llama.cpp, src/llama-quant.cpp (llama_tensor_get_type_impl, tensor_allows_quantization and
tensor_type_fallback), without an importance matrix: the output matrix (or the embedding, where that is also the output) gets more
bits than the rest; the `_M` mixes give attn_v and ffn_down six bits in the first and last eighth of the layers and in every third
between; vectors, norms, positions and other small matrices stay as they are.
Promises: a plan names one type that ggml can make for every tensor, and depends on nothing but its arguments.
Does not cover: types that need an importance matrix (IQ1 to IQ3), the exceptions of the Falcon family, overrides by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homefire.errors import InvalidRequest
from homefire.models.gguf_writer import TYPES, Tensor
from homefire.models.kernels import FLOATS

Rule = Callable[["Place"], bool]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor stands: layer (0 if it has none), number of layers, query heads a key head, number of experts."""

    layer: int
    layers: int
    group: int
    experts: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """`file_type` is llama.cpp's number for the whole (general.file_type); `more` gives a role another type where its rule holds,
    the first rule that does."""

    name: str
    file_type: int
    base: str
    output: str
    embedding: str
    more: tuple[tuple[str, Rule, str], ...] = ()


def _often(place: Place) -> bool:
    """use_more_bits: the first and last eighth, and every third layer between."""
    eighth = place.layers // 8
    return place.layer < eighth or place.layer >= 7 * place.layers // 8 or (place.layer - eighth) % 3 == 2


def _early(place: Place) -> bool:
    return place.layer < place.layers // 8


def _grouped(place: Place) -> bool:
    return place.group >= 4


def _eight_experts(place: Place) -> bool:
    return place.experts == 8


_MIXTRAL: tuple[tuple[str, Rule, str], ...] = (("attn_v", _eight_experts, "Q8_0"), ("attn_k", _eight_experts, "Q8_0"))
_MIXTRAL_OUTPUT: tuple[tuple[str, Rule, str], ...] = (("attn_output", _eight_experts, "Q5_K"),)
_OFTEN_Q6: tuple[tuple[str, Rule, str], ...] = (("attn_v", _often, "Q6_K"), ("ffn_down", _often, "Q6_K"))
_IQ4: tuple[tuple[str, Rule, str], ...] = (("attn_v", _grouped, "Q5_K"), ("ffn_down", _early, "Q5_K"))

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("Q8_0", 7, "Q8_0", "Q8_0", "Q8_0"),
        Recipe("Q6_K", 18, "Q6_K", "Q6_K", "Q6_K", _MIXTRAL),
        Recipe("Q5_K_M", 17, "Q5_K", "Q6_K", "Q5_K", (*_MIXTRAL, *_OFTEN_Q6)),
        Recipe("Q4_K_M", 15, "Q4_K", "Q6_K", "Q4_K", (*_MIXTRAL, *_MIXTRAL_OUTPUT, *_OFTEN_Q6)),
        Recipe("Q4_0", 2, "Q4_0", "Q6_K", "Q4_0", _MIXTRAL),
        Recipe("IQ4_XS", 30, "IQ4_XS", "Q6_K", "IQ4_XS", (*_MIXTRAL, *_MIXTRAL_OUTPUT, *_IQ4)),
        Recipe("TQ1_0", 36, "TQ1_0", "Q6_K", "Q4_K", _MIXTRAL),
        Recipe("TQ2_0", 37, "TQ2_0", "Q6_K", "Q4_K", _MIXTRAL),
    )
}
# What takes the place of a type whose blocks do not divide the rows; where this does not either, F16.
FALLBACK = {
    "Q6_K": "Q8_0", "Q5_K": "Q5_1", "Q4_K": "Q5_0", "IQ4_XS": "IQ4_NL", "TQ1_0": "Q4_0", "TQ2_0": "Q4_0",
}  # fmt: skip

# What a name holds -> its role; the first that it holds. A fused or a compressed value matrix counts as attn_v.
_ROLES = {
    "attn_qkv.weight": "attn_v", "attn_kv_b.weight": "attn_v", "attn_v.weight": "attn_v", "attn_k.weight": "attn_k",
    "attn_q.weight": "attn_q", "attn_output.weight": "attn_output", "ffn_up": "ffn_up", "ffn_gate": "ffn_gate",
    "ffn_down": "ffn_down",
}  # fmt: skip
_KEPT = re.compile(
    r"_norm\.weight|ffn_gate_inp\.weight|ffn_gate_tid2eid|altup|laurel|per_layer_model_proj|ssm_conv1d|shortconv\.conv"
    r"|indexer\.[kq]_proj|time_mix_(first|w[012]|v[012]|a[012]|g[12]|decay_w[12]|lerp_fused)\.weight|attn_rel_b"
    r"|\.position_embd|sam\.(pos_embd|neck\.|net_)|\.rel_pos|\.patch_(embd|merger)|a\.rvq\.codebook|mm\.a\.code_embd"
)
_KEPT_NAMES = ("position_embd.weight", "token_types.weight")
_EMBEDDINGS = ("token_embd.weight", "per_layer_token_embd.weight")


def find(name: str) -> Recipe:
    """The recipe of this name, in any case. Raises InvalidRequest with the names that there are."""
    found = RECIPES.get(name.upper())
    if found is None:
        raise InvalidRequest(
            f"There is no recipe named '{name[:40]}'.", f"Choose one of: {', '.join(RECIPES)}.", param="recipe"
        )
    return found


@dataclass(frozen=True, slots=True)
class Facts:
    """What of the model a recipe depends on."""

    layers: int
    heads: int
    key_heads: int
    experts: int
    architecture: str = ""

    @property
    def group(self) -> int:
        """Query heads for one key head."""
        return self.heads // self.key_heads if self.key_heads else 1


def plan(recipe: Recipe, facts: Facts, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors with the types that they will have, in the order given.

    Raises InvalidRequest if one that should be changed is quantized already: that would lose precision twice.
    """
    tied = all(tensor.name != "output.weight" for tensor in tensors)
    values = sorted((_layer(tensor.name), tensor.name) for tensor in tensors if _role(tensor.name) == "attn_v")
    rank = {name: place for place, (_, name) in enumerate(values)}  # not every layer of a hybrid model has attention
    planned = []
    for tensor in tensors:
        kind = tensor.kind
        if quantizable(tensor):
            layer, layers = _layer(tensor.name), facts.layers
            if tensor.name in rank:
                layer, layers = rank[tensor.name], len(rank)
            kind = _kind(recipe, facts, tensor, tied, Place(layer, layers, facts.group, facts.experts))
        if kind != tensor.kind and tensor.kind not in FLOATS:
            raise InvalidRequest(
                f"'{tensor.name}' is quantized already ({tensor.kind}).",
                "Quantize from the model's F16, BF16 or F32 file: doing it twice loses precision twice.",
                param="source",
            )
        planned.append(Tensor(tensor.name, tensor.shape, kind))
    return planned


def quantizable(tensor: Tensor) -> bool:
    """Whether llama.cpp quantizes this tensor at all."""
    if sum(length > 1 for length in tensor.shape[1:]) < 1 or not tensor.name.endswith("weight"):
        return False
    return tensor.name not in _KEPT_NAMES and not _KEPT.search(tensor.name)


def _role(name: str) -> str:
    return next((role for held, role in _ROLES.items() if held in name), "")


def _layer(name: str) -> int:
    found = re.match(r"blk\.(\d+)\.", name)
    return int(found[1]) if found else 0


def _kind(recipe: Recipe, facts: Facts, tensor: Tensor, tied: bool, place: Place) -> str:
    row = tensor.shape[0]
    if tensor.name == "output.weight" or (tied and tensor.name in _EMBEDDINGS):
        wanted = "Q8_0" if row % TYPES[recipe.base][1] else recipe.output
    elif tensor.name in _EMBEDDINGS:
        wanted = recipe.embedding
    else:
        wanted = _in_layer(recipe, facts, _role(tensor.name), place)
    if row % TYPES[wanted][1]:
        wanted = FALLBACK.get(wanted, "F16")
    return "F16" if row % TYPES[wanted][1] else wanted


def _in_layer(recipe: Recipe, facts: Facts, role: str, place: Place) -> str:
    for of, rule, kind in recipe.more:
        if of == role and rule(place):
            return kind
    # In the 70B llama eight query heads share one value head: its small attn_v is worth more bits.
    seventy = facts.architecture == "llama" and facts.layers == 80 and facts.heads != facts.key_heads
    return "Q5_K" if role == "attn_v" and seventy and recipe.base == "Q4_K" else recipe.base
