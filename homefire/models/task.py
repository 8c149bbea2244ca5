"""A task of this room in a child process: the kernels end the process on what they do not like, and it must not be the daemon.

The child is `python -m MODULE JSON`. It writes JSON lines: {"progress": [done_bytes, total_bytes]} while it works, and at last
{"result": {...}} or {"error": {"code", "message", "next_step"}}.
Promises: one result or one error, whatever happens to the child; it ends with its parent, and when the waiting task is cancelled;
the file that grew beside the target is gone unless the task succeeded. Behind the sandbox's walls (`readable`) the child sees its
input, which it cannot change, and one folder to write (`growing`), and all else is the same.
Does not cover: what the task is (`convert_child`, `quantize_child`), running two at once (the caller's queue).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from homefire.errors import (
    BadModelFile,
    HomefireError,
    InvalidRequest,
    MachineError,
    TaskDied,
    leaves,
)
from homefire.sandbox.growing import Growing
from homefire.sandbox.wrap import confined
from homefire.supervision import lifeline
from homefire.supervision.record import INHERITED, exit_code

LINE_LIMIT = 1 << 20
SAID = 2000
Progress = Callable[[int, int], None]


async def run(
    module: str,
    arguments: dict[str, Any],
    target: Path | None,
    progress: Progress | None = None,
    *,
    readable: Sequence[Path] | None = None,
) -> dict[str, Any]:
    """Runs `module` with `arguments` (and "target", "beside") and returns its result; `progress(done, total)` counts bytes.
    `target` None: it makes no file. `readable`: it runs behind walls and sees these files alone (None: without walls).

    Raises the HomefireError that the child names, or TaskDied. Call it on the main thread's loop: the child ends with the thread
    that spawned it.
    """
    growing = Growing(target, readable is not None)
    try:
        given = json.dumps({**arguments, **growing.places()})
        process = await _spawn((sys.executable, "-m", module, given), growing.box, readable)
        said = asyncio.ensure_future(_tail(process.stderr))
        try:
            last = await _listen(process.stdout, progress)
            code = exit_code(await process.wait())
        finally:
            if process.returncode is None:
                _kill(process)
                await process.wait()
            text = await said  # its end is the end of the last process that could still write
        match last:
            case {"result": dict() as result} if code == 0:
                await growing.take()
                return result
            case {"error": dict() as error}:
                raise _named({**error, "message": growing.told(str(error.get("message")))})
    finally:
        growing.clear()
    lines = text.strip().splitlines()
    how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
    raise TaskDied(f"{module.rpartition('.')[2]} {how}.{' It last said: ' + lines[-1][:300] if lines else ''}")


async def _spawn(
    argv: tuple[str, ...], box: Path | None, readable: Sequence[Path] | None
) -> asyncio.subprocess.Process:
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment["GGML_NO_BACKTRACE"] = "1"  # else an assertion of ggml's starts a debugger before the process ends
    flags: dict[str, Any] = {} if sys.platform == "win32" else {"start_new_session": True}
    with contextlib.ExitStack() as block:
        try:
            if readable is not None:
                argv, more = block.enter_context(confined(argv, readable, (box,) if box is not None else ()))
                flags |= more
            return await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE, env=environment, limit=LINE_LIMIT, **flags,
            )  # fmt: skip
        except OSError as problem:
            raise MachineError(f"A child process could not be started: {problem}.") from None


def _kill(process: asyncio.subprocess.Process) -> None:
    """All of its session. Bubblewrap that dies while it starts may leave a process that only the end of its input reaches."""
    assert process.stdin is not None
    process.stdin.close()
    if sys.platform == "win32":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def _listen(stream: asyncio.StreamReader | None, progress: Progress | None) -> dict[str, Any]:
    assert stream is not None
    last: dict[str, Any] = {}
    while line := await _line(stream):
        word: Any = None
        with contextlib.suppress(ValueError, RecursionError):  # a line cut by the child's end, or nonsense
            word = json.loads(line)
        match word:
            case {"progress": [int(done), int(total)]}:
                if progress is not None:
                    progress(done, total)
            case {"result": _} | {"error": _}:
                last = word
    return last


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than any word of ours
        return b"\n"


async def _tail(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    kept = b""
    while piece := await stream.read(4096):
        kept = (kept + piece)[-SAID:]
    return kept.decode("utf-8", "replace")


def _named(error: dict[str, Any]) -> HomefireError:
    known = {leaf.code: leaf for leaf in leaves()}
    leaf = known.get(str(error.get("code")), TaskDied)
    return leaf(str(error.get("message")), str(error.get("next_step") or ""), param=error.get("param"))


class Teller:
    """The child's side of the channel."""

    def __init__(self) -> None:
        self._channel = os.dup(1)
        lifeline.attach()  # ends this process with its parent, and keeps native code's printing away from the channel

    def say(self, **word: Any) -> None:
        """One line to the parent."""
        os.write(self._channel, json.dumps(word).encode() + b"\n")


def child(work: Callable[[dict[str, Any], Progress], dict[str, Any]]) -> None:
    """The main function of a child: runs `work(arguments, progress)` and tells its result or its error."""
    teller = Teller()
    os.umask(0o077)
    told = [-1]

    def progress(done: int, total: int) -> None:
        step = 100 * done // max(total, 1)
        if step != told[0]:
            told[0] = step
            teller.say(progress=[done, total])

    try:
        teller.say(result=work(json.loads(sys.argv[1]), progress))
    except HomefireError as problem:
        teller.say(error={"code": problem.code, "message": problem.message, "next_step": problem.next_step,
                          "param": problem.param})  # fmt: skip
        sys.exit(1)
    except MemoryError:
        teller.say(error={"code": MachineError.code, "message": "The memory does not suffice for this model."})
        sys.exit(1)


def input_error(problem: OSError, path: Path) -> HomefireError:
    """What a failure to read the source means."""
    return InvalidRequest(f"{path} cannot be read: {problem.strerror}.", param="source")


def not_finite(name: str) -> HomefireError:
    """A tensor that came out with infinities or NaN."""
    return BadModelFile(f"'{name}' holds values that are not numbers, or that the new type cannot hold.")
