"""The application's routes for models and status, and what a defect looks like from outside.

Promises: an import ends with `done` or `error` and leaves nothing when it fails; removing a model ends its engine and is refused
while the model is worked on; a download outlives its listener; whatever names a file of the machine needs a key.
Does not cover: the door (`test_server.py`), answers that stream (`test_streams.py`), real models (`tests/process`), what pulls
and the workshop do inside.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from homefire.errors import ModelBusy, SourceUnreachable, UnknownModel
from homefire.models.origin import Credential, Page, Stream
from homefire.models.sources import Places
from homefire.models.wheels import Indexes
from homefire.server import work_stream
from homefire.server.holds import Holds
from homefire.server.reach import Reach, try_reach
from tests.null.gguf_file import small
from tests.null.rig import AT, HOST, House, Reply, Unplugged, at_home

MODELS = f"{AT}/models"
FAR = "https://models.example/far.gguf"


class Silent(Unplugged):
    """An `Http` that never answers."""

    def open(
        self, url: str, headers: Mapping[str, str], credential: Credential | None = None
    ) -> AbstractAsyncContextManager[Stream]:
        return self._wait()

    async def get(self, url: str, accept: str, credential: Credential | None = None) -> Page:
        await asyncio.Event().wait()
        raise AssertionError

    @asynccontextmanager
    async def _wait(self) -> AsyncIterator[Stream]:
        await asyncio.Event().wait()
        raise AssertionError
        yield


async def with_cookie(house: House, method: str, target: str, body: Any = None) -> Reply:
    """A request of the page."""
    link = (await house.call("POST", f"{AT}/links")).json()["url"]
    done = await house.call("POST", f"{AT}/login", {"code": link.partition("login=")[2]}, key=False)
    cookie = done.headers["set-cookie"].split("; ")[0]
    own = [("cookie", cookie), ("origin", f"http://{HOST}")]
    return await house.call(method, target, body, own, key=False)


async def imported(house: House, folder: Path, name: str = "mine") -> str:
    """A small model in the library."""
    (source := folder / "file.gguf").write_bytes(small())
    assert (await house.call("POST", f"{MODELS}/import", {"path": str(source), "name": name})).last("done")
    return name


def test_models_and_status_over_a_usual_client(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        transport = httpx2.ASGITransport(house.app)
        headers = {"authorization": f"Bearer {house.key}"}
        async with httpx2.AsyncClient(transport=transport, base_url=f"http://{HOST}", headers=headers) as http:
            listed = (await http.get(MODELS)).json()
            assert listed["default"] == "pilot"
            assert [(m["name"], m["source"], m["resident"]) for m in listed["models"]] == [("pilot", "built-in", False)]
            status = (await http.get(f"{AT}/status")).json()
            assert set(status) == {"version", "pid", "started_at", "uptime_s", "url", "home", "machine", "memory_bytes",
                                   "models", "waiting", "restarts", "auth", "elsewhere", "tls"}  # fmt: skip
            assert (await http.get("/readyz")).json() == {"ready": True, "reasons": []}
            assert (await http.get("/v1/models")).json()["data"][0]["id"] == "pilot"
            assert (await http.get("/v1/models/pilot")).json()["owned_by"] == "homefire"
            assert (await http.get("/v1/models/none")).json()["error"]["code"] == "unknown_model"
            assert (await http.head("/healthz")).status_code == 200

    at_home(tmp_path, work)


def test_importing_and_removing_a_model(tmp_path: Path) -> None:
    source = tmp_path / "My model!.gguf"
    source.write_bytes(small())

    async def work(house: House) -> None:
        add = f"{MODELS}/import"
        done = await house.call("POST", add, {"path": str(source)})
        assert done.last("done")["name"] == "My-model"
        assert {name for name, _ in done.events[:-1]} <= {"progress"}
        assert done.events[-2][1]["done_bytes"] == source.stat().st_size
        for body, code in (
            ({"path": str(source)}, "model_exists"),
            ({"path": str(source), "name": "pilot"}, "model_exists"),
            ({"path": str(tmp_path / "missing.gguf")}, "invalid_request"),
            ({"path": str(tmp_path) + "/nul\0.gguf", "name": "x"}, "invalid_request"),
            ({"path": str(house.home / "keys"), "name": "x"}, "bad_model_file"),
        ):
            failed = await house.call("POST", add, body)
            assert failed.last("error")["error"]["code"] == code, body
        for wrong in ({"path": "relative.gguf"}, {"path": str(source), "name": "../x"}, {"path": ""}, {}):
            assert (await house.call("POST", add, wrong)).code == "invalid_request", wrong
        said = await house.call(
            "POST", "/v1/chat/completions", {"model": "My-model", "messages": [{"role": "user", "content": "hi"}]}
        )
        assert said.json()["choices"][0]["message"]["content"] == "hi"
        assert house.keeper.is_resident("My-model")
        assert (await house.call("DELETE", f"{MODELS}/My-model")).status == 204
        assert not house.keeper.is_resident("My-model") and house.engines[-1].ended
        assert [path for path in (house.home / "blobs").rglob("*") if path.is_file()] == []
        assert (await house.call("DELETE", f"{MODELS}/My-model")).code == "unknown_model"
        assert (await house.call("DELETE", f"{MODELS}/pilot")).code == "built_in_model"

    at_home(tmp_path / "home", work)


def test_a_defect_is_one_envelope_and_the_next_request_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(house: House) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(type(house.keeper), "view", lambda self: 1 / 0)
            broken = await house.call("GET", f"{AT}/status")
            assert (broken.status, broken.code) == (500, "internal_error")
        assert (await house.call("GET", f"{AT}/status")).status == 200

    at_home(tmp_path, work)


def test_a_websocket_is_closed(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        sent: list[object] = []

        async def send(message: object) -> None:
            sent.append(message)

        async def receive() -> dict[str, str]:
            return {"type": "websocket.connect"}

        scope = {"type": "websocket", "path": "/", "headers": [(b"host", HOST.encode())], "query_string": b""}
        await house.app(scope, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008}]
        await asyncio.sleep(0)

    at_home(tmp_path, work)


# ------------------------------------------------------------------------------------------- what is here and what there is


def test_the_list_says_what_a_model_is_and_what_the_disk_has(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await imported(house, tmp_path)
        found = (await house.call("GET", MODELS)).json()
        assert set(found) == {"default", "models", "disk", "roles"}
        assert found["roles"] == {"main": "pilot", "rlm": "pilot", "memory": "pilot", "embed": None, "vision": None}
        size = len(small())
        assert (found["disk"]["used_bytes"], found["disk"]["quota_bytes"]) == (size, 0)
        assert found["disk"]["free_bytes"] > 0
        pilot, mine = found["models"]
        assert (pilot["digest"], mine["kind"], mine["pinned"], mine["external"]) == (None, "chat", False, False)
        assert [file["size_bytes"] for file in mine["files"]] == [size]
        assert mine["files"][0]["digest"] == mine["digest"]
        assert "fits" not in mine
        judged = (await house.call("GET", f"{MODELS}?fit=1")).json()["models"]
        assert {each["fits"] for each in judged} <= {"gpu", "partly", "cpu", "tight", "no", "unknown"}
        assert (await house.call("GET", f"{MODELS}?colour=1")).code == "invalid_request"

    at_home(tmp_path / "home", work)


def test_the_catalogue_one_model_and_its_fit(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        rows = (await house.call("GET", f"{AT}/catalogue?q=minilm")).json()["models"]
        assert [row["name"] for row in rows] == ["all-minilm-l6-v2"]
        assert not rows[0]["installed"]
        assert rows[0]["offers"]
        every = (await house.call("GET", f"{AT}/catalogue")).json()["models"]
        some = (await house.call("GET", f"{AT}/catalogue?capability=embedding")).json()["models"]
        assert 0 < len(some) < len(every)
        assert (await house.call("GET", f"{AT}/catalogue?capability=flying")).code == "invalid_request"
        known = (await house.call("GET", f"{MODELS}/qwen3-8b")).json()
        assert (known["installed"], known["model"], known["catalogue"]["name"]) == (False, None, "qwen3-8b")
        name = await imported(house, tmp_path)
        mine = (await house.call("GET", f"{MODELS}/{name}")).json()
        assert (mine["installed"], mine["model"]["name"], mine["catalogue"]) == (True, name, None)
        assert isinstance(mine["model"]["provenance"], dict)
        assert (await house.call("GET", f"{MODELS}/nothing")).code == "unknown_model"

        fit = (
            await house.call("GET", f"{MODELS}/qwen3-8b/fit?context=4096&slots=1&kv=Q8_0&quantization=Q4_K_M")
        ).json()
        assert (fit["context"], fit["kv"], fit["quantization"], fit["fits"]) == (4096, "Q8_0", "Q4_K_M", "cpu")
        assert fit["interval"][0] <= fit["total_bytes"] <= fit["interval"][1]
        assert (await house.call("GET", f"{MODELS}/qwen3-8b/fit")).json()["context"] == 8192, (
            "what the daemon would load"
        )
        for wrong in ("context=many", "context=-1", "slots=0&kv=F7", "kv=F7", "colour=1"):
            assert (await house.call("GET", f"{MODELS}/qwen3-8b/fit?{wrong}")).code == "invalid_request", wrong
        assert (await house.call("GET", f"{MODELS}/nothing/fit")).code == "unknown_model"

    at_home(tmp_path / "home", work)


# ------------------------------------------------------------------------------------------------------ proposal and roles


@pytest.mark.parametrize(
    ("reach", "main_is_pilot", "embedder"),
    [
        (Reach(tried=True), True, None),
        (Reach(index=True, tried=True), True, "all-minilm-l6-v2"),
        (Reach(hub=True, index=True, tried=True), False, "all-minilm-l6-v2"),
    ],
)
def test_the_proposal_is_what_can_be_had(
    tmp_path: Path, reach: Reach, main_is_pilot: bool, embedder: str | None
) -> None:
    async def work(house: House) -> None:
        found = (await house.call("GET", f"{AT}/proposal")).json()
        assert [choice["role"] for choice in found["choices"]] == ["main", "rlm", "memory"]
        assert (found["choices"][0]["model"] == "pilot") is main_is_pilot
        assert (found["embedder"] or {}).get("model") == embedder
        assert (found["reach"]["hub"], found["reach"]["tried"]) == (reach.hub, True)
        assert (found["download_bytes"] > 0) is (embedder is not None or not main_is_pilot)
        assert found["tier"]["name"] == "laptop"
        offline = (await house.call("GET", f"{AT}/proposal?offline=1")).json()
        assert (offline["reach"]["tried"], offline["embedder"]) == (False, None)
        assert {choice["model"] for choice in offline["choices"]} == {"pilot"}

    at_home(tmp_path, work, reach=reach)


def test_roles_are_given_taken_back_and_decide_who_answers(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        name = await imported(house, tmp_path)
        given = await house.call("PUT", f"{AT}/roles", {"main": name})
        assert given.json()["roles"]["main"] == name
        assert (await house.call("GET", MODELS)).json()["default"] == name
        said = await house.call("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]})
        assert said.json()["model"] == name
        assert house.keeper.is_resident(name)
        for wrong, code in (
            ({"main": "nothing"}, "unknown_model"),
            ({"embed": name}, "invalid_request"),  # it cannot make vectors
            ({"cook": name}, "invalid_request"),
            ({"rlm": name, "memory": "nothing"}, "unknown_model"),
        ):
            assert (await house.call("PUT", f"{AT}/roles", wrong)).code == code, wrong
        roles = (await house.call("GET", f"{AT}/roles")).json()["roles"]
        assert roles == {"main": name, "rlm": name, "memory": name, "embed": None, "vision": None}, (
            "two stand in for main"
        )
        roles = (await house.call("PUT", f"{AT}/roles", {"main": None})).json()["roles"]
        assert (roles["main"], roles["rlm"]) == ("pilot", "pilot"), "a refused change changes nothing"
        await house.call("PUT", f"{AT}/roles", {"main": name})
        assert (await house.call("DELETE", f"{MODELS}/{name}")).status == 204
        assert (await house.call("GET", f"{AT}/roles")).json()["roles"]["main"] == "pilot", (
            "a model that went has no role"
        )

    at_home(tmp_path / "home", work)


# --------------------------------------------------------------------------------------------------------------- downloads


def test_a_pull_streams_and_ends_in_the_library(tmp_path: Path) -> None:
    (source := tmp_path / "near.gguf").write_bytes(small())

    async def work(house: House) -> None:
        done = await house.call("POST", f"{MODELS}/pull", {"source": f"file:{source}", "name": "near"})
        ended = done.last("done")
        assert ended["model"]["name"] == "near"
        assert (ended["download"]["state"], ended["download"]["phase"], ended["download"]["error"]) == (
            "done",
            "done",
            None,
        )
        progress = [data for name, data in done.events[:-1] if name == "progress"]
        assert progress
        assert set(progress[0]) == {"id", "source", "target", "priority", "asked_at", "state", "phase", "done_bytes",
                                    "total_bytes", "rate", "eta_s", "error"}  # fmt: skip
        again = await house.call("POST", f"{MODELS}/pull", {"source": f"file:{source}", "name": "near"})
        assert again.last("done")["model"]["name"] == "near"
        listed = (await house.call("GET", f"{AT}/downloads")).json()["downloads"]
        assert [each["target"] for each in listed] == ["near"]
        watched = await house.call("POST", f"{AT}/downloads/{listed[0]['id']}/watch")
        assert watched.last("done")["model"]["name"] == "near"

    at_home(tmp_path / "home", work)


def test_pulls_that_cannot_be(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for body, code in (
            ({"source": "nothing-so-called"}, "unknown_model"),
            ({"source": "ftp://x/y.gguf"}, "bad_source"),
            ({"source": "https://x.example/y.bin"}, "pickle_refused"),
            ({"source": FAR, "name": "pull"}, "invalid_request"),
            ({"source": FAR, "name": "../x"}, "invalid_request"),
            ({"source": FAR, "priority": 1000}, "invalid_request"),
            ({"source": "pilot"}, "model_exists"),
            ({}, "invalid_request"),
        ):
            assert (await house.call("POST", f"{MODELS}/pull", body)).code == code, body
        failed = await house.call("POST", f"{MODELS}/pull", {"source": f"file:{tmp_path}/none.gguf"})
        assert failed.last("error")["error"]["code"] == "source_not_found"
        listed = (await house.call("GET", f"{AT}/downloads")).json()["downloads"]
        assert [(each["state"], each["error"]["code"]) for each in listed] == [("failed", "source_not_found")]
        for target in ("7/pause", "7/resume", "7/cancel", "7/watch"):
            assert (await house.call("POST", f"{AT}/downloads/{target}")).code == "unknown_download", target
        assert (await house.call("POST", f"{AT}/downloads/x/pause")).code == "invalid_request"

    at_home(tmp_path / "home", work)


def test_a_download_outlives_its_listener_and_can_be_steered(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        call = house.start("POST", f"{MODELS}/pull", {"source": FAR, "name": "far"})
        await call.until(b"event: progress")
        call.leave()
        await call.task_done()

        async def state() -> str:
            (found,) = (await house.call("GET", f"{AT}/downloads")).json()["downloads"]
            return str(found["state"])

        assert await state() == "running"
        assert (await house.call("DELETE", f"{MODELS}/far")).code == "model_busy"
        joined = await house.call("POST", f"{MODELS}/pull", {"source": FAR, "name": "far", "watch": False})
        assert (joined.status, joined.json()["id"]) == (202, 1)
        assert (await house.call("POST", f"{AT}/downloads/1/pause")).json()["state"] == "paused"
        assert await state() == "paused"
        assert (await house.call("POST", f"{AT}/downloads/1/resume")).json()["state"] in ("queued", "running")
        watching = house.start("POST", f"{AT}/downloads/1/watch")
        await watching.until(b"event: progress")
        assert (await house.call("POST", f"{AT}/downloads/1/cancel")).json()["state"] == "cancelled"
        assert (await watching.reply()).last("error")["error"]["code"] == "download_cancelled"
        assert (await house.call("DELETE", f"{MODELS}/far")).code == "unknown_model"

    at_home(tmp_path, work, http=Silent())


def test_a_quiet_stream_repeats_itself_and_ends_with_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_stream, "QUIET_SECONDS", 0.01)

    async def work(house: House) -> None:
        call = house.start("POST", f"{MODELS}/pull", {"source": FAR})
        await call.until(b"event: progress")
        await call.until_count(b"event: progress", 6)  # nothing changes in this download any more
        await house.rooms.models.pulls.close()
        assert (await call.reply()).last("error")["error"]["code"] == "shutting_down"

    at_home(tmp_path, work, http=Silent())


# -------------------------------------------------------------------------------------------------------- work and holds


def test_verifying_pinning_exporting_and_bringing_back(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        name = await imported(house, tmp_path)
        sound = await house.call("POST", f"{MODELS}/{name}/verify")
        assert sound.last("done") == {"ok": True, "bad": [], "bytes": len(small())}
        assert (await house.call("POST", f"{MODELS}/{name}/pin", {"pinned": True})).json()["pinned"] is True
        assert (await house.call("DELETE", f"{MODELS}/{name}")).code == "model_pinned"
        assert (await house.call("POST", f"{MODELS}/{name}/pin", {"pinned": False})).json()["pinned"] is False
        bundle = tmp_path / "bundle.tar"
        out = await house.call("POST", f"{MODELS}/{name}/export", {"path": str(bundle)})
        assert 0 < out.last("done")["bytes"] <= bundle.stat().st_size
        assert (await house.call("DELETE", f"{MODELS}/{name}")).status == 204
        back = await house.call("POST", f"{MODELS}/import", {"path": str(bundle)})
        assert back.last("done")["name"] == name
        (blob,) = [path for path in (house.home / "blobs").rglob("*") if path.is_file()]
        blob.chmod(0o600)
        blob.write_bytes(small()[:-1] + b"x")
        broken = (await house.call("POST", f"{MODELS}/{name}/verify")).last("done")
        assert (broken["ok"], len(broken["bad"])) == (False, 1)
        for verb, body in (
            ("verify", {}),
            ("export", {"path": "/x"}),
            ("quantize", {"type": "Q8_0"}),
            ("pin", {"pinned": True}),
        ):
            assert (await house.call("POST", f"{MODELS}/nothing/{verb}", body)).code == "unknown_model", verb
        wrong = await house.call("POST", f"{MODELS}/convert", {"path": str(tmp_path / "none")})
        assert "error" in wrong.last("error")

    at_home(tmp_path / "home", work)


def test_what_names_a_file_needs_a_key(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        name = await imported(house, tmp_path)
        for target, body in (
            ("import", {"path": "/x"}),
            ("convert", {"path": "/x"}),
            ("pull", {"source": "file:/x.gguf"}),
            ("pull", {"source": " file:/x.gguf"}),
            (f"{name}/export", {"path": "/x"}),
        ):
            assert (await with_cookie(house, "POST", f"{MODELS}/{target}", body)).code == "key_needed", target
        assert (await with_cookie(house, "POST", f"{MODELS}/{name}/verify")).last("done")["ok"] is True
        pulled = await with_cookie(house, "POST", f"{MODELS}/pull", {"source": FAR, "watch": False})
        assert pulled.status == 202

    at_home(tmp_path / "home", work, http=Silent())


def test_nothing_is_removed_under_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(house: House) -> None:
        name = await imported(house, tmp_path)

        async def endless(*given: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(house.rooms.models.library, "verify", endless)
        call = house.start("POST", f"{MODELS}/{name}/verify")
        await call.begun()
        refused = await house.call("DELETE", f"{MODELS}/{name}")
        assert (refused.code, refused.status) == ("model_busy", 409)
        assert "verified" in refused.json()["error"]["message"]
        call.leave()
        await call.task_done()
        assert (await house.call("DELETE", f"{MODELS}/{name}")).status == 204

    at_home(tmp_path / "home", work)


def test_a_model_on_its_way_out_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(house: House) -> None:
        name = await imported(house, tmp_path)
        library, begun, go = house.rooms.models.library, asyncio.Event(), asyncio.Event()
        remove = library.remove

        async def slow(which: str) -> None:
            begun.set()
            await go.wait()
            await remove(which)

        monkeypatch.setattr(library, "remove", slow)
        going = house.start("DELETE", f"{MODELS}/{name}")
        await begun.wait()
        body = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
        assert (await house.call("POST", "/v1/chat/completions", body)).code == "unknown_model"
        assert (await house.call("DELETE", f"{MODELS}/{name}")).code == "unknown_model"
        go.set()
        assert (await going.reply()).status == 204
        assert house.engines == []

    at_home(tmp_path / "home", work)


def test_holds() -> None:
    holds = Holds()
    verified, exported, other = holds.hold("a", "verified"), holds.hold("a", "exported"), holds.hold("b", "verified")
    with verified, exported, other, pytest.raises(ModelBusy, match="verified and exported"), holds.leave("a"):
        pass
    with holds.leave("a"), pytest.raises(UnknownModel), holds.hold("a", "verified"):
        pass
    with holds.leave("a"):
        holds.check("b")
        with pytest.raises(UnknownModel):
            holds.check("a")
    holds.check("a")


# ------------------------------------------------------------------------------------------------------------------- reach


class Listing(Unplugged):
    """Answers the hub's listings of some repositories."""

    def __init__(self, *repositories: str) -> None:
        self.repositories = repositories

    async def get(self, url: str, accept: str, credential: Credential | None = None) -> Page:
        if any(f"/{name}/" in url for name in self.repositories):
            rows = [{"type": "file", "path": "model-Q8_0.gguf", "size": 1}]
            return Page(200, {}, json.dumps(rows).encode(), url)
        raise SourceUnreachable("There is no network.")


def test_reach_tries_like_a_pull() -> None:
    from homefire.models import catalogue

    known, places, indexes = catalogue.load(), Places(), Indexes(("https://index.example/simple",))
    hubs = [o.source.name for e in known.entries if e.proposed for o in e.offers if o.source.kind == "hf"]

    async def work() -> None:
        none = await try_reach(Unplugged(), known, places, indexes)
        assert (none.hub, none.index, none.tried) == (False, False, True)
        assert none.hub_reason == none.index_reason == "There is no network."
        second = await try_reach(Listing(hubs[1]), known, places, indexes)
        assert (second.hub, second.index, second.hub_reason) == (True, False, "")
        silent = await try_reach(Silent(), known, places, indexes, seconds=0.01)
        assert (silent.hub, silent.index) == (False, False)
        assert "0.01 s" in silent.hub_reason

    asyncio.run(work())
