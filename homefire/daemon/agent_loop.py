"""The loop of a run, made of the daemon's rooms: which model, which budget, which guards.

Promises: what an order leaves open is the loop's own default; an order that names a guard that does not exist is refused when the
run begins. Does not cover: what the loop does (`agent/loop.py`), what a model is (`agent_model.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from homefire.agent.budget import Budget
from homefire.agent.guards import Guards
from homefire.agent.loop import Loop, LoopRules
from homefire.agent.runs import Given, MakeLoop
from homefire.daemon.agent_model import AgentModel
from homefire.server.answering import Answering


def loops(
    answering: Callable[[], Answering], window: Callable[[str], int], default_model: Callable[[], str]
) -> MakeLoop:
    """Makes the loop of each run; `answering` is made anew for each, so that a model that is moved is found."""

    async def make(given: Given) -> Loop:
        order, usual = given.order, Budget()
        budget = replace(
            usual,
            steps=int(order.budget.get("steps", usual.steps)),
            tokens=int(order.budget.get("tokens", usual.tokens)),
            seconds=float(order.budget.get("seconds", usual.seconds)),
        )
        guards = Guards().without(name for name, on in order.guards.items() if not on)
        model = AgentModel(answering(), order.model or default_model(), window, given.key)
        rules = LoopRules(order.mode, budget, guards, run=given.run)
        return Loop(model, given.hands, given.record, given.offered, rules, say=given.say)

    return make
