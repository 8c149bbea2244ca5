"""The loop of one run: ask the model, read its call, carry it out, until it answers or something ends it.

    entries -> over? -> Ended
            -> a call without a result (a daemon died) -> hands.do again
            -> messages within the window -> the model, free -> no call? once more, a call forced -> none? told, at most thrice
            -> respond -> does the answer hold? -> Answered, Ended | Told, on
            -> a repeat -> cached | blocked and withdrawn
            -> hands.do -> Returned, on

Promises: each step is on the disk before the next is taken, so that a run goes on from any point; the same call is carried out
at most twice with the same result; the prompt, its tools included, fits the window, and what was left out of it is named.
Does not cover: what may be done (`effects.py`), who decides without a model (`rules.py`), the guards themselves (`guards.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from homefire.agent import formats, guards, window
from homefire.agent.budget import Budget, spent
from homefire.agent.formats import Draft
from homefire.agent.guards import RESPOND, Guards
from homefire.agent.needs import Embed, Hands, Model, Record
from homefire.agent.rules import Rules
from homefire.agent.shown import ALWAYS, Chooser
from homefire.agent.step import (
    Answered,
    Called,
    Ended,
    Ending,
    Ordered,
    Repaired,
    Returned,
    Summarised,
    Thought,
    Told,
)
from homefire.errors import ContextOverflow, EngineDied, HomefireError, Overloaded
from homefire.messages import ChatRequest, Event, Finish, Message, Sampling, TextDelta, Tool, ToolCallDelta, UsageReport
from homefire.safety.boundary import ToolSpec
from homefire.safety.taint import Label, joined, label

Mode = Literal["rules", "hybrid", "full"]
NOTHING, OURS = Draft(), label("system")
# Answers without a usable call, one after another, and blocked repeats, after which the run ends.
HELPLESS, STUCK = 4, 4
# The temperature at which an answer that went back is asked again.
AGAIN = 0.3
# Of the window: what the answer gets at most, and what of the rest may be filled before older steps are shortened.
MOST_ANSWER, FILL = 1024, 0.9
# Tokens that the role's text and the tools may have together, half of the window at most: what is more is not shown.
FIXED = 1500


def quiet(_: str) -> None:
    """Nobody listens."""


def alone() -> str:
    """Nothing is spent together with others."""
    return ""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What was measured of a model (`probe.py`). `form`: "native", its template has tools, or "forced", it calls only where it
    must; `system`: whether it was trained with a role's text; `temperature` for calls."""

    form: Literal["native", "forced"] = "native"
    system: bool = True
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class LoopRules:
    """How a run is to be carried out. `shared` says in words what is used up of a budget that others spend from too, or ""."""

    mode: Mode = "full"
    budget: Budget = field(default_factory=Budget)
    guards: Guards = field(default_factory=Guards)
    system: str = ""
    facts: ModelFacts = field(default_factory=ModelFacts)
    run: str = "run"
    shared: Callable[[], str] = alone


# A look at a call of risk before it is made; a text says why not.
Review = Callable[[str, Called, Label], Awaitable[str]]


class Loop:
    """One run. `offered` are the tools it may call; `say` hears pieces of what the model writes; `review` is the critic."""

    def __init__(
        self,
        model: Model,
        hands: Hands,
        record: Record,
        offered: Sequence[ToolSpec],
        rules: LoopRules,
        *,
        embed: Embed | None = None,
        say: Callable[[str], None] = quiet,
        review: Review | None = None,
    ) -> None:
        self._model, self._hands, self._record, self._rules = model, hands, record, rules
        self._offered = {tool.name: tool for tool in offered}
        self._reading = frozenset(tool.name for tool in offered if tool.risk == "read")
        self._chooser = Chooser(offered, embed)
        self._say, self._review = say, review
        self._lines_before = 0
        self._sizes: dict[tuple[str, ...], int] = {}
        self._shown: tuple[ToolSpec, ...] = ()
        self._shown_for: tuple[str, frozenset[str]] | None = None

    async def run(self) -> Ended:
        """From whatever the record holds to its end. Raises nothing but cancellation and errors of the disk."""
        while True:
            entries = self._record.entries
            if entries and isinstance(entries[-1].step, Ended):
                return entries[-1].step
            try:
                if (ended := await self._step()) is not None:
                    return ended
            except HomefireError as problem:
                if problem.code in ("store_damaged", "disk_full"):
                    raise
                return await self._end("failed", f"{problem.message} {problem.next_step}".strip(), problem.code)

    # -- one step

    async def _step(self) -> Ended | None:
        entries = self._record.entries
        if entries and isinstance(entries[-1].step, Answered):
            return await self._end("answered")
        if (call := self._under_way()) is not None:
            await self._record.add(await self._hands.do(call, self._label()))
            return None
        if what := spent(entries, time.time()).over(self._rules.budget) or self._rules.shared():
            return await self._end("budget", f"It has used up {what}. Start it with more, or give a smaller task.")
        if self._in_a_row(Repaired) >= HELPLESS:
            return await self._end(
                "helpless", f"'{self._model.name}' could not be brought to a call of a tool. Try another."
            )
        if self._in_a_row(Told, "repeat_blocked") >= STUCK:
            return await self._end("loop", "It only repeated itself. Say more of what is wanted, or try another model.")
        if self._rules.mode != "full":
            return await self._by_rules()
        return await self._by_model()

    async def _by_rules(self) -> Ended | None:
        intent = self._intent if self._rules.mode == "hybrid" else None
        step = await Rules(frozenset(self._offered), intent).next(self._record.entries)
        if isinstance(step, Ended):
            await self._record.add(step)
            return step
        if isinstance(step, Called):
            await self._call(step.tool, step.arguments, "rules")
        else:
            await self._record.add(step)
        return None

    async def _intent(self, prompt: str, text: str) -> str:
        """The model's word for what is wanted, for the mode hybrid."""
        messages = Message("system", prompt), Message("user", text)
        sampling = Sampling(temperature=0, max_tokens=16)
        return (await self._ask(ChatRequest(self._model.name, messages, sampling, stream=True))).text.strip()

    async def _by_model(self) -> Ended | None:
        guard = self._rules.guards
        tools = await self._tools()
        draft = await self._asked(
            tools, "required" if self._rules.facts.form == "forced" and guard.constrain else "auto"
        )
        schemas = {tool.name: tool.parameters for tool in self._offered.values()}
        found = formats.read(draft, schemas, guard.rescue)
        if not found.calls and not guard.respond_tool:
            return await self._answered(found.text, draft)
        if not found.calls and guard.constrain:
            if found.text:
                await self._thought(found.text, draft)
            forced = await self._asked(tools, "required")
            draft = Draft(forced.text, forced.calls, forced.finish, forced.tokens_in, forced.tokens_out)
            found = formats.read(draft, schemas, guard.rescue)
        elif found.calls and found.text:
            await self._thought(found.text, draft)
            draft = Draft(draft.text, draft.calls, draft.finish)
        if not found.calls:
            await self._no_call(found, tools, draft)
            return None
        for name, arguments in found.calls:
            if name == RESPOND:
                return await self._respond(arguments, draft)
            if not await self._call(name, arguments, "model", draft):
                return None
            draft = NOTHING
        return None

    async def _no_call(self, found: formats.Read, tools: Sequence[ToolSpec], draft: Draft) -> None:
        wanted = "; ".join(formats.signature(tool.name, tool.parameters) for tool in tools)
        problem = f"There is no tool '{found.unknown[0][:60]}'." if found.unknown else "No tool was called."
        step = Repaired(
            f"{problem} Call one of these: {wanted}.", found.text[:500], "unknown_tool" if found.unknown else "no_call"
        )
        await self._record.add(step, draft.tokens_in, draft.tokens_out)

    async def _respond(self, arguments: str, draft: Draft) -> Ended | None:
        schema = self._offered[RESPOND].parameters
        if problem := formats.problem_of(arguments, schema):
            call = Called(_id(), RESPOND, arguments[:2000])
            await self._record.add(call, draft.tokens_in, draft.tokens_out)
            await self._record.add(_misfit(call, problem, formats.signature(RESPOND, schema)))
            return None
        return await self._answered(str(json.loads(arguments).get("text", "")), draft)

    async def _answered(self, text: str, draft: Draft) -> Ended | None:
        complaint = guards.complaint(self._record.entries, text, self._rules.guards)
        if complaint is not None:
            call = Called(_id(), RESPOND, _text_arguments(text))
            await self._record.add(call, draft.tokens_in, draft.tokens_out)
            await self._record.add(Returned(call.call, "error", *complaint, label=OURS))
            return None
        await self._record.add(Answered(text), draft.tokens_in, draft.tokens_out)
        return await self._end("answered")

    async def _call(self, name: str, arguments: str, by: Literal["rules", "model"], draft: Draft = NOTHING) -> bool:
        """One call, through the guards. False: what else the model wanted in the same breath is not done."""
        spec, guard = self._offered[name], self._rules.guards
        digest = hashlib.sha256(guards.digest_text(name, arguments).encode()).hexdigest()[:16]
        call = Called(_id(), name, arguments, digest, by)
        entries = list(self._record.entries)
        repeat = guards.repeated(entries, name, digest, self._reading) if guard.repeats else None
        if repeat is not None and repeat.blocked:
            text = f"Stopped: '{name}' was called with exactly this before, with the same result. It is not available now. "
            await self._record.add(Told(text + "Use what you have, try another tool, or respond.", "repeat_blocked"))
            return False
        await self._record.add(call, draft.tokens_in, draft.tokens_out)
        if problem := formats.problem_of(arguments, spec.parameters):
            if not guard.repair:
                problem = "bad arguments"
            await self._record.add(_misfit(call, problem, formats.signature(name, spec.parameters)))
            return False
        if repeat is not None and repeat.cached is not None:
            was = repeat.cached
            await self._record.add(
                Returned(call.call, "cached", was.text, was.code, was.handle, was.size, label=was.label)
            )
            return True
        if self._review is not None and (why := await self._review(self._goal(), call, self._label())):
            await self._record.add(Returned(call.call, "refused", why, "critic_refused", label=OURS))
            return False
        result = await self._hands.do(call, self._label())
        await self._record.add(result)
        return result.status == "ok"

    # -- asking

    async def _tools(self) -> tuple[ToolSpec, ...]:
        """What is shown now: chosen for the task, without what was withdrawn."""
        entries = self._record.entries
        called = frozenset(entry.step.tool for entry in entries if isinstance(entry.step, Called))
        if self._rules.guards.prefilter:
            asked = (self._goal(), called)
            if asked != self._shown_for:
                self._shown, self._shown_for = await self._chooser.choose(*asked), asked
        else:
            self._shown = tuple(self._offered.values())
        gone = guards.withdrawn(entries) if self._rules.guards.repeats else frozenset()
        left = tuple(tool for tool in self._shown if tool.name not in gone) or self._shown
        return await self._within(left, called) if self._rules.guards.prefilter else left

    async def _within(self, tools: tuple[ToolSpec, ...], called: frozenset[str]) -> tuple[ToolSpec, ...]:
        """As many of them as the fixed part of the prompt has room for, the ones that were called last to go."""
        most = min(FIXED, self._model.window // 2)
        while (names := tuple(tool.name for tool in tools)) not in self._sizes or self._sizes[names] > most:
            if names not in self._sizes:
                system = self._rules.system if self._rules.facts.system else ""
                messages = (*([Message("system", system)] if system else []), Message("user", "x"))
                request = ChatRequest(self._model.name, messages, tools=_wire(tools))
                self._sizes[names] = await self._model.count(request)
                continue
            spare = [tool for tool in tools if tool.name not in ALWAYS]
            if not spare:
                return tools
            gone = next((tool for tool in reversed(spare) if tool.name not in called), spare[-1])
            tools = tuple(tool for tool in tools if tool is not gone)
        return tools

    async def _asked(self, tools: Sequence[ToolSpec], choice: str) -> Draft:
        """The model's next answer, within its window: older steps are shortened until the prompt fits."""
        most = min(MOST_ANSWER, self._model.window // 4)
        room = int((self._model.window - most) * FILL)
        for attempt in range(8):
            request = self._request(tools, choice, most)
            if await self._model.count(request) > room and await self._shorten():
                continue
            try:
                return await self._ask(request)
            except ContextOverflow:
                room = int(room * 0.8)
                if attempt == 7 or not await self._shorten():
                    raise
            except (EngineDied, Overloaded):
                if attempt >= 2:
                    raise
                await asyncio.sleep(0.5 * (attempt + 1))
        raise ContextOverflow("The task and its tools do not fit the model's window.", "Use a model with a larger one.")

    async def _shorten(self) -> bool:
        """Older results become lines, then older steps a summary. False: there is nothing left to shorten."""
        entries = self._record.entries
        span = window.to_summarise(entries)
        if span is None:
            results = [entry.n for entry in entries if isinstance(entry.step, Returned)]
            if self._lines_before > entries[-1].n or not results:
                return False
            self._lines_before = (
                entries[-1].n + 1 if len(results) < 2 or self._lines_before > results[-2] else results[-1]
            )
            return True
        first, last = span
        text = window.summary(self._rules.run, [entry for entry in entries if first <= entry.n <= last])
        await self._record.add(Summarised(first, last, text))
        return True

    def _request(self, tools: Sequence[ToolSpec], choice: str, most: int) -> ChatRequest:
        facts, hidden = self._rules.facts, guards.first_complaint(self._record.entries)
        view = window.View(
            self._rules.system if facts.system else "", self._lines_before, self._rules.guards.repeats, hidden
        )
        messages = window.messages(self._rules.run, self._record.entries, view)
        temperature = max(facts.temperature, AGAIN) if hidden else facts.temperature
        sampling = Sampling(temperature=temperature, max_tokens=most)
        key = f"agent-{self._rules.run}"
        return ChatRequest(
            self._model.name, messages, sampling, _wire(tools), choice, stream=True, include_usage=True, cache_key=key
        )

    async def _ask(self, request: ChatRequest) -> Draft:
        text, calls, finish, usage = list[str](), dict[int, list[str]](), "", (0, 0)
        async with self._model.ask(request) as events:
            async for event in events:
                text, calls, finish, usage = _heard(event, text, calls, finish, usage)
                if isinstance(event, TextDelta) and request.tools:
                    self._say(event.text)
        made = tuple((name, arguments) for name, arguments in calls.values())
        return Draft("".join(text), made, finish, *usage)

    # -- what the record says

    def _under_way(self) -> Called | None:
        """A call that has no result: the daemon died before it came, or before it was made."""
        last: Called | None = None
        for entry in self._record.entries:
            if isinstance(entry.step, Called):
                last = entry.step
            elif isinstance(entry.step, Returned) and last is not None and entry.step.call == last.call:
                last = None
        return last if last is not None and last.tool in self._offered and last.tool != RESPOND else None

    def _in_a_row(self, kind: type[object], code: str = "") -> int:
        count = 0
        for entry in reversed(self._record.entries):
            step = entry.step
            if isinstance(step, kind) and (not code or getattr(step, "code", "") == code):
                count += 1
            elif (isinstance(step, Returned) and step.status == "ok") or isinstance(step, Ordered):
                break
        return count

    def _goal(self) -> str:
        return "\n".join(entry.step.text for entry in self._record.entries if isinstance(entry.step, Ordered))

    def _label(self) -> Label:
        """Of everything that the model had in front of it: what was left out of the window since had its effect."""
        found = [entry.step.label for entry in self._record.entries if isinstance(entry.step, Ordered | Returned)]
        return joined(found)

    async def _thought(self, text: str, draft: Draft) -> None:
        await self._record.add(Thought(text[:8000], draft.tokens_out), draft.tokens_in, draft.tokens_out)

    async def _end(self, why: Ending, text: str = "", code: str = "") -> Ended:
        ended = Ended(why, text, code)
        await self._record.add(ended)
        return ended


def _wire(tools: Sequence[ToolSpec]) -> tuple[Tool, ...]:
    return tuple(Tool(tool.name, tool.description, dict(tool.parameters)) for tool in tools)


def _heard(
    event: Event, text: list[str], calls: dict[int, list[str]], finish: str, usage: tuple[int, int]
) -> tuple[list[str], dict[int, list[str]], str, tuple[int, int]]:
    if isinstance(event, TextDelta):
        text.append(event.text)
    elif isinstance(event, ToolCallDelta):
        call = calls.setdefault(event.index, [event.name or "", ""])
        call[0] = event.name or call[0]
        call[1] += event.arguments
    elif isinstance(event, Finish):
        finish = event.reason
    elif isinstance(event, UsageReport):
        usage = event.usage.prompt_tokens, event.usage.completion_tokens
    return text, calls, finish, usage


def _misfit(call: Called, problem: str, signature: str) -> Returned:
    return Returned(call.call, "error", f"{problem}. It is called so: {signature}", "bad_arguments", label=OURS)


def _text_arguments(text: str) -> str:
    return json.dumps({"text": text}, ensure_ascii=False)


def _id() -> str:
    return f"call_{secrets.token_hex(6)}"
