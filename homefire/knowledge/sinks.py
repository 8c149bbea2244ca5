"""Where the ingest child puts texts: into volumes and the index of words beside it, or along to the daemon for a server.

Promises: what `commit` returned from is on the disk, or with the daemon; what a killed child left beyond the truth is cut off or
taken back by the next; a damaged index of words is made anew of the volumes.
Does not cover: what exists: the daemon's database says it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from homefire.errors import IndexDamaged
from homefire.index.words import WordRow, WordsWriter
from homefire.knowledge import talk
from homefire.knowledge.packing import number_of, unpack_pieces
from homefire.knowledge.volumes import End, Place, Volumes, VolumeWriter

# Chunks that are handed to the index at once; bytes of text after which a new index is committed.
ADDED_CHUNKS = 1000
REBUILD_BYTES = 64 * 2**20
Where = tuple[int, int, int, int, int]


class Daemon(Protocol):
    """What a sink asks of the daemon."""

    def stored(self, after: int) -> list[talk.StoredText]:
        """The texts of the collection behind a `seq`."""
        ...

    def sparse(self) -> list[tuple[int, Where]]:
        """Texts (number, place) in volumes that are mostly dead; none: there are none."""
        ...

    def moved(self, ends: list[tuple[int, int, int]], texts: list[tuple[int, Where]]) -> None:
        """They lie elsewhere now."""
        ...


class Sink(Protocol):
    """`torn`: a batch of which the daemon never heard may have left words of texts that it knows."""

    torn: bool

    def keep(self, data: bytes) -> tuple[Where, bytes]:
        """Takes a new text; returns where it lies and what of it goes along to the daemon. Raises DiskFull and the like."""
        ...

    def index(self, number: int, data: bytes, pieces: bytes, labels: str, name: str) -> None:
        """Takes the words of a text that the collection's index lacks; `pieces` and `labels` as packed."""
        ...

    def remove(self, texts: Sequence[int]) -> None:
        """These texts are not found any more from the next commit on."""
        ...

    def commit(self, mark: int) -> list[tuple[int, int, int]]:
        """Makes it last; returns the ends of the segments that grew."""
        ...

    def close(self, mark: int) -> None:
        """The run's end."""
        ...


class FileSink:
    """Volumes and the index of words in the home. Raises IndexBusy, StoreDamaged, HomeNotWritable, DiskFull."""

    def __init__(self, order: talk.Order, daemon: Daemon) -> None:
        self._folder, self._daemon = Path(order.volumes), daemon
        ends = {segment: End(text, lines) for segment, text, lines in order.ends}
        self._volumes = VolumeWriter(self._folder, ends, order.segment)
        self._rows: list[WordRow] = []
        self.torn = False
        self._words = self._open_words(order)

    def keep(self, data: bytes) -> tuple[Where, bytes]:
        """As `Sink.keep`."""
        place = self._volumes.append(data)
        return (place.segment, place.start, place.size, place.lines, place.marks), b""

    def index(self, number: int, data: bytes, pieces: bytes, labels: str, name: str) -> None:
        """As `Sink.index`."""
        self._rows += _word_rows(number, data, unpack_pieces(pieces), json.loads(labels), name)

    def remove(self, texts: Sequence[int]) -> None:
        """As `Sink.remove`."""
        self._words.remove_groups(texts)

    def commit(self, mark: int) -> list[tuple[int, int, int]]:
        """As `Sink.commit`."""
        for first in range(0, len(self._rows), ADDED_CHUNKS):
            self._words.add(self._rows[first : first + ADDED_CHUNKS])
        self._rows = []
        ends = self._synced()
        self._words.commit(mark)
        return ends

    def close(self, mark: int) -> None:
        """As `Sink.close`."""
        self._words.commit(mark)
        self._words.close()
        self._thin_out()
        self._volumes.close()

    def _synced(self) -> list[tuple[int, int, int]]:
        return [(segment, end.text, end.lines) for segment, end in self._volumes.sync().items()]

    def _thin_out(self) -> None:
        """Volumes that are mostly dead: what lives in them is written anew, behind all else."""
        volumes = Volumes(self._folder)
        while texts := self._daemon.sparse():
            moved = [(number, self.keep(bytes(volumes.view(Place(*place))))[0]) for number, place in texts]
            self._daemon.moved(self._synced(), moved)
        volumes.close()

    def _open_words(self, order: talk.Order) -> WordsWriter:
        """The index as the last committed batch left it: made anew of the volumes if it is damaged or behind."""
        folder = Path(order.words)
        try:
            words = WordsWriter(folder)
        except IndexDamaged:
            shutil.rmtree(folder, ignore_errors=True)
            words = WordsWriter(folder)
        if words.mark > order.batch:  # the daemon never heard of what was committed last
            words.remove_from(order.next_text)
            self.torn = True
        elif words.mark < order.batch:
            self._rebuild(words, order.batch)
        return words

    def _rebuild(self, words: WordsWriter, mark: int) -> None:
        volumes, after, added = Volumes(self._folder), 0, 0
        while page := self._daemon.stored(after):
            after = page[-1].seq
            for each in page:
                words.remove_groups([each.id])
                data = bytes(volumes.view(Place(*each.place)))
                words.add(_word_rows(each.id, data, unpack_pieces(each.pieces), json.loads(each.labels), each.name))
                added += len(data)
                if added > REBUILD_BYTES:
                    words.commit(mark - 1)
                    added = 0
        words.commit(mark)
        volumes.close()


class SentSink:
    """Texts go along with the batch; the daemon hands them to the server, which makes words of them in the same transaction."""

    torn = False

    def keep(self, data: bytes) -> tuple[Where, bytes]:
        """As `Sink.keep`."""
        return (0, 0, len(data), data.count(b"\n", 0, -1) + 1 if data else 1, 0), data

    def index(self, number: int, data: bytes, pieces: bytes, labels: str, name: str) -> None:
        """Nothing: words of a text are there as long as it is."""

    def remove(self, texts: Sequence[int]) -> None:
        """Nothing: what is dead is not found on the server."""

    def commit(self, mark: int) -> list[tuple[int, int, int]]:
        """Nothing lies here."""
        return []

    def close(self, mark: int) -> None:
        """Nothing is open."""


def _word_rows(
    number: int, data: bytes, pieces: list[tuple[int, int, int, int]], labels: list[str], name: str
) -> list[WordRow]:
    return [
        WordRow(number_of(number, place), number, data[start:end], f"{name} {labels[label]}".rstrip())
        for place, (start, end, _, label) in enumerate(pieces)
    ]
