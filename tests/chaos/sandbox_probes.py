"""Attempts to leave the sandbox, as programs that run inside it: each says whether it got what it was after.

Run as a program (`python sandbox_probes.py TOLD [NAME...]`, standard library only) inside the walls, where every probe must
fail, and outside, where it must succeed: a probe that fails there shows nothing. `TOLD` is what the test laid out, as JSON.
Promises: each probe runs in a process of its own for at most 3 s; none harms the machine where it succeeds.
Does not cover: what takes more than its share (`test_sandbox_limits.py`).
"""

# The calls themselves are what is tried.
# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH116, PTH208, PTH211
from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

told: dict[str, Any] = {}
libc = ctypes.CDLL(None, use_errno=True)
ARM = os.uname().machine in ("aarch64", "arm64")
PROBES: dict[str, Callable[[], object]] = {}
# Who can try it: everybody; "plain" needs a process or file of the same user outside; "bubblewrap" is not promised by tier 2.
ONLY: dict[str, str] = {}
# Outside there is nothing to show: the control is a mutant of the walls (`sandbox_mutants.py`).
SHOWN_BY_A_MUTANT = {"share_a_session", "write_to_the_root", "write_beside_devices"}


def probe(only: str = "") -> Callable[[Callable[[], object]], Callable[[], object]]:
    def add(function: Callable[[], object]) -> Callable[[], object]:
        PROBES[function.__name__] = function
        if only:
            ONLY[function.__name__] = only
        return function

    return add


def call(on_x86: int, on_arm: int, *arguments: object) -> int:
    whole = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    found = libc.syscall(on_arm if ARM else on_x86, *whole)
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(found)


# -- files ---------------------------------------------------------------------------------------------------------------


@probe()
def read_a_file() -> object:
    return open(told["folder"] + "/secret").read() == "secret"


@probe()
def read_through_a_symlink() -> object:
    with contextlib.suppress(FileExistsError):
        os.symlink(told["folder"] + "/secret", "way")
    return open("way").read() == "secret"


@probe()
def read_through_a_hard_link() -> object:
    os.link(told["folder"] + "/open", "linked")
    return open("linked").read() != ""


@probe()
def read_through_proc_root() -> object:
    return open("/proc/self/root" + told["folder"] + "/secret").read() == "secret"


@probe()
def read_by_going_up() -> object:
    return open("../" * 30 + told["folder"] + "/secret").read() == "secret"


@probe()
def list_a_folder() -> object:
    return "secret" in os.listdir(told["folder"])


@probe()
def list_the_root() -> object:
    return "sys" in os.listdir("/")


@probe()
def read_the_users() -> object:
    return "root" in open("/etc/passwd").read()


@probe()
def read_sysfs() -> object:
    return os.listdir("/sys/kernel")


@probe()
def write_a_file() -> object:
    return open(told["folder"] + f"/new-{os.getpid()}", "w").write("x")


@probe()
def append_to_a_file() -> object:
    with open(told["folder"] + "/open", "a") as file:
        return file.write("x")


@probe()
def cut_a_file() -> object:
    os.truncate(told["folder"] + "/cut", 1)
    return True


@probe()
def cut_a_file_on_opening() -> object:
    os.close(os.open(told["folder"] + "/cut", os.O_WRONLY | os.O_TRUNC))
    return True


@probe()
def remove_a_file() -> object:
    os.unlink(told["folder"] + "/goes")
    return True


@probe()
def rename_a_file() -> object:
    os.rename(told["folder"] + "/moves", told["folder"] + "/moved")
    return True


@probe()
def move_a_file_in() -> object:
    os.rename(told["folder"] + "/moves-in", "moved-in")
    return True


@probe()
def make_a_folder() -> object:
    os.mkdir(told["folder"] + f"/folder-{os.getpid()}")
    return True


@probe()
def make_a_symlink() -> object:
    os.symlink("x", told["folder"] + f"/symlink-{os.getpid()}")
    return True


@probe()
def make_a_hard_link() -> object:
    open("mine", "w").write("x")
    os.link("mine", told["folder"] + f"/link-{os.getpid()}")
    return True


@probe()
def make_a_pipe() -> object:
    os.mkfifo(told["folder"] + f"/pipe-{os.getpid()}")
    return True


@probe()
def run_a_program() -> object:
    return subprocess.run([told["folder"] + "/program"], check=False).returncode == 0


@probe()
def watch_a_folder() -> object:
    return libc.inotify_add_watch(libc.inotify_init(), told["folder"].encode(), 0x100) >= 0


@probe("plain")
def change_a_mode() -> object:
    os.chmod(told["own"], 0o640)
    return True


@probe("plain")
def change_a_time() -> object:
    os.utime(told["own"], (1, 1))
    return True


@probe("plain")
def set_an_attribute() -> object:
    os.setxattr(told["own"], "user.probe", b"1")
    return True


@probe("bubblewrap")
def see_a_file() -> object:
    return os.stat(told["folder"] + "/secret").st_size


@probe()
def write_what_is_only_readable() -> object:
    return open(told["readable"] + f"/new-{os.getpid()}", "w").write("x")


# -- other processes -----------------------------------------------------------------------------------------------------


@probe()
def read_a_command_line() -> object:
    return b"sleep" in open(f"/proc/{told['pid']}/cmdline", "rb").read()


@probe("plain")
def read_an_environment() -> object:
    return open(f"/proc/{told['pid']}/environ", "rb").read()


@probe("plain")
def read_memory() -> object:
    return open(f"/proc/{told['pid']}/mem", "rb") is not None


@probe("plain")
def signal_a_process() -> object:
    os.kill(told["pid"], signal.SIGURG)
    return True


@probe("plain")
def queue_a_signal() -> object:
    fields = (ctypes.c_int * 32)(signal.SIGURG, 0, -1)
    return call(129, 138, told["pid"], int(signal.SIGURG), fields) == 0


@probe("plain")
def slow_a_process() -> object:
    os.setpriority(os.PRIO_PROCESS, told["pid"], 5)
    return True


@probe("plain")
def pin_a_process() -> object:
    os.sched_setaffinity(told["pid"], os.sched_getaffinity(0))
    return True


@probe("plain")
def limit_a_process() -> object:
    return resource.prlimit(told["pid"], resource.RLIMIT_CORE, (0, 0)) is not None


@probe("plain")
def hold_a_process() -> object:
    return os.pidfd_open(told["pid"]) >= 0


@probe()
def see_an_environment_word() -> object:
    return "HOMEFIRE_OUTSIDE_WORD" in os.environ


@probe()
def use_a_descriptor() -> object:
    return told["descriptors"]


@probe()
def gain_privileges() -> object:
    return libc.prctl(39, 0, 0, 0, 0) != 1


@probe("bubblewrap")
def learn_the_host_name() -> object:
    return socket.gethostname() == told["host"]


@probe("bubblewrap")
def see_shared_memory() -> object:
    return len(open("/proc/sysvipc/shm").readlines()) > 1


@probe("bubblewrap")
def share_a_session() -> object:
    return os.getsid(0) == 0


# -- network -------------------------------------------------------------------------------------------------------------


def talks(family: int, kind: int, address: Any) -> object:
    with socket.socket(family, kind) as trial:
        trial.settimeout(1)
        trial.connect(address)
        trial.send(b"hello")
        return trial.recv(16)


@probe()
def reach_tcp() -> object:
    return talks(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", told["tcp"]))


@probe()
def reach_udp() -> object:
    return talks(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", told["udp"]))


@probe()
def reach_tcp_on_every_address() -> object:
    return talks(socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", told["tcp"]))


@probe()
def reach_an_abstract_socket() -> object:
    return talks(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + told["name"])


@probe()
def reach_a_socket_file() -> object:
    return talks(socket.AF_UNIX, socket.SOCK_STREAM, told["folder"] + "/socket")


@probe()
def share_a_network() -> object:
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", told["tcp"]))
        except OSError as problem:
            return problem.errno == errno.EADDRINUSE
    return False


@probe()
def ask_the_kernel_for_routes() -> object:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)


@probe()
def use_a_rare_kind_of_socket() -> object:
    for family, kind in ((38, socket.SOCK_SEQPACKET), (40, socket.SOCK_STREAM), (44, socket.SOCK_RAW)):
        with contextlib.suppress(OSError):  # ciphers, virtual machines, XDP: one of them is in most kernels
            return socket.socket(family, kind, 0)
    return False


# -- the kernel's own doors ----------------------------------------------------------------------------------------------


@probe()
def ptrace() -> object:
    return call(101, 117, 0, 0, 0, 0) == 0


@probe()
def process_vm_readv() -> object:
    held = ctypes.create_string_buffer(8)
    pair = (ctypes.c_void_p * 2)(ctypes.addressof(held), 8)
    return call(310, 270, os.getpid(), pair, 1, pair, 1, 0)


@probe()
def keyctl() -> object:
    return call(250, 219, 0, -3, 1) != 0


@probe()
def add_key() -> object:
    return call(248, 217, b"user", b"probe", b"x", 1, -1)


@probe()
def io_uring_setup() -> object:
    return call(425, 425, 4, ctypes.create_string_buffer(256)) >= 0


@probe()
def unshare() -> object:
    return call(272, 97, 0x10000000) == 0


@probe()
def unshare_mounts() -> object:
    with contextlib.suppress(OSError):
        call(272, 97, 0x10000000 | 0x20000)
        return call(165, 40, b"none", b"/tmp", b"tmpfs", 0, None) == 0
    return False


@probe()
def clone() -> object:
    found = call(56, 220, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if found == 0:
        os._exit(0)
    return found


@probe()
def clone3() -> object:
    try:
        return call(435, 435, 0, 0)
    except OSError as problem:
        return problem.errno == errno.EINVAL  # it looked


@probe()
def memfd_create() -> object:
    return call(319, 279, b"x", 0) >= 0


@probe()
def shmget() -> object:
    found = call(29, 194, 0, 4096, 0o1600)
    call(31, 195, found, 0, 0)
    return True


@probe()
def msgget() -> object:
    found = call(68, 186, 0, 0o1600)
    call(71, 187, found, 0, 0)
    return True


@probe()
def semget() -> object:
    found = call(64, 190, 0, 1, 0o1600)
    call(66, 191, found, 0, 0)
    return True


@probe()
def personality() -> object:
    return call(135, 92, 0xFFFFFFFF) >= 0


@probe()
def name_to_handle_at() -> object:
    held = ctypes.create_string_buffer(256)
    held[0:1] = [b"\x80"]
    return call(303, 264, -100, b".", held, ctypes.byref(ctypes.c_int()), 0) == 0


@probe()
def kcmp() -> object:
    return call(312, 272, os.getpid(), os.getpid(), 0, 0, 0) >= 0


@probe()
def pidfd_getfd() -> object:
    try:
        return call(438, 438, -1, 0, 0)
    except OSError as problem:
        return problem.errno == errno.EBADF  # it looked


@probe()
def fanotify_init() -> object:
    return call(300, 262, 0x200, 0) >= 0


@probe()
def ioctl() -> object:
    try:
        return call(16, 29, 0, 0x5412, b"x")
    except OSError as problem:
        return problem.errno != errno.EPERM  # no terminal, but it looked


@probe()
def ioctl_with_high_bits() -> object:
    try:
        return call(16, 29, 0, ctypes.c_ulong(0x100005412), b"x")
    except OSError as problem:
        return problem.errno != errno.EPERM


@probe()
def old_32_bit_calls() -> object:
    """getpid by int 0x80, whose numbers the filter does not read; on aarch64 there is no such way: x32's stand-in is clone3."""
    if ARM:
        return clone3()
    area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    area.write(b"\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0


# -- what can be written and has no size ---------------------------------------------------------------------------------


@probe("bubblewrap")
def write_to_the_root() -> object:
    return open("/made", "w").write("x")


@probe("bubblewrap")
def write_beside_devices() -> object:
    return open("/dev/made", "w").write("x")


def fills(place: str, mebibytes: int) -> bool:
    with open(place, "wb") as file:
        try:
            for _ in range(mebibytes):
                file.write(b"x" * 2**20)
                file.flush()
        finally:
            os.unlink(place)
    return True


@probe("bubblewrap")
def fill_shared_memory() -> object:
    return fills("/dev/shm/made", 10)


def attempt(name: str) -> bool:
    """Whether a probe got what it was after; in a process of its own, which may die of it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(3)
        try:
            found = bool(PROBES[name]())
        except (OSError, ValueError, AttributeError):
            found = False
        os.write(write, b"1" if found else b"0")
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        answer = pipe.read(1)
    os.waitpid(child, 0)
    return answer == b"1"


def is_open(number: int) -> bool:
    with contextlib.suppress(OSError):
        return os.fstat(number) is not None
    return False


def main() -> None:
    told.update(json.loads(sys.argv[1]))
    told["descriptors"] = [number for number in range(3, 512) if is_open(number)]
    names = sys.argv[2:] or list(PROBES)
    print(json.dumps({name: attempt(name) for name in names}))


if __name__ == "__main__":
    main()
