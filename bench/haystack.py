"""Haystacks from a seed: folders of made prose, code and logs, with sentences put into them.

    Plan(seed, bytes, sentences) -> file by file: path, text, which sentences went where

Six kinds of prose (half wrapped to lines, half a line a paragraph), functions in two languages with comments, and logs; of the
bytes about 40, 35 and 25 in a hundred. Each file has a generator of its own, so memory does not grow with the haystack.
Promises: the same seed gives the same bytes; each sentence is put in once, no two of them into one paragraph or function, and
`place` says how: on a line of its own, in the middle of a paragraph, as a comment in code, as a line of a log.
Does not cover: what is put in (`needle_kinds.py`, `latent_pairs.py`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter

from bench.haystack_words import COMMENTS, EVENTS, GAPS, NOUNS, PROSE, TAILS, VERBS

FILE_BYTES = 20_000
KINDS = ("prose", "prose", "prose", "prose", "code", "code", "code", "log", "log", "prose", "code", "log")
_PER_PARAGRAPH, _WITH_TAIL, WRAP = (4, 9), 0.75, 96


@dataclass(frozen=True, slots=True)
class Put:
    """A sentence and where it goes: "line", "middle" (of a paragraph), "code" or "log"."""

    sentence: str
    place: str


def write(folder: Path, seed: int, size: int, puts: Sequence[Put] = (), kinds: Sequence[str] = KINDS) -> int:
    """Writes a haystack of about `size` bytes; returns its bytes."""
    total = 0
    for name, text in files(seed, size, puts, kinds):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        total += file.write_bytes(text.encode())
    return total


def files(seed: int, size: int, puts: Sequence[Put] = (), kinds: Sequence[str] = KINDS) -> Iterator[tuple[str, str]]:
    """Path and text of each file. Raises ValueError if there is not room for all of `puts`."""
    count = max(size // FILE_BYTES, len(kinds))
    shares = _shares(random.Random(f"{seed} shares"), count, puts, kinds)
    for number in range(count):
        kind, draw = kinds[number % len(kinds)], random.Random(f"{seed} {number}")
        match kind:
            case "prose":
                genre = draw.choice(sorted(PROSE))
                suffix, text = ("md", "txt")[number // len(kinds) % 2], _prose(draw, genre, shares[number], number)
                yield f"{genre}/{number // 100:03}/{genre}-{number}.{suffix}", text
            case "code":
                language = ("py", "c")[number // len(kinds) % 2]
                yield f"src/{number // 100:03}/unit{number}.{language}", _code(draw, language, shares[number])
            case _:
                yield f"logs/{number // 100:03}/run{number}.log", _log(draw, shares[number])


def _shares(draw: random.Random, count: int, puts: Sequence[Put], kinds: Sequence[str]) -> list[list[Put]]:
    """Which sentences each file gets: evenly over those of its kind."""
    shares: list[list[Put]] = [[] for _ in range(count)]
    for kind, places in (("prose", ("line", "middle")), ("code", ("code",)), ("log", ("log",))):
        mine = [put for put in puts if put.place in places]
        fitting = [number for number in range(count) if kinds[number % len(kinds)] == kind]
        if len(mine) > 8 * len(fitting):
            raise ValueError(f"{len(mine)} sentences do not fit into {len(fitting)} files of {kind}")
        draw.shuffle(mine)
        draw.shuffle(fitting)
        for at, put in enumerate(mine):
            shares[fitting[at % len(fitting)]].append(put)
    return shares


@cache
def _gaps(pattern: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What stands before each gap of a sentence, and the words for the gap; "" has none."""
    found = []
    for before, name, _, _ in Formatter().parse(pattern):
        words = GAPS[(name or "").rstrip("2_")] if name else ("",)
        found.append((before, tuple(map(str.capitalize, words)) if name and name.endswith("_") else words))
    return tuple(found)


def _filled(draw: random.Random, pattern: str) -> str:
    pick = draw.random
    text = "".join([before + words[int(pick() * len(words))] for before, words in _gaps(pattern)])
    return text[:1].upper() + text[1:]


def _sentence(draw: random.Random, patterns: Sequence[str]) -> str:
    pattern = patterns[int(draw.random() * len(patterns))]
    if pattern.endswith(".") and draw.random() < _WITH_TAIL:
        pattern = pattern[:-1] + TAILS[int(draw.random() * len(TAILS))] + "."
    return _filled(draw, pattern)


def _wrapped(paragraph: Sequence[str]) -> str:
    """Lines of some 96 letters, broken where they happen to be full."""
    text, start, lines = " ".join(paragraph), 0, list[str]()
    while len(text) - start > WRAP:
        end = text.rfind(" ", start, start + WRAP)
        lines.append(text[start:end])
        start = end + 1
    return "\n".join([*lines, text[start:]])


def _prose(draw: random.Random, genre: str, puts: Sequence[Put], number: int) -> str:
    patterns, paragraphs, size = PROSE[genre], list[list[str]](), 0
    while size < FILE_BYTES:
        paragraph = [_sentence(draw, patterns) for _ in range(draw.randint(*_PER_PARAGRAPH))]
        size += sum(map(len, paragraph))
        paragraphs.append(paragraph)
    chosen = draw.sample(range(1, len(paragraphs)), len(puts))
    alone: dict[int, str] = {}
    for at, put in zip(chosen, puts, strict=True):
        if put.place == "line":
            alone[at] = put.sentence
        else:
            paragraphs[at].insert(draw.randrange(1, len(paragraphs[at])), put.sentence)
    parts = [f"# {genre.capitalize()}, part {number}"]
    wrapped = draw.random() < 0.5
    for at, paragraph in enumerate(paragraphs):
        parts.append(_wrapped(paragraph) if wrapped else " ".join(paragraph))
        if at in alone:
            parts.append(alone[at])
        if at % 12 == 11:
            parts.append(f"## {_filled(draw, '{place} {when}')}")
    return "\n\n".join(parts) + "\n"


def _code(draw: random.Random, language: str, puts: Sequence[Put]) -> str:
    functions, size = list[str](), 0
    while size < FILE_BYTES:
        functions.append(_function(draw, language))
        size += len(functions[-1])
    mark = "#" if language == "py" else "//"
    for at, put in zip(draw.sample(range(len(functions)), len(puts)), puts, strict=True):
        lines = functions[at].split("\n")
        lines.insert(draw.randrange(2, 5), f"    {mark} {put.sentence}")
        functions[at] = "\n".join(lines)
    return "\n\n".join(functions) + "\n"


def _function(draw: random.Random, language: str) -> str:
    verb, noun, other, second = draw.choice(VERBS), draw.choice(NOUNS), draw.choice(NOUNS), draw.choice(VERBS)
    said = draw.choice(COMMENTS).format(noun=noun, noun2=other, verb=verb, verb2=second)
    number = draw.randrange(10_000)
    if language == "py":
        name = f"{verb}_{noun}_{number}"
        lines = [f"def {name}({other}, limit={draw.randrange(9000)}):", f'    """{said}"""']
        for _ in range(draw.randint(4, 14)):
            left, right, act = draw.choice(NOUNS), draw.choice(NOUNS), draw.choice(VERBS)
            lines.append(
                f"    {left}_{draw.randrange(99)} = self.{act}_{right}({other}[{draw.randrange(999)}:], {left!r})"
            )
        return "\n".join([*lines, f"    return {other}"])
    name = f"{verb}{noun.title()}{number}"
    lines = [f"static int {name}(struct {other} *{other}, size_t limit) {{", f"    /* {said} */"]
    for _ in range(draw.randint(4, 14)):
        left, right, act = draw.choice(NOUNS), draw.choice(NOUNS), draw.choice(VERBS)
        lines.append(f"    {left}->{right}Count += {act}{right.title()}({other}, 0x{draw.randrange(65536):04x});")
    return "\n".join([*lines, "    return 0;", "}"])


def _log(draw: random.Random, puts: Sequence[Put]) -> str:
    lines, clock, size = list[str](), draw.randrange(86_400), 0
    day = f"2031-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
    while size < FILE_BYTES:
        clock = (clock + draw.randrange(3)) % 86_400
        event = draw.choice(EVENTS).format(
            a=draw.randrange(16), b=draw.randrange(100_000), c=draw.randrange(4000), verb=draw.choice(VERBS),
            noun=draw.choice(NOUNS),
        )  # fmt: skip
        lines.append(f"{day}T{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}Z {event}")
        size += len(lines[-1]) + 1
    # A sixteenth of the lines of a file lies between two of them, so that no two come into one chunk.
    places = draw.sample(range(1, 16), len(puts))
    for at, put in zip(sorted(places, reverse=True), puts, strict=True):
        lines.insert(at * len(lines) // 16, put.sentence)
    return "\n".join(lines) + "\n"
