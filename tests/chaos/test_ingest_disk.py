"""A full disk in the middle of an ingestion: one clear error, what was committed can be searched, and with space it goes on.

Does not cover: disks that fail (EIO); systems where nothing can be mounted: skipped there with the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from homefire.errors import DiskFull
from homefire.knowledge.search import Question
from tests.chaos.test_disk import fill, mounted
from tests.process.test_ingest import done, meant, room

FILES, LEFT = 1200, 400 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "disk", 24 * 2**20)


def test_a_full_disk_in_the_middle(disk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(FILES):  # more than one batch
        (folder / f"f{number:04}.txt").write_text(
            f"The word unique{number} stands here.\n" + "filler line\n" * 40, "utf-8"
        )

    async def work() -> None:
        async with room(disk / "home") as knowledge:
            await done(knowledge, folder / "f0000.txt", "one")
            await meant(knowledge, "one")
            filler = fill(disk)
            with pytest.raises(DiskFull):
                await knowledge.ingest(folder, "all")
            with filler.open("r+b") as file:  # room for the first steps
                file.truncate(filler.stat().st_size - LEFT)
            last = await done(knowledge, folder, "all")
            assert (last["state"], last["error"]["code"]) == ("failed", "disk_full"), last
            assert (await knowledge.find(Question("unique0", mode="words"))).found, "reading goes on"
            filler.unlink()
            last = await done(knowledge, folder, "all")
            assert (last["state"], last["error"]) == ("done", None), last
            await meant(knowledge, "all")
            assert (await knowledge.verify("all"))["whole"]
            for number in (0, 599, FILES - 1):
                found = (await knowledge.find(Question(f"unique{number}", collections=("all",), mode="words"))).found
                assert [each.path for each in found] == [f"f{number:04}.txt"]

    asyncio.run(work())
