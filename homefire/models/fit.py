"""Fit: how many bytes a model will take, where its layers go, and whether this machine has them.

    total = weights + KV cache + recurrent states + compute buffer + output buffer + vision part + draft model + driver
    KV cache of a layer = streams x cells x (row(key type, key elements) + row(value type, value elements))
    cells = the context of a stream; a sliding layer: window x sequences of the stream + micro-batch, at most that; in 256s
    compute buffer = micro-batch x 4 x (5 x width + max(vocabulary, inner)) + masks; see `_compute`

Source: llama.cpp (`llama-kv-cache-iswa.cpp`, `llama-memory-recurrent.cpp`, the log of its dry run); `bench fit` compares.
Promises: pure: headers and free memory in, a `Fit` out; the same answer for the same input; microseconds a layer; every figure
comes with an interval and its reason. Raises BadModelFile (a header that makes no sense) and InvalidRequest (a load that does).
Does not cover: several GPUs (take the one with most free memory), experts kept apart from their layers, the growth of the
process beside the engine's buffers (tens of MiB), what the kernel's page cache does with mapped weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from homefire.errors import InvalidRequest
from homefire.models.calibration import ErrorBar
from homefire.models.fit_layers import Anatomy, anatomy
from homefire.models.gguf import TENSOR_TYPES, Header

MIB = 1 << 20
CELLS = 256  # llama.cpp rounds the cells of a cache up to this
LIVE_WIDTHS = 5  # hidden states that live beside the largest tensor of the graph; 6 where the allocator fragments
KV_TYPES = {name: (block, size) for name, block, size in TENSOR_TYPES.values() if name in
            {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL"}}  # fmt: skip
MAX_CONTEXT = 1 << 27
MAX_SLOTS = 256
# A CUDA context and its kernels, before any buffer: Ollama 0.33 reserves this much a GPU.
DRIVER_BYTES = 457 * MIB
HOST_MARGIN = 512 * MIB
GPU_MARGIN = 256 * MIB


@dataclass(frozen=True, slots=True)
class Load:
    """How a model would be loaded. `context` is tokens of all slots together; `unified`: they share one cache, else each has an
    equal part. `gpu_layers` None: as many as fit; the output counts as one layer, as llama.cpp counts."""

    context: int = 4096
    slots: int = 1
    unified: bool = True
    type_k: str = "F16"
    type_v: str = "F16"
    micro_batch: int = 512
    gpu_layers: int | None = None
    flash_attention: bool = True

    def check(self) -> None:
        """Raises InvalidRequest for what no engine would load."""
        if not 0 < self.context <= MAX_CONTEXT:
            raise InvalidRequest(f"A context of {self.context} tokens is not possible.", param="context")
        if not 0 < self.slots <= MAX_SLOTS:
            raise InvalidRequest(f"{self.slots} slots are not possible; 1 to {MAX_SLOTS} are.", param="slots")
        if not 0 < self.micro_batch <= 1 << 16:
            raise InvalidRequest(f"A micro-batch of {self.micro_batch} tokens is not possible.", param="micro_batch")
        for kind in (self.type_k, self.type_v):
            if kind not in KV_TYPES:
                raise InvalidRequest(f"A KV cache cannot be kept as '{kind[:20]}'.", f"Use {', '.join(KV_TYPES)}.")
        if self.type_v not in ("F32", "F16", "BF16") and not self.flash_attention:
            raise InvalidRequest("Quantized values need flash attention.", "Keep the values as F16.", param="type_v")

    @property
    def streams(self) -> int:
        """Separate caches."""
        return 1 if self.unified else self.slots

    @property
    def stream_context(self) -> int:
        """Cells of one stream under full attention."""
        return _padded(-(-self.context // self.streams))

    def window_cells(self, window: int) -> int:
        """Cells of one stream of a sliding layer."""
        here = self.slots if self.unified else 1
        return min(self.stream_context, _padded(window * here + self.tokens))

    @property
    def tokens(self) -> int:
        """Tokens computed at once."""
        return min(self.micro_batch, self.context)


@dataclass(frozen=True, slots=True)
class Room:
    """Free memory and what to leave of it, in bytes. `shared`: processor and GPU use one memory (Apple, integrated GPUs)."""

    host_free: int
    gpu_free: int = 0
    host_margin: int = HOST_MARGIN
    gpu_margin: int = GPU_MARGIN
    driver: int = DRIVER_BYTES
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of one kind in main memory and on the GPU."""

    name: str
    host: int
    gpu: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """The answer. Bytes everywhere. `verdict` is "fits", "tight" (within the margin) or "no"; `gpu_layers` of `layers` go to the
    GPU; `margin` is what is left where it is scarcest (negative: missing), of the free memory that `room` told;
    `interval` holds the total, `because` says why it is so wide."""

    verdict: str
    gpu_layers: int
    layers: int
    parts: tuple[Part, ...]
    margin: int
    interval: tuple[int, int]
    because: str
    why: str
    room: Room
    anatomy: Anatomy = field(repr=False)

    @property
    def host(self) -> int:
        return sum(part.host for part in self.parts)

    @property
    def gpu(self) -> int:
        return sum(part.gpu for part in self.parts)

    @property
    def total(self) -> int:
        return self.host + self.gpu


def fit(
    headers: Sequence[Header], load: Load, room: Room, *,
    projector: Header | None = None, draft: Sequence[Header] | None = None, bar: ErrorBar | None = None,
) -> Fit:  # fmt: skip
    """Whether the model fits, and how. `headers` are those of all its files, `bar` what `Calibration` knows of its like."""
    body = anatomy(headers)
    _agree(body, load)
    layers = len(body.layers) + 1
    beside = _beside(load, room, projector, draft)
    if load.gpu_layers is not None:
        tried = [min(max(load.gpu_layers, 0), layers) if room.gpu_free else 0]
    else:
        tried = list(range(layers, -1, -1)) if room.gpu_free else [0]
    for gpu_layers in tried:
        parts = _parts(body, load, gpu_layers, room.driver) + beside
        if _left_gpu(parts, room) >= room.gpu_margin:
            break
    margin, verdict = _verdict(parts, room)
    low, high, because = _interval(body, load, parts, bar)
    where = "all layers" if gpu_layers >= layers else f"{gpu_layers} of {layers} layers"
    why = _why(parts, room, verdict, margin, where)
    return Fit(verdict, gpu_layers, layers, parts, margin, (low, high), because, why, room, body)


def parts_of(body: Anatomy, load: Load, gpu_layers: int = 0) -> tuple[Part, ...]:
    """The engine's own buffers alone, without driver, vision part and draft: what its log shows."""
    _agree(body, load)
    return _parts(body, load, gpu_layers, 0)


def _agree(body: Anatomy, load: Load) -> None:
    """Raises InvalidRequest where llama.cpp would refuse the load: it asserts the same when it makes the context."""
    load.check()
    if not any(layer.key or layer.value for layer in body.layers):
        return
    for kind, length, what in ((load.type_k, body.lengths[0], "keys"), (load.type_v, body.lengths[1], "values")):
        if length % KV_TYPES[kind][0]:
            raise InvalidRequest(
                f"The {what} of this model cannot be kept as {kind}: {length} elements do not divide into its blocks.",
                "Keep the cache as F16.",
            )
    if body.latent and load.type_k != load.type_v:
        raise InvalidRequest(
            "This model reads its values out of its keys: both must be kept in one type.", param="type_v"
        )


def largest_context(headers: Sequence[Header], load: Load, room: Room, most: int) -> int:
    """The largest context (in 256s, at most `most`) with which the model fits; 0 if none does."""
    low, high = 0, max(0, most) // CELLS
    while low < high:
        middle = (low + high + 1) // 2
        if fit(headers, replace(load, context=middle * CELLS), room).verdict == "fits":
            low = middle
        else:
            high = middle - 1
    return low * CELLS


def _parts(body: Anatomy, load: Load, gpu_layers: int, driver: int) -> tuple[Part, ...]:
    """llama.cpp fills a GPU from the back: the output first, then the last layers."""
    count = len(body.layers)
    first = count - max(0, gpu_layers - 1)  # the first layer that is on the GPU
    weights = [layer.weights + layer.experts for layer in body.layers]
    caches = [_cache(body, load, i) for i in range(count)]
    states = [4 * layer.state * load.slots for layer in body.layers]
    # A tied output is the input's own table, unless the output is on the GPU: then that has a copy.
    out_gpu = body.output_bytes + body.tied_bytes if gpu_layers else 0
    out_host = 0 if gpu_layers else body.output_bytes
    compute_host, compute_gpu = _compute(body, load, first if gpu_layers else count, gpu_layers > 0)
    return (
        Part("weights", sum(weights[:first]) + body.input_bytes + out_host, sum(weights[first:]) + out_gpu),
        Part("kv_cache", sum(caches[:first]), sum(caches[first:])),
        Part("states", sum(states[:first]), sum(states[first:])),
        Part("compute", compute_host, compute_gpu),
        Part("output", 4 * load.slots * max(body.vocabulary, body.width)),
        Part("driver", 0, driver if gpu_layers else 0),
    )


def _cache(body: Anatomy, load: Load, index: int) -> int:
    layer = body.layers[index]
    cells = load.window_cells(body.window) if layer.slides else load.stream_context
    return load.streams * cells * (_row(load.type_k, layer.key) + _row(load.type_v, layer.value))


def _row(kind: str, elements: int) -> int:
    """Bytes of a row, padded to the block of its type."""
    block, size = KV_TYPES[kind]
    return -(-elements // block) * size


def _compute(body: Anatomy, load: Load, first: int, output_gpu: bool) -> tuple[int, int]:
    """The compute buffers of (host, GPU): tokens x 4 x (5 widths + the larger of logits and a layer's inner peak) + masks.

    The engine reserves the graph of a whole micro-batch with logits for each token. The masks are f16 with flash attention and
    f32 without, where the scores (heads x cells x 4 a token) and the projections stand beside them. The logits come last: a mask
    at least as large is free by then and takes them. 5 widths were measured with the dry run of llama.cpp; on a GPU they could
    not be measured here, hence the wider interval.
    """
    tokens, each = (load.tokens if body.vocabulary else load.micro_batch), 2 if load.flash_attention else 4
    kinds = {layer.slides for layer in body.layers if layer.key or layer.value}
    cells = [load.window_cells(body.window) if slides else load.stream_context for slides in kinds]
    if not body.vocabulary:  # an encoder keeps no cache: its mask is one of each token against each other
        cells = [tokens]
    masks = [count * tokens * each for count in cells]
    scores = 0 if load.flash_attention or not cells else body.heads * max(cells) + body.projections
    live = 4 * tokens * LIVE_WIDTHS * body.width + sum(masks)
    inner, logits = 4 * tokens * max(body.inner, scores), 4 * tokens * body.vocabulary
    whole = live + (inner if max(masks, default=0) >= logits else max(inner, logits))
    if not output_gpu:
        return whole, 0
    if first <= 0:
        return 4 * tokens * body.width + sum(masks), whole
    return live + inner, whole


def _beside(load: Load, room: Room, projector: Header | None, draft: Sequence[Header] | None) -> tuple[Part, ...]:
    parts: list[Part] = []
    if projector is not None:
        size = sum(tensor.size_bytes for tensor in projector.table) + _vision(projector)
        parts.append(Part("vision", 0 if room.gpu_free else size, size if room.gpu_free else 0))
    if draft is not None:
        body = anatomy(draft)
        own = _parts(body, load, len(body.layers) + 1 if room.gpu_free else 0, 0)
        parts.append(Part("draft", sum(part.host for part in own), sum(part.gpu for part in own)))
    return tuple(parts)


def _vision(header: Header) -> int:
    """A vision part's compute buffer, roughly: patches x 4 x (feed-forward + 8 widths) + the scores. Compared with nothing."""

    def number(name: str, otherwise: int) -> int:
        found = header.keys.get(f"clip.vision.{name}")
        return found if isinstance(found, int) and 0 < found < 1 << 16 else otherwise

    width, feed = number("embedding_length", 1024), number("feed_forward_length", 4096)
    heads = number("attention.head_count", 16)
    patches = (number("image_size", 336) // number("patch_size", 14)) ** 2
    return 4 * patches * (feed + 8 * width) + 4 * heads * patches * patches


def _left_gpu(parts: Sequence[Part], room: Room) -> int:
    """What is left on the GPU; where nothing is placed there, nothing is asked of it."""
    used = sum(part.gpu for part in parts)
    return room.gpu_free - used if used else room.gpu_margin


def _verdict(parts: Sequence[Part], room: Room) -> tuple[int, str]:
    host, gpu = sum(part.host for part in parts), sum(part.gpu for part in parts)
    left = [(room.host_free - host - (gpu if room.shared else 0), room.host_margin)]
    if gpu:
        left.append((room.gpu_free - gpu, room.gpu_margin))
    margin = min(free for free, _ in left)
    if margin < 0:
        return margin, "no"
    return margin, "fits" if all(free >= kept for free, kept in left) else "tight"


def _interval(body: Anatomy, load: Load, parts: Sequence[Part], bar: ErrorBar | None) -> tuple[int, int, str]:
    """(low, high, reason) of the total."""
    total = sum(part.host + part.gpu for part in parts)
    if bar is not None and bar.measured:
        return int(total * bar.low), int(total * bar.high), bar.reason
    by_name = {part.name: part for part in parts}
    compute, cache = by_name["compute"], by_name["kv_cache"]
    width = 4 * load.tokens * body.width
    slack = 2 * width + 16 * MIB + compute.gpu // 2 + by_name["driver"].gpu // 2
    reasons = ["the compute buffer depends on the engine's build" + (" and the GPU" if compute.gpu else "")]
    if not body.known:
        slack += (cache.host + cache.gpu) // 2 + (compute.host + compute.gpu) // 2
        reasons.append(f"the family '{body.architecture[:40]}' is estimated by its common keys only")
    for name in ("vision", "draft"):
        if part := by_name.get(name):
            slack += (part.host + part.gpu) // 10
            reasons.append(f"the {name} part was not compared with the engine")
    # The weights are in the file; nothing is more certain.
    known = by_name["weights"].host + by_name["weights"].gpu
    return max(known, total - slack), total + slack, "not measured on this machine yet: " + "; ".join(reasons)


def _why(parts: Sequence[Part], room: Room, verdict: str, margin: int, where: str) -> str:
    host, gpu = sum(part.host for part in parts), sum(part.gpu for part in parts)
    need = f"{_gib(host)} of {_gib(room.host_free)} free main memory"
    if gpu:
        need = f"{_gib(gpu)} of {_gib(room.gpu_free)} free on the GPU ({where}) and {need}"
    largest = max(parts, key=lambda part: part.host + part.gpu)
    most = f"most of it {largest.name.replace('_', ' ')} ({_gib(largest.host + largest.gpu)})"
    if verdict == "no":
        return f"Does not fit: it needs {need}, {most}; {_gib(-margin)} are missing."
    if verdict == "tight":
        return f"Tight: it needs {need}, {most}; only {_gib(margin)} would be left."
    return f"Fits: it needs {need}, {most}; {_gib(margin)} are left."


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"


def _padded(cells: int) -> int:
    return -(-cells // CELLS) * CELLS
