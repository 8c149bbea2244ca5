"""Far engines over real connections: servers that misbehave on request, and the daemon with engines beside its own.

Promises: every way in which a server can be wrong ends in one error of the tree within its limit; a key goes to its engine and to
nobody else; nothing is sent to an engine that is not on this machine before a person granted it: the far side counts.
Does not cover: what a sound server answers (`tests/contract/test_engine.py`).
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from homefire.client import Homefire
from homefire.daemon.far_embedder import RETRY_SECONDS, FarEmbedder
from homefire.engines.breaker import FAILURES
from homefire.engines.far import Far, FarSpec
from homefire.engines.far_wire import Address
from homefire.engines.ollama import Ollama
from homefire.engines.remote import Remote
from homefire.errors import HomefireError
from homefire.messages import ChatRequest, EmbeddingRequest, Event, Finish, Message, TextDelta
from homefire.residency import far as far_module
from homefire.residency.far import FarEngines
from homefire.store import Engines, Store
from tests.conftest import RunningDaemon
from tests.far_servers import KEY, FarProcess, fake

LIMIT = 3.0
KINDS = ("openai", "ollama")
# What each fault of a chat becomes.
CHAT_FAULTS = {
    "401": "engine_rejected", "404": "engine_lacks_model", "429": "engine_busy", "503": "engine_busy", "500": "engine_failed",
    "400": "invalid_request", "hang_before_head": "engine_timed_out", "hang_before_first": "engine_timed_out",
    "hang": "engine_timed_out", "pings": "engine_timed_out", "cut": "engine_failed", "reset": "engine_failed",
    "garbage": "engine_failed", "garbage_json": "engine_garbled", "wrong_type": "engine_garbled",
    "endless_line": "engine_garbled", "gzip": "engine_garbled", "stop_short": "engine_garbled", "redirect": "engine_garbled",
    "other_model": "engine_changed", "error_in_stream": "engine_failed",
}  # fmt: skip
EMBED_FAULTS = {
    "500": "engine_failed", "429": "engine_busy", "hang_before_head": "engine_timed_out", "reset": "engine_failed",
    "wrong_type": "engine_garbled", "garbage_json": "engine_garbled", "stop_short": "engine_garbled", "gzip": "engine_garbled",
}  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Both kinds of server in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def module_server(kind: str) -> Iterator[FarProcess]:
    """One server for all tests of a kind that do not end it."""
    server = fake(kind)
    yield server
    server.kill()


@pytest.fixture
def server(module_server: FarProcess) -> Iterator[FarProcess]:
    """The same, sound again afterwards."""
    yield module_server
    module_server.fault(model="")


def engine_of(kind: str, server: FarProcess, model: str = "pilot", **more: Any) -> Far:
    """An engine on that server, with short limits."""
    given: dict[str, Any] = {
        "address": Address(server.url, key=KEY),
        "first_seconds": LIMIT,
        "stall_seconds": LIMIT / 2,
    }
    spec = FarSpec(f"far/{model}", model, kind, **given | more)
    return (Ollama if kind == "ollama" else Remote)(spec)


@asynccontextmanager
async def started(engine: Far) -> AsyncIterator[Far]:
    """A started engine, which is stopped afterwards."""
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def asked(text: str = "one two three four five six") -> ChatRequest:
    """A chat."""
    return ChatRequest("far/pilot", (Message("user", text),), stream=True)


async def said(engine: Far, request: ChatRequest) -> list[Event]:
    """All events of an answer."""
    answer = await engine.chat(request)
    try:
        return [event async for event in answer.events()]
    finally:
        await answer.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs it within a limit that only a hang reaches."""

    async def limited() -> None:
        await asyncio.wait_for(work, 60)

    asyncio.run(limited())


@pytest.mark.parametrize("fault", CHAT_FAULTS)
def test_each_fault_of_a_chat_is_one_error(kind: str, server: FarProcess, fault: str) -> None:
    async def work() -> None:
        # Many bytes take their time on a busy machine, and the fault is not that.
        limits: dict[str, Any] = {"stall_seconds": 20.0} if fault == "endless_line" else {}
        async with started(engine_of(kind, server, **limits)) as engine:
            server.fault(fault, on="chat")
            began = time.monotonic()
            with pytest.raises(HomefireError) as caught:
                await said(engine, asked())
            assert caught.value.code == CHAT_FAULTS[fault], caught.value.message
            assert "far/pilot" in caught.value.message and KEY not in str(caught.value.envelope())
            assert time.monotonic() - began < 2 * LIMIT + 3 + limits.get("stall_seconds", 0)
            server.fault()
            assert Finish("stop") in await said(engine, asked()), "and the next request is answered"

    run(work())


@pytest.mark.parametrize("fault", EMBED_FAULTS)
def test_each_fault_of_embeddings_is_one_error(kind: str, server: FarProcess, fault: str) -> None:
    async def work() -> None:
        async with started(engine_of(kind, server, "bert")) as engine:
            server.fault(fault, on="embed")
            with pytest.raises(HomefireError) as caught:
                await engine.embed(EmbeddingRequest("far/bert", ("a", "b")))
            assert caught.value.code == EMBED_FAULTS[fault], caught.value.message
            server.fault()
            assert len((await engine.embed(EmbeddingRequest("far/bert", ("a", "b")))).vectors) == 2

    run(work())


@pytest.mark.parametrize("fault", ["401", "500", "reset", "garbage", "wrong_type", "redirect", "gzip"])
def test_a_server_that_is_wrong_from_the_start(kind: str, server: FarProcess, fault: str) -> None:
    async def work() -> None:
        server.fault(fault, on="models")
        with pytest.raises(HomefireError) as caught:
            await engine_of(kind, server).start()
        expected = {
            "401": "engine_rejected",
            "500": "engine_failed",
            "reset": "engine_failed",
            "garbage": "engine_failed",
        }
        assert caught.value.code == expected.get(fault, "engine_garbled"), caught.value.message

    run(work())


def test_waiting_for_our_own_requests_is_not_the_servers_fault(kind: str, server: FarProcess) -> None:
    async def work() -> None:
        engine = engine_of(kind, server, address=Address(server.url, 1, KEY), first_seconds=1.5, stall_seconds=1.0)
        async with started(engine):
            server.fault("slow", on="chat")  # 1.2 s for six words
            answers = await asyncio.gather(*(said(engine, asked()) for _ in range(3)))
            assert all(Finish("stop") in events for events in answers)

    run(work())


def test_slow_tokens_are_no_fault(kind: str, server: FarProcess) -> None:
    async def work() -> None:
        async with started(engine_of(kind, server, first_seconds=1.0, stall_seconds=1.0)) as engine:
            server.fault("slow", on="chat")
            events = await said(engine, asked(" ".join("abcdefghij")))
            assert len([event for event in events if isinstance(event, TextDelta)]) == 10, "2 s in all, 0.2 s each"

    run(work())


def test_a_slow_reader_is_not_the_servers_fault(kind: str, server: FarProcess) -> None:
    async def work() -> None:
        async with started(engine_of(kind, server, stall_seconds=0.5)) as engine:
            answer = await engine.chat(asked())
            events = answer.events()
            await anext(events)
            await asyncio.sleep(1.0)  # the time itself is what is tested
            assert Finish("stop") in [event async for event in events]
            await answer.close()

    run(work())


def test_a_key_is_scrubbed_from_what_the_server_says(kind: str, server: FarProcess) -> None:
    async def work() -> None:
        async with started(engine_of(kind, server)) as engine:
            server.fault("leak_key", on="chat")
            with pytest.raises(HomefireError, match=r"Bearer \*\*\*") as caught:
                await said(engine, asked())
            assert KEY not in str(caught.value.envelope())

    run(work())


def test_a_redirect_is_not_followed_and_the_key_stays(kind: str) -> None:
    target = fake(kind)
    source = FarProcess([f"fakes.far_{kind}", str(target.port)])
    try:

        async def work() -> None:
            async with started(engine_of(kind, source)) as engine:
                source.fault("redirect", on="chat")
                with pytest.raises(HomefireError):
                    await said(engine, asked())

        run(work())
        assert {each["authorization"] for each in source.count()["requests"]} == {f"Bearer {KEY}"}
        assert target.count() == {"connections": 1, "requests": []}, "the one that asks"
    finally:
        target.kill()
        source.kill()


def test_another_model_behind_the_name(kind: str, server: FarProcess) -> None:
    async def work() -> None:
        async with started(engine_of(kind, server)) as engine:
            first = engine.mark
        server.model("another")
        with pytest.raises(HomefireError) as caught:
            await engine_of(kind, server, mark=first).start()
        assert caught.value.code == "engine_changed" and "homefire engine grant" in caught.value.next_step
        server.model("")
        async with started(engine_of(kind, server, mark=first)) as engine:
            server.model("another")
            engine.known.at = -1e9  # as if the last look were long ago
            for _ in range(2):
                with pytest.raises(HomefireError) as caught:
                    await said(engine, asked())
                assert caught.value.code == "engine_changed"

    run(work())


def test_a_model_that_is_not_there(kind: str, server: FarProcess) -> None:
    async def work() -> None:
        with pytest.raises(HomefireError, match="no model 'nobody'") as caught:
            await engine_of(kind, server, "nobody").start()
        assert caught.value.code == "engine_lacks_model" and "bert" in caught.value.next_step

    run(work())


def test_nobody_there(kind: str) -> None:
    server = fake(kind)
    server.kill()

    async def work() -> None:
        with pytest.raises(HomefireError) as caught:
            await engine_of(kind, server).start()
        assert caught.value.code == "engine_unreachable"

    run(work())


def test_what_a_server_is_sent(kind: str, server: FarProcess) -> None:
    """The other side of the dialect: a history with a tool call, sampling, a form."""

    async def work() -> None:
        from homefire.messages import Form, Sampling, Tool, ToolCall

        history = (
            Message("developer", "Be brief."),
            Message("user", "Look."),
            Message("assistant", None, (ToolCall("c1", "look", '{"at": 1}'),)),
            Message("tool", "a cat", tool_call_id="c1"),
        )
        drawing = Sampling(temperature=0.5, seed=7, max_tokens=3, stop=("x",), presence_penalty=0.1)
        request = ChatRequest(
            "far/pilot", history, drawing, (Tool("look"),), form=Form("json_schema", {"type": "object"})
        )
        async with started(engine_of(kind, server)) as engine:
            await said(engine, request)
        body = server.count()["requests"][-1]["body"]
        assert body["model"] == "pilot" and body["stream"] is True
        assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool"]
        called = body["messages"][2]["tool_calls"][0]["function"]
        if kind == "ollama":
            assert called == {"name": "look", "arguments": {"at": 1}} and body["messages"][3]["tool_name"] == "look"
            assert body["options"] == {
                "temperature": 0.5,
                "seed": 7,
                "num_predict": 3,
                "stop": ["x"],
                "presence_penalty": 0.1,
            }
            assert body["format"] == {"type": "object"} and body["truncate"] is False and body["shift"] is False
        else:
            assert called == {"name": "look", "arguments": '{"at": 1}'} and body["messages"][3]["tool_call_id"] == "c1"
            assert (body["temperature"], body["seed"], body["max_tokens"], body["stop"]) == (0.5, 7, 3, ["x"])
            assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}

    run(work())


# --------------------------------------------------------------------------------------- who is asked, by the far side's count


def test_nothing_leaves_before_a_grant(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The far server runs here, but counts as another machine."""
    server = fake(kind)
    store = Store(tmp_path / "homefire.db")
    store.open()
    try:

        async def work() -> None:
            far = FarEngines(Engines(store), tmp_path / "secrets.toml")
            await far.open()
            await far.add("cloud", server.url, kind, ("pilot",), KEY)
            monkeypatch.setattr(far_module, "_local", lambda row: False)
            quiet = int(server.count()["connections"])

            def since() -> int:
                nonlocal quiet
                quiet, before = int(server.count()["connections"]), quiet
                return quiet - before - 1

            await far.set_chain("pilot", ("cloud/pilot", "pilot"))
            for attempt in (
                lambda: far.begin("cloud/pilot", asked()),
                lambda: far.embed("cloud/pilot", EmbeddingRequest("cloud/pilot", ("secret",))),
                lambda: far.check("cloud"),
            ):
                with pytest.raises(HomefireError) as caught:
                    await attempt()
                assert caught.value.code == "engine_not_granted"
            assert far.offered() == [] and len(far.views()) == 1
            assert since() == 0, "not one connection"
            await far.grant("cloud")
            assert since() == 0
            begun = await far.begin("cloud/pilot", asked())
            assert Finish("stop") in [event async for event in begun.events()]
            await begun.close()
            assert since() >= 1, "the count sees what there is"
            slow = await far.begin("cloud/pilot", asked("word " * 2000))
            events = slow.events()
            await anext(events)
            await far.revoke("cloud")
            with pytest.raises(HomefireError) as caught:
                async for _ in events:
                    pass
            assert caught.value.code == "engine_died"
            await slow.close()
            since()
            with pytest.raises(HomefireError):
                await far.begin("cloud/pilot", asked())
            assert since() == 0
            await far.close()

        run(work())
    finally:
        store.close()
        server.kill()


def test_a_change_outlives_the_daemon_until_a_person_accepts_it(tmp_path: Path, kind: str, server: FarProcess) -> None:
    store = Store(tmp_path / "homefire.db")
    store.open()
    try:

        async def asked_once(far: FarEngines) -> str:
            try:
                begun = await far.begin("here/pilot", asked())
            except HomefireError as problem:
                return problem.code
            await begun.close()
            return "answered"

        async def work() -> None:
            far = FarEngines(Engines(store), tmp_path / "secrets.toml")
            await far.open()
            await far.add("here", server.url, kind)
            assert await asked_once(far) == "answered"
            await far.close()
            server.model("another")
            far = FarEngines(Engines(store), tmp_path / "secrets.toml")
            await far.open()
            for _ in range(FAILURES + 1):
                assert await asked_once(far) == "engine_changed", "it is no failure that a breaker counts"
            if kind == "ollama":  # its names stay, what stands behind them is new
                await far.grant("here")
                assert await asked_once(far) == "answered"
            server.model("")
            await far.grant("here")
            assert await asked_once(far) == "answered"
            await far.close()

        run(work())
    finally:
        store.close()


def test_the_vectors_of_this_house(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person names an embedding model of an engine elsewhere: before the engine is granted it is sent nothing and there is no
    embedder; then there is one, and it is asked again a while after it could not be."""
    server, now = fake(kind), [1000.0]
    store = Store(tmp_path / "homefire.db")
    store.open()

    async def work() -> None:
        far = FarEngines(Engines(store), tmp_path / "secrets.toml")
        await far.open()
        one = FarEmbedder(far, "cloud/bert", lambda name: ("query: ", "passage: "), lambda: now[0])
        assert await one.providers() == [], "it is not there"
        monkeypatch.setattr(far_module, "_local", lambda row: False)
        await far.add("cloud", server.url, kind, (), KEY)
        quiet = int(server.count()["connections"])
        assert await one.providers() == []
        assert int(server.count()["connections"]) == quiet + 1, "the count itself, nothing else"
        await far.grant("cloud")
        server.fault("500", on="embed")
        assert await one.providers() == []
        server.fault()
        assert await one.providers() == [], "not asked again at once"
        now[0] += RETRY_SECONDS
        (provider,) = await one.providers()
        question, text = [(await one.vectors(["heron"], urgent))[0] for urgent in (True, False)]
        assert len(question) == 4 * provider.width == len(text) and question != text, "each with its own prefix"
        await far.close()

    try:
        run(work())
    finally:
        store.close()
        server.kill()


def test_a_proxy_does_not_get_what_is_meant_for_this_machine(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server, proxy = fake(kind), fake(kind)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    try:

        async def work() -> None:
            async with started(engine_of(kind, server)) as engine:
                assert Finish("stop") in await said(engine, asked())

        run(work())
        assert proxy.count()["requests"] == []
    finally:
        server.kill()
        proxy.kill()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate that nobody signed, in one file."""
    if (program := shutil.which("openssl")) is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    key, signed, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    made = [
        program,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(key),
        "-out",
        str(signed),
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=far", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, *names], check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + signed.read_bytes())
    return both


def test_certificates_are_checked(kind: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = FarProcess([f"fakes.far_{kind}"], {"FAR_CERTIFICATE": str(certificate)})
    try:

        async def work() -> None:
            with pytest.raises(HomefireError, match="certificate") as caught:
                await engine_of(kind, server).start()
            assert caught.value.code == "engine_unreachable"
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
            async with started(engine_of(kind, server)) as engine:
                assert Finish("stop") in await said(engine, asked())

        run(work())
    finally:
        server.kill()


# ------------------------------------------------------------------------------------------------------- the daemon


@pytest.fixture
def far_home(new_daemon: Callable[..., RunningDaemon]) -> RunningDaemon:
    """A daemon with short limits."""
    return new_daemon(HOMEFIRE_FAR_FIRST_SECONDS="5", HOMEFIRE_FAR_STALL_SECONDS="3").start()


def ask(home: Homefire, model: str, stream: bool = False, text: str = "one two three") -> Any:
    """A chat over HTTP: the whole response."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream, "max_tokens": 500}
    return home._http.post("/v1/chat/completions", json=body, timeout=60)


def test_the_whole_way(far_home: RunningDaemon, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(KEY + "\n", "utf-8")
    servers = {kind: fake(kind) for kind in KINDS}
    try:
        for kind, server in servers.items():
            done = far_home.cli(
                "engine", "add", kind, "--url", server.url, "--kind", kind, "--key-file", str(key_file), "--json"
            )
            assert done.returncode == 0, done.stdout + done.stderr
            made = json.loads(done.stdout)
            assert made["usable"] and made["has_key"] and KEY not in done.stdout
            checked = far_home.cli("engine", "check", kind)
            assert checked.returncode == 0 and f"{kind}/pilot" in checked.stdout, checked.stdout + checked.stderr
        assert json.loads(
            far_home.cli("engine", "chain", "smart", "openai/pilot", "ollama/pilot", "pilot", "--json").stdout
        )
        listed = far_home.cli("engine", "list")
        assert "smart -> openai/pilot -> ollama/pilot -> pilot" in listed.stdout and KEY not in listed.stdout
        with far_home.client() as home:
            names = [row["id"] for row in home.get("/v1/models")["data"]]
            assert {"pilot", "openai/pilot", "ollama/bert", "smart"} <= {name.removesuffix(":latest") for name in names}
            for stream in (False, True):
                assert ask(home, "smart", stream).headers["x-homefire-answered-by"] == "openai/pilot"
            servers["openai"].fault("hang_before_first", on="chat")
            late = ask(home, "smart", stream=True)
            assert late.headers["x-homefire-fell-back"] == "openai/pilot=engine_timed_out"
            assert "three" in late.text and "[DONE]" in late.text
            servers["openai"].fault()
            began = time.monotonic()
            body = {"model": "smart", "messages": [{"role": "user", "content": "word " * 2000}], "stream": True}
            with home._http.stream("POST", "/v1/chat/completions", json=body, timeout=60) as response:
                assert response.headers["x-homefire-answered-by"] == "openai/pilot"
                lines = response.iter_lines()
                next(lines)
                servers["openai"].kill()
                rest = "\n".join(lines)
            assert "engine_died" in rest and "[DONE]" not in rest, "after the first token nobody takes over"
            assert time.monotonic() - began < 30
            gone = ask(home, "smart")
            assert gone.headers["x-homefire-answered-by"] == "ollama/pilot"
            assert gone.headers["x-homefire-fell-back"].startswith("openai/pilot=engine_")
            servers["ollama"].kill()
            last = ask(home, "smart")
            assert last.headers["x-homefire-answered-by"] == "pilot", last.text
            assert [entry.split("=")[0] for entry in last.headers["x-homefire-fell-back"].split(", ")] == [
                "openai/pilot",
                "ollama/pilot",
            ]
        for file in far_home.home.rglob("*"):
            if file.is_file() and file.name != "secrets.toml":
                assert KEY.encode() not in file.read_bytes(), file
    finally:
        for server in servers.values():
            server.kill()


def test_the_command_line_says_what_is_wrong(far_home: RunningDaemon) -> None:
    added = far_home.cli("engine", "add", "cloud", "--url", "https://cloud.example/v1", "--model", "m")
    assert added.returncode == 0 and "homefire engine grant cloud" in added.stdout
    plain = far_home.cli("engine", "add", "other", "--url", "http://192.168.7.7:8000")
    assert plain.returncode == 1 and "[address_refused]" in plain.stderr
    off = far_home.cli("engine", "check", "cloud", "--json")
    assert off.returncode == 1 and json.loads(off.stdout)["error"]["code"] == "engine_not_granted"
    missing = far_home.cli("engine", "add", "x", "--url", "http://127.0.0.1:9", "--key-file", "/nowhere/key")
    assert missing.returncode == 1 and "cannot be read" in missing.stderr
    far_home.cli("engine", "add", "here", "--url", "http://127.0.0.1:9")
    dead = far_home.cli("engine", "check", "here")
    assert dead.returncode == 1 and "[engine_unreachable]" in dead.stderr
    assert "off, not granted" in far_home.cli("engine", "list").stdout
    assert far_home.cli("engine", "remove", "cloud").returncode == 0
    assert "cloud" not in far_home.cli("engine", "list", "--json").stdout
