"""What a server says of its tools, turned into declarations that the boundary can hold.

    name, description, schema, annotations as they came -> fits? -> ToolSpec `server.tool`, pinned to every byte of it
                                                              -> does not: listed with the reason, never offered

Promises: pure; nothing that a server says of itself lowers what is asked of it but `readOnlyHint`, which makes the risk "read"
and leaves the way out; a schema is only ever made narrower, so that whatever our boundary lets through the server takes too.
Does not cover: talking to servers (`session.py`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from homefire.agent.result import clean
from homefire.errors import BadTool
from homefire.safety.boundary import ToolSpec
from homefire.safety.schema import canonical

MOST_TOOLS = 200
# Characters of a description that models and people are shown; the pin covers all of it.
LONGEST_DESCRIPTION = 1_000
LARGEST_SCHEMA = 64 * 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# Words of JSON Schema that allow or forbid nothing: they are left out of the declaration, and stay in the pin.
_SAYS_NOTHING = frozenset({"$schema", "$comment", "$id", "format", "deprecated", "readOnly", "writeOnly"})


@dataclass(frozen=True, slots=True)
class Found:
    """One tool of a server. `name` is the server's own; `spec` is None where it is not offered, and `refused` says why."""

    name: str
    spec: ToolSpec | None
    refused: str = ""
    read_only: bool = False
    description: str = ""


def described(server: str, maker: str, tools: Iterable[Mapping[str, Any]]) -> list[Found]:
    """What a server's list of tools comes to, by name. `maker` is what the server is run by; `tools` in the wire's own words."""
    found: dict[str, Found] = {}
    for number, raw in enumerate(tools):
        name = raw.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            shown = f"#{number} {clean(str(name))[:64]!r}"
            found[shown] = Found(shown, None, "Its name is not one of letters, digits, dots, dashes and underscores.")
        elif name in found:
            found[name] = Found(name, None, "The server has two tools of this name.")
        elif len(found) >= MOST_TOOLS:
            found["..."] = Found("...", None, f"The server has more than {MOST_TOOLS} tools.")
            break
        else:
            found[name] = _one(server, maker, name, raw)
    return [found[name] for name in sorted(found)]


def _one(server: str, maker: str, name: str, raw: Mapping[str, Any]) -> Found:
    annotations = raw.get("annotations")
    read_only = isinstance(annotations, Mapping) and annotations.get("readOnlyHint") is True
    text = clean(str(raw.get("description") or raw.get("title") or ""))
    shown = text if len(text) <= LONGEST_DESCRIPTION else text[: LONGEST_DESCRIPTION - 1] + "…"
    try:
        whole = canonical(dict(raw))
    except (TypeError, ValueError, RecursionError):
        return Found(name, None, "Its declaration is no JSON.", read_only, shown)
    if len(whole) > LARGEST_SCHEMA:
        return Found(name, None, f"Its declaration is larger than {LARGEST_SCHEMA // 1024} KiB.", read_only, shown)
    digest = hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()
    try:
        spec = ToolSpec(
            f"{server}.{name}",
            shown,
            narrowed(raw.get("inputSchema")),
            "read" if read_only else "run",
            way_out=True,
            maker=f"{maker} {digest}",
            source="tool",
        )
    except BadTool as problem:
        return Found(name, None, f"Its arguments cannot be checked here: {problem.message}", read_only, shown)
    except (TypeError, AttributeError, ValueError, RecursionError):
        return Found(name, None, "Its schema is none.", read_only, shown)
    return Found(name, spec, "", read_only, shown)


def narrowed(schema: Any) -> Any:
    """A schema without words that forbid nothing, and with "this or null" as this: an argument that may be null may be left
    out or be given, and null is not offered. A field that is required keeps its null, and is refused then."""
    if not isinstance(schema, Mapping):
        return schema
    kept = {word: value for word, value in schema.items() if word not in _SAYS_NOTHING}
    kept = _without_null(kept)
    if kept.get("type") == "object":
        kept["additionalProperties"] = False
        fields = kept.get("properties", {})
        if isinstance(fields, Mapping):
            kept["properties"] = {str(name): narrowed(inner) for name, inner in fields.items()}
    elif kept.get("type") == "array" and "items" in kept:
        kept["items"] = narrowed(kept["items"])
    return kept


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    kind, choices = schema.get("type"), schema.get("anyOf")
    if isinstance(kind, list) and len(kind) == 2 and "null" in kind and "enum" not in schema and "const" not in schema:
        schema = {**schema, "type": next((each for each in kind if each != "null"), "null")}
    elif isinstance(choices, list) and len(choices) == 2 and {"type": "null"} in choices and "type" not in schema:
        other = next((each for each in choices if each != {"type": "null"}), None)
        rest = {word: value for word, value in schema.items() if word != "anyOf"}
        if isinstance(other, Mapping) and not set(rest) - {"description", "title", "default"}:
            schema = {**narrowed(other), **rest}
    return {word: value for word, value in schema.items() if not (word == "default" and value is None)}
