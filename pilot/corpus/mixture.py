"""How much of each skill the pilot reads, and how exchanges become conversations.

Promises: document number `i` of a seed is always the same, whatever was drawn before it.
Does not cover the copying stage at the start of training (`pilot/documents.py`).
"""

import random

from pilot.corpus import commands, courtesy, extract, identity, refusal, toolcalls, turns
from pilot.corpus.exchanges import exchange
from pilot.dialogue import Dialogue, Turn

SHARES = {
    "courtesy": 18,
    "identity": 12,
    "commands": 17,
    "refusal": 16,
    "extract": 16,
    "tools": 16,
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


def dialogue(seed: int, number: int) -> Dialogue:
    """Document `number` of a seed."""
    rng = random.Random(f"{seed}:{number}")
    skill = rng.choices(list(SHARES), list(SHARES.values()))[0]
    if skill == "tools":
        return with_tools(rng)
    body = talk(skill, rng)
    if body[0].role != "system" and rng.random() < 0.2:
        body = [Turn("system", rng.choice(turns.PLAIN)), *body]
    return Dialogue(body)


def talk(skill: str, rng: random.Random) -> list[Turn]:
    """A conversation of a few exchanges around one skill."""
    if skill == "extract":
        return extract.extraction(rng)
    if skill == "order":
        asked = [turn for _ in range(rng.choice((1, 1, 2))) for turn in any_simple(rng)]
        return turns.order(rng, asked)
    if skill == "called":
        return turns.called(rng)
    if skill == "name":
        first, last = turns.told(rng)
        between = [turn for _ in range(rng.choice((0, 0, 1, 1, 2, 3))) for turn in any_simple(rng)]
        return [*first, *between, *(last if rng.random() < 0.85 else [])]
    if skill == "untold":
        return turns.untold(rng)
    body = simple(skill, rng)
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
