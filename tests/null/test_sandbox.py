"""The sandbox without a process: values, the filter of calls, plans, adapters, cgroups, the choice.

Promises: the filter is run instruction by instruction, as the kernel would, for every call it names and for both machines.
Does not cover: whether walls hold (`tests/chaos/test_sandbox_probes.py`).
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import InvalidRequest, SandboxUnavailable
from homefire.sandbox import adapters, cgroup, choose, seccomp, wasm
from homefire.sandbox.bubblewrap import Bubblewrap
from homefire.sandbox.null import Grant, Refuse
from homefire.sandbox.sandbox import MIB, Facts, Job, Limits, Outcome, Sandbox
from homefire.settings import Settings

ALLOW, KILL = 0x7FFF0000, 0x80000000
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
BOTH = [(tier, machine) for tier in (1, 2) for machine in ARCHITECTURES]


def judge(code: bytes, number: int, architecture: int, arguments: tuple[int, ...] = ()) -> int:
    """What the kernel's machine for these programs answers: 0 for allowed, an errno, or -1 for killed."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, *(*arguments, *[0] * (6 - len(arguments))))
    at, held = 0, 0
    while True:
        kind, yes, no, value = struct.unpack_from("=HBBI", code, 8 * at)
        at += 1
        if kind == 0x20:
            held = struct.unpack_from("<I", data, value)[0]
        elif kind == 0x06:
            return 0 if value == ALLOW else -1 if value == KILL else value & 0xFFFF
        else:
            passed = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[kind]
            at += yes if passed else no


@pytest.mark.parametrize(("tier", "machine"), BOTH)
def test_every_refused_call_is_refused_by_its_own_line(tier: int, machine: str) -> None:
    code, architecture = seccomp.program(tier, machine), ARCHITECTURES[machine]
    refused = seccomp.numbers(tier, machine)
    for name, number in refused.items():
        assert judge(code, number, architecture) == errno.EPERM, name
        assert judge(seccomp.program(tier, machine, frozenset({name})), number, architecture) == 0, name
    watched = {number for number in range(500) if judge(code, number, architecture)}
    assert watched >= set(refused.values())
    assert len(watched - set(refused.values())) <= 3, "nothing else is refused without looking at arguments"


@pytest.mark.parametrize(("tier", "machine"), BOTH)
def test_arguments(tier: int, machine: str) -> None:
    code, architecture = seccomp.program(tier, machine), ARCHITECTURES[machine]
    call = {"x86_64": (56, 435, 41, 16, 302), "aarch64": (220, 435, 198, 29, 261)}[machine]
    clone, clone3, socket, ioctl, prlimit = call

    def of(number: int, *arguments: int) -> int:
        return judge(code, number, architecture, arguments)

    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert of(clone, flag | 17) == errno.EPERM
    assert of(clone, 17) == of(clone, 0x3D0F00) == 0, "fork, and a thread"
    assert of(clone3) == errno.ENOSYS
    for family in range(50):
        allowed = tier == 1 and family in (1, 2, 10)
        assert of(socket, family) == (0 if allowed else errno.EAFNOSUPPORT)
    for request in (0x5412, 0x541C, 0x100005412, 0xFFFFFFFF0000541C):
        assert of(ioctl, 0, request) == errno.EPERM, "the kernel reads 32 bits of it"
    assert of(ioctl, 0, 0x5401) == 0
    assert of(prlimit, 0) == 0
    assert of(prlimit, 77) == (errno.EPERM if tier == 2 else 0)


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_calls_of_other_machines_do_not_pass(machine: str) -> None:
    code = seccomp.program(1, machine)
    for other in (0x40000003, 0x40000028, *(a for m, a in ARCHITECTURES.items() if m != machine)):
        assert judge(code, 1, other) == -1
    assert judge(code, 0x40000001, ARCHITECTURES[machine]) == (errno.ENOSYS if machine == "x86_64" else 0)


@pytest.mark.parametrize(
    ("machine", "header"),
    [("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "/usr/include/asm-generic/unistd.h")],
)
def test_numbers_are_the_kernels(machine: str, header: str) -> None:
    """Against the headers, where the machine has them; the three calls that are newer than Debian 12's are left out."""
    if not Path(header).exists():
        pytest.skip(f"{header} is not installed (linux-libc-dev)")
    rows = re.findall(r"#define\s+__NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text("utf-8"))
    known = {name: int(number) for name, number in rows}
    wrong = {name: number for name, number in seccomp.numbers(2, machine).items() if known.get(name, number) != number}
    assert wrong == {}
    assert set(seccomp.numbers(2, machine)) - set(known) <= {"fchmodat2", "setxattrat", "removexattrat"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("memory_bytes", 0), ("memory_bytes", 2**60), ("processes", 0), ("cpu_seconds", 0), ("wall_seconds", 0),
     ("wall_seconds", float("nan")),
     ("output_bytes", -1), ("disk_bytes", 0), ("file_bytes", 0), ("open_files", 3), ("processes", True), ("processes", "9")],
)  # fmt: skip
def test_limits_that_are_none(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Limits(**{name: value})
    assert caught.value.param == name


def test_limits_of_the_settings() -> None:
    assert Limits.of(Settings()) == Limits()
    found = Limits.of(Settings(sandbox_memory_mib=512, sandbox_output_kib=8, sandbox_wall_seconds=3))
    assert (found.memory_bytes, found.output_bytes, found.wall_seconds) == (512 * MIB, 8192, 3)


BAD_JOBS: list[tuple[str, dict[str, Any]]] = [
    ("argv", {"argv": ()}), ("argv", {"argv": ("",)}), ("argv", {"argv": ("a\0b",)}),
    ("files", {"files": {"../x": b""}}), ("files", {"files": {"a/b": b""}}), ("files", {"files": {"": b""}}),
    ("files", {"files": {".x": b""}}),
    ("files", {"files": {f"f{n}": b"" for n in range(65)}}), ("files", {"files": {"f": b"x" * (8 * MIB + 1)}}),
    ("files", {"files": {"f": b""}, "folder": Path("/tmp/x")}),
    ("environment", {"environment": {"LD_PRELOAD": "x"}}), ("environment", {"environment": {"PYTHONPATH": "x"}}),
    ("environment", {"environment": {"BASH_ENV": "x"}}), ("environment", {"environment": {"A=B": "x"}}),
    ("environment", {"environment": {"A": "\0"}}),
    ("hosts", {"hosts": ("example.org",)}), ("hosts", {"hosts": ("http://example.org:80",)}), ("hosts", {"hosts": ("a b:80",)}),
    ("protected", {"protected": ("../x",)}), ("protected", {"protected": ("a//b",)}), ("protected", {"protected": ("/etc",)}),
    ("protected", {"protected": ("a/../../b",)}),
    ("folder", {"folder": Path("relative")}), ("folder", {"folder": Path("/")}), ("folder", {"folder": Path("/a/../b")}),
    ("folder", {"readable": (Path("relative"),)}), ("folder", {"readable": (Path("/"),)}),
]  # fmt: skip


@pytest.mark.parametrize(("param", "fields"), BAD_JOBS)
def test_jobs_that_are_refused(param: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Job(**{"argv": ("true",), **fields})
    assert caught.value.param == param


JOB = Job(("/usr/bin/python3", "x.py"), readable=(Path("/opt/data"),))


def test_firejail_is_given_every_limit() -> None:
    argv = adapters.firejail(JOB, Path("/run/job"))
    wanted = {"--private=/run/job", "--net=none", "--caps.drop=all", "--nonewprivs", "--seccomp", "--read-only=/opt/data",
              f"--rlimit-as={512 * MIB}", "--rlimit-cpu=5", f"--rlimit-fsize={16 * MIB}", "--rlimit-nofile=256",
              "--rlimit-nproc=64"}  # fmt: skip
    assert wanted <= set(argv)
    assert argv[argv.index("--") + 1 :] == list(JOB.argv)


def test_the_profile_of_macos_denies_first_and_opens_two_places() -> None:
    argv = adapters.seatbelt(JOB, Path("/private/job"))
    profile = argv[argv.index("-p") + 1]
    assert profile.startswith("(version 1) (deny default)")
    assert re.findall(r"\(allow file-read\* file-write\* (.*)\)", profile) == ['(subpath "/private/job")']
    assert "network" not in profile
    assert argv[-2:] == list(JOB.argv)
    for bad in ('/a"b', "/a\\b", "/a\nb"):
        with pytest.raises(SandboxUnavailable):
            adapters.seatbelt(JOB, Path(bad))


def test_structures_of_windows_have_their_sizes() -> None:
    assert (ctypes.sizeof(adapters.BasicLimits), ctypes.sizeof(adapters.ExtendedLimits)) == (64, 144)
    assert adapters.ExtendedLimits.job_memory.offset == 120
    assert (adapters.BasicLimits.flags.offset, adapters.BasicLimits.processes.offset) == (16, 40)
    found = adapters.job_object(Limits())
    assert (found.basic.job_time, found.basic.processes, found.job_memory) == (50_000_000, 64, 256 * MIB)
    assert found.basic.flags & 0x2000, "the tree ends when the handle is closed"


@pytest.mark.parametrize("name", ["firejail", "seatbelt"])
def test_adapters_say_that_they_were_never_run(name: str) -> None:
    adapter: Sandbox = adapters.Adapter(name)
    assert not adapter.facts().tried
    assert asyncio.run(adapter.check()) == ("start",)
    with pytest.raises(SandboxUnavailable):
        asyncio.run(adapter.run(JOB))
    with pytest.raises(SandboxUnavailable):
        asyncio.run(adapters.run_in_job_object(JOB, Path("/tmp")))


FIB = b"""(module (func (export "fib") (param i32) (result i32)
  local.get 0 i32.const 2 i32.lt_s if (result i32) local.get 0 else
  local.get 0 i32.const 1 i32.sub call 0 local.get 0 i32.const 2 i32.sub call 0 i32.add end))"""


def test_a_pure_function() -> None:
    assert wasm.call(FIB, "fib", (20,)) == 6765


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [(FIB, "fib", (40,)), (FIB, "fob", (1,)), (FIB, "fib", ()), (FIB, "fib", (2**40,)), (b"junk", "f", ()), (b"\0asm",
     "f", ()), (b"\xff", "f", ()),
     (b'(module (import "a" "b" (func)))', "f", ()), (b'(module (memory (export "f") 1000))', "f", ()),
     (b"x" * (4 * MIB + 1), "f", ()),
     (b'(module (memory (export "f") 1))', "f", ()), (b'(module (func (export "f") unreachable))', "f", ()),
     (b'(module (func (export "f")))', "f", ()),
     (b'(module (func (export "f") (loop (br 0))))', "f", ()), (b'(module (func $f (export "f") (call $f)))', "f", ())],
)  # fmt: skip
def test_functions_that_are_refused_or_stopped(module: bytes, name: str, arguments: tuple[int, ...]) -> None:
    with pytest.raises(InvalidRequest):
        wasm.call(module, name, arguments)


class Plug:
    """A sandbox whose self-test finds what it is told to."""

    def __init__(self, name: str, *broken: str) -> None:
        self.name, self.broken = name, broken

    def facts(self) -> Facts:
        return Facts(self.name, 1)

    async def check(self) -> tuple[str, ...]:
        return self.broken

    async def run(self, job: Job) -> Outcome:
        raise NotImplementedError


def test_the_best_that_holds_is_chosen() -> None:
    found = asyncio.run(choose.choose([Plug("a", "network"), Plug("b"), Plug("c")]))
    assert (found.sandbox.facts().name, found.passed_over) == ("b", (("a", ("network",)),))


@pytest.mark.parametrize("plugs", [[], [Plug("a", "start")], [Plug("a", "network"), Plug("b", "files_read", "calls")]])
def test_without_one_that_holds_nothing_runs(plugs: list[Sandbox]) -> None:
    found = asyncio.run(choose.choose(plugs))
    assert found.sandbox.facts().tier == 0
    with pytest.raises(SandboxUnavailable) as caught:
        asyncio.run(found.sandbox.run(JOB))
    assert caught.value.code == "sandbox_unavailable"
    for plug in plugs:
        assert plug.facts().name in caught.value.message


def test_without_the_program_tier_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    box = Bubblewrap("none")
    assert asyncio.run(box.check()) == ("start",)
    with pytest.raises(SandboxUnavailable):
        asyncio.run(box.run(JOB))


def test_a_grant_is_for_one_run_of_the_same_arguments(caplog: pytest.LogCaptureFixture) -> None:
    box, job = Refuse("no walls"), Job(("/bin/sh", "-c", "echo $HOME; cat"), stdin=b"in")
    grant = Grant(job.argv, "Ada", "a trusted script")
    with pytest.raises(SandboxUnavailable):
        asyncio.run(box.run_unsafe(Job(("/bin/sh", "-c", "other")), grant))
    assert not grant.used
    with caplog.at_level(logging.WARNING, "homefire.sandbox"):
        outcome = asyncio.run(box.run_unsafe(job, grant))
    assert (outcome.exit_code, outcome.stdout[-2:]) == (0, b"in")
    assert "unsafe run granted by Ada (a trusted script)" in caplog.text
    with pytest.raises(SandboxUnavailable):
        asyncio.run(box.run_unsafe(job, grant))


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, "ascii")
    return root


def test_a_delegated_cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second version's files, as the kernel lays them out; the kernel itself takes no part (this machine delegates none)."""
    monkeypatch.setattr(cgroup, "own", lambda part, text=None: "app.scope")
    root = tree(
        tmp_path, {"app.scope/cgroup.procs": f"{os.getpid()}\n", "app.scope/cgroup.controllers": "cpu memory pids\n"}
    )
    group = cgroup.Group("v2", Limits(), root)
    assert (root / "app.scope/homefire-daemon/cgroup.procs").read_text() == str(os.getpid())
    assert (root / "app.scope/cgroup.subtree_control").read_text() == "+memory +pids"
    (door,) = group.doors
    folder = Path(door).parent
    assert (folder / "memory.max").read_text() == str(256 * MIB)
    assert (folder / "pids.max").read_text() == "66"
    tree(folder, {"memory.current": "7\n", "memory.peak": "9\n", "pids.current": "3\n", "memory.events": "low 0\noom_kill 1\n",
                  "pids.events": "max 2\n", "cpu.stat": "usage_usec 1500000\n"})  # fmt: skip
    assert group.usage(1) == cgroup.Usage(7, 3, 1.5, True, True)
    assert group.peak == 9


@pytest.mark.parametrize(
    "files",
    [{}, {"app.scope/cgroup.procs": "1\n2\n", "app.scope/cgroup.controllers": "memory pids\n"},
     {"app.scope/cgroup.procs": f"{os.getpid()}\n", "app.scope/cgroup.controllers": "cpu\n"}],
    ids=["none", "shared with other programs", "no controllers"],
)  # fmt: skip
def test_where_no_cgroup_was_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    monkeypatch.setattr(cgroup, "own", lambda part, text=None: "app.scope")
    assert cgroup.find_kind(tree(tmp_path, files)) == "none"


def test_our_own_cgroup_is_read() -> None:
    text = "4:memory:/a/b\n3:cpu,cpuacct:/c\n0::/user.slice/x.scope\n"
    assert [cgroup.own(part, text) for part in ("memory", "cpuacct", "")] == ["a/b", "c", "user.slice/x.scope"]
    with pytest.raises(FileNotFoundError):
        cgroup.own("pids", text)
