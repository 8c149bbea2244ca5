"""Fit: the arithmetic against figures worked out by hand, the placing of layers, the interval, calibration, hostile headers.

Promises: KV caches of eight architectures are exact to the byte; layers go to the GPU as long as they fit and no further; any
header gives a Fit or BadModelFile.
Does not cover: the engine's own word on it (`tests/process/test_fit_engine.py`, `bench fit`).
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.sparse_models import MODELS, write
from homefire.errors import BadModelFile, InvalidRequest
from homefire.models.calibration import Calibration, Record
from homefire.models.fit import GPU_MARGIN, MIB, Fit, Load, Room, fit, largest_context, parts_of
from homefire.models.fit_layers import anatomy
from homefire.models.gguf import Header, Tensor, read_header

GIB = 1 << 30
AMPLE = Room(1 << 50)


@cache
def header(name: str) -> Header:
    with TemporaryDirectory() as folder:
        return read_header(write(Path(folder) / "x.gguf", MODELS[name]))


def part(name: str, load: Load, kind: str = "kv_cache", gpu_layers: int = 0) -> int:
    return {p.name: p.host + p.gpu for p in parts_of(anatomy([header(name)]), load, gpu_layers)}[kind]


def changed(name: str, **keys: object) -> Header:
    """The header with keys replaced; two underscores stand for a dot, None takes a key away."""
    old = header(name)
    new = {f"{old.architecture}.{key.replace('__', '.')}": value for key, value in keys.items()}
    return replace(old, keys={key: value for key, value in {**old.keys, **new}.items() if value is not None})


# docs: what an exact layout gives at 32k in f16, in MiB.
AT_32K = {
    "llama-3.1-8b": 32 * 2 * 8 * 128 * 2 * 32_768 / MIB,
    "llama-3.1-70b": 10_240,
    "qwen2.5-72b": 10_240,
    "qwen3-30b-a3b": 3072,
    "gpt-oss-20b": 768 + 12 * 2 * 8 * 64 * 2 * 768 / MIB,  # 12 layers over all, 12 over a window of 128 + 512, in 256s
    "gemma-3-27b": 2560 + 52 * 2 * 16 * 128 * 2 * 1536 / MIB,  # every sixth of 62 layers over all
    "phi-3-mini": 12_288,  # 32 heads, none grouped; its window is not used
    "deepseek-v3": 61 * 576 * 2 * 32_768 / MIB,  # one latent row, no values
    "deepseek-v2-lite": 972,
    "jamba-mini": 512,  # 4 of 32 layers
    "mamba-2.8b": 0,
    "minilm-l6": 0,
}


@pytest.mark.parametrize("name", AT_32K)
def test_the_cache_is_exact(name: str) -> None:
    assert part(name, Load(32_768)) == AT_32K[name] * MIB


def test_the_cache_of_quantized_rows() -> None:
    assert part("llama-3.1-8b", Load(4096, type_k="Q8_0", type_v="Q8_0")) == 512 * MIB * 34 // 64
    assert part("llama-3.1-8b", Load(4096, type_k="Q8_0")) == 256 * MIB + 256 * MIB * 34 // 64
    assert part("deepseek-v3", Load(32_768, type_k="Q8_0", type_v="Q8_0")) == 61 * 32_768 * 18 * 34


def test_a_cache_that_the_engine_would_refuse_is_refused() -> None:
    odd = changed("llama-3.1-8b", attention__key_length=100)
    with pytest.raises(InvalidRequest, match=r"keys .* as Q8_0: 100 elements"):
        fit([odd], Load(type_k="Q8_0"), AMPLE)
    assert fit([odd], Load(type_v="Q8_0"), AMPLE).total > 0
    with pytest.raises(InvalidRequest, match="one type"):
        fit([header("deepseek-v3")], Load(type_k="Q8_0"), AMPLE)
    assert fit([header("minilm-l6")], Load(type_k="Q8_0"), AMPLE).total > 0, "no cache, no types"


def test_slots_share_a_cache_or_have_their_own() -> None:
    assert part("llama-3.1-8b", Load(4096, 4, True)) == part("llama-3.1-8b", Load(4096, 4, False)) == 512 * MIB
    # 5,000 tokens for 3 slots: 1,667 each, in 256s 1,792.
    assert part("llama-3.1-8b", Load(5000, 3, False)) == 3 * 1792 * 128 * 1024
    one, shared, own = (
        part("gemma-3-4b", Load(32_768, slots, unified)) // MIB for slots, unified in ((1, True), (4, True), (4, False))
    )
    assert (one, shared, own) == (814, 1162, 1336), "windows: 1,536 cells; 4 x 1,024 + 512; 4 x 1,536"
    assert part("gemma-3-4b", Load(1024)) == 34 * 2 * 4 * 256 * 2 * 1024, "a window is never larger than the context"


def test_the_file_may_say_itself_which_layers_slide() -> None:
    said = changed("gemma-3-4b", attention__sliding_window_pattern=[True, False])
    assert [layer.slides for layer in anatomy([said]).layers[:3]] == [True, False, True]
    period = changed("gemma-3-4b", attention__sliding_window_pattern=3)
    assert [layer.slides for layer in anatomy([period]).layers[:4]] == [True, True, False, True]
    without = changed("gemma-3-4b", attention__sliding_window=0)
    assert not any(layer.slides for layer in anatomy([without]).layers)


def test_heads_of_each_layer_and_states() -> None:
    body = anatomy([header("jamba-mini")])
    assert [i for i, layer in enumerate(body.layers) if layer.key] == [4, 12, 20, 28]
    assert [i for i, layer in enumerate(body.layers) if not layer.state] == [4, 12, 20, 28]
    assert part("jamba-mini", Load(4096, 4), "states") == 4 * 28 * 4 * (3 * 8192 + 16 * 8192)
    assert part("mamba-2.8b", Load(4096), "states") == 64 * 4 * (3 * 5120 + 16 * 5120)
    assert part("mamba-2.8b", Load(32_768), "states") == part("mamba-2.8b", Load(256), "states"), "whatever the context"


@pytest.mark.parametrize("name", MODELS)
def test_weights_are_those_of_the_file_wherever_they_lie(name: str) -> None:
    found = header(name)
    size = sum(tensor.size_bytes for tensor in found.table)
    body = anatomy([found])
    table = next(tensor.size_bytes for tensor in found.table if tensor.name == "token_embd.weight")
    assert body.weights == size
    for gpu_layers in range(len(body.layers) + 2):
        placed = part(name, Load(), "weights", gpu_layers)
        assert placed == size + (table if body.tied_bytes and gpu_layers else 0), "a tied output is copied to the GPU"


def test_a_split_model_is_the_sum_of_its_files() -> None:
    whole = header("llama-3.1-8b")
    first = replace(whole, table=whole.table[:100])
    second = replace(whole, table=whole.table[100:], keys={"general.architecture": "llama"})
    assert anatomy([first, second]) == anatomy([whole])


def test_layers_go_to_the_gpu_as_long_as_they_fit() -> None:
    found, load = [header("llama-3.1-8b")], Load(8192)
    before = -1
    for size in range(0, 9 * GIB, GIB // 4):
        room = Room(64 * GIB, size)
        here = fit(found, load, room)
        assert here.gpu_layers >= before, "more memory never takes fewer layers"
        before = here.gpu_layers
        if here.gpu_layers:
            assert here.gpu + GPU_MARGIN <= size
        if size and here.gpu_layers < here.layers:
            more = fit(found, replace(load, gpu_layers=here.gpu_layers + 1), room)
            assert more.gpu + GPU_MARGIN > size, "one more would not have fitted"
    assert before == 33, "32 and the output"


def test_where_everything_is_on_the_gpu_the_table_of_tokens_stays() -> None:
    here = fit([header("llama-3.1-8b")], Load(8192), Room(64 * GIB, 24 * GIB))
    by_name = {p.name: p for p in here.parts}
    assert by_name["weights"].host == 128_256 * 4096 * 144 // 256
    assert by_name["kv_cache"].host == 0 and by_name["kv_cache"].gpu == GIB
    assert by_name["driver"].gpu > 0
    assert "all layers" in here.why and here.verdict == "fits"


def test_verdicts_and_margins() -> None:
    found, load = [header("llama-3.1-8b")], Load(4096)
    need = fit(found, load, AMPLE).total
    for free, verdict in ((need + 513 * MIB, "fits"), (need + 511 * MIB, "tight"), (need, "tight"), (need - 1, "no")):
        here = fit(found, load, Room(free))
        assert (here.verdict, here.margin) == (verdict, free - need)
    assert fit(found, load, Room(GIB)).why.startswith("Does not fit: it needs 5.")
    assert "missing" in fit(found, load, Room(GIB)).why


def test_one_memory_for_both_counts_both() -> None:
    found, load = [header("llama-3.1-8b")], Load(4096)
    apart = fit(found, load, Room(4 * GIB, 12 * GIB))
    shared = fit(found, load, Room(4 * GIB, 12 * GIB, shared=True))
    assert apart.verdict == "fits" and shared.verdict == "no"
    assert apart.gpu == shared.gpu


def test_the_largest_context() -> None:
    found, room = [header("llama-3.1-8b")], Room(8 * GIB)
    most = largest_context(found, Load(), room, 131_072)
    assert most % 256 == 0 and 8192 < most < 32_768
    assert fit(found, Load(most), room).verdict == "fits"
    assert fit(found, Load(most + 256), room).verdict != "fits"
    assert largest_context(found, Load(), Room(GIB), 131_072) == 0
    assert largest_context(found, Load(), Room(1 << 50), 131_072) == 131_072


def test_a_draft_and_a_vision_part_are_counted() -> None:
    alone = fit([header("qwen3-8b")], Load(4096), AMPLE)
    draft = fit([header("qwen3-8b")], Load(4096), AMPLE, draft=[header("qwen3-0.6b")])
    small = fit([header("qwen3-0.6b")], Load(4096), AMPLE)
    assert draft.total == alone.total + small.total
    keys = {"general.architecture": "clip", "clip.vision.embedding_length": 1024}
    eye = Header(3, "clip", 0, "F16", 0, 1, keys, (Tensor("v.patch", (8,), "F16", 600 * MIB),))
    seen = fit([header("qwen3-8b")], Load(4096), AMPLE, projector=eye)
    assert alone.total + 600 * MIB < seen.total < alone.total + 700 * MIB
    assert "vision" in seen.because
    beside = fit([header("qwen3-8b")], Load(4096), Room(64 * GIB, 24 * GIB), projector=eye).parts[-1]
    assert (beside.name, beside.host) == ("vision", 0) and beside.gpu > 600 * MIB


def test_the_interval_is_wider_where_less_is_known() -> None:
    def width(here: Fit) -> int:
        assert here.interval[0] <= here.total <= here.interval[1]
        return here.interval[1] - here.interval[0]

    known = fit([header("llama-3.1-8b")], Load(), AMPLE)
    on_gpu = fit([header("llama-3.1-8b")], Load(), Room(1 << 50, 24 * GIB))
    strange = replace(header("llama-3.1-8b"), architecture="novel")
    strange = replace(strange, keys={key.replace("llama.", "novel."): value for key, value in strange.keys.items()})
    guess = fit([strange], Load(), AMPLE)
    assert width(known) < width(on_gpu) and width(known) < width(guess)
    assert guess.total == known.total and "'novel'" in guess.because
    assert known.interval[0] >= part("llama-3.1-8b", Load(), "weights"), "the file's bytes are certain"


def test_what_was_measured_makes_the_interval() -> None:
    notes = Calibration(Record("llama", "cpu", 100, measured) for measured in (109, 110, 111))
    here = fit([header("llama-3.1-8b")], Load(), AMPLE, bar=notes.bar("llama", "cpu"))
    low, high = here.interval
    assert here.total < low < 1.1 * here.total < high < 1.2 * here.total
    assert "3 loads of llama" in here.because
    wide = fit([header("llama-3.1-8b")], Load(), AMPLE, bar=notes.bar("llama", "gpu"))
    assert "compute buffer" in wide.because and wide.interval[0] < wide.total, "too few records: the general reasons"


def test_calibration_needs_a_few_records_and_shrugs_at_a_wild_one() -> None:
    notes = Calibration()
    assert (notes.bar("llama", "cpu").low, notes.bar("llama", "cpu").measured) == (0.9, False)
    for measured in (101, 103):
        notes.add(Record("llama", "cpu", 100, measured))
    assert not notes.bar("llama", "cpu").measured
    notes.add(Record("llama", "cpu", 100, 102))
    few = notes.bar("llama", "cpu")
    assert few.measured and few.ratio == 1.02 and few.low < 1.01 and few.high > 1.03
    for _ in range(20):
        notes.add(Record("llama", "cpu", 100, 102))
    many = notes.bar("llama", "cpu")
    assert many.high - many.low < few.high - few.low, "more records, narrower"
    notes.add(Record("llama", "cpu", 100, 900))
    thin, thick = (Calibration(Record("x", "cpu", 100, measured) for measured in (90, 100, 110) * n) for n in (1, 10))
    assert thin.bar("x", "cpu").high > thick.bar("x", "cpu").high > 1.4
    wild = notes.bar("llama", "cpu")
    assert wild.ratio == 1.02 and wild.high == pytest.approx(many.high, abs=0.001)
    near = notes.bar("qwen3", "cpu")
    assert near.measured and near.high - near.low > many.high - many.low, (
        "another family's records count, with less trust"
    )
    assert not notes.bar("llama", "gpu").measured, "another device's do not"


def test_calibration_keeps_the_newest_and_no_nonsense() -> None:
    notes = Calibration(Record("llama", "cpu", 100, 200) for _ in range(100))
    for _ in range(32):
        assert notes.add(Record("llama", "cpu", 100, 100))
    assert notes.bar("llama", "cpu").ratio == 1.0
    for estimate, measured in ((0, 1), (1, 0), (-1, 1), (1, -1), (1, float("inf")), (float("nan"), 1)):
        assert not notes.add(Record("llama", "cpu", estimate, measured))


BAD_LOADS = {
    "no context": Load(0), "negative context": Load(-4096), "context of 2^40": Load(1 << 40), "no slots": Load(slots=0),
    "1,000 slots": Load(slots=1000), "no batch": Load(micro_batch=0), "unknown type": Load(type_k="Q2_K"),
    "quantized values without flash attention": Load(type_v="Q8_0", flash_attention=False),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_LOADS)
def test_an_impossible_load_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        fit([header("tinyllama-1.1b")], BAD_LOADS[name], AMPLE)


BAD_KEYS: dict[str, dict[str, object]] = {
    "layers as text": {"block_count": "many"}, "a million layers": {"block_count": 1_000_000},
    "negative width": {"embedding_length": -1}, "no width": {"embedding_length": 0},
    "width of 2^40": {"embedding_length": 1 << 40},
    "no layers": {"block_count": None}, "no heads": {"attention__head_count": None},
    "heads as a fraction": {"attention__head_count": 1.5}, "too few heads": {"attention__head_count_kv": [4, 4]},
    "texts for heads": {"attention__head_count_kv": ["4"] * 22}, "negative heads": {"attention__head_count_kv": [-4] * 22},
    "key length of 2^31": {"attention__key_length": 1 << 31},
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_header_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(BadModelFile, match="makes no sense"):
        fit([changed("tinyllama-1.1b", **BAD_KEYS[name])], Load(), AMPLE)


def test_a_recurrent_model_without_layers_is_refused() -> None:
    with pytest.raises(BadModelFile, match="'block_count' is 0"):
        fit([changed("mamba-2.8b", block_count=None)], Load(), AMPLE)


def test_whatever_the_keys_hold_it_is_a_fit_or_a_refusal() -> None:
    dice = random.Random(6)
    values: list[object] = [0, 1, -1, 7, 1 << 20, 1 << 70, 1.5, True, "x", [], [1], [0] * 64, [True] * 64, ["x"], None]
    names = [name for name in MODELS if name not in ("llama-3.1-70b", "qwen2.5-72b", "deepseek-v3")]
    fits = 0
    for _ in range(2000):
        found = header(dice.choice(names))
        keys = {key: value for key, value in found.keys.items() if value is not None}
        for key in dice.sample(sorted(keys), 3):
            if key != "general.architecture":
                keys[key] = dice.choice(values)
        keys[f"{found.architecture}.full_attention_interval"] = dice.choice(values)
        try:
            here = fit([replace(found, keys=keys)], Load(), Room(8 * GIB, dice.choice([0, 4 * GIB])))
        except BadModelFile:
            continue
        fits += 1
        assert all(p.host >= 0 and p.gpu >= 0 for p in here.parts)
    assert 100 < fits < 1900
