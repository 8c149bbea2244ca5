"""What a run is begun with, as it is kept beside it.

Promises: `to_json` and `of_json` are inverse. Does not cover: what a loop makes of budget and guards (`loop.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from homefire.errors import InvalidRequest
from homefire.safety.taint import Label

Mode = Literal["rules", "hybrid", "full"]
MOST_TASK = 200_000
# What a child may use of each of its parent's budgets, how deep children go, and how many one run has.
CHILD_SHARE, MOST_DEPTH, MOST_CHILDREN = 0.25, 2, 8


@dataclass(frozen=True, slots=True)
class Order:
    """A task and its bounds. `tools`: () for all that are granted; `budget`: any of steps, tokens, seconds; `guards`: those that
    are switched, by name; `folder`: "" for one of the run's own; `label`: where the task's text comes from; `depth`: 0 for a run
    that a person began, `role` what a parent calls it, `group` the swarm whose agent it is. Raises InvalidRequest."""

    task: str
    model: str = ""
    mode: Mode = "full"
    tools: tuple[str, ...] = ()
    budget: Mapping[str, float] = field(default_factory=dict)
    guards: Mapping[str, bool] = field(default_factory=dict)
    folder: str = ""
    conversation: str = ""
    label: str = "person"
    parent: str = ""
    depth: int = 0
    role: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        if not self.task.strip() or len(self.task) > MOST_TASK:
            raise InvalidRequest(f"A task has 1 to {MOST_TASK:,} characters.", param="task")
        if self.mode not in get_args(Mode):
            raise InvalidRequest(f"Not a mode: {self.mode!r}; there are rules, hybrid and full.", param="mode")
        for name, value in self.budget.items():
            if name not in ("steps", "tokens", "seconds") or not 0 < value < 1e12:
                raise InvalidRequest(f"Not a budget: {name} = {value!r}.", param="budget")

    @property
    def source(self) -> Label:
        """The label of the task's text."""
        return Label.of_text(self.label)

    def child(self, role: str, task: str, label: Label, run: str) -> Order:
        """The order of a run that this one begins, with its share of the budget."""
        budget = {name: max(1.0, value * CHILD_SHARE) for name, value in self.budget.items()}
        return Order(
            task,
            self.model,
            self.mode,
            self.tools,
            budget,
            self.guards,
            "",
            "",
            label.to_text(),
            run,
            self.depth + 1,
            role,
            self.group,
        )

    def to_json(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self))

    @staticmethod
    def of_json(text: str) -> Order:
        """The other way round."""
        body: dict[str, Any] = json.loads(text)
        return Order(**{**body, "tools": tuple(body["tools"])})
