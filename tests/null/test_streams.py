"""Answers that stream: events in order, what is stored however they end, OpenAI's streams.

Promises: whoever leaves, whatever dies, the text so far is stored with the right state and nothing is held any more.
Does not cover: a real engine and a real connection (`tests/process`), `kill -9` (`tests/chaos`).
"""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from homefire.engines.null import NullAnswer
from homefire.errors import DiskFull
from homefire.server import conversation_routes
from homefire.server.conversation_routes import NOTICE
from homefire.store import Conversations
from tests.null.rig import AT, Call, House, Reply, at_home

WORDS = "one two three four five six seven eight"
CHAT = "/v1/chat/completions"


async def asked(house: House, home: str, content: str = WORDS, **fields: Any) -> Reply:
    return await house.call("POST", f"{AT}/conversations/{home}/messages", {"content": content, **fields})


def begun(house: House, home: str, content: str = WORDS) -> Call:
    return house.start("POST", f"{AT}/conversations/{home}/messages", {"content": content})


async def messages(house: House, home: str) -> list[dict[str, Any]]:
    found = await house.call("GET", f"{AT}/conversations/{home}")
    return list(found.json()["messages"])


async def free(house: House) -> None:
    """Nothing is held any more: no lease, no running answer, nobody waits."""
    for _ in range(100):
        views, waiting = house.keeper.view()
        if not waiting and all(view.leases == 0 for view in views) and all(e.running == 0 for e in house.engines):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(house.keeper.view())


def test_the_events_in_order_and_what_is_stored(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        home = await house.conversation()
        first = await asked(house, home)
        assert first.headers["content-type"].startswith("text/event-stream")
        names = [name for name, _ in first.events]
        # The first answer waits for its model to load.
        assert names == ["message", "message", "notice", "queue", *["delta"] * 8, "done"]
        question, empty = first.events[0][1], first.events[1][1]
        assert (question["role"], question["content"], question["parent_id"]) == ("user", WORDS, None)
        assert (empty["state"], empty["content"], empty["parent_id"]) == ("streaming", "", question["id"])
        assert first.events[2][1] == {"text": NOTICE}
        done = first.last("done")
        assert "".join(data["text"] for name, data in first.events if name == "delta") == WORDS == done["content"]
        assert (done["id"], done["state"], done["error"]) == (empty["id"], "complete", None)
        assert done["usage"] == {"prompt_tokens": 8, "completion_tokens": 8, "total_tokens": 16}
        assert done["timings"]["time_to_first_token_s"] >= 0
        assert await messages(house, home) == [question, done]
        second = await asked(house, home, "again")
        assert [name for name, _ in second.events] == ["message", "message", "delta", "done"], "the notice comes once"
        assert second.events[0][1]["parent_id"] == done["id"], "after the newest leaf"
        # The prompt is the whole path: two messages of eight words and one of one.
        assert second.last("done")["usage"]["prompt_tokens"] == 17
        other = await house.conversation()
        assert "notice" not in [name for name, _ in (await asked(house, other)).events]
        assert (await house.call("GET", f"{AT}/conversations/{home}")).json()["notice"] == NOTICE
        await free(house)

    at_home(tmp_path, work)


def test_branches_and_answers_again(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        home = await house.conversation(system="Be brief.")
        one = (await asked(house, home, "first")).last("done")
        await asked(house, home, "second")
        again = await house.call("POST", f"{AT}/conversations/{home}/messages/{one['id']}/regenerate", {})
        assert [name for name, _ in again.events] == ["message", "delta", "done"]
        new = again.last("done")
        assert (new["parent_id"], new["content"]) == (one["parent_id"], "first") and new["id"] != one["id"]
        assert new["usage"]["prompt_tokens"] == 3, "the system prompt and the question, not what came after"
        side = await asked(house, home, "beside", parent_id=one["id"])
        assert side.last("done")["usage"]["prompt_tokens"] == 5
        fresh = await asked(house, home, "anew", parent_id=None)
        assert fresh.events[0][1]["parent_id"] is None
        assert fresh.last("done")["usage"]["prompt_tokens"] == 3
        question = one["parent_id"]
        for target in (f"{home}/messages/{question}/regenerate", f"{home}/messages/m0/regenerate"):
            assert (await house.call("POST", f"{AT}/conversations/{target}", {})).code == "unknown_message"
        assert (await asked(house, home, "x", parent_id="m0")).code == "unknown_message"
        assert (await asked(house, "c0", "x")).code == "unknown_conversation"
        assert (await asked(house, home, "x", model="none")).code == "unknown_model"
        assert (await asked(house, home, "")).code == "invalid_request"
        for sampling in ({"temperature": 3}, {"max_tokens": 0}, {"top_k": 1.5}, {"heat": 1}):
            assert (await asked(house, home, "x", sampling=sampling)).code == "invalid_request", sampling
        short = await asked(house, home, WORDS, sampling={"max_tokens": 2, "seed": -1})
        assert short.last("done")["content"] == "one two"
        assert len(await messages(house, home)) == 11

    at_home(tmp_path, work)


def test_who_leaves_stops_the_answer(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        home = await house.conversation()
        call = begun(house, home)
        await call.until(b'{"text":" three"}')
        call.leave()
        await call.task_done()
        await free(house)
        stored = (await messages(house, home))[-1]
        assert stored["state"] == "stopped" and stored["error"] is None
        assert WORDS.startswith(stored["content"]) and "one two three" in stored["content"]
        assert stored["content"] != WORDS
        assert (await asked(house, home, "x")).last("done")["state"] == "complete", "the model serves the next one"

    at_home(tmp_path, work, delay=0.03)


def test_an_engine_that_dies_in_the_middle(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        home = await house.conversation()
        failed = await asked(house, home)
        error = failed.last("error")["error"]
        assert (error["code"], error["source"]) == ("engine_died", "engine")
        assert sum(name == "delta" for name, _ in failed.events) == 3
        stored = (await messages(house, home))[-1]
        assert (stored["state"], stored["content"], stored["error"]) == ("failed", "one two three", error)
        await free(house)
        assert (await house.call("GET", f"{AT}/conversations?q=three")).json()["conversations"], "it can be found"

    at_home(tmp_path, work, fail_after=3)


def test_an_answer_that_cannot_begin_is_stored_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(house: House) -> None:
        home = await house.conversation()
        await house.keeper.close()
        failed = await asked(house, home)
        assert [name for name, _ in failed.events] == ["message", "message", "notice", "error"]
        assert failed.last("error")["error"]["code"] == "shutting_down"
        stored = (await messages(house, home))[-1]
        assert (stored["state"], stored["content"]) == ("failed", "")

    at_home(tmp_path, work)


def test_a_store_that_fails_at_the_end_costs_nobody_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object, **__: object) -> None:
        raise DiskFull("The disk is full.")

    async def work(house: House) -> None:
        home = await house.conversation()
        with monkeypatch.context() as patch:
            patch.setattr(Conversations, "finish", full)
            assert (await asked(house, home)).last("done")["content"] == WORDS
        with monkeypatch.context() as patch:
            patch.setattr(Conversations, "ask", full)
            refused = await asked(house, home)
            assert (refused.status, refused.code) == (507, "disk_full")
        assert (await asked(house, home, "x")).last("done")["state"] == "complete"
        await free(house)

    at_home(tmp_path, work)


def test_partial_saves_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_routes, "SAVE_SECONDS", 0.005)
    saved: list[str] = []
    real = Conversations.save_partial

    async def noted(self: Conversations, message_id: str, content: str, by: dict[str, Any] | None = None) -> None:
        saved.append(content)
        if len(saved) == 2:
            raise DiskFull("The disk is full.")
        await real(self, message_id, content, by)

    monkeypatch.setattr(Conversations, "save_partial", noted)

    async def work(house: House) -> None:
        home = await house.conversation()
        call = begun(house, home)
        await call.until(b'{"text":" four"}')
        stored = (await messages(house, home))[-1]
        assert stored["state"] == "streaming" and stored["content"] in WORDS and stored["content"]
        assert (await call.reply()).last("done")["content"] == WORDS

    at_home(tmp_path, work, delay=0.03)
    assert len(saved) >= 3, "a save that failed does not end the saving"
    assert len(set(saved)) == len(saved), "nothing is saved twice"
    assert all(later.startswith(earlier) for earlier, later in pairwise(saved))


def test_a_defect_in_the_middle_still_ends_the_stream_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: NullAnswer) -> Any:
        for event in self._events[:2]:
            yield event
        raise ValueError("a chunk that nobody understands")

    async def work(house: House) -> None:
        home = await house.conversation()
        with monkeypatch.context() as patch:
            patch.setattr(NullAnswer, "events", broken)
            failed = await asked(house, home)
        assert failed.last("error")["error"]["code"] == "internal_error"
        stored = (await messages(house, home))[-1]
        assert (stored["state"], stored["content"]) == ("failed", "one two")
        await free(house)

    at_home(tmp_path, work)


def lines(reply: Reply) -> list[Any]:
    """The data of OpenAI's stream."""
    blocks = [block for block in reply.body.decode().split("\n\n") if block]
    assert all(block.startswith("data: ") for block in blocks)
    return [block[6:] if block == "data: [DONE]" else json.loads(block[6:]) for block in blocks]


def chat(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": WORDS}], **fields}


def test_openai_whole_and_streamed(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        whole = (await house.call("POST", CHAT, chat())).json()
        assert whole["choices"][0]["message"]["content"] == WORDS
        assert whole["model"] == "pilot" and whole["usage"]["total_tokens"] == 16
        streamed = lines(await house.call("POST", CHAT, chat(stream=True)))
        assert streamed[-1] == "[DONE]"
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in streamed[:-1])
        assert text == WORDS
        assert len({chunk["id"] for chunk in streamed[:-1]}) == 1
        counted = lines(await house.call("POST", CHAT, chat(stream=True, stream_options={"include_usage": True})))
        assert counted[-2]["usage"]["completion_tokens"] == 8
        plain = await house.call("POST", "/v1/completions", {"prompt": WORDS, "max_tokens": 2})
        assert plain.json()["choices"][0] == {
            "index": 0,
            "text": "one two",
            "finish_reason": "length",
            "logprobs": None,
        }
        for target, body, code in (
            (CHAT, chat(model="gpt-9"), "unknown_model"),
            (CHAT, chat(n=2), "unsupported_parameter"),
            ("/v1/embeddings", {"input": "x"}, "no_embedding_model"),
            ("/v1/embeddings", {"input": "x", "model": "none"}, "unknown_model"),
        ):
            assert (await house.call("POST", target, body)).code == code
        await free(house)

    at_home(tmp_path, work)


@pytest.mark.parametrize("target", [CHAT, "/v1/completions"])
def test_an_openai_stream_that_breaks_ends_with_the_error_and_without_done(target: str, tmp_path: Path) -> None:
    async def work(house: House) -> None:
        body = {"prompt": WORDS, "stream": True} if "chat" not in target else chat(stream=True)
        reply = await house.call("POST", target, body)
        assert b"[DONE]" not in reply.body
        assert lines(reply)[-1]["error"]["code"] == "engine_died"
        assert b" three" in reply.body and b" four" not in reply.body
        await free(house)
        whole = await house.call("POST", target, {**body, "stream": False})
        assert (whole.status, whole.code) == (502, "engine_died")
        await free(house)

    at_home(tmp_path, work, fail_after=3)


@pytest.mark.parametrize("stream", [True, False])
def test_an_openai_client_that_leaves_frees_the_slot(stream: bool, tmp_path: Path) -> None:
    async def work(house: House) -> None:
        call = house.start("POST", CHAT, chat(stream=stream))
        await (call.until(b"two") if stream else asyncio.sleep(0.1))
        assert [view.leases for view in house.keeper.view()[0]] == [1]
        call.leave()
        await call.task_done()
        await free(house)

    at_home(tmp_path, work, delay=0.05)


def test_two_models_take_turns(tmp_path: Path) -> None:
    from tests.null.gguf_file import small
    from tests.null.keeper_bench import Memory

    source = tmp_path / "other.gguf"
    source.write_bytes(small())

    async def work(house: House) -> None:
        house.keeper._sizes = Memory(room=1)
        await house.call("POST", f"{AT}/models/import", {"path": str(source)})
        calls = [house.start("POST", CHAT, chat(model=model)) for model in ("pilot", "other", "pilot", "other")]
        replies = [await call.reply() for call in calls]
        assert [reply.json()["choices"][0]["message"]["content"] for reply in replies] == [WORDS] * 4
        assert [engine.name for engine in house.engines] == ["pilot", "other"], "those of one model go together"
        assert house.engines[0].ended and not house.engines[1].ended

    at_home(tmp_path / "home", work)
