"""A tiny grammar for paraphrases, and the noise people type with.

`(a|b|)` picks one of its branches, nested as deep as wanted; `{name}` is filled in from a table.
Promises: the same generator state gives the same text. Does not cover meaning: a pattern may
say odd things if its author lets it.
"""

import random
import re
from functools import cache

Tree = list["str | list[Tree]"]


@cache
def parse(pattern: str) -> tuple[object, ...]:
    """A pattern as a tree: strings, and tuples of branches."""
    pattern = pattern.replace("`?", "(`|)")
    tree, at = _sequence(pattern, 0)
    if at != len(pattern):
        raise ValueError(f"unbalanced pattern: {pattern}")
    return tree


def _sequence(pattern: str, at: int) -> tuple[tuple[object, ...], int]:
    """Read until a bar or a closing bracket of the level above."""
    out: list[object] = []
    text = ""
    while at < len(pattern) and pattern[at] not in "|)":
        if pattern[at] != "(":
            text += pattern[at]
            at += 1
            continue
        branches = []
        while pattern[at] != ")":
            branch, at = _sequence(pattern, at + 1)
            branches.append(branch)
        out.extend([text, tuple(branches)])
        text = ""
        at += 1
    out.append(text)
    return tuple(out), at


def _draw(tree: tuple[object, ...], rng: random.Random) -> str:
    out = ""
    for part in tree:
        if isinstance(part, str):
            out += part
        elif isinstance(part, tuple):
            out += _draw(rng.choice(part), rng)
    return out


def say(pattern: str, rng: random.Random, **values: str) -> str:
    """One sentence from a pattern, with its blanks filled in."""
    text = re.sub(r" +", " ", _draw(parse(pattern), rng)).strip()
    text = text.replace(" ,", ",").replace(" .", ".").replace(" ?", "?").replace(" !", "!")
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


OPENERS = (
    "hey, ",
    "hi, ",
    "please ",
    "um, ",
    "ok, ",
    "so, ",
    "well, ",
    "hello, ",
    "quick one: ",
    "now, ",
    "and ",
    "oh, ",
    "i wonder, ",
    "excuse me, ",
    "sorry, ",
    "tell me, ",
)
CLOSERS = (
    " please",
    " thanks",
    " thank you",
    " then",
    " pls",
    " now",
    " by the way",
    " ?",
    " ??",
    "!",
    " today",
    " for me",
)


def rough(text: str, rng: random.Random, strength: float = 1.0) -> str:
    """The same wish as somebody in a hurry types it: case, marks, fillers, slips of the finger."""
    chance = rng.random
    if chance() < 0.12 * strength:
        text = rng.choice(OPENERS) + text[:1].lower() + text[1:]
    if chance() < 0.10 * strength:
        text = text.rstrip(".?!") + rng.choice(CLOSERS)
    if chance() < 0.25 * strength:
        text = text.rstrip(".?!")
    if chance() < 0.15 * strength:
        text = slip(text, rng)
    kind = chance()
    if kind < 0.25 * strength:
        return text.lower()
    if kind < 0.29 * strength:
        return text.upper()
    if kind < 0.75:
        return text[:1].upper() + text[1:]
    return text


def slip(text: str, rng: random.Random) -> str:
    """One or two wrong keys."""
    for _ in range(rng.choice((1, 1, 2))):
        if len(text) < 6:
            return text
        at = rng.randrange(1, len(text) - 2)
        kind = rng.randrange(4)
        if kind == 0:
            text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        elif kind == 1:
            text = text[:at] + text[at + 1 :]
        elif kind == 2:
            text = text[:at] + text[at] + text[at:]
        else:
            text = text[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + text[at + 1 :]
    return text
