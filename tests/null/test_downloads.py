"""The queue of downloads, with transfers that a test lets go, fail or hang.

Promises: order, limit, joining, pause, resume, cancel, restart; no state is told before it is saved; no transfer is left running.
Does not cover: fetching (`tests/process/test_fetch.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from homefire.errors import DiskFull, DownloadCancelled, HomefireError, UnknownDownload
from homefire.models.downloads import Download, Downloads, next_to_start
from homefire.models.fetch_plan import Progress


class Memory:
    """A `Keep` in memory; it lets others run while it saves, as a database does."""

    def __init__(self, *kept: Download) -> None:
        self.kept = {d.id: d for d in kept}

    async def load(self) -> list[Download]:
        return list(self.kept.values())

    async def save(self, download: Download) -> None:
        await asyncio.sleep(0)
        self.kept[download.id] = download

    async def forget(self, id: int) -> None:
        self.kept.pop(id, None)


class Rig:
    """A queue whose transfers wait for the test."""

    def __init__(self, limit: int = 1, keep: Memory | None = None) -> None:
        self.keep = keep or Memory()
        self.began: list[str] = []
        self.running: set[str] = set()
        self.discarded: list[str] = []
        self.told: list[Download] = []
        self.gates: dict[str, asyncio.Future[None]] = {}
        self.queue = Downloads(self.bring, self.discard, self.keep, limit, self.changed)

    async def bring(self, download: Download, progress: Callable[[Progress], None]) -> None:
        name = download.target
        assert name not in self.running, "one target, one transfer"
        self.began.append(name)
        self.running.add(name)
        try:
            progress(Progress(5, 10, 1.0, 5.0))
            await self.gates.setdefault(name, asyncio.get_running_loop().create_future())
        finally:
            await asyncio.sleep(0)  # letting go takes a moment
            self.running.discard(name)
            self.gates.pop(name, None)

    async def discard(self, download: Download) -> None:
        assert download.target not in self.running, "nothing is removed under a transfer"
        self.discarded.append(download.target)

    def changed(self, download: Download) -> None:
        if download.state != "running" or download.done == 0:
            assert self.keep.kept[download.id].state == download.state, "told before it was saved"
        self.told.append(download)

    def end(self, name: str, problem: BaseException | None = None) -> None:
        gate = self.gates[name]
        if problem is None:
            gate.set_result(None)
        else:
            gate.set_exception(problem)

    def states(self) -> dict[str, str]:
        return {d.target: d.state for d in self.queue.all()}


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(scenario(), 20)
        await settle()
        assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []

    asyncio.run(limited())


def test_next_to_start() -> None:
    a, b, c = Download(1, "a", "a", 0, 5.0), Download(2, "b", "b", 1, 6.0), Download(3, "c", "c", 1, 6.0)
    assert next_to_start([a, b, c], 1) is b
    assert next_to_start([], 1) is None
    assert next_to_start([a, Download(9, "r", "r", state="running")], 1) is None
    assert next_to_start([a, Download(9, "r", "r", state="running")], 2) is a
    assert next_to_start([Download(9, "p", "p", state="paused")], 1) is None


def test_one_at_a_time_by_priority_and_age() -> None:
    async def scenario() -> None:
        rig = Rig()
        for name, priority in (("a", 0), ("b", 0), ("c", 5)):
            await rig.queue.add(name, name, priority)
        await settle()
        for name in ("a", "c", "b"):
            assert rig.running == {name}
            rig.end(name)
            await settle()
        assert rig.began == ["a", "c", "b"]
        assert rig.states() == {"a": "done", "b": "done", "c": "done"}
        assert {d.state for d in rig.keep.kept.values()} == {"done"}

    run(scenario)


def test_the_limit_is_a_number() -> None:
    async def scenario() -> None:
        rig = Rig(limit=2)
        for name in "abc":
            await rig.queue.add(name, name)
        await settle()
        assert rig.running == {"a", "b"}
        await rig.queue.set_priority(3, 9)
        assert [d.target for d in rig.queue.all()] == ["a", "b", "c"]
        rig.end("a")
        await settle()
        assert rig.running == {"b", "c"}
        rig.end("b")
        rig.end("c")
        await settle()

    run(scenario)


def test_two_requests_for_one_target_are_one_transfer() -> None:
    async def scenario() -> None:
        rig = Rig()
        first, second = await asyncio.gather(rig.queue.add("hf:a/b", "x"), rig.queue.add("https://e/x", "x", 7))
        assert first.id == second.id and second.priority == 7
        waiting = [asyncio.create_task(rig.queue.wait(first.id)) for _ in range(2)]
        await settle()
        assert rig.began == ["x"]
        rig.end("x")
        assert [d.state for d in await asyncio.gather(*waiting)] == ["done", "done"]
        third = await rig.queue.add("hf:a/b", "x")
        assert third.id != first.id, "what has ended is not joined"
        await rig.queue.cancel(third.id)

    run(scenario)


def test_pause_lets_the_next_one_run_and_resume_queues_again() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.queue.add("a", "a")
        await rig.queue.add("b", "b")
        await settle()
        assert (await rig.queue.pause(1)).state == "paused"
        await settle()
        assert rig.running == {"b"} and rig.discarded == []
        assert (await rig.queue.resume(1)).state == "queued"
        await settle()
        assert rig.running == {"b"}
        rig.end("b")
        await settle()
        assert rig.running == {"a"}
        # Paused and resumed at once: never two transfers of one target.
        await asyncio.gather(rig.queue.pause(1), rig.queue.resume(1), rig.queue.pause(1), rig.queue.resume(1))
        await settle()
        if rig.queue.get(1).state == "paused":
            await rig.queue.resume(1)
            await settle()
        assert rig.running == {"a"} and rig.queue.get(1).state == "running"
        joined = await rig.queue.add("a", "a")
        assert joined.id == 1
        rig.end("a")
        await settle()
        assert rig.states() == {"a": "done", "b": "done"}
        assert (await rig.queue.pause(1)).state == "done"

    run(scenario)


def test_asking_again_wakes_a_paused_download() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.queue.add("a", "a")
        await rig.queue.pause(1)
        assert (await rig.queue.add("a", "a")).id == 1
        await settle()
        assert rig.running == {"a"}
        rig.end("a")
        await settle()

    run(scenario)


def test_cancel_removes_what_came() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.queue.add("a", "a")
        await rig.queue.add("b", "b")
        await settle()
        waiting = asyncio.create_task(rig.queue.wait(1))
        await settle()
        assert (await rig.queue.cancel(1)).state == "cancelled"
        with pytest.raises(DownloadCancelled):
            await waiting
        await rig.queue.cancel(2)
        await settle()
        assert rig.discarded == ["a", "b"] and rig.running == set()
        assert rig.states() == {"a": "cancelled", "b": "cancelled"}
        await rig.queue.forget(1)
        with pytest.raises(UnknownDownload):
            rig.queue.get(1)
        assert set(rig.keep.kept) == {2}

    run(scenario)


def test_a_failure_is_kept_with_its_words_and_may_be_tried_again() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.queue.add("a", "a")
        await rig.queue.add("b", "b")
        await settle()
        rig.end("a", DiskFull("The disk is full."))
        await settle()
        failed = rig.queue.get(1)
        assert (failed.state, failed.code, failed.message) == ("failed", "disk_full", "The disk is full.")
        assert failed.next_step and rig.running == {"b"}
        with pytest.raises(DiskFull, match="The disk is full"):
            await rig.queue.wait(1)
        await rig.queue.resume(1)
        rig.end("b")
        await settle()
        assert rig.running == {"a"} and rig.queue.get(1).code == ""
        rig.end("a")
        assert (await rig.queue.wait(1)).state == "done"

    run(scenario)


def test_a_defect_in_a_transfer_does_not_look_like_running() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.queue.add("a", "a")
        await rig.queue.add("b", "b")
        await settle()
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        rig.end("a", ZeroDivisionError())
        await settle()
        assert rig.queue.get(1).state == "failed" and rig.running == {"b"}
        with pytest.raises(HomefireError):
            await rig.queue.wait(1)
        rig.end("b")
        await settle()

    run(scenario)


def test_what_ran_goes_on_after_a_restart() -> None:
    async def scenario() -> None:
        rig = Rig()
        for name in "abc":
            await rig.queue.add(name, name)
        await settle()
        await rig.queue.pause(3)
        await rig.queue.close()
        assert rig.running == set() and rig.discarded == []
        assert {d.target: d.state for d in rig.keep.kept.values()} == {"a": "running", "b": "queued", "c": "paused"}
        again = Rig(keep=rig.keep)
        await again.queue.open()
        await settle()
        assert again.running == {"a"} and again.states() == {"a": "running", "b": "queued", "c": "paused"}
        assert (await again.queue.add("d", "d")).id == 4
        again.end("a")
        await settle()
        assert again.running == {"b"}
        await again.queue.close()

    run(scenario)


def test_progress_is_told() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.queue.add("a", "a")
        await settle()
        assert (rig.queue.get(1).done, rig.queue.get(1).total, rig.queue.get(1).eta) == (5, 10, 5.0)
        assert any(d.done == 5 for d in rig.told)
        rig.end("a")
        await settle()
        assert rig.told[-1].state == "done"

    run(scenario)


def test_unknown_ids() -> None:
    async def scenario() -> None:
        queue = Rig().queue
        for call in (queue.pause, queue.resume, queue.cancel, queue.wait, queue.forget):
            with pytest.raises(UnknownDownload):
                await call(7)

    run(scenario)
