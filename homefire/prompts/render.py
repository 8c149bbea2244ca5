"""Rendering: the small language, and why it always ends.

    {{ name }}  {{ name | filter }}  {% if a %} {% elif not b and c == "d" %} {% else %} {% endif %}
    {% for x in list %} {{ loop.index }} {{ x.column }} {% else %} {% endfor %}   {% include "name" %}   {# a note #}

Underneath is Jinja's immutable sandbox. What may stand in a prompt is a list of kinds of nodes in Jinja's own syntax tree; what
is not on it is refused before anything runs: no call, no arithmetic, no joining by ~, no range, no macro, no assignment, no
attribute but a column of a row and the counters of a loop. So a value that is not handed in can only come out of a filter of
ours, and each of those looks at the size of what it would make first.

| bound                        | by                                                                             |
|------------------------------|--------------------------------------------------------------------------------|
| steps of all loops together  | MOST_STEPS: every loop's list goes through a counter that the tree is given    |
| loops in loops, conditions   | MOST_LOOPS, MOST_DEPTH, counted in the tree, includes put in their place       |
| includes                     | names written out, MOST_INCLUDES of them, none within itself                   |
| memory                       | LARGEST_OUTPUT for the whole, LARGEST_VALUE for a value on its way             |
| time                         | SECONDS, looked at with each step and each piece; the bounds above keep it far |

Promises: `render` ends with a text within these bounds or with BadPrompt; the same prompt and values give the same text.
Does not cover: what a prompt is good for; a process that the system starves of time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from homefire.errors import BadPrompt
from homefire.prompts.template import LARGEST, Written, parse, values_for

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_STEPS, MOST_LOOPS, MOST_DEPTH, MOST_INCLUDES = 100_000, 3, 24, 32
LARGEST_OUTPUT, LARGEST_VALUE, SECONDS = 4_000_000, 1_000_000, 2.0
# Kinds of nodes of the syntax tree. `Add` and its kin, `Call`, `Concat`, `Set`, `Macro`, `Import`, `Extends` are not among them.
_KINDS = frozenset({
    "Template", "Output", "TemplateData", "Name", "Const", "If", "For", "Include", "Compare", "Operand", "And", "Or", "Not",
    "Filter", "Test", "Getattr", "CondExpr", "List", "Tuple", "Scope",
})  # fmt: skip
_TESTS = frozenset({"defined", "string", "number", "sequence", "even", "odd"})
_LOOP = frozenset({"index", "index0", "first", "last", "length"})
_COUNTER = "counted_"
# A text without any of these is rendered as it stands, without Jinja.
_SIGNS = ("{{", "{%", "{#")
Load = Callable[[str], str]
_LONG = "Hand less in, or cut it first."


class _Meter:
    """Steps and time of one rendering."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._ends, self._left = clock, clock() + SECONDS, MOST_STEPS

    def counted(self, value: Any) -> Iterable[Any]:
        """The items of a loop, each of them counted."""
        if not isinstance(value, list | tuple):
            raise BadPrompt("A loop goes over a list or a table.", "Declare the variable with type list or table.")
        for each in value:
            self._left -= 1
            if self._left < 0:
                raise BadPrompt(f"The loops take more than {MOST_STEPS:,} steps.", "Hand in shorter lists.")
            self.look()
            yield each

    def look(self) -> None:
        """Raises BadPrompt when the time is over."""
        if self._clock() > self._ends:
            raise BadPrompt(f"The prompt takes more than {SECONDS:g} s.", _LONG)


def render(template: Written, given: Mapping[str, Any], load: Load, clock: Callable[[], float] = time.monotonic) -> str:
    """The text. `load` gives a prompt by its name, for includes; it raises UnknownPrompt. Raises BadPrompt."""
    body, template = flattened(template, load)
    values = values_for(template, given)
    if not any(sign in body for sign in _SIGNS):
        return body
    meter = _Meter(clock)
    from jinja2.exceptions import TemplateError

    pieces, size = list[str](), 0
    try:
        made = _compiled(body, frozenset(template.variables))
        for piece in made.generate({**values, _COUNTER: meter.counted}):
            size += len(piece)
            if size > LARGEST_OUTPUT:
                raise BadPrompt(f"The text has more than {LARGEST_OUTPUT:,} letters.", _LONG)
            meter.look()
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError, AttributeError, RecursionError) as problem:
        raise BadPrompt(
            f"The prompt cannot be rendered: {str(problem)[:200]}.", "Look at: homefire prompts show"
        ) from None
    return "".join(pieces)


def check(template: Written, load: Load) -> None:
    """Raises BadPrompt, UnknownPrompt for what could not be rendered with any values."""
    body, whole = flattened(template, load)
    if any(sign in body for sign in _SIGNS):
        _compiled(body, frozenset(whole.variables))


def flattened(template: Written, load: Load) -> tuple[str, Written]:
    """The body with every include in its place, and the template with the variables of all of them. Raises BadPrompt."""
    variables = dict(template.variables)
    left = MOST_INCLUDES

    def inside(body: str, path: tuple[str, ...]) -> str:
        nonlocal left
        pieces, at = list[str](), 0
        for start, end, name in _includes(body):
            left -= 1
            if name in path or left < 0:
                raise BadPrompt(f"'{name}' includes itself, or too much is included.", f"At most {MOST_INCLUDES}.")
            part = parse(load(name))
            for each in part.variables.values():
                if variables.setdefault(each.name, each).type != each.type:
                    raise BadPrompt(f"'{name}' declares '{each.name}' with another type.", "Call it otherwise.")
            pieces += [body[at:start], inside(part.body, (*path, name))]
            at = end
        text = "".join([*pieces, body[at:]])
        if len(text) > 4 * LARGEST:
            raise BadPrompt(f"With its includes it has more than {4 * LARGEST // 1024} KiB.", "Include less.")
        return text

    return inside(template.body, ()), Written(template.body, template.about, variables, template.bound)


def _includes(body: str) -> list[tuple[int, int, str]]:
    """Where includes stand and what they name: found by Jinja's own lexer, so that none in a note or a text counts."""
    if "{%" not in body:
        return []
    found, at, tokens = list[tuple[int, int, str]](), 0, _lexed(body)
    start, words = -1, list[str]()
    for kind, value in tokens:
        if kind == "block_begin":
            start, words = at, []
        at += len(value)
        if start >= 0 and kind in ("name", "string", "operator"):
            words.append(value)
        if kind == "block_end" and start >= 0:
            if words and words[0] == "include":
                if len(words) != 2 or words[1][:1] not in "\"'" or len(words[1]) < 3:
                    raise BadPrompt("An include names one prompt.", 'Write: {% include "name" %}')
                found.append((start, at, words[1][1:-1]))
            start = -1
    return found


def _lexed(body: str) -> list[tuple[str, str]]:
    from jinja2.exceptions import TemplateError

    try:
        return [(kind, value) for _, kind, value in _environment().lex(body)]
    except (TemplateError, RecursionError) as problem:
        raise BadPrompt(f"The prompt is not written rightly: {str(problem)[:200]}.", "See docs/agent.md.") from None


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    found = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, optimized=False, keep_trailing_newline=True, trim_blocks=False,
        lstrip_blocks=False, cache_size=0,
    )  # fmt: skip
    found.filters = dict(FILTERS)
    found.tests = {name: test for name, test in found.tests.items() if name in _TESTS or name in _COMPARING}
    found.globals = {}
    return found


# What Jinja itself turns comparisons into, and `is` of ours.
_COMPARING = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "in"})


@lru_cache(maxsize=64)
def _compiled(body: str, names: frozenset[str]) -> Any:
    """The checked tree, as a program that yields its pieces. Raises BadPrompt."""
    from jinja2.exceptions import TemplateError

    environment = _environment()
    try:
        tree = environment.parse(body)
        _walk(tree, _Place(names))
        tree = _bounded(tree)
        tree.set_environment(environment)
        code = environment.compile(tree)
        return environment.template_class.from_code(environment, code, environment.globals)
    except (TemplateError, RecursionError, SyntaxError, MemoryError) as problem:
        raise BadPrompt(f"The prompt is not written rightly: {str(problem)[:200]}.", "See docs/agent.md.") from None


def _bounded(tree: nodes.Template) -> nodes.Template:
    """The tree with every loop's list going through the counter, which a prompt itself cannot call; and with each column read
    as the row's own, whatever a row may have under that name (`items`)."""
    from jinja2 import nodes
    from jinja2.visitor import NodeTransformer

    class Bounded(NodeTransformer):
        def visit_For(self, node: nodes.For) -> nodes.Node:
            self.generic_visit(node)
            counter = nodes.Name(_COUNTER, "load", lineno=node.lineno)
            node.iter = nodes.Call(counter, [node.iter], [], None, None, lineno=node.lineno)
            return node

        def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:
            if isinstance(node.node, nodes.Name) and node.node.name == "loop":
                return node
            return nodes.Getitem(node.node, nodes.Const(node.attr), "load", lineno=node.lineno)

    found: nodes.Template = Bounded().visit(tree)
    return found


class _Place:
    """Where in the tree a node stands: names that may be used there, loops and blocks around it."""

    def __init__(self, names: frozenset[str], loops: int = 0, depth: int = 0) -> None:
        self.names, self.loops, self.depth = names, loops, depth


def _walk(node: nodes.Node, place: _Place) -> None:
    """Raises BadPrompt for what the language does not have."""
    kind, line = type(node).__name__, getattr(node, "lineno", 0)
    if kind not in _KINDS:
        raise BadPrompt(f"Line {line}: the language has no {kind.lower()}.", "docs/agent.md says what it has.")
    if place.depth > MOST_DEPTH:
        raise BadPrompt(f"Line {line}: more than {MOST_DEPTH} levels in each other.", "Include a part of it.")
    fields: dict[str, Any] = dict(node.iter_fields())
    _require_known(kind, fields, place, line)
    names, loops = place.names, place.loops
    if kind == "For":
        _walk(fields["iter"], place)
        names, loops = names | {fields["target"].name, "loop"}, loops + 1
        if loops > MOST_LOOPS:
            raise BadPrompt(f"Line {line}: more than {MOST_LOOPS} loops in each other.", "Write it flatter.")
    inner = _Place(names, loops, place.depth + 1)
    for name, value in fields.items():
        if kind == "For" and name in ("iter", "target"):
            continue
        for each in value if isinstance(value, list) else [value]:
            if hasattr(each, "iter_fields"):
                _walk(each, inner)


def _require_known(kind: str, fields: Mapping[str, Any], place: _Place, line: int) -> None:
    """Raises BadPrompt for a name, a filter, a test, an attribute or a form of loop that there is not."""
    problem = ""
    match kind:
        case "Name" if fields["name"] not in place.names:
            problem = f"'{fields['name']}' is not declared"
        case "Filter" if fields["name"] not in FILTERS or fields["node"] is None or fields["dyn_args"]:
            problem = f"there is no filter '{fields['name']}'; there are: {', '.join(sorted(FILTERS))}"
        case "Test" if fields["name"] not in _TESTS or fields["dyn_args"]:
            problem = f"there is no test '{fields['name']}'; there are: {', '.join(sorted(_TESTS))}"
        case "Getattr" if fields["attr"].startswith("_") or type(fields["node"]).__name__ != "Name":
            problem = f"'.{fields['attr']}' is not a column"
        case "Getattr" if fields["node"].name == "loop" and fields["attr"] not in _LOOP:
            problem = f"a loop has no '{fields['attr']}'; it has: {', '.join(sorted(_LOOP))}"
        case "For" if fields["recursive"] or fields["test"] is not None or type(fields["target"]).__name__ != "Name":
            problem = "a loop has the form: for NAME in LIST"
        case "List" | "Tuple" if any(type(each).__name__ != "Const" for each in fields["items"]):
            problem = "a list that is written out holds words and numbers alone"
        case "Include":
            problem = 'an include has the form: include "NAME"'
    if problem:
        raise BadPrompt(f"Line {line}: {problem}.", "docs/agent.md describes the language.")


# -- filters: each looks at the size of what it would make before it makes it


def _text(value: Any) -> str:
    if not isinstance(value, str | int | float):
        raise BadPrompt("This filter takes a text.", "Use 'join' to make a text of a list.")
    return str(value)


def _small(size: int) -> None:
    if size > LARGEST_VALUE:
        raise BadPrompt(f"A filter would make more than {LARGEST_VALUE:,} letters.", _LONG)


def _replace(value: Any, old: str, new: str) -> str:
    text = _text(value)
    if not old:
        raise BadPrompt("'replace' replaces something.", "Give the text that is to go.")
    _small(len(text) + text.count(old) * max(0, len(new) - len(old)))
    return text.replace(old, new)


def _join(value: Any, between: str = ", ") -> str:
    if not isinstance(value, list | tuple):
        raise BadPrompt("'join' takes a list.", "Declare the variable with type list.")
    words = [_text(each) for each in value]
    _small(sum(map(len, words)) + len(words) * len(between))
    return between.join(words)


def _indent(value: Any, width: int = 4) -> str:
    text, wide = _text(value), max(0, min(int(width), 40))
    _small(len(text) + wide * (text.count("\n") + 1))
    return text.replace("\n", "\n" + " " * wide)


def _truncate(value: Any, length: int = 255) -> str:
    text = _text(value)
    return text if len(text) <= int(length) else text[: max(0, int(length) - 1)].rstrip() + "…"


def _tojson(value: Any) -> str:
    made = json.dumps(value, ensure_ascii=False)
    _small(len(made))
    return made


def _end(value: Sequence[Any], at: int) -> Any:
    if not isinstance(value, list | tuple | str) or not value:
        return ""
    return value[at]


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise BadPrompt("This filter takes a list.", "Declare the variable with type list.")
    return list(value)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "upper": lambda value: _text(value).upper(),
    "lower": lambda value: _text(value).lower(),
    "capitalize": lambda value: _text(value).capitalize(),
    "trim": lambda value: _text(value).strip(),
    "oneline": lambda value: " ".join(_text(value).split()),
    "length": lambda value: len(value if isinstance(value, list | tuple) else _text(value)),
    "first": lambda value: _end(value, 0),
    "last": lambda value: _end(value, -1),
    "take": lambda value, count: _listed(value)[: max(0, int(count))],
    "sort": lambda value: sorted(map(_text, _listed(value))),
    "unique": lambda value: list(dict.fromkeys(map(_text, _listed(value)))),
    "join": _join,
    "replace": _replace,
    "indent": _indent,
    "truncate": _truncate,
    "tojson": _tojson,
}
