"""A prompt as it is written: a header that declares its variables, and a text in a small language.

    +++
    about = "Greets somebody."
    [variables.name]
    type = "text"
    [variables.tasks]
    type = "list"
    default = []
    +++
    Hello {{ name }}.{% if tasks %} To do:
    {% for task in tasks %}- {{ task }}
    {% endfor %}{% endif %}{% include "house.tone" %}

The header is TOML between two lines `+++`; without variables it may be left out. Types: text, integer, number, flag, choice (one
of `of`), list (of texts), table (rows of named texts). The language: what `render.py` lets through, and nothing else.
Promises: `parse` and `values_for` are pure; what comes out of `values_for` has the declared types and sizes, or BadPrompt says
which variable has not; a name that the text uses and nobody declared is an error before anything is rendered.
Does not cover: rendering (`render.py`), versions (`prompts.py`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from homefire.errors import BadPrompt

Type = Literal["text", "integer", "number", "flag", "choice", "list", "table"]
TYPES = get_args(Type)
# Bytes of a prompt as it is written; letters of one text that is handed in; items of a list; letters of all values together.
LARGEST, LONGEST_TEXT, MOST_ITEMS, LONGEST_VALUES = 64 * 1024, 1_000_000, 1000, 4_000_000
MOST_VARIABLES, MOST_COLUMNS = 64, 32
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FENCE = "+++"
_FIELDS = {"type", "default", "about", "of", "most"}
_HEADER = {"about", "variables", "bound"}


@dataclass(frozen=True, slots=True)
class Variable:
    """What a prompt wants to be told. `default` None: it has to be given. `most`: letters of a text, items of a list."""

    name: str
    type: Type = "text"
    default: Any = None
    about: str = ""
    of: tuple[str, ...] = ()
    most: int = 0

    def as_data(self) -> dict[str, Any]:
        """For a listing."""
        more = {"of": list(self.of)} if self.of else {}
        limit = {"most": self.most} if self.most else {}
        return {"name": self.name, "type": self.type, "default": self.default, "about": self.about, **more, **limit}


@dataclass(frozen=True, slots=True)
class Written:
    """A prompt, read. `bound`: "" or the model that was trained with exactly these words."""

    body: str
    about: str = ""
    variables: Mapping[str, Variable] = field(default_factory=dict)
    bound: str = ""


def parse(text: str) -> Written:
    """A prompt as it was written. Raises BadPrompt."""
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise BadPrompt(f"A prompt has at most {LARGEST // 1024} KiB.", "Hand long texts in as variables.")
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise BadPrompt("The prompt holds what is no text.", "Write it in UTF-8.")
    text = text.replace("\r\n", "\n")
    if not text.startswith(_FENCE + "\n"):
        return Written(text)
    head, found, body = text[len(_FENCE) + 1 :].partition("\n" + _FENCE + "\n")
    if not found and head.startswith(_FENCE + "\n"):
        head, found, body = "", "\n", head[len(_FENCE) + 1 :]
    if not found:
        raise BadPrompt("The header is not closed.", "Close it with a line of +++ alone.")
    try:
        header = tomllib.loads(head)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise BadPrompt(f"The header is not TOML: {str(problem)[:200]}.", "docs/agent.md shows one.") from None
    if unknown := sorted(set(header) - _HEADER):
        raise BadPrompt(f"The header has no field {unknown[0][:60]!r}.", "It has: about, variables.")
    declared = header.get("variables", {})
    if not isinstance(declared, dict) or len(declared) > MOST_VARIABLES:
        raise BadPrompt(f"'variables' holds at most {MOST_VARIABLES} tables.", "Write: [variables.name]")
    about, bound = header.get("about", ""), header.get("bound", "")
    if not isinstance(about, str) or not isinstance(bound, str):
        raise BadPrompt("'about' is a text.", 'Write: about = "..."')
    return Written(body, about, {name: _variable(name, given) for name, given in declared.items()}, bound)


def values_for(template: Written, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a rendering sees: each variable's value or default, in its type. Raises BadPrompt."""
    if unknown := sorted(set(given) - set(template.variables)):
        known = ", ".join(sorted(template.variables)) or "none"
        raise BadPrompt(f"The prompt has no variable {unknown[0][:60]!r}.", f"It has: {known}.", param=unknown[0][:60])
    found = {}
    for name, variable in template.variables.items():
        value = given.get(name, variable.default)
        if value is None:
            raise BadPrompt(f"The variable '{name}' is missing.", f"Give it: --set {name}=...", param=name)
        found[name] = _fitting(variable, value)
    if sum(map(_letters, found.values())) > LONGEST_VALUES:
        raise BadPrompt(f"The values have more than {LONGEST_VALUES:,} letters together.", "Hand less in.")
    return found


def of_words(template: Written, words: Mapping[str, str]) -> dict[str, Any]:
    """Values as a command line gives them, in the types of the template; texts for what it does not know. Lists have commas
    or are JSON. Pure; what does not fit stays a text, for `values_for` to refuse."""
    import json

    found: dict[str, Any] = {}
    for name, word in words.items():
        variable = template.variables.get(name)
        kind = variable.type if variable else "text"
        value: Any = word
        if kind in ("integer", "number", "flag", "table") or (kind == "list" and word.lstrip().startswith("[")):
            try:
                value = json.loads(word)
            except (ValueError, RecursionError):
                value = word
        elif kind == "list":
            value = [each.strip() for each in word.split(",") if each.strip()]
        found[name] = value
    return found


def _variable(name: str, given: object) -> Variable:
    if not _NAME.fullmatch(name) or name in ("loop", "true", "false", "none"):
        raise BadPrompt(
            f"No name for a variable: {name[:60]!r}", "Small letters, digits and _, a letter first.", param=name[:60]
        )
    if not isinstance(given, dict) or set(given) - _FIELDS:
        raise BadPrompt(
            f"The variable '{name}' has fields that there are not.", f"There are: {', '.join(sorted(_FIELDS))}."
        )
    kind, of, most = given.get("type", "text"), given.get("of", []), given.get("most", 0)
    if kind not in TYPES:
        raise BadPrompt(f"The variable '{name}' has no known type.", f"Types: {', '.join(TYPES)}.", param=name)
    if not isinstance(of, list) or not all(isinstance(each, str) for each in of) or (kind == "choice") != bool(of):
        raise BadPrompt(f"The variable '{name}' needs 'of' if it is a choice, and only then.", 'Write: of = ["a", "b"]')
    if not isinstance(most, int) or isinstance(most, bool) or most < 0 or not isinstance(given.get("about", ""), str):
        raise BadPrompt(
            f"The variable '{name}' has a wrong 'most' or 'about'.", "'most' is a number, 'about' a text.", param=name
        )
    made = Variable(name, cast("Type", kind), None, given.get("about", ""), tuple(of), most)
    default = given.get("default")
    return made if default is None else Variable(name, made.type, _fitting(made, default), made.about, made.of, most)


def _fitting(variable: Variable, value: Any) -> Any:
    """The value in the variable's type. Raises BadPrompt."""
    match variable.type:
        case "text" if isinstance(value, str) and len(value) <= (variable.most or LONGEST_TEXT):
            return value
        case "choice" if isinstance(value, str) and value in variable.of:
            return value
        case "flag" if isinstance(value, bool):
            return value
        case "integer" if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
            return value
        case "number" if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
            return value
        case "list" if _is_list(variable, value) and all(_is_text(each) for each in value):
            return list(value)
        case "table" if _is_list(variable, value) and all(_is_row(each) for each in value):
            return [dict(each) for each in value]
    limit = {"text": variable.most or LONGEST_TEXT, "list": _items(variable), "table": _items(variable)}
    more = f", at most {limit[variable.type]:,} long" if variable.type in limit else ""
    wanted = f"one of {', '.join(variable.of)}" if variable.of else f"of the type {variable.type}{more}"
    raise BadPrompt(f"The variable '{variable.name}' has to be {wanted}.", "Give it so.", param=variable.name)


def _items(variable: Variable) -> int:
    return min(variable.most or MOST_ITEMS, MOST_ITEMS)


def _is_list(variable: Variable, value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) <= _items(variable)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT


def _is_row(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= MOST_COLUMNS
        and all(isinstance(name, str) and _NAME.fullmatch(name) for name in value)
        and all(_is_text(each) or isinstance(each, int | float) for each in value.values())
    )


def _letters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_letters, value)) + len(value)
    return sum(map(_letters, value.values())) + 1 if isinstance(value, dict) else 8
