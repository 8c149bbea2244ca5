"""Far engines, grants and fallback without a network: engines that do what a test says, the real routes, a real store.

Promises: the order, what falls back and what does not, the moment after which nothing falls back, who is never asked, and that a
key is shown nowhere; each has a test that goes red without it.
Does not cover: real connections (`tests/process/test_far_engines.py`), the breaker's times (`test_breaker.py`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from homefire.cli.chat import _show_who
from homefire.dialects.far import Listed
from homefire.engines.breaker import FAILURES
from homefire.engines.far import FarSpec, Known
from homefire.engines.null import Null
from homefire.errors import (
    AddressRefused,
    BadSetting,
    ChainEnded,
    ContextOverflow,
    EngineBusy,
    EngineDied,
    EngineFailed,
    EngineNotGranted,
    EngineTimedOut,
    HomefireError,
    InvalidRequest,
    UnsupportedParameter,
    leaves,
)
from homefire.messages import ChatRequest, Event
from homefire.residency import far as far_module
from homefire.residency.fallback import FALLS_BACK, first_that_answers
from homefire.residency.far import read_url
from homefire.settings import read_secret, write_secret
from tests.null.rig import AT, House, at_home

KEY = "sk-very-secret-0123456789"
CHAT = "/v1/chat/completions"


@dataclass
class World:
    """What far engines do, by `NAME/model`; and which were started and asked: every start would be a connection."""

    at_start: dict[str, HomefireError] = field(default_factory=dict)
    at_chat: dict[str, HomefireError] = field(default_factory=dict)
    # An error after so many words.
    after: dict[str, tuple[int, HomefireError]] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    asked: list[ChatRequest] = field(default_factory=list)
    running: list[Scripted] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


class Scripted(Null):
    """A far engine without a network."""

    world: World

    def __init__(self, spec: FarSpec) -> None:
        super().__init__(spec.name)
        self.spec = spec
        self.known = Known()
        self.mark = "a mark"

    async def start(self) -> None:
        await super().start()
        self.world.started.append(self.name)
        self.world.keys.append(self.spec.address.key)
        if problem := self.world.at_start.get(self.name):
            raise problem
        self.known = Known({"m": Listed("m", frozenset({"m"}), "a mark", 4096)}, 1.0)
        self.world.running.append(self)

    async def chat(self, request: ChatRequest) -> Any:
        self.world.asked.append(request)
        if problem := self.world.at_chat.get(self.name):
            raise problem
        answer = await super().chat(request)
        if self.name in self.world.after:
            answer.events = lambda: self._broken(answer)  # type: ignore[method-assign]
        return answer

    async def _broken(self, answer: Any) -> AsyncIterator[Event]:
        count, problem = self.world.after[self.name]
        for event in answer._events[:count]:
            yield event
        raise problem


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Far engines of every kind do what this says."""
    Scripted.world = World()
    monkeypatch.setattr(far_module, "KINDS", dict.fromkeys(far_module.KINDS, Scripted))
    return Scripted.world


def ask(model: str, **more: Any) -> dict[str, Any]:
    """A chat's body."""
    return {"model": model, "messages": [{"role": "user", "content": "one two three"}], **more}


async def add(house: House, name: str, **more: Any) -> Any:
    """Adds an engine; one that is not on this machine unless `url` says otherwise."""
    body = {"name": name, "url": f"https://{name}.example", **more}
    made = await house.call("POST", f"{AT}/engines", body)
    assert made.status == 201, made.body
    return made.json()


async def chain(house: House, model: str, *order: str) -> None:
    """Sets an order of fallback."""
    done = await house.call("PUT", f"{AT}/chains", {"model": model, "order": list(order)})
    assert done.status == 200, done.body


async def grant(house: House, name: str) -> None:
    """Allows an engine."""
    assert (await house.call("POST", f"{AT}/engines/{name}/grant")).json()["usable"]


# ------------------------------------------------------------------------------------------------------ the order


def attempts(plan: dict[str, HomefireError | str]) -> tuple[list[str], Callable[[str], Awaitable[str]]]:
    tried: list[str] = []

    async def attempt(name: str) -> str:
        tried.append(name)
        found = plan[name]
        if isinstance(found, HomefireError):
            raise found
        return found

    return tried, attempt


def test_the_first_that_answers() -> None:
    tried, attempt = attempts({"a": EngineFailed("x"), "b": EngineBusy("y"), "c": "yes", "d": "no"})
    won = asyncio.run(first_that_answers(["a", "b", "c", "d"], attempt))
    assert (won.value, won.name, tried) == ("yes", "c", ["a", "b", "c"])
    assert won.headers == [
        (b"x-homefire-answered-by", b"c"),
        (b"x-homefire-fell-back", b"a=engine_failed, b=engine_busy"),
    ]


def test_what_is_wrong_with_the_request_is_told_at_once() -> None:
    for problem in (InvalidRequest("bad"), ContextOverflow("long")):
        tried, attempt = attempts({"a": EngineFailed("x"), "b": problem, "c": "yes"})
        with pytest.raises(type(problem)):
            asyncio.run(first_that_answers(["a", "b", "c"], attempt))
        assert tried == ["a", "b"]


def test_a_chain_that_ends_lists_each() -> None:
    _, attempt = attempts({"a": EngineFailed("It fell."), "b": EngineTimedOut("It slept.")})
    with pytest.raises(ChainEnded) as caught:
        asyncio.run(first_that_answers(["a", "b"], attempt))
    for part in ("a: It fell. [engine_failed]", "b: It slept. [engine_timed_out]"):
        assert part in caught.value.message


def test_an_order_of_one_gives_its_own_error() -> None:
    _, attempt = attempts({"a": EngineTimedOut("It slept.")})
    with pytest.raises(EngineTimedOut):
        asyncio.run(first_that_answers(["a"], attempt))


def test_every_code_that_falls_back_is_one() -> None:
    assert {cls.code for cls in leaves()} >= FALLS_BACK


# ---------------------------------------------------------------------------------------------------- over HTTP


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_says_who_gave_it(tmp_path: Path, world: World, stream: bool) -> None:
    async def work(house: House) -> None:
        plain = await house.call("POST", CHAT, ask("pilot", stream=stream))
        assert plain.headers["x-homefire-answered-by"] == "pilot"
        assert "x-homefire-fell-back" not in plain.headers
        await add(house, "one", url="http://127.0.0.1:9/v1")
        named = await house.call("POST", CHAT, ask("one/m", stream=stream))
        assert named.headers["x-homefire-answered-by"] == "one/m"
        assert b"three" in named.body
        assert house.engines == house.engines[:1], "no model here was needed"

    at_home(tmp_path, work)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("when", ["start", "chat", "first"])
def test_the_next_takes_over_before_the_first_token(tmp_path: Path, world: World, stream: bool, when: str) -> None:
    async def work(house: House) -> None:
        await add(house, "one", url="http://localhost:9")
        await chain(house, "pilot", "one/m", "pilot")
        problem = EngineBusy("too much")
        if when == "start":
            world.at_start["one/m"] = problem
        elif when == "chat":
            world.at_chat["one/m"] = problem
        else:
            world.after["one/m"] = 0, problem
        found = await house.call("POST", CHAT, ask("pilot", stream=stream))
        assert found.status == 200
        assert found.headers["x-homefire-answered-by"] == "pilot"
        assert found.headers["x-homefire-fell-back"] == "one/m=engine_busy"
        assert b"three" in found.body and (b"[DONE]" in found.body) == stream
        (noted,) = house.keeper.decisions.last("pilot")[:1]
        assert noted.kind == "fell_back" and "engine_busy" in noted.reason
        assert not any(engine.running for engine in world.running)

    at_home(tmp_path, work)


def test_after_the_first_token_never(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "one", url="http://localhost:9")
        await chain(house, "pilot", "one/m", "pilot")
        world.after["one/m"] = 1, EngineTimedOut("It slept.")
        found = await house.call("POST", CHAT, ask("pilot", stream=True))
        assert found.status == 200 and found.headers["x-homefire-answered-by"] == "one/m"
        assert b"one" in found.body and b"three" not in found.body and b"[DONE]" not in found.body
        assert b"engine_timed_out" in found.body
        assert not house.engines, "nobody else was asked"

    at_home(tmp_path, work)


def test_not_streamed_it_may_fall_back_until_it_is_whole(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "one", url="http://localhost:9")
        await chain(house, "pilot", "one/m", "pilot")
        world.after["one/m"] = 2, EngineDied("It fell.")
        found = await house.call("POST", CHAT, ask("pilot"))
        assert found.headers["x-homefire-answered-by"] == "pilot", "its reader had seen nothing of it"
        assert found.json()["choices"][0]["message"]["content"] == "one two three"

    at_home(tmp_path, work)


def test_a_local_model_that_dies_falls_back_too(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "one", url="http://localhost:9")
        await chain(house, "smart", "pilot", "one/m")
        for stream in (False, True):
            found = await house.call("POST", CHAT, ask("smart", stream=stream))
            assert found.headers["x-homefire-fell-back"] == "pilot=engine_died"
            assert found.headers["x-homefire-answered-by"] == "one/m"
        assert world.asked[0].model == "one/m"

    at_home(tmp_path, work, fail_after=0)


def test_all_fail(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "one", url="http://localhost:9")
        await chain(house, "smart", "pilot", "one/m")
        world.at_chat["one/m"] = EngineBusy("too much")
        for stream in (False, True):
            found = await house.call("POST", CHAT, ask("smart", stream=stream))
            assert (found.status, found.code) == (502, "chain_ended")
            assert (
                "pilot: " in found.json()["error"]["message"] and "one/m: too much" in found.json()["error"]["message"]
            )

    at_home(tmp_path, work, fail_after=0)


def test_what_an_engine_cannot_honour_is_skipped_or_refused(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "one", url="http://localhost:9", kind="ollama")
        refused = await house.call("POST", CHAT, ask("one/m", logit_bias={"5": 1}))
        assert refused.code == "unsupported_parameter" and refused.json()["error"]["param"] == "logit_bias"
        assert not world.started, "that needs no connection to find out"
        await chain(house, "smart", "one/m", "pilot")
        found = await house.call("POST", CHAT, ask("smart", logit_bias={"5": 1}))
        assert found.headers["x-homefire-fell-back"] == "one/m=unsupported_parameter"

    at_home(tmp_path, work)


def test_a_conversation_falls_back_and_says_so(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "one", url="http://localhost:9")
        await chain(house, "smart", "one/m", "pilot")
        world.at_start["one/m"] = EngineFailed("It fell.")
        talk = await house.conversation(model="smart")
        found = await house.call("POST", f"{AT}/conversations/{talk}/messages", {"content": "hello there"})
        told = dict(found.events)
        assert told["answered_by"] == {"name": "pilot", "failed": [{"name": "one/m", "code": "engine_failed"}]}
        assert found.last("done")["content"] == "hello there"
        stored = (await house.call("GET", f"{AT}/conversations/{talk}")).json()["messages"]
        assert [message["answered_by"] for message in stored] == [None, told["answered_by"]], "it is kept"
        assert stored[1]["model"] == "smart"
        await chain(house, "smart", "pilot")
        again = await house.call("POST", f"{AT}/conversations/{talk}/messages/{stored[1]['id']}/regenerate", {})
        assert again.last("done")["answered_by"] == {"name": "pilot", "failed": []}
        other = await house.call("POST", f"{AT}/conversations", {"model": "two/m"})
        assert other.code == "unknown_model"

    at_home(tmp_path, work)


def test_the_terminal_says_who_answered(capsys: pytest.CaptureFixture[str]) -> None:
    for by in (None, {"name": "pilot", "failed": []}):
        _show_who({"answered_by": by})
        assert capsys.readouterr().err == ""
    _show_who({"answered_by": {"name": "pilot", "failed": [{"name": "one/m", "code": "engine_died"}]}})
    assert capsys.readouterr().err == "(pilot answered; asked before: one/m: engine_died)\n"


def test_a_role_in_an_order(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "one", url="http://localhost:9")
        await chain(house, "smart", "embed", "main", "one/m", "pilot")
        found = await house.call("POST", CHAT, ask("smart"))
        assert found.headers["x-homefire-answered-by"] == "pilot"
        assert found.headers["x-homefire-fell-back"] == "embed=unknown_model", "a role that nobody has is passed over"
        await chain(house, "main", "main", "one/m")
        assert (await house.call("POST", CHAT, ask("main"))).headers["x-homefire-answered-by"] == "pilot"
        house.keeper._make_engine = failing
        await house.keeper.evict("pilot")
        await chain(house, "smart", "main", "rlm", "pilot", "one/m")
        found = await house.call("POST", CHAT, ask("smart"))
        assert found.headers["x-homefire-answered-by"] == "one/m"
        assert found.headers["x-homefire-fell-back"] == "pilot=engine_failed", "one model, however often it is named"
        refused = await house.call("PUT", f"{AT}/chains", {"model": "x", "order": ["chief"]})
        assert refused.code == "unknown_model"

    def failing(name: str) -> Null:
        raise EngineFailed("It does not start.")

    at_home(tmp_path, work)


def test_who_leaves_while_an_engine_is_tried_leaves_nothing(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "one", url="http://localhost:9")
        hung = asyncio.Event()
        began = asyncio.Event()

        async def hang(self: Scripted, request: ChatRequest) -> Any:
            began.set()
            await hung.wait()

        Scripted.chat, kept = hang, Scripted.chat  # type: ignore[method-assign]
        try:
            call = house.start("POST", CHAT, ask("one/m", stream=True))
            await asyncio.wait_for(began.wait(), 5)
            call.leave()
            await call.task_done()
        finally:
            Scripted.chat = kept  # type: ignore[method-assign]
        assert (await house.call("POST", CHAT, ask("one/m"))).status == 200

    at_home(tmp_path, work)


def test_an_engine_that_keeps_failing_rests(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "one", url="http://localhost:9")
        world.at_chat["one/m"] = EngineFailed("It fell.")
        for _ in range(FAILURES):
            assert (await house.call("POST", CHAT, ask("one/m"))).code == "engine_failed"
        asked = len(world.asked)
        assert (await house.call("POST", CHAT, ask("one/m"))).code == "engine_resting"
        assert len(world.asked) == asked, "it is left alone"
        world.at_chat.clear()
        assert (await house.call("POST", f"{AT}/engines/one/check")).json()["ok"], "a person may look at once"
        assert (await house.call("POST", CHAT, ask("one/m"))).status == 200

    at_home(tmp_path, work)


def test_a_wrong_request_does_not_count_against_an_engine(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "one", url="http://localhost:9")
        for problem in (InvalidRequest("bad"), EngineBusy("later")):
            world.at_chat["one/m"] = problem
            for _ in range(FAILURES + 1):
                assert (await house.call("POST", CHAT, ask("one/m"))).code == problem.code

    at_home(tmp_path, work)


# ------------------------------------------------------------------------------------------------------- grants


def test_nothing_is_asked_that_nobody_granted(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        made = await add(house, "cloud", models=["m"])
        assert (made["local"], made["granted"], made["usable"]) == (False, False, False)
        await chain(house, "pilot", "cloud/m", "pilot")
        direct = await house.call("POST", CHAT, ask("cloud/m"))
        assert (direct.status, direct.code) == (403, "engine_not_granted")
        assert "homefire engine grant cloud" in direct.json()["error"]["next_step"]
        found = await house.call("POST", CHAT, ask("pilot"))
        assert found.headers["x-homefire-fell-back"] == "cloud/m=engine_not_granted"
        assert (await house.call("POST", f"{AT}/engines/cloud/check")).code == "engine_not_granted"
        embedded = await house.call("POST", "/v1/embeddings", {"model": "cloud/m", "input": "secret"})
        assert embedded.code == "engine_not_granted"
        listed = [row["id"] for row in (await house.call("GET", "/v1/models")).json()["data"]]
        assert "cloud/m" not in listed
        await house.call("GET", f"{AT}/engines")
        assert world.started == []
        await grant(house, "cloud")
        assert world.started == [], "a grant alone sends nothing"
        assert (await house.call("POST", CHAT, ask("pilot"))).headers["x-homefire-answered-by"] == "cloud/m"
        listed = [row["id"] for row in (await house.call("GET", "/v1/models")).json()["data"]]
        assert "cloud/m" in listed
        assert (await house.call("GET", "/v1/models/cloud/m")).json()["id"] == "cloud/m"
        revoked = await house.call("POST", f"{AT}/engines/cloud/revoke")
        assert revoked.json()["usable"] is False
        assert all(engine.ended for engine in world.running), "its connections are closed"
        world.started.clear()
        assert (await house.call("POST", CHAT, ask("cloud/m"))).code == "engine_not_granted"
        assert world.started == []

    at_home(tmp_path, work)


def test_a_granted_engine_that_no_order_names_is_not_asked(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "cloud")
        await grant(house, "cloud")
        for stream in (False, True):
            found = await house.call("POST", CHAT, ask("pilot", stream=stream))
            assert b"engine_died" in found.body
        assert (await house.call("POST", CHAT, ask("nobody"))).code == "unknown_model"
        assert world.started == []

    at_home(tmp_path, work, fail_after=0)


def test_revoking_breaks_answers_under_way(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "cloud")
        await grant(house, "cloud")
        Scripted.__init__, kept = _slow(Scripted.__init__), Scripted.__init__  # type: ignore[method-assign]
        try:
            call = house.start("POST", CHAT, ask("cloud/m", stream=True))
            await call.until(b"one")
            await house.call("POST", f"{AT}/engines/cloud/revoke")
            assert b"engine_died" in (await call.reply()).body
        finally:
            Scripted.__init__ = kept  # type: ignore[method-assign]

    at_home(tmp_path, work)


def _slow(made: Callable[..., None]) -> Callable[..., None]:
    def init(self: Scripted, spec: FarSpec) -> None:
        made(self, spec)
        self.delay = 0.3

    return init


def test_the_list_survives_the_daemon(tmp_path: Path, world: World) -> None:
    async def before(house: House) -> None:
        await add(house, "cloud", models=["m"], kind="vllm")
        await grant(house, "cloud")
        await chain(house, "smart", "cloud/m", "pilot")

    async def after(house: House) -> None:
        found = (await house.call("GET", f"{AT}/engines")).json()
        (engine,) = found["engines"]
        assert (engine["name"], engine["kind"], engine["models"], engine["granted"]) == ("cloud", "vllm", ["m"], True)
        assert found["chains"] == {"smart": ["cloud/m", "pilot"]}
        assert (await house.call("POST", CHAT, ask("smart"))).headers["x-homefire-answered-by"] == "cloud/m"
        await chain(house, "smart")
        assert (await house.call("POST", CHAT, ask("smart"))).code == "unknown_model"
        assert (await house.call("DELETE", f"{AT}/engines/cloud")).status == 204
        assert (await house.call("POST", CHAT, ask("cloud/m"))).code == "unknown_model"

    at_home(tmp_path, before)
    at_home(tmp_path, after)


def test_models_that_were_not_named_are_not_asked_for(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        await add(house, "one", url="http://127.0.0.1:9", models=["m"])
        assert (await house.call("POST", CHAT, ask("one/other"))).code == "unknown_model"
        assert (await house.call("POST", CHAT, ask("one/\u00e4"))).code == "invalid_request"
        assert world.started == []

    at_home(tmp_path, work)


def test_the_page_may_not_change_engines(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        code, _ = house.authority.make_code()
        token = await house.authority.login(code)
        page = [("cookie", f"{house.authority.cookie}={token}"), ("origin", "http://127.0.0.1:7373")]
        await add(house, "cloud")
        for method, path, body in (
            ("POST", "/engines", {"name": "x", "url": "https://x.example"}),
            ("POST", "/engines/cloud/grant", None),
            ("POST", "/engines/cloud/revoke", None),
            ("POST", "/engines/cloud/check", None),
            ("DELETE", "/engines/cloud", None),
            ("PUT", "/chains", {"model": "x", "order": ["pilot"]}),
        ):
            assert (await house.call(method, AT + path, body, page, key=False)).code == "key_needed", path
        seen = await house.call("GET", f"{AT}/engines", None, page, key=False)
        (row,) = seen.json()["engines"]
        assert (row["name"], row["granted"], row["state"]) == ("cloud", False, "closed")
        assert not {"url", "has_key"} & set(row) and b"https://" not in seen.body
        assert (await house.call("GET", f"{AT}/engines")).json()["engines"][0]["url"].startswith("https://")

    at_home(tmp_path, work)


def test_bad_requests(tmp_path: Path, world: World) -> None:
    async def work(house: House) -> None:
        async def code(method: str, path: str, body: Any = None) -> str:
            return (await house.call(method, AT + path, body)).code

        await add(house, "one")
        good = {"name": "two", "url": "https://two.example"}
        assert await code("POST", "/engines", {**good, "name": "one"}) == "engine_exists"
        for wrong in ({"name": "a/b"}, {"name": "A"}, {"kind": "magic"}, {"models": ["a b"]}, {"key": "two\nlines"}):
            assert await code("POST", "/engines", good | wrong) == "invalid_request", wrong
        assert await code("POST", "/engines/none/grant") == "unknown_engine"
        assert await code("DELETE", "/engines/none") == "unknown_engine"
        assert await code("PUT", "/chains", {"model": "x", "order": ["nobody"]}) == "unknown_model"
        assert await code("PUT", "/chains", {"model": "x", "order": ["pilot", "pilot"]}) == "invalid_request"
        assert await code("PUT", "/chains", {"model": "x y", "order": ["pilot"]}) == "invalid_request"
        await chain(house, "x", "pilot", "one/m")
        assert await code("PUT", "/chains", {"model": "y", "order": ["x"]}) == "invalid_request"
        await add(house, "here", url="http://[::1]:9")
        assert await code("POST", "/engines/here/revoke") == "invalid_request"

    at_home(tmp_path, work)


# ---------------------------------------------------------------------------------------------- addresses and keys


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000"),
        ("http://localhost:11434/api", "http://localhost:11434"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("https://host.example/openai/v1", "https://host.example/openai"),
    ],
)
def test_addresses(given: str, found: str) -> None:
    assert read_url(given) == found


@pytest.mark.parametrize(
    "given",
    [
        "http://192.168.1.5:8000",
        "http://host.example",
        "http://0.0.0.0:8000",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://ip6-localhost:8000",
        "http://2130706433",
    ],
)
def test_plain_http_beyond_this_machine(given: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        read_url(given)
    assert "https" in caught.value.next_step


@pytest.mark.parametrize(
    "given",
    ["", "host", "ftp://host.example", "https://", "https://a:b@host.example", "https://h.example/?x=1", "file:///etc"],
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(InvalidRequest):
        read_url(given)


def test_the_key_is_in_its_file_and_nowhere_else(tmp_path: Path, world: World) -> None:
    seen: list[bytes] = []

    async def work(house: House) -> None:
        for method, path, body in (
            ("POST", f"{AT}/engines", {"name": "cloud", "url": "https://cloud.example", "key": KEY}),
            ("POST", f"{AT}/engines/cloud/grant", None),
            ("POST", f"{AT}/engines/cloud/check", None),
            ("GET", f"{AT}/engines", None),
            ("POST", CHAT, ask("cloud/m")),
        ):
            reply = await house.call(method, path, body)
            assert reply.status < 300, reply.body
            seen.append(reply.body)
        assert (await house.call("GET", f"{AT}/engines")).json()["engines"][0]["has_key"] is True
        assert KEY in world.keys
        secrets = house.home / "secrets.toml"
        if sys.platform != "win32":
            assert secrets.stat().st_mode & 0o777 == 0o600
        assert read_secret(secrets, "cloud") == KEY
        await house.call("DELETE", f"{AT}/engines/cloud")
        assert KEY not in secrets.read_text("utf-8"), "it goes with its engine"
        await add(house, "cloud", url="https://thief.example")
        await grant(house, "cloud")
        world.keys.clear()
        await house.call("POST", CHAT, ask("cloud/m"))
        assert world.keys == [""], "a new engine of an old name gets no old key"
        write_secret(secrets, "mine", KEY + "-by-hand")
        await add(house, "mine", url="http://127.0.0.1:9")
        await house.call("POST", CHAT, ask("mine/m"))
        assert world.keys[-1] == KEY + "-by-hand", "a person may write the file"
        secrets.unlink()

    at_home(tmp_path, work)
    assert all(KEY.encode() not in body for body in seen)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file


def test_the_file_of_keys(tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    assert read_secret(file, "a") == ""
    write_secret(file, "a", "")
    assert not file.exists()
    write_secret(file, "a", 'quo"te\\back')
    write_secret(file, "b.c", KEY)
    assert (read_secret(file, "a"), read_secret(file, "b.c"), read_secret(file, "x")) == ('quo"te\\back', KEY, "")
    write_secret(file, "a", "")
    assert (read_secret(file, "a"), read_secret(file, "b.c")) == ("", KEY)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_file_of_keys_that_others_may_read(tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    write_secret(file, "a", KEY)
    for mode in (0o640, 0o604, 0o644):
        file.chmod(mode)
        with pytest.raises(BadSetting, match="others") as caught:
            read_secret(file, "a")
        assert "chmod 600" in caught.value.next_step and KEY not in str(caught.value.envelope())


@pytest.mark.parametrize(
    "text",
    [f'[engines]\na = "{KEY}\n', f'engines = "{KEY}"', f'[engines]\na = ["{KEY}"]', f'[engines]\na = "{KEY}\\u0000"'],
)
def test_a_bad_file_of_keys_is_not_quoted(tmp_path: Path, text: str) -> None:
    file = tmp_path / "secrets.toml"
    write_secret(file, "a", "x")
    file.write_text(text, "utf-8")
    with pytest.raises(BadSetting) as caught:
        read_secret(file, "a")
    assert KEY not in json.dumps(caught.value.envelope())


def test_errors_that_carry_a_grant() -> None:
    assert EngineNotGranted("x").status == 403 and UnsupportedParameter.code in FALLS_BACK
