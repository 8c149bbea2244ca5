"""Speed: the arithmetic of bytes a token, and the worked examples of the documents.

Promises: the examples' figures are worked out here by hand from the published dimensions.
Does not cover: what a machine really does (calibration takes that in).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.sparse_models import MODELS, write
from homefire.errors import InvalidRequest
from homefire.models.calibration import Calibration, Record
from homefire.models.fit import MIB, Load, Room, fit
from homefire.models.fit_layers import Anatomy, anatomy
from homefire.models.gguf import read_header
from homefire.models.speed import OVERHEAD, Bandwidth, Speed, bytes_a_token, reachable, speed, speed_between

GIB = 1 << 30
GTX_1080_TI = Bandwidth(40e9, 484e9, 11.3e12)
RTX_3090 = Bandwidth(40e9, 936e9, 71e12)
LAPTOP = Bandwidth(50e9)


@cache
def body(name: str) -> Anatomy:
    with TemporaryDirectory() as folder:
        return anatomy([read_header(write(Path(folder) / "x.gguf", MODELS[name]))])


def test_a_token_reads_every_weight_but_the_table_of_tokens() -> None:
    found = body("llama-3.1-8b")
    table = 128_256 * 4096 * 144 // 256
    assert bytes_a_token(found, Load(8192), 0, 0) == (found.weights - table, 0)
    assert bytes_a_token(found, Load(8192), 33, 0) == (0, found.weights - table)
    # 1,024 tokens in the cache: 32 layers x 2 x 8 x 128 x 2 bytes each.
    assert bytes_a_token(found, Load(8192), 0, 1024)[0] == found.weights - table + 128 * MIB
    part = bytes_a_token(found, Load(8192), 17, 0)
    assert sum(part) == found.weights - table and 0.4 < part[1] / sum(part) < 0.6


def test_a_tied_table_is_read_as_the_output() -> None:
    found = body("qwen3-0.6b")
    assert bytes_a_token(found, Load(), 0, 0) == (found.weights, 0)


def test_of_experts_only_the_active_are_read() -> None:
    found = body("qwen3-30b-a3b")
    experts = sum(layer.experts for layer in found.layers)
    read = bytes_a_token(found, Load(), 0, 0)[0]
    assert read == pytest.approx(found.weights - found.input_bytes - experts * (1 - 8 / 128), abs=48)
    assert 2.9e9 < found.parameters_read < 3.4e9, "a 30B of which 3B are active"
    assert read < 0.12 * found.weights


def test_the_formula() -> None:
    found = body("llama-3.1-8b")
    read = bytes_a_token(found, Load(8192), 33, 1024)[1]
    here = speed(found, Load(8192), 33, RTX_3090)
    assert here.expected == pytest.approx(1 / (OVERHEAD + read / (936e9 * 0.6)))
    assert here.low < here.expected < here.high < here.ceiling == pytest.approx(936e9 / read)
    assert here.prompt == pytest.approx(71e12 / (2 * found.parameters_read))
    assert here.host_share == 0.0


# model, GPU memory free (GiB), machine -> tokens a second (low, high) and the share of time in main memory (low, high)
EXAMPLES: dict[str, tuple[str, int, Bandwidth, tuple[float, float], tuple[float, float]]] = {
    "8B on a GTX 1080 Ti": ("llama-3.1-8b", 10, GTX_1080_TI, (55, 75), (0, 0)),
    "8B on an RTX 3090": ("llama-3.1-8b", 23, RTX_3090, (105, 135), (0, 0)),
    "8B on a laptop of 50 GB/s": ("llama-3.1-8b", 0, LAPTOP, (7, 9), (1, 1)),
    "1.1B on that laptop": ("tinyllama-1.1b", 0, LAPTOP, (50, 65), (1, 1)),
    "30B with 3B active on that laptop": ("qwen3-30b-a3b", 0, LAPTOP, (18, 24), (1, 1)),
    "70B on a GTX 1080 Ti": ("llama-3.1-70b", 10, GTX_1080_TI, (0.8, 1.1), (0.9, 1)),
    "70B on an RTX 3090": ("llama-3.1-70b", 23, RTX_3090, (1.3, 1.9), (0.9, 1)),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_worked_example(name: str) -> None:
    model, gpu, machine, (low, high), (share_low, share_high) = EXAMPLES[name]
    here = example(model, gpu, machine)
    assert low < here.expected < high
    assert share_low <= here.host_share <= share_high


def example(model: str, gpu: int, machine: Bandwidth) -> Speed:
    with TemporaryDirectory() as folder:
        header = read_header(write(Path(folder) / "x.gguf", MODELS[model]))
    placed = fit([header], Load(8192), Room(128 * GIB, gpu * GIB))
    return speed(placed.anatomy, Load(8192), placed.gpu_layers, machine)


def test_a_hope_that_no_memory_allows_is_called_so() -> None:
    here = example("llama-3.1-70b", 23, RTX_3090)
    assert "cannot be reached here" in reachable(here, 30)
    assert "to be expected" in reachable(here, (here.high + here.ceiling) / 2)
    assert "not certain" in reachable(here, here.expected)
    assert "can be expected" in reachable(here, here.low)
    assert "of the time goes to main memory" in here.why


def test_what_was_measured_replaces_the_guess() -> None:
    notes = Calibration(Record("llama", "gpu", 100, measured) for measured in (80, 82, 81, 79))
    guess = speed(body("llama-3.1-8b"), Load(8192), 33, RTX_3090)
    here = speed(body("llama-3.1-8b"), Load(8192), 33, RTX_3090, bar=notes.bar("llama", "gpu"))
    assert here.expected == pytest.approx(0.805 * guess.expected)
    assert here.high - here.low < guess.high - guess.low and "4 loads of llama" in here.why


def test_a_longer_cache_is_slower_and_more_bandwidth_faster() -> None:
    found = body("llama-3.1-8b")
    rates = [speed(found, Load(32_768), 0, LAPTOP, filled=filled).expected for filled in (0, 4096, 32_768)]
    assert rates[0] > rates[1] > rates[2]
    assert speed(found, Load(), 0, Bandwidth(100e9)).expected > 1.9 * speed(found, Load(), 0, LAPTOP).expected


def test_an_unknown_bandwidth_is_no_speed() -> None:
    with pytest.raises(InvalidRequest):
        speed(body("llama-3.1-8b"), Load(), 33, LAPTOP)
    with pytest.raises(InvalidRequest):
        speed(body("llama-3.1-8b"), Load(), 0, Bandwidth(0))


def test_between_two_bandwidths() -> None:
    found, between = body("llama-3.1-8b"), (Bandwidth(20e9), Bandwidth(40e9), Bandwidth(80e9))
    low, usual, high = (speed(found, Load(8192), 0, each) for each in between)
    here = speed_between(found, Load(8192), 0, between)
    assert (here.low, here.expected, here.high) == (low.low, usual.expected, high.high)
    assert here.ceiling == high.ceiling and f"{low.low:.1f} to {high.high:.1f}" in here.why
    small = speed_between(found, Load(256), 0, between)
    assert small.expected == speed(found, Load(256), 0, between[1], filled=256).expected
    bar = Calibration(Record("llama", "cpu", 100, measured) for measured in (80, 82, 81)).bar("llama", "cpu")
    assert speed_between(found, Load(8192), 0, between, bar=bar) == speed(found, Load(8192), 0, between[1], bar=bar)
