"""The circuit breaker: states and times, without sleeping.

Promises: each cell of the table in `engines/breaker.py` has a test that goes red without it.
Does not cover: what counts as a failure (`test_fallback.py`).
"""

from __future__ import annotations

from homefire.engines.breaker import FAILURES, LONGEST, REST, WINDOW, Breaker


def opened(at: float = 100.0) -> Breaker:
    """A breaker that opened at `at`."""
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(at)
    assert breaker.state(at) == "open"
    return breaker


def test_closed_until_enough_failures_come_close_together() -> None:
    breaker = Breaker()
    for at in range(FAILURES - 1):
        breaker.failed(float(at))
        assert breaker.state(at) == "closed" and breaker.may_ask(at) and breaker.wait(at) == 0
    late = FAILURES - 2 + WINDOW
    breaker.failed(late)
    assert breaker.state(late) == "closed", "those before are forgotten by now"
    for _ in range(FAILURES - 1):
        breaker.failed(late)
    assert breaker.state(late) == "open" and not breaker.may_ask(late)


def test_one_success_forgives() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0)
    breaker.succeeded(0.0)
    breaker.failed(0.0)
    assert breaker.state(0.0) == "closed"


def test_open_for_its_rest() -> None:
    breaker = opened(100.0)
    assert breaker.wait(100.0) == REST and breaker.wait(100.0 + REST / 2) == REST / 2
    assert not breaker.may_ask(100.0 + REST - 0.01)
    breaker.failed(101.0)  # asked before it opened
    breaker.succeeded(102.0)
    breaker.abandoned(102.0)
    assert breaker.state(103.0) == "open" and breaker.wait(100.0) == REST
    assert breaker.state(100.0 + REST) == "half_open"


def test_half_open_takes_one_trial() -> None:
    breaker = opened(100.0)
    now = 100.0 + REST
    assert breaker.may_ask(now) and not breaker.may_ask(now), "one, not one a client"
    breaker.abandoned(now)
    assert breaker.may_ask(now) and not breaker.may_ask(now), "who leaves makes room for another"
    breaker.succeeded(now)
    assert breaker.state(now) == "closed" and breaker.may_ask(now) and breaker.may_ask(now)
    for _ in range(FAILURES - 1):
        breaker.failed(now)
    assert breaker.state(now) == "closed", "a success forgives what was before the rest, too"


def test_a_failed_trial_rests_twice_as_long() -> None:
    breaker = opened(0.0)
    now, rest = REST, REST
    for _ in range(12):
        assert breaker.may_ask(now)
        breaker.failed(now)
        rest = min(LONGEST, rest * 2)
        assert breaker.wait(now) == rest and not breaker.may_ask(now + rest - 0.01)
        now += rest
    assert rest == LONGEST
    assert breaker.may_ask(now), "the trial is free again"
    breaker.reset()
    assert breaker.state(now) == "closed" and breaker.may_ask(now) and breaker.wait(now) == 0
