"""Adapters and drafts in the real llama.cpp: each request gets its own, nothing of one is left for the next.

Promises: the same prompt with and without an adapter, interleaved over slots, gives each its own answer every time; drafted
answers are token for token those without a draft.
Does not cover: names and the library (`tests/null/test_adapters.py`), how much quicker a draft makes an answer (`models tune`).
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

from homefire.engines.engine import NGRAMS, AdapterFile, Drafting, EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.errors import EngineFailed
from homefire.messages import ChatRequest, CompletionRequest, Message, Sampling, TextDelta, UsageReport
from homefire.models.library import PILOT_FILE
from tests.contract import tiny_adapter
from tests.contract.test_engine import collect, run

HARBOUR = (
    "The harbour was quiet when the last ferry came in. Two men tied it to the pier, looked at the sky and went. " * 5
)
BREAD = "To make bread, mix five hundred grams of flour with three hundred grams of water and some salt. Knead it. " * 5
COUNTING = "one two three four five six seven eight nine ten. " * 12
# Characters that are compared.
SAME = 8
SETS: dict[str, tuple[tuple[str, float], ...]] = {
    "none": (), "a": (("a" * 64, 1.0),), "b": (("b" * 64, 1.0),), "a less": (("a" * 64, 0.7),),
    "both": (("a" * 64, 1.0), ("b" * 64, -0.5)),
}  # fmt: skip


def adapted(folder: Path, spec: EngineSpec, slots: int) -> LlamaCpp:
    """The pilot with two adapters."""
    files = tuple(
        AdapterFile(letter * 64, tiny_adapter.make(folder / f"{letter}.gguf", seed))
        for seed, letter in enumerate("ab", 1)
    )
    return LlamaCpp(replace(spec, slots=slots, context=1024, adapters=files))


async def said(engine: LlamaCpp, prompt: str, adapters: tuple[tuple[str, float], ...]) -> str:
    """A greedy answer."""
    sampling = Sampling(temperature=0.0, max_tokens=12, ignore_eos=True)
    events = await collect(await engine.complete(CompletionRequest("pilot", prompt, sampling, adapters=adapters)))
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("slots", [1, 2])
def test_each_request_has_its_own_adapters(tmp_path: Path, pilot_spec: EngineSpec, slots: int) -> None:
    """With one slot the server's own cache of finished prompts, with several its choice of a slot, could mix them up."""

    async def scenario() -> None:
        fresh: dict[tuple[str, str], str] = {}
        for name, adapters in SETS.items():
            engine = adapted(tmp_path, pilot_spec, slots)  # a new one: nothing can be left in it
            await engine.start()
            for prompt in (HARBOUR, BREAD):
                fresh[name, prompt] = await said(engine, prompt, adapters)
            await engine.stop()
        for prompt in (HARBOUR, BREAD):
            assert len({fresh[name, prompt][:SAME] for name in SETS}) == len(SETS), "or the rest proves nothing"
        engine = adapted(tmp_path, pilot_spec, slots)
        await engine.start()
        try:
            draw = random.Random(5)
            asked = [(draw.choice(list(SETS)), draw.choice((HARBOUR, BREAD))) for _ in range(60)]
            for at in range(0, 60, 3):  # three at once, so that they also wait for each other
                three = asked[at : at + 3]
                found = await asyncio.gather(*(said(engine, prompt, SETS[name]) for name, prompt in three))
                # Batches of other sizes add up in another order: of equally likely words one may win later on, not here.
                assert [text[:SAME] for text in found] == [fresh[each][:SAME] for each in three]
        finally:
            await engine.stop()

    run(scenario())


def test_chat_with_an_adapter_and_one_that_is_not_there(tmp_path: Path, pilot_spec: EngineSpec) -> None:
    async def scenario() -> None:
        engine = adapted(tmp_path, pilot_spec, 2)
        await engine.start()
        try:
            plain = ChatRequest("pilot", (Message("user", "Who are you?"),), Sampling(temperature=0.0, max_tokens=12))
            answers = [
                await collect(await engine.chat(replace(plain, adapters=adapters)))
                for adapters in ((), SETS["a"], (), SETS["a"])
            ]
            texts = ["".join(e.text for e in events if isinstance(e, TextDelta)) for events in answers]
            assert texts[0] == texts[2] != texts[1] == texts[3]
            assert engine.has_adapters(["a" * 64]) and not engine.has_adapters(["c" * 64])
            with pytest.raises(EngineFailed, match="without the adapter"):
                await engine.chat(replace(plain, adapters=(("c" * 64, 1.0),)))
        finally:
            await engine.stop()

    run(scenario())


@pytest.mark.parametrize("mode", [*NGRAMS, "draft"])
def test_a_draft_changes_no_token(pilot_spec: EngineSpec, mode: str) -> None:
    """The pilot drafts for itself: all that it proposes is right."""

    async def scenario() -> None:
        drafting = Drafting(mode, "pilot", PILOT_FILE, 8) if mode == "draft" else Drafting(mode)
        found: list[tuple[str, int | None]] = []
        for spec in (pilot_spec, replace(pilot_spec, drafting=drafting)):
            engine = LlamaCpp(replace(spec, context=1024))
            await engine.start()
            try:
                for prompt in (COUNTING, HARBOUR[:120]):
                    sampling = Sampling(temperature=0.0, max_tokens=120, ignore_eos=True)
                    request = CompletionRequest("pilot", prompt, sampling, include_usage=True, stream=True)
                    events = await collect(await engine.complete(request))
                    report = next(event for event in events if isinstance(event, UsageReport))
                    assert report.usage.completion_tokens == 120
                    text = "".join(event.text for event in events if isinstance(event, TextDelta))
                    found.append((text, report.drafted_accepted))
            finally:
                await engine.stop()
        (one, none), (two, _), (drafted, accepted), (other, _) = found
        assert (one, two) == (drafted, other)
        assert none is None and (accepted or 0) > 10, "or nothing was drafted"

    run(scenario())


@pytest.mark.parametrize("flash", [None, False, True])
def test_types_of_the_cache(pilot_spec: EngineSpec, flash: bool | None) -> None:
    """Values of Q8_0 need flash attention; without it the keys and values stay as they are."""

    async def scenario() -> None:
        kind = "F16" if flash is False else "Q8_0"
        engine = LlamaCpp(replace(pilot_spec, kv_type=kind, flash_attention=flash, batch=128, logical_batch=256))
        await engine.start()
        try:
            assert len(await said(engine, HARBOUR[:300], ())) > 0
        finally:
            await engine.stop()

    run(scenario())
