"""Programs that take more than their share, each with limits that it breaks and limits under which it ends well.

Promises: under `ROOM` each ends with 0 and no limit named, so what the tight limits show comes from them. Sources are Python, run
inside. Does not cover: judging (`test_sandbox_limits.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from homefire.sandbox.sandbox import MIB, Limits

ROOM = Limits(2048 * MIB, 200, 30, 30.0, 8 * MIB, 256 * MIB, 64 * MIB, 1000)
START = """
import mmap, os, resource, subprocess, sys, threading, time
held = []
def child(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid
def wait(pids):
    for pid in pids:
        if os.waitpid(pid, 0)[1]:
            sys.exit(1)
def grow(count, pause):
    for _ in range(count):
        held.append(bytearray(b"x") * 2**20)
        time.sleep(pause)
def burn(seconds):
    while time.process_time() < seconds:
        pass
def fill(place, count):
    for n in range(count):
        with open(place + f"/file-{n}", "wb") as file:
            file.write(b"x" * 2**20)
        time.sleep(0.01)
"""
SHARED = """
area = mmap.mmap(-1, 120 * 2**20)
for n in range(120):
    area[n * 2**20:(n + 1) * 2**20] = b"x" * 2**20
    time.sleep(0.01)
"""
THREADS = """
for _ in range(40):
    threading.Thread(target=time.sleep, args=(0.5,)).start()
"""
ONE_AFTER_THE_OTHER = """
for _ in range(4):
    wait([child(lambda: burn(0.4))])
"""
TALK = """
for _ in range(3000):
    sys.{0}.write("x" * 2**14)
"""


@dataclass(frozen=True)
class Hog:
    """`ends` are the limits that may be named when it breaks its own ("" means: it failed by itself, with the error `says`)."""

    source: str
    tight: Limits
    ends: tuple[str, ...]
    says: str = ""
    own_folder: bool = True


def _hog(source: str, ends: tuple[str, ...], says: str = "", own_folder: bool = True, **tight: Any) -> Hog:
    return Hog(START + source, replace(ROOM, **tight), ends, says, own_folder)


HOGS: dict[str, Hog] = {
    "memory of many": _hog(
        "wait([child(lambda: grow(40, 0.02)) for _ in range(6)])", ("memory",), memory_bytes=150 * MIB
    ),
    "memory of one": _hog("grow(150, 0.005)", ("memory", ""), "MemoryError", memory_bytes=64 * MIB),
    "memory that is shared": _hog(SHARED, ("memory",), memory_bytes=80 * MIB),
    # A cgroup tells that it refused; the kernel's limit of a user does not.
    "processes": _hog(
        "wait([child(lambda: time.sleep(0.5)) for _ in range(40)])", ("processes", ""), "BlockingIOError", processes=20
    ),
    "threads": _hog(THREADS, ("processes", ""), "can't start new thread", processes=20),
    "processors of one": _hog("burn(1.3)", ("cpu",), cpu_seconds=1),
    "processors of many": _hog("wait([child(lambda: burn(0.4)) for _ in range(4)])", ("cpu",), cpu_seconds=1),
    "processors, one child after the other": _hog(ONE_AFTER_THE_OTHER, ("cpu",), cpu_seconds=1),
    "time": _hog("time.sleep(1.5)", ("wall",), wall_seconds=0.6),
    "output": _hog(TALK.format("stdout"), ("output",), output_bytes=65536),
    "errors": _hog(TALK.format("stderr"), ("output",), output_bytes=65536),
    "its folder": _hog("fill('.', 40)", ("disk", ""), "No space left", disk_bytes=10 * MIB),
    "a folder that is given": _hog("fill('.', 60)", ("disk",), own_folder=False, disk_bytes=10 * MIB),
    "one file": _hog("open('file', 'wb').write(b'x' * 3 * 2**20)", ("disk", ""), "File too large", file_bytes=2 * MIB),
    "open files": _hog("held = [open('/dev/null') for _ in range(300)]", ("",), "Too many open files", open_files=64),
    "a core": _hog("sys.exit(0 if resource.getrlimit(resource.RLIMIT_CORE) == (0, 0) else 1)", ("",)),
}
# What fills TMPDIR: its size is no limit of the job's in tier 1 (32 MiB), and counts as disk in tier 2.
TEMPORARY = START + "fill(os.environ['TMPDIR'], 60)"
# Grandchildren that leave their session and their parent: one says nothing any more, one keeps the output open.
LEFT_BEHIND = """
import os, subprocess, sys, time
for keep in (False, True):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if not keep:
                nowhere = os.open("/dev/null", os.O_RDWR)
                os.dup2(nowhere, 1)
                os.dup2(nowhere, 2)
            os.execvp("sleep", ["sleep", sys.argv[1]])
        os._exit(0)
    os.wait()
print("left", flush=True)
"""
# The same, and then it stays itself.
TREE = (
    LEFT_BEHIND
    + """
for _ in range(8):
    subprocess.Popen(["sleep", sys.argv[1]])
time.sleep(300)
"""
)
