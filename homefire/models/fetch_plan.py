"""What to ask of a server next, and what its answer means: pure objects, without clock, network or disk.

    chunk:   open ─ask─> asked ─written─> written ─synced─> synced
               ^           │ lost            │ bad             │ bad
               └───────────┴─────────────────┴─────────────────┘
    plan:    probe ─206─> ranges        (several asks at once, each a run of chunks)
             probe ─200─> whole         (the server ignores ranges: one stream from byte 0)

Promises: a chunk is never asked twice at once, and never again once it is written, unless it was found bad; every answer leads
to one of use, retry, restart or refuse; with a server that never helps, at most `tries` failures in a row, one restart and one
repair round, then one clear refusal. A journal line that is torn or damaged is ignored; only chunks it names count.
Does not cover: redirects and credentials (`origin.py`), the doing (`fetch.py`).
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from homefire.errors import (
    DigestMismatch,
    HomefireError,
    SourceChanged,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
)

CHUNK = 8 * 1024 * 1024
# A longer run saves requests (hubs count them), a shorter one spreads the end of a file over all connections.
RUN = 32
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_RETRY_AFTER = 0.5, 60.0, 600.0

REPAIRS = 4

OPEN, ASKED, WRITTEN, SYNCED = range(4)


@dataclass(frozen=True, slots=True)
class Ask:
    """Bytes `start` to `end` (exclusive), which are the chunks `first` to `last` (exclusive). `end` None: to the end."""

    first: int
    last: int
    start: int
    end: int | None
    probe: bool = False

    @property
    def header(self) -> dict[str, str]:
        """The Range header; none for the whole file."""
        return {} if self.end is None else {"range": f"bytes={self.start}-{self.end - 1}"}


@dataclass(frozen=True, slots=True)
class Reaction:
    """What to do with an answer: `use` the body, `retry` later, `restart` from nothing, `refuse` with `error`."""

    kind: Literal["use", "retry", "restart", "refuse"]
    error: HomefireError | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits of one fetch. `tries`: failures in a row, without a chunk in between, before it is given up."""

    chunk: int = CHUNK
    parallel: int = 4
    tries: int = 6
    run: int = RUN
    first_pause: float = FIRST_PAUSE
    longest_pause: float = LONGEST_PAUSE


class Plan:
    """The chunk map of one file and everything that is decided about it.

    `size` in bytes or None if the source did not say; `random` gives numbers in [0, 1). Times are seconds on any monotonic clock.
    """

    def __init__(self, size: int | None, rules: Rules, random: Callable[[], float]) -> None:
        self.rules = rules
        self.size: int | None = None
        self.etag = ""
        self.states: list[int] = []
        self.digests: list[int] = []
        self.mode: Literal["probe", "ranges", "whole"] = "probe"
        self.repairs = 0
        self.restarts = 0
        self._announced = size
        self._random = random
        self._failures = 0
        self._not_before = 0.0
        self._asked = 0
        self._granted = False
        self._refetched = False
        if size is not None:
            self._set_size(size)

    # -- the map

    def _set_size(self, size: int) -> None:
        self.size = size
        count = -(-size // self.rules.chunk)
        self.states, self.digests = [OPEN] * count, [0] * count

    def span(self, index: int) -> tuple[int, int]:
        """First byte of a chunk and the byte after its last."""
        assert self.size is not None
        start = index * self.rules.chunk
        return start, min(self.size, start + self.rules.chunk)

    @property
    def complete(self) -> bool:
        """Whether every chunk is written."""
        return self.size is not None and all(state >= WRITTEN for state in self.states)

    @property
    def done_bytes(self) -> int:
        """Bytes of the chunks that are written."""
        return sum(self.span(i)[1] - self.span(i)[0] for i, state in enumerate(self.states) if state >= WRITTEN)

    def frontier(self, start: int = 0) -> int:
        """The first chunk from `start` on that is not written yet: everything before it can be hashed."""
        while start < len(self.states) and self.states[start] >= WRITTEN:
            start += 1
        return start

    def unsynced(self) -> list[int]:
        """Chunks that are written and not yet known to be on the disk."""
        return [i for i, state in enumerate(self.states) if state == WRITTEN]

    def written(self, index: int, digest: int) -> None:
        """A chunk's bytes were handed to the operating system; they survive the end of this process, not of the machine."""
        self.states[index], self.digests[index] = WRITTEN, digest
        self._failures, self._granted = 0, True

    def synced(self, indexes: Iterable[int]) -> None:
        """The chunks are on the disk. One that was opened again meanwhile stays open."""
        for index in indexes:
            if self.states[index] == WRITTEN:
                self.states[index] = SYNCED

    def reopen(self, indexes: Iterable[int]) -> None:
        """The chunks are bad and have to be fetched again."""
        for index in indexes:
            self.states[index] = OPEN

    def adopt(self, size: int, etag: str, chunks: Mapping[int, tuple[int, bool]]) -> None:
        """Takes up what a journal says: chunk -> (digest, synced)."""
        self._set_size(size)
        self.etag = etag
        for index, (digest, synced) in chunks.items():
            if 0 <= index < len(self.states):
                self.states[index], self.digests[index] = SYNCED if synced else WRITTEN, digest

    # -- asking

    def next(self, now: float) -> Ask | float | None:
        """What to ask now; or the seconds to wait first; or None if nothing is to be asked (yet): all is asked or written."""
        limit = self.rules.parallel if self.mode == "ranges" else 1
        if self._asked >= limit or self.complete:
            return None
        if now < self._not_before:
            return self._not_before - now
        if self.mode == "whole":
            return self._take(Ask(0, len(self.states), 0, None))
        if self.size is None:
            return self._take(Ask(0, 1, 0, self.rules.chunk, probe=True))
        first = next((i for i, state in enumerate(self.states) if state == OPEN), None)
        if first is None:
            return None
        left = self.states.count(OPEN)
        longest = max(1, min(self.rules.run, left // (2 * self.rules.parallel)))
        last = first + 1
        while last < len(self.states) and last - first < longest and self.states[last] == OPEN:
            last += 1
        return self._take(Ask(first, last, self.span(first)[0], self.span(last - 1)[1], self.mode == "probe"))

    def _take(self, ask: Ask) -> Ask:
        self._asked += 1
        for index in range(ask.first, min(ask.last, len(self.states))):
            if self.states[index] == OPEN:
                self.states[index] = ASKED
        return ask

    def given_back(self, ask: Ask) -> None:
        """An ask has ended, well or not: what it did not bring is open again. Must be called once for each ask."""
        self._asked -= 1
        for index in range(ask.first, min(ask.last, len(self.states))):
            if self.states[index] == ASKED:
                self.states[index] = OPEN

    # -- judging

    def answered(self, ask: Ask, status: int, headers: Mapping[str, str], now: float) -> Reaction:
        """What the head of an answer means. Header names in lower case."""
        if status not in (200, 206):
            return self._unhappy(status, headers, now)
        if headers.get("content-encoding", "identity").lower() != "identity":
            return self.lost(SourceUnreachable("The server compresses the file, so its parts cannot be placed."), now)
        if status == 206:
            found = _range(ask, headers)
            if found is None:
                given = headers.get("content-range", "none")[:80]
                return self.lost(
                    SourceUnreachable(f"The server answers with another range than was asked ({given})."), now
                )
            total = found[0] or self.size
        else:
            total = _number(headers.get("content-length"))
        if total is None:
            return self.lost(SourceUnreachable("The server does not say how long the file is."), now)
        if (problem := self._other_file(total, headers)) is not None:
            return self._changed(problem)
        if self.size is None:
            self._set_size(total)
            self.states[ask.first : ask.last] = [ASKED] * len(self.states[ask.first : ask.last])
        self.etag = self.etag or _strong(headers)
        if status == 206:
            self.mode = "ranges"
        elif ask.end is not None and (ask.start > 0 or total > ask.end):
            # The stream from byte 0 is asked for anew, so that exactly one ask owns all chunks.
            self.mode = "whole"
            return Reaction("retry")
        self._granted = True  # while its body still comes, another connection may already be refused
        return Reaction("use")

    def _other_file(self, total: int, headers: Mapping[str, str]) -> str | None:
        if self.size is not None and total != self.size:
            return f"it has {total:,} bytes where {self.size:,} were announced"
        etag = _strong(headers)
        if self.etag and etag and etag != self.etag:
            return "its ETag changed while it was fetched"
        return None

    def _changed(self, why: str) -> Reaction:
        error = SourceChanged(f"The file on the server is not the one that was begun: {why}.")
        if self.restarts:
            return Reaction("refuse", error)
        return Reaction("restart", error)

    def restart(self) -> None:
        """Forgets everything but what the source announced. All asks must have been given back."""
        self.restarts += 1
        self.size, self.etag, self.mode, self.states, self.digests = None, "", "probe", [], []
        if self._announced is not None:
            self._set_size(self._announced)

    def repair(self, bad: Iterable[int]) -> Reaction:
        """The whole file's digest is wrong. `bad`: chunks whose bytes on the disk are not those that came. If there are some,
        only they are fetched again (twice at most: then the disk is not to be trusted); if there are none, the wrong bytes came
        over the network, nobody can say which, and everything is fetched again, once."""
        found = list(bad)
        self.repairs += 1
        if self.repairs > REPAIRS or (self._refetched and not found):
            return Reaction("refuse", DigestMismatch("The sha256 of the whole file is not the expected one."))
        self._refetched = self._refetched or not found
        self.reopen(found or range(len(self.states)))
        return Reaction("retry")

    def _unhappy(self, status: int, headers: Mapping[str, str], now: float) -> Reaction:
        said = f"The server answers {status}"
        if status in (401, 407):
            return Reaction("refuse", SourceRefused(f"{said}: it wants a token, or refuses the one it got."))
        if status in (403, 451):
            # The signed addresses behind a hub's redirect expire in the middle of a long transfer.
            refused = SourceRefused(f"{said}: this file is not given to you.")
            return self.lost(refused, now) if self._granted else Reaction("refuse", refused)
        if status in (404, 410):
            return Reaction("refuse", SourceNotFound(f"{said}: it has no such file."))
        if status == 416:
            if re.fullmatch(r"bytes \*/0", headers.get("content-range", "")) and self.size in (None, 0):
                self._set_size(0)
                return Reaction("retry")
            return self._changed("the server says that it is shorter than announced (416)")
        if status in (408, 425, 429) or status >= 500:
            return self.lost(SourceUnreachable(f"{said}, again and again."), now, _seconds(headers.get("retry-after")))
        return Reaction("refuse", SourceUnreachable(f"{said}, which is not an answer to a fetch."))

    def lost(self, why: HomefireError, now: float, wait: float | None = None) -> Reaction:
        """An ask failed and may be repeated, after a pause that grows; `wait`: what the server asked for, in seconds."""
        if now >= self._not_before:  # several asks that one outage ends are one failure
            self._failures += 1
        if self._failures >= self.rules.tries or (wait or 0.0) > LONGEST_RETRY_AFTER:
            return Reaction("refuse", why)
        pause = min(self.rules.longest_pause, self.rules.first_pause * 2.0 ** max(0, self._failures - 1))
        # Jitter spreads the clients of a hub that came back; a pause the server named is never cut short.
        self._not_before = max(self._not_before, now + max(pause * (0.5 + self._random()), wait or 0.0))
        return Reaction("retry", why)


def _range(ask: Ask, headers: Mapping[str, str]) -> tuple[int | None] | None:
    """(total,) of a Content-Range that covers exactly what was asked, as far as the file goes; None for any other."""
    match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", headers.get("content-range", "").strip())
    if match is None or ask.end is None:
        return None
    total = None if match[3] == "*" else int(match[3])
    expected = ask.end if total is None else min(ask.end, total)
    return (total,) if (int(match[1]), int(match[2]) + 1) == (ask.start, expected) else None


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,18}", text) else None


def _seconds(text: str | None) -> float | None:
    """A Retry-After in seconds; the form with a date is read as none, the growing pause then serves."""
    return float(text) if text and re.fullmatch(r"\d{1,9}", text.strip()) else None


def _strong(headers: Mapping[str, str]) -> str:
    """The ETag if it promises equal bytes; a weak one (RFC 9110, 8.8.1) does not."""
    etag = headers.get("etag", "")
    return "" if etag.startswith("W/") else etag


# -- the journal


@dataclass(slots=True)
class Journal:
    """What the sidecar file of a partial file says. `chunks`: index -> (crc32 of its bytes, whether it was synced)."""

    head: dict[str, Any] = field(default_factory=dict)
    chunks: dict[int, tuple[int, bool]] = field(default_factory=dict)


def line(text: str) -> bytes:
    """A journal line: the text, the crc32 of it, a line break."""
    raw = text.encode("ascii")
    return b"%s %08x\n" % (raw, zlib.crc32(raw))


def head_line(size: int, chunk: int, etag: str, identity: str) -> bytes:
    """The first line: what file it is. `identity`: its sha256, or where it came from if that is not known."""
    return line(json.dumps({"v": 1, "size": size, "chunk": chunk, "etag": etag, "identity": identity}))


def written_line(index: int, digest: int) -> bytes:
    """A chunk is written."""
    return line(f"w {index} {digest:08x}")


def synced_line(indexes: Iterable[int]) -> bytes:
    """Chunks are on the disk."""
    return line("s " + " ".join(map(str, indexes)))


def read_journal(raw: bytes) -> Journal:
    """Reads what is sound in a journal, whatever the bytes are. Without a sound first line nothing counts."""
    found = Journal()
    rows = raw.split(b"\n")
    try:
        found.head = json.loads(_sound(rows[0]) or b"{}")
    except (ValueError, RecursionError):
        return Journal()
    if not isinstance(found.head, dict) or found.head.get("v") != 1:
        return Journal()
    for row in rows[1:]:
        if written := re.fullmatch(rb"w (\d{1,9}) ([0-9a-f]{8})", _sound(row)):
            found.chunks[int(written[1])] = (int(written[2], 16), False)
        elif re.fullmatch(rb"s( \d{1,9})+", _sound(row)):
            for index in map(int, _sound(row)[2:].split()):
                if index in found.chunks:
                    found.chunks[index] = (found.chunks[index][0], True)
    return found


def _sound(row: bytes) -> bytes:
    """The text of a journal line, or nothing if its check does not agree."""
    text, _, check = row.rpartition(b" ")
    return text if re.fullmatch(rb"[0-9a-f]{8}", check) and int(check, 16) == zlib.crc32(text) else b""


def whole_journal(plan: Plan, identity: str) -> bytes:
    """A journal that says what the plan knows, without history."""
    assert plan.size is not None
    kept = [i for i, state in enumerate(plan.states) if state >= WRITTEN]
    rows = [head_line(plan.size, plan.rules.chunk, plan.etag, identity)]
    rows += [written_line(i, plan.digests[i]) for i in kept]
    if synced := [i for i in kept if plan.states[i] == SYNCED]:
        rows.append(synced_line(synced))
    return b"".join(rows)


# -- rate


@dataclass(slots=True)
class Bucket:
    """A token bucket: at most `rate` bytes a second over time, with a burst of a quarter of a second. 0: no limit."""

    rate: float
    level: float = 0.0
    at: float | None = None

    def take(self, count: int, now: float) -> float:
        """Takes `count` bytes, which have come already; returns the seconds to wait before the next ones are read."""
        if self.rate <= 0:
            return 0.0
        burst = self.rate / 4
        passed = 0.0 if self.at is None else now - self.at
        self.level = min(burst, self.level + passed * self.rate) - count
        self.at = now
        return max(0.0, -self.level / self.rate)


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` and `total` in bytes (`total` None if unknown), `rate` in bytes a second, `eta` in seconds (None: not known)."""

    done: int
    total: int | None
    rate: float
    eta: float | None


@dataclass(slots=True)
class Meter:
    """The rate of a transfer, smoothed over about five seconds."""

    rate: float = 0.0
    _at: float | None = None
    _bytes: int = 0

    def seen(self, done: int, total: int | None, now: float) -> Progress:
        """Notes that `done` bytes are here; a figure that goes down (a bad chunk) does not count as a negative rate."""
        if self._at is None:
            self._at, self._bytes = now, done
        elif now - self._at >= 0.2:
            passed = now - self._at
            share = min(1.0, passed / 5.0) if self.rate else 1.0
            self.rate += share * (max(0, done - self._bytes) / passed - self.rate)
            self._at, self._bytes = now, done
        eta = (total - done) / self.rate if total is not None and self.rate > 0 else None
        return Progress(done, total, self.rate, eta)
