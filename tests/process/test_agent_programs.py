"""run_code and run_shell behind real walls.

Promises: what runs works in the run's folder, reaches no network, and its exit code is told. Skipped without walls of
tier 1.
Does not cover: the walls themselves (`tests/chaos/test_sandbox_probes.py`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from homefire.agent.tool import Context
from homefire.agent.tools.programs import PYTHON, program_tools
from homefire.safety.taint import label
from homefire.sandbox.choose import candidates, choose
from homefire.sandbox.sandbox import Limits


def test_programs_run_in_the_runs_folder_and_nowhere_else(tmp_path: Path) -> None:
    async def whole() -> None:
        sandbox = (await choose(candidates())).sandbox
        if sandbox.facts().tier != 1 or not Path(PYTHON).exists():
            pytest.skip("no walls of tier 1, or no system Python, on this machine")
        code, shell = program_tools(lambda: sandbox, Limits())
        here = Context("k", "r", "c", tmp_path, label("person"))
        came = await code.run({"code": "open('made', 'w').write('x'); print(6 * 7)"}, here)
        assert (came.status, came.data) == ("ok", b"42\n")
        assert (tmp_path / "made").read_text() == "x"
        assert (await shell.run({"command": "cat made; exit 3"}, here)).code == "exit_code"
        reach = "import socket; socket.create_connection(('1.1.1.1', 53), 1)"
        assert (await code.run({"code": reach}, here)).status == "error"
        assert (await shell.run({"command": "true"}, here)).status == "empty"

    asyncio.run(whole())
