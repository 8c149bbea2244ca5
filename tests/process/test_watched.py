"""What a real daemon shows of its machine and its models: sensors, metrics, restarts, readiness.

Promises: one model that dies five times ends in a state that every door shows the same way, and the daemon goes on.
Does not cover: the numbers themselves (`tests/null/test_sensors.py`, `test_metrics.py`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

from tests.conftest import ROOT, RunningDaemon, wait_until
from tests.contract import raw
from tests.null.test_metrics import samples
from tests.process.test_cli import parsed


def ask(daemon: RunningDaemon) -> int:
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    return raw.call(daemon, "POST", "/v1/chat/completions", json.dumps(body).encode()).status


def test_sensors_on_the_command_line(daemon: RunningDaemon) -> None:
    found = parsed(daemon.cli("sensors", "--json"))
    assert found["memory_total_bytes"] > found["memory_available_bytes"] > 0
    assert len(found["cpu"]["cores_percent"]) >= 1
    assert set(found["governor"]["levels"].values()) <= {0, 1, 2, 3}
    people = daemon.cli("sensors")
    assert people.returncode == 0, people.stderr
    assert people.stdout.startswith("processor  load ")
    assert "GiB free" in people.stdout


def test_watching_ends_with_ctrl_c(daemon: RunningDaemon) -> None:
    # A shell's background job inherits SIGINT ignored, and so would this program.
    listen = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    listen += "from homefire.cli.main import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", listen, "sensors", "--watch", "--json"]
    with subprocess.Popen(argv, env=daemon.environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        assert second["at"] > first["at"], "each look is a new one"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_a_model_that_dies_again_and_again(new_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = new_daemon(HOMEFIRE_WAIT_SECONDS="60").start()
    died = 0
    while (
        raw.call(daemon, "GET", "/readyz").status == 200
    ):  # five within a minute; on a slow machine it takes some more
        assert died < 20
        assert ask(daemon) == 200, "it is started again after each crash"
        (engine,) = daemon.engine_pids()
        if died == 0:
            got = samples(raw.call(daemon, "GET", "/metrics").body.decode())
            assert got['homefire_tokens_total{model="pilot",kind="written"}'] == 4
            assert got['homefire_tokens_total{model="pilot",kind="prompt_read"}'] > 0
            assert got['homefire_model_memory_bytes{model="pilot"}'] > 2**20
        os.kill(engine, signal.SIGSEGV)
        died += 1
        wait_until(lambda died=died: len(restarts(daemon)) == died, 30)  # type: ignore[misc]
    assert died >= 5
    ready = raw.call(daemon, "GET", "/readyz")
    assert ready.status == 503
    assert "'pilot' crashed too often" in ready.json["reasons"][0]
    assert raw.call(daemon, "GET", "/healthz", key="").status == 200
    assert raw.call(daemon, "POST", "/v1/chat/completions", b'{"messages": []}').status == 400, "the rest goes on"
    rows = restarts(daemon)
    assert {(row["child"], row["cause"], row["was_ready"]) for row in rows} == {
        ("pilot", "was killed by SIGSEGV", True)
    }
    assert [row["back_at"] is None for row in rows] == [True] + [False] * (died - 1), "newest first"
    status = parsed(daemon.cli("status", "--json"))
    assert status["restarts"] == {"pilot": died}
    assert status["models"][0]["state"] == "broken"
    assert f"pilot {died} since the start" in daemon.cli("status").stdout
    got = samples(raw.call(daemon, "GET", "/metrics").body.decode())
    assert got['homefire_restarts_total{child="pilot"}'] == died
    assert got['homefire_models{state="broken"}'] == 1
    assert daemon.cli("down").stdout == "Stopped.\n", "a daemon that is not ready can be stopped"


def restarts(daemon: RunningDaemon) -> list[dict[str, object]]:
    found: list[dict[str, object]] = raw.call(daemon, "GET", "/homefire/v1/restarts").json["restarts"]
    return found
