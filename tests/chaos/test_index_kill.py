"""kill -9 while an index is written, a full disk, torn tails, flipped bytes: what was committed is whole, or the damage is seen.

Promises: after each kill the next writer opens at once (no lock is left), everything that was said to be committed is found, and
nothing beyond the mark is; damage anywhere in the files is seen by `check` or on opening, and the sound rows make a new index.
Does not cover: the database that holds the mark (`test_kill.py`), power loss.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from homefire.errors import DiskFull, HomefireError, IndexDamaged
from homefire.index.vectors import Vectors, VectorsWriter
from homefire.index.words import WordRow, Words, WordsWriter
from tests.chaos.index_writer import BATCH, WIDTH, vector_of, word_of
from tests.chaos.test_disk import fill, mounted

KILLS = 200 if os.environ.get("HOMEFIRE_PROOF") == "full" else 12


def killed_writer(folder: Path, mark: int, rows: int, after: float) -> tuple[int, int, int]:
    """Lets a writer go on for a while and kills it; the mark it found, and the last (mark, rows) it said."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.index_writer", str(folder), str(mark), str(rows)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        opened = child.stdout.readline().split()
        assert opened[0] == b"opened", "a writer opens after a kill"
        select.select([], [], [], after)
    finally:
        child.kill()
        child.wait()
    said = child.stdout.read().splitlines()
    child.stdout.close()
    last = [line.split() for line in said if line.count(b" ") == 2]
    return int(opened[1]), *((int(last[-1][1]), int(last[-1][2])) if last else (mark, rows))


def look(folder: Path, mark: int, rows: int) -> None:
    """Everything up to the mark is there, in words and in vectors."""
    words, vectors = Words(folder / "words"), Vectors(folder / "vectors", WIDTH, rows)
    assert rows == mark * BATCH
    assert vectors.check() == []
    assert words.check() == []
    for text in random.Random(mark).sample(range(rows), min(rows, 20)):
        assert [hit.id >> 20 for hit in words.search(word_of(text), 5)] == [text]
        assert vectors.search(vector_of(text), 1)[0].id >> 20 == text
    for text in range(rows, rows + 3 * BATCH):
        assert all(hit.id >> 20 != text for hit in vectors.search(vector_of(text), 1))


def test_kill_at_random_moments(tmp_path: Path) -> None:
    drawn = random.Random(int(os.environ.get("HOMEFIRE_SEED", "1")))
    mark = rows = 0
    for _ in range(KILLS):
        found, said, written = killed_writer(tmp_path, mark, rows, drawn.uniform(0, 0.25))
        assert found >= mark
        mark, rows = said, written
        if mark:
            look(tmp_path, mark, rows)
            # The kill may have come between the commit and the word about it: then one batch more is there.
            assert Words(tmp_path / "words").reload() in (mark, mark + 1)
    assert mark > 3


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, int]]:
    folder = tmp_path_factory.mktemp("index")
    mark = rows = 0
    deadline = time.monotonic() + 60
    while mark < 10 and time.monotonic() < deadline:
        _, mark, rows = killed_writer(folder, mark, rows, 0.3)
    yield folder, mark, rows


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "disk", 12 << 20)


def test_a_full_disk_ends_a_batch_and_no_more(small_disk: Path) -> None:
    words = WordsWriter(small_disk / "words", heap_bytes=15 << 20)
    words.add([WordRow(0, 0, b"aardvark")])
    words.commit(1)
    with pytest.raises(DiskFull):
        for batch in range(1, 200):
            many = [" ".join(f"w{batch}x{n}y{each}" for each in range(300)).encode() for n in range(50)]
            words.add([WordRow((batch * 50 + n) << 20, batch * 50 + n, text) for n, text in enumerate(many)])
            words.commit(1 + batch)
    with contextlib.suppress(HomefireError):
        words.close()
    again = WordsWriter(small_disk / "words", heap_bytes=15 << 20)
    assert again.mark >= 1
    assert [hit.id for hit in Words(small_disk / "words").search("aardvark", 5)] == [0]
    described = (small_disk / "words" / "meta.json").read_text("utf-8").replace("-", "")
    left = [
        f.name for f in (small_disk / "words").glob("[!.]*.*") if f.name.partition(".")[0] not in (described + "meta")
    ]
    assert left == [], "what the batch that failed has written is removed"
    again.close()


def test_a_full_disk_ends_a_batch_of_vectors(small_disk: Path) -> None:
    vectors = VectorsWriter(small_disk / "vectors", WIDTH, 0)
    filler = fill(small_disk)
    made = np.stack([vector_of(text) for text in range(2000)])
    vectors.append([text << 20 for text in range(2000)], [(0, 9)] * 2000, list(range(2000)), made)
    with pytest.raises(DiskFull):
        vectors.sync()
    filler.unlink()
    assert vectors.sync() == 2000
    vectors.close()
    assert Vectors(small_disk / "vectors", WIDTH, 2000).check() == []


def test_torn_tails_beyond_the_commit_are_cut(written: tuple[Path, int, int]) -> None:
    folder, mark, rows = written
    for name in (f"bits.{WIDTH}", f"rows.{WIDTH}", "windows", "sums"):
        with open(folder / "vectors" / name, "ab") as file:
            file.write(os.urandom(random.Random(name).randint(1, 3000)))
        look(folder, mark, rows)
        VectorsWriter(folder / "vectors", WIDTH, rows).close()
        look(folder, mark, rows)


def overwrite(file: Path, place: int, data: bytes) -> None:
    """In place: a mapped file that is made shorter ends who reads it (SIGBUS)."""
    with open(file, "r+b") as opened:
        opened.seek(place)
        opened.write(data)


def test_flipped_bytes_are_seen_and_what_is_sound_makes_a_new_index(
    written: tuple[Path, int, int], tmp_path: Path
) -> None:
    folder, _, rows = written
    drawn = random.Random(2)
    VectorsWriter(folder / "vectors", WIDTH, rows).close()  # what was not committed is cut
    files = [file for file in (folder / "vectors").iterdir() if file.name != "lock"]
    for at in range(40):
        file = drawn.choice(files)
        data = file.read_bytes()
        place = drawn.randrange(max(len(data) - 64, 1))
        overwrite(file, place, bytes(byte ^ 0xFF for byte in data[place : place + 64]))
        try:
            index = Vectors(folder / "vectors", WIDTH, rows)
            damaged = index.check()
            assert damaged, file.name
            bad = np.concatenate([np.arange(first, end) for first, end in damaged])
            sound = np.setdiff1d(np.arange(rows), bad)
            writer = VectorsWriter(tmp_path / str(at), WIDTH, 0)
            spans = np.stack([index.windows["start"], index.windows["length"]], axis=1)
            writer.copy(index, sound, index.windows["id"][sound], spans[sound])
            kept = writer.sync()
            writer.close()
            assert Vectors(tmp_path / str(at), WIDTH, kept).check() == []
        except IndexDamaged:
            assert file.name == "sums", "only what says where extents end is seen on opening"
        finally:
            overwrite(file, 0, data)
    words = Words(folder / "words")
    described = (folder / "words" / "meta.json").read_text("utf-8")
    held = [file for file in (folder / "words").glob("[!.]*.*") if file.suffix not in (".json", ".del")]
    files = [file for file in held if file.name.partition(".")[0] in described.replace("-", "")]
    for _ in range(40):
        file = drawn.choice(files)
        data = file.read_bytes()
        place = drawn.randrange(len(data))
        overwrite(file, place, bytes([data[place] ^ 0xFF]))
        assert file.name in words.check()
        overwrite(file, 0, data)
    assert words.check() == []
