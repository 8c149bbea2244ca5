"""The application's routes for models and status, and what a defect looks like from outside.

Promises: an import ends with `done` or `error` and leaves nothing when it fails; removing a model ends its engine.
Does not cover: the door (`test_server.py`), answers that stream (`test_streams.py`), real models (`tests/process`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest

from tests.null.gguf_file import small
from tests.null.rig import AT, HOST, House, at_home

MODELS = f"{AT}/models"


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
                                   "models", "waiting"}  # fmt: skip
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
