"""`bench ingest`: how fast folders are taken in for words, what that takes of the machine, and how it grows.

    prose, code (Python's own library, some 30 MB), mixed (40 % prose, 35 % code, 25 % logs): ROUNDS rounds of 96 MB in turn
    growth: 4, 40 and 400 MB of mixed text (a token is four bytes: 1, 10 and 100 million), each in a daemon of its own
    unchanged: 10,000 small files a second time

Everything goes through a real daemon over HTTP, with a child that reads for each core, behind walls. Memory is of the daemon and
all its children together: proportional shares (mapped files among it), and the part behind which no file stands.
Promises: made texts come from a seed (`haystack.py`); rates are medians, `..._mb_per_cpu_s` counts the processor time of all
processes, which other work on the machine touches less than the wall's.
Does not cover: vectors (`bench needles`), documents that have to be taken apart.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.haystack import KINDS, write
from bench.made_text import MadeText
from bench.processes import Clock, watched
from bench.report import Report
from bench.world import World, running_daemon
from homefire.client import Homefire

GOALS: dict[str, tuple[str, float]] = {
    "prose_mb_per_s": (">=", 15),
    "code_mb_per_s": (">=", 15),
    "mixed_mb_per_s": (">=", 15),
    "memory_40mb_mb": ("<=", 500),
    "memory_400mb_mb": ("<=", 500),
    "unchanged_10k_files_s": ("<=", 2),
}
ROUNDS, MB, SEED = 5, 10**6, 2
ROUND_BYTES, GROWTH = 96 * MB, {"4mb": 4 * MB, "40mb": 40 * MB, "400mb": 400 * MB}
FILES, SMALL_BYTES = 10_000, 400
QUESTIONS = (
    "which plums were sown behind the mill wheel", "resolve the cursor before the stream is flushed", "anchor near Pellworth",
    "copper plate in brine", "cannot fetch record: timed out", "memorandum from Thornwick about gravel", "mergeHandle offset",
    "loosen the coupling", "motion put off", "marigolds and leeks",
)  # fmt: skip
AT = "/homefire/v1/knowledge"


async def measure(growth: bool = True) -> Report:
    """Runs it; `growth` False leaves out all but the rates."""
    report = Report("ingest", GOALS)
    with tempfile.TemporaryDirectory(prefix="homefire-ingest-") as folder:
        report.figures |= await asyncio.to_thread(_rates, Path(folder))
        if growth:
            report.figures |= await asyncio.to_thread(_unchanged, Path(folder))
            for name, size in GROWTH.items():
                report.figures |= await asyncio.to_thread(_grown, Path(folder), name, size)
    return report


@contextmanager
def _daemon() -> Iterator[tuple[World, Homefire]]:
    with running_daemon(ingest_readers=0) as world, Homefire.connect(world.paths.home) as home:
        yield world, home


def _rates(folder: Path) -> dict[str, float]:
    """Median rates of each kind of text."""
    write(folder / "prose", SEED, ROUND_BYTES, kinds=("prose",))
    write(folder / "mixed", SEED, ROUND_BYTES, kinds=KINDS)
    library = Path(sysconfig.get_path("stdlib"))
    for file in sorted(library.rglob("*.py")):
        if "site-packages" not in file.parts:
            target = folder / "code" / file.relative_to(library)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    seen: dict[str, list[tuple[float, float, float]]] = {}
    with _daemon() as (world, home):
        for _ in range(ROUNDS):
            for kind in ("prose", "code", "mixed"):
                seen.setdefault(kind, []).append(_taken(home, world, folder / kind))
                home.delete(f"{AT}/{kind}")
    figures: dict[str, float] = {}
    for kind, rounds in seen.items():
        shutil.rmtree(folder / kind)
        figures |= {
            f"{kind}_mb": rounds[0][0],
            f"{kind}_mb_per_s": statistics.median(mb / wall for mb, wall, _ in rounds),
            f"{kind}_mb_per_cpu_s": statistics.median(mb / cpu for mb, _, cpu in rounds),
        }
    return figures


def _taken(home: Homefire, world: World, root: Path) -> tuple[float, float, float]:
    """Megabytes of text, wall and processor time of taking a folder in. Raises RuntimeError if a file failed."""
    with Clock(world.pid) as clock:
        *_, last = home.ingest(str(root))
        wall, cpu = clock.wall(), clock.cpu()
    job = last.data["job"]
    if job["state"] != "done" or job["failed"]:
        raise RuntimeError(f"not all was taken in: {job}")
    return job["text_bytes"] / MB, wall, cpu


def _unchanged(folder: Path) -> dict[str, float]:
    root, texts = folder / "small", MadeText(SEED).chunks(FILES)
    for number, text in enumerate(texts):
        file = root / f"{number // 100:03}" / f"note{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text[-SMALL_BYTES:])
    time.sleep(0.1)  # so that the files are not too fresh to be trusted
    with _daemon() as (world, home):
        first = _taken(home, world, root)
        walls, cpus = [], []
        for _ in range(ROUNDS):
            with Clock(world.pid) as clock:
                *_, last = home.ingest(str(root))
                walls.append(clock.wall())
                cpus.append(clock.cpu())
            if last.data["job"]["unchanged"] != FILES:
                raise RuntimeError(f"files were read again: {last.data['job']}")
    shutil.rmtree(root)
    return {
        "first_10k_files_s": first[1],
        "first_10k_files_cpu_s": first[2],
        "unchanged_10k_files_s": statistics.median(walls),
        "unchanged_10k_files_cpu_s": statistics.median(cpus),
    }


def _grown(folder: Path, name: str, size: int) -> dict[str, float]:
    root = folder / "growth"
    write(root, SEED, size)
    with _daemon() as (world, home):
        with watched(world.pid) as peak:
            mb, wall, cpu = _taken(home, world, root)
        asked = [_asked(home, question) for _ in range(ROUNDS) for question in QUESTIONS]
        shown = home.get(f"{AT}/growth")
        paths = world.paths
        index = sum(file.stat().st_size for file in paths.indexes.rglob("*") if file.is_file())
        rows = sum(file.stat().st_size for file in paths.home.glob("homefire.db*"))
    shutil.rmtree(root)
    figures = {
        "text_mb": mb,
        "files": sum(shown[state] for state in ("documents", "skipped", "failed")),
        "chunks": shown["chunks"],
        "s": wall,
        "cpu_s": cpu,
        "mb_per_s": mb / wall,
        "mb_per_cpu_s": mb / cpu,
        "mb": peak.whole,
        "private_mb": peak.private,
        "index_mb": index / MB,
        "rows_mb": rows / MB,
        "query_ms": statistics.median(asked[len(QUESTIONS) :]),
    }
    return {
        f"{'memory_' if figure in ('mb', 'private_mb') else 'growth_'}{name}_{figure}": v
        for figure, v in figures.items()
    }


def _asked(home: Homefire, question: str) -> float:
    """Milliseconds of a search by words, as the daemon counts them."""
    return float(home.search(question, mode="words")["milliseconds"]["all"])
