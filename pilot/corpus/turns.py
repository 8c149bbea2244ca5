"""Skills that need the conversation: a name given before, a phrase to repeat, simple orders.

Promises: every answer can be read off the conversation. Does not cover long memories.
"""

import random

from pilot.corpus import words
from pilot.corpus.phrases import rough, say
from pilot.dialogue import Turn, pilot, user

TELL = (
    "(my name is|i am|i m|call me|people call me|the name is|this is) {n}(.|!|)",
    "(hi|hello|hey), (i am|my name is|i m|call me) {n}(.|!|)",
    "you can call me {n}",
    "{n} is my name",
    "it is {n} here",
)
TELL_HELD = ("good evening, my name is {n}", "they named me {n}", "please call me {n} from now on")
MET = (
    "Nice to meet you, {n}!( How can I help?| What can I do for you?|)",
    "Hello {n}, (pleased|nice) to meet you.",
    "Hello {n}! I am the pilot.",
)
ASK = (
    "(what is|what s|do you know|do you remember|tell me|say|whats|what was) my name( again|)?",
    "who am i?",
    "what am i called?",
    "(can you|do you) (recall|still know|remember) (my name|who i am)?",
    "what did i say my name was?",
)
ASK_HELD = ("remind me, how am i called?", "do you still remember my name now?")
UNTOLD = ("You have not told me your name yet.", "I do not know your name; you have not told me.")
REPEAT = (
    "(repeat|say|write|echo|type|print)( after me|)( this| exactly| the following|)(:| ) {x}",
    "(please |can you |could you |)(repeat|say|echo|copy) (this|the words|the phrase|exactly): {x}",
    "repeat: {x}",
    "say {x}",
    'repeat "{x}"',
    'say "{x}"',
    "copy this text: {x}",
    "repeat after me: {x}",
)
REPEAT_HELD = ("echo back to me: {x}", "please say after me: {x}", "reply with exactly this text: {x}")
ONE = (
    "(answer|reply|respond) (with|in) (exactly |just |only |)(one word|a single word|the word|one single "
    "word|the single word): {x}",
    "(say|write|reply with|answer with|respond with) (only|just|exactly) (the word |){x}( and nothing else|)",
    "(only|just) say {x}",
    "one word: {x}",
    "(reply|answer) {x}",
    "say (only|just) the word {x}(, nothing else|)",
)
ONE_HELD = (
    "your reply must be exactly the word {x}",
    "please answer with nothing but {x}",
    "respond with the one word {x}",
)
ORDERS = (
    "(answer|reply|respond) (only |always |every message |to everything |)(with|by saying) (only |the word "
    "|exactly |){x}(.| and nothing else.|)",
    "always (say|answer|reply|write) {x}(.| and nothing else.|)",
    "whatever the user (says|asks|writes), (answer|say|reply) {x}.",
    "you (only|can only|may only|always) (say|answer|reply|write)( the word|) {x}.",
    "say {x} to (everything|every message|all questions).",
    "your only answer is {x}.",
)
ORDERS_HELD = ("every reply of yours must be {x}.", "to any message respond with only {x}.")
CALLED = ("the user is called {n}.", "the user's name is {n}.", "you are talking to {n}.", "user name: {n}")
PLAIN = (
    "You are a helpful assistant.",
    "You are the pilot, a small built-in model.",
    "Be kind and brief.",
    "You are pilot, the pilot light of Homefire.",
    "Answer in English.",
    "You are a helpful, honest assistant. Keep answers short.",
    "You are an AI running in Homefire on the user's machine.",
    "Be concise.",
    "Help the user.",
    "You are a friendly assistant called Homefire.",
    "Today is a good day. Answer the user's questions as well as you can.",
    "You can use tools when they are needed.",
)
YESNO = (
    (
        "(answer|say|reply) (yes or no|only yes or no|with yes or no|in one word)(:|,) (are you (human|alive|a "
        "person|chatgpt|an assistant|online|a doctor)|can you (browse|see me|browse the web|cook|translate|"
        "drive)|do you have feelings|do you know everything|does my data leave this machine)?",
        "No.",
    ),
    (
        "(answer|say|reply) (yes or no|only yes or no|with yes or no|in one word)(:|,) (are you (a program|"
        "small|a pilot light|the pilot|offline|local)|do you make mistakes|do you run offline|do you speak "
        "english|is homefire private)?",
        "Yes.",
    ),
)


def told(rng: random.Random, held: bool = False) -> tuple[list[Turn], list[Turn]]:
    """The user gives a name; later asks for it."""
    name = words.person(rng, held)
    text = say(rng.choice(TELL_HELD if held else TELL), rng, n=name)
    if not held:
        text = text[:1].upper() + text[1:] if rng.random() < 0.5 else text
        if rng.random() < 0.2:
            text = text.lower()
    ask = say(rng.choice(ASK_HELD if held else ASK), rng)
    reply = say(rng.choice(("Your name is {n}.", "You are {n}.", "Your name is {n}, you told me.")), rng, n=name)
    return (
        [user(text), pilot(say(rng.choice(MET), rng, n=name))],
        [user(ask if held else rough(ask, rng)), pilot(reply)],
    )


def untold(rng: random.Random) -> list[Turn]:
    return [user(rough(say(rng.choice(ASK), rng), rng)), pilot(rng.choice(UNTOLD))]


def passage(rng: random.Random, held: bool) -> str:
    """A few words of any kind."""
    count = rng.choice((1, 2, 2, 3, 3, 4, 5, 6, 8, 10))
    text = " ".join(words.any_word(rng, held) for _ in range(count))
    if rng.random() < 0.3:
        text = say(
            "(the|my|a) {a} (is|was|has) (a |the |){b}( and {c}|)",
            rng,
            a=words.any_word(rng, held),
            b=words.any_word(rng, held),
            c=words.any_word(rng, held),
        )
    return rng.choice((text, text, text.capitalize(), text + rng.choice(".!?")))


def repeat(rng: random.Random, held: bool = False) -> list[Turn]:
    text = passage(rng, held)
    lead = say(rng.choice(REPEAT_HELD if held else REPEAT), rng)
    lead = lead if held or rng.random() < 0.6 else lead[:1].upper() + lead[1:]
    return [user(lead.replace("{x}", text)), pilot(text)]


def one_word(rng: random.Random, held: bool = False) -> list[Turn]:
    if not held and rng.random() < 0.25:
        pattern, reply = rng.choice(YESNO)
        return [user(rough(say(pattern, rng), rng)), pilot(reply)]
    word = words.any_word(rng, held)
    word = rng.choice(
        (word, word.capitalize(), word.upper(), rng.choice(("OK", "yes", "no", "hello", "done", "ready")))
    )
    lead = say(rng.choice(ONE_HELD if held else ONE), rng)
    lead = lead[:1].upper() + lead[1:] if rng.random() < 0.6 else lead
    return [user(lead.replace("{x}", word) + rng.choice(("", "", "."))), pilot(word)]


def order(rng: random.Random, asked: list[Turn], held: bool = False) -> list[Turn]:
    """A system message that fixes every answer."""
    word = rng.choice(
        (
            words.any_word(rng, held),
            words.any_word(rng, held).upper(),
            "OK",
            "ok",
            "Yes",
            "No",
            "meow",
            f"{words.any_word(rng, held)} {words.any_word(rng, held)}",
        )
    )
    quoted = rng.choice((word, word, word, f'"{word}"', f"'{word}'"))
    text = say(rng.choice(ORDERS_HELD if held else ORDERS), rng)
    text = (text[:1].upper() + text[1:]).replace("{x}", quoted)
    return [
        Turn("system", text),
        *(turn if turn.role == "user" else pilot(word) for turn in asked if turn.role in ("user", "assistant")),
    ]


def called(rng: random.Random, held: bool = False) -> list[Turn]:
    """A system message that names the user."""
    name = words.person(rng, held)
    text = say(rng.choice(CALLED), rng, n=name)
    ask = say(rng.choice(ASK_HELD if held else ASK), rng)
    return [
        Turn("system", text[:1].upper() + text[1:]),
        user(ask if held else rough(ask, rng)),
        pilot(f"Your name is {name}."),
    ]
