"""What every place that knowledge is kept in does the same: the home itself, and a PostgreSQL server that several share.

Real ingestion, a real server (`tests/postgres_server.py`); vectors made of hashed words.
Does not cover: how well words are ranked (`homefire bench retrieval`), a server on another machine.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import (
    BadPattern,
    BadSetting,
    CollectionExists,
    KnowledgeStoreRefused,
    KnowledgeStoreUnreachable,
    UnknownCollection,
    UnknownDocument,
)
from homefire.knowledge.ingest import IngestRules
from homefire.knowledge.knowledge import Knowledge
from homefire.knowledge.search import Question
from homefire.paths import Paths
from homefire.store import Filter, Store
from tests.postgres_server import PASSWORD, Server, missing, running
from tests.process.test_ingest import Hashed, done, meant, paths_of

Room = Callable[..., AbstractAsyncContextManager[Knowledge]]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if why := missing():
        pytest.skip(why)
    with running() as found:
        yield found


@pytest.fixture
def database(server: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of its own for a test."""
    name = re.sub(r"\W", "_", request.node.name.lower())[:50]
    server.sql(f"CREATE DATABASE {name} TEMPLATE template0")
    yield server.address(name)
    server.sql(f"DROP DATABASE {name} WITH (FORCE)")


def on(address: str, password: str = PASSWORD, owner: str = "one") -> Any:
    from homefire.knowledge.postgres import on_server
    from homefire.store.postgres import Postgres

    return on_server(Postgres(address, password, owner))


@asynccontextmanager
async def opened(home: Path, elsewhere: Any = None, embed: Any = None) -> AsyncIterator[Knowledge]:
    (paths := Paths(home)).prepare()
    store = Store(paths.database)
    store.open()
    knowledge = Knowledge(store, paths, lambda: IngestRules(readers=1), embed or Hashed(), elsewhere=elsewhere)
    assert knowledge.rows.holds_texts is (elsewhere is not None)
    await knowledge.open()
    try:
        yield knowledge
    finally:
        await knowledge.close()
        store.close()


@pytest.fixture(params=["home", "postgres"])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Room:
    """Opens knowledge; each time the same."""
    address = request.getfixturevalue("database") if request.param == "postgres" else ""
    return lambda **given: opened(tmp_path / "home", on(address) if address else None, **given)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    (root / "code").mkdir(parents=True)
    (root / "cars.md").write_text(
        "# Garage\n\nIntro words.\n\n## Repairs\n\nThe automobile needs a new gearbox before winter comes.\n", "utf-8"
    )
    (root / "code/store.py").write_text(
        "class Store:\n    def writeAllRows(self):\n        return 1\n\n\ndef unrelated_thing():\n    return 2\n",
        "utf-8",
    )
    (root / "code/same.py").write_text((root / "code/store.py").read_text("utf-8"), "utf-8")
    (root / "data.csv").write_text("city,people\nOslo,709037\nÅlesund,67520\nBergen,291940\n", "utf-8")
    (root / "long.txt").write_text("".join(f"line {n} about nothing much\n" for n in range(1, 400)), "utf-8")
    for file in root.rglob("*"):
        os.utime(file, (1e9 + 0.5, 1e9 + 0.5))
    return root


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def test_everything_is_found_by_words_meaning_and_patterns(room: Room, folder: Path) -> None:
    async def work() -> None:
        async with room() as knowledge:
            last = await done(knowledge, folder)
            assert (last["state"], last["error"]) == ("done", None), last
            shown = await knowledge.show("notes")
            assert (shown["documents"], shown["texts"]) == (5, 4), "two files with one text"
            for words in ("write rows", "writeAllRows", "WRITE +rows", '"all rows"', "writ*", "unrelated -gearbox"):
                assert (await paths_of(knowledge, words, mode="words"))[0].startswith("code/"), words
            assert await paths_of(knowledge, "writeallrows -return", mode="words") == []
            assert await paths_of(knowledge, "the of and'); DROP TABLE texts; --", mode="words") is not None
            assert (await knowledge.find(Question("repair", mode="words"))).found[0].label == "Garage > Repairs"
            await meant(knowledge, "notes")
            assert (await paths_of(knowledge, "car gearbox winter", mode="meaning"))[0].startswith("cars.md")
            both = (await knowledge.find(Question("car gearbox"))).found[0]
            assert both.path == "cars.md" and set(both.why["lists"]) == {"words", "meaning"}
            for pattern, where in (
                (r"^Ber\w+,\d", "data.csv:4"),
                (r"\bålesund\b", "data.csv:3"),
                ("line 3[0-9]{2}\\s", "long"),
            ):
                found = await paths_of(knowledge, pattern, mode="pattern")
                assert found and found[0].startswith(where), pattern
            assert await paths_of(knowledge, "needs a new (", mode="pattern", literal=True) == []
            assert await paths_of(knowledge, "a new gearbox", mode="pattern", literal=True) == ["cars.md:7"]
            with pytest.raises(BadPattern):
                await paths_of(knowledge, "(", mode="pattern")

    run(work)


def test_filters_excerpts_and_checks(room: Room, folder: Path) -> None:
    async def work() -> None:
        async with room() as knowledge:
            await done(knowledge, folder)
            await meant(knowledge, "notes")
            only = Filter(path="code/sa*")
            assert await paths_of(knowledge, "return", mode="words", filter=only) == ["code/same.py:3"]
            assert await paths_of(knowledge, "return", mode="pattern", filter=Filter(language="rust")) == []
            assert all(
                each.startswith("code/") for each in await paths_of(knowledge, "gearbox", mode="meaning", filter=only)
            )
            assert await paths_of(knowledge, "gearbox", mode="words", filter=Filter(since=2e9)) == []
            for glob in ("[c]ars.md", "c?rs.*", "*.md", "[^d]*.md"):
                assert await paths_of(knowledge, "gearbox", mode="words", filter=Filter(path=glob)), glob
            assert await paths_of(knowledge, "gearbox", mode="words", filter=Filter(path="cars_md")) == []
            seen = await knowledge.excerpt("notes", "long.txt", 301, 2)
            assert (seen.text, seen.lines) == ("line 301 about nothing much\nline 302 about nothing much\n", 399)
            report = await knowledge.verify("notes")
            assert report["whole"] and report["texts"] == 4, report
            pages = [row.shown for row in await knowledge.documents("notes")]
            assert pages == ["cars.md", "code/same.py", "code/store.py", "data.csv", "long.txt"]
            assert await knowledge.duplicates("notes") == []
            with pytest.raises(UnknownDocument):
                await knowledge.excerpt("notes", "nothing.md")

    run(work)


def test_what_changed_and_what_is_gone(room: Room, folder: Path) -> None:
    async def work() -> None:
        embed = Hashed()
        async with room(embed=embed) as knowledge:
            await done(knowledge, folder)
            await meant(knowledge, "notes")
            asked = embed.asked
            kept = (folder / "cars.md").read_text("utf-8")
            (folder / "cars.md").write_text("# Garage\n\nNow it has wings and flies over the ocean quickly.\n", "utf-8")
            (folder / "data.csv").unlink()
            assert (await done(knowledge, folder))["unchanged"] == 3
            for words, mode in (("Bergen", "words"), ("gearbox", "words"), ("gearbox", "pattern")):
                assert await paths_of(knowledge, words, mode=mode) == []
            assert await paths_of(knowledge, "wings", mode="words") == ["cars.md:3"]
            await meant(knowledge, "notes")
            assert 0 < embed.asked - asked < asked
            found = await paths_of(knowledge, "automobile gearbox before winter", mode="meaning")
            assert not any(each.startswith("data.csv") for each in found)
            (folder / "cars.md").write_text(kept, "utf-8")
            await done(knowledge, folder)
            assert await paths_of(knowledge, "gearbox", mode="words") == ["cars.md:7"], "it is back"
        async with room(embed=embed) as knowledge:
            assert await paths_of(knowledge, "gearbox", mode="words") == ["cars.md:7"]
            await meant(knowledge, "notes")
            await knowledge.remove("notes")
            with pytest.raises(UnknownCollection):
                await knowledge.show("notes")
            assert await paths_of(knowledge, "gearbox") == []

    run(work)


def test_vectors_of_the_dead_go_and_come_back_with_their_texts(
    room: Room, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homefire.knowledge.shelves.FEWEST_DEAD", 1)

    async def work() -> None:
        async with room() as knowledge:
            await done(knowledge, folder)
            await meant(knowledge, "notes")
            long, number = (folder / "long.txt").read_text("utf-8"), (await knowledge.rows.get("notes")).id
            (folder / "long.txt").unlink()
            await done(knowledge, folder)
            async with asyncio.timeout(30):
                while await knowledge.rows.dead(number):  # noqa: ASYNC110 # a background job's state has no event
                    await asyncio.sleep(0.02)
            assert (await paths_of(knowledge, "car gearbox winter", mode="meaning"))[0].startswith("cars.md")
            (folder / "long.txt").write_text(long, "utf-8")
            await done(knowledge, folder)
            await meant(knowledge, "notes")
            found = await paths_of(knowledge, "line about nothing much", mode="meaning")
            assert found and found[0].startswith("long.txt")
            assert (await knowledge.verify("notes"))["whole"]

    run(work)


def test_two_that_share_a_server(database: str, server: Server, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "own.txt").write_text("A gearbox of its own.\n", "utf-8")
    (other / "store.py").write_text((folder / "code/store.py").read_text("utf-8"), "utf-8")

    async def work() -> None:
        one, two = opened(tmp_path / "one", on(database)), opened(tmp_path / "two", on(database, owner="two"))
        async with one as first, two as second:
            await asyncio.gather(done(first, folder), done(second, other, "theirs"))
            for knowledge in (first, second):
                found = (await knowledge.find(Question("gearbox", mode="words"))).found
                assert {each.collection for each in found} == {"notes", "theirs"}
                assert {row["name"] for row in await knowledge.all()} == {"notes", "theirs"}
            assert server.sql("SELECT count(*) FROM homefire.texts", database.rsplit("/", 1)[1]) == [(5,)], (
                "one text is shared"
            )
            with pytest.raises(CollectionExists):
                await second.ingest(folder, "notes")
            await second.remove("theirs")
            assert await paths_of(first, "writeAllRows", mode="words"), "the shared text is still somebody's"
            assert len((await first.find(Question("gearbox", mode="words"))).found) == 1
            await asyncio.gather(*(first.find(Question("return gearbox")) for _ in range(20)))

    run(work)


def test_a_server_that_goes_away_is_one_clear_error_and_the_run_goes_on_later(
    database: str, server: Server, folder: Path, tmp_path: Path
) -> None:
    for number in range(3000):
        (folder / f"more{number}.txt").write_text(f"Word number{number} here.\n", "utf-8")

    async def work() -> None:
        async with opened(tmp_path / "home", on(database)) as knowledge:
            commit = knowledge.rows.commit

            async def then_gone(*given: Any, **more: Any) -> list[int]:
                dead = await commit(*given, **more)
                await asyncio.to_thread(server.kill)
                return dead

            knowledge.rows.commit = then_gone  # type: ignore[method-assign]
            job = await knowledge.ingest(folder)
            last = [each async for each in knowledge.ingestion.follow(job)][-1]
            assert (last["state"], last["error"]["code"]) == ("failed", "knowledge_store_unreachable"), last
            with pytest.raises(KnowledgeStoreUnreachable):
                await knowledge.find(Question("gearbox"))
            knowledge.rows.commit = commit  # type: ignore[method-assign]
            await asyncio.to_thread(server.start)
            again = await done(knowledge, folder)
            assert (again["state"], again["failed"]) == ("done", 0) and again["unchanged"] > 0, again
            assert (await knowledge.show("notes"))["documents"] == 3005
            assert await paths_of(knowledge, "number2999", mode="words") == ["more2999.txt:1"]
            assert (await knowledge.verify("notes"))["whole"]
        server.kill()
        async with opened(tmp_path / "home", on(database)) as knowledge:  # the daemon starts all the same
            with pytest.raises(KnowledgeStoreUnreachable):
                await knowledge.all()
            await asyncio.to_thread(server.start)
            assert [row["name"] for row in await knowledge.all()] == ["notes"]

    run(work)


def test_damage_on_the_server_is_seen_and_mended(database: str, server: Server, folder: Path, tmp_path: Path) -> None:
    name = database.rsplit("/", 1)[1]

    async def work() -> None:
        async with opened(tmp_path / "home", on(database)) as knowledge:
            await done(knowledge, folder)
            await meant(knowledge, "notes")
            server.sql(
                "UPDATE homefire.texts SET data = overlay(data PLACING 'xx'::bytea FROM 3) WHERE size < 100", name
            )
            server.sql("DELETE FROM homefire.chunks WHERE id = (SELECT max(id) FROM homefire.chunks)", name)
            report = await knowledge.verify("notes")
            assert "data.csv" in report["damaged_documents"] and report["damaged_words"], report
            await knowledge.verify("notes", mend=True)
            job = knowledge.ingestion.job("notes")
            assert job is not None
            assert [each async for each in knowledge.ingestion.follow(job)][-1]["state"] == "done"
            assert (await knowledge.verify("notes"))["whole"]
            assert await paths_of(knowledge, "Bergen", mode="words") == ["data.csv:4"]

    run(work)


def test_a_server_that_refuses_says_why(database: str, server: Server, tmp_path: Path) -> None:
    async def work() -> None:
        for address, password in ((database, "wrong"), (database + "_nowhere", PASSWORD)):
            with pytest.raises(KnowledgeStoreRefused) as refused:
                async with opened(tmp_path / "home", on(address, password)):
                    pass
            assert password not in str(refused.value.envelope())

    run(work)


@pytest.mark.parametrize(
    "address",
    [
        "mysql://127.0.0.1/x", "postgresql:///x", "postgresql://u:hunter2@127.0.0.1/x", "postgresql://127.0.0.1/x?options=-c",
        "postgresql://far.example/x?sslmode=require", "postgresql://127.0.0.1,far.example/x?sslmode=prefer", "postgresql://[::/x",
        "postgresql://127.0.0.1/x?service=other",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(address: str) -> None:
    pytest.importorskip("psycopg")
    from homefire.store.postgres import checked_address

    with pytest.raises(BadSetting) as refused:
        checked_address(address)
    assert "hunter2" not in str(refused.value.envelope())


def test_another_machine_is_spoken_to_by_checked_tls_alone() -> None:
    pytest.importorskip("psycopg")
    from homefire.store.postgres import checked_address

    far = checked_address("postgresql://me@far.example/x")
    assert (far["sslmode"], far["sslrootcert"]) == ("verify-full", "system")
    for near in ("postgresql://me@localhost/x", "postgresql:///x?host=/run/postgresql", "postgresql://[::1]:5/x"):
        assert "sslmode" not in checked_address(near)
