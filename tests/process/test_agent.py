"""An agent in a real daemon with the model that is built in: over the command line, and over HTTP in a conversation.

Promises: the pilot calls a tool and answers with what it gave; the run stands in the conversation.
Does not cover: how well the pilot acts (`bench agent`), other ends of a run (`tests/null/test_agent_doors.py`).
"""

from __future__ import annotations

import datetime
import json
from typing import Any

from homefire.paths import RunId
from tests.conftest import RunningDaemon, wait_until

TASK = "What is 17 times 23?"
CHAIN = "what is the date in 52 days, then make the file day.txt out of it"


def test_the_pilot_acts(daemon: RunningDaemon) -> None:
    done = daemon.cli("agent", TASK)
    assert done.returncode == 0, done.stderr
    assert "391" in done.stdout and "calculate(" in done.stderr
    rows = [json.loads(line) for line in daemon.cli("agent", TASK, "--json").stdout.splitlines()]
    kinds = [row["kind"] for row in rows[:-1]]
    assert kinds[0] == "ordered" and "returned" in kinds and kinds[-1] == "ended"
    assert rows[-1]["event"] == "done" and "391" in rows[-1]["answer"]
    assert rows[-1]["tokens"] > 0 and rows[-1]["model"]


def test_a_chain_of_three_calls(daemon: RunningDaemon) -> None:
    """Each call is made of what the one before gave: the clock, a sum of days, a file. Over the command line and over HTTP."""
    done = daemon.cli("agent", CHAIN, "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    check_chain([row for row in rows[:-1] if row["event"] == "step"])
    with daemon.client() as home:
        made = home.post("/homefire/v1/agent/runs", {"task": CHAIN})
        assert list(home.stream(f"/homefire/v1/agent/runs/{made['id']}/steps", method="GET"))[-1].name == "done"
        check_chain(home.get(f"/homefire/v1/agent/runs/{made['id']}/steps")["steps"])
        file = daemon.paths.workplace(RunId(made["id"])) / "day.txt"
    assert file.read_text("utf-8") == wanted_day()


def check_chain(steps: list[dict[str, Any]]) -> None:
    called = [step for step in steps if step["kind"] == "called"]
    assert [step["tool"] for step in called] == ["current_time", "add_days", "write_file"], steps
    assert json.loads(called[2]["arguments"]) == {"path": "day.txt", "text": wanted_day()}
    assert [step["status"] for step in steps if step["kind"] == "returned"] == ["ok"] * 3


def wanted_day() -> str:
    return (datetime.date.today() + datetime.timedelta(52)).isoformat()


def test_a_run_in_a_conversation(daemon: RunningDaemon) -> None:
    with daemon.client() as home:
        conversation = home.post("/homefire/v1/conversations")["id"]
        made = home.post("/homefire/v1/agent/runs", {"task": TASK, "conversation": conversation})
        events = list(home.stream(f"/homefire/v1/agent/runs/{made['id']}/steps", method="GET"))
        assert events[-1].name == "done" and events[-1].data["ending"] == "answered"

        def message() -> dict[str, object]:
            messages = home.get(f"/homefire/v1/conversations/{conversation}")["messages"]
            assert messages[-1]["run"] == made["id"]
            return dict(messages[-1])

        wait_until(lambda: message()["state"] == "complete")
        assert "391" in str(message()["content"])
        assert {tool["name"] for tool in home.get("/homefire/v1/tools")["tools"]} >= {
            "calculate",
            "write_file",
            "run_code",
        }
