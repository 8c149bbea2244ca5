"""The application's door and its small routes: guard, keys, login, limits, description.

Promises: every route of the table is shut without a key but the open ones; a request from another site gets nowhere; a body
has limits of size and time; everything refused is one envelope.
Does not cover: answers that stream (`test_streams.py`); uvicorn, which takes headers off the wire (`tests/process`).
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from homefire.server import request
from homefire.server.app import route_table
from homefire.server.door import OPEN, SECURITY_HEADERS
from tests.null.rig import AT, HOST, Headers, House, Reply, at_home

MODELS = f"{AT}/models"


def fetched(home: Path, method: str, target: str, headers: Headers, key: bool = True) -> Reply:
    return at_home(home, lambda house: house.call(method, target, None, headers, key=key))


GUARD: list[tuple[str, Headers, int, str]] = [
    ("plain", [("host", HOST)], 200, ""),
    ("localhost", [("host", "localhost:7373")], 200, ""),
    ("capitals", [("host", "LocalHost:7373")], 200, ""),
    ("ipv6", [("host", "[::1]:7373")], 200, ""),
    ("no port", [("host", "127.0.0.1")], 403, "host_refused"),
    ("other port", [("host", "127.0.0.1:80")], 403, "host_refused"),
    ("rebound name", [("host", "evil.example:7373")], 403, "host_refused"),
    ("suffix", [("host", "127.0.0.1:7373.evil.example")], 403, "host_refused"),
    ("user part", [("host", "127.0.0.1:7373@evil.example")], 403, "host_refused"),
    ("trailing dot", [("host", "localhost.:7373")], 403, "host_refused"),
    ("all addresses", [("host", "0.0.0.0:7373")], 403, "host_refused"),
    ("empty host", [("host", "")], 403, "host_refused"),
    ("two hosts", [("host", HOST), ("host", HOST)], 403, "host_refused"),
    ("good host then bad", [("host", HOST), ("host", "evil.example")], 403, "host_refused"),
    ("own origin", [("origin", f"http://{HOST}")], 200, ""),
    ("own origin, localhost", [("origin", "http://localhost:7373")], 200, ""),
    ("https origin", [("origin", f"https://{HOST}")], 403, "origin_refused"),
    ("other origin", [("origin", "http://evil.example")], 403, "origin_refused"),
    ("other port's origin", [("origin", "http://127.0.0.1:8000")], 403, "origin_refused"),
    ("null origin", [("origin", "null")], 403, "origin_refused"),
    ("empty origin", [("origin", "")], 403, "origin_refused"),
    ("origin suffix", [("origin", f"http://{HOST}.evil.example")], 403, "origin_refused"),
    ("two origins", [("origin", f"http://{HOST}"), ("origin", "http://evil.example")], 403, "host_refused"),
    (
        "origin of a foreign host",
        [("host", "evil.example:7373"), ("origin", "http://evil.example:7373")],
        403,
        "host_refused",
    ),
    ("same-origin", [("sec-fetch-site", "same-origin")], 200, ""),
    ("typed address", [("sec-fetch-site", "none")], 200, ""),
    ("cross-site", [("sec-fetch-site", "cross-site")], 403, "origin_refused"),
    ("same-site", [("sec-fetch-site", "same-site")], 403, "origin_refused"),
    ("future word", [("sec-fetch-site", "elsewhere")], 403, "origin_refused"),
    ("link to a route", [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], 403, "origin_refused"),
    ("two sites", [("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")], 403, "host_refused"),
    ("cross-site, own origin", [("sec-fetch-site", "same-site"), ("origin", f"http://{HOST}")], 200, ""),
]


def test_the_guard(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for name, headers, status, code in GUARD:
            for target in (MODELS, "/healthz"):  # the guard stands before open routes too
                reply = await house.call("GET", target, None, headers)
                assert reply.status == status, name
                assert status == 200 or reply.code == code, name
        no_host = await house.call("GET", "/healthz", None, [("host", "evil.example"), ("sec-fetch-mode", "navigate")])
        assert no_host.code == "host_refused"
        # A link from another site opens the page, and nothing but the page.
        link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]
        opened = await house.call("GET", "/", None, link, key=False)
        assert opened.status == 200 or opened.code == "page_missing"
        assert (await house.call("POST", "/", None, link)).code == "origin_refused"
        assert (await house.call("GET", "/", None, [("sec-fetch-site", "cross-site")])).code == "origin_refused"
        twice = [("authorization", f"Bearer {house.key}"), ("authorization", f"Bearer {house.key}")]
        assert (await house.call("GET", MODELS, None, twice)).code == "host_refused"

    at_home(tmp_path, work)


UNKNOWN = ["/v2/models", "/homefire", f"{AT}/", f"{AT}/keys/", "//v1/models", "/assets/../homefire/v1/keys", "/.env",
           "/%2e%2e/keys", "/v1/rerank/a", "/HEALTHZ", "/healthz/"]  # fmt: skip


def test_shut_by_default(tmp_path: Path) -> None:
    """Every route and what is no route, without a key and with wrong ones."""

    async def work(house: House) -> None:
        rows = [(row.method, row.path) for row in route_table(house.rooms)]
        shut = [row for row in rows if row not in OPEN]
        forms = {row.path for row in route_table(house.rooms) if row.errors is not None}
        assert len(rows) - len(shut) == 2, "health and login are open"
        plain = [(method, re.sub(r":\w+}", "}", path)) for method, path in shut]
        targets = [(method, path.format(id="c0", name="x", model="x", message_id="m0")) for method, path in plain]
        targets += [
            (method, path) for method in ("GET", "POST", "DELETE") for path in UNKNOWN if "/assets/" not in path
        ]
        targets += [("OPTIONS", MODELS), ("TRACE", "/"), ("POST", "/"), ("PUT", "/healthz"), ("GET", f"{AT}/login")]
        wrong: list[Headers] = [
            [("authorization", "Bearer homefire-wrong")],
            [("authorization", "Bearer ")],
            [("authorization", house.key)],
            [("authorization", f"Basic {house.key}")],
            [("x-api-key", "homefire-wrong")],
            [("x-api-key", "homefire-wrong"), ("authorization", f"Bearer {house.key}")],
            [("x-api-key", house.key), ("authorization", "Bearer homefire-wrong")],
            [("cookie", "homefire_7373=wrong")],
            [("cookie", f"homefire_7373={house.key}")],
        ]
        for method, target in targets:
            reply = await house.call(method, target, None, key=False)
            assert reply.status == 401, (method, target)
            # Routes of other dialects speak of errors in their own form; the code is in all of them.
            assert b'"missing_key"' in reply.body if target in forms else reply.code == "missing_key", (method, target)
            assert reply.headers["www-authenticate"] == "Bearer"
        for headers in wrong:
            reply = await house.call("GET", MODELS, None, headers, key=False)
            assert (reply.status, reply.code) == (401, "bad_key"), headers
        assert (
            await house.call("GET", MODELS, None, [("cookie", "other=1; homefire_1=x")], key=False)
        ).code == "missing_key"
        for method, target in [*OPEN]:
            assert (await house.call(method, target, {"code": "x"}, key=False)).status in (200, 401)
        good: list[Headers] = [
            [("x-api-key", house.key)],
            [("x-api-key", house.key), ("authorization", f"Bearer {house.key}")],
        ]
        for headers in good:
            assert (await house.call("GET", MODELS, None, headers, key=False)).status == 200
        both = await house.call("GET", MODELS, None, [("x-api-key", house.key), ("x-api-key", house.key)], key=False)
        assert both.code == "host_refused"
        assert await house.call("GET", "/healthz", key=False) == await house.call("GET", "/healthz")
        for path in UNKNOWN:
            reply = await house.call("GET", path, key="/assets/" not in path)
            assert (reply.status, reply.code) == (404, "unknown_route"), path

    at_home(tmp_path, work)


def test_every_answer_carries_the_security_headers(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for target, status in (("/healthz", 200), (MODELS, 200), ("/nowhere", 404), ("/docs", 200)):
            reply = await house.call("GET", target)
            assert reply.status == status
            for name, value in SECURITY_HEADERS:
                assert reply.headers[name.decode()] == value.decode()
        assert "access-control-allow-origin" not in reply.headers

    at_home(tmp_path, work)


def test_login_cookie_and_csrf(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        link = (await house.call("POST", f"{AT}/links")).json()
        address, _, code = link["url"].partition("/#login=")
        assert address == f"http://{HOST}"
        assert (await house.call("POST", f"{AT}/login", {"code": code + "x"}, key=False)).code == "bad_login_code"
        done = await house.call("POST", f"{AT}/login", {"code": code}, key=False)
        assert done.status == 204
        cookie, *attributes = done.headers["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
        again = await house.call("POST", f"{AT}/login", {"code": code}, key=False)
        assert (again.status, again.code) == (401, "bad_login_code")

        async def with_cookie(method: str, target: str, *more: tuple[str, str], body: object = None) -> Reply:
            return await house.call(method, target, body, [("cookie", f"a=b; {cookie}"), *more], key=False)

        own = ("origin", f"http://{HOST}")
        assert (await with_cookie("GET", MODELS)).status == 200
        assert (await with_cookie("POST", f"{AT}/conversations", body={})).code == "origin_refused"
        assert (await with_cookie("DELETE", f"{AT}/conversations/c0")).code == "origin_refused"
        assert (await with_cookie("POST", f"{AT}/conversations", own, body={})).status == 201
        assert (
            await with_cookie("POST", f"{AT}/conversations", ("sec-fetch-site", "same-origin"), body={})
        ).status == 201
        assert (await with_cookie("POST", f"{AT}/conversations", ("sec-fetch-site", "none"), body={})).status == 403
        # A wrong key beside a good cookie is not overlooked.
        assert (await with_cookie("GET", MODELS, ("authorization", "Bearer homefire-wrong"))).code == "bad_key"
        for method, target, body in (
            ("POST", f"{AT}/keys", {"name": "n"}),
            ("DELETE", f"{AT}/keys/local", None),
            ("POST", f"{AT}/links", {}),
            ("POST", f"{MODELS}/import", {"path": "/x.gguf"}),
        ):
            assert (await with_cookie(method, target, own, body=body)).code == "key_needed", target
        assert (await with_cookie("POST", f"{AT}/logout", own)).status == 204
        assert (await with_cookie("GET", MODELS)).code == "bad_key"

    at_home(tmp_path, work)


def test_login_codes_expire_and_sessions_outlive_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def first(house: House) -> str:
        code, _ = house.authority.make_code()
        token = await house.authority.login(code)
        old, _ = house.authority.make_code()
        monkeypatch.setattr("homefire.server.authority.CODE_SECONDS", -1.0)
        late, _ = house.authority.make_code()
        assert (await house.call("POST", f"{AT}/login", {"code": late}, key=False)).code == "bad_login_code"
        assert (await house.call("POST", f"{AT}/login", {"code": old}, key=False)).status == 204
        return token

    async def second(house: House) -> None:
        headers = [("cookie", f"homefire_7373={token}")]
        assert (await house.call("GET", MODELS, None, headers, key=False)).status == 200
        monkeypatch.setattr("homefire.server.authority.time.time", lambda: 1e12)
        assert (await house.call("GET", MODELS, None, headers, key=False)).code == "bad_key"

    token = at_home(tmp_path / "one", first)
    stored = (tmp_path / "one" / "homefire.db").read_bytes()
    assert token.encode() not in stored, "only hashes are stored"
    at_home(tmp_path / "one", second)


def test_keys(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        made = await house.call("POST", f"{AT}/keys", {"name": "my phone"})
        assert made.status == 201 and made.json()["key"].startswith("homefire-")
        assert (await house.call("POST", f"{AT}/keys", {"name": "my phone"})).code == "key_exists"
        header = [("authorization", f"bearer {made.json()['key']}")]
        assert (await house.call("GET", MODELS, None, header)).status == 200
        listed = (await house.call("GET", f"{AT}/keys")).json()["keys"]
        assert {row["name"] for row in listed} == {"local", "my phone"}
        assert made.json()["key"] not in json.dumps(listed)
        assert all(row["last_used_at"] for row in listed)
        assert (await house.call("DELETE", f"{AT}/keys/my%20phone")).status == 204
        assert (await house.call("GET", MODELS, None, header)).code == "bad_key"
        assert (await house.call("DELETE", f"{AT}/keys/my%20phone")).code == "unknown_key"
        for name in ("", " x", "a/b", "..", "x" * 65, "a\nb"):
            assert (await house.call("POST", f"{AT}/keys", {"name": name})).code == "invalid_request", name

    at_home(tmp_path, work)


def test_the_local_key_is_made_anew_when_it_is_revoked(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        file = house.home / "keys"
        assert file.stat().st_mode & 0o777 == 0o600
        old = json.loads(file.read_text())["local"]
        assert (await house.call("DELETE", f"{AT}/keys/local")).status == 204
        new = json.loads(file.read_text())["local"]
        assert (await house.call("GET", MODELS, None, [("authorization", f"Bearer {old}")])).code == "bad_key"
        assert (await house.call("GET", MODELS, None, [("authorization", f"Bearer {new}")])).status == 200

    at_home(tmp_path, work)


def test_limits_of_the_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "BODY_IDLE_SECONDS", 0.05)

    async def work(house: House) -> None:
        chat = "/v1/chat/completions"
        for target in (chat, f"{AT}/conversations"):
            for body in ([b" " * 1001], [b" " * 500, b" " * 501]):
                refused = await house.call("POST", target, body)
                assert (refused.status, refused.code) == (413, "body_too_large")
            told = await house.call("POST", target, [b""], [("content-length", "1001")])
            assert told.status == 413
            slow = await house.start("POST", target, [b'{"'], open_body=True).reply()
            assert (slow.status, slow.code) == (408, "request_timeout")
            # Who leaves before the body is there leaves nothing behind.
            gone = house.start("POST", target, [b'{"'], open_body=True)
            gone.leave()
            assert (await gone.reply()).status == 0
        whole = json.dumps({"title": "x" * 100}).encode()
        padded = [whole[:20], whole[20:], b" " * (1000 - len(whole))]
        assert (await house.call("POST", f"{AT}/conversations", padded)).status == 201

    at_home(tmp_path, work, body_limit=1000)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b'{"title": "\\ud800"}', "invalid_json"),
        (b'{"sampling": ' + b"[" * 100_000, "invalid_request"),
        (b"[]", "invalid_request"),
        (b'{"colour": 1}', "invalid_request"),
        (b'{"title": 5}', "invalid_request"),
        (json.dumps({"title": "x" * 201}).encode(), "invalid_request"),
        (b'{"model": "none"}', "unknown_model"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_wrong_bodies(body: bytes, code: str, tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert (await house.call("POST", f"{AT}/conversations", body)).code == code

    at_home(tmp_path, work)


def test_methods_and_query(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        refused = await house.call("PUT", f"{AT}/conversations", {})
        assert (refused.status, refused.code) == (405, "method_not_allowed")
        assert "GET, POST" in refused.json()["error"]["next_step"]
        # RFC 9110: a 405 says which methods there are (found by schemathesis).
        assert refused.headers["allow"] == "GET, POST"
        assert (await house.call("POST", "/")).headers["allow"] == "GET"
        for query in ("limit=0", "limit=201", "limit=x", "limit=nan", "before=-1", "before=inf", "colour=1"):
            assert (await house.call("GET", f"{AT}/conversations?{query}")).code == "invalid_request", query
        for query in ("limit=1", "limit=200&before=5", "q=%22%00*", "q=a&q=b", ""):
            assert (await house.call("GET", f"{AT}/conversations?{query}")).status == 200, query

    at_home(tmp_path, work)


def test_the_description_says_what_answers_look_like(tmp_path: Path) -> None:
    """What schemathesis found: routes whose errors, status or need of a key were described wrongly."""

    async def work(house: House) -> None:
        described = (await house.call("GET", "/openapi.json")).json()["paths"]
        for method, path, body in (
            ("POST", "/api/chat", {"model": "none", "messages": []}),
            ("POST", "/v1/messages", {"model": "none"}),
            ("POST", "/v1/chat/completions", {"model": "none"}),
        ):
            answer = await house.call(method, path, body)
            assert answer.status >= 400
            default = described[path][method.lower()]["responses"]["default"]["content"]["application/json"]["schema"]
            if "$ref" in default:
                assert answer.code
                continue
            kinds = {"object": dict, "string": str}
            for name, schema in default["properties"].items():
                assert isinstance(answer.json()[name], kinds[schema["type"]]), (path, name)
        emptied = await house.call("DELETE", f"{AT}/kept")
        assert str(emptied.status) in described[f"{AT}/kept"]["delete"]["responses"]
        without = {
            (method.upper(), path)
            for path, item in described.items()
            for method, operation in item.items()
            if operation.get("security") == []
        }
        assert without == {("GET", "/healthz"), ("POST", f"{AT}/login")}

    at_home(tmp_path, work)


def test_the_description_has_every_route(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        described = (await house.call("GET", "/openapi.json")).json()
        page = (await house.call("GET", "/docs")).body.decode()
        rows = [replace(row, path=re.sub(r":\w+}", "}", row.path)) for row in route_table(house.rooms)]
        names = {(method.upper(), path) for path, item in described["paths"].items() for method in item}
        assert names == {(row.method, row.path) for row in rows}
        schemas = described["components"]["schemas"]
        for row in rows:
            operation = described["paths"][row.path][row.method.lower()]
            assert operation["summary"] == row.summary
            assert set(operation["responses"]) == {str(row.status), "default"}
            assert [p["name"] for p in operation.get("parameters", [])] == [
                part[1:-1] for part in row.path.split("/") if part.startswith("{")
            ]
            assert f"{row.method} {html.escape(row.path)}" in page
            if row.body is None:
                assert "requestBody" not in operation
                continue
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            schema = schemas[reference.removeprefix("#/components/schemas/")]
            assert set(schema["properties"]) == set(row.body.__struct_fields__)
            assert all(f"<code>{name}</code>" in page for name in schema["properties"])
        ids = [operation["operationId"] for item in described["paths"].values() for operation in item.values()]
        assert len(set(ids)) == len(ids)
        text = json.dumps(described)
        references = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
        assert references <= set(schemas)
        assert "<script" not in page

    at_home(tmp_path, work)
