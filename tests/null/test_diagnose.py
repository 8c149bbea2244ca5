"""The bundle of `homefire diagnose`: what is taken out of it, what a broken home leaves of it, what its zip is.

Promises: 200 made-up secrets of every kind in every place that a bundle is made of, and none is in it; each pattern has a text
that only it takes out, and words that it must leave alone.
Does not cover: a running daemon's parts (`tests/process/test_diagnose.py`).
"""

from __future__ import annotations

import json
import os
import random
import secrets
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from homefire.diagnose import bundle
from homefire.diagnose.bundle import collect, write
from homefire.diagnose.parts import LOG_BYTES, Part, parts, tail
from homefire.diagnose.redact import PATTERNS, Redactor
from homefire.errors import InvalidRequest, StoreDamaged
from homefire.paths import Paths
from homefire.settings import SETTINGS
from homefire.store import Store
from homefire.supervision import crash_dumps

TAKEN_OUT = [
    ("private-key", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"),
    ("login", "open http://127.0.0.1:7373/#login=S3cretCode_x"),
    ("key", "the key homefire-k7MSXvoKu0q9PXIX6zDycYQbXRa7SwEsQSwcqrDaAhU is"),
    ("key", "hf_AbCdEfGhIjKlMnOpQrStUv"),
    ("key", "sk-proj-AbCdEfGhIjKlMnOpQrSt"),
    ("key", "ghp_AbCdEfGhIjKlMnOpQrStUvWx"),
    ("key", "AKIAABCDEFGHIJKLMNOP"),
    ("token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
    ("token", "Authorization: Bearer abc.def-ghi_jkl"),
    ("token", "authorization=basic dXNlcjpwYXNzd29yZA=="),
    ("address", "GET https://user:hunter2@example.org/file"),
    ("query", "GET /file?a=1&X-Amz-Signature=abcdef0123&b=2"),
    ("cookie", "cookie: homefire_7373=AbCdEfGh; other=1"),
    ("value", 'api_key = "correct horse"'),
    ("value", "x-api-key: swordfish-99"),
    ("value", '{"password": "tr0ub4dor", "user": "x"}'),
]
LEFT_ALONE = [
    "homefire.daemon ready at http://127.0.0.1:7373",
    "'pilot' leaves the memory: A person asked for it.",
    "prompt_tokens: 21, completion_tokens: 16, total_tokens: 37",
    'homefire_tokens_total{model="pilot",kind="written"} 20.0',
    "the bearer of this letter",
    "first token from nothing 0.83 s; basic checks",
    '{"tokens": [1, 2, 3], "max_tokens": 512, "has_key": true}',
    "sk-learn, task-force, /tmp/homefire-1000/e.sock",
    "sha256:6780a701d67d11dffad8967ef3ca5c6c6f39c03d359df5284e2edb4f4cf1877f",
    "GET https://example.org/a@b?page=2",
]


@pytest.mark.parametrize(("kind", "text"), TAKEN_OUT, ids=lambda value: value[:24])
def test_each_kind_is_taken_out_by_its_pattern_and_by_no_other(
    kind: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    redact = Redactor({})
    found = redact(text)
    assert f"[{kind}-taken-out]" in found
    assert redact(found) == found, "once is enough"
    # The mutant: without the patterns of that kind the secret stays, or another kind takes it.
    monkeypatch.setattr("homefire.diagnose.redact.PATTERNS", tuple(each for each in PATTERNS if each[0] != kind))
    assert f"[{kind}-taken-out]" not in Redactor({})(text)


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_only_looks_a_little_like_a_secret_stays(text: str) -> None:
    assert Redactor({})(text) == text


def test_what_is_known_goes_whatever_it_looks_like(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home")
    paths.prepare()
    paths.keys.write_text(json.dumps({"local": "plain words"}), "utf-8")
    paths.secrets.write_text('[engines]\nshed = "say \\"friend\\""\n[other.deep]\nx = "and enter"\n', "utf-8")
    redact = Redactor.of(paths, {"HF_TOKEN": "mellon-mellon", "PATH": "/usr/bin:/bin"}, anonymous=False)
    text = json.dumps(["plain words", 'say "friend"', "and enter", "mellon-mellon", "/usr/bin:/bin"])
    found = redact(text) + redact('raw: say "friend"')
    for secret in ("plain words", "friend", "and enter", "mellon"):
        assert secret not in found
    assert "/usr/bin:/bin" in found
    assert redact.found["key"] == 5


def test_whose_machine_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/frodo")
    monkeypatch.setenv("LOGNAME", "frodo")
    paths = Paths(tmp_path / "home")
    text = f"{paths.home}/logs of frodo in /home/frodo/x, not frodos, /home/frodo2"
    assert Redactor.of(paths, {}, anonymous=False)(text) == text
    assert Redactor.of(paths, {}, anonymous=True)(text) == "HOMEFIRE_HOME/logs of USER in ~/x, not frodos, /home/frodo2"


def canary(dice: random.Random) -> tuple[str, str]:
    """A secret, and a line in which it might stand."""
    secret = secrets.token_urlsafe(dice.choice([12, 24, 32]))
    return dice.choice(
        [
            (key := f"homefire-{secrets.token_urlsafe(32)}", f"the key {key}."),
            (secret, f"Authorization: Bearer {secret}x1"),
            (secret, f"x-api-key: {secret}"),
            (secret, f'{{"password": "{secret}", "n": 1}}'),
            (secret, f"see https://me:{secret}@example.org/x"),
            (secret, f"see https://{secret}@example.org/x"),
            (secret, f"GET /files?token={secret}&x=1"),
            (secret, f"http://127.0.0.1:1/#login={secret}"),
            (secret, f"Set-Cookie: homefire_7373={secret}; Path=/"),
            (secret, f"ACCESS_TOKEN='{secret}'"),
        ]
    )


def test_two_hundred_canaries(tmp_path: Path) -> None:
    """In logs, crash dumps, the settings' texts, the environment, the files of secrets: none comes out."""
    seed = int(os.environ.get("HOMEFIRE_SEED", "0")) or secrets.randbits(32)
    print(f"HOMEFIRE_SEED={seed}")
    dice = random.Random(seed)
    paths = Paths(tmp_path / "home")
    paths.prepare()
    planted: list[str] = []

    def lines(count: int) -> str:
        rows = []
        for _ in range(count):
            secret, line = canary(dice)
            planted.append(secret)
            rows.append(f"2026-11-30 12:00:00 WARNING homefire.x {line}")
        return "\n".join(rows) + "\n"

    texts = [row for row in SETTINGS if isinstance(row.default, str) and row.name not in ("host", "model")]
    environment = {"HF_TOKEN": "canary in the environment"}
    paths.keys.write_text(json.dumps({"local": "canary of the command line"}), "utf-8")
    paths.secrets.write_text('[engines]\nshed = "canary of an engine"\n', "utf-8")
    known = ["canary in the environment", "canary of the command line", "canary of an engine"]
    paths.daemon_log.write_text(lines(80) + "".join(f"2026-11-30 {each}\n" for each in known), "utf-8")
    (paths.logs / "daemon.log.1").write_text(lines(40), "utf-8")
    engine = lines(50).replace("2026-11-30 12:00:00 WARNING", "llama_context:")
    (paths.logs / "engine-pilot.log").write_text(engine, "utf-8")
    (paths.logs / "restart-hook.log").write_text("canary of the hook", "utf-8")
    (paths.logs / "crash-engine-pilot-1.txt").write_text(lines(30), "utf-8")
    paths.config.write_text("".join(f'{row.name} = "canary in a setting"\n' for row in texts), "utf-8")
    wanted = [part for part in parts(paths, environment) if part.name != "checks.json"]
    found, entries = collect(wanted, Redactor.of(paths, environment, anonymous=False))
    everything = json.dumps(found)
    assert len(planted) == 200
    assert [secret for secret in planted if secret in everything] == []
    assert "canary" not in everything
    assert {entry.name for entry in entries if not entry.problem} >= {
        "logs/daemon.log", "logs/daemon.log.1", "logs/engine-pilot.log", "crashes/crash-engine-pilot-1.txt"
    }  # fmt: skip
    assert everything.count("homefire.x") == 200, "the lines themselves are there"
    # The mutant: without the redactor they all come out.
    bare, _ = collect(wanted, lambda text: text)  # type: ignore[arg-type]
    assert all(secret in json.dumps(bare) for secret in planted)


def test_lines_that_may_quote_a_request_are_left_out(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home")
    paths.prepare()
    trace = (
        'Traceback (most recent call last):\n  File "x.py", line 3, in f\n    raise ValueError(text)\n'
        "ValueError: a prompt\nof two lines\n"
    )
    paths.daemon_log.write_text(f"2026-11-30 12:00:00 ERROR homefire.x defect\n{trace}2026-11-30 more\n", "utf-8")
    (paths.logs / "engine-m.log").write_text(
        "0.00.077.919 W llama_context: n_ctx_seq (16384) > n_ctx_train (2048)\n"
        '0.00.464.143 W srv    operator(): got exception: {"error": "unsupported $ref a prompt"}\n'
        "WARNING: JSON schema conversion was incomplete: pattern a prompt is not supported\n"
        "a prompt\n"
        "GGML_ASSERT(n > 0) failed\n",
        "utf-8",
    )
    (paths.logs / "restart-hook.log").write_text("a prompt", "utf-8")
    (paths.logs / "tool.log").write_text("a prompt", "utf-8")
    rows = {part.name: part for part in parts(paths, {})}
    assert [name for name in rows if name.startswith("logs/")] == ["logs/daemon.log", "logs/engine-m.log"]
    daemon, engine = rows["logs/daemon.log"].make(), rows["logs/engine-m.log"].make()
    assert "prompt" not in daemon + engine and "two lines" not in daemon
    assert daemon.splitlines()[0].endswith("defect") and daemon.splitlines()[-1].endswith("more")
    assert "    raise ValueError(text)" in daemon and "ValueError: [left out" in daemon
    assert engine.splitlines()[0].endswith("(2048)") and engine.splitlines()[-1].startswith("GGML_ASSERT")
    assert len(engine.splitlines()) == 3


def test_settings_are_shown_by_name_and_place(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home")
    paths.prepare()
    paths.config.write_text('threads = 3\nrestart_hook = "mail me"\nunheard_of = 1\n', "utf-8")
    environment = {"HOMEFIRE_PORT": "9", "HOMEFIRE_MADE_UP": "x", "HOMEFIRE_MODEL": "pilot"}
    found = made(parts(paths, environment), "settings.json")
    assert found["settings"]["threads"] == {"value": 3, "source": "file"}
    assert found["settings"]["restart_hook"] == {"value": "set", "source": "file"}
    assert found["settings"]["port"] == {"value": "9", "source": "environment"}
    assert found["settings"]["model"] == {"value": "pilot", "source": "environment"}
    assert found["settings"]["queue"] == {"value": 512, "source": "default"}
    assert (found["unknown"], found["other_variables"]) == (["unheard_of"], ["HOMEFIRE_MADE_UP"])
    paths.config.write_text("threads = ", "utf-8")
    assert "TOMLDecodeError" in made(parts(paths, environment), "settings.json")["problem"]


def made(rows: list[Part], name: str) -> Any:
    return next(row for row in rows if row.name == name).make()


def test_the_database_is_looked_at_and_left_as_it_is(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home")
    paths.prepare()
    rows = parts(paths, {})
    assert made(rows, "database.json") == {"there": False}
    store = Store(paths.database)
    store.open()
    store.close()
    before = paths.database.read_bytes()
    found = made(rows, "database.json")
    assert (found["quick_check"], found["schema"]) == ("ok", found["schema_of_this_program"])
    assert found["rows"]["conversations"] == 0
    assert paths.database.read_bytes() == before
    paths.database.write_bytes(before[:-4096] + b"\xff" * 4096)
    found = made(rows, "database.json")
    assert found["quick_check"] != "ok"
    assert "rows" not in found


@pytest.mark.parametrize("broken", ["not a folder", "no database", "folders in the place of files"])
def test_a_broken_home_costs_the_parts_that_need_it_and_no_other(broken: str, tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home")
    if broken == "not a folder":
        paths.home.write_text("x", "utf-8")
    else:
        paths.prepare()
        paths.database.write_bytes(b"no database at all" * 100)
        if broken.startswith("folders"):
            paths.database.unlink()
            for place in (paths.config, paths.keys, paths.secrets, paths.restarts, paths.address, paths.database):
                place.mkdir()
    wanted = [part for part in parts(paths, {}) if part.name != "checks.json"]
    _, entries = collect(wanted, Redactor.of(paths, {}, anonymous=True))
    problems = {entry.name: entry.problem for entry in entries}
    assert problems["versions.json"] == problems["hardware.json"] == ""
    wrong = {"not a folder": "files.json", "no database": "database.json"}.get(broken, "database.json")
    assert problems[wrong]
    assert problems["daemon/metrics.txt"].startswith("daemon_not_running")


def test_caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"first line\n" + b"x" * 99 + b"\n" + b"another line\n" * (LOG_BYTES // 10))
    text = tail(log)
    assert len(text) <= LOG_BYTES
    assert set(text.splitlines()) == {"another line"}, "from the beginning of a line"
    monkeypatch.setattr(bundle, "MOST_TEXT", 100)
    monkeypatch.setattr(bundle, "MOST_BYTES", 250)
    rows = [Part(name, "", lambda: "x" * 150) for name in "ab"] + [Part("c", "", lambda: "y")]
    texts, entries = collect(rows, Redactor({}))
    assert [(entry.name, bool(entry.problem)) for entry in entries] == [("a", False), ("b", True), ("c", False)]
    assert texts["a"].endswith("x" * 100) and len(texts["a"]) < 150


def test_the_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect() -> Any:
        raise KeyError("what was looked for")

    def refused() -> Any:
        raise StoreDamaged("homefire.db is damaged.")

    rows = [Part("a.json", "a", lambda: {"x": "ü"}), Part("b.txt", "b", defect), Part("c.txt", "c", refused)]
    monkeypatch.setattr(bundle, "parts", lambda *_, **__: rows)
    target = tmp_path / "out.zip"
    found = write(target, Paths(tmp_path / "home"), {}, logs=True, anonymous=False)
    assert found["sent"] is False
    assert found["bytes"] == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == ["INDEX.txt", "index.json", "a.json"]
        assert json.loads(archive.read("a.json")) == {"x": "ü"}
        index = archive.read("INDEX.txt").decode()
        assert {row.date_time[0] for row in archive.infolist()} == {1980}
    assert "Nothing was sent" in index
    assert "KeyError" in index and "store_damaged: homefire.db is damaged." in index
    with pytest.raises(InvalidRequest, match="there already"):
        write(target, Paths(tmp_path / "home"), {}, logs=True, anonymous=False)
    with pytest.raises(InvalidRequest, match="cannot be written"):
        write(tmp_path / "no" / "folder.zip", Paths(tmp_path / "home"), {}, logs=True, anonymous=False)


def test_without_logs(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home")
    paths.prepare()
    paths.daemon_log.write_text("x", "utf-8")
    (paths.logs / "crash-daemon-1.txt").write_text("x", "utf-8")
    assert [path.name for path in crash_dumps.written(paths.logs)] == ["crash-daemon-1.txt"]
    for logs, expected in (
        (True, ["logs/daemon.log", "crashes/crash-daemon-1.txt"]),
        (False, ["crashes/crash-daemon-1.txt"]),
    ):
        names = [part.name for part in parts(paths, {}, logs=logs)]
        assert [name for name in names if name.startswith(("logs/", "crashes/"))] == expected
