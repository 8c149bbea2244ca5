"""`homefire engine` about builds, and the engine's part of `homefire setup`, against the real application in this process.

Promises: what is missing is said with the way to get it; --yes begins only what can be built; --offline begins nothing.
Does not cover: a build (`tests/process/test_engine_build.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from homefire.cli import builds as verbs
from homefire.hardware import Gpu
from homefire.hardware.toolchain import Look
from tests.null.rig import MACHINE
from tests.null.test_cli_models import BOTH, cli, typed

__all__ = ["cli"]
GPU = replace(MACHINE, gpus=(Gpu("nvidia", "A card", 8 << 30, 7 << 30),))
KIT = ("g++", "cmake", "ninja", "nvcc")
REPORT = {
    "agreement": {"main": {"same": 0.9957, "places": 234}},
    "rates": {
        "model": "main",
        "decode": {"wheel": 10.0, "native": 12.2, "ratio": 1.22},
        "prefill": {"wheel": 50.0, "native": 71.5, "ratio": 1.43},
    },
    "checks": [{"name": "start", "ok": True, "said": ""}, {"name": "tools", "ok": False, "said": "it ended no call"}],
}
BUILD = {"name": "cpu-1", "backend": "cpu", "source": "llama-cpp-python 1", "size": 15_156_064, "runs_here": True,
         "seconds": 394.0, "compiler": "/usr/bin/c++", "trial": REPORT}  # fmt: skip


def look(*programs: str) -> Look:
    return Look(lambda name: f"/usr/bin/{name}" if name in programs else None)


def test_a_list_without_builds_and_one_clear_error(cli: Callable[..., Any]) -> None:
    run = cli(look=look("apt-get"))
    status, out, _ = run("engine", "list")
    assert (status, out.splitlines()[0]) == (0, "wheel  in use")
    assert "homefire engine build --use" in out
    found = json.loads(run("engine", "list", "--json")[1])
    assert (found["engines"], found["native"]["in_use"], found["native"]["builds"]) == ([], "wheel", [])
    status, _, err = run("engine", "build")
    assert status == 1
    assert "needs a C++ compiler" in err
    assert "sudo apt-get install build-essential  [build_tools_missing]" in err
    assert json.loads(run("engine", "use", "cpu-9", "--json")[1])["error"]["code"] == "unknown_build"
    assert "no native build" in run("engine", "bench")[2].lower()
    assert run("engine", "cancel")[1] == "No job is under way.\n"
    assert run("engine", "use", "wheel")[1] == "In use: wheel.\n"
    with pytest.raises(SystemExit):
        run("engine", "build", "--backend", "quantum")


def test_what_a_list_says_of_builds() -> None:
    found = {"in_use": "cpu-1", "rolled_back": "", "builds": [BUILD], "unfinished": ["cuda-1"], "job": None}
    lines = verbs.lines(found)
    assert lines[:2] == ["wheel", "cpu-1  cpu  llama-cpp-python 1  15.2 MB  in use"]
    assert "99.6 % of 234 places" in lines[2]
    assert "12.2 tokens/s, the wheel 10.0 (1.22)" in lines[3]
    assert "failed: tools (it ended no call)" in lines[5]
    assert lines[-1] == "cuda-1  unfinished; go on with: homefire engine build"
    job = {"kind": "build", "name": "cuda-1", "state": "running", "phase": "compiling", "done": 50, "total": 200}
    lines = verbs.lines({**found, "job": job, "rolled_back": "cpu-1", "in_use": "wheel"})
    assert "crashed too often" in lines[1]
    assert lines[-1] == "build of cuda-1 is under way: compiling 25 %. See: homefire engine watch"
    moved = verbs.lines({**found, "builds": [{**BUILD, "runs_here": False}], "in_use": "wheel"})
    assert "made for another processor" in moved[1]


def test_what_is_told_at_the_end() -> None:
    built = verbs.told({"kind": "build", "result": {"build": BUILD, "trial": None, "in_use": "wheel"}})
    assert built.splitlines() == [
        "Built cpu-1 in 6 min 34 s with /usr/bin/c++.", "In use: wheel.", "Try it and use it with: homefire engine use cpu-1",
    ]  # fmt: skip
    assert "In use: cpu-1." in verbs.told({"kind": "use", "result": {"trial": REPORT, "in_use": "cpu-1"}})
    assert "(1.43)" in verbs.told({"kind": "bench", "result": REPORT})


def setup(
    cli: Callable[..., Any], *words: str, tools: tuple[str, ...] = KIT, machine: Any = GPU
) -> tuple[int, str, str]:
    status, out, err = cli(reach=BOTH, look=look(*tools), machine=machine)("setup", *words)
    return status, out, err


def test_setup_begins_the_build_for_a_gpu_on_yes(cli: Callable[..., Any]) -> None:
    status, out, _ = setup(cli, "--yes", "--json")
    found = json.loads(out)["engine"]
    assert status == 0
    assert (found["proposal"]["backend"], found["begun"], found["error"]) == ("cuda", True, None)


def test_setup_says_what_a_gpu_needs_and_begins_nothing(cli: Callable[..., Any]) -> None:
    status, out, _ = setup(cli, "--yes", tools=("g++",))
    assert status == 0
    assert "It needs the CUDA toolkit (nvcc):" in out
    assert "homefire engine build --use" in out


@pytest.mark.parametrize("words", [("--yes", "--offline"), ("--yes", "--offline", "--json")])
def test_setup_offline_begins_nothing(cli: Callable[..., Any], words: tuple[str, ...]) -> None:
    status, out, _ = setup(cli, *words)
    assert status == 0
    assert "in the background" not in out
    assert "--json" not in words or json.loads(out)["engine"]["begun"] is False


def test_setup_asks_at_a_terminal(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "n", "n")
    status, out, _ = setup(cli)
    assert status == 0
    assert "Build the cuda engine now?" in out
    assert "It is built in the background" not in out
    typed(monkeypatch, "n", "y")
    assert "It is built in the background" in setup(cli)[1]


def test_setup_on_a_processor_is_one_line(cli: Callable[..., Any]) -> None:
    machine = replace(MACHINE, instructions=("avx2", "avx512f"))
    out = setup(cli, "--yes", "--offline", machine=machine)[1]
    assert (
        "This processor has AVX-512, which the wheel does not use. A faster engine: homefire engine build --use" in out
    )
    assert "engine build" not in setup(cli, "--yes", "--offline", machine=MACHINE)[1]
