"""Properties of cutting: whatever a text is, its pieces cover it and its windows lie inside of them.

Promises: each rule is tried on texts that Hypothesis makes of the parts that are awkward (CRLF, NUL, long lines, signs of
syntax).
Does not cover: which cuts are the good ones (bench needles and retrieval say).
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homefire.knowledge import cut, cut_code, cut_rows
from homefire.knowledge.cut import CAP
from homefire.knowledge.decode import parts_of
from homefire.knowledge.reader import PART, Piece, Source
from homefire.knowledge.windows import CODE, LONGEST, sentences, windows

AWKWARD = [
    "\n",
    "\r\n",
    "\r",
    "\n\n",
    " ",
    "\t",
    "\0",
    '"',
    "\\",
    ",",
    "{",
    "}",
    "[",
    "]",
    "# ",
    "## Two\n",
    "```\n",
    "===\n",
    "a",
    "word ",
    "The vault code of the Oslo office is 12345. ",
    "é",
    "文字",
    "。",
    "😀",
    "def f(x):\n    return x\n",
    "class A:\n",
    "/* c */",
    "// c\n",
    "x = 1\n",
    "x" * 900,
    "y " * 900,
    "1,2,3\n",
    '"a\nb",2\n',
    ";",
]
texts = st.lists(st.sampled_from(AWKWARD) | st.text(max_size=20), max_size=60).map(
    lambda parts: "".join(parts).encode("utf-8", "replace")
)


def _code(language: str) -> Callable[[bytes], tuple[Piece, ...]]:
    return lambda data: cut_code.code(data, language)[0]


CUTS: dict[str, Callable[[bytes], tuple[Piece, ...]]] = {
    "text": cut.prose,
    "markdown": lambda data: cut.prose(data, True),
    "csv": cut_rows.rows,
    "json": cut_rows.members,
    **{name: _code(name) for name in ("cobol", "python", "c", "javascript", "rust", "bash")},
}


def check(data: bytes, pieces: Sequence[Piece]) -> None:
    assert b"".join(data[piece.start : piece.end] for piece in pieces) == data
    assert all(0 < piece.end - piece.start <= CAP for piece in pieces)
    for piece in pieces:
        assert piece.line == data.count(b"\n", 0, piece.start) + 1
        data[piece.start : piece.end].decode()  # whole characters


@pytest.mark.parametrize("kind", CUTS)
@settings(max_examples=60, deadline=None)
@given(data=texts)
def test_pieces_cover_every_byte_once_and_in_order(kind: str, data: bytes) -> None:
    pieces = CUTS[kind](data)
    check(data, pieces)
    for window in windows(data, pieces, kind not in ("text", "markdown")):
        piece = pieces[window.piece]
        assert piece.start <= window.start < window.end <= piece.end
        assert window.end - window.start <= max(LONGEST, CODE)
        data[window.start : window.end].decode()


@settings(max_examples=60, deadline=None)
@given(text=st.lists(st.sampled_from(AWKWARD) | st.text(max_size=20), max_size=40).map("".join),
       encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))  # fmt: skip
def test_a_text_comes_back_as_it_was_written(text: str, encoding: str) -> None:
    text = text.encode("utf-8", "replace").decode().lstrip("\ufeff")
    parts = list(parts_of(Source("a.txt", "text", content=text.encode(encoding))))
    # Zeros in UTF-8 may look like UTF-16, and a zero after UTF-16's mark like UTF-32's: both are guessed wrong, knowingly.
    if "\0" not in text:
        assert b"".join(part for part, _ in parts) == text.encode()


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=400))
def test_bytes_of_any_kind_become_utf8(data: bytes) -> None:
    for part, _ in parts_of(Source("a.txt", "text", content=data)):
        part.decode()


def test_latin_letters_of_old_and_faults_in_utf8_are_told_apart() -> None:
    old, note = next(parts_of(Source("a.txt", "text", content="Größe, Café, naïve".encode("cp1252"))))
    assert (old.decode(), note) == ("Größe, Café, naïve", "windows-1252")
    damaged, note = next(parts_of(Source("a.txt", "text", content="Größe, Café".encode() + b"\xff end")))
    assert damaged.decode() == "Größe, Café� end" and note == "1 bytes that are no UTF-8"


def test_utf16_without_a_mark_is_known_by_its_zeros() -> None:
    text = "A line of plain letters.\n" * 20
    for encoding in ("utf-16-le", "utf-16-be"):
        parts = list(parts_of(Source("a.txt", "text", content=text.encode(encoding))))
        assert parts == [(text.encode(), encoding)]


@pytest.mark.parametrize("line", [b"word word word. " * 8, "ä".encode() * 31 + b"\n", b"x" * 97])
def test_a_large_text_is_read_in_parts_that_are_all_of_it(line: bytes) -> None:
    data = line * (int(2.5 * PART) // len(line))
    parts = [part for part, _ in parts_of(Source("a.txt", "text", content=data))]
    assert b"".join(parts) == data and len(parts) >= 3 and max(map(len, parts)) <= PART
    if b"\n" in line:
        assert all(part.endswith(b"\n") for part in parts)


def test_headings_label_what_is_below_them_and_small_sections_join_the_next() -> None:
    body = b"A sentence about something that goes on for some time. " * 8
    data = b"# Guide\n\n## Install\n" + body + b"\n## Use\n```\n# no heading\n```\n" + body
    assert [piece.label for piece in cut.prose(data, True)] == ["Guide > Install", "Guide > Use"]
    plain = b"Guide\n=====\n" + body + b"\n\nUse it\n------\n" + body
    assert [piece.label for piece in cut.prose(plain)] == ["Guide", "Guide > Use it"]


def test_functions_and_methods_are_pieces_with_their_names() -> None:
    body = "        total = total + 1  # counted\n" * 24
    data = (
        '"""Doc."""\nimport os\n\n\nclass Store:\n    """It stores."""\n\n    # Above write.\n    @cached\n'
        f"    def write(self):\n{body}\n    def read(self):\n{body}\n"
        + "    # padding\n" * 40
        + "\n\ndef free():\n    pass\n"
    ).encode()
    pieces = cut_code.code(data, "python")[0]
    check(data, pieces)
    by_label = {piece.label: data[piece.start : piece.end] for piece in pieces}
    assert by_label["Store.write"].lstrip().startswith(b"# Above write.") and b"def read" not in by_label["Store.write"]
    assert by_label["Store.read"].lstrip().startswith(b"def read")


def test_a_function_larger_than_a_piece_is_cut_between_statements() -> None:
    data = b"int f(void) {\n" + b"  call_of_something(1, 2, 3);\n" * 200 + b"}\n"
    pieces = cut_code.code(data, "c")[0]
    check(data, pieces)
    assert {piece.label for piece in pieces} == {"f"} and len(pieces) >= 4
    assert all(data[piece.end - 1 : piece.end] == b"\n" for piece in pieces)


def test_parsing_has_a_limit_and_then_lines_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"def f(x):\n    return x\n\n" * 40_000
    assert cut_code.parsed(data, "python", 0.0) is None
    monkeypatch.setattr(cut_code, "parsed", lambda *_: None)
    pieces, note = cut_code.code(data, "python")
    assert note == "too slow to parse" and len(pieces) > 500
    assert cut_code.code(b"def f(): pass", "python")[1] == "too slow to parse"


@pytest.mark.parametrize(
    "data", [b"(" * 200_000, b"[" * 100_000 + b"]" * 100_000, b"{" * 50_000, b'"' * 99_999, b"a+" * 100_000]
)
@pytest.mark.parametrize("language", ["python", "javascript", "c"])
def test_a_thicket_ends(data: bytes, language: str) -> None:
    check(data, cut_code.code(data, language)[0])


def test_rows_with_newlines_in_fields_stay_whole_and_are_counted() -> None:
    row = b'1,"two\nlines",3\n'
    pieces = cut_rows.rows(row * 200, 10)
    assert all((piece.end - piece.start) % len(row) == 0 for piece in pieces)
    assert pieces[0].label.startswith("row 10-") and pieces[-1].label.endswith("-209")


def test_json_on_one_line_is_cut_between_members() -> None:
    data = b"[" + b", ".join(b'{"name": "a, b", "values": [1, 2, 3], "text": "\\"}, {\\""}' for _ in range(200)) + b"]"
    pieces = cut_rows.members(data)
    check(data, pieces)
    assert all(data[piece.start : piece.end].lstrip().startswith(b"{") for piece in pieces[1:])


NEEDLE = "The vault code of the Oslo office is 12345."


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "x = foo(bar, baz_long_name, something_else_entirely)\n{}\nfor x in range(10): pass\n",
        "    # {}\n    return 1\n",
        "- one thing\n- {}\n- another thing\n",
        "Some words before it end here. {} And some after it go on.",
        "A long line without any stop at its end that goes on for a while\n{}\nanother line",
        "* {}\r\n* Another line of a file with other ends of lines.\r\n",
    ],
)
def test_a_sentence_is_a_window_of_its_own_wherever_it_stands(around: str) -> None:
    data = around.format(NEEDLE).encode()
    assert NEEDLE.encode() in [data[start:end] for start, end in sentences(data)]


def test_a_wrapped_sentence_is_one_window_and_a_repeated_one_counts_once() -> None:
    sentence = b"A sentence that is wrapped because its\nwriter keeps lines short, ends here.\n"
    data = sentence * 2
    assert len(windows(data, cut.prose(data))) == 1


def test_a_wrapped_line_may_go_on_with_a_name() -> None:
    sentence = (
        "The ferry from Ravenscar to Otterholt was late again and nobody at all could tell Verena of Pellworth why. "
    )
    said = (sentence * 9).strip().split()
    text = "\n".join(textwrap.wrap(" ".join(said), 72))
    assert "\nRavenscar" in text or "\nVerena" in text or "\nOtterholt" in text or "\nPellworth" in text
    found = [" ".join(text[start:end].split()) for start, end in sentences(text.encode())]
    assert set(found) == {sentence.strip()}


def test_a_log_is_not_a_wrapped_text() -> None:
    event = "2031-04-05T10:00:{:02}Z INFO worker-3: the page was handed to the pool and nobody is waiting"
    lines = [event.format(second) for second in range(20)]
    lines.insert(9, NEEDLE)
    text = "\n".join(lines)
    assert NEEDLE in [text[start:end] for start, end in sentences(text.encode())]


def test_sentences_of_code_are_those_of_its_comments_and_strings() -> None:
    data = b"""def load(names):
    # Names that nobody has seen before come first of all.
    for each in names_of_all_the_old_files if we_want_them:
        from some_module import another_module as shorter_name
    '''Returns whatever was there before (or nothing at all).
    This line of the text says the same thing again.'''
"""
    pieces, _ = cut_code.code(data, "python")
    found = windows(data, pieces, True)
    said = [data[window.start : window.end] for window in found if not window.whole]
    assert [window.whole for window in found].count(True) == len(pieces) == 1
    assert len(said) == 3 and not any(b"_" in each for each in said), said


@pytest.mark.parametrize(
    "text", ["日本語の文章はここで終わります。次の文章もここで終わります。", "Это обычное русское предложение из слов."]
)
def test_other_scripts_have_windows(text: str) -> None:
    data = text.encode()
    assert len(sentences(data)) == text.count("。") + text.count(".")


@pytest.mark.parametrize(
    "data", [b"a = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]", b"#" * 500, b" " * 5000, b"AAAA1111" * 40, b""]
)
def test_what_reads_like_no_sentence_gives_none(data: bytes) -> None:
    assert sentences(data) == []
