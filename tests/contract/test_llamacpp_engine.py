"""What only the llama.cpp engine has beyond the contract: a real child, a real file, a socket.

Promises: a child that dies is named with its signal; a file that llama.cpp cannot load is one error in time and leaves no
process; the socket is this user's alone and goes with the engine.
Does not cover: the contract itself (`test_engine.py`), GPUs (`tests/gpu/`).
"""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.models import truncated, without_tokenizer
from homefire.engines.engine import EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.errors import ContextOverflow, EngineDied, EngineFailed, EngineGone, InvalidRequest
from homefire.messages import ChatRequest, Message, Sampling
from tests.conftest import command_lines, wait_until
from tests.contract import tiny_bert
from tests.contract.test_engine import (
    LONG,
    PLUGS,
    bert_spec,
    check_whole,
    collect,
    cosine,
    embedding,
    llamacpp_spec,
    long,
    of,
    run,
    running,
    short,
    values,
)


def children(folder: Path) -> list[str]:
    """Command lines of engine children whose traces lie in `folder`."""
    return [line for _, line in command_lines() if str(folder) in line and "llamacpp_child" in line]


def test_killed_child_is_named_with_its_signal(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(PLUGS["llamacpp"], tmp_path) as engine:
            answer = await engine.chat(long())
            reading = answer.events()
            await anext(reading)
            assert engine.pid is not None
            os.kill(engine.pid, signal.SIGKILL)
            with pytest.raises(EngineDied, match=r"engine of 'pilot' .*was killed by SIGKILL"):
                async for _ in reading:
                    pass
            await answer.close()

    run(scenario())
    assert children(tmp_path) == []


def test_killed_while_nobody_asked(tmp_path: Path) -> None:
    """It may be asked of another: also where the child's end was not yet seen here."""

    async def scenario() -> None:
        async with running(PLUGS["llamacpp"], tmp_path) as engine:
            await collect(await engine.chat(short()))
            assert engine.pid is not None
            os.kill(engine.pid, signal.SIGKILL)
            wait_until(lambda: children(tmp_path) == [])  # without giving the loop a turn
            with pytest.raises(EngineGone, match=r"was killed by SIGKILL"):
                await engine.chat(short())

    run(scenario())


@pytest.mark.parametrize("damage", [without_tokenizer, truncated], ids=["metadata", "tensors"])
def test_file_that_cannot_be_loaded(
    tmp_path: Path, pilot_spec: EngineSpec, damage: Callable[[Path, Path], Path]
) -> None:
    async def scenario() -> None:
        file = damage(pilot_spec.path, tmp_path / "broken.gguf")
        engine = LlamaCpp(llamacpp_spec(tmp_path, file, load_seconds=20.0))
        began = time.monotonic()
        with pytest.raises(EngineFailed) as caught:
            await engine.start()
        assert time.monotonic() - began < 25
        assert "The engine of 'pilot'" in caught.value.message
        assert str(tmp_path / "engine.log") in caught.value.next_step
        assert engine.pid is None
        await engine.stop()

    run(scenario())
    assert children(tmp_path) == []
    assert not (tmp_path / "e.sock").exists()


def test_file_that_is_not_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = LlamaCpp(llamacpp_spec(tmp_path, tmp_path / "nothing.gguf"))
        with pytest.raises(EngineFailed):
            await engine.start()
        await engine.stop()

    run(scenario())
    assert children(tmp_path) == []


def test_socket_is_private_and_goes_with_the_engine(tmp_path: Path) -> None:
    async def scenario() -> None:
        socket = tmp_path / "e.sock"
        async with running(PLUGS["llamacpp"], tmp_path):
            found = socket.stat()
            assert stat.S_ISSOCK(found.st_mode)
            assert found.st_mode & 0o077 == 0, oct(found.st_mode)
        assert not socket.exists()

    run(scenario())


def test_no_prompt_in_the_log_or_on_the_command_line(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(PLUGS["llamacpp"], tmp_path) as engine:
            prompt = "the secret word is hollyhock"
            request = ChatRequest("pilot", (Message("user", prompt),), Sampling(max_tokens=4), stream=True)
            await collect(await engine.chat(request))
            assert children(tmp_path), "or the next line proves nothing"
            assert not any("hollyhock" in line for line in children(tmp_path))
        assert b"hollyhock" not in (tmp_path / "engine.log").read_bytes()

    run(scenario())


def test_no_text_that_is_embedded_in_the_log(tmp_path: Path) -> None:
    file = tiny_bert.make(tmp_path)

    async def scenario() -> None:
        async with embedding(PLUGS["llamacpp"], tmp_path, file) as engine:
            await engine.embed(of("hollyhock", "hollyhock " * 99, truncate=True))
            with pytest.raises(ContextOverflow):
                await engine.embed(of("hollyhock " * 99))
        assert b"hollyhock" not in (tmp_path / "engine.log").read_bytes()

    run(scenario())


def test_an_embedding_model_that_names_no_pooling(tmp_path: Path) -> None:
    file = tiny_bert.make(tmp_path, pooling=False)

    async def scenario() -> None:
        engine = LlamaCpp(bert_spec(tmp_path, file))
        with pytest.raises(EngineFailed, match="makes no embeddings"):
            await engine.start()
        assert children(tmp_path) == [], "it was loaded, and is gone again"

    run(scenario())


@pytest.mark.parametrize("context", [64, 4096])
def test_accents_case_and_unknown_words_of_a_bert(tmp_path: Path, context: int) -> None:
    """A window larger than the model's positions changes nothing."""
    file = tiny_bert.make(tmp_path)

    async def scenario() -> None:
        engine = LlamaCpp(replace(bert_spec(tmp_path, file), context=context))
        await engine.start()
        try:
            found = await engine.embed(of("cafe", "CAFÉ", "cafe\u0301", (2, 10, 3), "한국", "[UNK]", "hello"))
            plain, *same, unknown, token, other = values(found)
            assert all(cosine(plain, vector) > 0.99999 for vector in same)
            assert cosine(unknown, token) > 0.99999 > cosine(plain, other)
            with pytest.raises(ContextOverflow, match="at most 64"):
                await engine.embed(of("hello " * 63))
            with pytest.raises(InvalidRequest, match="invalid tokens") as caught:
                await engine.embed(of((2, 99, 3)))
            assert caught.value.param == "input"
        finally:
            await engine.stop()

    run(scenario())


def test_prompt_beyond_the_context_window(tmp_path: Path, pilot_spec: EngineSpec) -> None:
    async def scenario() -> None:
        engine = LlamaCpp(pilot_spec)
        await engine.start()
        try:
            with pytest.raises(ContextOverflow, match=r"context window"):
                await engine.chat(ChatRequest("pilot", (Message("user", LONG),), stream=True))
            check_whole(await collect(await engine.chat(short(include_usage=True))))
        finally:
            await engine.stop()

    run(scenario())
