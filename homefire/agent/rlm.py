"""Recursive reading: a question over more text than any window holds. Code cuts, orders, adds and joins; the model reads leaves.

    handle or file -> Plan -> SPLIT -> FILTER -> MAP over leaves, each voted on -> REDUCE (CROSS, SUMMARISE) -> Reading

Promises: a leaf never sees more than the plan's chunk; no call begins beyond the budget of calls, tokens or seconds; a reading
that ran out says so (`whole` is false) and how much was read; `find` stops when an answer is certain (it stands in the chunk's
text and won its vote), and counts the chunks it did not have to read; at most `slots` leaves are under way; depth is bounded.
Does not cover: what a model's answer is worth: a count is as right as its leaves are; whether a text may be shown (who calls).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from homefire.agent.rlm_plan import MOST_VOTES, Plan, ranked, split

Task = Literal["find", "count", "list", "cross", "summary"]
MOST_ITEMS, CROSS_BLOCK = 2000, 12
ABSENT = "not found"


@dataclass(frozen=True, slots=True)
class Said:
    """What a leaf says: `values` are its answer in the task's form (one text, one number as text, lines), none: nothing there or
    no use. `tokens` read and written."""

    values: tuple[str, ...]
    tokens: int = 0


class Leaf(Protocol):
    """The model on one chunk. `attempt` counts its votes, so that each may be asked otherwise."""

    async def __call__(self, task: Task, question: str, text: str, attempt: int) -> Said: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reading may take; 0: no limit of that."""

    calls: int = 2000
    tokens: int = 0
    seconds: float = 0.0
    slots: int = 1


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk: which text it is of, and where. Its letters are made when they are asked for: texts may be gigabytes."""

    name: str
    start: int
    end: int
    data: bytes | memoryview

    @property
    def text(self) -> str:
        """As a model reads it."""
        return bytes(self.data[self.start : self.end]).decode("utf-8", "replace")


@dataclass
class Reading:
    """How it came out. `places` are (name, start, end) of the chunks an answer stands in; `saved` chunks that needed no call;
    `whole`: all that the plan wanted was done."""

    kind: str
    answer: str = ""
    found: bool = False
    whole: bool = True
    places: list[tuple[str, int, int]] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    chunks: int = 0
    read: int = 0
    calls: int = 0
    saved: int = 0
    tokens: int = 0
    depth: int = 1
    split_votes: int = 0
    why: str = ""

    def as_data(self) -> dict[str, Any]:
        """For an answer."""
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "places": [*map(list, self.places)],
        }


class Spent(Exception):
    """The budget of a reading is used up. It never leaves this module."""


class Reader:
    """Carries plans out for one question after another. One event loop uses it."""

    def __init__(self, leaf: Leaf, limits: Limits, *, stop_early: bool = True,
                 clock: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self._leaf, self._limits, self._stop_early, self._clock = leaf, limits, stop_early, clock

    async def read(self, question: str, texts: Sequence[tuple[str, bytes | memoryview]], plan: Plan) -> Reading:
        """Texts by their names. Raises InvalidRequest for too much, and what the model raises."""
        parts = [Part(name, start, end, data) for name, data in texts for start, end in split(data, plan.chunk)]
        reading = Reading(plan.kind, chunks=len(parts))
        run = _Run(self._leaf, self._limits, plan, reading, self._clock)
        if plan.kind == "find":
            await self._find(question, parts, run)
        elif plan.kind == "summary":
            await _summary(question, parts, run)
        else:
            await _gathered(question, parts, run)
        reading.saved = max(0, reading.chunks - reading.read) if reading.whole else 0
        return reading

    async def _find(self, question: str, parts: Sequence[Part], run: _Run) -> None:
        """The nearest chunks first, `slots` at a time; the first certain answer ends it."""
        order = ranked(question, (part.text for part in parts))
        votes: Counter[str] = Counter()
        said: dict[str, tuple[str, Part]] = {}
        step = max(1, self._limits.slots)
        for at in range(0, len(order), step):
            batch = [parts[n] for n in order[at : at + step]]
            for part, found in zip(batch, await run.map("find", question, batch), strict=True):
                if found is None or not found:
                    continue
                key = _plain(found[0])
                votes[key] += 1
                said.setdefault(key, (found[0], part))
                certain = key in _plain(part.text)
                if certain and self._stop_early:
                    run.reading.places, run.reading.answer, run.reading.found = [_place(part)], found[0], True
                    return
                # What does not stand where it was read counts for less than anything that does.
                votes[key] += len(parts) if certain else 0
            if run.spent:
                break
        if votes:
            best = max(votes, key=lambda key: (votes[key], -list(votes).index(key)))
            run.reading.answer, part = said[best]
            run.reading.places, run.reading.found = [_place(part)], True
        elif run.reading.whole:
            run.reading.answer = ABSENT


class _Run:
    """One reading under way: its budget, and votes on leaves."""

    def __init__(self, leaf: Leaf, limits: Limits, plan: Plan, reading: Reading, clock: Callable[[], float]) -> None:
        self._leaf, self._limits, self.plan, self.reading = leaf, limits, plan, reading
        self._clock, self._began = clock, clock()
        self._slots = asyncio.Semaphore(max(1, limits.slots))
        self.spent = False

    async def map(self, task: Task, question: str, parts: Sequence[Part]) -> list[tuple[str, ...] | None]:
        """What each leaf says, None for those that the budget did not reach. Raises what the model raises."""

        async def one(part: Part) -> tuple[str, ...] | None:
            async with self._slots:
                try:
                    found = await self._voted(task, question, part.text)
                except Spent:
                    self.spent, self.reading.whole = True, False
                    return None
            self.reading.read += 1
            return found

        tasks = [asyncio.ensure_future(one(part)) for part in parts]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for each in tasks:
                each.cancel()

    async def _voted(self, task: Task, question: str, text: str) -> tuple[str, ...]:
        """The answer that leads by the plan's lead, or has most of MOST_VOTES."""
        lead = 1 if task == "summary" else self.plan.lead
        votes: Counter[tuple[str, ...]] = Counter()
        said: dict[tuple[str, ...], tuple[str, ...]] = {}
        for attempt in range(1 if lead == 1 else MOST_VOTES):
            found = await self._ask(task, question, text, attempt)
            key = tuple(sorted(map(_plain, found))) if task != "summary" else found
            votes[key] += 1
            said.setdefault(key, found)
            first, *rest = votes.most_common(2)
            if first[1] - (rest[0][1] if rest else 0) >= lead:
                break
        self.reading.split_votes += len(votes) > 1
        return said[votes.most_common(1)[0][0]]

    async def _ask(self, task: Task, question: str, text: str, attempt: int) -> tuple[str, ...]:
        limits, reading = self._limits, self.reading
        over = (
            (limits.calls and reading.calls >= limits.calls and "calls")
            or (limits.tokens and reading.tokens >= limits.tokens and "tokens")
            or (limits.seconds and self._clock() - self._began >= limits.seconds and "seconds")
        )
        if over:
            reading.why = f"The budget of {over} is used up."
            raise Spent
        reading.calls += 1
        said = await self._leaf(task, question, text, attempt)
        reading.tokens += said.tokens
        return said.values


async def _gathered(question: str, parts: Sequence[Part], run: _Run) -> None:
    """count, list and cross: every chunk is read; numbers are added, lines joined, by code."""
    reading = run.reading
    mapped = await run.map("count" if run.plan.kind == "count" else "list", question, parts)
    held = [(part, found) for part, found in zip(parts, mapped, strict=True) if found]
    if run.plan.kind == "count":
        counted = [(part, int(found[0])) for part, found in held if found[0].isdecimal()]
        reading.places = [_place(part) for part, number in counted if number][:MOST_ITEMS]
        if counted:
            reading.answer, reading.found = str(sum(number for _, number in counted)), True
        if missing := sum(found is not None for found in mapped) - len(counted):
            reading.whole, reading.why = False, reading.why or f"{missing} parts gave no number."
        return
    reading.places = [_place(part) for part, _ in held][:MOST_ITEMS]
    reading.items = _union(found for _, found in held)
    if run.plan.kind == "cross" and len(reading.items) > 1:
        reading.depth += 1
        blocks = [reading.items[at : at + CROSS_BLOCK] for at in range(0, len(reading.items), CROSS_BLOCK)]
        pairs = [
            _made("\n".join([*one, *(other if other is not one else [])]))
            for n, one in enumerate(blocks)
            for other in blocks[n:]
        ]
        reading.items = _union(found for found in await run.map("cross", question, pairs) if found)
    reading.answer, reading.found = "\n".join(reading.items), bool(reading.items)


async def _summary(question: str, parts: Sequence[Part], run: _Run) -> None:
    """Each level summarises the texts of the one below, as many together as a chunk holds, until one is left."""
    reading, level = run.reading, list(parts)
    while level:
        said = await run.map("summary", question, level)
        texts = [found[0] for found in said if found]
        if len(texts) <= 1 or run.spent or reading.depth >= run.plan.depth:
            reading.answer, reading.found = "\n\n".join(texts), bool(texts)
            if len(texts) > 1 and not run.spent:
                reading.whole, reading.why = False, f"The depth of {run.plan.depth} was reached."
            return
        joined = "\n\n".join(texts).encode()
        level = [Part("", a, b, joined) for a, b in split(joined, run.plan.chunk)]
        reading.depth += 1
    reading.answer = reading.answer or ABSENT


def _union(every: Any) -> list[str]:
    """Lines in the order they were found, each once whatever its spelling."""
    found: dict[str, str] = {}
    for lines in every:
        for line in lines:
            found.setdefault(_plain(line), line)
    return list(found.values())[:MOST_ITEMS]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .,;:\"'")


def _made(text: str) -> Part:
    data = text.encode("utf-8", "replace")
    return Part("", 0, len(data), data)


def _place(part: Part) -> tuple[str, int, int]:
    return part.name, part.start, part.end
