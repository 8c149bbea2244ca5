"""Our own tools for other programs: what a key may use, and one call of it, over the same boundary and effects as a run's.

Promises: a caller is offered what is granted to its key and nothing else, in one order; a call that a person has to decide about
is not done and says which command approves it, once; the caller's words count as untrusted: nobody knows what its model read.
Does not cover: the protocol (`server/mcp_door.py`). No journal is kept: whoever calls learns what came of it, or that the
connection broke.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from homefire.agent.effects import EffectRules, Effects
from homefire.agent.step import Asked, Called, Decided, Entry, Returned, Step
from homefire.agent.tool import Tool
from homefire.paths import make_private_folder
from homefire.safety.boundary import Boundary, ToolSpec
from homefire.safety.taint import label

# What makes sense in a run only: they answer or ask a person there, or begin others.
IN_RUNS_ONLY = frozenset({"respond", "ask_person", "spawn_agent", "set_timer"})
# The boundary binds approvals to a key and a run: all calls of one key are one.
RUN = "mcp"


class Own:
    """See the module's text. `ready` makes a key's default grants and gives the names that are granted to it now."""

    def __init__(
        self,
        boundary: Boundary,
        tools: Callable[[], Mapping[str, Tool]],
        ready: Callable[[str], Awaitable[frozenset[str]]],
        folder: Path,
        *,
        seconds: float = 60.0,
    ) -> None:
        self._boundary = boundary
        self._tools = tools
        self._ready = ready
        self._folder = folder
        self._seconds = seconds

    async def offered(self, key: str, but: frozenset[str] = frozenset()) -> list[ToolSpec]:
        """What this key may use, by name, without those of `but`."""
        granted = await self._ready(key)
        return [
            tool.spec
            for name, tool in sorted(self._tools().items())
            if name in granted and name not in IN_RUNS_ONLY and name not in but
        ]

    async def call(self, key: str, name: str, arguments: str, but: frozenset[str] = frozenset()) -> Returned:
        """Does one call, if it is offered. `arguments`: its JSON. Raises what the disk raises."""
        offered = {spec.name for spec in await self.offered(key, but)}
        if name not in offered:
            said = f"There is no tool '{name[:80]}' for this key."
            return Returned("", "refused", said, "unknown_tool", label=label("system"))
        folder = self._folder / "own" / hashlib.sha256(key.encode()).hexdigest()[:16]
        make_private_folder(folder)
        record, called = _Memory(), Called(f"m{secrets.token_hex(8)}", name, arguments)
        effects = Effects(
            self._boundary, self._tools(), record, _Nobody(), key=key, run=RUN, folder=folder,
            rules=EffectRules(folder / ".results", self._seconds, asks_again=0.0, patience=-1.0),
        )  # fmt: skip
        found = await effects.do(called, label("tool"))
        asked = next((entry.step for entry in record.entries if isinstance(entry.step, Asked)), None)
        if found.status == "refused" and asked is not None:
            said = (
                f"A person has to approve this first: {asked.reason} Approve it with: homefire mcp approve --call "
                f"{asked.approval} and call it again with the same arguments."
            )
            return Returned(called.call, "refused", said, "approval_needed", label=label("system"))
        return found


class _Nobody:
    """Nobody waits here for an answer: it is given by command, and the call is made again."""

    async def decided(self, call: str, seconds: float) -> Decided | None:
        return None


class _Memory:
    """`Record` of one call."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def add(self, step: Step, tokens_in: int = 0, tokens_out: int = 0) -> Entry:
        entry = Entry(len(self.entries), time.time(), step, tokens_in, tokens_out)
        self.entries.append(entry)
        return entry
