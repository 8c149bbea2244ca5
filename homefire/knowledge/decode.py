"""Bytes of a file to UTF-8 text, in parts that end at the end of a line.

Valid UTF-8 passes as it is, byte for byte, but for a byte order mark. UTF-16 and UTF-32 are known by their mark, UTF-16 of
Latin text also without it. What is left is UTF-8 with faults (each becomes U+FFFD) when most of its long characters are
sound, else windows-1252.
Promises: what comes out is valid UTF-8; memory for some parts, whatever the file's size; the parts in a row are the whole text.
Does not cover: other encodings of old (Shift JIS, KOI8-R, GB18030): they come out as windows-1252 with a note.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from homefire.knowledge.kinds import HEAD, utf16_without_mark
from homefire.knowledge.reader import PART, BadDocument, Source

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LONG = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def parts_of(source: Source) -> Iterator[tuple[bytes, str]]:
    """The text in parts of `PART` bytes at most, each with a note about its encoding ("" when it was UTF-8)."""
    if source.size > source.bounds.source_bytes:
        raise BadDocument(
            "document_too_large", f"It has {source.size} bytes; the limit is {source.bounds.source_bytes}."
        )
    head = source.at(0, HEAD)
    mark, encoding = next(((m, e) for m, e in _MARKS if head.startswith(m)), (b"", ""))
    encoding = encoding or utf16_without_mark(head) or "utf-8"
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding != "utf-8" else None
    carry, offset = b"", len(mark)
    while True:
        raw = source.at(offset, PART - len(carry) if decoder is None else PART // 2)
        offset += len(raw)
        last = offset >= source.size or not raw
        data = carry + (raw if decoder is None else decoder.decode(raw, last).encode())
        while data:
            cut = len(data) if last and len(data) <= PART else end_of_part(data[:PART])
            yield sound(data[:cut]) if decoder is None else (data[:cut], encoding)
            data = data[cut:]
            if not last:
                break
        if last:
            return
        carry = data


def end_of_part(data: bytes) -> int:
    """Where to cut these bytes so that no line is torn, or if there is but one, no character. Not 0."""
    cut = data.rfind(b"\n") + 1
    return cut or boundary(data, len(data))


def boundary(data: bytes, place: int) -> int:
    """The first byte of the character at `place`, at most 3 bytes before; `place` itself when that is no UTF-8."""
    if place >= len(data):
        for back in range(1, min(4, len(data)) + 1):  # a character may go on beyond these bytes
            code = data[len(data) - back]
            if code >= 0xC0:
                need = 2 if code < 0xE0 else 3 if code < 0xF0 else 4
                return len(data) - back if need > back and back < len(data) else len(data)
            if code < 0x80:
                break
        return len(data)
    for back in range(4):
        if place - back <= 0 or data[place - back] & 0xC0 != 0x80:
            return place - back if place - back > 0 else place
    return place


def sound(data: bytes) -> tuple[bytes, str]:
    """These bytes as UTF-8, and a note if they were something else."""
    if data.isascii():
        return data, ""
    try:
        text = data.decode()
        del text
        return data, ""
    except UnicodeDecodeError:
        pass
    good = sum(1 for _ in _LONG.finditer(data))
    repaired = data.decode("utf-8", "replace")
    bad = repaired.count("�")
    if good >= bad:
        return repaired.encode(), f"{bad} bytes that are no UTF-8"
    return data.decode("cp1252", "replace").encode(), "windows-1252"
