"""The pipes to a server that is a program of this machine: the transport that the package's client is given.

    spawn in a group of its own -> lines of JSON both ways -> standard input closed -> SIGTERM -> SIGKILL, to the whole group

Promises: its environment is the one given and nothing else; a message larger than `LARGEST_MESSAGE`, or more than `MOST_NOISE`
lines that are no messages, ends it; what it prints to its error channel is read and only its end kept; when this is left, no
process of its group is there any more.
Does not cover: the protocol (the package), processes that leave the group, when it is started again (`session.py`). It is run as
the person who runs Homefire, with no walls around it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homefire.errors import McpFailed

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

LARGEST_MESSAGE = 16 * 2**20
MOST_NOISE = 100
# Messages that nobody asked for, since the last call: a server that only talks is ended.
MOST_UNASKED = 10_000
LAST_WORDS = 2_000
CLOSE_SECONDS = 1.0
TERM_SECONDS = 2.0
_PIECE = 64 * 1024
LEASH = Path(__file__).with_name("leash.py")


class Pipes:
    """One run of a program. `gone` is set when it can no longer answer, and `why` says what happened; `error` is the last that it
    printed to its error channel."""

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str], folder: Path) -> None:
        self._command = command
        self._environment = dict(environment)
        self._folder = folder
        self.gone = asyncio.Event()
        self.why = ""
        self.error = ""
        self.unasked = 0
        self.pid = 0
        self._noise = 0

    @asynccontextmanager
    async def transport(self) -> AsyncIterator[tuple[Any, Any]]:
        """Starts the program, gives the package's two streams, ends the program. Raises McpFailed if it cannot be started."""
        import anyio

        process = await self._spawn()
        self.pid = process.pid
        to_us, reading = anyio.create_memory_object_stream[Any](0)
        writing, from_us = anyio.create_memory_object_stream[Any](0)
        tasks = [
            asyncio.ensure_future(each)
            for each in (self._read(process, to_us), self._write(process, from_us), self._listen(process))
        ]
        try:
            yield reading, writing
        finally:
            self._end("It was ended.")
            try:
                await _stop(process)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                for stream in (to_us, reading, writing, from_us):
                    stream.close()

    async def _spawn(self) -> asyncio.subprocess.Process:
        leashed = sys.platform == "linux"
        argv = (sys.executable, "-I", str(LEASH), *self._command) if leashed else self._command
        flags: dict[str, Any] = {} if sys.platform == "win32" else {"start_new_session": True}
        try:
            return await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env=self._environment, cwd=self._folder, **flags,
            )  # fmt: skip
        except (OSError, ValueError) as problem:
            raise McpFailed(f"{self._command[0]} could not be started: {problem}.") from None

    def _end(self, why: str) -> None:
        if not self.gone.is_set():
            self.why = why
            self.gone.set()

    async def _read(self, process: asyncio.subprocess.Process, out: MemoryObjectSendStream[Any]) -> None:
        """Reads to the end, whatever comes: a program whose pipe is full could not even end."""
        assert process.stdout is not None
        pieces, size = list[bytes](), 0
        while piece := await process.stdout.read(_PIECE):
            *lines, rest = piece.split(b"\n")
            for line in lines if not self.gone.is_set() else ():
                await self._line(b"".join([*pieces, line]), out)
                pieces, size = [], 0
            pieces.append(rest)
            size += len(rest)
            if size > LARGEST_MESSAGE:
                self._end(f"It sent a message of more than {LARGEST_MESSAGE // 2**20} MiB.")
            if self.gone.is_set():
                out.close()  # what waits for an answer hears that none will come
                pieces, size = [], 0
        code = await process.wait()
        self._end(f"It ended with status {code}." if code >= 0 else f"It was ended by signal {-code}.")
        out.close()

    async def _line(self, line: bytes, out: MemoryObjectSendStream[Any]) -> None:
        if line.strip() and not self.gone.is_set():
            self._noise += not await self._deliver(line, out)
        self.unasked += 1
        if self._noise > MOST_NOISE or self.unasked > MOST_UNASKED:
            self._end("It sent a flood of lines that nobody asked for.")

    @staticmethod
    async def _deliver(line: bytes, out: MemoryObjectSendStream[Any]) -> bool:
        """Whether the line was a message."""
        import anyio
        from mcp.shared.message import SessionMessage
        from mcp_types import jsonrpc_message_adapter

        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            return False
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await out.send(SessionMessage(message))
        return True

    async def _write(self, process: asyncio.subprocess.Process, given: MemoryObjectReceiveStream[Any]) -> None:
        assert process.stdin is not None
        try:
            async for each in given:
                text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
                process.stdin.write(text.encode() + b"\n")
                await process.stdin.drain()
        except OSError:
            self._end("It takes nothing any more.")

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while piece := await process.stderr.read(_PIECE):
            self.error = (self.error + piece.decode("utf-8", "replace"))[-LAST_WORDS:]


async def _stop(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    ended = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait({ended}, timeout=CLOSE_SECONDS)
        if process.returncode is None:
            _signal(process, signal.SIGTERM)
            await asyncio.wait({ended}, timeout=TERM_SECONDS)
    finally:  # also what it started itself, and also when nobody has the time to wait
        _signal(process, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    await ended


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.terminate()
        else:
            os.killpg(process.pid, number)
