"""Runs the probes, or the mutants, or the hogs, as the user it is started as, and prints what happened as one JSON object.

`python sandbox_driver.py MODE TIER`. A program of its own because the same has to be seen as root and as a plain user.
Promises: what it lays out is gone when it ends. Does not cover: judging (`test_sandbox_probes.py`, `test_sandbox_limits.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import secrets
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from homefire.sandbox import seccomp
from homefire.sandbox.bubblewrap import Bubblewrap, python
from homefire.sandbox.cgroup import find_kind
from homefire.sandbox.landlock import Landlock
from homefire.sandbox.protect import Walls
from homefire.sandbox.run import Plan
from homefire.sandbox.sandbox import MIB, Job, Limits, Outcome
from tests.chaos import sandbox_hogs, sandbox_mutants, sandbox_probes

SOURCE = Path(sandbox_probes.__file__).read_text("utf-8")
PLAIN_UID = 1_899_999_999
Tier = type[Bubblewrap] | type[Landlock]
TIERS: dict[str, Tier] = {"bubblewrap": Bubblewrap, "landlock": Landlock}


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        if isinstance(self.request, tuple):
            self.request[1].sendto(b"heard", self.client_address)
        else:
            self.request.recv(16)
            self.request.sendall(b"heard")


class Abstract(socketserver.ThreadingUnixStreamServer):
    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


@contextlib.contextmanager
def laid_out() -> Iterator[dict[str, Any]]:
    """All that the probes are after."""
    libc = ctypes.CDLL(None)
    folder = Path(tempfile.mkdtemp(prefix="homefire-laid-out-"))
    readable = Path(tempfile.mkdtemp(prefix="homefire-readable-"))
    name = f"homefire-probes-{os.getpid()}"
    sleeper = subprocess.Popen(["sleep", "300"])
    segment = libc.shmget(0, 4096, 0o1666)
    inherited = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    os.environ["HOMEFIRE_OUTSIDE_WORD"] = "1"
    servers: list[socketserver.TCPServer] = [
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo),
        socketserver.ThreadingUDPServer(("127.0.0.1", 0), Echo),
        Abstract("\0" + name, Echo),
        socketserver.ThreadingUnixStreamServer(str(folder / "socket"), Echo),
    ]
    ports = [server.socket.getsockname()[1] for server in servers[:2]]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        folder.chmod(0o777)
        (folder / "socket").chmod(0o777)
        readable.chmod(0o777)
        yield {"folder": str(folder), "readable": str(readable), "own": str(folder / "own"), "name": name,
               "tcp": ports[0], "udp": ports[1], "pid": sleeper.pid,
               "host": socket.gethostname(), "inside": True}  # fmt: skip
    finally:
        sleeper.kill()
        sleeper.wait()
        libc.shmctl(segment, 0, None)
        os.close(inherited)
        for server in servers:
            server.shutdown()
            server.server_close()
        shutil.rmtree(folder)
        shutil.rmtree(readable)


def refresh(told: dict[str, Any]) -> None:
    """Puts back what a probe may have taken away."""
    for name in ("secret", "open", "cut", "goes", "moves", "moves-in", "own", "program"):
        place = Path(told["folder"], name)
        place.unlink(missing_ok=True)
        place.write_text("#!/bin/sh\n" if name == "program" else "secret", "ascii")
        place.chmod(0o777 if name == "program" else 0o644 if name == "secret" else 0o666)


async def tried(box: Bubblewrap | Landlock, told: dict[str, Any], names: list[str], **more: Any) -> dict[str, bool]:
    """What the probes got inside."""
    refresh(told)
    program, home = python(box.facts().tier)
    argv = (program, "-I", "-S", "-c", SOURCE, json.dumps(told), *names)
    limits = Limits(cpu_seconds=30, wall_seconds=60)
    outcome = await box.run(Job(argv, readable=(*home, Path(told["readable"])), limits=limits, **more))
    try:
        return dict(json.loads(outcome.stdout))
    except ValueError:
        raise RuntimeError(f"the probes did not end: {outcome}") from None


def tried_outside(told: dict[str, Any], names: list[str]) -> dict[str, bool]:
    """What they get without walls, as a plain user."""
    refresh(told)
    drop = ["setpriv", f"--reuid={PLAIN_UID}", f"--regid={PLAIN_UID}", "--clear-groups"] if os.geteuid() == 0 else []
    program = python(2)[0]
    command = [*drop, program, "-I", "-S", "-c", SOURCE, json.dumps(told | {"inside": False}), *names]
    place = Path(tempfile.mkdtemp(prefix="homefire-outside-", dir=Path(told["folder"]).parent))
    place.chmod(0o777)
    # The word, an open descriptor: what a program that is simply started gets.
    done = subprocess.run(command, cwd=place, capture_output=True, check=True, close_fds=False)
    shutil.rmtree(place)
    return dict(json.loads(done.stdout))


async def probes(tier: str) -> dict[str, Any]:
    box = TIERS[tier](find_kind())
    user = "root" if os.geteuid() == 0 else "plain"
    names = [name for name in sandbox_probes.PROBES if sandbox_probes.ONLY.get(name, "") in ("", tier, user)]
    with laid_out() as told:
        return {"facts": str(box.facts()), "broken": await box.check(), "inside": await tried(box, told, names),
                "outside": tried_outside(told, names)}  # fmt: skip


def mutated(tier: str, kind: str, change: Callable[[Plan], Plan], walls: bool) -> Bubblewrap | Landlock:
    """A plug whose plans are changed before they are carried out."""

    base: Any = TIERS[tier]

    class Mutated(base):  # type: ignore[misc]
        def render(self, job: Job, guarded: Walls, *rest: Any) -> Plan:
            return change(super().render(job, guarded if walls else Walls((), ()), *rest))

    box: Bubblewrap | Landlock = Mutated(kind)
    return box


async def mutants(tier: str) -> dict[str, Any]:
    """For each protection: what its probe gets with everything but it, and with everything."""
    kind, found = find_kind(), {}
    with laid_out() as told:
        for name, (change, names) in sandbox_mutants.of(tier, os.geteuid() == 0).items():
            got = await tried(mutated(tier, kind, change, True), told, names)
            found[name] = [probe for probe in names if got[probe]]
    return found


async def filters(tier: str) -> dict[str, Any]:
    """What the probes named like calls get when the filter lacks exactly those names. In tier 1 the number of name spaces is
    capped
    as well; that wall is taken away here."""
    number = 1 if tier == "bubblewrap" else 2
    names = [name for name in sandbox_probes.PROBES if name in (*seccomp.numbers(number), "clone", "clone3", "ioctl")]
    content = seccomp.program(number, without=frozenset(names))
    with laid_out() as told:
        return await tried(
            mutated(tier, find_kind(), lambda plan: sandbox_mutants.filtered(plan, content), True), told, names
        )


async def hogs(tier: str) -> dict[str, Any]:
    """Each hog under limits that it breaks, and under roomy ones."""
    box, found, some_at_once = TIERS[tier](find_kind()), {}, asyncio.Semaphore(6)
    program, home = python(box.facts().tier)

    async def one(name: str, hog: sandbox_hogs.Hog, limits: Limits) -> None:
        async with some_at_once:
            folder = None if hog.own_folder else Path(tempfile.mkdtemp(prefix="homefire-given-"))
            argv = (program, "-I", "-S", "-c", hog.source)
            try:
                found[name] = told_of(await box.run(Job(argv, folder, readable=home, limits=limits, protected=())))
            finally:
                if folder is not None:
                    shutil.rmtree(folder)

    # Without a cgroup the kernel bounds the processes of all that a user runs, from what that is when a job begins: hogs of it
    # run alone, for what the others start and end meanwhile would count.
    alone = [name for name in sandbox_hogs.HOGS if name in ("processes", "threads")]
    others = [each for each in sandbox_hogs.HOGS.items() if each[0] not in alone]
    roomy = [one(f"{name}, roomy", hog, sandbox_hogs.ROOM) for name, hog in others]
    await asyncio.gather(*roomy, *[one(name, hog, hog.tight) for name, hog in others])
    for name in alone:
        hog = sandbox_hogs.HOGS[name]
        await one(f"{name}, roomy", hog, sandbox_hogs.ROOM)
        await one(name, hog, hog.tight)
    limits = replace(sandbox_hogs.ROOM, disk_bytes=40 * MIB)
    await one("temporary", sandbox_hogs.Hog(sandbox_hogs.TEMPORARY, limits, ()), limits)
    token = mark()
    argv = (program, "-I", "-S", "-c", sandbox_hogs.LEFT_BEHIND, token)
    found["left behind"] = told_of(await box.run(Job(argv, readable=home))) | {"left": alive_with(token)}
    found["cancelled"] = await cancelled(box)
    return {"kind": find_kind(), "hogs": found}


async def cancelled(box: Bubblewrap | Landlock) -> dict[str, Any]:
    """A tree of processes, cancelled when it stands."""
    token = mark()
    program, home = python(box.facts().tier)
    job = Job((program, "-I", "-S", "-c", sandbox_hogs.TREE, token), readable=home, limits=sandbox_hogs.ROOM)
    running = asyncio.ensure_future(box.run(job))
    while alive_with(token) < 11:
        await asyncio.sleep(0.01)
        assert not running.done(), running.result()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return {"left": alive_with(token)}


async def tree(tier: str) -> dict[str, Any]:
    """A tree that stands until this program is killed from outside; `TIER-` leaves out what ends it with us."""
    box: Bubblewrap | Landlock = TIERS[tier.rstrip("-")](find_kind())
    if tier.endswith("-"):
        change = sandbox_mutants.untied(tier == "bubblewrap-")
        box = mutated(tier.rstrip("-"), find_kind(), change, True)
    program, home = python(box.facts().tier)
    job = Job((program, "-I", "-S", "-c", sandbox_hogs.TREE, sys.argv[3]), readable=home, limits=sandbox_hogs.ROOM)
    return told_of(await box.run(job))


def mark() -> str:
    """An argument of sleep that no other process has."""
    return f"{400 + secrets.randbelow(500)}.{secrets.randbelow(10**12):012}"


def alive_with(token: str) -> int:
    """How many processes have it in their command line."""
    found = 0
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += token.encode() in place.read_bytes() and int(place.parent.name) != os.getpid()
    return found


def told_of(outcome: Outcome) -> dict[str, Any]:
    return {"exit": outcome.exit_code, "signal": outcome.signal, "ended_by": outcome.ended_by, "peak": outcome.peak_memory_bytes,
            "stdout": len(outcome.stdout), "cut": outcome.stdout_truncated or outcome.stderr_truncated,
            "stderr": outcome.stderr[-400:].decode("utf-8", "replace"), "seconds": outcome.seconds}  # fmt: skip


if __name__ == "__main__":
    modes = {"probes": probes, "mutants": mutants, "filters": filters, "hogs": hogs, "tree": tree}
    print(json.dumps(asyncio.run(modes[sys.argv[1]](sys.argv[2]))))
