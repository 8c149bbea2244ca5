"""A model's child behind the sandbox's walls: it answers, and what it could see from there.

Promises: the walls are looked at from outside, through the kernel's own account of the child (`/proc/PID`); the same looks find
the contrary of a child without walls.
Does not cover: whether such walls hold against attempts (`tests/chaos/test_sandbox_probes.py`).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homefire.engines.engine import EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.hardware import process_memory
from homefire.messages import ChatRequest, Message, Sampling
from homefire.paths import ModelName
from tests.chaos.test_sandbox_probes import pytestmark as pytestmark
from tests.conftest import RunningDaemon, alive, command_lines, wait_until


def space(pid: int | str, name: str) -> str:
    """Which name space a process is in."""
    return str(Path(f"/proc/{pid}/ns/{name}").readlink())


def looked_at(pid: int, home: Path) -> dict[str, Any]:
    """What the kernel says of a process and what lies in its view of files."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    networks = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    root = Path(f"/proc/{pid}/root")
    spaces = ("user", "mnt", "pid", "net", "ipc", "uts")
    return {
        "filter": status["Seccomp"].strip(),
        "no new privileges": status["NoNewPrivs"].strip(),
        "capabilities": int(status["CapEff"], 16),
        "networks": [line.split(":")[0].strip() for line in networks],
        "own spaces": {name for name in spaces if space(pid, name) != space("self", name)},
        "home": sorted(place.name for place in (root / home.relative_to("/")).iterdir()) if home else [],
        "etc": (root / "etc/passwd").exists(),
        "environment": re.findall(rb"HOMEFIRE_\w+", Path(f"/proc/{pid}/environ").read_bytes()),
    }  # fmt: skip


async def answered(engine: LlamaCpp) -> None:
    request = ChatRequest(ModelName("pilot"), (Message("user", "hello"),), Sampling(max_tokens=5), stream=True)
    answer = await engine.chat(request)
    try:
        assert [event async for event in answer.events()]
    finally:
        await answer.close()


@pytest.mark.parametrize("walls", [True, False])
def test_a_child_behind_walls(pilot_spec: EngineSpec, tmp_path: Path, walls: bool) -> None:
    (tmp_path / "keys").write_text("secret")

    async def whole() -> dict[str, Any]:
        engine = LlamaCpp(replace(pilot_spec, walls=walls))
        await engine.start()
        try:
            await answered(engine)
            pid = engine.pid
            assert pid is not None
            assert b"llamacpp_child" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[2]
            assert process_memory(pid) > 20e6, "the model's process, not bubblewrap's"
            return looked_at(pid, tmp_path)
        finally:
            await engine.stop()

    found = asyncio.run(whole())
    if walls:
        assert (found["filter"], found["no new privileges"], found["capabilities"]) == ("2", "1", 0)
        assert found["networks"] == ["lo"]
        assert found["own spaces"] == {"user", "mnt", "pid", "net", "ipc", "uts"}
        assert found["home"] == ["e.box"]
        assert not found["etc"]
    else:
        assert (found["filter"], found["own spaces"], found["etc"]) == ("0", set(), True)
        assert "keys" in found["home"]
    assert found["environment"] == [b"HOMEFIRE_CRASH_FILE"], "a place, no secret"
    assert [line for _, line in command_lines() if str(tmp_path) in line] == [], "nothing is left"


def test_a_death_inside_is_told_as_it_was(pilot_spec: EngineSpec) -> None:
    async def whole() -> str:
        engine = LlamaCpp(replace(pilot_spec, walls=True))
        await engine.start()
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGSEGV)
        return await asyncio.wait_for(engine.wait(), 20)

    assert asyncio.run(whole()) == "was killed by SIGSEGV"


@pytest.mark.parametrize("setting", ["1", "0"])
def test_the_setting(new_daemon: Callable[..., RunningDaemon], setting: str) -> None:
    daemon = new_daemon(HOMEFIRE_SANDBOX_MODELS=setting).start()
    assert daemon.cli("load", "pilot").returncode == 0
    (pid,) = daemon.engine_pids()
    own = space(pid, "net") != space("self", "net")
    assert own == (setting == "1")
    (row,) = [row for row in json.loads(daemon.cli("ps", "--json").stdout)["models"] if row["name"] == "pilot"]
    assert row["pid"] == pid, "`homefire ps` names the model's own process"
    daemon.kill()
    wait_until(lambda: not alive(pid), 5)


def test_parts_of_a_split_model_are_reached_through_their_links(pilot_spec: EngineSpec, tmp_path: Path) -> None:
    folder = tmp_path / "splits"
    folder.mkdir()
    link = folder / "m-00001-of-00001.gguf"
    link.symlink_to(pilot_spec.path)

    async def whole() -> None:
        engine = LlamaCpp(replace(pilot_spec, path=link, walls=True))
        await engine.start()
        try:
            await answered(engine)
        finally:
            await engine.stop()

    asyncio.run(whole())
