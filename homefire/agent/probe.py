"""What a model manages, measured once before its first run: whether it calls by itself, with a role's text, at which temperature.

    kept? -> that | three questions, each with one right call: free, with the role's text, free at its own temperature,
    forced where free fails -> ModelFacts -> kept

Promises: what is measured is kept under the model's name by `Facts`, and asked of it again only when that has nothing; a tie
goes to temperature 0; an error of the engine is raised and nothing is kept, so that a bad moment is no fact.
Does not cover: how well it does tasks (`bench guardrails`), where facts are kept, when a file under a name changed: who keeps
them names the file's digest.
"""

from __future__ import annotations

from typing import Any, Protocol

from homefire.agent import formats
from homefire.agent.formats import Draft
from homefire.agent.loop import ModelFacts
from homefire.agent.needs import Model
from homefire.messages import ChatRequest, Message, Sampling, TextDelta, Tool, ToolCallDelta

ENOUGH = 2  # of the questions


def _object(field: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {field: {"type": "string"}},
        "required": [field],
        "additionalProperties": False,
    }


# Names and descriptions of tools.json, which the built-in model knows.
TOOLS = (
    Tool("respond", "Gives the final answer to the person.", _object("text")),
    Tool("calculate", "Works out an arithmetic expression.", _object("expression")),
    Tool("remember", "Keeps a fact in memory.", _object("text")),
    Tool("read_file", "Reads a file.", _object("path")),
)
QUESTIONS = (
    ("what is 23 * 41?", "calculate", "23"),
    ("remember that my locker is 318", "remember", "318"),
    ("read the file plan.txt", "read_file", "plan.txt"),
)


class Facts(Protocol):
    """Where what was measured is kept, by a model's name."""

    async def of(self, model: str) -> ModelFacts | None: ...

    async def keep(self, model: str, facts: ModelFacts) -> None: ...


async def facts_of(model: Model, facts: Facts, system: str, own_temperature: float | None = None) -> ModelFacts:
    """Kept or measured. `own_temperature` is what its file or family names (`general.sampling`), None: nothing. Raises what the
    engines raise."""
    if (kept := await facts.of(model.name)) is not None:
        return kept
    found = await measure(model, system, own_temperature)
    await facts.keep(model.name, found)
    return found


async def measure(model: Model, system: str, own_temperature: float | None = None) -> ModelFacts:
    """At most twelve short answers."""
    plain = await _right(model, "", "auto", 0.0)
    choice = "auto" if plain >= ENOUGH else "required"
    if choice == "required":
        plain = await _right(model, "", choice, 0.0)
    told = await _right(model, system, choice, 0.0) if system else 0
    with_role = bool(system) and told >= plain
    temperature = 0.0
    if own_temperature:
        warm = await _right(model, system if with_role else "", choice, own_temperature)
        temperature = own_temperature if warm > max(plain, told if with_role else 0) else 0.0
    return ModelFacts("native" if choice == "auto" else "forced", with_role, temperature)


async def _right(model: Model, system: str, choice: str, temperature: float) -> int:
    """How many of the questions got their call."""
    right = 0
    for asked, tool, word in QUESTIONS:
        messages = (*([Message("system", system)] if system else []), Message("user", asked))
        sampling = Sampling(temperature=temperature, max_tokens=256, seed=1)
        request = ChatRequest(model.name, messages, sampling, TOOLS, choice, stream=True)
        read = formats.read(await _draft(model, request), {each.name: each.parameters for each in TOOLS})
        right += any(
            name == tool and word in arguments and not formats.problem_of(arguments, _schema(tool))
            for name, arguments in read.calls
        )
    return right


async def _draft(model: Model, request: ChatRequest) -> Draft:
    text, calls = "", dict[int, tuple[str, str]]()
    async with model.ask(request) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                text += event.text
            elif isinstance(event, ToolCallDelta):
                name, arguments = calls.get(event.index, ("", ""))
                calls[event.index] = event.name or name, arguments + event.arguments
    return Draft(text, tuple(calls.values()))


def _schema(tool: str) -> dict[str, Any]:
    return next(each.parameters for each in TOOLS if each.name == tool)
