"""Swarms whose agents are scripted: order, hand-over, board, one budget, stopping, and what a start after a crash takes up.

Promises: real journals, store and boundary. Does not cover: models (`tests/process/test_swarm.py`), HTTP.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from homefire.agent.loop import Loop, LoopRules
from homefire.agent.order import Order
from homefire.agent.runs import Given
from homefire.agent.spec import Spec, read
from homefire.agent.step import Answered, Called, Ended, Ordered, Returned
from homefire.agent.swarm import Swarms, run_of
from homefire.agent.tools.board import board_tools
from homefire.errors import BadSwarm, RunEnded, UnknownSwarm
from homefire.safety.taint import label
from homefire.store import GrantRow, SwarmRows
from tests.null.agent_rig import KEY, Rig, ScriptedLoop, giving, plain, task
from tests.null.looped import looped


class Talker:
    """A loop that does what its role's first line says: `spend N` (tokens an entry, until the budget ends it), `hold`,
    `say TEXT`, `call JSON`."""

    def __init__(self, given: Given, house: House) -> None:
        self.given, self.house = given, house

    async def run(self) -> Ended:
        record, role = self.given.record, self.given.order.role.split("\n")[0]
        word, _, rest = role.partition(" ")
        self.house.began.append(self.given.order)
        self.house.news.set()
        if word == "call":
            return await ScriptedLoop(self.given, json.loads(rest)).run()
        if word == "hold" and self.house.holding:
            await asyncio.sleep(3600)
        while word == "spend":
            if what := self.given.shared():
                return Ended("budget", what)
            await record.add(Called("c", "x", "{}"), int(rest), 0)
            await asyncio.sleep(0)
        if not any(isinstance(e.step, Answered) for e in record.entries):
            await record.add(Answered(rest or "done"), 10, 0)
        return Ended("answered")


class House(Rig):
    """A rig with swarms."""

    def __init__(self, home: Path, holding: bool = False) -> None:
        secret = plain("look", giving("a page", label=label("web")))
        super().__init__(home, [secret])
        self.began: list[Order] = []
        self.news = asyncio.Event()
        self.offered: dict[str, set[str]] = {}
        self.holding = holding
        self.swarms = Swarms(SwarmRows(self.store), self.runs)
        for tool in board_tools(self.swarms):
            self.tools[tool.spec.name] = tool
            self.boundary.declare(tool.spec)

    async def begun(self, count: int) -> None:
        """Waits until so many agents have begun."""
        while len(self.began) < count:
            self.news.clear()
            await self.news.wait()

    async def _make(self, given: Given) -> Any:
        self.offered[given.run] = {spec.name for spec in given.offered}
        return Talker(given, self) if given.order.group and not given.order.parent else await super()._make(given)

    async def open(self) -> None:
        self.store.open()
        await self.boundary.open()
        for spec in self.own:
            await self.boundary.grant(GrantRow(KEY, spec.name, spec.pin))
        await self.swarms.prepare()
        await self.runs.open()
        self.swarms.open()

    async def close(self) -> None:
        await self.swarms.close()
        await super().close()


@asynccontextmanager
async def house(home: Path, holding: bool = False) -> AsyncIterator[House]:
    made = House(home, holding)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def spec(shared: str = "", **roles: str) -> Spec:
    """`name="role"`, or `name="after: a b; role"`."""
    files = {"AGENTS.md": shared}
    for name, role in roles.items():
        after, _, rest = role.removeprefix("after: ").partition("; ") if role.startswith("after: ") else ("", "", role)
        files[f"{name}.md"] = f"+++\nafter = {json.dumps(after.split())}\n+++\n{rest}"
    return read(files)


@looped
async def test_agents_get_the_answers_of_those_they_come_after_with_their_labels(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        calls = json.dumps([["look", {}]])
        given = spec("Be brief.", reader=f"call {calls}", other="say four", writer="after: reader other; say all")
        view = await made.swarms.start(given, "Look at it.", KEY)
        view = await made.swarms.finished(KEY, view.row.id)
        assert (view.state, view.row.ending, view.row.answer) == ("ended", "answered", "all")
        writer = made.began[-1]
        assert [order.role.split("\n")[0].split()[0] for order in made.began][-1] == "say" and len(made.began) == 3
        assert writer.task == "Look at it.\n\nFrom 'reader': ok:a page\n\nFrom 'other': four"
        assert "web" in writer.label and "person" in writer.label
        assert {name: row.ending for name, row in view.runs.items() if row} == dict.fromkeys(
            ("reader", "other", "writer"), "answered"
        )
        with pytest.raises(UnknownSwarm):
            await made.swarms.get("other", view.row.id)
        with pytest.raises(RunEnded):
            await made.swarms.stop(KEY, view.row.id)
        with pytest.raises(BadSwarm):
            await made.swarms.start(given, " ", KEY)
        assert [each.row.id for each in await made.swarms.list(KEY)] == [view.row.id]
        await made.swarms.delete(KEY, view.row.id)
        assert await made.runs.list(KEY) == [] and await made.swarms.list(KEY) == []


@looped
async def test_a_long_answer_is_handed_over_by_its_handle_and_read_whole(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        view = await made.swarms.start(spec(a="say " + "x" * 5000, b="after: a; hold"), "Go.", KEY)
        await made.swarms.finished(KEY, view.row.id)
        handed = made.began[-1].task
        handle = handed.rpartition("more: ")[2].rstrip("]")
        assert "1,000 characters more" in handed
        assert await made.runs.whole(KEY, handle) == b"x" * 5000
        script = json.dumps([["board_read", {"name": handle, "first": 3000}]])
        outside = await made.swarms.start(spec(c=f"call {script}"), "Go.", KEY)
        found = await made.swarms.finished(KEY, outside.row.id)
        assert "no agent of this swarm" in found.row.answer


@looped
async def test_the_board_has_versions_and_labels_and_is_offered_in_swarms_only(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        first = json.dumps([["look", {}], ["board_post", {"name": "plan", "text": "one"}]])
        more = [["board_post", {"name": "plan", "text": "two"}], ["board_read", {}], ["board_read", {"name": "plan"}]]
        second = json.dumps(more)
        view = await made.swarms.start(spec(a=f"call {first}", b=f"after: a; call {second}"), "Go.", KEY)
        view = await made.swarms.finished(KEY, view.row.id)
        assert (
            '"version": 2' in view.row.answer and '"text": "two"' in view.row.answer and '"by": "b"' in view.row.answer
        )
        (post,) = await made.swarms.board(KEY, view.row.id)
        assert (post.name, post.version, post.by) == ("plan", 2, "b")
        (old,) = await made.swarms.rows.board(view.row.id, "plan", 1)
        assert old.text == "one" and "web" in old.label
        seen = [e.step for e in await made.runs.entries(KEY, run_of(view.row.id, "b")) if isinstance(e.step, Returned)]
        assert "web" in seen[1].label.to_text()
        row = await made.runs.start(Order(task(("board_read", {}))), KEY)
        found, _ = await made.runs.finished(KEY, row.id)
        assert "board_read" not in made.offered[row.id] and "refused" in found.answer
        assert {"board_post", "board_read"} <= made.offered[run_of(view.row.id, "a")]


@looped
async def test_a_post_that_is_done_again_is_there_once(tmp_path: Path) -> None:
    async with house(tmp_path, holding=True) as made:
        view = await made.swarms.start(spec(a="hold"), "Go.", KEY)
        run = run_of(view.row.id, "a")
        await made.begun(1)
        for _ in range(2):
            row = await made.swarms.post(run, "c1", "plan", "one", label("person"))
            assert row is not None and row.version == 1
        assert len(await made.swarms.rows.board(view.row.id)) == 1
        view = await made.swarms.stop(KEY, view.row.id)
        assert (view.row.ending, [row and row.ending for row in view.runs.values()]) == ("stopped", ["stopped"])


@looped
async def test_one_budget_ends_all_and_begins_no_further_one(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        given = spec("+++\ntokens = 500\n+++\n", a="spend 40", b="spend 60", c="after: a b; say never")
        view = await made.swarms.finished(KEY, (await made.swarms.start(given, "Go.", KEY)).row.id)
        assert view.row.ending == "budget" and "the 500 tokens of the swarm" in view.row.answer
        assert {name: row and row.ending for name, row in view.runs.items()} == {
            "a": "budget",
            "b": "budget",
            "c": None,
        }
        assert 500 <= view.spent[0] < 600
        assert view.spent[0] == sum(row.tokens for row in view.runs.values() if row)


@looped
async def test_what_a_run_begins_is_charged_to_it(tmp_path: Path) -> None:
    """A child's tokens count against its parent's budget, also when they were spent before a crash."""
    async with house(tmp_path) as made:
        await made.runs.grants.ready(KEY, made.tools)
        await made.boundary.grant(GrantRow(KEY, "spawn_agent", made.tools["spawn_agent"].spec.pin, largest=2**18))
        over: list[str] = []

        async def parent(given: Given) -> Any:
            if given.order.parent:
                return Spender(given, 90)
            return Checking(given, over)

        made.runs._make = parent
        script = [["spawn_agent", {"role": "r", "task": "t"}]]
        row = await made.runs.start(Order(json.dumps(script), budget={"tokens": 80}), KEY)
        await made.runs.finished(KEY, row.id)
        assert over == ["", "the 80 tokens of the run and those that it began"]


class Spender:
    """Reads so many tokens and answers."""

    def __init__(self, given: Given, tokens: int) -> None:
        self.given, self.tokens = given, tokens

    async def run(self) -> Ended:
        await self.given.record.add(Answered("spent"), self.tokens, 0)
        return Ended("answered")


class Checking:
    """Looks into the purse before and after its script."""

    def __init__(self, given: Given, over: list[str]) -> None:
        self.given, self.over = given, over

    async def run(self) -> Ended:
        self.over.append(self.given.shared())
        ended = await ScriptedLoop(self.given, json.loads(self.given.order.task)).run()
        self.over.append(self.given.shared())
        return ended


@looped
async def test_the_loop_ends_when_what_is_shared_is_used_up(tmp_path: Path) -> None:
    class Kept:
        def __init__(self) -> None:
            self.entries: list[Any] = []

        async def add(self, step: Any, tokens_in: int = 0, tokens_out: int = 0) -> Any:
            from homefire.agent.step import Entry

            self.entries.append(Entry(len(self.entries), time.time(), step))
            return self.entries[-1]

    record = Kept()
    await record.add(Ordered("x"))
    none: Any = None
    ended = await Loop(none, none, record, (), LoopRules(shared=lambda: "the 5 tokens of the swarm")).run()
    assert (ended.why, "the 5 tokens of the swarm" in ended.text) == ("budget", True)


@looped
async def test_a_swarm_goes_on_after_a_crash_and_counts_what_was_spent(tmp_path: Path) -> None:
    given = spec("+++\ntokens = 900\n+++\n", a="say one", b="after: a; hold", c="after: b; say three")
    async with house(tmp_path, holding=True) as made:
        view = await made.swarms.start(given, "Go.", KEY)
        await made.begun(2)
    async with house(tmp_path) as made:
        seen = [name async for name, each in made.swarms.watch(KEY, view.row.id) if not isinstance(each, str)]
        view = await made.swarms.finished(KEY, view.row.id)
        assert (view.row.ending, view.row.answer) == ("answered", "three")
        assert [order.role for order in made.began] == ["hold", "say three"]
        assert set(seen) == {"a", "b", "c"}
        assert view.spent[0] == 30
        assert len([each async for each in made.swarms.watch(KEY, view.row.id)]) == len(seen)


@looped
async def test_an_agent_that_fails_is_told_to_those_after_it(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        given = spec("+++\ntokens = 100000\n+++\n", a="call not json", b="after: a; say still")
        view = await made.swarms.finished(KEY, (await made.swarms.start(given, "Go.", KEY)).row.id)
        assert (view.row.ending, view.row.answer) == ("answered", "still")
        assert "From 'a': no answer (failed)" in made.began[-1].task
