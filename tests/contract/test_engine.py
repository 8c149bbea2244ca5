"""The contract of the Engine socket (`homefire/engines/engine.py`), run by every plug: llama.cpp with the pilot and with a tiny
BERT (from the wheel, and as a native build where one is here), Null, and far engines: llama.cpp's server over a loopback port as
OpenAI's interface, and the fakes of both kinds of server.

Promises: whoever passes this suite can stand behind the server: its events, its bytes, its limits, its slots, its death.
A plug of a third party adds itself to `PLUGS`.
Does not cover: what an answer says, and the faults of files and processes that only a real child has
(`test_llamacpp_engine.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import math
import os
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fakes.models import endless
from homefire.dialects.llamacpp import ChunkReader
from homefire.engines.capabilities import HONOURS
from homefire.engines.engine import Answer, Engine, EngineSpec
from homefire.engines.far import Far, FarSpec
from homefire.engines.far_wire import Address
from homefire.engines.llamacpp import LlamaCpp
from homefire.engines.null import Null
from homefire.engines.ollama import Ollama
from homefire.engines.remote import Remote
from homefire.errors import (
    ContextOverflow,
    EngineDied,
    HomefireError,
    InvalidRequest,
    UnsupportedParameter,
    WrongModelKind,
)
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    Event,
    Finish,
    Message,
    Sampling,
    TextDelta,
    Tool,
    ToolCallDelta,
    UsageReport,
)
from homefire.models.library import PILOT_FILE
from homefire.paths import ModelName
from tests import far_servers
from tests.contract import tiny_bert
from tests.far_servers import FarProcess
from tests.native_build import native_program

SLOTS = 2
LONG = " ".join(f"word{number}" for number in range(400))
SWITCH = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}
TOOLS = (Tool("turn_light", "Turns the light.", SWITCH), Tool("turn_heating", "Turns the heating.", SWITCH))


def llamacpp_spec(folder: Path, file: Path, load_seconds: float = 60.0) -> EngineSpec:
    """How to run `file` in an engine whose traces lie in `folder`."""
    return EngineSpec(
        ModelName("pilot"), file, 8192, SLOTS, 1, 0, load_seconds, folder / "engine.log", folder / "e.sock"
    )


def _llamacpp(folder: Path, ends: bool) -> Engine:
    return LlamaCpp(llamacpp_spec(folder, PILOT_FILE if ends else endless(PILOT_FILE, folder / "endless.gguf")))


def bert_spec(folder: Path, file: Path) -> EngineSpec:
    """How to run an embedding model in an engine whose traces lie in `folder`."""
    return EngineSpec(
        ModelName("bert"),
        file,
        tiny_bert.POSITIONS,
        SLOTS,
        1,
        0,
        60.0,
        folder / "engine.log",
        folder / "e.sock",
        "embedding",
    )


def _null(folder: Path, ends: bool) -> Engine:
    return Null("pilot", delay=0.005)


def _null_embedder(folder: Path, bert: Path) -> Engine:
    return Null("bert", delay=0.001, kind="embedding")


def _llamacpp_embedder(folder: Path, bert: Path) -> Engine:
    return LlamaCpp(bert_spec(folder, bert))


@dataclass(frozen=True)
class Plug:
    """An implementation under the contract. `make(folder, ends)` gives a new engine of kind "chat"; unless `ends`, its long
    answers take seconds. `embedder(folder, file)` gives one of kind "embedding" that reads 64 tokens at once; the file is a model
    it may use. `crash` ends an engine as a crash would, and `cause` is how `wait` then describes that. `kind` is its row in the
    table of capabilities: what it has not, it refuses."""

    make: Callable[[Path, bool], Engine]
    embedder: Callable[[Path, Path], Engine]
    crash: Callable[[Engine], None]
    cause: str
    kind: str

    def honours(self, feature: str) -> bool:
        """Whether the table says that it can do this."""
        return feature in HONOURS[self.kind]


def _kill(engine: Engine) -> None:
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)


def _crash(engine: Engine) -> None:
    assert isinstance(engine, Null)
    engine.crash("was told to crash")


# The far servers under way, by what they are; one that was crashed is started anew when it is next needed.
SERVERS: dict[str, FarProcess] = {}
GONE = "is not reachable any more"


@pytest.fixture(scope="module", autouse=True)
def far_servers_end() -> Iterator[None]:
    """Ends them when all tests here are done."""
    yield
    while SERVERS:
        SERVERS.popitem()[1].kill()


def _server(what: str, make: Callable[[], FarProcess]) -> FarProcess:
    if what not in SERVERS or not SERVERS[what].alive:
        SERVERS[what] = make()
    return SERVERS[what]


def _far_spec(model: str, kind: str, server: FarProcess, serves: str) -> FarSpec:
    return FarSpec(model, model, kind, Address(server.url, at_once=8, key=far_servers.KEY), serves=serves)


def _fake(kind: str, model: str, serves: str) -> Engine:
    server = _server(kind, lambda: far_servers.fake(kind))
    return (Ollama if kind == "ollama" else Remote)(_far_spec(model, kind, server, serves))


def _remote(folder: Path, ends: bool) -> Engine:
    file = PILOT_FILE if ends else endless(PILOT_FILE, folder / "endless.gguf")
    server = _server(f"pilot {ends}", lambda: far_servers.llamacpp(file, "pilot", SLOTS, 8192))
    return Remote(_far_spec("pilot", "llama-server", server, "chat"))


def _remote_embedder(folder: Path, bert: Path) -> Engine:
    make = functools.partial(far_servers.llamacpp, bert, "bert", SLOTS, tiny_bert.POSITIONS, "embedding")
    return Remote(_far_spec("bert", "llama-server", _server("bert", make), "embedding"))


def _kill_server(engine: Engine) -> None:
    assert isinstance(engine, Far)
    next(server for server in SERVERS.values() if server.url == engine.spec.address.url).kill()


def _native(folder: Path, ends: bool) -> Engine:
    file = PILOT_FILE if ends else endless(PILOT_FILE, folder / "endless.gguf")
    return LlamaCpp(replace(llamacpp_spec(folder, file), program=native_program()))


def _native_embedder(folder: Path, bert: Path) -> Engine:
    return LlamaCpp(replace(bert_spec(folder, bert), program=native_program()))


def _graph_embedder(folder: Path, bert: Path) -> Engine:
    """The same engine with the model as an ONNX graph."""
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    graph = folder / "bert.onnx"
    made = [sys.executable, "-m", "homefire.daemon.graph_child"]
    told = json.dumps({"source": str(bert), "bits": 8, "target": str(graph), "beside": str(folder / "bert.part")})
    with subprocess.Popen([*made, told], stdin=subprocess.PIPE) as child:  # it would end with its input
        assert child.wait(60) == 0
    return LlamaCpp(replace(bert_spec(folder, bert), graph=graph))


PLUGS = {
    "llamacpp": Plug(_llamacpp, _llamacpp_embedder, _kill, "was killed by SIGKILL", "llamacpp"),
    "native": Plug(_native, _native_embedder, _kill, "was killed by SIGKILL", "llamacpp"),
    "onnx": Plug(_llamacpp, _graph_embedder, _kill, "was killed by SIGKILL", "llamacpp"),
    "null": Plug(_null, _null_embedder, _crash, "was told to crash", "null"),
    "remote": Plug(_remote, _remote_embedder, _kill_server, GONE, "llama-server"),
    "remote_fake": Plug(
        lambda folder, ends: _fake("openai", "pilot", "chat"),
        lambda folder, bert: _fake("openai", "bert", "embedding"),
        _kill_server,
        GONE,
        "openai",
    ),
    "ollama": Plug(
        lambda folder, ends: _fake("ollama", "pilot", "chat"),
        lambda folder, bert: _fake("ollama", "bert", "embedding"),
        _kill_server,
        GONE,
        "ollama",
    ),
}


@pytest.fixture(params=list(PLUGS))
def plug(request: pytest.FixtureRequest) -> Plug:
    """Every plug in turn. A native build is not made for the tests: it takes a quarter of an hour."""
    if request.param == "native":
        native_program()
    if request.param == "onnx" and "bert" not in request.fixturenames:
        pytest.skip("a graph makes vectors only; what chats is the plug llamacpp")
    return PLUGS[request.param]


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Runs it within a limit that only a hang reaches."""

    async def limited() -> None:
        await asyncio.wait_for(scenario, 90)

    asyncio.run(limited())


@contextlib.asynccontextmanager
async def running(plug: Plug, folder: Path, ends: bool = False) -> AsyncIterator[Engine]:
    """A started engine, which is stopped afterwards."""
    engine = plug.make(folder, ends)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def short(**fields: Any) -> ChatRequest:
    """A request with a short answer."""
    sampling = Sampling(max_tokens=8, temperature=0.0)
    return ChatRequest("pilot", (Message("user", "one two three"),), sampling, **{"stream": True, **fields})


def long(**fields: Any) -> ChatRequest:
    """A request whose answer goes on for seconds."""
    return ChatRequest("pilot", (Message("user", LONG),), **{"stream": True, **fields})


async def collect(answer: Answer) -> list[Event]:
    """All events; the answer is closed."""
    try:
        return [event async for event in answer.events()]
    finally:
        await answer.close()


async def collect_bytes(answer: Answer) -> bytes:
    """All pieces; the answer is closed."""
    try:
        return b"".join([piece async for piece in answer.pieces()])
    finally:
        await answer.close()


def check_whole(events: list[Event], most: int = 8) -> None:
    """A whole, short text answer: text, then Finish, then UsageReport, each of the last two once."""
    kinds = [type(event) for event in events]
    assert kinds[-2:] == [Finish, UsageReport]
    assert kinds.count(Finish) == kinds.count(UsageReport) == 1
    assert set(kinds[:-2]) == {TextDelta}
    report = events[-1]
    assert isinstance(report, UsageReport)
    assert report.usage.prompt_tokens > 0
    assert 0 < report.usage.completion_tokens <= most
    assert 0 <= report.usage.cached_tokens <= report.usage.prompt_tokens


def test_streamed_events(plug: Plug, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(plug, tmp_path) as engine:
            assert engine.name == "pilot"
            check_whole(await collect(await engine.chat(short(include_usage=True))))

    run(scenario())


def test_streamed_pieces_are_openai_chunks(plug: Plug, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(plug, tmp_path) as engine:
            body = await collect_bytes(await engine.chat(short(include_usage=True)))
            assert body.endswith(b"data: [DONE]\n\n")
            reader = ChunkReader()
            check_whole(reader.feed(body))
            assert reader.done
            byte_by_byte = ChunkReader()
            again = [event for at in range(len(body)) for event in byte_by_byte.feed(body[at : at + 1])]
            check_whole(again)

    run(scenario())


def test_whole_answer_is_one_json(plug: Plug, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(plug, tmp_path) as engine:
            found = json.loads(await collect_bytes(await engine.chat(short(stream=False))))
            (choice,) = found["choices"]
            assert found["object"] == "chat.completion"
            assert choice["message"]["role"] == "assistant"
            assert choice["message"]["content"]
            assert found["usage"]["completion_tokens"] <= 8
            check_whole(await collect(await engine.chat(short(stream=False))))

    run(scenario())


def test_completion(plug: Plug, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(plug, tmp_path) as engine:
            sampling = Sampling(max_tokens=4, temperature=0.0)
            request = CompletionRequest("pilot", LONG[:100], sampling, stream=True, include_usage=True)
            check_whole(await collect(await engine.complete(request)), most=4)
            whole = CompletionRequest("pilot", LONG[:100], sampling)
            found = json.loads(await collect_bytes(await engine.complete(whole)))
            assert found["object"] == "text_completion"
            assert found["choices"][0]["text"]
            assert found["choices"][0]["finish_reason"] == "length"

    run(scenario())


@pytest.mark.parametrize("limit", [1, 5])
def test_max_tokens(plug: Plug, tmp_path: Path, limit: int) -> None:
    async def scenario() -> None:
        async with running(plug, tmp_path) as engine:
            request = long(sampling=Sampling(max_tokens=limit), include_usage=True)
            events = await collect(await engine.chat(request))
            assert events[-2] == Finish("length")
            assert isinstance(events[-1], UsageReport)
            assert events[-1].usage.completion_tokens == limit

    run(scenario())


@pytest.mark.parametrize("choice", ["required", "function:turn_heating"])
def test_tool_call(plug: Plug, tmp_path: Path, choice: str) -> None:
    """llama.cpp lets text come before a call that is required, and an untrained pilot may never end it; so several seeds."""

    async def scenario() -> None:
        async with running(plug, tmp_path, ends=True) as engine:
            for seed in range(40):
                sampling = Sampling(temperature=1.0, max_tokens=150, seed=seed)
                asked = (Message("user", "Turn it on."),)
                request = ChatRequest("pilot", asked, sampling, TOOLS, choice, stream=True, include_usage=True)
                if not plug.honours("named_tool" if ":" in choice else "forced_tool"):
                    with pytest.raises(UnsupportedParameter) as refused:
                        await engine.chat(request)
                    assert refused.value.param == "tool_choice"
                    return
                events = await collect(await engine.chat(request))
                if Finish("tool_calls") in events:
                    break
            calls = [event for event in events if isinstance(event, ToolCallDelta)]
            assert calls
            assert calls[0].id
            wanted = {"turn_heating"} if ":" in choice else {tool.name for tool in TOOLS}
            assert calls[0].name in wanted
            assert {call.name for call in calls if call.name} <= wanted
            assert isinstance(json.loads("".join(call.arguments for call in calls if call.index == 0)), dict)
            assert isinstance(events[-1], UsageReport)

    run(scenario())


def test_two_at_once(plug: Plug, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(plug, tmp_path) as engine:
            first, second = await engine.chat(long()), await engine.chat(long())
            one, other = first.events(), second.events()
            for _ in range(3):  # both are under way at the same time: neither waits for the other's end
                assert isinstance(await anext(one), TextDelta)
                assert isinstance(await anext(other), TextDelta)
            await first.close()
            assert isinstance(await anext(other), TextDelta)
            await second.close()

    run(scenario())


def test_more_requests_than_slots(plug: Plug, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(plug, tmp_path) as engine:

            async def ask() -> list[Event]:
                return await collect(await engine.chat(short(include_usage=True)))

            for events in await asyncio.gather(*(ask() for _ in range(SLOTS * 5))):
                check_whole(events)

    run(scenario())


def test_closing_frees_the_slot(plug: Plug, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(plug, tmp_path) as engine:
            for _ in range(SLOTS * 5):
                answer = await engine.chat(long())
                await anext(answer.events())
                await answer.close()
                await answer.close()
            for _ in range(SLOTS * 2):  # never begun to be read
                await (await engine.chat(long())).close()
            check_whole(await asyncio.wait_for(collect(await engine.chat(short(include_usage=True))), 10))

    run(scenario())


def test_leaving_while_waiting_keeps_nothing(plug: Plug, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(plug, tmp_path) as engine:
            asked = [asyncio.ensure_future(engine.chat(long())) for _ in range(SLOTS * 5)]
            await asyncio.sleep(0.2)
            for task in asked:
                task.cancel()
            for answer in await asyncio.gather(*asked, return_exceptions=True):
                if not isinstance(answer, BaseException):
                    await answer.close()
            check_whole(await asyncio.wait_for(collect(await engine.chat(short(include_usage=True))), 10))

    run(scenario())


@pytest.mark.parametrize("how", ["events", "pieces"])
def test_stop_in_the_middle_of_an_answer(plug: Plug, tmp_path: Path, how: str) -> None:
    async def scenario() -> None:
        async with running(plug, tmp_path) as engine:
            answer = await engine.chat(long())
            reading: AsyncIterator[Any] = answer.events() if how == "events" else answer.pieces()
            await anext(reading)
            stopping = asyncio.ensure_future(engine.stop())
            with pytest.raises(EngineDied):
                async for _ in reading:
                    pass
            await stopping
            await answer.close()

    run(scenario())


def test_stop_is_no_crash(plug: Plug, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(plug, tmp_path) as engine:
            waiting = asyncio.ensure_future(engine.wait())
            await asyncio.sleep(0)
            assert not waiting.done()
            await engine.stop()
            assert await waiting == ""
            assert await engine.wait() == "", "at once"
            await engine.stop()
            assert engine.pid is None
            with pytest.raises(EngineDied):
                await engine.chat(short())
            with pytest.raises(EngineDied):
                await engine.complete(CompletionRequest("pilot", "x"))

    run(scenario())


def test_crash_in_the_middle_of_an_answer(plug: Plug, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(plug, tmp_path) as engine:
            answers = [await engine.chat(long()) for _ in range(SLOTS)]
            readers = [answer.events() for answer in answers]
            for reader in readers:
                await anext(reader)
            plug.crash(engine)
            for answer, reader in zip(answers, readers, strict=True):
                with pytest.raises(EngineDied):
                    async for _ in reader:
                        pass
                await answer.close()
            assert await engine.wait() == plug.cause
            with pytest.raises(EngineDied):
                await engine.chat(short())

    run(scenario())


def test_before_the_start(plug: Plug, tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = plug.make(tmp_path, True)
        await engine.stop()  # nothing
        assert engine.pid is None
        with pytest.raises(HomefireError):
            await engine.chat(short())
        with pytest.raises(RuntimeError):
            await engine.wait()
        await engine.start()
        with pytest.raises(RuntimeError):
            await engine.start()
        check_whole(await collect(await engine.chat(short(include_usage=True))))
        await engine.stop()

    run(scenario())


# ------------------------------------------------------------------------------------------------------- embeddings


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a tiny embedding model."""
    return tiny_bert.make(tmp_path_factory.mktemp("bert"))


@contextlib.asynccontextmanager
async def embedding(plug: Plug, folder: Path, bert: Path) -> AsyncIterator[Engine]:
    """A started engine of kind "embedding", which is stopped afterwards."""
    engine = plug.embedder(folder, bert)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def of(*inputs: str | tuple[int, ...], **fields: Any) -> EmbeddingRequest:
    """A request for embeddings."""
    return EmbeddingRequest("bert", inputs, **fields)


def values(found: Embeddings) -> list[tuple[float, ...]]:
    """The vectors as numbers."""
    return [struct.unpack(f"<{len(vector) // 4}f", vector) for vector in found.vectors]


def cosine(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The cosine of two vectors of length one."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_embeddings(plug: Plug, tmp_path: Path, bert: Path) -> None:
    async def scenario() -> None:
        async with embedding(plug, tmp_path, bert) as engine:
            found = await engine.embed(of("hello world", "world", "unable, hello!"))
            vectors = values(found)
            assert len({len(vector) for vector in vectors}) == 1
            assert all(math.isclose(cosine(vector, vector), 1, abs_tol=1e-5) for vector in vectors)
            assert cosine(vectors[0], vectors[1]) < 0.9999 > cosine(vectors[0], vectors[2])
            alone = [await engine.embed(of(text)) for text in ("hello world", "world", "unable, hello!")]
            for vector, one in zip(vectors, alone, strict=True):
                assert cosine(vector, values(one)[0]) > 0.99999
            assert found.tokens == sum(one.tokens for one in alone) > 3

    run(scenario())


def test_embeddings_of_tokens(plug: Plug, tmp_path: Path, bert: Path) -> None:
    async def scenario() -> None:
        async with embedding(plug, tmp_path, bert) as engine:
            if not plug.honours("token_inputs"):
                with pytest.raises(UnsupportedParameter) as refused:
                    await engine.embed(of((5, 6), (6,), (5, 6)))
                assert refused.value.param == "input"
                return
            found = await engine.embed(of((5, 6), (6,), (5, 6)))
            first, second, third = values(found)
            assert cosine(first, third) > 0.99999 and cosine(first, second) < 0.9999
            assert found.tokens == 5, "token ids are taken as they are"

    run(scenario())


def test_many_embeddings_keep_their_order(plug: Plug, tmp_path: Path, bert: Path) -> None:
    async def scenario() -> None:
        async with embedding(plug, tmp_path, bert) as engine:
            texts = ["hello " * (at % 7 + 1) + "world " * (at % 5 + 1) for at in range(100)]
            single = {text: values(await engine.embed(of(text)))[0] for text in set(texts)}
            many = await asyncio.gather(*(engine.embed(of(*texts)) for _ in range(SLOTS * 3)))
            for found in many:
                for text, vector in zip(texts, values(found), strict=True):
                    assert cosine(vector, single[text]) > 0.99999

    run(scenario())


def test_shorter_vectors(plug: Plug, tmp_path: Path, bert: Path) -> None:
    async def scenario() -> None:
        async with embedding(plug, tmp_path, bert) as engine:
            (whole,) = values(await engine.embed(of("hello world")))
            (short,) = values(await engine.embed(of("hello world", dimensions=3)))
            length = math.sqrt(sum(value * value for value in whole[:3]))
            assert short == pytest.approx([value / length for value in whole[:3]], abs=1e-6)
            (same,) = values(await engine.embed(of("hello world", dimensions=len(whole))))
            assert same == pytest.approx(whole, abs=1e-6)
            with pytest.raises(InvalidRequest, match=f"{len(whole)} values") as caught:
                await engine.embed(of("hello world", dimensions=len(whole) + 1))
            assert caught.value.param == "dimensions"

    run(scenario())


@pytest.mark.parametrize("words", [65, 300, 5000])
def test_a_text_that_is_too_long(plug: Plug, tmp_path: Path, bert: Path, words: int) -> None:
    async def scenario() -> None:
        async with embedding(plug, tmp_path, bert) as engine:
            texts: list[str | tuple[int, ...]] = ["hello " * words]
            if plug.honours("token_inputs"):
                texts.append((5,) * words)
            for text in texts:
                batch = ("hello", "world", text, "hello " * (words + 1))
                with pytest.raises(ContextOverflow, match="64") as caught:
                    await engine.embed(of(*batch))
                assert caught.value.param == "input[2]", "the first that is too long"
                assert ("truncate" in caught.value.next_step) == plug.honours("truncate")
                if not plug.honours("truncate"):
                    with pytest.raises(UnsupportedParameter):
                        await engine.embed(of(*batch, truncate=True))
                    continue
                cut = await engine.embed(of(*batch, truncate=True))
                assert cut.tokens <= 2 * 64 + 6
                begins = await engine.embed(of(text if isinstance(text, tuple) else text + "world " * 9, truncate=True))
                assert cosine(values(cut)[2], values(begins)[0]) > 0.99999, "the end goes, not the beginning"
            if plug.honours("truncate"):
                other = await engine.embed(of("world " * words, truncate=True))
                assert cosine(values(cut)[3], values(other)[0]) < 0.9999

    run(scenario())


def test_an_engine_serves_one_kind(plug: Plug, tmp_path: Path, bert: Path) -> None:
    async def scenario() -> None:
        async with embedding(plug, tmp_path, bert) as engine:
            with pytest.raises(WrongModelKind, match="bert"):
                await engine.chat(short())
            with pytest.raises(WrongModelKind, match="bert"):
                await engine.complete(CompletionRequest("bert", "x"))
            assert len((await engine.embed(of("hello"))).vectors) == 1
        async with running(plug, tmp_path, ends=True) as engine:
            with pytest.raises(WrongModelKind, match="pilot") as caught:
                await engine.embed(of("hello"))
            assert "homefire models pull all-minilm-l6-v2" in caught.value.next_step
            check_whole(await collect(await engine.chat(short(include_usage=True))))

    run(scenario())


def test_embeddings_before_and_after(plug: Plug, tmp_path: Path, bert: Path) -> None:
    async def scenario() -> None:
        engine = plug.embedder(tmp_path, bert)
        with pytest.raises(HomefireError):
            await engine.embed(of("hello"))
        await engine.start()
        await engine.stop()
        assert await engine.wait() == ""
        with pytest.raises(EngineDied):
            await engine.embed(of("hello"))

    run(scenario())


def test_crash_while_embedding(plug: Plug, tmp_path: Path, bert: Path) -> None:
    async def scenario() -> None:
        async with embedding(plug, tmp_path, bert) as engine:
            under_way = [asyncio.ensure_future(engine.embed(of(*["hello " * 60] * 20_000))) for _ in range(SLOTS)]
            await asyncio.sleep(0.3)
            plug.crash(engine)
            for task in under_way:
                with pytest.raises(EngineDied):
                    await task
            assert await engine.wait() == plug.cause

    run(scenario())


def test_leaving_while_embedding_keeps_nothing(plug: Plug, tmp_path: Path, bert: Path) -> None:
    async def scenario() -> None:
        async with embedding(plug, tmp_path, bert) as engine:
            asked = [asyncio.ensure_future(engine.embed(of(*["hello " * 60] * 20_000))) for _ in range(SLOTS * 5)]
            await asyncio.sleep(0.3)
            for task in asked:
                task.cancel()
            assert all(
                isinstance(e, asyncio.CancelledError) for e in await asyncio.gather(*asked, return_exceptions=True)
            )
            found = await asyncio.wait_for(engine.embed(of("hello")), 10)
            assert len(found.vectors) == 1

    run(scenario())
