"""A task of this room in a child process: the kernels end the process on what they do not like, and it must not be the daemon.

The child is `python -m MODULE JSON`. It writes JSON lines: {"progress": [done_bytes, total_bytes]} while it works, and at last
{"result": {...}} or {"error": {"code", "message", "next_step"}}.
Promises: one result or one error, whatever happens to the child; it ends with its parent, and when the waiting task is cancelled;
the file that grew beside the target is gone unless the task succeeded.
Does not cover: what the task is (`convert_child`, `quantize_child`), running two at once (the caller's queue).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections.abc import Callable
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
from homefire.supervision import lifeline
from homefire.supervision.record import INHERITED

LINE_LIMIT = 1 << 20
SAID = 2000
Progress = Callable[[int, int], None]


async def run(module: str, arguments: dict[str, Any], target: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Runs `module` with `arguments` (and "target", "beside") and returns its result; `progress(done, total)` counts bytes.

    Raises the HomefireError that the child names, or TaskDied. Call it on the main thread's loop: the child ends with the thread
    that spawned it.
    """
    beside = target.with_name(f"part-{secrets.token_hex(8)}")
    given = json.dumps({**arguments, "target": str(target), "beside": str(beside)})
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment["GGML_NO_BACKTRACE"] = "1"  # else an assertion of ggml's starts a debugger before the process ends
    flags: dict[str, Any] = {} if sys.platform == "win32" else {"start_new_session": True}
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, given, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env=environment, limit=LINE_LIMIT, **flags,
        )  # fmt: skip
    except OSError as problem:
        raise MachineError(f"A child process could not be started: {problem}.") from None
    said = asyncio.ensure_future(_tail(process.stderr))
    try:
        last = await _listen(process.stdout, progress)
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        text = await said
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    match last:
        case {"result": dict() as result} if code == 0:
            return result
        case {"error": dict() as error}:
            raise _named(error)
    lines = text.strip().splitlines()
    how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
    raise TaskDied(f"{module.rpartition('.')[2]} {how}.{' It last said: ' + lines[-1][:300] if lines else ''}")


async def _listen(stream: asyncio.StreamReader | None, progress: Progress | None) -> dict[str, Any]:
    assert stream is not None
    last: dict[str, Any] = {}
    while line := await stream.readline():
        with contextlib.suppress(ValueError):  # a line cut by the child's end
            word = json.loads(line)
            if "progress" not in word:
                last = word
            elif progress is not None:
                progress(*word["progress"])
    return last


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
