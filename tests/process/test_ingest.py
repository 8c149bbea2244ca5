"""The room of knowledge without a daemon: real children, real indexes; vectors made of hashed words.

Does not cover: kinds of documents (`tests/contract/test_reader.py`), kills (`tests/chaos/test_ingest_kill.py`), routes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import (
    BadArchive,
    CannotIngest,
    CollectionExists,
    InvalidRequest,
    UnknownCollection,
    UnknownDocument,
)
from homefire.knowledge.ingest import IngestRules
from homefire.knowledge.knowledge import Knowledge
from homefire.knowledge.meaning import Provider
from homefire.knowledge.search import Question
from homefire.paths import Paths
from homefire.store import Filter, Store

WIDTH = 64
ALIKE = {"automobile": "car", "physician": "doctor", "sea": "ocean"}


class Hashed:
    """An embedder of hashed words that knows some synonyms."""

    def __init__(self, name: str = "hashed") -> None:
        self.name = name
        self.asked = 0

    async def providers(self) -> Sequence[Provider]:
        return (Provider(f"{self.name}/1", self.name, WIDTH),)

    async def vectors(self, tag: str, texts: Sequence[str], urgent: bool) -> Sequence[bytes]:
        self.asked += len(texts)
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> bytes:
        sums = [0.0] * WIDTH
        for word in re.findall(r"[a-z]+", text.lower()):
            sign = hashlib.sha256((self.name[0] + ALIKE.get(word, word)).encode()).digest()
            for place in range(WIDTH):
                sums[place] += 1 if sign[place // 8] >> (place % 8) & 1 else -1
        length = sum(each * each for each in sums) ** 0.5 or 1.0
        return struct.pack(f"<{WIDTH}f", *(each / length for each in sums))


@asynccontextmanager
async def room(home: Path, embed: Any = None, segment: int = 256 * 2**20) -> Any:
    (paths := Paths(home)).prepare()
    store = Store(paths.database)
    store.open()
    knowledge = Knowledge(store, paths, lambda: IngestRules(readers=1, segment=segment), embed or Hashed())
    await knowledge.open()
    try:
        yield knowledge
    finally:
        await knowledge.close()
        store.close()


async def done(knowledge: Knowledge, root: Path, name: str | None = None, **options: bool) -> dict[str, Any]:
    job = await knowledge.ingest(root, name, **options)
    return [each async for each in knowledge.ingestion.follow(job)][-1]


async def meant(knowledge: Knowledge, name: str) -> None:
    async with asyncio.timeout(30):
        # A background job's state has no event.
        while (await knowledge.show(name))["meaning"]["state"] != "ready":  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def vector_folders(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "home/indexes/1/vectors").iterdir())


async def paths_of(knowledge: Knowledge, text: str, **options: Any) -> list[str]:
    return [f"{each.path}:{each.line}" for each in (await knowledge.find(Question(text, **options))).found]


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    (root / "code").mkdir(parents=True)
    (root / "cars.md").write_text(
        "# Garage\n\nIntro words.\n\n## Repairs\n\nThe automobile needs a new gearbox before winter comes.\n", "utf-8"
    )
    (root / "code/store.py").write_text(
        "class Store:\n    def write_all_rows(self):\n        return 1\n\n\ndef unrelated():\n    return 2\n", "utf-8"
    )
    (root / "code/same.py").write_text((root / "code/store.py").read_text("utf-8"), "utf-8")
    (root / "data.csv").write_text("city,people\nOslo,709037\nBergen,291940\n", "utf-8")
    (root / ".env").write_text("TOKEN=abc\n", "utf-8")
    (root / "blob.bin").write_bytes(bytes(range(256)) * 8)
    return root


def test_words_meaning_patterns_and_places(tmp_path: Path, folder: Path) -> None:
    async def work() -> None:
        async with room(tmp_path / "home") as knowledge:
            last = await done(knowledge, folder)
            assert (last["state"], last["error"]) == ("done", None), last
            shown = await knowledge.show("notes")
            assert (shown["documents"], shown["texts"]) == (4, 3), "two files with one text"
            skipped = {row.shown: row.code for row in await knowledge.documents("notes", state="skipped")}
            assert skipped[".env"] == "secret_skipped" and skipped["blob.bin"] == "not_text"
            assert (await paths_of(knowledge, "write rows", mode="words"))[0] == "code/same.py:2"
            assert (await knowledge.find(Question("write_all_rows"))).found[0].also == ("code/store.py",)
            await meant(knowledge, "notes")
            assert (await paths_of(knowledge, "car gearbox winter", mode="meaning"))[0].startswith("cars.md")
            found = (await knowledge.find(Question("gearbox"))).found[0]
            assert found.label == "Garage > Repairs" and "words" in found.why["lists"]
            assert await paths_of(knowledge, r"^Ber\w+,\d", mode="pattern") == ["data.csv:3"]
            assert await paths_of(knowledge, "return", mode="words", filter=Filter(path="code/sa*")) == [
                "code/same.py:3"
            ]
            assert await paths_of(knowledge, "return", mode="pattern", filter=Filter(language="rust")) == []
            seen = await knowledge.excerpt("notes", "cars.md", 5, 2)
            assert (seen.text, seen.lines, seen.cut) == ("## Repairs\n\n", 7, False)

    run(work)


def test_only_what_changed_is_read_again(tmp_path: Path, folder: Path) -> None:
    async def work() -> None:
        for file in folder.rglob("*"):
            os.utime(file, (1e9 + 0.5, 1e9 + 0.5))
        embed = Hashed()
        async with room(tmp_path / "home", embed) as knowledge:
            assert (await done(knowledge, folder))["unchanged"] == 0
            await meant(knowledge, "notes")
            embedded = embed.asked
            assert (await done(knowledge, folder))["unchanged"] == 5
            (folder / "cars.md").write_text("# Garage\n\nNow it has wings and flies over the ocean quickly.\n", "utf-8")
            (folder / "data.csv").unlink()
            last = await done(knowledge, folder)
            assert last["unchanged"] == 3
            assert await paths_of(knowledge, "Bergen", mode="words") == []
            assert await paths_of(knowledge, "gearbox", mode="words") == []
            assert await paths_of(knowledge, "gearbox", mode="pattern") == []
            assert await paths_of(knowledge, "wings", mode="words") == ["cars.md:3"]
            await meant(knowledge, "notes")
            assert 0 < embed.asked - embedded < embedded
            found = await paths_of(knowledge, "automobile gearbox before winter", mode="meaning")
            assert not any(each.startswith("data.csv") for each in found)
            with pytest.raises(UnknownDocument):
                await knowledge.excerpt("notes", "data.csv")

    run(work)


def test_a_folder_that_is_gone_takes_nothing_with_it(tmp_path: Path, folder: Path) -> None:
    async def work() -> None:
        async with room(tmp_path / "home") as knowledge:
            await done(knowledge, folder)
            folder.rename(tmp_path / "away")
            with pytest.raises(CannotIngest):
                await knowledge.ingest(folder)
            assert await paths_of(knowledge, "gearbox", mode="words") == ["cars.md:7"]

    run(work)


def test_names_and_wrong_roots(tmp_path: Path, folder: Path) -> None:
    async def work() -> None:
        other = tmp_path / "x" / "notes"
        other.mkdir(parents=True)
        (other / "one.txt").write_text("only one gearbox\n", "utf-8")
        async with room(tmp_path / "home") as knowledge:
            jobs = await asyncio.gather(knowledge.ingest(folder), knowledge.ingest(folder), knowledge.ingest(other))
            assert jobs[0] is jobs[1] and [each.collection for each in jobs] == ["notes", "notes", "notes-2"]
            for job in jobs:
                async for _ in knowledge.ingestion.follow(job):
                    pass
            found = (await knowledge.find(Question("gearbox", mode="words"))).found
            assert {each.collection for each in found} == {"notes", "notes-2"}
            only = Question("gearbox", collections=("notes-2",), mode="words")
            assert [each.path for each in (await knowledge.find(only)).found] == ["one.txt"]
            with pytest.raises(CollectionExists):
                await knowledge.ingest(other, "notes")
            with pytest.raises(InvalidRequest):
                await knowledge.ingest(other, "../x")
            with pytest.raises(InvalidRequest):
                await knowledge.ingest(Path("relative"))
            for wrong in (tmp_path / "nothing", Path("/dev/null")):
                with pytest.raises(CannotIngest):
                    await knowledge.ingest(wrong)
            with pytest.raises(UnknownCollection):
                await knowledge.find(Question("x", collections=("nobody",)))
            for bad in ("", "x" * 1_000_000):
                with pytest.raises(InvalidRequest):
                    await knowledge.find(Question(bad))
            await knowledge.remove("notes-2")
            assert [each["name"] for each in await knowledge.all()] == ["notes"]
            assert [each.name for each in (tmp_path / "home/indexes").iterdir()] == ["1"]

    run(work)


def test_odd_files_cost_a_line_each(tmp_path: Path) -> None:
    async def work() -> None:
        root = tmp_path / "odd"
        root.mkdir()
        (root / "loop").symlink_to(root)
        (root / "good.txt").write_text("a plain gearbox sentence\n", "utf-8")
        os.mkfifo(root / "pipe")
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(root / "sock"))
        (Path(os.fsdecode(os.fsencode(root) + b"/n\xff.txt"))).write_text("named oddly\n", "utf-8")
        (root / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
        (root / "empty.txt").write_bytes(b"")
        (root / "wide.txt").write_text("word " * 300_000, "utf-8")
        with (root / "huge.log").open("wb") as huge:
            huge.truncate(20 * 2**30)  # as large as that, but for the disk's blocks
        async with room(tmp_path / "home") as knowledge:
            last = await done(knowledge, root)
            assert last["state"] == "done", last
            rows = {row.shown: (row.state, row.code) for row in await knowledge.documents("odd")}
            assert rows["loop"] == rows["pipe"] == rows["sock"] == ("skipped", "not_a_file")
            assert rows["n%FF.txt"][0] == "read" and rows["good.txt"][0] == "read" and rows["wide.txt"][0] == "read"
            assert rows["broken.pdf"][0] == "failed"
            assert rows["huge.log"] == ("skipped", "document_too_large")
            assert await paths_of(knowledge, "oddly", mode="words") == ["n%FF.txt:1"]

    run(work)


def test_damage_is_seen_and_mended(tmp_path: Path, folder: Path) -> None:
    async def work() -> None:
        async with room(tmp_path / "home") as knowledge:
            await done(knowledge, folder)
            await meant(knowledge, "notes")
            assert (await knowledge.verify("notes"))["whole"]
        for pattern in ("volumes/*.text", "indexes/1/words/*.store", "indexes/1/vectors/*/rows.*"):
            (file,) = list((tmp_path / "home").glob(pattern))[:1]
            data = bytearray(file.read_bytes())
            data[len(data) // 3] ^= 0x10
            file.write_bytes(data)
        async with room(tmp_path / "home") as knowledge:
            report = await knowledge.verify("notes", mend=True)
            assert len(report["damaged_documents"]) >= 1 and report["damaged_words"] and report["damaged_vectors"]
            job = knowledge.ingestion.job("notes")
            assert job is not None
            async for _ in knowledge.ingestion.follow(job):
                pass
            await meant(knowledge, "notes")
            assert (await knowledge.verify("notes"))["whole"]
            assert await paths_of(knowledge, "gearbox", mode="words") == ["cars.md:7"]
            assert (await paths_of(knowledge, "car gearbox winter", mode="meaning"))[0].startswith("cars.md")

    run(work)


def test_another_embedder_takes_over_when_it_has_all(tmp_path: Path, folder: Path) -> None:
    async def work() -> None:
        async with room(tmp_path / "home") as knowledge:
            await done(knowledge, folder)
            await meant(knowledge, "notes")
        async with room(tmp_path / "home", Hashed("other")) as knowledge:
            await meant(knowledge, "notes")
            async with asyncio.timeout(30):
                while len(spaces := await knowledge.rows.spaces(1)) > 1 or len(vector_folders(tmp_path)) > 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert [space.name for space in spaces] == ["other"]
            assert (await paths_of(knowledge, "car gearbox", mode="meaning"))[0].startswith("cars.md")

    run(work)


def test_a_collection_travels_as_one_file(tmp_path: Path, folder: Path) -> None:
    async def work() -> None:
        file = tmp_path / "notes.knowledge"
        async with room(tmp_path / "home") as knowledge:
            await done(knowledge, folder)
            size = await knowledge.export("notes", file)
            assert size == file.stat().st_size
            with pytest.raises(InvalidRequest):
                await knowledge.export("notes", file)
            before = await knowledge.documents("notes")
            with pytest.raises(CollectionExists):
                await knowledge.import_(file)
            job = await knowledge.import_(file, "twin")
            assert [each async for each in knowledge.ingestion.follow(job)][-1]["state"] == "done"
            assert len(list((tmp_path / "home/volumes").glob("*.text"))) == 1, "texts are stored once"
        async with room(tmp_path / "other") as knowledge:
            job = await knowledge.import_(file)
            assert [each async for each in knowledge.ingestion.follow(job)][-1]["state"] == "done"
            after = await knowledge.documents("notes")
            assert [(row.shown, row.state, row.source) for row in after] == [
                (row.shown, row.state, row.source) for row in before
            ]
            assert await paths_of(knowledge, "gearbox", mode="words") == ["cars.md:7"]
            await meant(knowledge, "notes")
            assert (await knowledge.verify("notes"))["whole"]
            data = file.read_bytes()
            for name, bad in {
                "cut": data[:-9], "flipped": data[:900] + bytes([data[900] ^ 4]) + data[901:], "more": data + b"x",
                "zip": b"PK\x03\x04" * 99, "empty": b"",
            }.items():  # fmt: skip
                (wrong := tmp_path / name).write_bytes(bad)
                try:
                    job = await knowledge.import_(wrong, name)
                except BadArchive:
                    continue
                last = [each async for each in knowledge.ingestion.follow(job)][-1]
                assert (last["state"], last["error"]["code"]) == ("failed", "bad_archive"), (name, last)

    run(work)


def test_volumes_that_are_mostly_dead_are_written_anew(tmp_path: Path) -> None:
    async def work() -> None:
        root, volumes = tmp_path / "many", tmp_path / "home/volumes"
        root.mkdir()
        for number in range(30):
            (root / f"f{number:02}.txt").write_text(f"File {number} speaks.\n" + f"line {number}\n" * 100, "utf-8")
        async with room(tmp_path / "home", segment=4000) as knowledge:
            await done(knowledge, root)
            before = len(list(volumes.glob("*.text")))
            assert before > 5
            for number in range(30):
                if number % 10:
                    (root / f"f{number:02}.txt").unlink()
            (root / "new.txt").write_text("something new\n", "utf-8")
            await done(knowledge, root)
            # The newest is still being filled, and one that was half alive stays.
            assert len(list(volumes.glob("*.text"))) <= 3
            assert len(list(volumes.glob("*.lines"))) == len(list(volumes.glob("*.text")))
            assert (await knowledge.verify("many"))["whole"]
            assert await paths_of(knowledge, "line 20", mode="pattern", literal=True) == ["f20.txt:2"]
            seen = await knowledge.excerpt("many", "f20.txt", 100, 5)
            assert seen.text == "line 20\n" * 2

    run(work)


def test_what_is_mostly_dead_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        root = tmp_path / "many"
        root.mkdir()
        for number in range(40):
            (root / f"f{number}.md").write_text(
                "\n".join(f"Sentence {line} of file {number} speaks of a gearbox again." for line in range(40)), "utf-8"
            )
        (root / "kept.md").write_text("Only this one sentence about a lighthouse will stay here.\n", "utf-8")
        async with room(tmp_path / "home") as knowledge:
            await done(knowledge, root)
            await meant(knowledge, "many")
            for number in range(1, 40):
                (root / f"f{number}.md").unlink()
            (root / "new.md").write_text("A new sentence makes the vectors look again at everything.\n", "utf-8")
            await done(knowledge, root)
            await meant(knowledge, "many")
            async with asyncio.timeout(20):
                while (space := (await knowledge.rows.spaces(1))[0]).generation == 0:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert space.rows < 100 and await knowledge.rows.dead(1) == []
            assert [folder.name[-2:] for folder in vector_folders(tmp_path)] == ["-1"]
            assert (await paths_of(knowledge, "lighthouse sentence stay", mode="meaning"))[0].startswith("kept.md")

    monkeypatch.setattr("homefire.knowledge.shelves.FEWEST_DEAD", 100)
    run(work)


def test_a_reranker_has_the_last_word_if_asked(tmp_path: Path, folder: Path) -> None:
    async def work() -> None:
        async def judge(question: str, texts: Sequence[str]) -> Sequence[float] | None:
            return None if question.startswith("none") else [-float(len(text)) for text in texts]

        async with room(tmp_path / "home") as knowledge:
            await done(knowledge, folder)
            plain = await paths_of(knowledge, "return gearbox city", mode="words")
            knowledge.searching._judge = judge
            judged = await knowledge.find(Question("return gearbox city", mode="words", judged=True))
            lengths = [len(each.text) for each in judged.found]
            assert lengths == sorted(lengths) and len(plain) == len(lengths)
            assert judged.found[0].why["added"]["judged"] == -lengths[0]
            none = await knowledge.find(Question("none gearbox", mode="words", judged=True))
            assert none.found and "No reranker" in none.notes[0]

    run(work)
