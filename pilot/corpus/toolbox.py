"""The tools of `fixtures/tools.json` as the pilot is shown them.

Promises: names, descriptions and arguments are those of the fixture, which also binds the agent and the tab.
Does not cover: how people ask for a tool (`choice.py`), chains of calls (`chains.py`).
"""

import json
import random
from pathlib import Path

from pilot.dialogue import Tool

FIXTURE = Path(__file__).parents[2] / "fixtures" / "tools.json"
RESPOND = "respond"


def load() -> dict[str, Tool]:
    """Name to tool, in the order of the fixture."""
    tools = {}
    for entry in json.loads(FIXTURE.read_text("utf-8"))["tools"]:
        function = entry["function"]
        kinds = {key: kind["type"] for key, kind in function["parameters"]["properties"].items()}
        tools[function["name"]] = Tool(function["name"], function["description"], kinds)
    return tools


TOOLS = load()


def offer(rng: random.Random, wanted: tuple[str, ...], count: int, never: tuple[str, ...] = ()) -> list[Tool]:
    """The wanted tools and others of the fixture, `count` in all (or as many as are wanted), in random order."""
    others = [name for name in TOOLS if name not in wanted and name not in never]
    names = [*wanted, *rng.sample(others, min(len(others), max(0, count - len(wanted))))]
    rng.shuffle(names)
    return [TOOLS[name] for name in names]
