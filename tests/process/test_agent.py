"""An agent in a real daemon with the model that is built in: over the command line, and over HTTP in a conversation.

Promises: the pilot calls a tool and answers with what it gave; the run stands in the conversation.
Does not cover: how well the pilot acts (`bench agent`), other ends of a run (`tests/null/test_agent_doors.py`).
"""

from __future__ import annotations

import json

from tests.conftest import RunningDaemon, wait_until

TASK = "What is 17 times 23?"


def test_the_pilot_acts(daemon: RunningDaemon) -> None:
    done = daemon.cli("agent", TASK)
    assert done.returncode == 0, done.stderr
    assert "391" in done.stdout and "calculate(" in done.stderr
    rows = [json.loads(line) for line in daemon.cli("agent", TASK, "--json").stdout.splitlines()]
    kinds = [row["kind"] for row in rows[:-1]]
    assert kinds[0] == "ordered" and "returned" in kinds and kinds[-1] == "ended"
    assert rows[-1]["event"] == "done" and "391" in rows[-1]["answer"]
    assert rows[-1]["tokens"] > 0 and rows[-1]["model"]


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
