"""Facts out of what a person says, in the background: sentence by sentence, each kept with the words it stands in.

    turns of persons since the mark -> statements (by rules, or by a model too) -> only those that stand there, word for word
    -> remembered -> the mark moves on

Promises: works without a model; nothing is written that does not stand in the source, and of what says nothing, nothing; a turn
is read once, also after a crash (its facts and the mark are each on the disk before the next turn); what a model or a tool said
is no source; what a person forgot is not learned from the same message again.
Does not cover: which model (`daemon/remembering.py`), whether a person wants it (setting `memory_learn`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

import apsw

from homefire.errors import HomefireError, NotInSource, UnknownMemory
from homefire.memory import slots
from homefire.memory.memory import Memory, Source
from homefire.store import Store

log = logging.getLogger(__name__)
MARK, AT_ONCE = "facts", 50
MOST_STATEMENTS, LONGEST_READ = 20, 20_000
# A rule sees the form of a sentence, not its irony.
CONFIDENCE = 0.8


class Extract(Protocol):
    """Statements in a text, each exactly as it stands there. Raises HomefireError where it cannot be asked."""

    async def __call__(self, text: str) -> Sequence[str]: ...


async def by_rules(text: str) -> Sequence[str]:
    """The `Extract` of a machine without a model: sentences whose form says what they are about."""
    return list(slots.statements(text))


class Learning:
    """The background job's work; who runs it calls `step` until it gives 0."""

    def __init__(self, store: Store, memory: Memory, extract: Extract = by_rules) -> None:
        self._store, self._memory, self._extract = store, memory, extract

    async def step(self) -> int:
        """Reads some turns; how many. Facts that were kept are on the disk before the mark moves over their turn."""
        turns = await self._store.read(_unread)
        for entry, key, place, text, known in turns:
            if not known:
                await self._learn(key, place, text)
            await self._store.write(lambda c, entry=entry: _mark(c, entry))  # type: ignore[misc]
        return len(turns)

    async def _learn(self, key: str, place: str, text: str) -> None:
        for said in dict.fromkeys(await self._statements(text[:LONGEST_READ])):
            if not slots.occurs(said, text):
                continue  # a model's own words
            try:
                source = Source("message", place, said)
                await self._memory.remember(said, source, key=key, confidence=CONFIDENCE)
            except (NotInSource, UnknownMemory):  # the conversation was deleted meanwhile
                return

    async def _statements(self, text: str) -> Sequence[str]:
        try:
            found = await self._extract(text)
        except HomefireError as problem:  # the model is gone, busy or has no room: rules still see something
            log.info("facts are taken out by rules: %s", problem.message)
            found = await by_rules(text)
        return [
            said for each in found[:MOST_STATEMENTS] if slots.SHORTEST <= len(said := each.strip()) <= slots.LONGEST
        ]


def _unread(c: apsw.Connection) -> list[Any]:
    query = (
        "SELECT e.id, e.key, e.place, e.text, EXISTS (SELECT 1 FROM memory_sources s JOIN memory_facts f ON f.id = s.fact "
        "WHERE s.kind = 'message' AND s.place = e.place AND f.key = e.key) FROM memory_entries e "
        "WHERE e.kind = 'turn' AND e.role = 'user' AND e.id > coalesce((SELECT entry FROM memory_marks WHERE name = ?), 0) "
        "ORDER BY e.id LIMIT ?"
    )
    return c.execute(query, (MARK, AT_ONCE)).fetchall()


def _mark(c: apsw.Connection, entry: int) -> None:
    c.execute(
        "INSERT INTO memory_marks (name, entry) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET entry = excluded.entry",
        (MARK, entry),
    )
