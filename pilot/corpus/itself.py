"""The skill "itself": what Homefire and the pilot are, their commands, their limits and where things are kept.

The questions are those of `identity.py` and `commands.py` and of the smaller facts here.
Promises: every question has one fixed short answer, true of this version; trials ask what training never asks, in new
sentences of known words. Does not cover: small talk (`courtesy.py`), what the pilot declines (`refusal.py`).
"""

import random
import re
from collections.abc import Iterable

from pilot.corpus import commands, identity, turns
from pilot.corpus.commands import ways, ways_held
from pilot.corpus.exchanges import Intent, exchange
from pilot.corpus.identity import about
from pilot.corpus.phrases import say
from pilot.corpus.skill import Ask, Mark
from pilot.dialogue import Dialogue, Turn

GOALS: dict[str, tuple[str, float]] = {"itself_pct": (">=", 90.0)}
TRIALS = 150
MAX_TOKENS = 120

LIMITS = about(
    "limits",
    (
        "(what you cannot do|what you are not able to do|what your limits are|what is too hard for you|"
        "what you are bad at)"
    ),
    asks=(
        "what (can you not|can't you|are you not able to|are you unable to) do?",
        "what are your (limits|weaknesses|limitations)?",
        "(which|what) (things|tasks|questions) (can you not do|are too hard for you|are beyond you|do you fail at)?",
        "(name|list|describe) your (limits|weaknesses)",
        "(what|where) (do|would) you fail( at|)?",
        "what (are you bad at|is the pilot bad at|is beyond you|is impossible for you)?",
        "is there (anything|something) you (cannot|can not|are not able to) do?",
    ),
    held=("which limits do you have?", "name the things that you cannot do", "what tasks are you bad at?"),
    answer="I cannot write texts or code, translate, browse the web, see pictures or tell facts about the world.",
    needs=r"(?i)I cannot write",
)
CONTEXT = about(
    "context",
    (
        "(how long your context is|how many tokens you can read|how much text fits into your context|"
        "how long my message may be)"
    ),
    asks=(
        "how (long|large|big) is your (context|context window|window)?",
        "what is (your context|your context length|the size of your context|your context window)?",
        "how (much text|many tokens|many words) (can|do) you (read|take|see|hold)( at once|)?",
        "how (long|large) (can|may) (my message|a message|a conversation|my text|a chat) be?",
        (
            "(my text|the message|the conversation|this text) is (too |very |)long( for you|), (does it fit|"
            "is that a problem|how much can you read)?"
        ),
        "(context|context length|context window)(?|)",
        "what is the (longest|largest) (text|message) you (can |)(read|take)?",
    ),
    held=(
        "how many tokens fit into your context window?",
        "what is the context length of the pilot?",
        "how much text may a message have?",
    ),
    answer="My context is 2,048 tokens: the conversation and the answer must fit in it.",
    needs=r"2,048",
)
LICENCE = about(
    "licence",
    (
        "(which licence homefire has|what your licence is|under which licence you are|whether homefire "
        "is open source|if the code is open)"
    ),
    asks=(
        (
            "(what|which) (licence|license) (does homefire have|do you have|is this|is homefire under|does "
            "the pilot have)?"
        ),
        "what is (the licence|the license|your licence|your license)( of homefire| of the pilot| of the model|)?",
        (
            "(is (homefire|the code|the pilot)|are (the weights|your weights)) (open source|open|free "
            "software|licensed|under apache)?"
        ),
        (
            "(can|may) i (use|sell|copy|change|share) (homefire|the code|the pilot|this model|the weights)( "
            "at work| in my company| for business|)?"
        ),
        "(licence|license)(?|)",
        "where is (the source|the source code|the licence)?",
    ),
    held=(
        "under which license is the pilot?",
        "may i share the weights of this model?",
        "is the code of homefire open source?",
    ),
    answer="Homefire and I are under the Apache-2.0 licence.",
    needs=r"Apache-2\.0",
)
ACCOUNT = about(
    "account",
    "(what homefire costs|whether i need an account|if i have to pay|whether homefire is free|how much i pay)",
    asks=(
        (
            "(do|must|should) i (pay|sign up|register|make an account|have an account|buy something)( for "
            "homefire| for this| for you| here|)?"
        ),
        ("does (homefire|this|it) (cost (something|anything|money)|need an account|need a subscription|have a price)?"),
        "(what|how much) (does (homefire|it|this)|do you) cost?",
        "is (homefire|this|it|the pilot) (free|free of charge|for free|paid|expensive|cheap)?",
        "is (an account|a subscription|a payment|a login with a company) (needed|required|necessary)( here|)?",
        "(price|costs)(?|)",
    ),
    held=(
        "do i have to sign up for homefire?",
        "is there a price that i must pay?",
        "tell me if it needs some account",
    ),
    answer="Homefire needs no account and costs nothing.",
    needs=r"(?i)no account",
)
SYSTEMS = about(
    "systems",
    (
        "(which system homefire needs|what homefire needs to run|which python i need|whether homefire "
        "runs on windows|if it runs on a mac)"
    ),
    asks=(
        (
            "(does|can|will) (homefire|it|this) (run|work) (on|with|under) (windows|a mac|macos|linux|"
            "debian|my phone|a server)?"
        ),
        (
            "(which|what) (system|systems|operating system|version of python|python|python version) (does "
            "homefire need|do i need|is needed|are supported)?"
        ),
        "what (does homefire need|do i need) to (run|run it|install it|use it)?",
        "what are the (requirements|system requirements)( of homefire|)?",
        "(is (python|windows|macos|linux|a mac)|are (windows and macos|macs)) (supported|needed|required|possible)?",
        "(windows|mac|linux|python)(?|)",
        "on (which|what) (systems|machines|computers) does (homefire|it) (run|work)?",
    ),
    held=(
        "would homefire work under windows or macos?",
        "which version of python is required?",
        "are linux and windows supported?",
    ),
    answer="Homefire needs Python 3.11 or newer and was tried on Linux only.",
    needs=r"Python 3\.11",
)
SLASH = about(
    "chat commands",
    (
        "(what i can type in the chat|which commands the chat has|how i begin a new conversation|how to "
        "get a new answer in the chat)"
    ),
    asks=(
        (
            "(what|which) (commands|slash commands) (are there|can i type|can i use|work|exist) (in|inside) "
            "the (chat|terminal chat|conversation)?"
        ),
        "what (does (/new|/again|/model|/help) do|is (/new|/again|/model|/help)( for|))?",
        "how (do|can) i (begin|start) a new (conversation|chat) (in|inside) the (chat|terminal chat)?",
        "how (do|can) i (ask|let it answer|make it answer|try) again( in the chat|)?",
        "(the|list the|show the|what are the) (slash commands|commands of the chat|commands in the chat)",
        "how do i (change|switch) the model (in|inside|during) (the|a) (chat|conversation)?",
    ),
    held=(
        "which slash commands does the chat have?",
        "in the chat, how do i begin a new conversation?",
        "list the commands i can type inside the chat",
    ),
    answer=(
        "In the chat, `/new` begins a new conversation, `/again` answers again, `/model NAME` changes "
        "the model and `/help` shows all."
    ),
    needs=r"`/new`",
)
CONTINUE = Intent(
    "continue",
    (
        *ways("continue|resume|go on with", "(my last chat|the last conversation|the newest conversation|my old chat)"),
        "what (does (`--continue`|--continue) do|is (`--continue`|--continue)( for|))?",
        "how do i (go back to|return to|take up) (my|the) (last|newest|old) (chat|conversation)?",
        "i (closed|left|ended) the (chat|terminal), how do i (continue|go on|resume)?",
    ),
    (
        *ways_held("continue|resume", "(my last chat|the newest conversation)"),
        "i left the chat, how do i return to the conversation?",
    ),
    ("`homefire chat --continue` goes on with the newest conversation.",),
    r"--continue",
)
REACH = about(
    "reach",
    (
        "(whether my phone can reach homefire|if other computers can connect|who can connect to "
        "homefire|how i use homefire from another computer)"
    ),
    asks=(
        "(can|could|may) (my phone|other computers|another computer|my tablet|a friend|other machines) "
        "(reach|use|see|open|connect to) (homefire|the page|the daemon)?",
        (
            "(how do i|can i|is it possible to) (use|open|reach) (homefire|the page) (from|on) (my phone|"
            "another computer|my tablet|another machine)?"
        ),
        (
            "is homefire (open to|visible in|reachable from|safe from) (the network|my network|other "
            "computers|the internet)?"
        ),
        "(on|at) (which|what) address does (homefire|the daemon) listen?",
        "does homefire listen (on the network|to other computers|on this machine only)?",
    ),
    held=(
        "could another computer in my network connect to the daemon?",
        "could i open the page from a tablet?",
        "is the page visible in the network?",
    ),
    answer="Homefire listens on this machine only, at 127.0.0.1.",
    needs=r"127\.0\.0\.1",
)
VERB_HELP = Intent(
    "help of a verb",
    (
        (
            "(how do i|how can i|where do i|i want to|i need to) (get|find|see|read) (help|more|the "
            "options) (for|on|about|of) (a verb|a command|one command|one verb|`?homefire chat`?)?"
        ),
        "what (does (`--help`|--help) do|is (`--help`|--help)( for|))?",
        (
            "(which|what) (options|flags|arguments) (does (a verb|a command|this command) (take|have)|are "
            "there for (a verb|a command))?"
        ),
        "(is there|where is) (help|more help|a manual) (for|on) (a command|each command|a verb|every verb)?",
        "what shows (the options|the flags|help) of a (verb|command)?",
    ),
    (
        "where can i read more about one verb?",
        "what flags may a verb have?",
        "is there a manual of the options for each verb?",
    ),
    ("Every verb takes `--help`.",),
    r"`--help`",
)
SETTINGS = about(
    "settings",
    "(where the settings are|how homefire is configured|which file holds the settings|how i change a setting)",
    asks=(
        *ways("change|edit|set", "(a setting|the configuration)"),
        "where (are (the |my |)settings|is (the |my )(config|configuration|config file))?",
        "what (does (`config.toml`|config.toml) do|is (`config.toml`|config.toml)( for|))?",
        "(which|what) (file|folder) (has|holds|keeps) the (settings|configuration)?",
        "(is there|does homefire have) a (config file|settings file|configuration)?",
    ),
    held=(
        "which config file does homefire read its settings from?",
        "how may i edit the configuration of homefire?",
        "what file is for settings?",
    ),
    answer="Settings are in `config.toml` in the home folder.",
    needs=r"`config\.toml`",
)

FACTS = (LIMITS, CONTEXT, LICENCE, ACCOUNT, SYSTEMS, SLASH, CONTINUE, REACH, VERB_HELP, SETTINGS)
INTENTS = (*identity.INTENTS, *commands.INTENTS, *FACTS)


def document(rng: random.Random) -> Dialogue:
    """One to four questions about different things."""
    count = rng.choices((1, 2, 3, 4), (50, 20, 15, 15))[0]
    body = [turn for intent in rng.sample(INTENTS, count) for turn in exchange(intent, rng)]
    if rng.random() < 0.1:
        body = [Turn("system", rng.choice(turns.PLAIN)), *body]
    return Dialogue(body)


def spelled(text: str, rng: random.Random) -> str:
    """As most people type: a capital first, or none, with or without the mark at the end."""
    kind = rng.random()
    if kind < 0.6:
        return text[:1].upper() + text[1:]
    return text if kind < 0.8 else text.rstrip("?.!")


def trial(ask: Ask, rng: random.Random) -> Iterable[Mark]:
    """One unseen question; the answer must hold the key fact."""
    intent = rng.choice(INTENTS)
    asked = spelled(say(rng.choice(intent.held), rng), rng)
    reply = ask([{"role": "user", "content": asked}], max_tokens=MAX_TOKENS, temperature=0)
    good = bool(re.search(intent.needs, reply.text))
    yield Mark("itself_pct", good, f"{intent.name}: {asked!r} -> {reply.text!r} {reply.error}")
