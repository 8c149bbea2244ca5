"""Residency over HTTP: the table, the log, load and unload, roles in a model's place, and the queue in a conversation's stream.

Promises: what the routes take and give is what docs/api.md says.
Does not cover: who decides what (`test_keeper_memory.py`), the terminal (`tests/process/test_residency.py`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from homefire.residency.kept_in_store import KeptInStore
from tests.null.keeper_bench import Memory
from tests.null.rig import AT, House, at_home

CHAT = "/v1/chat/completions"


def chat(model: str, words: str = "hi") -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": words}]}


def test_load_table_why_and_unload(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert (await house.call("GET", f"{AT}/residency")).json() == {
            "models": [], "waiting": [], "devices": [], "pinned": [], "next_to_leave": None, "in_host_memory": [],
        }  # fmt: skip
        loaded = await house.call("POST", f"{AT}/models/pilot/load", {"keep_alive": 31_536_000, "pin": True})
        row = loaded.json()["model"]
        assert (row["name"], row["state"], row["pinned"], row["keep_alive_s"]) == ("pilot", "ready", True, 7 * 86_400)
        found = (await house.call("GET", f"{AT}/residency")).json()
        assert [each["name"] for each in found["models"]] == found["pinned"] == ["pilot"]
        said = (await house.call("GET", f"{AT}/decisions?model=pilot")).json()["decisions"]
        assert [entry["kind"] for entry in said] == ["pinned", "shortened", "loaded"]
        assert len((await house.call("GET", f"{AT}/decisions?limit=1")).json()["decisions"]) == 1
        kept = (await KeptInStore(house.store).load()).models
        assert (kept["pilot"].pinned, kept["pilot"].keep_alive) == (True, 7 * 86_400), (
            "it is on disk when the answer comes"
        )
        gone = await house.call("POST", f"{AT}/models/pilot/unload")
        assert (await KeptInStore(house.store).load()).models == {}
        assert gone.json() == {"name": "pilot", "unloaded": True}
        assert (await house.call("POST", f"{AT}/models/pilot/unload", {"now": True})).json()["unloaded"] is False
        found = (await house.call("GET", f"{AT}/residency")).json()
        assert found["models"] == found["pinned"] == []

    at_home(tmp_path, work)


def test_keep_alive_of_a_request(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        home = await house.conversation()
        talk = f"{AT}/conversations/{home}/messages"
        asks: list[tuple[str, dict[str, Any]]] = [
            (CHAT, chat("pilot")),
            (CHAT, {**chat("pilot"), "stream": True}),
            ("/v1/completions", {"prompt": "hi"}),
            (talk, {"content": "hi"}),
            ("/api/generate", {"model": "pilot", "prompt": "hi"}),
        ]
        for number, (path, body) in enumerate(asks, 1):
            said = await house.call("POST", path, {**body, "keep_alive": f"{number}m"})
            assert said.status == 200, said.body
            assert [row.keep_alive_s for row in house.keeper.table().models] == [60 * number], path
        await house.call("POST", talk, {"content": "hi"})
        answer = (await house.call("GET", f"{AT}/conversations/{home}")).json()["messages"][-1]["id"]
        await house.call("POST", f"{talk}/{answer}/regenerate", {"keep_alive": -1})
        assert [row.keep_alive_s for row in house.keeper.table().models] == [None]
        assert (await house.call("POST", talk, {"content": "hi", "keep_alive": "soon"})).code == "invalid_request"
        await house.call("POST", CHAT, {**chat("pilot"), "keep_alive": 0})
        async with asyncio.timeout(5):
            while house.keeper.table().models:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        # Anthropic's and Responses' own clients know no such field: there it stays unknown.
        for path, body in (
            ("/v1/messages", {**chat("pilot"), "max_tokens": 5}),
            ("/v1/responses", {"model": "pilot", "input": "hi"}),
        ):
            assert (await house.call("POST", path, {**body, "keep_alive": 5})).status == 400

    at_home(tmp_path, work)


def test_bad_input(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for method, path, body, code in (
            ("POST", "/models/none/load", {}, "unknown_model"),
            ("POST", "/models/none/unload", {}, "unknown_model"),
            ("POST", "/models/pilot/load", {"keep_alive": "long"}, "invalid_request"),
            ("POST", "/models/pilot/load", {"keep_alive": "-"}, "invalid_request"),
            ("POST", "/models/pilot/load", {"for": 1}, "invalid_request"),
            ("POST", "/models/pilot/unload", {"now": 1}, "invalid_request"),
            ("GET", "/decisions?limit=0", None, "invalid_request"),
            ("GET", "/decisions?limit=many", None, "invalid_request"),
            ("GET", "/decisions?limit=201", None, "invalid_request"),
        ):
            assert (await house.call(method, f"{AT}{path}", body)).code == code, path
        assert house.engines == []

    at_home(tmp_path, work)


def test_what_does_not_fit_is_refused_with_numbers(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        memory = Memory(room=1 << 30)
        memory.sizes["pilot"] = 3 << 30
        house.keeper._sizes = memory
        for path, body in ((CHAT, chat("pilot")), (f"{AT}/models/pilot/load", {})):
            refused = await house.call("POST", path, body)
            assert (refused.status, refused.code) == (507, "does_not_fit")
            assert "needs 3.0 GiB" in refused.json()["error"]["message"]

    at_home(tmp_path, work)


def test_a_role_in_place_of_a_model(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for role in ("main", "rlm", "memory"):
            said = await house.call("POST", CHAT, chat(role, f"I am {role}"))
            assert said.json()["choices"][0]["message"]["content"] == f"I am {role}"
        assert (await house.call("POST", f"{AT}/models/main/load")).json()["model"]["name"] == "pilot"
        nobody = await house.call("POST", CHAT, chat("embed"))
        assert (nobody.code, nobody.status) == ("unknown_model", 404) and "role" in nobody.json()["error"]["message"]
        assert (await house.call("POST", CHAT, chat("chief"))).code == "unknown_model"
        assert [engine.name for engine in house.engines] == ["pilot"]

    at_home(tmp_path, work)


def test_who_waits_in_a_conversation_hears_its_place(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        house.keeper._sizes = Memory(room=1, slots=1)
        home = await house.conversation()
        held = await house.keeper.ensure("pilot")
        call = house.start("POST", f"{AT}/conversations/{home}/messages", {"content": "a word"})
        await call.until(b"event: queue")
        assert b"event: delta" not in call.body
        held.release()
        found = (await call.reply()).events
        names = [name for name, _ in found]
        assert names.index("queue") < names.index("delta") and names[-1] == "done"
        place = dict(found)["queue"]
        assert place["position"] == 1 and place["eta_s"] >= 0

    at_home(tmp_path, work)


def test_who_leaves_while_it_waits_leaves_nothing(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        house.keeper._sizes = Memory(room=1, slots=1)
        home = await house.conversation()
        held = await house.keeper.ensure("pilot")
        call = house.start("POST", f"{AT}/conversations/{home}/messages", {"content": "a word"})
        await call.until(b"event: queue")
        call.leave()
        await call.task_done()
        assert house.keeper.view()[1] == 0
        held.release()
        assert [view.leases for view in house.keeper.view()[0]] == [0]

    at_home(tmp_path, work)


def test_a_lease_is_an_event_too(tmp_path: Path) -> None:
    """A lease that begins or ends is no decision; the page must not show it ten seconds late."""

    async def work(house: House) -> None:
        first = await house.keeper.ensure("pilot")
        call = house.start("GET", f"{AT}/events")
        await call.until(b'"leases":1')
        second = await house.keeper.ensure("pilot")
        await call.until(b'"leases":2')
        second.release()
        first.release()
        await call.until(b'"leases":0')
        told = call.body.count(b"event: residency")
        assert told <= 4, "nothing is said while nothing changes"
        call.leave()
        await call.task_done()

    at_home(tmp_path, work)


def test_events_as_they_happen(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        call = house.start("GET", f"{AT}/events")
        await call.until(b"event: residency")
        await house.call("POST", f"{AT}/models/pilot/load")
        await call.until(b'"kind":"loaded"')
        await call.until(b'"state":"ready"')
        call.leave()
        await call.task_done()
        assert not house.keeper.decisions._listeners

    at_home(tmp_path, work)
