"""Substrings and regular expressions over spans of files, with the real child.

Promises: what is found is what `re` finds in each span alone, at the right bytes; a pattern that explodes ends in one error.
Does not cover: speed (`bench retrieval`).
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homefire.errors import BadPattern, PatternTooSlow
from homefire.index import scan_child
from homefire.index.scan import Match, Pattern, scan

TEXTS = ["first needle\r\nand größer\n", "needless", "no\0thing é needle", "Needle\nline two\n"]


@pytest.fixture
def volume(tmp_path: Path) -> tuple[list[Path], Any]:
    """Two files: in the first the texts stand together, in the second with gaps."""
    parts = [text.encode() for text in TEXTS]
    parts[2] = parts[2].replace(b"\0", b"\xff\0")
    (tmp_path / "1").write_bytes(b"".join(parts))
    (tmp_path / "2").write_bytes(b"needle " + b" needle ".join(parts))
    spans, at, gap = [], 0, len("needle ")
    for part in parts:
        spans.append((0, at, at + len(part)))
        at += len(part)
    for part in parts:
        spans.append((1, gap, gap + len(part)))
        gap += len(part) + len(" needle ")
    return [tmp_path / "1", tmp_path / "2"], spans


def found(volume: tuple[list[Path], Any], *given: Any, **more: Any) -> list[tuple[int, bytes]]:
    files, spans = volume
    answer = scan(files, spans, Pattern(*given), more.pop("limit", 100), **more)
    data = [file.read_bytes() for file in files]
    return [(m.span, data[spans[m.span][0]][spans[m.span][1] :][m.start : m.end]) for m in answer.matches]


def test_a_substring(volume: tuple[list[Path], Any]) -> None:
    assert found(volume, "needle") == [(n, b"needle") for n in (0, 1, 2, 4, 5, 6)]
    assert found(volume, "NEEDLE") == []
    assert len(found(volume, "NEEDLE", False, True)) == 8
    assert found(volume, "größer") == [(0, "größer".encode()), (4, "größer".encode())]
    assert found(volume, "needlen") == [], "no match across two texts"
    assert found(volume, "two\nfirst") == []
    assert found(volume, ".") == []


def test_a_regular_expression(volume: tuple[list[Path], Any]) -> None:
    assert found(volume, r"^need\w+$", True) == [(1, b"needless"), (5, b"needless")]
    assert found(volume, r"gr\w+r$", True) == [(0, "größer".encode()), (4, "größer".encode())]
    assert found(volume, r"\Aneedle", True) == [(1, b"needle"), (5, b"needle")], "a text begins where it begins"
    assert found(volume, r"(?i)\bneedle\b", True) == [(n, t) for n, t in found(volume, r"\b[nN]eedle\b", True)]
    assert found(volume, r"line two|größ.r", True)[0] == (0, "größer".encode())
    assert found(volume, r"x*", True) == [], "empty matches are none"
    assert [number for number, _ in found(volume, "é needle", True)] == [2, 6], "behind bytes that are no UTF-8"


def test_more_than_was_asked_for(volume: tuple[list[Path], Any]) -> None:
    files, spans = volume
    answer = scan(files, spans, Pattern("needle"), 2)
    assert (answer.matches, answer.complete) == ((Match(0, 6, 12), Match(1, 0, 6)), False)
    assert scan(files, spans, Pattern("needle"), 6).complete
    assert scan(files, [], Pattern("needle"), 5).complete


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(a|a)+[bc]"])
def test_a_pattern_that_explodes(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "a").write_bytes(b"a" * 5000 + b"!")
    began = time.monotonic()
    with pytest.raises(PatternTooSlow) as caught:
        scan([tmp_path / "a"], [(0, 0, 5001)], Pattern(pattern, True), 5, seconds=0.4)
    assert caught.value.code == "pattern_too_slow"
    assert time.monotonic() - began < 60, "it would have taken longer than the sun will shine"


@pytest.mark.parametrize(
    "pattern", ["(", "a{2,1}", "[z-a]", r"\1", "(?P<n>a)(?P<n>b)", "", "x" * 5000, "(" * 2000 + ")" * 2000]
)
def test_a_pattern_that_cannot_be_read(volume: tuple[list[Path], Any], pattern: str) -> None:
    with pytest.raises(BadPattern):
        found(volume, pattern, True)


def test_a_text_longer_than_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_child, "PIECE", 64)
    text = "".join(f"line {n} of größe {n * n}\n" for n in range(200))
    (tmp_path / "a").write_bytes(text.encode())
    for pattern, regex in ((r"größe \d+$", True), ("größe", False), (r"[0-9]+ of", True)):
        order = {"pattern": pattern, "regex": regex, "ignore_case": False, "limit": 999, "files": [str(tmp_path / "a")]}
        made = scan_child.Scan(order, [0, 0, len(text.encode())])
        assert made.run()
        data = text.encode()
        wanted = [m.group() for m in re.finditer(pattern, text, re.MULTILINE)]
        assert [data[start:end].decode() for _, start, end in made.matches] == wanted
    # One line longer than a piece is cut anywhere.
    (tmp_path / "b").write_bytes(b"ab" * 500)
    order |= {"pattern": "b", "files": [str(tmp_path / "b")]}
    made = scan_child.Scan(order, [0, 0, 1000])
    assert made.run()
    assert len(made.matches) == 500


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("abé\n", max_size=8), min_size=1, max_size=6),
    st.sampled_from(
        [
            "ab",
            "a+b",
            "a|b",
            "^a",
            "b$",
            "(ab)+",
            "(?i:A)b",
            "a{2}",
            "[ab]é",
            "(?:ab){0,2}é",
            "é",
            "(?=a)b|ab",
            "(?i)AB",
        ]
    ),
    st.booleans(),
)
def test_as_re_finds_it(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], pattern: str, ignore_case: bool
) -> None:
    file = tmp_path_factory.mktemp("scan") / "volume"
    parts = [text.encode() for text in texts]
    file.write_bytes(b"".join(parts))
    ends = np.cumsum([len(part) for part in parts]).tolist()
    spans = [number for end, part in zip(ends, parts, strict=True) for number in (0, end - len(part), end)]
    order = {"pattern": pattern, "regex": True, "ignore_case": ignore_case, "limit": 999, "files": [str(file)]}
    made = scan_child.Scan(order, spans)
    assert made.run()
    flags = re.MULTILINE | (re.IGNORECASE if ignore_case else 0)
    wanted = [(n, m.group()) for n, text in enumerate(texts) for m in re.finditer(pattern, text, flags) if m.group()]
    assert [(n, parts[n][start:end].decode()) for n, start, end in made.matches] == wanted


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [("abc", "abc"), (r"a.*needle\d", "needle"), ("(foo)+bar?", "foo"), ("foo|bar", ""), ("(?i)foo", ""), ("(?i:foo)x", "x"),
     ("(?:foo)?x", "x"), ("[ab]cd", "cd"), ("(?=foo)x", "x"), ("(?!foo)x", "x"), ("x{3}", "x"), ("", "")],
)  # fmt: skip
def test_the_text_that_must_be_there(pattern: str, literal: str) -> None:
    assert scan_child.required(pattern, re.MULTILINE) == literal
    assert scan_child.required(pattern, re.IGNORECASE) == ""
