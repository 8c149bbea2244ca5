"""Recursive reading with a scripted leaf: chunks, chains, votes, budgets, the early end.

Promises: no byte is left out; no budget is passed; what is certain ends a reading, what is not does not.
Does not cover: a real model (tests/process/test_reading.py).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.scripted_leaf import ScriptedLeaf, made_text
from homefire.agent.rlm import ABSENT, Limits, Reader, Reading, Said
from homefire.agent.rlm_leaves import form
from homefire.agent.rlm_plan import Plan, kind_of, lead_for, plan_for, ranked, split
from homefire.errors import InvalidRequest
from tests.null.rig import AT, House, at_home

TEXT, CODES, DOORS = made_text(400, 1)
DATA = TEXT.encode()


def read(
    question: str, plan: Plan, leaf: ScriptedLeaf | None = None, limits: Limits | None = None, **more: Any
) -> Reading:
    reader = Reader(leaf or ScriptedLeaf(), limits or Limits(), **more)
    return asyncio.run(reader.read(question, [("text", DATA)], plan))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=600), st.integers(4, 80))
def test_chunks_have_every_byte_once(text: str, chunk: int) -> None:
    data = text.encode("utf-8", "replace")
    spans = split(data, chunk)
    assert b"".join(data[a:b] for a, b in spans) == data and all(0 < b - a <= chunk for a, b in spans)
    for a, b in spans:
        assert data[a:b].decode("utf-8")  # whole characters


def test_too_much_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        split(memoryview(b"x" * 3_000_000), 20)


def test_find_ends_when_it_is_certain() -> None:
    name, code = next(iter(CODES.items()))
    question = f"What is the code of {name}?"
    early, whole = read(question, Plan("find", 500)), read(question, Plan("find", 500), stop_early=False)
    assert early.answer == whole.answer == code and early.found and early.whole
    assert early.calls == 1 and early.saved == early.chunks - 1 > 30  # FILTER put its chunk first
    assert whole.calls == whole.chunks and whole.saved == 0
    (_, start, end), *_ = early.places
    assert code.encode() in DATA[start:end]
    absent = read("What is the code of nobody?", Plan("find", 500))
    assert absent.answer == ABSENT and not absent.found and absent.calls == absent.chunks


def test_an_answer_that_does_not_stand_there_does_not_end_it() -> None:
    name, code = next(iter(CODES.items()))
    leaf = ScriptedLeaf(wrong=0.4, seed=3)
    assert read(f"What is the code of {name}?", Plan("find", 500, lead=3), leaf).answer == code


@pytest.mark.parametrize("slots", [1, 4])
def test_counts_lists_and_pairs_are_put_together_by_code(slots: int) -> None:
    limits = Limits(slots=slots)
    assert read("How many red doors?", Plan("count", 600), limits=limits).answer == str(DOORS)
    listed = read("List all names", Plan("list", 600), limits=limits)
    assert sorted(listed.items) == sorted(CODES) and listed.whole
    crossed = read("Pairs of names with one letter", Plan("cross", 600), limits=limits)
    wanted = {f"{a} | {b}" for a in CODES for b in CODES if a < b and a[0] == b[0]}
    assert set(crossed.items) == wanted and crossed.depth == 2


def test_parts_without_a_number_make_no_count() -> None:
    async def silent(task: object, question: str, text: str, attempt: int) -> Said:
        return Said(())

    found = asyncio.run(Reader(silent, Limits()).read("How many?", [("text", DATA)], Plan("count", 600)))
    assert found.answer == "" and not found.found and not found.whole and "gave no number" in found.why


def test_a_summary_is_bounded_in_depth() -> None:
    found = read("Summarise it", Plan("summary", 600))
    assert found.found and 1 < found.depth <= 4
    flat = read("Summarise it", Plan("summary", 600, depth=1))
    assert flat.depth == 1 and not flat.whole and "depth" in flat.why


def test_votes_mend_wrong_leaves() -> None:
    wrong = [read("How many?", Plan("count", 600, lead=1), ScriptedLeaf(0.1, seed)).answer for seed in range(10)]
    leaves = read("How many?", Plan("count", 600)).chunks
    lead = lead_for(0.1, leaves)
    right = [read("How many?", Plan("count", 600, lead=lead), ScriptedLeaf(0.1, seed)).answer for seed in range(10)]
    assert wrong.count(str(DOORS)) < 3 and right.count(str(DOORS)) >= 9 and lead > 1


@pytest.mark.parametrize(
    ("limits", "word"), [(Limits(calls=7), "calls"), (Limits(tokens=500), "tokens"), (Limits(seconds=5), "seconds")]
)
def test_budgets(limits: Limits, word: str) -> None:
    ticks = iter(range(1000))
    found = read("How many red doors?", Plan("count", 600), limits=limits, clock=lambda: float(next(ticks)))
    assert not found.whole and word in found.why and found.saved == 0
    assert 0 < found.read == found.calls <= 7 and found.read < found.chunks


def test_leaves_see_no_more_than_a_chunk() -> None:
    leaf = ScriptedLeaf()
    read("How many red doors?", Plan("count", 600), leaf)
    assert max(len(text.encode()) for text in leaf.seen) <= 600 and "".join(leaf.seen) == TEXT


def test_the_plan() -> None:
    # The table of the paper's formula: error .0358 over 1,048,575 steps needs 6, .0022 needs 3.
    assert (lead_for(0.0358, 1_048_575), lead_for(0.0022, 1_048_575), lead_for(0.0, 10)) == (6, 3, 1)
    assert lead_for(0.6, 10) == 8
    assert [kind_of(q) for q in ("How many doors?", "Summarise this", "List all names", "Who set it?")] == [
        "count", "summary", "list", "find",
    ]  # fmt: skip
    assert plan_for("find", 2048, 60, 10).chunk == 4470 and plan_for("find", 100, 60, 10).chunk == 200
    assert ranked("the code of Oslo", ["nothing", "the Oslo office", "code code"])[0] == 1


@pytest.mark.parametrize(
    ("task", "said", "values"),
    [
        ("count", "12.", ("12",)), ("count", "about 12", ()), ("count", "-3", ()), ("find", "Not found.", ()),
        ("find", "12 May", ("12 May",)),
        ("list", "- a\n2. b\nnone\n", ("a", "b")), ("list", "none", ()),
    ],
)  # fmt: skip
def test_what_is_not_in_the_form_is_no_answer(task: Any, said: str, values: tuple[str, ...]) -> None:
    assert form(task, said) == values


def test_over_http(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for body in (
            {"question": "x"},
            {"question": "x", "path": "a", "collection": "b"},
            {"question": "x", "handle": "no"},
        ):
            assert (await house.call("POST", f"{AT}/read", body)).status in (400, 404, 501, 503)

    at_home(tmp_path, work)
