"""Brings one file over the network: parallel ranges, resumed, hashed while it comes, renamed when it is right.

    probe the first run ─> more runs at once ─> all chunks written ─> sha256 agrees ─> fsync, rename
                 (kill, cut, cancel: what was written stays, the next fetch goes on from there)

Promises: the target appears whole and verified, or not at all; a cancelled fetch has no thread left that writes; no byte is
fetched twice but those of the chunks that were under way when it ended; hashing and disk work never block the event loop.
Does not cover: what to ask next (`fetch_plan.py`), the files (`partial.py`), several files (`downloads.py`), Windows (no pwrite).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from homefire.errors import (
    HomefireError,
    InternalError,
    QuotaExceeded,
    SourceUnreachable,
)
from homefire.models.fetch_plan import (
    SYNCED,
    WRITTEN,
    Ask,
    Bucket,
    Meter,
    Plan,
    Progress,
    Reaction,
    Rules,
    whole_journal,
)
from homefire.models.origin import Credential, Http, Stream, check_url
from homefire.models.partial import Partial, changed_chunks, kept_journal

T = TypeVar("T")
SYNC_SECONDS = 1.0
REPORT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to bring and where to. `size` in bytes and `sha256` if the source says them; without a sha256 the first fetch is
    trusted and its digest returned."""

    url: str
    target: Path
    size: int | None = None
    sha256: str | None = None
    credential: Credential | None = None

    @property
    def identity(self) -> str:
        """What makes a partial file this one's: the digest, or the address without its query (signatures change)."""
        return self.sha256 or self.url.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file in place. `fetched_bytes`: how much of it came over the network this time, failed attempts included."""

    path: Path
    size: int
    sha256: str
    fetched_bytes: int


class Fetcher:
    """Fetches files by one set of rules. `bucket` caps the bandwidth of all its fetches together; its rate may be changed at any
    time. `quota_bytes` (0: none) bounds what `used()` counts plus the file that comes."""

    def __init__(
        self,
        http: Http,
        rules: Rules | None = None,
        bucket: Bucket | None = None,
        quota_bytes: int = 0,
        used: Callable[[], int] = lambda: 0,
    ) -> None:
        self.http = http
        self.rules = rules or Rules()
        self.bucket = bucket or Bucket(0)
        self.quota_bytes = quota_bytes
        self.used = used

    async def fetch(self, wanted: Wanted, progress: Callable[[Progress], None] = lambda _: None) -> Fetched:
        """Brings the file; `progress` is called from the event loop, some five times a second and at the end.

        Raises SourceUnreachable, SourceRefused, SourceNotFound, SourceChanged, AddressRefused, BadSource, DigestMismatch,
        DiskFull, QuotaExceeded, FetchBusy. After all but DigestMismatch and SourceChanged what came is kept for the next try.
        """
        check_url(wanted.url)
        return await _Transfer(self, wanted, progress).run()

    async def mend(self, wanted: Wanted, progress: Callable[[Progress], None] = lambda _: None) -> Fetched:
        """Fetches again those chunks of the finished file at `wanted.target` that changed since they came; all of it if that
        is not known. The file is gone from its place meanwhile. Raises as `fetch`."""
        check_url(wanted.url)
        bad = await asyncio.to_thread(changed_chunks, wanted.target) if wanted.target.is_file() else None
        if bad is not None:
            await asyncio.to_thread(_back_to_partial, wanted, bad)
        return await self.fetch(wanted, progress)


def _back_to_partial(wanted: Wanted, bad: list[int]) -> None:
    """Makes a finished file a partial one whose bad chunks are missing. The journal goes first: a crash between the two leaves
    a finished file and a journal without a file, which counts for nothing."""
    journal = kept_journal(wanted.target)
    plan = Plan(journal.head["size"], Rules(chunk=journal.head["chunk"]), random.random)
    kept = {i: facts for i, facts in journal.chunks.items() if i not in bad}
    plan.adopt(journal.head["size"], str(journal.head.get("etag", "")), kept)
    place = Partial(wanted.target)
    place.log.write_bytes(whole_journal(plan, wanted.identity))
    wanted.target.replace(place.part)


class _Hands:
    """The threads of one transfer. `close` waits for them: a file must not be closed under a thread that writes to it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(8, "homefire-fetch")

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs blocking work. A thread cannot be cancelled: a caller who is waits for it to end, and then is."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    async def close(self, last: Callable[[], None]) -> None:
        """Waits for all work, then does `last`. Finishes even if the caller is cancelled meanwhile."""

        def end() -> None:
            self._pool.shutdown(wait=True)
            last()

        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, end))


class _Transfer:
    """One fetch."""

    def __init__(self, fetcher: Fetcher, wanted: Wanted, progress: Callable[[Progress], None]) -> None:
        self._fetcher = fetcher
        self._wanted = wanted
        self._progress = progress
        self._rules = fetcher.rules
        self._plan = Plan(wanted.size, self._rules, random.random)
        self._partial = Partial(wanted.target)
        self._hands = _Hands()
        self._meter = Meter()
        self._news = asyncio.Event()
        self._disk = asyncio.Lock()
        self._hashing = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()
        self._prepared = False
        self._hashed = 0  # chunks in the whole file's digest
        self._received = 0
        self._arriving: dict[int, int] = {}  # bytes of chunks that are under way
        self._reported = 0.0
        self._later: asyncio.TimerHandle | None = None

    async def run(self) -> Fetched:
        """See `Fetcher.fetch`."""
        try:
            journal = await self._hands.do(self._partial.open)
            await self._restore(journal.head, journal.chunks)
            await self._bring_until_right()
            await _end(self._background)
            await self._hands.do(self._partial.sync, self._plan.unsynced())
            await self._hands.do(self._partial.finish)
        finally:
            self._report_no_more()
            await _end(self._background)
            # Nothing has come: then nothing stays, least of all gigabytes that were only reserved.
            worthless = all(state < WRITTEN for state in self._plan.states)
            await self._hands.close(self._partial.discard if worthless else self._partial.close)
        assert self._plan.size is not None
        self._report(last=True)
        return Fetched(self._wanted.target, self._plan.size, self._partial.sha256, self._received)

    async def _restore(self, head: dict[str, Any], chunks: dict[int, tuple[int, bool]]) -> None:
        """Takes up an earlier attempt at the same file. Chunks that were not synced are compared with their digest; so are all
        where no sha256 of the whole file will do it in the end."""
        size, chunk = head.get("size"), head.get("chunk")
        if (
            not isinstance(size, int)
            or not isinstance(chunk, int)
            or not 1 <= chunk <= 1 << 30
            or head.get("identity") != self._wanted.identity
            or self._wanted.size not in (None, size)
            or await self._hands.do(lambda: self._partial.length) != size
        ):
            return
        self._rules = replace(self._rules, chunk=chunk)
        plan = Plan(self._wanted.size, self._rules, random.random)
        plan.adopt(size, str(head.get("etag", "")), chunks)
        doubtful = WRITTEN if self._wanted.sha256 else SYNCED
        suspects = [i for i, state in enumerate(plan.states) if WRITTEN <= state <= doubtful]
        plan.reopen(await self._hands.do(self._partial.bad_chunks, plan, suspects))
        self._plan = plan

    async def _prepare(self) -> None:
        """Once the server has agreed to send: quota, space, journal. Raises QuotaExceeded or DiskFull."""
        async with self._disk:
            if self._prepared:
                return
            assert self._plan.size is not None
            await self._hands.do(self._require_quota, self._plan.size)
            await self._hands.do(self._partial.reserve, self._plan.size)
            await self._hands.do(self._partial.begin_log, self._plan, self._wanted.identity)
            self._prepared = True
            self._advance()
            self._spawn(self._sync_along())

    def _require_quota(self, size: int) -> None:
        quota = self._fetcher.quota_bytes
        if quota and (used := self._fetcher.used()) + size > quota:
            raise QuotaExceeded(
                f"{self._wanted.target.name} has {size / 1e9:.2f} GB; models use {used / 1e9:.2f} of {quota / 1e9:.2f} GB."
            )

    async def _bring_until_right(self) -> None:
        """Fetches until the sha256 is the expected one. Raises DigestMismatch, and removes what came, if it never is."""
        while True:
            await self._bring()
            await self._prepare()
            await self._hash_all()
            if self._wanted.sha256 in (None, self._partial.sha256):
                return
            bad = await self._hands.do(self._partial.bad_chunks, self._plan, range(len(self._plan.states)))
            reaction = self._plan.repair(bad)
            if reaction.kind == "refuse" and reaction.error is not None:
                await self._hands.do(self._partial.discard)
                raise reaction.error
            self._hashed = 0
            self._partial.begin_hash()
            # The journal must not name a chunk whose bytes are about to be replaced.
            await self._hands.do(self._partial.begin_log, self._plan, self._wanted.identity)

    async def _bring(self) -> None:
        """Keeps as many asks under way as the plan allows, until all chunks are written."""
        asks: set[asyncio.Task[Reaction]] = set()
        try:
            while not self._plan.complete:
                self._news.clear()
                step = self._plan.next(time.monotonic())
                if isinstance(step, Ask):
                    task = asyncio.create_task(self._serve(step))
                    task.add_done_callback(lambda _: self._news.set())
                    asks.add(task)
                    continue
                if step is None and not asks:
                    raise InternalError("The fetch has nothing to ask and is not complete.")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(step):
                        await self._news.wait()
                while ended := next((task for task in asks if task.done()), None):
                    asks.discard(ended)
                    await self._heed(ended.result(), asks)
        finally:
            await _end(asks)

    async def _heed(self, reaction: Reaction, asks: set[asyncio.Task[Reaction]]) -> None:
        """Does what an ended ask calls for."""
        if reaction.kind == "refuse" and reaction.error is not None:
            if reaction.error.code in ("source_changed", "digest_mismatch"):
                await _end(asks)
                await self._hands.do(self._partial.discard)
            raise reaction.error
        if reaction.kind == "restart":
            await _end(asks)
            asks.clear()
            await _end(self._background)
            self._plan.restart()
            self._partial.begin_hash()
            self._hashed = 0
            self._prepared = False

    async def _serve(self, ask: Ask) -> Reaction:
        """One request, from its head to its last byte."""
        try:
            async with self._fetcher.http.open(self._wanted.url, ask.header, self._wanted.credential) as stream:
                reaction = self._plan.answered(ask, stream.status, stream.headers, time.monotonic())
                if reaction.kind == "use":
                    await self._prepare()
                    self._news.set()
                    await self._receive(ask, stream)
                return reaction
        except SourceUnreachable as problem:
            return self._plan.lost(problem, time.monotonic())
        finally:
            self._plan.given_back(ask)

    async def _receive(self, ask: Ask, stream: Stream) -> None:
        """Stores a body as it comes: piece by piece to its place, while it is still in the processor's cache."""
        last = len(self._plan.states) if ask.end is None else min(ask.last, len(self._plan.states))
        index, digest = ask.first, 0
        at, end = self._plan.span(index)
        try:
            async for piece in stream.chunks():
                self._received += len(piece)
                rest = memoryview(piece)
                while rest and index < last:
                    part, rest = rest[: end - at], rest[end - at :]
                    digest = await self._store(index, at, part, digest)
                    at += len(part)
                    if at == end and index + 1 < last:
                        at, end = self._plan.span(index + 1)
                        index, digest = index + 1, 0
                    elif at == end:
                        index = last
                # The last piece counts like any other: an ask may be no longer than one.
                pause = self._fetcher.bucket.take(len(piece), time.monotonic())
                if index < last:
                    self._arriving[ask.first] = at - self._plan.span(index)[0]
                else:
                    self._arriving.pop(ask.first, None)
                self._report()
                if pause:
                    await asyncio.sleep(pause)
                if index >= last:
                    break
        finally:
            self._arriving.pop(ask.first, None)
        if index < last:
            raise SourceUnreachable("The server ended its answer early.")

    async def _store(self, index: int, at: int, data: memoryview, digest: int) -> int:
        """Writes the next bytes of a chunk, whose crc32 so far is `digest`, and returns it with them. What has come counts, also
        when the fetch is cancelled meanwhile."""
        if self._plan.states[index] >= WRITTEN:
            return digest  # a server without ranges sends again what is here already
        whole = at + len(data) == self._plan.span(index)[1]
        try:
            digest = await self._hands.do(self._partial.write, index, at, data, digest, whole)
        finally:
            if whole and (noted := self._partial.noted.pop(index, None)) is not None:
                self._plan.written(index, noted)
                self._advance()
        return digest

    # -- in the background

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        # A disk that fails shows again when the end is synced or hashed; nobody else asks these tasks how they ended.
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

    def _advance(self) -> None:
        """Lets the whole file's digest follow what has come."""
        if not self._hashing.locked() and self._plan.frontier(self._hashed) > self._hashed:
            self._spawn(self._hash_all())

    async def _hash_all(self) -> None:
        """Hashes on as far as chunks follow one another."""
        async with self._hashing:
            while (to := self._plan.frontier(self._hashed)) > self._hashed:
                await self._hands.do(self._partial.hash_to, self._plan.span(to - 1)[1])
                self._hashed = to

    async def _sync_along(self) -> None:
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            if indexes := self._plan.unsynced():
                await self._hands.do(self._partial.sync, indexes)
                self._plan.synced(indexes)

    def _report(self, last: bool = False) -> None:
        now = time.monotonic()
        wait = 0.0 if last else self._reported + REPORT_SECONDS - now
        if wait > 0 and self._later is None:
            # What came since the last report is told even if nothing comes after it: a connection may stand still now.
            self._later = asyncio.get_running_loop().call_later(wait, self._report_late)
        elif wait <= 0:
            self._report_no_more()
            self._reported = now
            done = self._plan.done_bytes + (0 if last else sum(self._arriving.values()))
            self._progress(self._meter.seen(done, self._plan.size, now))

    def _report_late(self) -> None:
        self._later = None
        self._reported = 0.0  # a timer may be a little early
        self._report()

    def _report_no_more(self) -> None:
        """Takes back the report that was put off."""
        if self._later is not None:
            self._later.cancel()
            self._later = None


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancels tasks and waits until they have ended, whatever they end with."""
    waiting = list(tasks)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def partial_bytes(target: Path) -> int:
    """How much of `target` an unfinished fetch has here already, by its journal; 0 if there is none. Blocks."""
    place = Partial(target)
    try:
        from homefire.models.fetch_plan import read_journal

        journal = read_journal(place.log.read_bytes())
    except OSError:
        return 0
    size, chunk = journal.head.get("size", 0), journal.head.get("chunk", 0)
    return sum(max(0, min(size, (i + 1) * chunk) - i * chunk) for i in journal.chunks)


def discard_partial(target: Path) -> None:
    """Removes what an unfinished fetch of `target` left. Raises FetchBusy while one goes on. Blocks."""
    place = Partial(target)
    if place.part.exists() or place.log.exists():
        try:
            place.open()
            place.discard()
        except HomefireError:
            place.close()
            raise
