"""Keys: scopes, ownership, limits, expiry, rotation, revocation, the audit log.

Promises: every route of the table is tried with every scope; every route with a conversation in its path is tried by a second
key; what a revoked or expired key has under way ends; each limit is reached and passed.
Does not cover: sockets (`tests/contract/test_door.py`), a real daemon's audit over its restart (`tests/process`).
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest

from homefire.errors import InvalidRequest, KeyNeeded, MissingScope, RateLimited
from homefire.server.app import route_table
from homefire.server.authority import FINDS, digest
from homefire.server.door import OPEN
from homefire.server.limiter import Limiter, Window
from homefire.server.scopes import NOBODY, PAGE, RIGHTS, SCOPES, Limits, Principal, read_scopes, right_of
from homefire.store.database import connect
from tests.null.rig import AT, Headers, House, at_home
from tests.null.scripted_runs import scripted

# Changes that admin alone may make, and that the audit log gets from elsewhere than the table: the row itself.
WRITES_ITS_OWN = {f"POST {AT}/keys", f"POST {AT}/keys/{{name}}/rotate", f"DELETE {AT}/keys/{{name}}"}
LONG = {"messages": [{"role": "user", "content": "word " * 2000}], "max_tokens": 2000, "stream": True}
ASK = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}


async def make(house: House, name: str = "other", **fields: Any) -> Headers:
    """A key's header."""
    made = await house.call("POST", f"{AT}/keys", {"name": name, **fields})
    assert made.status == 201, made.body
    return [("authorization", f"Bearer {made.json()['key']}")]


async def page(house: House) -> Headers:
    """The header of a page that logged in."""
    token = await house.authority.login(house.authority.make_code()[0])
    return [("cookie", f"{house.authority.cookie}={token}"), ("origin", "http://127.0.0.1:7373")]


# ------------------------------------------------------------------------------------------------------- the table


def test_every_route_stands_in_the_table_of_rights_and_the_other_way_round(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        rooms: Any = SimpleNamespace(
            servers=None, own=None, boundary=None, stored=None
        )  # none of their handlers is called
        rows = route_table(replace(house.rooms, mcp=rooms))
        assert {f"{row.method} {row.path}" for row in rows} == set(RIGHTS)
        for row in rows:
            assert row.right.needs, f"{row.method} {row.path} needs nothing"
            assert set(row.right.needs) <= set(SCOPES)
            if (
                row.right.needs == ("admin",)
                and row.method != "GET"
                and f"{row.method} {row.path}" not in WRITES_ITS_OWN
            ):
                assert row.right.audit, f"{row.method} {row.path} leaves nothing in the audit log"

    at_home(tmp_path, work, agents=scripted([]))


def test_a_route_that_nobody_entered_needs_admin() -> None:
    right = right_of("POST", "/homefire/v1/new")
    for scope in set(SCOPES) - {"admin"}:
        with pytest.raises(MissingScope):
            Principal("key", "k", frozenset({scope})).require(right.needs)
    with pytest.raises(KeyNeeded):
        Principal("session", "page", PAGE).require(right.needs)
    with pytest.raises(KeyNeeded):
        NOBODY.require(right.needs)
    Principal("key", "k", frozenset({"admin"})).require(right.needs)


# What reads a collection with a model needs the scope of both, and no key here has two.
ASKS_A_MODEL_TOO = {"/homefire/v1/read"}


def test_every_route_with_every_scope(tmp_path: Path) -> None:
    """What the table says is what happens: a key of one scope is refused with 403 where it lacks it, and never elsewhere."""

    async def work(house: House) -> None:
        keys = {scope: await make(house, scope, scopes=[scope]) for scope in SCOPES}
        login = await page(house)
        refused = 0
        for row in route_table(house.rooms):
            path = re.sub(r"{\w+(:path)?}", "x", row.path)
            if (row.method, path) in OPEN or row.answer == "text/event-stream" or path.endswith("/revoke"):
                continue
            for scope, header in keys.items():
                reply = await house.call(row.method, path, {} if row.method != "GET" else None, header)
                allowed = scope == "admin" or (scope in row.right.needs and path not in ASKS_A_MODEL_TOO)
                assert (reply.status == 403) == (not allowed), (row.method, path, scope, reply.body)
                if not allowed:
                    refused += 1
                    assert b"missing_scope" in reply.body
            if path.endswith("/logout"):
                continue
            reply = await house.call(row.method, path, {} if row.method != "GET" else None, login, key=False)
            assert (reply.status == 403) == (row.right.needs == ("admin",)), (row.method, path, reply.body)
        assert refused > 200

    at_home(tmp_path, work)


def test_scopes_are_read_strictly() -> None:
    assert read_scopes(["models", "chat", "chat"]) == ("chat", "models")
    for bad in ([], ["everything"], ["Chat"], ["chat", ""]):
        with pytest.raises(InvalidRequest):
            read_scopes(bad)


def test_a_key_cannot_give_itself_scopes(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        mine = await make(house)
        for headers in ([("x-homefire-scopes", "admin")], [("x-scopes", "admin")]):
            assert (await house.call("GET", f"{AT}/keys", None, [*mine, *headers])).code == "missing_scope"
        assert (await house.call("GET", f"{AT}/keys?scopes=admin", None, mine)).code == "missing_scope"
        changes: list[dict[str, Any]] = [
            {"scopes": []},
            {"scopes": ["root"]},
            {"scopes": "admin"},
            {"expires_in": 0},
            {"concurrent": -1},
        ]
        for change in changes:
            made = await house.call("POST", f"{AT}/keys", {"name": "x", **change})
            assert made.code == "invalid_request", change

    at_home(tmp_path, work)


# ------------------------------------------------------------------------------------------------------- ownership


def test_every_conversation_route_is_404_for_a_second_key(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        first, second, admin = await make(house, "a"), await make(house, "b"), await make(house, "c", scopes=["admin"])
        begun = await house.call("POST", f"{AT}/conversations", {"title": "mine"}, first)
        asked = await house.call(
            "POST", f"{AT}/conversations/{begun.json()['id']}/messages", {"content": "hello"}, first
        )
        answer = asked.last("done")["id"]
        tried = 0
        for row in route_table(house.rooms):
            if "/conversations/{id}" not in row.path:
                continue
            path = row.path.replace("{id}", begun.json()["id"]).replace("{message_id}", answer)
            body = {"content": "hello"} if path.endswith("/messages") else None if row.method == "GET" else {}
            reply = await house.call(row.method, path, body, second)
            assert (reply.status, reply.code) == (404, "unknown_conversation"), (row.method, path, reply.body)
            tried += 1
        assert tried >= 6
        one = f"{AT}/conversations/{begun.json()['id']}"
        for see_all in (admin, await page(house), None):
            found = await house.call("GET", one, None, see_all, key=see_all is None)
            assert found.json()["title"] == "mine"
        assert (await house.call("GET", f"{AT}/conversations", None, second)).json()["conversations"] == []
        assert (await house.call("GET", f"{AT}/conversations?q=hello", None, second)).json()["conversations"] == []
        assert len((await house.call("GET", f"{AT}/conversations?q=hello", None, first)).json()["conversations"]) == 1
        # Deleted by its owner, it cannot be brought back by another; its owner can.
        assert (await house.call("DELETE", one, None, first)).status == 204
        assert (await house.call("POST", f"{one}/restore", {}, second)).status == 404
        assert (await house.call("POST", f"{one}/restore", {}, first)).json()["title"] == "mine"

    at_home(tmp_path, work)


def test_a_new_key_of_an_old_name_sees_nothing_of_it(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        old = await make(house, "laptop")
        await house.call("POST", f"{AT}/conversations", {"title": "old"}, old)
        turned = await house.call("POST", f"{AT}/keys/laptop/rotate", {})
        rotated = [("authorization", f"Bearer {turned.json()['key']}")]
        assert len((await house.call("GET", f"{AT}/conversations", None, rotated)).json()["conversations"]) == 1
        await house.call("DELETE", f"{AT}/keys/laptop")
        new = await make(house, "laptop")
        assert (await house.call("GET", f"{AT}/conversations", None, new)).json()["conversations"] == []

    at_home(tmp_path, work)


# ------------------------------------------------------------------------------------- the end of a key, under way too


@pytest.mark.parametrize("how", ["revoked", "expired", "rotated without grace"])
def test_a_stream_ends_with_its_key(tmp_path: Path, how: str) -> None:
    async def work(house: House) -> None:
        mine = await make(house, "mine", **({"expires_in": 0.6} if how == "expired" else {}))
        stays = await make(house, "stays")
        begun = [house.start("POST", "/v1/chat/completions", LONG, header) for header in (mine, stays)]
        for call in begun:
            await call.until(b"data: ")
        waits = house.start("POST", f"{AT}/conversations", [b"{"], mine, open_body=True)
        if how == "revoked":
            await house.call("DELETE", f"{AT}/keys/mine")
        elif how == "rotated without grace":
            await house.call("POST", f"{AT}/keys/mine/rotate", {"grace_seconds": 0})
        await begun[0].task_done()
        assert not begun[0].complete, "it must not look like an answer that came to its end"
        assert (await waits.reply()).code == "bad_key"
        assert not begun[1].ended, "another key's goes on"
        after = await house.call("GET", "/v1/models", None, mine)
        assert after.code == "bad_key"
        assert ("has expired" in after.body.decode()) == (how != "revoked")
        begun[1].leave()
        await begun[1].task_done()
        assert house.authority.open_work.count("key:mine") == 0

    at_home(tmp_path, work, delay=0.01)


def test_the_whole_hash_is_compared(tmp_path: Path) -> None:
    """Of two secrets whose hashes begin alike, one opens."""

    async def work(house: House) -> None:
        mine = await make(house, "mine")
        found = digest(mine[0][1].split()[1])
        entry = house.authority._found[found[:FINDS]]
        house.authority._found[found[:FINDS]] = replace(entry, hash=found[:-1] + bytes([found[-1] ^ 1]))
        assert (await house.call("GET", "/v1/models", None, mine)).code == "bad_key"
        house.authority._found[found[:FINDS]] = entry
        assert (await house.call("GET", "/v1/models", None, mine)).status == 200

    at_home(tmp_path, work)


def test_rotation_leaves_two_live_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(house: House) -> None:
        old = await make(house, "turning")
        news = []
        for _ in range(2):
            turned = await house.call("POST", f"{AT}/keys/turning/rotate", {"grace_seconds": 60})
            news.append([("authorization", f"Bearer {turned.json()['key']}")])
        assert (await house.call("GET", "/v1/models", None, old)).code == "bad_key", "two live, not three"
        assert [(await house.call("GET", "/v1/models", None, each)).status for each in news] == [200, 200]
        later = time.time() + 61
        monkeypatch.setattr("homefire.server.authority.time.time", lambda: later)
        assert (await house.call("GET", "/v1/models", None, news[0])).code == "bad_key"
        assert (await house.call("GET", "/v1/models", None, news[1])).status == 200
        assert (await house.call("POST", f"{AT}/keys/local/rotate", {})).code == "invalid_request"
        assert (await house.call("POST", f"{AT}/keys/nobody/rotate", {})).code == "unknown_key"

    at_home(tmp_path, work)


def test_what_a_key_may_do_outlives_the_daemon(tmp_path: Path) -> None:
    made: dict[str, Any] = {}

    async def before(house: House) -> None:
        made["key"] = await make(house, "kept", scopes=["models"], expires_in=3600, requests_per_minute=2)
        made["gone"] = await make(house, "gone")
        await house.call("DELETE", f"{AT}/keys/gone")

    async def after(house: House) -> None:
        assert (await house.call("GET", f"{AT}/catalogue", None, made["key"])).status == 200
        assert (await house.call("POST", "/v1/chat/completions", ASK, made["key"])).code == "missing_scope"
        assert (await house.call("GET", f"{AT}/catalogue", None, made["key"])).code == "rate_limited"
        assert (await house.call("GET", "/v1/models", None, made["gone"])).code == "bad_key"
        shown = {key["name"]: key for key in (await house.call("GET", f"{AT}/keys")).json()["keys"]}
        assert shown["kept"]["scopes"] == ["models"]
        assert shown["kept"]["limits"] == {"requests_per_minute": 2, "tokens_per_minute": 0, "concurrent": 0}
        assert 3500 < shown["kept"]["expires_at"] - time.time() <= 3600
        assert shown["local"]["scopes"] == ["admin"]

    at_home(tmp_path, before)
    at_home(tmp_path, after)


# ---------------------------------------------------------------------------------------------------------- limits


def test_no_window_of_sixty_seconds_holds_more_than_the_limit() -> None:
    import random

    dice = random.Random(6)
    now = 100.0
    limiter = Limiter(lambda: now)
    passed: list[float] = []
    refused = 0
    for _ in range(5000):
        now += dice.choice([0.0, 0.01, 0.5, 3.0])
        try:
            limiter.enter("key:a", Limits(requests=20))
        except RateLimited as problem:
            refused += 1
            assert 1 <= problem.retry_after <= 61
        else:
            limiter.leave("key:a")
            passed.append(now)
    assert refused > 100
    assert all(sum(one <= each < one + 60 for each in passed) <= 20 for one in passed)


def test_who_waits_as_long_as_told_is_let_in() -> None:
    now = 7.3
    limiter = Limiter(lambda: now)
    for _ in range(3):
        limiter.enter("key:a", Limits(requests=3))
    with pytest.raises(RateLimited) as told:
        limiter.enter("key:a", Limits(requests=3))
    now += told.value.retry_after
    limiter.enter("key:a", Limits(requests=3))
    window = Window()
    for second in range(200):
        window.add(float(second), 5)
        window.forget(float(second))
    assert window.total <= 5 * 62


def test_tokens_and_requests_at_one_time() -> None:
    now = 0.0
    limiter = Limiter(lambda: now)
    limits = Limits(tokens=100, concurrent=2)
    limiter.enter("k", limits)
    limiter.enter("k", limits)
    with pytest.raises(RateLimited, match="at one time"):
        limiter.enter("k", limits)
    limiter.leave("k")
    limiter.spent("k", 150)
    with pytest.raises(RateLimited, match="tokens"):
        limiter.enter("k", limits)
    limiter.enter("other", limits)
    now += 61.0
    limiter.enter("k", limits)
    assert limiter.left("k", limits) == {"tokens": (100, 100)}


@pytest.mark.parametrize("stream", [False, True])
def test_the_tokens_of_answers_count(tmp_path: Path, stream: bool) -> None:
    async def work(house: House) -> None:
        mine = await make(house, "mine", tokens_per_minute=5)
        first = await house.call("POST", "/v1/chat/completions", {**LONG, "max_tokens": 8, "stream": stream}, mine)
        assert first.status == 200
        assert first.headers["x-ratelimit-limit-tokens"] == "5"
        second = await house.call("POST", "/v1/chat/completions", ASK, mine)
        assert (second.status, second.code) == (429, "rate_limited")
        assert 1 <= int(second.headers["retry-after"]) <= 61

    at_home(tmp_path, work)


def test_an_answer_that_was_left_counts_what_was_read_of_it(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        mine = await make(house, "mine", tokens_per_minute=3)
        call = house.start("POST", "/v1/chat/completions", LONG, mine)
        await call.until_count(b"data: ", 6)
        call.leave()
        await call.task_done()
        assert (await house.call("POST", "/v1/chat/completions", ASK, mine)).code == "rate_limited"

    at_home(tmp_path, work, delay=0.005)


def test_requests_at_one_time_over_http(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        mine = await make(house, "mine", concurrent=1)
        call = house.start("POST", "/v1/chat/completions", LONG, mine)
        await call.until(b"data: ")
        assert (await house.call("GET", "/v1/models", None, mine)).code == "rate_limited"
        assert (await house.call("GET", "/v1/models")).status == 200, "another's limit"
        call.leave()
        await call.task_done()
        assert (await house.call("GET", "/v1/models", None, mine)).status == 200

    at_home(tmp_path, work, delay=0.01)


# ------------------------------------------------------------------------------------------------------- the audit log


def test_the_audit_log_keeps_what_happened_and_no_secret(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        mine = await make(house, "mine", scopes=["chat", "models"])
        secrets = [mine[0][1].split()[1], house.key]
        turned = await house.call("POST", f"{AT}/keys/mine/rotate", {})
        secrets.append(turned.json()["key"])
        begun = await house.conversation(title="x")
        await house.call("DELETE", f"{AT}/conversations/{begun}")
        far = {"name": "far", "url": "https://far.example", "key": "far-secret-key"}
        assert (await house.call("POST", f"{AT}/engines", far)).status == 201
        await house.call("POST", f"{AT}/engines/far/grant")
        await house.call("DELETE", f"{AT}/keys/mine")
        for _ in range(3):
            await house.call("GET", "/v1/models", None, mine)
        assert (await house.call("DELETE", f"{AT}/models/nothing")).status == 404
        entries = (await house.call("GET", f"{AT}/audit")).json()["entries"]
        told = [(entry["who"], entry["what"], entry["about"]) for entry in reversed(entries)]
        assert told == [
            ("daemon", "key made", "local"),
            ("key:local", "key made", "mine"),
            ("key:local", "key rotated", "mine"),
            ("key:local", "conversation deleted", begun),
            ("key:local", "engine added", "far"),
            ("key:local", "engine granted", "far"),
            ("key:local", "key revoked", "mine"),
            ("daemon", "refused", ""),
        ]
        assert entries[0]["detail"] == {"bad_key": 3}
        text = (await house.call("GET", f"{AT}/audit")).body.decode()
        assert not any(secret in text for secret in [*secrets, "far-secret-key"])
        assert len((await house.call("GET", f"{AT}/audit?limit=2&before=4")).json()["entries"]) == 2

    at_home(tmp_path, work)
    connection = connect(tmp_path / "homefire.db")
    for change in ("UPDATE audit SET who = 'nobody'", "DELETE FROM audit"):
        with pytest.raises(apsw.ConstraintError, match="only added to"):
            connection.execute(change)


def test_many_refusals_are_one_entry(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for _ in range(200):
            await house.call("GET", "/v1/models", key=False)
        await house.authority.flush()
        rows = await house.authority.audit.rows()
        assert [(row.what, row.detail) for row in rows if row.what == "refused"] == [("refused", {"missing_key": 200})]
        for number in range(100):
            house.authority.refused("bad_key", f"192.0.2.{number}")
        house.authority.refused("bad_key", "127.0.0.1")
        await house.authority.flush()
        told = (await house.authority.audit.rows())[0].detail
        assert told["bad_key from 192.0.2.7"] == 1
        assert len(told) <= 41
        assert sum(told.values()) == 101

    at_home(tmp_path, work)


def test_keys_turned_off_open_what_the_page_opens_and_no_more(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        house.authority.off = True
        admin = 0
        for row in route_table(house.rooms):
            path = re.sub(r"{\w+(:path)?}", "x", row.path)
            if (row.method, path) in OPEN or row.answer == "text/event-stream":
                continue
            body: dict[str, Any] | None = {} if row.method != "GET" else None
            reply = await house.call(row.method, path, body, key=False)
            needs_key = row.right.needs == ("admin",)
            admin += needs_key
            assert (reply.status == 403) == needs_key, (row.method, path, reply.body)
            assert reply.status != 401
            evil = await house.call(row.method, path, body, [("origin", "http://evil.example")], key=False)
            assert b"origin_refused" in evil.body or b"may not use" in evil.body, (row.method, path)
        assert admin >= 10
        assert (await house.call("GET", "/v1/models", None, [("authorization", "Bearer x")])).code == "bad_key"

    at_home(tmp_path, work)
