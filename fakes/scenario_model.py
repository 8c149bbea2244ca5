"""A model that knows how a scenario is done, and does it as badly as it is told to.

| kind | what it does at its rate, each time it is asked |
|---|---|
| wrong_format | writes its call as text in a form of another model, or renames an argument |
| prose | says what it will do and calls nothing; forced to a call, it gives that as the answer at the same rate |
| loops | makes its last call again, and again nine times of ten, until that tool is gone |
| invented | plays the tool's result itself, or answers at once with made-up numbers |
| blind | takes an error or an empty result for success and says so |

Promises: equal seeds give equal models; it draws anew each time, so that a guard that sends an answer back gets no promise of a
better one; a forced call always has the form and the schema, as under an engine's grammar, and is not therefore right.
Does not cover: how often real models do this; that it obeys orders in results (the boundary's part, `safety/`).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any

from fakes.tool_world import Scenario
from homefire.errors import ContextOverflow
from homefire.messages import ChatRequest, Event, Finish, TextDelta, ToolCallDelta, Usage, UsageReport

STAYS = 0.9
FORMS = (
    '```json\n{{"name": "{name}", "arguments": {arguments}}}\n```',
    '<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>',
    '[TOOL_CALLS][{{"name": "{name}", "arguments": {arguments}}}]',
    "<function={name}>{arguments}</function>",
)
_FAILED = re.compile(r'"error"|nothing found|is empty')


@dataclass(frozen=True, slots=True)
class Badness:
    """Rates from 0 to 1."""

    wrong_format: float = 0.0
    prose: float = 0.0
    loops: float = 0.0
    invented: float = 0.0
    blind: float = 0.0


KINDS = tuple(each.name for each in fields(Badness))
# What `bench guardrails` goes over. Committed before its first result was seen, and not changed since.
GRID: Mapping[str, Badness] = {
    "none": Badness(),
    **{f"{kind}_{rate:g}": Badness(**{kind: rate}) for kind in KINDS for rate in (0.1, 0.3, 0.5)},
    **{f"mixed_{rate:g}": Badness(*[rate] * len(KINDS)) for rate in (0.05, 0.1, 0.2)},
}
Answer = tuple[str, tuple[str, Mapping[str, Any]] | None]


class ScriptedModel:
    """One run's model. `asked` counts how often it was."""

    def __init__(self, scenario: Scenario, badness: Badness, seed: str, window: int = 8192) -> None:
        self._scenario, self._bad, self._random, self._window = scenario, badness, random.Random(seed), window
        self._at, self._waits, self._loop = 0, False, ""
        self._last: tuple[str, Mapping[str, Any]] | None = None
        self.asked = 0

    @property
    def name(self) -> str:
        return "scripted"

    @property
    def window(self) -> int:
        return self._window

    async def is_built_in(self) -> bool:
        return False

    async def count(self, request: ChatRequest) -> int:
        """A token is four characters here."""
        calls = [call for each in request.messages for call in each.tool_calls]
        said = sum(len(each.content or "") for each in request.messages) + sum(len(one.arguments) + 20 for one in calls)
        told = sum(len(tool.description) + len(json.dumps(tool.parameters)) for tool in request.tools)
        return (said + told) // 4

    @asynccontextmanager
    async def ask(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[Event]]:
        """Raises ContextOverflow for a prompt beyond its window, as an engine does."""
        tokens = await self.count(request)
        if tokens > self._window:
            raise ContextOverflow("The prompt does not fit.", "Shorten it.")
        self.asked += 1
        text, call = self._answer(request)
        yield self._events(text, call, tokens)

    async def _events(self, text: str, call: tuple[str, Mapping[str, Any]] | None, tokens: int) -> AsyncIterator[Event]:
        if text:
            yield TextDelta(text)
        if call is not None:
            yield ToolCallDelta(0, json.dumps(call[1], ensure_ascii=False), f"c{self.asked}", call[0])
        yield Finish("tool_calls" if call else "stop")
        yield UsageReport(Usage(tokens, len(text) // 4 + 8))

    def _answer(self, request: ChatRequest) -> Answer:
        last, shown = request.messages[-1], {tool.name for tool in request.tools}
        forced = request.tool_choice == "required"
        if self._waits and last.role == "tool":
            self._at += 1
        self._waits = False
        if self._loop:
            if self._loop in shown and self._draw(STAYS) and self._last is not None:
                return "", self._last
            self._loop = ""
        if last.role == "tool" and _FAILED.search((last.content or "")[:200]) and self._draw(self._bad.blind):
            return self._respond(self._scenario.claim)
        course = self._scenario.course
        end = {"tool": "respond", "arguments": {"text": self._scenario.answer}}
        good = course[self._at] if self._at < len(course) else end
        return self._forced(good, shown) if forced else self._free(good, shown)

    def _forced(self, good: Mapping[str, Any], shown: set[str]) -> Answer:
        if self._draw(self._bad.prose):
            return self._respond(_announced(good))
        if good["tool"] not in shown:
            return self._respond("I cannot go on.")
        return self._good(good)

    def _free(self, good: Mapping[str, Any], shown: set[str]) -> Answer:
        if self._draw(self._bad.wrong_format):
            return self._foreign(good)
        if self._draw(self._bad.prose):
            return _announced(good), None
        if self._last is not None and self._draw(self._bad.loops):
            self._loop = self._last[0]
            return "", self._last
        if self._draw(self._bad.invented):
            return self._invented(good)
        return self._good(good)

    def _foreign(self, good: Mapping[str, Any]) -> Answer:
        arguments = good["arguments"]
        if self._draw(0.5) and arguments:
            first, *others = arguments
            return "", (good["tool"], {f"the_{first}": arguments[first], **{name: arguments[name] for name in others}})
        form = self._random.choice(FORMS)
        self._waits, self._last = good["tool"] != "respond", (good["tool"], arguments)
        return form.format(name=good["tool"], arguments=json.dumps(arguments, ensure_ascii=False)), None

    def _invented(self, good: Mapping[str, Any]) -> Answer:
        made_up = re.sub(r"\d+", lambda found: str(self._random.randrange(10 ** len(found[0]))), self._scenario.answer)
        if self._draw(0.5):
            return self._respond(made_up)
        self._waits, self._last = good["tool"] != "respond", (good["tool"], good["arguments"])
        arguments = json.dumps(good["arguments"], ensure_ascii=False)
        return f"Action: {good['tool']}\nAction Input: {arguments}\nObservation: done\n{made_up}", None

    def _good(self, good: Mapping[str, Any]) -> Answer:
        if good["tool"] != "respond":
            self._waits, self._last = True, (good["tool"], good["arguments"])
        return "", (good["tool"], good["arguments"])

    def _respond(self, text: str) -> Answer:
        return "", ("respond", {"text": text})

    def _draw(self, rate: float) -> bool:
        return self._random.random() < rate


def _announced(good: Mapping[str, Any]) -> str:
    if good["tool"] == "respond":
        return "Let me put that together."
    return f"I will use {good['tool']} for that."
