"""200 secrets go through a real daemon, rightly and wrongly; afterwards none is found where it does not belong.

Promises: searched are every byte of every answer that is no place for it, all files of the home but the two that keep keys, the
database's log among them, the bundle of `homefire diagnose`, the environment and command line of every child, also of one that
crashed with a secret in its prompt.
Does not cover: the memory of processes; far engines over TLS (`tests/process/test_far_engines.py`).
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunningDaemon, wait_until
from tests.contract import raw

AT = "/homefire/v1"
CHAT = "/v1/chat/completions"
NAMES = ("HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PGPASSWORD", "HOMEFIRE_SECRET_OF_MINE")


def canaries(kind: str, count: int) -> list[str]:
    """Secrets that nothing else looks like."""
    return [f"canary{kind}{secrets.token_hex(12)}" for _ in range(count)]


class Told:
    """What the daemon said, all of it."""

    def __init__(self, daemon: RunningDaemon) -> None:
        self.daemon = daemon
        self.bodies: list[bytes] = []

    def call(self, method: str, path: str, body: object = None, key: str | None = None, **headers: str) -> raw.Reply:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        reply = raw.call(self.daemon, method, path, data, key, **headers)
        self.bodies += [reply.body, repr(reply.headers).encode()]
        return reply


def children(pid: int) -> list[int]:
    """All processes below one."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            below.setdefault(parent, []).append(int(entry.name))
    found, more = [], [pid]
    while more:
        more = [child for each in more for child in below.get(each, [])]
        found += more
    return found


def make_keys(told: Told) -> list[str]:
    """Keys made, used, rotated and revoked."""
    made = []
    for number in range(30):
        reply = raw.call(told.daemon, "POST", f"{AT}/keys", json.dumps({"name": f"k{number}"}).encode())
        made.append(reply.json["key"])
        told.call("GET", "/v1/models", key=made[-1])
    for number in range(10):
        made.append(raw.call(told.daemon, "POST", f"{AT}/keys/k{number}/rotate", b"{}").json["key"])
        told.call("DELETE", f"{AT}/keys/k{number}")
        told.call("GET", "/v1/models", key=made[number])
    return made


def add_engines(told: Told) -> list[str]:
    """Keys of far engines, which nobody answers for."""
    given = canaries("engine", 20)
    for number, key in enumerate(given):
        body = {"name": f"far{number}", "url": "http://127.0.0.1:9", "key": key}
        assert told.call("POST", f"{AT}/engines", body).status == 201
    told.call("POST", f"{AT}/engines/far0/check", {})
    told.call("POST", CHAT, {"model": "far1/m", "messages": [{"role": "user", "content": "hi"}]})
    told.call("POST", f"{AT}/engines", {"name": "bad name", "url": "http://127.0.0.1:9", "key": given[0]})
    return given


def knock(told: Told) -> list[str]:
    """Wrong keys, codes and cookies, each of which a slip of a person's could be right elsewhere."""
    wrong = canaries("wrong", 75)
    port = told.daemon.url.rpartition(":")[2]
    for number, secret in enumerate(wrong):
        match number % 5:
            case 0:
                told.call("GET", "/v1/models", key=secret)
            case 1:
                told.call("GET", "/v1/models", None, "", x_api_key=secret)
            case 2:
                told.call("POST", f"{AT}/login", {"code": secret}, "")
            case 3:
                told.call("GET", "/v1/models", None, "", Cookie=f"homefire_{port}={secret}")
            case _:
                told.call("GET", "/v1/models", None, "", Authorization=f"Basic {secret}")
    return wrong


def ask_wrongly(told: Told) -> list[str]:
    """Prompts in requests that fail, each in another way."""
    prompts = canaries("prompt", 60)
    for number, prompt in enumerate(prompts):
        message = {"role": "user", "content": prompt}
        bodies: list[object] = [
            {"messages": [message], "model": "nobody"},
            {"messages": [message], "temperature": 99},
            {"messages": [message], "no_such_field": 1},
            {"messages": [{**message, "content": prompt + " word" * 9000}]},
            {"messages": [message], "tools": [{"type": "function", "function": {"name": 5}}]},
            b'{"messages": [{"role": "user", "content": "' + prompt.encode() + b'"',
        ]
        reply = told.call("POST", CHAT, bodies[number % len(bodies)])
        assert reply.status >= 400, reply.body[:300]
    return prompts


def crash(told: Told) -> list[str]:
    """The model's process dies with a prompt in it."""
    prompts = canaries("crash", 2)
    for prompt in prompts:
        body = json.dumps({"messages": [{"role": "user", "content": prompt}], "max_tokens": 400, "ignore_eos": True,
                           "stream": True}).encode()  # fmt: skip
        with raw.connect(told.daemon, 20) as connection:
            connection.sendall(raw.head(told.daemon, "POST", CHAT, Content_Length=str(len(body))) + body)
            assert connection.recv(100)
            for pid in told.daemon.engine_pids():
                os.kill(pid, signal.SIGABRT)
            wait_until(lambda: not told.daemon.engine_pids())
    # A request in the moment in which the daemon has not yet noticed the death is answered with `engine_died`.
    hello = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    wait_until(lambda: told.call("POST", CHAT, hello).status == 200, 30)
    return prompts


def test_no_canary_is_found_where_it_does_not_belong(new_daemon: Callable[..., RunningDaemon]) -> None:
    in_environment = dict(zip(NAMES, canaries("env", len(NAMES)), strict=True))
    daemon = new_daemon(**in_environment)
    told = Told(daemon.start())
    keys = [daemon.key, *make_keys(told)]
    engines, wrong, prompts = add_engines(told), knock(told), ask_wrongly(told)
    prompts += crash(told)
    secret = [*keys, *engines, *wrong, *prompts, *in_environment.values()]
    assert len(secret) >= 200
    for path in (f"{AT}/status", f"{AT}/keys", f"{AT}/audit?limit=1000", f"{AT}/engines", f"{AT}/restarts", "/metrics",
                 f"{AT}/decisions", f"{AT}/residency"):  # fmt: skip
        assert told.call("GET", path).status == 200
    found = [canary for canary in secret if any(canary.encode() in body for body in told.bodies)]
    assert found == []
    assert daemon.engine_pids()
    for pid in children(daemon.pid):
        held = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
        assert [canary for canary in secret if canary.encode() in held] == [], pid
    mine = Path(f"/proc/{daemon.pid}/environ").read_bytes()
    assert in_environment["HF_TOKEN"].encode() in mine, "the control: the search finds what is there"
    bundle = daemon.home.parent / "bundle.zip"
    assert daemon.cli("diagnose", "--output", str(bundle)).returncode == 0
    with zipfile.ZipFile(bundle) as opened:
        assert len(opened.namelist()) >= 5
        for name in opened.namelist():
            data = opened.read(name)
            assert [canary for canary in secret if canary.encode() in data] == [], name
    daemon.stop()
    keeps = {daemon.paths.keys, daemon.paths.secrets}
    searched = 0
    for file in daemon.home.rglob("*"):
        if file.is_file() and file not in keeps:
            searched += 1
            data = file.read_bytes()
            assert [canary for canary in secret if canary.encode() in data] == [], file
    assert searched >= 4
    assert all(canary in daemon.paths.secrets.read_text() for canary in engines), "the control"
    assert {file.stat().st_mode & 0o777 for file in keeps} == {0o600}


@pytest.mark.parametrize("verb", [("key", "show"), ("audit",), ("status",), ("doctor",)])
def test_the_command_line_prints_no_key(daemon: RunningDaemon, verb: tuple[str, ...]) -> None:
    done = daemon.cli(*verb)
    assert done.stdout
    assert daemon.key not in done.stdout + done.stderr


def test_the_keyring_is_used_if_it_is_wanted(new_daemon: Callable[..., RunningDaemon]) -> None:
    """One that forgets everything, so the key is not in the file either; one that never opens, so the daemon does not start."""
    forgets = new_daemon(HOMEFIRE_SECRETS="keyring", PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring").start()
    body = {"name": "far", "url": "http://127.0.0.1:9", "key": "canary-for-the-ring"}
    assert Told(forgets).call("POST", f"{AT}/engines", body).status == 201
    assert Told(forgets).call("GET", f"{AT}/engines").json["engines"][0]["has_key"] is False
    assert not forgets.paths.secrets.exists()
    shut = new_daemon(forgets.home.parent / "shut", HOMEFIRE_SECRETS="keyring",
                      PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring")  # fmt: skip
    done = shut.cli("up", "--detach")
    assert done.returncode == 1
    assert "bad_setting" in done.stderr
    assert "keyring" in done.stderr
