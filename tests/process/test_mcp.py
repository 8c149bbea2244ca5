"""MCP through a real daemon: a server of somebody else's is added and approved, and the package's own client, in other processes,
uses ours over both transports and both forms of the protocol.

Promises: nothing is offered before it is granted; a call that has to ask names the command that approves it, which counts once;
a key sees what is granted to it; the door is the one of every route; programs end with the daemon, also a killed one.
Does not cover: servers that misbehave (`test_mcp_sessions.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from homefire.client import Homefire
from homefire.errors import HomefireError
from tests.conftest import RunningDaemon, alive, wait_until

AT = "/homefire/v1/mcp"
FAKE = Path(__file__).parents[2] / "fakes" / "mcp_server.py"
# In a process of its own: MODE, then URL KEY for HTTP or HOMEFIRE_HOME for the relay; then calls, one a line: NAME {arguments}.
CLIENT = """
import asyncio, json, sys
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

async def main():
    mode, place, key, *calls = sys.argv[1:]
    async with httpx2.AsyncClient(headers={"authorization": "Bearer " + key}, timeout=60) as http:
        program = ["-m", "homefire.cli", "mcp", "serve"]
        server = streamable_http_client(place, http_client=http) if key else StdioServerParameters(
            command=sys.executable, args=program, env={"HOMEFIRE_HOME": place})
        async with Client(server, mode=mode) as client:
            found = {"protocol": client.protocol_version, "tools": [t.name for t in (await client.list_tools()).tools]}
            found["calls"] = []
            for call in calls:
                name, _, arguments = call.partition(" ")
                result = await client.call_tool(name, json.loads(arguments))
                found["calls"].append([result.is_error, result.content[0].text])
    print(json.dumps(found))

asyncio.run(main())
"""


def use(mode: str, place: str, key: str, *calls: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, mode, place, key, *calls],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def running(new_daemon: Callable[..., RunningDaemon], tmp_path: Path) -> Iterator[RunningDaemon]:
    daemon = new_daemon().start()
    with daemon.client() as home:
        command = [sys.executable, "-m", "mcp_server_time", "--local-timezone", "Europe/Berlin"]
        made = home.post(f"{AT}/servers", {"name": "time", "command": command})
        assert [each["state"] for each in made["tools"]] == ["new", "new"], made["why"]
        (tmp_path / "state").write_text("Does what it is told.", "utf-8")
        command = [sys.executable, str(FAKE), str(tmp_path / "state")]
        made = home.post(f"{AT}/servers", {"name": "fake", "command": command})
        assert {each["name"]: each["state"] for each in made["tools"]} == {
            "change": "new",
            "do": "new",
            "loose": "refused",
        }
    yield daemon


def states(home: Homefire, name: str) -> dict[str, str]:
    return {each["name"]: each["state"] for each in home.get(f"{AT}/servers/{name}")["tools"]}


def test_both_ends_over_both_transports(running: RunningDaemon) -> None:
    now = 'time.get_current_time {"timezone": "Europe/Paris"}'
    with running.client() as home:
        url, key = f"{running.url}/mcp", running.key
        home.post(f"{AT}/servers/time/approve", {"tools": ["get_current_time"]})
        seen = []
        for mode, protocol in (("legacy", "2025-11-25"), ("auto", "2026-07-28")):
            for place in ((url, key), (str(running.home), "")):
                found = use(mode, *place, now, 'calculate {"expression": "6*7"}', "time.convert_time {}")
                assert found["protocol"] == protocol
                (bad, text), (_, product), (refused, _) = found["calls"]
                assert not bad and "Europe/Paris" in text and "42" in product and refused
                seen.append(found["tools"])
        assert seen[0] == sorted(seen[0]) and all(each == seen[0] for each in seen)
        assert "time.get_current_time" in seen[0] and "time.convert_time" not in seen[0]
        assert not {"respond", "ask_person", "spawn_agent"} & set(seen[0])

        # a key: what is granted to it, and no documents without the scope for them
        other = home.post("/homefire/v1/keys", {"name": "other", "scopes": ["agent"]})["key"]
        theirs = use("auto", url, other)["tools"]
        assert "calculate" in theirs and "search_knowledge" not in theirs and "time.get_current_time" not in theirs
        weak = home.post("/homefire/v1/keys", {"name": "weak", "scopes": ["chat"]})["key"]
        for wrong in (weak, "sk-wrong"):
            with Homefire.connect(url=running.url, key=wrong) as client, pytest.raises(HomefireError) as refusal:
                client.relay_mcp({"jsonrpc": "2.0", "id": 1, "method": "ping"}, 10)
            assert refusal.value.code in ("missing_scope", "bad_key")


def test_what_has_to_ask_is_approved_by_its_command_and_counts_once(running: RunningDaemon) -> None:
    call = 'fake.do {"what": "echo"}'
    with running.client() as home:
        home.post(f"{AT}/servers/fake/approve", {})
        assert states(home, "fake") == {"change": "granted", "do": "granted", "loose": "refused"}
        url = f"{running.url}/mcp"
        [[bad, text]] = use("auto", url, running.key, call)["calls"]
        assert bad and "approval_needed" in text
        id_ = text.partition("homefire mcp approve --call ")[2].split()[0]
        home.post(f"{AT}/calls/{id_}", {"yes": True})
        with pytest.raises(HomefireError):
            home.post(f"{AT}/calls/{id_}", {"yes": True})
        again = use("auto", url, running.key, call, call)["calls"]
        assert again[0] == [False, "echo"] and again[1][0] and "approval_needed" in again[1][1]


def test_a_changed_tool_is_off_until_it_is_approved_anew(running: RunningDaemon) -> None:
    with running.client() as home:
        home.post(f"{AT}/servers/fake/approve", {})
        change = 'fake.change {"what": "Sends your files to me."}'
        assert use("auto", f"{running.url}/mcp", running.key, change)["calls"] == [[False, "changed"]]
        wait_until(lambda: states(home, "fake")["do"] == "changed")
        found = use("auto", f"{running.url}/mcp", running.key, 'fake.do {"what": "echo"}')
        assert "fake.do" not in found["tools"] and found["calls"][0][0]
        home.post(f"{AT}/servers/fake/approve", {"tools": ["do"]})
        assert states(home, "fake")["do"] == "granted"


def test_programs_end_with_the_daemon_and_come_back(running: RunningDaemon) -> None:
    with running.client() as home:
        pids = [each["pid"] for each in home.get(f"{AT}/servers")["servers"]]
        assert all(pids) and all(alive(pid) for pid in pids)
        os.kill(pids[0], 9)
        wait_until(lambda: states(home, "fake") != {} and home.get(f"{AT}/servers/fake")["pid"] not in (0, pids[0]), 20)
        home.delete(f"{AT}/servers/time")
        wait_until(lambda: not alive(pids[1]))
        last = home.get(f"{AT}/servers")["servers"]
        assert [each["name"] for each in last] == ["fake"]
    running.kill()
    wait_until(lambda: not alive(last[0]["pid"]))


def test_a_server_at_an_address_is_used_with_its_key(running: RunningDaemon) -> None:
    with running.client() as home:
        server = {"name": "far", "url": f"{running.url}/mcp", "key": running.key}
        made = home.post(f"{AT}/servers", server)  # our own, by our own client
        assert (made["state"], made["protocol"], made["has_key"]) == ("ready", "2026-07-28", True), made["why"]
        assert running.key not in json.dumps(made)
        home.post(f"{AT}/servers/far/approve", {"tools": ["calculate"]})
        call = 'far.calculate {"expression": "6*7"}'
        assert "42" in str(use("auto", f"{running.url}/mcp", running.key, call)["calls"])
        wrong = home.post(f"{AT}/servers", {"name": "wrong", "url": f"{running.url}/mcp", "key": "no"})
        assert wrong["state"] != "ready" and wrong["why"] and not wrong["tools"]
        with pytest.raises(HomefireError, match="https"):
            home.post(f"{AT}/servers", {"name": "plain", "url": "http://192.0.2.1/mcp"})
