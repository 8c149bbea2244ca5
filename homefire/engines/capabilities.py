"""What each kind of engine honours: a table of facts, and what a request needs of it.

A feature that an engine's interface has no field for cannot be honoured, and passing it over in silence would change what the
caller gets. So a request that needs it is refused with `unsupported_parameter`, or goes to the next engine of its chain.
Promises: `missing` is a pure function of the request and the kind's row; a new kind is a new row.
Does not cover: what a single model can do (a model without a template for tools, say): its engine answers with an error.
"""

from __future__ import annotations

from collections.abc import Iterator

from homefire.errors import UnsupportedParameter
from homefire.messages import ChatRequest, CompletionRequest, EmbeddingRequest, Sampling

Request = ChatRequest | CompletionRequest | EmbeddingRequest

# What an interface may have, in the words of this table.
CHAT = frozenset({"tools", "forced_tool", "named_tool", "one_call", "json_object", "json_schema", "think"})
TEXT = frozenset({"logprobs", "echo"})
DRAWING = frozenset({"seed", "logit_bias", "penalties", "top_k", "min_p", "repeat_penalty", "ignore_eos"})
VECTORS = frozenset({"embeddings", "token_inputs", "dimensions", "truncate"})
FEATURES = CHAT | TEXT | DRAWING | VECTORS | {"completions", "count_tokens", "rerank", "adapters"}

HONOURS: dict[str, frozenset[str]] = {
    "llamacpp": FEATURES,
    "null": FEATURES - TEXT - DRAWING - {"json_object", "json_schema", "rerank"},
    # OpenAI's own fields and no others: a server may refuse or overlook what is not in that interface.
    "openai": (CHAT | VECTORS | {"completions", "echo", "seed", "logit_bias", "penalties"}) - {"truncate", "think"},
    # vLLM's additions to it.
    "vllm": (CHAT | DRAWING | VECTORS | {"completions", "echo"}) - {"truncate"},
    # llama.cpp's server takes the name of a tool in tool_choice and then calls none.
    "llama-server": (CHAT | DRAWING | VECTORS | {"completions", "echo"}) - {"named_tool", "truncate"},
    # Ollama's own interface has no tool_choice; Ollama reads text only.
    "ollama": (CHAT | DRAWING | VECTORS | {"completions"})
    - {"forced_tool", "named_tool", "one_call", "logit_bias", "ignore_eos", "token_inputs"},
}


def missing(kind: str, request: Request) -> Iterator[tuple[str, str]]:
    """What `request` needs and an engine of this kind has not: the feature, and the parameter that asks for it."""
    for feature, param in needs(request):
        if feature not in HONOURS[kind]:
            yield feature, param


def require(name: str, kind: str, request: Request) -> None:
    """Raises UnsupportedParameter, which names the first parameter that the engine `name` cannot honour."""
    for _, param in missing(kind, request):
        raise UnsupportedParameter(
            f"'{name}' is an engine of the kind '{kind}', which cannot honour '{param}'.",
            f"Leave '{param}' out, or name a model that runs here.",
            param=param,
        )


def needs(request: Request) -> Iterator[tuple[str, str]]:
    """The features that a request needs, each with the parameter that asks for it."""
    if isinstance(request, EmbeddingRequest):
        yield "embeddings", "model"
        if request.truncate:
            yield "truncate", "truncate"
        if request.dimensions is not None:
            yield "dimensions", "dimensions"
        if any(not isinstance(each, str) for each in request.inputs):
            yield "token_inputs", "input"
        return
    yield from _drawing(request.sampling)
    if request.adapters:  # where an engine elsewhere has adapters, they have names as models have
        yield "adapters", "adapters"
    if request.logprobs is not None:
        yield "logprobs", "logprobs"
    if isinstance(request, CompletionRequest):
        yield "completions", "prompt"
        if request.echo:
            yield "echo", "echo"
        return
    if request.tools:
        yield "tools", "tools"
        if request.tool_choice not in ("auto", "none"):
            yield "forced_tool" if request.tool_choice == "required" else "named_tool", "tool_choice"
        if not request.parallel_tool_calls:
            yield "one_call", "parallel_tool_calls"
    if request.think is not None:
        yield "think", "think"
    if request.form.kind != "text":
        yield request.form.kind, "response_format"


def _drawing(sampling: Sampling) -> Iterator[tuple[str, str]]:
    for name in ("seed", "top_k", "min_p", "repeat_penalty"):
        if getattr(sampling, name) is not None:
            yield name, name
    for name in ("frequency_penalty", "presence_penalty"):
        if getattr(sampling, name) is not None:
            yield "penalties", name
    if sampling.logit_bias:
        yield "logit_bias", "logit_bias"
    if sampling.ignore_eos:
        yield "ignore_eos", "ignore_eos"
