"""`bench fetch`: how fast a file comes from a server on this machine, beside plain curl, and what a kill in the middle costs.

The server is a process of its own (`fakes/hub.py`, which hands files to the socket by sendfile). A round is curl, our fetch, and
our fetch with the whole file's sha256 left out; the share of hashing is what that saves. Ours is the whole task: space reserved,
a checksum for each chunk, sha256, fsync, rename; curl writes and leaves the disk to the kernel, so curl followed by fsync stands
beside it. The same once more in a file system in memory, where there is one: there the disk says nothing.
For the resume a child is killed in the middle; a byte counts as fetched twice if it is in a chunk that the journal named at the
kill and was sent again. What was on its way at the kill had not arrived; it is given apart.
Promises: medians of five rounds, interleaved; every fetched file has the right sha256.
Does not cover: TLS, links slower than the machine, a cold page cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench.report import Report
from homefire.models.fetch import Fetcher, Wanted
from homefire.models.fetch_plan import CHUNK, Journal, read_journal
from homefire.models.origin import Web
from homefire.models.partial import Partial

GOALS: dict[str, tuple[str, float]] = {
    "fetch_to_curl_ratio": (">=", 0.8),
    "hashing_share": ("<=", 0.2),
    "resume_bytes_twice": ("<=", 0),
}
ROUNDS = 5
SIZE = 512 << 20
MEMORY = Path("/dev/shm")
ROOT = Path(__file__).parents[1]
# What is killed: a fetch like any other, in a process of its own.
CHILD = """
import asyncio, sys
from pathlib import Path
from homefire.models.fetch import Fetcher, Wanted
from homefire.models.origin import Web
url, target, size, digest = sys.argv[1:]
asyncio.run(Fetcher(Web()).fetch(Wanted(url, Path(target), int(size), digest)))
"""


@dataclass(frozen=True, slots=True)
class Served:
    """A file on the server: where it is asked, its sha256, and its name there."""

    address: str
    name: str
    digest: str

    def wanted(self, target: Path, fault: str = "") -> Wanted:
        """What our fetch is told."""
        return Wanted(f"{self.address}/files/{self.name}{fault}", target, SIZE, self.digest)

    def counted(self) -> dict[str, Any]:
        """What the server has sent of it."""
        with urllib.request.urlopen(f"{self.address}/count") as answer:
            found: dict[str, Any] = json.load(answer)[self.name]
        return found


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """A server with one file of random bytes in `folder`, warm."""
    (folder / "served").mkdir()
    digest = hashlib.sha256()
    with (folder / "served" / "model.bin").open("wb") as file:
        for _ in range(SIZE >> 20):
            piece = os.urandom(1 << 20)
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    program = [sys.executable, str(ROOT / "fakes" / "hub.py"), str(folder / "served")]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdin is not None
        port = json.loads(child.stdout.readline())["port"]
        served = Served(f"http://127.0.0.1:{port}", "model.bin", digest.hexdigest())
        warm = urllib.request.Request(served.wanted(folder).url, headers={"range": "bytes=0-0"})
        urllib.request.urlopen(warm).close()
        yield served
        child.stdin.close()


def curl(served: Served, target: Path) -> tuple[float, float]:
    """Seconds until curl has it, and until it is on the disk."""
    program = ["curl", "--silent", "--fail", "--output", str(target), served.wanted(target).url]
    began = time.perf_counter()
    subprocess.run(program, check=True)
    here = time.perf_counter() - began
    with target.open("rb") as file:
        os.fsync(file.fileno())
    synced = time.perf_counter() - began
    target.unlink()
    return here, synced


async def ours(web: Web, wanted: Wanted, hashing: bool = True) -> tuple[float, float]:
    """Seconds until it is in place, and of processor time."""
    with ExitStack() as stack:
        if not hashing:
            stack.enter_context(patch.object(Partial, "hash_to", lambda self, end: None))
            stack.enter_context(patch.object(Partial, "sha256", wanted.sha256))
        began, used = time.perf_counter(), time.process_time()
        done = await Fetcher(web).fetch(wanted)
        took, used = time.perf_counter() - began, time.process_time() - used
    assert (done.size, done.sha256) == (SIZE, wanted.sha256)
    remove(wanted.target)
    return took, used


def remove(target: Path) -> None:
    """Takes a fetched file and what lies beside it away."""
    for file in target.parent.glob(target.name + "*"):
        file.unlink()


async def race(folder: Path) -> dict[str, float]:
    """The rounds in one folder."""
    rows: list[tuple[float, ...]] = []
    with serving(folder) as served:
        web = Web()
        for _ in range(ROUNDS):
            plain, synced = curl(served, folder / "curl")
            whole, used = await ours(web, served.wanted(folder / "ours"))
            bare, _ = await ours(web, served.wanted(folder / "bare"), hashing=False)
            rows.append((plain, synced, whole, bare, used))
        await web.close()

    def middle(figure: Callable[..., float]) -> float:
        return statistics.median(figure(*row) for row in rows)

    return {
        "curl_mb_per_s": SIZE / 1e6 / middle(lambda plain, synced, whole, bare, used: plain),
        "fetch_mb_per_s": SIZE / 1e6 / middle(lambda plain, synced, whole, bare, used: whole),
        "fetch_to_curl_ratio": middle(lambda plain, synced, whole, bare, used: plain / whole),
        "fetch_to_curl_with_fsync_ratio": middle(lambda plain, synced, whole, bare, used: synced / whole),
        "hashing_share": middle(lambda plain, synced, whole, bare, used: max(0.0, 1 - bare / whole)),
        "fetch_cpu_s_per_gb": 1e9 / SIZE * middle(lambda plain, synced, whole, bare, used: used),
    }


def killed(wanted: Wanted) -> Journal:
    """Fetches in a child, kills it near the middle, and gives the journal that it left."""
    program = [sys.executable, "-c", CHILD, wanted.url, str(wanted.target), str(SIZE), str(wanted.sha256)]
    child = subprocess.Popen(program, cwd=ROOT)
    log = wanted.target.with_name(wanted.target.name + ".part.log")
    while not log.exists() or len(read_journal(log.read_bytes()).chunks) * CHUNK < SIZE // 2:
        assert child.poll() is None, "the fetch ended before it was killed"
        time.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    return read_journal(log.read_bytes())


async def resume(folder: Path) -> dict[str, float]:
    """A fetch that was killed near the middle is taken up here."""
    with serving(folder) as served:
        target = folder / "killed"
        # Slow enough that the middle is not missed.
        kept = killed(served.wanted(target, "?fault=slow&pause=0.0005")).chunks
        await asyncio.sleep(1)  # the server notices the broken connections and counts what it had sent
        before = served.counted()
        web = Web()
        done = await Fetcher(web).fetch(served.wanted(target))
        await web.close()
        assert done.sha256 == served.digest
        after = served.counted()
    again = after["spans"][len(before["spans"]) :]
    twice = sum(max(0, min(end, (i + 1) * CHUNK) - max(start, i * CHUNK)) for start, end in again for i in kept)
    held = sum(min(SIZE, (i + 1) * CHUNK) - i * CHUNK for i in kept)
    return {
        "resume_bytes_twice": twice,
        "resume_kept_mb": held / 1e6,
        "resume_lost_on_the_way_mb": (before["bytes"] - held) / 1e6,
    }


async def measure() -> Report:
    """Runs it."""
    report = Report("fetch", GOALS)
    if shutil.which("curl") is None:
        print("  curl is not here: nothing to compare with")
        return report
    with tempfile.TemporaryDirectory() as place:
        report.figures |= await race(Path(place))
    with tempfile.TemporaryDirectory() as place:
        report.figures |= await resume(Path(place))
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 * SIZE:
        with tempfile.TemporaryDirectory(dir=MEMORY) as place:
            found = await race(Path(place))
        report.figures |= {f"in_memory_{name}": figure for name, figure in found.items()}
    return report
