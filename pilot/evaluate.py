"""The figures of the model as the engine runs it: held-out wording, real llama.cpp, greedy.

Promises: no wording of a held-out list, and no word of a held-out pool in its place, was seen in
training (numbers and dates come from the same ranges); the goals were set before the first figure
was known and are not loosened; the result is one JSON object in the house form.
Does not cover: quality beyond the pilot's small scope, speed (`homefire bench` does).
"""

import datetime
import json
import os
import platform
import random
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from pilot.corpus import commands, courtesy, extract, identity, refusal, toolcalls, turns
from pilot.corpus.exchanges import Intent
from pilot.corpus.phrases import say, slip
from pilot.dialogue import Turn
from pilot.engine import Engine
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
    "template_equal_pct": (">=", 100),
}
Message = dict[str, Any]


class Tally:
    """Counts by figure, and a few failures of each for a person to read."""

    def __init__(self) -> None:
        self.good: dict[str, int] = defaultdict(int)
        self.all: dict[str, int] = defaultdict(int)
        self.failures: dict[str, list[str]] = defaultdict(list)

    def mark(self, figure: str, good: bool, note: str) -> None:
        self.all[figure] += 1
        self.good[figure] += good
        if not good:
            self.failures[figure].append(note)

    def figures(self) -> dict[str, float]:
        return {name: round(100 * self.good[name] / self.all[name], 1) for name in self.all}


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


def spoken(engine: Engine, tally: Tally, sent: list[Message], **more: Any) -> str:
    """Chat without a grammar: the text, and whether the answer came to its own end."""
    choice = engine.chat(sent, **more)
    ended = choice["finish_reason"] in ("stop", "tool_calls")
    text = choice["message"].get("content") or ""
    tally.mark("chat_format_ends_pct", ended, f"{sent[-1]['content']!r} -> {text[:120]!r}")
    return text


def variants(text: str, rng: random.Random) -> list[str]:
    """As written, in lower case without marks, with a capital, with one slip."""
    return [text, text.lower().rstrip("?.!"), text[:1].upper() + text[1:], slip(text, rng)]


def intents(engine: Engine, tally: Tally, rng: random.Random) -> None:
    """Every held-out ask of every intent in four spellings; then sampled at 0.7."""
    groups: tuple[tuple[str, tuple[Intent, ...]], ...] = (
        ("courteous_pct", courtesy.INTENTS),
        ("identity_pct", identity.INTENTS),
        ("commands_pct", commands.INTENTS),
    )
    for figure, group in groups:
        for intent in group:
            for ask in intent.held:
                for text in variants(say(ask, rng), rng):
                    sent = [{"role": "user", "content": text}]
                    reply = spoken(engine, tally, sent)
                    good = bool(re.search(intent.needs, reply))
                    tally.mark(figure, good, f"{text!r} -> {reply!r}")
                warm = spoken(engine, tally, sent, temperature=0.7, seed=rng.randrange(9999))
                tally.mark("sampled_pct", bool(re.search(intent.needs, warm)), f"{text!r} -> {warm!r}")


def refusals(engine: Engine, tally: Tally, rng: random.Random) -> None:
    """Wishes out of reach, and the prompts written by hand."""
    for _ in range(250):
        sent = messages(refusal.refusal(rng, held=True)[:1])
        reply = spoken(engine, tally, sent)
        good = bool(re.search(refusal.NEEDS + "|(?i:know).*homefire models import", reply))
        tally.mark("honest_refusal_pct", good, f"{sent[0]['content']!r} -> {reply!r}")
    for text, needs in WILD:
        reply = spoken(engine, tally, [{"role": "user", "content": text}])
        tally.mark("wild_pct", bool(re.search(needs, reply)), f"{text!r} -> {reply!r}")


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


def schemas(engine: Engine, tally: Tally, rng: random.Random) -> None:
    """Objects under the engine's grammar: valid, ended, and the right values."""
    for _ in range(200):
        case = extract.case(rng, held=True)
        system = [{"role": "system", "content": case.system}] if case.system else []
        asked = {"type": "json_schema", "json_schema": {"name": "form", "schema": case.schema()}}
        choice = engine.chat([*system, {"role": "user", "content": case.prompt}], response_format=asked, max_tokens=400)
        text = choice["message"].get("content") or ""
        note = f"{case.prompt!r} -> {text[:200]!r}"
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        valid = choice["finish_reason"] == "stop" and fits(value, case.schema())
        tally.mark("json_schema_valid_pct", valid, note)
        for key, wanted in case.value.items():
            got = value.get(key) if isinstance(value, dict) else None
            tally.mark("json_values_pct", got == wanted, f"{key}: {note}")


def tools(engine: Engine, tally: Tally, rng: random.Random) -> None:
    """Calls with automatic choice, answers after a response, and wishes that need no tool."""
    for _ in range(200):
        one = toolcalls.wish(rng, True)
        offered = [tool.as_request() for tool in toolcalls.offer(one, rng, True)]
        sent: list[Message] = [{"role": "user", "content": one.text}]
        choice = engine.chat(sent, tools=offered)
        calls = choice["message"].get("tool_calls") or []
        made = [(c["function"]["name"], as_object(c["function"]["arguments"])) for c in calls]
        good = made == [(one.tool.name, one.arguments)]
        tally.mark(
            "tool_call_pct", good, f"{one.text!r} {one.tool.name} -> {made} {choice['message'].get('content')!r}"
        )
        tally.mark("chat_format_ends_pct", choice["finish_reason"] in ("stop", "tool_calls"), one.text)
        raw = one.result if isinstance(one.result, str) else json.dumps(one.result)
        turn = [*toolcalls.calling_turns(one), Turn("tool", raw)]
        reply = spoken(engine, tally, messages(turn), tools=offered)
        tally.mark("tool_answer_pct", toolcalls.answer_to(one.result) == reply, f"{raw} -> {reply!r}")
        pick = rng.choice((*identity.INTENTS, *courtesy.INTENTS, *commands.INTENTS))
        asked = say(rng.choice(pick.held), rng)
        none = engine.chat([{"role": "user", "content": asked}], tools=offered)
        good = not none["message"].get("tool_calls")
        tally.mark("no_tool_pct", good, f"{asked!r} -> {none['message']}")


def as_object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def conversations(engine: Engine, tally: Tally, rng: random.Random) -> None:
    """A remembered name, a repeated phrase, one word, an order from the system message."""
    for _ in range(80):
        first, last = turns.told(rng, held=True)
        between = refusal.refusal(rng, held=True) if rng.random() < 0.5 else []
        name = next(word for word in re.findall(r"[A-Z]\w+", first[0].content))
        recalled = spoken(engine, tally, messages([*first, *between, last[0]]))
        tally.mark("name_memory_pct", name in recalled, f"{first[0].content!r} {last[0].content!r} -> {recalled!r}")
        for figure, body in (
            ("repeat_pct", turns.repeat(rng, True)),
            ("one_word_pct", turns.one_word(rng, True)),
            ("system_order_pct", turns.order(rng, between or turns.repeat(rng, True), True)),
        ):
            reply = spoken(engine, tally, messages(body[:-1]))
            tally.mark(figure, reply == body[-1].content, f"{body[-2].content!r} -> {reply!r}")


def templates(engine: Engine, tally: Tally, seed: int) -> None:
    """What the engine renders must be what the pilot was trained on."""
    from pilot.corpus.mixture import dialogue
    from pilot.dialogue import render

    for number in range(300):
        one = dialogue(seed + 1, number)
        while one.turns[-1].role == "assistant":
            one.turns.pop()
        body = {"messages": messages(one.turns), "tools": [tool.as_request() for tool in one.tools]}
        shown = engine.post("/apply-template", body if one.tools else {"messages": body["messages"]}).get("prompt")
        wanted = "".join(text for text, _ in render(one)) + "<|im_start|>assistant\n"
        tally.mark("template_equal_pct", shown == wanted, f"{shown!r} is not {wanted!r}")


def machine() -> dict[str, Any]:
    """Cores, memory, processor."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        name = found.group(1) if found else name
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cores": os.cpu_count(), "memory": f"{memory / 2**30:.0f} GiB", "processor": name}


def evaluate(model: Path, seed: int) -> dict[str, Any]:
    """Run everything; the house form. Failures go to stderr, three a figure."""
    tally = Tally()
    with Engine(model) as engine:
        intents(engine, tally, random.Random(f"{seed}:intents"))
        refusals(engine, tally, random.Random(f"{seed}:refusals"))
        schemas(engine, tally, random.Random(f"{seed}:schemas"))
        tools(engine, tally, random.Random(f"{seed}:tools"))
        conversations(engine, tally, random.Random(f"{seed}:conversations"))
        templates(engine, tally, seed)
    shown = int(os.environ.get("PILOT_FAILURES", "3"))
    for figure, notes in tally.failures.items():
        for note in notes[:shown]:
            print(f"{figure}: {note}", file=sys.stderr)
    figures = tally.figures()
    missed = [name for name, (_, goal) in GOALS.items() if figures.get(name, 0.0) < goal]
    return {
        "bench": "pilot",
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "figures": {**figures, "file_bytes": model.stat().st_size},
        "goals": {name: list(goal) for name, goal in GOALS.items()},
        "missed": missed,
    }
