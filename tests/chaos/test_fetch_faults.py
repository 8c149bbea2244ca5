"""Fetching under faults at random moments, and the death of the fetching process: the right bytes or one clear refusal, always.

A run is one fetch that meets one kind of fault after a random number of sound answers, some times or always; then the fault is
gone and the same fetch is asked again, which must bring the right bytes from whatever the first left behind.
Promises: a run that fails prints its seed (HOMEFIRE_SEED repeats it); HOMEFIRE_PROOF=full runs each kind ten times as often, far
more than sixty runs; none of this depends on how fast the machine is.
Does not cover: which refusal belongs to which answer to the letter (`tests/process/test_fetch.py`), power cuts, TLS.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homefire.errors import HomefireError
from homefire.models.fetch import Wanted, partial_bytes
from homefire.models.partial import RESERVE
from tests.chaos.test_disk import fill, mounted
from tests.conftest import ROOT, wait_until
from tests.process.test_fetch import CHUNK, DATA, DIGEST, RunningHub, fetch, left

FULL = os.environ.get("HOMEFIRE_PROOF") == "full"
# Sixty runs and more of the whole table in `make proof`, a tenth of that in `make test`.
RUNS = 10 if FULL else 1
KILLS = 20 if FULL else 2
LONG = 120.0
RIGHT = "right"
LOST = {"source_unreachable"}
# kind of fault -> the refusals that it may lead to, besides the right bytes.
KINDS: dict[str, set[str]] = {
    "long": LOST, "short": LOST, "drop": LOST, "reset": LOST, "garbage": LOST, "wrong_range": LOST, "no_range_header": LOST,
    "gzip": LOST, "ignore_ranges": set(), "ignore_and_drop": LOST, "429": LOST, "500": LOST, "503": LOST,
    "changed": {"digest_mismatch", "source_changed"}, "longer_file": {"source_changed"}, "flip": {"digest_mismatch"},
    "416": {"source_changed"}, "401": {"source_refused"}, "403": {"source_refused"}, "404": {"source_not_found"},
    "redirect_private": {"address_refused"}, "redirect_loop": {"address_refused"}, "redirect_file": {"bad_source"},
}  # fmt: skip
CHILD = """
import asyncio, json, resource, sys
from pathlib import Path
from homefire.errors import HomefireError
from homefire.models.fetch import Fetcher, Wanted
from homefire.models.fetch_plan import Rules
from homefire.models.origin import Web
url, target, size, digest, chunk, limit = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
async def main():
    web = Web()
    try:
        await Fetcher(web, Rules(chunk=int(chunk), first_pause=0.01)).fetch(Wanted(url, Path(target), int(size), digest))
        return "right"
    except HomefireError as problem:
        assert problem.message and problem.next_step
        return problem.code
    finally:
        await web.close()
print(json.dumps(asyncio.run(main())))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """One hub for the whole file."""
    running = RunningHub(tmp_path_factory.mktemp("hub"))
    yield running
    running.stop()


@pytest.fixture
def dice() -> random.Random:
    """Random numbers whose seed is shown when a test fails."""
    seed = int(os.environ.get("HOMEFIRE_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
    print(f"HOMEFIRE_SEED={seed}")
    return random.Random(seed)


def outcome(wanted: Wanted) -> str:
    """Fetches; "right" or the code of the refusal. Either way what is on the disk must agree."""
    try:
        # The hub's own address is the internet here, and every other one is private.
        done = fetch(wanted, public=lambda address: address == "127.0.0.1", stall_seconds=20.0)
    except HomefireError as problem:
        assert problem.message and problem.next_step
        assert not wanted.target.exists(), "a refusal leaves nothing at the target"
        return problem.code
    assert (done.size, done.sha256) == (len(DATA), DIGEST)
    assert wanted.target.read_bytes() == DATA
    assert left(wanted.target) == [wanted.target.name, wanted.target.name + ".chunks"]
    return RIGHT


def start(wanted: Wanted, limit: int = 0) -> subprocess.Popen[str]:
    """The same in a process of its own, which prints the outcome. `limit`: bytes that a file of it may have, 0 for any."""
    given = (wanted.url, str(wanted.target), str(wanted.size), str(wanted.sha256), str(CHUNK), str(limit))
    return subprocess.Popen([sys.executable, "-c", CHILD, *given], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def ended(child: subprocess.Popen[str]) -> str:
    """What a child says at last."""
    said, _ = child.communicate(timeout=LONG)
    assert child.returncode == 0
    return str(json.loads(said))


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_a_random_moment(hub: RunningHub, tmp_path: Path, dice: random.Random, kind: str) -> None:
    for number in range(RUNS):
        times, after = dice.choice([0, 0, 1, 2, 3]), dice.choice([0, 0, 1, 2, 5])
        url, _ = hub.url(kind, times=times, after=after)
        target = tmp_path / str(number) / "model.gguf"
        found = outcome(Wanted(url, target, len(DATA), DIGEST))
        assert found == RIGHT or found in KINDS[kind], (times, after)
        sound = Wanted(url.partition("?")[0], target, len(DATA), DIGEST)
        assert outcome(sound) == RIGHT, "and once the fault is gone, everything is"


def test_kill_9_at_random_moments_and_resume(hub: RunningHub, tmp_path: Path, dice: random.Random) -> None:
    for number in range(KILLS):
        url, name = hub.url("slow", pause=0.01)
        wanted = Wanted(url, tmp_path / str(number) / "model.gguf", len(DATA), DIGEST)
        for _ in range(dice.choice([1, 2, 4])):
            child = start(wanted)
            share, pause = dice.random(), dice.choice([0.0, 0.01, 0.1])
            wait_until(lambda: partial_bytes(wanted.target) > share * len(DATA) or child.poll() is not None, LONG)  # noqa: B023
            time.sleep(pause)
            child.send_signal(signal.SIGKILL)
            child.communicate()
            if wanted.target.exists():  # it was quicker
                assert wanted.target.read_bytes() == DATA
        held = partial_bytes(wanted.target)
        time.sleep(0.3)  # the hub notices the broken connection and counts what it had sent
        before = hub.count(name)["bytes"]
        assert outcome(Wanted(url.partition("?")[0], wanted.target, len(DATA), DIGEST)) == RIGHT
        if held:
            assert hub.count(name)["bytes"] - before <= len(DATA) - held, "what was there is not asked again"


def test_two_pulls_of_one_file_at_once(hub: RunningHub, tmp_path: Path) -> None:
    for number in range(RUNS):
        url, _ = hub.url("slow", pause=0.01)
        wanted = Wanted(url, tmp_path / str(number) / "model.gguf", len(DATA), DIGEST)
        both = [start(wanted), start(wanted)]
        found = sorted(ended(child) for child in both)
        assert found in (["fetch_busy", RIGHT], [RIGHT, RIGHT])
        assert wanted.target.read_bytes() == DATA
        assert left(wanted.target) == ["model.gguf", "model.gguf.chunks"]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
def test_a_file_that_may_not_grow_so_large(hub: RunningHub, tmp_path: Path, dice: random.Random) -> None:
    """What a quota of the operating system does: no byte more than the limit can be written."""
    for number in range(RUNS):
        url, _ = hub.url()
        wanted = Wanted(url, tmp_path / str(number) / "model.gguf", len(DATA), DIGEST)
        assert ended(start(wanted, dice.randrange(CHUNK, len(DATA)))) in ("machine_error", "disk_full")
        assert not wanted.target.exists()
        assert outcome(wanted) == RIGHT


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A mounted tmpfs that has room for the file, and little more than what must stay free."""
    yield from mounted(tmp_path / "disk", RESERVE + 2 * len(DATA))


def test_a_disk_that_is_full_before_and_fills_meanwhile(hub: RunningHub, small_disk: Path) -> None:
    """Space was reserved, so a disk that fills during the fetch takes only the journal's: all of it or disk_full, never half."""
    for number in range(RUNS):
        url, _ = hub.url("slow", pause=0.01)
        wanted = Wanted(url, small_disk / str(number) / "model.gguf", len(DATA), DIGEST)
        filler = fill(small_disk)
        assert outcome(wanted) == "disk_full"
        filler.unlink()
        child = start(wanted)
        wait_until(lambda: partial_bytes(wanted.target) > 0 or child.poll() is not None, LONG)  # noqa: B023
        filler = fill(small_disk)
        found = ended(child)
        assert found in (RIGHT, "disk_full")
        assert wanted.target.exists() == (found == RIGHT)
        filler.unlink()
        assert found == RIGHT or outcome(wanted) == RIGHT
        assert wanted.target.read_bytes() == DATA
        wanted.target.unlink()
