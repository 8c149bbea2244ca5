"""Runs over a real store, boundary and journal, with a loop that follows a script instead of a model.

Promises: the scripted loop is deterministic and resumes from the record alone, as the real one does.
Does not cover: models (`agent/loop.py` and its tests).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from homefire.agent.record import of_call
from homefire.agent.runs import Given, Runs, RunsRules
from homefire.agent.step import Answered, Called, Ended, Ordered, Returned
from homefire.agent.timers import Timers
from homefire.agent.tool import Context, Outcome, Tool
from homefire.agent.tools import Around, all_tools
from homefire.agent.tools.plain import PlainTool
from homefire.paths import Paths
from homefire.safety.boundary import Boundary, ToolSpec
from homefire.safety.taint import joined
from homefire.store import GrantRow, RunRows, Safety, Store

Script = Sequence[tuple[str, Mapping[str, Any]]]
KEY = "k"
RULES = RunsRules()
ANYTHING = {"type": "object", "properties": {"text": {"type": "string"}}}


class ScriptedLoop:
    """Makes the calls of a script, one after the other, and answers with their results."""

    def __init__(self, given: Given, script: Script) -> None:
        self._given = given
        self._script = script

    async def run(self) -> Ended:
        record, hands = self._given.record, self._given.hands
        texts = []
        for n, (tool, arguments) in enumerate(self._script):
            entry, behind = of_call(record.entries, f"c{n}")
            returned = next((step for step in behind if isinstance(step, Returned)), None)
            if returned is None:
                if entry is None:
                    entry = await record.add(Called(f"c{n}", tool, json.dumps(arguments)))
                assert isinstance(entry.step, Called)
                label = joined(e.step.label for e in record.entries if isinstance(e.step, Ordered | Returned))
                returned = await hands.do(entry.step, label)
                await record.add(returned)
            self._given.say(f"<{n}>")
            texts.append(f"{returned.status}:{returned.text}")
        if not any(isinstance(e.step, Answered) for e in record.entries):
            await record.add(Answered("\n".join(texts)))
        return Ended("answered")


def plain(
    name: str, work: Any, risk: Any = "read", *, idempotent: bool = True, seconds: float = 5.0, **spec: Any
) -> PlainTool:
    """A tool of a test."""
    return PlainTool(ToolSpec(name, name, ANYTHING, risk, **spec), work, idempotent, seconds)


def giving(data: Any, **more: Any) -> Any:
    """Work that gives this."""

    async def work(arguments: Mapping[str, Any], context: Context) -> Outcome:
        return Outcome("ok", data, **more)

    return work


class Rig:
    """All of it in one folder, as the daemon builds it."""

    def __init__(self, home: Path, tools: Sequence[Tool] = (), rules: RunsRules = RULES) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.paths = Paths(home)
        self.store = Store(self.paths.database)
        self.rows = RunRows(self.store)
        self.stored = Safety(self.store)
        self.timers = Timers(self.rows)
        self.around = Around(self.rows, self.timers)
        self.tools = {tool.spec.name: tool for tool in (*all_tools(self.around), *tools)}
        self.own = [tool.spec for tool in tools]
        self.boundary = Boundary([tool.spec for tool in self.tools.values()], self.stored, (home,))
        self.script: Script = ()
        self.runs = Runs(
            self.rows, self.paths, self.boundary, self.stored, tools=lambda: self.tools, make=self._make, rules=rules
        )
        self.around.agents = self.runs

    async def _make(self, given: Given) -> ScriptedLoop:
        return ScriptedLoop(given, json.loads(given.order.task) if given.order.task.startswith("[") else self.script)

    async def open(self) -> None:
        self.store.open()
        await self.boundary.open()
        for spec in self.own:
            await self.boundary.grant(GrantRow(KEY, spec.name, spec.pin))
        await self.timers.open()
        await self.runs.open()

    async def close(self) -> None:
        await self.runs.close()
        await self.timers.close()
        self.store.close()


@asynccontextmanager
async def rig(home: Path, *tools: Tool, rules: RunsRules = RULES) -> AsyncIterator[Rig]:
    """A rig, open."""
    made = Rig(home, tools, rules)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def under_way(made: Rig, run: str, steps: int) -> None:
    """Waits until a run has so many steps."""
    async for each in made.runs.watch(KEY, run):
        if not isinstance(each, str) and each.n >= steps - 1:
            return


def task(*calls: tuple[str, Mapping[str, Any]]) -> str:
    """A task whose text is its script."""
    return json.dumps(calls)
