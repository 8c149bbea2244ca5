"""Real daemons with TLS, beyond loopback, on a unix socket, and with keys turned off.

Promises: nothing leaves this machine: what is beyond loopback lies in a network namespace of the test's own.
Does not cover: other machines' browsers, Windows, macOS.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, RunningDaemon
from tests.contract import raw

NewDaemon = Callable[..., RunningDaemon]
BEYOND = "192.0.2.7"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon with TLS and a unix socket."""
    running = RunningDaemon(tmp_path_factory.mktemp("home"), HOMEFIRE_TLS="1", HOMEFIRE_UNIX_SOCKET="1")
    refused = running.cli("up", "--detach")
    assert refused.returncode == 1
    assert "tls_not_ready" in refused.stderr
    made = running.cli("tls", "init", "--host", "homebox.test", "--json")
    assert made.returncode == 0, made.stdout + made.stderr
    yield running.start()
    running.stop()


def ask(daemon: RunningDaemon, trust: ssl.SSLContext, path: str, **headers: str) -> tuple[int, str]:
    """One request over TLS, by the standard library."""
    where = daemon.url.removeprefix("https://")
    connection = http.client.HTTPSConnection(where, timeout=5, context=trust)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_the_command_line_speaks_tls_to_its_own_daemon(secured: RunningDaemon) -> None:
    assert secured.url.startswith("https://127.0.0.1:")
    status = json.loads(secured.cli("status", "--json").stdout)
    assert (status["tls"], status["auth"], status["elsewhere"]) == (True, "on", [])
    again = secured.cli("tls", "init")
    assert again.returncode == 1
    assert "--again" in again.stderr
    shown = json.loads(secured.cli("tls", "show", "--json").stdout)
    assert shown["certificate"] == secured.paths.tls_authority.read_text()
    assert "PRIVATE" not in secured.cli("tls", "show").stdout


def test_a_client_that_trusts_the_authority(secured: RunningDaemon) -> None:
    trust = ssl.create_default_context(cafile=str(secured.paths.tls_authority))
    key = {"Authorization": f"Bearer {secured.key}"}
    assert ask(secured, trust, "/v1/models", **key)[0] == 200
    assert ask(secured, trust, "/v1/models")[0] == 401
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(secured, ssl.create_default_context(), "/healthz")


def test_plain_http_on_the_tls_port_gets_nothing(secured: RunningDaemon) -> None:
    where = secured.url.removeprefix("https://")
    with socket.create_connection(("127.0.0.1", int(where.rpartition(":")[2])), timeout=5) as connection:
        connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: {where}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            assert b"alive" not in connection.recv(1000)


def test_the_cookie_is_for_tls_only(secured: RunningDaemon) -> None:
    code = json.loads(secured.cli("link", "--json").stdout)["url"].partition("#login=")[2]
    trust = ssl.create_default_context(cafile=str(secured.paths.tls_authority))
    connection = http.client.HTTPSConnection(secured.url.removeprefix("https://"), timeout=5, context=trust)
    connection.request("POST", "/homefire/v1/login", json.dumps({"code": code}))
    response = connection.getresponse()
    assert response.status == 204
    assert "Secure" in [part.strip() for part in response.headers["set-cookie"].split(";")]
    connection.close()


@pytest.mark.skipif(os.environ.get("HOMEFIRE_PROOF") != "full", reason="takes 10 s; make proof runs it")
def test_greetings_that_never_end(secured: RunningDaemon) -> None:
    """Of TLS, before any request: half are silent, half stop in the middle."""
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        slow = [stack.enter_context(raw.connect(secured, 15)) for _ in range(300)]
        for connection in slow[::2]:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01")
        for connection in slow:
            with contextlib.suppress(ConnectionError):
                assert connection.recv(1) == b""
        assert time.monotonic() - began < 12


def over_unix(daemon: RunningDaemon, lines: list[str]) -> raw.Reply:
    """One request over the unix socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(daemon.paths.daemon_socket()))
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return raw.receive(connection)


def test_the_unix_socket_needs_a_key_too(secured: RunningDaemon) -> None:
    host = f"Host: {raw.host(secured)}"
    assert over_unix(secured, ["GET /v1/models HTTP/1.1", host, f"Authorization: Bearer {secured.key}"]).status == 200
    assert over_unix(secured, ["GET /v1/models HTTP/1.1", host]).code == "missing_key"
    assert over_unix(secured, ["GET /healthz HTTP/1.1", "Host: evil.example"]).code == "host_refused"


STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
talk = socket.socket(socket.AF_UNIX); talk.settimeout(5)
try:
    talk.connect(sys.argv[1])
    talk.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: " + sys.argv[2].encode() + b"\\r\\n\\r\\n")
    print(len(talk.recv(1000)))
except PermissionError:
    print("refused by the folder")
except OSError:
    print(0)
"""


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="only root can become another user")
def test_another_user_gets_no_byte(secured: RunningDaemon, tmp_path: Path) -> None:
    place = secured.paths.daemon_socket()
    assert place is not None

    def stranger() -> str:
        done = subprocess.run(
            [sys.executable, "-c", STRANGER, str(place), raw.host(secured)],
            capture_output=True, text=True, timeout=20, check=False, cwd="/",
        )  # fmt: skip
        return done.stdout.strip()

    assert stranger() in ("refused by the folder", "")
    # With every wall of the file system down the kernel's word about the peer is left.
    opened = [each for each in (place, *place.parents) if not each.stat().st_mode & 0o001]
    assert {place, secured.paths.run, secured.home} <= set(opened)
    modes = [each.stat().st_mode & 0o7777 for each in opened]
    try:
        for each in opened:
            each.chmod(0o777)
        assert stranger() == "0"
    finally:
        for each, mode in zip(opened, modes, strict=True):
            each.chmod(mode)


INSIDE = """
import json, os, ssl, subprocess, sys, urllib.request, urllib.error
home, beyond = sys.argv[1:]
def cli(*arguments):
    return subprocess.run([sys.executable, "-m", "homefire.cli", *arguments], capture_output=True, text=True, timeout=60)
assert cli("tls", "init", "--host", beyond).returncode == 0
up = cli("up", "--detach", "--json")
assert up.returncode == 0, up.stdout + up.stderr
try:
    facts, said = json.loads(up.stdout), cli("up").stdout
    port = facts["url"].rpartition(":")[2]
    key = json.load(open(f"{home}/keys"))["local"]
    trust = ssl.create_default_context(cafile=f"{home}/tls/ca.pem")
    def ask(path, **headers):
        request = urllib.request.Request(f"https://{beyond}:{port}{path}", headers=headers)
        try:
            return urllib.request.urlopen(request, context=trust, timeout=10).status
        except urllib.error.HTTPError as answer:
            return answer.code
    print(json.dumps({
        "url": facts["url"], "said": said, "links": cli("link").stdout.split(),
        "with key": ask("/v1/models", Authorization=f"Bearer {key}"), "without": ask("/v1/models"),
        "metrics without": ask("/metrics"), "ready without": ask("/readyz"),
        "another name": ask("/v1/models", Authorization=f"Bearer {key}", Host=f"evil.example:{port}"),
        "own origin": ask("/v1/models", Authorization=f"Bearer {key}", Origin=f"https://{beyond}:{port}"),
        "plain origin": ask("/v1/models", Authorization=f"Bearer {key}", Origin=f"http://{beyond}:{port}"),
    }))
finally:
    cli("down")
"""


def _namespaces() -> bool:
    if sys.platform != "linux" or not (shutil.which("unshare") and shutil.which("ip")):
        return False
    tried = ["unshare", "--net", "--user", "--map-root-user", "ip", "link", "set", "lo", "up"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _namespaces(), reason="no network namespaces (unshare and ip) for an address beyond loopback")
def test_beyond_loopback(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(HOMEFIRE_HOST="0.0.0.0", HOMEFIRE_TLS="1", HOMEFIRE_ALLOWED_HOSTS=BEYOND)
    script = f'ip link set lo up && ip addr add {BEYOND}/32 dev lo && exec "$@"'
    done = subprocess.run(
        ["unshare", "--net", "--user", "--map-root-user", "bash", "-c", script, "-",
         sys.executable, "-c", INSIDE, str(daemon.home), BEYOND],
        env=daemon.environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found.pop("url").startswith("https://127.0.0.1:")
    said, links = found.pop("said"), found.pop("links")
    assert [link.rpartition(":")[0] for link in (each.partition("/#login=")[0] for each in links)] == [
        "https://127.0.0.1", f"https://{BEYOND}"
    ]  # fmt: skip
    assert BEYOND in said
    assert "homefire tls show" in said
    assert found == {
        "with key": 200, "without": 401, "metrics without": 401, "ready without": 401,
        "another name": 403, "own origin": 200, "plain origin": 403,
    }  # fmt: skip


def test_keys_turned_off(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(HOMEFIRE_AUTH="off").start()
    assert raw.call(daemon, "GET", "/v1/models", key="").status == 200
    said = raw.call(daemon, "POST", "/v1/chat/completions", b'{"messages":[{"role":"user","content":"hi"}],"max_tokens":1}',
                    key="")  # fmt: skip
    assert said.status == 200
    # The guard stays, a wrong key is still wrong, and what needs a key needs one still.
    assert raw.call(daemon, "GET", "/v1/models", None, "", Origin="http://evil.example").code == "origin_refused"
    assert raw.exchange(daemon, b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n").code == "host_refused"
    assert raw.call(daemon, "GET", "/v1/models", key="homefire-wrong").code == "bad_key"
    for method, path in (("GET", "/homefire/v1/keys"), ("GET", "/homefire/v1/audit"), ("GET", "/homefire/v1/builds")):
        assert raw.call(daemon, method, path, key="").code == "key_needed", path
        assert raw.call(daemon, method, path).status == 200
    assert raw.call(daemon, "GET", "/homefire/v1/status", key="").json["auth"] == "off"
    for verb in ("status", "up"):
        assert "KEYS ARE OFF" in daemon.cli(verb).stdout
    assert "keys are off" in daemon.paths.daemon_log.read_text()
    assert "keys turned off" in daemon.cli("audit").stdout
    beyond = new_daemon(daemon.home.parent / "beyond", HOMEFIRE_AUTH="off", HOMEFIRE_HOST="0.0.0.0", HOMEFIRE_TLS="1")
    assert "bind_refused" in beyond.cli("up", "--detach").stderr
