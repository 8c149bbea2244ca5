"""JSON on request: read a short text, write one compact object with its values, and stop.

Promises: values are copied from the request; what the request does not give is "unknown", 0 or
false. The keys are named in the request, in a schema in the system message, or nowhere (then
only the values count for learning, because the engine's grammar writes the keys).
Does not cover: schemas with references, or objects deeper than two levels.
"""

import json
import random
from dataclasses import dataclass
from typing import Any

from pilot.corpus import refusal, words
from pilot.corpus.phrases import rough, say
from pilot.dialogue import Turn, user

KINDS = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}


@dataclass(frozen=True)
class Case:
    """A request, the object it asks for, and the schema a client would send with it."""

    prompt: str
    system: str
    value: dict[str, Any]
    named: bool

    def schema(self) -> dict[str, Any]:
        return schema_of(self.value)


def schema_of(value: Any) -> dict[str, Any]:
    """The JSON schema of a value."""
    if isinstance(value, dict):
        return {
            "type": "object",
            "properties": {k: schema_of(v) for k, v in value.items()},
            "required": list(value),
            "additionalProperties": False,
        }
    if isinstance(value, list):
        return {"type": "array", "items": schema_of(value[0] if value else "")}
    return {"type": KINDS[type(value)]}


def person_facts(rng: random.Random, held: bool) -> tuple[str, dict[str, Any]]:
    name = rng.choice((words.person, words.person, words.full_name))(rng, held)
    age, place, job = rng.randrange(5, 99), words.city(rng, held), words.JOBS.draw(rng, held)
    pattern = rng.choice(
        (
            "{n} is {a} years old and lives in {p}.",
            "{n}, {a}, lives in {p} and works as a {j}.",
            "(My friend |My name is |This is |){n}, a {j} from {p}(, is {a} years old|, {a} years old|, aged {a}).",
            "{n} is a {a} year old {j} (from|in) {p}.",
            "I am {n}, {a}, {j} in {p}.",
            "{n} works as a {j} in {p}.",
            "name {n} age {a} city {p}",
            "{n} ({a}) is a {j} in {p}.",
        )
    )
    text = say(pattern, rng, n=name, a=str(age), p=place, j=job)
    key = rng.choice(("city", "city", "town", "place", "location"))
    facts: dict[str, Any] = {"name": name, "age": age, key: place, rng.choice(("job", "occupation", "profession")): job}
    return text, {k: v for k, v in facts.items() if str(v) in text}


def order_facts(rng: random.Random, held: bool) -> tuple[str, dict[str, Any]]:
    item, colour = words.THINGS.draw(rng, held), words.COLOURS.draw(rng, held)
    count, price = rng.randrange(2, 60), rng.choice((rng.randrange(1, 900), round(rng.uniform(1, 99), 2)))
    name = words.person(rng, held)
    pattern = rng.choice(
        (
            "{n} (ordered|bought|wants|would like) {c} {f} {i}s( for {e} euros| at {e} dollars| at {e} each|).",
            "(I want|I would like|Please send me|We need|Order:) {c} {f} {i}s( for {e} euros| at {e} dollars each|).",
            "An order of {c} {i}s in {f} for {n}, price {e}.",
            "{n}: {c} x {i}, {f}, {e}",
        )
    )
    text = say(pattern, rng, n=name, c=str(count), f=colour, i=item, e=str(price))
    facts: dict[str, Any] = {
        rng.choice(("item", "product", "thing")): item + "s" if item + "s" in text else item,
        rng.choice(("quantity", "count", "amount")): count,
        rng.choice(("colour", "color")): colour,
        "price": price,
        rng.choice(("customer", "name", "buyer")): name,
    }
    return text, {k: v for k, v in facts.items() if str(v) in text}


def event_facts(rng: random.Random, held: bool) -> tuple[str, dict[str, Any]]:
    title = (
        rng.choice(
            (
                "meeting",
                "party",
                "concert",
                "dinner",
                "lunch",
                "lesson",
                "workshop",
                "call",
                "wedding",
                "interview",
                "match",
                "exam",
            )
        )
        if not held
        else rng.choice(("picnic", "rehearsal", "seminar", "auction", "reception"))
    )
    day, place, time, name = words.date(rng), words.city(rng, held), words.clock(rng), words.person(rng, held)
    pattern = rng.choice(
        (
            "The {t} is on {d} at {h} in {p}.",
            "{t} with {n} on {d} at {h}(, {p}|).",
            "There is a {t} in {p} on {d}( at {h}|).",
            "{n} invites you to a {t} in {p} on {d}.",
            "On {d} we have a {t} in {p}(, starting at {h}|).",
        )
    )
    text = say(pattern, rng, t=title, d=day, p=place, h=time, n=name)
    facts = {
        rng.choice(("title", "event")): title,
        rng.choice(("date", "day")): day,
        "time": time,
        rng.choice(("place", "city", "location")): place,
        rng.choice(("host", "person", "name")): name,
    }
    return text, {k: v for k, v in facts.items() if v in text}


def animal_facts(rng: random.Random, held: bool) -> tuple[str, dict[str, Any]]:
    name, kind = words.person(rng, held), words.ANIMALS.draw(rng, held)
    colour, age = words.COLOURS.draw(rng, held), rng.randrange(2, 20)
    text = say(
        rng.choice(
            (
                "(My|Our|The) {k} {n} is {c} and {a} years old.",
                "{n} is a {c} {k}( of {a} years|).",
                "I have a {c} {k} called {n}(, {a} years old|).",
            )
        ),
        rng,
        n=name,
        k=kind,
        c=colour,
        a=str(age),
    )
    facts: dict[str, Any] = {
        "name": name,
        rng.choice(("animal", "species", "kind")): kind,
        rng.choice(("colour", "color")): colour,
        "age": age,
    }
    return text, {k: v for k, v in facts.items() if str(v) in text}


def list_facts(rng: random.Random, held: bool) -> tuple[str, dict[str, Any]]:
    source = rng.choice((words.THINGS, words.ANIMALS, words.FOODS, words.NAMES, words.COLOURS))
    items = rng.sample(source.held if held else source.train, rng.randrange(2, 5))
    joined = ", ".join(items[:-1]) + " and " + items[-1]
    name = words.person(rng, held)
    text = say(
        rng.choice(
            (
                "{n} (likes|has|wants|bought|needs) {l}.",
                "The (list|basket|box) of {n} holds {l}.",
                "We need {l}.",
                "{n}: {l}",
            )
        ),
        rng,
        n=name,
        l=joined,
    )
    facts: dict[str, Any] = {rng.choice(("items", "list", "things", "names", "tags")): items}
    if name in text and rng.random() < 0.6:
        facts = {rng.choice(("name", "owner", "person")): name, **facts}
    return text, facts


def free_facts(rng: random.Random, held: bool) -> tuple[str, dict[str, Any]]:
    """Keys nobody has seen: "the brel of the lamp is 4"."""
    facts: dict[str, Any] = {}
    parts = []
    for _ in range(rng.randrange(1, 4)):
        key = (
            words.invented(rng, held)
            if rng.random() < 0.5
            else rng.choice(
                (
                    "size",
                    "weight",
                    "speed",
                    "owner",
                    "code",
                    "brand",
                    "level",
                    "height",
                    "colour",
                    "status",
                    "title",
                    "author",
                    "year",
                    "score",
                    "email",
                    "country",
                    "material",
                    "number",
                )
            )
        )
        value: Any = rng.choice(
            (
                words.any_word(rng, held),
                words.person(rng, held),
                rng.randrange(0, 5000),
                round(rng.uniform(0, 50), 1),
                rng.random() < 0.5,
                words.full_name(rng, held),
            )
        )
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        facts[key] = value
        shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
        parts.append(
            say(rng.choice(("the {k} is {v}", "{k} is {v}", "{k}: {v}", "its {k} is {v}")), rng, k=key, v=shown)
        )
    return rng.choice((" and ", ", ")).join(parts) + ".", facts


SOURCES = (person_facts, order_facts, event_facts, animal_facts, list_facts, free_facts)
SHARES = (5, 3, 3, 2, 2.5, 3)
ASKS = (
    "{d} (Give|Return|Write|Make|Reply with|Answer with) (JSON|a JSON object|one JSON object|an object) "
    "with (the keys|keys|the fields|fields|) {k}.",
    "(Extract|Get|Find|Pull out|Read) {k} (as JSON|in JSON|into a JSON object)(: | from this: | from: | "
    "from this text: ){d}",
    "(As JSON|JSON) with {k}: {d}",
    "{d} (Extract|Give) {k} as JSON.",
    "(Turn|Convert) this into JSON with {k}: {d}",
)
ASKS_HELD = (
    "{d} Please produce a JSON object holding {k}.",
    "Fill in {k} as JSON using this: {d}",
    "{d} I need {k} in JSON format.",
)
BARE = (
    "{d}",
    "{d} (Give|Return|Write|Answer in|As|Reply in) JSON.",
    "(Extract|Read|Parse|Describe) (the facts|the data|this|the details|the information)( as JSON|)(.|:) {d}",
    "(Fill in|Complete) the (form|object|record)(.|:) {d}",
    "Give me (an object|a JSON object|JSON) for this: {d}",
)
BARE_HELD = ("Put the following in JSON form: {d}", "{d} Structure that as an object please.")


def unrelated(rng: random.Random, held: bool) -> Case:
    """A wish with no facts in it, and a schema all the same: say unknown and end."""
    ask = refusal.refusal(rng, held)[0].content
    keys = rng.sample(
        (
            "title",
            "text",
            "answer",
            "name",
            "age",
            "city",
            "summary",
            "capital",
            "year",
            "count",
            "reason",
            "items",
            "score",
            "valid",
            "ok",
            "author",
            "country",
            "price",
            "result",
            "description",
        ),
        rng.randrange(1, 4),
    )
    kinds: dict[str, Any] = {
        "age": 0,
        "year": 0,
        "count": 0,
        "score": 0,
        "valid": False,
        "ok": False,
        "price": 0.0,
        "items": ["unknown"],
    }
    return Case(ask, "", {key: kinds.get(key, "unknown") for key in keys}, False)


def case(rng: random.Random, held: bool = False) -> Case:
    """One request for an object."""
    if rng.random() < 0.08:
        return unrelated(rng, held)
    text, facts = rng.choices(SOURCES, SHARES)[0](rng, held)
    keys = list(facts)
    if len(keys) > 1 and rng.random() < 0.4:
        keys = rng.sample(keys, rng.randrange(1, len(keys) + 1))
    value = {key: facts[key] for key in keys}
    if rng.random() < 0.08:
        missing, blank = rng.choice(
            (("phone", "unknown"), ("email", "unknown"), ("note", "unknown"), ("size", 0), ("paid", False))
        )
        value[missing] = blank
    if len(value) > 1 and rng.random() < 0.06:
        value = {rng.choice(("person", "data", "record", "result", "entry")): value}
    if rng.random() < 0.3:
        text = text[:1].lower() + text[1:] if rng.random() < 0.5 else text
    return phrase(text, value, rng, held)


def phrase(text: str, value: dict[str, Any], rng: random.Random, held: bool) -> Case:
    """The wish in words: keys named, keys in a schema, or no keys at all."""
    kind = rng.random()
    nested = any(isinstance(one, dict) for one in value.values())
    if kind < 0.45 and not nested:
        keys = list(value)
        shown = ", ".join(keys[:-1]) + " and " + keys[-1] if len(keys) > 1 else keys[0]
        prompt = say(rng.choice(ASKS_HELD if held else ASKS), rng, k=shown).replace("{d}", text)
        return Case(prompt, "", value, True)
    prompt = say(rng.choice(BARE_HELD if held else BARE), rng).replace("{d}", text)
    if kind < 0.65:
        shown = json.dumps(schema_of(value)["properties"])
        lead = say("(Answer|Reply|Respond|Write) (only |)(in|with|as) JSON(:| of this schema:| like this:) ", rng)
        return Case(prompt, lead + " " + shown, value, True)
    return Case(prompt, "", value, False)


def pieces(value: dict[str, Any], named: bool) -> tuple[tuple[str, float], ...]:
    """The object; without named keys only what follows a key is learned."""
    text = json.dumps(value, ensure_ascii=False)
    if named:
        return ((text, 1.0),)
    out: list[tuple[str, float]] = []
    for number, (key, one) in enumerate(value.items()):
        out.append((("{" if number == 0 else " ") + json.dumps(key) + ": ", -1.0))
        last = number == len(value) - 1
        out.append((json.dumps(one, ensure_ascii=False) + ("}" if last else ","), 1.0))
    return tuple(out)


def extraction(rng: random.Random, held: bool = False) -> list[Turn]:
    """A request and its object."""
    one = case(rng, held)
    prompt = one.prompt
    if not held and rng.random() < 0.15:
        prompt = rough(prompt, rng, 0.3) if prompt.count('"') == 0 else prompt
        if not all(str(v) in prompt or not isinstance(v, str) or v == "unknown" for v in one.value.values()):
            prompt = one.prompt
    turns = [Turn("system", one.system)] if one.system else []
    return [*turns, user(prompt), Turn("assistant", pieces=pieces(one.value, one.named))]
