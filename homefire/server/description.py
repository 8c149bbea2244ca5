"""The table of routes: what the router, the OpenAPI description and the page at /docs are made from.

Promises: a route that is not in this table does not exist; the description is generated, never written by hand.
Does not cover: the forms of answers in detail: docs/api.md has them.
"""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from homefire.errors import HomefireError
from homefire.server.scopes import NOTHING_SAID, Right

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One route. `body` is the type of the request's JSON, None if it takes none; `answer` says what comes back; `errors` gives
    an error in the form that this route's clients read (default: ours, which is OpenAI's); `right` says who may use it."""

    method: str
    path: str
    summary: str
    handler: Handler
    body: type[msgspec.Struct] | None = None
    answer: str = "application/json"
    status: int = 200
    errors: Callable[[HomefireError], dict[str, Any]] | None = None
    # What opens it (`scopes.py`); `route_table` fills it in.
    right: Right = NOTHING_SAID


def openapi(rows: Sequence[RouteRow], version: str, open_routes: Collection[tuple[str, str]] = ()) -> dict[str, Any]:
    """The OpenAPI 3.1 description of the routes; `open_routes` are those that need no key, by method and path."""
    bodies = [row.body for row in rows if row.body is not None]
    _, schemas = msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}")
    paths: dict[str, Any] = {}
    for row in rows:
        operation: dict[str, Any] = {
            "summary": row.summary,
            "x-homefire-scopes": list(row.right.needs),
            "operationId": f"{row.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', row.path.lower()).strip('_')}",
            "responses": {
                str(row.status): {
                    "description": "As docs/api.md describes.",
                    **({"content": {row.answer: {}}} if row.status != 204 else {}),
                },
                "default": {
                    "description": "One envelope with a stable code.",
                    "content": {"application/json": {"schema": _envelope(row)}},
                },
            },
        }
        if (row.method, row.path) in open_routes:
            operation["security"] = []
        if names := re.findall(r"{(\w+)(?::\w+)?}", row.path):
            operation["parameters"] = [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
            ]
        if row.body is not None:
            schema = {"$ref": f"#/components/schemas/{row.body.__name__}"}
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        paths.setdefault(re.sub(r":\w+}", "}", row.path), {})[row.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Homefire", "version": version},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Envelope": _ENVELOPE},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _envelope(row: RouteRow) -> dict[str, Any]:
    """The form of a route's errors: ours, or what an error of its dialect looks like."""
    if row.errors is None:
        return {"$ref": "#/components/schemas/Envelope"}
    example = row.errors(HomefireError("An example."))
    kinds = {
        name: {"type": "object" if isinstance(value, dict) else "string"}
        for name, value in example.items()
        if value is not None
    }
    return {"type": "object", "required": list(kinds), "properties": kinds}


_ENVELOPE = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "next_step", "source"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "next_step": {"type": "string"},
                "source": {"enum": ["client", "homefire", "engine", "machine"]},
            },
        }
    },
}


def docs_page(description: dict[str, Any]) -> bytes:
    """The description as a page for people: plain HTML, no script, no style but the browser's own."""
    schemas = description["components"]["schemas"]
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><title>Homefire: the HTTP interface</title>"]
    parts.append(
        "<meta name=viewport content='width=device-width, initial-scale=1'><h1>Homefire: the HTTP interface</h1>"
    )
    parts.append("<p>Machine-readable: <a href=/openapi.json>/openapi.json</a>. Errors come in one envelope.</p>")
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            parts.append(
                f"<h2><code>{method.upper()} {html.escape(path)}</code></h2><p>{html.escape(operation['summary'])}</p>"
            )
            if "requestBody" in operation:
                name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
                parts.append(_fields(schemas[name]))
    return "\n".join(parts).encode()


def _fields(schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = []
    for name, field in schema.get("properties", {}).items():
        kind = html.escape(_kind(field))
        rows.append(f"<tr><td><code>{html.escape(name)}</code><td>{kind}<td>{'required' if name in required else ''}")
    return "<table><tr><th>field<th>type<th>" + "".join(rows) + "</table>"


def _kind(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", 1)[1]
    if "anyOf" in field:
        return " or ".join(_kind(option) for option in field["anyOf"])
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    limits = [f"{sign} {field[key]}" for key, sign in (("minimum", "≥"), ("maximum", "≤")) if key in field]
    return " ".join([str(field.get("type", "any")), *limits])
