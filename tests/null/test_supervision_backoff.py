"""The back-off of a crashing child, on a clock that is a number.

Promises: the pauses are those of the module's text, the circuit opens and closes again, and no child is started more than 25
times in ten minutes.
Does not cover: who waits for the pauses (`test_keeper.py`).
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homefire.supervision.backoff import CLEAN_AFTER, CRASHES_TO_BREAK, LONGEST, WINDOW, Backoff


def whole() -> Backoff:
    """One from whose pauses chance takes nothing."""
    return Backoff(draw=lambda: 0.0)


def starts_of(lives: float, seconds: float, chance: float = 1.0) -> list[float]:
    """When a child that dies after `lives` seconds is started within `seconds`, as early as the back-off allows."""
    backoff, now, starts = Backoff(draw=lambda: chance), 0.0, []
    while now < seconds:
        starts.append(now)
        now += lives
        backoff.crashed(now, lives)
        now += backoff.wait(now)
    return starts


def test_a_new_child_may_start_at_once() -> None:
    backoff = Backoff()
    assert (backoff.wait(5.0), backoff.pause(), backoff.broken()) == (0.0, 0.0, False)


def test_the_pauses_double_and_stop_at_the_longest() -> None:
    backoff, pauses = whole(), []
    for crash in range(12):  # a minute and more apart, so that the circuit stays closed
        backoff.crashed(crash * 61.0, 1.0)
        assert not backoff.broken()
        pauses.append(backoff.pause())
    assert pauses == pytest.approx([0.2, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0])


def test_many_crashes_do_not_overflow() -> None:
    backoff = whole()
    for crash in range(5000):
        backoff.crashed(crash * 61.0, 1.0)
    assert backoff.pause() == LONGEST


def test_the_wait_runs_down() -> None:
    backoff = whole()
    backoff.crashed(100.0, 1.0)
    assert [backoff.wait(now) for now in (100.0, 100.1, 100.2, 500.0)] == pytest.approx([0.2, 0.1, 0.0, 0.0])


def test_five_crashes_in_a_minute_open_the_circuit() -> None:
    backoff = Backoff()
    for crash in range(CRASHES_TO_BREAK):
        assert not backoff.broken()
        backoff.crashed(crash * 10.0, 1.0)
    assert backoff.broken()
    assert backoff.pause() == LONGEST
    last = (CRASHES_TO_BREAK - 1) * 10.0
    assert backoff.wait(last + LONGEST) == 0.0
    backoff.crashed(last + LONGEST + 1.0, 1.0)
    assert not backoff.broken(), "one crash after the rest is not five within a minute"


def test_four_in_a_minute_do_not() -> None:
    backoff = Backoff()
    for crash in range(20):
        backoff.crashed(crash * (WINDOW / 4 + 0.1), 1.0)
        assert not backoff.broken()


@pytest.mark.parametrize("lives", [0.0, 0.01, 0.2, 1.3, 5.0, 12.0, 15.5, 20.0, 30.0, 59.0])
def test_at_most_25_starts_in_ten_minutes(lives: float) -> None:
    starts = starts_of(lives, 600.0)
    assert 2 <= len(starts) <= 25
    # Also in any ten minutes of a long day.
    day = starts_of(lives, 7200.0)
    assert max(sum(begin <= start < begin + 600.0 for start in day) for begin in day) <= 25


@settings(max_examples=100, deadline=None, database=None)
@given(st.floats(0.0, 599.0), st.floats(0.0, 1.0))
def test_at_most_25_starts_whatever_the_life(lives: float, chance: float) -> None:
    assert len(starts_of(lives, 600.0, chance)) <= 25


def test_it_never_gives_up_for_good() -> None:
    day = starts_of(0.0, 86_400.0)
    assert max(later - start for start, later in pairwise(day)) <= LONGEST + 0.001


def test_ten_minutes_of_life_make_a_clean_record() -> None:
    backoff = Backoff()
    for crash in range(5):
        backoff.crashed(float(crash), 0.5)
    assert backoff.broken()
    backoff.crashed(5.0 + CLEAN_AFTER - 1.0, CLEAN_AFTER - 1.0)
    assert backoff.in_a_row == 6
    backoff.crashed(2000.0, CLEAN_AFTER)
    assert (backoff.in_a_row, backoff.broken()) == (1, False)
    assert 0.15 <= backoff.pause() <= 0.2


def test_chance_takes_up_to_a_quarter_and_is_drawn_once_a_crash() -> None:
    drawn = iter((0.0, 0.5, 1.0))
    backoff = Backoff(draw=lambda: next(drawn))
    pauses = []
    for crash in range(3):
        backoff.crashed(crash * 61.0, 1.0)
        pauses.append(backoff.pause())
        assert backoff.pause() == pauses[-1], "who asks twice gets the same answer"
    assert pauses == pytest.approx([0.2, 0.2 * 0.875, 0.4 * 0.75])


def test_children_that_fell_together_do_not_come_back_together() -> None:
    both = [Backoff(), Backoff()]
    apart = 0
    for crash in range(20):
        for backoff in both:
            backoff.crashed(crash * 61.0, 1.0)
        apart += both[0].pause() != both[1].pause()
    assert apart > 0
