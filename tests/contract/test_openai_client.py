"""OpenAI's own Python client against a real daemon with the pilot, and one with a tiny embedding model.

Promises: what that client can send is answered in the form that it parses, streamed or not; what is wrong or not supported
becomes the exception that the client's users know, with our code.
Does not cover: what the answers say, except where a grammar forces it; other vendors' clients.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam, ChatCompletionToolParam

from tests.conftest import RunningDaemon
from tests.contract import tiny_bert

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]
# The pilot's token for "<tool_call>".
TOOL_CALL_TOKEN = "4090"
COLORS = ["red", "green", "blue"]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "color": {"enum": COLORS},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "ok": {"type": "boolean"},
    },
    "required": ["color", "count", "ok"],
    "additionalProperties": False,
}
SWITCH = {
    "type": "object",
    "properties": {"on": {"type": "boolean"}},
    "required": ["on"],
    "additionalProperties": False,
}
TOOLS: list[ChatCompletionToolParam] = [
    {"type": "function", "function": {"name": name, "description": f"Turns the {name}.", "parameters": SWITCH}}
    for name in ("light", "heating")
]


@pytest.fixture(scope="module")
def client(daemon: RunningDaemon) -> Iterator[openai.OpenAI]:
    """The official client, which must not hide a failure by trying again."""
    with openai.OpenAI(base_url=f"{daemon.url}/v1", api_key=daemon.key, max_retries=0, timeout=60) as made:
        yield made


def ask(client: openai.OpenAI, **fields: Any) -> ChatCompletion:
    """One chat completion, at temperature 0 unless said otherwise."""
    given = {"model": "pilot", "messages": HELLO, "temperature": 0, "max_tokens": 60, **fields}
    answer = client.chat.completions.create(**given)
    assert isinstance(answer, ChatCompletion)
    return answer


def said(answer: ChatCompletion) -> str:
    """The text of the answer."""
    return answer.choices[0].message.content or ""


# ---------------------------------------------------------------------------------------------------------- models


def test_models(client: openai.OpenAI) -> None:
    listed = client.models.list().data
    assert "pilot" in [model.id for model in listed]
    assert all(model.object == "model" and model.created > 1_700_000_000 for model in listed)
    assert client.models.retrieve("pilot").id == "pilot"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-4o")
    assert caught.value.code == "unknown_model"


# ------------------------------------------------------------------------------------------------------------ chat


def test_chat(client: openai.OpenAI) -> None:
    first, second = ask(client), ask(client)
    assert first.object == "chat.completion"
    assert first.model == "pilot"
    assert first.id != second.id
    (choice,) = first.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert first.usage is not None
    assert 0 < first.usage.completion_tokens <= 60
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens
    assert said(first) == said(second), "temperature 0"


def test_chat_streamed(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(model="pilot", messages=HELLO, stream=True, temperature=0, max_tokens=60)
    )
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks[:-1])
    assert all(chunk.usage is None for chunk in chunks), "usage was not asked for"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == said(ask(client))


def test_usage_in_the_stream(client: openai.OpenAI) -> None:
    options: Any = {"model": "pilot", "messages": HELLO, "stream": True, "max_tokens": 5, "temperature": 0}
    chunks = list(client.chat.completions.create(**options, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []
    assert 0 < chunks[-1].usage.completion_tokens <= 5
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert all(chunk.usage is None and chunk.choices for chunk in chunks[:-1])


def test_default_model_and_message_forms(client: openai.OpenAI) -> None:
    messages = [
        {"role": "developer", "content": "Be short."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "hello"}, {"type": "text", "text": "again"}],
            "name": "ada",
        },
        {"role": "assistant", "content": "Hi.", "refusal": None},
        {"role": "user", "content": "and now?"},
    ]
    assert ask(client, messages=messages).usage is not None


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_length(client: openai.OpenAI, field: str) -> None:
    given: Any = {"model": "pilot", "messages": HELLO, field: 3, "extra_body": {"ignore_eos": True}}
    answer = client.chat.completions.create(**given)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3


@pytest.mark.parametrize("as_list", [False, True])
def test_stop_strings(client: openai.OpenAI, as_list: bool) -> None:
    whole = said(ask(client, extra_body={"ignore_eos": True}))
    middle = len(whole) // 2
    stop = whole[middle : middle + 4]
    cut = ask(client, stop=["never in it \x01", stop] if as_list else stop, extra_body={"ignore_eos": True})
    assert cut.choices[0].finish_reason == "stop"
    assert said(cut) == whole[: whole.index(stop)]


def test_seed(client: openai.OpenAI) -> None:
    drawn = {said(ask(client, temperature=1.5, seed=7, extra_body={"ignore_eos": True})) for _ in range(3)}
    assert len(drawn) == 1
    others = {said(ask(client, temperature=1.5, seed=seed, extra_body={"ignore_eos": True})) for seed in range(8, 12)}
    assert len(others | drawn) > 1, "the seed has no effect"


def test_logprobs(client: openai.OpenAI) -> None:
    answer = ask(client, max_tokens=4, logprobs=True, top_logprobs=3)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content
    assert answer.usage is not None
    assert len(logprobs.content) == answer.usage.completion_tokens
    for token in logprobs.content:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert sum(math.exp(other.logprob) for other in token.top_logprobs) <= 1.001
        assert token.logprob == max(other.logprob for other in token.top_logprobs), "temperature 0"
    assert ask(client, max_tokens=4).choices[0].logprobs is None


# ------------------------------------------------------------------------------------------------------ forced form


@pytest.mark.parametrize("temperature", [0, 1])
def test_json_schema(client: openai.OpenAI, temperature: float) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "thing", "schema": SCHEMA, "strict": True}}
    answer = ask(client, response_format=form, max_tokens=400, temperature=temperature, seed=1)
    assert answer.choices[0].finish_reason == "stop"
    found = json.loads(said(answer))
    assert list(found) == ["color", "count", "ok"]
    assert found["color"] in COLORS
    assert type(found["count"]) is int
    assert 0 <= found["count"] <= 99
    assert type(found["ok"]) is bool


def test_json_object(client: openai.OpenAI) -> None:
    for seed in range(5):  # a grammar forces the form, not the end; one of five ends
        answer = ask(client, response_format={"type": "json_object"}, max_tokens=600, seed=seed, temperature=1)
        if answer.choices[0].finish_reason == "stop":
            assert isinstance(json.loads(said(answer)), dict)
            return
    pytest.fail("no JSON object came to its end within 600 tokens")


def called(client: openai.OpenAI, choice: Any = "required") -> tuple[int, ChatCompletion]:
    """A seed with which the pilot calls a tool, and that answer. Until 'required' holds for every seed (the test that is
    expected to fail below), a half-trained pilot may talk instead."""
    for seed in range(40):
        answer = ask(client, tools=TOOLS, tool_choice=choice, max_tokens=150, temperature=1, seed=seed)
        if answer.choices[0].finish_reason == "tool_calls":
            return seed, answer
    pytest.fail("not one of 40 seeds gave a call")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "heating"}}], ids=str)
def test_tool_call(client: openai.OpenAI, choice: Any) -> None:
    _, answer = called(client, choice)
    calls = answer.choices[0].message.tool_calls
    assert calls
    assert calls[0].type == "function"
    assert calls[0].id
    assert calls[0].function.name in ({"light", "heating"} if choice == "required" else {"heating"})
    assert type(json.loads(calls[0].function.arguments)["on"]) is bool


def test_tool_call_streamed(client: openai.OpenAI) -> None:
    seed, whole = called(client)
    given: Any = {"model": "pilot", "messages": HELLO, "tools": TOOLS, "tool_choice": "required", "max_tokens": 150}
    name, arguments, reason = "", "", None
    for chunk in client.chat.completions.create(**given, stream=True, temperature=1, seed=seed):
        choice = chunk.choices[0]
        reason = choice.finish_reason or reason
        for call in choice.delta.tool_calls or ():
            if call.index == 0 and call.function is not None:
                name += call.function.name or ""
                arguments += call.function.arguments or ""
    assert reason == "tool_calls"
    assert whole.choices[0].message.tool_calls
    first = whole.choices[0].message.tool_calls[0]
    assert first.type == "function"
    assert name == first.function.name
    assert json.loads(arguments) == json.loads(first.function.arguments)


def test_required_tool_call_from_an_unwilling_model(client: openai.OpenAI) -> None:
    """OpenAI's contract: 'required' means that the model must call a tool, whatever it would rather say."""
    bias = {TOOL_CALL_TOKEN: -100}
    answer = ask(client, tools=TOOLS, tool_choice="required", max_tokens=300, logit_bias=bias)
    assert answer.choices[0].message.tool_calls, said(answer)[:80]


def test_tool_result_round_trip(client: openai.OpenAI) -> None:
    _, answer = called(client)
    message = answer.choices[0].message
    assert message.tool_calls
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": '{"done": true}'}
    messages = [*HELLO, message.model_dump(), result, {"role": "user", "content": "thanks"}]
    after = ask(client, messages=messages, tools=TOOLS, max_tokens=30)
    assert after.usage is not None
    assert answer.usage is not None
    assert after.usage.prompt_tokens > answer.usage.prompt_tokens


# ------------------------------------------------------------------------------------------------------ completions


def test_completion(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="pilot", prompt="Homefire is", max_tokens=6, temperature=0)
    assert answer.object == "text_completion"
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 6
    chunks = list(
        client.completions.create(model="pilot", prompt=["Homefire is"], max_tokens=6, temperature=0, stream=True)
    )
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == answer.choices[0].text
    assert chunks[-1].choices[0].finish_reason == answer.choices[0].finish_reason


def test_completion_stop_and_seed(client: openai.OpenAI) -> None:
    def complete(**fields: Any) -> str:
        given: dict[str, Any] = {"model": "pilot", "prompt": "Homefire is", "max_tokens": 40, **fields}
        answer = client.completions.create(**given, extra_body={"ignore_eos": True})
        return str(answer.choices[0].text)

    whole = complete(temperature=0)
    stop = whole[len(whole) // 2 :][:4]
    assert complete(temperature=0, stop=stop) == whole[: whole.index(stop)]
    assert complete(temperature=1.5, seed=3) == complete(temperature=1.5, seed=3)


def test_completion_logprobs(client: openai.OpenAI) -> None:
    """The older form: parallel lists, not objects."""
    answer = client.completions.create(model="pilot", prompt="Homefire is", max_tokens=3, temperature=0, logprobs=2)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens
    assert logprobs.token_logprobs is not None
    assert len(logprobs.tokens) == len(logprobs.token_logprobs)
    assert "".join(logprobs.tokens) == answer.choices[0].text
    assert logprobs.text_offset is not None
    assert logprobs.text_offset[0] == 0


def test_completion_usage_in_the_stream(client: openai.OpenAI) -> None:
    options: Any = {"model": "pilot", "prompt": "Homefire is", "stream": True, "max_tokens": 5}
    chunks = list(client.completions.create(**options, stream_options={"include_usage": True}))
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []
    assert 0 < chunks[-1].usage.completion_tokens <= 5
    assert all(chunk.usage is None for chunk in chunks[:-1])


# ----------------------------------------------------------------------------------------------------------- errors

Refusal = tuple[str, dict[str, Any], type[openai.APIStatusError], str, str | None]
REFUSED: list[Refusal] = [
    ("unknown model", {"model": "gpt-4o"}, openai.NotFoundError, "unknown_model", "model"),
    ("temperature", {"temperature": 9}, openai.BadRequestError, "invalid_request", "temperature"),
    ("unknown field", {"extra_body": {"foo": 1}}, openai.BadRequestError, "invalid_request", "foo"),
    ("n", {"n": 2}, openai.BadRequestError, "unsupported_parameter", "n"),
    ("no messages", {"messages": []}, openai.BadRequestError, "invalid_request", "messages"),
    ("role", {"messages": [{"role": "king", "content": "x"}]}, openai.BadRequestError, "invalid_request", None),
    ("modalities", {"modalities": ["audio"]}, openai.BadRequestError, "unsupported_parameter", "modalities"),
    ("no tools", {"tool_choice": "required"}, openai.BadRequestError, "invalid_request", "tool_choice"),
    ("top_logprobs", {"top_logprobs": 3}, openai.BadRequestError, "invalid_request", "top_logprobs"),
    ("max_tokens", {"max_tokens": 0}, openai.BadRequestError, "invalid_request", "max_tokens"),
    ("too long", {"messages": [{"role": "user", "content": "word " * 20_000}]}, openai.BadRequestError,
     "context_length_exceeded", "messages"),
]  # fmt: skip


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(client: openai.OpenAI, row: Refusal, stream: bool) -> None:
    _, fields, kind, code, param = row
    with pytest.raises(kind) as caught:
        ask(client, **fields, stream=stream)
    assert caught.value.code == code
    if param is not None:
        assert caught.value.param == param
    body = caught.value.body
    assert isinstance(body, dict)
    assert body["next_step"]
    assert body["source"] == "client"


def test_bad_key(client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        client.with_options(api_key="homefire-wrong").models.list()
    assert caught.value.code == "bad_key"


# ------------------------------------------------------------------------------------------------------- embeddings


def test_no_embeddings_of_a_chat_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="pilot", input="hello")
    assert (caught.value.code, caught.value.param) == ("wrong_model_kind", "model")
    with pytest.raises(openai.NotFoundError) as missing:
        client.embeddings.create(model="text-embedding-3-small", input=["hello"])
    assert missing.value.code == "unknown_model"


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """The official client of a daemon that has a tiny embedding model beside the pilot."""
    file = tiny_bert.make(tmp_path_factory.mktemp("bert"))
    running = RunningDaemon(tmp_path_factory.mktemp("home"), HOMEFIRE_THREADS="1").start()
    try:
        with running.client() as home:
            for _ in home.stream("/homefire/v1/models/import", {"path": str(file), "name": "bert"}):
                pass
        with openai.OpenAI(base_url=f"{running.url}/v1", api_key=running.key, max_retries=0, timeout=60) as made:
            yield made
    finally:
        running.stop()


def near(one: list[float], other: list[float]) -> bool:
    """Whether two vectors of length one say the same."""
    return sum(a * b for a, b in zip(one, other, strict=True)) > 0.99999


def test_embeddings(embedder: openai.OpenAI) -> None:
    """The client asks for base64 of its own accord and hands out numbers."""
    answer = embedder.embeddings.create(model="bert", input="hello world")
    assert (answer.object, answer.model) == ("list", "bert")
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 4
    (row,) = answer.data
    assert (row.object, row.index, len(row.embedding)) == ("embedding", 0, tiny_bert.WIDTH)
    assert near(row.embedding, row.embedding)
    numbers = embedder.embeddings.create(model="bert", input="hello world", encoding_format="float").data[0]
    assert numbers.embedding == row.embedding, "both forms hold the same 32-bit floats"


def test_embeddings_of_every_kind_of_input(embedder: openai.OpenAI) -> None:
    texts = ["hello", "world", "hello world", "unable, cafe!"]
    rows = embedder.embeddings.create(model="bert", input=texts).data
    assert [row.index for row in rows] == [0, 1, 2, 3]
    for text, row in zip(texts, rows, strict=True):
        assert near(embedder.embeddings.create(model="bert", input=text).data[0].embedding, row.embedding)
    tokens = [[2, 5, 3], [2, 6, 3], [2, 5, 6, 3]]
    for one, row, ids in zip(embedder.embeddings.create(model="bert", input=tokens).data, rows, tokens, strict=False):
        assert near(one.embedding, row.embedding)
        assert near(embedder.embeddings.create(model="bert", input=ids).data[0].embedding, row.embedding)


def test_shorter_embeddings(embedder: openai.OpenAI) -> None:
    whole = embedder.embeddings.create(model="bert", input="hello world").data[0].embedding
    short = embedder.embeddings.create(model="bert", input="hello world", dimensions=8).data[0].embedding
    length = math.sqrt(sum(value * value for value in whole[:8]))
    assert short == pytest.approx([value / length for value in whole[:8]], abs=1e-6)


def test_the_only_embedding_model_answers_where_none_is_named(embedder: openai.OpenAI) -> None:
    answer = embedder.embeddings.create(model=openai.omit, input="hello")  # type: ignore[arg-type]
    assert answer.model == "bert"


TOO_LONG = "hello " * 65
NO_EMBEDDINGS: list[Refusal] = [
    ("empty text", {"input": ""}, openai.BadRequestError, "invalid_request", "input"),
    ("empty text in a list", {"input": ["hello", ""]}, openai.BadRequestError, "invalid_request", "input[1]"),
    ("no texts", {"input": []}, openai.BadRequestError, "invalid_request", "input"),
    ("no tokens", {"input": [[]]}, openai.BadRequestError, "invalid_request", "input[0]"),
    ("too many texts", {"input": ["hello"] * 2049}, openai.BadRequestError, "invalid_request", "input"),
    ("unknown token", {"input": [9999]}, openai.BadRequestError, "invalid_request", "input"),
    ("too long", {"input": ["hello", TOO_LONG]}, openai.BadRequestError, "context_length_exceeded", "input[1]"),
    ("too many values", {"dimensions": 65}, openai.BadRequestError, "invalid_request", "dimensions"),
    ("encoding", {"encoding_format": "hex"}, openai.BadRequestError, "invalid_request", "encoding_format"),
    ("unknown field", {"extra_body": {"foo": 1}}, openai.BadRequestError, "invalid_request", "foo"),
    ("unknown model", {"model": "none"}, openai.NotFoundError, "unknown_model", "model"),
    ("chat model", {"model": "pilot"}, openai.BadRequestError, "wrong_model_kind", "model"),
]


@pytest.mark.parametrize("row", NO_EMBEDDINGS, ids=[row[0] for row in NO_EMBEDDINGS])
def test_refused_embeddings(embedder: openai.OpenAI, row: Refusal) -> None:
    _, fields, kind, code, param = row
    with pytest.raises(kind) as caught:
        embedder.embeddings.create(**{"model": "bert", "input": "hello", **fields})
    assert (caught.value.code, caught.value.param) == (code, param)
    assert isinstance(caught.value.body, dict) and caught.value.body["next_step"]


def test_a_text_that_is_too_long_is_cut_only_if_the_request_says_so(embedder: openai.OpenAI) -> None:
    answer = embedder.embeddings.create(model="bert", input=TOO_LONG, extra_body={"truncate": True})
    assert answer.usage.prompt_tokens == 64
    whole = embedder.embeddings.create(model="bert", input="hello " * 62)
    assert near(answer.data[0].embedding, whole.data[0].embedding)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_embedding_model_does_not_chat(embedder: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(embedder, model="bert", stream=stream)
    assert (caught.value.code, caught.value.param) == ("wrong_model_kind", "model")
    with pytest.raises(openai.BadRequestError) as also:
        embedder.completions.create(model="bert", prompt="hello", stream=stream)
    assert also.value.code == "wrong_model_kind"


# ---------------------------------------------------------------------------------------------------- many at once


def test_eight_streams_at_once(daemon: RunningDaemon) -> None:
    async def one(client: openai.AsyncOpenAI, number: int) -> tuple[str, int]:
        stream = await client.chat.completions.create(
            model="pilot",
            messages=HELLO,
            stream=True,
            max_tokens=40,
            seed=number,
            extra_body={"ignore_eos": True},
            stream_options={"include_usage": True},
        )
        reason, tokens = "", 0
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].finish_reason:
                reason = chunk.choices[0].finish_reason
            if chunk.usage:
                tokens = chunk.usage.completion_tokens
        return reason, tokens

    async def all_of_them() -> list[tuple[str, int]]:
        async with openai.AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key=daemon.key, max_retries=0) as client:
            return await asyncio.wait_for(asyncio.gather(*(one(client, number) for number in range(8))), 60)

    assert asyncio.run(all_of_them()) == [("length", 40)] * 8
