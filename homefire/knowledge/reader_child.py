"""The child that reads: one document after the other, behind walls, with nothing in reach but the descriptor it is handed.

Run as `python -m homefire.knowledge.reader_child RULES` by `reading.Pool`. It holds a socket to its parent; each file comes
over it as an open descriptor, each text goes back as a frame.
Promises: its own memory, processor time for each file and writing (none) are limited by the kernel, which ends it; a document
that raises what a reader does not expect is `document_broken`, and the child goes on. It ends with its parent.
Does not cover: what its end means for the file it had (`reading.py`).
"""

from __future__ import annotations

import os
import resource
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator
from hashlib import blake2b

import msgspec

from homefire.knowledge.kinds import HEAD, PLAIN, kind_of
from homefire.knowledge.reader import MIB, PART, BadDocument, Signed, Source, Text
from homefire.knowledge.reader_wire import Ask, Done, Frames, Part, Ready, Rules, asks, framed
from homefire.knowledge.readers import reader_for
from homefire.supervision import lifeline

# A file's answer is sent when it has so many bytes, and at its end.
SEND = MIB


class Child:
    """One child's work."""

    def __init__(self, channel: socket.socket, rules: Rules, sign: Callable[[bytes], tuple[int, bytes]]) -> None:
        self._channel, self._rules, self._sign = channel, rules, sign

    def serve(self) -> None:
        """Until the parent closes the socket."""
        frames, descriptors = Frames(asks), deque[int]()
        while True:
            some, given, _, _ = socket.recv_fds(self._channel, 65536, 16)
            descriptors.extend(given)
            if not some:
                return
            for ask in frames.add(some):
                descriptor = descriptors.popleft()
                try:
                    self._answer(ask, descriptor)
                finally:
                    os.close(descriptor)

    def _answer(self, ask: Ask, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        _cap_processor(self._rules.cpu_seconds + int(size / MIB * self._rules.cpu_seconds_mib))
        waiting = bytearray()
        kind, language, digest, code, message = "", "", b"", "", ""
        try:
            small = os.pread(descriptor, size + 1, 0) if size <= PART else None
            kind, language = kind_of(ask.name, os.pread(descriptor, HEAD, 0) if small is None else small[:HEAD])
            source = Source(
                ask.name, kind, language, content=descriptor if small is None else small, bounds=self._rules.bounds
            )
            if self._rules.plain_only and kind not in PLAIN and kind not in ("binary", "image"):
                raise BadDocument("sandbox_unavailable")
            for text in self._texts(source):
                waiting += framed(Part(ask.number, self._signed(text)))
                if len(waiting) >= SEND:
                    self._channel.sendall(waiting)
                    waiting = bytearray()
            digest = _digest(source)
        except BadDocument as problem:
            code, message = problem.code, problem.message
        except MemoryError:
            waiting.clear()
            code, message = "document_too_large", "It takes more memory than one document may."
        except OSError as problem:
            code, message = "document_unreadable", problem.strerror or type(problem).__name__
        except ImportError as problem:
            code, message = "reader_missing", f"Install {problem.name} with: pip install 'homefire[knowledge]'"
        except Exception as problem:  # others' parsers raise what they like; it costs this file only
            code, message = "document_broken", f"{type(problem).__name__}: {str(problem)[:200]}"
        waiting += framed(Done(ask.number, code, message, kind, language, digest))
        self._channel.sendall(waiting)

    def _signed(self, text: Text) -> Signed:
        """The text with what tells it from others."""
        return Signed(text, blake2b(text.data, digest_size=32).digest(), *self._sign(text.data))

    def _texts(self, source: Source) -> Iterator[Text]:
        unpacked, most, count = 0, self._rules.bounds.unpacked_bytes, 0
        for text in reader_for(source.kind).read(source):
            unpacked, count = unpacked + len(text.data), count + 1
            if unpacked > most and source.kind not in PLAIN and source.size < unpacked:
                raise BadDocument("document_too_large", f"More than {most // MIB} MiB of text are in it.")
            yield text
        if not count:
            raise BadDocument("document_empty")


def _digest(source: Source) -> bytes:
    hashed, place = blake2b(digest_size=32), 0
    while some := source.at(place, MIB):
        hashed.update(some)
        place += len(some)
    return hashed.digest()


def _cap_processor(seconds: int) -> None:
    """From now on, so many seconds of processor time; then the kernel ends this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    wanted = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (wanted if most < 0 else min(wanted, most), most))


def main() -> None:
    """The program."""
    rules = msgspec.json.decode(sys.argv[1], type=Rules)
    lifeline.attach()
    resource.setrlimit(resource.RLIMIT_AS, (rules.memory_bytes, rules.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.setrecursionlimit(1500)
    with socket.socket(fileno=rules.channel) as channel:
        try:
            from homefire.index.signatures import signature
        except ImportError as problem:
            channel.sendall(
                framed(Ready(f"{problem.name} is missing. Install it with: pip install 'homefire[knowledge]'"))
            )
            return
        channel.sendall(framed(Ready()))
        Child(channel, rules, signature).serve()


if __name__ == "__main__":
    main()
