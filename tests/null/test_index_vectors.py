"""The index of vectors: recall against exact search, filters, tombstones, versions, and what a crash or a flipped byte leaves.

Promises: on clustered rows (`bench/synthetic_vectors.py`) ten of ten are found nearly always, by faiss and by numpy; without
rescoring, or with tombstones ignored, these tests are red (the mutants at the end say so).
Does not cover: kill -9 (`tests/chaos/test_index_kill.py`), a million rows and time (`bench retrieval`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.synthetic_vectors import Synthetic
from homefire.errors import HomefireError, IndexBusy, IndexDamaged, InvalidRequest
from homefire.index import nearest
from homefire.index.vectors import EXTENT_ROWS, WHOLE_BONUS, Vectors, VectorsWriter

WIDTH, ROWS, QUESTIONS = 384, 4000, 60


@pytest.fixture(scope="module")
def made() -> tuple[Any, Any]:
    source = Synthetic(seed=7, clusters=200)
    return source.rows(ROWS), source.rows(QUESTIONS)


def numbers(count: int, each: int = 10, first: int = 0) -> Any:
    """Chunk numbers: `each` chunks to a text."""
    rows: Any = np.arange(count, dtype=np.uint64)
    return ((np.uint64(first) + rows // np.uint64(each)) << np.uint64(20)) | (rows % np.uint64(each))


def written(folder: Path, vectors: Any, ids: Any = None, batches: int = 4) -> int:
    """Writes rows in batches and returns their number."""
    ids = numbers(len(vectors)) if ids is None else ids
    writer = VectorsWriter(folder, vectors.shape[1], 0)
    for some in np.array_split(np.arange(len(vectors)), batches):
        writer.append(ids[some], np.stack([some, some + 1], axis=1), some + 1000, vectors[some])
        writer.sync()
    writer.close()
    return writer.rows


def exact(vectors: Any, questions: Any, good: Any = None) -> list[list[int]]:
    """Row numbers of the ten nearest, by full products; `good` is a mask of rows that count."""
    scores = questions @ vectors.T
    if good is not None:
        scores = np.where(good, scores, -9)
    return np.argsort(-scores, axis=1)[:, :10].tolist()  # type: ignore[no-any-return]


def recall(found: list[list[int]], wanted: list[list[int]]) -> float:
    return sum(len(set(f) & set(w)) for f, w in zip(found, wanted, strict=True)) / sum(len(w) for w in wanted)


def asked(index: Vectors, questions: Any, allowed: Any = None, scanned: int = 0) -> list[list[int]]:
    """The ids of the ten best chunks for each question."""
    return [[hit.id for hit in index.search(question, 10, allowed, scanned)] for question in questions]


def as_ids(wanted: list[list[int]], ids: Any) -> list[list[int]]:
    return [[int(ids[row]) for row in rows] for rows in wanted]


@pytest.fixture
def without_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "_faiss", lambda: None)


def test_recall(tmp_path: Path, made: tuple[Any, Any]) -> None:
    vectors, questions = made
    index = Vectors(tmp_path, WIDTH, written(tmp_path, vectors))
    assert recall(asked(index, questions), as_ids(exact(vectors, questions), numbers(ROWS))) >= 0.985
    assert index.check() == []
    hit = index.search(vectors[17], 1)[0]
    assert (hit.id, hit.start, hit.length) == (int(numbers(ROWS)[17]), 17, 18)
    assert hit.score == pytest.approx(1, abs=0.01)


@pytest.mark.usefixtures("without_faiss")
def test_recall_without_faiss(tmp_path: Path, made: tuple[Any, Any]) -> None:
    vectors, questions = made
    index = Vectors(tmp_path, WIDTH, written(tmp_path, vectors))
    assert recall(asked(index, questions), as_ids(exact(vectors, questions), numbers(ROWS))) >= 0.985


@pytest.mark.parametrize("bytes_a_row", [48, 13])
def test_both_ways_give_the_same_distances(bytes_a_row: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    bits = random.integers(0, 256, (70_000, bytes_a_row), np.uint8)
    query = random.integers(0, 256, bytes_a_row, np.uint8)
    far = np.unpackbits(bits ^ query, axis=1).sum(axis=1)
    assert (nearest.distances(query, bits) == far).all()
    assert far[nearest.rows(query, bits, 300)].tolist() == np.sort(far)[:300].tolist()
    monkeypatch.setattr(nearest, "_faiss", lambda: None)
    assert far[nearest.rows(query, bits, 300)].tolist() == np.sort(far)[:300].tolist()


@pytest.mark.parametrize("share", [0.02, 0.1, 0.25, 0.8])
@pytest.mark.parametrize("removed", [False, True])
def test_filters(
    tmp_path: Path, made: tuple[Any, Any], share: float, removed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homefire.index.vectors.FEW_ROWS", 100)
    vectors, questions = made
    ids: Any = numbers(ROWS)
    groups = ids >> np.uint64(20)
    allowed = np.unique(groups[np.random.default_rng(5).random(ROWS) < share / 10])
    tombstones = allowed[::3] if removed else np.zeros(0, np.uint64)
    index = Vectors(tmp_path, WIDTH, written(tmp_path, vectors), tombstones)
    good = np.isin(groups, allowed) & ~np.isin(groups, tombstones)
    wanted = as_ids(exact(vectors, questions, good), ids)
    for _ in range(2):  # the second time the filter is known
        found = asked(index, questions, allowed)
        assert recall(found, wanted) >= 0.985
        assert set(np.concatenate(found).tolist()) <= set(ids[good].tolist())
    assert index.search(questions[0], 10, np.zeros(0, np.uint64)) == []
    assert index.search(questions[0], 10, np.array([999_999], np.uint64)) == []


def removed_stay_away(tmp_path: Path, made: tuple[Any, Any]) -> None:
    """Six versions of the same texts, five of them removed: the last is found, whole."""
    vectors, questions = made
    some = vectors[:400]
    all_ids = np.concatenate([numbers(400, first=version * 40) for version in range(6)])
    rows = written(tmp_path, np.concatenate([some] * 6), all_ids)
    index = Vectors(tmp_path, WIDTH, rows, np.arange(200, dtype=np.uint64))
    assert index.dead == 2000
    wanted = as_ids(exact(some, questions), numbers(400, first=200))
    assert recall(asked(index, questions, scanned=60), wanted) >= 0.98
    assert len(index.search(questions[0], 400)) == 400


def test_tombstones(tmp_path: Path, made: tuple[Any, Any]) -> None:
    removed_stay_away(tmp_path, made)


def test_the_best_window_of_each_chunk(tmp_path: Path, made: tuple[Any, Any]) -> None:
    vectors, questions = made
    ids: Any = np.repeat(numbers(ROWS // 5), 5)
    index = Vectors(tmp_path, WIDTH, written(tmp_path, vectors, ids))
    for question in questions[:10]:
        hits = index.search(question, 10)
        assert len({hit.id for hit in hits}) == 10
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        best = (vectors @ question).reshape(-1, 5)
        assert hits[0].id == int(ids[::5][best.max(axis=1).argmax()])
        assert hits[0].start == int((vectors @ question).argmax())


def test_a_window_already_embedded_is_copied(tmp_path: Path, made: tuple[Any, Any]) -> None:
    vectors, _ = made
    rows = written(tmp_path / "old", vectors[:100])
    old = Vectors(tmp_path / "old", WIDTH, rows)
    assert old.known([1000, 7, 1099]).tolist() == [0, -1, 99]
    assert Vectors(tmp_path / "none", WIDTH, 0).known([7]).tolist() == [-1]
    for folder, start in (("old", rows), ("new", 0)):
        writer = VectorsWriter(tmp_path / folder, WIDTH, start)
        writer.copy(old, [99, 0], [5 << 40, (5 << 40) + 1], [(1, 2), (3, 4)])
        total = writer.sync()
        writer.close()
        assert total == start + 2
        index = Vectors(tmp_path / folder, WIDTH, total)
        hits = index.search(vectors[99], 100, np.array([5 << 20], np.uint64))
        assert [(hit.id, hit.start, hit.length) for hit in hits] == [(5 << 40, 1, 2), ((5 << 40) + 1, 3, 4)]
        assert hits[0].score == pytest.approx(1, abs=0.01)
        assert index.known([1099]).tolist() != [-1]
        assert index.check() == []


def test_a_window_that_stands_for_its_chunk_goes_before_a_sentence_that_is_a_little_nearer(tmp_path: Path) -> None:
    question: Any = np.eye(1, WIDTH, dtype=np.float32)[0]
    rows = np.stack([_at(0.6), _at(0.55), _at(0.4)])
    writer = VectorsWriter(tmp_path, WIDTH, 0)
    writer.append([1, 2, 3], [(0, 9)] * 3, [7, 8, 9], rows, [False, True, True])
    writer.sync()
    writer.close()
    index = Vectors(tmp_path, WIDTH, 3)
    assert [hit.id for hit in index.search(question, 3)] == [2, 1, 3]
    scores = [hit.score for hit in index.search(question, 3)]
    assert scores == pytest.approx([0.55 + WHOLE_BONUS, 0.6, 0.4 + WHOLE_BONUS], abs=0.01), "lists are merged by scores"
    writer = VectorsWriter(tmp_path / "copy", WIDTH, 0)
    writer.copy(index, [0, 1, 2], [1, 2, 3], [(0, 9)] * 3, [True, False, False])
    writer.sync()
    writer.close()
    assert [hit.id for hit in Vectors(tmp_path / "copy", WIDTH, 3).search(question, 3)] == [1, 2, 3]


def _at(cosine: float) -> Any:
    """A vector of length one at that cosine to the first axis."""
    vector: Any = np.zeros(WIDTH, np.float32)
    vector[0], vector[1] = cosine, (1 - cosine**2) ** 0.5
    return vector


def test_open_cuts_what_was_not_committed(tmp_path: Path, made: tuple[Any, Any]) -> None:
    vectors, _ = made
    rows = written(tmp_path, vectors[:200])  # extents end at 50, 100, 150, 200
    writer = VectorsWriter(tmp_path, WIDTH, 150)
    writer.append(numbers(10, first=90), np.zeros((10, 2)), range(10), vectors[300:310])
    with pytest.raises(IndexBusy):
        VectorsWriter(tmp_path, WIDTH, 150)
    assert writer.sync() == 160
    writer.append(numbers(10, first=91), np.zeros((10, 2)), range(10), vectors[310:320])
    writer.close()  # never synced
    assert rows == 200
    index = Vectors(tmp_path, WIDTH, 160)
    assert index.check() == []
    assert index.search(vectors[305], 1)[0].id >> 20 == 90
    assert index.search(vectors[160], 1)[0].score < 0.99, "the row that was cut is gone"
    for wrong in (155, 161, 200):
        with pytest.raises(IndexDamaged):
            Vectors(tmp_path, WIDTH, wrong)
        with pytest.raises(IndexDamaged):
            VectorsWriter(tmp_path, WIDTH, wrong)


def test_a_write_that_failed_can_be_repeated(
    tmp_path: Path, made: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, _ = made
    writer = VectorsWriter(tmp_path, WIDTH, 0)
    writer.append(numbers(5), np.zeros((5, 2)), range(5), vectors[:5])
    real, calls = __import__("os").fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(HomefireError) as caught:
        writer.sync()
    assert caught.value.code == "disk_full"
    assert writer.sync() == 5
    writer.close()
    assert Vectors(tmp_path, WIDTH, 5).check() == []


@pytest.mark.parametrize("name", [f"bits.{WIDTH}", f"rows.{WIDTH}", "windows", "sums"])
def test_a_torn_tail_is_damage(tmp_path: Path, made: tuple[Any, Any], name: str) -> None:
    rows = written(tmp_path, made[0][:100])
    whole = (tmp_path / name).read_bytes()
    for kept in (len(whole) - 1, len(whole) // 2, 0):
        (tmp_path / name).write_bytes(whole[:kept])
        with pytest.raises(IndexDamaged):
            Vectors(tmp_path, WIDTH, rows)
        with pytest.raises(IndexDamaged):
            VectorsWriter(tmp_path, WIDTH, rows)
        assert (tmp_path / name).stat().st_size == kept, "nothing is made longer or shorter"
    (tmp_path / name).unlink()
    with pytest.raises(IndexDamaged):
        Vectors(tmp_path, WIDTH, rows)


def test_a_flipped_byte_is_found_where_it_is(tmp_path: Path, made: tuple[Any, Any]) -> None:
    rows = written(tmp_path, made[0][:200])
    random = np.random.default_rng(1)
    for name, size in ((f"bits.{WIDTH}", 48), (f"rows.{WIDTH}", WIDTH), ("windows", 32)):
        data = (tmp_path / name).read_bytes()
        for place in random.integers(0, len(data) - 64, 20).tolist():
            flipped = bytes(byte ^ 0x55 for byte in data[place : place + 64])
            (tmp_path / name).write_bytes(data[:place] + flipped + data[place + 64 :])
            bad = Vectors(tmp_path, WIDTH, rows).check()
            assert any(first <= place // size < end for first, end in bad)
            assert len(bad) <= 2
        (tmp_path / name).write_bytes(data)
    assert Vectors(tmp_path, WIDTH, rows).check() == []


def test_many_rows_at_once_are_several_extents(tmp_path: Path) -> None:
    vectors = np.random.default_rng(2).standard_normal((EXTENT_ROWS + 5, 16)).astype(np.float32)
    index = Vectors(tmp_path, 16, written(tmp_path, vectors, batches=1))
    data = bytearray((tmp_path / "rows.16").read_bytes())
    data[-1] ^= 1
    (tmp_path / "rows.16").write_bytes(data)
    assert Vectors(tmp_path, 16, index.rows).check() == [(EXTENT_ROWS, EXTENT_ROWS + 5)]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_none(tmp_path: Path, made: tuple[Any, Any], bad: float) -> None:
    writer = VectorsWriter(tmp_path, WIDTH, 0)
    vectors = made[0][:2].copy()
    vectors[1, 3] = bad
    for wrong in (vectors, made[0][:2, :100], made[0][:1], made[0][0]):
        with pytest.raises(InvalidRequest):
            writer.append([1, 2], [(0, 1), (0, 1)], [1, 2], wrong)
    assert writer.sync() == 0
    writer.append([1], [(0, 1)], [1], np.zeros((1, WIDTH)))  # no direction, but no error
    rows = writer.sync()
    writer.close()
    index = Vectors(tmp_path, WIDTH, rows)
    assert index.search(made[1][0], 5)[0].score == 0
    for wrong in (made[1][0][:5], np.full(WIDTH, bad)):
        with pytest.raises(InvalidRequest):
            index.search(wrong, 5)


def test_searching_in_threads_is_searching(tmp_path: Path, made: tuple[Any, Any]) -> None:
    vectors, questions = made
    index = Vectors(tmp_path, WIDTH, written(tmp_path, vectors), np.arange(5, dtype=np.uint64))
    filters: list[Any] = [None, np.arange(100, dtype=np.uint64), np.arange(50, 300, dtype=np.uint64)]
    asked_for = [(question, filters[n % 3]) for n, question in enumerate(questions)]
    alone = [index.search(question, 10, allowed) for question, allowed in asked_for]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda one: index.search(one[0], 10, one[1]), asked_for)) == alone


def test_nothing_in_it(tmp_path: Path, made: tuple[Any, Any]) -> None:
    index = Vectors(tmp_path / "none", WIDTH, 0, np.array([1], np.uint64))
    assert index.search(made[1][0], 5) == []
    assert index.search(made[1][0], 5, np.array([1], np.uint64)) == []
    assert (index.dead, index.check()) == (0, [])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 11), max_size=12), st.lists(st.integers(0, 11), max_size=12), st.integers(0, 40))
def test_found_is_exactly_what_may_be(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[Any, Any], gone: list[int], allowed: list[int], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("vectors")
    ids = np.random.default_rng(4).integers(0, 12, 60).astype(np.uint64) << np.uint64(20)
    ids |= np.arange(60, dtype=np.uint64)
    rows = written(folder, made[0][:60], ids)
    index = Vectors(folder, WIDTH, rows, np.array(sorted(set(gone)), np.uint64))
    may = {int(number) for number in ids if int(number) >> 20 in set(allowed) - set(gone)}
    hits = index.search(made[1][0], limit, np.array(sorted(set(allowed)), np.uint64))
    assert len(hits) == min(limit, len(may))
    assert {hit.id for hit in hits} <= may


def _no_rescoring(self: Vectors, bits: Any, scanned: int, allowed: Any) -> Any:
    return nearest.rows(bits, self.bits, 10)


def _removed_take_places(self: Vectors, bits: Any, scanned: int, allowed: Any) -> Any:
    rows = nearest.rows(bits, self.bits, scanned)
    return rows[self._alive[rows]]


MUTANTS: dict[str, tuple[str, Any, Callable[[Path, tuple[Any, Any]], None]]] = {
    "no rescoring": ("homefire.index.vectors.Vectors._candidates", _no_rescoring, test_recall),
    "tombstones ignored": ("homefire.index.vectors.Vectors._alive", None, removed_stay_away),
    "removed rows take places": ("homefire.index.vectors.Vectors._candidates",
                                 _removed_take_places, removed_stay_away),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name: str, tmp_path: Path, made: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    place, instead, test = MUTANTS[name]
    monkeypatch.setattr(place, instead)
    with pytest.raises(AssertionError):
        test(tmp_path, made)
