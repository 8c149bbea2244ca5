"""`bench policy`: what the policy costs a request, what it finds of the texts kept back, and what it refuses wrongly.

Rules are measured in this process, as processor time of one thread over pieces of 8 KB of real pages; the check by meaning over a
real daemon with MiniLM, as the whole of a request that asks for it. Shares are of the texts of `fixtures/attacks.json` that
nothing was learned from and no threshold was set with.
Promises: texts differ, so that nothing is remembered from one to the next.
Does not cover: texts of others; what the boundary stops, which is a test and not a figure (`tests/null/test_injections.py`).
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from pathlib import Path
from typing import Any

from bench.report import Report
from bench.world import World, running_daemon
from homefire.client import Homefire
from homefire.safety import Policy, load_rules
from homefire.safety.rules import Where
from homefire.safety.semantic import Example, load_examples

GOALS: dict[str, tuple[str, float]] = {"rules_8kb_ms": ("<=", 1), "semantic_ms": ("<=", 15)}
ROOT = Path(__file__).parents[1]
PIECE, ROUNDS = 8192, 5
AT = "/homefire/v1"


async def measure() -> Report:
    """Runs it."""
    report = Report("policy", GOALS)
    report.figures |= _rules()
    # The folder that the process tests keep MiniLM's package in serves as the index, if it is there.
    cached = ROOT / "build" / "models-for-tests"
    if cached.is_dir():
        os.environ |= {"PIP_INDEX_URL": f"file:{cached}", "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": os.devnull}
    with running_daemon(safety_mode="semantic") as world:
        report.figures |= await asyncio.to_thread(_meaning, world)
    return report


def _rules() -> dict[str, float]:
    pages = "\n".join(file.read_text("utf-8") for file in sorted((ROOT / "docs").glob("*.md")))
    pieces = [pages[at : at + PIECE] for at in range(0, len(pages) - PIECE, PIECE)]
    figures = {}
    wheres: tuple[tuple[Where, str], ...] = (("web", "rules_8kb_ms"), ("user", "rules_8kb_user_ms"))
    for where, name in wheres:
        times = []
        for _ in range(ROUNDS):
            policy = Policy(load_rules(None))  # a new one remembers nothing
            for piece in pieces:
                began = time.thread_time()
                policy.check(piece, where)
                times.append(1000 * (time.thread_time() - began))
        figures[name] = statistics.median(times[len(pieces) :])  # the first round compiles
    return figures


def _meaning(world: World) -> dict[str, float]:
    with Homefire.connect(world.paths.home) as home:
        for _ in home.stream(f"{AT}/models/pull", {"source": "all-minilm-l6-v2", "name": "minilm"}):
            pass
        home.put(f"{AT}/roles", {"embed": "minilm"})
        began = time.perf_counter()
        _decide(home, "hello", "user")
        while not home.get(f"{AT}/policy")["semantic"]["active"]:
            time.sleep(0.05)
        figures: dict[str, float] = {"semantic_ready_s": time.perf_counter() - began}
        times, alone = [], []
        kept = [each for each in load_examples() if each.split == "test"]
        for each in (kept[0], *kept):
            began = time.perf_counter()
            _decide(home, each.text, "user")
            between = time.perf_counter()
            home.post("/v1/embeddings", {"input": f"{each.text} "})
            times.append(1000 * (between - began))
            alone.append(1000 * (time.perf_counter() - between))
        # The model's own part of it, asked for in the same minute.
        figures |= {"semantic_ms": statistics.median(times[2:]), "embedding_ms": statistics.median(alone[2:])}
        pages = (ROOT / "docs" / "models.md").read_text("utf-8")
        longs = []
        for at in range(ROUNDS):
            began = time.perf_counter()
            _decide(home, pages[at : at + PIECE], "user")
            longs.append(1000 * (time.perf_counter() - began))
        figures["semantic_8kb_ms"] = statistics.median(longs)
        return figures | _shares(home, kept)


def _shares(home: Homefire, kept: list[Example]) -> dict[str, float]:
    attacks = [each.text for each in kept if each.kind == "attack"]
    permitted = [each.text for each in kept if each.kind == "permitted"]
    policy = Policy(load_rules(None))

    def share(texts: list[str], where: str) -> float:
        return sum(_decide(home, text, where)["action"] in ("ask", "refuse") for text in texts) / len(texts)

    return {
        "texts_kept_back": len(kept),
        # Of the words of a person the rules look at hardly anything: this is the check by meaning alone.
        "false_refusal_rate": share(permitted, "user"),
        "semantic_recall": share(attacks, "user"),
        "rules_recall": sum(policy.check(text, "web").action != "allow" for text in attacks) / len(attacks),
        "attack_recall": share(attacks, "web"),
        "false_question_rate_web": share(permitted, "web"),
    }


def _decide(home: Homefire, text: str, where: str) -> dict[str, Any]:
    found: dict[str, Any] = home.post(f"{AT}/policy/check", {"text": text, "where": where}, seconds=120)["decision"]
    return found
