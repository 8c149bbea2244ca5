"""Models that wait in main memory: which are kept, when they are read again, and what the page cache holds of real files.

Promises: decisions without a disk; the look at the page cache on real files, one of which was pushed out.
Does not cover: what a load gains by it (`homefire bench swap`), a machine under pressure.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from homefire.residency import host_shelf
from homefire.residency.host_shelf import FIRST_AGAIN, MOST, Candidate, HostShelf, choose, look
from homefire.residency.plan import HOST
from homefire.residency.read_ahead import read_ahead
from tests.null.keeper_bench import Bench, run, settle


def shelf(**sizes: int) -> dict[str, Candidate]:
    return {name: Candidate((Path(name),), size) for name, size in sizes.items()}


def test_the_most_wanted_that_fit_are_kept() -> None:
    found = shelf(a=4, b=4, c=4, d=1)
    assert choose(found, {"a": 1.0, "b": 3.0, "c": 2.0, "d": 0.5}, 9, 0.0)[0] == ["b", "c", "d"]
    assert choose(found, {"a": 1.0, "b": 3.0, "c": 2.0, "d": 0.5}, 3, 0.0)[0] == ["d"], (
        "one that does not fit is passed over"
    )
    assert choose(found, {"a": 1.0}, 100, 0.0)[0] == ["a"], "what nobody wants is not kept"
    many = shelf(**{f"m{number}": 1 for number in range(9)})
    assert len(choose(many, dict.fromkeys(many, 1.0), 100, 0.0)[0]) == MOST


@pytest.mark.parametrize("free", [0, -5])
def test_nothing_is_read_where_memory_is_short(free: int) -> None:
    assert choose(shelf(a=1), {"a": 1.0}, free, 0.0) == ([], [])


def test_only_what_was_pushed_out_is_read() -> None:
    found = shelf(a=1, b=1, c=1)
    found["a"].share, found["b"].share = 0.99, 0.5
    values = dict.fromkeys(found, 1.0)
    assert set(choose(found, values, 10, 0.0)[1]) == {"b", "c"}, "where it is not known it is read"
    found["b"].not_before = 5.0
    assert choose(found, values, 10, 4.0)[1] == ["c"]
    assert set(choose(found, values, 10, 5.0)[1]) == {"b", "c"}


def test_what_is_pushed_out_again_and_again_is_read_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[float] = []
    now = 0.0
    monkeypatch.setattr(host_shelf, "look", lambda files: (8, 0.0))
    monkeypatch.setattr(host_shelf, "read_ahead", lambda files, most: reads.append(now))

    async def main() -> None:
        nonlocal now
        kept = HostShelf()
        kept.left("a", (Path("a"),))
        kept.left("none", ())
        assert kept.names() == ["a"]
        for second in range(0, 7200, 10):
            now = float(second)
            await kept.tend({"a": 1.0}, 10, now)
        assert [(row.model, row.bytes, row.share) for row in kept.rows()] == [("a", 8, 0.0)]
        await kept.tend({"a": 1.0}, 5, now)
        assert kept.rows() == [], "there is no room for it any more"
        await kept.tend({}, 10, now)
        assert kept.names() == [], "nobody wants it any more"

    asyncio.run(main())
    gaps = [later - earlier for earlier, later in itertools.pairwise(reads)]
    assert gaps[0] == FIRST_AGAIN and gaps == sorted(gaps) and len(reads) < 12


def test_the_page_cache_of_real_files(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(1 << 20))
    size, share = look([file])
    assert size == 1 << 20 and share in (1.0, None)
    assert look([tmp_path / "gone"]) == (0, None)
    if share is None:
        pytest.skip("this file system does not tell what lies in the page cache")
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    after = look([file])[1]
    assert after is not None
    if after == 1.0:
        pytest.skip("this file system keeps its files in memory")
    read_ahead([file], 1 << 20)
    for _ in range(200):
        if (look([file])[1] or 0.0) > 0.9:
            break
        os.sched_yield()
    else:
        assert file.read_bytes() and look([file])[1] == 1.0


def test_the_keeper_keeps_what_left(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    monkeypatch.setattr(host_shelf, "look", lambda files: (1, 0.0))
    monkeypatch.setattr(host_shelf, "read_ahead", lambda files, most: read.append(files))

    async def work(bench: Bench) -> None:
        bench.memory.files = (Path("the file"),)
        bench.memory.sizes["b"] = 2
        (await bench.keeper.ensure("a")).release()
        bench.memory.total = 2
        (await bench.keeper.ensure("b")).release()  # "a" makes room
        await bench.keeper._tend_shelf()
        assert bench.keeper.table().in_host_memory == [], "all is promised to the other"
        bench.memory.total = 4
        bench.keeper._room = await bench.memory.room([])
        await bench.keeper._tend_shelf()
        assert [row.model for row in bench.keeper.table().in_host_memory] == ["a"]
        assert read == [(Path("the file"),)]
        (await bench.keeper.ensure("a")).release()
        await settle()
        assert bench.keeper.table().in_host_memory == [] and bench.keeper._free_host() == 1
        assert bench.keeper.table().devices[0].name == HOST

    run(work, room=1)
