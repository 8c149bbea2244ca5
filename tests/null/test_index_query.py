"""Queries and identifiers: pure, for any text.

Promises: no text is an error; operators are what they are; an identifier is cut at its humps and nowhere else.
Does not cover: what is found (`test_index_words.py`).
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homefire.errors import PackageMissing
from homefire.index.identifiers import split_identifiers
from homefire.index.packages import needed
from homefire.index.query import MAX_ATOMS, Atom, parse


@pytest.mark.parametrize(
    ("query", "atoms"),
    [
        ("", []),
        ("where is the cache", [Atom("cache", "word")]),
        ("the", [Atom("the", "word")]),
        ("-cache", [Atom("cache", "word", "-")]),
        ("the -cache", [Atom("the", "word"), Atom("cache", "word", "-")]),
        ("+must -not plain", [Atom("must", "word", "+"), Atom("not", "word", "-"), Atom("plain", "word")]),
        ('"to be" +"or not"', [Atom("to be", "phrase"), Atom("or not", "phrase", "+")]),
        ("pref* +get_us* *", [Atom("pref", "prefix"), Atom("get_us", "prefix", "+")]),
        ("--json a-b c+d", [Atom("--json", "word"), Atom("a-b", "word"), Atom("c+d", "word")]),
        ('never "closed quote', [Atom("never", "word"), Atom("closed", "word"), Atom("quote", "word")]),
        ("foo(bar a:b AND", [Atom("foo(bar", "word"), Atom("a:b", "word")]),
        ("same same", [Atom("same", "word")]),
    ],
)
def test_atoms(query: str, atoms: list[Atom]) -> None:
    assert list(parse(query)) == atoms


@given(st.text())
def test_every_text_is_a_query(query: str) -> None:
    assert len(parse(query)) <= MAX_ATOMS


def test_a_long_query_is_short_work() -> None:
    assert len(parse('"a' * 50_000)) <= MAX_ATOMS
    assert len(parse(" ".join(f"word{n}" for n in range(20_000)))) == MAX_ATOMS


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("getUserName", "get User Name"),
        ("HTTPServer parseHTTPUrl", "HTTP Server parse HTTP Url"),
        ("utf8Decode SHA256", "utf8 Decode SHA256"),
        ("plain_words stay, ALSO THESE", "plain_words stay, ALSO THESE"),
        ("日本 é", "日 本 é"),
        ("", ""),
        ("A", "A"),
    ],
)
def test_humps(text: str, split: str) -> None:
    assert split_identifiers([text.encode()])[0].split() == split.split()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60) | st.text("aAbB1_ é日", max_size=40).map(str.encode), max_size=6))
def test_only_spaces_are_added_and_no_text_gets_anothers_bytes(texts: list[bytes]) -> None:
    split = split_identifiers(texts)
    assert len(split) == len(texts)
    for text, found in zip(texts, split, strict=True):
        if text.isascii():
            assert found.replace(" ", "") == text.decode().replace(" ", "")
        assert found == split_identifiers([text])[0], "a text is cut among others as it is alone"


def test_the_room_loads_nothing_heavy_and_says_what_is_missing() -> None:
    program = (
        "import sys, homefire.index, homefire.index.query, homefire.index.fusion, homefire.index.hits\n"
        "print([name for name in ('numpy', 'tantivy', 'faiss') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(PackageMissing) as caught:
        needed("no_package_of_this_name")
    assert caught.value.next_step == "Install it with: pip install 'homefire[knowledge]'"
