"""A swarm in plain text: a folder of Markdown files, one an agent, and AGENTS.md, which all of them are told.

    +++
    model = "qwen3-4b"           # default: the model of the role main
    tools = ["read_file"]        # default: all that are granted
    after = ["reader"]           # starts when these have ended, and gets their answers
    task = "Say what is wrong."  # beside the swarm's own task
    tokens = 20000               # of this agent; so are steps and seconds
    +++
    You are the critic. Look for what is missing.

The front is TOML between two lines `+++`; what follows it is the role. `name` in the front, or the file's name, names the agent.
The front of AGENTS.md may have `tokens` and `seconds`: the budget of all agents together.

Promises: pure; read strictly: whatever is not as above is one BadSwarm that names the file; `to_json` and `of_json` are inverse.
Does not cover: whether a model or a tool is there (the run of the agent says so).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from homefire.errors import BadSwarm

SHARED = "AGENTS.md"
MOST_AGENTS, MOST_TEXT, MOST_FILES = 16, 16_000, 64
FENCE = "+++"
TOKENS, SECONDS = 2_000_000.0, 7200.0
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_BOUNDS = ("steps", "tokens", "seconds")
_WORDS = {"name", "model", "tools", "after", "task", *_BOUNDS}


@dataclass(frozen=True, slots=True)
class Member:
    """One agent. `budget`: any of steps, tokens, seconds; `after`: names of those whose answers it needs."""

    name: str
    role: str = ""
    model: str = ""
    tools: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    task: str = ""
    budget: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """All agents, each behind those that it needs; `shared` is told to all; `tokens` and `seconds` are for all together."""

    members: tuple[Member, ...]
    shared: str = ""
    tokens: float = TOKENS
    seconds: float = SECONDS

    def to_json(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self))

    @staticmethod
    def of_json(text: str) -> Spec:
        """The other way round."""
        body: dict[str, Any] = json.loads(text)
        members = tuple(
            Member(**{**each, "tools": tuple(each["tools"]), "after": tuple(each["after"]),
                      "budget": tuple((name, value) for name, value in each["budget"])})
            for each in body["members"]
        )  # fmt: skip
        return Spec(**{**body, "members": members})


def read(files: Mapping[str, str]) -> Spec:
    """The swarm of these files, name to text. Raises BadSwarm."""
    if len(files) > MOST_FILES:
        raise BadSwarm(f"A swarm has at most {MOST_FILES} files.")
    shared, rest = "", dict[str, float]()
    members: dict[str, Member] = {}
    for file, text in sorted(files.items()):
        if not file.endswith(".md"):
            raise _bad(file, "is no Markdown file (.md)")
        if len(text) > MOST_TEXT:
            raise _bad(file, f"has more than {MOST_TEXT:,} characters")
        front, body = _split(file, text)
        if file == SHARED:
            _only(file, front, {"tokens", "seconds"})
            shared, rest = body, dict(_budget(file, front, ("tokens", "seconds")))
            continue
        member = _member(file, front, body)
        if member.name in members:
            raise _bad(file, f"is a second agent '{member.name}'")
        members[member.name] = member
    if not 1 <= len(members) <= MOST_AGENTS:
        raise BadSwarm(f"A swarm has 1 to {MOST_AGENTS} agents, and here are {len(members)}.")
    return Spec(_in_order(members), shared, **rest)


def _member(file: str, front: Mapping[str, Any], body: str) -> Member:
    _only(file, front, _WORDS)
    name = _text(file, front, "name") or file.removesuffix(".md")
    if not _NAME.fullmatch(name):
        raise _bad(file, f"'{name[:40]}' is no name: lower-case letters, digits, - and _, at most 32, a letter first")
    return Member(
        name, body, _text(file, front, "model"), _names(file, front, "tools"), _names(file, front, "after"),
        _text(file, front, "task"), _budget(file, front, _BOUNDS),
    )  # fmt: skip


def _split(file: str, text: str) -> tuple[dict[str, Any], str]:
    lines = text.lstrip("\ufeff").replace("\r\n", "\n").split("\n")
    if lines[0].strip() != FENCE:
        return {}, text.strip()
    end = next((n for n, line in enumerate(lines[1:], 1) if line.strip() == FENCE), None)
    if end is None:
        raise _bad(file, f"has no second line '{FENCE}' behind its front")
    try:
        front = tomllib.loads("\n".join(lines[1:end]))
    except tomllib.TOMLDecodeError as problem:
        raise _bad(file, f"has a front that is no TOML: {problem}") from None
    return front, "\n".join(lines[end + 1 :]).strip()


def _only(file: str, front: Mapping[str, Any], words: set[str]) -> None:
    if unknown := sorted(set(front) - words):
        raise _bad(file, f"has '{unknown[0][:40]}' in its front; there are {', '.join(sorted(words))}")


def _text(file: str, front: Mapping[str, Any], word: str) -> str:
    value = front.get(word, "")
    if not isinstance(value, str):
        raise _bad(file, f"has a '{word}' that is no text")
    return value.strip()


def _names(file: str, front: Mapping[str, Any], word: str) -> tuple[str, ...]:
    value = front.get(word, [])
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value) or len(value) > 200:
        raise _bad(file, f"has a '{word}' that is no list of names")
    return tuple(dict.fromkeys(value))


def _budget(file: str, front: Mapping[str, Any], words: Sequence[str]) -> tuple[tuple[str, float], ...]:
    found = []
    for word in words:
        if word in front:
            value = front[word]
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
                raise _bad(file, f"has a '{word}' that is no number above 0")
            found.append((word, float(value)))
    return tuple(found)


def _in_order(members: Mapping[str, Member]) -> tuple[Member, ...]:
    for member in members.values():
        if missing := [name for name in member.after if name not in members]:
            raise BadSwarm(f"'{member.name}' comes after '{missing[0][:40]}', and there is no such agent.")
    done: dict[str, Member] = {}
    while len(done) < len(members):
        ready = [m for m in members.values() if m.name not in done and all(name in done for name in m.after)]
        if not ready:
            left = ", ".join(sorted(set(members) - set(done)))
            raise BadSwarm(f"These agents wait for each other: {left}.", "Take one 'after' away.")
        done |= {m.name: m for m in ready}
    return tuple(done.values())


def _bad(file: str, what: str) -> BadSwarm:
    return BadSwarm(f"{file[:80]} {what}.")
