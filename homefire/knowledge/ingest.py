"""Ingestions: a folder asked for becomes a collection, one child at a time, and what the child has on the disk is committed.

    waiting -> running -> done
                      \\-> failed | cancelled      what was committed stays; the next run goes on from there

| call     | blocks                          | never                                                       |
|----------|---------------------------------|-------------------------------------------------------------|
| submit() | for a row in the database       | starts a second run of a folder that waits or runs: it joins |
| follow() | until the run ends              | misses the last state                                       |
| cancel() | until the child is gone         | loses what was committed                                    |

Promises: a killed child or daemon costs at most the running batch; a run that the daemon's end broke off goes on by itself with
the next daemon; nothing counts as gone from a folder that could not be read.
Does not cover: the work itself (`ingest_child.py`), vectors (`meaning.py`), watching folders (`watch.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from homefire.errors import (
    CannotIngest,
    CollectionExists,
    HomefireError,
    InternalError,
    InvalidRequest,
    TaskDied,
    UnknownCollection,
    leaves,
)
from homefire.knowledge import talk
from homefire.knowledge.versions import READER_VERSION
from homefire.knowledge.volumes import SEGMENT_BYTES
from homefire.paths import CollectionName, Paths, from_os
from homefire.store import CollectionRow, DocumentRow, Filter, KnowledgeRows, TextRow
from homefire.supervision.record import INHERITED, exit_code, rotate

log = logging.getLogger(__name__)

REPORT_SECONDS = 0.2
MOST_ENDED = 50
# A volume of which less than this share is alive is written anew, so many bytes at a time.
ALIVE, MOVED_BYTES = 0.5, 32 * 2**20
STORED_AT_ONCE = 200
# A child that says nothing for so long hangs: reading one file ends much sooner.
SILENT_SECONDS = 900.0
MODULE = "homefire.knowledge.ingest_child"


@dataclass(frozen=True, slots=True)
class IngestRules:
    """`largest`: bytes of a file that is read at most; `readers`: children that read; `walls`: behind the sandbox's; without them
    nothing is read, or with `plain_without` what needs no foreign parser; `segment`: bytes of a full volume; `cluster`: address
    of a Ray cluster whose machines read (`spread.py`), "": this one does."""

    largest: int = 256 * 2**20
    readers: int = 2
    walls: bool = True
    plain_without: bool = False
    segment: int = SEGMENT_BYTES
    cluster: str = ""


@dataclass(slots=True)
class Job:
    """One run. Times in Unix seconds; `error` as an envelope's inside."""

    collection: str
    root: Path
    full: bool = False
    archive: Path | None = None
    state: str = "waiting"
    progress: talk.Progress = field(default_factory=talk.Progress)
    asked_at: float = field(default_factory=time.time)
    started_at: float | None = None
    ended_at: float | None = None
    error: dict[str, Any] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    def view(self) -> dict[str, Any]:
        """As it is shown; `eta_seconds` None while nobody can tell."""
        progress = msgspec.to_builtins(self.progress)
        progress.pop("type", None)
        until = self.ended_at or time.time()
        seconds = until - self.started_at if self.started_at is not None else 0.0
        rate = self.progress.bytes / seconds if seconds > 0 else 0.0
        left = self.progress.total_bytes - self.progress.bytes
        return {
            "collection": self.collection,
            "root": os.fsencode(self.root).decode("utf-8", "replace"),
            "state": self.state,
            **progress,
            "tokens": self.progress.text_bytes // 4,
            "seconds": round(seconds, 3),
            "bytes_per_second": round(rate),
            "eta_seconds": round(left / rate, 1) if rate and self.progress.counted and not self.ended else None,
            "error": self.error,
        }

    def tell(self) -> None:
        """Wakes whoever follows."""
        self.changed.set()
        self.changed = asyncio.Event()


class Ingestion:
    """The queue of runs and the one that runs. `committed(collection, ended)` is called after each batch and at a run's end,
    `emptied(segments)` when volumes hold nothing any more."""

    def __init__(
        self,
        rows: KnowledgeRows,
        paths: Paths,
        rules: Callable[[], IngestRules],
        committed: Callable[[CollectionRow, bool], Awaitable[None]],
        emptied: Callable[[Sequence[int]], None],
    ) -> None:
        self._emptied = emptied
        self._rows = rows
        self._paths = paths
        self._rules = rules
        self._committed = committed
        self._queue: deque[Job] = deque()
        self._jobs: dict[str, Job] = {}
        self._running: Job | None = None
        self._work: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._naming = asyncio.Lock()  # two that ask for one folder at once are one collection

    async def open(self) -> None:
        """Runs that the last daemon did not end are taken up again. Raises KnowledgeStoreUnreachable; what is asked for later is
        done all the same."""
        self._work = self._work or asyncio.ensure_future(self._run())
        for row in await self._rows.all():
            if row.state == "ingesting" and row.mine and row.name not in self._jobs:
                self._enqueue(Job(row.name, Path(os.fsdecode(row.root))))

    async def close(self) -> None:
        """Ends the child. Its run goes on with the next daemon."""
        self._closing = True
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work

    async def submit(
        self, root: Path, name: str | None = None, *, watch: bool | None = None, full: bool = False
    ) -> Job:
        """Asks for a run over `root`. Raises CannotIngest, CollectionExists, InvalidRequest."""
        root = await asyncio.to_thread(_real, root)
        async with self._naming:
            row = await self._collection(root, name)
        if watch is not None and watch != row.watch:
            await self._rows.set_watch(row.id, watch)
        known = self._jobs.get(row.name)
        if known is not None and not known.ended:
            known.full = known.full or (full and known.state == "waiting")
            return known
        job = Job(row.name, root, full)
        self._enqueue(job)
        return job

    async def submit_archive(self, archive: Path, name: str, root: bytes) -> Job:
        """A run that fills a new collection with what an export holds. Raises CollectionExists, InvalidRequest."""
        row = await self._rows.create(str(CollectionName(name)), root)
        job = Job(row.name, Path(os.fsdecode(root)), archive=archive)
        self._enqueue(job)
        return job

    def jobs(self) -> list[Job]:
        """The last run of each collection since the daemon began, oldest first."""
        return list(self._jobs.values())

    def job(self, name: str) -> Job | None:
        """The last run of a collection, if there was one since the daemon began."""
        return self._jobs.get(name)

    async def follow(self, job: Job) -> AsyncIterator[dict[str, Any]]:
        """Its state now, then at most five times a second whenever it changed, the last one always."""
        while True:
            changed = job.changed
            yield job.view()
            if job.ended:
                return
            await changed.wait()
            await asyncio.sleep(0 if job.ended else REPORT_SECONDS)

    async def cancel(self, name: str) -> Job:
        """Ends a run. What was committed stays. Raises UnknownCollection if there is none under way."""
        job = self._jobs.get(name)
        if job is None or job.ended:
            raise UnknownCollection(f"Nothing is being ingested into '{name}'.", "See: homefire knowledge list")
        if job is self._running and self._work is not None:
            job.state = "cancelling"
            self._work.cancel()
        else:
            self._queue.remove(job)
            self._end(job, "cancelled")
        while not job.ended:
            await job.changed.wait()
        return job

    # -- inside

    async def _collection(self, root: Path, name: str | None) -> CollectionRow:
        raw, rows = os.fsencode(root), await self._rows.all()
        for row in rows:
            if row.root == raw and row.mine and name in (None, row.name):
                return row
        if name is not None:
            wanted = str(CollectionName(name))
            for row in rows:
                if row.name == wanted:
                    raise CollectionExists(f"'{wanted}' is the collection of {os.fsdecode(row.root)!r}.", param="name")
            return await self._rows.create(wanted, raw)
        plain = _plain_name(root)
        taken = {row.name for row in rows}
        number = 1
        wanted = plain
        while wanted in taken:
            number += 1
            wanted = f"{plain}-{number}"
        return await self._rows.create(wanted, raw)

    def _enqueue(self, job: Job) -> None:
        ended = [name for name, each in self._jobs.items() if each.ended]
        for old in ended[: max(0, len(ended) - MOST_ENDED)]:
            del self._jobs[old]
        self._jobs.pop(job.collection, None)
        self._jobs[job.collection] = job
        self._queue.append(job)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
            job = self._running = self._queue.popleft()
            try:
                await self._one(job)
                self._end(job, "done")
            except asyncio.CancelledError:
                if self._closing:
                    raise
                if (me := asyncio.current_task()) is not None:
                    me.uncancel()  # it was this run that was to end, not the queue
                await self._stopped(job, "cancelled")
                self._end(job, "cancelled")
            except HomefireError as problem:
                log.warning("ingesting '%s': %s", job.collection, problem.message)
                job.error = problem.envelope()["error"]
                await self._stopped(job, problem.message)
                self._end(job, "failed")
            except Exception as defect:  # one run's, whatever it is: the queue goes on
                log.exception("ingesting '%s' fell over", job.collection)
                job.error = InternalError(f"Ingesting fell over: {type(defect).__name__}.").envelope()["error"]
                await self._stopped(job, "it fell over")
                self._end(job, "failed")
            finally:
                self._running = None

    def _end(self, job: Job, state: str) -> None:
        job.state, job.ended_at = state, time.time()
        job.tell()

    async def _stopped(self, job: Job, note: str) -> None:
        """A run that did not come to its end: what it had committed counts, and nothing is gone."""
        with contextlib.suppress(HomefireError):
            row = await self._rows.get(job.collection)
            await self._rows.finish(row, complete=False, note=note)
            await self._committed(row, True)

    async def _one(self, job: Job) -> None:
        row = await self._rows.start((await self._rows.get(job.collection)).id)
        job.state, job.started_at = "running", time.time()
        job.tell()
        rules, words = self._rules(), self._paths.word_index(row.id)
        archive = os.fsencode(job.archive) if job.archive is not None else b""
        order = talk.Order(
            os.fsencode(job.root), archive, str(self._paths.volumes), str(words), row.batch,
            await self._rows.next_text(), [(s, *ends) for s, ends in (await self._rows.ends()).items()],
            await self._rows.dead(row.id), job.full, rules.walls, rules.readers, rules.largest,
            rules.segment, rules.plain_without, self._rows.holds_texts, rules.cluster,
        )  # fmt: skip
        process = await self._spawn()
        try:
            said = await _Conversation(self._rows, row, job, self._committed, self._emptied).hold(process, order)
            code = exit_code(await process.wait())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if isinstance(said, talk.Failed):
            leaf = {each.code: each for each in leaves()}.get(said.code, TaskDied)
            raise leaf(said.message, said.next_step)
        if said is None or code:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
            raise TaskDied(
                f"The child that ingests {how}.",
                f"See {self._paths.ingest_log}, then ingest again: it goes on where it was.",
            )

    async def _spawn(self) -> asyncio.subprocess.Process:
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        rotate(self._paths.ingest_log)
        flags: dict[str, Any] = {} if sys.platform == "win32" else {"start_new_session": True}
        try:
            with self._paths.ingest_log.open("ab") as errors:
                return await asyncio.create_subprocess_exec(
                    sys.executable, "-m", MODULE, stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE, stderr=errors, env=environment, **flags,
                )  # fmt: skip
        except OSError as problem:
            raise from_os(problem, self._paths.ingest_log) from None


class _Conversation:
    """With one child: answers what it asks, commits what it has done."""

    def __init__(
        self,
        rows: KnowledgeRows,
        row: CollectionRow,
        job: Job,
        committed: Callable[[CollectionRow, bool], Awaitable[None]],
        emptied: Callable[[Sequence[int]], None],
    ) -> None:
        self._emptied = emptied
        self._rows = rows
        self._row = row
        self._job = job
        self._committed = committed

    async def hold(self, process: asyncio.subprocess.Process, order: talk.Order) -> talk.Finish | talk.Failed | None:
        """Until the child's end; returns its last word, None if it died without one."""
        assert process.stdin is not None and process.stdout is not None
        decoder = msgspec.msgpack.Decoder(talk.FromChild)
        last: talk.Finish | talk.Failed | None = None
        process.stdin.write(talk.framed(order))
        while True:
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    frame = await _frame(process.stdout)
            except TimeoutError:
                raise TaskDied(f"The child that ingests has said nothing for {SILENT_SECONDS:.0f} s.") from None
            if frame is None:
                return last
            message = decoder.decode(frame)
            if isinstance(message, talk.Finish | talk.Failed):
                last = message
            if (answer := await self._answer(message)) is not None:
                with contextlib.suppress(ConnectionError):
                    process.stdin.write(talk.framed(answer))
                    await process.stdin.drain()

    async def _answer(self, message: talk.FromChild) -> talk.FromDaemon | None:
        match message:
            case talk.Files(files):
                return talk.Fresh(await self._rows.unchanged(self._row, READER_VERSION, files))
            case talk.Texts(digests):
                found = await self._rows.known(self._row.id, digests)
                return talk.Known([found.get(digest, (0, False)) for digest in digests])
            case talk.Stored(after):
                return talk.StoredTexts(await self._stored(after))
            case talk.Thin():
                rows = await self._rows.sparse(ALIVE, MOVED_BYTES)
                return talk.Thinned([(t.id, (t.segment, t.start, t.size, t.lines, t.marks)) for t in rows])
            case talk.Moved(ends, texts):
                places = [(number, *place) for number, place in texts]
                self._emptied(await self._rows.moved({s: (text, lines) for s, text, lines in ends}, places))
                return talk.Committed([])
            case talk.Batch():
                dead = await self._commit(message)
                await self._committed(self._row, False)
                return talk.Committed(dead)
            case talk.Progress():
                self._job.progress = message
                self._job.tell()
                return None
            case talk.Finish(complete, note):
                dead = await self._rows.finish(self._row, complete, note)
                await self._committed(self._row, True)
                return talk.Committed(dead)
            case _:
                return None

    async def _stored(self, after: int) -> list[talk.StoredText]:
        rows = await self._rows.live(self._row.id, after, STORED_AT_ONCE)
        held = await self._rows.holders([self._row.id], [text.id for _, text in rows], Filter())
        return [
            talk.StoredText(
                seq, text.id, (text.segment, text.start, text.size, text.lines, text.marks), text.labels, text.pieces,
                held[text.id][0][1].shown if text.id in held else "",
            )
            for seq, text in rows
        ]  # fmt: skip

    async def _commit(self, batch: talk.Batch) -> list[int]:
        texts = [
            TextRow(
                new.id, new.digest, *new.place, new.simhash, new.minhash, new.labels, new.pieces, new.windows, new.data,
                new.name,
            )
            for new in batch.new
        ]  # fmt: skip
        documents = [
            DocumentRow(
                d.path, d.entry, d.shown, d.kind, d.language, d.title, d.size, d.trusted_ns, d.modified_ns, d.source,
                batch.texts[d.text] if d.text >= 0 else None, d.line, d.state, d.code, d.reason, READER_VERSION,
            )
            for d in batch.documents
        ]  # fmt: skip
        ends = {segment: (text, lines) for segment, text, lines in batch.ends}
        return await self._rows.commit(
            self._row, batch.number, ends, texts, documents, continued=frozenset(batch.continued)
        )


async def _frame(stream: asyncio.StreamReader) -> bytes | None:
    try:
        length = int.from_bytes(await stream.readexactly(4), "little")
        if length > talk.LONGEST:
            raise TaskDied("The child that ingests said something that is too long.")
        return await stream.readexactly(length)
    except asyncio.IncompleteReadError:
        return None


def _real(root: Path) -> Path:
    """The folder or file itself, not a link to it. Raises CannotIngest, InvalidRequest."""
    if not root.is_absolute():
        raise InvalidRequest(f"{str(root)!r} is no full path.", "Give the path from / on.", param="path")
    try:
        found = root.resolve(strict=True)
        if not (found.is_dir() or found.is_file()):
            raise CannotIngest(f"{root} is neither a folder nor a file.", param="path")
        if not os.access(found, os.R_OK | (os.X_OK if found.is_dir() else 0)):
            raise CannotIngest(f"{root} may not be read.", param="path")
    except (OSError, ValueError, RuntimeError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise CannotIngest(f"{str(root)!r} cannot be read: {reason}.", param="path") from None
    return found


def _plain_name(root: Path) -> str:
    """A collection's name out of the folder's."""
    plain = re.sub(r"[^\w.+-]+", "-", root.name, flags=re.UNICODE).strip("-. ")
    plain = re.sub(r"\.{2,}", ".", plain)[:60].strip("-. ")
    try:
        return str(CollectionName(plain))
    except InvalidRequest:
        return "collection"
