"""Supervision with a real child that misbehaves on request (`fakes/child.py`).

Promises: every state of the table in `supervision/child.py`, every way in which a child fails to become ready or ends, and
that no process is left in any of them, even when the parent is killed.
Does not cover: when a child may start again (`tests/null/`, Backoff), and the model's own child (`tests/contract/`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import EngineFailed, MachineError
from homefire.supervision import crash_dumps
from homefire.supervision.child import Child, ChildSpec, log_tail
from homefire.supervision.record import LOG_LIMIT
from tests.conftest import ROOT, alive, command_lines, wait_until

PROGRAM = str(ROOT / "fakes" / "child.py")


def make(folder: Path, *flags: str, **fields: Any) -> Child:
    """A child with these flags; its log lies in `folder`."""
    argv = (sys.executable, PROGRAM, *flags)
    return Child(ChildSpec("The child", argv, folder / "child.log", **{"ready_seconds": 20.0, **fields}))


@contextlib.asynccontextmanager
async def started(folder: Path, *flags: str, **fields: Any) -> AsyncIterator[Child]:
    """A ready child; it is stopped afterwards."""
    child = make(folder, *flags, **fields)
    await child.start()
    try:
        yield child
    finally:
        await child.stop()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Runs it within a limit that only a hang reaches."""

    async def limited() -> None:
        await asyncio.wait_for(scenario, 60)

    asyncio.run(limited())


def processes(folder: Path, marker: str = PROGRAM) -> list[int]:
    """Children whose command line holds the marker and whose standard error is the log in `folder`."""
    found = []
    for pid, line in command_lines():
        with contextlib.suppress(OSError):
            if marker in line and Path(f"/proc/{pid}/fd/2").readlink() == folder / "child.log":
                found.append(pid)
    return found


async def failure(child: Child) -> EngineFailed:
    """The error of a child that does not become ready; nothing may be left of it."""
    with pytest.raises(EngineFailed) as caught:
        await child.start()
    assert child.state == "ended"
    assert child.pid is None
    return caught.value


def test_a_crash_leaves_a_dump_and_a_good_end_leaves_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(tmp_path, "--chatter", "nothing"):
            (empty,) = tmp_path.glob("crash-*.txt")
            assert not empty.read_bytes()
            assert empty.stat().st_mode & 0o077 == 0
        assert crash_dumps.written(tmp_path) == [] == list(tmp_path.glob("crash-*.txt"))
        for signal_name in ("SIGSEGV", "SIGABRT"):
            child = make(tmp_path, "--die", signal_name)
            await child.start()
            await child.wait()
        newest, first = crash_dumps.written(tmp_path)
        assert first.read_text("utf-8").startswith("Fatal Python error: Segmentation fault")
        assert newest.read_text("utf-8").startswith("Fatal Python error: Aborted")
        assert "child.py" in newest.read_text("utf-8"), "it names the functions"
        hung = make(tmp_path, "--stuck")
        await hung.start()
        await hung.abort("gave no answer")
        assert "Fatal Python error: Aborted" in crash_dumps.written(tmp_path)[0].read_text("utf-8")

    run(scenario())


def test_only_the_newest_dumps_are_kept(tmp_path: Path) -> None:
    for number in range(crash_dumps.KEPT + 3):
        file = tmp_path / f"crash-engine-{number}.txt"
        file.write_text("x", "utf-8")
        os.utime(file, (number, number))
    (empty := tmp_path / "crash-daemon-1.txt").touch()
    (other := tmp_path / "daemon.log").touch()
    crash_dumps.ended(tmp_path / "crash-engine-0.txt")
    assert [path.name for path in crash_dumps.written(tmp_path)] == [f"crash-engine-{n}.txt" for n in range(12, 2, -1)]
    assert empty.exists(), "its process may still run"
    crash_dumps.sweep(tmp_path)
    assert not empty.exists()
    assert other.exists()


def test_life(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = make(tmp_path)
        assert (child.state, child.pid) == ("new", None)
        facts = await child.start()
        assert child.state == "ready"
        assert child.facts is facts
        assert facts["pid"] == child.pid
        assert alive(facts["pid"])
        await child.stop()
        assert not Path(f"/proc/{facts['pid']}").exists(), "not even a zombie"
        assert (child.state, child.pid) == ("ended", None)
        ended = await child.wait()
        assert ended.expected
        assert ended.describe() == "was killed by SIGTERM"
        assert 0 < ended.ran_seconds < 60

    run(scenario())


def test_calls_out_of_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = make(tmp_path)
        await child.stop()  # nothing to do
        assert child.state == "new"
        with pytest.raises(RuntimeError, match="never started"):
            await child.wait()
        await child.start()
        with pytest.raises(RuntimeError, match="started already"):
            await child.start()
        await child.stop()
        await child.stop()
        with pytest.raises(RuntimeError, match="started already"):
            await child.start()

    run(scenario())


def test_never_ready(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = make(tmp_path, "--say", "loading for ever", "--never-ready", ready_seconds=1.0)
        problem = await failure(child)
        assert "was not ready within 1 s" in problem.message
        assert problem.message.endswith("It last said: loading for ever")
        assert str(tmp_path / "child.log") in problem.next_step

    run(scenario())
    assert processes(tmp_path) == []


def test_exits_before_ready(tmp_path: Path) -> None:
    async def scenario() -> None:
        problem = await failure(make(tmp_path, "--say", "no such tensor", "--exit", "3"))
        assert problem.message == "The child ended with status 3 before it was ready. It last said: no such tensor"

    run(scenario())


def test_says_that_it_failed_and_lingers(tmp_path: Path) -> None:
    async def scenario() -> None:
        problem = await failure(make(tmp_path, "--failed", "the file is broken"))
        assert "could not start: the file is broken" in problem.message

    run(scenario())
    assert processes(tmp_path) == []


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("this is not the protocol\\n", id="text"),
        pytest.param("[1, 2]\\n", id="another JSON"),
        pytest.param('{"other": 1}\\n', id="an unknown word"),
        pytest.param('{"ready": 1}\\n', id="facts that are none"),
        pytest.param("\\xff\\xfe\\n", id="bytes"),
        pytest.param("x" * 100_000, id="a line without end"),
    ],
)
def test_garbage_instead_of_the_protocol(tmp_path: Path, raw: str) -> None:
    async def scenario() -> None:
        problem = await failure(make(tmp_path, "--raw", raw))
        assert "The child" in problem.message

    run(scenario())
    assert processes(tmp_path) == []


def test_ignores_sigterm(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = make(tmp_path, "--ignore-sigterm", grace_seconds=0.5)
        pid = (await child.start())["pid"]
        began = time.monotonic()
        await child.stop()
        assert time.monotonic() - began >= 0.5, "the grace was not kept"
        assert not alive(pid)
        ended = await child.wait()
        assert ended.expected
        assert ended.describe() == "was killed by SIGKILL"

    run(scenario())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--die", "SIGSEGV"), "was killed by SIGSEGV"),
        (("--die", "SIGABRT", "--after", "0.2"), "was killed by SIGABRT"),
        (("--die", "SIGKILL"), "was killed by SIGKILL"),
        (("--quit", "7"), "ended with status 7"),
    ],
)
def test_dies_after_it_was_ready(tmp_path: Path, flags: tuple[str, ...], words: str) -> None:
    async def scenario() -> None:
        async with started(tmp_path, *flags) as child:
            ended = await child.wait()
            assert not ended.expected
            assert ended.describe() == words
            assert (child.state, child.pid) == ("ended", None)
            assert await child.wait() is ended

    run(scenario())


def test_flood_and_chatter_go_to_the_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(tmp_path, "--flood", str(16 * 2**20), "--chatter", "printed by native code") as child:
            assert child.state == "ready"

    run(scenario())
    log = tmp_path / "child.log"
    assert log.stat().st_size > 15 * 2**20
    assert log_tail(log).splitlines()[-1] == "printed by native code"


def test_log_is_rotated(tmp_path: Path) -> None:
    log, old = tmp_path / "child.log", tmp_path / "child.old.log"
    log.write_bytes(b"old\n" * (LOG_LIMIT // 4 + 1))

    async def scenario() -> None:
        async with started(tmp_path, "--say", "new"):
            assert log_tail(log) == "new"

    run(scenario())
    assert old.stat().st_size > LOG_LIMIT
    run(scenario_again(tmp_path))
    assert log.read_text() == "new\nagain\n", "a small log is continued, not rotated"


async def scenario_again(folder: Path) -> None:
    async with started(folder, "--say", "again"):
        pass


def test_environment_does_not_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEFIRE_TEST_SECRET", "hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("LANG", "C.UTF-8")

    async def scenario() -> None:
        async with started(tmp_path, environment={"GIVEN": "yes"}) as child:
            names = set(child.facts["environment"])
            assert not names & {"HOMEFIRE_TEST_SECRET", "AWS_SECRET_ACCESS_KEY"}
            assert {"GIVEN", "LANG"} <= names
            assert b"hush" not in Path(f"/proc/{child.pid}/environ").read_bytes()

    run(scenario())


def test_ctrl_c_in_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(tmp_path) as child:
            assert child.facts["session"] == child.pid != os.getsid(0)

    run(scenario())


def test_stopped_while_it_is_spawned(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = make(tmp_path)
        start = asyncio.ensure_future(child.start())
        await asyncio.sleep(0)  # now it waits for the process to be made
        assert child.state == "starting" and child.pid is None
        await child.stop()
        with pytest.raises(EngineFailed, match="was stopped before it was ready"):
            await start
        state: str = child.state
        assert state == "ended"
        assert processes(tmp_path) == []

    run(scenario())


def test_program_that_does_not_exist(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = Child(ChildSpec("The child", (str(tmp_path / "nothing"),), tmp_path / "child.log"))
        with pytest.raises(MachineError, match="could not be started"):
            await child.start()
        assert child.state == "ended"
        await child.stop()

    run(scenario())


def test_cancelled_start_leaves_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = make(tmp_path, "--never-ready")
        starting = asyncio.ensure_future(child.start())
        while child.pid is None:  # noqa: ASYNC110  nothing tells when the spawn is done
            await asyncio.sleep(0.01)
        pid = child.pid
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not alive(pid)

    run(scenario())


@pytest.mark.parametrize(
    "flags", [(), ("--ignore-sigterm",), ("--stuck",)], ids=["willing", "ignores SIGTERM", "stuck in native code"]
)
def test_no_orphan_when_the_parent_is_killed(tmp_path: Path, flags: tuple[str, ...]) -> None:
    program = str(ROOT / "fakes" / "parent.py")
    argv = [sys.executable, program, str(tmp_path / "child.log"), *flags]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.3)  # until it is where its flag leads it
        assert alive(child)
        parent.kill()
    wait_until(lambda: not alive(child), 2.0)


def test_end_of_the_lifeline_alone_ends_it(tmp_path: Path) -> None:
    """The rope that works on every system, without the kernel's signal: the parent lives and only the pipe closes."""
    with (tmp_path / "child.log").open("wb") as log:
        argv = [sys.executable, PROGRAM, "--ignore-sigterm"]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"ready"')
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        assert process.poll() is None, "this child ignores SIGTERM, or the test proves nothing"
        process.stdin.close()
        try:
            assert process.wait(5) == 0
        finally:
            process.kill()
