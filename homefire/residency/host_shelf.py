"""Models that wait in main memory: the files of those that left and are wanted most are kept in the page cache, so that their
return costs no disk. On a machine whose GPU holds one model, two or three more wait so.

    a model leaves ──left──> candidate ──choose: wanted most, fits into what lies free──> kept ──pushed out──> read again, later
         and later                                       └── it comes back, memory is short: nothing is read

Promises: `choose` is pure; at most `MOST` models and never more bytes than lie free beside what is promised to models; what is
pushed out again and again is read ever more seldom; where a system does not say what lies in the page cache, a file is read as
if it did not.
Does not cover: loading, and forcing the kernel: it may drop the pages whenever somebody needs memory.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from homefire.residency.read_ahead import read_ahead

MOST = 3
# A file of which more lies in the page cache counts as there.
THERE = 0.9
FIRST_AGAIN, LONGEST_AGAIN = 30.0, 3600.0
SAMPLES, SAMPLE_BYTES = 128, 4096


@dataclass(slots=True)
class Candidate:
    """A model that left. `bytes` of its files, `share` of them in the page cache as of the last look (None: not known), `reads`
    how often it was read for this, `not_before` when it may be read next."""

    files: tuple[Path, ...]
    bytes: int = 0
    share: float | None = None
    reads: int = 0
    not_before: float = 0.0
    kept: bool = False


@dataclass(frozen=True, slots=True)
class OnShelf:
    """A model that waits in main memory, as it is shown; `share` of its `bytes` that is there, from 0 to 1, None if not known."""

    model: str
    bytes: int
    share: float | None


def choose(
    candidates: Mapping[str, Candidate], values: Mapping[str, float], free: int, now: float
) -> tuple[list[str], list[str]]:
    """Which models are kept, the most wanted first, and which of them to read now. `values`: what a second of a model's absence
    costs; one that nobody wants is not kept."""
    kept: list[str] = []
    for name in sorted(candidates, key=lambda each: -values.get(each, 0.0)):
        size = candidates[name].bytes
        if values.get(name, 0.0) <= 0 or len(kept) == MOST:
            break
        if 0 < size <= free:
            kept.append(name)
            free -= size
    due = [name for name in kept if not (candidates[name].share or 0.0) > THERE and candidates[name].not_before <= now]
    return kept, due


class HostShelf:
    """The candidates, and the reading. Lives on the event loop's thread."""

    def __init__(self) -> None:
        self._candidates: dict[str, Candidate] = {}

    def left(self, model: str, files: tuple[Path, ...]) -> None:
        """A model has left the memory."""
        if files:
            self._candidates[model] = Candidate(files)

    def came(self, model: str) -> None:
        """It is loaded again, or gone from the disk."""
        self._candidates.pop(model, None)

    def names(self) -> list[str]:
        """Every model that left and did not come back."""
        return list(self._candidates)

    def rows(self) -> list[OnShelf]:
        """What is kept, as of the last look."""
        return [OnShelf(name, each.bytes, each.share) for name, each in self._candidates.items() if each.kept]

    async def tend(self, values: Mapping[str, float], free: int, now: float) -> None:
        """Looks what lies there still, and reads what should. `free`: bytes of main memory beside what is promised."""
        for name in [each for each in self._candidates if values.get(each, 0.0) <= 0]:
            del self._candidates[name]  # nobody has asked for it in a long time
        found = dict(self._candidates)
        if not found:
            return
        looks = await asyncio.to_thread(lambda: {name: look(each.files) for name, each in found.items()})
        for name, (size, share) in looks.items():
            found[name].bytes, found[name].share = size, share
        kept, due = choose(found, values, free, now)
        for name, each in found.items():
            each.kept = name in kept
        for name in due:
            each = found[name]
            each.not_before = now + min(LONGEST_AGAIN, FIRST_AGAIN * 2.0**each.reads)
            each.reads += 1
            await asyncio.to_thread(read_ahead, each.files, each.bytes)


def look(files: Iterable[Path]) -> tuple[int, float | None]:
    """Bytes of these files, and which share of them lies in the page cache, by samples. May block for some milliseconds."""
    size, there, asked = 0, 0, 0
    for path in files:
        try:
            with path.open("rb", buffering=0) as file:
                length = os.fstat(file.fileno()).st_size
                size += length
                for at in range(0, length, max(SAMPLE_BYTES, length // SAMPLES)):
                    asked += 1
                    there += _is_cached(file.fileno(), at)
        except (OSError, AttributeError):  # gone; or a system, or a file system, that does not tell
            asked = 0
            continue
    return size, there / asked if asked else None


def _is_cached(file: int, at: int) -> bool:
    """Whether a read at this place needs no disk. Raises OSError or AttributeError where that cannot be asked."""
    try:
        return os.preadv(file, [bytearray(SAMPLE_BYTES)], at, os.RWF_NOWAIT) > 0
    except BlockingIOError:
        return False
