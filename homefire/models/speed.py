"""Speed: how many tokens a second a model may be expected to write on a machine, with an error bar.

    seconds a token = sum over devices of bytes read / (bandwidth x efficiency)
    bytes read = weights that a token touches (of experts: used / all) + the KV cache as far as it is filled + states

Writing one token reads all of that once, and hardly computes: memory bandwidth decides (the roofline model, Williams 2009).
Reading a prompt is the opposite, hence its own formula: 2 floating-point operations a weight and token.
Promises: pure; a lower and an upper figure always; where a speed was asked for, says whether the machine can reach it at all.
Does not cover: several sequences at once, speculative decoding, a prompt's attention (small below 8,000 tokens), thermal limits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from homefire.errors import InvalidRequest
from homefire.models.calibration import ErrorBar
from homefire.models.fit import Load, parts_of
from homefire.models.fit_layers import Anatomy

# Of the bandwidth on the data sheet, what llama.cpp reaches with one sequence: (low, expected, high). Rough
# assumptions, wide on purpose and measured by nobody here: calibration replaces them after the first runs.
GPU_EFFICIENCY = (0.35, 0.6, 0.8)
HOST_EFFICIENCY = (0.45, 0.7, 0.9)
# Starting kernels, sampling, the way to the client: seconds a token, whatever the model's size.
OVERHEAD = 0.0003
GUESSED = "from memory bandwidth alone, not measured here yet"


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bytes a second from main memory and, where there is one, the GPU's memory; `flops`: operations a second, 0 if unknown."""

    host: float
    gpu: float = 0.0
    flops: float = 0.0


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second written: expected, and between `low` and `high`. `ceiling`: what the data sheet allows at the very most.
    `prompt`: tokens a second read at most, 0 if unknown. `host_share`: the part of the time spent in main memory, 0 to 1."""

    expected: float
    low: float
    high: float
    ceiling: float
    prompt: float
    host_share: float
    why: str


def bytes_a_token(body: Anatomy, load: Load, gpu_layers: int, filled: int) -> tuple[int, int]:
    """Bytes read for one token from (main memory, GPU), with `filled` tokens in the cache of one sequence.

    Of the input's tables one row is read, which is nothing, except where the output is the same table: that is read whole.
    """
    share = body.experts_used / body.experts if body.experts else 1.0
    first = len(body.layers) - max(0, gpu_layers - 1)
    read = [layer.weights + int(layer.experts * min(1.0, share)) for layer in body.layers]
    one = Load(
        max(1, filled), 1, True, load.type_k, load.type_v, load.micro_batch, flash_attention=load.flash_attention
    )
    cached = {part.name: part for part in parts_of(body, one, gpu_layers)}
    beside = ("kv_cache", "states") if filled else ("states",)
    host = sum(read[:first]) + sum(cached[name].host for name in beside)
    gpu = sum(read[first:]) + sum(cached[name].gpu for name in beside)
    out = body.output_bytes + body.tied_bytes
    return (host, gpu + out) if gpu_layers else (host + out, gpu)


def speed(
    body: Anatomy, load: Load, gpu_layers: int, bandwidth: Bandwidth, *, filled: int = 1024, bar: ErrorBar | None = None
) -> Speed:
    """The speed with `gpu_layers` on the GPU; `bar` is what was measured here (tokens a second: measured / expected).

    Raises InvalidRequest where layers lie in a memory of which the bandwidth is not known.
    """
    host, gpu = bytes_a_token(body, load, gpu_layers, filled)
    if (host and not bandwidth.host > 0) or (gpu and not bandwidth.gpu > 0):
        raise InvalidRequest("The speed cannot be told: the bandwidth of a memory that is used is not known.")
    rates = [
        1 / (OVERHEAD + _seconds(host, bandwidth.host, on_host) + _seconds(gpu, bandwidth.gpu, on_gpu))
        for on_host, on_gpu in zip(HOST_EFFICIENCY, GPU_EFFICIENCY, strict=True)
    ]
    low, expected, high = rates
    reason = GUESSED
    if bar is not None and bar.measured:
        low, expected, high = expected * bar.low, expected * bar.ratio, expected * bar.high
        reason = bar.reason
    in_host = _seconds(host, bandwidth.host, HOST_EFFICIENCY[1])
    in_gpu = _seconds(gpu, bandwidth.gpu, GPU_EFFICIENCY[1])
    share = in_host / (in_host + in_gpu) if in_host + in_gpu else 0.0
    ceiling = 1 / max(_seconds(host, bandwidth.host, 1.0) + _seconds(gpu, bandwidth.gpu, 1.0), 1e-9)
    touched = body.parameters_read
    prompt = bandwidth.flops / (2 * touched) if touched else 0.0
    return Speed(expected, low, high, ceiling, prompt, share, _why(host, gpu, (low, expected, high), share, reason))


def speed_between(
    body: Anatomy, load: Load, gpu_layers: int, bandwidths: tuple[Bandwidth, Bandwidth, Bandwidth], *,
    filled: int = 1024, bar: ErrorBar | None = None,
) -> Speed:  # fmt: skip
    """As `speed`, where the bandwidths are known only to lie between the first and the last; the middle one is the usual.
    What was measured here counts for more than that: then it is the usual one with the bar."""
    filled = min(filled, load.context)
    low, usual, high = (speed(body, load, gpu_layers, each, filled=filled, bar=bar) for each in bandwidths)
    if bar is not None and bar.measured:
        return usual
    host, gpu = bytes_a_token(body, load, gpu_layers, filled)
    why = _why(host, gpu, (low.low, usual.expected, high.high), usual.host_share, GUESSED)
    return replace(usual, low=low.low, high=high.high, ceiling=high.ceiling, why=why)


def reachable(found: Speed, hoped: float) -> str:
    """One honest sentence about a hoped-for rate (tokens a second)."""
    if hoped <= found.low:
        return f"{hoped:g} tokens a second can be expected here ({found.low:.1f} to {found.high:.1f})."
    if hoped <= found.high:
        return f"{hoped:g} tokens a second are possible here, not certain ({found.low:.1f} to {found.high:.1f})."
    if hoped <= found.ceiling:
        return f"{hoped:g} tokens a second are not to be expected here: {found.high:.1f} at best."
    return f"{hoped:g} tokens a second cannot be reached here: the memory itself allows {found.ceiling:.1f} at the very most."


def _seconds(size: int, bandwidth: float, efficiency: float) -> float:
    return size / (bandwidth * efficiency) if size else 0.0


def _why(host: int, gpu: int, rates: tuple[float, float, float], share: float, reason: str) -> str:
    low, expected, high = rates
    places = [
        f"{size / 1e9:.2f} GB from {place}"
        for size, place in ((gpu, "the GPU's memory"), (host, "main memory"))
        if size
    ]
    slow = f"; {share:.0%} of the time goes to main memory" if gpu and share > 0.2 else ""
    read = " and ".join(places) or "nothing"
    return f"Each token reads {read}{slow}: about {expected:.1f} tokens a second ({low:.1f} to {high:.1f}), {reason}."
