"""Bad input to residency, where no other test has it: hundreds of streams of one client, another model under
a known name, an engine that says what is no answer. The table is in docs/residency.md.

Promises: each ends in one error with its code, or changes nothing for anybody else.
Does not cover: the rows that other files test (the table names them).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from homefire.dialects import llamacpp
from homefire.errors import EngineGarbled
from homefire.paths import KeyName
from homefire.residency import KeeperRules
from homefire.residency.kept_in_store import KeptInStore
from homefire.store import KeyRights
from tests.null.gguf_file import small
from tests.null.keeper_bench import Memory
from tests.null.rig import AT, House, at_home

CHAT = "/v1/chat/completions"


def asked(model: str = "pilot") -> dict[str, Any]:
    return {"model": model, "stream": True, "messages": [{"role": "user", "content": "one two three"}]}


def test_a_client_that_opens_300_streams(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        house.keeper._sizes = Memory(room=1, slots=1)
        house.keeper.rules = KeeperRules(30.0)
        _, secret = await house.authority.add_key(KeyName("other"), KeyRights(("chat",)), "test")
        other = [("authorization", f"Bearer {secret}")]
        held = await house.keeper.ensure("pilot")
        many = [house.start("POST", CHAT, asked()) for _ in range(300)]
        async with asyncio.timeout(20):
            while sum(call.ended for call in many) < 300 - house.keeper.rules.queue_per_key:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        refused = [await call.reply() for call in many if call.ended]
        assert len(refused) == 44 and {(reply.status, reply.code) for reply in refused} == {(503, "overloaded")}
        alone = house.start("POST", CHAT, asked(), other)
        while house.keeper.view()[1] < 257:  # noqa: ASYNC110
            await asyncio.sleep(0)
        held.release()
        served = await alone.reply()
        waiting = sum(not call.ended for call in many)
        assert served.status == 200 and served.body.endswith(b"data: [DONE]\n\n")
        assert waiting > 200, "who asks once does not wait behind those who ask 256 times"
        for call in many:
            call.leave()
        for call in many:
            await call.task_done()
        assert house.keeper.view()[1] == 0 and [view.leases for view in house.keeper.view()[0]] == [0]

    at_home(tmp_path, work, queue=512)


def test_another_model_under_the_same_name(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        (file := tmp_path / "file.gguf").write_bytes(small())
        add = {"path": str(file), "name": "mine"}
        for _ in range(2):
            assert (await house.call("POST", f"{AT}/models/import", add)).last("done")
            row = (await house.call("POST", f"{AT}/models/mine/load", {})).json()["model"]
            assert (row["pinned"], row["keep_alive_s"]) == (False, 1800.0), "the new one owes nothing to the old one"
            await house.call("POST", f"{AT}/models/mine/load", {"pin": True, "keep_alive": 5})
            assert (await house.call("DELETE", f"{AT}/models/mine")).status == 204
            assert house.keeper.table().pinned == []
        await house.keeper.flush()
        assert (await KeptInStore(house.store).load()).models == {}

    at_home(tmp_path, work)


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"[1]",
        b'"x"',
        b'{"choices": 5}',
        b'{"choices": [{"delta": 5}]}',
        b'{"usage": {"x": 1}}',
        b"\xff",
        b"{",
    ],
)
def test_an_engine_that_says_what_is_no_answer(line: bytes) -> None:
    with pytest.raises(EngineGarbled):
        llamacpp.ChunkReader().feed(b"data: " + line + b"\n")
    with pytest.raises(EngineGarbled):
        llamacpp.read_answer(line)
