"""The filter of system calls, as a program that the Linux kernel runs before each call (classic BPF), for x86-64 and aarch64.

A list of what is refused: what reaches other processes, the kernel's own doors, and kinds of memory that no limit counts. A
job that asks for one of them gets an error, not a signal, so that programs that merely try go on.
Promises: pure; the same bytes each time; calls of another architecture or of x32 never pass; arguments are compared in the
width in which the kernel reads them.
Does not cover: faults in calls that are allowed; paths (bubblewrap and Landlock see to those).
"""

from __future__ import annotations

import errno
import platform
import struct
import tomllib
from functools import cache
from pathlib import Path

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "arm64": (1, 0xC00000B7)}

_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_UNIX, _INET, _INET6 = 1, 2, 10
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # typing into the terminal of whoever started us
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16


def numbers(tier: int, machine: str = "") -> dict[str, int]:
    """The refused calls by name, with their numbers, for this machine or another. KeyError where we know no numbers."""
    column = MACHINES[machine or platform.machine()][0]
    return _read("refused", column) | (_read("refused_where_shared", column) if tier == 2 else {})


def program(tier: int, machine: str = "", without: frozenset[str] = frozenset()) -> bytes:
    """The filter, 8 bytes an instruction. `without`: names left out, for tests that show what each is there for."""
    machine = machine or platform.machine()
    column, architecture = MACHINES[machine]
    watched = _read("looked_at", column)
    lines = [_at(_LOAD, _ARCHITECTURE), _at(_EQUAL, architecture, 1, 0), _at(_RETURN, _KILL), _at(_LOAD, _NUMBER)]
    if column == 0:
        lines += [_at(_AT_LEAST, 0x40000000, 0, 1), _refuse(errno.ENOSYS)]  # x32, which has numbers of its own
    for name, block in _blocks(tier).items():
        if name not in without:
            lines += [_at(_EQUAL, watched[name], 0, len(block)), *block]
    for name, number in numbers(tier, machine).items():
        if name not in without:
            lines += [_at(_EQUAL, number, 0, 1), _refuse(errno.EPERM)]
    return b"".join([*lines, _at(_RETURN, _ALLOW)])


# What is looked at beyond its number. Each block ends with a verdict.
def _blocks(tier: int) -> dict[str, list[bytes]]:
    allow, families = _at(_RETURN, _ALLOW), () if tier == 2 else (_UNIX, _INET, _INET6)
    blocks = {
        "clone": [_argument(0), _at(_ANY_BIT, _NEW_NAMESPACES, 0, 1), _refuse(errno.EPERM), allow],
        "clone3": [_refuse(errno.ENOSYS)],  # its flags lie in memory, where a filter cannot look: programs fall back to clone
        "socket": [_argument(0), *(line for f in families for line in (_at(_EQUAL, f, 0, 1), allow)),
                   _refuse(errno.EAFNOSUPPORT)],
        "ioctl": [_argument(1), *(line for request in (_TIOCSTI, _TIOCLINUX)
                  for line in (_at(_EQUAL, request, 0, 1), _refuse(errno.EPERM))), allow],
    }  # fmt: skip
    if tier == 2:  # its own limits only: 0 stands for itself
        blocks["prlimit64"] = [_argument(0), _at(_EQUAL, 0, 0, 1), allow, _refuse(errno.EPERM)]
    return blocks


@cache
def _calls() -> dict[str, dict[str, list[int]]]:
    return tomllib.loads(Path(__file__).with_name("calls.toml").read_text("ascii"))


def _read(table: str, column: int) -> dict[str, int]:
    return {name: pair[column] for name, pair in _calls()[table].items() if pair[column] >= 0}


def _at(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _argument(index: int) -> bytes:
    return _at(_LOAD, _ARGUMENTS + 8 * index)  # the lower half: both machines are little-endian


def _refuse(number: int) -> bytes:
    return _at(_RETURN, _ERRNO | number)
