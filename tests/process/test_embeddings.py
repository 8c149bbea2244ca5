"""Embeddings through a real daemon and a real engine, with tiny models: which model answers, what goes wrong, who leaves.

Promises: each way in which no embedding can be made is one error with a stable code and a next step; an engine that dies or
cannot be loaded leaves no process, and the next request is answered.
Does not cover: the wire form (`tests/contract/test_openai_client.py`), real vectors (`test_minilm.py`).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homefire.client import Homefire
from homefire.errors import EngineFailed, HomefireError, InvalidRequest, NoEmbeddingModel, UnknownModel, WrongModelKind
from homefire.models import catalogue
from homefire.models.quality import cosine
from tests.conftest import RunningDaemon, wait_until
from tests.contract import tiny_bert

AT = "/homefire/v1"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound embedding model and one whose header names no pooling."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "a").mkdir()
    tiny_bert.make(folder).rename(folder / "sound.gguf")
    tiny_bert.make(folder / "a", pooling=False).rename(folder / "unpooled.gguf")
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon of this file's own, whose engines take one thread."""
    # A context window for chats, which must not reach a model that reads 64 tokens.
    made = RunningDaemon(tmp_path_factory.mktemp("home"), HOMEFIRE_THREADS="1", HOMEFIRE_CONTEXT="4096").start()
    yield made
    made.stop()


@pytest.fixture
def home(running: RunningDaemon) -> Iterator[Homefire]:
    """The client; all models that a test brings go again."""
    with running.client() as client:
        yield client
        for model in client.get(f"{AT}/models")["models"]:
            if model["name"] != "pilot":
                client.delete(f"{AT}/models/{model['name']}")


def bring(home: Homefire, file: Path, name: str) -> None:
    """Imports a model."""
    assert [event.name for event in home.stream(f"{AT}/models/import", {"path": str(file), "name": name})][-1] == "done"


def embed(home: Homefire, text: Any = "hello", **fields: Any) -> dict[str, Any]:
    """A request for embeddings."""
    return home.post("/v1/embeddings", {"input": text, **fields}, seconds=120)


def test_without_an_embedding_model(home: Homefire) -> None:
    with pytest.raises(NoEmbeddingModel) as caught:
        embed(home)
    command, _, name = caught.value.next_step.partition("homefire models pull ")
    assert command and name in {entry.name for entry in catalogue.load().entries}
    with pytest.raises(WrongModelKind) as wrong:
        embed(home, model="pilot")
    assert name in wrong.value.next_step
    assert "pilot" not in {model["name"] for model in home.status()["models"]}, "refused before it was loaded"
    with pytest.raises(UnknownModel):
        embed(home, model="none")


def test_which_model_answers_where_none_is_named(home: Homefire, files: Path) -> None:
    bring(home, files / "sound.gguf", "one")
    assert embed(home)["model"] == "one"
    bring(home, files / "sound.gguf", "two")
    with pytest.raises(InvalidRequest, match="one, two") as caught:
        embed(home)
    assert caught.value.param == "model"
    home.put(f"{AT}/roles", {"embed": "two"})
    assert embed(home)["model"] == "two"
    assert embed(home, model="one")["model"] == "one"
    home.delete(f"{AT}/models/two")
    assert embed(home)["model"] == "one", "a role whose model is gone is not set"


def test_an_embedding_model_neither_chats_nor_converses(home: Homefire, files: Path) -> None:
    bring(home, files / "sound.gguf", "one")
    for path, body in (
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/completions", {"prompt": "hi"}),
    ):
        with pytest.raises(WrongModelKind):
            home.post(path, {"model": "one", **body})
    chat = home.post(f"{AT}/conversations", {})["id"]
    with pytest.raises(WrongModelKind):
        list(home.ask(chat, "hi", model="one"))


def test_the_models_own_window_counts_not_that_of_chats(home: Homefire, files: Path) -> None:
    bring(home, files / "sound.gguf", "one")
    assert embed(home, "hello " * 62)["usage"]["prompt_tokens"] == 64
    with pytest.raises(HomefireError, match=r"65 tokens.*at most 64") as caught:
        embed(home, ["hello", "hello " * 63])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input[1]")


def test_as_many_texts_as_a_request_takes(home: Homefire, files: Path) -> None:
    bring(home, files / "sound.gguf", "one")
    answer = embed(home, ["hello", "world"] * 1024)
    rows = answer["data"]
    assert [row["index"] for row in rows] == list(range(2048))
    hello, world = rows[0]["embedding"], rows[1]["embedding"]
    assert cosine(hello, world) < 0.9999
    for at, row in enumerate(rows):
        assert cosine(row["embedding"], world if at % 2 else hello) > 0.99999
    assert answer["usage"]["prompt_tokens"] == 3 * 2048


def test_a_model_that_names_no_pooling(home: Homefire, running: RunningDaemon, files: Path) -> None:
    bring(home, files / "unpooled.gguf", "unpooled")
    with pytest.raises(EngineFailed, match="Pooling type") as caught:
        embed(home, model="unpooled")
    assert "pooling" in caught.value.next_step
    wait_until(lambda: not running.engine_pids())


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGKILL], ids=["by itself", "killed from outside"])
def test_an_engine_that_dies_while_it_embeds(
    how: signal.Signals, home: Homefire, running: RunningDaemon, files: Path
) -> None:
    bring(home, files / "sound.gguf", "one")
    embed(home)
    (pid,) = running.engine_pids()
    found: list[Any] = []

    def ask() -> None:
        with running.client() as other:
            try:
                found.append(embed(other, ["hello " * 60] * 64)["model"])
            except HomefireError as problem:
                found.append(problem.code)

    os.kill(pid, signal.SIGSTOP)  # so that it has the work and cannot end it
    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: any(model["leases"] for model in home.status()["models"]))
    os.kill(pid, how)
    if how != signal.SIGKILL:
        os.kill(pid, signal.SIGCONT)  # only SIGKILL reaches what is stopped
    asking.join(60)
    assert found == (["engine_died"] if how == signal.SIGSEGV else ["one"]), "what killed it itself is not asked again"
    assert embed(home)["model"] == "one", "the next request starts it again"
