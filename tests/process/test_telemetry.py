"""A real daemon with telemetry on: a day ends, a record is made, and nothing leaves until `homefire telemetry send`.

Promises: the daemon's own sockets are watched by the interpreter; the same watch sees the one connection that is asked for.
Does not cover: the queue day by day (`tests/null/test_telemetry.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from homefire.client import Homefire
from tests.conftest import ROOT, RunningDaemon
from tests.null.test_telemetry import Collector, collector


def test_nothing_leaves_by_itself(tmp_path: Path, new_daemon: Callable[..., RunningDaemon]) -> None:
    running = new_daemon(HOMEFIRE_THREADS="1")
    running.paths.prepare()
    state = running.paths.telemetry_state
    state.parent.mkdir(mode=0o700)
    yesterday = {"on": True, "id": "1" * 32, "day": "2026-01-31", "requests": {"/v1/embeddings": 3}, "errors": {}}
    state.write_text(json.dumps(yesterday), "utf-8")
    log = tmp_path / "connections"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.process.watched_daemon"],
        cwd=ROOT,
        env={**running.environment, "WATCHED_BY": str(log)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "ready" in json.loads(process.stdout.readline())
        with Homefire.connect(running.home) as home:
            home.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2})
        shown = running.cli("telemetry", "show").stdout
        assert json.loads(shown)["day"] == "2026-01-31"
        assert json.loads(shown)["requests"] == {"embeddings": 3}
        before = log.read_text("utf-8")
        assert before, "it speaks to the model's child"
        assert all(f"{running.home}/run/" in line for line in before.splitlines()), before
        refused = running.cli("telemetry", "send", "--to", "http://example.org/", "--json")
        assert json.loads(refused.stdout)["error"]["code"] == "address_refused"
        assert log.read_text("utf-8") == before
        with collector() as address:
            done = running.cli("telemetry", "send", "--to", address)
            assert done.stdout == f"1 records were taken by {address}.\n", done.stderr
            assert Collector.got == [shown.encode()]
        port = address.split(":")[2].split("/")[0]
        after = log.read_text("utf-8")[len(before) :]
        assert port in after, "the watch sees a connection when there is one"
        status = json.loads(running.cli("telemetry", "status", "--json").stdout)
        assert (status["on"], status["queued"]) == (True, [])
        assert json.loads(running.cli("telemetry", "off", "--json").stdout)["on"] is False
    finally:
        process.terminate()
        process.wait(30)
    assert not state.exists()
