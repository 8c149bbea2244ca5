"""What a skill is: a generator of documents to learn from, and held-out trials of the finished model.

Each module of a skill has `GOALS` (figure to goal), `document(rng)`, `trial(ask, rng)` and `TRIALS` (how many).
Promises: `trial` judges only what the model answers through `ask`, which speaks to the shipped path; one call is one case.
Does not cover: how `ask` reaches the model (`pilot/evaluate.py`), how much of each skill is read (`pilot/corpus/mixture.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from pilot.dialogue import Dialogue

Message = dict[str, Any]  # in the OpenAI form


@dataclass(frozen=True)
class Reply:
    """What the model answered: text, calls as (name, arguments; None when no JSON object), and whether it came to its end."""

    text: str
    calls: tuple[tuple[str, dict[str, Any] | None], ...] = ()
    ended: bool = True
    error: str = ""  # the stable code, when the daemon refused the request


class Ask(Protocol):
    """Sends one conversation to the model (greedy unless `more` says otherwise)."""

    def __call__(self, messages: list[Message], tools: list[dict[str, Any]] | None = None, **more: Any) -> Reply: ...


@dataclass(frozen=True)
class Mark:
    """One judgement: the figure it counts for, good or not, and a line for a person to read."""

    figure: str
    good: bool
    note: str


class Skill(Protocol):
    """A module of `pilot/corpus/` that teaches and tries one skill."""

    GOALS: dict[str, tuple[str, float]]
    TRIALS: int

    def document(self, rng: Any) -> Dialogue: ...

    def trial(self, ask: Ask, rng: Any) -> Iterable[Mark]: ...
