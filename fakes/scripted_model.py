"""A model of adjustable badness, without a network: it follows a script of right calls and goes wrong at set rates.

What small models do wrong, each with its own rate: `prose` (it writes about the call instead of making it), `format` (the call
in another model's form, or broken JSON), `loop` (the last call again), `invent` (an answer before the work is done, with a result
it made up), `blind` (an error or an empty result taken for success), `arguments` (an argument missing or of the wrong kind).
Promises: seeded: the same seed and the same messages give the same answer; it sees nothing but the messages it is sent; a forced
call is always a call, not always the right one; told of its mistake it makes it less often (`heeds`).
Does not cover: how often real models do each; the grid that `bench guardrails` measures stands in `scenario_model.py`.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from homefire.messages import ChatRequest, Event, Finish, Message, TextDelta, ToolCallDelta, Usage, UsageReport

# The next right call, given the results so far (each: tool, text, failed); None: the work is done, `answer` says it.
Oracle = Callable[[Sequence[tuple[str, str, bool]]], tuple[str, dict[str, Any]]]
FOREIGN = (
    '<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>',
    '```json\n{{"tool": "{name}", "parameters": {arguments}}}\n```',
    "<function={name}>{arguments}</function>",
    '[TOOL_CALLS][{{"name": "{name}", "arguments": {arguments}}}]',
    "Action: {name}\nAction Input: {arguments}",
    '{{"name": "{name}", "arguments": {arguments}',  # broken off
    "{name}: {arguments}",  # nobody's form
)


@dataclass(frozen=True, slots=True)
class Badness:
    """Rates from 0 to 1; `heeds`: by how much of itself a rate falls once the model was told of the mistake."""

    prose: float = 0.0
    format: float = 0.0
    loop: float = 0.0
    invent: float = 0.0
    blind: float = 0.0
    arguments: float = 0.0
    heeds: float = 0.5


class ScriptedModel:
    """A `Model` of the agent. `oracle` knows the right course; `window` in tokens (four characters each)."""

    def __init__(self, oracle: Oracle, badness: Badness = Badness(), seed: int = 0, window: int = 8192) -> None:
        self._oracle, self._badness, self._seed, self._window = oracle, badness, seed, window
        self.asked: list[ChatRequest] = []

    @property
    def name(self) -> str:
        return "scripted"

    @property
    def window(self) -> int:
        return self._window

    async def is_built_in(self) -> bool:
        return False

    async def count(self, request: ChatRequest) -> int:
        tools = sum(len(tool.name) + len(tool.description) + len(json.dumps(tool.parameters)) for tool in request.tools)
        text = sum(
            len(message.content or "") + sum(len(call.arguments) for call in message.tool_calls)
            for message in request.messages
        )
        return (text + tools) // 4 + 8 * len(request.messages)

    @asynccontextmanager
    async def ask(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[Event]]:
        self.asked.append(request)
        events = self._answer(request)
        used = await self.count(request)

        async def stream() -> AsyncIterator[Event]:
            for event in events:
                yield event
            yield UsageReport(Usage(used, 20))

        yield stream()

    def _answer(self, request: ChatRequest) -> list[Event]:
        rng = random.Random(f"{self._seed} {len(self.asked)} {len(request.messages)}")
        results, last, told = _seen(request.messages)
        bad, forced = self._badness, request.tool_choice == "required"

        def goes_wrong(rate: float) -> bool:
            return rng.random() < rate * (1 - bad.heeds if told else 1)

        if results and results[-1][2] and goes_wrong(bad.blind):
            return self._call("respond", {"text": "Done, it worked."}, rng, forced)
        if goes_wrong(bad.invent):
            invented = f"The result is {rng.randrange(100, 99_999)}."
            return self._call("respond", {"text": invented}, rng, forced)
        if last is not None and goes_wrong(bad.loop):
            return self._call(*last, rng, forced)
        name, arguments = self._oracle(results)
        if goes_wrong(bad.arguments) and arguments:
            wrong = dict(arguments)
            wrong.pop(rng.choice(sorted(wrong)))
            arguments = wrong
        if not forced and goes_wrong(bad.prose):
            said = f"I will now use {name} for this." if name != "respond" else str(arguments.get("text", ""))
            return [TextDelta(said), Finish("stop")]
        return self._call(name, arguments, rng, forced, goes_wrong(bad.format))

    def _call(
        self, name: str, arguments: dict[str, Any], rng: random.Random, forced: bool, foreign: bool = False
    ) -> list[Event]:
        text = json.dumps(arguments)
        if foreign and not forced:
            return [TextDelta(rng.choice(FOREIGN).format(name=name, arguments=text)), Finish("stop")]
        return [ToolCallDelta(0, text, f"c{len(self.asked)}", name), Finish("tool_calls")]


def _seen(messages: Sequence[Message]) -> tuple[list[tuple[str, str, bool]], tuple[str, dict[str, Any]] | None, bool]:
    """The results in the window, the last call, and whether the last turn told of a mistake."""
    calls: dict[str, tuple[str, dict[str, Any]]] = {}
    results, last = list[tuple[str, str, bool]](), None
    for message in messages:
        for call in message.tool_calls:
            try:
                calls[call.id] = last = (call.name, json.loads(call.arguments))
            except ValueError:
                calls[call.id] = last = (call.name, {})
        if message.role == "tool" and message.tool_call_id in calls:
            text = message.content or ""
            failed = text.lstrip().startswith('{"error"') or text.strip() in ("", "[]", "nothing found")
            results.append((calls[message.tool_call_id or ""][0], text, failed))
    final = messages[-1].content or ""
    return results, last, final.startswith("[") or final.rstrip().endswith("]") or '"error"' in final
