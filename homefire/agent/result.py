"""What a model and a person are shown of what a tool gave: clean, short, and with a way to the whole.

    bytes -> text? -> control characters out -> 4,000 characters or fewer? -> as it is
          -> binary: named, with its size                                -> head, what was left out, tail; the whole has a handle

Promises: pure functions; nothing that steers a terminal or turns the direction of writing comes through; at most
`MOST_SHOWN` characters and a line about the rest.
Does not cover: orders inside a text (`safety/taint.py` marks where it comes from), where the whole is kept (`effects.py`).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

MOST_SHOWN, HEAD, TAIL = 4_000, 2_800, 1_000
MOST_KEPT = 50 * 10**6
# Control characters but for tab and newline, separators of lines that are none, and marks that turn or hide what is read.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_KINDS = (
    (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"GIF8", "a GIF image"), (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "gzip data"), (b"\x7fELF", "a program (ELF)"), (b"MZ", "a program (PE)"),
    (b"GGUF", "a model (GGUF)"), (b"SQLite format 3", "an SQLite database"), (b"OggS", "Ogg sound"), (b"RIFF", "RIFF data"),
    (b"BZh", "bzip2 data"), (b"\xfd7zXZ", "xz data"), (b"\x28\xb5\x2f\xfd", "zstd data"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """`text` for model and person; `whole`: what is to be kept beside it, None where the text is all there is; `size` of what
    came, in bytes; `cut`: it was larger than what is kept."""

    text: str
    whole: bytes | None
    size: int
    cut: bool = False
    binary: bool = False


def show(data: str | bytes, handle: str) -> Shown:
    """What is shown of a result; `handle` is where the whole will be found."""
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else bytes(data)
    size, cut = len(raw), len(raw) > MOST_KEPT
    kept = raw[:MOST_KEPT]
    limit = f" Of {size:,} bytes the first {MOST_KEPT:,} were kept." if cut else ""
    if isinstance(data, bytes) and (kind := binary_kind(kept)):
        return Shown(f"[{kind}, {size:,} bytes, not shown; it is at {handle}.{limit}]", kept, size, cut, True)
    text = clean(kept.decode("utf-8", "ignore" if cut else "replace"))
    if len(text) <= MOST_SHOWN and not cut:
        return Shown(text, None, size)
    left = len(text) - HEAD - TAIL
    middle = f"\n[... {left:,} characters are left out here; the whole is at {handle}.{limit} ...]\n"
    return Shown(text[:HEAD] + middle + text[-TAIL:], kept, size, cut)


def clean(text: str) -> str:
    """Without what steers a terminal or the direction of writing."""
    return _STEERING.sub("\ufffd", _ESCAPE.sub("", text.replace("\r\n", "\n")))


def binary_kind(data: bytes) -> str:
    """What bytes are that are no text: in words, "" if they are text."""
    head = data[:65_536]
    for magic, name in _KINDS:
        if head.startswith(magic) and (magic != b"MZ" or b"\0" in head):
            return name
    if b"\0" in head:
        return "binary data"
    try:  # a letter that the piece cuts is no error
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) == len(data))
    except UnicodeDecodeError:
        return "binary data"
    return ""
