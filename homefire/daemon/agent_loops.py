"""The loop of each run, made of the daemon's rooms: its model, its tools' vectors, its role's text, the critic.

Promises: a model's facts are asked once for a model's file and kept; an order's budget and guards are those that it names, the
rest is as by default.
Does not cover: runs (`agent/runs.py`), tools (`agents.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from homefire.agent.budget import Budget
from homefire.agent.guards import Guards
from homefire.agent.loop import Loop, LoopRules, ModelFacts, Review
from homefire.agent.probe import facts_of
from homefire.agent.runs import Given, Runner
from homefire.agent.step import Called
from homefire.daemon.agent_facts import KeptFacts
from homefire.daemon.agent_model import AgentModel
from homefire.daemon.handed import PolicyVectors
from homefire.safety import Critic
from homefire.safety.boundary import ToolSpec
from homefire.safety.critic import Plan, Step
from homefire.safety.schema import Misfit, read_arguments
from homefire.safety.taint import Label
from homefire.server.answering import Answering


class ToolVectors:
    """`Embed` of the agent: the house's embedding model; None where there is none."""

    def __init__(self, vectors: PolicyVectors) -> None:
        self._vectors = vectors

    async def __call__(self, texts: Sequence[str]) -> Sequence[bytes] | None:
        if not await self._vectors.model():
            return None
        return [vector.tobytes() for vector in await self._vectors.vectors(texts)]


class Loops:
    """A `MakeLoop`. `system` gives the role's text as it is in force now, `temperature` what a model's file names for itself."""

    def __init__(
        self,
        answering: Callable[[], Answering],
        window_of: Callable[[str], int],
        default_model: Callable[[], str],
        system: Callable[[], str],
        *,
        vectors: PolicyVectors,
        critic: Critic,
        facts: KeptFacts,
        temperature: Callable[[str], float | None],
    ) -> None:
        self._facts, self._temperature = facts, temperature
        self._answering, self._window_of = answering, window_of
        self._default_model, self._system = default_model, system
        self._embed, self._critic = ToolVectors(vectors), critic

    async def __call__(self, given: Given) -> Runner:
        """The loop of a run. Raises UnknownModel."""
        order = given.order
        model = AgentModel(self._answering(), order.model or self._default_model(), self._window_of, given.key)
        facts, usual = await self._facts_of(model, order.mode), Budget()
        budget = Budget(
            int(order.budget.get("steps", usual.steps)),
            int(order.budget.get("tokens", usual.tokens)),
            float(order.budget.get("seconds", usual.seconds)),
        )
        guards = Guards().without(name for name, on in order.guards.items() if not on)
        system = self._system() + (f"\nYour role: {order.role}" if order.role else "")
        rules = LoopRules(order.mode, budget, guards, system, facts, given.run)
        review = self._review(given.offered)
        return Loop(
            model, given.hands, given.record, given.offered, rules, embed=self._embed, say=given.say, review=review
        )

    async def _facts_of(self, model: AgentModel, mode: str) -> ModelFacts:
        """The built-in model is what it was trained to be; another is tried before its first run that needs its calls."""
        if mode != "full" or await model.is_built_in():
            return ModelFacts(system=False)
        temperature = await asyncio.to_thread(self._temperature, model.name)
        return await facts_of(model, self._facts, self._system(), temperature)

    def _review(self, offered: Sequence[ToolSpec]) -> Review:
        """The critic's look at one call. It lets pass what is under its threshold."""
        risks = {tool.name: tool for tool in offered}

        async def review(goal: str, call: Called, context: Label) -> str:
            tool = risks[call.tool]
            try:
                arguments = read_arguments(call.arguments, tool.parameters)
            except Misfit:
                return ""
            found = await self._critic.review(Plan(goal, (Step(call.tool, tool.risk, arguments),), context))
            return "" if found.passed else f"The critic does not let it pass: {found.reason}"

        return review
