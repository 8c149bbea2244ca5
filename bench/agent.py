"""`bench agent`: what an agent's loop costs a step beside its model, and what hundreds of steps do to it.

The model and the tools are scripted and the record is in memory (`fakes/`); what they spend on counting and on looking results
up is taken off, so that what is left is the loop: budget, guards, window, reading the answer. 500 rounds run in a child under a
limit of its address space.
Promises: a step is one call with its result, in processor time; the window is of 8,192 tokens and gets full many times.
Does not cover: the model, the journal's sync, the boundary.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.report import Report
from fakes.scenario_model import Badness, ScriptedModel
from fakes.tool_world import ListRecord, Scenario, ToolWorld, long_course, specs
from homefire.agent.budget import Budget
from homefire.agent.loop import Loop, LoopRules
from homefire.agent.step import Called, Ordered, Returned
from homefire.messages import ChatRequest, Event
from homefire.safety.taint import Label

GOALS: dict[str, tuple[str, float]] = {"step_ms": ("<=", 5), "step_500_ms": ("<=", 5), "rounds_done": (">=", 500)}
SHORT, LONG, RUNS, LIMIT_MB = 20, 500, 5, 1024


class TimedModel(ScriptedModel):
    """Keeps the processor time that is its own, and the largest prompt."""

    def __init__(self, scenario: Scenario, badness: Badness, seed: str) -> None:
        super().__init__(scenario, badness, seed)
        self.own, self.largest = 0.0, 0

    async def count(self, request: ChatRequest) -> int:
        began = time.process_time()
        found = await super().count(request)
        self.own += time.process_time() - began
        return found

    @asynccontextmanager
    async def ask(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[Event]]:
        self.largest = max(self.largest, await self.count(request))
        async with super().ask(request) as events:
            yield events


class TimedWorld(ToolWorld):
    """Likewise for the tools."""

    own = 0.0

    async def do(self, call: Called, label: Label) -> Returned:
        began = time.process_time()
        found = await super().do(call, label)
        self.own += time.process_time() - began
        return found


async def run(rounds: int) -> dict[str, float]:
    """One run: milliseconds of the loop a step, the largest prompt in tokens, whether it came to the right end."""
    scenario = long_course(rounds)
    model, world, record = TimedModel(scenario, Badness(), "1"), TimedWorld(scenario), ListRecord()
    await record.add(Ordered(scenario.task))
    rules = LoopRules(budget=Budget(10 * rounds, 10**9, 10**6))
    began = time.process_time()
    await Loop(model, world, record, specs(scenario.tools), rules).run()
    spent = time.process_time() - began - model.own - world.own
    wrong = world.judged(scenario, record.entries)
    done = sum(isinstance(entry.step, Called) for entry in record.entries)
    return {"ms": 1000 * spent / rounds, "largest": model.largest, "done": 0 if wrong else done}


async def measure() -> Report:
    """Runs it."""
    report = Report("agent", GOALS)
    short = [(await run(SHORT))["ms"] for _ in range(RUNS)]
    found = await _limited()
    report.figures |= {
        "step_ms": statistics.median(short),
        "step_500_ms": found["ms"],
        "rounds_done": found["done"],
        "largest_prompt_tokens": found["largest"],
        "memory_limit_mb": LIMIT_MB,
        "peak_mb": found["peak_mb"],
    }
    return report


async def _limited() -> dict[str, float]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from bench.agent import under_limit; under_limit()", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await child.communicate()
    found: dict[str, float] = json.loads(said) if child.returncode == 0 else {}
    return {"ms": 1e9, "done": 0, "largest": 0, "peak_mb": 0} | found


def under_limit() -> None:
    """In the child: the long run, within the limit; prints its figures."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_MB * 2**20, LIMIT_MB * 2**20))
    runs = [asyncio.run(run(LONG)) for _ in range(RUNS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    medians = {"ms": statistics.median(each["ms"] for each in runs), "done": min(each["done"] for each in runs)}
    print(json.dumps({**runs[0], **medians, "peak_mb": peak}))
