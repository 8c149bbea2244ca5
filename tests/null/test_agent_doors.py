"""The doors on real runs: journals on a disk, the real boundary, real effects; only who decides is scripted.

Promises: a chain of calls over HTTP, a file written after a yes and not before, a no, a run that was broken off at a question and
asks again, a default grant that stays taken back, a folder that nobody granted.
Does not cover: a model (`tests/process`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from homefire.agent.runs import Given, Runs, RunsRules
from homefire.agent.step import Answered, Called, Ended, Returned
from homefire.agent.timers import Timers
from homefire.agent.tool import Tool
from homefire.agent.tools import Around, all_tools
from homefire.daemon.doors import make_doors
from homefire.paths import Paths
from homefire.safety import Boundary
from homefire.safety.taint import label
from homefire.server.agent_routes import Agents
from homefire.server.authority import Authority
from homefire.server.tool_routes import ToolRooms
from homefire.store import Conversations, RunRows, Safety, Store
from tests.null.rig import AT, House, at_home
from tests.null.test_agent_routes import LIVE, RUNS, TOOLS, answered, begun, events, tool, until
from tests.null.test_event_socket import new_key

Work = Callable[[House], Coroutine[Any, Any, None]]


class Script:
    """A loop that makes the calls that its task lists, one a line: `TOOL {arguments}`; the last result is the answer."""

    def __init__(self, given: Given) -> None:
        self._given = given

    async def run(self) -> Ended:
        record, returned = self._given.record, None
        done = {e.step.call for e in record.entries if isinstance(e.step, Returned)}
        known = {e.step.call for e in record.entries if isinstance(e.step, Called)}
        for number, line in enumerate(self._given.order.task.splitlines()):
            name, _, arguments = line.partition(" ")
            call = Called(f"c{number}", name, arguments)
            if call.call in done:
                continue
            if call.call not in known:
                await record.add(call, 10, 5)
            returned = await self._given.hands.do(call, label("person"))
            await record.add(returned)
        await record.add(Answered(returned.text if returned is not None else ""))
        ended = Ended("answered")
        return ended


async def make_script(given: Given) -> Script:
    return Script(given)


class Whole:
    """For the rig's `agents`; `runs` are those of the last house."""

    def __init__(self, home: Path) -> None:
        self._paths = Paths(home)
        self.runs: Runs | None = None
        self.boundary: Boundary | None = None

    def __call__(self, store: Store, conversations: Conversations, authority: Authority) -> tuple[Agents, ToolRooms]:
        rows, stored = RunRows(store), Safety(store)
        timers = Timers(rows)
        made = {each.spec.name: each for each in all_tools(Around(rows, timers))}

        def tools() -> Mapping[str, Tool]:
            return made

        self.boundary = boundary = Boundary((each.spec for each in made.values()), stored, (self._paths.home,))
        self.runs = Runs(
            rows, self._paths, boundary, stored, tools=tools, make=make_script, rules=RunsRules(resume=False)
        )
        return make_doors(
            self.runs,
            timers,
            boundary,
            tools,
            conversations=conversations,
            authority=authority,
            default_model=lambda: "pilot",
            no_walls=lambda: "no walls were found.",
        )

    async def open(self) -> None:
        """As the daemon does, from below."""
        assert self.runs is not None and self.boundary is not None
        await self.boundary.open()
        await self.runs.open()

    async def close(self) -> None:
        assert self.runs is not None
        await self.runs.close()


def with_agents(home: Path, work: Work) -> None:
    whole = Whole(home)

    async def inner(house: House) -> None:
        await whole.open()
        try:
            await work(house)
        finally:
            await whole.close()

    at_home(home, inner, agents=whole)


def write(path: Path, text: str = "hello") -> str:
    return "write_file " + json.dumps({"path": str(path), "text": text})


def test_a_chain_of_three_calls_over_http(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        calls = ("17*23", "391-1", "390/2")
        task = "\n".join(f"calculate {json.dumps({'expression': each})}" for each in calls)
        run = (await begun(house, task))["id"]
        heard = events((await house.start("GET", f"{RUNS}/{run}/steps", headers=LIVE).reply()).body)
        texts = [json.loads(data["text"]) for name, _, data in heard if name == "step" and data["kind"] == "returned"]
        assert [str(each) for each in texts] == ["391", "390", "195"] or "195" in str(texts[-1])
        name, _, done = heard[-1]
        assert (name, done["ending"], done["tokens"]) == ("done", "answered", 45)

    with_agents(tmp_path / "home", work)


def test_a_file_is_written_after_a_yes_and_not_before(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()

    async def work(house: House) -> None:
        body = {"folders": [str(folder)], "ask": True}
        assert (await house.call("PUT", f"{TOOLS}/write_file/grant", body)).status == 200
        conversation = await house.conversation()
        made = await begun(house, write(folder / "a.txt"), conversation=conversation)
        (question,) = (await until(house, made["id"], "waiting"))["questions"]
        assert json.loads(question["shown"])["arguments"]["path"] == str(folder / "a.txt")
        assert not (folder / "a.txt").exists()
        said = await house.call("POST", f"{RUNS}/{made['id']}/decide", {"call": question["call"]})
        assert said.status == 200, said.body
        assert (await answered(house, conversation))["state"] == "complete"
        assert (folder / "a.txt").read_text("utf-8") == "hello"
        second = await begun(house, write(folder / "b.txt"))
        await until(house, second["id"], "waiting")
        await house.call("POST", f"{RUNS}/{second['id']}/decide", {"call": "c0", "yes": False})
        await until(house, second["id"], "ended")
        assert not (folder / "b.txt").exists()
        assert (await house.call("POST", f"{RUNS}/{second['id']}/stop")).code == "run_ended"

    with_agents(tmp_path / "home", work)


def test_a_question_that_was_broken_off_is_asked_again(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    known: list[str] = []

    async def dies(house: House) -> None:
        await house.call("PUT", f"{TOOLS}/write_file/grant", {"folders": [str(folder)], "ask": True})
        known.append(await house.conversation())
        known.append((await begun(house, write(folder / "a.txt"), conversation=known[0]))["id"])
        await until(house, known[1], "waiting")

    async def comes_back(house: House) -> None:
        await house.conversations.mark_interrupted()
        assert (await house.call("GET", f"{RUNS}/{known[1]}")).json()["state"] == "interrupted"
        assert (await house.call("POST", f"{RUNS}/{known[1]}/resume")).status == 200
        await until(house, known[1], "waiting")
        said = await house.call("POST", f"{RUNS}/{known[1]}/decide", {"call": "c0"})
        assert said.status == 200, said.body
        assert (await answered(house, known[0]))["state"] == "complete"
        assert (folder / "a.txt").read_text("utf-8") == "hello"
        kinds = [step["kind"] for step in (await house.call("GET", f"{RUNS}/{known[1]}/steps")).json()["steps"]]
        assert kinds.count("begun") == 1 and kinds.count("returned") == 1

    with_agents(tmp_path / "home", dies)
    with_agents(tmp_path / "home", comes_back)


def test_what_is_granted_by_default_stays_taken_back(tmp_path: Path) -> None:
    async def takes(house: House) -> None:
        assert (await tool(house, "calculate"))["granted"]
        assert (await tool(house, "web_fetch"))["why_not"]
        assert "no walls were found" in (await tool(house, "run_shell"))["why_not"]
        assert (await house.call("DELETE", f"{TOOLS}/calculate/grant")).status == 204

    async def looks(house: House) -> None:
        assert not (await tool(house, "calculate"))["granted"]
        run = (await begun(house, 'calculate {"expression": "1"}'))["id"]
        await until(house, run, "ended")
        steps = (await house.call("GET", f"{RUNS}/{run}/steps")).json()["steps"]
        (returned,) = [step for step in steps if step["kind"] == "returned"]
        assert returned["status"] in ("refused", "error") and returned["text"] != "1"

    with_agents(tmp_path / "home", takes)
    with_agents(tmp_path / "home", looks)


def test_a_folder_needs_its_grant_and_a_run_is_its_keys(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()

    async def work(house: House) -> None:
        body = {"task": write(folder / "a.txt"), "folder": str(folder)}
        assert (await house.call("POST", RUNS, body)).code == "folder_not_granted"
        await house.call("PUT", f"{TOOLS}/write_file/grant", {"folders": [str(folder)]})
        run = (await house.call("POST", RUNS, body)).json()["id"]
        await until(house, run, "ended")
        assert (folder / "a.txt").exists()
        headers = [("authorization", f"Bearer {await new_key(house, 'robot', 'agent')}")]
        assert (await house.call("GET", f"{RUNS}/{run}", headers=headers)).code == "unknown_run"
        assert (await house.call("DELETE", f"{RUNS}/{run}", headers=headers)).code == "unknown_run"
        assert (await house.call("DELETE", f"{RUNS}/{run}")).status == 204
        assert (await house.call("GET", f"{RUNS}/{run}/steps")).code == "unknown_run"
        entries = (await house.call("GET", f"{AT}/audit")).json()["entries"]
        assert any(each["what"] == "agent's run removed" for each in entries)

    with_agents(tmp_path / "home", work)


def test_a_timer_that_an_agent_set_is_seen_and_put_away(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        run = (await begun(house, 'set_timer {"minutes": 60, "label": "tea"}'))["id"]
        await until(house, run, "ended")
        (timer,) = (await house.call("GET", f"{AT}/agent/timers")).json()["timers"]
        assert (timer["text"], timer["state"], timer["run"]) == ("tea", "waiting", run)
        assert (await house.call("DELETE", f"{AT}/agent/timers/{timer['id']}")).status == 204
        assert (await house.call("GET", f"{AT}/agent/timers")).json() == {"timers": []}

    with_agents(tmp_path / "home", work)
