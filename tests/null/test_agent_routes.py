"""Agents and tools over HTTP, WebSocket and gRPC, with runs whose steps are scripted.

Promises: every route with a key that has its scope and one that has another; whose a run is; a stream that is left and taken up
again; an answer in a conversation for each way in which a run ends; bad input ends in one clear error.
Does not cover: what a run does (`tests/process`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from homefire.agent.step import KINDS, Entry, to_json
from homefire.safety.boundary import ToolSpec
from homefire.safety.taint import label
from homefire.server import agent_routes
from homefire.server.proto import assistant_pb2 as pb
from homefire.server.rpc_services import _without_null
from homefire.server.tool_routes import asks_of
from homefire.store import GrantRow
from tests.null.rig import AT, House, at_home
from tests.null.scripted_runs import SHOWN, SPECS, TEXT, ScriptedRuns, scripted
from tests.null.test_event_socket import new_key, opened
from tests.null.test_rpc import served

RUNS = f"{AT}/agent/runs"
TOOLS = f"{AT}/tools"
LIVE = [("accept", "text/event-stream")]
Work = Callable[[House, ScriptedRuns], Coroutine[Any, Any, None]]


def with_runs(home: Path, work: Work, again: ScriptedRuns | None = None) -> ScriptedRuns:
    made: list[ScriptedRuns] = []

    async def whole(house: House) -> None:
        await work(house, made[0])
        await made[0].die()

    at_home(home, whole, agents=scripted(made, again))
    return made[0]


async def begun(house: House, task: str, **fields: Any) -> dict[str, Any]:
    said = await house.call("POST", RUNS, {"task": task, **fields})
    assert said.status == 201, said.body
    return dict(said.json())


def events(body: bytes) -> list[tuple[str, int | None, Any]]:
    """Name, id and data of each event; comments are left out."""
    found = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in block.split("\n") if not line.startswith(":"))
        if "data" in fields:
            mark = int(fields["id"]) if "id" in fields else None
            found.append((fields["event"], mark, json.loads(fields["data"])))
    return found


async def until(house: House, run: str, state: str, key: str | None = None) -> dict[str, Any]:
    headers = [("authorization", f"Bearer {key}")] if key else None
    for _ in range(500):
        found = (await house.call("GET", f"{RUNS}/{run}", headers=headers)).json()
        if found["state"] == state:
            return dict(found)
        await asyncio.sleep(0.005)
    raise AssertionError(f"{run} never came to {state}: {found}")


def test_a_run_is_begun_followed_and_forgotten(tmp_path: Path) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        made = await begun(house, "add 17 and 23", steps=9, seconds=5, tools=["calculate"], without_guards=["repeats"])
        order = runs.orders[0]
        assert (order.budget, order.guards) == ({"steps": 9.0, "seconds": 5.0}, {"repeats": False})
        assert order.tools == ("calculate",)
        live = await house.start("GET", f"{RUNS}/{made['id']}/steps", headers=LIVE).reply()
        heard = events(live.body)
        assert [data["kind"] for name, _, data in heard if name == "step"] == [
            "ordered", "thought", "called", "begun", "returned", "answered", "ended"
        ]  # fmt: skip
        assert "".join(data["text"] for name, _, data in heard if name == "piece") == "I will add."
        name, _, done = heard[-1]
        assert (name, done["state"], done["ending"], done["answer"]) == ("done", "ended", "answered", "It is 391.")
        assert "key" not in done
        stored = (await house.call("GET", f"{RUNS}/{made['id']}/steps?from=2&limit=2")).json()
        assert [step["n"] for step in stored["steps"]] == [2, 3] and (stored["next"], stored["more"]) == (4, True)
        assert (await house.call("GET", RUNS)).json()["runs"] == [done]
        assert (await house.call("DELETE", f"{RUNS}/{made['id']}")).status == 204
        assert (await house.call("GET", f"{RUNS}/{made['id']}")).code == "unknown_run"

    with_runs(tmp_path, work)


def test_a_stream_is_taken_up_where_it_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_routes, "QUIET_SECONDS", 0.02)

    async def work(house: House, runs: ScriptedRuns) -> None:
        run = (await begun(house, "write it"))["id"]
        await until(house, run, "waiting")
        first = house.start("GET", f"{RUNS}/{run}/steps", headers=LIVE)
        await first.until(b": alive")
        first.leave()
        await first.task_done()
        last = max(mark for _, mark, _ in events(first.body) if mark is not None)
        again = house.start("GET", f"{RUNS}/{run}/steps", headers=[*LIVE, ("last-event-id", str(last))])
        await again.until(b": alive")
        await house.call("POST", f"{RUNS}/{run}/decide", {"call": "c1", "yes": True})
        heard = events((await again.reply()).body)
        assert [mark for _, mark, _ in heard if mark is not None] == list(range(last + 1, last + 5)), "each once"
        assert heard[-1][0] == "done"

    with_runs(tmp_path, work)


@pytest.mark.parametrize(("yes", "answer"), [(True, "Done."), (False, "Not done.")])
def test_a_person_sees_exactly_what_is_asked_and_decides(tmp_path: Path, yes: bool, answer: str) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        run = (await begun(house, "write it"))["id"]
        (question,) = (await until(house, run, "waiting"))["questions"]
        assert (question["shown"], question["tool"], question["approval"]) == (SHOWN, "write_file", "ap1")
        bad = await house.call("POST", f"{RUNS}/{run}/decide", {"call": "c9", "yes": True})
        assert bad.code == "not_asked"
        decided = await house.call("POST", f"{RUNS}/{run}/decide", {"call": "c1", "yes": yes})
        assert decided.status == 200, decided.body
        found = await until(house, run, "ended")
        assert (found["answer"], found["questions"]) == (answer, [])
        again = await house.call("POST", f"{RUNS}/{run}/decide", {"call": "c1", "yes": yes})
        assert again.code == "not_asked", "a word counts once"
        kept = [
            each for each in (await house.call("GET", f"{AT}/audit")).json()["entries"] if "decided" in each["what"]
        ]
        assert [each["about"] for each in kept] == [f"{run} c1: {'yes' if yes else 'no'}"]

    with_runs(tmp_path, work)


def test_an_answer_told_stop_and_resume(tmp_path: Path) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        asking = (await begun(house, "ask me"))["id"]
        await until(house, asking, "waiting")
        await house.call("POST", f"{RUNS}/{asking}/decide", {"call": "c1", "text": "blue"})
        assert (await until(house, asking, "ended"))["answer"] == "Done: blue."
        held = (await begun(house, "hold on"))["id"]
        assert (await house.call("POST", f"{RUNS}/{held}/say", {"text": "and quickly"})).status == 200
        kinds = [s["kind"] for s in (await house.call("GET", f"{RUNS}/{held}/steps")).json()["steps"]]
        assert kinds.count("ordered") == 2
        stopped = (await house.call("POST", f"{RUNS}/{held}/stop")).json()
        assert (stopped["state"], stopped["ending"]) == ("ended", "stopped")
        assert (await house.call("POST", f"{RUNS}/{held}/resume")).code == "run_ended"
        held = (await begun(house, "hold on"))["id"]
        await runs.die()
        assert (await house.call("POST", f"{RUNS}/{held}/resume")).json()["state"] == "running"

    with_runs(tmp_path, work)


def test_a_run_is_its_keys(tmp_path: Path) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        own, other = await new_key(house, "robot", "agent"), await new_key(house, "another", "agent", "tools")
        chat = await new_key(house, "chatter", "chat")
        as_own = [("authorization", f"Bearer {own}")]
        made = await house.call("POST", RUNS, {"task": "write it"}, as_own)
        run = made.json()["id"]
        await until(house, run, "waiting", own)
        for key in (other, house.key):
            headers = [("authorization", f"Bearer {key}")]
            for method, path, body in (
                ("GET", "", None), ("GET", "/steps", None), ("DELETE", "", None), ("POST", "/stop", {}),
                ("POST", "/resume", {}), ("POST", "/say", {"text": "x"}), ("POST", "/decide", {"call": "c1"}),
            ):  # fmt: skip
                assert (await house.call(method, f"{RUNS}/{run}{path}", body, headers)).code == "unknown_run", path
            assert (await house.call("GET", RUNS, headers=headers)).json()["runs"] == []
        refused = await house.call("POST", RUNS, {"task": "add"}, [("authorization", f"Bearer {chat}")])
        assert refused.code == "missing_scope"
        # Its own yes would be no question; its no, and the person's word, are.
        assert (await house.call("POST", f"{RUNS}/{run}/decide", {"call": "c1"}, as_own)).code == "missing_scope"
        assert (await house.call("GET", f"{RUNS}?key=robot")).json()["runs"][0]["id"] == run
        assert (await house.call("POST", f"{RUNS}/{run}/decide?key=robot", {"call": "c1"})).status == 200
        assert (await until(house, run, "ended", own))["answer"] == "Done."
        assert (await house.call("GET", f"{RUNS}?key=robot", headers=as_own)).code == "missing_scope"
        assert (await house.call("GET", f"{RUNS}?key=nobody")).code == "unknown_key"

    with_runs(tmp_path, work)


def test_a_run_ends_with_its_key(tmp_path: Path) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        key = await new_key(house, "robot", "agent")
        made = await house.call("POST", RUNS, {"task": "hold on"}, [("authorization", f"Bearer {key}")])
        own = await begun(house, "hold on")
        assert (await house.call("DELETE", f"{AT}/keys/robot")).status == 204
        run = runs.runs[made.json()["id"]]
        async with asyncio.timeout(5), runs.news:
            await runs.news.wait_for(lambda: run.row.state == "ended")
        assert run.row.ending == "stopped"
        assert runs.runs[own["id"]].row.state == "running", "the person's goes on"

    with_runs(tmp_path, work)


def test_a_run_that_outlived_the_daemon_still_ends_with_its_key(tmp_path: Path) -> None:
    async def begins(house: House, runs: ScriptedRuns) -> None:
        key = await new_key(house, "robot", "agent")
        await house.call("POST", RUNS, {"task": "hold on"}, [("authorization", f"Bearer {key}")])

    async def revokes(house: House, runs: ScriptedRuns) -> None:
        (run,) = runs.runs.values()
        await house.call("DELETE", f"{AT}/keys/robot")
        async with asyncio.timeout(5), runs.news:
            await runs.news.wait_for(lambda: run.row.state == "ended")

    runs = with_runs(tmp_path, begins)
    runs.news = asyncio.Condition()
    for run in runs.runs.values():
        run.row = replace(run.row, state="running")
    with_runs(tmp_path, revokes, runs)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_request"),
        ({"task": ""}, "invalid_request"),
        ({"task": "x", "mode": "wild"}, "invalid_request"),
        ({"task": "x", "steps": 0}, "invalid_request"),
        ({"task": "x", "more": 1}, "invalid_request"),
        ({"task": "x", "folder": "here"}, "invalid_request"),
        ({"task": "x", "again": "m1"}, "invalid_request"),
        ({"task": "x", "parent_id": None}, "invalid_request"),
        ({"task": "x", "model": "gpt-9"}, "unknown_model"),
        ({"task": "x", "conversation": "c0"}, "unknown_conversation"),
        ({"task": "refuse"}, "engine_busy"),
        ({"task": "x" * 2_000_000}, "body_too_large"),
    ],
)
def test_orders_that_are_none(tmp_path: Path, body: dict[str, Any], code: str) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        assert (await house.call("POST", RUNS, body)).code == code
        assert runs.orders == []

    with_runs(tmp_path, work)


def test_a_folder_of_this_machine_needs_admin(tmp_path: Path) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        key = [("authorization", f"Bearer {await new_key(house, 'robot', 'agent')}")]
        body = {"task": "add", "folder": str(tmp_path)}
        assert (await house.call("POST", RUNS, body, key)).code == "missing_scope"
        assert (await house.call("POST", RUNS, body)).status == 201
        assert runs.orders[0].folder == str(tmp_path)

    with_runs(tmp_path, work)


def test_a_run_in_a_conversation_becomes_its_answer(tmp_path: Path) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        conversation = await house.conversation()
        made = await begun(house, "add 17 and 23", conversation=conversation)
        question, answer = made["messages"]
        assert (question["content"], answer["run"], answer["parent_id"]) == (
            "add 17 and 23",
            made["id"],
            question["id"],
        )
        found = await answered(house, conversation, answer["id"])
        assert (found["state"], found["content"], found["run"]) == ("complete", "It is 391.", made["id"])
        assert found["usage"] == {"prompt_tokens": 27, "completion_tokens": 12, "total_tokens": 39}
        assert found["answered_by"]["name"] == "pilot"
        second = await begun(house, "write it", conversation=conversation)
        assert second["messages"][0]["parent_id"] == answer["id"], "after the newest"
        await house.call("POST", f"{RUNS}/{second['id']}/decide", {"call": "c1"})
        again = (await house.call("POST", RUNS, {"conversation": conversation, "again": answer["id"]})).json()
        assert (again["task"], len(again["messages"])) == ("add 17 and 23", 1)
        assert again["messages"][0]["parent_id"] == question["id"]
        unknown = await house.call("POST", RUNS, {"conversation": conversation, "again": question["id"]})
        assert unknown.code == "unknown_message"
        key = [("authorization", f"Bearer {await new_key(house, 'robot', 'agent')}")]
        body = {"task": "add", "conversation": conversation}
        assert (await house.call("POST", RUNS, body, key)).code == "missing_scope", "it needs chat too"

    with_runs(tmp_path, work)


@pytest.mark.parametrize(
    ("task", "state", "code"),
    [("loop", "failed", "loop"), ("hold", "stopped", None), ("refuse", "failed", "engine_busy")],
)
def test_an_answer_says_how_its_run_ended(tmp_path: Path, task: str, state: str, code: str | None) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        conversation = await house.conversation()
        said = await house.call("POST", RUNS, {"task": task, "conversation": conversation})
        if task == "hold":
            await house.call("POST", f"{RUNS}/{said.json()['id']}/stop")
        found = await answered(house, conversation)
        assert (found["state"], (found["error"] or {}).get("code")) == (state, code)
        assert code is None or found["error"]["next_step"]

    with_runs(tmp_path, work)


def test_an_answer_finds_its_run_again_after_a_crash(tmp_path: Path) -> None:
    ids: list[str] = []

    async def dies(house: House, runs: ScriptedRuns) -> None:
        conversation = await house.conversation()
        ids.append(conversation)
        ids.extend([(await begun(house, "write it", conversation=conversation))["id"]])
        await until(house, ids[1], "waiting")

    async def comes_back(house: House, runs: ScriptedRuns) -> None:
        found = await answered(house, ids[0], wanted=("interrupted",))
        assert found["run"] == ids[1], "the page finds the run by the conversation"
        assert (await house.call("POST", f"{RUNS}/{ids[1]}/resume")).status == 200
        assert (await answered(house, ids[0], wanted=("streaming",)))["error"] is None
        await until(house, ids[1], "waiting")
        await house.call("POST", f"{RUNS}/{ids[1]}/decide", {"call": "c1"})
        assert (await answered(house, ids[0]))["content"] == "Done."

    runs = with_runs(tmp_path, dies)
    runs.news = asyncio.Condition()

    async def marked(house: House, runs: ScriptedRuns) -> None:
        assert await house.conversations.mark_interrupted() == 1
        await comes_back(house, runs)

    with_runs(tmp_path, marked, runs)


async def answered(
    house: House, conversation: str, message: str = "", wanted: tuple[str, ...] = ("complete", "failed", "stopped")
) -> dict[str, Any]:
    for _ in range(500):
        messages = (await house.call("GET", f"{AT}/conversations/{conversation}")).json()["messages"]
        found = next(m for m in reversed(messages) if m["role"] == "assistant" and message in ("", m["id"]))
        if found["state"] in wanted:
            return dict(found)
        await asyncio.sleep(0.005)
    raise AssertionError(f"it never came to {wanted}: {found}")


def test_the_websocket_tells_of_runs(tmp_path: Path) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        socket = await opened(house)
        assert (await socket.ask(subscribe=["runs"]))["data"]["to"] == ["runs"]
        await begun(house, "write it")
        told = await socket.event("runs")
        assert told["data"]["task"] == "write it"
        await socket.leave()

    with_runs(tmp_path, work)


def test_timers(tmp_path: Path) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        assert (await house.call("GET", f"{AT}/agent/timers")).json()["timers"][0]["text"] == "tea"
        key = [("authorization", f"Bearer {await new_key(house, 'robot', 'agent')}")]
        assert (await house.call("GET", f"{AT}/agent/timers", headers=key)).json() == {"timers": []}
        assert (await house.call("DELETE", f"{AT}/agent/timers/t1", headers=key)).code == "invalid_request"
        assert (await house.call("DELETE", f"{AT}/agent/timers/t1")).status == 204
        assert (await house.call("GET", f"{AT}/agent/timers")).json() == {"timers": []}

    with_runs(tmp_path, work)


# -- tools


async def tool(house: House, name: str, headers: Any = None, query: str = "") -> dict[str, Any]:
    rows = (await house.call("GET", f"{TOOLS}{query}", headers=headers)).json()["tools"]
    return next(dict(row) for row in rows if row["name"] == name)


def test_tools_are_listed_granted_and_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)

    async def work(house: House, runs: ScriptedRuns) -> None:
        assert (await tool(house, "calculate"))["why_not"] == ""
        before = await tool(house, "write_file")
        assert (before["granted"], before["grant"], before["risk"]) == (False, None, "write")
        assert "homefire tools allow write_file" in before["why_not"]
        assert (await tool(house, "run_code"))["why_not"] == "No sandbox holds here."
        body = {"folders": [str(tmp_path / "link")], "ask": True}
        given = (await house.call("PUT", f"{TOOLS}/write_file/grant", body)).json()
        assert given == await tool(house, "write_file")
        assert given["grant"] == {
            "folders": [str(folder)], "hosts": [], "recipients": [], "largest": 65_536, "ask": True, "changed": False,
        }  # fmt: skip
        assert (given["granted"], given["asks"], given["why_not"]) == (True, "always", "")
        assert (await house.call("DELETE", f"{TOOLS}/write_file/grant")).status == 204
        assert not (await tool(house, "write_file"))["granted"]
        assert (await house.call("DELETE", f"{TOOLS}/calculate/grant")).status == 204
        assert not (await tool(house, "calculate"))["granted"], "what every key has can be taken back too"
        entries = (await house.call("GET", f"{AT}/audit")).json()["entries"]
        assert [each["about"] for each in entries if each["what"] == "tool granted"] == [
            f"write_file to the person; roots {folder}; asks"
        ]
        assert [each["about"] for each in entries if each["what"] == "tool taken back"] == [
            "calculate from the person", "write_file from the person",
        ]  # fmt: skip

    with_runs(tmp_path / "home", work)


def test_a_grant_is_a_keys_and_only_admin_gives_one(tmp_path: Path) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        headers = [("authorization", f"Bearer {await new_key(house, 'robot', 'agent', 'tools')}")]
        body = {"folders": [str(tmp_path)]}
        assert (await house.call("PUT", f"{TOOLS}/write_file/grant", body, headers)).code == "missing_scope"
        assert (await house.call("DELETE", f"{TOOLS}/write_file/grant", None, headers)).code == "missing_scope"
        given = await house.call("PUT", f"{TOOLS}/write_file/grant", {**body, "key": "robot"})
        assert given.json()["granted"]
        assert (await tool(house, "write_file", headers))["granted"]
        assert (await tool(house, "write_file", query="?key=robot"))["granted"]
        assert not (await tool(house, "write_file"))["granted"], "another's grant is not the person's"
        chat = [("authorization", f"Bearer {await new_key(house, 'chatter', 'chat')}")]
        assert (await house.call("GET", TOOLS, headers=chat)).code == "missing_scope"

    with_runs(tmp_path, work)


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("fly", {}, "unknown_tool"),
        ("write_file", {"folders": ["notes"]}, "invalid_request"),
        ("write_file", {"folders": ["/no/such/folder"]}, "invalid_request"),
        ("write_file", {"folders": ["/\u0000"]}, "invalid_request"),
        ("write_file", {"hosts": ["example.org"]}, "invalid_request"),
        ("calculate", {"recipients": ["me@example.org"]}, "invalid_request"),
        ("write_file", {"key": "nobody"}, "unknown_key"),
        ("write_file", {"risk": "read"}, "invalid_request"),
        ("write_file", {"largest": 0}, "invalid_request"),
    ],
)
def test_grants_that_are_none(tmp_path: Path, name: str, body: dict[str, Any], code: str) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        assert (await house.call("PUT", f"{TOOLS}/{name}/grant", body)).code == code

    with_runs(tmp_path, work)


def test_what_asks_is_said_as_the_boundary_decides() -> None:
    said = {spec.name: asks_of(spec, None)[0] for spec in SPECS}
    assert said == {"calculate": "never", "run_code": "sometimes", "write_file": "sometimes"}
    pay = ToolSpec("pay", "Pays.", TEXT, "spend")
    assert asks_of(pay, GrantRow("k", "pay", pay.pin))[0] == "always"
    mail = ToolSpec("mail", "Sends.", TEXT, "send", recipients=("text",))
    assert asks_of(mail, GrantRow("k", "mail", mail.pin)) == (
        "sometimes", "It asks about recipients that the grant does not name, and where untrusted text was read.",
    )  # fmt: skip


# -- gRPC


def test_a_run_over_grpc(tmp_path: Path) -> None:
    async def work(house: House, runs: ScriptedRuns) -> None:
        async with served(house) as client:
            made = await client.start("/homefire.v1.Agents/Start", pb.StartRunRequest(task="write it", steps=9))
            assert runs.orders[0].budget == {"steps": 9.0}
            await until(house, made.id, "waiting")
            found = await client.start("/homefire.v1.Agents/Show", pb.RunRequest(id=made.id))
            assert (found.questions[0].shown, found.questions[0].approval) == (SHOWN, "ap1")
            said = pb.DecideRequest(id=made.id, call="c1", yes=True)
            assert (await client.start("/homefire.v1.Agents/Decide", said)).id == made.id
            events = [
                each async for each in client.start("/homefire.v1.Agents/Follow", pb.FollowRunRequest(id=made.id))
            ]
            assert [each.step.kind for each in events[:-1]] == [
                "ordered", "called", "asked", "decided", "returned", "answered", "ended"
            ]  # fmt: skip
            assert events[-1].done.answer == "Done."
            later = pb.FollowRunRequest(id=made.id, **{"from": 5})
            assert [each.step.n async for each in client.start("/homefire.v1.Agents/Follow", later)][:-1] == [5, 6]
            assert (await client.start("/homefire.v1.Agents/List", pb.ListRunsRequest())).runs[0].id == made.id
            held = await client.start("/homefire.v1.Agents/Start", pb.StartRunRequest(task="hold on"))
            await client.start("/homefire.v1.Agents/Say", pb.SayRequest(id=held.id, text="quickly"))
            stopped = await client.start("/homefire.v1.Agents/Stop", pb.RunRequest(id=held.id))
            assert (stopped.state, stopped.ending) == ("ended", "stopped")
            over = client.start("/homefire.v1.Agents/Resume", pb.RunRequest(id=held.id))
            assert await client.refused(over) == ("FAILED_PRECONDITION", "run_ended")
            await client.start("/homefire.v1.Agents/Remove", pb.RunRequest(id=held.id))
            gone = client.start("/homefire.v1.Agents/Show", pb.RunRequest(id=held.id))
            assert await client.refused(gone) == ("NOT_FOUND", "unknown_run")

    with_runs(tmp_path, work)


def test_every_step_and_run_fits_its_message(tmp_path: Path) -> None:
    """Strictly: a field of a route that its message lacks is an error here."""
    entries = [
        Entry(0, 1.0, kind(**{each.name: _any(each.name) for each in fields(kind)}), 3, 4) for kind in KINDS.values()
    ]
    for entry in entries:
        json_format.ParseDict(to_json(entry), pb.AgentStep())

    async def work(house: House, runs: ScriptedRuns) -> None:
        conversation = await house.conversation()
        made = await begun(house, "write it", conversation=conversation)
        waits = await until(house, made["id"], "waiting")
        for found in (made, waits):
            json_format.ParseDict(_without_null(found), pb.AgentRun())

    with_runs(tmp_path, work)


def _any(name: str) -> Any:
    if name in ("yes", "idempotent"):
        return True
    if name in ("tokens", "size", "seconds", "first", "last"):
        return 2
    return label("tool") if name == "label" else "x"
