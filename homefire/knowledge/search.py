"""One search: words, meaning and patterns over collections, fused, ranked again, and shown with file and line.

    filters -> texts that may be found            (database)
    words   -> the best chunks by their words     (index of words)
    meaning -> the best chunks by their windows   (the question's vector, all vectors)
    pattern -> chunks in which it matches         (volumes)
    fusion -> chunks -> documents that have them -> places in files

Numbers of chunks are the same in every collection, so lists of several are simply merged.
Promises: what a filter does not let through is never found; a document that is gone is never found; what could not take part (no
embedder yet, a damaged index) is said in `notes`, not passed over; `why` names each list and each term that a place comes from.
Does not cover: whether a text may be trusted: it may not (`safety/`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from homefire.errors import HomefireError, IndexDamaged, InvalidRequest, StoreDamaged
from homefire.knowledge.found import Found
from homefire.knowledge.kept import Kept
from homefire.knowledge.meaning import Embed, Provider
from homefire.knowledge.packing import PIECE, SHIFT, number_of
from homefire.knowledge.volumes import place_of
from homefire.store import CollectionRow, DocumentRow, Filter, KnowledgeRows, PieceRow, SpaceRow, TextRow

log = logging.getLogger(__name__)

Mode = Literal["all", "words", "meaning", "pattern"]
# Chunks that each list brings to the fusion, and results that may be asked for.
LIST, MOST = 100, 200
# Of the fused, so many more than are asked for are read and ranked again: a long chunk with all words of a question may lie so
# far below short ones with most of them.
AHEAD = 40
# Matches of a pattern that are looked at.
SCANNED = 1000
LONGEST_QUESTION = 10_000


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for. `collections`: their names, none: all. `pattern` is a regular expression, or with `literal` a plain
    string; `judged`: the best are put in order by a model that reads each of them (a reranker, if one is installed)."""

    text: str
    collections: tuple[str, ...] = ()
    mode: Mode = "all"
    limit: int = 10
    filter: Filter = field(default_factory=Filter)
    literal: bool = False
    ignore_case: bool = True
    judged: bool = False


class Judge(Protocol):
    """A cross-encoder: reads the question and each text together. None: there is none here."""

    async def __call__(self, question: str, texts: Sequence[str]) -> Sequence[float] | None: ...


@dataclass(frozen=True, slots=True)
class Results:
    """`notes`: what could not take part; `milliseconds` by step."""

    found: tuple[Found, ...]
    notes: tuple[str, ...] = ()
    milliseconds: dict[str, float] = field(default_factory=dict)


class Search:
    """Searching what was ingested. Safe to use many times at once."""

    def __init__(self, rows: KnowledgeRows, shelves: Kept, embed: Embed, judge: Judge | None = None) -> None:
        self._rows = rows
        self._shelves = shelves
        self._embed = embed
        self._judge = judge

    async def find(self, asked: Question) -> Results:
        """The best places, best first. Raises InvalidRequest, UnknownCollection, PatternTooSlow and the like."""
        if not asked.text.strip():
            raise InvalidRequest("There is nothing to look for.", param="query")
        if len(asked.text) > LONGEST_QUESTION:
            raise InvalidRequest(
                f"The question has {len(asked.text)} characters; {LONGEST_QUESTION} are allowed.", param="query"
            )
        asked = replace(asked, limit=max(1, min(asked.limit, MOST)))
        return await _Look(self._rows, self._shelves, self._embed, self._judge, asked).results()


class _Look:
    """One search under way."""

    def __init__(self, rows: KnowledgeRows, shelves: Kept, embed: Embed, judge: Judge | None, asked: Question) -> None:
        self._judge = judge
        self._rows = rows
        self._shelves = shelves
        self._embed = embed
        self._asked = asked
        self._notes: list[str] = []
        self._times: dict[str, float] = {}
        self._allowed: dict[int, Any] = {}
        self._allowed_sets: list[set[int]] = []
        self._at: dict[int, tuple[int, int]] = {}
        self._wanted: list[bytes] = []
        self._began = time.perf_counter()

    async def results(self) -> Results:
        collections = await self._collections()
        await self._filter(collections)
        wanted = ("words", "meaning") if self._asked.mode == "all" else (self._asked.mode,)
        makers = {"words": self._words, "meaning": self._meaning, "pattern": self._pattern}
        found = await asyncio.gather(*(makers[each](collections) for each in wanted))
        lists = {name: hits for name, hits in zip(wanted, found, strict=True) if hits}
        shown = await self._shown(collections, lists)
        self._note_time("all", self._began)
        return Results(tuple(shown), tuple(self._notes), self._times)

    async def _collections(self) -> list[CollectionRow]:
        if self._asked.collections:
            return [await self._rows.get(name) for name in self._asked.collections]
        return await self._rows.all()

    async def _filter(self, collections: Sequence[CollectionRow]) -> None:
        if not self._asked.filter:
            return
        import numpy as np

        started = time.perf_counter()
        for each in collections:
            texts = await self._rows.allowed(each.id, self._asked.filter)
            self._allowed[each.id] = np.array(texts, np.uint64)
            if self._asked.mode == "pattern":
                self._allowed_sets.append(set(texts))
        self._note_time("filter", started)

    async def _words(self, collections: Sequence[CollectionRow]) -> list[Any]:
        started, found = time.perf_counter(), []
        for each in collections:
            try:
                index = await self._shelves.words(each.id)
                found += await asyncio.to_thread(index.search, self._asked.text, LIST, self._allowed.get(each.id))
            except IndexDamaged as problem:
                self._missing("words", each, problem)
        self._note_time("words", started)
        return _best(found)

    async def _meaning(self, collections: Sequence[CollectionRow]) -> list[Any]:
        import numpy as np

        started, found = time.perf_counter(), []
        providers = {each.tag: each for each in await self._embed.providers()}
        questions: dict[str, Any] = {}
        for each in collections:
            chosen = await self._space(each, providers)
            if chosen is None:
                continue
            if chosen.tag not in questions:
                try:
                    (made,) = await self._embed.vectors(chosen.tag, [self._asked.text], urgent=True)
                except HomefireError as problem:
                    self._notes.append(f"Meaning could not be searched: {problem.message}")
                    return []
                questions[chosen.tag] = np.frombuffer(made, "<f4")
                self._note_time("embed", started)
            try:
                vectors = await self._shelves.vectors(each.id, chosen)
                found += await asyncio.to_thread(
                    vectors.search, questions[chosen.tag], LIST, self._allowed.get(each.id)
                )
            except IndexDamaged as problem:
                self._missing("meaning", each, problem)
        self._note_time("meaning", started)
        found = _best(found)
        for hit in found:
            self._at.setdefault(hit.id, (hit.start, hit.start + hit.length))
        return found

    async def _space(self, collection: CollectionRow, providers: dict[str, Provider]) -> SpaceRow | None:
        """The vectors to search: the wanted embedder's if they are whole, else those that have come farthest."""
        spaces = [space for space in await self._rows.spaces(collection.id) if space.tag in providers and space.rows]
        if not spaces:
            if self._asked.mode == "meaning" or providers:
                why = (
                    "are not ready yet"
                    if providers
                    else "need an embedding model: homefire models pull all-minilm-l6-v2"
                )
                self._notes.append(f"Vectors of '{collection.name}' {why}.")
            return None
        last, order = await self._rows.last_seq(collection.id), list(providers)
        chosen = max(spaces, key=lambda space: (min(space.upto, last), -order.index(space.tag)))
        if chosen.upto < last:
            self._notes.append(f"Vectors of '{collection.name}' are {100 * chosen.upto // last} % ready.")
        return chosen

    async def _pattern(self, collections: Sequence[CollectionRow]) -> list[Any]:
        """Chunks in which the pattern matches, in the order of the volumes; each hit's score falls with its place."""
        from homefire.index.hits import Hit
        from homefire.index.scan import Pattern

        started = time.perf_counter()
        texts = await self._rows.places([each.id for each in collections])
        texts = [row for row in texts if self._may(row)]
        pattern = Pattern(self._asked.text, regex=not self._asked.literal, ignore_case=self._asked.ignore_case)
        found = await self._shelves.scan(texts, pattern, SCANNED)
        if not found.complete:
            self._notes.append(f"There are more than {SCANNED} matches; the first ones are shown.")
        hits: dict[int, Any] = {}
        for match in found.matches:
            row = texts[match.span]
            piece = await self._rows.piece_at(row.id, match.start, PIECE.size)
            number = number_of(row.id, piece)
            if number not in hits:
                hits[number] = Hit(number, 1.0 / (1 + len(hits)))
                self._at[number] = match.start, match.end
            if len(hits) >= LIST:
                break
        self._note_time("pattern", started)
        return list(hits.values())

    def _may(self, row: TextRow) -> bool:
        return not self._allowed or any(row.id in allowed for allowed in self._allowed_sets)

    async def _shown(self, collections: Sequence[CollectionRow], lists: dict[str, list[Any]]) -> list[Found]:
        from homefire.index.fusion import Features, fuse, rerank, tokens, weights_for
        from homefire.index.query import STOP_WORDS

        started = time.perf_counter()
        self._wanted = [each.encode() for each in dict.fromkeys(tokens(self._asked.text)) if each not in STOP_WORDS]
        fused = fuse(lists, weights_for(self._asked.text))[: self._asked.limit + AHEAD]
        rows = await self._rows.pieces([each.id for each in fused], SHIFT, PIECE.size)
        texts = list(dict.fromkeys(row.text.id for row in rows.values()))
        held = await self._rows.holders([each.id for each in collections], texts, self._asked.filter)
        read = await asyncio.to_thread(self._read, rows)
        names = {each.id: each.name for each in collections}
        now = time.time()
        features = {
            number: Features(
                said.decode("utf-8", "replace"), f"{held[row.text.id][0][1].shown} {row.label}",
                now - held[row.text.id][0][1].modified_ns / 1e9,
            )
            for number, row in rows.items()
            if row.text.id in held and (said := read[number]) is not None
        }  # fmt: skip
        fused = [each for each in fused if each.id in features]
        if self._asked.mode != "pattern":
            fused = rerank(fused, features, self._asked.text)
        if self._asked.judged:
            fused = await self._judged(fused, [features[each.id].text for each in fused])
        seen: dict[bytes, Found] = {}
        for each in fused:
            sign = hashlib.blake2b(b" ".join((read[each.id] or b"").split()), digest_size=16).digest()
            if sign in seen:  # the same words elsewhere: one place is enough
                seen[sign] = replace(seen[sign], also=(*seen[sign].also, held[rows[each.id].text.id][0][1].shown))
            elif len(seen) < self._asked.limit:
                seen[sign] = self._place(each, rows[each.id], held[rows[each.id].text.id], read[each.id] or b"", names)
        self._note_time("show", started)
        return list(seen.values())

    async def _judged(self, fused: list[Any], texts: list[str]) -> list[Any]:
        """The same in the order of a model that reads question and text together; as they are where there is none."""
        started = time.perf_counter()
        try:
            scores = await self._judge(self._asked.text, texts) if self._judge is not None and texts else None
        except HomefireError as problem:
            self._notes.append(f"The reranker could not be asked: {problem.message}")
            return fused
        if scores is None:
            self._notes.append("No reranker is installed: homefire models search --capability rerank")
            return fused
        ranked = [
            replace(each, score=score, added={**each.added, "judged": score})
            for each, score in zip(fused, scores, strict=True)
        ]
        self._note_time("judge", started)
        return sorted(ranked, key=lambda each: (-each.score, each.id))

    def _read(self, rows: dict[int, PieceRow]) -> dict[int, bytes | None]:
        """The bytes of each piece; None where the volume lacks them."""
        found: dict[int, bytes | None] = {}
        for number, row in rows.items():
            start, end, _, _ = PIECE.unpack(row.piece)
            try:
                found[number] = self._shelves.volumes.read(place_of(row.text), start, end)
            except StoreDamaged as problem:
                log.warning("a text cannot be read: %s", problem.message)
                found[number] = None
        return found

    def _place(
        self, fused: Any, row: PieceRow, held: list[tuple[int, DocumentRow]], said: bytes, names: dict[int, str]
    ) -> Found:
        start, end, line, _ = PIECE.unpack(row.piece)
        (collection, document), more = held[0], held[1:]
        first = document.line - 1 + line
        last = first + max(0, said.count(b"\n") - said.endswith(b"\n"))
        best = first + self._line_in(fused, said, start)
        return Found(
            names[collection], document.shown, document.kind, document.language, min(best, last), first, last, start, end,
            row.label, said.decode("utf-8", "replace"), round(fused.score, 6), document.modified_ns / 1e9,
            f"kb:{names[collection]}:{row.text.digest[:8].hex()}:{start}-{end}",
            tuple(each.shown for _, each in more), fused.why,
        )  # fmt: skip

    def _line_in(self, fused: Any, said: bytes, start: int) -> int:
        """Which line of a piece fits best, from 0: the match of a pattern, else the first with most of the question's words, else
        the nearest window's."""
        at = self._at.get(fused.id)
        if at is not None and self._asked.mode == "pattern":
            return said[: max(0, at[0] - start)].count(b"\n")
        counts = [sum(each in line for each in self._wanted) for line in said.lower().split(b"\n")]
        if max(counts) > 0 and "words" in fused.places:
            return counts.index(max(counts))
        return said[: max(0, at[0] - start)].count(b"\n") if at is not None else 0

    def _missing(self, what: str, collection: CollectionRow, problem: HomefireError) -> None:
        log.warning("searching '%s' by %s: %s", collection.name, what, problem.message)
        self._notes.append(
            f"'{collection.name}' was not searched by {what}: its index is damaged and is being made anew."
        )

    def _note_time(self, step: str, started: float) -> None:
        self._times[step] = round((time.perf_counter() - started) * 1000, 3)


def _best(found: list[Any]) -> list[Any]:
    """The lists of several collections as one: best first, each chunk once."""
    best: dict[int, Any] = {}
    for hit in found:
        known = best.get(hit.id)
        if known is None or hit.score > known.score:
            best[hit.id] = hit
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.id))[:LIST]
