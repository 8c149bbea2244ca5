"""How much of each skill the pilot reads, and how exchanges of plain talk become conversations.

Promises: document number `i` of a seed at a given place of the run is always the same, whatever was drawn before it. Shares are
given in tokens, which is what training costs; `TOKENS` (the mean length of a document, measured) turns them into documents.
Does not cover the copying stage at the start of training (`pilot/documents.py`).
"""

import random

from pilot.corpus import (
    arithmetic,
    bad_input,
    chains,
    choice,
    commands,
    courtesy,
    drill,
    extract,
    hanoi,
    identity,
    intents,
    itself,
    labels,
    reading,
    refusal,
    toolcalls,
    troubles,
    turns,
)
from pilot.corpus.exchanges import exchange
from pilot.corpus.skill import Skill
from pilot.dialogue import Dialogue, Turn

SKILLS: dict[str, Skill] = {
    "intents": intents,
    "choice": choice,
    "chains": chains,
    "troubles": troubles,
    "reading": reading,
    "labels": labels,
    "hanoi": hanoi,
    "arithmetic": arithmetic,
    "itself": itself,
    "bad_input": bad_input,
}
# Skill to (share of the tokens beside the others' shares, mean tokens of a document).
SHARES: dict[str, tuple[float, float]] = {
    "intents": (5, 119),
    "choice": (14, 528),
    "chains": (15, 576),
    "troubles": (10, 403),
    "reading": (14, 430),
    "labels": (6, 201),
    "hanoi": (6, 162),
    "arithmetic": (7, 148),
    "itself": (2.5, 76),
    "bad_input": (2.5, 77),
    "talk": (8, 66),
    "extract": (1.5, 68),
    "toolcalls": (2, 137),
    "drill": (8, 270),
}
# How much a learned token of a skill counts. An intent is decided in one token, a state of Hanoi is copied in forty: counted
# alike, the first would be 2 % of the loss (measured after 6 million tokens).
WEIGHTS: dict[str, float] = {
    "intents": 1.0,
    "labels": 1.0,
    "itself": 0.6,
    "bad_input": 0.6,
    "reading": 0.6,
    "choice": 0.4,
    "chains": 0.4,
    "troubles": 0.4,
    "arithmetic": 0.4,
    "extract": 0.4,
    "toolcalls": 0.4,
    "hanoi": 0.25,
    "talk": 0.5,
    "drill": 0.25,
}
TALK = {
    "courtesy": 18,
    "identity": 20,
    "commands": 17,
    "refusal": 16,
    "repeat": 6,
    "one_word": 4,
    "order": 3,
    "name": 4,
    "called": 1,
    "untold": 0.7,
}
SIMPLE = {"courtesy": 8, "identity": 12, "commands": 14, "refusal": 14, "repeat": 3, "one_word": 2}


def simple(skill: str, rng: random.Random) -> list[Turn]:
    """One exchange that stands alone."""
    if skill == "courtesy":
        return exchange(rng.choice(courtesy.INTENTS), rng)
    if skill == "identity":
        return exchange(rng.choice(identity.INTENTS), rng)
    if skill == "commands":
        return exchange(rng.choice(commands.INTENTS), rng)
    if skill == "refusal":
        return refusal.refusal(rng)
    return turns.repeat(rng) if skill == "repeat" else turns.one_word(rng)


def any_simple(rng: random.Random) -> list[Turn]:
    return simple(rng.choices(list(SIMPLE), list(SIMPLE.values()))[0], rng)


def beside_tools(rng: random.Random) -> list[Turn]:
    """An exchange that no tool on offer would serve."""
    skill = rng.choice(("courtesy", "identity", "commands", "refusal"))
    return refusal.refusal(rng, False, True) if skill == "refusal" else simple(skill, rng)


def dialogue(seed: int, number: int, progress: float = 1.0) -> Dialogue:
    """Document `number` of a seed; `progress` (0 to 1) is its place in the run, for skills that go from easy to hard."""
    rng = random.Random(f"{seed}:{number}")
    return document(draw_skill(rng), rng, progress)


def draw_skill(rng: random.Random) -> str:
    """The skill of a document: the first thing its generator decides."""
    return rng.choices(list(SHARES), [share / size for share, size in SHARES.values()])[0]


def document(skill: str, rng: random.Random, progress: float = 1.0) -> Dialogue:
    """One document of a skill of `SHARES`."""
    if skill == "reading":
        return reading.document(rng, progress)
    if skill == "drill":
        return drill.document(rng)
    if skill in SKILLS:
        made: Dialogue = SKILLS[skill].document(rng)
        return made
    if skill == "toolcalls":
        return with_tools(rng)
    body = extract.extraction(rng) if skill == "extract" else talk(rng)
    if body[0].role != "system" and rng.random() < 0.2:
        body = [Turn("system", rng.choice(turns.PLAIN)), *body]
    return Dialogue(body)


def talk(rng: random.Random) -> list[Turn]:
    """A conversation of a few exchanges."""
    kind = rng.choices(list(TALK), list(TALK.values()))[0]
    if kind == "order":
        asked = [turn for _ in range(rng.choice((1, 1, 2))) for turn in any_simple(rng)]
        return turns.order(rng, asked)
    if kind == "called":
        return turns.called(rng)
    if kind == "name":
        first, last = turns.told(rng)
        between = [turn for _ in range(rng.choice((0, 0, 1, 1, 2, 3))) for turn in any_simple(rng)]
        return [*first, *between, *(last if rng.random() < 0.85 else [])]
    if kind == "untold":
        return turns.untold(rng)
    body = simple(kind, rng)
    more = rng.choices((0, 1, 2, 3, 12), (55, 22, 12, 10, 1))[0]
    for _ in range(more):
        body = [*body, *any_simple(rng)]
    return body


def with_tools(rng: random.Random) -> Dialogue:
    """Tools on offer, sometimes with a system message or a second wish."""
    one = toolcalls.calling(rng, False, beside_tools(rng))
    body = one.turns
    if rng.random() < 0.15:
        body = [*beside_tools(rng), *body]
    if rng.random() < 0.15 and body[-1].call is None:
        body = [*body, *beside_tools(rng)]
    if rng.random() < 0.25:
        body = [Turn("system", rng.choice(turns.PLAIN)), *body]
    return Dialogue(body, one.tools)
