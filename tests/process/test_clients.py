"""The programs that people have already: Anthropic's, Ollama's and OpenAI's Python clients and the command-line tool `llm`, each
unchanged, against a real daemon with the pilot, a tiny embedding model and a tiny reranker.

Promises: each says something, streams, calls a tool, embeds where it can, and shows our errors as its own exceptions.
Does not cover: what the answers say, except where a grammar forces it; the forms in detail (`tests/null/test_dialects_*.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import ollama
import openai
import pytest
from pydantic import BaseModel

from tests.conftest import RunningDaemon
from tests.contract import tiny_bert, tiny_reranker

AT = "/homefire/v1"
SWITCH = {
    "type": "object",
    "properties": {"on": {"type": "boolean"}},
    "required": ["on"],
    "additionalProperties": False,
}
LONG = "word " * 70_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon of this file's own, with three kinds of models."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "bert").mkdir()
    files = {"bert": tiny_bert.make(folder / "bert"), "judge": tiny_reranker.make(folder)}
    made = RunningDaemon(tmp_path_factory.mktemp("home"), HOMEFIRE_THREADS="1").start()
    with made.client() as client:
        for name, file in files.items():
            events = [event.name for event in client.stream(f"{AT}/models/import", {"path": str(file), "name": name})]
            assert events[-1] == "done"
    yield made
    made.stop()


# --------------------------------------------------------------------------------------------------------- anthropic


@pytest.fixture(scope="module")
def claude(running: RunningDaemon) -> Iterator[anthropic.Anthropic]:
    """Anthropic's client, which sends its key as `x-api-key`."""
    with anthropic.Anthropic(base_url=running.url, api_key=running.key, max_retries=0, timeout=120) as made:
        yield made


ASKED: Any = {"model": "pilot", "max_tokens": 20, "messages": [{"role": "user", "content": "hello"}]}
TOOLS: Any = [{"name": "light", "description": "Turns the light.", "input_schema": SWITCH}]


def test_anthropic_answers_and_streams_the_same(claude: anthropic.Anthropic) -> None:
    greedy = {"temperature": 0}
    whole = claude.messages.create(**ASKED, extra_body=greedy)
    assert isinstance(whole, anthropic.types.Message)
    (block,) = whole.content
    assert block.type == "text" and block.text
    assert whole.stop_reason in ("end_turn", "max_tokens") and whole.usage.output_tokens <= 20
    with claude.messages.stream(**ASKED, extra_body=greedy) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == block.text
    assert final.stop_reason == whole.stop_reason
    read = final.usage.input_tokens + (final.usage.cache_read_input_tokens or 0)
    counted = claude.messages.count_tokens(model="pilot", messages=ASKED["messages"]).input_tokens
    assert read == counted == whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0)


def test_anthropic_tools(claude: anthropic.Anthropic) -> None:
    forced: Any = {**ASKED, "max_tokens": 60, "tools": TOOLS, "tool_choice": {"type": "tool", "name": "light"}}
    answer = claude.messages.create(**forced)
    (call,) = answer.content
    assert call.type == "tool_use" and call.name == "light" and isinstance(call.input["on"], bool)
    assert answer.stop_reason == "tool_use"
    with claude.messages.stream(**{**forced, "tool_choice": {"type": "any"}}) as stream:
        (streamed,) = stream.get_final_message().content
    assert streamed.type == "tool_use" and isinstance(streamed.input["on"], bool)
    turns: Any = [
        *ASKED["messages"],
        {"role": "assistant", "content": [call.to_dict()]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "done"}]},
    ]
    after = claude.messages.create(**{**ASKED, "messages": turns, "tools": TOOLS, "tool_choice": {"type": "none"}})
    assert after.content[0].type == "text"


def test_anthropic_errors(claude: anthropic.Anthropic, running: RunningDaemon) -> None:
    with pytest.raises(anthropic.NotFoundError) as unknown:
        claude.messages.create(**{**ASKED, "model": "claude-opus-5"})
    assert unknown.value.type == "not_found_error"
    with pytest.raises(anthropic.BadRequestError) as long:
        claude.messages.create(**{**ASKED, "messages": [{"role": "user", "content": LONG}]})
    assert "prompt is too long" in str(long.value)
    with pytest.raises(anthropic.BadRequestError) as thinking:
        claude.messages.create(**{**ASKED, "thinking": {"type": "enabled", "budget_tokens": 1024}})
    assert "does not reason" in str(thinking.value)
    stranger = anthropic.Anthropic(base_url=running.url, api_key="wrong", max_retries=0)
    with stranger, pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(**ASKED)


def test_anthropic_with_a_declared_policy(claude: anthropic.Anthropic) -> None:
    turns: Any = []
    for _ in range(30):
        turns += [{"role": "user", "content": "word " * 3000}, {"role": "assistant", "content": "yes"}]
    turns.append({"role": "user", "content": "hello"})
    raw = claude.messages.with_raw_response.create(
        **{**ASKED, "messages": turns, "max_tokens": 4}, extra_headers={"X-Homefire-Overflow": "drop-oldest"}
    )
    assert 0 < int(raw.headers["x-homefire-dropped"]) < len(turns)
    assert raw.parse().content


# ------------------------------------------------------------------------------------------------------------ ollama


@pytest.fixture(scope="module")
def llama(running: RunningDaemon) -> ollama.Client:
    """Ollama's client, which sends a key only if it is told to."""
    return ollama.Client(host=running.url, headers={"Authorization": f"Bearer {running.key}"}, timeout=120)


GREEDY = {"temperature": 0, "num_predict": 20}
TALK: Any = [{"role": "user", "content": "hello"}]


def test_ollama_chats(llama: ollama.Client) -> None:
    whole = llama.chat("pilot:latest", TALK, options=GREEDY)
    assert whole.message.content and whole.done and (whole.eval_count or 0) <= 20
    pieces = list(llama.chat("pilot", TALK, stream=True, options=GREEDY))
    assert "".join(piece.message.content or "" for piece in pieces) == whole.message.content
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    last = pieces[-1]
    assert (last.total_duration or 0) > 0 and last.prompt_eval_count == whole.prompt_eval_count
    said = llama.generate("pilot", "hello", options=GREEDY)
    assert said.response == whole.message.content
    assert llama.generate("pilot", "hel", raw=True, options=GREEDY).done


class Light(BaseModel):
    on: bool


def test_ollama_tools_and_forms(llama: ollama.Client) -> None:
    formed = llama.chat("pilot", TALK, format=Light.model_json_schema(), options={"num_predict": 60})
    assert Light.model_validate_json(formed.message.content or "")
    tool: Any = {"type": "function", "function": {"name": "light", "description": "d", "parameters": SWITCH}}
    turns: Any = [
        *TALK,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "light", "arguments": {"on": True}}}],
        },
        {"role": "tool", "content": "done", "tool_name": "light"},
    ]
    assert llama.chat("pilot", turns, tools=[tool], options=GREEDY).done


def test_ollama_embeds(llama: ollama.Client) -> None:
    found = llama.embed("bert", ["hello world", "hello"])
    assert [len(row) for row in found.embeddings] == [tiny_bert.WIDTH] * 2
    assert list(llama.embeddings("bert", "hello").embedding) == pytest.approx(list(found.embeddings[1]), abs=1e-6)
    with pytest.raises(ollama.ResponseError):
        llama.embed("bert", "hello " * 100)
    assert llama.embed("bert", "hello " * 100, truncate=True).prompt_eval_count == tiny_bert.POSITIONS


def test_ollamas_shelf(llama: ollama.Client, running: RunningDaemon) -> None:
    assert {model.model for model in llama.list().models} >= {"pilot", "bert", "judge"}
    shown = llama.show("pilot")
    assert shown.capabilities == ["completion", "tools"] and shown.details is not None
    assert llama.show("bert").capabilities == ["embedding"]
    assert llama.ps().models
    with pytest.raises(ollama.ResponseError) as here:
        llama.delete("pilot")
    assert (here.value.status_code, "built in" in here.value.error) == (409, True)


def test_ollama_errors(llama: ollama.Client, running: RunningDaemon) -> None:
    with pytest.raises(ollama.ResponseError) as unknown:
        llama.chat("llama3", TALK)
    assert unknown.value.status_code == 404 and "llama3" in unknown.value.error
    with pytest.raises(ollama.ResponseError) as long:
        llama.generate("pilot", LONG)
    assert long.value.status_code == 400 and "context window" in long.value.error
    with pytest.raises(ollama.ResponseError) as window:
        llama.chat("pilot", TALK, options={"num_ctx": 1_000_000})
    assert "num_ctx" in window.value.error
    with pytest.raises(ollama.ResponseError) as pulled:
        llama.pull("nobody/nothing")
    assert "nobody/nothing" in pulled.value.error
    with pytest.raises(ollama.ResponseError) as stranger:
        ollama.Client(host=running.url).list()
    assert stranger.value.status_code == 401 and "homefire key add" in stranger.value.error


# ------------------------------------------------------------------------------------------------------------ openai


@pytest.fixture(scope="module")
def client(running: RunningDaemon) -> Iterator[openai.OpenAI]:
    """OpenAI's client. Its chat, completions and embeddings have `tests/contract/test_openai_client.py`."""
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key=running.key, max_retries=0, timeout=120) as made:
        yield made


def test_openai_chats_and_embeds(client: openai.OpenAI) -> None:
    chat = client.chat.completions.create(model="pilot", messages=TALK, max_tokens=5)
    assert chat.choices[0].message.content
    assert len(client.embeddings.create(model="bert", input="hello").data[0].embedding) == tiny_bert.WIDTH


def test_responses(client: openai.OpenAI) -> None:
    asked: Any = {"model": "pilot", "input": "hello", "max_output_tokens": 20, "temperature": 0}
    whole = client.responses.create(**asked, instructions="Be brief.")
    assert whole.output_text and whole.status in ("completed", "incomplete")
    assert whole.usage is not None and whole.usage.output_tokens <= 20
    with client.responses.stream(**asked, instructions="Be brief.") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert events[0].type == "response.created" and events[0].sequence_number == 0
    assert final.output_text == whole.output_text
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text


def test_responses_with_tools_and_forms(client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "name": "light", "description": "d", "parameters": SWITCH, "strict": True}
    asked: Any = {"model": "pilot", "input": "hello", "tools": [tool], "tool_choice": "required"}
    (call,) = client.responses.create(**asked).output
    assert call.type == "function_call" and isinstance(json.loads(call.arguments)["on"], bool)
    with client.responses.stream(**asked) as stream:
        (streamed,) = stream.get_final_response().output
    assert streamed.type == "function_call" and streamed.name == "light"
    turns: Any = [
        {"role": "user", "content": "hello"},
        call.to_dict(),
        {"type": "function_call_output", "call_id": call.call_id, "output": "done"},
    ]
    assert client.responses.create(model="pilot", input=turns, tools=[tool], max_output_tokens=8).output
    parsed = client.responses.parse(model="pilot", input="hello", text_format=Light)
    assert parsed.output_parsed is not None


def test_responses_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="gpt-5", input="hello")
    with pytest.raises(openai.BadRequestError) as stored:
        client.responses.create(model="pilot", input="hello", previous_response_id="resp_1")
    assert stored.value.code == "unsupported_parameter" and isinstance(stored.value.body, dict)
    assert "whole conversation" in stored.value.body["next_step"]
    with pytest.raises(openai.BadRequestError) as long:
        client.responses.create(model="pilot", input=LONG)
    assert long.value.code == "context_length_exceeded"


def test_rerank(running: RunningDaemon) -> None:
    with running.client() as home:
        asked = {"model": "judge", "query": "hello", "documents": ["hello", "world", "cafe world"], "top_n": 2}
        found = home.post("/v1/rerank", asked, seconds=120)
    scores = [row["relevance_score"] for row in found["results"]]
    assert len(scores) == 2 and scores == sorted(scores, reverse=True)
    assert {row["index"] for row in found["results"]} < {0, 1, 2} and found["usage"]["total_tokens"] > 0


# --------------------------------------------------------------------------------------------------------------- llm


@pytest.fixture(scope="module")
def tool_home(running: RunningDaemon, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of `llm` that knows the daemon by its own way of adding models."""
    home = tmp_path_factory.mktemp("llm")
    rows = [
        {"model_id": "local", "model_name": "pilot", "api_base": f"{running.url}/v1", "api_key_name": "homefire",
         "supports_schema": True, "supports_tools": True},
        {"model_id": "missing", "model_name": "gpt-4o", "api_base": f"{running.url}/v1", "api_key_name": "homefire"},
        {"model_id": "answers", "model_name": "pilot", "api_base": f"{running.url}/v1", "api_key_name": "homefire",
         "responses": True},
    ]  # fmt: skip
    # JSON is YAML.
    (home / "extra-openai-models.yaml").write_text(json.dumps(rows), "utf-8")
    (home / "keys.json").write_text(json.dumps({"homefire": running.key}), "utf-8")
    return home


def llm(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the tool as a person does."""
    environment = {**os.environ, "LLM_USER_PATH": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "llm", *arguments],
        env=environment,
        input="",
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_llm(tool_home: Path) -> None:
    streamed = llm(tool_home, "-m", "local", "-o", "temperature", "0", "-o", "max_tokens", "12", "hello")
    assert streamed.returncode == 0 and streamed.stdout.strip(), streamed.stderr
    whole = llm(tool_home, "-m", "local", "--no-stream", "-o", "temperature", "0", "-o", "max_tokens", "12", "hello")
    assert whole.stdout == streamed.stdout
    formed = llm(tool_home, "-m", "local", "--schema", "on bool", "hello")
    assert isinstance(json.loads(formed.stdout)["on"], bool), formed.stderr
    logged = json.loads(llm(tool_home, "logs", "list", "--json", "-n", "1").stdout)
    assert logged[0]["output_tokens"] > 0


def test_llm_with_responses(tool_home: Path) -> None:
    said = llm(tool_home, "-m", "answers", "-o", "max_tokens", "16", "hello")
    assert said.returncode == 0 and said.stdout.strip(), said.stderr


def test_llm_shows_our_error(tool_home: Path) -> None:
    failed = llm(tool_home, "-m", "missing", "hello")
    assert failed.returncode != 0
    assert "There is no model named 'gpt-4o' here." in failed.stderr
