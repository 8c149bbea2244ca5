"""The trial of a native build against the wheel: what it must be able to do, whether it says the same, whether it is faster.

    checks       the parts of the engine's contract that make sense on a user's machine, on the pilot
    agreement    the greedy next token after each word of fixed texts, with both engines, in shares of 1
    rates        tokens a second of writing (decode) and of reading a prompt (prefill), the engines in turn, medians

Promises: `verdict` is pure; texts and seeds are fixed, so that a trial can be repeated; both engines run at once for the rates,
so that what else the machine does hits both alike; every engine that was started is stopped, whatever happens.
Does not cover: which models are tried and whether there is memory for it (`residency/builder.py`), what follows; the whole
contract (`tests/contract/test_engine.py`).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from homefire.dialects import saved_slots
from homefire.engines.engine import Answer, Counts, Engine, EngineSpec
from homefire.engines.llamacpp import child_arguments, child_module
from homefire.engines.wire import ConnectionLost, Wire
from homefire.errors import HomefireError
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    Event,
    Finish,
    Form,
    Message,
    Sampling,
    TextDelta,
    Tool,
    ToolCallDelta,
    UsageReport,
)
from homefire.supervision.child import Child, ChildSpec

LEAST_AGREEMENT = 0.99
# What counts as faster: neither figure is lost (but for noise), one is gained.
NO_LOSS, GAIN = 0.97, 1.03
ROUNDS = 5
PROMPT_WORDS, ANSWER_TOKENS = 120, 96
LEAST_COSINE = 0.999
SEEDS = 20
FREE_SECONDS = 20.0
SWITCH = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}
LONG = " ".join(f"word{number}" for number in range(200))
TEXTS = (
    "The lighthouse keeper wrote the weather into his book every evening, even on days when nothing happened but wind.",
    "If you want to plant an apple tree, dig a hole that is twice as wide as its roots, and water it well in the first year.",
    "def largest(values):\n    best = values[0]\n    for value in values[1:]:\n        if value > best:\n"
    "            best = value\n    return best\n",
    "Light needs about eight minutes from the sun to the earth, so we see the sun as it was eight minutes ago.",
    "Dear Mr Lindqvist, we have received your order of 4 May and will send the parts on Thursday by rail.",
    "Der Bäcker macht um vier Uhr das Licht an, und um sechs riecht die ganze Straße nach frischem Brot.",
    "A stack gives back first what was put on it last; a queue gives back first what was put into it first.",
    "There were three boats in the harbour that night, and only one of them had a lamp at its mast.",
    "Question: How many legs do two spiders have together? Answer: A spider has eight legs, so two have sixteen.",
    "The council voted on the new bridge in March, but the work did not begin before the river had fallen.",
    '{"name": "pump", "state": "on", "pressure": 2.4, "checked": "2026-03-01", "next": null}',
    "To restart the service, stop it first, wait until its port is free, and then start it again.",
)

Make = Callable[[bool], Engine]
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the build must be able to do."""

    name: str
    ok: bool
    said: str = ""


@dataclass(frozen=True, slots=True)
class Rates:
    """Medians, tokens a second, of the wheel and of the native build; and the median of the ratios of each round, in which both
    were asked right after each other: what else the machine does changes from round to round."""

    decode_wheel: float
    decode_native: float
    prefill_wheel: float
    prefill_native: float
    decode_ratio: float
    prefill_ratio: float

    @classmethod
    def of(cls, decode: Sequence[tuple[float, float]], prefill: Sequence[tuple[float, float]]) -> Rates:
        """From the rounds' pairs (wheel, native)."""
        sides = [statistics.median(pair[side] for pair in kind) for kind in (decode, prefill) for side in (0, 1)]
        ratios = [statistics.median(native / wheel for wheel, native in kind) for kind in (decode, prefill)]
        return cls(sides[0], sides[1], sides[2], sides[3], ratios[0], ratios[1])


@dataclass(frozen=True, slots=True)
class Verdict:
    """`sound`: every check passed; `agrees` and `faster` as the module's text says; `why` a sentence for people."""

    sound: bool
    agrees: bool
    faster: bool
    why: str

    def accepted(self, force: bool) -> bool:
        """Whether the build may be used. `force` forgives that it is not faster, and nothing else."""
        return self.sound and self.agrees and (self.faster or force)


@dataclass(slots=True)
class Findings:
    """What a trial has found so far; by model `same` (shares of 1) and how many `places` were compared; the
    rates of the last."""

    checks: list[Check] = field(default_factory=list)
    same: dict[str, float] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    model: str = ""
    rates: Rates | None = None

    def verdict(self) -> Verdict:
        """Pure."""
        failed = [check for check in self.checks if not check.ok]
        apart = [f"{name} ({100 * share:.1f} %)" for name, share in self.same.items() if share < LEAST_AGREEMENT]
        agrees, rates = bool(self.same) and not apart, self.rates
        ratios = (rates.decode_ratio, rates.prefill_ratio) if rates is not None else (0.0, 0.0)
        faster = min(ratios) >= NO_LOSS and max(ratios) >= GAIN
        speed = f"{ratios[0]:.2f} times the wheel's writing and {ratios[1]:.2f} times its reading with '{self.model}'"
        if failed:
            why = f"It failed: {', '.join(f'{check.name} ({check.said})' for check in failed)}."
        elif not agrees:
            why = (
                f"It chooses other tokens than the wheel: the same in {', '.join(apart) or 'no place'}; 99 % is needed."
            )
        else:
            why = f"It agrees and reaches {speed}{'' if faster else ': that is not faster'}."
        return Verdict(not failed and bool(self.checks), agrees, faster, why)

    def report(self, build: str) -> dict[str, Any]:
        """As it is kept and shown."""
        found, rates = self.verdict(), self.rates
        return {
            "build": build,
            "at": time.time(),
            "checks": [{"name": each.name, "ok": each.ok, "said": each.said} for each in self.checks],
            "agreement": {name: {"same": share, "places": self.places[name]} for name, share in self.same.items()},
            "rates": None if rates is None else rates_row(self.model, rates),
            "sound": found.sound,
            "agrees": found.agrees,
            "faster": found.faster,
            "why": found.why,
        }


def rates_row(model: str, rates: Rates) -> dict[str, Any]:
    """Rates as they are shown."""
    return {
        "model": model,
        "decode": {"wheel": rates.decode_wheel, "native": rates.decode_native, "ratio": rates.decode_ratio},
        "prefill": {"wheel": rates.prefill_wheel, "native": rates.prefill_native, "ratio": rates.prefill_ratio},
    }


# -- checks


async def check(make: Callable[[], Engine], tell: Tell) -> list[Check]:
    """Starts the native build with the pilot and tries it; "start" alone if it does not start."""
    engine = make()
    try:
        await engine.start()
    except HomefireError as problem:
        return [Check("start", False, problem.message)]
    found = [Check("start", True)]
    rows: tuple[tuple[str, Callable[[Engine], Awaitable[str]]], ...] = (
        ("socket", _socket), ("chat", _chat), ("stream", _stream), ("tools", _tools), ("schema", _schema),
        ("logprobs", _logprobs), ("template", _template), ("cancel", _cancel),
    )  # fmt: skip
    try:
        for name, one in rows:
            tell("checking", len(found), len(rows) + 2)
            try:
                async with asyncio.timeout(120):
                    said = await one(engine)
            except (HomefireError, ValueError, LookupError, TypeError) as problem:
                said = str(problem) or type(problem).__name__
            except TimeoutError:
                said = "nothing came for two minutes"
            found.append(Check(name, not said, said))
    finally:
        await engine.stop()
    return [*found, await check_slots(cast(EngineSpec, getattr(engine, "spec", None)))]


async def _events(answer: Answer) -> list[Event]:
    try:
        return [event async for event in answer.events()]
    finally:
        await answer.close()


async def _body(answer: Answer) -> Any:
    try:
        return json.loads(b"".join([piece async for piece in answer.pieces()]))
    finally:
        await answer.close()


def _ask(text: str = "one two three", tokens: int = 8, **more: Any) -> ChatRequest:
    return ChatRequest("pilot", (Message("user", text),), Sampling(max_tokens=tokens, temperature=0.0), **more)


async def _socket(engine: Engine) -> str:
    path = cast(EngineSpec, getattr(engine, "spec", None)).socket
    if path is None:
        return ""
    mode = (await asyncio.to_thread(path.stat)).st_mode & 0o077
    return "its socket is open to others" if mode else ""


async def _chat(engine: Engine) -> str:
    kinds = [type(event) for event in await _events(await engine.chat(_ask()))]
    return "" if kinds[-2:] == [Finish, UsageReport] and TextDelta in kinds else f"its answer was {kinds}"


async def _stream(engine: Engine) -> str:
    events = await _events(await engine.chat(_ask(stream=True, include_usage=True)))
    last = events[-1] if events else None
    whole = isinstance(last, UsageReport) and 0 < last.usage.completion_tokens <= 8 and last.usage.prompt_tokens > 0
    return "" if whole and Finish in map(type, events) else "its stream did not end with a reason and a count"


async def _tools(engine: Engine) -> str:
    tools = (Tool("turn_light", "Turns the light.", SWITCH), Tool("turn_heating", "Turns the heating.", SWITCH))
    for seed in range(SEEDS):
        sampling = Sampling(temperature=1.0, max_tokens=150, seed=seed)
        asked = (Message("user", "Turn the heating on."),)
        events = await _events(await engine.chat(ChatRequest("pilot", asked, sampling, tools, "turn_heating")))
        calls = [event for event in events if isinstance(event, ToolCallDelta)]
        if calls and Finish("tool_calls") in events:
            whole = isinstance(json.loads("".join(call.arguments for call in calls)), dict)
            return "" if whole and calls[0].name == "turn_heating" else "it called another tool"
    return f"it ended no call in {SEEDS} tries"


async def _schema(engine: Engine) -> str:
    for seed in range(SEEDS):
        sampling = Sampling(temperature=1.0, max_tokens=60, seed=seed)
        form = Form("json_schema", SWITCH)
        events = await _events(await engine.chat(ChatRequest("pilot", (Message("user", "on?"),), sampling, form=form)))
        if Finish("stop") in events:
            found = json.loads("".join(event.text for event in events if isinstance(event, TextDelta)))
            return "" if isinstance(found["on"], bool) else "it broke the schema"
    return f"it ended no JSON in {SEEDS} tries"


async def _logprobs(engine: Engine) -> str:
    body = await _body(await engine.chat(_ask(logprobs=2)))
    rows = body["choices"][0]["logprobs"]["content"]
    return "" if rows and all(len(row["top_logprobs"]) == 2 and row["logprob"] <= 0 for row in rows) else "none came"


async def _template(engine: Engine) -> str:
    request = _ask("how long is this?", tokens=2)
    counted = await cast(Counts, engine).count(request)
    used = (await _body(await engine.chat(request)))["usage"]["prompt_tokens"]
    return "" if counted == used else f"it counted {counted} tokens and read {used}"


async def _cancel(engine: Engine) -> str:
    """More long answers than slots are begun and left; a short one must still come soon."""
    for _ in range(2 * cast(EngineSpec, getattr(engine, "spec", None)).slots):
        answer = await engine.chat(_ask(LONG, 2000, stream=True))
        await anext(answer.events())
        await answer.close()
    began = time.monotonic()
    await _events(await engine.chat(_ask()))
    return "" if time.monotonic() - began < FREE_SECONDS else "slots that were left stayed taken"


async def check_slots(spec: EngineSpec) -> Check:
    """A slot is saved into a file and filled from it, in a child of its own that is given a folder for them."""
    with tempfile.TemporaryDirectory(prefix="homefire-trial-") as folder:
        given = json.dumps({**child_arguments(spec), "slot_save_path": folder})
        key = secrets.token_urlsafe(32) if spec.socket is None else ""
        argv = (sys.executable, "-m", child_module(spec), given)
        child = Child(
            ChildSpec("The trial of saved slots", argv, spec.log, {"HOMEFIRE_ENGINE_KEY": key} if key else {})
        )
        try:
            address = (await child.start())["address"]
            wire = Wire(address if isinstance(address, str) else tuple(address), key)
            counts = [await _count(wire, saved_slots.fill_path(), saved_slots.render_fill(LONG))]
            for path in (saved_slots.save_path(0), saved_slots.restore_path(0)):
                counts.append(await _count(wire, path, saved_slots.render("trial.bin")))
            wire.close()
        except (HomefireError, ConnectionLost) as problem:
            return Check("saved slots", False, str(problem))
        finally:
            await child.stop()
    ok = counts[1] == counts[2] > 0
    return Check("saved slots", ok, "" if ok else f"it saved {counts[1]} tokens and restored {counts[2]}")


async def _count(wire: Wire, path: str, body: bytes) -> int:
    return saved_slots.read_count(await (await wire.post(path, body)).read())


# -- agreement


def places(texts: Sequence[str] = TEXTS) -> list[str]:
    """The beginnings of the texts, one word longer each."""
    found = []
    for text in texts:
        ends = [at for at, letter in enumerate(text) if letter == " " and text[at - 1] != " "] + [len(text)]
        found += [text[:end] for end in ends]
    return found


async def next_tokens(
    engine: Engine, prompts: Sequence[str], tell: Callable[[int], None] = lambda n: None
) -> list[str]:
    """The likeliest token after each prompt, as text."""
    found = []
    for number, prompt in enumerate(prompts):
        tell(number)
        request = CompletionRequest(engine.name, prompt, Sampling(max_tokens=1, temperature=0.0))
        events = await _events(await engine.complete(request))
        found.append("".join(event.text for event in events if isinstance(event, TextDelta)))
    return found


async def vectors(engine: Engine, texts: Sequence[str] = TEXTS) -> list[tuple[float, ...]]:
    """Embeddings of the texts, each of length one."""
    found = await engine.embed(EmbeddingRequest(engine.name, tuple(texts), truncate=True))
    return [struct.unpack(f"<{len(each) // 4}f", each) for each in found.vectors]


def same_share(one: Sequence[str], other: Sequence[str]) -> float:
    """The share of places where both are the same. Raises ValueError if there is nothing to compare."""
    if not one or len(one) != len(other):
        raise ValueError("nothing to compare")
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)


def close_share(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> float:
    """The share of vectors (of length one) whose cosine is at least `LEAST_COSINE`."""
    cosines = [sum(x * y for x, y in zip(a, b, strict=True)) for a, b in zip(one, other, strict=True)]
    return sum(cosine >= LEAST_COSINE for cosine in cosines) / len(cosines)


# -- rates


@asynccontextmanager
async def both(make: Make) -> AsyncIterator[tuple[Engine, Engine]]:
    """The wheel and the native build with one model, started; stopped at the end."""
    wheel, native = make(False), make(True)
    try:
        await wheel.start()
        await native.start()
        yield wheel, native
    finally:
        await asyncio.gather(wheel.stop(), native.stop())


async def compare(make: Make, found: Findings, tell: Tell, *, timed: bool) -> None:
    """Agreement with one chat model, and if `timed` the rates, both into `found`."""
    prompts = places()
    async with both(make) as (wheel, native):
        name = wheel.name
        said = []
        for turn, engine in enumerate((wheel, native)):
            before = turn * len(prompts)

            def step(number: int, before: int = before) -> None:
                tell(f"comparing {name}", before + number, 2 * len(prompts))

            said.append(await next_tokens(engine, prompts, step))
        found.same[name], found.places[name] = same_share(*said), len(prompts)
        if timed:
            found.model, found.rates = name, await rates(wheel, native, tell)


async def compare_vectors(make: Make, found: Findings) -> None:
    """Agreement with an embedding model, into `found`."""
    async with both(make) as (wheel, native):
        one, other = await vectors(wheel), await vectors(native)
        found.same[wheel.name], found.places[wheel.name] = close_share(one, other), len(one)


async def rates(wheel: Engine, native: Engine, tell: Tell, rounds: int = ROUNDS) -> Rates:
    """Medians over `rounds`, the engines in turn, the first one changing; a round before them warms both and does not count."""
    decode: list[tuple[float, float]] = []
    prefill: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        tell("measuring", number, rounds + 1)
        turn = (wheel, native) if number % 2 else (native, wheel)
        read = {engine: await _prefill(engine, number) for engine in turn}
        written = {engine: await _decode(engine) for engine in turn}
        if number:
            prefill.append((read[wheel], read[native]))
            decode.append((written[wheel], written[native]))
    return Rates.of(decode, prefill)


def prompt(number: int, words: int = PROMPT_WORDS) -> str:
    """A prompt that no other begins like: nothing of it is in the cache."""
    return " ".join(f"{(number + 1) * 7919 + word * 104729 % 9973}" for word in range(words))


async def _prefill(engine: Engine, number: int) -> float:
    request = CompletionRequest(engine.name, prompt(number, _words(engine)), Sampling(max_tokens=1, temperature=0.0))
    began = time.perf_counter()
    events = await _events(await engine.complete(request))
    took = time.perf_counter() - began
    usage = next(event.usage for event in events if isinstance(event, UsageReport))
    return (usage.prompt_tokens - usage.cached_tokens) / took


def _words(engine: Engine) -> int:
    """A word of digits takes five tokens at most; half the window is left."""
    context = getattr(getattr(engine, "spec", None), "context", 0)
    return min(PROMPT_WORDS, context // 10) if context else PROMPT_WORDS


async def _decode(engine: Engine) -> float:
    """Tokens a second of an answer's writing, as the server counts them; else between its first piece and its end."""
    sampling = Sampling(max_tokens=ANSWER_TOKENS, temperature=0.0, ignore_eos=True)
    answer = await engine.complete(CompletionRequest(engine.name, "Once", sampling, stream=True, include_usage=True))
    first, written, said = 0.0, 0, None
    try:
        async for event in answer.events():
            first = first or time.perf_counter()
            if isinstance(event, UsageReport):
                written, said = event.usage.completion_tokens, event.tokens_per_second
    finally:
        await answer.close()
    return said or max(1, written - 1) / (time.perf_counter() - first)


def memory_for(size: int) -> int:
    """Bytes that two engines with one model of `size` bytes may take: its file is mapped, so both share it, and each has a cache
    and buffers of its own."""
    return int(size * 1.1) + 2 * (256 * 2**20 + size // 4)
