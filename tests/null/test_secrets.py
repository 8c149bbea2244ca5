"""Keys of far engines in the system's keyring: a keyring of the test's own behind the real package.

Promises: both places behave alike; one that is closed or missing is a clear error that quotes nothing.
Does not cover: the keyrings of real desktops; the file in full (`test_fallback.py`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from homefire.errors import BadSetting, PackageMissing
from homefire.settings import FileSecrets, RingSecrets, open_secrets

KEY = "canary-in-the-ring"


class Ring(KeyringBackend):
    """In memory; `locked` refuses everything."""

    priority = 1.0
    locked = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked(f"locked, and it held {KEY}")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked(f"locked: {password}")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("not there")


@pytest.fixture
def ring() -> Iterator[Ring]:
    """The system's keyring for one test."""
    before = keyring.get_keyring()
    keyring.set_keyring(own := Ring())
    yield own
    keyring.set_keyring(before)


@pytest.mark.parametrize("where", ["file", "keyring"])
def test_both_places_behave_alike(tmp_path: Path, ring: Ring, where: str) -> None:
    kept = open_secrets(where, tmp_path / "secrets.toml")
    assert isinstance(kept, RingSecrets if where == "keyring" else FileSecrets)
    assert kept.read("a") == ""
    kept.write("a", "")
    kept.write("a", 'quo"te')
    kept.write("b", KEY)
    assert (kept.read("a"), kept.read("b")) == ('quo"te', KEY)
    kept.write("a", "")
    assert (kept.read("a"), kept.read("b")) == ("", KEY)
    assert (tmp_path / "secrets.toml").exists() == (where == "file")


def test_two_homes_share_nothing(tmp_path: Path, ring: Ring) -> None:
    one, two = (open_secrets("keyring", tmp_path / name / "secrets.toml") for name in ("one", "two"))
    one.write("a", KEY)
    assert two.read("a") == ""


def test_a_keyring_that_does_not_open(tmp_path: Path, ring: Ring) -> None:
    kept = open_secrets("keyring", tmp_path / "secrets.toml")
    ring.locked = True
    for work in (lambda: kept.read("a"), lambda: kept.write("a", KEY)):
        with pytest.raises(BadSetting, match="keyring") as told:
            work()
        assert KEY not in json.dumps(told.value.envelope())
    with pytest.raises(BadSetting):
        open_secrets("keyring", tmp_path / "secrets.toml")


def test_without_the_package_and_with_another_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSetting, match="file or keyring"):
        open_secrets("nowhere", tmp_path / "secrets.toml")
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(PackageMissing) as told:
        open_secrets("keyring", tmp_path / "secrets.toml")
    assert "homefire[keyring]" in told.value.next_step
