"""The socket `Tool`: what an agent can do beside writing.

| call  | blocks                                   | never                                                    |
|-------|------------------------------------------|----------------------------------------------------------|
| spec  | no                                       | changes while it is granted (its pin would no longer fit) |
| run() | until it is done, at most `context.seconds` (who calls cancels it then) | decides whether it may run |

Promises: a tool that is run was let through by the boundary, with the arguments that the boundary read; what it raises as
HomefireError is a result with that code, never the end of a run.
Does not cover: which tools there are (`tools/`), what comes of a result that floods, hangs or is binary (`effects.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from homefire.safety.boundary import ToolSpec
from homefire.safety.taint import Label


@dataclass(frozen=True, slots=True)
class Context:
    """For whom a tool runs. `folder` is the run's own; `call` is this call's id, the same again when it is repeated after a
    crash; `label` is that of everything the model had in front of it; `seconds` it may take."""

    key: str
    run: str
    call: str
    folder: Path
    label: Label
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool gives. `data` may be anything that came, also bytes that are no text; `label`: None for the tool's own."""

    status: Literal["ok", "empty", "error"]
    data: str | bytes
    code: str = ""
    label: Label | None = None


class Tool(Protocol):
    """See the table above. `idempotent`: after a crash in the middle it may be run again with the same call id, and the effect
    is there once."""

    @property
    def spec(self) -> ToolSpec: ...

    @property
    def idempotent(self) -> bool: ...

    async def run(self, arguments: Mapping[str, Any], context: Context) -> Outcome: ...
