"""A full disk: a home on a small tmpfs that this test fills.

Promises: while it is full, what must be stored is refused with `disk_full`, what need not be goes on, and nothing is half
written; when there is space again, everything works without a restart.
Does not cover: disks that fail (EIO), and full disks of systems where nothing can be mounted: skipped there with the reason.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from homefire.models.library import PILOT_FILE
from tests.conftest import RunningDaemon
from tests.contract import raw

SIZE_MIB = 24
TALKS = "/homefire/v1/conversations"
ASK = b'{"messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}'


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A mounted tmpfs of a few megabytes."""
    yield from mounted(tmp_path / "disk", SIZE_MIB * 2**20)


def mounted(place: Path, size: int) -> Iterator[Path]:
    """A tmpfs of `size` bytes at `place`, for a fixture; skips where none can be mounted."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Fills the disk to its last byte; gives the file that does."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as problem:
                assert problem.errno == errno.ENOSPC
    return filler


def say(daemon: RunningDaemon, conversation: str, content: str) -> raw.Reply:
    """A question with a short answer."""
    body = b'{"content": "%s", "sampling": {"max_tokens": 3}}' % content.encode()
    return raw.call(daemon, "POST", f"{TALKS}/{conversation}/messages", body)


def messages(daemon: RunningDaemon, conversation: str) -> list[dict[str, Any]]:
    """What is stored."""
    found: list[dict[str, Any]] = raw.call(daemon, "GET", f"{TALKS}/{conversation}").json["messages"]
    return found


def test_full_disk(new_daemon: Callable[..., RunningDaemon], small_disk: Path) -> None:
    daemon = new_daemon(small_disk / "home").start()
    made = raw.call(daemon, "POST", TALKS, b"{}").json["id"]
    assert say(daemon, made, "before").status == 200
    filler = fill(small_disk)

    # The write-ahead log may have some room of its own left: large questions use it up. Each is stored whole or refused.
    told = ["before"]
    for number in range(200):
        content = f"{number} " + "x" * 100_000
        reply = say(daemon, made, content)
        if reply.status != 200:
            break
        told.append(content)
    assert (reply.status, reply.code) == (507, "disk_full")
    assert reply.json["error"]["source"] == "machine"
    for method, path, body in [
        ("POST", f"{TALKS}/{made}/messages", b'{"content": "%s"}' % (b"y" * 100_000)),
        ("POST", TALKS, b'{"system": "%s"}' % (b"y" * 900_000)),
        ("PATCH", f"{TALKS}/{made}", b'{"system": "%s"}' % (b"y" * 900_000)),
    ]:
        refused = raw.call(daemon, method, path, body)
        assert (refused.status, refused.code) == (507, "disk_full"), path

    # What needs no disk goes on.
    assert raw.call(daemon, "POST", "/v1/chat/completions", ASK).status == 200
    assert [m["content"] for m in messages(daemon, made) if m["role"] == "user"] == told
    assert raw.call(daemon, "GET", TALKS).json["conversations"][0]["id"] == made
    assert raw.call(daemon, "GET", "/homefire/v1/status").json["pid"] == daemon.pid
    imported = daemon.cli("models", "import", str(PILOT_FILE), "--name", "twin", "--json")
    assert '"disk_full"' in imported.stdout
    assert list(daemon.paths.blobs.glob("part-*")) == []

    filler.unlink()
    assert say(daemon, made, "after").status == 200
    stored = messages(daemon, made)
    assert [m["content"] for m in stored if m["role"] == "user"] == [*told, "after"]
    assert {m["state"] for m in stored if m["content"] == "after" or m["parent_id"] is None} == {"complete"}
    by_id = {m["id"]: m for m in stored}
    assert all(m["parent_id"] is None or m["parent_id"] in by_id for m in stored)
    assert len(stored) == 2 * len([m for m in stored if m["role"] == "user"]), "each question has its answer"
    pid = daemon.pid
    assert daemon.cli("down").returncode == 0
    assert f"pid {pid}" not in daemon.paths.daemon_log.read_text("utf-8")
    connection = apsw.Connection(str(daemon.paths.database))
    assert connection.pragma("integrity_check") == "ok"
    connection.close()


def test_starting_on_a_full_disk(new_daemon: Callable[..., RunningDaemon], small_disk: Path) -> None:
    daemon = new_daemon(small_disk / "home")
    filler = fill(small_disk)
    done = daemon.cli("up", "--detach", "--json")
    assert done.returncode == 1
    assert '"disk_full"' in done.stdout
    filler.unlink()
    daemon.start()
    made = raw.call(daemon, "POST", TALKS, b"{}").json["id"]
    assert say(daemon, made, "hello").status == 200
