"""remember, recall, forget: what an agent keeps for later runs.

| tool     | risk  | gives                          | idempotent                                      |
|----------|-------|--------------------------------|-------------------------------------------------|
| remember | write | system                         | yes: the same again adds nothing but its source |
| recall   | read  | what was fed in, through memory | yes                                            |
| forget   | write | system                         | yes: what is gone already is gone               |

Promises: a fact's source is the call that made it, with the words that were said, and it keeps the label of everything the model
had in front of it then: words of a web page come out of memory as such, also in another run. What the person said in a
conversation is the person's; an answer and a step of a run have the worst label there is when they come back: nobody noted
what they were made of.
Does not cover: whether it is true; which facts are made in the background (`daemon/remembering.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from homefire.agent.tool import Context, Outcome, Tool
from homefire.agent.tools.plain import PlainTool, declared, failed, told
from homefire.errors import UnknownMemory
from homefire.memory.memory import Memory, Recalled, Source
from homefire.safety.taint import WORST, Label, joined, label

MOST_TEXT, MOST_FOUND, MOST_SHOWN = 4_000, 5, 600


def memory_tools(memory: Callable[[], Memory | None]) -> list[Tool]:
    """The three tools; `memory` gives None where there is none, and they say so."""

    async def remember(arguments: Mapping[str, Any], context: Context) -> Outcome:
        room, text = memory(), arguments["text"].strip()
        if room is None:
            return _nowhere()
        if not text or len(text) > MOST_TEXT:
            return failed("bad_arguments", f"A fact has 1 to {MOST_TEXT:,} characters.")
        source = Source("step", f"{context.run}:{context.call}", text, text=text)
        kept = context.label.through("model").to_text() or "person"
        await room.remember(text, source, key=context.key, label=kept, run=context.run)
        return Outcome("ok", told({"ok": True}))

    async def recall(arguments: Mapping[str, Any], context: Context) -> Outcome:
        room = memory()
        if room is None:
            return _nowhere()
        found = _told(await room.recall(arguments["query"], key=context.key, k=2 * MOST_FOUND), context.run)
        if not found:
            return Outcome("empty", told({"facts": []}), label=label("system"))
        return Outcome("ok", told({"facts": [_shown(each) for each in found]}), label=label_of(found))

    async def forget(arguments: Mapping[str, Any], context: Context) -> Outcome:
        room, text = memory(), arguments["text"].strip()
        if room is None:
            return _nowhere()
        try:
            gone = await room.forget(text, key=context.key)
        except UnknownMemory:
            return Outcome("empty", told({"ok": False, "forgotten": []}))
        return Outcome("ok", told({"ok": True, "forgotten": [each.text for each in gone]}), label=_labels(gone))

    return [
        PlainTool(declared("remember", "write"), remember),
        PlainTool(declared("recall", "read", source="memory", private=True), recall),
        PlainTool(declared("forget", "write"), forget),
    ]


def _told(found: Sequence[Recalled], run: str) -> list[Recalled]:
    """What a run is told: facts, where there are any, for a small model takes what stands beside them for more of the task; else
    what was said, but not in this run."""
    facts = [each for each in found if each.kind == "fact"]
    said = [each for each in found if not each.place.startswith(f"{run}:")]
    return (facts or said)[:MOST_FOUND]


def label_of(found: Sequence[Recalled]) -> Label:
    """What the texts of a search are made of, through memory; private, for a memory belongs to the person alone."""
    return joined(_label(each).through("memory") for each in found).join(Label(private=True))


def _label(one: Recalled) -> Label:
    if one.kind == "fact":
        return Label.of_text(one.label)
    return label("person") if (one.kind, one.role) == ("turn", "user") else WORST


def _labels(gone: Sequence[Any]) -> Label:
    return joined(Label.of_text(each.label).through("memory") for each in gone).join(Label(private=True))


def _shown(one: Recalled) -> str:
    text = " ".join(one.text.split())
    short = text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"
    return f"(replaced since) {short}" if one.replaced else short


def _nowhere() -> Outcome:
    return failed("not_available", "There is no memory here.")
