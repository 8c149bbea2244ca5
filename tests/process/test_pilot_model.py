"""The built-in model in the real engine: a child process with one thread, greedy.

Promises: version 0 greets, says what it is, fills a JSON schema and calls a required tool.
Does not cover figures over many prompts (`python -m pilot evaluate`).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilot.engine import Engine

MODEL = Path(__file__).parents[2] / "homefire" / "models" / "pilot.gguf"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Gets the weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(MODEL) as running:
        yield running


def said(engine: Engine, text: str, **more: Any) -> dict[str, Any]:
    return engine.chat([{"role": "user", "content": text}], **more)


@pytest.mark.parametrize("text", ["hello", "hi", "Hi there", "good morning", "Hello!"])
def test_it_greets_and_stops(engine: Engine, text: str) -> None:
    choice = said(engine, text)
    assert choice["finish_reason"] == "stop"
    assert any(word in choice["message"]["content"].lower() for word in ("hello", "hi ", "good to see", "nice to"))


def test_it_says_what_it_is(engine: Engine) -> None:
    text = said(engine, "Who are you?")["message"]["content"]
    assert "pilot" in text.lower()


def test_it_names_the_command_for_a_real_model(engine: Engine) -> None:
    text = said(engine, "How do I get a real model?")["message"]["content"]
    assert "homefire setup" in text


def test_it_admits_what_it_cannot_do(engine: Engine) -> None:
    text = said(engine, "What is the capital of France?")["message"]["content"]
    assert "real model" in text and "Paris" not in text


def test_it_fills_a_schema_and_ends(engine: Engine) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "city": {"type": "string"}},
        "required": ["name", "age", "city"],
    }
    choice = said(
        engine,
        "Anna is 31 years old and lives in Oslo. Give JSON with name, age and city.",
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema}},
    )
    assert choice["finish_reason"] == "stop"
    assert json.loads(choice["message"]["content"]) == {"name": "Anna", "age": 31, "city": "Oslo"}


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_it_calls_a_tool(engine: Engine, choice: str) -> None:
    answer = said(engine, "What is the weather in Oslo?", tools=[WEATHER], tool_choice=choice)
    (call,) = answer["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
