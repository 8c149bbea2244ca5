"""Native builds without processes: what is on the disk, what comes out of an archive, what is proposed, what a trial means.

Promises: every way back to the wheel; hostile archives leave nothing outside; each GPU's kind of build on faked hardware; the two
spellings of llama.cpp's parameters hold the same.
Does not cover: building and running (`tests/process/test_engine_build.py`), the terminal.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes.llama_server import _read
from homefire.engines import trial
from homefire.engines.build_child import Teller, unpack
from homefire.engines.builds import CRASHES, WHEEL, WINDOW, Build, Builds, Watch, finish
from homefire.engines.parameters import ATTRIBUTES, OPTIONS, flags, parameters, settle
from homefire.engines.trial import Check, Findings, Rates
from homefire.errors import BadPackage, BuildTools, DigestMismatch, HomefireError, InvalidRequest, UnknownBuild
from homefire.hardware import toolchain
from homefire.hardware.toolchain import BACKENDS, Look
from homefire.supervision.record import Exit
from tests.null.rig import AT, MACHINE, House, at_home

BUILD = Build("cpu-1", "cpu", "llama 1", "0" * 64, ("-DA=ON",), "this", "c++", "version 1", 4, 9.5, 1000.0)


class Clock:
    """Time by hand."""

    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


def builds(folder: Path, *made: Build, processor: str = "this", clock: Clock | None = None) -> Builds:
    for build in made:
        file = folder / "made"
        file.write_bytes(b"#!/bin/sh\n")
        finish(folder / "engines", build, file)
    return Builds(folder / "engines", processor, clock or Clock())


# -- what is on the disk


def test_facts_survive_and_decide_what_is_in_use(tmp_path: Path) -> None:
    found = builds(tmp_path, BUILD, replace(BUILD, name="cuda-1", backend="cuda"))
    assert [each.name for each in found.all()] == ["cpu-1", "cuda-1"]
    assert found.all()[0] == BUILD
    assert found.program() is None
    found.use("cpu-1", "it is faster")
    again = Builds(tmp_path / "engines", "this")
    assert again.program() == tmp_path / "engines" / "cpu-1" / "llama-server"
    assert (again.state.why, again.state.since) == ("it is faster", 5000.0)
    again.tried("cpu-1", {"faster": True})
    again.remove("cpu-1")
    assert (again.program(), again.state.in_use, again.state.trials) == (None, WHEEL, {})
    assert [each.name for each in again.all()] == ["cuda-1"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"in_use": 7}', '{"in_use": "../x"}', '{"in_use": "gone-1"}', "\x00\xff"]
)
def test_a_state_that_cannot_be_read_or_names_nothing_means_the_wheel(tmp_path: Path, text: str) -> None:
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "state.json").write_text(text, "utf-8")
    assert builds(tmp_path, BUILD).program() is None


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"name": "cpu-1"}), "nonsense"])
def test_a_folder_without_whole_facts_is_no_build(tmp_path: Path, text: str) -> None:
    found = builds(tmp_path, BUILD)
    found.use("cpu-1", "")
    (tmp_path / "engines" / "cpu-1" / "build.json").write_text(text, "utf-8")
    assert found.all() == []
    assert found.program() is None
    with pytest.raises(UnknownBuild):
        found.get("cpu-1")


def test_a_home_that_moved_to_another_processor_runs_the_wheel(tmp_path: Path) -> None:
    builds(tmp_path, BUILD).use("cpu-1", "")
    elsewhere = builds(tmp_path, processor="another")
    assert elsewhere.all() == [BUILD]
    assert elsewhere.program() is None
    with pytest.raises(UnknownBuild, match="another processor"):
        elsewhere.use("cpu-1", "")


@pytest.mark.parametrize("name", ["wheel", "work", "../x", "A B", "", "a/b"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest):
        builds(tmp_path).get(name)


def test_crashes_within_the_window_end_its_use_and_nobody_else_s_do(tmp_path: Path) -> None:
    clock = Clock()
    found = builds(tmp_path, BUILD, clock=clock)
    found.use("cpu-1", "")
    program, told = found.program(), list[tuple[str, str]]()
    watch = Watch(found, program, _Heard(), lambda label, why: told.append((label, why)))
    of_wheel = Watch(found, None, _Heard(), lambda label, why: told.append((label, why)))
    for _ in range(10):
        of_wheel.crashed("pilot", Exit(-11, False, 1.0))
    for _ in range(5):  # too far apart
        watch.crashed("pilot", Exit(-11, False, 1.0))
        clock.now += WINDOW / 2 + 1
    assert not told
    assert found.program() == program
    clock.now += WINDOW
    for _ in range(CRASHES):
        assert not told
        watch.crashed("pilot", Exit(-11, False, 1.0))
    assert [label for label, _ in told] == ["pilot"]
    assert "cpu-1" in told[0][1]
    assert (found.program(), found.state.rolled_back) == (None, "cpu-1")
    assert Builds(found.folder, "this").state.rolled_back == "cpu-1"
    found.use("cpu-1", "again")  # a person insists: the count begins anew
    assert found.state.rolled_back == ""
    watch.crashed("pilot", Exit(-11, False, 1.0))
    assert found.program() == program


class _Heard:
    def ready(self, label: str) -> None:
        pass

    def crashed(self, label: str, ended: Exit) -> None:
        pass


# -- what is taken out of an archive


def pack(folder: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> tuple[Path, str]:
    path = folder / "source.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def named(
    name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o4777
    return info, data


def test_only_the_folder_comes_out(tmp_path: Path) -> None:
    members = [named("p-1/src/a.cpp", b"one"), named("p-1/src/deep/b.sh"), named("p-1/README"), named("q/src2/no")]
    path, digest = pack(tmp_path, members)
    unpack(path, digest, "*/src", tmp_path / "out", Teller(tmp_path / "progress.json"))
    files = sorted(
        file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*") if file.is_file()
    )
    assert files == ["a.cpp", "deep/b.sh"]
    assert (tmp_path / "out" / "a.cpp").stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize(
    "member",
    [
        named("p-1/src/../../../out.txt"),
        named("/p-1/src/x"),
        named("p-1/src/./x"),
        named("p-1//src/x"),
        named("p-1/src/a\\b"),
        named("p-1/src/a:b"),
        named("p-1/src/a\x07"),
        named("p-1/src/" + "d/" * 40 + "x"),
        named("p-1/src/" + "n" * 201),
        named("p-1/src/link", b"", tarfile.SYMTYPE, "/etc/passwd"),
        named("p-1/src/hard", b"", tarfile.LNKTYPE, "p-1/src/a"),
        named("p-1/src/pipe", b"", tarfile.FIFOTYPE),
        named("p-1/src/device", b"", tarfile.CHRTYPE),
    ],
    ids=lambda member: repr(member[0].name[:30]),
)
def test_hostile_members_are_refused(tmp_path: Path, member: tuple[tarfile.TarInfo, bytes]) -> None:
    path, digest = pack(tmp_path, [named("p-1/src/a"), member])
    with pytest.raises(BadPackage):
        unpack(path, digest, "*/src", tmp_path / "out" / "in", Teller(tmp_path / "progress.json"))
    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} <= {"source.tar.gz", "progress.json", "a"}


def test_cut_foreign_and_empty_archives(tmp_path: Path) -> None:
    path, digest = pack(tmp_path, [named("p-1/src/a", bytes(range(256)) * 400)])
    teller = Teller(tmp_path / "progress.json")
    with pytest.raises(DigestMismatch):
        unpack(path, "0" * 64, "*/src", tmp_path / "one", teller)
    with pytest.raises(BadPackage, match="no folder"):
        unpack(path, digest, "*/other", tmp_path / "two", teller)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises((BadPackage, OSError)):
        unpack(path, hashlib.sha256(path.read_bytes()).hexdigest(), "*/src", tmp_path / "three", teller)


def test_bounds_of_number_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, digest = pack(tmp_path, [named(f"p-1/src/{n}", b"12345678") for n in range(5)])
    for name, value in (("MOST_FILES", 4), ("MOST_BYTES", 39)):
        with monkeypatch.context() as patch:
            patch.setattr(f"homefire.engines.build_child.{name}", value)
            with pytest.raises(BadPackage, match="more than a source should"):
                unpack(path, digest, "*/src", tmp_path / name, Teller(tmp_path / "progress.json"))


# -- what is proposed


def look(*programs: str, system: str = "linux") -> Look:
    return Look(lambda name: f"/usr/bin/{name}" if name in programs else None, system)


@pytest.mark.parametrize(
    ("vendors", "instructions", "tools", "backend", "missing"),
    [
        ((), (), ("g++",), None, ()),
        ((), ("sse2", "avx"), ("g++",), None, ()),
        ((), ("avx", "avx2"), ("g++",), "cpu", ()),
        ((), ("avx2", "avx512f"), (), "cpu", ("a C++ compiler",)),
        (("nvidia",), (), ("g++", "nvcc"), "cuda", ()),
        (("nvidia",), ("avx2",), ("g++",), "cuda", ("the CUDA toolkit (nvcc)",)),
        (("nvidia",), (), ("g++", "glslc"), "vulkan", ()),
        (("amd",), (), ("clang++", "hipcc"), "rocm", ()),
        (("amd",), (), ("g++", "glslc"), "vulkan", ()),
        (("amd",), (), (), "rocm", ("a C++ compiler", "ROCm (hipcc)")),
        (("intel",), (), ("g++",), "vulkan", ("the Vulkan SDK (glslc and its headers)",)),
        (("apple",), (), ("clang++", "xcrun"), "metal", ()),
        (("intel", "nvidia"), (), ("g++", "nvcc"), "cuda", ()),
    ],
)
def test_the_build_for_each_machine(
    vendors: tuple[str, ...],
    instructions: tuple[str, ...],
    tools: tuple[str, ...],
    backend: str | None,
    missing: tuple[str, ...],
) -> None:
    found = toolchain.propose(vendors, instructions, look(*tools))
    if backend is None:
        assert found is None
        return
    assert found is not None
    assert (found.backend, found.missing, found.ready) == (backend, missing, not missing)
    assert len(found.steps) == len(missing)


def test_what_is_missing_is_named_with_the_way_to_get_it() -> None:
    for tools, step in (
        (("apt-get",), "sudo apt-get install build-essential"),
        (("dnf",), "sudo dnf install gcc-c++"),
        (("xcode-select",), "xcode-select --install"),
        ((), "Install a C++ compiler."),
    ):
        with pytest.raises(BuildTools) as refused:
            toolchain.require("cpu", look(*tools))
        assert refused.value.next_step == step
    with pytest.raises(BuildTools, match="nvcc") as refused:
        toolchain.require("cuda", look("g++"))
    assert "https://developer.nvidia.com" in refused.value.next_step
    for backend in BACKENDS:
        toolchain.require(backend, Look(lambda name: name))


# -- what a trial means


def findings(same: float = 1.0, decode: float = 1.2, prefill: float = 1.4, failed: str = "") -> Findings:
    found = Findings([Check("start", True), Check("chat", not failed, failed)])
    found.same, found.places, found.model = {"pilot": 1.0, "main": same}, {"pilot": 100, "main": 100}, "main"
    found.rates = Rates.of([(10.0, 10.0 * decode)], [(50.0, 50.0 * prefill)])
    return found


@pytest.mark.parametrize(
    ("found", "accepted", "forced"),
    [
        (findings(), True, True),
        (findings(same=0.99), True, True),
        (findings(same=0.985), False, False),
        (findings(failed="nothing came"), False, False),
        (findings(decode=1.0, prefill=1.01), False, True),
        (findings(decode=0.9, prefill=2.0), False, True),
        (findings(decode=0.98, prefill=1.1), True, True),
        (Findings(), False, False),
        (Findings([Check("start", True)]), False, False),
    ],
)
def test_force_forgives_slowness_and_nothing_else(found: Findings, accepted: bool, forced: bool) -> None:
    verdict = found.verdict()
    assert verdict.accepted(False) is accepted
    assert verdict.accepted(True) is forced
    assert verdict.why.endswith(".")
    json.dumps(found.report("cpu-1"))


def test_ratios_are_of_rounds() -> None:
    """A machine that becomes ten times as busy in the middle says nothing of either engine."""
    found = Rates.of(
        [(100, 120), (100, 120), (10, 12), (10, 12), (10, 12)], [(50, 60), (5, 6), (50, 30), (5, 6), (5, 6)]
    )
    assert (found.decode_wheel, found.decode_native) == (10, 12)
    assert (round(found.decode_ratio, 6), round(found.prefill_ratio, 6)) == (1.2, 1.2)


def test_places_grow_by_a_word_and_shares_are_counted() -> None:
    found = trial.places(["one two", "three"])
    assert found == ["one", "one two", "three"]
    assert len(trial.places()) >= 200  # else one difference would be more than half a per cent
    assert trial.same_share(["a", "b", "c", "d"], ["a", "b", "x", "d"]) == 0.75
    assert trial.close_share([(1.0, 0.0), (0.0, 1.0)], [(1.0, 0.0), (0.6, 0.8)]) == 0.5
    with pytest.raises(ValueError):
        trial.same_share([], [])
    assert len({trial.prompt(number)[:40] for number in range(8)}) == 8  # nothing of one is in the cache of another


# -- one meaning, two spellings


def given(folder: Path, **more: Any) -> dict[str, Any]:
    file = folder / "m.gguf"
    file.write_bytes(b"GGUF")
    base = {
        "model": str(file),
        "alias": "m:1",
        "context": 512,
        "slots": 2,
        "threads": 3,
        "gpu_layers": 0,
        "kind": "chat",
    }
    return {**base, **more}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"kind": "embedding"},
        {"kind": "rerank"},
        {"batch": 32, "gpu_layers": -1},
        {"adapters": ["/a/one.gguf"], "slot_save_path": "/s", "cache_type_k": "q8_0", "cache_type_v": "q8_0"},
        {"draft": "/d.gguf", "draft_max": 8, "spec_type": "draft-simple", "flash_attention": "on"},
    ],
)
def test_the_program_s_options_say_what_the_wheel_is_told(tmp_path: Path, more: dict[str, Any]) -> None:
    found = parameters(given(tmp_path, **more))
    read, host, port = _read([*flags(found), "--host", "h", "--port", "1"])
    assert (host, port) == ("h", 1)
    silent = {"embedding": False, "lora_unapplied": False}
    assert read == {name: value for name, value in found.items() if silent.get(name) != value or value}


def test_the_wheel_takes_them(tmp_path: Path) -> None:
    from xllamacpp import CommonParams

    params = CommonParams()
    settle(
        params,
        parameters(
            given(
                tmp_path, kind="rerank", adapters=["/a,b.gguf"], cache_type_k="q8_0", flash_attention="off", draft="/d",
                slot_save_path="/s/",
            )
        ),
    )  # fmt: skip
    assert params.n_parallel == 2
    assert params.n_ctx == 1024
    assert params.slot_save_path == "/s/"
    assert params.lora_adapters[0].path == "/a,b.gguf"
    assert params.lora_init_without_apply
    assert params.speculative.draft.mparams.path == "/d"
    assert (
        params.cache_type_k.name.endswith("Q8_0") if hasattr(params.cache_type_k, "name") else params.cache_type_k == 8
    )


def test_every_parameter_has_a_spelling_for_both() -> None:
    special = {"alias", "pooling", "cache_type_k", "cache_type_v", "flash_attention", "slot_save_path", "spec_type"}
    assert set(ATTRIBUTES) - {"fit"} == set(OPTIONS) - special
    with pytest.raises(KeyError):
        flags({"unheard_of": 1})
    assert '"/a,""b"' in flags({"adapters": ['/a,"b']})


# -- over HTTP


def test_routes_without_tools(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        found = (await house.call("GET", f"{AT}/builds")).json()
        assert (found["in_use"], found["builds"], found["job"], found["proposal"]) == ("wheel", [], None, None)
        assert (await house.call("POST", f"{AT}/builds", {"backend": "cpu"})).code == "build_tools_missing"
        assert (await house.call("POST", f"{AT}/builds", {"backend": "quantum"})).code == "invalid_request"
        assert (await house.call("POST", f"{AT}/builds/use", {"name": "cpu-9"})).code == "unknown_build"
        assert (await house.call("POST", f"{AT}/builds/use", {"name": "../x"})).code == "invalid_request"
        assert (await house.call("POST", f"{AT}/builds/bench", {})).code == "build_refused"
        assert (await house.call("POST", f"{AT}/builds/watch", {})).code == "unknown_build"
        assert (await house.call("POST", f"{AT}/builds/cancel", {})).json() == {"cancelled": False, "job": None}
        assert (await house.call("DELETE", f"{AT}/builds/cpu-9")).code == "unknown_build"
        assert (await house.call("DELETE", f"{AT}/builds/wheel")).code == "invalid_request"
        for method, path in (("GET", ""), ("POST", ""), ("POST", "/use"), ("DELETE", "/x")):
            assert (await house.call(method, f"{AT}/builds{path}", {}, key=False)).status in (401, 403)

    at_home(tmp_path, work)


def test_a_job_streams_to_its_end_and_can_be_left(tmp_path: Path) -> None:
    """No package index: the build fails, with the error of the fetch, and can be asked for again."""
    tools: Callable[[str], str | None] = lambda name: f"/usr/bin/{name}" if name in ("g++", "cmake", "ninja") else None  # noqa: E731

    async def work(house: House) -> None:
        for _ in range(2):
            failed = await house.call("POST", f"{AT}/builds", {"backend": "cpu"})
            assert failed.last("error")["error"]["code"] == "source_unreachable"
        found = (await house.call("GET", f"{AT}/builds")).json()
        assert found["job"]["state"] == "failed"
        assert found["unfinished"] == ["cpu-0.3.36"]
        begun = await house.call("POST", f"{AT}/builds", {"watch": False})
        assert (begun.status, begun.json()["name"]) == (202, "cpu-0.3.36")
        used = await house.call("POST", f"{AT}/builds/watch", {})
        assert used.last("error")["error"]["code"] == "source_unreachable"
        wheel = await house.call("POST", f"{AT}/builds/use", {"name": "wheel"})
        assert wheel.last("done")["result"] == {"in_use": "wheel", "trial": None}
        assert (await house.call("DELETE", f"{AT}/builds/cpu-0.3.36")).status == 204
        assert (await house.call("GET", f"{AT}/builds")).json()["unfinished"] == []

    at_home(tmp_path, work, look=Look(tools))


def test_a_processor_that_can_more_is_told_of(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        found = (await house.call("GET", f"{AT}/builds")).json()["proposal"]
        assert (found["backend"], found["ready"], found["missing"]) == ("cpu", False, ["a C++ compiler"])

    at_home(tmp_path, work, machine=replace(MACHINE, instructions=("avx2",)))


def test_errors_are_leaves() -> None:
    from homefire.residency.builder import error_of

    found = error_of({"code": "disk_full", "message": "full", "next_step": "free some"})
    assert (type(found).__name__, found.next_step) == ("DiskFull", "free some")
    assert isinstance(error_of({"code": "unheard"}), HomefireError)
