"""Substrings and regular expressions over the bytes of texts, in a child that is killed when it takes too long.

Python's `re` cannot be interrupted and holds the interpreter while it searches, so it runs in a process of its own
(`scan_child.py`; some 15 ms to start). The syntax is Python's, with `^` and `$` at lines; a pattern sees one text at a time.

Promises: a call ends within its limit whatever the pattern; one that explodes is PatternTooSlow, one that cannot be read is
BadPattern. Matches come in the order of the spans, `limit` of them at most, and the answer says whether there are more.
Does not cover: ranking; an index of trigrams (a sweep for a word reads some gigabytes a second); what `scan_child.py` names.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homefire.errors import BadPattern, InternalError, PatternTooSlow
from homefire.index.packages import needed

np = needed("numpy")

CHILD = Path(__file__).with_name("scan_child.py")
LONGEST_PATTERN = 4096
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Pattern:
    """What to look for: a text as it stands, or a regular expression."""

    text: str
    regex: bool = False
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """Bytes `start` to `end` of a span; `span` is its place in the spans that were given."""

    span: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Scanned:
    """`complete` is False if there are more matches than were asked for."""

    matches: tuple[Match, ...]
    complete: bool


def scan(files: Sequence[Path], spans: Any, pattern: Pattern, limit: int, seconds: float = SECONDS) -> Scanned:
    """Looks through spans, `n x 3` of (place in `files`, start, end) in bytes, sorted. Blocks; call it in a thread.

    Raises BadPattern, PatternTooSlow."""
    if not pattern.text or len(pattern.text) > LONGEST_PATTERN:
        raise BadPattern(f"A pattern has 1 to {LONGEST_PATTERN} characters; this has {len(pattern.text)}.")
    rows = np.ascontiguousarray(spans, np.uint64).reshape(-1, 3)
    if not len(rows) or limit < 1:
        return Scanned((), not len(rows))
    order = {
        "pattern": pattern.text,
        "regex": pattern.regex,
        "ignore_case": pattern.ignore_case,
        "limit": limit,
        "files": [str(file) for file in files],
        "seconds": math.ceil(seconds) + 1,
    }
    answer = _asked(json.dumps(order).encode() + b"\n" + rows.tobytes(), seconds)
    if "error" not in answer:
        return Scanned(tuple(Match(*match) for match in answer["matches"]), answer["complete"])
    if answer["error"] == "memory":
        raise PatternTooSlow(f"The pattern took {answer['message']}.")
    raise BadPattern(f"The regular expression cannot be read: {answer['message']}.")


def _asked(order: bytes, seconds: float) -> dict[str, Any]:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        try:
            out, said = child.communicate(order, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise PatternTooSlow(f"The search was ended after {seconds:g} seconds.") from None
        finally:
            child.kill()  # nothing to a child that has ended
    if child.returncode < 0:  # by a signal: its own limit of processor time, or the system wanted its memory
        raise PatternTooSlow(f"The search took too much time or memory (signal {-child.returncode}).")
    if child.returncode:
        raise InternalError(f"The search ended without an answer: {said[-300:].decode('utf-8', 'replace')}")
    found: dict[str, Any] = json.loads(out)
    return found
