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
from pathlib import Path
from typing import Any

from homefire.agent.loop import Loop, LoopRules, ModelFacts
from homefire.agent.step import Answered, Called, Ended, Returned
from homefire.daemon import Daemon
from homefire.daemon.agent_model import AgentModel
from homefire.paths import Paths
from homefire.safety.taint import Label
from homefire.server.answering import Answering
from homefire.server.listen import listen
from homefire.settings import Settings
from pilot.corpus import chains
from tests.null.agent_bench import Doing, Memory, fixture_specs

ROUNDS, LEAST = 12, 6


class Course:
    """`Hands` of the world that a chain of the evaluation stands in: the result of each call that it makes, in any order."""

    def __init__(self, steps: tuple[Any, ...]) -> None:
        self._left = [(step.name, step.arguments, step.result) for step in steps]
        self.done: list[tuple[str, str]] = []

    async def do(self, call: Called, context: Label) -> Returned:
        self.done.append((call.tool, call.arguments))
        for name, arguments, result in self._left:
            if (call.tool, json.loads(call.arguments)) == (name, arguments):
                return Returned(call.call, "ok", result)
        return Returned(call.call, "error", "It did not work.", "tool_failed")


def test_with_the_pilot(tmp_path: Path) -> None:
    asyncio.run(scenario(tmp_path))


async def scenario(folder: Path) -> None:
    (paths := Paths(folder / "home")).prepare()
    settings = Settings(port=0, threads=1)
    with listen(settings, paths) as listening:
        daemon = Daemon(paths, settings, listening)
        try:
            await daemon.open()
            answering = Answering(daemon.keeper, daemon.library, roles=daemon.roles.roles)
            model = AgentModel(answering, "pilot", daemon._window)
            assert await model.is_built_in() and model.window == 2048
            await the_demonstration(model)
            await three_calls(model)
        finally:
            await daemon.close()


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
        whole = [(name, json.loads(arguments)) for name, arguments in course.done] == wanted
        right += whole and ended.why == "answered" and chains.holds(record.of(Answered)[0].text, one.value)
        assert max(Counter(course.done).values(), default=0) <= 2
    assert right >= LEAST, f"{right} of {ROUNDS}"
