"""Where a text comes from, carried along with it: through a model, a memory and a skill.

    person, system                     trusted
    web, file, tool, memory, model     not trusted; `memory` and `model` stand for texts made of such

Promises: joining is the only way to combine labels, and it never takes anything away; a label that cannot be read is the worst
one; nothing in this module, and no text, raises what may be done.
Does not cover: what a label forbids (`boundary.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Source = Literal["person", "system", "web", "file", "tool", "memory", "model"]
TRUSTED: frozenset[str] = frozenset({"person", "system"})
SOURCES: frozenset[str] = frozenset(get_args(Source))


@dataclass(frozen=True, slots=True)
class Label:
    """`sources` a text is made of; `private`: something in it belongs to the person alone (a file, a memory, a mailbox)."""

    sources: frozenset[str] = frozenset()
    private: bool = False

    @property
    def tainted(self) -> bool:
        """Whether something in it was not said by the person or by Homefire."""
        return not self.sources <= TRUSTED

    def join(self, *others: Label) -> Label:
        """The label of a text that is made of all of these."""
        sources = self.sources.union(*(other.sources for other in others))
        return Label(sources, self.private or any(other.private for other in others))

    def through(self, source: Literal["memory", "model"]) -> Label:
        """The label of what a memory or a model makes of this: what was trusted stays so, what was not gets the mark too."""
        return Label(self.sources | {source}, self.private) if self.tainted else self

    def to_text(self) -> str:
        """As it is stored beside the text, such as `private person web`."""
        return " ".join([*(["private"] if self.private else []), *sorted(self.sources)])

    @staticmethod
    def of_text(text: object) -> Label:
        """The other way round. What is not exactly such a text is the worst label there is."""
        words = text.split(" ") if isinstance(text, str) and re.fullmatch(r"[a-z]+(?: [a-z]+){0,8}", text) else []
        sources = frozenset(words) - {"private"}
        if not sources or not sources <= SOURCES:
            return WORST
        return Label(sources, "private" in words)


WORST = Label(SOURCES, private=True)


def label(source: Source, *, private: bool = False) -> Label:
    """The label of a text that comes from there."""
    return Label(frozenset({source}), private)


def joined(labels: Iterable[Label]) -> Label:
    """The label of a context: everything a model has in front of it."""
    return Label().join(*labels)
