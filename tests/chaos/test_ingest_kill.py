"""Ingestion under `kill -9`: of the daemon's process or of the child alone, at random moments, again and again.

After each kill the folder changes a little. After every tenth kill all that is stored is what the folder holds: each document
once, each text whole, each word and each vector where it belongs.
Does not cover: power cuts (`test_power.py` has the store's), kills of reading children (`tests/process/test_reading.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from homefire.knowledge.packing import unpack_windows
from homefire.knowledge.search import Question
from homefire.store import Filter
from tests.conftest import ROOT
from tests.process.test_ingest import done, meant, room

KILLS = 200 if os.environ.get("HOMEFIRE_PROOF") == "full" else 20
FILES = 60


def write(folder: Path, number: int, version: int, chance: random.Random) -> None:
    """A file with words of its own: `onlyNxV` is in no other and in no other version."""
    lines = [f"The only{number}x{version} word stands here in a sentence.", "# Heading", ""]
    lines += [" ".join(chance.choices(["river", "stone", "bridge", "lamp", "winter"], k=12)) + "." for _ in range(60)]
    (folder / f"file{number}.md").write_text("\n".join(lines), "utf-8")


async def compare(home: Path, folder: Path, versions: dict[int, int]) -> None:
    """Lets the ingestion end and holds what is stored against the folder."""
    async with room(home) as knowledge:
        last = await done(knowledge, folder, "all")
        assert last["state"] == "done", last
        await meant(knowledge, "all")
        documents = await knowledge.documents("all", limit=1000)
        assert sorted(row.shown for row in documents) == sorted(f"file{number}.md" for number in versions)
        assert all(row.state == "read" for row in documents)
        report = await knowledge.verify("all")
        assert report["whole"], report
        for number, version in versions.items():
            found = (await knowledge.find(Question(f"only{number}x{version}", mode="words"))).found
            assert [each.path for each in found] == [f"file{number}.md"], (number, version, found)
            stale = (await knowledge.find(Question(f"+only{number}x{version - 1}", mode="words"))).found
            assert stale == ()
        collection = await knowledge.rows.get("all")
        live = await knowledge.rows.live(collection.id, 0, 10_000)
        held = await knowledge.rows.holders([collection.id], [text.id for _, text in live], Filter())
        assert all(len(held.get(text.id, [])) == 1 for _, text in live), "no text that nobody has"
        (space,) = await knowledge.rows.spaces(collection.id)
        vectors = await knowledge.shelves.vectors(collection.id, space)
        windows = sum(len(unpack_windows(text.windows)) for _, text in live)
        assert vectors.rows - vectors.dead == windows, "each window has one living row"


def test_killed_at_random_moments(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    folder, home = tmp_path / "folder", tmp_path / "home"
    folder.mkdir()
    versions = dict.fromkeys(range(FILES), 1)
    for number in versions:
        write(folder, number, 1, chance)
    hits = 0
    for kill in range(KILLS):
        hits += one_kill(home, folder, chance)
        for number in chance.sample(sorted(versions), 6):
            versions[number] += 1
            write(folder, number, versions[number], chance)
        gone = chance.choice(sorted(versions))
        (folder / f"file{gone}.md").unlink()
        del versions[gone]
        new = max(versions) + 1
        versions[new] = 1
        write(folder, new, 1, chance)
        if kill % 10 == 9:
            asyncio.run(compare(home, folder, versions))
    assert hits >= KILLS // 4, "most kills came too late to hit anything"


def one_kill(home: Path, folder: Path, chance: random.Random) -> bool:
    """Starts the program, kills it or its child after a moment; whether the run was under way."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.ingesting", str(home), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as program:
        assert program.stdout is not None
        first = program.stdout.readline().split()
        if not first or first[0] != "child":  # over before it was seen
            program.wait()
            return False
        child = int(first[1])
        time.sleep(chance.uniform(0, 0.9))
        target = child if chance.random() < 0.4 else program.pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(target, signal.SIGKILL)
        left = program.stdout.read()
        program.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and Path(f"/proc/{child}").exists():
        time.sleep(0.01)
    assert not Path(f"/proc/{child}").exists(), "the child outlived what it worked for"
    return "done" not in left
