"""The targets of `make fuzz`: each takes its own seeds, and the list in tasks.py is the whole list.

Promises: a seed that its parser refuses is no seed: coverage would begin at the refusal. The fuzzer itself is not needed here: a
module without its instrumentation stands in for it.
Does not cover: fuzzing.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

import tasks


def test_the_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ModuleType("atheris")
    plain.instrument_imports = lambda include: contextlib.nullcontext()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "atheris", plain)
    monkeypatch.delitem(sys.modules, "tests.fuzz.parsers", raising=False)
    from tests.fuzz.parsers import TARGETS

    assert tuple(TARGETS) == tasks.FUZZED
    for name, target in TARGETS.items():
        taken = 0
        for seed in target.seeds():
            with contextlib.suppress(*target.allowed):
                target.read(seed, tmp_path)
                taken += 1
        assert taken, name
