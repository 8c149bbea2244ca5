"""`bench rlm`: recursive reading with scripted leaves: calls with and without the early end, answers with and without votes.

Leaves read made texts and are wrong at a set rate, so that what the plan adds is measured apart from any model.
`find` asks by the name that stands in the text, which FILTER puts first; `find_blind` by a name that no part has,
so that only the word "code" is left to rank by, which six parts have.
Promises: the same texts, questions and wrong answers for each way. Does not cover: how often a model is wrong; a model's time.
"""

from __future__ import annotations

import statistics
import time

from bench.report import Report
from bench.scripted_leaf import ScriptedLeaf, made_text
from homefire.agent.rlm import Limits, Reader, Said, Task
from homefire.agent.rlm_plan import Plan, lead_for

GOALS: dict[str, tuple[str, float]] = {}
TEXTS, LINES, CHUNK = 40, 400, 600
# Shares of wrong leaves; .25 is what a weak small model makes of short passages.
RATES = (0.02, 0.1, 0.25)


async def measure() -> Report:
    """Runs it."""
    report = Report("rlm", GOALS)
    await _finding(report, False)
    await _finding(report, True)
    for rate in RATES:
        await _counting(report, rate)
    await _overhead(report)
    return report


async def _finding(report: Report, blind: bool) -> None:
    calls: dict[bool, list[int]] = {True: [], False: []}
    right: dict[bool, list[bool]] = {True: [], False: []}
    for number in range(TEXTS):
        text, codes, _ = made_text(LINES, number)
        for at, (name, code) in enumerate(codes.items()):
            asked = f"zzz{at}" if blind else name
            for early in (True, False):
                reader = Reader(ScriptedLeaf(seed=number, names={asked: name}), Limits(), stop_early=early)
                found = await reader.read(f"What is the code of {asked}?", [("t", text.encode())], Plan("find", CHUNK))
                calls[early].append(found.calls)
                right[early].append(found.answer == code)
    what = "find_blind" if blind else "find"
    for early, name in ((True, "early"), (False, "whole")):
        report.figures[f"{what}_{name}_calls"] = statistics.mean(calls[early])
        report.figures[f"{what}_{name}_right_share"] = statistics.mean(right[early])
    report.figures[f"{what}_calls_saved_share"] = 1 - sum(calls[True]) / sum(calls[False])


async def _counting(report: Report, rate: float) -> None:
    for voted in (False, True):
        right, calls = [], []
        for number in range(TEXTS):
            text, _, doors = made_text(LINES, number)
            lead = lead_for(rate, len(text) // CHUNK + 1) if voted else 1
            reader = Reader(ScriptedLeaf(rate, number), Limits(100_000))
            found = await reader.read("How many red doors?", [("t", text.encode())], Plan("count", CHUNK, lead))
            right.append(found.answer == str(doors))
            calls.append(found.calls)
        name = f"count_wrong{rate * 100:.0f}_{'voted' if voted else 'once'}"
        report.figures[f"{name}_right_share"] = statistics.mean(right)
        report.figures[f"{name}_calls"] = statistics.mean(calls)


async def _overhead(report: Report) -> None:
    """What the plan itself takes for a leaf: a text of some megabytes, leaves that answer at once."""
    data = made_text(30_000, 1)[0].encode()
    took = []
    for _ in range(5):
        began = time.perf_counter()
        found = await Reader(_at_once, Limits(0)).read("How many red doors?", [("t", data)], Plan("count", 4000))
        took.append(1e6 * (time.perf_counter() - began) / found.calls)
    report.figures["plan_us_for_a_leaf"] = statistics.median(took)
    report.figures["plan_text_mb"] = len(data) / 1e6


async def _at_once(task: Task, question: str, text: str, attempt: int) -> Said:
    return Said(("1",))
