"""What of a model's header decides how much memory it takes: layers, heads, windows, states, widths.

Families are rows of a table, not subclasses; a family that has no row is read by the common keys, and says so (`known`).
Source of the layout: llama.cpp, `src/llama-hparams.cpp` and `src/llama-kv-cache*.cpp`; each row marked `known` was compared with
the engine's own dry run over a file of true dimensions (`bench fit`).
Promises: pure; reads a checked `Header` and nothing else; raises BadModelFile for keys that contradict each other, and nothing
else, whatever the keys hold; no loop is longer than the number of layers or tensors.
Does not cover: bytes of caches and buffers (`fit`), and files of vision parts, which have no cache (`fit.Projector`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from homefire.errors import BadModelFile
from homefire.models.gguf import Header, Tensor

MAX_LAYERS = 4096
MAX_WIDTH = 1 << 28
_LAYER = re.compile(r"blk\.(\d{1,6})\.")
# Tensors that llama.cpp keeps beside the processor whatever is offloaded: rows are looked up in them, not multiplied.
_INPUT = ("token_embd.", "token_embd_norm.", "position_embd.", "token_types.", "per_layer_token_embd.")


@dataclass(frozen=True, slots=True)
class Family:
    """A row: what a GGUF of this architecture leaves unsaid.

    `period`: layer i slides where i modulo the period is below period - 1 (0: the file's own pattern, or none slides);
    `states`: which layers hold a recurrent state: "none", "all", "no_kv" (those without key and value heads), "both" (each layer
    has a state and a cache) or "interval" (all but every n-th); `cache`: whether there is a KV cache at all (encoders: none);
    `window`: False where llama.cpp leaves the window of the file unused; `known`: compared with the engine's dry run.
    """

    period: int = 0
    states: str = "none"
    cache: bool = True
    window: bool = True
    known: bool = True


FAMILIES: dict[str, Family] = {
    "llama": Family(), "qwen2": Family(), "qwen3": Family(), "qwen3moe": Family(),
    "gemma2": Family(period=2), "gemma3": Family(period=6), "gpt-oss": Family(period=2),
    "phi3": Family(window=False),  # llama.cpp reads its window and does not use it: #13676
    "deepseek2": Family(), "bert": Family(cache=False),
    "mamba": Family(states="all"), "mamba2": Family(states="all"), "jamba": Family(states="no_kv"),
    "lfm2": Family(states="no_kv"), "qwen3next": Family(states="interval"), "gemma": Family(), "phi2": Family(),
    "bitnet": Family(),
    # By llama.cpp's source only, not compared here:
    "qwen2moe": Family(known=False), "stablelm": Family(known=False), "olmo2": Family(known=False),
    "cohere2": Family(period=4, known=False), "gemma3n": Family(period=5, known=False),
    "gemma4": Family(known=False), "nomic-bert": Family(cache=False, known=False),
    "jina-bert-v2": Family(cache=False, known=False), "granitehybrid": Family(states="no_kv", known=False),
    "nemotron_h": Family(states="no_kv", known=False), "falcon-h1": Family(states="both", known=False),
    "qwen35": Family(states="interval", known=False), "qwen35moe": Family(states="interval", known=False),
    "rwkv6": Family(states="all", known=False), "rwkv7": Family(states="all", known=False),
}  # fmt: skip
UNKNOWN = Family(known=False)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: elements of a key row and a value row a token (0, 0: no cache), whether it slides, elements of its state, and
    the bytes of its weights, those of experts apart."""

    key: int = 0
    value: int = 0
    slides: bool = False
    state: int = 0
    weights: int = 0
    experts: int = 0


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A model as the arithmetic needs it.

    Widths are in elements, weights in bytes, `inner` in elements a token; `lengths`: of a head's key and value; `latent`: the
    values are read out of the keys' rows (MLA); `tied_bytes`: of the input's table, where it is the output's too;
    `parameters_read`: weights that one token is multiplied with.
    """

    architecture: str
    known: bool
    layers: tuple[Layer, ...]
    window: int
    width: int
    vocabulary: int
    heads: int
    context: int
    experts: int
    experts_used: int
    input_bytes: int
    output_bytes: int
    tied_bytes: int
    inner: int
    projections: int
    parameters_read: int
    lengths: tuple[int, int]
    latent: bool

    @property
    def weights(self) -> int:
        """Bytes of all tensors in the file."""
        body = sum(layer.weights + layer.experts for layer in self.layers)
        return body + self.input_bytes + self.output_bytes


def anatomy(headers: Sequence[Header]) -> Anatomy:
    """What the header says (of a split model: of all its parts, the first holding the keys). Raises BadModelFile."""
    first = headers[0]
    row = FAMILIES.get(first.architecture, UNKNOWN)
    keys = _Keys(first)
    tensors = [tensor for header in headers for tensor in header.table]
    count = keys.number("block_count", least=1, most=MAX_LAYERS)
    width = keys.number("embedding_length", least=1)
    heads = keys.each("attention.head_count", count, 0)
    if row.states != "all" and not any(heads):
        keys.refuse("it has no attention heads")
    weights, experts, start, end = _weights(tensors, count)
    by_name = {tensor.name: tensor for tensor in tensors}
    tied = "output.weight" not in by_name and row.cache
    table = by_name.get("token_embd.weight")
    tied_bytes = table.size_bytes if tied and table is not None else 0
    window = keys.number("attention.sliding_window") if row.window else 0
    caches = _caches(keys, row, count, width, heads)
    states = _states(keys, row, [key or value for key, value, _ in caches])
    layers = tuple(
        Layer(key, value, slides and window > 0, state, weights[i], experts[i])
        for i, ((key, value, slides), state) in enumerate(zip(caches, states, strict=True))
    )
    used, total = (keys.number(name, most=1 << 16) for name in ("expert_used_count", "expert_count"))
    inner, projections = _inner(keys, layers, width, max(heads, default=0), _gated(tensors))
    read = _read(tensors, used / total if total else 1.0, tied)
    return Anatomy(
        first.architecture, row.known, layers, window, width, _vocabulary(by_name, row), max(heads, default=0),
        first.context_length, total, used, start, end, tied_bytes, inner, projections, read,
        keys.lengths(width, max(heads, default=0)), keys.latent,
    )  # fmt: skip


class _Keys:
    """The keys of the model's own architecture, each number checked where it is read."""

    def __init__(self, header: Header) -> None:
        self._keys = header.keys
        self._architecture = header.architecture

    def refuse(self, why: str) -> NoReturn:
        raise BadModelFile(f"The header of this {self._architecture[:40]} model makes no sense: {why}.")

    def _get(self, name: str) -> object:
        return self._keys.get(f"{self._architecture}.{name}")

    def has(self, name: str) -> bool:
        return self._get(name) is not None

    def number(self, name: str, otherwise: int = 0, *, least: int = 0, most: int = MAX_WIDTH) -> int:
        """One number; of a list the largest."""
        found = self._get(name)
        if isinstance(found, list):
            return max(self._checked(name, number, least, most) for number in found) if found else otherwise
        return self._checked(name, otherwise if found is None else found, least, most)

    def each(self, name: str, count: int, otherwise: int) -> list[int]:
        """A number for each layer: the list that the key holds, or the one number over and over."""
        found = self._get(name)
        if not isinstance(found, list):
            return [self.number(name, otherwise)] * count
        if len(found) < count:
            self.refuse(f"'{name}' has {len(found)} numbers for {count} layers")
        return [self._checked(name, number, 0, MAX_WIDTH) for number in found[:count]]

    def lengths(self, width: int, heads: int) -> tuple[int, int]:
        """Elements of one head's key and value."""
        otherwise = width // heads if heads else 0
        return self.number("attention.key_length", otherwise), self.number("attention.value_length", otherwise)

    @property
    def latent(self) -> bool:
        """Whether the cache holds a latent (MLA) as newer files have it; older ones unfold it into plain heads."""
        return self.has("attention.kv_lora_rank") and self.has("attention.key_length_mla")

    def _checked(self, name: str, found: object, least: int, most: int) -> int:
        if not isinstance(found, int) or not least <= found <= most:
            self.refuse(f"'{name}' is {str(found)[:40]}")
        return int(found)

    def slides(self, count: int, period: int) -> list[bool]:
        """Which layers slide: the file's own pattern (a list, or a period) before the family's."""
        found = self._get("attention.sliding_window_pattern")
        if isinstance(found, list) and found:
            return [bool(found[i % len(found)]) for i in range(count)]
        if isinstance(found, int) and not isinstance(found, bool) and 0 < found <= MAX_LAYERS:
            period = found
        return [period > 0 and i % period < period - 1 for i in range(count)]


def _weights(tensors: Sequence[Tensor], count: int) -> tuple[list[int], list[int], int, int]:
    """Bytes a layer without its experts, bytes of its experts, bytes of the input's tables, bytes of the output."""
    plain, experts, start, end = [0] * count, [0] * count, 0, 0
    for tensor in tensors:
        found = _LAYER.match(tensor.name)
        if found and count:
            into = experts if "_exps" in tensor.name else plain
            into[min(int(found[1]), count - 1)] += tensor.size_bytes
        elif tensor.name.startswith(_INPUT):
            start += tensor.size_bytes
        else:
            end += tensor.size_bytes
    return plain, experts, start, end


def _caches(keys: _Keys, row: Family, count: int, width: int, heads: Sequence[int]) -> list[tuple[int, int, bool]]:
    """Of each layer: elements of a key row, of a value row, and whether it slides.

    With a latent (MLA, `attention.key_length_mla`) the cache holds one row of key_length elements and no values.
    """
    if not row.cache or row.states == "all":
        return [(0, 0, False)] * count
    groups = keys.each("attention.head_count_kv", count, max(heads, default=0))
    key, value = keys.lengths(width, max(heads, default=0))
    key_slides = keys.number("attention.key_length_swa", key)
    value_slides = keys.number("attention.value_length_swa", value)
    slides = keys.slides(count, row.period)
    # The last layers may read an earlier one's cache (Gemma 3n).
    own = count - keys.number("attention.shared_kv_layers", most=MAX_LAYERS)
    interval = keys.number("full_attention_interval", 4, least=1) if row.states == "interval" else 1
    found = []
    for i in range(count):
        if i >= own or (i + 1) % interval:
            found.append((0, 0, False))
        elif keys.latent:
            found.append((groups[i] * key, 0, False))
        else:
            one, other = (key_slides, value_slides) if slides[i] else (key, value)
            found.append((groups[i] * one, groups[i] * other, slides[i]))
    return found


def _states(keys: _Keys, row: Family, cached: Sequence[int]) -> list[int]:
    """Elements (f32) of each layer's recurrent state for one sequence.

    Mamba and its kin: (kernel - 1) (inner + 2 groups state) of the convolution, and inner x state (llama.cpp `n_embd_r`,
    `n_embd_s`). LFM2: width (kernel - 1). RWKV: width x (shifted tokens + head size).
    """
    if row.states == "none":
        return [0] * len(cached)
    kernel, inner = keys.number("ssm.conv_kernel"), keys.number("ssm.inner_size")
    size, groups = keys.number("ssm.state_size"), keys.number("ssm.group_count")
    state = max(0, kernel - 1) * (inner + 2 * groups * size) + inner * size
    if short := keys.number("shortconv.l_cache"):
        state = keys.number("embedding_length") * (short - 1)
    if head := keys.number("wkv.head_size"):
        state = keys.number("embedding_length") * (head + keys.number("token_shift_count", 2))
    feeds = keys.each("feed_forward_length", len(cached), 0) if row.states == "no_kv" else [0] * len(cached)
    varied = len(set(feeds)) > 1  # Nemotron-H: a layer with a feed-forward part is nothing else
    return [
        state if row.states in ("all", "both") or not (has or (varied and feed)) else 0
        for has, feed in zip(cached, feeds, strict=True)
    ]


def _inner(keys: _Keys, layers: Sequence[Layer], width: int, heads: int, gated: bool) -> tuple[int, int]:
    """The most elements a token that live at once inside a layer, and those of one layer's queries, keys and values.

    Measured on the engine's graph allocator, exact for the rows of FAMILIES that are `known`: gated feed-forward 3 x its length
    (gate, up, their product), ungated 1 x; experts as much for each that is used, or twice their outputs; latent attention twice
    the absorbed queries and once the plain ones; Mamba 5 x its inner size.
    """
    feed, used = keys.number("feed_forward_length"), keys.number("expert_used_count", most=1 << 16)
    expert = keys.number("expert_feed_forward_length", feed) * used
    parts = [(3 if gated else 1) * feed, 3 * expert, (2 * used + 1) * width if used else 0]
    length, _ = keys.lengths(width, heads)
    rows = max((layer.key + layer.value for layer in layers), default=0)
    projections = heads * length + rows
    if latent := keys.number("attention.key_length_mla"):
        projections = heads * (2 * length + latent)
    parts += [projections, 5 * keys.number("ssm.inner_size")]
    return max(parts), projections


def _read(tensors: Sequence[Tensor], share: float, tied: bool) -> int:
    """Elements of the weights that one token is multiplied with: of experts their share, of the input's tables a tied one."""
    total = 0.0
    for tensor in tensors:
        if not tensor.name.startswith(_INPUT) or (tied and tensor.name == "token_embd.weight"):
            total += math.prod(tensor.shape) * (min(1.0, share) if "_exps" in tensor.name else 1)
    return int(total)


def _gated(tensors: Sequence[Tensor]) -> bool:
    """Whether the feed-forward parts have a gate; Phi-3's is in one matrix with the other half."""
    by_name = {tensor.name: tensor for tensor in tensors}
    for tensor in tensors:
        if ".ffn_gate." in tensor.name:
            return True
        if tensor.name.endswith(".ffn_up.weight") and len(tensor.shape) == 2:
            down = by_name.get(tensor.name.replace("_up.", "_down."))
            return down is not None and tensor.shape[1] == 2 * down.shape[0]
    return False


def _vocabulary(tensors: dict[str, Tensor], row: Family) -> int:
    """How many logits a token has; an encoder has none."""
    table = tensors.get("output.weight") or tensors.get("token_embd.weight")
    return table.shape[1] if row.cache and table is not None and len(table.shape) > 1 else 0
