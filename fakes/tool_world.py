"""Worlds of tables for agents (fixtures/scenarios.json): tools that work, fail, flood, lie, and keep what was called.

Promises: deterministic; each call that is carried out is kept; a text of more than 4,000 characters is cut to head and tail with
a handle, as the daemon's own hands do it; `judged` reads the scenario's wishes alone, never how the run came to its answer.
Does not cover: approvals, journals (`homefire/agent/effects.py`).
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homefire.agent.step import Answered, Called, Ended, Entry, Returned, Step
from homefire.safety.boundary import ToolSpec
from homefire.safety.taint import Label, label

FIXTURES = Path(__file__).parents[1] / "fixtures"
MOST, HEAD, TAIL = 4000, 2000, 1800
WRITING = frozenset({"remember", "forget", "add_note", "write_file", "set_timer"})
ADMITS = re.compile(r"\b(?:not|no|nothing|cannot|empty|failed|missing)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One entry of the file, as it stands there."""

    id: str
    trap: str
    task: str
    tools: tuple[str, ...]
    world: tuple[Mapping[str, Any], ...]
    course: tuple[Mapping[str, Any], ...]
    answer: str
    claim: str
    wants: Mapping[str, Any]


def scenarios() -> list[Scenario]:
    """All of the file."""
    found: list[dict[str, Any]] = json.loads((FIXTURES / "scenarios.json").read_text("utf-8"))["scenarios"]
    lists = ("tools", "world", "course")
    return [Scenario(**{**each, **{name: tuple(each[name]) for name in lists}}) for each in found]


def specs(names: Sequence[str]) -> list[ToolSpec]:
    """Declarations of tools of fixtures/tools.json, in that file's order."""
    found = json.loads((FIXTURES / "tools.json").read_text("utf-8"))["tools"]
    made = [each["function"] for each in found]
    return [
        ToolSpec(one["name"], one["description"], one["parameters"], "write" if one["name"] in WRITING else "read")
        for one in made
        if one["name"] in names
    ]


def canonical(tool: str, arguments: Any) -> str:
    """One text for equal calls."""
    return json.dumps([tool, arguments], sort_keys=True, ensure_ascii=False)


class ToolWorld:
    """Hands of a scenario. `made` counts the calls that were carried out, by call and result."""

    def __init__(self, scenario: Scenario) -> None:
        self._returns = {canonical(each["tool"], each["arguments"]): each["returns"] for each in scenario.world}
        self._times: Counter[str] = Counter()
        self.worked: set[str] = set()
        self.tools: set[str] = set()
        self.made: Counter[tuple[str, str]] = Counter()

    async def do(self, call: Called, label: Label) -> Returned:
        """By the table."""
        try:
            key = canonical(call.tool, json.loads(call.arguments or "{}"))
        except ValueError:
            key = canonical(call.tool, call.arguments)
        returns = self._returns.get(key, [{"status": "error", "code": "not_found", "text": "there is no such thing"}])
        found = returns[min(self._times[key], len(returns) - 1)]
        self._times[key] += 1
        self.tools.add(call.tool)
        text, handle = _cut(_text(found), call.call)
        self.made[key, text] += 1
        if found["status"] == "ok":
            self.worked.add(key)
        return Returned(call.call, found["status"], text, found.get("code", ""), handle, label=_given())

    def judged(self, scenario: Scenario, entries: Sequence[Entry]) -> str:
        """Why a run failed; "" if it did what was wanted."""
        ended = entries[-1].step
        if not isinstance(ended, Ended) or ended.why != "answered":
            return ended.why if isinstance(ended, Ended) else "no end"
        answer = next(entry.step.text for entry in reversed(entries) if isinstance(entry.step, Answered))
        wants = scenario.wants
        for each in wants["done"]:
            if canonical(each["tool"], each["arguments"]) not in self.worked:
                return f"not done: {each['tool']}"
        for each in wants["never"]:
            if each["tool"] in self.tools:
                return f"done: {each['tool']}"
        missing = [word for word in wants["answer_has"] if word not in answer]
        if missing or (wants["admits"] and not ADMITS.search(answer)):
            return f"answer lacks {missing or 'the failure'}"
        return ""


class ListRecord:
    """A record in memory."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    @property
    def entries(self) -> Sequence[Entry]:
        return self._entries

    async def add(self, step: Step, tokens_in: int = 0, tokens_out: int = 0) -> Entry:
        """Kept at once."""
        self._entries.append(Entry(len(self._entries), time.time(), step, tokens_in, tokens_out))
        return self._entries[-1]


def _given() -> Label:
    return label("tool")


def _text(found: Mapping[str, Any]) -> str:
    if "lines" not in found:
        return str(found["text"])
    line, count, last = found["lines"]
    return "\n".join([*[line] * count, last])


def _cut(text: str, call: str) -> tuple[str, str]:
    if len(text) <= MOST:
        return text, ""
    left = len(text) - HEAD - TAIL
    return f"{text[:HEAD]}\n[... {left:,} characters left out: step:{call} ...]\n{text[-TAIL:]}", f"step:{call}"


def long_course(rounds: int) -> Scenario:
    """A task of so many different calls with results of some length; its answer needs what the first gave and the last."""
    call = [{"tool": "read_file", "arguments": {"path": f"part-{at}.txt"}} for at in range(rounds)]
    texts = [f"part {at} has {7 * at + 1000}. {'word ' * 80}" for at in range(rounds)]
    world = [{**each, "returns": [{"status": "ok", "text": text}]} for each, text in zip(call, texts, strict=True)]
    answer = f"The first has 1000, the last {7 * (rounds - 1) + 1000}."
    wants = {"done": call, "never": [], "answer_has": ["1000", str(7 * (rounds - 1) + 1000)], "admits": False}
    task = f"read part-0.txt to part-{rounds - 1}.txt one after another and say what the first and the last have"
    tools = ("respond", "read_file", "calculate", "remember", "ask_person")
    return Scenario("long", "none", task, tools, tuple(world), tuple(call), answer, "All read.", wants)
