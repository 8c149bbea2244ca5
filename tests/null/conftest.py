"""Folders in memory for tests that need no disk.

Promises: `tmp_path` lies in /dev/shm where there is one: a busy disk's fsync would be most of the time these tests take.
Does not cover: what a disk does (`tests/chaos`).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        yield tmp_path_factory.mktemp("null")
        return
    with tempfile.TemporaryDirectory(prefix="homefire-null-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
