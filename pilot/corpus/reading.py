"""Reading: a passage, a question in other words, and the answer copied from the passage, or "not found".

Promises: one (entity, attribute) has at most one value in a passage, so each question has one right answer; about three
questions in ten ask for what the passage does not say, most of them near misses; entities, values and wordings of `trial`
never occur in `document`. Does not cover: what can be said and asked (`passages.py`).
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from pilot.corpus import passages
from pilot.corpus.passages import KINDS, Attribute, Kind
from pilot.corpus.phrases import say
from pilot.corpus.skill import Ask, Mark
from pilot.dialogue import Dialogue, Turn, pilot, user

PROMPT = "Answer from the passage. If it does not say, answer: not found."
ABSENT = "not found"
GOALS = {"reading_found_pct": (">=", 90.0), "reading_absent_pct": (">=", 95.0)}
TRIALS = 400
CHARACTERS_A_TOKEN = 3.4  # measured on passages of the evaluation: 3.46

# Up to which share of the run, and how often a passage has one or two, up to 4, 8, 14, 30 facts.
STAGES = (
    (0.18, (100, 0, 0, 0, 0)),
    (0.32, (50, 50, 0, 0, 0)),
    (0.48, (30, 35, 35, 0, 0)),
    (0.64, (22, 26, 30, 14, 8)),
    (1.01, (20, 25, 27, 16, 12)),
)
FACTS = ((1, 2), (3, 4), (5, 8), (9, 14), (12, 30))


@dataclass(frozen=True)
class Fact:
    """One thing that a passage says."""

    entity: str
    attribute: Attribute
    value: str


@dataclass(frozen=True)
class Passage:
    """A text, what it says, and which kind each of its entities is."""

    text: str
    facts: list[Fact]
    entities: dict[str, Kind]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def new_entity(kind: Kind, known: Iterable[str], rng: random.Random, held: bool) -> str:
    """A name that neither contains a known one nor is contained in one."""
    while True:
        entity = kind.draw(rng, held)
        bare = entity.removeprefix("the ")
        if not any(bare in other or other.removeprefix("the ") in entity for other in known):
            return entity


def draw_facts(count: int, rng: random.Random, held: bool) -> tuple[list[Fact], dict[str, Kind]]:
    """Facts about a few entities of one to three kinds, so that the same attribute comes up for several of them."""
    kinds = rng.sample(KINDS, rng.choice((1, 1, 2, 2, 3)))
    facts: list[Fact] = []
    entities: dict[str, Kind] = {}
    while len(facts) < count:
        kind = rng.choice(kinds)
        entity = new_entity(kind, entities, rng, held)
        entities[entity] = kind
        many = min(rng.randrange(1, 5), len(kind.attributes), count - len(facts))
        facts += [Fact(entity, one, one.draw(rng, held)) for one in rng.sample(kind.attributes, many)]
    if rng.random() < 0.5:
        rng.shuffle(facts)
    return facts, entities


def article(value: str) -> str:
    return "an" if value[0] in "aeiou" else "a"


def sentence(fact: Fact, rng: random.Random, held: bool) -> str:
    """A fact in prose."""
    pattern = rng.choice(fact.attribute.held_states if held else fact.attribute.states)
    text = say(pattern, rng, a=article(fact.value), e=fact.entity, v=fact.value)
    if rng.random() < 0.12 and text.split()[0] not in passages.ORDERS:
        text = say(rng.choice(passages.HELD_WRAPS if held else passages.WRAPS), rng, s=text)
    return capital(text) + "."


def filler(named: list[str], rng: random.Random, held: bool) -> str:
    """A sentence without a fact; some of them name an entity of the passage."""
    pattern = rng.choice(passages.HELD_FILLER if held else passages.FILLER)
    return capital(say(pattern, rng, n=rng.choice(named) if named else passages.name(rng, held))) + "."


def listing(facts: list[Fact], rng: random.Random, held: bool) -> str:
    """Facts as labelled lines under the names of their entities."""
    form = rng.choice(passages.HELD_LINES if held else passages.LINES)
    blocks = []
    for entity in dict.fromkeys(fact.entity for fact in facts):
        lines = [capital(entity)]
        for fact in facts:
            if fact.entity == entity:
                label = fact.attribute.label
                lines.append(form.format(l=capital(label) if form.startswith("{l}") else label, v=fact.value))
        blocks.append("\n".join(lines))
    return rng.choice(("\n", "\n\n")).join(blocks)


def single_lines(facts: list[Fact], rng: random.Random, held: bool) -> str:
    """Each fact as a line of its own, as in notes."""
    form = rng.choice(passages.HELD_SINGLE_LINES if held else passages.SINGLE_LINES)
    lines = (form.format(l=fact.attribute.label, e=fact.entity, v=fact.value) for fact in facts)
    return "\n".join(capital(line) for line in lines)


def prose(sentences: list[str], rng: random.Random) -> str:
    """Sentences, in paragraphs when there are many."""
    text = sentences[0]
    for one in sentences[1:]:
        text += (rng.choice(("\n", "\n\n")) if rng.random() < 0.08 else " ") + one
    return text


def passage(count: int, size: int, rng: random.Random, held: bool) -> Passage:
    """`count` facts, with filler up to about `size` characters."""
    facts, entities = draw_facts(count, rng, held)
    kind = rng.random()
    if kind < 0.28:
        parts = [listing(facts, rng, held) if kind < 0.18 else single_lines(facts, rng, held)]
    else:
        parts = [sentence(fact, rng, held) for fact in facts]
    length = sum(map(len, parts)) + len(parts)
    named = list(entities)
    extra: list[str] = []
    while length + 40 < size:
        one = filler(named if rng.random() < 0.7 else [], rng, held)
        if one not in extra:
            extra.append(one)
            length += len(one) + 1
    if kind < 0.28:
        cut = rng.randrange(len(extra) + 1)
        blocks = [prose(block, rng) for block in (extra[:cut], extra[cut:]) if block]
        blocks.insert(rng.randrange(len(blocks) + 1), parts[0])
        text = "\n\n".join(blocks)
    else:
        for one in extra:
            parts.insert(rng.randrange(len(parts) + 1), one)
        text = prose(parts, rng)
    if rng.random() < 0.12:
        text = rng.choice(passages.HELD_HEADINGS if held else passages.HEADINGS) + "\n" + text
    return Passage(text, facts, entities)


def question(entity: str, attribute: Attribute, rng: random.Random, held: bool) -> str:
    """Asks for an attribute of an entity."""
    kind = rng.random()
    if kind < 0.07:
        form = rng.choice(passages.HELD_SHORT_ASKS if held else passages.SHORT_ASKS)
        return capital(form.format(l=attribute.label, e=entity))
    text = say(rng.choice(attribute.held_asks if held else attribute.asks), rng, e=entity)
    if kind < 0.17:
        text = say(rng.choice(passages.HELD_LEADS if held else passages.LEADS), rng, q=text)
    return capital(text)


def missing(read: Passage, rng: random.Random, held: bool) -> tuple[str, Attribute]:
    """An entity and an attribute that the passage does not join: mostly both are there, but not together."""
    said = {(fact.entity, fact.attribute.label) for fact in read.facts}
    labels = {fact.attribute.label for fact in read.facts}
    free = [
        (entity, one)
        for entity, kind in read.entities.items()
        for one in kind.attributes
        if (entity, one.label) not in said
    ]
    near = [pair for pair in free if pair[1].label in labels]
    kind = rng.random()
    if near and kind < 0.4:
        return rng.choice(near)
    if free and kind < 0.6:
        return rng.choice(free)
    like = rng.choice(read.facts)
    home = read.entities[like.entity]
    return new_entity(home, read.entities, rng, held), like.attribute


def size_of(facts: int, progress: float, rng: random.Random) -> int:
    """How many characters a passage of training should have, filler included."""
    if facts > 14 or (facts >= 12 and rng.random() < 0.4):
        return rng.randrange(1800, 3700)
    if progress > 0.4 and rng.random() < 0.03:
        return rng.randrange(1000, 3500)
    if rng.random() > 0.2 + 0.15 * progress:
        return 0
    return int(facts * 42 * rng.uniform(1.2, 2.2)) + rng.randrange(40, 120)


def document(rng: random.Random, progress: float = 1.0) -> Dialogue:
    """A passage and its questions; `progress` is the place in the run, 0 to 1."""
    weights = next(weights for until, weights in STAGES if progress < until)
    low, high = FACTS[rng.choices(range(len(FACTS)), weights)[0]]
    count = rng.randrange(low, high + 1)
    read = passage(count, size_of(count, progress, rng), rng, held=False)
    found = rng.sample(read.facts, min(count, 10, 3 + count // 2 + rng.randrange(3)))
    asked: dict[tuple[str, str], tuple[str, str]] = {}
    for fact in found:
        text = question(fact.entity, fact.attribute, rng, False)
        asked[fact.entity, fact.attribute.label] = (text, fact.value)
        if rng.random() < 0.43:
            entity, attribute = missing(read, rng, False)
            asked[entity, attribute.label] = (question(entity, attribute, rng, False), ABSENT)
    pairs = list(asked.values())
    rng.shuffle(pairs)
    turns = [Turn("system", PROMPT)]
    for at, (text, answer) in enumerate(pairs):
        opening = "" if at else f"{read.text}\n\n"
        turns += [user(f"{opening}Question: {text}"), pilot(answer)]
    return Dialogue(turns)


def trial(ask: Ask, rng: random.Random) -> Iterable[Mark]:
    """One passage of 40 to 1,000 tokens and one question."""
    size = int(rng.uniform(40, 1000) * CHARACTERS_A_TOKEN)
    count = min(30, max(1, int(size * rng.uniform(0.05, 0.65) / 50)))
    read = passage(count, size, rng, held=True)
    if rng.random() < 0.5:
        figure = "reading_found_pct"
        fact = rng.choice(read.facts)
        entity, attribute, wanted = fact.entity, fact.attribute, fact.value
    else:
        figure = "reading_absent_pct"
        (entity, attribute), wanted = missing(read, rng, True), ABSENT
    text = question(entity, attribute, rng, True)
    sent = [
        {"role": "system", "content": PROMPT},
        {"role": "user", "content": f"{read.text}\n\nQuestion: {text}"},
    ]
    reply = ask(sent)
    good = reply.text == wanted and reply.ended and not reply.calls
    note = f"{len(read.text)} characters, {count} facts, {text!r}: wanted {wanted!r}, got {reply.text!r}"
    yield Mark(figure, good, note)
