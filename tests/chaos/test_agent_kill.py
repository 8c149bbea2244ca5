"""A run that is killed at random points comes to the same end.

Promises: after each kill the run goes on from its journal; idempotent effects are there once, others at most once, and one whose
outcome is unknown is said to be. Does not cover: power cuts (the journal flushes before it answers; `test_power.py` tries disks).

HOMEFIRE_PROOF=full kills 100 times, else 10.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from homefire.agent.record import RunRecord
from homefire.agent.step import Begun, Called, Ended, Returned
from homefire.durable import Journal
from homefire.paths import Paths, RunId
from homefire.store import RunRows, Store
from tests.chaos.agent_runner import script
from tests.null.agent_rig import KEY

KILLS = 100 if os.environ.get("HOMEFIRE_PROOF") == "full" else 10
ROUNDS = 12


def child(home: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tests.chaos.agent_runner", str(home), str(ROUNDS)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def whole_time(home: Path) -> float:
    """How long an undisturbed run takes from `started` to `ended`: kills come within that."""
    process = child(home)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    began = time.monotonic()
    assert process.stdout.readline() == "ended\n"
    process.wait()
    return time.monotonic() - began


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and files by descriptor are not on Windows")
def test_kills_at_random_points_come_to_the_same_end(tmp_path: Path) -> None:
    quiet = tmp_path / "quiet"
    seconds = whole_time(quiet)
    dice, kills, number, unknown = random.Random(20261201), 0, 0, 0
    while kills < KILLS:
        home, number = tmp_path / f"home{number}", number + 1
        while True:
            process = child(home)
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            try:
                process.wait(dice.uniform(0, seconds / 2))
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
        assert process.stdout.readline() == "ended\n"
        unknown += asyncio.run(check(home, quiet))
        if number > 20 * KILLS:
            pytest.fail("the runs end before they can be killed")
    print(f"{kills} kills, {number} runs, {unknown} effects unknown")


async def check(home: Path, quiet: Path) -> int:
    """Everything that has to hold of one home; how many effects are unknown."""
    paths, store = Paths(home), Store(Paths(home).database)
    store.open()
    rows = RunRows(store)
    row = (await rows.newest(KEY))[0]
    notes, timers = await rows.notes(KEY), await rows.timers(KEY)
    store.close()
    record = await RunRecord.open(paths.journal(RunId(row.id)))
    steps = [entry.step for entry in record.entries]
    await record.close()
    calls = script(ROUNDS)
    assert (row.state, row.ending) == ("ended", "answered")
    assert [step.tool for step in steps if isinstance(step, Called)] == [
        tool for tool, _ in calls
    ]  # each once, in order
    assert sum(isinstance(step, Ended) for step in steps) == 1
    returned = {step.call: step for step in steps if isinstance(step, Returned)}
    assert len(returned) == len([step for step in steps if isinstance(step, Returned)]) == len(calls)
    counted = (home / "counted").read_text().split()
    assert len(counted) == len(set(counted))  # at most once
    for n, (tool, arguments) in enumerate(calls):
        came = returned[f"c{n}"]
        assert any(isinstance(step, Begun) and step.call == f"c{n}" for step in steps) == (tool != "calculate")
        if tool == "count":
            assert came.status in ("ok", "unknown"), came
            assert came.status == "unknown" or f"c{n}" in counted  # never silently lost
            assert (came.code == "effect_unknown") == (came.status == "unknown")
        else:
            assert came.status == "ok", came
        if tool == "write_file":
            file = paths.workplace(RunId(row.id)) / arguments["path"]
            assert file.read_text() == arguments["text"]
    assert sorted(note.title for note in notes) == sorted(f"note {n}" for n in range(ROUNDS))
    assert sorted(timer.label for timer in timers) == sorted(f"timer {n}" for n in range(ROUNDS))
    out = paths.workplace(RunId(row.id)) / "out"
    assert sorted(each.name for each in out.iterdir()) == sorted(
        f"{n}.txt" for n in range(ROUNDS)
    )  # nothing half written
    return sum(step.status == "unknown" for step in returned.values())


WRITER = """
import asyncio, sys
from pathlib import Path
from homefire.durable import Journal
async def main():
    journal = Journal.open(Path(sys.argv[1]), 4000)
    async def one(n):
        print(await journal.add(b"%d " % n * (n % 50 + 1)), flush=True)
    for at in range(len(journal), 10**6, 8):
        await asyncio.gather(*(one(n) for n in range(at, at + 8)))
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not on Windows")
def test_killed_writers_of_a_journal_lose_nothing_that_was_answered(tmp_path: Path) -> None:
    dice, folder = random.Random(8), tmp_path / "journal"
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(dice.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        answered = [int(line) for line in process.stdout.read().splitlines() if line.isdigit()]
        process.wait()
        journal = Journal.open(folder)
        journal.check()
        assert len(journal) > max(answered, default=0)
        assert list(journal.read()) == [b"%d " % n * (n % 50 + 1) for n in range(len(journal))]
        journal.release()
