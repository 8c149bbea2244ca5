"""The scenarios of agents, their worlds, and the model that goes through them badly.

Promises: each scenario can be done by its own course and is lost by its claim or by doing nothing, so that a judge who accepts
everything, or nothing, turns one of these red.
Does not cover: what the loop makes of them (`bench guardrails`).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from fakes.scenario_model import GRID, KINDS, Badness, ScriptedModel
from fakes.tool_world import ADMITS, ListRecord, Scenario, ToolWorld, scenarios, specs
from homefire.agent.step import Answered, Called, Ended, Returned
from homefire.errors import ContextOverflow
from homefire.messages import ChatRequest, Message, TextDelta, Tool, ToolCallDelta
from homefire.safety.schema import read_arguments
from homefire.safety.taint import Label

ALL = scenarios()
EACH = pytest.mark.parametrize("scenario", ALL, ids=[each.id for each in ALL])


async def walked(scenario: Scenario, course: Any, answer: str) -> str:
    world, record = ToolWorld(scenario), ListRecord()
    for at, step in enumerate(course):
        call = Called(f"c{at}", step["tool"], json.dumps(step["arguments"]))
        await record.add(call)
        await record.add(await world.do(call, Label()))
    await record.add(Answered(answer))
    await record.add(Ended("answered"))
    return world.judged(scenario, record.entries)


def test_there_are_26_of_six_traps() -> None:
    assert len({each.id for each in ALL}) == 26
    traps = Counter(each.trap for each in ALL)
    assert set(traps) == {"none", "failing tool", "empty result", "decoy", "long output", "injected order"}
    assert min(traps.values()) >= 3


@EACH
def test_its_course_does_it_and_its_claim_does_not(scenario: Scenario) -> None:
    async def tried() -> None:
        assert await walked(scenario, scenario.course, scenario.answer) == ""
        assert await walked(scenario, (), scenario.claim) != ""
        assert await walked(scenario, scenario.course[:-1], scenario.claim) != ""

    asyncio.run(tried())


@EACH
def test_its_calls_fit_the_tools(scenario: Scenario) -> None:
    declared = {spec.name: spec for spec in specs(scenario.tools)}
    assert set(declared) == set(scenario.tools) >= {"respond", "ask_person"}
    for step in (*scenario.course, *scenario.world):
        read_arguments(json.dumps(step["arguments"]), declared[step["tool"]].parameters)
    assert all(each["tool"] in declared for each in scenario.wants["never"])


def test_what_must_not_be_done_loses() -> None:
    async def tried() -> None:
        scenario = next(each for each in ALL if each.trap == "injected order")
        obeyed = {"tool": scenario.wants["never"][0]["tool"], "arguments": {}}
        assert (await walked(scenario, (*scenario.course, obeyed), scenario.answer)).startswith("done:")

    asyncio.run(tried())


def test_a_long_result_is_cut_and_named() -> None:
    async def tried() -> None:
        scenario = next(each for each in ALL if each.id == "long_log")
        found = await ToolWorld(scenario).do(Called("c", "read_file", '{"path": "server.log"}'), Label())
        assert isinstance(found, Returned) and len(found.text) < 4000
        assert found.handle == "step:c" and "left out: step:c" in found.text and found.text.endswith("disk 88 full")

    asyncio.run(tried())


def test_the_grid_has_each_kind_at_each_rate() -> None:
    assert len(GRID) == 1 + 3 * len(KINDS) + 3 and GRID["none"] == Badness()
    assert all(getattr(GRID[f"{kind}_0.3"], kind) == 0.3 for kind in KINDS)


def request(scenario: Scenario, *messages: Message, choice: str = "auto") -> ChatRequest:
    tools = tuple(Tool(each.name, each.description, dict(each.parameters)) for each in specs(scenario.tools))
    return ChatRequest("scripted", messages or (Message("user", scenario.task),), tools=tools, tool_choice=choice)


async def said(model: ScriptedModel, asked: ChatRequest) -> tuple[str, list[ToolCallDelta]]:
    async with model.ask(asked) as events:
        found = [event async for event in events]
    text = "".join(each.text for each in found if isinstance(each, TextDelta))
    return text, [each for each in found if isinstance(each, ToolCallDelta)]


def test_a_good_one_makes_the_first_call() -> None:
    async def tried() -> None:
        text, calls = await said(ScriptedModel(ALL[0], Badness(), "1"), request(ALL[0]))
        assert text == "" and calls[0].name == ALL[0].course[0]["tool"]
        assert json.loads(calls[0].arguments) == ALL[0].course[0]["arguments"]

    asyncio.run(tried())


def test_prose_has_no_call_but_where_it_is_forced() -> None:
    async def tried() -> None:
        model = ScriptedModel(ALL[0], Badness(prose=1), "1")
        text, calls = await said(model, request(ALL[0]))
        assert text and not calls
        _, calls = await said(model, request(ALL[0], choice="required"))
        assert calls[0].name == "respond"

    asyncio.run(tried())


def test_a_loop_ends_with_its_tool() -> None:
    async def tried() -> None:
        model = ScriptedModel(ALL[0], Badness(loops=1), "1")
        first = request(ALL[0])
        _, before = await said(model, first)
        done = Message("tool", "397.8", tool_call_id="c1")
        _, again = await said(model, request(ALL[0], *first.messages, done))
        assert (again[0].name, again[0].arguments) == (before[0].name, before[0].arguments)
        left = tuple(each for each in first.tools if each.name != before[0].name)
        gone = ChatRequest("scripted", (*first.messages, done), tools=left)
        model._bad = Badness()
        _, other = await said(model, gone)
        assert other[0].name != before[0].name

    asyncio.run(tried())


def test_equal_seeds_are_equal_models() -> None:
    async def tried() -> None:
        bad = GRID["mixed_0.2"]
        for seed in "abcdef":
            one, two = [await said(ScriptedModel(ALL[3], bad, seed), request(ALL[3])) for _ in range(2)]
            assert one == two
        many = {str(await said(ScriptedModel(ALL[3], bad, str(seed)), request(ALL[3]))) for seed in range(40)}
        assert len(many) > 3

    asyncio.run(tried())


def test_a_prompt_beyond_its_window_is_refused() -> None:
    async def tried() -> None:
        model = ScriptedModel(ALL[0], Badness(), "1", window=64)
        with pytest.raises(ContextOverflow):
            await said(model, request(ALL[0]))

    asyncio.run(tried())


def test_admissions_are_words() -> None:
    assert ADMITS.search("It could not be read.") and not ADMITS.search("The note is written, knot tied.")
    assert asyncio.run(walked(ALL[0], ALL[0].course, "")) != ""
