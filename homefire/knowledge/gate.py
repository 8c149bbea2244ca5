"""The gate (ContentGate): what wants to enter a model's window passes raw, as a brief with a handle, or as a drill-down on one.

    admit(block, source) -> raw, if it fits: its tokens are counted by the tokenizer of the model that will read it
                         -> else a brief: facts, and parts with their bytes, lines and labels (`brief.py`), and the handle
    drill(handle, what)  -> that slice, these lines or rows, what a search finds, or the map of a part; itself raw or a brief
    refund(block)        -> what left the window is there to be spent again

The budget: `left` = window - reserve - all blocks that were admitted and not refunded. One block gets at most half of what is
left, so that there is always room for the next.
Promises: what is admitted never takes more than `left`, by the real tokenizer; nothing is cut in silence: what does not fit comes
as a map of itself; every byte of every source is reached from its brief in at most `steps_for(size)` drills (a property test),
whatever the bytes are, and if they are one line of 100 MB.
Does not cover: whether the text may be trusted (it may not: it is what somebody wrote), how long sources are kept (`handles.py`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from homefire.errors import ContextOverflow, InvalidRequest
from homefire.knowledge import brief
from homefire.knowledge.handles import Handle, Source, Sources
from homefire.knowledge.needs import Count

# No tokenizer in use has a token of more bytes; so what is larger than this many times the budget is not even counted.
LONGEST_TOKEN = 128
# Parts of a map at most, and how many are tried in turn until the map fits.
PARTS = (24, 16, 10, 6, 4, 2)
LEAST = 48  # tokens: the shortest brief there is, about twice
CONTEXT_BYTES = 80
LONGEST_PATTERN = 1000
SHRINK = 0.75


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes `start` to `end` of the blob, whole characters."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines `first` to `last`, from 1, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows `first` to `last` of a table, from 1 without its header, which comes along."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Grep:
    """Places with `pattern` in them, as plain text whatever the case, from byte `start` on; at most `limit`."""

    pattern: str
    limit: int = 20
    start: int = 0


@dataclass(frozen=True, slots=True)
class Outline:
    """The map of a part: `path` is "START-END" as a map says it, or a part's label; "": of all."""

    path: str = ""


Request = Slice | Lines | Rows | Grep | Outline


@dataclass(frozen=True, slots=True)
class Admitted:
    """What may enter the window. `bytes`: of the whole source; `span`: those that `text` shows or maps, in `parts` if it is a
    brief; `block` is what to refund."""

    kind: Literal["raw", "brief"]
    text: str
    tokens: int
    handle: Handle
    bytes: int
    span: tuple[int, int]
    block: str
    parts: tuple[brief.Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A source that is open, under the name of the block that it becomes."""

    block: str
    handle: Handle
    source: Source


def steps_for(size: int) -> int:
    """Drills that reach any byte of a source of `size` bytes, at most: each map's parts have three quarters of it at most."""
    return 2 + math.ceil(math.log(max(size, 2)) / -math.log(SHRINK))


class Gate:
    """One conversation's window. `window_tokens` less `reserve` (the system message, the answer) is what blocks may take.
    One event loop owns it; maps are made in threads."""

    def __init__(self, count: Count, sources: Sources, window_tokens: int, reserve: int) -> None:
        self._count, self._sources = count, sources
        self._budget = max(0, window_tokens - reserve)
        self._blocks: dict[str, int] = {}

    @property
    def spent(self) -> int:
        """Tokens of the blocks in the window."""
        return sum(self._blocks.values())

    @property
    def left(self) -> int:
        """Tokens that may still enter."""
        return self._budget - self.spent

    def refund(self, block: str) -> int:
        """The block left the window; returns its tokens, 0 if it was not there."""
        return self._blocks.pop(block, 0)

    async def admit(self, block: str, source: Source) -> Admitted:
        """Keeps the source and lets it in, raw or as a brief. A block of this name is replaced. Raises ContextOverflow if not
        even a brief has room."""
        handle = await asyncio.to_thread(self._sources.keep, source)
        self.refund(block)
        return await self._enter(Asked(block, handle, source), (0, len(source.data)))

    async def drill(self, handle: Handle, request: Request, block: str = "") -> Admitted:
        """More of a source. Raises UnknownDocument, InvalidRequest (nothing there, a pattern that is empty), ContextOverflow."""
        source = await asyncio.to_thread(self._sources.open, handle)
        bounds = handle.start, min(handle.end or len(source.data), len(source.data))
        whole = replace(handle, start=0, end=0)
        asked = Asked(block or f"{whole} {request}", whole, source)
        self.refund(asked.block)
        match request:
            case Slice(start, end):
                return await self._enter(asked, _inside(source, (start, end), bounds))
            case Lines(first, last):
                return await self._enter(asked, await asyncio.to_thread(_lines, source, first, last))
            case Rows():
                return await self._rows(asked, request)
            case Grep():
                return await self._grep(asked, request, bounds)
            case Outline(path):
                return await self._brief(asked, await asyncio.to_thread(_named, source, path, bounds))

    # -- inside

    @property
    def _most(self) -> int:
        return max(self.left // 2, min(self.left, 4 * LEAST))

    async def _enter(self, asked: Asked, span: tuple[int, int], before: bytes = b"") -> Admitted:
        """The span, after `before`, if it fits; else its map."""
        if span[1] - span[0] <= LONGEST_TOKEN * self._most:
            text = brief.shown(before + asked.source.data[span[0] : span[1]])
            if (tokens := await self._fits(text)) is not None:
                return self._take(
                    asked, Admitted("raw", text, tokens, asked.handle, len(asked.source.data), span, asked.block)
                )
        return await self._brief(asked, span)

    async def _fits(self, text: str) -> int | None:
        """Its tokens, if one block may have so many."""
        (tokens,) = await self._count.count([text])
        return tokens if tokens <= self._most else None

    def _take(self, asked: Asked, admitted: Admitted) -> Admitted:
        self._blocks[asked.block] = admitted.tokens
        return admitted

    async def _brief(self, asked: Asked, span: tuple[int, int]) -> Admitted:
        """The most detailed map that fits."""
        source = asked.source
        said = await asyncio.to_thread(brief.facts, source, span)
        line = await asyncio.to_thread(brief.line_of, source, span[0])
        for most in PARTS:
            parts = await asyncio.to_thread(brief.parts, source, span, most, line)
            for facts, labels in ((said, True), (said[:1], most == PARTS[-1]), (said[:1], False)):
                text = render(asked, span, facts, parts if labels else [replace(each, label="") for each in parts])
                if (tokens := await self._fits(text)) is not None:
                    size = len(source.data)
                    return self._take(
                        asked, Admitted("brief", text, tokens, asked.handle, size, span, asked.block, tuple(parts))
                    )
        raise self._full(f"Not even the map of {source.name or 'this text'} fits")

    def _full(self, what: str) -> ContextOverflow:
        return ContextOverflow(f"{what}: {self.left:,} tokens are left.", "Take blocks out of the window first.")

    async def _rows(self, asked: Asked, request: Rows) -> Admitted:
        source = asked.source
        header = bytes(source.data[: brief.line_start(source, 2)]) if source.kind == "csv" else b""
        shift = 1 if header else 0
        span = await asyncio.to_thread(_lines, source, request.first + shift, request.last + shift)
        return await self._enter(asked, span, header)

    async def _grep(self, asked: Asked, request: Grep, bounds: tuple[int, int]) -> Admitted:
        wanted = request.pattern.encode("utf-8", "surrogatepass").lower()
        if not wanted or len(wanted) > LONGEST_PATTERN:
            raise InvalidRequest(f"A pattern has 1 to {LONGEST_PATTERN} bytes.", param="pattern")
        source, span = asked.source, (max(bounds[0], request.start), bounds[1])
        places, more = await asyncio.to_thread(find, source, wanted, span, max(1, request.limit))
        rows = await asyncio.to_thread(_rows_of, source, places, len(wanted))
        head = f"{len(places)}{'+' if more else ''} places in {source.name or source.kind} [{asked.handle}]"
        for kept in range(len(rows), -1, -1):
            following = places[kept] if kept < len(places) else places[-1] + 1 if more and places else None
            text = "\n".join([head, *rows[:kept], *([f"more from byte {following}"] if following is not None else [])])
            if (tokens := await self._fits(text)) is not None:
                return self._take(
                    asked, Admitted("raw", text, tokens, asked.handle, len(source.data), span, asked.block)
                )
        raise self._full("No place fits")


def render(asked: Asked, span: tuple[int, int], said: Sequence[str], parts: Sequence[brief.Part]) -> str:
    """A map as text: what a model reads."""
    source = asked.source
    place = "" if span == (0, len(source.data)) else f", bytes {span[0]}-{span[1]}"
    name = brief.brief_label(source.name.encode("utf-8", "replace"))
    rows = [f"{each.start}-{each.end}" + (f" line {each.line}: {each.label}" if each.label else "") for each in parts]
    return "\n".join([f"{name or source.kind}{place} [{asked.handle}]", *said, "parts (bytes):", *rows])


def find(source: Source, wanted: bytes, span: tuple[int, int], limit: int) -> tuple[list[int], bool]:
    """Where `wanted` (in lower case) stands, whatever the case there, and whether there is more."""
    found: list[int] = []
    at, end = span
    overlap = len(wanted) - 1
    while at < end:
        block = source.data[
            at : min(end, at + (1 << 20) + overlap)
        ].lower()  # of ASCII letters only: places stay as they are
        place = block.find(wanted)
        while place >= 0:
            if len(found) == limit:
                return found, True
            if not found or at + place > found[-1]:
                found.append(at + place)
            place = block.find(wanted, place + 1)
        at += 1 << 20
    return found, False


def _rows_of(source: Source, places: Sequence[int], length: int) -> list[str]:
    """Each place with its line's number and what stands around it."""
    rows, line, at = [], 1, 0
    for place in places:
        line += brief.newlines(source, at, place)
        at = place
        low = source.data.rfind(b"\n", max(0, place - CONTEXT_BYTES), place) + 1 or max(0, place - CONTEXT_BYTES)
        high = source.data.find(b"\n", place + length, place + length + CONTEXT_BYTES)
        high = min(len(source.data), place + length + CONTEXT_BYTES) if high < 0 else high
        rows.append(f"byte {place} line {line}: {' '.join(brief.shown(source.data[low:high]).split())}")
    return rows


def _inside(source: Source, span: tuple[int, int], bounds: tuple[int, int]) -> tuple[int, int]:
    """The span within its bounds, grown to whole characters. Raises InvalidRequest if nothing is left of it."""
    start, end = max(span[0], bounds[0]), min(span[1], bounds[1])
    if start >= end:
        raise InvalidRequest(
            f"Bytes {span[0]} to {span[1]} are not there.", f"It has bytes {bounds[0]} to {bounds[1]}.", param="start"
        )
    low = brief.whole(source, start, max(bounds[0], start - 4) - 1, len(source.data)) if start else 0
    high = end
    while high < len(source.data) and high < end + 3 and 0x80 <= source.data[high] <= 0xBF:
        high += 1
    return min(low, start), high


def _lines(source: Source, first: int, last: int) -> tuple[int, int]:
    if first < 1 or last < first:
        raise InvalidRequest(f"Lines {first} to {last} are none.", "Lines count from 1.", param="first")
    start = brief.line_start(source, first)
    if start >= len(source.data):
        raise InvalidRequest(f"There is no line {first:,}.", "See the number of lines in the brief.", param="first")
    return start, brief.line_start(source, last + 1)


def _named(source: Source, path: str, bounds: tuple[int, int]) -> tuple[int, int]:
    """The span of a part by its bytes or its label. Raises InvalidRequest."""
    if not path:
        return bounds
    start, _, end = path.partition("-")
    if start.isdecimal() and end.isdecimal() and len(path) < 40:
        return _inside(source, (int(start), int(end)), bounds)
    if (found := brief.named(source, bounds, path)) is not None:
        return found
    raise InvalidRequest(f"No part is called {path[:80]!r}.", "Take a part's bytes from the brief.", param="path")
