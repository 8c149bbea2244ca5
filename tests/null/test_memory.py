"""Memory: facts that point at words, contradictions, forgetting, blocks from two places, what leaves with a conversation.

Promises: every refusal is shown to store nothing.
Does not cover: how much is found (`bench memory`); kills in mid-write.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import InvalidRequest, MemoryConflict, NotInSource, UnknownMemory
from homefire.memory import slots
from homefire.memory.memory import Memory, Source
from homefire.memory.when import understood
from homefire.store import Conversations, Store
from homefire.store.memory_schema import SCHEMA

FIXTURE: dict[str, Any] = json.loads((Path(__file__).parents[2] / "fixtures" / "memory.json").read_text("utf-8"))
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()


class Clock:
    """A time that is moved by hand."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def on_memory(folder: Path, work: Callable[[Memory, Store, Clock], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        store, clock = Store(folder / "homefire.db"), Clock()
        store.open()
        try:
            await work(Memory(store, clock=clock), store, clock)
        finally:
            store.close()

    asyncio.run(main())


def person(words: str) -> Source:
    return Source("person", "cli", words)


def test_the_schema_of_the_fixture_is_the_stores() -> None:
    assert FIXTURE["schema"] == SCHEMA.strip().split("\n")


@pytest.mark.parametrize(("text", "slot"), FIXTURE["slots"])
def test_slots(text: str, slot: str) -> None:
    assert slots.slot(text) == slot


@pytest.mark.parametrize(("text", "rest", "since", "until"), FIXTURE["times"])
def test_times(text: str, rest: str, since: str | None, until: str | None) -> None:
    found, span = understood(text, NOW)
    days = [
        None if at is None else datetime.fromtimestamp(at, UTC).date().isoformat() for at in (span.since, span.until)
    ]
    assert (found, days) == (rest, [since, until])


def test_what_does_not_stand_in_its_source_is_not_kept(tmp_path: Path) -> None:
    async def work(memory: Memory, store: Store, clock: Clock) -> None:
        with pytest.raises(NotInSource):
            await memory.remember("Ada is 40.", Source("step", "r:1", "Ada is 40", text="Ada is 41"), key="")
        with pytest.raises(UnknownMemory):
            await memory.remember("Ada is 40.", Source("message", "m0", "Ada"), key="")
        assert await memory.facts("") == []

    on_memory(tmp_path, work)


def test_a_contradiction_is_linked_and_the_newer_one_comes_first(tmp_path: Path) -> None:
    async def work(memory: Memory, store: Store, clock: Clock) -> None:
        old = await memory.remember("My dentist is Dr Ames.", person("My dentist is Dr Ames."), key="")
        clock.now += 60
        new = await memory.remember("My dentist is now Dr Ruiz.", person("My dentist is now Dr Ruiz."), key="")
        kept = await memory.fact(old.id, "")
        assert (kept.text, kept.replaced_by, kept.links) == (old.text, new.id, (new.id,))
        assert [one.place for one in await memory.recall("Who is my dentist?", key="")] == [
            f"fact:{new.id}",
            f"fact:{old.id}",
        ]
        await memory.forget(str(new.id), key="")
        assert (await memory.fact(old.id, "")).replaced_by is None

    on_memory(tmp_path, work)


def test_the_same_again_adds_its_source(tmp_path: Path) -> None:
    async def work(memory: Memory, store: Store, clock: Clock) -> None:
        one = await memory.remember("Ada likes tea.", person("Ada likes tea."), key="")
        two = await memory.remember(
            "ada likes  tea", Source("step", "r:1", "ada likes tea", "so ada likes tea"), key=""
        )
        assert two.id == one.id and two.seen == 2 and {each.kind for each in two.sources} == {"person", "step"}

    on_memory(tmp_path, work)


def test_what_is_not_so_expires(tmp_path: Path) -> None:
    async def work(memory: Memory, store: Store, clock: Clock) -> None:
        await memory.remember("The printer does not work.", person("The printer does not work."), key="")
        assert len(await memory.recall("printer work?", key="")) == 1
        clock.now += 31 * 86_400
        assert await memory.recall("printer work?", key="") == []

    on_memory(tmp_path, work)


def test_forget_and_undo(tmp_path: Path) -> None:
    async def work(memory: Memory, store: Store, clock: Clock) -> None:
        fact = await memory.remember("The kayak is blue.", person("The kayak is blue."), key="")
        await memory.forget("the kayak is blue", key="")
        assert await memory.recall("kayak", key="") == []
        with pytest.raises(UnknownMemory):
            await memory.forget("the kayak is blue", key="")
        assert (await memory.undo("")).id == fact.id
        assert len(await memory.recall("kayak", key="")) == 1
        assert await memory.recall("kayak", key="other") == []

    on_memory(tmp_path, work)


def test_an_edit_from_two_places(tmp_path: Path) -> None:
    async def work(memory: Memory, store: Store, clock: Clock) -> None:
        await memory.edit("", "person", 0, "Lives in Lund.")
        with pytest.raises(MemoryConflict):
            await memory.edit("", "person", 0, "Lives in Graz.")
        with pytest.raises(InvalidRequest):
            await memory.edit("", "person", 1, "x" * 2001)
        await memory.edit("", "person", 1, "Lives in Graz.")
        assert (await memory.restore("", "person", 1)).text == "Lives in Lund."
        assert [each.version for each in await memory.versions("", "person")] == [3, 2, 1]

    on_memory(tmp_path, work)


def test_a_deleted_conversation_leaves_at_once_and_comes_back(tmp_path: Path) -> None:
    async def work(memory: Memory, store: Store, clock: Clock) -> None:
        talks = Conversations(store)
        made = await talks.create()
        _, answer, _ = await talks.ask(made.id, "The violin is in the quarantineroom.", None, "pilot", None)
        await talks.finish(made.id, replace(answer, content="Noted, the violin.", state="complete"))
        assert len(await memory.recall("violin", key="")) == 2
        await talks.delete(made.id)
        assert await memory.recall("violin", key="") == []
        await talks.restore(made.id)
        assert len(await memory.recall("violin", key="")) == 2
        await talks.delete(made.id)
        await talks.purge(0)
        assert b"quarantineroom" not in store.path.read_bytes()

    on_memory(tmp_path, work)


def test_one_file_out_and_in(tmp_path: Path) -> None:
    async def work(memory: Memory, store: Store, clock: Clock) -> None:
        await memory.remember("The kayak is blue.", person("The kayak is blue."), key="")
        await memory.edit("", "self", 0, "Be brief.")
        file = json.loads(json.dumps(await memory.export("")))
        assert await memory.bring(file, key="k") == {"facts": 1, "blocks": 1}
        assert [each.text for each in await memory.facts("k")] == ["The kayak is blue."]
        with pytest.raises(InvalidRequest):
            await memory.bring({"form": "x"}, key="k")

    on_memory(tmp_path, work)
