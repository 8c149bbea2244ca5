"""The room: remember, recall, forget, undo, blocks, one file out and in.

    remember -> the words stand in the source? -> written in one transaction -> read back from the disk -> "remembered"

Promises: what it says was remembered was read back by another connection; a fact whose words do not stand in its source is
refused; every call is of one key, and sees nothing of another's. Vectors are made beside, never waited for by a writer.
Does not cover: which texts of runs and documents there are (who calls gives them with the source), labels (`agent/`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol, cast

import apsw

from homefire.errors import InternalError, InvalidRequest, NotInSource, UnknownMemory
from homefire.memory import facts, slots
from homefire.memory.facts import Block, Fact, New, Source
from homefire.memory.near import Near, packed
from homefire.memory.search import FLOOR, Asked, Recalled, search
from homefire.memory.when import Span, understood
from homefire.store import Store

FORM, VERSION = "homefire memory", 1
LONGEST, MOST_QUERY, MOST_IMPORTED = 4_000, 10_000, 100_000
EMBEDDED_AT_ONCE, NEAREST, MOST_COUNTED = 64, 100, 20_000
SOURCES = ("message", "step", "document", "person")


class Embed(Protocol):
    """Vectors of length one, 32-bit floats, and a word for who made them; None where no embedding model is there."""

    async def __call__(self, texts: Sequence[str], question: bool) -> tuple[str, Sequence[bytes]] | None: ...


async def words_only(texts: Sequence[str], question: bool) -> tuple[str, Sequence[bytes]] | None:
    """The `Embed` of a machine without an embedding model."""
    return None


class Memory:
    """The tables of `memory_schema.py`. One event loop uses it."""

    def __init__(self, store: Store, embed: Embed = words_only, clock: Callable[[], float] = time.time) -> None:
        self._store, self._embed, self._clock = store, embed, clock
        self._counts: dict[str, int] = {}
        self._counted_at = 0
        self._near: dict[tuple[str, str], Near] = {}

    # -- archival

    async def remember(
        self, text: str, source: Source, *, key: str, label: str = "person", confidence: float = 1.0,
        expires: float | None = None, run: str = "",
    ) -> Fact:  # fmt: skip
        """A fact, or one that is there with one source more. Raises InvalidRequest, NotInSource, UnknownMemory (no such
        message)."""
        said = " ".join(text.split())
        if not said or len(said) > LONGEST:
            raise InvalidRequest(f"A fact has 1 to {LONGEST} characters.", param="text")
        if not 0 < confidence <= 1:
            raise InvalidRequest("A confidence is above 0 and at most 1.", param="confidence")
        new = New(key, said, source, run, label, confidence, self._clock(), expires)

        def change(c: apsw.Connection) -> int:
            _check_source(c, source, key)
            return facts.add(c, new)

        number = await self._store.write(change)
        return await self._read_back(number, said, key)

    async def _read_back(self, number: int, said: str, key: str) -> Fact:
        kept = await self._store.read(lambda c: facts.load(c, number, key))
        if slots.digest(kept.text) != slots.digest(said) or not kept.sources:
            raise InternalError("What was to be remembered could not be read back.")
        return kept

    async def fact(self, number: int, key: str) -> Fact:
        """One. Raises UnknownMemory."""
        return await self._store.read(lambda c: facts.load(c, number, key))

    async def facts(self, key: str, limit: int = 1000) -> list[Fact]:
        """Those that were not forgotten, newest first."""
        return await self._store.read(lambda c: facts.every(c, key, limit))

    async def forget(self, what: str, *, key: str) -> list[Fact]:
        """Forgets the fact of this number ("12", "fact:12"), or those that say this. Raises UnknownMemory for none."""
        said, now = what.strip(), self._clock()
        number = said.removeprefix("fact:")

        def change(c: apsw.Connection) -> list[Fact]:
            if number.isdecimal() and len(number) < 16:
                return [facts.forget(c, int(number), key, now)]
            query = "SELECT id FROM memory_facts WHERE key = ? AND digest = ? AND forgotten_at IS NULL"
            rows = c.execute(query, (key, slots.digest(said))).fetchall()
            return [facts.forget(c, int(str(row[0])), key, now) for row in rows]

        gone = await self._store.write(change)
        if not gone:
            raise UnknownMemory("Memory has no fact that says exactly this.")
        return gone

    async def undo(self, key: str, number: int | None = None) -> Fact:
        """Brings back what was forgotten last, or one fact. Raises UnknownMemory."""
        return await self._store.write(lambda c: facts.bring_back(c, number, key))

    # -- recall

    async def recall(
        self, query: str, *, key: str, k: int = 5, at: float | None = None, floor: float = FLOOR
    ) -> list[Recalled]:
        """The best turns and facts, best first; empty: memory does not know. `at` is what "now" means in the question."""
        if len(query) > MOST_QUERY:
            raise InvalidRequest(f"A question has at most {MOST_QUERY} characters.", "Shorten it.", param="query")
        now = self._clock() if at is None else at
        rest, span = understood(query, now)
        made = await self._embed([rest], True) if rest.strip() else None

        def work(c: apsw.Connection) -> list[Recalled]:
            near = {} if made is None else self._nearest(c, key, made)
            return search(c, Asked(rest, key, max(1, k), now, span, near, floor, self._counted(c)))

        return await self._store.read(work)

    def _counted(self, c: apsw.Connection) -> dict[str, int]:
        """How many entries have a word; forgotten when there are one in a hundred more than when it was counted."""
        last = int(str(c.execute("SELECT coalesce(max(id), 0) FROM memory_entries").fetchall()[0][0]))
        if last > self._counted_at * 1.01 or last < self._counted_at or len(self._counts) > MOST_COUNTED:
            self._counts, self._counted_at = {}, last
        return self._counts

    def _nearest(self, c: apsw.Connection, key: str, made: tuple[str, Sequence[bytes]]) -> dict[int, float]:
        tag, vectors = made
        known = self._near.setdefault((key, tag), Near(key, tag))
        with known.held:
            known.grow(c)
            return known.nearest(vectors[0], NEAREST)

    async def embed_some(self, limit: int = EMBEDDED_AT_ONCE) -> int:
        """Makes vectors of entries that have none by today's embedder, the newest first; how many. 0: all have, or there is no
        embedder."""
        probe = await self._embed(["."], False)
        if probe is None:
            return 0
        query = (
            "SELECT e.id, e.text FROM memory_entries e LEFT JOIN memory_vectors v ON v.entry = e.id AND v.tag = ? "
            "WHERE v.entry IS NULL ORDER BY e.id LIMIT ?"
        )
        rows: Any = await self._store.read(lambda c: c.execute(query, (probe[0], limit)).fetchall())
        made = await self._embed([str(row[1])[:2000] for row in rows], False) if rows else None
        if made is None:
            return 0
        values = [(row[0], made[0], packed(vector), row[0]) for row, vector in zip(rows, made[1], strict=True)]
        insert = "INSERT OR REPLACE INTO memory_vectors SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM memory_entries WHERE id = ?)"
        await self._store.write(lambda c: c.executemany(insert, values))
        return len(values)

    async def note(self, kind: str, place: str, thread: str, text: str, *, key: str, role: str = "assistant") -> None:
        """Lets a step of a run ("step", "RUN:N") or a summary be recalled; the same place again replaces it."""
        now = self._clock()

        def change(c: apsw.Connection) -> None:
            c.execute("DELETE FROM memory_entries WHERE kind = ? AND place = ?", (kind, place))
            insert = (
                "INSERT INTO memory_entries (key, kind, place, thread, role, text, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
            )
            c.execute(insert, (key, kind, place, thread, role, text, now))

        await self._store.write(change)

    async def leave(self, thread: str) -> None:
        """A run was deleted: what it said is not recalled any more."""
        query = "DELETE FROM memory_entries WHERE kind IN ('step', 'summary') AND thread = ?"
        await self._store.write(lambda c: c.execute(query, (thread,)))

    # -- core

    async def blocks(self, key: str) -> list[Block]:
        """The newest version of each; version 0: empty."""
        return await self._store.read(lambda c: facts.blocks(c, key))

    async def edit(self, key: str, block: str, old_version: int, text: str) -> Block:
        """A new version upon `old_version`. Raises MemoryConflict, InvalidRequest."""
        now = self._clock()
        return await self._store.write(lambda c: facts.edit(c, key, block, old_version, text, at=now))

    async def versions(self, key: str, block: str) -> list[Block]:
        """All that are kept, newest first."""
        return await self._store.read(lambda c: facts.versions(c, key, block))

    async def restore(self, key: str, block: str, version: int) -> Block:
        """An old version becomes the newest. Raises UnknownMemory."""
        now = self._clock()

        def change(c: apsw.Connection) -> Block:
            known = facts.versions(c, key, block)
            old = next((each for each in known if each.version == version), None)
            if old is None:
                raise UnknownMemory(f"The block '{block}' has no version {version}.")
            return facts.edit(c, key, block, known[0].version, old.text, at=now)

        return await self._store.write(change)

    # -- one file

    async def export(self, key: str) -> dict[str, Any]:
        """Blocks and facts with their sources, as `bring` takes them; the browser's build reads the same."""
        kept = await self.facts(key, MOST_IMPORTED)
        rows = [{**asdict(fact), "key": ""} for fact in kept]
        blocks = [asdict(block) for block in await self.blocks(key) if block.version]
        return {"form": FORM, "version": VERSION, "made_at": self._clock(), "blocks": blocks, "facts": rows}

    async def bring(self, body: dict[str, Any], *, key: str) -> dict[str, int]:
        """Takes an export in, all of it or none: what is there already gets the sources it lacks, a block that says something
        else becomes a new version. Raises InvalidRequest for what is no export."""
        try:
            if body["form"] != FORM or body["version"] != VERSION:
                raise InvalidRequest("This is no export of memory, or of a newer Homefire.", param="form")
            rows = [_read_fact(each, key) for each in body["facts"]]
            blocks = [(str(each["name"]), str(each["text"])) for each in body["blocks"]]
        except (KeyError, TypeError, ValueError) as problem:
            raise InvalidRequest(f"This is no export of memory: {problem!r}.", "Export it again.") from None
        if len(rows) > MOST_IMPORTED:
            raise InvalidRequest(f"At most {MOST_IMPORTED} facts are taken in at once.")
        now = self._clock()

        def change(c: apsw.Connection) -> dict[str, int]:
            before = {each.name: each for each in facts.blocks(c, key)}
            for new in sorted(rows, key=lambda each: each.at):
                facts.add(c, new)
            changed = [(name, text) for name, text in blocks if name not in before or before[name].text != text]
            for name, text in changed:
                facts.edit(c, key, name, before[name].version if name in before else 0, text, at=now)
            return {"facts": len({slots.digest(each.text) for each in rows}), "blocks": len(changed)}

        return await self._store.write(change)


def _read_fact(row: dict[str, Any], key: str) -> New:
    source = row["sources"][0] if row["sources"] else {"kind": "person", "place": "import", "words": row["text"]}
    kept = Source(str(source["kind"]), str(source["place"]), str(source["words"]), "", float(source.get("at", 0)))
    if kept.kind not in SOURCES or not str(row["text"]).strip() or len(str(row["text"])) > LONGEST:
        raise ValueError("a fact")
    expires = None if row["expires_at"] is None else float(row["expires_at"])
    return New(key, str(row["text"]), kept, "", str(row["label"]), float(row["confidence"]), float(row["at"]), expires)


def _check_source(c: apsw.Connection, source: Source, key: str) -> None:
    """Raises NotInSource, UnknownMemory, InvalidRequest."""
    if source.kind not in SOURCES:
        raise InvalidRequest(f"A source is one of {', '.join(SOURCES)}.", param="source")
    whole = source.text
    if source.kind == "message":
        query = (
            "SELECT m.content FROM messages m JOIN conversations c ON c.id = m.conversation "
            "WHERE m.id = ? AND c.owner = ? AND c.deleted_at IS NULL"
        )
        row = c.execute(query, (source.place, key)).fetchone()
        if row is None:
            raise UnknownMemory(f"There is no message '{source.place}'.", param="source")
        whole = cast("str", row[0])
    elif source.kind == "person":
        whole = whole or source.words
    if not slots.occurs(source.words, whole):
        raise NotInSource(f"'{source.words[:80]}' does not stand in its source.", param="words")


__all__ = ["Block", "Embed", "Fact", "Memory", "Recalled", "Source", "Span", "words_only"]
