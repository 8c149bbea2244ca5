"""What tests of the agent's loop stand on: a record in memory, hands that carry out Python functions, tools of the fixture.

Does not cover: the boundary, the journal, real tools (`tests/null/test_effects.py`, `tests/chaos/test_agent_kill.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from homefire.agent.step import Called, Entry, Ordered, Returned, Step, of_json, to_json
from homefire.safety.boundary import Risk, ToolSpec
from homefire.safety.taint import Label, label

FIXTURE = Path(__file__).parents[2] / "fixtures" / "tools.json"
WRITING = {"remember", "forget", "add_note", "write_file", "set_timer", "ingest", "load_model", "start_process"}
RUNNING = {"run_code", "run_shell", "spawn_agent"}
Function = Callable[..., Any]


def spec(name: str, description: str, parameters: dict[str, Any], risk: Risk = "read") -> ToolSpec:
    return ToolSpec(name, description, parameters, risk)


def fixture_specs(*names: str) -> list[ToolSpec]:
    """Tools of fixtures/tools.json, in its order; all without names."""
    found = []
    for entry in json.loads(FIXTURE.read_text("utf-8"))["tools"]:
        function = entry["function"]
        name = function["name"]
        risk: Risk = "write" if name in WRITING else "run" if name in RUNNING else "read"
        if not names or name in names:
            found.append(spec(name, function["description"], function["parameters"], risk))
    return found


class Memory:
    """A `Record` that writes each entry as it would stand on the disk."""

    def __init__(self, task: str = "", entries: Sequence[Entry] = ()) -> None:
        self._entries = list(entries)
        if task:
            self._entries.append(Entry(0, 1000.0, Ordered(task)))

    @property
    def entries(self) -> Sequence[Entry]:
        return self._entries

    async def add(self, step: Step, tokens_in: int = 0, tokens_out: int = 0) -> Entry:
        made = Entry(len(self._entries), 1000.0 + len(self._entries), step, tokens_in, tokens_out)
        again = of_json(json.loads(json.dumps(to_json(made))))
        assert again == made
        self._entries.append(again)
        return again

    def of(self, kind: type[Any]) -> list[Any]:
        return [entry.step for entry in self._entries if isinstance(entry.step, kind)]


class Doing:
    """`Hands` without walls: functions by tool name. One that raises LookupError found nothing, any other error failed."""

    def __init__(self, **functions: Function) -> None:
        self._functions = functions
        self.done: list[tuple[str, str]] = []

    async def do(self, call: Called, context: Label) -> Returned:
        self.done.append((call.tool, call.arguments))
        try:
            result = self._functions[call.tool](**json.loads(call.arguments))
        except LookupError as problem:
            return Returned(call.call, "empty", str(problem) or "nothing found", "nothing_found", label=label("tool"))
        except Exception as problem:  # whatever a tool of a test raises is that tool's failure
            return Returned(call.call, "error", str(problem), "tool_failed", label=label("tool"))
        text = result if isinstance(result, str) else json.dumps(result)
        return Returned(call.call, "ok", text, label=label("tool"))
