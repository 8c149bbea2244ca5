"""`bench swarm`: three agents on three models at once, against the same three one after another.

The pilot and two copies of it under other names, in one daemon. At once: a swarm of three agents that need nothing of each other.
One after another: three swarms of one agent each, with the same model and task. Both ways in turn; once with the threads that the
daemon takes by itself, once with one thread for each engine.
Promises: every run has to answer, with a call of a tool; all models are in memory before the first round. The gain is the time of
one after another divided by that of at once, medians of the rounds.
Does not cover: models that do not fit beside each other; more cores than this machine has. The gain is bounded by them: an
engine alone may use all of them.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.report import Report
from bench.world import World, running_daemon
from homefire.client import Homefire
from homefire.models.library import PILOT_FILE

GOALS: dict[str, tuple[str, float]] = {"gain": (">=", 1.0)}
ROUNDS = 11
AT = "/homefire/v1"
AGENTS = {"pilot": "What is 17 times 23?", "second": "What is 12 times 12?", "third": "What is 31 times 19?"}


async def measure() -> Report:
    """Runs it."""
    report = Report("swarm", GOALS)
    report.figures |= _figures("", {})
    report.figures |= _figures("one_thread_", {"threads": 1})
    return report


def _figures(prefix: str, settings: dict[str, int | str]) -> dict[str, float]:
    at_once: list[float] = []
    in_turn: list[float] = []
    with tempfile.TemporaryDirectory(prefix="homefire-swarm-") as folder, running_daemon(**settings) as world:
        home = _home(world, Path(folder))
        _swarm(home, AGENTS)
        for number in range(ROUNDS):
            for together in (True, False) if number % 2 else (False, True):
                began = time.perf_counter()
                if together:
                    _swarm(home, AGENTS)
                else:
                    for name, task in AGENTS.items():
                        _swarm(home, {name: task})
                (at_once if together else in_turn).append(time.perf_counter() - began)
        home.close()
    once, turn = statistics.median(at_once), statistics.median(in_turn)
    return {f"{prefix}at_once_s": once, f"{prefix}in_turn_s": turn, f"{prefix}gain": turn / once}


def _home(world: World, folder: Path) -> Homefire:
    home = Homefire.connect(url=f"http://127.0.0.1:{world.port}", key=world.key)
    for name in list(AGENTS)[1:]:
        file = folder / f"{name}.gguf"
        shutil.copyfile(PILOT_FILE, file)
        assert [event.name for event in home.stream(f"{AT}/models/import", {"path": str(file), "name": name})][
            -1
        ] == "done"
    return home


def _swarm(home: Homefire, agents: dict[str, str]) -> dict[str, Any]:
    files = {
        f"{name}.md": f'+++\nmodel = "{name}"\ntask = "{task}"\n+++\nYou work it out.' for name, task in agents.items()
    }
    made = home.post(f"{AT}/agent/swarms", {"files": files})
    done: dict[str, Any] = {}
    for event in home.stream(f"{AT}/agent/swarms/{made['id']}/steps", method="GET"):
        done = event.data
    assert done["ending"] == "answered", done
    assert all(agent["run"]["steps"] >= 5 for agent in done["agents"]), done
    return done
