"""The routes of the other dialects, and the policy for a context that does not fit, on null engines.

Promises: each dialect's errors come in its own form, before an answer and within it; nothing is dropped without being declared,
and no more than is needed.
Does not cover: the forms in detail (`test_dialects_*.py`), real clients (`tests/process/test_clients.py`).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homefire.dialects import anthropic
from homefire.messages import ChatRequest, Message, Sampling, ToolCall
from homefire.models.downloads import Download
from homefire.paths import ModelName
from homefire.server.overflow import droppable, shortened, without
from tests.null.gguf_file import small
from tests.null.rig import AT, HOST, House, Reply, at_home

HELLO = [{"role": "user", "content": "one two three"}]
DROP = [("X-Homefire-Overflow", "drop-oldest")]
# Each dialect: path, the body for these messages, what its answer says.
DIALECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {}),
    "anthropic": ("/v1/messages", {"max_tokens": 50}),
    "responses": ("/v1/responses", {}),
    "ollama": ("/api/chat", {"stream": False}),
}


def body(dialect: str, messages: list[dict[str, str]], **fields: Any) -> dict[str, Any]:
    """A request of the dialect."""
    given = {"model": "pilot", **DIALECTS[dialect][1], **fields}
    if dialect == "responses":
        return {**given, "input": messages}
    if dialect == "anthropic" and messages[0]["role"] == "system":
        return {**given, "system": messages[0]["content"], "messages": messages[1:]}
    return {**given, "messages": messages}


async def ask(house: House, dialect: str, messages: list[dict[str, str]], headers: Any = None, **fields: Any) -> Reply:
    return await house.call("POST", DIALECTS[dialect][0], body(dialect, messages, **fields), headers)


def said(dialect: str, reply: Reply) -> str:
    """The text of a whole answer."""
    found = reply.json()
    match dialect:
        case "openai":
            return str(found["choices"][0]["message"]["content"])
        case "anthropic":
            return str(found["content"][0]["text"])
        case "responses":
            return str(found["output"][0]["content"][0]["text"])
        case _:
            return str(found["message"]["content"])


def failure(dialect: str, reply: Reply) -> str:
    """The code of an error, after its form was held against the dialect's."""
    found = reply.json()
    if dialect == "ollama":
        assert set(found) == {"error", "code"} and isinstance(found["error"], str)
        return str(found["code"])
    if dialect == "anthropic":
        assert found["type"] == "error" and found["error"]["type"] in (*anthropic._TYPES.values(), "api_error")
    return str(found["error"]["code"])


@pytest.fixture(params=list(DIALECTS))
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_an_answer(tmp_path: Path, dialect: str) -> None:
    async def work(house: House) -> None:
        reply = await ask(house, dialect, HELLO)
        assert (reply.status, said(dialect, reply)) == (200, "one two three")
        assert "x-homefire-dropped" not in reply.headers
        assert house.engines[0].running == 0

    at_home(tmp_path, work)


def test_errors_in_the_dialects_form(tmp_path: Path, dialect: str) -> None:
    async def work(house: House) -> None:
        path, _ = DIALECTS[dialect]
        unknown = await ask(house, dialect, HELLO, model="gpt-4o")
        assert (unknown.status, failure(dialect, unknown)) == (404, "unknown_model")
        not_json = await house.call("POST", path, b"{")
        assert (not_json.status, failure(dialect, not_json)) == (400, "invalid_json")
        field = await ask(house, dialect, HELLO, wish=1)
        assert (field.status, failure(dialect, field)) == (400, "invalid_request")
        no_key = await house.call("POST", path, body(dialect, HELLO), key=False)
        assert (no_key.status, failure(dialect, no_key)) == (401, "missing_key")
        method = await house.call("GET", path)
        assert (method.status, failure(dialect, method)) == (405, "method_not_allowed")
        large = await house.call("POST", path, b" " * (2 << 20))
        assert (large.status, failure(dialect, large)) == (413, "body_too_large")
        policy = await ask(house, dialect, HELLO, [("X-Homefire-Overflow", "cut")])
        assert (policy.status, failure(dialect, policy)) == (400, "invalid_request")
        assert not house.engines, "nothing was loaded for any of them"

    at_home(tmp_path, work)


BROKEN = {
    "openai": b'"code":"engine_died"',
    "anthropic": b"event: error\n",
    "responses": b"event: response.failed\n",
    "ollama": b'{"error":',
}
LAST = {"openai": b"[DONE]", "anthropic": b"message_stop", "responses": b"response.completed", "ollama": b'"done":true'}


def test_an_engine_that_dies_in_the_answer(tmp_path: Path, dialect: str) -> None:
    async def work(house: House) -> None:
        reply = await ask(house, dialect, HELLO, stream=True)
        assert reply.status == 200
        assert BROKEN[dialect] in reply.body and LAST[dialect] not in reply.body
        assert b"one" in reply.body, "what came before is there"

    at_home(tmp_path, work, fail_after=2)


def test_an_engine_that_dies_before_its_first_word(tmp_path: Path, dialect: str) -> None:
    """The head is not sent before the first event: the client gets a status, not a broken stream."""

    async def work(house: House) -> None:
        if dialect == "openai":
            return  # its bytes pass through: `test_streams.py`
        reply = await ask(house, dialect, HELLO, stream=True)
        assert (reply.status, failure(dialect, reply)) == (502, "engine_died")

    at_home(tmp_path, work, fail_after=0)


def test_whole_streams_end_as_they_should(tmp_path: Path, dialect: str) -> None:
    async def work(house: House) -> None:
        reply = await ask(house, dialect, HELLO, stream=True)
        assert LAST[dialect] in reply.body and BROKEN[dialect] not in reply.body

    at_home(tmp_path, work)


def test_a_client_that_leaves_frees_the_slot(tmp_path: Path, dialect: str) -> None:
    async def work(house: House) -> None:
        long = [{"role": "user", "content": "word " * 2000}]
        call = house.start("POST", DIALECTS[dialect][0], body(dialect, long, stream=True))
        await call.until_count(b"word", 3)
        assert house.engines[0].running == 1
        call.leave()
        await call.task_done()
        assert house.engines[0].running == 0

    at_home(tmp_path, work, delay=0.002)


# ---------------------------------------------------------------------------------------------------------- overflow

LONG = [
    {"role": "system", "content": "be brief"},
    *(
        turn
        for n in range(5)
        for turn in ({"role": "user", "content": f"q{n} x"}, {"role": "assistant", "content": f"a{n}"})
    ),
    {"role": "user", "content": "last one"},
]


def test_what_does_not_fit_is_an_error_unless_it_is_declared(tmp_path: Path, dialect: str) -> None:
    async def work(house: House) -> None:
        await ask(house, dialect, HELLO)
        house.engines[-1].window = 12
        refused = await ask(house, dialect, LONG)
        assert (refused.status, failure(dialect, refused)) == (400, "context_length_exceeded")
        short: dict[str, dict[str, Any]] = {
            "ollama": {"options": {"num_predict": 2}},
            "responses": {"max_output_tokens": 2},
        }
        limit = short.get(dialect, {"max_tokens": 2})
        for stream in (False, True):
            dropped = await ask(house, dialect, LONG, DROP, stream=stream, **limit)
            # 19 words; 12 less 2 for the answer hold the system's 2, the question's 2 and two turns of 3.
            assert (dropped.status, dropped.headers["x-homefire-dropped"]) == (200, "6"), stream
            assert b"last" in dropped.body
        notes = [entry for entry in house.keeper.decisions.last() if entry.kind == "truncated"]
        assert notes and "6 messages" in notes[-1].reason
        fits = await ask(house, dialect, HELLO, DROP)
        assert "x-homefire-dropped" not in fits.headers, "nothing to drop, nothing said"
        house.engines[-1].window = 3
        never = await ask(house, dialect, LONG, DROP)
        assert (never.status, failure(dialect, never)) == (400, "context_length_exceeded")

    at_home(tmp_path, work)


def test_truncation_auto_is_the_same_policy(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await ask(house, "responses", HELLO)
        house.engines[-1].window = 12
        found = await ask(house, "responses", LONG, truncation="auto")
        assert (found.status, int(found.headers["x-homefire-dropped"])) == (200, 8)
        assert (await ask(house, "responses", LONG, truncation="disabled")).status == 400

    at_home(tmp_path, work)


def turns(text: str) -> tuple[Message, ...]:
    """A conversation from letters: s(ystem), u(ser), a(ssistant), c(all), t(ool)."""
    made = []
    for letter in text:
        match letter:
            case "c":
                made.append(Message("assistant", None, (ToolCall("x", "f", "{}"),)))
            case "t":
                made.append(Message("tool", "r", tool_call_id="x"))
            case _:
                role: Any = {"s": "system", "u": "user", "a": "assistant"}[letter]
                made.append(Message(role, letter))
    return tuple(made)


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("u", []),
        ("su", []),
        ("suau", [(1, 2)]),
        ("suausu", [(1, 2), (3,)]),  # a system message in the middle stays
        ("auau", [(0,), (1, 2)]),
        ("uctau", [(0, 1, 2, 3)]),
        ("uctctct", [(1, 2), (3, 4)]),  # of the last turn the last round stays
        ("uauctctt", [(0, 1), (3, 4)]),
        ("uc", []),
        ("s", []),
    ],
)
def test_what_may_go(text: str, groups: list[tuple[int, ...]]) -> None:
    assert droppable(turns(text)) == groups


def test_a_result_never_stays_without_its_call() -> None:
    for text in ("suctctauctctct", "ucttuctau", "aucttctt"):
        messages = turns(text)
        groups = droppable(messages)
        for count in range(len(groups) + 1):
            left = without(ChatRequest("m", messages), groups[:count]).messages
            letters = "".join("s" if m.role == "system" else "c" if m.tool_calls else m.role[0] for m in left)
            assert "t" not in letters or letters.index("c") < letters.index("t"), (text, letters)
            assert "ut" not in letters and letters.count("s") == text.count("s")


def test_no_more_goes_than_is_needed() -> None:
    messages = turns("s" + "ua" * 40 + "u")
    counted = 0

    async def count(request: ChatRequest) -> int:
        nonlocal counted
        counted += 1
        return len(request.messages)

    request = ChatRequest("m", messages, Sampling(max_tokens=4))
    for limit in range(3, 82):
        found = asyncio.run(shortened(request, limit, count))
        assert found is not None
        shorter, dropped = found
        assert len(shorter.messages) == len(messages) - dropped
        room = limit - min(4, limit // 4)
        if dropped > 2 and dropped < 80:
            assert len(shorter.messages) <= room < len(shorter.messages) + 2, limit
    assert asyncio.run(shortened(request, 2, count)) is None, "system and question alone do not fit"
    assert asyncio.run(shortened(replace(request, messages=turns("su")), 9, count)) is None
    assert counted < 82 * 9, "a search, not a walk"


# --------------------------------------------------------------------------------------------- the rest of the routes


def test_counting(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        path = "/v1/messages/count_tokens"
        found = await house.call("POST", path, {"model": "pilot", "system": "be", "messages": HELLO})
        assert found.json() == {"input_tokens": 4}
        unknown = await house.call("POST", path, {"model": "claude", "messages": HELLO})
        assert (unknown.status, unknown.json()["error"]["type"]) == (404, "not_found_error")

    at_home(tmp_path, work)


def test_reasoning_of_a_model_that_has_none(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        thinking = {"type": "enabled", "budget_tokens": 1024}
        refused = await ask(house, "anthropic", HELLO, thinking=thinking)
        assert (refused.status, refused.json()["error"]["param"]) == (400, "thinking")
        assert (await ask(house, "anthropic", HELLO, thinking={"type": "disabled"})).status == 200
        other = await ask(house, "ollama", HELLO, think=True)
        assert (other.status, other.json()["code"]) == (400, "unsupported_parameter")
        assert (await ask(house, "ollama", HELLO, think=False)).status == 200

    at_home(tmp_path, work)


def test_a_role_may_be_named(tmp_path: Path, dialect: str) -> None:
    async def work(house: House) -> None:
        reply = await ask(house, dialect, HELLO, model="main")
        assert (reply.status, said(dialect, reply)) == (200, "one two three")

    at_home(tmp_path, work)


def test_rerank(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        wrong = await house.call("POST", "/v1/rerank", {"model": "pilot", "query": "a", "documents": ["a"]})
        assert (wrong.status, wrong.code) == (400, "wrong_model_kind")
        assert not house.engines
        library = house.rooms.models.library
        pilot = library.get("pilot")
        judge = replace(pilot, name=ModelName("judge"), facts=replace(pilot.facts, kind="rerank"))
        library._models[judge.name] = judge
        request = {"model": "judge", "query": "a b", "documents": ["x", "a b", {"text": "b"}], "return_documents": True}
        found = await house.call("POST", "/v1/rerank", request)
        assert [(row["index"], row["document"]["text"]) for row in found.json()["results"]] == [
            (1, "a b"),
            (2, "b"),
            (0, "x"),
        ]
        chat = await house.call("POST", "/v1/chat/completions", {"model": "judge", "messages": HELLO})
        assert (chat.code, "rerank" in chat.json()["error"]["next_step"]) == ("wrong_model_kind", True)

    at_home(tmp_path, work)


def test_ollamas_names_and_windows(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert (await ask(house, "ollama", HELLO, model="pilot:latest")).json()["model"] == "pilot:latest"
        assert (await house.call("POST", "/api/show", {"model": "pilot:latest"})).status == 200
        assert (await ask(house, "ollama", HELLO, options={"num_ctx": 2048})).status == 200
        beyond = await ask(house, "ollama", HELLO, options={"num_ctx": 4096})
        assert beyond.status == 400
        assert "2,048" in beyond.json()["error"] and "4,096" in beyond.json()["error"]

    at_home(tmp_path, work)


def test_ollamas_shelf(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        (row,) = (await house.call("GET", "/api/tags")).json()["models"]
        assert row["name"] == "pilot" and row["size"] > 0
        assert (await house.call("GET", "/api/ps")).json() == {"models": []}
        loaded = await house.call("POST", "/api/generate", {"model": "pilot", "stream": False})
        assert (loaded.json()["done_reason"], len(house.engines)) == ("load", 1)
        (running,) = (await house.call("GET", "/api/ps")).json()["models"]
        assert running["name"] == "pilot"
        left = await house.call(
            "POST", "/api/chat", {"model": "pilot", "messages": [], "keep_alive": 0, "stream": False}
        )
        assert left.json()["done_reason"] == "unload" and house.engines[0].ended
        assert (await house.call("GET", "/api/ps")).json() == {"models": []}
        shown = (await house.call("POST", "/api/show", {"name": "pilot"})).json()
        assert shown["capabilities"] == ["completion", "tools"] and shown["details"]["family"] == "llama"
        kept = await house.call("DELETE", "/api/delete", {"model": "pilot"})
        assert (kept.status, kept.json()["code"]) == (409, "built_in_model")
        gone = await house.call("DELETE", "/api/delete", {"model": "other"})
        assert (gone.status, gone.json()["code"]) == (404, "unknown_model")
        assert (await house.call("GET", "/api/version")).json()["version"]

    at_home(tmp_path, work)


def test_ollamas_pull(tmp_path: Path) -> None:
    """What a name means, and how a pull that fails reads."""
    asked: list[str] = []

    async def work(house: House) -> None:
        pulls = house.rooms.models.pulls
        real = pulls.pull

        async def pull(text: str, **more: Any) -> Download:
            asked.append(text)
            return await real(text, **more)

        pulls.pull = pull  # type: ignore[method-assign]
        for name in ("all-minilm-l6-v2", "qwen3:0.6b", "hf.co/a/b:Q4_K_M", "hf:a/b:Q4_K_M", "nomic:latest"):
            reply = await house.call("POST", "/api/pull", {"model": name, "stream": name == "qwen3:0.6b"})
            assert "error" in reply.json() if name != "qwen3:0.6b" else b'"error":' in reply.body.splitlines()[-1], name
            assert reply.status >= 400 or name == "qwen3:0.6b"
        assert asked == ["all-minilm-l6-v2", "ollama:qwen3:0.6b", "hf:a/b:Q4_K_M", "hf:a/b:Q4_K_M", "ollama:nomic"]
        here = await house.call("POST", "/api/pull", {"model": "pilot:latest", "stream": False})
        assert here.json() == {"status": "success"}
        insecure = await house.call("POST", "/api/pull", {"model": "x", "insecure": True})
        assert (insecure.status, insecure.json()["code"]) == (400, "invalid_request")
        assert json.loads((await house.call("POST", "/api/pull", {})).body)["code"] == "invalid_request"

    at_home(tmp_path, work)


def test_ollamas_pull_to_its_end(tmp_path: Path) -> None:
    (source := tmp_path / "near.gguf").write_bytes(small())

    async def work(house: House) -> None:
        named = {"model": f"file:{source}"}
        reply = await house.call("POST", "/api/pull", named)
        lines = [json.loads(line) for line in reply.body.splitlines()]
        assert [line["status"] for line in lines][:1] == ["pulling manifest"]
        assert [line["status"] for line in lines][-3:] == ["verifying sha256 digest", "writing manifest", "success"]
        assert all(line["completed"] <= line["total"] for line in lines if "total" in line)
        again = await house.call("POST", "/api/pull", {**named, "stream": False})
        assert again.json() == {"status": "success"}
        assert {row["name"] for row in (await house.call("GET", "/api/tags")).json()["models"]} == {"pilot", "near"}
        code = (await house.call("POST", f"{AT}/links")).json()["url"].rpartition("=")[2]
        cookie = (
            (await house.call("POST", f"{AT}/login", {"code": code}, key=False)).headers["set-cookie"].split(";")[0]
        )
        page = [("cookie", cookie), ("origin", f"http://{HOST}")]
        for text, refused in (
            (f"file:{source}", "key_needed"),
            (f" file:{source}", "bad_source"),
            ("FILE:/x", "bad_source"),
        ):
            found = await house.call("POST", "/api/pull", {"model": text, "stream": False}, page, key=False)
            assert found.json()["code"] == refused, text
        assert (await house.call("DELETE", "/api/delete", {"name": "near:latest"})).status == 200
        assert len((await house.call("GET", "/api/tags")).json()["models"]) == 1

    at_home(tmp_path / "home", work)


def test_embeddings_in_ollamas_form(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        library = house.rooms.models.library
        pilot = library.get("pilot")
        bert = replace(pilot, name=ModelName("bert"), facts=replace(pilot.facts, kind="embedding"))
        library._models[bert.name] = bert
        found = (await house.call("POST", "/api/embed", {"model": "bert:latest", "input": ["a b", "c"]})).json()
        assert (len(found["embeddings"]), found["prompt_eval_count"], found["model"]) == (2, 3, "bert:latest")
        old = (await house.call("POST", "/api/embeddings", {"model": "bert", "prompt": "a b"})).json()
        assert old["embedding"] == found["embeddings"][0]
        long = "word " * 100
        refused = await house.call("POST", "/api/embed", {"model": "bert", "input": long})
        assert (refused.status, refused.json()["code"]) == (400, "context_length_exceeded")
        cut = await house.call("POST", "/api/embed", {"model": "bert", "input": long, "truncate": True})
        assert cut.json()["prompt_eval_count"] == 64
        wrong = await house.call("POST", "/api/embed", {"model": "pilot", "input": "a"})
        assert (wrong.status, wrong.json()["code"]) == (400, "wrong_model_kind")

    at_home(tmp_path, work)
