"""A second model, or a second role of the same one, that looks at a plan before it runs.

    plan -> risk -> under the threshold: goes on, noted
                 -> over it: asked -> exactly the JSON that was asked for, about this plan, saying "approve" -> goes on
                                   -> anything else, an error, no answer in time -> does not

Promises: no verdict is no approval; each is stored with its plan's digest; a critic's yes gives no right that the boundary
would not give without it.
Does not cover: judging well: that is the model's part, and a model can be talked round. What holds is the boundary.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from homefire.errors import HomefireError
from homefire.safety.boundary import Risk
from homefire.safety.schema import Misfit, canonical, read_arguments
from homefire.safety.taint import Label
from homefire.store import Safety, VerdictRow

WEIGHTS: Mapping[Risk, int] = {"read": 1, "write": 3, "run": 6, "send": 6, "spend": 10, "admin": 10}
MOST_REASON = 500
Outcome = Literal["below", "approved", "rejected", "garbled", "failed"]


class Complete(Protocol):
    """What the critic needs of a model. `name` is the model's; the answer has to be JSON of `schema`."""

    @property
    def name(self) -> str: ...

    async def __call__(self, system: str, text: str, schema: Mapping[str, Any]) -> str: ...


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan, its arguments as the boundary reads them."""

    tool: str
    risk: Risk
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, for what, and the label of the context it was made in."""

    goal: str
    steps: tuple[Step, ...]
    label: Label

    @property
    def risk(self) -> int:
        """The weights of its steps, twice where untrusted text was in the context."""
        total = sum(WEIGHTS[step.risk] for step in self.steps)
        return 2 * total if self.label.tainted else total

    @property
    def digest(self) -> str:
        """The sha256 of the whole."""
        return hashlib.sha256(canonical(self._whole()).encode("utf-8", "surrogatepass")).hexdigest()

    def to_json(self) -> str:
        """As the critic reads it, in ASCII, so that nothing invisible is in it."""
        return json.dumps({"plan": self.digest[:16], **self._whole()}, ensure_ascii=True, sort_keys=True)

    def _whole(self) -> dict[str, Any]:
        steps = [{"tool": step.tool, "risk": step.risk, "arguments": dict(step.arguments)} for step in self.steps]
        return {"goal": self.goal, "steps": steps, "untrusted_text_in_context": self.label.tainted}


@dataclass(frozen=True, slots=True)
class Review:
    """What came of it."""

    outcome: Outcome
    reason: str

    @property
    def passed(self) -> bool:
        """Whether the plan may go on to the boundary."""
        return self.outcome in ("below", "approved")


class Critic:
    """Looks at plans from `threshold` on; `role` is what the model is told it is; `seconds` is how long it may take."""

    def __init__(
        self,
        complete: Complete,
        stored: Safety,
        role: Callable[[], str],
        *,
        threshold: int = 6,
        seconds: float = 60.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._complete = complete
        self._stored = stored
        self._role = role
        self._threshold = threshold
        self._seconds = seconds
        self._now = now

    async def review(self, plan: Plan) -> Review:
        """The verdict on a plan, stored."""
        if plan.risk < self._threshold:
            found = Review("below", f"Its risk of {plan.risk} is under {self._threshold}.")
        else:
            found = await self._ask(plan)
        row = VerdictRow(plan.digest, found.outcome, found.reason, plan.risk, self._complete.name, self._now())
        await self._stored.note_verdict(row)
        return found

    async def _ask(self, plan: Plan) -> Review:
        schema = _schema(plan.digest[:16])
        try:
            async with asyncio.timeout(self._seconds):
                said = await self._complete(self._role(), plan.to_json(), schema)
        except TimeoutError:
            return Review("failed", f"The critic gave no verdict within {self._seconds:g} s.")
        except HomefireError as problem:
            return Review("failed", f"The critic could not be asked: {problem.message}"[:MOST_REASON])
        try:
            verdict = read_arguments(said, schema)
        except Misfit as problem:
            return Review("garbled", f"The critic's answer is no verdict: {problem}."[:MOST_REASON])
        return Review("approved" if verdict["verdict"] == "approve" else "rejected", verdict["reason"])


def _schema(plan: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "plan": {"type": "string", "const": plan},
            "verdict": {"type": "string", "enum": ["approve", "reject"]},
            "reason": {"type": "string", "maxLength": MOST_REASON},
        },
        "required": ["plan", "verdict", "reason"],
    }
