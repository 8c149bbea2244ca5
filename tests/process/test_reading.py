"""Recursive reading with the pilot at its leaves: a text of many windows, over the real daemon's rooms.

Promises: a fact in the middle is found, with its place, by few calls; what nobody says is not found.
Does not cover: counting and lists, which the pilot cannot (docs/agent.md).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from homefire.agent.rlm import ABSENT, Limits, Reader
from homefire.agent.rlm_leaves import ModelLeaf
from homefire.agent.rlm_plan import plan_for
from homefire.daemon import Daemon
from homefire.daemon.main_model import MainModel
from homefire.paths import Paths
from homefire.prompts import own_text
from homefire.server.answering import Answering
from homefire.server.listen import listen
from homefire.settings import Settings

FACT = "The vault code of the Oslo office is 12345."


def test_with_the_pilot(tmp_path: Path) -> None:
    asyncio.run(scenario(tmp_path))


async def scenario(folder: Path) -> None:
    (paths := Paths(folder / "home")).prepare()
    rows = [f"Row {n}: the road to the mill was dry and nobody came." for n in range(1500)]
    rows[900] += f" {FACT}"
    text = "\n".join(rows).encode()
    settings = Settings(port=0, threads=1)
    with listen(settings, paths) as listening:
        await reading(Daemon(paths, settings, listening), text)


async def reading(daemon: Daemon, text: bytes) -> None:
    await daemon.open()
    try:
        answering = Answering(daemon.keeper, daemon.library, roles=daemon.roles.roles)
        model = MainModel(answering, daemon.keeper, lambda: "pilot", lambda name: 2048)
        plan = plan_for("find", await model.window(), 60, 20)
        reader = Reader(ModelLeaf(model, own_text), Limits(calls=60, slots=2))
        found = await reader.read("What is the vault code of the Oslo office?", [("rows", text)], plan)
        assert "12345" in found.answer and found.found and found.saved > 5 and len(text) > 30 * 2048
        _, start, end = found.places[0]
        assert FACT.encode() in text[start:end]
        none = await reader.read(
            "What is the vault code of the Lima office?", [("rows", text[: text.index(b"Row 90:")])], plan
        )
        assert none.answer == ABSENT and not none.found
    finally:
        await daemon.close()
