"""The needles of `bench needles`: what is hidden, what is asked, and how answers are graded.

    literal          a sentence of its own; the question says it in its own words
    near_duplicate   fifty keys that differ in one word, fifty that differ in one digit
    latent           question and sentence share no content word (`latent_pairs.py`)
    aggregate        lines of surveys with a date and a user: how many of a kind, which most often, which last

Promises: the same seed gives the same needles; each hundred lies on lines of its own, in the middle of paragraphs, in code and in
logs in fixed shares; a rank counts only for a result whose text has the whole sentence.
Does not cover: hiding them (`haystack.py`), asking (`needles.py`).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.haystack import Put
from bench.latent_pairs import PAIRS
from homefire.index.fusion import tokens
from homefire.index.query import STOP_WORDS
from pilot.corpus import labels

COUNT = 100
# Of each hundred: on lines of their own, in the middle of paragraphs, in comments of code, in logs.
SHARES = {"line": 35, "middle": 40, "code": 15, "log": 10}
TOWNS, OBJECTS, SITES = (
    tuple(words.split(","))
    for words in (
        "Oslo,Bergen,Porto,Lyon,Turin,Ghent,Basel,Malmo,Krakow,Leeds,Cork,Graz,Split,Varna,Turku,Tartu,Riga,Brno,Pecs,Metz,"
        "Padua,Vaasa,Namur,Siena,Gdansk",
        "sextant,accordion,umbrella,typewriter,lantern,barometer,chessboard,parasol,violin,microscope",
        "observatory,ferry terminal,glassworks,opera house,salt mine,lighthouse,tram depot,aquarium,courthouse,brewery",
    )
)
STARTS, ENDS = (
    ("Vor", "Kel", "Tam", "Bru", "Zel", "Hov", "Pim", "Lor", "Dra", "Quin"),
    ("ensky", "aldi", "orfer", "umane", "ellin"),
)
HELD = (
    ("keeps {a} spare {b} under the third bench of the {c}", "Where does {name} keep {a} spare {b}?"),
    ("paid {n} crowns for a {b} at the {c}", "How many crowns did {name} pay for the {b}?"),
    ("left a {b} with the guard of the {c} in the year {n}", "With whom did {name} leave a {b}?"),
    ("was seen with a {b} at the {c} on day {n}", "Where was {name} seen with a {b}?"),
)
SURVEYS, PER_SURVEY = 5, 40


@dataclass(frozen=True, slots=True)
class Needle:
    """One hidden sentence."""

    tier: str
    question: str
    put: Put


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a survey. `day` in ISO form."""

    survey: int
    day: str
    text: str
    label: str

    @property
    def said(self) -> str:
        """As it stands in the haystack."""
        return f"{self.day} | survey {self.survey} | {self.text}"


def needles(seed: int) -> list[Needle]:
    """Those of the three tiers that are searched."""
    draw = random.Random(f"{seed} needles")
    made = {"literal": _literal(draw), "near_duplicate": _near_duplicates(draw), "latent": list(PAIRS)}
    found: list[Needle] = []
    for tier, pairs in made.items():
        places = [place for place, share in SHARES.items() for _ in range(share)]
        draw.shuffle(places)
        found += [Needle(tier, q, Put(s, place)) for (q, s), place in zip(pairs, places, strict=True)]
    return found


def _literal(draw: random.Random) -> list[tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    while len(found) < COUNT:
        name = f"{draw.choice(STARTS)}{draw.choice(STARTS).lower()} {draw.choice(STARTS)}{draw.choice(ENDS)}"
        said, question = draw.choice(HELD)
        words = {
            "a": draw.choice(("her", "his")),
            "b": draw.choice(OBJECTS),
            "c": draw.choice(SITES),
            "n": draw.randrange(100, 999),
        }
        found[name] = (question.format(name=name, **words), f"{name} {said.format(**words)}.")
    return list(found.values())


def _near_duplicates(draw: random.Random) -> list[tuple[str, str]]:
    codes = [
        (
            f"What is the {thing} code of the {town} office?",
            f"The {thing} code of the {town} office is {draw.randrange(10_000, 99_999)}.",
        )
        for town in TOWNS
        for thing in ("vault", "alarm")
    ]
    captains = [f"{a}{b}" for a in STARTS for b in ENDS]
    draw.shuffle(captains)
    base = draw.sample(range(1000, 9999), 5)
    shipments = [number * 10 + digit for number in base for digit in range(10)]
    return codes + [
        (
            f"Under which captain did shipment {number} sail?",
            f"Shipment {number} sailed under captain {captain} without any loss.",
        )
        for number, captain in zip(shipments, captains, strict=True)
    ]


def survey_lines(seed: int) -> list[Line]:
    """The lines of all surveys; the texts are of wordings that the pilot was never trained with."""
    draw = random.Random(f"{seed} surveys")
    found = []
    for survey in draw.sample(range(1000, 9999), SURVEYS):
        weights = [draw.uniform(0.5, 3) for _ in labels.NAMES]
        days = draw.sample([f"2032-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)], PER_SURVEY)
        for day in days:
            label = draw.choices(labels.NAMES, weights)[0]
            found.append(Line(survey, day, labels.wish(label, draw, held=True).replace("\n", " "), label))
    return found


def survey_puts(lines: Sequence[Line]) -> list[Put]:
    """Where they go: half into prose, half into logs."""
    return [Put(line.said, ("line", "log")[at % 2]) for at, line in enumerate(lines)]


def plain(text: str) -> str:
    """Blanks made one, signs of comments taken off: a wrapped sentence reads as it was written."""
    return " ".join(text.split())


def rank(texts: Sequence[str], sentence: str) -> int:
    """The place (from 1) of the first text that has the whole sentence; 0: none has."""
    wanted = plain(sentence)
    return next((place for place, text in enumerate(texts, 1) if wanted in plain(text)), 0)


def recall(ranks: Sequence[int], at: int) -> float:
    """The share of ranks within the first `at`. Raises ValueError for none."""
    if not ranks:
        raise ValueError("no rank")
    return sum(0 < rank <= at for rank in ranks) / len(ranks)


def aggregate(true: Sequence[Line], given: Mapping[str, str]) -> dict[str, float]:
    """Scores of what is counted from `given` (a line as it stands there -> its label): numbers .75^|error| for each of the
    classes, the most frequent class, and the class of the last line; means over the surveys."""
    counts, often, last = list[float](), list[float](), list[float]()
    for survey in dict.fromkeys(line.survey for line in true):
        mine = [line for line in true if line.survey == survey]
        right, said = Counter(line.label for line in mine), Counter(given[m.said] for m in mine if m.said in given)
        counts += [0.75 ** abs(right[name] - said[name]) for name in labels.NAMES]
        most = max(right.values())
        often.append(float(bool(said) and right[_most(said)] == most))
        final = max(mine, key=lambda line: line.day)
        last.append(float(given.get(final.said) == final.label))
    return {"count": fmean(counts), "most_frequent": fmean(often), "last": fmean(last)}


def _most(said: Counter[str]) -> str:
    return min(said, key=lambda name: (-said[name], name))


def predicted(true: Sequence[Line], accuracy: float, seed: int, trials: int = 400) -> dict[str, float]:
    """What `aggregate` gives on the average if each label is right with this probability and else any other class."""
    draw = random.Random(f"{seed} predicted")

    def label(right: str) -> str:
        return right if draw.random() < accuracy else draw.choice([name for name in labels.NAMES if name != right])

    scores = [aggregate(true, {line.said: label(line.label) for line in true}) for _ in range(trials)]
    return {name: fmean(score[name] for score in scores) for name in scores[0]}


def read_from(answer: str, sentence: str) -> bool:
    """Whether an answer is made of words of the sentence: at least one that is no grammar, and no other."""
    said = {word for word in tokens(answer) if word not in STOP_WORDS}
    return bool(said) and said <= set(tokens(sentence))
