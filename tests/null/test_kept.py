"""What the keeper knows beyond the daemon's end: the book, its tables, and a keeper that takes it up again.

Promises: the store is a real one; each test that speaks of a restart makes a second book, or a second keeper, on the same file.
Does not cover: a daemon that is killed (`tests/process/test_residency.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from homefire.cli.residency import moment
from homefire.errors import DiskFull, EngineBroken, EngineFailed
from homefire.models.installed import Facts, Model
from homefire.paths import ModelName
from homefire.residency import kept
from homefire.residency.decisions import KEPT
from homefire.residency.kept import Book, Changes, Known, Measured
from homefire.residency.kept_in_store import KeptInStore
from homefire.residency.plan import HOST
from homefire.residency.sizing import load_of
from homefire.store import Store
from homefire.supervision.backoff import CLEAN_AFTER, CRASHES_TO_BREAK, Backoff
from tests.null.keeper_bench import Bench, settle
from tests.null.test_sizing import spec as spec_of


def kept_at(path: Path, work: Callable[[KeptInStore], Awaitable[None]]) -> None:
    """Runs `work` on a store, opened anew: as after a restart."""

    async def main() -> None:
        store = Store(path / "homefire.db")
        store.open()
        try:
            await work(KeptInStore(store))
        finally:
            await asyncio.to_thread(store.close)

    asyncio.run(main())


def test_everything_comes_back(tmp_path: Path) -> None:
    async def before(found: KeptInStore) -> None:
        book = Book(found, lambda: 1000.0)
        await book.open()
        book.pin("a", True)
        book.keep("a", -1.0)
        book.keep("b", 60.0)
        book.keep("b", None)
        book.took("a-as-loaded", 5)
        book.took("a-as-loaded", 3)
        book.loaded("a-as-loaded", 1.5)
        book.crashed("c", Backoff([40.0, 42.0], 7), 42.0)
        book.decisions.note("loaded", "a", "It was wanted.", {"bytes": {HOST: 5}})
        book.decisions.note("pinned", "a", "It stays.")
        book.decisions.note("pinned", "a", "It stays.")
        await book.close()

    async def after(found: KeptInStore) -> None:
        book = Book(found, lambda: 1010.0)
        await book.open()
        assert (book.pins(), book.keep_alive("a"), book.keep_alive("b")) == ({"a"}, -1.0, None)
        assert book.measured("a-as-loaded") == Measured(5, 1.5)
        ((name, backoff),) = book.backoffs(5.0).items()
        assert (name, backoff.crashes, backoff.in_a_row) == ("c", [-7.0, -5.0], 7), (
            "ten seconds went by between the two"
        )
        entries = book.decisions.last()
        assert [(e.number, e.kind, e.times, e.at) for e in entries] == [
            (2, "pinned", 2, 1000.0),
            (1, "loaded", 1, 1000.0),
        ]
        assert entries[1].facts == {"bytes": {HOST: 5}}
        book.decisions.note("evicted", "a", "Room.")
        assert book.decisions.last()[0].number == 3, "numbers go on"

    kept_at(tmp_path, before)
    kept_at(tmp_path, after)


def test_a_model_that_is_gone_leaves_no_row(tmp_path: Path) -> None:
    async def work(found: KeptInStore) -> None:
        book = Book(found)
        await book.open()
        book.pin("a", True)
        await book.flush()
        book.forget("a")
        await book.flush()
        assert (await found.load()).models == {}

    kept_at(tmp_path, work)


def test_the_tables_stay_small(tmp_path: Path) -> None:
    async def work(found: KeptInStore) -> None:
        book = Book(found)
        await book.open()
        for number in range(3 * KEPT):
            book.decisions.note("loaded", f"m{number}", "It was wanted.")
            if number % 50 == 0:
                await book.flush()
        for number in range(kept.MOST_LOADS + 20):
            book.took(f"load{number}", 1)
        await book.flush()
        known = await found.load()
        assert [e.number for e in known.decisions] == list(range(2 * KEPT + 1, 3 * KEPT + 1))
        assert len(known.loads) == kept.MOST_LOADS and "load0" not in known.loads

    kept_at(tmp_path, work)


class Refusing:
    """A place that takes nothing while it is `full`."""

    def __init__(self) -> None:
        self.full = True
        self.saved: list[Changes] = []

    async def load(self) -> Known:
        return Known()

    async def save(self, changes: Changes) -> None:
        await asyncio.sleep(0)
        if self.full:
            raise DiskFull("No room.")
        self.saved.append(changes)


def test_what_was_refused_is_sent_again_with_what_came_meanwhile() -> None:
    async def main() -> None:
        place = Refusing()
        book = Book(place)
        book.pin("a", True)
        book.pin("b", True)
        with pytest.raises(DiskFull):
            refused = asyncio.ensure_future(book.flush())
            await asyncio.sleep(0)
            book.pin("a", False)  # while the write is under way
            await refused
        place.full = False
        await book.close()
        (changes,) = place.saved
        assert {name: wishes.pinned for name, wishes in changes.models.items()} == {"a": False, "b": True}

    asyncio.run(main())


def test_one_write_for_what_comes_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "BEHIND_SECONDS", 0.01)

    async def main() -> None:
        place = Refusing()
        place.full = False
        book = Book(place)
        for number in range(20):
            book.decisions.note("queued", f"m{number}", "It waits.")
        assert place.saved == [], "noting writes nothing"
        async with asyncio.timeout(5):
            while not place.saved:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert [len(changes.decisions) for changes in place.saved] == [20]
        await book.close()

    asyncio.run(main())


def test_old_crashes_are_forgiven() -> None:
    async def crashed(ago: float) -> dict[str, Backoff]:
        class Full(Refusing):
            async def load(self) -> Known:
                return Known({"a": kept.Wishes(crashes=(1000.0 - ago,), in_a_row=3)})

        book = Book(Full(), lambda: 1000.0)
        await book.open()
        return book.backoffs(0.0)

    assert asyncio.run(crashed(CLEAN_AFTER + 1)) == {}
    assert asyncio.run(crashed(CLEAN_AFTER - 1))["a"].in_a_row == 3
    (ahead,) = asyncio.run(crashed(-30.0)).values()
    assert ahead.crashes == [0.0], "a wall clock that was set back does not make the pause longer"


def test_decisions_of_another_day_are_shown_with_their_date() -> None:
    noon = time.mktime((2026, 11, 30, 12, 0, 0, 0, 0, -1))
    assert moment(noon - 60, noon) == "11:59:00"
    assert moment(noon - 86_400, noon) == "2026-11-29 12:00:00"


# -- a keeper that ended, and the next one


def two_keepers(
    path: Path, before: Callable[[Bench], Awaitable[None]], after: Callable[[Bench], Awaitable[None]]
) -> None:
    for work in (before, after):

        async def one(found: KeptInStore, work: Callable[[Bench], Awaitable[None]] = work) -> None:
            bench = Bench(room=10, book=Book(found))
            await bench.keeper.open()
            await work(bench)
            await bench.keeper.close()
            assert all(engine.ended for engine in bench.started)

        kept_at(path, one)


def test_a_pinned_model_comes_back_and_keeps_its_keep_alive(tmp_path: Path) -> None:
    async def before(bench: Bench) -> None:
        for model in ("a", "gone", "bad"):
            (await bench.keeper.ensure(model)).release()
            bench.keeper.pin(model, True)
        bench.keeper.keep("a", -1.0)
        (await bench.keeper.ensure("other")).release()
        bench.keeper.keep("other", 7.0)
        await bench.keeper.flush()

    async def after(bench: Bench) -> None:
        bench.unknown.add("gone")
        bench.failures["bad"] = EngineFailed("It does not start.")
        await bench.keeper.bring_back()
        table = bench.keeper.table()
        assert [(row.name, row.pinned, row.keep_alive_s) for row in table.models] == [("a", True, None)]
        assert table.pinned == ["a", "bad"], "what is gone from the disk is not pinned any more"
        (await bench.keeper.ensure("other")).release()
        assert next(row.keep_alive_s for row in bench.keeper.table().models if row.name == "other") == 7.0
        (await bench.keeper.ensure("other", keep_alive=9.0)).release()
        assert next(row.keep_alive_s for row in bench.keeper.table().models if row.name == "other") == 9.0
        bench.keeper.keep("other", None)
        row = next(row for row in bench.keeper.table().models if row.name == "other")
        assert row.keep_alive_s == bench.keeper.rules.keep_alive
        assert ("loaded", "a") in bench.kinds and ("pinned", "bad") in bench.kinds

    two_keepers(tmp_path, before, after)


def test_a_restart_does_not_restart_a_crash_loop(tmp_path: Path) -> None:
    async def before(bench: Bench) -> None:
        bench.failures["a"] = EngineFailed("It falls over.")
        for _ in range(CRASHES_TO_BREAK):
            with pytest.raises(EngineFailed):
                await bench.keeper.ensure("a")
            bench.now += 10

    async def after(bench: Bench) -> None:
        with pytest.raises(EngineBroken):
            await bench.keeper.ensure("a")
        assert bench.started == [], "it was not tried"
        bench.keeper.disown("a")
        (await bench.keeper.ensure("a")).release()

    two_keepers(tmp_path, before, after)


def test_the_first_load_is_admitted_with_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homefire.engines.null.Null.pid", property(lambda self: 77))

    async def before(bench: Bench) -> None:
        bench.memory.measured[77] = 8
        (await bench.keeper.ensure("a")).release()
        await settle()

    async def after(bench: Bench) -> None:
        (await bench.keeper.ensure("a")).release()
        (row,) = bench.keeper.table().models
        assert row.reserved_bytes == {HOST: 8}
        assert row.load_s is not None

    two_keepers(tmp_path, before, after)


def test_what_a_load_is_called() -> None:
    facts = Facts("llama", 1, "Q8_0", 2048, "")
    spec, model = spec_of(), Model(ModelName("m"), "imported", Path("m.gguf"), 9, facts)
    assert load_of(model, spec) == load_of(model, replace(spec, threads=7, log=Path("elsewhere")))
    others = [
        replace(spec, context=spec.context + 1),
        replace(spec, slots=9),
        replace(spec, gpu_layers=1),
        replace(spec, batch=7),
    ]
    assert len({load_of(model, each) for each in (spec, *others)}) == 5
    assert load_of(replace(model, size_bytes=1), spec) != load_of(model, spec), "another file, where none has a digest"
