"""`bench guardrails`: what the guards of an agent's loop are worth: failed runs, bare, guarded, and with each one off.

26 scenarios (fixtures/scenarios.json), each many times, with a model of adjustable badness over the grid that stands beside it
(`fakes/scenario_model.py`) and was committed before the first result was seen.
Promises: equal seeds for every arm, so that all have the same models.
Does not cover: how bad real models are: this one is bad in the ways that are known, and only in those.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

from bench.pilot_model import pilot
from bench.report import Report
from fakes.scenario_model import GRID, Badness, ScriptedModel
from fakes.tool_world import ListRecord, Scenario, ToolWorld, scenarios, specs
from homefire.agent.budget import Budget
from homefire.agent.guards import BARE, Guards
from homefire.agent.loop import Loop, LoopRules, ModelFacts
from homefire.agent.step import Ordered
from homefire.daemon.agent_model import AgentModel

RUNS = 20
GOALS: dict[str, tuple[str, float]] = {"failures_ratio": ("<=", 0.5), "most_identical_calls": ("<=", 2)}
BUDGET = Budget(steps=30, tokens=400_000, seconds=1800.0)


async def measure(runs: int = RUNS, with_pilot: bool = False) -> Report:
    """Runs it. Both arms over the grid, then the mixed point of 0.1 with each guard off; `with_pilot`: the built-in model too,
    bare and guarded, at a temperature of 0.3 (at 0 all runs of a scenario would be one)."""
    report, told = Report("guardrails", GOALS), scenarios()
    points = list[float]()
    failed, most, bare_most, count = Counter[str](), 0, 0, 0
    for name, badness in GRID.items():
        here = dict[str, int]()
        for arm, guards in (("bare", BARE), ("guarded", Guards())):
            wrong, same = await _arm(told, badness, guards, runs)
            report.figures[f"{name}_{arm}_failed_pct"] = 100 * wrong / (len(told) * runs)
            failed[arm] += wrong
            here[arm] = wrong
            if arm == "guarded":
                most, count = max(most, same), count + len(told) * runs
            else:
                bare_most = max(bare_most, same)
        points += [here["guarded"] / here["bare"]] if here["bare"] else []
    for each in dataclasses.fields(Guards):
        wrong, _ = await _arm(told, GRID["mixed_0.1"], Guards().without([each.name]), runs)
        report.figures[f"mixed_0.1_without_{each.name}_failed_pct"] = 100 * wrong / (len(told) * runs)
    report.figures |= {
        "runs_an_arm": count,
        "bare_failed_pct": 100 * failed["bare"] / count,
        "guarded_failed_pct": 100 * failed["guarded"] / count,
        "failures_ratio": failed["guarded"] / max(1, failed["bare"]),
        "worst_point_ratio": max(points, default=0.0),
        "most_identical_calls": most,
        "bare_most_identical_calls": bare_most,
    }
    if with_pilot:
        async with pilot() as model:
            for arm, guards in (("bare", BARE), ("guarded", Guards())):
                wrong, same, ended = await _pilot(model, told, guards, runs)
                report.figures[f"pilot_{arm}_failed_pct"] = 100 * wrong / (len(told) * runs)
                report.figures[f"pilot_{arm}_most_identical_calls"] = same
                report.figures |= {f"pilot_{arm}_{why}": count for why, count in ended.items()}
    return report


async def _pilot(model: AgentModel, told: list[Scenario], guards: Guards, runs: int) -> tuple[int, int, Counter[str]]:
    """The same with the built-in model, and how its runs ended."""
    wrong, most, ended = 0, 0, Counter[str]()
    rules = LoopRules(budget=BUDGET, guards=guards, facts=ModelFacts(system=False, temperature=0.3))
    for scenario in told:
        for _ in range(runs):
            world, record = ToolWorld(scenario), ListRecord()
            await record.add(Ordered(scenario.task))
            ended[(await Loop(model, world, record, specs(scenario.tools), rules).run()).why] += 1
            wrong += bool(world.judged(scenario, record.entries))
            most = max(most, *world.made.values(), 0)
    return wrong, most, ended


async def _arm(told: list[Scenario], badness: Badness, guards: Guards, runs: int) -> tuple[int, int]:
    """Failed runs, and the most that one call was carried out with one result."""
    wrong, most = 0, 0
    for scenario in told:
        for at in range(runs):
            world, record = await run(scenario, badness, guards, f"{scenario.id} {at}")
            wrong += bool(world.judged(scenario, record.entries))
            most = max(most, *world.made.values(), 0)
    return wrong, most


async def run(scenario: Scenario, badness: Badness, guards: Guards, seed: str) -> tuple[ToolWorld, ListRecord]:
    """One run to its end."""

    world, record = ToolWorld(scenario), ListRecord()
    await record.add(Ordered(scenario.task))
    model = ScriptedModel(scenario, badness, seed)
    await Loop(model, world, record, specs(scenario.tools), LoopRules(budget=BUDGET, guards=guards)).run()
    return world, record
