"""Carries a call out. The one way from a call to an effect.

| what the record says of the call          | what is done                                                              |
|-------------------------------------------|---------------------------------------------------------------------------|
| nothing                                   | boundary; asked if it says so; `Begun` on the disk; the tool; a result     |
| Asked, and no Decided                     | the boundary again, and a person is asked again                            |
| Decided: no                               | `refused`                                                                 |
| Decided: yes                              | the boundary again, which counts the approval once                         |
| Begun, no Returned, idempotent            | the boundary again, then the tool again under the same call id             |
| Begun, no Returned, not idempotent        | nothing: `unknown`, `effect_unknown`                                       |
| Returned                                  | nothing: `cached`, with what it gave                                       |

Promises: `Begun` is on the disk before an effect begins; a tool that hangs, floods, raises, gives bytes or nonsense is a result,
never the end of a run; an effect that is not idempotent and was broken off is `unknown`, never an error that invites to do it
again; what a person was asked about is exactly what is done.
Does not cover: what may be done (`safety/boundary.py`), the way in which a tool does it (`tools/`). A tool that ignores its
cancellation goes on by itself; its result is not used.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from homefire.agent.needs import Record
from homefire.agent.record import of_call
from homefire.agent.result import show
from homefire.agent.step import Asked, Begun, Called, Decided, Returned, Status, Step
from homefire.agent.tool import Context, Outcome, Tool
from homefire.errors import HomefireError
from homefire.paths import from_os, make_private_folder
from homefire.safety.boundary import Boundary, Proposal, Verdict
from homefire.safety.taint import Label, label

log = logging.getLogger("homefire.agent")

ASK_PERSON = "ask_person"
GRACE_SECONDS = 2.0
_STATUS: Mapping[str, Status] = {"ok": "ok", "empty": "empty", "error": "error"}


class Approvals(Protocol):
    """Where a person's answer comes from (`runs.py`); it is in the record before this returns."""

    async def decided(self, call: str, seconds: float) -> Decided | None:
        """What the person said of a call that is asked about; None after so many seconds."""
        ...


@dataclass(frozen=True, slots=True)
class EffectRules:
    """`seconds` a tool may take that names no other time; a question is asked again after `asks_again`, and given up after
    `patience` seconds; `results` is where long results are kept."""

    results: Path
    seconds: float = 60.0
    asks_again: float = 590.0
    patience: float = 86_400.0


class Effects:
    """`Hands` of one run."""

    def __init__(
        self,
        boundary: Boundary,
        tools: Mapping[str, Tool],
        record: Record,
        approvals: Approvals,
        *,
        key: str,
        run: str,
        folder: Path,
        rules: EffectRules,
    ) -> None:
        self._boundary = boundary
        self._tools = tools
        self._record = record
        self._approvals = approvals
        self._key = key
        self._run = run
        self._folder = folder
        self._rules = rules

    async def do(self, call: Called, label: Label) -> Returned:
        """What came of it, always; waits for a person where one has to decide. Raises nothing but cancellation, and errors of the
        disk."""
        entry, behind = of_call(self._record.entries, call.call)
        number = entry.n if entry is not None else len(self._record.entries)
        for step in reversed(behind):
            if isinstance(step, Returned):
                return replace(step, status="cached" if step.status in ("ok", "empty") else step.status)
        tool = self._tools.get(call.tool)
        begun = next((step for step in reversed(behind) if isinstance(step, Begun)), None)
        if begun is not None and not (begun.idempotent and tool is not None and tool.idempotent):
            return _unknown(
                call, "Homefire ended while this was being done. It may have been done or not; ask a person to look."
            )
        decided = next((step for step in reversed(behind) if isinstance(step, Decided)), None)
        verdict = await self._allowed(call, label, decided)
        if isinstance(verdict, Returned):
            return verdict if begun is None else _unknown(call, f"It had begun before a crash, and: {verdict.text}")
        if tool is None:  # the boundary knows it, the run does not have it
            return _refused(call, "unknown_tool", f"There is no tool '{call.tool}' here.")
        if call.tool == ASK_PERSON:
            return await self._ask_person(call, verdict, behind)
        pure = tool.idempotent and tool.spec.risk == "read" and not tool.spec.leads_out
        if not pure and begun is None:
            await self._record.add(Begun(call.call, verdict.digest, tool.idempotent))
        return await self._run_tool(tool, call, verdict, label, number)

    async def _allowed(self, call: Called, label: Label, decided: Decided | None) -> Verdict | Returned:
        """The verdict that allows it, or the result that says why not."""
        ends = time.monotonic() + self._rules.patience
        while True:
            if decided is not None and not decided.yes and call.tool != ASK_PERSON:
                said = f" The person says: {decided.text}" if decided.text else ""
                return _refused(call, "denied", f"The person said no to this. Do not try it again.{said}")
            since = len(self._record.entries)
            verdict = await self._boundary.decide(
                Proposal(self._key, self._run, call.tool, call.arguments, label, self._folder)
            )
            if verdict.outcome == "allow":
                return verdict
            if verdict.outcome == "refuse":
                return _refused(call, verdict.code, verdict.reason)
            if (decided := self._said(call.call, since)) is not None:
                continue  # to the question that stood there from before a crash, while the boundary was asked
            await self._record.add(Asked(call.call, verdict.approval, verdict.shown, verdict.reason))
            decided = self._said(call.call, since) or await self._approvals.decided(call.call, self._rules.asks_again)
            if decided is None and time.monotonic() > ends:
                decided = Decided(call.call, False, "Nobody answered in time.")
                await self._record.add(decided)

    def _said(self, call: str, since: int) -> Decided | None:
        """What a person said of a call since that entry: nobody was waiting for it yet."""
        found = [entry.step for entry in self._record.entries[since:] if isinstance(entry.step, Decided)]
        return next((step for step in reversed(found) if step.call == call), None)

    async def _ask_person(self, call: Called, verdict: Verdict, behind: list[Step]) -> Returned:
        question = str(verdict.arguments.get("question", ""))
        asked = any(isinstance(step, Asked) and not step.approval for step in behind)
        decided = next((step for step in reversed(behind) if isinstance(step, Decided)), None) if asked else None
        if decided is None:
            since = len(self._record.entries)
            if not asked:
                await self._record.add(Asked(call.call, "", question, "The agent has a question."))
            decided = self._said(call.call, since) or await self._approvals.decided(call.call, self._rules.patience)
        if decided is None:
            return _refused(call, "not_answered", "Nobody answered in time.")
        text = decided.text.strip() or ("yes" if decided.yes else "no")
        return Returned(call.call, "ok", text, size=len(text.encode()), label=label("person"))

    async def _run_tool(self, tool: Tool, call: Called, verdict: Verdict, fed: Label, number: int) -> Returned:
        seconds = float(getattr(tool, "seconds", self._rules.seconds))
        context = Context(self._key, self._run, call.call, self._folder, fed, seconds)
        began = time.monotonic()
        outcome = await _outcome(tool, verdict, context)
        took = round(time.monotonic() - began, 4)
        gave = (outcome.label or tool.spec.gives).join(fed.through("model"))
        if outcome.status == "unknown":
            return replace(_unknown(call, str(outcome.data)), code=outcome.code, seconds=took, label=gave)
        handle = f"step:{self._run}:{number}"
        shown = await asyncio.to_thread(show, outcome.data, handle)
        if shown.whole is not None:
            await asyncio.to_thread(keep, self._rules.results, number, shown.whole)
        status = _STATUS[outcome.status]
        if status == "ok" and not shown.text.strip():
            status = "empty"  # "it worked" and nothing came: no success of the step
        text = shown.text if shown.text.strip() else "There was nothing."
        return Returned(
            call.call, status, text, outcome.code, handle if shown.whole is not None else "", shown.size, took, gave
        )


@dataclass(frozen=True, slots=True)
class _Came:
    """An Outcome, or `unknown`."""

    status: str
    data: str | bytes
    code: str = ""
    label: Label | None = None


async def _outcome(tool: Tool, verdict: Verdict, context: Context) -> _Came:
    name = tool.spec.name
    task = asyncio.ensure_future(tool.run(verdict.arguments, context))
    try:
        done, _ = await asyncio.wait({task}, timeout=context.seconds)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE_SECONDS)
        raise
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE_SECONDS)
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        said = f"'{name}' did not end in {context.seconds:g} seconds and was broken off."
        if tool.idempotent:
            return _Came("error", said, "tool_timeout")
        return _Came("unknown", said + " What it did may be done or not; ask a person to look.", "tool_timeout")
    try:
        found = task.result()
    except HomefireError as problem:
        return _Came("error", f"{problem.message} {problem.next_step}".strip(), problem.code)
    except Exception as problem:  # a tool is somebody's plug: whatever it raises is its result, never the end of a run
        log.warning("the tool '%s' failed: %r", name, problem)
        return _Came("error", f"'{name}' failed: {type(problem).__name__}.", "tool_failed")
    if not isinstance(found, Outcome) or found.status not in _STATUS or not isinstance(found.data, str | bytes):
        return _Came("error", f"'{name}' gave nothing that can be read.", "tool_garbled")
    code = found.code if found.status != "error" or found.code else "tool_failed"
    return _Came(found.status, found.data, code, found.label)


def keep(folder: Path, number: int, whole: bytes) -> None:
    """Keeps a whole result under its handle's number. Raises DiskFull, HomeNotWritable."""
    make_private_folder(folder)
    part = folder / f"{number}.new"
    try:
        part.write_bytes(whole)
        part.replace(folder / str(number))
    except OSError as problem:
        part.unlink(missing_ok=True)
        raise from_os(problem, folder) from None


def kept(folder: Path, number: int) -> bytes | None:
    """The whole result of a handle's number, None if there is none."""
    try:
        return (folder / str(int(number))).read_bytes()
    except OSError:
        return None


def _refused(call: Called, code: str, reason: str) -> Returned:
    return Returned(call.call, "refused", reason, code, size=len(reason.encode()), label=label("system"))


def _unknown(call: Called, reason: str) -> Returned:
    return Returned(call.call, "unknown", reason, "effect_unknown", size=len(reason.encode()), label=label("system"))
