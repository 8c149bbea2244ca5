"""The loop with scripted models: what goes right, what goes wrong and is caught, and that any point can be the last.

Promises: the models see only messages, as real ones do; a run is cut at each step and goes on to the same end.
Does not cover: real models (`tests/process/test_agent_pilot.py`), how often each mistake is made (`homefire bench guardrails`).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from fakes.scripted_model import Badness, ScriptedModel
from homefire.agent.budget import Budget
from homefire.agent.guards import BARE, Guards
from homefire.agent.loop import Loop, LoopRules, ModelFacts
from homefire.agent.step import Answered, Called, Ended, Entry, Ordered, Repaired, Returned, Summarised, Thought, Told
from homefire.errors import ContextOverflow, InvalidRequest
from homefire.messages import ChatRequest, Event, Finish, TextDelta, ToolCallDelta
from homefire.safety.taint import label
from tests.null.agent_bench import Doing, Memory, fixture_specs

TOOLS = fixture_specs("respond", "calculate", "remember", "recall", "read_file")
TASK = "What is 17 % of 2,340, and remember it as my budget."


def chain(results: Sequence[tuple[str, str, bool]]) -> tuple[str, dict[str, Any]]:
    done = {tool for tool, _, failed in results if not failed}
    if "calculate" not in done:
        return "calculate", {"expression": "17 % of 2340"}
    value = next(
        json.loads(text.partition("\n")[0])["result"] for tool, text, bad in results if tool == "calculate" and not bad
    )
    if "remember" not in done:
        return "remember", {"text": f"my budget is {value}"}
    return "respond", {"text": f"17 % of 2340 is {value}. I will remember it."}


def hands() -> Doing:
    return Doing(calculate=lambda expression: {"result": 397.8}, remember=lambda text: {"ok": True})


def ran(model: Any, record: Memory, doing: Doing, tools: Any = TOOLS, **rules: Any) -> Ended:
    return asyncio.run(Loop(model, doing, record, tools, LoopRules(**rules)).run())


def test_a_chain() -> None:
    record, doing = Memory(TASK), hands()
    assert ran(ScriptedModel(chain), record, doing) == Ended("answered")
    assert doing.done == [("calculate", '{"expression":"17 % of 2340"}'), ("remember", '{"text":"my budget is 397.8"}')]
    assert record.of(Answered) == [Answered("17 % of 2340 is 397.8. I will remember it.")]


def test_a_run_cut_at_any_step_goes_on_to_the_same_end() -> None:
    whole = Memory(TASK)
    ran(ScriptedModel(chain), whole, hands())
    for cut in range(1, len(whole.entries) + 1):
        record, doing = Memory(entries=whole.entries[:cut]), hands()
        assert ran(ScriptedModel(chain), record, doing) == Ended("answered")
        assert record.of(Answered) == whole.of(Answered), cut
        assert Counter(call.tool for call in record.of(Called)) == {"calculate": 1, "remember": 1}, cut


@pytest.mark.parametrize("what", ["prose", "format", "arguments", "loop", "invent"])
def test_each_mistake_made_often(what: str) -> None:
    """At a rate of 0.5 the guarded loop still comes to the right end in most runs, and never repeats a call without end."""
    right = {True: 0, False: 0}
    for guarded in (True, False):
        for seed in range(20):
            record, doing = Memory(TASK), hands()
            model = ScriptedModel(chain, Badness(**{what: 0.5}), seed)
            ended = ran(model, record, doing, guards=Guards() if guarded else BARE, budget=Budget(steps=20))
            good = ended.why == "answered" and "397.8" in record.of(Answered)[0].text
            right[guarded] += good and ("remember", '{"text":"my budget is 397.8"}') in doing.done
            if guarded:
                assert max(Counter(doing.done).values(), default=0) <= 2
    assert right[True] >= 14 and right[True] >= right[False], right


def test_a_model_that_only_loops_ends() -> None:
    def same(_: Sequence[tuple[str, str, bool]]) -> tuple[str, dict[str, Any]]:
        return "recall", {"query": "my budget"}

    record, doing = Memory("What is my budget?"), Doing(recall=lambda query: "my budget is 5")
    assert ran(ScriptedModel(same), record, doing).why == "loop"
    assert len(doing.done) == 1, "the second was the first's result, the third was not made"
    assert [step.status for step in record.of(Returned)] == ["ok", "cached"]
    model = ScriptedModel(same)
    ran(model, Memory("What is my budget?"), doing)
    assert "recall" not in [tool.name for tool in model.asked[-1].tools], "the tool is withdrawn"


def test_what_changes_may_be_asked_again() -> None:
    times = iter(["1:00", "1:01", "1:01", "1:01"])

    def asks(results: Sequence[tuple[str, str, bool]]) -> tuple[str, dict[str, Any]]:
        return ("current_time", {}) if len(results) < 5 else ("respond", {"text": "Time passes."})

    record, doing = Memory("Watch the time."), Doing(current_time=lambda: next(times))
    assert ran(ScriptedModel(asks), record, doing, fixture_specs("respond", "current_time")).why in ("answered", "loop")
    assert len(doing.done) == 3, "twice the same, then no more"


def test_nothing_found_is_no_success() -> None:
    def missing(path: str) -> str:
        raise LookupError("There is no such file.")

    def blind(results: Sequence[tuple[str, str, bool]]) -> tuple[str, dict[str, Any]]:
        if not results:
            return "read_file", {"path": "plan.md"}
        told = any("Not yet" in text for _, text, _ in results)
        return "respond", {"text": "I could not find plan.md." if told else "I read it, all is well."}

    record = Memory("Read plan.md.")
    assert ran(ScriptedModel(blind), record, Doing(read_file=missing)).why == "answered"
    assert record.of(Answered)[0].text == "I could not find plan.md."
    record = Memory("Read plan.md.")
    ran(ScriptedModel(blind), record, Doing(read_file=missing), guards=Guards().without(["errors"]))
    assert record.of(Answered)[0].text == "I read it, all is well.", "the guard is what caught it"


@pytest.mark.parametrize(
    ("said", "code"),
    [("The result is 512.", "ungrounded"), ("I have remembered it.", "claim"), ("The note was added.", "claim")],
)
def test_what_no_step_shows_goes_back(said: str, code: str) -> None:
    def claims(results: Sequence[tuple[str, str, bool]]) -> tuple[str, dict[str, Any]]:
        return ("calculate", {"expression": "1+1"}) if not results else ("respond", {"text": said})

    record = Memory("What is 1+1?")
    assert ran(ScriptedModel(claims), record, Doing(calculate=lambda expression: {"result": 2})).why == "answered"
    assert [step.code for step in record.of(Returned) if step.code] == [code] * 2, "not for ever"


def test_an_announcement_is_no_answer() -> None:
    """A model that is forced to call after it wrote what it would do says it once more by `respond`."""

    class Announcing(ScriptedModel):
        def _answer(self, request: ChatRequest) -> list[Event]:
            if len(self.asked) > 2:
                return super()._answer(request)
            said = "I will use calculate for this."
            if request.tool_choice == "required":
                return [ToolCallDelta(0, json.dumps({"text": said}), "c", "respond"), Finish("tool_calls")]
            return [TextDelta(said), Finish("stop")]

    record, doing = Memory(TASK), hands()
    assert ran(Announcing(chain), record, doing).why == "answered"
    assert [step.code for step in record.of(Returned) if step.code] == ["announced"] and len(doing.done) == 2


def test_the_fixed_part_of_the_prompt_is_bounded() -> None:
    wordy = [replace(each, description=each.description + " and so on" * 120) for each in fixture_specs()[:8]]
    model = ScriptedModel(lambda results: ("respond", {"text": "Hello."}))
    ran(model, Memory("Say hello."), Doing(), wordy)
    assert model.asked[0].tools[0].name == "respond"
    assert asyncio.run(model.count(replace(model.asked[0], messages=()))) <= 1500


class Prose:
    """Writes the same text whatever it is asked."""

    name, window = "prose", 4096

    def __init__(self, text: str) -> None:
        self.text = text

    async def count(self, request: ChatRequest) -> int:
        return 100

    async def is_built_in(self) -> bool:
        return False

    @asynccontextmanager
    async def ask(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[Event]]:
        async def stream() -> AsyncIterator[Event]:
            yield TextDelta(self.text)
            yield Finish("stop")

        yield stream()


def test_a_model_that_never_calls_ends_and_says_so() -> None:
    record = Memory("Do something.")
    ended = ran(Prose("I am thinking about it."), record, Doing())
    assert ended.why == "helpless" and "prose" in ended.text
    assert len(record.of(Repaired)) == 4 and len(record.of(Thought)) == 4
    bare = Memory("Do something.")
    assert ran(Prose("Done."), bare, Doing(), guards=BARE).why == "answered", (
        "without the guard prose passes for an answer"
    )


def test_unknown_tools_and_broken_arguments_are_shown_what_is_right() -> None:
    record = Memory("Do something.")
    ran(Prose('{"name": "fly", "arguments": {}}'), record, Doing())
    assert (
        "There is no tool 'fly'" in record.of(Repaired)[0].problem
        and "calculate(expression: string)" in record.of(Repaired)[0].problem
    )
    record = Memory("Do something.")
    doing = Doing(calculate=lambda expression: 1)
    assert ran(Prose('{"name": "calculate", "arguments": {"sum": "1"}}'), record, doing).why == "loop"
    assert doing.done == [] and record.of(Returned)[0].code == "bad_arguments"


def test_hundreds_of_rounds_stay_within_the_window() -> None:
    """Nothing drifts: the order stays in front, what is left out is named, the prompt never outgrows the window."""
    rounds = 120

    def counting(results: Sequence[tuple[str, str, bool]]) -> tuple[str, dict[str, Any]]:
        last = int(results[-1][1].partition(" ")[0]) if results else 0
        return ("read_file", {"path": f"{last}.txt"}) if last < rounds else ("respond", {"text": f"I came to {last}."})

    def page(path: str) -> str:
        return f"{int(path.partition('.')[0]) + 1} is next. " + "filler words " * 60

    model, record, doing = ScriptedModel(counting, window=3000), Memory("Follow the files."), Doing(read_file=page)
    assert ran(model, record, doing, budget=Budget(steps=500)).why == "answered"
    assert len(doing.done) == rounds and len(set(doing.done)) == rounds
    sizes = [asyncio.run(model.count(request)) for request in model.asked]
    assert max(sizes) <= 3000 and record.of(Summarised)
    assert all(
        request.messages[0].content.startswith("Follow the files.")
        for request in model.asked
        if request.messages[0].content
    )
    summary = record.of(Summarised)[-1]
    assert "earlier lines left out: step:run:" in summary.text and len(summary.text) < 3500


def test_an_overflow_that_only_the_engine_sees_is_shortened_and_asked_again() -> None:
    class Small(ScriptedModel):
        refused = 0

        @asynccontextmanager
        async def ask(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[Event]]:
            if sum(len(message.content or "") for message in request.messages) > 9000:
                self.refused += 1
                raise ContextOverflow("Too long.")
            async with super().ask(request) as events:
                yield events

    def reads(results: Sequence[tuple[str, str, bool]]) -> tuple[str, dict[str, Any]]:
        return ("read_file", {"path": f"{len(results)}.txt"}) if len(results) < 4 else ("respond", {"text": "Read."})

    model, record = Small(reads, window=100_000), Memory("Read four files.")
    assert ran(model, record, Doing(read_file=lambda path: path + " word" * 1000)).why == "answered"
    assert model.refused >= 1


@pytest.mark.parametrize(
    ("budget", "what"),
    [(Budget(steps=3), "3 steps"), (Budget(tokens=200), "200 tokens"), (Budget(seconds=1), "1 seconds")],
)
def test_budgets(budget: Budget, what: str) -> None:
    def endless(results: Sequence[tuple[str, str, bool]]) -> tuple[str, dict[str, Any]]:
        return "read_file", {"path": f"{len(results)}.txt"}

    ended = ran(ScriptedModel(endless), Memory("Go on."), Doing(read_file=lambda path: path), budget=budget)
    assert ended.why == "budget" and what in ended.text


def test_eight_of_many_tools_are_shown_and_the_others_can_still_be_called() -> None:
    def unseen(results: Sequence[tuple[str, str, bool]]) -> tuple[str, dict[str, Any]]:
        return ("system_status", {}) if not results else ("respond", {"text": "It is fine."})

    model, record = ScriptedModel(unseen), Memory(TASK)
    assert ran(model, record, Doing(system_status=lambda: "fine"), fixture_specs()).why == "answered"
    names = [tool.name for tool in model.asked[0].tools]
    assert len(names) == 8 and {"respond", "ask_person", "calculate", "remember"} <= set(names)
    assert "system_status" in [tool.name for tool in model.asked[1].tools], "what was called stays"


def test_a_result_taints_all_that_follows() -> None:
    seen = []

    class Watching(Doing):
        async def do(self, call: Called, context: Any) -> Returned:
            seen.append(context)
            return await super().do(call, context)

    ran(
        ScriptedModel(chain),
        Memory(TASK),
        Watching(calculate=lambda expression: {"result": 397.8}, remember=lambda text: "ok"),
    )
    assert seen == [label("person"), label("person").join(label("tool"))]


def test_the_facts_of_a_model() -> None:
    model = ScriptedModel(chain)
    ran(model, Memory(TASK), hands(), system="You act.", facts=ModelFacts("forced", True, 0.2))
    assert model.asked[0].tool_choice == "required" and model.asked[0].sampling.temperature == 0.2
    assert model.asked[0].messages[0].content == "You act."
    model = ScriptedModel(chain)
    ran(model, Memory(TASK), hands(), system="You act.", facts=ModelFacts(system=False))
    assert model.asked[0].messages[0].role == "user" and model.asked[0].tool_choice == "auto"


def test_a_later_order_is_heard() -> None:
    record = Memory(TASK)
    ran(ScriptedModel(chain), record, hands())
    entries = [entry for entry in record.entries if not isinstance(entry.step, Ended)]
    again = Memory(entries=[*entries, Entry(len(entries), 1100.0, Ordered("And now 5 more."))])
    model = ScriptedModel(lambda results: ("respond", {"text": "It is 402.8, which is 5 more than 397.8."}))
    record.of(Told)
    assert ran(model, again, hands()).why == "answered"
    assert "And now 5 more." in (model.asked[0].messages[-1].content or "")


def test_guards_have_names() -> None:
    with pytest.raises(InvalidRequest):
        Guards().without(["kindness"])
