"""A scripted leaf: reads made texts rightly, but for a share of its answers that is drawn by a seed.

Promises: the same chunk, question and attempt get the same answer. Does not cover: languages.
"""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass, field

from homefire.agent.rlm import Said, Task


@dataclass
class ScriptedLeaf:
    """`wrong`: the share of answers that are; `names`: what a word of a question means; `seen` the texts it was shown."""

    wrong: float = 0.0
    seed: int = 0
    names: dict[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    async def __call__(self, task: Task, question: str, text: str, attempt: int) -> Said:
        self.seen.append(text)
        tokens = len(text) // 4
        mark = hashlib.sha256(f"{self.seed} {task} {question} {text} {attempt}".encode()).digest()
        dice = random.Random(mark)
        errs = dice.random() < self.wrong
        if task == "find":
            key = question.rsplit(" ", 1)[-1].strip("?")
            key = self.names.get(key, key)
            found = re.search(rf"code of {key} is (\d+)", text)
            if errs:
                return Said((str(dice.randrange(10**6)),), tokens)
            return Said((found[1],) if found else (), tokens)
        if task == "count":
            number = len(re.findall(r"a red door", text)) + (dice.choice((1, 2)) if errs else 0)
            return Said((str(number),), tokens)
        if task == "list":
            return Said(tuple(re.findall(r"code of (\w+) is", text)) if not errs else (), tokens)
        if task == "cross":
            names = text.split("\n")
            return Said(tuple(f"{a} | {b}" for a in names for b in names if a < b and a[0] == b[0]), tokens)
        return Said((" ".join(re.findall(r"code of \w+ is \d+", text))[:200] or "nothing",), tokens)


def made_text(lines: int, seed: int) -> tuple[str, dict[str, str], int]:
    """A text, its codes by their names, and how many red doors it has."""
    dice = random.Random(seed)
    rows, codes, doors = [], dict[str, str](), 0
    for n in range(lines):
        row = f"Line {n}: the {dice.choice(('old', 'new', 'small'))} house stands by the {dice.choice(('river', 'wood'))}."
        if dice.random() < 0.1:
            doors += 1
            row += " It has a red door."
        rows.append(row)
    for at in sorted(dice.sample(range(lines), min(lines, 6))):
        name = "".join(dice.choices("abcdefgh", k=6)) + str(at)
        codes[name] = str(dice.randrange(10**5, 10**6))
        rows[at] += f" The code of {name} is {codes[name]}."
    return "\n".join(rows) + "\n", codes, doors
