"""The protections, each with a way to take it out of a plan and a probe that must then get through.

Promises: a protection that no probe notices is missing from this list, and the test says so.
Does not cover: limits of what a job takes (`test_sandbox_limits.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from homefire.sandbox.run import Plan

Change = Callable[[Plan], Plan]


def options(plan: Plan, change: Callable[[list[Any]], list[Any]]) -> Plan:
    """A plan of bubblewrap with other options."""
    argv = [change(list(part)) if isinstance(part, list) else part for part in plan.argv]
    return replace(plan, argv=tuple(argv))


def without(*names: str, values: int = 0) -> Change:
    """Takes options out, each with so many values."""

    def drop(given: list[Any]) -> list[Any]:
        kept, index = [], 0
        while index < len(given):
            if given[index] in names:
                index += 1 + values
            else:
                kept.append(given[index])
                index += 1
        assert len(kept) < len(given), names
        return kept

    return lambda plan: options(plan, drop)


def with_option(*added: str) -> Change:
    return lambda plan: options(plan, lambda given: [*added, *given])


def swapped(old: list[str], new: list[str]) -> Change:
    """Replaces the first place where `old` stands."""

    def change(given: list[Any]) -> list[Any]:
        for index in range(len(given)):
            if given[index : index + len(old)] == old:
                return given[:index] + new + given[index + len(old) :]
        raise AssertionError(old)

    return lambda plan: options(plan, change)


def both(*changes: Change) -> Change:
    def change(plan: Plan) -> Plan:
        for one in changes:
            plan = one(plan)
        return plan

    return change


def filtered(plan: Plan, content: bytes) -> Plan:
    """A plan with another filter of calls."""
    if plan.guard:
        return replace(plan, filter=content)
    plan = both(without("--seccomp", values=1), without("--disable-userns"))(plan)
    return options(plan, lambda given: [*given, "--seccomp", content])


def limited(**more: int | None) -> Change:
    """With other limits of each process; None takes one out."""

    def change(plan: Plan) -> Plan:
        found = {name: value for name, value in {**plan.limits, **more}.items() if value is not None}
        return replace(plan, limits=found)

    return change


def landlock(**more: Any) -> Change:
    def change(plan: Plan) -> Plan:
        assert plan.landlock is not None
        return replace(plan, landlock={**plan.landlock, **more})

    return change


def bits(index: int) -> Change:
    """Landlock without one of its three kinds."""

    def change(plan: Plan) -> Plan:
        assert plan.landlock is not None
        kept = [0 if n == index else bit for n, bit in enumerate(plan.landlock["bits"])]
        return replace(plan, landlock={**plan.landlock, "bits": kept})

    return change


def no_filter(plan: Plan) -> Plan:
    """Without the filter of calls, in either tier."""
    return replace(plan, filter=b"") if plan.guard else without("--seccomp", values=1)(plan)


def open_environment(plan: Plan) -> Plan:
    return replace(plan, environment={**plan.environment, **os.environ})


def _writable_readable(plan: Plan) -> Plan:
    def change(given: list[Any]) -> list[Any]:
        places = [
            n for n, part in enumerate(given) if part == "--ro-bind" and "/homefire-readable-" in str(given[n + 2])
        ]
        assert places
        return [*given[: places[0]], "--bind", *given[places[0] + 1 :]]

    return options(plan, change)


OUTSIDE = ["read_a_file", "write_a_file", "cut_a_file", "remove_a_file", "run_a_program"]
CALLS = ["keyctl", "ptrace", "memfd_create", "shmget", "io_uring_setup", "clone3", "ioctl", "old_32_bit_calls"]
OF_BUBBLEWRAP: dict[str, tuple[Change, list[str]]] = {
    "its own network": (
        without("--unshare-net"),
        ["reach_tcp", "reach_udp", "share_a_network", "reach_an_abstract_socket"],
    ),
    "its own processes": (without("--unshare-pid"), ["read_a_command_line"]),
    "its own shared memory": (without("--unshare-ipc"), ["see_shared_memory"]),
    "its own host name": (both(without("--unshare-uts"), without("--hostname", values=1)), ["learn_the_host_name"]),
    "its own session": (without("--new-session"), ["share_a_session"]),
    "no name spaces below": (both(no_filter, without("--disable-userns")), ["unshare", "clone", "unshare_mounts"]),
    "the filter of calls": (no_filter, [*CALLS, "ask_the_kernel_for_routes"]),
    "a root that is read-only": (swapped(["--remount-ro", "/"], []), ["write_to_the_root"]),
    "devices that are read-only": (swapped(["--remount-ro", "/dev"], []), ["write_beside_devices"]),
    "a size of shared memory": (swapped(["--size", str(8 * 2**20)], []), ["fill_shared_memory"]),
    "an environment that is empty": (open_environment, ["see_an_environment_word"]),
    "no files but those named": (
        swapped(["--remount-ro", "/dev"], ["--bind", "/tmp", "/tmp", "--remount-ro", "/dev"]),
        [*OUTSIDE, "make_a_pipe", "reach_a_socket_file", "watch_a_folder", "see_a_file"],
    ),
    "readable is not writable": (_writable_readable, ["write_what_is_only_readable"]),
}
OF_LANDLOCK: dict[str, tuple[Change, list[str]]] = {
    "Landlock": (
        lambda plan: replace(plan, landlock=None),
        [*OUTSIDE, "make_a_folder", "make_a_symlink", "list_a_folder", "read_a_command_line", "read_the_users",
         "write_what_is_only_readable"],
    ),
    "the filter of calls": (
        no_filter,
        [*CALLS, "unshare", "reach_udp", "reach_a_socket_file", "watch_a_folder", "ask_the_kernel_for_routes"],
    ),
    "no TCP, behind the filter": (both(no_filter, bits(1)), ["reach_tcp"]),
    "no abstract sockets, behind the filter": (both(no_filter, bits(2)), ["reach_an_abstract_socket"]),
    "an environment that is empty": (open_environment, ["see_an_environment_word"]),
}  # fmt: skip
# What needs a file or a process of the same user outside.
OF_A_PLAIN_USER: dict[str, tuple[Change, list[str]]] = {
    "the filter of changes": (
        no_filter,
        ["change_a_mode", "change_a_time", "set_an_attribute", "slow_a_process", "pin_a_process", "limit_a_process",
         "hold_a_process"],
    ),
    "no signals, behind the filter": (both(no_filter, bits(2)), ["signal_a_process", "queue_a_signal"]),
}  # fmt: skip


def of(tier: str, root: bool) -> dict[str, tuple[Change, list[str]]]:
    """Protection -> (how to take it out, the probes that get through then)."""
    return OF_BUBBLEWRAP if tier == "bubblewrap" else OF_LANDLOCK | ({} if root else OF_A_PLAIN_USER)


def untied(bubblewrap: bool) -> Change:
    """What ends the job with the daemon is left out: bubblewrap's own tie and ours, or the guard."""
    if bubblewrap:
        return both(without("--die-with-parent"), lambda plan: replace(plan, tied=False))
    return lambda plan: replace(plan, guard=False, tied=True)
