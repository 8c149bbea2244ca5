"""Vectors of what was ingested, made in the background: words are searched at once, meaning follows.

    a collection's texts, in the order they came -> windows -> those whose text has a vector already are copied, the rest embedded
    -> rows on the disk -> the database notes how far it is

A set of vectors belongs to one embedder (its tag). After a change of embedder a new set grows while the old one serves; when the
new one has all, the old one is removed.
Promises: resumes where it was after any death (at most one step is made again); a text is embedded once; asks for a few texts
at a time, so that questions get their turn.
Does not cover: which embedder (handed in: `Embed`), searching (`search.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from homefire.errors import HomefireError, IndexDamaged, PackageMissing
from homefire.knowledge.kept import Kept
from homefire.knowledge.packing import number_of, unpack_windows
from homefire.knowledge.volumes import place_of
from homefire.store import CollectionRow, KnowledgeRows, SpaceRow, TextRow

log = logging.getLogger(__name__)

# Texts of one step: their rows are synced and noted together.
STEP_TEXTS, STEP_WINDOWS = 200, 1000
# Texts that the embedder gets at once: a question waits for no more than these.
BATCH = 64
# Letters of a window that the embedder reads at most (its window is in tokens; what is longer it cuts itself).
LONGEST_WINDOW = 1200
RETRY_SECONDS, MOST_RETRY_SECONDS, LOOK_SECONDS = 5.0, 300.0, 30.0


@dataclass(frozen=True, slots=True)
class Provider:
    """An embedder. `tag` tells it, how it cuts and how it normalises from every other; vectors have `width` numbers."""

    tag: str
    name: str
    width: int


class Embed(Protocol):
    """Makes vectors of length one, as 32-bit floats with the least significant byte first."""

    async def providers(self) -> Sequence[Provider]:
        """Those that can be asked now, the wanted one first; none: there is none."""
        ...

    async def vectors(self, tag: str, texts: Sequence[str], urgent: bool) -> Sequence[bytes]:
        """One vector a text; too long ones are cut. Raises HomefireError."""
        ...


class NoEmbed:
    """Without an embedder: words only."""

    async def providers(self) -> Sequence[Provider]:
        return ()

    async def vectors(self, tag: str, texts: Sequence[str], urgent: bool) -> Sequence[bytes]:
        raise PackageMissing("There is no embedder.")


class Meaning:
    """The background job. `nudge` when there may be something to do."""

    def __init__(self, rows: KnowledgeRows, shelves: Kept, embed: Embed) -> None:
        self._rows = rows
        self._shelves = shelves
        self._embed = embed
        self._wake = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._untidy: set[str] = set()
        self._at = ""
        self._rate = 0.0
        self._problem = ""

    def open(self) -> None:
        """Begins."""
        self._work = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Ends; the next daemon goes on."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work

    def nudge(self, ended: str = "") -> None:
        """There are new texts, or another embedder. `ended`: a collection in which texts may have died."""
        if ended:
            self._untidy.add(ended)
        self._wake.set()

    async def state(self, collection: CollectionRow) -> dict[str, Any]:
        """How far the vectors of a collection are: for the wanted embedder, in texts."""
        providers = await self._embed.providers()
        if not providers:
            return {"state": "none", "embedder": None, "rows": 0, "share": 0.0, "problem": ""}
        spaces = {space.tag: space for space in await self._rows.spaces(collection.id)}
        space = spaces.get(providers[0].tag) or SpaceRow(providers[0].tag, providers[0].name, providers[0].width, 0, 0)
        last = await self._rows.last_seq(collection.id)
        done = space.upto >= last
        return {
            "state": "ready" if done else "working" if self._at == collection.name else "waiting",
            "embedder": providers[0].name,
            "rows": space.rows,
            "share": 1.0 if done else round(space.upto / max(last, 1), 4),
            "windows_per_second": round(self._rate, 1) if self._at == collection.name else 0.0,
            "problem": self._problem,
        }

    # -- inside

    async def _run(self) -> None:
        pause = RETRY_SECONDS
        while True:
            self._wake.clear()
            try:
                while (found := await self._behind()) is not None:
                    await self._catch_up(*found)
                    pause, self._problem = RETRY_SECONDS, ""
                self._at = ""
                while self._untidy:
                    await self._tidy_all(self._untidy.pop())
                with contextlib.suppress(TimeoutError):  # an embedder may have come meanwhile
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()
            except HomefireError as problem:
                self._problem = problem.message
                log.warning("vectors of '%s': %s", self._at, problem.message)
                self._at = ""
                await asyncio.sleep(pause)
                pause = min(pause * 2, MOST_RETRY_SECONDS)

    async def _behind(self) -> tuple[CollectionRow, Provider, SpaceRow] | None:
        """A collection whose vectors are not all there."""
        providers = await self._embed.providers()
        if not providers:
            return None
        wanted = providers[0]
        for collection in await self._rows.all():
            if not collection.mine:
                continue
            spaces = {space.tag: space for space in await self._rows.spaces(collection.id)}
            space = spaces.get(wanted.tag) or SpaceRow(wanted.tag, wanted.name, wanted.width, 0, 0)
            if space.upto < await self._rows.last_seq(collection.id):
                return collection, wanted, space
            for old in spaces.values():
                if old.tag != wanted.tag:  # the new one has all: the old one has served
                    await self._rows.drop_space(collection.id, old.tag)
                    await self._shelves.drop_vectors(collection.id, old)
        return None

    async def _catch_up(self, collection: CollectionRow, provider: Provider, space: SpaceRow) -> None:
        self._at = collection.name
        try:
            writer = await self._shelves.vectors_writer(collection.id, space)
        except IndexDamaged as problem:  # it can be made anew
            log.warning("the vectors of '%s' are made anew: %s", collection.name, problem.message)
            await self._rows.drop_space(collection.id, provider.tag)
            await self._shelves.drop_vectors(collection.id, space)
            space = replace(space, rows=0, upto=0)
            writer = await self._shelves.vectors_writer(collection.id, space)
        try:
            before = await self._shelves.vectors(collection.id, space) if space.rows else None
            while step := await self._rows.live(collection.id, space.upto, STEP_TEXTS):
                started = time.monotonic()
                step, windows = await asyncio.to_thread(self._windows, step)
                await self._fill(writer, provider, before, windows)
                rows = await asyncio.to_thread(writer.sync)
                space = replace(space, rows=rows, upto=step[-1][0])
                await self._rows.set_space(collection.id, space)
                self._shelves.changed(collection.id)
                self._rate = len(windows) / max(time.monotonic() - started, 1e-9)
        finally:
            await asyncio.to_thread(writer.close)
        last = await self._rows.last_seq(collection.id)
        if space.upto < last:  # the last ones are dead
            await self._rows.set_space(collection.id, replace(space, upto=last))

    async def _tidy_all(self, name: str) -> None:
        for collection in await self._rows.all():
            if collection.name == name and collection.mine:
                for space in await self._rows.spaces(collection.id):
                    await self._tidy(collection, space)

    async def _tidy(self, collection: CollectionRow, space: SpaceRow) -> None:
        """Vectors without the dead ones, once those are the larger part."""
        dead = await self._rows.dead(collection.id)
        self._shelves.died(collection.id)
        new = await self._shelves.thinned(collection.id, space)
        if new is None:
            return
        await self._rows.set_space(collection.id, new)
        self._shelves.died(collection.id)
        await self._rows.forget_dead(collection.id, dead)
        if new.generation != space.generation:
            await self._shelves.drop_vectors(collection.id, space)

    def _windows(self, step: list[tuple[int, TextRow]]) -> tuple[list[tuple[int, TextRow]], list[_Window]]:
        """The windows of as many of these texts as make a step, at least one."""
        from homefire.index.signatures import text_hash

        found: list[_Window] = []
        for place, (_, text) in enumerate(step):
            packed = unpack_windows(text.windows)
            if place and len(found) + len(packed) > STEP_WINDOWS:
                return step[:place], found
            data = self._shelves.volumes.view(place_of(text))
            for start, end, piece, whole in packed:
                said = bytes(data[start:end]).decode("utf-8", "replace").strip()[:LONGEST_WINDOW]
                if said:
                    sign = text_hash(said.encode())
                    found.append(_Window(number_of(text.id, piece), start, end - start, sign, said, whole))
        return step, found

    async def _fill(self, writer: Any, provider: Provider, before: Any, windows: list[_Window]) -> None:
        """Adds these windows to the writer."""
        if not windows:
            return
        if before is not None:
            rows = await asyncio.to_thread(before.known, [each.hash for each in windows])
            copied = [(each, int(row)) for each, row in zip(windows, rows, strict=True) if row >= 0]
            windows = [each for each, row in zip(windows, rows, strict=True) if row < 0]
            if copied:
                taken = [each for each, _ in copied]
                await asyncio.to_thread(
                    writer.copy,
                    before,
                    [row for _, row in copied],
                    [each.id for each in taken],
                    [(each.start, each.length) for each in taken],
                    [each.whole for each in taken],
                )
        new: dict[int, str] = {each.hash: each.text for each in windows}
        order = sorted(new, key=lambda sign: len(new[sign]))  # alike lengths together: less padding
        vectors: dict[int, bytes] = {}
        for first in range(0, len(order), BATCH):
            signs = order[first : first + BATCH]
            made = await self._embed.vectors(provider.tag, [new[sign] for sign in signs], urgent=False)
            vectors.update(zip(signs, made, strict=True))
        if windows:
            await asyncio.to_thread(_append, writer, windows, vectors)


@dataclass(frozen=True, slots=True)
class _Window:
    id: int
    start: int
    length: int
    hash: int
    text: str
    whole: bool


def _append(writer: Any, windows: list[_Window], vectors: dict[int, bytes]) -> None:
    import numpy as np

    data = np.frombuffer(b"".join(vectors[each.hash] for each in windows), "<f4").reshape(len(windows), -1)
    writer.append(
        [each.id for each in windows],
        [(each.start, each.length) for each in windows],
        [each.hash for each in windows],
        data,
        [each.whole for each in windows],
    )
