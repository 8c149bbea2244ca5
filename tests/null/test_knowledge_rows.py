"""The rows of knowledge: a batch counts whole, what no document has is dead and then forgotten, numbers are never used again.

Does not cover: the files (`test_volumes.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homefire.errors import CollectionExists, UnknownCollection
from homefire.index.vectors import Vectors, VectorsWriter
from homefire.knowledge import shelves
from homefire.knowledge.packing import PIECE, SHIFT, number_of, pack_pieces
from homefire.store import DocumentRow, Filter, KnowledgeRows, SpaceRow, Store, TextRow


class Piece:
    def __init__(self, start: int, end: int, line: int, label: str) -> None:
        self.start, self.end, self.line, self.label = start, end, line, label


PACKED, LABELS = pack_pieces([Piece(0, 5, 1, ""), Piece(5, 9, 2, "Über\nuns"), Piece(9, 12, 3, "")])


def text(number: int) -> TextRow:
    return TextRow(
        number, number.to_bytes(32, "big"), 0, 12 * number, 12, 3, number, -7, b"m", LABELS, PACKED, b"w" * 12
    )


def document(path: str, number: int | None, entry: str = "", state: str = "read") -> DocumentRow:
    shown = path + ("!" + entry if entry else "")
    return DocumentRow(
        path.encode(), entry, shown, "text", "python", "", 12, 5, 5 * 10**9, b"s", number, 1, state, "", "", 1
    )


def run(tmp_path: Path, work: Callable[[KnowledgeRows], Awaitable[None]]) -> None:
    async def whole() -> None:
        store = Store(tmp_path / "db")
        store.open()
        try:
            await work(KnowledgeRows(store))
        finally:
            store.close()

    asyncio.run(whole())


def test_a_run_from_the_first_file_to_the_last_that_is_gone(tmp_path: Path) -> None:
    async def work(rows: KnowledgeRows) -> None:
        made = await rows.create("notes", b"/n")
        with pytest.raises(CollectionExists):
            await rows.create("notes", b"/other")
        assert await rows.next_text() == 1
        first = await rows.start(made.id)
        assert await rows.unchanged(first, 1, [(b"a", 12, 5)]) == [False]
        new = [document("a", 1), document("b", 1), document("c", 2), document("key", None, state="skipped")]
        assert await rows.commit(first, 1, {0: (36, 12)}, [text(1), text(2)], new) == []
        assert await rows.finish(first, complete=True) == []
        assert (await rows.get("notes")).facts["documents"] == {"read": 3, "skipped": 1}
        assert await rows.known(first.id, [text(2).digest, b"?" * 32]) == {text(2).digest: (2, True)}
        assert await rows.ends() == {0: (36, 12)}

        second = await rows.start(made.id)
        same = [(b"a", 12, 5), (b"b", 13, 5), (b"key", 12, 5)]
        assert await rows.unchanged(second, 1, same) == [True, False, True]
        assert await rows.unchanged(second, 2, same[:1]) == [False], "another reader may read it otherwise"
        assert await rows.commit(second, 2, {}, [text(3)], [document("b", 3)]) == []
        assert await rows.finish(second, complete=False, note="cancelled") == []
        assert await rows.dead(first.id) == [], "an unfinished run does not know what is gone"
        third = await rows.start(made.id)
        assert await rows.unchanged(third, 1, [(b"a", 12, 5)]) == [True]
        assert await rows.finish(third, complete=True) == [2, 3]
        assert await rows.dead(first.id) == [2, 3]
        assert await rows.text(2) is None and await rows.next_text() == 4, "no number is given twice"
        assert [seq for seq, _ in await rows.live(first.id, 0, 9)] == [1]

    run(tmp_path, work)


def test_a_text_that_comes_back_lives_again_in_its_place(tmp_path: Path) -> None:
    async def work(rows: KnowledgeRows) -> None:
        one = await rows.start((await rows.create("one", b"/1")).id)
        two = await rows.start((await rows.create("two", b"/2")).id)
        await rows.commit(one, 1, {}, [text(1), text(2)], [document("a", 1), document("b", 2)])
        assert await rows.known(two.id, [text(1).digest]) == {text(1).digest: (1, False)}
        await rows.commit(two, 1, {}, [], [document("x", 1)])
        assert await rows.commit(one, 2, {}, [], [document("a", None, state="failed")]) == [1]
        assert await rows.dead(one.id) == [1] and await rows.text(1) is not None, "the other collection has it"
        await rows.commit(one, 3, {}, [], [document("a", 1)])
        assert await rows.dead(one.id) == [] and [seq for seq, _ in await rows.live(one.id, 0, 9)] == [1, 2]
        assert await rows.remove(one.id) == []
        assert await rows.text(2) is None and await rows.text(1) is not None
        with pytest.raises(UnknownCollection):
            await rows.commit(one, 4, {}, [], [])
        with pytest.raises(UnknownCollection):
            await rows.get("one")

    run(tmp_path, work)


def test_pieces_labels_holders_and_filters(tmp_path: Path) -> None:
    async def work(rows: KnowledgeRows) -> None:
        one = await rows.start((await rows.create("one", b"/1")).id)
        odd = replace(document("d", 1), path=b"d/\xff", shown="d/%FF", language="rust", modified_ns=9 * 10**9)
        await rows.commit(one, 1, {}, [text(1)], [document("a", 1), odd, document("m", None), document("m", 1, "3")])
        found = await rows.pieces([number_of(1, 1), number_of(1, 3), number_of(9, 0)], SHIFT, PIECE.size)
        assert [(row.label, PIECE.unpack(row.piece)[:3]) for row in found.values()] == [("Über\nuns", (5, 9, 2))]
        held = [each for _, each in (await rows.holders([one.id], [1], Filter()))[1]]
        assert [row.shown for row in held] == ["a", "d/%FF", "m!3"]
        assert await rows.holders([one.id], [1], Filter(language="c")) == {}
        assert await rows.allowed(one.id, Filter(path="d/*", since=8, until=10)) == [1]
        assert await rows.allowed(one.id, Filter(since=10)) == [] == await rows.allowed(one.id, Filter(kind="pdf"))
        assert [row.entry for row in await rows.documents(one.id, b"a")] == ["", "", "3"]
        assert [row.entry for row in await rows.documents(one.id, b"m", entry="")] == ["3"], (
            "a page may end inside of a file"
        )
        assert await rows.documents(one.id, b"m", entry="3") == []
        assert await rows.document(one.id, "m!3") == held[2] and await rows.document(one.id, "zz") is None
        assert await rows.commit(one, 2, {}, [], [document("m", 1)]) == [], "entries go with their file"
        assert await rows.document(one.id, "m!3") is None

    run(tmp_path, work)


def test_finding_who_has_a_text_walks_no_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an order by path the planner prefers the index of paths, and reads all documents for each text."""
    plans: list[str] = []

    class Explaining:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def execute(self, sql: str, given: Any = ()) -> Any:
            plans.extend(str(row[3]) for row in self._inner.execute("EXPLAIN QUERY PLAN " + sql, given))
            return self._inner.execute(sql, given)

    async def work(rows: KnowledgeRows) -> None:
        one = await rows.start((await rows.create("one", b"/1")).id)
        await rows.commit(one, 1, {}, [text(1)], [document("a", 1)])
        read = Store._read
        monkeypatch.setattr(Store, "_read", lambda self, query: read(self, lambda c: query(Explaining(c))))
        for wanted in (Filter(), Filter(kind="text"), Filter(path="a*", language="python")):
            assert await rows.holders([one.id], [1], wanted)
        await rows.pieces([number_of(1, 1)], SHIFT, PIECE.size)
        assert sum("documents_by_text (text=? AND collection=?" in plan for plan in plans) == 3, plans
        assert not any("SCAN" in plan for plan in plans), plans

    run(tmp_path, work)


def test_sets_of_vectors(tmp_path: Path) -> None:
    async def work(rows: KnowledgeRows) -> None:
        made = await rows.create("one", b"/1")
        space = SpaceRow("minilm-64", "all-minilm-l6-v2", 384, 10, 3)
        await rows.set_space(made.id, space)
        await rows.set_space(made.id, replace(space, rows=20))
        await rows.set_space(99, space)
        assert await rows.spaces(made.id) == [replace(space, rows=20)] and await rows.spaces(99) == []
        await rows.drop_space(made.id, space.tag)
        assert await rows.spaces(made.id) == []
        assert await rows.last_seq(made.id) == 0

    run(tmp_path, work)


def test_what_is_damaged_is_read_anew_wherever_it_is(tmp_path: Path) -> None:
    async def work(rows: KnowledgeRows) -> None:
        one = await rows.start((await rows.create("one", b"/1")).id)
        two = await rows.start((await rows.create("two", b"/2")).id)
        entries = [document("m", None), document("m", 1, "1"), document("m", 2, "2")]
        await rows.commit(one, 1, {}, [text(1), text(2), text(3)], [*entries, document("a", 3)])
        await rows.commit(two, 1, {}, [], [document("x", 1)])
        assert await rows.distrust(one.id, ["m!1", "nothing"]) == [1]
        for row, path in ((one, b"m"), (two, b"x")):
            assert await rows.unchanged(row, 1, [(path, 12, 5)]) == [False]
            (left,) = [each for each in await rows.documents(row.id) if each.path == path]
            assert (left.state, left.code, left.text) == ("failed", "document_damaged", None)
        assert await rows.dead(one.id) == [1, 2] and await rows.dead(two.id) == [1]
        assert await rows.text(1) is None and await rows.text(2) is None and await rows.text(3) is not None
        await rows.commit(one, 2, {}, [replace(text(4), digest=text(1).digest)], [document("m", 4)])
        assert [seq for seq, _ in await rows.live(one.id, 0, 9)] == [3, 4]

    run(tmp_path, work)


def test_vectors_written_anew_still_say_which_stand_for_a_chunk(tmp_path: Path) -> None:
    writer = VectorsWriter(tmp_path / "old", 8, 0)
    writer.append([1 << 20, 2 << 20], [(0, 3), (0, 4)], [7, 8], np.eye(2, 8, dtype=np.float32), [True, False])
    rows = writer.sync()
    writer.close()
    assert shelves._copied(tmp_path / "new", Vectors(tmp_path / "old", 8, rows, [2])) == 1
    assert Vectors(tmp_path / "new", 8, 1).windows["whole"].tolist() == [1]
