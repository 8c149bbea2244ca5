"""Keeping KV caches, against a faked server of slots (the far side): who gets what, what is written when, what goes wrong.

The fake does with slots what llama.cpp's server does: a request runs in the slot it names, a file holds what lay in the slot.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from homefire.dialects.spent import Spent
from homefire.engines import kv_cache
from homefire.engines.engine import EngineSpec
from homefire.engines.kv_cache import Keeping, KeptCache, family_of, model_tag
from homefire.engines.kv_shelf import KvShelf
from homefire.engines.slots import Slot
from homefire.errors import EngineFailed
from homefire.messages import ChatRequest, Message

FAMILY = "model-facts"
# So slow at reading that everything from `FEWEST_TOKENS` on is worth keeping.
MS_A_TOKEN = 50.0


class Server:
    """The far side: tokens are the letters of a request's last message."""

    def __init__(self, folder: Path, slots: int) -> None:
        self.folder = folder
        self.slots = [""] * slots
        self.asked: list[str] = []
        self.refuses: set[str] = set()
        self.hangs = False

    async def ask(self, path: str, body: bytes) -> bytes:
        place, _, action = path.removeprefix("/slots/").partition("?action=")
        number = int(place)
        self.asked.append(f"{action} {number}")
        if self.hangs:
            await asyncio.Event().wait()
        if action in self.refuses:
            raise EngineFailed(f"It does not {action}.")
        if action == "erase":
            self.slots[number] = ""
            return b'{"n_erased": 1}'
        file = self.folder / FAMILY / json.loads(body)["filename"]
        answer: dict[str, Any]
        if action == "save":
            file.write_text(self.slots[number], "utf-8")
            answer = {"n_saved": len(self.slots[number]), "n_written": file.stat().st_size, "timings": {"save_ms": 1}}
        else:
            self.slots[number] = file.read_text("utf-8")
            answer = {
                "n_restored": len(self.slots[number]),
                "n_read": file.stat().st_size,
                "timings": {"restore_ms": 1},
            }
        return json.dumps(answer).encode()


class House:
    """A cache, its server and its shelf."""

    def __init__(self, folder: Path, slots: int = 2, crash_seconds: float = 1e9, keeps: bool = True) -> None:
        self.shelf = KvShelf(folder, 1 << 32)
        self.server = Server(folder, slots)
        self.words: list[str] = []
        keeping = Keeping(self.shelf, FAMILY, crash_seconds, lambda model, words: self.words.append(words))
        self.cache = KeptCache("model", slots, keeping if keeps else None, self.server.ask)
        self.cache.open()

    async def say(self, text: str, label: str = "") -> tuple[int, int]:
        """One request; the slot it ran in and how many tokens were there already."""
        slot = await self.cache.take(asking(text, label))
        return slot.number, self.run(slot, text)

    def run(self, slot: Slot, text: str) -> int:
        there = self.server.slots[slot.number]
        cached = next(
            (n for n, (a, b) in enumerate(zip(there, text, strict=False)) if a != b), min(len(there), len(text))
        )
        self.server.slots[slot.number] = text
        read = len(text) - cached
        self.cache.give_back(slot, Spent(cached, read, 0, read_ms=MS_A_TOKEN * read))
        return cached


def asking(text: str, label: str = "") -> ChatRequest:
    return ChatRequest("model", (Message("user", text),), cache_key=label)


def long(letter: str, length: int = 640) -> str:
    return letter * length


def test_over_a_swap_a_conversation_is_read_back(tmp_path: Path) -> None:
    async def work() -> None:
        before = House(tmp_path)
        await before.say(long("a"), "one")
        await before.say(long("b"), "two")
        await before.cache.leave()
        assert [entry.label for entry in before.shelf.all()] == ["two", "one"]
        assert before.words and "2 conversations (1,280 tokens)" in before.words[0]
        after = House(tmp_path)
        after.shelf.open()
        slot, cached = await after.say(long("a") + " and more")
        assert cached == 640
        assert (await after.say(long("a") + " and more, again"))[0] == slot
        assert after.server.asked == [f"restore {slot}"]

    asyncio.run(work())


def test_what_is_displaced_is_written_first_and_comes_back(tmp_path: Path) -> None:
    async def work() -> None:
        house = House(tmp_path, slots=1)
        await house.say(long("a"))
        assert (await house.say(long("b")))[1] == 0
        assert (await house.say(long("a") + "!"))[1] == 640
        assert house.server.asked == ["save 0", "save 0", "restore 0"]

    asyncio.run(work())


def test_a_long_beginning_is_shared_between_conversations(tmp_path: Path) -> None:
    async def work() -> None:
        house = House(tmp_path, slots=4)
        system = long("s", 6400)
        first = await house.say(system + long("a", 6400), "one")
        second = await house.say(system + long("b", 12_800), "two")
        assert second[0] != first[0] and second[1] >= 6400 - 512
        assert (await house.say(system + long("a", 6400) + "more", "one")) == (first[0], 12_800)

    asyncio.run(work())


def test_short_ones_are_not_worth_a_file(tmp_path: Path) -> None:
    async def work() -> None:
        house = House(tmp_path, slots=1)
        await house.say("hello")
        await house.say("who are you?")
        await house.cache.leave()
        assert house.server.asked == [] and house.shelf.all() == [] and house.words == []

    asyncio.run(work())


def test_waiting_for_a_slot_keeps_the_order_and_survives_who_leaves(tmp_path: Path) -> None:
    async def work() -> None:
        house = House(tmp_path, slots=1)
        held = await house.cache.take(asking("first"))
        got: list[str] = []

        async def wait(name: str) -> None:
            slot = await house.cache.take(asking(name))
            got.append(name)
            house.run(slot, name)

        tasks = [asyncio.ensure_future(wait(name)) for name in "abcd"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        house.run(held, "first")
        tasks[0].cancel()  # in the turn in which it was woken
        await asyncio.wait(tasks, timeout=5)
        assert got == ["c", "d"]

    asyncio.run(work())


def test_a_newcomer_does_not_pass_who_was_woken(tmp_path: Path) -> None:
    async def work() -> None:
        house = House(tmp_path, slots=1)
        held = await house.cache.take(asking("first"))
        waiter = asyncio.ensure_future(house.cache.take(asking("second")))
        await asyncio.sleep(0)
        house.run(held, "first")
        newcomer = asyncio.ensure_future(house.cache.take(asking("third")))
        await asyncio.sleep(0.01)
        assert waiter.done() != newcomer.done()  # one slot, one of them has it
        house.run((waiter if waiter.done() else newcomer).result(), "x")
        await asyncio.wait_for(asyncio.gather(waiter, newcomer), 5)

    asyncio.run(work())


@pytest.mark.parametrize("action", ["save", "restore"])
def test_a_server_that_refuses_costs_time_not_the_request(tmp_path: Path, action: str) -> None:
    async def work() -> None:
        house = House(tmp_path, slots=1)
        house.server.refuses.add(action)
        for number in range(6):
            text = long("ab"[number % 2])
            assert await house.say(text) == (0, 0)
        saves = sum(each.startswith("save") for each in house.server.asked)
        if action == "save":
            assert saves == kv_cache.MOST_FAILURES
        else:  # the file that could not be read back is gone
            assert saves >= 3 and len(house.shelf.all()) <= 2

    asyncio.run(work())


def test_a_damaged_file_is_read_again_from_the_text(tmp_path: Path) -> None:
    async def work() -> None:
        house = House(tmp_path, slots=1)
        await house.say(long("a"))
        await house.cache.leave()
        (entry,) = house.shelf.all()
        (tmp_path / FAMILY / entry.file).write_text(long("z"), "utf-8")
        again = House(tmp_path, slots=1)
        again.shelf.open()
        assert await again.say(long("a")) == (0, 0)
        assert again.server.asked == []

    asyncio.run(work())


def test_a_server_that_hangs_holds_up_leaving_only_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        monkeypatch.setattr(kv_cache, "LEAVE_SECONDS", 0.05)
        house = House(tmp_path)
        await house.say(long("a"))
        house.server.hangs = True
        await asyncio.wait_for(house.cache.leave(), 5)
        assert house.shelf.all() == []

    asyncio.run(work())


def test_a_server_that_hangs_costs_a_request_only_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        monkeypatch.setattr(kv_cache, "ACTION_SECONDS", 0.05)
        house = House(tmp_path, slots=1)
        await house.say(long("a"))
        house.server.hangs = True
        assert await asyncio.wait_for(house.say(long("b")), 5) == (0, 0)

    asyncio.run(work())


def test_when_it_is_quiet_what_a_crash_would_cost_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv_cache, "IDLE_SECONDS", 0.01)

    async def work(crash_seconds: float, expected: int) -> None:
        house = House(tmp_path / str(expected), crash_seconds=crash_seconds)
        await house.say(long("a"))
        busy = await house.cache.take(asking("b"))
        await asyncio.sleep(0.1)
        assert house.server.asked == []  # not while an answer is under way
        house.run(busy, "b")
        for _ in range(200):
            await asyncio.sleep(0.01)
            if len(house.shelf.all()) == expected and (expected or _ > 10):
                break
        assert len(house.shelf.all()) == expected

    asyncio.run(work(30.0, 1))  # 640 tokens take 32 s to read
    asyncio.run(work(40.0, 0))


def test_a_slot_that_others_followed_is_written_and_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv_cache, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(kv_cache, "EMPTY_SECONDS", 0.02)

    async def work() -> None:
        house = House(tmp_path)
        old, _ = await house.say(long("a"))
        new, _ = await house.say(long("b"))
        for _ in range(500):
            await asyncio.sleep(0.01)
            if house.server.slots[old] == "":
                break
        assert house.server.slots[new] == long("b")
        assert (await house.say(long("a") + "!"))[1] == 640

    asyncio.run(work())


def test_a_request_that_was_refused_leaves_its_slot_unknown(tmp_path: Path) -> None:
    async def work() -> None:
        house = House(tmp_path, slots=1)
        slot = await house.cache.take(asking(long("a")))
        house.cache.refused(slot)
        assert slot.empty
        await asyncio.wait_for(house.say(long("b")), 5)

    asyncio.run(work())


def test_without_a_shelf_slots_are_given_all_the_same(tmp_path: Path) -> None:
    async def work() -> None:
        house = House(tmp_path, slots=1, keeps=False)
        await house.say(long("a"))
        assert (await house.say(long("a") + "b"))[1] == 640
        await house.cache.leave()
        assert house.server.asked == []

    asyncio.run(work())


def test_the_family_says_what_must_be_the_same() -> None:
    spec = EngineSpec("m", Path("m.gguf"), 2048, 4, 1, 0, 1.0, Path("log"), None)
    families = {
        family_of(spec, ["one"], "1"),
        family_of(spec, ["two"], "1"),
        family_of(spec, ["one"], "2"),
        family_of(EngineSpec("m", Path("m.gguf"), 4096, 4, 1, 0, 1.0, Path("log"), None), ["one"], "1"),
        family_of(EngineSpec("m", Path("m.gguf"), 2048, 8, 1, 0, 1.0, Path("log"), None), ["one"], "1"),
    }
    assert len(families) == 5
    assert family_of(spec, ["b", "a"], "1") == family_of(spec, ["a", "b"], "1")
    assert family_of(spec, ["a", "b"], "1").startswith(model_tag(["b", "a"]))
