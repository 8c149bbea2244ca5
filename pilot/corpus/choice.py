"""Choosing one of the tools of `fixtures/tools.json` and filling in its arguments; up to 12 tools are shown.

Conventions: an argument is a copy of words of the wish; numbers are as said, without the commas of thousands; spoken sums become
symbols in the order of the words ("take 4 from 10" is "10 - 4"); days before a date are negative; half an hour is 30 minutes; a
timer without a name has the label "timer".
Promises: `wish` gives one right call for its text, and the sentence that answers from its result; with `held`, wording and values
are such as training never shows.
Does not cover: several calls for one wish (`chains.py`), tools of a request's own (`toolcalls.py`), the wordings (`wishes.py`).
"""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pilot.corpus import toolcalls, words
from pilot.corpus.fillings import FORMS, shown
from pilot.corpus.phrases import rough, say
from pilot.corpus.skill import Ask, Mark, Reply
from pilot.corpus.toolbox import RESPOND, TOOLS, offer
from pilot.corpus.wishes import LEADS, LEADS_HELD, WORDINGS
from pilot.dialogue import Dialogue, Tool, Turn, pilot, user

GOALS = {"tool_choice_pct": (">=", 90.0), "tool_choice_grammar_pct": (">=", 97.0)}
TRIALS = 500
OPENING = '{"name": "'  # the grammar of a forced call begins so


@dataclass(frozen=True)
class Wish:
    """What a person says, the one right call, its result, and the sentence that answers."""

    name: str
    text: str
    arguments: dict[str, Any]
    result: str
    answer: str


WISHES = FORMS  # tool to its forms: wording and draw
NAMES = tuple(WISHES)
# Tools that are easily taken for one another are shown together more often than chance would.
RIVALS = (
    ("remember", "add_note", "forget", "recall", "write_file"),
    ("read_file", "ingest", "list_files", "web_fetch", "write_file"),
    ("search_files", "search_knowledge", "web_search", "recall", "list_files"),
    ("run_code", "run_shell", "calculate", "read_file"),
    ("calculate", "convert_units", "add_days", "set_timer", "current_time"),
    ("start_process", "process_status", "spawn_agent", "system_status", "run_shell"),
    ("load_model", "system_status", "ask_person", "spawn_agent", "recall"),
)


# Tools whose wishes have more forms than others are wished for more often than others.
OFTEN = ("calculate", "calculate", "set_timer", "add_days")


def intact(text: str, value: str) -> bool:
    """Whether a value stands in a text as a whole."""
    return bool(re.search(r"(?<![\w,.])" + re.escape(value) + r"(?![\w,])", text))


def mistyped(text: str, blanks: Iterable[str], rng: random.Random) -> str:
    """Rough typing that leaves the values, and the end of a text that ends with one, as they are."""
    values = list(blanks)
    rougher = rough(text, rng, 0.6)
    last = next((value for value in values if text.endswith(value)), "")
    whole = all(intact(rougher, value) for value in values) and rougher.rstrip(".?!").endswith(last.rstrip(".?!"))
    return rougher if whole else text


def wish(rng: random.Random, held: bool, name: str | None = None) -> Wish:
    """One wish for a tool of the fixture (any but `respond`)."""
    name = name or rng.choice(NAMES)
    form, draw = rng.choice(WISHES[name])
    filling = draw(rng, held)
    pattern = rng.choice(WORDINGS[form].held if held else WORDINGS[form].asks)
    if pattern.startswith("!"):
        pattern = rng.choice(LEADS_HELD if held else LEADS) + pattern[1:]
    frame = say(pattern, rng)
    used = [value for key, value in filling.blanks.items() if "{" + key + "}" in frame]
    text = re.sub(r"\{(\w+)\}", lambda found: filling.blanks[found[1]], frame)
    if held:
        text = text[:1].upper() + text[1:] if frame[0].isalpha() and rng.random() < 0.5 else text
    else:
        text = mistyped(text, used, rng)
    return Wish(name, text, filling.arguments, filling.result, filling.answer)


def company(rng: random.Random, count: int) -> list[str]:
    """Names of `count` tools to show, rivals together half of the time."""
    names = list(rng.choice(RIVALS)) if rng.random() < 0.5 else []
    rng.shuffle(names)
    others = [name for name in [*NAMES, *OFTEN] if name not in names]
    rng.shuffle(others)
    return list(dict.fromkeys([*names, *others]))[:count]


def forced(name: str, arguments: dict[str, Any]) -> Turn:
    """A call as the grammar of `tool_choice` "required" wants it; the model never chooses to begin so, hence no weight there."""
    text = shown({"name": name, "arguments": arguments})
    return Turn("assistant", pieces=((OPENING, -1.0), (text[len(OPENING) :], 1.0)))


def granted(one: Wish, responds: bool) -> list[Turn]:
    """The wish, the call, the result and the answer."""
    answer = Turn("assistant", call=(RESPOND, {"text": one.answer})) if responds else pilot(one.answer)
    return [user(one.text), Turn("assistant", call=(one.name, one.arguments)), Turn("tool", one.result), answer]


def made_up(rng: random.Random) -> tuple[Tool, Wish]:
    """A tool outside the fixture with a wish for it."""
    one = toolcalls.invented_wish(rng, False)
    while any(words.is_held(value) for value in one.arguments.values()):
        one = toolcalls.invented_wish(rng, False)
    result = one.result if isinstance(one.result, str) else shown(one.result)
    return one.tool, Wish(one.tool.name, one.text, one.arguments, result, toolcalls.answer_to(one.result))


def document(rng: random.Random) -> Dialogue:
    """One wish, or several under one head; the last may end at its call, sometimes in the form of a forced call."""
    count = rng.choices((1, 2, 3, 4, 5, 6, 7, 8, 10, 12), (5, 15, 18, 17, 13, 9, 5, 3, 3, 12))[0]
    many = rng.randrange(4, 9) if count >= 8 else rng.choice((1, 2, 3, 4, 5, 6)) if count > 1 else rng.choice((1, 2))
    responds = count > 1 and rng.random() < 0.5
    names = company(rng, count - responds)
    tools = [TOOLS[name] for name in names] + [TOOLS[RESPOND]] * responds
    wanted = rng.choices(names, [1 + OFTEN.count(name) for name in names], k=many)
    wishes = [wish(rng, False, name) for name in wanted]
    if len(tools) < 12 and rng.random() < 0.18:
        tool, one = made_up(rng)
        tools.append(tool)
        wishes[rng.randrange(len(wishes))] = one
    rng.shuffle(tools)
    turns = [turn for one in wishes for turn in granted(one, responds)]
    kind = rng.random()
    if kind < 0.25:
        turns = turns[:-2]
    elif kind < 0.5:
        turns = [*turns[:-3], forced(wishes[-1].name, wishes[-1].arguments)]
    elif kind < 0.56 and responds:
        turns = [*turns[:-1], forced(RESPOND, {"text": wishes[-1].answer})]
    return Dialogue(turns, tools)


def trial(ask: Ask, rng: random.Random) -> Iterable[Mark]:
    """One held-out wish among 4 to 12 tools, asked freely and with a call required."""
    one = wish(rng, True)
    tools = [tool.as_request() for tool in offer(rng, (one.name,), rng.randrange(4, 13))]
    messages = [{"role": "user", "content": one.text}]
    free = ask(messages, tools, max_tokens=150)
    yield judged("tool_choice_pct", one, free)
    yield judged("tool_choice_grammar_pct", one, ask(messages, tools, tool_choice="required", max_tokens=150))


def judged(figure: str, one: Wish, reply: Reply) -> Mark:
    """Exactly one call: the right name and the exact arguments."""
    good = reply.calls == ((one.name, one.arguments),)
    got = reply.error or reply.calls or reply.text
    return Mark(figure, good, f"{one.text!r}: {one.name} {one.arguments} -> {got!r}")
