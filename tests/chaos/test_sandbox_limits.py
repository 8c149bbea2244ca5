"""What takes more than its share in the sandbox, what is left behind, and what ends with the daemon.

Promises: each limit ends what breaks it, in both tiers, as root and as a plain user, and the same program ends well under
roomy limits; after a job's end, its cancelling, or a kill -9 of whoever runs it, none of its processes is left.
Does not cover: how fast (`homefire bench sandbox`).
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.chaos.sandbox_driver import alive_with, mark
from tests.chaos.sandbox_hogs import HOGS
from tests.chaos.test_sandbox_probes import TIERS, USERS, Driver, command
from tests.chaos.test_sandbox_probes import checkout as checkout
from tests.chaos.test_sandbox_probes import driver as driver
from tests.chaos.test_sandbox_probes import pytestmark as pytestmark
from tests.conftest import wait_until

BOTH = [(tier, user) for tier in TIERS for user in USERS]


@pytest.mark.parametrize("name", HOGS)
@pytest.mark.parametrize(("tier", "user"), BOTH)
def test_limit(driver: Driver, tier: str, user: str, name: str) -> None:
    found, hog = driver("hogs", tier, user), HOGS[name]
    roomy, tight = found["hogs"][f"{name}, roomy"], found["hogs"][name]
    assert (roomy["exit"], roomy["ended_by"]) == (0, ""), roomy
    assert tight["ended_by"] in hog.ends, tight
    if name == "a core":
        return
    assert tight["exit"] != 0, tight
    if not tight["ended_by"]:
        assert hog.says in tight["stderr"], tight
    if tight["ended_by"] == "memory":  # the kernel holds it to the byte, the watcher looks each 50 ms
        assert tight["peak"] <= hog.tight.memory_bytes * (1.05 if found["kind"] != "none" else 1.5)
    if tight["ended_by"] == "output":
        assert tight["stdout"] in (0, hog.tight.output_bytes)
        assert tight["cut"]


@pytest.mark.parametrize(("tier", "user"), BOTH)
def test_the_temporary_folder_has_a_size(driver: Driver, tier: str, user: str) -> None:
    found = driver("hogs", tier, user)["hogs"]["temporary"]
    assert found["exit"] != 0
    assert found["ended_by"] == "disk" or "No space left" in found["stderr"]


@pytest.mark.parametrize(("tier", "user"), BOTH)
def test_nothing_is_left_behind(driver: Driver, tier: str, user: str) -> None:
    found = driver("hogs", tier, user)["hogs"]
    assert (found["left behind"]["exit"], found["left behind"]["left"]) == (0, 0)
    assert found["left behind"]["seconds"] < 5, "it waited for the grandchild's sleep"
    assert found["cancelled"]["left"] == 0


@pytest.mark.parametrize(("tier", "user"), BOTH)
def test_no_orphans_after_a_kill(checkout: Path, tier: str, user: str) -> None:
    assert orphans(checkout, tier, user, 1.0) == 0


@pytest.mark.parametrize("tier", TIERS)
def test_what_ties_a_job_to_the_daemon_is_needed(checkout: Path, tier: str) -> None:
    assert orphans(checkout, tier + "-", USERS[-1], 0.5) > 0


def orphans(checkout: Path, tier: str, user: str, seconds: float) -> int:
    """How many processes of a job are left some time after whoever ran it was killed. None is left after this function."""
    token = mark()
    running = subprocess.Popen(command(checkout, user, "tree", tier, token), stdout=subprocess.DEVNULL, cwd="/")
    try:
        wait_until(lambda: alive_with(token) >= 11, 20)
        running.send_signal(signal.SIGKILL)
        running.wait()
        try:
            wait_until(lambda: alive_with(token) == 0, seconds)
        except AssertionError:
            return alive_with(token)
        return 0
    finally:
        running.kill()
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if token.encode() in place.read_bytes():
                    os.kill(int(place.parent.name), signal.SIGKILL)
            except (OSError, ProcessLookupError):
                continue
