"""The sandbox, tried from inside: 74 attempts to leave it, in both tiers, as root and as a plain user, each with its control.

Promises: an attempt that succeeds inside is red, and so is one that fails outside (it would show nothing); for each protection
there is a probe that gets through when it alone is taken away. Nothing is skipped where bubblewrap is installed.
Does not cover: what takes more than its share (`test_sandbox_limits.py`); what nobody thought of.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from homefire.sandbox import seccomp
from homefire.sandbox.bubblewrap import python
from tests.chaos import sandbox_mutants
from tests.chaos.sandbox_probes import ONLY, PROBES, SHOWN_BY_A_MUTANT
from tests.conftest import ROOT

ROOTED = sys.platform == "linux" and os.geteuid() == 0
USERS = ("root", "plain") if ROOTED else ("plain",)
TIERS = ("bubblewrap", "landlock")
PLAIN_UID = 1_899_999_999
pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux", reason="the sandboxes of other systems are adapters that were never run"
    ),
    pytest.mark.skipif(
        not shutil.which("bwrap"), reason="bubblewrap is not installed: python tasks.py test installs it as root"
    ),
]


@pytest.fixture(scope="session")
def checkout() -> Iterator[Path]:
    """The room and the driver where another user can read them."""
    place = Path(tempfile.mkdtemp(prefix="homefire-checkout-"))
    for name in ("homefire", "tests/chaos"):
        (place / name).mkdir(parents=True)
    for file in ROOT.glob("homefire/*.py"):
        shutil.copy(file, place / "homefire")
    for room in ("errors", "sandbox"):
        shutil.copytree(ROOT / "homefire" / room, place / "homefire" / room)
    for file in (
        ROOT / "tests" / "__init__.py",
        *ROOT.glob("tests/chaos/sandbox_*.py"),
        ROOT / "tests/chaos/__init__.py",
    ):
        shutil.copy(file, place / file.relative_to(ROOT))
    for found in (place, *place.rglob("*")):
        found.chmod(0o755 if found.is_dir() else 0o644)
    yield place
    shutil.rmtree(place)


def command(checkout: Path, user: str, *arguments: str) -> list[str]:
    """The driver, as a user."""
    drop = (
        ["setpriv", f"--reuid={PLAIN_UID}", f"--regid={PLAIN_UID}", "--clear-groups"]
        if ROOTED and user == "plain"
        else []
    )
    program = python(2)[0] if drop else sys.executable
    return [*drop, program, str(checkout / "tests" / "chaos" / "sandbox_driver.py"), *arguments]


Driver = Callable[[str, str, str], dict[str, Any]]


@pytest.fixture(scope="session")
def driver(checkout: Path) -> Driver:
    """What a mode of the driver found in a tier as a user; once each."""

    @cache
    def run(mode: str, tier: str, user: str) -> dict[str, Any]:
        done = subprocess.run(
            command(checkout, user, mode, tier), capture_output=True, text=True, cwd="/", timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return dict(json.loads(done.stdout))

    return run


def cases() -> list[tuple[str, str, str]]:
    return [
        (tier, user, name)
        for tier in TIERS
        for user in USERS
        for name in PROBES
        if ONLY.get(name, "") in ("", tier, user)
    ]


@pytest.mark.parametrize(("tier", "user", "name"), cases())
def test_contained(driver: Driver, tier: str, user: str, name: str) -> None:
    found = driver("probes", tier, user)
    assert found["inside"][name] is False
    if name not in SHOWN_BY_A_MUTANT:
        assert found["outside"][name] is True, "the control: without walls it must succeed"


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("tier", TIERS)
def test_the_self_test_agrees(driver: Driver, tier: str, user: str) -> None:
    assert driver("probes", tier, user)["broken"] == []


def mutants() -> list[tuple[str, str, str]]:
    return [(tier, user, name) for tier in TIERS for user in USERS for name in sandbox_mutants.of(tier, user == "root")]


@pytest.mark.parametrize(("tier", "user", "name"), mutants())
def test_each_protection_is_needed(driver: Driver, tier: str, user: str, name: str) -> None:
    assert driver("mutants", tier, user)[name] == sandbox_mutants.of(tier, user == "root")[name][1]


@pytest.mark.parametrize("tier", TIERS)
def test_each_call_is_refused_by_its_own_line(driver: Driver, tier: str) -> None:
    found = driver("filters", tier, USERS[-1])
    assert len(found) >= 18
    assert [name for name, passed in found.items() if not passed] == []
    assert set(found) <= {*seccomp.numbers(2), "clone", "clone3", "ioctl"}


def test_enough_is_tried() -> None:
    shown = {name for tier in TIERS for _, names in sandbox_mutants.of(tier, False).values() for name in names}
    assert shown >= SHOWN_BY_A_MUTANT
    for tier in TIERS:
        assert len([case for case in cases() if case[:2] == (tier, USERS[-1])]) >= 60
