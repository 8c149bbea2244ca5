"""A deterministic map of a text: what it is, where its parts begin, its first and last line; no model is asked.

    parts(source, span, most) -> Part(start, end, line, label) ...   they cover the span, in order, without a gap
    facts(source, span)       -> sentences: lines, bytes, headings, schema, header, levels of a log

Parts follow headings, signatures, records; where there is no structure, or one part would hold more than half of the span, they
are even cuts at ends of lines, else between words, else between characters. So the map of a part is about a smaller span.
Promises: the parts of a span of two bytes or more are two or more and at most `most`; none is larger than three quarters of the
span; the same bytes give the same map, whatever the bytes are.
Does not cover: how much of it fits a window (`gate.py`); what code means: signatures are seen by patterns, line by line.
"""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from homefire.knowledge.handles import Source

# Of a larger span only so much is looked at for structure; the rest is cut evenly.
LOOKED_AT = 4 << 20
LABEL = 72
# How far from an even cut the end of a line may be looked for.
NEAR = 400
Span = tuple[int, int]

# Lines longer than this are no signatures; so no pattern meets a text that could make it slow.
LONGEST_LINE = 300
_C_LIKE = (
    rb"[ \t]*(?:(?:public|private|protected|internal|static|final|abstract|async|export|default|virtual|override|unsafe|extern|"
    rb"inline|const|pub(?:\([a-z]+\))?)[ \t]+)*"
)
_TYPES = rb"(?:function\*?|class|interface|enum|record|trait|namespace|@interface)[ \t]+\w+"
SIGNATURES: dict[str, bytes] = {
    "python": rb"[ \t]*(?:async[ \t]+def|def|class)[ \t]+\w+",
    "javascript": _C_LIKE
    + rb"(?:"
    + _TYPES
    + rb"|type[ \t]+\w+[ \t]*=|(?:const|let)[ \t]+\w+[ \t]*=[ \t]*(?:async[ \t]*)?(?:\(|function))",
    "rust": _C_LIKE + rb"(?:fn|struct|enum|trait|impl|mod|union|macro_rules!)\b",
    "go": rb"(?:func|type)[ \t]",
    "ruby": rb"[ \t]*(?:def|class|module)[ \t]",
    "php": _C_LIKE + _TYPES,
    "bash": rb"[ \t]*(?:function[ \t]+[\w-]+|[\w-]+[ \t]*\(\))",
    "c": rb"(?:struct|enum|union|class|namespace|template|typedef)\b[^;]*$|[A-Za-z_][\w \t*&:<>,~]*[ \t*&]~?[\w:]+\([^;]*$",
    "java": _C_LIKE + rb"(?:" + _TYPES + rb"|(?:[\w<>\[\],.]+[ \t]+)+\w+\([^;]*\)[^;]*\{[ \t]*$)",
}
SAME = {
    "typescript": "javascript",
    "tsx": "javascript",
    "cpp": "c",
    "c_sharp": "java",
    "csharp": "java",
    "kotlin": "java",
    "shell": "bash",
}
_HEADING = re.compile(rb"^(#{1,6})[ \t]+([^\n]*)", re.MULTILINE)
_FENCE = re.compile(rb"^(?:```|~~~)", re.MULTILINE)
_HTML = re.compile(rb"<(h[1-6]|title)\b[^>]{0,200}>([^<]{0,400})", re.IGNORECASE)
_LEVELS = re.compile(rb"\b(FATAL|CRITICAL|ERROR|WARN(?:ING)?|INFO|DEBUG|TRACE)\b")
_JSON = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\Z)|[{}\[\],]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` to `end` of the blob; `line` is the number of the first line in it, from 1."""

    start: int
    end: int
    line: int
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a part may begin; a smaller `level` is a larger thing."""

    at: int
    level: int
    label: str


def shown(data: bytes) -> str:
    """Bytes as text; what is no UTF-8 is escaped, so that nothing is lost."""
    return data.decode("utf-8", "backslashreplace")


def brief_label(data: bytes) -> str:
    """The beginning of a line, in one line."""
    text = " ".join(shown(data[: 4 * LABEL]).split())
    return text if len(text) <= LABEL else text[: LABEL - 1].rstrip() + "…"


def parts(source: Source, span: Span, most: int, line: int = 0) -> list[Part]:
    """The parts of `span`, at most `most` (two at least). A span of one character is one part. `line`: of its first byte, if that
    is known."""
    start, end = span
    if end - start <= 1:
        return [_part(source, start, end, "", 1)] if end > start else []
    marks = [each for each in _marks(source, span) if start < each.at < end]
    chosen = _chosen(marks, most)
    edges = {start: "", **{each.at: each.label for each in chosen}}
    half = (end - start + 1) // 2
    if not chosen or max(_lengths(sorted(edges), end)) > half:
        edges = _halved(source, marks, edges, end, most)
    places = sorted(edges)
    line, at, found = line or line_of(source, start), start, list[Part]()
    for begin, stop in zip(places, [*places[1:], end], strict=True):
        line += newlines(source, at, begin)
        at = begin
        found.append(_part(source, begin, stop, edges[begin], line))
    return found


def _chosen(marks: list[Mark], most: int) -> list[Mark]:
    """As many levels of marks as there is room for; of a level too many, every second, third and so on."""
    for level in sorted({each.level for each in marks}, reverse=True):
        kept = [each for each in marks if each.level <= level]
        if len(kept) < most:
            return kept
    if not marks:
        return []
    top = min(each.level for each in marks)
    kept = [each for each in marks if each.level == top]
    step = -(-len(kept) // max(1, most - 1))
    return [
        Mark(each.at, each.level, each.label + (f" (and {step - 1} more)" if step > 1 else "")) for each in kept[::step]
    ]


def _halved(source: Source, marks: list[Mark], edges: dict[int, str], end: int, most: int) -> dict[int, str]:
    """Even cuts beside structure that leaves too much in one part, or in its place: at a mark if one is near, however deep."""
    start = min(edges)
    pieces = max(2, most - len(edges) + 1)
    reach, places, even = (end - start) // (2 * pieces), [each.at for each in marks], dict[int, str]()
    for number in range(1, pieces):
        at = start + (end - start) * number // pieces
        near = min(
            places[max(0, (i := bisect(places, at)) - 1) : i + 1], key=lambda place: abs(place - at), default=end
        )
        if abs(near - at) < reach:
            even[near] = marks[bisect(places, near) - 1].label
        else:
            even[cut(source, at, start, end)] = ""
    merged = even | edges
    return merged if len(merged) <= most else {start: edges[start], **even}


def named(source: Source, span: Span, name: str) -> Span | None:
    """The part whose label has `name` in it, with all that is in it; None if none has."""
    marks, wanted = [each for each in _marks(source, span) if each.at < span[1]], name.casefold().strip()
    for number, mark in enumerate(marks):
        if wanted and wanted in mark.label.casefold():
            following = (each.at for each in marks[number + 1 :] if each.level <= mark.level)
            return mark.at, next(following, span[1])
    return None


def _lengths(places: list[int], end: int) -> Iterator[int]:
    return (stop - begin for begin, stop in zip(places, [*places[1:], end], strict=True))


def _part(source: Source, start: int, end: int, label: str, line: int) -> Part:
    if not label:
        head = source.data[start : min(end, start + 8 * LABEL)].lstrip()
        label = brief_label(head.split(b"\n", 1)[0])
    return Part(start, end, line, label)


def cut(source: Source, at: int, low: int, high: int) -> int:
    """A place near `at`, inside (low, high), where a line ends, else a word, else a character. Where even that is not possible
    (one character is all there is) `at` itself."""
    reach = min(NEAR, (high - low) // 8)
    begin, stop = max(low + 1, at - reach), min(high - 1, at + reach)
    window, middle = source.data[begin:stop], max(0, at - begin)
    for mark in (b"\n", b" "):
        for found in (window.rfind(mark, 0, middle), window.find(mark, middle)):
            if found >= 0:
                return begin + found + 1
    return whole(source, at, low, high)


def whole(source: Source, at: int, low: int, high: int) -> int:
    """The beginning of the character that byte `at` belongs to, if that lies beyond `low`; else of the next, if before `high`."""
    data = source.data
    for place in chain(range(at, max(low, at - 4), -1), range(at + 1, min(high, at + 4))):
        if not 0x80 <= data[place] <= 0xBF:
            return place
    return at  # no UTF-8


def newlines(source: Source, start: int, end: int) -> int:
    """Ends of lines in a span."""
    total: int = 0
    for at in range(start, end, 1 << 20):
        total += source.data[at : min(end, at + (1 << 20))].count(b"\n")
    return total


def line_of(source: Source, at: int) -> int:
    """The number of the line that byte `at` is in."""
    return 1 + newlines(source, 0, at)


def line_start(source: Source, line: int) -> int:
    """Where line `line` (from 1) begins; the end of the text if it has fewer."""
    data, size, at, seen = source.data, len(source.data), 0, 1
    while seen < line and at < size:
        block = data[at : at + (1 << 20)]
        count = block.count(b"\n")
        if seen + count < line:
            seen, at = seen + count, at + len(block)
            continue
        place = -1
        for _ in range(line - seen):
            place = block.index(b"\n", place + 1)
        return at + place + 1
    return min(at, size)


# -- structure by kind


def _marks(source: Source, span: Span) -> list[Mark]:
    start, end = span
    data = source.data[start : min(end, start + LOOKED_AT)]
    if source.kind == "markdown":
        return _headings(data, start)
    if source.kind == "html":
        return [
            Mark(start + m.start(), 1 if m[1].lower() == b"title" else int(m[1][1:]), brief_label(m[2]))
            for m in _HTML.finditer(data)
        ]
    if source.kind == "code":
        return _signatures(data, start, source.language)
    if source.kind == "json":
        return _items(data, start)
    return []


def _headings(data: bytes, start: int) -> list[Mark]:
    """Not what stands between the fences of code."""
    fences = [each.start() for each in _FENCE.finditer(data)]
    return [
        Mark(start + each.start(), len(each[1]), brief_label(each[0]))
        for each in _HEADING.finditer(data)
        if bisect(fences, each.start()) % 2 == 0
    ]


def _signatures(data: bytes, start: int, language: str) -> list[Mark]:
    """A deeper indent is a deeper level."""
    known = SIGNATURES.get(SAME.get(language, language))
    pattern = re.compile(known or SIGNATURES["python"] + b"|" + SIGNATURES["javascript"])
    found, at = [], start
    for line in data.split(b"\n"):
        if len(line) <= LONGEST_LINE and pattern.match(line):
            text = line.expandtabs(4)
            found.append(Mark(at, 1 + (len(text) - len(text.lstrip())) // 2, brief_label(text.rstrip(b" {:\r"))))
        at += len(line) + 1
    return found


def _items(data: bytes, start: int) -> list[Mark]:
    """The items of the outermost list or object, and of those inside it, to a depth of three."""
    found: list[Mark] = []
    depth, fresh = 0, False
    for each in _JSON.finditer(data):
        token = each[0]
        if fresh and token not in (b"}", b"]"):
            found.append(Mark(start + each.start(), depth, brief_label(data[each.start() : each.start() + 4 * LABEL])))
        fresh = False
        if token in (b"{", b"["):
            depth += 1
            fresh = depth <= 3
        elif token in (b"}", b"]"):
            depth -= 1
        elif token == b",":
            following = re.compile(rb"\s*").match(data, each.end())
            at = following.end() if following else each.end()
            if 0 < depth <= 3 and at < len(data) and data[at : at + 1] not in (b'"', b"{", b"["):
                found.append(Mark(start + at, depth, brief_label(data[at : at + 4 * LABEL])))
            else:
                fresh = depth <= 3
    return found


# -- facts


def facts(source: Source, span: Span) -> list[str]:
    """What can be said about the span in short lines."""
    start, end = span
    lines = newlines(source, start, end) + (end > start and source.data[end - 1 : end] != b"\n")
    said = [f"{end - start:,} bytes, {lines:,} line{'s' if lines != 1 else ''}"]
    data = source.data[start : min(end, start + LOOKED_AT)]
    about: Callable[[bytes], list[str]] | None = _ABOUT.get(source.kind)
    if about is not None:
        said += about(data)
    head = data.lstrip().split(b"\n", 1)[0]
    tail = source.data[max(start, end - 2000) : end].rstrip().rsplit(b"\n", 1)[-1]
    said.append(f"first: {brief_label(head)}")
    if lines > 1:
        said.append(f"last: {brief_label(tail)}")
    return said


def _about_json(data: bytes) -> list[str]:
    try:
        return [f"schema: {schema(json.loads(data))}"]
    except (ValueError, RecursionError):
        pass
    rows = data.split(b"\n", 20)[:20]
    known = []
    for row in rows:
        try:
            known.append(schema(json.loads(row)))
        except (ValueError, RecursionError):
            continue
    return [f"schema of a line: {Counter(known).most_common(1)[0][0]}"] if known else []


def schema(value: Any, depth: int = 0) -> str:
    """The shape of a JSON value, four levels deep: {"id": number, "tags": [3 x text]}."""
    match value:
        case dict():
            if depth >= 4 or not value:
                return f"{{{len(value)} keys}}"
            inner = [
                f'"{brief_label(key.encode("utf-8", "surrogatepass"))}": {schema(each, depth + 1)}'
                for key, each in list(value.items())[:12]
            ]
            return "{" + ", ".join(inner) + (f", and {len(value) - 12} more" if len(value) > 12 else "") + "}"
        case list():
            kinds = Counter(schema(each, depth + 1) for each in value[:200]).most_common(2) if depth < 4 else []
            return f"[{len(value):,} x {' or '.join(kind for kind, _ in kinds) or 'anything'}]"
        case bool():
            return "yes/no"
        case int() | float():
            return "number"
        case str():
            return "text"
    return "null"


def _about_csv(data: bytes) -> list[str]:
    head = data.split(b"\n", 1)[0]
    mark = max((b",", b";", b"\t"), key=head.count)
    return [f"columns ({head.count(mark) + 1}): {brief_label(head)}"]


def _about_log(data: bytes) -> list[str]:
    counts = Counter(each[1].decode() for each in _LEVELS.finditer(data))
    return [", ".join(f"{count:,} {level}" for level, count in counts.most_common())] if counts else []


_ABOUT: dict[str, Callable[[bytes], list[str]]] = {"json": _about_json, "csv": _about_csv, "log": _about_log}
