"""Children that hang, that have children of their own, and that come back: with real processes.

Promises: a hang is seen by missed answers alone and ends as a crash; a tree is gone after every way of ending, a killed parent
included; the log of restarts says what happened, and the hook gets it.
Does not cover: the daemon itself (`test_supervision_daemon.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from homefire.dialects.spent import Spent
from homefire.engines.engine import EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.messages import ChatRequest, Message, Sampling
from homefire.supervision.child import Child, ChildSpec
from homefire.supervision.record import KEPT, Exit, Restart, append, read
from homefire.supervision.restarts import Hook, Restarts
from homefire.supervision.watchdog import Liveness, Rhythm, watch
from tests.conftest import ROOT, alive, wait_until
from tests.process.test_supervision import make, run, started

QUICK = Rhythm(0.02, 0.05, 3)


# -- hanging


def test_three_misses_in_a_row_are_a_hang() -> None:
    liveness = Liveness(3)
    assert not liveness.must_ask(0), "the first look only remembers"
    assert liveness.must_ask(0)
    assert [liveness.answered(yes) for yes in (False, False, True, False, False)] == [False] * 5
    assert liveness.answered(False)


def test_progress_counts_as_an_answer() -> None:
    liveness = Liveness(3)
    for progress in range(5):
        assert not liveness.must_ask(progress)
        assert liveness.must_ask(progress)
        assert not liveness.answered(False)
        assert not liveness.answered(False)


def test_the_rhythm_of_a_setting() -> None:
    assert Rhythm.of(30) == Rhythm(5, 5, 3)
    assert Rhythm.of(30).seconds == 30


def test_a_child_that_answers_lives_and_one_that_stops_is_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        asked, answers = 0, True

        async def probe() -> bool:
            nonlocal asked
            asked += 1
            if not answers:
                await asyncio.Event().wait()
            return True

        async with started(tmp_path) as child:
            watching = asyncio.ensure_future(watch(child, probe, lambda: 0, QUICK))
            while asked < 10:  # noqa: ASYNC110  counts probes
                await asyncio.sleep(0.01)
            assert child.state == "ready"
            answers = False
            ended = await child.wait()
            assert ended.code == -signal.SIGABRT
            assert not ended.expected
            assert ended.describe().startswith("hung: it gave no answer")
            await watching

    run(scenario())


def test_a_stopped_process_is_killed_although_it_hears_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async def never() -> bool:
            return False

        async with started(tmp_path, grace_seconds=0.2) as child:
            assert child.pid is not None
            os.kill(child.pid, signal.SIGSTOP)
            await watch(child, never, lambda: 0, QUICK)
            ended = await child.wait()
            assert (ended.code, ended.expected) == (-signal.SIGKILL, False)

    run(scenario())


def test_who_makes_progress_is_not_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        steps = iter(range(10**9))

        async def probe() -> bool:
            raise AssertionError("it was asked")

        async with started(tmp_path) as child:
            watching = asyncio.ensure_future(watch(child, probe, lambda: next(steps), QUICK))
            while next(steps) < 20:  # noqa: ASYNC110  counts looks
                await asyncio.sleep(0.01)
            assert not watching.done()

    run(scenario())


def test_stopped_while_it_hangs_is_no_crash(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(tmp_path, "--ignore-sigterm", grace_seconds=1.0) as child:
            stopping = asyncio.ensure_future(child.stop())
            await asyncio.sleep(0.05)
            await child.abort("hung")
            await stopping
            assert (await child.wait()).expected

    run(scenario())


def test_an_engine_that_hangs(pilot_spec: EngineSpec) -> None:
    """llama.cpp's own server, stopped in the middle of an answer, as a machine that swaps or a driver that waits would do it."""

    async def scenario() -> None:
        heard = Heard()
        spec = dataclasses.replace(pilot_spec, hang_seconds=3.0)
        engine = LlamaCpp(spec, heard, heard.spent.append_pair)
        await engine.start()
        try:
            request = ChatRequest(engine.name, (Message("user", "hello"),), Sampling(max_tokens=5), stream=True)
            answer = await engine.chat(request)
            async for _ in answer.pieces():
                pass
            await answer.close()
            assert heard.spent.pairs[0][0] == "pilot"
            assert heard.spent.pairs[0][1].written > 0
            assert engine.pid is not None
            os.kill(engine.pid, signal.SIGSTOP)
            assert (await engine.wait()).startswith("hung: it gave no answer for 3 s")
        finally:
            await engine.stop()
        assert heard.told[0] == ("ready", "pilot")
        assert heard.told[1][:2] == ("crashed", "pilot")

    run(scenario())


class Pairs:
    """Notes calls of two arguments."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, Spent]] = []

    def append_pair(self, name: str, spent: Spent) -> None:
        self.pairs.append((name, spent))


class Heard:
    """An Observer that notes."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.spent = Pairs()

    def ready(self, label: str) -> None:
        self.told.append(("ready", label))

    def crashed(self, label: str, ended: Exit) -> None:
        self.told.append(("crashed", label, ended.describe(), str(ended.was_ready)))


# -- trees


def tree_of(child: Child) -> list[int]:
    found = list(child.facts["tree"])
    assert len(found) == 3
    assert all(alive(pid) for pid in found)
    return found


def test_stop_ends_the_whole_tree(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(tmp_path, "--tree", "3") as child:
            tree = tree_of(child)
        assert (await child.wait()).expected
        wait_until(lambda: not any(alive(pid) for pid in tree), 5)

    run(scenario())


def test_a_crash_leaves_nothing_of_the_tree(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(tmp_path, "--tree", "3") as child:
            tree = tree_of(child)
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            assert not (await child.wait()).expected
            wait_until(lambda: not any(alive(pid) for pid in tree), 5)

    run(scenario())


@pytest.mark.parametrize("bare", [False, True], ids=["with the rope", "without: the test can fail"])
def test_no_tree_outlives_a_killed_parent(tmp_path: Path, bare: bool) -> None:
    program = str(ROOT / "fakes" / "parent.py")
    argv = [sys.executable, program, str(tmp_path / "child.log"), "--tree", "3", *(["--bare"] if bare else [])]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 4
        assert all(alive(pid) for pid in pids)
        parent.kill()
    try:
        if bare:
            wait_until(lambda: not alive(pids[0]), 10)
            time.sleep(0.3)  # the time in which the rope would have ended them
            assert all(alive(pid) for pid in pids[1:]), "without the rope they stay, or the rope does nothing"
        else:
            wait_until(lambda: not any(alive(pid) for pid in pids), 10)
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


# -- the log of restarts


def test_the_observer_hears_of_each_end_that_nobody_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        heard = Heard()
        for flags in ((), ("--quit", "3"), ("--exit", "4"), ("--failed", "no memory")):
            child = Child(
                ChildSpec(
                    "The child",
                    (sys.executable, str(ROOT / "fakes" / "child.py"), *flags),
                    tmp_path / "child.log",
                    ready_seconds=30.0,
                    label=" ".join(flags),
                    observer=heard,
                )
            )
            with contextlib.suppress(Exception):
                await child.start()
                if flags:
                    await child.wait()
            await child.stop()
        assert heard.told == [
            ("ready", ""),
            ("ready", "--quit 3"),
            ("crashed", "--quit 3", "ended with status 3", "True"),
            ("crashed", "--exit 4", "ended with status 4", "False"),
            ("crashed", "--failed no memory", "could not start: no memory", "False"),
        ]

    run(scenario())


def test_not_ready_in_time_is_told_as_such(tmp_path: Path) -> None:
    async def scenario() -> None:
        heard = Heard()
        spec = dataclasses.replace(make(tmp_path, "--never-ready").spec, ready_seconds=0.5, label="x", observer=heard)
        with pytest.raises(Exception, match="was not ready within"):
            await Child(spec).start()
        assert heard.told == [("crashed", "x", "was not ready within 0.5 s", "False")]

    run(scenario())


CRASH = Exit(-11, False, 12.5)


def test_crashes_and_returns(tmp_path: Path) -> None:
    file, now = tmp_path / "restarts.jsonl", [100.0]
    restarts = Restarts(file, clock=lambda: now[0])
    restarts.open()
    restarts.ready("pilot")
    assert restarts.rows() == [], "a first start is no restart"
    restarts.crashed("pilot", CRASH)
    (row,) = restarts.rows()
    assert row == Restart("pilot", 100.0, "was killed by SIGSEGV", 12.5, True, None)
    now[0] = 103.0
    restarts.ready("pilot")
    (row,) = restarts.rows()
    assert row.back_at == 103.0
    assert restarts.counts() == {"pilot": 1}
    again = Restarts(file)
    again.open()
    assert again.rows() == [row], "the file says the same to the next daemon"
    assert again.counts() == {}


def test_a_daemon_that_comes_after_a_crash_notes_that_it_is_back(tmp_path: Path) -> None:
    file = tmp_path / "restarts.jsonl"
    append(file, Restart("daemon", 50.0, "was killed by SIGKILL", 9.0, True))
    restarts = Restarts(file, clock=lambda: 60.0)
    restarts.open()
    assert [(row.child, row.back_at) for row in restarts.rows()] == [("daemon", 60.0)]


def test_the_file_is_bounded_and_may_be_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "restarts.jsonl"
    file.write_bytes(b'{"child": 1\nnot json\n{"other": 1}\n\xff\n')
    assert read(file) == []
    for at in range(KEPT + 50):
        append(file, Restart("pilot", float(at), "x", 1.0, True))
    assert [row.at for row in read(file)] == [float(at) for at in range(50, KEPT + 50)]
    monkeypatch.setattr("homefire.supervision.record.FILE_LIMIT", 100)
    append(file, Restart("pilot", 1.0, "x", 1.0, True))
    assert len(read(file)) == 1
    append(tmp_path / "no folder" / "x", Restart("pilot", 1.0, "x", 1.0, True))  # only logged


# -- the hook


def hooked(tmp_path: Path, program: str, seconds: float = 60.0) -> tuple[Restarts, Hook]:
    script = tmp_path / "a hook.py"
    script.write_text(program)
    hook = Hook(f"'{sys.executable}' '{script}' '$HOME; x'", tmp_path / "hook.log", seconds)
    return Restarts(tmp_path / "restarts.jsonl", hook), hook


async def done(hook: Hook) -> None:
    await asyncio.gather(*hook._running)


def test_the_hook_gets_the_facts_and_no_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEFIRE_SECRET", "hush")
    program = (
        "import json, os, sys\n"
        f"out = open({str(tmp_path / 'out')!r}, 'w')\n"
        "json.dump([json.load(sys.stdin), sys.argv[1], 'HOMEFIRE_SECRET' in os.environ], out)\nprint('said')\n"
    )

    async def scenario() -> None:
        restarts, hook = hooked(tmp_path, program)
        restarts.crashed("pilot", CRASH)
        assert not hook._running, "after the restart, not after the crash"
        restarts.ready("pilot")
        await done(hook)

    run(scenario())
    facts, argument, leaked = json.loads((tmp_path / "out").read_text())
    assert (facts["child"], facts["cause"], facts["was_ready"]) == ("pilot", "was killed by SIGSEGV", True)
    assert facts["back_at"] >= facts["at"]
    assert (argument, leaked) == ("$HOME; x", False)
    assert (tmp_path / "hook.log").read_text() == "said\n"


def test_a_hook_that_does_not_end_is_ended_with_what_it_started(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(600)\n"
    )

    async def scenario() -> None:
        restarts, hook = hooked(tmp_path, program, 3.0)
        restarts.crashed("pilot", CRASH)
        restarts.ready("pilot")
        await done(hook)

    run(scenario())
    assert "took longer than 3 s" in caplog.text
    pids = (tmp_path / "hook.log").read_text().split()
    assert pids
    wait_until(lambda: not any(alive(int(pid)) for pid in pids))  # the kernel needs a moment to end an orphan


def test_a_hook_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        hook = Hook(str(tmp_path / "nothing"), tmp_path / "hook.log")
        hook.run(Restart("pilot", 1.0, "x", 1.0, True))
        await done(hook)

    run(scenario())
    assert "could not be started" in caplog.text


def test_closing_ends_a_hook(tmp_path: Path) -> None:
    async def scenario() -> None:
        restarts, hook = hooked(tmp_path, "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n")
        restarts.crashed("pilot", CRASH)
        restarts.ready("pilot")
        log = tmp_path / "hook.log"
        while not (log.exists() and log.read_text()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await hook.close()
        assert not alive(int(log.read_text()))

    run(scenario())
