"""Fusion and the re-ranker: pure functions over lists.

Promises: a paraphrase that only meaning finds stays in front, an exact key that only words find stays among the first ten, also
beside a list that is all noise; the usual k = 60 and a fusion without kept places are red here.
Does not cover: real lists of a real embedder (`bench needles`).
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homefire.index import fusion
from homefire.index.fusion import (
    FIRST,
    NAME,
    PROXIMITY,
    RECENCY,
    RESERVE,
    Features,
    Fused,
    fuse,
    places_of,
    proximity,
    rerank,
    tokens,
    weights_for,
)
from homefire.index.hits import Hit


def hits(numbers: list[int]) -> list[Hit]:
    return [Hit(number, 9.0 - place / 10) for place, number in enumerate(numbers)]


def paraphrases(**more: Any) -> tuple[float, float]:
    """R@1 and R@5 where meaning has the answer first and words return noise, out of a pool that meaning knows too."""
    first = fifth = 0
    for seed in range(300):
        drawn = random.Random(seed)
        pool = list(range(1, 400))
        lists = {"words": hits(drawn.sample(pool, 50)), "meaning": hits([0, *drawn.sample(pool, 49)])}
        found = [one.id for one in fuse(lists, **more)][:5]
        first += found[:1] == [0]
        fifth += 0 in found
    return first / 300, fifth / 300


def keys(**more: Any) -> float:
    """The share of the best three of the words among the first ten, beside a list of meaning that is noise."""
    kept = 0
    for seed in range(300):
        drawn = random.Random(seed)
        lists = {
            "words": hits([0, 1, 2, *drawn.sample(range(3, 99), 47)]),
            "meaning": hits(drawn.sample(range(3, 999), 50)),
        }
        kept += len({one.id for one in fuse(lists, **more)[:FIRST]} & {0, 1, 2})
    return kept / 900


def test_a_paraphrase_stays_in_front() -> None:
    first, fifth = paraphrases()
    assert first >= 0.6
    assert fifth >= 0.95


def test_an_exact_key_stays_among_the_first_ten() -> None:
    assert keys() == 1


@pytest.mark.parametrize("mutant", [{"k": 60}, {"weights": {"words": 1.0, "meaning": 1.0}}], ids=str)
def test_mutants_of_paraphrases(mutant: dict[str, Any]) -> None:
    assert paraphrases(**mutant)[0] < 0.6


@pytest.mark.parametrize("mutant", [{"reserve": 0}], ids=str)
def test_mutants_of_keys(mutant: dict[str, Any]) -> None:
    assert keys(**mutant) < 0.95


def test_why() -> None:
    words, meaning = hits(list(range(100, 130))), hits(list(range(30)))
    made = fuse({"words": words, "meaning": meaning}, {"words": 0.1, "meaning": 2.0})
    assert [one.id for one in made[:10]] == [0, 1, 2, 3, 4, 5, 6, 100, 101, 102]
    assert made[0].why == {
        "score": round(2 / 11, 4),
        "lists": {"meaning": {"place": 1, "score": 9.0}},
        "added": {},
        "kept_for_words": False,
    }
    assert made[7].why["kept_for_words"] is True
    assert len(made) == 60


NUMBERS = st.lists(st.integers(0, 60), max_size=50)


@given(NUMBERS, NUMBERS, st.integers(0, 5), st.integers(0, 100))
def test_nothing_is_lost_and_the_order_is_one(words: list[int], meaning: list[int], reserve: int, weight: int) -> None:
    lists = {"words": hits(words), "meaning": hits(meaning)}
    made = fuse(lists, {"words": 1.0, "meaning": float(weight)}, reserve=reserve)
    assert sorted(one.id for one in made) == sorted({*words, *meaning})
    assert made == fuse(dict(reversed(lists.items())), {"words": 1.0, "meaning": float(weight)}, reserve=reserve)
    best = [hit.id for place, hit in enumerate(hits(words)) if hit.id not in words[:place]][:reserve]
    top = {one.id for one in made[:FIRST]}
    assert {number for number in best if made_place(made, number) <= reserve} <= top
    again = rerank(made, {}, "", reserve)
    assert [one.id for one in again] == [one.id for one in made]


def made_place(made: list[Fused], number: int) -> int:
    return next(one.places["words"][0] for one in made if one.id == number)


FAR = "open a file and then, after many other words, put what is in memory on the disk with a limit"


@pytest.mark.parametrize(
    ("better", "term"),
    [(Features("the maxOpenFiles limit", "x.py"), "proximity"), (Features(FAR, "open_files.py limit"), "name")],
)
def test_rerank_raises_what_has_the_words_together_or_in_its_name(better: Features, term: str) -> None:
    made = fuse({"words": hits([1, 2, 4])})
    order = rerank(made, {1: Features(FAR, "notes.md"), 2: better}, "open files limit")
    assert [one.id for one in order] == [2, 1, 4]
    assert order[0].added[term] == pytest.approx({"proximity": PROXIMITY, "name": NAME}[term])
    assert order[2].added == {}
    assert order[0].score == pytest.approx(made[1].score + sum(order[0].added.values()))
    assert order[0].why["added"] == {name: round(value, 4) for name, value in order[0].added.items()}


def test_rerank_is_light() -> None:
    """Without all words of the query, all of it together does not move a chunk past one that two lists have first."""
    made = fuse({"words": hits([1, 2]), "meaning": hits([1, 2])})
    best = Features("open files", "open files", age=0)
    assert [one.id for one in rerank(made, {1: Features("", ""), 2: best}, "open files limit")] == [2, 1]
    made = fuse({"words": hits([1, 3, 4, 5, 2]), "meaning": hits([1, 3, 4, 5, 2])})
    assert rerank(made, {2: best}, "open files limit")[0].id == 1
    assert made[0].score > PROXIMITY + NAME + RECENCY


def test_recency_fades() -> None:
    made = fuse({"words": hits([1, 2])})
    old, new = Features("", age=3e8), Features("", age=-5.0)  # a clock that was wrong is today
    added = {one.id: one.added.get("recency", 0.0) for one in rerank(made, {1: old, 2: new}, "x")}
    assert added[2] == RECENCY
    assert added[1] < RECENCY / 100


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("open files limit", 1, 1),
        ("the maxOpenFiles_limit", 0.9, 1),
        ("OPENED the filing and so the LIMITS", 0.5, 0.9),
        ("open files", 0.66, 0.67),
        ("open " + "x " * 500 + "files " + "x " * 500 + "limit", 0, 0.05),
        ("open files " + "x " * 500 + " limit, open, files", 0.9, 1),
        ("open open open", 0, 0),
        ("reopen profiles unlimited", 0, 0),
        ("", 0, 0),
    ],
)
def test_proximity(text: str, low: float, high: float) -> None:
    wanted = tokens("open files limit")
    assert low <= proximity(wanted, sorted(places_of(wanted, text)), len(text)) <= high
    assert proximity(wanted[:1], sorted(places_of(wanted[:1], text)), len(text)) == 0


def test_a_query_of_marks_is_no_pattern() -> None:
    made = fuse({"words": hits([1, 2])})
    for query in ("", "***", "a|b (", "\\d+ [", "日本 *"):
        assert len(rerank(made, {1: Features("a b (c) \\d", "x")}, query)) == 2


def test_tokens() -> None:
    assert tokens("getHTTPServers, max_open2 größer 日本") == [
        "get",
        "http",
        "server",
        "max",
        "open",
        "2",
        "größer",
        "日本",
    ]
    assert tokens("caches cached caching") == ["cach"] * 3


def test_reserve_is_what_the_docstring_says() -> None:
    assert (RESERVE, FIRST, fusion.K) == (3, 10, 10)


def test_all_words_of_a_query_go_before_most_of_them_in_a_shorter_text() -> None:
    """BM25 has the key that differs in one word first, because its text is short; the right one is far below it."""
    town = {
        number: f"The vault code of the {name} office is 1."
        for number, name in enumerate(("Rome", "Bonn", "Lyon", "Oslo"), 1)
    }
    made = fuse({"words": hits([1, 2, 3, 4])})
    order = rerank(
        made, {number: Features(text) for number, text in town.items()}, "What is the vault code of the Oslo office?"
    )
    assert order[0].id == 4 and order[0].added["all_words"] > 0
    assert "all_words" not in order[1].added and order[1].added["coverage"] < 0


def test_words_count_less_for_a_question_of_other_words() -> None:
    """What the list of words has for it is noise, and must not stand before what it means."""
    made = fuse({"words": hits([1, 2]), "meaning": hits([8, 3])}, {"words": 1.0, "meaning": 0.9})
    texts = {1: "the old bench", 2: "an old ledger", 3: "nothing", 8: "Floods swept away the ancient crossing."}
    assert made[0].id == 1
    order = rerank(made, {number: Features(text) for number, text in texts.items()}, "What happened to the old bridge?")
    assert order[0].id == 8


@pytest.mark.parametrize(
    ("query", "exact"),
    [
        ("item77123", True), ("what is 12345 about", True), ("write_all_rows", True), ("getUserName of the page", True),
        ('the words "torn file" in it', True), ("std::vector grows", True), ("close() twice", True), ("+must here", True),
        ("how are rows written", False), ("USA and NATO", False), ("a file in 2 parts", False), ("Who wrote this?", False),
    ],
)  # fmt: skip
def test_who_names_something_exactly_is_taken_at_the_word(query: str, exact: bool) -> None:
    weights = weights_for(query)
    assert (weights["meaning"] < weights["words"]) is exact
    words, meaning = [Hit(1, 9.0), Hit(2, 1.0)], [Hit(3, 0.9), Hit(4, 0.8), Hit(5, 0.7)]
    assert (fuse({"words": words, "meaning": meaning}, weights)[0].id == 1) is exact
