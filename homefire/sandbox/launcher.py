"""The program between the daemon and a job: it puts the walls up around itself, then becomes the job (or bubblewrap).

Run as `python -I -S launcher.py DESCRIPTOR`, which holds the plan (`run.Plan.packed`, written by the same interpreter). The
order is what matters: join the cgroups, mount what the job may see where its user reaches it, become that user, tie the own
life to the daemon's, then limits, no new privileges, Landlock, the filter of calls, and exec with nothing open.
Promises: standard library only, on Linux; a step that fails ends it with a word on the status pipe, and the job never starts.
In tier 2 a guard stays behind, outside the walls: it adopts every process that the job leaves behind, and ends all when the
job or the daemon ends.
Does not cover: what the steps hold: plugs decide that.
"""

# Each start pays for what is imported here: json, re, typing, contextlib and signal would double its time.
# ruff: noqa: PTH112, PTH208, SIM105
from __future__ import annotations

import ctypes
import marshal
import os
import resource
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KILL, _STOP = 9, 19
_LIBC = ctypes.CDLL(None, use_errno=True)
_PDEATHSIG, _SECCOMP, _SUBREAPER, _NO_NEW_PRIVS = 1, 22, 36, 38
_NEW_MOUNTS, _BIND, _REC, _PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446


def main(given: str) -> None:
    """Carries a plan out; does not return."""
    with os.fdopen(int(given), "rb") as file:
        plan = marshal.loads(file.read())  # nosec B302 # written by the same interpreter, over its own descriptor
    try:
        _prepare(plan)
        argv = _arguments(plan["argv"], plan)
    except (OSError, ValueError, KeyError) as problem:
        text = str(problem).translate({34: 39, 92: 47})  # it stands in JSON's quotes
        os.write(plan["status"], f'{{"failed": "{text}"}}\n'.encode())
        os._exit(126)
    try:
        os.execve(argv[0], argv, plan["environment"])  # nosec B606 # no shell on purpose
    except OSError:
        os.write(2, f"{argv[0]}: cannot be run\n".encode())
        os._exit(127)  # as a shell has it


def _prepare(plan: dict[str, Any]) -> None:
    low = 3  # whoever started us may have left more open: uvloop does
    for descriptor in sorted((plan["status"], plan["line"])):
        os.closerange(low, descriptor)
        os.set_inheritable(descriptor, False)
        low = descriptor + 1
    os.closerange(low, 2**20)
    for place in plan["cgroups"]:
        with open(place, "wb", buffering=0) as file:
            file.write(b"0")
    if plan["staged"]:
        _stage(plan["staged"])
    if plan["uid"] is not None:
        os.setgroups([])
        os.setresgid(plan["uid"], plan["uid"], plan["uid"])
        os.setresuid(plan["uid"], plan["uid"], plan["uid"])
    os.chdir(plan["folder"])
    if plan["guard"]:
        _guard(plan)
    elif plan["tied"]:
        _call(_LIBC.prctl(_PDEATHSIG, _KILL, 0, 0, 0))
        if os.getppid() != plan["parent"]:  # it died before the line above
            os._exit(0)
    for name, value in plan["limits"].items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901
        resource.setrlimit(number, (value, value))
    _call(_LIBC.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    if plan["landlock"]:
        _landlock(**plan["landlock"])
    if plan["filter"]:
        _filter(plan["filter"])


# Mounts [what, where] in a view of files of our own, so that another user reaches `what` whatever its parents allow.
def _stage(places: list[list[str]]) -> None:
    _call(_LIBC.unshare(_NEW_MOUNTS))
    _call(_LIBC.mount(None, b"/", None, _REC | _PRIVATE, None))
    for what, where in places:
        _call(_LIBC.mount(os.fsencode(what), os.fsencode(where), None, _BIND | _REC, None))


# The arguments as text: bytes become a descriptor that holds them, a list one that holds arguments, apart from the command line,
# which every process may read; None is the status pipe, which bubblewrap closes before the job starts.
def _arguments(given: Any, plan: dict[str, Any]) -> list[str]:
    found = []
    for part in given:
        if isinstance(part, str):
            found.append(part)
        elif isinstance(part, bytes):
            found.append(_held(part))
        elif isinstance(part, list):
            found.append(_held(b"".join(os.fsencode(text) + b"\0" for text in _arguments(part, plan))))
        else:
            os.set_inheritable(plan["status"], True)
            found.append(str(plan["status"]))
    return found


def _held(content: bytes) -> str:
    descriptor = os.memfd_create("homefire", 0)  # stays open over exec; bubblewrap closes it
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return str(descriptor)


# `bits`: what is handled of files, of the network, of other processes, as this kernel knows it.
def _landlock(read: list[str], write: list[str], files: list[str], bits: list[int]) -> None:
    attributes = b"".join(bit.to_bytes(8, sys.byteorder) for bit in bits)
    ruleset = _call(_LIBC.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0))
    reading, both = 0b1101, 0b100000000000110 & bits[0]
    for places, rights in ((read, reading), (write, bits[0]), (files, both)):
        for place in places:
            descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
            allowed = rights if os.path.isdir(place) else rights & 0b1100000000000111
            rule = (allowed & bits[0]).to_bytes(8, sys.byteorder) + descriptor.to_bytes(4, sys.byteorder)
            _call(_LIBC.syscall(_LANDLOCK_ADD, ruleset, 1, rule, 0))
            os.close(descriptor)
    _call(_LIBC.syscall(_LANDLOCK_RESTRICT, ruleset, 0))
    os.close(ruleset)


def _filter(content: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]

    _call(_LIBC.prctl(_SECCOMP, 2, ctypes.byref(Program(len(content) // 8, content)), 0, 0))


# Forks: the child returns and becomes the job, the parent waits for it here and never returns.
def _guard(plan: dict[str, Any]) -> None:
    _call(_LIBC.prctl(_SUBREAPER, 1, 0, 0, 0))
    job = os.fork()
    if job == 0:
        return
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    watched = os.pidfd_open(job)
    ready, _, _ = select.select([watched, plan["line"]], [], [])
    status = "{}"
    if watched in ready:
        code = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
        status = f'{{"exit-code": {code}}}' if code >= 0 else f'{{"signal": {-code}}}'
    _end_all()
    os.write(plan["status"], status.encode() + b"\n")
    os._exit(0)


# Ends every process below this one. They are stopped first, so that none is born while others are being ended.
def _end_all() -> None:
    deadline = time.monotonic() + 5
    for number in (_STOP, _STOP, *[_KILL] * 1000):
        found = _below(os.getpid())
        for pid in found:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if time.monotonic() > deadline:
            return


def _below(ancestor: int) -> list[int]:
    found = [ancestor]
    for pid in found:
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                    found += map(int, file.read().split())
        except OSError:
            pass
    return found[1:]


def _call(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":
    main(sys.argv[1])
