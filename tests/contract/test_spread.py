"""Reading on a Ray cluster gives what reading here gives, also when a part of the cluster dies.

A cluster of this machine's own. Ray takes 240 MB, so no environment of the tests has it: install the extra `ray` and run this.
Does not cover: several machines, which were not there to try it on.
"""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import CannotIngest, PackageMissing
from homefire.knowledge.reading import Pool, Read
from homefire.knowledge.spread import GROUP_FILES, SpreadPool
from homefire.knowledge.walk import Found, Rules, walk

HAVE = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAVE, reason="ray is not installed: 240 MB that no other test needs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6 * GROUP_FILES):
        (tmp_path / f"{number}.md").write_text(f"# Title {number}\n\nText of file {number}.\n", "utf-8")
    (tmp_path / "data.bin").write_bytes(bytes(range(256)))
    return tmp_path


def files(root: Path) -> Iterator[Found]:
    return (each for each in walk(root, Rules()) if isinstance(each, Found))


def seen(answers: list[Read]) -> set[Any]:
    return {(each.path, each.status, each.code, tuple(text.digest for text in each.texts)) for each in answers}


@pytest.mark.skipif(HAVE, reason="ray is installed")
def test_without_the_package_the_error_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(PackageMissing, match="ray"):
        SpreadPool("local", tmp_path, children=1, walls=True, plain_without=True)


@needs_ray
def test_the_answers_are_those_of_this_machine(folder: Path) -> None:
    with Pool(folder, children=1, walls=False, plain_without=True) as here:
        wanted = seen(list(here.read(files(folder))))
    with SpreadPool("local", folder, children=2, walls=False, plain_without=True) as cluster:
        assert seen(list(cluster.read(files(folder)))) == wanted


@needs_ray
def test_an_actor_that_is_killed_costs_no_file(folder: Path) -> None:
    with SpreadPool("local", folder, children=2, walls=False, plain_without=True) as cluster:
        victims = cluster._ray.get([each.pid.remote() for each in cluster._actors])
        answers: list[Read] = []
        for answer in cluster.read(files(folder)):
            if not answers:
                for pid in victims:
                    os.kill(pid, signal.SIGKILL)
            answers.append(answer)
    last = [each for each in answers if each.status != "part"]
    assert len(last) == len({each.path for each in last}) == 6 * GROUP_FILES + 1
    assert sum(each.status == "read" for each in last) == 6 * GROUP_FILES


@needs_ray
def test_a_cluster_that_is_not_there(folder: Path) -> None:
    with pytest.raises(CannotIngest, match="does not answer"):
        SpreadPool("127.0.0.1:1", folder, children=1, walls=True, plain_without=True)
