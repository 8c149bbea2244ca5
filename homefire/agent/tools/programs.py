"""Programs: Python code and shell commands, in the sandbox or not at all.

Promises: nothing runs where no walls of tier 1 hold (`sandbox_unavailable`); what runs sees the run's own folder and no network;
its limits are those of the settings `sandbox_*`. An exit code other than 0 is an error.
Does not cover: whether it may run (`safety/boundary.py`; it asks each time unless a person said otherwise). It is not idempotent:
after a crash in the middle its outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from homefire.agent.tool import Context, Outcome
from homefire.agent.tools.plain import PlainTool, declared
from homefire.errors import SandboxUnavailable
from homefire.sandbox.sandbox import Job, Limits, Sandbox
from homefire.sandbox.sandbox import Outcome as Ran

GRACE_SECONDS = 10.0
PYTHON, SHELL = "/usr/bin/python3", "/bin/sh"
Walls = Callable[[], Sandbox | None]


def program_tools(walls: Walls, limits: Limits) -> list[PlainTool]:
    """run_code, run_shell."""

    async def run(argv: tuple[str, ...], context: Context) -> Outcome:
        sandbox = walls()
        if sandbox is None or sandbox.facts().tier != 1:
            raise SandboxUnavailable("Programs are not run here: no sandbox holds on this machine.")
        if not Path(argv[0]).exists():
            raise SandboxUnavailable(f"There is no {argv[0]} on this machine.")
        return told_of(await sandbox.run(Job(argv, folder=context.folder, limits=limits)))

    async def run_code(arguments: Mapping[str, Any], context: Context) -> Outcome:
        return await run((PYTHON, "-I", "-c", arguments["code"]), context)

    async def run_shell(arguments: Mapping[str, Any], context: Context) -> Outcome:
        return await run((SHELL, "-c", arguments["command"]), context)

    seconds = limits.wall_seconds + GRACE_SECONDS
    return [
        PlainTool(declared("run_code", "run", source="tool"), run_code, idempotent=False, seconds=seconds),
        PlainTool(declared("run_shell", "run", source="tool"), run_shell, idempotent=False, seconds=seconds),
    ]


def told_of(ran: Ran) -> Outcome:
    """What a model is told of a job."""
    if ran.exit_code == 0 and not ran.stderr and not ran.stdout_truncated:
        return Outcome("ok", ran.stdout) if ran.stdout.strip() else Outcome("empty", "It ended well and wrote nothing.")
    lines = [ran.stdout]
    if ran.stdout_truncated:
        lines.append(b"[it wrote more than is kept]")
    if ran.stderr:
        lines += [b"[error output]", ran.stderr]
    if ran.exit_code == 0:
        return Outcome("ok", b"\n".join(lines))
    why = f"a limit ended it: {ran.ended_by}" if ran.ended_by else f"exit code {ran.exit_code}, signal {ran.signal}"
    lines.append(f"[{why}]".encode())
    return Outcome("error", b"\n".join(lines), "limit_reached" if ran.ended_by else "exit_code")
