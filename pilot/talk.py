"""The figures that version 0 of the pilot set itself: talk, questions about itself, forms, simple tools, held-out wording.

Promises: no wording of a held-out list, and no word of a held-out pool in its place, was seen in training (numbers and dates come
from the same ranges); the goals were set before the first figure was known and are not loosened.
Does not cover: the skills of issue 3 (`pilot/corpus/`, each with its own trials).
"""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

from pilot.corpus import commands, courtesy, extract, identity, refusal, toolcalls, turns
from pilot.corpus.exchanges import Intent
from pilot.corpus.phrases import say, slip
from pilot.corpus.skill import Ask, Mark, Message, Reply
from pilot.dialogue import Turn
from pilot.wild import WILD

GOALS: dict[str, tuple[str, float]] = {
    "chat_format_ends_pct": (">=", 99),
    "courteous_pct": (">=", 90),
    "identity_pct": (">=", 90),
    "commands_pct": (">=", 90),
    "honest_refusal_pct": (">=", 90),
    "wild_pct": (">=", 70),
    "sampled_pct": (">=", 85),
    "json_schema_valid_pct": (">=", 99),
    "json_values_pct": (">=", 70),
    "tool_call_pct": (">=", 60),
    "tool_answer_pct": (">=", 60),
    "no_tool_pct": (">=", 80),
    "name_memory_pct": (">=", 70),
    "repeat_pct": (">=", 60),
    "one_word_pct": (">=", 70),
    "system_order_pct": (">=", 70),
}


def messages(dialogue_turns: list[Any]) -> list[Message]:
    """Turns in the OpenAI form."""
    out: list[Message] = []
    for turn in dialogue_turns:
        if turn.call:
            function = {"name": turn.call[0], "arguments": json.dumps(turn.call[1], ensure_ascii=False)}
            out.append(
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "call1", "type": "function", "function": function}],
                }
            )
        elif turn.role == "tool":
            out.append({"role": "tool", "tool_call_id": "call1", "content": turn.content})
        else:
            out.append({"role": turn.role, "content": turn.text()})
    return out


def ended(reply: Reply, note: str) -> Mark:
    """Whether an answer without a grammar came to its own end."""
    return Mark("chat_format_ends_pct", reply.ended, f"{note!r} -> {reply.text[:120]!r}")


def variants(text: str, rng: random.Random) -> list[str]:
    """As written, in lower case without marks, with a capital, with one slip."""
    return [text, text.lower().rstrip("?.!"), text[:1].upper() + text[1:], slip(text, rng)]


def intents(ask: Ask, rng: random.Random) -> Iterator[Mark]:
    """Every held-out ask of every intent in four spellings; the last also sampled at 0.7."""
    groups: tuple[tuple[str, tuple[Intent, ...]], ...] = (
        ("courteous_pct", courtesy.INTENTS),
        ("identity_pct", identity.INTENTS),
        ("commands_pct", commands.INTENTS),
    )
    for figure, group in groups:
        for intent in group:
            for held in intent.held:
                for text in variants(say(held, rng), rng):
                    sent = [{"role": "user", "content": text}]
                    reply = ask(sent)
                    yield ended(reply, text)
                    yield Mark(figure, bool(re.search(intent.needs, reply.text)), f"{text!r} -> {reply.text!r}")
                warm = ask(sent, temperature=0.7, seed=rng.randrange(9999))
                yield Mark("sampled_pct", bool(re.search(intent.needs, warm.text)), f"{text!r} -> {warm.text!r}")


def refusals(ask: Ask, rng: random.Random) -> Iterator[Mark]:
    """Wishes out of reach, and the prompts written by hand."""
    for _ in range(250):
        sent = messages(refusal.refusal(rng, held=True)[:1])
        reply = ask(sent)
        good = bool(re.search(refusal.NEEDS + "|(?i:know).*homefire setup", reply.text))
        yield Mark("honest_refusal_pct", good, f"{sent[0]['content']!r} -> {reply.text!r}")
        yield ended(reply, sent[0]["content"])
    for text, needs in WILD:
        reply = ask([{"role": "user", "content": text}])
        yield Mark("wild_pct", bool(re.search(needs, reply.text)), f"{text!r} -> {reply.text!r}")


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Does a value match one of our small schemas?"""
    kind = schema["type"]
    if kind == "object":
        return (
            isinstance(value, dict)
            and list(value) == list(schema["properties"])
            and all(fits(value[key], part) for key, part in schema["properties"].items())
        )
    if kind == "array":
        return isinstance(value, list) and all(fits(one, schema["items"]) for one in value)
    if kind == "boolean":
        return isinstance(value, bool)
    kinds: dict[str, Any] = {"string": str, "integer": int, "number": (int, float)}
    return isinstance(value, kinds[kind]) and not isinstance(value, bool)


def schemas(ask: Ask, rng: random.Random) -> Iterator[Mark]:
    """Objects under the engine's grammar: valid, ended, and the right values."""
    for _ in range(200):
        case = extract.case(rng, held=True)
        system = [{"role": "system", "content": case.system}] if case.system else []
        asked = {"type": "json_schema", "json_schema": {"name": "form", "schema": case.schema()}}
        reply = ask([*system, {"role": "user", "content": case.prompt}], response_format=asked, max_tokens=400)
        note = f"{case.prompt!r} -> {reply.text[:200]!r}"
        try:
            value = json.loads(reply.text)
        except ValueError:
            value = None
        yield Mark("json_schema_valid_pct", reply.ended and fits(value, case.schema()), note)
        for key, wanted in case.value.items():
            got = value.get(key) if isinstance(value, dict) else None
            yield Mark("json_values_pct", got == wanted, f"{key}: {note}")


def tools(ask: Ask, rng: random.Random) -> Iterator[Mark]:
    """Calls with automatic choice, answers after a response, and wishes that need no tool."""
    for _ in range(200):
        one = toolcalls.wish(rng, True)
        offered = [tool.as_request() for tool in toolcalls.offer(one, rng, True)]
        reply = ask([{"role": "user", "content": one.text}], offered)
        good = list(reply.calls) == [(one.tool.name, one.arguments)]
        yield Mark("tool_call_pct", good, f"{one.text!r} {one.tool.name} -> {reply.calls} {reply.text!r}")
        yield ended(reply, one.text)
        raw = one.result if isinstance(one.result, str) else json.dumps(one.result)
        turn = [*toolcalls.calling_turns(one), Turn("tool", raw)]
        told = ask(messages(turn), offered)
        yield Mark("tool_answer_pct", toolcalls.answer_to(one.result) == told.text, f"{raw} -> {told.text!r}")
        pick = rng.choice((*identity.INTENTS, *courtesy.INTENTS, *commands.INTENTS))
        asked = say(rng.choice(pick.held), rng)
        none = ask([{"role": "user", "content": asked}], offered)
        yield Mark("no_tool_pct", not none.calls, f"{asked!r} -> {none}")


def conversations(ask: Ask, rng: random.Random) -> Iterator[Mark]:
    """A remembered name, a repeated phrase, one word, an order from the system message."""
    for _ in range(80):
        first, last = turns.told(rng, held=True)
        between = refusal.refusal(rng, held=True) if rng.random() < 0.5 else []
        name = next(word for word in re.findall(r"[A-Z]\w+", first[0].content))
        recalled = ask(messages([*first, *between, last[0]])).text
        yield Mark("name_memory_pct", name in recalled, f"{first[0].content!r} {last[0].content!r} -> {recalled!r}")
        for figure, body in (
            ("repeat_pct", turns.repeat(rng, True)),
            ("one_word_pct", turns.one_word(rng, True)),
            ("system_order_pct", turns.order(rng, between or turns.repeat(rng, True), True)),
        ):
            reply = ask(messages(body[:-1])).text
            yield Mark(figure, reply == body[-1].content, f"{body[-2].content!r} -> {reply!r}")


GROUPS = (intents, refusals, schemas, tools, conversations)
