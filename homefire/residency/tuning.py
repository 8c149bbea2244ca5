"""Tuning: which way to run a model to try next, and which one has won. Pure: trials' results in, the next trial out.

    for each knob in turn:  the way that leads now and the knob's others, `rounds` times, interleaved, every other one backwards;
                            the best by the median of its trials leads on, if it is at least `MARGIN` better than what led,
                            and its best trial is better than that one's best too
One knob after the other finds no pair of settings that help only together; all pairs would take hours.
Promises: a trial that fails ends that way's turn, not the search; noise below the margin changes nothing; the same results in
give the same way out.
Does not cover: running anything (`tuner.py`), keeping what was found (`tuned.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from homefire.engines.engine import NGRAMS

# A way must be so much quicker to be taken; what is timed here varies by a few per cent.
MARGIN = 0.03
ROUNDS = 3
# What a trial's seconds are for: a prompt of so many tokens, and an answer.
READ_TOKENS, WRITE_TOKENS = 512, 128
MICRO_BATCHES = (128, 256, 1024)
LOGICAL_BATCH = 2048
QUICK_NGRAMS = ("ngram-simple", "ngram-mod")


@dataclass(frozen=True, slots=True)
class Tuning:
    """A way to run a model. 0, None and "" leave it to the engine; `draft_mode` is one of `tuned.MODES`, `draft` and
    `draft_sha256` the model that drafts, if one does."""

    threads: int = 0
    batch: int = 0
    logical_batch: int = 0
    flash_attention: bool | None = None
    kv_type: str = "F16"
    draft_mode: str = "none"
    draft: str = ""
    draft_sha256: str = ""

    def described(self, knob: str) -> str:
        """The part of it that this knob turns, for people."""
        match knob:
            case "threads":
                return str(self.threads or "usual")
            case "batch":
                return f"{self.batch} of {self.logical_batch}" if self.batch else "usual"
            case "flash_attention":
                return {None: "as the engine chooses", True: "on", False: "off"}[self.flash_attention]
            case "kv_type":
                return self.kv_type
            case _:
                return f"{self.draft_mode} {self.draft}".strip()

    @property
    def sound(self) -> bool:
        """Whether an engine can be run so: quantized values need flash attention."""
        return self.kv_type == "F16" or self.flash_attention is not False


@dataclass(frozen=True, slots=True)
class Knob:
    """What is turned, and the fields of each other way."""

    name: str
    others: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds for `READ_TOKENS` of a prompt and `WRITE_TOKENS` of an answer; `drafted` and `accepted` tokens of the answers."""

    read: float
    write: float
    drafted: int = 0
    accepted: int = 0

    @property
    def total(self) -> float:
        """Seconds of both."""
        return self.read + self.write


@dataclass(frozen=True, slots=True)
class Tried:
    """A way and what its trials gave: medians in seconds, how many trials, or why it failed; `spread` is its slowest trial by its
    quickest, and says how quiet the machine was."""

    knob: str
    way: Tuning
    read: float
    write: float
    trials: int
    won: bool
    failed: str = ""
    drafted: int = 0
    accepted: int = 0
    spread: float = 1.0


@dataclass(slots=True)
class _Turn:
    knob: Knob
    leads: Tuning
    queue: deque[Tuning] = field(default_factory=deque)
    timings: dict[Tuning, list[Timing]] = field(default_factory=dict)
    failed: dict[Tuning, str] = field(default_factory=dict)

    def idle(self, way: Tuning) -> bool:
        """Whether it differs from what leads by a draft that proposed nothing: then all that differs is noise."""
        drafts = self.knob.name == "draft" and way.draft_mode != "none"
        return drafts and not any(timing.drafted for timing in self.timings[way])

    def best(self, way: Tuning) -> float:
        """Its quickest trial: what disturbs a trial makes it slower, never quicker."""
        return min(timing.total for timing in self.timings[way])


class Search:
    """One search, from the way `start`. Ask `next`, do the trial, `record` or `fail` it, until `next` gives None."""

    def __init__(self, start: Tuning, knobs: Iterable[Knob], rounds: int = ROUNDS) -> None:
        self.best = start
        self.tried: list[Tried] = []
        self._rounds = rounds
        self._knobs = deque(knobs)
        self._turn: _Turn | None = None
        self._done = 0

    @property
    def next(self) -> Tuning | None:
        """The way to try now; None at the end, when `best` has won."""
        while self._turn is None or not self._turn.queue:
            if self._turn is not None:
                self._settle(self._turn)
                self._turn = None
            if not self._knobs:
                return None
            self._turn = self._begin(self._knobs.popleft())
        return self._turn.queue[0]

    @property
    def knob(self) -> str:
        """What is turned now."""
        return self._turn.knob.name if self._turn else ""

    @property
    def steps(self) -> tuple[int, int]:
        """Trials done, and how many there will be, as far as is known now."""
        left = len(self._turn.queue) if self._turn else 0
        ahead = sum(self._rounds * (len(knob.others) + 1) for knob in self._knobs if knob.others)
        return self._done, self._done + left + ahead

    def record(self, timing: Timing) -> None:
        """What the trial of `next` gave."""
        assert self._turn is not None
        self._turn.timings.setdefault(self._turn.queue.popleft(), []).append(timing)
        self._done += 1

    def fail(self, why: str) -> None:
        """The trial of `next` could not be done; this way is not tried again."""
        assert self._turn is not None
        way = self._turn.queue.popleft()
        self._turn.failed[way] = why
        self._turn.queue = deque(each for each in self._turn.queue if each != way)
        self._done += 1

    def _begin(self, knob: Knob) -> _Turn:
        ways = [self.best, *(replace(self.best, **fields) for fields in knob.others)]
        ways = [way for at, way in enumerate(ways) if way.sound and way not in ways[:at]]
        turn = _Turn(knob, self.best)
        if len(ways) > 1:
            for each in range(self._rounds):
                turn.queue.extend(ways if each % 2 == 0 else reversed(ways))
        return turn

    def _settle(self, turn: _Turn) -> None:
        sums = {
            way: _median(timing.total for timing in timings)
            for way, timings in turn.timings.items()
            if way not in turn.failed and (way == turn.leads or not turn.idle(way))
        }
        if sums:
            led, quickest = sums.get(turn.leads), min(sums, key=lambda way: sums[way])
            if led is None or (led >= sums[quickest] * (1 + MARGIN) and turn.best(quickest) < turn.best(turn.leads)):
                self.best = quickest
        for way in {**turn.timings, **turn.failed}:
            seen = turn.timings.get(way) or [Timing(0.0, 0.0)]
            self.tried.append(
                Tried(
                    turn.knob.name, way, _median(t.read for t in seen), _median(t.write for t in seen),
                    len(turn.timings.get(way, ())), way == self.best, turn.failed.get(way, ""), seen[-1].drafted,
                    seen[-1].accepted, max(t.total for t in seen) / max(1e-9, min(t.total for t in seen)),
                )
            )  # fmt: skip


def knobs_for(
    cores: int, usual: int, context: int, *, quick: bool, caches: Sequence[str], drafts: Sequence[dict[str, Any]]
) -> list[Knob]:
    """What is worth turning on a machine with so many physical cores, where `usual` threads compute (0: a person has set them);
    `caches` are the types of KV cache that keep the answers, beside F16; `drafts` the fields of the ways with a draft model."""
    threads = sorted({1, max(1, cores // 2), max(1, cores - 1), cores} - {usual}) if usual else []
    grams = QUICK_NGRAMS if quick else NGRAMS
    drafting = Knob("draft", (*({"draft_mode": mode} for mode in grams), *drafts))
    found = [Knob("threads", tuple({"threads": each} for each in threads))]
    if not quick:
        batches = [{"batch": each, "logical_batch": LOGICAL_BATCH} for each in MICRO_BATCHES if each <= context]
        found.append(Knob("batch", tuple(batches)))
        found.append(Knob("flash_attention", ({"flash_attention": False},)))
        found.append(Knob("kv_type", tuple({"kv_type": each} for each in caches)))
    return [*found, drafting]


def _median(given: Iterable[float]) -> float:
    """The middle one, of an even number the mean of the middle two. (`statistics` takes long to import.)"""
    values = sorted(given)
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
