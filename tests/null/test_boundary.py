"""What may come out: arguments, grants, pins, paths, addresses, approvals, taint, and the critic of plans.

Promises: each way past the boundary that is named here is closed, and its honest neighbour is open; each refusal has its own
code.
Does not cover: hundreds of injections (`test_injections.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import AddressRefused, BadTool, EngineDied
from homefire.prompts import own_text
from homefire.safety.addresses import matches, read_url
from homefire.safety.boundary import Boundary, Proposal, ToolSpec, Verdict
from homefire.safety.critic import Critic, Plan, Step
from homefire.safety.schema import Misfit, canonical, read_arguments
from homefire.safety.taint import SOURCES, WORST, Label, joined, label
from homefire.store import GrantRow, Safety, Store

critic_role = partial(own_text, "homefire.critic")

TEXT = {"type": "string", "maxLength": 1000}
WRITE = ToolSpec(
    "write",
    "Write.",
    {"type": "object", "properties": {"path": TEXT, "text": TEXT}, "required": ["path"]},
    "write",
    paths=("path",),
)
FETCH = ToolSpec(
    "fetch", "Get.", {"type": "object", "properties": {"url": TEXT}, "required": ["url"]}, "read", addresses=("url",)
)
SEND = ToolSpec(
    "send",
    "Send.",
    {"type": "object", "properties": {"to": {"type": "array", "items": TEXT}, "body": TEXT}},
    "send",
    recipients=("to",),
)
PAY = ToolSpec("pay", "Pay.", {"type": "object", "properties": {"sum": {"type": "integer", "minimum": 1}}}, "spend")
PERSON, WEB = label("person"), label("web")


class Bench:
    """A boundary on a real store, with a clock of its own."""

    def __init__(self, folder: Path, stored: Safety) -> None:
        self.now = 1000.0
        self.folder = folder / "run"
        self.outside = folder / "shared"
        self.secret = folder / "home"
        for each in (self.folder, self.outside, self.secret):
            each.mkdir()
        self.stored = stored
        self.boundary = Boundary(
            (WRITE, FETCH, SEND, PAY), stored, (self.secret,), now=lambda: self.now, approval_seconds=60
        )

    async def open(self) -> None:
        await self.boundary.open()
        await self.boundary.grant(
            GrantRow("k", "write", WRITE.pin, roots=(str(self.outside), str(self.secret)), largest=300)
        )
        await self.boundary.grant(GrantRow("k", "fetch", FETCH.pin, hosts=("example.org", "*.wiki.org")))
        await self.boundary.grant(GrantRow("k", "send", SEND.pin, recipients=("Anna@example.org",)))
        await self.boundary.grant(GrantRow("k", "pay", PAY.pin))

    async def decide(
        self, tool: str, arguments: Any, context: Label = PERSON, key: str = "k", run: str = "r"
    ) -> Verdict:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        return await self.boundary.decide(Proposal(key, run, tool, text, context, self.folder))


def on(folder: Path, work: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Store(folder / "homefire.db")
        store.open()
        try:
            bench = Bench(folder, Safety(store))
            await bench.open()
            await work(bench)
        finally:
            store.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"path": 1}',
        '{"path": "a", "path": "b"}',
        '{"path": "a", "more": 1}',
        "{}",
        '{"path": "a"} x',
        '{"path": NaN}',
        '{"path": "\\ud800"}',
        '{"path": "a", "text": null}',
        '{"path": true}',
        "[" * 50,
        '{"path":"' + "x" * 300_000 + '"}',
        '{"path": "' + "x" * 1001 + '"}',
        "```json\n{}\n```",
        "{'path': 'a'}",
        '{"path": "a",}',
        '{"path": ["a"]}',
    ],
)
def test_arguments_are_not_repaired(text: str) -> None:
    with pytest.raises(Misfit):
        read_arguments(text, WRITE.parameters)


def test_arguments_that_fit() -> None:
    assert read_arguments('{"path": "a", "text": "ü"}', WRITE.parameters) == {"path": "a", "text": "ü"}
    assert canonical({"b": 1, "a": [1.5, "x"]}) == canonical({"a": [1.5, "x"], "b": 1}) == '{"a":[1.5,"x"],"b":1}'


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "any"},
        {"type": "object", "additionalProperties": True},
        {"type": "object", "anyOf": []},
        {"type": "string", "pattern": "a+"},
        {"type": "object", "properties": {"a": {"type": "string", "format": "uri"}}},
        {"type": "object", "required": ["x"]},
        {"type": "array"},
    ],
)
def test_a_schema_that_is_not_enforced_whole_is_no_schema(schema: dict[str, Any]) -> None:
    with pytest.raises(BadTool):
        ToolSpec("t", "", schema, "read")


def test_grants(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        assert (await bench.decide("nothing", {})).code == "unknown_tool"
        assert (await bench.decide("write", {"path": "a"}, key="other")).code == "not_granted"
        assert (await bench.decide("write", {"path": "a", "text": "x" * 300})).code == "too_large"
        done = await bench.decide("write", {"path": "a.txt", "text": "ü"})
        assert (done.outcome, done.arguments) == ("allow", {"path": str(bench.folder.resolve() / "a.txt"), "text": "ü"})
        await bench.boundary.revoke("k", "write")
        assert (await bench.decide("write", {"path": "a"})).code == "not_granted"
        fresh = Boundary((WRITE,), bench.stored)
        await fresh.open()
        assert (
            await fresh.decide(Proposal("k", "r", "write", '{"path": "a"}', PERSON, bench.folder))
        ).code == "not_granted"

    on(tmp_path, work)


@pytest.mark.parametrize(
    "change",
    [
        {"description": "Write!"},
        {"parameters": {**WRITE.parameters, "description": "x"}},
        {"maker": "sha256:1"},
        {"risk": "read"},
        {"private": True},
        {"way_out": True},
        {"paths": ()},
        {"source": "web"},
    ],
)
def test_a_tool_that_changed_in_anything_is_off(tmp_path: Path, change: dict[str, Any]) -> None:
    async def work(bench: Bench) -> None:
        bench.boundary.declare(replace(WRITE, **change))
        assert (await bench.decide("write", {"path": "a"})).code == "tool_changed"
        with pytest.raises(BadTool):
            await bench.boundary.grant(GrantRow("k", "write", WRITE.pin))
        bench.boundary.declare(WRITE)
        assert (await bench.decide("write", {"path": "a"})).outcome == "allow"

    on(tmp_path, work)


def test_paths(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        (bench.folder / "link").symlink_to(tmp_path)
        (bench.folder / "dangling").symlink_to(tmp_path / "not-yet")
        for path, code in {
            "../x": "path_outside",
            "/etc/passwd": "path_outside",
            "link/x": "path_outside",
            "dangling": "path_outside",
            "link/shared/../x": "path_outside",
            "": "bad_path",
            "~/x": "bad_path",
            "a\0b": "bad_path",
            "a\\..\\b": "bad_path",
            "a\nb": "bad_path",
            "a\u202eb": "bad_path",
            "../home/policy.toml": "path_protected",
            "link/home/x": "path_protected",
            "../shared": "granted",
            "../shared/x": "granted",
            "./a/../b": "granted",
        }.items():
            assert (await bench.decide("write", {"path": path})).code == code, path

    on(tmp_path, work)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1%25eth0]/",
        "http://[fc00::1]/",
        "http://[fec0::1]/",
        "http://[ff02::1]/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/",
        "http://100.64.0.1/",
        "http://192.0.0.1/",
        "http://198.18.0.1/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://localhost/",
        "http://LOCALHOST/",
        "http://localhost./",
        "http://a.localhost/",
        "http://printer.local/",
        "http://router/",
        "http://x.internal/",
        "http://metadata/",
        "http://example.org./",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://user@example.org/",
        "http://example.org@evil.example/",
        "http://example.org\\@evil.example/",
        "http://example.org%00.evil.example/",
        "http://exa mple.org/",
        "http://example..org/",
        "http://-a.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//example.org/",
        "http:///x",
        "http://",
        "http://ex\u0430mple.org/",
        "http://example.org\u3002evil.example/",
        "http://\uff45xample.org/",
        "http://example.org/\n",
        "http://example.org:80:80/",
        "http://[::1/",
        "http://[93.184.215.14]/",
        "http://1.2.3/",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(AddressRefused):
        read_url(url)


def test_addresses_are_used_as_they_were_read(tmp_path: Path) -> None:
    assert read_url("HTTPS://example.org:443/a?b#c".replace("HTTPS", "https")).url == "https://example.org/a?b"
    assert read_url("http://[2606:4700::1111]:8080").url == "http://[2606:4700::1111]:8080/"
    assert (
        matches("a.wiki.org", "*.wiki.org")
        and not matches("wiki.org", "*.wiki.org")
        and not matches("evilwiki.org", "*.wiki.org")
    )

    async def work(bench: Bench) -> None:
        done = await bench.decide("fetch", {"url": "http://EXAMPLE.org/x#y"}, WEB)
        assert (done.outcome, done.arguments["url"]) == ("allow", "http://example.org/x")
        assert (await bench.decide("fetch", {"url": "https://de.wiki.org/"})).outcome == "allow"
        assert (await bench.decide("fetch", {"url": "https://example.org.evil.com/"})).code == "host_not_granted"
        assert (await bench.decide("fetch", {"url": "http://169.254.169.254/"})).code == "address_refused"

    on(tmp_path, work)


def test_what_taint_demands(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        anna, ben = (
            {"to": ["anna@example.org"], "body": "x"},
            {"to": ["anna@example.org", "ben@example.org"], "body": "x"},
        )
        private = label("file", private=True)
        for tool, arguments, context, outcome, code in (
            ("send", anna, PERSON, "allow", "granted"),
            ("send", ben, PERSON, "ask", "new_recipient"),
            ("send", anna, WEB, "ask", "tainted"),
            ("send", anna, private, "refuse", "private_way_out"),
            ("send", anna, label("person", private=True), "allow", "granted"),
            ("fetch", {"url": "https://example.org/"}, private, "refuse", "private_way_out"),
            ("fetch", {"url": "https://example.org/"}, WEB, "allow", "granted"),
            ("write", {"path": "../shared/x"}, WEB, "ask", "tainted"),
            ("write", {"path": "x"}, private, "allow", "granted"),
            ("pay", {"sum": 1}, PERSON, "ask", "risk"),
        ):
            found = await bench.decide(tool, arguments, context)
            assert (found.outcome, found.code) == (outcome, code), (tool, context)
        order = ["allow", "ask", "refuse"]
        for tool, arguments in (
            ("send", anna),
            ("fetch", {"url": "https://example.org/"}),
            ("write", {"path": "../shared/x"}),
            ("pay", {"sum": 1}),
        ):
            clean = (await bench.decide(tool, arguments, PERSON)).outcome
            for source in SOURCES:
                for secret in (False, True):
                    dirty = Label(frozenset({source}), secret)
                    assert order.index((await bench.decide(tool, arguments, dirty)).outcome) >= order.index(clean), (
                        "taint raised something"
                    )

    on(tmp_path, work)


def test_labels() -> None:
    assert joined([PERSON, WEB]).tainted and not joined([PERSON, label("system")]).tainted
    assert PERSON.through("memory") == PERSON and WEB.through("memory").sources == {"web", "memory"}
    for each in (PERSON, WEB, label("file", private=True), joined([WEB, label("tool")]).through("model")):
        assert Label.of_text(each.to_text()) == each
    for broken in ("", "trusted", "person  web", "private", "PERSON", None, 3, "person,web", "person web\n", "person;"):
        assert Label.of_text(broken) == WORST, broken


def test_approvals_are_bound_single_and_end(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        effect = {"to": ["ben@example.org"], "body": "10 euros"}
        asked = await bench.decide("send", effect)
        assert json.loads(asked.shown) == {"tool": "send", "arguments": effect} and asked.shown.isascii()
        assert (await bench.decide("send", effect)).approval == asked.approval, "the same question is asked once"
        assert not await bench.stored.decide("nothing", True, bench.now)
        assert await bench.stored.decide(asked.approval, True, bench.now)
        for other in (
            {**effect, "body": "100 euros"},
            {**effect, "to": ["ben@example.org", "eve@example.org"]},
            {**effect, "body": "10 euros "},
        ):
            assert (await bench.decide("send", other)).outcome == "ask"
        assert (await bench.decide("send", effect, run="r2")).outcome == "ask"
        used = await bench.decide("send", {"body": "10 euros", "to": ["ben@example.org"]})
        assert (used.outcome, used.code) == ("allow", "approved"), "the order of names does not matter"
        assert (await bench.decide("send", effect)).outcome == "ask", "it counted once"

        again = await bench.decide("send", effect)
        assert await bench.stored.decide(again.approval, True, bench.now)
        bench.now += 61
        assert (await bench.decide("send", effect)).outcome == "ask", "its time is over"
        third = await bench.decide("send", effect)
        bench.now += 61
        assert not await bench.stored.decide(third.approval, True, bench.now), "too late to answer"

        fourth = await bench.decide("send", effect)
        await bench.stored.decide(fourth.approval, True, bench.now)
        assert await bench.stored.revoke(fourth.approval) and not await bench.stored.revoke(fourth.approval)
        assert (await bench.decide("send", effect)).outcome == "ask", "taken back"
        fifth = await bench.decide("send", effect)
        assert await bench.stored.decide(fifth.approval, False, bench.now) and not await bench.stored.decide(
            fifth.approval, True, bench.now
        )

    on(tmp_path, work)


def test_an_approval_is_used_once_by_many_at_a_time(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        asked = await bench.decide("pay", {"sum": 5})
        await bench.stored.decide(asked.approval, True, bench.now)
        found = await asyncio.gather(*(bench.decide("pay", {"sum": 5}) for _ in range(20)))
        assert [each.outcome for each in found].count("allow") == 1

    on(tmp_path, work)


def test_a_changed_tool_or_a_revoked_grant_ends_approvals(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        asked = await bench.decide("pay", {"sum": 5})
        await bench.stored.decide(asked.approval, True, bench.now)
        changed = replace(PAY, description="Pay much.")
        bench.boundary.declare(changed)
        await bench.boundary.grant(GrantRow("k", "pay", changed.pin))
        assert (await bench.decide("pay", {"sum": 5})).outcome == "ask"
        bench.boundary.declare(PAY)
        await bench.boundary.revoke("k", "pay")
        await bench.boundary.grant(GrantRow("k", "pay", PAY.pin))
        assert (await bench.decide("pay", {"sum": 5})).outcome == "ask"

    on(tmp_path, work)


def test_a_run_cannot_flood_the_person(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        codes = [(await bench.decide("pay", {"sum": number})).code for number in range(1, 41)]
        assert codes == ["risk"] * 32 + ["too_many_questions"] * 8
        assert (await bench.decide("pay", {"sum": 1}, run="other")).code == "risk"

    on(tmp_path, work)


class Says:
    """A model that answers what it is told to."""

    name = "critic-model"

    def __init__(self, answer: Callable[[str], str], seconds: float = 0.0) -> None:
        self.answer = answer
        self.seconds = seconds
        self.asked: list[str] = []

    async def __call__(self, system: str, text: str, schema: Mapping[str, Any]) -> str:
        self.asked.append(text)
        await asyncio.sleep(self.seconds)
        return self.answer(json.loads(text)["plan"])


def broken(_: str) -> str:
    raise EngineDied("It died.")


PLAN = Plan(
    "Mail the report", (Step("read", "read", {"path": "a"}), Step("send", "send", {"to": ["anna@example.org"]})), PERSON
)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (lambda plan: json.dumps({"plan": plan, "verdict": "approve", "reason": "fine"}), "approved"),
        (lambda plan: json.dumps({"plan": plan, "verdict": "reject", "reason": "no"}), "rejected"),
        (lambda plan: json.dumps({"plan": "0" * 16, "verdict": "approve", "reason": "another plan"}), "garbled"),
        (lambda plan: json.dumps({"plan": plan, "verdict": "Approve", "reason": ""}), "garbled"),
        (lambda plan: f'I approve. {{"plan": "{plan}", "verdict": "approve", "reason": ""}}', "garbled"),
        (lambda plan: f'{{"plan": "{plan}", "verdict": "reject", "verdict": "approve", "reason": ""}}', "garbled"),
        (lambda plan: json.dumps({"plan": plan, "verdict": "approve"}), "garbled"),
        (lambda plan: "", "garbled"),
        (lambda plan: "yes", "garbled"),
        (broken, "failed"),
    ],
)
def test_the_critic(tmp_path: Path, answer: Callable[[str], str], outcome: str) -> None:
    async def work(bench: Bench) -> None:
        critic = Critic(Says(answer), bench.stored, critic_role, threshold=6, now=lambda: bench.now)
        found = await critic.review(PLAN)
        assert (found.outcome, found.passed) == (outcome, outcome == "approved")
        row = (await bench.stored.verdicts())[0]
        assert (row.plan, row.outcome, row.risk, row.critic) == (PLAN.digest, outcome, 7, "critic-model")

    on(tmp_path, work)


def test_the_critic_is_asked_from_its_threshold_on_and_not_for_ever(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        says = Says(lambda plan: json.dumps({"plan": plan, "verdict": "approve", "reason": ""}))
        small = Plan("Read", (Step("read", "read", {}),), PERSON)
        assert (
            await Critic(says, bench.stored, critic_role, threshold=2).review(small)
        ).outcome == "below" and says.asked == []
        tainted = replace(small, label=WEB)
        assert (tainted.risk, tainted.digest != small.digest) == (2, True)
        assert (
            await Critic(says, bench.stored, critic_role, threshold=2).review(tainted)
        ).outcome == "approved" and says.asked[0].isascii()
        slow = Critic(Says(says.answer, 5.0), bench.stored, critic_role, threshold=1, seconds=0.01)
        assert (await slow.review(PLAN)).outcome == "failed"

    on(tmp_path, work)
