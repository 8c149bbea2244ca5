"""What a reading child and its parent say to each other: frames of msgpack over a socket pair, each after its length.

Promises: a frame is decoded into the type it must be or refused (`ValueError`); a file goes to the child as an open
descriptor beside its frame, so the child needs no way to any file.
Does not cover: when what is said (`reading.py`, `reader_child.py`).
"""

from __future__ import annotations

import socket
from typing import Generic, TypeVar

import msgspec

from homefire.knowledge.reader import MIB, Bounds, Signed

# Most bytes of one frame: a text of `PART` bytes, its pieces, its windows.
MOST = 64 * MIB


class Rules(msgspec.Struct, frozen=True):
    """What a child is told on its command line. `plain_only`: it has no walls, and reads what needs none."""

    channel: int
    bounds: Bounds
    memory_bytes: int
    cpu_seconds: int
    cpu_seconds_mib: float
    plain_only: bool = False


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """One file. `name` without its folders; the descriptor comes beside it."""

    number: int
    name: str


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The child stands. `fault`: it cannot read anything, and this is why."""

    fault: str = ""


class Part(msgspec.Struct, frozen=True, tag="part"):
    """One text of the file."""

    number: int
    text: Signed


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The end of a file. `code` "" when it was read."""

    number: int
    code: str
    message: str
    kind: str
    language: str
    digest: bytes


Answer = Ready | Part | Done
_T = TypeVar("_T")
_encoder = msgspec.msgpack.Encoder()
asks, answers = msgspec.msgpack.Decoder(Ask), msgspec.msgpack.Decoder(Answer)


def framed(value: msgspec.Struct) -> bytes:
    """One frame."""
    content = _encoder.encode(value)
    return len(content).to_bytes(4, "little") + content


class Frames(Generic[_T]):
    """Bytes as they come, back to values."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[_T]) -> None:
        self._decoder = decoder
        self._bytes = bytearray()

    def add(self, some: bytes) -> list[_T]:
        """What is complete now. Raises ValueError (a frame too long, or not what it must be)."""
        buffer = self._bytes
        buffer += some
        found, place = [], 0
        while len(buffer) - place >= 4:
            size = int.from_bytes(buffer[place : place + 4], "little")
            if size > MOST:
                raise ValueError(f"a frame of {size} bytes")
            if len(buffer) - place - 4 < size:
                break
            with memoryview(buffer) as view:
                found.append(self._decoder.decode(view[place + 4 : place + 4 + size]))
            place += 4 + size
        del buffer[:place]
        return found


def send_ask(channel: socket.socket, ask: Ask, descriptor: int) -> None:
    """Asks for a file. Raises OSError."""
    socket.send_fds(channel, [framed(ask)], [descriptor])
