"""The search for the quickest way, on machines that are made up: what it tries, in which order, and what it takes.

Promises: it finds what is best along each knob, is not moved by noise below its margin, and survives trials that fail.
Does not cover: real engines (`tests/process/test_tuning.py`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from homefire.residency.tuning import MARGIN, ROUNDS, Knob, Search, Timing, Tuning, knobs_for

THREADS = Knob("threads", ({"threads": 1}, {"threads": 4}))
DRAFTS = Knob("draft", ({"draft_mode": "ngram-mod"}, {"draft_mode": "ngram-simple"}))


def play(search: Search, seconds: Callable[[Tuning], float]) -> list[Tuning]:
    """Runs a search to its end; the ways in the order of their trials. A negative time is a failure."""
    asked = []
    while (way := search.next) is not None:
        asked.append(way)
        done, total = search.steps
        assert done < total
        if (taken := seconds(way)) < 0:
            search.fail("it broke")
        else:
            search.record(Timing(taken / 4, taken * 3 / 4, drafted=int(way.draft_mode == "ngram-mod")))
    assert search.steps[0] == search.steps[1] == len(asked)
    return asked


def test_trials_are_interleaved_and_each_knob_begins_at_the_winner() -> None:
    search = Search(Tuning(), [THREADS, DRAFTS])
    asked = play(search, lambda way: {0: 2.0, 1: 3.0, 4: 1.0}[way.threads] - 0.5 * (way.draft_mode == "ngram-mod"))
    assert [way.threads for way in asked[:9]] == [0, 1, 4, 4, 1, 0, 0, 1, 4], "there and back"
    assert all(way.threads == 4 for way in asked[9:])
    assert search.best == Tuning(threads=4, draft_mode="ngram-mod")
    assert [(row.knob, row.way.threads, row.won, row.trials) for row in search.tried[:3]] == [
        ("threads", 0, False, ROUNDS), ("threads", 1, False, ROUNDS), ("threads", 4, True, ROUNDS),
    ]  # fmt: skip
    assert all(row.spread == 1 for row in search.tried)


@pytest.mark.parametrize(("gain", "moves"), [(MARGIN / 2, False), (MARGIN * 1.1, True), (0.0, False), (-0.5, False)])
def test_a_gain_below_the_margin_changes_nothing(gain: float, moves: bool) -> None:
    search = Search(Tuning(), [THREADS])
    play(search, lambda way: 1 + gain if way.threads == 0 else 1.0 if way.threads == 4 else 9.0)
    assert (search.best.threads == 4) is moves


def test_one_bad_trial_does_not_decide() -> None:
    """The median of three: a trial that was disturbed, in either direction, is passed over."""
    for disturbed in range(9):
        search, count = Search(Tuning(), [THREADS]), 0

        def seconds(way: Tuning, disturbed: int = disturbed) -> float:
            nonlocal count
            count += 1
            return 50.0 if count - 1 == disturbed else {0: 2.0, 1: 3.0, 4: 1.0}[way.threads]

        play(search, seconds)
        assert search.best.threads == 4, disturbed


def test_a_better_median_with_a_worse_best_trial_is_noise() -> None:
    search, given = Search(Tuning(), [THREADS]), {0: [1.0, 2.0, 2.0], 1: [9.0] * 3, 4: [1.5, 1.5, 1.5]}
    play(search, lambda way: given[way.threads].pop())
    assert search.best == Tuning()
    assert [row.spread for row in search.tried] == [2, 1, 1]


def test_a_draft_that_proposed_nothing_is_not_taken() -> None:
    search = Search(Tuning(), [DRAFTS])
    play(search, lambda way: {"none": 2.0, "ngram-mod": 1.5, "ngram-simple": 1.0}[way.draft_mode])
    assert search.best.draft_mode == "ngram-mod", "the other one is quicker by noise alone"


def test_noise_alone_moves_seldom_and_a_true_gain_nearly_always() -> None:
    draw = random.Random(3)
    moved = taken = 0
    for _ in range(300):
        search = Search(Tuning(), [THREADS])
        play(search, lambda way: draw.gauss(1.0, 0.01))
        moved += search.best != Tuning()
        search = Search(Tuning(), [THREADS])
        play(search, lambda way: draw.gauss(0.9 if way.threads == 4 else 1.0, 0.01))
        taken += search.best.threads == 4
    assert moved <= 6 and taken >= 297


def test_a_way_that_fails_is_left_and_a_start_that_fails_too() -> None:
    search = Search(Tuning(), [THREADS])
    asked = play(search, lambda way: {0: 2.0, 1: -1.0, 4: 1.0}[way.threads])
    assert [way.threads for way in asked].count(1) == 1
    assert next(row for row in search.tried if row.way.threads == 1).failed == "it broke"
    assert search.best.threads == 4
    search = Search(Tuning(), [THREADS])
    play(search, lambda way: {0: -1.0, 1: 3.0, 4: 2.9}[way.threads])
    assert search.best.threads == 4, "whatever works is better than what does not"
    search = Search(Tuning(), [THREADS, DRAFTS])
    play(search, lambda way: -1.0)
    assert search.best == Tuning()


def test_what_cannot_be_run_is_not_tried() -> None:
    knobs = knobs_for(8, 7, 4096, quick=False, caches=["Q8_0"], drafts=[{"draft_mode": "draft", "draft": "small"}])
    assert [knob.name for knob in knobs] == ["threads", "batch", "flash_attention", "kv_type", "draft"]
    assert [each["threads"] for each in knobs[0].others] == [1, 4, 8]
    search = Search(Tuning(), knobs)
    asked = play(search, lambda way: 1.0 if way.flash_attention is None else 0.5)
    assert search.best.flash_attention is False
    assert all(way.sound for way in asked) and not any(way.kv_type == "Q8_0" for way in asked)
    assert not replace(Tuning(), kv_type="Q8_0", flash_attention=False).sound


def test_a_machine_with_one_core_and_a_small_window() -> None:
    knobs = knobs_for(1, 1, 256, quick=False, caches=(), drafts=())
    assert [(knob.name, len(knob.others)) for knob in knobs] == [
        ("threads", 0), ("batch", 2), ("flash_attention", 1), ("kv_type", 0), ("draft", 5),
    ]  # fmt: skip
    quick = knobs_for(2, 1, 4096, quick=True, caches=("Q8_0",), drafts=())
    assert [(knob.name, len(knob.others)) for knob in quick] == [("threads", 1), ("draft", 2)]
    search = Search(Tuning(), [Knob("threads", ())])
    assert search.next is None and search.tried == []
