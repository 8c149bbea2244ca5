"""What a fetch decides: the chunk map, reactions to every kind of answer, pauses, the journal, the bandwidth cap.

Promises: each row of the reactions is pinned; over thousands of random servers the plan never asks a chunk twice at once, never
asks one again that is there, and always ends; a journal cut or damaged anywhere never names a chunk that was not written.
Does not cover: real connections and disks (`tests/process/test_fetch.py`).
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from homefire.errors import InternalError, SourceUnreachable
from homefire.models import fetch_plan as planner
from homefire.models.fetch_plan import (
    ASKED,
    OPEN,
    SYNCED,
    WRITTEN,
    Ask,
    Bucket,
    Meter,
    Plan,
    Rules,
    head_line,
    line,
    read_journal,
    synced_line,
    whole_journal,
    written_line,
)

RULES = Rules(chunk=10, parallel=3, tries=3, run=4, first_pause=1.0, longest_pause=8.0)
SIZE = 95


def plan_of(size: int | None = SIZE, rules: Rules = RULES, number: Callable[[], float] = lambda: 0.5) -> Plan:
    return Plan(size, rules, number)


def ask_of(plan: Plan, now: float = 0.0) -> Ask:
    ask = plan.next(now)
    assert isinstance(ask, Ask)
    return ask


def head(ask: Ask, total: int = SIZE, **more: str) -> dict[str, str]:
    """The headers of a right answer."""
    assert ask.end is not None
    return {"content-range": f"bytes {ask.start}-{min(ask.end, total) - 1}/{total}", **more}


def opened(plan: Plan) -> Ask:
    """A plan past its probe; the first ask is done."""
    ask = ask_of(plan)
    assert plan.answered(ask, 206, head(ask, etag='"a"'), 0.0).kind == "use"
    for index in range(ask.first, ask.last):
        plan.written(index, index)
    plan.given_back(ask)
    return ask


def test_the_first_ask_is_alone_and_then_there_are_as_many_as_allowed() -> None:
    plan = plan_of()
    first = ask_of(plan)
    assert (first.start, first.probe, first.header) == (0, True, {"range": "bytes=0-9"})
    assert plan.next(0.0) is None, "nobody knows yet whether the server understands ranges"
    assert plan.answered(first, 206, head(first), 0.0).kind == "use"
    others = [ask_of(plan), ask_of(plan)]
    assert plan.next(0.0) is None
    assert [plan.states[i] for i in range(3)] == [ASKED] * 3
    spans = [(a.start, a.end) for a in (first, *others)]
    assert spans == [(0, 10), (10, 20), (20, 30)]


def test_a_run_is_long_in_a_large_file_and_short_at_its_end() -> None:
    plan = plan_of(10 * 1000)
    assert ask_of(plan).last == 4, "no longer than the rules say"
    plan = plan_of(10 * 12)
    assert ask_of(plan).last == 2, "a sixth of what is left"


def test_what_is_written_is_not_asked_again_and_runs_stop_before_it() -> None:
    plan = plan_of(400)
    plan.adopt(400, "", {2: (7, True), 3: (8, False)})
    assert (ask_of(plan).first, plan.frontier()) == (0, 0)
    assert plan.states[2:4] == [SYNCED, WRITTEN]
    assert plan.done_bytes == 20
    plan = plan_of(30)
    plan.adopt(30, "", {0: (1, True), 1: (1, True), 2: (1, False), 9: (1, True)})
    assert plan.complete and plan.next(0.0) is None and plan.frontier() == 3


def test_the_size_is_learned_from_the_first_answer() -> None:
    plan = plan_of(None)
    ask = ask_of(plan)
    assert ask.header == {"range": "bytes=0-9"}
    assert plan.answered(ask, 206, head(ask), 0.0).kind == "use"
    assert plan.size == SIZE and plan.states == [ASKED] + [OPEN] * 9
    assert plan.span(9) == (90, 95)


def test_a_server_without_ranges_gets_one_stream() -> None:
    plan = plan_of()
    ask = ask_of(plan)
    assert plan.answered(ask, 200, {"content-length": "95"}, 0.0).kind == "retry"
    plan.given_back(ask)
    whole = ask_of(plan)
    assert (whole.start, whole.end, whole.header) == (0, None, {})
    assert plan.next(0.0) is None
    assert plan.answered(whole, 200, {"content-length": "95"}, 0.0).kind == "use"


def test_a_file_of_one_chunk_may_come_as_200() -> None:
    plan = plan_of(7)
    ask = ask_of(plan)
    assert plan.answered(ask, 200, {"content-length": "7"}, 0.0).kind == "use"


REACTIONS: list[tuple[str, int, dict[str, str], str, str]] = [
    ("asked for", 206, {"content-range": "bytes 10-19/95"}, "use", ""),
    ("total not told", 206, {"content-range": "bytes 10-19/*"}, "use", ""),
    ("identity", 206, {"content-range": "bytes 10-19/95", "content-encoding": "identity"}, "use", ""),
    ("compressed", 206, {"content-range": "bytes 10-19/95", "content-encoding": "gzip"}, "retry", "source_unreachable"),
    ("another start", 206, {"content-range": "bytes 11-19/95"}, "retry", "source_unreachable"),
    ("a longer range", 206, {"content-range": "bytes 10-20/95"}, "retry", "source_unreachable"),
    ("a shorter range", 206, {"content-range": "bytes 10-18/95"}, "retry", "source_unreachable"),
    ("no range", 206, {}, "retry", "source_unreachable"),
    ("a range that is none", 206, {"content-range": "bytes ten"}, "retry", "source_unreachable"),
    ("grown", 206, {"content-range": "bytes 10-19/96"}, "restart", "source_changed"),
    ("another etag", 206, {"content-range": "bytes 10-19/95", "etag": '"b"'}, "restart", "source_changed"),
    ("a weak etag", 206, {"content-range": "bytes 10-19/95", "etag": 'W/"b"'}, "use", ""),
    ("ranges ignored", 200, {"content-length": "95"}, "retry", ""),
    ("ranges ignored, grown", 200, {"content-length": "96"}, "restart", "source_changed"),
    ("no length", 200, {}, "retry", "source_unreachable"),
    ("bad length", 200, {"content-length": "-5"}, "retry", "source_unreachable"),
    ("400", 400, {}, "refuse", "source_unreachable"),
    ("401", 401, {}, "refuse", "source_refused"),
    ("403 later", 403, {}, "retry", "source_refused"),
    ("404", 404, {}, "refuse", "source_not_found"),
    ("408", 408, {}, "retry", "source_unreachable"),
    ("410", 410, {}, "refuse", "source_not_found"),
    ("416", 416, {}, "restart", "source_changed"),
    ("429", 429, {"retry-after": "3"}, "retry", "source_unreachable"),
    ("429 for a day", 429, {"retry-after": "86400"}, "refuse", "source_unreachable"),
    ("429 with a date", 429, {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, "retry", "source_unreachable"),
    ("500", 500, {}, "retry", "source_unreachable"),
    ("503", 503, {}, "retry", "source_unreachable"),
    ("304", 304, {}, "refuse", "source_unreachable"),
    ("204", 204, {}, "refuse", "source_unreachable"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "status", "headers", "kind", "code"), REACTIONS, ids=[r[0] for r in REACTIONS])
def test_reactions(name: str, status: int, headers: dict[str, str], kind: str, code: str) -> None:
    plan = plan_of()
    opened(plan)
    ask = ask_of(plan)
    assert (ask.start, ask.end) == (10, 20)
    reaction = plan.answered(ask, status, headers, 0.0)
    assert reaction.kind == kind
    assert (reaction.error.code if reaction.error else "") == code


def test_403_at_once_is_final() -> None:
    plan = plan_of()
    assert plan.answered(ask_of(plan), 403, {}, 0.0).kind == "refuse"


def test_403_beside_an_answer_that_is_still_coming_is_not() -> None:
    plan = plan_of()
    assert plan.answered(ask_of(plan), 206, {"content-range": "bytes 0-9/95"}, 0.0).kind == "use"
    assert plan.answered(ask_of(plan), 403, {}, 0.0).kind == "retry"


def test_416_on_an_empty_file() -> None:
    plan = plan_of(None)
    ask = ask_of(plan)
    assert plan.answered(ask, 416, {"content-range": "bytes */0"}, 0.0).kind == "retry"
    plan.given_back(ask)
    assert plan.size == 0 and plan.complete


def test_pauses_grow_have_jitter_and_end() -> None:
    def pauses(number: float) -> list[float]:
        plan = plan_of(rules=Rules(tries=7, first_pause=1.0, longest_pause=8.0), number=lambda: number)
        now, found = 0.0, []
        while plan.lost(SourceUnreachable("x"), now).kind == "retry":
            step = plan.next(now)
            assert isinstance(step, float)
            found.append(step)
            now += step
        return found

    assert pauses(0.0) == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert pauses(0.5) == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_failures_count_only_in_a_row_and_one_outage_once() -> None:
    plan = plan_of()
    opened(plan)
    asks = [ask_of(plan), ask_of(plan), ask_of(plan)]
    assert [plan.lost(SourceUnreachable("x"), 0.0).kind for _ in asks] == ["retry"] * 3, "one outage, three connections"
    for ask in asks:
        plan.given_back(ask)
    assert plan.lost(SourceUnreachable("x"), 100.0).kind == "retry"
    plan.written(1, 0)
    assert plan.lost(SourceUnreachable("x"), 200.0).kind == "retry", "a chunk came in between"
    assert plan.lost(SourceUnreachable("x"), 300.0).kind == "retry"
    assert plan.lost(SourceUnreachable("x"), 400.0).kind == "refuse"


def test_retry_after_is_a_lower_bound() -> None:
    plan = plan_of()
    ask = ask_of(plan)
    plan.answered(ask, 429, {"retry-after": "30"}, 5.0)
    plan.given_back(ask)
    assert plan.next(5.0) == 30.0
    assert plan.next(34.0) == 1.0
    assert isinstance(plan.next(35.0), Ask)


def test_a_changed_file_is_begun_again_once() -> None:
    plan = plan_of(None)
    opened(plan)
    ask = ask_of(plan)
    assert plan.answered(ask, 206, head(ask, etag='"b"'), 0.0).kind == "restart"
    plan.given_back(ask)
    plan.restart()
    assert (plan.size, plan.etag, plan.states, plan.mode) == (None, "", [], "probe")
    opened(plan)
    ask = ask_of(plan)
    assert plan.answered(ask, 206, head(ask, etag='"b"'), 0.0).kind == "refuse"


def test_a_restart_after_a_resume_forgets_the_size_that_only_the_journal_knew() -> None:
    plan = plan_of(None)
    plan.adopt(50, '"a"', {0: (1, True)})
    plan.restart()
    assert plan.size is None
    plan = plan_of(95)
    plan.adopt(95, '"a"', {0: (1, True)})
    plan.restart()
    assert plan.size == 95 and plan.states == [OPEN] * 10


def test_repair() -> None:
    def complete() -> Plan:
        plan = plan_of()
        plan.adopt(SIZE, "", {i: (i, True) for i in range(10)})
        return plan

    plan = complete()
    assert plan.repair([4]).kind == "retry"
    assert [i for i, s in enumerate(plan.states) if s == OPEN] == [4], "only the chunk that changed on the disk"
    plan.written(4, 4)
    assert plan.repair([]).kind == "retry"
    assert plan.states == [OPEN] * 10, "then the bytes came wrong over the network, and everything is fetched again"
    plan.adopt(SIZE, "", {i: (i, True) for i in range(10)})
    reaction = plan.repair([])
    assert reaction.kind == "refuse" and reaction.error is not None and reaction.error.code == "digest_mismatch"
    plan = complete()
    kinds = [plan.repair([4]).kind for _ in range(planner.REPAIRS + 1)]
    assert kinds == ["retry"] * planner.REPAIRS + ["refuse"], "a disk that changes what it holds is not fed for ever"


def test_synced_does_not_close_what_was_opened_again() -> None:
    plan = plan_of()
    plan.written(0, 1)
    plan.written(1, 1)
    indexes = plan.unsynced()
    plan.reopen([1])
    plan.synced(indexes)
    assert plan.states[:2] == [SYNCED, OPEN]


def _serve(plan: Plan, ask: Ask, chance: random.Random, data: bytes) -> str:
    """One random answer; checks what is used."""
    end = len(data) if ask.end is None else min(ask.end, len(data))
    what = chance.choice(["right"] * 4 + ["lost", "cut", "200", "500", "range", "403", "changed", "404", "no length"])
    right = {"content-range": f"bytes {ask.start}-{end - 1}/{len(data)}", "etag": '"a"'}
    answers: dict[str, tuple[int, dict[str, str]]] = {
        "200": (200, {"content-length": str(len(data)), "etag": '"a"'}),
        "500": (500, {}),
        "range": (206, {**right, "content-range": f"bytes 1-{end}/{len(data)}"}),
        "403": (403, {}),
        "changed": (206, {**right, "etag": '"b"'}),
        "404": (404, {}) if chance.random() < 0.05 else (500, {}),
        "no length": (200, {}),
    }
    if what == "lost":
        return plan.lost(SourceUnreachable("x"), 0.0).kind
    status, headers = answers.get(what, (206, right) if ask.end is not None else answers["200"])
    reaction = plan.answered(ask, status, headers, 0.0)
    if reaction.kind != "use":
        return reaction.kind
    last = len(plan.states) if ask.end is None else min(ask.last, len(plan.states))
    for index in range(ask.first, min(last, ask.first + (1 if what == "cut" else 99))):
        if plan.states[index] < WRITTEN:
            plan.written(index, zlib.crc32(data[slice(*plan.span(index))]))
    return "use"


def test_thousands_of_random_servers() -> None:
    ends: dict[str, int] = {}
    for seed in range(1500):
        chance = random.Random(seed)
        data = bytes(chance.randrange(0, 200))
        size = len(data) if chance.random() < 0.5 else None
        rules = Rules(
            chunk=chance.randrange(1, 30), parallel=chance.randrange(1, 5), tries=4, first_pause=0.0, longest_pause=0.0
        )
        plan = Plan(size, rules, chance.random)
        under_way: list[Ask] = []
        for _ in range(5000):
            if plan.complete and not under_way:
                ends["right"] = ends.get("right", 0) + 1
                break
            asked = plan.next(0.0)
            assert not isinstance(asked, float)
            if asked is not None:
                assert len(under_way) < rules.parallel
                taken = [i for a in under_way for i in range(a.first, a.last)]
                assert not set(taken) & set(range(asked.first, asked.last)), "a chunk is asked twice at once"
                if asked.end is not None:
                    assert all(plan.states[i] == ASKED for i in range(asked.first, min(asked.last, len(plan.states))))
                under_way.append(asked)
                if chance.random() < 0.5:
                    continue
            assert under_way, "the plan has nothing to ask and is not complete"
            ask = under_way.pop(chance.randrange(len(under_way)))
            outcome = _serve(plan, ask, chance, data)
            plan.given_back(ask)
            if outcome == "refuse":
                ends["refused"] = ends.get("refused", 0) + 1
                break
            if outcome == "restart":
                for other in under_way:
                    plan.given_back(other)
                under_way.clear()
                plan.restart()
        else:
            raise InternalError(f"seed {seed} does not end")
        if plan.complete:
            assert all(plan.digests[i] == zlib.crc32(data[slice(*plan.span(i))]) for i in range(len(plan.states)))
    assert min(ends["right"], ends["refused"]) > 150, ends


# -- the journal


def journal() -> bytes:
    return b"".join(
        [
            head_line(95, 10, '"a"', "x" * 64),
            *(written_line(i, 1000 + i) for i in range(5)),
            synced_line([0, 1]),
            written_line(1, 7),
        ]
    )


def test_a_journal_reads_as_it_was_written() -> None:
    found = read_journal(journal())
    assert found.head == {"v": 1, "size": 95, "chunk": 10, "etag": '"a"', "identity": "x" * 64}
    assert found.chunks == {0: (1000, True), 1: (7, False), 2: (1002, False), 3: (1003, False), 4: (1004, False)}
    plan = plan_of()
    plan.adopt(95, '"a"', found.chunks)
    again = read_journal(whole_journal(plan, "x" * 64))
    assert (again.head, again.chunks) == (found.head, found.chunks)


def test_a_journal_cut_anywhere_names_only_what_was_written() -> None:
    raw = journal()
    whole = read_journal(raw)
    for end in range(len(raw)):
        found = read_journal(raw[:end])
        for index, (digest, _) in found.chunks.items():
            assert digest in (1000 + index, whole.chunks[index][0])
        # What is appended after a torn line must not revive it.
        torn = read_journal(raw[:end] + written_line(9, 9))
        assert set(torn.chunks) <= {*range(5), 9}


def test_a_journal_damaged_anywhere_says_nothing_wrong() -> None:
    raw = journal()
    allowed = {(i, 1000 + i) for i in range(5)} | {(1, 7)}
    chance = random.Random(1)
    for _ in range(2_000):
        damaged = bytearray(raw)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(raw))] = chance.randrange(256)
        found = read_journal(bytes(damaged))
        assert {(i, digest) for i, (digest, _) in found.chunks.items()} <= allowed


@pytest.mark.parametrize(
    "raw",
    [b"", b"\n", b"\0" * 100, line("[" * 100_000), line("w 1 00000001"), line('{"v": 2}'), line("7"),
     line('{"v": 1}') + line("w x y") + line("s") + line("s 1 x") + line("w " + "9" * 99)],
)  # fmt: skip
def test_what_is_no_journal_reads_as_empty(raw: bytes) -> None:
    assert read_journal(raw).chunks == {}


# -- rate


def test_the_bucket_holds_the_rate_over_time() -> None:
    bucket = Bucket(1000.0)
    now = 0.0
    for _ in range(100):
        now += bucket.take(100, now)
    assert 9.5 <= now <= 10.5, "10,000 bytes at 1,000 a second"
    now += 60  # a rest does not save up more than the burst
    began = now
    for _ in range(20):
        now += bucket.take(100, now)
    assert now - began >= 1.5


def test_no_cap() -> None:
    assert Bucket(0).take(1 << 40, 0.0) == 0.0


def test_the_meter() -> None:
    meter = Meter()
    first = meter.seen(0, 1000, 0.0)
    assert (first.rate, first.eta) == (0.0, None)
    for second in range(1, 6):
        seen = meter.seen(100 * second, 1000, float(second))
    assert seen.rate == pytest.approx(100.0) and seen.eta == pytest.approx(5.0)
    assert meter.seen(0, 1000, 6.0).rate >= 0.0
    assert meter.seen(5, None, 7.0).eta is None


def test_rules_are_what_the_docs_say() -> None:
    rules: Any = Rules()
    assert (rules.chunk, rules.parallel, rules.tries) == (8 << 20, 4, 6)
