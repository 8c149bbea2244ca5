"""Runs of agents whose steps are scripted by the task's first word, and a boundary with three tools.

    add      one call, an answer          write    a call that a person has to allow
    ask      a question to the person     hold     one thought, then nothing until it is stopped
    loop     ends without an answer       refuse   cannot even be started

Promises: keys are kept apart, steps come one by one, `watch` gives each of them once, a decision is waited for; nothing is kept
on a disk, so a `ScriptedRuns` that is handed to a second house is what came back after a crash.
Does not cover: a model, a journal, an effect (`tests/process`).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from homefire.agent.order import Order
from homefire.agent.step import (
    Answered,
    Asked,
    Begun,
    Called,
    Decided,
    Ended,
    Entry,
    Ordered,
    Returned,
    Step,
    Thought,
)
from homefire.errors import EngineBusy, RunEnded, UnknownRun
from homefire.safety import Boundary
from homefire.safety.boundary import ToolSpec
from homefire.server.acting import Acting
from homefire.server.agent_routes import Agents
from homefire.server.authority import Authority
from homefire.server.tool_routes import ToolRooms
from homefire.store import Conversations, GrantRow, RunRow, Safety, Store, TimerRow

SHOWN = '{\n "arguments": {\n  "path": "/somewhere/a.txt",\n  "text": "\\u2764"\n },\n "tool": "write_file"\n}'
TEXT: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}, "additionalProperties": False}
FILE: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "text": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}
SPECS = (
    ToolSpec("calculate", "Works out an expression.", TEXT, "read"),
    ToolSpec("run_code", "Runs a program.", TEXT, "run"),
    ToolSpec("write_file", "Writes a file.", FILE, "write", paths=("path",)),
)


@dataclass
class _Run:
    row: RunRow
    entries: list[Entry] = field(default_factory=list)
    decisions: dict[str, Decided] = field(default_factory=dict)
    pieces: list[tuple[int, str]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class ScriptedRuns:
    """`news` tells of every change; `orders` are all that came."""

    def __init__(self) -> None:
        self.runs: dict[str, _Run] = {}
        self.orders: list[Order] = []
        self.numbers = itertools.count(1)
        self.news = asyncio.Condition()

    async def start(self, order: Order, key: str) -> RunRow:
        if order.task.startswith("refuse"):
            raise EngineBusy("No model is free.", "Try again.")
        self.orders.append(order)
        now = time.time() + next(self.numbers) / 1e3
        row = RunRow(
            f"r{next(self.numbers)}", key, order.task, "running", "", "", order.model, order.mode, now, now, 0, 0,
            order.conversation,
        )  # fmt: skip
        run = self.runs[row.id] = _Run(row)
        run.task = asyncio.ensure_future(self._script(run))
        return row

    async def list(self, key: str, limit: int = 50, before: float | None = None) -> Sequence[RunRow]:
        rows = sorted((run.row for run in self.runs.values() if run.row.key == key), key=lambda row: -row.created_at)
        return [row for row in rows if before is None or row.created_at < before][:limit]

    async def get(self, key: str, run: str) -> RunRow:
        return self._of(key, run).row

    async def entries(self, key: str, run: str, first: int = 0) -> Sequence[Entry]:
        return self._of(key, run).entries[first:]

    async def watch(self, key: str, run: str, first: int = 0) -> AsyncIterator[Entry | str]:
        found, told = self._of(key, run), 0
        while True:
            while first < len(found.entries):
                while told < len(found.pieces) and found.pieces[told][0] <= first:
                    yield found.pieces[told][1]
                    told += 1
                yield found.entries[first]
                first += 1
            if found.row.state in ("ended", "interrupted"):
                return
            async with self.news:
                await self.news.wait()

    async def decide(self, key: str, run: str, call: str, yes: bool, text: str = "") -> Entry:
        said = self._of(key, run).decisions[call] = Decided(call, yes, text)
        await self._tell()
        return Entry(0, time.time(), said)

    async def say(self, key: str, run: str, text: str) -> Entry:
        found = self._of(key, run)
        await self._add(found, Ordered(text))
        return found.entries[-1]

    async def stop(self, key: str, run: str) -> RunRow:
        found = self._of(key, run)
        if found.row.state == "ended":
            raise RunEnded("The run has ended already.")
        if found.task is not None:
            found.task.cancel()
        await self._end(found, "stopped", "A person stopped it.")
        return found.row

    async def resume(self, key: str, run: str) -> RunRow:
        found = self._of(key, run)
        if found.row.state == "ended":
            raise RunEnded("The run has ended.")
        found.row = replace(found.row, state="running", ending="")
        found.task = asyncio.ensure_future(self._script(found))
        return found.row

    async def delete(self, key: str, run: str) -> None:
        if self._of(key, run).row.state != "ended":
            await self.stop(key, run)
        self.runs.pop(run)

    async def die(self) -> None:
        """The daemon dies: what was under way is interrupted."""
        for run in self.runs.values():
            if run.task is not None and not run.task.done():
                run.task.cancel()
                run.row = replace(run.row, state="interrupted")
        await self._tell()

    def _of(self, key: str, run: str) -> _Run:
        found = self.runs.get(run)
        if found is None or found.row.key != key:
            raise UnknownRun(f"There is no run '{run}'.")
        return found

    async def _script(self, run: _Run) -> None:
        word = run.row.task.split(" ", 1)[0]
        if not run.entries:
            await self._add(run, Ordered(run.row.task))
        if word == "add":
            run.pieces += [(1, "I will "), (1, "add.")]
            await self._add(run, Thought("I will add.", 3), 7, 3)
            await self._add(run, Called("c1", "calculate", '{"expression": "17*23"}', "d1"), 20, 9)
            await self._add(run, Begun("c1", "d1", True))
            await self._add(run, Returned("c1", "ok", "391", size=3, seconds=0.01))
            await self._end(run, "answered", "", "It is 391.")
        elif word in ("write", "ask"):
            tool = {"write": "write_file", "ask": "ask_person"}[word]
            shown = SHOWN if word == "write" else "Which colour?"
            await self._add(run, Called("c1", tool, '{"path": "/somewhere/a.txt", "text": "\u2764"}', "d1"))
            await self._add(run, Asked("c1", "ap1" if word == "write" else "", shown, "The grant asks every time."))
            run.row = replace(run.row, state="waiting")
            await self._tell()
            async with self.news:
                await self.news.wait_for(lambda: "c1" in run.decisions)
            said = run.decisions["c1"]
            run.row = replace(run.row, state="running")
            await self._add(run, said)
            await self._add(run, Returned("c1", "ok" if said.yes else "refused", said.text or "written"))
            await self._end(
                run, "answered", "", f"Done: {said.text}." if said.text else "Done." if said.yes else "Not done."
            )
        elif word == "loop":
            await self._end(run, "loop", "It only repeated itself. Say the task in another way.")
        else:
            await self._add(run, Thought("I wait.", 2))
            await asyncio.get_running_loop().create_future()

    async def _end(self, run: _Run, why: Any, text: str, answer: str = "") -> None:
        if answer:
            await self._add(run, Answered(answer))
        run.row = replace(run.row, state="ended", ending=why, answer=answer or text)
        await self._add(run, Ended(why, text))

    async def _add(self, run: _Run, step: Step, read: int = 0, written: int = 0) -> None:
        run.entries.append(Entry(len(run.entries), time.time(), step, read, written))
        run.row = replace(run.row, steps=len(run.entries), tokens=run.row.tokens + written)
        await self._tell()

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()


class OneTimer:
    """A timer of the person's, until it is put away."""

    def __init__(self) -> None:
        self.rows = [TimerRow("t1", "", "r1", "tea", 3.0, 1e9, "rung", 1e9)]

    async def all(self, key: str) -> Sequence[TimerRow]:
        return [row for row in self.rows if row.key == key]

    async def put_away(self, key: str, id_: str) -> bool:
        before, self.rows = self.rows, [row for row in self.rows if (row.key, row.id) != (key, id_)]
        return before != self.rows


def scripted(made: list[ScriptedRuns], again: ScriptedRuns | None = None) -> Any:
    """For the rig's `agents`: puts its runs into `made`, or takes those that were there before."""

    def make(store: Store, conversations: Conversations, authority: Authority) -> tuple[Agents, ToolRooms]:
        runs = again or ScriptedRuns()
        made.append(runs)
        boundary = Boundary(SPECS, Safety(store))
        settled: set[str] = set()

        async def settle(key: str) -> None:
            await boundary.open()
            if key not in settled:
                settled.add(key)
                await boundary.grant(GrantRow(key, "calculate", SPECS[0].pin))

        def refused(tool: str) -> str:
            return "No sandbox holds here." if tool == "run_code" else ""

        acting = Acting(runs, conversations, authority, lambda: "pilot")
        return Agents(runs, acting, OneTimer()), ToolRooms(boundary, settle, refused)

    return make
