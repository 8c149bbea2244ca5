"""What the tools need of other rooms, and all of them made of it.

| tool                                  | risk       | gives         | idempotent | beside the default          |
|---------------------------------------|------------|---------------|------------|-----------------------------|
| respond, calculate, convert_units, add_days, current_time, ask_person, system_status, process_status: read, system, yes |
| set_timer, add_note                   | write      | system        | yes        | the id of the call is theirs |
| list_files, read_file, search_files   | read       | file, private | yes        | own folder, granted folders |
| write_file, ingest                    | write      | system        | yes        | own folder, granted folders |
| search_knowledge                      | read       | file, private | yes        |                             |
| run_code, run_shell                   | run        | tool          | no         | sandbox only                |
| web_search, web_fetch                 | read, out  | web           | yes        | off until granted           |
| load_model, start_process             | admin      | system        | yes, no    | ask every time              |
| spawn_agent                           | run        | what it saw   | yes        | its id is made of the call's |

Promises: a tool whose room is missing says so (`not_available`) instead of being silently gone.
Does not cover: memory tools, MCP tools: the daemon puts them beside these.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from homefire.agent.effects import ASK_PERSON
from homefire.agent.timers import Timers
from homefire.agent.tool import Context, Outcome, Tool
from homefire.agent.tools.calculate import calculate
from homefire.agent.tools.clock import days_tools, timer_tools
from homefire.agent.tools.files import file_tools
from homefire.agent.tools.plain import PlainTool, declared, failed, told
from homefire.agent.tools.programs import Walls, program_tools
from homefire.agent.tools.units import convert_units
from homefire.agent.tools.web import Web, web_tools
from homefire.safety.taint import Label
from homefire.sandbox.sandbox import Limits
from homefire.store import RunRow, RunRows

CHILD_SECONDS = 3600.0
INGEST_SECONDS = 600.0


class KnowledgeDoor(Protocol):
    """Knowledge as a tool asks it."""

    async def search(self, query: str) -> list[dict[str, Any]]:
        """Excerpts, best first: source and text."""
        ...

    async def ingest(self, path: Path) -> dict[str, Any]:
        """Begins to read a folder or file; the same path again changes nothing."""
        ...


class Processes(Protocol):
    """Long processes, once there is a room for them."""

    async def start(self, name: str, steps: int, key: str, call: str) -> dict[str, Any]: ...

    async def status(self, name: str, key: str) -> dict[str, Any] | None: ...


class Spawn(Protocol):
    """Runs as a run asks them (`runs.py`)."""

    async def spawn(self, key: str, parent: str, id_: str, *, role: str, task: str, source: Label) -> RunRow: ...

    async def finished(self, key: str, run: str) -> tuple[RunRow, Label]: ...


@dataclass(slots=True)
class Around:
    """What `all_tools` needs. None: that room is not there, and its tools say so. `agents` may be set later, before a run."""

    rows: RunRows
    timers: Timers
    knowledge: Callable[[], KnowledgeDoor | None] = lambda: None
    walls: Walls = lambda: None
    limits: Limits = field(default_factory=Limits)
    status: Callable[[], Awaitable[dict[str, Any]]] | None = None
    load_model: Callable[[str], Awaitable[None]] | None = None
    web: Web = field(default_factory=Web)
    search_url: str = ""
    processes: Processes | None = None
    agents: Spawn | None = None
    now: Callable[[], float] = time.time


def all_tools(around: Around) -> list[Tool]:
    """Every tool of `tools.json` but remember, recall and forget."""
    made: list[PlainTool] = [
        calculate(), convert_units(), *days_tools(around.now), *timer_tools(around.rows, around.timers, around.now),
        *file_tools(), *program_tools(around.walls, around.limits), *web_tools(around.web, around.search_url),
        *_talking(), *_knowledge(around), *_machine(around), *_processes(around), _agent(around),
    ]  # fmt: skip
    return list(made)


def _missing(what: str) -> Outcome:
    return failed("not_available", f"{what} is not available here.")


def _talking() -> list[PlainTool]:
    async def respond(arguments: Mapping[str, Any], context: Context) -> Outcome:
        return Outcome("ok", arguments["text"], label=context.label.through("model"))

    async def ask(arguments: Mapping[str, Any], context: Context) -> Outcome:
        return failed("not_available", "Nobody can be asked here.")  # `Effects` asks; this is reached by no other way

    return [PlainTool(declared("respond", "read"), respond), PlainTool(declared(ASK_PERSON, "read"), ask)]


def _knowledge(around: Around) -> list[PlainTool]:
    async def search(arguments: Mapping[str, Any], context: Context) -> Outcome:
        if (room := around.knowledge()) is None:
            return _missing("Knowledge (the extra 'knowledge')")
        found = await room.search(arguments["query"])
        return Outcome("ok", told(found)) if found else Outcome("empty", "The documents say nothing about that.")

    async def ingest(arguments: Mapping[str, Any], context: Context) -> Outcome:
        if (room := around.knowledge()) is None:
            return _missing("Knowledge (the extra 'knowledge')")
        return Outcome("ok", told(await room.ingest(Path(arguments["path"]))))

    return [
        PlainTool(declared("search_knowledge", "read", source="file", private=True), search),
        PlainTool(declared("ingest", "write", paths=("path",)), ingest, seconds=INGEST_SECONDS),
    ]


def _machine(around: Around) -> list[PlainTool]:
    async def status(arguments: Mapping[str, Any], context: Context) -> Outcome:
        return _missing("The machine's state") if around.status is None else Outcome("ok", told(await around.status()))

    async def load(arguments: Mapping[str, Any], context: Context) -> Outcome:
        if around.load_model is None:
            return _missing("Loading models")
        await around.load_model(arguments["name"])
        return Outcome("ok", told({"ok": True, "model": arguments["name"]}))

    return [
        PlainTool(declared("system_status", "read"), status),
        PlainTool(declared("load_model", "admin"), load, seconds=600.0),
    ]


def _processes(around: Around) -> list[PlainTool]:
    async def start(arguments: Mapping[str, Any], context: Context) -> Outcome:
        if around.processes is None:
            return _missing("Starting long processes")
        call = f"{context.run}:{context.call}"
        return Outcome(
            "ok", told(await around.processes.start(arguments["name"], int(arguments["steps"]), context.key, call))
        )

    async def status(arguments: Mapping[str, Any], context: Context) -> Outcome:
        if around.processes is None:
            return _missing("Long processes")
        found = await around.processes.status(arguments["name"], context.key)
        return Outcome("ok", told(found)) if found else Outcome("empty", "There is no process of that name.")

    return [
        PlainTool(declared("start_process", "admin"), start, idempotent=False),
        PlainTool(declared("process_status", "read"), status),
    ]


def child_id(run: str, call: str) -> str:
    """The id of the run that a call begins: the same when the call is done again."""
    return "r" + hashlib.sha256(f"{run}:{call}".encode()).hexdigest()[:16]


def _agent(around: Around) -> PlainTool:
    async def spawn(arguments: Mapping[str, Any], context: Context) -> Outcome:
        if around.agents is None:
            return _missing("Another agent")
        role, task = arguments["role"].strip()[:200], arguments["task"]
        source = context.label.through("model")
        row = await around.agents.spawn(
            context.key, context.run, child_id(context.run, context.call), role=role, task=task, source=source
        )
        row, seen = await around.agents.finished(context.key, row.id)
        if row.ending == "answered":
            return Outcome("ok", row.answer, label=seen)
        return Outcome(
            "error", f"The other agent did not answer ({row.ending or row.state}): {row.answer}", "agent_failed", seen
        )

    return PlainTool(declared("spawn_agent", "run"), spawn, seconds=CHILD_SECONDS)
