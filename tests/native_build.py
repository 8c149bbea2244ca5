"""Where the tests find a native build of llama.cpp: they do not make one, it takes a quarter of an hour.

Promises: `HOMEFIRE_TEST_ENGINE` names a `llama-server`; else the build that the user's own home uses; else the test is skipped
and says how to get one. What is named and is not there is a failure, not a skip.
Does not cover: making one (`tests/process/test_engine_build.py` builds a small program with the same parts).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from homefire.engines.builds import Builds, processor_mark
from homefire.paths import Paths, default_home

VARIABLE = "HOMEFIRE_TEST_ENGINE"


def native_program() -> Path:
    """The program, or a skip with its reason."""
    if given := os.environ.get(VARIABLE, ""):
        assert os.access(given, os.X_OK), f"{VARIABLE} names {given}, which cannot be run"
        return Path(given)
    builds = Builds(Paths(default_home({})).engine_builds, processor_mark())
    if (found := builds.program()) is None:
        pytest.skip(f"no native build here: make one with `homefire engine build --use`, or name one in {VARIABLE}")
    return found
