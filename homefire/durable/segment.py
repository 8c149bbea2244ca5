"""The bytes of a journal's files: a head, then records, each with its length, its checksum and what was safe before it.

    head    "HFJ1" | number of the first record u64 | chain before it, 32 bytes | crc32 of these u32
    record  length u32 | safe u32 | crc32 u32 | the bytes

The checksum goes over the record's number, length, `safe` and bytes, so that a record of another place or time does not pass.
`safe` is how many bytes of this file were on the disk for certain when the record was written. So a bad record can be told apart:
one after which a good record says "that was safe" was damaged later; any other was torn by a crash and had not been answered.

Promises: pure functions. `scan` never gives a record whose checksum is wrong.
Does not cover: files (`journal.py`). A flip in the very last group that was written looks like a tear.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_HEAD = struct.Struct("<4sQ32sI")
_RECORD = struct.Struct("<III")
_SUMMED = struct.Struct("<QII")
MAGIC = b"HFJ1"
HEAD_BYTES, RECORD_BYTES = _HEAD.size, _RECORD.size
MOST_BYTES = 16 * 2**20
START = b"\0" * 32


@dataclass(frozen=True, slots=True)
class Head:
    """What a file begins with."""

    first: int
    chain: bytes


def head_bytes(head: Head) -> bytes:
    """A head as it is written."""
    body = _HEAD.pack(MAGIC, head.first, head.chain, 0)[:-4]
    return body + struct.pack("<I", zlib.crc32(body))


def read_head(data: bytes) -> Head | None:
    """The head of a file, or None if it is not whole."""
    if len(data) < HEAD_BYTES:
        return None
    magic, first, chain, crc = _HEAD.unpack_from(data)
    return Head(first, chain) if magic == MAGIC and crc == zlib.crc32(data[: HEAD_BYTES - 4]) else None


def record_bytes(number: int, safe: int, record: bytes) -> bytes:
    """A record as it is written."""
    return _RECORD.pack(len(record), safe, _sum(number, safe, record)) + record


def next_chain(chain: bytes, record: bytes) -> bytes:
    """h_n = sha256(h_(n-1) + record)."""
    return hashlib.sha256(chain + record).digest()


def scan(data: bytes, number: int) -> Iterator[tuple[int, bytes]]:
    """(offset behind it, record) of each record, `number` being the first's, up to the first that is not whole."""
    offset = HEAD_BYTES
    while (found := _at(data, offset, number)) is not None:
        offset += RECORD_BYTES + len(found[1])
        number += 1
        yield offset, found[1]


def is_damage(data: bytes, bad: int, number: int) -> bool:
    """Whether what stands at `bad`, where record `number` should be, had been safe once: some record behind it says so.

    The numbers of later records are not known where a length is broken: each offset is tried with each number that fits."""
    for offset in range(bad + 1, len(data) - RECORD_BYTES + 1):
        length, safe, _ = _RECORD.unpack_from(data, offset)
        if bad < safe <= offset and offset + RECORD_BYTES + length <= len(data):
            most = number + 1 + (offset - bad) // RECORD_BYTES
            if any(_at(data, offset, each) is not None for each in range(number, most + 1)):
                return True
    return False


def _at(data: bytes, offset: int, number: int) -> tuple[int, bytes] | None:
    if offset + RECORD_BYTES > len(data):
        return None
    length, safe, crc = _RECORD.unpack_from(data, offset)
    record = data[offset + RECORD_BYTES : offset + RECORD_BYTES + length]
    if length > MOST_BYTES or len(record) < length or crc != _sum(number, safe, record):
        return None
    return safe, record


def _sum(number: int, safe: int, record: bytes) -> int:
    return zlib.crc32(record, zlib.crc32(_SUMMED.pack(number, len(record), safe)))
