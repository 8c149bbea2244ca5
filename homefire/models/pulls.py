"""Pulls: models asked for by name or source, each a download in a queue, until it is in the library.

Promises: two requests for one model are one download; downloads survive the daemon, killed or stopped, and go on where they were;
whoever watches sees the present state first, then each change, some five a second, and the last one always; leaving does not
stop a download; a failed one is taken up again by the next request for the same.
Does not cover: the steps of one pull (`delivery.py`), the order of the queue (`downloads.py`), loading the model (`residency/`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from homefire.errors import CannotRepair, ModelExists, UnknownDownload
from homefire.models import order as orders
from homefire.models.catalogue import Catalogue
from homefire.models.delivery import Delivery
from homefire.models.downloads import ENDED, Download, Downloads, Phase, Tell
from homefire.models.fetch import Fetcher
from homefire.models.fetch_plan import Bucket, Progress, Rules
from homefire.models.installed import Verified
from homefire.models.library import Library
from homefire.models.origin import Http
from homefire.models.sources import Places, shown
from homefire.models.wheels import Indexes
from homefire.paths import Paths
from homefire.store import Store
from homefire.store.database import Row

REPORT_SECONDS = 0.2
MOST_ENDED = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """`at_once`: downloads that run together; `rate_bytes` a second for all of them, 0 for no cap; `rules` of one file."""

    at_once: int = 1
    rate_bytes: int = 0
    rules: Rules = field(default_factory=Rules)


class StoredDownloads:
    """The table `downloads`: a `Keep`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> list[Download]:
        """All that were saved. Fields that this version does not know are left out."""
        rows: list[Row] = await self._store.read(
            lambda c: c.execute("SELECT body FROM downloads ORDER BY id").fetchall()
        )
        names = {each.name for each in dataclasses.fields(Download)}
        return [Download(**{k: v for k, v in json.loads(body).items() if k in names}) for (body,) in rows]

    async def save(self, download: Download) -> None:
        """Saves one, by its id."""
        row = (download.id, json.dumps(asdict(download)))
        await self._store.write(lambda c: c.execute("INSERT OR REPLACE INTO downloads VALUES (?, ?)", row))

    async def forget(self, id: int) -> None:
        """Removes one."""
        await self._store.write(lambda c: c.execute("DELETE FROM downloads WHERE id = ?", (id,)))


class Pulls:
    """All pulls of one library, which knows the sources of `catalogue`. `downloads` is their queue; a download's `target` is the
    name of the model to be."""

    def __init__(
        self,
        library: Library,
        catalogue: Catalogue,
        http: Http,
        places: Places,
        indexes: Indexes,
        *,
        limits: Limits | None = None,
        walls: Callable[[], bool] = lambda: False,
    ) -> None:
        self._walls = walls
        self._limits = limits or Limits()
        self._library = library
        self.catalogue = catalogue
        self._http, self._places, self._indexes = http, places, indexes
        self._bucket = Bucket(self._limits.rate_bytes)
        keep = StoredDownloads(library.store)
        self.downloads = Downloads(self._bring, self._discard, keep, self._limits.at_once, self._changed)
        self._news: dict[int, asyncio.Event] = {}
        self._asking = asyncio.Lock()
        self._closed = False
        # How downloads ended since the start: "done", "failed", "cancelled".
        self.outcomes: Counter[str] = Counter()

    async def open(self) -> None:
        """Goes on with what the last daemon left. After `Library.open`."""
        await self.downloads.open()
        for old in [d for d in self.downloads.all() if d.state in ENDED][:-MOST_ENDED]:
            await self.downloads.forget(old.id)
        kept = (self._folder(d).name for d in self.downloads.all() if d.state not in ("done", "cancelled"))
        await asyncio.to_thread(_sweep, self._library.paths, set(kept))

    async def close(self) -> None:
        """Stops what runs; it goes on after the next `open`. Whoever watches is let go."""
        self._closed = True
        await self.downloads.close()
        for event in self._news.values():
            event.set()

    async def pull(self, text: str, *, name: str = "", quantization: str = "", priority: int = 0) -> Download:
        """Asks for a model: `text` is a name of the catalogue or a source, `name` what it will be called here. Returns at once; a
        request for what is under way joins it, one for what is here already ends at once.

        Raises UnknownModel, BadSource, PickleRefused, InvalidRequest, UnsupportedModel; ModelExists if another has the name.
        """
        order = orders.read(text, name, quantization, self.catalogue)
        there = next((model for model in self._library.all() if model.name == order.name), None)
        if there is not None and there.origin != order.origin:
            raise ModelExists(f"There is a model named '{order.name}' already.", param="name")
        async with self._asking:  # two at once must not both find the failed one
            for old in [d for d in self.downloads.all() if d.target == order.name]:
                same = (old.source, old.quantization) == (text.strip(), quantization)
                if old.state not in ENDED and not same:
                    raise ModelExists(
                        f"Something else is being pulled under the name '{order.name}': {shown(old.source)}.",
                        param="name",
                    )
                if old.state == "failed" and same:
                    return await self.downloads.resume(old.id)
                if old.state in ENDED:
                    await self.downloads.forget(old.id)
                    await self._discard(old)
            return await self.downloads.add(text.strip(), order.name, priority, quantization)

    async def repair(self, name: str, progress: Callable[[int, int], None]) -> Verified:
        """Verifies a model; what is damaged is fetched again, by chunks where that is known, and verified once more.

        Raises UnknownModel, CannotRepair, and what `Fetcher.fetch` raises. Keep the model from being loaded meanwhile.
        """
        found = await self._library.verify(name, progress)
        if found.ok:
            return found
        model = self._library.get(name)
        if model.source != "pulled":
            raise CannotRepair(f"'{name}' did not come over the network.", param="repair")
        order = orders.read(model.origin, model.name, "", self.catalogue)
        # No quota: the file's bytes are counted among the models' already.
        fetcher = Fetcher(self._http, self._limits.rules, self._bucket)
        delivery = Delivery(self._library, fetcher, self._places, self._indexes, lambda: 0)

        def tell(seen: Progress, phase: Phase = "fetching") -> None:
            progress(seen.done, seen.total or seen.done)

        await delivery.repair(order, model, found.bad, tell)
        return await self._library.verify(name, progress)

    async def watch(self, id: int) -> AsyncIterator[Download]:
        """The download as it is now, then as it changes; ends once it has ended. Raises UnknownDownload."""
        told: Download | None = None
        while not self._closed:
            event = self._news.setdefault(id, asyncio.Event())
            try:
                found = self.downloads.get(id)
            except UnknownDownload:
                if told is None:
                    raise
                return
            if found != told:
                yield found
            told = found
            if found.state in ENDED:
                return
            await event.wait()
            if told.state == "running":  # what comes in quick succession is told once
                await asyncio.sleep(REPORT_SECONDS)

    # -- inside

    def _changed(self, download: Download) -> None:
        if download.state in ENDED:
            self.outcomes[download.state] += 1
        if event := self._news.pop(download.id, None):
            event.set()

    async def _bring(self, download: Download, tell: Tell) -> None:
        order = orders.read(download.source, download.target, download.quantization, self.catalogue)
        if any(m.name == order.name and m.origin == order.origin for m in self._library.all()):
            return

        def reserved() -> int:
            return sum(d.total or d.done for d in self.downloads.all() if d.state == "running" and d.id != download.id)

        def used() -> int:
            return self._library.used_bytes() + reserved()

        fetcher = Fetcher(self._http, self._limits.rules, self._bucket, self._library.quota_bytes, used)
        delivery = Delivery(self._library, fetcher, self._places, self._indexes, reserved, walls=self._walls())
        await delivery.bring(order, self._folder(download), tell)

    async def _discard(self, download: Download) -> None:
        await asyncio.to_thread(shutil.rmtree, self._folder(download), True)

    def _folder(self, download: Download) -> Path:
        key = orders.staging_key(download.target, download.source, download.quantization)
        return self._library.paths.incoming(key)


def _sweep(paths: Paths, kept: set[str]) -> None:
    """Removes what downloads that are gone left behind. Blocks."""
    for folder in paths.all_incoming():
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)
