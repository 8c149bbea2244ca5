"""Runs: whose they are, how they end, and what a start after a crash takes up.

Promises: each call of `Runs` with another key, after the end, and in the middle.
Does not cover: HTTP.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homefire.agent.order import Order
from homefire.agent.runs import MOST_RESUMES, RunsRules
from homefire.agent.step import Ended, Ordered, Returned, Told
from homefire.agent.tool import Context, Outcome
from homefire.agent.tools import PlainTool
from homefire.errors import FolderNotGranted, InvalidRequest, NotAsked, RunEnded, StoreDamaged, UnknownRun
from homefire.paths import RunId
from homefire.store import GrantRow, TimerRow
from tests.null.agent_rig import KEY, Rig, plain, rig, task, under_way
from tests.null.looped import looped


async def slow(arguments: Mapping[str, Any], context: Context) -> Outcome:
    await asyncio.sleep(3600)
    return Outcome("ok", "")


SLOW = plain("slow", slow, "write", idempotent=False, seconds=3600.0)


@looped
async def test_a_run_from_order_to_answer_and_who_may_see_it(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        row = await made.runs.start(
            Order(task(("calculate", {"expression": "6*7"}), ("write_file", {"path": "a.txt", "text": "x"}))), KEY
        )
        seen = [each async for each in made.runs.watch(KEY, row.id)]
        row = await made.runs.get(KEY, row.id)
        assert (row.state, row.ending) == ("ended", "answered")
        assert '{"result": 42}' in row.answer
        assert row.steps == len(await made.runs.entries(KEY, row.id))
        assert [each for each in seen if isinstance(each, str)] == ["<0>", "<1>"]
        assert [each.n for each in seen if not isinstance(each, str)] == list(range(row.steps))
        again = [each async for each in made.runs.watch(KEY, row.id, 3)]
        assert [each.n for each in again if not isinstance(each, str)] == list(range(3, row.steps))
        assert (made.paths.workplace(RunId(row.id)) / "a.txt").read_text() == "x"
        assert [each.id for each in await made.runs.list(KEY)] == [row.id]
        assert await made.runs.list("other") == []
        for call in (made.runs.get, made.runs.entries, made.runs.stop, made.runs.delete, made.runs.resume):
            with pytest.raises(UnknownRun):
                await call("other", row.id)
        for late in (
            made.runs.stop(KEY, row.id),
            made.runs.say(KEY, row.id, "x"),
            made.runs.decide(KEY, row.id, "c0", True),
        ):
            with pytest.raises(RunEnded):
                await late
        await made.runs.delete(KEY, row.id)
        assert not made.paths.journal(RunId(row.id)).exists()
        with pytest.raises(UnknownRun):
            await made.runs.get(KEY, row.id)


@looped
async def test_stopping_tells_what_had_begun(tmp_path: Path) -> None:
    async with rig(tmp_path, SLOW) as made:
        row = await made.runs.start(Order(task(("slow", {}))), KEY)
        await under_way(made, row.id, 3)
        await made.runs.say(KEY, row.id, "and one more thing")
        with pytest.raises(NotAsked):
            await made.runs.decide(KEY, row.id, "c0", True)
        row = await made.runs.stop(KEY, row.id)
        steps = [e.step for e in await made.runs.entries(KEY, row.id)]
        assert (row.state, row.ending) == ("ended", "stopped")
        assert [step.status for step in steps if isinstance(step, Returned)] == ["unknown"]
        assert Ordered("and one more thing") in steps
        assert isinstance(steps[-1], Ended)


@looped
async def test_a_start_takes_up_what_was_under_way_but_not_for_ever(tmp_path: Path) -> None:
    async with rig(tmp_path, SLOW) as made:
        row = await made.runs.start(Order(task(("slow", {}), ("calculate", {"expression": "1+1"}))), KEY)
        await under_way(made, row.id, 3)
    async with rig(tmp_path, SLOW, rules=RunsRules(resume=False)) as made:
        assert (await made.runs.get(KEY, row.id)).state == "interrupted"
        await made.rows.put(replace(await made.runs.get(KEY, row.id), resumes=MOST_RESUMES))
    async with rig(tmp_path, SLOW) as made:
        assert (await made.runs.get(KEY, row.id)).state == "interrupted"
        await made.rows.put(replace(await made.runs.get(KEY, row.id), resumes=0))
    async with rig(tmp_path, SLOW) as made:
        found, _ = await made.runs.finished(KEY, row.id)
        assert found.ending == "answered"
        assert found.answer.startswith("unknown:")
        assert '{"result": 2}' in found.answer


@looped
async def test_a_run_that_only_ends_daemons_is_left_alone_after_some_starts(tmp_path: Path) -> None:
    async with rig(tmp_path, SLOW) as made:
        row = await made.runs.start(Order(task(("slow", {}))), KEY)
        await under_way(made, row.id, 2)
    starts = 0
    for _ in range(MOST_RESUMES + 3):
        made = Rig(tmp_path, [SLOW])
        made.script = ()
        made.runs._run = asleep  # type: ignore[method-assign,assignment] # as if the daemon died before its first step
        await made.open()
        row = await made.rows.get(row.id) or row
        starts += row.state == "running"
        for live in made.runs._live.values():
            await live.record.close()
        await made.timers.close()
        made.store.close()
    assert (starts, row.state, row.resumes) == (MOST_RESUMES, "interrupted", MOST_RESUMES)


async def asleep(*_: object) -> None:
    await asyncio.sleep(0)


@looped
async def test_a_damaged_journal_ends_its_run_and_stays(tmp_path: Path) -> None:
    async with rig(tmp_path, SLOW) as made:
        row = await made.runs.start(Order(task(("slow", {}))), KEY)
        await under_way(made, row.id, 3)
    path = next(made.paths.journal(RunId(row.id)).glob("*.log"))
    spoilt = bytearray(path.read_bytes())
    spoilt[70] ^= 1
    path.write_bytes(spoilt)
    async with rig(tmp_path, SLOW) as made:
        found = await made.runs.get(KEY, row.id)
        assert (found.state, found.ending) == ("ended", "failed")
        assert path.read_bytes() == bytes(spoilt)
        with pytest.raises(StoreDamaged):
            await made.runs.entries(KEY, row.id)


@looped
async def test_a_folder_has_to_be_granted_and_the_home_never_is(tmp_path: Path) -> None:
    home, mine, other = tmp_path / "home", tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    other.mkdir()
    async with rig(home) as made:
        await made.runs.grants.ready(KEY, made.tools)
        pin = made.tools["write_file"].spec.pin
        await made.boundary.grant(GrantRow(KEY, "write_file", pin, roots=(str(mine), str(home))))
        for wrong in (other, home, home / "journals", tmp_path, Path("/"), Path("mine"), mine / "none"):
            with pytest.raises(FolderNotGranted):
                await made.runs.start(Order("[]", folder=str(wrong)), KEY)
        row = await made.runs.start(Order(task(("write_file", {"path": "a", "text": "x"})), folder=str(mine)), KEY)
        await made.runs.finished(KEY, row.id)
        assert (mine / "a").read_text() == "x"
        await made.runs.delete(KEY, row.id)
        assert (mine / "a").exists()


@looped
async def test_default_grants_come_once_and_what_is_revoked_stays_so(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        names = await made.runs.grants.ready(KEY, made.tools)
        assert {"calculate", "write_file", "run_code"} <= names
        assert not {"web_fetch", "web_search"} & names
        rows = await made.runs.grants.of(KEY)
        assert {name for name, row in rows.items() if row.ask} == {
            "run_code",
            "run_shell",
            "load_model",
            "start_process",
            "spawn_agent",
        }
        await made.boundary.revoke(KEY, "calculate")
        assert "calculate" not in await made.runs.grants.ready(KEY, made.tools)
        changed = made.tools["read_file"]
        assert isinstance(changed, PlainTool)
        made.tools["read_file"] = replace(changed, spec=replace(changed.spec, description="New words."))
        made.boundary.declare(made.tools["read_file"].spec)
        assert "read_file" in await made.runs.grants.ready(KEY, made.tools)


@looped
async def test_a_timer_rings_after_a_restart_once_and_in_its_run(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        at = 1000.0
        first = TimerRow("r:c", KEY, "r", "tea", 5, at + 300, "waiting", at)
        assert await made.timers.add(first) == await made.timers.add(replace(first, due_at=at + 999, label="other"))
        await asyncio.sleep(0.05)
    async with rig(tmp_path, SLOW) as made:
        rung: list[str] = []

        async def ring(row: TimerRow) -> None:
            rung.append(row.label)

        made.timers.rung = ring
        await made.timers.add(TimerRow("r:d", KEY, "r", "eggs", 1, 5.0, "waiting", 1.0))
        for _ in range(200):
            if rung:
                break
            await asyncio.sleep(0.01)
        assert rung == ["eggs"]
        assert [(row.label, row.state) for row in await made.timers.all(KEY)] == [("eggs", "rung"), ("tea", "rung")]
        assert await made.timers.put_away(KEY, "r:c")
        assert not await made.timers.put_away("other", "r:d")
        row = await made.runs.start(Order(task(("slow", {}))), KEY)
        await made.runs.tell(row.id, "The timer tea has run out.", "timer")
        assert any(isinstance(e.step, Told) for e in await made.runs.entries(KEY, row.id))


@looped
async def test_a_run_begins_another_with_a_share_and_not_too_deep(tmp_path: Path) -> None:
    inner = task(("calculate", {"expression": "2+3"}))
    async with rig(tmp_path) as made:
        await made.runs.grants.ready(KEY, made.tools)
        await made.boundary.grant(GrantRow(KEY, "spawn_agent", made.tools["spawn_agent"].spec.pin, largest=2**18))
        row = await made.runs.start(
            Order(task(("spawn_agent", {"role": "adder", "task": inner})), budget={"steps": 40}), KEY
        )
        found, _ = await made.runs.finished(KEY, row.id)
        child = next(each for each in await made.runs.list(KEY) if each.parent == row.id)
        assert json.loads(child.order)["budget"] == {"steps": 10}
        assert '{"result": 5}' in found.answer
        deep = inner
        for _ in range(3):
            deep = task(("spawn_agent", {"role": "x", "task": deep}))
        row = await made.runs.start(Order(deep), KEY)
        found, _ = await made.runs.finished(KEY, row.id)
        assert "no further" in found.answer


def test_an_order_is_checked() -> None:
    for wrong in (
        {"task": " "},
        {"task": "x", "mode": "wild"},
        {"task": "x", "budget": {"steps": -1}},
        {"task": "x", "budget": {"money": 1}},
    ):
        with pytest.raises(InvalidRequest):
            Order(**wrong)
    order = Order("x", tools=("a",), budget={"steps": 3})
    assert Order.of_json(order.to_json()) == order
    assert os.sep not in RunId("r0123456789abcdef")
