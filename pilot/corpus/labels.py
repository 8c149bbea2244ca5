"""The skill `labels`: one of six classes for a line of text, by the kind of answer its question asks for.

Promises: the six names and the system message are those of `fixtures/labels.json`; the wordings and values of the trials are in
no document; a fifth of the lines has a date and a user in front, as recursive reading feeds them.
Does not cover: the wordings and the nouns that decide (`label_wordings.py`), how lines are counted afterwards.
"""

import json
import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from pilot.corpus import words
from pilot.corpus.intents import plural
from pilot.corpus.label_wordings import LABELS, LISTS, SHORT
from pilot.corpus.phrases import rough, say
from pilot.corpus.skill import Ask, Mark
from pilot.dialogue import Dialogue, Turn, pilot, user

FIXTURE = json.loads((Path(__file__).parents[2] / "fixtures" / "labels.json").read_text("utf-8"))
PROMPT: str = FIXTURE["prompt"]
NAMES: tuple[str, ...] = tuple(entry["name"] for entry in FIXTURE["labels"])

GOALS: dict[str, tuple[str, float]] = {"labels_pct": (">=", 97)}
TRIALS = 480

NOUNS = {name: tuple(entries.split(",")) for name, entries in LISTS.items()}
# Names that say nothing by themselves: invented words among known ones.
HABITS = {
    "someone": (
        "{person}",
        "{person} {proper}",
        "{proper}",
        "{known_person}",
        "{person} {letter}. {proper}",
        "the {proper}s",
    ),
    "place": ("{city}", "{country}", "{proper}", "the {proper}", "{proper} {proper}", "{country}", "the world"),
    "work": ("the {word}", "{title}", "{title}", "the {proper} {thing}", "the {word} {thing}", "the {thing}"),
    "title": (
        '"The {proper} {big_thing}"',
        '"{proper} and {proper}"',
        "'{proper} {big_thing}'",
        "the {proper} of {proper}",
    ),
    "nick": ("the {proper}", '"{proper}"', "{proper}", "the {quality} {thing}", "'the {rank} {thing}'"),
    "someone_or_place": ("{someone}", "{place}"),
    "someone_or_animal": ("{someone}", "{animal}s", "a {animal}", "the {animal}"),
    "place_or_thing": ("{place}", "{place}", "{work}", "{someone}"),
    "subject_or_idea": ("{subject}", "{idea}", "{idea}", "{topic}"),
    "idea_plain": ("{word}", "{thing}", "{word} {thing}", "{topic}"),
    "long_name": (
        "{proper} {proper}",
        "the {proper} {office}",
        "the {of_place} {proper} {office}",
        "{word} {thing}",
        "{thing}s per {thing}",
        "{word}",
        "the {office} of {proper}",
    ),
    "office": (
        "bureau",
        "agency",
        "institute",
        "union",
        "office",
        "league",
        "council",
        "society",
        "company",
        "army",
        "bank",
    ),
}


def letters(rng: random.Random, held: bool) -> str:
    """Capitals as abbreviations have them; sometimes with dots."""

    def draw() -> str:
        return "".join(rng.choice("ABCDEFGHIJKLMNOPRSTUVWXZ") for _ in range(rng.choice((2, 3, 3, 4, 4, 5))))

    text = words.fenced(draw, held)
    kind = rng.random()
    if kind < 0.15:
        return "".join(letter + "." for letter in text)
    return f"'{text}'" if kind < 0.25 else text


PLAIN: dict[str, Callable[[random.Random, bool], str]] = {
    "word": words.fresh,
    "proper": lambda rng, held: words.fresh(rng, held).capitalize(),
    "person": words.person,
    "known_person": words.PEOPLE.draw,
    "city": words.city,
    "country": words.COUNTRIES.draw,
    "thing": words.THINGS.draw,
    "big_thing": lambda rng, held: words.THINGS.draw(rng, held).capitalize(),
    "animal": words.ANIMALS.draw,
    "food": words.FOODS.draw,
    "topic": words.TOPICS.draw,
    "letter": lambda rng, held: rng.choice("ABCDEFGHJKLMNOPRSTUVWZ"),
    "year": lambda rng, held: str(rng.randrange(1200, 2030)),
    "letters": letters,
}


def fill(pattern: str, rng: random.Random, held: bool) -> str:
    """A line from a pattern; slots are drawn until none is left."""

    def slot(name: str) -> str:
        if name in PLAIN:
            return PLAIN[name](rng, held)
        if name in NOUNS:
            return rng.choice(NOUNS[name])
        return fill(rng.choice(HABITS[name]) if name in HABITS else f"({SHORT[name]})", rng, held)

    text = say(pattern, rng)
    while "{" in text:
        text = re.sub(
            r"\{(\w+)\}(s(?!\w))?", lambda found: plural(slot(found[1])) if found[2] else slot(found[1]), text
        )
    return re.sub(r" +", " ", text).replace(" ?", "?").strip()


def articles(text: str) -> str:
    """`a` before a vowel is `an`."""
    text = re.sub(r"\b([Aa])n? (?=[aeiouAEIOU])", r"\1n ", text)
    return re.sub(r"\b([Aa])n (?=[^aeiouAEIOU])", r"\1 ", text)


def wish(name: str, rng: random.Random, held: bool = False) -> str:
    """A question whose answer is of this label."""
    table = LABELS[name]
    text = articles(fill(rng.choice(table.held if held else table.train), rng, held))
    if rng.random() < 0.15:
        text = re.sub(r"^(what|who|where|when|how) is ", r"\1's ", text)
    kind = rng.random()
    if text.endswith("?") and kind < 0.15:
        text = text[:-1]
    elif text.endswith("?") and kind < 0.35:
        text = text[:-1] + " ?"
    elif text[-1].isalnum() and kind < 0.6:
        text += "."
    return text[:1].upper() + text[1:] if rng.random() < 0.75 else text


def in_front(text: str, rng: random.Random, held: bool) -> str:
    """The line as a log has it: a date, a user, the text."""
    who = str(words.number(rng, held, 10, 99999))
    day = f"20{rng.randrange(19, 30)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
    spoken = f"{rng.choice(words.MONTHS)[:3]} {rng.randrange(1, 29):02d}, 20{rng.randrange(19, 30)}"
    return rng.choice(
        (
            f"{day} | user {who} | {text}",
            f"{day} | user {who} | {text}",
            f"{day} user {who}: {text}",
            f"Date: {spoken} || User: {who} || Instance: {text}",
            f"user {who}, {day}: {text}",
        )
    )


def line(name: str, rng: random.Random, held: bool = False) -> str:
    """A question, one in five as a line of a log; training has some slips of the finger."""
    text = wish(name, rng, held)
    if not held and rng.random() < 0.1:
        text = rough(text, rng, 0.5)
    return in_front(text, rng, held) if rng.random() < 0.2 else text


def exchange(rng: random.Random) -> list[Turn]:
    """One line and its label."""
    name = rng.choice(NAMES)
    return [user(line(name, rng)), pilot(name)]


def document(rng: random.Random) -> Dialogue:
    """One line, or a few one after another, under the one system message."""
    count = 1 if rng.random() < 0.3 else rng.randrange(2, 17)
    return Dialogue([Turn("system", PROMPT), *(turn for _ in range(count) for turn in exchange(rng))])


def trial(ask: Ask, rng: random.Random) -> Iterable[Mark]:
    """One unseen line; the answer must be its label and nothing else."""
    name = rng.choice(NAMES)
    text = line(name, rng, held=True)
    reply = ask([{"role": "system", "content": PROMPT}, {"role": "user", "content": text}])
    yield Mark("labels_pct", reply.text.strip() == name, f"{name}: {text!r} -> {reply.text!r}")
