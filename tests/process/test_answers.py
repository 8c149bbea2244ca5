"""Answers and the gate with the built-in model in a real child: its tokenizer, its reading, what it is believed.

Promises: over questions that the evaluation of the pilot makes (none was trained on), what is shown as an answer stands in the
cited passage, always; more are right than wrong, and of questions without an answer most end as "not found" or as a marked quote;
the gate's budget is that of the model's own tokenizer.
Does not cover: how good larger models are; figures (docs/log.md).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

from homefire.daemon import Daemon
from homefire.daemon.main_model import MainModel
from homefire.knowledge.answer import Answerer, Event, Words
from homefire.knowledge.found import Found
from homefire.knowledge.gate import Gate, Grep, Slice, steps_for
from homefire.knowledge.handles import FolderSources, Source
from homefire.messages import ChatRequest, Message, Sampling
from homefire.messages import Event as ModelEvent
from homefire.paths import Paths
from homefire.prompts import own_text
from homefire.server.answering import Answering
from homefire.server.listen import listen
from homefire.settings import Settings
from pilot.corpus import reading
from tests.conftest import alive, wait_until

WORDS = Words(own_text("homefire.answer"), own_text("homefire.answer.pilot"))
ROUNDS = 15


def test_with_the_pilot(tmp_path: Path) -> None:
    asyncio.run(scenario(tmp_path))


async def scenario(folder: Path) -> None:
    (paths := Paths(folder / "home")).prepare()
    settings = Settings(port=0, threads=1)
    with listen(settings, paths) as listening:
        daemon = Daemon(paths, settings, listening)
        try:
            await daemon.open()
            answering = Answering(daemon.keeper, daemon.library, roles=daemon.roles.roles)
            model = MainModel(answering, daemon.keeper, daemon._default_model, lambda name: daemon._spec(name).context)
            assert await model.is_built_in() and await model.window() == 2048
            await killed_unseen(daemon, answering)
            await answers(model)
            await the_gate(model, folder)
        finally:
            await daemon.close()


async def killed_unseen(daemon: Daemon, answering: Answering) -> None:
    """An engine that was killed while nobody asked costs nobody an answer."""
    request = ChatRequest("pilot", (Message("user", "hello"),), Sampling(max_tokens=4))

    async def said() -> list[ModelEvent]:
        async with answering.open(request) as answered:
            return [event async for event in answered.events()]

    first = await said()
    engine = daemon.keeper.engine_of("pilot")
    assert engine is not None and engine.pid is not None
    os.kill(pid := engine.pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid))  # without giving the loop a turn
    assert [type(event) for event in await said()] == [type(event) for event in first]
    assert daemon.keeper.engine_of("pilot") is not engine


def found(n: int, text: str) -> Found:
    return Found("c", f"{n}.txt", "text", "", 1, 1, 1, 0, len(text), "", text, 1.0, 0.0, f"kb:c:{n}:0-1")


async def asked(model: MainModel, question: str, texts: list[str]) -> tuple[str, dict[str, object], list[Event]]:
    """What was said, how it ended."""
    events = [
        each async for each in Answerer(model, WORDS).answer(question, [found(n, text) for n, text in enumerate(texts)])
    ]
    said = "".join(each.data["text"] for each in events if each.name == "token")
    return said, events[-1].data, events


async def answers(model: MainModel) -> None:
    rng, right, wrong, believed = random.Random(3), 0, 0, 0
    for _ in range(ROUNDS):
        read = [reading.passage(2, rng.randrange(80, 250), rng, True) for _ in range(4)]
        fact = rng.choice(read[1].facts)
        question = reading.question(fact.entity, fact.attribute, rng, True)
        said, done, events = await asked(model, question, [each.text for each in read])
        for event in events:
            if event.name == "citation":
                n = event.data["n"]
                assert said.casefold().strip(" .\"'") in " ".join(read[n - 1].text.casefold().split())
        if done["found"] and not done["quoted"]:
            right, wrong = right + (said == fact.value), wrong + (said != fact.value)
        (entity, attribute) = reading.missing(read[0], rng, True)
        _, done, _ = await asked(model, reading.question(entity, attribute, rng, True), [each.text for each in read])
        believed += bool(done["found"] and not done["quoted"])
    assert right >= 5 and right > wrong, (right, wrong)
    assert believed <= ROUNDS // 2, believed
    said, done, _ = await asked(model, "Who painted the bridge in Lima?", ["The sky over Oslo is grey."])
    assert said == "not found" and done["found"] is False


async def the_gate(model: MainModel, folder: Path) -> None:
    """The budget in tokens of this model, from admit to the byte in the middle of a file."""
    source = Source(b"".join(b"entry %d of the long list\n" % n for n in range(20_000)), "log", "list.log")
    gate = Gate(model, FolderSources(folder / "blobs"), 2048, 512)
    admitted = await gate.admit("list", source)
    (counted,) = await model.count([admitted.text])
    assert admitted.kind == "brief" and admitted.tokens == counted <= gate.left + counted <= 1536
    byte, drills = len(source.data) // 2, 0
    while admitted.kind == "brief":
        gate.refund(admitted.block)
        (part,) = [each for each in admitted.parts if each.start <= byte < each.end]
        admitted, drills = await gate.drill(admitted.handle, Slice(part.start, part.end)), drills + 1
    assert drills <= steps_for(len(source.data)) and admitted.span[0] <= byte < admitted.span[1]
    assert "of the long list" in admitted.text and gate.spent == admitted.tokens
    places = await gate.drill(admitted.handle, Grep("entry 12345 "))
    assert "line 12346: entry 12345 of the long list" in places.text
