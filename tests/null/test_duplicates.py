"""Near-duplicates of a collection: planted ones are found, others are not.

Does not cover: the signatures themselves (`test_index_signatures.py`).
"""

from __future__ import annotations

import random

from homefire.index.signatures import minhash, simhash64
from homefire.knowledge.duplicates import CROWD, near_duplicates
from homefire.store import TextRow

LETTERS = random.Random(1)
WORDS = ["".join(LETTERS.choices("abcdefghijklmnoprstuvw", k=LETTERS.randint(3, 9))) for _ in range(5000)]


def row(number: int, text: str) -> TextRow:
    signed = simhash64(text.encode())
    simhash = signed - (1 << 64) if signed >= 1 << 63 else signed
    return TextRow(number, b"", 0, 0, 0, 0, 0, simhash, minhash(text.encode()), "", b"", b"")


def test_planted_pairs_are_found_and_no_others() -> None:
    chance = random.Random(5)
    texts = {number: chance.choices(WORDS, k=300) for number in range(1, 201)}
    planted = []
    for number in range(1, 51):
        copy = list(texts[number])
        for _ in range(9):  # three words in a hundred
            copy[chance.randrange(len(copy))] = chance.choice(WORDS)
        texts[1000 + number] = copy
        planted.append((number, 1000 + number))
    found = near_duplicates(row(number, " ".join(words)) for number, words in texts.items())
    pairs = {(pair.one, pair.other) for pair in found}
    assert len(pairs & set(planted)) >= 49
    assert len(pairs - set(planted)) <= 1
    assert all(pair.bits < 20 and pair.similarity >= 0.6 for pair in found if (pair.one, pair.other) in planted)


def test_a_crowd_of_one_text_is_no_square() -> None:
    words = " ".join(WORDS[:500])
    found = near_duplicates(row(number, words) for number in range(1, 4 * CROWD))
    assert {pair.one for pair in found} == {1} and len(found) == 4 * CROWD - 2
    assert near_duplicates([]) == near_duplicates([row(1, "only one")]) == []
