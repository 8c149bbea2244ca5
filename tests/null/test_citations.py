"""Citations: which hold, that none leaves which does not, and that the cut of the stream changes nothing.

Promises: the rules one by one, each with a sentence that breaks it; a checker that accepts everything, or nothing, turns the
table red (the mutants are tried here); whatever a model writes and however it comes, only checked markers are shown.
Does not cover: what models really write (`tests/process/test_answers.py` asks the built-in one).
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homefire.knowledge import citations
from homefire.knowledge.citations import MARKER, Passage, Shown, Stream, fault, numbers, stem

OSLO = "The vault code of the Oslo office is 12345. It was set by Anna Berg-Larsen in 2024, after the \u201cgreat audit\u201d."
ROME = "The Rome office opened in 1999. Its rent costs 2,340 euros; the file readHeader.py explains the cities' taxes."
PASSAGES = [Passage.of(OSLO), Passage.of(ROME)]

# Sentence, number of the passage, whether it holds.
TABLE = [
    ("The code of the Oslo vault is 12345.", 1, True),
    ("The code of the Oslo vault is 12354.", 1, False),
    ("The code of the Oslo vault is 12345.", 2, False),
    ("Anna Berg-Larsen set it in 2024.", 1, True),
    ("Anna Berg set the code.", 1, True),
    ("It was set by Bob Stone in 2024.", 1, False),
    ("It happened after the \"great audit\".", 1, True),
    ("It was set after the \"great fire\" by Anna.", 1, False),
    ("The rent is 2340 euros.", 2, True),
    ("The rent costs 2.340 euros.", 2, False),
    ("Taxes of a city are explained in readHeader.py.", 2, True),
    ("Taxes of a city are explained in writeHeader.py.", 2, False),
    ("The office was closed because of floods, rats and a broken elevator.", 2, False),
    ("12345", 1, True),
    ("It is so.", 1, False),
    ("", 1, False),
]  # fmt: skip


def verdicts() -> list[bool]:
    return [not fault(sentence, PASSAGES[n - 1]) for sentence, n, _ in TABLE]


def test_what_holds() -> None:
    assert verdicts() == [holds for _, _, holds in TABLE]


@pytest.mark.parametrize(
    ("name", "mutant"),
    [
        ("numbers", lambda text: set()),
        ("names", lambda text: []),
        ("_plain", lambda text: ""),
        ("content", lambda text: ["offic"]),
        ("fault", lambda sentence, passage, share=0.5: ""),
        ("fault", lambda sentence, passage, share=0.5: "no"),
        ("stem", lambda word: word),
    ],
)
def test_mutants(monkeypatch: pytest.MonkeyPatch, name: str, mutant: object) -> None:
    """A checker that overlooks one of the rules gives other verdicts."""
    monkeypatch.setattr(citations, name, mutant)
    passages = [Passage.of(OSLO), Passage.of(ROME)]
    found = [not citations.fault(sentence, passages[n - 1]) for sentence, n, _ in TABLE]
    assert found != [holds for _, _, holds in TABLE]


def play(text: str, step: int = 1, attach: bool = False) -> list[Shown]:
    stream = Stream(PASSAGES, attach)
    found = [shown for at in range(0, len(text), step) for shown in stream.feed(text[at : at + step])]
    return [*found, *stream.end()]


def read(found: list[Shown]) -> str:
    """What a reader sees."""
    return "".join(each.text for each in found if each.kind in ("text", "citation"))


def told(found: list[Shown], kind: str) -> list[tuple[int, str]]:
    return [(each.n, each.text) for each in found if each.kind == kind]


@pytest.mark.parametrize(
    ("written", "seen", "removed", "unsupported"),
    [
        ("The Oslo code is 12345 [1]. The Rome office opened in 1998 [2]. Rent: 2340 euros. [2]",
         "The Oslo code is 12345 [1]. The Rome office opened in 1998. Rent: 2340 euros. [2]", [2], 1),
        ("According to [1], the code is 12345. Bob did it [1]. Nothing [7].",
         "According to [1], the code is 12345. Bob did it. Nothing.", [1, 7], 2),
        ("The Oslo code [1, 2] is 12345.", "The Oslo code [1] is 12345.", [2], 0),
        ("- Rome opened in 1999 [2]\n- Oslo did not [9]", "- Rome opened in 1999 [2]\n- Oslo did not", [9], 1),
        ("The Rome rent【2】 is 2,340.", "The Rome rent[2] is 2,340.", [], 0),
        ("`a[1]` is code of Anna [3].", "`a[1]` is code of Anna.", [3], 1),
        ("Dr. Berg-Larsen set 12345 in 2024 [1].", "Dr. Berg-Larsen set 12345 in 2024 [1].", [], 0),
        ("No markers, no change.\n\n  Indented [x] and [12", "No markers, no change.\n\n  Indented [x] and [12", [], 2),
        ("[0] [1-400] [1]", "", [], 0),
        ("", "", [], 0),
    ],
)  # fmt: skip
def test_streams(written: str, seen: str, removed: list[int], unsupported: int) -> None:
    if written.startswith("[0]"):
        found = play(written)
        assert not told(found, "citation") and read(found).strip() == "", "markers alone cite nothing"
        return
    for step in (1, 2, 3, 7, 1000):
        found = play(written, step)
        assert read(found) == seen, step
        assert [n for n, _ in told(found, "removed")] == removed
        assert len(told(found, "unsupported")) == unsupported


def test_text_passes_at_once() -> None:
    """What stands before a marker is not held back."""
    stream = Stream(PASSAGES)
    assert read(stream.feed("The Oslo code is")) == "The Oslo code is"
    assert read(stream.feed(" 12345 [1")) == " 12345"
    assert read(stream.feed("]")) == "" and read(stream.feed(". Then")) == " [1]. Then"


def test_a_sentence_without_a_marker_gets_the_one_that_holds() -> None:
    assert (
        read(play("The Oslo code is 12345. The moon is far", attach=True))
        == "The Oslo code is 12345. [1] The moon is far"
    )
    assert told(play("12345", attach=True), "citation") == [(1, " [1]")]


WRITTEN = ["[1]", "[2]", "[3]", " [1, 2]", "\u30101\u3011", "[", "]", ". ", "! ", "\n", "`", "e.g. ", " Oslo", " 12345",
           " Rome 1999", " code", " rent of", " Bob", " 7", "\0", "\0" + "1\0", "\u3002"]  # fmt: skip
PIECES = st.one_of(st.sampled_from(WRITTEN), st.text(max_size=5))


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=25), st.integers(1, 9))
def test_only_what_was_checked_is_shown(pieces: list[str], step: int) -> None:
    text = "".join(pieces)
    whole, cut = play(text, 10_000), play(text, step)
    assert read(whole) == read(cut)
    assert told(whole, "removed") == told(cut, "removed") and told(whole, "unsupported") == told(cut, "unsupported")
    outside = "".join("" if number % 2 else part for number, part in enumerate(read(cut).split("`")))
    shown = [int(n) for found in MARKER.finditer(outside) for n in found[1].split(",") if n.strip().isdecimal()]
    assert all(n in (1, 2) for n in shown)
    assert len(told(cut, "citation")) >= len(shown) - outside.count("\u3010")


def test_numbers_and_stems() -> None:
    assert numbers("1,234,567 and 3.5 and 12:30 but 1,23") == {"1234567", "3.5", "12:30", "1,23"}
    assert stem("cities") == stem("city") and stem("Opened") == stem("opening") and stem("is") == "is"
