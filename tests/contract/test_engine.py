"""The contract of the Engine socket (`homefire/engines/engine.py`), run by every plug: llama.cpp with the pilot, and Null.

Promises: whoever passes this suite can stand behind the server: its events, its bytes, its limits, its slots, its death.
A plug of a third party adds itself to `PLUGS`.
Does not cover: what an answer says, and the faults of files and processes that only a real child has
(`test_llamacpp_engine.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fakes.models import endless
from homefire.dialects.llamacpp import ChunkReader
from homefire.engines.engine import Answer, Engine, EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.engines.null import Null
from homefire.errors import EngineDied, HomefireError
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
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


def _null(folder: Path, ends: bool) -> Engine:
    return Null("pilot", delay=0.005)


@dataclass(frozen=True)
class Plug:
    """An implementation under the contract. `make(folder, ends)` gives a new engine; unless `ends`, its long answers take
    seconds. `crash` ends it as a crash would, and `cause` is how `wait` then describes that."""

    make: Callable[[Path, bool], Engine]
    crash: Callable[[Engine], None]
    cause: str


def _kill(engine: Engine) -> None:
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)


def _crash(engine: Engine) -> None:
    assert isinstance(engine, Null)
    engine.crash("was told to crash")


PLUGS = {
    "llamacpp": Plug(_llamacpp, _kill, "was killed by SIGKILL"),
    "null": Plug(_null, _crash, "was told to crash"),
}


@pytest.fixture(params=list(PLUGS))
def plug(request: pytest.FixtureRequest) -> Plug:
    """Every plug in turn."""
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
