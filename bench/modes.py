"""`bench modes`: the three ways in which an agent decides, over the same wishes: rules, hybrid, full.

Two sets. `wild`: wishes of the pilot's evaluation (chains of two to four calls; none was trained on). `plain`: six plain forms of
one or two calls, of which the rules were written for five; the pilot was trained on wordings like them. Each wish stands in the
world of its own course: the results that its calls give, and an error for any other. `full` and `hybrid` ask the pilot.
Promises: a wish counts as right only if every call was exact and in order and the run answered; what a mode did otherwise is told
apart: it did nothing wrong and said that it cannot, or it did something else.
Does not cover: other models.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from typing import Any

from bench.pilot_model import pilot
from bench.report import Report
from fakes.tool_world import ListRecord
from homefire.agent.budget import Budget
from homefire.agent.loop import Loop, LoopRules, Mode, ModelFacts
from homefire.agent.step import Called, Ordered, Returned
from homefire.agent.tools import schema_of
from homefire.daemon.agent_model import AgentModel
from homefire.safety.boundary import ToolSpec
from homefire.safety.taint import Label
from pilot.corpus import chains
from pilot.corpus.sources import Step

WISHES = 200
GOALS: dict[str, tuple[str, float]] = {}
MODES: tuple[Mode, ...] = ("rules", "hybrid", "full")


class Course:
    """`Hands` of one wish's world."""

    def __init__(self, steps: tuple[Any, ...]) -> None:
        self._steps = [(step.name, step.arguments, step.result) for step in steps]
        self.done: list[tuple[str, Any]] = []

    async def do(self, call: Called, label: Label) -> Returned:
        """The result of a call of the course; an error for any other."""
        made = (call.tool, json.loads(call.arguments))
        self.done.append(made)
        result = next((text for name, arguments, text in self._steps if (name, arguments) == made), None)
        if result is None:
            return Returned(call.call, "error", "It did not work.", "tool_failed")
        return Returned(call.call, "ok", result)


async def measure(wishes: int = WISHES) -> Report:
    """Runs it."""
    report, rng = Report("modes", GOALS), random.Random(21)
    sets = {"plain": [_plain(rng) for _ in range(wishes)], "wild": [chains.chain(rng, True) for _ in range(wishes)]}
    async with pilot() as model:
        for kind, made in sets.items():
            for mode in MODES:
                counts, began = Counter[str](), time.perf_counter()
                for one in made:
                    counts[await _run(model, mode, one, random.Random(one.wish))] += 1
                at = f"{kind}_{mode}"
                report.figures[f"{at}_ms_a_wish"] = 1000 * (time.perf_counter() - began) / len(made)
                for name in ("right", "said_it_cannot", "something_else"):
                    report.figures[f"{at}_{name}_pct"] = 100 * counts[name] / len(made)
    report.figures["wishes_a_set"] = wishes
    return report


def _plain(rng: random.Random) -> chains.Chain:
    """A plain wish of one or two calls."""
    a, b = rng.randrange(2, 100), rng.randrange(100, 5000)
    value, done = f'{{"result": {a * b}}}', '{"ok": true}'
    sum_of = Step("calculate", {"expression": f"{a} * {b}"}, value)
    kept = Step("remember", {"text": f"my budget is {a * b}"}, done)
    timer = Step("set_timer", {"minutes": a, "label": "tea"}, done)
    wish, steps = rng.choice((
        (f"what is {a} * {b}?", (sum_of,)),
        (f"what is {a} * {b}, and remember it as my budget", (sum_of, kept)),
        (f"convert {a} miles to km", (Step("convert_units", {"value": a, "from": "miles", "to": "km"}, value),)),
        (f"set a timer for {a} minutes for tea", (timer,)),
        (f"remember that my locker is {b}", (Step("remember", {"text": f"my locker is {b}"}, done),)),
        (f"I would like to have {a} times {b} worked out", (sum_of,)),
    ))  # fmt: skip
    return chains.Chain(wish, tuple(steps), "", str(a * b))


async def _run(model: AgentModel, mode: Mode, one: chains.Chain, rng: random.Random) -> str:
    names = {tool.name for tool in chains.shown([step.name for step in one.steps], rng)} | {"respond"}
    offered = [
        ToolSpec(name, str(schema_of(name)["description"]), schema_of(name)["parameters"], "read")
        for name in sorted(names)
    ]
    record, course = ListRecord(), Course(one.steps)
    await record.add(Ordered(one.wish))
    rules = LoopRules(mode, Budget(steps=20), facts=ModelFacts(system=False))
    ended = await Loop(model, course, record, offered, rules).run()
    wanted = [(step.name, step.arguments) for step in one.steps]
    if course.done == wanted and ended.why == "answered":
        return "right"
    so_far = course.done == wanted[: len(course.done)]
    return "said_it_cannot" if so_far and ended.why != "answered" else "something_else"
