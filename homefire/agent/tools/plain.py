"""A tool made of a declaration and one function, and the declarations that ship.

Promises: name, description and schema come from `tools.json`, only risk and labels are said in code.
Does not cover: what the functions do (the modules beside this one).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homefire.agent.tool import Context, Outcome
from homefire.safety.boundary import Risk, ToolSpec
from homefire.safety.taint import Source

SHIPPED = "tools.json"
Work = Callable[[Mapping[str, Any], Context], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class PlainTool:
    """`Tool` over one function. `seconds` it may take."""

    spec: ToolSpec
    work: Work
    idempotent: bool = True
    seconds: float = 60.0

    async def run(self, arguments: Mapping[str, Any], context: Context) -> Outcome:
        """Does it. Raises what the function raises."""
        return await self.work(arguments, context)


def shipped_text() -> str:
    """The file of declarations."""
    return Path(__file__).parents[1].joinpath(SHIPPED).read_text("utf-8")


@functools.cache
def _shipped() -> dict[str, dict[str, Any]]:
    return {each["function"]["name"]: each["function"] for each in json.loads(shipped_text())["tools"]}


def schema_of(name: str) -> Mapping[str, Any]:
    """The declaration of a shipped tool: name, description, parameters."""
    return _shipped()[name]


def shipped_names() -> tuple[str, ...]:
    """All names, in the file's order."""
    return tuple(_shipped())


def declared(name: str, risk: Risk, *, source: Source = "system", private: bool = False, **arguments: Any) -> ToolSpec:
    """A shipped tool's declaration. `arguments`: paths, addresses, recipients, way_out of ToolSpec."""
    body = _shipped()[name]
    return ToolSpec(name, body["description"], body["parameters"], risk, private=private, source=source, **arguments)


def told(value: Any) -> str:
    """A result as the pilot is trained to read it: JSON, spaces as Python writes them."""
    return json.dumps(value, ensure_ascii=False)


def failed(code: str, text: str) -> Outcome:
    """A result that is an error."""
    return Outcome("error", text, code)
