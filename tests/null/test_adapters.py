"""Adapters in the library and in names: what comes in, which base it gets, what a request may ask for, and who serves it.

Promises: each thing that can be wrong with an adapter or a name has its own clear error, and leaves nothing behind; a request
reaches an engine that has its adapters, in every dialect, and others do not get them.
Does not cover: what llama.cpp makes of them (`tests/contract/test_adapters.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homefire.models import gguf_writer
from homefire.models.adapters import misfit, read_scale
from homefire.models.gguf import read_header
from homefire.models.gguf_writer import Tensor, text, u32
from homefire.models.library import PILOT_FILE
from tests.contract import tiny_adapter
from tests.null.gguf_file import small
from tests.null.rig import AT, House, Reply, at_home

MODELS = f"{AT}/models"
CHAT = "/v1/chat/completions"


async def bring(house: House, file: Path, name: str, **fields: Any) -> Reply:
    return await house.call("POST", f"{MODELS}/import", {"path": str(file), "name": name, **fields})


async def styles(house: House, folder: Path) -> dict[str, str]:
    """Two adapters of the pilot; their digests by name."""
    found = {}
    for seed, name in enumerate(("style", "tone"), 1):
        done = await bring(house, tiny_adapter.make(folder / f"{name}.gguf", seed), name)
        found[name] = str(done.last("done")["digest"])
    return found


def chat(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hi there"}], **fields}


def test_it_comes_finds_its_base_is_listed_and_goes(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await styles(house, tmp_path)
        rows = {row["name"]: row for row in (await house.call("GET", MODELS)).json()["models"]}
        assert [(row["kind"], row["base"]) for row in rows.values()] == [
            ("chat", None), ("adapter", "pilot"), ("adapter", "pilot"),
        ]  # fmt: skip
        offered = [row["id"] for row in (await house.call("GET", "/v1/models")).json()["data"]]
        assert offered == ["pilot", "pilot+style", "pilot+tone"]
        assert (await house.call("GET", "/v1/models/pilot+style")).json()["id"] == "pilot+style"
        tags = [row["name"] for row in (await house.call("GET", "/api/tags")).json()["models"]]
        assert tags == ["pilot", "pilot+style", "pilot+tone"]
        shown = (await house.call("POST", "/api/show", {"model": "pilot+style"})).json()
        assert shown["details"]["family"] == "llama"
        assert (await house.call("DELETE", f"{MODELS}/style")).status == 204
        assert (await house.call("POST", CHAT, chat("pilot+style"))).code == "unknown_model"
        assert (await house.call("POST", CHAT, chat("pilot+tone"))).status == 200

    at_home(tmp_path / "home", work)


def test_every_dialect_asks_for_it(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        digests = await styles(house, tmp_path)
        style, tone = digests["style"], digests["tone"]
        said = [{"role": "user", "content": "hi"}]
        asked: list[tuple[str, dict[str, Any], tuple[tuple[str, float], ...]]] = [
            (CHAT, chat("pilot"), ()),
            (CHAT, chat("pilot+style"), ((style, 1.0),)),
            (CHAT, chat("main+style:0.5"), ((style, 0.5),)),
            (CHAT, chat("pilot+style:-2+tone"), ((style, -2.0), (tone, 1.0))),
            ("/v1/completions", {"model": "pilot+tone", "prompt": "x"}, ((tone, 1.0),)),
            ("/v1/messages", {"model": "pilot+tone", "max_tokens": 5, "messages": said}, ((tone, 1.0),)),
            ("/v1/responses", {"model": "pilot+tone", "input": "x"}, ((tone, 1.0),)),
            ("/api/chat", {"model": "pilot+tone", "messages": said}, ((tone, 1.0),)),
            ("/api/generate", {"model": "pilot+tone:0", "prompt": "x", "think": False}, ((tone, 0.0),)),
        ]
        for path, body, _ in asked:
            assert (await house.call("POST", path, body)).status == 200, path
        one = await house.conversation(model="pilot+style:2")
        assert (await house.call("POST", f"{AT}/conversations/{one}/messages", {"content": "x"})).status == 200
        assert [engine.name for engine in house.engines] == ["pilot"], "one engine has them all"
        assert house.engines[0].adapted == [*(each for _, _, each in asked), ((style, 2.0),)]
        counted = {"model": "pilot+style", "messages": [{"role": "user", "content": "one two three"}]}
        assert (await house.call("POST", "/v1/messages/count_tokens", counted)).json() == {"input_tokens": 3}

    at_home(tmp_path / "home", work)


def test_one_that_came_after_the_load_gets_a_side_worker(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert (await house.call("POST", CHAT, chat("pilot"))).status == 200
        digests = await styles(house, tmp_path)
        for _ in range(2):
            assert (await house.call("POST", CHAT, chat("pilot+tone:2+style"))).status == 200
        assert (await house.call("POST", CHAT, chat("pilot"))).status == 200
        assert [engine.name for engine in house.engines] == ["pilot", "pilot+style+tone"]
        assert house.engines[1].adapted == [((digests["tone"], 2.0), (digests["style"], 1.0))] * 2
        assert house.engines[0].adapted == [(), ()]
        # The base leaves and comes back with all its adapters: the worker is asked no more.
        assert (await house.call("POST", f"{MODELS}/pilot/unload")).json()["unloaded"]
        assert (await house.call("POST", f"{MODELS}/pilot/load")).status == 200
        assert (await house.call("POST", CHAT, chat("pilot+tone"))).status == 200
        assert [len(engine.adapted) for engine in house.engines] == [2, 2, 1]
        gone = await house.call("POST", f"{MODELS}/pilot+tone/unload")
        assert gone.json() == {"name": "pilot", "unloaded": True}
        assert (await house.call("DELETE", f"{MODELS}/tone")).status == 204
        left = (await house.call("GET", f"{AT}/residency")).json()["models"]
        assert left == [], "its worker left with it"

    at_home(tmp_path / "home", work)


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("none+style", "unknown_model", "no model named 'none'"),
        ("pilot+none", "unknown_model", "no adapter named 'none' here; 'pilot' has: style, tone"),
        ("pilot+", "unknown_model", "no adapter named ''"),
        ("pilot+pilot", "wrong_model_kind", "not an adapter"),
        ("pilot+style:loud", "invalid_request", "'loud' is no scale"),
        ("pilot+style:8.1", "invalid_request", "'8.1' is no scale"),
        ("pilot+style:nan", "invalid_request", "no scale"),
        ("pilot+style:", "invalid_request", "no scale"),
        ("pilot+style+style:2", "invalid_request", "named twice"),
        ("other+style", "adapter_mismatch", "belongs to 'pilot', not to 'other'"),
        ("style", "wrong_model_kind", "kind 'adapter'"),
    ],
)
def test_names_that_ask_for_what_is_not_there(tmp_path: Path, name: str, code: str, says: str) -> None:
    async def work(house: House) -> None:
        await styles(house, tmp_path)
        (tmp_path / "other.gguf").write_bytes(small())
        assert (await bring(house, tmp_path / "other.gguf", "other")).last("done")
        reply = await house.call("POST", CHAT, chat(name))
        assert (reply.code, says in reply.json()["error"]["message"]) == (code, True), reply.json()
        assert house.engines == []

    at_home(tmp_path / "home", work)


BROKEN: list[tuple[Callable[[Path], Path], dict[str, Any], str, str]] = [
    (lambda f: tiny_adapter.make(f, stretch=32), {}, "adapter_mismatch", "No installed model fits"),
    (lambda f: tiny_adapter.make(f, stretch=32), {"base": "pilot"}, "adapter_mismatch", "288 x 256 where the model has"),
    (lambda f: tiny_adapter.make(f, rename="x."), {"base": "pilot"}, "adapter_mismatch", "no tensor 'x.blk"),
    (lambda f: tiny_adapter.make(f, keys={"general.architecture": text("qwen3")}), {"base": "pilot"},
     "adapter_mismatch", "it is for 'qwen3', the model is a 'llama'"),
    (lambda f: tiny_adapter.make(f, keys={"adapter.type": text("control")}), {}, "unsupported_model", "'control'"),
    (lambda f: tiny_adapter.make(f, keys={"adapter.lora.alpha": u32(4)}), {}, "adapter_mismatch", "no number"),
    (lambda f: tiny_adapter.make(f, keys={"adapter.alora.invocation_tokens": u32(4)}), {}, "unsupported_model", "middle"),
    (tiny_adapter.make, {"base": "none"}, "unknown_model", "'none'"),
    (tiny_adapter.make, {"base": "style"}, "adapter_mismatch", "takes no adapters"),
    (lambda f: f, {"base": "pilot"}, "invalid_request", "is no adapter"),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(BROKEN)))
def test_files_that_are_refused(tmp_path: Path, at: int) -> None:
    make, fields, code, says = BROKEN[at]

    async def work(house: House) -> None:
        (file := tmp_path / "x.gguf").write_bytes(small())
        await styles(house, tmp_path)
        before = [row["name"] for row in (await house.call("GET", MODELS)).json()["models"]]
        make(file)
        reply = await bring(house, file, "it", **fields)
        error = reply.last("error")["error"]
        assert (error["code"], says in error["message"]) == (code, True), error
        assert [row["name"] for row in (await house.call("GET", MODELS)).json()["models"]] == before

    at_home(tmp_path / "home", work)


def test_several_bases_fit_and_a_base_that_changed(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert (await bring(house, PILOT_FILE, "twin")).last("done")
        file = tiny_adapter.make(tmp_path / "a.gguf")
        several = (await bring(house, file, "style")).last("error")["error"]
        assert several["code"] == "invalid_request" and "pilot, twin" in several["message"]
        assert "--base" in several["next_step"]
        assert (await bring(house, file, "style", base="twin")).last("done")["base"] == "twin"
        bundle = tmp_path / "style.tar"
        assert (await house.call("POST", f"{MODELS}/style/export", {"path": str(bundle)})).last("done")
        assert (await house.call("POST", f"{MODELS}/style/quantize", {"type": "Q8_0"})).last("error")
        assert (await house.call("DELETE", f"{MODELS}/twin")).status == 204
        reply = await house.call("POST", CHAT, chat("twin+style"))
        assert (reply.code, "'twin'" in reply.json()["error"]["message"]) == ("unknown_model", True)
        (tmp_path / "other.gguf").write_bytes(small())
        assert (await bring(house, tmp_path / "other.gguf", "twin")).last("done")
        reply = await house.call("POST", CHAT, chat("twin+style"))
        assert (reply.code, "another file" in reply.json()["error"]["message"]) == ("adapter_mismatch", True)
        # Carried to where only the pilot fits, it finds that; where its own base is, that.
        assert (await house.call("DELETE", f"{MODELS}/style")).status == 204
        assert (await bring(house, bundle, "style", base="pilot")).last("done")["base"] == "pilot"
        assert (await house.call("POST", CHAT, chat("pilot+style"))).status == 200

    at_home(tmp_path / "home", work)


def test_scales() -> None:
    assert [read_scale(each) for each in ("1", "-8", "0.5", "8e0")] == [1.0, -8.0, 0.5, 8.0]


def test_pairs_and_ranks(tmp_path: Path) -> None:
    """Shapes that llama.cpp refuses, or asserts on."""
    base = [read_header(PILOT_FILE)]

    def why(*tensors: tuple[str, tuple[int, ...]], kind: str = "F32") -> str:
        rows = [Tensor(name, shape, kind) for name, shape in tensors]
        head = {"general.architecture": text("llama"), "general.type": text("adapter")}
        gguf_writer.write(
            tmp_path / "x.gguf", head, rows, lambda t: [struct.pack(f"<{t.elements}f", *[0] * t.elements)]
        )
        return misfit(read_header(tmp_path / "x.gguf"), base)

    query, table = "blk.0.attn_q.weight", "token_embd.weight"
    assert why((f"{query}.lora_a", (256, 2)), (f"{query}.lora_b", (2, 256))) == ""
    assert why((f"{table}.lora_a", (2, 4096)), (f"{table}.lora_b", (2, 256))) == ""
    assert why((f"{table}.lora_a", (2, 4096)), (f"{table}.lora_b", (256, 2))) != ""
    assert "kept as I32" in why((f"{query}.lora_a", (256, 2)), (f"{query}.lora_b", (2, 256)), kind="I32")
    assert "no pair" in why((f"{query}.lora_a", (256, 2)))
    assert "no pair" in why((query, (256, 2)))
    assert "ranks" in why((f"{query}.lora_a", (256, 2)), (f"{query}.lora_b", (3, 256)))
    assert "dimensions" in why((f"{query}.lora_a", (256, 2, 1, 2)), (f"{query}.lora_b", (2, 256)))
    assert "changes no matrix" in why(("blk.0.attn_norm.weight", (256,)))
