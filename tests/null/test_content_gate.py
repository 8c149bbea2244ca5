"""The gate: what enters a window, as what, and that nothing is out of reach.

Promises: with a tokenizer of words and with one of bytes, every byte of any source is reached within the promised number of
drills; what is admitted never takes more than is left; maps of many kinds of files say what stands in them.
Does not cover: a real tokenizer (`tests/process/test_answers.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homefire.errors import ContextOverflow, InvalidRequest, UnknownDocument
from homefire.knowledge import brief
from homefire.knowledge.gate import Admitted, Gate, Grep, Lines, Outline, Request, Rows, Slice, steps_for
from homefire.knowledge.handles import FolderSources, Handle, Source, digest_of
from homefire.knowledge.needs import Count


class Words:
    """A null tokenizer: four bytes a token, and at least one a word."""

    async def count(self, texts: Sequence[str]) -> list[int]:
        return [sum(-(-len(word.encode()) // 4) for word in text.split()) + text.count("\n") for text in texts]


class Bytes:
    """A worse one: each byte is a token."""

    async def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.encode("utf-8", "replace")) for text in texts]


@dataclass
class Memory:
    """Sources in memory."""

    held: dict[str, Source] = field(default_factory=dict)

    def keep(self, source: Source) -> Handle:
        self.held[digest_of(source.data)] = source
        return Handle(digest_of(source.data))

    def open(self, handle: Handle) -> Source:
        if handle.digest not in self.held:
            raise UnknownDocument("gone")
        return self.held[handle.digest]

    def forget(self, handle: Handle) -> None:
        self.held.pop(handle.digest, None)


def a_gate(window: int = 1500, count: Count | None = None) -> Gate:
    return Gate(count or Words(), Memory(), window, 200)


async def reach(one: Gate, source: Source, byte: int) -> int:
    """Drills until the byte is seen; each map's block leaves the window again."""
    found = await one.admit("b", source)
    drills = 0
    while found.kind == "brief":
        assert 0 <= found.tokens <= one.left + found.tokens
        assert found.parts[0].start == found.span[0] and found.parts[-1].end == found.span[1]
        assert all(a.end == b.start for a, b in zip(found.parts, found.parts[1:], strict=False)), "without a gap"
        (part,) = [each for each in found.parts if each.start <= byte < each.end]
        assert f"{part.start}-{part.end}" in found.text, "it can be asked for by what the map says"
        one.refund(found.block)
        found = await one.drill(found.handle, Slice(part.start, part.end))
        drills += 1
        assert drills <= steps_for(len(source.data))
    low, high = found.span
    assert low <= byte < high
    assert found.text == brief.shown(source.data[low:high])
    one.refund(found.block)
    assert one.spent == 0
    return drills


KINDS = st.sampled_from(["text", "markdown", "code", "html", "json", "csv", "log"])
PIECES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=80).map(str.encode),
    st.sampled_from([b"# Head\n", b"## Deeper one\n", b"def f(x):\n    return 1\n", b"class A {\n",
                     b'{"a": [1, {"b": "c"}]},\n',
                     b"<h1>Big</h1>", b"\r\n", b"\x00", b"a,b,c\n1,2,3\n", b"2026-01-01 ERROR it broke\n", b"```\n",
                     b'"\\"' * 9]),
)  # fmt: skip
TEXTS = st.lists(PIECES, min_size=1, max_size=12).map(b"".join)


@settings(max_examples=120, deadline=None)
@given(data=TEXTS, times=st.integers(1, 200), kind=KINDS, where=st.floats(0, 1, exclude_max=True), worst=st.booleans())
@example(data=b"x", times=300_000, kind="text", where=0.999, worst=True)
@example(data="😀".encode(), times=40_000, kind="code", where=0.5, worst=True)
@example(data=b"\x80", times=50_000, kind="text", where=0.3, worst=False)
@example(data=b"\n", times=60_000, kind="csv", where=0.3, worst=False)
@example(data=b"# top\n" + b"y" * 2000, times=100, kind="markdown", where=0.9, worst=False)
def test_every_byte_is_reached(data: bytes, times: int, kind: str, where: float, worst: bool) -> None:
    if data := data * times:
        asyncio.run(
            reach(a_gate(count=Bytes() if worst else Words()), Source(data, kind, "file"), int(where * len(data)))
        )


def test_one_line_of_100_mb(tmp_path: Path) -> None:
    data = b"0123456 " * (100_000_000 // 8)
    source = Source(data, "text", "line.txt")

    async def scenario() -> None:
        one = Gate(Words(), FolderSources(tmp_path), 2048, 512)
        for byte in (0, 61_234_567, len(data) - 1):
            assert await reach(one, source, byte) <= 6

    asyncio.run(scenario())


@pytest.mark.parametrize("broken", ["gap", "stuck"])
def test_mutants_of_reach(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """A map that leaves something out, and one that gets nowhere, are seen."""
    true_parts = brief.parts

    def parts(source: Source, span: tuple[int, int], most: int, line: int = 0) -> list[brief.Part]:
        found = true_parts(source, span, most)
        return found[:-1] if broken == "gap" else [brief.Part(span[0], span[1], 1, "")]

    monkeypatch.setattr(brief, "parts", parts)
    with pytest.raises((AssertionError, ValueError)):
        asyncio.run(reach(a_gate(), Source(b"word " * 20_000), 99_999))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 9000), st.booleans()), max_size=20))
def test_what_is_left_is_never_overdrawn(steps: list[tuple[str, int, bool]]) -> None:
    """Admitted, refunded, admitted again under the same name: spent is the sum of what is in the window."""

    async def scenario() -> None:
        one, inside = a_gate(900), dict[str, int]()
        for block, size, out in steps:
            if out:
                assert one.refund(block) == inside.pop(block, 0)
                continue
            try:
                found = await one.admit(block, Source(b"tree " * (size // 5 + 1)))
                inside[block] = found.tokens
            except ContextOverflow:
                inside.pop(block, None)
            assert one.spent == sum(inside.values()) and one.left == 700 - one.spent >= 0

    asyncio.run(scenario())


def test_raw_or_brief_by_the_tokenizer() -> None:
    """The same bytes: raw for one tokenizer, a map for a worse one. Length in characters decides nothing."""

    async def kinds(count: Count) -> str:
        return (await a_gate(1500, count).admit("b", Source(b"internationally " * 100))).kind

    assert asyncio.run(kinds(Words())) == "raw" and asyncio.run(kinds(Bytes())) == "brief"


def drill(source: Source, request: Request, window: int = 3000) -> Admitted:
    async def scenario() -> Admitted:
        one = a_gate(window)
        handle = (await one.admit("b", source)).handle
        one.refund("b")
        return await one.drill(handle, request)

    return asyncio.run(scenario())


LINES = Source(b"".join(b"line %d of many\n" % number for number in range(1, 5001)), "text", "many.txt")
TABLE = Source(b"name,age\n" + b"".join(b"person%d,%d\n" % (n, n) for n in range(1, 4000)), "csv", "people.csv")


def test_drills() -> None:
    assert drill(LINES, Lines(40, 41)).text == "line 40 of many\nline 41 of many\n"
    assert drill(TABLE, Rows(7, 8)).text == "name,age\nperson7,7\nperson8,8\n"
    found = drill(LINES, Grep("LINE 4999 "))
    assert "line 4999: line 4999 of many" in found.text and found.text.startswith("1 places")
    page = drill(LINES, Grep("of many", limit=3))
    assert "3+ places" in page.text and "more from byte" in page.text
    after = int(page.text.rsplit(" ", 1)[1])
    assert "line 4: line 4 of many" in drill(LINES, Grep("of many", 3, after)).text
    whole = drill(LINES, Lines(1, 5000))
    assert whole.kind == "brief" and "5,000 lines" in whole.text, "what does not fit is mapped, not cut"


@pytest.mark.parametrize(
    "request_",
    [Lines(0, 1), Lines(6000, 6001), Lines(5, 4), Slice(10**9, 10**9 + 5), Grep(""), Grep("x" * 2000), Outline("none")],
)  # fmt: skip
def test_bad_drills(request_: Request) -> None:
    with pytest.raises(InvalidRequest):
        drill(LINES, request_)


def test_a_slice_grows_to_whole_characters() -> None:
    source = Source("aé😀z".encode())
    assert drill(source, Slice(2, 5)).text == "é😀"


def test_handles() -> None:
    handle = Handle("0" * 32, 5, 9)
    assert Handle.of(str(handle)) == handle and Handle.of("blob:" + "a" * 32) == Handle("a" * 32)
    assert Handle.of("kb:notes:0123456789abcdef:1-2") == Handle("0123456789abcdef", 1, 2, "kb:notes")
    for text in ("", "blob:xyz", "blob:" + "a" * 32 + ":9-5", "kb:x:1-2", "blob:" + "a" * 9, "blob:" + "a" * 32 + "\n"):
        with pytest.raises(InvalidRequest):
            Handle.of(text)


def test_a_handle_that_names_nothing(tmp_path: Path) -> None:
    sources = FolderSources(tmp_path / "blobs")
    handle = sources.keep(Source(b"abc", "log", "tool"))
    assert sources.open(handle).data[:] == b"abc" and sources.open(handle).kind == "log"
    sources.forget(handle)
    with pytest.raises(UnknownDocument):
        sources.open(handle)


def test_no_room_at_all() -> None:
    with pytest.raises(ContextOverflow, match="left"):
        asyncio.run(a_gate(210).admit("b", LINES))


PYTHON = b"import os\n\n" + b"".join(
    b"class Thing%d:\n    def run(self, x):\n        return x + %d\n\n" % (n, n) for n in range(60)
)
MARKDOWN = b"".join(
    b"# Chapter %d\n\ntext\n\n## Section %d.1\n\n```\n# no heading\n```\n\n" % (n, n) + b"word " * 80 + b"\n"
    for n in range(9)
)
JSON = json.dumps({"users": [{"id": n, "name": f"n{n}", "tags": ["a"]} for n in range(300)], "ok": True}).encode()
LOG = b"".join(
    b"2026-11-30 12:%02d:00 %s it happened\n" % (n % 60, b"ERROR" if n % 5 == 0 else b"INFO") for n in range(2000)
)
HTML = b"<html><title>A page</title><body>" + b"".join(
    b"<h2>Part %d</h2><p>%s</p>" % (n, b"word " * 300) for n in range(8)
)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source(PYTHON, "code", "thing.py", "python"), ["class Thing0", "242 lines", "first: import os"]),
        (Source(MARKDOWN, "markdown", "book.md"), ["# Chapter 3", "# Chapter 8"]),
        (Source(JSON, "json", "users.json"), ['"users": [300 x {"id": number, "name": text, "tags": [1 x text]}]', "yes/no"]),
        (Source(LOG, "log", "daemon.log"), ["1,600 INFO, 400 ERROR", "last: 2026-11-30 12:19:00 INFO"]),
        (Source(HTML, "html", "page.html"), ["Part 3", "Part 7"]),
        (Source(TABLE.data, "csv", "people.csv"), ["columns (2): name,age", "last: person3999,3999"]),
        (Source(b"func Add(a int) int {\n\treturn 1\n}\n" * 200, "code", "a.go", "go"), ["func Add(a int) int"]),
        (Source(b"pub fn add(a: i32) -> i32 {\n    1\n}\n" * 200, "code", "a.rs", "rust"), ["pub fn add(a: i32) -> i32"]),
        (Source(b"static int add(int a) {\n  return 1;\n}\n" * 200, "code", "a.c", "c"), ["static int add(int a)"]),
        (Source(b"export function add(a) {\n  return 1\n}\n" * 200, "code", "a.js", "javascript"), ["export function add(a)"]),
    ],
    ids=lambda value: value.name if isinstance(value, Source) else "",
)  # fmt: skip
def test_maps(source: Source, said: list[str]) -> None:
    async def scenario() -> Admitted:
        return await a_gate(2000).admit("b", source)

    found = asyncio.run(scenario())
    assert found.kind == "brief"
    for each in said:
        assert each in found.text, found.text
    assert "no heading" not in found.text
    assert str(found.handle) in found.text


def test_a_part_by_its_label() -> None:
    found = drill(Source(MARKDOWN, "markdown", "book.md"), Outline("section 4.1"))
    assert found.kind == "brief" and "bytes " in found.text
    assert b"Section 4.1" in MARKDOWN[found.span[0] : found.span[1]]


@pytest.mark.parametrize("data", [b'"\\"' * 100_000, b'"' * 300_000, b"[" * 300_000, b"<h1" * 100_000, b"a " * 150_000 + b"(",
                                  b"```\n# x\n" * 40_000, b"static " * 60_000])  # fmt: skip
@pytest.mark.parametrize("kind", ["json", "html", "code", "markdown"])
def test_hostile_texts_take_no_time(data: bytes, kind: str) -> None:
    """No pattern here explodes: none of these ends, if one does."""
    for language in ("c", "java", "javascript", "rust") if kind == "code" else ("",):
        source = Source(data, kind, "x", language)
        assert len(brief.parts(source, (0, len(data)), 24)) >= 2
        assert brief.facts(source, (0, len(data)))
