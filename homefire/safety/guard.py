"""The policy with the check by meaning behind it: what the way in asks.

Promises: the check by meaning never holds up the start and never passes for done: while its vectors are not there, or its
model is not, decisions say so and count as made by rules alone. A text is looked at once, however often it comes.
Does not cover: who is told, and how (`server/gate.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

from homefire.errors import HomefireError
from homefire.safety.policy import Decision, Policy
from homefire.safety.rules import Where
from homefire.safety.semantic import Embed, Finding, Semantic

REMEMBERED = 2048


class Guard:
    """Decides about texts that come in. `folder` keeps vectors; `embed` is None in the mode `rules`. `semantic` is None while the
    check by meaning is not at work, `problem` says why. Used on one event loop."""

    def __init__(self, policy: Policy, embed: Embed | None = None, folder: Path | None = None) -> None:
        self.policy = policy
        self._embed = embed if policy.mode != "rules" and policy.found.semantic is not None else None
        self._folder = folder
        self.semantic: Semantic | None = None
        self.model = ""
        self._making: asyncio.Task[None] | None = None
        self.problem = "its examples are being read"
        self._found: OrderedDict[bytes, Finding] = OrderedDict()

    async def look(self, text: str, where: Where) -> Decision:
        """What to do with a text."""
        decision = await self._by_rules(text, where)
        table = self.policy.found.semantic
        if decision.action in ("ask", "refuse") or (decision.action == "allow" and decision.rule):
            return decision
        if self.policy.mode == "rules" or table is None or where not in table.where:
            return decision
        found = await self._by_meaning(decision.text if decision.text is not None else text)
        if found is None:
            return replace(decision, mode="rules", note=f"The check by meaning was not made: {self.problem}.")
        if found.suspicious:
            reason = f"{table.reason} Nearest: {found.nearest!r}."
            return replace(decision, action=table.action, rule="semantic", reason=reason, view="meaning", text=None)
        note = "Only the first part was checked by meaning." if found.partly else ""
        return replace(decision, note=note)

    async def close(self) -> None:
        """Ends what is being made."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait((self._making,))

    def prepare(self) -> None:
        """Reads or makes the vectors of the examples, beside everything else."""
        if self._embed is not None and (self._making is None or self._making.done()):
            self._making = asyncio.ensure_future(self._prepare(self._embed))

    async def _prepare(self, embed: Embed) -> None:
        table = self.policy.found.semantic
        assert self._folder is not None and table is not None
        try:
            model = await embed.model()
            if not model:
                self.problem = "no model makes vectors here (role embed)"
                return
            self.semantic = await Semantic.of(embed, self._folder, table.percent)
            self.model = model
            self._found.clear()
        except HomefireError as problem:
            self.problem = problem.message.rstrip(".")

    async def _by_rules(self, text: str, where: Where) -> Decision:
        steps = self.policy.steps(text, where)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                decision: Decision = end.value
                return decision
            await asyncio.sleep(0)

    async def _by_meaning(self, text: str) -> Finding | None:
        if self._embed is None:
            return None
        known = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        try:
            if self.semantic is None or await self._embed.model() != self.model:
                self.semantic = None
                self.prepare()
                return None
            if known not in self._found:
                self._found[known] = await self.semantic.check(text, self._embed)
        except HomefireError as problem:
            self.problem = problem.message.rstrip(".")
            return None
        self._found.move_to_end(known)
        while len(self._found) > REMEMBERED:
            self._found.popitem(last=False)
        return self._found[known]
