"""The loop over the 26 scenarios, and over many rounds.

Promises: with a model that makes no mistake every scenario is done, bare and guarded; with one that makes all of them no call is
carried out more than twice with one result, whatever the seed; hundreds of rounds end right in a bounded window.
Does not cover: how many failures guards save (`bench guardrails`, figures in docs/log.md).
"""

from __future__ import annotations

import asyncio
import os
import tracemalloc

import pytest

from bench import agent, guardrails
from fakes.scenario_model import GRID, Badness
from fakes.tool_world import scenarios
from homefire.agent.guards import BARE, Guards

FULL = os.environ.get("HOMEFIRE_PROOF") == "full"


@pytest.mark.parametrize("guards", [BARE, Guards()], ids=["bare", "guarded"])
def test_a_model_without_a_mistake_does_all(guards: Guards) -> None:
    for scenario in scenarios():
        world, record = asyncio.run(guardrails.run(scenario, Badness(), guards, "1"))
        assert world.judged(scenario, record.entries) == "", scenario.id


@pytest.mark.parametrize("point", sorted(GRID))
def test_never_more_than_two_identical_calls(point: str) -> None:
    for scenario in scenarios():
        for seed in range(20 if FULL else 2):
            world, _ = asyncio.run(guardrails.run(scenario, GRID[point], Guards(), f"{scenario.id} {seed}"))
            assert max(world.made.values(), default=0) <= 2, (scenario.id, seed)


def test_without_guards_it_does_repeat() -> None:
    """The bound above is the guards' doing, not the model's."""
    runs = [asyncio.run(guardrails.run(each, GRID["loops_0.5"], BARE, each.id)) for each in scenarios()]
    assert max(max(world.made.values(), default=0) for world, _ in runs) > 5


def test_the_guards_halve_the_failures_of_a_mixed_model() -> None:
    failed = {}
    for arm, guards in (("bare", BARE), ("guarded", Guards())):
        failed[arm] = 0
        for at, each in enumerate(scenarios() * 3):
            world, record = asyncio.run(guardrails.run(each, GRID["mixed_0.2"], guards, f"{each.id} {at}"))
            failed[arm] += bool(world.judged(each, record.entries))
    assert failed["guarded"] * 2 <= failed["bare"]


def test_many_rounds_end_right_in_a_bounded_window() -> None:
    rounds = 500 if FULL else 60
    tracemalloc.start()
    found = asyncio.run(agent.run(rounds))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["done"] == rounds
    assert found["largest"] < 8192
    assert peak < 64 * 2**20
