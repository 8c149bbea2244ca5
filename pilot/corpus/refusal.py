"""Everything the pilot cannot do: it says so, often naming the thing, and points to a real model.

Promises: no answer here claims knowledge. Does not cover the pilot's own small scope.
"""

import random
from dataclasses import dataclass

from pilot.corpus import words
from pilot.corpus.phrases import rough, say
from pilot.dialogue import Turn, pilot, user

GET = (
    "(For that |For this |)(install|fetch|get) a real model: run `homefire setup`.",
    "A real model can: run `homefire setup` to get one.",
    "(Get|Install) a real model with `homefire setup` and ask it.",
)
NEEDS = r"(?i)(cannot|do not know|not able|too small|beyond me|know nothing|no knowledge|must not).*(real model)"


@dataclass(frozen=True)
class Kind:
    """A kind of wish out of reach; `{t}` is its topic, drawn from `topics`."""

    name: str
    asks: tuple[str, ...]
    held: tuple[str, ...]
    answers: tuple[str, ...]
    topics: str = ""


FACTS = Kind(
    "facts",
    (
        "(what|who) (is|are|was|were) {t}?",
        "tell me (about|something about|more about|everything about) {t}",
        "(explain|describe) {t}( to me| simply| in detail|)",
        "how (does|do|did) {t} (work|begin|end|happen|start)?",
        "why (is|are|does|do) {t} (so important|so big|dangerous|exist|interesting|so popular)?",
        "when did {t} (begin|happen|start|end)?",
        "what do you (know|think) about {t}?",
        "give me (facts|information|an overview|a summary|some facts) (about|on|of) {t}",
        "i want to (learn|know|read) (about|more about) {t}",
        "what is the (history|meaning|cause|purpose|future) of {t}?",
        "is {t} (good|bad|safe|real|dangerous|true|hard)?",
        "can you (explain|teach me|tell me about) {t}?",
        "(how many|how much|how old|how far|how big) (is|are) {t}?",
        "{t}",
        "who (invented|discovered|started) {t}?",
        "i have a question about {t}",
        "let us talk about {t}",
        "teach me {t}",
    ),
    (
        "please could you give me details on {t}?",
        "i am curious, how does {t} come about?",
        "what would an expert say about {t}?",
        "what are the main ideas of {t}?",
    ),
    (
        "I know nothing (reliable |)about {t}. ",
        "I do not know about {t}: I am only a pilot light. ",
        "I cannot tell you about {t}; I know almost nothing about the world. ",
    ),
    "topic",
)
PLACES = Kind(
    "places",
    (
        "what is the (capital|population|currency|language|flag|area|president|history|weather|food) (of|in) {t}?",
        "where is {t}?",
        "how (big|old|far|large|rich) is {t}?",
        "how many people live in {t}?",
        "who (rules|governs|is the president of|leads) {t}?",
        "what can i (see|do|eat|visit) in {t}?",
        "(plan|suggest) a trip to {t}",
        "what time is it in {t}?",
        "is {t} (in europe|a big country|nice|beautiful|expensive)?",
        "which (rivers|cities|mountains) are in {t}?",
    ),
    ("name the capital city of {t}", "how large is the population of {t} today?", "what should i visit in {t}?"),
    ("I do not know facts about {t}. ", "I cannot answer that about {t}: I have no knowledge of the world. "),
    "place",
)
PERSONS = Kind(
    "persons",
    (
        "who (is|was) {t}?",
        "when (was|did) {t} (born|die|live)?",
        "what did {t} (do|write|invent|discover|say)?",
        "tell me about {t}",
        "where was {t} born?",
        "how (old|tall|rich) (is|was) {t}?",
        "why is {t} famous?",
    ),
    ("give me a short biography of {t}", "for what is {t} known?", "in which year was {t} born?"),
    ("I do not know who {t} is or was. ", "I know nothing about {t}; I am only a pilot light. "),
    "person",
)
CREATE = Kind(
    "create",
    (
        "(write|compose|make|create|give me|tell me|invent|sing) (me |)(a|an|the) (short |long |funny |sad |"
        ")(poem|story|song|joke|essay|letter|email|speech|novel|tale|haiku|blog post|article|rap|limerick|"
        "fairy tale|riddle|report|script|cover letter|tweet|slogan|recipe)( about {t}| on {t}| for {t}|)",
        "(can|could|will) you (write|compose|make|tell me|create) (a|an) (poem|story|song|joke|essay|letter|"
        "email|speech|recipe|novel)( about {t}|)?",
        "i need (a|an) (poem|essay|letter|email|speech|story|report|text|article) (about|on) {t}",
        "make me laugh",
        "tell me something (funny|interesting|new)",
        "write about {t}",
        "brainstorm (ideas|names) for {t}",
    ),
    (
        "please compose a lovely poem on {t}",
        "i would like a bedtime story about {t}",
        "draft an email about {t} for me",
    ),
    (
        "I cannot write that well: I am too small (for writing about {t}|for such texts about {t}). ",
        "Writing about {t} is beyond me. ",
    ),
    "topic",
)
CODING = Kind(
    "coding",
    (
        "(write|make|create|give me|show me) (a|some|the) {t} (program|function|script|code|class|loop|"
        "example)( that (sorts a list|prints hello|reads a file|adds numbers|reverses a string)|)",
        "how do i (sort a list|read a file|write a loop|print|parse json|make a class|define a function|"
        "connect to a database) in {t}?",
        "(fix|debug|explain|review|improve|refactor) (this|my) {t} (code|program|script|function|error|bug)",
        "what does this {t} (code|error|function) (mean|do)?",
        "can you (code|program|write code)( in {t}|)?",
        "what is (a pointer|a class|recursion|a closure) in {t}?",
        "teach me {t}",
        "build (a website|an app|a game) (in|with) {t}",
        "def f(x): return x",
        "print('hello')",
        "for i in range(10):",
        "select * from users",
    ),
    ("please code a quicksort in {t}", "my {t} program has a bug, can you find it?", "how are strings joined in {t}?"),
    ("I cannot write or judge {t} code. ", "Programming in {t} is beyond me, I am too small. "),
    "code",
)
MATHS = Kind(
    "maths",
    (
        "what is {t}?",
        "(calculate|compute|solve|work out|how much is|evaluate) {t}( for me|)",
        "{t}",
        "{t} = ?",
        "can you (calculate|compute|do|solve) {t}?",
        "solve for x: {t}",
        "what is the (square root|derivative|integral|sum|square) of {t}?",
        "is {t} (prime|even|odd)?",
    ),
    ("how much would {t} make?", "please give me the result of {t}", "do the maths: {t}"),
    ("I cannot calculate reliably, so I will not guess {t}. ", "Sums like {t} are beyond me. "),
    "sum",
)
CARE = Kind(
    "care",
    (
        "(i have|my child has|my mother has|what helps against|what should i take for|how do i treat|is it bad "
        "to have) {t}( since yesterday| for days|)(?|)",
        "(my|his|her) (head|back|knee|stomach|chest|tooth|arm) hurts",
        "what (dose|medicine|pill|drug) (for|against) {t}?",
        "(am i|are we) (ill|sick|dying|pregnant)?",
        "(can i sue|is it legal to|what are my rights|should i sign|can i be fired)( my landlord| my boss| a "
        "contract|)?",
        "should i (invest|buy stocks|sell my house|buy gold|take a loan)?",
        "i have an emergency",
        "i want to (die|hurt myself|kill myself)",
        "call (an ambulance|the police|a doctor)",
    ),
    ("which pills would help against {t}?", "the doctor says i have {t}, what now?", "my shoulder hurts a lot"),
    (
        "I cannot give medical, legal or money advice: I am only a pilot light. Please ask a (doctor|"
        "professional|person you trust); in an emergency call for help now. A real model knows more, but a "
        "professional is better.",
        "I must not advise on this. Please ask a professional, and in an emergency call for help at once. Even "
        "a real model cannot replace them.",
    ),
    "illness",
)
TRANSLATE = Kind(
    "translate",
    (
        "translate (this|that|hello|good morning|thank you|my letter|i love you|a text|'{w}'|the word {w}) (to|"
        "into|in) {t}",
        "how do (you|i) say (hello|thank you|goodbye|yes|water|{w}) in {t}?",
        "what is (the word|the {t} word) for {w} in {t}?",
        "(speak|write|answer in) {t}",
        "can you translate( to {t}| into {t}| from {t}|)?",
        "what does {w} mean in {t}?",
        "teach me some {t}",
    ),
    ("put this sentence into {t} please", "what is the translation of {w} into {t}?", "i need a {t} translator"),
    ("I cannot translate: {t} is beyond me. ", "I do not know {t}, only simple English. "),
    "language",
)
NEWS = Kind(
    "news",
    (
        "what (is|s) (the weather|the news|the time|the date|today|the score|on tv)( today| now| like| "
        "tomorrow| in {c}|)?",
        "(what|which) (day|date|time|year|month) is (it|today)( now|)?",
        "what is happening (today|now|in the world|in {c})?",
        "(will it|is it going to) (rain|snow|be sunny|be cold)( tomorrow| in {c}| today|)?",
        "who won (the game|the election|the match|the cup|last night)?",
        "what is the (price|stock price|value|rate) of (gold|oil|bitcoin|apple|the dollar|the euro)?",
        "any news( today| about {c}|)?",
        "(latest|today's) (news|headlines|weather)",
        "is the shop in {c} open?",
        "how is the traffic in {c}?",
        "when is the next (train|bus|flight) to {c}?",
    ),
    ("give me the latest headlines from {c}", "do i need an umbrella in {c} today?", "what hour is it right now?"),
    (
        "I cannot know that: I run offline, without (news or a clock|a clock or news). A real model is offline "
        "here too, but knows more of the world; add one with `homefire setup`.",
        "I do not know what happens outside: no network, no clock. A real model knows more in general; add one "
        "with `homefire setup`.",
    ),
)
WORK = Kind(
    "work",
    (
        "(summarise|summarize|shorten|rewrite|proofread|correct|improve|analyse|review|check|edit) (this|my|"
        "the|a) (text|article|book|letter|email|essay|document|report|paper|story|page|paragraph|file)( about "
        "{t}|)(.|:|)",
        "(make|write|create|give me) (a|an|me a) (plan|list|table|schedule|presentation|business plan|quiz|"
        "lesson|summary|outline|cv|budget)( about {t}| for {t}|)",
        "(plan|organise|prepare) (my|a) (week|day|party|wedding|trip|project|meeting|lesson)( about {t}|)",
        "(draw|paint|show|generate|make) (me |)(a|an) (picture|image|photo|logo|diagram|video|drawing)( of {t}|"
        " about {t}|)",
        "(play|let us play) (a game|chess|a quiz|20 questions|hangman)( with me|)",
        "(compare|what is the difference between) {t} and {w}",
        "what should i (cook|eat|wear|buy|read|watch|do|study) (today|tonight|tomorrow|this weekend|)?",
        "(help me|assist me) with (my homework|my thesis|a project|my job|an exam|{t})",
        "what is (the best|your favourite|a good) (book|film|song|phone|car|game|restaurant|colour|food|movie)?",
        "give me (advice|tips|ideas|an opinion)( about {t}| on {t}|)",
        "(order|buy|book|send|call|open|delete|install) (a pizza|an email|a flight|a hotel|my files|a taxi|my "
        "mother)( for me|)",
        "what is the meaning of (life|love|this)?",
        "count (to|from) (ten|one hundred|a million)",
        "(act as|pretend to be|you are now|roleplay as) (a pirate|my teacher|a lawyer|a king|a doctor|an "
        "expert on {t})",
        "rhyme with {w}",
        "spell {w} backwards",
        "what is the (opposite|meaning|definition|plural|synonym) of {w}?",
        "define {w}",
    ),
    (
        "please condense the following article on {t}",
        "prepare a weekly schedule about {t}",
        "sketch an image of {t} for me",
        "i need tips on {t}",
    ),
    (
        "I cannot do that well: I am only a pilot light. ",
        "That is beyond me, I am too small. ",
        "I am not able to do that properly. ",
    ),
    "topic",
)

KINDS = (FACTS, PLACES, PERSONS, CREATE, CODING, MATHS, CARE, TRANSLATE, NEWS, WORK)
WEIGHTS = (5, 2, 2, 3, 2, 2, 1.2, 1.2, 1.5, 3)
TOOLLESS = (FACTS, PERSONS, CREATE, CODING, CARE)
ILLNESS = words.pool(
    "a fever,a headache,the flu,a cold,a cough,back pain,diabetes,cancer,a rash,asthma,depression,a "
    "toothache,high blood pressure,an infection,covid",
    "a sore throat,migraine,an allergy,pneumonia,vertigo",
)


def sum_text(rng: random.Random) -> str:
    """A small sum in one of its written forms."""
    a, b = rng.randrange(1, rng.choice((10, 100, 1000))), rng.randrange(1, rng.choice((10, 100)))
    sign = rng.choice(("+", "-", "*", "/", "x", "times", "plus", "minus", "divided by"))
    gap = rng.choice((" ", " ", "")) if len(sign) == 1 else " "
    return f"{a}{gap}{sign}{gap}{b}"


def topic(rng: random.Random, held: bool) -> str:
    """A thing of the world; a third are invented or everyday things."""
    kind = rng.random()
    if kind < 0.2:
        return words.invented(rng, held)
    if kind < 0.35:
        place = rng.choice((words.THINGS, words.ANIMALS, words.FOODS)).draw(rng, held)
        return rng.choice(("a ", "the ", "my ", "")) + place
    if kind < 0.42:
        return f"{words.TOPICS.draw(rng, held)} and {words.TOPICS.draw(rng, held)}"
    return words.TOPICS.draw(rng, held)


def subject(kind: Kind, rng: random.Random, held: bool) -> str:
    """The value of `{t}`."""
    if kind.topics == "sum":
        return sum_text(rng)
    pools = {"code": words.CODE, "language": words.LANGUAGES, "illness": ILLNESS}
    if kind.topics in pools:
        return pools[kind.topics].draw(rng, held)
    if kind.topics == "place":
        return rng.choice((words.COUNTRIES.draw(rng, held), words.city(rng, held)))
    if kind.topics == "person":
        return rng.choice((words.PEOPLE.draw(rng, held), words.full_name(rng, held)))
    return topic(rng, held)


def refusal(rng: random.Random, held: bool = False, beside_tools: bool = False) -> list[Turn]:
    """One wish out of reach and the honest answer; beside tools, one that no tool would grant."""
    if rng.random() < 0.12:
        return babble(rng, held)
    kind = rng.choice(TOOLLESS) if beside_tools else rng.choices(KINDS, WEIGHTS)[0]
    t, w, c = subject(kind, rng, held), words.any_word(rng, held), words.city(rng, held)
    pattern = rng.choice(kind.held if held else kind.asks)
    asked = say(pattern, rng, t=t, w=w, c=c)
    if "{t}" not in pattern or (t not in asked):
        t = ""
    asked = asked if held else rough(asked, rng)
    if t and t not in asked:  # a slip or capitals changed it: copy what was really typed
        at = asked.lower().find(t.lower())
        t = asked[at : at + len(t)] if at >= 0 else ""
    return [user(asked), pilot(answer(kind, rng, t))]


def answer(kind: Kind, rng: random.Random, t: str) -> str:
    """Name the topic where there is one."""
    if t:
        text = say(rng.choice(kind.answers), rng, t=t)
    else:
        plain = [one for one in kind.answers if "{t}" not in one] or list(WORK.answers)
        text = say(rng.choice(plain), rng)
    if "real model" not in text:
        text += " " + say(rng.choice(GET), rng)
    return text


def babble(rng: random.Random, held: bool) -> list[Turn]:
    """Words that mean nothing together: say that they are not understood."""
    text = " ".join(words.any_word(rng, held) for _ in range(rng.randrange(1, 9)))
    reply = say(
        "(I do not know what to make of that|I do not know what that means|That is beyond me): I am only a "
        "pilot light. "
        "(Ask me about Homefire, or get a real model with `homefire setup`.)",
        rng,
    )
    return [user(text if held else rough(text, rng)), pilot(reply)]
