"""What memory holds, as values, and the SQL of facts and blocks; run inside a change or a query of the store.

Promises: a fact is never overwritten: another of the same slot is linked to it, and it keeps its words, sources and time; the
same statement again adds its source to the one that is there.
Does not cover: whether a source says it (`memory.py`), finding (`search.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import apsw

from homefire.errors import InvalidRequest, MemoryConflict, UnknownMemory
from homefire.memory import slots

# What is not so may be so tomorrow.
NEGATIVE_SECONDS = 30 * 86_400.0
MOST_VERSIONS = 50
# Name -> characters; others may be made with the last number.
BLOCKS = {"person": 2000, "self": 1000, "task": 2000}
MOST_OF_OTHERS, MOST_BLOCKS = 2000, 12
_FACT = "id, key, text, negative, confidence, label, at, expires_at, replaced_by, forgotten_at, seen, slot"


@dataclass(frozen=True, slots=True)
class Source:
    """Where words stand. `kind`: "message" (`place` is its id; the store has its text), "step" (of a run), "document", "person"
    (who says it now). `words` exactly as there. `text` is the whole for the kinds that the store does not hold."""

    kind: str
    place: str
    words: str
    text: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement. `replaced_by`: the newer fact of the same slot that is valid, or None; `links`: facts it contradicts."""

    id: int
    key: str
    text: str
    negative: bool
    confidence: float
    label: str
    at: float
    expires_at: float | None
    replaced_by: int | None
    forgotten_at: float | None
    seen: int
    slot: str
    sources: tuple[Source, ...] = ()
    links: tuple[int, ...] = ()

    def valid(self, at: float) -> bool:
        """Whether it is to be believed at that time."""
        return self.forgotten_at is None and (self.expires_at is None or self.expires_at > at)


@dataclass(frozen=True, slots=True)
class Block:
    """A named text of the prompt. `version` 0: nobody has written it yet."""

    name: str
    version: int
    text: str
    most: int
    at: float


@dataclass(frozen=True, slots=True)
class New:
    """A fact on its way in."""

    key: str
    text: str
    source: Source
    run: str
    label: str
    confidence: float
    at: float
    expires: float | None


def add(c: apsw.Connection, new: New) -> int:
    """Adds it, or its source to the one that says the same; links it to those of its slot. Gives its number."""
    known = c.execute(
        "SELECT id FROM memory_facts WHERE key = ? AND digest = ? AND forgotten_at IS NULL "
        "AND (expires_at IS NULL OR expires_at > ?) AND replaced_by IS NULL",
        (new.key, slots.digest(new.text), new.at),
    ).fetchone()
    number = int(known[0]) if known is not None else _insert(c, new)
    if known is not None:
        c.execute(
            "UPDATE memory_facts SET seen = seen + 1, confidence = max(confidence, ?) WHERE id = ?",
            (new.confidence, number),
        )
    source = new.source
    c.execute(
        "INSERT OR IGNORE INTO memory_sources (fact, kind, place, words, run, at) VALUES (?, ?, ?, ?, ?, ?)",
        (number, source.kind, source.place, source.words, new.run, source.at or new.at),
    )
    return number


def _insert(c: apsw.Connection, new: New) -> int:
    denies = slots.negative(new.text)
    expires = new.expires if new.expires is not None else (new.at + NEGATIVE_SECONDS if denies else None)
    c.execute(
        "INSERT INTO memory_facts (key, text, digest, slot, negative, confidence, label, at, expires_at, seen) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
        (
            new.key, new.text, slots.digest(new.text), slots.slot(new.text), int(denies), new.confidence, new.label, new.at,
            expires,
        ),
    )  # fmt: skip
    number = c.last_insert_rowid()
    enter(c, number)
    _link(c, new.key, number)
    return number


def enter(c: apsw.Connection, number: int) -> None:
    """Lets searches find it."""
    c.execute(
        "INSERT INTO memory_entries (key, kind, place, thread, role, text, at) "
        "SELECT key, 'fact', 'fact:' || id, '', 'fact', text, at FROM memory_facts WHERE id = ?",
        (number,),
    )


def _link(c: apsw.Connection, key: str, number: int) -> None:
    row = c.execute("SELECT slot FROM memory_facts WHERE id = ?", (number,)).fetchone()
    about = str(row[0]) if row is not None else ""
    if not about:
        return
    others = c.execute(
        "SELECT id FROM memory_facts WHERE key = ? AND slot = ? AND id != ?", (key, about, number)
    ).fetchall()
    for (other,) in others:
        c.execute(
            "INSERT OR IGNORE INTO memory_links (fact, other, kind) VALUES (?, ?, 'contradicts')", (number, other)
        )
    settle(c, key, about)


def settle(c: apsw.Connection, key: str, about: str) -> None:
    """The newest of a slot that nobody forgot stands; all others of it have been replaced by it."""
    rows = c.execute(
        "SELECT id FROM memory_facts WHERE key = ? AND slot = ? AND forgotten_at IS NULL ORDER BY at DESC, id DESC",
        (key, about),
    ).fetchall()
    for place, (number,) in enumerate(rows):
        c.execute("UPDATE memory_facts SET replaced_by = ? WHERE id = ?", (rows[0][0] if place else None, number))


def load(c: apsw.Connection, number: int, key: str) -> Fact:
    """One with its sources and links. Raises UnknownMemory."""
    query = f"SELECT {_FACT} FROM memory_facts WHERE id = ? AND key = ?"  # nosec B608 # our own columns
    row: Any = c.execute(query, (number, key)).fetchone()
    if row is None:
        raise UnknownMemory(f"Memory has no fact {number}.")
    query = "SELECT kind, place, words, '', at FROM memory_sources WHERE fact = ? ORDER BY at, id"
    kept: Any = c.execute(query, (number,)).fetchall()
    links = c.execute(
        "SELECT other FROM memory_links WHERE fact = ? UNION SELECT fact FROM memory_links WHERE other = ?",
        (number, number),
    ).fetchall()
    sources = tuple(Source(*each) for each in kept)
    others = tuple(int(str(each[0])) for each in links)
    found = Fact(*row)
    return replace(found, negative=bool(found.negative), sources=sources, links=others)


def every(c: apsw.Connection, key: str, limit: int = 100_000) -> list[Fact]:
    """All that were not forgotten, newest first."""
    rows = c.execute(
        "SELECT id FROM memory_facts WHERE key = ? AND forgotten_at IS NULL ORDER BY at DESC, id DESC LIMIT ?",
        (key, limit),
    ).fetchall()
    return [load(c, int(str(row[0])), key) for row in rows]


def forget(c: apsw.Connection, number: int, key: str, at: float) -> Fact:
    """Takes it out of every search; `bring_back` undoes it. Raises UnknownMemory."""
    fact = load(c, number, key)
    if fact.forgotten_at is not None:
        raise UnknownMemory(f"The fact {number} was forgotten already.")
    c.execute("UPDATE memory_facts SET forgotten_at = ?, replaced_by = NULL WHERE id = ?", (at, number))
    c.execute("DELETE FROM memory_entries WHERE kind = 'fact' AND place = ?", (f"fact:{number}",))
    if fact.slot:
        settle(c, key, fact.slot)
    return load(c, number, key)


def bring_back(c: apsw.Connection, number: int | None, key: str) -> Fact:
    """Undoes the last forgetting, or that of one fact. Raises UnknownMemory."""
    row = c.execute(
        "SELECT id FROM memory_facts WHERE key = ? AND forgotten_at IS NOT NULL AND (? IS NULL OR id = ?) "
        "ORDER BY forgotten_at DESC, id DESC LIMIT 1",
        (key, number, number),
    ).fetchone()
    if row is None:
        raise UnknownMemory("Nothing was forgotten that could come back.")
    found = int(str(row[0]))
    c.execute("UPDATE memory_facts SET forgotten_at = NULL WHERE id = ?", (found,))
    enter(c, found)
    fact = load(c, found, key)
    if fact.slot:
        settle(c, key, fact.slot)
    return load(c, found, key)


# -- core


def blocks(c: apsw.Connection, key: str) -> list[Block]:
    """The newest version of each, those of BLOCKS first."""
    rows: Any = c.execute(
        "SELECT name, version, text, most, at FROM memory_blocks b WHERE key = ? AND version = "
        "(SELECT max(version) FROM memory_blocks WHERE key = b.key AND name = b.name) ORDER BY name",
        (key,),
    ).fetchall()
    found = {row[0]: Block(*row) for row in rows}
    return [found.pop(name, Block(name, 0, "", most, 0.0)) for name, most in BLOCKS.items()] + list(found.values())


def versions(c: apsw.Connection, key: str, name: str) -> list[Block]:
    """All that are kept, newest first."""
    query = "SELECT name, version, text, most, at FROM memory_blocks WHERE key = ? AND name = ? ORDER BY version DESC"
    rows: Any = c.execute(query, (key, name)).fetchall()
    return [Block(*row) for row in rows]


def edit(c: apsw.Connection, key: str, name: str, old: int, text: str, *, at: float) -> Block:
    """A new version upon version `old`. Raises MemoryConflict if there is a newer one, InvalidRequest for a text that is too
    long, a name that is none, and one block too many."""
    if not (name.isidentifier() and name.isascii() and len(name) <= 40):
        raise InvalidRequest(f"'{name[:80]}' is no name of a block: letters, digits and _.", param="name")
    here = {block.name: block for block in blocks(c, key)}
    now = here.get(name) or Block(name, 0, "", MOST_OF_OTHERS, 0.0)
    if now.version != old:
        raise MemoryConflict(f"The block '{name}' is at version {now.version}, not {old}.", param="version")
    if len(text) > now.most:
        raise InvalidRequest(
            f"The block '{name}' holds {now.most} characters, not {len(text)}.", "Shorten it.", param="text"
        )
    if name not in here and len(here) >= MOST_BLOCKS:
        raise InvalidRequest(f"There are {MOST_BLOCKS} blocks already.", "Empty one of them and use it.", param="name")
    c.execute(
        "INSERT INTO memory_blocks (key, name, version, text, most, at) VALUES (?, ?, ?, ?, ?, ?)",
        (key, name, old + 1, text, now.most, at),
    )
    c.execute(
        "DELETE FROM memory_blocks WHERE key = ? AND name = ? AND version <= ?", (key, name, old + 1 - MOST_VERSIONS)
    )
    return Block(name, old + 1, text, now.most, at)
