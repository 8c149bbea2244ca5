"""Reading spread over the machines of a Ray cluster: a pool of `reading.py` in an actor on each of their processors.

    files -> groups -> actors (a pool with one child each, behind that machine's walls) -> answers
                           what no actor could read, and what a dead one had -> the pool on this machine

The folder must be at the same path on every machine (a shared file system), and Homefire in the same version; machines without
the folder are left out.
Promises: as `reading.Pool`: one last answer a file; a machine that dies or loses the folder costs time, no file; the groups under
way are bounded, and so is what is in memory.
Does not cover: starting a cluster, and who may use it (it runs what it is sent: docs/security.md). Tried with one of one machine.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from homefire.errors import CannotIngest, PackageMissing
from homefire.knowledge.reading import Pool, Read
from homefire.knowledge.walk import Found

log = logging.getLogger(__name__)

# A group ends at the first of these. An actor has one group and another ahead of it.
GROUP_FILES, GROUP_BYTES, AHEAD = 64, 8 * 2**20, 2
MOST_ACTORS = 256
START_SECONDS, CONNECT_SECONDS = 120.0, 5.0
# What a machine says that lacks something which this one may have.
HERE = frozenset({"document_gone", "document_unreadable", "sandbox_unavailable", "reader_missing"})


class SpreadPool:
    """As `reading.Pool`, on the cluster at `address` ("local": one of this machine's own, with `children` processors). Raises
    PackageMissing without the extra, CannotIngest when no machine of the cluster answers or has the folder."""

    def __init__(self, address: str, root: Path, *, children: int, walls: bool, plain_without: bool) -> None:
        try:
            import ray
        except ImportError:
            raise PackageMissing(
                "Reading on a cluster needs the package 'ray'.", "Install it: pip install 'homefire[ray]'"
            ) from None
        self._ray = ray
        self._here = Pool(root, children=children, walls=walls, plain_without=plain_without)
        _reach(address)
        own = {"num_cpus": children, "include_dashboard": False} if address == "local" else {}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, **own)
            count = min(MOST_ACTORS, int(ray.cluster_resources().get("CPU", 1)) or 1)
            made = [_actor(ray).remote(str(root), walls, plain_without) for _ in range(count)]
            asked = {each.has_folder.remote(): each for each in made}
            ready, _ = ray.wait(list(asked), num_returns=count, timeout=START_SECONDS)
            self._actors = [asked[each] for each in ready if ray.get(each)]
        except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as problem:
            ray.shutdown()
            raise CannotIngest(f"The cluster at '{address}' does not answer: {_line(problem)}.") from None
        if not self._actors:
            ray.shutdown()
            raise CannotIngest(f"No machine of the cluster at '{address}' has {root}.", "Share the folder with them.")

    def __enter__(self) -> SpreadPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the actors and their children."""
        for each in self._actors:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(each)
        self._here.close()
        self._ray.shutdown()

    def read(self, files: Iterable[Found]) -> Iterator[Read]:
        """As `Pool.read`."""
        groups, left = _groups(files), list[Found]()
        free = deque(self._actors * AHEAD)
        under_way: dict[Any, tuple[Any, list[Found]]] = {}
        over = False
        while not over or under_way:
            while free and not over:
                group = next(groups, None)
                over = group is None
                if group is not None:
                    actor = free.popleft()
                    under_way[actor.read.remote(group)] = actor, group
            if under_way:
                (ended, *_), _ = self._ray.wait(list(under_way), num_returns=1)
                actor, group = under_way.pop(ended)
                try:
                    answers: list[Read] = self._ray.get(ended)
                    free.append(actor)
                except self._ray.exceptions.RayError as problem:
                    log.warning("a machine of the cluster was lost with %d files: %s", len(group), _line(problem))
                    left += group
                    answers = []
                again = {each.path for each in answers if each.code in HERE}
                left += [each for each in group if each.path in again]
                yield from (each for each in answers if each.path not in again)
            if not free and not under_way:  # nobody is left
                break
        yield from self._here.read([*left])
        yield from self._here.read(each for group in groups for each in group)


def _reach(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        except (OSError, OverflowError) as problem:
            raise CannotIngest(f"The cluster at '{address}' does not answer: {_line(problem)}.") from None


def _actor(ray: Any) -> Any:
    """The class that runs on the cluster."""

    class Reads:
        def __init__(self, root: str, walls: bool, plain_without: bool) -> None:
            self._there = Path(root).exists()
            self._pool = Pool(Path(root), children=1, walls=walls, plain_without=plain_without)

        def has_folder(self) -> bool:
            return self._there

        def pid(self) -> int:
            return os.getpid()

        def read(self, files: list[Found]) -> list[Read]:
            return list(self._pool.read(files))

    return ray.remote(num_cpus=1, max_restarts=0)(Reads)


def _groups(files: Iterable[Found]) -> Iterator[list[Found]]:
    group, size = list[Found](), 0
    for each in files:
        group.append(each)
        size += each.size
        if len(group) >= GROUP_FILES or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _line(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:200].rstrip(".")
