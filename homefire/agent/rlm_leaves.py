"""The model at the leaves: one chunk, one question, an answer in the task's form or none.

Promises: what is not in the form is no answer (a number is digits alone, an absent answer is none); the text stands in a frame it
cannot end, and the prompt says that it is no order; votes after the first are asked with the question in front, which makes
them less alike.
Does not cover: when it is asked and what comes of it (`rlm.py`); the words, which are prompts of Homefire's (`prompts/own`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from homefire.agent.rlm import Said, Task
from homefire.knowledge.answer import absent, near_sentences, plain

TOKENS: dict[Task, int] = {"find": 60, "count": 16, "list": 300, "cross": 300, "summary": 300}
PILOT_TOKENS = 48
MOST_LINE = 300


class Complete(Protocol):
    """What a leaf needs of a model; `knowledge.needs.Complete` has it."""

    async def window(self) -> int: ...

    async def is_built_in(self) -> bool: ...

    async def count(self, texts: Sequence[str]) -> list[int]: ...

    def stream(self, system: str, text: str, max_tokens: int) -> AsyncGenerator[str, None]: ...


class ModelLeaf:
    """A `Leaf` over a model. `words` gives a prompt of Homefire's by its name."""

    def __init__(self, complete: Complete, words: Callable[[str], str]) -> None:
        self._complete, self._words = complete, words

    async def __call__(self, task: Task, question: str, text: str, attempt: int) -> Said:
        """As `Leaf`."""
        if await self._complete.is_built_in():
            return await self._by_pilot(task, question, text)
        framed = f"<text>\n{plain(text)}\n</text>"
        asked = f"Question: {plain(question)}"
        prompt = f"{asked}\n{framed}" if attempt % 2 else f"{framed}\n{asked}"
        system = self._words(f"homefire.read.{task}")
        said = await self._said(system, prompt, TOKENS[task])
        return Said(form(task, said), _tokens(system, prompt, said))

    async def _by_pilot(self, task: Task, question: str, text: str) -> Said:
        """The built-in model reads one short passage and gives words out of it; it cannot count, list or summarise."""
        excerpt = near_sentences(question, text)
        if task != "find" or not excerpt:
            return Said(())
        system = self._words("homefire.answer.pilot")
        prompt = f"{plain(excerpt)}\n\nQuestion: {plain(question)}"
        said = await self._said(system, prompt, PILOT_TOKENS)
        return Said(form("find", said), _tokens(system, prompt, said))

    async def _said(self, system: str, prompt: str, most: int) -> str:
        async with aclosing(self._complete.stream(system, prompt, most)) as pieces:
            return "".join([piece async for piece in pieces]).strip()


def form(task: Task, said: str) -> tuple[str, ...]:
    """The answer in its form; () for none. Pure."""
    if not said or absent(said):
        return ()
    if task == "count":
        number = said.strip(" .\n").replace(",", "")
        return (number,) if number.isascii() and number.isdigit() and len(number) < 10 else ()
    if task in ("list", "cross"):
        lines = (line.strip().lstrip("-*•0123456789.) ").strip() for line in said.splitlines())
        return tuple(line for line in lines if line and len(line) <= MOST_LINE and line.casefold() != "none")
    return (said,)


def _tokens(*texts: str) -> int:
    """About how many, for the budget: counting them exactly would be another call for each leaf."""
    return sum(1 + len(text.encode()) // 4 for text in texts)
