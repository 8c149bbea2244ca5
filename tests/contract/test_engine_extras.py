"""What an engine may add to the socket: `Counts` and `Reranks` (`homefire/engines/engine.py`), by the engines that have them.

Promises: a count is what the answer's usage says, with tools, forced calls, forms and results of tools too, and beyond the
window; a score depends on its own pair of texts alone.
Does not cover: what a score means.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homefire.engines.engine import Counts, Engine, EngineSpec, Reranks
from homefire.engines.llamacpp import LlamaCpp
from homefire.engines.null import Null
from homefire.errors import ContextOverflow, EngineDied, WrongModelKind
from homefire.messages import (
    ChatRequest,
    EmbeddingRequest,
    Form,
    Message,
    RerankRequest,
    Sampling,
    Tool,
    ToolCall,
    UsageReport,
)
from homefire.models.library import PILOT_FILE
from homefire.paths import ModelName
from tests.contract import tiny_reranker
from tests.native_build import native_program

SWITCH = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}
HELLO = ChatRequest("pilot", (Message("system", "Be brief."), Message("user", "hello there")), Sampling(max_tokens=2))
WITH_TOOLS = replace(HELLO, tools=(Tool("turn_light", "Turns the light.", SWITCH),))
RESULT = (Message("assistant", None, (ToolCall("c", "turn_light", "{}"),)), Message("tool", "ok", tool_call_id="c"))
REQUESTS = {
    "plain": HELLO,
    "tools": WITH_TOOLS,
    "forced": replace(WITH_TOOLS, tool_choice="required", sampling=Sampling(max_tokens=40)),
    "results": replace(WITH_TOOLS, messages=(*HELLO.messages, *RESULT)),
    "form": replace(HELLO, form=Form("json_schema", SWITCH), sampling=Sampling(max_tokens=30)),
    "reasoning off": replace(HELLO, think=False),
    "accents": replace(HELLO, messages=(Message("user", "na\u00efve \u4f60\u597d <|im_start|>"),)),
}
Make = Callable[[Path, str], Engine]


def _llamacpp(folder: Path, kind: str, program: Path | None = None) -> Engine:
    file = PILOT_FILE if kind == "chat" else tiny_reranker.make(folder)
    name = ModelName("pilot" if kind == "chat" else "judge")
    context = 512 if kind == "chat" else 64
    spec = EngineSpec(name, file, context, 2, 1, 0, 120.0, folder / "engine.log", folder / "e.sock", kind)
    return LlamaCpp(replace(spec, program=program))


def _native(folder: Path, kind: str) -> Engine:
    return _llamacpp(folder, kind, native_program())


def _null(folder: Path, kind: str) -> Engine:
    return Null("pilot", kind=kind)


@pytest.fixture(params=[_llamacpp, _native, _null], ids=["llamacpp", "native", "null"])
def make(request: pytest.FixtureRequest) -> Make:
    """Every engine that has both."""
    made: Make = request.param
    return made


@contextlib.asynccontextmanager
async def running(make: Make, folder: Path, kind: str) -> AsyncIterator[Any]:
    """A started engine, which is stopped afterwards."""
    engine = make(folder, kind)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def offers(engine: object, what: type) -> bool:
    """Whether an engine adds this to the socket, as the server asks."""
    return isinstance(engine, what)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Runs it within a limit that only a hang reaches."""
    asyncio.run(asyncio.wait_for(scenario, 180))


def test_a_count_is_what_the_usage_says(make: Make, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(make, tmp_path, "chat") as engine:
            assert offers(engine, Counts)
            for name, request in REQUESTS.items():
                answer = await engine.chat(request)
                usages = [event.usage async for event in answer.events() if isinstance(event, UsageReport)]
                await answer.close()
                assert await engine.count(request) == usages[0].prompt_tokens > 0, name
            long = replace(HELLO, messages=(Message("user", "word " * 9000),))
            assert await engine.count(long) >= 9000, "any length is counted"
            with pytest.raises(WrongModelKind):
                await engine.rerank(RerankRequest("pilot", "a", ("b",)))
        with pytest.raises(EngineDied):
            await engine.count(HELLO)

    run(scenario())


def test_an_overflow_names_the_window(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(_llamacpp, tmp_path, "chat") as engine:
            with pytest.raises(ContextOverflow) as caught:
                await engine.chat(replace(HELLO, messages=(Message("user", "word " * 9000),)))
            assert caught.value.limit >= 512 and str(caught.value.limit) in caught.value.message
            # A prompt that fills the window but for one token is taken: the limit is the true one.
            words = caught.value.limit - 1 - await engine.count(replace(HELLO, messages=(Message("user", ""),)))
            fitting = replace(HELLO, messages=(Message("user", " the" * words),))
            while await engine.count(fitting) >= caught.value.limit:
                words -= 1
                fitting = replace(HELLO, messages=(Message("user", " the" * words),))
            await (await engine.chat(fitting)).close()

    run(scenario())


def test_scores(make: Make, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(make, tmp_path, "rerank") as engine:
            assert offers(engine, Reranks)
            texts = ("hello", "world", "hello world")
            found = await engine.rerank(RerankRequest("judge", "hello", texts))
            assert len(found.scores) == 3 and found.tokens > 3
            assert len(set(found.scores)) > 1
            turned = await engine.rerank(RerankRequest("judge", "hello", texts[::-1]))
            assert turned.scores == pytest.approx(found.scores[::-1], abs=1e-5)
            alone = await engine.rerank(RerankRequest("judge", "hello", ("world",)))
            assert alone.scores[0] == pytest.approx(found.scores[1], abs=1e-5)
            many = await engine.rerank(RerankRequest("judge", "hello", ("world",) * 70))
            assert many.scores == pytest.approx([found.scores[1]] * 70, abs=1e-5)
            with pytest.raises(WrongModelKind):
                await engine.chat(HELLO)
            with pytest.raises(WrongModelKind):
                await engine.embed(EmbeddingRequest("judge", ("a",)))
        with pytest.raises(EngineDied):
            await engine.rerank(RerankRequest("judge", "hello", ("a",)))

    run(scenario())


def test_a_document_that_is_too_long(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(_llamacpp, tmp_path, "rerank") as engine:
            with pytest.raises(ContextOverflow) as caught:
                await engine.rerank(RerankRequest("judge", "hello", ("world", "world " * 200)))
            assert (caught.value.param, "64" in caught.value.message) == ("documents", True)
            assert (await engine.rerank(RerankRequest("judge", "hello", ("world",)))).scores

    run(scenario())
