"""The steps of a run: the only truth about it. Messages, the page, traces, summaries and resuming read nothing else.

    Ordered -> (Thought? Called (Asked Decided)? Begun? Returned | Repaired | Told | Summarised)* -> Answered? Ended

Promises: frozen values; `to_json` and `of_json` are inverse; a kind that this version does not know raises StoreDamaged.
Does not cover: where they are kept (`record.py`), what a model sees of them (`window.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_type_hints

from homefire.errors import StoreDamaged
from homefire.safety.taint import Label, label

# How a call came out. `empty`: it worked and there was nothing, which is no success of the step; `error`: the tool failed;
# `refused`: the boundary or a person said no, nothing was done; `cached`: the same call had this result before, nothing was done
# again; `unknown`: the process died after the effect had begun and before its result was kept: a person has to look.
Status = Literal["ok", "empty", "error", "refused", "cached", "unknown"]
# Why a run ended: it answered; a person stopped it; a budget was spent; it only repeated itself; the model could not be brought
# to a call; something failed that no further step mends.
Ending = Literal["answered", "stopped", "budget", "loop", "helpless", "failed"]


@dataclass(frozen=True, slots=True)
class Ordered:
    """What a person wants done, or says later while it runs. `label` is where the text comes from."""

    text: str
    label: Label = field(default_factory=lambda: label("person"))


@dataclass(frozen=True, slots=True)
class Thought:
    """What the model wrote that is neither a call nor an answer."""

    text: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Called:
    """A call the model wants. `arguments` is its JSON text as it was written; `digest` is of tool and canonical arguments;
    `by` says who decided it: a rule, or a model."""

    call: str
    tool: str
    arguments: str
    digest: str = ""
    by: Literal["rules", "model"] = "model"


@dataclass(frozen=True, slots=True)
class Asked:
    """A person has to decide about a call, or to answer a question of the tool `ask_person` (`approval` is then "")."""

    call: str
    approval: str
    shown: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What the person said: yes or no to the exact call, or the text of an answer."""

    call: str
    yes: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """The effect of a call begins: on the disk before it does. `idempotent`: it may be done again after a crash."""

    call: str
    digest: str
    idempotent: bool


@dataclass(frozen=True, slots=True)
class Returned:
    """What a call gave. `text` is what a model may see; `handle` names the whole where that is longer; `code` is the error's;
    `size` is the whole result's bytes; `seconds` it took."""

    call: str
    status: Status
    text: str
    code: str = ""
    handle: str = ""
    size: int = 0
    seconds: float = 0.0
    label: Label = field(default_factory=lambda: label("tool"))


@dataclass(frozen=True, slots=True)
class Repaired:
    """The model's answer could not be used; `problem` is what it is told. `what` is what it wrote, shortened."""

    problem: str
    what: str = ""
    code: str = "bad_call"


@dataclass(frozen=True, slots=True)
class Told:
    """What a guard of the loop tells the model: a repeat was blocked, a tool is gone, a step is still open."""

    text: str
    code: str


@dataclass(frozen=True, slots=True)
class Summarised:
    """Steps `first` to `last` are shown to the model as this text from now on; their full text stays where it is."""

    first: int
    last: int
    text: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """The final answer to the person."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The run is over. `text` says why, in words with the next step; `code` is an error's, or ""."""

    why: Ending
    text: str = ""
    code: str = ""


Step = Ordered | Thought | Called | Asked | Decided | Begun | Returned | Repaired | Told | Summarised | Answered | Ended
KINDS: Mapping[str, type[Any]] = {kind.__name__.lower(): kind for kind in get_args(Step)}


@dataclass(frozen=True, slots=True)
class Entry:
    """A step with its place in the run, from 0, and its time in Unix seconds. `tokens` were read and written for it."""

    n: int
    at: float
    step: Step
    tokens_in: int = 0
    tokens_out: int = 0


def to_json(entry: Entry) -> dict[str, Any]:
    """An entry as an object of JSON: `{"n", "at", "kind", ...the step's fields}`; a label as its text."""
    body = {each.name: getattr(entry.step, each.name) for each in fields(entry.step)}
    found = {name: value.to_text() if isinstance(value, Label) else value for name, value in body.items()}
    spent = (
        {"tokens_in": entry.tokens_in, "tokens_out": entry.tokens_out} if entry.tokens_in or entry.tokens_out else {}
    )
    return {"n": entry.n, "at": entry.at, "kind": type(entry.step).__name__.lower(), **found, **spent}


def of_json(body: Mapping[str, Any]) -> Entry:
    """The other way round. Raises StoreDamaged for what is not such an object."""
    try:
        kind = KINDS[body["kind"]]
        hints = get_type_hints(kind)
        given = {each.name: body[each.name] for each in fields(kind) if each.name in body}
        found = {name: Label.of_text(value) if hints[name] is Label else value for name, value in given.items()}
        step = kind(**found)
        return Entry(int(body["n"]), float(body["at"]), step, body.get("tokens_in", 0), body.get("tokens_out", 0))
    except (KeyError, TypeError, ValueError) as problem:
        raise StoreDamaged(f"A step of a run cannot be read: {problem!r}.") from None
