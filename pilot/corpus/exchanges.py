"""What an intent is: ways to ask it, ways held out, good answers, and how to know one.

Promises: `asks` and `held` are patterns of `phrases.say`; `needs` is a regular expression that
a good answer matches (the evaluation's only judge); what most people say first (`COMMON`) comes
as often as all other wordings of its intent together. Does not cover intents with values to copy.
"""

import random
from dataclasses import dataclass

from pilot.corpus.phrases import rough, say
from pilot.dialogue import Turn, pilot, user

# Without this "who are you" stood in 12 of 40,000 documents, and the pilot answered it with who made it.
COMMON = {
    "greet": ("hello", "hi", "hello!", "hi!", "hey", "good morning", "hi there", "hello there", "good evening"),
    "how are you": ("how are you?", "how are you", "how are you doing?", "how is it going?"),
    "thanks": ("thanks", "thank you", "thanks!", "thank you very much"),
    "bye": ("bye", "goodbye", "bye!", "good night"),
    "okay": ("ok", "okay", "i see", "fine", "yes", "no"),
    "who are you": (
        "who are you?",
        "who are you",
        "what are you?",
        "what are you",
        "what is your name?",
        "what is this?",
    ),
    "what can you do": ("help", "what can you do?", "what can you do", "help me", "what can i ask you?"),
    "who made you": ("who made you?", "who made you"),
    "real model": ("how do i get a real model?", "how do i get a better model?", "how do i install a model?"),
}
COMMON_SHARE = 0.4


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
    asks = intent.held if held else intent.asks
    if not held and intent.name in COMMON and rng.random() < COMMON_SHARE:
        asks = COMMON[intent.name]
    asked = say(rng.choice(asks), rng)
    if not held:
        asked = rough(asked, rng)
    answer = say(rng.choice(intent.answers), rng)
    return [user(asked), pilot(answer[:1].upper() + answer[1:])]
