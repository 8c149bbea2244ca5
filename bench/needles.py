"""`bench needles`: what is found again in a haystack of a million tokens, and how long taking it in and asking take.

    a folder of made files (`haystack.py`), 300 needles and 200 lines of surveys in it (`needle_kinds.py`)
    -> a real daemon: taken in without an embedder, asked by words
    -> the same folder again with MiniLM, asked by meaning alone and by both
    -> the surveys' lines found by a pattern, labelled one by one by the pilot, counted by code
    -> twenty of the latent questions answered by the pilot out of what was found

A token is four bytes. Recall at 1, 5 and 10 by tier, and for each tier by where the needle lies; seconds from the call to the
last file (with meaning: to the last vector), and of all 300 questions one after the other over HTTP.
Promises: nothing is downloaded but MiniLM's package; the measured run takes in all files anew; what a needle's rank is decides
its whole sentence in a result's text and nothing else.
Does not cover: other languages; haystacks of real text (`bench retrieval` has functions with docstrings).
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.haystack import write
from bench.needle_kinds import (
    SHARES,
    Line,
    Needle,
    aggregate,
    needles,
    predicted,
    rank,
    read_from,
    recall,
    survey_lines,
    survey_puts,
)
from bench.processes import Clock, watched
from bench.report import Report
from bench.world import World, running_daemon
from homefire.client import Homefire
from pilot.corpus import labels

ROOT = Path(__file__).parents[1]
AT = "/homefire/v1/knowledge"
SEED, TOKENS, BYTES_A_TOKEN = 1, 1_000_000, 4
NAME, SHOWN, READ, AT_ONCE, PATTERN_LIMIT = "haystack", 10, 20, 4, 200
TIERS = ("literal", "near_duplicate", "latent")
# The bars are those of a million tokens.
GOALS: dict[str, tuple[str, float]] = {
    "literal_words_r1": (">=", 0.99),
    "literal_all_r1": (">=", 0.99),
    "near_duplicate_words_r1": (">=", 0.99),
    "near_duplicate_all_r1": (">=", 0.99),
    "latent_all_r10": (">=", 0.95),
    "words_ingest_and_search_s": ("<=", 10),
    "all_ingest_and_search_s": ("<=", 60),
}


async def measure(tokens: int = TOKENS) -> Report:
    """Runs it."""
    report = Report("needles", GOALS)
    hidden, lines = needles(SEED), survey_lines(SEED)
    cached = ROOT / "build" / "models-for-tests"
    if cached.is_dir():
        os.environ |= {"PIP_INDEX_URL": f"file:{cached}", "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": os.devnull}
    with tempfile.TemporaryDirectory(prefix="homefire-needles-") as folder:
        root = Path(folder) / NAME
        puts = [each.put for each in hidden] + survey_puts(lines)
        report.figures["text_mb"] = write(root, SEED, tokens * BYTES_A_TOKEN, puts) / 1e6
        with running_daemon(ingest_readers=0) as world:
            report.figures |= await asyncio.to_thread(_all, world, root, hidden, lines)
    return report


def _all(world: World, root: Path, hidden: Sequence[Needle], lines: Sequence[Line]) -> dict[str, float]:
    with Homefire.connect(world.paths.home) as home, watched(world.pid) as peak:
        figures = _timed(home, world, root, "words", hidden)
        figures |= {"words_memory_mb": peak.whole, "words_memory_private_mb": peak.private}
        home.delete(f"{AT}/{NAME}")
        _embedder(home)
        figures |= _timed(home, world, root, "all", hidden)
        figures |= _graded(hidden, [_found(home, each.question, "meaning") for each in hidden], "meaning")
        figures |= _aggregated(home, lines)
        figures |= _read(home, [each for each in hidden if each.tier == "latent"][:READ])
        return figures | {"memory_mb": peak.whole, "memory_private_mb": peak.private}


def _timed(home: Homefire, world: World, root: Path, mode: str, hidden: Sequence[Needle]) -> dict[str, float]:
    """Takes the folder in and asks all questions; `mode` words: with no embedder there."""
    with Clock(world.pid) as clock:
        *_, last = home.ingest(str(root))
        if mode != "words":
            while home.get(f"{AT}/{NAME}")["meaning"]["state"] != "ready":
                time.sleep(0.1)
        wall, cpu = clock.wall(), clock.cpu()
        found = [_found(home, each.question, mode) for each in hidden]
        walls, cpus = clock.wall(), clock.cpu()
    shown = home.get(f"{AT}/{NAME}")
    if shown["failed"] or shown["bytes"] < 0.9 * sum(file.stat().st_size for file in root.rglob("*") if file.is_file()):
        raise RuntimeError(f"not all was taken in: {last}")
    return {
        f"{mode}_ingest_s": wall,
        f"{mode}_ingest_cpu_s": cpu,
        f"{mode}_search_s": walls - wall,
        f"{mode}_search_cpu_s": cpus - cpu,
        f"{mode}_ingest_and_search_s": walls,
        f"{mode}_ingest_and_search_cpu_s": cpus,
        f"{mode}_chunks": shown["chunks"],
        f"{mode}_windows": shown["meaning"]["rows"],
        **_graded(hidden, found, mode),
    }


def _embedder(home: Homefire) -> None:
    """MiniLM, and the choice of what runs it made."""
    for _ in home.pull("all-minilm-l6-v2", name="minilm"):
        pass
    home.put("/homefire/v1/roles", {"embed": "minilm"})
    with tempfile.TemporaryDirectory(prefix="homefire-needles-") as folder:  # something small to see it at work
        (Path(folder) / "one.txt").write_text("The quick brown fox jumps over the lazy dog.\n", "utf-8")
        for _ in home.ingest(folder, name="trial"):
            pass
        while home.get(f"{AT}/trial")["meaning"]["state"] != "ready":
            time.sleep(0.2)
        home.delete(f"{AT}/trial")


def _found(home: Homefire, question: str, mode: str) -> list[str]:
    answer = home.search(question, mode=mode, limit=SHOWN, collections=[NAME])
    return [each["text"] for each in answer["results"]]


def _graded(hidden: Sequence[Needle], found: Sequence[Sequence[str]], mode: str) -> dict[str, float]:
    """Recall by tier, and by place in each tier."""
    figures = {}
    ranks = [(each, rank(texts, each.put.sentence)) for each, texts in zip(hidden, found, strict=True)]
    for tier in TIERS:
        for place in ("", *SHARES):
            mine = [found_at for each, found_at in ranks if each.tier == tier and place in ("", each.put.place)]
            for at in (1, 5, 10):
                figures[f"{tier}_{mode}{place and '_' + place}_r{at}"] = recall(mine, at)
    return figures


_LINE = re.compile(r"^(\d{4}-\d\d-\d\d) \| survey (\d+) \| (.+)$", re.MULTILINE)


def _aggregated(home: Homefire, lines: Sequence[Line]) -> dict[str, float]:
    """Map and reduce over the surveys."""
    began = time.perf_counter()
    found: dict[str, str] = {}
    for survey in dict.fromkeys(line.survey for line in lines):
        options = {"mode": "pattern", "literal": True, "limit": PATTERN_LIMIT, "collections": [NAME]}
        answer = home.search(f"| survey {survey} |", **options)
        for each in answer["results"]:  # a chunk may begin within a line: the document is asked for whole ones
            place = {
                "path": each["path"],
                "line": each["first_line"],
                "count": each["end_line"] - each["first_line"] + 1,
            }
            said = home.get(f"{AT}/{NAME}/source", **place)["text"]
            found |= {match[0]: match[3] for match in _LINE.finditer(said) if int(match[2]) == survey}
    searched = time.perf_counter() - began
    true = {line.said: line.label for line in lines}

    def label(text: str) -> str:
        messages = [{"role": "system", "content": labels.PROMPT}, {"role": "user", "content": text}]
        body = {"model": "pilot", "messages": messages, "temperature": 0, "max_tokens": 8}
        answer = home.post("/v1/chat/completions", body, seconds=300)["choices"][0]["message"]["content"]
        return str(answer).strip()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        given = dict(zip(found, pool.map(label, found.values()), strict=True))
    right = [given[said] == name for said, name in true.items() if said in given]
    accuracy = sum(right) / max(len(right), 1)
    return {
        "aggregate_lines_found": len(right) / len(lines),
        "aggregate_lines_wrong": len(found) - len(right),
        "aggregate_search_s": searched,
        "aggregate_map_s": time.perf_counter() - began - searched,
        "aggregate_leaf_accuracy": accuracy,
        **{f"aggregate_{name}": score for name, score in aggregate(lines, given).items()},
        **{f"aggregate_{name}_predicted": score for name, score in predicted(lines, accuracy, SEED).items()},
    }


def _read(home: Homefire, asked: Sequence[Needle]) -> dict[str, float]:
    """Latent questions answered by the pilot."""
    began, good = time.perf_counter(), 0
    for each in asked:
        events = home.ask_about(each.question, collections=[NAME], model="pilot")
        said = "".join(event.data["text"] for event in events if event.name in ("token", "quote"))
        good += read_from(said, each.put.sentence)
    return {
        "latent_read_by_pilot": good / len(asked),
        "latent_read_by_pilot_questions": len(asked),
        "latent_read_by_pilot_s": time.perf_counter() - began,
    }
