"""The whole surface on one screen: a real daemon, the real pilot, every door once. Run it before a commit.

Promises: if this is green, a person can start, talk, come back and leave.
Does not cover: anything in depth.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import openai

from tests.conftest import RunningDaemon


def test_a_life(new_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = new_daemon().start()

    # the command line: talk, look around, make a key
    said = daemon.cli("chat", "--json", "--max-tokens", "40", "Hello! What are you?")
    answer = json.loads(said.stdout)
    assert answer["state"] == "complete" and answer["content"].strip()
    assert "homefire models import" in answer["notice"]  # the first conversation says how to get a real model
    assert json.loads(daemon.cli("status", "--json").stdout)["models"][0]["name"] == "pilot"
    assert json.loads(daemon.cli("models", "--json").stdout)["default"] == "pilot"
    key = json.loads(daemon.cli("key", "add", "tiny", "--json").stdout)["key"]

    # any OpenAI client
    client = openai.OpenAI(base_url=f"{daemon.url}/v1", api_key=key, max_retries=0)
    messages: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Hello!"}]
    whole = client.chat.completions.create(model="pilot", messages=messages, max_tokens=20)
    assert whole.usage is not None and whole.usage.completion_tokens <= 20
    stream = client.chat.completions.create(model="pilot", messages=messages, max_tokens=20, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream).strip()

    # a death: the daemon is killed, the conversation is there again
    daemon.kill()
    daemon.start()
    with daemon.client() as home:
        kept = home.get(f"/homefire/v1/conversations/{answer['conversation']}")
    assert [message["content"] for message in kept["messages"]] == ["Hello! What are you?", answer["content"]]

    # the end leaves nothing behind
    assert json.loads(daemon.cli("down", "--json").stdout)["stopped"] is True
    assert daemon.engine_pids() == []
