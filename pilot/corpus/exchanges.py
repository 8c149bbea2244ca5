"""What an intent is: ways to ask it, ways held out, good answers, and how to know one.

Promises: `asks` and `held` are patterns of `phrases.say`; `needs` is a regular expression that
a good answer matches (the evaluation's only judge). Does not cover intents with values to copy.
"""

import random
from dataclasses import dataclass

from pilot.corpus.phrases import rough, say
from pilot.dialogue import Turn, pilot, user


@dataclass(frozen=True)
class Intent:
    """One thing people ask, and how the pilot answers."""

    name: str
    asks: tuple[str, ...]
    held: tuple[str, ...]
    answers: tuple[str, ...]
    needs: str


def exchange(intent: Intent, rng: random.Random, held: bool = False) -> list[Turn]:
    """One question and its answer."""
    asked = say(rng.choice(intent.held if held else intent.asks), rng)
    if not held:
        asked = rough(asked, rng)
    answer = say(rng.choice(intent.answers), rng)
    return [user(asked), pilot(answer[:1].upper() + answer[1:])]
