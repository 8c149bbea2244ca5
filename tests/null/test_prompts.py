"""Prompts: the language and its bounds, versions, packs, compression, and Homefire's own.

Promises: each bound has a prompt that breaks it; a change can be undone; a pack that was touched is refused.
Does not cover: the routes with a real tokenizer.
"""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homefire.errors import (
    BadPrompt,
    HomefireError,
    InvalidRequest,
    PackRefused,
    PromptBound,
    PromptConflict,
    UnknownPrompt,
)
from homefire.prompts import Prompts, own_names, own_text
from homefire.prompts import render as module
from homefire.prompts.compress import compress, shortened
from homefire.prompts.packs import Wanted, pack, unpack
from homefire.prompts.render import render
from homefire.prompts.template import parse
from homefire.store import PromptRows, Store
from tests.null.rig import AT, House, at_home

HEAD = """+++
[variables.name]
[variables.items]
type = "list"
default = []
[variables.rows]
type = "table"
default = []
+++
"""


def nothing(name: str) -> str:
    raise UnknownPrompt(name)


def made(body: str, load: Callable[[str], str] = nothing, **values: Any) -> str:
    return render(parse(HEAD + body), {"name": "Ann", **values}, load)


def with_room(folder: Path, work: Callable[[Prompts], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        store = Store(folder / "homefire.db")
        await asyncio.to_thread(store.open)
        try:
            room = Prompts(PromptRows(store))
            await room.open()
            await work(room)
        finally:
            await asyncio.to_thread(store.close)

    asyncio.run(run())


def test_what_the_language_has() -> None:
    assert made("Hello {{ name | upper }}.") == "Hello ANN."
    loop = (
        "{% for x in items %}{{ loop.index }}/{{ loop.length }} {{ x }}{% if not loop.last %}, {% endif %}"
        "{% else %}none{% endfor %}"
    )
    assert made(loop, items=["a", "b"]) == "1/2 a, 2/2 b" and made(loop) == "none"
    assert (
        made('{% if name == "Ann" and "x" in items %}yes{% elif items %}some{% else %}no{% endif %}', items=["y"])
        == "some"
    )
    # A column is the row's, also where every dictionary has a method of that name.
    assert made("{% for r in rows %}{{ r.items }}{% endfor %}", rows=[{"items": "two"}]) == "two"
    assert made("{# a note #}{{ items | join('; ') }}", items=["a", "b"]) == "a; b"
    assert made("a{% include 'part' %}c", lambda name: "b{{ name }}") == "abAnnc"
    assert render(parse("no { variables } here"), {}, nothing) == "no { variables } here"


@pytest.mark.parametrize(
    "body",
    [
        "{{ 'a' * 9 }}",
        "{{ 9 ** 9 }}",
        "{{ name + name }}",
        "{{ name ~ name }}",
        "{{ name() }}",
        "{{ name.upper() }}",
        "{{ name.__class__ }}",
        "{{ name[0] }}",
        "{% set a = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% for i in range(9) %}{% endfor %}",
        "{{ nobody }}",
        "{{ name | map('x') }}",
        "{{ name | attr('x') }}",
        "{% if name is callable %}{% endif %}",
        "{% include name %}",
        "{{ counted_(items) }}",
        "{% extends 'a' %}",
        "{% import 'a' as a %}",
        "{% for x in items recursive %}{% endfor %}",
        "{% for x in items if x %}{% endfor %}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ [name, name] | join }}",
        "{{ {'a': 1} }}",
        "{% for counted_ in items %}{% for y in items %}{% endfor %}{% endfor %}{{",
        "{% for a in items %}" * 4 + "{% endfor %}" * 4,
        "{% if name %}" * 30 + "{% endif %}" * 30,
        "{{ loop.index }}",
        "{% for x in items %}{{ loop.cycle }}{% endfor %}",
    ],
)
def test_what_it_does_not_have(body: str) -> None:
    with pytest.raises(BadPrompt):
        made(body, items=["a"])


def test_bounds_of_loops_text_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    many = ["x"] * 1000
    with pytest.raises(BadPrompt, match="steps"):
        made("{% for a in items %}{% for b in items %}{% endfor %}{% endfor %}", items=many)
    with pytest.raises(BadPrompt, match="letters"):
        made("{% for a in items %}{{ name }}{% endfor %}", name="n" * 10_000, items=many)
    ticks = iter(range(10_000))
    with pytest.raises(BadPrompt, match="takes more than"):
        render(
            parse(HEAD + "{% for a in items %}{% endfor %}"), {"name": "", "items": many}, nothing, lambda: next(ticks)
        )
    with pytest.raises(BadPrompt, match="more than"):  # a filter says so before it makes it
        made("{{ name | replace('a', name) }}", name="a" * 100_000)
    with pytest.raises(BadPrompt, match="includes itself"):
        made("{% include 'a' %}", lambda name: "{% include 'a' %}")
    with pytest.raises(BadPrompt, match="KiB"):
        parse("x" * 70_000)


def test_memory_stays_within_the_bounds() -> None:
    made("{{ name }}{% for a in items %}{{ a }}{% endfor %}", items=["warm"])  # what Jinja itself takes is not counted
    tracemalloc.start()
    try:
        for body in (
            "{{ name | replace('a', 'bbbbbbbbbb') | upper | indent(40) }}",
            "{% for a in items %}{{ name }}{% endfor %}",
        ):
            with pytest.raises(BadPrompt):
                made(body, name="a" * 900_000, items=["x"] * 1000)
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()


WORDS = [
    "{{",
    "}}",
    "{%",
    "%}",
    "for",
    "x",
    "in",
    "items",
    "endfor",
    "if",
    "endif",
    "name",
    "x",
    "items",
    "|",
    "upper",
    "(",
    ")",
    ".",
    "include",
    "'a'",
    "*",
    "[",
    "]",
    "{#",
    "#}",
    "loop",
    "raw",
    "endraw",
    "-",
    "a",
] + ["for x in items", "\n"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=24))
def test_any_text_renders_or_is_a_bad_prompt(words: list[str]) -> None:
    try:
        text = made(" ".join(words), lambda name: "part", items=["i", "j"])
    except BadPrompt:
        return
    assert len(text) <= module.LARGEST_OUTPUT


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("text", "a", 1),
        ("integer", 3, True),
        ("number", 1.5, "1"),
        ("flag", False, 0),
        ("list", ["a"], [1]),
        ("table", [{"a": 1}], [{"A b": 1}]),
    ],
)
def test_types(kind: str, good: object, bad: object) -> None:
    template = parse(f'+++\n[variables.v]\ntype = "{kind}"\n+++\n{{{{ v | tojson }}}}')
    assert json.loads(render(template, {"v": good}, nothing)) == good
    for given_ in ({"v": bad}, {}, {"v": good, "w": 1}):
        with pytest.raises(BadPrompt):
            render(template, given_, nothing)


@pytest.mark.parametrize(
    "head",
    [
        "x = [",
        "other = 1",
        "[variables.A]",
        '[variables.a]\ntype = "what"',
        '[variables.a]\ntype = "choice"',
        '[variables.a]\ntype = "flag"\ndefault = 3',
    ],
)
def test_headers_that_are_refused(head: str) -> None:
    with pytest.raises(BadPrompt):
        parse(f"+++\n{head}\n+++\ntext")


def test_versions_diff_and_rollback(tmp_path: Path) -> None:
    async def work(room: Prompts) -> None:
        assert await room.edit("greeting", "Hello.", "begun", "me", 0) == 1
        assert await room.edit("greeting", "Hello\nthere.", "warmer", "me", 1) == 2
        with pytest.raises(PromptConflict):
            await room.edit("greeting", "Bye.", "", "other", 1)
        assert (await room.diff("greeting", None, None))["lines"][-3:] == ["-Hello.", "+Hello", "+there."]
        assert await room.rollback("greeting") == 1 and room.source("greeting") == "Hello."
        assert await room.rollback("greeting", 2) == 2 and await room.render("greeting", {}) == "Hello\nthere."
        with pytest.raises(UnknownPrompt):
            await room.rollback("greeting", 9)
        again = Prompts(room.rows)
        await again.open()
        assert again.source("greeting") == "Hello\nthere."
        await room.remove("greeting")
        with pytest.raises(UnknownPrompt):
            room.source("greeting")

    with_room(tmp_path, work)


def test_own_prompts_can_be_changed_and_taken_back(tmp_path: Path) -> None:
    async def work(room: Prompts) -> None:
        before = room.text("homefire.critic")
        assert before == own_text("homefire.critic") and "reject" in before
        await room.edit("homefire.critic", "Reject everything.", "", "me", 0)
        assert room.text("homefire.critic") == "Reject everything."
        with pytest.raises(BadPrompt, match=r"gives this prompt|Nobody gives"):
            await room.edit("homefire.critic", "+++\n[variables.new]\n+++\n{{ new }}", "", "me")
        assert await room.rollback("homefire.critic", 0) == 0 and room.text("homefire.critic") == before
        for attempt in (
            room.edit("homefire.answer.pilot", "Answer.", "", "me"),
            room.edit("homefire.mine", "x", "", "me"),
        ):
            with pytest.raises((PromptBound, InvalidRequest)):
                await attempt
        with pytest.raises(InvalidRequest):
            await room.remove("homefire.critic")

    with_room(tmp_path, work)


def test_every_own_prompt_is_sound() -> None:
    from homefire.prompts.own import own_source

    assert {"homefire.critic", "homefire.answer", "homefire.answer.pilot"} <= set(own_names())
    for name in own_names():
        module.check(parse(own_source(name)), own_source)
        assert parse(own_source(name)).about, name


def test_packs_are_signed_trusted_once_and_never_replace_in_silence(tmp_path: Path) -> None:
    async def work(room: Prompts) -> None:
        await room.edit("a", "Text of a.", "", "me")
        await room.edit("b", "Text of b.", "", "me")
        file = json.dumps(await pack(room, "mine", ["a", "b"], tmp_path / "pack.key")).encode()
        assert (tmp_path / "pack.key").stat().st_mode & 0o077 == 0
        await room.remove("a")
        await room.edit("b", "Another text.", "", "me")
        with pytest.raises(PackRefused, match="not been met"):
            await unpack(room, file, Wanted(), "me")
        found = await unpack(room, file, Wanted(trust=True), "me")
        assert found.added == {"a": 1} and found.kept == ("b",) and room.source("b") == "Another text."
        found = await unpack(room, file, Wanted(replace=True), "me")
        assert found.replaced == {"b": 3} and found.same == ("a",)
        assert await room.rollback("b") == 2 and room.source("b") == "Another text."
        unsigned = json.dumps(await pack(room, "mine", ["a"], None)).encode()
        with pytest.raises(PackRefused, match="signed before"):
            await unpack(room, unsigned, Wanted(unsigned=True), "me")
        other = json.dumps(await pack(room, "mine", ["a"], tmp_path / "other.key")).encode()
        with pytest.raises(PackRefused, match="another one before"):
            await unpack(room, other, Wanted(), "me")

    with_room(tmp_path, work)


def test_a_pack_that_was_touched_is_refused(tmp_path: Path) -> None:
    async def work(room: Prompts) -> None:
        await room.edit("a", "Text.", "", "me")
        whole = await pack(room, "mine", ["a"], tmp_path / "pack.key")
        touched = []
        changes: tuple[Callable[[Any], object], ...] = (
            lambda p: p["prompts"][0].update(text="Other."),
            lambda p: p["prompts"][0].update(name="other"),
            lambda p: p.update(pack="theirs"),
            lambda p: p["signature"].update(value="0" * 128),
            lambda p: p.update(more=1),
            lambda p: p["prompts"].append(p["prompts"][0]),
        )
        for change in changes:
            copy = json.loads(json.dumps(whole))
            change(copy)
            touched.append(json.dumps(copy).encode())
        for data in (*touched, b"", b"[]", b"\xff", b"[" * 100_000, json.dumps(whole).encode()[:-9]):
            with pytest.raises(PackRefused):
                await unpack(room, data, Wanted(trust=True, unsigned=True, replace=True), "me")
        assert await room.rows.signers() == []

    with_room(tmp_path, work)


def test_a_pack_with_one_bad_prompt_leaves_nothing(tmp_path: Path) -> None:
    async def work(room: Prompts) -> None:
        import hashlib

        rows = [
            {"name": n, "text": t, "sha256": hashlib.sha256(t.encode()).hexdigest()}
            for n, t in (("a", "A."), ("b", "{{ x }}"))
        ]
        data = json.dumps({"form": 1, "pack": "p", "made_at": 0, "prompts": rows, "signature": None}).encode()
        with pytest.raises(BadPrompt):
            await unpack(room, data, Wanted(unsigned=True), "me")
        with pytest.raises(HomefireError):
            room.source("a")

    with_room(tmp_path, work)


class Words:
    """Counts words."""

    async def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


LONG = "\n".join(
    [
        "Rules:",
        *(f"- rule number {n} of the house" for n in range(20)),
        "",
        "Never write more than asked for.  ",
        "",
        "",
        "",
        "Never write more than asked for.",
    ]
)


def test_compression_names_what_went() -> None:
    found = asyncio.run(compress(LONG, Words(), "hard"))
    assert "(… 10 more)" in found.text and found.text.count("Never write") == 1
    assert {(each.what, each.line) for each, _ in found.dropped} == {("items", 10), ("repeat", 27)}
    # Every word is in the shorter text or in the report, but for the line that says how many went.
    gone = sum(tokens for _, tokens in found.dropped)
    assert found.before == len(LONG.split()) and found.before - found.after == gone - 3
    code = "```\nsame line of code here, long enough\nsame line of code here, long enough\n\n\n\n```"
    assert shortened(code, "hard") == (code, [])
    assert asyncio.run(compress("short", Words(), "hard")).text == "short"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab -\n*`x", max_size=300), st.sampled_from(["light", "usual", "hard"]))
def test_compression_is_deterministic_and_settles(text: str, level: Any) -> None:
    once = shortened(text, level)[0]
    assert shortened(text, level)[0] == once and len(once) <= len(text) + 20 * text.count("\n")
    assert shortened(once, "light")[0] == once
    if level == "light":
        assert once.split() == text.split()


def test_over_http(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        at = f"{AT}/prompts"
        listed = (await house.call("GET", at)).json()["prompts"]
        assert {each["name"] for each in listed} >= {"homefire.critic"} and all(each["version"] == 0 for each in listed)
        body = {"text": '+++\n[variables.n]\ntype = "integer"\n+++\nGive {{ n }}.', "why": "a try", "on": 0}
        assert (await house.call("PUT", f"{at}/mine", body)).json() == {"name": "mine", "version": 1}
        assert (await house.call("PUT", f"{at}/mine", body)).code == "prompt_conflict"
        values = {"values": {"n": "3"}, "words": True}
        assert (await house.call("POST", f"{at}/mine/render", values)).json()["text"] == "Give 3."
        assert (await house.call("POST", f"{at}/mine/render", {"values": {"n": "x"}})).code == "bad_prompt"
        await house.call("PUT", f"{at}/mine", {"text": "Give nothing."})
        assert "-+++" in (await house.call("GET", f"{at}/mine/diff")).json()["lines"]
        assert (await house.call("POST", f"{at}/mine/rollback", {})).json()["version"] == 1
        packed = (await house.call("POST", f"{at}/pack", {"pack": "p", "names": ["mine"]})).json()
        data = {"data": json.dumps(packed["pack"])}
        assert (await house.call("POST", f"{at}/unpack", data)).code == "pack_refused"
        assert (await house.call("POST", f"{at}/unpack", {**data, "trust": True})).json()["same"] == ["mine"]
        assert (await house.call("DELETE", f"{at}/mine")).status == 204
        assert (await house.call("GET", f"{at}/mine")).code == "unknown_prompt"
        assert (await house.call("PUT", f"{at}/homefire.answer.pilot", {"text": "x"})).code == "prompt_bound"
        assert (await house.call("PUT", f"{at}/pack", {"text": "x"})).code == "method_not_allowed"

    at_home(tmp_path, work)
