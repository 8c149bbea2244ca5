"""`homefire diagnose` with a real daemon, with one that was killed, and on a home that no daemon would take.

Promises: what a person says to a model is not in the bundle, wherever it went wrong; the database is not touched.
Does not cover: what is taken out (`tests/null/test_diagnose.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homefire.errors import HomefireError
from homefire.supervision import crash_dumps
from tests.conftest import RunningDaemon, alive, wait_until

CANARY = "the-canary-sings-at-midnight"


def diagnosed(running: RunningDaemon, target: Path, *flags: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What the verb said, and the texts of the bundle."""
    done = running.cli("diagnose", "--json", "--output", str(target), *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(target) as archive:
        return json.loads(done.stdout), {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_daemon_that_saw_prompts_and_died(tmp_path: Path, new_daemon: Callable[..., RunningDaemon]) -> None:
    running = new_daemon(HOMEFIRE_MODEL="pilot", HOMEFIRE_THREADS="1").start()
    with running.client() as home:
        talk = home.post("/homefire/v1/conversations", {"title": CANARY, "system": CANARY})["id"]
        list(home.ask(talk, CANARY, sampling={"max_tokens": 4}))
        body = {"messages": [{"role": "user", "content": CANARY}], "max_tokens": 4}
        home.post("/v1/chat/completions", body)
        for wrong in (
            {**body, "colour": CANARY},
            {**body, "messages": [{"role": "user", "content": CANARY * 9999}]},
            {
                **body,
                "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": CANARY}}},
            },
            {**body, "logit_bias": {CANARY: 1}},
        ):
            with contextlib.suppress(HomefireError):
                home.post("/v1/chat/completions", wrong)
        (engine,) = running.engine_pids()
        os.kill(engine, signal.SIGABRT)
        wait_until(lambda: not alive(engine))
        wait_until(lambda: len(crash_dumps.written(running.paths.logs)) == 1)
        told, texts = diagnosed(running, tmp_path / "with.zip")
        assert told["sent"] is False
        assert {entry["name"] for entry in told["files"] if entry["problem"]} == set()
        assert "homefire_requests_total" in texts["daemon/metrics.txt"]
        assert any(row["kind"] == "loaded" for row in json.loads(texts["daemon/decisions.json"])["decisions"])
        assert json.loads(texts["restarts.json"])[0]["cause"] == "was killed by SIGABRT"
        (dump,) = (name for name in texts if name.startswith("crashes/crash-engine-pilot-"))
        assert "Fatal Python error: Aborted" in texts[dump] and "llamacpp_child.py" in texts[dump]
        assert "ready at" in texts["logs/daemon.log"]
        checks = {row["name"]: row["state"] for row in json.loads(texts["checks.json"])}
        assert checks["engine"] == checks["database"] == "ok"
        assert [name for name, text in texts.items() if CANARY in text] == []
        everything = json.dumps(texts)
        assert running.key not in everything
        _, fewer = diagnosed(running, tmp_path / "anonymous.zip", "--anonymous", "--no-logs")
        assert str(running.home) not in json.dumps(fewer)
        assert not any(name.startswith("logs/") for name in fewer)
    os.kill(running.pid, signal.SIGSEGV)
    wait_until(lambda: not alive(running.pid))
    for rest in running.home.glob("homefire.db-*"):
        rest.unlink()
    running.paths.database.write_bytes(b"not a database at all\n" * 500)
    running.paths.config.write_text("threads = many\n", "utf-8")
    told, texts = diagnosed(running, tmp_path / "broken.zip")
    problems = {entry["name"]: entry["problem"] for entry in told["files"]}
    assert problems["daemon/status.json"].startswith("daemon_not_running")
    assert "NotADBError" in problems["database.json"]
    assert "TOMLDecodeError" in texts["settings.json"]
    (dump,) = (name for name in texts if name.startswith("crashes/crash-daemon-"))
    assert "Fatal Python error: Segmentation fault" in texts[dump]
    again = running.cli("diagnose", "--output", str(tmp_path / "broken.zip"), "--json")
    assert json.loads(again.stdout)["error"]["code"] == "invalid_request"


def test_what_it_says_to_a_person(tmp_path: Path, new_daemon: Callable[..., RunningDaemon]) -> None:
    done = new_daemon().cli("diagnose", "--output", str(tmp_path / "x.zip"))
    assert done.returncode == 0, done.stderr
    assert f"Written to {tmp_path / 'x.zip'}" in done.stdout
    assert "Nothing was sent anywhere." in done.stdout
    assert "daemon/status.json: what runs (missing: daemon_not_running" in done.stdout
