"""Docstring to function: 6,000 functions out of this machine's own Python packages without their docstrings, and 600 first
sentences of these as questions.

Each function is a file of its own with a name that says nothing; a question counts as answered at a place if a result there lies
in its function's file. Asked through the real room by words, by meaning, and by both.
Promises: the same machine gives the same functions; no two have the same source or the same first sentence.
Does not cover: other languages; how packages of another machine do.
"""

from __future__ import annotations

import ast
import random
import re
import sysconfig
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.embedder import Inside
from homefire.knowledge.search import Mode, Question

FUNCTIONS, QUESTIONS, SEED, SHOWN = 6000, 600, 1, 50
SHORTEST, LONGEST, LINES, WORDS = 120, 6000, 4, 4
MODES: tuple[Mode, ...] = ("words", "meaning", "all")


@dataclass(frozen=True, slots=True)
class Function:
    """Its source without the docstring, and the docstring's first sentence."""

    source: str
    sentence: str


def functions(count: int = FUNCTIONS) -> list[Function]:
    """That many of all there are, in an order from the seed."""
    found: dict[str, Function] = {}
    sentences: set[str] = set()
    places = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    files = sorted(
        {file for place in places for file in place.rglob("*.py") if "test" not in str(file.relative_to(place)).lower()}
    )
    random.Random(f"{SEED} files").shuffle(files)
    for file in files:
        if len(found) >= 2 * count:
            break
        for each in _of(file):
            if each.source not in found and each.sentence.lower() not in sentences:
                found[each.source] = each
                sentences.add(each.sentence.lower())
    every = list(found.values())
    random.Random(SEED).shuffle(every)
    return every[:count]


def _of(file: Path) -> Iterator[Function]:
    try:
        text = file.read_text("utf-8")
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    lines = text.split("\n")
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not (said := ast.get_docstring(node)):
            continue
        sentence = first_sentence(said)
        first = node.body[0]
        rest = lines[node.lineno - 1 : first.lineno - 1] + lines[first.end_lineno or first.lineno : node.end_lineno]
        source = textwrap.dedent("\n".join(rest)) + "\n"
        long_enough = SHORTEST <= len(source) <= LONGEST and len(rest) >= LINES and len(node.body) > 1
        if long_enough and len(sentence.split()) >= WORDS and sentence not in source:
            yield Function(source, sentence)


def first_sentence(docstring: str) -> str:
    """Up to the first full stop, or the first empty line."""
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s", paragraph)[0][:300]


def write(folder: Path, given: Sequence[Function]) -> None:
    """A file each."""
    for number, each in enumerate(given):
        file = folder / f"{number // 500:02}" / f"f{number:05}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(each.source, "utf-8")


def measure(house: Inside, folder: Path) -> dict[str, float]:
    """Recall at 1, 10 and 50, and the mean of 1/place, by mode."""
    given = functions()
    write(folder / "functions", given)
    knowledge = house.daemon.knowledge
    assert knowledge is not None
    figures = {"functions": float(len(given)), "functions_mb": sum(len(each.source) for each in given) / 1e6}
    began = time.perf_counter()

    async def take_in() -> None:
        job = await knowledge.ingest(folder / "functions")
        async for _ in knowledge.ingestion.follow(job):
            pass

    house.wait(take_in())
    while house.wait(knowledge.show("functions"))["meaning"]["state"] != "ready":
        time.sleep(0.2)
    figures["functions_ingest_s"] = time.perf_counter() - began
    for mode in MODES:
        places = [_place(house, number, each, mode) for number, each in enumerate(given[:QUESTIONS])]
        figures |= {f"functions_{mode}_{name}": value for name, value in scores(places).items()}
    return figures


def _place(house: Inside, number: int, asked: Function, mode: Mode) -> int:
    assert house.daemon.knowledge is not None
    found = house.wait(house.daemon.knowledge.find(Question(asked.sentence, ("functions",), mode, SHOWN))).found
    paths = list(dict.fromkeys(path for each in found for path in (each.path, *each.also)))
    wanted = f"{number // 500:02}/f{number:05}.py"
    return paths.index(wanted) + 1 if wanted in paths else 0


def scores(places: Sequence[int]) -> dict[str, float]:
    """Of places from 1, 0 for none. Raises ZeroDivisionError for no places."""
    count = len(places)
    return {
        **{f"r{at}": sum(0 < place <= at for place in places) / count for at in (1, 10, 50)},
        "mrr": sum(1 / place for place in places if place) / count,
    }
