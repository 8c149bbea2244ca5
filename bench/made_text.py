"""Text and questions from a seed: sentences and code of a vocabulary in which few words are frequent and most are rare.

Promises: the same seed gives the same texts; every chunk has one word that no other has, so that there is a right answer.
Does not cover: meaning; real prose (sentences repeat, about each in one of 500 chunks).
"""

from __future__ import annotations

import random
from collections.abc import Iterator

VOCABULARY, SENTENCES, PER_CHUNK = 60_000, 40_000, 8
STARTS = ("str", "br", "tr", "pl", "gr", "kn", "fl", "m", "s", "d", "l", "r", "n", "v", "t", "p", "c", "h", "w", "f")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ou", "ea")
ENDS = ("n", "r", "s", "t", "l", "nd", "ck", "st", "m", "x", "ng")
GRAMMAR = (
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "for",
    "it",
    "as",
    "with",
    "on",
    "be",
    "at",
    "by",
    "from",
    "this",
    "or",
)


class MadeText:
    """Chunks of about 600 bytes."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self.words = [self._word() for _ in range(VOCABULARY)]
        self._weights = [1 / (20 + place) for place in range(VOCABULARY)]
        drawn = self._random.choices(self.words, self._weights, k=SENTENCES * 9)
        self._sentences = [self._sentence(drawn[at * 9 : at * 9 + 9]) for at in range(SENTENCES)]

    def _word(self) -> str:
        draw = self._random
        parts = [
            draw.choice(STARTS) + draw.choice(VOWELS) + draw.choice(ENDS) for _ in range(draw.choice((1, 2, 2, 3)))
        ]
        return "".join(parts)

    def _sentence(self, words: list[str]) -> str:
        draw = self._random
        if draw.random() < 0.2:
            called = words[1] + "".join(word.title() for word in words[2:4])
            return f"    def {'_'.join(words[4:6])}(self, {words[6]}): return self.{called}({words[7]})\n"
        mixed = [word for each in words for word in ([draw.choice(GRAMMAR), each] if draw.random() < 0.5 else [each])]
        return " ".join(mixed).capitalize() + ". "

    def chunks(self, count: int) -> Iterator[bytes]:
        """`count` chunks; number N holds the word `keyN`."""
        for number in range(count):
            body = "".join(self._random.choices(self._sentences, k=PER_CHUNK))
            yield f"{body}key{number}\n".encode()

    def questions(self, count: int) -> list[str]:
        """Questions of two words of grammar and four that are more or less rare."""
        draw = self._random
        return [
            " ".join(
                [*draw.sample(GRAMMAR, 2), *draw.choices(self.words, self._weights, k=2), *draw.sample(self.words, 2)]
            )
            for _ in range(count)
        ]
