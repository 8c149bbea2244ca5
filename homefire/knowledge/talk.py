"""What the ingest child and the daemon say to each other: one message of the child, one answer of the daemon, and so on.

Frames: a length in four bytes, least significant first, then MessagePack.

    daemon: Order
    child: Files -> daemon: Fresh          which of these files are as they were
    child: Texts -> daemon: Known          which of these texts are here already
    child: Stored -> daemon: StoredTexts   what there is, to make the index of words anew
    child: Batch -> daemon: Committed      what is now on the disk; it counts from the answer on
    child: Thin -> daemon: Thinned         which texts lie in volumes that are mostly dead; they are written anew
    child: Moved -> daemon: Committed      they lie elsewhere now
    child: Progress, Failed                no answer
    child: Finish -> daemon: Committed     the run is complete; then the child takes the last dead texts out of its index and ends

Promises: a frame longer than LONGEST is refused on both sides.
Does not cover: who sends when (`ingest_child.py`, `ingest.py`).
"""

from __future__ import annotations

import msgspec

LONGEST = 1 << 30


class Document(msgspec.Struct, array_like=True):
    """As `store.DocumentRow`, but for `text`: -1: none; else its place in the batch's `digests`."""

    path: bytes
    entry: str
    shown: str
    kind: str
    language: str
    title: str
    size: int
    trusted_ns: int
    modified_ns: int
    source: bytes
    text: int
    line: int
    state: str
    code: str
    reason: str


class NewText(msgspec.Struct, array_like=True):
    """As `store.TextRow`. `data`: the text itself, where it is not in the volumes; `name` is of one of its documents."""

    id: int
    digest: bytes
    place: tuple[int, int, int, int, int]
    simhash: int
    minhash: bytes
    labels: str
    pieces: bytes
    windows: bytes
    data: bytes = b""
    name: str = ""


class Files(msgspec.Struct, tag="files"):
    """(path, bytes, mtime in ns) of each."""

    files: list[tuple[bytes, int, int]]


class Texts(msgspec.Struct, tag="texts"):
    """Digests."""

    digests: list[bytes]


class Stored(msgspec.Struct, tag="stored"):
    """The index of words is to be made anew: which texts does the collection have, behind this `seq`?"""

    after: int


class StoredText(msgspec.Struct, array_like=True):
    """A text that is in the volumes; `name` is of one of its documents."""

    seq: int
    id: int
    place: tuple[int, int, int, int, int]
    labels: str
    pieces: bytes
    name: str


class Thin(msgspec.Struct, tag="thin"):
    """The run is complete: are there volumes to write anew?"""


class Moved(msgspec.Struct, tag="moved"):
    """(number, place) of texts that were written anew; `ends` as a batch's."""

    ends: list[tuple[int, int, int]]
    texts: list[tuple[int, tuple[int, int, int, int, int]]]


class Batch(msgspec.Struct, tag="batch"):
    """`texts` are the numbers of all `digests` of the batch; `ends`: (segment, bytes of text, bytes of line offsets).
    `continued`: files whose rows of earlier batches stay."""

    number: int
    ends: list[tuple[int, int, int]]
    new: list[NewText]
    texts: list[int]
    documents: list[Document]
    continued: list[bytes]


class Progress(msgspec.Struct, tag="progress"):
    """So far. `total_*` grow until `counted`. `files` are those that were looked at or were as before; what is passed over by its
    name counts in `skipped` alone. `bytes` is of the files that were looked at, `text_bytes` of what was taken in."""

    files: int = 0
    bytes: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: int = 0
    text_bytes: int = 0
    total_files: int = 0
    total_bytes: int = 0
    counted: bool = False
    now: str = ""


class Failed(msgspec.Struct, tag="failed"):
    """The run ends with this error; what was committed stays."""

    code: str
    message: str
    next_step: str


class Finish(msgspec.Struct, tag="finish"):
    """All was walked. `complete`: every folder could be read, so what was not seen is gone."""

    complete: bool
    note: str = ""


class Fresh(msgspec.Struct, tag="fresh"):
    """For each file, whether it is as it was."""

    unchanged: list[bool]


class Known(msgspec.Struct, tag="known"):
    """(number, whether the collection's index has it) of each digest; number 0: it is new."""

    texts: list[tuple[int, bool]]


class StoredTexts(msgspec.Struct, tag="stored_texts"):
    """The next of them; none: that was all."""

    texts: list[StoredText]


class Thinned(msgspec.Struct, tag="thinned"):
    """(number, place) of texts to write anew; none: there are none."""

    texts: list[tuple[int, tuple[int, int, int, int, int]]]


class Committed(msgspec.Struct, tag="committed"):
    """Texts that died of it."""

    dead: list[int]


FromChild = Files | Texts | Stored | Thin | Moved | Batch | Progress | Failed | Finish
FromDaemon = Fresh | Known | StoredTexts | Thinned | Committed


class Order(msgspec.Struct):
    """The daemon's first word: what to do. `root`: the path's bytes; `archive`: instead of a folder an export is read (empty:
    none); `dead` are texts to take out of the index; `full`: every file is read, whether it changed or not; `sent`: texts come
    with the batch instead of going to volumes and words; `cluster`: the address of a Ray cluster that reads, "": none does."""

    root: bytes
    archive: bytes
    volumes: str
    words: str
    batch: int
    next_text: int
    ends: list[tuple[int, int, int]]
    dead: list[int]
    full: bool = False
    walls: bool = True
    readers: int = 2
    largest: int = 256 * 2**20
    segment: int = 256 * 2**20
    plain_without: bool = False
    sent: bool = False
    cluster: str = ""


def framed(message: FromChild | FromDaemon | Order) -> bytes:
    """A message as it goes over the pipe."""
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(4, "little") + data
