"""Chains of two to four tool calls, each fed by the result before it, and an answer that quotes what came out.

A wish is put together from a source (where the value comes from), sometimes a sum or a conversion in the middle, and
sinks (what is done with it); each part has wordings for training and others for the evaluation.
Promises: every call follows from the wish and the results so far, with no sum done by the model; one right course for each wish.
Does not cover: results that are errors, empty or hostile (`troubles.py`), where values come from (`sources.py`).
"""

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pilot.corpus import words
from pilot.corpus.phrases import rough, say
from pilot.corpus.skill import Ask, Mark, Message, Reply
from pilot.corpus.sources import (
    NUMERIC,
    SOURCES,
    UNITS,
    Found,
    Source,
    Step,
    converted,
    done,
    dumped,
    label,
    path,
    tidy,
    worked,
    wrapped,
)
from pilot.corpus.toolbox import RESPOND, offer
from pilot.corpus.words import Pool, fresh
from pilot.dialogue import Dialogue, Tool, Turn, pilot, user

GOALS = {"chains_pct": (">=", 85.0)}
TRIALS = 200


@dataclass(frozen=True)
class Sink:
    """Orders with {x} for the value; `make` gives the call, and the sentence of the answer that tells of it."""

    orders: Pool
    make: Callable[[Found, dict[str, str]], tuple[Step, str]]


@dataclass(frozen=True)
class Chain:
    """A wish, its calls, its answer, and the value the answer must hold."""

    wish: str
    steps: tuple[Step, ...]
    answer: str
    value: str


DEEDS = (
    "(stop|pause|restart|cancel|continue|watch|keep|end) it",
    "(open|close|rename|sell|move|paint|test|copy) the {w}",
    "(call|tell|wait for) {n}",
)

# ---- the middle: a sum or a conversion with the number found


# fmt: off
SUMS = {
    "*": Pool(("multiply {x} by {m}", "calculate {x} * {m}", "take {x} times {m}"),
         ("take {x} and multiply by {m}", "work out {x} * {m}")),
    "+": Pool(("add {m} to {x}", "calculate {x} + {m}", "get {m} added to {x}", "take {x} plus {m}"),
         ("calculate {m} added to {x}", "work out {x} + {m}")),
    "-": Pool(("(subtract|take) {m} from {x}", "calculate {x} - {m}", "take {m} (away|off) from {x}", "take {x} minus {m}"),
         ("take away {m} from {x}", "work out {x} - {m}")),
    "/": Pool(("divide {x} by {m}", "calculate {x} / {m}", "share {x} by {m}"),
         ("take {x} and divide by {m}", "work out {x} / {m}")),
    "% of": Pool(("(calculate|take|work out|find) {m} % of {x}", "get {m} % of {x}"),
         ("find out {m} % of {x}", "tell me {m} % of {x}")),
}
UNITING = Pool(("(convert|turn|change) {x} (to|into) {w}", "(give|tell|show) me {x} in {w}", "work out {x} in {w}"),
     ("get {x} into {w}", "calculate {x} in {w}", "change {x} so that it is in {w}"))
# fmt: on


def middle(found: Found, rng: random.Random, held: bool) -> tuple[Found, str]:
    """The number found goes through one more tool; the wording has {x} for it."""
    value = tidy(found.number or 0)
    if found.unit and rng.random() < 0.6:
        family = next(one for one in UNITS if found.unit in one)
        other = rng.choice([one for one in family if one != found.unit])
        after = converted(value, found.unit, other, rng)
        order = say(UNITING.draw(rng, held), rng, w=other)
    else:
        sign, more = rng.choice(tuple(SUMS)), rng.randrange(2, 100)
        expression = f"{more} % of {value}" if sign == "% of" else f"{value} {sign} {more}"
        result = worked(more if sign == "% of" else value, sign, value if sign == "% of" else more)
        step = Step("calculate", {"expression": expression}, wrapped(result, rng, "result", "result", "value"))
        after = Found({}, (step,), f"{expression} is {result}.", str(result), result)
        order = say(SUMS[sign].draw(rng, held), rng, m=str(more))
    return replace(after, steps=(*found.steps, *after.steps)), order


# ---- sinks


def kept_as(found: Found, blanks: dict[str, str]) -> tuple[Step, str]:
    return Step(
        "remember", {"text": f"my {blanks['l']} is {found.value}"}, ""
    ), f"I will remember it as your {blanks['l']}."


def kept(found: Found, blanks: dict[str, str]) -> tuple[Step, str]:
    return Step("remember", {"text": found.value}, ""), "I will remember it."


def noted(found: Found, blanks: dict[str, str]) -> tuple[Step, str]:
    return Step("add_note", {"title": blanks["t"], "text": found.value}, ""), f"The note {blanks['t']} is written."


def saved(found: Found, blanks: dict[str, str]) -> tuple[Step, str]:
    return Step("write_file", {"path": blanks["o"], "text": found.value}, ""), f"The text is in {blanks['o']}."


def timed(found: Found, blanks: dict[str, str]) -> tuple[Step, str]:
    minutes = tidy(found.number or 0)
    step = Step("set_timer", {"minutes": minutes, "label": blanks["i"]}, "")
    return step, f"The timer is set: {blanks['i']}, {minutes} minutes."


def asked(found: Found, blanks: dict[str, str]) -> tuple[Step, str]:
    """The question tells what is known, and the person's answer is quoted."""
    question = f"{found.said} Do you want to {blanks['y']}?"
    return Step("ask_person", {"question": question}, blanks["says"]), f"The person says: {blanks['says']}."


# fmt: off
SINKS = {
    "as": Sink(
        Pool(("(remember|keep|save|store) {x} as my {l}",
              "(remember|keep|save|store) {x} in (your |the |)memory as my {l}",
              "(remember|keep in mind) that my {l} is {x}", "(make {x}|let {x} be) my {l} and (remember|keep|store) that"),
             ("keep in memory that my {l} is {x}", "put {x} in memory as my {l}", "save {x} for me as my {l}")),
        kept_as,
    ),
    "keep": Sink(
        Pool(("(remember|keep|store) {x}", "(keep|store|put|save) {x} in (your |the |)memory", "keep {x} in mind",
              "do not forget {x}"),
             ("put {x} into memory", "remember {x} and do not forget it", "store {x} in mind")),
        kept,
    ),
    "note": Sink(
        Pool(("(note|write down|write|put down) {x} (as|under|under the title) {t}",
              "(make|add|write) a note( called| named| with the title|) {t} (with|of|from) {x}",
              "(add|write|put) {x} (to|in|into) my notes (as|under) {t}", "note {x} down (as|under) {t}"),
             ("put a note of {x} under {t}", "add {x} as a note with the title {t}", "write {x} down in my notes as {t}")),
        noted,
    ),
    "save": Sink(
        Pool(("(save|write|put|store) {x} (to|in|into) (the file |a file called |){o}",
              "(make|create) (the file |a file |){o} (with|from|out of) {x}", "(save|write|put) {x} as {o}"),
             ("write a file {o} with {x}", "put {x} in a file named {o}", "create {o} and put {x} into it")),
        saved,
    ),
    "timer": Sink(
        Pool(("(set|start|make) a timer (for|of) {x} minutes (called|named|with the label) {i}",
              "(set|start) a timer (called|named) {i} (for|of) {x} minutes",
              "(set|start) the {i} timer (to|for) {x} minutes"),
             ("make a timer with the label {i} of {x} minutes", "start the timer {i} for {x} minutes")),
        timed,
    ),
    "ask": Sink(
        Pool(("(ask me|let me say) (if|whether) i (want|wish) to {y}", "ask (me|the person|the user) (if|whether) to {y}",
              "(ask|check with) me: {y}?"),
             ("let me say whether to {y}", "check with the person if i want to {y}")),
        asked,
    ),
}
# fmt: on


def blanks_of(kind: str, rng: random.Random, held: bool) -> dict[str, str]:
    """What the wish says of a sink."""
    if kind == "as":
        return {"l": label(rng, held)}
    if kind == "note":
        return {"t": fresh(rng, held)}
    if kind == "save":
        return {"o": path(rng, held)}
    if kind == "timer":
        return {"i": fresh(rng, held)}
    if kind == "ask":
        deed = say(rng.choice(DEEDS), rng, w=fresh(rng, held), n=words.person(rng, held))
        return {"y": deed, "says": rng.choice(("yes", "no", "yes, please", "not yet", fresh(rng, held)))}
    return {}


# ---- wishes

# fmt: off
IT = {"text": ("it", "it", "that", "the text", "what it says"), "value": ("it", "it", "that", "the result")}
JOINTS = Pool((" and ", ", and ", " and then ", ", then ", ". then ", ", and then ", "; ", ". after that "),
     (", after that ", "; then ", " and after that "))
ORDERED = Pool(("{o}{j}{s}", "{o}{j}{s}", "first {o}, then {s}", "please {o}{j}{s}", "(can|could|will|would) you {o} and {s}?",
      "i (want|need|would like) you to {o} and( then|) {s}", "(when|after) you {o}, {s}", "{o}, i (want|need) you to {s}"),
     ("you should {o}{j}{s}", "after you {o}, please {s}", "would you first {o} and then {s}?", "please first {o}{j}{s}"))
ASKED = Pool(("{a}, and {s}", "{a}? {s}", "{a}? (please|then) {s}", "{a}, then {s}", "{a}? and {s}", "(tell me, |so ){a}? {s}"),
     ("{a}? after that {s}", "{a}? please also {s}", "so {a}, and then {s}"))
NAMED = Pool(("{s}", "{s}", "please {s}", "(can|could|would) you {s}?", "i (want|need|would like) you to {s}",
      "{s} (for me|please)", "you should also {s}"),
     ("would you please {s}?", "i need you to {s} for me", "you should {s}"))
TAKEN = Pool(("(take|get|find) {n}{j}{s}", "{n}: {s}", "i need {n}. {s}", "with {n}, do this: {s}"),
     ("do this with {n}: {s}", "first get {n}, then {s}"))
PLAIN = Pool(("{o}", "please {o}", "(can|could|would) you {o}?", "i (want|need) you to {o}"),
     ("would you please {o}?", "you should {o} for me"))
QUERY = Pool(("{a}?", "{a}?", "tell me, {a}?"),
     ("so, {a}?", "please tell me, {a}?"))
# fmt: on


def worded(source: Source, found: Found, orders: list[str], rng: random.Random, held: bool) -> str:
    """One wish from the source and the orders behind it, each with {x} for the value."""
    order, ask, noun = (
        say(rng.choice(part.held if held else part.train), rng, **found.blanks) if part.train else ""
        for part in (source.orders, source.asks, source.nouns)
    )
    if not orders:
        ready = rng.random() < 0.5
        return say((PLAIN if ready else QUERY).draw(rng, held), rng, o=order, a=ask)
    kind = rng.random()
    named = "{x}" in orders[0] and kind < 0.3
    its = (
        "that many"
        if "{x} minutes" in orders[0]
        else rng.choice(IT["text" if source.text and len(orders) < 2 else "value"])
    )
    first = orders[0].replace("{x}", noun if named else its)
    rest = "".join(
        rng.choice((" and ", ", and ", ", then "))
        + one.replace("{x}", "that many" if "{x} minutes" in one else rng.choice(("it", "that")))
        for one in orders[1:]
    )
    frames = NAMED if named else TAKEN if kind < 0.45 else ORDERED if kind < 0.75 else ASKED
    return say(frames.draw(rng, held), rng, o=order, a=ask, n=noun, j=JOINTS.draw(rng, held), s=first + rest)


def typed(text: str, values: tuple[str, ...], rng: random.Random) -> str:
    """Rough typing that leaves the values as they are."""
    rougher = rough(text, rng, 0.6)
    return rougher if all(value in rougher for value in values) else text


def plan(rng: random.Random) -> tuple[str, bool, tuple[str, ...]]:
    """Which source, whether a middle, which sinks: two to four calls in all."""
    if rng.random() < 0.12:
        return "calculate", False, ("as",)
    name = rng.choice(tuple(SOURCES))
    if name == "model":
        return name, False, ()
    if name == "process":
        return name, False, (rng.choice(("ask", "ask", "note", "save", "as")),)
    between = name in ("recall", "knowledge", "file") and rng.random() < 0.5
    long = name in ("listed", "sought", "web", "date") or between
    scalar = between or not SOURCES[name].text
    kinds = ["as" if scalar else "keep", "note", "save"]
    kinds += ["timer"] if between or name in ("calculate", "convert") else []
    if long and rng.random() < 0.3:
        return name, between, ()
    return name, between, tuple(rng.sample(kinds, 2 if rng.random() < 0.2 else 1))


def chain(rng: random.Random, held: bool = False) -> Chain:
    """A wish with all that follows from it."""
    name, between, kinds = plan(rng)
    source = SOURCES[name]
    found = (NUMERIC if between else {name: source.draw})[name](rng, held)
    asked_of, orders, values = found, [], list(found.blanks.values())
    if between:
        found, order = middle(found, rng, held)
        orders.append(order)
        values += [word for word in order.split() if word.isdigit()]
    steps, said = list(found.steps), [found.said]
    for kind in kinds:
        sink, blanks = SINKS[kind], blanks_of(kind, rng, held)
        step, told = sink.make(found, blanks)
        steps.append(step if step.result else replace(step, result=done(rng)))
        orders.append(say(sink.orders.draw(rng, held), rng, **blanks))
        said = [told] if kind == "ask" else [*said, told]
        values += [value for key, value in blanks.items() if key != "says"]
    value = said[0] if "ask" in kinds else found.value
    wish = worded(source, asked_of, orders, rng, held)
    return Chain(wish if held else typed(wish, tuple(values), rng), tuple(steps), " ".join(said), value)


def demonstration(rng: random.Random) -> Chain:
    """The chain that Homefire shows on its first page: a percentage, kept in memory."""
    found = SOURCES["calculate"].draw(rng, False)
    while "%" not in found.blanks["e"]:
        found = SOURCES["calculate"].draw(rng, False)
    called = label(rng, False)
    step, told = kept_as(found, {"l": called})
    pattern = "(what is|what s|how much is) {e}(, and|? and|, then|?) (remember|keep|store) (it|that) as my {l}"
    wish = typed(say(pattern, rng, e=found.blanks["e"], l=called), (found.blanks["e"], called), rng)
    return Chain(wish, (*found.steps, replace(step, result=done(rng))), f"{found.said} {told}", found.value)


# ---- conversations


def shown(wanted: list[str], rng: random.Random, never: tuple[str, ...] = ()) -> list[Tool]:
    """Three to twelve tools, mostly four to seven, twelve in one of eight; `respond` among them in two of three."""
    finish = rng.random() < 0.67
    names = tuple(dict.fromkeys([*wanted, *([RESPOND] if finish else [])]))
    count = 12 if rng.random() < 0.125 else rng.choice((3, 4, 4, 4, 5, 5, 5, 6, 6, 7))
    return offer(rng, names, max(count, 3), never if finish else (*never, RESPOND))


def final(answer: str, tools: list[Tool]) -> Turn:
    """The answer, through `respond` when it is on offer."""
    if any(tool.name == RESPOND for tool in tools):
        return Turn("assistant", call=(RESPOND, {"text": answer}))
    return pilot(answer)


def stepped(steps: tuple[Step, ...]) -> list[Turn]:
    """Calls and results."""
    turns = []
    for step in steps:
        turns += [Turn("assistant", call=(step.name, step.arguments)), Turn("tool", step.result)]
    return turns


def document(rng: random.Random) -> Dialogue:
    """One chain, or two or three under one head."""
    many = rng.choice((1, 2, 2, 3))
    chains = [demonstration(rng) if rng.random() < 0.04 else chain(rng) for _ in range(many)]
    tools = shown([step.name for one in chains for step in one.steps], rng)
    turns: list[Turn] = []
    for one in chains:
        turns += [user(one.wish), *stepped(one.steps), final(one.answer, tools)]
    return Dialogue(turns, tools)


# ---- trials


def as_call(step: Step) -> Message:
    """The model's own call in the OpenAI form."""
    function = {"name": step.name, "arguments": dumped(step.arguments)}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call1", "type": "function", "function": function}],
    }


def answered(reply: Reply, tools: list[Tool]) -> str | None:
    """The final answer, or None when it did not come the way it must."""
    if not any(tool.name == RESPOND for tool in tools):
        return None if reply.calls or not reply.ended else reply.text
    if len(reply.calls) != 1 or reply.calls[0][0] != RESPOND:
        return None
    text = (reply.calls[0][1] or {}).get("text")
    return text if isinstance(text, str) else None


def walk(ask: Ask, sent: list[Message], steps: tuple[Step, ...], tools: list[Tool]) -> tuple[Reply, str]:
    """Asks on, handing back results, while each call is the one wanted; gives the last reply, or the first wrong one."""
    requests = [tool.as_request() for tool in tools]
    for step in steps:
        reply = ask(sent, requests)
        if reply.calls != ((step.name, step.arguments),):
            return reply, f"{step.name} {step.arguments} wanted, {reply.calls or reply.text!r} came"
        sent += [as_call(step), {"role": "tool", "tool_call_id": "call1", "content": step.result}]
    return ask(sent, requests), ""


def holds(text: str, value: str) -> bool:
    """The value stands in the text, and not as part of a longer number."""
    return bool(re.search(rf"(?<!\d)(?<!\d\.){re.escape(value)}(?!\d|\.\d)", text))


def trial(ask: Ask, rng: random.Random) -> Iterable[Mark]:
    """One whole chain: every call exact and in order, then an answer with the value."""
    one = chain(rng, True)
    tools = shown([step.name for step in one.steps], rng)
    reply, wrong = walk(ask, [{"role": "user", "content": one.wish}], one.steps, tools)
    text = None if wrong else answered(reply, tools)
    good = text is not None and holds(text, one.value)
    yield Mark(
        "chains_pct", good, f"{one.wish!r}: {wrong or f'{one.answer!r} wanted, {reply.calls or reply.text!r} came'}"
    )
