"""Who may come in: the guard in front of every route, keys, the page's login, and what every answer carries.

Promises: every route that the daemon describes is tried without a key, with a wrong one, from a wrong host and from a wrong page.
Does not cover: bodies (`test_bad_input.py`), the page in a browser (`tests/browser/`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from tests.conftest import RunningDaemon
from tests.contract import raw

TALKS = "/homefire/v1/conversations"
LOGIN = "/homefire/v1/login"
OPEN = {("GET", "/healthz"), ("POST", LOGIN)}
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


def every_route(daemon: RunningDaemon) -> list[tuple[str, str]]:
    """Every route with something in place of its parameters."""
    return [(method, re.sub(r"{\w+}", "x", path)) for method, path, _ in raw.routes(daemon)]


def log_in(daemon: RunningDaemon) -> str:
    """The page's cookie, by a fresh link."""
    reply = raw.call(daemon, "POST", LOGIN, f'{{"code": "{code_of(daemon)}"}}'.encode(), key="")
    assert reply.status == 204
    return reply.headers["set-cookie"].partition(";")[0]


def code_of(daemon: RunningDaemon) -> str:
    """The code in a fresh one-time link."""
    return daemon.link().partition("#login=")[2]


def origin(daemon: RunningDaemon) -> str:
    """The page's own origin."""
    return f"http://{raw.host(daemon)}"


# -------------------------------------------------------------------------------------------------------- the guard


def test_every_route_needs_a_key(daemon: RunningDaemon) -> None:
    found = every_route(daemon)
    assert len(found) >= 25
    for method, path in [*found, ("GET", "/v1/nothing"), ("DELETE", "/"), ("POST", "/assets/x")]:
        reply = raw.call(daemon, method, path, b"{}" if method != "GET" else None, key="")
        if (method, path) in OPEN:
            assert reply.code != "missing_key", (method, path)
        else:
            assert (reply.status, reply.code) == (401, "missing_key"), (method, path)
            assert reply.headers["www-authenticate"] == "Bearer"
            wrong = raw.call(daemon, method, path, b"{}" if method != "GET" else None, key="homefire-wrong")
            assert (wrong.status, wrong.code) == (401, "bad_key"), (method, path)


def bad_host(value: str) -> Callable[[RunningDaemon], list[str]]:
    """A Host of one's own; {host} and {port} stand for the daemon's."""

    def lines(daemon: RunningDaemon) -> list[str]:
        where = raw.host(daemon)
        return [f"Host: {value.format(host=where, port=where.rpartition(':')[2])}"]

    return lines


HOSTS: dict[str, Callable[[RunningDaemon], list[str]]] = {
    "none": lambda _: [],
    "two": lambda daemon: [f"Host: {raw.host(daemon)}", "Host: evil.example"],
    "twice the same": lambda daemon: [f"Host: {raw.host(daemon)}"] * 2,
    "evil": bad_host("evil.example"),
    "evil with the port": bad_host("evil.example:{port}"),
    "evil that begins well": bad_host("127.0.0.1.evil.example:{port}"),
    "evil in front": bad_host("evil.example@{host}"),
    "no port": bad_host("127.0.0.1"),
    "another port": bad_host("127.0.0.1:1"),
    "all interfaces": bad_host("0.0.0.0:{port}"),
    "empty": bad_host(""),
    "with a path": bad_host("{host}/x"),
}


@pytest.mark.parametrize("name", HOSTS)
def test_wrong_host(daemon: RunningDaemon, name: str) -> None:
    for method, path in [("GET", "/"), ("GET", "/healthz"), ("GET", "/v1/models"), ("POST", LOGIN)]:
        lines = [f"{method} {path} HTTP/1.1", *HOSTS[name](daemon), f"Authorization: Bearer {daemon.key}"]
        reply = raw.exchange(daemon, "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode())
        assert (reply.status, reply.code) == (403, "host_refused"), path


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_right_hosts(daemon: RunningDaemon, name: str) -> None:
    port = urlsplit(daemon.url).port
    request = f"GET /healthz HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n"
    assert raw.exchange(daemon, request.encode()).status == 200


FOREIGN: dict[str, dict[str, str]] = {
    "evil": {"Origin": "http://evil.example"},
    "null": {"Origin": "null"},
    "https": {"Origin": "https://127.0.0.1"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "a file": {"Origin": "file://"},
    "an extension": {"Origin": "chrome-extension://abcdefghijklmnop"},
    "empty": {"Origin": ""},
    "another site": {"Sec_Fetch_Site": "cross-site"},
    "the same site, another origin": {"Sec_Fetch_Site": "same-site"},
    "another site, navigating": {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_from_another_page(daemon: RunningDaemon, name: str) -> None:
    for method, path in [*every_route(daemon), ("GET", "/nothing"), ("OPTIONS", "/v1/models")]:
        reply = raw.call(daemon, method, path, b"{}" if method != "GET" else None, None, **FOREIGN[name])
        assert (reply.status, reply.code) == (403, "origin_refused"), (method, path)
        assert "access-control-allow-origin" not in reply.headers


def test_a_link_on_another_site_may_open_the_page_and_nothing_else(daemon: RunningDaemon) -> None:
    clicked = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert raw.call(daemon, "GET", "/", None, "", **clicked).code != "origin_refused"
    assert raw.call(daemon, "GET", "/healthz", None, "", **clicked).code == "origin_refused"
    framed = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}
    assert raw.call(daemon, "GET", "/", None, "", **framed).code == "origin_refused"


# ------------------------------------------------------------------------------------------------------------- keys


def test_a_key_from_its_making_to_its_end(daemon: RunningDaemon) -> None:
    made = raw.call(daemon, "POST", "/homefire/v1/keys", b'{"name": "short lived"}')
    assert made.status == 201
    secret = made.json["key"]
    assert raw.call(daemon, "GET", "/v1/models", key=secret).status == 200
    assert secret not in raw.call(daemon, "GET", "/homefire/v1/keys").body.decode()
    again = raw.call(daemon, "POST", "/homefire/v1/keys", b'{"name": "short lived"}')
    assert (again.status, again.code) == (409, "key_exists")
    assert raw.call(daemon, "DELETE", "/homefire/v1/keys/short%20lived").status == 204
    for _ in range(2):
        after = raw.call(daemon, "GET", "/v1/models", key=secret)
        assert (after.status, after.code) == (401, "bad_key")


SCHEMES = ["Basic {key}", "{key}", "Bearer", "Bearer {key}x", "Token {key}", "Bearer {key} {key}", "Bearer \xff"]


@pytest.mark.parametrize("form", SCHEMES)
def test_wrong_authorization(daemon: RunningDaemon, form: str) -> None:
    reply = raw.call(daemon, "GET", "/v1/models", None, "", Authorization=form.format(key=daemon.key))
    assert (reply.status, reply.code) == (401, "bad_key")


def test_two_keys_at_once(daemon: RunningDaemon) -> None:
    reply = raw.call(daemon, "GET", "/v1/models", None, daemon.key, authorization=f"Bearer {daemon.key}")
    assert reply.status == 403


def test_bad_key_names(daemon: RunningDaemon) -> None:
    for name in ('""', '"a/b"', '"' + "x" * 65 + '"', '" x"', '"a\\nb"', '"\\u0000"'):
        reply = raw.call(daemon, "POST", "/homefire/v1/keys", b'{"name": %s}' % name.encode())
        assert (reply.status, reply.code) == (400, "invalid_request"), name


# ------------------------------------------------------------------------------------------------------- the page


@pytest.fixture
def cookie(daemon: RunningDaemon) -> Iterator[str]:
    """A logged-in page's cookie."""
    found = log_in(daemon)
    yield found
    raw.call(daemon, "POST", "/homefire/v1/logout", None, "", Cookie=found, Origin=origin(daemon))


def test_login_works_once(daemon: RunningDaemon) -> None:
    body = f'{{"code": "{code_of(daemon)}"}}'.encode()
    first = raw.call(daemon, "POST", LOGIN, body, key="")
    assert first.status == 204
    cookie, *attributes = [part.strip() for part in first.headers["set-cookie"].split(";")]
    port = urlsplit(daemon.url).port
    assert cookie.startswith(f"homefire_{port}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    second = raw.call(daemon, "POST", LOGIN, body, key="")
    assert (second.status, second.code) == (401, "bad_login_code")
    assert "set-cookie" not in second.headers


@pytest.mark.parametrize("code", ["", "wrong", "x" * 200])
def test_wrong_login_code(daemon: RunningDaemon, code: str) -> None:
    reply = raw.call(daemon, "POST", LOGIN, f'{{"code": "{code}"}}'.encode(), key="")
    assert (reply.status, reply.code) == (401, "bad_login_code")


def test_cookie_reads_and_changes_from_its_own_page(daemon: RunningDaemon, cookie: str) -> None:
    assert raw.call(daemon, "GET", TALKS, None, "", Cookie=cookie).status == 200
    own = {"Cookie": cookie, "Origin": origin(daemon)}
    assert raw.call(daemon, "POST", TALKS, b"{}", "", **own).status == 201
    fetched = {"Cookie": cookie, "Sec_Fetch_Site": "same-origin"}
    assert raw.call(daemon, "POST", TALKS, b"{}", "", **fetched).status == 201


def test_cookie_changes_nothing_without_an_origin(daemon: RunningDaemon, cookie: str) -> None:
    for method, path in every_route(daemon):
        if method != "GET" and (method, path) not in OPEN:
            reply = raw.call(daemon, method, path, b"{}", "", Cookie=cookie)
            assert (reply.status, reply.code) == (403, "origin_refused"), (method, path)
    assert raw.call(daemon, "GET", TALKS, None, "", Cookie=cookie).status == 200, "it is logged in still"


def test_cookie_makes_no_keys_links_or_models(daemon: RunningDaemon, cookie: str) -> None:
    own = {"Cookie": cookie, "Origin": origin(daemon)}
    for method, path, body in [
        ("POST", "/homefire/v1/keys", b'{"name": "stolen"}'),
        ("DELETE", "/homefire/v1/keys/local", None),
        ("POST", "/homefire/v1/links", b"{}"),
        ("POST", "/homefire/v1/models/import", b'{"path": "/etc/passwd"}'),
    ]:
        reply = raw.call(daemon, method, path, body, "", **own)
        assert (reply.status, reply.code) == (403, "key_needed"), path
    assert "stolen" not in raw.call(daemon, "GET", "/homefire/v1/keys").body.decode()


def test_a_wrong_key_counts_beside_a_right_cookie(daemon: RunningDaemon, cookie: str) -> None:
    reply = raw.call(daemon, "GET", TALKS, None, "homefire-wrong", Cookie=cookie)
    assert (reply.status, reply.code) == (401, "bad_key")


def test_logout_ends_the_session(daemon: RunningDaemon) -> None:
    cookie = log_in(daemon)
    own = {"Cookie": cookie, "Origin": origin(daemon)}
    ended = raw.call(daemon, "POST", "/homefire/v1/logout", None, "", **own)
    assert ended.status == 204
    assert "Max-Age=0" in ended.headers["set-cookie"]
    assert raw.call(daemon, "GET", TALKS, None, "", Cookie=cookie).code == "bad_key"


@pytest.mark.parametrize("value", ["", "wrong", "\xff", "homefire-x"])
def test_wrong_cookie(daemon: RunningDaemon, value: str) -> None:
    name = f"homefire_{urlsplit(daemon.url).port}"
    assert raw.call(daemon, "GET", TALKS, None, "", Cookie=f"{name}={value}").status == 401
    assert raw.call(daemon, "GET", TALKS, None, "", Cookie=f"{name}_={value}").status == 401


# ---------------------------------------------------------------------------------------------------------- headers

ASK = b'{"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1%s}'
ANSWERS: dict[str, tuple[int, Callable[[RunningDaemon], raw.Reply]]] = {
    "the page": (200, lambda d: raw.call(d, "GET", "/", key="")),
    "JSON": (200, lambda d: raw.call(d, "GET", "/v1/models")),
    "the docs": (200, lambda d: raw.call(d, "GET", "/docs")),
    "an answer": (200, lambda d: raw.call(d, "POST", "/v1/chat/completions", ASK % b"")),
    "a stream": (200, lambda d: raw.call(d, "POST", "/v1/chat/completions", ASK % b', "stream": true')),
    "created": (201, lambda d: raw.call(d, "POST", TALKS, b"{}")),
    "nothing": (204, lambda d: raw.call(d, "POST", "/homefire/v1/logout")),
    "400": (400, lambda d: raw.call(d, "POST", "/v1/chat/completions", b"{")),
    "401": (401, lambda d: raw.call(d, "GET", "/v1/models", key="")),
    "403": (403, lambda d: raw.call(d, "GET", "/", None, "", Origin="null")),
    "404": (404, lambda d: raw.call(d, "GET", "/nothing")),
    "405": (405, lambda d: raw.call(d, "PUT", "/v1/models")),
    "413": (413, lambda d: raw.call(d, "POST", "/v1/completions", None, None, Content_Length="99999999999")),
    "not HTTP": (400, lambda d: raw.exchange(d, b"\x00\r\n\r\n")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_security_headers_on_every_answer(daemon: RunningDaemon, name: str) -> None:
    status, make = ANSWERS[name]
    reply = make(daemon)
    assert reply.status == status, reply.body[:300]
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert HEADERS.items() <= reply.headers.items()
    assert "server" not in reply.headers
    if name != "the page" and status < 300 and reply.body:
        assert reply.headers["cache-control"] == "no-store"
