"""The index of words on a real tantivy: what is found, what is removed, what a query may be, what damage is seen.

Promises: each row that was removed, filtered or replaced is looked for; texts with CRLF, NUL and bytes that are no UTF-8 are
found like others.
Does not cover: a kill in the middle (`tests/chaos/test_index_kill.py`), speed (`bench retrieval`).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homefire.errors import HomefireError, IndexBusy, IndexDamaged, InvalidRequest
from homefire.index.query import MAX_QUERY
from homefire.index.words import WordRow, Words, WordsWriter

HEAP = 15 << 20
TEXTS = [
    (b"def getUserName(self): return self.name", "src/users.py"),
    (b"the user has a name and will get it", "docs/guide.md"),
    (b"class HTTPServer: max_open_files = 3", "src/server.py"),
    (b"the servers were running\r\nand running", "docs/log.md"),
    (b"torn \xff\xfe bytes \0 and a zeppelin", "data.bin"),
    ("日本語の文章 größer".encode(), "notes/日本.txt"),
    (b"a name is a user of names", "docs/names.md"),
]


def rows(texts: list[tuple[bytes, str]] = TEXTS, first: int = 0) -> list[WordRow]:
    return [WordRow((first + n) << 20, first + n, text, name) for n, (text, name) in enumerate(texts)]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[WordsWriter]:
    made = WordsWriter(tmp_path / "words", heap_bytes=HEAP)
    made.add(rows())
    made.commit(1)
    yield made
    made.close()


@pytest.fixture
def words(writer: WordsWriter, tmp_path: Path) -> Words:
    return Words(tmp_path / "words")


def found(words: Words, query: str, allowed: list[int] | None = None) -> list[int]:
    groups = None if allowed is None else np.array(allowed, np.uint64)
    return [hit.id >> 20 for hit in words.search(query, 10, groups)]


@pytest.mark.parametrize(
    ("query", "first", "also"),
    [
        ("getUserName", 0, {1, 6}),
        ("get_user_name", 0, {1, 6}),
        ('"get user name"', 0, set()),
        ("+getUserName", 0, set()),
        ("username", None, set()),
        ("server", 2, {3}),
        ("SERVERS run", 3, {2}),
        ("files open", 2, set()),
        ("max_open_files", 2, set()),
        ("zeppelin", 4, set()),
        ("torn bytes", 4, set()),
        ("本語", 5, set()),
        ("größer", 5, set()),
        ("zepp*", 4, set()),
        ("runni*", 3, set()),
        ("getUs*", 0, set()),
        ("name -user", None, set()),
        ("user -guide", 0, {6}),
        ("+user +guide", 1, set()),
        ("server.py", 2, {0, 3}),
        ("nothing-of-this", None, set()),
        ("", None, set()),
        ("-server", None, set()),
        ("*** ++ -- \"", None, set()),
    ],
)  # fmt: skip
def test_what_is_found(words: Words, query: str, first: int | None, also: set[int]) -> None:
    assert found(words, query)[:1] == ([] if first is None else [first])
    assert set(found(words, query)[1:]) == also


def test_removed_replaced_and_filtered(writer: WordsWriter, words: Words) -> None:
    assert found(words, "name user", [1, 6]) == [6, 1] or set(found(words, "name user", [1, 6])) == {1, 6}
    assert found(words, "name user", []) == []
    assert set(found(words, "name user", list(range(1, 2000)))) == {1, 6}  # filtered after the search
    writer.remove_groups([0, 1])
    writer.add(rows([(b"the user is called otherwise", "docs/guide.md")], first=7))
    assert set(found(words, "user")) == {0, 1, 6}, "nothing changes before the commit and the reload"
    writer.commit(2)
    assert words.reload() == 2
    assert set(found(words, "user")) == {6, 7}
    assert found(words, "getUserName") == [6, 7]
    writer.remove_from(6)
    writer.commit(3)
    assert words.reload() == 3
    assert found(words, "user") == []
    assert found(words, "zeppelin") == [4]


def test_rows_of_the_running_batch_can_be_removed(writer: WordsWriter, words: Words) -> None:
    writer.add(rows([(b"quagga", "")], first=20))
    writer.remove_groups([20])
    writer.add(rows([(b"okapi", "")], first=21))
    writer.commit(2)
    words.reload()
    assert found(words, "quagga") == []
    assert found(words, "okapi") == [21]


def test_a_filter_reaches_beyond_what_ranks_high(writer: WordsWriter, words: Words) -> None:
    writer.add(rows([(b"gnu " * (1 + n % 7), "") for n in range(3000)], first=100))
    writer.commit(2)
    words.reload()
    few, many = [3099], [*range(2500, 3099, 1), *range(9000, 9100)]
    assert found(words, "gnu", few) == [3099]
    assert len(found(words, "gnu", many)) == 10
    assert min(found(words, "gnu", many)) >= 2500


def test_what_was_not_committed_is_gone(tmp_path: Path) -> None:
    writer = WordsWriter(tmp_path, heap_bytes=HEAP)
    assert writer.mark == 0
    writer.add(rows()[:2])
    writer.commit(2**40)
    writer.add(rows()[2:])
    writer.close()
    again = WordsWriter(tmp_path, heap_bytes=HEAP)
    assert again.mark == 2**40
    assert set(found(Words(tmp_path), "name server")) == {0, 1}
    again.close()


def test_two_writers(writer: WordsWriter, tmp_path: Path) -> None:
    with pytest.raises(IndexBusy):
        WordsWriter(tmp_path / "words", heap_bytes=HEAP)


def test_no_index_finds_nothing_until_there_is_one(tmp_path: Path) -> None:
    words = Words(tmp_path / "none")
    assert words.search("name", 10) == []
    assert words.check() == []
    writer = WordsWriter(tmp_path / "none", heap_bytes=HEAP)
    writer.add(rows())
    writer.commit(9)
    writer.close()
    assert words.reload() == 9
    assert found(words, "zeppelin") == [4]


def test_a_long_query_is_refused(words: Words) -> None:
    assert words.search("x" * MAX_QUERY, 10) == []
    with pytest.raises(InvalidRequest, match="allowed"):
        words.search("x" * (MAX_QUERY + 1), 10)


def test_a_broken_description_is_damage(writer: WordsWriter, tmp_path: Path) -> None:
    described = (tmp_path / "words" / "meta.json").read_bytes()
    (tmp_path / "words" / "meta.json").write_bytes(b'{"segments": [')
    with pytest.raises(IndexDamaged) as caught:
        Words(tmp_path / "words")
    (tmp_path / "words" / "meta.json").write_bytes(described)
    assert "verify" in caught.value.next_step


def test_a_flipped_byte_in_any_file_is_seen(writer: WordsWriter, words: Words, tmp_path: Path) -> None:
    assert words.check() == []
    files = [file for file in (tmp_path / "words").glob("[!.]*.*") if file.suffix != ".json"]
    assert len(files) >= 5
    for file in files:
        data = file.read_bytes()
        footer = 8 + int.from_bytes(data[-8:-4], "little")
        for place in {0, (len(data) - footer) // 2, len(data) - footer, len(data) - 9, len(data) - 1}:
            file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            assert words.check() == [file.name], place
        file.write_bytes(data[:-1])
        assert words.check() == [file.name]
        file.write_bytes(data)


SOME = (
    st.text()
    | st.text('abname"+-* (:^~[]{}/\\&|!?', max_size=60)
    | st.sampled_from(["getUserName", '"a b" -c*', "\ud800"])
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SOME, max_size=6).map(" ".join))
def test_no_query_is_an_error(words: Words, query: str) -> None:
    try:
        hits = words.search(query, 5)
    except HomefireError as problem:
        assert problem.code == "invalid_request"
        assert len(query) > MAX_QUERY
    else:
        assert len(hits) <= 5
        assert all(hit.id >> 20 < len(TEXTS) for hit in hits)


def test_searching_in_threads_while_it_is_written(writer: WordsWriter, words: Words) -> None:
    def look(_: int) -> list[int]:
        words.reload()
        return found(words, "zeppelin")

    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(look, n) for n in range(200)]
        for batch in range(10):
            writer.add(rows([(b"another text", "")] * 20, first=100 + 20 * batch))
            writer.remove_groups([100 + 20 * batch])
            writer.commit(2 + batch)
        assert all(one.result() == [4] for one in looks)
    assert words.reload() == 11
