"""The self-test: walls tried from inside, at every start.

A job looks for what this file laid out for it: a file with a secret, a folder that anybody may write, a port, an abstract
socket, a word in the daemon's environment, an open descriptor. What it reaches is a wall that does not hold.
Promises: what is laid out can be reached without walls by any user (a test runs the same program outside); nothing of it stays.
Does not cover: what `tests/chaos/test_sandbox_probes.py` tries at length.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homefire.errors import HomefireError

if TYPE_CHECKING:
    from homefire.sandbox.sandbox import Sandbox

# Each line is a wall: True if it was passed. Run with what was laid out as JSON in its first argument.
PROGRAM = r"""
import ctypes, json, os, resource, socket, sys
told = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def passed(attempt):
    try:
        return bool(attempt())
    except (OSError, ValueError):
        return False
def connected(family, address):
    with socket.socket(family) as trial:
        trial.settimeout(2)
        trial.connect(address)
        return True
def written(place):
    with open(place, "w") as file:
        file.write("x")
    return True
walls = {
    "files_read": lambda: open(told["secret"]).read(),
    "files_written": lambda: written(told["folder"] + "/made"),
    "network": lambda: connected(socket.AF_INET, ("127.0.0.1", told["port"])),
    "abstract_socket": lambda: connected(socket.AF_UNIX, "\0" + told["name"]),
    "environment": lambda: told["word"] in os.environ,
    "descriptors": lambda: any(passed(lambda: os.fstat(n) is not None) for n in range(3, 256)),
    "calls": lambda: libc.syscall(told["keyctl"], 0, -3, 0) >= 0,
    "privileges": lambda: libc.prctl(39, 0, 0, 0, 0) != 1 or os.getuid() == 0,
    "memory_limit": lambda: resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY,
}
found = [name for name, attempt in walls.items() if passed(attempt)]
own = written("own") and open("own").read() == "x"
print(json.dumps({"passed": found, "own": own}))
"""


@contextlib.contextmanager
def laid_out() -> Iterator[dict[str, Any]]:
    """What the self-test looks for. It lasts as long as the block."""
    folder = Path(tempfile.mkdtemp(prefix="homefire-probe-"))
    name, word = f"homefire-{secrets.token_hex(8)}", "HOMEFIRE_PROBE_WORD"
    held, other = os.pipe()
    os.set_inheritable(held, True)
    os.environ[word] = "1"
    with socket.create_server(("127.0.0.1", 0)) as port, socket.socket(socket.AF_UNIX) as abstract:
        try:
            folder.chmod(0o777)
            (folder / "secret").write_text("secret", "ascii")
            (folder / "secret").chmod(0o644)
            abstract.bind("\0" + name)
            abstract.listen()
            keyctl = 219 if os.uname().machine in ("aarch64", "arm64") else 250
            yield {"secret": str(folder / "secret"), "folder": str(folder), "port": port.getsockname()[1], "name": name,
                   "word": word, "keyctl": keyctl}  # fmt: skip
        finally:
            os.environ.pop(word, None)
            os.close(held)
            os.close(other)
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()


async def inside(sandbox: Sandbox) -> tuple[str, ...]:
    """The walls of a sandbox that do not hold, by name; "start" if it does not run a program at all."""
    from homefire.sandbox.bubblewrap import python
    from homefire.sandbox.sandbox import Job

    if sys.platform != "linux":
        return ("start",)
    program, home = python(sandbox.facts().tier)
    with laid_out() as told:
        try:
            job = Job((program, "-I", "-S", "-c", PROGRAM, json.dumps(told)), readable=home)
            async with asyncio.timeout(30):
                outcome = await sandbox.run(job)
        except (HomefireError, OSError, TimeoutError):
            return ("start",)
    try:
        found = json.loads(outcome.stdout)
    except ValueError:
        return ("start",)
    return tuple(found["passed"]) if found["own"] is True else ("own_folder", *found["passed"])
