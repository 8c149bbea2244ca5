"""Deciding without a model: the state machine of rules, alone and with a model that names intents.

Does not cover: the loop around it (`test_agent_loop.py`).
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from homefire.agent.loop import Loop, LoopRules
from homefire.agent.rules import BARE, PROMPT, RULES, WHOLE, clauses_of
from homefire.agent.step import Answered, Called, Ended
from homefire.messages import ChatRequest
from tests.null.agent_bench import Doing, Memory, fixture_specs
from tests.null.test_agent_loop import Prose

ALL = fixture_specs()


def ran(task: str, model: Any = None, **functions: Any) -> tuple[Ended, Memory, Doing]:
    record, doing = Memory(task), Doing(**functions)
    rules = LoopRules(mode="rules" if model is None else "hybrid")
    return asyncio.run(Loop(model or Prose("nobody"), doing, record, ALL, rules).run()), record, doing


def test_three_calls_without_a_model() -> None:
    kept: list[str] = []

    def keep(text: str) -> dict[str, bool]:
        kept.append(text)
        return {"ok": True}

    ended, record, doing = ran(
        "What is 17 % of 2,340, and remember it as my budget, then write it to budget.txt",
        calculate=lambda expression: {"result": 397.8},
        remember=keep,
        write_file=lambda path, text: keep(f"{path}: {text}"),
    )
    assert ended.why == "answered" and [tool for tool, _ in doing.done] == ["calculate", "remember", "write_file"]
    assert kept == ["my budget is 397.8", "budget.txt: 397.8"], "it is the last value"
    assert "17 % of 2340 is 397.8." in record.of(Answered)[0].text
    assert {call.by for call in record.of(Called)} == {"rules"}


@pytest.mark.parametrize(
    ("task", "tool", "arguments"),
    [
        ("what is 3 * (4 + 5)?", "calculate", {"expression": "3 * (4 + 5)"}),
        ("convert 5 miles to km", "convert_units", {"value": 5, "from": "miles", "to": "km"}),
        ("how many feet are in 3 metres?", "convert_units", {"value": 3, "from": "metres", "to": "feet"}),
        ("which date is 30 days after 2026-12-01?", "add_days", {"date": "2026-12-01", "days": 30}),
        ("What time is it?", "current_time", {}),
        ("please set a timer for 10 minutes for tea", "set_timer", {"minutes": 10, "label": "tea"}),
        ("remind me in 20 minutes to call Ada", "set_timer", {"minutes": 20, "label": "call Ada"}),
        ("what is my favourite colour?", "recall", {"query": "my favourite colour"}),
        ("remember that the key is under the mat", "remember", {"text": "the key is under the mat"}),
        ("forget that the key is under the mat", "forget", {"text": "the key is under the mat"}),
        ("which files are in the folder photos?", "list_files", {"folder": "photos"}),
        ("read notes/plan.md", "read_file", {"path": "notes/plan.md"}),
        ('save "hello and goodbye" to note.txt', "write_file", {"path": "note.txt", "text": "hello and goodbye"}),
        ("search for herons in the folder docs", "search_files", {"query": "herons", "folder": "docs"}),
        ("what do my documents say about herons?", "search_knowledge", {"query": "herons"}),
    ],
)
def test_what_rules_read(task: str, tool: str, arguments: dict[str, Any]) -> None:
    ended, record, doing = ran(task, **{tool: lambda **given: {"result": "x"}})
    assert ended.why == "answered" and [(name, json.loads(given)) for name, given in doing.done] == [(tool, arguments)]
    assert record.of(Answered)[0].text


def test_what_no_rule_reads_is_not_done() -> None:
    ended, _, doing = ran("remember that I like tea and write a poem about the sea", remember=lambda text: "ok")
    assert ended.why == "helpless" and "write a poem about the sea" in ended.text
    assert [tool for tool, _ in doing.done] == ["remember"], (
        "what was read before it is done, and the run says what was not"
    )
    assert ran(" .")[0].why == "helpless"
    assert ran("store it as my budget")[0].why == "helpless", "there is no value"


def test_a_call_that_fails_ends_it_and_says_so() -> None:
    def broken(expression: str) -> str:
        raise ValueError("division by zero")

    ended, record, doing = ran("what is 1 / 0, and remember it as my budget", calculate=broken)
    assert ended.why == "answered" and "did not work" in record.of(Answered)[0].text and len(doing.done) == 1


def test_the_model_names_what_no_rule_reads_at_once() -> None:
    class Naming(Prose):
        asked: list[str]

        def ask(self, request: ChatRequest) -> Any:
            assert request.messages[0].content == "Name the intent of the message." and not request.tools
            return super().ask(request)

    ended, _, doing = ran("would you kindly tell me the hour", Naming("tell_time"), current_time=lambda: "12:00")
    assert ended.why == "answered" and doing.done == [("current_time", "{}")]
    ended, _, doing = ran(
        "hey could you set a timer for 5 minutes", Naming("set_timer"), set_timer=lambda **given: "ok"
    )
    assert json.loads(doing.done[0][1]) == {"minutes": 5, "label": "timer"}
    assert ran("sing me a song", Naming("small_talk"))[0].why == "helpless"


def test_the_question_of_an_intent_is_the_one_the_pilot_was_trained_on() -> None:
    fixture = json.loads((Path(__file__).parents[2] / "fixtures" / "intents.json").read_text("utf-8"))
    named = {each["name"] for each in fixture["intents"]}
    assert fixture["prompt"] == PROMPT and {*RULES, *WHOLE, *BARE} <= named


def test_clauses() -> None:
    assert clauses_of("Do this, and then that; read a.txt. Then stop.") == ["Do this", "that", "read a.txt", "stop"]
    assert clauses_of('save "salt and pepper" to a.txt and read a.txt') == [
        'save "salt and pepper" to a.txt',
        "read a.txt",
    ]
    assert clauses_of("  ") == []
