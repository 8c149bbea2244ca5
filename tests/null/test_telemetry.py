"""Telemetry: off by default, a record a day when it is on, nothing but the listed fields, and sent only when told where.

Promises: days are made by a clock in hand; the far side is a real server on loopback.
Does not cover: that the whole daemon opens nothing (`tests/process/test_telemetry.py`).
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from homefire.errors import AddressRefused, DiskFull, SourceUnreachable
from homefire.paths import Paths
from homefire.server import build_app
from homefire.telemetry import FIELDS, MOST_QUEUED, Facts, Telemetry, record, require_sendable
from tests.null.rig import AT, House, at_home

DOCS = Path(__file__).parents[2] / "docs" / "diagnostics.md"
DAY = 86_400.0
NOON = 1_764_504_000.0  # 2025-11-30 12:00 UTC
FACTS = Facts(
    "0.1.0",
    "Linux 6.18-secret-host",
    6,
    24 << 30,
    (("llama", 6_295_808), ("qwen3moe", 30_000_000_000), ("my-own-thing", 8_000_000_000)),
    {"/v1/chat/completions": 1234, "/homefire/v1/models/{name}": 7, "page": 2, "refused": 1},
    {"unknown_model": 16, "made_up_by_a_client": 3},
)


class Rig:
    """Telemetry on a home, with facts and a clock that a test moves."""

    def __init__(self, home: Path) -> None:
        self.paths = Paths(home)
        self.paths.prepare()
        self.now = NOON
        self.facts = replace(FACTS, requests={}, errors={})
        self.asked = 0
        self.telemetry = self.again()

    def again(self) -> Telemetry:
        def look() -> Facts:
            self.asked += 1
            return self.facts

        self.telemetry = Telemetry(self.paths, look, lambda: self.now)
        self.telemetry.open()
        return self.telemetry

    def chats(self, times: int) -> None:
        self.facts = replace(self.facts, requests={"/v1/chat/completions": times})

    @property
    def queued(self) -> list[dict[str, Any]]:
        return [json.loads(row["text"]) for row in self.telemetry.view()["queued"]]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "home")


def test_a_record_has_the_listed_fields_and_no_other() -> None:
    found = json.loads(record(FACTS, "2025-11-30", "0" * 32))
    assert list(found) == list(FIELDS)
    assert found == {
        "schema": 1,
        "id": "0" * 32,
        "day": "2025-11-30",
        "version": "0.1.0",
        "system": "linux",
        "cores": "5-8",
        "memory_gib": "16-31",
        "models": {"llama <1B": 1, "other 4-9B": 1, "qwen 20-80B": 1},
        "requests": {"chat": 1000, "models": 7, "other": 3},
        "errors": {"unknown_model": 20},
    }


def test_the_page_lists_the_same_fields() -> None:
    section = DOCS.read_text("utf-8").split("## Telemetry", 1)[1].split("\n## ", 1)[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)) == dict(FIELDS)


@pytest.mark.parametrize(
    ("cores", "memory", "expected"),
    [(1, 4, ("1-2", "<8")), (2, 8, ("1-2", "8-15")), (3, 16, ("3-4", "16-31")), (16, 63, ("9-16", "32-63")),
     (17, 64, ("17+", "64+")), (999, 9999, ("17+", "64+"))],
)  # fmt: skip
def test_classes(cores: int, memory: int, expected: tuple[str, str]) -> None:
    found = json.loads(record(replace(FACTS, cores=cores, memory_bytes=memory << 30), "2025-11-30", ""))
    assert (found["cores"], found["memory_gib"]) == expected


def test_off_is_the_default_and_writes_nothing(rig: Rig) -> None:
    rig.chats(5)
    for _ in range(3):
        rig.now += DAY
        rig.telemetry.tick()
    assert rig.asked == 0, "it does not even look"
    assert not (rig.paths.home / "telemetry").exists()
    found = rig.telemetry.view()
    assert (found["on"], found["queued"]) == (False, [])
    assert json.loads(found["now"])["id"] == "0" * 32


def test_a_day_a_record(rig: Rig) -> None:
    rig.chats(9)  # before anybody agreed: never counted
    rig.telemetry.turn(on=True)
    rig.chats(12)
    rig.telemetry.tick()
    assert rig.queued == []
    rig.chats(14)
    rig.now += DAY
    rig.telemetry.tick()
    rig.chats(15)
    rig.now += DAY
    rig.telemetry.tick()
    first, second = rig.queued
    assert (first["day"], first["requests"]) == ("2025-11-30", {"chat": 5})
    assert (second["day"], second["requests"]) == ("2025-12-01", {"chat": 1})
    assert first["id"] != second["id"], "a new month"
    rig.now += DAY
    rig.telemetry.tick()
    assert rig.queued[2]["id"] == second["id"], "the same month"
    assert rig.queued[2]["requests"] == {}
    assert (rig.paths.telemetry_queue / "2025-11-30.json").stat().st_mode & 0o077 == 0


def test_counts_outlive_the_daemon(rig: Rig) -> None:
    rig.telemetry.turn(on=True)
    rig.chats(3)
    rig.telemetry.tick()
    rig.chats(0)
    rig.again()
    rig.chats(2)
    rig.now += DAY
    rig.telemetry.tick()
    assert rig.queued[0]["requests"] == {"chat": 5}


def test_off_deletes_what_waits(rig: Rig) -> None:
    rig.telemetry.turn(on=True)
    rig.now += DAY
    rig.telemetry.tick()
    assert len(rig.queued) == 1
    rig.telemetry.turn(on=False)
    assert [path for path in (rig.paths.home / "telemetry").rglob("*") if path.is_file()] == []
    assert rig.again().view()["on"] is False


def test_only_so_many_wait(rig: Rig) -> None:
    rig.telemetry.turn(on=True)
    for _ in range(MOST_QUEUED + 3):
        rig.now += DAY
        rig.telemetry.tick()
    assert len(rig.queued) == MOST_QUEUED
    assert rig.queued[0]["day"] == "2025-12-03"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"on": true}', '{"on": 1, "day": "2025-01-01"}', '{"on": true, "day": "x"}',
                                  '{"on": true, "day": "2025-01-01", "requests": 5}', "\xff"])  # fmt: skip
def test_a_state_that_cannot_be_read_is_off(rig: Rig, text: str) -> None:
    rig.telemetry.turn(on=True)
    rig.paths.telemetry_state.write_text(text, "latin-1")
    assert rig.again().view()["on"] is False


def test_a_disk_that_is_full(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("homefire.telemetry.os.open", full)
    with pytest.raises(DiskFull):
        rig.telemetry.turn(on=True)


@pytest.mark.parametrize("address", ["", "x", "ftp://a/b", "http://example.org/", "http://127.0.0.1.example.org/", "https://",
                                     "https://me:secret@example.org/", "https://example.org:x/", "file:///etc",
                                     "https://a b/"])  # fmt: skip
def test_addresses_that_are_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        require_sendable(address)


@pytest.mark.parametrize(
    "address", ["https://example.org/x?y=1", "http://127.0.0.1:9/x", "http://[::1]:9/", "http://localhost/"]
)
def test_addresses_that_are_taken(address: str) -> None:
    require_sendable(address)


class Collector(BaseHTTPRequestHandler):
    """Takes records, or answers as it is told."""

    got: ClassVar[list[bytes]] = []
    answers: ClassVar[list[int]] = []

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        """Keeps the body."""
        self.got.append(self.rfile.read(int(self.headers["content-length"])))
        status = self.answers.pop(0) if self.answers else 200
        self.send_response(status)
        self.send_header("content-length", "0")
        if status == 302:
            self.send_header("location", "/elsewhere")
        self.end_headers()


@contextmanager
def collector(*answers: int) -> Iterator[str]:
    Collector.got.clear()
    Collector.answers[:] = answers
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/records"
    finally:
        server.shutdown()
        server.server_close()


def with_three(rig: Rig) -> list[bytes]:
    rig.telemetry.turn(on=True)
    for _ in range(3):
        rig.now += DAY
        rig.telemetry.tick()
    return [row["text"].encode() for row in rig.telemetry.view()["queued"]]


def test_what_is_sent_is_what_is_shown_and_what_was_taken_goes(rig: Rig) -> None:
    shown = with_three(rig)
    with collector() as address:
        found = asyncio.run(rig.telemetry.send(address))
    assert found == {"sent": ["2025-11-30", "2025-12-01", "2025-12-02"], "to": address}
    assert Collector.got == shown
    assert rig.queued == []


@pytest.mark.parametrize("answer", [302, 400, 500])
def test_what_is_not_taken_stays(rig: Rig, answer: int) -> None:
    shown = with_three(rig)
    with collector(200, answer) as address, pytest.raises(SourceUnreachable, match=f"answered {answer}. 1 were taken"):
        asyncio.run(rig.telemetry.send(address))
    assert Collector.got == shown[:2], "a redirect is not followed"
    assert [row["day"] for row in rig.queued] == ["2025-12-01", "2025-12-02"]
    with pytest.raises(SourceUnreachable, match="does not answer"):
        asyncio.run(rig.telemetry.send(address))


def test_routes(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert (await house.call("GET", f"{AT}/telemetry")).code == "unknown_route"
        own = Rig(tmp_path / "other")
        house.app = build_app(replace(house.rooms, telemetry=own.telemetry))
        assert (await house.call("GET", f"{AT}/telemetry", key=False)).status == 401
        found = (await house.call("GET", f"{AT}/telemetry")).json()
        assert (found["on"], found["fields"]) == (False, dict(FIELDS))
        assert (await house.call("PUT", f"{AT}/telemetry", {"on": True})).json()["on"] is True
        assert (await house.call("PUT", f"{AT}/telemetry", {"on": "yes"})).code == "invalid_request"
        reply = await house.call("POST", f"{AT}/telemetry/send", {"to": "http://example.org"})
        assert reply.code == "address_refused"
        with collector() as address:
            reply = await house.call("POST", f"{AT}/telemetry/send", {"to": address})
            assert reply.json() == {"sent": [], "to": address}
        assert (await house.call("PUT", f"{AT}/telemetry", {"on": False})).json()["on"] is False

    at_home(tmp_path, work)
