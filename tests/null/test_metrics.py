"""Sensors, metrics and restarts over the real application, with made-up readings.

Promises: every line is what Prometheus reads, counts are right, and nothing of a prompt, a key or its name is in them.
Does not cover: a real daemon's numbers (`tests/process/test_watched.py`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from homefire.cli.sensors import lines
from homefire.dialects.spent import Spent, read_spent
from homefire.hardware.sensors import CpuReading, GpuReading, Live, Reading, Sensors
from homefire.server import build_app
from homefire.server.metrics import Counted, Metrics, counters, of_reading, render
from homefire.server.metrics_routes import Watched
from homefire.supervision.record import Restart
from tests.null.rig import AT, House, at_home

LINE = re.compile(r'^homefire_\w+(\{(\w+="(\\.|[^"\\])*",?)+\})? -?[\d.e+-]+$')
READING = Reading(
    1000.0,
    CpuReading((10.0, 90.5), 2500.0, 4000.0, 71.5, False),
    (GpuReading("nvidia", 'a "GPU"', 5, 24 << 30, 40.0, 66.0, None, 300.0, 1500.0, 2000.0, 5505.0, None, True),),
    16 << 30,
    8 << 30,
    0,
    0,
    {"cpu": 1.5},
)


class Given(Sensors):
    """Always the same reading."""

    def read(self) -> Reading:
        return READING


def watched(**given: Any) -> Watched:
    return Watched(**{"live": Live(Given()), "metrics": Metrics(), **given})


def with_watched(house: House, found: Watched) -> House:
    house.app = build_app(dataclasses.replace(house.rooms, watched=found))
    return house


def samples(text: str) -> dict[str, float]:
    """Name with labels -> value; holds the form of every line."""
    found, typed = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
        elif not line.startswith("# HELP "):
            assert LINE.match(line), line
            assert line.split("{")[0].split(" ")[0] in typed, "a type comes before its values"
            name, _, value = line.rpartition(" ")
            assert name not in found, "twice"
            found[name] = float(value)
    return found


def test_counts_and_gauges(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        found = watched(
            governor=lambda: {"levels": {"cpu heat": 2}, "decisions": []},
            crashes=lambda: {"pilot": 3},
            pulls=lambda: {"done": 2, "failed": 1},
        )
        with_watched(house, found)
        secret = "a prompt that nobody may read"
        for _ in range(3):
            body = {"messages": [{"role": "user", "content": secret}]}
            assert (await house.call("POST", "/v1/chat/completions", body)).status == 200
        assert (await house.call("GET", f"{AT}/conversations/none-of-this-name")).status == 404
        assert (await house.call("GET", "/metrics", key=False)).status == 401
        assert (await house.call("GET", "/not/a/route/at/all")).status == 404
        await house.call("POST", f"{AT}/keys", {"name": "the name of a key"})
        found.metrics.spent("pilot", Spent(7, 3, 15))
        found.metrics.spent("pilot", Spent(0, 0, 5, 8, 6))
        found.metrics.count("sandbox_kills_total", {"reason": "memory"})
        found.metrics.count("policy_decisions_total", {"action": "ask", "rule": "sure"}, times=4)
        await house.call("POST", f"{AT}/models/pilot/unload")
        house.keeper.decisions.note("evicted", "pilot", "A model made room.", {"why": "room"})
        house.keeper.decisions.note("evicted", "pilot", "Nobody said why.")
        await house.call("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": secret}]})
        reply = await house.call("GET", "/metrics")
        assert reply.status == 200
        assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = reply.body.decode()
        for hidden in (secret, house.key, "the name of a key", "none-of-this-name", "/not/a/route"):
            assert hidden not in text
        got = samples(text)
        asked = 'homefire_requests_total{method="%s",route="%s",status="%d"}'
        assert got[asked % ("POST", "/v1/chat/completions", 200)] == 4
        assert got[asked % ("GET", f"{AT}/conversations/{{id}}", 404)] == 1
        assert got[asked % ("GET", "refused", 401)] == 1
        assert got[asked % ("GET", "page", 404)] == 1
        assert got['homefire_request_seconds_total{route="/v1/chat/completions"}'] > 0
        assert got["homefire_requests_in_flight"] == 1, "this one"
        assert got['homefire_tokens_total{model="pilot",kind="written"}'] == 20
        assert got['homefire_tokens_total{model="pilot",kind="prompt_cached"}'] == 7
        assert got['homefire_tokens_total{model="pilot",kind="drafts_accepted"}'] == 6
        assert got['homefire_models{state="ready"}'] == 1
        assert got['homefire_model_leases{model="pilot"}'] == 0
        assert got["homefire_requests_waiting"] == 0
        assert got['homefire_restarts_total{child="pilot"}'] == 3
        assert {name: n for name, n in got.items() if "pulls" in name} == {
            'homefire_pulls_total{outcome="done"}': 2,
            'homefire_pulls_total{outcome="failed"}': 1,
        }
        assert {name: n for name, n in got.items() if "evictions" in name} == {
            'homefire_evictions_total{reason="asked"}': 1,
            'homefire_evictions_total{reason="other"}': 1,
            'homefire_evictions_total{reason="room"}': 1,
        }
        assert got['homefire_sandbox_kills_total{reason="memory"}'] == 1
        assert got['homefire_policy_decisions_total{action="ask",rule="sure"}'] == 4
        assert {name: n for name, n in got.items() if "errors" in name} == {
            'homefire_errors_total{code="missing_key"}': 1,
            'homefire_errors_total{code="unknown_conversation"}': 1,
            'homefire_errors_total{code="unknown_route"}': 1,
        }
        assert got['homefire_governor_level{rule="cpu heat"}'] == 2
        assert got["homefire_cpu_temperature_celsius"] == 71.5
        assert got['homefire_cpu_load_percent{core="1"}'] == 90.5
        gpu = '{gpu="0",name="a \\"GPU\\""}'
        assert got[f"homefire_gpu_temperature_celsius{gpu}"] == 66
        assert got[f"homefire_gpu_memory_bytes{gpu}"] == 24 << 30
        assert not any(name.startswith(("homefire_gpu_fan", "homefire_gpu_power_watts")) for name in got), "not shown"
        assert got["homefire_daemon_memory_bytes"] > 0

    at_home(tmp_path, work)


def test_what_is_not_shown_is_left_out() -> None:
    bare = Reading(1.0, CpuReading(), ())
    assert render(of_reading(bare)) == b""


def test_only_what_stands_in_the_table_is_counted() -> None:
    metrics = Metrics()
    for name, labels in (("prompts_total", {}), ("sandbox_kills_total", {"model": "m"})):
        with pytest.raises(KeyError):
            metrics.count(name, labels)
    assert b"prompts" not in render(metrics.families())


def test_labels_are_escaped() -> None:
    (line,) = render([counters("x", "y", "child", [('a"b\\c\nd', 1)])]).decode().splitlines()[2:]
    assert line == 'homefire_x{child="a\\"b\\\\c\\nd"} 1'


def test_a_client_that_leaves_and_a_defect_are_counted() -> None:
    async def scenario() -> None:
        metrics = Metrics()

        async def broken(scope: Any, receive: Any, send: Any) -> None:
            raise RuntimeError

        scope = {"type": "http", "method": "MADE-UP"}
        with pytest.raises(RuntimeError):
            await Counted(broken, metrics)(scope, None, None)  # type: ignore[arg-type]
        assert dict(metrics.requests) == {("other", "refused", 499): 1}
        assert metrics.in_flight == 0

    asyncio.run(scenario())


def test_sensors_as_json(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        reply = (await with_watched(house, watched()).call("GET", f"{AT}/sensors")).json()
        assert reply["cpu"] == {
            "cores_percent": [10.0, 90.5],
            "clock_mhz": 2500.0,
            "highest_clock_mhz": 4000.0,
            "temperature_c": 71.5,
            "slowed": False,
        }
        assert reply["gpus"][0]["fan_percent"] is None
        assert reply["age_s"] > 1e6, "the made-up reading is old, and says so"
        assert reply["governor"] is None

    at_home(tmp_path, work)


def test_sensors_as_a_stream(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        with_watched(house, watched())
        call = house.start("GET", f"{AT}/sensors/watch?seconds=0.5")
        await call.until_count(b"event: sensors", 2)
        call.leave()
        await call.task_done()
        for wrong in ("0.1", "61", "nan", "x"):
            assert (await house.call("GET", f"{AT}/sensors/watch?seconds={wrong}")).code == "invalid_request"

    at_home(tmp_path, work)


def test_restarts(tmp_path: Path) -> None:
    rows = [Restart("pilot", 5.0, "was killed by SIGSEGV", 2.0, True, 6.0)]

    async def work(house: House) -> None:
        found = watched(restarts=lambda: rows, crashes=lambda: {"pilot": 1})
        reply = (await with_watched(house, found).call("GET", f"{AT}/restarts")).json()
        assert reply == {"restarts": [dataclasses.asdict(rows[0])], "since_start": {"pilot": 1}}
        assert (await house.call("GET", f"{AT}/status")).json()["restarts"] == {"pilot": 1}

    at_home(tmp_path, work)


def test_tokens_at_the_end_of_an_answer() -> None:
    timings = b'"timings":{"cache_n":9,"prompt_n":1,"prompt_ms":15.8,"predicted_n":5,"predicted_ms":56.0}'
    assert read_spent(b'data: {"choices":[],' + timings + b"}\n\ndata: [DONE]\n\n") == Spent(9, 1, 5, read_ms=15.8)
    # What a model writes stands in a JSON string, where quotes are escaped.
    assert read_spent(b'{"content":"' + timings.replace(b'"', b'\\"') + b'"}') is None
    drafted = timings[:-1] + b',"draft_n":8,"draft_n_accepted":6}'
    assert read_spent(drafted + b"}") == Spent(9, 1, 5, 8, 6, 15.8)
    assert read_spent(b"") is None


def test_lines_for_people() -> None:
    found = {**dataclasses.asdict(READING), "age_s": 0.1, "governor": None}
    text = "\n".join(lines(found))
    assert "load 50%, 2500 MHz, 72 degrees" in text
    assert 'a "GPU": 0.0 GiB of 24.0 GiB used' in text
    assert "- of 300 W" in text
    assert "fan -" in text
    assert "held down by heat or supply" in text
    bare = {**dataclasses.asdict(Reading(1.0, CpuReading(), ())), "age_s": 9.0, "governor": None}
    assert "load -, -, -" in "\n".join(lines(bare))
    assert "9 s old" in "\n".join(lines(bare))
    assert list(lines({"age_s": None, "governor": None})) == ["The sensors do not answer."]
