"""What a model wrote, as calls: its own calls where its template has them, else those that stand in its text.

    events of an answer -> Draft (text, calls as they came) -> read(): calls of tools that are offered, and the text beside them

Small models write calls in forms of other models, in fences, with arguments as a text of JSON or under another name. What can
only mean one call of an offered tool is read as that; what a model wrote after a made-up result is cut off: results come from
tools. Arguments are only ever changed where they leave one reading: "5" for a number, space around a path.
Promises: pure; time linear in the text; at most `MOST_CALLS` calls.
Does not cover: whether the arguments fit (`safety/schema.py`), guessing a tool from prose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homefire.safety.schema import Misfit, canonical, read_arguments

MOST_CALLS, MOST_TEXT = 4, 64 * 1024
# Arguments that name something: space around them is the model's, never meant (" day.txt" would be another file).
NAMES_OF_THINGS = frozenset(("path", "folder", "url", "title", "label", "name", "date", "from", "to", "query", "role"))
# Where a model begins to play the world: what follows is invented.
_INVENTED = re.compile(
    r"(?:^|\n)\s*(?:Observation|Tool (?:result|output|response)|Result from tool|Function (?:result|output))\s*:|"
    r"<tool_response>|<\|?(?:observation|ipython|tool_result)\|?>|\[TOOL_RESULTS\]",
    re.IGNORECASE,
)
_TAGGED = re.compile(
    r"<(?:tool_call|function_call|toolcall)>\s*(.*?)\s*(?:</(?:tool_call|function_call|toolcall)>|\Z)", re.S
)
_NAMED = re.compile(r"<function(?:=|\s+name=[\"']?)([\w.\-]{1,100})[\"']?>\s*(.*?)\s*(?:</function>|\Z)", re.S)
_LISTED = re.compile(r"\[TOOL_CALLS\]\s*")
_FENCED = re.compile(r"```(?:json|tool_call|tool|python)?[ \t]*\n(.*?)(?:```|\Z)", re.S)
_ACTION = re.compile(r"(?:^|\n)\s*Action\s*:\s*([\w.\-]{1,100})\s*\n\s*Action Input\s*:\s*(\{)", re.I)
_WRITTEN = re.compile(r"(?:^|\n|`)\s*([A-Za-z_][\w.\-]{0,99})\s*\(\s*(\{)")
_NAMES, _ARGUMENTS = (
    ("name", "tool", "function", "tool_name", "action"),
    ("arguments", "parameters", "args", "input", "action_input"),
)
_decode = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Draft:
    """One answer of a model. `calls` are (name, arguments as JSON text), as its engine gave them; `finish` is its engine's."""

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str = ""
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True)
class Read:
    """`calls` that can be made; `text` beside them; `unknown` are names that were called and are not offered."""

    calls: tuple[tuple[str, str], ...]
    text: str
    unknown: tuple[str, ...] = ()


def read(draft: Draft, offered: Mapping[str, Mapping[str, Any]], rescue: bool = True) -> Read:
    """The calls of a draft; `offered` maps names to schemas. Without `rescue` only the engine's own calls count."""
    text, found = draft.text[:MOST_TEXT], list(draft.calls)
    if rescue:
        cut = _INVENTED.search(text)
        text = text[: cut.start()] if cut else text
        if not found:
            spans = list(_in_text(text, offered))
            found = [(name, arguments) for name, arguments, _ in spans]
            text = _without(text, [span for _, _, span in spans])
    calls = [(name, settled(arguments, offered[name])) for name, arguments in found if name in offered]
    return Read(tuple(calls[:MOST_CALLS]), text.strip(), tuple(name for name, _ in found if name not in offered))


def settled(arguments: str, schema: Mapping[str, Any]) -> str:
    """Arguments in canonical form if they fit, also after what leaves one reading was put right; else as they were."""
    try:
        value = json.loads(arguments or "{}")
        if isinstance(value, str):  # a text of JSON
            value = json.loads(value)
        if isinstance(value, dict):
            fields = schema.get("properties", {})
            value = {name: _number(_bare(name, each), fields.get(name, {})) for name, each in value.items()}
        text = canonical(value)
        read_arguments(text, schema)
    except (ValueError, RecursionError):  # Misfit is one; who checks next says what is wrong
        return arguments
    return text


def problem_of(arguments: str, schema: Mapping[str, Any]) -> str:
    """What is wrong with arguments, for the model to read; "" if nothing is."""
    try:
        read_arguments(arguments, schema)
    except Misfit as problem:
        return str(problem)
    return ""


def signature(name: str, schema: Mapping[str, Any]) -> str:
    """A tool as a person would write its call, for a message to a model: `add_days(date: string, days: number)`."""
    fields = schema.get("properties", {})
    named = [f"{field}: {kind.get('type', 'any')}" for field, kind in fields.items()]
    return f"{name}({', '.join(named)})"


def _bare(name: str, value: Any) -> Any:
    return value.strip() if name in NAMES_OF_THINGS and isinstance(value, str) else value


def _number(value: Any, schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if (
        isinstance(value, str)
        and kind in ("number", "integer")
        and re.fullmatch(r"-?\d{1,15}(?:\.\d{1,15})?", value.strip())
    ):
        number = float(value)
        return int(number) if number.is_integer() else number
    if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def _in_text(text: str, offered: Mapping[str, Any]) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Calls written in a text: name, arguments, where. The first form that gives one is the model's form."""
    for pattern in (_TAGGED, _FENCED):
        found = [(*call, match.span()) for match in pattern.finditer(text) for call in _objects(match[1])]
        if found:
            yield from found
            return
    if match := next(_NAMED.finditer(text), None):
        yield match[1], match[2] or "{}", match.span()
        return
    if match := _LISTED.search(text):
        yield from ((*call, (match.start(), len(text))) for call in _objects(text[match.end() :]))
        return
    for pattern in (_ACTION, _WRITTEN):
        if (match := pattern.search(text)) and match[1] in offered:
            try:
                _, end = _decode(text, match.start(2))
            except (ValueError, RecursionError):
                continue
            yield match[1], text[match.start(2) : end], (match.start(), end)
            return
    if (start := text.find("{")) >= 0:
        calls = list(_objects(text[start:]))
        if calls:
            yield from ((*call, (start, len(text))) for call in calls)


def _objects(text: str) -> Iterator[tuple[str, str]]:
    """The calls that a text of JSON holds: an object, a list of them, or several one after another."""
    at, text = 0, text.strip()
    for _ in range(MOST_CALLS):
        while at < len(text) and text[at] in " \t\r\n,;":
            at += 1
        if at >= len(text) or text[at] not in "{[":
            return
        try:
            value, at = _decode(text, at)
        except (ValueError, RecursionError):
            return
        for each in value if isinstance(value, list) else [value]:
            if (call := _call(each)) is not None:
                yield call


def _call(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, dict):
        return None
    inner = value.get("function")
    if isinstance(inner, dict):
        value = inner
    name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
    if name is None:
        return None
    arguments: Any = next((value[key] for key in _ARGUMENTS if key in value), {})
    return name, arguments if isinstance(arguments, str) else json.dumps(arguments)


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for start, end in sorted(set(spans), reverse=True):
        text = text[:start] + text[end:]
    return text
