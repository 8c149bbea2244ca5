"""The builder: one build, trial or measurement of a native engine at a time, as a job that goes on without a listener.

    build   fetching -> unpacking -> configuring -> compiling -> (with `use`: a trial, then the switch) -> done
    use     checking -> comparing -> measuring -> the switch, if it was accepted -> done
    bench   comparing -> measuring -> done

Promises: one job at a time; whoever watches sees the present state first, then each change, and the last one always; a build that
the daemon's end interrupted goes on at the next start, one that failed or was cancelled goes on from what was compiled when it is
asked for again; the engine is switched only after a trial that it passed (`Verdict.accepted`), and back to the wheel at once.
Lives on the event loop. Does not cover: the steps of a build (`build_child.py`), what a trial is (`trial.py`), rolling back after
crashes (`Builds.crashed`).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from homefire.engines import trial
from homefire.engines.build_child import Order
from homefire.engines.builds import WHEEL, WORK, Build, Builds, read_name, read_object, write_beside
from homefire.engines.engine import Engine
from homefire.engines.trial import Findings
from homefire.errors import (
    BuildBusy,
    BuildCancelled,
    BuildFailed,
    BuildRefused,
    HomefireError,
    InternalError,
    InvalidRequest,
    leaves,
)
from homefire.hardware import compute_threads, toolchain
from homefire.hardware.toolchain import BACKENDS, Look
from homefire.paths import make_private_folder
from homefire.supervision.child import Child, ChildSpec

log = logging.getLogger(__name__)

REPORT_SECONDS = 0.25
# A build on a small machine takes hours; one that takes longer than this hangs.
BUILD_SECONDS = 24 * 3600.0
ENDED = ("done", "failed", "cancelled")
# What of the environment a build may need beside what every child gets (`record.INHERITED`).
HANDED_ON = ("CC", "CXX", "CUDACXX", "CUDA_PATH", "CUDA_HOME", "ROCM_PATH", "HIP_PATH", "VULKAN_SDK", "SDKROOT", "DEVELOPER_DIR",
             "ProgramFiles", "ProgramFiles(x86)")  # fmt: skip

Kind = Literal["build", "use", "bench"]
State = Literal["running", "done", "failed", "cancelled"]


class Seen(Protocol):
    """How far a fetch is, in bytes."""

    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int | None: ...


class Fetch(Protocol):
    """Brings files of packages (`models/packages.py`)."""

    async def source(self, name: str, version: str, sha256: str, folder: Path, progress: Callable[[Any], None]) -> Path:
        """A source archive."""
        ...

    async def tool(self, name: str, folder: Path, progress: Callable[[Any], None]) -> Path:
        """A program."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """What is built: a package's source archive, the folder inside it, cmake's target and where the program then lies."""

    package: str
    version: str
    sha256: str
    inside: str
    target: str = "llama-server"
    program: str = "bin/llama-server"
    common: tuple[str, ...] = toolchain.COMMON


# llama.cpp as the package llama-cpp-python carries it. An update is a change of this line and a run of `bench engine`.
LLAMA = Source(
    "llama-cpp-python",
    "0.3.36",
    "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e",
    "*/vendor/llama.cpp",
)


@dataclass(frozen=True, slots=True)
class Tried:
    """A model on which builds are tried: its name, its kind ("chat" or "embedding") and the bytes of its file."""

    name: str
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Around:
    """What the builder needs of the rooms beside and above it. `make(model, program)` gives a new engine (None: the wheel's) that
    nobody else knows; `models()` those to try on, the pilot first, the user's main model last; `room(bytes)` makes memory free if
    it can and says whether there is enough; `switched(why)` is told after the engine was changed."""

    fetch: Fetch
    make: Callable[[str, Path | None], Engine]
    models: Callable[[], list[Tried]]
    room: Callable[[int], Awaitable[bool]]
    switched: Callable[[str], Awaitable[None]]
    log: Path


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is now. `done` of `total` steps or bytes of a `phase`; `error` is an envelope's, `result` what came of it."""

    id: int
    kind: Kind
    name: str
    state: State = "running"
    phase: str = ""
    done: int = 0
    total: int = 0
    began: float = 0.0
    error: dict[str, Any] | None = None
    result: dict[str, Any] | None = None


class Builder:
    """See the module's text. `wanted` is the file that remembers a build over the daemon's end."""

    def __init__(self, builds: Builds, around: Around, look: Look | None = None, source: Source = LLAMA) -> None:
        self.builds, self._around, self.look, self._source = builds, around, look or Look.here(), source
        self.wanted = builds.folder / WORK / "wanted.json"
        self.job: Job | None = None
        self._task: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._news = asyncio.Event()
        self._closed = False

    # -- asking

    async def open(self) -> None:
        """Goes on with a build that the last daemon's end interrupted."""
        found = read_object(self.wanted)
        backend, use, force = (found.get(name) for name in ("backend", "use", "force"))
        if not isinstance(backend, str) or backend not in BACKENDS:
            return
        try:
            self.build(backend, use=use is True, force=force is True)
        except HomefireError as problem:
            log.warning("the build of the engine does not go on: %s", problem.message)

    async def close(self) -> None:
        """Stops what runs; a build goes on after the next `open`. Whoever watches is let go."""
        self._closed = True
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))
        self._tell()

    def build(self, backend: str, *, use: bool = False, force: bool = False) -> Job:
        """Begins a build, or goes on with one; the job. One of the same kind that runs is joined.

        Raises InvalidRequest for an unknown kind, BuildTools, BuildBusy.
        """
        if backend not in BACKENDS:
            raise InvalidRequest(f"'{backend}' is no kind of build.", f"Kinds: {', '.join(BACKENDS)}.", param="backend")
        name = self.name(backend)
        if self.job is not None and self.job.state == "running" and (self.job.kind, self.job.name) == ("build", name):
            return self.job
        toolchain.require(backend, self.look)
        self._require_idle()
        write_beside(self.wanted, {"backend": backend, "use": use, "force": force})
        return self._begin("build", name, self._build(backend, name, use, force))

    def use(self, name: str, *, force: bool = False) -> Job:
        """Tries a build and takes it if it passes; the wheel at once. Raises UnknownBuild, BuildBusy."""
        if name != WHEEL:
            self.builds.get(name)
        self._require_idle()
        return self._begin("use", name, self._wheel() if name == WHEEL else self._use(name, force))

    def bench(self, model: str = "") -> Job:
        """Measures the build in use, else the newest, beside the wheel; `model` "": the user's main model. Raises UnknownBuild,
        BuildBusy."""
        self._require_idle()
        fit = [each for each in self.builds.all() if self.builds.runs_here(each)]
        chosen = next((each for each in fit if each.name == self.builds.state.in_use), None)
        chosen = chosen or max(fit, key=lambda each: each.made_at, default=None)
        if chosen is None:
            raise BuildRefused("There is no native build to measure.", "Make one with: homefire engine build")
        return self._begin("bench", chosen.name, self._bench(chosen, model))

    def cancel(self) -> bool:
        """Ends the job; what was compiled stays. False if none runs."""
        if self._task is None or self.job is None or self.job.state != "running":
            return False
        self.wanted.unlink(missing_ok=True)
        self._change(state="cancelled")
        self._task.cancel()
        return True

    async def remove(self, name: str) -> None:
        """Removes a build, finished or begun. Raises UnknownBuild, BuildBusy if a job is at work on it."""
        if self.job is not None and self.job.state == "running" and self.job.name == name:
            raise BuildBusy(f"'{name}' is just at work.")
        work = self._work(name)
        if not await asyncio.to_thread(work.is_dir):
            self.builds.get(name)
        await asyncio.to_thread(shutil.rmtree, work, True)
        with suppress(HomefireError):
            before = self.builds.state.in_use
            await asyncio.to_thread(self.builds.remove, name)
            if before == name:
                await self._around.switched(self.builds.state.why)

    async def watch(self, id: int) -> AsyncIterator[Job]:
        """The job as it is now, then as it changes; ends once it has ended, or another took its place."""
        told: Job | None = None
        while not self._closed and self.job is not None and self.job.id == id:
            news, found = self._news, self.job
            if found != told:
                yield found
            told = found
            if found.state in ENDED:
                return
            await news.wait()
            if self.job is not None and self.job.state == "running":  # what comes in quick succession is told once
                await asyncio.sleep(REPORT_SECONDS)

    def end_of(self, id: int) -> Job:
        """The job that has ended. Raises what it failed with, BuildCancelled if it was."""
        job = self.job
        if job is None or job.id != id or job.state not in ENDED:
            raise BuildCancelled("The job did not end here: the daemon stopped, or another job took its place.")
        if job.state == "cancelled":
            raise BuildCancelled("The job was cancelled.")
        if job.error is not None:
            raise error_of(job.error)
        return job

    def name(self, backend: str) -> str:
        """What a build of this kind is called."""
        return f"{backend}-{self._source.version}"

    def unfinished(self) -> list[str]:
        """Builds that were begun and can go on."""
        return sorted(file.parent.name for file in (self.builds.folder / WORK).glob("*/begun.json"))

    # -- doing

    def _require_idle(self) -> None:
        if self.job is not None and self.job.state == "running":
            raise BuildBusy(f"Another job is under way: {self.job.kind} of '{self.job.name}'.")

    def _begin(self, kind: Kind, name: str, work: Any) -> Job:
        job = self.job = Job(next(self._numbers), kind, name, began=time.time())
        self._task = asyncio.ensure_future(self._run(work))
        self._tell()
        return job

    async def _run(self, work: Awaitable[dict[str, Any]]) -> None:
        problem: HomefireError = InternalError("The job ended without a result; see the daemon's log.")
        result: dict[str, Any] | None = None
        try:
            result = await work
        except HomefireError as known:
            problem = known
        except asyncio.CancelledError:
            if not self._closed and self.job is not None and self.job.state == "running":
                self._change(state="cancelled")
            return
        finally:
            ended = self.job is not None and self.job.state == "running"
            if ended and not self._closed:
                self.wanted.unlink(missing_ok=True)
                if result is None:
                    self._change(state="failed", error=problem.envelope()["error"])
        if result is not None:
            self._change(state="done", result=result)

    async def _build(self, backend: str, name: str, use: bool, force: bool) -> dict[str, Any]:
        kind, source = BACKENDS[backend], self._source
        switches = (*source.common, *kind.switches)
        made = next((each for each in self.builds.all() if each.name == name and self.builds.runs_here(each)), None)
        if made is None or (made.sha256, made.switches) != (source.sha256, switches):
            made = await self._compiled(backend, name, switches)
        report = await self._tried(name, force) if use else None
        return {"build": asdict(made), "trial": report, "in_use": self.builds.state.in_use}

    async def _compiled(self, backend: str, name: str, switches: tuple[str, ...]) -> Build:
        source, work = self._source, self._work(name)
        await asyncio.to_thread(make_private_folder, work)
        await asyncio.to_thread(write_beside, work / "begun.json", {"backend": backend})
        archive = await self._around.fetch.source(source.package, source.version, source.sha256, work, self._fetched)
        cmake = self.look.which("cmake") or str(await self._around.fetch.tool("cmake", work, self._fetched))
        # Not make: a compiler that was killed leaves half an object file, which make takes for a whole one.
        ninja = self.look.which("ninja") or str(await self._around.fetch.tool("ninja", work, self._fetched))
        order = Order(
            name, backend, f"{source.package} {source.version}", str(archive), source.sha256, source.inside, switches,
            source.target, source.program, cmake, ninja, max(1, compute_threads() + 1), self.builds.processor,
            str(self.builds.folder), str(work),
        )  # fmt: skip
        await self._in_child(order)
        await asyncio.to_thread(shutil.rmtree, work, True)
        return self.builds.get(name)

    async def _in_child(self, order: Order) -> None:
        child = Child(
            ChildSpec(
                f"The build of '{order.name}'",
                (sys.executable, "-m", "homefire.engines.build_child", json.dumps(asdict(order))),
                self._around.log,
                {name: os.environ[name] for name in HANDED_ON if name in os.environ},
                ready_seconds=BUILD_SECONDS,
            )
        )
        starting = asyncio.ensure_future(child.start())
        try:
            while not starting.done():
                await asyncio.wait((starting,), timeout=REPORT_SECONDS)
                seen = await asyncio.to_thread(read_object, order.progress)
                if seen and not starting.done():
                    self._step(seen["phase"], seen["done"], seen["total"])
            facts = starting.result()
        finally:
            if not starting.done():
                starting.cancel()
                await asyncio.wait((starting,))
            await child.stop()
        if error := facts.get("error"):
            found = error_of(error)
            step = f"What was said is in {self._around.log}; then again: homefire engine build"
            raise BuildFailed(found.message, step) if isinstance(found, BuildFailed) else found

    async def _use(self, name: str, force: bool) -> dict[str, Any]:
        report = await self._tried(name, force)
        return {"in_use": self.builds.state.in_use, "trial": report}

    async def _wheel(self) -> dict[str, Any]:
        self.builds.use(WHEEL, "A person chose the wheel.")
        await self._around.switched(self.builds.state.why)
        return {"in_use": WHEEL, "trial": None}

    async def _tried(self, name: str, force: bool) -> dict[str, Any]:
        """The trial, then the switch; its report. Raises BuildRefused."""
        found, program = Findings(), self.builds.place(self.builds.get(name).name)
        if not self.builds.runs_here(self.builds.get(name)):
            raise BuildRefused(f"'{name}' was made for another processor.", "Build it here: homefire engine build")
        models = self._around.models()
        pilot = models[0].name
        found.checks = await trial.check(lambda: self._around.make(pilot, program), self._step)
        if all(check.ok for check in found.checks):
            last = [model for model in models if model.kind == "chat"][-1]
            for model in models:
                await self._compare(model, program, found, timed=model is last)
        report = found.report(name)
        await asyncio.to_thread(self.builds.tried, name, report)
        verdict = found.verdict()
        if not verdict.accepted(force):
            step = (
                BuildRefused.default_step
                if verdict.sound and verdict.agrees
                else "Models go on with the engine in use."
            )
            raise BuildRefused(f"'{name}' is not taken. {verdict.why}", step)
        if self.builds.state.in_use != name:
            self.builds.use(name, verdict.why)
            await self._around.switched(f"The native build '{name}' is in use. {verdict.why}")
        return report

    async def _compare(self, model: Tried, program: Path, found: Findings, *, timed: bool) -> None:
        if not await self._around.room(trial.memory_for(model.size)):
            raise BuildRefused(
                f"There is not memory enough to try '{model.name}' with both engines.",
                "End other programs, or give the main role to a smaller model while you try.",
            )

        def make(native: bool) -> Engine:
            return self._around.make(model.name, program if native else None)

        if model.kind == "embedding":
            self._step(f"comparing {model.name}", 0, 1)
            await trial.compare_vectors(make, found)
        else:
            await trial.compare(make, found, self._step, timed=timed)

    async def _bench(self, build: Build, model: str) -> dict[str, Any]:
        models = [each for each in self._around.models() if each.kind == "chat"]
        chosen = next((each for each in models if each.name == model), None) if model else models[-1]
        if chosen is None:
            raise InvalidRequest(f"'{model}' cannot be measured.", "Name an installed chat model.", param="model")
        found = Findings()
        await self._compare(chosen, self.builds.place(build.name), found, timed=True)
        report = found.report(build.name)
        return {name: report[name] for name in ("build", "at", "agreement", "rates")}

    # -- telling

    def _fetched(self, seen: Seen) -> None:
        self._step("fetching", seen.done, seen.total or 0)

    def _step(self, phase: str, done: int, total: int) -> None:
        self._change(phase=phase, done=done, total=total)

    def _change(self, **changed: Any) -> None:
        if self.job is not None:
            self.job = replace(self.job, **changed)
            self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _work(self, name: str) -> Path:
        return self.builds.folder / WORK / read_name(name)


def error_of(error: dict[str, Any]) -> HomefireError:
    """An error out of an envelope."""
    known = {leaf.code: leaf for leaf in leaves()}
    leaf = known.get(str(error.get("code")), BuildFailed)
    return leaf(str(error.get("message")), str(error.get("next_step") or ""), param=error.get("param"))
