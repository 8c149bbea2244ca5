"""The decision log: what was done with models and requests lately, and why. `homefire why` shows it.

Promises: the newest `KEPT` entries are there; one that repeats the last one of its model counts up instead of pushing others out;
a listener hears of every entry, and one that is too slow loses the oldest ones, never holds up the rest.
Lives on the event loop's thread; no method awaits.
Does not cover: keeping entries over the end of the daemon (`kept.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

KEPT = 200
# What a listener may be behind.
BEHIND = 64

Kind = Literal[
    "loaded", "evicted", "unloaded", "queued", "refused", "retried_smaller", "failed", "crashed", "pinned", "shortened",
    "truncated", "fell_back", "kept", "switched",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision. `at` in seconds since 1970, `reason` a sentence, `facts` numbers behind it, `times` how often in a row."""

    number: int
    at: float
    kind: Kind
    model: str
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    times: int = 1


class Decisions:
    """See the module's text. `noted` hears of every entry that is new or has changed; it must not block."""

    def __init__(
        self, clock: Callable[[], float] = time.time, noted: Callable[[Entry], None] = lambda entry: None
    ) -> None:
        self._clock = clock
        self._noted = noted
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._listeners: set[asyncio.Queue[Entry]] = set()
        self._count = 0
        # Since the start, by kind and by the class of the reason (the fact `why`, "" where there is none).
        self.counts: Counter[tuple[str, str]] = Counter()

    def note(self, kind: Kind, model: str, reason: str, facts: Mapping[str, Any] | None = None) -> None:
        """Adds an entry."""
        self.counts[kind, str((facts or {}).get("why", ""))] += 1
        last = next((entry for entry in reversed(self._entries) if entry.model == model), None)
        if last is not None and (last.kind, last.reason) == (kind, reason) and last is self._entries[-1]:
            self._entries[-1] = entry = replace(last, at=self._clock(), facts=facts or {}, times=last.times + 1)
        else:
            self._count += 1
            entry = Entry(self._count, self._clock(), kind, model, reason, facts or {})
            self._entries.append(entry)
        self._noted(entry)
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(entry)

    def restore(self, entries: Iterable[Entry]) -> None:
        """Puts entries of an earlier daemon, oldest first, before all others. Before the first `note`."""
        self._entries.extend(entries)
        self._count = max((entry.number for entry in self._entries), default=0)

    def last(self, model: str = "", limit: int = KEPT) -> list[Entry]:
        """The newest entries, newest first; of one model if it is named."""
        found = [entry for entry in reversed(self._entries) if not model or entry.model == model]
        return found[:limit]

    @contextmanager
    def listening(self) -> Iterator[asyncio.Queue[Entry]]:
        """A queue that gets every entry from now on, until the block ends."""
        queue: asyncio.Queue[Entry] = asyncio.Queue(BEHIND)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)
