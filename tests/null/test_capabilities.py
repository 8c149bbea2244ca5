"""The table of what each kind of engine honours.

Promises: every field of a request that some engine may not honour is known to the table; a kind without a feature refuses it by
the name of the parameter.
Does not cover: whether engines do what their row says (`tests/contract/test_engine.py`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from homefire.engines.capabilities import FEATURES, HONOURS, Request, missing, needs, require
from homefire.errors import UnsupportedParameter
from homefire.messages import ChatRequest, CompletionRequest, EmbeddingRequest, Form, Message, Sampling, Tool

ASKED = (Message("user", "hello"),)
TOOLS = (Tool("look"),)
# What asks for each feature, and the parameter that the refusal names.
ASKS: dict[str, tuple[Request, str]] = {
    "tools": (ChatRequest("m", ASKED, tools=TOOLS), "tools"),
    "forced_tool": (ChatRequest("m", ASKED, tools=TOOLS, tool_choice="required"), "tool_choice"),
    "named_tool": (ChatRequest("m", ASKED, tools=TOOLS, tool_choice="function:look"), "tool_choice"),
    "one_call": (ChatRequest("m", ASKED, tools=TOOLS, parallel_tool_calls=False), "parallel_tool_calls"),
    "json_object": (ChatRequest("m", ASKED, form=Form("json_object")), "response_format"),
    "json_schema": (ChatRequest("m", ASKED, form=Form("json_schema", {})), "response_format"),
    "think": (ChatRequest("m", ASKED, think=False), "think"),
    "logprobs": (ChatRequest("m", ASKED, logprobs=0), "logprobs"),
    "echo": (CompletionRequest("m", "x", echo=True), "echo"),
    "completions": (CompletionRequest("m", "x"), "prompt"),
    "adapters": (ChatRequest("m", ASKED, adapters=(("a" * 64, 1.0),)), "adapters"),
    "seed": (ChatRequest("m", ASKED, Sampling(seed=0)), "seed"),
    "logit_bias": (ChatRequest("m", ASKED, Sampling(logit_bias=((1, 2.0),))), "logit_bias"),
    "penalties": (ChatRequest("m", ASKED, Sampling(presence_penalty=0.0)), "presence_penalty"),
    "top_k": (ChatRequest("m", ASKED, Sampling(top_k=0)), "top_k"),
    "min_p": (ChatRequest("m", ASKED, Sampling(min_p=0.0)), "min_p"),
    "repeat_penalty": (ChatRequest("m", ASKED, Sampling(repeat_penalty=1.0)), "repeat_penalty"),
    "ignore_eos": (ChatRequest("m", ASKED, Sampling(ignore_eos=True)), "ignore_eos"),
    "embeddings": (EmbeddingRequest("m", ("x",)), "model"),
    "token_inputs": (EmbeddingRequest("m", ((1, 2),)), "input"),
    "dimensions": (EmbeddingRequest("m", ("x",), dimensions=3), "dimensions"),
    "truncate": (EmbeddingRequest("m", ("x",), truncate=True), "truncate"),
}
# What every engine honours, or what does not change the answer's tokens.
ALL_HONOUR = {
    "temperature", "top_p", "max_tokens", "stop", "model", "messages", "sampling", "stream", "include_usage", "inputs", "packed",
    "prompt", "keep_alive", "cache_key",
}  # fmt: skip


@pytest.mark.parametrize("feature", ASKS)
def test_a_request_that_needs_it_is_refused_by_its_name(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    request, param = ASKS[feature]
    assert (feature, param) in list(needs(request))
    monkeypatch.setitem(HONOURS, "lame", FEATURES - {feature})
    assert list(missing("lame", request)) == [(feature, param)]
    with pytest.raises(UnsupportedParameter, match=f"'lame'.*'{param}'") as caught:
        require("far/m", "lame", request)
    assert caught.value.param == param and param in caught.value.next_step
    require("far/m", "llamacpp", request)


def test_what_can_be_counted_or_ranked_is_asked_for_elsewhere() -> None:
    assert set(ASKS) == FEATURES - {"count_tokens", "rerank"}
    assert all(row <= FEATURES for row in HONOURS.values())


def test_a_plain_request_needs_nothing() -> None:
    assert list(needs(ChatRequest("m", ASKED, Sampling(0.5, 0.9, max_tokens=5, stop=("x",)), stream=True))) == []


def test_no_field_is_forgotten() -> None:
    """A field that is added to a request has to be given to an engine by everybody, or be in the table."""
    told: set[str] = {param for _, param in ASKS.values()} | {"frequency_penalty", "form", "truncate"}
    fields: list[Any] = [ChatRequest, CompletionRequest, EmbeddingRequest, Sampling]
    for kind in fields:
        for field in dataclasses.fields(kind):
            assert field.name in told | ALL_HONOUR, f"{kind.__name__}.{field.name}"


@pytest.mark.parametrize(
    ("kind", "feature"),
    [
        ("openai", "top_k"),
        ("openai", "logprobs"),
        ("openai", "truncate"),
        ("llama-server", "named_tool"),
        ("ollama", "forced_tool"),
        ("ollama", "token_inputs"),
        ("ollama", "logit_bias"),
    ],
)
def test_what_is_known_to_be_passed_over_in_silence(kind: str, feature: str) -> None:
    assert list(missing(kind, ASKS[feature][0])) == [(feature, ASKS[feature][1])]
