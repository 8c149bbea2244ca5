"""The two tools of a swarm: `board_post` and `board_read`. They are no part of `tools.json`: the pilot is not trained on them.

Promises: what is read from the board has the labels with which it was posted; a post that is done again after a crash is there
once; another agent's whole result is read by its handle, in pieces, if that agent is of the same swarm.
Does not cover: what is a swarm (`agent/swarm.py`), who is shown these (`agent/runs.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from homefire.agent.tool import Context, Outcome
from homefire.agent.tools.plain import PlainTool, failed, told
from homefire.safety.boundary import ToolSpec
from homefire.safety.taint import Label, joined
from homefire.store import PostRow

MOST_POST, PIECE, LINE = 16_000, 3_000, 160
_NAME = re.compile(r"[\w][\w .-]{0,63}")
_POST: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "A short name, under which the others find it"},
        "text": {"type": "string", "description": "What the others shall read"},
    },
    "required": ["name", "text"],
    "additionalProperties": False,
}
_READ: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "A name on the board, or a handle step:RUN:N; without it all names"},
        "first": {"type": "integer", "description": "The character to begin at, for long texts", "minimum": 0},
    },
    "required": [],
    "additionalProperties": False,
}


class Board(Protocol):
    """The boards of swarms, by a run of one of their agents (`swarm.py`)."""

    async def post(self, run: str, call: str, name: str, text: str, label: Label) -> PostRow | None:
        """None: the board is full. Raises InvalidRequest for a run of no swarm."""
        ...

    async def posts(self, run: str, name: str = "") -> Sequence[PostRow]:
        """The newest of each name, or of this name. Raises InvalidRequest."""
        ...

    async def handed(self, key: str, run: str, handle: str) -> tuple[bytes, Label]:
        """The whole behind a handle of an agent of the same swarm. Raises UnknownRun, InvalidRequest."""
        ...


def board_tools(board: Board) -> list[PlainTool]:
    """board_post, board_read."""

    async def post(arguments: Mapping[str, Any], context: Context) -> Outcome:
        name, text = arguments["name"].strip(), arguments["text"]
        if not _NAME.fullmatch(name):
            return failed("bad_name", "A name has letters, digits, spaces, - _ and dots, at most 64.")
        if not text.strip() or len(text) > MOST_POST:
            return failed("too_large", f"A post has 1 to {MOST_POST:,} characters.")
        row = await board.post(context.run, context.call, name, text, context.label.through("model"))
        if row is None:
            return failed("board_full", "The board is full. Answer with what you have.")
        return Outcome("ok", told({"ok": True, "name": row.name, "version": row.version}))

    async def read(arguments: Mapping[str, Any], context: Context) -> Outcome:
        name, first = arguments.get("name", "").strip(), int(arguments.get("first", 0))
        if name.startswith("step:"):
            raw, label = await board.handed(context.key, context.run, name)
            return Outcome("ok", told(_piece({"name": name}, raw.decode("utf-8", "replace"), first)), label=label)
        found = await board.posts(context.run, name)
        label = joined(Label.of_text(row.label) for row in found)
        if not found:
            return Outcome("empty", f"There is nothing named '{name[:64]}'." if name else "The board is empty.")
        if name:
            row = found[0]
            return Outcome("ok", told(_piece(_facts(row), row.text, first)), label=label)
        return Outcome("ok", told([{**_facts(row), "begins": row.text[:LINE]} for row in found]), label=label)

    posts = "Puts a text on the board that all agents of this swarm read."
    reads = "Reads the board of this swarm, or another agent's whole result by its handle."
    posting = ToolSpec("board_post", posts, _POST, "write", source="system")
    reading = ToolSpec("board_read", reads, _READ, "read", source="system")
    return [PlainTool(posting, post), PlainTool(reading, read)]


def _facts(row: PostRow) -> dict[str, Any]:
    return {"name": row.name, "version": row.version, "by": row.by}


def _piece(facts: Mapping[str, Any], text: str, first: int) -> dict[str, Any]:
    end = first + PIECE
    more = {"next": end, "of": len(text)} if end < len(text) else {}
    return {**facts, "text": text[first:end], **more}
