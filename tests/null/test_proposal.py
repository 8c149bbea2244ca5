"""The proposal: made-up machines, a made-up judge, and the real arithmetic.

Promises: every machine gets a model for every role; what is chosen fits beside what was chosen before.
Does not cover: real speeds.
"""

from __future__ import annotations

import pytest

from homefire.hardware import Gpu, Machine
from homefire.models.catalogue import Entry, load
from homefire.models.proposal import MAIN, ROLES, Estimate, judge_for, propose

GIB = 1 << 30


def machine(memory: float, free: float, *gpus: Gpu) -> Machine:
    return Machine("Linux", "some processor", 4, int(memory * GIB), int(free * GIB), gpus)


LAPTOP_8 = machine(7.6, 5.8)
LAPTOP_16 = machine(15.5, 12.5)
GPU_24 = machine(31.2, 27, Gpu("nvidia", "RTX 3090", 24 * GIB, int(23.6 * GIB), 936e9))
MAC_64 = machine(64, 50, Gpu("apple", "Apple M1 Max", 48 * GIB, 48 * GIB, 400e9, shared=True))
ALL = {"8": LAPTOP_8, "16": LAPTOP_16, "gpu": GPU_24, "mac": MAC_64}


@pytest.mark.parametrize("made", ALL.values(), ids=ALL)
def test_every_role_has_an_answer_that_fits(made: Machine) -> None:
    found = propose(made, load())
    assert [choice.role for choice in found.choices] == [role.name for role in ROLES]
    free = made.memory_available_bytes + sum(gpu.free_bytes for gpu in made.gpus if not gpu.shared)
    for choice, role in zip(found.choices, ROLES, strict=True):
        low, expected, high = choice.rates
        assert choice.model != "pilot" and 0 < low < expected < high
        assert expected >= role.rate and choice.total_bytes < free and choice.why
        assert choice.download_bytes == load().get(choice.model).size(choice.quantization)
    together = {(c.model, c.quantization): c.total_bytes for c in found.choices if not c.swapped and c.role != "rlm"}
    assert sum(together.values()) < free
    assert found.embedder.model == "all-minilm-l6-v2"


def test_a_larger_machine_gets_a_larger_model() -> None:
    sizes = [load().get(propose(made, load()).choice("main").model).parameters for made in ALL.values()]
    assert sizes == sorted(sizes) and sizes[0] < sizes[1] < sizes[2]
    assert [propose(made, load()).tier.name for made in ALL.values()] == ["potato", "laptop", "workstation", "server"]
    assert propose(LAPTOP_8, load()).choice("main").model == "qwen3-4b"
    assert propose(GPU_24, load()).choice("main").model == "qwen3-32b"


def test_the_pilot_takes_every_role_where_nothing_else_can() -> None:
    for found in (
        propose(machine(2, 0.3), load()),
        propose(GPU_24, load(), hub=False),
        propose(GPU_24, load(), judge=lambda *_: None),
        propose(GPU_24, load(), judge=lambda *_: Estimate(False, 1, 0, (50, 60, 70), "")),
        propose(GPU_24, load(), judge=lambda *_: Estimate(True, 1, 0, (0.1, 0.5, 0.9), "")),
    ):
        assert [choice.model for choice in found.choices] == ["pilot"] * 3
        assert all(choice.installed and not choice.download_bytes and "pilot" in choice.why for choice in found.choices)
        assert found.download_bytes == found.embedder.download_bytes > 0


def test_without_a_hub_what_is_here_is_used() -> None:
    found = propose(LAPTOP_16, load(), installed={"qwen3-1.7b", "all-minilm-l6-v2"}, hub=False)
    assert {choice.model for choice in found.choices} == {"qwen3-1.7b"}
    assert found.download_bytes == 0 and all(choice.installed for choice in found.choices)


def test_what_is_here_is_proposed_as_it_is_here() -> None:
    found = propose(GPU_24, load(), judge=quick, installed={"qwen3-4b": ("Q6_K",)}, hub=False).choice("main")
    assert (found.model, found.quantization, found.installed, found.download_bytes) == ("qwen3-4b", "Q6_K", True, 0)
    unknown = propose(GPU_24, load(), judge=quick, installed={"qwen3-4b"}, hub=False).choice("main")
    assert unknown.quantization == "Q8_0"


def quick(entry: Entry, quantization: str, context: int, taken: tuple[int, int]) -> Estimate:
    return Estimate(True, 5, 7, (90.0, 100.0, 110.0), "quick")


def test_one_model_serves_all_roles_where_it_can() -> None:
    found = propose(GPU_24, load(), judge=quick)
    main, rlm, memory = found.choices
    assert (main.model, main.quantization) == (rlm.model, rlm.quantization) == ("qwen3-32b", "Q8_0")
    assert memory.model == "qwen3-4b"  # the role asks for a small one
    sizes = load().get("qwen3-32b").size("Q8_0") + load().get("qwen3-4b").size("Q8_0")
    assert found.download_bytes == sizes + found.embedder.download_bytes


def test_memory_of_the_main_model_is_not_given_away_twice() -> None:
    asked: list[tuple[str, tuple[int, int]]] = []

    def judge(entry: Entry, quantization: str, context: int, taken: tuple[int, int]) -> Estimate:
        asked.append((entry.name, taken))
        rate = 7.0 if entry.name == "qwen3-8b" else 50.0
        beside = entry.name == "qwen3-8b" or taken == (0, 0)
        return Estimate(beside and entry.parameters < 9e9, 5, 7, (1.0, rate, 60.0), "")

    found = propose(GPU_24, load(), judge=judge)
    assert found.choice("main").model == "qwen3-8b" and ("qwen3-4b", (5, 7)) in asked
    assert found.choice("memory").swapped and found.choice("memory").model == "qwen3-4b"
    assert "makes way" in found.choice("memory").why and not found.choice("main").swapped


def test_bits_beyond_four_only_where_speed_is_plenty() -> None:
    def judge(entry: Entry, quantization: str, context: int, taken: tuple[int, int]) -> Estimate:
        rates = {"Q8_0": MAIN.rate * 2.9, "Q6_K": MAIN.rate * 3.1}
        return Estimate(True, 1, 0, (1.0, rates.get(quantization, 99.0), 100.0), "")

    assert propose(GPU_24, load(), judge=judge).choice("main").quantization == "Q6_K"


def test_the_judge_counts_what_is_taken_and_the_bandwidth_that_was_measured() -> None:
    row = load().get("qwen3-4b")
    judge = judge_for(LAPTOP_8)
    free, full = judge(row, "Q4_K_M", 8192, (0, 0)), judge(row, "Q4_K_M", 8192, (5 * GIB, 0))
    assert free is not None and full is not None and free.fits and not full.fits
    assert judge(row, "Q4_K_M", 1 << 20, (0, 0)) is None and judge(load().get("pilot"), "Q8_0", 512, (0, 0)) is None
    sure = judge_for(LAPTOP_8, 42e9)(row, "Q4_K_M", 8192, (0, 0))
    assert sure is not None and sure.rates[1] == free.rates[1]
    assert sure.rates[0] > free.rates[0] and sure.rates[2] < free.rates[2]


def test_a_gpu_is_given_away_once() -> None:
    row = load().get("qwen3-4b")
    free, full = (judge_for(GPU_24)(row, "Q4_K_M", 8192, (0, gpu)) for gpu in (0, 23 * GIB))
    assert free is not None and full is not None
    assert free.gpu > 3 * GIB and full.gpu < GIB and full.host > 3 * GIB


def test_a_shared_memory_is_counted_once() -> None:
    row = load().get("qwen3-14b")
    judge = judge_for(MAC_64)
    assert judge(row, "Q4_K_M", 8192, (0, 0)) and judge(row, "Q4_K_M", 8192, (0, 0)).fits  # type: ignore[union-attr]
    taken = judge(row, "Q4_K_M", 8192, (0, 42 * GIB))
    assert taken is not None and not taken.fits
