"""Shorter prompts without a model: the same text always becomes the same shorter text, and what went is named.

    light   spaces at ends of lines, runs of blank lines, runs of spaces: no word goes
    usual   and paragraphs, or lines of some length, that stood above already, word for word
    hard    and of lists and tables longer than KEPT_ITEMS the middle; a line says how many went

Promises: deterministic; what stands between code fences is left as it is; every drop that takes words is in the report with its
line and tokens; tokens are counted by the tokenizer that is handed in; a text that would not get shorter by it is left.
Does not cover: what a model still needs of what went: that is for whoever reads the report.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

Level = Literal["light", "usual", "hard"]
LEVELS: tuple[Level, ...] = ("light", "usual", "hard")
# Letters of a line or paragraph whose repeat goes; items of a list that stay at its beginning and at its end.
REPEAT, KEPT_ITEMS, LAST_ITEMS = 24, 8, 2
# What of a drop is shown, and of how many at most.
SHOWN, MOST_SHOWN = 160, 500
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,4}[.)]|\|)\s*\S")
_FENCE = re.compile(r"\s*(?:```|~~~)")


class Count(Protocol):
    """The tokenizer of the model that will read."""

    async def count(self, texts: Sequence[str]) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Dropped:
    """What went: a `repeat`, or `items` of a list; `line` in the given text, from 1."""

    what: Literal["repeat", "items"]
    line: int
    lines: int
    text: str


@dataclass(frozen=True, slots=True)
class Compressed:
    """The shorter text, tokens before and after, and what went with its tokens."""

    text: str
    before: int
    after: int
    dropped: tuple[tuple[Dropped, int], ...]

    def as_data(self) -> dict[str, Any]:
        """For an answer."""
        rows = [{**asdict(each), "text": each.text[:SHOWN], "tokens": n} for each, n in self.dropped[:MOST_SHOWN]]
        return {
            "text": self.text, "tokens_before": self.before, "tokens_after": self.after, "tokens_saved": self.before - self.after,
            "dropped": rows, "dropped_count": len(self.dropped),
        }  # fmt: skip


async def compress(text: str, count: Count, level: Level = "usual") -> Compressed:
    """Raises what counting raises."""
    shorter, dropped = shortened(text, level)
    before, after, *each = await count.count([text, shorter, *(drop.text for drop in dropped)])
    if after >= before:
        return Compressed(text, before, before, ())
    return Compressed(shorter, before, after, tuple(zip(dropped, each, strict=True)))


def shortened(text: str, level: Level) -> tuple[str, list[Dropped]]:
    """The shorter text and what went. Pure."""
    lines, dropped = _lines(text), list[Dropped]()
    if level != "light":
        lines = _without_repeats(lines, dropped)
    if level == "hard":
        lines = _without_middles(lines, dropped)
    return _tightened(lines), dropped


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    code: bool


def _lines(text: str) -> list[_Line]:
    found, inside = list[_Line](), False
    for number, each in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        fence = bool(_FENCE.match(each))
        found.append(_Line(number, each, inside or fence))
        inside ^= fence
    return found


def _without_repeats(lines: list[_Line], dropped: list[Dropped]) -> list[_Line]:
    """Paragraphs first, then single lines."""
    seen, kept = set[str](), list[_Line]()
    for paragraph in _paragraphs(lines):
        words = " ".join(" ".join(line.text for line in paragraph).split())
        if len(words) >= REPEAT and words in seen and not any(line.code for line in paragraph):
            dropped.append(Dropped("repeat", paragraph[0].number, len(paragraph), words))
            continue
        seen.add(words)
        kept += paragraph
    found, known = list[_Line](), set[str]()
    for line in kept:
        words = " ".join(line.text.split())
        if len(words) >= REPEAT and words in known and not line.code:
            dropped.append(Dropped("repeat", line.number, 1, words))
            continue
        if not line.code:
            known.add(words)
        found.append(line)
    return found


def _paragraphs(lines: list[_Line]) -> list[list[_Line]]:
    """Runs of lines; each blank line stands alone."""
    found, run = list[list[_Line]](), list[_Line]()
    for line in lines:
        if line.text.strip() or line.code:
            run.append(line)
            continue
        found += [run, [line]] if run else [[line]]
        run = []
    return [*found, run] if run else found


def _without_middles(lines: list[_Line], dropped: list[Dropped]) -> list[_Line]:
    found, at = list[_Line](), 0
    while at < len(lines):
        end = at
        while end < len(lines) and not lines[end].code and _ITEM.match(lines[end].text):
            end += 1
        if end - at > KEPT_ITEMS + LAST_ITEMS + 1:
            gone = lines[at + KEPT_ITEMS : end - LAST_ITEMS]
            dropped.append(Dropped("items", gone[0].number, len(gone), "\n".join(line.text for line in gone)))
            indent = gone[0].text[: len(gone[0].text) - len(gone[0].text.lstrip())]
            note = _Line(gone[0].number, f"{indent}(… {len(gone)} more)", False)
            found += [*lines[at : at + KEPT_ITEMS], note, *lines[end - LAST_ITEMS : end]]
        else:
            found += lines[at:end] if end > at else [lines[at]]
        at = max(end, at + 1)
    return found


def _tightened(lines: list[_Line]) -> str:
    found, blank = list[str](), True
    for line in lines:
        if line.code:
            found.append(line.text)
            blank = False
            continue
        indent = line.text[: len(line.text) - len(line.text.lstrip())]
        words = " ".join(line.text.split())
        if words or not blank:
            found.append(indent + words if words else "")
        blank = not words
    return "\n".join(found).rstrip()
