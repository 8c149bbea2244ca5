"""Simple tool calls: one to four tools on offer, a wish that needs one of them, or none.

Promises: arguments are copied from the wish; after the tool's response the answer quotes it.
Tools for training and for the evaluation share no wording; a third of the tools have invented
names, so the model must read what is on offer. Does not cover: several calls in one turn.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pilot.corpus import refusal, words
from pilot.corpus.phrases import rough, say
from pilot.dialogue import Dialogue, Tool, Turn, pilot, user

Draw = Callable[[random.Random, bool], Any]


@dataclass(frozen=True)
class Known:
    """A tool with ways to ask for it; `draw` gives its arguments."""

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    asks: tuple[str, ...]
    held: tuple[str, ...]
    draw: tuple[Draw, ...]
    result: Draw


def number(top: int) -> Draw:
    return lambda rng, held: rng.randrange(1, top)


def phrase(rng: random.Random, held: bool) -> str:
    """Something to remember, note or send."""
    return say(
        rng.choice(
            (
                "(buy|fetch|sell|clean|repair|bring) (the |a |){w}",
                "call {n}( at {h}| tomorrow|)",
                "{n} (likes|has|wants) {w}",
                "the {w} is {c}",
                "meet {n} (in {p}|at {h})",
                "my {w} is {c}",
                "i live in {p}",
            )
        ),
        rng,
        w=words.THINGS.draw(rng, held),
        n=words.person(rng, held),
        h=words.clock(rng),
        c=words.COLOURS.draw(rng, held),
        p=words.city(rng, held),
    )


def expression(rng: random.Random, held: bool) -> str:
    """Digits and signs."""
    text = str(rng.randrange(1, 200))
    for _ in range(rng.choice((1, 1, 1, 2))):
        text += " " + rng.choice("+-*/") + " " + str(rng.randrange(1, 200))
    return text if rng.random() < 0.7 else text.replace(" ", "")


def weather(rng: random.Random, held: bool) -> Any:
    sky = rng.choice(("cloudy", "sunny", "rain", "snow", "windy", "fog", "clear"))
    return {
        rng.choice(("temperature", "degrees", "temp")): rng.randrange(-10, 38),
        rng.choice(("sky", "conditions")): sky,
    }


def done(rng: random.Random, held: bool) -> Any:
    return rng.choice(({"ok": True}, {"status": "done"}, "done", "ok", {"status": "ok", "id": rng.randrange(1, 999)}))


def total(rng: random.Random, held: bool) -> Any:
    value = rng.randrange(1, 9999)
    return rng.choice((value, {"result": value}, str(value)))


def file_list(rng: random.Random, held: bool) -> Any:
    files = [
        words.any_word(rng, held) + rng.choice((".txt", ".md", ".pdf", ".jpg")) for _ in range(rng.randrange(1, 5))
    ]
    return rng.choice((files, {"files": files}))


def sentence(rng: random.Random, held: bool) -> Any:
    return rng.choice((phrase(rng, held), {"text": phrase(rng, held)}, {"value": words.any_word(rng, held)}))


def folder(rng: random.Random, held: bool) -> str:
    name = words.FILES.draw(rng, held)
    return rng.choice((name, name, "/" + name, words.invented(rng, held)))


KNOWN = (
    Known(
        ("get_weather", "weather", "weather_now", "current_weather"),
        ("Gets the weather in a city.", "Current weather of a place.", "Get the current weather for a city"),
        (("city", "place", "location"),),
        (
            "(what is|how is|what s|tell me|check|show me) the weather( like|) in {0}( today| now|)?",
            "(is it|will it be) (cold|warm|raining|sunny|hot|windy) in {0}?",
            "weather in {0}",
            "weather {0}",
            "i travel to {0}, what is the weather?",
            "temperature in {0}?",
            "do i need (a coat|an umbrella) in {0}?",
            "how (hot|cold|warm) is it in {0}?",
        ),
        (
            "could you look up the weather for {0}?",
            "i am in {0}, will it rain?",
            "what temperature does {0} have today?",
        ),
        (words.city,),
        weather,
    ),
    Known(
        ("set_timer", "start_timer", "timer"),
        ("Starts a timer.", "Set a timer for a number of minutes."),
        (("minutes", "duration"),),
        (
            "(set|start|make) a timer for {0} minutes",
            "timer {0} minutes",
            "(remind|wake) me in {0} minutes",
            "{0} minute timer( please|)",
            "count down {0} minutes",
            "i need a timer of {0} minutes",
            "set timer to {0} min",
        ),
        ("please run a timer during {0} minutes", "let me know when {0} minutes are over"),
        (number(120),),
        done,
    ),
    Known(
        ("calculate", "calculator", "compute", "evaluate"),
        ("Calculates an expression.", "Evaluates arithmetic."),
        (("expression", "formula"),),
        (
            "(what is|calculate|compute|how much is|work out|solve|evaluate) {0}( please|)(?|)",
            "{0} = ?",
            "{0}",
            "can you (calculate|compute) {0}?",
            "the result of {0}",
        ),
        ("give me the value of {0}", "i need to know {0}"),
        (expression,),
        total,
    ),
    Known(
        ("list_files", "ls", "show_files", "read_folder"),
        ("Lists the files in a folder.", "Shows what is in a directory."),
        (("folder", "path", "directory"),),
        (
            "(list|show|show me|give me) (the |all |)files in (the folder |)({0}|{0} folder)",
            "what (is|files are) in (the folder |){0}?",
            "which files (are in|does) (the folder |){0}( hold| have|)?",
            "ls {0}",
            "look into (the folder |){0}",
        ),
        ("please print the content of the folder {0}", "i want to see every file in {0}"),
        (folder,),
        file_list,
    ),
    Known(
        ("add", "sum", "add_numbers", "plus"),
        ("Adds two numbers.", "The sum of a and b."),
        (("a", "x", "first"), ("b", "y", "second")),
        (
            "add {0} and {1}",
            "(what is|how much is) {0} (plus|and|+) {1}?",
            "{0} + {1}",
            "sum of {0} and {1}",
            "{0} plus {1}",
        ),
        ("please sum {0} and {1} for me", "give me {0} plus {1}"),
        (number(900), number(900)),
        total,
    ),
    Known(
        ("multiply", "times", "product"),
        ("Multiplies two numbers.", "The product of two numbers."),
        (("a", "x", "first"), ("b", "y", "second")),
        (
            "multiply {0} (by|and|with) {1}",
            "(what is|how much is) {0} (times|x|multiplied by) {1}?",
            "product of {0} and {1}",
            "{0} times {1}",
        ),
        ("give me {0} multiplied by {1}",),
        (number(99), number(99)),
        total,
    ),
    Known(
        ("remember", "save_note", "note", "store_memory"),
        ("Remembers a text.", "Saves a note.", "Stores a fact for later."),
        (("text", "note", "content"),),
        (
            "(remember|please remember|note|save|store|keep in mind|do not forget|write down)( that|:|) {0}",
            "make a note: {0}",
            "save this: {0}",
            "remember this: {0}",
        ),
        ("please keep this for later: {0}", "note down that {0}"),
        (phrase,),
        done,
    ),
    Known(
        ("send_message", "send_email", "message", "write_to"),
        ("Sends a message to a person.", "Send a text to somebody."),
        (("to", "recipient", "name"), ("text", "message", "body")),
        (
            "(send|write) {0} (the message|a message|the text)(:| saying) {1}",
            "tell {0}( that|:|) {1}",
            "message {0}: {1}",
            "write to {0}: {1}",
            "send a message to {0}: {1}",
        ),
        ("let {0} know: {1}", "please text {0} this: {1}"),
        (words.person, phrase),
        done,
    ),
    Known(
        ("search", "search_notes", "find", "look_up"),
        ("Searches notes.", "Finds text in documents.", "Search for something."),
        (("query", "text", "words"),),
        (
            "(search|look|search my notes) for {0}",
            "find {0}( in my notes|)",
            "look up {0}",
            "what do my notes say about {0}?",
            "(search|find) (everything about|something about|notes about) {0}",
        ),
        ("is there anything on {0} in my notes?", "please hunt for {0}"),
        (refusal.topic,),
        sentence,
    ),
    Known(
        ("read_file", "open_file", "cat", "show_file"),
        ("Reads a file.", "Shows the text of a file."),
        (("file", "path", "name"),),
        (
            "(read|open|show|print|cat|show me) (the file |){0}",
            "what (is|stands) in (the file |){0}?",
            "what does (the file |){0} say?",
        ),
        ("please display the file {0}", "i want to know what {0} contains"),
        (lambda r, h: words.any_word(r, h) + r.choice((".txt", ".md", ".csv", ".py")),),
        sentence,
    ),
    Known(
        ("turn_on", "switch_on", "lamp_on"),
        ("Turns a device on.", "Switches something on."),
        (("device", "name", "thing"),),
        ("(turn|switch) on the {0}", "(turn|switch) the {0} on", "{0} on( please|)", "start the {0}"),
        ("please power on the {0}",),
        (words.THINGS.draw,),
        done,
    ),
    Known(
        ("play_music", "play", "play_song"),
        ("Plays music.", "Plays a song of an artist."),
        (("artist", "song", "name"),),
        ("play (something by |a song by |music by |){0}", "i want to hear {0}", "put on {0}"),
        ("let me listen to {0}",),
        (words.full_name,),
        done,
    ),
    Known(
        ("create_event", "add_event", "book"),
        ("Adds an event to the calendar.", "Books a date."),
        (("title", "name", "event"), ("date", "day", "when")),
        (
            "(add|create|book|plan) (a |an |the |){0} on {1}",
            "put (a |){0} on {1} in my calendar",
            "calendar: {0} on {1}",
            "i have a {0} on {1}",
        ),
        ("please schedule {0} for {1}",),
        (
            lambda r, h: (
                r.choice(("meeting", "party", "lunch", "exam", "dentist"))
                + r.choice(("", " with " + words.person(r, h)))
            ),
            lambda r, h: words.date(r),
        ),
        done,
    ),
    Known(
        ("translate", "translate_word"),
        ("Translates a word.",),
        (("word", "text"), ("language", "to")),
        ("translate {0} (to|into) {1}", "what is {0} in {1}?", "how do you say {0} in {1}?"),
        ("give me {0} in {1}",),
        (words.any_word, words.LANGUAGES.draw),
        sentence,
    ),
    Known(
        ("get_time", "current_time", "clock", "time_in"),
        ("Gives the time in a city.", "Current time of a place."),
        (("city", "place", "zone"),),
        ("what time is it in {0}?", "(the |current |)time in {0}", "how late is it in {0}?"),
        ("tell me the hour in {0}",),
        (words.city,),
        lambda r, h: {"time": words.clock(r)},
    ),
)
# fmt: off
VERBS = (
    "open", "close", "start", "stop", "move", "count", "show", "check", "paint", "clean", "send",
    "lock", "measure", "order", "fold", "wash", "mark", "drop", "weigh", "print", "sort", "copy",
    "scan", "test", "load", "ship", "rename", "cancel", "archive", "repair", "pause", "share",
)
# fmt: on
VERBS_HELD = ("lift", "polish", "reserve", "inspect", "shuffle", "water", "label")
KEYS = ("name", "id", "number", "value", "target", "item", "code", "size", "level", "title", "kind", "label")


def spread(draws: tuple[Draw, ...], rng: random.Random, held: bool) -> list[Any]:
    return [draw(rng, held) for draw in draws]


def known_tool(known: Known, rng: random.Random) -> Tool:
    """The tool under one of its names; kinds follow from what it draws."""
    sample = spread(known.draw, random.Random(1), False)
    keys = [rng.choice(names[:1] * 2 + names) for names in known.keys]
    kinds = {key: "integer" if isinstance(one, int) else "string" for key, one in zip(keys, sample, strict=True)}
    if rng.random() < 0.2:
        kinds = {key: "number" if kind == "integer" else kind for key, kind in kinds.items()}
    return Tool(rng.choice(known.names[:1] * 2 + known.names), rng.choice(known.descriptions), kinds)


@dataclass(frozen=True)
class Wish:
    """A tool, what the user says, the arguments that follow, and a possible response."""

    tool: Tool
    text: str
    arguments: dict[str, Any]
    result: Any


def known_wish(rng: random.Random, held: bool) -> Wish:
    known = rng.choices(KNOWN, [3, 2, 2.5, 2, 2, 1, 2, 1, 1.5, 1, 1, 1, 1, 1, 1])[0]
    tool = known_tool(known, rng)
    values = spread(known.draw, rng, held)
    text = say(rng.choice(known.held if held else known.asks), rng)
    for place, value in enumerate(values):
        text = text.replace("{" + str(place) + "}", str(value))
    return Wish(tool, text, dict(zip(tool.arguments, values, strict=True)), known.result(rng, held))


def invented_wish(rng: random.Random, held: bool) -> Wish:
    """A tool nobody has seen: its description and the wish share the verb and the noun."""
    verb = rng.choice(VERBS_HELD if held else VERBS)
    noun = words.invented(rng, held) if rng.random() < 0.4 else words.THINGS.draw(rng, held)
    count = rng.choice((1, 1, 2))
    keys = rng.sample(KEYS, count)
    if rng.random() < 0.3:
        keys[0] = words.invented(rng, held)
    values = [
        rng.choice(
            (rng.randrange(1, 999), words.person(rng, held), words.any_word(rng, held), words.invented(rng, held))
        )
        for _ in keys
    ]
    values = [int(one) if isinstance(one, str) and one.isdigit() else one for one in values]
    name = rng.choice((f"{verb}_{noun}", f"{noun}_{verb}", f"{verb}{noun.capitalize()}", words.invented(rng, held)))
    described = say("(A tool to |)" + verb + " (a|the|one) " + noun + "(.|)", rng)
    kinds = {key: "integer" if isinstance(one, int) else "string" for key, one in zip(keys, values, strict=True)}
    shape = rng.choice((" with {k} {v}", " {k} {v}", ", {k} {v}", ", {k}: {v}", " ({k} {v})"))
    tail = [shape.replace("{k}", key).replace("{v}", str(one)) for key, one in zip(keys, values, strict=True)]
    lead = say("(please |can you |i want to |)" + verb + " (the |a |my |)" + noun, rng)
    text = lead + " and".join(tail) if count > 1 else lead + (tail[0] if rng.random() < 0.7 else f" {values[0]}")
    return Wish(
        Tool(name, described[:1].upper() + described[1:], kinds),
        text,
        dict(zip(keys, values, strict=True)),
        rng.choice((done, sentence))(rng, held),
    )


def wish(rng: random.Random, held: bool) -> Wish:
    return known_wish(rng, held) if rng.random() < 0.62 else invented_wish(rng, held)


def offer(one: Wish, rng: random.Random, held: bool) -> list[Tool]:
    """The wanted tool among up to three others."""
    tools = [one.tool]
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        other = wish(rng, held).tool
        if other.name not in {tool.name for tool in tools} and other.description not in {
            tool.description for tool in tools
        }:
            tools.append(other)
    rng.shuffle(tools)
    return tools


def answer_to(result: Any) -> str:
    """Quote a response: its pairs, its list, or its text."""
    if isinstance(result, dict):
        shown = ", ".join(f"{key} {as_words(value)}" for key, value in result.items())
    else:
        shown = as_words(result)
    return f"The tool says: {shown}."


def as_words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def typed(text: str, arguments: dict[str, Any], rng: random.Random, held: bool) -> str:
    """Rough typing that leaves the values as they are."""
    if held:
        return text
    rougher = rough(text, rng, 0.8)
    whole = all(str(value) in rougher for value in arguments.values())
    return rougher if whole else text


def calling_turns(one: Wish) -> list[Turn]:
    """The wish and the call that grants it."""
    return [user(one.text), Turn("assistant", call=(one.tool.name, one.arguments))]


def calling(rng: random.Random, held: bool = False, other: list[Turn] | None = None) -> Dialogue:
    """A dialogue with tools; `other` is an exchange that needs none of them."""
    one = wish(rng, held)
    tools = offer(one, rng, held)
    if other and rng.random() < 0.3:
        return Dialogue([turn for turn in other if turn.role != "system"], tools)
    turns = [user(typed(one.text, one.arguments, rng, held)), Turn("assistant", call=(one.tool.name, one.arguments))]
    if rng.random() < 0.55:
        raw = one.result if isinstance(one.result, str) else json.dumps(one.result, ensure_ascii=False)
        turns += [Turn("tool", raw), pilot(answer_to(one.result))]
    return Dialogue(turns, tools)
