"""The tools that ship: sums, units, days, files against links and floods, the web against redirects, programs without walls.

Promises: what each gives, in the form that the pilot is trained on, and each way in which it fails.
Does not cover: programs that run (`tests/process/test_agent_programs.py`), grants (`test_runs.py`).
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
from collections.abc import Awaitable, Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from homefire.agent.tool import Context, Tool
from homefire.agent.tools import schema_of, shipped_text
from homefire.agent.tools.calculate import BadExpression, shown, work_out
from homefire.agent.tools.clock import read_date
from homefire.agent.tools.files import FileProblem, opened_folder, read_bytes, write_bytes
from homefire.agent.tools.plain import shipped_names
from homefire.agent.tools.units import UnknownUnit, convert
from homefire.agent.tools.web import BadAnswer, Web, text_of, web_tools
from homefire.errors import AddressRefused, SandboxUnavailable
from homefire.safety.taint import label
from tests.null.agent_rig import KEY, Rig
from tests.null.looped import looped

ROOT = Path(__file__).parents[2]


def made(folder: Path) -> tuple[dict[str, Tool], Context]:
    """All tools, and a context in a folder."""
    own = folder / "own"
    own.mkdir()
    return Rig(folder / "home").tools, Context(KEY, "r1", "c1", own, label("person"))


def test_the_tools_are_those_of_the_fixture(tmp_path: Path) -> None:
    assert (ROOT / "fixtures" / "tools.json").read_text("utf-8") == shipped_text()
    tools, _ = made(tmp_path)
    assert set(tools) == set(shipped_names()) - {"remember", "recall", "forget"}
    for name, tool in tools.items():
        assert dict(tool.spec.parameters) == schema_of(name)["parameters"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("17 % of 2,340", 397.8), ("0.17 * 2340", 397.8), ("2.5 % of 80", 2), ("200 + 10%", 220), ("200 - 10 %", 180),
        ("1/8", 0.125), ("0.1 + 0.2", 0.3), ("1/3", 0.333333333333333), ("2^10", 1024), ("-2^2", -4), ("2^-1", 0.5),
        ("(3 + 4) * 2", 14), ("7 % 3", 1), ("7 mod 3", 1), ("7 // 2", 3), ("5!", 120), ("sqrt(16)", 4), ("√9", 3),
        ("2 × 3 ÷ 4", 1.5), ("1,234,567 + 1", 1234568), ("1.5e3", 1500), ("10 - 3 - 2", 5), ("2^3^2", 512), ("3 = ", 3),
        ("round(2.5)", 3), ("50%", 0.5), ("20 * 5 %", 1), ("(1-1)*5", 0), ("9999 * 9999 * 9999", 999700029999), ("1^99999999", 1),
        ("sqrt(2)", 1.4142135623731), ("4^0.5", 2), ("19 % of 19 % of 100", 3.61),
    ],
)  # fmt: skip
def test_sums(text: str, value: float) -> None:
    assert shown(work_out(text)) == pytest.approx(value, rel=1e-13, abs=0)


@pytest.mark.parametrize(
    "text",
    ["", "1/0", "5 %% 0 0", "2 +", "(1", "1)", "x + 1", "__import__('os')", "9^9^9^9", "9**99999", "1001!", "sqrt(-1)", "1 2",
     "log(0)", "(" * 500 + "1", "-" * 500 + "1", "√" * 500 + "1", "1e9999 * 1e9999 * 1e9999", "7 % 0",
     "2^" * 500 + "2", "sqrt(" * 500 + "1", "1" * 3000, "10^^2", "1,23"],
)  # fmt: skip
def test_sums_that_are_none_end_in_words(text: str) -> None:
    with pytest.raises(BadExpression):
        work_out(text)


def test_units() -> None:
    for value, source, target, wanted in (
        (5, "miles", "km", 8.04672), (100, "celsius", "fahrenheit", 212), (-40, "F", "C", -40), (0, "kelvin", "celsius", -273.15),
        (1, "GB", "MB", 1000), (1, "GiB", "MiB", 1024), (8, "Mb", "MB", 1), (90, "km/h", "m/s", 25),
        (1, "Pounds", "grams", 453.59237),
        (2, "cups", "ml", 473.176473), (3, "weeks", "days", 21), (1, "knot", "km/h", 1.852),
    ):  # fmt: skip
        assert float(convert(Fraction(str(value)), source, target)) == pytest.approx(wanted)
    for source, target in (("parsnips", "km"), ("km", "kg"), ("celsius", "km")):
        with pytest.raises(UnknownUnit):
            convert(Fraction(1), source, target)


@looped
async def test_days_units_and_the_clock_as_the_pilot_reads_them(tmp_path: Path) -> None:
    tools, here = made(tmp_path)
    for text in ("2026-01-30", "30 January 2026", "January 30, 2026", "30.1.2026"):
        assert (await tools["add_days"].run({"date": text, "days": 30}, here)).data == '{"date": "2026-03-01"}'
    for wrong in ({"date": "2026-02-30", "days": 1}, {"date": "soon", "days": 1}, {"date": "2026-01-01", "days": 0.5},
                  {"date": "2026-01-01", "days": 1e9}):  # fmt: skip
        assert (await tools["add_days"].run(wrong, here)).status == "error"
    today = datetime.date(2026, 12, 1)
    assert read_date("tomorrow", today) == datetime.date(2026, 12, 2)
    now = json.loads((await tools["current_time"].run({}, here)).data)
    assert now["date"].count("-") == 2
    assert (
        await tools["convert_units"].run({"value": 3, "from": "km", "to": "m"}, here)
    ).data == '{"value": 3000, "unit": "m"}'
    assert (await tools["calculate"].run({"expression": "17 % of 2,340"}, here)).data == '{"result": 397.8}'
    assert (await tools["start_process"].run({"name": "x", "steps": 3}, here)).code == "not_available"
    assert (await tools["search_knowledge"].run({"query": "x"}, here)).code == "not_available"
    for name, arguments in (("run_code", {"code": "1"}), ("run_shell", {"command": "true"})):
        with pytest.raises(SandboxUnavailable):
            await tools[name].run(arguments, here)


@looped
async def test_files(tmp_path: Path) -> None:
    tools, here = made(tmp_path)
    own = Path(os.path.realpath(here.folder))

    async def do(name: str, **arguments: Any) -> Any:
        return await tools[name].run(arguments, here)

    assert (await do("list_files", folder=str(own))).status == "empty"
    assert (await do("write_file", path=str(own / "a/b.txt"), text="Hello wide\nworld")).status == "ok"
    assert (await do("write_file", path=str(own / "a/b.txt"), text="Hello wide\nworld")).status == "ok"  # done again
    assert (await do("read_file", path=str(own / "a/b.txt"))).data == "Hello wide\nworld"
    assert json.loads((await do("list_files", folder=str(own))).data) == ["a/"]
    assert [each.name for each in (own / "a").iterdir()] == ["b.txt"]
    found = json.loads((await do("search_files", query="WORLD hello", folder=str(own))).data)
    assert found["matches"] == ["a/b.txt"]
    assert (await do("search_files", query="nothing", folder=str(own))).status == "empty"
    (own / "raw").write_bytes(b"\0\1\2")
    assert (await do("read_file", path=str(own / "raw"))).data == b"\0\1\2"
    (own / "none").write_text("")
    assert (await do("read_file", path=str(own / "none"))).status == "empty"
    os.mkfifo(own / "pipe")
    for path, code in (
        ("missing", "not_found"),
        ("a", "not_a_file"),
        ("pipe", "not_a_file"),
        ("a/b.txt/c", "not_a_folder"),
    ):
        assert (await do("read_file", path=str(own / path))).code == code, path
    for name in (".git/hooks/pre-commit", ".envrc", "x/.VSCODE/tasks.json"):
        assert (await do("write_file", path=str(own / name), text="x")).code == "path_protected"
    assert not (own / ".git").exists()
    assert (await do("write_file", path=str(own / "a"), text="x")).code == "not_a_file"


def test_a_path_that_becomes_a_link_after_the_verdict_is_not_followed(tmp_path: Path) -> None:
    top = Path(os.path.realpath(tmp_path))
    secret, own = top / "secret", top / "own"
    secret.mkdir()
    (secret / "file").write_text("secret")
    own.mkdir()
    (own / "folder").symlink_to(secret)
    (own / "link").symlink_to(secret / "file")
    acts: list[Callable[[], object]] = [
        lambda: read_bytes(own / "folder" / "file"), lambda: read_bytes(own / "link"),
        lambda: write_bytes(own / "folder" / "file", b"x", "m"), lambda: write_bytes(own / "link", b"x", "m"),
    ]  # fmt: skip
    for act in acts:
        with pytest.raises(FileProblem) as problem:
            act()
        assert problem.value.code in ("path_changed", "not_a_folder", "not_a_file")
    with pytest.raises(FileProblem), opened_folder(own / "folder"):
        pass
    assert (secret / "file").read_text() == "secret"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(os.path.realpath(tmp_path)) / "a"
    write_bytes(path, b"old", "m")
    path.chmod(0o600)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(Exception, match="full"):
            write_bytes(path, b"new", "m")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    write_bytes(path, b"new", "m")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)


PAGE = (
    b"<html><title>T</title><script>evil()</script><p>Hello <b>there</b></p><a href='https://b.org/x'>more</a></html>"
)
ANSWERS = {
    "/page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE,
    "/chunks": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nHello\r\n4;x\r\n you\r\n0\r\n\r\n",
    "/here": b"HTTP/1.1 302 Found\r\nLocation: /page\r\n\r\n",
    "/away": b"HTTP/1.1 302 Found\r\nLocation: http://other.org/page\r\n\r\n",
    "/inside": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/admin\r\n\r\n",
    "/round": b"HTTP/1.1 302 Found\r\nLocation: /round\r\n\r\n",
    "/huge": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    "/bad": b"220 mail ready\r\n\r\n",
    "/gone": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "/find?q=a%20b": b'HTTP/1.1 200 OK\r\n\r\n{"results": [{"title": "A", "url": "http://a.org", "content": "b"}]}',
}  # fmt: skip


async def on_loopback(
    work: Callable[[Web, list[str]], Awaitable[None]], addresses: tuple[str, ...] = ("93.184.216.34",)
) -> None:
    """A server of ANSWERS; names lead to `addresses`, and dialling any of them leads to it."""
    dialled: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWERS[head.split(b" ")[1].decode()])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def resolve(host: str, _: int) -> list[str]:
        return list(addresses)

    async def dial(address: str, _: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        dialled.append(address)
        return await asyncio.open_connection("127.0.0.1", port)

    async with server:
        await work(Web(resolve, dial), dialled)


@looped
async def test_the_web_is_asked_and_its_redirects_are_judged(tmp_path: Path) -> None:
    async def work(web: Web, dialled: list[str]) -> None:
        search, fetch = web_tools(web, "http://find.org/find?q={query}")
        _, here = made(tmp_path)
        got = {}
        for name in ("page", "chunks", "here", "away", "round", "huge", "bad", "gone"):
            came = await fetch.run({"url": f"http://a.org/{name}"}, here)
            got[name] = came.code or came.data
        assert got == {
            "page": "T\nHello there\nmore (https://b.org/x)", "chunks": "Hello you", "here": got["page"],
            "away": "moved",
            "round": "web_failed", "huge": "web_failed", "bad": "web_failed", "gone": "http_error",
        }  # fmt: skip
        with pytest.raises(AddressRefused):
            await fetch.run({"url": "http://a.org/inside"}, here)
        hits = json.loads((await search.run({"query": "a b"}, here)).data)
        assert hits == [{"title": "A", "url": "http://a.org", "text": "b"}]
        assert set(dialled) == {"93.184.216.34"}
        assert (fetch.spec.gives, search.spec.leads_out) == (label("web"), True)

    await on_loopback(work)


@looped
async def test_a_name_that_leads_inside_is_not_dialled() -> None:
    async def work(web: Web, dialled: list[str]) -> None:
        with pytest.raises(AddressRefused):
            await web.get("http://a.org/page")
        assert dialled == []

    await on_loopback(work, ("93.184.216.34", "127.0.0.1"))


def test_words_of_pages() -> None:
    assert text_of("<p>a &amp; b<p>c<style>x</style>") == "a & b\nc"
    assert issubclass(BadAnswer, ValueError)
