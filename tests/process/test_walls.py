"""A model's child behind the sandbox's walls, and one that makes a model: they do their work, and what they could see from there.

Promises: the walls are looked at from outside, through the kernel's own account of the child (`/proc/PID`); the same looks find
the contrary of a child without walls.
Does not cover: whether such walls hold against attempts (`tests/chaos/test_sandbox_probes.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import re
import signal
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homefire.engines.engine import EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.errors import BadModelFile
from homefire.hardware import process_memory
from homefire.messages import ChatRequest, Message, Sampling
from homefire.models import quality
from homefire.models.convert import convert
from homefire.models.dry_run import dry_run
from homefire.models.fit import Load
from homefire.models.gguf_writer import Tensor, text, u32, write
from homefire.models.quantize import quantize
from homefire.paths import ModelName
from tests.chaos.test_sandbox_probes import pytestmark as pytestmark
from tests.conftest import ROOT, RunningDaemon, alive, command_lines, wait_until
from tests.null import safetensors_folder as tiny


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
    seen: set[str] = set()
    with ThreadPoolExecutor(1) as beside:
        made = beside.submit(daemon.cli, "models", "convert", str(ROOT / "pilot" / "weights"), "--name", "made")
        while not made.done():
            seen |= _networks_of("convert_child")
    assert made.result().returncode == 0
    assert seen and (seen != {space("self", "net")}) == (setting == "1")
    daemon.kill()
    wait_until(lambda: not alive(pid), 5)


def _networks_of(module: str) -> set[str]:
    """The networks of the children that run a module now; bubblewrap's own processes do not count."""
    found = set[str]()
    for pid, line in command_lines():
        with contextlib.suppress(OSError):  # it has just ended
            if module in line and "python" in Path(f"/proc/{pid}/exe").readlink().name:
                found.add(space(pid, "net"))
    return found


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


@pytest.mark.parametrize("walls", [True, False])
def test_what_a_quantizing_child_sees(tmp_path: Path, walls: bool) -> None:
    source, target = tmp_path / "models" / "large", tmp_path / "made" / "small"
    for folder in (source.parent, target.parent):
        folder.mkdir()
    (tmp_path / "keys").write_text("secret")
    (source.parent / "other").write_text("a model of no concern")
    _large(source)
    found: dict[str, Any] = {}

    def look(*_: int) -> None:
        if found:
            return
        pids = [pid for pid, line in command_lines() if "quantize_child" in line and str(source) in line]
        pid = max(pids, key=lambda pid: (len(_parents(pid)), pid))  # bubblewrap's two processes name it as well
        os.kill(pid, signal.SIGSTOP)
        try:
            found.update(looked_at(pid, tmp_path))
            root = Path(f"/proc/{pid}/root")
            found["models"] = sorted(place.name for place in (root / str(source.parent)[1:]).iterdir())
            found["made"] = [place.name for place in (root / str(target.parent)[1:]).rglob("*") if place.is_file()]
            found["mounts"] = {line.split()[4]: line.split()[5] for line in Path(f"/proc/{pid}/mountinfo").open()}
            found["input"] = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:3]
            found["descriptors"] = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
        finally:
            os.kill(pid, signal.SIGCONT)

    asyncio.run(quantize(source, target, "Q4_K_M", threads=1, progress=look, walls=walls))
    assert target.is_file() and [place.name for place in target.parent.iterdir()] == ["small"]
    assert target.stat().st_mode & 0o777 == 0o600
    assert found["input"] == [b"-m", b"homefire.models.quantize_child"]
    assert found["made"] == ["part"] if walls else len(found["made"]) == 1
    if not walls:
        assert (found["filter"], found["own spaces"], found["etc"]) == ("0", set(), True)
        assert (found["home"], found["models"]) == (["keys", "made", "models"], ["large", "other"])
        return
    assert (found["filter"], found["no new privileges"], found["capabilities"]) == ("2", "1", 0)
    assert found["networks"] == ["lo"]
    assert found["own spaces"] == {"user", "mnt", "pid", "net", "ipc", "uts"}
    assert (found["home"], found["models"], found["etc"]) == (["made", "models"], ["large"], False)
    assert found["environment"] == []
    assert not any("filter" in each for each in found["descriptors"]), "the filter's own file stays outside"
    options = {place: set(said.split(",")) for place, said in found["mounts"].items()}
    assert "ro" in options[str(source)]
    writable = {place for place, said in options.items() if "rw" in said and place.startswith(str(tmp_path))}
    assert len(writable) == 1 and Path(writable.pop()).parent == target.parent, "its box alone"


def _large(path: Path) -> None:
    """A GGUF whose quantization takes long enough to be looked at: 8 million values."""
    shape = (4096, 2048)
    known = {"general.architecture": text("llama"), "llama.block_count": u32(1)}
    row = struct.pack("<4096f", *(0.5 - at % 7 / 7 for at in range(4096)))
    write(path, known, [Tensor("blk.0.ffn_up.weight", shape, "F32")], lambda tensor: [row] * shape[1])


def _parents(pid: int) -> list[int]:
    found: list[int] = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


def test_walls_change_no_byte_and_no_figure(tmp_path: Path) -> None:
    """A folder of links, as caches of downloads have it, converted, quantized, compared and tried out on both sides of them."""
    size = tiny.Size(width=256, layers=2, heads=4, key_heads=2, head=64, hidden=256)
    config = tiny.decoder_config("LlamaForCausalLM", size)
    weights = tiny.decoder_weights("LlamaForCausalLM", size, 0.1)
    kept = tiny.write_folder(tmp_path / "kept", config, tiny.bpe("qwen2"), weights, "F16")
    folder = tmp_path / "links"
    folder.mkdir()
    for file in kept.iterdir():
        (folder / file.name).symlink_to(file)

    async def made(walls: bool) -> tuple[bytes, bytes, dict[str, Any], list[Any]]:
        place = tmp_path / str(walls)
        place.mkdir()
        await convert(folder, place / "f16", name="m", walls=walls)
        await quantize(place / "f16", place / "q4", "Q4_K_M", threads=1, walls=walls)
        lost = await quality.compare(place / "f16", place / "q4", "chat", lambda *_: None, walls=walls)
        assert sorted(each.name for each in place.iterdir()) == ["f16", "q4"]
        tried = dry_run(place / "f16", [Load(512)])
        return (place / "f16").read_bytes(), (place / "q4").read_bytes(), lost, tried

    assert asyncio.run(made(True)) == asyncio.run(made(False))


def test_an_error_inside_is_told_as_outside(tmp_path: Path) -> None:
    source = tmp_path / "x"
    row = struct.pack("<256f", *[math.inf] * 256)
    known = {"general.architecture": text("llama"), "llama.block_count": u32(1)}
    write(source, known, [Tensor("blk.0.ffn_up.weight", (256, 2), "F32")], lambda tensor: [row, row])
    said = set()
    for walls in (True, False):
        with pytest.raises(BadModelFile) as caught:
            asyncio.run(quantize(source, tmp_path / "y", "Q8_0", walls=walls))
        said.add((caught.value.message, caught.value.next_step))
    assert len(said) == 1 and [each.name for each in tmp_path.iterdir()] == ["x"]
