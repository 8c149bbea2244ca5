"""What is taken of what a child left in its folder, and what is left of the folder.

Promises: each refusal beside the plain file that is taken; no processes.
Does not cover: whether the child could write elsewhere (`tests/process/test_walls.py`).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from homefire.errors import HomeNotWritable, TaskDied
from homefire.sandbox.growing import Growing


def growing(folder: Path, walled: bool = True) -> tuple[Growing, Path]:
    """One whose folder is made, and where the child is to leave its file."""
    found = Growing(folder / "target", walled)
    return found, Path(found.places()["target"])


def test_a_plain_file_gets_its_name(tmp_path: Path) -> None:
    one, made = growing(tmp_path)
    made.write_bytes(b"model")
    made.chmod(0o4755)
    asyncio.run(one.take())
    one.clear()
    assert [each.name for each in tmp_path.iterdir()] == ["target"]
    assert (tmp_path / "target").stat().st_mode & 0o7777 == 0o600


@pytest.mark.skipif(os.name == "nt", reason="links, pipes")
@pytest.mark.parametrize("kind", ["symlink", "hard link", "pipe", "folder", "nothing"])
def test_anything_else_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_text("secret")
    one, made = growing(tmp_path)
    match kind:
        case "symlink":
            made.symlink_to(tmp_path / "secret")
        case "hard link":
            made.hardlink_to(tmp_path / "secret")
        case "pipe":
            os.mkfifo(made)
        case "folder":
            made.mkdir()
    with pytest.raises(TaskDied):
        asyncio.run(one.take())
    one.clear()
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]
    assert (tmp_path / "secret").read_text() == "secret"


def test_without_walls_the_child_itself_names_the_file(tmp_path: Path) -> None:
    one, made = growing(tmp_path, walled=False)
    assert (one.box, made) == (None, tmp_path / "target")
    Path(one.places()["beside"]).write_bytes(b"half")
    one.clear()
    assert list(tmp_path.iterdir()) == []


def test_no_file_no_folder(tmp_path: Path) -> None:
    one = Growing(None, True)
    assert (one.places(), one.box) == ({}, None)
    asyncio.run(one.take())
    one.clear()


def test_errors_name_the_targets_folder(tmp_path: Path) -> None:
    one, made = growing(tmp_path)
    assert one.told(f"The disk of {made.parent} is full.") == f"The disk of {tmp_path} is full."
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HomeNotWritable, match=str(tmp_path)):
        growing(tmp_path / "file")
