"""What a server says of its tools becomes a declaration or a reason, and every byte of it is pinned.

Promises: schemas are only made narrower; bad names, doubles, floods and schemas that cannot be enforced are named
and not offered.
Does not cover: servers (`tests/process/test_mcp_sessions.py`).
"""

from __future__ import annotations

from typing import Any

import pytest

from homefire.agent.mcp.described import MOST_TOOLS, Found, described, narrowed
from homefire.agent.mcp.servers import _check
from homefire.errors import InvalidRequest
from homefire.safety.schema import Misfit, read_arguments


def tool(name: Any = "t", schema: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": "Does it.", "inputSchema": schema or {"type": "object"}, **more}


def one(raw: dict[str, Any], maker: str = "m") -> Found:
    return described("s", maker, [raw])[0]


def test_a_tool_is_run_unless_it_says_that_it_only_reads_and_leads_out_always() -> None:
    plain, reads = one(tool()).spec, one(tool(annotations={"readOnlyHint": True})).spec
    assert plain is not None and reads is not None
    assert (plain.name, plain.risk, plain.leads_out, plain.gives.tainted) == ("s.t", "run", True, True)
    assert (reads.risk, reads.leads_out) == ("read", True)
    spec = one(tool(annotations={"readOnlyHint": "yes"})).spec
    assert spec is not None and spec.risk == "run"


@pytest.mark.parametrize(
    "raw",
    [
        tool(description="Does it!"),
        tool(schema={"type": "object", "$comment": "hidden"}),
        tool(outputSchema={"type": "object"}),
        tool(title="T"),
        tool(description="x" * 2000 + "a"),
        tool(_meta={"a": 1}),
    ],
)
def test_any_byte_that_changes_changes_the_pin(raw: dict[str, Any]) -> None:
    before, after = one(tool()).spec, one(raw).spec
    assert before is not None and after is not None and before.pin != after.pin
    other = one(raw, "another program").spec
    assert other is not None and other.pin != after.pin


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"x": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}},
        {"type": "object", "properties": {"x": {"$ref": "#/$defs/X"}}, "$defs": {"X": {"type": "string"}}},
        {"type": "object", "properties": {"x": {"type": "string", "pattern": "(a+)+$"}}},
        {"type": "object", "properties": {"x": True}},
        {"type": "object", "properties": []},
        {"type": "array"},
        {"type": "object", "properties": {"x": {"type": "integer", "exclusiveMinimum": 0}}},
        "no schema",
    ],
)
def test_what_cannot_be_enforced_is_listed_with_the_reason(schema: Any) -> None:
    found = one(tool(schema=schema))
    assert found.spec is None and found.name == "t" and found.refused


def test_names_doubles_and_floods() -> None:
    found = described("s", "m", [tool("a"), tool("a"), tool("../x"), tool("b c"), tool(7)])
    assert [each.spec for each in found] == [None] * 4 and all(each.refused for each in found)
    many = described("s", "m", [tool(f"t{n}") for n in range(MOST_TOOLS + 50)])
    assert len(many) == MOST_TOOLS + 1 and sum(each.spec is None for each in many) == 1
    turned = one(tool(description="a\x1b[31m\u202eb")).spec
    assert turned is not None and turned.description.isprintable()


def test_an_argument_that_may_be_null_may_be_left_out() -> None:
    fields = {
        "a": {"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}], "default": None, "title": "A"},
        "b": {"type": ["integer", "null"]},
    }
    schema = narrowed({"$schema": "x", "type": "object", "properties": fields, "additionalProperties": True})
    assert read_arguments('{"a": "x", "b": 1}', schema) == {"a": "x", "b": 1}
    assert read_arguments("{}", schema) == {}
    for bad in ('{"a": null}', '{"c": 1}', '{"b": "x"}'):
        with pytest.raises(Misfit):
            read_arguments(bad, schema)


@pytest.mark.parametrize(
    "name, command, url, environment, key",
    [
        ("a.b", ("x",), "", {}, ""),
        ("A", ("x",), "", {}, ""),
        ("a", (), "", {}, ""),
        ("a", ("x",), "https://x.example", {}, ""),
        ("a", ("x",), "", {"B=C": "d"}, ""),
        ("a", ("x",), "", {}, "key"),
        ("a", (), "https://x.example", {"B": "c"}, ""),
        ("a", (), "https://x.example", {}, "two\nlines"),
        ("a", ("x\0",), "", {}, ""),
    ],
)
def test_what_is_no_server(
    name: str, command: tuple[str, ...], url: str, environment: dict[str, str], key: str
) -> None:
    with pytest.raises(InvalidRequest):
        _check(name, command, url, environment, key)
