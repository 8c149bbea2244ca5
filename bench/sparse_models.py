"""Models of true dimensions as sparse files: a real header and table of tensors, and a hole where the weights would be.

The dimensions are those of the published `config.json` files, the tensors' names and shapes those that llama.cpp's converter
writes. Matrices are Q4_K where a row divides into its blocks (else Q8_0, else F16), vectors F32.
Promises: a file takes as much of the disk as its header; llama.cpp reads it, and would load it where there is memory enough.
Does not cover: a tokenizer (`no_vocab`), weights that mean anything.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Key = str | int | float | bool | list[int] | list[bool]
Row = tuple[str, tuple[int, ...], int]
F32, F16, Q8_0, Q4_K, TQ2_0, MXFP4 = 0, 1, 8, 12, 35, 39
_BLOCKS = {F32: (1, 4), F16: (1, 2), Q8_0: (32, 34), Q4_K: (256, 144), TQ2_0: (256, 66), MXFP4: (32, 17)}


@dataclass(frozen=True, slots=True)
class Shape:
    """A model: `keys` without the architecture's prefix, and how its tensors are listed."""

    architecture: str
    keys: dict[str, Key]
    tensors: Callable[[dict[str, Key]], Iterator[Row]]


def write(path: Path, shape: Shape) -> Path:
    """Writes the file. The hole reads as zeros, which every type of tensor takes for zero."""
    keys: list[bytes] = [_key("general.architecture", shape.architecture), _key("tokenizer.ggml.model", "no_vocab")]
    keys += [_key("tokenizer.ggml.token_type_count", 2)]  # what llama.cpp asks of a BERT
    keys += [_key(f"{shape.architecture}.{name}", value) for name, value in shape.keys.items()]
    rows, at = [], 0
    for name, dimensions, kind in shape.tensors(shape.keys):
        rows.append(_text(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, at))
        elements = 1
        for length in dimensions:
            elements *= length
        block, size = _BLOCKS[kind]
        assert dimensions[0] % block == 0, (name, dimensions)
        at += -(-elements // block * size // 32) * 32
    head = b"GGUF" + struct.pack("<IQQ", 3, len(rows), len(keys)) + b"".join(keys) + b"".join(rows)
    head += bytes(-len(head) % 32)
    path.write_bytes(head)
    os.truncate(path, len(head) + at)
    return path


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _key(name: str, value: Key) -> bytes:
    if isinstance(value, bool):
        return _text(name) + struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return _text(name) + struct.pack("<II", 4, value)
    if isinstance(value, float):
        return _text(name) + struct.pack("<If", 6, value)
    if isinstance(value, str):
        return _text(name) + struct.pack("<I", 8) + _text(value)
    if isinstance(value[0], bool):
        return _text(name) + struct.pack(f"<IIQ{len(value)}?", 9, 7, len(value), *value)
    return _text(name) + struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value)


def _matrix(name: str, *dimensions: int) -> Row:
    kind = Q4_K if dimensions[0] % 256 == 0 else Q8_0 if dimensions[0] % 32 == 0 else F16
    return f"{name}.weight", dimensions, kind


def _vector(name: str, *dimensions: int) -> Row:
    return name if name.endswith((".bias", "ssm_a", "ssm_d")) else f"{name}.weight", dimensions, F32


def _number(keys: dict[str, Key], name: str, otherwise: int = 0) -> int:
    value = keys.get(name, otherwise)
    assert isinstance(value, int)
    return value


def _decoder(
    *, tied: bool = False, bias: bool = False, qk_norm: bool = False, post_norms: bool = False, rope: int = 0
) -> Callable[[dict[str, Key]], Iterator[Row]]:
    """Tensors of the Llama family: separate q, k, v; gated feed-forward or experts."""

    def rows(keys: dict[str, Key]) -> Iterator[Row]:
        e, h, g = (_number(keys, n) for n in ("embedding_length", "attention.head_count", "attention.head_count_kv"))
        d, v = _number(keys, "attention.key_length", e // h), _number(keys, "vocab_size")
        yield _matrix("token_embd", e, v)
        yield _vector("output_norm", e)
        if not tied:
            yield _matrix("output", e, v)
        if rope:
            yield _vector("rope_freqs", rope)
        for i in range(_number(keys, "block_count")):
            b = f"blk.{i}."
            yield _vector(b + "attn_norm", e)
            yield from (
                _matrix(b + "attn_q", e, h * d),
                _matrix(b + "attn_k", e, g * d),
                _matrix(b + "attn_v", e, g * d),
            )
            yield _matrix(b + "attn_output", h * d, e)
            if bias:
                yield from (_vector(b + f"attn_{x}.bias", n * d) for x, n in (("q", h), ("k", g), ("v", g)))
            if qk_norm:
                yield from (_vector(b + "attn_q_norm", d), _vector(b + "attn_k_norm", d))
            if post_norms:
                yield from (_vector(b + "post_attention_norm", e), _vector(b + "post_ffw_norm", e))
            yield _vector(b + "ffn_norm", e)
            yield from _feed_forward(keys, b)

    return rows


def _feed_forward(keys: dict[str, Key], b: str, shared: int = 0) -> Iterator[Row]:
    e, f, n = (_number(keys, x) for x in ("embedding_length", "feed_forward_length", "expert_count"))
    if n:
        x = _number(keys, "expert_feed_forward_length", f)
        yield ("%sffn_gate_inp.weight" % b, (e, n), F32)  # noqa: UP031
        yield from (_matrix(b + "ffn_gate_exps", e, x, n), _matrix(b + "ffn_up_exps", e, x, n))
        yield _matrix(b + "ffn_down_exps", x, e, n)
        f = shared * x
        ends = "_shexp"
    else:
        ends = ""
    if f and (not n or shared):
        yield from (_matrix(b + "ffn_gate" + ends, e, f), _matrix(b + "ffn_up" + ends, e, f))
        yield _matrix(b + "ffn_down" + ends, f, e)


def _phi3(keys: dict[str, Key]) -> Iterator[Row]:
    e, h, g = (_number(keys, n) for n in ("embedding_length", "attention.head_count", "attention.head_count_kv"))
    f, v, d = _number(keys, "feed_forward_length"), _number(keys, "vocab_size"), e // h
    yield from (_matrix("token_embd", e, v), _vector("output_norm", e), _matrix("output", e, v))
    for i in range(_number(keys, "block_count")):
        b = f"blk.{i}."
        yield from (_vector(b + "attn_norm", e), _matrix(b + "attn_qkv", e, (h + 2 * g) * d))
        yield from (_matrix(b + "attn_output", h * d, e), _vector(b + "ffn_norm", e))
        yield from (_matrix(b + "ffn_up", e, 2 * f), _matrix(b + "ffn_down", f, e))


def _gpt_oss(keys: dict[str, Key]) -> Iterator[Row]:
    e, h, g = (_number(keys, n) for n in ("embedding_length", "attention.head_count", "attention.head_count_kv"))
    d, v, n = (_number(keys, x) for x in ("attention.key_length", "vocab_size", "expert_count"))
    x = _number(keys, "expert_feed_forward_length")
    yield from (_matrix("token_embd", e, v), _vector("output_norm", e), _matrix("output", e, v))
    for i in range(_number(keys, "block_count")):
        b = f"blk.{i}."
        yield from (_vector(b + "attn_norm", e), _vector(b + "post_attention_norm", e), _vector(b + "attn_sinks", h))
        for part, heads in (("q", h), ("k", g), ("v", g)):
            yield from (_matrix(f"{b}attn_{part}", e, heads * d), _vector(f"{b}attn_{part}.bias", heads * d))
        yield from (_matrix(b + "attn_output", h * d, e), _vector(b + "attn_output.bias", e))
        yield from ((b + "ffn_gate_inp.weight", (e, n), F32), _vector(b + "ffn_gate_inp.bias", n))
        for part, width, out in (("gate", e, x), ("up", e, x), ("down", x, e)):
            yield (f"{b}ffn_{part}_exps.weight", (width, out, n), MXFP4)
            yield _vector(f"{b}ffn_{part}_exps.bias", out, n)


def _deepseek2(keys: dict[str, Key]) -> Iterator[Row]:
    e, h, v, c = (
        _number(keys, n) for n in ("embedding_length", "attention.head_count", "vocab_size", "attention.kv_lora_rank")
    )
    k, o = _number(keys, "attention.key_length_mla"), _number(keys, "attention.value_length_mla")
    rope, dense = _number(keys, "rope.dimension_count"), _number(keys, "leading_dense_block_count")
    yield from (_matrix("token_embd", e, v), _vector("output_norm", e), _matrix("output", e, v))
    for i in range(_number(keys, "block_count")):
        b = f"blk.{i}."
        yield from (_vector(b + "attn_norm", e), _matrix(b + "attn_kv_a_mqa", e, c + rope))
        if q := _number(keys, "attention.q_lora_rank"):
            yield from (
                _matrix(b + "attn_q_a", e, q),
                _vector(b + "attn_q_a_norm", q),
                _matrix(b + "attn_q_b", q, h * k),
            )
        else:
            yield _matrix(b + "attn_q", e, h * k)
        yield from (
            _vector(b + "attn_kv_a_norm", c),
            _matrix(b + "attn_k_b", k - rope, c, h),
            _matrix(b + "attn_v_b", c, o, h),
        )
        yield from (_matrix(b + "attn_output", h * o, e), _vector(b + "ffn_norm", e))
        without = {**keys, "expert_count": 0}
        yield from _feed_forward(without if i < dense else keys, b, _number(keys, "expert_shared_count"))


def _bert(keys: dict[str, Key]) -> Iterator[Row]:
    e, f, v = (_number(keys, n) for n in ("embedding_length", "feed_forward_length", "vocab_size"))
    yield from (_matrix("token_embd", e, v), ("position_embd.weight", (e, _number(keys, "context_length")), F32))
    yield from (("token_types.weight", (e, 2), F32), _vector("token_embd_norm", e), _vector("token_embd_norm.bias", e))
    for i in range(_number(keys, "block_count")):
        b = f"blk.{i}."
        for part, width, out in (("attn_q", e, e), ("attn_k", e, e), ("attn_v", e, e), ("attn_output", e, e),
                                 ("ffn_up", e, f), ("ffn_down", f, e)):  # fmt: skip
            yield from (_matrix(b + part, width, out), _vector(b + part + ".bias", out))
        for part in ("attn_output_norm", "layer_output_norm"):
            yield from (_vector(b + part, e), _vector(b + part + ".bias", e))


def _ssm(keys: dict[str, Key], b: str, norms: bool) -> Iterator[Row]:
    e, c, n, s, r = (_number(keys, x) for x in ("embedding_length", "ssm.conv_kernel", "ssm.inner_size", "ssm.state_size",
                                                "ssm.time_step_rank"))  # fmt: skip
    yield from (_matrix(b + "ssm_in", e, 2 * n), _vector(b + "ssm_conv1d", c, n), _vector(b + "ssm_conv1d.bias", n))
    yield from (_matrix(b + "ssm_x", n, r + 2 * s), _matrix(b + "ssm_dt", r, n), _vector(b + "ssm_dt.bias", n))
    yield from (_vector(b + "ssm_a", s, n), _vector(b + "ssm_d", n), _matrix(b + "ssm_out", n, e))
    if norms:
        yield from (_vector(b + "ssm_dt_norm", r), _vector(b + "ssm_b_norm", s), _vector(b + "ssm_c_norm", s))


def _mamba(keys: dict[str, Key]) -> Iterator[Row]:
    e, v = _number(keys, "embedding_length"), _number(keys, "vocab_size")
    yield from (_matrix("token_embd", e, v), _vector("output_norm", e))
    for i in range(_number(keys, "block_count")):
        yield _vector(f"blk.{i}.attn_norm", e)
        yield from _ssm(keys, f"blk.{i}.", False)


def _jamba(keys: dict[str, Key]) -> Iterator[Row]:
    e, v, h = (_number(keys, n) for n in ("embedding_length", "vocab_size", "attention.head_count"))
    kv = keys["attention.head_count_kv"]
    assert isinstance(kv, list)
    d = e // h
    yield from (_matrix("token_embd", e, v), _vector("output_norm", e), _matrix("output", e, v))
    for i, g in enumerate(kv):
        b = f"blk.{i}."
        yield from (_vector(b + "attn_norm", e), _vector(b + "ffn_norm", e))
        if g:
            yield from (
                _matrix(b + "attn_q", e, h * d),
                _matrix(b + "attn_k", e, g * d),
                _matrix(b + "attn_v", e, g * d),
            )
            yield _matrix(b + "attn_output", h * d, e)
        else:
            yield from _ssm(keys, b, True)
        yield from _feed_forward(keys if i % 2 else {**keys, "expert_count": 0}, b)


def _mamba2(keys: dict[str, Key]) -> Iterator[Row]:
    e, v, c, n, s, g, h = (
        _number(keys, x)
        for x in ("embedding_length", "vocab_size", "ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.group_count",
                  "ssm.time_step_rank")
    )  # fmt: skip
    yield from (_matrix("token_embd", e, v), _vector("output_norm", e))
    for i in range(_number(keys, "block_count")):
        b = f"blk.{i}."
        yield from (_vector(b + "attn_norm", e), _matrix(b + "ssm_in", e, 2 * n + 2 * g * s + h))
        yield from (_vector(b + "ssm_conv1d", c, n + 2 * g * s), _vector(b + "ssm_conv1d.bias", n + 2 * g * s))
        yield from (_vector(b + "ssm_dt.bias", h), _vector(b + "ssm_a", 1, h), _vector(b + "ssm_d", 1, h))
        yield from (_vector(b + "ssm_norm", n // g, g), _matrix(b + "ssm_out", n, e))


def _phi2(keys: dict[str, Key]) -> Iterator[Row]:
    e, f, v = (_number(keys, n) for n in ("embedding_length", "feed_forward_length", "vocab_size"))
    yield from (_matrix("token_embd", e, v), _vector("output_norm", e), _vector("output_norm.bias", e))
    yield from (_matrix("output", e, v), _vector("output.bias", v))
    for i in range(_number(keys, "block_count")):
        b = f"blk.{i}."
        yield from (_vector(b + "attn_norm", e), _vector(b + "attn_norm.bias", e))
        for part, width, out in (("attn_qkv", e, 3 * e), ("attn_output", e, e), ("ffn_up", e, f), ("ffn_down", f, e)):
            yield from (_matrix(b + part, width, out), _vector(b + part + ".bias", out))


def _bitnet(keys: dict[str, Key]) -> Iterator[Row]:
    e, f, h, v = (
        _number(keys, n) for n in ("embedding_length", "feed_forward_length", "attention.head_count", "vocab_size")
    )
    yield from (_matrix("token_embd", e, v), _vector("output_norm", e))
    for i in range(_number(keys, "block_count")):
        b, g = f"blk.{i}.", _number(keys, "attention.head_count_kv") * (e // h)
        for name, width in (("attn_norm", e), ("attn_sub_norm", e), ("ffn_norm", e), ("ffn_sub_norm", f)):
            yield _vector(b + name, width)
        for name, width, out in (("attn_q", e, e), ("attn_k", e, g), ("attn_v", e, g), ("attn_output", e, e),
                                 ("ffn_gate", e, f), ("ffn_up", e, f), ("ffn_down", f, e)):  # fmt: skip
            kind = TQ2_0 if width % 256 == 0 else F16
            yield (f"{b}{name}.weight", (width, out), kind)


def _lfm2(keys: dict[str, Key]) -> Iterator[Row]:
    e, v, h = (_number(keys, n) for n in ("embedding_length", "vocab_size", "attention.head_count"))
    kv, d = keys["attention.head_count_kv"], e // h
    assert isinstance(kv, list)
    yield from (_matrix("token_embd", e, v), _vector("token_embd_norm", e))
    for i, g in enumerate(kv):
        b = f"blk.{i}."
        yield from (_vector(b + "attn_norm", e), _vector(b + "ffn_norm", e))
        if g:
            yield from (_matrix(b + "attn_q", e, h * d), _matrix(b + "attn_k", e, g * d))
            yield from (_matrix(b + "attn_v", e, g * d), _matrix(b + "attn_output", h * d, e))
            yield from (_vector(b + "attn_q_norm", d), _vector(b + "attn_k_norm", d))
        else:
            yield _vector(b + "shortconv.conv", _number(keys, "shortconv.l_cache"), e)
            yield from (_matrix(b + "shortconv.in_proj", e, 3 * e), _matrix(b + "shortconv.out_proj", e, e))
        yield from _feed_forward(keys, b)


def _qwen3next(keys: dict[str, Key]) -> Iterator[Row]:
    e, v, h, g, d, n, s, k, r = (
        _number(keys, x)
        for x in ("embedding_length", "vocab_size", "attention.head_count", "attention.head_count_kv",
                  "attention.key_length", "ssm.inner_size", "ssm.state_size", "ssm.group_count", "ssm.time_step_rank")
    )  # fmt: skip
    yield from (_matrix("token_embd", e, v), _vector("output_norm", e), _matrix("output", e, v))
    mixed = 2 * k * s + n
    for i in range(_number(keys, "block_count")):
        b = f"blk.{i}."
        yield from (_vector(b + "attn_norm", e), _vector(b + "post_attention_norm", e))
        if (i + 1) % 4:
            yield from (
                _matrix(b + "attn_qkv", e, mixed),
                _matrix(b + "attn_gate", e, n),
                _vector(b + "ssm_conv1d", 4, mixed),
            )
            yield from (_vector(b + "ssm_dt.bias", r), _vector(b + "ssm_a", r), _matrix(b + "ssm_ba", e, 2 * r))
            yield from (_vector(b + "ssm_norm", s), _matrix(b + "ssm_out", n, e))
        else:
            yield from (_matrix(b + "attn_q", e, 2 * h * d), _matrix(b + "attn_k", e, g * d))
            yield from (_matrix(b + "attn_v", e, g * d), _matrix(b + "attn_output", h * d, e))
            yield from (_vector(b + "attn_q_norm", d), _vector(b + "attn_k_norm", d))
        yield _vector(b + "ffn_gate_inp_shexp", e)
        yield from _feed_forward(keys, b, 1)


def _keys(layers: int, width: int, feed: int, heads: int, groups: int, vocab: int, **more: Key) -> dict[str, Key]:  # noqa: PLR0917
    """The keys that nearly all have, in the order in which a model's dimensions are told; in `more`, __ stands for a dot."""
    found: dict[str, Key] = {
        "context_length": 131_072, "block_count": layers, "embedding_length": width, "feed_forward_length": feed,
        "attention.head_count": heads, "attention.head_count_kv": groups, "vocab_size": vocab,
        "attention.layer_norm_rms_epsilon": 1e-6,
    }  # fmt: skip
    return found | {name.replace("__", "."): value for name, value in more.items()}


def _lengths(size: int) -> dict[str, Key]:
    return {"attention__key_length": size, "attention__value_length": size}


MODELS: dict[str, Shape] = {
    "tinyllama-1.1b": Shape("llama", _keys(22, 2048, 5632, 32, 4, 32_000), _decoder()),
    "llama-3.1-8b": Shape("llama", _keys(32, 4096, 14_336, 32, 8, 128_256), _decoder(rope=64)),
    "llama-3.1-70b": Shape("llama", _keys(80, 8192, 28_672, 64, 8, 128_256), _decoder(rope=64)),
    "codellama-34b": Shape("llama", _keys(48, 8192, 22_016, 64, 8, 32_016), _decoder()),
    "mixtral-8x7b": Shape(
        "llama", _keys(32, 4096, 14_336, 32, 8, 32_000, expert_count=8, expert_used_count=2), _decoder()
    ),
    "qwen2.5-72b": Shape("qwen2", _keys(80, 8192, 29_568, 64, 8, 152_064), _decoder(bias=True)),
    "qwen3-0.6b": Shape("qwen3", _keys(28, 1024, 3072, 16, 8, 151_936, **_lengths(128)), _decoder(tied=True, qk_norm=True)),
    "qwen3-8b": Shape("qwen3", _keys(36, 4096, 12_288, 32, 8, 151_936, **_lengths(128)), _decoder(qk_norm=True)),
    "qwen3-30b-a3b": Shape(
        "qwen3moe",
        _keys(48, 2048, 6144, 32, 4, 151_936, expert_count=128, expert_used_count=8, expert_feed_forward_length=768,
              **_lengths(128)),
        _decoder(qk_norm=True),
    ),
    "gemma-2-9b": Shape(
        "gemma2",
        _keys(42, 3584, 14_336, 16, 8, 256_000, attention__sliding_window=4096, **_lengths(256)),
        _decoder(tied=True, post_norms=True),
    ),
    "gemma-3-4b": Shape(
        "gemma3",
        _keys(34, 2560, 10_240, 8, 4, 262_208, attention__sliding_window=1024, **_lengths(256)),
        _decoder(tied=True, qk_norm=True, post_norms=True),
    ),
    "gemma-3-27b": Shape(
        "gemma3",
        _keys(62, 5376, 21_504, 32, 16, 262_208, attention__sliding_window=1024, **_lengths(128)),
        _decoder(tied=True, qk_norm=True, post_norms=True),
    ),
    "phi-3-mini": Shape("phi3", _keys(32, 3072, 8192, 32, 32, 32_064, attention__sliding_window=2047,
                                      rope__dimension_count=96), _phi3),
    "phi-4": Shape("phi3", _keys(40, 5120, 17_920, 40, 10, 100_352, attention__sliding_window=0,
                                 rope__dimension_count=128), _phi3),
    "gpt-oss-20b": Shape(
        "gpt-oss",
        _keys(24, 2880, 2880, 64, 8, 201_088, expert_count=32, expert_used_count=4, expert_feed_forward_length=2880,
              attention__sliding_window=128, **_lengths(64)),
        _gpt_oss,
    ),
    "deepseek-v2-lite": Shape(
        "deepseek2",
        _keys(27, 2048, 10_944, 16, 1, 102_400, expert_count=64, expert_used_count=6, expert_feed_forward_length=1408,
              expert_shared_count=2, expert_weights_scale=1.0, leading_dense_block_count=1, rope__dimension_count=64,
              attention__kv_lora_rank=512, attention__key_length=576, attention__value_length=512,
              attention__key_length_mla=192, attention__value_length_mla=128),
        _deepseek2,
    ),
    "deepseek-v3": Shape(
        "deepseek2",
        _keys(61, 7168, 18_432, 128, 1, 129_280, expert_count=256, expert_used_count=8, expert_feed_forward_length=2048,
              expert_shared_count=1, expert_weights_scale=2.5, expert_weights_norm=True, expert_gating_func=2,
              leading_dense_block_count=3, rope__dimension_count=64, attention__q_lora_rank=1536,
              attention__kv_lora_rank=512, attention__key_length=576, attention__value_length=512,
              attention__key_length_mla=192, attention__value_length_mla=128),
        _deepseek2,
    ),
    "minilm-l6": Shape(
        "bert",
        _keys(6, 384, 1536, 12, 12, 30_522, attention__layer_norm_epsilon=1e-12, attention__causal=False,
              pooling_type=1, context_length=512),
        _bert,
    ),
    "mamba-2.8b": Shape(
        "mamba",
        _keys(64, 2560, 0, 0, 0, 50_280, ssm__conv_kernel=4, ssm__inner_size=5120, ssm__state_size=16,
              ssm__time_step_rank=160),
        _mamba,
    ),
    "jamba-mini": Shape(
        "jamba",
        _keys(32, 4096, 14_336, 32, 0, 65_536, expert_count=16, expert_used_count=2, ssm__conv_kernel=4,
              ssm__inner_size=8192, ssm__state_size=16, ssm__time_step_rank=256)
        | {"attention.head_count_kv": [8 if i % 8 == 4 else 0 for i in range(32)]},
        _jamba,
    ),
    "mamba2-2.7b": Shape(
        "mamba2",
        _keys(64, 2560, 0, 0, 0, 50_288, ssm__conv_kernel=4, ssm__inner_size=5120, ssm__state_size=128, ssm__group_count=1,
              ssm__time_step_rank=80),
        _mamba2,
    ),
    "lfm2-1.2b": Shape(
        "lfm2",
        _keys(16, 2048, 8192, 32, 0, 65_536, shortconv__l_cache=3)
        | {"attention.head_count_kv": [8 if i in (2, 5, 8, 10, 12, 14) else 0 for i in range(16)]},
        _lfm2,
    ),
    "qwen3-next-80b-a3b": Shape(
        "qwen3next",
        _keys(48, 2048, 5120, 16, 2, 151_936, expert_count=512, expert_used_count=10, expert_feed_forward_length=512,
              expert_shared_feed_forward_length=512, ssm__conv_kernel=4, ssm__inner_size=4096, ssm__state_size=128,
              ssm__group_count=16, ssm__time_step_rank=32, rope__dimension_count=64, **_lengths(256)),
        _qwen3next,
    ),
    "gemma-2b": Shape("gemma", _keys(18, 2048, 16_384, 8, 1, 256_000, **_lengths(256)), _decoder(tied=True)),
    "moondream2": Shape(
        "phi2",
        _keys(24, 2048, 8192, 32, 32, 51_200, attention__layer_norm_epsilon=1e-5, rope__dimension_count=32),
        _phi2,
    ),
    "bitnet-3b": Shape("bitnet", _keys(26, 3200, 8640, 32, 32, 32_002), _bitnet),
}  # fmt: skip
