"""A tool's arguments, read strictly: what does not fit its schema is refused, never repaired.

Promises: one parse, and what it gives is what is used; duplicate names, NaN, lone surrogates, deep nesting and unknown fields are
refused; a schema with a word that is not enforced here is refused when the tool is declared. `canonical` gives equal values
equal text.
Does not cover: references between schemas, `anyOf` and the like: a tool that needs them declares two tools.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from homefire.errors import BadTool
from homefire.safety.patterns import BadPattern, parse

MOST_BYTES, MOST_DEPTH, MOST_FIELDS = 256 * 1024, 16, 64
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,),
}  # fmt: skip
_COMMON = frozenset({"type", "description", "title", "enum", "const", "default", "examples"})
_ENFORCED: dict[str, frozenset[str]] = {
    kind: frozenset(words.split())
    for kind, words in {
        "object": "properties required additionalProperties", "array": "items minItems maxItems", "boolean": "",
        "string": "minLength maxLength pattern", "integer": "minimum maximum", "number": "minimum maximum",
    }.items()
}  # fmt: skip


class Misfit(ValueError):
    """Why arguments do not fit: `str` of it names the field, never its value."""


def check_schema(schema: Mapping[str, Any], where: str = "parameters", depth: int = 0) -> None:
    """Raises BadTool unless every word of a schema is one that is enforced."""
    if not isinstance(schema, Mapping) or depth > MOST_DEPTH:
        raise BadTool(f"{where} is no schema, or nested too deeply.", param=where)
    kind = schema.get("type")
    if kind not in _TYPES:
        raise BadTool(f"{where}: 'type' must be one of {', '.join(_TYPES)}.", param=where)
    if unknown := set(schema) - _COMMON - _ENFORCED[kind]:
        raise BadTool(f"{where}: '{min(unknown)}' is not enforced here.", param=where)
    if kind == "object":
        fields = schema.get("properties", {})
        if schema.get("additionalProperties", False) is not False or len(fields) > MOST_FIELDS:
            raise BadTool(f"{where}: only named fields are taken, at most {MOST_FIELDS}.", param=where)
        if unknown := set(schema.get("required", ())) - set(fields):
            raise BadTool(f"{where}: '{min(unknown)}' is required and not described.", param=where)
        for name, inner in fields.items():
            check_schema(inner, f"{where}.{name}", depth + 1)
    elif kind == "array":
        check_schema(schema.get("items", {}), f"{where}[]", depth + 1)
    elif kind == "string" and "pattern" in schema:
        try:
            parse(schema["pattern"])
        except (BadPattern, TypeError) as problem:
            raise BadTool(f"{where}: the pattern {problem}.", param=where) from None


def read_arguments(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call. Raises Misfit."""
    if len(text) > MOST_BYTES or len(text.encode("utf-8", "replace")) > MOST_BYTES:
        raise Misfit(f"the arguments are larger than {MOST_BYTES // 1024} KiB")
    if _depth(text) > MOST_DEPTH:
        raise Misfit("the arguments are nested too deeply")
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except Misfit:
        raise
    except (ValueError, RecursionError):
        raise Misfit("the arguments are not one JSON value") from None
    check(found, schema, "")
    assert isinstance(found, dict)
    return found


def check(value: Any, schema: Mapping[str, Any], where: str) -> None:
    """Raises Misfit unless a value fits."""
    kind = schema["type"]
    here = where or "the arguments"
    fits = isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
    if not fits or (isinstance(value, float) and not math.isfinite(value)):
        raise Misfit(f"{here} must be of type {kind}")
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        raise Misfit(f"{here} has a value that is not allowed")
    if kind == "object":
        fields = schema.get("properties", {})
        if unknown := set(value) - set(fields):
            raise Misfit(f"there is no field '{min(unknown)[:60]}'")
        if missing := set(schema.get("required", ())) - set(value):
            raise Misfit(f"the field '{min(missing)}' is missing")
        for name, inner in value.items():
            check(inner, fields[name], f"{where}.{name}".lstrip("."))
    elif kind == "array":
        _bounds(len(value), schema, ("minItems", "maxItems"), here)
        for inner in value:
            check(inner, schema["items"], f"{here}[]")
    elif kind == "string":
        _bounds(len(value), schema, ("minLength", "maxLength"), here)
        if not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            raise Misfit(f"{here} is not valid Unicode")
        if "pattern" in schema and not parse(schema["pattern"]).compiled.fullmatch(value):
            raise Misfit(f"{here} does not have the form that is asked for")
    elif kind != "boolean":
        _bounds(value, schema, ("minimum", "maximum"), here)


def canonical(value: Any) -> str:
    """One text for one value: names in order, no spaces."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _bounds(number: float, schema: Mapping[str, Any], names: tuple[str, str], where: str) -> None:
    low, high = (schema.get(name) for name in names)
    if (low is not None and number < low) or (high is not None and number > high):
        raise Misfit(f"{where} is out of range")


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Misfit(f"the field '{name[:60]}' stands there twice")
        found[name] = value
    return found


def _no_constant(name: str) -> Any:
    raise Misfit(f"{name} is no number")


def _depth(text: str) -> int:
    """How deeply brackets are nested, at most: those inside strings count too, which only makes it stricter."""
    deepest = now = 0
    for each in text:
        if each in "[{":
            now += 1
            deepest = max(deepest, now)
        elif each in "]}":
            now -= 1
    return deepest
