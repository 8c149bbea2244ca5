"""Versions that are refused at the start.

Promises: each row of the table is held at its edge.
Does not cover: the daemon's exit (`test_a_daemon_refuses_old_packages` says only that it asks).
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from homefire.daemon import start as daemon
from homefire.errors import OldPackage
from homefire.server.floors import FLOORS, numbers, require_floors


def only(name: str, version: str) -> None:
    def version_of(asked: str) -> str:
        if asked != name:
            raise metadata.PackageNotFoundError(asked)
        return version

    require_floors(version_of)


@pytest.mark.parametrize("name", FLOORS)
def test_each_floor(name: str) -> None:
    oldest = FLOORS[name][0]
    at = ".".join(map(str, oldest))
    only(name, at)
    only(name, f"{oldest[0]}.{oldest[1] + 1}")
    only(name, f"{oldest[0] + 1}.0rc1")
    below = (*oldest[:-1], oldest[-1] - 1) if oldest[-1] else (oldest[0], oldest[1] - 1, 99)
    with pytest.raises(OldPackage, match=rf"{name} .* {at.replace('.', '[.]')} or newer"):
        only(name, ".".join(map(str, below)))


def test_what_is_installed_here_passes() -> None:
    require_floors()


def test_numbers() -> None:
    assert [numbers(text) for text in ("1.10.0", "0.49.1rc2", "3.1", "2", "x", "1.x.3")] == [
        (1, 10, 0), (0, 49, 1), (3, 1), (2,), (), (1,)
    ]  # fmt: skip


def test_a_daemon_refuses_old_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def too_old() -> None:
        raise OldPackage("starlette 0.1 is installed.")

    monkeypatch.setattr(daemon, "require_floors", too_old)
    monkeypatch.setattr(daemon, "first_line", print)
    monkeypatch.setenv("HOMEFIRE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("sys.argv", ["homefire.daemon"])
    assert daemon.main() == 1
    assert "old_package" in capfd.readouterr().out
    assert not (tmp_path / "home").exists()
