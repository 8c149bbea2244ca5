"""`bench ask`: from a question to the first token of its answer, over 100,000 documents, with the pilot.

100,000 short text files of passages that the evaluation of the pilot makes (none was trained on), taken in by a daemon; then
questions about facts in some of them, streamed. The pilot is in memory and one question was asked before the clock starts.
Promises: the figure runs from the request to the first piece of text; what ends without one (it stands nowhere) is timed to its
end and counted apart.
Does not cover: whether the answer is right (`bench needles`, docs/pilot.md), vectors (no embedding model is there).
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path

from bench.report import Report
from bench.world import running_daemon
from homefire.client import Homefire
from pilot.corpus import reading

DOCUMENTS, QUESTIONS, FOLDERS = 100_000, 60, 100
GOALS: dict[str, tuple[str, float]] = {"first_token_p95_s": ("<=", 0.5)}


async def measure() -> Report:
    """Runs it."""
    report = Report("ask", GOALS)
    with tempfile.TemporaryDirectory(prefix="homefire-ask-") as folder, running_daemon() as world:
        questions = _documents(Path(folder) / "papers")
        with Homefire.connect(url=f"http://127.0.0.1:{world.port}", key=world.key) as home:
            began = time.perf_counter()
            list(home.ingest(str(Path(folder) / "papers")))
            ingested = time.perf_counter() - began
            (row,) = home.get("/homefire/v1/knowledge")["collections"]
            assert row["documents"] == DOCUMENTS, row
            _asked(home, questions.pop())
            timed = [_asked(home, question) for question in questions]
    first = sorted(seconds for seconds, spoke in timed if spoke)
    silent = [seconds for seconds, spoke in timed if not spoke]
    report.figures |= {
        "documents": DOCUMENTS,
        "ingest_s": ingested,
        "questions": len(timed),
        "answers_with_text": len(first),
        "first_token_p50_s": statistics.median(first),
        "first_token_p95_s": first[int(0.95 * (len(first) - 1))],
        "without_text_p50_s": statistics.median(silent) if silent else 0.0,
    }
    return report


def _documents(folder: Path) -> list[str]:
    """Writes them; the questions, each about a fact of one."""
    rng, questions = random.Random(11), []
    asked = set(random.Random(12).sample(range(DOCUMENTS), QUESTIONS + 1))
    for number in range(FOLDERS):
        (folder / f"{number:03}").mkdir(parents=True)
    for number in range(DOCUMENTS):
        passage = reading.passage(2, rng.randrange(80, 250), rng, True)
        (folder / f"{number % FOLDERS:03}" / f"{number}.txt").write_text(passage.text, "utf-8")
        if number in asked:
            fact = rng.choice(passage.facts)
            questions.append(reading.question(fact.entity, fact.attribute, rng, True))
    return questions


def _asked(home: Homefire, question: str) -> tuple[float, bool]:
    """Seconds to the first piece of text, and whether there was one."""
    began, first = time.perf_counter(), None
    for event in home.ask_about(question):
        if event.name == "token" and first is None:
            first = time.perf_counter() - began
    return (first, True) if first is not None else (time.perf_counter() - began, False)
