"""Ollama's wire form: chat, generate, embed, pull and the listings; requests read strictly, answers as lines of JSON.

Source: docs/api.md of Ollama 0.33. Options that tune Ollama's own loading (`WITHOUT_EFFECT`) are accepted without effect; options
that would change the answer and cannot be honoured are refused, but for the values that Ollama takes by default. Two rules are
ours: nothing is cut in silence (`truncate` is false unless it is sent), and a `num_ctx` above the model's window is an error.
Promises: `read_*` gives a value or raises InvalidJson, InvalidRequest or UnsupportedParameter that names the field; a stream ends
with one line that has `done`, or with one that has `error`.
Does not cover: whether the model exists, reasons or has that window; images; making models.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from homefire.dialects.duration import KeepAlive, seconds
from homefire.dialects.gathered import Gathered, arguments_of, gather
from homefire.dialects.strict import Closed, check_depth, decode
from homefire.errors import HomefireError, InvalidRequest, UnsupportedParameter
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    Event,
    Form,
    Message,
    ReasoningDelta,
    Role,
    Sampling,
    TextDelta,
    Tool,
    ToolCall,
)

# The version whose interface this is; clients ask for it before they use what is newer.
API_VERSION = "0.33.0"
MAX_INPUTS = 2048
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Share = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]


class Options(Closed, kw_only=True):
    num_predict: Annotated[int, Meta(ge=-2, le=10_000_000)] | None = None
    num_ctx: Annotated[int, Meta(ge=0, le=100_000_000)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    top_p: Share | None = None
    min_p: Share | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=16)] | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    tfs_z: float | None = None
    typical_p: float | None = None
    repeat_last_n: int | None = None
    num_keep: int | None = None
    penalize_newline: bool | None = None
    numa: bool | None = None
    num_batch: int | None = None
    num_gpu: int | None = None
    main_gpu: int | None = None
    low_vram: bool | None = None
    f16_kv: bool | None = None
    logits_all: bool | None = None
    vocab_only: bool | None = None
    use_mmap: bool | None = None
    use_mlock: bool | None = None
    embedding_only: bool | None = None
    num_thread: int | None = None


WITHOUT_EFFECT = frozenset(
    {"num_keep", "penalize_newline", "mirostat_tau", "mirostat_eta", "numa", "num_batch", "num_gpu", "main_gpu", "low_vram",
     "f16_kv", "logits_all", "vocab_only", "use_mmap", "use_mlock", "embedding_only", "num_thread"}
)  # fmt: skip
# What changes the answer and cannot be had, with the values that change nothing.
_USUAL = {"mirostat": (0,), "tfs_z": (1.0,), "typical_p": (1.0,), "repeat_last_n": (64,)}


class CalledFunction(Closed, kw_only=True):
    name: Name
    arguments: dict[str, Any] | None = None
    index: int | None = None
    description: str | None = None


class OllamaCall(Closed, kw_only=True):
    function: CalledFunction
    id: str | None = None
    type: str | None = None


class OllamaMessage(Closed, kw_only=True):
    role: Role
    content: str | None = None
    thinking: str | None = None
    images: list[Any] | None = None
    tool_calls: list[OllamaCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OllamaFunction(Closed, kw_only=True):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class OllamaTool(Closed, kw_only=True):
    function: OllamaFunction
    type: Literal["function"] | None = None
    items: Any = None


class _Asking(Closed, kw_only=True):
    model: Name
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    options: Options | None = None
    keep_alive: KeepAlive = None
    think: bool | Literal["low", "medium", "high", "max"] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    truncate: bool | None = None
    shift: bool | None = None


class OllamaChatBody(_Asking, kw_only=True):
    messages: Annotated[list[OllamaMessage], Meta(max_length=100_000)] | None = None
    tools: Annotated[list[OllamaTool], Meta(max_length=1024)] | None = None


class OllamaGenerateBody(_Asking, kw_only=True):
    prompt: str | None = None
    system: str | None = None
    raw: bool | None = None
    suffix: str | None = None
    template: str | None = None
    context: list[int] | None = None
    images: list[Any] | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None


class OllamaEmbedBody(Closed, kw_only=True):
    model: Name
    input: str | list[str] | None = None
    prompt: str | None = None
    truncate: bool | None = None
    dimensions: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    options: Options | None = None
    keep_alive: KeepAlive = None


class OllamaNamed(Closed, kw_only=True):
    """Names a model: `name` is the older word."""

    model: str | None = None
    name: str | None = None
    verbose: bool | None = None
    stream: bool | None = None
    insecure: bool | None = None


_chat = msgspec.json.Decoder(OllamaChatBody)
_generate = msgspec.json.Decoder(OllamaGenerateBody)
_embed = msgspec.json.Decoder(OllamaEmbedBody)
_named = msgspec.json.Decoder(OllamaNamed)
_encode = msgspec.json.Encoder(enc_hook=str).encode


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was asked. `request` is None where only the model is to be loaded (or to leave: `keep_alive` 0); `window`
    is the context window wanted, 0 for none; `keep_alive` in seconds or None; `shows`: the model's reasoning is wanted."""

    model: str
    request: ChatRequest | CompletionRequest | None
    stream: bool
    chat: bool
    window: int = 0
    keep_alive: float | None = None
    shows: bool = False


@dataclass(frozen=True, slots=True)
class Times:
    """When an answer was asked for, when the model was there, when the first event came; nanoseconds of one clock."""

    asked: int
    opened: int
    first: int


def read_chat(body: bytes) -> Asked:
    """A request of `POST /api/chat`."""
    found = decode(_chat, body)
    tools = tuple(_tool(tool, f"tools[{at}]") for at, tool in enumerate(found.tools or ()))
    sampling = _sampling(found)
    request = None
    if found.messages:
        request = ChatRequest(
            model=found.model,
            messages=tuple(_messages(found.messages)),
            sampling=sampling,
            tools=tools,
            form=_form(found.format),
            stream=found.stream is not False,
            include_usage=found.stream is not False,
            think=_think(found.think),
        )
    return _asked(found, request, True)


def read_generate(body: bytes) -> Asked:
    """A request of `POST /api/generate`."""
    found = decode(_generate, body)
    for name in ("suffix", "template", "context", "images", "width", "height", "steps"):
        if getattr(found, name):
            raise UnsupportedParameter(f"'{name}' is not supported here.", f"Leave '{name}' out.", param=name)
    sampling, stream = _sampling(found), found.stream is not False
    request: ChatRequest | CompletionRequest | None = None
    if found.prompt and found.raw:
        if found.system or found.format:
            raise InvalidRequest("'raw' takes neither 'system' nor 'format'.", param="raw")
        request = CompletionRequest(found.model, found.prompt, sampling, stream=stream, include_usage=stream)
    elif found.prompt:
        system = [Message("system", found.system)] if found.system else []
        request = ChatRequest(
            model=found.model,
            messages=(*system, Message("user", found.prompt)),
            sampling=sampling,
            form=_form(found.format),
            stream=stream,
            include_usage=stream,
            think=_think(found.think),
        )
    return _asked(found, request, False)


def _asked(found: _Asking, request: ChatRequest | CompletionRequest | None, chat: bool) -> Asked:
    if found.logprobs:
        raise UnsupportedParameter(
            "'logprobs' is not supported here.", "Use /v1/chat/completions for log probabilities.", param="logprobs"
        )
    window = (found.options and found.options.num_ctx) or 0
    return Asked(
        found.model,
        request,
        found.stream is not False,
        chat,
        window,
        seconds(found.keep_alive),
        bool(_think(found.think)),
    )


def _think(found: bool | str | None) -> bool | None:
    return found if found is None or isinstance(found, bool) else True


def _sampling(found: _Asking) -> Sampling:
    options = found.options or Options()
    for name, usual in _USUAL.items():
        if getattr(options, name) not in (None, *usual):
            raise UnsupportedParameter(
                f"The option '{name}' is not supported here.", f"Leave '{name}' out.", param=f"options.{name}"
            )
    if options.num_predict == 0:
        raise InvalidRequest("'num_predict' is 0: nothing would be said.", param="options.num_predict")
    stop = (options.stop,) if isinstance(options.stop, str) else tuple(options.stop or ())
    return Sampling(
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        min_p=options.min_p,
        seed=options.seed,
        # -1 and -2 mean: as long as it takes.
        max_tokens=options.num_predict if (options.num_predict or -1) > 0 else None,
        stop=tuple(text for text in stop if text),
        frequency_penalty=options.frequency_penalty,
        presence_penalty=options.presence_penalty,
        repeat_penalty=options.repeat_penalty,
    )


def _form(found: str | dict[str, Any] | None) -> Form:
    if not found:
        return Form()
    if isinstance(found, str):
        if found != "json":
            raise InvalidRequest("'format' must be \"json\" or a JSON schema.", param="format")
        return Form("json_object")
    check_depth(found, "format")
    return Form("json_schema", found)


def _tool(found: OllamaTool, where: str) -> Tool:
    parameters = found.function.parameters or {"type": "object", "properties": {}}
    check_depth(parameters, f"{where}.function.parameters")
    return Tool(found.function.name, found.function.description or "", parameters)


def _messages(found: Sequence[OllamaMessage]) -> list[Message]:
    """Ollama's calls have no ids as a rule: results belong to the calls before them, by name, else in their order."""
    turns: list[Message] = []
    waiting: list[ToolCall] = []
    for at, message in enumerate(found):
        where = f"messages[{at}]"
        if message.images:
            raise UnsupportedParameter("Images are not supported here.", "Send text.", param=f"{where}.images")
        if message.tool_calls and message.role != "assistant":
            raise InvalidRequest("Only a message of the assistant has 'tool_calls'.", param=f"{where}.tool_calls")
        if message.role == "tool":
            turns.append(Message("tool", message.content or "", tool_call_id=_answered(message, waiting, where)))
            continue
        calls = tuple(
            ToolCall(
                call.id or f"call_{at}_{number}", call.function.name, _encode(call.function.arguments or {}).decode()
            )
            for number, call in enumerate(message.tool_calls or ())
        )
        waiting.extend(calls)
        turns.append(Message(message.role, None if calls and not message.content else message.content or "", calls))
    return turns


def _answered(message: OllamaMessage, waiting: list[ToolCall], where: str) -> str:
    if message.tool_call_id:
        return message.tool_call_id
    call = next((call for call in waiting if message.tool_name in (None, call.name)), None)
    if call is None:
        raise InvalidRequest("A message of a tool answers no call before it.", param=f"{where}.tool_name")
    waiting.remove(call)
    return call.id


def read_embed(body: bytes) -> tuple[EmbeddingRequest, float | None]:
    """A request of `POST /api/embed` or `/api/embeddings`, and how long the model is to be kept."""
    found = decode(_embed, body)
    given = found.prompt if found.input is None else found.input
    inputs = [given] if isinstance(given, str) else list(given or ())
    if not inputs or not all(inputs):
        raise InvalidRequest("There is no text to embed, or one is empty.", param="input")
    if len(inputs) > MAX_INPUTS:
        raise InvalidRequest(
            f"'input' holds {len(inputs):,} texts; one request takes {MAX_INPUTS:,}.",
            "Send several requests.",
            param="input",
        )
    request = EmbeddingRequest(found.model, tuple(inputs), found.dimensions, bool(found.truncate))
    return request, seconds(found.keep_alive)


def read_named(body: bytes) -> OllamaNamed:
    """A request that names a model. Raises InvalidRequest if it names none."""
    found = decode(_named, body)
    if not (found.model or found.name):
        raise InvalidRequest("The request names no model.", param="model")
    return found


def envelope(problem: HomefireError) -> dict[str, Any]:
    """An error in Ollama's form: one text, which tells the next step too; our code stands beside it."""
    return {"error": f"{problem.message} {problem.next_step}".strip(), "code": problem.code}


def line(value: Any) -> bytes:
    """One line of a stream."""
    return _encode(value) + b"\n"


# ------------------------------------------------------------------------------------------------------------ answers


def render_answer(asked: Asked, events: Iterable[Event], times: Times, clock: Callable[[], int]) -> bytes:
    """A whole answer."""
    found = gather(events)
    return _encode({**_piece(asked, _said(asked, found)), **_end(found, times, clock())})


def render_loaded(asked: Asked, loaded: bool) -> bytes:
    """The answer to a request that had nothing to say: the model was loaded, or left."""
    return line({**_piece(asked, {}), "done": True, "done_reason": "load" if loaded else "unload"})


class AnswerStream:
    """Renders events as lines. Calls come whole, as Ollama's clients expect them, and in their order."""

    def __init__(self, asked: Asked, times: Times, clock: Callable[[], int]) -> None:
        self._asked = asked
        self._times = times
        self._clock = clock
        self._kept: list[Event] = []

    def begin(self) -> bytes:
        """Nothing: each line stands alone."""
        return b""

    def event(self, event: Event) -> bytes:
        """A line for a piece of text; all else is kept for the end."""
        match event:
            case TextDelta(text):
                return line({**_piece(self._asked, {"text": text}), "done": False})
            case ReasoningDelta(text):
                if self._asked.shows:
                    return line({**_piece(self._asked, {"thinking": text}), "done": False})
            case _:
                self._kept.append(event)
        return b""

    def end(self) -> bytes:
        """The calls, and the line that is the last."""
        found = gather(self._kept)
        said = _said(self._asked, found)
        calls = line({**_piece(self._asked, said), "done": False}) if said.get("calls") else b""
        return calls + line({**_piece(self._asked, {}), **_end(found, self._times, self._clock())})

    def failed(self, problem: HomefireError) -> bytes:
        """An error in a stream that has begun."""
        return line(envelope(problem))


def _said(asked: Asked, found: Gathered) -> dict[str, Any]:
    said: dict[str, Any] = {"text": found.text}
    if found.reasoning and asked.shows:
        said["thinking"] = found.reasoning
    calls = [(call, arguments_of(call.arguments)) for call in found.calls]
    # One that was cut short has no arguments that an object could hold; "length" says that something is missing.
    shown = [
        {"id": call.id, "function": {"index": index, "name": call.name, "arguments": arguments}}
        for index, (call, arguments) in enumerate(calls)
        if arguments is not None
    ]
    if shown:
        said["calls"] = shown
    return said


def _piece(asked: Asked, said: dict[str, Any]) -> dict[str, Any]:
    head = {"model": asked.model, "created_at": _stamp(None)}
    text, thinking = said.get("text", ""), {"thinking": said["thinking"]} if "thinking" in said else {}
    if not asked.chat:
        return {**head, "response": text, **thinking}
    calls = {"tool_calls": said["calls"]} if "calls" in said else {}
    return {**head, "message": {"role": "assistant", "content": text, **thinking, **calls}}


def _end(found: Gathered, times: Times, now: int) -> dict[str, Any]:
    usage = found.usage
    wrote = int(usage.completion_tokens / found.rate * 1e9) if found.rate else now - times.first
    return {
        "done": True,
        "done_reason": "length" if found.reason == "length" else "stop",
        "total_duration": now - times.asked,
        "load_duration": times.opened - times.asked,
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": times.first - times.opened,
        "eval_count": usage.completion_tokens,
        "eval_duration": wrote,
    }


def _stamp(at: float | None) -> str:
    when = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    return when.isoformat().replace("+00:00", "Z")


def render_embed(request: EmbeddingRequest, found: Embeddings, taken: int, old: bool) -> bytes:
    """The vectors; `old`: of the one text of `/api/embeddings`."""
    rows = [struct.unpack(f"<{len(vector) // 4}f", vector) for vector in found.vectors]
    if old:
        return _encode({"embedding": rows[0]})
    return _encode(
        {
            "model": request.model,
            "embeddings": rows,
            "total_duration": taken,
            "load_duration": 0,
            "prompt_eval_count": found.tokens,
        }
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A model as Ollama's listings show it."""

    name: str
    size: int
    digest: str
    changed: float
    family: str
    parameters: int
    quantization: str
    context: int


def tag(shown: Shown) -> dict[str, Any]:
    """A row of `/api/tags`."""
    return {
        "name": shown.name,
        "model": shown.name,
        "modified_at": _stamp(shown.changed),
        "size": shown.size,
        "digest": shown.digest,
        "details": details(shown),
    }


def running(shown: Shown, leaves_at: float | None, taken: int, on_gpu: int) -> dict[str, Any]:
    """A row of `/api/ps`. `leaves_at` in seconds since 1970, None if it is in use or stays; `taken` of memory in bytes, of which
    `on_gpu` are on GPUs."""
    row = tag(shown)
    del row["modified_at"]
    expires = None if leaves_at is None else _stamp(leaves_at)
    return {
        **row,
        "size": taken or shown.size,
        "size_vram": on_gpu,
        "expires_at": expires,
        "context_length": shown.context,
    }


def details(shown: Shown) -> dict[str, Any]:
    """What Ollama tells of each model."""
    return {
        "parent_model": "",
        "format": "gguf",
        "family": shown.family,
        "families": [shown.family],
        "parameter_size": _size(shown.parameters),
        "quantization_level": shown.quantization,
    }


def _size(parameters: int) -> str:
    for unit, amount in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= amount:
            return f"{parameters / amount:.1f}{unit}"
    return str(parameters)


def render_show(shown: Shown, keys: dict[str, Any], kind: str) -> bytes:
    """The answer of `/api/show` from the keys of the model's header."""
    template = str(keys.get("tokenizer.chat_template") or "")
    capabilities = ["embedding"] if kind == "embedding" else ["completion"] if kind == "chat" else []
    if kind == "chat" and "tools" in template:
        capabilities.append("tools")
    if kind == "chat" and thinks(template):
        capabilities.append("thinking")
    plain = {name: value for name, value in keys.items() if isinstance(value, str | int | float | bool)}
    return _encode(
        {
            "modelfile": f"FROM {shown.name}\n",
            "parameters": "",
            "template": template,
            "license": str(keys.get("general.license") or ""),
            "details": details(shown),
            "model_info": plain,
            "capabilities": capabilities,
            "modified_at": _stamp(shown.changed),
        }
    )


def thinks(template: str) -> bool:
    """Whether a chat template is that of a model that reasons before it answers."""
    return any(
        mark in template for mark in ("enable_thinking", "<think>", "reasoning_content", "[THINK]", "<|channel|>")
    )


def pulled(status: str, digest: str = "", total: int | None = None, completed: int | None = None) -> bytes:
    """A line of `/api/pull`."""
    row: dict[str, Any] = {"status": status}
    if digest:
        row["digest"] = digest
    if total is not None:
        row |= {"total": total, "completed": completed or 0}
    return line(row)
