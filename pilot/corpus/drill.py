"""Drills: copying and looking up names that look alike, which most failures of the other skills came down to.

Promises: the words of a drill are made of a few syllables, so that one syllable never tells which follows; nearly every word
of an answer stands in the question; nothing a trial uses occurs. Does not cover sentences: here are only lines, so that a token
of training says more about binding a name, a thing and a value than a passage does (`reading.py`); `copying` has no words at
all.
"""

import random
from itertools import pairwise

from pilot.corpus import words
from pilot.dialogue import Dialogue, Turn, pilot, user

COPY = ("Copy these lines.", "Copy the lines.", "Write this again, line by line.", "Repeat each line.")
LOOK_UP = (
    "Look up each of these in the table. If it is not there, write: not found.",
    "Fill in the lines from the table, or write: not found.",
    "What does the table say of each? Write not found where it says nothing.",
)
ABSENT = "not found"
JOINS = ("{e} {a}: {v}", "{e}, {a}: {v}", "{a} of {e}: {v}", "{e} | {a} | {v}", "{a} ({e}): {v}", "{e}'s {a} is {v}")


class Mint:
    """Words of one document: of a few syllables, or of any kind."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.starts = rng.sample(words.STARTS, rng.choice((3, 5, 9)))
        self.vowels = rng.sample(words.VOWELS, rng.choice((2, 3, 5)))
        self.ends = rng.sample(words.TRAIN_ENDS + words.HELD_ENDS, 5)

    def word(self) -> str:
        """Lower case; three in four alike."""
        kind = self.rng.random()
        if kind < 0.12:
            return words.fresh(self.rng)
        if kind < 0.2:
            return words.THINGS.draw(self.rng)
        if kind < 0.25:
            return words.code(self.rng)

        def draw() -> str:
            many = self.rng.choice((1, 2, 2, 3, 4))
            body = "".join(self.rng.choice(self.starts) + self.rng.choice(self.vowels) for _ in range(many))
            return body + self.rng.choice(self.ends) + self.rng.choice(words.VOWELS)

        return words.fenced(draw, False)

    def phrase(self) -> str:
        """One to three words, sometimes a path, a number or a name."""
        kind = self.rng.random()
        if kind < 0.1:
            return str(words.number(self.rng))
        if kind < 0.2:
            return f"{self.word()}/{self.word()}.{self.rng.choice(('md', 'txt', 'csv', 'log'))}"
        text = " ".join(self.word() for _ in range(self.rng.choice((1, 1, 2, 2, 3))))
        return text.title() if kind < 0.4 else text


def copying(seed: int, number: int, size: int) -> tuple[list[int], list[float]]:
    """Random ids, then the same ids, of which only the second half counts.

    Half of the documents are of few different ids, so that only the two or three before tell which one follows; half of those
    are cut into pieces that come again in another order, of which the first two ids cannot be known.
    """
    rng = random.Random(f"copy:{seed}:{number}")
    if rng.random() < 0.5:
        span = rng.randrange(4, 60)
        first = [rng.randrange(size) for _ in range(span)]
        return first + first, [0.0] * (span + 1) + [1.0] * (span - 1)
    few = [rng.randrange(size) for _ in range(rng.randrange(10, 60))]
    span = rng.randrange(30, 160)
    first = [rng.choice(few) for _ in range(span)]
    if rng.random() < 0.5:
        return first + first, [0.0] * (span + 3) + [1.0] * (span - 3)
    cuts = sorted({0, span, *(rng.randrange(span) for _ in range(span // 9))})
    pieces = [first[a:b] for a, b in pairwise(cuts)]
    again = rng.sample(pieces, len(pieces))
    known = [weight for piece in again for weight in [0.0, 0.0, *[1.0] * (len(piece) - 2)][: len(piece)]]
    return [*first, *(token for piece in again for token in piece)], [0.0] * span + known


def copy(rng: random.Random) -> Dialogue:
    """Lines, and the same lines."""
    mint = Mint(rng)
    lines = "\n".join(mint.phrase() for _ in range(rng.randrange(2, 16)))
    return Dialogue([user(f"{rng.choice(COPY)}\n{lines}"), pilot(lines)])


def look_up(rng: random.Random) -> Dialogue:
    """A table of (name, thing, value) in any order, and a list of (name, thing) to look up; a quarter is not in it."""
    mint = Mint(rng)
    names = sorted({mint.word() for _ in range(rng.randrange(1, 9))})
    things = sorted({mint.word() for _ in range(rng.randrange(1, 7))})
    pairs = [(name, thing) for name in names for thing in things]
    rng.shuffle(pairs)
    kept = max(1, round(len(pairs) * rng.uniform(0.5, 0.9)))
    table = {pair: mint.phrase() for pair in pairs[: min(kept, 16)]}
    join = rng.choice(JOINS)
    lines = [join.format(e=name, a=thing, v=value) for (name, thing), value in table.items()]
    there = rng.sample(list(table), min(len(table), 9))
    gone = rng.sample(pairs[kept:], min(len(pairs) - kept, 1 + len(there) // 3))
    asked = rng.sample([*there, *gone], len(there) + len(gone))
    wanted = "\n".join(f"{name} {thing}" for name, thing in asked)
    answer = "\n".join(f"{name} {thing}: {table.get((name, thing), ABSENT)}" for name, thing in asked)
    text = "\n".join(lines)
    return Dialogue([Turn("system", rng.choice(LOOK_UP)), user(f"{text}\n\n{wanted}"), pilot(answer)])


def document(rng: random.Random) -> Dialogue:
    """One drill."""
    return copy(rng) if rng.random() < 0.35 else look_up(rng)
