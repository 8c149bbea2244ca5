"""The ingest child: walks a folder, has what changed read, and puts it where it is kept (`sinks.py`), batch by batch.

    walk -> (daemon: which are as they were) -> readers behind walls -> batch
    batch -> (a thread) volumes -> words -> (daemon commits)

Run as `python -m homefire.knowledge.ingest_child`; orders and answers come on standard input (`talk.py`).
Promises: it alone writes volumes and words; a batch is on the disk before the daemon hears of it, so what it is killed in the
middle of is a tail that the next child cuts off; memory stays flat at any size.
Does not cover: what exists: the daemon's database says it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from homefire.errors import HomefireError, MachineError
from homefire.knowledge import archive, talk
from homefire.knowledge.packing import (
    MOST_PIECES,
    pack_pieces,
    pack_windows,
    unpack_labelled,
    unpack_windows,
)
from homefire.knowledge.reader import REASONS, Piece, Signed, Text, Window
from homefire.knowledge.reading import Pool, Read
from homefire.knowledge.sinks import FileSink, SentSink, Sink
from homefire.knowledge.spread import SpreadPool
from homefire.knowledge.walk import Found, Passed, Rules, shown, walk
from homefire.supervision import lifeline

T = TypeVar("T")

# A batch ends at the first of these: bytes of text, files, seconds.
BATCH_BYTES, BATCH_FILES, BATCH_SECONDS = 8 * 2**20, 1000, 3.0
# Files of which the daemon is asked at once.
ASKED_FILES = 500
REPORT_SECONDS = 0.2
# Clocks of file systems: most tick in some milliseconds, some in two seconds and then in whole ones.
FINE_NS, COARSE_NS = 50_000_000, 2_000_000_000
# Others are waiting for the processor; this can wait.
NICENESS = 10


class Channel:
    """The child's side of the conversation. The daemon's end is this process's end."""

    def __init__(self) -> None:
        lifeline.die_with_parent()
        self._out = os.dup(1)
        os.dup2(2, 1)  # what native code prints does not get into the frames
        self._heard: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._asking, self._saying = threading.Lock(), threading.Lock()
        threading.Thread(target=self._listen, name="daemon", daemon=True).start()

    def order(self) -> talk.Order:
        """The daemon's first word."""
        return msgspec.msgpack.decode(self._next(), type=talk.Order)

    def say(self, message: talk.FromChild) -> None:
        """Sends a message that has no answer."""
        data = memoryview(talk.framed(message))
        with self._saying:
            while data:
                data = data[os.write(self._out, data) :]

    def ask(self, message: talk.FromChild, answer: type[T]) -> T:
        """Sends a message and waits for what the daemon answers."""
        with self._asking:  # the daemon answers one after the other
            self.say(message)
            return msgspec.msgpack.decode(self._next(), type=answer)

    def _next(self) -> bytes:
        found = self._heard.get()
        if found is None:
            os._exit(0)
        return found

    def _listen(self) -> None:
        with os.fdopen(os.dup(0), "rb") as source:
            while len(head := source.read(4)) == 4:
                self._heard.put(source.read(int.from_bytes(head, "little")))
        self._heard.put(None)
        os._exit(0)  # nobody is there to commit what would still be done


class Run:
    """One run over a folder."""

    def __init__(self, channel: Channel, order: talk.Order) -> None:
        self._channel = channel
        self._order = order
        self._root = Path(os.fsdecode(order.root))
        self._batch = order.batch
        self._next_text = order.next_text
        self._progress = talk.Progress()
        self._reported = 0.0
        self._gathered = _Gathered()
        self._complete = True
        self._sink: Sink = SentSink() if order.sent else FileSink(order, self)
        self._writer = ThreadPoolExecutor(1, "write")
        self._written: Future[None] | None = None

    def run(self) -> None:
        """From the first file to the last dead text. Raises HomefireError."""
        self._sink.remove(self._order.dead)
        if self._order.archive:
            self._import()
        else:
            self._walk()
        self._flush()
        self._settle()
        self._report(last=True)
        dead = self._channel.ask(talk.Finish(self._complete), talk.Committed).dead
        self._sink.remove(dead)
        self._sink.close(self._batch)

    # -- files

    def _walk(self) -> None:
        counter = threading.Thread(target=self._count, name="count", daemon=True)
        counter.start()
        with self._pool() as pool:
            for read in pool.read(self._changed()):
                self._take(read)
        counter.join()

    def _pool(self) -> Pool | SpreadPool:
        order = self._order
        given: Any = {"children": order.readers, "walls": order.walls, "plain_without": order.plain_without}
        if order.cluster:
            return SpreadPool(order.cluster, self._root, **given)
        return Pool(self._root, **given)

    def _import(self) -> None:
        """Takes in what an export holds."""
        file = Path(os.fsdecode(self._order.archive))
        self._progress.total_bytes = file.stat().st_size if file.is_file() else 0
        for frame in archive.read(file):
            if isinstance(frame, archive.Head):
                self._progress.total_files, self._progress.counted = frame.documents, True
            elif isinstance(frame, archive.Kept | archive.Loose):
                self._gathered.imported(frame)
                self._progress.files += sum(not document.entry for document in frame.documents)
                self._progress.bytes += len(frame.data) if isinstance(frame, archive.Kept) else 0
            if self._gathered.full():
                self._flush()
            self._report()

    def _rules(self) -> Rules:
        return Rules(most_bytes=self._order.largest, left_out=[Path(self._order.volumes).parent])

    def _count(self) -> None:
        """How much there is, beside the work: for the time that is left."""
        for each in walk(self._root, self._rules()):
            if isinstance(each, Found):
                self._progress.total_files += 1
                self._progress.total_bytes += each.size
        self._progress.counted = True

    def _changed(self) -> Iterator[Found]:
        """The files that are not as they were. What is passed over is noted on the way."""
        waiting: list[Found] = []
        for each in walk(self._root, self._rules()):
            if isinstance(each, Passed):
                self._pass(each)
                continue
            waiting.append(each)
            if len(waiting) == ASKED_FILES:
                yield from self._asked(waiting)
                waiting = []
        yield from self._asked(waiting)

    def _asked(self, files: list[Found]) -> Iterator[Found]:
        if self._order.full or not files:
            yield from files
            return
        asked = talk.Files([(each.path, each.size, each.mtime_ns) for each in files])
        for each, same in zip(files, self._channel.ask(asked, talk.Fresh).unchanged, strict=True):
            if same:
                self._progress.files += 1
                self._progress.unchanged += 1
                self._progress.bytes += each.size
            else:
                yield each
        self._report()

    def _pass(self, passed: Passed) -> None:
        if passed.path.endswith(b"/") and passed.code == "document_unreadable":
            self._complete = False  # what is in there is not gone
        if passed.code == "ignored":
            return
        self._progress.skipped += 1
        self._gathered.passed(passed)

    def _take(self, read: Read) -> None:
        self._gathered.take(read)
        if read.status != "part":
            self._progress.files += 1
            self._progress.bytes += read.size
            self._progress.now = shown(read.path)
            self._progress.skipped += read.status == "skipped"
            self._progress.failed += read.status == "failed"
        if self._gathered.full():
            self._flush()
        self._report()

    # -- batches

    def _flush(self) -> None:
        """What was gathered goes to the disk, while the next is gathered; never two batches at once. Raises what the last one
        raised."""
        self._settle()
        gathered, self._gathered = self._gathered, _Gathered(self._gathered.unfinished)
        self._written = self._writer.submit(self._store, gathered)

    def _settle(self) -> None:
        """Waits until the last batch is committed. Raises what it raised."""
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def _store(self, gathered: _Gathered) -> None:
        """A batch onto the disk, then the daemon commits it."""
        documents, digests = gathered.documents()
        if not documents:
            return
        known = self._channel.ask(talk.Texts(digests), talk.Known).texts
        new: list[talk.NewText] = []
        numbers: list[int] = []
        again: list[int] = []
        missing: list[tuple[int, bytes, bytes, str, str]] = []
        for (number, indexed), digest in zip(known, digests, strict=True):
            signed, name = gathered.texts[digest]
            packed, labels = pack_pieces(signed.text.pieces[:MOST_PIECES])
            if not number:
                number = self._next_text  # noqa: PLW2901
                self._next_text += 1
                place, sent = self._sink.keep(signed.text.data)
                windows = pack_windows([(w.start, w.end, w.piece, w.whole) for w in signed.text.windows])
                new.append(
                    talk.NewText(
                        number, signed.digest, place, _signed_64(signed.simhash), signed.minhash, labels, packed, windows,
                        sent, name,
                    )
                )  # fmt: skip
                self._progress.text_bytes += len(signed.text.data)
            elif not indexed or self._sink.torn:
                again.append(number)
            numbers.append(number)
            if not indexed:
                missing.append((number, signed.text.data, packed, labels, name))
        self._sink.remove(again)
        for each in missing:
            self._sink.index(*each)
        self._batch += 1
        ends = self._sink.commit(self._batch)
        batch = talk.Batch(self._batch, ends, new, numbers, documents, gathered.continued)
        self._sink.remove(self._channel.ask(batch, talk.Committed).dead)

    # -- what a sink asks of the daemon

    def stored(self, after: int) -> list[talk.StoredText]:
        """The texts of the collection behind a `seq`."""
        self._report()
        return self._channel.ask(talk.Stored(after), talk.StoredTexts).texts

    def sparse(self) -> list[tuple[int, tuple[int, int, int, int, int]]]:
        """Texts (number, place) in volumes that are mostly dead."""
        return self._channel.ask(talk.Thin(), talk.Thinned).texts

    def moved(self, ends: list[tuple[int, int, int]], texts: list[tuple[int, tuple[int, int, int, int, int]]]) -> None:
        """They lie elsewhere now."""
        self._channel.ask(talk.Moved(ends, texts), talk.Committed)

    def _report(self, last: bool = False) -> None:
        now = time.monotonic()
        if last or now - self._reported > REPORT_SECONDS:
            self._reported = now
            self._channel.say(self._progress)


class _Gathered:
    """What the next batch will be. `begun`: files of which an earlier batch took parts, and which still go on."""

    def __init__(self, begun: frozenset[bytes] = frozenset()) -> None:
        self.files = 0
        self.texts: dict[bytes, tuple[Signed, str]] = {}
        self._begun = set(begun)
        self._rows: dict[bytes, list[tuple[talk.Document, bytes]]] = {}
        self._open: set[bytes] = set(begun)
        self._bytes = 0
        self._began = time.monotonic()

    def full(self) -> bool:
        """Whether it is time."""
        old = bool(self._rows) and time.monotonic() - self._began > BATCH_SECONDS
        return self._bytes >= BATCH_BYTES or self.files >= BATCH_FILES or old

    def take(self, read: Read) -> None:
        """An answer about a file."""
        name = shown(read.path)
        rows = self._rows.setdefault(read.path, [])
        if read.first or read.status in ("skipped", "failed"):  # what came of it before does not count
            rows.clear()
            self._begun.discard(read.path)
        for signed in read.texts:
            rows.append(self._row(read, name, signed))
        if read.status == "part":
            self._open.add(read.path)
            return
        self.files += 1
        self._open.discard(read.path)
        if not any(document.entry == "" for document, _ in rows):
            rows.append(self._row(read, name, None))

    def imported(self, frame: archive.Kept | archive.Loose) -> None:
        """What an export holds of some documents; they all stay, whichever batch they come in."""
        digest = b""
        if isinstance(frame, archive.Kept):
            digest = frame.digest
            pieces = tuple(
                Piece(start, end, line, label)
                for start, end, line, label in unpack_labelled(frame.pieces, frame.labels)
            )
            windows = tuple(Window(*each) for each in unpack_windows(frame.windows))
            text = Text(frame.data, "", pieces=pieces, windows=windows)
            name = frame.documents[0].shown if frame.documents else ""
            self.texts[digest] = (Signed(text, digest, frame.simhash, frame.minhash), name)
            self._bytes += len(frame.data)
        for document in frame.documents:
            self.files += 1
            self._begun.add(document.path)
            self._rows.setdefault(document.path, []).append((document, digest))

    def passed(self, passed: Passed) -> None:
        """What is not read, with the reason."""
        self.files += 1
        reason = passed.message or REASONS[passed.code]
        self._rows[passed.path] = [
            (
                talk.Document(
                    passed.path, "", shown(passed.path), "", "", "", 0, 0, 0, b"", -1, 1, "skipped", passed.code, reason
                ),
                b"",
            )
        ]  # fmt: skip

    def documents(self) -> tuple[list[talk.Document], list[bytes]]:
        """All rows, and the digests of their texts, to whose places the rows point."""
        places: dict[bytes, int] = {}
        documents = []
        for rows in self._rows.values():
            for document, digest in rows:
                if digest:
                    document.text = places.setdefault(digest, len(places))
                documents.append(document)
        return documents, list(places)

    @property
    def continued(self) -> list[bytes]:
        """Files whose earlier parts stay."""
        return [path for path in self._rows if path in self._begun]

    @property
    def unfinished(self) -> frozenset[bytes]:
        """Files that go on in the next batch."""
        return frozenset(self._open)

    def _row(self, read: Read, name: str, signed: Signed | None) -> tuple[talk.Document, bytes]:
        text = signed.text if signed is not None else None
        entry = text.entry if text is not None else ""
        said, digest = f"{name}!{entry}" if entry else name, b""
        if signed is not None and signed.text.data:
            digest = signed.digest
            if digest not in self.texts:
                self.texts[digest] = (signed, said)
                self._bytes += len(signed.text.data)
        document = talk.Document(
            read.path, entry, said, text.kind if text else read.kind, text.language if text else read.language,
            text.title if text else "", read.size, _trusted(read.mtime_ns), read.mtime_ns, read.digest, -1,
            text.line if text else 1, "read" if read.status == "part" else read.status, read.code, read.message,
        )  # fmt: skip
        return document, digest


def _signed_64(value: int) -> int:
    """The same 64 bits as the database's integers have them."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _trusted(mtime_ns: int) -> int:
    """The file's time, or 0 if it is so fresh that a change within the same tick of the file system's clock would not show."""
    tick = COARSE_NS if mtime_ns % 10**9 == 0 else FINE_NS
    return mtime_ns if time.time_ns() - mtime_ns > tick else 0


def main() -> None:
    """Entry point."""
    os.umask(0o077)
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICENESS)
    channel = Channel()
    try:
        Run(channel, channel.order()).run()
    except HomefireError as problem:
        channel.say(talk.Failed(problem.code, problem.message, problem.next_step))
        sys.exit(1)
    except MemoryError:
        channel.say(talk.Failed(MachineError.code, "The memory does not suffice to ingest this folder.", ""))
        sys.exit(1)


if __name__ == "__main__":
    main()
