"""A native build with its real parts: a small source of our own that cmake and the compiler truly build, and a program that
speaks as `llama-server` does (`fakes/llama_server.py`), tried against the wheel with the pilot.

Promises: a build that is killed, cancelled, or left by the daemon goes on from what was compiled; no compiler outlives it; what
it runs has the lowest priority; a failing compile names the line; a switch is taken only after the trial.
Does not cover: llama.cpp's own source (a quarter of an hour; `bench engine` builds it), rates.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import io
import os
import signal
import tarfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from fakes import llama_server
from homefire.engines import trial
from homefire.engines.builds import Build, Builds, Watch, finish
from homefire.engines.engine import Engine, EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.errors import BuildBusy, BuildFailed, BuildRefused, EngineDied, EngineFailed
from homefire.hardware.toolchain import Look
from homefire.messages import ChatRequest, Message, Sampling
from homefire.models.library import PILOT_FILE
from homefire.paths import ModelName
from homefire.residency.builder import Around, Builder, Source, Tried
from homefire.supervision.record import Exit
from tests.conftest import alive, command_lines, wait_until

PARTS = 4
CMAKE = """cmake_minimum_required(VERSION 3.14)
project(tiny CXX)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
add_executable(tiny-server main.cpp a0.cpp a1.cpp a2.cpp a3.cpp)
"""
MAIN = '#include <cstdio>\nint part0();\nint main() { std::printf("version: tiny %d\\n", part0()); return 0; }\n'
# Half a second of the compiler's own time each, whatever the machine's headers are: long enough to be caught at it.
PART = """constexpr unsigned work(unsigned sum) {
    for (unsigned i = 0; i < 250; ++i) for (unsigned j = 0; j < 1000; ++j) sum += i * j;
    return sum;
}
static_assert(work(1) != 0, "");
int part%d() { return %d; }
"""


def archive(folder: Path, broken: bool = False) -> tuple[Path, str]:
    """The source as an archive, and its digest."""
    files = {"CMakeLists.txt": CMAKE, "main.cpp": MAIN} | {f"a{n}.cpp": PART % (n, n) for n in range(PARTS)}
    if broken:
        files["a3.cpp"] += "int wrong() { return nowhere; }\n"
    path = folder / "tiny-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in {**files, "../README": "not below the folder"}.items():
            info = tarfile.TarInfo(f"tiny-1.0/vendor/tiny/{name}" if not name.startswith("..") else "tiny-1.0/README")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Files:
    """A `Fetch` that has the archive already."""

    path: Path

    async def source(self, name: str, version: str, sha256: str, folder: Path, progress: Callable[[Any], None]) -> Path:
        assert (name, version) == ("tiny", "1.0")
        return self.path

    async def tool(self, name: str, folder: Path, progress: Callable[[Any], None]) -> Path:
        raise AssertionError(f"{name} is on this machine")


@dataclass
class House:
    """A builder in a folder, and what it told."""

    folder: Path
    broken: bool = False
    switched: list[str] = field(default_factory=list)
    builds: Builds = field(init=False)
    builder: Builder = field(init=False)

    def __post_init__(self) -> None:
        self.builds = Builds(self.folder / "engines", "this one")
        path, sha256 = archive(self.folder, self.broken)
        common = ("-DCMAKE_BUILD_TYPE=Debug",)
        source = Source("tiny", "1.0", sha256, "*/vendor/tiny", "tiny-server", "bin/tiny-server", common)
        around = Around(Files(path), self.make, self.models, self.room, self.note, self.folder / "build.log")
        self.builder = Builder(self.builds, around, Look.here(), source)

    def make(self, name: str, program: Path | None) -> Engine:
        return LlamaCpp(spec(self.folder, program))

    def models(self) -> list[Tried]:
        return [Tried("pilot", "chat", PILOT_FILE.stat().st_size)]

    async def room(self, need: int) -> bool:
        return True

    async def note(self, why: str) -> None:
        self.switched.append(why)

    @property
    def tree(self) -> Path:
        return self.builds.folder / "work" / "cpu-1.0" / "tree"

    def objects(self) -> dict[str, int]:
        """What was compiled to its end, by the build's own record: name and time of each."""
        with contextlib.suppress(OSError):
            names = [line.split("\t")[3] for line in (self.tree / ".ninja_log").read_text("utf-8").splitlines()[1:]]
            return {name: (self.tree / name).stat().st_mtime_ns for name in names if name.endswith(".o")}
        return {}

    def processes(self) -> list[psutil.Process]:
        """Those at work on this build."""
        found = [pid for pid, line in command_lines() if str(self.builds.folder) in line]
        processes = []
        for pid in found:
            with contextlib.suppress(psutil.NoSuchProcess):  # it may end between the two looks
                if alive(pid):
                    processes.append(psutil.Process(pid))
        return processes

    async def until_compiled(self, count: int) -> None:
        """Waits until so many files are compiled and another is being compiled."""
        for _ in range(600):
            if len(self.objects()) >= count and any("cc1plus" in p.name() for p in self.safely()):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.builder.job}")

    def safely(self) -> list[psutil.Process]:
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.name()
                found.append(process)
        return found


def spec(folder: Path, program: Path | None, load_seconds: float = 60.0) -> EngineSpec:
    """The pilot, in an engine of its own."""
    tag = "native" if program else "wheel"
    return EngineSpec(
        ModelName("pilot"), PILOT_FILE, 4096, 2, 1, 0, load_seconds, folder / f"{tag}.log", folder / f"{tag}.sock",
        program=program,
    )  # fmt: skip


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Within a limit that only a hang reaches."""

    async def limited() -> None:
        await asyncio.wait_for(scenario, 120)

    asyncio.run(limited())


async def until(condition: Callable[[], bool]) -> None:
    """Waits, and lets the loop run."""
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to that")


async def ended(builder: Builder) -> None:
    """Waits for the job's end."""
    assert builder.job is not None
    async for _ in builder.watch(builder.job.id):
        pass


def test_a_build_and_what_it_says_on_the_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        job = house.builder.build("cpu")
        assert house.builder.build("cpu") == job  # who asks again watches the same
        with pytest.raises(BuildBusy):
            house.builder.use("wheel")
        seen, nice, grouped = [], set(), set()
        async for state in house.builder.watch(job.id):
            seen.append(state)
            for process in house.safely():
                with contextlib.suppress(psutil.Error, ProcessLookupError):
                    if "cc1plus" in process.name():
                        nice.add(process.nice())
                        # In the group that is killed as one, which ninja takes it out of.
                        grouped.add(os.getpgid(process.pid) == os.getsid(process.pid))
        done = house.builder.end_of(job.id)
        assert done.result is not None
        phases = [state.phase for state in seen]
        assert "compiling" in phases
        assert seen[-1].state == "done"
        counts = [(state.done, state.total) for state in seen if state.phase == "compiling"]
        assert counts == sorted(counts)
        assert counts[-1][1] == PARTS + 2
        assert nice == {19}
        assert grouped == {True}
        (build,) = house.builds.all()
        assert (build.name, build.backend, build.source) == ("cpu-1.0", "cpu", "tiny 1.0")
        assert build.program.startswith("version: tiny")
        assert not house.tree.exists()
        assert house.builder.unfinished() == []
        assert house.builds.program() is None  # built is not used
        again = house.builder.build("cpu")
        await ended(house.builder)
        assert house.builder.end_of(again.id).result is not None
        assert house.builds.all() == [build]  # nothing was compiled again

    run(scenario())


def test_killed_cancelled_left_and_gone_on(tmp_path: Path) -> None:
    """Each of the three ends leaves no process, and the next try compiles nothing a second time."""

    async def scenario() -> None:
        house = House(tmp_path)
        house.builder.build("cpu")
        await house.until_compiled(1)
        child = next(p for p in house.processes() if "build_child" in " ".join(p.cmdline()))
        first = house.objects()
        os.kill(child.pid, signal.SIGKILL)
        await ended(house.builder)
        assert house.builder.job is not None
        assert house.builder.job.state == "failed"
        wait_until(lambda: not house.processes())

        house.builder.build("cpu")
        await house.until_compiled(2)
        second = house.objects()
        assert house.builder.cancel()
        assert not house.builder.wanted.exists()
        await until(lambda: not house.processes())  # the group is given its seconds to end
        assert house.builder.unfinished() == ["cpu-1.0"]

        house.builder.build("cpu")
        await house.until_compiled(3)
        third = house.objects()
        await house.builder.close()
        wait_until(lambda: not house.processes())

        after = House(tmp_path)
        await after.builder.open()
        for _ in range(600):
            if after.builds.all():
                break
            last = after.objects()
            await asyncio.sleep(0.02)
        await ended(after.builder)
        assert after.builder.job is not None
        assert after.builder.job.state == "done"
        assert all(second[name] == at for name, at in first.items())
        assert all(third[name] == at for name, at in second.items())
        assert all(last[name] == at for name, at in third.items())

    run(scenario())


def test_a_failing_compile_names_the_line_and_keeps_the_rest(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path, broken=True)
        job = house.builder.build("cpu")
        await ended(house.builder)
        with pytest.raises(BuildFailed) as failed:
            house.builder.end_of(job.id)
        assert "nowhere" in failed.value.message
        assert str(tmp_path / "build.log") in failed.value.next_step
        assert "nowhere" in (tmp_path / "build.log").read_text("utf-8")
        assert house.objects()
        assert house.builds.all() == []
        await house.builder.remove("cpu-1.0")
        assert not house.tree.exists()

    run(scenario())


def test_the_daemon_s_death_ends_the_compilers(tmp_path: Path) -> None:
    """A process that builds and is killed: what it started must not go on."""
    house = House(tmp_path)
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            asyncio.run(_build_for_ever(house))
        os._exit(0)
    try:
        for _ in range(600):
            if any("cc1plus" in each.name() for each in house.safely()):
                break
            time.sleep(0.05)
        else:
            raise AssertionError("no compiler was seen")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    wait_until(lambda: not house.processes())


async def _build_for_ever(house: House) -> None:
    house.builder.build("cpu")
    await ended(house.builder)


# -- a program that speaks as llama-server does


def native(house: House, *, broken: bool = False) -> Build:
    """A finished "build" of the fake server."""
    file = llama_server.make(house.folder / "made" / "llama-server", broken=broken)
    build = Build("cpu-1.0", "cpu", "tiny 1.0", "0" * 64, (), house.builds.processor, "c++", "v", 1, 1.0, time.time())
    finish(house.builds.folder, build, file)
    return build


def hello() -> ChatRequest:
    return ChatRequest("pilot", (Message("user", "hello"),), Sampling(max_tokens=4, temperature=0.0))


def test_the_trial_takes_the_same_server_and_the_switch_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake is the wheel: it passes all checks, agrees everywhere, and is as fast. The rates are told here, not measured."""
    monkeypatch.setattr(trial, "places", lambda: ["Once upon", "Once upon a", "Once upon a time"])
    told = [trial.Rates.of([(100.0, 100.0)], [(100.0, 100.0)])]

    async def rates(*_: object) -> trial.Rates:
        return told[-1]

    monkeypatch.setattr(trial, "rates", rates)

    async def scenario() -> None:
        house = House(tmp_path)
        build = native(house)
        job = house.builder.use(build.name)
        await ended(house.builder)
        with pytest.raises(BuildRefused, match="not faster"):
            house.builder.end_of(job.id)
        report = house.builds.state.trials[build.name]
        assert [check for check in report["checks"] if not check["ok"]] == []
        assert {check["name"] for check in report["checks"]} >= {"tools", "schema", "cancel", "saved slots"}
        assert report["agreement"] == {"pilot": {"same": 1.0, "places": 3}}
        assert house.switched == []
        assert house.builds.program() is None

        told.append(trial.Rates.of([(100.0, 120.0)], [(100.0, 140.0)]))
        job = house.builder.use(build.name)
        await ended(house.builder)
        house.builder.end_of(job.id)
        assert house.builds.program() == house.builds.place(build.name)
        assert len(house.switched) == 1
        job = house.builder.use("wheel")
        await ended(house.builder)
        assert house.builds.program() is None
        assert Builds(house.builds.folder, "this one").state.in_use == "wheel"

    run(scenario())


def test_a_build_that_does_not_start_fails_its_trial_even_when_forced(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        build = native(house, broken=True)
        job = house.builder.use(build.name, force=True)
        await ended(house.builder)
        with pytest.raises(BuildRefused, match="SIGABRT"):
            house.builder.end_of(job.id)
        assert house.builds.program() is None

    run(scenario())


def test_the_native_child_is_the_server_itself(tmp_path: Path) -> None:
    """One process: the daemon knows the pid that holds the model, and its crash as what it was; then the wheel takes over."""

    async def scenario() -> None:
        house, rolled = House(tmp_path), list[str]()
        build = native(house)
        house.builds.use(build.name, "a test")
        for number in range(3):
            program = house.builds.program()
            watch = Watch(house.builds, program, _Nobody(), lambda name, why: rolled.append(why))
            engine = LlamaCpp(spec(tmp_path, program), watch)
            await engine.start()
            answer = await engine.chat(hello())
            assert [event async for event in answer.events()]
            await answer.close()
            assert engine.pid is not None
            assert str(house.builds.place(build.name)) in " ".join(psutil.Process(engine.pid).cmdline())
            group = os.getpgid(engine.pid)
            os.kill(engine.pid, signal.SIGSEGV)
            assert await engine.wait() == "was killed by SIGSEGV"
            with pytest.raises(EngineDied):
                await engine.chat(hello())
            await until(functools.partial(_gone, group))
            assert bool(rolled) == (number == 2)
        assert house.builds.program() is None
        assert house.builds.state.rolled_back == build.name
        assert "3 times" in rolled[0]

    run(scenario())


class _Nobody:
    def ready(self, label: str) -> None:
        pass

    def crashed(self, label: str, ended: Exit) -> None:
        pass


def _gone(group: int) -> bool:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and alive(process.pid):
                return False
    return True


def test_stop_leaves_nothing_and_a_port_takes_the_key(tmp_path: Path) -> None:
    """Without a unix socket: a loopback port, and a key that is on no command line."""

    async def scenario() -> None:
        house = House(tmp_path)
        program = house.builds.place(native(house).name)
        engine = LlamaCpp(replace(spec(tmp_path, program), socket=None))
        await engine.start()
        answer = await engine.chat(hello())
        assert [event async for event in answer.events()]
        await answer.close()
        assert engine.pid is not None
        key = engine._key
        assert key
        assert not [line for _, line in command_lines() if key in line]
        group = os.getpgid(engine.pid)
        await engine.stop()
        await until(functools.partial(_gone, group))

    run(scenario())


def test_a_program_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = LlamaCpp(spec(tmp_path, tmp_path / "nowhere"))
        with pytest.raises(EngineFailed, match="is not there or cannot be run"):
            await engine.start()

    run(scenario())
