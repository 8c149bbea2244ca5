"""The test of memory: 500 made conversations and 1,000 questions about them, of five kinds, from one seed.

    single    something said once, asked for in other words
    update    said, and later said otherwise: the later one is the answer
    time      the same kind of thing said at several times; the question names the time
    multi     two sessions: one names a person by what they do, the other says something of that person
    absent    never said; nothing may be found

Promises: the same seed gives the same; a question's wording is never that of the statement; half of the wordings (of the
questions) are held out: `half` is "tuned" or "held". Committed before anything was tuned on it.
Does not cover: other languages, real conversations.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime

SESSIONS, QUESTIONS = 500, 1000
KINDS = ("single", "update", "time", "multi", "absent")
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
FIRST = datetime(2025, 12, 1, tzinfo=UTC).timestamp()
NAMES = [
    "Aldo",
    "Berta",
    "Cilla",
    "Doran",
    "Edda",
    "Falk",
    "Greta",
    "Hanno",
    "Ilka",
    "Joost",
    "Kaja",
    "Lenz",
    "Mila",
    "Nando",
    "Oda",
    "Piet",
    "Quirin",
    "Rosa",
    "Sven",
    "Tilda",
    "Udo",
    "Vera",
    "Wim",
    "Xenia",
    "Yara",
    "Zeno",
    "Anouk",
    "Bruno",
    "Clara",
    "Dario",
    "Elin",
    "Fritz",
    "Gesa",
    "Holger",
    "Ines",
    "Jonte",
    "Karla",
    "Lasse",
    "Maren",
    "Nils",
]
SURNAMES = [
    "Abel",
    "Brandt",
    "Cordes",
    "Dietz",
    "Ebert",
    "Franke",
    "Gerlach",
    "Harms",
    "Imhof",
    "Jansen",
    "Keller",
    "Lorenz",
    "Menke",
    "Noack",
    "Opitz",
    "Pohl",
    "Quast",
    "Richter",
    "Seidel",
    "Thoma",
]
JOBS = (
    "plumber", "dentist", "electrician", "accountant", "gardener", "piano teacher", "landlord", "barber", "vet",
    "mechanic", "roofer", "tailor", "optician", "baker", "lawyer", "tutor", "painter", "locksmith", "florist",
    "carpenter",
)  # fmt: skip
PLACES = [
    "Lund",
    "Ghent",
    "Turin",
    "Porto",
    "Bergen",
    "Cork",
    "Graz",
    "Lyon",
    "Delft",
    "Tartu",
    "Split",
    "Basel",
    "Vigo",
    "Leeds",
    "Brno",
    "Bath",
    "Riga",
    "Oulu",
    "Nice",
    "Pisa",
]
THINGS = [
    "kayak",
    "tent",
    "violin",
    "bicycle",
    "drill",
    "telescope",
    "lantern",
    "camera",
    "rucksack",
    "ladder",
    "kettle",
    "printer",
    "blender",
    "hammock",
    "guitar",
    "scooter",
    "microscope",
    "sledge",
    "easel",
    "anvil",
]
SPOTS = [
    "the attic",
    "the garage",
    "the blue cupboard",
    "the cellar",
    "under the stairs",
    "the garden shed",
    "the hall wardrobe",
    "the top shelf",
    "behind the sofa",
    "the guest room",
]
DISHES = [
    "lentil soup",
    "mushroom risotto",
    "plum cake",
    "fish stew",
    "onion tart",
    "pumpkin curry",
    "potato salad",
    "rye bread",
    "cheese dumplings",
    "bean chili",
]
HABITS = [
    "oat milk",
    "black tea",
    "rye bread",
    "window seats",
    "early trains",
    "paper books",
    "mint gum",
    "cold showers",
    "jazz records",
    "wool socks",
]
SMALL = (
    "Can you help me word a short note to the neighbours?", "What is a good way to clean a copper pan?", "How long do eggs keep?",
    "I had a slow day and read a little.", "It rained the whole afternoon here.", "Explain compound interest in two lines.",
    "Suggest a name for a small boat.", "How do I fold a fitted sheet?", "The bus was late again this morning.",
    "Give me three stretches for a stiff back.",
)  # fmt: skip
REPLIES = (
    "Noted.",
    "Of course.",
    "That makes sense.",
    "Here is one way to do it.",
    "Good to know, thank you.",
    "I see.",
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a session: `place` is "s12:3"."""

    place: str
    role: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Question:
    """`answers`: the turns that have to be found, all of them; none: absent."""

    kind: str
    half: str
    text: str
    answers: tuple[str, ...]


# kind of statement -> (statements, questions of the tuned half, questions of the held-out half)
WORDINGS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "spot": (
        ("I put the {thing} of {name} in {spot} today.", "{name}'s {thing} went into {spot} after the weekend."),
        ("Where did I leave the {thing} that belongs to {name}?", "In which place is {name}'s {thing}?"),
        (
            "I am looking for {name}'s {thing}. Any idea where I stored it?",
            "{name} wants the {thing} back, where should I look?",
        ),
    ),
    "dish": (
        ("{name} cooked {dish} for us and it was lovely.", "We ate {dish} at {name}'s table."),
        ("What did {name} make for dinner?", "Which meal did {name} serve us?"),
        ("Remind me what food we had at {name}'s place?", "What was on the plate when {name} invited us?"),
    ),
    "trade": (
        ("My {job} is {person}.", "{person} is the {job} we call."),
        ("Who is my {job}?", "What is the name of the {job} I use?"),
        ("Whom should I ring when I need the {job}?", "Which {job} do we go to?"),
    ),
    "home": (
        ("{person} lives in {place} now.", "{person} has moved into a flat in {place}."),
        ("In which town does {person} have a home?", "Where does {person} live?"),
        ("Which city is {person} based in?", "Where would I send a letter to {person}?"),
    ),
    "taste": (
        ("{person} told me that {habit} are the best thing ever.", "{person} cannot do without {habit}."),
        ("What does {person} like a lot?", "What is {person} fond of?"),
        ("Which small pleasure does {person} enjoy?", "What could I give {person} as a treat?"),
    ),
}
UPDATES = {
    "trade": ("Actually, {person} is my {job} from now on.", "I changed: the {job} is {person} these days."),
    "home": ("{person} has left and lives in {place} at present.", "News: {person} moved to {place}."),
}
TIMED = (
    ("I ran {count} kilometres along the river.", "Went for a run of {count} kilometres."),
    ("How far did I run in {month}?", "In {month}, what distance did I run?"),
    ("During {month} I went running. How many kilometres?", "What was the length of my run in {month}?"),
)
TIMED_MORE = (
    ("The {thing} repair cost me {count} euros.", "Paid {count} euros for mending the {thing}."),
    ("What did I pay for the {thing} repair in {month}?", "In {month}, how much was mending the {thing}?"),
    (
        "How expensive was it to fix the {thing} in {month}?",
        "During {month} the {thing} was repaired. What was the price?",
    ),
)
MULTI = (
    ("In which town does my {job} live?", "Where does the {job} I use live?"),
    ("Which city is our {job} based in?", "To which town would I drive to visit the {job}?"),
)
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October"]


class World:
    """Builds it; `turns` by session, and `questions`."""

    def __init__(self, seed: int = 1, sessions: int = SESSIONS, questions: int = QUESTIONS) -> None:
        self._dice = random.Random(seed)
        self._starts = sorted(self._dice.uniform(FIRST, NOW - 86_400) for _ in range(sessions))
        self.turns: list[list[Turn]] = [[] for _ in range(sessions)]
        self.questions: list[Question] = []
        self._people = [f"{name} {surname}" for name in NAMES for surname in SURNAMES]
        self._dice.shuffle(self._people)
        self._things = [(thing, name) for thing in THINGS for name in NAMES]
        self._dice.shuffle(self._things)
        for number in range(sessions):
            self._chatter(number)
        each = questions // len(KINDS)
        for kind in KINDS:
            for place in range(each):
                getattr(self, f"_{kind}")("tuned" if place % 2 == 0 else "held", place)
        self._dice.shuffle(self.questions)

    def _say(self, session: int, text: str) -> str:
        turns = self.turns[session]
        place = f"s{session}:{len(turns)}"
        turns.append(Turn(place, "user", text, self._starts[session] + 60 * len(turns)))
        reply = self._dice.choice(REPLIES)
        turns.append(Turn(f"s{session}:{len(turns)}", "assistant", reply, self._starts[session] + 60 * len(turns)))
        return place

    def _chatter(self, session: int) -> None:
        for text in self._dice.sample(SMALL, self._dice.randint(1, 4)):
            self._say(session, text)

    def _ask(
        self, kind: str, half: str, forms: tuple[tuple[str, ...], ...], values: dict[str, str], answers: list[str]
    ) -> None:
        form = self._dice.choice(forms[0 if half == "tuned" else 1])
        self.questions.append(Question(kind, half, form.format(**values), tuple(answers)))

    def _single(self, half: str, place: int) -> None:
        topic = ("spot", "dish", "taste")[place % 3]
        thing, name = self._things.pop()
        values = {"thing": thing, "name": name, "spot": self._dice.choice(SPOTS), "habit": self._dice.choice(HABITS),
                  "dish": self._dice.choice(DISHES), "person": self._people.pop()}  # fmt: skip
        if topic == "dish":
            values["name"] = values["person"]
        said, *forms = WORDINGS[topic]
        answer = self._say(self._dice.randrange(len(self.turns)), self._dice.choice(said).format(**values))
        self._ask("single", half, tuple(forms), values, [answer])

    def _update(self, half: str, place: int) -> None:
        first, second = sorted(self._dice.sample(range(len(self.turns)), 2))
        old, new = self._dice.sample(PLACES, 2)
        values = {"person": self._people.pop(), "place": old}
        self._say(first, self._dice.choice(WORDINGS["home"][0]).format(**values))
        answer = self._say(second, self._dice.choice(UPDATES["home"]).format(**{**values, "place": new}))
        self._ask("update", half, WORDINGS["home"][1:], values, [answer])

    def _time(self, half: str, place: int) -> None:
        thing = THINGS[place // len(MONTHS) % len(THINGS)]
        month = MONTHS[place % len(MONTHS)]
        number = MONTHS.index(month) + 1
        inside = [n for n, at in enumerate(self._starts)
                  if (found := datetime.fromtimestamp(at, UTC)).year == 2026 and found.month == number]  # fmt: skip
        values = {"month": month, "count": str(self._dice.randint(3, 400)), "thing": thing}
        answer = self._say(self._dice.choice(inside), self._dice.choice(TIMED_MORE[0]).format(**values))
        self._ask("time", half, TIMED_MORE[1:], values, [answer])

    def _multi(self, half: str, place: int) -> None:
        # One trade of many names: "dentist of Falk" is whose dentist it is.
        whose = NAMES[place // len(JOBS) % len(NAMES)]
        job = f"{whose}'s {JOBS[place % len(JOBS)]}"
        values = {"job": job, "person": self._people.pop(), "place": self._dice.choice(PLACES)}
        one, other = self._dice.sample(range(len(self.turns)), 2)
        named = self._say(one, f"{values['person']} is {job}, as I heard.")
        lives = self._say(other, self._dice.choice(WORDINGS["home"][0]).format(**values))
        forms = tuple(tuple(re.sub(r"(?:my|our|the) \{job\}", "{job}", form) for form in some) for some in MULTI)
        self._ask("multi", half, forms, values, [named, lives])

    def _absent(self, half: str, place: int) -> None:
        """Of people and things that nobody spoke of, or of one thing about somebody that was never said."""
        topic = ("spot", "dish", "taste", "home")[place % 4]
        thing, name = self._things.pop()
        values = {"thing": thing, "name": name, "person": self._people.pop()}
        if topic == "dish":
            values["name"] = values["person"]
        self._ask("absent", half, WORDINGS[topic][1:], values, [])
