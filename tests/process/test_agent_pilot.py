"""The loop with the built-in model in a real child: chains of calls, each fed by the result before it.

Promises: the demonstration of the model card, and chains of three calls that the evaluation makes (none was trained on), of which
most come to their right end; nothing is called more than twice.
Does not cover: routes, tools and the journal (`test_agents.py`), how many chains in all (docs/pilot.md).
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import Any

from bench.modes import Course
from bench.pilot_model import pilot
from homefire.agent.loop import Loop, LoopRules, ModelFacts
from homefire.agent.step import Answered, Ended
from homefire.daemon.agent_model import AgentModel
from pilot.corpus import chains
from tests.null.agent_bench import Doing, Memory, fixture_specs

ROUNDS, LEAST = 12, 6


def test_with_the_pilot() -> None:
    asyncio.run(scenario())


async def scenario() -> None:
    async with pilot() as model:
        assert await model.is_built_in() and model.window == 2048
        await the_demonstration(model)
        await three_calls(model)


async def run(model: AgentModel, task: str, hands: Any, *names: str) -> tuple[Ended, Memory]:
    record = Memory(task)
    rules = LoopRules(facts=ModelFacts(system=False))
    return await Loop(model, hands, record, fixture_specs(*names), rules).run(), record


async def the_demonstration(model: AgentModel) -> None:
    """All 26 tools are offered, of which the pilot is shown eight."""
    doing = Doing(calculate=lambda expression: {"result": 397.8}, remember=lambda text: {"ok": True})
    ended, record = await run(model, "what is 17 % of 2,340, and remember it as my budget", doing)
    assert ended.why == "answered", (ended, record.entries)
    assert [tool for tool, _ in doing.done] == ["calculate", "remember"]
    assert json.loads(doing.done[1][1]) == {"text": "my budget is 397.8"} and "397.8" in record.of(Answered)[0].text


async def three_calls(model: AgentModel) -> None:
    rng, right = random.Random(8), 0
    made = [one for one in (chains.chain(rng, True) for _ in range(200)) if len(one.steps) == 3][:ROUNDS]
    assert len(made) == ROUNDS
    for one in made:
        names = {tool.name for tool in chains.shown([step.name for step in one.steps], rng)} | {"respond"}
        course = Course(one.steps)
        ended, record = await run(model, one.wish, course, *names)
        wanted = [(step.name, step.arguments) for step in one.steps]
        whole = course.done == wanted
        right += whole and ended.why == "answered" and chains.holds(record.of(Answered)[0].text, one.value)
        assert max(Counter(map(repr, course.done)).values(), default=0) <= 2
    assert right >= LEAST, f"{right} of {ROUNDS}"
