"""Blobs: copied in whole under their digest, or not at all.

Promises: digest and size are those of the bytes, no failure leaves a part, a disk without room is known before the first byte.
Does not cover: power cuts (`tests/chaos`).
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from homefire.errors import DiskFull, HomefireError, InvalidRequest
from homefire.paths import Digest, Paths
from homefire.store import Blobs
from homefire.store.blobs import CHUNK, RESERVE


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path / "home")
    made.prepare()
    return made


def files(paths: Paths) -> list[Path]:
    return [path for path in paths.blobs.rglob("*") if path.is_file()]


def nothing(done: int, total: int) -> None:
    pass


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_copied_under_its_digest(size: int, paths: Paths, tmp_path: Path) -> None:
    content = os.urandom(size)
    source = tmp_path / "source"
    source.write_bytes(content)
    steps: list[tuple[int, int]] = []
    digest, length = Blobs(paths).copy_in(source, lambda done, total: steps.append((done, total)))
    assert (digest, length) == (hashlib.sha256(content).hexdigest(), size)
    assert paths.blob(digest).read_bytes() == content
    assert paths.blob(digest).stat().st_mode & 0o777 == 0o600
    assert files(paths) == [paths.blob(digest)], "no part is left"
    assert source.read_bytes() == content
    assert [total for _, total in steps] == [size] * len(steps)
    assert [done for done, _ in steps][-1:] == ([size] if size else [])


def test_the_same_content_twice_is_one_blob(paths: Paths, tmp_path: Path) -> None:
    store = Blobs(paths)
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"same")
        store.copy_in(tmp_path / name, nothing)
    assert len(files(paths)) == 1


def test_removing(paths: Paths, tmp_path: Path) -> None:
    store = Blobs(paths)
    (tmp_path / "one").write_bytes(b"content")
    digest, _ = store.copy_in(tmp_path / "one", nothing)
    store.remove(digest)
    assert files(paths) == []
    store.remove(digest)
    store.remove(Digest("0" * 64))


def test_sweeping_takes_parts_only(paths: Paths, tmp_path: Path) -> None:
    store = Blobs(paths)
    (tmp_path / "one").write_bytes(b"content")
    digest, _ = store.copy_in(tmp_path / "one", nothing)
    for name in ("part-1", "part-2"):
        (paths.blobs / name).write_bytes(b"half")
    (paths.blobs / "part-3").mkdir()
    (paths.blobs / "part-3" / "part").write_bytes(b"half, behind walls")
    assert store.sweep() == 3
    assert files(paths) == [paths.blob(digest)]
    assert store.sweep() == 0


def failing(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("place", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [(errno.ENOSPC, "disk_full"), (errno.EIO, "machine_error")], ids=lambda f: f[1])
def test_a_failure_leaves_nothing(
    place: str, failure: tuple[int, str], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, code = failure
    (tmp_path / "one").write_bytes(b"content")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(number)) if place == "fsync" else patch.setattr(
            Path, "replace", failing(number)
        )
        with pytest.raises(HomefireError) as caught:
            Blobs(paths).copy_in(tmp_path / "one", nothing)
    assert caught.value.code == code
    assert files(paths) == []
    Blobs(paths).copy_in(tmp_path / "one", nothing)
    assert len(files(paths)) == 1


def test_a_reader_of_the_progress_that_fails_leaves_nothing(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"content")

    def stop(done: int, total: int) -> None:
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        Blobs(paths).copy_in(tmp_path / "one", stop)
    assert files(paths) == []


@pytest.mark.parametrize(("free", "fits"), [(RESERVE + 6, False), (RESERVE + 7, True), (0, False)])
def test_no_room_is_known_before_the_first_byte(
    free: int, fits: bool, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").write_bytes(b"content")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    opened: list[object] = []
    real = os.open

    def noted(*given: Any) -> int:
        opened.append(given)
        return real(*given)

    monkeypatch.setattr(os, "open", noted)
    if fits:
        Blobs(paths).copy_in(tmp_path / "one", nothing)
        return
    with pytest.raises(DiskFull) as caught:
        Blobs(paths).copy_in(tmp_path / "one", nothing)
    assert "Free some space" in caught.value.next_step
    assert opened == [] and files(paths) == []


@pytest.mark.parametrize("name", ["missing", "folder"])
def test_a_source_that_cannot_be_read(name: str, paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidRequest) as caught:
        Blobs(paths).copy_in(tmp_path / name, nothing)
    assert caught.value.param == "path"
    assert files(paths) == []


def test_the_order_that_survives_a_power_cut(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """write, fsync of the file, rename, fsync of the folder."""
    (tmp_path / "one").write_bytes(b"content")
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append("folder" if name.is_dir() else f"file of {name.stat().st_size}")
        fsync(descriptor)

    def note_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    Blobs(paths).copy_in(tmp_path / "one", nothing)
    assert steps == ["file of 7", "rename", "folder", "folder"]
