"""What is measured of a model before its first run.

Promises: models that differ in one thing get facts that differ in that; measured once; an engine's error is no fact.
Does not cover: real models.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from homefire.agent import probe
from homefire.agent.loop import ModelFacts
from homefire.errors import EngineDied
from homefire.messages import ChatRequest, Event, Finish, TextDelta, ToolCallDelta

FIELD = {"calculate": "expression", "remember": "text", "read_file": "path"}
RIGHT = {asked: (tool, {FIELD[tool]: word}) for asked, tool, word in probe.QUESTIONS}


class Pupil:
    """Calls right where all of its needs are met."""

    name, window = "pupil", 2048

    def __init__(self, *, forced: bool = False, plain: bool = False, warm: bool = False, dies: bool = False) -> None:
        self._forced, self._plain, self._warm, self._dies, self.asked = forced, plain, warm, dies, 0

    async def count(self, request: ChatRequest) -> int:
        return 1

    async def is_built_in(self) -> bool:
        return False

    @asynccontextmanager
    async def ask(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[Event]]:
        self.asked += 1
        if self._dies:
            raise EngineDied("It died.", "Try again.")
        yield self._events(request)

    async def _events(self, request: ChatRequest) -> AsyncIterator[Event]:
        system = request.messages[0].role == "system"
        right = not (self._forced and request.tool_choice == "auto") and not (self._plain and system)
        if self._warm and request.messages[-1].content == probe.QUESTIONS[0][0]:
            right = right and bool(request.sampling.temperature)
        tool, arguments = RIGHT[request.messages[-1].content or ""]
        yield ToolCallDelta(0, json.dumps(arguments), "c", tool) if right else TextDelta("I would rather talk.")
        yield Finish("stop")


@pytest.mark.parametrize(
    ("pupil", "wanted"),
    [
        (Pupil(), ModelFacts("native", True, 0.0)),
        (Pupil(forced=True), ModelFacts("forced", True, 0.0)),
        (Pupil(plain=True), ModelFacts("native", False, 0.0)),
        (Pupil(warm=True), ModelFacts("native", True, 0.6)),
    ],
)
def test_each_need_is_found(pupil: Pupil, wanted: ModelFacts) -> None:
    assert asyncio.run(probe.measure(pupil, "You are an agent.", 0.6)) == wanted


class Kept:
    def __init__(self) -> None:
        self.facts: dict[str, ModelFacts] = {}

    async def of(self, model: str) -> ModelFacts | None:
        return self.facts.get(model)

    async def keep(self, model: str, facts: ModelFacts) -> None:
        self.facts[model] = facts


def test_it_is_measured_once() -> None:
    pupil, kept = Pupil(), Kept()
    first = asyncio.run(probe.facts_of(pupil, kept, "Role."))
    asked = pupil.asked
    assert asked and asyncio.run(probe.facts_of(pupil, kept, "Role.")) == first and pupil.asked == asked


def test_an_error_is_no_fact() -> None:
    kept = Kept()
    with pytest.raises(EngineDied):
        asyncio.run(probe.facts_of(Pupil(dies=True), kept, "Role."))
    assert not kept.facts
