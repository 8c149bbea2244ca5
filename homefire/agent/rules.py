"""Deciding without a model, or with a model that only names the intent: a state machine over the clauses of an order.

    order -> clauses -> each one rule: a tool and its arguments, "it" stands for the last value -> calls, one after another
    -> every call worked: an answer made of their results | one did not: an answer that says so
    no rule for a clause -> the run ends as `helpless` and names the clause

In the mode `hybrid` the model names the intent of a clause that no rule reads at once (fixtures/intents.json, what the built-in
model is trained for); the rule of that intent then reads its arguments.
Promises: deterministic: the same order and results give the same steps; what a rule does not read exactly it does not do.
Does not cover: anything that needs judgement; that is the mode `full`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from homefire.agent.guards import returned
from homefire.agent.step import Answered, Called, Ended, Entry, Ordered, Returned

# A model's word for the intent of a text, under the system message of fixtures/intents.json.
Intent = Callable[[str, str], Awaitable[str]]
PROMPT = "Name the intent of the message."
IT = "\ue000"  # stands in a plan for the value of the call before
_UNIT = (
    r"km|kilomet(?:er|re)s?|m|met(?:er|re)s?|cm|mm|miles?|feet|foot|ft|inch(?:es)?|in|yards?|kg|kilograms?|g|grams?|pounds?|lbs?|"
    r"ounces?|oz|celsius|fahrenheit|kelvin|lit(?:er|re)s?|ml|gallons?|hours?|minutes?|seconds?|days?|weeks?|kb|mb|gb|tb"
)
_NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
_SPLIT = re.compile(
    r"(?:,|;|\.)?\s+(?:and then|then|and also|and)\s+|;\s+|\.\s+(?=[A-Z])|,\s+(?=remember|note|write|save|set|convert)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Planned:
    """One call of a plan; arguments may hold `IT`."""

    tool: str
    arguments: dict[str, Any]


Rule = Callable[[str], Planned | None]


def _match(pattern: str, make: Callable[[re.Match[str]], Planned]) -> Rule:
    compiled = re.compile(pattern, re.IGNORECASE)

    def rule(text: str) -> Planned | None:
        found = compiled.fullmatch(text)
        return None if found is None else make(found)

    return rule


def _plain(number: str) -> str:
    return number.replace(",", "")


def _value(number: str) -> Any:
    if number.lower() in ("it", "that", "this", "the result"):
        return IT
    found = float(_plain(number))
    return int(found) if found.is_integer() else found


_WHAT = r"(?:what(?: is|'s|s)|how much is|calculate|compute|work out|tell me)"
_IT = r"it|that|this|the result"
# Intents of fixtures/intents.json, each with the rules that read its arguments, tried in this order.
RULES: dict[str, tuple[Rule, ...]] = {
    "calculate": (
        _match(rf"{_WHAT} ({_NUMBER}) ?(?:%|percent) of ({_NUMBER}|{_IT})\??",
               lambda m: Planned("calculate", {"expression": f"{_plain(m[1])} % of {_value(m[2])}"})),
        _match(rf"{_WHAT} ((?:{_NUMBER}|[-+*/()^ .x×])+)\??",
               lambda m: Planned("calculate", {"expression": re.sub(r"[x×]", "*", m[1]).replace(",", "").strip()})),
        _match(rf"(?:add) ({_NUMBER}) to ({_NUMBER}|{_IT})", lambda m: _sum(m[2], "+", m[1])),
        _match(rf"(?:subtract|take) ({_NUMBER}) from ({_NUMBER}|{_IT})", lambda m: _sum(m[2], "-", m[1])),
        _match(rf"(?:multiply|take) ({_NUMBER}|{_IT}) (?:by|times) ({_NUMBER})", lambda m: _sum(m[1], "*", m[2])),
        _match(rf"divide ({_NUMBER}|{_IT}) by ({_NUMBER})", lambda m: _sum(m[1], "/", m[2])),
    ),
    "convert_units": (
        _match(rf"(?:convert |{_WHAT} |turn |change )?({_NUMBER}|{_IT}) ?({_UNIT})? (?:to|in|into) ({_UNIT})\??",
               lambda m: Planned("convert_units", {"value": _value(m[1]), "from": m[2] or IT, "to": m[3]})),
        _match(rf"how many ({_UNIT}) (?:are|is)(?: in)? ({_NUMBER}) ?({_UNIT})\??",
               lambda m: Planned("convert_units", {"value": _value(m[2]), "from": m[3], "to": m[1]})),
    ),
    "add_days": (
        _match(rf"(?:{_WHAT} |which date is |what date is )?(?:the date )?(\d+) days (after|before) (\d{{4}}-\d\d-\d\d)\??",
               lambda m: Planned("add_days", {"date": m[3], "days": int(m[1]) * (1 if m[2].lower() == "after" else -1)})),
    ),
    "tell_time": (
        _match(r"(?:what time is it|what(?:'s| is) the (?:time|date)|wh(?:at|ich) day is (?:it|today))(?: now| today)?\??",
               lambda m: Planned("current_time", {})),
    ),
    "set_timer": (
        _match(r"(?:set|start) (?:a|the) timer (?:for|of) (\d+) ?min(?:ute)?s?(?: (?:called|named|for) (.+))?",
               lambda m: Planned("set_timer", {"minutes": int(m[1]), "label": m[2] or "timer"})),
        _match(r"(?:set|start) (?:a|an) (\d+)[- ]minute timer(?: (?:called|named|for) (.+))?",
               lambda m: Planned("set_timer", {"minutes": int(m[1]), "label": m[2] or "timer"})),
        _match(r"remind me in (\d+) ?min(?:ute)?s? (?:to|of|about) (.+)",
               lambda m: Planned("set_timer", {"minutes": int(m[1]), "label": m[2]})),
    ),
    "remember": (
        _match(rf"(?:remember|keep|store|save) (?:{_IT}) as my (.+)",
               lambda m: Planned("remember", {"text": f"my {m[1]} is {IT}"})),
        _match(r"(?:remember|keep in mind|don't forget) (?:that )?(.+)", lambda m: Planned("remember", {"text": m[1]})),
    ),
    "recall": (
        _match(r"(?:what|who|where|when) (?:is|was|are|were) (my .+?)\??", lambda m: Planned("recall", {"query": m[1]})),
        _match(r"(?:recall|what do you (?:know|remember) about) (.+?)\??", lambda m: Planned("recall", {"query": m[1]})),
    ),
    "forget": (_match(r"forget (?:that )?(.+)", lambda m: Planned("forget", {"text": m[1]})),),
    "add_note": (
        _match(r"(?:add|make|write) a note (?:called|named|titled) [\"']?(.+?)[\"']?: (.+)",
               lambda m: Planned("add_note", {"title": m[1], "text": m[2]})),
        _match(rf"(?:note|write) (?:{_IT}) (?:down )?(?:as|under) [\"']?(.+?)[\"']?",
               lambda m: Planned("add_note", {"title": m[1], "text": IT})),
    ),
    "list_files": (
        _match(r"(?:which files are in|list(?: the)? files (?:in|of)|what is in)(?: the)?(?: folder)? ([\w./ -]+?)\??",
               lambda m: Planned("list_files", {"folder": m[1]})),
    ),
    "read_file": (
        _match(r"(?:read|open|show)(?: me)?(?: the)?(?: file)? [\"']?([\w./-]+\.\w+)[\"']?",
               lambda m: Planned("read_file", {"path": m[1]})),
        _match(r"what (?:does|is in)(?: the file)? [\"']?([\w./-]+\.\w+)[\"']?(?: say)?\??",
               lambda m: Planned("read_file", {"path": m[1]})),
    ),
    "write_file": (
        _match(rf"(?:write|save|put) ({_IT}) (?:to|into|in|as)(?: the)?(?: file)? [\"']?([\w./-]+\.\w+)[\"']?",
               lambda m: Planned("write_file", {"path": m[2], "text": IT})),
        _match(r"(?:write|save|put) [\"'](.+?)[\"'] (?:to|into|in)(?: the)?(?: file)? [\"']?([\w./-]+\.\w+)[\"']?",
               lambda m: Planned("write_file", {"path": m[2], "text": m[1]})),
    ),
    "search_files": (
        _match(r"(?:search|look|find)(?: for)? [\"']?(.+?)[\"']? in(?: the files of)?(?: the)?(?: folder)? ([\w./-]+)",
               lambda m: Planned("search_files", {"query": m[1], "folder": m[2]})),
    ),
    "ask_knowledge": (
        _match(r"(?:what do (?:the|my) documents say about|search (?:the|my) documents for) (.+?)\??",
               lambda m: Planned("search_knowledge", {"query": m[1]})),
    ),
    "system_status": (
        _match(r"(?:how is the (?:machine|system|computer)(?: doing)?|(?:show )?(?:the )?system status)\??",
               lambda m: Planned("system_status", {})),
    ),
}  # fmt: skip
# Their results are no value that "it" could stand for.
DEEDS = frozenset({"remember", "forget", "set_timer", "add_note", "write_file", "ingest"})
# Intents that only read, whose argument is the whole clause: where the model names them, the clause is enough. Nothing that
# writes is among them: a whole clause kept by `remember` was the commonest wrong deed (docs/log.md).
WHOLE = {"ask_knowledge": ("search_knowledge", "query"), "recall": ("recall", "query")}
BARE = {"tell_time": "current_time", "system_status": "system_status"}


def _sum(left: str, sign: str, right: str) -> Planned:
    return Planned("calculate", {"expression": f"{_value(left)} {sign} {_value(right)}"})


class Rules:
    """The state machine. `offered` are the names of tools that may be called; `intent` the model's word, None: no model."""

    def __init__(self, offered: frozenset[str], intent: Intent | None = None) -> None:
        self._offered, self._intent = offered, intent

    async def next(self, entries: Sequence[Entry]) -> Called | Answered | Ended:
        """The next step of a run after these."""
        at = max(n for n, entry in enumerate(entries) if isinstance(entry.step, Ordered))
        order = entries[at].step
        assert isinstance(order, Ordered)
        results = returned(entries)
        made = [entry.step for entry in entries[at:] if isinstance(entry.step, Called)]
        done = [(call, results[call.call]) for call in made if call.call in results]
        if done and done[-1][1].status not in ("ok", "cached"):
            call, result = done[-1]
            return Answered(f"'{call.tool}' did not work: {_said(result) or result.code or result.status}")
        clauses = clauses_of(order.text)
        if not clauses:
            return Ended("helpless", "There is nothing in the order. Say what is to be done.")
        if len(done) >= len(clauses):
            return Answered(" ".join(_sentence(call, result) for call, result in done))
        plan = await self._read(clauses[len(done)])
        if plan is None:
            return Ended(
                "helpless",
                f'No rule reads: "{clauses[len(done)][:200]}". Use the mode full, with a model that calls tools.',
            )
        if plan.tool not in self._offered:
            return Ended("helpless", f"It needs the tool '{plan.tool}', which is not granted. See: homefire tools list")
        before = next((value_of(result) for call, result in reversed(done) if call.tool not in DEEDS), "")
        if IT in json.dumps(plan.arguments, ensure_ascii=False) and not before:
            return Ended("helpless", f'"{clauses[len(done)][:200]}" speaks of a value, and there is none before it.')
        return Called("", plan.tool, json.dumps(_filled(plan.arguments, before, done), ensure_ascii=False), by="rules")

    async def _read(self, clause: str) -> Planned | None:
        for rules in RULES.values():
            for rule in rules:
                if (plan := rule(clause)) is not None:
                    return plan
        if self._intent is None:
            return None
        intent = await self._intent(PROMPT, clause)
        if intent in BARE:
            return Planned(BARE[intent], {})
        if intent in WHOLE:
            tool, argument = WHOLE[intent]
            return Planned(tool, {argument: clause})
        return _within(intent, clause)


def _within(intent: str, clause: str) -> Planned | None:
    """A rule of this intent that reads some end of the clause: people put words before what they want."""
    words = clause.split()
    for start in range(1, min(len(words), 8)):
        for rule in RULES.get(intent, ()):
            if (plan := rule(" ".join(words[start:]))) is not None:
                return plan
    return None


def clauses_of(text: str) -> list[str]:
    """The parts of an order, each one thing to do. What stands in quotes is not parted."""
    held = list[str]()

    def hold(found: re.Match[str]) -> str:
        held.append(found[0])
        return f"\ue001{len(held) - 1}\ue001"

    parts = _SPLIT.split(re.sub(r"\"[^\"]*\"|'[^']{2,}'(?!\w)", hold, " ".join(text.split())))
    whole = [re.sub("\ue001(\\d+)\ue001", lambda found: held[int(found[1])], part) for part in parts]
    return [
        clause
        for part in whole
        if (clause := re.sub(r"^(?:please|also|now|first)\s+|[\s.!,]+$", "", part.strip(), flags=re.I))
    ]


def value_of(result: Returned) -> str:
    """The value that a result gives: of JSON its result or only field, else its text."""
    try:
        found = json.loads(result.text)
    except ValueError:
        return result.text.strip()
    if isinstance(found, dict):
        found = next(
            (found[key] for key in ("result", "value", "date", "text", "time") if key in found),
            next(iter(found.values()), ""),
        )
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _filled(arguments: dict[str, Any], before: str, done: Sequence[tuple[Called, Returned]]) -> dict[str, Any]:
    filled = dict[str, Any]()
    for name, value in arguments.items():
        if value == IT and name == "value":
            number = re.search(_NUMBER, before)
            filled[name] = _value(number[0]) if number else before
        elif value == IT and name == "from":
            last = json.loads(done[-1][0].arguments) if done else {}
            filled[name] = last.get("to", "")
        else:
            filled[name] = value.replace(IT, before) if isinstance(value, str) else value
    return filled


def _said(result: Returned) -> str:
    return value_of(result)[:300]


def _sentence(call: Called, result: Returned) -> str:
    arguments, value = json.loads(call.arguments), value_of(result)
    match call.tool:
        case "calculate":
            return f"{arguments['expression']} is {value}."
        case "convert_units":
            return f"{arguments['value']} {arguments['from']} is {value} {arguments['to']}."
        case "add_days":
            return f"The date is {value}."
        case "remember":
            return f"I will remember: {arguments['text']}."
        case "set_timer":
            return f"The timer is set to {arguments['minutes']} minutes: {arguments['label']}."
        case "write_file":
            return f"Written to the file {arguments['path']}."
        case "add_note":
            return f"The note was added: {arguments['title']}."
        case "forget":
            return f"Forgotten: {arguments['text']}."
        case _:
            return value[:2000]
