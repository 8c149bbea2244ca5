"""Power cuts, torn writes and failing calls, under the real `Store`.

Promises: what `write` had answered is there in every state in which a cut may leave the files, whole and with its sum, and the
file is sound; each protection is taken away in turn and then something is lost (the controls).
Does not cover: disks that say they have flushed and have not.

HOMEFIRE_PROOF=full makes 20,000 states, lets every single call fail, kills 100 times, and cuts a real file system in a loop
device (root only) 25 times for each setting.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from homefire.errors import HomefireError
from homefire.paths import Digest, Paths
from homefire.store import Blobs, Conversations, Store, database, sums
from homefire.store.check import check_blobs, check_database
from homefire.store.database import connect, migrate
from tests.chaos.torn import Call, States, recorded

FULL = os.environ.get("HOMEFIRE_PROOF") == "full"
STATES = 20_000 if FULL else 2_000
KILLS = 100 if FULL else 4
COMMITS = 60
# Of a line that the writer says, whole.
LENGTH_OF_ROW, LENGTH_OF_BLOB = 2 + 17, 2 + 64
# Pages after which the WAL is folded into the database: often, so that cuts come in the middle of it.
FOLD_PAGES = 20
Acked = tuple[int, str]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where states are made: in memory, if there is a place; the disk's own promises are not what is tried."""
    place = Path("/dev/shm") / f"homefire-states-{os.getpid()}"
    if not os.access(place.parent, os.W_OK):
        place = tmp_path / "states"
    place.mkdir()
    yield place
    shutil.rmtree(place)


def run(path: Path, commits: int = COMMITS) -> tuple[States, list[Acked], list[Call]]:
    """The real store at work on a recorded disk: its states, and what was acknowledged after how many calls."""
    store = Store(path)
    store.open()
    store.close()
    before = {path.name: path.read_bytes()}
    acked: list[Acked] = []
    with recorded() as recorder:

        async def work() -> None:
            store = Store(path)
            store.open()
            await store.write(lambda c: c.set_busy_timeout(0))
            conversations = Conversations(store)
            await store.write(lambda c: c.wal_autocheckpoint(FOLD_PAGES))
            try:
                for number in range(commits):
                    made = await conversations.create(f"talk {number} " + "x" * (number * 37 % 3000))
                    acked.append((len(recorder.calls), made.id))
                    if number % 5 == 0:
                        await asyncio.gather(*(conversations.create(f"beside {n}") for n in range(4)))
            finally:
                store.close()

        asyncio.run(work())
        # The end folds all of it: cuts are tried in the middle of that too.
        return States(before, recorder.calls), acked, recorder.calls


def outcome(state: dict[str, bytes], folder: Path, wanted: set[str], wholly: bool) -> tuple[bool, int]:
    """Whether the state opens and is sound, and how many of the acknowledged conversations are missing."""
    for name, content in state.items():
        (folder / name).write_bytes(content)
    path = folder / next(name for name in state if not name.endswith(("-wal", "-journal")))
    try:
        c = connect(path) if wholly else apsw.Connection(str(path))
        try:
            migrate(c)
            sound = not wholly or not list(sums.faults(c))
            sound = sound and c.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            there = {str(row[0]) for row in c.execute("SELECT id FROM conversations")}
            sound = (
                sound
                and len(there)
                == c.execute("SELECT count(*) FROM row_sums WHERE place = 'conversations'").fetchall()[0][0]
            )
        finally:
            c.close(True)
    except (apsw.Error, HomefireError):
        return False, len(wanted)
    finally:
        for name in (*state, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
            (folder / name).unlink(missing_ok=True)
    return sound, len(wanted - there)


def many(states: States, acked: list[Acked], calls: list[Call], count: int, folder: Path) -> tuple[int, int]:
    """How many of so many states are corrupt, and how many have lost something."""
    dice = random.Random(count)
    corrupt = lost = 0
    for number, moment in enumerate(sorted(dice.randrange(len(calls) + 1) for _ in range(count))):
        wanted = {id_ for at, id_ in acked if at <= moment}
        # One in twenty as the daemon does it; opening is what SQLite does, the rest takes most of the time.
        sound, missing = outcome(states.after(moment, dice), folder, wanted, wholly=number % 20 == 0)
        corrupt += not sound
        lost += missing > 0
    return corrupt, lost


def test_what_was_acknowledged_survives_every_cut(tmp_path: Path, folder: Path) -> None:
    states, acked, calls = run(tmp_path / "homefire.db")
    assert len(acked) == COMMITS
    kinds = {(call.kind, call.file) for call in calls}
    assert {
        ("sync", "homefire.db"),
        ("sync", "homefire.db-wal"),
        ("write", "homefire.db"),
        ("write", "homefire.db-wal"),
    } <= kinds
    assert many(states, acked, calls, STATES, folder) == (0, 0)


@pytest.mark.parametrize("level", ["NORMAL", "OFF"])
def test_without_the_syncs_something_is_lost(
    level: str, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: NORMAL keeps the file sound and loses what was acknowledged, OFF breaks the file."""
    real = database.connect

    def weaker(path: Path) -> apsw.Connection:
        c = real(path)
        c.execute(f"PRAGMA synchronous={level}").fetchall()
        return c

    monkeypatch.setattr(database, "connect", weaker)
    states, acked, calls = run(tmp_path / "homefire.db", 30)
    monkeypatch.undo()
    corrupt, lost = many(states, acked, calls, max(100, STATES // 20), folder)
    assert lost > 10
    assert corrupt > 0 if level == "OFF" else corrupt == 0


def test_every_failing_call_is_survived(tmp_path: Path) -> None:
    """The n-th write, sync or truncate fails, for each n until none is hit. Who hears of a failure asks whether it is there, by
    its key, and sends it again if not."""
    shown = {"tried": 0, "failed": 0, "there all the same": 0}
    step = 1 if FULL else 13
    for number in range(0, 100_000, step):
        path = tmp_path / f"{number}.db"
        if not _with_failure(path, number, shown):
            break
        for left in tmp_path.glob(f"{number}.db*"):
            left.unlink()
    assert shown["tried"] > 10 and shown["failed"] > 0, shown
    assert shown["there all the same"] > 0, (
        "the control: a commit that raised and is there; who sends it again unasked has two"
    )
    print(shown)


def _with_failure(path: Path, number: int, shown: dict[str, int]) -> bool:
    """One run in which the call of this number fails; False if there was none."""
    with recorded() as recorder:
        store = Store(path)
        store.open()
        hit, seen = [False], [0]

        def fail(kind: str, file: str) -> None:
            seen[0] += 1
            if seen[0] == number + 1:
                hit[0] = True
                raise apsw.IOError("the disk says no")

        recorder.fail = fail
        keys = [f"key {n}" for n in range(12)]

        async def work() -> None:
            await put(store, "first", lambda c: c.wal_autocheckpoint(FOLD_PAGES))
            for key in keys:
                await put(store, key)

        async def put(store: Store, key: str, more: Callable[[apsw.Connection], Any] = lambda c: None) -> None:
            def change(c: apsw.Connection) -> bool:
                more(c)
                there = bool(c.execute("SELECT 1 FROM trusted WHERE address = ?", (key,)).fetchall())
                if not there:
                    c.execute("INSERT INTO trusted VALUES (?, ?, 1)", (key, "x" * 3000))
                return there

            for attempt in range(3):
                try:
                    there = await store.write(change)
                except HomefireError:
                    shown["failed"] += 1
                else:
                    shown["there all the same"] += there and attempt > 0
                    return
            raise AssertionError(f"{key} never went through")

        asyncio.run(work())
        with contextlib.suppress(apsw.Error):
            store.close()
        recorder.fail = lambda kind, file: None
    shown["tried"] += hit[0]
    assert check_database(path).whole
    c = connect(path)
    try:
        assert [row[0] for row in c.execute("SELECT address FROM trusted ORDER BY rowid")] == ["first", *keys]
    finally:
        c.close()
    return hit[0]


# -- kill -9


def test_killing_the_writer_loses_nothing(tmp_path: Path) -> None:
    """On one home, again and again; what any of them had acknowledged is there after each."""
    home, dice, acked = tmp_path / "home", random.Random(9), set()
    for _ in range(KILLS):
        command = [sys.executable, "-m", "tests.chaos.power_writer", str(home), "FULL", "yes"]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(dice.uniform(0.02, 0.3))
        writer.kill()
        said = (first + writer.stdout.read()).decode()  # the last line may be torn
        writer.wait()
        writer.stdout.close()
        acked |= {line for line in said.splitlines() if len(line) in (LENGTH_OF_ROW, LENGTH_OF_BLOB)}
        found = _missing(Paths(home), acked)
        assert found == {"rows": [], "blobs": []}
        assert check_database(home / "homefire.db").whole
    assert check_blobs(Paths(home))[2] == ()
    print(f"{KILLS} kills, {len(acked)} acknowledged")
    assert len(acked) > KILLS


# -- blobs


class _Log:
    """Which files and folders were synced after which rename."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, str]] = []
        fsync, replace = os.fsync, Path.replace

        def synced(descriptor: int) -> None:
            self.events.append(("sync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
            fsync(descriptor)

        def replaced(path: Path, target: Path) -> Path:
            self.events.append(("rename", f"{path} {target}"))
            return replace(path, target)

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(Path, "replace", replaced)

    def survives(self, final: Path) -> bool:
        """Whether a file that has this name now has it after a cut, and its content: synced before its rename, and its folder,
        and that folder's, after it."""
        at = max(
            (n for n, (kind, what) in enumerate(self.events) if kind == "rename" and what.endswith(f" {final}")),
            default=-1,
        )
        if at < 0:
            return False
        part = self.events[at][1].split(" ")[0]
        before = {what for kind, what in self.events[:at] if kind == "sync"}
        after = {what for kind, what in self.events[at:] if kind == "sync"}
        return part in before and {str(final.parent), str(final.parent.parent)} <= after


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="which file a descriptor is can be read on Linux only")
@pytest.mark.parametrize("way", ["copy_in", "adopt"])
@pytest.mark.parametrize("without", ["", "file", "folder"])
def test_a_blob_is_synced_before_and_after_its_name(
    way: str, without: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each sync taken away is noticed."""
    paths = Paths(tmp_path / "home")
    paths.prepare()
    log = _Log(monkeypatch)
    recording = os.fsync

    def fsync(descriptor: int) -> None:
        is_folder = Path(f"/proc/self/fd/{descriptor}").is_dir()
        if without != ("folder" if is_folder else "file"):
            recording(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    source = paths.new_part()
    source.write_bytes(b"weights" * 1000)
    if way == "copy_in":
        digest, _ = Blobs(paths).copy_in(source, lambda done, total: None)
    else:
        digest = Blobs(paths).adopt(source)
    assert paths.blob(digest).is_file()
    assert log.survives(paths.blob(digest)) == (without == "")


# -- a real file system, its device cut off

CUTS = 25
IMAGE_MIB = 256


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Mounts an image; everything is unmounted afterwards."""
    if not FULL:
        pytest.skip("a real file system in a loop device: with HOMEFIRE_PROOF=full")
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("needs Linux, root and mkfs.ext4, to mount an image of a disk")
    mounted: list[Path] = []

    def mount(image: Path) -> Path:
        place = tmp_path / f"mount-{len(mounted)}-{image.stem}"
        place.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", "-o", "loop", str(image), str(place)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"no image can be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


@pytest.mark.parametrize("way", ["FULL yes", "NORMAL yes", "OFF no"])
def test_cutting_a_real_file_system(way: str, disk: Callable[[Path], Path], tmp_path: Path) -> None:
    """The writer is stopped, and what the device holds at that moment is mounted anew: what lay in caches is gone."""
    dice = random.Random(way)
    total = {"rows": 0, "rows lost": 0, "blobs": 0, "blobs lost": 0, "blobs torn": 0}
    for number in range(CUTS):
        image = tmp_path / f"disk{number}.img"
        image.write_bytes(b"")
        os.truncate(image, IMAGE_MIB * 2**20)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        place = disk(image)
        acked, copy = _cut(place, image, way, dice.uniform(0.4, 1.2))
        subprocess.run(["umount", str(place)], check=True)
        image.unlink()
        _count(disk(copy), acked, total)
        subprocess.run(["umount", str(tmp_path / f"mount-{2 * number + 1}-{copy.stem}")], check=True)
        copy.unlink()
    print(way, total)
    assert total["rows"] > CUTS and total["blobs"] > CUTS, "the control: something was acknowledged"
    if way == "FULL yes":
        assert (total["rows lost"], total["blobs lost"], total["blobs torn"]) == (0, 0, 0), total
    elif way == "NORMAL yes":
        assert total["rows lost"] > 0 == total["blobs lost"], total
    else:
        assert total["rows lost"] > 0 and total["blobs lost"] > 0, total


def _cut(place: Path, image: Path, way: str, seconds: float) -> tuple[set[str], Path]:
    """Lets the writer write, stops it, takes what the device holds; what was acknowledged by then."""
    command = [sys.executable, "-m", "tests.chaos.power_writer", str(place / "home"), *way.split()]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert writer.stdout is not None
    first = writer.stdout.readline()
    time.sleep(seconds)
    writer.send_signal(signal.SIGSTOP)
    said, descriptor = [first], writer.stdout.fileno()
    while select.select([descriptor], [], [], 0.05)[0]:
        said.append(os.read(descriptor, 2**16))
        assert said[-1], "the writer ended by itself"
    copy = image.with_name(f"cut-{image.name}")
    subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
    writer.kill()
    writer.wait()
    writer.stdout.close()
    return {line for line in b"".join(said).decode().splitlines() if len(line) in (LENGTH_OF_ROW, LENGTH_OF_BLOB)}, copy


def _count(place: Path, acked: set[str], total: dict[str, int]) -> None:
    paths = Paths(place / "home")
    missing = _missing(paths, acked)
    total["rows"] += sum(line.startswith("c ") for line in acked)
    total["blobs"] += sum(line.startswith("b ") for line in acked)
    total["rows lost"] += len(missing["rows"])
    total["blobs lost"] += len(missing["blobs"])
    total["blobs torn"] += len(set(check_blobs(paths)[2]) & {line[2:] for line in acked})


def _missing(paths: Paths, acked: set[str]) -> dict[str, list[str]]:
    """Of what was acknowledged, what is not there."""
    there: set[str] = set()
    with contextlib.suppress(apsw.Error, HomefireError):
        c = connect(paths.database)
        there = {str(row[0]) for row in c.execute("SELECT id FROM conversations")}
        c.close(True)
    rows = [line for line in acked if line.startswith("c ") and line[2:] not in there]
    blobs = [line for line in acked if line.startswith("b ") and not paths.blob(Digest(line[2:])).is_file()]
    return {"rows": rows, "blobs": blobs}
